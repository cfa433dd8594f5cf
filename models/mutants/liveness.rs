//! Mutants that do nothing wrong and come to a halt.
//!
//! No property of safety can show them. From every reachable state with all messages lost, `Recoverability`
//! asks two questions. Can a majority elect a leader that commits a new entry? Does all of that majority
//! learn that the entry is committed?

use super::scenes;
use super::wrapper::ServerCommand;
use super::{Fault, Handled, MutantSpec};
use crate::kv::Kv;
use crate::models::spec::Spec;
use crate::raft::{Message, Outcome};
use actorcheck::RECOVERABILITY;
use stateright::actor::{Command, Id};

pub(super) fn list() -> Vec<MutantSpec> {
    vec![
        vote_only_for_longer_logs(),
        vote_by_both(),
        vote_kept_over_terms(),
        no_noop(),
        commit_stops_at_older_term(),
        commit_needs_all(),
        retries_are_empty(),
        probing_stands_still(),
        heartbeat_commits_nothing(),
    ]
}

fn free_and(voted_for: Option<Id>, candidate: Id, up_to_date: bool) -> bool {
    up_to_date && voted_for.is_none_or(|id| id == candidate)
}

fn vote_only_for_longer_logs() -> MutantSpec {
    MutantSpec {
        name: "vote-only-for-longer-logs",
        breaks: "RV-2",
        caught_by: RECOVERABILITY,
        seen_in: "unshiftio/liferaft#10",
        about: "A candidate is voted for only if its log is more up-to-date than the voter's.",
        story: "All logs are equal, as they are at the start and whenever everything is \
                replicated. Whoever stands for election is refused by everybody else.",
        difference: "`>` instead of `>=` when the logs are compared",
        spec: scenes::replication(),
        fault: Fault {
            after: |handled| {
                let own = handled.before.persistent.log.last();
                handled.vote_by(free_and, |args| (args.last_log_term, args.last_log_index) > own);
            },
            ..Fault::NONE
        },
    }
}

fn vote_by_both() -> MutantSpec {
    MutantSpec {
        name: "vote-by-both",
        breaks: "RV-2",
        caught_by: RECOVERABILITY,
        seen_in: "hashicorp/raft#94",
        about: "A candidate is voted for only if both its last term and its last index are at least the \
                voter's.",
        story: "S0 has two entries of early terms, S2 one of a later term. Neither of them gives \
                the other its vote. If the third server is down, nobody can be elected any more.",
        difference: "`term >= own.term && index >= own.index` instead of comparing the term first",
        spec: scenes::diverged(),
        fault: Fault {
            after: |handled| {
                let (own_term, own_index) = handled.before.persistent.log.last();
                handled.vote_by(free_and, |args| {
                    args.last_log_term >= own_term && args.last_log_index >= own_index
                });
            },
            ..Fault::NONE
        },
    }
}

fn vote_kept_over_terms() -> MutantSpec {
    MutantSpec {
        name: "vote-kept-over-terms",
        breaks: "ALL-2",
        caught_by: RECOVERABILITY,
        seen_in: "butaneprotocol/oracles#18",
        about: "The vote of a term is not freed by a later one.",
        story: "S0 and S1 stand in term 1 and have voted for themselves; S2 has voted for S0. No \
                later term frees these votes. Whoever stands next finds nobody who could vote for \
                it.",
        difference: "a later term leaves `voted_for` as it is",
        spec: scenes::replication(),
        fault: Fault {
            after: |handled| {
                let before = &handled.before.persistent;
                handled.vote(free_and);
                let voted_for = &mut handled.server.persistent.voted_for;
                if handled.event.is_some() && before.voted_for.is_some() {
                    if *voted_for != before.voted_for {
                        refuse(handled.commands);
                    }
                    *voted_for = before.voted_for;
                }
            },
            ..Fault::NONE
        },
    }
}

fn refuse(commands: &mut [ServerCommand<Kv>]) {
    for command in commands {
        if let Command::Send(_, Message::RequestVoteResponse(response)) = command {
            response.vote_granted = false;
        }
    }
}

fn no_noop() -> MutantSpec {
    MutantSpec {
        name: "no-noop",
        breaks: "NOOP",
        caught_by: RECOVERABILITY,
        seen_in: "etcd-io/etcd#7331",
        about: "A leader does not begin its term with an entry.",
        story: "S0 is elected and holds entries of earlier terms that a majority has. It may \
                commit them only with an entry of its own term, and appends none before a client \
                asks for something.",
        difference: "`become_leader` appends nothing",
        spec: scenes::leader_change(),
        fault: Fault {
            after: |handled| {
                if handled.was_elected() {
                    handled.server.persistent.log = handled.before.persistent.log.clone();
                    for command in &mut *handled.commands {
                        if let Command::Send(_, Message::AppendEntries(args)) = command {
                            args.entries.clear();
                        }
                    }
                }
            },
            ..Fault::NONE
        },
    }
}

fn commit_stops_at_older_term() -> MutantSpec {
    MutantSpec {
        name: "commit-stops-at-older-term",
        breaks: "LDR-4",
        caught_by: RECOVERABILITY,
        seen_in: "zhebrak/raftos#30",
        about: "The search for what to commit ends at the first entry of an older term.",
        story: "S0 leads term 3 and has an entry of term 1 before its own. A majority has both. S0 \
                looks at the entry of term 1, may not commit it, and looks no further.",
        difference: "`break` instead of `continue` at an entry of an older term",
        spec: scenes::figure_8(),
        fault: Fault {
            after: |handled| {
                let log = &handled.server.persistent.log;
                let next = handled.before.commit_index.next();
                let is_old = log.term(next) != Some(handled.server.persistent.current_term);
                if handled.server.is_leader() && is_old {
                    nothing_committed(handled);
                }
            },
            ..Fault::NONE
        },
    }
}

/// Takes back every commit of this handler, and what it applied.
fn nothing_committed(handled: &mut Handled<'_>) {
    handled.server.commit_index = handled.before.commit_index;
    handled.server.last_applied = handled.before.last_applied;
    handled.server.applied_bytes = handled.before.applied_bytes;
    handled.server.machine = handled.before.machine.clone();
    handled.server.sessions = handled.before.sessions.clone();
}

fn commit_needs_all() -> MutantSpec {
    MutantSpec {
        name: "commit-needs-all",
        breaks: "LDR-4",
        caught_by: RECOVERABILITY,
        seen_in: "ben-ng/gaggle#15",
        about: "The leader commits only what every server has.",
        story: "One of three servers is down. The other two elect a leader and agree on its entry, \
                which is on a majority. It waits for the third, and so does everything after it.",
        difference: "`matched.min()` instead of `matched[majority - 1]`",
        spec: scenes::replication(),
        fault: Fault {
            after: |handled| {
                let Some(leader) = handled.server.leader() else { return };
                let matched = leader.followers.values().map(|it| it.match_index);
                let everywhere = matched.min().unwrap_or_default();
                if handled.server.commit_index > everywhere {
                    nothing_committed(handled);
                }
            },
            ..Fault::NONE
        },
    }
}

fn retries_are_empty() -> MutantSpec {
    MutantSpec {
        name: "retries-are-empty",
        breaks: "LDR-3",
        caught_by: RECOVERABILITY,
        seen_in: "willemt/raft, WRaft#5 of SandTable",
        about: "What was lost is never sent again: only the first AppendEntries to a server carries entries.",
        story: "S0 sends S1 its entry, and the message is lost. Heartbeats find S1 without it, and \
                S0 goes back to where S1 is, but what it sends from there has no entries. S1, whose \
                log is behind, cannot be elected instead.",
        difference: "AppendEntries of a heartbeat, and those after a refusal, have no entries",
        spec: Spec { restarts: true, ..scenes::pair() },
        fault: Fault {
            after: |handled| {
                let is_heartbeat = handled.event.is_none() && handled.before.is_leader();
                let is_refusal = matches!(
                    handled.append_entries_response(),
                    Some((_, Outcome::Conflict { .. }))
                );
                for command in &mut *handled.commands {
                    if let Command::Send(_, Message::AppendEntries(args)) = command
                        && (is_heartbeat || is_refusal)
                    {
                        args.entries.clear();
                    }
                }
            },
            ..Fault::NONE
        },
    }
}

fn probing_stands_still() -> MutantSpec {
    MutantSpec {
        name: "probing-stands-still",
        breaks: "LDR-3b",
        caught_by: RECOVERABILITY,
        seen_in: "databendlabs/openraft@6d53aa12",
        about: "A refusal does not move the next index, so the leader asks about the same position again.",
        story: "S0 led term 1, restarts, and leads term 2. It asks S1 about its entry of term 1, \
                which S1 does not have. S1 refuses, S0 asks the same again, and so on: S1 never gets \
                what it lacks, and cannot be elected instead.",
        difference: "`next_index` is not decremented on a refusal",
        spec: Spec { restarts: true, ..scenes::pair() },
        fault: Fault {
            before: |arriving| {
                if let Message::AppendEntriesResponse(args) = &arriving.msg {
                    arriving.dropped = matches!(args.outcome, Outcome::Conflict { .. });
                }
            },
            ..Fault::NONE
        },
    }
}

fn heartbeat_commits_nothing() -> MutantSpec {
    MutantSpec {
        name: "heartbeat-commits-nothing",
        breaks: "AE-5",
        caught_by: RECOVERABILITY,
        seen_in: "ktoso/akka-raft#33",
        about: "A follower takes the commit index only from an AppendEntries that has entries.",
        story: "S0 leads and has committed its no-op with S1. Nobody asks for anything more, so all that S1 \
                hears of S0 are heartbeats, and it ignores their commit index. It never applies what \
                everybody has.",
        difference: "an AppendEntries without entries does not move `commit_index`",
        spec: scenes::pair(),
        fault: Fault {
            after: |handled| {
                if handled.accepted().is_some_and(|(args, _)| args.entries.is_empty()) {
                    nothing_committed(handled);
                }
            },
            ..Fault::NONE
        },
    }
}

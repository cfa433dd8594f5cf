//! What does nothing wrong and does not go on.
//!
//! No property of safety can show these. `Recoverability` asks whether from every reachable state, all
//! messages lost, a majority can elect a leader that commits a new entry.

use super::scenes;
use super::wrapper::ServerCommand;
use super::{Fault, Handled, MutantSpec};
use crate::models::spec::Spec;
use crate::raft::{Index, Message, Outcome, Payload, Role};
use stateright::actor::{Command, Id};

const CAUGHT_BY: &str = "Recoverability";

pub(super) fn list() -> Vec<MutantSpec> {
    vec![
        vote_only_for_longer_logs(),
        vote_by_both(),
        vote_kept_over_terms(),
        later_term_ignored(),
        candidate_ignores_leader(),
        no_noop(),
        commit_stops_at_older_term(),
        acknowledgements_forgotten(),
        heartbeat_never_retries(),
        probing_stands_still(),
        uncommitted_never_released(),
    ]
}

fn free_and(voted_for: Option<Id>, candidate: Id, up_to_date: bool) -> bool {
    up_to_date && voted_for.is_none_or(|id| id == candidate)
}

fn vote_only_for_longer_logs() -> MutantSpec {
    MutantSpec {
        name: "vote-only-for-longer-logs",
        breaks: "RV-2",
        caught_by: CAUGHT_BY,
        seen_in: "unshiftio/liferaft#10",
        about: "A candidate is voted for only if its log is more up-to-date than the voter's.",
        story: "All logs are equal, as they are at the start and whenever everything is replicated. Whoever \
                stands for election is refused by everybody else.",
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
        caught_by: CAUGHT_BY,
        seen_in: "hashicorp/raft#94",
        about: "A candidate is voted for only if both its last term and its last index are at least the \
                voter's.",
        story: "S0 has two entries of early terms, S2 one of a later term. Neither of them gives the other \
                its vote. If the third server is down, nobody can be elected any more.",
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
        caught_by: CAUGHT_BY,
        seen_in: "butaneprotocol/oracles#18",
        about: "The vote of a term is not freed by a later one.",
        story: "S0 and S1 stand in term 1 and have voted for themselves; S2 has voted for S0. No later term \
                frees these votes. Whoever stands next finds nobody who could vote for it.",
        difference: "a later term leaves `voted_for` as it is",
        spec: scenes::elections(),
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

fn refuse(commands: &mut [ServerCommand]) {
    for command in commands {
        if let Command::Send(_, Message::RequestVoteResponse(response)) = command {
            response.vote_granted = false;
        }
    }
}

fn later_term_ignored() -> MutantSpec {
    MutantSpec {
        name: "later-term-ignored",
        breaks: "ALL-2",
        caught_by: CAUGHT_BY,
        seen_in: "uwplse/verdi-raft#29",
        about: "A later term in a reply is not adopted.",
        story: "S0 leads term 1, and the others are in term 2, where nobody has been elected. They refuse \
                what S0 sends and tell it their term. S0 does not listen, and goes on as a leader whom \
                nobody follows.",
        difference: "responses with `term > current_term` are dropped",
        spec: scenes::leader_change(),
        fault: Fault {
            before: |arriving| {
                let is_reply = matches!(
                    arriving.msg,
                    Message::RequestVoteResponse(_) | Message::AppendEntriesResponse(_)
                );
                arriving.dropped = is_reply && arriving.term() > Some(arriving.current_term());
            },
            ..Fault::NONE
        },
    }
}

fn candidate_ignores_leader() -> MutantSpec {
    MutantSpec {
        name: "candidate-ignores-leader",
        breaks: "CAN-3",
        caught_by: CAUGHT_BY,
        seen_in: "komamitsu/oraft#30",
        about: "A candidate does not follow a leader of its own term.",
        story: "S0 and S1 stand in term 1, and S0 is elected. S1 drops what S0 sends, since it is itself a \
                candidate, and stands again in term 2, which ends the reign of S0.",
        difference: "a candidate handles AppendEntries of later terms only",
        spec: scenes::replication(),
        fault: Fault {
            before: |arriving| {
                let is_candidate = matches!(arriving.server.role, Role::Candidate { .. });
                let of_leader = matches!(arriving.msg, Message::AppendEntries(_));
                let same_term = arriving.term() == Some(arriving.current_term());
                arriving.dropped = is_candidate && of_leader && same_term;
            },
            ..Fault::NONE
        },
    }
}

fn no_noop() -> MutantSpec {
    MutantSpec {
        name: "no-noop",
        breaks: "NOOP",
        caught_by: CAUGHT_BY,
        seen_in: "etcd-io/etcd#7331",
        about: "A leader does not begin its term with an entry.",
        story: "S0 is elected and holds entries of earlier terms that a majority has. It may commit them only \
                with an entry of its own term, and appends none before a client asks for something.",
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
        caught_by: CAUGHT_BY,
        seen_in: "zhebrak/raftos#30",
        about: "The search for what to commit ends at the first entry of an older term.",
        story: "S0 leads term 3 and has an entry of term 1 before its own. A majority has both. S0 looks at \
                the entry of term 1, may not commit it, and looks no further.",
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

/// Takes back what this handler has committed, and applied.
fn nothing_committed(handled: &mut Handled<'_>) {
    handled.server.commit_index = handled.before.commit_index;
    handled.server.last_applied = handled.before.last_applied;
    handled.server.machine = handled.before.machine.clone();
    handled.server.sessions = handled.before.sessions.clone();
}

fn acknowledgements_forgotten() -> MutantSpec {
    MutantSpec {
        name: "acknowledgements-forgotten",
        breaks: "LDR-3a",
        caught_by: CAUGHT_BY,
        seen_in: "jgroups-extras/jgroups-raft#122",
        about: "An entry that is acknowledged as already there is not counted.",
        story: "S1 has the entry since a former leader sent it. S0 sends it again; S1 finds that it has it \
                and says so in a way that S0 does not count. The entry is on a majority and never committed.",
        difference: "a follower acknowledges only entries that it has just appended",
        spec: scenes::leader_change(),
        fault: Fault {
            after: |handled| {
                let nothing_new = handled.before.persistent.log == handled.server.persistent.log;
                if handled.accepted().is_some() && nothing_new {
                    handled.answer(Outcome::Match(Index(0)));
                }
            },
            ..Fault::NONE
        },
    }
}

fn heartbeat_never_retries() -> MutantSpec {
    MutantSpec {
        name: "heartbeat-never-retries",
        breaks: "LDR-1",
        caught_by: CAUGHT_BY,
        seen_in: "WRaft#5",
        about: "What was lost is never sent again: retries carry no entries.",
        story: "S0 sends its entry to both others, and both messages are lost. Its heartbeats are accepted, \
                but they are empty, and nothing else sends the entry: it is never committed, nor is any that \
                comes after it.",
        difference: "an AppendEntries of a heartbeat has no entries",
        spec: scenes::replication(),
        fault: Fault {
            after: |handled| {
                let is_retry = handled.event.is_none() && handled.before.is_leader();
                for command in &mut *handled.commands {
                    if let Command::Send(_, Message::AppendEntries(args)) = command
                        && is_retry
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
        caught_by: CAUGHT_BY,
        seen_in: "databendlabs/openraft@6d53aa12",
        about: "A refusal does not move the next index, so the leader asks about the same position again.",
        story: "S0 leads term 3 and asks S1 about an index at which S1 has another entry. S1 refuses. S0 asks \
                about the same index, is refused again, and so on: S1 never gets what it lacks.",
        difference: "`next_index` is not decremented on a refusal",
        spec: scenes::diverged(),
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

fn uncommitted_never_released() -> MutantSpec {
    MutantSpec {
        name: "uncommitted-never-released",
        breaks: "CLI-3",
        caught_by: CAUGHT_BY,
        seen_in: "etcd-io/etcd@e419ba5",
        about: "What a leader counts as uncommitted is never counted as committed.",
        story: "A leader takes two requests of clients and commits them. Its count of what is uncommitted \
                stays at two, which is its limit: it drops every request from here on, and it does not lose \
                the leadership that would reset the count.",
        difference: "the count of uncommitted entries only grows",
        spec: Spec { max_client_entries: 3, ..scenes::pair_with_client() },
        fault: Fault {
            before: |arriving| {
                let log = arriving.server.persistent.log.iter();
                let taken = log.filter(|(_, entry)| entry.payload != Payload::Noop).count();
                let is_request = matches!(arriving.msg, Message::ClientRequest(_));
                arriving.dropped = is_request && taken >= 2;
            },
            ..Fault::NONE
        },
    }
}

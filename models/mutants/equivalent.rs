//! Changes that look like bugs, were bugs elsewhere, and here break nothing or only delay.

use super::persistence::term_first;
use super::scenes;
use super::wrapper::ServerCommand;
use super::{Equivalent, Fault, MutantSpec};
use crate::kv::Kv;
use crate::models::spec::Spec;
use crate::raft::{Index, Message, Outcome, RequestVote, RequestVoteResponse, Role};
use stateright::actor::Command;

pub(super) fn list() -> Vec<Equivalent> {
    vec![
        commit_clamped_to_own_log(),
        ack_own_last_index(),
        commit_by_half(),
        torn_vote(),
        later_term_ignored(),
        acknowledgements_forgotten(),
    ]
}

fn commit_clamped_to_own_log() -> Equivalent {
    Equivalent {
        mutant: MutantSpec {
            name: "commit-clamped-to-own-log",
            breaks: "AE-5",
            caught_by: "State Machine Safety",
            seen_in: "atomix/copycat#265",
            about: "A follower's commit index follows the leader's up to the end of its own log.",
            story: "A follower has an entry of its own behind what the leader sends, and the leader's commit \
                    index is beyond it. It believes its own entry committed and applies it.",
            difference: "`min(leader_commit, own last index)` instead of `min(leader_commit, last_new)`",
            spec: Spec { max_term: 3, ..scenes::figure_8() },
            fault: Fault {
                after: |handled| {
                    if let Some((args, _)) = handled.accepted() {
                        let own = handled.server.persistent.log.last_index();
                        let commit_index = args.leader_commit.min(own);
                        handled.server.commit_index = commit_index.max(handled.server.commit_index);
                    }
                },
                ..Fault::NONE
            },
        },
        reason: "Nothing diverging is left when a follower accepts: a new leader probes with an entry of its \
                 own, and goes back exactly to where the logs part, so what it sends next conflicts with \
                 the diverging tail and cuts it off. That needs links that carry equal sizes. Where only one \
                 link loses a large entry, a heartbeat in the pause of LDR-6 is accepted before the tail, \
                 and this change is a bug; no model has such links, and the test of AE-5 speaks.",
    }
}

fn ack_own_last_index() -> Equivalent {
    Equivalent {
        mutant: MutantSpec {
            name: "ack-own-last-index",
            breaks: "AE-2",
            caught_by: "Match index is replicated",
            seen_in: "microsoft/CCF#6001",
            about: "A follower acknowledges up to the end of its own log.",
            story: "A follower has an entry of its own behind what the leader sends. It acknowledges its own \
                    last index, and the leader counts it for an entry that it does not have.",
            difference: "`Match(own last index)` instead of `Match(prev_log_index + entries.len())`",
            spec: Spec { max_term: 3, ..scenes::figure_8() },
            fault: Fault {
                after: |handled| {
                    if handled.accepted().is_some() {
                        let own = handled.server.persistent.log.last_index();
                        handled.answer(Outcome::Match(own));
                    }
                },
                ..Fault::NONE
            },
        },
        reason: "As for `commit-clamped-to-own-log`: when a follower accepts, its log has no tail that is not \
                 the leader's.",
    }
}

fn commit_by_half() -> Equivalent {
    Equivalent {
        mutant: MutantSpec {
            name: "commit-by-half",
            breaks: "LDR-4",
            caught_by: "Leader Completeness",
            seen_in: "hashicorp/raft@163a55f",
            about: "Half of an even number of servers is enough to commit.",
            story: "Of four servers, S0 and S1 have an entry, and S0 commits it. The other two have never seen \
                    it and stand for election.",
            difference: "`matched[servers / 2 - 1]` instead of `matched[majority - 1]`",
            spec: Spec {
                max_term: 2,
                watch: scenes::COMMITS,
                max_received: None,
                ..scenes::election_of_four()
            },
            fault: Fault {
                after: |handled| {
                    let Some(leader) = handled.server.leader() else { return };
                    let log = &handled.server.persistent.log;
                    let mut matched: Vec<_> =
                        leader.followers.values().map(|it| it.match_index).collect();
                    matched.push(log.last_index());
                    matched.sort_unstable_by(|a, b| b.cmp(a));
                    let half = matched[matched.len() / 2 - 1];
                    let of_this_term =
                        log.term(half) == Some(handled.server.persistent.current_term);
                    if matched.len().is_multiple_of(2) && of_this_term {
                        handled.server.commit_index = half.max(handled.server.commit_index);
                    }
                },
                ..Fault::NONE
            },
        },
        reason: "Three of four elect, and any three share a server with any two: the quorums of elections and \
                 of commits need to overlap, not those of two commits. That what is committed is on a \
                 majority of disks does not hold then, and need not.",
    }
}

fn torn_vote() -> Equivalent {
    Equivalent {
        mutant: MutantSpec {
            name: "torn-vote",
            breaks: "STORE",
            caught_by: "Election Safety",
            seen_in: "hashicorp/raft#661",
            about: "Term and vote are two writes, and the answer leaves after both.",
            story: "S1 writes that it is in term 1 and crashes before it writes its vote for S0. After the \
                    restart it votes for S2 in term 1.",
            difference: "`save(term); save(vote); send(answer)`",
            spec: scenes::election(),
            fault: Fault {
                save: term_first,
                after: |handled| {
                    // A second answer is held back, too: the first may still be waiting for its write.
                    handled.commands.retain(|command| !is_vote(command));
                },
                flushed: |id, server| {
                    let term = server.persistent.current_term;
                    let (last_log_term, last_log_index) = server.persistent.log.last();
                    let args = RequestVote {
                        term,
                        last_log_index,
                        last_log_term,
                        leadership_transfer: false,
                    };
                    match (&server.role, server.persistent.voted_for) {
                        (Role::Candidate { .. }, _) => server
                            .members
                            .others(id)
                            .map(|peer| (peer, Message::RequestVote(args.clone())))
                            .collect(),
                        (Role::Follower { .. }, Some(candidate)) if candidate != id => {
                            let answer = RequestVoteResponse { term, vote_granted: true };
                            vec![(candidate, Message::RequestVoteResponse(answer))]
                        }
                        _ => Vec::new(),
                    }
                },
                ..Fault::NONE
            },
        },
        reason: "A vote that was not written has not been sent either, so nobody has counted it: the server \
                 casts it once, after the restart.",
    }
}

fn later_term_ignored() -> Equivalent {
    Equivalent {
        mutant: MutantSpec {
            name: "later-term-ignored",
            breaks: "ALL-2",
            caught_by: "Recoverability",
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
        },
        reason: "It only delays: requests still carry terms, and the next election brings one to the leader that does \
                 not listen. It matters where a leader keeps others from standing, or answers by a lease.",
    }
}

fn acknowledgements_forgotten() -> Equivalent {
    Equivalent {
        mutant: MutantSpec {
            name: "acknowledgements-forgotten",
            breaks: "LDR-3a",
            caught_by: "Recoverability",
            seen_in: "jgroups-extras/jgroups-raft#122",
            about: "An entry that is acknowledged as already there is not counted.",
            story: "S1 has the entry since a former leader sent it. S0 sends it again; S1 finds that it has it \
                and says so in a way that S0 does not count. The entry is on a majority and never committed.",
            difference: "a follower acknowledges only entries that it has just appended",
            spec: scenes::leader_change(),
            fault: Fault {
                after: |handled| {
                    let nothing_new =
                        handled.before.persistent.log == handled.server.persistent.log;
                    if handled.accepted().is_some() && nothing_new {
                        handled.answer(Outcome::Match(Index(0)));
                    }
                },
                ..Fault::NONE
            },
        },
        reason: "It only delays: the next leader has a no-op of its own, which no follower has, and with that \
                 everything before it is committed.",
    }
}

/// Whether the command sends a vote or a request for one.
fn is_vote(command: &ServerCommand<Kv>) -> bool {
    match command {
        Command::Send(_, Message::RequestVote(_)) => true,
        Command::Send(_, Message::RequestVoteResponse(response)) => response.vote_granted,
        _ => false,
    }
}

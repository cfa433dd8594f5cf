//! Changes that look like bugs, were bugs elsewhere, and break nothing here.

use super::persistence::term_first;
use super::scenes;
use super::wrapper::ServerCommand;
use super::{Equivalent, Fault, MutantSpec};
use crate::models::spec::Spec;
use crate::raft::{Message, Outcome, RequestVote, RequestVoteResponse, Role};
use stateright::actor::Command;

pub(super) fn list() -> Vec<Equivalent> {
    vec![
        commit_clamped_to_own_log(),
        ack_own_last_index(),
        commit_by_half(),
        torn_vote(),
        vote_leaves_timer(),
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
                 the diverging tail and cuts it off.",
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
            spec: Spec { max_term: 2, watch: scenes::COMMITS, ..scenes::election_of_four() },
            fault: Fault {
                after: |handled| {
                    let Role::Leader { match_index, .. } = &handled.server.role else { return };
                    let log = &handled.server.persistent.log;
                    let mut matched: Vec<_> = match_index.values().copied().collect();
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
                 of commits need to overlap, not those of two commits.",
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
                    // Also a second answer: the first may still be waiting for its write.
                    handled.commands.retain(|command| !is_vote(command));
                },
                flushed: |config, id, server| {
                    let term = server.persistent.current_term;
                    let (last_log_term, last_log_index) = server.persistent.log.last();
                    let args = RequestVote { term, last_log_index, last_log_term };
                    match (&server.role, server.persistent.voted_for) {
                        (Role::Candidate { .. }, _) => config
                            .peers(id)
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

fn vote_leaves_timer() -> Equivalent {
    Equivalent {
        mutant: MutantSpec {
            name: "vote-leaves-timer",
            breaks: "FOL-2",
            caught_by: "One timer is armed",
            seen_in: "ktoso/akka-raft#43",
            about: "A server that votes does not start its election timeout anew.",
            story: "S1 votes for S0 just before its own timeout. It stands for election at once, in the next \
                    term, and the candidate it has voted for loses what it was about to win.",
            difference: "a granted vote leaves the election timer as it is",
            spec: scenes::election(),
            fault: Fault {
                after: |handled| {
                    if handled.request_vote().is_some() && !handled.before.is_leader() {
                        let resets = |command: &_| matches!(command, Command::SetTimer(..));
                        handled.commands.retain(|command| !resets(command));
                    }
                },
                ..Fault::NONE
            },
        },
        reason: "In a model an armed timer may fire at any time, so it cannot be told whether it was started \
                 anew: this is about how long an election takes.",
    }
}

/// A vote, or the request for one.
fn is_vote(command: &ServerCommand) -> bool {
    match command {
        Command::Send(_, Message::RequestVote(_)) => true,
        Command::Send(_, Message::RequestVoteResponse(response)) => response.vote_granted,
        _ => false,
    }
}

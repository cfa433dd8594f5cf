//! Mutants of elections, terms and votes.

use super::scenes;
use super::{Arriving, Fault, Handled, MutantSpec};
use crate::kv::Kv;
use crate::models::spec::Spec;
use crate::raft::{AppendEntries, Message, Progress, RequestVoteResponse, Role, Server, Timer};
use stateright::actor::{Command, Id};

pub(super) fn list() -> Vec<MutantSpec> {
    vec![
        count_stale_vote(),
        count_duplicate_votes(),
        half_elects(),
        vote_for_stale_log(),
        vote_by_length(),
        refused_vote_is_kept(),
        vote_for_everybody(),
        vote_in_an_earlier_term(),
        self_vote_not_recorded(),
        vote_freed_by_a_leader(),
        vote_freed_by_stepping_down(),
        term_goes_backwards(),
        once_a_leader(),
        impersonated_leader(),
        reply_of_an_old_term(),
        election_timer_not_rearmed(),
        vote_leaves_timer(),
        candidate_ignores_leader(),
    ]
}

fn count_stale_vote() -> MutantSpec {
    MutantSpec {
        name: "count-stale-vote",
        breaks: "CAN-2",
        caught_by: "Election Safety",
        seen_in: "eatonphil/raft-rs#3",
        about: "A candidate counts a vote it was granted in an earlier term.",
        story: "S1 votes for S0 in term 1, but its answer is late. S1 stands in term 2 and is elected by \
                S2. S0 stands in term 2 as well; now the old answer arrives, and with it S0 believes \
                that it has a majority of term 2.",
        difference: "a granted vote counts whatever its term",
        spec: scenes::elections(),
        fault: Fault { before: as_of_this_term, ..Fault::NONE },
    }
}

fn as_of_this_term(arriving: &mut Arriving<'_>) {
    let (term, is_candidate) = (arriving.current_term(), is_candidate(arriving.server));
    if let Message::RequestVoteResponse(args) = &mut arriving.msg
        && args.vote_granted
        && is_candidate
    {
        args.term = args.term.max(term);
    }
}

fn is_candidate(server: &Server<Kv>) -> bool {
    matches!(server.role, Role::Candidate { .. })
}

fn count_duplicate_votes() -> MutantSpec {
    MutantSpec {
        name: "count-duplicate-votes",
        breaks: "CAN-2",
        caught_by: "Election Safety",
        seen_in: "ktoso/akka-raft#45",
        about: "A vote that arrives twice counts twice.",
        story: "Of four servers, S0 and S1 stand in term 1, and each gets one vote of another server. The \
                network delivers each answer twice. Both count three votes, and both lead term 1.",
        difference: "`votes_granted` is a number, not a set",
        spec: scenes::election_of_four(),
        fault: Fault { before: one_more_voter, ..Fault::NONE },
    }
}

/// Shows a second copy of a vote to the actor as the vote of a server that it has not counted yet.
fn one_more_voter(arriving: &mut Arriving<'_>) {
    let (servers, src) = (arriving.server.members.clone(), arriving.src);
    if let Some(votes) = arriving.votes_granted()
        && votes.contains(&src)
        && let Some(another) = servers.iter().find(|server| !votes.contains(server))
    {
        arriving.src = another;
    }
}

fn half_elects() -> MutantSpec {
    MutantSpec {
        name: "half-elects",
        breaks: "CAN-2",
        caught_by: "Election Safety",
        seen_in: "btmorr/leifdb#73",
        about: "Half of an even number of servers elects a leader.",
        story: "Of four servers, S0 and S1 stand in term 1. One other server votes for S0 and one for S1: \
                each has two votes of four, and takes that for a majority.",
        difference: "`2 * votes >= servers` instead of `2 * votes > servers`",
        spec: scenes::election_of_four(),
        fault: Fault {
            before: |arriving| {
                let (servers, src) = (arriving.server.members.clone(), arriving.src);
                if let Some(votes) = arriving.votes_granted() {
                    votes.insert(src);
                    if 2 * votes.len() == servers.len() {
                        votes.extend(servers.iter());
                    }
                }
            },
            ..Fault::NONE
        },
    }
}

fn vote_for_stale_log() -> MutantSpec {
    MutantSpec {
        name: "vote-for-stale-log",
        breaks: "RV-2",
        caught_by: "Leader Completeness",
        seen_in: "databendlabs/openraft#1220",
        about: "A candidate whose log lacks a committed entry is voted for and elected.",
        story: "S0 commits an entry with S1. S2, which has nothing, stands for election; S1 does not \
                compare the logs and votes for it. The new leader lacks a committed entry and will \
                overwrite it.",
        difference: "the candidate's log need not be as up-to-date as the voter's",
        spec: scenes::leader_change(),
        fault: Fault {
            after: |handled| {
                handled.vote(|voted_for, candidate, _| voted_for.is_none_or(|id| id == candidate));
            },
            ..Fault::NONE
        },
    }
}

fn vote_by_length() -> MutantSpec {
    MutantSpec {
        name: "vote-by-length",
        breaks: "RV-2",
        caught_by: "Leader Completeness",
        seen_in: "unshiftio/liferaft#6",
        about: "The longer log wins, whatever its last term.",
        story: "S0 has two entries of the terms 1 and 3 that it could not replicate. S2 leads term 4 and \
                commits its entry with S1. S0 stands in term 5, and S1 votes for it, because two entries \
                are more than one: the committed entry is not in the log of the new leader.",
        difference: "`last_log_index >= own.last_index()` instead of comparing the term first",
        spec: scenes::diverged(),
        fault: Fault {
            after: |handled| {
                let own = handled.before.persistent.log.last_index();
                handled.vote_by(free_and_up_to_date, |args| args.last_log_index >= own);
            },
            ..Fault::NONE
        },
    }
}

fn free_and_up_to_date(voted_for: Option<Id>, candidate: Id, up_to_date: bool) -> bool {
    up_to_date && voted_for.is_none_or(|id| id == candidate)
}

fn refused_vote_is_kept() -> MutantSpec {
    MutantSpec {
        name: "refused-vote-is-kept",
        breaks: "RV-2",
        caught_by: "Leader Completeness",
        seen_in: "databendlabs/databend#16175",
        about: "A later term is adopted together with its candidate, and counts as a vote for it.",
        story: "S2, whose log is behind, asks S1 for its vote in a later term. S1 takes term and candidate \
                over in one go and refuses because of the log. When the request arrives again, S1 finds \
                that it has already voted for S2 and says so; S2 is elected without a committed entry.",
        difference: "a later term sets `voted_for = candidate` before the logs are compared",
        spec: scenes::leader_change(),
        fault: Fault {
            after: |handled| {
                let Some((candidate, args)) = handled.request_vote() else { return };
                let is_later = args.term > handled.before.persistent.current_term;
                handled.vote(|voted_for, candidate, up_to_date| match voted_for {
                    Some(id) => id == candidate,
                    None => up_to_date,
                });
                if is_later {
                    handled.server.persistent.voted_for = Some(candidate);
                }
            },
            ..Fault::NONE
        },
    }
}

fn vote_for_everybody() -> MutantSpec {
    MutantSpec {
        name: "vote-for-everybody",
        breaks: "RV-2",
        caught_by: "One vote per term",
        seen_in: "ktoso/akka-raft#56",
        about: "A server does not ask whom it has voted for in this term.",
        story: "S0 and S1 both stand in term 1, so each has voted for itself. S1 receives the request of S0 \
                and grants it a second vote in the same term. A third server votes for both as well, and \
                two leaders are elected.",
        difference: "`voted_for` is not looked at",
        spec: scenes::votes(1),
        fault: Fault {
            after: |handled| handled.vote(|_, _, up_to_date| up_to_date),
            ..Fault::NONE
        },
    }
}

fn vote_in_an_earlier_term() -> MutantSpec {
    MutantSpec {
        name: "vote-in-an-earlier-term",
        breaks: "RV-1",
        caught_by: "Sends only what is durable",
        seen_in: "ktoso/akka-raft#55",
        about: "A candidate of an earlier term is given a vote of that term.",
        story: "S2 votes for S1 in term 1 and moves on to term 2, where it forgets that vote. Then the \
                request of S0, of term 1, arrives late. S2 grants it, in term 1: its second vote there.",
        difference: "`term < current_term` is not refused but answered in the candidate's term",
        spec: scenes::votes(2),
        fault: Fault {
            after: |handled| {
                let Some((_, Message::RequestVote(args))) = handled.event else { return };
                let is_earlier = args.term < handled.server.persistent.current_term;
                for command in &mut *handled.commands {
                    if let Command::Send(_, Message::RequestVoteResponse(response)) = command
                        && is_earlier
                    {
                        let term = args.term;
                        *response = RequestVoteResponse { term, vote_granted: true };
                    }
                }
            },
            ..Fault::NONE
        },
    }
}

fn self_vote_not_recorded() -> MutantSpec {
    MutantSpec {
        name: "self-vote-not-recorded",
        breaks: "CAN-1",
        caught_by: "Election Safety",
        seen_in: "daos-stack/raft#70",
        about: "A candidate counts its own vote, but does not record that it has cast it.",
        story: "S0 and S1 stand in term 1 and each counts itself. Each then receives the other's request, \
                finds its vote still free and grants it. Two votes each: both lead term 1.",
        difference: "`voted_for` stays empty at the start of an election",
        spec: Spec { restarts: false, ..scenes::election() },
        fault: Fault {
            after: |handled| {
                if handled.event.is_none() && is_candidate(handled.server) {
                    handled.server.persistent.voted_for = None;
                }
            },
            ..Fault::NONE
        },
    }
}

fn vote_freed_by_a_leader() -> MutantSpec {
    MutantSpec {
        name: "vote-freed-by-a-leader",
        breaks: "CAN-3",
        caught_by: "Election Safety",
        seen_in: "camunda/camunda#5356",
        about: "Whoever learns who leads forgets its vote of that term.",
        story: "S2 votes for S0 in term 2, and S0 leads. Its first AppendEntries does not fit the empty log \
                of S2, but S2 learns who leads and clears its vote. S1, also a candidate of term 2, asks \
                S2 and is granted the vote again.",
        difference: "`voted_for = None` when a leader becomes known",
        spec: Spec { watch: scenes::ELECTIONS, ..scenes::led_alone() },
        fault: Fault {
            after: |handled| {
                let known = matches!(handled.server.role, Role::Follower { leader: Some(_), .. });
                if known && handled.before.role != handled.server.role {
                    handled.server.persistent.voted_for = None;
                }
            },
            ..Fault::NONE
        },
    }
}

fn vote_freed_by_stepping_down() -> MutantSpec {
    MutantSpec {
        name: "vote-freed-by-stepping-down",
        breaks: "CAN-3",
        caught_by: "Durable vote is kept",
        seen_in: "xnnyygn/xraft#29",
        about: "A candidate that finds a leader of its own term forgets that it voted for itself.",
        story: "S0 and S1 stand in term 1, and S0 is elected. S1 hears of it, becomes a follower and \
                clears `voted_for`. It could now vote for a third candidate of term 1, though its own \
                vote has been counted: with five servers that elects a second leader.",
        difference: "`voted_for = None` when a candidate becomes a follower in the same term",
        spec: Spec { restarts: false, ..scenes::election() },
        fault: Fault {
            after: |handled| {
                let follows = matches!(handled.server.role, Role::Follower { leader: Some(_), .. });
                if is_candidate(handled.before) && follows {
                    handled.server.persistent.voted_for = None;
                }
            },
            ..Fault::NONE
        },
    }
}

fn term_goes_backwards() -> MutantSpec {
    MutantSpec {
        name: "term-goes-backwards",
        breaks: "ALL-2",
        caught_by: "Durable term is monotone",
        seen_in: "eliben/raft#14",
        about: "The term of a message is adopted even if it is an earlier one.",
        story: "S1 is in term 2 when a message of term 1 arrives late. It becomes a follower of term 1, its \
                vote of term 2 forgotten. It will meet term 2 again and vote there a second time.",
        difference: "`term != current_term` instead of `term > current_term`",
        spec: scenes::elections(),
        fault: Fault {
            before: |arriving| {
                let current_term = arriving.current_term();
                if let Some(term) = arriving.term().filter(|term| *term < current_term) {
                    arriving.server.persistent.current_term = term;
                    arriving.server.persistent.voted_for = None;
                    arriving.server.role = Role::follower(None);
                }
            },
            ..Fault::NONE
        },
    }
}

fn once_a_leader() -> MutantSpec {
    MutantSpec {
        name: "once-a-leader",
        breaks: "ALL-2",
        caught_by: "Election Safety",
        seen_in: "willemt/raft#10",
        about: "A leader that hears of a later term adopts it and goes on leading.",
        story: "S0 leads term 1. S1 stands in term 2 and asks it for a vote. S0 adopts term 2, answers, and \
                keeps sending AppendEntries, now of term 2. S1 is elected by S2: two leaders of term 2.",
        difference: "a later term changes `current_term`, not the role",
        spec: scenes::elections(),
        fault: Fault {
            after: |handled| {
                let is_vote = matches!(handled.event, Some((_, Message::RequestVote(_))));
                if is_vote && handled.before.is_leader() {
                    handled.server.role = handled.before.role.clone();
                    keep_timers(handled);
                }
            },
            ..Fault::NONE
        },
    }
}

fn keep_timers(handled: &mut Handled<'_>) {
    handled
        .commands
        .retain(|command| !matches!(command, Command::SetTimer(..) | Command::CancelTimer(_)));
}

fn impersonated_leader() -> MutantSpec {
    MutantSpec {
        name: "impersonated-leader",
        breaks: "ALL-2",
        caught_by: "Committed is durable",
        seen_in: "nats-io/nats-server#7297",
        about: "A leader that steps down sends once more, stamped with the term it has just learnt.",
        story: "S0 leads term 1 and has an entry of its own. S1 leads term 2 and has committed another one \
                with S2. S0 hears of term 2 while it is sending: its AppendEntries carry its own entries \
                and the new term. S2 takes them for those of its leader and drops the committed entry.",
        difference: "AppendEntries on the way out get the term of after stepping down",
        spec: scenes::deposed(),
        fault: Fault { after: send_once_more, ..Fault::NONE },
    }
}

fn send_once_more(handled: &mut Handled<'_>) {
    let Some(leader) = handled.before.leader() else { return };
    if handled.server.is_leader() {
        return;
    }
    let log = &handled.before.persistent.log;
    for (peer, Progress { next_index: next, .. }) in &leader.followers {
        let args = AppendEntries {
            term: handled.server.persistent.current_term,
            prev_log_index: next.prev(),
            prev_log_term: log.term(next.prev()).unwrap_or_default(),
            entries: log.entries_from(
                *next,
                handled.parameters.max_entries,
                handled.parameters.max_bytes,
            ),
            leader_commit: handled.before.commit_index,
            round: leader.round,
        };
        handled.commands.push(Command::Send(*peer, Message::AppendEntries(args)));
    }
}

fn reply_of_an_old_term() -> MutantSpec {
    MutantSpec {
        name: "reply-of-an-old-term",
        breaks: "RV-1",
        caught_by: "Sends only what is durable",
        seen_in: "nats-io/nats-server#5021",
        about: "A vote is granted with the term of before the request was adopted.",
        story: "S0 asks for votes in term 1. S1 adopts term 1 and votes for S0, but fills the answer with \
                the term it had before. S0 takes the vote for an old one and ignores it: nobody is elected.",
        difference: "the response is filled before the term is updated",
        spec: Spec { restarts: false, ..scenes::election() },
        fault: Fault {
            after: |handled| {
                let term = handled.before.persistent.current_term;
                for command in &mut *handled.commands {
                    if let Command::Send(_, Message::RequestVoteResponse(response)) = command {
                        response.term = term;
                    }
                }
            },
            ..Fault::NONE
        },
    }
}

fn election_timer_not_rearmed() -> MutantSpec {
    MutantSpec {
        name: "election-timer-not-rearmed",
        breaks: "CAN-1",
        caught_by: "Timers suit the role",
        seen_in: "stateright/stateright examples/raft.rs",
        about: "A candidate does not arm its timer again.",
        story: "S0 stands for election, and its timer has fired. The votes are split or lost. Nothing will \
                ever make S0 stand again; when this has happened to all, the cluster is dead.",
        difference: "the start of an election leaves the election timer unarmed",
        spec: Spec { restarts: false, ..scenes::election() },
        fault: Fault {
            after: |handled| {
                if handled.event.is_none() && is_candidate(handled.server) {
                    handled.commands.retain(|command| {
                        !matches!(command, Command::SetTimer(Timer::Election, _))
                    });
                }
            },
            ..Fault::NONE
        },
    }
}

fn vote_leaves_timer() -> MutantSpec {
    MutantSpec {
        name: "vote-leaves-timer",
        breaks: "FOL-2",
        caught_by: "Election timer is restarted by rule",
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
    }
}

fn candidate_ignores_leader() -> MutantSpec {
    MutantSpec {
        name: "candidate-ignores-leader",
        breaks: "CAN-3",
        caught_by: "Election timer is restarted by rule",
        seen_in: "komamitsu/oraft#30",
        about: "A candidate does not follow a leader of its own term.",
        story: "S0 and S1 stand in term 1, and S0 is elected. S1 drops what S0 sends, since it is itself a \
                candidate, and stands again in term 2, which ends the reign of S0.",
        difference: "a candidate handles AppendEntries of later terms only",
        spec: scenes::replication(),
        fault: Fault {
            before: |arriving| {
                let of_leader = matches!(arriving.msg, Message::AppendEntries(_));
                let same_term = arriving.term() == Some(arriving.current_term());
                arriving.dropped = is_candidate(arriving.server) && of_leader && same_term;
            },
            ..Fault::NONE
        },
    }
}

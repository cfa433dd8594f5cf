//! Mutants of the rules against disturbing elections.

use super::scenes;
use super::{Fault, Handled, MutantSpec};
use crate::kv::Kv;
use crate::raft::{
    Message, PreVote, PreVoteResponse, RequestVoteResponse, Role, Server, Term, Timer,
};
use actorcheck::RECOVERABILITY;
use stateright::actor::{Command, Id};

pub(super) fn list() -> Vec<MutantSpec> {
    vec![
        pre_vote_counts_as_vote(),
        pre_vote_is_cast(),
        pre_vote_restarts_the_timer(),
        pre_vote_for_stale_log(),
        pre_vote_teaches_no_term(),
        pre_vote_of_another_term(),
        pre_candidate_clings_to_its_leader(),
        pre_candidate_asks_once(),
        no_check_quorum(),
        pre_vote_without_check_quorum(),
        check_quorum_never_forgets(),
        check_quorum_counts_late_answers(),
        sticky_server_votes(),
        sticky_server_adopts_the_term(),
    ]
}

/// The pre-vote that was handled, with its sender.
fn asked<'h>(handled: &Handled<'h>) -> Option<(Id, &'h PreVote)> {
    match handled.event {
        Some((src, Message::PreVote(args))) => Some((src, args)),
        _ => None,
    }
}

/// The answer to a pre-vote among the outputs.
fn answer<'h>(handled: &'h mut Handled<'_>) -> Option<&'h mut PreVoteResponse> {
    handled.commands.iter_mut().find_map(|command| match command {
        Command::Send(_, Message::PreVoteResponse(args)) => Some(args),
        _ => None,
    })
}

fn is_asking(server: &Server<Kv>) -> bool {
    matches!(server.role, Role::PreCandidate { .. })
}

fn pre_vote_counts_as_vote() -> MutantSpec {
    MutantSpec {
        name: "pre-vote-counts-as-vote",
        breaks: "CAN-2",
        caught_by: "Election Safety",
        seen_in: "canonical/raft#196",
        about: "A candidate takes a late pre-vote for a vote.",
        story: "S0 has a pre-vote of S1 and stands for election in term 1. The pre-vote of S2 comes late, and S0 \
                counts it as a vote. S1 and S2 have not voted, and elect another leader of term 1.",
        difference: "the message of a granted pre-vote looks like that of a vote",
        spec: scenes::pre_votes(),
        fault: Fault {
            before: |arriving| {
                let term = arriving.server.persistent.current_term;
                if let Message::PreVoteResponse(args) = &arriving.msg
                    && (args.next_term, args.pre_vote_granted) == (term, true)
                    && matches!(arriving.server.role, Role::Candidate { .. })
                {
                    let vote = RequestVoteResponse { term, vote_granted: true };
                    arriving.msg = Message::RequestVoteResponse(vote);
                }
            },
            ..Fault::NONE
        },
    }
}

fn pre_vote_is_cast() -> MutantSpec {
    MutantSpec {
        name: "pre-vote-is-cast",
        breaks: "PV-2",
        caught_by: "Elections follow pre-votes",
        seen_in: "apache/ratis#161",
        about: "A server that grants a pre-vote enters the term and records a vote.",
        story: "S0 asks for pre-votes. S1 grants one, enters term 1 and has voted. Whoever asks makes the terms grow, \
                though nobody stands for election.",
        difference: "a granted pre-vote sets `current_term` and `voted_for`",
        spec: scenes::pre_votes(),
        fault: Fault {
            after: |handled| {
                let Some((src, args)) = asked(handled) else { return };
                let next_term = args.next_term;
                if answer(handled).is_some_and(|answer| answer.pre_vote_granted) {
                    handled.server.persistent.current_term = next_term;
                    handled.server.persistent.voted_for = Some(src);
                }
            },
            ..Fault::NONE
        },
    }
}

fn pre_vote_restarts_the_timer() -> MutantSpec {
    MutantSpec {
        name: "pre-vote-restarts-the-timer",
        breaks: "PV-2",
        caught_by: "Election timer is restarted by rule",
        seen_in: "hashicorp/raft@42d3446",
        about: "A server that grants a pre-vote starts its election timeout anew.",
        story: "S0 can send and not hear. It asks for pre-votes again and again, and keeps S1 from standing.",
        difference: "a granted pre-vote resets the election timer",
        spec: scenes::pre_votes(),
        fault: Fault {
            after: |handled| {
                let range = handled.parameters.election_timeout.clone();
                if answer(handled).is_some_and(|answer| answer.pre_vote_granted) {
                    handled.commands.push(Command::SetTimer(Timer::Election, range));
                }
            },
            ..Fault::NONE
        },
    }
}

fn pre_vote_for_stale_log() -> MutantSpec {
    MutantSpec {
        name: "pre-vote-for-stale-log",
        breaks: "PV-2",
        caught_by: "Elections follow pre-votes",
        seen_in: "ongardie/dissertation, section 9.6",
        about: "A server grants a pre-vote without a look at the log of the one that asks.",
        story: "S2 lacks the entry of S0 and S1. It gets their pre-votes and stands for an election that it cannot \
                win. So it deposes S0.",
        difference: "the logs are not compared",
        spec: scenes::pre_votes(),
        fault: Fault {
            after: |handled| {
                let term = handled.before.persistent.current_term;
                if let Some(answer) = answer(handled) {
                    answer.pre_vote_granted = answer.next_term > term;
                }
            },
            ..Fault::NONE
        },
    }
}

fn pre_vote_teaches_no_term() -> MutantSpec {
    MutantSpec {
        name: "pre-vote-teaches-no-term",
        breaks: "PV-2",
        caught_by: RECOVERABILITY,
        seen_in: "databendlabs/openraft#1796",
        about: "A server does not adopt the later term of one that refuses its pre-vote.",
        story: "S0 has led term 1, which left it an entry, and has restarted. S1 has heard of term 2 and lacks the entry. S1 refuses S0, whose \
                term is too early, and S0 refuses S1, whose log is behind. It stays so for ever.",
        difference: "the term of a refused pre-vote is not adopted",
        spec: scenes::pre_votes_of_two_terms(),
        fault: Fault {
            before: |arriving| {
                let term = arriving.server.persistent.current_term;
                if let Message::PreVoteResponse(args) = &mut arriving.msg {
                    args.term = args.term.min(term);
                }
            },
            ..Fault::NONE
        },
    }
}

fn pre_vote_of_another_term() -> MutantSpec {
    MutantSpec {
        name: "pre-vote-of-another-term",
        breaks: "PV-3",
        caught_by: "Elections follow pre-votes",
        seen_in: "ongardie/dissertation, section 9.6",
        about: "The term of a pre-vote is not compared.",
        story: "S0 was granted a pre-vote about term 1. Now it asks about term 2, and a copy of the old answer counts.",
        difference: "`next_term` of the answer is not compared",
        spec: scenes::pre_votes_of_two_terms(),
        fault: Fault {
            before: |arriving| {
                let next_term = arriving.server.persistent.current_term.next();
                if let Message::PreVoteResponse(args) = &mut arriving.msg {
                    args.next_term = next_term;
                }
            },
            ..Fault::NONE
        },
    }
}

fn pre_candidate_clings_to_its_leader() -> MutantSpec {
    MutantSpec {
        name: "pre-candidate-clings-to-its-leader",
        breaks: "STICK-1",
        caught_by: RECOVERABILITY,
        seen_in: "tikv/raft-rs#84",
        about: "A server that asks for pre-votes still counts as one that hears its leader.",
        story: "The leader has stopped. S0 and S1 ask for pre-votes, and each refuses the other because of the leader \
                that it had.",
        difference: "a pre-candidate grants no pre-vote",
        spec: scenes::pre_votes(),
        fault: Fault {
            after: |handled| {
                if is_asking(handled.before)
                    && let Some(answer) = answer(handled)
                {
                    answer.pre_vote_granted = false;
                }
            },
            ..Fault::NONE
        },
    }
}

fn pre_candidate_asks_once() -> MutantSpec {
    MutantSpec {
        name: "pre-candidate-asks-once",
        breaks: "PV-1",
        caught_by: "Timers suit the role",
        seen_in: "databendlabs/openraft#1838",
        about: "A server that asks for pre-votes draws no new election timeout.",
        story: "S0 asks for pre-votes, and its timer has fired. The answers are lost, and nothing makes S0 ask again.",
        difference: "the start of a pre-vote leaves the election timer unarmed",
        spec: scenes::pre_votes(),
        fault: Fault {
            after: |handled| {
                if handled.event.is_none() && is_asking(handled.server) {
                    handled.commands.retain(|command| {
                        !matches!(command, Command::SetTimer(Timer::Election, _))
                    });
                }
            },
            ..Fault::NONE
        },
    }
}

/// A leader believes that it has heard from everybody.
const CERTAIN: Fault = Fault {
    before: |_| {},
    after: |handled| {
        let (before, server) = (handled.before, &mut *handled.server);
        let same_term = before.persistent.current_term == server.persistent.current_term;
        if before.is_leader() && !server.is_leader() && same_term && handled.event.is_none() {
            server.role = before.role.clone();
            let range = handled.parameters.election_timeout.clone();
            *handled.commands = vec![Command::SetTimer(Timer::Election, range)];
        }
    },
    ..Fault::NONE
};

fn no_check_quorum() -> MutantSpec {
    MutantSpec {
        name: "no-check-quorum",
        breaks: "CQ-1",
        caught_by: RECOVERABILITY,
        seen_in: "databendlabs/openraft#2080",
        about: "A leader that hears no majority leads on.",
        story: "S0 leads and can send, but hears nobody. Its heartbeats keep S1 and S2 from standing, and it can commit \
                nothing, for as long as the cut lasts.",
        difference: "the leader never steps down by itself",
        spec: scenes::find_model("one-way-cut"),
        fault: CERTAIN,
    }
}

fn pre_vote_without_check_quorum() -> MutantSpec {
    MutantSpec {
        name: "pre-vote-without-check-quorum",
        breaks: "CQ-1",
        caught_by: RECOVERABILITY,
        seen_in: "decentralizedthoughts/decentralizedthoughts.github.io, raft-liveness-full-omission",
        about: "A leader that reaches only the hub of the network leads on.",
        story: "S0 leads, and only S1 reaches everybody. S1 hears S0 and does not stand. S2 and S3 reach S1 only, and \
                get no majority of pre-votes. Without pre-votes their later term would free S1.",
        difference: "the leader never steps down by itself",
        spec: scenes::find_model("bridge"),
        fault: CERTAIN,
    }
}

fn check_quorum_never_forgets() -> MutantSpec {
    MutantSpec {
        name: "check-quorum-never-forgets",
        breaks: "CQ-1",
        caught_by: "Leaders hear a majority",
        seen_in: "ongardie/dissertation, section 6.2",
        about: "A leader does not forget whom it heard before its last look.",
        story: "S0 leads and has heard from S1. Its election timer fires twice, and meanwhile nobody has answered. S0 \
                leads on.",
        difference: "`is_heard` stays set",
        spec: scenes::heard(),
        fault: Fault {
            after: |handled| {
                let Some(old) = handled.before.leader().cloned() else { return };
                if let Role::Leader(new) = &mut handled.server.role {
                    for (id, progress) in &mut new.followers {
                        progress.is_heard |= old.followers[id].is_heard;
                    }
                }
            },
            ..Fault::NONE
        },
    }
}

fn check_quorum_counts_late_answers() -> MutantSpec {
    MutantSpec {
        name: "check-quorum-counts-late-answers",
        breaks: "CQ-1",
        caught_by: "Leaders hear a majority",
        seen_in: "ongardie/dissertation, section 6.2",
        about: "A leader counts an answer of an earlier term as a sign of life.",
        story: "S0 led term 1 and leads term 2. An answer of S1 to S0 in term 1 comes late. S0 takes it for a sign that \
                S1 follows.",
        difference: "`is_heard` is set before the terms are compared",
        spec: scenes::heard(),
        fault: Fault {
            after: |handled| {
                let Some((src, Message::AppendEntriesResponse(_))) = handled.event else { return };
                if let Role::Leader(leader) = &mut handled.server.role
                    && let Some(progress) = leader.followers.get_mut(&src)
                {
                    progress.is_heard = true;
                }
            },
            ..Fault::NONE
        },
    }
}

fn sticky_server_votes() -> MutantSpec {
    MutantSpec {
        name: "sticky-server-votes",
        breaks: "STICK-1",
        caught_by: "Leaders in touch stay",
        seen_in: "microsoft/CCF#2456",
        about: "A follower that hears its leader votes for a candidate with a later term.",
        story: "S0 leads, and S1 has just heard from it. S2 comes back and stands for election. S1 votes for S2, and S0 \
                is deposed without need.",
        difference: "a vote is granted whoever was heard",
        spec: scenes::sticky(),
        fault: Fault {
            before: |arriving| {
                if let Message::RequestVote(_) = arriving.msg
                    && let Role::Follower { is_sticky, .. } = &mut arriving.server.role
                {
                    *is_sticky = false;
                }
            },
            ..Fault::NONE
        },
    }
}

fn sticky_server_adopts_the_term() -> MutantSpec {
    MutantSpec {
        name: "sticky-server-adopts-the-term",
        breaks: "STICK-1",
        caught_by: "Leaders in touch stay",
        seen_in: "ongardie/dissertation, section 4.2.3",
        about: "A follower that hears its leader grants no vote, but adopts the later term.",
        story: "S0 leads, and S1 has just heard from it. S2 stands for election in term 2. S1 does not vote for S2 and \
                moves to term 2. Its next answer deposes S0.",
        difference: "the term is adopted before the request is ignored",
        spec: scenes::sticky(),
        fault: Fault {
            after: |handled| {
                let later = |term: Term| term > handled.before.persistent.current_term;
                if let Some((_, Message::RequestVote(args))) = handled.event
                    && later(args.term)
                    && handled.server == handled.before
                    && !handled.server.is_leader()
                {
                    handled.server.persistent.current_term = args.term;
                    handled.server.persistent.voted_for = None;
                    handled.server.role = Role::follower(None);
                    handled.commands.push(Command::CancelTimer(Timer::Stickiness));
                }
            },
            ..Fault::NONE
        },
    }
}

//! Mutants of reads that name no log entry.

use super::scenes;
use super::{Fault, Handled, MutantSpec};
use crate::kv::Kv;
use crate::raft::{ClientRequest, ClientResponse, Leader, Message, Read, Role, Server};
use crate::state_machine::StateMachine;
use stateright::actor::{Command, Id};

pub(super) fn list() -> Vec<MutantSpec> {
    vec![
        read_without_round(),
        read_joins_the_round(),
        round_not_compared(),
        own_answer_counted_twice(),
        read_before_the_first_entry(),
        round_of_an_earlier_term(),
        round_starts_over(),
        reads_kept_by_who_steps_down(),
    ]
}

/// What a leader knows, if the server leads.
fn leader(server: &mut Server<Kv>) -> Option<&mut Leader<Kv>> {
    match &mut server.role {
        Role::Leader(leader) => Some(leader),
        _ => None,
    }
}

/// Makes the leader answer every read that `is_due`, whatever the rules say.
fn answer(handled: &mut Handled<'_>, is_due: impl Fn(&Read) -> bool) {
    let machine = handled.server.machine.clone();
    let Some(leader) = leader(handled.server) else { return };
    let (due, waiting) = leader.reads.drain(..).partition::<Vec<_>, _>(|read| is_due(read));
    leader.reads = waiting;
    for Read { client, sequence, query, .. } in due {
        let response = ClientResponse::Read { sequence, response: machine.query(&query) };
        handled.commands.push(Command::Send(client, Message::ClientResponse(response)));
    }
}

/// The read that the server has just received, if it has.
fn has_come(handled: &Handled<'_>) -> Option<(Id, u64)> {
    match handled.event {
        Some((client, Message::ClientRequest(ClientRequest::Read { sequence, .. }))) => {
            Some((client, *sequence))
        }
        _ => None,
    }
}

fn read_without_round() -> MutantSpec {
    MutantSpec {
        name: "read-without-round",
        breaks: "READ-2",
        caught_by: "Linearizability",
        seen_in: "ongardie/dissertation, section 6.4",
        about: "A leader answers a read at once.",
        story: "S1 leads term 2 and has executed the command of C3. S0 still believes that it leads, \
                and answers the next read of C3 from its old state.",
        difference: "the read is served when it comes",
        spec: scenes::find_model("read-deposed"),
        fault: Fault { after: |handled| answer(handled, |_| true), ..Fault::NONE },
    }
}

fn read_joins_the_round() -> MutantSpec {
    MutantSpec {
        name: "read-joins-the-round",
        breaks: "READ-2",
        caught_by: "Reads wait for a round",
        seen_in: "ongardie/dissertation, section 6.4",
        about: "A read that comes while a round is under way is served by that round.",
        story: "S0 has begun a round for a read of C3, and S1 has answered it. Then a read of C4 \
                comes. That answer may be older than a later leader, but S0 answers both reads by it.",
        difference: "`round: leader.round` while a round is under way",
        spec: scenes::find_model("read-rounds"),
        fault: Fault {
            after: |handled| {
                if let Some(leader) = leader(handled.server) {
                    let round = leader.round;
                    for read in &mut leader.reads {
                        read.round = read.round.min(round);
                    }
                }
            },
            ..Fault::NONE
        },
    }
}

fn round_not_compared() -> MutantSpec {
    MutantSpec {
        name: "round-not-compared",
        breaks: "READ-2",
        caught_by: "Reads wait for a round",
        seen_in: "etcd-io/etcd#20418",
        about: "Any answer of a follower counts for the present round.",
        story: "S1 has acknowledged an entry. Then the read comes, and S0 begins a round. The \
                acknowledgement arrives, and S0 takes it for an answer to the round.",
        difference: "`progress.round = leader.round` for every answer",
        spec: scenes::find_model("read"),
        fault: Fault {
            before: |arriving| {
                let round = arriving.server.leader().map_or(0, |leader| leader.round);
                if let Message::AppendEntriesResponse(args) = &mut arriving.msg {
                    args.round = round;
                }
            },
            ..Fault::NONE
        },
    }
}

fn own_answer_counted_twice() -> MutantSpec {
    MutantSpec {
        name: "own-answer-counted-twice",
        breaks: "READ-2",
        caught_by: "Linearizability",
        seen_in: "ongardie/dissertation, section 6.4",
        about: "A leader counts itself twice among those that have answered a round.",
        story: "S0 has been deposed, and nobody answers its round. It counts itself twice, which \
                makes two of three, and answers the read from its old state.",
        difference: "the leader's own round counts twice",
        spec: scenes::find_model("read-deposed"),
        fault: Fault {
            after: |handled| {
                let members = handled.server.members.len();
                let applied = handled.server.last_applied;
                let Some(leader) = handled.server.leader() else { return };
                let answered = |round: u64| {
                    let followers = leader.followers.values().filter(|it| it.round >= round);
                    2 + followers.count() > members / 2
                };
                let begun = leader.round;
                let rounds: Vec<u64> = (0..=begun).filter(|round| answered(*round)).collect();
                answer(handled, |read| rounds.contains(&read.round) && read.index <= applied);
            },
            ..Fault::NONE
        },
    }
}

fn read_before_the_first_entry() -> MutantSpec {
    MutantSpec {
        name: "read-before-the-first-entry",
        breaks: "READ-1",
        caught_by: "Linearizability",
        seen_in: "etcd-io/etcd#7331",
        about: "A new leader answers reads before an entry of its term is committed.",
        story: "S0 has executed a command. S1 holds it and is elected, but does not know yet that it \
                is committed. A majority answers its round, and S1 answers the read without the \
                command.",
        difference: "`index: commit_index`",
        spec: scenes::read_after_election(),
        fault: Fault {
            after: |handled| {
                let (came, commit) = (has_come(handled), handled.server.commit_index);
                if let Some(leader) = leader(handled.server) {
                    for read in &mut leader.reads {
                        if came == Some((read.client, read.sequence)) {
                            read.index = commit;
                        }
                    }
                }
            },
            ..Fault::NONE
        },
    }
}

fn round_of_an_earlier_term() -> MutantSpec {
    MutantSpec {
        name: "round-of-an-earlier-term",
        breaks: "READ-2",
        caught_by: "Reads wait for a round",
        seen_in: "hashicorp/raft#666",
        about: "An answer of an earlier term counts for a round of this one.",
        story: "S1 has answered round 1 of S0 in term 1. S0 leads term 2 and has begun its round 1 \
                there. The old answer arrives, and S0 counts it.",
        difference: "the term of an answer is not compared before its round counts",
        spec: scenes::read_of_two_terms(),
        fault: Fault {
            after: |handled| {
                let Some((follower, Message::AppendEntriesResponse(args))) = handled.event else {
                    return;
                };
                if args.term >= handled.before.persistent.current_term {
                    return;
                }
                if let Some(leader) = leader(handled.server) {
                    let round = args.round.min(leader.round);
                    if let Some(progress) = leader.followers.get_mut(&follower) {
                        progress.round = progress.round.max(round);
                    }
                }
                let majority = handled.server.members.majority();
                let Some(leader) = handled.server.leader() else { return };
                let answered = |round: u64| {
                    1 + leader.followers.values().filter(|it| it.round >= round).count() >= majority
                };
                let begun = leader.round;
                let rounds: Vec<u64> = (0..=begun).filter(|round| answered(*round)).collect();
                let applied = handled.server.last_applied;
                answer(handled, |read| rounds.contains(&read.round) && read.index <= applied);
            },
            ..Fault::NONE
        },
    }
}

fn round_starts_over() -> MutantSpec {
    MutantSpec {
        name: "round-starts-over",
        breaks: "READ-2",
        caught_by: "Linearizability",
        seen_in: "etcd-io/etcd#20418",
        about: "A leader numbers its rounds from 1 again when no read waits.",
        story: "S0 has answered a read by its round 1. It is deposed and does not know it. A second \
                read comes, and S0 begins a round 1 once more. A late copy of an answer to the first \
                one confirms it.",
        difference: "`round = 0` once all reads are answered",
        spec: scenes::read_late_answer(),
        fault: Fault {
            after: |handled| {
                if let Some(leader) = leader(handled.server)
                    && leader.reads.is_empty()
                {
                    leader.round = 0;
                    for progress in leader.followers.values_mut() {
                        progress.round = 0;
                    }
                }
            },
            ..Fault::NONE
        },
    }
}

fn reads_kept_by_who_steps_down() -> MutantSpec {
    MutantSpec {
        name: "reads-kept-by-who-steps-down",
        breaks: "READ-3",
        caught_by: "Reads wait for a round",
        seen_in: "ongardie/dissertation, section 6.4",
        about: "A leader that steps down answers the reads that wait, instead of refusing them.",
        story: "S0 hears of term 2 while a read waits. S0 follows, and answers the read from its \
                state, which may lack what the new leader has committed.",
        difference: "the reads are answered when the leader steps down",
        spec: scenes::find_model("read-terms"),
        fault: Fault {
            after: |handled| {
                let Some(before) = handled.before.leader() else { return };
                if handled.server.is_leader() {
                    return;
                }
                for Read { client, sequence, query, .. } in &before.reads {
                    let response = handled.server.machine.query(query);
                    let response = ClientResponse::Read { sequence: *sequence, response };
                    let answer = Command::Send(*client, Message::ClientResponse(response));
                    handled.commands.push(answer);
                }
            },
            ..Fault::NONE
        },
    }
}

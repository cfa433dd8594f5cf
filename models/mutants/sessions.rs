//! Mutants of clients and sessions.
//!
//! Sessions and state machine are a function of the entries applied. The mutants here compute that function
//! anew by [`Rules`], one of which is wrong, and answer by the result.

use super::scenes::{self, advance, create, put};
use super::wrapper::ServerCommand;
use super::{Fault, Handled, MutantSpec};
use crate::kv::Kv;
use crate::models::spec::Spec;
use crate::raft::{ClientResponse, Entry, Index, Message, Payload};
use crate::state_machine::StateMachine;
use bytes::Bytes;
use stateright::actor::{Command, Id};
use std::collections::BTreeMap;

pub(super) fn list() -> Vec<MutantSpec> {
    vec![
        answer_before_commit(),
        answer_by_index(),
        no_deduplication(),
        answer_not_remembered(),
        deduplicate_by_number(),
        followers_forget(),
        old_number_applied(),
        implicit_session(),
        no_eviction(),
        early_eviction(),
        uncommitted_of_its_term(),
        uncommitted_bytes_not_counted(),
    ]
}

/// The replicated part of a server: its state machine and its sessions.
#[derive(Default)]
struct Replica {
    machine: Kv,
    sessions: BTreeMap<Index, Record>,
}

#[derive(Clone, Default)]
struct Record {
    last_used: Index,
    last: Option<(u64, Bytes)>,
}

/// One copy of a command.
struct Copy<'a> {
    index: Index,
    session: Index,
    sequence: u64,
    command: &'a [u8],
}

/// The rules by which entries are applied.
#[derive(Clone, Copy)]
struct Rules {
    open: fn(&mut Replica, Index, u32),
    command: fn(&mut Replica, &Copy<'_>) -> Option<ClientResponse>,
}

impl Rules {
    /// The right rules: SES-1 to SES-5.
    const RIGHT: Rules = Rules {
        open: |replica, index, max_sessions| {
            replica.evict(max_sessions.max(1) as usize);
            replica.insert(index);
        },
        command: |replica, copy| match replica.sessions.get(&copy.session).cloned() {
            None => Some(copy.expired()),
            Some(record) => match record.last {
                Some((last, _)) if copy.sequence < last => {
                    replica.touch(copy);
                    None
                }
                Some((last, response)) if copy.sequence == last => {
                    replica.touch(copy);
                    Some(copy.applied(response))
                }
                _ => Some(replica.execute(copy)),
            },
        },
    };

    /// Applies an entry. Returns the client to answer, and the answer.
    fn apply(
        self,
        replica: &mut Replica,
        index: Index,
        entry: &Entry,
    ) -> Option<(Id, ClientResponse)> {
        match &entry.payload {
            Payload::Noop => None,
            Payload::Register { client, sequence, max_sessions } => {
                (self.open)(replica, index, *max_sessions);
                let sequence = *sequence;
                Some((*client, ClientResponse::Registered { sequence, session: index }))
            }
            Payload::Command { client, session, sequence, command } => {
                let (session, sequence) = (*session, *sequence);
                let response =
                    (self.command)(replica, &Copy { index, session, sequence, command })?;
                Some((*client, response))
            }
        }
    }
}

impl Copy<'_> {
    fn expired(&self) -> ClientResponse {
        ClientResponse::SessionExpired { sequence: self.sequence }
    }

    fn applied(&self, response: Bytes) -> ClientResponse {
        ClientResponse::Applied { sequence: self.sequence, response }
    }
}

impl Replica {
    /// Makes room for one more session.
    fn evict(&mut self, max_sessions: usize) {
        while self.sessions.len() >= max_sessions {
            let oldest = self.sessions.iter().min_by_key(|(_, record)| record.last_used);
            let Some(oldest) = oldest.map(|(id, _)| *id) else { return };
            self.sessions.remove(&oldest);
        }
    }

    fn insert(&mut self, index: Index) {
        self.sessions.insert(index, Record { last_used: index, last: None });
    }

    /// The sequence number of the last command in the copy's session; `None` if the session is not known or
    /// has had no command.
    fn last(&self, copy: &Copy<'_>) -> Option<u64> {
        let record = self.sessions.get(&copy.session)?;
        record.last.as_ref().map(|(last, _)| *last)
    }

    fn touch(&mut self, copy: &Copy<'_>) {
        if let Some(record) = self.sessions.get_mut(&copy.session) {
            record.last_used = copy.index;
        }
    }

    /// Executes a command, and remembers it with its answer.
    fn execute(&mut self, copy: &Copy<'_>) -> ClientResponse {
        let response = self.machine.apply(copy.command);
        if let Some(record) = self.sessions.get_mut(&copy.session) {
            record.last_used = copy.index;
            record.last = Some((copy.sequence, response.clone()));
        }
        copy.applied(response)
    }
}

/// Whether a command of a server answers a request whose entry has been applied.
fn is_answer(command: &ServerCommand) -> bool {
    use ClientResponse::{Applied, Registered, SessionExpired};
    let Command::Send(_, Message::ClientResponse(response)) = command else { return false };
    matches!(response, Registered { .. } | Applied { .. } | SessionExpired { .. })
}

/// Applies the server's applied entries anew by `rules`, and answers by the result.
fn apply_by(handled: &mut Handled<'_>, rules: Rules) {
    let server = &*handled.server;
    let mut replica = Replica::default();
    let mut answers = Vec::new();
    let log = server.persistent.log.iter();
    for (index, entry) in log.take_while(|(index, _)| *index <= server.last_applied) {
        let answer = rules.apply(&mut replica, index, entry);
        let is_new = index > handled.before.last_applied;
        let is_own = server.is_leader() && entry.term == server.persistent.current_term;
        answers.extend(answer.filter(|_| is_new && is_own));
    }
    handled.server.machine = replica.machine;
    handled.commands.retain(|command| !is_answer(command));
    let send = |(client, response)| Command::Send(client, Message::ClientResponse(response));
    handled.commands.extend(answers.into_iter().map(send));
}

fn answer_before_commit() -> MutantSpec {
    MutantSpec {
        name: "answer-before-commit",
        breaks: "LDR-2",
        caught_by: "Linearizability",
        seen_in: "redpanda-data/redpanda#14794",
        about: "A leader answers a command when it is in its own log.",
        story: "S0 leads term 1 and does not know that S1 leads term 2. The client's put reaches one of \
                them, which appends it and answers. The client's next read reaches the other, which answers \
                as fast: nothing is there.",
        difference: "the response is sent on append, not on apply",
        spec: scenes::two_leaders(),
        fault: Fault {
            after: |handled| {
                let log = &handled.server.persistent.log;
                let is_request = matches!(handled.event, Some((_, Message::ClientRequest(_))));
                if !is_request || *log == handled.before.persistent.log {
                    return;
                }
                let mut replica = Replica::default();
                let answers =
                    log.iter().map(|(n, entry)| Rules::RIGHT.apply(&mut replica, n, entry));
                if let Some(Some((client, response))) = answers.last() {
                    handled.commands.push(Command::Send(client, Message::ClientResponse(response)));
                }
            },
            ..Fault::NONE
        },
    }
}

fn answer_by_index() -> MutantSpec {
    MutantSpec {
        name: "answer-by-index",
        breaks: "LDR-2",
        caught_by: "Linearizability",
        seen_in: "redpanda-data/redpanda#3003",
        about: "A client is answered when its index is committed, whoever's entry is there by then.",
        story: "S0 takes a put and remembers that the client of index 3 waits. S1 leads the next term and \
                commits its own entry at index 3. S0, a follower now, replaces the put, sees that index 3 \
                is committed and answers the client. The put is nowhere.",
        difference: "the term of the committed entry is not compared with the one that was appended",
        spec: scenes::taken(),
        fault: Fault { after: answer_who_waited, ..Fault::NONE },
    }
}

fn answer_who_waited(handled: &mut Handled<'_>) {
    let old = &handled.before.persistent.log;
    let committed = old.iter().filter(|(index, _)| {
        *index > handled.before.commit_index && *index <= handled.server.commit_index
    });
    for (index, entry) in committed {
        let replaced = handled.server.persistent.log.get(index) != Some(entry);
        if let (Payload::Command { client, sequence, command, .. }, true) =
            (&entry.payload, replaced)
        {
            let response = handled.server.machine.clone().apply(command);
            let response = ClientResponse::Applied { sequence: *sequence, response };
            handled.commands.push(Command::Send(*client, Message::ClientResponse(response)));
        }
    }
}

fn no_deduplication() -> MutantSpec {
    MutantSpec {
        name: "no-deduplication",
        breaks: "SES-4",
        caught_by: "Linearizability",
        seen_in: "etcd-io/etcd#18424",
        about: "A command that is sent again is executed again.",
        story: "The client creates x. It is done, but the answer is lost; the client asks again. The second \
                copy is executed as well and fails, because x exists. The client learns that its only \
                command did not take effect, and it did.",
        difference: "the sequence number is not looked at",
        spec: scenes::alone(vec![vec![create()]], 1),
        fault: Fault {
            after: |handled| {
                let command = |replica: &mut Replica, copy: &Copy<'_>| {
                    let known = replica.sessions.contains_key(&copy.session);
                    Some(if known { replica.execute(copy) } else { copy.expired() })
                };
                apply_by(handled, Rules { command, ..Rules::RIGHT });
            },
            ..Fault::NONE
        },
    }
}

fn answer_not_remembered() -> MutantSpec {
    MutantSpec {
        name: "answer-not-remembered",
        breaks: "SES-4",
        caught_by: "Linearizability",
        seen_in: "akiradeveloper/sorock#319",
        about: "A copy is recognised and not executed, but its answer is computed anew.",
        story: "The client creates x, and the answer is lost. The second copy is not executed. What it is \
                answered is what it would do now: x exists, so it fails. The client learns that its only \
                command did not take effect.",
        difference: "the session remembers the number and not the response",
        spec: scenes::alone(vec![vec![create()]], 1),
        fault: Fault {
            after: |handled| {
                let command = |replica: &mut Replica, copy: &Copy<'_>| {
                    let machine = replica.machine.clone();
                    if replica.last(copy) != Some(copy.sequence) {
                        return (Rules::RIGHT.command)(replica, copy);
                    }
                    let response = replica.execute(copy);
                    replica.machine = machine;
                    Some(response)
                };
                apply_by(handled, Rules { command, ..Rules::RIGHT });
            },
            ..Fault::NONE
        },
    }
}

fn deduplicate_by_number() -> MutantSpec {
    MutantSpec {
        name: "deduplicate-by-number",
        breaks: "SES-4",
        caught_by: "Exactly once",
        seen_in: "cockroachdb/cockroach#2297",
        about: "Copies are told apart by the number alone, not by session and number.",
        story: "Two clients register, and each numbers its first command 2. The command of the first is \
                executed. That of the second has a number that has been seen: it is answered with the \
                response to the first and never executed.",
        difference: "the last responses are kept by number, without the session",
        spec: scenes::alone(vec![vec![put("1")], vec![put("2")]], 2),
        fault: Fault {
            after: |handled| {
                let command = |replica: &mut Replica, copy: &Copy<'_>| {
                    let all = replica.sessions.values().filter_map(|record| record.last.clone());
                    let seen: BTreeMap<u64, Bytes> = all.collect();
                    match seen.get(&copy.sequence) {
                        Some(response) => Some(copy.applied(response.clone())),
                        None => (Rules::RIGHT.command)(replica, copy),
                    }
                };
                apply_by(handled, Rules { command, ..Rules::RIGHT });
            },
            ..Fault::NONE
        },
    }
}

fn followers_forget() -> MutantSpec {
    MutantSpec {
        name: "followers-forget",
        breaks: "SES-3",
        caught_by: "Exactly once",
        seen_in: "rabbitmq/ra#145",
        about: "Only the leader keeps sessions; followers apply every copy.",
        story: "The client puts 1 and then changes it to 2. A late copy of the put enters the log. The leader \
                knows the number and ignores it. Its follower executes it and has 1 where the leader has \
                2; the next leader may be that follower.",
        difference: "the session table is a variable of the leader, not part of the replicated state",
        spec: scenes::late_copy(),
        fault: Fault {
            after: |handled| {
                if !handled.server.is_leader() {
                    let command =
                        |replica: &mut Replica, copy: &Copy<'_>| Some(replica.execute(copy));
                    apply_by(handled, Rules { command, ..Rules::RIGHT });
                }
            },
            ..Fault::NONE
        },
    }
}

fn old_number_applied() -> MutantSpec {
    MutantSpec {
        name: "old-number-applied",
        breaks: "SES-3",
        caught_by: "Exactly once",
        seen_in: "adjoint-io/raft#70",
        about: "Only a copy of the last command is recognised.",
        story: "The client puts 1, is answered, and changes it to 2. A late copy of the put arrives. Its \
                number is not that of the last command, so it is executed: 2 is overwritten by 1 without \
                anybody having asked for it.",
        difference: "`sequence != last` is executed, not only `sequence > last`",
        spec: scenes::alone(vec![vec![put("1"), advance()]], 1),
        fault: Fault {
            after: |handled| {
                let command = |replica: &mut Replica, copy: &Copy<'_>| {
                    if replica.last(copy).is_some_and(|last| copy.sequence < last) {
                        return Some(replica.execute(copy));
                    }
                    (Rules::RIGHT.command)(replica, copy)
                };
                apply_by(handled, Rules { command, ..Rules::RIGHT });
            },
            ..Fault::NONE
        },
    }
}

fn implicit_session() -> MutantSpec {
    MutantSpec {
        name: "implicit-session",
        breaks: "SES-2",
        caught_by: "Exactly once",
        seen_in: "apache/iggy#3934",
        about: "A command of an unknown session opens it again.",
        story: "There is room for one session. C1 registers and sends a command; C2 registers, and C1's \
                session is evicted. The command, or another copy of it, arrives. Nobody can tell whether it \
                has been executed before, and it is executed.",
        difference: "an unknown session is opened by its first command",
        spec: scenes::alone(vec![vec![put("1")], vec![put("2")]], 1),
        fault: Fault {
            after: |handled| {
                let command = |replica: &mut Replica, copy: &Copy<'_>| {
                    replica.sessions.entry(copy.session).or_default();
                    (Rules::RIGHT.command)(replica, copy)
                };
                apply_by(handled, Rules { command, ..Rules::RIGHT });
            },
            ..Fault::NONE
        },
    }
}

fn no_eviction() -> MutantSpec {
    MutantSpec {
        name: "no-eviction",
        breaks: "SES-5",
        caught_by: "Exactly once",
        seen_in: "atomix/atomix#296",
        about: "The leader does not evict the sessions that everybody else does.",
        story: "There is room for one session. C1 registers, then C2, and the session of C1 is evicted, but \
                not on the leader. It executes a command of C1 which the other servers, by the same log, \
                refuse: the state machines differ from here on.",
        difference: "a Register entry evicts nothing while the server leads",
        spec: scenes::alone(vec![vec![put("1")], vec![put("2")]], 1),
        fault: Fault {
            after: |handled| {
                if handled.server.is_leader() {
                    let open = |replica: &mut Replica, index, _| replica.insert(index);
                    apply_by(handled, Rules { open, ..Rules::RIGHT });
                }
            },
            ..Fault::NONE
        },
    }
}

fn early_eviction() -> MutantSpec {
    MutantSpec {
        name: "early-eviction",
        breaks: "SES-5",
        caught_by: "Exactly once",
        seen_in: "atomix/atomix#330",
        about: "A session is evicted before there are too many.",
        story: "There is room for two sessions. C1 registers, then C2, and this server already evicts C1. \
                It refuses a command of C1 which the other servers, by the same log, execute.",
        difference: "`sessions.len() + 1 >= max_sessions` instead of `sessions.len() >= max_sessions`",
        spec: scenes::alone(vec![vec![put("1")], vec![put("2")]], 2),
        fault: Fault {
            after: |handled| {
                let open = |replica: &mut Replica, index, max_sessions: u32| {
                    replica.evict(max_sessions.saturating_sub(1).max(1) as usize);
                    replica.insert(index);
                };
                apply_by(handled, Rules { open, ..Rules::RIGHT });
            },
            ..Fault::NONE
        },
    }
}

fn uncommitted_of_its_term() -> MutantSpec {
    MutantSpec {
        name: "uncommitted-of-its-term",
        breaks: "CLI-3",
        caught_by: "Requests are appended or refused",
        seen_in: "etcd-io/raft#11",
        about: "What earlier leaders left uncommitted does not count against the limit.",
        story: "A leader may have two uncommitted entries. S0 has the no-op of its first term and that of its \
                second, and can commit neither. It takes the request of C2 all the same: with each new \
                term its log may grow by as much again.",
        difference: "the uncommitted entries are counted from the first one of the leader's term",
        spec: Spec {
            max_term: 2,
            restarts: true,
            max_uncommitted: 2,
            ..scenes::pair_with_client()
        },
        fault: Fault {
            before: |arriving| {
                let Message::ClientRequest(_) = arriving.msg else { return };
                let server = &mut *arriving.server;
                let term = server.persistent.current_term;
                if let Some(first) = server.persistent.log.first_index_of(term) {
                    server.commit_index = first.prev().max(server.commit_index);
                }
            },
            after: |handled| {
                if let Some((_, Message::ClientRequest(_))) = handled.event {
                    handled.server.commit_index = handled.before.commit_index;
                }
            },
            ..Fault::NONE
        },
    }
}

fn uncommitted_bytes_not_counted() -> MutantSpec {
    MutantSpec {
        name: "uncommitted-bytes-not-counted",
        breaks: "CLI-3",
        caught_by: "Requests are appended or refused",
        seen_in: "etcd-io/etcd#10167",
        about: "The bytes that wait in a leader's log do not count against their limit.",
        story: "A leader may have two uncommitted entries without a command. S0 has its no-op and one Register, \
                and hears nothing from S1. The client asks again, and S0 appends a third entry: a client \
                that retries large commands fills the leader's memory.",
        difference: "the bytes of uncommitted entries are taken to be zero",
        spec: Spec {
            max_bytes: 64,
            max_uncommitted_bytes: Some(110),
            max_client_entries: 2,
            ..scenes::pair_with_client()
        },
        fault: Fault {
            before: |arriving| {
                let Message::ClientRequest(_) = arriving.msg else { return };
                let server = &mut *arriving.server;
                server.commit_index = server.persistent.log.last_index();
            },
            after: |handled| {
                if let Some((_, Message::ClientRequest(_))) = handled.event {
                    handled.server.commit_index = handled.before.commit_index;
                }
            },
            ..Fault::NONE
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::catalogue;
    use actorcheck::{Engine, Limits, Verdict, run};
    use std::sync::atomic::AtomicBool;

    /// The rules of this file are those of the protocol until one of them is made wrong.
    #[test]
    fn the_right_rules_change_nothing() {
        let spec = catalogue::find("sessions").expect("it is in the catalogue");
        let after = |handled: &mut Handled<'_>| apply_by(handled, Rules::RIGHT);
        let seeded = spec.seeded(Fault { after, ..Fault::NONE });
        let limits = Limits::unlimited(2);
        let never = AtomicBool::new(false);
        let report = run(seeded, Engine::Antichain, &limits, &never, &mut |_| {});
        assert_eq!(report.verdict, Verdict::Exhaustive, "{:?}", report.violated());
        let tuples = report.tuples.expect("the antichain engine counts tuples").tuples;
        assert_eq!((tuples, report.states), spec.tuples);
    }
}

//! Mutants of clients and sessions.
//!
//! A server applies entries by [`Server::apply`]. Most mutants here apply them by an [`Apply`] of their own,
//! which puts the bug into the state, the entry or the answer. `answer-before-commit` and `answer-by-index`
//! answer at the wrong moment, two mutants count uncommitted entries wrongly, and the last one drops copies
//! that it must answer.

use super::scenes;
use super::wrapper::ServerCommand;
use super::{Fault, Handled, MutantSpec};
use crate::kv::Kv;
use crate::models::operations::{advance, create, put};
use crate::models::spec::Spec;
use crate::raft::{
    ClientRequest, ClientResponse, Entry, Index, Message, Payload, Persistent, Server,
    SessionRecord,
};
use crate::state_machine::StateMachine;
use bytes::Bytes;
use stateright::actor::{Command, Id};

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
        drop_committed_copy(),
    ]
}

/// A function that applies one entry as [`Server::apply`] does, except for the bug.
type Apply = fn(&mut Server<Kv>, Index, &Entry) -> Option<(Id, ClientResponse)>;

/// A command as it stands in an entry.
struct Copy<'a> {
    client: Id,
    session: Index,
    sequence: u64,
    command: &'a [u8],
}

impl<'a> Copy<'a> {
    fn of(entry: &'a Entry) -> Option<Self> {
        match &entry.payload {
            Payload::Command { client, session, sequence, command } => {
                let (client, session, sequence) = (*client, *session, *sequence);
                Some(Self { client, session, sequence, command })
            }
            Payload::Noop | Payload::Register { .. } => None,
        }
    }

    /// The sequence number of the last command in the copy's session; `None` if the session is not known or
    /// has had no command.
    fn last(&self, server: &Server<Kv>) -> Option<u64> {
        let record = server.sessions.get(self.session)?;
        record.last.as_ref().map(|(last, _)| *last)
    }

    /// Makes the session forget its last command, so that the copy looks new.
    fn forget_last(&self, server: &mut Server<Kv>) {
        if let Some(record) = server.sessions.get(self.session).cloned() {
            server.sessions.put(self.session, SessionRecord { last: None, ..record });
        }
    }

    fn answered(&self, response: Bytes) -> (Id, ClientResponse) {
        (self.client, ClientResponse::Applied { sequence: self.sequence, response })
    }
}

/// Whether this output of a handler answers a request whose entry has been applied.
fn is_answer(command: &ServerCommand<Kv>) -> bool {
    use ClientResponse::{Applied, Registered, SessionExpired};
    let Command::Send(_, Message::ClientResponse(response)) = command else { return false };
    matches!(response, Registered { .. } | Applied { .. } | SessionExpired { .. })
}

/// Takes back what the handler has just applied and answered. Then applies these entries by `apply`, and
/// answers by the result.
fn apply_by(handled: &mut Handled<'_>, apply: Apply) {
    handled.server.machine = handled.before.machine.clone();
    handled.server.sessions = handled.before.sessions.clone();
    handled.commands.retain(|command| !is_answer(command));
    let Persistent { current_term, log, .. } = handled.server.persistent.clone();
    let mut index = handled.before.last_applied;
    while index < handled.server.last_applied {
        index = index.next();
        let entry = log.get(index).expect("a server applies entries of its log");
        let answer = apply(handled.server, index, entry);
        if let Some((client, response)) = answer
            && handled.server.is_leader()
            && entry.term == current_term
        {
            handled.commands.push(Command::Send(client, Message::ClientResponse(response)));
        }
    }
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
                let mut ahead = handled.server.clone();
                let unapplied =
                    log.iter().filter(|(index, _)| *index > handled.server.last_applied);
                let answers = unapplied.map(|(index, entry)| ahead.apply(index, entry));
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
                apply_by(handled, |server, index, entry| {
                    if let Some(copy) = Copy::of(entry) {
                        copy.forget_last(server);
                    }
                    server.apply(index, entry)
                });
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
                apply_by(handled, |server, index, entry| {
                    let copy = Copy::of(entry).filter(|it| it.last(server) == Some(it.sequence));
                    let anew = copy.map(|copy| {
                        let response = server.machine.clone().apply(copy.command);
                        copy.answered(response)
                    });
                    let answer = server.apply(index, entry);
                    anew.or(answer)
                });
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
                apply_by(handled, |server, index, entry| {
                    let seen = Copy::of(entry).and_then(|copy| {
                        let (_, response) = server
                            .sessions
                            .iter()
                            .filter(|(session, _)| *session != copy.session)
                            .filter_map(|(_, record)| record.last.clone())
                            .find(|(number, _)| *number == copy.sequence)?;
                        let record = server.sessions.get(copy.session).cloned()?;
                        let used = SessionRecord { last_used: index, ..record };
                        server.sessions.put(copy.session, used);
                        Some(copy.answered(response))
                    });
                    seen.or_else(|| server.apply(index, entry))
                });
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
                    apply_by(handled, |server, index, entry| {
                        if let Some(copy) = Copy::of(entry) {
                            copy.forget_last(server);
                        }
                        server.apply(index, entry)
                    });
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
                apply_by(handled, |server, index, entry| {
                    if let Some(copy) = Copy::of(entry)
                        && copy.last(server).is_some_and(|last| copy.sequence < last)
                    {
                        copy.forget_last(server);
                    }
                    server.apply(index, entry)
                });
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
                apply_by(handled, |server, index, entry| {
                    if let Some(copy) = Copy::of(entry)
                        && server.sessions.get(copy.session).is_none()
                    {
                        let opened = SessionRecord { last_used: index, last: None };
                        server.sessions.put(copy.session, opened);
                    }
                    server.apply(index, entry)
                });
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
        story: "There is room for one session. C1 registers, and a copy of its request opens a second one. \
                By the log the first session is evicted, but the leader keeps both. It will execute a \
                command of the first session, which the other servers refuse.",
        difference: "a Register entry evicts nothing while the server leads",
        spec: scenes::alone(vec![vec![put("1")], vec![put("2")]], 1),
        fault: Fault {
            after: |handled| {
                if handled.server.is_leader() {
                    apply_by(handled, |server, index, entry| {
                        server.apply(index, &with_room_for(entry, |_| u32::MAX))
                    });
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
        story: "There is room for two sessions. C1 registers, and a copy of its request opens a second one. \
                This server already evicts the first one. It will refuse a command of that session, which \
                the other servers, by the same log, execute.",
        difference: "`sessions.len() + 1 >= max_sessions` instead of `sessions.len() >= max_sessions`",
        spec: scenes::alone(vec![vec![put("1")], vec![put("2")]], 2),
        fault: Fault {
            after: |handled| {
                apply_by(handled, |server, index, entry| {
                    server.apply(index, &with_room_for(entry, |sessions| sessions - 1))
                });
            },
            ..Fault::NONE
        },
    }
}

/// The entry, with another limit on the number of sessions if it opens one.
fn with_room_for(entry: &Entry, sessions: fn(u32) -> u32) -> Entry {
    let mut entry = entry.clone();
    if let Payload::Register { max_sessions, .. } = &mut entry.payload {
        *max_sessions = sessions(*max_sessions);
    }
    entry
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

fn drop_committed_copy() -> MutantSpec {
    MutantSpec {
        name: "drop-committed-copy",
        breaks: "CLI-4",
        caught_by: "Requests are appended or refused",
        seen_in: "akiradeveloper/sorock#317",
        about: "A leader drops a copy of a request whose entry is committed.",
        story: "A server leads alone. It takes the Register of the client, commits and answers it, and the \
                answer is lost. The client asks again. The leader finds the request in its log and drops the \
                copy, although no answer is due any more: the client asks for ever.",
        difference: "a copy is looked for in the whole log, not only among the uncommitted entries",
        spec: scenes::alone(vec![vec![put("1")]], 1),
        fault: Fault {
            before: |arriving| {
                let Message::ClientRequest(request) = &arriving.msg else { return };
                let stands = arriving.server.persistent.log.iter();
                let mut stands = stands.map(|(_, entry)| &entry.payload);
                arriving.dropped |= arriving.server.is_leader()
                    && stands.any(|payload| is_of(payload, arriving.src, request));
            },
            ..Fault::NONE
        },
    }
}

/// Whether an entry with this payload was made for this request of this client.
fn is_of(payload: &Payload, client: Id, request: &ClientRequest) -> bool {
    match (payload, request) {
        (
            Payload::Register { client: of, sequence, .. },
            ClientRequest::Register { sequence: asked },
        ) => (*of, sequence) == (client, asked),
        (
            Payload::Command { client: of, session, sequence, .. },
            ClientRequest::Command { session: within, sequence: asked, .. },
        ) => (*of, session, sequence) == (client, within, asked),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::catalogue;
    use actorcheck::{Engine, Limits, Verdict, run};
    use std::sync::atomic::AtomicBool;

    /// To apply entries once more changes nothing until it is done wrongly.
    #[test]
    fn to_apply_entries_once_more_changes_nothing() {
        let spec = catalogue::find("sessions").expect("it is in the catalogue");
        let after = |handled: &mut Handled<'_>| apply_by(handled, Server::apply);
        let seeded = spec.seeded(Fault { after, ..Fault::NONE });
        let limits = Limits::unlimited(2);
        let never = AtomicBool::new(false);
        let report = run(seeded, Engine::Antichain, &limits, &never, &mut |_| {});
        assert_eq!(report.verdict, Verdict::Exhaustive, "{:?}", report.violated());
        let tuples = report.tuples.expect("the antichain engine counts tuples").tuples;
        assert_eq!((tuples, report.states), spec.tuples);
    }
}

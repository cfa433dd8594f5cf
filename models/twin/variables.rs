//! The variables of the specification: which value of TLA+ stands for a state of a model.
//!
//! `spec/Raft.tla` has three variables: `server`, `client` and `messages`. This module maps the state of a
//! process, with its armed timers, to a record of `server` or `client`, and a message to an element of
//! `messages`. A feature that a model does not use has no fields, as in the specification.
//!
//! The state machine is the key-value store with the single key `x`. A snapshot travels in at most two pieces
//! here, first its sessions, then the state machine; so an offset in bytes is the number of a piece.

use super::value::Value;
use crate::kv::{self, Kv};
use crate::models::ClusterAction;
use crate::models::ghost::role_name;
use crate::models::process::{ClientState, ProcessState, ProcessTimer};
use crate::models::spec::{Elections, Spec};
use crate::raft::{
    Attempt, ClientRequest, ClientResponse, Entry, Index, InstallSnapshot, Invocation, Leader,
    Message, Operation, Outcome, Payload, Progress, Retry, Role, Sending, Server, SessionRecord,
    Sessions, Snapshot, Term, Timer, Transfer, TransferOutcome,
};
use crate::state_machine::StateMachine;
use actorcheck::Event;
use bytes::Bytes;
use serde::Deserialize;
use stateright::actor::{Id, Timers};

/// No vote, no leader, no client.
const NIL: i64 = -1;
/// The key that all commands are about.
const KEY: &str = "x";

/// The fields of a record.
type Fields = Vec<(&'static str, Value)>;

/// The features that add fields.
#[expect(clippy::struct_excessive_bools, reason = "each is a feature of its own")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Features {
    servers: usize,
    when_lost: bool,
    reads: bool,
    elections: bool,
    transfers: bool,
    snapshots: bool,
}

/// A part of a snapshot, as a piece contains it behind the four bytes of its length.
#[derive(Deserialize)]
enum Part {
    Sessions(Vec<(Index, SessionRecord)>),
    Machine(Bytes),
}

/// The name that the specification has for an action.
pub(super) fn action_name(action: &ClusterAction) -> &'static str {
    match &action.event {
        Event::Deliver { msg, .. } => match msg {
            Message::RequestVote(_) => "ReceiveRequestVote",
            Message::RequestVoteResponse(_) => "ReceiveRequestVoteResponse",
            Message::AppendEntries(_) => "ReceiveAppendEntries",
            Message::AppendEntriesResponse(_) => "ReceiveAppendEntriesResponse",
            Message::ClientRequest(_) => "ReceiveClientRequest",
            Message::ClientResponse(_) => "ReceiveClientResponse",
            Message::InstallSnapshot(_) => "ReceiveInstallSnapshot",
            Message::InstallSnapshotResponse(_) => "ReceiveInstallSnapshotResponse",
            Message::PreVote(_) => "ReceivePreVote",
            Message::PreVoteResponse(_) => "ReceivePreVoteResponse",
            Message::TimeoutNow(_) => "ReceiveTimeoutNow",
        },
        Event::Timeout(timer) => match timer {
            ProcessTimer::Server(Timer::Election) => "ElectionTimeout",
            ProcessTimer::Server(Timer::Heartbeat) => "HeartbeatTimeout",
            ProcessTimer::Server(Timer::Stickiness) => "StickinessTimeout",
            ProcessTimer::Server(Timer::Transfer) => "TransferTimeout",
            ProcessTimer::Retry => "RetryTimeout",
            // Only a mutant that writes late has this timer.
            ProcessTimer::Flush => "FlushTimeout",
        },
        Event::Choose { .. } => unreachable!("no process draws lots"),
        Event::Restart => "Restart",
    }
}

// ---- small values ----

/// An id is the number of its process. Commands of a client may name any id, so a large one is no reason to
/// panic.
fn id(id: Id) -> Value {
    number(usize::from(id) as u64)
}

fn id_or_nil(of: Option<Id>) -> Value {
    of.map_or(Value::Int(NIL), id)
}

fn ids<'a>(of: impl IntoIterator<Item = &'a Id>) -> Value {
    Value::set(of.into_iter().map(|it| id(*it)))
}

fn number(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn index(of: Index) -> Value {
    number(of.0)
}

fn term(of: Term) -> Value {
    number(of.0)
}

fn text(bytes: &[u8]) -> Value {
    Value::Str(bytes.escape_ascii().to_string())
}

fn text_or_none(bytes: Option<&Bytes>) -> Value {
    bytes.map_or(Value::from("none"), |bytes| text(bytes))
}

fn tuple(name: &str, parts: impl IntoIterator<Item = Value>) -> Value {
    Value::seq(std::iter::once(Value::from(name)).chain(parts))
}

/// A command about the key `x`. Of any other command the specification knows nothing; its text stands for it.
fn command(bytes: &Bytes) -> Value {
    use kv::Command;
    match Command::try_from(&bytes[..]) {
        Ok(Command::Put(key, value)) if key == KEY => tuple("Put", [text(&value)]),
        Ok(Command::Get(key)) if key == KEY => tuple("Get", []),
        Ok(Command::Delete(key)) if key == KEY => tuple("Delete", []),
        Ok(Command::Cas { key, old, new }) if key == KEY => {
            tuple("Cas", [text_or_none(old.as_ref()), text(&new)])
        }
        _ => Value::Str(Kv::describe(bytes)),
    }
}

/// The response of the state machine to such a command.
fn response(bytes: &Bytes) -> Value {
    use kv::Output;
    match Output::try_from(&bytes[..]) {
        Ok(Output::Done) => tuple("Done", []),
        Ok(Output::Value(value)) => tuple("Value", [text_or_none(value.as_ref())]),
        Ok(Output::Mismatch(value)) => tuple("Mismatch", [text_or_none(value.as_ref())]),
        Ok(Output::Malformed | Output::Keys { .. }) | Err(_) => {
            Value::Str(Kv::describe_answer(bytes))
        }
    }
}

/// The value of the key `x`. A store with other keys is no state of the specification.
fn machine(kv: &Kv) -> Value {
    let keys: Vec<_> = kv.iter().collect();
    match keys[..] {
        [] => Value::from("none"),
        [(key, value)] if key == KEY => text(value),
        _ => Value::Str(format!("{kv:?}")),
    }
}

fn session((at, record): (Index, &SessionRecord)) -> (Value, Value) {
    let (sequence, last) = match &record.last {
        None => (0, Value::seq([])),
        Some((sequence, last)) => (*sequence, response(last)),
    };
    let fields =
        [("lastUsed", index(record.last_used)), ("sequence", number(sequence)), ("response", last)];
    (index(at), Value::record(fields))
}

fn sessions(of: &Sessions) -> Value {
    Value::Function(of.iter().map(session).collect())
}

fn entry(of: &Entry) -> Value {
    let mut fields: Fields = vec![("term", term(of.term))];
    match &of.payload {
        Payload::Noop => fields.push(("kind", Value::from("noop"))),
        Payload::Register { client, sequence, max_sessions } => fields.extend([
            ("kind", Value::from("register")),
            ("client", id(*client)),
            ("sequence", number(*sequence)),
            ("maxSessions", number(u64::from(*max_sessions))),
        ]),
        Payload::Command { client, session, sequence, command: bytes } => fields.extend([
            ("kind", Value::from("command")),
            ("client", id(*client)),
            ("session", index(*session)),
            ("sequence", number(*sequence)),
            ("command", command(bytes)),
        ]),
    }
    Value::record(fields)
}

fn transfer_outcome(outcome: TransferOutcome) -> Value {
    Value::from(match outcome {
        TransferOutcome::Leads => "Leads",
        TransferOutcome::TimedOut => "TimedOut",
        TransferOutcome::NoMember => "NoMember",
    })
}

/// The number of the piece that begins at this offset.
fn piece(offset: u64) -> Value {
    number(u64::from(offset > 0))
}

fn data(bytes: &Bytes) -> Value {
    let part = bytes.get(4..).map(postcard::from_bytes::<Part>);
    match part {
        Some(Ok(Part::Sessions(records))) => {
            let records = records.iter().map(|(at, record)| session((*at, record)));
            tuple("Sessions", [Value::Function(records.collect())])
        }
        Some(Ok(Part::Machine(bytes))) => {
            let mut kv = Kv::default();
            match kv.add_part(&bytes) {
                Ok(()) => tuple("Machine", [machine(&kv)]),
                Err(error) => Value::Str(error),
            }
        }
        Some(Err(_)) | None => text(bytes),
    }
}

/// The names and values of the armed timers.
fn timers(of: &Timers<ProcessTimer>) -> Value {
    Value::set(of.iter().map(|timer| Value::Str(format!("{timer:?}"))))
}

// ---- servers ----

/// What a server knows of each other one, as functions over all servers.
struct OfEach<'a> {
    servers: usize,
    leader: Option<&'a Leader<Kv>>,
}

impl OfEach<'_> {
    /// The function whose value is `known` for a follower of this leader, and `default` for everybody else.
    fn function(&self, default: &Value, known: impl Fn(&Progress<Kv>) -> Option<Value>) -> Value {
        let of = |server: usize| {
            let progress = self.leader.and_then(|it| it.followers.get(&Id::from(server)));
            progress.and_then(&known).unwrap_or_else(|| default.clone())
        };
        Value::Function((0..self.servers).map(|it| (number(it as u64), of(it))).collect())
    }
}

impl Features {
    /// The features of a model.
    pub(super) fn of(spec: &Spec) -> Self {
        let asks = |is_wanted: fn(&Operation) -> bool| spec.clients.iter().flatten().any(is_wanted);
        let when_lost = spec.retry != Retry::EveryHeartbeat;
        let reads = asks(|operation| matches!(operation, Operation::Query(_)));
        let elections = spec.elections != Elections::default();
        let snapshots = spec.snapshot_after.is_some();
        let transfers = asks(|operation| matches!(operation, Operation::Transfer(_)));
        Self { servers: spec.servers, when_lost, reads, elections, transfers, snapshots }
    }

    /// The record of a process.
    pub(super) fn process(&self, state: &ProcessState, armed: &Timers<ProcessTimer>) -> Value {
        match state {
            ProcessState::Server(server) => self.server(server, armed),
            ProcessState::Client(client) => Self::client(client, armed),
        }
    }

    fn server(&self, server: &Server<Kv>, armed: &Timers<ProcessTimer>) -> Value {
        let leader = server.leader();
        let each = OfEach { servers: self.servers, leader };
        let (followed, is_sticky) = match &server.role {
            Role::Follower { leader, is_sticky } => (*leader, *is_sticky),
            _ => (None, false),
        };
        let votes = |granted| match &server.role {
            Role::Candidate { votes_granted } if granted => ids(votes_granted),
            Role::PreCandidate { pre_votes_granted } if !granted => ids(pre_votes_granted),
            _ => ids([]),
        };
        let role = match role_name(&server.role) {
            "pre-candidate" => "precandidate",
            name => name,
        };
        let log = &server.persistent.log;
        let mut fields: Fields = vec![
            ("currentTerm", term(server.persistent.current_term)),
            ("votedFor", id_or_nil(server.persistent.voted_for)),
            ("log", Value::seq(log.iter().map(|(_, it)| entry(it)))),
            ("commitIndex", index(server.commit_index)),
            ("lastApplied", index(server.last_applied)),
            ("role", Value::from(role)),
            ("leader", id_or_nil(followed)),
            ("votesGranted", votes(true)),
            ("nextIndex", each.function(&Value::Int(0), |it| Some(index(it.next_index)))),
            ("matchIndex", each.function(&Value::Int(0), |it| Some(index(it.match_index)))),
            ("sessions", sessions(&server.sessions)),
            ("machine", machine(&server.machine)),
            ("timers", timers(armed)),
        ];
        if self.when_lost {
            let none = attempt(None);
            fields.push(("attempt", each.function(&none, |it| Some(attempt(it.attempt)))));
        }
        if self.reads {
            fields.extend(reads(leader, &each));
        }
        if self.elections {
            let heard = leader.into_iter().flat_map(|it| &it.followers);
            let heard = heard.filter(|(_, it)| it.is_heard).map(|(follower, _)| follower);
            fields.extend([
                ("preVotesGranted", votes(false)),
                ("isSticky", Value::from(is_sticky)),
                ("heard", ids(heard)),
            ]);
        }
        if self.transfers {
            fields.push(("transfer", transfer(leader.and_then(|it| it.transfer))));
        }
        if self.snapshots {
            fields.extend(snapshots(server, &each));
        }
        Value::record(fields)
    }
}

fn attempt(of: Option<Attempt>) -> Value {
    let (last, losses, pause) = match of {
        None => (Value::Int(NIL), 0, 0),
        Some(Attempt { last, losses, pause }) => (index(last.unwrap_or_default()), losses, pause),
    };
    let numbers = [("losses", losses), ("pause", pause)];
    let numbers = numbers.map(|(name, count)| (name, number(u64::from(count))));
    Value::record([("last", last)].into_iter().chain(numbers))
}

fn reads(leader: Option<&Leader<Kv>>, each: &OfEach<'_>) -> Fields {
    let waiting = leader.into_iter().flat_map(|it| &it.reads).map(|read| {
        Value::record([
            ("client", id(read.client)),
            ("sequence", number(read.sequence)),
            ("query", command(&read.query)),
            ("round", number(read.round)),
            ("index", index(read.index)),
        ])
    });
    vec![
        ("round", number(leader.map_or(0, |it| it.round))),
        ("answered", each.function(&Value::Int(0), |it| Some(number(it.round)))),
        ("reads", Value::seq(waiting)),
    ]
}

fn transfer(of: Option<Transfer>) -> Value {
    let (to, client, sequence) = match of {
        None => (Value::Int(NIL), Value::Int(NIL), 0),
        Some(Transfer { to, client, sequence }) => (id(to), id(client), sequence),
    };
    Value::record([("to", to), ("client", client), ("sequence", number(sequence))])
}

fn snapshots(server: &Server<Kv>, each: &OfEach<'_>) -> Fields {
    let log = &server.persistent.log;
    let incoming = match &server.incoming {
        None => partial(&Snapshot::default(), 0, None),
        Some(incoming) => partial(&incoming.snapshot, incoming.offset, None),
    };
    let sending = |Sending { snapshot, offset, doubts, .. }: &Sending<Kv>| {
        partial(snapshot, *offset, Some(*doubts))
    };
    let none = partial(&Snapshot::default(), 0, Some(0));
    vec![
        ("startIndex", index(log.start())),
        ("startTerm", term(log.term(log.start()).unwrap_or_default())),
        ("snapshot", Value::record(contents(&server.persistent.snapshot))),
        ("incoming", incoming),
        ("sending", each.function(&none, |it| it.sending.as_ref().map(sending))),
        ("catchesUp", each.function(&Value::from(false), |it| Some(Value::from(it.catches_up)))),
    ]
}

fn contents(snapshot: &Snapshot<Kv>) -> Fields {
    vec![
        ("lastIndex", index(snapshot.last_index)),
        ("lastTerm", term(snapshot.last_term)),
        ("sessions", sessions(&snapshot.sessions)),
        ("machine", machine(&snapshot.machine)),
    ]
}

/// A snapshot on its way. Only the sender has doubts.
fn partial(snapshot: &Snapshot<Kv>, offset: u64, doubts: Option<u8>) -> Value {
    let doubts = doubts.map(|doubts| ("doubts", number(u64::from(doubts))));
    Value::record(contents(snapshot).into_iter().chain([("offset", piece(offset))]).chain(doubts))
}

// ---- clients ----

impl Features {
    fn client(client: &ClientState, armed: &Timers<ProcessTimer>) -> Value {
        let outcomes = client.outcomes.iter().map(|outcome| match outcome {
            Invocation::Applied(bytes) => {
                Value::record([("kind", Value::from("applied")), ("response", response(bytes))])
            }
            Invocation::Unknown => Value::record([("kind", Value::from("unknown"))]),
            Invocation::TooLarge(limit) => {
                Value::record([("kind", Value::from("toolarge")), ("limit", number(*limit))])
            }
            Invocation::Transfer(outcome) => Value::record([
                ("kind", Value::from("transfer")),
                ("outcome", transfer_outcome(*outcome)),
            ]),
        });
        Value::record([
            ("target", id(client.session.target())),
            ("turn", id(client.session.turn())),
            ("session", index(client.session.id().unwrap_or_default())),
            ("sequence", number(client.session.sequence())),
            ("outcomes", Value::seq(outcomes)),
            ("timers", timers(armed)),
        ])
    }
}

// ---- messages ----

impl Features {
    /// The record of a message.
    pub(super) fn message(&self, src: Id, dst: Id, msg: &Message) -> Value {
        let (name, fields) = self.arguments(msg);
        let envelope = [("type", Value::from(name)), ("src", id(src)), ("dst", id(dst))];
        Value::record(envelope.into_iter().chain(fields))
    }

    fn arguments(&self, msg: &Message) -> (&'static str, Fields) {
        let last = |at: Index, of: Term| [("lastLogIndex", index(at)), ("lastLogTerm", term(of))];
        match msg {
            Message::RequestVote(args) => {
                let mut fields = vec![("term", term(args.term))];
                fields.extend(last(args.last_log_index, args.last_log_term));
                if self.transfers {
                    let wanted = Value::from(args.leadership_transfer);
                    fields.push(("leadershipTransfer", wanted));
                }
                ("RequestVote", fields)
            }
            Message::RequestVoteResponse(args) => {
                let granted = Value::from(args.vote_granted);
                ("RequestVoteResponse", vec![("term", term(args.term)), ("voteGranted", granted)])
            }
            Message::PreVote(args) => {
                let mut fields = vec![("nextTerm", term(args.next_term))];
                fields.extend(last(args.last_log_index, args.last_log_term));
                ("PreVote", fields)
            }
            Message::PreVoteResponse(args) => {
                let granted = Value::from(args.pre_vote_granted);
                let (of, next) = (term(args.term), term(args.next_term));
                let fields = vec![("term", of), ("nextTerm", next), ("preVoteGranted", granted)];
                ("PreVoteResponse", fields)
            }
            Message::TimeoutNow(args) => {
                let mut fields = vec![("term", term(args.term))];
                fields.extend(last(args.last_log_index, args.last_log_term));
                ("TimeoutNow", fields)
            }
            Message::AppendEntries(args) => {
                let mut fields = vec![
                    ("term", term(args.term)),
                    ("prevLogIndex", index(args.prev_log_index)),
                    ("prevLogTerm", term(args.prev_log_term)),
                    ("entries", Value::seq(args.entries.iter().map(entry))),
                    ("leaderCommit", index(args.leader_commit)),
                ];
                fields.extend(self.round(args.round));
                ("AppendEntries", fields)
            }
            Message::AppendEntriesResponse(args) => {
                let mut fields = vec![("term", term(args.term))];
                fields.extend(outcome(args.outcome));
                fields.extend(self.round(args.round));
                ("AppendEntriesResponse", fields)
            }
            Message::InstallSnapshot(args) => ("InstallSnapshot", install_snapshot(args)),
            Message::InstallSnapshotResponse(args) => {
                let at = index(args.last_included_index);
                let fields = vec![
                    ("term", term(args.term)),
                    ("lastIncludedIndex", at),
                    ("offset", piece(args.offset)),
                ];
                ("InstallSnapshotResponse", fields)
            }
            Message::ClientRequest(args) => ("ClientRequest", client_request(args)),
            Message::ClientResponse(args) => ("ClientResponse", client_response(args)),
        }
    }

    /// The round of a message, in models with reads.
    fn round(&self, round: u64) -> Option<(&'static str, Value)> {
        self.reads.then(|| ("round", number(round)))
    }
}

fn outcome(of: Outcome) -> Fields {
    match of {
        Outcome::Match(at) => vec![("outcome", Value::from("Match")), ("index", index(at))],
        Outcome::Conflict { prev_log_index, term: found, index: first } => vec![
            ("outcome", Value::from("Conflict")),
            ("prevLogIndex", index(prev_log_index)),
            ("conflictTerm", term(found.unwrap_or_default())),
            ("conflictIndex", index(first)),
        ],
        Outcome::StaleTerm => vec![("outcome", Value::from("StaleTerm"))],
    }
}

fn install_snapshot(args: &InstallSnapshot) -> Fields {
    vec![
        ("term", term(args.term)),
        ("lastIncludedIndex", index(args.last_included_index)),
        ("lastIncludedTerm", term(args.last_included_term)),
        ("offset", piece(args.offset)),
        ("data", data(&args.data)),
        ("done", Value::from(args.done)),
    ]
}

fn client_request(args: &ClientRequest) -> Fields {
    let (name, mut fields) = match args {
        ClientRequest::Register { .. } => ("Register", vec![]),
        ClientRequest::Command { session, command: bytes, .. } => {
            ("Command", vec![("session", index(*session)), ("command", command(bytes))])
        }
        ClientRequest::Read { query, .. } => ("Read", vec![("query", command(query))]),
        ClientRequest::Transfer { to, .. } => ("Transfer", vec![("to", id(*to))]),
    };
    fields.extend([("request", Value::from(name)), ("sequence", number(args.sequence()))]);
    fields
}

fn client_response(args: &ClientResponse) -> Fields {
    let (name, sequence, more) = match args {
        ClientResponse::Registered { sequence, session } => {
            ("Registered", sequence, vec![("session", index(*session))])
        }
        ClientResponse::Applied { sequence, response: bytes } => {
            ("Applied", sequence, vec![("response", response(bytes))])
        }
        ClientResponse::SessionExpired { sequence } => ("SessionExpired", sequence, vec![]),
        ClientResponse::NotLeader { sequence, leader } => {
            ("NotLeader", sequence, vec![("leader", id_or_nil(*leader))])
        }
        ClientResponse::TooLarge { sequence, limit } => {
            ("TooLarge", sequence, vec![("limit", number(*limit))])
        }
        ClientResponse::Transfer { sequence, outcome } => {
            ("Transfer", sequence, vec![("outcome", transfer_outcome(*outcome))])
        }
        ClientResponse::Read { sequence, response: bytes } => {
            ("Read", sequence, vec![("response", response(bytes))])
        }
    };
    let mut fields = vec![("answer", Value::from(name)), ("sequence", number(*sequence))];
    fields.extend(more);
    fields
}

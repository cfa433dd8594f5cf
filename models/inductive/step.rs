//! One step of the very actor, from variables to variables.
//!
//! [`run`] makes a server from its variables, calls a handler of the actor for an [`Event`], and reads the
//! variables of the server that results. [`judge`] puts the step into a [`World`] and asks which conjunct the
//! world after it breaks.

use super::conjuncts::{Conjunct, Ind, Short, party};
use super::history::World;
use super::variables::{CLIENT, Local};
use crate::kv::Kv;
use crate::models::mutants::{Fault, Mutant};
use crate::models::process::{Fragments, Process, ProcessState, ProcessTimer};
use crate::raft::{
    ClientRequest, Copies, Index, Message, Parameters, Persistent, Raft, Retry, Timer,
};
use bytes::Bytes;
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// A message in flight.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The sender.
    pub src: u8,
    /// The receiver.
    pub dst: u8,
    /// The message.
    pub msg: Message,
    /// The message in the form that conjuncts read.
    pub short: Short,
}

/// An event of the server that moves.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// The server restarts from what it has saved.
    Restart,
    /// A timer fires.
    Timeout(Timer),
    /// A client asks for a command.
    Request,
    /// A message arrives.
    Deliver(Envelope),
}

/// The kinds of events, in the order of [`Event::kind`].
pub const KINDS: [&str; 9] = [
    "restart",
    "election timeout",
    "heartbeat timeout",
    "client request",
    "RequestVote",
    "RequestVoteResponse",
    "AppendEntries",
    "AppendEntriesResponse, match",
    "AppendEntriesResponse, refusal",
];

/// The state of a server after a handler, with everything that the handler put out.
pub struct Handled {
    /// The state of the process.
    pub state: ProcessState,
    /// The outputs.
    pub out: Out<Process>,
    /// What the server has saved.
    saved: Persistent<Kv>,
    /// The timers that are armed.
    armed: BTreeSet<ProcessTimer>,
}

/// What a step does, in the form that conjuncts read.
pub struct Outcome {
    /// The conjunct about the form of a state that the server breaks, or a message that it sends.
    pub malformed: Option<Conjunct>,
    /// The server's variables.
    pub after: Local,
    /// The messages to servers.
    pub sent: Vec<Envelope>,
    /// Whether the handler changes nothing and sends nothing.
    pub idle: bool,
}

/// A step after which a conjunct is false.
pub struct Failure {
    /// The servers and their history before the step.
    pub before: World,
    /// The event.
    pub event: Event,
    /// The servers and their history after the step.
    pub after: World,
    /// The conjunct that the step breaks.
    pub conjunct: Conjunct,
    /// The message that breaks the conjunct: one that was in flight before, or one that the step sends.
    pub message: Option<Envelope>,
}

impl Envelope {
    /// The message, if it is of the domain's kinds.
    pub fn new(src: Id, dst: Id, msg: Message) -> Option<Self> {
        let short = Short::of(&msg)?;
        Some(Self { src: party(src), dst: party(dst), msg, short })
    }
}

impl Event {
    /// The position of the event's kind in [`KINDS`].
    pub fn kind(&self) -> usize {
        match self {
            Event::Restart => 0,
            Event::Timeout(Timer::Election) => 1,
            Event::Timeout(_) => 2,
            Event::Request => 3,
            Event::Deliver(envelope) => match envelope.short {
                Short::RequestVote { .. } => 4,
                Short::Vote { .. } => 5,
                Short::Append { .. } => 6,
                Short::Match { .. } => 7,
                Short::Refusal { .. } => 8,
            },
        }
    }

    /// The request of the client to a server.
    pub fn request(local: &Local) -> Message {
        let (session, sequence) = (Index(1), u64::from(local.log.len()) + 1);
        let command = Bytes::new();
        Message::ClientRequest(ClientRequest::Command { session, sequence, command })
    }
}

/// The server of a domain: the actor with the core rules only, or a mutant of it.
pub fn actor(servers: usize, fault: Option<Fault>) -> Process {
    let parameters = Parameters {
        max_entries: 2,
        copies: Copies::Appended,
        retry: Retry::EveryHeartbeat,
        snapshot_after: None,
        pre_vote: false,
        stickiness: false,
        check_quorum: false,
        ..Parameters::default()
    };
    let raft = Raft::new((0..servers).map(Id::from), parameters).expect("a domain is valid");
    match fault {
        None => Process::Server(raft, Fragments(None)),
        Some(fault) => Process::Mutant(Mutant::new(raft, fault), Fragments(None)),
    }
}

/// The timers that a server of this role has.
fn timers_of(local: &Local) -> BTreeSet<ProcessTimer> {
    let timer = if local.leads() { Timer::Heartbeat } else { Timer::Election };
    BTreeSet::from([timer.into()])
}

/// Calls a handler of the actor. `None` if the event cannot occur: the timer is not armed.
pub fn handle(
    actor: &Process,
    who: usize,
    servers: usize,
    before: &Local,
    event: &Event,
) -> Option<Handled> {
    let server = before.server(who, servers);
    let mut saved = server.persistent.clone();
    let mut armed = timers_of(before);
    let first = ProcessState::Server(server);
    let mut state = Cow::Borrowed(&first);
    let (id, mut out) = (Id::from(who), Out::new());
    match event {
        Event::Restart => {
            armed.clear();
            let found = Some(saved.clone()).filter(|it| *it != Persistent::default());
            state = Cow::Owned(actor.on_start(id, &found, &mut out));
        }
        Event::Timeout(timer) => {
            let timer = ProcessTimer::from(*timer);
            if !armed.remove(&timer) {
                return None;
            }
            actor.on_timeout(id, &mut state, &timer, &mut out);
        }
        Event::Request => {
            let msg = Event::request(before);
            actor.on_msg(id, &mut state, Id::from(CLIENT), msg, &mut out);
        }
        Event::Deliver(envelope) => {
            let src = Id::from(usize::from(envelope.src));
            actor.on_msg(id, &mut state, src, envelope.msg.clone(), &mut out);
        }
    }
    let state = state.into_owned();
    for command in out.iter() {
        match command {
            Command::Save(persistent) => saved = persistent.clone(),
            Command::SetTimer(timer, _) => {
                armed.insert(*timer);
            }
            Command::CancelTimer(timer) => {
                armed.remove(timer);
            }
            Command::Send(..) | Command::ChooseRandom(..) => {}
        }
    }
    Some(Handled { state, out, saved, armed })
}

/// Runs a step. `None` if the event cannot occur.
pub fn run(
    actor: &Process,
    who: usize,
    servers: usize,
    before: &Local,
    event: &Event,
) -> Option<Outcome> {
    let handled = handle(actor, who, servers, before, event)?;
    let server = handled.state.server()?;
    let mut malformed = None;
    let after = match Local::of(server, who, servers) {
        Err(conjunct) => {
            malformed = Some(conjunct);
            *before
        }
        Ok(after) => {
            if handled.saved != server.persistent {
                malformed = Some(Conjunct::MemoryIsSaved);
            } else if handled.armed != timers_of(&after) {
                malformed = Some(Conjunct::TimersSuitTheRole);
            }
            after
        }
    };
    let mut sent = Vec::new();
    for command in handled.out.iter() {
        match command {
            Command::Send(_, Message::ClientResponse(_)) => {}
            Command::Send(to, msg) => match Envelope::new(Id::from(who), *to, msg.clone()) {
                Some(envelope) => sent.push(envelope),
                None => malformed = malformed.or(Some(Conjunct::NothingElse)),
            },
            _ => {}
        }
    }
    let idle = malformed.is_none() && after == *before && sent.is_empty();
    Some(Outcome { malformed, after, sent, idle })
}

/// The failure of a step of server `who`, if a conjunct is false after it. `bystanders` are in flight before.
pub fn judge<'a>(
    ind: Ind,
    before: &World,
    who: usize,
    event: &Event,
    outcome: &Outcome,
    bystanders: impl Iterator<Item = &'a Envelope>,
) -> Option<Box<Failure>> {
    if outcome.idle {
        return None;
    }
    let mut after = *before;
    after.locals[who] = outcome.after;
    let fails = |after: World, conjunct, message: Option<&Envelope>| {
        let (before, event, message) = (*before, event.clone(), message.cloned());
        Some(Box::new(Failure { before, event, after, conjunct, message }))
    };
    if let Some(conjunct) = outcome.malformed {
        return fails(after, conjunct, None);
    }
    after.history.observe(who, &outcome.after, &outcome.sent);
    if let Some(conjunct) = ind.broken(&after) {
        return fails(after, conjunct, None);
    }
    let is_denied = |it: &Envelope| ind.denies(&after, it.src, it.dst, &it.short);
    for envelope in &outcome.sent {
        if let Some(conjunct) = is_denied(envelope) {
            return fails(after, conjunct, Some(envelope));
        }
    }
    for envelope in bystanders {
        if let Some(conjunct) = is_denied(envelope) {
            return fails(after, conjunct, Some(envelope));
        }
    }
    None
}

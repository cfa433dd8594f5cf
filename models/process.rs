//! The actors of a model: servers and clients, as one type.
//!
//! A [`Process`] passes every event to the actor that it holds: a [`Raft`] server, a [`Mutant`] of one, or a
//! [`Client`]. It takes over what that actor puts out. stateright's `Choice` would do, but it drops
//! `on_random` and requires equal timer types.

use super::mutants::Mutant;
use crate::kv::Kv;
use crate::raft::{
    ClientResponse, Entry, Invocation, Message, Operation, Persistent, Raft, Server, Session, Timer,
};
use crate::state_machine::StateMachine;
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// A process of a cluster that replicates `S`.
pub enum Process<S: StateMachine = Kv> {
    /// A server: the very actor that a node runs.
    Server(Raft<S>, Fragments),
    /// A server with a seeded bug.
    Mutant(Mutant<S>, Fragments),
    /// A client.
    Client(Client),
}

/// A client that executes its operations one after the other and retries each until it is answered.
pub struct Client {
    /// The servers that the client may ask.
    pub servers: Vec<Id>,
    /// The client's commands and queries, in order.
    pub operations: Vec<Operation>,
    /// Which servers the client asks at a time.
    pub asks: Asks,
}

/// Which servers a client asks at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asks {
    /// The client asks one server at a time, and the next one when no answer comes, as the client library
    /// does.
    #[default]
    InTurn,
    /// The client always asks all servers at once. It does everything that a client asking in turn does,
    /// and more, since any order of asking is some order in which messages arrive. It has fewer states,
    /// since it does not remember whose turn it is. All servers are alike to it.
    All,
}

/// The state of a process.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum ProcessState<S = Kv> {
    /// The state of a server, mutant or not.
    Server(Server<S>),
    /// The state of a client.
    Client(ClientState),
}

/// The state of a client.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientState {
    /// The client's session, of the type that the client library is made of.
    pub session: Session,
    /// How each finished command ended.
    pub outcomes: Vec<Invocation>,
}

/// The timers of a process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProcessTimer {
    /// A timer of a server.
    Server(Timer),
    /// The timer of a client that waits for an answer: when it fires, the client asks again.
    Retry,
    /// The timer of a mutant that writes late: when it fires, the mutant writes.
    Flush,
}

impl From<Timer> for ProcessTimer {
    fn from(timer: Timer) -> Self {
        ProcessTimer::Server(timer)
    }
}

impl<S> ProcessState<S> {
    /// The server, if the process is one.
    pub fn server(&self) -> Option<&Server<S>> {
        match self {
            ProcessState::Server(server) => Some(server),
            ProcessState::Client(_) => None,
        }
    }

    /// The client, if the process is one.
    pub fn client(&self) -> Option<&ClientState> {
        match self {
            ProcessState::Server(_) => None,
            ProcessState::Client(client) => Some(client),
        }
    }
}

/// A limit, if there is one, on the bytes of entries or of a snapshot in one message to a server. Of a larger
/// message the network always loses some fragment, so it never arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragments(pub Option<usize>);

impl Fragments {
    /// Whether the network loses a message each time.
    pub fn lose(self, msg: &Message) -> bool {
        match (self.0, msg) {
            (Some(limit), Message::AppendEntries(args)) => {
                args.entries.iter().map(Entry::size).sum::<usize>() > limit
            }
            (Some(limit), Message::InstallSnapshot(args)) => args.data.len() > limit,
            _ => false,
        }
    }
}

/// Runs a handler of a server actor on the state of a process, and hands the actor's outputs on as the
/// process's.
fn on_server<S: StateMachine, A>(
    state: &mut Cow<'_, ProcessState<S>>,
    o: &mut Out<Process<S>>,
    handler: impl FnOnce(&mut Cow<'_, Server<S>>, &mut Out<A>),
) where
    A: Actor<Msg = Message, State = Server<S>, Storage = Persistent<S>, Random = ()>,
    A::Timer: Into<ProcessTimer>,
{
    let ProcessState::Server(server) = &**state else { return };
    let mut server = Cow::Borrowed(server);
    let mut out = Out::new();
    handler(&mut server, &mut out);
    let changed = match server {
        Cow::Borrowed(_) => None,
        Cow::Owned(server) => Some(ProcessState::Server(server)),
    };
    take_over(out, o);
    if let Some(next) = changed {
        *state = Cow::Owned(next);
    }
}

/// Turns the outputs of a server actor into outputs of the process that runs it.
fn take_over<S: StateMachine, A>(out: Out<A>, o: &mut Out<Process<S>>)
where
    A: Actor<Msg = Message, Storage = Persistent<S>, Random = ()>,
    A::Timer: Into<ProcessTimer>,
{
    let mut commands: Out<Process<S>> = out
        .into_iter()
        .map(|command| match command {
            Command::Send(to, msg) => Command::Send(to, msg),
            Command::Save(storage) => Command::Save(storage),
            Command::SetTimer(timer, range) => Command::SetTimer(timer.into(), range),
            Command::CancelTimer(timer) => Command::CancelTimer(timer.into()),
            Command::ChooseRandom(key, choices) => Command::ChooseRandom(key, choices),
        })
        .collect();
    o.append(&mut commands);
}

impl Client {
    /// Sends the request in flight, if there is one, and arms the timer that waits for its answer.
    fn send<S: StateMachine>(&self, session: &Session, o: &mut Out<Process<S>>) {
        match session.request() {
            Some((server, request)) => {
                let asked = match self.asks {
                    Asks::InTurn => std::slice::from_ref(&server),
                    Asks::All => &self.servers[..],
                };
                o.broadcast(asked, &Message::ClientRequest(request));
                o.set_timer(ProcessTimer::Retry, Duration::ZERO..Duration::ZERO);
            }
            None => o.cancel_timer(ProcessTimer::Retry),
        }
    }

    fn on_start<S: StateMachine>(&self, o: &mut Out<Process<S>>) -> ClientState {
        let mut session = Session::new(self.servers.clone());
        if let Some(operation) = self.operations.first() {
            session.invoke(operation.clone());
            self.send(&session, o);
        }
        ClientState { session, outcomes: Vec::new() }
    }

    fn on_msg<S: StateMachine>(
        &self,
        client: &mut ClientState,
        msg: Message,
        o: &mut Out<Process<S>>,
    ) {
        let Message::ClientResponse(response) = msg else { return };
        if self.asks == Asks::All && matches!(response, ClientResponse::NotLeader { .. }) {
            return; // the leader is asked too
        }
        let before = client.session.request();
        if let Some(outcome) = client.session.on_response(response) {
            client.outcomes.push(outcome);
            if let Some(operation) = self.operations.get(client.outcomes.len()) {
                client.session.invoke(operation.clone());
            }
        }
        if client.session.request() != before {
            self.send(&client.session, o);
        }
    }
}

/// Runs a handler of a client on the state of a process. Owns the state only if the handler changes it.
fn on_client<S: StateMachine>(
    state: &mut Cow<'_, ProcessState<S>>,
    handler: impl FnOnce(&mut ClientState),
) {
    let ProcessState::Client(client) = &**state else { return };
    let mut next = client.clone();
    handler(&mut next);
    if next != *client {
        *state = Cow::Owned(ProcessState::Client(next));
    }
}

impl<S: StateMachine> Actor for Process<S> {
    type Msg = Message;
    type Timer = ProcessTimer;
    type State = ProcessState<S>;
    type Storage = Persistent<S>;
    type Random = ();

    fn on_start(
        &self,
        id: Id,
        storage: &Option<Persistent<S>>,
        o: &mut Out<Self>,
    ) -> ProcessState<S> {
        match self {
            Process::Server(raft, _) => {
                let mut out = Out::new();
                let server = raft.on_start(id, storage, &mut out);
                take_over(out, o);
                ProcessState::Server(server)
            }
            Process::Mutant(mutant, _) => {
                let mut out = Out::new();
                let server = mutant.on_start(id, storage, &mut out);
                take_over(out, o);
                ProcessState::Server(server)
            }
            Process::Client(client) => ProcessState::Client(client.on_start(o)),
        }
    }

    fn on_msg(
        &self,
        id: Id,
        state: &mut Cow<'_, ProcessState<S>>,
        src: Id,
        msg: Message,
        o: &mut Out<Self>,
    ) {
        match self {
            Process::Server(_, fragments) | Process::Mutant(_, fragments)
                if fragments.lose(&msg) => {}
            Process::Server(raft, _) => {
                on_server(state, o, |server, out| raft.on_msg(id, server, src, msg, out));
            }
            Process::Mutant(mutant, _) => {
                on_server(state, o, |server, out| mutant.on_msg(id, server, src, msg, out));
            }
            Process::Client(client) => on_client(state, |next| client.on_msg(next, msg, o)),
        }
    }

    fn on_timeout(
        &self,
        id: Id,
        state: &mut Cow<'_, ProcessState<S>>,
        timer: &ProcessTimer,
        o: &mut Out<Self>,
    ) {
        match (self, timer) {
            (Process::Server(raft, _), ProcessTimer::Server(timer)) => {
                on_server(state, o, |server, out| raft.on_timeout(id, server, timer, out));
            }
            (Process::Mutant(mutant, _), ProcessTimer::Server(_) | ProcessTimer::Flush) => {
                on_server(state, o, |server, out| mutant.on_timeout(id, server, timer, out));
            }
            (Process::Client(client), ProcessTimer::Retry) => on_client(state, |next| {
                if client.asks == Asks::InTurn {
                    next.session.on_timeout();
                }
                client.send(&next.session, o);
            }),
            (Process::Server(..), ProcessTimer::Retry | ProcessTimer::Flush)
            | (Process::Mutant(..), ProcessTimer::Retry)
            | (Process::Client(_), ProcessTimer::Server(_) | ProcessTimer::Flush) => {}
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for ProcessState<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProcessState::Server(server) => write!(f, "{server:?}"),
            ProcessState::Client(client) => {
                write!(f, "client outcomes={:?}", client.outcomes)?;
                match client.session.request() {
                    Some((to, request)) => write!(f, " asks {}: {request:?}", usize::from(to)),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Debug for ProcessTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProcessTimer::Server(timer) => write!(f, "{timer:?}"),
            ProcessTimer::Retry => f.write_str("Retry"),
            ProcessTimer::Flush => f.write_str("Flush"),
        }
    }
}

//! The actors of a model: servers and clients, as one type.
//!
//! stateright's `Choice` would do, but it drops `on_random` and wants equal timer types.

use super::mutants::Mutant;
use crate::kv::{Command as KvCommand, Kv};
use crate::raft::{
    ClientResponse, Entry, Invocation, Message, Persistent, Raft, Server, Session, Timer,
};
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// A member of a cluster.
pub enum Member {
    /// A server: the very type a node runs.
    Server(Raft<Kv>, Fragments),
    /// A server with a seeded bug.
    Mutant(Mutant, Fragments),
    /// A client.
    Client(Client),
}

/// A client that executes commands one after the other, retrying each until it is answered.
pub struct Client {
    /// The servers it may ask.
    pub servers: Vec<Id>,
    /// The commands.
    pub commands: Vec<KvCommand>,
    /// Whom it asks.
    pub asks: Asks,
}

/// Whom a client asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asks {
    /// One server at a time, and the next one when no answer comes: what the client library does.
    #[default]
    InTurn,
    /// All servers at once, always. It does what a client that asks in turn does, and more: any order
    /// of asking is some order in which messages arrive. It has fewer states, since it need not
    /// remember whose turn it is, and to it all servers are alike.
    All,
}

/// The state of a member.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum MemberState {
    /// Of a server, mutant or not.
    Server(Server<Kv>),
    /// Of a client.
    Client(ClientState),
}

/// The state of a client.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientState {
    /// The session: the type the client library is made of.
    pub session: Session,
    /// How each finished command ended.
    pub outcomes: Vec<Invocation>,
}

/// The timers of a member.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberTimer {
    /// Of a server.
    Server(Timer),
    /// A client's: no answer came.
    Retry,
    /// Of a mutant that writes late: now it does.
    Flush,
}

impl From<Timer> for MemberTimer {
    fn from(timer: Timer) -> Self {
        MemberTimer::Server(timer)
    }
}

impl MemberState {
    /// The server, if it is one.
    pub fn server(&self) -> Option<&Server<Kv>> {
        match self {
            MemberState::Server(server) => Some(server),
            MemberState::Client(_) => None,
        }
    }

    /// The client, if it is one.
    pub fn client(&self) -> Option<&ClientState> {
        match self {
            MemberState::Server(_) => None,
            MemberState::Client(client) => Some(client),
        }
    }
}

/// What the network does to large messages on their way to a server: of an AppendEntries with more bytes
/// of entries than this, if there is a limit, some fragment is always lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragments(pub Option<usize>);

impl Fragments {
    fn lose(self, msg: &Message) -> bool {
        match (self.0, msg) {
            (Some(limit), Message::AppendEntries(args)) => {
                args.entries.iter().map(Entry::size).sum::<usize>() > limit
            }
            _ => false,
        }
    }
}

/// Runs a handler of a server actor on the state of a member, and takes its outputs over.
fn on_server<A>(
    state: &mut Cow<'_, MemberState>,
    o: &mut Out<Member>,
    handler: impl FnOnce(&mut Cow<'_, Server<Kv>>, &mut Out<A>),
) where
    A: Actor<Msg = Message, State = Server<Kv>, Storage = Persistent, Random = ()>,
    A::Timer: Into<MemberTimer>,
{
    let MemberState::Server(server) = &**state else { return };
    let mut server = Cow::Borrowed(server);
    let mut out = Out::new();
    handler(&mut server, &mut out);
    let changed = match server {
        Cow::Borrowed(_) => None,
        Cow::Owned(server) => Some(MemberState::Server(server)),
    };
    take_over(out, o);
    if let Some(next) = changed {
        *state = Cow::Owned(next);
    }
}

/// Moves the outputs of a server to those of the member it is.
fn take_over<A>(out: Out<A>, o: &mut Out<Member>)
where
    A: Actor<Msg = Message, Storage = Persistent, Random = ()>,
    A::Timer: Into<MemberTimer>,
{
    let mut commands: Out<Member> = out
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
    /// Sends the request in flight, if there is one, and waits for an answer.
    fn send(&self, session: &Session, o: &mut Out<Member>) {
        match session.request() {
            Some((server, request)) => {
                let asked = match self.asks {
                    Asks::InTurn => std::slice::from_ref(&server),
                    Asks::All => &self.servers[..],
                };
                o.broadcast(asked, &Message::ClientRequest(request));
                o.set_timer(MemberTimer::Retry, Duration::ZERO..Duration::ZERO);
            }
            None => o.cancel_timer(MemberTimer::Retry),
        }
    }

    fn on_start(&self, o: &mut Out<Member>) -> ClientState {
        let mut session = Session::new(self.servers.clone());
        if let Some(command) = self.commands.first() {
            session.invoke(command.encode());
            self.send(&session, o);
        }
        ClientState { session, outcomes: Vec::new() }
    }

    fn on_msg(&self, client: &mut ClientState, msg: Message, o: &mut Out<Member>) {
        let Message::ClientResponse(response) = msg else { return };
        if self.asks == Asks::All && matches!(response, ClientResponse::NotLeader { .. }) {
            return; // whoever leads is asked too
        }
        let before = client.session.request();
        if let Some(outcome) = client.session.on_response(response) {
            client.outcomes.push(outcome);
            if let Some(command) = self.commands.get(client.outcomes.len()) {
                client.session.invoke(command.encode());
            }
        }
        if client.session.request() != before {
            self.send(&client.session, o);
        }
    }
}

/// Runs a handler of a client on the state of a member; owns it only if it changed.
fn on_client(state: &mut Cow<'_, MemberState>, handler: impl FnOnce(&mut ClientState)) {
    let MemberState::Client(client) = &**state else { return };
    let mut next = client.clone();
    handler(&mut next);
    if next != *client {
        *state = Cow::Owned(MemberState::Client(next));
    }
}

impl Actor for Member {
    type Msg = Message;
    type Timer = MemberTimer;
    type State = MemberState;
    type Storage = Persistent;
    type Random = ();

    fn on_start(&self, id: Id, storage: &Option<Persistent>, o: &mut Out<Self>) -> MemberState {
        match self {
            Member::Server(raft, _) => {
                let mut out = Out::new();
                let server = raft.on_start(id, storage, &mut out);
                take_over(out, o);
                MemberState::Server(server)
            }
            Member::Mutant(mutant, _) => {
                let mut out = Out::new();
                let server = mutant.on_start(id, storage, &mut out);
                take_over(out, o);
                MemberState::Server(server)
            }
            Member::Client(client) => MemberState::Client(client.on_start(o)),
        }
    }

    fn on_msg(
        &self,
        id: Id,
        state: &mut Cow<'_, MemberState>,
        src: Id,
        msg: Message,
        o: &mut Out<Self>,
    ) {
        match self {
            Member::Server(_, fragments) | Member::Mutant(_, fragments) if fragments.lose(&msg) => {
            }
            Member::Server(raft, _) => {
                on_server(state, o, |server, out| raft.on_msg(id, server, src, msg, out));
            }
            Member::Mutant(mutant, _) => {
                on_server(state, o, |server, out| mutant.on_msg(id, server, src, msg, out));
            }
            Member::Client(client) => on_client(state, |next| client.on_msg(next, msg, o)),
        }
    }

    fn on_timeout(
        &self,
        id: Id,
        state: &mut Cow<'_, MemberState>,
        timer: &MemberTimer,
        o: &mut Out<Self>,
    ) {
        match (self, timer) {
            (Member::Server(raft, _), MemberTimer::Server(timer)) => {
                on_server(state, o, |server, out| raft.on_timeout(id, server, timer, out));
            }
            (Member::Mutant(mutant, _), MemberTimer::Server(_) | MemberTimer::Flush) => {
                on_server(state, o, |server, out| mutant.on_timeout(id, server, timer, out));
            }
            (Member::Client(client), MemberTimer::Retry) => on_client(state, |next| {
                if client.asks == Asks::InTurn {
                    next.session.on_timeout();
                }
                client.send(&next.session, o);
            }),
            (Member::Server(..), MemberTimer::Retry | MemberTimer::Flush)
            | (Member::Mutant(..), MemberTimer::Retry)
            | (Member::Client(_), MemberTimer::Server(_) | MemberTimer::Flush) => {}
        }
    }
}

impl fmt::Debug for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemberState::Server(server) => write!(f, "{server:?}"),
            MemberState::Client(client) => {
                write!(f, "client outcomes={:?}", client.outcomes)?;
                match client.session.request() {
                    Some((to, request)) => write!(f, " asks {}: {request:?}", usize::from(to)),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Debug for MemberTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemberTimer::Server(timer) => write!(f, "{timer:?}"),
            MemberTimer::Retry => f.write_str("Retry"),
            MemberTimer::Flush => f.write_str("Flush"),
        }
    }
}

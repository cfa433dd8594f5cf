//! The Raft consensus protocol: a pure function from a server and an event to a server and effects.
//!
//! Read it with the paper ("In Search of an Understandable Consensus Algorithm", extended version)
//! open at Figure 2. There is one file per box:
//!
//! | box of Figure 2 | file |
//! |---|---|
//! | State | `state.rs`, and `log.rs` for the log |
//! | RequestVote RPC, and Candidates' rules | `request_vote.rs` |
//! | AppendEntries RPC, and Leaders' rules | `append_entries.rs` |
//! | Rules for Servers | this file |
//! | section 8, client interaction; thesis section 6.3 | `client.rs` (servers), `session.rs` (clients) |
//! | RPCs are retried (section 5.5, and what a real network asks of it) | `retry.rs` |
//!
//! Three rules stand where they take effect: CAN-3 in the AppendEntries receiver, CAN-4 beside
//! FOL-2 in this file, and LDR-2 in `client.rs`.
//!
//! Every rule is quoted in a comment with an id such as `[AE-3]`, once in this folder; a test of that
//! name in `tests/figure2.rs` asserts exactly what it does, and `spec/README.md` lists them all.
//! Names are the paper's; functions are named after the actions of Ongaro's `raft.tla`.
//!
//! Nothing here knows a clock, a socket, a disk or a random source. [`Raft`] is a stateright
//! [`Actor`], and that very type is what [`crate::models`] check and what [`crate::runtime`] runs.
//!
//! A handler never panics on a message: a hostile network may deliver any well-formed one. What
//! cannot be from a correct server is dropped.

mod append_entries;
mod changes;
mod client;
mod config;
mod log;
mod request_vote;
mod retry;
mod session;
mod state;

pub use append_entries::{AppendEntries, AppendEntriesResponse, Outcome};
pub use changes::Changes;
pub use client::{ClientRequest, ClientResponse, Copies, PENDING, SessionRecord, Sessions};
pub use config::{Config, ConfigError};
pub use log::{Entry, Log, LogChange, Payload};
pub use request_vote::{RequestVote, RequestVoteResponse};
pub use retry::{Attempt, Retry};
pub use session::{Invocation, Session};
pub use state::{Disagreement, Index, Persistent, Role, Server, Term};

use crate::state_machine::StateMachine;
use serde::{Deserialize, Serialize};
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

/// A Raft server, replicating the state machine `S`.
///
/// The value holds only the configuration; [`Server`] is the state. The same value therefore serves
/// every server of a cluster: who it is comes with each event.
///
/// ```
/// use checked_raft::{kv::Kv, raft::{Config, Raft, Timer}};
/// use stateright::actor::{Actor, Id, Out};
/// use std::borrow::Cow;
///
/// let raft = Raft::<Kv>::new(Config::new([Id::from(0)])).unwrap();
/// let mut out = Out::new();
/// let server = raft.on_start(Id::from(0), &None, &mut out);
/// let mut server = Cow::Borrowed(&server);
/// raft.on_timeout(Id::from(0), &mut server, &Timer::Election, &mut out);
/// assert!(server.is_leader()); // it is the majority of its cluster
/// ```
#[derive(Clone, Debug)]
pub struct Raft<S> {
    config: Config,
    machine: PhantomData<fn() -> S>,
}

/// Everything that is sent. Fields are named as in Figure 2; who sent it is on the envelope, so
/// `candidateId` and `leaderId` are not repeated inside.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Message {
    /// "Invoked by candidates to gather votes (§5.2)."
    RequestVote(RequestVote),
    /// Its results.
    RequestVoteResponse(RequestVoteResponse),
    /// "Invoked by leader to replicate log entries (§5.3); also used as heartbeat (§5.2)."
    AppendEntries(AppendEntries),
    /// Its results.
    AppendEntriesResponse(AppendEntriesResponse),
    /// From a client.
    ClientRequest(ClientRequest),
    /// To a client.
    ClientResponse(ClientResponse),
}

/// The two timers of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// Armed on followers and candidates.
    Election,
    /// Armed on leaders.
    Heartbeat,
}

impl<S: StateMachine> Raft<S> {
    /// A server of a cluster so configured.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self { config, machine: PhantomData })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Runs one rule as a single step: the one path from an event to effects, for model and node, and
    /// the only place that saves.
    fn step(
        state: &mut Cow<'_, Server<S>>,
        o: &mut Out<Self>,
        rule: impl FnOnce(&mut Server<S>, &mut Out<Self>),
    ) {
        let mut next = Server::clone(state);
        let mut out = Out::new();
        rule(&mut next, &mut out);
        // [STORE] "Updated on stable storage before responding to RPCs": whatever changed is saved,
        // and the save goes out ahead of everything the rule sends.
        if next.persistent != state.persistent {
            o.save(next.persistent.clone());
        }
        o.append(&mut out);
        // Only a change owns the state, so that the checker sees which steps did nothing.
        if next != **state {
            *state = Cow::Owned(next);
        }
    }

    /// First half of every RPC and response.
    fn update_term(&self, server: &mut Server<S>, term: Term, o: &mut Out<Self>) {
        // [ALL-2] "If RPC request or response contains term T > currentTerm: set currentTerm = T,
        // convert to follower (§5.1)"
        if term > server.persistent.current_term {
            server.persistent.current_term = term;
            server.persistent.voted_for = None;
            self.become_follower(server, None, o);
        }
    }

    /// Steps down, or learns who leads. The vote of the term is kept: only a new term frees it.
    fn become_follower(&self, server: &mut Server<S>, leader: Option<Id>, o: &mut Out<Self>) {
        if server.is_leader() {
            o.cancel_timer(Timer::Heartbeat);
            self.reset_election_timer(o);
        }
        server.role = Role::Follower { leader };
    }

    /// "each candidate restarts its randomized election timeout at the start of an election" (§5.2);
    /// the runtime draws from the range, the model lets any armed timer fire at any time.
    fn reset_election_timer(&self, o: &mut Out<Self>) {
        o.set_timer(Timer::Election, self.config.election_timeout.clone());
    }

    /// Sets the election timer of a candidate, and of a server that has just voted for one.
    ///
    /// [CAN-5] Each election that elects nobody doubles the range of the next timeout, up to four times
    /// the configured one. So where saves or messages take long, one timeout is long enough. All
    /// earlier elections since the term of the server's last entry count as failed, since a leader
    /// begins with an entry (NOOP).
    fn await_election(&self, server: &Server<S>, o: &mut Out<Self>) {
        let (last_log_term, _) = server.persistent.log.last();
        let elections = server.persistent.current_term.0.saturating_sub(last_log_term.0);
        let factor = 1 << elections.saturating_sub(1).min(2);
        let Range { start, end } = self.config.election_timeout.clone();
        o.set_timer(Timer::Election, start.saturating_mul(factor)..end.saturating_mul(factor));
    }

    /// Applies what is committed. Every handler that may raise `commit_index` ends with it.
    fn apply_committed(server: &mut Server<S>, o: &mut Out<Self>) {
        // [ALL-1] "If commitIndex > lastApplied: increment lastApplied, apply log[lastApplied] to
        // state machine (§5.3)"
        while server.commit_index > server.last_applied {
            let index = server.last_applied.next();
            let Some(entry) = server.persistent.log.get(index).cloned() else { return };
            server.last_applied = index;
            Self::apply(server, index, entry, o);
        }
    }

    /// Whether the message can be from a correct sender: RPCs come from other servers of the
    /// cluster and say nothing that contradicts itself.
    fn is_acceptable(&self, id: Id, src: Id, msg: &Message) -> bool {
        let is_peer = src != id && self.config.servers.contains(&src);
        match msg {
            Message::RequestVote(args) => is_peer && args.is_well_formed(),
            Message::RequestVoteResponse(args) => is_peer && args.term.is_real(),
            Message::AppendEntries(args) => is_peer && args.is_well_formed(),
            Message::AppendEntriesResponse(args) => is_peer && args.term.is_real(),
            Message::ClientRequest(_) => !self.config.servers.contains(&src),
            Message::ClientResponse(_) => false,
        }
    }
}

impl Term {
    /// Whether elections can have led to it. The upper half is refused, so that a forged term cannot
    /// make the next election overflow.
    fn is_real(self) -> bool {
        (1..1 << 63).contains(&self.0)
    }

    /// The term that a server in `current_term` moves to if this one is out of its reach, else `None`.
    /// At one election in 100 ms, 2^32 elections take 13 years.
    pub fn is_beyond_reach_of(self, current_term: Term) -> Option<Term> {
        /// The number of terms that a server skips at once.
        const FURTHEST: u64 = 1 << 32;
        let furthest = Term(current_term.0.saturating_add(FURTHEST));
        (self > furthest).then_some(furthest)
    }
}

impl Message {
    /// The sender's term; messages of clients and to clients carry none.
    pub fn term(&self) -> Option<Term> {
        match self {
            Message::RequestVote(args) => Some(args.term),
            Message::RequestVoteResponse(args) => Some(args.term),
            Message::AppendEntries(args) => Some(args.term),
            Message::AppendEntriesResponse(args) => Some(args.term),
            Message::ClientRequest(_) | Message::ClientResponse(_) => None,
        }
    }
}

/// The name stands in what is inside.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Message::RequestVote(args) => args.fmt(f),
            Message::RequestVoteResponse(args) => args.fmt(f),
            Message::AppendEntries(args) => args.fmt(f),
            Message::AppendEntriesResponse(args) => args.fmt(f),
            Message::ClientRequest(args) => args.fmt(f),
            Message::ClientResponse(args) => args.fmt(f),
        }
    }
}

impl<S: StateMachine> Actor for Raft<S> {
    type Msg = Message;
    type Timer = Timer;
    type State = Server<S>;
    type Storage = Persistent;
    type Random = ();

    fn on_start(&self, _id: Id, storage: &Option<Persistent>, o: &mut Out<Self>) -> Server<S> {
        // "When servers start up, they begin as followers" (§5.2).
        self.reset_election_timer(o);
        Server::restored(storage.clone().unwrap_or_default())
    }

    fn on_msg(
        &self,
        id: Id,
        state: &mut Cow<'_, Server<S>>,
        src: Id,
        msg: Message,
        o: &mut Out<Self>,
    ) {
        // [FOL-1] "Respond to RPCs from candidates and leaders", and to nothing else.
        if state.is_halted() || !self.is_acceptable(id, src, &msg) {
            return;
        }
        // [GUARD-2] Elections of several years cannot have led to a term so far away. The server drops
        // the message and moves its own term 2^32 towards that one. So one forged message does not use
        // up all terms, and a server that is further behind still catches up.
        let current_term = state.persistent.current_term;
        if let Some(furthest) = msg.term().and_then(|term| term.is_beyond_reach_of(current_term)) {
            return Self::step(state, o, |server, o| self.update_term(server, furthest, o));
        }
        Self::step(state, o, |server, o| match msg {
            Message::RequestVote(args) => {
                self.update_term(server, args.term, o);
                self.handle_request_vote(server, src, args, o);
            }
            Message::RequestVoteResponse(args) => {
                self.update_term(server, args.term, o);
                self.handle_request_vote_response(id, server, src, args, o);
            }
            Message::AppendEntries(args) => {
                self.update_term(server, args.term, o);
                self.handle_append_entries(server, src, args, o);
            }
            Message::AppendEntriesResponse(args) => {
                self.update_term(server, args.term, o);
                self.handle_append_entries_response(server, src, args, o);
            }
            Message::ClientRequest(args) => self.client_request(server, src, args, o),
            Message::ClientResponse(_) => {}
        });
    }

    fn on_timeout(&self, id: Id, state: &mut Cow<'_, Server<S>>, timer: &Timer, o: &mut Out<Self>) {
        if state.is_halted() {
            return;
        }
        Self::step(state, o, |server, o| match (timer, server.is_leader()) {
            // [FOL-2] "If election timeout elapses without receiving AppendEntries RPC from current
            // leader or granting vote to candidate: convert to candidate"
            // [CAN-4] "If election timeout elapses: start new election"
            (Timer::Election, false) => self.start_election(id, server, o),
            (Timer::Heartbeat, true) => self.heartbeat(server, o),
            // The timer of a role the server has left.
            (Timer::Election, true) | (Timer::Heartbeat, false) => {}
        });
    }

    fn name(&self) -> String {
        "Server".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Kv;

    #[test]
    fn where_stateright_names_an_actor_it_is_a_server() {
        let raft = Raft::<Kv>::new(Config::new([Id::from(0)])).expect("a valid configuration");
        assert_eq!(raft.name(), "Server");
    }
}

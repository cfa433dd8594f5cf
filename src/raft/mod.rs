//! The Raft consensus protocol: a pure function from a server and an event to a server and effects.
//!
//! [`Raft`] holds the [`Parameters`] and implements stateright's [`Actor`]. A [`Server`] is the state of one
//! server, and its [`Persistent`] part is all that survives a crash. A model or a node calls `on_start`
//! once per start, `on_msg` for each [`Message`] and `on_timeout` for each [`Timer`] that fires. `on_msg`
//! and `on_timeout` hand one rule to `Raft::step`, which runs the rule on a copy of the server. If the rule
//! changed the persistent state, `step` puts the save ahead of everything that the rule sends.
//!
//! Read this folder with the paper ("In Search of an Understandable Consensus Algorithm", extended version)
//! open at Figure 2. This table lists the files of each box, and of the rules from outside Figure 2:
//!
//! | box of Figure 2 | file |
//! |---|---|
//! | State | `state.rs`, with `log.rs`, `sessions.rs`, `progress.rs` and `position.rs` inside it |
//! | RequestVote RPC, and Candidates' rules | `request_vote.rs` |
//! | elections that do not disturb (thesis sections 9.6, 4.2.3, 6.2) | `pre_vote.rs` |
//! | AppendEntries RPC, and Leaders' rules | `append_entries.rs` |
//! | Rules for Servers | this file |
//! | section 8, client interaction; thesis section 6.3 | `client_request.rs`, `apply.rs`; `client_session.rs` (clients) |
//! | InstallSnapshot RPC (Figure 13), and log compaction (section 7) | `install_snapshot.rs`, `snapshot.rs` |
//! | leadership transfer (thesis section 3.10) | `transfer.rs` |
//! | reads without a log entry (section 8, thesis section 6.4) | `read_index.rs` |
//! | RPCs are retried (section 5.5, and what a real network asks of it) | `retry.rs` |
//!
//! Three rules stand where they take effect, and not in the file of their box: CAN-3 in the AppendEntries
//! receiver, CAN-4 beside FOL-2 in this file, and LDR-2 in `client_request.rs`. Parts of STICK-1 and CQ-1
//! stand in this file and in `request_vote.rs`, and a part of TR-1 in `client_request.rs`. A client's command
//! passes through `client_request.rs`, `log.rs`, `append_entries.rs` and `apply.rs`, in this order.
//!
//! Every rule has an id such as `[AE-3]`, which stands once in this folder, in a comment that quotes or
//! states the rule. A test named after the id in `tests/figure2.rs` asserts exactly what the rule does, and
//! `spec/README.md` lists all rules. The code keeps the names of the paper, and its functions are named after
//! the actions of Ongaro's `raft.tla`.
//!
//! Nothing in this folder knows a clock, a socket, a disk or a random source. [`Raft`] itself is the type
//! that [`crate::models`] check and that [`crate::runtime`] runs.
//!
//! A handler never panics on a message, because a hostile network may deliver any message that can be
//! decoded. A server drops every message that no correct sender can have sent. `invariants.rs` lists the
//! invariants that no message can break, and debug builds check them after each step.

mod append_entries;
mod apply;
mod changes;
mod client_request;
mod client_session;
mod install_snapshot;
mod invariants;
mod log;
mod members;
mod message;
mod parameters;
mod position;
mod pre_vote;
mod progress;
mod read_index;
mod request_vote;
mod retry;
mod sessions;
mod snapshot;
mod state;
mod transfer;

pub use append_entries::{AppendEntries, AppendEntriesResponse, Outcome};
pub use changes::{Changes, SnapshotChange};
pub use client_request::{ClientRequest, ClientResponse, PENDING};
pub use client_session::{Invocation, Operation, Session};
pub use install_snapshot::{InstallSnapshot, InstallSnapshotResponse};
pub use log::{Entry, Log, LogChange, LogChanges, Payload};
pub use members::Members;
pub use message::Message;
pub use parameters::{Copies, Parameters, Retry, SetupError};
pub use position::{Index, Term};
pub use pre_vote::{PreVote, PreVoteResponse};
pub use progress::{Attempt, Leader, Progress, Sending};
pub use read_index::{Read, WAITING_READS};
pub use request_vote::{RequestVote, RequestVoteResponse};
pub use sessions::{SessionRecord, Sessions};
pub use snapshot::{Incoming, Place, Snapshot};
pub use state::{Disagreement, Persistent, Role, Server};
pub use transfer::{TimeoutNow, Transfer, TransferOutcome};

use crate::state_machine::StateMachine;
use serde::{Deserialize, Serialize};
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::marker::PhantomData;
use std::ops::Range;

/// A Raft server that replicates the state machine `S`.
///
/// A `Raft` holds only the parameters and the first members; a [`Server`] holds the state. One `Raft` can
/// therefore serve every server of a cluster, because each event names the server that it concerns.
///
/// ```
/// use checked_raft::{kv::Kv, raft::{Parameters, Raft, Timer}};
/// use stateright::actor::{Actor, Id, Out};
/// use std::borrow::Cow;
///
/// let raft = Raft::<Kv>::new([Id::from(0)], Parameters::default()).unwrap();
/// let mut out = Out::new();
/// let server = raft.on_start(Id::from(0), &None, &mut out);
/// let mut server = Cow::Borrowed(&server);
/// raft.on_timeout(Id::from(0), &mut server, &Timer::Election, &mut out);
/// assert!(server.is_leader()); // it is the majority of its cluster
/// ```
#[derive(Clone, Debug)]
pub struct Raft<S> {
    members: Members,
    parameters: Parameters,
    machine: PhantomData<fn() -> S>,
}

/// The timers of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// The election timer, armed on every server that does not lead. On a leader it measures the time in
    /// which the leader must hear from a majority (CQ-1).
    Election,
    /// The heartbeat timer, armed on leaders.
    Heartbeat,
    /// The minimum election timeout since a follower heard from its leader (STICK-1).
    Stickiness,
    /// The time after which a leader gives up a transfer of the leadership (TR-3).
    Transfer,
}

impl<S: StateMachine> Raft<S> {
    /// The actor for the servers of a cluster with these members. All servers of a cluster must be given the
    /// same members. Parameters may differ from server to server.
    ///
    /// # Errors
    ///
    /// Fails if there is no member, or if [`Parameters::validate`] refuses the parameters.
    pub fn new(
        members: impl IntoIterator<Item = Id>,
        parameters: Parameters,
    ) -> Result<Self, SetupError> {
        let members: Members = members.into_iter().collect();
        if members.is_empty() {
            return Err(SetupError::NoMembers);
        }
        parameters.validate()?;
        Ok(Self { members, parameters, machine: PhantomData })
    }

    /// The members that a server starts with.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// The parameters of the protocol.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Runs one rule as a single step. Models and nodes take this one path from a message or a timeout to its
    /// effects, and no other function saves.
    fn step(
        state: &mut Cow<'_, Server<S>>,
        o: &mut Out<Self>,
        rule: impl FnOnce(&mut Server<S>, &mut Out<Self>),
    ) {
        let mut next = Server::clone(state);
        let mut out = Out::new();
        rule(&mut next, &mut out);
        // [STORE] "Updated on stable storage before responding to RPCs": if the rule changed the persistent
        // state, the save goes out ahead of everything the rule sends.
        if next.persistent != state.persistent {
            o.save(next.persistent.clone());
        }
        o.append(&mut out);
        if cfg!(debug_assertions) {
            next.check(state);
        }
        // The state becomes owned only if it changed, so that the checker sees which steps did nothing.
        if next != **state {
            *state = Cow::Owned(next);
        }
    }

    /// Adopts a later term. `on_msg` calls it before the handler of every RPC and of every response.
    fn update_term(&self, server: &mut Server<S>, term: Term, o: &mut Out<Self>) {
        // [ALL-2] "If RPC request or response contains term T > currentTerm: set currentTerm = T,
        // convert to follower (§5.1)"
        if term > server.persistent.current_term {
            server.persistent.current_term = term;
            server.persistent.voted_for = None;
            server.incoming = None; // it was the snapshot of an earlier leader
            self.become_follower(server, None, o);
        }
    }

    /// Makes the server a follower: of `leader`, or of nobody yet. The vote of the term is kept, because
    /// only a new term frees it.
    fn become_follower(&self, server: &mut Server<S>, leader: Option<Id>, o: &mut Out<Self>) {
        if let Role::Leader(left) = &server.role {
            o.cancel_timer(Timer::Heartbeat);
            self.reset_election_timer(o);
            Self::refuse_reads(left, o);
            Self::end_transfer(left, o);
        }
        let is_sticky = leader.is_some() && self.parameters.stickiness;
        if is_sticky {
            self.begin_stickiness(o);
        } else {
            Self::end_stickiness(server, o);
        }
        server.role = Role::Follower { leader, is_sticky };
    }

    /// "each candidate restarts its randomized election timeout at the start of an election" (§5.2). This
    /// function sets the timer to the configured range; a candidate uses `await_election`. The runtime
    /// draws the timeout from the range, and a model lets any armed timer fire at any time.
    fn reset_election_timer(&self, o: &mut Out<Self>) {
        o.set_timer(Timer::Election, self.parameters.election_timeout.clone());
    }

    /// Sets the election timer of a candidate, and of a server that has just voted for one.
    ///
    /// [CAN-5] Each election that elects nobody doubles the range of the next timeout, up to four times
    /// the configured range. So timeouts become long enough where saves or messages take long. Every earlier
    /// election since the term of the server's last entry counts as failed, because a leader begins its term
    /// with an entry (NOOP).
    fn await_election(&self, server: &Server<S>, o: &mut Out<Self>) {
        let (last_log_term, _) = server.persistent.log.last();
        let elections = server.persistent.current_term.0.saturating_sub(last_log_term.0);
        let factor = 1 << elections.saturating_sub(1).min(2);
        let Range { start, end } = self.parameters.election_timeout.clone();
        o.set_timer(Timer::Election, start.saturating_mul(factor)..end.saturating_mul(factor));
    }

    /// Whether a correct sender can have sent the message. Only another server of the cluster sends RPCs and
    /// their responses, and no RPC contradicts itself. No server sends client requests or
    /// receives client responses.
    fn is_acceptable(server: &Server<S>, id: Id, src: Id, msg: &Message) -> bool {
        let is_member = server.members.contains(src);
        let is_peer = src != id && is_member;
        match msg {
            Message::RequestVote(args) => is_peer && args.is_well_formed(),
            Message::RequestVoteResponse(args) => is_peer && args.term.is_real(),
            Message::PreVote(args) => is_peer && args.is_well_formed(),
            Message::PreVoteResponse(args) => is_peer && args.is_well_formed(),
            Message::TimeoutNow(args) => is_peer && args.is_well_formed(),
            Message::AppendEntries(args) => is_peer && args.is_well_formed(),
            Message::AppendEntriesResponse(args) => is_peer && args.term.is_real(),
            Message::InstallSnapshot(args) => is_peer && args.is_well_formed(),
            Message::InstallSnapshotResponse(args) => is_peer && args.term.is_real(),
            Message::ClientRequest(_) => !is_member,
            Message::ClientResponse(_) => false,
        }
    }
}

impl<S: StateMachine> Actor for Raft<S> {
    type Msg = Message;
    type Timer = Timer;
    type State = Server<S>;
    type Storage = Persistent<S>;
    type Random = ();

    fn on_start(&self, _id: Id, storage: &Option<Persistent<S>>, o: &mut Out<Self>) -> Server<S> {
        // "When servers start up, they begin as followers" (§5.2).
        self.reset_election_timer(o);
        Server::restored(self.members.clone(), storage.clone().unwrap_or_default())
    }

    fn on_msg(
        &self,
        id: Id,
        state: &mut Cow<'_, Server<S>>,
        src: Id,
        msg: Message,
        o: &mut Out<Self>,
    ) {
        // [FOL-1] "Respond to RPCs from candidates and leaders". A halted server answers nothing,
        // and a message that is not acceptable is dropped.
        if state.is_halted() || !Self::is_acceptable(state, id, src, &msg) {
            return;
        }
        // part of STICK-1
        if let Message::RequestVote(RequestVote { leadership_transfer: false, .. }) = msg
            && self.is_sticky(state)
        {
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
            Message::PreVote(args) => self.handle_pre_vote(server, src, &args, o),
            Message::PreVoteResponse(args) => {
                self.update_term(server, args.term, o);
                self.handle_pre_vote_response(id, server, src, &args, o);
            }
            Message::AppendEntries(args) => {
                self.update_term(server, args.term, o);
                self.handle_append_entries(server, src, args, o);
            }
            Message::AppendEntriesResponse(args) => {
                self.update_term(server, args.term, o);
                self.handle_append_entries_response(server, src, args, o);
            }
            Message::InstallSnapshot(args) => {
                self.update_term(server, args.term, o);
                self.handle_install_snapshot(server, src, args, o);
            }
            Message::InstallSnapshotResponse(args) => {
                self.update_term(server, args.term, o);
                self.handle_install_snapshot_response(server, src, args, o);
            }
            Message::TimeoutNow(args) => {
                self.update_term(server, args.term, o);
                self.handle_timeout_now(id, server, &args, o);
            }
            Message::ClientRequest(args) => self.client_request(id, server, src, args, o),
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
            (Timer::Election, false) => self.campaign(id, server, o),
            (Timer::Election, true) if self.parameters.check_quorum => self.check_quorum(server, o),
            (Timer::Heartbeat, true) => self.heartbeat(server, o),
            (Timer::Stickiness, false) => Self::stickiness_elapsed(server),
            (Timer::Transfer, true) => Self::abort_transfer(server, o),
            // The timer belongs to a role that the server has left.
            (Timer::Election | Timer::Stickiness, true)
            | (Timer::Heartbeat | Timer::Transfer, false) => {}
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
    fn a_cluster_has_a_member() {
        let error = Raft::<Kv>::new([], Parameters::default()).expect_err("nobody is there");
        assert_eq!(error, SetupError::NoMembers);
    }

    #[test]
    fn where_stateright_names_an_actor_it_is_a_server() {
        let raft = Raft::<Kv>::new([Id::from(0)], Parameters::default()).expect("valid");
        assert_eq!(raft.name(), "Server");
    }
}

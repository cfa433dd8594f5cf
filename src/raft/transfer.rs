//! Leadership transfer (thesis section 3.10).
//!
//! A client asks the leader to hand over to another server. From then on the leader takes no requests. It
//! brings the log of that server up to date and sends it a [`TimeoutNow`]. The server stands for election at
//! once, without asking for pre-votes. Its RequestVote says that the leader wants it, so it passes
//! stickiness. The old leader learns of the later term and steps down.
//!
//! If that does not happen within an election timeout, the leader gives up and takes requests again. A
//! TimeoutNow may arrive later than that, and then it costs an election.
//!
//! The old leader refers the client to the server that was to lead. The client asks that server again. If it
//! leads, it answers so.

use super::client_request::ClientResponse;
use super::position::{Index, Term};
use super::progress::Leader;
use super::state::{Role, Server};
use super::{Message, Raft, Timer};
use crate::state_machine::StateMachine;
use serde::{Deserialize, Serialize};
use stateright::actor::{Id, Out};

/// A leader's request that its receiver stand for election at once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TimeoutNow {
    /// The leader's term.
    pub term: Term,
    /// The index of the leader's last log entry.
    pub last_log_index: Index,
    /// The term of the leader's last log entry.
    pub last_log_term: Term,
}

/// A transfer under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Transfer {
    /// The server that is to lead.
    pub to: Id,
    /// The client that has asked for it.
    pub client: Id,
    /// The client's number for the request.
    pub sequence: u64,
}

/// The end of a transfer, as a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TransferOutcome {
    /// The server that was to lead now leads.
    Leads,
    /// The leader has given up: the other server did not take over within an election timeout.
    TimedOut,
    /// The cluster has no such server.
    NoMember,
}

impl TimeoutNow {
    /// Whether a correct leader can have sent these arguments. The last entry of a leader is of its term.
    pub(super) fn is_well_formed(&self) -> bool {
        self.term.is_real() && self.last_log_term == self.term && self.last_log_index > Index(0)
    }
}

// ---- leaders ----

impl<S: StateMachine> Raft<S> {
    /// Takes a client's request for a transfer.
    ///
    /// [TR-1] "The prior leader stops accepting new client requests" (thesis 3.10). A leader has one transfer
    /// under way at a time.
    pub(super) fn transfer(
        &self,
        id: Id,
        server: &mut Server<S>,
        Transfer { to, client, sequence }: Transfer,
        o: &mut Out<Self>,
    ) {
        let answer =
            |outcome| Message::ClientResponse(ClientResponse::Transfer { sequence, outcome });
        if to == id {
            return o.send(client, answer(TransferOutcome::Leads));
        }
        if !server.members.contains(to) {
            return o.send(client, answer(TransferOutcome::NoMember));
        }
        let Role::Leader(leader) = &mut server.role else { return };
        if leader.transfer.is_some() {
            return; // the client will ask again
        }
        leader.transfer = Some(Transfer { to, client, sequence });
        o.set_timer(Timer::Transfer, self.parameters.election_timeout.clone());
        Self::send_timeout_now_if_due(server, o);
    }

    /// Tells the server that is to lead, once it is known to have the leader's whole log. The leader does so
    /// when the client asks, after each answer of a follower, and with each heartbeat.
    ///
    /// [TR-2] "The prior leader fully updates the target server's log to match its own, using the normal log
    /// replication mechanism" and "sends a TimeoutNow request to the target server" (thesis 3.10).
    pub(super) fn send_timeout_now_if_due(server: &Server<S>, o: &mut Out<Self>) {
        let Some(Leader { followers, transfer: Some(transfer), .. }) = server.leader() else {
            return;
        };
        let (last_log_term, last_log_index) = server.persistent.log.last();
        if followers[&transfer.to].match_index == last_log_index {
            let term = server.persistent.current_term;
            let args = TimeoutNow { term, last_log_index, last_log_term };
            o.send(transfer.to, Message::TimeoutNow(args));
        }
    }

    /// [TR-3] "If leadership transfer does not complete after about an election timeout, the prior leader
    /// aborts the transfer and resumes accepting client requests" (thesis 3.10).
    pub(super) fn abort_transfer(server: &mut Server<S>, o: &mut Out<Self>) {
        let Role::Leader(leader) = &mut server.role else { return };
        if let Some(Transfer { client, sequence, .. }) = leader.transfer.take() {
            let outcome = TransferOutcome::TimedOut;
            let response = ClientResponse::Transfer { sequence, outcome };
            o.send(client, Message::ClientResponse(response));
        }
    }

    /// Refers the client of a leader that steps down to the server that was to lead.
    pub(super) fn end_transfer(leader: &Leader<S>, o: &mut Out<Self>) {
        if let Some(Transfer { to, client, sequence }) = leader.transfer {
            o.cancel_timer(Timer::Transfer);
            let response = ClientResponse::NotLeader { sequence, leader: Some(to) };
            o.send(client, Message::ClientResponse(response));
        }
    }
}

// ---- followers ----

impl<S: StateMachine> Raft<S> {
    /// The receiver's side of TimeoutNow. `update_term` has run before, so `args.term <= current_term`.
    ///
    /// [TR-4] "This request has the same effect as the target server's election timer firing: the target
    /// server starts a new election" (thesis 3.10). A request of an earlier term does nothing. Neither does
    /// one that names a later entry than the server's last. No correct leader sends that one.
    pub(super) fn handle_timeout_now(
        &self,
        id: Id,
        server: &mut Server<S>,
        args: &TimeoutNow,
        o: &mut Out<Self>,
    ) {
        let is_current = args.term == server.persistent.current_term && !server.is_leader();
        let is_behind = server.persistent.log.last() < (args.last_log_term, args.last_log_index);
        if is_current && !is_behind {
            self.start_election(id, server, true, o);
        }
    }
}

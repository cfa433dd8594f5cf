//! Elections that do not disturb a working leader: thesis sections 9.6, 4.2.3 and 6.2.
//!
//! A server that has lost its connection stands for election again and again. Under Figure 2 alone, its term
//! grows meanwhile. When the server returns, its later term deposes a leader that worked. Three rules prevent
//! this, and [`Parameters`](super::Parameters) has a switch for each:
//!
//! 1. *Pre-vote*. A server asks the others whether they would vote for it, before it begins a term. Only
//!    when a majority says yes does it stand for election (PV-1 to PV-3). Nobody saves anything for that.
//! 2. *Stickiness*. A leader, and a server that has heard from its leader within the minimum election
//!    timeout, grants no vote and no pre-vote (STICK-1).
//! 3. *Check-quorum*. A leader that has not heard from a majority for an election timeout steps down (CQ-1).
//!
//! Stickiness needs check-quorum. While followers hear a leader that hears nobody, only that leader can end
//! its term.
//!
//! A [`PreVoteResponse`] is a message of its own, so nobody can take it for a vote. A late answer to an
//! earlier question about the same term may count. Then it costs an election, which the voters judge as any
//! other.

use super::position::{Index, Term};
use super::state::{Role, Server};
use super::{Message, Raft, Timer};
use crate::state_machine::StateMachine;
use serde::{Deserialize, Serialize};
use stateright::actor::{Id, Out};
use std::collections::BTreeSet;

/// The question of a server that would like to stand for election.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PreVote {
    /// The term that the sender would begin: the one after its own. Nobody adopts it.
    pub next_term: Term,
    /// The index of the sender's last log entry.
    pub last_log_index: Index,
    /// The term of the sender's last log entry.
    pub last_log_term: Term,
}

/// The answer to a [`PreVote`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PreVoteResponse {
    /// The current term of the server that answers, for the other one to update itself.
    pub term: Term,
    /// The term that the question was about.
    pub next_term: Term,
    /// Whether the server would vote for the one that asks.
    pub pre_vote_granted: bool,
}

impl PreVote {
    /// Whether a correct server can have sent these arguments. The RequestVote that would follow has
    /// the same arguments.
    pub(super) fn is_well_formed(&self) -> bool {
        self.next_term.is_real()
            && self.last_log_term < self.next_term
            && (self.last_log_index == Index(0)) == (self.last_log_term == Term(0))
    }
}

impl PreVoteResponse {
    /// Whether a correct server can have sent this answer. A server that answers may still be in term 0.
    pub(super) fn is_well_formed(&self) -> bool {
        self.next_term.is_real() && (self.term == Term(0) || self.term.is_real())
    }
}

// ---- pre-vote ----

impl<S: StateMachine> Raft<S> {
    /// Begins a campaign when the election timer fires: with a pre-vote, or with the election itself.
    pub(super) fn campaign(&self, id: Id, server: &mut Server<S>, o: &mut Out<Self>) {
        if self.parameters.pre_vote {
            self.start_pre_vote(id, server, o);
        } else {
            self.start_election(id, server, false, o);
        }
    }

    /// [PV-1] "a candidate only increments its term if it first learns from a majority of the cluster that
    /// they would be willing to grant the candidate their votes" (thesis 9.6). The server draws a new
    /// election timeout for each campaign. It asks again when that timeout has elapsed.
    fn start_pre_vote(&self, id: Id, server: &mut Server<S>, o: &mut Out<Self>) {
        Self::end_stickiness(server, o);
        server.role = Role::PreCandidate { pre_votes_granted: BTreeSet::from([id]) };
        self.await_election(server, o);

        let (last_log_term, last_log_index) = server.persistent.log.last();
        let next_term = server.persistent.current_term.next();
        let args = PreVote { next_term, last_log_index, last_log_term };
        for peer in server.members.others(id) {
            o.send(peer, Message::PreVote(args.clone()));
        }
        self.start_election_if_welcome(id, server, o);
    }

    /// The receiver's side of a pre-vote, which changes nothing.
    ///
    /// [PV-2] A server would vote for a candidate "if the candidate's log is sufficiently up-to-date, and the
    /// voters have not received heartbeats from a valid leader for at least a baseline election timeout"
    /// (thesis 9.6). The term of the question must be later than the voter's own. In a later term the voter
    /// has not voted yet. A refusal carries the voter's term, so that a server of an earlier term adopts the
    /// later one.
    pub(super) fn handle_pre_vote(
        &self,
        server: &Server<S>,
        sender: Id,
        args: &PreVote,
        o: &mut Out<Self>,
    ) {
        let term = server.persistent.current_term;
        let pre_vote_granted = args.next_term > term
            && (args.last_log_term, args.last_log_index) >= server.persistent.log.last()
            && !self.is_sticky(server);
        let response = PreVoteResponse { term, next_term: args.next_term, pre_vote_granted };
        o.send(sender, Message::PreVoteResponse(response));
    }

    /// Counts a pre-vote. An answer counts only if it is about the term that would come next, and only while
    /// the server still asks.
    pub(super) fn handle_pre_vote_response(
        &self,
        id: Id,
        server: &mut Server<S>,
        voter: Id,
        args: &PreVoteResponse,
        o: &mut Out<Self>,
    ) {
        if args.next_term != server.persistent.current_term.next() || !args.pre_vote_granted {
            return;
        }
        if let Role::PreCandidate { pre_votes_granted } = &mut server.role {
            pre_votes_granted.insert(voter);
            self.start_election_if_welcome(id, server, o);
        }
    }

    /// [PV-3] The server stands for election as soon as a majority would vote for it, itself included.
    fn start_election_if_welcome(&self, id: Id, server: &mut Server<S>, o: &mut Out<Self>) {
        let Role::PreCandidate { pre_votes_granted } = &server.role else { return };
        if pre_votes_granted.len() >= server.members.majority() {
            self.start_election(id, server, false, o);
        }
    }
}

// ---- stickiness ----

impl<S: StateMachine> Raft<S> {
    /// [STICK-1] "if a server receives a RequestVote request within the minimum election timeout of hearing
    /// from a current leader, it does not update its term or grant its vote" (thesis 4.2.3). A leader
    /// counts as hearing from a leader.
    pub(super) fn is_sticky(&self, server: &Server<S>) -> bool {
        match server.role {
            Role::Leader(_) => self.parameters.stickiness,
            Role::Follower { is_sticky, .. } => is_sticky,
            Role::PreCandidate { .. } | Role::Candidate { .. } | Role::Halted(_) => false,
        }
    }

    /// Sets the timer that ends the stickiness of a follower that has heard from its leader.
    pub(super) fn begin_stickiness(&self, o: &mut Out<Self>) {
        let minimum = self.parameters.election_timeout.start;
        o.set_timer(Timer::Stickiness, minimum..minimum);
    }

    /// Ends the stickiness when a follower takes another role or loses its leader.
    pub(super) fn end_stickiness(server: &Server<S>, o: &mut Out<Self>) {
        if let Role::Follower { is_sticky: true, .. } = server.role {
            o.cancel_timer(Timer::Stickiness);
        }
    }

    /// The minimum election timeout has elapsed since the follower heard from its leader.
    pub(super) fn stickiness_elapsed(server: &mut Server<S>) {
        if let Role::Follower { is_sticky, .. } = &mut server.role {
            *is_sticky = false;
        }
    }
}

// ---- check-quorum ----

impl<S: StateMachine> Raft<S> {
    /// [CQ-1] "a leader in Raft steps down if an election timeout elapses without a successful round of
    /// heartbeats to a majority of its cluster" (thesis 6.2). The election timer of a leader measures that
    /// time.
    pub(super) fn check_quorum(&self, server: &mut Server<S>, o: &mut Out<Self>) {
        let majority = server.members.majority();
        let Role::Leader(leader) = &mut server.role else { return };
        let heard = 1 + leader.followers.values().filter(|it| it.is_heard).count();
        if heard < majority {
            return self.become_follower(server, None, o);
        }
        for progress in leader.followers.values_mut() {
            progress.is_heard = false;
        }
        self.reset_election_timer(o);
    }

    /// Notes that a follower has answered in this term.
    pub(super) fn note_heard(&self, server: &mut Server<S>, follower: Id) {
        if self.parameters.check_quorum {
            server.role.progress(follower).is_heard = true;
        }
    }
}

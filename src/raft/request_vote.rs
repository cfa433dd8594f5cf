//! The RequestVote RPC box of Figure 2, and the rules for Candidates.
//!
//! `start_election` makes a server a candidate: when its election timer fires, when a majority has granted it
//! pre-votes (`pre_vote.rs`), or when its leader wants it to lead (`transfer.rs`). The candidate sends a
//! [`RequestVote`] to every other server. A voter decides in `handle_request_vote` and answers with a
//! [`RequestVoteResponse`]. The candidate counts the granted votes in `handle_request_vote_response`. On a
//! majority, `become_leader_if_elected` makes it the leader. A server votes for at most one candidate per
//! term, so a term has at most one leader.

use super::log::{Entry, Payload};
use super::position::{Index, Term};
use super::progress::Leader;
use super::state::{Role, Server};
use super::{Message, Raft, Timer};
use crate::state_machine::StateMachine;
use serde::{Deserialize, Serialize};
use stateright::actor::{Id, Out};
use std::collections::BTreeSet;

/// The arguments of RequestVote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestVote {
    /// "candidate's term"
    pub term: Term,
    /// "index of candidate's last log entry (§5.4)"
    pub last_log_index: Index,
    /// "term of candidate's last log entry (§5.4)"
    pub last_log_term: Term,
    /// Whether the leader wants this election: "a special flag" with which "requests bypass the mechanism"
    /// of stickiness (thesis 4.2.3).
    pub leadership_transfer: bool,
}

/// The results of RequestVote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestVoteResponse {
    /// "currentTerm, for candidate to update itself"
    pub term: Term,
    /// "true means candidate received vote"
    pub vote_granted: bool,
}

impl RequestVote {
    /// Whether a correct candidate can have sent these arguments. A candidate's term is later than the term
    /// of any entry it holds.
    pub(super) fn is_well_formed(&self) -> bool {
        self.term.is_real()
            && self.last_log_term < self.term
            && (self.last_log_index == Index(0)) == (self.last_log_term == Term(0))
    }
}

impl<S: StateMachine> Raft<S> {
    /// Does raft.tla's `Timeout` and `RequestVote` in one step.
    ///
    /// [CAN-1] "On conversion to candidate, start election: Increment currentTerm; Vote for self;
    /// Reset election timer; Send RequestVote RPCs to all other servers"
    pub(super) fn start_election(
        &self,
        id: Id,
        server: &mut Server<S>,
        leadership_transfer: bool,
        o: &mut Out<Self>,
    ) {
        Self::end_stickiness(server, o);
        let persistent = &mut server.persistent;
        persistent.current_term = persistent.current_term.next();
        persistent.voted_for = Some(id);
        server.role = Role::Candidate { votes_granted: BTreeSet::from([id]) };
        server.incoming = None; // it was the snapshot of an earlier leader
        self.await_election(server, o);

        let (last_log_term, last_log_index) = server.persistent.log.last();
        let term = server.persistent.current_term;
        let args = RequestVote { term, last_log_index, last_log_term, leadership_transfer };
        for peer in server.members.others(id) {
            o.send(peer, Message::RequestVote(args.clone()));
        }
        self.become_leader_if_elected(id, server, o);
    }

    /// The receiver's side of RequestVote. `update_term` has run before, so `args.term <= current_term`.
    pub(super) fn handle_request_vote(
        &self,
        server: &mut Server<S>,
        candidate: Id,
        args: RequestVote,
        o: &mut Out<Self>,
    ) {
        let persistent = &mut server.persistent;
        // [RV-1] "Reply false if term < currentTerm (§5.1)"
        // [RV-2] "If votedFor is null or candidateId, and candidate's log is at least as up-to-date
        // as receiver's log, grant vote (§5.2, §5.4)"
        let vote_granted = args.term == persistent.current_term
            && persistent.voted_for.is_none_or(|id| id == candidate)
            && (args.last_log_term, args.last_log_index) >= persistent.log.last();
        if vote_granted {
            persistent.voted_for = Some(candidate);
            // A server that votes for another one ends its own pre-vote.
            if let Role::PreCandidate { .. } = server.role {
                server.role = Role::follower(None);
            }
            self.await_election(server, o); // part of FOL-2
        }
        let term = server.persistent.current_term;
        let response = RequestVoteResponse { term, vote_granted };
        o.send(candidate, Message::RequestVoteResponse(response));
    }

    /// Counts a granted vote. A reply counts only in the term it was given in, and only while the server is
    /// still a candidate.
    pub(super) fn handle_request_vote_response(
        &self,
        id: Id,
        server: &mut Server<S>,
        voter: Id,
        args: RequestVoteResponse,
        o: &mut Out<Self>,
    ) {
        if args.term != server.persistent.current_term || !args.vote_granted {
            return;
        }
        if let Role::Candidate { votes_granted } = &mut server.role {
            votes_granted.insert(voter);
            self.become_leader_if_elected(id, server, o);
        }
    }

    /// Does raft.tla's `BecomeLeader` as soon as that action is enabled.
    fn become_leader_if_elected(&self, id: Id, server: &mut Server<S>, o: &mut Out<Self>) {
        let Role::Candidate { votes_granted } = &server.role else { return };
        // [CAN-2] "If votes received from majority of servers: become leader"
        if votes_granted.len() < server.members.majority() {
            return;
        }
        let last_log_index = server.persistent.log.last_index();
        server.role = Role::Leader(Leader::elected(server.members.others(id), last_log_index));
        if self.parameters.check_quorum {
            self.reset_election_timer(o); // part of CQ-1
        } else {
            o.cancel_timer(Timer::Election);
        }
        // [NOOP] "each leader [commits] a blank no-op entry into the log at the start of its term"
        // (§8): until an entry of its term is committed, a leader does not know which entries are.
        let term = server.persistent.current_term;
        server.persistent.log.append(Entry { term, payload: Payload::Noop });
        self.heartbeat(server, o);
        self.advance_commit_index(server, o);
    }
}

//! Reads without a log entry (section 8, thesis section 6.4).
//!
//! A read changes nothing, so it needs no entry. But a leader that has been deposed does not know that, and
//! its state may be old. So a leader first makes sure that it still leads. It sends a round of AppendEntries,
//! and each answer repeats the number of the round. Suppose that a majority has answered a round which began
//! after the read came. Then no later leader had been elected when the read came. The leader answers from its
//! state machine (READ-3), once it has applied all that was committed when the read came (READ-1).
//!
//! All reads that wait share one round. A read that comes while a round is under way waits for the next one,
//! because the answers to the present round may be older than the read. Every AppendEntries carries the
//! present round, so the next one repeats a round that was lost.
//!
//! A read has no session. It may be repeated, and each copy is a read of its own.

use super::client_request::ClientResponse;
use super::position::Index;
use super::progress::Leader;
use super::state::{Role, Server};
use super::{Message, Raft};
use crate::state_machine::StateMachine;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stateright::actor::{Id, Out};

/// A leader drops reads while this many wait.
pub const WAITING_READS: usize = 4096;

/// A read that waits for its leader to make sure that it leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Read {
    /// The client to answer.
    pub client: Id,
    /// The client's number for the request.
    pub sequence: u64,
    /// The query: opaque bytes.
    pub query: Bytes,
    /// The first round that began after the read came.
    pub round: u64,
    /// The index up to which the state machine must have applied entries.
    pub index: Index,
}

impl<S: StateMachine> Raft<S> {
    /// Takes a read of a client.
    pub(super) fn read(
        server: &mut Server<S>,
        client: Id,
        sequence: u64,
        query: Bytes,
        o: &mut Out<Self>,
    ) {
        // [READ-1] "The leader saves its current commit index in a local variable readIndex" (thesis 6.4). A
        // new leader does not know yet which entries are committed, but all of them stand before the first
        // entry of its term. So the read waits for that entry, too.
        let first_of_term = server.persistent.log.first_index_of(server.persistent.current_term);
        let index = first_of_term.map_or(server.commit_index, |it| it.max(server.commit_index));
        let confirmed = server.confirmed_round();
        let Role::Leader(leader) = &mut server.role else { return };
        let is_copy = |it: &Read| (it.client, it.sequence) == (client, sequence);
        if leader.reads.len() >= WAITING_READS || leader.reads.iter().any(is_copy) {
            return;
        }
        let is_idle = confirmed == leader.round;
        let round = leader.round + 1;
        leader.reads.push(Read { client, sequence, query, round, index });
        if is_idle {
            Self::begin_round(server, o);
        }
        Self::answer_reads(server, o);
    }

    /// [READ-2] "the leader needs to make sure it hasn't been superseded by a newer leader of which it is
    /// unaware. It issues a new round of heartbeats and waits for their acknowledgments from a majority of
    /// the cluster" (thesis 6.4). The requests of a round carry its number and no entries. They arm no timer.
    fn begin_round(server: &mut Server<S>, o: &mut Out<Self>) {
        let Role::Leader(leader) = &mut server.role else { return };
        leader.round += 1;
        for follower in leader.followers.keys().copied().collect::<Vec<_>>() {
            if let Some((prev_log_index, prev_log_term)) = server.asks_about(follower) {
                Self::empty_append_entries(server, follower, prev_log_index, prev_log_term, o);
            }
        }
    }

    /// Answers the reads that need wait no longer, and begins the next round if reads wait for it. A leader
    /// calls this function when a read comes, and after every answer to an AppendEntries.
    ///
    /// [READ-3] "The leader waits for its state machine to advance at least as far as the readIndex" and
    /// "issues the query against its state machine and replies to the client with the results" (thesis 6.4).
    pub(super) fn answer_reads(server: &mut Server<S>, o: &mut Out<Self>) {
        let confirmed = server.confirmed_round();
        let applied = server.last_applied;
        let Role::Leader(leader) = &mut server.role else { return };
        let is_due = |read: &Read| read.round <= confirmed && read.index <= applied;
        for read in leader.reads.iter().filter(|read| is_due(read)) {
            let (sequence, response) = (read.sequence, server.machine.query(&read.query));
            let response = ClientResponse::Read { sequence, response };
            o.send(read.client, Message::ClientResponse(response));
        }
        leader.reads.retain(|read| !is_due(read));
        let next_is_due = leader.reads.iter().any(|read| read.round > leader.round);
        if next_is_due && confirmed == leader.round {
            Self::begin_round(server, o);
        }
    }

    /// Refuses the reads of a leader that steps down. Their clients will ask others.
    pub(super) fn refuse_reads(leader: &Leader<S>, o: &mut Out<Self>) {
        for Read { client, sequence, .. } in &leader.reads {
            let response = ClientResponse::NotLeader { sequence: *sequence, leader: None };
            o.send(*client, Message::ClientResponse(response));
        }
    }
}

impl<S> Server<S> {
    /// The latest round that a majority has answered, this leader included. Zero if the server does not lead.
    pub(super) fn confirmed_round(&self) -> u64 {
        let Some(leader) = self.leader() else { return 0 };
        let mut rounds: Vec<u64> = leader.followers.values().map(|it| it.round).collect();
        rounds.push(leader.round);
        rounds.sort_unstable_by(|a, b| b.cmp(a));
        rounds[self.members.majority() - 1]
    }
}

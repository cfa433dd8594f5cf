//! How a leader repeats entries that a follower has not answered.
//!
//! A leader sends entries with `append_entries` and heartbeats with `heartbeat_to`. The leader calls
//! `send_again` when a follower's answer shows that entries were lost. [`Retry`] is the parameter that
//! chooses between two ways to repeat entries.
//!
//! Figure 2 says only that RPCs are retried. Some networks cut a large datagram into fragments. There, a
//! heartbeat that carries all pending entries is lost as soon as one fragment is, and then it does not
//! serve as a heartbeat. Under [`Retry::WhenLost`] a leader therefore remembers, for each follower, the
//! last AppendEntries with entries that the follower has not answered, as an [`Attempt`]. Until the answer
//! comes:
//!
//! 1. Each heartbeat is empty and asks about the *end* of that AppendEntries (LDR-5). A follower that got
//!    the entries answers that its log matches there. A follower that did not get them answers that its log
//!    conflicts there, which shows the leader that they were lost.
//! 2. The leader sends lost entries again, half as many bytes at a time (LDR-6).
//!
//! So a follower that does not answer costs one empty heartbeat at a time. A leader repeats entries only
//! to a follower that has just shown that it can be reached.
//!
//! The leader needs no clock. If it sent a heartbeat after the entries, the follower answers that heartbeat
//! after the entries. If the network reorders the two, the leader sends the entries twice, which does no
//! harm.

use super::append_entries::AppendEntries;
use super::position::{Index, Term};
use super::progress::{Attempt, Progress, Sending};
use super::state::Server;
use super::{Message, Parameters, Raft, Retry};
use crate::state_machine::StateMachine;
use stateright::actor::{Id, Out};

/// The longest pause, as a power of two: 16 heartbeats.
const LONGEST_PAUSE: u32 = 4;

impl Parameters {
    /// The largest number of bytes of entries in an AppendEntries after this many losses.
    pub(super) fn batch_bytes(&self, losses: u32) -> usize {
        match self.retry {
            Retry::EveryHeartbeat => self.max_bytes,
            Retry::WhenLost { smallest_batch } => {
                (self.max_bytes >> losses).max(smallest_batch.min(self.max_bytes))
            }
        }
    }

    /// The number of times a batch is halved before it is as small as it gets.
    pub(super) fn halvings(&self) -> u32 {
        (0..usize::BITS)
            .find(|losses| self.batch_bytes(*losses) == self.batch_bytes(*losses + 1))
            .unwrap_or(0)
    }
}

impl<S: StateMachine> Raft<S> {
    /// Does raft.tla's `AppendEntries`: sends one follower the entries that it is believed to lack.
    ///
    /// [LDR-3] "If last log index ≥ nextIndex for a follower: send AppendEntries RPC with log entries
    /// starting at nextIndex", within the limits on a message.
    pub(super) fn append_entries(&self, server: &mut Server<S>, follower: Id, o: &mut Out<Self>) {
        let Progress { next_index: next, attempt, sending, .. } = server.role.progress(follower);
        let log = &server.persistent.log;
        let prev_log_index = next.prev();
        let prev_log_term = match (&sending, log.term(prev_log_index)) {
            (Some(_), _) => return self.send_piece(server, follower, o),
            (None, None) => return self.begin_snapshot(server, follower, o),
            (None, Some(term)) => term,
        };
        let losses = attempt.map_or(0, |attempt| attempt.losses);
        let entries = log.entries_from(
            *next,
            self.parameters.max_entries,
            self.parameters.batch_bytes(losses),
        );
        if let (Retry::WhenLost { .. }, false) = (self.parameters.retry, entries.is_empty()) {
            let last = Some(Index(next.prev().0 + entries.len() as u64));
            *attempt = Some(Attempt { last, losses, pause: 0 });
        }
        let term = server.persistent.current_term;
        let (leader_commit, round) = (server.commit_index, server.round());
        let args =
            AppendEntries { term, prev_log_index, prev_log_term, entries, leader_commit, round };
        o.send(follower, Message::AppendEntries(args));
    }

    /// Sends the heartbeat to one follower.
    ///
    /// [LDR-5] While an AppendEntries with entries is unanswered, the heartbeat has none and follows the
    /// last of those entries. While a snapshot is on its way, the heartbeat follows its last included entry.
    pub(super) fn heartbeat_to(&self, server: &mut Server<S>, follower: Id, o: &mut Out<Self>) {
        let Progress { attempt, sending, .. } = server.role.progress(follower);
        match (sending, attempt) {
            (Some(sending), _) if self.parameters.retry == Retry::EveryHeartbeat => {
                sending.was_repeated();
                return self.send_piece(server, follower, o);
            }
            (Some(_), _) | (None, Some(Attempt { last: Some(_), .. })) => {}
            (None, Some(Attempt { pause, .. })) if *pause > 1 => *pause -= 1,
            (None, _) => return self.append_entries(server, follower, o),
        }
        match server.asks_about(follower) {
            Some((index, term)) => Self::empty_append_entries(server, follower, index, term, o),
            // The log has dropped that entry meanwhile, so the follower needs a snapshot.
            None => self.begin_snapshot(server, follower, o),
        }
    }

    /// Sends an AppendEntries without entries, which asks whether the follower's log matches at a position.
    pub(super) fn empty_append_entries(
        server: &Server<S>,
        follower: Id,
        prev_log_index: Index,
        prev_log_term: Term,
        o: &mut Out<Self>,
    ) {
        let args = AppendEntries {
            term: server.persistent.current_term,
            prev_log_index,
            prev_log_term,
            entries: Vec::new(),
            leader_commit: server.commit_index,
            round: server.round(),
        };
        o.send(follower, Message::AppendEntries(args));
    }

    /// Acts on the answer that the follower does not have the entries that were sent last.
    ///
    /// [LDR-6] Entries that were lost are sent again, half as many bytes at a time. An entry that is
    /// larger than the smallest batch follows after a pause, which doubles up to 16 heartbeats.
    pub(super) fn send_again(&self, server: &mut Server<S>, follower: Id, o: &mut Out<Self>) {
        let Progress { next_index: next, attempt, .. } = server.role.progress(follower);
        let attempt = attempt.as_mut().expect("entries are sent again after an attempt");
        let halvings = self.parameters.halvings();
        let entry = server.persistent.log.get(*next);
        let cannot_shrink =
            entry.is_some_and(|entry| entry.size() > self.parameters.batch_bytes(halvings));
        if attempt.losses < halvings {
            attempt.losses += 1;
        } else if cannot_shrink {
            let doublings = attempt.losses - halvings;
            attempt.pause = 1 << doublings;
            attempt.losses += u32::from(doublings < LONGEST_PAUSE);
            attempt.last = None;
            return;
        }
        self.append_entries(server, follower, o);
    }
}

impl<S> Server<S> {
    /// The position that an empty AppendEntries asks about: the last included entry of a snapshot on its way,
    /// the last unanswered entry, or the one before `next_index`. `None` if the log has dropped that entry.
    pub(super) fn asks_about(&self, follower: Id) -> Option<(Index, Term)> {
        let Progress { next_index, attempt, sending, .. } =
            self.leader()?.followers.get(&follower)?;
        if let Some(Sending { snapshot, .. }) = sending {
            return Some((snapshot.last_index, snapshot.last_term));
        }
        let unanswered = attempt.and_then(|attempt| attempt.last);
        let index = unanswered.unwrap_or(next_index.prev());
        Some((index, self.persistent.log.term(index)?))
    }

    /// The present round of a leader; zero if the server does not lead.
    fn round(&self) -> u64 {
        self.leader().map_or(0, |leader| leader.round)
    }
}

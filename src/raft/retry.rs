//! How a leader repeats entries that a follower has not answered.
//!
//! Figure 2 says only that RPCs are retried. Over a network that cuts a large datagram into fragments, a
//! heartbeat that carries all pending entries is lost as soon as one fragment is, and then it is no
//! heartbeat. Under [`Retry::WhenLost`] a leader therefore remembers the last AppendEntries with entries
//! that a follower has not answered, as an [`Attempt`]. Until the answer comes:
//!
//! 1. each heartbeat is empty and asks about the *end* of that AppendEntries (LDR-5). A follower that got
//!    the entries says that it matches there, which is the answer; one that did not says that it conflicts
//!    there, and so that they were lost;
//! 2. entries that were lost are sent again, half as many bytes at a time (LDR-6).
//!
//! So a follower that answers nothing costs one empty heartbeat at a time, and entries are repeated only
//! to a follower that has just shown that it can be reached.
//!
//! No clock is needed: a heartbeat that was sent after the entries is answered after them, unless the
//! network reorders, and then entries are sent twice, which does no harm.

use super::append_entries::AppendEntries;
use super::log::Log;
use super::state::{Index, Role, Server};
use super::{Config, Message, Raft};
use crate::state_machine::StateMachine;
use serde::{Deserialize, Serialize};
use stateright::actor::{Id, Out};
use std::fmt;

/// How a leader repeats entries that a follower has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Retry {
    /// Each heartbeat carries them: Figure 2 at its simplest.
    EveryHeartbeat,
    /// Heartbeats are empty and find out whether the entries were lost; then fewer are sent at a time.
    WhenLost {
        /// A leader never halves a batch to fewer bytes of entries than this. Nearly every network
        /// carries so many without fragments. At least 1.
        smallest_batch: usize,
    },
}

/// An AppendEntries with entries that a follower has not answered, and what became of those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// Its last entry; `None` while a pause goes on.
    pub last: Option<Index>,
    /// How many AppendEntries were lost since the follower last had the whole log. Counted only as far
    /// as it changes something.
    pub losses: u32,
    /// How many heartbeats pass before entries are sent again.
    pub pause: u32,
}

/// The longest pause, as a power of two: 16 heartbeats.
const LONGEST_PAUSE: u32 = 4;

impl Config {
    /// Most bytes of entries in an AppendEntries after so many losses.
    fn batch_bytes(&self, losses: u32) -> usize {
        match self.retry {
            Retry::EveryHeartbeat => self.max_bytes,
            Retry::WhenLost { smallest_batch } => {
                (self.max_bytes >> losses).max(smallest_batch.min(self.max_bytes))
            }
        }
    }

    /// How often a batch is halved until it is as small as it gets.
    fn halvings(&self) -> u32 {
        (0..usize::BITS)
            .find(|losses| self.batch_bytes(*losses) == self.batch_bytes(*losses + 1))
            .unwrap_or(0)
    }
}

impl<S: StateMachine> Raft<S> {
    /// raft.tla's `AppendEntries`: sends one follower what it is believed to lack.
    ///
    /// [LDR-3] "If last log index ≥ nextIndex for a follower: send AppendEntries RPC with log entries
    /// starting at nextIndex", within the limits on a message.
    pub(super) fn append_entries(&self, server: &mut Server<S>, follower: Id, o: &mut Out<Self>) {
        let Role::Leader { next_index, attempts, .. } = &mut server.role else { return };
        let Some(next) = next_index.get(&follower).copied() else { return };
        let losses = attempts.get(&follower).map_or(0, |attempt| attempt.losses);
        let log = &server.persistent.log;
        let entries =
            log.entries_from(next, self.config.max_entries, self.config.batch_bytes(losses));
        if let (Retry::WhenLost { .. }, false) = (self.config.retry, entries.is_empty()) {
            let last = Some(Index(next.prev().0 + entries.len() as u64));
            attempts.insert(follower, Attempt { last, losses, pause: 0 });
        }
        let args = AppendEntries {
            term: server.persistent.current_term,
            prev_log_index: next.prev(),
            prev_log_term: log.term(next.prev()).unwrap_or_default(),
            entries,
            leader_commit: server.commit_index,
        };
        o.send(follower, Message::AppendEntries(args));
    }

    /// The heartbeat to one follower.
    ///
    /// [LDR-5] While an AppendEntries with entries is unanswered, the heartbeat has none and follows the
    /// last of those entries.
    pub(super) fn heartbeat_to(&self, server: &mut Server<S>, follower: Id, o: &mut Out<Self>) {
        let Role::Leader { next_index, attempts, .. } = &mut server.role else { return };
        let Some(next) = next_index.get(&follower).copied() else { return };
        let after = match attempts.get_mut(&follower) {
            Some(Attempt { last: Some(last), .. }) => *last,
            Some(Attempt { pause, .. }) if *pause > 1 => {
                *pause -= 1;
                next.prev()
            }
            _ => return self.append_entries(server, follower, o),
        };
        let args = AppendEntries {
            term: server.persistent.current_term,
            prev_log_index: after,
            prev_log_term: server.persistent.log.term(after).unwrap_or_default(),
            entries: Vec::new(),
            leader_commit: server.commit_index,
        };
        o.send(follower, Message::AppendEntries(args));
    }

    /// The follower does not have the entries that were sent last.
    ///
    /// [LDR-6] Entries that were lost are sent again, half as many bytes at a time. An entry that is
    /// larger than the smallest batch follows after a pause, which doubles up to 16 heartbeats.
    pub(super) fn send_again(&self, server: &mut Server<S>, follower: Id, o: &mut Out<Self>) {
        let Role::Leader { next_index, attempts, .. } = &mut server.role else { return };
        let (Some(next), Some(attempt)) = (next_index.get(&follower), attempts.get_mut(&follower))
        else {
            return;
        };
        let halvings = self.config.halvings();
        let entry = server.persistent.log.get(*next);
        let cannot_shrink =
            entry.is_some_and(|entry| entry.size() > self.config.batch_bytes(halvings));
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

impl Attempt {
    /// The follower matches up to `index`: what is left to know of the attempt, if anything. Once the
    /// follower has the whole log, nothing is.
    pub(super) fn answered(self, index: Index, log: &Log) -> Option<Self> {
        let is_answer = self.last.is_none_or(|last| index >= last);
        match (is_answer, index == log.last_index()) {
            (false, _) => Some(self),
            (true, true) => None,
            (true, false) => Some(Self { last: None, ..self }),
        }
    }
}

/// `..5` awaits an answer about entry 5; `..5/2` after two losses; `-/9+3` sends again in 3 heartbeats.
impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last {
            Some(last) => write!(f, "..{last}")?,
            None => f.write_str("-")?,
        }
        if self.losses > 0 {
            write!(f, "/{}", self.losses)?;
        }
        if self.pause > 0 {
            write!(f, "+{}", self.pause)?;
        }
        Ok(())
    }
}

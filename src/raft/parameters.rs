//! The parameters of the protocol. Every server has [`Parameters`], and `Raft::new` accepts only those that
//! [`Parameters::validate`] accepts.

use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::time::Duration;
use thiserror::Error;

/// The parameters of a server. [`Parameters::validate`] checks them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// An election timeout is "chosen randomly from a fixed interval (e.g., 150–300ms)" (§5.2).
    pub election_timeout: Range<Duration>,
    /// The time from one heartbeat of a leader to the next. A leader with no entries to send sends
    /// AppendEntries this often.
    pub heartbeat_interval: Duration,
    /// The largest number of entries in one AppendEntries. At least 1.
    pub max_entries: usize,
    /// The largest number of bytes of entries in one AppendEntries, and the size of the largest entry that a
    /// leader accepts from a client. From [`Self::SMALLEST_MAX_BYTES`] to [`Self::LARGEST_MAX_BYTES`].
    pub max_bytes: usize,
    /// A leader drops client requests while this many entries of its log are not committed. Without a
    /// majority, the log would otherwise grow for ever. Clients retry. At least 1.
    pub max_uncommitted: u64,
    /// A leader drops a client request that would leave more than this many bytes of entries uncommitted. At
    /// least `max_bytes`.
    pub max_uncommitted_bytes: u64,
    /// The rule by which a leader treats a copy of a request that stands uncommitted in its log.
    pub copies: Copies,
    /// The way in which a leader repeats entries that a follower has not answered.
    pub retry: Retry,
    /// The largest number of client sessions. Above it, the least recently used session is evicted. At
    /// least 1.
    pub max_sessions: u32,
    /// A server takes a snapshot when it has applied this many entries since the last one; `None` if it never
    /// takes one. At least 1.
    pub snapshot_after: Option<u64>,
    /// A server that takes snapshots takes one, too, when the entries that it has applied since the last one
    /// have this many bytes. At least 1.
    pub snapshot_after_bytes: u64,
    /// The log keeps at most this many entries that the snapshot covers, so that slow followers still get
    /// entries.
    pub snapshot_margin: u64,
    /// A leader keeps at most this many entries that its own snapshot covers, for a follower to which an
    /// earlier snapshot is on its way or has come. At least `snapshot_margin`.
    pub snapshot_hold: u64,
    /// Whether a server asks the others for pre-votes before it stands for election (PV-1).
    pub pre_vote: bool,
    /// Whether a server that has just heard from its leader ignores requests for votes (STICK-1). Needs
    /// `check_quorum`.
    pub stickiness: bool,
    /// Whether a leader that hears no majority for an election timeout steps down (CQ-1).
    pub check_quorum: bool,
}

/// The rule by which a leader treats a copy of a request that stands uncommitted in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Copies {
    /// The leader appends the copy, too. Servers tell copies apart when they apply them, whatever entries
    /// stand between the copies.
    Appended,
    /// The leader drops the copy, if the first copy is among the last [`PENDING`](super::PENDING)
    /// uncommitted entries. So clients that retry while nothing can be committed do not lengthen the log.
    Awaited,
}

/// The way in which a leader repeats entries that a follower has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Retry {
    /// Each heartbeat carries the unanswered entries: Figure 2 at its simplest.
    EveryHeartbeat,
    /// While entries are unanswered, heartbeats are empty and find out whether the entries were lost. If so,
    /// the leader sends fewer bytes at a time.
    WhenLost {
        /// A leader never halves a batch to fewer bytes of entries than this. This should be a size that
        /// nearly every network carries without fragments. At least 1.
        smallest_batch: usize,
    },
}

/// The reason why a server cannot run with these members or these [`Parameters`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SetupError {
    /// The set of members is empty.
    #[error("a cluster needs at least one member")]
    NoMembers,
    /// The range of the election timeout is empty, or begins at zero.
    #[error(
        "the election timeout must be a range from more than zero to more than that, not {0:?}"
    )]
    ElectionTimeout(Range<Duration>),
    /// The heartbeat interval is zero, or so long that followers would time out between two heartbeats.
    #[error(
        "the heartbeat interval {0:?} must be more than zero and less than the shortest election timeout {1:?}"
    )]
    HeartbeatInterval(Duration, Duration),
    /// A limit is zero, so nothing could be replicated.
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    /// `max_bytes` is so small that no session could be opened, or so large that a message would not fit a
    /// datagram.
    #[error(
        "max-bytes must be at least {min}, or no client's entry fits a message, and at most {max}, \
         or a message does not fit a datagram; it is {0}",
        min = Parameters::SMALLEST_MAX_BYTES, max = Parameters::LARGEST_MAX_BYTES
    )]
    MaxBytes(usize),
    /// The limit on uncommitted bytes is so low that the largest entry would never be accepted.
    #[error("max-uncommitted-bytes is {0}, but one entry may have {1} bytes (max-bytes)")]
    MaxUncommittedBytes(u64, usize),
    /// A leader would keep fewer entries for a follower that needs them than it always keeps.
    #[error("snapshot-hold is {0}, but must be at least snapshot-margin, which is {1}")]
    SnapshotHold(u64, u64),
    /// Followers would for ever keep a leader that can send and not hear.
    #[error("stickiness needs check-quorum: switch both on, or stickiness off")]
    StickinessAlone,
}

impl Parameters {
    /// The smallest `max_bytes`: room for everything that an entry has around its command, and for a very
    /// short command.
    pub const SMALLEST_MAX_BYTES: usize = 64;
    /// The largest `max_bytes`: 48 KiB of entries, and everything that goes around them, fit a UDP datagram.
    pub const LARGEST_MAX_BYTES: usize = 48 * 1024;

    /// This many bytes of entries, and everything that goes around them, fit an MTU of 1,500 bytes over
    /// IPv4 and IPv6. Nearly every network has that MTU.
    pub const UNFRAGMENTED: usize = 1280;

    /// Checks that a server can run with these parameters.
    ///
    /// # Errors
    ///
    /// Fails with the first [`SetupError`] that applies.
    pub fn validate(&self) -> Result<(), SetupError> {
        let Range { start, end } = self.election_timeout;
        if start.is_zero() || start >= end {
            return Err(SetupError::ElectionTimeout(start..end));
        }
        if self.heartbeat_interval.is_zero() || self.heartbeat_interval >= start {
            return Err(SetupError::HeartbeatInterval(self.heartbeat_interval, start));
        }
        if let Retry::WhenLost { smallest_batch: 0 } = self.retry {
            return Err(SetupError::Zero("smallest-batch"));
        }
        for (name, value) in [
            ("max-entries", self.max_entries as u64),
            ("max-uncommitted", self.max_uncommitted),
            ("max-sessions", u64::from(self.max_sessions)),
            ("snapshot-after", self.snapshot_after.unwrap_or(1)),
            ("snapshot-after-bytes", self.snapshot_after_bytes),
        ] {
            if value == 0 {
                return Err(SetupError::Zero(name));
            }
        }
        if !(Self::SMALLEST_MAX_BYTES..=Self::LARGEST_MAX_BYTES).contains(&self.max_bytes) {
            return Err(SetupError::MaxBytes(self.max_bytes));
        }
        if self.max_uncommitted_bytes < self.max_bytes as u64 {
            let (bytes, entry) = (self.max_uncommitted_bytes, self.max_bytes);
            return Err(SetupError::MaxUncommittedBytes(bytes, entry));
        }
        if self.snapshot_hold < self.snapshot_margin {
            return Err(SetupError::SnapshotHold(self.snapshot_hold, self.snapshot_margin));
        }
        if self.stickiness && !self.check_quorum {
            return Err(SetupError::StickinessAlone);
        }
        Ok(())
    }
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            election_timeout: Duration::from_millis(150)..Duration::from_millis(300),
            heartbeat_interval: Duration::from_millis(50),
            max_entries: 256,
            max_bytes: 32 * 1024,
            max_uncommitted: 16 * 1024,
            max_uncommitted_bytes: 64 * 1024 * 1024,
            copies: Copies::Awaited,
            retry: Retry::WhenLost { smallest_batch: Self::UNFRAGMENTED },
            max_sessions: 1024,
            snapshot_after: Some(10_000),
            snapshot_after_bytes: 64 * 1024 * 1024,
            snapshot_margin: 10_000,
            snapshot_hold: 500_000,
            pre_vote: true,
            stickiness: true,
            check_quorum: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Validates the default parameters after a change.
    fn changed(change: impl FnOnce(&mut Parameters)) -> Result<(), SetupError> {
        let mut parameters = Parameters::default();
        change(&mut parameters);
        parameters.validate()
    }

    const fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn the_default_parameters_are_valid() {
        assert_eq!(changed(|_| {}), Ok(()));
    }

    #[test]
    fn an_election_timeout_is_drawn_from_a_range_of_more_than_zero() {
        let range = |range: Range<_>| changed(|parameters| parameters.election_timeout = range);
        assert_eq!(range(ms(51)..ms(52)), Ok(()));
        for (start, end) in [(0, 0), (0, 300), (150, 150), (300, 150)] {
            let wrong = ms(start)..ms(end);
            assert_eq!(range(wrong.clone()), Err(SetupError::ElectionTimeout(wrong)));
        }
    }

    #[test]
    fn heartbeats_come_before_the_shortest_election_timeout() {
        let interval = |interval| changed(|parameters| parameters.heartbeat_interval = interval);
        assert_eq!(interval(ms(1)), Ok(()));
        assert_eq!(interval(ms(149)), Ok(()));
        for wrong in [0, 150, 151].map(ms) {
            assert_eq!(interval(wrong), Err(SetupError::HeartbeatInterval(wrong, ms(150))));
        }
    }

    #[test]
    fn stickiness_comes_with_check_quorum() {
        let without = |it: &mut Parameters| it.check_quorum = false;
        assert_eq!(changed(without), Err(SetupError::StickinessAlone));
        let neither = |it: &mut Parameters| (it.check_quorum, it.stickiness) = (false, false);
        assert_eq!(changed(neither), Ok(()));
    }

    #[test]
    fn no_limit_is_zero() {
        assert_eq!(changed(|it| it.max_entries = 0), Err(SetupError::Zero("max-entries")));
        assert_eq!(changed(|it| it.max_uncommitted = 0), Err(SetupError::Zero("max-uncommitted")));
        assert_eq!(changed(|it| it.max_sessions = 0), Err(SetupError::Zero("max-sessions")));
        let never = |it: &mut Parameters| it.snapshot_after = Some(0);
        assert_eq!(changed(never), Err(SetupError::Zero("snapshot-after")));
        let bytes = |it: &mut Parameters| it.snapshot_after_bytes = 0;
        assert_eq!(changed(bytes), Err(SetupError::Zero("snapshot-after-bytes")));
        let ones = |it: &mut Parameters| {
            (it.max_entries, it.max_uncommitted, it.max_sessions) = (1, 1, 1);
        };
        assert_eq!(changed(ones), Ok(()));
    }
}

//! The parameters of the protocol.

use super::client::Copies;
use super::retry::Retry;
use stateright::actor::Id;
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;
use thiserror::Error;

/// What a server is configured with. Checked by [`Config::validate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// All servers of the cluster, the server itself included. The same on every server.
    pub servers: BTreeSet<Id>,
    /// An election timeout is "chosen randomly from a fixed interval (e.g., 150–300ms)" (§5.2).
    pub election_timeout: Range<Duration>,
    /// How often a leader sends AppendEntries when it has nothing to say.
    pub heartbeat_interval: Duration,
    /// Most entries of one AppendEntries. At least 1.
    pub max_entries: usize,
    /// Most bytes of entries of one AppendEntries, and the size of the largest entry that is
    /// accepted from a client. From [`Config::SMALLEST_MAX_BYTES`] to [`Config::LARGEST_MAX_BYTES`].
    pub max_bytes: usize,
    /// A leader drops requests of clients while so many of its entries are not committed: without
    /// a majority its log would grow for ever. Clients retry.
    pub max_uncommitted: u64,
    /// A leader drops requests of clients that would leave more bytes of its entries uncommitted. At
    /// least `max_bytes`.
    pub max_uncommitted_bytes: u64,
    /// What a leader does with a copy of a request that stands uncommitted in its log.
    pub copies: Copies,
    /// How a leader repeats entries that a follower has not answered.
    pub retry: Retry,
    /// Most client sessions; above it the least recently used one is evicted. At least 1.
    pub max_sessions: u32,
}

/// Why a [`Config`] cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// There is no server.
    #[error("a cluster needs at least one server")]
    NoServers,
    /// The election timeout is empty or zero.
    #[error(
        "the election timeout must be a range from more than zero to more than that, not {0:?}"
    )]
    ElectionTimeout(Range<Duration>),
    /// Followers would time out between two heartbeats.
    #[error(
        "the heartbeat interval {0:?} must be more than zero and less than the shortest election timeout {1:?}"
    )]
    HeartbeatInterval(Duration, Duration),
    /// A limit under which nothing could be replicated.
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    /// No session could be opened, or a message would not fit a datagram.
    #[error(
        "max-bytes must be at least {min}, or no client's entry fits a message, and at most {max}, \
         or a message does not fit a datagram; it is {0}",
        min = Config::SMALLEST_MAX_BYTES, max = Config::LARGEST_MAX_BYTES
    )]
    MaxBytes(usize),
    /// The largest entry would never be accepted.
    #[error("max-uncommitted-bytes is {0}, but one entry may have {1} bytes (max-bytes)")]
    MaxUncommittedBytes(u64, usize),
}

impl Config {
    /// The smallest `max_bytes`: what every entry has around its command, and a very short command.
    pub const SMALLEST_MAX_BYTES: usize = 64;
    /// The largest `max_bytes`: 48 KiB of entries and what goes around them fit a UDP datagram.
    pub const LARGEST_MAX_BYTES: usize = 48 * 1024;

    /// So many bytes of entries, and what goes around them, fit the MTU of 1,500 bytes that nearly every
    /// network has, over IPv4 and IPv6.
    pub const UNFRAGMENTED: usize = 1280;

    /// The defaults, for these servers.
    pub fn new(servers: impl IntoIterator<Item = Id>) -> Self {
        Self {
            servers: servers.into_iter().collect(),
            election_timeout: Duration::from_millis(150)..Duration::from_millis(300),
            heartbeat_interval: Duration::from_millis(50),
            max_entries: 256,
            max_bytes: 32 * 1024,
            max_uncommitted: 16 * 1024,
            max_uncommitted_bytes: 64 * 1024 * 1024,
            copies: Copies::Awaited,
            retry: Retry::WhenLost { smallest_batch: Self::UNFRAGMENTED },
            max_sessions: 1024,
        }
    }

    /// Whether a server can run with it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Range { start, end } = self.election_timeout;
        if self.servers.is_empty() {
            return Err(ConfigError::NoServers);
        }
        if start.is_zero() || start >= end {
            return Err(ConfigError::ElectionTimeout(start..end));
        }
        if self.heartbeat_interval.is_zero() || self.heartbeat_interval >= start {
            return Err(ConfigError::HeartbeatInterval(self.heartbeat_interval, start));
        }
        if let Retry::WhenLost { smallest_batch: 0 } = self.retry {
            return Err(ConfigError::Zero("smallest-batch"));
        }
        for (name, value) in [
            ("max-entries", self.max_entries as u64),
            ("max-uncommitted", self.max_uncommitted),
            ("max-sessions", u64::from(self.max_sessions)),
        ] {
            if value == 0 {
                return Err(ConfigError::Zero(name));
            }
        }
        if !(Self::SMALLEST_MAX_BYTES..=Self::LARGEST_MAX_BYTES).contains(&self.max_bytes) {
            return Err(ConfigError::MaxBytes(self.max_bytes));
        }
        if self.max_uncommitted_bytes < self.max_bytes as u64 {
            let (bytes, entry) = (self.max_uncommitted_bytes, self.max_bytes);
            return Err(ConfigError::MaxUncommittedBytes(bytes, entry));
        }
        Ok(())
    }

    /// "votes from a majority of servers" (§5.2). Any two majorities share a server.
    pub fn majority(&self) -> usize {
        self.servers.len() / 2 + 1
    }

    /// All servers but `id`.
    pub fn peers(&self, id: Id) -> impl Iterator<Item = Id> {
        self.servers.iter().copied().filter(move |server| *server != id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The defaults for one server, changed.
    fn changed(change: impl FnOnce(&mut Config)) -> Result<(), ConfigError> {
        let mut config = Config::new([Id::from(0)]);
        change(&mut config);
        config.validate()
    }

    const fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn a_cluster_has_a_server() {
        assert_eq!(changed(|_| {}), Ok(()));
        assert_eq!(changed(|config| config.servers.clear()), Err(ConfigError::NoServers));
    }

    #[test]
    fn an_election_timeout_is_drawn_from_a_range_of_more_than_zero() {
        let range = |range: Range<_>| changed(|config| config.election_timeout = range);
        assert_eq!(range(ms(51)..ms(52)), Ok(()));
        for (start, end) in [(0, 0), (0, 300), (150, 150), (300, 150)] {
            let wrong = ms(start)..ms(end);
            assert_eq!(range(wrong.clone()), Err(ConfigError::ElectionTimeout(wrong)));
        }
    }

    #[test]
    fn heartbeats_come_before_the_shortest_election_timeout() {
        let interval = |interval| changed(|config| config.heartbeat_interval = interval);
        assert_eq!(interval(ms(1)), Ok(()));
        assert_eq!(interval(ms(149)), Ok(()));
        for wrong in [0, 150, 151].map(ms) {
            assert_eq!(interval(wrong), Err(ConfigError::HeartbeatInterval(wrong, ms(150))));
        }
    }

    #[test]
    fn no_limit_is_zero() {
        assert_eq!(changed(|it| it.max_entries = 0), Err(ConfigError::Zero("max-entries")));
        assert_eq!(changed(|it| it.max_uncommitted = 0), Err(ConfigError::Zero("max-uncommitted")));
        assert_eq!(changed(|it| it.max_sessions = 0), Err(ConfigError::Zero("max-sessions")));
        let ones = |it: &mut Config| {
            (it.max_entries, it.max_uncommitted, it.max_sessions) = (1, 1, 1);
        };
        assert_eq!(changed(ones), Ok(()));
    }
}

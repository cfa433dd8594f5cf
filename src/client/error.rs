//! Why a command has no result.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Why a command has no result. [`ClientError::is_outcome_unknown`] tells whether it may have taken
/// effect all the same.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no address to ask.
    #[error("no server's address was given")]
    NoAddress,
    /// A cluster listens on IPv4 or on IPv6, never on both.
    #[error("the servers' addresses are of IPv4 and of IPv6; a cluster uses one of them")]
    MixedAddresses,
    /// The operating system refused a socket, or broke it while a command may have been in flight.
    #[error("cannot use a UDP socket: {source}{}", if *in_flight { UNKNOWN } else { "" })]
    Socket {
        /// The system's reason.
        source: io::Error,
        /// Whether the command had been sent.
        in_flight: bool,
    },
    /// Nobody answered at any of the addresses.
    #[error(
        "no server of cluster {cluster:?} answered within {timeout:?}; tried {}. Check that the \
         nodes are running, their addresses, and the cluster's name: a node does not answer those \
         who call its cluster by another name",
        list(tried)
    )]
    NoServer {
        /// The cluster's name.
        cluster: String,
        /// The addresses that were asked.
        tried: Vec<SocketAddr>,
        /// How long answers were waited for.
        timeout: Duration,
    },
    /// No leader opened a session in time. The command was never sent.
    #[error(
        "no leader opened a session within {timeout:?}: the command was not sent and has no effect. \
         Is a majority of the servers {} running?",
        list(servers)
    )]
    NoSession {
        /// The servers of the cluster.
        servers: Vec<SocketAddr>,
        /// How long was waited.
        timeout: Duration,
    },
    /// The command was sent and no result came in time.
    #[error("no result within {timeout:?}{UNKNOWN}")]
    TimedOut {
        /// How long was waited.
        timeout: Duration,
    },
    /// The session was evicted, because many others were used since. What came of the command is
    /// unknown; the next command opens a new session.
    #[error("the session has expired{UNKNOWN}")]
    Expired,
    /// The command was refused. If it was the only copy sent, it has no effect; but servers may be
    /// configured to accept different lengths, and another one may have taken an earlier copy.
    #[error("the command has {bytes} bytes, but at most {limit} are accepted{}",
        if *copies > 1 { UNKNOWN } else { "; it has no effect" })]
    TooLarge {
        /// Its length.
        bytes: u64,
        /// The most bytes that a command may have.
        limit: u64,
        /// How many copies of it had been sent.
        copies: u64,
    },
    /// The command was applied, and the answer is none that the state machine asked for would give.
    #[error("the servers run another state machine than this client expects: {0}")]
    OtherMachine(String),
}

/// What a client must be told plainly.
const UNKNOWN: &str =
    "; the outcome is unknown: the command may have been applied, or may yet be, at most once";

impl ClientError {
    /// Whether the command may have taken effect, or may yet. If not, it has none.
    pub fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::TimedOut { .. } | Self::Expired | Self::OtherMachine(_) => true,
            Self::Socket { in_flight, .. } => *in_flight,
            Self::TooLarge { copies, .. } => *copies > 1,
            Self::NoAddress
            | Self::MixedAddresses
            | Self::NoServer { .. }
            | Self::NoSession { .. } => false,
        }
    }
}

fn list(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

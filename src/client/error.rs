//! Why a command has no result.

use std::fmt::{self, Display};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Why a command has no result. [`ClientError::is_outcome_unknown`] tells whether the command may have
/// taken effect all the same.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No server's address was given.
    #[error("no server's address was given")]
    NoAddress,
    /// The addresses are of IPv4 and of IPv6. A cluster listens on one of them, never on both.
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
    /// No server answered at any of the addresses.
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
        /// How long the client waited for answers.
        timeout: Duration,
    },
    /// The cluster has no server of this number.
    #[error("the cluster has no server {server}: its servers are {}", numbers(members))]
    NoSuchServer {
        /// The number that was asked for.
        server: u64,
        /// The numbers of the cluster's servers.
        members: Vec<u64>,
    },
    /// Other servers answered, and this one did not.
    #[error(
        "server {server} at {address} did not answer within {timeout:?}. Check that it is running, and \
         that its address can be reached from here"
    )]
    Unreachable {
        /// The server's number.
        server: u64,
        /// The address at which it was asked.
        address: SocketAddr,
        /// How long the client waited for an answer.
        timeout: Duration,
    },
    /// No leader opened a session in time. The command was never sent.
    #[error(
        "no leader opened a session within {timeout:?}: the command was not sent and has no effect. \
         {seen}"
    )]
    NoSession {
        /// The servers that the client has seen meanwhile.
        seen: Sightings,
        /// How long the client waited.
        timeout: Duration,
    },
    /// The leader gave a transfer of the leadership up, because the other server did not take over within an
    /// election timeout. The transfer may be asked for again.
    #[error(
        "the leader has given up handing over to server {server}, which did not take over within an election \
         timeout. The leader takes requests again. Is server {server} running, and does the leader reach it? \
         `raft status` tells"
    )]
    TransferGivenUp {
        /// The server that was to lead.
        server: u64,
    },
    /// Nobody said in time that a transfer of the leadership had ended. It may be asked for again.
    #[error(
        "server {server} has not been seen to lead within {timeout:?}; it may yet take over. {seen}"
    )]
    TransferUnanswered {
        /// The server that was to lead.
        server: u64,
        /// The servers that the client has seen meanwhile.
        seen: Sightings,
        /// How long the client waited.
        timeout: Duration,
    },
    /// No leader answered a read in time. A read has no effect.
    #[error("no leader answered the read within {timeout:?}. {seen}")]
    Unanswered {
        /// The servers that the client has seen meanwhile.
        seen: Sightings,
        /// How long the client waited.
        timeout: Duration,
    },
    /// The command was sent and no result came in time.
    #[error("no result within {timeout:?}{UNKNOWN}. {seen}")]
    TimedOut {
        /// The servers that the client has seen meanwhile.
        seen: Sightings,
        /// How long the client waited.
        timeout: Duration,
    },
    /// The session was evicted, because many others were used since. The outcome of the command is
    /// unknown. The next command opens a new session.
    #[error("the session has expired{UNKNOWN}")]
    Expired,
    /// The command was refused as too large. If only one copy was sent, it has no effect. But servers
    /// may be configured to accept different lengths, and another server may have taken an earlier copy.
    #[error("the command has {bytes} bytes, but at most {limit} are accepted{}",
        if *copies > 1 { UNKNOWN } else { "; it has no effect" })]
    TooLarge {
        /// The length of the command.
        bytes: u64,
        /// The most bytes that a command may have.
        limit: u64,
        /// How many copies of the command had been sent.
        copies: u64,
    },
    /// The command was applied, and the answer is not one that the expected state machine would give.
    #[error("the servers run another state machine than this client expects: {0}")]
    OtherMachine(String),
}

/// The end of each message about a command whose outcome is unknown.
const UNKNOWN: &str =
    "; the outcome is unknown: the command may have been applied, or may yet be, at most once";

impl ClientError {
    /// Whether the command may have taken effect, or may yet. If this is false, it has no effect.
    pub fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::TimedOut { .. } | Self::Expired | Self::OtherMachine(_) => true,
            Self::Socket { in_flight, .. } => *in_flight,
            Self::TooLarge { copies, .. } => *copies > 1,
            Self::NoAddress
            | Self::MixedAddresses
            | Self::NoServer { .. }
            | Self::NoSuchServer { .. }
            | Self::Unreachable { .. }
            | Self::Unanswered { .. }
            | Self::TransferGivenUp { .. }
            | Self::TransferUnanswered { .. }
            | Self::NoSession { .. } => false,
        }
    }
}

/// The servers that a client has seen, and not seen, while it waited for a result. The text form says
/// what is known and what to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sightings {
    /// The servers that have answered, by number, and where.
    pub answered: Vec<(u64, SocketAddr)>,
    /// The servers that have not answered, by number, and where they were asked.
    pub silent: Vec<(u64, SocketAddr)>,
    /// The leader, by the answer of the latest term.
    pub leader: Option<u64>,
}

impl Display for Sightings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answered, silent, leader } = self;
        let find = |servers: &[(u64, SocketAddr)]| {
            leader.and_then(|leader| servers.iter().find(|it| it.0 == leader).copied())
        };
        if answered.is_empty() {
            return write!(
                f,
                "No server has answered meanwhile: not {}. Are they running, and can they be \
                 reached from here?",
                servers(silent)
            );
        }
        write!(f, "{} answered", servers(answered))?;
        if !silent.is_empty() {
            write!(f, ", {} did not", servers(silent))?;
        }
        match (find(silent), find(answered)) {
            (Some((leader, address)), _) => write!(
                f,
                ". The leader is said to be server {leader}, which does not answer at {address}: is \
                 it running, and can that address be reached from here?"
            ),
            (None, Some((leader, address))) => write!(
                f,
                ". Server {leader} at {address} is said to lead: is it overloaded, or cut off from \
                 the majority of the servers?"
            ),
            (None, None) => {
                let all = answered.len() + silent.len();
                let question = if answered.len() * 2 > all {
                    "can they reach each other?"
                } else {
                    "is a majority of them running?"
                };
                write!(f, ". They know no leader: {question}")
            }
        }
    }
}

fn servers(servers: &[(u64, SocketAddr)]) -> String {
    let each = servers.iter().map(|(server, address)| format!("server {server} at {address}"));
    each.collect::<Vec<_>>().join(" and ")
}

fn numbers(servers: &[u64]) -> String {
    servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn list(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::Sightings;

    /// The text for a cluster of three servers, of which these answered.
    fn text(answered: &[u64], leader: Option<u64>) -> String {
        let at = |id: u64| (id, ([127, 0, 0, 1], 7000 + u16::try_from(id).expect("small")).into());
        let (answered, silent): (Vec<u64>, Vec<u64>) =
            [1, 2, 3].into_iter().partition(|id| answered.contains(id));
        let [answered, silent] = [answered, silent].map(|ids| ids.into_iter().map(at).collect());
        Sightings { answered, silent, leader }.to_string()
    }

    #[test]
    fn a_leader_that_alone_cannot_be_reached_is_named_with_its_address() {
        let text = text(&[2, 3], Some(1));
        assert!(text.contains("server 2 at 127.0.0.1:7002 and server 3"), "{text}");
        assert!(text.contains("server 1, which does not answer at 127.0.0.1:7001"), "{text}");
        assert!(!text.contains("majority"), "{text}");
    }

    #[test]
    fn what_is_asked_suits_what_was_seen() {
        for (answered, leader, question) in [
            (&[][..], None, "No server has answered meanwhile: not server 1 at 127.0.0.1:7001"),
            (&[1], None, "is a majority of them running?"),
            (&[1, 2], None, "can they reach each other?"),
            (&[1], Some(1), "Server 1 at 127.0.0.1:7001 is said to lead"),
        ] {
            let text = text(answered, leader);
            assert!(text.contains(question), "{answered:?}: {text}");
        }
    }
}

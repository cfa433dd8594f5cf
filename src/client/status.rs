//! The status of servers. [`inspect`] asks one server, and [`survey`] asks a whole cluster.

use super::error::ClientError;
use super::roster::{Roster, open};
use super::{Deadline, Options};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The status that a server reports of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// The server's number.
    pub id: u64,
    /// `follower`, `pre-candidate`, `candidate`, `leader` or `halted`.
    pub role: String,
    /// The server's current term.
    pub term: u64,
    /// The leader of the term, as far as the server knows.
    pub leader: Option<u64>,
    /// The index of the last entry of the server's log.
    pub last_log_index: u64,
    /// The index of the last entry that the server knows to be committed.
    pub commit_index: u64,
    /// The index of the last entry applied to the server's state machine.
    pub last_applied: u64,
    /// The index of the last entry that the server's snapshot covers; 0 if the server has no snapshot.
    #[serde(default)]
    pub snapshot_index: u64,
    /// The index of the last entry that the server's log has dropped; 0 if the log has dropped none.
    #[serde(default)]
    pub log_start: u64,
    /// How far each other server is, as far as a leader knows; empty unless the server leads.
    pub progress: Vec<Progress>,
    /// The servers of the cluster, the reporting one included, and where they are.
    pub members: Vec<Member>,
    /// How many milliseconds ago a leader heard from a majority; `None` of any other server.
    #[serde(default)]
    pub majority_heard_ms_ago: Option<u64>,
    /// Problems that people should look into, in sentences.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// The server's counts since it started.
    #[serde(default)]
    pub counters: Counts,
}

/// The counts of a server since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Datagrams received, whatever they were.
    pub received: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams dropped because somebody has cut the link on purpose.
    pub cut: u64,
    /// Datagrams dropped and things lost, by reason.
    pub dropped: BTreeMap<String, u64>,
}

/// How far a server is, as its leader knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The server's number.
    pub id: u64,
    /// The index of the next entry to send to the server.
    pub next_index: u64,
    /// The index of the last entry that the server is known to have.
    pub match_index: u64,
    /// The number of bytes that the server has of a snapshot which the leader sends to it; `None` if the
    /// leader sends it no snapshot.
    #[serde(default)]
    pub snapshot_bytes: Option<u64>,
}

/// A server and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The server's number.
    pub id: u64,
    /// The server's address. For the reporting server itself, it is the address that the server listens
    /// on.
    pub address: SocketAddr,
}

/// A server that was asked how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surveyed {
    /// The server's number, if any server has told it.
    pub id: Option<u64>,
    /// The address at which the server was asked.
    pub address: SocketAddr,
    /// The server's answer; `None` if the server did not answer in time.
    pub status: Option<ServerStatus>,
}

/// Asks the server at `address` how it is.
pub fn inspect(
    cluster: &str,
    address: SocketAddr,
    options: &Options,
) -> Result<ServerStatus, ClientError> {
    let mut roster = Roster::new(&[address])?;
    let mut endpoint = open(cluster, &[address])?;
    let deadline = Deadline::after(options.timeout);
    roster.gather(&mut endpoint, deadline, options, Roster::has_heard)?;
    roster.into_report().ok_or_else(|| ClientError::NoServer {
        cluster: cluster.to_owned(),
        tried: vec![address],
        timeout: options.timeout,
    })
}

/// Asks the servers at `addresses`, and all others of which these tell, how they are. Ends when all have
/// answered, or at the timeout. The result is ordered by number. Addresses where nobody ever answered,
/// and that no server has claimed for another, come last.
pub fn survey(
    cluster: &str,
    addresses: &[SocketAddr],
    options: &Options,
) -> Result<Vec<Surveyed>, ClientError> {
    let mut roster = Roster::new(addresses)?;
    let mut endpoint = open(cluster, addresses)?;
    let deadline = Deadline::after(options.timeout);
    roster.gather(&mut endpoint, deadline, options, Roster::has_heard_all)?;
    Ok(roster.into_survey())
}

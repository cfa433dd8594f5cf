//! How the servers are.

use super::error::ClientError;
use super::roster::{Roster, open};
use super::{Deadline, Options};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Its number.
    pub id: u64,
    /// `follower`, `candidate` or `leader`.
    pub role: String,
    /// Its current term.
    pub term: u64,
    /// Who leads the term, as far as it knows.
    pub leader: Option<u64>,
    /// The index of the last entry of its log.
    pub last_log_index: u64,
    /// The index of the last entry that it knows to be committed.
    pub commit_index: u64,
    /// The index of the last entry applied to its state machine.
    pub last_applied: u64,
    /// How far each other server is, as far as it knows; empty unless it leads.
    pub progress: Vec<Progress>,
    /// The servers of its cluster, itself included, and where they are.
    pub members: Vec<Member>,
    /// How many milliseconds ago it heard from a majority; only of a leader.
    #[serde(default)]
    pub majority_heard_ms_ago: Option<u64>,
    /// What people should look into, in sentences.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// What it has counted since it started.
    #[serde(default)]
    pub counters: Counts,
}

/// What a server has counted since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Datagrams received, whatever they were.
    pub received: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// What was dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
}

/// How far a leader knows a server to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The server's number.
    pub id: u64,
    /// The index of the next entry to send it.
    pub next_index: u64,
    /// The index of the last entry that it is known to have.
    pub match_index: u64,
}

/// A server and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its number.
    pub id: u64,
    /// Its address; of the reporting server itself the one it listens on.
    pub address: SocketAddr,
}

/// A server that was asked how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surveyed {
    /// Its number, if any server has told it.
    pub id: Option<u64>,
    /// The address that it was asked at.
    pub address: SocketAddr,
    /// What it said; `None` if it did not answer in time.
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

/// Asks the servers at `addresses`, and all others of which these tell, how they are. Ends when all
/// have answered, or at the timeout. Ordered by number; addresses where nobody ever answered, and
/// that no server has claimed for another, come last.
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

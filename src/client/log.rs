//! Questions to one server of a cluster. [`log_page`] asks for a page of its log, and [`peek`] asks its state
//! machine.

use super::error::ClientError;
use super::roster::{Roster, open};
use super::{Deadline, Options};
use crate::raft::Message;
use crate::runtime::endpoint::{Endpoint, Heard, SendError};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// A page of the log of a server, and how far the server is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    /// The server's number.
    pub id: u64,
    /// `follower`, `candidate`, `leader` or `halted`.
    pub role: String,
    /// The server's current term.
    pub term: u64,
    /// The index of the last entry that has made way for a snapshot; zero if none has.
    #[serde(default)]
    pub log_start: u64,
    /// The index of the last entry of the server's log.
    pub last_log_index: u64,
    /// The index of the last entry that the server knows to be committed.
    pub commit_index: u64,
    /// The index of the last entry applied to the server's state machine.
    pub last_applied: u64,
    /// The entries of the page, in the order of the log.
    pub entries: Vec<LogEntry>,
    /// The index with which the next page begins; `None` if this is the last page.
    pub next: Option<u64>,
}

/// An entry of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// The entry's index.
    pub index: u64,
    /// The term in which a leader created the entry.
    pub term: u64,
    /// `noop`, `register` or `command`.
    pub kind: String,
    /// The number of the client that the entry is for; `None` of a no-op.
    pub client: Option<u64>,
    /// The session of the command: the index of the entry that opened it.
    pub session: Option<u64>,
    /// The client's number for its request.
    pub sequence: Option<u64>,
    /// The command in the words of the state machine. A long text is cut.
    pub command: Option<String>,
    /// The length of the command.
    pub bytes: Option<u64>,
    /// Whether the text of the command is cut.
    pub is_cut: bool,
}

/// Asks server `server` of the cluster for a page of its log, which begins with the entry at the index
/// `from`. One of `addresses` where some server answers is enough.
pub fn log_page(
    cluster: &str,
    addresses: &[SocketAddr],
    server: u64,
    from: u64,
    options: &Options,
) -> Result<LogPage, ClientError> {
    let page = ask_one(cluster, addresses, server, options, |endpoint, address, nonce| {
        endpoint.browse(server, address, nonce, from)
    })?;
    serde_json::from_slice(&page)
        .map_err(|error| ClientError::OtherMachine(format!("a page that cannot be read ({error})")))
}

/// Asks the state machine of server `server` a query. The server answers from what it has applied itself, so
/// the answer may be old. One of `addresses` where some server answers is enough.
pub fn peek(
    cluster: &str,
    addresses: &[SocketAddr],
    server: u64,
    query: &[u8],
    options: &Options,
) -> Result<Vec<u8>, ClientError> {
    ask_one(cluster, addresses, server, options, |endpoint, address, nonce| {
        endpoint.peek(server, address, nonce, query.to_vec())
    })
}

/// Asks one server of the cluster a question of its own, and returns the answer.
fn ask_one(
    cluster: &str,
    addresses: &[SocketAddr],
    server: u64,
    options: &Options,
    ask: impl Fn(&Endpoint<Message>, SocketAddr, u64) -> Result<(), SendError>,
) -> Result<Vec<u8>, ClientError> {
    let mut roster = Roster::new(addresses)?;
    let mut endpoint = open(cluster, addresses)?;
    let (deadline, timeout) = (Deadline::after(options.timeout), options.timeout);
    roster.gather(&mut endpoint, deadline, options, |roster| {
        let is_known = roster.members().contains_key(&server);
        roster.has_heard_from(server) || roster.has_heard() && !is_known
    })?;
    if !roster.has_heard() {
        let (cluster, tried) = (cluster.to_owned(), addresses.to_vec());
        return Err(ClientError::NoServer { cluster, tried, timeout });
    }
    let Some(address) = roster.members().get(&server).copied() else {
        let members = roster.members().keys().copied().collect();
        return Err(ClientError::NoSuchServer { server, members });
    };
    let broken = |source| ClientError::Socket { source, in_flight: false };
    let question = rand::random();
    while !deadline.has_passed() {
        if let Err(error) = ask(&endpoint, address, question) {
            tracing::debug!(server, %address, "cannot send a question: {error}");
        }
        let round = deadline.min(Deadline::after(options.retry_interval));
        while let Some(heard) = endpoint.receive(round).map_err(broken)? {
            if let Heard::Page { server: who, nonce, page } = heard
                && (who, nonce) == (server, question)
            {
                return Ok(page);
            }
        }
    }
    Err(ClientError::Unreachable { server, address, timeout })
}

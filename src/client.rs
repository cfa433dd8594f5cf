//! The client library: executes commands on a cluster, each exactly once, over datagrams that may be
//! lost, doubled, late or out of order.
//!
//! What a client must remember, and how it takes an answer, is [`Session`]: the very state machine
//! that the models check. This file only sends what the session wants sent, waits, and hands it what
//! has come. [`KvClient`] is a thin layer for the key-value store.
//!
//! ```no_run
//! use checked_raft::client::{Client, KvClient, Options};
//!
//! let servers = ["127.0.0.1:7001".parse().unwrap()]; // one that can be reached is enough
//! let mut kv = KvClient::new(Client::connect("raft", &servers, Options::default())?);
//! kv.put("key", "value")?;
//! assert_eq!(kv.get("key")?.as_deref(), Some(&b"value"[..]));
//! # Ok::<(), checked_raft::client::ClientError>(())
//! ```

mod error;
mod kv;
mod roster;
mod status;

pub use error::ClientError;
pub use kv::{KvClient, Swap};
pub use status::{Member, Progress, ServerStatus, Surveyed, inspect, survey};

use crate::raft::{ClientRequest, ClientResponse, Config, Invocation, Message, Session};
use crate::runtime::endpoint::{Deadline, Endpoint, Heard};
use bytes::Bytes;
use rand::Rng;
use rand::seq::SliceRandom;
use roster::Roster;
use stateright::actor::Id;
use std::net::SocketAddr;
use std::time::Duration;

/// How patient a client is.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long [`Client::connect`] waits for any server, and [`Client::execute`] for a result.
    pub timeout: Duration,
    /// After how long without a result a request is sent again, to the next server. Each time in a
    /// row it is twice as long, up to [`SLOWEST`] times as long: requests that pile up at a slow
    /// leader would make it slower still.
    pub retry_interval: Duration,
}

/// How many times [`Options::retry_interval`] the longest wait for an answer is.
pub const SLOWEST: u32 = 4;

impl Default for Options {
    /// 5 s, and 100 ms: an election takes a few hundred.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5), retry_interval: Duration::from_millis(100) }
    }
}

/// A client with a session of its own. Blocking: one command at a time.
#[derive(Debug)]
pub struct Client {
    endpoint: Endpoint<Message>,
    roster: Roster,
    session: Session,
    options: Options,
    /// How many copies of the command in flight have been sent.
    copies: u64,
}

impl Client {
    /// Finds the servers of the cluster of this name: one of `addresses` where a server answers is
    /// enough, for it knows the others. The session is opened with the first command.
    pub fn connect(
        cluster: &str,
        addresses: &[SocketAddr],
        options: Options,
    ) -> Result<Self, ClientError> {
        let mut roster = Roster::new(addresses)?;
        let mut endpoint = roster::open(cluster, addresses)?;
        let deadline = Deadline::after(options.timeout);
        roster.gather(&mut endpoint, deadline, &options, Roster::has_heard)?;
        if !roster.has_heard() {
            let (cluster, timeout) = (cluster.to_owned(), options.timeout);
            return Err(ClientError::NoServer { cluster, tried: addresses.to_vec(), timeout });
        }
        let mut servers: Vec<u64> = roster.members().keys().copied().collect();
        // "When a client first starts up, it connects to a randomly-chosen server" (§8), or better,
        // to the leader.
        servers.shuffle(&mut rand::rng());
        let leader = roster.leader();
        servers.sort_by_key(|server| Some(*server) != leader);
        let session = Session::new(servers.into_iter().map(id).collect());
        Ok(Self { endpoint, roster, session, options, copies: 0 })
    }

    /// Executes a command and returns the state machine's response. It is sent until the result
    /// comes or the timeout ends, always as the same request, so that it is applied at most once.
    ///
    /// An error tells whether the outcome is unknown; see [`ClientError::is_outcome_unknown`]. The
    /// client can be used again after any error.
    pub fn execute(&mut self, command: Bytes) -> Result<Bytes, ClientError> {
        let bytes = command.len() as u64;
        // No server can be configured to take more, and much more would not even fit a datagram.
        let limit = Config::LARGEST_MAX_BYTES as u64;
        if bytes > limit {
            return Err(ClientError::TooLarge { bytes, limit, copies: 0 });
        }
        self.copies = 0;
        self.session.invoke(command);
        let result = self.drive();
        self.session.abandon();
        match result? {
            Invocation::Applied(response) => Ok(response),
            Invocation::Unknown => Err(ClientError::Expired),
            Invocation::TooLarge(limit) => {
                Err(ClientError::TooLarge { bytes, limit, copies: self.copies })
            }
        }
    }

    /// One attempt after the other, each with more patience, until the command in flight has ended.
    fn drive(&mut self) -> Result<Invocation, ClientError> {
        let Options { timeout, retry_interval } = self.options;
        let deadline = Deadline::after(timeout);
        let mut patience = retry_interval;
        while !deadline.has_passed() {
            // Clients that have lost the same leader at the same time should not all come back at
            // the same time.
            let wait = patience.mul_f64(rand::rng().random_range(1.0..1.5));
            if let Some(invocation) = self.attempt(deadline.min(Deadline::after(wait)))? {
                return Ok(invocation);
            }
            self.session.on_timeout();
            patience = (patience * 2).min(retry_interval * SLOWEST);
        }
        if self.copies > 0 {
            return Err(ClientError::TimedOut { timeout });
        }
        let servers = self.roster.members().values().copied().collect();
        Err(ClientError::NoSession { servers, timeout })
    }

    /// Sends what the session wants sent, and again whenever an answer has changed that, until
    /// `deadline`. Servers that point at each other must not keep a client spinning, so it
    /// sends once for each server and two times more (a session is opened, then used), then waits.
    fn attempt(&mut self, deadline: Deadline) -> Result<Option<Invocation>, ClientError> {
        let mut requests_left = self.roster.members().len() + 2;
        let mut asked = None;
        loop {
            let request = self.session.request();
            if request != asked && requests_left > 0 {
                if let Some((server, request)) = &request {
                    self.send(number(*server), request.clone());
                }
                asked = request;
                requests_left -= 1;
            }
            let Some(response) = self.answer(deadline)? else { return Ok(None) };
            if let Some(invocation) = self.session.on_response(response) {
                return Ok(Some(invocation));
            }
        }
    }

    /// Sends a request. One that the operating system does not take is as good as lost.
    fn send(&mut self, server: u64, request: ClientRequest) {
        let Some(address) = self.roster.members().get(&server).copied() else { return };
        self.copies += u64::from(matches!(request, ClientRequest::Command { .. }));
        let message = Message::ClientRequest(request);
        if let Err(error) = self.endpoint.request(server, address, message) {
            tracing::debug!(server, %address, "cannot send a request: {error}");
        }
    }

    /// The next response of a server of the cluster, if one comes before the deadline.
    fn answer(&mut self, deadline: Deadline) -> Result<Option<ClientResponse>, ClientError> {
        loop {
            let heard = self.endpoint.receive(deadline);
            let in_flight = self.copies > 0;
            match heard.map_err(|source| ClientError::Socket { source, in_flight })? {
                Some(Heard::Reply { server, message: Message::ClientResponse(response) })
                    if self.roster.members().contains_key(&server) =>
                {
                    return Ok(Some(response));
                }
                // A late answer from when the servers were looked for: it came from an address that
                // was given, which is better than one that another server has told.
                Some(Heard::Report { server, nonce, status })
                    if self.roster.members().contains_key(&server) =>
                {
                    self.roster.hear(server, nonce, &status);
                }
                Some(Heard::Reply { .. } | Heard::Report { .. }) => {}
                None => return Ok(None),
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "numbers of servers are below 2^32")]
fn id(number: u64) -> Id {
    Id::from(number as usize)
}

fn number(id: Id) -> u64 {
    usize::from(id) as u64
}

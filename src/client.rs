//! The client library executes commands on a cluster, each exactly once, over datagrams that may be
//! lost, doubled, late or out of order.
//!
//! A [`Client`] joins four parts. The [`Session`] is the state machine that the models check: it decides
//! what to send, to which server, and how to take an answer. The `Endpoint` is a socket. The `Roster`
//! knows where the servers are. The `Pace` says how long to wait for an answer. [`Client::execute`]
//! gives a command to the session. It sends what the session wants sent, waits, and hands the session
//! each answer, until there is a result. [`KvClient`] is a thin layer for the key-value store.
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
mod log;
mod pace;
mod roster;
mod status;

pub use error::{ClientError, Sightings};
pub use kv::{KeyPage, KvClient, Swap};
pub use log::{LogEntry, LogPage, log_page, peek};
pub use pace::LONGEST_WAIT;
pub use status::{Counts, Member, Progress, ServerStatus, Surveyed, inspect, survey};

use crate::raft::{
    ClientRequest, ClientResponse, Invocation, Message, Operation, Parameters, Session,
    TransferOutcome,
};
use crate::runtime::endpoint::{self, Deadline, Endpoint};
use bytes::Bytes;
use pace::{Answered, Moment, Pace};
use rand::Rng;
use rand::seq::SliceRandom;
use roster::Roster;
use stateright::actor::Id;
use std::net::SocketAddr;
use std::time::Duration;

/// The patience of a client.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long [`Client::connect`] waits for any server, and [`Client::execute`] for a result.
    pub timeout: Duration,
    /// The shortest wait for a result. After it the client sends the request again, to the next server.
    ///
    /// The client waits longer where answers take longer: twice as long as they usually take, which it
    /// measures. It waits at least two intervals after the second copy in a row, and at least four after
    /// each later copy. None of this makes a wait longer than [`LONGEST_WAIT`], but chance adds up to
    /// half of the wait. Where copies are lost and the answer comes right after the last one, the client
    /// does not wait longer.
    ///
    /// Requests that pile up at a slow leader, or on a long way, would make it slower still. And each
    /// may become an entry of the leader's log.
    pub retry_interval: Duration,
}

impl Default for Options {
    /// A timeout of 5 s, and a retry interval of 100 ms: an election takes a few hundred milliseconds.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5), retry_interval: Duration::from_millis(100) }
    }
}

/// A request that was sent and has not been answered yet.
#[derive(Clone, Copy, Debug)]
struct Flight {
    sequence: u64,
    /// When the request was sent first, and in which attempt.
    since: Moment,
    attempt: u32,
    /// When the request was sent last.
    latest: Moment,
}

/// The end of a wait for an answer.
enum Heard {
    Response(ClientResponse),
    /// A server has said where all servers are.
    Report,
    /// No answer came in time.
    Silence,
}

/// A client with a session of its own. The calls block, and one command is executed at a time.
#[derive(Debug)]
pub struct Client {
    endpoint: Endpoint<Message>,
    roster: Roster,
    session: Session,
    options: Options,
    pace: Pace,
    /// The request in flight.
    flight: Option<Flight>,
    /// How many copies of the present command have been sent.
    copies: u64,
}

impl Client {
    /// Finds the servers of the cluster with this name. One of `addresses` where a server answers is
    /// enough, for that server knows the others. The session is opened with the first command.
    pub fn connect(
        cluster: &str,
        addresses: &[SocketAddr],
        options: Options,
    ) -> Result<Self, ClientError> {
        let mut roster = Roster::new(addresses)?;
        let mut endpoint = roster::open(cluster, addresses)?;
        let deadline = Deadline::after(options.timeout);
        let way = roster.gather(&mut endpoint, deadline, &options, Roster::has_heard)?;
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
        let mut pace = Pace::new(options.retry_interval);
        if let Some(way) = way {
            pace.has_reported(way);
        }
        Ok(Self { endpoint, roster, session, options, pace, flight: None, copies: 0 })
    }

    /// Executes a command and returns the state machine's response. The client sends the command until
    /// the result comes or the timeout ends. It always sends one request, so that the command is applied
    /// at most once.
    ///
    /// An error tells whether the outcome is unknown; see [`ClientError::is_outcome_unknown`]. The
    /// client can be used again after any error.
    pub fn execute(&mut self, command: Bytes) -> Result<Bytes, ClientError> {
        let bytes = command.len() as u64;
        // No server can be configured to take longer commands, and a much longer one would not even fit
        // a datagram.
        let limit = Parameters::LARGEST_MAX_BYTES as u64;
        if bytes > limit {
            return Err(ClientError::TooLarge { bytes, limit, copies: 0 });
        }
        match self.run(Operation::Command(command))? {
            Invocation::Applied(response) => Ok(response),
            Invocation::Unknown => Err(ClientError::Expired),
            Invocation::TooLarge(limit) => {
                Err(ClientError::TooLarge { bytes, limit, copies: self.copies })
            }
            Invocation::Transfer(outcome) => unreachable!("no command ends with {outcome:?}"),
        }
    }

    /// Asks the state machine a query, which changes nothing, and returns the answer. The answer reflects all
    /// commands that had ended before this call, by any client: the read is linearizable. It costs the
    /// servers no entry of the log. A query that gets no answer may be asked again without harm.
    pub fn query(&mut self, query: Bytes) -> Result<Bytes, ClientError> {
        let bytes = query.len() as u64;
        let limit = Parameters::LARGEST_MAX_BYTES as u64;
        if bytes > limit {
            return Err(ClientError::TooLarge { bytes, limit, copies: 0 });
        }
        match self.run(Operation::Query(query)) {
            Ok(Invocation::Applied(answer)) => Ok(answer),
            Ok(outcome) => unreachable!("only a command ends with {outcome:?}"),
            Err(ClientError::NoSession { seen, timeout }) => {
                Err(ClientError::Unanswered { seen, timeout })
            }
            Err(error) => Err(error),
        }
    }

    /// Hands the leadership over to this server (thesis 3.10), and returns once it leads. The present leader
    /// brings its log up to date first, and takes no commands meanwhile.
    pub fn transfer(&mut self, server: u64) -> Result<(), ClientError> {
        let members: Vec<u64> = self.roster.members().keys().copied().collect();
        if !members.contains(&server) {
            return Err(ClientError::NoSuchServer { server, members });
        }
        match self.run(Operation::Transfer(id(server))) {
            Ok(Invocation::Transfer(TransferOutcome::Leads)) => Ok(()),
            Ok(Invocation::Transfer(TransferOutcome::TimedOut)) => {
                Err(ClientError::TransferGivenUp { server })
            }
            Ok(Invocation::Transfer(TransferOutcome::NoMember)) => {
                Err(ClientError::NoSuchServer { server, members })
            }
            Ok(outcome) => unreachable!("no transfer ends with {outcome:?}"),
            Err(ClientError::NoSession { seen, timeout }) => {
                Err(ClientError::TransferUnanswered { server, seen, timeout })
            }
            Err(error) => Err(error),
        }
    }

    fn run(&mut self, operation: Operation) -> Result<Invocation, ClientError> {
        self.copies = 0;
        self.session.invoke(operation);
        let result = self.drive();
        self.session.abandon();
        self.flight = None;
        result
    }

    /// Makes one attempt after the other, each with more patience, until the command in flight has
    /// ended.
    fn drive(&mut self) -> Result<Invocation, ClientError> {
        let timeout = self.options.timeout;
        let deadline = Deadline::after(timeout);
        self.roster.forget();
        for attempt in 0.. {
            // Clients that have lost one leader at one time should not all come back at one time.
            let wait = self.pace.wait(attempt).min(deadline.remaining());
            let wait = Deadline::after(wait.mul_f64(rand::rng().random_range(1.0..1.5)));
            // The client asks where the servers are when waiting was in vain. It also asks before a wait
            // that may end in an error, because the error tells what was seen.
            if attempt > 0 || wait >= deadline {
                self.roster.ask_again(&self.endpoint);
            }
            if let Some(invocation) = self.attempt(attempt, deadline.min(wait))? {
                return Ok(invocation);
            }
            if deadline.has_passed() {
                break;
            }
            self.session.on_timeout();
        }
        let seen = self.roster.sightings();
        if self.copies > 0 {
            Err(ClientError::TimedOut { seen, timeout })
        } else {
            Err(ClientError::NoSession { seen, timeout })
        }
    }

    /// Sends what the session wants sent, until `deadline`. Sends again whenever an answer has changed
    /// the request or its addressee. Servers that point at each other must not keep a client spinning.
    /// So it sends once for each server and two times more (a session is opened, then used), then only
    /// waits.
    fn attempt(
        &mut self,
        attempt: u32,
        deadline: Deadline,
    ) -> Result<Option<Invocation>, ClientError> {
        let mut requests_left = self.roster.members().len() + 2;
        let mut asked = None;
        loop {
            let request = self.session.request().and_then(|(server, request)| {
                let server = number(server);
                Some((server, *self.roster.members().get(&server)?, request))
            });
            if request != asked && requests_left > 0 {
                if let Some((server, address, request)) = request.clone() {
                    self.takes_off(request.sequence(), attempt);
                    self.send(server, address, request);
                }
                asked = request;
                requests_left -= 1;
            }
            let response = match self.hear(deadline)? {
                Heard::Response(response) => response,
                Heard::Report => continue,
                Heard::Silence => return Ok(None),
            };
            let invocation = self.session.on_response(response);
            self.lands(attempt);
            if invocation.is_some() {
                return Ok(invocation);
            }
        }
    }

    /// Notes when a request is sent, and when it was sent first.
    fn takes_off(&mut self, sequence: u64, attempt: u32) {
        let latest = Moment::now();
        match &mut self.flight {
            Some(flight) if flight.sequence == sequence => flight.latest = latest,
            flight => *flight = Some(Flight { sequence, since: latest, attempt, latest }),
        }
    }

    /// If the request in flight has got its answer, learns from how long that took.
    fn lands(&mut self, attempt: u32) {
        let in_flight = self.session.request().map(|(_, request)| request.sequence());
        if let Some(Flight { sequence, since, attempt: first, latest }) = self.flight
            && in_flight != Some(sequence)
        {
            self.pace.has_answered(Answered {
                after_first: since.elapsed(),
                after_latest: latest.elapsed(),
                copies: attempt - first + 1,
            });
            self.flight = None;
        }
    }

    /// Sends a request. A request that the operating system does not take is as good as lost.
    fn send(&mut self, server: u64, address: SocketAddr, request: ClientRequest) {
        self.copies += u64::from(matches!(request, ClientRequest::Command { .. }));
        let message = Message::ClientRequest(request);
        if let Err(error) = self.endpoint.request(server, address, message) {
            tracing::debug!(server, %address, "cannot send a request: {error}");
        }
    }

    /// The next response or report of a server of the cluster, if one comes before the deadline.
    fn hear(&mut self, deadline: Deadline) -> Result<Heard, ClientError> {
        loop {
            let heard = self.endpoint.receive(deadline);
            let in_flight = self.copies > 0;
            match heard.map_err(|source| ClientError::Socket { source, in_flight })? {
                Some(endpoint::Heard::Reply { server, message }) => {
                    if let Message::ClientResponse(response) = message
                        && self.roster.members().contains_key(&server)
                    {
                        return Ok(Heard::Response(response));
                    }
                }
                Some(endpoint::Heard::Report { server, nonce, status }) => {
                    if self.roster.members().contains_key(&server)
                        && let Some(news) = self.roster.hear(server, nonce, &status)
                    {
                        self.pace.has_reported(news.way);
                        if news.has_place {
                            self.roster.ask(&self.endpoint);
                        }
                        return Ok(Heard::Report);
                    }
                }
                Some(endpoint::Heard::Page { .. }) => {}
                None => return Ok(Heard::Silence),
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

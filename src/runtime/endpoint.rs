//! A client's end of the wire: a socket from which a program asks the servers of one cluster.
//!
//! An [`Endpoint`] accepts undamaged replies, reports and pages of its cluster, sent under a server's number
//! and addressed to the client's own number. A client draws its own number at random from more than
//! 2^63, so a stranger would have to guess it. The endpoint does *not* compare the source address. A
//! server that listens on all addresses of its machine may answer from another one than it was asked at.

use super::store::Life;
use super::wire::{self, ANYBODY, Body, CLIENTS, Datagram, EncodeError, Header, Kind, Reject};
use rand::Rng;
use serde::{Serialize, de::DeserializeOwned};
use std::io::{self, ErrorKind};
use std::marker::PhantomData;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// The longest wait. A longer one is cut to this, because `Instant` does not reach arbitrarily far.
const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);

/// A client's socket, for a protocol with the messages `M`.
#[derive(Debug)]
pub struct Endpoint<M> {
    socket: UdpSocket,
    cluster: u64,
    number: u64,
    buffer: Vec<u8>,
    message: PhantomData<fn() -> M>,
}

/// A server's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard<M> {
    /// The answer to a request.
    Reply {
        /// The server's number.
        server: u64,
        /// The server's message.
        message: M,
    },
    /// The answer to an inspection.
    Report {
        /// The server's number.
        server: u64,
        /// The nonce of the inspection that this answers.
        nonce: u64,
        /// The status in JSON, as it arrived.
        status: Vec<u8>,
    },
    /// The answer to a question for a page.
    Page {
        /// The server's number.
        server: u64,
        /// The nonce of the question that this answers.
        nonce: u64,
        /// The page in JSON, as it arrived.
        page: Vec<u8>,
    },
}

/// Why a datagram was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The datagram has no form on the wire.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The operating system refused to send the datagram.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl<M: Serialize + DeserializeOwned> Endpoint<M> {
    /// Opens a socket on any free port, of IPv4 or IPv6, and draws the client's number.
    pub fn open(cluster: &str, ipv4: bool) -> io::Result<Self> {
        let any: SocketAddr = if ipv4 {
            (Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (Ipv6Addr::UNSPECIFIED, 0).into()
        };
        Ok(Self {
            socket: UdpSocket::bind(any)?,
            cluster: wire::client_cluster(cluster),
            number: rand::rng().random_range(CLIENTS..=u64::MAX),
            // The buffer is longer than any UDP payload, so that an oversized datagram is seen as such
            // and not cut.
            buffer: vec![0; 1 << 16],
            message: PhantomData,
        })
    }

    /// The client's number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Sends a request to server `server` at `address`.
    pub fn request(&self, server: u64, address: SocketAddr, message: M) -> Result<(), SendError> {
        self.send(server, address, Body::Request(message))
    }

    /// Asks whoever is at `address` for its status.
    pub fn inspect(&self, address: SocketAddr, nonce: u64) -> Result<(), SendError> {
        self.send(ANYBODY, address, Body::Inspect { nonce })
    }

    /// Asks server `server` at `address` for a page of what its actor keeps, from the index `from` on.
    pub fn browse(
        &self,
        server: u64,
        address: SocketAddr,
        nonce: u64,
        from: u64,
    ) -> Result<(), SendError> {
        self.send(server, address, Body::Browse { nonce, from })
    }

    /// Asks the state of server `server` at `address` a query. The state may be old.
    pub fn peek(
        &self,
        server: u64,
        address: SocketAddr,
        nonce: u64,
        query: Vec<u8>,
    ) -> Result<(), SendError> {
        self.send(server, address, Body::Peek { nonce, query })
    }

    fn send(&self, addressee: u64, address: SocketAddr, body: Body<M>) -> Result<(), SendError> {
        let (cluster, sender) = (self.cluster, self.number);
        let life = Life::default();
        let datagram = Datagram { cluster, sender, life, saves: 0, addressee, body };
        self.socket.send_to(&wire::encode(&datagram)?, address)?;
        Ok(())
    }

    /// Waits for an answer, at most until the deadline, and returns `None` if none came. Datagrams that
    /// are not for this client are ignored.
    pub fn receive(&mut self, deadline: Deadline) -> io::Result<Option<Heard<M>>> {
        loop {
            let left = deadline.remaining();
            if left.is_zero() {
                return Ok(None);
            }
            self.socket.set_read_timeout(Some(left))?;
            match self.socket.recv_from(&mut self.buffer) {
                Ok((length, from)) => match self.open_datagram(length) {
                    Ok(heard) => return Ok(Some(heard)),
                    Err(reject) => tracing::debug!(%from, "ignored a datagram: {reject}"),
                },
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn open_datagram(&self, length: usize) -> Result<Heard<M>, Reject> {
        let datagram = wire::decode(&self.buffer[..length], |header| self.admit(header))?;
        let server = datagram.sender;
        match datagram.body {
            Body::Reply(message) => Ok(Heard::Reply { server, message }),
            Body::Report { nonce, status } => Ok(Heard::Report { server, nonce, status }),
            Body::Page { nonce, page } => Ok(Heard::Page { server, nonce, page }),
            Body::Peer(_)
            | Body::Request(_)
            | Body::Inspect { .. }
            | Body::Browse { .. }
            | Body::Peek { .. }
            | Body::Hello(_)
            | Body::Refused(_) => Err(Reject::UnexpectedKind),
        }
    }

    fn admit(&self, header: &Header) -> Result<(), Reject> {
        if !matches!(header.kind, Kind::Reply | Kind::Report | Kind::Page) {
            return Err(Reject::UnexpectedKind);
        }
        if header.cluster != self.cluster {
            return Err(Reject::ForeignCluster);
        }
        if header.addressee != self.number {
            return Err(Reject::WrongAddressee);
        }
        if (1..CLIENTS).contains(&header.sender) { Ok(()) } else { Err(Reject::UnknownPeer) }
    }
}

/// Whether the client goes on waiting after this error. Some systems report on a receive that an earlier
/// send found nobody listening.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock
            | ErrorKind::TimedOut
            | ErrorKind::Interrupted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
    )
}

/// The moment until which to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The moment `wait` from now.
    pub fn after(wait: Duration) -> Self {
        Self(now() + wait.min(LONGEST))
    }

    /// The time that is left; zero once the deadline has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(now())
    }

    /// Whether the deadline has passed.
    pub fn has_passed(self) -> bool {
        self.remaining().is_zero()
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a client waits is told by the clock")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_far_beyond_the_clock_is_no_panic() {
        assert!(!Deadline::after(Duration::MAX).has_passed());
        assert!(Deadline::after(Duration::ZERO).has_passed());
    }

    #[test]
    fn only_a_servers_answer_to_this_very_client_is_heard() {
        let mut client = Endpoint::<u32>::open("ours", true).expect("a socket");
        let address = (Ipv4Addr::LOCALHOST, client.socket.local_addr().expect("bound").port());
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        let cluster = wire::client_cluster("ours");
        let good = Datagram {
            cluster,
            sender: 1,
            life: Life { directory: 7, ..Life::default() },
            saves: 0,
            addressee: client.number(),
            body: Body::Reply(5_u32),
        };
        let mut cut = wire::encode(&good).expect("it fits");
        cut.pop();
        server.send_to(&cut, address).expect("sent");
        for bad in [
            Datagram { cluster: wire::client_cluster("theirs"), ..good.clone() },
            Datagram { addressee: client.number() ^ 1, ..good.clone() },
            Datagram { sender: CLIENTS, ..good.clone() },
            Datagram { body: Body::Request(5), ..good.clone() },
            Datagram { body: Body::Peer(5), ..good.clone() },
        ] {
            server.send_to(&wire::encode(&bad).expect("it fits"), address).expect("sent");
        }
        server.send_to(&wire::encode(&good).expect("it fits"), address).expect("sent");
        let deadline = Deadline::after(Duration::from_secs(10));
        let heard = client.receive(deadline).expect("a sound socket");
        assert_eq!(heard, Some(Heard::Reply { server: 1, message: 5 }));
        let deadline = Deadline::after(Duration::from_millis(50));
        assert_eq!(client.receive(deadline).expect("a sound socket"), None);
    }
}

//! The receiving thread: from the socket into the mailbox, whatever the network sends.

use super::counters::{Counters, Loss};
use super::hello::{Hello, Refusal};
use super::mailbox::{Mailbox, Refused};
use super::peers::Claim;
use super::stop::Stop;
use super::wire::{self, Body, CLIENTS, Datagram, Header, Kind, Reject};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// How long a silent network delays a stop.
pub(super) const PATIENCE: Duration = Duration::from_millis(50);

/// A datagram that is for this node.
#[derive(Debug)]
pub(super) enum Incoming<M> {
    /// From another server.
    Peer { claim: Claim, message: M },
    /// Another server says who it is and whom it knows.
    Hello { claim: Claim, hello: Hello },
    /// Another server says why it drops what a server of this number says.
    Refused { server: u64, refusal: Refusal },
    /// From a client.
    Client { client: u64, address: SocketAddr, message: M },
    /// A question for the status.
    Inspect { client: u64, address: SocketAddr, nonce: u64 },
}

/// Which datagrams are for this node. (Whether a peer is who it was is judged later, where that is
/// remembered.)
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) id: u64,
    pub(super) client_cluster: u64,
    pub(super) peer_cluster: u64,
    pub(super) peers: BTreeSet<u64>,
}

impl Gate {
    fn admit(&self, header: &Header) -> Result<(), Reject> {
        let cluster = match header.kind {
            Kind::Peer | Kind::Hello | Kind::Refused => self.peer_cluster,
            Kind::Request | Kind::Inspect => self.client_cluster,
            Kind::Reply | Kind::Report => return Err(Reject::UnexpectedKind),
        };
        if header.cluster != cluster {
            return Err(Reject::ForeignCluster);
        }
        // Who inspects an address wants to learn who is there.
        let is_open = header.kind == Kind::Inspect && header.addressee == wire::ANYBODY;
        if header.addressee != self.id && !is_open {
            return Err(Reject::WrongAddressee);
        }
        match header.kind {
            Kind::Peer | Kind::Hello | Kind::Refused if !self.peers.contains(&header.sender) => {
                Err(Reject::UnknownPeer)
            }
            Kind::Request | Kind::Inspect if header.sender < CLIENTS => Err(Reject::NotAClient),
            _ => Ok(()),
        }
    }

    fn open<M: DeserializeOwned>(
        &self,
        bytes: &[u8],
        address: SocketAddr,
    ) -> Result<Incoming<M>, Reject> {
        let datagram = wire::decode(bytes, |header| self.admit(header))?;
        let Datagram { sender, life, saves, body, .. } = datagram;
        let claim = Claim { server: sender, life, saves, address };
        match body {
            Body::Peer(message) => Ok(Incoming::Peer { claim, message }),
            Body::Hello(hello) => Ok(Incoming::Hello { claim, hello }),
            Body::Refused(refusal) => Ok(Incoming::Refused { server: sender, refusal }),
            Body::Request(message) => Ok(Incoming::Client { client: sender, address, message }),
            Body::Inspect { nonce } => Ok(Incoming::Inspect { client: sender, address, nonce }),
            Body::Reply(_) | Body::Report { .. } => Err(Reject::UnexpectedKind),
        }
    }
}

/// Moves datagrams from the socket into the mailbox until `stop` or until the mailbox is closed,
/// which it is when this returns. The socket's read timeout is [`PATIENCE`].
pub(super) fn receive<M: DeserializeOwned>(
    socket: &UdpSocket,
    gate: &Gate,
    mailbox: &Mailbox<Incoming<M>>,
    counters: &Counters,
    stop: &Stop,
) {
    let _closes = CloseOnDrop(mailbox);
    // More than any UDP payload, so that an oversized datagram is seen as such and not cut.
    let mut buffer = vec![0; 1 << 16];
    // Asked each time, for a flood of garbage neither lets a read time out nor reaches the mailbox.
    while !stop.is_triggered() && !mailbox.is_closed() {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                counters.received();
                match gate.open(&buffer[..length], from) {
                    Ok(incoming) => {
                        if mailbox.push(incoming) == Err(Refused::Full) {
                            counters.lost(Loss::MailboxFull, "a datagram, the mailbox is full");
                        }
                    }
                    Err(reject) => counters.rejected(reject, from),
                }
            }
            Err(error) => survive(&error, counters),
        }
    }
}

/// No error of a receive is worth stopping for: to the protocol it is a lost datagram.
fn survive(error: &io::Error, counters: &Counters) {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
        // Some systems report here that an earlier send found nobody listening.
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => {
            counters.lost(Loss::ReceiveFailed, error);
        }
        _ => {
            counters.lost(Loss::ReceiveFailed, error);
            pause();
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "there is no event that tells when a socket recovers"
)]
fn pause() {
    // An error that persists (an interface that is down) must not keep a core busy.
    std::thread::sleep(PATIENCE);
}

/// Closes the mailbox however its holder ends, a panic included: the other thread would wait for
/// ever.
pub(super) struct CloseOnDrop<'a, T>(pub(super) &'a Mailbox<T>);

impl<T> Drop for CloseOnDrop<'_, T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

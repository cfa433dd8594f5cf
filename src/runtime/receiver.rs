//! The way of a datagram from the socket into the mailbox. The [`Inlet`] takes a datagram from the
//! socket and asks the [`Gate`] whether it is for this node. If so, the inlet decodes it and pushes it
//! into the mailbox. The receiving thread does that all the time, and the node's loop does it before a
//! timer fires. Datagrams that are not for this node, and datagrams for which there is no room, are
//! dropped and counted.

use super::counters::{Counters, Loss};
use super::cuts::Cuts;
use super::hello::{Hello, Refusal};
use super::mailbox::{Class, Mailbox, Refused};
use super::peers::Claim;
use super::stop::Stop;
use super::turns::Turns;
use super::wire::{self, Body, CLIENTS, Datagram, Header, Kind, Reject};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{set_socket_recv_buffer_size, socket_recv_buffer_size};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::ops::ControlFlow;
use std::time::Duration;

/// The longest time by which a silent network delays a stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// How many bytes the kernel is asked to keep for the socket: some thousand small datagrams. Linux takes
/// twice as many, and no more than `net.core.rmem_max` allows.
const BUFFER: usize = 1 << 20;

/// The most datagrams that the receiving thread moves in one turn. The loop may have to wait for so
/// many.
const ONE_TURN: usize = 64;

/// The most inspections that wait, and so the most that are answered between messages.
const INSPECTIONS: usize = 64;

/// A datagram that is for this node.
#[derive(Debug)]
pub(super) enum Incoming<M> {
    /// A message of another server's actor.
    Peer { claim: Claim, message: M },
    /// Another server says who it is and whom it knows.
    Hello { claim: Claim, hello: Hello },
    /// Another server says why it drops what a server of this number says.
    Refused { server: u64, refusal: Refusal },
    /// A message of a client.
    Client { client: u64, address: SocketAddr, message: M },
    /// A client's question for the status.
    Inspect { client: u64, address: SocketAddr, nonce: u64 },
    /// A client's question for a page.
    Browse { client: u64, address: SocketAddr, nonce: u64, from: u64 },
    /// A client's query to this server's state.
    Peek { client: u64, address: SocketAddr, nonce: u64, query: Vec<u8> },
}

impl<M> Incoming<M> {
    fn class(&self) -> Class {
        match self {
            Self::Peer { .. } | Self::Hello { .. } | Self::Refused { .. } => Class::Peer,
            Self::Client { .. } => Class::Client,
            Self::Inspect { .. } | Self::Browse { .. } | Self::Peek { .. } => Class::Inspection,
        }
    }

    /// The server that sent the datagram, unless a client did.
    fn server(&self) -> Option<u64> {
        match self {
            Self::Peer { claim, .. } | Self::Hello { claim, .. } => Some(claim.server),
            Self::Refused { server, .. } => Some(*server),
            Self::Client { .. }
            | Self::Inspect { .. }
            | Self::Browse { .. }
            | Self::Peek { .. } => None,
        }
    }
}

/// Judges which datagrams are for this node. (Whether a peer still has its memory is judged later, by
/// `peers`, which remembers its lives.)
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) id: u64,
    pub(super) client_cluster: u64,
    pub(super) peer_cluster: u64,
    pub(super) peers: BTreeSet<u64>,
    pub(super) cuts: Cuts,
}

impl Gate {
    fn admit(&self, header: &Header) -> Result<(), Reject> {
        let cluster = match header.kind {
            Kind::Peer | Kind::Hello | Kind::Refused => self.peer_cluster,
            Kind::Request | Kind::Inspect | Kind::Browse | Kind::Peek => self.client_cluster,
            Kind::Reply | Kind::Report | Kind::Page => return Err(Reject::UnexpectedKind),
        };
        if header.cluster != cluster {
            return Err(Reject::ForeignCluster);
        }
        // A client that inspects an address wants to learn who is there.
        let is_open = header.kind == Kind::Inspect && header.addressee == wire::ANYBODY;
        if header.addressee != self.id && !is_open {
            return Err(Reject::WrongAddressee);
        }
        match header.kind {
            Kind::Peer | Kind::Hello | Kind::Refused if !self.peers.contains(&header.sender) => {
                Err(Reject::UnknownPeer)
            }
            Kind::Request | Kind::Inspect | Kind::Browse | Kind::Peek
                if header.sender < CLIENTS =>
            {
                Err(Reject::NotAClient)
            }
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
            Body::Browse { nonce, from } => {
                Ok(Incoming::Browse { client: sender, address, nonce, from })
            }
            Body::Peek { nonce, query } => {
                Ok(Incoming::Peek { client: sender, address, nonce, query })
            }
            Body::Reply(_) | Body::Report { .. } | Body::Page { .. } => Err(Reject::UnexpectedKind),
        }
    }
}

/// The node's socket, its mailbox, and the way from the socket into the mailbox.
#[derive(Debug)]
pub(super) struct Inlet<'a, M> {
    socket: &'a UdpSocket,
    gate: &'a Gate,
    counters: &'a Counters,
    mailbox: Mailbox<Incoming<M>>,
    /// The thread that has the turn has the buffer.
    turns: Turns<Vec<u8>>,
    /// At least as many datagrams as the kernel keeps for the socket.
    most: usize,
}

/// Why a turn at the socket ended.
enum End {
    /// No datagram is there.
    Empty,
    /// The operating system reports an error that may last.
    Failing,
}

/// Prepares a node's socket: the socket never blocks, and the kernel is asked to keep [`BUFFER`] bytes
/// for it.
pub(super) fn prepare(socket: &UdpSocket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    Ok(set_socket_recv_buffer_size(socket, BUFFER)?)
}

impl<'a, M: DeserializeOwned> Inlet<'a, M> {
    /// Creates the inlet of a prepared socket, for at most `capacity` waiting datagrams of peers and as
    /// many of clients.
    pub(super) fn new(
        socket: &'a UdpSocket,
        gate: &'a Gate,
        counters: &'a Counters,
        capacity: usize,
    ) -> io::Result<Self> {
        // The kernel counts more than 256 bytes even for the smallest datagram, because it counts all
        // that it keeps of one.
        let most = socket_recv_buffer_size(socket)? / 256 + 1;
        let mailbox = Mailbox::new(capacity, capacity, capacity.min(INSPECTIONS));
        // The buffer is longer than any UDP payload, so that an oversized datagram is seen as such and
        // not cut.
        let turns = Turns::new(vec![0; 1 << 16]);
        Ok(Self { socket, gate, counters, mailbox, turns, most })
    }

    /// The mailbox that holds the datagrams.
    pub(super) fn mailbox(&self) -> &Mailbox<Incoming<M>> {
        &self.mailbox
    }

    /// The body of the receiving thread: moves datagrams until `stop` is triggered or the mailbox is
    /// closed. When this returns, the mailbox is closed.
    pub(super) fn receive(&self, stop: &Stop) {
        let _closes = CloseOnDrop(&self.mailbox);
        // Both are asked each time, because a flood of garbage neither lets a wait time out nor reaches
        // the mailbox.
        while !stop.is_triggered() && !self.mailbox.is_closed() {
            self.wait();
            let end = self.turns.fill(ONE_TURN, |buffer| self.take(buffer));
            if matches!(end, ControlFlow::Break(End::Failing)) {
                pause();
            }
        }
    }

    /// Moves into the mailbox all datagrams that the kernel held when this was called. If a flood
    /// arrives meanwhile, it moves no more than could have been there.
    pub(super) fn drain(&self) {
        // The reason for the end does not matter: nothing is left, or there is an error that the
        // receiving thread meets as well.
        let _ = self.turns.drain(self.most, |buffer| self.take(buffer));
    }

    /// Waits until a datagram may be there, or for [`PATIENCE`].
    fn wait(&self) {
        let mut socket = [PollFd::new(self.socket, PollFlags::IN)];
        let patience = Timespec::try_from(PATIENCE).expect("a short time");
        // If the poll fails, the thread goes on as if a datagram had come; the error shows when it takes
        // one.
        let _ = poll(&mut socket, Some(&patience));
    }

    /// Moves one datagram.
    fn take(&self, buffer: &mut [u8]) -> ControlFlow<End> {
        let (length, from) = match self.socket.recv_from(buffer) {
            Ok(received) => received,
            Err(error) => return survive(&error, self.counters),
        };
        self.counters.received();
        match self.gate.open(&buffer[..length], from) {
            Ok(incoming) if incoming.server().is_some_and(|it| self.gate.cuts.is_cut(it)) => {
                self.counters.cut();
            }
            Ok(incoming) => {
                if self.mailbox.push(incoming.class(), incoming) == Err(Refused::Full) {
                    self.counters.lost(Loss::MailboxFull, "a datagram, the mailbox is full");
                }
            }
            Err(reject) => self.counters.rejected(reject, from),
        }
        ControlFlow::Continue(())
    }
}

/// Handles an error of a receive. None is worth stopping for: to the protocol it is a lost datagram.
fn survive(error: &io::Error, counters: &Counters) -> ControlFlow<End> {
    match error.kind() {
        ErrorKind::WouldBlock => ControlFlow::Break(End::Empty),
        ErrorKind::Interrupted => ControlFlow::Continue(()),
        // Some systems report on a receive that an earlier send found nobody listening.
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => {
            counters.lost(Loss::ReceiveFailed, error);
            ControlFlow::Continue(())
        }
        _ => {
            counters.lost(Loss::ReceiveFailed, error);
            ControlFlow::Break(End::Failing)
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

/// Closes the mailbox however its holder ends, even by a panic. Otherwise the other thread would wait
/// for ever.
pub(super) struct CloseOnDrop<'a, T>(pub(super) &'a Mailbox<T>);

impl<T> Drop for CloseOnDrop<'_, T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

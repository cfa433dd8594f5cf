//! A node: its parts, how it starts and how it stops. [`Node::bind`] takes the address; [`Node::run`]
//! starts the receiving thread and then runs the loop, which is in `worker.rs`.

use super::addresses::Addresses;
use super::config::NodeConfig;
use super::counters::Counters;
use super::cuts::Cuts;
use super::error::NodeError;
pub use super::observer::{Event, Observer};
use super::receiver::{self, CloseOnDrop, Gate, Inlet};
use super::stop::Stop;
use super::store::Store;
use super::wire;
use super::worker::Worker;
use crate::durable::Durable;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use stateright::actor::Actor;
use std::net::{SocketAddr, UdpSocket};
use std::thread;

/// Actor numbers are `usize` in stateright, and a client's number does not fit 32 bits.
const _: () = assert!(usize::BITS >= 64, "a node needs a 64-bit machine");

/// An actor that can be deployed. The messages have an encoding, the timers have an order, and the saved
/// values have differences. The actor makes no random choices: a checker would explore them, but a node
/// would have to pick one.
pub trait Deployable:
    Actor<Msg: Serialize + DeserializeOwned + Send, Timer: Ord, Storage: Durable, Random = ()>
{
}

impl<A> Deployable for A where
    A: Actor<Msg: Serialize + DeserializeOwned + Send, Timer: Ord, Storage: Durable, Random = ()>
{
}

/// An actor with a socket and a store.
///
/// A node has two threads. One moves datagrams from the socket into a bounded mailbox. The other, which
/// calls [`Node::run`], calls the actor's handlers, saves, and sends. A message that the actor sends to
/// itself is lost.
pub struct Node<A, St, F, O> {
    pub(super) config: NodeConfig,
    pub(super) actor: A,
    pub(super) store: St,
    pub(super) status: F,
    pub(super) observer: O,
    pub(super) socket: UdpSocket,
    pub(super) address: SocketAddr,
    cuts: Cuts,
}

impl<A, St, F, O> Node<A, St, F, O>
where
    A: Deployable,
    St: Store<A::Storage>,
    F: Fn(&A::State) -> Value,
    O: Observer<A>,
{
    /// Checks the configuration and takes the address. The actor starts only with [`Node::run`].
    ///
    /// `status` describes a state to people. The node adds `id`, `cluster`, `members`, `counters`,
    /// `directory`, `start`, `copy` and `peers` to it. `observer` sees every handler call; the observer
    /// `()` ignores them.
    pub fn bind(
        config: NodeConfig,
        actor: A,
        store: St,
        status: F,
        observer: O,
    ) -> Result<Self, NodeError> {
        config.validate()?;
        let listen = |source| NodeError::Listen { address: config.listen, source };
        let socket = UdpSocket::bind(config.listen).map_err(listen)?;
        let address = socket.local_addr().map_err(listen)?;
        receiver::prepare(&socket).map_err(NodeError::Setup)?;
        let cuts = Cuts::among(config.peers.keys().copied());
        Ok(Self { config, actor, store, status, observer, socket, address, cuts })
    }

    /// The address that the node listens on, with the port that was found if port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The node's cuts, for whoever wants the node to drop some peers' datagrams.
    pub fn cuts(&self) -> Cuts {
        self.cuts.clone()
    }

    /// Runs the node until `stop` is triggered or an error occurs. When this returns, the node's
    /// receiving thread has ended and its address is free.
    pub fn run(self, stop: &Stop) -> Result<(), NodeError> {
        let NodeConfig { id, ref cluster, mailbox: capacity, .. } = self.config;
        let gate = Gate {
            id,
            client_cluster: wire::client_cluster(cluster),
            peer_cluster: wire::peer_cluster(cluster, &self.config.members()),
            peers: self.config.peers.keys().copied().collect(),
            cuts: self.cuts(),
        };
        let addresses = Addresses::new(self.config.peers.clone());
        let socket = self.socket.try_clone().map_err(NodeError::Setup)?;
        let counters = Counters::default();
        let inlet = Inlet::new(&socket, &gate, &counters, capacity).map_err(NodeError::Setup)?;
        thread::scope(|scope| {
            let closes = CloseOnDrop(inlet.mailbox());
            let receiving = thread::Builder::new()
                .name(format!("receiver-{id}"))
                .spawn_scoped(scope, || inlet.receive(stop))
                .map_err(NodeError::Setup)?;
            let result = Worker::start(self, addresses, &gate, &counters)
                .and_then(|(worker, committed)| worker.run(committed, &inlet, stop));
            drop(closes);
            receiving.join().map_err(|_| NodeError::ReceiverPanicked)?;
            tracing::info!(id, "stopped; {counters}");
            result
        })
    }
}

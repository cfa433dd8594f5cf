//! Deploying Raft: the actor that was checked runs on a durable store, over UDP.
//!
//! A [`Deployment`] describes one server. [`Deployment::bootstrap`] creates the server's store, once in
//! its life. [`Deployment::bind`] opens the store, takes the address, and returns a [`RaftNode`];
//! [`RaftNode::run`] runs it.
//!
//! This module joins [`crate::raft`], which knows no files and sockets, and [`crate::runtime`], which
//! knows no Raft. Both `raft node` and a program with a [`StateMachine`] of its own use it:
//!
//! ```no_run
//! use checked_raft::deploy::Deployment;
//! use checked_raft::kv::Kv;
//! use checked_raft::runtime::Stop;
//! use std::collections::BTreeMap;
//!
//! let peers = BTreeMap::from([
//!     (2, "10.0.0.2:7000".parse()?),
//!     (3, "10.0.0.3:7000".parse()?),
//! ]);
//! let deployment = Deployment::new(1, "10.0.0.1:7000".parse()?, peers, "/var/lib/raft");
//! // Once in the life of a server, and by a person: see `Deployment::bootstrap`.
//! if std::env::args().any(|argument| argument == "--bootstrap") {
//!     deployment.bootstrap::<Kv>()?;
//! }
//! deployment.bind::<Kv>()?.run(&Stop::new())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod contact;
mod error;
mod journal;
mod local;
mod log_page;
mod saves;
mod status;
mod suspicion;
mod trace;

pub use error::DeployError;
pub use local::LocalCluster;
pub use status::status;
pub use trace::{TraceSteps, replay_trace, trace_steps, traced_parameters};

use crate::raft::{Parameters, Persistent, Raft, Server};
use crate::runtime::store::{Expected, Identity, LogStore, RealDisk, Store};
use crate::runtime::{Cuts, Node, NodeConfig, NodeError, Stop};
use crate::state_machine::StateMachine;
use journal::Journal;

use serde_json::Value;
use stateright::actor::Id;
use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;

/// The name of a cluster that was given no name.
pub const DEFAULT_CLUSTER: &str = "raft";

/// One server of a cluster: its number, its address, its data directory, and the protocol's parameters.
///
/// Bootstrap writes `cluster`, `id` and the set of servers into the data directory, and each start
/// compares them. Addresses and the protocol's parameters may change.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// This server's number, from 1. It is the server's `Id` in the protocol.
    pub id: u64,
    /// The cluster's name.
    pub cluster: String,
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The other servers' numbers and addresses.
    pub peers: BTreeMap<u64, SocketAddr>,
    /// The data directory. No other server may use it.
    pub data: PathBuf,
    /// The file to append the trace to, if a trace is wanted. A trace must see every life of a server
    /// from the server's first record on.
    pub trace: Option<PathBuf>,
    /// The size in bytes at which the trace ends, if it has a limit. The server then goes on without it.
    pub trace_limit: Option<u64>,
    /// The protocol's parameters.
    pub parameters: Parameters,
}

/// A server that has its store and its address, and has not started yet.
pub struct RaftNode<S: StateMachine> {
    node: Node<Raft<S>, LogStore<Persistent<S>>, StatusFn<S>, Journal>,
    trace: Option<PathBuf>,
}

type StatusFn<S> = Box<dyn Fn(&Server<S>) -> Value + Send>;

impl Deployment {
    /// Creates a server with the protocol's default parameters, in the cluster of the default name,
    /// without a trace.
    pub fn new(
        id: u64,
        listen: SocketAddr,
        peers: BTreeMap<u64, SocketAddr>,
        data: impl Into<PathBuf>,
    ) -> Self {
        let (cluster, data) = (DEFAULT_CLUSTER.to_owned(), data.into());
        let (trace, trace_limit, parameters) = (None, None, Parameters::default());
        Self { id, cluster, listen, peers, data, trace, trace_limit, parameters }
    }

    /// Creates the server's identity in its data directory, which must be empty or missing. The server will
    /// replicate the state machine `S`.
    ///
    /// This is a separate act because it is a promise: no server of this number has ever been part of
    /// the cluster. A server that lost its directory has forgotten its votes and its log, and must not
    /// be bootstrapped again. A script that restarts servers must not contain this act.
    pub fn bootstrap<S: StateMachine>(&self) -> Result<(), DeployError> {
        // Problems that would keep the node from starting are found before the one-time act.
        self.check()?;
        self.check_trace()?;
        let mut directory = [0; 16];
        getrandom::fill(&mut directory).map_err(DeployError::Random)?;
        let Expected { cluster, server, members } = self.expected();
        let directory = u128::from_le_bytes(directory);
        let identity = Identity { cluster, server, members, directory };
        LogStore::<Persistent<S>>::bootstrap(Arc::new(RealDisk), &self.data, &identity)?;
        tracing::info!(id = self.id, data = %self.data.display(), "bootstrapped");
        Ok(())
    }

    /// Checks that a server could start, as far as can be told without touching its data directory. The
    /// parameters must be sound and the address free.
    pub fn check(&self) -> Result<(), DeployError> {
        self.parameters.validate()?;
        self.node_config(0).validate()?;
        let address = self.listen;
        UdpSocket::bind(address).map_err(|source| NodeError::Listen { address, source })?;
        Ok(())
    }

    /// Opens the store, which restores what was saved last or refuses. Then takes the address.
    pub fn bind<S: StateMachine>(&self) -> Result<RaftNode<S>, DeployError> {
        self.node_config(0).validate()?;
        let members = self.expected().members.into_iter().map(actor_id);
        let raft = Raft::new(members, self.parameters.clone())?;
        let store = LogStore::open(Arc::new(RealDisk), &self.data, &self.expected())?;
        let Persistent { current_term, log, .. } = store.value();
        let (term, last_log_index) = (current_term.0, log.last_index().0);
        let data = self.data.display();
        tracing::info!(id = self.id, %data, term, last_log_index, "recovered");
        let config = self.node_config(store.identity().directory);
        let origin = trace::origin(&self.cluster, self.id, &raft);
        let held = (store.saves() > 0).then(|| store.value());
        let writer = |path| trace::writer(path, origin, held, self.trace_limit);
        let trace = self.trace.as_deref().map(writer).transpose()?.flatten();
        let id = actor_id(self.id);
        let status: StatusFn<S> = Box::new(move |server| status(id, server));
        let journal = Journal::new(self.id, raft.parameters(), trace);
        let node = Node::bind(config, raft, store, status, journal)?;
        Ok(RaftNode { node, trace: self.trace.clone() })
    }

    /// Checks that a new server could write its trace: the file is empty, or can be created. (A file
    /// within the data directory cannot be created yet, and is not checked.)
    fn check_trace(&self) -> Result<(), DeployError> {
        match &self.trace {
            Some(path) if !path.starts_with(&self.data) => trace::check_new(path),
            _ => Ok(()),
        }
    }

    /// Whether the server has ever started.
    fn has_run<S: StateMachine>(&self) -> Result<bool, DeployError> {
        let disk = Arc::new(RealDisk);
        let store = LogStore::<Persistent<S>>::open(disk, &self.data, &self.expected())?;
        Ok(!store.census().starts.is_empty())
    }

    fn node_config(&self, directory: u128) -> NodeConfig {
        let (cluster, peers) = (self.cluster.clone(), self.peers.clone());
        NodeConfig::new(self.id, cluster, self.listen, peers, directory)
    }

    fn expected(&self) -> Expected {
        let members = self.node_config(0).members();
        Expected { cluster: self.cluster.clone(), server: self.id, members }
    }
}

impl<S: StateMachine> RaftNode<S> {
    /// The address that the server listens on, with the port that was found if port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.node.local_addr()
    }

    /// The links that can be cut, for experiments: the server drops the datagrams of some others.
    pub fn cuts(&self) -> Cuts {
        self.node.cuts()
    }

    /// Runs the server until `stop` is triggered or an error occurs.
    pub fn run(self, stop: &Stop) -> Result<(), DeployError> {
        self.node.run(stop).map_err(|error| match (error, self.trace) {
            (NodeError::Observe(source), Some(path)) => DeployError::Trace { path, source },
            (error, _) => error.into(),
        })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a node needs 64 bits, asserted in runtime")]
fn actor_id(number: u64) -> Id {
    Id::from(number as usize)
}

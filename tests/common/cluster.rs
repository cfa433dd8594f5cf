//! A cluster of nodes in this process, each behind a proxy.

use super::proxy::{Faults, Proxy};
use super::wait_for;
use checked_raft::client::{self, Client, ClientError, Options, ServerStatus};
use checked_raft::deploy;
use checked_raft::raft::{Parameters, Persistent, Raft, Server};
use checked_raft::runtime::store::Store;
use checked_raft::runtime::{Node, NodeConfig, NodeError, Stop};
use checked_raft::state_machine::StateMachine;
use stateright::actor::Id;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub(crate) const CLUSTER: &str = "in-process";

/// Servers 1, 2 and so on, replicating `S`.
pub(crate) struct Cluster<S> {
    parameters: Parameters,
    proxies: BTreeMap<u64, Proxy>,
    running: BTreeMap<u64, Running>,
    /// Where each server has listened first; it comes back there.
    listen: BTreeMap<u64, SocketAddr>,
    machine: PhantomData<fn() -> S>,
}

struct Running {
    stop: Stop,
    thread: JoinHandle<Result<(), NodeError>>,
}

impl<S: StateMachine + 'static> Cluster<S> {
    /// So many servers, none of which runs yet. `configure` may change the usual parameters.
    pub(crate) fn new(
        servers: u64,
        seed: u64,
        faults: Faults,
        configure: impl FnOnce(&mut Parameters),
    ) -> Self {
        let mut parameters = Parameters::default();
        configure(&mut parameters);
        let proxies = (1..=servers).map(|n| (n, Proxy::start(seed ^ (n << 48), faults))).collect();
        let (running, listen) = (BTreeMap::new(), BTreeMap::new());
        Self { parameters, proxies, running, listen, machine: PhantomData }
    }

    pub(crate) fn servers(&self) -> impl Iterator<Item = u64> {
        self.proxies.keys().copied()
    }

    /// Where clients reach a server, whether it runs or not.
    pub(crate) fn address(&self, server: u64) -> SocketAddr {
        self.proxies[&server].address()
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.proxies.values().map(Proxy::address).collect()
    }

    pub(crate) fn set_faults(&self, server: u64, faults: Faults) {
        self.proxies[&server].set_faults(faults);
    }

    /// How long each datagram to and from any server takes.
    pub(crate) fn set_latency(&self, latency: Duration) {
        for proxy in self.proxies.values() {
            proxy.set_latency(latency);
        }
    }

    /// Starts a server with this store and this id of its data directory.
    pub(crate) fn start(
        &mut self,
        server: u64,
        directory: u128,
        store: impl Store<Persistent<S>> + Send + 'static,
    ) {
        let peers = self.proxies.iter().filter(|(peer, _)| **peer != server);
        let peers = peers.map(|(peer, proxy)| (*peer, proxy.address())).collect();
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        let listen = self.listen.get(&server).copied().unwrap_or(any);
        let config = NodeConfig::new(server, CLUSTER, listen, peers, directory);
        let raft = Raft::<S>::new(self.servers().map(id), self.parameters.clone()).expect("sound");
        let status = move |state: &Server<S>| deploy::status(id(server), state);
        let node = Node::bind(config, raft, store, status, ()).expect("a node");
        self.listen.insert(server, node.local_addr());
        self.proxies[&server].set_target(Some(node.local_addr()));
        let stop = Stop::new();
        let thread = {
            let stop = stop.clone();
            thread::spawn(move || node.run(&stop))
        };
        let earlier = self.running.insert(server, Running { stop, thread });
        assert!(earlier.is_none(), "server {server} is running");
    }

    pub(crate) fn is_running(&self, server: u64) -> bool {
        self.running.get(&server).is_some_and(|running| !running.thread.is_finished())
    }

    /// Stops a server, or only looks at how it has ended by itself. It does not save on its way
    /// out, so this is a crash.
    pub(crate) fn stop(&mut self, server: u64) -> Result<(), NodeError> {
        let Running { stop, thread } = self.running.remove(&server).expect("it was started");
        stop.trigger();
        let result = thread.join().expect("a node does not panic");
        self.proxies[&server].set_target(None);
        result
    }

    pub(crate) fn client(&self, options: Options) -> Result<Client, ClientError> {
        Client::connect(CLUSTER, &self.addresses(), options)
    }

    /// Waits until a running server leads and says who it is.
    pub(crate) fn leader(&self) -> u64 {
        wait_for("a leader", || {
            let mut running = self.servers().filter(|server| self.is_running(*server));
            running.find(|server| self.status(*server).is_some_and(|it| it.role == "leader"))
        })
    }

    /// What a server says of itself, if it does at once.
    pub(crate) fn status(&self, server: u64) -> Option<ServerStatus> {
        let timeout = Duration::from_millis(200);
        let options = Options { timeout, ..Options::default() };
        client::inspect(CLUSTER, self.address(server), &options).ok()
    }
}

impl<S> Drop for Cluster<S> {
    fn drop(&mut self) {
        for running in self.running.values() {
            running.stop.trigger();
        }
        for (server, running) in std::mem::take(&mut self.running) {
            let result = running.thread.join();
            assert!(result.is_ok() || thread::panicking(), "server {server} panicked");
        }
    }
}

fn id(number: u64) -> Id {
    Id::from(usize::try_from(number).expect("64 bits"))
}

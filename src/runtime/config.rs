//! The configuration of a node, and the check that it does not contradict itself.

use super::error::NodeError;
use super::wire::CLIENTS;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// The configuration of a node. `id`, `cluster`, `directory` and the members are those of the store's
/// identity: opening the store has compared `id`, `cluster` and the members.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// This server's number, from 1 and below [`CLIENTS`]. Number zero is
    /// [`ANYBODY`](super::wire::ANYBODY).
    pub id: u64,
    /// The cluster's name.
    pub cluster: String,
    /// Where to listen; port 0 takes any free port.
    pub listen: SocketAddr,
    /// The other servers' addresses, all of `listen`'s family.
    pub peers: BTreeMap<u64, SocketAddr>,
    /// The id of this server's data directory.
    pub directory: u128,
    /// The most datagrams that one batch handles, and so the most that wait for one save.
    pub max_batch: usize,
    /// The most datagrams of other servers that wait for the node, and the most of clients. Newer ones
    /// beyond this number are dropped.
    pub mailbox: usize,
}

impl NodeConfig {
    /// Creates a configuration with the usual limits: 256 datagrams in a batch, 1024 datagrams of
    /// servers and 1024 of clients waiting.
    pub fn new(
        id: u64,
        cluster: impl Into<String>,
        listen: SocketAddr,
        peers: BTreeMap<u64, SocketAddr>,
        directory: u128,
    ) -> Self {
        let cluster = cluster.into();
        Self { id, cluster, listen, peers, directory, max_batch: 256, mailbox: 1024 }
    }

    /// The numbers of all servers.
    pub fn members(&self) -> BTreeSet<u64> {
        self.peers.keys().copied().chain([self.id]).collect()
    }

    /// Checks that the configuration does not contradict itself, before a socket or a file is touched.
    pub fn validate(&self) -> Result<(), NodeError> {
        let problem = self.problem();
        problem.map_or(Ok(()), |problem| Err(NodeError::Config { id: self.id, problem }))
    }

    fn problem(&self) -> Option<String> {
        if let Some(number) = self.members().into_iter().find(|n| !(1..CLIENTS).contains(n)) {
            let last = CLIENTS - 1;
            return Some(format!("server numbers are from 1 to {last}, but one is {number}"));
        }
        if self.cluster.is_empty() {
            return Some("the cluster's name is empty".to_owned());
        }
        if self.peers.contains_key(&self.id) {
            return Some("it is its own peer: list only the other servers as peers".to_owned());
        }
        if self.max_batch == 0 || self.mailbox == 0 {
            return Some("max_batch and mailbox must be at least 1".to_owned());
        }
        let mut taken = BTreeMap::from([(self.listen, self.id)]);
        for (peer, address) in &self.peers {
            if address.port() == 0 {
                return Some(format!("peer {peer} has port 0: give the port it listens on"));
            }
            if address.is_ipv4() != self.listen.is_ipv4() {
                return Some(format!(
                    "peer {peer} is at {address} but this server listens on {}: use IPv4 for all \
                     servers or IPv6 for all",
                    self.listen
                ));
            }
            if let Some(other) = taken.insert(*address, *peer) {
                return Some(format!("servers {other} and {peer} are both at {address}"));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(peers: &[(u64, &str)]) -> NodeConfig {
        let peer = |(id, address): &(u64, &str)| (*id, address.parse().expect("an address"));
        let listen = ([127, 0, 0, 1], 7001).into();
        NodeConfig::new(1, "test", listen, peers.iter().map(peer).collect(), 7)
    }

    fn complaint(config: &NodeConfig) -> String {
        config.validate().expect_err("a wrong configuration is refused").to_string()
    }

    #[test]
    fn a_sound_configuration_passes() {
        config(&[(2, "127.0.0.1:7002"), (3, "127.0.0.1:7003")]).validate().expect("it is sound");
    }

    #[test]
    fn a_contradictory_configuration_is_refused_with_its_reason() {
        assert!(complaint(&config(&[(1, "127.0.0.1:7002")])).contains("its own peer"));
        assert!(complaint(&config(&[(2, "127.0.0.1:0")])).contains("port 0"));
        assert!(complaint(&config(&[(2, "[::1]:7002")])).contains("IPv6 for all"));
        assert!(complaint(&config(&[(2, "127.0.0.1:7001")])).contains("servers 1 and 2 are both"));
        for number in [0, CLIENTS] {
            let complaint = complaint(&config(&[(number, "127.0.0.1:7002")]));
            assert!(complaint.contains(&format!("from 1 to 4294967295, but one is {number}")));
        }
        let nameless = NodeConfig { cluster: String::new(), ..config(&[]) };
        assert!(complaint(&nameless).contains("name is empty"));
        let idle = NodeConfig { max_batch: 0, ..config(&[]) };
        assert!(complaint(&idle).contains("at least 1"));
    }
}

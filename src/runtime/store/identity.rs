//! Whose store it is.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// Who owns a store; written at bootstrap, never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Name of the cluster.
    pub cluster: String,
    /// Number of the server.
    pub server: u64,
    /// Numbers of all servers of the cluster, this one included.
    pub members: BTreeSet<u64>,
    /// Random, drawn once at bootstrap: tells this directory from any other that the same server
    /// was ever given, so that peers notice a server that came back without its memory.
    pub directory: u128,
}

/// Who a node takes itself for when it opens a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Name of the cluster.
    pub cluster: String,
    /// Number of the server.
    pub server: u64,
    /// Numbers of all servers of the cluster, this one included.
    pub members: BTreeSet<u64>,
}

impl Identity {
    /// The part of the identity that a node knows from its configuration.
    pub fn expected(&self) -> Expected {
        Expected {
            cluster: self.cluster.clone(),
            server: self.server,
            members: self.members.clone(),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, server, members } = self;
        write!(f, "server {server} of cluster {cluster:?} with members {members:?}")
    }
}

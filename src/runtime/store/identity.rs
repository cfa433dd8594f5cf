//! The identity of a store's owner, and the lives of a server.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// The owner of a store. Bootstrap writes it, and it never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Name of the cluster.
    pub cluster: String,
    /// Number of the server.
    pub server: u64,
    /// Numbers of all servers of the cluster, this one included.
    pub members: BTreeSet<u64>,
    /// The directory's id, drawn at random once at bootstrap. It tells this directory from any other
    /// that the server was ever given. So peers notice a server that came back without its memory.
    pub directory: u128,
}

/// The owner that a node expects when it opens a store.
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
    /// The part of this identity that a node knows from its configuration.
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

/// The number that a server draws when it starts.
///
/// A copy of a data directory draws a counter that was drawn before. The random part tells the two
/// starts apart.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Start {
    /// How often the server has started from its directory, this time included; 0 is no start.
    pub counter: u64,
    /// The random part, drawn by this start.
    pub random: u64,
}

/// One run of a server: the directory that it runs from, and which start of that directory it is. The
/// default is no server's life: it stands in the datagrams of clients.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Life {
    /// The id of the data directory; see [`Identity::directory`].
    pub directory: u128,
    /// The start.
    pub start: Start,
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:016x})", self.counter, self.random)
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "start {} of directory {:032x}", self.start, self.directory)
    }
}

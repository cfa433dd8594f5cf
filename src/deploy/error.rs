//! Why a server was not deployed or did not go on.

use crate::raft::ConfigError;
use crate::runtime::NodeError;
use crate::runtime::store::StoreError;
use crate::runtime::trace::Unfit;
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

/// Why a server was not deployed or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The protocol's parameters cannot be used.
    #[error(transparent)]
    Protocol(#[from] ConfigError),
    /// The protocol was configured for other servers than those that have addresses.
    #[error(
        "the protocol is configured for the servers {servers:?}, but the addresses are those of {members:?}"
    )]
    Servers {
        /// The protocol's.
        servers: BTreeSet<u64>,
        /// Those with addresses.
        members: BTreeSet<u64>,
    },
    /// The store could not be created or opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node could not start, or stopped.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The trace could not be written. A node without the trace it was asked for does not run.
    #[error(
        "cannot write the trace {}: {source}; name a file with room to grow, or start without a trace",
        path.display()
    )]
    Trace {
        /// The trace.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A new server was to go on with the trace of an earlier one.
    #[error(
        "the trace {} is not empty, and a new server has no history: name a new file",
        path.display()
    )]
    UsedTrace {
        /// The trace.
        path: PathBuf,
    },
    /// The file that was named is no trace that this server can go on with.
    #[error(
        "cannot go on with the trace {}: {reason}; name a new file for the records from here on",
        path.display()
    )]
    UnfitTrace {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: Unfit,
    },
    /// A directory of servers is not the one asked for.
    #[error("{}: {problem}", path.display())]
    Local {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// No directory id could be drawn.
    #[error("the operating system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

//! The errors that keep a server from being deployed, or stop it.

use crate::raft::SetupError;
use crate::runtime::NodeError;
use crate::runtime::store::StoreError;
use crate::runtime::trace::Unfit;
use std::io;
use std::path::PathBuf;

/// Why a server was not deployed or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The protocol's parameters cannot be used.
    #[error(transparent)]
    Protocol(#[from] SetupError),
    /// The store could not be created or opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node could not start, or stopped.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The trace could not be written. A node that was asked for a trace does not run without it.
    #[error(
        "cannot write the trace {}: {source}; name a file with room to grow, or start without a trace",
        path.display()
    )]
    Trace {
        /// The trace.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A new server was to append to the trace of an earlier server.
    #[error(
        "the trace {} is not empty, and a new server has no history: name a new file",
        path.display()
    )]
    UsedTrace {
        /// The trace.
        path: PathBuf,
    },
    /// The named file is not a trace to which this server can append.
    #[error(
        "cannot go on with the trace {}: {reason}; name a new file for the records from here on",
        path.display()
    )]
    UnfitTrace {
        /// The file.
        path: PathBuf,
        /// The reason why the file is unfit.
        reason: Unfit,
    },
    /// The directory of a local cluster does not hold what was asked for.
    #[error("{}: {problem}", path.display())]
    Local {
        /// The file or directory.
        path: PathBuf,
        /// The problem, and what to do.
        problem: String,
    },
    /// The operating system gave no random number for the directory's id.
    #[error("the operating system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

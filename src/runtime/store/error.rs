//! The errors of a store. Each says what happened, where, and what to do.

use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why a store could not be bootstrapped, opened or saved to.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The operating system refused an operation.
    #[error("cannot {op} {}: {source}; {}", path.display(), advice(source))]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The operation that was attempted, as a verb.
        op: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The disk has no room for what must be written.
    #[error(
        "cannot write {}: {source}; {bytes} bytes more must fit on this disk: free some space, then \
         start the node again",
        path.display()
    )]
    Full {
        /// The file.
        path: PathBuf,
        /// How many bytes were to be written.
        bytes: u64,
        /// The system's reason.
        source: io::Error,
    },
    /// The directory holds no store.
    #[error(
        "{} holds no store; check the path, or create the store of a new server once with --bootstrap",
        dir.display()
    )]
    NotBootstrapped {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory holds a store already.
    #[error(
        "{} has been bootstrapped already; start the node without --bootstrap",
        dir.display()
    )]
    AlreadyBootstrapped {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory to bootstrap holds something else.
    #[error(
        "{} is not empty (it holds {entry:?}); a store is created in an empty or missing directory",
        dir.display()
    )]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
        /// One of the names found there.
        entry: String,
    },
    /// The store belongs to another server, cluster or set of members.
    #[error(
        "{} belongs to {found}, but this node is {expected}; give every server its own directory, and \
         the cluster's name and members as they were when it was bootstrapped",
        dir.display()
    )]
    WrongIdentity {
        /// The directory.
        dir: PathBuf,
        /// The identity that the node claims.
        expected: String,
        /// The identity that the store has.
        found: String,
    },
    /// Another process uses the directory.
    #[error(
        "{} is in use by another process; stop it, or choose another directory",
        dir.display()
    )]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// The store does not hold what was saved.
    #[error(
        "{} is damaged at byte {offset}: {reason}. Keep the directory; do not bootstrap it again, and \
         do not put an older copy in its place: a server that forgets what it has promised can break \
         the whole cluster, and the others refuse it. Leave this server stopped; the cluster goes on \
         without it as long as a majority runs",
        file.display()
    )]
    Corrupt {
        /// The damaged file.
        file: PathBuf,
        /// Where the damage begins, in bytes from the start of the file.
        offset: u64,
        /// The damage found there.
        reason: String,
    },
    /// The directory was written by an earlier version of this program.
    #[error(
        "{} is of an earlier format, which this version does not read: run it with the version that \
         wrote it, or start a new cluster",
        dir.display()
    )]
    EarlierFormat {
        /// The directory.
        dir: PathBuf,
    },
    /// The value cannot be written in the store's encoding.
    #[error(
        "a value cannot be encoded: {reason}; this is a defect of the program, please report it"
    )]
    Encode {
        /// The encoder's reason.
        reason: String,
    },
    /// An earlier save failed.
    #[error(
        "the store takes no more saves since one failed ({reason}); \
         stop the node and start it again once the cause is removed"
    )]
    Poisoned {
        /// The first failure.
        reason: String,
    },
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space, then start the node again"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "make it readable and writable for this user"
        }
        io::ErrorKind::NotADirectory => "choose a directory",
        _ => "check the disk, then start the node again",
    }
}

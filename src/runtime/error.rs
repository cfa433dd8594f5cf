//! The errors that keep a node from starting, or stop it.

use super::store::StoreError;
use std::io;
use std::net::SocketAddr;

/// Why a node did not start or did not go on. The node retries none of these: a node that stopped is a
/// server that crashed, and the protocol is made for crashes.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The configuration contradicts itself.
    #[error("the configuration of server {id} is wrong: {problem}")]
    Config {
        /// The server's number.
        id: u64,
        /// The mistake, and what would be right.
        problem: String,
    },
    /// The operating system did not give the node its address to listen on.
    #[error("cannot listen on {address} (UDP): {source}{}", advice(.source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The operating system refused a socket option or a thread.
    #[error("cannot set up the node: {0}")]
    Setup(io::Error),
    /// A save failed. Nothing that depends on it was sent.
    #[error(
        "the node stopped because its state could not be saved; nothing that depends on it was \
         sent: {0}"
    )]
    Save(#[source] StoreError),
    /// The observer (a trace) could not write.
    #[error("the node stopped because its trace could not be written: {0}")]
    Observe(#[source] io::Error),
    /// The observer saw something after which the node must not go on. The text is the observer's
    /// reason.
    #[error("{0}")]
    MustStop(String),
    /// The receiving thread panicked, which is a bug in it or in the message type's decoding.
    #[error("the node stopped because its receiving thread panicked; this is a bug")]
    ReceiverPanicked,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another process, perhaps another node, uses that port: stop it, or listen elsewhere"
        }
        io::ErrorKind::AddrNotAvailable => {
            "; it is not an address of this machine: listen on one that is"
        }
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 are usually reserved: use a higher one"
        }
        _ => "",
    }
}

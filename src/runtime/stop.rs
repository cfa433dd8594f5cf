//! The request to stop a node.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Asks a node to stop, from any thread or from a signal handler. All clones share one request.
///
/// The request is only a flag, because a signal handler may touch nothing else. The node's receiving
/// thread looks at the flag at least every 50 ms.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Creates a request that has not been made yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the request. It cannot be taken back.
    pub fn trigger(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether the request was made.
    pub fn is_triggered(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// The flag itself, for a signal handler that sets it to `true`.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

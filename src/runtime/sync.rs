//! The locks of [`mailbox`](super::mailbox): the standard library's, or loom's when its test
//! explores every interleaving (`--cfg loom`).

#[cfg(loom)]
pub(super) use loom::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(loom))]
pub(super) use std::sync::{Condvar, Mutex, MutexGuard};

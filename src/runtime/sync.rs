//! The primitives of which [`mailbox`](super::mailbox) and [`turns`](super::turns) are made. They are
//! the standard library's, or loom's when loom's test explores every interleaving (`--cfg loom`).

#[cfg(loom)]
pub(super) use loom::{
    sync::atomic::{AtomicBool, Ordering},
    sync::{Condvar, Mutex, MutexGuard},
    thread::yield_now,
};
#[cfg(not(loom))]
pub(super) use std::{
    sync::atomic::{AtomicBool, Ordering},
    sync::{Condvar, Mutex, MutexGuard},
    thread::yield_now,
};

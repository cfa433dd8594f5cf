//! What [`mailbox`](super::mailbox) and [`turns`](super::turns) are made of: the standard library's,
//! or loom's when its test explores every interleaving (`--cfg loom`).

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

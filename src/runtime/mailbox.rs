//! The hand-over from the receiving thread to the node's: the one piece of shared memory with a
//! protocol of its own, and therefore the one that `tests/loom.rs` explores.

use super::sync::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Duration;

/// A bounded queue. When it is full the newest item is refused, as a network would drop it: the
/// receiving thread never blocks, and what was accepted first is handled first.
#[derive(Debug)]
pub struct Mailbox<T> {
    capacity: usize,
    inner: Mutex<Inner<T>>,
    arrived: Condvar,
}

#[derive(Debug)]
struct Inner<T> {
    queue: VecDeque<T>,
    closed: bool,
    dropped: u64,
}

/// Why a mailbox did not take an item. The item is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It holds as many items as it may; this drop was counted.
    Full,
    /// It was closed; nobody will read it again.
    Closed,
}

impl<T> Mailbox<T> {
    /// An empty mailbox for at most `capacity` items.
    pub fn new(capacity: usize) -> Self {
        let inner = Inner { queue: VecDeque::new(), closed: false, dropped: 0 };
        Self { capacity, inner: Mutex::new(inner), arrived: Condvar::new() }
    }

    /// Appends `item`, or refuses it at once.
    pub fn push(&self, item: T) -> Result<(), Refused> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(Refused::Closed);
        }
        if inner.queue.len() >= self.capacity {
            inner.dropped += 1;
            return Err(Refused::Full);
        }
        inner.queue.push_back(item);
        drop(inner);
        // There is one reader, so one wake-up is enough.
        self.arrived.notify_one();
        Ok(())
    }

    /// Waits for items and takes up to `max` of them, oldest first: never none. `None` means closed
    /// and empty.
    pub fn receive(&self, max: usize) -> Option<Vec<T>> {
        let mut inner = self.lock();
        while inner.queue.is_empty() && !inner.closed {
            inner = self.arrived.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        inner.take(max)
    }

    /// As [`Mailbox::receive`], but gives up after `patience` with an empty vector. It may give up
    /// early (a spurious wake-up): the caller looks at its clock anyway.
    ///
    /// It waits once and shares the rest with `receive`, which is the one loom explores (loom's
    /// timed wait never times out).
    pub fn receive_within(&self, max: usize, patience: Duration) -> Option<Vec<T>> {
        let mut inner = self.lock();
        if inner.queue.is_empty() && !inner.closed {
            let woken = self.arrived.wait_timeout(inner, patience);
            inner = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        inner.take(max)
    }

    /// Refuses further items and wakes the reader, which still gets what was accepted before.
    pub fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// Whether [`Mailbox::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// How many items were refused because the mailbox was full.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// No code panics while it holds the lock, and every change under it is a single assignment or
    /// call: what a poisoned lock guards is as good as ever.
    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Inner<T> {
    fn take(&mut self, max: usize) -> Option<Vec<T>> {
        if self.closed && self.queue.is_empty() {
            return None;
        }
        let count = max.min(self.queue.len());
        Some(self.queue.drain(..count).collect())
    }
}

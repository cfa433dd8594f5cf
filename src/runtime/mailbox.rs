//! The hand-over from the socket to the node's loop: shared memory with a protocol of its own, which
//! `tests/loom.rs` therefore explores, as it does [`turns`](super::turns).

use super::sync::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Duration;

/// Who sent an item. Each class has a queue of its own, so that none can displace another's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Another server: the cluster lives on these.
    Peer,
    /// A client.
    Client,
    /// Somebody who only asks how the node is.
    Inspection,
}

/// A bounded queue for each [`Class`]. When a queue is full the newest item is refused, as a network
/// would drop it: the receiving thread never blocks, and what was accepted first is handled first.
#[derive(Debug)]
pub struct Mailbox<T> {
    capacities: [usize; 3],
    inner: Mutex<Inner<T>>,
    arrived: Condvar,
}

/// What a reader takes at a time, oldest first in each class.
#[derive(Debug, PartialEq, Eq)]
pub struct Arrived<T> {
    /// Of class [`Class::Peer`].
    pub peers: Vec<T>,
    /// Of class [`Class::Client`].
    pub clients: Vec<T>,
    /// Of class [`Class::Inspection`].
    pub inspections: Vec<T>,
}

#[derive(Debug)]
struct Inner<T> {
    queues: [VecDeque<T>; 3],
    closed: bool,
    dropped: u64,
}

/// Why a mailbox did not take an item. The item is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It holds as many items of the class as it may; this drop was counted.
    Full,
    /// It was closed; nobody will read it again.
    Closed,
}

impl<T> Mailbox<T> {
    /// An empty mailbox for at most so many items of peers, of clients, and inspections.
    pub fn new(peers: usize, clients: usize, inspections: usize) -> Self {
        let queues = [VecDeque::new(), VecDeque::new(), VecDeque::new()];
        let inner = Inner { queues, closed: false, dropped: 0 };
        let capacities = [peers, clients, inspections];
        Self { capacities, inner: Mutex::new(inner), arrived: Condvar::new() }
    }

    /// Appends `item`, or refuses it at once.
    pub fn push(&self, class: Class, item: T) -> Result<(), Refused> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(Refused::Closed);
        }
        if inner.queues[class as usize].len() >= self.capacities[class as usize] {
            inner.dropped += 1;
            return Err(Refused::Full);
        }
        inner.queues[class as usize].push_back(item);
        drop(inner);
        // There is one reader, so one wake-up is enough.
        self.arrived.notify_one();
        Ok(())
    }

    /// Waits for items and takes up to `max` of each class: never none. `None` means closed and
    /// empty.
    pub fn receive(&self, max: usize) -> Option<Arrived<T>> {
        let mut inner = self.lock();
        while inner.is_empty() && !inner.closed {
            inner = self.arrived.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        inner.take_all(max)
    }

    /// As [`Mailbox::receive`], but gives up after `patience` with nothing. It may give up early (a
    /// spurious wake-up): the caller looks at its clock anyway.
    ///
    /// It waits once and shares the rest with `receive`, which is the one loom explores (loom's
    /// timed wait never times out).
    pub fn receive_within(&self, max: usize, patience: Duration) -> Option<Arrived<T>> {
        let mut inner = self.lock();
        if inner.is_empty() && !inner.closed {
            let woken = self.arrived.wait_timeout(inner, patience);
            inner = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        inner.take_all(max)
    }

    /// Takes all items of one class that are there now, oldest first.
    pub fn take(&self, class: Class) -> Vec<T> {
        self.lock().take(class, usize::MAX)
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

    /// How many items were refused because their queue was full.
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
    fn is_empty(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }

    fn take_all(&mut self, max: usize) -> Option<Arrived<T>> {
        if self.closed && self.is_empty() {
            return None;
        }
        Some(Arrived {
            peers: self.take(Class::Peer, max),
            clients: self.take(Class::Client, max),
            inspections: self.take(Class::Inspection, max),
        })
    }

    fn take(&mut self, class: Class, max: usize) -> Vec<T> {
        let queue = &mut self.queues[class as usize];
        let count = max.min(queue.len());
        queue.drain(..count).collect()
    }
}

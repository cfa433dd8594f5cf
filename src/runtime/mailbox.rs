//! The hand-over from the socket to the node's loop. The receiving thread calls [`Mailbox::push`], and
//! the node's loop calls [`Mailbox::receive`]. They share memory, so `tests/loom.rs` explores their
//! interleavings, as it does those of [`turns`](super::turns).

use super::sync::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Duration;

/// The class of an item: who sent it. Each class has a queue of its own, so that no class can displace
/// another's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Another server sent the item. The cluster cannot do without such items.
    Peer,
    /// A client sent the item.
    Client,
    /// The item is an inspection: its sender only asks how the node is.
    Inspection,
}

/// A bounded queue for each [`Class`]. A full queue refuses the newest item, as a network would drop it.
/// So the receiving thread never blocks, and items accepted first are handled first.
#[derive(Debug)]
pub struct Mailbox<T> {
    capacities: [usize; 3],
    inner: Mutex<Inner<T>>,
    arrived: Condvar,
}

/// The items that a reader takes at a time, oldest first in each class.
#[derive(Debug, PartialEq, Eq)]
pub struct Arrived<T> {
    /// Items of class [`Class::Peer`].
    pub peers: Vec<T>,
    /// Items of class [`Class::Client`].
    pub clients: Vec<T>,
    /// Items of class [`Class::Inspection`].
    pub inspections: Vec<T>,
}

#[derive(Debug)]
struct Inner<T> {
    queues: [VecDeque<T>; 3],
    closed: bool,
    dropped: u64,
}

/// Why a mailbox did not take an item. The refused item is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The mailbox holds as many items of the class as it may. It has counted this drop.
    Full,
    /// The mailbox was closed, and nobody will read it again.
    Closed,
}

impl<T> Mailbox<T> {
    /// Creates an empty mailbox for at most so many items of peers, so many of clients, and so many
    /// inspections.
    pub fn new(peers: usize, clients: usize, inspections: usize) -> Self {
        let queues = [VecDeque::new(), VecDeque::new(), VecDeque::new()];
        let inner = Inner { queues, closed: false, dropped: 0 };
        let capacities = [peers, clients, inspections];
        Self { capacities, inner: Mutex::new(inner), arrived: Condvar::new() }
    }

    /// Appends `item` to the queue of its class, or refuses it at once.
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

    /// Waits for items and takes up to `max` of each class, at least one in all. Returns `None` if the
    /// mailbox is closed and empty.
    pub fn receive(&self, max: usize) -> Option<Arrived<T>> {
        let mut inner = self.lock();
        while inner.is_empty() && !inner.closed {
            inner = self.arrived.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        inner.take_all(max)
    }

    /// Takes items as [`Mailbox::receive`] does, but gives up after `patience` and may then return no
    /// items. It may give up early (a spurious wake-up), because the caller looks at its clock anyway.
    ///
    /// This method waits once and shares the rest of its code with `receive`, which loom explores.
    /// (Loom's timed wait never times out.)
    pub fn receive_within(&self, max: usize, patience: Duration) -> Option<Arrived<T>> {
        let mut inner = self.lock();
        if inner.is_empty() && !inner.closed {
            let woken = self.arrived.wait_timeout(inner, patience);
            inner = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        inner.take_all(max)
    }

    /// Takes all items of one class that are in the mailbox now, oldest first.
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

    /// Locks the queues. No code panics while it holds the lock, and every change under it is a single
    /// assignment or call. So a poisoned lock guards sound data.
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

//! Turns at the socket, from which two threads take datagrams. The receiving thread takes with
//! [`Turns::fill`] whenever something comes, and the node's loop takes with [`Turns::drain`] before a
//! timer fires.
//!
//! A datagram is either in the socket, or in the mailbox, or in the hand of the thread that has the
//! turn. So once the loop has had a turn of its own, every datagram that had come before is in the
//! mailbox. Without turns the loop would miss a datagram in the receiving thread's hand, as after a
//! pause of the whole process. `tests/loom.rs` explores the turns.

use super::sync::{AtomicBool, Mutex, Ordering, yield_now};
use std::ops::ControlFlow;
use std::sync::PoisonError;

/// Turns at a source, and the source: the value on which the thread that has the turn works.
#[derive(Debug)]
pub struct Turns<S> {
    turn: Mutex<S>,
    /// Whether the loop waits for its turn. A lock alone would let a busy receiving thread have one turn
    /// after another.
    is_urgent: AtomicBool,
}

impl<S> Turns<S> {
    /// Creates the turns at this source.
    pub fn new(source: S) -> Self {
        Self { turn: Mutex::new(source), is_urgent: AtomicBool::new(false) }
    }

    /// Takes a turn of the receiving thread: calls `step` until it breaks, at most `most` times. If the
    /// loop waits for its turn, the loop goes first.
    pub fn fill<B>(
        &self,
        most: usize,
        step: impl FnMut(&mut S) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        while self.is_urgent.load(Ordering::Acquire) {
            yield_now();
        }
        self.take(most, step)
    }

    /// Takes a turn of the loop: calls `step` until it breaks, at most `most` times. The loop waits for
    /// no more than the turn that the receiving thread has now.
    pub fn drain<B>(
        &self,
        most: usize,
        step: impl FnMut(&mut S) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        self.is_urgent.store(true, Ordering::Release);
        let result = self.take(most, step);
        self.is_urgent.store(false, Ordering::Release);
        result
    }

    fn take<B>(
        &self,
        most: usize,
        mut step: impl FnMut(&mut S) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        // A panic of a step can only leave a buffer with arbitrary content, so a poisoned lock is as
        // good as any.
        let mut source = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        (0..most).try_for_each(|_| step(&mut source))
    }
}

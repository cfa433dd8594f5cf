//! Turns at the socket, from which two threads take: the receiving thread whenever something comes,
//! and the node's loop before a timer fires.
//!
//! A datagram is either in the socket, or in the mailbox, or in the hand of whoever has the turn. So
//! once the loop had a turn of its own, whatever had come before is in the mailbox. Without turns a
//! datagram in the receiving thread's hand would be missed, as after a pause of the whole process.
//! `tests/loom.rs` explores them.

use super::sync::{AtomicBool, Mutex, Ordering, yield_now};
use std::ops::ControlFlow;
use std::sync::PoisonError;

/// Turns at a source, with what whoever has the turn works on.
#[derive(Debug)]
pub struct Turns<S> {
    turn: Mutex<S>,
    /// The loop waits for its turn. A lock alone would let a busy receiving thread have one turn
    /// after the other.
    is_urgent: AtomicBool,
}

impl<S> Turns<S> {
    /// Turns at this source.
    pub fn new(source: S) -> Self {
        Self { turn: Mutex::new(source), is_urgent: AtomicBool::new(false) }
    }

    /// A turn of the receiving thread: `step`s until one breaks, at most `most`. The loop goes first.
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

    /// A turn of the loop: `step`s until one breaks, at most `most`. It waits for no more than the
    /// turn that the receiving thread has now.
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
        // What a panic leaves is a buffer with any content.
        let mut source = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        (0..most).try_for_each(|_| step(&mut source))
    }
}

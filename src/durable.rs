//! The value that a store keeps: it tells the store how one saved value differs from the next.

use serde::{Serialize, de::DeserializeOwned};

/// A value that is saved again and again, each time a little different.
///
/// A store writes only [`Durable::changes`], so saving costs O(change) and not O(value). The
/// difference must be *exact*: for all `a` and `b`, applying `a.changes(&b)` to `a` gives `b`. The
/// difference must not rest on any property of several values that is under test (such as Log Matching),
/// because such a store would hide a violation. A difference may instead say how to compute a part of `b`.
/// The difference of a Raft server's own snapshot does so. It rests on invariants of one value, and the
/// models judge it.
pub trait Durable: Clone + PartialEq + Default {
    /// The difference between two values.
    type Changes: Serialize + DeserializeOwned;

    /// The changes that turn `self` into `next`. O(change).
    fn changes(&self, next: &Self) -> Self::Changes;

    /// Applies the changes. They come from a file, so they may be anything.
    ///
    /// # Errors
    ///
    /// A change that cannot be applied is an error that says why, never a panic.
    fn apply(&mut self, changes: Self::Changes) -> Result<(), String>;
}

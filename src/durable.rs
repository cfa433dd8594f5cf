//! What a store must know of the value it keeps: how one saved value differs from the next.

use serde::{Serialize, de::DeserializeOwned};

/// A value that is saved again and again, each time a little different.
///
/// A store writes only [`Durable::changes`], so saving costs O(change) and not O(value). The
/// difference must be *exact*: for all `a` and `b`, applying `a.changes(&b)` to `a` gives `b`. It
/// must not lean on any property the protocol is supposed to have (such as Log Matching): those are
/// what is under test, and a store that assumes them would repair the evidence.
pub trait Durable: Clone + PartialEq + Default {
    /// What changed between two values.
    type Changes: Serialize + DeserializeOwned;

    /// What must be done to `self` to obtain `next`. O(change).
    fn changes(&self, next: &Self) -> Self::Changes;

    /// Does it. Changes come from a file, so they may be anything: an inapplicable one is an error
    /// that says why, never a panic.
    fn apply(&mut self, changes: Self::Changes) -> Result<(), String>;
}

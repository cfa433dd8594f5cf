//! How one saved value differs from the next: what the node's store writes.

use super::log::LogChange;
use super::state::{Persistent, Term};
use crate::durable::Durable;
use serde::{Deserialize, Serialize};
use stateright::actor::Id;

/// The difference between two values of [`Persistent`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The new term; it costs no more than saying whether it changed.
    pub current_term: Term,
    /// The new vote, likewise.
    pub voted_for: Option<Id>,
    /// What changed in the log, read off the two maps; not derived from an append or a truncation.
    pub log: Vec<LogChange>,
}

impl Durable for Persistent {
    type Changes = Changes;

    fn changes(&self, next: &Self) -> Changes {
        Changes {
            current_term: next.current_term,
            voted_for: next.voted_for,
            log: self.log.changes(&next.log),
        }
    }

    fn apply(&mut self, changes: Changes) -> Result<(), String> {
        self.current_term = changes.current_term;
        self.voted_for = changes.voted_for;
        self.log.apply(changes.log)
    }
}

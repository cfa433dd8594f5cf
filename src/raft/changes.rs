//! The difference between one saved value and the next, which the node's store writes.
//!
//! [`Persistent`] implements [`Durable`]. A store asks for the [`Changes`] between the last saved value and
//! the next one, and writes them. When the store is opened, it applies the changes that it has written.

use super::log::LogChange;
use super::position::Term;
use super::state::Persistent;
use crate::durable::Durable;
use serde::{Deserialize, Serialize};
use stateright::actor::Id;

/// The difference between two values of [`Persistent`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The new term. Writing the term costs no more than saying whether it changed.
    pub current_term: Term,
    /// The new vote, written whether it changed or not.
    pub voted_for: Option<Id>,
    /// The changes of the log. They come from a comparison of the two maps, not from an append or a
    /// truncation.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::{Entry, Payload};

    /// "For all `a` and `b`" includes changes that no correct server goes through, as from one vote to
    /// another.
    #[test]
    fn changes_are_exact_whatever_has_changed() {
        let mut values = Vec::new();
        for current_term in [0, 1, 2].map(Term) {
            for voted_for in [None, Some(0), Some(1)] {
                for length in 0..3 {
                    let noop = Entry { term: Term(1), payload: Payload::Noop };
                    let log = std::iter::repeat_n(noop, length).collect();
                    let voted_for = voted_for.map(Id::from);
                    values.push(Persistent { current_term, voted_for, log });
                }
            }
        }
        for (a, b) in values.iter().flat_map(|a| values.iter().map(move |b| (a, b))) {
            let mut patched = a.clone();
            assert_eq!(patched.apply(a.changes(b)), Ok(()));
            assert_eq!(patched, *b, "from {a:?}");
        }
    }
}

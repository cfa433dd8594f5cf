//! The difference between one saved value and the next, which the node's store writes.
//!
//! [`Persistent`] implements [`Durable`]. A store asks for the [`Changes`] between the last saved value and
//! the next one, and writes them. When the store is opened, it applies the changes that it has written.
//!
//! A snapshot that a server takes of its own state is the result of applying entries of its log, which the
//! store has saved already. So the change says only how far the snapshot goes, however large the state is.
//! Whoever opens the store applies those entries again. Only an installed snapshot is written as a whole.
//!
//! This rests on one invariant of a single server: a committed entry in its log is never replaced (GUARD-1).
//! The models judge every difference by the property "The store restores what is saved".

use super::log::{Log, LogChanges};
use super::position::{Index, Term};
use super::snapshot::Snapshot;
use super::state::Persistent;
use crate::durable::Durable;
use crate::state_machine::StateMachine;
use serde::{Deserialize, Serialize};
use stateright::actor::Id;
use std::sync::Arc;

/// The difference between two values of [`Persistent`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes<S> {
    /// The new term. Writing the term costs no more than saying whether it changed.
    pub current_term: Term,
    /// The new vote, written whether it changed or not.
    pub voted_for: Option<Id>,
    /// The change of the snapshot, if it changed.
    pub snapshot: Option<SnapshotChange<S>>,
    /// The changes of the log. They come from a comparison of the two logs, not from an append or a
    /// truncation.
    pub log: LogChanges,
}

/// The difference between two snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnapshotChange<S> {
    /// The snapshot has moved on to this index: applying entries of the log to the earlier one gives it.
    Advanced(Index),
    /// Here is the whole next snapshot.
    Replaced(Arc<Snapshot<S>>),
}

impl<S: StateMachine> Durable for Persistent<S> {
    type Changes = Changes<S>;

    fn changes(&self, next: &Self) -> Changes<S> {
        Changes {
            current_term: next.current_term,
            voted_for: next.voted_for,
            snapshot: (self.snapshot != next.snapshot).then(|| self.snapshot_change(next)),
            log: self.log.changes(&next.log),
        }
    }

    fn apply(&mut self, changes: Changes<S>) -> Result<(), String> {
        self.current_term = changes.current_term;
        self.voted_for = changes.voted_for;
        match (changes.log, changes.snapshot) {
            (LogChanges::Replaced(_), Some(SnapshotChange::Advanced(index))) => {
                return Err(format!("no log to bring the snapshot to {index} with"));
            }
            (LogChanges::Replaced(log), snapshot) => {
                self.log = log;
                self.replace_snapshot(snapshot)?;
            }
            (LogChanges::Edited { changes, start }, snapshot) => {
                self.log.apply(changes)?;
                self.replace_snapshot(snapshot)?;
                if self.log.term(start).is_none() {
                    return Err(format!("no entry {start} for the log to start after"));
                }
                self.log.drop_up_to(start);
            }
        }
        Ok(())
    }
}

impl<S: StateMachine> Persistent<S> {
    /// If the two logs hold every entry between the snapshots, the change is an index. This log then holds
    /// those up to the start of the next log, which holds the others.
    fn snapshot_change(&self, next: &Self) -> SnapshotChange<S> {
        let Snapshot { last_index, last_term, .. } = *next.snapshot;
        let from = &self.snapshot;
        let is_ahead = last_index > from.last_index;
        let goes_on = self.log.term(from.last_index) == Some(from.last_term)
            && (from.last_index <= next.log.start()
                || next.log.term(from.last_index) == Some(from.last_term));
        let is_held =
            goes_on && self.log.joins(&next.log) && next.log.term(last_index) == Some(last_term);
        if is_ahead && is_held {
            SnapshotChange::Advanced(last_index)
        } else {
            SnapshotChange::Replaced(next.snapshot.clone())
        }
    }

    fn replace_snapshot(&mut self, change: Option<SnapshotChange<S>>) -> Result<(), String> {
        match change {
            None => {}
            Some(SnapshotChange::Replaced(snapshot)) => self.snapshot = snapshot,
            Some(SnapshotChange::Advanced(index)) => advance(&mut self.snapshot, &self.log, index)?,
        }
        Ok(())
    }
}

/// Brings a snapshot to `index` by entries of the log.
fn advance<S: StateMachine>(
    snapshot: &mut Arc<Snapshot<S>>,
    log: &Log,
    index: Index,
) -> Result<(), String> {
    let snapshot = Arc::make_mut(snapshot);
    while snapshot.last_index < index {
        snapshot.advance(log)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Kv;
    use crate::raft::{Entry, Payload};

    /// Logs that part after their first entry, as those of two leaders do.
    fn logs() -> Vec<Log> {
        let register = |term| {
            let payload = Payload::Register { client: Id::from(9), sequence: 1, max_sessions: 2 };
            Entry { term: Term(term), payload }
        };
        let noop = |term| Entry { term: Term(term), payload: Payload::Noop };
        let one = [noop(1), register(1), register(1), register(1)];
        let other = [noop(1), noop(2), register(2)];
        let first = |entries: &[Entry], n| entries[..n].iter().cloned().collect::<Log>();
        let ones = (0..=4).map(|n| first(&one, n));
        ones.chain((2..=3).map(|n| first(&other, n))).collect()
    }

    /// Every value whose snapshot is of its own log, with or without the entries that the snapshot covers.
    fn values() -> Vec<Persistent<Kv>> {
        let mut values = Vec::new();
        for log in logs() {
            let mut snapshot = Snapshot::default();
            for covered in 0..=log.last_index().0 {
                while snapshot.last_index < Index(covered) {
                    snapshot.advance(&log).unwrap();
                }
                for start in 0..=covered {
                    let mut log = log.clone();
                    log.drop_up_to(Index(start));
                    let snapshot = Arc::new(snapshot.clone());
                    values.push(Persistent { snapshot, log, ..Persistent::default() });
                }
            }
        }
        values
    }

    /// "For all `a` and `b`" includes changes that no correct server goes through, as from a snapshot to an
    /// earlier one.
    #[test]
    fn changes_are_exact_whatever_has_changed() {
        let (values, mut advanced) = (values(), 0);
        for (a, b) in values.iter().flat_map(|a| values.iter().map(move |b| (a, b))) {
            let changes = a.changes(b);
            advanced += u32::from(matches!(changes.snapshot, Some(SnapshotChange::Advanced(_))));
            let mut patched = a.clone();
            assert_eq!(patched.apply(changes), Ok(()), "from {a:?} to {b:?}");
            assert_eq!(patched, *b, "from {a:?}");
        }
        assert!(advanced > 100, "{advanced} snapshots are written as an index");
    }

    #[test]
    fn terms_and_votes_are_exact_whatever_has_changed() {
        let mut values = Vec::new();
        for current_term in [0, 1, 2].map(Term) {
            for voted_for in [None, Some(0), Some(1)] {
                let voted_for = voted_for.map(Id::from);
                values.push(Persistent::<Kv> { current_term, voted_for, ..Persistent::default() });
            }
        }
        for (a, b) in values.iter().flat_map(|a| values.iter().map(move |b| (a, b))) {
            let mut patched = a.clone();
            assert_eq!(patched.apply(a.changes(b)), Ok(()));
            assert_eq!(patched, *b, "from {a:?}");
        }
    }

    /// A server that takes a snapshot of a large state saves next to nothing.
    #[test]
    fn a_snapshot_of_the_own_log_costs_a_few_bytes() {
        let values = values();
        let (before, after) = (&values[0], values.iter().find(|it| it.log.start() == Index(0)));
        let before = Persistent { log: logs()[4].clone(), ..before.clone() };
        let after = values.iter().rfind(|it| it.log.last_index() == Index(4)).or(after).unwrap();
        let bytes = postcard::to_stdvec(&before.changes(after)).unwrap();
        assert!(bytes.len() < 12, "{} bytes", bytes.len());
    }

    #[test]
    fn changes_that_cannot_be_applied_are_refused() {
        let nothing = || LogChanges::Edited { changes: Vec::new(), start: Index(0) };
        let refused = |snapshot, log| {
            let changes = Changes { current_term: Term(1), voted_for: None, snapshot, log };
            Persistent::<Kv>::default().apply(changes).expect_err("it cannot be applied")
        };
        let advanced = || Some(SnapshotChange::Advanced(Index(1)));
        assert!(refused(advanced(), nothing()).contains("no entry 1"));
        assert!(refused(advanced(), LogChanges::Replaced(Log::default())).contains("no log"));
        let start = LogChanges::Edited { changes: Vec::new(), start: Index(3) };
        assert!(refused(None, start).contains("no entry 3"));
    }
}

//! The fifth idea: messages that do the same now and later are one.
//!
//! Section 5 of `PROOF.md` says why merging misses nothing. `relevance.rs` numbers the effect of each message
//! in each local state; [`refine`] splits these classes; a [`Partition`] keeps the result for one local
//! state.

use crate::engine::bits::{Messages, common};
use crate::engine::ids::{EffectId, LocalId, MessageId, Number};
use crate::engine::tables::Memo;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::hash::Hash;

/// Says which messages are one to an actor in a local state. Each message has a name: the least message that
/// does the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Partition {
    /// The name of each message.
    names: Vec<MessageId>,
    /// The messages that have the name of another message.
    renamed: Messages,
}

impl Partition {
    /// The partition in which each message has the given name.
    pub(super) fn new(names: Vec<MessageId>) -> Self {
        let mut renamed = Messages::default();
        for (message, name) in MessageId::all().zip(&names) {
            if message != *name {
                renamed.insert(message);
            }
        }
        // If each message has its own name, nothing need be stored.
        if renamed.greatest().is_none() { Self::default() } else { Self { names, renamed } }
    }

    /// The name of a message.
    pub(super) fn of(&self, message: MessageId) -> MessageId {
        self.names.get(message.index()).copied().unwrap_or(message)
    }

    /// The messages that have the name of another message.
    pub(super) fn renamed(&self) -> &Messages {
        &self.renamed
    }

    /// Where several messages in the set are one, keeps only the least of them. Returns the names of the
    /// messages that are left, if these names differ from the messages.
    pub(super) fn reduce(&self, set: &mut Messages) -> Option<Messages> {
        let renamed: Vec<MessageId> = common(set.words(), &self.renamed).collect();
        if renamed.is_empty() {
            return None;
        }
        let mut names = set.clone();
        names.map(|n, word| word & !self.renamed.word(n));
        for message in renamed {
            if !names.insert(self.of(message)) {
                set.remove(message);
            }
        }
        Some(names)
    }
}

/// Splits messages that are taken for one until no local state leads to one that tells them apart.
///
/// `effects` gives for each local state the effect of each message there. The outcome gives for each message
/// the least message that does the same, in that local state and in all to which it leads. `goes_on` is
/// asked now and then.
///
/// # Errors
/// The error of `goes_on`.
pub(super) fn refine<E>(
    effects: Vec<Vec<EffectId>>,
    predecessors: &[Vec<LocalId>],
    goes_on: impl Fn() -> Result<(), E>,
) -> Result<Vec<Vec<MessageId>>, E> {
    let mut known = Memo::default();
    let mut classes: Vec<_> =
        effects.into_iter().map(|row| least(&mut known, row.into_iter())).collect();
    let mut queued = vec![true; classes.len()];
    // Local states that were reached last come first, because others lead to them.
    let mut queue: VecDeque<LocalId> = LocalId::first(classes.len()).collect();
    queue.make_contiguous().reverse();
    let mut known = Memo::default();
    while let Some(local) = queue.pop_front() {
        goes_on()?;
        queued[local.index()] = false;
        let later = std::mem::take(&mut classes[local.index()]);
        for from in &predecessors[local.index()] {
            let row = &mut classes[from.index()];
            if row.is_empty() || later.is_empty() {
                continue; // `local` itself (its row is taken out), or a local state that is not known
            }
            // Most often the later local state tells no more messages apart.
            let mut pairs = row.iter().zip(&later);
            if pairs.all(|(class, later_class)| later[class.index()] == *later_class) {
                continue;
            }
            let split = least(&mut known, row.iter().copied().zip(later.iter().copied()));
            let changed = row[..split.len()] != split;
            row[..split.len()].copy_from_slice(&split);
            if changed && !queued[from.index()] {
                queued[from.index()] = true;
                queue.push_back(*from);
            }
        }
        classes[local.index()] = later;
    }
    Ok(classes)
}

/// For each message the least message with the same mark.
fn least<T: Eq + Hash>(
    known: &mut Memo<T, MessageId>,
    marks: impl Iterator<Item = T>,
) -> Vec<MessageId> {
    known.clear();
    let marked = MessageId::all().zip(marks);
    marked.map(|(message, mark)| *known.entry(mark).or_insert(message)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows<N: Number>(rows: &[&[usize]]) -> Vec<Vec<N>> {
        rows.iter().map(|row| row.iter().map(|n| N::of(*n)).collect()).collect()
    }

    fn refined(effects: &[&[usize]], predecessors: &[&[usize]]) -> Vec<Vec<MessageId>> {
        let goes_on = || Ok::<(), ()>(());
        refine(rows(effects), &rows(predecessors), goes_on).expect("it goes on")
    }

    #[test]
    fn messages_are_one_if_nothing_tells_them_apart_now_or_later() {
        // Local state 0 leads to 1, and 1 to 2. Local state 2 tells message 1 from message 2; local state 1
        // tells message 0 from the others.
        let in_a_row = refined(&[&[7, 7, 7, 7], &[5, 9, 9, 9], &[0, 1, 2, 2]], &[&[], &[0], &[1]]);
        assert_eq!(in_a_row, rows(&[&[0, 1, 2, 2], &[0, 1, 2, 2], &[0, 1, 2, 2]]));
        let in_a_circle = refined(&[&[7, 7, 7], &[5, 9, 9], &[]], &[&[1], &[0, 1], &[0]]);
        assert_eq!(in_a_circle, rows(&[&[0, 1, 1], &[0, 1, 1], &[]]));
    }

    /// Local state 2 leads to 1, and 1 to 0. Only local state 0 tells the messages apart, and `refine` looks
    /// at 2 last.
    #[test]
    fn what_is_told_apart_later_is_told_apart_before_in_whatever_order_that_is_found_out() {
        let refined = refined(&[&[0, 1], &[9, 9], &[9, 9]], &[&[1], &[2], &[]]);
        assert_eq!(refined, rows(&[&[0, 1], &[0, 1], &[0, 1]]));
    }

    #[test]
    fn of_messages_that_are_one_the_least_that_is_there_is_kept() {
        let number = |n: &usize| MessageId::of(*n);
        let partition = Partition::new([0, 0, 0, 3, 3].iter().map(number).collect());
        let set = |messages: &[usize]| {
            let mut set = Messages::default();
            assert!(messages.iter().all(|n| set.insert(number(n))));
            set
        };
        for (messages, kept, names) in [
            ([1, 2, 200], vec![1, 200], vec![0, 200]),
            ([0, 2, 4], vec![0, 4], vec![0, 3]),
            ([2, 3, 4], vec![2, 3], vec![0, 3]),
        ] {
            let mut reduced = set(&messages);
            let found = partition.reduce(&mut reduced).expect("some have the name of another");
            assert_eq!(reduced, set(&kept));
            assert_eq!(found, set(&names));
        }
        let mut names = set(&[0, 3, 200]);
        assert_eq!(partition.reduce(&mut names), None);
        assert_eq!(names, set(&[0, 3, 200]));
        assert_eq!(Partition::new([0, 1, 2].iter().map(number).collect()), Partition::default());
    }
}

//! The fifth idea: messages that do the same now and later are one.
//!
//! Section 5 of `PROOF.md` says why merging misses nothing. `relevance.rs` numbers the effect of each message
//! in each local state; [`refine`] splits these classes; a [`Partition`] keeps the result for one local
//! state.

use super::bits::{Bits, common};
use super::tables::Memo;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Says which messages are one to an actor in a local state. Each message has a name: the least message that
/// does the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Partition {
    /// The name of each message.
    names: Vec<u32>,
    /// The messages that have the name of another message.
    renamed: Bits,
}

impl Partition {
    /// The partition in which each message has the given name.
    pub(super) fn new(names: Vec<u32>) -> Self {
        let mut renamed = Bits::default();
        for (message, name) in (0..).zip(&names) {
            if message != *name {
                renamed.insert(message);
            }
        }
        // If each message has its own name, nothing need be stored.
        if renamed.greatest().is_none() { Self::default() } else { Self { names, renamed } }
    }

    /// The name of a message.
    pub(super) fn of(&self, message: u32) -> u32 {
        self.names.get(message as usize).copied().unwrap_or(message)
    }

    /// The messages that have the name of another message.
    pub(super) fn renamed(&self) -> &Bits {
        &self.renamed
    }

    /// Keeps in the set, of messages that are one, only the least that is there. Returns the names of the
    /// messages that are left, if these names differ from the messages.
    pub(super) fn reduce(&self, set: &mut Bits) -> Option<Bits> {
        let renamed: Vec<u32> = common(set.words(), &self.renamed).collect();
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
/// `effects` gives for each local state the effect of each message there, as a number. At the end it gives
/// for each message the least message that does the same, in that local state and in all to which it leads.
/// `goes_on` is asked now and then.
///
/// # Errors
/// The error of `goes_on`.
pub(super) fn refine<E>(
    effects: &mut [Vec<u32>],
    predecessors: &[Vec<u32>],
    goes_on: impl Fn() -> Result<(), E>,
) -> Result<(), E> {
    let mut least = Memo::default();
    for row in effects.iter_mut() {
        least.clear();
        for (message, class) in (0..).zip(row.iter_mut()) {
            *class = *least.entry(*class).or_insert(message);
        }
    }
    let mut queued = vec![true; effects.len()];
    // Local states that were reached last come first, because others lead to them.
    let mut queue: VecDeque<u32> = (0..).take(effects.len()).collect();
    queue.make_contiguous().reverse();
    let mut least = Memo::default();
    while let Some(local) = queue.pop_front() {
        goes_on()?;
        queued[local as usize] = false;
        let later = std::mem::take(&mut effects[local as usize]);
        for from in &predecessors[local as usize] {
            let row = &mut effects[*from as usize];
            if row.is_empty() || later.is_empty() {
                continue; // `local` itself (its row is taken out), or a local state that is not known
            }
            // Most often the later local state tells no more messages apart.
            if row
                .iter()
                .zip(&later)
                .all(|(class, later_class)| later[*class as usize] == *later_class)
            {
                continue;
            }
            least.clear();
            let mut changed = false;
            for (message, (class, later)) in (0..).zip(row.iter_mut().zip(&later)) {
                let standing = *least.entry((*class, *later)).or_insert(message);
                changed |= standing != *class;
                *class = standing;
            }
            if changed && !queued[*from as usize] {
                queued[*from as usize] = true;
                queue.push_back(*from);
            }
        }
        effects[local as usize] = later;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::bits::numbers;
    use super::*;

    #[test]
    fn messages_are_one_if_nothing_tells_them_apart_now_or_later() {
        // Local state 0 leads to 1, and 1 to 2. Local state 2 tells message 1 from message 2; local state 1
        // tells message 0 from the others.
        let goes_on = || Ok::<(), ()>(());
        let mut effects = vec![vec![7, 7, 7, 7], vec![5, 9, 9, 9], vec![0, 1, 2, 2]];
        assert_eq!(refine(&mut effects, &[vec![], vec![0], vec![1]], goes_on), Ok(()));
        assert_eq!(effects, [[0, 1, 2, 2], [0, 1, 2, 2], [0, 1, 2, 2]]);
        let mut effects = vec![vec![7, 7, 7], vec![5, 9, 9], Vec::new()];
        assert_eq!(refine(&mut effects, &[vec![1], vec![0, 1], vec![0]], goes_on), Ok(()));
        assert_eq!(effects, [vec![0, 1, 1], vec![0, 1, 1], vec![]], "in a circle, too");
    }

    /// Local state 2 leads to 1, and 1 to 0. Only local state 0 tells the messages apart, and `refine` looks
    /// at 2 last.
    #[test]
    fn what_is_told_apart_later_is_told_apart_before_in_whatever_order_that_is_found_out() {
        let mut effects = vec![vec![0, 1], vec![9, 9], vec![9, 9]];
        assert_eq!(refine(&mut effects, &[vec![1], vec![2], vec![]], || Ok::<(), ()>(())), Ok(()));
        assert_eq!(effects, [[0, 1], [0, 1], [0, 1]]);
    }

    #[test]
    fn of_messages_that_are_one_the_least_that_is_there_is_kept() {
        let partition = Partition::new(vec![0, 0, 0, 3, 3]);
        let set = |messages: &[u32]| {
            let mut set = Bits::default();
            assert!(messages.iter().all(|n| set.insert(*n)));
            set
        };
        for (messages, kept, names) in [
            ([1, 2, 200], vec![1, 200], vec![0, 200]),
            ([0, 2, 4], vec![0, 4], vec![0, 3]),
            ([2, 3, 4], vec![2, 3], vec![0, 3]),
        ] {
            let mut reduced = set(&messages);
            let found = partition.reduce(&mut reduced).expect("some have the name of another");
            assert_eq!(numbers(reduced.words()).collect::<Vec<_>>(), kept);
            assert_eq!(numbers(found.words()).collect::<Vec<_>>(), names);
        }
        let mut names = set(&[0, 3, 200]);
        assert_eq!(partition.reduce(&mut names), None);
        assert_eq!(numbers(names.words()).collect::<Vec<_>>(), [0, 3, 200]);
        assert_eq!(Partition::new(vec![0, 1, 2]), Partition::default());
    }
}

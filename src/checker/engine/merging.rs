//! The fifth idea: messages that do the same now and later are one.
//!
//! See the module's documentation.

use super::bits::{Bits, numbers};
use super::tables::Memo;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Which messages are one to an actor in a local state: each stands for itself, or the least one that
/// does the same stands for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Partition {
    /// By message, the one that stands for it.
    standing: Vec<u32>,
    /// Those for which another one stands.
    merged: Bits,
}

impl Partition {
    /// From the one that stands for each.
    pub(super) fn new(standing: Vec<u32>) -> Self {
        let mut merged = Bits::default();
        for (message, other) in (0..).zip(&standing) {
            if message != *other {
                merged.insert(message);
            }
        }
        // Messages that stand for themselves need no number.
        if merged.greatest().is_none() { Self::default() } else { Self { standing, merged } }
    }

    /// The message that stands for this one.
    pub(super) fn of(&self, message: u32) -> u32 {
        self.standing.get(message as usize).copied().unwrap_or(message)
    }

    /// The messages for which another one stands.
    pub(super) fn merged(&self) -> &Bits {
        &self.merged
    }

    /// Puts those that stand for others in their place.
    pub(super) fn apply(&self, set: &mut Bits) {
        let words = set.words().iter().enumerate();
        let hit: Vec<u64> = words.map(|(n, word)| word & self.merged.word(n)).collect();
        if hit.iter().all(|word| *word == 0) {
            return;
        }
        set.map(|n, word| word & !self.merged.word(n));
        for message in numbers(&hit) {
            set.insert(self.of(message));
        }
    }
}

/// Splits messages that are taken for one until no local state leads to one that tells them apart.
///
/// Takes for each local state what each message does there, as a number, and gives for each message the
/// least one that does the same there and in whatever the local state leads to.
pub(super) fn refine(effects: &mut [Vec<u32>], predecessors: &[Vec<u32>]) {
    let mut least = Memo::default();
    for row in effects.iter_mut() {
        least.clear();
        for (message, class) in (0..).zip(row.iter_mut()) {
            *class = *least.entry(*class).or_insert(message);
        }
    }
    let mut queued = vec![true; effects.len()];
    // What was reached last is what others lead to.
    let mut queue: VecDeque<u32> = (0..).take(effects.len()).collect();
    queue.make_contiguous().reverse();
    let mut least = Memo::default();
    while let Some(local) = queue.pop_front() {
        queued[local as usize] = false;
        let later = std::mem::take(&mut effects[local as usize]);
        for from in &predecessors[local as usize] {
            let row = &mut effects[*from as usize];
            if row.is_empty() || later.is_empty() {
                continue; // the local state itself, or one that is not known
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_if_nothing_tells_them_apart_now_or_later() {
        // Local state 0 leads to 1, and 1 to 2; 2 tells message 1 from message 2, and 1 message 0 from
        // the others.
        let mut effects = vec![vec![7, 7, 7, 7], vec![5, 9, 9, 9], vec![0, 1, 2, 2]];
        refine(&mut effects, &[vec![], vec![0], vec![1]]);
        assert_eq!(effects, [[0, 1, 2, 2], [0, 1, 2, 2], [0, 1, 2, 2]]);
        let mut effects = vec![vec![7, 7, 7], vec![5, 9, 9], Vec::new()];
        refine(&mut effects, &[vec![1], vec![0, 1], vec![0]]);
        assert_eq!(effects, [vec![0, 1, 1], vec![0, 1, 1], vec![]], "in a circle, too");
    }

    #[test]
    fn what_stands_for_others_takes_their_place() {
        let partition = Partition::new(vec![0, 0, 2, 2]);
        let mut set = Bits::default();
        for n in [1, 2, 3, 200] {
            assert!(set.insert(n));
        }
        partition.apply(&mut set);
        assert_eq!(numbers(set.words()).collect::<Vec<_>>(), [0, 2, 200]);
        assert_eq!(Partition::new(vec![0, 1, 2]), Partition::default());
    }
}

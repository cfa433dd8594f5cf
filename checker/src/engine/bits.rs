//! Sets of numbers of one thing, as bits.

use super::ids::{LocalId, MessageId, Number};
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;

/// A set of numbers, one bit each. Words beyond the last word are zero.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Bits<N>(Vec<u64>, PhantomData<N>);

/// A set of messages to one actor.
pub(super) type Messages = Bits<MessageId>;
/// A set of local states of one actor.
pub(super) type Locals = Bits<LocalId>;

impl<N> Default for Bits<N> {
    fn default() -> Self {
        Self(Vec::new(), PhantomData)
    }
}

impl<N: Number> Bits<N> {
    /// The words of the set, without zeros at the end.
    pub(super) fn trimmed(&self) -> &[u64] {
        let used = self.0.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
        &self.0[..used]
    }

    /// The words of the set.
    pub(super) fn words(&self) -> &[u64] {
        &self.0
    }

    /// Makes this the set of these words.
    pub(super) fn copy(&mut self, words: &[u64]) {
        self.0.clear();
        self.0.extend_from_slice(words);
    }

    /// The greatest number in the set.
    pub(super) fn greatest(&self) -> Option<N> {
        let words = self.trimmed();
        let last = words.last()?;
        Some(N::of(words.len() * 64 - 1 - last.leading_zeros() as usize))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(super) fn has(&self, number: N) -> bool {
        let n = number.index();
        self.0.get(n / 64).is_some_and(|word| word >> (n % 64) & 1 != 0)
    }

    /// Adds a number; returns whether it is new.
    pub(super) fn insert(&mut self, number: N) -> bool {
        let n = number.index();
        let word = n / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let is_new = self.0[word] >> (n % 64) & 1 == 0;
        self.0[word] |= 1 << (n % 64);
        is_new
    }

    /// Removes a number.
    pub(super) fn remove(&mut self, number: N) {
        let n = number.index();
        if let Some(word) = self.0.get_mut(n / 64) {
            *word &= !(1 << (n % 64));
        }
    }

    /// Adds all numbers of another set; returns whether that changed this set.
    pub(super) fn merge(&mut self, other: &Self) -> bool {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        let mut changed = false;
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            changed |= more & !*word != 0;
            *word |= more;
        }
        changed
    }

    /// Changes each word, given its position and value.
    pub(super) fn map(&mut self, change: impl Fn(usize, u64) -> u64) {
        for (n, word) in self.0.iter_mut().enumerate() {
            *word = change(n, *word);
        }
    }

    /// The word at a position.
    pub(super) fn word(&self, n: usize) -> u64 {
        self.0.get(n).copied().unwrap_or(0)
    }
}

/// The numbers in a set that is given by its words.
pub(super) fn numbers<N: Number>(words: &[u64]) -> impl Iterator<Item = N> + use<'_, N> {
    numbers_of(words.iter().copied())
}

/// The numbers in both of two sets.
pub(super) fn common<'a, N: Number>(
    words: &'a [u64],
    other: &'a Bits<N>,
) -> impl Iterator<Item = N> + use<'a, N> {
    numbers_of(words.iter().zip(&other.0).map(|(word, other)| word & other))
}

fn numbers_of<N: Number>(words: impl Iterator<Item = u64>) -> impl Iterator<Item = N> {
    words.zip(0_usize..).flat_map(|(word, at)| {
        let mut rest = word;
        std::iter::from_fn(move || {
            let bit = rest.trailing_zeros();
            rest &= rest.wrapping_sub(1);
            (bit < 64).then(|| N::of(at * 64 + bit as usize))
        })
    })
}

/// Whether one set is a subset of another, both given by their words.
pub(super) fn is_subset(a: &[u64], b: &[u64]) -> bool {
    let (common, rest) = a.split_at(a.len().min(b.len()));
    common.iter().zip(b).all(|(a, b)| a & !b == 0) && rest.iter().all(|word| *word == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn bits(set: &BTreeSet<MessageId>) -> Messages {
        let mut bits = Bits::default();
        for n in set {
            assert!(bits.insert(*n));
        }
        bits
    }

    proptest! {
        #[test]
        fn bits_are_a_set(a: BTreeSet<u8>, b: BTreeSet<u8>) {
            let number = |n: u8| MessageId::of(usize::from(n));
            let wide = |set: BTreeSet<u8>| set.into_iter().map(number).collect::<BTreeSet<_>>();
            let (a, b) = (wide(a), wide(b));
            let (x, y) = (bits(&a), bits(&b));
            prop_assert_eq!(numbers(x.words()).collect::<BTreeSet<_>>(), a.clone());
            prop_assert_eq!(is_subset(x.trimmed(), y.words()), a.is_subset(&b));
            prop_assert_eq!(x.greatest(), a.last().copied());
            prop_assert!(MessageId::first(300).all(|n| x.has(n) == a.contains(&n)));
            prop_assert_eq!(common(x.words(), &y).collect::<BTreeSet<_>>(), &a & &b);
            let mut rest = x.clone();
            numbers(y.words()).for_each(|n| rest.remove(n));
            prop_assert_eq!(numbers(rest.words()).collect::<BTreeSet<_>>(), &a - &b);
            let mut union = x.clone();
            prop_assert_eq!(union.merge(&y), !b.is_subset(&a));
            prop_assert_eq!(numbers(union.words()).collect::<BTreeSet<_>>(), &a | &b);
        }
    }
}

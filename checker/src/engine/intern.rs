//! Gives distinct values numbers.

use super::ids::Number;
use hashbrown::HashTable;
use siphasher::sip::SipHasher13;
use std::hash::{Hash, Hasher};

/// Distinct values in the order in which they were first seen. They are compared, not only hashed, so no two
/// values share a number.
pub(super) struct Interned<N, T> {
    values: Vec<T>,
    index: HashTable<(u64, N)>,
}

impl<N, T: PartialEq> PartialEq for Interned<N, T> {
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values
    }
}

impl<N: Number, T: Hash + PartialEq> Default for Interned<N, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<N: Number, T: Hash + PartialEq> Interned<N, T> {
    /// An empty table.
    pub(super) fn new() -> Self {
        Self { values: Vec::new(), index: HashTable::new() }
    }

    /// The number of a value, and whether the value is new.
    pub(super) fn intern(&mut self, value: T) -> (N, bool) {
        let hash = hash(&value);
        let known = self.find(hash, &value);
        if let Some(number) = known {
            return (number, false);
        }
        let number = N::of(self.values.len());
        self.values.push(value);
        self.index.insert_unique(hash, (hash, number), |(hash, _)| *hash);
        (number, true)
    }

    /// The number of a value, if the value is known.
    pub(super) fn number(&self, value: &T) -> Option<N> {
        self.find(hash(value), value)
    }

    fn find(&self, hash: u64, value: &T) -> Option<N> {
        let same =
            |(known, number): &(u64, N)| *known == hash && self.values[number.index()] == *value;
        self.index.find(hash, same).map(|(_, number)| *number)
    }

    /// The value with this number.
    pub(super) fn get(&self, number: N) -> &T {
        &self.values[number.index()]
    }

    /// All values, in the order of their numbers.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.values.iter()
    }

    /// The number of values.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = SipHasher13::new();
    value.hash(&mut hasher);
    hasher.finish()
}

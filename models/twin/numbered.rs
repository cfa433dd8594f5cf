//! Values with numbers, so that equal values are kept once and compared as numbers.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Different values, numbered from 0 in the order in which they came.
pub(super) struct Numbered<T> {
    values: Vec<T>,
    by_hash: BTreeMap<u64, Vec<u32>>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { values: Vec::new(), by_hash: BTreeMap::new() }
    }
}

impl<T: Hash + PartialEq> Numbered<T> {
    /// The number of a value, which is a new one if the value is new.
    pub(super) fn number(&mut self, value: T) -> u32 {
        let alike = self.by_hash.entry(hash(&value)).or_default();
        if let Some(known) = alike.iter().find(|it| self.values[**it as usize] == value) {
            return *known;
        }
        let number = u32::try_from(self.values.len()).expect("memory holds fewer than 2^32 values");
        alike.push(number);
        self.values.push(value);
        number
    }
}

impl<T> Numbered<T> {
    /// All values, in the order of their numbers.
    pub(super) fn values(&self) -> &[T] {
        &self.values
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// All values, in the order of their numbers.
    pub(super) fn into_values(self) -> Vec<T> {
        self.values
    }
}

fn hash<T: Hash>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All values of this type have one hash.
    #[derive(PartialEq)]
    struct Alike(u32);

    impl Hash for Alike {
        fn hash<H: Hasher>(&self, _: &mut H) {}
    }

    #[test]
    fn equal_values_have_one_number_and_different_values_two() {
        let mut numbered = Numbered::default();
        let numbers = [7, 8, 7, 9, 8].map(|n| numbered.number(Alike(n)));
        assert_eq!(numbers, [0, 1, 0, 2, 1]);
        assert_eq!(numbered.len(), 3);
        let values: Vec<_> = numbered.values().iter().map(|it| it.0).collect();
        assert_eq!(values, [7, 8, 9]);
    }
}

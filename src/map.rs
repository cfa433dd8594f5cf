//! A persistent ordered map that is safe to hash.

use imbl::OrdMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::hash::{Hash, Hasher};

pub use imbl::ordmap::DiffItem;

/// An ordered map with O(1) `clone`, and comparison in O(log n) with a clone that changed little.
///
/// `Map` wraps [`imbl::OrdMap`] for one reason: the `Hash` of `OrdMap` writes no length. So a struct of two
/// maps `{a: [1], b: [2]}` hashes like `{a: [1, 2], b: []}`, and a model checker that trusts
/// fingerprints would merge two different states. The `Hash` of `Map` writes the length first.
#[derive(Clone, PartialEq, Eq)]
pub struct Map<K: Ord, V>(OrdMap<K, V>);

impl<K: Ord + Clone, V: Clone> Map<K, V> {
    /// An empty map.
    pub fn new() -> Self {
        Self(OrdMap::new())
    }

    /// The number of keys. O(1).
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the map has no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value at `key`. O(log n).
    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    /// The greatest key and the value at that key. O(log n).
    pub fn last(&self) -> Option<(&K, &V)> {
        self.0.get_max().map(|(key, value)| (key, value))
    }

    /// Puts `value` at `key`, and returns the value that was there. O(log n).
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.0.insert(key, value)
    }

    /// Removes `key`, and returns the value that was there. O(log n).
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.0.remove(key)
    }

    /// All keys with their values, in the order of the keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.0.iter()
    }

    /// The keys from `from` on with their values, in the order of the keys. The first pair costs O(log n).
    pub fn range_from(&self, from: K) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.0.range(from..)
    }

    /// The differences from `self` to `next`, in the order of the keys. O(change) if `next` came from a
    /// clone of `self`.
    pub fn diff<'a, 'b>(
        &'a self,
        next: &'b Self,
    ) -> impl Iterator<Item = DiffItem<'a, 'b, K, V>> + use<'a, 'b, K, V>
    where
        V: PartialEq,
    {
        self.0.diff(&next.0)
    }
}

impl<K: Ord + Clone, V: Clone> Default for Map<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl<K: Ord + Hash, V: Hash> Hash for Map<K, V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.0.len());
        for (key, value) in &self.0 {
            key.hash(state);
            value.hash(state);
        }
    }
}

impl<K: Ord + fmt::Debug, V: fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter()).finish()
    }
}

/// Writes the one canonical form: a sequence of pairs in the order of the keys.
impl<K: Ord + Serialize, V: Serialize> Serialize for Map<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}

impl<'de, K, V> Deserialize<'de> for Map<K, V>
where
    K: Ord + Clone + Deserialize<'de>,
    V: Clone + Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs = Vec::<(K, V)>::deserialize(deserializer)?;
        if pairs.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(serde::de::Error::custom("the keys of a map are not in order"));
        }
        Ok(pairs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Records every byte a `Hash` implementation writes.
    #[derive(Default)]
    struct Recorder(Vec<u8>);

    impl Hasher for Recorder {
        fn finish(&self) -> u64 {
            0
        }
        fn write(&mut self, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }
    }

    fn stream(value: &impl Hash) -> Vec<u8> {
        let mut recorder = Recorder::default();
        value.hash(&mut recorder);
        recorder.0
    }

    fn pairs() -> impl Strategy<Value = Vec<(u8, u8)>> {
        prop::collection::vec((0..4_u8, 0..3_u8), 0..4)
    }

    #[test]
    fn two_maps_side_by_side_do_not_run_into_each_other() {
        let one = Map::from_iter([(1, 1)]);
        let two = Map::from_iter([(2, 2)]);
        let both = Map::from_iter([(1, 1), (2, 2)]);
        assert_ne!(stream(&(one, two)), stream(&(both, Map::<i32, i32>::new())));
    }

    /// If the map were accepted, the last pair of a key would win, and writing the map again would give
    /// other bytes.
    #[test]
    fn a_map_that_holds_a_key_twice_or_out_of_order_is_refused() {
        let read = |pairs: &[(u8, u8)]| {
            postcard::from_bytes::<Map<u8, u8>>(&postcard::to_stdvec(pairs).unwrap())
        };
        for pairs in
            [&[(1, 1), (1, 1)][..], &[(1, 1), (1, 2)], &[(0, 0), (1, 1), (1, 2)], &[(2, 2), (1, 1)]]
        {
            assert!(read(pairs).is_err(), "{pairs:?}");
        }
        assert_eq!(read(&[(1, 1), (2, 1)]).unwrap(), Map::from_iter([(1, 1), (2, 1)]));
    }

    proptest! {
        #[test]
        fn unequal_values_give_unequal_hash_streams(a in pairs(), b in pairs(), c in pairs(), d in pairs()) {
            let map = |pairs: Vec<(u8, u8)>| pairs.into_iter().collect::<Map<_, _>>();
            let (left, right) = ((map(a), map(b)), (map(c), map(d)));
            prop_assert_eq!(left == right, stream(&left) == stream(&right));
        }

        #[test]
        fn a_diff_is_exact(a in pairs(), b in pairs()) {
            let (a, b): (Map<_, _>, Map<_, _>) = (a.into_iter().collect(), b.into_iter().collect());
            let mut patched = a.clone();
            for item in a.diff(&b) {
                match item {
                    DiffItem::Add(key, value) | DiffItem::Update { new: (key, value), .. } => {
                        patched.insert(*key, *value);
                    }
                    DiffItem::Remove(key, _) => {
                        patched.remove(key);
                    }
                }
            }
            prop_assert_eq!(patched, b);
        }

        /// Large enough for several nodes that a map shares with its clone.
        #[test]
        fn comparison_and_diff_are_exact_for_large_maps_and_their_clones(
            first in prop::collection::vec((any::<u16>(), 0..3_u8), 0..700),
            edits in prop::collection::vec(
                (any::<bool>(), any::<prop::sample::Index>(), any::<u16>(), 0..3_u8),
                0..60,
            ),
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let old: Map<_, _> = first.iter().copied().collect();
            let mut new = old.clone();
            for (removes, place, key, value) in edits {
                let known = first.get(place.index(first.len().max(1))).map_or(key, |(key, _)| *key);
                if removes {
                    new.remove(&known);
                } else {
                    new.insert(if value == 0 { key } else { known }, value);
                }
            }
            // A log, too, is cut from its end.
            let kept = cut.map_or(usize::MAX, |cut| cut.index(first.len().max(1)));
            while new.len() > kept {
                let last = *new.last().unwrap().0;
                new.remove(&last);
            }
            let pairs = |map: &Map<u16, u8>| map.iter().map(|(k, v)| (*k, *v)).collect::<Vec<_>>();
            prop_assert_eq!(old == new, pairs(&old) == pairs(&new));
            prop_assert_eq!(new.last().map(|(key, _)| *key), pairs(&new).last().map(|(key, _)| *key));
            for (from, to) in [(&old, &new), (&new, &old)] {
                let mut patched = from.clone();
                for item in from.diff(to) {
                    match item {
                        DiffItem::Add(key, value) | DiffItem::Update { new: (key, value), .. } => {
                            patched.insert(*key, *value);
                        }
                        DiffItem::Remove(key, _) => {
                            patched.remove(key);
                        }
                    }
                }
                prop_assert_eq!(pairs(&patched), pairs(to));
            }
        }

        #[test]
        fn serialization_round_trips(a in pairs()) {
            let map: Map<_, _> = a.into_iter().collect();
            let bytes = postcard::to_stdvec(&map).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Map<u8, u8>>(&bytes).unwrap(), map);
        }
    }
}

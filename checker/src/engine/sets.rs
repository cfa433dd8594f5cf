//! Sets of messages by number. All states that have a set share it.

use super::bits::Messages;
use super::ids::{Number, SetId, Slot};
use super::panics::Held;
use hashbrown::HashTable;
use rustc_hash::FxHasher;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::hash::Hasher;
use std::sync::{Arc, Mutex};

/// The words of a set, without zeros at the end.
type Words = Arc<[u64]>;

/// The sets of one actor's messages.
#[derive(Serialize, Deserialize)]
struct Numbered {
    #[serde(serialize_with = "write_words", deserialize_with = "read_words")]
    values: Vec<Words>,
    #[serde(skip)]
    index: HashTable<(u64, SetId)>,
}

/// The sets of every actor's messages.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Sets(Vec<Mutex<Numbered>>);

/// The sets that one thread knows. The thread asks its cache first, and without waiting.
pub(super) struct SetCache<'s> {
    shared: &'s Sets,
    known: KnownSets,
}

/// The known sets of a [`SetCache`], without the shared ones.
#[derive(Default)]
pub(super) struct KnownSets(Vec<Numbered>);

impl Numbered {
    fn new() -> Self {
        Self { values: Vec::new(), index: HashTable::new() }
    }

    fn find(&self, hash: u64, words: &[u64]) -> Option<SetId> {
        let same = |(known, number): &(u64, SetId)| {
            *known == hash && self.values[number.index()].iter().eq(words)
        };
        self.index.find(hash, same).map(|(_, number)| *number)
    }

    fn add(&mut self, hash: u64, words: Words) -> SetId {
        let number = SetId::of(self.values.len());
        self.values.push(words);
        self.index.insert_unique(hash, (hash, number), |(hash, _)| *hash);
        number
    }
}

impl Sets {
    /// No sets yet, for so many actors.
    pub(super) fn new(actors: usize) -> Self {
        Self((0..actors).map(|_| Mutex::new(Numbered::new())).collect())
    }

    /// Indexes the sets again after they were read.
    pub(super) fn index(&mut self) {
        for sets in &mut self.0 {
            let sets = sets.get_mut().expect("no thread runs");
            for words in std::mem::take(&mut sets.values) {
                sets.add(hash(&words), words);
            }
        }
    }

    /// The bytes of all sets and their index.
    pub(super) fn bytes(&self) -> u64 {
        let of = |sets: &Mutex<Numbered>| {
            let sets = sets.lock().held();
            let words: usize = sets.values.iter().map(|words| words.len() + 4).sum();
            8 * words + 17 * sets.index.capacity() * 8 / 7
        };
        self.0.iter().map(of).sum::<usize>() as u64
    }
}

impl<'s> SetCache<'s> {
    /// A cache that begins with known sets, which must be from the same shared ones.
    pub(super) fn new(shared: &'s Sets, mut known: KnownSets) -> Self {
        known.0.resize_with(shared.0.len(), Numbered::new);
        Self { shared, known }
    }

    /// The known sets, for another cache.
    pub(super) fn known(self) -> KnownSets {
        self.known
    }

    /// The number of a set.
    pub(super) fn number(&mut self, who: Slot, set: &Messages) -> SetId {
        let words = set.trimmed();
        let hash = hash(words);
        if let Some(number) = self.known.0[who.index()].find(hash, words) {
            return number;
        }
        {
            let mut sets = self.shared.0[who.index()].lock().held();
            if sets.find(hash, words).is_none() {
                sets.add(hash, words.into());
            }
        }
        self.refresh_one(who);
        self.known.0[who.index()].find(hash, words).expect("it has just been added")
    }

    /// The words of the set with this number.
    pub(super) fn get(&mut self, who: Slot, set: SetId) -> Words {
        if !self.knows(who, set) {
            self.refresh_one(who);
        }
        Arc::clone(&self.known.0[who.index()].values[set.index()])
    }

    /// Whether the words of the set with this number are known here.
    pub(super) fn knows(&self, who: Slot, set: SetId) -> bool {
        set.index() < self.known.0[who.index()].values.len()
    }

    /// The words of a set that is known here.
    pub(super) fn words(&self, who: Slot, set: SetId) -> &[u64] {
        &self.known.0[who.index()].values[set.index()]
    }

    /// Learns all sets that other threads have added.
    pub(super) fn refresh(&mut self) {
        Slot::first(self.known.0.len()).for_each(|who| self.refresh_one(who));
    }

    fn refresh_one(&mut self, who: Slot) {
        let sets = self.shared.0[who.index()].lock().held();
        let known = &mut self.known.0[who.index()];
        for words in &sets.values[known.values.len()..] {
            known.add(hash(words), Arc::clone(words));
        }
    }
}

fn hash(words: &[u64]) -> u64 {
    let mut hasher = FxHasher::default();
    for word in words {
        hasher.write_u64(*word);
    }
    hasher.finish()
}

fn write_words<S: Serializer>(values: &[Words], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(|words| &words[..]))
}

fn read_words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Words>, D::Error> {
    let values = Vec::<Vec<u64>>::deserialize(deserializer)?;
    Ok(values.into_iter().map(Words::from).collect())
}

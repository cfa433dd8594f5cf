//! Every tuple of local states and ghost that was reached, each with its maximal sets of messages.
//!
//! All is flat: for `n` actors a tuple takes `4(n + 1)` bytes for its numbers, 4 for the head of its
//! list and about 10 in the index; a state takes `4n` bytes for its sets and 4 for its link. The sets
//! themselves are interned and shared.

use super::bits::is_subset;
use super::worker::Task;
use hashbrown::HashTable;
use rustc_hash::FxHasher;
use serde::{Deserialize, Serialize};
use std::hash::Hasher;

/// No state: the end of a list.
const NONE: u32 = u32::MAX >> 1;
/// In a link: its state has been expanded.
const EXPANDED: u32 = 1 << 31;

/// The tuples whose hash falls here.
#[derive(Serialize, Deserialize)]
pub(super) struct Shard {
    actors: usize,
    #[serde(skip)]
    index: HashTable<u32>,
    /// `actors` locals and the ghost of each tuple.
    keys: Vec<u32>,
    /// The first state of each tuple, and whether the tuple waits to be expanded.
    heads: Vec<u32>,
    /// `actors` sets of each state.
    sets: Vec<u32>,
    /// The next state of the same tuple, and whether the state has been expanded.
    links: Vec<u32>,
    /// For each actor the greatest number of a set.
    greatest: Vec<u32>,
    /// The first unused state.
    free: u32,
    states: u64,
}

/// In a head: the tuple waits.
const QUEUED: u32 = 1 << 31;

/// What steps mostly raise: tuples are expanded in this order.
pub(super) fn rank(locals: &[u32]) -> u64 {
    locals.iter().map(|local| u64::from(*local)).sum()
}

/// The hash by which a tuple is found.
pub(super) fn hash(key: &[u32]) -> u64 {
    let mut hasher = FxHasher::default();
    for number in key {
        hasher.write_u32(*number);
    }
    hasher.finish()
}

impl Shard {
    /// No tuples, of so many actors.
    pub(super) fn new(actors: usize) -> Self {
        Self {
            actors,
            index: HashTable::new(),
            keys: Vec::new(),
            heads: Vec::new(),
            sets: Vec::new(),
            links: Vec::new(),
            greatest: vec![0; actors],
            free: NONE,
            states: 0,
        }
    }

    /// The number of a tuple, if it is known.
    pub(super) fn find(&self, key: &[u32], hash: u64) -> Option<u32> {
        let width = self.actors + 1;
        let same = |n: &u32| {
            let at = *n as usize * width;
            self.keys[at..at + width].iter().eq(key)
        };
        self.index.find(hash, same).copied()
    }

    /// Adds a tuple that is not known.
    pub(super) fn add(&mut self, key: &[u32], hash_of_key: u64) -> u32 {
        let number = u32::try_from(self.heads.len()).expect("fewer than 2^31 tuples in a shard");
        self.keys.extend_from_slice(key);
        self.heads.push(NONE);
        let (keys, width) = (&self.keys, self.actors + 1);
        let rehash = |n: &u32| hash(&keys[*n as usize * width..(*n as usize + 1) * width]);
        self.index.insert_unique(hash_of_key, number, rehash);
        number
    }

    /// Finds tuples again after they were read.
    pub(super) fn index(&mut self) {
        let (keys, width) = (&self.keys, self.actors + 1);
        let hash_of = |n: &u32| hash(&keys[*n as usize * width..(*n as usize + 1) * width]);
        self.index = HashTable::with_capacity(self.heads.len());
        for number in (0_u32..).take(self.heads.len()) {
            self.index.insert_unique(hash_of(&number), number, hash_of);
        }
    }

    /// The tuples that wait to be expanded, in the shard of this number.
    pub(super) fn waiting(&self, shard: u32) -> impl Iterator<Item = Task> {
        let keys = self.keys.chunks_exact(self.actors + 1);
        let tuples = (0_u32..).zip(keys).zip(&self.heads);
        tuples.filter(|(_, head)| **head & QUEUED != 0).map(move |((tuple, key), _)| Task {
            rank: rank(&key[..key.len() - 1]),
            shard,
            tuple,
        })
    }

    /// For each actor the greatest number of a set in any state.
    pub(super) fn greatest_sets(&self) -> impl Iterator<Item = u32> {
        self.greatest.iter().copied()
    }

    /// Adds a state to its tuple unless one with as many messages is there, and removes those with
    /// fewer. `alike` are the states that it stands for, its own sets first, one after the other: what
    /// is above one of them, or below, is as good as above or below it. `contents` tells what is in a
    /// set.
    pub(super) fn insert<'a>(
        &mut self,
        tuple: u32,
        alike: &[u32],
        contents: impl Fn(usize, u32) -> &'a [u64],
    ) -> Inserted {
        let below = |a: &[u32], b: &[u32]| {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.all(|(who, (a, b))| a == b || is_subset(contents(who, *a), contents(who, *b)))
        };
        let each = || alike.chunks_exact(self.actors);
        let mut at = self.heads[tuple as usize] & NONE;
        while at != NONE {
            if each().any(|sets| below(sets, self.sets_of(at))) {
                return Inserted::Subsumed;
            }
            at = self.links[at as usize] & NONE;
        }
        // Nothing there is above it: what is below it goes.
        let mut previous = None;
        let mut at = self.heads[tuple as usize] & NONE;
        while at != NONE {
            let next = self.links[at as usize] & NONE;
            let is_below =
                alike.chunks_exact(self.actors).any(|sets| below(self.sets_of(at), sets));
            if is_below {
                self.unlink(tuple, previous, at, next);
            } else {
                previous = Some(at);
            }
            at = next;
        }
        let sets = &alike[..self.actors];
        self.push(tuple, sets);
        self.greatest.iter_mut().zip(sets).for_each(|(most, set)| *most = (*most).max(*set));
        let head = &mut self.heads[tuple as usize];
        let queued = *head & QUEUED != 0;
        *head |= QUEUED;
        if queued { Inserted::AlreadyQueued } else { Inserted::MustQueue }
    }

    fn unlink(&mut self, tuple: u32, previous: Option<u32>, at: u32, next: u32) {
        match previous {
            None => {
                let head = &mut self.heads[tuple as usize];
                *head = *head & QUEUED | next;
            }
            Some(previous) => {
                let link = &mut self.links[previous as usize];
                *link = *link & EXPANDED | next;
            }
        }
        self.links[at as usize] = self.free;
        self.free = at;
        self.states -= 1;
    }

    fn push(&mut self, tuple: u32, sets: &[u32]) {
        let next = self.heads[tuple as usize] & NONE;
        let state = if self.free == NONE {
            let state = u32::try_from(self.links.len()).expect("fewer than 2^31 states in a shard");
            assert!(state < NONE, "fewer than 2^31 states in a shard");
            self.sets.extend_from_slice(sets);
            self.links.push(next);
            state
        } else {
            let state = self.free;
            self.free = self.links[state as usize] & NONE;
            let at = state as usize * self.actors;
            self.sets[at..at + self.actors].copy_from_slice(sets);
            self.links[state as usize] = next;
            state
        };
        let head = &mut self.heads[tuple as usize];
        *head = *head & QUEUED | state;
        self.states += 1;
    }

    fn sets_of(&self, state: u32) -> &[u32] {
        let at = state as usize * self.actors;
        &self.sets[at..at + self.actors]
    }

    /// Takes a tuple out of the queue: its key, and the sets of the states to expand, one after the
    /// other.
    pub(super) fn take(&mut self, tuple: u32, key: &mut Vec<u32>, sets: &mut Vec<u32>) {
        let width = self.actors + 1;
        key.clear();
        key.extend_from_slice(&self.keys[tuple as usize * width..(tuple as usize + 1) * width]);
        sets.clear();
        self.heads[tuple as usize] &= !QUEUED;
        let mut at = self.heads[tuple as usize];
        while at != NONE {
            let link = self.links[at as usize];
            if link & EXPANDED == 0 {
                sets.extend_from_slice(self.sets_of(at));
                self.links[at as usize] |= EXPANDED;
            }
            at = link & NONE;
        }
    }

    /// Number of tuples.
    pub(super) fn tuples(&self) -> u64 {
        self.heads.len() as u64
    }

    /// Number of maximal states.
    pub(super) fn states(&self) -> u64 {
        self.states
    }

    /// Bytes for tuples and states.
    pub(super) fn bytes(&self) -> u64 {
        let words = self.keys.capacity()
            + self.heads.capacity()
            + self.sets.capacity()
            + self.links.capacity();
        (4 * words + 5 * self.index.capacity() * 8 / 7) as u64
    }

    /// Every tuple with the sets of all its states.
    pub(super) fn all(&self) -> impl Iterator<Item = (&[u32], Vec<&[u32]>)> {
        self.keys.chunks_exact(self.actors + 1).zip(&self.heads).map(|(key, head)| {
            let mut states = Vec::new();
            let mut at = head & NONE;
            while at != NONE {
                states.push(self.sets_of(at));
                at = self.links[at as usize] & NONE;
            }
            (key, states)
        })
    }
}

/// What became of a state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Inserted {
    /// One with as many messages is there.
    Subsumed,
    /// It was added; its tuple waits already.
    AlreadyQueued,
    /// It was added; its tuple must be queued.
    MustQueue,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By number: nothing, message 0, message 1, both.
    const CONTENTS: [[u64; 1]; 4] = [[0b00], [0b01], [0b10], [0b11]];

    /// Two actors, and with each state the one with their sets exchanged.
    fn insert(shard: &mut Shard, [a, b]: [u32; 2]) -> Inserted {
        shard.insert(0, &[a, b, b, a], |_, set| &CONTENTS[set as usize])
    }

    #[test]
    fn what_is_below_another_state_renamed_is_not_kept() {
        let key = [0, 0, 0];
        let mut shard = Shard::new(2);
        assert_eq!(shard.add(&key, hash(&key)), 0);
        assert!(insert(&mut shard, [1, 0]) == Inserted::MustQueue);
        assert!(insert(&mut shard, [0, 1]) == Inserted::Subsumed, "it is the same, renamed");
        assert!(
            insert(&mut shard, [0, 2]) == Inserted::AlreadyQueued,
            "neither is below the other"
        );
        assert_eq!(shard.states(), 2);
        assert!(insert(&mut shard, [0, 3]) == Inserted::AlreadyQueued);
        assert_eq!(shard.states(), 1, "one was below it, and one was when renamed");
    }
}

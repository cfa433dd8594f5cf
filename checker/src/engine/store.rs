//! The store: every tuple of local states and ghost that was reached, each with its maximal sets of messages.
//!
//! A [`Shard`] keeps the tuples whose hash falls into it. Each tuple has a list of states. [`Shard::insert`]
//! keeps that list an antichain; [`Shard::take`] takes a state from it to expand. All records are flat. For
//! `n` actors a tuple takes `4(n + 1)` bytes for its numbers, 4 for the head of its list and about 10 in the
//! index. A state takes `8n` bytes for its sets, as they are and by the names of their messages, and 4 for
//! its link. The sets themselves are interned and shared.

use super::bits::is_subset;
use super::worker::Task;
use hashbrown::HashTable;
use rustc_hash::FxHasher;
use serde::{Deserialize, Serialize};
use std::hash::Hasher;

/// No state: the end of a list.
const NONE: u32 = u32::MAX >> 1;
/// The bit in a link that says that the state of the link has been expanded.
const EXPANDED: u32 = 1 << 31;

/// The tuples whose hash falls into this shard.
#[derive(Serialize, Deserialize)]
pub(super) struct Shard {
    actors: usize,
    #[serde(skip)]
    index: HashTable<u32>,
    /// The records of tuples. Each has `actors` local states, the ghost, and a *head*: the first state of the
    /// tuple, and whether the tuple waits to be expanded.
    tuples: Vec<u32>,
    /// The records of states. Each has `actors` sets by the names of their messages, by which states are
    /// compared, and `actors` sets as they are. Then follows a *link*: the next state of the tuple, and
    /// whether this state has been expanded.
    states: Vec<u32>,
    /// For each actor the greatest number of a set of names.
    greatest: Vec<u32>,
    /// The first unused record of a state.
    free: u32,
    /// The number of records of states that are used.
    used: u64,
}

/// The bit in a head that says that the tuple waits.
const QUEUED: u32 = 1 << 31;

/// The rank of a tuple. Steps mostly raise it, and tuples are expanded in its order.
fn rank(locals: &[u32]) -> u64 {
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
    /// A shard without tuples, for so many actors.
    pub(super) fn new(actors: usize) -> Self {
        Self {
            actors,
            index: HashTable::new(),
            tuples: Vec::new(),
            states: Vec::new(),
            greatest: vec![0; actors],
            free: NONE,
            used: 0,
        }
    }

    /// The number of words in the record of a tuple, and in that of a state.
    fn widths(&self) -> (usize, usize) {
        (self.actors + 2, 2 * self.actors + 1)
    }

    fn key(&self, tuple: u32) -> &[u32] {
        let at = tuple as usize * self.widths().0;
        &self.tuples[at..=at + self.actors]
    }

    fn head(&self, tuple: u32) -> u32 {
        self.tuples[tuple as usize * self.widths().0 + self.actors + 1]
    }

    fn head_mut(&mut self, tuple: u32) -> &mut u32 {
        let at = tuple as usize * self.widths().0 + self.actors + 1;
        &mut self.tuples[at]
    }

    fn link(&self, state: u32) -> u32 {
        self.states[state as usize * self.widths().1 + 2 * self.actors]
    }

    fn link_mut(&mut self, state: u32) -> &mut u32 {
        let at = state as usize * self.widths().1 + 2 * self.actors;
        &mut self.states[at]
    }

    fn names_of(&self, state: u32) -> &[u32] {
        let at = state as usize * self.widths().1;
        &self.states[at..at + self.actors]
    }

    fn sets_of(&self, state: u32) -> &[u32] {
        let at = state as usize * self.widths().1 + self.actors;
        &self.states[at..at + self.actors]
    }

    /// The number of a tuple, if the tuple is known.
    pub(super) fn find(&self, key: &[u32], hash: u64) -> Option<u32> {
        self.index.find(hash, |tuple| self.key(*tuple) == key).copied()
    }

    /// Adds a tuple that is not known.
    pub(super) fn add(&mut self, key: &[u32], hash_of_key: u64) -> u32 {
        let number = u32::try_from(self.tuples()).expect("fewer than 2^32 tuples in a shard");
        self.tuples.extend_from_slice(key);
        self.tuples.push(NONE);
        let mut index = std::mem::take(&mut self.index);
        index.insert_unique(hash_of_key, number, |tuple| hash(self.key(*tuple)));
        self.index = index;
        number
    }

    /// Indexes the tuples again after they were read.
    pub(super) fn index(&mut self) {
        let count = usize::try_from(self.tuples()).expect("it is in memory");
        let hash_of = |tuple: &u32| hash(self.key(*tuple));
        let mut index = HashTable::with_capacity(count);
        for number in (0_u32..).take(count) {
            index.insert_unique(hash_of(&number), number, hash_of);
        }
        self.index = index;
    }

    /// The rank by which a tuple is expanded.
    pub(super) fn rank(&self, tuple: u32) -> u64 {
        rank(&self.key(tuple)[..self.actors])
    }

    /// The tuples that wait to be expanded. `shard` is the number of this shard.
    pub(super) fn waiting(&self, shard: u32) -> impl Iterator<Item = Task> {
        let records = (0_u32..).zip(self.tuples.chunks_exact(self.widths().0));
        records
            .filter(|(_, record)| record[self.actors + 1] & QUEUED != 0)
            .map(move |(tuple, _)| Task { rank: self.rank(tuple), shard, tuple })
    }

    /// For each actor the greatest number of a set of names in any state.
    pub(super) fn greatest_sets(&self) -> impl Iterator<Item = u32> {
        self.greatest.iter().copied()
    }

    /// Adds a state of these sets to its tuple, unless a state with at least its messages is there, and
    /// removes the states with fewer. `alike` holds, one after the other, the names in the states for which
    /// the new state stands, its own names first. A state that is above or below one of these counts as above
    /// or below the new state. `contents` gives the words of a set.
    pub(super) fn insert<'a>(
        &mut self,
        tuple: u32,
        alike: &[u32],
        sets: &[u32],
        contents: impl Fn(usize, u32) -> &'a [u64],
    ) -> Inserted {
        let below = |a: &[u32], b: &[u32]| {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.all(|(who, (a, b))| a == b || is_subset(contents(who, *a), contents(who, *b)))
        };
        let actors = self.actors;
        let each = || alike.chunks_exact(actors);
        let mut at = self.head(tuple) & NONE;
        while at != NONE {
            if each().any(|names| below(names, self.names_of(at))) {
                return Inserted::Subsumed;
            }
            at = self.link(at) & NONE;
        }
        // No state there is above the new one, so the states below it go.
        let mut previous = None;
        let mut at = self.head(tuple) & NONE;
        while at != NONE {
            let next = self.link(at) & NONE;
            let is_below = each().any(|names| below(self.names_of(at), names));
            if is_below {
                self.unlink(tuple, previous, at, next);
            } else {
                previous = Some(at);
            }
            at = next;
        }
        let names = &alike[..self.actors];
        self.push(tuple, names, sets);
        self.greatest.iter_mut().zip(names).for_each(|(most, set)| *most = (*most).max(*set));
        let head = self.head_mut(tuple);
        let queued = *head & QUEUED != 0;
        *head |= QUEUED;
        if queued { Inserted::AlreadyQueued } else { Inserted::MustQueue }
    }

    fn unlink(&mut self, tuple: u32, previous: Option<u32>, at: u32, next: u32) {
        match previous {
            None => {
                let head = self.head_mut(tuple);
                *head = *head & QUEUED | next;
            }
            Some(previous) => {
                let link = self.link_mut(previous);
                *link = *link & EXPANDED | next;
            }
        }
        *self.link_mut(at) = self.free;
        self.free = at;
        self.used -= 1;
    }

    fn push(&mut self, tuple: u32, names: &[u32], sets: &[u32]) {
        let next = self.head(tuple) & NONE;
        let width = self.widths().1;
        let state = if self.free == NONE {
            let state = u32::try_from(self.states.len() / width);
            let state = state.ok().filter(|state| *state < NONE);
            self.states.resize(self.states.len() + width, 0);
            state.expect("fewer than 2^31 states in a shard")
        } else {
            let state = self.free;
            self.free = self.link(state) & NONE;
            state
        };
        let record = &mut self.states[state as usize * width..][..width];
        record[..self.actors].copy_from_slice(names);
        record[self.actors..2 * self.actors].copy_from_slice(sets);
        record[2 * self.actors] = next;
        let head = self.head_mut(tuple);
        *head = *head & QUEUED | state;
        self.used += 1;
    }

    /// Puts the tuples whose local states are `concerned` back into the queue, with all their states. `name`
    /// gets the key and the sets of each state, and writes the numbers of the sets of names.
    pub(super) fn expand_again(
        &mut self,
        shard: u32,
        concerned: impl Fn(&[u32]) -> bool,
        mut name: impl FnMut(&[u32], &[u32], &mut [u32]),
    ) -> Vec<Task> {
        let mut tasks = Vec::new();
        let (actors, (width, width_of_state)) = (self.actors, self.widths());
        for (tuple, record) in (0_u32..).zip(self.tuples.chunks_exact_mut(width)) {
            let (key, head) = (&record[..=actors], record[actors + 1]);
            if !concerned(&key[..actors]) {
                continue;
            }
            let mut at = head & NONE;
            while at != NONE {
                let state = &mut self.states[at as usize * width_of_state..][..width_of_state];
                let (names, rest) = state.split_at_mut(actors);
                name(key, &rest[..actors], names);
                let greatest = self.greatest.iter_mut().zip(names);
                greatest.for_each(|(most, set)| *most = (*most).max(*set));
                rest[actors] &= !EXPANDED;
                at = rest[actors];
            }
            if head & QUEUED == 0 {
                tasks.push(Task { rank: rank(&key[..actors]), shard, tuple });
                record[actors + 1] |= QUEUED;
            }
        }
        tasks
    }

    /// Takes the latest state of a tuple that has not been expanded: its key and its sets. Returns true if
    /// more states are left, so that the tuple must still be queued. Otherwise the tuple waits no longer.
    pub(super) fn take(&mut self, tuple: u32, key: &mut Vec<u32>, sets: &mut Vec<u32>) -> bool {
        key.clear();
        key.extend_from_slice(self.key(tuple));
        sets.clear();
        let mut at = self.head(tuple) & NONE;
        while at != NONE {
            let link = self.link(at);
            if link & EXPANDED == 0 {
                if !sets.is_empty() {
                    return true;
                }
                sets.extend_from_slice(self.sets_of(at));
                *self.link_mut(at) |= EXPANDED;
            }
            at = link & NONE;
        }
        *self.head_mut(tuple) &= !QUEUED;
        false
    }

    /// Puts back a state of a tuple that was taken and has not been expanded to the end; its sets identify
    /// it. Returns whether the tuple must be queued for that.
    pub(super) fn put_back(&mut self, tuple: u32, sets: &[u32]) -> bool {
        let mut at = self.head(tuple) & NONE;
        while at != NONE {
            let link = self.link(at);
            if sets == self.sets_of(at) {
                *self.link_mut(at) &= !EXPANDED;
            }
            at = link & NONE;
        }
        let head = self.head_mut(tuple);
        let queued = *head & QUEUED != 0;
        *head |= QUEUED;
        !queued
    }

    /// The number of tuples.
    pub(super) fn tuples(&self) -> u64 {
        (self.tuples.len() / self.widths().0) as u64
    }

    /// The number of maximal states.
    pub(super) fn states(&self) -> u64 {
        self.used
    }

    /// The bytes of tuples and states.
    pub(super) fn bytes(&self) -> u64 {
        let words = self.tuples.capacity() + self.states.capacity();
        (4 * words + 5 * self.index.capacity() * 8 / 7) as u64
    }

    /// Every tuple with the sets of all its states.
    pub(super) fn all(&self) -> impl Iterator<Item = (&[u32], Vec<&[u32]>)> {
        self.tuples.chunks_exact(self.widths().0).map(|record| {
            let mut states = Vec::new();
            let mut at = record[self.actors + 1] & NONE;
            while at != NONE {
                states.push(self.sets_of(at));
                at = self.link(at) & NONE;
            }
            (&record[..=self.actors], states)
        })
    }
}

/// The outcome of inserting a state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Inserted {
    /// A state with at least as many messages is there.
    Subsumed,
    /// The state was added; its tuple waits already.
    AlreadyQueued,
    /// The state was added; its tuple must be queued.
    MustQueue,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sets by number: nothing, message 0, message 1, both.
    const CONTENTS: [[u64; 1]; 4] = [[0b00], [0b01], [0b10], [0b11]];

    /// Inserts a state of two actors. With each state goes the one with the two sets exchanged.
    fn insert(shard: &mut Shard, [a, b]: [u32; 2]) -> Inserted {
        shard.insert(0, &[a, b, b, a], &[a, b], |_, set| &CONTENTS[set as usize])
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

    #[test]
    fn what_is_expanded_again_is_queued_once_and_its_states_have_new_names() {
        let mut shard = Shard::new(2);
        for (number, key) in [[0, 0, 0], [5, 0, 0]].iter().enumerate() {
            assert_eq!(shard.add(key, hash(key)) as usize, number);
        }
        assert!(insert(&mut shard, [1, 0]) == Inserted::MustQueue);
        assert!(insert(&mut shard, [0, 2]) == Inserted::AlreadyQueued);
        let (mut key, mut sets) = (Vec::new(), Vec::new());
        assert!(shard.take(0, &mut key, &mut sets), "one is left");
        assert_eq!((&key[..], &sets[..]), (&[0, 0, 0][..], &[0, 2][..]));
        assert!(!shard.take(0, &mut key, &mut sets) && !sets.is_empty());
        assert!(!shard.take(0, &mut key, &mut sets) && sets.is_empty(), "they are expanded");

        let at = |wanted: [u32; 2]| move |locals: &[u32]| locals == wanted;
        // The first actor's sets get another name.
        let mut named = |_: &[u32], sets: &[u32], names: &mut [u32]| {
            names.copy_from_slice(&[3, sets[1]]);
        };
        assert_eq!(shard.expand_again(7, at([9, 9]), &mut named).len(), 0);
        let tasks = shard.expand_again(7, at([0, 0]), &mut named);
        assert_eq!(tasks.iter().map(|task| (task.shard, task.tuple)).collect::<Vec<_>>(), [(7, 0)]);
        assert_eq!(shard.expand_again(7, at([0, 0]), &mut named).len(), 0, "it waits");
        let both = [0, 1].map(|_| {
            shard.take(0, &mut key, &mut sets);
            sets.clone()
        });
        assert_eq!(both, [[0, 2], [1, 0]]);
        assert!(insert(&mut shard, [1, 2]) == Inserted::Subsumed, "by its new names");
    }

    #[test]
    fn states_are_taken_one_at_a_time_and_what_is_put_back_is_taken_again() {
        let mut shard = Shard::new(2);
        shard.add(&[0, 0, 0], hash(&[0, 0, 0]));
        assert!(insert(&mut shard, [1, 0]) == Inserted::MustQueue);
        assert!(insert(&mut shard, [0, 2]) == Inserted::AlreadyQueued);
        let (mut key, mut sets) = (Vec::new(), Vec::new());
        assert!(shard.take(0, &mut key, &mut sets), "one is left");
        assert_eq!((&sets[..], shard.waiting(0).count()), (&[0, 2][..], 1));
        assert!(!shard.put_back(0, &sets), "it waits already");
        assert!(shard.take(0, &mut key, &mut sets));
        assert_eq!(sets, [0, 2], "again");
        assert!(!shard.take(0, &mut key, &mut sets));
        assert_eq!((&sets[..], shard.waiting(0).count()), (&[1, 0][..], 0));
        assert!(shard.put_back(0, &sets), "it waited no longer");
        assert!(!shard.take(0, &mut key, &mut sets));
        assert_eq!(sets, [1, 0], "the other has been expanded");
    }
}

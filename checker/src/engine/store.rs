//! The store: every tuple of local states and ghost that was reached, each with its maximal sets of messages.
//!
//! A [`Shard`] keeps the tuples whose hash falls into it. Each tuple has a list of states. [`Shard::insert`]
//! keeps that list an antichain; [`Shard::take`] takes a state from it to expand. All records are flat. For
//! `n` actors a tuple takes `4(n + 1)` bytes for its numbers, 4 for the head of its list and about 10 in the
//! index. A state takes `8n` bytes for its sets, as they are and by the names of their messages, and 4 for
//! its link. The sets themselves are interned and shared.

use super::bits::is_subset;
use super::ids::{LocalId, Number, SetId, ShardId, Slot, TupleId};
use super::tuple::{Tuple, TupleBuf};
use super::worker::Task;
use hashbrown::HashTable;
use rustc_hash::FxHasher;
use serde::{Deserialize, Serialize};
use std::hash::Hasher;

/// The tuples whose hash falls into this shard.
#[derive(Serialize, Deserialize)]
pub(super) struct Shard {
    actors: usize,
    #[serde(skip)]
    index: HashTable<TupleId>,
    /// The records of tuples. Each has `actors` local states, the ghost, and a *head*. The head is a [`Link`]
    /// to the first state of the tuple, marked if the tuple waits to be expanded.
    tuples: Vec<u32>,
    /// The records of states. Each has `actors` sets by the names of their messages, by which states are
    /// compared, and `actors` sets as they are. Then follows a [`Link`] to the next state of the tuple,
    /// marked if this state has been expanded.
    states: Vec<u32>,
    /// For each actor the greatest number of a set of names.
    greatest: Vec<SetId>,
    /// The first unused record of a state.
    free: Link,
    /// The number of records of states that are used.
    used: u64,
    /// The number of tuples for which those here stand.
    represented: u64,
}

/// A state in its shard.
#[derive(Clone, Copy, PartialEq, Eq)]
struct StateId(u32);

/// The way to the next state of a list, in four bytes with a mark.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Link(u32);

impl Link {
    /// The link to no state: the end of a list.
    const END: Self = Self(u32::MAX >> 1);
    const MARK: u32 = 1 << 31;

    fn to(state: StateId) -> Self {
        Self(state.0)
    }

    fn state(self) -> Option<StateId> {
        let Self(state) = self.marked(false);
        (state != Self::END.0).then_some(StateId(state))
    }

    fn is_marked(self) -> bool {
        self.0 & Self::MARK != 0
    }

    /// The link to the same state, with a mark or without.
    fn marked(self, marked: bool) -> Self {
        let bit = if marked { Self::MARK } else { 0 };
        Self(self.0 & !Self::MARK | bit)
    }

    /// The link to another state, with the mark of this one.
    fn led_to(self, other: Self) -> Self {
        other.marked(self.is_marked())
    }
}

/// The rank of a tuple. Steps mostly raise it, and tuples are expanded in its order.
fn rank(tuple: Tuple<'_>) -> u64 {
    tuple.locals().map(|(_, local)| local.index() as u64).sum()
}

/// The hash by which a tuple is found.
pub(super) fn hash(tuple: Tuple<'_>) -> u64 {
    let mut hasher = FxHasher::default();
    for number in tuple.numbers() {
        hasher.write_u32(*number);
    }
    hasher.finish()
}

/// The sets of a record.
fn sets(numbers: &[u32]) -> impl Iterator<Item = SetId> + Clone + use<'_> {
    numbers.iter().map(|number| SetId::of(*number as usize))
}

/// Writes sets into a record.
fn write(record: &mut [u32], sets: &[SetId]) {
    for (number, set) in record.iter_mut().zip(sets) {
        *number = u32::try_from(set.index()).expect("numbers are u32");
    }
}

impl Shard {
    /// A shard without tuples, for so many actors.
    pub(super) fn new(actors: usize) -> Self {
        Self {
            actors,
            index: HashTable::new(),
            tuples: Vec::new(),
            states: Vec::new(),
            greatest: vec![SetId::of(0); actors],
            free: Link::END,
            used: 0,
            represented: 0,
        }
    }

    /// The number of words in the record of a tuple, and in that of a state.
    fn widths(&self) -> (usize, usize) {
        (self.actors + 2, 2 * self.actors + 1)
    }

    fn tuple(&self, tuple: TupleId) -> Tuple<'_> {
        let at = tuple.index() * self.widths().0;
        Tuple::of(&self.tuples[at..=at + self.actors])
    }

    fn head(&self, tuple: TupleId) -> Link {
        Link(self.tuples[tuple.index() * self.widths().0 + self.actors + 1])
    }

    fn set_head(&mut self, tuple: TupleId, head: Link) {
        let at = tuple.index() * self.widths().0 + self.actors + 1;
        self.tuples[at] = head.0;
    }

    fn link(&self, state: StateId) -> Link {
        Link(self.states[state.0 as usize * self.widths().1 + 2 * self.actors])
    }

    fn set_link(&mut self, state: StateId, link: Link) {
        let at = state.0 as usize * self.widths().1 + 2 * self.actors;
        self.states[at] = link.0;
    }

    fn names_of(&self, state: StateId) -> impl Iterator<Item = SetId> + Clone + use<'_> {
        let at = state.0 as usize * self.widths().1;
        sets(&self.states[at..at + self.actors])
    }

    fn sets_of(&self, state: StateId) -> impl Iterator<Item = SetId> + Clone + use<'_> {
        let at = state.0 as usize * self.widths().1 + self.actors;
        sets(&self.states[at..at + self.actors])
    }

    /// The states of a tuple, the latest first.
    fn states_of(&self, tuple: TupleId) -> impl Iterator<Item = StateId> + use<'_> {
        let next = |state: &StateId| self.link(*state).state();
        std::iter::successors(self.head(tuple).state(), next)
    }

    /// The number of a tuple, if the tuple is known.
    pub(super) fn find(&self, tuple: Tuple<'_>, hash: u64) -> Option<TupleId> {
        self.index.find(hash, |known| self.tuple(*known) == tuple).copied()
    }

    /// Adds a tuple that is not known, and that stands for so many tuples, itself included.
    pub(super) fn add(&mut self, tuple: Tuple<'_>, hash_of_tuple: u64, orbit: u64) -> TupleId {
        self.represented += orbit;
        let number = TupleId::of(self.tuples.len() / self.widths().0);
        self.tuples.extend_from_slice(tuple.numbers());
        self.tuples.push(Link::END.0);
        let mut index = std::mem::take(&mut self.index);
        index.insert_unique(hash_of_tuple, number, |tuple| hash(self.tuple(*tuple)));
        self.index = index;
        number
    }

    /// Indexes the tuples again after they were read.
    pub(super) fn index(&mut self) {
        let count = self.tuples.len() / self.widths().0;
        let hash_of = |tuple: &TupleId| hash(self.tuple(*tuple));
        let mut index = HashTable::with_capacity(count);
        for number in TupleId::first(count) {
            index.insert_unique(hash_of(&number), number, hash_of);
        }
        self.index = index;
    }

    /// The rank by which a tuple is expanded.
    pub(super) fn rank(&self, tuple: TupleId) -> u64 {
        rank(self.tuple(tuple))
    }

    /// The tuples that wait to be expanded. `shard` is the number of this shard.
    pub(super) fn waiting(&self, shard: ShardId) -> impl Iterator<Item = Task> {
        let tuples = TupleId::first(self.tuples.len() / self.widths().0);
        let waiting = tuples.filter(|tuple| self.head(*tuple).is_marked());
        waiting.map(move |tuple| Task { rank: self.rank(tuple), shard, tuple })
    }

    /// For each actor the greatest number of a set of names in any state.
    pub(super) fn greatest_sets(&self) -> impl Iterator<Item = (Slot, SetId)> {
        Slot::all().zip(self.greatest.iter().copied())
    }

    /// Adds a state of these sets to its tuple, unless a state with at least its messages is there, and
    /// removes the states with fewer. `alike` holds, one after the other, the names in the states for which
    /// the new state stands, its own names first. A state that is above or below one of these counts as above
    /// or below the new state. `contents` gives the words of a set.
    pub(super) fn insert<'a>(
        &mut self,
        tuple: TupleId,
        alike: &[SetId],
        sets: &[SetId],
        contents: impl Fn(Slot, SetId) -> &'a [u64],
    ) -> Inserted {
        let is_below = |who, a, b| a == b || is_subset(contents(who, a), contents(who, b));
        let actors = self.actors;
        let each = || alike.chunks_exact(actors);
        let is_above_new = |state: StateId| {
            each().any(|names| {
                let mut pairs = Slot::all().zip(names).zip(self.names_of(state));
                pairs.all(|((who, new), known)| is_below(who, *new, known))
            })
        };
        if self.states_of(tuple).any(is_above_new) {
            return Inserted::Subsumed;
        }
        // No state there is above the new one, so the states below it go.
        let mut previous = None;
        let mut at = self.head(tuple).state();
        while let Some(state) = at {
            let next = self.link(state);
            let is_below_new = each().any(|names| {
                let mut pairs = Slot::all().zip(names).zip(self.names_of(state));
                pairs.all(|((who, new), known)| is_below(who, known, *new))
            });
            if is_below_new {
                self.unlink(tuple, previous, state, next);
            } else {
                previous = Some(state);
            }
            at = next.state();
        }
        let names = &alike[..self.actors];
        self.push(tuple, names, sets);
        self.greatest.iter_mut().zip(names).for_each(|(most, set)| *most = (*most).max(*set));
        if self.queue(tuple) { Inserted::MustQueue } else { Inserted::AlreadyQueued }
    }

    /// Notes that a tuple waits; returns whether it did not wait before.
    fn queue(&mut self, tuple: TupleId) -> bool {
        let head = self.head(tuple);
        self.set_head(tuple, head.marked(true));
        !head.is_marked()
    }

    fn unlink(&mut self, tuple: TupleId, previous: Option<StateId>, at: StateId, next: Link) {
        match previous {
            None => self.set_head(tuple, self.head(tuple).led_to(next)),
            Some(previous) => self.set_link(previous, self.link(previous).led_to(next)),
        }
        self.set_link(at, self.free);
        self.free = Link::to(at);
        self.used -= 1;
    }

    fn push(&mut self, tuple: TupleId, names: &[SetId], sets: &[SetId]) {
        let width = self.widths().1;
        let state = if let Some(state) = self.free.state() {
            self.free = self.link(state);
            state
        } else {
            let state = u32::try_from(self.states.len() / width);
            let state = state.ok().filter(|state| *state < Link::END.0);
            self.states.resize(self.states.len() + width, 0);
            StateId(state.expect("fewer than 2^31 states in a shard"))
        };
        let head = self.head(tuple);
        let record = &mut self.states[state.0 as usize * width..][..width];
        let (of_names, rest) = record.split_at_mut(self.actors);
        write(of_names, names);
        write(rest, sets);
        self.set_link(state, head.marked(false));
        self.set_head(tuple, head.led_to(Link::to(state)));
        self.used += 1;
    }

    /// Puts the tuples that are `concerned` back into the queue, with all their states. `name` gets each set
    /// of a state with its actor and the actor's local state, and gives the set of its names.
    pub(super) fn expand_again(
        &mut self,
        shard: ShardId,
        concerned: impl Fn(Tuple<'_>) -> bool,
        mut name: impl FnMut(Slot, LocalId, SetId) -> SetId,
    ) -> Vec<Task> {
        let mut tasks = Vec::new();
        let (actors, (width, width_of_state)) = (self.actors, self.widths());
        for (number, record) in TupleId::all().zip(self.tuples.chunks_exact_mut(width)) {
            let (tuple, head) = (Tuple::of(&record[..=actors]), Link(record[actors + 1]));
            if !concerned(tuple) {
                continue;
            }
            let mut at = head;
            while let Some(StateId(state)) = at.state() {
                let record = &mut self.states[state as usize * width_of_state..][..width_of_state];
                let (names, rest) = record.split_at_mut(actors);
                let anew = tuple.locals().zip(sets(rest));
                let anew: Vec<_> = anew.map(|((who, local), set)| name(who, local, set)).collect();
                write(names, &anew);
                let greatest = self.greatest.iter_mut().zip(anew);
                greatest.for_each(|(most, set)| *most = (*most).max(set));
                at = Link(rest[actors]).marked(false);
                rest[actors] = at.0;
            }
            if !head.is_marked() {
                tasks.push(Task { rank: rank(tuple), shard, tuple: number });
                record[actors + 1] = head.marked(true).0;
            }
        }
        tasks
    }

    /// Takes the latest state of a tuple that has not been expanded: its tuple and its sets. Returns true if
    /// more states are left, so that the tuple must still be queued. Otherwise the tuple waits no longer.
    pub(super) fn take(
        &mut self,
        number: TupleId,
        tuple: &mut TupleBuf,
        sets: &mut Vec<SetId>,
    ) -> bool {
        tuple.copy(self.tuple(number));
        sets.clear();
        let mut at = self.head(number).state();
        while let Some(state) = at {
            let link = self.link(state);
            if !link.is_marked() {
                if !sets.is_empty() {
                    return true;
                }
                sets.extend(self.sets_of(state));
                self.set_link(state, link.marked(true));
            }
            at = link.state();
        }
        self.set_head(number, self.head(number).marked(false));
        false
    }

    /// Puts back a state of a tuple that was taken and has not been expanded to the end; its sets identify
    /// it. Returns whether the tuple must be queued for that.
    pub(super) fn put_back(&mut self, tuple: TupleId, sets: &[SetId]) -> bool {
        let is_it = |state: &StateId| self.sets_of(*state).eq(sets.iter().copied());
        for state in self.states_of(tuple).filter(is_it).collect::<Vec<_>>() {
            self.set_link(state, self.link(state).marked(false));
        }
        self.queue(tuple)
    }

    /// The number of tuples.
    pub(super) fn tuples(&self) -> u64 {
        (self.tuples.len() / self.widths().0) as u64
    }

    /// The number of tuples for which those here stand.
    pub(super) fn represented(&self) -> u64 {
        self.represented
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

    /// Every tuple with the sets of all its states, one state after the other.
    pub(super) fn all(&self) -> impl Iterator<Item = (Tuple<'_>, Vec<SetId>)> {
        TupleId::first(self.tuples.len() / self.widths().0).map(|tuple| {
            let sets = self.states_of(tuple).flat_map(|state| self.sets_of(state));
            (self.tuple(tuple), sets.collect())
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

    fn sets<const N: usize>(numbers: [usize; N]) -> [SetId; N] {
        numbers.map(SetId::of)
    }

    fn add(shard: &mut Shard, tuple: Tuple<'_>) -> TupleId {
        shard.add(tuple, hash(tuple), 1)
    }

    /// Inserts a state of two actors into the first tuple. With each state goes the one with the two sets
    /// exchanged.
    fn insert(shard: &mut Shard, [a, b]: [usize; 2]) -> Inserted {
        let contents = |_, set: SetId| &CONTENTS[set.index()][..];
        shard.insert(TupleId::of(0), &sets([a, b, b, a]), &sets([a, b]), contents)
    }

    /// Takes a state from the first tuple. Returns its sets, and whether more states are left.
    fn take(shard: &mut Shard) -> (Vec<SetId>, bool) {
        let (mut tuple, mut sets) = (TupleBuf::default(), Vec::new());
        let more = shard.take(TupleId::of(0), &mut tuple, &mut sets);
        assert_eq!(tuple.tuple(), shard.tuple(TupleId::of(0)));
        (sets, more)
    }

    #[test]
    fn what_is_below_another_state_renamed_is_not_kept() {
        let mut shard = Shard::new(2);
        assert_eq!(add(&mut shard, Tuple::of(&[0, 0, 0])), TupleId::of(0));
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
        for (number, tuple) in TupleId::all().zip([[0, 0, 0], [5, 0, 0]]) {
            assert_eq!(add(&mut shard, Tuple::of(&tuple)), number);
        }
        assert!(insert(&mut shard, [1, 0]) == Inserted::MustQueue);
        assert!(insert(&mut shard, [0, 2]) == Inserted::AlreadyQueued);
        assert_eq!(take(&mut shard), (sets([0, 2]).to_vec(), true), "one is left");
        assert_eq!(take(&mut shard), (sets([1, 0]).to_vec(), false));
        assert_eq!(take(&mut shard), (Vec::new(), false), "they are expanded");

        let at = |wanted: [u32; 2]| move |tuple: Tuple<'_>| tuple.numbers()[..2] == wanted;
        // The first actor's sets get another name.
        let named = |who: Slot, _, set| if who.index() == 0 { SetId::of(3) } else { set };
        let seven = ShardId::of(7);
        assert_eq!(shard.expand_again(seven, at([9, 9]), named).len(), 0);
        let tasks = shard.expand_again(seven, at([0, 0]), named);
        let tasks: Vec<_> = tasks.iter().map(|task| (task.shard, task.tuple)).collect();
        assert_eq!(tasks, [(seven, TupleId::of(0))]);
        assert_eq!(shard.expand_again(seven, at([0, 0]), named).len(), 0, "it waits");
        assert_eq!([0, 1].map(|_| take(&mut shard).0), [sets([0, 2]), sets([1, 0])]);
        assert!(insert(&mut shard, [1, 2]) == Inserted::Subsumed, "by its new names");
    }

    #[test]
    fn what_waits_is_expanded_again_with_the_states_that_were_expanded() {
        let mut shard = Shard::new(2);
        assert_eq!(add(&mut shard, Tuple::of(&[0, 0, 0])), TupleId::of(0));
        assert!(insert(&mut shard, [1, 0]) == Inserted::MustQueue);
        assert!(insert(&mut shard, [0, 2]) == Inserted::AlreadyQueued);
        assert_eq!(
            take(&mut shard),
            (sets([0, 2]).to_vec(), true),
            "the tuple waits with the other"
        );
        let named = |who: Slot, _, set| if who.index() == 0 { SetId::of(3) } else { set };
        let tasks = shard.expand_again(ShardId::of(0), |_| true, named);
        assert_eq!(tasks.len(), 0, "it waits already");
        assert!(insert(&mut shard, [1, 2]) == Inserted::Subsumed, "by its new names");
        assert_eq!(take(&mut shard), (sets([0, 2]).to_vec(), true), "again");
        assert_eq!(take(&mut shard), (sets([1, 0]).to_vec(), false));
    }

    #[test]
    fn states_are_taken_one_at_a_time_and_what_is_put_back_is_taken_again() {
        let mut shard = Shard::new(2);
        let tuple = add(&mut shard, Tuple::of(&[0, 0, 0]));
        let waiting = |shard: &Shard| shard.waiting(ShardId::of(0)).count();
        assert!(insert(&mut shard, [1, 0]) == Inserted::MustQueue);
        assert!(insert(&mut shard, [0, 2]) == Inserted::AlreadyQueued);
        assert_eq!(take(&mut shard), (sets([0, 2]).to_vec(), true), "one is left");
        assert_eq!(waiting(&shard), 1);
        assert!(!shard.put_back(tuple, &sets([0, 2])), "it waits already");
        assert_eq!(take(&mut shard), (sets([0, 2]).to_vec(), true), "again");
        assert_eq!(take(&mut shard), (sets([1, 0]).to_vec(), false));
        assert_eq!(waiting(&shard), 0);
        assert!(shard.put_back(tuple, &sets([1, 0])), "it waited no longer");
        assert_eq!(take(&mut shard), (sets([1, 0]).to_vec(), false), "the other has been expanded");
    }
}

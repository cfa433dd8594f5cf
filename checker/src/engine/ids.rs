//! The numbers that stand for values. Numbers of different kinds of values have different types.
//!
//! The engine gives each distinct value a number and then works with numbers only. Each kind of value has its
//! own type of numbers here, so a number of one kind indexes no table of another. All types are as small as
//! the numbers that they hold.

use serde::{Deserialize, Serialize};
use stateright::actor::Id;
use std::fmt::Debug;
use std::hash::Hash;

/// A number that stands for a value. Numbers of a thing begin at zero and leave none out.
pub(super) trait Number: Copy + Debug + Ord + Hash {
    /// The number of the value at this index.
    ///
    /// # Panics
    /// If the index is too large for the type.
    fn of(index: usize) -> Self;

    /// The index of the value in a table.
    fn index(self) -> usize;

    /// All numbers in order.
    fn all() -> impl Iterator<Item = Self> + Clone {
        (0..).map(Self::of)
    }

    /// The numbers of the first so many values.
    fn first(count: usize) -> impl Iterator<Item = Self> + Clone {
        (0..count).map(Self::of)
    }
}

macro_rules! number {
    ($(#[doc = $doc:literal])* $name:ident($word:ty), $too_many:literal) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub(super) struct $name($word);

        impl Number for $name {
            fn of(index: usize) -> Self {
                Self(<$word>::try_from(index).expect($too_many))
            }

            fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

number! {
    /// The number is the place of an actor in a tuple.
    Slot(u8), "at most 255 actors"
}
number! {
    /// The number stands for a local state of one actor.
    LocalId(u32), "fewer than 2^32 local states"
}
number! {
    /// The number stands for a message to one actor, with its sender.
    MessageId(u32), "fewer than 2^32 messages"
}
number! {
    /// The number stands for a ghost.
    GhostId(u32), "fewer than 2^32 ghosts"
}
number! {
    /// The number stands for a step: a handler call that does something.
    StepId(u32), "fewer than 2^32 steps"
}
number! {
    /// The number stands for a change of one actor.
    ChangeId(u32), "fewer than 2^32 changes"
}
number! {
    /// The number stands for all that a delivery does.
    EffectId(u32), "fewer than 2^32 effects"
}
number! {
    /// The number stands for the local state in an effect, which the search need not have reached.
    OutcomeId(u32), "fewer than 2^32 outcomes"
}
number! {
    /// The number stands for a message in an effect, which no step need have sent.
    OutputId(u32), "fewer than 2^32 outputs"
}
number! {
    /// The number stands for a set of messages to one actor.
    SetId(u32), "fewer than 2^32 sets"
}
number! {
    /// The number stands for a list of messages that a message-only step sends.
    ListId(u32), "fewer than 2^32 lists"
}
number! {
    /// The number stands for a partition of the messages to one actor.
    PartitionId(u32), "fewer than 2^32 partitions"
}
number! {
    /// The number stands for a set of messages that matter because of another actor.
    MaskId(u32), "fewer than 2^32 masks"
}
number! {
    /// The number stands for a permutation of interchangeable actors.
    PermutationId(u32), "fewer than 2^32 permutations"
}
number! {
    /// The number stands for an orbit of local states.
    OrbitId(u32), "fewer than 2^32 orbits"
}
number! {
    /// The number stands for a shard of the store.
    ShardId(u32), "fewer than 2^32 shards"
}
number! {
    /// The number stands for a tuple in its shard.
    TupleId(u32), "fewer than 2^32 tuples in a shard"
}

number! {
    /// The number stands for a state that a search by levels has visited.
    VisitId(u32), "fewer than 2^32 states"
}
number! {
    /// The number stands for a group that must be able to recover by itself.
    GroupId(u32), "fewer than 2^32 groups"
}
number! {
    /// The number is the place of an actor in its group.
    MemberId(u8), "at most 255 members"
}

impl Slot {
    /// The stateright actor at this place.
    pub(super) fn id(self) -> Id {
        Id::from(self.index())
    }
}

impl From<Id> for Slot {
    fn from(id: Id) -> Self {
        Self::of(usize::from(id))
    }
}

impl PermutationId {
    /// The permutation that moves nobody.
    pub(super) const IDENTITY: Self = Self(0);
}

impl PartitionId {
    /// The partition in which each message is one only with itself.
    pub(super) const TRIVIAL: Self = Self(0);
}

impl EffectId {
    /// The effect of a delivery that does nothing.
    pub(super) const NOTHING: Self = Self(0);
    /// The effect of a delivery that panics. If the search ever meets such a delivery, that ends the search,
    /// whichever message it is.
    pub(super) const PANIC: Self = Self(1);
}

//! The sets of messages that one thread has renamed or reduced, by number. A reduced set keeps only one of
//! the messages that are one. Each thread renames or reduces each set once.

use super::relevance::Relevance;
use crate::engine::bits::Messages;
use crate::engine::ids::{LocalId, Number, PartitionId, PermutationId, SetId, Slot};
use crate::engine::sets::SetCache;
use crate::engine::tables::Memo;

/// The mark of a set that has no number yet.
const NONE: u32 = u32::MAX;

/// A reduced set. It keeps only one of the messages that are one.
#[derive(Clone, Copy)]
pub(super) struct Reduced {
    /// The number of the reduced set.
    pub(super) kept: SetId,
    /// The number of the set of the names of its messages.
    pub(super) names: SetId,
}

/// The renamed sets that one thread knows: by permutation and actor, and by set.
pub(super) struct Renamed(Vec<Vec<Vec<u32>>>);

/// The reduced sets that one thread knows under a hypothesis: by actor, and by partition and set.
pub(super) struct Normal(Vec<Memo<(PartitionId, SetId), Reduced>>);

impl Renamed {
    /// A table in which no renamed set is known.
    pub(super) fn new(permutations: usize, actors: usize) -> Self {
        Self(vec![vec![Vec::new(); actors]; permutations])
    }

    /// The number of a set of an actor's messages, renamed by a permutation, if it is known.
    pub(super) fn get(&self, permutation: PermutationId, who: Slot, set: SetId) -> Option<SetId> {
        let known = self.0[permutation.index()][who.index()].get(set.index()).copied();
        known.filter(|known| *known != NONE).map(|known| SetId::of(known as usize))
    }

    /// Notes the number of a renamed set.
    pub(super) fn note(&mut self, permutation: PermutationId, who: Slot, set: SetId, is: SetId) {
        let sets = &mut self.0[permutation.index()][who.index()];
        sets.resize(sets.len().max(set.index() + 1), NONE);
        sets[set.index()] = u32::try_from(is.index()).expect("numbers are u32");
    }
}

impl Normal {
    /// A table in which no reduced set is known.
    pub(super) fn new(actors: usize) -> Self {
        Self(vec![Memo::default(); actors])
    }

    /// Reduces a set of messages to an actor in a local state, so that it keeps only one of the messages that
    /// are one.
    pub(super) fn reduced(
        &mut self,
        relevance: &Relevance,
        sets: &mut SetCache<'_>,
        (who, local, set): (Slot, LocalId, SetId),
    ) -> Reduced {
        let Some((number, partition)) = relevance.partition(who, local) else {
            return Reduced { kept: set, names: set };
        };
        if let Some(known) = self.0[who.index()].get(&(number, set)) {
            return *known;
        }
        let mut messages = Messages::default();
        messages.copy(&sets.get(who, set));
        let reduced = match partition.reduce(&mut messages) {
            None => Reduced { kept: set, names: set },
            Some(names) => {
                Reduced { kept: sets.number(who, &messages), names: sets.number(who, &names) }
            }
        };
        self.0[who.index()].insert((number, set), reduced);
        reduced
    }
}

//! Sets of messages by number, renamed and with one message kept of those that are one: for one thread,
//! each worked out once.

use super::bits::Bits;
use super::relevance::Relevance;
use super::sets::SetCache;
use super::tables::Memo;

/// No number yet.
const NONE: u32 = u32::MAX;

/// A set in which of messages that are one only one is kept.
#[derive(Clone, Copy)]
pub(super) struct Reduced {
    /// The number of that set.
    pub(super) kept: u32,
    /// The number of the set of the names of what is in it.
    pub(super) names: u32,
}

/// What one thread knows of sets that are renamed: by permutation and actor, and by set.
pub(super) struct Renamed(Vec<Vec<Vec<u32>>>);

/// What one thread knows of sets that are reduced under a hypothesis: by actor, and by partition and set.
pub(super) struct Normal(Vec<Memo<(u32, u32), Reduced>>);

impl Renamed {
    /// Nothing known yet.
    pub(super) fn new(permutations: usize, actors: usize) -> Self {
        Self(vec![vec![Vec::new(); actors]; permutations])
    }

    /// A set of an actor's, renamed by a permutation, if that is known.
    pub(super) fn get(&self, permutation: usize, who: usize, set: u32) -> Option<u32> {
        let known = self.0[permutation][who].get(set as usize).copied();
        known.filter(|known| *known != NONE)
    }

    /// Notes that.
    pub(super) fn note(&mut self, permutation: usize, who: usize, set: u32, is: u32) {
        let sets = &mut self.0[permutation][who];
        sets.resize(sets.len().max(set as usize + 1), NONE);
        sets[set as usize] = is;
    }
}

impl Normal {
    /// Nothing known yet.
    pub(super) fn new(actors: usize) -> Self {
        Self(vec![Memo::default(); actors])
    }

    /// A set of messages before an actor in a local state, of those that are one only one kept.
    pub(super) fn reduced(
        &mut self,
        relevance: &Relevance,
        sets: &mut SetCache<'_>,
        (who, local, set): (usize, u32, u32),
    ) -> Reduced {
        let Some((number, partition)) = relevance.partition(who, local) else {
            return Reduced { kept: set, names: set };
        };
        if let Some(known) = self.0[who].get(&(number, set)) {
            return *known;
        }
        let mut messages = Bits::default();
        messages.copy(&sets.get(who, set));
        let reduced = match partition.reduce(&mut messages) {
            None => Reduced { kept: set, names: set },
            Some(names) => {
                Reduced { kept: sets.number(who, &messages), names: sets.number(who, &names) }
            }
        };
        self.0[who].insert((number, set), reduced);
        reduced
    }
}

//! Interchangeable actors: a search need not tell states apart that differ only in which of them is
//! which.
//!
//! What a renaming does to a value is said with stateright's `Rewrite<Id>`. Nothing rests on its being
//! right: the engine tests it on everything it remembers, see `engine/symmetry.rs`.

use stateright::actor::{Actor, Id, RandomChoices, Timers};
use stateright::{Rewrite, RewritePlan};
use std::hash::Hash;

/// A permutation of actors: where each one goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permutation(Vec<usize>);

/// A permutation, as `Rewrite` takes it.
pub type Renaming = RewritePlan<Id, Permutation>;

impl Permutation {
    /// Nobody moves.
    pub fn identity(actors: usize) -> Self {
        Self((0..actors).collect())
    }

    /// Where an actor goes. Whoever is not of the system stays.
    pub fn of(&self, who: usize) -> usize {
        self.0.get(who).copied().unwrap_or(who)
    }

    /// The last actor that does not stay.
    pub(super) fn last_moved(&self) -> Option<usize> {
        (0..self.0.len()).rev().find(|who| self.of(*who) != *who)
    }

    /// This one, then another.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        Self(self.0.iter().map(|who| next.of(*who)).collect())
    }

    /// It, for `Rewrite`.
    pub fn renaming(&self) -> Renaming {
        RewritePlan::new(self.clone(), |id, names| Id::from(names.of(usize::from(*id))))
    }

    /// All permutations that move actors within these groups only, the identity first.
    ///
    /// There are as many as the product of the factorials of their sizes, and memory for interned values
    /// grows with it: five servers have 120, which is no burden. An engine uses at most 720 of them.
    pub fn within(actors: usize, groups: &[Vec<Id>]) -> Vec<Self> {
        let mut all = vec![Self::identity(actors)];
        for group in groups {
            // The n-th member changes places with one of those up to it.
            for (n, last) in group.iter().enumerate() {
                let swaps = group[..n].iter().map(|first| {
                    let mut swap = Self::identity(actors);
                    swap.0.swap(usize::from(*first), usize::from(*last));
                    swap
                });
                let swaps: Vec<_> = swaps.collect();
                let swapped = |one: &Self| swaps.iter().map(|swap| one.then(swap)).collect();
                let more: Vec<Vec<Self>> = all.iter().map(swapped).collect();
                all.extend(more.into_iter().flatten());
            }
        }
        all
    }
}

/// What a renaming does to a value.
type Renamed<T> = fn(&T, &Renaming) -> T;

/// Which actors of a world are interchangeable, and what renaming them does to values.
pub struct Symmetry<A: Actor, G> {
    /// The permutations: a group, the identity first.
    pub permutations: Vec<Permutation>,
    pub(super) state: Renamed<A::State>,
    pub(super) storage: Renamed<A::Storage>,
    pub(super) message: Renamed<A::Msg>,
    pub(super) timers: Renamed<Timers<A::Timer>>,
    pub(super) randoms: Renamed<RandomChoices<A::Random>>,
    pub(super) ghost: Renamed<G>,
}

impl<A: Actor, G> Symmetry<A, G>
where
    A::State: Rewrite<Id>,
    A::Storage: Rewrite<Id>,
    A::Msg: Rewrite<Id>,
    A::Timer: Rewrite<Id>,
    A::Random: Rewrite<Id>,
    G: Rewrite<Id>,
{
    /// Of the actors in each of these groups any two are interchangeable.
    pub fn within(actors: usize, groups: &[Vec<Id>]) -> Self {
        Self {
            permutations: Permutation::within(actors, groups),
            state: A::State::rewrite,
            storage: A::Storage::rewrite,
            message: A::Msg::rewrite,
            timers: |timers, names| rewrite_timers(timers, names),
            randoms: |randoms, names| rewrite_randoms(randoms, names),
            ghost: G::rewrite,
        }
    }
}

/// stateright's own leaves timers as they are.
fn rewrite_timers<T: Rewrite<Id> + Hash + Eq>(timers: &Timers<T>, names: &Renaming) -> Timers<T> {
    let mut renamed = Timers::new();
    for timer in timers.iter() {
        renamed.set(timer.rewrite(names));
    }
    renamed
}

/// The keys stay.
fn rewrite_randoms<R: Rewrite<Id> + Hash>(
    randoms: &RandomChoices<R>,
    names: &Renaming,
) -> RandomChoices<R> {
    let mut renamed = RandomChoices::default();
    for (key, choices) in &randoms.map {
        let choices = choices.iter().map(|choice| choice.rewrite(names)).collect();
        renamed.insert(key.clone(), choices);
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_permutations_within_groups_are_a_group() {
        let ids = |ids: &[usize]| ids.iter().map(|id| Id::from(*id)).collect::<Vec<_>>();
        let all = Permutation::within(6, &[ids(&[0, 1, 2, 4]), ids(&[3, 5])]);
        let distinct: BTreeSet<_> = all.iter().cloned().collect();
        assert_eq!((all.len(), distinct.len()), (48, 48));
        assert_eq!(all[0], Permutation::identity(6));
        for one in &all {
            assert!(all.iter().all(|other| distinct.contains(&one.then(other))));
        }
        assert!(all.iter().all(|one| [3, 5].contains(&one.of(3))), "nobody leaves his group");
        assert_eq!(all[1].renaming().rewrite(&Id::from(7)), Id::from(7));
    }
}

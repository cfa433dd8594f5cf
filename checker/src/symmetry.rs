//! Interchangeable actors. A search need not tell states apart that differ only in which of these actors is
//! which.
//!
//! [`Symmetry`] holds the permutations of actors and the effect of a renaming on each kind of value.
//! stateright's `Rewrite<Id>` defines that effect. No result rests on a correct definition: the engine tests
//! it on everything that it remembers, see `engine/reduction`.

use stateright::actor::{Actor, Id, RandomChoices, Timers};
use stateright::{Rewrite, RewritePlan};
use std::hash::Hash;

/// A permutation of actors: for each actor, the actor that it is renamed to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permutation(Vec<usize>);

/// A permutation in the form that `Rewrite` takes.
pub type Renaming = RewritePlan<Id, Permutation>;

impl Permutation {
    /// The permutation that moves no actor.
    pub fn identity(actors: usize) -> Self {
        Self((0..actors).collect())
    }

    /// The actor that an actor is renamed to. An id that names no actor of the system stays as it is.
    pub fn of(&self, who: usize) -> usize {
        self.0.get(who).copied().unwrap_or(who)
    }

    /// The last actor that the permutation moves.
    pub(super) fn last_moved(&self) -> Option<usize> {
        (0..self.0.len()).rev().find(|who| self.of(*who) != *who)
    }

    /// The permutation that renames by this one first, and then by `next`.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        Self(self.0.iter().map(|who| next.of(*who)).collect())
    }

    /// This permutation in the form that `Rewrite` takes.
    pub fn renaming(&self) -> Renaming {
        RewritePlan::new(self.clone(), |id, names| Id::from(names.of(usize::from(*id))))
    }

    /// All permutations that move actors only within these groups, the identity first.
    ///
    /// Their number is the product of the factorials of the sizes of the groups, and the memory for interned
    /// values grows with it. Five servers have 120 permutations, which is no burden. An engine uses at most
    /// 720 of them.
    pub fn within(actors: usize, groups: &[Vec<Id>]) -> Vec<Self> {
        let mut all = vec![Self::identity(actors)];
        for group in groups {
            // The n-th member stays, or changes places with a member before it.
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

/// The function that renames a value of type `T`.
type Renamed<T> = fn(&T, &Renaming) -> T;

/// The interchangeable actors of a world, and the effect of renaming them on values.
pub struct Symmetry<A: Actor, G> {
    /// The permutations. They are a group, with the identity first.
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
    /// The symmetry in which any two actors of each of these groups are interchangeable.
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

/// Renames timers. stateright's own `Rewrite` leaves timers as they are.
fn rewrite_timers<T: Rewrite<Id> + Hash + Eq>(timers: &Timers<T>, names: &Renaming) -> Timers<T> {
    let mut renamed = Timers::new();
    for timer in timers.iter() {
        renamed.set(timer.rewrite(names));
    }
    renamed
}

/// Renames the choices. The keys stay as they are.
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

//! The fourth idea: states that differ only in which of some interchangeable actors is which are one.
//!
//! See the module's documentation. Renamings are done once, when a value is interned: with it its whole
//! *orbit* is, all that it can be renamed to, and from then on renaming is looking up a number.

use super::local::LocalValue;
use crate::checker::symmetry::Permutation;
use crate::checker::view::{Checkable, Ghostly};
use crate::checker::world::{State, World};
use std::collections::BTreeSet;

/// No number yet.
const NONE: u32 = u32::MAX;

/// The permutations of actors that leave the first state as it is.
pub(super) struct Permutations {
    members: Vec<Permutation>,
    /// For each two, the number of the first after the second.
    products: Vec<Vec<usize>>,
    /// A few of which all others are products.
    generators: Vec<usize>,
    /// How many permutations there were before some were left out.
    of_so_many: usize,
}

/// Most permutations that are used, those of six actors: with each value its image under each of them is
/// kept.
const MOST: usize = 720;

impl Permutations {
    /// Nobody is interchangeable.
    pub(super) fn trivial(actors: usize) -> Self {
        Self::new(vec![Permutation::identity(actors)])
    }

    /// Those of the world's that leave this state as it is. With others the search would reach more
    /// states than there are, and could not count them.
    pub(super) fn fixing<A: Checkable, G: Ghostly>(
        world: &World<A, G>,
        state: &State<A, G>,
    ) -> Self {
        let Some(symmetry) = &world.symmetry else {
            return Self::trivial(world.actors.actors.len());
        };
        let locals: Vec<_> = state.view().locals().map(|local| LocalValue::of(&local)).collect();
        let messages: BTreeSet<_> =
            state.messages().map(|(a, b, msg)| (a, b, msg.clone())).collect();
        let restartable: BTreeSet<_> = world.restartable.iter().copied().collect();
        let fixes = |permutation: &&Permutation| {
            let names = permutation.renaming();
            let renamed = messages.iter().map(|(src, dst, msg)| {
                (names.rewrite(src), names.rewrite(dst), (symmetry.message)(msg, &names))
            });
            let same_locals = (0..locals.len())
                .all(|who| locals[who].renamed(symmetry, &names) == locals[permutation.of(who)]);
            same_locals
                && (symmetry.ghost)(&state.ghost, &names) == state.ghost
                && renamed.collect::<BTreeSet<_>>() == messages
                && restartable.iter().all(|id| restartable.contains(&names.rewrite(id)))
        };
        Self::few(symmetry.permutations.iter().filter(fixes).cloned().collect())
    }

    /// Those of a group, or if these are too many, those that leave the last actors where they are, as many
    /// as need be: again a group.
    fn few(mut permutations: Vec<Permutation>) -> Self {
        let of_so_many = permutations.len();
        while permutations.len() > MOST {
            let last = permutations.iter().filter_map(Permutation::last_moved).max();
            let last = last.expect("somebody moves");
            permutations.retain(|permutation| permutation.of(last) == last);
        }
        Self { of_so_many, ..Self::new(permutations) }
    }

    fn new(permutations: Vec<Permutation>) -> Self {
        let product = |first: &Permutation, second: &Permutation| {
            let product = second.then(first);
            let number = permutations.iter().position(|known| *known == product);
            number.expect("a world's permutations must be a group")
        };
        let products: Vec<Vec<usize>> = permutations
            .iter()
            .map(|first| permutations.iter().map(|second| product(first, second)).collect())
            .collect();
        let generators = generators(&products);
        Self { of_so_many: permutations.len(), members: permutations, products, generators }
    }

    /// How many permutations leave the first state as it is, with those that are left out.
    pub(super) fn of_so_many(&self) -> usize {
        self.of_so_many
    }

    /// How many permutations there are, the identity included. It is number 0.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// A few of which all others are products: what is the same under these is so under all.
    pub(super) fn generators(&self) -> &[usize] {
        &self.generators
    }

    /// The permutations but for the identity, by number.
    pub(super) fn others(&self) -> std::ops::Range<usize> {
        1..self.len()
    }

    /// Where a permutation moves an actor.
    pub(super) fn moves(&self, permutation: usize, who: usize) -> usize {
        self.members[permutation].of(who)
    }

    /// The permutation with that number.
    pub(super) fn permutation(&self, number: usize) -> &Permutation {
        &self.members[number]
    }

    /// Notes an orbit: what a value is under each permutation, and for which actor. So it is known for
    /// every value of the orbit, and it is the action of a group: all that a renaming must be here.
    ///
    /// # Panics
    /// If it is not, for the same value has another orbit.
    pub(super) fn note_orbit(&self, orbit: &[(usize, u32)], images: &mut [Images]) {
        for (second, (who, number)) in orbit.iter().enumerate() {
            for (first, product) in self.products.iter().map(|row| row[second]).enumerate() {
                images[*who].set(self.len(), *number, first, orbit[product].1);
            }
        }
    }
}

/// Takes permutations until all are products of them.
fn generators(products: &[Vec<usize>]) -> Vec<usize> {
    let mut generators = Vec::new();
    let mut generated = BTreeSet::from([0]);
    for n in 0..products.len() {
        if generated.contains(&n) {
            continue;
        }
        generators.push(n);
        let mut waiting: Vec<_> = generated.iter().copied().collect();
        while let Some(one) = waiting.pop() {
            let more = generators.iter().map(|generator| products[*generator][one]);
            waiting.extend(more.filter(|product| generated.insert(*product)));
        }
    }
    generators
}

/// What each value of a kind is under each permutation, all by number.
#[derive(Default)]
pub(super) struct Images(Vec<u32>);

impl Images {
    /// What a value is under a permutation of a group of so many.
    pub(super) fn get(&self, group: usize, number: u32, permutation: usize) -> u32 {
        self.0[number as usize * group + permutation]
    }

    /// All of them, value by value.
    pub(super) fn all(&self) -> &[u32] {
        &self.0
    }

    /// Notes what a value is under a permutation.
    fn set(&mut self, group: usize, number: u32, permutation: usize, image: u32) {
        let end = (number as usize + 1) * group;
        if self.0.len() < end {
            self.0.resize(end, NONE);
        }
        let known = &mut self.0[number as usize * group + permutation];
        assert!(
            [NONE, image].contains(known),
            "renaming actors twice must be renaming them once by both: see `Symmetry`"
        );
        *known = image;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stateright::actor::Id;

    #[test]
    fn few_permutations_generate_all() {
        let servers: Vec<_> = (0..4).map(Id::from).collect();
        let group = Permutations::new(Permutation::within(5, &[servers]));
        assert!(group.len() == 24 && group.generators().len() <= 4);
        let mut generated = BTreeSet::from([0]);
        for _ in 0..24 {
            let more: Vec<_> = generated
                .iter()
                .flat_map(|one| group.generators().iter().map(|n| group.products[*n][*one]))
                .collect();
            generated.extend(more);
        }
        assert_eq!(generated.len(), 24);
        assert_eq!(Permutations::trivial(5).generators(), &[] as &[usize]);
    }

    #[test]
    fn of_too_many_permutations_a_group_is_used_that_leaves_the_last_actors_where_they_are() {
        let servers: Vec<_> = (0..7).map(Id::from).collect();
        let group = Permutations::few(Permutation::within(8, &[servers]));
        assert_eq!((group.len(), group.of_so_many()), (720, 5040));
        assert!(group.others().all(|n| group.moves(n, 6) == 6));
        let group = Permutations::few(Permutation::within(5, &[vec![Id::from(1), Id::from(4)]]));
        assert_eq!((group.len(), group.of_so_many()), (2, 2), "few are all used");
    }

    #[test]
    #[should_panic(expected = "must be renaming them once by both")]
    fn what_is_not_the_action_of_a_group_is_refused() {
        let group = Permutations::new(Permutation::within(2, &[vec![Id::from(0), Id::from(1)]]));
        let mut images = [Images::default(), Images::default()];
        group.note_orbit(&[(0, 0), (1, 0)], &mut images);
        // Actor 1's value 0 is actor 0's value 0 renamed, so it is not also that of its value 1.
        group.note_orbit(&[(0, 1), (1, 0)], &mut images);
    }
}

//! The fourth idea: states that differ only by a permutation of interchangeable actors are one.
//!
//! Section 4 of `PROOF.md` says why this misses nothing. A value is renamed once, when it is interned. Its
//! whole *orbit* is interned with it: all values to which it can be renamed. From then on renaming means
//! looking up a number. [`Permutations`] is the group, and [`Images`] keeps the numbers.

use crate::engine::ids::{Number, PermutationId, Slot};
use crate::engine::local::LocalValue;
use crate::symmetry::Permutation;
use crate::view::{Checkable, Ghostly};
use crate::world::{State, World};
use std::collections::BTreeSet;
use std::marker::PhantomData;

/// The mark of a value that has no number yet.
const NONE: u32 = u32::MAX;

/// The permutations of actors that leave the first state as it is.
pub(in crate::engine) struct Permutations {
    members: Vec<Permutation>,
    /// For each two permutations, the number of the first after the second.
    products: Vec<Vec<PermutationId>>,
    /// A few permutations of which all others are products.
    generators: Vec<PermutationId>,
    /// The number of permutations before some were left out.
    of_so_many: usize,
}

/// The largest number of permutations that are used: six actors have so many. There is a limit because the
/// engine keeps the image of each value under each permutation.
const MOST: usize = 720;

impl Permutations {
    /// The group in which nobody is interchangeable.
    pub(super) fn trivial(actors: usize) -> Self {
        Self::new(vec![Permutation::identity(actors)])
    }

    /// The permutations of the world that leave this state as it is. With other permutations the search would
    /// reach more states than there are, and could not count them.
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

    /// Keeps all of these permutations, which must be a group, unless they are too many. Then it keeps only
    /// those that leave the last actors where they are, for as many last actors as need be. These
    /// permutations are again a group.
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
            PermutationId::of(number.expect("a world's permutations must be a group"))
        };
        let products: Vec<Vec<PermutationId>> = permutations
            .iter()
            .map(|first| permutations.iter().map(|second| product(first, second)).collect())
            .collect();
        let generators = generators(&products);
        Self { of_so_many: permutations.len(), members: permutations, products, generators }
    }

    /// The number of permutations that leave the first state as it is, including those that are left out.
    pub(in crate::engine) fn of_so_many(&self) -> usize {
        self.of_so_many
    }

    /// The number of permutations, the identity included. The identity has number 0.
    pub(in crate::engine) fn len(&self) -> usize {
        self.members.len()
    }

    /// A few permutations of which all others are products. A fact that holds under these holds under all.
    pub(in crate::engine) fn generators(&self) -> &[PermutationId] {
        &self.generators
    }

    /// The numbers of all permutations except the identity.
    pub(in crate::engine) fn others(&self) -> impl Iterator<Item = PermutationId> + use<> {
        PermutationId::first(self.len()).skip(1)
    }

    /// The place to which a permutation moves an actor.
    pub(in crate::engine) fn moves(&self, permutation: PermutationId, who: Slot) -> Slot {
        Slot::of(self.members[permutation.index()].of(who.index()))
    }

    /// The permutation with this number.
    pub(in crate::engine) fn permutation(&self, number: PermutationId) -> &Permutation {
        &self.members[number.index()]
    }

    /// Notes an orbit: the image of a value under each permutation, and the actor to which the image belongs.
    /// The images of every value of the orbit are then known. They are the action of a group, which is all
    /// that renaming must be here.
    ///
    /// # Panics
    /// If they are not the action of a group, because some value already has another orbit.
    pub(in crate::engine) fn note_orbit<N: Number>(
        &self,
        orbit: &[(Slot, N)],
        images: &mut [Images<N>],
    ) {
        for (second, (who, number)) in orbit.iter().enumerate() {
            let products = self.products.iter().map(|row| row[second]);
            for (first, product) in PermutationId::all().zip(products) {
                images[who.index()].set(self.len(), *number, first, orbit[product.index()].1);
            }
        }
    }
}

/// Takes permutations until all are products of those taken.
fn generators(products: &[Vec<PermutationId>]) -> Vec<PermutationId> {
    let mut generators = Vec::new();
    let mut generated = BTreeSet::from([PermutationId::IDENTITY]);
    for n in PermutationId::first(products.len()) {
        if generated.contains(&n) {
            continue;
        }
        generators.push(n);
        let mut waiting: Vec<_> = generated.iter().copied().collect();
        while let Some(one) = waiting.pop() {
            let more = generators.iter().map(|generator| products[generator.index()][one.index()]);
            waiting.extend(more.filter(|product| generated.insert(*product)));
        }
    }
    generators
}

/// The image of each value of a kind under each permutation, all by number.
pub(in crate::engine) struct Images<N>(Vec<u32>, PhantomData<N>);

impl<N> Default for Images<N> {
    fn default() -> Self {
        Self(Vec::new(), PhantomData)
    }
}

impl<N: Number> Images<N> {
    /// The image of a value under a permutation, in a group of so many.
    pub(in crate::engine) fn get(&self, group: usize, number: N, permutation: PermutationId) -> N {
        N::of(self.0[number.index() * group + permutation.index()] as usize)
    }

    /// Whether the images of a value are known, in a group of so many.
    pub(in crate::engine) fn knows(&self, group: usize, number: N) -> bool {
        (number.index() + 1) * group <= self.0.len()
    }

    /// Learns the images that `all` knows beyond these.
    pub(in crate::engine) fn learn(&mut self, all: &Self) {
        self.0.extend_from_slice(&all.0[self.0.len()..]);
    }

    /// Notes the image of a value under a permutation.
    fn set(&mut self, group: usize, number: N, permutation: PermutationId, image: N) {
        let end = (number.index() + 1) * group;
        if self.0.len() < end {
            self.0.resize(end, NONE);
        }
        let known = &mut self.0[number.index() * group + permutation.index()];
        let image = u32::try_from(image.index()).expect("numbers are u32");
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
    use crate::engine::ids::LocalId;
    use stateright::actor::Id;

    #[test]
    fn few_permutations_generate_all() {
        let servers: Vec<_> = (0..4).map(Id::from).collect();
        let group = Permutations::new(Permutation::within(5, &[servers]));
        assert!(group.len() == 24 && group.generators().len() <= 4);
        let mut generated = BTreeSet::from([PermutationId::IDENTITY]);
        for _ in 0..24 {
            let more: Vec<_> = generated
                .iter()
                .flat_map(|one| {
                    group.generators().iter().map(|n| group.products[n.index()][one.index()])
                })
                .collect();
            generated.extend(more);
        }
        assert_eq!(generated.len(), 24);
        assert_eq!(Permutations::trivial(5).generators(), &[] as &[PermutationId]);
    }

    #[test]
    fn of_too_many_permutations_a_group_is_used_that_leaves_the_last_actors_where_they_are() {
        let servers: Vec<_> = (0..7).map(Id::from).collect();
        let group = Permutations::few(Permutation::within(8, &[servers]));
        assert_eq!((group.len(), group.of_so_many()), (720, 5040));
        assert!(group.others().all(|n| group.moves(n, Slot::of(6)) == Slot::of(6)));
        let group = Permutations::few(Permutation::within(5, &[vec![Id::from(1), Id::from(4)]]));
        assert_eq!((group.len(), group.of_so_many()), (2, 2), "few are all used");
    }

    #[test]
    #[should_panic(expected = "must be renaming them once by both")]
    fn what_is_not_the_action_of_a_group_is_refused() {
        let group = Permutations::new(Permutation::within(2, &[vec![Id::from(0), Id::from(1)]]));
        let mut images = [Images::default(), Images::default()];
        let value = |who, local| (Slot::of(who), LocalId::of(local));
        group.note_orbit(&[value(0, 0), value(1, 0)], &mut images);
        // Value 0 of actor 1 is value 0 of actor 0, renamed. So it cannot be value 1 of actor 0, renamed, as
        // well.
        group.note_orbit(&[value(0, 1), value(1, 0)], &mut images);
    }
}

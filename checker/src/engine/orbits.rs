//! Gives values their numbers. With each value its whole orbit is interned: all values to which it can be
//! renamed.

use super::local::LocalValue;
use super::tables::{Row, Tables};
use crate::symmetry::{Renaming, Symmetry};
use crate::view::{Checkable, Ghostly};
use crate::world::StatePredicate;
use stateright::actor::Id;

impl<A: Checkable, G: Ghostly> Tables<'_, A, G> {
    /// The image of a value of an actor under each permutation except the identity, and the actor to which
    /// each image belongs.
    fn renamed<T>(
        &self,
        who: usize,
        rename: impl Fn(&Symmetry<A, G>, &Renaming) -> T,
    ) -> Vec<(usize, T)> {
        let Some(symmetry) = &self.world.symmetry else { return Vec::new() };
        let renamed = |n| {
            let names = self.group.permutation(n).renaming();
            (self.group.moves(n, who), rename(symmetry, &names))
        };
        self.group.others().map(renamed).collect()
    }

    pub(super) fn intern_local(&mut self, who: usize, value: LocalValue<A>) -> u32 {
        if let Some(known) = self.actors[who].locals.number(&value) {
            return known;
        }
        let others = self.renamed(who, |symmetry, names| value.renamed(symmetry, names));
        let orbit: Vec<_> = std::iter::once((who, value))
            .chain(others)
            .map(|(who, value)| (who, self.add_local(who, value)))
            .collect();
        self.group.note_orbit(&orbit, &mut self.local_images);
        for (who, local) in &orbit {
            self.orbits[*who].resize(self.actors[*who].locals.len(), 0);
            self.orbits[*who][*local as usize] = self.orbit_count;
            let outside = |who: usize, local: u32| self.actors[who].rows[local as usize].outside;
            assert!(
                outside(*who, *local) == outside(orbit[0].0, orbit[0].1),
                "bounds must not tell interchangeable actors apart"
            );
        }
        self.orbit_count += 1;
        orbit[0].1
    }

    fn add_local(&mut self, who: usize, value: LocalValue<A>) -> u32 {
        let table = &mut self.actors[who];
        let (number, is_new) = table.locals.intern(value);
        if is_new {
            let local = table.locals.get(number).view();
            let outside = self.world.bounds.iter().position(|bound| match &bound.within {
                StatePredicate::Actor(within) => !within(Id::from(who), local),
                _ => false,
            });
            let outside = outside.map(|n| u8::try_from(n).expect("at most 255 bounds"));
            table.rows.push(Row::new(outside));
        }
        number
    }

    pub(super) fn intern_message(&mut self, who: usize, src: Id, msg: A::Msg) -> u32 {
        let envelope = (src, msg);
        if let Some(known) = self.actors[who].inbox.number(&envelope) {
            return known;
        }
        let others = self.renamed(who, |symmetry, names| {
            (names.rewrite(&src), (symmetry.message)(&envelope.1, names))
        });
        let orbit: Vec<_> = std::iter::once((who, envelope))
            .chain(others)
            .map(|(who, envelope)| (who, self.actors[who].inbox.intern(envelope).0))
            .collect();
        self.group.note_orbit(&orbit, &mut self.message_images);
        orbit[0].1
    }

    pub(super) fn intern_ghost(&mut self, ghost: G) -> u32 {
        if let Some(known) = self.ghosts.number(&ghost) {
            return known;
        }
        let others = self.renamed(0, |symmetry, names| (symmetry.ghost)(&ghost, names));
        let orbit: Vec<_> = std::iter::once((0, ghost))
            .chain(others)
            .map(|(_, ghost)| (0, self.ghosts.intern(ghost).0))
            .collect();
        self.group.note_orbit(&orbit, &mut self.ghost_images);
        orbit[0].1
    }

    /// The image of a local state, and the actor to which it belongs.
    pub(super) fn local_image(&self, n: usize, who: usize, local: u32) -> (usize, u32) {
        let image = self.local_images[who].get(self.group.len(), local, n);
        (self.group.moves(n, who), image)
    }

    pub(super) fn message_image(&self, n: usize, who: usize, message: u32) -> u32 {
        self.message_images[who].get(self.group.len(), message, n)
    }

    /// The image of a ghost.
    pub(super) fn ghost_image(&self, n: usize, ghost: u32) -> u32 {
        self.ghost_images[0].get(self.group.len(), ghost, n)
    }
}

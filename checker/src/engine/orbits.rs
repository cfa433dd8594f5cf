//! Gives values their numbers. With each value its whole orbit is interned: all values to which it can be
//! renamed.

use super::ids::{GhostId, LocalId, MessageId, Number, OrbitId, PermutationId, Slot};
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
        who: Slot,
        rename: impl Fn(&Symmetry<A, G>, &Renaming) -> T,
    ) -> Vec<(Slot, T)> {
        let Some(symmetry) = &self.world.symmetry else { return Vec::new() };
        let renamed = |n| {
            let names = self.group.permutation(n).renaming();
            (self.group.moves(n, who), rename(symmetry, &names))
        };
        self.group.others().map(renamed).collect()
    }

    pub(super) fn intern_local(&mut self, who: Slot, value: LocalValue<A>) -> LocalId {
        if let Some(known) = self.actors[who.index()].locals.number(&value) {
            return known;
        }
        let others = self.renamed(who, |symmetry, names| value.renamed(symmetry, names));
        let orbit: Vec<_> = std::iter::once((who, value))
            .chain(others)
            .map(|(who, value)| (who, self.add_local(who, value)))
            .collect();
        self.group.note_orbit(&orbit, &mut self.local_images);
        let number = OrbitId::of(self.orbit_count);
        for (who, local) in &orbit {
            let orbits = &mut self.orbits[who.index()];
            orbits.resize(self.actors[who.index()].locals.len(), number);
            orbits[local.index()] = number;
            let outside =
                |who: Slot, local: LocalId| self.actors[who.index()].rows[local.index()].outside;
            assert!(
                outside(*who, *local) == outside(orbit[0].0, orbit[0].1),
                "bounds must not tell interchangeable actors apart"
            );
        }
        self.orbit_count += 1;
        orbit[0].1
    }

    fn add_local(&mut self, who: Slot, value: LocalValue<A>) -> LocalId {
        let table = &mut self.actors[who.index()];
        let (number, is_new) = table.locals.intern(value);
        if is_new {
            let local = table.locals.get(number).view();
            let outside = self.world.bounds.iter().position(|bound| match &bound.within {
                StatePredicate::Actor(within) => !within(who.id(), local),
                _ => false,
            });
            let outside = outside.map(|n| u8::try_from(n).expect("at most 255 bounds"));
            table.rows.push(Row::new(outside));
        }
        number
    }

    pub(super) fn intern_message(&mut self, who: Slot, src: Id, msg: A::Msg) -> MessageId {
        let envelope = (src, msg);
        if let Some(known) = self.actors[who.index()].inbox.number(&envelope) {
            return known;
        }
        let others = self.renamed(who, |symmetry, names| {
            (names.rewrite(&src), (symmetry.message)(&envelope.1, names))
        });
        let orbit: Vec<_> = std::iter::once((who, envelope))
            .chain(others)
            .map(|(who, envelope)| (who, self.actors[who.index()].inbox.intern(envelope).0))
            .collect();
        self.group.note_orbit(&orbit, &mut self.message_images);
        orbit[0].1
    }

    pub(super) fn intern_ghost(&mut self, ghost: G) -> GhostId {
        if let Some(known) = self.ghosts.number(&ghost) {
            return known;
        }
        let others = self.renamed(Slot::of(0), |symmetry, names| (symmetry.ghost)(&ghost, names));
        let orbit: Vec<_> = std::iter::once((Slot::of(0), ghost))
            .chain(others)
            .map(|(_, ghost)| (Slot::of(0), self.ghosts.intern(ghost).0))
            .collect();
        self.group.note_orbit(&orbit, &mut self.ghost_images);
        orbit[0].1
    }

    /// The image of a local state, and the actor to which it belongs.
    pub(super) fn local_image(
        &self,
        n: PermutationId,
        who: Slot,
        local: LocalId,
    ) -> (Slot, LocalId) {
        let image = self.local_images[who.index()].get(self.group.len(), local, n);
        (self.group.moves(n, who), image)
    }

    pub(super) fn message_image(
        &self,
        n: PermutationId,
        who: Slot,
        message: MessageId,
    ) -> MessageId {
        self.message_images[who.index()].get(self.group.len(), message, n)
    }

    /// The image of a ghost.
    pub(super) fn ghost_image(&self, n: PermutationId, ghost: GhostId) -> GhostId {
        self.ghost_images[0].get(self.group.len(), ghost, n)
    }
}

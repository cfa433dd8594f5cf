//! Tuples of numbers: each tuple holds the numbers of the local state of each actor and of the ghost.
//!
//! The numbers of a tuple lie side by side, as the store keeps them. A [`Tuple`] borrows the numbers and
//! returns each with its type. A [`TupleBuf`] owns the numbers and can change them.

use super::ids::{GhostId, LocalId, Number, Slot};

/// A tuple that somebody else owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tuple<'t>(&'t [u32]);

/// A tuple that can be changed. Tuples of one world are ordered by their numbers, the ghost last.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TupleBuf(Vec<u32>);

impl<'t> Tuple<'t> {
    /// The tuple of these numbers, of which the last is the ghost's.
    pub(super) fn of(numbers: &'t [u32]) -> Self {
        Self(numbers)
    }

    /// The numbers of the local states, followed by the number of the ghost.
    pub(super) fn numbers(self) -> &'t [u32] {
        self.0
    }

    /// The number of actors.
    pub(super) fn actors(self) -> usize {
        self.0.len() - 1
    }

    /// The local state of an actor.
    pub(super) fn local(self, who: Slot) -> LocalId {
        assert!(who.index() < self.actors(), "it is an actor's place");
        LocalId::of(self.0[who.index()] as usize)
    }

    /// Each actor with its local state.
    pub(super) fn locals(self) -> impl Iterator<Item = (Slot, LocalId)> + use<'t> {
        Slot::first(self.actors()).map(move |who| (who, self.local(who)))
    }

    /// The ghost.
    pub(super) fn ghost(self) -> GhostId {
        GhostId::of(self.0[self.actors()] as usize)
    }
}

impl TupleBuf {
    /// The tuple of these local states and this ghost.
    pub(super) fn new(locals: impl Iterator<Item = LocalId>, ghost: GhostId) -> Self {
        let numbers = locals.map(LocalId::index).chain([ghost.index()]);
        Self(numbers.map(number).collect())
    }

    /// The tuple as it is now.
    pub(super) fn tuple(&self) -> Tuple<'_> {
        Tuple(&self.0)
    }

    /// Makes this the same tuple.
    pub(super) fn copy(&mut self, tuple: Tuple<'_>) {
        self.0.clear();
        self.0.extend_from_slice(tuple.0);
    }

    /// Moves an actor to a local state.
    pub(super) fn set_local(&mut self, who: Slot, local: LocalId) {
        self.0[who.index()] = number(local.index());
    }

    /// Changes the ghost.
    pub(super) fn set_ghost(&mut self, ghost: GhostId) {
        let last = self.0.len() - 1;
        self.0[last] = number(ghost.index());
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("numbers are u32")
}

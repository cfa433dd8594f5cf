//! Finds for each state the state that stands for its whole orbit. Each thread has its own [`Canon`], so it
//! need not wait.
//!
//! The state that stands for an orbit is the one with the least tuple. Tuples compare local states by their
//! orbits first, and then by the numbers of the local states. Numbers are given once, and to a whole orbit at
//! a time. So within a search each orbit of tuples has one least tuple. Another search may find another least
//! tuple for that orbit. But all searches find equally many least tuples, and each stands for as many tuples
//! as its orbit has.

use super::symmetry::{Images, Permutations};
use crate::engine::bits::{Messages, numbers};
use crate::engine::ids::{GhostId, LocalId, MessageId, Number, OrbitId, PermutationId, Slot};
use crate::engine::tables::{Memo, Tables};
use crate::engine::tuple::{Tuple, TupleBuf};
use crate::view::{Checkable, Ghostly};
use std::sync::Arc;

/// With more actors than this, no pattern is remembered.
const MOST: usize = 16;

/// The knowledge of a thread about permutations and their effects.
pub(super) struct Canon {
    /// The number of permutations.
    size: usize,
    /// For each permutation, the place to which it moves each actor.
    moves: Vec<Vec<Slot>>,
    /// The image of each local state, message and ghost under each permutation.
    locals: Vec<Images<LocalId>>,
    messages: Vec<Images<MessageId>>,
    ghosts: Images<GhostId>,
    /// The orbit of each local state.
    orbits: Vec<Vec<OrbitId>>,
    /// The permutations that put the orbits of local states in order, by the pattern in which those orbits
    /// are ordered.
    sorting: Memo<u64, Arc<[PermutationId]>>,
    /// The least tuple, and the permutations that lead to it.
    least: TupleBuf,
    chosen: Vec<PermutationId>,
    attempt: TupleBuf,
}

impl Canon {
    pub(super) fn new(group: &Permutations, actors: usize) -> Self {
        let moves = |n| Slot::first(actors).map(|who| group.moves(n, who)).collect();
        Self {
            size: group.len(),
            moves: PermutationId::first(group.len()).map(moves).collect(),
            locals: (0..actors).map(|_| Images::default()).collect(),
            messages: (0..actors).map(|_| Images::default()).collect(),
            ghosts: Images::default(),
            orbits: vec![Vec::new(); actors],
            sorting: Memo::default(),
            least: TupleBuf::default(),
            chosen: Vec::new(),
            attempt: TupleBuf::default(),
        }
    }

    /// Whether the identity is the only permutation, so that every state stands for itself alone.
    pub(super) fn is_trivial(&self) -> bool {
        self.size == 1
    }

    /// The number of permutations.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Whether the images of all values in a tuple are known here.
    pub(super) fn knows(&self, tuple: Tuple<'_>) -> bool {
        let mut locals = tuple.locals();
        locals.all(|(who, local)| local.index() < self.orbits[who.index()].len())
            && self.ghosts.knows(self.size, tuple.ghost())
    }

    /// Whether the images of these messages of an actor are known here.
    pub(super) fn knows_messages(&self, who: Slot, messages: &Messages) -> bool {
        let known = &self.messages[who.index()];
        messages.greatest().is_none_or(|greatest| known.knows(self.size, greatest))
    }

    /// Learns the images of all values that were interned since the last time.
    pub(super) fn learn<A: Checkable, G: Ghostly>(&mut self, tables: &Tables<'_, A, G>) {
        for who in 0..self.orbits.len() {
            let known = &mut self.orbits[who];
            known.extend_from_slice(&tables.orbits[who][known.len()..]);
            self.locals[who].learn(&tables.local_images[who]);
            self.messages[who].learn(&tables.message_images[who]);
        }
        self.ghosts.learn(&tables.ghost_images[0]);
    }

    /// The least tuple of the orbit of a tuple, and the permutations that lead to it.
    pub(super) fn least(&mut self, tuple: Tuple<'_>) -> (Tuple<'_>, &[PermutationId]) {
        let sorting = self.sorting(tuple);
        self.chosen.clear();
        for n in sorting.iter() {
            self.rename(tuple, *n);
            let order = self.attempt.cmp(&self.least);
            if self.chosen.is_empty() || order.is_lt() {
                std::mem::swap(&mut self.least, &mut self.attempt);
                self.chosen.clear();
                self.chosen.push(*n);
            } else if order.is_eq() {
                self.chosen.push(*n);
            }
        }
        (self.least.tuple(), &self.chosen)
    }

    /// Puts a tuple, renamed by a permutation, into `attempt`.
    fn rename(&mut self, tuple: Tuple<'_>, n: PermutationId) {
        self.attempt.copy(tuple);
        for (who, local) in tuple.locals() {
            let image = self.locals[who.index()].get(self.size, local, n);
            self.attempt.set_local(self.moves(n, who), image);
        }
        self.attempt.set_ghost(self.ghosts.get(self.size, tuple.ghost(), n));
    }

    /// The permutations that put the orbits of the local states in the least order.
    fn sorting(&mut self, tuple: Tuple<'_>) -> Arc<[PermutationId]> {
        let actors = self.orbits.len();
        let all = || Slot::first(actors);
        let orbit = |who: Slot| self.orbits[who.index()][tuple.local(who).index()];
        let rank = |who: Slot| all().filter(|other| orbit(*other) < orbit(who)).count();
        let pattern = all().fold(0, |pattern, who| pattern << 4 | rank(who) as u64);
        if actors <= MOST
            && let Some(known) = self.sorting.get(&pattern)
        {
            return Arc::clone(known);
        }
        let sequence = |n: &PermutationId| {
            let mut orbits = vec![OrbitId::of(0); actors];
            all().for_each(|who| orbits[self.moves(*n, who).index()] = orbit(who));
            orbits
        };
        let permutations = || PermutationId::first(self.size);
        let least = permutations().map(|n| sequence(&n)).min();
        let sorting = permutations().filter(|n| Some(sequence(n)) == least);
        let sorting: Arc<[PermutationId]> = sorting.collect();
        if actors <= MOST {
            self.sorting.insert(pattern, Arc::clone(&sorting));
        }
        sorting
    }

    /// The place to which a permutation moves an actor.
    pub(super) fn moves(&self, n: PermutationId, who: Slot) -> Slot {
        self.moves[n.index()][who.index()]
    }

    /// The messages of an actor, renamed by a permutation.
    pub(super) fn rename_messages(
        &self,
        n: PermutationId,
        who: Slot,
        messages: &Messages,
    ) -> Messages {
        let mut renamed = Messages::default();
        for message in numbers(messages.words()) {
            renamed.insert(self.messages[who.index()].get(self.size, message, n));
        }
        renamed
    }
}

//! Finds for each state the state that stands for its whole orbit. Each thread has its own [`Canon`], so it
//! need not wait.
//!
//! The state that stands for an orbit is the one with the least tuple. Tuples compare local states by their
//! orbits first, and then by the numbers of the local states. Numbers are given once, and to a whole orbit at
//! a time. So within a search each orbit of tuples has one least tuple. Which tuple it is may differ from one
//! search to the next. The number of least tuples does not differ, nor the number of tuples for which each
//! stands.

use super::bits::{Bits, numbers};
use super::symmetry::Permutations;
use super::tables::{Memo, Tables};
use crate::view::{Checkable, Ghostly};
use std::sync::Arc;

/// With more actors than this, no pattern is remembered.
const MOST: usize = 16;

/// The knowledge of a thread about permutations and their effects.
pub(super) struct Canon {
    /// The number of permutations.
    size: usize,
    /// For each permutation, the place to which it moves each actor.
    moves: Vec<Vec<usize>>,
    /// The image of each local state, message and ghost under each permutation.
    locals: Vec<Vec<u32>>,
    messages: Vec<Vec<u32>>,
    ghosts: Vec<u32>,
    /// The orbit of each local state.
    orbits: Vec<Vec<u32>>,
    /// The permutations that put the orbits of local states in order, by the pattern in which those orbits
    /// are ordered.
    sorting: Memo<u64, Arc<[usize]>>,
    /// The least tuple, and the permutations that lead to it.
    key: Vec<u32>,
    chosen: Vec<usize>,
    attempt: Vec<u32>,
}

impl Canon {
    pub(super) fn new(group: &Permutations, actors: usize) -> Self {
        let moves = |n| (0..actors).map(|who| group.moves(n, who)).collect();
        Self {
            size: group.len(),
            moves: (0..group.len()).map(moves).collect(),
            locals: vec![Vec::new(); actors],
            messages: vec![Vec::new(); actors],
            ghosts: Vec::new(),
            orbits: vec![Vec::new(); actors],
            sorting: Memo::default(),
            key: Vec::new(),
            chosen: Vec::new(),
            attempt: Vec::new(),
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
    pub(super) fn knows(&self, key: &[u32]) -> bool {
        let actors = self.orbits.len();
        (0..actors).all(|who| (key[who] as usize) < self.orbits[who].len())
            && (key[actors] as usize + 1) * self.size <= self.ghosts.len()
    }

    /// Whether the images of these messages of an actor are known here.
    pub(super) fn knows_messages(&self, who: usize, messages: &Bits) -> bool {
        let needed = messages.greatest().map_or(0, |most| (most as usize + 1) * self.size);
        needed <= self.messages[who].len()
    }

    /// Learns the images of all values that were interned since the last time.
    pub(super) fn learn<A: Checkable, G: Ghostly>(&mut self, tables: &Tables<'_, A, G>) {
        let extend =
            |known: &mut Vec<u32>, all: &[u32]| known.extend_from_slice(&all[known.len()..]);
        for who in 0..self.orbits.len() {
            extend(&mut self.orbits[who], &tables.orbits[who]);
            extend(&mut self.locals[who], tables.local_images[who].all());
            extend(&mut self.messages[who], tables.message_images[who].all());
        }
        extend(&mut self.ghosts, tables.ghost_images[0].all());
    }

    /// The least tuple of the orbit of `key`, and the permutations that lead from `key` to it.
    pub(super) fn least(&mut self, key: &[u32]) -> (&[u32], &[usize]) {
        let sorting = self.sorting(key);
        self.chosen.clear();
        for n in sorting.iter() {
            self.rename(key, *n);
            let order = self.attempt.cmp(&self.key);
            if self.chosen.is_empty() || order.is_lt() {
                std::mem::swap(&mut self.key, &mut self.attempt);
                self.chosen.clear();
                self.chosen.push(*n);
            } else if order.is_eq() {
                self.chosen.push(*n);
            }
        }
        (&self.key, &self.chosen)
    }

    /// Puts a tuple, renamed by a permutation, into `attempt`.
    fn rename(&mut self, key: &[u32], n: usize) {
        let actors = self.orbits.len();
        self.attempt.resize(actors + 1, 0);
        for (who, local) in key[..actors].iter().enumerate() {
            self.attempt[self.moves[n][who]] = self.locals[who][*local as usize * self.size + n];
        }
        self.attempt[actors] = self.ghosts[key[actors] as usize * self.size + n];
    }

    /// The permutations that put the orbits of the local states in the least order.
    fn sorting(&mut self, key: &[u32]) -> Arc<[usize]> {
        let actors = self.orbits.len();
        let orbit = |who: usize| self.orbits[who][key[who] as usize];
        let rank = |who: usize| (0..actors).filter(|other| orbit(*other) < orbit(who)).count();
        let pattern = (0..actors).fold(0, |pattern, who| pattern << 4 | rank(who) as u64);
        if actors <= MOST
            && let Some(known) = self.sorting.get(&pattern)
        {
            return Arc::clone(known);
        }
        let sequence = |n: &usize| {
            let mut orbits = vec![0; actors];
            (0..actors).for_each(|who| orbits[self.moves[*n][who]] = orbit(who));
            orbits
        };
        let least = (0..self.size).map(|n| sequence(&n)).min();
        let sorting = (0..self.size).filter(|n| Some(sequence(n)) == least);
        let sorting: Arc<[usize]> = sorting.collect();
        if actors <= MOST {
            self.sorting.insert(pattern, Arc::clone(&sorting));
        }
        sorting
    }

    /// The place to which a permutation moves an actor.
    pub(super) fn moves(&self, n: usize, who: usize) -> usize {
        self.moves[n][who]
    }

    /// The messages of an actor, renamed by a permutation.
    pub(super) fn rename_messages(&self, n: usize, who: usize, messages: &Bits) -> Bits {
        let mut renamed = Bits::default();
        for message in numbers(messages.words()) {
            renamed.insert(self.messages[who][message as usize * self.size + n]);
        }
        renamed
    }
}

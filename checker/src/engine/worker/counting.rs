//! Counts the tuples and states for which those in the store stand.

use super::Worker;
use crate::engine::bits::{Messages, is_subset};
use crate::engine::ids::{Number, PermutationId, SetId, Slot};
use crate::engine::panics::Held;
use crate::engine::tuple::Tuple;
use crate::run::Lookout;
use crate::view::{Checkable, Ghostly};
use std::ops::AddAssign;

/// The numbers of tuples and states for which some states stand.
#[derive(Default)]
pub(in crate::engine) struct Counted {
    pub(in crate::engine) tuples: u64,
    pub(in crate::engine) states: u64,
    /// The number of states that stand for them.
    pub(in crate::engine) standing: u64,
}

impl AddAssign for Counted {
    fn add_assign(&mut self, more: Self) {
        self.tuples += more.tuples;
        self.states += more.states;
        self.standing += more.standing;
    }
}

impl<A: Checkable, G: Ghostly> Worker<'_, '_, A, G> {
    /// The numbers of tuples and maximal states for which a tuple and its states stand, by the messages that
    /// matter under this worker's hypothesis; and the number of maximal states that stand for them.
    ///
    /// # Errors
    /// The limit that was reached before these numbers were known.
    pub(in crate::engine) fn maximal(
        &mut self,
        tuple: Tuple<'_>,
        states: &[SetId],
        lookout: &Lookout<'_>,
    ) -> Result<Counted, &'static str> {
        let mut antichain: Vec<Vec<Messages>> = Vec::new();
        let below = |a: &[Messages], b: &[Messages]| {
            a.iter().zip(b).all(|(a, b)| is_subset(a.words(), b.words()))
        };
        self.scratch.tuple.copy(tuple);
        let stabiliser = self.stabiliser(tuple);
        for state in states.chunks_exact(self.actors) {
            if let Some(reason) = lookout.reached() {
                return Err(reason);
            }
            for who in Slot::first(self.actors) {
                let set = self.sets.get(who, state[who.index()]);
                self.scratch.messages[who.index()].copy(&set);
            }
            self.filter();
            for n in &stabiliser {
                let alike = self.names_renamed(*n, tuple, &self.scratch.messages);
                if !antichain.iter().any(|other| below(&alike, other)) {
                    antichain.retain(|other| !below(other, &alike));
                    antichain.push(alike);
                }
            }
        }
        let tuples = (self.canon.size() / stabiliser.len()) as u64;
        let states = tuples * antichain.len() as u64;
        let mut standing = 0;
        while let Some(one) = antichain.pop() {
            standing += 1;
            for n in &stabiliser[1..] {
                let alike = self.names_renamed(*n, tuple, &one);
                antichain.retain(|other| !(below(other, &alike) && below(&alike, other)));
            }
        }
        Ok(Counted { tuples, states, standing })
    }

    /// The permutations that leave a tuple as it is, the identity first. The tuple must be one that stands
    /// for others.
    fn stabiliser(&mut self, tuple: Tuple<'_>) -> Vec<PermutationId> {
        if self.canon.is_trivial() {
            return vec![PermutationId::IDENTITY];
        }
        self.canon.learn(&self.shared.tables.read().held());
        let (least, chosen) = self.canon.least(tuple);
        let is_least = least == tuple && chosen[0] == PermutationId::IDENTITY;
        assert!(is_least, "only what stands for others is kept");
        chosen.to_vec()
    }

    /// The names of messages at a tuple that a permutation leaves as it is, after the permutation has renamed
    /// the messages.
    fn names_renamed(
        &self,
        n: PermutationId,
        tuple: Tuple<'_>,
        messages: &[Messages],
    ) -> Vec<Messages> {
        let mut renamed = messages.to_vec();
        if n != PermutationId::IDENTITY {
            for (who, set) in Slot::all().zip(messages) {
                renamed[self.canon.moves(n, who).index()] = self.canon.rename_messages(n, who, set);
            }
        }
        for ((who, local), set) in tuple.locals().zip(&mut renamed) {
            let partition = self.relevance.partition(who, local);
            if let Some(names) = partition.and_then(|(_, partition)| partition.reduce(set)) {
                *set = names;
            }
        }
        renamed
    }
}

//! Counts the tuples and states for which those in the store stand.

use super::reducer::Reducer;
use crate::engine::bits::{Messages, is_subset};
use crate::engine::ids::{Number, PermutationId, SetId, Slot};
use crate::engine::panics::Held;
use crate::engine::sets::SetCache;
use crate::engine::tables::Tables;
use crate::engine::tuple::Tuple;
use crate::run::Lookout;
use crate::view::{Checkable, Ghostly};
use std::ops::AddAssign;
use std::sync::RwLock;

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

/// The messages of a state, for each actor.
type InFlight = Vec<Messages>;

/// Whether a state has at most the messages of another one.
fn below(a: &InFlight, b: &InFlight) -> bool {
    a.iter().zip(b).all(|(a, b)| is_subset(a.words(), b.words()))
}

impl Reducer<'_> {
    /// Counts the tuples and maximal states for which a tuple and its states stand, by the messages that
    /// matter under this hypothesis. Also counts the maximal states that stand for them.
    ///
    /// # Errors
    /// The limit that was reached before these numbers were known.
    pub(in crate::engine) fn count<A: Checkable, G: Ghostly>(
        &mut self,
        tuple: Tuple<'_>,
        states: &[SetId],
        sets: &mut SetCache<'_>,
        tables: &RwLock<Tables<'_, A, G>>,
        lookout: &Lookout<'_>,
    ) -> Result<Counted, &'static str> {
        let mut antichain: Vec<InFlight> = Vec::new();
        let stabiliser = self.stabiliser(tuple, tables);
        let mut messages = vec![Messages::default(); tuple.actors()];
        for state in states.chunks_exact(tuple.actors()) {
            if let Some(reason) = lookout.reached() {
                return Err(reason);
            }
            for ((who, set), messages) in Slot::all().zip(state).zip(&mut messages) {
                messages.copy(&sets.get(who, *set));
            }
            self.leave_out(tuple, &mut messages);
            for n in &stabiliser {
                let alike = self.names_renamed(*n, tuple, &messages);
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
    fn stabiliser<A: Checkable, G: Ghostly>(
        &mut self,
        tuple: Tuple<'_>,
        tables: &RwLock<Tables<'_, A, G>>,
    ) -> Vec<PermutationId> {
        if self.canon.is_trivial() {
            return vec![PermutationId::IDENTITY];
        }
        self.canon.learn(&tables.read().held());
        let (least, chosen) = self.canon.least(tuple);
        let is_least = least == tuple && chosen[0] == PermutationId::IDENTITY;
        assert!(is_least, "only what stands for others is kept");
        chosen.to_vec()
    }

    /// Renames messages by a permutation, and returns the names of the results. The permutation must leave
    /// the tuple as it is.
    fn names_renamed(&self, n: PermutationId, tuple: Tuple<'_>, messages: &[Messages]) -> InFlight {
        let mut renamed = messages.to_vec();
        if n != PermutationId::IDENTITY {
            for (who, set) in Slot::all().zip(messages) {
                renamed[self.canon.moves(n, who).index()] = self.canon.rename_messages(n, who, set);
            }
        }
        for ((who, local), set) in tuple.locals().zip(&mut renamed) {
            let partition = self.hypothesis.partition(who, local);
            if let Some(names) = partition.and_then(|(_, partition)| partition.reduce(set)) {
                *set = names;
            }
        }
        renamed
    }
}

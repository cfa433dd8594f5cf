//! Where a hypothesis of what matters is refuted, and which states that concerns.

use super::bits::{Bits, common, numbers};
use super::relevance::{LocalRelevance, Relevance, predecessors};
use super::tables::{Memo, StepEvent, Tables};
use crate::checker::view::{Checkable, Ghostly};
use std::collections::BTreeMap;

/// In what a hypothesis is refuted by a better one: for each actor, by its local state, the messages
/// that are *freed* there. They matter more than was thought, or are not one with what they were taken
/// for.
pub(super) struct Refuted(Vec<BTreeMap<u32, Bits>>);

/// What must be looked at again because of it.
pub(super) struct Concerned {
    /// For each actor, by its local state, the messages that are freed there or after a step.
    freed: Vec<BTreeMap<u32, Bits>>,
    /// For each actor the messages that make it send a freed one.
    causes: Vec<Bits>,
    /// For each actor, by its local state, which of all these it can send, there or after a step.
    sends: Vec<BTreeMap<u32, Vec<(u8, u32)>>>,
    /// For each actor, by its local state, the messages that make it send some of these at once without
    /// changing; and the local states in which it does so by itself.
    asks: Vec<BTreeMap<u32, Bits>>,
    says: Vec<Bits>,
}

/// What must be looked at again in one tuple.
pub(super) struct ConcernedTuple {
    /// Whether all states must be, for something freed may be sent.
    pub(super) sends: bool,
    /// Otherwise those in which one of these messages is before its actor.
    messages: Vec<Bits>,
}

impl Refuted {
    /// In what `old` is refuted by `newer`, of the local states that both know.
    pub(super) fn of(old: &Relevance, newer: &Relevance) -> Self {
        let mut refuted = vec![BTreeMap::new(); old.locals.len()];
        let mut covered = Memo::default();
        for (who, refuted) in refuted.iter_mut().enumerate() {
            let both = old.locals[who].iter().zip(&newer.locals[who]).zip(0..);
            for ((a, b), local) in both {
                let (Some(a), Some(b)) = (a, b) else { continue };
                let mut freed = split((old, a), (newer, b));
                freed.merge(&matters_more((old, a), (newer, b), old.messages[who], &mut covered));
                if !freed.is_empty() {
                    refuted.insert(local, freed);
                }
            }
        }
        Self(refuted)
    }

    /// Whether it is not refuted.
    pub(super) fn is_nothing(&self) -> bool {
        self.0.iter().all(BTreeMap::is_empty)
    }

    /// What must be looked at again.
    pub(super) fn concerned<A: Checkable, G: Ghostly>(
        self,
        tables: &Tables<'_, A, G>,
        better: &Relevance,
    ) -> Concerned {
        let Self(mut freed) = self;
        let mut messages: Vec<_> = freed.iter().map(|freed| union(freed.values())).collect();
        let causes = causes(better, &messages);
        messages.iter_mut().zip(&causes).for_each(|(all, causes)| {
            all.merge(causes);
        });
        let mut sends = vec![BTreeMap::<u32, Vec<_>>::new(); freed.len()];
        let mut asks = vec![BTreeMap::<u32, Bits>::new(); freed.len()];
        let mut says = vec![Bits::default(); freed.len()];
        for step in &tables.steps {
            let is_one = |(to, message): &&(u8, u32)| messages[usize::from(*to)].has(*message);
            let sent: Vec<_> = step.sent.iter().filter(is_one).copied().collect();
            if sent.is_empty() {
                continue;
            }
            let who = usize::from(step.who);
            sends[who].entry(step.from).or_default().extend(sent);
            match step.event {
                _ if step.change.is_some() => {}
                StepEvent::Deliver(message) => {
                    asks[who].entry(step.from).or_default().insert(message);
                }
                StepEvent::Spontaneous(_) => {
                    says[who].insert(step.from);
                }
            }
        }
        for who in 0..freed.len() {
            let predecessors = predecessors(tables, who);
            for (local, later) in freed[who].clone() {
                for from in &predecessors[local as usize] {
                    freed[who].entry(*from).or_default().merge(&later);
                }
            }
            for (local, later) in sends[who].clone() {
                for from in &predecessors[local as usize] {
                    sends[who].entry(*from).or_default().extend(&later);
                }
            }
            for sent in sends[who].values_mut() {
                sent.sort_unstable();
                sent.dedup();
            }
        }
        Concerned { freed, causes, sends, asks, says }
    }
}

impl Concerned {
    /// What must be looked at again in a tuple with these local states, if anything.
    pub(super) fn tuple(&self, locals: &[u32]) -> Option<ConcernedTuple> {
        let freed = || self.freed.iter().zip(locals).map(|(freed, local)| freed.get(local));
        if freed().all(|freed| freed.is_none()) {
            return None;
        }
        let mut messages = self.causes.clone();
        for (messages, freed) in messages.iter_mut().zip(freed()) {
            messages.merge(freed.unwrap_or(&Bits::default()));
        }
        let mut sent =
            self.sends.iter().zip(locals).filter_map(|(sends, at)| sends.get(at)).flatten();
        let sends = sent.any(|(to, message)| messages[usize::from(*to)].has(*message));
        Some(ConcernedTuple { sends, messages })
    }

    /// Whether an actor in this local state, with these messages before it, sends something freed at once.
    /// A state in which it does may lack what it sends.
    pub(super) fn is_open(&self, who: usize, local: u32, messages: &[u64]) -> bool {
        let asks = self.asks[who].get(&local);
        self.says[who].has(local)
            || asks.is_some_and(|asks| common(messages, asks).next().is_some())
    }

    /// Whether that may be so of some actor in these local states, whatever is before it.
    pub(super) fn may_be_open(&self, locals: &[u32]) -> bool {
        let actors = self.says.iter().zip(&self.asks).zip(locals);
        actors.into_iter().any(|((says, asks), local)| says.has(*local) || asks.contains_key(local))
    }
}

impl ConcernedTuple {
    /// Whether one of these messages must be looked at again.
    pub(super) fn has(&self, who: usize, messages: &[u64]) -> bool {
        common(messages, &self.messages[who]).next().is_some()
    }
}

/// All that is in these.
fn union<'a>(sets: impl Iterator<Item = &'a Bits>) -> Bits {
    sets.fold(Bits::default(), |mut union, set| {
        union.merge(set);
        union
    })
}

/// For each actor the messages that it may answer with one of these without changing. They matter where
/// the answer does.
fn causes(better: &Relevance, messages: &[Bits]) -> Vec<Bits> {
    let is_one = |(to, message): &(u8, u32)| messages[usize::from(*to)].has(*message);
    let lists: Vec<_> = better.sent.values().map(|sent| sent.iter().any(is_one)).collect();
    let of_actor = |locals: &Vec<Option<LocalRelevance>>| {
        let mut causes = Bits::default();
        for local in locals.iter().flatten() {
            for (message, _) in local.soft.iter().filter(|(_, sent)| lists[**sent as usize]) {
                causes.insert(*message);
            }
        }
        causes
    };
    better.locals.iter().map(of_actor).collect()
}

/// The messages that matter more by `newer` than by `old`, of those that `old` knows.
fn matters_more(
    (old, a): (&Relevance, &LocalRelevance),
    (newer, b): (&Relevance, &LocalRelevance),
    known: u32,
    covered: &mut Memo<(u32, u32), bool>,
) -> Bits {
    let mut more = b.hard.clone();
    more.merge(&b.conditional);
    more.map(|n, word| word & !a.hard.word(n));
    let both: Vec<_> = common(b.conditional.words(), &a.conditional)
        .filter(|message| !b.hard.has(*message) && !a.hard.has(*message))
        .collect();
    for message in both {
        let lists = (a.soft[&message], b.soft[&message]);
        let covers = covered.entry(lists).or_insert_with(|| {
            let old = old.sent.get(lists.0);
            newer.sent.get(lists.1).iter().all(|sent| old.binary_search(sent).is_ok())
        });
        if *covers {
            more.remove(message);
        }
    }
    for message in known..=more.greatest().unwrap_or(0) {
        more.remove(message);
    }
    more
}

/// The messages that `old` takes for one with another from which `newer` tells them apart, and all that it
/// takes for one with these.
fn split(
    (old, a): (&Relevance, &LocalRelevance),
    (newer, b): (&Relevance, &LocalRelevance),
) -> Bits {
    let (old, newer) = (old.partitions.get(a.partition), newer.partitions.get(b.partition));
    let mut split = Bits::default();
    for message in numbers(old.renamed().words()) {
        let name = old.of(message);
        if newer.of(message) != newer.of(name) {
            split.insert(name);
        }
    }
    for message in numbers(old.renamed().words()) {
        if split.has(old.of(message)) {
            split.insert(message);
        }
    }
    split
}

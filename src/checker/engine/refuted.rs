//! Where a hypothesis of what matters is refuted, and which states that concerns.

use super::bits::{Bits, common, numbers};
use super::relevance::{LocalRelevance, Relevance, predecessors};
use super::tables::{Memo, Tables};
use crate::checker::view::{Checkable, Ghostly};
use std::collections::BTreeMap;

/// In what a hypothesis is refuted by a better one: for each actor, by its local state, the messages
/// that are *freed* there. They matter more than was thought, or are not one with what they were taken
/// for.
pub(super) struct Refuted(Vec<BTreeMap<u32, Bits>>);

/// What must be looked at again because of it. It is asked of every tuple, so it is looked up by position.
pub(super) struct Concerned {
    /// For each actor, by its local state, what it has to do with it.
    locals: Vec<Vec<ConcernedLocal>>,
    /// For each actor the messages that make it send a freed one.
    causes: Vec<Bits>,
}

/// What one local state has to do with it.
#[derive(Default)]
struct ConcernedLocal {
    /// The messages that are freed there or after a step; with the causes, if there are any.
    freed: Option<Bits>,
    /// Which of all these the actor can send, there or after a step.
    sends: Vec<(u8, u32)>,
}

/// What must be looked at again in one tuple.
pub(super) struct ConcernedTuple<'c> {
    /// Whether all states must be, for something freed may be sent.
    pub(super) sends: bool,
    /// Otherwise those in which one of these messages is before its actor.
    messages: Vec<&'c Bits>,
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
        for step in &tables.steps {
            let is_one = |(to, message): &&(u8, u32)| messages[usize::from(*to)].has(*message);
            let sent: Vec<_> = step.sent.iter().filter(is_one).copied().collect();
            if sent.is_empty() {
                continue;
            }
            let who = usize::from(step.who);
            sends[who].entry(step.from).or_default().extend(sent);
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
        let mut locals = Vec::new();
        for (who, (freed, sends)) in freed.into_iter().zip(sends).enumerate() {
            let count = tables.actors[who].rows.len();
            let mut of_actor: Vec<_> = (0..count).map(|_| ConcernedLocal::default()).collect();
            for (local, mut freed) in freed {
                freed.merge(&causes[who]);
                of_actor[local as usize].freed = Some(freed);
            }
            for (local, sends) in sends {
                of_actor[local as usize].sends = sends;
            }
            locals.push(of_actor);
        }
        Concerned { locals, causes }
    }
}

impl Concerned {
    /// What must be looked at again in a tuple with these local states, if anything.
    pub(super) fn tuple(&self, locals: &[u32]) -> Option<ConcernedTuple<'_>> {
        let of_actors = self.locals.iter().zip(locals).map(|(of, local)| &of[*local as usize]);
        if of_actors.clone().all(|local| local.freed.is_none()) {
            return None;
        }
        let messages = of_actors.clone().zip(&self.causes);
        let messages = messages.map(|(local, causes)| local.freed.as_ref().unwrap_or(causes));
        let messages: Vec<_> = messages.collect();
        let mut sent = of_actors.flat_map(|local| &local.sends);
        let sends = sent.any(|(to, message)| messages[usize::from(*to)].has(*message));
        Some(ConcernedTuple { sends, messages })
    }
}

impl ConcernedTuple<'_> {
    /// Whether one of these messages must be looked at again.
    pub(super) fn has(&self, who: usize, messages: &[u64]) -> bool {
        common(messages, self.messages[who]).next().is_some()
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
            for (_, messages) in local.soft.iter().filter(|(sent, _)| lists[*sent as usize]) {
                causes.merge(messages);
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
    for (now, messages) in &b.soft {
        for (before, others) in &a.soft {
            let covers = covered.entry((*before, *now)).or_insert_with(|| {
                let old = old.sent.get(*before);
                newer.sent.get(*now).iter().all(|sent| old.binary_search(sent).is_ok())
            });
            if *covers {
                more.map(|n, word| word & !(messages.word(n) & others.word(n)));
            }
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

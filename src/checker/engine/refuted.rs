//! Where a hypothesis of what matters is refuted, and which tuples that concerns.

use super::bits::{Bits, numbers};
use super::relevance::{LocalRelevance, Relevance};
use super::tables::{Memo, Tables};
use crate::checker::view::{Checkable, Ghostly};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// In what a hypothesis is refuted by a better one: for each actor the local states in which some message
/// matters more than was thought, or is not one with what it was taken for.
pub(super) struct Refuted(Vec<Bits>);

/// For each actor those local states, and those from which one step leads to one of them.
#[derive(Serialize, Deserialize)]
pub(super) struct Concerned(Vec<Bits>);

/// The part of a repair that is still to do: shards, what is concerned in them, and the first state.
#[derive(Serialize, Deserialize)]
pub(super) struct Repair {
    pub(super) concerned: Concerned,
    pub(super) shards: BTreeSet<u32>,
}

impl Refuted {
    /// In what `old` is refuted by `newer`, of the local states that both know.
    pub(super) fn of(old: &Relevance, newer: &Relevance) -> Self {
        let mut covered = Memo::default();
        let mut of_actor = |who: usize| {
            let mut refuted = Bits::default();
            for ((a, b), local) in old.locals[who].iter().zip(&newer.locals[who]).zip(0..) {
                let (Some(a), Some(b)) = (a, b) else { continue };
                if tells_apart((old, a), (newer, b))
                    || matters_more((old, a), (newer, b), old.messages[who], &mut covered)
                {
                    refuted.insert(local);
                }
            }
            refuted
        };
        Self((0..old.locals.len()).map(&mut of_actor).collect())
    }

    /// Whether it is not refuted.
    pub(super) fn is_nothing(&self) -> bool {
        self.0.iter().all(Bits::is_empty)
    }

    /// What rests on it.
    pub(super) fn concerned<A: Checkable, G: Ghostly>(
        &self,
        tables: &Tables<'_, A, G>,
    ) -> Concerned {
        let Self(refuted) = self;
        let mut concerned = refuted.clone();
        for step in tables.steps.iter().filter(|step| step.change.is_some()) {
            let who = usize::from(step.who);
            if refuted[who].has(step.next) {
                concerned[who].insert(step.from);
            }
        }
        Concerned(concerned)
    }
}

impl Concerned {
    /// Whether what was made of a tuple with these local states rests on it.
    pub(super) fn has(&self, locals: &[u32]) -> bool {
        self.0.iter().zip(locals).any(|(concerned, local)| concerned.has(*local))
    }
}

/// Whether a message matters more by `newer` than by `old`, of those that `old` knows.
fn matters_more(
    (old, a): (&Relevance, &LocalRelevance),
    (newer, b): (&Relevance, &LocalRelevance),
    known: u32,
    covered: &mut Memo<(u32, u32), bool>,
) -> bool {
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
    numbers(more.words()).any(|message| message < known)
}

/// Whether `newer` tells messages apart that `old` takes for one.
fn tells_apart(
    (old, a): (&Relevance, &LocalRelevance),
    (newer, b): (&Relevance, &LocalRelevance),
) -> bool {
    let (old, newer) = (old.partitions.get(a.partition), newer.partitions.get(b.partition));
    numbers(old.renamed().words()).any(|message| newer.of(message) != newer.of(old.of(message)))
}

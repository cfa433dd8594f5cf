//! Finds the local states in which a hypothesis is refuted, and the tuples that this concerns.

use super::bits::{Bits, numbers};
use super::relevance::{LocalRelevance, Relevance};
use super::tables::{Memo, Tables};
use crate::view::{Checkable, Ghostly};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The local states in which a better hypothesis refutes an older one, for each actor. There some message
/// matters more than was thought, or is not one with a message for which it was taken.
pub(super) struct Refuted(Vec<Bits>);

/// For each actor the local states in which a hypothesis is refuted, and those from which one step leads to
/// such a local state.
#[derive(Serialize, Deserialize)]
pub(super) struct Concerned(Vec<Bits>);

/// The rest of a repair: the shards that are still to do, and the local states that are concerned. The first
/// state is added again at the end.
#[derive(Serialize, Deserialize)]
pub(super) struct Repair {
    pub(super) concerned: Concerned,
    pub(super) shards: BTreeSet<u32>,
}

impl Refuted {
    /// The local states in which `newer` refutes `old`, among those that both know.
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

    /// Whether the hypothesis is refuted in no local state.
    pub(super) fn is_nothing(&self) -> bool {
        self.0.iter().all(Bits::is_empty)
    }

    /// The local states that a repair concerns: each tuple with one of these must be expanded again.
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
    /// Whether the expansion of a tuple with these local states rests on the refuted hypothesis.
    pub(super) fn has(&self, locals: &[u32]) -> bool {
        self.0.iter().zip(locals).any(|(concerned, local)| concerned.has(*local))
    }
}

/// Whether some message matters more by `newer` than by `old`, among the messages that `old` knows.
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

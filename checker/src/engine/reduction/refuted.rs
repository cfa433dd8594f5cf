//! Finds the local states in which a hypothesis is refuted, and the tuples that this concerns.

use super::relevance::{LocalRelevance, Relevance};
use crate::engine::bits::{Bits, Locals, numbers};
use crate::engine::ids::{ListId, LocalId, MessageId, Number, ShardId, Slot};
use crate::engine::tables::{Memo, Tables};
use crate::engine::tuple::Tuple;
use crate::view::{Checkable, Ghostly};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The local states in which a better hypothesis refutes an older one, for each actor. In such a local state
/// some message matters more than the older hypothesis says, or the older one merges messages that differ.
pub(super) struct Refuted(Vec<Locals>);

/// For each actor the local states in which a hypothesis is refuted, and those from which one step leads to
/// such a local state.
#[derive(Serialize, Deserialize)]
pub(in crate::engine) struct Concerned(Vec<Locals>);

/// The rest of a repair: the shards that are still to do, and the local states that are concerned. The first
/// state is added again at the end.
#[derive(Serialize, Deserialize)]
pub(in crate::engine) struct Repair {
    pub(in crate::engine) concerned: Concerned,
    pub(in crate::engine) shards: BTreeSet<ShardId>,
}

impl Refuted {
    /// The local states in which `newer` refutes `old`, among those that both know.
    pub(super) fn of(old: &Relevance, newer: &Relevance) -> Self {
        let mut covered = Memo::default();
        let mut of_actor = |who: Slot| {
            let mut refuted = Locals::default();
            for ((a, b), local) in
                old.locals[who.index()].iter().zip(&newer.locals[who.index()]).zip(LocalId::all())
            {
                let (Some(a), Some(b)) = (a, b) else { continue };
                if tells_apart((old, a), (newer, b))
                    || matters_more((old, a), (newer, b), old.unknown(who), &mut covered)
                {
                    refuted.insert(local);
                }
            }
            refuted
        };
        Self(Slot::first(old.locals.len()).map(&mut of_actor).collect())
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
            let who = step.who.index();
            if refuted[who].has(step.next) {
                concerned[who].insert(step.from);
            }
        }
        Concerned(concerned)
    }
}

impl Concerned {
    /// Whether the expansion of a tuple rests on the refuted hypothesis.
    pub(in crate::engine) fn has(&self, tuple: Tuple<'_>) -> bool {
        tuple.locals().any(|(who, local)| self.0[who.index()].has(local))
    }
}

/// Whether some message that `old` knows matters more by `newer` than by `old`.
fn matters_more(
    (old, a): (&Relevance, &LocalRelevance),
    (newer, b): (&Relevance, &LocalRelevance),
    unknown: MessageId,
    covered: &mut Memo<(ListId, ListId), bool>,
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
    numbers(more.words()).any(|message: MessageId| message < unknown)
}

/// Whether `newer` tells messages apart that `old` takes for one.
fn tells_apart(
    (old, a): (&Relevance, &LocalRelevance),
    (newer, b): (&Relevance, &LocalRelevance),
) -> bool {
    let (old, newer) = (old.partitions.get(a.partition), newer.partitions.get(b.partition));
    numbers(old.renamed().words()).any(|message| newer.of(message) != newer.of(old.of(message)))
}

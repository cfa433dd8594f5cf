//! The third idea: a message that can make no difference any more is left out of a state.
//!
//! See the module's documentation for what is relevant and why it is enough to keep that.

use super::bits::Bits;
use super::intern::Interned;
use super::tables::{Delivery, Memo, Sent, Tables};
use crate::checker::view::{Checkable, Ghostly};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Which messages may still matter to whom: a hypothesis, taken from the steps seen so far.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Relevance {
    /// For each actor and each of its local states, if that had been reached.
    locals: Vec<Vec<Option<LocalRelevance>>>,
    /// How many messages of each actor were known.
    messages: Vec<u32>,
    /// What message-only steps put out.
    #[serde(serialize_with = "write_sent", deserialize_with = "read_sent")]
    sent: Interned<Sent>,
}

/// What may still matter to an actor in one local state.
#[derive(Clone, Default, Serialize, Deserialize)]
struct LocalRelevance {
    /// Messages that change the actor now or in a later local state.
    hard: Bits,
    /// Messages that do not, and what they make it put out, now or later.
    soft: BTreeMap<u32, u32>,
    /// The keys of `soft`.
    conditional: Bits,
}

/// What is known of one message in one local state.
pub(super) enum Matter<'a> {
    /// It matters whatever the other actors are.
    Always,
    /// It does not matter.
    Never,
    /// It matters if one of these messages does something to its receiver.
    If(&'a [(u8, u32)]),
}

impl Relevance {
    /// The hypothesis that everything always matters.
    pub(super) fn everything(actors: usize) -> Self {
        Self { locals: vec![Vec::new(); actors], messages: vec![0; actors], sent: Interned::new() }
    }

    /// What the steps seen so far say. Tries every message on every local state that was reached.
    pub(super) fn of<A: Checkable, G: Ghostly>(tables: &mut Tables<'_, A, G>) -> Self {
        let actors = tables.actors.len();
        let mut relevance = Self::everything(actors);
        relevance.sent.intern(Arc::from([]));
        for who in 0..actors {
            let locals = relevance.own(tables, who);
            let locals = relevance.closed(tables, who, locals);
            relevance.locals[who] = locals;
            let known = tables.actors[who].inbox.len();
            relevance.messages[who] = u32::try_from(known).expect("numbers are u32");
        }
        relevance
    }

    /// What messages do to each local state at once.
    fn own<A: Checkable, G: Ghostly>(
        &mut self,
        tables: &mut Tables<'_, A, G>,
        who: usize,
    ) -> Vec<Option<LocalRelevance>> {
        let count = tables.actors[who].rows.len();
        let mut locals = vec![None; count];
        for (number, entry) in (0..).zip(&mut locals) {
            if tables.actors[who].rows[number as usize].spontaneous.is_none() {
                continue;
            }
            let mut own = LocalRelevance::default();
            for message in (0..).take(tables.actors[who].inbox.len()) {
                match tables.try_delivery(who, number, message) {
                    Delivery::Silent | Delivery::Unknown => {}
                    Delivery::NotMet => {
                        own.hard.insert(message);
                    }
                    Delivery::Step(step) => {
                        let step = &tables.steps[step as usize];
                        if step.change.is_some() || step.broken != 0 {
                            own.hard.insert(message);
                            continue;
                        }
                        own.soft.insert(message, self.sent.intern(Arc::clone(&step.sent)).0);
                    }
                }
            }
            *entry = Some(own);
        }
        locals
    }

    /// What they do now or later: closed under the steps of the actor.
    fn closed<A: Checkable, G: Ghostly>(
        &mut self,
        tables: &Tables<'_, A, G>,
        who: usize,
        mut locals: Vec<Option<LocalRelevance>>,
    ) -> Vec<Option<LocalRelevance>> {
        let rows = &tables.actors[who].rows;
        let mut predecessors: Vec<Vec<u32>> = vec![Vec::new(); rows.len()];
        for (from, row) in (0..).zip(rows) {
            for to in &row.successors {
                predecessors[*to as usize].push(from);
            }
        }
        let mut unions = Memo::default();
        let mut queued = vec![true; rows.len()];
        let mut queue: VecDeque<u32> = (0..).take(rows.len()).collect();
        // What was reached last is what others lead to.
        queue.make_contiguous().reverse();
        while let Some(local) = queue.pop_front() {
            queued[local as usize] = false;
            let Some(later) = locals[local as usize].clone() else { continue };
            for from in &predecessors[local as usize] {
                let Some(entry) = &mut locals[*from as usize] else { continue };
                if self.add_later(entry, &later, &mut unions) && !queued[*from as usize] {
                    queued[*from as usize] = true;
                    queue.push_back(*from);
                }
            }
        }
        for entry in locals.iter_mut().flatten() {
            let LocalRelevance { hard, soft, conditional } = entry;
            soft.retain(|message, _| !hard.has(*message));
            for message in soft.keys() {
                conditional.insert(*message);
            }
        }
        locals
    }

    fn add_later(
        &mut self,
        entry: &mut LocalRelevance,
        later: &LocalRelevance,
        unions: &mut Memo<(u32, u32), u32>,
    ) -> bool {
        let mut changed = entry.hard.merge(&later.hard);
        for (message, sent) in &later.soft {
            let known = entry.soft.entry(*message).or_insert(0);
            let union = *unions.entry((*known, *sent)).or_insert_with(|| self.union(*known, *sent));
            changed |= union != *known;
            *known = union;
        }
        changed
    }

    fn union(&mut self, a: u32, b: u32) -> u32 {
        if a == b {
            return a;
        }
        let mut union: Vec<_> =
            self.sent.get(a).iter().chain(self.sent.get(b).iter()).copied().collect();
        union.sort_unstable();
        union.dedup();
        self.sent.intern(union.into()).0
    }

    /// Whether and when a message matters to an actor in a local state.
    pub(super) fn matter(&self, who: usize, local: u32, message: u32) -> Matter<'_> {
        let known = self.locals[who].get(local as usize).and_then(Option::as_ref);
        match known {
            Some(known) if message < self.messages[who] => {
                if known.hard.has(message) {
                    return Matter::Always;
                }
                match known.soft.get(&message) {
                    None => Matter::Never,
                    Some(sent) => Matter::If(self.sent.get(*sent)),
                }
            }
            _ => Matter::Always,
        }
    }

    /// The messages that matter to an actor in a local state whatever the other actors are, and those
    /// that matter on a condition; `None` if nothing is known of the local state. Of messages beyond
    /// [`Relevance::known_messages`] nothing is known either.
    pub(super) fn masks(&self, who: usize, local: u32) -> Option<(&Bits, &Bits)> {
        let known = self.locals[who].get(local as usize).and_then(Option::as_ref)?;
        Some((&known.hard, &known.conditional))
    }

    /// How many messages of an actor the hypothesis is about.
    pub(super) fn known_messages(&self, who: usize) -> u32 {
        self.messages[who]
    }

    /// The conditional messages of an actor in a local state that matter because of what they make it
    /// send to another one in its local state.
    pub(super) fn because_of(&self, who: usize, local: u32, other: usize, at: u32) -> Bits {
        let mut bits = Bits::default();
        let Some(Some(known)) = self.locals[who].get(local as usize) else { return bits };
        for (message, sent) in &known.soft {
            let matters = self.sent.get(*sent).iter().any(|(to, message)| {
                usize::from(*to) == other && self.does_something(other, at, *message)
            });
            if matters {
                bits.insert(*message);
            }
        }
        bits
    }

    /// Whether a message does anything to an actor, now or later.
    fn does_something(&self, who: usize, local: u32, message: u32) -> bool {
        !matches!(self.matter(who, local, message), Matter::Never)
    }

    /// Whether all that matters by `newer` matters by this one.
    pub(super) fn covers(&self, newer: &Self) -> bool {
        (0..self.locals.len()).all(|who| {
            (0..).zip(&self.locals[who]).all(|(local, known)| {
                known.is_none()
                    || (0..self.messages[who]).all(|message| {
                        match (self.matter(who, local, message), newer.matter(who, local, message))
                        {
                            (Matter::Always, _) | (_, Matter::Never) => true,
                            (Matter::Never, _) | (_, Matter::Always) => false,
                            (Matter::If(old), Matter::If(new)) => {
                                new.iter().all(|sent| old.binary_search(sent).is_ok())
                            }
                        }
                    })
            })
        })
    }
}

fn write_sent<S: Serializer>(sent: &Interned<Sent>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(sent.values().map(|sent| &sent[..]))
}

fn read_sent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Interned<Sent>, D::Error> {
    let mut sent = Interned::new();
    for values in Vec::<Vec<(u8, u32)>>::deserialize(deserializer)? {
        sent.intern(Sent::from(values));
    }
    Ok(sent)
}

//! The third idea: a message that can make no difference any more is left out of a state.
//!
//! Section 3 of `PROOF.md` defines which messages are relevant, and says why it is enough to keep these.
//! [`Relevance::of`] computes a hypothesis from the tables. It tries each message on each local state that
//! was reached, and closes the result under the steps of each actor. Workers filter states by
//! [`Relevance::masks`] and [`Relevance::because_of`].

use super::merging::Partition;
use crate::engine::bits::Messages;
use crate::engine::ids::{EffectId, ListId, LocalId, MessageId, Number, PartitionId, Slot};
use crate::engine::intern::Interned;
use crate::engine::tables::{Delivery, Memo, Sent, Tables};
use crate::run::Lookout;
use crate::view::{Checkable, Ghostly};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The number of trials between two looks at the limits.
const BETWEEN_LOOKS: usize = 256;

/// Says which messages a hypothesis takes for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Merging {
    /// Each message is one only with itself.
    Nothing,
    /// Messages that do the same are one.
    Alike,
}

/// A hypothesis about which messages may still matter to which local state, taken from the steps seen so far.
#[derive(Default, PartialEq, Serialize, Deserialize)]
pub(in crate::engine) struct Relevance {
    /// For each actor and each of its local states, what matters there, if the local state had been reached.
    pub(super) locals: Vec<Vec<Option<LocalRelevance>>>,
    /// For each actor the first message to it that was not known.
    pub(super) unknown: Vec<MessageId>,
    /// The lists of messages that message-only steps send.
    #[serde(serialize_with = "write_sent", deserialize_with = "read_sent")]
    pub(super) sent: Interned<ListId, Sent>,
    /// The partitions that say which messages are one. In partition 0 each message is one only with itself.
    #[serde(serialize_with = "write_partitions", deserialize_with = "read_partitions")]
    pub(super) partitions: Interned<PartitionId, Partition>,
}

/// The messages that may still matter to an actor in one local state.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LocalRelevance {
    /// The hard messages. Now or in a later local state they change the actor, violate a property, panic, or
    /// make the actor send a new message.
    pub(super) hard: Messages,
    /// The soft messages, by the list of messages that they make the actor send, now or later. There are few
    /// such lists.
    pub(super) soft: Vec<(ListId, Messages)>,
    /// All messages in `soft`.
    pub(super) conditional: Messages,
    /// The number in [`Relevance::partitions`] of the partition that says which messages are one.
    pub(super) partition: PartitionId,
}

/// The messages that matter to an actor in one local state, while they are still computed.
#[derive(Clone, Default)]
struct Growing {
    hard: Messages,
    /// Each soft message with the number of its list of sent messages, in the order of messages.
    soft: Vec<(MessageId, ListId)>,
}

/// For each local state, the messages that matter because of what they do there at once; and the number of
/// the effect of each message there.
type Own = (Vec<Option<Growing>>, Vec<Vec<EffectId>>);

impl From<Growing> for LocalRelevance {
    fn from(Growing { hard, soft }: Growing) -> Self {
        let mut conditional = Messages::default();
        let mut by_list = BTreeMap::<ListId, Messages>::new();
        for (message, sent) in soft.into_iter().filter(|(message, _)| !hard.has(*message)) {
            conditional.insert(message);
            by_list.entry(sent).or_default().insert(message);
        }
        Self {
            hard,
            soft: by_list.into_iter().collect(),
            conditional,
            partition: PartitionId::TRIVIAL,
        }
    }
}

impl Growing {
    /// Adds the effect that a message has at once, and returns the number of that effect. The number never
    /// changes, so effects that were once told apart always are.
    fn add<A: Checkable, G: Ghostly>(
        &mut self,
        tables: &Tables<'_, A, G>,
        message: MessageId,
        tried: Delivery,
        lists: &mut Interned<ListId, Sent>,
    ) -> EffectId {
        match tried {
            Delivery::Silent | Delivery::Unknown => EffectId::NOTHING,
            Delivery::NotMet(effect) => {
                self.hard.insert(message);
                effect
            }
            Delivery::Step(step) => {
                let step = &tables.steps[step.index()];
                if step.change.is_some() || step.broken != 0 {
                    self.hard.insert(message);
                } else if step.sent.is_empty() {
                    return EffectId::NOTHING; // as when a handler sets a timer that is set already
                } else {
                    self.soft.push((message, lists.intern(Arc::clone(&step.sent)).0));
                }
                step.effect
            }
        }
    }
}

impl Relevance {
    /// The hypothesis that everything always matters.
    pub(in crate::engine) fn everything(actors: usize) -> Self {
        let mut partitions = Interned::new();
        partitions.intern(Partition::default());
        Self {
            locals: vec![Vec::new(); actors],
            unknown: vec![MessageId::of(0); actors],
            sent: Interned::new(),
            partitions,
        }
    }

    /// The hypothesis that follows from all steps seen. The function tries every message on every local state
    /// that was reached. `merging` says whether messages may be one.
    ///
    /// # Errors
    /// The limit that was reached before the hypothesis was known.
    pub(super) fn of<A: Checkable, G: Ghostly>(
        tables: &mut Tables<'_, A, G>,
        merging: Merging,
        lookout: &Lookout<'_>,
    ) -> Result<Self, &'static str> {
        let actors = tables.actors.len();
        let mut relevance = Self::everything(actors);
        relevance.sent.intern(Arc::from([]));
        for who in Slot::first(actors) {
            let (locals, effects) = relevance.own(tables, who, lookout)?;
            let predecessors = predecessors(tables, who);
            let locals = relevance.closed(&predecessors, locals, lookout)?.into_iter();
            let mut locals: Vec<_> = locals.map(|entry| entry.map(LocalRelevance::from)).collect();
            if merging == Merging::Alike {
                let names = super::merging::refine(effects, &predecessors, || {
                    lookout.reached().map_or(Ok(()), Err)
                })?;
                for (entry, names) in locals.iter_mut().zip(names) {
                    let Some(entry) = entry else { continue };
                    entry.partition = relevance.partitions.intern(Partition::new(names)).0;
                }
            }
            relevance.locals[who.index()] = locals;
            relevance.unknown[who.index()] = MessageId::of(tables.actors[who.index()].inbox.len());
        }
        super::equivariance::check(&relevance, tables, lookout)?;
        Ok(relevance)
    }

    /// The messages that matter to each local state because of what they do there at once, and the numbers of
    /// these effects, by message.
    fn own<A: Checkable, G: Ghostly>(
        &mut self,
        tables: &mut Tables<'_, A, G>,
        who: Slot,
        lookout: &Lookout<'_>,
    ) -> Result<Own, &'static str> {
        let count = tables.actors[who.index()].rows.len();
        let mut locals = vec![None; count];
        let mut effects = vec![Vec::new(); count];
        for (local, entry) in LocalId::all().zip(&mut locals) {
            let is_reached = tables.actors[who.index()].rows[local.index()].spontaneous.is_some();
            if !is_reached {
                continue;
            }
            let mut own = Growing::default();
            for message in MessageId::first(tables.actors[who.index()].inbox.len()) {
                if message.index().is_multiple_of(BETWEEN_LOOKS)
                    && let Some(reason) = lookout.reached()
                {
                    return Err(reason);
                }
                let tried = tables.try_delivery(who, local, message);
                let effect = own.add(tables, message, tried, &mut self.sent);
                effects[local.index()].push(effect);
            }
            *entry = Some(own);
        }
        Ok((locals, effects))
    }

    /// Closes the messages that matter under the steps of the actor, so that they include those that matter
    /// later.
    fn closed(
        &mut self,
        predecessors: &[Vec<LocalId>],
        mut locals: Vec<Option<Growing>>,
        lookout: &Lookout<'_>,
    ) -> Result<Vec<Option<Growing>>, &'static str> {
        let mut unions = Memo::default();
        let mut queued = vec![true; locals.len()];
        let mut queue: VecDeque<LocalId> = LocalId::first(locals.len()).collect();
        // Local states that were reached last come first, because others lead to them.
        queue.make_contiguous().reverse();
        while let Some(local) = queue.pop_front() {
            if let Some(reason) = lookout.reached() {
                return Err(reason);
            }
            queued[local.index()] = false;
            let Some(later) = locals[local.index()].clone() else { continue };
            for from in &predecessors[local.index()] {
                let Some(entry) = &mut locals[from.index()] else { continue };
                if self.add_later(entry, &later, &mut unions) && !queued[from.index()] {
                    queued[from.index()] = true;
                    queue.push_back(*from);
                }
            }
        }
        Ok(locals)
    }

    /// Adds the messages that matter in a local state to which that of `entry` leads; returns whether any is
    /// new.
    fn add_later(
        &mut self,
        entry: &mut Growing,
        later: &Growing,
        unions: &mut Memo<(ListId, ListId), ListId>,
    ) -> bool {
        let Growing { hard, soft } = entry;
        let mut changed = hard.merge(&later.hard);
        let mut added = Vec::new();
        let mut at = 0;
        for (message, sent) in later.soft.iter().filter(|(message, _)| !hard.has(*message)) {
            at += soft[at..].iter().take_while(|(known, _)| known < message).count();
            match soft.get_mut(at) {
                Some((known, list)) if known == message => {
                    // Most often the two lists are equal.
                    if list != sent {
                        let union = unions.entry((*list, *sent));
                        let union = *union.or_insert_with(|| self.union(*list, *sent));
                        changed |= *list != union;
                        *list = union;
                    }
                }
                _ => added.push((*message, *sent)),
            }
        }
        if !added.is_empty() {
            changed = true;
            soft.append(&mut added);
            soft.sort_unstable();
        }
        changed
    }

    fn union(&mut self, a: ListId, b: ListId) -> ListId {
        if a == b {
            return a;
        }
        let mut union: Vec<_> =
            self.sent.get(a).iter().chain(self.sent.get(b).iter()).copied().collect();
        union.sort_unstable();
        union.dedup();
        self.sent.intern(union.into()).0
    }

    /// The messages that matter to an actor in a local state whatever the other actors are, and those that
    /// matter on a condition. `None` if nothing is known of the local state. Nothing is known either of
    /// messages from [`Relevance::unknown`] on.
    pub(super) fn masks(&self, who: Slot, local: LocalId) -> Option<(&Messages, &Messages)> {
        let known = self.locals[who.index()].get(local.index()).and_then(Option::as_ref)?;
        Some((&known.hard, &known.conditional))
    }

    /// The partition that says which messages are one to an actor in a local state, with its number; `None`
    /// if each message is one only with itself.
    pub(super) fn partition(&self, who: Slot, local: LocalId) -> Option<(PartitionId, &Partition)> {
        let known = self.locals[who.index()].get(local.index())?.as_ref()?;
        (known.partition != PartitionId::TRIVIAL)
            .then(|| (known.partition, self.partitions.get(known.partition)))
    }

    /// The first message of an actor that the hypothesis is not about.
    pub(super) fn unknown(&self, who: Slot) -> MessageId {
        self.unknown[who.index()]
    }

    /// The conditional messages of an actor in a local state that matter because of another actor. They make
    /// the first actor send a message that does something to the other one in its local state.
    pub(super) fn because_of(
        &self,
        who: Slot,
        local: LocalId,
        other: Slot,
        at: LocalId,
    ) -> Messages {
        let mut bits = Messages::default();
        let Some(Some(known)) = self.locals[who.index()].get(local.index()) else { return bits };
        for (sent, messages) in &known.soft {
            let matters = self
                .sent
                .get(*sent)
                .iter()
                .any(|(to, message)| *to == other && self.does_something(other, at, *message));
            if matters {
                bits.merge(messages);
            }
        }
        bits
    }

    /// Whether a message does anything to an actor, now or later; true also if the hypothesis does not know.
    fn does_something(&self, who: Slot, local: LocalId, message: MessageId) -> bool {
        if message >= self.unknown(who) {
            return true;
        }
        let masks = self.masks(who, local);
        masks.is_none_or(|(hard, conditional)| hard.has(message) || conditional.has(message))
    }
}

/// For each local state of an actor, the local states from which one step leads to it.
pub(super) fn predecessors<A: Checkable, G: Ghostly>(
    tables: &Tables<'_, A, G>,
    who: Slot,
) -> Vec<Vec<LocalId>> {
    let mut predecessors = vec![Vec::new(); tables.actors[who.index()].rows.len()];
    for step in &tables.steps {
        if step.who == who && step.change.is_some() {
            predecessors[step.next.index()].push(step.from);
        }
    }
    for from in &mut predecessors {
        from.sort_unstable();
        from.dedup();
    }
    predecessors
}

fn write_sent<S: Serializer>(
    sent: &Interned<ListId, Sent>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(sent.values().map(|sent| &sent[..]))
}

fn read_sent<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Interned<ListId, Sent>, D::Error> {
    let mut sent = Interned::new();
    for values in Vec::<Vec<(Slot, MessageId)>>::deserialize(deserializer)? {
        sent.intern(Sent::from(values));
    }
    Ok(sent)
}

fn write_partitions<S: Serializer>(
    partitions: &Interned<PartitionId, Partition>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(partitions.values())
}

fn read_partitions<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Interned<PartitionId, Partition>, D::Error> {
    let mut partitions = Interned::new();
    for partition in Vec::<Partition>::deserialize(deserializer)? {
        partitions.intern(partition);
    }
    Ok(partitions)
}

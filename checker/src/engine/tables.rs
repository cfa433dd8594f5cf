//! The first idea: an actor is a deterministic function of its local state and one event. So each pair is run
//! once, and a global state is a few numbers.
//!
//! [`Tables`] interns everything by value and compares it exactly (`orbits.rs`); handlers run in
//! `handlers.rs`. The functions here make each call together with all calls to which it can be renamed, and
//! compare the outcomes.

use super::effects::Effects;
use super::ids::{
    ChangeId, EffectId, GhostId, LocalId, MessageId, Number, OrbitId, PermutationId, Slot, StepId,
};
use super::intern::Interned;
use super::local::LocalValue;
use super::reduction::{Images, Permutations};
use super::tuple::TupleBuf;
use crate::view::{Checkable, Ghostly};
use crate::world::{State, World};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};
use stateright::actor::{Actor, Id};
use std::collections::BTreeMap;
use std::hash::Hash;
use std::sync::Arc;

/// Messages in order, each by its receiver and its number there.
pub(super) type Sent = Arc<[(Slot, MessageId)]>;
/// A hash map that is asked and never iterated.
pub(super) type Memo<K, V> = HashMap<K, V, FxBuildHasher>;

/// The outcome of trying one message on one local state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The message was not tried.
    Unknown,
    /// Nothing happens, and no property of outputs is violated by that.
    Silent,
    /// The message would change the local state, violate a property, or send a message that no step has sent.
    /// But message and local state have not met in any state that was reached. The outcome is not interned,
    /// because unreachable local states would breed more of them; the number is that of the outcome in
    /// [`Tables::effects`]. The handler may also have panicked, which may be why the two never meet.
    NotMet(EffectId),
    /// The message causes this step.
    Step(StepId),
}

/// A [`Delivery`] in four bytes.
#[derive(Clone, Copy)]
struct Packed(u32);

impl Packed {
    const UNKNOWN: Self = Self(0);

    fn new(delivery: Delivery) -> Self {
        let packed = |index: usize| {
            let packed = u32::try_from(2 * index + 2).ok().filter(|packed| *packed < u32::MAX);
            packed.expect("fewer than 2^31 handler calls")
        };
        Self(match delivery {
            Delivery::Unknown => 0,
            Delivery::Silent => 1,
            Delivery::NotMet(effect) => packed(effect.index()),
            Delivery::Step(step) => packed(step.index()) + 1,
        })
    }

    fn get(self) -> Delivery {
        match self.0 {
            0 => Delivery::Unknown,
            1 => Delivery::Silent,
            n if n % 2 == 0 => Delivery::NotMet(EffectId::of(n as usize / 2 - 1)),
            n => Delivery::Step(StepId::of(n as usize / 2 - 1)),
        }
    }
}

/// One memoised step: a handler call that does something, or that does nothing and violates a property by
/// that.
pub(super) struct StepRecord {
    /// The actor, and the local state from which the step leads.
    pub(super) who: Slot,
    pub(super) from: LocalId,
    /// The local state to which the step leads.
    pub(super) next: LocalId,
    /// The messages that the step sends.
    pub(super) sent: Sent,
    /// The change that the step makes; `None` if the step only puts messages out.
    pub(super) change: Option<ChangeId>,
    /// The properties of outputs that the step breaks, as bits.
    pub(super) broken: u32,
    /// The event of the step.
    pub(super) event: StepEvent,
    /// Whether the event is a restart.
    pub(super) restart: bool,
    /// The number of the step's effect in [`Tables::effects`].
    pub(super) effect: EffectId,
}

/// An event by numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepEvent {
    /// The delivery of the message with this number at the actor.
    Deliver(MessageId),
    /// The n-th spontaneous event of the local state: a timeout, a choice or a restart.
    Spontaneous(u32),
}

/// A change of one actor: the local states before and after, and whether a restart made it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ChangeKey {
    pub(super) who: Slot,
    pub(super) before: LocalId,
    pub(super) after: LocalId,
    pub(super) restart: bool,
}

/// A call that gave something its number. If the calls are made again in the order in which they were made,
/// they give the numbers that they gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Call {
    /// A call of [`Tables::spontaneous`].
    Spontaneous { who: Slot, local: LocalId },
    /// A call of [`Tables::deliver`].
    Deliver { who: Slot, local: LocalId, message: MessageId },
    /// A call of [`Tables::try_delivery`].
    Try { who: Slot, local: LocalId, message: MessageId },
    /// A call of [`Tables::ghost_step`].
    Ghost { ghost: GhostId, change: ChangeId },
}

/// The knowledge about one actor.
pub(super) struct ActorTable<A: Actor> {
    /// The local states of the actor.
    pub(super) locals: Interned<LocalId, LocalValue<A>>,
    /// Every message that was ever sent to the actor, with its sender.
    pub(super) inbox: Interned<MessageId, (Id, A::Msg)>,
    /// The knowledge about each local state.
    pub(super) rows: Vec<Row>,
}

/// The knowledge about one local state.
#[derive(Default)]
pub(super) struct Row {
    /// The first bound of single actors that the local state is outside of.
    pub(super) outside: Option<u8>,
    /// The spontaneous steps, once the local state has been reached within the bounds.
    pub(super) spontaneous: Option<Vec<StepId>>,
    /// The outcome of each message, by number. This is the largest table of all, so its entries are packed.
    deliveries: Vec<Packed>,
    /// The messages for which this local state was labelled for coverage.
    pub(super) labelled: Vec<bool>,
}

/// All knowledge about a world, except which combinations of local states are reachable.
pub(super) struct Tables<'w, A: Checkable, G> {
    pub(super) world: &'w World<A, G>,
    pub(super) actors: Vec<ActorTable<A>>,
    pub(super) steps: Vec<StepRecord>,
    pub(super) changes: Interned<ChangeId, ChangeKey>,
    pub(super) ghosts: Interned<GhostId, G>,
    pub(super) ghost_steps: Memo<(GhostId, ChangeId), GhostStep>,
    pub(super) may_restart: Vec<bool>,
    /// The number of steps for each label, if labels were asked for.
    pub(super) labels: BTreeMap<&'static str, u64>,
    /// The permutations of interchangeable actors. Everything here is closed under them, and that is tested.
    /// A value is interned with its whole orbit; a step is run with all steps to which it can be renamed.
    pub(super) group: Permutations,
    /// The images under the permutations of each actor's local states and messages, and of the ghosts.
    pub(super) local_images: Vec<Images<LocalId>>,
    pub(super) message_images: Vec<Images<MessageId>>,
    pub(super) ghost_images: [Images<GhostId>; 1],
    /// The number of the orbit of each local state, for each actor.
    pub(super) orbits: Vec<Vec<OrbitId>>,
    /// The number of orbits of local states.
    pub(super) orbit_count: usize,
    /// The calls that gave everything here its numbers.
    pub(super) calls: Vec<Call>,
    /// The effects of deliveries: the local state to which an actor comes, the messages it sends, and the
    /// properties of outputs that are violated.
    pub(super) effects: Effects<A>,
}

/// The ghost after a change, and the properties that the change breaks, as bits.
#[derive(Clone, Copy)]
pub(super) struct GhostStep {
    pub(super) ghost: GhostId,
    pub(super) broken: u32,
}

impl<'w, A: Checkable, G: Ghostly> Tables<'w, A, G> {
    /// Tables that know nothing but the world. Steps with these labels are counted. The permutations must be
    /// the world's.
    pub(super) fn new(
        world: &'w World<A, G>,
        labels: &[&'static str],
        group: Permutations,
    ) -> Self {
        let actors = world.actors.actors.len();
        assert!(u8::try_from(actors).is_ok(), "at most 255 actors");
        let mut tables = Self {
            world,
            actors: (0..actors).map(|_| ActorTable::new()).collect(),
            steps: Vec::new(),
            changes: Interned::new(),
            ghosts: Interned::new(),
            ghost_steps: Memo::default(),
            may_restart: vec![false; actors],
            labels: labels.iter().map(|label| (*label, 0)).collect(),
            group,
            local_images: (0..actors).map(|_| Images::default()).collect(),
            message_images: (0..actors).map(|_| Images::default()).collect(),
            ghost_images: [Images::default()],
            orbits: vec![Vec::new(); actors],
            orbit_count: 0,
            calls: Vec::new(),
            effects: Effects::new(),
        };
        for id in &world.restartable {
            tables.may_restart[Slot::from(*id).index()] = true;
        }
        tables
    }

    /// The numbers of a state of the world: those of the local states and the ghost, and those of the
    /// messages.
    pub(super) fn import(&mut self, state: &State<A, G>) -> (TupleBuf, Vec<(Slot, MessageId)>) {
        let view = state.view();
        let locals = Slot::all().zip(view.locals());
        let locals = locals.map(|(who, local)| self.intern_local(who, LocalValue::of(&local)));
        let locals: Vec<_> = locals.collect();
        let tuple = TupleBuf::new(locals.into_iter(), self.intern_ghost(state.ghost.clone()));
        let messages = state.messages().map(|(src, dst, msg)| {
            let to = Slot::from(dst);
            (to, self.intern_message(to, src, msg.clone()))
        });
        (tuple, messages.collect())
    }

    /// Makes a call again; returns whether the call can be made at all.
    pub(super) fn call_again(&mut self, call: Call) -> bool {
        let is_local = |who: Slot, local: LocalId| {
            let table = self.actors.get(who.index());
            table.is_some_and(|table| local.index() < table.locals.len())
        };
        let is_known = |who: Slot, local: LocalId, message: MessageId| {
            is_local(who, local) && message.index() < self.actors[who.index()].inbox.len()
        };
        match call {
            Call::Spontaneous { who, local } => {
                is_local(who, local) && {
                    self.spontaneous(who, local);
                    true
                }
            }
            Call::Deliver { who, local, message } => {
                is_known(who, local, message) && self.deliver(who, local, message).is_some()
            }
            Call::Try { who, local, message } => {
                is_known(who, local, message) && {
                    let tried = self.try_delivery(who, local, message);
                    matches!(tried, Delivery::Step(_))
                }
            }
            Call::Ghost { ghost, change } => {
                let known = ghost.index() < self.ghosts.len();
                known && change.index() < self.changes.len() && {
                    self.ghost_step(ghost, change);
                    true
                }
            }
        }
    }

    // ---- steps, each with all that it can be renamed to ----

    /// The spontaneous steps of a local state that has been reached, without the silent ones.
    pub(super) fn spontaneous(&mut self, who: Slot, local: LocalId) -> Vec<StepId> {
        if let Some(steps) = &self.actors[who.index()].rows[local.index()].spontaneous {
            return steps.clone();
        }
        self.calls.push(Call::Spontaneous { who, local });
        let steps = self.spontaneous_here(who, local);
        for n in self.group.others() {
            let (to, image) = self.local_image(n, who, local);
            let images = self.spontaneous_here(to, image);
            let of = |n, who, step: &StepId| self.step_image(n, who, *step);
            let identity = PermutationId::IDENTITY;
            let mut expected: Vec<_> = steps.iter().map(|step| of(n, who, step)).collect();
            let mut found: Vec<_> = images.iter().map(|step| of(identity, to, step)).collect();
            expected.sort_unstable();
            found.sort_unstable();
            assert!(expected == found, "{}", self.asymmetry(n, who, local, None));
        }
        steps
    }

    /// The effect of a step, renamed: the local state to which it leads, the messages it sends, the
    /// properties it breaks, and whether it is a restart.
    fn step_image(
        &self,
        n: PermutationId,
        who: Slot,
        step: StepId,
    ) -> (LocalId, Vec<(Slot, MessageId)>, u32, bool) {
        let step = &self.steps[step.index()];
        let sent = step
            .sent
            .iter()
            .map(|(to, message)| (self.group.moves(n, *to), self.message_image(n, *to, *message)));
        let mut sent: Vec<_> = sent.collect();
        sent.sort_unstable();
        (self.local_image(n, who, step.next).1, sent, step.broken, step.restart)
    }

    /// Whether the first step, renamed, does what the second step does.
    fn are_alike(&self, n: PermutationId, of: (Slot, StepId), is: (Slot, StepId)) -> bool {
        self.step_image(n, of.0, of.1) == self.step_image(PermutationId::IDENTITY, is.0, is.1)
    }

    /// The text of the panic where the handlers and the renaming do not fit each other.
    fn asymmetry(
        &self,
        n: PermutationId,
        who: Slot,
        local: LocalId,
        message: Option<MessageId>,
    ) -> String {
        let state = &self.actors[who.index()].locals.get(local).state;
        let event = match message {
            Some(message) => format!("{:?}", self.event(who, local, StepEvent::Deliver(message))),
            None => "what it does by itself".to_owned(),
        };
        let (names, who) = (self.group.permutation(n), who.index());
        format!(
            "the actors are not interchangeable as the world's `symmetry` says: renaming by {names:?} \
             before and after differ for actor {who} in {state:?}, {event}"
        )
    }

    /// The outcome of a message at a local state; unknown if [`Tables::deliver`] would call the handler.
    pub(super) fn delivered(&self, who: Slot, local: LocalId, message: MessageId) -> Delivery {
        match self.known(who, local, message) {
            Delivery::NotMet(_) => Delivery::Unknown,
            _ if self.labels_due(who, local, message) => Delivery::Unknown,
            known => known,
        }
    }

    /// The step that a message causes in a local state that it meets in a state that was reached; `None` if
    /// nothing happens.
    pub(super) fn deliver(
        &mut self,
        who: Slot,
        local: LocalId,
        message: MessageId,
    ) -> Option<StepId> {
        match self.delivered(who, local, message) {
            Delivery::Silent => return None,
            Delivery::Step(step) => return Some(step),
            Delivery::Unknown | Delivery::NotMet(_) => {}
        }
        let step = self.deliver_here(who, local, message);
        if step.is_some() {
            self.calls.push(Call::Deliver { who, local, message });
        }
        for n in self.group.others() {
            let (to, image) = self.local_image(n, who, local);
            let found = self.deliver_here(to, image, self.message_image(n, who, message));
            let alike = match (step, found) {
                (Some(step), Some(found)) => self.are_alike(n, (who, step), (to, found)),
                (step, found) => step == found,
            };
            assert!(alike, "{}", self.asymmetry(n, who, local, Some(message)));
        }
        step
    }

    /// The outcome that a message would have at a local state, whether or not the two ever meet. If the
    /// handler would send messages that nobody has sent, there is no step yet.
    pub(super) fn try_delivery(
        &mut self,
        who: Slot,
        local: LocalId,
        message: MessageId,
    ) -> Delivery {
        let known = self.known(who, local, message);
        if known != Delivery::Unknown {
            return known;
        }
        let tried = self.try_here(who, local, message);
        if self.known(who, local, message) == Delivery::Unknown {
            return tried; // the outcome holds only for now
        }
        if let Delivery::Step(_) = tried {
            self.calls.push(Call::Try { who, local, message });
        }
        for n in self.group.others() {
            let (to, image) = self.local_image(n, who, local);
            let image_of_message = self.message_image(n, who, message);
            let found = self.try_here(to, image, image_of_message);
            let alike = match (tried, found) {
                (Delivery::Step(step), Delivery::Step(found)) => {
                    self.are_alike(n, (who, step), (to, found))
                }
                (Delivery::NotMet(_), Delivery::NotMet(_)) => true,
                (tried, found) => tried == found,
            };
            assert!(alike, "{}", self.asymmetry(n, who, local, Some(message)));
        }
        tried
    }

    /// The ghost after a change.
    pub(super) fn ghost_step(&mut self, ghost: GhostId, change: ChangeId) -> GhostStep {
        if let Some(known) = self.ghost_steps.get(&(ghost, change)) {
            return *known;
        }
        self.calls.push(Call::Ghost { ghost, change });
        let step = self.ghost_step_here(ghost, change);
        let key = *self.changes.get(change);
        for n in self.group.others() {
            let (who, before) = self.local_image(n, key.who, key.before);
            let (_, after) = self.local_image(n, key.who, key.after);
            let image = ChangeKey { who, before, after, restart: key.restart };
            let expected = self.ghost_image(n, step.ghost);
            let ghost = self.ghost_image(n, ghost);
            let change = self.changes.intern(image).0;
            let found = self.ghost_step_here(ghost, change);
            assert!(
                (found.ghost, found.broken) == (expected, step.broken),
                "{}",
                self.asymmetry(n, key.who, key.before, None)
            );
        }
        step
    }
}

impl Row {
    /// A row that knows only the first bound that its local state is outside of.
    pub(super) fn new(outside: Option<u8>) -> Self {
        Self { outside, ..Self::default() }
    }

    /// The outcome of a message.
    pub(super) fn delivery(&self, message: MessageId) -> Delivery {
        self.deliveries.get(message.index()).map_or(Delivery::Unknown, |packed| packed.get())
    }

    /// Notes the outcome of a message.
    pub(super) fn note(&mut self, message: MessageId, delivery: Delivery) {
        let needed = self.deliveries.len().max(message.index() + 1);
        self.deliveries.resize(needed, Packed::UNKNOWN);
        self.deliveries[message.index()] = Packed::new(delivery);
    }

    /// The step that a message causes, if it is known to cause one.
    pub(super) fn step(&self, message: MessageId) -> Option<StepId> {
        match self.delivery(message) {
            Delivery::Step(step) => Some(step),
            _ => None,
        }
    }
}

impl<A: Actor> ActorTable<A> {
    fn new() -> Self {
        Self { locals: Interned::new(), inbox: Interned::new(), rows: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_delivery_is_the_same() {
        let mut row = Row::default();
        let all = [
            Delivery::Silent,
            Delivery::NotMet(EffectId::of(0)),
            Delivery::Step(StepId::of(0)),
            Delivery::NotMet(EffectId::of(1 << 30)),
            Delivery::Step(StepId::of(1 << 30)),
            Delivery::Unknown,
        ];
        for (message, delivery) in MessageId::all().zip(all) {
            row.note(message, delivery);
        }
        assert!(
            MessageId::all().zip(all).all(|(message, delivery)| row.delivery(message) == delivery)
        );
        assert!(row.delivery(MessageId::of(100)) == Delivery::Unknown);
    }
}

//! Makes each handler call once. The outputs of a handler act on one actor here as they act on it in
//! stateright's `ActorModel`. The comparison in `tests/reduction.rs` with a search through stateright's
//! interface shows that both do the same.

use super::ids::{ChangeId, EffectId, GhostId, LocalId, MessageId, Number, Slot, StepId};
use super::local::LocalValue;
use super::tables::{ChangeKey, Delivery, GhostStep, Sent, StepEvent, StepRecord, Tables};
use super::trial::tried;
use crate::view::{Change, Checkable, CommandOf, Event, EventOf, Ghostly, Output};
use stateright::actor::{Command, Id, Out, RandomChoices, Timers};
use std::borrow::Cow;

/// The outcome of a handler call: the local state after it, and the outputs.
type Ran<A> = (LocalValue<A>, Vec<CommandOf<A>>);

/// The outcome of a handler that was tried: the local state and outputs, whether the actor changes, and the
/// properties of outputs that are violated, as bits.
struct Trial<A: Checkable> {
    ran: Ran<A>,
    changes: bool,
    broken: u32,
}

impl<A: Checkable, G: Ghostly> Tables<'_, A, G> {
    /// The spontaneous events of a local state, in a fixed order.
    pub(super) fn spontaneous_events(&self, who: Slot, local: LocalId) -> Vec<EventOf<A>> {
        let value = self.actors[who.index()].locals.get(local);
        let mut events: Vec<_> = value.timers.iter().cloned().map(Event::Timeout).collect();
        events.extend(value.randoms.map.iter().flat_map(|(key, choices)| {
            choices.iter().map(|random| Event::Choose { key: key.clone(), random: random.clone() })
        }));
        if self.may_restart[who.index()] {
            events.push(Event::Restart);
        }
        events.sort_unstable();
        events
    }

    /// The event of a step.
    pub(super) fn event(&self, who: Slot, local: LocalId, event: StepEvent) -> EventOf<A> {
        match event {
            StepEvent::Deliver(message) => {
                let (src, msg) = self.actors[who.index()].inbox.get(message).clone();
                Event::Deliver { src, msg }
            }
            StepEvent::Spontaneous(n) => {
                self.spontaneous_events(who, local).swap_remove(n as usize)
            }
        }
    }

    pub(super) fn spontaneous_here(&mut self, who: Slot, local: LocalId) -> Vec<StepId> {
        if let Some(steps) = &self.actors[who.index()].rows[local.index()].spontaneous {
            return steps.clone();
        }
        let mut steps = Vec::new();
        for (n, event) in self.spontaneous_events(who, local).into_iter().enumerate() {
            let ran = self.ran(who, local, &event);
            self.count_labels(who, local, &event, &ran);
            let event_number = StepEvent::Spontaneous(u32::try_from(n).expect("few events"));
            steps.extend(self.record(who, local, event_number, &event, ran));
        }
        self.actors[who.index()].rows[local.index()].spontaneous = Some(steps.clone());
        steps
    }

    pub(super) fn deliver_here(
        &mut self,
        who: Slot,
        local: LocalId,
        message: MessageId,
    ) -> Option<StepId> {
        let known = self.known(who, local, message);
        let labels_due = self.labels_due(who, local, message);
        match known {
            Delivery::Silent if !labels_due => return None,
            Delivery::Step(step) if !labels_due => return Some(step),
            _ => {}
        }
        let event = self.event(who, local, StepEvent::Deliver(message));
        let ran = self.ran(who, local, &event);
        if labels_due {
            self.count_labels(who, local, &event, &ran);
            let row = &mut self.actors[who.index()].rows[local.index()];
            row.labelled.resize(row.labelled.len().max(message.index() + 1), false);
            row.labelled[message.index()] = true;
        }
        if let Delivery::Step(step) = known {
            return Some(step);
        }
        let step = self.record(who, local, StepEvent::Deliver(message), &event, ran);
        self.note(who, local, message, step.map_or(Delivery::Silent, Delivery::Step));
        step
    }

    pub(super) fn try_here(&mut self, who: Slot, local: LocalId, message: MessageId) -> Delivery {
        let known = self.known(who, local, message);
        if known != Delivery::Unknown {
            return known;
        }
        let event = self.event(who, local, StepEvent::Deliver(message));
        let delivery = match tried(|| self.trial(who, local, &event)) {
            None => Delivery::NotMet(EffectId::PANIC),
            Some(None) => Delivery::Silent,
            Some(Some(Trial { ran: (next, out), changes, broken })) => {
                if changes || broken != 0 {
                    Delivery::NotMet(self.effect(&next, &out, broken))
                } else if !self.only_known(who, &out) {
                    // The outcome is not noted: it holds only until the outputs are known.
                    return Delivery::NotMet(self.effect(&next, &out, broken));
                } else {
                    let number = StepEvent::Deliver(message);
                    let step = self.record(who, local, number, &event, (next, out));
                    step.map_or(Delivery::Silent, Delivery::Step)
                }
            }
        };
        self.note(who, local, message, delivery);
        delivery
    }

    /// The outcome of an event at a local state that it may never meet; `None` if nothing happens and no
    /// property is violated by that.
    fn trial(&self, who: Slot, local: LocalId, event: &EventOf<A>) -> Option<Trial<A>> {
        let Some((next, out)) = self.run(who, local, event) else {
            let before = self.actors[who.index()].locals.get(local);
            let broken = self.breaks(who, local, event, before, &[]);
            let ran = || (before.clone(), Vec::new());
            return (broken != 0).then(|| Trial { ran: ran(), changes: false, broken });
        };
        let changes = *self.actors[who.index()].locals.get(local) != next;
        let broken = self.breaks(who, local, event, &next, &out);
        let is_nothing = !changes && out.is_empty() && broken == 0;
        (!is_nothing).then_some(Trial { ran: (next, out), changes, broken })
    }

    pub(super) fn known(&self, who: Slot, local: LocalId, message: MessageId) -> Delivery {
        self.actors[who.index()].rows[local.index()].delivery(message)
    }

    pub(super) fn labels_due(&self, who: Slot, local: LocalId, message: MessageId) -> bool {
        let row = &self.actors[who.index()].rows[local.index()];
        !self.labels.is_empty() && !row.labelled.get(message.index()).is_some_and(|done| *done)
    }

    fn note(&mut self, who: Slot, local: LocalId, message: MessageId, delivery: Delivery) {
        self.actors[who.index()].rows[local.index()].note(message, delivery);
    }

    /// The place of an actor, if the world has that actor.
    fn slot(&self, id: Id) -> Option<Slot> {
        (usize::from(id) < self.actors.len()).then(|| Slot::from(id))
    }

    /// Whether every message in the outputs has been sent before in a state that was reached.
    fn only_known(&self, who: Slot, out: &[CommandOf<A>]) -> bool {
        out.iter().all(|command| match command {
            Command::Send(to, msg) => match self.slot(*to).map(|to| &self.actors[to.index()]) {
                Some(table) => table.inbox.number(&(who.id(), msg.clone())).is_some(),
                None => true,
            },
            _ => true,
        })
    }

    fn breaks(
        &self,
        who: Slot,
        local: LocalId,
        event: &EventOf<A>,
        next: &LocalValue<A>,
        out: &[CommandOf<A>],
    ) -> u32 {
        let before = self.actors[who.index()].locals.get(local).view();
        let who = who.id();
        self.world.broken_by_output(&Output { who, event, before, after: next.view(), out })
    }

    /// The number of the effect of a delivery.
    fn effect(&mut self, next: &LocalValue<A>, out: &[CommandOf<A>], broken: u32) -> EffectId {
        self.effects.number(self.actors.len(), next, out, broken)
    }

    /// The outcome of a handler call, even if it does nothing.
    fn ran(&self, who: Slot, local: LocalId, event: &EventOf<A>) -> Ran<A> {
        let nothing = || (self.actors[who.index()].locals.get(local).clone(), Vec::new());
        self.run(who, local, event).unwrap_or_else(nothing)
    }

    /// Runs the handler; `None` if the handler itself shows that it does nothing. Most deliveries that are
    /// tried do nothing.
    fn run(&self, who: Slot, local: LocalId, event: &EventOf<A>) -> Option<Ran<A>> {
        let (actor, id) = (&self.world.actors.actors[who.index()], who.id());
        let before = self.actors[who.index()].locals.get(local);
        let mut out = Out::new();
        let mut state = Cow::Borrowed(&before.state);
        match event {
            Event::Deliver { src, msg } => {
                actor.on_msg(id, &mut state, *src, msg.clone(), &mut out);
                if matches!(state, Cow::Borrowed(_)) && out.is_empty() {
                    return None;
                }
            }
            Event::Timeout(timer) => actor.on_timeout(id, &mut state, timer, &mut out),
            Event::Choose { random, .. } => actor.on_random(id, &mut state, random, &mut out),
            Event::Restart => {
                state = Cow::Owned(actor.on_start(id, &before.storage, &mut out));
            }
        }
        let mut next = LocalValue {
            state: state.into_owned(),
            timers: before.timers.clone(),
            randoms: before.randoms.clone(),
            storage: before.storage.clone(),
        };
        match event {
            Event::Deliver { .. } => {}
            Event::Timeout(timer) => {
                next.timers.cancel(timer);
            }
            Event::Choose { key, .. } => {
                next.randoms.remove(key);
            }
            Event::Restart => {
                next.timers = Timers::new();
                next.randoms = RandomChoices::default();
            }
        }
        let out: Vec<_> = out.into_iter().collect();
        next.take(&out);
        Some((next, out))
    }

    /// Remembers the outcome of a handler call as a step; `None` if nothing happens and no property is
    /// violated by that.
    fn record(
        &mut self,
        who: Slot,
        local: LocalId,
        event_number: StepEvent,
        event: &EventOf<A>,
        (next, out): Ran<A>,
    ) -> Option<StepId> {
        let before = self.actors[who.index()].locals.get(local).view();
        let step = Output { who: who.id(), event, before, after: next.view(), out: &out };
        let broken = self.world.broken_by_output(&step);
        if broken == 0 && step.is_silent() {
            return None;
        }
        let effect = self.effect(&next, &out, broken);
        let restart = matches!(event, Event::Restart);
        let next = self.intern_local(who, next);
        let sent = self.intern_sent(who, &out);
        let change = (next != local)
            .then(|| self.changes.intern(ChangeKey { who, before: local, after: next, restart }).0);
        let number = StepId::of(self.steps.len());
        self.steps.push(StepRecord {
            who,
            from: local,
            next,
            sent,
            change,
            broken,
            event: event_number,
            restart,
            effect,
        });
        Some(number)
    }

    /// The messages among the outputs that go to an actor of the world.
    fn intern_sent(&mut self, who: Slot, out: &[CommandOf<A>]) -> Sent {
        let mut sent = Vec::new();
        for command in out {
            if let Command::Send(to, msg) = command
                && let Some(to) = self.slot(*to)
            {
                let message = self.intern_message(to, who.id(), msg.clone());
                sent.push((to, message));
            }
        }
        sent.sort_unstable();
        sent.dedup();
        sent.into()
    }

    fn count_labels(
        &mut self,
        who: Slot,
        local: LocalId,
        event: &EventOf<A>,
        (next, out): &Ran<A>,
    ) {
        if self.labels.is_empty() {
            return;
        }
        let before = self.actors[who.index()].locals.get(local).view();
        let step = Output { who: who.id(), event, before, after: next.view(), out };
        let mut labels = Vec::new();
        (self.world.label)(&step, &mut labels);
        for label in labels {
            *self.labels.get_mut(label).expect("every label is in the list of labels") += 1;
        }
    }

    pub(super) fn ghost_step_here(&mut self, ghost: GhostId, change: ChangeId) -> GhostStep {
        if let Some(known) = self.ghost_steps.get(&(ghost, change)) {
            return *known;
        }
        let key = *self.changes.get(change);
        let locals = &self.actors[key.who.index()].locals;
        let change_value = Change {
            who: key.who.id(),
            restart: key.restart,
            before: locals.get(key.before).view(),
            after: locals.get(key.after).view(),
        };
        let mut next = self.ghosts.get(ghost).clone();
        (self.world.observe)(&mut next, &change_value);
        let broken = self.world.broken_by_change(&change_value, &next);
        let step = GhostStep { ghost: self.intern_ghost(next), broken };
        self.ghost_steps.insert((ghost, change), step);
        step
    }
}

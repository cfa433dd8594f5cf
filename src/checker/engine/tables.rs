//! The first idea: an actor is a deterministic function of its local state and one event, so each pair
//! is run once, and a global state is a few numbers.
//!
//! Everything here is interned by value and compared exactly. What stateright's `ActorModel` does with
//! a handler's outputs is done here to one actor; that both do the same is what the comparison with
//! stateright's search in `tests/reduction.rs` shows.

use super::intern::Interned;
use super::symmetry::{Images, Permutations};
use crate::checker::symmetry::{Renaming, Symmetry};
use crate::checker::view::{Change, Checkable, CommandOf, Event, EventOf, Ghostly, Local, Output};
use crate::checker::world::{State, StatePredicate, World};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};
use stateright::actor::{Actor, Command, Id, Out, RandomChoices, Timers};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Messages, each by its receiver and its number there, in order.
pub(super) type Sent = Arc<[(u8, u32)]>;
/// A hash map that is asked and never iterated.
pub(super) type Memo<K, V> = HashMap<K, V, FxBuildHasher>;

/// One actor by value: everything about it that is not a message.
pub(super) struct LocalValue<A: Actor> {
    pub(super) state: A::State,
    pub(super) timers: Timers<A::Timer>,
    pub(super) randoms: RandomChoices<A::Random>,
    pub(super) storage: Option<A::Storage>,
}

/// What became of trying one message on one local state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// Not tried.
    Unknown,
    /// Nothing happens.
    Silent,
    /// It would change the local state, or put out what no step has; but the two have not met in any
    /// state that was reached. The outcome is not interned, or unreachable local states would breed
    /// more of them.
    NotMet,
    /// This step.
    Step(u32),
}

/// One memoised step: a handler call that is not silent.
pub(super) struct StepRecord {
    /// The local state it leads to.
    pub(super) next: u32,
    /// What it puts out.
    pub(super) sent: Sent,
    /// The change it makes; `None` if it only puts messages out.
    pub(super) change: Option<u32>,
    /// The properties of outputs it breaks, as bits.
    pub(super) broken: u32,
    /// What it is a step of.
    pub(super) event: StepEvent,
}

/// An event by numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepEvent {
    /// This message of the actor's.
    Deliver(u32),
    /// The n-th spontaneous event of the local state: timeouts, choices, restart.
    Spontaneous(u32),
}

/// How one actor changes: from and to which local state, and whether by a restart.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ChangeKey {
    pub(super) who: u8,
    pub(super) before: u32,
    pub(super) after: u32,
    pub(super) restart: bool,
}

/// A call that gave something its number. Made again in the same order, calls give the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Call {
    /// [`Tables::spontaneous`].
    Spontaneous { who: u8, local: u32 },
    /// [`Tables::deliver`].
    Deliver { who: u8, local: u32, message: u32 },
    /// [`Tables::try_delivery`].
    Try { who: u8, local: u32, message: u32 },
    /// [`Tables::ghost_step`].
    Ghost { ghost: u32, change: u32 },
}

/// What is known of one actor.
pub(super) struct ActorTable<A: Actor> {
    /// Its local states.
    pub(super) locals: Interned<LocalValue<A>>,
    /// Every message ever sent to it, with its sender.
    pub(super) inbox: Interned<(Id, A::Msg)>,
    /// For each local state what is known of it.
    pub(super) rows: Vec<Row>,
}

/// What is known of one local state.
#[derive(Default)]
pub(super) struct Row {
    /// The first bound of single actors that it is outside of.
    pub(super) outside: Option<u8>,
    /// Its spontaneous steps, once it has been reached within the bounds.
    pub(super) spontaneous: Option<Vec<u32>>,
    /// What each message does to it, by number.
    pub(super) deliveries: Vec<Delivery>,
    /// The messages it was labelled with for coverage.
    labelled: Vec<bool>,
    /// Local states one step away, each once.
    pub(super) successors: Vec<u32>,
}

/// All that is known of a world apart from which combinations are reachable.
pub(super) struct Tables<'w, A: Checkable, G> {
    pub(super) world: &'w World<A, G>,
    pub(super) actors: Vec<ActorTable<A>>,
    pub(super) steps: Vec<StepRecord>,
    pub(super) changes: Interned<ChangeKey>,
    pub(super) ghosts: Interned<G>,
    ghost_steps: Memo<(u32, u32), GhostStep>,
    may_restart: Vec<bool>,
    /// Steps by label, if asked for.
    pub(super) labels: BTreeMap<&'static str, u64>,
    /// The permutations of interchangeable actors. Everything here is closed under them, and tested:
    /// with a value its whole orbit is interned, with a step all that it can be renamed to is run.
    pub(super) group: Permutations,
    /// What each actor's local states and messages become under them, and the ghosts.
    pub(super) local_images: Vec<Images>,
    pub(super) message_images: Vec<Images>,
    pub(super) ghost_images: [Images; 1],
    /// For each actor's local states their orbit, by number.
    pub(super) orbits: Vec<Vec<u32>>,
    /// How many orbits of local states there are.
    orbit_count: u32,
    /// The calls that gave all this its numbers.
    pub(super) calls: Vec<Call>,
}

/// The ghost after a change, and the properties broken by it, as bits.
#[derive(Clone, Copy)]
pub(super) struct GhostStep {
    pub(super) ghost: u32,
    pub(super) broken: u32,
}

impl<'w, A: Checkable, G: Ghostly> Tables<'w, A, G> {
    /// Nothing but the world. With `coverage` steps are labelled. The permutations must be the world's.
    pub(super) fn new(world: &'w World<A, G>, coverage: bool, group: Permutations) -> Self {
        let actors = world.actors.actors.len();
        assert!(u8::try_from(actors).is_ok(), "at most 255 actors");
        let labels = if coverage { world.labels } else { &[] };
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
        };
        for id in &world.restartable {
            tables.may_restart[usize::from(*id)] = true;
        }
        tables
    }

    /// The numbers of a state of the world: locals and ghost, and the messages.
    pub(super) fn import(&mut self, state: &State<A, G>) -> (Vec<u32>, Vec<(u8, u32)>) {
        let view = state.view();
        let locals = view.locals().enumerate();
        let locals = locals.map(|(who, local)| self.intern_local(who, LocalValue::of(&local)));
        let mut key: Vec<u32> = locals.collect();
        key.push(self.intern_ghost(state.ghost.clone()));
        let messages = state.messages().map(|(src, dst, msg)| {
            let message = self.intern_message(usize::from(dst), src, msg.clone());
            (small(usize::from(dst)), message)
        });
        (key, messages.collect())
    }

    /// Makes a call again; whether it can be made at all.
    pub(super) fn call_again(&mut self, call: Call) -> bool {
        let is_local = |who: u8, local: u32| {
            let table = self.actors.get(usize::from(who));
            table.is_some_and(|table| (local as usize) < table.locals.len())
        };
        let is_known = |who: u8, local: u32, message: u32| {
            is_local(who, local) && (message as usize) < self.actors[usize::from(who)].inbox.len()
        };
        match call {
            Call::Spontaneous { who, local } => {
                is_local(who, local) && {
                    self.spontaneous(usize::from(who), local);
                    true
                }
            }
            Call::Deliver { who, local, message } => {
                is_known(who, local, message)
                    && self.deliver(usize::from(who), local, message).is_some()
            }
            Call::Try { who, local, message } => {
                is_known(who, local, message) && {
                    let tried = self.try_delivery(usize::from(who), local, message);
                    matches!(tried, Delivery::Step(_))
                }
            }
            Call::Ghost { ghost, change } => {
                let known = (ghost as usize) < self.ghosts.len();
                known && (change as usize) < self.changes.len() && {
                    self.ghost_step(ghost, change);
                    true
                }
            }
        }
    }

    // ---- values, each with all that it can be renamed to ----

    fn symmetry(&self) -> &'w Symmetry<A, G> {
        self.world.symmetry.as_ref().expect("without a symmetry there are no permutations")
    }

    fn renaming(&self, permutation: usize) -> Renaming {
        self.group.permutation(permutation).renaming()
    }

    fn intern_local(&mut self, who: usize, value: LocalValue<A>) -> u32 {
        if let Some(known) = self.actors[who].locals.number(&value) {
            return known;
        }
        let others: Vec<_> = self
            .group
            .others()
            .map(|n| {
                let renamed = value.renamed(self.symmetry(), &self.renaming(n));
                (self.group.moves(n, who), renamed)
            })
            .collect();
        let orbit: Vec<_> = std::iter::once((who, value))
            .chain(others)
            .map(|(who, value)| (who, self.add_local(who, value)))
            .collect();
        self.group.note_orbit(&orbit, &mut self.local_images);
        for (who, local) in &orbit {
            self.orbits[*who].resize(self.actors[*who].locals.len(), 0);
            self.orbits[*who][*local as usize] = self.orbit_count;
            let outside = |who: usize, local: u32| self.actors[who].rows[local as usize].outside;
            assert!(
                outside(*who, *local) == outside(orbit[0].0, orbit[0].1),
                "bounds must not tell interchangeable actors apart"
            );
        }
        self.orbit_count += 1;
        orbit[0].1
    }

    fn add_local(&mut self, who: usize, value: LocalValue<A>) -> u32 {
        let table = &mut self.actors[who];
        let (number, is_new) = table.locals.intern(value);
        if is_new {
            let local = table.locals.get(number).view();
            let outside = self.world.bounds.iter().position(|bound| match &bound.within {
                StatePredicate::Actor(within) => !within(Id::from(who), local),
                _ => false,
            });
            let outside = outside.map(|n| u8::try_from(n).expect("at most 255 bounds"));
            table.rows.push(Row { outside, ..Row::default() });
        }
        number
    }

    fn intern_message(&mut self, who: usize, src: Id, msg: A::Msg) -> u32 {
        let envelope = (src, msg);
        if let Some(known) = self.actors[who].inbox.number(&envelope) {
            return known;
        }
        let others: Vec<_> = self
            .group
            .others()
            .map(|n| {
                let names = self.renaming(n);
                let msg = (self.symmetry().message)(&envelope.1, &names);
                (self.group.moves(n, who), (names.rewrite(&src), msg))
            })
            .collect();
        let orbit: Vec<_> = std::iter::once((who, envelope))
            .chain(others)
            .map(|(who, envelope)| (who, self.actors[who].inbox.intern(envelope).0))
            .collect();
        self.group.note_orbit(&orbit, &mut self.message_images);
        orbit[0].1
    }

    fn intern_ghost(&mut self, ghost: G) -> u32 {
        if let Some(known) = self.ghosts.number(&ghost) {
            return known;
        }
        let others: Vec<_> = self
            .group
            .others()
            .map(|n| (self.symmetry().ghost)(&ghost, &self.renaming(n)))
            .collect();
        let orbit: Vec<_> = std::iter::once(ghost)
            .chain(others)
            .map(|ghost| (0, self.ghosts.intern(ghost).0))
            .collect();
        self.group.note_orbit(&orbit, &mut self.ghost_images);
        orbit[0].1
    }

    /// What a local state becomes, and for whom.
    pub(super) fn local_image(&self, n: usize, who: usize, local: u32) -> (usize, u32) {
        let image = self.local_images[who].get(self.group.len(), local, n);
        (self.group.moves(n, who), image)
    }

    fn message_image(&self, n: usize, who: usize, message: u32) -> u32 {
        self.message_images[who].get(self.group.len(), message, n)
    }

    /// What a ghost becomes.
    pub(super) fn ghost_image(&self, n: usize, ghost: u32) -> u32 {
        self.ghost_images[0].get(self.group.len(), ghost, n)
    }

    // ---- steps, each with all that it can be renamed to ----

    /// The spontaneous events of a local state, in a fixed order.
    pub(super) fn spontaneous_events(&self, who: usize, local: u32) -> Vec<EventOf<A>> {
        let value = self.actors[who].locals.get(local);
        let mut events: Vec<_> = value.timers.iter().cloned().map(Event::Timeout).collect();
        events.extend(value.randoms.map.iter().flat_map(|(key, choices)| {
            choices.iter().map(|random| Event::Choose { key: key.clone(), random: random.clone() })
        }));
        if self.may_restart[who] {
            events.push(Event::Restart);
        }
        events.sort_unstable();
        events
    }

    /// The event of a step.
    pub(super) fn event(&self, who: usize, local: u32, event: StepEvent) -> EventOf<A> {
        match event {
            StepEvent::Deliver(message) => {
                let (src, msg) = self.actors[who].inbox.get(message).clone();
                Event::Deliver { src, msg }
            }
            StepEvent::Spontaneous(n) => {
                self.spontaneous_events(who, local).swap_remove(n as usize)
            }
        }
    }

    /// The spontaneous steps of a local state that has been reached, the silent ones left out.
    pub(super) fn spontaneous(&mut self, who: usize, local: u32) -> Vec<u32> {
        if let Some(steps) = &self.actors[who].rows[local as usize].spontaneous {
            return steps.clone();
        }
        self.calls.push(Call::Spontaneous { who: small(who), local });
        let steps = self.spontaneous_here(who, local);
        for n in self.group.others() {
            let (to, image) = self.local_image(n, who, local);
            let images = self.spontaneous_here(to, image);
            let mut expected: Vec<_> = steps.iter().map(|s| self.step_image(n, who, *s)).collect();
            let mut found: Vec<_> = images.iter().map(|s| self.step_image(0, to, *s)).collect();
            expected.sort_unstable();
            found.sort_unstable();
            assert!(expected == found, "{}", self.asymmetry(n, who, local, None));
        }
        steps
    }

    fn spontaneous_here(&mut self, who: usize, local: u32) -> Vec<u32> {
        if let Some(steps) = &self.actors[who].rows[local as usize].spontaneous {
            return steps.clone();
        }
        let mut steps = Vec::new();
        for (n, event) in self.spontaneous_events(who, local).into_iter().enumerate() {
            let ran = self.run(who, local, &event);
            self.count_labels(who, local, &event, &ran);
            let event_number = StepEvent::Spontaneous(u32::try_from(n).expect("few events"));
            steps.extend(self.record(who, local, event_number, &event, ran));
        }
        self.actors[who].rows[local as usize].spontaneous = Some(steps.clone());
        steps
    }

    /// What a step does, renamed: the local state it leads to, what it puts out, what it breaks.
    fn step_image(&self, n: usize, who: usize, step: u32) -> (u32, Vec<(u8, u32)>, u32) {
        let step = &self.steps[step as usize];
        let sent = step.sent.iter().map(|(to, message)| {
            let moved = self.group.moves(n, usize::from(*to));
            let moved = small(moved);
            (moved, self.message_image(n, usize::from(*to), *message))
        });
        let mut sent: Vec<_> = sent.collect();
        sent.sort_unstable();
        (self.local_image(n, who, step.next).1, sent, step.broken)
    }

    /// Whether a step, renamed, is the other.
    fn are_alike(&self, n: usize, of: (usize, u32), is: (usize, u32)) -> bool {
        self.step_image(n, of.0, of.1) == self.step_image(0, is.0, is.1)
    }

    /// What is said where the handlers and the renaming do not fit each other.
    fn asymmetry(&self, n: usize, who: usize, local: u32, message: Option<u32>) -> String {
        let state = &self.actors[who].locals.get(local).state;
        let event = match message {
            Some(message) => format!("{:?}", self.event(who, local, StepEvent::Deliver(message))),
            None => "what it does by itself".to_owned(),
        };
        let names = self.group.permutation(n);
        format!(
            "the actors are not interchangeable as the world's `symmetry` says: renaming by {names:?} \
             before and after differ for actor {who} in {state:?}, {event}"
        )
    }

    /// What a message does to a local state that it meets in a state that was reached.
    pub(super) fn deliver(&mut self, who: usize, local: u32, message: u32) -> Option<u32> {
        match self.known(who, local, message) {
            Delivery::Silent if !self.labels_due(who, local, message) => return None,
            Delivery::Step(step) if !self.labels_due(who, local, message) => return Some(step),
            _ => {}
        }
        let step = self.deliver_here(who, local, message);
        if step.is_some() {
            self.calls.push(Call::Deliver { who: small(who), local, message });
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

    fn known(&self, who: usize, local: u32, message: u32) -> Delivery {
        let row = &self.actors[who].rows[local as usize];
        row.deliveries.get(message as usize).copied().unwrap_or(Delivery::Unknown)
    }

    fn labels_due(&self, who: usize, local: u32, message: u32) -> bool {
        let row = &self.actors[who].rows[local as usize];
        !self.labels.is_empty() && !row.labelled.get(message as usize).is_some_and(|done| *done)
    }

    fn deliver_here(&mut self, who: usize, local: u32, message: u32) -> Option<u32> {
        let known = self.known(who, local, message);
        let labels_due = self.labels_due(who, local, message);
        match known {
            Delivery::Silent if !labels_due => return None,
            Delivery::Step(step) if !labels_due => return Some(step),
            _ => {}
        }
        let event = self.event(who, local, StepEvent::Deliver(message));
        let ran = self.run(who, local, &event);
        if labels_due {
            self.count_labels(who, local, &event, &ran);
            let row = &mut self.actors[who].rows[local as usize];
            row.labelled.resize(row.labelled.len().max(message as usize + 1), false);
            row.labelled[message as usize] = true;
        }
        if let Delivery::Step(step) = known {
            return Some(step);
        }
        let step = self.record(who, local, StepEvent::Deliver(message), &event, ran);
        self.note(who, local, message, step.map_or(Delivery::Silent, Delivery::Step));
        step
    }

    fn note(&mut self, who: usize, local: u32, message: u32, delivery: Delivery) {
        let row = &mut self.actors[who].rows[local as usize];
        row.deliveries.resize(row.deliveries.len().max(message as usize + 1), Delivery::Unknown);
        row.deliveries[message as usize] = delivery;
    }

    /// What a message would do to a local state, whether or not the two ever meet.
    pub(super) fn try_delivery(&mut self, who: usize, local: u32, message: u32) -> Delivery {
        let known = self.known(who, local, message);
        if known != Delivery::Unknown {
            return known;
        }
        let tried = self.try_here(who, local, message);
        if self.known(who, local, message) == Delivery::Unknown {
            return tried; // for now
        }
        if let Delivery::Step(_) = tried {
            self.calls.push(Call::Try { who: small(who), local, message });
        }
        for n in self.group.others() {
            let (to, image) = self.local_image(n, who, local);
            let found = self.try_here(to, image, self.message_image(n, who, message));
            let alike = match (tried, found) {
                (Delivery::Step(step), Delivery::Step(found)) => {
                    self.are_alike(n, (who, step), (to, found))
                }
                (tried, found) => tried == found,
            };
            assert!(alike, "{}", self.asymmetry(n, who, local, Some(message)));
        }
        tried
    }

    fn try_here(&mut self, who: usize, local: u32, message: u32) -> Delivery {
        let known = self.known(who, local, message);
        if known != Delivery::Unknown {
            return known;
        }
        let event = self.event(who, local, StepEvent::Deliver(message));
        let (next, out) = self.run(who, local, &event);
        let changes = *self.actors[who].locals.get(local) != next;
        let tried = if !changes && out.is_empty() {
            Delivery::Silent
        } else if changes || self.breaks(who, local, &event, &next, &out) {
            Delivery::NotMet
        } else if !self.only_known(who, &out) {
            return Delivery::NotMet; // until what it puts out is known
        } else {
            let step = self.record(who, local, StepEvent::Deliver(message), &event, (next, out));
            step.map_or(Delivery::Silent, Delivery::Step)
        };
        self.note(who, local, message, tried);
        tried
    }

    /// Whether every message put out has been sent before in a state that was reached.
    fn only_known(&self, who: usize, out: &[CommandOf<A>]) -> bool {
        out.iter().all(|command| match command {
            Command::Send(to, msg) => match self.actors.get(usize::from(*to)) {
                Some(table) => table.inbox.number(&(Id::from(who), msg.clone())).is_some(),
                None => true,
            },
            _ => true,
        })
    }

    fn breaks(
        &self,
        who: usize,
        local: u32,
        event: &EventOf<A>,
        next: &LocalValue<A>,
        out: &[CommandOf<A>],
    ) -> bool {
        let before = self.actors[who].locals.get(local).view();
        let who = Id::from(who);
        self.world.broken_by_output(&Output { who, event, before, after: next.view(), out }) != 0
    }

    /// Runs the handler.
    fn run(
        &self,
        who: usize,
        local: u32,
        event: &EventOf<A>,
    ) -> (LocalValue<A>, Vec<CommandOf<A>>) {
        let (actor, id) = (&self.world.actors.actors[who], Id::from(who));
        let before = self.actors[who].locals.get(local);
        let mut next = before.clone();
        let mut out = Out::new();
        let mut state = Cow::Borrowed(&before.state);
        match event {
            Event::Deliver { src, msg } => {
                actor.on_msg(id, &mut state, *src, msg.clone(), &mut out);
            }
            Event::Timeout(timer) => {
                next.timers.cancel(timer);
                actor.on_timeout(id, &mut state, timer, &mut out);
            }
            Event::Choose { key, random } => {
                next.randoms.remove(key);
                actor.on_random(id, &mut state, random, &mut out);
            }
            Event::Restart => {
                next.timers = Timers::new();
                next.randoms = RandomChoices::default();
                state = Cow::Owned(actor.on_start(id, &before.storage, &mut out));
            }
        }
        next.state = state.into_owned();
        let out: Vec<_> = out.into_iter().collect();
        next.take(&out);
        (next, out)
    }

    /// Remembers what a handler did; `None` if that is nothing.
    fn record(
        &mut self,
        who: usize,
        local: u32,
        event_number: StepEvent,
        event: &EventOf<A>,
        (next, out): (LocalValue<A>, Vec<CommandOf<A>>),
    ) -> Option<u32> {
        let before = self.actors[who].locals.get(local).view();
        let step = Output { who: Id::from(who), event, before, after: next.view(), out: &out };
        if step.is_silent() {
            return None;
        }
        let broken = self.world.broken_by_output(&step);
        let restart = matches!(event, Event::Restart);
        let next = self.intern_local(who, next);
        let sent = self.intern_sent(who, &out);
        let change = (next != local).then(|| {
            let successors = &mut self.actors[who].rows[local as usize].successors;
            if let Err(at) = successors.binary_search(&next) {
                successors.insert(at, next);
            }
            let who = small(who);
            self.changes.intern(ChangeKey { who, before: local, after: next, restart }).0
        });
        let number = u32::try_from(self.steps.len()).expect("fewer than 2^32 steps");
        self.steps.push(StepRecord { next, sent, change, broken, event: event_number });
        Some(number)
    }

    /// What is sent to an actor of the world.
    fn intern_sent(&mut self, who: usize, out: &[CommandOf<A>]) -> Sent {
        let mut sent = Vec::new();
        for command in out {
            if let Command::Send(to, msg) = command
                && usize::from(*to) < self.actors.len()
            {
                let message = self.intern_message(usize::from(*to), Id::from(who), msg.clone());
                sent.push((small(usize::from(*to)), message));
            }
        }
        sent.sort_unstable();
        sent.dedup();
        sent.into()
    }

    fn count_labels(
        &mut self,
        who: usize,
        local: u32,
        event: &EventOf<A>,
        (next, out): &(LocalValue<A>, Vec<CommandOf<A>>),
    ) {
        if self.labels.is_empty() {
            return;
        }
        let before = self.actors[who].locals.get(local).view();
        let step = Output { who: Id::from(who), event, before, after: next.view(), out };
        let mut labels = Vec::new();
        (self.world.label)(&step, &mut labels);
        for label in labels {
            *self.labels.get_mut(label).expect("every label is in the list of labels") += 1;
        }
    }

    /// The ghost after a change.
    pub(super) fn ghost_step(&mut self, ghost: u32, change: u32) -> GhostStep {
        if let Some(known) = self.ghost_steps.get(&(ghost, change)) {
            return *known;
        }
        self.calls.push(Call::Ghost { ghost, change });
        let step = self.ghost_step_here(ghost, change);
        let key = *self.changes.get(change);
        for n in self.group.others() {
            let (who, before) = self.local_image(n, usize::from(key.who), key.before);
            let (_, after) = self.local_image(n, usize::from(key.who), key.after);
            let who = small(who);
            let image = ChangeKey { who, before, after, restart: key.restart };
            let expected = self.ghost_image(n, step.ghost);
            let ghost = self.ghost_image(n, ghost);
            let change = self.changes.intern(image).0;
            let found = self.ghost_step_here(ghost, change);
            assert!(
                (found.ghost, found.broken) == (expected, step.broken),
                "{}",
                self.asymmetry(n, usize::from(key.who), key.before, None)
            );
        }
        step
    }

    fn ghost_step_here(&mut self, ghost: u32, change: u32) -> GhostStep {
        if let Some(known) = self.ghost_steps.get(&(ghost, change)) {
            return *known;
        }
        let key = *self.changes.get(change);
        let locals = &self.actors[usize::from(key.who)].locals;
        let change_value = Change {
            who: Id::from(usize::from(key.who)),
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

fn small(who: usize) -> u8 {
    u8::try_from(who).expect("at most 255 actors")
}

impl Row {
    /// The step that a message causes, if it is known to cause one.
    pub(super) fn step(&self, message: u32) -> Option<u32> {
        match self.deliveries.get(message as usize) {
            Some(Delivery::Step(step)) => Some(*step),
            _ => None,
        }
    }
}

impl<A: Actor> ActorTable<A> {
    fn new() -> Self {
        Self { locals: Interned::new(), inbox: Interned::new(), rows: Vec::new() }
    }
}

impl<A: Actor> LocalValue<A> {
    /// The value of what may be asked about it.
    pub(super) fn of(local: &Local<'_, A>) -> Self {
        Self {
            state: local.state.clone(),
            timers: local.timers.clone(),
            randoms: local.randoms.clone(),
            storage: local.storage.cloned(),
        }
    }

    /// It with actors renamed.
    pub(super) fn renamed<G>(&self, symmetry: &Symmetry<A, G>, names: &Renaming) -> Self {
        Self {
            state: (symmetry.state)(&self.state, names),
            timers: (symmetry.timers)(&self.timers, names),
            randoms: (symmetry.randoms)(&self.randoms, names),
            storage: self.storage.as_ref().map(|storage| (symmetry.storage)(storage, names)),
        }
    }

    /// What may be asked about it.
    pub(super) fn view(&self) -> Local<'_, A> {
        let Self { state, timers, randoms, storage } = self;
        Local { state, timers, randoms, storage: storage.as_ref() }
    }

    /// Takes over what a handler put out, as stateright's `ActorModel` does.
    fn take(&mut self, out: &[CommandOf<A>]) {
        for command in out {
            match command {
                Command::Send(..) => {}
                Command::SetTimer(timer, _) => {
                    self.timers.set(timer.clone());
                }
                Command::CancelTimer(timer) => {
                    self.timers.cancel(timer);
                }
                Command::ChooseRandom(key, choices) if choices.is_empty() => {
                    self.randoms.remove(key);
                }
                Command::ChooseRandom(key, choices) => {
                    self.randoms.insert(key.clone(), choices.clone());
                }
                Command::Save(storage) => self.storage = Some(storage.clone()),
            }
        }
    }
}

impl<A: Actor> Clone for LocalValue<A> {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
            timers: self.timers.clone(),
            randoms: self.randoms.clone(),
            storage: self.storage.clone(),
        }
    }
}

impl<A: Actor> PartialEq for LocalValue<A> {
    fn eq(&self, other: &Self) -> bool {
        self.view() == other.view()
    }
}

impl<A: Actor> Hash for LocalValue<A> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.state.hash(hasher);
        self.storage.hash(hasher);
        self.timers.hash(hasher);
        self.randoms.hash(hasher);
    }
}

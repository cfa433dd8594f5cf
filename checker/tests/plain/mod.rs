//! A plain checker that shares no code with the engine: it calls the handlers of the actors itself, numbers
//! values itself, takes steps and keeps sets of messages itself.
//!
//! It keeps, for each tuple of local states and ghost, the maximal sets of messages (section 2 of `PROOF.md`).
//! It makes no other reduction: every message matters, no two are one, and no actors are interchangeable. Its
//! only import of the checker is the vocabulary in which a world is asked: `World`, `View`, `Change`, `Output`.
//! It does not ask whether the world can recover.
#![allow(dead_code, reason = "each test file that includes this uses a part of it")]

use actorcheck::{
    Change, Checkable, CommandOf, Event, EventOf, Ghostly, Local, Output, StateProperty,
    StepPredicate, View, World,
};
use hashbrown::HashMap;
use stateright::actor::{Actor, Command, Id, Out, RandomChoices, Timers};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::rc::Rc;

/// The outcome of a plain search.
pub(crate) struct Found<A: Checkable, G> {
    values: Values<A, G>,
    /// The number of each tuple.
    tuples: HashMap<Tuple, usize>,
    /// The number of maximal states.
    pub(crate) states: usize,
    /// The properties of states and steps that are violated.
    pub(crate) violated: BTreeSet<&'static str>,
    /// The `sometimes` properties that some tuple satisfies.
    pub(crate) witnessed: BTreeSet<&'static str>,
}

impl<A: Checkable, G: Ghostly> Found<A, G> {
    /// The number of tuples that were reached.
    pub(crate) fn tuples(&self) -> usize {
        self.tuples.len()
    }

    /// The number of the tuple that a view shows, if that tuple was reached.
    pub(crate) fn number(&self, view: &View<'_, A, G>) -> Option<usize> {
        let locals = self.values.locals.iter().zip(view.locals());
        let locals = locals.map(|(known, local)| known.find(&Owned::of(&local)));
        let tuple: Option<Tuple> =
            locals.chain([self.values.ghosts.find(view.ghost)]).collect::<Option<_>>();
        self.tuples.get(&tuple?).copied()
    }
}

/// The numbers of the local states, and that of the ghost.
type Tuple = Box<[usize]>;
/// The numbers of messages, as bits.
type Set = Rc<[u64]>;

/// Values that are compared by value, each with a number.
struct Numbered<T> {
    values: Vec<Rc<T>>,
    numbers: HashMap<ByValue<T>, usize>,
}

struct ByValue<T>(Rc<T>);

impl<T: PartialEq> PartialEq for ByValue<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T: PartialEq> Eq for ByValue<T> {}

impl<T: Hash> Hash for ByValue<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.hash(hasher);
    }
}

impl<T: Clone + PartialEq + Hash> Numbered<T> {
    fn new() -> Self {
        Self { values: Vec::new(), numbers: HashMap::new() }
    }

    fn find(&self, value: &T) -> Option<usize> {
        self.numbers.get(&ByValue(Rc::new(value.clone()))).copied()
    }

    fn number(&mut self, value: T) -> usize {
        let (value, next) = (Rc::new(value), self.values.len());
        let number = *self.numbers.entry(ByValue(Rc::clone(&value))).or_insert(next);
        if number == next {
            self.values.push(value);
        }
        number
    }
}

/// A local state.
struct Owned<A: Actor> {
    state: A::State,
    timers: Timers<A::Timer>,
    randoms: RandomChoices<A::Random>,
    storage: Option<A::Storage>,
}

impl<A: Actor> Owned<A> {
    fn of(local: &Local<'_, A>) -> Self {
        Self {
            state: local.state.clone(),
            timers: local.timers.clone(),
            randoms: local.randoms.clone(),
            storage: local.storage.cloned(),
        }
    }

    fn view(&self) -> Local<'_, A> {
        let Self { state, timers, randoms, storage } = self;
        Local { state, timers, randoms, storage: storage.as_ref() }
    }
}

impl<A: Actor> Clone for Owned<A> {
    fn clone(&self) -> Self {
        Self::of(&self.view())
    }
}

impl<A: Actor> PartialEq for Owned<A> {
    fn eq(&self, other: &Self) -> bool {
        let same = (&self.state, &self.timers) == (&other.state, &other.timers);
        same && (&self.randoms, &self.storage) == (&other.randoms, &other.storage)
    }
}

impl<A: Actor> Hash for Owned<A> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (&self.state, &self.timers, &self.randoms, &self.storage).hash(hasher);
    }
}

/// The values behind the numbers.
struct Values<A: Checkable, G> {
    /// For each actor its local states.
    locals: Vec<Numbered<Owned<A>>>,
    ghosts: Numbered<G>,
    /// The messages, each with its receiver and its sender.
    messages: Numbered<(usize, Id, A::Msg)>,
}

/// A handler call that does something or violates something.
struct Call {
    who: usize,
    /// The local state after the call, and whether it is another one.
    next: usize,
    changes: bool,
    sent: Vec<usize>,
    restart: bool,
    /// The properties of outputs that the call violates.
    broken: Vec<&'static str>,
}

/// What a change of an actor comes to: the ghost after it, or nothing if the change violates a property.
type AfterChange = Option<usize>;

/// What is known of a delivery.
#[derive(Clone, Copy)]
enum Outcome {
    Unknown,
    Nothing,
    Call(usize),
}

/// A tuple that was reached.
struct Reached {
    tuple: Tuple,
    /// Its maximal sets. A set that was expanded has the mark `true`.
    sets: Vec<(Set, bool)>,
    /// Whether the tuple is among those that wait.
    waits: bool,
}

/// A search under way.
struct Search<'w, A: Checkable, G> {
    world: &'w World<A, G>,
    found: Found<A, G>,
    calls: Vec<Call>,
    /// The calls by timers, choices and restarts, for each actor and local state.
    spontaneous: HashMap<(usize, usize), Vec<usize>>,
    /// For each actor, local state and message, what came of the call.
    delivered: Vec<Vec<Vec<Outcome>>>,
    /// By ghost, actor, local states before and after, and whether it is a restart.
    changes: HashMap<(usize, usize, usize, usize, bool), AfterChange>,
    /// The tuples that are out of bounds.
    outside: BTreeSet<Tuple>,
    reached: Vec<Reached>,
    /// Tuples with sets to expand, by the sum of their numbers: steps mostly raise it.
    waiting: BTreeMap<usize, Vec<usize>>,
}

/// Searches all that can be reached within the bounds; `None` if that is more than `most` maximal states. It
/// goes on beyond a violation, unless a step violates the property.
pub(crate) fn search<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    most: usize,
) -> Option<Found<A, G>> {
    let actors = world.actors.actors.len();
    let values = Values {
        locals: (0..actors).map(|_| Numbered::new()).collect(),
        ghosts: Numbered::new(),
        messages: Numbered::new(),
    };
    let (violated, witnessed) = (BTreeSet::new(), BTreeSet::new());
    let mut search = Search {
        world,
        found: Found { values, tuples: HashMap::new(), states: 0, violated, witnessed },
        calls: Vec::new(),
        spontaneous: HashMap::new(),
        delivered: vec![Vec::new(); actors],
        changes: HashMap::new(),
        outside: BTreeSet::new(),
        reached: Vec::new(),
        waiting: BTreeMap::new(),
    };
    let (tuple, sent) = search.first();
    search.reach(tuple, with(&[], &sent));
    while let Some(mut least) = search.waiting.first_entry() {
        match least.get_mut().pop() {
            Some(tuple) => search.expand(tuple),
            None => {
                least.remove();
            }
        }
        if search.found.states > most {
            return None;
        }
    }
    Some(search.found)
}

/// A set with more messages.
fn with(set: &[u64], more: &[usize]) -> Set {
    let words = more.iter().map(|n| n / 64 + 1).max().unwrap_or(0).max(set.len());
    let mut all = set.to_vec();
    all.resize(words, 0);
    for n in more {
        all[n / 64] |= 1 << (n % 64);
    }
    all.into()
}

fn is_within(small: &[u64], large: &[u64]) -> bool {
    let word = |n: usize| large.get(n).copied().unwrap_or(0);
    small.iter().enumerate().all(|(n, bits)| bits & !word(n) == 0)
}

fn members(set: &[u64]) -> impl Iterator<Item = usize> {
    let bits = |(n, word): (usize, &u64)| {
        let word = *word;
        (0..64).filter(move |bit| word >> bit & 1 != 0).map(move |bit| n * 64 + bit)
    };
    set.iter().enumerate().flat_map(bits)
}

impl<A: Checkable, G: Ghostly> Search<'_, A, G> {
    /// The first tuple and its messages: that of the world, or that of actors that have just started.
    fn first(&mut self) -> (Tuple, Vec<usize>) {
        let world = self.world;
        let mut tuple = Vec::new();
        let mut sent = Vec::new();
        if let Some(first) = &world.initial {
            let view = first.view();
            let numbered = self.found.values.locals.iter_mut().zip(view.locals());
            tuple.extend(numbered.map(|(known, local)| known.number(Owned::of(&local))));
            tuple.push(self.found.values.ghosts.number(first.ghost.clone()));
            for (src, dst, msg) in first.messages() {
                let message = (usize::from(dst), src, msg.clone());
                sent.push(self.found.values.messages.number(message));
            }
            return (tuple.into(), sent);
        }
        for who in 0..world.actors.actors.len() {
            let mut out = Out::new();
            let state = world.actors.actors[who].on_start(Id::from(who), &None, &mut out);
            let (timers, randoms) = (Timers::new(), RandomChoices::default());
            let mut local = Owned { state, timers, randoms, storage: None };
            sent.extend(self.put_out(who, &mut local, &out.into_iter().collect::<Vec<_>>()));
            tuple.push(self.found.values.locals[who].number(local));
        }
        tuple.push(self.found.values.ghosts.number(world.ghost.clone()));
        (tuple.into(), sent)
    }

    /// Does to an actor what its handler puts out, and returns the messages that are sent to actors.
    fn put_out(&mut self, who: usize, local: &mut Owned<A>, out: &[CommandOf<A>]) -> Vec<usize> {
        let mut sent = Vec::new();
        for command in out {
            match command {
                Command::Send(to, msg) if usize::from(*to) < self.world.actors.actors.len() => {
                    let message = (usize::from(*to), Id::from(who), msg.clone());
                    sent.push(self.found.values.messages.number(message));
                }
                Command::Send(..) => {}
                Command::SetTimer(timer, _) => {
                    local.timers.set(timer.clone());
                }
                Command::CancelTimer(timer) => {
                    local.timers.cancel(timer);
                }
                Command::ChooseRandom(key, some) if some.is_empty() => {
                    local.randoms.remove(key);
                }
                Command::ChooseRandom(key, some) => {
                    local.randoms.insert(key.clone(), some.clone());
                }
                Command::Save(value) => local.storage = Some(value.clone()),
            }
        }
        sent
    }

    /// Calls a handler, and judges what it puts out. `None` if nothing happens and nothing is violated.
    fn call(&mut self, who: usize, local: usize, event: &EventOf<A>) -> Option<usize> {
        let (world, id) = (self.world, Id::from(who));
        let actor = &world.actors.actors[who];
        let before = Rc::clone(&self.found.values.locals[who].values[local]);
        let (mut after, mut out) = (Owned::clone(&before), Out::new());
        let mut state = Cow::Borrowed(&before.state);
        match event {
            Event::Deliver { src, msg } => {
                actor.on_msg(id, &mut state, *src, msg.clone(), &mut out);
            }
            Event::Timeout(timer) => {
                after.timers.cancel(timer);
                actor.on_timeout(id, &mut state, timer, &mut out);
            }
            Event::Choose { key, random } => {
                after.randoms.remove(key);
                actor.on_random(id, &mut state, random, &mut out);
            }
            Event::Restart => {
                (after.timers, after.randoms) = (Timers::new(), RandomChoices::default());
                state = Cow::Owned(actor.on_start(id, &before.storage, &mut out));
            }
        }
        after.state = state.into_owned();
        let out: Vec<_> = out.into_iter().collect();
        let sent = self.put_out(who, &mut after, &out);
        let output =
            Output { who: id, event, before: before.view(), after: after.view(), out: &out };
        let broken = world.steps.iter().filter(|property| match &property.holds {
            StepPredicate::Output(holds) => !holds(&output),
            StepPredicate::Change(_) => false,
        });
        let broken: Vec<_> = broken.map(|property| property.name).collect();
        let changes = after != *before;
        if !changes && sent.is_empty() && broken.is_empty() {
            return None;
        }
        let next = self.found.values.locals[who].number(after);
        let restart = *event == Event::Restart;
        self.calls.push(Call { who, next, changes, sent, restart, broken });
        Some(self.calls.len() - 1)
    }

    /// The calls that can take place in a state, those first that change no actor.
    fn enabled(&mut self, tuple: &[usize], set: &[u64]) -> Vec<usize> {
        let mut enabled = Vec::new();
        for (who, local) in tuple[..tuple.len() - 1].iter().copied().enumerate() {
            if !self.spontaneous.contains_key(&(who, local)) {
                let events = self.events(who, local);
                let calls = events.iter().filter_map(|event| self.call(who, local, event));
                let calls = calls.collect();
                self.spontaneous.insert((who, local), calls);
            }
            enabled.extend(&self.spontaneous[&(who, local)]);
        }
        for message in members(set) {
            let value = Rc::clone(&self.found.values.messages.values[message]);
            let (who, src, msg) = &*value;
            let local = tuple[*who];
            let rows = &mut self.delivered[*who];
            rows.resize(rows.len().max(local + 1), Vec::new());
            let row = &mut rows[local];
            row.resize(row.len().max(message + 1), Outcome::Unknown);
            if let Outcome::Unknown = row[message] {
                let event = Event::Deliver { src: *src, msg: msg.clone() };
                let called = self.call(*who, local, &event);
                let outcome = called.map_or(Outcome::Nothing, Outcome::Call);
                self.delivered[*who][local][message] = outcome;
            }
            if let Outcome::Call(call) = self.delivered[*who][local][message] {
                enabled.push(call);
            }
        }
        enabled.sort_by_key(|call| self.calls[*call].changes);
        enabled
    }

    /// The events of a local state that need no message.
    fn events(&self, who: usize, local: usize) -> Vec<EventOf<A>> {
        let local = &self.found.values.locals[who].values[local];
        let timeouts = local.timers.iter().map(|timer| Event::Timeout(timer.clone()));
        let choices = local.randoms.map.iter().flat_map(|(key, choices)| {
            let of =
                |random: &A::Random| Event::Choose { key: key.clone(), random: random.clone() };
            choices.iter().map(of)
        });
        let restart = self.world.restartable.contains(&Id::from(who)).then_some(Event::Restart);
        timeouts.chain(choices).chain(restart).collect()
    }

    /// Takes every step from the latest set of a tuple that was not expanded. If a step that changes no actor
    /// leads to a set above this one, that set does all that this one does.
    fn expand(&mut self, number: usize) {
        let Reached { tuple, sets, waits } = &mut self.reached[number];
        *waits = false;
        let unexpanded = |(_, expanded): &&mut (Set, bool)| !*expanded;
        let Some((set, expanded)) = sets.iter_mut().rev().find(unexpanded) else { return };
        *expanded = true;
        let (tuple, set) = (tuple.clone(), Rc::clone(set));
        self.wait(number);
        for call in self.enabled(&tuple, &set) {
            let Call { who, next, changes, restart, .. } = self.calls[call];
            self.found.violated.extend(&self.calls[call].broken);
            if !self.calls[call].broken.is_empty() {
                continue;
            }
            let larger = with(&set, &self.calls[call].sent);
            if !changes {
                if !is_within(&larger, &set) {
                    return self.reach(tuple, larger);
                }
                continue;
            }
            let ghost = tuple[tuple.len() - 1];
            let Some(ghost) = self.observed(ghost, (who, tuple[who], next, restart)) else {
                continue;
            };
            let mut reached = tuple.clone();
            reached[who] = next;
            reached[tuple.len() - 1] = ghost;
            self.reach(reached, larger);
        }
    }

    /// The ghost after a change.
    fn observed(
        &mut self,
        ghost: usize,
        (who, before, after, restart): (usize, usize, usize, bool),
    ) -> AfterChange {
        let key = (ghost, who, before, after, restart);
        if let Some(known) = self.changes.get(&key) {
            return *known;
        }
        let value = |local: usize| Rc::clone(&self.found.values.locals[who].values[local]);
        let (before, after) = (value(before), value(after));
        let change =
            Change { who: Id::from(who), restart, before: before.view(), after: after.view() };
        let mut next = G::clone(&self.found.values.ghosts.values[ghost]);
        (self.world.observe)(&mut next, &change);
        let broken = self.world.steps.iter().filter(|property| match &property.holds {
            StepPredicate::Change(holds) => !holds(&change, &next),
            StepPredicate::Output(_) => false,
        });
        let broken: Vec<_> = broken.map(|property| property.name).collect();
        self.found.violated.extend(&broken);
        let after = broken.is_empty().then(|| self.found.values.ghosts.number(next));
        self.changes.insert(key, after);
        after
    }

    /// Adds a state, unless it is out of bounds or one above it is known.
    fn reach(&mut self, tuple: Tuple, set: Set) {
        let number = match self.found.tuples.get(&tuple).copied() {
            Some(number) => number,
            None if self.outside.contains(&tuple) => return,
            None if !self.judge(&tuple) => {
                self.outside.insert(tuple);
                return;
            }
            None => {
                let number = self.reached.len();
                self.found.tuples.insert(tuple.clone(), number);
                self.reached.push(Reached { tuple, sets: Vec::new(), waits: false });
                number
            }
        };
        let sets = &mut self.reached[number].sets;
        if sets.iter().any(|(known, _)| is_within(&set, known)) {
            return;
        }
        let before = sets.len();
        sets.retain(|(known, _)| !is_within(known, &set));
        sets.push((set, false));
        self.found.states = self.found.states + sets.len() - before;
        self.wait(number);
    }

    /// Lets a tuple wait if it has a set to expand.
    fn wait(&mut self, number: usize) {
        let Reached { tuple, sets, waits } = &mut self.reached[number];
        if !*waits && sets.iter().any(|(_, expanded)| !expanded) {
            *waits = true;
            self.waiting.entry(tuple.iter().sum()).or_default().push(number);
        }
    }

    /// Judges a new tuple by all properties of states. Returns whether it is within the bounds; no property is
    /// judged beyond them.
    fn judge(&mut self, tuple: &[usize]) -> bool {
        let Values { locals, ghosts, .. } = &self.found.values;
        let values = locals.iter().zip(tuple).map(|(known, local)| known.values[*local].view());
        let view = View::new(values.collect(), &*ghosts.values[tuple[tuple.len() - 1]]);
        if !self.world.bounds.iter().all(|bound| bound.within.holds(&view)) {
            return false;
        }
        let names = |properties: &[StateProperty<A, G>], wanted: bool| {
            let such = properties.iter().filter(|property| property.holds.holds(&view) == wanted);
            such.map(|property| property.name).collect::<Vec<_>>()
        };
        let (broken, seen) = (names(&self.world.always, false), names(&self.world.sometimes, true));
        self.found.violated.extend(broken);
        self.found.witnessed.extend(seen);
        true
    }
}

//! A plain search over whole states, through stateright's `Model` interface: what the engine's is held
//! against. It compares values, and takes no hash for one.
#![allow(dead_code, reason = "each test file that includes this uses a part of it")]

use actorcheck::engine::explore_and_visit;
use actorcheck::{
    Checkable, Engine, Event, Ghostly, Group, Limits, Local, PropertyReport, Report, State,
    StatePredicate, StateProperty, View, World, run,
};
use hashbrown::HashSet;
use stateright::Model;
use stateright::actor::{Actor, Id, RandomChoices, Timers};
use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

/// The local states and the ghost of a state.
#[derive(Clone)]
pub(crate) struct Tuple<A: Actor, G> {
    locals: Vec<OwnedLocal<A>>,
    ghost: G,
}

/// What an actor is, by value.
struct OwnedLocal<A: Actor> {
    state: A::State,
    timers: Timers<A::Timer>,
    randoms: RandomChoices<A::Random>,
    storage: Option<A::Storage>,
}

impl<A: Actor> Clone for OwnedLocal<A> {
    fn clone(&self) -> Self {
        let Self { state, timers, randoms, storage } = self;
        let (state, timers) = (state.clone(), timers.clone());
        Self { state, timers, randoms: randoms.clone(), storage: storage.clone() }
    }
}

impl<A: Actor> OwnedLocal<A> {
    fn view(&self) -> Local<'_, A> {
        let Self { state, timers, randoms, storage } = self;
        Local { state, timers, randoms, storage: storage.as_ref() }
    }
}

impl<A: Actor, G: PartialEq> PartialEq for Tuple<A, G> {
    fn eq(&self, other: &Self) -> bool {
        let pairs = self.locals.iter().zip(&other.locals);
        self.ghost == other.ghost && pairs.into_iter().all(|(a, b)| a.view() == b.view())
    }
}

impl<A: Actor, G: PartialEq> Eq for Tuple<A, G> {}

impl<A: Actor, G: fmt::Debug> fmt::Debug for Tuple<A, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for OwnedLocal { state, timers, randoms, storage } in &self.locals {
            write!(f, "{state:?} {timers:?} {randoms:?} {storage:?}; ")?;
        }
        write!(f, "{:?}", self.ghost)
    }
}

impl<A: Actor, G: Hash> Hash for Tuple<A, G> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.ghost.hash(hasher);
        for OwnedLocal { state, timers, randoms, storage } in &self.locals {
            (state, timers, randoms, storage).hash(hasher);
        }
    }
}

/// A set of them, to compare.
pub(crate) type Tuples<A, G> = HashSet<Tuple<A, G>>;

/// The local states and the ghost of a state.
pub(crate) fn tuple<A: Checkable, G: Ghostly>(view: &View<'_, A, G>) -> Tuple<A, G> {
    let of = |local: Local<'_, A>| OwnedLocal {
        state: local.state.clone(),
        timers: local.timers.clone(),
        randoms: local.randoms.clone(),
        storage: local.storage.cloned(),
    };
    Tuple { locals: view.locals().map(of).collect(), ghost: view.ghost.clone() }
}

/// A state that is compared by value.
struct Known<A: Checkable, G>(State<A, G>);

impl<A: Checkable, G: Ghostly> PartialEq for Known<A, G> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<A: Checkable, G: Ghostly> Eq for Known<A, G> {}

impl<A: Checkable, G: Ghostly> Hash for Known<A, G> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.hash(hasher);
    }
}

/// What a search over whole states finds.
pub(crate) struct Full<A: Checkable, G> {
    pub(crate) tuples: Tuples<A, G>,
    /// A state of each of these tuples.
    pub(crate) examples: Vec<State<A, G>>,
    pub(crate) states: usize,
    pub(crate) broken: BTreeSet<&'static str>,
    /// The `sometimes` properties that some state satisfies.
    pub(crate) witnessed: BTreeSet<&'static str>,
}

/// All states, one after the other; `None` if there are more than `most`. It goes on beyond a violation, as
/// far as the violation is not one of a step.
pub(crate) fn full<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    most: usize,
) -> Option<Full<A, G>> {
    let (tuples, broken, witnessed) = (HashSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut found = Full { tuples, examples: Vec::new(), states: 0, broken, witnessed };
    let first = world.init_states().remove(0);
    if !world.within_boundary(&first) {
        return Some(found);
    }
    let mut known = HashSet::new();
    known.insert(Known(first.clone()));
    let mut waiting: Vec<State<A, G>> = vec![first];
    while let Some(state) = waiting.pop() {
        let broken = world.broken(&state);
        let steps = world.steps.iter().map(|property| property.name);
        let by_step: Vec<_> = steps.filter(|name| broken.contains(name)).collect();
        // A step that violates a property leads nowhere, and may lead out of bounds.
        if !by_step.is_empty() {
            found.broken.extend(by_step);
            continue;
        }
        found.broken.extend(broken);
        let view = state.view();
        let witnessed = world.sometimes.iter().filter(|property| property.holds.holds(&view));
        found.witnessed.extend(witnessed.map(|property| property.name));
        if found.tuples.insert(tuple(&view)) {
            found.examples.push(state.clone());
        }
        let mut actions = Vec::new();
        world.actions(&state, &mut actions);
        for action in actions {
            let Some(next) = world.next_state(&state, action) else { continue };
            if world.within_boundary(&next) && known.insert(Known(next.clone())) {
                waiting.push(next);
            }
        }
        if known.len() > most {
            return None;
        }
    }
    found.states = known.len();
    Some(found)
}

/// Whether some group that must be able to recover cannot from a state: no way leads there that its members
/// can go by themselves, with every message lost, and without a restart.
pub(crate) fn is_dead_end<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    state: &State<A, G>,
) -> bool {
    let recovery = world.recovery.as_ref().expect("it is asked");
    recovery.groups.iter().any(|group| {
        fn members<'s, A: Checkable, G: Ghostly>(
            group: &Group,
            view: &View<'s, A, G>,
        ) -> Vec<(Id, Local<'s, A>)> {
            group.members.iter().map(|id| (*id, view.local(usize::from(*id)))).collect()
        }
        let first = state.clone().with_messages_lost();
        let first_view = first.view();
        let start = members(group, &first_view);
        let mut known = HashSet::new();
        known.insert(Known(first.clone()));
        let mut waiting = vec![first.clone()];
        while let Some(state) = waiting.pop() {
            let view = state.view();
            let now = members(group, &view);
            if (recovery.recovered)(group, &start, &now) {
                return false;
            }
            if !(recovery.within)(group, &start, &now) {
                continue;
            }
            for action in world.enabled(&state) {
                let is_member = |id: &Id| group.members.contains(id);
                let may_act =
                    || recovery.acts.as_ref().is_none_or(|acts| acts(group, &now, action.who));
                let may_do = is_member(&action.who)
                    && match &action.event {
                        Event::Restart => false,
                        Event::Deliver { src, .. } => {
                            is_member(src) && !group.cut.contains(&(*src, action.who))
                        }
                        Event::Timeout(_) | Event::Choose { .. } => may_act(),
                    };
                if !may_do {
                    continue;
                }
                let Some(next) = world.step(&state, &action) else { continue };
                if known.insert(Known(next.clone())) {
                    waiting.push(next);
                }
            }
        }
        true
    })
}

/// What stateright's breadth-first search says of a world, and the tuples that it meets.
pub(crate) fn by_stateright<A: Checkable, G: Ghostly>(
    mut world: World<A, G>,
) -> (Report, Tuples<A, G>) {
    let met = Arc::new(Mutex::new(Tuples::new()));
    let notes = Arc::clone(&met);
    // Every state it visits is judged, so what is asked of it can write it down.
    let recorded = StatePredicate::View(Arc::new(move |view: &View<'_, A, G>| {
        notes.lock().unwrap().insert(tuple(view));
        true
    }));
    world.always.push(StateProperty { name: "it is recorded", holds: recorded });
    let limits = Limits::unlimited(2);
    let report = run(world, Engine::Bfs, &limits, &AtomicBool::new(false), &mut |_| {});
    let met = std::mem::take(&mut *met.lock().unwrap());
    (report, met)
}

/// Searches with these threads and surveys: what came of it, and the tuples that were visited.
pub(crate) fn explored<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    (threads, surveys): (usize, &[u16]),
) -> (Report, Tuples<A, G>) {
    let limits = Limits::unlimited(threads);
    let mut tuples = Tuples::new();
    let report = explore_and_visit(world, &limits, surveys, &mut |view| {
        tuples.insert(tuple(view));
    });
    (report, tuples)
}

/// The number of permutations that were used, and the counts of the search.
pub(crate) fn counts(report: &Report) -> (u64, (u64, u64)) {
    let counts = report.tuples.expect("the antichain engine counts tuples");
    (counts.symmetries, (counts.tuples, report.states))
}

/// What was found of each property.
pub(crate) fn results(report: &Report) -> Vec<String> {
    let result = |property: &PropertyReport| format!("{} {:?}", property.name, property.result);
    report.properties.iter().map(result).collect()
}

//! The second search, for the shortest counterexample: level by level, and every state remembers where
//! it came from.
//!
//! The length of a path is the number of its steps that change an actor. Message-only steps are taken
//! along only where a later step needs what they send.

use super::recovery::Judged;
use super::relevance::Relevance;
use super::search::Search;
use super::store::Inserted;
use super::tables::{StepEvent, Tables};
use super::worker::{Fired, Worker};
use crate::checker::run::Limits;
use crate::checker::view::{Checkable, Ghostly};
use crate::checker::world::{Action, ActionOf, World};
use stateright::actor::Id;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

/// Maximal states after which a survey ends here.
const SURVEYED: u64 = 5_000;

/// A step by its actor and number.
type StepOf = (usize, u32);

/// What ended the search.
pub(crate) enum Traced<A: Checkable> {
    /// These actions lead to a violation; so many states were visited.
    Found(Vec<ActionOf<A>>, usize),
    /// There is no violation; so many states were visited.
    Exhausted(usize),
    /// The limit was reached first.
    LimitReached(usize),
}

/// Every state, with where it came from.
struct Levels {
    actors: usize,
    keys: Vec<u32>,
    sets: Vec<u32>,
    origins: Vec<(u32, u8, u32)>,
}

impl Levels {
    fn add(&mut self, (key, sets): (&[u32], &[u32]), origin: (u32, u8, u32)) {
        self.keys.extend_from_slice(key);
        self.sets.extend_from_slice(sets);
        self.origins.push(origin);
    }

    fn key(&self, state: usize) -> &[u32] {
        &self.keys[state * (self.actors + 1)..(state + 1) * (self.actors + 1)]
    }

    fn sets(&self, state: usize) -> &[u32] {
        &self.sets[state * self.actors..(state + 1) * self.actors]
    }

    /// The steps from the first state to this one.
    fn path(&self, mut state: usize) -> Vec<StepOf> {
        let mut path = Vec::new();
        while state != 0 {
            let (parent, who, step) = self.origins[state];
            path.push((usize::from(who), step));
            state = parent as usize;
        }
        path.reverse();
        path
    }
}

/// What is looked for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// A violation of one of these properties, as bits.
    pub(crate) violations: u64,
    /// A dead end.
    pub(crate) dead_end: bool,
}

/// Searches for the shortest way to what is wanted.
pub(crate) fn trace<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    wanted: Wanted,
    threads: usize,
    max_states: usize,
) -> Traced<A> {
    // Beyond a violation there may be no end.
    let limits = Limits { threads, max_states: Some(SURVEYED), max_time: None, max_memory: None };
    let interrupted = AtomicBool::new(false);
    let mut search = Search::new(world, &limits, &interrupted, false);
    let hypothesis = search.survey();
    match levels(&mut search, &hypothesis, wanted, max_states) {
        // What surveys say may be too little.
        Traced::Exhausted(_) => {
            let everything = Relevance::everything(world.actors.actors.len());
            levels(&mut search, &everything, wanted, max_states)
        }
        traced => traced,
    }
}

fn levels<A: Checkable, G: Ghostly>(
    search: &mut Search<'_, '_, A, G>,
    relevance: &Relevance,
    Wanted { violations: wanted, dead_end }: Wanted,
    max_states: usize,
) -> Traced<A> {
    search.shared.clear();
    search.shared.take_violated();
    let (shared, start) = (&search.shared, &search.key);
    let mut worker = Worker::new(shared, relevance, None);
    let recovery = shared.world.recovery.as_ref().filter(|_| dead_end);
    let mut judged = recovery.map(Judged::new);
    let mut is_dead_end = |key: &[u32]| {
        let mut tables = shared.tables.write().expect("no thread panics with it");
        judged.as_mut().is_some_and(|judged| judged.is_dead_end(&mut tables, key))
    };
    let mut levels =
        Levels { actors: start.len() - 1, keys: vec![], sets: vec![], origins: vec![] };
    let finish = |path: Vec<StepOf>, visited| {
        let tables = shared.tables.read().expect("no thread panics with it");
        Traced::Found(actions(&tables, start, &search.messages, &path), visited)
    };
    if !worker.start(start, &search.messages) {
        return Traced::Exhausted(0);
    }
    levels.add(worker.state(), (0, 0, 0));
    if shared.take_violated() & wanted != 0 {
        return finish(broken_here(&mut worker, wanted).into_iter().collect(), 1);
    }
    if is_dead_end(levels.key(0)) {
        return finish(Vec::new(), 1);
    }
    let mut state = 0;
    while state < levels.origins.len() {
        let (key, sets) = (levels.key(state).to_vec(), levels.sets(state).to_vec());
        let mut found = None;
        worker.successors(&key, &sets, &mut |worker, who, step, fired| {
            let mut here = None;
            if let Fired::Inside { ghost_changed } = fired {
                // What a handler puts out here may be what violates.
                if shared.has_violated(wanted) {
                    here = broken_here(worker, wanted);
                }
                let inserted = worker.insert(Some(who), ghost_changed);
                if inserted != Inserted::Subsumed {
                    let number = u8::try_from(who).expect("at most 255 actors");
                    let parent = u32::try_from(state).expect("fewer than 2^32 states");
                    levels.add(worker.state(), (parent, number, step));
                    if is_dead_end(worker.state().0) {
                        found = Some(((who, step), None));
                    }
                }
            }
            if shared.take_violated() & wanted != 0 {
                found = Some(((who, step), here));
            }
            found.is_none()
        });
        worker.tasks.clear();
        if let Some((step, here)) = found {
            let path = levels.path(state).into_iter().chain([step]).chain(here);
            return finish(path.collect(), levels.origins.len());
        }
        if levels.origins.len() >= max_states {
            return Traced::LimitReached(levels.origins.len());
        }
        state += 1;
    }
    Traced::Exhausted(levels.origins.len())
}

/// A step that can be taken in the state in the scratch and whose outputs violate a property.
fn broken_here<A: Checkable, G: Ghostly>(
    worker: &mut Worker<'_, '_, A, G>,
    wanted: u64,
) -> Option<StepOf> {
    let locals = worker.state().0.to_vec();
    let messages = worker.messages().to_vec();
    let shared = worker.shared();
    let steps_from = shared.world.always.len();
    let mut tables = shared.tables.write().expect("no thread panics with it");
    for (who, set) in messages.iter().enumerate() {
        let mut steps = tables.spontaneous(who, locals[who]);
        for message in super::bits::numbers(set.words()) {
            steps.extend(tables.deliver(who, locals[who], message));
        }
        let breaks =
            |step: &u32| u64::from(tables.steps[*step as usize].broken) << steps_from & wanted != 0;
        if let Some(step) = steps.into_iter().find(breaks) {
            return Some((who, step));
        }
    }
    None
}

/// Where a message comes from.
#[derive(Clone, Copy)]
enum Origin {
    /// It was there at the start, or a step of the path sends it.
    Path,
    /// This message-only step, taken before the path's step of that number.
    Quiet(usize, StepOf),
}

/// The path as actions, with the message-only steps that it needs.
fn actions<A: Checkable, G: Ghostly>(
    tables: &Tables<'_, A, G>,
    start: &[u32],
    messages: &[(u8, u32)],
    path: &[StepOf],
) -> Vec<ActionOf<A>> {
    let mut locals = start[..tables.actors.len()].to_vec();
    let mut origins: BTreeMap<(u8, u32), Origin> =
        messages.iter().map(|message| (*message, Origin::Path)).collect();
    let mut befores: Vec<Vec<StepOf>> = Vec::new();
    let mut at = Vec::new();
    for (position, (who, step)) in path.iter().enumerate() {
        befores.push(Vec::new());
        at.push(locals.clone());
        saturate(tables, &locals, position, &mut origins);
        let record = &tables.steps[*step as usize];
        need(tables, &origins, *who, *step, &mut befores);
        for sent in record.sent.iter() {
            origins.entry(*sent).or_insert(Origin::Path);
        }
        locals[*who] = record.next;
    }
    let mut actions = Vec::new();
    for (position, step) in path.iter().enumerate() {
        for (who, step) in befores[position].iter().chain([step]) {
            let record = &tables.steps[*step as usize];
            let event = tables.event(*who, at[position][*who], record.event);
            actions.push(Action { who: Id::from(*who), event });
        }
    }
    actions
}

/// Notes what message-only steps can send here.
fn saturate<A: Checkable, G: Ghostly>(
    tables: &Tables<'_, A, G>,
    locals: &[u32],
    position: usize,
    origins: &mut BTreeMap<(u8, u32), Origin>,
) {
    loop {
        let before = origins.len();
        for (who, local) in locals.iter().enumerate() {
            let row = &tables.actors[who].rows[*local as usize];
            let number = u8::try_from(who).expect("at most 255 actors");
            let known = origins.range((number, 0)..=(number, u32::MAX));
            let replies = known.filter_map(|((_, message), _)| row.step(*message));
            let spontaneous = row.spontaneous.iter().flatten().copied();
            for step in spontaneous.chain(replies).collect::<Vec<_>>() {
                let record = &tables.steps[step as usize];
                if record.change.is_none() && record.broken == 0 {
                    for sent in record.sent.iter() {
                        origins.entry(*sent).or_insert(Origin::Quiet(position, (who, step)));
                    }
                }
            }
        }
        if origins.len() == before {
            return;
        }
    }
}

/// Puts the message-only steps that a step needs where they can be taken.
fn need<A: Checkable, G: Ghostly>(
    tables: &Tables<'_, A, G>,
    origins: &BTreeMap<(u8, u32), Origin>,
    who: usize,
    step: u32,
    befores: &mut Vec<Vec<StepOf>>,
) {
    let StepEvent::Deliver(message) = tables.steps[step as usize].event else { return };
    let number = u8::try_from(who).expect("at most 255 actors");
    let origin = origins.get(&(number, message)).expect("what is delivered was sent");
    if let Origin::Quiet(position, quiet) = *origin
        && !befores[position].contains(&quiet)
    {
        need(tables, origins, quiet.0, quiet.1, befores);
        befores[position].push(quiet);
    }
}

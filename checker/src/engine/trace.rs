//! The second search, for the shortest counterexample. It goes level by level, and every state remembers
//! where it came from.
//!
//! [`trace`] searches for one thing that is wanted, [`trace_each`] for each of several. Both use [`levels`],
//! which visits the states. [`actions`] then makes a path of actions. The length of a path is the number of
//! its steps that change an actor. Message-only steps are in it only where a later step needs the messages
//! that they send.

use super::bits::numbers;
use super::ids::{LocalId, MessageId, Number, SetId, Slot, StepId, VisitId};
use super::panics::Held;
use super::recovery::Judged;
use super::relevance::Relevance;
use super::search::{SURVEYS, Search};
use super::store::Inserted;
use super::tables::{StepEvent, Tables};
use super::tuple::{Tuple, TupleBuf};
use super::worker::{Fired, Worker};
use crate::run::{Limits, Lookout};
use crate::view::{Checkable, Ghostly};
use crate::world::{Action, ActionOf, World};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

/// The number of maximal states after which a survey ends in this search.
const SURVEYED: u64 = 5_000;

/// A step by its actor and number.
type StepOf = (Slot, StepId);

/// The outcome of a search for one thing, or for the first of several.
pub(crate) struct Traced<A: Checkable> {
    /// The way that was found.
    pub(crate) found: Option<Way<A>>,
    /// The reason why the search ended. If a way was found, this is the reason why the search for a shorter
    /// way ended.
    pub(crate) ended: Ended,
    /// The number of states visited.
    pub(crate) visited: usize,
}

/// A way to something that was wanted.
pub(crate) struct Way<A: Checkable> {
    /// The thing to which the way leads.
    pub(crate) what: Wanted,
    /// The actions of the way.
    pub(crate) actions: Vec<ActionOf<A>>,
    /// The number of these actions that change an actor.
    pub(crate) length: usize,
    /// The number of states visited until the way was found.
    pub(crate) visited: usize,
}

/// The outcome of a search for each of several things.
pub(crate) struct TracedEach<A: Checkable> {
    /// The things that were found, each with a shortest way to it.
    pub(crate) found: Vec<Way<A>>,
    /// The reason why the search ended.
    pub(crate) ended: Ended,
    /// The number of states visited.
    pub(crate) visited: usize,
}

/// How far a search goes.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// The number of states at which the search ends.
    pub states: usize,
    /// The largest number of steps on a path that change an actor.
    pub steps: usize,
}

/// The reason why a search by levels ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing was wanted any more.
    Found,
    /// Nothing is left to visit.
    Exhausted,
    /// The limit on states was reached.
    AtStates,
    /// The limit on steps was reached.
    AtSteps,
    /// Another limit, or an interruption, ended the search.
    By(&'static str),
}

/// Every state that was visited, with where it came from.
struct Levels {
    actors: usize,
    tuples: Vec<u32>,
    sets: Vec<SetId>,
    /// For each state except the first, the state before it and the step that led from there.
    origins: Vec<(VisitId, StepOf)>,
}

impl Levels {
    /// The levels begin with the first state.
    fn beginning((tuple, sets): (Tuple<'_>, &[SetId])) -> Self {
        let (tuples, sets) = (tuple.numbers().to_vec(), sets.to_vec());
        Self { actors: tuple.actors(), tuples, sets, origins: Vec::new() }
    }

    fn add(&mut self, (tuple, sets): (Tuple<'_>, &[SetId]), from: VisitId, by: StepOf) {
        self.tuples.extend_from_slice(tuple.numbers());
        self.sets.extend_from_slice(sets);
        self.origins.push((from, by));
    }

    /// The number of states that were visited.
    fn len(&self) -> usize {
        self.origins.len() + 1
    }

    fn tuple(&self, state: VisitId) -> Tuple<'_> {
        let width = self.actors + 1;
        Tuple::of(&self.tuples[state.index() * width..][..width])
    }

    fn sets(&self, state: VisitId) -> &[SetId] {
        &self.sets[state.index() * self.actors..][..self.actors]
    }

    /// The steps from the first state to this one.
    fn path(&self, mut state: VisitId) -> Vec<StepOf> {
        let mut path = Vec::new();
        while let Some(before) = state.index().checked_sub(1) {
            let (from, by) = self.origins[before];
            path.push(by);
            state = from;
        }
        path.reverse();
        path
    }
}

/// The things that a search looks for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// A violation of one of these properties, as bits.
    pub(crate) violations: u64,
    /// A dead end.
    pub(crate) dead_end: bool,
}

impl Wanted {
    const NOTHING: Self = Self { violations: 0, dead_end: false };

    fn is_nothing(self) -> bool {
        self.violations == 0 && !self.dead_end
    }

    fn and(self, other: Self) -> Self {
        let dead_end = self.dead_end && other.dead_end;
        Self { violations: self.violations & other.violations, dead_end }
    }

    fn without(self, other: Self) -> Self {
        let dead_end = self.dead_end && !other.dead_end;
        Self { violations: self.violations & !other.violations, dead_end }
    }

    /// Takes the wanted things one by one: each property, then the dead end.
    fn each(self) -> impl Iterator<Item = Self> {
        let bits = (0..u64::BITS).map(|n| 1 << n).filter(move |bit| self.violations & bit != 0);
        let dead_end = self.dead_end.then_some(Self { violations: 0, dead_end: true });
        bits.map(|violations| Self { violations, dead_end: false }).chain(dead_end)
    }
}

/// Searches for the shortest way to what is wanted.
///
/// The first pass keeps only messages that matter by the surveys, since that has far fewer states. The way
/// that it finds may not be the shortest, because a message that was thought not to matter may be part of a
/// shorter one. So further passes look for shorter ways with all messages, until there is none.
pub(crate) fn trace<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    wanted: Wanted,
    limits: &Limits,
    interrupted: &AtomicBool,
) -> Traced<A> {
    trace_by(&SURVEYS, world, wanted, limits, interrupted)
}

/// Searches as [`trace`] does, with surveys of the caller's.
fn trace_by<A: Checkable, G: Ghostly>(
    surveys: &[u16],
    world: &World<A, G>,
    wanted: Wanted,
    limits: &Limits,
    interrupted: &AtomicBool,
) -> Traced<A> {
    // A survey gets a limit on states, because there may be no end beyond a violation.
    let of_surveys = Limits { max_states: Some(SURVEYED), ..limits.clone() };
    let mut search = Search::new(world, &of_surveys, interrupted, false);
    // The lookout has no limit on states: the levels count states at each step.
    let unlimited = Limits { max_states: None, ..limits.clone() };
    let lookout = Lookout::since(search.start, &unlimited, interrupted);
    let mut reach = Reach {
        states: limits.max_states.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX)),
        steps: usize::MAX,
    };
    let surveyed = search.survey(surveys);
    let everything = Relevance::everything(world.actors.actors.len());
    let mut found: Option<Way<A>> = None;
    let hypotheses = std::iter::once(&surveyed).chain(std::iter::repeat(&everything));
    for (pass, relevance) in hypotheses.enumerate() {
        let known = found.as_ref().map(|way| way.length);
        reach.steps = known.map_or(usize::MAX, |length| length.saturating_sub(1));
        let mut shorter = None;
        let mut first = |wanted: &mut Wanted, way: Way<A>| {
            if known.is_none_or(|known| way.length < known) {
                *wanted = Wanted::NOTHING;
                shorter = Some(way);
            }
        };
        let (ended, visited) = levels(&mut search, relevance, wanted, reach, &lookout, &mut first);
        let goes_on = match &shorter {
            Some(way) => way.length > 0,
            // The messages that matter by the surveys may be too few.
            None => pass == 0 && ended == Ended::Exhausted,
        };
        found = shorter.or(found);
        if !goes_on {
            return Traced { found, ended, visited };
        }
    }
    unreachable!("it ends when there is nothing shorter")
}

/// Searches for a shortest way to each thing that is wanted, also beyond violations of the others: each is
/// judged as if it alone were asked. All messages are taken to matter, and there is one thread. So the search
/// always finds the same within its reach.
pub(crate) fn trace_each<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    wanted: Wanted,
    reach: Reach,
) -> TracedEach<A> {
    let limits = Limits::unlimited(1);
    let interrupted = AtomicBool::new(false);
    let mut search = Search::new(world, &limits, &interrupted, false);
    let lookout = Lookout::since(search.start, &limits, &interrupted);
    search.shared.goes_on = true;
    let everything = Relevance::everything(world.actors.actors.len());
    let mut found = Vec::new();
    let mut each = |wanted: &mut Wanted, way: Way<A>| {
        *wanted = wanted.without(way.what);
        found.push(way);
    };
    let (ended, visited) = levels(&mut search, &everything, wanted, reach, &lookout, &mut each);
    TracedEach { found, ended, visited }
}

/// The function that is told of a way, and updates what is still wanted.
type Found<'f, A> = &'f mut dyn FnMut(&mut Wanted, Way<A>);

/// The things that are wanted, and the function that is told of each way to one.
struct Asked<'f, A: Checkable> {
    wanted: Wanted,
    found: Found<'f, A>,
    /// Ways that are one step longer than their level. Another state of the level may have a shorter one.
    longer: Vec<Way<A>>,
}

impl<A: Checkable> Asked<'_, A> {
    /// Whether any of these things is still wanted.
    fn is_wanted(&self, what: Wanted) -> bool {
        !self.wanted.and(what).is_nothing()
    }

    /// Tells of a way that was found from a state of this level.
    fn tell(&mut self, way: Way<A>, level: usize) {
        if way.length > level {
            self.longer.push(way);
        } else {
            (self.found)(&mut self.wanted, way);
        }
    }

    /// Tells of the longer ways, after all states of a level have been looked at.
    fn end_level(&mut self) {
        for way in std::mem::take(&mut self.longer) {
            if self.is_wanted(way.what) {
                (self.found)(&mut self.wanted, way);
            }
        }
    }
}

/// Visits states level by level, and tells `found` of each thing that is wanted when it is found, with a
/// shortest way to it. The search ends when nothing is wanted any more.
fn levels<A: Checkable, G: Ghostly>(
    search: &mut Search<'_, '_, A, G>,
    relevance: &Relevance,
    wanted: Wanted,
    reach: Reach,
    lookout: &Lookout<'_>,
    found: Found<'_, A>,
) -> (Ended, usize) {
    let mut asked = Asked { wanted, found, longer: Vec::new() };
    search.shared.clear();
    search.shared.take_violated();
    let (shared, start) = (&search.shared, search.first.tuple());
    let mut worker = Worker::new(shared, relevance, None);
    let judged = shared.world.recovery.as_ref().map(|asked| Judged::new(asked, lookout));
    let mut judge = judged.as_ref().map(Judged::judge);
    let mut is_dead_end = |tuple: Tuple<'_>| match &mut judge {
        Some(judge) => judge.is_dead_end(&shared.tables, tuple),
        None => Ok(false),
    };
    let show = |asked: &mut Asked<'_, A>,
                seen: Wanted,
                (path, level): (&[StepOf], usize),
                visited,
                worker: &mut _| {
        for what in seen.each() {
            if !asked.is_wanted(what) {
                continue;
            }
            // The outputs of a handler there may be what violates.
            let here = broken_here(worker, what.violations);
            let path: Vec<_> = path.iter().copied().chain(here).collect();
            let tables = shared.tables.read().held();
            let changes = |(_, step): &&StepOf| tables.steps[step.index()].change.is_some();
            let length = path.iter().filter(changes).count();
            let actions = actions(&tables, start, &search.messages, &path, shared.goes_on);
            asked.tell(Way { what, actions, length, visited }, level);
        }
    };
    if !worker.start(start, &search.messages) {
        return (Ended::Exhausted, 0);
    }
    let mut levels = Levels::beginning(worker.state());
    let dead_end =
        asked.wanted.dead_end.then(|| is_dead_end(levels.tuple(VisitId::of(0)))).transpose();
    let seen = Wanted {
        violations: shared.take_violated(),
        dead_end: dead_end.is_ok_and(|dead_end| dead_end.unwrap_or(false)),
    };
    show(&mut asked, seen, (&[], 0), 1, &mut worker);
    asked.end_level();
    if let (Err(reason), false) = (dead_end, asked.wanted.is_nothing()) {
        return (Ended::By(reason), 1);
    }
    // States before `level_end` are at most `depth` steps from the first state.
    let (mut state, mut depth, mut level_end) = (0, 0, 1);
    let mut tuple = TupleBuf::default();
    let ended = loop {
        if state == level_end {
            asked.end_level();
            (depth, level_end) = (depth + 1, levels.len());
        }
        if asked.wanted.is_nothing() {
            break Ended::Found;
        }
        if state == levels.len() {
            break Ended::Exhausted;
        }
        if levels.len() >= reach.states {
            break Ended::AtStates;
        }
        if depth == reach.steps {
            break Ended::AtSteps;
        }
        if let Some(reason) = lookout.reached() {
            break Ended::By(reason);
        }
        let here = VisitId::of(state);
        tuple.copy(levels.tuple(here));
        let sets = levels.sets(here).to_vec();
        let mut undecided = None;
        worker.successors(tuple.tuple(), &sets, &mut |worker, who, step, fired| {
            let mut dead_end = false;
            if let Fired::Inside { ghost_changed } = fired
                && worker.insert(Some(who), ghost_changed) != Inserted::Subsumed
            {
                levels.add(worker.state(), here, (who, step));
                match asked.wanted.dead_end.then(|| is_dead_end(worker.state().0)).transpose() {
                    Ok(found) => dead_end = found.unwrap_or(false),
                    Err(reason) => undecided = Some(reason),
                }
            }
            let seen = Wanted { violations: shared.take_violated(), dead_end };
            if asked.is_wanted(seen) {
                let mut path = levels.path(here);
                path.push((who, step));
                let visited = levels.len();
                show(&mut asked, seen, (&path, depth + 1), visited, worker);
            }
            !asked.wanted.is_nothing() && undecided.is_none()
        });
        if let Some(reason) = undecided {
            break Ended::By(reason);
        }
        worker.tasks.clear();
        state += 1;
    };
    asked.end_level();
    (ended, levels.len())
}

/// A step that can be taken in the state in the scratch and whose outputs violate a property. A step that
/// changes no actor is preferred.
fn broken_here<A: Checkable, G: Ghostly>(
    worker: &mut Worker<'_, '_, A, G>,
    wanted: u64,
) -> Option<StepOf> {
    let locals: Vec<_> = worker.state().0.locals().collect();
    let messages = worker.messages().to_vec();
    let shared = worker.shared();
    let steps_from = shared.world.always.len();
    let mut tables = shared.tables.write().held();
    let mut changing = None;
    for ((who, local), set) in locals.into_iter().zip(&messages) {
        let mut steps = tables.spontaneous(who, local);
        for message in numbers(set.words()) {
            steps.extend(tables.deliver(who, local, message));
        }
        let breaks = |step: &StepId| {
            u64::from(tables.steps[step.index()].broken) << steps_from & wanted != 0
        };
        for step in steps.into_iter().filter(breaks) {
            if tables.steps[step.index()].change.is_none() {
                return Some((who, step));
            }
            changing = changing.or(Some((who, step)));
        }
    }
    changing
}

/// The origin of a message.
#[derive(Clone, Copy)]
enum Origin {
    /// The message was there at the start, or a step of the path sends it.
    Path,
    /// This message-only step sends the message. It is taken before the path's step of that number.
    Quiet(usize, StepOf),
}

/// The path as actions, with the message-only steps that it needs.
fn actions<A: Checkable, G: Ghostly>(
    tables: &Tables<'_, A, G>,
    start: Tuple<'_>,
    messages: &[(Slot, MessageId)],
    path: &[StepOf],
    goes_on: bool,
) -> Vec<ActionOf<A>> {
    let mut locals: Vec<_> = start.locals().map(|(_, local)| local).collect();
    let mut origins: BTreeMap<(Slot, MessageId), Origin> =
        messages.iter().map(|message| (*message, Origin::Path)).collect();
    let mut befores: Vec<Vec<StepOf>> = Vec::new();
    let mut at = Vec::new();
    for (position, (who, step)) in path.iter().enumerate() {
        befores.push(Vec::new());
        at.push(locals.clone());
        saturate(tables, &locals, position, goes_on, &mut origins);
        let record = &tables.steps[step.index()];
        need(tables, &origins, *who, *step, &mut befores);
        for sent in record.sent.iter() {
            origins.entry(*sent).or_insert(Origin::Path);
        }
        locals[who.index()] = record.next;
    }
    let mut actions = Vec::new();
    for (position, step) in path.iter().enumerate() {
        for (who, step) in befores[position].iter().chain([step]) {
            let record = &tables.steps[step.index()];
            let event = tables.event(*who, at[position][who.index()], record.event);
            actions.push(Action { who: who.id(), event });
        }
    }
    actions
}

/// Notes the messages that message-only steps can send at this position of the path.
fn saturate<A: Checkable, G: Ghostly>(
    tables: &Tables<'_, A, G>,
    locals: &[LocalId],
    position: usize,
    goes_on: bool,
    origins: &mut BTreeMap<(Slot, MessageId), Origin>,
) {
    loop {
        let before = origins.len();
        for (who, local) in Slot::all().zip(locals) {
            let row = &tables.actors[who.index()].rows[local.index()];
            let known = origins.range((who, MessageId::of(0))..);
            let known = known.take_while(|((to, _), _)| *to == who);
            let replies = known.filter_map(|((_, message), _)| row.step(*message));
            let spontaneous = row.spontaneous.iter().flatten().copied();
            for step in spontaneous.chain(replies).collect::<Vec<_>>() {
                let record = &tables.steps[step.index()];
                if record.change.is_none() && (goes_on || record.broken == 0) {
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
    origins: &BTreeMap<(Slot, MessageId), Origin>,
    who: Slot,
    step: StepId,
    befores: &mut Vec<Vec<StepOf>>,
) {
    let StepEvent::Deliver(message) = tables.steps[step.index()].event else { return };
    let origin = origins.get(&(who, message)).expect("what is delivered was sent");
    if let Origin::Quiet(position, quiet) = *origin
        && !befores[position].contains(&quiet)
    {
        need(tables, origins, quiet.0, quiet.1, befores);
        befores[position].push(quiet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stateright::actor::{Actor, Id, Out, model_timeout};
    use std::borrow::Cow;

    /// The first actor counts to 12, which is a violation. The second actor sends the first a message at the
    /// start. If that message arrives at 2, it leads to 12 at once.
    struct Counting;

    impl Actor for Counting {
        type Msg = ();
        type Timer = ();
        type State = u8;
        type Storage = ();
        type Random = ();

        fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> u8 {
            match usize::from(id) {
                0 => o.set_timer((), model_timeout()),
                _ => o.send(Id::from(0), ()),
            }
            0
        }

        fn on_timeout(&self, _: Id, state: &mut Cow<'_, u8>, (): &(), o: &mut Out<Self>) {
            o.set_timer((), model_timeout());
            *state = Cow::Owned(12.min(**state + 1));
        }

        fn on_msg(&self, _: Id, state: &mut Cow<'_, u8>, _: Id, (): (), _: &mut Out<Self>) {
            if **state == 2 {
                *state = Cow::Owned(12);
            }
        }
    }

    /// A survey that fires nothing knows only local states in which the message does nothing.
    #[test]
    fn a_shorter_way_by_a_message_that_surveys_do_not_know_to_matter_is_found() {
        let world =
            World::new([Counting, Counting]).always_each("below 12", |_, local| *local.state < 12);
        let limits = Limits::unlimited(1);
        let wanted = Wanted { violations: 1, dead_end: false };
        for surveys in [&SURVEYS[..], &[0]] {
            let traced = trace_by(surveys, &world, wanted, &limits, &AtomicBool::new(false));
            let way = traced.found.expect("there is one");
            assert_eq!((way.length, way.actions.len()), (3, 3), "{surveys:?}");
            assert_eq!(traced.ended, Ended::AtSteps, "{surveys:?}: nothing is shorter");
        }
    }
}

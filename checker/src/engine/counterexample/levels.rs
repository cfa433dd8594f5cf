//! Visits states level by level, and tells of each thing that is wanted when it is found.
//!
//! [`search`] keeps every state with its origin ([`Levels`]), so that there is a path to each. A [`Visit`]
//! looks at the states in the order in which they were found. A thing that is found one step beyond a level
//! waits until the level ends, because another state of the level may have a shorter way.

use super::path::{StepOf, actions};
use super::{Ended, Reach, Wanted, Way};
use crate::engine::bits::numbers;
use crate::engine::ids::{Number, SetId, StepId, VisitId};
use crate::engine::panics::Held;
use crate::engine::recovery::{Judged, RecoveryJudge, Undecided};
use crate::engine::reduction::Relevance;
use crate::engine::search::Search;
use crate::engine::store::Inserted;
use crate::engine::tuple::{Tuple, TupleBuf};
use crate::engine::worker::{Fired, Worker};
use crate::run::Lookout;
use crate::view::{Checkable, Ghostly};

/// Every state that was visited, with its origin.
struct Levels {
    actors: usize,
    tuples: Vec<u32>,
    sets: Vec<SetId>,
    /// For each state except the first, the state before it and the step that led from there.
    origins: Vec<(VisitId, StepOf)>,
}

impl Levels {
    /// Levels that hold only the first state.
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

/// The function that is told of a way, and updates what is still wanted.
pub(super) type Found<'f, A> = &'f mut dyn FnMut(&mut Wanted, Way<A>);

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

/// A search by levels under way.
struct Visit<'s, 'w, 'l, A: Checkable, G> {
    search: &'s Search<'w, 'l, A, G>,
    judge: Option<RecoveryJudge<'s, 's, A>>,
    asked: Asked<'s, A>,
    levels: Levels,
    /// The number of steps to the states of the level that is visited.
    depth: usize,
}

/// Visits states level by level, and tells `found` of each thing that is wanted when it is found, with a
/// shortest way to it. The search ends when nothing is wanted any more. Returns why it ended, and how many
/// states it has visited.
pub(super) fn search<A: Checkable, G: Ghostly>(
    search: &mut Search<'_, '_, A, G>,
    relevance: &Relevance,
    wanted: Wanted,
    reach: Reach,
    lookout: &Lookout<'_>,
    found: Found<'_, A>,
) -> (Ended, usize) {
    search.shared.clear();
    search.shared.take_violated();
    let search = &*search;
    let mut worker = Worker::new(&search.shared, relevance, None);
    if !worker.start(search.first.tuple(), &search.messages) {
        return (Ended::Exhausted, 0);
    }
    let recovery = search.shared.world.recovery.as_ref();
    let judged = recovery.map(|recovery| Judged::new(recovery, lookout));
    let mut visit = Visit {
        search,
        judge: judged.as_ref().map(Judged::judge),
        asked: Asked { wanted, found, longer: Vec::new() },
        levels: Levels::beginning(worker.inserted()),
        depth: 0,
    };
    let ended = match visit.look_at_first(&mut worker) {
        Ok(()) => visit.all(&mut worker, reach, lookout),
        Err(reason) => Ended::By(reason),
    };
    (ended, visit.levels.len())
}

impl<'w, A: Checkable, G: Ghostly> Visit<'_, 'w, '_, A, G> {
    /// Looks at the first state. The error says why it is not known whether that state is a dead end.
    fn look_at_first(&mut self, worker: &mut Worker<'_, 'w, A, G>) -> Result<(), Undecided> {
        let dead_end = self.is_dead_end(worker.inserted().0);
        let violations = self.search.shared.take_violated();
        let seen = Wanted { violations, dead_end: dead_end.unwrap_or(false) };
        self.show(worker, seen, &[], 0);
        self.asked.end_level();
        match dead_end {
            Err(reason) if !self.asked.wanted.is_nothing() => Err(reason),
            _ => Ok(()),
        }
    }

    /// Visits all states, each after those that were found before it.
    fn all(
        &mut self,
        worker: &mut Worker<'_, 'w, A, G>,
        reach: Reach,
        lookout: &Lookout<'_>,
    ) -> Ended {
        // States before `level_end` are at most `depth` steps from the first state.
        let mut level_end = 1;
        let mut ended = None;
        for state in 0.. {
            if state == level_end {
                self.asked.end_level();
                self.depth += 1;
                level_end = self.levels.len();
            }
            ended = self.end_before(state, reach, lookout);
            if ended.is_none() {
                ended = self.expand(worker, VisitId::of(state)).err().map(Ended::By);
            }
            if ended.is_some() {
                break;
            }
        }
        self.asked.end_level();
        ended.expect("nothing else ends the visits")
    }

    /// The reason why the search ends before it visits this state, if there is one.
    fn end_before(&self, state: usize, reach: Reach, lookout: &Lookout<'_>) -> Option<Ended> {
        if self.asked.wanted.is_nothing() {
            Some(Ended::Found)
        } else if state == self.levels.len() {
            Some(Ended::Exhausted)
        } else if self.levels.len() >= reach.states {
            Some(Ended::AtStates)
        } else if self.depth == reach.steps {
            Some(Ended::AtSteps)
        } else {
            lookout.reached().map(Ended::By)
        }
    }

    /// Fires every step of a state, and looks at what each leads to.
    fn expand(
        &mut self,
        worker: &mut Worker<'_, 'w, A, G>,
        here: VisitId,
    ) -> Result<(), Undecided> {
        let mut tuple = TupleBuf::default();
        tuple.copy(self.levels.tuple(here));
        let sets = self.levels.sets(here).to_vec();
        let mut undecided = None;
        worker.successors(tuple.tuple(), &sets, &mut |worker, who, step, fired| {
            let mut dead_end = Ok(false);
            if let Fired::Inside { ghost_changed } = fired
                && worker.insert(Some(who), ghost_changed) != Inserted::Subsumed
            {
                self.levels.add(worker.inserted(), here, (who, step));
                dead_end = self.is_dead_end(worker.inserted().0);
            }
            undecided = dead_end.err();
            let violations = self.search.shared.take_violated();
            let seen = Wanted { violations, dead_end: dead_end.unwrap_or(false) };
            if self.asked.is_wanted(seen) {
                let mut path = self.levels.path(here);
                path.push((who, step));
                self.show(worker, seen, &path, self.depth + 1);
            }
            !self.asked.wanted.is_nothing() && undecided.is_none()
        });
        worker.tasks.clear();
        undecided.map_or(Ok(()), Err)
    }

    /// Whether a tuple is a dead end, if a dead end is wanted.
    fn is_dead_end(&mut self, tuple: Tuple<'_>) -> Result<bool, Undecided> {
        match &mut self.judge {
            Some(judge) if self.asked.wanted.dead_end => {
                judge.is_dead_end(&self.search.shared.tables, tuple)
            }
            _ => Ok(false),
        }
    }

    /// Tells of each thing that was seen and is wanted, with the way to it.
    fn show(
        &mut self,
        worker: &mut Worker<'_, 'w, A, G>,
        seen: Wanted,
        path: &[StepOf],
        level: usize,
    ) {
        let Search { shared, first, messages, .. } = self.search;
        for what in seen.each() {
            if !self.asked.is_wanted(what) {
                continue;
            }
            // A handler that runs in that state may have the outputs that violate the property.
            let here = broken_here(worker, what.violations);
            let path: Vec<_> = path.iter().copied().chain(here).collect();
            let tables = shared.tables.read().held();
            let changes = |(_, step): &&StepOf| tables.steps[step.index()].change.is_some();
            let length = path.iter().filter(changes).count();
            let actions = actions(&tables, first.tuple(), messages, &path, shared.at_violation);
            let visited = self.levels.len();
            self.asked.tell(Way { what, actions, length, visited }, level);
        }
    }
}

/// A step that can be taken in the state in the scratch and whose outputs violate a property. A step that
/// changes no actor is preferred.
fn broken_here<A: Checkable, G: Ghostly>(
    worker: &mut Worker<'_, '_, A, G>,
    wanted: u64,
) -> Option<StepOf> {
    let (tuple, messages) = worker.scratch();
    let (locals, messages): (Vec<_>, _) = (tuple.locals().collect(), messages.to_vec());
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

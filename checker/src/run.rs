//! Runs our engine or one of stateright's, and reports the outcome honestly.
//!
//! [`run`] takes a [`World`], an [`Engine`] and [`Limits`], and gives a [`Report`] with a [`Verdict`].
//! stateright calls a search done also when a limit ended it. Here a verdict on a search of stateright's is
//! EXHAUSTIVE only on two conditions. Every unique state was expanded, counted by the model itself; and none
//! was refused because the run was asked to stop.

use super::engine::{explore, explore_plainly};
use super::view::{Checkable, Ghostly};
use super::world::{Kind, RECOVERABILITY, Tally, World};
use stateright::{Checker, CheckerBuilder, HasDiscoveries, Model, UniformChooser};
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The engine of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The antichain engine: it searches tuples of local states with their maximal sets of messages, see
    /// [`super::engine`].
    Antichain,
    /// The antichain engine without its reductions: every message always matters, no messages are one, and no
    /// actors are interchangeable. It reaches all tuples that the antichain engine reaches, with more maximal
    /// states.
    Plain,
    /// stateright's breadth-first search.
    Bfs,
    /// stateright's depth-first search. It takes less memory and visits all states that the breadth-first
    /// search visits.
    Dfs,
    /// stateright's random walks from this seed. A simulation is never exhaustive.
    Simulation(u64),
}

/// The limits that end a run early.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The number of threads to search with.
    pub threads: usize,
    /// The largest number of unique states.
    pub max_states: Option<u64>,
    /// The longest time. A simulation has no end of its own, so it needs this limit.
    pub max_time: Option<Duration>,
    /// The largest resident memory of the process, in bytes.
    pub max_memory: Option<u64>,
    /// The largest number of local states of one actor, for the antichain engine. An actor without a bound
    /// gets ever more of them.
    pub max_locals: Option<u64>,
}

/// The progress of a run.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Unique states so far; for the antichain engine, maximal states.
    pub states: u64,
    /// The length of the longest path so far, where the engine knows it.
    pub depth: u64,
    /// Tuples visited so far. Only the antichain engine counts them.
    pub tuples: Option<u64>,
    /// The tuples for which those visited so far stand, themselves included. These are more where actors are
    /// interchangeable. Only the antichain engine counts them.
    pub represented: Option<u64>,
    /// Local states so far of the actor that has most. Only the antichain engine counts them.
    pub locals: Option<u64>,
    /// The time since the start.
    pub elapsed: Duration,
    /// The resident memory of the process in bytes, where the system tells it.
    pub memory: Option<u64>,
}

/// The outcome of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The search ended by itself: every state within the bounds was visited, and no property failed.
    Exhaustive,
    /// A limit ended the search, or it was a simulation. No violation was found in the states visited.
    Bounded,
    /// A property failed.
    Violated,
}

/// The result for one property after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyResult {
    /// The states visited contain no violation.
    Holds,
    /// The engine did not ask for the property.
    NotAsked,
    /// A violation was found.
    Violated,
    /// A state that satisfies it was visited.
    Witnessed,
    /// No state that satisfies the property was visited.
    Unwitnessed,
}

/// One property in a [`Report`].
#[derive(Clone, Debug)]
pub struct PropertyReport {
    /// The name of the property.
    pub name: &'static str,
    /// The kind of the property.
    pub kind: Kind,
    /// The result for the property.
    pub result: PropertyResult,
}

/// The report of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Unique states visited. For a simulation these are all states visited; for the antichain engine, the
    /// maximal states.
    pub states: u64,
    /// Steps generated, including the steps into known states.
    pub generated: u64,
    /// The counts that only the antichain engine makes.
    pub tuples: Option<TupleCounts>,
    /// Steps on the longest path. With several threads stateright's BFS does not keep levels, so this figure
    /// is about the run, not about the model.
    pub depth: u64,
    /// The time that the run took.
    pub elapsed: Duration,
    /// The largest resident memory of the process that was seen, in bytes, where the system tells it. If the
    /// limit on memory ended the run, this figure reached the limit.
    pub memory: Option<u64>,
    /// The verdict.
    pub verdict: Verdict,
    /// The results for all properties.
    pub properties: Vec<PropertyReport>,
    /// Generated states that each bound cut off, by the name of the bound. The antichain engine counts the
    /// steps that a bound cut off; it counts a step again if it takes the step again under another
    /// hypothesis.
    pub cuts: Vec<(&'static str, u64)>,
    /// Steps for each label, if coverage was asked for.
    pub labels: Vec<(&'static str, u64)>,
    /// The limit that ended the run before it ended by itself, if one did.
    pub ended_by: Option<&'static str>,
}

/// The counts of the antichain engine besides the number of states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TupleCounts {
    /// Distinct tuples of local states and ghost within the bounds. If the search did not end by itself,
    /// these are the tuples that were visited.
    pub tuples: u64,
    /// The number of permutations of interchangeable actors that the search uses, the identity included.
    /// States that differ only by such a permutation are visited once.
    pub symmetries: u64,
    /// The number of permutations that leave the first state as it is. Where there are too many, the search
    /// uses only some.
    pub permutations: u64,
    /// The numbers of tuples and maximal states that were visited. These stand for all the others.
    pub standing: (u64, u64),
    /// The number of states that were expanded.
    pub expanded: u64,
    /// The number of distinct local states of all actors.
    pub locals: u64,
    /// The actor that has most local states, and how many it has.
    pub widest: (usize, u64),
    /// The number of distinct messages.
    pub messages: u64,
    /// The number of distinct handler calls that did something.
    pub steps: u64,
    /// The number of distinct ghosts.
    pub ghosts: u64,
    /// The number of hypotheses about which messages matter: the first, and one for each that was refuted.
    pub rounds: u64,
    /// The number of combinations of local states of a group from which recovery was asked. It includes all
    /// combinations to which these can be renamed.
    pub recoveries: u64,
    /// Bytes of all tuples, states and sets of messages.
    pub bytes: u64,
}

impl Report {
    /// The names of the properties that failed.
    pub fn violated(&self) -> Vec<&'static str> {
        let violated = self.properties.iter().filter(|p| p.result == PropertyResult::Violated);
        violated.map(|property| property.name).collect()
    }

    /// An upper bound of the expected number of pairs of states that share a 64-bit fingerprint and were
    /// taken for one: n²/2⁶⁵, as TLC reports it. The bound assumes that different values are hashed
    /// differently. The antichain engine compares values, so its number is zero, whatever their `Hash` does.
    pub fn expected_collisions(&self) -> f64 {
        if self.tuples.is_some() {
            return 0.0;
        }
        (self.states as f64).powi(2) / 2_f64.powi(65)
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Engine::Antichain => "antichain",
            Engine::Plain => "plain",
            Engine::Bfs => "bfs",
            Engine::Dfs => "dfs",
            Engine::Simulation(_) => "simulation",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Exhaustive => "EXHAUSTIVE",
            Verdict::Bounded => "BOUNDED",
            Verdict::Violated => "VIOLATED",
        })
    }
}

/// Runs an engine on a world until it ends by itself, a property fails, a limit is reached, or
/// `interrupted` becomes true. `progress` is called a few times a second.
#[expect(clippy::disallowed_methods, reason = "a progress report and a time limit need a clock")]
pub fn run<A: Checkable, G: Ghostly>(
    world: World<A, G>,
    engine: Engine,
    limits: &Limits,
    interrupted: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Report {
    match engine {
        Engine::Antichain => return explore(&world, limits, interrupted, progress),
        Engine::Plain => return explore_plainly(&world, limits, interrupted, progress),
        Engine::Bfs | Engine::Dfs | Engine::Simulation(_) => {}
    }
    let tally = Arc::clone(&world.tally);
    let recovery = world.recovery.is_some().then_some((RECOVERABILITY, Kind::Recovery));
    let properties: Vec<_> = world.property_names().chain(recovery).collect();
    let bounds: Vec<_> = world.bounds.iter().map(|bound| bound.name).collect();
    let start = Instant::now();
    let builder: CheckerBuilder<World<A, G>> =
        world.checker().threads(limits.threads.max(1)).finish_when(HasDiscoveries::AnyFailures);
    let watch = Watch { engine, limits, interrupted, start, tally: &tally, properties, bounds };
    match engine {
        Engine::Antichain | Engine::Plain => unreachable!("it has returned"),
        Engine::Bfs => watch.finish(builder.spawn_bfs(), progress),
        Engine::Dfs => watch.finish(builder.spawn_dfs(), progress),
        Engine::Simulation(seed) => {
            let time = limits.max_time.unwrap_or(Duration::from_secs(10));
            watch.finish(builder.timeout(time).spawn_simulation(seed, UniformChooser), progress)
        }
    }
}

impl Limits {
    /// Limits that end no run.
    pub const fn unlimited(threads: usize) -> Self {
        Self { threads, max_states: None, max_time: None, max_memory: None, max_locals: None }
    }

    /// The reason why a run must end now, if there is one.
    pub(super) fn reached(&self, now: &Progress, interrupted: &AtomicBool) -> Option<&'static str> {
        let Limits { max_states, max_time, max_memory, max_locals, .. } = self;
        if interrupted.load(Ordering::Relaxed) {
            Some("an interruption")
        } else if max_states.is_some_and(|limit| now.states >= limit) {
            Some("the limit on states")
        } else if max_time.is_some_and(|limit| now.elapsed >= limit) {
            Some("the limit on time")
        } else if now.memory.zip(*max_memory).is_some_and(|(used, limit)| used >= limit) {
            Some("the limit on memory")
        } else if now.locals.zip(*max_locals).is_some_and(|(locals, limit)| locals >= limit) {
            Some(TOO_MANY_LOCALS)
        } else {
            None
        }
    }
}

/// The name of the limit on local states in a report.
pub(super) const TOO_MANY_LOCALS: &str = "the limit on local states of an actor";

/// How often a [`Lookout`] asks the system for the memory of the process, in milliseconds.
const BETWEEN_LOOKS_AT_MEMORY: u64 = 100;

/// Looks at the limits in work that does not tell how far it is. A look costs little more than a look at the
/// clock, so the work can take one often.
pub(super) struct Lookout<'l> {
    limits: &'l Limits,
    interrupted: &'l AtomicBool,
    start: Instant,
    /// The time of the next look at memory, in milliseconds from the start.
    due: AtomicU64,
    /// The largest memory that was seen.
    most: AtomicU64,
}

impl<'l> Lookout<'l> {
    /// A lookout whose time runs from `start`, which may be past.
    pub(super) fn since(start: Instant, limits: &'l Limits, interrupted: &'l AtomicBool) -> Self {
        Self { limits, interrupted, start, due: AtomicU64::new(0), most: AtomicU64::new(0) }
    }

    /// The reason why the work must end now, if there is one. A limit on states does not count here.
    pub(super) fn reached(&self) -> Option<&'static str> {
        let elapsed = self.start.elapsed();
        let memory = self.limits.max_memory.filter(|_| self.is_due(elapsed));
        let memory = memory.and_then(|_| self.memory());
        let (tuples, represented, locals) = (None, None, None);
        let now = Progress { states: 0, depth: 0, tuples, represented, locals, elapsed, memory };
        self.limits.reached(&now, self.interrupted)
    }

    /// The resident memory now. The lookout notes it.
    pub(super) fn memory(&self) -> Option<u64> {
        let memory = resident_memory()?;
        self.most.fetch_max(memory, Ordering::Relaxed);
        Some(memory)
    }

    /// The largest resident memory that was seen.
    pub(super) fn most_memory(&self) -> Option<u64> {
        self.memory().map(|_| self.most.load(Ordering::Relaxed))
    }

    /// Whether it is time to look at memory.
    fn is_due(&self, elapsed: Duration) -> bool {
        let now = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let is_due = now >= self.due.load(Ordering::Relaxed);
        if is_due {
            self.due.store(now.saturating_add(BETWEEN_LOOKS_AT_MEMORY), Ordering::Relaxed);
        }
        is_due
    }
}

/// A run of one of stateright's engines.
struct Watch<'a> {
    engine: Engine,
    limits: &'a Limits,
    interrupted: &'a AtomicBool,
    /// The time before the engine began: its threads run as soon as they are there.
    start: Instant,
    tally: &'a Tally,
    properties: Vec<(&'static str, Kind)>,
    bounds: Vec<&'static str>,
}

impl Watch<'_> {
    #[expect(clippy::disallowed_methods, reason = "it is looked at the engine now and then")]
    fn finish<M, C>(&self, mut checker: C, progress: &mut dyn FnMut(Progress)) -> Report
    where
        C: Checker<M>,
        M: Model,
        M::State: Hash + Clone + PartialEq,
        M::Action: Clone + PartialEq,
    {
        let (mut ended_by, mut most_memory) = (None, resident_memory());
        let handles = checker.handles();
        while !handles.iter().all(std::thread::JoinHandle::is_finished) {
            std::thread::sleep(Duration::from_millis(20));
            let now = Progress {
                states: checker.unique_state_count() as u64,
                depth: self.steps(checker.max_depth()),
                tuples: None,
                represented: None,
                locals: None,
                elapsed: self.start.elapsed(),
                memory: resident_memory(),
            };
            most_memory = most_memory.max(now.memory);
            progress(now);
            ended_by = ended_by.or(self.limits.reached(&now, self.interrupted));
            if ended_by.is_some() {
                self.tally.stop.store(true, Ordering::Relaxed);
            }
        }
        for handle in handles {
            // A panic in a handler is a defect of the model or the actor; it must not look like an end.
            if let Err(panic) = handle.join() {
                std::panic::resume_unwind(panic);
            }
        }
        let elapsed = self.start.elapsed();
        let expanded = self.tally.expanded.load(Ordering::Relaxed);
        let cuts = self.tally.cuts.iter().map(|count| count.load(Ordering::Relaxed));
        let labels = self.tally.labels.iter().map(|(name, n)| (*name, n.load(Ordering::Relaxed)));
        let (cuts, labels) = (self.bounds.iter().copied().zip(cuts).collect(), labels.collect());
        let refused = self.tally.refused.load(Ordering::Relaxed);
        self.tally.stop.store(false, Ordering::Relaxed); // so that the paths have their actions again
        let states = checker.unique_state_count() as u64;
        let (generated, depth) = (checker.state_count() as u64, self.steps(checker.max_depth()));
        let properties = self.properties();
        let verdict = if properties.iter().any(|p| p.result == PropertyResult::Violated) {
            Verdict::Violated
        } else if refused == 0
            && expanded == states
            && !matches!(self.engine, Engine::Simulation(_))
        {
            Verdict::Exhaustive
        } else {
            Verdict::Bounded
        };
        let ended_by = ended_by.filter(|_| verdict == Verdict::Bounded);
        let tuples = None;
        Report {
            states,
            generated,
            tuples,
            depth,
            elapsed,
            memory: most_memory.max(resident_memory()),
            verdict,
            properties,
            cuts,
            labels,
            ended_by,
        }
    }

    /// The number of steps on a path of this depth. stateright's BFS and DFS count the states of a path, its
    /// simulation counts the steps.
    fn steps(&self, depth: usize) -> u64 {
        match self.engine {
            Engine::Bfs | Engine::Dfs => depth.saturating_sub(1) as u64,
            Engine::Antichain | Engine::Plain | Engine::Simulation(_) => depth as u64,
        }
    }

    fn properties(&self) -> Vec<PropertyReport> {
        let decided = self.tally.decided.load(Ordering::Relaxed);
        let report = |(n, (name, kind)): (usize, &(&'static str, Kind))| PropertyReport {
            name,
            kind: *kind,
            result: match (kind, decided & (1 << n) != 0) {
                (Kind::Always | Kind::Step, false) => PropertyResult::Holds,
                (Kind::Always | Kind::Step, true) => PropertyResult::Violated,
                (Kind::Sometimes, true) => PropertyResult::Witnessed,
                (Kind::Sometimes, false) => PropertyResult::Unwitnessed,
                (Kind::Recovery, _) => PropertyResult::NotAsked,
            },
        };
        self.properties.iter().enumerate().map(report).collect()
    }
}

/// The resident memory of this process in bytes, where the system has a `/proc`.
fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

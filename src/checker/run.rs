//! Runs our engine or one of stateright's, and says honestly what came of it.
//!
//! stateright calls a search done also when a limit ended it. Here a verdict is EXHAUSTIVE only if
//! every unique state was expanded, counted by the model itself, and none was refused because the
//! run was asked to stop.

use super::engine::explore;
use super::view::{Checkable, Ghostly};
use super::world::{Kind, RECOVERABILITY, Tally, World};
use stateright::{Checker, CheckerBuilder, HasDiscoveries, Model, UniformChooser};
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Ours: tuples of local states with their maximal sets of messages, see [`super::engine`].
    Antichain,
    /// stateright's.
    /// Breadth first.
    Bfs,
    /// stateright's, depth first: less memory, the same states.
    Dfs,
    /// stateright's random walks from this seed. Never exhaustive.
    Simulation(u64),
}

/// What may end a run early.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Threads to search with.
    pub threads: usize,
    /// Most unique states.
    pub max_states: Option<u64>,
    /// Longest time. A simulation, which has no end of its own, needs one.
    pub max_time: Option<Duration>,
    /// Most resident memory of the process, in bytes.
    pub max_memory: Option<u64>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Unique states; maximal ones for the antichain engine.
    pub states: u64,
    /// Length of the longest path so far, where the engine knows it.
    pub depth: u64,
    /// Tuples so far, which only the antichain engine counts.
    pub tuples: Option<u64>,
    /// Time since the start.
    pub elapsed: Duration,
    /// Resident memory of the process in bytes, where the system tells.
    pub memory: Option<u64>,
}

/// The outcome of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The search ended by itself: every state within the bounds was visited, no property failed.
    Exhaustive,
    /// A limit ended it, or it was a simulation: no violation was found in what was visited.
    Bounded,
    /// A property failed.
    Violated,
}

/// What is known of one property after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyResult {
    /// No violation among the states visited.
    Holds,
    /// It was not asked.
    NotAsked,
    /// There is one.
    Violated,
    /// A state that satisfies it was visited.
    Witnessed,
    /// None was.
    Unwitnessed,
}

/// One property in a [`Report`].
#[derive(Clone, Debug)]
pub struct PropertyReport {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// What is known.
    pub result: PropertyResult,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Unique states visited; for a simulation, all states visited; for the antichain engine the
    /// maximal ones.
    pub states: u64,
    /// Steps generated, those into known states included.
    pub generated: u64,
    /// What only the antichain engine counts.
    pub tuples: Option<TupleCounts>,
    /// Steps on the longest path. With several threads stateright's BFS does not keep levels, so this
    /// is a figure about the run, not about the model.
    pub depth: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// The most resident memory of the process that was seen, in bytes, where the system tells. If the
    /// limit on memory ended the run, this is what reached it.
    pub memory: Option<u64>,
    /// The verdict.
    pub verdict: Verdict,
    /// Every property.
    pub properties: Vec<PropertyReport>,
    /// Generated states that each bound cut off, by the bound's name. The antichain engine counts steps, and
    /// those that it takes again under another hypothesis again.
    pub cuts: Vec<(&'static str, u64)>,
    /// Steps by label, if coverage was asked for.
    pub labels: Vec<(&'static str, u64)>,
    /// What ended the run before it ended by itself, if anything did.
    pub ended_by: Option<&'static str>,
}

/// What the antichain engine counts, besides states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TupleCounts {
    /// Distinct tuples of local states and ghost within the bounds. Of a search that did not end by
    /// itself, those that were visited.
    pub tuples: u64,
    /// Permutations of interchangeable actors, the identity included: states that differ by one only
    /// are visited once.
    pub symmetries: u64,
    /// As many permutations leave the first state as it is. Where there are too many, only some are used.
    pub permutations: u64,
    /// So many tuples and maximal states were visited: they stand for all the others.
    pub standing: (u64, u64),
    /// States that were expanded.
    pub expanded: u64,
    /// Distinct local states of all actors.
    pub locals: u64,
    /// Distinct messages.
    pub messages: u64,
    /// Distinct handler calls that did something.
    pub steps: u64,
    /// Distinct ghosts.
    pub ghosts: u64,
    /// Hypotheses of what matters: the first, and one for each that was refuted.
    pub rounds: u64,
    /// Combinations of local states of a group from which recovery was asked, and all that they can be
    /// renamed to.
    pub recoveries: u64,
    /// Bytes of all tuples, states and sets of messages.
    pub bytes: u64,
}

impl Report {
    /// The properties that failed.
    pub fn violated(&self) -> Vec<&'static str> {
        let violated = self.properties.iter().filter(|p| p.result == PropertyResult::Violated);
        violated.map(|property| property.name).collect()
    }

    /// An upper bound of the expected number of pairs of states that share a 64-bit fingerprint and
    /// were taken for one: n²/2⁶⁵, as TLC reports it. That takes for granted that values which differ are
    /// hashed differently. The antichain engine compares values: there it is none, whatever their `Hash`
    /// does.
    pub fn expected_collisions(&self) -> f64 {
        if self.tuples.is_some() {
            return 0.0;
        }
        (self.states as f64).powi(2) / 2_f64.powi(65)
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
    if engine == Engine::Antichain {
        return explore(&world, limits, interrupted, progress);
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
        Engine::Antichain => unreachable!("it has returned"),
        Engine::Bfs => watch.finish(builder.spawn_bfs(), progress),
        Engine::Dfs => watch.finish(builder.spawn_dfs(), progress),
        Engine::Simulation(seed) => {
            let time = limits.max_time.unwrap_or(Duration::from_secs(10));
            watch.finish(builder.timeout(time).spawn_simulation(seed, UniformChooser), progress)
        }
    }
}

impl Limits {
    /// Why a run must end now, if it must.
    pub(super) fn reached(&self, now: &Progress, interrupted: &AtomicBool) -> Option<&'static str> {
        let Limits { max_states, max_time, max_memory, .. } = self;
        if interrupted.load(Ordering::Relaxed) {
            Some("an interruption")
        } else if max_states.is_some_and(|limit| now.states >= limit) {
            Some("the limit on states")
        } else if max_time.is_some_and(|limit| now.elapsed >= limit) {
            Some("the limit on time")
        } else if now.memory.zip(*max_memory).is_some_and(|(used, limit)| used >= limit) {
            Some("the limit on memory")
        } else {
            None
        }
    }
}

/// How often a [`Lookout`] asks the system for the memory of the process, in milliseconds.
const BETWEEN_LOOKS_AT_MEMORY: u64 = 100;

/// Looks at the limits of what is done without telling how far it is. It costs little more than a look at the
/// clock, so it can be asked often.
pub(super) struct Lookout<'l> {
    limits: &'l Limits,
    interrupted: &'l AtomicBool,
    start: Instant,
    /// When memory is looked at next, in milliseconds from the start.
    due: AtomicU64,
    /// The most memory that was seen.
    most: AtomicU64,
}

impl<'l> Lookout<'l> {
    /// From this time on, which may be past.
    pub(super) fn since(start: Instant, limits: &'l Limits, interrupted: &'l AtomicBool) -> Self {
        Self { limits, interrupted, start, due: AtomicU64::new(0), most: AtomicU64::new(0) }
    }

    /// Why it must end now, if it must. A limit on states is none here.
    pub(super) fn reached(&self) -> Option<&'static str> {
        let elapsed = self.start.elapsed();
        let memory = self.limits.max_memory.filter(|_| self.is_due(elapsed));
        let memory = memory.and_then(|_| self.memory());
        let now = Progress { states: 0, depth: 0, tuples: None, elapsed, memory };
        self.limits.reached(&now, self.interrupted)
    }

    /// Resident memory now, which is noted.
    pub(super) fn memory(&self) -> Option<u64> {
        let memory = resident_memory()?;
        self.most.fetch_max(memory, Ordering::Relaxed);
        Some(memory)
    }

    /// The most resident memory that was seen.
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

/// A run under way.
struct Watch<'a> {
    engine: Engine,
    limits: &'a Limits,
    interrupted: &'a AtomicBool,
    /// Before the engine began: its threads run as soon as they are there.
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
        self.tally.stop.store(false, Ordering::Relaxed); // the paths need their actions again
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

    /// stateright's BFS and DFS count the states of a path, its simulation counts the steps.
    fn steps(&self, depth: usize) -> u64 {
        match self.engine {
            Engine::Bfs | Engine::Dfs => depth.saturating_sub(1) as u64,
            Engine::Antichain | Engine::Simulation(_) => depth as u64,
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

/// Resident memory of this process in bytes, where the system has a `/proc`.
fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

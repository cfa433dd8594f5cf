//! The search: threads that expand tuples until none is left, and a hypothesis that must hold at the
//! end.

use super::canon::Canon;
use super::checkpoint::{self, CheckpointError, Checkpoints, Resumed};
use super::judge::view;
use super::recovery::Judged;
use super::relevance::Relevance;
use super::sets::Sets;
use super::store::Shard;
use super::symmetry::Permutations;
use super::tables::Tables;
use super::worker::{Counted, Task, Worker};
use crate::checker::run::{
    Limits, Progress, PropertyReport, PropertyResult, Report, TupleCounts, Verdict, resident_memory,
};
use crate::checker::view::{Checkable, Ghostly, View};
use crate::checker::world::{Kind, RECOVERABILITY, World};
use stateright::Model;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, RwLock};
use std::time::{Duration, Instant};

/// Shards of the store; a power of two.
const SHARDS: usize = 256;
/// Tuples a thread takes at a time.
const BATCH: usize = 32;
/// How often each survey fires a step.
const SURVEYS: [u16; 3] = [4, 32, 256];

/// What all threads share.
pub(super) struct Shared<'w, A: Checkable, G> {
    pub(super) world: &'w World<A, G>,
    pub(super) tables: RwLock<Tables<'w, A, G>>,
    pub(super) sets: Sets,
    pub(super) shards: Vec<Mutex<Shard>>,
    queue: Mutex<Queue>,
    wake: Condvar,
    /// The properties of states and then of steps that are violated, as bits.
    violated: AtomicU64,
    ends_at_a_violation: bool,
    /// The `sometimes` properties without a witness, as bits.
    pub(super) unwitnessed: AtomicU64,
    stop: AtomicBool,
    pub(super) transitions: AtomicU64,
    pub(super) expanded: AtomicU64,
    pub(super) cuts: Vec<AtomicU64>,
}

/// Tuples to expand, lowest rank first.
struct Queue {
    waiting: BTreeMap<u64, Vec<(u32, u32)>>,
    /// Threads that may yet add some.
    busy: usize,
}

/// Why a round ended.
enum Ended {
    /// Nothing is left to expand.
    Exhausted,
    /// What matters is more than was thought.
    Refuted(Relevance),
    /// A property is violated.
    Violated,
    /// A limit.
    By(&'static str),
    /// It is time for a checkpoint.
    Paused,
}

impl<A: Checkable, G: Ghostly> Shared<'_, A, G> {
    /// Takes note of violated properties of states.
    pub(super) fn violate(&self, bits: u64) {
        if bits == 0 {
            return;
        }
        self.violated.fetch_or(bits, Ordering::Relaxed);
        if self.ends_at_a_violation {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    /// Whether one of these properties has been violated.
    pub(super) fn has_violated(&self, bits: u64) -> bool {
        self.violated.load(Ordering::Relaxed) & bits != 0
    }

    /// The properties that have been violated since this was asked last.
    pub(super) fn take_violated(&self) -> u64 {
        self.violated.swap(0, Ordering::Relaxed)
    }

    /// Takes note of violated properties of steps.
    pub(super) fn violate_steps(&self, bits: u32) {
        self.violate(u64::from(bits) << self.world.always.len());
    }

    /// What a thread needs to find the state that stands for another.
    pub(super) fn canon(&self) -> Canon {
        let tables = self.tables.read().expect("no thread panics with it");
        let mut canon = Canon::new(&tables.group, self.world.actors.actors.len());
        canon.learn(&tables);
        canon
    }

    /// Begins again with nothing known to be reachable.
    pub(super) fn clear(&mut self) {
        let actors = self.world.actors.actors.len();
        self.sets = Sets::new(actors);
        self.shards = (0..SHARDS).map(|_| Mutex::new(Shard::new(actors))).collect();
        *self.queue.get_mut().expect("no thread runs") =
            Queue { waiting: BTreeMap::new(), busy: 0 };
        self.stop.store(false, Ordering::Relaxed);
        for count in [&self.transitions, &self.expanded].into_iter().chain(&self.cuts) {
            count.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn put(&self, tasks: &mut Vec<Task>) {
        if tasks.is_empty() {
            return;
        }
        let mut queue = self.queue.lock().expect("no thread panics with it");
        for Task { rank, shard, tuple } in tasks.drain(..) {
            queue.waiting.entry(rank).or_default().push((shard, tuple));
        }
        drop(queue);
        self.wake.notify_all();
    }

    /// Waits for tuples; `None` when there will be no more.
    fn get(&self) -> Option<Vec<Task>> {
        let mut queue = self.queue.lock().expect("no thread panics with it");
        queue.busy -= 1;
        loop {
            if self.stop.load(Ordering::Relaxed) || (queue.waiting.is_empty() && queue.busy == 0) {
                self.wake.notify_all();
                return None;
            }
            let mut tasks = Vec::new();
            while tasks.len() < BATCH
                && let Some(mut lowest) = queue.waiting.first_entry()
            {
                let rank = *lowest.key();
                while tasks.len() < BATCH
                    && let Some((shard, tuple)) = lowest.get_mut().pop()
                {
                    tasks.push(Task { rank, shard, tuple });
                }
                if lowest.get().is_empty() {
                    lowest.remove();
                }
            }
            if !tasks.is_empty() {
                queue.busy += 1;
                return Some(tasks);
            }
            queue = self.wake.wait(queue).expect("no thread panics with it");
        }
    }

    fn work(&self, mut worker: Worker<'_, '_, A, G>) {
        let (mut key, mut sets) = (Vec::new(), Vec::new());
        while let Some(tasks) = self.get() {
            for task in tasks {
                worker.expand(task, &mut key, &mut sets);
            }
            self.put(&mut worker.tasks);
            self.add_counts(&mut worker);
        }
    }

    fn add_counts(&self, worker: &mut Worker<'_, '_, A, G>) {
        self.transitions.fetch_add(std::mem::take(&mut worker.transitions), Ordering::Relaxed);
        self.expanded.fetch_add(std::mem::take(&mut worker.expanded), Ordering::Relaxed);
        for (count, more) in self.cuts.iter().zip(&mut worker.cuts) {
            count.fetch_add(std::mem::take(more), Ordering::Relaxed);
        }
    }

    fn count(&self, of: impl Fn(&Shard) -> u64) -> u64 {
        self.shards.iter().map(|shard| of(&shard.lock().expect("no thread panics with it"))).sum()
    }
}

/// How much is known of the actors: grows whenever a hypothesis may fail.
fn knowledge<A: Checkable, G: Ghostly>(tables: &Tables<'_, A, G>) -> Vec<usize> {
    let actors = tables.actors.iter();
    let of_actors = actors.flat_map(|table| {
        let reached = table.rows.iter().filter(|row| row.spontaneous.is_some()).count();
        [reached, table.inbox.len()]
    });
    of_actors.chain([tables.steps.len()]).collect()
}

/// A search under way.
pub(super) struct Search<'w, 'l, A: Checkable, G> {
    pub(super) shared: Shared<'w, A, G>,
    limits: &'l Limits,
    interrupted: &'l AtomicBool,
    start: Instant,
    /// How long it had taken when it was taken up again.
    pub(super) elapsed_before: Duration,
    checkpoints: Option<&'l Checkpoints>,
    /// What kept the last checkpoint from being written.
    trouble: Option<CheckpointError>,
    pub(super) key: Vec<u32>,
    pub(super) messages: Vec<(u8, u32)>,
    /// Whether some group cannot go on from some tuple, and from how many places that was asked.
    dead_end: bool,
    starts: u64,
}

/// Explores every tuple of local states and ghost that is reachable within the bounds.
pub fn explore<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    limits: &Limits,
    interrupted: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Report {
    let mut search = Search::new(world, limits, interrupted, true);
    search.run(&SURVEYS, progress)
}

/// The same, of a search that is saved from time to time and can be taken up again. Also gives what kept
/// the last checkpoint from being written.
///
/// # Errors
/// If it cannot be taken up.
pub fn explore_with_checkpoints<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    limits: &Limits,
    checkpoints: &Checkpoints,
    interrupted: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Report, Option<CheckpointError>), CheckpointError> {
    let mut search = Search::new(world, limits, interrupted, true);
    search.checkpoints = Some(checkpoints);
    let report = if checkpoints.resume {
        let Resumed { relevance, rounds, surveys } = search.restore(checkpoints)?;
        let surveys = &SURVEYS[SURVEYS.len() - surveys.min(SURVEYS.len())..];
        // A survey is not long: it is begun again.
        search.go_on(relevance, rounds, surveys, surveys.is_empty(), progress)
    } else {
        search.run(&SURVEYS, progress)
    };
    let ended = report.verdict != Verdict::Bounded;
    let trouble = if ended { checkpoint::remove(checkpoints) } else { search.trouble };
    Ok((report, trouble))
}

/// The same, with surveys of one's own: how often each fires a step. After an exhaustive search every
/// tuple is shown to `visit`. With short surveys the first hypotheses are poor, and must be refuted.
pub fn explore_and_visit<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    limits: &Limits,
    surveys: &[u16],
    visit: &mut dyn FnMut(&View<'_, A, G>),
) -> Report {
    let interrupted = AtomicBool::new(false);
    let mut search = Search::new(world, limits, &interrupted, true);
    let report = search.run(surveys, &mut |_| {});
    if report.verdict == Verdict::Exhaustive {
        let tables = search.shared.tables.read().expect("no thread runs");
        for shard in &search.shared.shards {
            let shard = shard.lock().expect("no thread runs");
            shard.all().for_each(|(key, _)| visit(&view(&tables, key)));
        }
    }
    report
}

impl<'w, 'l, A: Checkable, G: Ghostly> Search<'w, 'l, A, G> {
    #[expect(clippy::disallowed_methods, reason = "a time limit needs a clock")]
    pub(super) fn new(
        world: &'w World<A, G>,
        limits: &'l Limits,
        interrupted: &'l AtomicBool,
        with_symmetry: bool,
    ) -> Self {
        assert!(world.always.len() + world.steps.len() <= 64, "at most 64 properties");
        let first = world.init_states().remove(0);
        let group = if with_symmetry {
            Permutations::fixing(world, &first)
        } else {
            Permutations::trivial(world.actors.actors.len())
        };
        let mut tables = Tables::new(world, !world.tally.labels.is_empty(), group);
        let (key, messages) = tables.import(&first);
        let sometimes = world.sometimes.len();
        let shared = Shared {
            world,
            tables: RwLock::new(tables),
            sets: Sets::new(world.actors.actors.len()),
            shards: Vec::new(),
            queue: Mutex::new(Queue { waiting: BTreeMap::new(), busy: 0 }),
            wake: Condvar::new(),
            violated: AtomicU64::new(0),
            ends_at_a_violation: true,
            unwitnessed: AtomicU64::new((1 << sometimes) - 1),
            stop: AtomicBool::new(false),
            transitions: AtomicU64::new(0),
            expanded: AtomicU64::new(0),
            cuts: world.bounds.iter().map(|_| AtomicU64::new(0)).collect(),
        };
        Self {
            shared,
            limits,
            interrupted,
            start: Instant::now(),
            elapsed_before: Duration::ZERO,
            checkpoints: None,
            trouble: None,
            key,
            messages,
            dead_end: false,
            starts: 0,
        }
    }

    fn run(&mut self, surveys: &[u16], progress: &mut dyn FnMut(Progress)) -> Report {
        let everything = Relevance::everything(self.key.len() - 1);
        self.go_on(everything, 0, surveys, false, progress)
    }

    /// Round after round, until one ends by itself under a hypothesis that holds. With `resumed` the
    /// first is one that was begun.
    fn go_on(
        &mut self,
        mut relevance: Relevance,
        mut rounds: u64,
        mut surveys: &[u16],
        mut resumed: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Report {
        let ended = loop {
            let survey = surveys.first().copied();
            if !std::mem::take(&mut resumed) {
                rounds += u64::from(survey.is_none());
                self.begin(&relevance, survey);
            }
            let mut ended = self.round(&relevance, survey, progress);
            while let Ended::Paused = ended {
                self.checkpoint(&mut relevance, rounds, surveys.len());
                ended = self.round(&relevance, survey, progress);
            }
            if let Ended::By(_) = ended {
                self.checkpoint(&mut relevance, rounds, surveys.len());
            }
            surveys = surveys.get(1..).unwrap_or_default();
            match ended {
                Ended::Paused => unreachable!("it has gone on"),
                Ended::Violated | Ended::By(_) => break ended,
                Ended::Refuted(better) => relevance = better,
                Ended::Exhausted => {
                    let tables = self.shared.tables.get_mut().expect("no thread runs");
                    let newer = Relevance::of(tables);
                    let holds = survey.is_none() && relevance.covers(&newer);
                    relevance = newer;
                    if holds {
                        break ended;
                    }
                }
            }
        };
        self.report(ended, rounds, &relevance)
    }

    /// Saves the search, if it is one that is saved.
    fn checkpoint(&mut self, relevance: &mut Relevance, rounds: u64, surveys: usize) {
        if let Some(checkpoints) = self.checkpoints {
            self.trouble = self.save(checkpoints, relevance, rounds, surveys).err();
        }
    }

    /// How long the search has taken, from its first beginning.
    pub(super) fn elapsed(&self) -> Duration {
        self.elapsed_before + self.start.elapsed()
    }

    /// A hypothesis of what matters from surveys only, which no violation ends: good enough to look for
    /// something that can be shown.
    pub(super) fn survey(&mut self) -> Relevance {
        self.shared.ends_at_a_violation = false;
        let mut relevance = Relevance::everything(self.key.len() - 1);
        for times in SURVEYS {
            self.begin(&relevance, Some(times));
            self.round(&relevance, Some(times), &mut |_| {});
            relevance = Relevance::of(self.shared.tables.get_mut().expect("no thread runs"));
        }
        relevance
    }

    /// Goes back to the start, with another hypothesis.
    fn begin(&mut self, relevance: &Relevance, survey: Option<u16>) {
        self.shared.clear();
        let mut first = Worker::new(&self.shared, relevance, survey);
        first.start(&self.key, &self.messages);
        self.shared.put(&mut first.tasks);
        self.shared.add_counts(&mut first);
    }

    /// Explores under one hypothesis, from where the search is.
    fn round(
        &mut self,
        relevance: &Relevance,
        survey: Option<u16>,
        progress: &mut dyn FnMut(Progress),
    ) -> Ended {
        let threads = self.limits.threads.max(1);
        if self.shared.violated.load(Ordering::Relaxed) == 0 || !self.shared.ends_at_a_violation {
            self.shared.stop.store(false, Ordering::Relaxed);
        }
        self.shared.queue.lock().expect("no thread runs").busy = threads;
        let shared = &self.shared;
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(move || {
                        // A panic in a handler must end the others too.
                        let guard = StopOnPanic(&shared.stop, &shared.wake);
                        shared.work(Worker::new(shared, relevance, survey));
                        drop(guard);
                    })
                })
                .collect();
            let ended = self.watch(relevance, survey, &workers, progress);
            for worker in workers {
                if let Err(panic) = worker.join() {
                    std::panic::resume_unwind(panic);
                }
            }
            match ended {
                _ if self.shared.ends_at_a_violation
                    && self.shared.violated.load(Ordering::Relaxed) != 0 =>
                {
                    Ended::Violated
                }
                Some(ended) => ended,
                None => Ended::Exhausted,
            }
        })
    }

    /// Waits for the threads; tells why they had to stop, if they had to.
    fn watch(
        &self,
        relevance: &Relevance,
        survey: Option<u16>,
        workers: &[std::thread::ScopedJoinHandle<'_, ()>],
        progress: &mut dyn FnMut(Progress),
    ) -> Option<Ended> {
        let mut judged_at = 4096;
        let due = self.checkpoints.filter(|_| survey.is_none()).map(|saved| saved.every);
        let began = self.start.elapsed();
        let mut known = Vec::new();
        let mut ended = None;
        let mut wait = Duration::from_micros(200);
        while !workers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            std::thread::park_timeout(wait);
            wait = (wait * 2).min(Duration::from_millis(50));
            let tuples = self.shared.count(Shard::tuples);
            let now = Progress {
                states: self.shared.count(Shard::states),
                depth: 0,
                tuples: Some(tuples),
                elapsed: self.start.elapsed(),
                memory: resident_memory(),
            };
            progress(now);
            if ended.is_none()
                && let Some(reason) = self.limits.reached(&now, self.interrupted)
            {
                ended = Some(Ended::By(reason));
                self.shared.stop_all();
            }
            if ended.is_none() && due.is_some_and(|every| self.start.elapsed() >= began + every) {
                ended = Some(Ended::Paused);
                self.shared.stop_all();
            }
            if ended.is_none() && tuples >= judged_at && survey.is_none() {
                judged_at = tuples * 2;
                let mut tables = self.shared.tables.write().expect("no thread panics with it");
                let now_known = knowledge(&tables);
                if now_known != known {
                    let newer = Relevance::of(&mut tables);
                    known = knowledge(&tables);
                    if !relevance.covers(&newer) {
                        ended = Some(Ended::Refuted(newer));
                        self.shared.stop_all();
                    }
                }
            }
        }
        ended
    }

    fn report(&mut self, mut ended: Ended, rounds: u64, relevance: &Relevance) -> Report {
        let violated = self.shared.violated.load(Ordering::Relaxed);
        let standing = self.shared.count(Shard::tuples);
        let counted = if matches!(ended, Ended::Exhausted) {
            self.count_maximal(relevance)
        } else {
            let states = self.shared.count(Shard::states);
            Counted { tuples: standing, states, standing: states }
        };
        let labels = std::mem::take(&mut self.tables().labels);
        if matches!(ended, Ended::Exhausted)
            && let Some(reason) = self.look_for_dead_ends()
        {
            ended = Ended::By(reason);
        }
        let shared = &self.shared;
        let unwitnessed = shared.unwitnessed.load(Ordering::Relaxed);
        let world = shared.world;
        let judged = world.always.len() + world.steps.len();
        let names = world.property_names().enumerate();
        let properties = names.map(|(n, (name, kind))| PropertyReport {
            name,
            kind,
            result: match kind {
                Kind::Always | Kind::Step if violated & 1 << n != 0 => PropertyResult::Violated,
                Kind::Always | Kind::Step => PropertyResult::Holds,
                Kind::Sometimes if unwitnessed & 1 << (n - judged) != 0 => {
                    PropertyResult::Unwitnessed
                }
                Kind::Sometimes => PropertyResult::Witnessed,
                Kind::Recovery => unreachable!("it has no number"),
            },
        });
        let recovery = world.recovery.as_ref().map(|_| PropertyReport {
            name: RECOVERABILITY,
            kind: Kind::Recovery,
            result: match (&ended, self.dead_end) {
                (Ended::Exhausted, false) => PropertyResult::Holds,
                (_, true) => PropertyResult::Violated,
                (_, false) => PropertyResult::NotAsked,
            },
        });
        let tables = shared.tables.read().expect("no thread runs");
        let actors = tables.actors.iter();
        let (verdict, ended_by) = match ended {
            _ if self.dead_end => (Verdict::Violated, None),
            Ended::Exhausted => (Verdict::Exhaustive, None),
            Ended::Violated => (Verdict::Violated, None),
            Ended::By(reason) => (Verdict::Bounded, Some(reason)),
            Ended::Refuted(_) | Ended::Paused => unreachable!("another round follows"),
        };
        let cuts = shared.cuts.iter().map(|count| count.load(Ordering::Relaxed));
        let tuples = TupleCounts {
            tuples: counted.tuples,
            symmetries: tables.group.len() as u64,
            standing: (standing, counted.standing),
            expanded: shared.expanded.load(Ordering::Relaxed),
            locals: actors.clone().map(|table| table.locals.len() as u64).sum(),
            messages: actors.map(|table| table.inbox.len() as u64).sum(),
            steps: tables.steps.len() as u64,
            ghosts: tables.ghosts.len() as u64,
            rounds,
            recoveries: self.starts,
            bytes: shared.count(Shard::bytes) + shared.sets.bytes(),
        };
        Report {
            states: counted.states,
            generated: shared.transitions.load(Ordering::Relaxed),
            tuples: Some(tuples),
            depth: 0,
            elapsed: self.elapsed(),
            verdict,
            properties: properties.chain(recovery).collect(),
            cuts: world.bounds.iter().map(|bound| bound.name).zip(cuts).collect(),
            labels: labels.into_iter().collect(),
            ended_by,
        }
    }

    fn tables(&mut self) -> &mut Tables<'w, A, G> {
        self.shared.tables.get_mut().expect("no thread runs")
    }

    /// Judges whether every group can go on from every tuple; tells why it had to stop, if it had to.
    fn look_for_dead_ends(&mut self) -> Option<&'static str> {
        let recovery = self.shared.world.recovery.as_ref()?;
        let mut judged = Judged::new(recovery);
        let tables = self.shared.tables.get_mut().expect("no thread runs");
        for shard in &self.shared.shards {
            let shard = shard.lock().expect("no thread runs");
            for (key, _) in shard.all() {
                self.dead_end |= judged.is_dead_end_renamed(tables, key);
            }
            let now = Progress {
                states: 0, // their number is final
                depth: 0,
                tuples: None,
                elapsed: self.start.elapsed(),
                memory: resident_memory(),
            };
            if let Some(reason) = self.limits.reached(&now, self.interrupted) {
                return Some(reason);
            }
        }
        self.starts = judged.starts();
        None
    }

    /// The number of maximal states by what matters at the end. It does not depend on the order in
    /// which they were found, nor on what was thought to matter on the way.
    fn count_maximal(&self, relevance: &Relevance) -> Counted {
        let mut worker = Worker::new(&self.shared, relevance, None);
        let mut counted = Counted::default();
        for shard in &self.shared.shards {
            let shard = shard.lock().expect("no thread runs");
            for (key, states) in shard.all() {
                let Counted { tuples, states, standing } = worker.maximal(key, &states);
                counted.tuples += tuples;
                counted.states += states;
                counted.standing += standing;
            }
        }
        counted
    }
}

impl<A: Checkable, G: Ghostly> Shared<'_, A, G> {
    fn stop_all(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wake.notify_all();
    }
}

/// Ends the search when the thread that holds it panics.
struct StopOnPanic<'a>(&'a AtomicBool, &'a Condvar);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
            self.1.notify_all();
        }
    }
}

//! The search: threads that expand tuples until none is left, and a hypothesis that must hold at the
//! end.

use super::checkpoint::{self, CheckpointError, Checkpoints, Resumed};
use super::judge::view;
use super::refuted::Refuted;
use super::relevance::Relevance;
use super::shared::{Shared, StopOnPanic};
use super::store::Shard;
use super::symmetry::Permutations;
use super::tables::Tables;
use super::worker::Worker;
use crate::checker::run::{Limits, Progress, Report, Verdict, resident_memory};
use crate::checker::view::{Checkable, Ghostly, View};
use crate::checker::world::World;
use stateright::Model;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often each survey fires a step. They are short: hypotheses may be refuted.
pub(super) const SURVEYS: [u16; 2] = [4, 16];

/// Why a round ended.
pub(super) enum Ended {
    /// Nothing is left to expand.
    Exhausted,
    /// It is time to go on with a hypothesis from what is known by now.
    Judged(Relevance),
    /// A property is violated.
    Violated,
    /// A limit.
    By(&'static str),
    /// It is time for a checkpoint.
    Paused,
}

/// When a hypothesis is judged while the threads work: when twenty times as long has gone by as that took,
/// and twice as long as the last repair, and ever less often.
struct Judging {
    last: Duration,
    pause: Duration,
    /// What was known the last time.
    known: Vec<usize>,
}

impl Judging {
    fn after(now: Duration, cost: Duration, repair: Duration, known: Vec<usize>) -> Self {
        let pause = (cost * 20).max(repair * 2).max(now / 8).max(Duration::from_millis(100));
        Self { last: now, pause, known }
    }
}

/// How much is known of the actors: grows whenever a hypothesis may change.
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
    pub(super) limits: &'l Limits,
    pub(super) interrupted: &'l AtomicBool,
    pub(super) start: Instant,
    /// How long it had taken when it was taken up again.
    pub(super) elapsed_before: Duration,
    checkpoints: Option<&'l Checkpoints>,
    /// When the last one was written, and what kept it from being.
    saved_at: Duration,
    trouble: Option<CheckpointError>,
    /// How long the last repair took.
    repair_took: Duration,
    pub(super) key: Vec<u32>,
    pub(super) messages: Vec<(u8, u32)>,
    /// Whether some group cannot go on from some tuple, and from how many places that was asked.
    pub(super) dead_end: bool,
    pub(super) starts: u64,
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
/// If it cannot be taken up, or a checkpoint would be overwritten that it does not go on from.
///
/// # Panics
/// If the world counts labels: a checkpoint does not keep which were seen.
pub fn explore_with_checkpoints<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    limits: &Limits,
    checkpoints: &Checkpoints,
    interrupted: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Report, Option<CheckpointError>), CheckpointError> {
    assert!(world.tally.labels.is_empty(), "labels are not saved");
    let mut search = Search::new(world, limits, interrupted, true);
    search.checkpoints = Some(checkpoints);
    if !checkpoints.resume && checkpoints.path.exists() {
        return Err(CheckpointError::Exists { path: checkpoints.path.clone() });
    }
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
        assert!(world.steps.len() <= 32, "at most 32 properties of steps");
        assert!(world.sometimes.len() < 64, "at most 63 witnesses");
        let first = world.init_states().remove(0);
        let group = if with_symmetry {
            Permutations::fixing(world, &first)
        } else {
            Permutations::trivial(world.actors.actors.len())
        };
        let mut tables = Tables::new(world, !world.tally.labels.is_empty(), group);
        let (key, messages) = tables.import(&first);
        let shared = Shared::new(world, tables);
        Self {
            shared,
            limits,
            interrupted,
            start: Instant::now(),
            elapsed_before: Duration::ZERO,
            checkpoints: None,
            saved_at: Duration::ZERO,
            trouble: None,
            repair_took: Duration::ZERO,
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

    /// Round after round, until one ends by itself under a hypothesis that holds. With `begun` the first
    /// goes on from where the search is.
    fn go_on(
        &mut self,
        mut relevance: Relevance,
        mut rounds: u64,
        mut surveys: &[u16],
        mut begun: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Report {
        let ended = loop {
            let survey = surveys.first().copied();
            if !std::mem::take(&mut begun) {
                rounds += u64::from(survey.is_none());
                self.begin(&relevance, survey);
            }
            let mut judging = self.judging();
            let mut ended = self.round(&relevance, survey, &mut judging, progress);
            while let Ended::Paused = ended {
                self.checkpoint(&mut relevance, rounds, surveys.len());
                ended = self.round(&relevance, survey, &mut judging, progress);
            }
            if let Ended::By(_) = ended {
                self.checkpoint(&mut relevance, rounds, surveys.len());
            }
            surveys = surveys.get(1..).unwrap_or_default();
            match ended {
                Ended::Paused => unreachable!("it has gone on"),
                Ended::By(_) | Ended::Violated => break ended,
                Ended::Exhausted if survey.is_some() => {
                    relevance = self.hypothesis(surveys.is_empty());
                }
                Ended::Judged(_) | Ended::Exhausted => {
                    let exhausted = matches!(ended, Ended::Exhausted);
                    let newer = match ended {
                        Ended::Judged(newer) => newer,
                        _ => self.hypothesis(true),
                    };
                    let refuted = Refuted::of(&relevance, &newer);
                    relevance = newer;
                    if !refuted.is_nothing() {
                        rounds += 1;
                        self.repair(&relevance, &refuted);
                    } else if exhausted {
                        // What comes now may be ended, too, and is begun again then.
                        if self.shared.world.recovery.is_some() {
                            self.checkpoint(&mut relevance, rounds, surveys.len());
                        }
                        relevance = self.by_names(relevance);
                        break Ended::Exhausted;
                    }
                    begun = true;
                }
            }
        };
        self.report(ended, rounds, &relevance)
    }

    /// What matters by all that is known. A survey merges no messages, since it knows too little, nor does
    /// a search that counts labels, which tell messages apart.
    fn hypothesis(&mut self, merging: bool) -> Relevance {
        let tables = self.shared.tables.get_mut().expect("no thread runs");
        let merging = merging && tables.labels.is_empty();
        Relevance::of(tables, merging)
    }

    /// What states are counted by: names, also where none were used.
    fn by_names(&mut self, relevance: Relevance) -> Relevance {
        let tables = self.shared.tables.get_mut().expect("no thread runs");
        if tables.labels.is_empty() { relevance } else { Relevance::of(tables, true) }
    }

    /// Saves the search, if it is one that is saved.
    fn checkpoint(&mut self, relevance: &mut Relevance, rounds: u64, surveys: usize) {
        if let Some(checkpoints) = self.checkpoints {
            self.trouble = self.save(checkpoints, relevance, rounds, surveys).err();
            self.saved_at = self.start.elapsed();
        }
    }

    /// How long the search has taken, from its first beginning.
    pub(super) fn elapsed(&self) -> Duration {
        self.elapsed_before + self.start.elapsed()
    }

    /// A hypothesis of what matters from surveys only, which no violation ends: good enough to look for
    /// something that can be shown.
    pub(super) fn survey(&mut self, surveys: &[u16]) -> Relevance {
        self.shared.ends_at_a_violation = false;
        let mut relevance = Relevance::everything(self.key.len() - 1);
        for times in surveys {
            self.begin(&relevance, Some(*times));
            let mut judging = self.judging();
            self.round(&relevance, Some(*times), &mut judging, &mut |_| {});
            relevance = self.hypothesis(false);
        }
        relevance
    }

    /// Goes back to the start, with another hypothesis.
    fn begin(&mut self, relevance: &Relevance, survey: Option<u16>) {
        self.shared.clear();
        let mut first = Worker::new(&self.shared, relevance, survey);
        first.start(&self.key, &self.messages);
        first.end();
    }

    /// Goes on from a hypothesis that is refuted to a better one: expands again what rests on the refuted
    /// one, with names given anew, and begins at the first state again.
    fn repair(&mut self, better: &Relevance, refuted: &Refuted) {
        let began = self.start.elapsed();
        let concerned = refuted.concerned(self.shared.tables.get_mut().expect("no thread runs"));
        self.shared.share_out(self.limits.threads, |shards| {
            let mut worker = Worker::new(&self.shared, better, None);
            for (number, shard) in shards {
                let mut shard = shard.lock().expect("no thread panics with it");
                let tasks = shard.expand_again(
                    number,
                    |locals| concerned.has(locals),
                    |key, sets, names| worker.name_again(key, sets, names),
                );
                worker.tasks.extend(tasks);
            }
            worker.end();
        });
        let mut worker = Worker::new(&self.shared, better, None);
        worker.start(&self.key, &self.messages);
        worker.end();
        self.repair_took = self.start.elapsed().saturating_sub(began);
    }

    /// Explores under one hypothesis, from where the search is.
    fn round(
        &mut self,
        relevance: &Relevance,
        survey: Option<u16>,
        judging: &mut Judging,
        progress: &mut dyn FnMut(Progress),
    ) -> Ended {
        let threads = self.limits.threads.max(1);
        if self.shared.violated.load(Ordering::Relaxed) == 0 || !self.shared.ends_at_a_violation {
            self.shared.stop.store(false, Ordering::Relaxed);
        }
        self.shared.queue.lock().expect("no thread runs").busy = threads;
        let shared = &self.shared;
        std::thread::scope(|scope| {
            // Nor would the others end if this one panicked while it watches them.
            let _guard = StopOnPanic(&shared.stop, &shared.wake);
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
            let ended = self.watch(relevance, survey, &workers, judging, progress);
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
        judging: &mut Judging,
        progress: &mut dyn FnMut(Progress),
    ) -> Option<Ended> {
        let due = self.checkpoints.filter(|_| survey.is_none()).map(|saved| saved.every);
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
            if self.shared.stop.load(Ordering::Relaxed) {
                // A thread that panicked may have woken the others before they slept.
                self.shared.wake.notify_all();
            }
            if ended.is_none()
                && let Some(reason) = self.limits.reached(&now, self.interrupted)
            {
                ended = Some(Ended::By(reason));
                self.shared.stop_all();
            }
            if ended.is_none()
                && due.is_some_and(|every| {
                    self.start.elapsed().saturating_sub(self.saved_at) >= every
                })
            {
                ended = Some(Ended::Paused);
                self.shared.stop_all();
            }
            if ended.is_none()
                && survey.is_none()
                && let Some(newer) = self.judge(relevance, judging)
            {
                ended = Some(Ended::Judged(newer));
                self.shared.stop_all();
            }
        }
        ended
    }

    /// When the hypothesis that a round begins with is to be judged.
    fn judging(&self) -> Judging {
        Judging::after(self.start.elapsed(), Duration::ZERO, self.repair_took, Vec::new())
    }

    /// The hypothesis from what is known by now, if it is time for one and it is another.
    fn judge(&self, relevance: &Relevance, judging: &mut Judging) -> Option<Relevance> {
        let began = self.start.elapsed();
        if began.saturating_sub(judging.last) <= judging.pause {
            return None;
        }
        let mut tables = self.shared.tables.write().expect("no thread panics with it");
        let changed = knowledge(&tables) != judging.known;
        let newer = changed.then(|| {
            let merging = tables.labels.is_empty();
            Relevance::of(&mut tables, merging)
        });
        let now = self.start.elapsed();
        let cost = now.saturating_sub(began);
        *judging = Judging::after(now, cost, self.repair_took, knowledge(&tables));
        newer.filter(|newer| newer != relevance)
    }
}

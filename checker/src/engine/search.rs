//! The search: threads expand tuples until none is left, under a hypothesis that must hold at the end.
//!
//! [`Search::go_on`] runs round after round. Surveys come first and give the first hypothesis. In a round the
//! threads expand tuples ([`Search::round`]) while this thread watches limits, checkpoints and the hypothesis
//! ([`Search::watch`]). A hypothesis that is refuted leads to a repair ([`Search::repair`]) before the next
//! round.

use super::checkpoint::{self, CheckpointError, Checkpoints, Resumed};
use super::ids::{MessageId, Number, ShardId, Slot};
use super::judge::view;
use super::panics::{self, Held};
use super::refuted::{Refuted, Repair};
use super::relevance::Relevance;
use super::report::widest;
use super::shared::{Shared, StopOnPanic};
use super::store::Shard;
use super::symmetry::Permutations;
use super::tables::Tables;
use super::tuple::TupleBuf;
use super::worker::Worker;
use crate::run::{Limits, Lookout, Progress, Report, Verdict};
use crate::view::{Checkable, Ghostly, View};
use crate::world::World;
use stateright::Model;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often each survey fires a step. Surveys are short, because a hypothesis may be refuted.
pub(super) const SURVEYS: [u16; 2] = [4, 16];

/// The reason why a round ended.
pub(super) enum Ended {
    /// Nothing is left to expand.
    Exhausted,
    /// It is time to go on with this hypothesis, taken from the knowledge by now.
    Judged(Relevance),
    /// A property is violated.
    Violated,
    /// A limit was reached.
    By(&'static str),
    /// It is time for a checkpoint.
    Paused,
}

/// Says when a hypothesis is judged while the threads work. The pause after a judgement is at least twenty
/// times as long as that judgement took, and twice as long as the last repair. It grows with the time of the
/// search. In a hurry it is four times as long as the judgement took.
struct Judging {
    last: Duration,
    pause: Duration,
    /// The knowledge at the last judgement.
    known: Vec<usize>,
}

impl Judging {
    fn after(now: Duration, cost: Duration, repair: Duration, known: Vec<usize>) -> Self {
        let pause = (cost * 20).max(repair * 2).max(now / 8).max(Duration::from_millis(100));
        Self { last: now, pause, known }
    }

    fn hurried(self, is_hurried: bool, cost: Duration) -> Self {
        Self { pause: if is_hurried { cost * 4 } else { self.pause }, ..self }
    }
}

/// How much is known of the actors. It grows whenever a hypothesis may change.
fn knowledge<A: Checkable, G: Ghostly>(tables: &Tables<'_, A, G>) -> Vec<usize> {
    let actors = tables.actors.iter();
    let of_actors = actors.flat_map(|table| {
        let reached = table.rows.iter().filter(|row| row.spontaneous.is_some()).count();
        [reached, table.inbox.len()]
    });
    of_actors.chain([tables.steps.len()]).collect()
}

/// The reductions of a search: what it leaves out because nothing can come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reductions {
    /// The search leaves out messages that do not matter, and all but one of the messages that do the same.
    All,
    /// The search leaves out nothing: the hypothesis that everything matters is never refuted.
    None,
}

/// A search under way.
pub(super) struct Search<'w, 'l, A: Checkable, G> {
    pub(super) shared: Shared<'w, A, G>,
    pub(super) limits: &'l Limits,
    pub(super) interrupted: &'l AtomicBool,
    pub(super) start: Instant,
    /// Looks at the limits where the work does not tell how far the search is.
    pub(super) lookout: Lookout<'l>,
    /// The time that the search had taken when it was taken up again.
    pub(super) elapsed_before: Duration,
    checkpoints: Option<&'l Checkpoints>,
    /// The time at which the last checkpoint was written, and the error that kept it from being written.
    saved_at: Duration,
    trouble: Option<CheckpointError>,
    /// The repair that has begun, and the time that the last repair took.
    pub(super) repair: Option<Repair>,
    repair_took: Duration,
    reductions: Reductions,
    /// Whether hypotheses are judged more often than is of use.
    is_hurried: bool,
    /// The tuple and the messages of the first state.
    pub(super) first: TupleBuf,
    pub(super) messages: Vec<(Slot, MessageId)>,
    /// Whether some group cannot go on from some tuple, and the number of starts from which that was asked.
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

/// Explores all tuples that [`explore`] reaches without any reduction. The other searches are compared with
/// this one.
pub fn explore_plainly<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    limits: &Limits,
    interrupted: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Report {
    let mut search = Search::new(world, limits, interrupted, false);
    search.reductions = Reductions::None;
    search.run(&[], progress)
}

/// Explores as [`explore`] does, but saves the search from time to time, so that it can be taken up again.
/// Also returns the error that kept the last checkpoint from being written.
///
/// # Errors
/// If the search cannot be taken up, or if it would overwrite a checkpoint that it does not go on from.
///
/// # Panics
/// If the world counts labels: a checkpoint does not keep which labels were seen.
pub fn explore_with_checkpoints<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    limits: &Limits,
    checkpoints: &Checkpoints,
    interrupted: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Report, Option<CheckpointError>), CheckpointError> {
    assert!(world.tally.labels.is_empty(), "labels are not saved");
    let mut search = Search::new(world, limits, interrupted, true);
    search.run_saved(&SURVEYS, Some(checkpoints), progress)
}

/// Explores with surveys of the caller's: each number says how often that survey fires a step. After short
/// surveys the first hypotheses are poor and must be refuted. Hypotheses are also judged more often than is
/// of use, so that some are refuted while tuples wait. After an exhaustive search `visit` is shown every
/// tuple that was stored: with a symmetry, one of each orbit.
pub fn explore_and_visit<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    limits: &Limits,
    surveys: &[u16],
    visit: &mut dyn FnMut(&View<'_, A, G>),
) -> Report {
    let explored = explore_by(surveys, world, limits, None, visit);
    explored.expect("without a checkpoint there is nothing to be read").0
}

/// Explores as [`explore_and_visit`] does, with a file. The search is saved there when a limit ends it, and
/// taken up again.
///
/// # Errors
/// The errors of [`explore_with_checkpoints`].
pub fn explore_by<A: Checkable, G: Ghostly>(
    surveys: &[u16],
    world: &World<A, G>,
    limits: &Limits,
    checkpoints: Option<&Checkpoints>,
    visit: &mut dyn FnMut(&View<'_, A, G>),
) -> Result<(Report, Option<CheckpointError>), CheckpointError> {
    let interrupted = AtomicBool::new(false);
    let mut search = Search::new(world, limits, &interrupted, true);
    search.is_hurried = true;
    let (report, trouble) = search.run_saved(surveys, checkpoints, &mut |_| {})?;
    if report.verdict == Verdict::Exhaustive {
        let tables = search.shared.tables.read().expect("no thread runs");
        for shard in &search.shared.shards {
            let shard = shard.lock().expect("no thread runs");
            shard.all().for_each(|(tuple, _)| visit(&view(&tables, tuple)));
        }
    }
    Ok((report, trouble))
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
        let (first, messages) = tables.import(&first);
        let shared = Shared::new(world, tables);
        let start = Instant::now();
        Self {
            shared,
            limits,
            interrupted,
            start,
            lookout: Lookout::since(start, limits, interrupted),
            elapsed_before: Duration::ZERO,
            checkpoints: None,
            saved_at: Duration::ZERO,
            trouble: None,
            repair: None,
            repair_took: Duration::ZERO,
            reductions: Reductions::All,
            is_hurried: false,
            first,
            messages,
            dead_end: false,
            starts: 0,
        }
    }

    /// Runs a search. If there are checkpoints, the search is saved, and begins anew or goes on from one.
    /// Also returns the error that kept the last checkpoint from being written.
    fn run_saved(
        &mut self,
        surveys: &[u16],
        checkpoints: Option<&'l Checkpoints>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Report, Option<CheckpointError>), CheckpointError> {
        let Some(saved) = checkpoints else { return Ok((self.run(surveys, progress), None)) };
        self.checkpoints = checkpoints;
        checkpoint::try_to_write(saved)?;
        let report = if saved.resume {
            let Resumed { relevance, rounds, surveys: left } = self.restore(saved)?;
            let surveys = &surveys[surveys.len() - left.min(surveys.len())..];
            // A survey is not long, so it is begun again.
            self.go_on(relevance, rounds, surveys, surveys.is_empty(), progress)
        } else {
            self.run(surveys, progress)
        };
        let ended = report.verdict != Verdict::Bounded;
        let trouble = if ended { checkpoint::remove(saved) } else { self.trouble.take() };
        Ok((report, trouble))
    }

    fn run(&mut self, surveys: &[u16], progress: &mut dyn FnMut(Progress)) -> Report {
        let everything = Relevance::everything(self.first.tuple().actors());
        self.go_on(everything, 0, surveys, false, progress)
    }

    /// Runs round after round, until one ends by itself under a hypothesis that holds. With `begun` the first
    /// round goes on from where the search is.
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
            let mut ended = self.attempt(&relevance, survey, &mut judging, progress);
            while let Ended::Paused = ended {
                self.checkpoint(&mut relevance, rounds, surveys.len());
                ended = self.attempt(&relevance, survey, &mut judging, progress);
            }
            let exhausted = matches!(ended, Ended::Exhausted);
            if exhausted {
                ended = self.hypothesis(surveys.len() <= 1).map_or_else(Ended::By, Ended::Judged);
            }
            let newer = match ended {
                Ended::Judged(newer) => newer,
                Ended::By(_) => {
                    self.checkpoint(&mut relevance, rounds, surveys.len());
                    break ended;
                }
                ended => break ended,
            };
            if survey.is_some() {
                surveys = &surveys[1..];
                relevance = newer;
                continue;
            }
            let refuted = Refuted::of(&relevance, &newer);
            relevance = newer;
            if !refuted.is_nothing() {
                rounds += 1;
                self.must_repair(&refuted);
            } else if exhausted {
                // A limit may end the search for dead ends, too. That search then begins again.
                if self.shared.world.recovery.is_some() {
                    self.checkpoint(&mut relevance, rounds, surveys.len());
                }
                break match self.by_names() {
                    Some(Ok(names)) => {
                        relevance = names;
                        Ended::Exhausted
                    }
                    Some(Err(reason)) => Ended::By(reason),
                    None => Ended::Exhausted,
                };
            }
            begun = true;
        };
        self.report(ended, rounds, relevance)
    }

    /// The hypothesis about which messages matter, from all that is known. A survey merges no messages, since
    /// it knows too little. A search that counts labels merges none either, since labels tell messages apart.
    /// The error is the limit that was reached.
    fn hypothesis(&mut self, merging: bool) -> Result<Relevance, &'static str> {
        if self.reductions == Reductions::None {
            return Ok(Relevance::everything(self.first.tuple().actors()));
        }
        let tables = self.shared.tables.get_mut().expect("no thread runs");
        let merging = merging && tables.labels.is_empty();
        Relevance::of(tables, merging, &self.lookout)
    }

    /// The hypothesis by which a search with labels counts its states. That search used no names, but its
    /// counts are by names all the same.
    fn by_names(&mut self) -> Option<Result<Relevance, &'static str>> {
        if self.reductions == Reductions::None {
            return None;
        }
        let tables = self.shared.tables.get_mut().expect("no thread runs");
        (!tables.labels.is_empty()).then(|| Relevance::of(tables, true, &self.lookout))
    }

    /// Saves the search, if it is a search that is saved.
    pub(super) fn checkpoint(&mut self, relevance: &mut Relevance, rounds: u64, surveys: usize) {
        if let Some(checkpoints) = self.checkpoints {
            self.trouble = self.save(checkpoints, relevance, rounds, surveys).err();
            self.saved_at = self.start.elapsed();
        }
    }

    /// The time that the search has taken since its first beginning.
    pub(super) fn elapsed(&self) -> Duration {
        self.elapsed_before + self.start.elapsed()
    }

    /// A hypothesis from surveys only, which no violation ends. It is good enough for a search for something
    /// that can be shown.
    pub(super) fn survey(&mut self, surveys: &[u16]) -> Relevance {
        self.shared.ends_at_a_violation = false;
        let mut relevance = Relevance::everything(self.first.tuple().actors());
        for times in surveys {
            self.begin(&relevance, Some(*times));
            let mut judging = self.judging();
            self.round(&relevance, Some(*times), &mut judging, &mut |_| {});
            let Ok(newer) = self.hypothesis(false) else { break };
            relevance = newer;
        }
        relevance
    }

    /// Goes back to the first state, with another hypothesis.
    fn begin(&mut self, relevance: &Relevance, survey: Option<u16>) {
        self.shared.clear();
        let mut first = Worker::new(&self.shared, relevance, survey);
        first.start(self.first.tuple(), &self.messages);
        first.end();
    }

    /// Notes that a hypothesis is refuted, and that what rests on it must be done again.
    fn must_repair(&mut self, refuted: &Refuted) {
        let concerned = refuted.concerned(self.shared.tables.get_mut().expect("no thread runs"));
        let shards = ShardId::first(self.shared.shards.len()).collect();
        self.repair = Some(Repair { concerned, shards });
    }

    /// Goes on from a hypothesis that was refuted to a better one, if that is not done yet. It expands again
    /// what rests on the refuted hypothesis, with names given anew, and begins at the first state again.
    ///
    /// # Errors
    /// The limit that was reached before the repair was done.
    fn repair(&mut self, better: &Relevance) -> Result<(), &'static str> {
        let Some(mut repair) = self.repair.take() else { return Ok(()) };
        let began = self.start.elapsed();
        let Repair { concerned, shards: left } = &repair;
        let done = self.shared.share_out(self.limits.threads, |shards| {
            let mut worker = Worker::new(&self.shared, better, None);
            let (mut done, mut ended) = (Vec::new(), None);
            for (number, shard) in shards.filter(|(number, _)| left.contains(number)) {
                ended = self.lookout.reached();
                if ended.is_some() {
                    break;
                }
                let mut shard = shard.lock().held();
                let tasks = shard.expand_again(
                    number,
                    |tuple| concerned.has(tuple),
                    |who, local, set| worker.name_again(who, local, set),
                );
                worker.tasks.extend(tasks);
                done.push(number);
            }
            worker.end();
            (done, ended)
        });
        let ended = done.iter().find_map(|(_, ended)| *ended);
        if let Some(reason) = ended {
            done.iter().flat_map(|(done, _)| done).for_each(|done| {
                repair.shards.remove(done);
            });
            self.repair = Some(repair);
            return Err(reason);
        }
        let mut worker = Worker::new(&self.shared, better, None);
        worker.start(self.first.tuple(), &self.messages);
        worker.end();
        self.repair_took = self.start.elapsed().saturating_sub(began);
        Ok(())
    }

    /// Explores under one hypothesis, from where the search is, after the rest of a repair.
    fn attempt(
        &mut self,
        relevance: &Relevance,
        survey: Option<u16>,
        judging: &mut Judging,
        progress: &mut dyn FnMut(Progress),
    ) -> Ended {
        match self.repair(relevance) {
            Ok(()) => self.round(relevance, survey, judging, progress),
            Err(reason) => Ended::By(reason),
        }
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
        self.shared.queue.get_mut().expect("no thread runs").busy = threads;
        let shared = &self.shared;
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(move || {
                        // A panic in a handler must end the other threads, too.
                        let guard = StopOnPanic(&shared.stop, &shared.wake);
                        shared.work(Worker::new(shared, relevance, survey));
                        drop(guard);
                    })
                })
                .collect();
            let watched = catch_unwind(AssertUnwindSafe(|| {
                // The other threads would not end either if this one panicked while it watches them.
                let _guard = StopOnPanic(&shared.stop, &shared.wake);
                self.watch(relevance, survey, &workers, judging, progress)
            }));
            let worked = workers.into_iter().map(|worker| worker.join().map(|()| None));
            let ended = panics::all(worked.chain([watched])).into_iter().flatten().next();
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

    /// Waits for the threads. Returns the reason why they had to stop, if they had to.
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
            let states = self.shared.count(Shard::states);
            let now = Progress {
                states,
                depth: 0,
                tuples: Some(tuples),
                locals: Some(widest(&self.shared.tables.read().held()).1),
                elapsed: self.start.elapsed(),
                memory: self.lookout.memory(),
            };
            progress(now);
            if self.shared.stop.load(Ordering::Relaxed) {
                // A thread that panicked may have sent its wake-up before the others slept.
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
                && let Some(judged) = self.judge(relevance, judging)
            {
                ended = Some(judged);
                self.shared.stop_all();
            }
        }
        ended
    }

    /// Says when the hypothesis with which a round begins is to be judged.
    fn judging(&self) -> Judging {
        let none = Duration::ZERO;
        let judging = Judging::after(self.start.elapsed(), none, self.repair_took, Vec::new());
        judging.hurried(self.is_hurried, none)
    }

    /// The hypothesis from the knowledge by now, if it is time for one and it is a different one; or the
    /// limit that was reached before it was known.
    fn judge(&self, relevance: &Relevance, judging: &mut Judging) -> Option<Ended> {
        let began = self.start.elapsed();
        let is_due = began.saturating_sub(judging.last) > judging.pause;
        if !is_due || self.reductions == Reductions::None {
            return None;
        }
        let mut tables = self.shared.tables.write().held();
        let changed = knowledge(&tables) != judging.known;
        let newer = changed.then(|| {
            let merging = tables.labels.is_empty();
            Relevance::of(&mut tables, merging, &self.lookout)
        });
        let now = self.start.elapsed();
        let cost = now.saturating_sub(began);
        *judging = Judging::after(now, cost, self.repair_took, knowledge(&tables))
            .hurried(self.is_hurried, cost);
        match newer? {
            Ok(newer) => (newer != *relevance).then_some(Ended::Judged(newer)),
            Err(reason) => Some(Ended::By(reason)),
        }
    }
}

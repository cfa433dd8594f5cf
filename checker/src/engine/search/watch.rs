//! One round of the search: threads expand tuples while this thread watches them.
//!
//! [`Search::round`] starts the threads. [`Search::watch`] waits for them, reports the progress, and ends the
//! round at a limit, for a checkpoint, or when a better hypothesis is known. A [`Judging`] says when it is
//! time to ask for one.

use super::{Pace, RoundEnd, Search};
use crate::engine::panics::{self, Held};
use crate::engine::reduction::{Purpose, Relevance};
use crate::engine::report::widest;
use crate::engine::shared::{AtViolation, StopOnPanic};
use crate::engine::store::Shard;
use crate::engine::tables::Tables;
use crate::engine::worker::Worker;
use crate::run::Progress;
use crate::view::{Checkable, Ghostly};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Says when a hypothesis is judged while the threads work. The pause after a judgement is at least twenty
/// times as long as that judgement took, and twice as long as the last repair. It grows with the time of the
/// search. With `Pace::Hurried` it is only four times as long as the judgement took.
pub(super) struct Judging {
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

    fn at(self, pace: Pace, cost: Duration) -> Self {
        let pause = match pace {
            Pace::Usual => self.pause,
            Pace::Hurried => cost * 4,
        };
        Self { pause, ..self }
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

impl<A: Checkable, G: Ghostly> Search<'_, '_, A, G> {
    /// Explores under one hypothesis, from where the search is.
    pub(super) fn round(
        &mut self,
        relevance: &Relevance,
        survey: Option<u16>,
        judging: &mut Judging,
        progress: &mut dyn FnMut(Progress),
    ) -> RoundEnd {
        let threads = self.limits.threads.max(1);
        if self.shared.violated.load(Ordering::Relaxed) == 0
            || self.shared.at_violation != AtViolation::EndSearch
        {
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
                // If this thread panics while it watches the others, they must end, too.
                let _guard = StopOnPanic(&shared.stop, &shared.wake);
                self.watch(relevance, survey, &workers, judging, progress)
            }));
            let worked = workers.into_iter().map(|worker| worker.join().map(|()| None));
            let ended = panics::all(worked.chain([watched])).into_iter().flatten().next();
            match ended {
                _ if self.shared.at_violation == AtViolation::EndSearch
                    && self.shared.violated.load(Ordering::Relaxed) != 0 =>
                {
                    RoundEnd::Violated
                }
                Some(ended) => ended,
                None => RoundEnd::Exhausted,
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
    ) -> Option<RoundEnd> {
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
                represented: Some(self.shared.count(Shard::represented)),
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
                ended = Some(RoundEnd::By(reason));
                self.shared.stop_all();
            }
            if ended.is_none()
                && due.is_some_and(|every| {
                    self.start.elapsed().saturating_sub(self.saved_at) >= every
                })
            {
                ended = Some(RoundEnd::Paused);
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
    pub(super) fn judging(&self) -> Judging {
        let none = Duration::ZERO;
        let judging = Judging::after(self.start.elapsed(), none, self.repair_took, Vec::new());
        judging.at(self.pace, none)
    }

    /// Makes a hypothesis from all that is known by now, if it is time for one. Returns it if it differs from
    /// `relevance`; or the limit that was reached before it was known.
    fn judge(&self, relevance: &Relevance, judging: &mut Judging) -> Option<RoundEnd> {
        let began = self.start.elapsed();
        let is_due = began.saturating_sub(judging.last) > judging.pause;
        if !is_due || !self.reduction.may_be_refuted() {
            return None;
        }
        let mut tables = self.shared.tables.write().held();
        let changed = knowledge(&tables) != judging.known;
        let newer =
            changed.then(|| self.reduction.hypothesis(Purpose::Search, &mut tables, &self.lookout));
        let now = self.start.elapsed();
        let cost = now.saturating_sub(began);
        *judging =
            Judging::after(now, cost, self.repair_took, knowledge(&tables)).at(self.pace, cost);
        match newer? {
            Ok(newer) => (newer != *relevance).then_some(RoundEnd::Judged(newer)),
            Err(reason) => Some(RoundEnd::By(reason)),
        }
    }
}

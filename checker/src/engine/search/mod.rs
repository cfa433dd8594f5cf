//! The search: threads expand tuples until none is left, under a hypothesis that must hold at the end.
//!
//! [`Search::go_on`] runs round after round. Surveys come first and give the first hypothesis. In a round the
//! threads expand tuples while this thread watches limits, checkpoints and the hypothesis (`watch.rs`). A
//! hypothesis that is refuted leads to a repair before the next round (`repair.rs`). The searches that a
//! caller can ask for are in `explore.rs`.

mod explore;
mod repair;
mod watch;

pub use explore::{
    explore, explore_and_visit, explore_by, explore_plainly, explore_with_checkpoints,
};

use super::checkpoint::{self, CheckpointError, Checkpoints, Resumed};
use super::ids::{MessageId, Slot};
use super::reduction::{Purpose, Reduction, Relevance, Repair};
use super::shared::{AtViolation, Shared};
use super::tables::Tables;
use super::tuple::TupleBuf;
use super::worker::Worker;
use crate::run::{Limits, Lookout, Progress, Report, Verdict};
use crate::view::{Checkable, Ghostly};
use crate::world::World;
use stateright::Model;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use watch::Judging;

/// How often each survey fires a step. Surveys are short, because a hypothesis may be refuted.
pub(super) const SURVEYS: [u16; 2] = [4, 16];

/// The reason why a round ended.
pub(super) enum RoundEnd {
    /// Nothing is left to expand.
    Exhausted,
    /// The search must go on with this newer hypothesis, which follows from the steps seen so far.
    Judged(Relevance),
    /// A property is violated.
    Violated,
    /// A limit was reached.
    By(&'static str),
    /// It is time for a checkpoint.
    Paused,
}

/// How often hypotheses are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// Hypotheses are judged as often as is of use.
    Usual,
    /// Hypotheses are judged more often than is of use.
    Hurried,
}

/// A search under way.
pub(super) struct Search<'w, 'l, A: Checkable, G> {
    pub(super) shared: Shared<'w, A, G>,
    pub(super) limits: &'l Limits,
    pub(super) interrupted: &'l AtomicBool,
    pub(super) start: Instant,
    /// Looks at the limits during work that does not show how far the search is.
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
    reduction: Reduction,
    pace: Pace,
    /// The tuple and the messages of the first state.
    pub(super) first: TupleBuf,
    pub(super) messages: Vec<(Slot, MessageId)>,
    /// Whether some group cannot go on from some tuple, and the number of starts from which that was asked.
    pub(super) dead_end: bool,
    pub(super) starts: u64,
}

impl<'w, 'l, A: Checkable, G: Ghostly> Search<'w, 'l, A, G> {
    #[expect(clippy::disallowed_methods, reason = "a time limit needs a clock")]
    pub(super) fn new(
        world: &'w World<A, G>,
        limits: &'l Limits,
        interrupted: &'l AtomicBool,
        reduction: Reduction,
    ) -> Self {
        assert!(world.always.len() + world.steps.len() <= 64, "at most 64 properties");
        assert!(world.steps.len() <= 32, "at most 32 properties of steps");
        assert!(world.sometimes.len() < 64, "at most 63 witnesses");
        let first = world.init_states().remove(0);
        let group = reduction.permutations(world, &first);
        let labels = if world.tally.labels.is_empty() { &[] } else { world.labels };
        let mut tables = Tables::new(world, labels, group);
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
            reduction,
            pace: Pace::Usual,
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
            while let RoundEnd::Paused = ended {
                self.checkpoint(&mut relevance, rounds, surveys.len());
                ended = self.attempt(&relevance, survey, &mut judging, progress);
            }
            let exhausted = matches!(ended, RoundEnd::Exhausted);
            if exhausted {
                let purpose = if surveys.len() <= 1 { Purpose::Search } else { Purpose::Survey };
                ended = self.hypothesis(purpose).map_or_else(RoundEnd::By, RoundEnd::Judged);
            }
            let newer = match ended {
                RoundEnd::Judged(newer) => newer,
                RoundEnd::By(_) => {
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
            let tables = self.shared.tables.get_mut().expect("no thread runs");
            let refuted = self.reduction.refuted(&relevance, &newer, tables);
            relevance = newer;
            if let Some(concerned) = refuted {
                rounds += 1;
                self.must_repair(concerned);
            } else if exhausted {
                // A limit may end the search for dead ends, too. That search then begins again.
                if self.shared.world.recovery.is_some() {
                    self.checkpoint(&mut relevance, rounds, surveys.len());
                }
                let tables = self.shared.tables.get_mut().expect("no thread runs");
                if self.reduction.counts_otherwise(tables) {
                    match self.hypothesis(Purpose::Count) {
                        Ok(counting) => relevance = counting,
                        Err(reason) => break RoundEnd::By(reason),
                    }
                }
                break RoundEnd::Exhausted;
            }
            begun = true;
        };
        self.report(ended, rounds, relevance)
    }

    /// The hypothesis for this purpose, from all that is known; or the limit that was reached.
    fn hypothesis(&mut self, purpose: Purpose) -> Result<Relevance, &'static str> {
        let tables = self.shared.tables.get_mut().expect("no thread runs");
        self.reduction.hypothesis(purpose, tables, &self.lookout)
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

    /// Makes a hypothesis from surveys only. No violation ends these surveys. It is good enough for a search
    /// for something that can be shown.
    pub(super) fn survey(&mut self, surveys: &[u16]) -> Relevance {
        self.shared.at_violation = AtViolation::EndPath;
        let mut relevance = Relevance::everything(self.first.tuple().actors());
        for times in surveys {
            self.begin(&relevance, Some(*times));
            let mut judging = self.judging();
            self.round(&relevance, Some(*times), &mut judging, &mut |_| {});
            let Ok(newer) = self.hypothesis(Purpose::Survey) else { break };
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

    /// Explores under one hypothesis, from where the search is, after the rest of a repair.
    fn attempt(
        &mut self,
        relevance: &Relevance,
        survey: Option<u16>,
        judging: &mut Judging,
        progress: &mut dyn FnMut(Progress),
    ) -> RoundEnd {
        match self.repair(relevance) {
            Ok(()) => self.round(relevance, survey, judging, progress),
            Err(reason) => RoundEnd::By(reason),
        }
    }
}

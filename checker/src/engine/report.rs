//! Makes the report at the end of a search.

use super::panics::Held;
use super::recovery::Judged;
use super::reduction::{Counted, Relevance};
use super::search::{RoundEnd, Search};
use super::shared::Shared;
use super::store::Shard;
use super::tables::Tables;
use super::worker::Worker;
use crate::run::{PropertyReport, PropertyResult, Report, TupleCounts, Verdict};
use crate::view::{Checkable, Ghostly};
use crate::world::{Kind, RECOVERABILITY};
use std::sync::atomic::{AtomicBool, Ordering};

impl<'w, A: Checkable, G: Ghostly> Search<'w, '_, A, G> {
    /// The report, after the questions that can be asked only at the end: the number of maximal states, and
    /// dead ends.
    pub(super) fn report(&mut self, ended: RoundEnd, rounds: u64, relevance: Relevance) -> Report {
        let (counted, mut ended) = self.counted(ended, rounds, relevance);
        let labels = std::mem::take(&mut self.tables().labels);
        if matches!(ended, RoundEnd::Exhausted)
            && let Some(reason) = self.look_for_dead_ends()
        {
            ended = RoundEnd::By(reason);
        }
        let (verdict, ended_by) = self.verdict(&ended);
        let shared = &self.shared;
        let cuts = shared.cuts.iter().map(|count| count.load(Ordering::Relaxed));
        Report {
            states: counted.states,
            generated: shared.transitions.load(Ordering::Relaxed),
            tuples: Some(self.tuple_counts(&counted, rounds)),
            depth: 0,
            elapsed: self.elapsed(),
            memory: self.lookout.most_memory(),
            verdict,
            properties: self.properties(&ended),
            cuts: shared.world.bounds.iter().map(|bound| bound.name).zip(cuts).collect(),
            labels: labels.into_iter().collect(),
            ended_by,
        }
    }

    /// The tuples and maximal states for which the visited ones stand, if the search has ended by itself; or
    /// else the visited ones. A limit may end the counting, and with it the search.
    fn counted(
        &mut self,
        ended: RoundEnd,
        rounds: u64,
        mut relevance: Relevance,
    ) -> (Counted, RoundEnd) {
        let mut ended = ended;
        if matches!(ended, RoundEnd::Exhausted) {
            match self.count_maximal(&relevance) {
                Ok(all) => {
                    let represented = self.shared.count(Shard::represented);
                    assert_eq!(all.tuples, represented, "orbits were counted as they were found");
                    return (all, ended);
                }
                Err(reason) => {
                    self.checkpoint(&mut relevance, rounds, 0);
                    ended = RoundEnd::By(reason);
                }
            }
        }
        let (tuples, states) = (self.shared.count(Shard::tuples), self.shared.count(Shard::states));
        (Counted { tuples, states, standing: states }, ended)
    }

    /// The verdict, and the limit that ended the search, if one did.
    fn verdict(&self, ended: &RoundEnd) -> (Verdict, Option<&'static str>) {
        match ended {
            _ if self.dead_end => (Verdict::Violated, None),
            RoundEnd::Exhausted => (Verdict::Exhaustive, None),
            RoundEnd::Violated => (Verdict::Violated, None),
            RoundEnd::By(reason) => (Verdict::Bounded, Some(*reason)),
            RoundEnd::Judged(_) | RoundEnd::Paused => unreachable!("another round follows"),
        }
    }

    /// The results for all properties.
    fn properties(&self, ended: &RoundEnd) -> Vec<PropertyReport> {
        let Shared { world, violated, unwitnessed, .. } = &self.shared;
        let (violated, unwitnessed) =
            (violated.load(Ordering::Relaxed), unwitnessed.load(Ordering::Relaxed));
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
            result: match (ended, self.dead_end) {
                (RoundEnd::Exhausted, false) => PropertyResult::Holds,
                (_, true) => PropertyResult::Violated,
                (_, false) => PropertyResult::NotAsked,
            },
        });
        properties.chain(recovery).collect()
    }

    /// The counts that stateright's engines do not make.
    fn tuple_counts(&self, counted: &Counted, rounds: u64) -> TupleCounts {
        let shared = &self.shared;
        let tables = shared.tables.read().expect("no thread runs");
        let actors = tables.actors.iter();
        TupleCounts {
            tuples: counted.tuples,
            symmetries: tables.group.len() as u64,
            permutations: tables.group.of_so_many() as u64,
            standing: (shared.count(Shard::tuples), counted.standing),
            expanded: shared.expanded.load(Ordering::Relaxed),
            locals: actors.clone().map(|table| table.locals.len() as u64).sum(),
            widest: widest(&tables),
            messages: actors.map(|table| table.inbox.len() as u64).sum(),
            steps: tables.steps.len() as u64,
            ghosts: tables.ghosts.len() as u64,
            rounds,
            recoveries: self.starts,
            bytes: shared.count(Shard::bytes) + shared.sets.bytes(),
        }
    }

    fn tables(&mut self) -> &mut Tables<'w, A, G> {
        self.shared.tables.get_mut().expect("no thread runs")
    }

    /// Judges whether every group can go on from every tuple. Returns the limit that ended this, if one did.
    fn look_for_dead_ends(&mut self) -> Option<&'static str> {
        let lookout = &self.lookout;
        let judged = Judged::new(self.shared.world.recovery.as_ref()?, lookout);
        let is_found = AtomicBool::new(false);
        let ended = self.shared.share_out(self.limits.threads, |shards| {
            let mut judge = judged.judge();
            for (_, shard) in shards {
                let shard = shard.lock().held();
                for (tuple, _) in shard.all() {
                    if let Some(reason) = lookout.reached() {
                        return Some(reason);
                    }
                    match judge.is_dead_end(&self.shared.tables, tuple) {
                        Ok(is_dead_end) => is_found.fetch_or(is_dead_end, Ordering::Relaxed),
                        Err(reason) => return Some(reason),
                    };
                    // One dead end is a violation, and to find them all may take long.
                    if is_found.load(Ordering::Relaxed) {
                        return None;
                    }
                }
            }
            None
        });
        self.dead_end = is_found.into_inner();
        self.starts = judged.starts();
        ended.into_iter().flatten().next()
    }

    /// The number of maximal states by the messages that matter at the end. The number does not depend on the
    /// order in which the states were found, nor on the hypotheses on the way.
    fn count_maximal(&self, relevance: &Relevance) -> Result<Counted, &'static str> {
        let counted = self.shared.share_out(self.limits.threads, |shards| {
            let mut worker = Worker::new(&self.shared, relevance, None);
            let mut counted = Counted::default();
            for (_, shard) in shards {
                for (tuple, states) in shard.lock().held().all() {
                    counted += worker.count(tuple, &states, &self.lookout)?;
                }
            }
            worker.end();
            Ok::<_, &'static str>(counted)
        });
        let mut all = Counted::default();
        for counted in counted {
            all += counted?;
        }
        Ok(all)
    }
}

/// The first of the actors that have most local states, and how many it has.
pub(super) fn widest<A: Checkable, G: Ghostly>(tables: &Tables<'_, A, G>) -> (usize, u64) {
    let numbers = tables.actors.iter().map(|table| table.locals.len() as u64).enumerate();
    numbers.reduce(|most, next| if next.1 > most.1 { next } else { most }).unwrap_or_default()
}

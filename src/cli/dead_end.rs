//! Asks of one state after another whether every group of servers can recover from it.
//!
//! The search has bounds of its own. With a bug, a group of servers may go on for ever, and then nothing is
//! said of its recovery.

use actorcheck::search::{Kill, Reach, shortest_of_each};
use actorcheck::{OfGroup, RECOVERABILITY, Recovery};
use checked_raft::kv::Kv;
use checked_raft::models::properties::Peer;
use checked_raft::models::{Cluster, ClusterState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How often the search for a way to recovery may ask whether to go on, in each state.
const MOST_ASKED: usize = 50_000;
/// By how many entries a log may grow in that search.
const MOST_GROWTH: u64 = 8;

/// What is known of the recovery from a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recovers {
    /// The model does not ask.
    NotAsked,
    /// Each group has a way to recovery.
    Yes,
    /// Some group has none: the state is a dead end.
    No,
    /// The search was cut, and found no way for some group.
    Undecided,
}

/// The judge of states of one model.
pub(super) struct DeadEnds {
    /// A copy of the model. The search starts it from the state that is judged.
    apart: Cluster,
    /// How often the search has asked whether it may go on.
    asked: Arc<AtomicUsize>,
    /// Whether the search was kept from going on.
    cut: Arc<AtomicBool>,
}

impl DeadEnds {
    /// A judge of the states of this model.
    pub(super) fn new(mut apart: Cluster) -> Self {
        apart.always.clear();
        apart.steps.clear();
        let (asked, cut) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        apart.recovery = apart.recovery.map(|recovery| {
            let (within, asked, cut) = (recovery.within, Arc::clone(&asked), Arc::clone(&cut));
            let within: Arc<OfGroup<_>> = Arc::new(move |group, start, now| {
                let is_early = asked.fetch_add(1, Ordering::Relaxed) < MOST_ASKED;
                let goes_on = is_early && longest(now) <= longest(start) + MOST_GROWTH;
                cut.fetch_or(!goes_on, Ordering::Relaxed);
                goes_on && within(group, start, now)
            });
            Recovery { within, ..recovery }
        });
        Self { apart, asked, cut }
    }

    /// Whether every group can recover from a state.
    pub(super) fn judge(&mut self, state: &ClusterState) -> Recovers {
        if self.apart.recovery.is_none() {
            return Recovers::NotAsked;
        }
        self.apart.initial = Some(state.clone());
        self.asked.store(0, Ordering::Relaxed);
        self.cut.store(false, Ordering::Relaxed);
        let found = shortest_of_each(&self.apart, Reach { states: 1, steps: 0 });
        let at_once = |(name, kill): &(_, Kill)| *name == RECOVERABILITY && kill.steps == 0;
        match (found.violated.iter().any(at_once), self.cut.load(Ordering::Relaxed)) {
            (true, true) => Recovers::Undecided,
            (true, false) => Recovers::No,
            (false, _) => Recovers::Yes,
        }
    }
}

/// The length of the longest log of some servers.
fn longest(servers: &[Peer<'_, Kv>]) -> u64 {
    let logs = servers.iter().filter_map(|(_, local)| local.state.server());
    logs.map(|server| server.persistent.log.last_index().0).max().unwrap_or(0)
}

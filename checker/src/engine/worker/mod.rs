//! One thread of the search. A [`Worker`] expands tuples, normalises the states that come of them, and judges
//! those that are new.
//!
//! [`Worker::expand`] takes a state from the store and fires its steps. Each step leads to a state in the
//! scratch: [`Worker::fire`] adds the messages that are sent at once (`sending.rs`) and leaves out those that
//! do not matter (`standing.rs`). [`Worker::insert`] then puts the state that stands for its orbit into the
//! store. A worker keeps copies of what it knows (`calls.rs`), so that it seldom locks anything shared. After
//! the search it counts the states for which those in the store stand (`counting.rs`).

mod calls;
mod counting;
mod sending;
mod standing;

pub(super) use counting::Counted;

use super::bits::{Messages, common};
use super::canon::Canon;
use super::ids::{LocalId, MaskId, MessageId, Number, SetId, ShardId, Slot, StepId, TupleId};
use super::intern::Interned;
use super::judge::{Judge, Verdicts};
use super::normal::{Normal, Renamed};
use super::panics::Held;
use super::relevance::Relevance;
use super::sets::{KnownSets, SetCache};
use super::shared::Shared;
use super::store::{Inserted, hash};
use super::tables::{GhostStep, Memo};
use super::tuple::{Tuple, TupleBuf};
use crate::view::{Checkable, Ghostly};
use calls::{Calls, Firing};

/// The outcome of firing a step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fired {
    /// The step violates a property of steps: nothing beyond it is explored.
    Violates,
    /// The step leads out of the bounds, or a survey has fired it often enough.
    Outside,
    /// The step leads to the state in the scratch.
    Inside {
        /// Whether the ghost is a different one there.
        ghost_changed: bool,
    },
}

/// A tuple to expand, with the rank by which it is chosen.
#[derive(Clone, Copy)]
pub(super) struct Task {
    pub(super) rank: u64,
    pub(super) shard: ShardId,
    pub(super) tuple: TupleId,
}

/// The knowledge and the counts of one thread.
pub(super) struct Worker<'s, 'w, A: Checkable, G> {
    shared: &'s Shared<'w, A, G>,
    relevance: &'s Relevance,
    actors: usize,
    calls: Calls,
    /// The conditional messages that matter because of another actor, as a number in `masks`.
    because: Memo<(Slot, Slot, LocalId, LocalId), MaskId>,
    masks: Interned<MaskId, Messages>,
    sets: SetCache<'s>,
    judge: Judge<'s, 'w, A, G>,
    canon: Canon,
    renamed: Renamed,
    normal: Normal,
    /// In a survey, the number of times that each step may be fired, and the number of times that it has
    /// been.
    survey: Option<(u16, Vec<u16>)>,
    /// Tuples that must be queued.
    pub(super) tasks: Vec<Task>,
    /// The number of steps generated.
    pub(super) transitions: u64,
    /// The number of states expanded.
    pub(super) expanded: u64,
    /// The number of steps that each bound cut off.
    pub(super) cuts: Vec<u64>,
    scratch: Scratch,
}

/// The knowledge of a thread that holds under every hypothesis. A thread that goes on with another hypothesis
/// takes it up.
pub(super) struct Remembered {
    calls: Calls,
    verdicts: Verdicts,
    canon: Canon,
    sets: KnownSets,
    renamed: Renamed,
}

/// The buffers of one step.
#[derive(Default)]
struct Scratch {
    /// The tuple to which the step leads.
    tuple: TupleBuf,
    /// The messages in the state to which the step leads, for each actor.
    messages: Vec<Messages>,
    /// Messages that have yet to be added.
    pending: Vec<(Slot, MessageId)>,
    /// The numbers of the sets by names, followed by those of the other states for which the state stands;
    /// and the numbers of the sets as they are.
    names: Vec<SetId>,
    kept: Vec<SetId>,
    /// The numbers of the sets before anything is renamed, and those of the state from which the step leads.
    numbers: Vec<SetId>,
    from: Vec<SetId>,
    mask: Messages,
    /// The tuple as it was reached, before it is renamed.
    reached: TupleBuf,
}

impl<'s, 'w, A: Checkable, G: Ghostly> Worker<'s, 'w, A, G> {
    pub(super) fn new(
        shared: &'s Shared<'w, A, G>,
        relevance: &'s Relevance,
        survey: Option<u16>,
    ) -> Self {
        let actors = shared.world.actors.actors.len();
        let mut masks = Interned::new();
        masks.intern(Messages::default());
        let remembered = shared.remembered().unwrap_or_else(|| Remembered::nothing(shared));
        let Remembered { calls, verdicts, canon, sets, renamed } = remembered;
        Self {
            shared,
            relevance,
            actors,
            calls,
            because: Memo::default(),
            masks,
            sets: SetCache::new(&shared.sets, sets),
            judge: Judge::new(shared, verdicts),
            canon,
            renamed,
            normal: Normal::new(actors),
            survey: survey.map(|times| (times, Vec::new())),
            tasks: Vec::new(),
            transitions: 0,
            expanded: 0,
            cuts: vec![0; shared.world.bounds.len()],
            scratch: Scratch { messages: vec![Messages::default(); actors], ..Scratch::default() },
        }
    }

    /// Leaves behind what others can go on with: tasks, counts and knowledge.
    pub(super) fn end(mut self) {
        self.shared.put(&mut self.tasks);
        self.shared.add_counts(&mut self);
        let Self { shared, calls, judge, canon, sets, renamed, .. } = self;
        let (verdicts, sets) = (judge.verdicts, sets.known());
        shared.remember(Remembered { calls, verdicts, canon, sets, renamed });
    }

    /// Adds the state from which the search starts, unless it is out of bounds; returns whether it was added.
    pub(super) fn start(&mut self, tuple: Tuple<'_>, messages: &[(Slot, MessageId)]) -> bool {
        if let Some(bound) = self.judge.outside(tuple, None, None) {
            self.cuts[usize::from(bound)] += 1;
            return false;
        }
        self.scratch.tuple.copy(tuple);
        self.scratch.from.clear();
        self.scratch.messages.iter_mut().for_each(|set| set.copy(&[]));
        self.scratch.pending.extend_from_slice(messages);
        for who in Slot::first(self.actors) {
            self.add_spontaneous(who);
        }
        self.add_pending();
        self.filter();
        self.insert(None, true);
        true
    }

    /// Fires every step of the latest unexpanded state of a tuple. The other unexpanded states wait, because
    /// states that come in the meantime may be above them. If the search must stop, it stops between two
    /// steps, and the state waits again.
    pub(super) fn expand(&mut self, task: Task, tuple: &mut TupleBuf, sets: &mut Vec<SetId>) {
        let shard = &self.shared.shards[task.shard.index()];
        if shard.lock().held().take(task.tuple, tuple, sets) {
            self.tasks.push(task);
        }
        if sets.is_empty() {
            return;
        }
        self.expanded += 1;
        let tuple = tuple.tuple();
        self.close(tuple, sets);
        self.successors(tuple, sets, &mut |worker, who, _, fired| {
            if let Fired::Inside { ghost_changed } = fired {
                worker.insert(Some(who), ghost_changed);
            }
            !worker.shared.must_stop()
        });
        if self.shared.must_stop() && shard.lock().held().put_back(task.tuple, sets) {
            self.tasks.push(task);
        }
    }

    /// Fires every step of a state, and shows each to `visit` with its actor, its number and its outcome. The
    /// state to which the step leads is then in the scratch. The function goes on as long as `visit` returns
    /// true.
    pub(super) fn successors(
        &mut self,
        tuple: Tuple<'_>,
        sets: &[SetId],
        visit: &mut dyn FnMut(&mut Self, Slot, StepId, Fired) -> bool,
    ) {
        if !Slot::all().zip(sets).all(|(who, set)| self.sets.knows(who, *set)) {
            self.sets.refresh();
        }
        for who in Slot::first(self.actors) {
            let (local, set) = (tuple.local(who), self.sets.get(who, sets[who.index()]));
            self.calls.try_all(self.shared, who, local, &set);
            // The row is taken out for a while, because firing a step needs the rows of other local states.
            let row = self.calls.take_out(who, local);
            let delivered = common(&set, &row.changing).map(|message| row.firing(message));
            let goes_on = row.spontaneous.iter().chain(delivered).all(|firing| {
                let fired = self.fire(who, firing, tuple, sets);
                visit(self, who, firing.step, fired)
            });
            self.calls.put_back(who, local, row);
            if !goes_on {
                return;
            }
        }
    }

    fn fire(&mut self, who: Slot, firing: &Firing, tuple: Tuple<'_>, sets: &[SetId]) -> Fired {
        self.transitions += 1;
        if !self.is_worth_a_survey(firing.step) {
            return Fired::Outside;
        }
        let ghost = tuple.ghost();
        let GhostStep { ghost: next_ghost, broken } =
            self.calls.ghost_step(self.shared, ghost, firing.change);
        if broken != 0 {
            self.shared.violate_steps(broken);
        }
        if (broken != 0 || firing.broken) && !self.shared.goes_on {
            return Fired::Violates;
        }
        self.scratch.tuple.copy(tuple);
        self.scratch.tuple.set_local(who, firing.next);
        self.scratch.tuple.set_ghost(next_ghost);
        let next = self.scratch.tuple.tuple();
        if let Some(bound) = self.judge.outside(next, Some(who), firing.outside) {
            self.cuts[usize::from(bound)] += 1;
            return Fired::Outside;
        }
        self.scratch.from.clear();
        self.scratch.from.extend_from_slice(sets);
        for (actor, (messages, set)) in Slot::all().zip(self.scratch.messages.iter_mut().zip(sets))
        {
            messages.copy(self.sets.words(actor, *set));
        }
        self.scratch.pending.extend_from_slice(&firing.sent);
        self.add_spontaneous(who);
        self.add_replies(who);
        self.add_pending();
        self.filter();
        Fired::Inside { ghost_changed: next_ghost != ghost }
    }

    fn is_worth_a_survey(&mut self, step: StepId) -> bool {
        let Some((times, fired)) = &mut self.survey else { return true };
        let at = step.index();
        if fired.len() <= at {
            fired.resize(at + 1, 0);
        }
        fired[at] = fired[at].saturating_add(1);
        fired[at] <= *times
    }

    /// Adds the state that stands for the one in the scratch, and judges its tuple if that is new.
    pub(super) fn insert(&mut self, changed: Option<Slot>, ghost_changed: bool) -> Inserted {
        self.canonicalise();
        let Scratch { tuple, reached, .. } = &self.scratch;
        let (key, reached) = (tuple.tuple(), reached.tuple());
        let hash = hash(key);
        let shards = self.shared.shards.len() as u64;
        let shard = usize::try_from(hash >> 40 & (shards - 1)).expect("few shards");
        let (shard, lock) = (ShardId::of(shard), &self.shared.shards[shard]);
        let mut judged = false;
        let (tuple, rank, inserted) = loop {
            let mut guard = lock.lock().held();
            let tuple = match guard.find(key, hash) {
                Some(tuple) => tuple,
                None if judged => guard.add(key, hash),
                None => {
                    drop(guard);
                    self.judge.judge(reached, changed, ghost_changed);
                    judged = true;
                    continue;
                }
            };
            let sets = &self.sets;
            if guard.greatest_sets().all(|(who, set)| sets.knows(who, set)) {
                let contents = |who, set| sets.words(who, set);
                let Scratch { names, kept, .. } = &self.scratch;
                let inserted = guard.insert(tuple, names, kept, contents);
                break (tuple, guard.rank(tuple), inserted);
            }
            drop(guard);
            // Another thread has added states with sets that are new to this thread.
            self.sets.refresh();
        };
        if inserted == Inserted::MustQueue {
            self.tasks.push(Task { rank, shard, tuple });
        }
        inserted
    }

    /// The state that all threads share.
    pub(super) fn shared(&self) -> &'s Shared<'w, A, G> {
        self.shared
    }

    /// The state in the scratch: its tuple and the numbers of its sets.
    pub(super) fn state(&self) -> (Tuple<'_>, &[SetId]) {
        (self.scratch.tuple.tuple(), &self.scratch.kept)
    }

    /// The messages of the state in the scratch, for each actor.
    pub(super) fn messages(&self) -> &[Messages] {
        &self.scratch.messages
    }
}

impl Remembered {
    fn nothing<A: Checkable, G: Ghostly>(shared: &Shared<'_, A, G>) -> Self {
        let actors = shared.world.actors.actors.len();
        let canon = shared.canon();
        Self {
            calls: Calls::new(actors),
            verdicts: Verdicts::default(),
            renamed: Renamed::new(canon.size(), actors),
            canon,
            sets: KnownSets::default(),
        }
    }
}

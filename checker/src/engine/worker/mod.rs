//! One thread of the search. A [`Worker`] expands tuples, normalises the states that come of them, and judges
//! those that are new.
//!
//! [`Worker::expand`] takes a state from the store and fires its steps. Each step leads to a state in the
//! scratch: [`Worker::fire`] adds the messages that are sent at once (`sending.rs`), and the [`Reducer`]
//! leaves out those that do not matter. [`Worker::insert`] then puts the state that stands for this one into
//! the store. A worker keeps copies of what it knows (`calls.rs`), so that it seldom locks anything shared.

mod calls;
mod sending;
mod survey;

use super::bits::{Messages, common};
use super::ids::{LocalId, MessageId, Number, SetId, ShardId, Slot, StepId, TupleId};
use super::judge::{Judge, Verdicts};
use super::panics::Held;
use super::reduction::{Counted, Reducer, Relevance, Renamings, Standing};
use super::sets::{KnownSets, SetCache};
use super::shared::{AtViolation, Shared};
use super::store::{Inserted, hash};
use super::tables::GhostStep;
use super::tuple::{Tuple, TupleBuf};
use crate::run::Lookout;
use crate::view::{Checkable, Ghostly};
use calls::{Calls, Firing};
use survey::Survey;

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
    actors: usize,
    calls: Calls,
    sets: SetCache<'s>,
    judge: Judge<'s, 'w, A, G>,
    reducer: Reducer<'s>,
    survey: Option<Survey>,
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
    sets: KnownSets,
    renamings: Renamings,
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
    /// The numbers of the message sets of the state to which the step leads; and in `from`, those of the
    /// state before it.
    numbers: Vec<SetId>,
    from: Vec<SetId>,
    /// The state that stands for the one to which the step leads.
    standing: Standing,
}

impl<'s, 'w, A: Checkable, G: Ghostly> Worker<'s, 'w, A, G> {
    pub(super) fn new(
        shared: &'s Shared<'w, A, G>,
        relevance: &'s Relevance,
        survey: Option<u16>,
    ) -> Self {
        let actors = shared.world.actors.actors.len();
        let remembered = shared.remembered().unwrap_or_else(|| Remembered::nothing(shared));
        let Remembered { calls, verdicts, sets, renamings } = remembered;
        Self {
            shared,
            actors,
            calls,
            sets: SetCache::new(&shared.sets, sets),
            judge: Judge::new(shared, verdicts),
            reducer: Reducer::new(relevance, renamings, actors),
            survey: survey.map(Survey::new),
            tasks: Vec::new(),
            transitions: 0,
            expanded: 0,
            cuts: vec![0; shared.world.bounds.len()],
            scratch: Scratch { messages: vec![Messages::default(); actors], ..Scratch::default() },
        }
    }

    /// Hands over its tasks, counts and knowledge, so that other threads can go on with them.
    pub(super) fn end(mut self) {
        self.shared.put(&mut self.tasks);
        self.shared.add_counts(&mut self);
        let Self { shared, calls, judge, sets, reducer, .. } = self;
        let (verdicts, sets) = (judge.verdicts, sets.known());
        shared.remember(Remembered { calls, verdicts, sets, renamings: reducer.renamings() });
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
        self.leave_out();
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
            // The moves are taken out for a while, because firing a step needs those of other local states.
            let moves = self.calls.take_out(who, local);
            let delivered = common(&set, &moves.changing).map(|message| moves.firing(message));
            let goes_on = moves.spontaneous.iter().chain(delivered).all(|firing| {
                let fired = self.fire(who, firing, tuple, sets);
                visit(self, who, firing.step, fired)
            });
            self.calls.put_back(who, local, moves);
            if !goes_on {
                return;
            }
        }
    }

    fn fire(&mut self, who: Slot, firing: &Firing, tuple: Tuple<'_>, sets: &[SetId]) -> Fired {
        self.transitions += 1;
        if !self.survey.as_mut().is_none_or(|survey| survey.fires(firing.step)) {
            return Fired::Outside;
        }
        let ghost = tuple.ghost();
        let GhostStep { ghost: next_ghost, broken } =
            self.calls.ghost_step(self.shared, ghost, firing.change);
        if broken != 0 {
            self.shared.violate_steps(broken);
        }
        if (broken != 0 || firing.broken) && self.shared.at_violation != AtViolation::GoOn {
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
        self.leave_out();
        Fired::Inside { ghost_changed: next_ghost != ghost }
    }

    /// Leaves out the messages in the scratch that do not matter.
    fn leave_out(&mut self) {
        let Scratch { tuple, messages, .. } = &mut self.scratch;
        self.reducer.leave_out(tuple.tuple(), messages);
    }

    /// Finds the state that stands for the one in the scratch.
    fn find_standing(&mut self) {
        let mut numbers = std::mem::take(&mut self.scratch.numbers);
        numbers.clear();
        numbers.extend(Slot::first(self.actors).map(|who| self.number(who)));
        let Scratch { tuple, standing, .. } = &mut self.scratch;
        let (sets, tables) = (&mut self.sets, &self.shared.tables);
        self.reducer.find_standing(tuple.tuple(), &numbers, sets, tables, standing);
        self.scratch.numbers = numbers;
    }

    /// The number of the set of an actor's messages in the scratch. Most steps leave that set as it is.
    fn number(&mut self, who: Slot) -> SetId {
        let messages = &self.scratch.messages[who.index()];
        match self.scratch.from.get(who.index()) {
            Some(set) if self.sets.words(who, *set) == messages.trimmed() => *set,
            _ => self.sets.number(who, messages),
        }
    }

    /// Adds the state that stands for the one in the scratch, and judges its tuple if that is new.
    pub(super) fn insert(&mut self, changed: Option<Slot>, ghost_changed: bool) -> Inserted {
        self.find_standing();
        let Scratch { tuple: reached, standing, .. } = &self.scratch;
        let key = standing.tuple.tuple();
        let hash = hash(key);
        let shards = self.shared.shards.len() as u64;
        let shard = usize::try_from(hash >> 40 & (shards - 1)).expect("few shards");
        let (shard, lock) = (ShardId::of(shard), &self.shared.shards[shard]);
        let mut judged = false;
        let (tuple, rank, inserted) = loop {
            let mut guard = lock.lock().held();
            let tuple = match guard.find(key, hash) {
                Some(tuple) => tuple,
                None if judged => guard.add(key, hash, standing.orbit),
                None => {
                    drop(guard);
                    self.judge.judge(reached.tuple(), changed, ghost_changed);
                    judged = true;
                    continue;
                }
            };
            let sets = &self.sets;
            if guard.greatest_sets().all(|(who, set)| sets.knows(who, set)) {
                let contents = |who, set| sets.words(who, set);
                let inserted = guard.insert(tuple, &standing.names, &standing.kept, contents);
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

    /// The state that was inserted last: its tuple and the numbers of its sets.
    pub(super) fn inserted(&self) -> (Tuple<'_>, &[SetId]) {
        let Standing { tuple, kept, .. } = &self.scratch.standing;
        (tuple.tuple(), kept)
    }

    /// The state in the scratch: its tuple and the messages for each actor.
    pub(super) fn scratch(&self) -> (Tuple<'_>, &[Messages]) {
        (self.scratch.tuple.tuple(), &self.scratch.messages)
    }

    /// Returns anew the names of a set of messages to an actor in a local state.
    pub(super) fn name_again(&mut self, who: Slot, local: LocalId, set: SetId) -> SetId {
        self.reducer.names((who, local, set), &mut self.sets)
    }

    /// Counts the tuples and the maximal states for which a tuple and its states stand.
    ///
    /// # Errors
    /// The limit that was reached before these numbers were known.
    pub(super) fn count(
        &mut self,
        tuple: Tuple<'_>,
        states: &[SetId],
        lookout: &Lookout<'_>,
    ) -> Result<Counted, &'static str> {
        self.reducer.count(tuple, states, &mut self.sets, &self.shared.tables, lookout)
    }
}

impl Remembered {
    fn nothing<A: Checkable, G: Ghostly>(shared: &Shared<'_, A, G>) -> Self {
        Self {
            calls: Calls::new(shared.world.actors.actors.len()),
            verdicts: Verdicts::default(),
            sets: KnownSets::default(),
            renamings: Renamings::of(&shared.tables.read().held()),
        }
    }
}

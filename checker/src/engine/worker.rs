//! One thread of the search. A [`Worker`] expands tuples, normalises the states that come of them, and judges
//! those that are new.
//!
//! [`Worker::expand`] takes a state from the store and fires its steps. Each step leads to a state in the
//! scratch: [`Worker::fire`] adds the messages that are sent at once and leaves out those that do not matter.
//! [`Worker::insert`] then puts the state that stands for its orbit into the store. A worker keeps copies of
//! what it knows, so that it seldom locks anything shared.

use super::bits::{Messages, common, is_subset, numbers};
use super::canon::Canon;
use super::ids::{
    ChangeId, GhostId, LocalId, MaskId, MessageId, Number, PermutationId, SetId, ShardId, Slot,
    StepId, TupleId,
};
use super::intern::Interned;
use super::judge::{Judge, Verdicts};
use super::normal::{Normal, Renamed};
use super::panics::Held;
use super::relevance::Relevance;
use super::sets::{KnownSets, SetCache};
use super::shared::Shared;
use super::store::{Inserted, hash};
use super::tables::{GhostStep, Memo, StepRecord, Tables};
use super::tuple::{Tuple, TupleBuf};
use crate::run::Lookout;
use crate::view::{Checkable, Ghostly};
use std::ops::AddAssign;

/// Messages, each by its receiver and its number there.
type Sent = Box<[(Slot, MessageId)]>;

/// All that can happen to one actor in one local state.
#[derive(Default)]
struct Row {
    /// The spontaneous steps that change the local state.
    spontaneous: Vec<Firing>,
    /// The messages that the other spontaneous steps send.
    quiet_sent: Vec<(Slot, MessageId)>,
    /// The messages that have been tried on the local state.
    tried: Messages,
    /// The messages that change it, and those that only make it send.
    changing: Messages,
    quiet: Messages,
    /// For each message the position of its effect: in `firings`, or in `replies`.
    at: Vec<u32>,
    firings: Vec<Firing>,
    replies: Vec<Sent>,
}

/// One step that changes its actor, in the form in which it is fired.
struct Firing {
    step: StepId,
    next: LocalId,
    change: ChangeId,
    sent: Sent,
    /// The first bound of single actors that the step leads out of.
    outside: Option<u8>,
    /// Whether the outputs of the step violate a property.
    broken: bool,
}

impl Firing {
    fn new<A: Checkable, G: Ghostly>(tables: &Tables<'_, A, G>, who: Slot, step: StepId) -> Self {
        let StepRecord { next, change, sent, broken, .. } = &tables.steps[step.index()];
        Self {
            step,
            next: *next,
            change: change.expect("it changes its actor"),
            sent: Box::from(&**sent),
            outside: tables.actors[who.index()].rows[next.index()].outside,
            broken: *broken != 0,
        }
    }
}

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
    rows: Rows,
    /// The conditional messages that matter because of another actor, as a number in `masks`.
    because: Memo<(Slot, Slot, LocalId, LocalId), MaskId>,
    masks: Interned<MaskId, Messages>,
    sets: SetCache<'s>,
    ghost_steps: Memo<(GhostId, ChangeId), GhostStep>,
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

/// Rows by actor and local state; `None` where nothing is known.
type Rows = Vec<Vec<Option<Box<Row>>>>;

/// The knowledge of a thread that holds under every hypothesis. A thread that goes on with another hypothesis
/// takes it up.
pub(super) struct Remembered {
    rows: Rows,
    ghost_steps: Memo<(GhostId, ChangeId), GhostStep>,
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
        let Remembered { rows, ghost_steps, verdicts, canon, sets, renamed } = remembered;
        Self {
            shared,
            relevance,
            actors,
            rows,
            because: Memo::default(),
            masks,
            sets: SetCache::new(&shared.sets, sets),
            ghost_steps,
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
        let Self { shared, rows, ghost_steps, judge, canon, sets, renamed, .. } = self;
        let (verdicts, sets) = (judge.verdicts, sets.known());
        shared.remember(Remembered { rows, ghost_steps, verdicts, canon, sets, renamed });
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
            self.try_all(who, local, &set);
            // The row is taken out for a while, because firing a step needs the rows of other local states.
            let row = self.rows[who.index()][local.index()].take().expect("it has been tried");
            let delivered = common(&set, &row.changing)
                .map(|message| &row.firings[row.at[message.index()] as usize]);
            let goes_on = row.spontaneous.iter().chain(delivered).all(|firing| {
                let fired = self.fire(who, firing, tuple, sets);
                visit(self, who, firing.step, fired)
            });
            self.rows[who.index()][local.index()] = Some(row);
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
        let GhostStep { ghost: next_ghost, broken } = self.ghost_step(ghost, firing.change);
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

    // ---- the normal form ----

    /// Adds to the pending messages those that an actor sends by itself without changing.
    fn add_spontaneous(&mut self, who: Slot) {
        let local = self.scratch.tuple.tuple().local(who);
        self.try_all(who, local, &[]);
        self.scratch.pending.extend_from_slice(&row(&self.rows, who, local).quiet_sent);
    }

    /// Adds to the pending messages those that an actor sends in answer to its messages without changing.
    fn add_replies(&mut self, who: Slot) {
        let local = self.scratch.tuple.tuple().local(who);
        let messages = std::mem::take(&mut self.scratch.messages[who.index()]);
        self.try_all(who, local, messages.words());
        let row = row(&self.rows, who, local);
        for message in common(messages.words(), &row.quiet) {
            self.scratch.pending.extend_from_slice(row.reply(message));
        }
        self.scratch.messages[who.index()] = messages;
    }

    /// Adds the pending messages, and the messages that their receivers send in answer without changing.
    fn add_pending(&mut self) {
        while let Some((who, message)) = self.scratch.pending.pop() {
            if !self.scratch.messages[who.index()].insert(message) {
                continue;
            }
            let local = self.scratch.tuple.tuple().local(who);
            self.try_one(who, local, message);
            let row = row(&self.rows, who, local);
            if row.quiet.has(message) {
                self.scratch.pending.extend_from_slice(row.reply(message));
            }
        }
    }

    /// Leaves out the messages that do not matter.
    fn filter(&mut self) {
        for who in Slot::first(self.actors) {
            let local = self.scratch.tuple.tuple().local(who);
            let Some((hard, conditional)) = self.relevance.masks(who, local) else { continue };
            let messages = &self.scratch.messages[who.index()];
            let mut words = messages.words().iter().enumerate();
            let asks = words.any(|(n, word)| word & conditional.word(n) != 0);
            self.scratch.mask.copy(hard.words());
            if asks {
                for other in Slot::first(self.actors) {
                    let mask = self.because_of(who, local, other);
                    self.scratch.mask.merge(self.masks.get(mask));
                }
            }
            let unknown = self.relevance.unknown(who).index();
            let (whole, part) = (unknown / 64, !0 << (unknown % 64));
            let mask = &self.scratch.mask;
            self.scratch.messages[who.index()].map(|n, word| {
                let unknown = match n.cmp(&whole) {
                    std::cmp::Ordering::Less => 0,
                    std::cmp::Ordering::Equal => part,
                    std::cmp::Ordering::Greater => !0,
                };
                word & (mask.word(n) | unknown)
            });
        }
    }

    fn because_of(&mut self, who: Slot, local: LocalId, other: Slot) -> MaskId {
        let at = self.scratch.tuple.tuple().local(other);
        let memo = (who, other, local, at);
        if let Some(mask) = self.because.get(&memo) {
            return *mask;
        }
        let mask = self.masks.intern(self.relevance.because_of(who, local, other, at)).0;
        self.because.insert(memo, mask);
        mask
    }

    /// Replaces the state in the scratch by the state that stands for it, and numbers its sets.
    fn canonicalise(&mut self) {
        let mut numbers = std::mem::take(&mut self.scratch.numbers);
        numbers.clear();
        numbers.extend(Slot::first(self.actors).map(|who| self.number(who)));
        let Scratch { tuple, names, kept, reached, .. } = &mut self.scratch;
        reached.clone_from(tuple);
        names.clear();
        kept.clear();
        if self.canon.is_trivial() {
            for ((who, local), set) in tuple.tuple().locals().zip(&numbers) {
                let reduced =
                    self.normal.reduced(self.relevance, &mut self.sets, (who, local, *set));
                kept.push(reduced.kept);
                names.push(reduced.names);
            }
        } else {
            self.choose(&numbers);
        }
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

    /// Replaces the state in the scratch by the state that stands for it, where there are permutations.
    /// `numbers` are those of its sets.
    fn choose(&mut self, numbers: &[SetId]) {
        if !self.canon.knows(self.scratch.reached.tuple()) {
            self.canon.learn(&self.shared.tables.read().held());
        }
        let (least, chosen) = self.canon.least(self.scratch.reached.tuple());
        self.scratch.tuple.copy(least);
        let chosen = chosen.to_vec();
        for n in chosen {
            let at = self.scratch.names.len();
            self.scratch.names.resize(at + self.actors, SetId::of(0));
            self.scratch.kept.resize(self.actors, SetId::of(0));
            for (who, set) in Slot::all().zip(numbers) {
                let renamed = self.renamed(n, who, *set);
                let to = self.canon.moves(n, who);
                let local = self.scratch.tuple.tuple().local(to);
                let reduced =
                    self.normal.reduced(self.relevance, &mut self.sets, (to, local, renamed));
                self.scratch.names[at + to.index()] = reduced.names;
                if at == 0 {
                    self.scratch.kept[to.index()] = reduced.kept;
                }
            }
        }
    }

    /// The number of a set, renamed by a permutation.
    fn renamed(&mut self, n: PermutationId, who: Slot, set: SetId) -> SetId {
        if n == PermutationId::IDENTITY {
            return set;
        }
        if let Some(known) = self.renamed.get(n, who, set) {
            return known;
        }
        let mut messages = Messages::default();
        messages.copy(&self.sets.get(who, set));
        if !self.canon.knows_messages(who, &messages) {
            self.canon.learn(&self.shared.tables.read().held());
        }
        let renamed = self.canon.rename_messages(n, who, &messages);
        let renamed = self.sets.number(self.canon.moves(n, who), &renamed);
        self.renamed.note(n, who, set, renamed);
        renamed
    }

    /// Gives a set of messages to an actor in a local state its names anew.
    pub(super) fn name_again(&mut self, who: Slot, local: LocalId, set: SetId) -> SetId {
        self.normal.reduced(self.relevance, &mut self.sets, (who, local, set)).names
    }

    /// Adds a state together with all messages that its actors send at once, by themselves or in answer,
    /// without changing. It does so only if these are more messages than the state has.
    fn close(&mut self, tuple: Tuple<'_>, sets: &[SetId]) {
        self.scratch.tuple.copy(tuple);
        self.scratch.from.clear();
        self.scratch.from.extend_from_slice(sets);
        for (who, set) in Slot::all().zip(sets) {
            let words = self.sets.get(who, *set);
            self.scratch.messages[who.index()].copy(&words);
        }
        for who in Slot::first(self.actors) {
            self.add_spontaneous(who);
            self.add_replies(who);
        }
        self.add_pending();
        self.filter();
        let mut closed = Slot::all().zip(self.scratch.messages.iter().zip(sets));
        let has = |(who, (messages, set)): (Slot, (&Messages, &SetId))| {
            is_subset(messages.words(), self.sets.words(who, *set))
        };
        if !closed.all(has) {
            self.insert(None, false);
        }
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

    // ---- what is remembered ----

    /// Makes sure that the outcomes of these messages for an actor in a local state are known, and its
    /// spontaneous steps.
    fn try_all(&mut self, who: Slot, local: LocalId, messages: &[u64]) {
        match self.rows[who.index()].get(local.index()) {
            Some(Some(row)) if is_subset(messages, row.tried.words()) => {}
            _ => self.try_messages(who, local, numbers(messages)),
        }
    }

    /// Makes sure that the outcome of this message for an actor in a local state is known, and its
    /// spontaneous steps.
    fn try_one(&mut self, who: Slot, local: LocalId, message: MessageId) {
        match self.rows[who.index()].get(local.index()) {
            Some(Some(row)) if row.tried.has(message) => {}
            _ => self.try_messages(who, local, std::iter::once(message)),
        }
    }

    fn try_messages(
        &mut self,
        who: Slot,
        local: LocalId,
        messages: impl Iterator<Item = MessageId>,
    ) {
        let rows = &mut self.rows[who.index()];
        if rows.len() <= local.index() {
            rows.resize_with(local.index() + 1, || None);
        }
        let slot = &mut rows[local.index()];
        let is_new = slot.is_none();
        let row = slot.get_or_insert_default();
        let shared = self.shared;
        let mut tables = shared.tables.write().held();
        // Nothing is explored beyond a step that violates a property.
        let ends_here = |record: &StepRecord| record.broken != 0 && !shared.goes_on;
        if is_new {
            for step in tables.spontaneous(who, local) {
                let record = &tables.steps[step.index()];
                shared.violate_steps(record.broken);
                match record.change {
                    None if ends_here(record) => {}
                    None => row.quiet_sent.extend_from_slice(&record.sent),
                    Some(_) => row.spontaneous.push(Firing::new(&tables, who, step)),
                }
            }
        }
        for message in messages {
            if !row.tried.insert(message) {
                continue;
            }
            let Some(step) = tables.deliver(who, local, message) else { continue };
            let record = &tables.steps[step.index()];
            shared.violate_steps(record.broken);
            let position = match record.change {
                None if ends_here(record) => continue,
                None => {
                    row.quiet.insert(message);
                    row.replies.push(Box::from(&*record.sent));
                    row.replies.len() - 1
                }
                Some(_) => {
                    row.changing.insert(message);
                    row.firings.push(Firing::new(&tables, who, step));
                    row.firings.len() - 1
                }
            };
            let at = message.index();
            row.at.resize(row.at.len().max(at + 1), u32::MAX);
            row.at[at] = u32::try_from(position).expect("numbers are u32");
        }
    }

    fn ghost_step(&mut self, ghost: GhostId, change: ChangeId) -> GhostStep {
        if let Some(step) = self.ghost_steps.get(&(ghost, change)) {
            return *step;
        }
        let step = {
            let mut tables = self.shared.tables.write().held();
            tables.ghost_step(ghost, change)
        };
        self.ghost_steps.insert((ghost, change), step);
        step
    }

    /// The numbers of tuples and maximal states for which a tuple and its states stand, by the messages that
    /// matter under this worker's hypothesis; and the number of maximal states that stand for them.
    ///
    /// # Errors
    /// The limit that was reached before these numbers were known.
    pub(super) fn maximal(
        &mut self,
        tuple: Tuple<'_>,
        states: &[SetId],
        lookout: &Lookout<'_>,
    ) -> Result<Counted, &'static str> {
        let mut antichain: Vec<Vec<Messages>> = Vec::new();
        let below = |a: &[Messages], b: &[Messages]| {
            a.iter().zip(b).all(|(a, b)| is_subset(a.words(), b.words()))
        };
        self.scratch.tuple.copy(tuple);
        let stabiliser = self.stabiliser(tuple);
        for state in states.chunks_exact(self.actors) {
            if let Some(reason) = lookout.reached() {
                return Err(reason);
            }
            for who in Slot::first(self.actors) {
                let set = self.sets.get(who, state[who.index()]);
                self.scratch.messages[who.index()].copy(&set);
            }
            self.filter();
            for n in &stabiliser {
                let alike = self.names_renamed(*n, tuple, &self.scratch.messages);
                if !antichain.iter().any(|other| below(&alike, other)) {
                    antichain.retain(|other| !below(other, &alike));
                    antichain.push(alike);
                }
            }
        }
        let tuples = (self.canon.size() / stabiliser.len()) as u64;
        let states = tuples * antichain.len() as u64;
        let mut standing = 0;
        while let Some(one) = antichain.pop() {
            standing += 1;
            for n in &stabiliser[1..] {
                let alike = self.names_renamed(*n, tuple, &one);
                antichain.retain(|other| !(below(other, &alike) && below(&alike, other)));
            }
        }
        Ok(Counted { tuples, states, standing })
    }

    /// The permutations that leave a tuple as it is, the identity first. The tuple must be one that stands
    /// for others.
    fn stabiliser(&mut self, tuple: Tuple<'_>) -> Vec<PermutationId> {
        if self.canon.is_trivial() {
            return vec![PermutationId::IDENTITY];
        }
        self.canon.learn(&self.shared.tables.read().held());
        let (least, chosen) = self.canon.least(tuple);
        let is_least = least == tuple && chosen[0] == PermutationId::IDENTITY;
        assert!(is_least, "only what stands for others is kept");
        chosen.to_vec()
    }

    /// The names of messages at a tuple that a permutation leaves as it is, after the permutation has renamed
    /// the messages.
    fn names_renamed(
        &self,
        n: PermutationId,
        tuple: Tuple<'_>,
        messages: &[Messages],
    ) -> Vec<Messages> {
        let mut renamed = messages.to_vec();
        if n != PermutationId::IDENTITY {
            for (who, set) in Slot::all().zip(messages) {
                renamed[self.canon.moves(n, who).index()] = self.canon.rename_messages(n, who, set);
            }
        }
        for ((who, local), set) in tuple.locals().zip(&mut renamed) {
            let partition = self.relevance.partition(who, local);
            if let Some(names) = partition.and_then(|(_, partition)| partition.reduce(set)) {
                *set = names;
            }
        }
        renamed
    }
}

/// The numbers of tuples and states for which some states stand.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) tuples: u64,
    pub(super) states: u64,
    /// The number of states that stand for them.
    pub(super) standing: u64,
}

impl AddAssign for Counted {
    fn add_assign(&mut self, more: Self) {
        self.tuples += more.tuples;
        self.states += more.states;
        self.standing += more.standing;
    }
}

impl Row {
    /// The messages that an actor sends in answer to a message that does not change it.
    fn reply(&self, message: MessageId) -> &[(Slot, MessageId)] {
        &self.replies[self.at[message.index()] as usize]
    }
}

/// The row of an actor in a local state that has been tried.
fn row(rows: &Rows, who: Slot, local: LocalId) -> &Row {
    rows[who.index()][local.index()].as_ref().expect("it has been tried")
}

impl Remembered {
    fn nothing<A: Checkable, G: Ghostly>(shared: &Shared<'_, A, G>) -> Self {
        let actors = shared.world.actors.actors.len();
        let canon = shared.canon();
        Self {
            rows: (0..actors).map(|_| Vec::new()).collect(),
            ghost_steps: Memo::default(),
            verdicts: Verdicts::default(),
            renamed: Renamed::new(canon.size(), actors),
            canon,
            sets: KnownSets::default(),
        }
    }
}

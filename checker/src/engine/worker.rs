//! One thread of the search. A [`Worker`] expands tuples, normalises the states that come of them, and judges
//! those that are new.
//!
//! [`Worker::expand`] takes a state from the store and fires its steps. Each step leads to a state in the
//! scratch: [`Worker::fire`] adds the messages that are sent at once and leaves out those that do not matter.
//! [`Worker::insert`] then puts the state that stands for its orbit into the store. A worker keeps copies of
//! what it knows, so that it seldom locks anything shared.

use super::bits::{Bits, common, is_subset, numbers};
use super::canon::Canon;
use super::judge::{Judge, Verdicts};
use super::normal::{Normal, Renamed};
use super::panics::Held;
use super::relevance::Relevance;
use super::sets::{KnownSets, SetCache};
use super::shared::Shared;
use super::store::{Inserted, hash};
use super::tables::{GhostStep, Memo, StepRecord, Tables};
use crate::run::Lookout;
use crate::view::{Checkable, Ghostly};
use std::ops::AddAssign;

/// Messages, each by its receiver and its number there.
type Sent = Box<[(u8, u32)]>;

/// All that can happen to one actor in one local state.
#[derive(Default)]
struct Row {
    /// The spontaneous steps that change the local state.
    spontaneous: Vec<Firing>,
    /// The messages that the other spontaneous steps send.
    quiet_sent: Vec<(u8, u32)>,
    /// The messages that have been tried on the local state.
    tried: Bits,
    /// The messages that change it, and those that only make it send.
    changing: Bits,
    quiet: Bits,
    /// For each message the position of its effect: in `firings`, or in `replies`.
    at: Vec<u32>,
    firings: Vec<Firing>,
    replies: Vec<Sent>,
}

/// One step that changes its actor, in the form in which it is fired.
struct Firing {
    step: u32,
    next: u32,
    change: u32,
    sent: Sent,
    /// The first bound of single actors that the step leads out of.
    outside: Option<u8>,
    /// Whether the outputs of the step violate a property.
    broken: bool,
}

impl Firing {
    fn new<A: Checkable, G: Ghostly>(tables: &Tables<'_, A, G>, who: usize, step: u32) -> Self {
        let StepRecord { next, change, sent, broken, .. } = &tables.steps[step as usize];
        Self {
            step,
            next: *next,
            change: change.expect("it changes its actor"),
            sent: Box::from(&**sent),
            outside: tables.actors[who].rows[*next as usize].outside,
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
    pub(super) shard: u32,
    pub(super) tuple: u32,
}

/// The knowledge and the counts of one thread.
pub(super) struct Worker<'s, 'w, A: Checkable, G> {
    shared: &'s Shared<'w, A, G>,
    relevance: &'s Relevance,
    actors: usize,
    rows: Rows,
    /// The conditional messages that matter because of another actor, as a number in `masks`.
    because: Memo<(u8, u8, u32, u32), u32>,
    masks: super::intern::Interned<Bits>,
    sets: SetCache<'s>,
    ghost_steps: Memo<(u32, u32), GhostStep>,
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
    ghost_steps: Memo<(u32, u32), GhostStep>,
    verdicts: Verdicts,
    canon: Canon,
    sets: KnownSets,
    renamed: Renamed,
}

/// The buffers of one step.
#[derive(Default)]
struct Scratch {
    /// The tuple to which the step leads.
    key: Vec<u32>,
    /// The messages in the state to which the step leads, for each actor.
    messages: Vec<Bits>,
    /// Messages that have yet to be added.
    pending: Vec<(u8, u32)>,
    /// The numbers of the sets by names, followed by those of the other states for which the state stands;
    /// and the numbers of the sets as they are.
    names: Vec<u32>,
    kept: Vec<u32>,
    /// The numbers of the sets before anything is renamed, and those of the state from which the step leads.
    numbers: Vec<u32>,
    from: Vec<u32>,
    mask: Bits,
    /// The tuple as it was reached, before it is renamed.
    reached: Vec<u32>,
}

impl<'s, 'w, A: Checkable, G: Ghostly> Worker<'s, 'w, A, G> {
    pub(super) fn new(
        shared: &'s Shared<'w, A, G>,
        relevance: &'s Relevance,
        survey: Option<u16>,
    ) -> Self {
        let actors = shared.world.actors.actors.len();
        let mut masks = super::intern::Interned::new();
        masks.intern(Bits::default());
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
            scratch: Scratch { messages: vec![Bits::default(); actors], ..Scratch::default() },
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
    pub(super) fn start(&mut self, key: &[u32], messages: &[(u8, u32)]) -> bool {
        if let Some(bound) = self.judge.outside(key, None, None) {
            self.cuts[usize::from(bound)] += 1;
            return false;
        }
        self.scratch.key = key.to_vec();
        self.scratch.from.clear();
        self.scratch.messages.iter_mut().for_each(|set| set.copy(&[]));
        self.scratch.pending.extend_from_slice(messages);
        for who in 0..self.actors {
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
    pub(super) fn expand(&mut self, task: Task, key: &mut Vec<u32>, state: &mut Vec<u32>) {
        let shard = &self.shared.shards[task.shard as usize];
        if shard.lock().held().take(task.tuple, key, state) {
            self.tasks.push(task);
        }
        if state.is_empty() {
            return;
        }
        self.expanded += 1;
        self.close(key, state);
        self.successors(key, state, &mut |worker, who, _, fired| {
            if let Fired::Inside { ghost_changed } = fired {
                worker.insert(Some(who), ghost_changed);
            }
            !worker.shared.must_stop()
        });
        if self.shared.must_stop() && shard.lock().held().put_back(task.tuple, state) {
            self.tasks.push(task);
        }
    }

    /// Fires every step of a state, and shows each to `visit` with its actor, its number and its outcome. The
    /// state to which the step leads is then in the scratch. The function goes on as long as `visit` returns
    /// true.
    pub(super) fn successors(
        &mut self,
        key: &[u32],
        state: &[u32],
        visit: &mut dyn FnMut(&mut Self, usize, u32, Fired) -> bool,
    ) {
        if !state.iter().enumerate().all(|(who, set)| self.sets.knows(who, *set)) {
            self.sets.refresh();
        }
        for who in 0..self.actors {
            let set = self.sets.get(who, state[who]);
            self.try_all(who, key[who], &set);
            // The row is taken out for a while, because firing a step needs the rows of other local states.
            let row = self.rows[who][key[who] as usize].take().expect("it has been tried");
            let delivered = common(&set, &row.changing)
                .map(|message| &row.firings[row.at[message as usize] as usize]);
            let goes_on = row.spontaneous.iter().chain(delivered).all(|firing| {
                let fired = self.fire(who, firing, key, state);
                visit(self, who, firing.step, fired)
            });
            self.rows[who][key[who] as usize] = Some(row);
            if !goes_on {
                return;
            }
        }
    }

    fn fire(&mut self, who: usize, firing: &Firing, key: &[u32], state: &[u32]) -> Fired {
        self.transitions += 1;
        if !self.is_worth_a_survey(firing.step) {
            return Fired::Outside;
        }
        let ghost = key[self.actors];
        let GhostStep { ghost: next_ghost, broken } = self.ghost_step(ghost, firing.change);
        if broken != 0 {
            self.shared.violate_steps(broken);
        }
        if (broken != 0 || firing.broken) && !self.shared.goes_on {
            return Fired::Violates;
        }
        self.scratch.key.clear();
        self.scratch.key.extend_from_slice(key);
        self.scratch.key[who] = firing.next;
        self.scratch.key[self.actors] = next_ghost;
        if let Some(bound) = self.judge.outside(&self.scratch.key, Some(who), firing.outside) {
            self.cuts[usize::from(bound)] += 1;
            return Fired::Outside;
        }
        self.scratch.from.clear();
        self.scratch.from.extend_from_slice(state);
        for (actor, (messages, set)) in self.scratch.messages.iter_mut().zip(state).enumerate() {
            messages.copy(self.sets.words(actor, *set));
        }
        self.scratch.pending.extend_from_slice(&firing.sent);
        self.add_spontaneous(who);
        self.add_replies(who);
        self.add_pending();
        self.filter();
        Fired::Inside { ghost_changed: next_ghost != ghost }
    }

    fn is_worth_a_survey(&mut self, step: u32) -> bool {
        let Some((times, fired)) = &mut self.survey else { return true };
        let at = step as usize;
        if fired.len() <= at {
            fired.resize(at + 1, 0);
        }
        fired[at] = fired[at].saturating_add(1);
        fired[at] <= *times
    }

    // ---- the normal form ----

    /// Adds to the pending messages those that an actor sends by itself without changing.
    fn add_spontaneous(&mut self, who: usize) {
        let local = self.scratch.key[who];
        self.try_all(who, local, &[]);
        self.scratch.pending.extend_from_slice(&row(&self.rows, who, local).quiet_sent);
    }

    /// Adds to the pending messages those that an actor sends in answer to its messages without changing.
    fn add_replies(&mut self, who: usize) {
        let local = self.scratch.key[who];
        let messages = std::mem::take(&mut self.scratch.messages[who]);
        self.try_all(who, local, messages.words());
        let row = row(&self.rows, who, local);
        for message in common(messages.words(), &row.quiet) {
            self.scratch.pending.extend_from_slice(row.reply(message));
        }
        self.scratch.messages[who] = messages;
    }

    /// Adds the pending messages, and the messages that their receivers send in answer without changing.
    fn add_pending(&mut self) {
        while let Some((to, message)) = self.scratch.pending.pop() {
            let who = usize::from(to);
            if !self.scratch.messages[who].insert(message) {
                continue;
            }
            let local = self.scratch.key[who];
            self.try_one(who, local, message);
            let row = row(&self.rows, who, local);
            if row.quiet.has(message) {
                self.scratch.pending.extend_from_slice(row.reply(message));
            }
        }
    }

    /// Leaves out the messages that do not matter.
    fn filter(&mut self) {
        for who in 0..self.actors {
            let local = self.scratch.key[who];
            let Some((hard, conditional)) = self.relevance.masks(who, local) else { continue };
            let messages = &self.scratch.messages[who];
            let mut words = messages.words().iter().enumerate();
            let asks = words.any(|(n, word)| word & conditional.word(n) != 0);
            self.scratch.mask.copy(hard.words());
            if asks {
                for other in 0..self.actors {
                    let mask = self.because_of(who, local, other);
                    self.scratch.mask.merge(self.masks.get(mask));
                }
            }
            let known = self.relevance.known_messages(who);
            let (whole, part) = (known as usize / 64, !0 << (known % 64));
            let mask = &self.scratch.mask;
            self.scratch.messages[who].map(|n, word| {
                let unknown = match n.cmp(&whole) {
                    std::cmp::Ordering::Less => 0,
                    std::cmp::Ordering::Equal => part,
                    std::cmp::Ordering::Greater => !0,
                };
                word & (mask.word(n) | unknown)
            });
        }
    }

    fn because_of(&mut self, who: usize, local: u32, other: usize) -> u32 {
        let at = self.scratch.key[other];
        let number = |who: usize| u8::try_from(who).expect("at most 255 actors");
        let memo = (number(who), number(other), local, at);
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
        numbers.extend((0..self.actors).map(|who| self.number(who)));
        let Scratch { key, names, kept, reached, .. } = &mut self.scratch;
        reached.clone_from(key);
        names.clear();
        kept.clear();
        if self.canon.is_trivial() {
            for (who, set) in numbers.iter().enumerate() {
                let reduced =
                    self.normal.reduced(self.relevance, &mut self.sets, (who, key[who], *set));
                kept.push(reduced.kept);
                names.push(reduced.names);
            }
        } else {
            self.choose(&numbers);
        }
        self.scratch.numbers = numbers;
    }

    /// The number of the set of an actor's messages in the scratch. Most steps leave that set as it is.
    fn number(&mut self, who: usize) -> u32 {
        let messages = &self.scratch.messages[who];
        match self.scratch.from.get(who) {
            Some(set) if self.sets.words(who, *set) == messages.trimmed() => *set,
            _ => self.sets.number(who, messages),
        }
    }

    /// Replaces the state in the scratch by the state that stands for it, where there are permutations.
    /// `numbers` are those of its sets.
    fn choose(&mut self, numbers: &[u32]) {
        if !self.canon.knows(&self.scratch.reached) {
            self.canon.learn(&self.shared.tables.read().held());
        }
        let (least, chosen) = self.canon.least(&self.scratch.reached);
        self.scratch.key.clear();
        self.scratch.key.extend_from_slice(least);
        let chosen = chosen.to_vec();
        for n in chosen {
            let at = self.scratch.names.len();
            self.scratch.names.resize(at + self.actors, 0);
            self.scratch.kept.resize(self.actors, 0);
            for (who, set) in numbers.iter().enumerate() {
                let renamed = self.renamed(n, who, *set);
                let to = self.canon.moves(n, who);
                let local = self.scratch.key[to];
                let reduced =
                    self.normal.reduced(self.relevance, &mut self.sets, (to, local, renamed));
                self.scratch.names[at + to] = reduced.names;
                if at == 0 {
                    self.scratch.kept[to] = reduced.kept;
                }
            }
        }
    }

    /// The number of a set, renamed by a permutation.
    fn renamed(&mut self, n: usize, who: usize, set: u32) -> u32 {
        if n == 0 {
            return set;
        }
        if let Some(known) = self.renamed.get(n, who, set) {
            return known;
        }
        let mut messages = Bits::default();
        messages.copy(&self.sets.get(who, set));
        if !self.canon.knows_messages(who, &messages) {
            self.canon.learn(&self.shared.tables.read().held());
        }
        let renamed = self.canon.rename_messages(n, who, &messages);
        let renamed = self.sets.number(self.canon.moves(n, who), &renamed);
        self.renamed.note(n, who, set, renamed);
        renamed
    }

    /// Gives the sets of a state names anew.
    pub(super) fn name_again(&mut self, key: &[u32], sets: &[u32], names: &mut [u32]) {
        for (who, local) in key[..self.actors].iter().enumerate() {
            let of_actor = (who, *local, sets[who]);
            names[who] = self.normal.reduced(self.relevance, &mut self.sets, of_actor).names;
        }
    }

    /// Adds a state together with all messages that its actors send at once, by themselves or in answer,
    /// without changing. It does so only if these are more messages than the state has.
    fn close(&mut self, key: &[u32], sets: &[u32]) {
        self.scratch.key.clear();
        self.scratch.key.extend_from_slice(key);
        self.scratch.from.clear();
        self.scratch.from.extend_from_slice(sets);
        for (who, set) in sets.iter().enumerate() {
            let words = self.sets.get(who, *set);
            self.scratch.messages[who].copy(&words);
        }
        for who in 0..self.actors {
            self.add_spontaneous(who);
            self.add_replies(who);
        }
        self.add_pending();
        self.filter();
        let mut closed = self.scratch.messages.iter().zip(sets).enumerate();
        let has = |(who, (messages, set)): (usize, (&Bits, &u32))| {
            is_subset(messages.words(), self.sets.words(who, *set))
        };
        if !closed.all(has) {
            self.insert(None, false);
        }
    }

    /// Adds the state that stands for the one in the scratch, and judges its tuple if that is new.
    pub(super) fn insert(&mut self, changed: Option<usize>, ghost_changed: bool) -> Inserted {
        self.canonicalise();
        let Scratch { key, reached, .. } = &self.scratch;
        let hash = hash(key);
        let shards = self.shared.shards.len() as u64;
        let shard = u32::try_from(hash >> 40 & (shards - 1)).expect("few shards");
        let lock = &self.shared.shards[shard as usize];
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
            if guard.greatest_sets().enumerate().all(|(who, set)| sets.knows(who, set)) {
                let contents = |who: usize, set: u32| sets.words(who, set);
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
    pub(super) fn state(&self) -> (&[u32], &[u32]) {
        (&self.scratch.key, &self.scratch.kept)
    }

    /// The messages of the state in the scratch, for each actor.
    pub(super) fn messages(&self) -> &[Bits] {
        &self.scratch.messages
    }

    // ---- what is remembered ----

    /// Makes sure that the outcomes of these messages for an actor in a local state are known, and its
    /// spontaneous steps.
    fn try_all(&mut self, who: usize, local: u32, messages: &[u64]) {
        match self.rows[who].get(local as usize) {
            Some(Some(row)) if is_subset(messages, row.tried.words()) => {}
            _ => self.try_messages(who, local, numbers(messages)),
        }
    }

    /// Makes sure that the outcome of this message for an actor in a local state is known, and its
    /// spontaneous steps.
    fn try_one(&mut self, who: usize, local: u32, message: u32) {
        match self.rows[who].get(local as usize) {
            Some(Some(row)) if row.tried.has(message) => {}
            _ => self.try_messages(who, local, std::iter::once(message)),
        }
    }

    fn try_messages(&mut self, who: usize, local: u32, messages: impl Iterator<Item = u32>) {
        let rows = &mut self.rows[who];
        if rows.len() <= local as usize {
            rows.resize_with(local as usize + 1, || None);
        }
        let slot = &mut rows[local as usize];
        let is_new = slot.is_none();
        let row = slot.get_or_insert_default();
        let shared = self.shared;
        let mut tables = shared.tables.write().held();
        // Nothing is explored beyond a step that violates a property.
        let ends_here = |record: &StepRecord| record.broken != 0 && !shared.goes_on;
        if is_new {
            for step in tables.spontaneous(who, local) {
                let record = &tables.steps[step as usize];
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
            let record = &tables.steps[step as usize];
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
            let at = message as usize;
            row.at.resize(row.at.len().max(at + 1), u32::MAX);
            row.at[at] = u32::try_from(position).expect("numbers are u32");
        }
    }

    fn ghost_step(&mut self, ghost: u32, change: u32) -> GhostStep {
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
        key: &[u32],
        states: &[&[u32]],
        lookout: &Lookout<'_>,
    ) -> Result<Counted, &'static str> {
        let mut antichain: Vec<Vec<Bits>> = Vec::new();
        let below =
            |a: &[Bits], b: &[Bits]| a.iter().zip(b).all(|(a, b)| is_subset(a.words(), b.words()));
        self.scratch.key.clear();
        self.scratch.key.extend_from_slice(key);
        let stabiliser = self.stabiliser(key);
        for state in states {
            if let Some(reason) = lookout.reached() {
                return Err(reason);
            }
            for who in 0..self.actors {
                let set = self.sets.get(who, state[who]);
                self.scratch.messages[who].copy(&set);
            }
            self.filter();
            for n in &stabiliser {
                let alike = self.names_renamed(*n, key, &self.scratch.messages);
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
                let alike = self.names_renamed(*n, key, &one);
                antichain.retain(|other| !(below(other, &alike) && below(&alike, other)));
            }
        }
        Ok(Counted { tuples, states, standing })
    }

    /// The permutations that leave a tuple as it is, the identity first. The tuple must be one that stands
    /// for others.
    fn stabiliser(&mut self, key: &[u32]) -> Vec<usize> {
        if self.canon.is_trivial() {
            return vec![0];
        }
        self.canon.learn(&self.shared.tables.read().held());
        let (least, chosen) = self.canon.least(key);
        assert!(least == key && chosen[0] == 0, "only what stands for others is kept");
        chosen.to_vec()
    }

    /// The names of messages at a tuple that a permutation leaves as it is, after the permutation has renamed
    /// the messages.
    fn names_renamed(&self, n: usize, key: &[u32], messages: &[Bits]) -> Vec<Bits> {
        let mut renamed = messages.to_vec();
        if n != 0 {
            for (who, set) in messages.iter().enumerate() {
                renamed[self.canon.moves(n, who)] = self.canon.rename_messages(n, who, set);
            }
        }
        for (who, set) in renamed.iter_mut().enumerate() {
            let partition = self.relevance.partition(who, key[who]);
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
    fn reply(&self, message: u32) -> &[(u8, u32)] {
        &self.replies[self.at[message as usize] as usize]
    }
}

/// The row of an actor in a local state that has been tried.
fn row(rows: &Rows, who: usize, local: u32) -> &Row {
    rows[who][local as usize].as_ref().expect("it has been tried")
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

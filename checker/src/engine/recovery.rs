//! Judges whether a group of actors can go on by itself. The question is asked of every tuple that was
//! reached, with every message in flight lost.
//!
//! Only the local states of the group matter: the other actors do nothing, and there is no message to
//! receive. So each combination of local states is judged once ([`Judged`]). The group has its timeouts, its
//! choices and the messages that its members send to each other, and no restart. An [`Attempt`] looks for a
//! way to recovery, and some way is enough. So the answer says that no state is a dead end; it does not say
//! that the group cannot go round in circles.

use super::bits::{Messages, is_subset, numbers};
use super::caller::Caller;
use super::ids::{GroupId, LocalId, MemberId, MessageId, Number, PermutationId, Slot, StepId};
use super::panics::Held;
use super::symmetry::Permutations;
use super::tables::{Memo, Tables};
use super::tuple::Tuple;
use crate::run::{Limits, Lookout};
use crate::view::{Checkable, Ghostly, Local};
use crate::world::{Recovery, State, World};
use stateright::actor::Id;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, RwLock};
use std::time::Instant;

/// For each group, whether the group is dead, by the local states of its members.
type Verdicts = Vec<Memo<Vec<LocalId>, bool>>;

/// The verdicts of all threads. With each verdict there are the verdicts on all renamed starts.
pub(super) struct Judged<'w, A: Checkable> {
    recovery: &'w Recovery<A>,
    lookout: &'w Lookout<'w>,
    verdicts: Mutex<Verdicts>,
}

/// The reason why something was not decided.
pub(super) type Undecided = &'static str;

/// The judge of one thread, with the verdicts that it has come across.
pub(super) struct RecoveryJudge<'j, 'w, A: Checkable> {
    judged: &'j Judged<'w, A>,
    mine: Verdicts,
}

/// The members of a group in the middle of an attempt.
#[derive(Clone)]
struct Group {
    /// The local states of its members.
    locals: Vec<LocalId>,
    /// The messages between the members, by receiver.
    messages: Vec<Messages>,
}

/// How often one member acts by itself in a straight attempt.
const PATIENCE: usize = 8;
/// At most so many messages arrive after each of these times, because members may answer each other for ever.
const ARRIVALS: usize = 1000;

impl<'w, A: Checkable> Judged<'w, A> {
    pub(super) fn new(recovery: &'w Recovery<A>, lookout: &'w Lookout<'w>) -> Self {
        let verdicts = Mutex::new(vec![Memo::default(); recovery.groups.len()]);
        Self { recovery, lookout, verdicts }
    }

    /// The number of combinations of local states that were judged, including all to which these can be
    /// renamed.
    pub(super) fn starts(&self) -> u64 {
        let verdicts = self.verdicts.lock().held();
        verdicts.iter().map(|known| known.len() as u64).sum()
    }

    pub(super) fn judge(&self) -> RecoveryJudge<'_, 'w, A> {
        RecoveryJudge { judged: self, mine: vec![Memo::default(); self.recovery.groups.len()] }
    }
}

impl<A: Checkable> RecoveryJudge<'_, '_, A> {
    /// Whether some group cannot recover from this tuple. The tuple stands for all to which it can be
    /// renamed.
    ///
    /// # Errors
    /// The limit that ended the search for a way to recovery.
    ///
    /// # Panics
    /// If the verdict on a renamed start differs.
    pub(super) fn is_dead_end<G: Ghostly>(
        &mut self,
        tables: &RwLock<Tables<'_, A, G>>,
        tuple: Tuple<'_>,
    ) -> Result<bool, Undecided> {
        let mut start = Vec::new();
        let mut dead = false;
        for (n, group) in GroupId::all().zip(&self.judged.recovery.groups) {
            start.clear();
            start.extend(group.iter().map(|id| tuple.local(Slot::from(*id))));
            dead |= if let Some(is_dead) = self.mine[n.index()].get(&start[..]) {
                *is_dead
            } else {
                let is_dead = match self.is_dead(&mut Caller::new(tables), n, &start) {
                    Ok(is_dead) => is_dead,
                    Err(_) if dead => return Ok(true),
                    Err(reason) => return Err(reason),
                };
                self.mine[n.index()].insert(start.clone(), is_dead);
                is_dead
            };
        }
        Ok(dead)
    }

    fn is_dead<G: Ghostly>(
        &self,
        tables: &mut Caller<'_, '_, A, G>,
        group: GroupId,
        start: &[LocalId],
    ) -> Result<bool, Undecided> {
        let verdicts = || self.judged.verdicts.lock().held();
        if let Some(is_dead) = verdicts()[group.index()].get(start) {
            return Ok(*is_dead);
        }
        let end = self.attempt(group, start).succeeds(tables)?;
        let mut orbit = vec![(group, start.to_vec())];
        for n in tables.tables().group.others() {
            let (renamed, image) = self.renamed(tables.tables(), n, group, start);
            let is_new = orbit.iter().all(|(group, start)| *group != renamed || *start != image);
            let attempt = self.attempt(renamed, &image);
            let alike = match &end {
                // The renamed way leads there, too, because each handler call was compared.
                Some(end) => {
                    let (_, end) = self.renamed(tables.tables(), n, group, end);
                    attempt.has_recovered(tables.tables(), &end)
                }
                None => !is_new || attempt.succeeds(tables)?.is_none(),
            };
            assert!(
                alike,
                "recovery must not tell apart actors that the world's `symmetry` calls interchangeable"
            );
            if is_new {
                orbit.push((renamed, image));
            }
        }
        let is_dead = end.is_none();
        let mut verdicts = verdicts();
        for (group, start) in orbit {
            verdicts[group.index()].insert(start, is_dead);
        }
        Ok(is_dead)
    }

    fn attempt<'a>(&'a self, group: GroupId, start: &'a [LocalId]) -> Attempt<'a, A> {
        let Judged { recovery, lookout, .. } = self.judged;
        Attempt { recovery, lookout, group: &recovery.groups[group.index()], start }
    }

    /// A group and local states of its members, renamed by a permutation.
    fn renamed<G: Ghostly>(
        &self,
        tables: &Tables<'_, A, G>,
        n: PermutationId,
        group: GroupId,
        start: &[LocalId],
    ) -> (GroupId, Vec<LocalId>) {
        let groups = &self.judged.recovery.groups;
        let images = groups[group.index()].iter().zip(start);
        let images: BTreeMap<_, _> = images
            .map(|(id, local)| {
                let (to, image) = tables.local_image(n, Slot::from(*id), *local);
                (to.id(), image)
            })
            .collect();
        let is_image = |other: &Vec<Id>| {
            other.len() == images.len() && other.iter().all(|id| images.contains_key(id))
        };
        let renamed = groups.iter().position(is_image);
        let renamed = GroupId::of(
            renamed.expect("groups are renamed to groups where actors are interchangeable"),
        );
        (renamed, groups[renamed.index()].iter().map(|id| images[id]).collect())
    }
}

/// Whether some group cannot recover from a state, if the world asks about recovery.
#[expect(clippy::disallowed_methods, reason = "limits have a clock, though there are none here")]
pub(crate) fn is_dead_end<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    state: &State<A, G>,
) -> bool {
    let Some(recovery) = &world.recovery else { return false };
    let mut tables = Tables::new(world, false, Permutations::trivial(world.actors.actors.len()));
    let (tuple, _) = tables.import(state);
    let limits = Limits::unlimited(1);
    let never = AtomicBool::new(false);
    let lookout = Lookout::since(Instant::now(), &limits, &never);
    let judged = Judged::new(recovery, &lookout);
    judged.judge().is_dead_end(&RwLock::new(tables), tuple.tuple()).expect("there is no limit")
}

/// A group and the local states from which it starts.
struct Attempt<'a, A: Checkable> {
    recovery: &'a Recovery<A>,
    lookout: &'a Lookout<'a>,
    group: &'a [Id],
    start: &'a [LocalId],
}

impl<A: Checkable> Attempt<'_, A> {
    fn first(&self) -> Group {
        Group { locals: self.start.to_vec(), messages: vec![Messages::default(); self.group.len()] }
    }

    fn values<'t, G: Ghostly>(
        &self,
        tables: &'t Tables<'_, A, G>,
        locals: &[LocalId],
    ) -> Vec<(Id, Local<'t, A>)> {
        let members = self.group.iter().zip(locals);
        let value = |(id, local): (&Id, &LocalId)| {
            (*id, tables.actors[usize::from(*id)].locals.get(*local).view())
        };
        members.map(value).collect()
    }

    fn has_recovered<G: Ghostly>(&self, tables: &Tables<'_, A, G>, now: &[LocalId]) -> bool {
        let (start, now) = (self.values(tables, self.start), self.values(tables, now));
        (self.recovery.recovered)(&start, &now)
    }

    /// Looks for a way to recovery, first straight on, then everywhere. Returns the local states to which the
    /// way leads.
    fn succeeds<G: Ghostly>(
        &self,
        tables: &mut Caller<'_, '_, A, G>,
    ) -> Result<Option<Vec<LocalId>>, Undecided> {
        let members = MemberId::first(self.group.len());
        let mut pairs =
            members.clone().flat_map(|first| members.clone().map(move |then| (first, then)));
        match pairs.find_map(|(first, then)| self.straight(tables, first, then)) {
            None => self.anywhere(tables),
            straight => Ok(straight),
        }
    }

    /// Whether recovery may go on from these local states.
    fn is_within<G: Ghostly>(&self, tables: &Tables<'_, A, G>, now: &[LocalId]) -> bool {
        let (start, now) = (self.values(tables, self.start), self.values(tables, now));
        (self.recovery.within)(&start, &now)
    }

    /// Tries a straight way. The first member takes all its spontaneous steps one after the other, and all
    /// messages that follow from that arrive in the group. Then another member does so, again and again. The
    /// attempt finds nothing that a search of every way would not find, so it goes no further than the bound
    /// on recovery.
    fn straight<G: Ghostly>(
        &self,
        tables: &mut Caller<'_, '_, A, G>,
        first: MemberId,
        then: MemberId,
    ) -> Option<Vec<LocalId>> {
        let mut now = self.first();
        if let Some(end) = self.ends(tables.tables(), &now.locals) {
            return end.then_some(now.locals);
        }
        for member in std::iter::once(first).chain(std::iter::repeat_n(then, PATIENCE)) {
            let mut arriving = VecDeque::new();
            for n in 0..self.spontaneous(tables, &now, member).len() {
                if let Some(step) = self.spontaneous(tables, &now, member).get(n) {
                    self.take(tables.tables(), &mut now, member, *step, &mut arriving);
                }
                if let Some(end) = self.ends(tables.tables(), &now.locals) {
                    return end.then_some(now.locals);
                }
            }
            for _ in 0..ARRIVALS {
                let Some((to, message)) = arriving.pop_front() else { break };
                let actor = self.slot(to);
                if let Some(step) = tables.deliver(actor, now.locals[to.index()], message) {
                    self.take(tables.tables(), &mut now, to, step, &mut arriving);
                }
                if let Some(end) = self.ends(tables.tables(), &now.locals) {
                    return end.then_some(now.locals);
                }
            }
        }
        None
    }

    /// Whether an attempt ends at these local states: `Some(true)` with success, `Some(false)` without.
    fn ends<G: Ghostly>(&self, tables: &Tables<'_, A, G>, now: &[LocalId]) -> Option<bool> {
        if self.has_recovered(tables, now) {
            return Some(true);
        }
        (!self.is_within(tables, now)).then_some(false)
    }

    /// Tries every way, as far as the bound on recovery goes.
    fn anywhere<G: Ghostly>(
        &self,
        tables: &mut Caller<'_, '_, A, G>,
    ) -> Result<Option<Vec<LocalId>>, Undecided> {
        let mut known: Memo<Vec<LocalId>, Vec<Vec<Messages>>> = Memo::default();
        let mut waiting = vec![self.first()];
        while let Some(now) = waiting.pop() {
            if self.has_recovered(tables.tables(), &now.locals) {
                return Ok(Some(now.locals));
            }
            if let Some(reason) = self.lookout.reached() {
                return Err(reason);
            }
            let sets = known.entry(now.locals.clone()).or_default();
            let below = |a: &[Messages], b: &[Messages]| {
                a.iter().zip(b).all(|(a, b)| is_subset(a.words(), b.words()))
            };
            if sets.iter().any(|other| below(&now.messages, other)) {
                continue;
            }
            sets.retain(|other| !below(other, &now.messages));
            sets.push(now.messages.clone());
            if !self.is_within(tables.tables(), &now.locals) {
                continue;
            }
            for member in MemberId::first(self.group.len()) {
                let actor = self.slot(member);
                let mut steps = self.spontaneous(tables, &now, member);
                for message in numbers(now.messages[member.index()].words()) {
                    steps.extend(tables.deliver(actor, now.locals[member.index()], message));
                }
                for step in steps {
                    let mut next = now.clone();
                    self.take(tables.tables(), &mut next, member, step, &mut VecDeque::new());
                    waiting.push(next);
                }
            }
        }
        Ok(None)
    }

    /// The place of a member among all actors.
    fn slot(&self, member: MemberId) -> Slot {
        Slot::from(self.group[member.index()])
    }

    /// The spontaneous steps of a member, except restarts.
    fn spontaneous<G: Ghostly>(
        &self,
        tables: &mut Caller<'_, '_, A, G>,
        now: &Group,
        member: MemberId,
    ) -> Vec<StepId> {
        let mut steps = tables.spontaneous(self.slot(member), now.locals[member.index()]);
        steps.retain(|step| !tables.tables().steps[step.index()].restart);
        steps
    }

    fn take<G: Ghostly>(
        &self,
        tables: &Tables<'_, A, G>,
        now: &mut Group,
        member: MemberId,
        step: StepId,
        arriving: &mut VecDeque<(MemberId, MessageId)>,
    ) {
        let record = &tables.steps[step.index()];
        now.locals[member.index()] = record.next;
        for (to, message) in record.sent.iter() {
            if let Some(member) = self.group.iter().position(|id| *id == to.id()) {
                let member = MemberId::of(member);
                now.messages[member.index()].insert(*message);
                arriving.push_back((member, *message));
            }
        }
    }
}

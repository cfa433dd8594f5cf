//! Looks for a way on which a group recovers by itself.
//!
//! An [`Attempt`] first tries straight ways, which are short and mostly lead to recovery. Then it tries every
//! way, as far as the bound on recovery goes.

use super::Undecided;
use crate::engine::bits::{Messages, is_subset, numbers};
use crate::engine::caller::Caller;
use crate::engine::ids::{LocalId, MemberId, MessageId, Number, Slot, StepId};
use crate::engine::tables::{Memo, Tables};
use crate::run::Lookout;
use crate::view::{Checkable, Ghostly, Local};
use crate::world::Recovery;
use stateright::actor::Id;
use std::collections::VecDeque;

/// The members of a group in the middle of an attempt.
#[derive(Clone)]
struct Group {
    /// The local states of its members.
    locals: Vec<LocalId>,
    /// The messages between the members, by receiver.
    messages: Vec<Messages>,
}

/// How often the second member of a straight way acts by itself.
const PATIENCE: usize = 8;
/// The most messages that arrive after a member has acted by itself. Without a limit, members may answer each
/// other for ever.
const ARRIVALS: usize = 1000;

/// A group and the local states from which it starts.
pub(super) struct Attempt<'a, A: Checkable> {
    pub(super) recovery: &'a Recovery<A>,
    pub(super) lookout: &'a Lookout<'a>,
    pub(super) group: &'a [Id],
    pub(super) start: &'a [LocalId],
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

    pub(super) fn has_recovered<G: Ghostly>(
        &self,
        tables: &Tables<'_, A, G>,
        now: &[LocalId],
    ) -> bool {
        let (start, now) = (self.values(tables, self.start), self.values(tables, now));
        (self.recovery.recovered)(&start, &now)
    }

    /// Looks for a way to recovery: first among the straight ways, then among all. Returns the local states
    /// to which the way leads.
    pub(super) fn succeeds<G: Ghostly>(
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

    /// Tries a straight way. The first member takes all its spontaneous steps one after the other, and the
    /// messages that follow from that arrive in the group. Then the member `then`, which may be the same one,
    /// does so again and again. A straight way goes no further than the bound on recovery. So it leads
    /// nowhere that a search of every way would not come.
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

//! Looks for a way on which a group recovers by itself.
//!
//! An [`Attempt`] first tries straight ways, which are short and mostly lead to recovery. On some, one member
//! acts first and another one after it. On others, all members act in turn. Then the attempt tries every way,
//! as far as the bound on recovery goes.

use super::Undecided;
use crate::engine::bits::{Messages, is_subset, numbers};
use crate::engine::caller::Caller;
use crate::engine::ids::{LocalId, MemberId, MessageId, Number, Slot, StepId};
use crate::engine::tables::{Memo, Tables};
use crate::run::Lookout;
use crate::view::{Checkable, Ghostly, Local};
use crate::world::{Group, Recovery};
use stateright::actor::Id;
use std::collections::VecDeque;

/// The members of a group in the middle of an attempt, and the messages between them.
#[derive(Clone)]
struct Now {
    /// The local states of its members.
    locals: Vec<LocalId>,
    /// The messages between the members, by receiver.
    messages: Vec<Messages>,
}

/// How often a member of a straight way acts by itself: the second of two, or each of all in turn.
const PATIENCE: usize = 8;
/// The most messages that arrive after a member has acted by itself. Without a limit, members may answer each
/// other for ever.
const ARRIVALS: usize = 1000;

/// A group and the local states from which it starts.
pub(super) struct Attempt<'a, A: Checkable> {
    pub(super) recovery: &'a Recovery<A>,
    pub(super) lookout: &'a Lookout<'a>,
    pub(super) group: &'a Group,
    pub(super) start: &'a [LocalId],
}

impl<A: Checkable> Attempt<'_, A> {
    fn first(&self) -> Now {
        Now {
            locals: self.start.to_vec(),
            messages: vec![Messages::default(); self.group.members.len()],
        }
    }

    fn values<'t, G: Ghostly>(
        &self,
        tables: &'t Tables<'_, A, G>,
        locals: &[LocalId],
    ) -> Vec<(Id, Local<'t, A>)> {
        let members = self.group.members.iter().zip(locals);
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
        (self.recovery.recovered)(self.group, &start, &now)
    }

    /// Looks for a way to recovery: first among the straight ways, then among all. Returns the local states
    /// to which the way leads.
    pub(super) fn succeeds<G: Ghostly>(
        &self,
        tables: &mut Caller<'_, '_, A, G>,
    ) -> Result<Option<Vec<LocalId>>, Undecided> {
        let members: Vec<MemberId> = MemberId::first(self.group.members.len()).collect();
        let pairs = members.iter().flat_map(|first| members.iter().map(move |then| (first, then)));
        let one_after_another = pairs.map(|(first, then)| {
            std::iter::once(*first).chain(std::iter::repeat_n(*then, PATIENCE)).collect::<Vec<_>>()
        });
        let turns = |from| members.iter().cycle().skip(from).take(PATIENCE * members.len());
        let in_turn = (0..members.len()).map(|from| turns(from).copied().collect());
        let mut orders = one_after_another.chain(in_turn);
        match orders.find_map(|order| self.straight(tables, order)) {
            None => self.anywhere(tables),
            straight => Ok(straight),
        }
    }

    /// Whether recovery may go on from these local states.
    fn is_within<G: Ghostly>(&self, tables: &Tables<'_, A, G>, now: &[LocalId]) -> bool {
        let (start, now) = (self.values(tables, self.start), self.values(tables, now));
        (self.recovery.within)(self.group, &start, &now)
    }

    /// Tries a straight way: the members act in this order. A member takes all its spontaneous steps one
    /// after the other, and the messages that follow from that arrive in the group. A straight way goes no
    /// further than the bound on recovery. So it leads nowhere that a search of every way would not come.
    fn straight<G: Ghostly>(
        &self,
        tables: &mut Caller<'_, '_, A, G>,
        order: Vec<MemberId>,
    ) -> Option<Vec<LocalId>> {
        let mut now = self.first();
        if let Some(end) = self.ends(tables.tables(), &now.locals) {
            return end.then_some(now.locals);
        }
        for member in order {
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
            for member in MemberId::first(self.group.members.len()) {
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

    fn id(&self, member: MemberId) -> Id {
        self.group.members[member.index()]
    }

    /// The place of a member among all actors.
    fn slot(&self, member: MemberId) -> Slot {
        Slot::from(self.id(member))
    }

    /// The spontaneous steps that a member may take, except restarts.
    fn spontaneous<G: Ghostly>(
        &self,
        tables: &mut Caller<'_, '_, A, G>,
        now: &Now,
        member: MemberId,
    ) -> Vec<StepId> {
        if let Some(acts) = &self.recovery.acts {
            let now = self.values(tables.tables(), &now.locals);
            if !acts(self.group, &now, self.id(member)) {
                return Vec::new();
            }
        }
        let mut steps = tables.spontaneous(self.slot(member), now.locals[member.index()]);
        steps.retain(|step| !tables.tables().steps[step.index()].restart);
        steps
    }

    fn take<G: Ghostly>(
        &self,
        tables: &Tables<'_, A, G>,
        now: &mut Now,
        member: MemberId,
        step: StepId,
        arriving: &mut VecDeque<(MemberId, MessageId)>,
    ) {
        let (record, from) = (&tables.steps[step.index()], self.id(member));
        now.locals[member.index()] = record.next;
        for (to, message) in record.sent.iter() {
            let position = self.group.members.iter().position(|id| *id == to.id());
            if let Some(receiver) = position.filter(|_| self.group.is_linked(from, to.id())) {
                let member = MemberId::of(receiver);
                now.messages[member.index()].insert(*message);
                arriving.push_back((member, *message));
            }
        }
    }
}

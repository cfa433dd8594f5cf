//! Can a group of actors go on by itself? Asked of every tuple that was reached, with every message in
//! flight lost.
//!
//! From a tuple only the local states of the group matter: the others do nothing, and there is nothing
//! to receive. So each combination of them is judged once. The group has its timeouts, its choices and
//! what it sends to itself, and no restart. Some way that leads to recovery is enough: this says that
//! no state is a dead end, not that the group cannot go round in circles.

use super::bits::{Bits, is_subset, numbers};
use super::symmetry::Permutations;
use super::tables::{Memo, StepEvent, Tables};
use crate::checker::view::{Checkable, Event, Ghostly, Local};
use crate::checker::world::{Recovery, State, World};
use stateright::actor::Id;
use std::collections::VecDeque;

/// The verdicts so far.
pub(super) struct Judged<'w, A: Checkable> {
    recovery: &'w Recovery<A>,
    /// By the group and its local states, whether that is a dead end.
    dead: Memo<(u32, Vec<u32>), bool>,
}

/// A group under way.
#[derive(Clone)]
struct Group {
    /// The local states of its members.
    locals: Vec<u32>,
    /// The messages between them, by receiver.
    messages: Vec<Bits>,
}

/// How often one member acts by itself in a straight attempt.
const PATIENCE: usize = 8;

impl<'w, A: Checkable> Judged<'w, A> {
    pub(super) fn new(recovery: &'w Recovery<A>) -> Self {
        Self { recovery, dead: Memo::default() }
    }

    /// How many combinations of local states were judged.
    pub(super) fn starts(&self) -> u64 {
        self.dead.len() as u64
    }

    /// Whether a group cannot recover from this tuple, which stands for others.
    ///
    /// # Panics
    /// If that is not so of one of these.
    pub(super) fn is_dead_end_renamed<G: Ghostly>(
        &mut self,
        tables: &mut Tables<'_, A, G>,
        key: &[u32],
    ) -> bool {
        let dead = self.is_dead_end(tables, key);
        for n in tables.group.generators().to_vec() {
            let mut renamed = key.to_vec();
            for (who, local) in key[..key.len() - 1].iter().enumerate() {
                let (to, image) = tables.local_image(n, who, *local);
                renamed[to] = image;
            }
            assert!(
                self.is_dead_end(tables, &renamed) == dead,
                "recovery must not tell apart actors that the world's `symmetry` calls interchangeable"
            );
        }
        dead
    }

    /// Whether a group cannot recover from this tuple.
    pub(super) fn is_dead_end<G: Ghostly>(
        &mut self,
        tables: &mut Tables<'_, A, G>,
        key: &[u32],
    ) -> bool {
        let groups = (0..).zip(&self.recovery.groups);
        let starts = groups.map(|(n, group)| {
            (n, group.iter().map(|id| key[usize::from(*id)]).collect::<Vec<_>>())
        });
        let mut dead = false;
        for start in starts.collect::<Vec<_>>() {
            if let Some(known) = self.dead.get(&start) {
                dead |= known;
                continue;
            }
            let group = &self.recovery.groups[start.0 as usize];
            let attempt = Attempt { recovery: self.recovery, group, start: &start.1 };
            let is_dead = !attempt.succeeds(tables);
            self.dead.insert(start, is_dead);
            dead |= is_dead;
        }
        dead
    }
}

/// Whether some group cannot recover from a state, if that is asked of the world.
pub(crate) fn is_dead_end<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    state: &State<A, G>,
) -> bool {
    let Some(recovery) = &world.recovery else { return false };
    let mut tables = Tables::new(world, false, Permutations::trivial(world.actors.actors.len()));
    let (key, _) = tables.import(state);
    Judged::new(recovery).is_dead_end(&mut tables, &key)
}

/// A group and where it starts.
struct Attempt<'a, A: Checkable> {
    recovery: &'a Recovery<A>,
    group: &'a [Id],
    start: &'a [u32],
}

impl<A: Checkable> Attempt<'_, A> {
    fn first(&self) -> Group {
        Group { locals: self.start.to_vec(), messages: vec![Bits::default(); self.group.len()] }
    }

    fn values<'t, G: Ghostly>(
        &self,
        tables: &'t Tables<'_, A, G>,
        locals: &[u32],
    ) -> Vec<(Id, Local<'t, A>)> {
        let members = self.group.iter().zip(locals);
        let value = |(id, local): (&Id, &u32)| {
            (*id, tables.actors[usize::from(*id)].locals.get(*local).view())
        };
        members.map(value).collect()
    }

    fn has_recovered<G: Ghostly>(&self, tables: &Tables<'_, A, G>, now: &Group) -> bool {
        let (start, now) = (self.values(tables, self.start), self.values(tables, &now.locals));
        (self.recovery.recovered)(&start, &now)
    }

    /// Looks for a way: straight on at first, then everywhere.
    fn succeeds<G: Ghostly>(&self, tables: &mut Tables<'_, A, G>) -> bool {
        let members = 0..self.group.len();
        members.clone().any(|first| members.clone().any(|then| self.straight(tables, first, then)))
            || self.anywhere(tables)
    }

    /// One member acts by itself, and all that it causes in the group arrives; then another one does,
    /// again and again.
    fn straight<G: Ghostly>(
        &self,
        tables: &mut Tables<'_, A, G>,
        first: usize,
        then: usize,
    ) -> bool {
        let mut now = self.first();
        for who in std::iter::once(first).chain(std::iter::repeat_n(then, PATIENCE)) {
            let mut arriving = VecDeque::new();
            for step in self.spontaneous(tables, &now, who) {
                self.take(tables, &mut now, who, step, &mut arriving);
            }
            while let Some((to, message)) = arriving.pop_front() {
                let actor = usize::from(self.group[to]);
                if let Some(step) = tables.deliver(actor, now.locals[to], message) {
                    self.take(tables, &mut now, to, step, &mut arriving);
                }
                if self.has_recovered(tables, &now) {
                    return true;
                }
            }
            if self.has_recovered(tables, &now) {
                return true;
            }
        }
        false
    }

    /// Every way, as far as the bound on recovery goes.
    fn anywhere<G: Ghostly>(&self, tables: &mut Tables<'_, A, G>) -> bool {
        let mut known: Memo<Vec<u32>, Vec<Vec<Bits>>> = Memo::default();
        let mut waiting = vec![self.first()];
        while let Some(now) = waiting.pop() {
            if self.has_recovered(tables, &now) {
                return true;
            }
            let sets = known.entry(now.locals.clone()).or_default();
            let below = |a: &[Bits], b: &[Bits]| {
                a.iter().zip(b).all(|(a, b)| is_subset(a.words(), b.words()))
            };
            if sets.iter().any(|other| below(&now.messages, other)) {
                continue;
            }
            sets.retain(|other| !below(other, &now.messages));
            sets.push(now.messages.clone());
            let (start, here) = (self.values(tables, self.start), self.values(tables, &now.locals));
            if !(self.recovery.within)(&start, &here) {
                continue;
            }
            for who in 0..self.group.len() {
                let actor = usize::from(self.group[who]);
                let mut steps = self.spontaneous(tables, &now, who);
                for message in numbers(now.messages[who].words()) {
                    steps.extend(tables.deliver(actor, now.locals[who], message));
                }
                for step in steps {
                    let mut next = now.clone();
                    self.take(tables, &mut next, who, step, &mut VecDeque::new());
                    waiting.push(next);
                }
            }
        }
        false
    }

    /// What a member can do by itself, but for restarting.
    fn spontaneous<G: Ghostly>(
        &self,
        tables: &mut Tables<'_, A, G>,
        now: &Group,
        who: usize,
    ) -> Vec<u32> {
        let (actor, local) = (usize::from(self.group[who]), now.locals[who]);
        let mut steps = tables.spontaneous(actor, local);
        steps.retain(|step| match tables.steps[*step as usize].event {
            StepEvent::Deliver(_) => true,
            event @ StepEvent::Spontaneous(_) => {
                tables.event(actor, local, event) != Event::Restart
            }
        });
        steps
    }

    fn take<G: Ghostly>(
        &self,
        tables: &Tables<'_, A, G>,
        now: &mut Group,
        who: usize,
        step: u32,
        arriving: &mut VecDeque<(usize, u32)>,
    ) {
        let record = &tables.steps[step as usize];
        now.locals[who] = record.next;
        for (to, message) in record.sent.iter() {
            let to = Id::from(usize::from(*to));
            if let Some(member) = self.group.iter().position(|id| *id == to) {
                now.messages[member].insert(*message);
                arriving.push_back((member, *message));
            }
        }
    }
}

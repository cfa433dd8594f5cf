//! The handler calls that one thread remembers, so that the thread need not lock the tables to look them up
//! again.
//!
//! [`Moves`] hold all that can happen to one actor in one local state, in the form in which it is fired.
//! [`Calls::try_all`] makes sure that an actor's moves know some messages. [`Calls::moves`] then shows them.

use crate::engine::bits::{Messages, is_subset, numbers};
use crate::engine::ids::{ChangeId, GhostId, LocalId, MessageId, Number, Slot, StepId};
use crate::engine::panics::Held;
use crate::engine::shared::{AtViolation, Shared};
use crate::engine::tables::{GhostStep, Memo, StepRecord, Tables};
use crate::view::{Checkable, Ghostly};

/// Moves by actor and local state; `None` where nothing is known.
type MovesTable = Vec<Vec<Option<Box<Moves>>>>;

/// The handler calls that one thread remembers. They are the same under every hypothesis.
pub(super) struct Calls {
    moves: MovesTable,
    ghost_steps: Memo<(GhostId, ChangeId), GhostStep>,
}

/// Messages, each by its receiver and its number there.
type Sent = Box<[(Slot, MessageId)]>;

/// All that can happen to one actor in one local state.
#[derive(Default)]
pub(super) struct Moves {
    /// The spontaneous steps that change the local state.
    pub(super) spontaneous: Vec<Firing>,
    /// The messages that the other spontaneous steps send.
    pub(super) quiet_sent: Vec<(Slot, MessageId)>,
    /// The messages that have been tried on the local state.
    tried: Messages,
    /// The messages that change the actor; and in `quiet`, the messages that only make it send.
    pub(super) changing: Messages,
    pub(super) quiet: Messages,
    /// For each message the position of its effect: in `firings`, or in `replies`.
    at: Vec<u32>,
    firings: Vec<Firing>,
    replies: Vec<Sent>,
}

/// One step that changes its actor, in the form in which it is fired.
pub(super) struct Firing {
    pub(super) step: StepId,
    pub(super) next: LocalId,
    pub(super) change: ChangeId,
    pub(super) sent: Sent,
    /// The first bound of single actors that the step leads out of.
    pub(super) outside: Option<u8>,
    /// Whether the outputs of the step violate a property.
    pub(super) broken: bool,
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

impl Calls {
    /// Begins with no calls, for so many actors.
    pub(super) fn new(actors: usize) -> Self {
        Self { moves: (0..actors).map(|_| Vec::new()).collect(), ghost_steps: Memo::default() }
    }

    /// Makes sure that the spontaneous steps of an actor in a local state are known, and the outcomes of
    /// these messages there.
    pub(super) fn try_all<A: Checkable, G: Ghostly>(
        &mut self,
        shared: &Shared<'_, A, G>,
        who: Slot,
        local: LocalId,
        messages: &[u64],
    ) {
        match self.moves[who.index()].get(local.index()) {
            Some(Some(moves)) if is_subset(messages, moves.tried.words()) => {}
            _ => self.try_messages(shared, who, local, numbers(messages)),
        }
    }

    /// Makes sure that the spontaneous steps of an actor in a local state are known, and the outcome of this
    /// message there.
    pub(super) fn try_one<A: Checkable, G: Ghostly>(
        &mut self,
        shared: &Shared<'_, A, G>,
        who: Slot,
        local: LocalId,
        message: MessageId,
    ) {
        match self.moves[who.index()].get(local.index()) {
            Some(Some(moves)) if moves.tried.has(message) => {}
            _ => self.try_messages(shared, who, local, std::iter::once(message)),
        }
    }

    fn try_messages<A: Checkable, G: Ghostly>(
        &mut self,
        shared: &Shared<'_, A, G>,
        who: Slot,
        local: LocalId,
        messages: impl Iterator<Item = MessageId>,
    ) {
        let table = &mut self.moves[who.index()];
        if table.len() <= local.index() {
            table.resize_with(local.index() + 1, || None);
        }
        let slot = &mut table[local.index()];
        let is_new = slot.is_none();
        let moves = slot.get_or_insert_default();
        let mut tables = shared.tables.write().held();
        if is_new {
            moves.learn_spontaneous(shared, &mut tables, (who, local));
        }
        for message in messages {
            if moves.tried.insert(message) {
                moves.learn(shared, &mut tables, (who, local), message);
            }
        }
    }

    /// The moves of an actor in a local state that has been tried.
    pub(super) fn moves(&self, who: Slot, local: LocalId) -> &Moves {
        self.moves[who.index()][local.index()].as_ref().expect("it has been tried")
    }

    /// Takes out the moves of an actor in a local state that has been tried. They must be put back.
    pub(super) fn take_out(&mut self, who: Slot, local: LocalId) -> Box<Moves> {
        self.moves[who.index()][local.index()].take().expect("it has been tried")
    }

    /// Puts back moves that were taken out.
    pub(super) fn put_back(&mut self, who: Slot, local: LocalId, moves: Box<Moves>) {
        self.moves[who.index()][local.index()] = Some(moves);
    }

    /// The ghost after a change.
    pub(super) fn ghost_step<A: Checkable, G: Ghostly>(
        &mut self,
        shared: &Shared<'_, A, G>,
        ghost: GhostId,
        change: ChangeId,
    ) -> GhostStep {
        if let Some(step) = self.ghost_steps.get(&(ghost, change)) {
            return *step;
        }
        let step = {
            let mut tables = shared.tables.write().held();
            tables.ghost_step(ghost, change)
        };
        self.ghost_steps.insert((ghost, change), step);
        step
    }
}

impl Moves {
    /// The messages that an actor sends in answer to a message that does not change it.
    pub(super) fn reply(&self, message: MessageId) -> &[(Slot, MessageId)] {
        &self.replies[self.at[message.index()] as usize]
    }

    /// The step by which a message changes the actor.
    pub(super) fn firing(&self, message: MessageId) -> &Firing {
        &self.firings[self.at[message.index()] as usize]
    }

    fn learn_spontaneous<A: Checkable, G: Ghostly>(
        &mut self,
        shared: &Shared<'_, A, G>,
        tables: &mut Tables<'_, A, G>,
        (who, local): (Slot, LocalId),
    ) {
        for step in tables.spontaneous(who, local) {
            let record = &tables.steps[step.index()];
            shared.violate_steps(record.broken);
            match record.change {
                None if ends_here(shared, record) => {}
                None => self.quiet_sent.extend_from_slice(&record.sent),
                Some(_) => self.spontaneous.push(Firing::new(tables, who, step)),
            }
        }
    }

    fn learn<A: Checkable, G: Ghostly>(
        &mut self,
        shared: &Shared<'_, A, G>,
        tables: &mut Tables<'_, A, G>,
        (who, local): (Slot, LocalId),
        message: MessageId,
    ) {
        let Some(step) = tables.deliver(who, local, message) else { return };
        let record = &tables.steps[step.index()];
        shared.violate_steps(record.broken);
        let position = match record.change {
            None if ends_here(shared, record) => return,
            None => {
                self.quiet.insert(message);
                self.replies.push(Box::from(&*record.sent));
                self.replies.len() - 1
            }
            Some(_) => {
                self.changing.insert(message);
                self.firings.push(Firing::new(tables, who, step));
                self.firings.len() - 1
            }
        };
        let at = message.index();
        self.at.resize(self.at.len().max(at + 1), u32::MAX);
        self.at[at] = u32::try_from(position).expect("numbers are u32");
    }
}

/// Whether nothing is explored beyond a step, because it violates a property.
fn ends_here<A: Checkable, G: Ghostly>(shared: &Shared<'_, A, G>, record: &StepRecord) -> bool {
    record.broken != 0 && shared.at_violation != AtViolation::GoOn
}

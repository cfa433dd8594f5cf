//! The effects of deliveries, compared by value: two deliveries do the same only if their effects are equal.

use super::ids::{EffectId, OutcomeId, OutputId};
use super::intern::Interned;
use super::local::LocalValue;
use crate::view::{Checkable, CommandOf};
use stateright::actor::{Command, Id};

/// The effects of deliveries, each with a number.
pub(super) struct Effects<A: Checkable> {
    /// The local states to which actors come. Not all of these are reached, so they are not the local states
    /// of the search.
    locals: Interned<OutcomeId, LocalValue<A>>,
    /// Each message that is sent, with its addressee.
    messages: Interned<OutputId, (Id, A::Msg)>,
    all: Interned<EffectId, Effect>,
}

/// The effect of one delivery.
#[derive(PartialEq, Eq, Hash)]
enum Effect {
    Nothing,
    Panic,
    Some {
        /// The local state to which the actor comes.
        next: OutcomeId,
        /// The messages that the actor sends, in order.
        sent: Box<[OutputId]>,
        /// The properties of outputs that are violated, as bits.
        broken: u32,
    },
}

impl<A: Checkable> Effects<A> {
    /// A table with two effects: nothing, and a panic.
    pub(super) fn new() -> Self {
        let mut all = Interned::new();
        assert!(all.intern(Effect::Nothing).0 == EffectId::NOTHING, "it is the first");
        assert!(all.intern(Effect::Panic).0 == EffectId::PANIC, "it is the second");
        Self { locals: Interned::new(), messages: Interned::new(), all }
    }

    /// The number of the effect of a delivery in a world of so many actors.
    pub(super) fn number(
        &mut self,
        actors: usize,
        next: &LocalValue<A>,
        out: &[CommandOf<A>],
        broken: u32,
    ) -> EffectId {
        let next = match self.locals.number(next) {
            Some(known) => known,
            None => self.locals.intern(next.clone()).0,
        };
        let sent = out.iter().filter_map(|command| match command {
            Command::Send(to, msg) if usize::from(*to) < actors => Some((*to, msg.clone())),
            _ => None,
        });
        let mut sent: Vec<_> = sent.map(|message| self.messages.intern(message).0).collect();
        sent.sort_unstable();
        sent.dedup();
        self.all.intern(Effect::Some { next, sent: sent.into(), broken }).0
    }
}

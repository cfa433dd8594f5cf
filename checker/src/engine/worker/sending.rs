//! The messages that are sent at once: an actor sends them without changing, by itself or in answer.
//!
//! A message-only step may be taken at once, because it only adds messages (section 2 of `PROOF.md`). The
//! functions here add all that such steps send to the state in the scratch.

use super::Worker;
use crate::engine::bits::{Messages, common, is_subset};
use crate::engine::ids::{Number, SetId, Slot};
use crate::engine::tuple::Tuple;
use crate::view::{Checkable, Ghostly};

impl<A: Checkable, G: Ghostly> Worker<'_, '_, A, G> {
    /// Adds to the pending messages those that an actor sends by itself without changing.
    pub(super) fn add_spontaneous(&mut self, who: Slot) {
        let local = self.scratch.tuple.tuple().local(who);
        self.calls.try_all(self.shared, who, local, &[]);
        self.scratch.pending.extend_from_slice(&self.calls.moves(who, local).quiet_sent);
    }

    /// Adds to the pending messages those that an actor sends in answer to its messages without changing.
    pub(super) fn add_replies(&mut self, who: Slot) {
        let local = self.scratch.tuple.tuple().local(who);
        let messages = std::mem::take(&mut self.scratch.messages[who.index()]);
        self.calls.try_all(self.shared, who, local, messages.words());
        let moves = self.calls.moves(who, local);
        for message in common(messages.words(), &moves.quiet) {
            self.scratch.pending.extend_from_slice(moves.reply(message));
        }
        self.scratch.messages[who.index()] = messages;
    }

    /// Adds the pending messages, and the messages that their receivers send in answer without changing.
    pub(super) fn add_pending(&mut self) {
        while let Some((who, message)) = self.scratch.pending.pop() {
            if !self.scratch.messages[who.index()].insert(message) {
                continue;
            }
            let local = self.scratch.tuple.tuple().local(who);
            self.calls.try_one(self.shared, who, local, message);
            let moves = self.calls.moves(who, local);
            if moves.quiet.has(message) {
                self.scratch.pending.extend_from_slice(moves.reply(message));
            }
        }
    }

    /// Adds a state together with all messages that its actors send at once. It does so only if the state has
    /// fewer messages than that.
    pub(super) fn close(&mut self, tuple: Tuple<'_>, sets: &[SetId]) {
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
        self.leave_out();
        let mut closed = Slot::all().zip(self.scratch.messages.iter().zip(sets));
        let has = |(who, (messages, set)): (Slot, (&Messages, &SetId))| {
            is_subset(messages.words(), self.sets.words(who, *set))
        };
        if !closed.all(has) {
            self.insert(None, false);
        }
    }
}

//! Handler calls by one of several threads. A [`Caller`] reads the outcomes that are known, and locks the
//! tables for writing only where a call is new.

use super::ids::{LocalId, MessageId, Number, Slot, StepId};
use super::panics::Held;
use super::tables::{Delivery, Tables};
use crate::view::{Checkable, Ghostly};
use std::sync::{RwLock, RwLockReadGuard};

/// Reads the tables until a call is new. A thread that holds one keeps others from making new calls, so it
/// must not hold one for long.
pub(super) struct Caller<'t, 'w, A: Checkable, G: Ghostly> {
    lock: &'t RwLock<Tables<'w, A, G>>,
    /// The read lock; `None` only while a new call is made.
    tables: Option<RwLockReadGuard<'t, Tables<'w, A, G>>>,
}

impl<'t, 'w, A: Checkable, G: Ghostly> Caller<'t, 'w, A, G> {
    pub(super) fn new(lock: &'t RwLock<Tables<'w, A, G>>) -> Self {
        Self { lock, tables: Some(lock.read().held()) }
    }

    /// The tables.
    pub(super) fn tables(&self) -> &Tables<'w, A, G> {
        self.tables.as_ref().expect("no new call is under way")
    }

    /// The spontaneous steps of a local state, as [`Tables::spontaneous`] gives them.
    pub(super) fn spontaneous(&mut self, who: Slot, local: LocalId) -> Vec<StepId> {
        let known = self.tables().actors[who.index()].rows[local.index()].spontaneous.clone();
        known.unwrap_or_else(|| self.call(|tables| tables.spontaneous(who, local)))
    }

    /// The step that a message causes in a local state, as [`Tables::deliver`] gives it.
    pub(super) fn deliver(
        &mut self,
        who: Slot,
        local: LocalId,
        message: MessageId,
    ) -> Option<StepId> {
        match self.tables().delivered(who, local, message) {
            Delivery::Silent => None,
            Delivery::Step(step) => Some(step),
            Delivery::Unknown | Delivery::NotMet(_) => {
                self.call(|tables| tables.deliver(who, local, message))
            }
        }
    }

    fn call<T>(&mut self, call: impl FnOnce(&mut Tables<'w, A, G>) -> T) -> T {
        self.tables = None;
        let called = call(&mut self.lock.write().held());
        self.tables = Some(self.lock.read().held());
        called
    }
}

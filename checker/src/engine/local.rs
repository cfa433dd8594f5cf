//! The local state of one actor, by value.

use crate::symmetry::{Renaming, Symmetry};
use crate::view::{CommandOf, Local};
use stateright::actor::{Actor, Command, RandomChoices, Timers};
use std::hash::{Hash, Hasher};

/// The local state of one actor by value: everything about the actor that is not a message.
pub(super) struct LocalValue<A: Actor> {
    pub(super) state: A::State,
    pub(super) timers: Timers<A::Timer>,
    pub(super) randoms: RandomChoices<A::Random>,
    pub(super) storage: Option<A::Storage>,
}

impl<A: Actor> LocalValue<A> {
    /// The value of a local state that properties see by reference.
    pub(super) fn of(local: &Local<'_, A>) -> Self {
        Self {
            state: local.state.clone(),
            timers: local.timers.clone(),
            randoms: local.randoms.clone(),
            storage: local.storage.cloned(),
        }
    }

    /// This local state with actors renamed.
    pub(super) fn renamed<G>(&self, symmetry: &Symmetry<A, G>, names: &Renaming) -> Self {
        Self {
            state: (symmetry.state)(&self.state, names),
            timers: (symmetry.timers)(&self.timers, names),
            randoms: (symmetry.randoms)(&self.randoms, names),
            storage: self.storage.as_ref().map(|storage| (symmetry.storage)(storage, names)),
        }
    }

    /// The references through which properties see this local state.
    pub(super) fn view(&self) -> Local<'_, A> {
        let Self { state, timers, randoms, storage } = self;
        Local { state, timers, randoms, storage: storage.as_ref() }
    }

    /// Applies the outputs of a handler, as stateright's `ActorModel` does.
    pub(super) fn take(&mut self, out: &[CommandOf<A>]) {
        for command in out {
            match command {
                Command::Send(..) => {}
                Command::SetTimer(timer, _) => {
                    self.timers.set(timer.clone());
                }
                Command::CancelTimer(timer) => {
                    self.timers.cancel(timer);
                }
                Command::ChooseRandom(key, choices) if choices.is_empty() => {
                    self.randoms.remove(key);
                }
                Command::ChooseRandom(key, choices) => {
                    self.randoms.insert(key.clone(), choices.clone());
                }
                Command::Save(storage) => self.storage = Some(storage.clone()),
            }
        }
    }
}

impl<A: Actor> Clone for LocalValue<A> {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
            timers: self.timers.clone(),
            randoms: self.randoms.clone(),
            storage: self.storage.clone(),
        }
    }
}

impl<A: Actor> PartialEq for LocalValue<A> {
    fn eq(&self, other: &Self) -> bool {
        self.view() == other.view()
    }
}

impl<A: Actor> Hash for LocalValue<A> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.state.hash(hasher);
        self.storage.hash(hasher);
        // stateright's sets write their elements and not how many there are.
        hasher.write_usize(self.timers.iter().count());
        hasher.write_usize(self.randoms.map.len());
        self.timers.hash(hasher);
        self.randoms.hash(hasher);
    }
}

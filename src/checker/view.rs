//! What properties, ghosts and bounds may look at.
//!
//! The network is out of reach on purpose, by type. It only ever grows, and no step is disabled by a
//! message being in flight, so a state is simulated by any other with the same locals and ghost and
//! more messages. An engine may use that only if nothing asks which messages there are.

use stateright::actor::{Actor, ActorModelState, Command, Id, RandomChoices, Timers};

/// One state, without its network: what each actor is, and the ghost.
pub struct View<'a, A: Actor, G> {
    pub(super) system: &'a ActorModelState<A, ()>,
    /// The history variables.
    pub ghost: &'a G,
}

/// One actor: everything about it that is not a message.
pub struct Local<'a, A: Actor> {
    /// Its state.
    pub state: &'a A::State,
    /// Its armed timers.
    pub timers: &'a Timers<A::Timer>,
    /// Its pending random choices.
    pub randoms: &'a RandomChoices<A::Random>,
    /// What it has saved.
    pub storage: Option<&'a A::Storage>,
    /// Whether it is down. Never in a [`super::World`], where a restart is one step.
    pub crashed: bool,
}

/// What can happen to one actor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event<Msg, Timer> {
    /// A message arrives.
    Deliver {
        /// Its sender.
        src: Id,
        /// The message.
        msg: Msg,
    },
    /// An armed timer fires.
    Timeout(Timer),
    /// It crashes and starts again from what it has saved.
    Restart,
}

/// What a handler of such an actor puts out.
pub type CommandOf<A> =
    Command<<A as Actor>::Msg, <A as Actor>::Timer, <A as Actor>::Random, <A as Actor>::Storage>;

/// One step: one actor handles one event.
pub struct Step<'a, A: Actor> {
    /// The actor.
    pub who: Id,
    /// What happened.
    pub event: &'a Event<A::Msg, A::Timer>,
    /// The actor before.
    pub before: Local<'a, A>,
    /// The actor after.
    pub after: Local<'a, A>,
    /// What its handler put out, in order.
    pub out: &'a [CommandOf<A>],
}

impl<'a, A: Actor, G> View<'a, A, G> {
    /// Number of actors.
    pub fn len(&self) -> usize {
        self.system.actor_states.len()
    }

    /// Whether there is no actor.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The actor with this number.
    pub fn local(&self, index: usize) -> Local<'a, A> {
        local(self.system, index)
    }

    /// All actors, in order.
    pub fn locals(&self) -> impl Iterator<Item = Local<'a, A>> + use<'a, A, G> {
        let system = self.system;
        (0..self.len()).map(move |index| local(system, index))
    }
}

pub(super) fn local<A: Actor>(system: &ActorModelState<A, ()>, index: usize) -> Local<'_, A> {
    Local {
        state: &system.actor_states[index],
        timers: &system.timers_set[index],
        randoms: &system.random_choices[index],
        storage: system.actor_storages[index].as_ref(),
        crashed: system.crashed[index],
    }
}

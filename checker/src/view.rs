//! The parts of a state that properties, ghosts and bounds may look at.
//!
//! The types keep the network out of reach on purpose. The network only ever grows, and a message in flight
//! disables no step. So a state is simulated by every other state that has the same local states and ghost
//! and more messages. An engine may use this only if no question depends on which messages there are.
//!
//! A ghost sees a [`Change`]: an actor before and after, and not the message that changed it. So to every
//! ghost, two messages that change an actor alike are one, and a message that changes no actor is nothing.
//! The outputs of a handler call are judged separately, as an [`Output`], without a ghost.

use stateright::actor::{Actor, ActorModelState, Command, Id, RandomChoices, Timers};
use std::fmt;
use std::hash::Hash;

/// An actor that can be checked. Its types can be ordered, which fixes the order of everything, and can be
/// sent to another thread. There is nothing to implement: every actor of such types is `Checkable`.
pub trait Checkable:
    Actor<
        Msg: Ord + Send + Sync,
        Timer: Ord + Send + Sync,
        State: Send + Sync,
        Storage: Send + Sync,
        Random: Ord + Send + Sync,
    > + Send
    + Sync
    + 'static
{
}

impl<A> Checkable for A where
    A: Actor<
            Msg: Ord + Send + Sync,
            Timer: Ord + Send + Sync,
            State: Send + Sync,
            Storage: Send + Sync,
            Random: Ord + Send + Sync,
        > + Send
        + Sync
        + 'static
{
}

/// The traits that a ghost must have. There is nothing to implement.
pub trait Ghostly: Clone + fmt::Debug + Hash + PartialEq + Send + Sync + 'static {}

impl<G> Ghostly for G where G: Clone + fmt::Debug + Hash + PartialEq + Send + Sync + 'static {}

/// One state without its network: the local state of each actor, and the ghost.
pub struct View<'a, A: Actor, G> {
    locals: Vec<Local<'a, A>>,
    /// The ghost.
    pub ghost: &'a G,
}

/// The local state of one actor: everything about the actor that is not a message.
pub struct Local<'a, A: Actor> {
    /// The state of the actor.
    pub state: &'a A::State,
    /// The armed timers.
    pub timers: &'a Timers<A::Timer>,
    /// The pending random choices.
    pub randoms: &'a RandomChoices<A::Random>,
    /// The value that the actor has saved.
    pub storage: Option<&'a A::Storage>,
}

/// One event at one actor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event<Msg, Timer, Random> {
    /// A message arrives.
    Deliver {
        /// The sender.
        src: Id,
        /// The message.
        msg: Msg,
    },
    /// An armed timer fires.
    Timeout(Timer),
    /// One of the random choices falls that the actor has asked for.
    Choose {
        /// The name under which the actor asked.
        key: String,
        /// The outcome of the choice.
        random: Random,
    },
    /// The actor crashes and starts again from the value it has saved.
    Restart,
}

/// The event type of an actor.
pub type EventOf<A> = Event<<A as Actor>::Msg, <A as Actor>::Timer, <A as Actor>::Random>;

/// One output of a handler of an actor `A`.
pub type CommandOf<A> =
    Command<<A as Actor>::Msg, <A as Actor>::Timer, <A as Actor>::Random, <A as Actor>::Storage>;

/// The change that one step makes to its actor. A step that leaves its actor as it is has no change.
pub struct Change<'a, A: Actor> {
    /// The actor.
    pub who: Id,
    /// Whether the actor crashed and started again. Its volatile state is then gone, and rightly so.
    pub restart: bool,
    /// The local state before the step.
    pub before: Local<'a, A>,
    /// The local state after the step.
    pub after: Local<'a, A>,
}

/// One handler call: one actor handles one event.
pub struct Output<'a, A: Actor> {
    /// The actor.
    pub who: Id,
    /// The event that the actor handles.
    pub event: &'a EventOf<A>,
    /// The local state before the call.
    pub before: Local<'a, A>,
    /// The local state after the call.
    pub after: Local<'a, A>,
    /// The outputs of the handler, in order.
    pub out: &'a [CommandOf<A>],
}

impl<'a, A: Actor, G> View<'a, A, G> {
    /// The view of a state of these local states and this ghost.
    pub fn new(locals: Vec<Local<'a, A>>, ghost: &'a G) -> Self {
        Self { locals, ghost }
    }

    /// The number of actors.
    pub fn len(&self) -> usize {
        self.locals.len()
    }

    /// Whether there is no actor at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The local state of the actor with this number.
    pub fn local(&self, index: usize) -> Local<'a, A> {
        self.locals[index]
    }

    /// The local states of all actors, in order.
    pub fn locals(&self) -> impl Iterator<Item = Local<'a, A>> + use<'_, 'a, A, G> {
        self.locals.iter().copied()
    }
}

impl<A: Actor> Clone for Local<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A: Actor> Copy for Local<'_, A> {}

impl<A: Actor> PartialEq for Local<'_, A> {
    fn eq(&self, other: &Self) -> bool {
        self.timers == other.timers
            && self.state == other.state
            && self.storage == other.storage
            && self.randoms == other.randoms
    }
}

impl<'a, A: Actor> Output<'a, A> {
    /// The change that the call makes to its actor; `None` if the actor stays as it is.
    pub fn change(&self) -> Option<Change<'a, A>> {
        (self.before != self.after).then_some(Change {
            who: self.who,
            restart: matches!(self.event, Event::Restart),
            before: self.before,
            after: self.after,
        })
    }

    /// Whether nothing happens: the actor stays as it is, and the handler puts nothing out.
    pub fn is_silent(&self) -> bool {
        self.out.is_empty() && self.before == self.after
    }
}

pub(super) fn local<A: Actor>(system: &ActorModelState<A, ()>, index: usize) -> Local<'_, A> {
    Local {
        state: &system.actor_states[index],
        timers: &system.timers_set[index],
        randoms: &system.random_choices[index],
        storage: system.actor_storages[index].as_ref(),
    }
}

//! What properties, ghosts and bounds may look at.
//!
//! The network is out of reach on purpose, by type. It only ever grows, and no step is disabled by a
//! message being in flight, so a state is simulated by any other with the same locals and ghost and
//! more messages. An engine may use that only if nothing asks which messages there are.
//!
//! What a ghost sees is a [`Change`]: an actor before and after, and not which message did it. So two
//! messages that change an actor alike are one to every ghost, and a message that changes nothing is
//! nothing. What the actor puts out is judged by itself, as an [`Output`], without a ghost.

use stateright::actor::{Actor, ActorModelState, Command, Id, RandomChoices, Timers};
use std::fmt;
use std::hash::Hash;

/// An actor that can be checked: its types can be ordered, which makes all orders fixed, and sent to
/// another thread. Nothing to implement: every actor of such types is one.
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

/// What a ghost must be. Nothing to implement.
pub trait Ghostly: Clone + fmt::Debug + Hash + PartialEq + Send + Sync + 'static {}

impl<G> Ghostly for G where G: Clone + fmt::Debug + Hash + PartialEq + Send + Sync + 'static {}

/// One state, without its network: what each actor is, and the ghost.
pub struct View<'a, A: Actor, G> {
    locals: Vec<Local<'a, A>>,
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
}

/// What can happen to one actor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event<Msg, Timer, Random> {
    /// A message arrives.
    Deliver {
        /// Its sender.
        src: Id,
        /// The message.
        msg: Msg,
    },
    /// An armed timer fires.
    Timeout(Timer),
    /// One of the choices it has asked for falls.
    Choose {
        /// The name under which it asked.
        key: String,
        /// The choice.
        random: Random,
    },
    /// It crashes and starts again from what it has saved.
    Restart,
}

/// The event type of an actor.
pub type EventOf<A> = Event<<A as Actor>::Msg, <A as Actor>::Timer, <A as Actor>::Random>;

/// What a handler of such an actor puts out.
pub type CommandOf<A> =
    Command<<A as Actor>::Msg, <A as Actor>::Timer, <A as Actor>::Random, <A as Actor>::Storage>;

/// How one step changes its actor. There is none of a step that changes nothing about it.
pub struct Change<'a, A: Actor> {
    /// The actor.
    pub who: Id,
    /// Whether it crashed and started again: what was volatile is gone then, and rightly so.
    pub restart: bool,
    /// The actor before.
    pub before: Local<'a, A>,
    /// The actor after.
    pub after: Local<'a, A>,
}

/// One handler call: one actor handles one event.
pub struct Output<'a, A: Actor> {
    /// The actor.
    pub who: Id,
    /// What happened.
    pub event: &'a EventOf<A>,
    /// The actor before.
    pub before: Local<'a, A>,
    /// The actor after.
    pub after: Local<'a, A>,
    /// What its handler put out, in order.
    pub out: &'a [CommandOf<A>],
}

impl<'a, A: Actor, G> View<'a, A, G> {
    /// A state of these actors and this ghost.
    pub fn new(locals: Vec<Local<'a, A>>, ghost: &'a G) -> Self {
        Self { locals, ghost }
    }

    /// Number of actors.
    pub fn len(&self) -> usize {
        self.locals.len()
    }

    /// Whether there is no actor.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The actor with this number.
    pub fn local(&self, index: usize) -> Local<'a, A> {
        self.locals[index]
    }

    /// All actors, in order.
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
    /// How it changes its actor; `None` if it leaves it as it is.
    pub fn change(&self) -> Option<Change<'a, A>> {
        (self.before != self.after).then_some(Change {
            who: self.who,
            restart: matches!(self.event, Event::Restart),
            before: self.before,
            after: self.after,
        })
    }

    /// Whether nothing happens: the actor stays as it is and puts nothing out.
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

//! Builds a world: first its actors, then the properties, bounds and groups that are asked about.
//!
//! ```
//! # use actorcheck::{World, Verdict};
//! # use stateright::actor::{Actor, Id, Out};
//! # use std::borrow::Cow;
//! // Two actors hand a token to each other.
//! #[derive(Clone)]
//! struct Player {
//!     begins: bool,
//! }
//!
//! impl Actor for Player {
//!     type Msg = ();
//!     type State = bool;
//!     type Timer = ();
//!     type Storage = ();
//!     type Random = ();
//!
//!     fn on_start(&self, id: Id, _: &Option<()>, out: &mut Out<Self>) -> bool {
//!         if self.begins {
//!             out.send(Id::from(1 - usize::from(id)), ());
//!         }
//!         false
//!     }
//!
//!     fn on_msg(&self, id: Id, has: &mut Cow<bool>, from: Id, (): (), out: &mut Out<Self>) {
//!         if !**has {
//!             *has.to_mut() = true;
//!             out.send(from, ());
//!         }
//!     }
//! }
//!
//! let players = [true, false].map(|begins| Player { begins });
//! World::new(players)
//!     .name(0, "Ann")
//!     .name(1, "Bob")
//!     .always("the first one begins", |view| *view.local(1).state || !*view.local(0).state)
//!     .sometimes("both had it", |view| view.locals().all(|player| *player.state))
//!     .check()
//!     .assert_exhaustive();
//! ```

use crate::symmetry::Symmetry;
use crate::view::{Change, Checkable, Ghostly, Local, Output, View};
use crate::world::{
    Bound, Recovery, StatePredicate, StateProperty, StepPredicate, StepProperty, Tally, World,
};
use stateright::Rewrite;
use stateright::actor::{Actor, ActorModel, Id};
use std::sync::Arc;

impl<A: Checkable> World<A, ()> {
    /// A world of actors that have just started, numbered from 0. No actor restarts, there is no bound, and
    /// no property is asked.
    pub fn new(actors: impl IntoIterator<Item = A>) -> Self {
        let actors = ActorModel::new((), ()).actors(actors);
        Self {
            names: (0..actors.actors.len()).map(|number| format!("A{number}")).collect(),
            actors,
            restartable: Vec::new(),
            ghost: (),
            observe: Arc::new(|(), _| {}),
            always: Vec::new(),
            steps: Vec::new(),
            sometimes: Vec::new(),
            recovery: None,
            bounds: Vec::new(),
            label: Arc::new(|_, _| {}),
            labels: &[],
            symmetry: None,
            initial: None,
            tally: Arc::new(Tally::new(0, &[])),
        }
    }

    /// Adds a ghost, a value that no actor has. It begins as `first`, and `observe` updates it at each change
    /// of an actor. Properties may look at the ghost. TLA+ calls it a history variable.
    ///
    /// # Panics
    /// If properties, bounds or interchangeable actors were given already, for their types name the type of
    /// the ghost.
    pub fn ghost<G: Ghostly>(
        self,
        first: G,
        observe: impl Fn(&mut G, &Change<'_, A>) + Send + Sync + 'static,
    ) -> World<A, G> {
        let asks_nothing = self.always.is_empty()
            && self.steps.is_empty()
            && self.sometimes.is_empty()
            && self.bounds.is_empty()
            && self.symmetry.is_none()
            && self.initial.is_none();
        assert!(
            asks_nothing,
            "a ghost comes before properties, bounds, symmetry and a first state"
        );
        World {
            actors: self.actors,
            names: self.names,
            restartable: self.restartable,
            ghost: first,
            observe: Arc::new(observe),
            always: Vec::new(),
            steps: Vec::new(),
            sometimes: Vec::new(),
            recovery: self.recovery,
            bounds: Vec::new(),
            label: self.label,
            labels: self.labels,
            symmetry: None,
            initial: None,
            tally: self.tally,
        }
    }
}

/// The questions that are asked of a world, and the facts that are declared about it.
impl<A: Checkable, G: Ghostly> World<A, G> {
    /// Gives an actor a name for traces and reports. Without a name the third actor is `A2`.
    #[must_use]
    pub fn name(mut self, actor: usize, name: impl Into<String>) -> Self {
        self.names[actor] = name.into();
        self
    }

    /// Says that these actors may crash and start again from the values they saved, any number of times.
    #[must_use]
    pub fn restartable(mut self, actors: impl IntoIterator<Item = usize>) -> Self {
        self.restartable.extend(actors.into_iter().map(Id::from));
        self
    }

    /// Asks for a property of all actors and the ghost that must hold in every state.
    ///
    /// The engine checks [`World::always_each`] and [`World::always_pair`] much faster, because it remembers
    /// the parts of a state that it has judged.
    #[must_use]
    pub fn always(
        self,
        name: &'static str,
        holds: impl Fn(&View<'_, A, G>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.in_every_state(name, StatePredicate::View(Arc::new(holds)))
    }

    /// Asks for a property of one actor that must hold of every actor in every state.
    #[must_use]
    pub fn always_each(
        self,
        name: &'static str,
        holds: impl Fn(Id, Local<'_, A>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.in_every_state(name, StatePredicate::Actor(Arc::new(holds)))
    }

    /// Asks for a property of two actors that must hold of every ordered pair of different actors in every
    /// state.
    #[must_use]
    pub fn always_pair(
        self,
        name: &'static str,
        holds: impl Fn((Id, Local<'_, A>), (Id, Local<'_, A>)) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.in_every_state(name, StatePredicate::Pair(Arc::new(holds)))
    }

    /// Asks for a property of the ghost that must hold in every state.
    #[must_use]
    pub fn always_ghost(
        self,
        name: &'static str,
        holds: impl Fn(&G) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.in_every_state(name, StatePredicate::Ghost(Arc::new(holds)))
    }

    /// Asks for a property that must hold of every change of an actor, with the ghost after the change.
    #[must_use]
    pub fn on_change(
        mut self,
        name: &'static str,
        holds: impl Fn(&Change<'_, A>, &G) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.steps.push(StepProperty { name, holds: StepPredicate::Change(Arc::new(holds)) });
        self
    }

    /// Asks for a property that must hold of the outputs of every handler call, also of a call that changes
    /// nothing and puts nothing out. So a property may demand that an actor answers.
    #[must_use]
    pub fn on_output(
        mut self,
        name: &'static str,
        holds: impl Fn(&Output<'_, A>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.steps.push(StepProperty { name, holds: StepPredicate::Output(Arc::new(holds)) });
        self
    }

    /// Asks for a property that must hold in some state. It shows that the world gets to the point.
    #[must_use]
    pub fn sometimes(
        mut self,
        name: &'static str,
        holds: impl Fn(&View<'_, A, G>) -> bool + Send + Sync + 'static,
    ) -> Self {
        let holds = StatePredicate::View(Arc::new(holds));
        self.sometimes.push(StateProperty { name, holds });
        self
    }

    /// Leaves out every state in which some actor is not `within` the bound. Reports name the bound and print
    /// its `limit`.
    #[must_use]
    pub fn bound(
        mut self,
        name: &'static str,
        limit: u64,
        within: impl Fn(Local<'_, A>) -> bool + Send + Sync + 'static,
    ) -> Self {
        let within = StatePredicate::Actor(Arc::new(move |_, local| within(local)));
        self.bounds.push(Bound { name, limit, within });
        self.counting()
    }

    /// Asks whether the actors of each group can always recover by themselves, whatever messages were lost.
    #[must_use]
    pub fn recoverable(mut self, recovery: Recovery<A>) -> Self {
        self.recovery = Some(recovery);
        self
    }

    /// Says that any two of these actors may change places: states that differ only so are visited once. The
    /// counts stay as they are without it. The method may be called for several groups that have no actor in
    /// common.
    ///
    /// A value that names actors implements stateright's `Rewrite<Id>`, which says how the actors in it are
    /// renamed. This concerns states, messages, timers and the ghost. Memory grows with the number of
    /// permutations: a group of six has 720, and the engine uses no more than that.
    ///
    /// # Panics
    /// If an actor is in another group already. While the world is checked: if the actors behave differently,
    /// or a property tells them apart.
    #[must_use]
    pub fn interchangeable(mut self, actors: impl IntoIterator<Item = usize>) -> Self
    where
        A::State: Rewrite<Id>,
        A::Storage: Rewrite<Id>,
        A::Msg: Rewrite<Id>,
        A::Timer: Rewrite<Id>,
        A::Random: Rewrite<Id>,
        G: Rewrite<Id>,
    {
        let group: Vec<_> = actors.into_iter().map(Id::from).collect();
        let moved = |symmetry: &Symmetry<A, G>, id: &Id| {
            symmetry.permutations.iter().any(|it| it.of(usize::from(*id)) != usize::from(*id))
        };
        let others = self.symmetry.as_ref();
        let is_twice = group.iter().any(|id| others.is_some_and(|others| moved(others, id)));
        assert!(!is_twice, "an actor is in one group of interchangeable actors only");
        let symmetry = Symmetry::within(self.actors.actors.len(), &[group]);
        self.symmetry = Some(match self.symmetry {
            Some(others) => others.and(&symmetry),
            None => symmetry,
        });
        self
    }

    fn in_every_state(mut self, name: &'static str, holds: StatePredicate<A, G>) -> Self {
        self.always.push(StateProperty { name, holds });
        self
    }

    /// This world with counters for its bounds and labels, all at zero.
    fn counting(mut self) -> Self {
        self.tally = Arc::new(Tally::new(self.bounds.len(), self.labels));
        self
    }
}

impl<A: Actor, G> Symmetry<A, G> {
    /// The symmetry that allows a permutation of this one, then a permutation of the other.
    fn and(mut self, other: &Self) -> Self {
        let both = self.permutations.iter().flat_map(|one| {
            let after = |next| one.then(next);
            other.permutations.iter().map(after)
        });
        self.permutations = both.collect();
        self
    }
}

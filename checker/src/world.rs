//! The model: a stateright [`ActorModel`] in a network like UDP, watched by ghosts.
//!
//! [`World`] wraps stateright's model of the actors. An engine asks a world for its first state, for the
//! [`Action`]s that are enabled in a [`State`], and for the state after an action. [`World::step`] runs the
//! inner model, updates the ghost, and judges the step properties. stateright's own model is wrapped for five
//! reasons:
//!
//! - **Restart is one action**, unbounded: the inner model's crash, then its recovery. An actor that is down
//!   for long is an actor that takes no step, so no further action is needed. And no dead actor keeps a
//!   volatile state that properties might see.
//! - **The network is a set that only grows.** A message that was sent may arrive any number of times, at any
//!   time, or never. So loss and duplication need no actions. The inner network also keeps the last message
//!   delivered, which would split equal states; the world erases it.
//! - **Ghosts** see every step, timeouts and restarts included, not just messages.
//! - **Step properties** are judged on every step that is generated, also on a step into a state that is
//!   already known or out of bounds. Properties of outputs are judged on every handler call, also on a call
//!   that changes nothing and puts nothing out. If such a call violates one, it is a step: the state after it
//!   differs from the state before it in the violation alone.
//! - **Coverage** counts labels on steps, also on steps that change nothing.

use super::symmetry::Symmetry;
use super::view::{Change, Checkable, Event, Ghostly, Local, Output, View, local};
use stateright::actor::{
    Actor, ActorModel, ActorModelAction, ActorModelState, Id, LossyNetwork, Network, Out,
};
use stateright::{Model, Path, Property};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A predicate over a change of an actor and the ghost after the step.
pub type ChangePredicate<A, G> = Arc<dyn Fn(&Change<'_, A>, &G) -> bool + Send + Sync>;
/// A predicate over the outputs of one handler call, also of a call that has none.
pub type OutputPredicate<A> = Arc<dyn Fn(&Output<'_, A>) -> bool + Send + Sync>;
/// The function that updates the ghost for a change of an actor.
pub type Observer<A, G> = Arc<dyn Fn(&mut G, &Change<'_, A>) + Send + Sync>;
/// The function that adds the labels of a step, for coverage.
pub type Labeller<A> = Arc<dyn Fn(&Output<'_, A>, &mut Vec<&'static str>) + Send + Sync>;

/// A predicate over one actor.
pub type OfActor<A> = dyn Fn(Id, Local<'_, A>) -> bool + Send + Sync;
/// A predicate over one actor and the ghost.
pub type OfActorAndGhost<A, G> = dyn Fn(Id, Local<'_, A>, &G) -> bool + Send + Sync;
/// A predicate over all actors and the ghost.
pub type OfView<A, G> = dyn Fn(&View<'_, A, G>) -> bool + Send + Sync;
/// A predicate over two actors.
pub type OfPair<A> = dyn Fn((Id, Local<'_, A>), (Id, Local<'_, A>)) -> bool + Send + Sync;

/// A predicate over states. Each variant names the part of a state that the predicate looks at. An engine
/// that remembers verdicts by part then judges the predicate as rarely as possible.
pub enum StatePredicate<A: Actor, G> {
    /// Holds of a state if it holds of each actor.
    Actor(Arc<OfActor<A>>),
    /// Holds of a state if it holds of each actor with the ghost.
    ActorAndGhost(Arc<OfActorAndGhost<A, G>>),
    /// Holds of a state if it holds of each ordered pair of different actors.
    Pair(Arc<OfPair<A>>),
    /// A predicate over the ghost alone.
    Ghost(Arc<dyn Fn(&G) -> bool + Send + Sync>),
    /// A predicate over all actors and the ghost.
    View(Arc<OfView<A, G>>),
}

impl<A: Actor, G> StatePredicate<A, G> {
    /// Whether the predicate holds of a state.
    pub fn holds(&self, view: &View<'_, A, G>) -> bool {
        let actors = || view.locals().enumerate().map(|(index, local)| (Id::from(index), local));
        match self {
            StatePredicate::Actor(holds) => actors().all(|(id, local)| holds(id, local)),
            StatePredicate::ActorAndGhost(holds) => {
                actors().all(|(id, local)| holds(id, local, view.ghost))
            }
            StatePredicate::Pair(holds) => {
                actors().all(|a| actors().all(|b| a.0 == b.0 || holds(a, b)))
            }
            StatePredicate::Ghost(holds) => holds(view.ghost),
            StatePredicate::View(holds) => holds(view),
        }
    }
}

/// A property of states.
pub struct StateProperty<A: Actor, G> {
    /// The name of the property.
    pub name: &'static str,
    /// Whether the property holds in a state.
    pub holds: StatePredicate<A, G>,
}

/// A property of steps.
pub struct StepProperty<A: Actor, G> {
    /// The name of the property.
    pub name: &'static str,
    /// Whether the property holds of a step.
    pub holds: StepPredicate<A, G>,
}

/// The part of a step that a step property looks at.
pub enum StepPredicate<A: Actor, G> {
    /// The change that a step makes to its actor, and the ghost after it.
    Change(ChangePredicate<A, G>),
    /// The outputs of a handler for an event. There may be none: the handler may do nothing at all.
    Output(OutputPredicate<A>),
}

/// A bound: the engines explore no state outside it. A bound may look only at what a [`View`] shows.
pub struct Bound<A: Actor, G> {
    /// The quantity that is bounded, for instance `max_term`.
    pub name: &'static str,
    /// The limit, as it is printed.
    pub limit: u64,
    /// Whether a state is inside the bound.
    pub within: StatePredicate<A, G>,
}

/// The question whether groups of actors can always recover by themselves, see `engine/recovery`. Only the
/// antichain engine asks it.
pub struct Recovery<A: Actor> {
    /// The groups, each of which must be able to recover. A group that contains such a group is able to
    /// recover as well. Where actors are interchangeable, each renamed group must be in this list, too.
    pub groups: Vec<Group>,
    /// Whether a group has recovered. It gets the members when all messages were lost, and the members now.
    pub recovered: Arc<OfGroup<A>>,
    /// Whether a search for recovery may go on from the members now. It gets them at the start, and now.
    pub within: Arc<OfGroup<A>>,
    /// Whether a member may act by itself now: its timers may fire. It gets the members now. `None` says that
    /// every member always may. In a real network, an actor that hears
    /// heartbeats in time does not time out.
    pub acts: Option<Arc<OfMember<A>>>,
}

/// Some actors, and the links between them that are cut for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The members.
    pub members: Vec<Id>,
    /// The links that carry no message, as sender and receiver.
    pub cut: BTreeSet<(Id, Id)>,
}

impl Group {
    /// Members that can all send messages to each other.
    pub fn of(members: impl IntoIterator<Item = Id>) -> Self {
        Self { members: members.into_iter().collect(), cut: BTreeSet::new() }
    }

    /// Whether messages of one member arrive at another one.
    pub fn is_linked(&self, from: Id, to: Id) -> bool {
        self.members.contains(&to) && !self.cut.contains(&(from, to))
    }
}

/// A predicate over a group, its members at the start, and its members now.
pub type OfGroup<A> =
    dyn Fn(&Group, &[(Id, Local<'_, A>)], &[(Id, Local<'_, A>)]) -> bool + Send + Sync;
/// A predicate over a group, its members now, and one of them.
pub type OfMember<A> = dyn Fn(&Group, &[(Id, Local<'_, A>)], Id) -> bool + Send + Sync;

/// The name of the property that [`Recovery`] asks about.
pub const RECOVERABILITY: &str = "Recoverability";

/// The kind of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The property must hold in every state.
    Always,
    /// The property must hold of every step.
    Step,
    /// The property must hold in some state. It shows that the model can get somewhere.
    Sometimes,
    /// No state may be a dead end, see [`Recovery`].
    Recovery,
}

/// The model: actors, and the questions that are asked about them. The documentation of the module tells how
/// it works.
pub struct World<A: Checkable, G> {
    /// The actors.
    pub actors: ActorModel<A, (), ()>,
    /// The name of each actor in traces.
    pub names: Vec<String>,
    /// The actors that may restart.
    pub restartable: Vec<Id>,
    /// The ghost of the first state.
    pub ghost: G,
    /// The function that updates the ghost.
    pub observe: Observer<A, G>,
    /// Properties that must hold in every state.
    pub always: Vec<StateProperty<A, G>>,
    /// Properties that must hold of every step.
    pub steps: Vec<StepProperty<A, G>>,
    /// Properties that must hold in some state.
    pub sometimes: Vec<StateProperty<A, G>>,
    /// The groups that must always be able to recover, if that is asked.
    pub recovery: Option<Recovery<A>>,
    /// The bounds on the states to explore.
    pub bounds: Vec<Bound<A, G>>,
    /// The function that labels a step for coverage.
    pub label: Labeller<A>,
    /// Every label that `label` may give.
    pub labels: &'static [&'static str],
    /// The interchangeable actors, if an engine may use that some are. Bounds and properties must not tell
    /// these actors apart. Only the antichain engine uses the symmetry.
    pub symmetry: Option<Symmetry<A, G>>,
    /// The state to start from, if it is not the state of freshly started actors.
    pub initial: Option<State<A, G>>,
    /// The counters of a run.
    pub tally: Arc<Tally>,
}

/// The counters of a run that explores a world. They are not part of any state.
#[derive(Default)]
pub struct Tally {
    /// States whose successors were generated.
    pub expanded: AtomicU64,
    /// Set to make an engine end: from then on no state has successors.
    pub stop: AtomicBool,
    /// States that had no successors because of `stop`.
    pub refused: AtomicU64,
    /// Bit n is set once the n-th property has been decided: violated, or for a [`Kind::Sometimes`]
    /// witnessed. The model itself notes this when stateright asks it for a property. stateright knows a
    /// discovery only as a path and executes that path again, which is wrong after a simulation, because
    /// stateright mixes up its indexes.
    pub decided: AtomicU64,
    /// The number of generated states that each bound cut off, in the order of the bounds.
    pub cuts: Vec<AtomicU64>,
    /// The number of steps for each label. The map is empty when coverage is not asked for.
    pub labels: BTreeMap<&'static str, AtomicU64>,
}

/// A state: all actors, the network, the ghost, and the step properties that the step into this state has
/// broken.
pub struct State<A: Actor, G> {
    pub(super) system: ActorModelState<A, ()>,
    /// The ghost.
    pub ghost: G,
    /// Bit n is set if the step into this state broke the n-th step property.
    pub(super) broken: u32,
}

/// One action of the model: one event at one actor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Action<Msg, Timer, Random> {
    /// The actor.
    pub who: Id,
    /// The event.
    pub event: Event<Msg, Timer, Random>,
}

/// The action type of a world of actors `A`.
pub type ActionOf<A> = Action<<A as Actor>::Msg, <A as Actor>::Timer, <A as Actor>::Random>;

impl<A: Checkable, G: Ghostly> World<A, G> {
    /// The reason why no engine can check this world, if there is one. A world with such a reason asks
    /// something of stateright's model of the actors that a world has in another form, or does not have.
    pub fn refusal(&self) -> Option<&'static str> {
        let is_duplicating =
            |network: &Network<A::Msg>| matches!(network, Network::UnorderedDuplicating(..));
        let first = self.initial.as_ref().map(|state| &state.system.network);
        if !std::iter::once(&self.actors.init_network).chain(first).all(is_duplicating) {
            return Some(
                "a world's network is stateright's unordered, duplicating one, in which every message may \
                 also be lost: no other is checked",
            );
        }
        if self.actors.lossy_network == LossyNetwork::Yes {
            return Some(
                "a world's network loses messages as it is, by never delivering them: leave out \
                 `lossy_network`",
            );
        }
        if self.actors.max_crashes != 0 {
            return Some(
                "the actors of a world crash and start again in one step, any number of times, if they are \
                 `restartable`: name them there, and leave out `max_crashes`",
            );
        }
        if !self.actors.properties.is_empty() {
            return Some(
                "the properties of stateright's model of the actors are not asked: put them into the \
                 world's `always`, `steps` or `sometimes`",
            );
        }
        None
    }

    /// The state in which all actors have just started for the first time.
    pub fn started(&self) -> State<A, G> {
        let mut system = self.actors.init_states().remove(0);
        self.normalise(&mut system);
        State { system, ghost: self.ghost.clone(), broken: 0 }
    }

    /// The names and kinds of all properties of states and steps, in the order of their numbers.
    /// Recoverability has no number, so it is not among them.
    pub fn property_names(&self) -> impl Iterator<Item = (&'static str, Kind)> {
        let always = self.always.iter().map(|property| (property.name, Kind::Always));
        let steps = self.steps.iter().map(|property| (property.name, Kind::Step));
        let sometimes = self.sometimes.iter().map(|property| (property.name, Kind::Sometimes));
        always.chain(steps).chain(sometimes)
    }

    /// The names of the properties and bounds that are judged in every state.
    pub(super) fn predicate_names(&self) -> Vec<&'static str> {
        let always = self.always.iter().map(|property| property.name);
        always.chain(self.bounds.iter().map(|bound| bound.name)).collect()
    }

    /// The names of the properties that a state breaks. The properties broken by the step into the state come
    /// first.
    pub fn broken(&self, state: &State<A, G>) -> Vec<&'static str> {
        let steps = self.steps.iter().enumerate().filter(|(n, _)| state.broken & (1 << n) != 0);
        let view = state.view();
        let always = self.always.iter().filter(|property| !property.holds.holds(&view));
        steps
            .map(|(_, property)| property.name)
            .chain(always.map(|property| property.name))
            .collect()
    }

    /// The state after an action, whether or not that state is new. `None` if the action changes nothing and
    /// violates nothing.
    pub fn step(&self, last: &State<A, G>, action: &ActionOf<A>) -> Option<State<A, G>> {
        let index = usize::from(action.who);
        let out = self.outputs(last, action);
        let mut system = self.inner_step(&last.system, action);
        if let Some(system) = &mut system {
            self.normalise(system);
        }
        let step = Output {
            who: action.who,
            event: &action.event,
            before: local(&last.system, index),
            after: local(system.as_ref().unwrap_or(&last.system), index),
            out: &out,
        };
        self.count_labels(&step);
        let mut ghost = last.ghost.clone();
        let change = step.change();
        if let Some(change) = &change {
            (self.observe)(&mut ghost, change);
        }
        let broken = self.judge_step(&step, change.as_ref(), &ghost);
        let changed = system.is_some() || broken != 0 || ghost != last.ghost;
        changed.then(|| State {
            system: system.unwrap_or_else(|| last.system.clone()),
            ghost,
            broken,
        })
    }

    fn count_labels(&self, step: &Output<'_, A>) {
        if self.tally.labels.is_empty() {
            return;
        }
        let mut labels = Vec::new();
        (self.label)(step, &mut labels);
        for label in labels {
            let count = self.tally.labels.get(label).expect("every label is in the list of labels");
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The step properties that a step breaks, as bits. Properties of outputs are judged also of a call that
    /// changes nothing and puts nothing out.
    fn judge_step(&self, step: &Output<'_, A>, change: Option<&Change<'_, A>>, ghost: &G) -> u32 {
        let changed = change.map_or(0, |change| self.broken_by_change(change, ghost));
        changed | self.broken_by_output(step)
    }

    /// The properties of changes that a change of an actor breaks, as bits in the order of [`World::steps`].
    pub(super) fn broken_by_change(&self, change: &Change<'_, A>, ghost: &G) -> u32 {
        self.broken_steps(|holds| match holds {
            StepPredicate::Change(holds) => holds(change, ghost),
            StepPredicate::Output(_) => true,
        })
    }

    /// The properties of outputs that a handler call breaks, as bits in the order of [`World::steps`].
    pub(super) fn broken_by_output(&self, step: &Output<'_, A>) -> u32 {
        self.broken_steps(|holds| match holds {
            StepPredicate::Change(_) => true,
            StepPredicate::Output(holds) => holds(step),
        })
    }

    fn broken_steps(&self, holds: impl Fn(&StepPredicate<A, G>) -> bool) -> u32 {
        let broken = self.steps.iter().enumerate().filter(|(_, property)| !holds(&property.holds));
        broken.fold(0, |bits, (n, _)| bits | 1 << n)
    }

    /// The outputs of the handler for an action. stateright's model does not tell them, so this calls the
    /// handler again. That is allowed because handlers are pure functions.
    pub fn outputs(&self, last: &State<A, G>, action: &ActionOf<A>) -> Out<A> {
        let (actor, system) = (&self.actors.actors[usize::from(action.who)], &last.system);
        let mut state = Cow::Borrowed(&*system.actor_states[usize::from(action.who)]);
        let mut out = Out::new();
        match &action.event {
            Event::Deliver { src, msg } => {
                actor.on_msg(action.who, &mut state, *src, msg.clone(), &mut out);
            }
            Event::Timeout(timer) => actor.on_timeout(action.who, &mut state, timer, &mut out),
            Event::Choose { random, .. } => {
                actor.on_random(action.who, &mut state, random, &mut out);
            }
            Event::Restart => {
                let storage = &system.actor_storages[usize::from(action.who)];
                actor.on_start(action.who, storage, &mut out);
            }
        }
        out
    }

    /// Executes an action in stateright's model of the actors.
    fn inner_step(
        &self,
        system: &ActorModelState<A, ()>,
        action: &ActionOf<A>,
    ) -> Option<ActorModelState<A, ()>> {
        let who = action.who;
        match &action.event {
            Event::Deliver { src, msg } => {
                let action = ActorModelAction::Deliver { src: *src, dst: who, msg: msg.clone() };
                self.actors.next_state(system, action)
            }
            Event::Timeout(timer) => {
                self.actors.next_state(system, ActorModelAction::Timeout(who, timer.clone()))
            }
            Event::Choose { key, random } => {
                let (key, random) = (key.clone(), random.clone());
                let action = ActorModelAction::SelectRandom { actor: who, key, random };
                self.actors.next_state(system, action)
            }
            Event::Restart => {
                let crashed = self.actors.next_state(system, ActorModelAction::Crash(who))?;
                self.actors.next_state(&crashed, ActorModelAction::Recover(who))
            }
        }
    }

    /// Brings a system into its normal form: no last delivered message, and no message that cannot be
    /// delivered.
    fn normalise(&self, system: &mut ActorModelState<A, ()>) {
        if let Network::UnorderedDuplicating(envelopes, last) = &mut system.network {
            *last = None;
            let actors = self.actors.actors.len();
            if envelopes.iter().any(|envelope| usize::from(envelope.dst) >= actors) {
                envelopes.retain(|envelope| usize::from(envelope.dst) < actors);
            }
        }
    }

    /// All enabled actions, in a fixed order.
    pub fn enabled(&self, state: &State<A, G>) -> Vec<ActionOf<A>> {
        let deliveries = state.system.network.iter_deliverable().map(|envelope| {
            let event = Event::Deliver { src: envelope.src, msg: envelope.msg.clone() };
            Action { who: envelope.dst, event }
        });
        let mut actions: Vec<_> = deliveries.collect();
        for (index, timers) in state.system.timers_set.iter().enumerate() {
            let who = Id::from(index);
            actions.extend(
                timers.iter().map(|timer| Action { who, event: Event::Timeout(timer.clone()) }),
            );
        }
        for (index, choices) in state.system.random_choices.iter().enumerate() {
            let who = Id::from(index);
            actions.extend(choices.map.iter().flat_map(|(key, choices)| {
                let event =
                    |random: &A::Random| Event::Choose { key: key.clone(), random: random.clone() };
                choices.iter().map(move |random| Action { who, event: event(random) })
            }));
        }
        actions
            .extend(self.restartable.iter().map(|who| Action { who: *who, event: Event::Restart }));
        actions.sort_unstable();
        actions
    }

    /// Whether the `n`-th property holds in a state; a `sometimes` property holds where it is satisfied.
    fn holds(&self, n: usize, state: &State<A, G>) -> bool {
        let (always, steps) = (self.always.len(), self.steps.len());
        if n < always {
            self.always[n].holds.holds(&state.view())
        } else if n < always + steps {
            state.broken & (1 << (n - always)) == 0
        } else {
            self.sometimes[n - always - steps].holds.holds(&state.view())
        }
    }

    /// Judges the `n`-th property for stateright's engines and notes a decision in the tally. These engines
    /// end when a property fails. So a run that was asked to stop gets a failure here, which is not noted as
    /// one.
    fn judge(&self, n: usize, state: &State<A, G>) -> bool {
        let holds = self.holds(n, state);
        let sometimes = n >= self.always.len() + self.steps.len();
        if holds == sometimes && self.tally.decided.load(Ordering::Relaxed) & (1 << n) == 0 {
            self.tally.decided.fetch_or(1 << n, Ordering::Relaxed);
        }
        holds && (sometimes || !self.tally.stop.load(Ordering::Relaxed))
    }

    /// The bounds and their values, in one line.
    pub fn bounds_text(&self) -> String {
        let bounds = self.bounds.iter().map(|bound| format!("{}={}", bound.name, bound.limit));
        bounds.collect::<Vec<_>>().join(" ")
    }

    /// The name of an actor.
    pub fn name_of(&self, id: Id) -> &str {
        self.names.get(usize::from(id)).map_or("?", String::as_str)
    }

    /// A line that says what happens in an action.
    pub fn action_text(&self, action: &ActionOf<A>) -> String {
        let who = self.name_of(action.who);
        match &action.event {
            Event::Deliver { src, msg } => {
                format!("{} → {who}: {}", self.name_of(*src), super::diagram::once(msg))
            }
            Event::Timeout(timer) => format!("{who}: {timer:?} timeout"),
            Event::Choose { key, random } => format!("{who}: {key} is {random:?}"),
            Event::Restart => format!("{who}: restart"),
        }
    }
}

impl Tally {
    /// Counters for a number of bounds and for a list of labels, all at zero.
    pub fn new(bounds: usize, labels: &[&'static str]) -> Self {
        Self {
            cuts: (0..bounds).map(|_| AtomicU64::new(0)).collect(),
            labels: labels.iter().map(|label| (*label, AtomicU64::new(0))).collect(),
            ..Self::default()
        }
    }
}

impl<A: Actor, G> State<A, G> {
    /// The part of the state that properties may see.
    pub fn view(&self) -> View<'_, A, G> {
        let actors = 0..self.system.actor_states.len();
        View::new(actors.map(|index| local(&self.system, index)).collect(), &self.ghost)
    }

    /// The state of the actor with this number.
    pub fn actor(&self, index: usize) -> &A::State {
        &self.system.actor_states[index]
    }

    /// Every message in flight, as sender, addressee and message. This is for drivers and diagrams;
    /// properties have no access to it.
    pub fn messages(&self) -> impl Iterator<Item = (Id, Id, &A::Msg)> {
        self.system
            .network
            .iter_deliverable()
            .map(|envelope| (envelope.src, envelope.dst, envelope.msg))
    }

    /// This state with every message lost.
    pub fn with_messages_lost(mut self) -> Self {
        self.system.network = Network::new_unordered_duplicating([]);
        self
    }
}

/// stateright's properties are function pointers without captures, so there is one function for each number.
macro_rules! numbered_conditions {
    ($model:ident: $($n:literal)*) => {
        [$((|model: &$model, state: &<$model as Model>::State| model.judge($n, state)) as fn(&$model, &<$model as Model>::State) -> bool),*]
    };
}

impl<A: Checkable, G: Ghostly> Model for World<A, G> {
    type State = State<A, G>;
    type Action = ActionOf<A>;

    /// # Panics
    /// If no engine can check this world, see [`World::refusal`].
    fn init_states(&self) -> Vec<State<A, G>> {
        if let Some(reason) = self.refusal() {
            panic!("{reason}");
        }
        vec![self.initial.clone().unwrap_or_else(|| self.started())]
    }

    fn actions(&self, state: &State<A, G>, actions: &mut Vec<ActionOf<A>>) {
        // Beyond a violation there is nothing to learn.
        if state.broken != 0 {
            self.tally.expanded.fetch_add(1, Ordering::Relaxed);
        } else if self.tally.stop.load(Ordering::Relaxed) {
            self.tally.refused.fetch_add(1, Ordering::Relaxed);
        } else {
            self.tally.expanded.fetch_add(1, Ordering::Relaxed);
            actions.extend(self.enabled(state));
        }
    }

    fn next_state(&self, last: &State<A, G>, action: ActionOf<A>) -> Option<State<A, G>> {
        self.step(last, &action)
    }

    fn within_boundary(&self, state: &State<A, G>) -> bool {
        // A violation is never cut off, wherever it leads.
        if state.broken != 0 {
            return true;
        }
        let view = state.view();
        let outside = self.bounds.iter().position(|bound| !bound.within.holds(&view));
        if let Some(count) = outside.and_then(|n| self.tally.cuts.get(n)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        outside.is_none()
    }

    fn properties(&self) -> Vec<Property<Self>> {
        type Condition<M> = fn(&M, &<M as Model>::State) -> bool;
        let conditions: [Condition<Self>; 40] = numbered_conditions!(Self:
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19
            20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39);
        let names: Vec<_> = self.property_names().collect();
        assert!(
            names.len() <= conditions.len(),
            "a model has at most {} properties",
            conditions.len()
        );
        assert!(self.steps.len() <= 32, "a state has a bit for each of at most 32 step properties");
        let properties = names.into_iter().zip(conditions);
        properties
            .map(|((name, kind), condition)| match kind {
                Kind::Always | Kind::Step => Property::always(name, condition),
                Kind::Sometimes | Kind::Recovery => Property::sometimes(name, condition),
            })
            .collect()
    }

    fn format_action(&self, action: &ActionOf<A>) -> String {
        self.action_text(action)
    }

    fn format_step(&self, last: &State<A, G>, action: ActionOf<A>) -> Option<String> {
        let next = self.step(last, &action)?;
        Some(super::diagram::step_text(self, last, &action, &next))
    }

    fn as_svg(&self, path: Path<State<A, G>, ActionOf<A>>) -> Option<String> {
        let steps: Vec<_> = path.into_vec();
        Some(super::diagram::svg(self, &steps))
    }
}

impl<A: Actor, G: Clone> Clone for State<A, G> {
    fn clone(&self) -> Self {
        Self { system: self.system.clone(), ghost: self.ghost.clone(), broken: self.broken }
    }
}

impl<A: Actor, G: PartialEq> PartialEq for State<A, G> {
    fn eq(&self, other: &Self) -> bool {
        self.broken == other.broken && self.ghost == other.ghost && self.system == other.system
    }
}

impl<A: Actor, G: Eq> Eq for State<A, G> where A::State: Eq {}

impl<A: Actor, G: Hash> Hash for State<A, G> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.broken.hash(state);
        self.ghost.hash(state);
        // stateright's sets write their elements into a hasher, but not how many there are. So two adjacent
        // sets run into each other: an armed timer of this actor would hash like one of the next actor.
        for (timers, choices) in self.system.timers_set.iter().zip(&self.system.random_choices) {
            state.write_usize(timers.iter().count());
            state.write_usize(choices.map.len());
        }
        state.write_usize(self.system.network.len());
        self.system.hash(state);
    }
}

/// A line for each actor, then the ghost, then the messages. The Explorer shows this text.
impl<A: Actor, G: fmt::Debug> fmt::Debug for State<A, G>
where
    A::Msg: Ord,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, actor) in self.system.actor_states.iter().enumerate() {
            writeln!(f, "{index}: {actor:?}")?;
        }
        let ghost = format!("{:?}", self.ghost);
        if !ghost.is_empty() {
            writeln!(f, "ghost: {}", ghost.trim_end())?;
        }
        if self.broken != 0 {
            writeln!(f, "the step here violates a property")?;
        }
        let mut messages: Vec<_> = self.messages().collect();
        messages.sort_unstable();
        writeln!(f, "in flight: {}", messages.len())?;
        for (src, dst, msg) in messages {
            let text = super::diagram::once(msg);
            writeln!(f, "  {}→{}: {text}", usize::from(src), usize::from(dst))?;
        }
        Ok(())
    }
}

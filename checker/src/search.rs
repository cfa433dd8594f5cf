//! The shortest counterexample.
//!
//! A search over tuples finds it, level by level (`engine/counterexample`). Then this module executes the
//! path through stateright's [`Model::next_state`], action by action. It judges the last state again before
//! anybody sees the counterexample.

pub use super::engine::counterexample::{Ended, Reach};
use super::engine::counterexample::{Traced, TracedEach, Wanted, Way, trace, trace_each};
use super::engine::is_dead_end;
use super::run::Limits;
use super::view::{Checkable, Ghostly};
use super::world::{ActionOf, RECOVERABILITY, State, World};
use stateright::Model;
use stateright::actor::Actor;
use std::sync::atomic::AtomicBool;

/// A path of steps: each action with the state to which it leads.
pub type Steps<A, G> = Vec<(ActionOf<A>, State<A, G>)>;

/// A path to a violation.
pub struct Counterexample<A: Actor, G> {
    /// The property that the path violates.
    pub property: &'static str,
    /// The first state.
    pub first: State<A, G>,
    /// The steps from the first state.
    pub steps: Steps<A, G>,
    /// The position of each action among the enabled actions. The Explorer names a path in this way.
    pub indices: Vec<usize>,
    /// The number of states visited to find the path.
    pub visited: usize,
    /// The limit that ended the search for a shorter path before it had ended by itself, if one did.
    pub unsure: Option<&'static str>,
}

/// The outcome of a search for a counterexample.
pub enum Outcome<A: Actor, G> {
    /// A counterexample. It is a shortest one, unless `unsure` says why that is not known.
    Found(Box<Counterexample<A, G>>),
    /// There is none within the bounds. The number is that of the states visited.
    Exhausted(usize),
    /// A limit was reached first: the number of states visited, and the name of the limit.
    Ended(usize, &'static str),
}

/// Searches level by level for the first violation of `property`, or of any property if `None`. The search
/// makes two passes, and the limit on states applies to the states of each pass, of about 50 bytes each. The
/// length of a path is the number of its steps that change an actor. A step that only sends is in the path
/// where a later step needs the messages that it sends.
pub fn shortest<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    property: Option<&'static str>,
    limits: &Limits,
    interrupted: &AtomicBool,
) -> Outcome<A, G> {
    let named = world.property_names().enumerate();
    let judged = named.take(world.always.len() + world.steps.len());
    let wanted = judged
        .filter(|(_, (name, _))| property.is_none_or(|property| property == *name))
        .fold(0, |bits, (n, _)| bits | 1 << n);
    let dead_end = property.is_none_or(|property| property == RECOVERABILITY);
    let wanted = Wanted { violations: wanted, dead_end };
    let Traced { found, ended, visited } = trace(world, wanted, limits, interrupted);
    match (found, ended.by()) {
        (Some(way), unsure) => {
            // This limit on steps lies just below the length of the found path, so no shorter path was
            // missed.
            let unsure = unsure.filter(|_| ended != Ended::AtSteps);
            let found = reexecute(world, property, &way.actions, way.visited);
            Outcome::Found(Box::new(Counterexample { unsure, ..found }))
        }
        (None, Some(reason)) => Outcome::Ended(visited, reason),
        (None, None) => Outcome::Exhausted(visited),
    }
}

impl Ended {
    /// The limit that ended the search, if one did.
    pub fn by(self) -> Option<&'static str> {
        match self {
            Ended::Found | Ended::Exhausted => None,
            Ended::AtStates => Some("the limit on states"),
            Ended::AtSteps => Some("the limit on steps"),
            Ended::By(reason) => Some(reason),
        }
    }
}

/// The outcome of a search for a violation of each property.
pub struct Each {
    /// The properties that are violated, each with the length and cost of its counterexample.
    pub violated: Vec<(&'static str, Kill)>,
    /// The reason why the search ended. Unless a limit ended it, the other properties hold.
    pub ended: Ended,
    /// The number of states visited.
    pub visited: usize,
}

/// How soon a violation of a property was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    /// The number of steps of a shortest counterexample.
    pub steps: usize,
    /// The number of states visited until the counterexample was found.
    pub states: usize,
}

/// Searches level by level for the first violation of each property, as if that property alone were asked:
/// also beyond violations of the others. Every counterexample is executed again. The outcome is always the
/// same, because there is one thread, no clock, and no message that is thought not to matter.
pub fn shortest_of_each<A: Checkable, G: Ghostly>(world: &World<A, G>, reach: Reach) -> Each {
    let judged = world.always.len() + world.steps.len();
    let violations = (0..judged).fold(0, |bits, n| bits | 1 << n);
    let wanted = Wanted { violations, dead_end: world.recovery.is_some() };
    let TracedEach { found, ended, visited } = trace_each(world, wanted, reach);
    let names: Vec<_> = world.property_names().map(|(name, _)| name).collect();
    let violated = found.iter().map(|Way { what, actions, visited, .. }| {
        let name = match what.violations {
            0 => RECOVERABILITY,
            bit => names[bit.trailing_zeros() as usize],
        };
        confirm(world, name, actions);
        (name, Kill { steps: actions.len(), states: *visited })
    });
    Each { violated: violated.collect(), ended, visited }
}

/// Executes the actions one after the other, whatever else they violate, and asserts that the last state
/// violates the property.
fn confirm<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    property: &'static str,
    actions: &[ActionOf<A>],
) {
    let mut state = world.init_states().remove(0);
    for action in actions {
        assert!(world.enabled(&state).contains(action), "what the search has done can be done");
        let next = world.next_state(&state, action.clone());
        state = next.expect("a step of a counterexample does something");
    }
    let is_violated = broken(world, &state, Some(property)).contains(&property);
    assert!(is_violated, "{property} is still violated when executed again");
}

/// The names of the properties that a state breaks, with those of the step into it. Whether the state is a
/// dead end is judged only if that is asked, or if no other property is broken, because it may take long.
fn broken<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    state: &State<A, G>,
    asked: Option<&'static str>,
) -> Vec<&'static str> {
    let mut broken = world.broken(state);
    let is_asked = asked.map_or(broken.is_empty(), |property| property == RECOVERABILITY);
    if is_asked && is_dead_end(world, state) {
        broken.push(RECOVERABILITY);
    }
    broken
}

/// Executes the actions, each chosen among those that are enabled, and makes the counterexample.
fn reexecute<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    property: Option<&'static str>,
    actions: &[ActionOf<A>],
    visited: usize,
) -> Counterexample<A, G> {
    let first = world.init_states().remove(0);
    let (mut state, mut indices) = (first.clone(), Vec::new());
    for action in actions {
        let mut enabled = Vec::new();
        world.actions(&state, &mut enabled);
        let index = enabled.iter().position(|other| other == action);
        indices.push(index.expect("what the search has done can be done"));
        let next = world.next_state(&state, action.clone());
        state = next.expect("a step of a counterexample does something");
    }
    let steps = replay(world, &indices).expect("a path that was found can be executed again");
    let property = broken(world, &state, property)
        .into_iter()
        .find(|name| property.is_none_or(|property| property == *name))
        .expect("the violation is still one when executed again");
    Counterexample { property, first, steps, indices, visited, unsure: None }
}

/// Executes the actions with these positions, one after the other, through stateright's [`Model::actions`]
/// and [`Model::next_state`]. `None` if there is no such path.
pub fn replay<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    indices: &[usize],
) -> Option<Steps<A, G>> {
    let mut state = world.init_states().remove(0);
    let mut steps = Vec::new();
    for index in indices {
        let mut actions = Vec::new();
        world.actions(&state, &mut actions);
        let action = actions.into_iter().nth(*index)?;
        state = world.next_state(&state, action.clone())?;
        steps.push((action, state.clone()));
    }
    Some(steps)
}

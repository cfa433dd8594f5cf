//! The shortest counterexample, by a search of our own.
//!
//! stateright 0.31's BFS keeps inserting later violations over earlier ones and its threads do not
//! keep levels, so its paths are not shortest. This one finishes each level before the next. States
//! are known by 128-bit fingerprints, into which stateright hashes each envelope and each timer with
//! 64 bits, so no claim of exhaustion rests on it; what it finds is re-executed through
//! [`Model::next_state`] and judged again before anybody sees it.

use super::view::{Checkable, Ghostly};
use super::world::{ActionOf, State, World};
use siphasher::sip128::{Hasher128, SipHasher13};
use stateright::Model;
use stateright::actor::Actor;
use std::hash::Hash;

/// States expanded before their successors are merged: bounds the memory a level needs beside it.
const BLOCK: usize = 8192;

/// Steps one after the other: each action with the state it leads to.
pub type Steps<A, G> = Vec<(ActionOf<A>, State<A, G>)>;

/// A path to a violation.
pub struct Counterexample<A: Actor, G> {
    /// The property it violates.
    pub property: &'static str,
    /// The first state.
    pub first: State<A, G>,
    /// The steps from there.
    pub steps: Steps<A, G>,
    /// The position of each action among those enabled: the Explorer's way to name the path.
    pub indices: Vec<usize>,
    /// States visited to find it.
    pub visited: usize,
}

/// What ended a search.
pub enum Outcome<A: Actor, G> {
    /// A shortest counterexample.
    Found(Box<Counterexample<A, G>>),
    /// There is none within the bounds; so many states were visited.
    Exhausted(usize),
    /// The limit was reached first.
    LimitReached(usize),
}

/// One generated state: where it came from and what it breaks.
struct Successor<A: Actor, G> {
    parent: u32,
    action: u16,
    fingerprint: u128,
    broken: Option<&'static str>,
    state: State<A, G>,
}

/// Where a state was first reached from.
#[derive(Clone, Copy)]
struct Origin {
    parent: u32,
    action: u16,
}

/// Searches level by level for the first violation of `property`, or of any if `None`. Visits at most
/// `max_states` states: about 50 bytes each beyond the two levels at hand, whose states are whole.
#[expect(clippy::disallowed_types, reason = "asked for membership only, never iterated")]
pub fn shortest<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    property: Option<&'static str>,
    threads: usize,
    max_states: usize,
) -> Outcome<A, G> {
    let first = world.init_states().remove(0);
    let mut known = std::collections::HashSet::from([fingerprint(&first)]);
    let mut origins = vec![Origin { parent: u32::MAX, action: 0 }];
    if let Some(name) = violation(world, &first, property) {
        return Outcome::Found(Box::new(reexecute(world, name, &origins, 0)));
    }
    let mut level = vec![(0_u32, first)];
    while !level.is_empty() {
        let mut next_level = Vec::new();
        for block in level.chunks(BLOCK) {
            for successor in expand(world, block, property, threads) {
                if !known.insert(successor.fingerprint) {
                    continue;
                }
                let number = u32::try_from(origins.len()).expect("fewer than 2^32 states");
                origins.push(Origin { parent: successor.parent, action: successor.action });
                if let Some(name) = successor.broken {
                    return Outcome::Found(Box::new(reexecute(world, name, &origins, number)));
                }
                next_level.push((number, successor.state));
            }
            if origins.len() >= max_states {
                return Outcome::LimitReached(origins.len());
            }
        }
        level = next_level;
    }
    Outcome::Exhausted(origins.len())
}

/// The successors of a block of states, in order, whatever the number of threads.
fn expand<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    block: &[(u32, State<A, G>)],
    property: Option<&'static str>,
    threads: usize,
) -> Vec<Successor<A, G>> {
    let share = block.len().div_ceil(threads.max(1));
    std::thread::scope(|scope| {
        let parts: Vec<_> = block
            .chunks(share)
            .map(|part| {
                scope.spawn(move || {
                    part.iter()
                        .flat_map(|(number, state)| successors(world, *number, state, property))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().expect("a handler panicked")).collect()
    })
}

fn successors<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    parent: u32,
    state: &State<A, G>,
    property: Option<&'static str>,
) -> Vec<Successor<A, G>> {
    let mut successors = Vec::new();
    if state.broken != 0 {
        // As for stateright's engines: beyond the violation of a step there is nothing to learn.
        return successors;
    }
    for (action, event) in world.enabled(state).iter().enumerate() {
        let Some(next) = world.step(state, event) else { continue };
        if !world.within_boundary(&next) {
            continue;
        }
        let broken = violation(world, &next, property);
        let action = u16::try_from(action).expect("fewer than 65,536 actions");
        let fingerprint = fingerprint(&next);
        successors.push(Successor { parent, action, fingerprint, broken, state: next });
    }
    successors
}

/// The first property that the state violates, among those asked about.
fn violation<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    state: &State<A, G>,
    property: Option<&'static str>,
) -> Option<&'static str> {
    let broken = world.broken(state);
    broken.into_iter().find(|name| property.is_none_or(|property| property == *name))
}

/// Follows the origins back to the first state, then executes the actions again.
fn reexecute<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    property: &'static str,
    origins: &[Origin],
    mut number: u32,
) -> Counterexample<A, G> {
    let mut indices = Vec::new();
    while number != 0 {
        let origin = origins[number as usize];
        indices.push(usize::from(origin.action));
        number = origin.parent;
    }
    indices.reverse();
    let steps = replay(world, &indices).expect("a path that was found can be executed again");
    let first = world.init_states().remove(0);
    let last = steps.last().map_or(&first, |(_, state)| state);
    assert!(
        world.broken(last).contains(&property),
        "the violation is still one when executed again"
    );
    Counterexample { property, steps, first, indices, visited: origins.len() }
}

/// Executes the actions with these positions, one after the other, through stateright's
/// [`Model::actions`] and [`Model::next_state`]. `None` if there is no such path.
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

fn fingerprint(value: &impl Hash) -> u128 {
    let mut hasher = SipHasher13::new();
    value.hash(&mut hasher);
    hasher.finish128().as_u128()
}

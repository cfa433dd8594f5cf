//! A plain search over whole states, through stateright's `Model` interface: what the engine's is held
//! against.

use checked_raft::checker::{Checkable, Ghostly, Local, State, View, World};
use siphasher::sip128::{Hasher128, SipHasher13};
use stateright::Model;
use std::collections::BTreeSet;
use std::hash::Hash;

fn fingerprint(value: &impl Hash) -> u128 {
    let mut hasher = SipHasher13::new();
    value.hash(&mut hasher);
    hasher.finish128().as_u128()
}

/// Stands for the local states and the ghost of a state.
pub(crate) fn tuple<A: Checkable, G: Ghostly>(view: &View<'_, A, G>) -> u128 {
    let of = |local: Local<'_, A>| {
        let timers = local.timers.iter().count();
        fingerprint(&(local.state, local.timers, timers, local.randoms, local.storage))
    };
    fingerprint(&(view.locals().map(of).collect::<Vec<_>>(), view.ghost))
}

/// What a search over whole states finds.
#[derive(Default)]
pub(crate) struct Full {
    pub(crate) tuples: BTreeSet<u128>,
    pub(crate) states: usize,
    pub(crate) broken: BTreeSet<&'static str>,
}

/// All states, one after the other; `None` if there are more than `most`. With `all` it goes on beyond
/// a violation, as far as the violation is not one of a step.
pub(crate) fn full<A: Checkable, G: Ghostly>(world: &World<A, G>, most: usize) -> Option<Full> {
    let mut found = Full::default();
    let first = world.init_states().remove(0);
    if !world.within_boundary(&first) {
        return Some(found);
    }
    let mut known = BTreeSet::from([fingerprint(&first)]);
    let mut waiting: Vec<State<A, G>> = vec![first];
    while let Some(state) = waiting.pop() {
        found.broken.extend(world.broken(&state));
        found.tuples.insert(tuple(&state.view()));
        let mut actions = Vec::new();
        world.actions(&state, &mut actions);
        for action in actions {
            let Some(next) = world.next_state(&state, action) else { continue };
            if world.within_boundary(&next) && known.insert(fingerprint(&next)) {
                waiting.push(next);
            }
        }
        if known.len() > most {
            return None;
        }
    }
    found.states = known.len();
    Some(found)
}

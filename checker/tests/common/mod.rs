//! What the tests of this crate share.
#![allow(dead_code, reason = "each test file that includes this uses a part of it")]

pub(crate) mod full_search;
#[path = "../plain/mod.rs"]
pub(crate) mod plain;

use actorcheck::{Checkable, Ghostly, World};
use full_search::Full;
use std::collections::BTreeSet;

/// What a search over whole states finds; `None` if there are more than `most`. The plain checker, which runs
/// the handlers by itself and keeps maximal sets only, must find the same.
pub(crate) fn confirmed<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    most: usize,
) -> Option<Full<A, G>> {
    let full = full_search::full(world, most)?;
    let plain = plain::search(world, full.states).expect("there are no more maximal states");
    let numbers = full.examples.iter().filter_map(|state| plain.number(&state.view()));
    let known = numbers.collect::<BTreeSet<_>>().len();
    assert_eq!((known, plain.tuples()), (full.tuples.len(), full.tuples.len()), "tuples");
    assert_eq!(plain.violated, full.broken);
    assert_eq!(plain.witnessed, full.witnessed);
    Some(full)
}

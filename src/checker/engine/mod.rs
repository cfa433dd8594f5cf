//! The exhaustive engine.

mod bits;
mod intern;
mod judge;
mod relevance;
mod search;
mod sets;
mod store;
mod tables;
pub(super) mod trace;
mod worker;

pub use search::{explore, explore_and_visit};

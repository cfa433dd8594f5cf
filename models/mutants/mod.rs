//! Seeded bugs: does the checker bite?
//!
//! A mutant is a wrapper around the actor. It changes what the actor sees, edits what comes of a
//! handler, what is saved, or what is loaded after a crash; the protocol itself contains no
//! `if mutant`. Each is a bug that was reported for a real system, or that one warns of.
//!
//! How to read one: a function of an area (`elections`, `replication`, ...) is one mutant. Its row says
//! which rule breaks, what catches it and what goes wrong; its [`Fault`] at the end is the whole bug.
//! The hooks of a fault are explained in `wrapper.rs`, the models in `scenes.rs`.
//!
//! Two lists: [`catalogue`] is caught, most of it by properties of states and steps; what does nothing
//! wrong and only comes to a halt (`liveness`), by Recoverability. [`equivalent`] looks like a bug and was
//! one elsewhere, and here it breaks nothing, for the reason given. What all the other properties say of
//! each is the [`matrix`].

mod commit;
mod elections;
mod equivalent;
mod liveness;
pub mod matrix;
mod persistence;
mod replication;
mod scenes;
mod sessions;
pub mod smallest;
mod wrapper;

pub use wrapper::{Arriving, Envelope, Fault, Handled, Mutant, Written};

use super::spec::Spec;

/// One row of the list of mutants.
pub struct MutantSpec {
    /// Its name on the command line.
    pub name: &'static str,
    /// The rule it breaks, by its id.
    pub breaks: &'static str,
    /// The property that must catch it.
    pub caught_by: &'static str,
    /// Where the bug was seen or is warned of: `owner/repository`, with `#number` of an issue or pull
    /// request, `@commit`, a file, or the paper that reports it (`SandTable`, 2024).
    pub seen_in: &'static str,
    /// What goes wrong, in a sentence.
    pub about: &'static str,
    /// What goes wrong, step by step.
    pub story: &'static str,
    /// What is different from the rule.
    pub difference: &'static str,
    /// A small model in which it shows.
    pub spec: Spec,
    /// The bug.
    pub fault: Fault,
}

/// A change that looks like a bug and breaks nothing: the property that it seems to break holds in its whole
/// model. One that writes in two steps (`torn-vote`) still violates what the wrapper itself does by that,
/// and no other server can see: `Memory equals storage`, `Votes counted were cast`, `One timer is armed`;
/// and what half commits (`commit-by-half`) is not yet on a majority of disks.
pub struct Equivalent {
    /// The change. `caught_by` is the property that would be the first to fall, if any did.
    pub mutant: MutantSpec,
    /// Why it breaks nothing here.
    pub reason: &'static str,
}

/// The mutants, each with the property that catches it and a small model that shows it.
pub fn catalogue() -> Vec<MutantSpec> {
    let areas = [
        elections::list(),
        replication::list(),
        commit::list(),
        persistence::list(),
        sessions::list(),
        liveness::list(),
    ];
    areas.into_iter().flatten().collect()
}

/// The changes that break nothing.
pub fn equivalent() -> Vec<Equivalent> {
    equivalent::list()
}

/// The mutant of that name, among those that are caught.
pub fn find(name: &str) -> Option<MutantSpec> {
    catalogue().into_iter().find(|mutant| mutant.name == name)
}

//! Seeded bugs: does the checker bite?
//!
//! A mutant is a wrapper around the actor; the protocol itself contains no `if mutant`. The wrapper changes
//! what the actor sees, and edits the results of a handler, what is saved, or what a restart loads. Each
//! mutant is a bug that was reported for a real system or that a source warns of; its row names the source.
//!
//! How to read one: a function of an area (`elections`, `replication`, ...) is one mutant. Its row says
//! which rule breaks, which property catches it and what goes wrong; its [`Fault`] at the end is the whole
//! bug. `wrapper.rs` explains the hooks of a fault, `scenes.rs` the models.
//!
//! There are two lists. A mutant in [`catalogue`] is caught. Most fall to properties of states and steps;
//! those that only come to a halt (`liveness`) fall to Recoverability. A change in [`equivalent`] looks
//! like a bug and was one elsewhere; here it breaks nothing, and its row gives the reason. The [`matrix`]
//! shows what all other properties say of each.

mod commit;
mod elections;
mod equivalent;
mod liveness;
pub mod matrix;
mod persistence;
mod pre_vote;
mod reads;
mod replication;
mod scenes;
mod sessions;
pub mod smallest;
mod snapshots;
mod transfer;
mod wrapper;

pub use wrapper::{Arriving, Envelope, Fault, Handled, Mutant, Written};

use super::spec::Spec;

/// One row of the list of mutants.
pub struct MutantSpec {
    /// The mutant's name on the command line.
    pub name: &'static str,
    /// The id of the rule that the mutant breaks.
    pub breaks: &'static str,
    /// The property that must catch it.
    pub caught_by: &'static str,
    /// Where the bug was seen or is warned of: `owner/repository`, with `#number` of an issue or pull
    /// request, `@commit`, a file, or the paper that reports it (`SandTable`, 2024).
    pub seen_in: &'static str,
    /// The failure that the bug causes, in a sentence.
    pub about: &'static str,
    /// The failure, step by step.
    pub story: &'static str,
    /// How the mutant differs from the rule.
    pub difference: &'static str,
    /// A small model in which the bug shows.
    pub spec: Spec,
    /// The bug.
    pub fault: Fault,
}

/// A change that looks like a bug and breaks nothing: the property that it seems to break holds in its
/// whole model. Some other properties may still be violated. The change `torn-vote` writes in two steps, so
/// the wrapper itself violates `Memory equals storage`, `Votes counted were cast` and `Timers suit the role`.
/// No other server can see that. An entry that `commit-by-half` commits is not yet on a majority of disks.
pub struct Equivalent {
    /// The change. `caught_by` is the property that would be the first to fall, if any did.
    pub mutant: MutantSpec,
    /// Why the change breaks nothing here.
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
        snapshots::list(),
        reads::list(),
        pre_vote::list(),
        transfer::list(),
    ];
    areas.into_iter().flatten().collect()
}

/// The changes that break nothing.
pub fn equivalent() -> Vec<Equivalent> {
    equivalent::list()
}

/// The caught mutant of this name.
pub fn find(name: &str) -> Option<MutantSpec> {
    catalogue().into_iter().find(|mutant| mutant.name == name)
}

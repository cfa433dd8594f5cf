//! Exhaustive model checking of any system of stateright actors. The crate never names Raft.
//!
//! - [`World`] is the model: actors on an unordered, duplicating, lossy network, with restarts, ghosts,
//!   properties of states and steps, and bounds. stateright's checkers, its Explorer and our engine all take
//!   a `World`.
//! - [`engine`] is the exhaustive engine, called the antichain engine. [`run`] runs this engine or one of
//!   stateright's, and gives an honest [`Verdict`].
//! - [`search::shortest`] finds the shortest counterexample, level by level.
//! - [`diagram`] draws a counterexample.

mod builder;
mod check;
pub mod diagram;
pub mod engine;
mod run;
pub mod search;
mod symmetry;
mod view;
mod world;

pub use check::{Checked, MOST_LOCALS};
pub use run::{
    Engine, Limits, Progress, PropertyReport, PropertyResult, Report, TupleCounts, Verdict, run,
};
pub use symmetry::{Permutation, Renaming, Symmetry};
pub use view::{Change, Checkable, CommandOf, Event, EventOf, Ghostly, Local, Output, View};
pub use world::{
    Action, ActionOf, Bound, ChangePredicate, Group, Kind, Labeller, Observer, OfActor,
    OfActorAndGhost, OfGroup, OfMember, OfPair, OfView, OutputPredicate, RECOVERABILITY, Recovery,
    State, StatePredicate, StateProperty, StepPredicate, StepProperty, Tally, World,
};

//! Model checking of any system of stateright actors. Never names Raft.
//!
//! - [`World`] is the model value: actors on an unordered, duplicating, lossy network, with restarts,
//!   ghosts, step properties and bounds. stateright's checkers and its Explorer take it, and so do
//!   ours.
//! - [`engine`] is the exhaustive engine, the antichain engine. [`run`] runs it, or one of stateright's, and
//!   gives an honest [`Verdict`].
//! - [`search::shortest`] finds the shortest counterexample, level by level.
//! - [`diagram`] draws one.

pub mod diagram;
pub mod engine;
mod run;
pub mod search;
mod symmetry;
mod view;
mod world;

pub use run::{
    Engine, Limits, Progress, PropertyReport, PropertyResult, Report, TupleCounts, Verdict, run,
};
pub use symmetry::{Permutation, Renaming, Symmetry};
pub use view::{Change, Checkable, CommandOf, Event, EventOf, Ghostly, Local, Output, View};
pub use world::{
    Action, ActionOf, Bound, ChangePredicate, Kind, Labeller, Observer, OfActor, OfActorAndGhost,
    OfGroup, OfPair, OfView, OutputPredicate, RECOVERABILITY, Recovery, State, StatePredicate,
    StateProperty, StepPredicate, StepProperty, Tally, World,
};

//! The worlds the protocol is put in: servers, clients, a network, bounds, and the properties that must
//! hold.
//!
//! A model is a [`Spec`], a row of [`catalogue`]; [`Spec::cluster`] makes the [`Cluster`] that every engine
//! takes. Read [`properties`] first: it is Figure 3 of the paper. The models of the catalogue replicate the
//! key-value store [`Kv`]; a `Spec` of your own may replicate any state machine.

pub mod catalogue;
pub mod coverage;
pub mod ghost;
pub mod header;
pub mod inductive;
pub mod linearizability;
pub mod mutants;
pub mod observed;
mod operations;
pub mod process;
pub mod properties;
mod renaming;
mod replay;
pub mod rules;
pub mod script;
mod spec;
pub mod text;
pub mod twin;

pub use spec::{Cuts, Differing, Effort, Elections, Spec};

use crate::kv::Kv;
use actorcheck::{ActionOf, Bound, State, World};
use ghost::Ghost;
use process::Process;

/// A model, in the form that every engine takes.
pub type Cluster<S = Kv> = World<Process<S>, Ghost>;
/// A state of a model.
pub type ClusterState<S = Kv> = State<Process<S>, Ghost>;
/// An action of a model.
pub type ClusterAction = ActionOf<Process>;
/// A bound of a model.
pub type ClusterBound<S = Kv> = Bound<Process<S>, Ghost>;

//! The worlds the protocol is put in: servers, clients, a network, bounds, and what must hold.
//!
//! A model is a [`Spec`], a row of [`catalogue`]; [`Spec::cluster`] makes the [`Cluster`] that every
//! engine takes. Read [`properties`] first: it is Figure 3 of the paper.

pub mod catalogue;
pub mod coverage;
pub mod ghost;
pub mod linearizability;
pub mod member;
pub mod mutants;
pub mod properties;
mod replay;
pub mod script;
mod spec;
mod symmetry;

pub use spec::Spec;

use crate::checker::{ActionOf, Bound, State, World};
use ghost::Ghost;
use member::Member;

/// The model value.
pub type Cluster = World<Member, Ghost>;
/// One of its states.
pub type ClusterState = State<Member, Ghost>;
/// One of its actions.
pub type ClusterAction = ActionOf<Member>;
/// One of its bounds.
pub type ClusterBound = Bound<Member, Ghost>;

//! The specification in TLA+ and the models, compared as state graphs.
//!
//! `spec/Raft.tla` is written from the paper and has one action for each handler. TLC explores it within the
//! bounds of a model and dumps the graph: every state, and every step with the name of its action. This
//! module explores the model itself ([`explore`]), and writes each state as the values of the specification's
//! variables ([`Lines`]). It reads the dump ([`read`]) and compares the two graphs, both ways
//! ([`ModelGraph::difference`]). If they are equal, both have the same states and steps.
//!
//! Ghosts exist on neither side. A step from a state to itself is no step. A state out of bounds is no state.
//! [`twins`] lists the models that are compared.
//!
//! # Canonical text
//!
//! A state is a line: its variables by name, as in `client = <<>> /\ messages = {} /\ server = ...`. Values
//! are written as by TLC in one line, with the fields of records by name, and elements and keys by their
//! text. An edge is a line `STATE --Action--> STATE`.

mod dump;
mod explore;
mod graph;
mod lines;
mod list;
mod numbered;
mod value;
mod variables;

pub use dump::{DumpError, read};
pub use explore::{Exploration, Unexplored, explore, explore_up_to};
pub use graph::{Difference, Edge, Graph, ModelGraph, Side, Texts};
pub use lines::Lines;
pub use list::{find, twins};
pub use value::{Assignment, Value};

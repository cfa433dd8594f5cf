//! Raft written once: a pure [`stateright`] actor that is exhaustively model checked, and that very
//! actor deployed as durable UDP nodes. What runs is what was checked.
//!
//! Reading order, with the paper ("In Search of an Understandable Consensus Algorithm", extended
//! version) open at Figure 2: [`raft`], then `raft/request_vote.rs` and `raft/append_entries.rs`,
//! then [`models`] (Figure 3 is `models/properties.rs`), then [`runtime`].

pub mod checker;
pub mod client;
pub mod deploy;
pub mod durable;
pub mod kv;
pub mod map;
// Beside `src/`, because they are not part of what is deployed; this is the one `#[path]` of the crate.
#[path = "../models/mod.rs"]
pub mod models;
pub mod raft;
pub mod runtime;
pub mod state_machine;

//! Raft written once: a pure [`stateright`] actor that is exhaustively model checked, and that very
//! actor deployed as durable UDP nodes. What runs is what was checked.
//!
//! [`raft`] defines the protocol. [`models`] put the protocol into worlds and check it. [`runtime`] runs
//! any actor on a disk and a socket, [`deploy`] runs Raft in that runtime, and [`client`] talks to the nodes.
//!
//! Reading order, with the paper ("In Search of an Understandable Consensus Algorithm", extended
//! version) open at Figure 2: [`raft`], then `raft/request_vote.rs` and `raft/append_entries.rs`,
//! then [`models`] (Figure 3 is `models/properties.rs`), then [`runtime`].

pub mod client;
pub mod deploy;
pub mod durable;
pub mod kv;
pub mod map;
// The models stand beside `src/`, because they are not part of what is deployed. This is the one `#[path]` of
// the crate.
#[path = "../models/mod.rs"]
pub mod models;
pub mod raft;
pub mod runtime;
pub mod state_machine;

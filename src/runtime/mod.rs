//! A node: an actor over UDP with a durable store.

pub mod store;
pub mod trace;

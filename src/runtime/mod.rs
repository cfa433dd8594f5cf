//! A node: an actor over UDP with a durable store. It knows stateright's `Actor`, and not which.
//!
//! | file | |
//! |---|---|
//! | [`node`] | [`Node`]: its parts, start and stop |
//! | `worker` | the loop: events, handlers, commit, send |
//! | `batch` | the output rule, and why a handler may be one step of a model |
//! | [`mailbox`] | what has come and waits for the loop; explored by loom |
//! | [`turns`] | who takes from the socket; explored by loom |
//! | [`wire`] | datagrams |
//! | [`endpoint`] | a client's socket |
//! | `receiver` | from the socket into the mailbox, and which datagrams are for this node |
//! | [`timers`] | what is armed and when it is due |
//! | [`addresses`] | where servers and clients are |
//! | `peers` | whom this node knows, admits and greets: what keeps a server out that lost its memory |
//! | [`hello`] | what servers tell each other of themselves |
//! | [`counters`] | what was received, sent and dropped |
//! | [`store`] | where the actor's state is kept |
//! | [`trace`] | what the node did, and its replay through the actor |
//!
//! The clock and the random source of a deployed server are in `worker` and nowhere else.

pub mod addresses;
mod batch;
mod config;
pub mod counters;
pub mod endpoint;
mod error;
pub mod hello;
pub mod mailbox;
pub mod node;
mod observer;
mod peers;
mod receiver;
mod stop;
pub mod store;
mod sync;
pub mod timers;
pub mod trace;
pub mod turns;
pub mod wire;
mod worker;

pub use config::NodeConfig;
pub use error::NodeError;
pub use node::{Deployable, Node};
pub use observer::{Commit, Event, Observer};
pub use stop::Stop;

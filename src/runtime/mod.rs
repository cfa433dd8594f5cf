//! A node runs one actor over UDP with a durable store. It knows stateright's `Actor` trait, and not
//! which actor it runs.
//!
//! Two threads drive a [`Node`]. The receiving thread (`receiver`) moves datagrams from the socket into
//! the [`mailbox`]. The other thread (`worker`) takes them out again, a batch at a time. It calls one of
//! the actor's handlers for each message and for each timer that is due. A `batch` holds the saves and
//! messages of the handlers back. The worker saves to the [`store`] and only then sends the messages of
//! the batch. So no message leaves a node before the state that it rests on is durable.
//!
//! | file | content |
//! |---|---|
//! | [`node`] | [`Node`]: its parts, how it starts and how it stops |
//! | `worker` | the loop: collects events, calls handlers, commits, sends |
//! | `batch` | the output rule, and why a handler may be one step of a model |
//! | [`mailbox`] | datagrams that have arrived and wait for the loop; explored by loom |
//! | [`turns`] | which thread takes datagrams from the socket; explored by loom |
//! | [`wire`] | the format of the datagrams |
//! | [`endpoint`] | a client's socket |
//! | `receiver` | from the socket into the mailbox, and which datagrams are for this node |
//! | `cuts` | the peers whose datagrams are dropped on purpose |
//! | [`timers`] | the timers that are armed, and when each is due |
//! | [`addresses`] | the addresses of servers and clients |
//! | `peers` | the servers that this node knows, admits and greets; keeps out a server that lost its memory |
//! | [`hello`] | what servers tell each other of themselves |
//! | [`counters`] | counts of the datagrams received, sent and dropped |
//! | [`store`] | where the actor's state is kept |
//! | [`trace`] | a record of the node's handler calls, and its replay through the actor |
//!
//! Only `worker` asks the clock and the random source for what an actor gets to see. Clock and random
//! source decide when the actor's timers fire, and how long they are set for.

pub mod addresses;
mod batch;
mod config;
pub mod counters;
mod cuts;
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
pub use cuts::Cuts;
pub use error::NodeError;
pub use node::{Deployable, Node};
pub use observer::{Commit, Event, Observer};
pub use stop::Stop;

//! The exhaustive engine: a search over tuples of local states, for any stateright actors.
//!
//! The engine takes the [`World`](super::World) that stateright's checkers and the Explorer take. It reaches
//! exactly the tuples of local states and ghost that a search over whole states reaches. `PROOF.md` beside
//! this crate's README says why. These are the ideas, with their files:
//!
//! 1. *Each handler is run once* for each pair of local state and event (`tables.rs`, `handlers.rs`). A
//!    global state is then a *tuple*, a few numbers, and a set of messages.
//! 2. *Only the maximal sets of messages are kept* for each tuple (`store.rs`). The network only grows, so a
//!    state with more messages can do whatever a state with fewer can.
//! 3. *Messages that cannot matter any more are left out* (`reduction/relevance.rs`). That is a hypothesis;
//!    the engine does again whatever rests on a hypothesis that is refuted (`reduction/refuted.rs`).
//! 4. *One state is visited of those that differ only by interchangeable actors* (`orbits.rs`,
//!    `reduction/canon.rs`).
//! 5. *Messages that do the same are taken for one* (`reduction/merging.rs`).
//!
//! The last three are reductions. The search asks a `Reduction` for them, which may also leave out nothing.
//!
//! A `Search` (`search/`) runs rounds. In a round, `Worker`s (`worker/`), one for each thread, take tuples
//! from the queue in `Shared` (`shared.rs`) and expand them. A round has one hypothesis (`Relevance`). After
//! the last round, `report.rs` counts the maximal states and looks for dead ends. A second search finds the
//! shortest counterexample (`counterexample/`). Everything has a number (`ids.rs`).
//!
//! # In which order
//!
//! The order in which tuples are expanded changes only how often they are expanded, and nothing else that is
//! counted. Local states get their numbers in the order of discovery, so steps mostly raise the sum of these
//! numbers. The engine therefore expands the tuple with the least sum first. Most tuples are then expanded
//! once, after all that leads to them has been. Where actors go in circles a tuple comes up again and again,
//! each time with many states. Most of these are soon below others that have more messages. So the engine
//! expands only the latest state of a tuple before other tuples have their turn.
//!
//! The engine looks at limits and interruptions between two steps, and in whatever takes long between two
//! rounds. Work that was not done then waits, and a checkpoint keeps it.
//!
//! # What may be asked
//!
//! The engine judges properties of states once for each tuple, or for the part of it that they look at. It
//! judges properties of changes once for each change and ghost, and properties of outputs once for each
//! handler call. Every step that is generated is judged, also a step into a known state or out of bounds, and
//! every delivery that does nothing.
//! Nothing may be asked about messages in flight, and no temporal property. After an exhausted search the
//! engine also judges whether any group of actors has come to a dead end (`recovery/`).
//!
//! # Memory
//!
//! For `n` actors a tuple takes `4(n + 1)` bytes for its numbers, 4 for the head of its list and about 10 in
//! an index. A maximal state takes `8n` bytes for its sets, as they are and by names, and 4 for its link.
//! Sets of messages are bit sets that states share; there are far fewer sets than states. Handler calls,
//! local states and ghosts are few; each thread remembers those it has met, also from one hypothesis to the
//! next. Tuples, states, sets and the index come to 75 to 160 bytes for each state visited. The knowledge
//! about handlers comes on top, with a number for each permutation of each local state and message. It is
//! most of the memory where symmetry leaves few states (`docs/benchmarks.md`).

mod bits;
mod caller;
mod checkpoint;
pub(super) mod counterexample;
mod effects;
mod handlers;
mod ids;
mod intern;
mod judge;
mod local;
mod orbits;
mod panics;
mod recovery;
mod reduction;
mod report;
mod search;
mod sets;
mod shared;
mod store;
mod tables;
mod trial;
mod tuple;
mod worker;

pub use checkpoint::{CheckpointError, Checkpoints};
pub(super) use recovery::is_dead_end;
pub use search::{
    explore, explore_and_visit, explore_by, explore_plainly, explore_with_checkpoints,
};

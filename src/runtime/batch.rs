//! The output rule: **nothing observable of batch k leaves before the saves of all batches up to k are
//! durable**. It holds even if batch k itself saved nothing. A node's observable outputs are its
//! datagrams: messages to servers and clients, status reports, and pages. (What servers tell each other of
//! themselves, as `peers` describes, shows the census alone. The census is durable before.)
//!
//! The types keep the rule by construction. All that a handler puts out goes into a [`Batch`]. The only
//! way to get it out again is [`Batch::commit`], which saves first. If the save fails, `commit` returns
//! an error and the outputs are gone. Every batch but the first can only be opened with the
//! [`Committed`] of the batch before it, and only `commit` makes a [`Committed`].
//!
//! # Why a handler may be one step of a model
//!
//! In a model a handler is atomic: state, save and sends change at once, and a crash comes before or
//! after. A real node can lose power anywhere. Only two things about its run can be told from outside:
//! its datagrams, and what each of its starts finds in the store. Let a batch handle the events e1..en,
//! let s be the last value its handlers saved, and let the node crash during this batch.
//!
//! - **Before s is durable.** The store holds what it held when the batch began (a save is atomic), and
//!   nothing of the batch has left. The run is that of a model in which e1..en did not happen. In it the
//!   batch's messages were not received, which a lossy network may always do. (Each may still be
//!   delivered later, for the network also duplicates.) And its timers did not fire: a model never
//!   forces a timer, and the restart makes them irrelevant.
//! - **After s is durable.** The run is that of a model in which all of e1..en happened and the server
//!   crashed after them. The server restarts from s, the last value saved. Outputs of the batch that did
//!   not leave were lost by the network.
//! - **While s is being saved** the run is one of these two, and what the restart finds says which. A
//!   save that fails ends the node, which is a crash like any other.
//! - **When nothing was saved**, s is the value of an earlier batch, durable since then, and the first
//!   two cases coincide.
//!
//! Several handlers may share one save (group commit). That changes nothing: nobody could observe the
//! intermediate values that they saved, and a model may choose the order e1..en. Between crashes the
//! node runs one handler after another, each on the state that the one before it left, as a model's
//! schedule does. A timer counts from the end of the batch that set it, or longer, and a model lets it
//! fire whenever it is armed. `on_start` is the first batch's handler and obeys the output rule like any
//! other.
//!
//! Within one handler's commands the save must stand before every send. The batch would keep the rule
//! anyway. `worker.rs` asserts the order all the same, because readers of a single step of a model or of
//! a trace rely on it.

use super::error::NodeError;
use super::node::Deployable;
use super::observer::{Commit, Observer};
use super::store::Store;
use stateright::actor::Id;
use std::net::SocketAddr;
use std::time::Duration;

/// An output of a node.
#[derive(Debug)]
pub(super) enum Output<M> {
    /// A message that the actor sends.
    Message { to: Id, message: M },
    /// The answer to an inspection.
    Report { address: SocketAddr, client: u64, nonce: u64, status: Vec<u8> },
    /// The answer to a question for a page.
    Page { address: SocketAddr, client: u64, nonce: u64, page: Vec<u8> },
}

/// Proof that everything saved in a batch and in all batches before it is durable. It cannot be cloned,
/// and only [`Batch::commit`] makes one.
#[derive(Debug)]
pub(super) struct Committed {
    number: u64,
}

/// The proof that a batch is committed, and the outputs of the batch, which may leave now.
pub(super) type Released<M> = (Committed, Vec<Output<M>>);

/// The outputs of the handlers of one batch, held back until the batch is committed.
pub(super) struct Batch<A: Deployable> {
    number: u64,
    save: Option<A::Storage>,
    outputs: Vec<Output<A::Msg>>,
}

impl<A: Deployable> Batch<A> {
    /// The batch of `on_start`.
    pub(super) fn first() -> Self {
        Self { number: 0, save: None, outputs: Vec::new() }
    }

    /// The batch after a committed one.
    pub(super) fn after(previous: Committed) -> Self {
        Self { number: previous.number + 1, ..Self::first() }
    }

    /// How many batches came before this one.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Notes a value to save. It replaces the value noted before, which nobody has seen.
    pub(super) fn save(&mut self, value: A::Storage) {
        self.save = Some(value);
    }

    /// Holds an output back.
    pub(super) fn put(&mut self, output: Output<A::Msg>) {
        self.outputs.push(output);
    }

    /// Flushes the observer, saves at most once, and only then gives the outputs out. Tells the observer
    /// when the batch became durable. `clock` returns the time since the node started.
    pub(super) fn commit(
        self,
        store: &mut impl Store<A::Storage>,
        observer: &mut impl Observer<A>,
        clock: impl Fn() -> Duration,
    ) -> Result<Released<A::Msg>, NodeError> {
        observer.flush().map_err(NodeError::Observe)?;
        let begin = clock();
        if let Some(value) = &self.save {
            store.save(value).map_err(NodeError::Save)?;
        }
        let at = clock();
        observer
            .committed(&Commit { at, save: self.save.is_some().then(|| at.saturating_sub(begin)) });
        Ok((Committed { number: self.number }, self.outputs))
    }
}

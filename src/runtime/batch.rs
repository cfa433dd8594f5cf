//! The output rule: **nothing observable of batch k leaves before the saves of all batches up to k
//! are durable**, even if batch k itself saved nothing. Observable are datagrams: messages to
//! servers and clients, and status reports. (What servers tell each other of themselves shows the
//! census alone, which is durable before; see `peers`.)
//!
//! It is kept by construction. Whatever a handler puts out goes into a [`Batch`]; the only way to
//! get it out again is [`Batch::commit`], which first saves; a save that fails returns an error and
//! the outputs are gone. Every batch but the first can only be opened with the [`Committed`] of the
//! one before it, which only `commit` makes.
//!
//! # Why a handler may be one step of a model
//!
//! In a model a handler is atomic: state, save and sends change at once, a crash comes before or
//! after. A real node can lose power anywhere. Take a run of a node as what can be told from
//! outside: its datagrams, and what each of its starts finds in the store. Let a batch handle the
//! events e1..en, let s be the last value its handlers saved, and let the node crash in it.
//!
//! - **Before s is durable.** The store holds what it held when the batch began (a save is atomic),
//!   and nothing of the batch has left. The run is that of a model in which e1..en did not happen:
//!   its messages were not received, which a lossy network may always do (and each may still be
//!   delivered later, for the network also duplicates), and its timers did not fire, which a model
//!   never forces; the restart makes them irrelevant.
//! - **After s is durable.** The run is that of a model in which all of e1..en happened and the
//!   server crashed after them: it restarts from s, the last value saved. What of the batch's output
//!   did not leave was lost by the network.
//! - **While s is being saved** it is one of the two, and what the restart finds says which. A save
//!   that fails ends the node, which is a crash like any other.
//! - **When nothing was saved**, s is the value of an earlier batch, durable since then, and the
//!   two cases coincide.
//!
//! That several handlers share one save (group commit) changes nothing: the intermediate values
//! they saved were never observable, and the order of e1..en is one a model may choose. Between
//! crashes the node is a sequence of handlers, each on the state the one before it left, which is
//! what a model's schedule is. A timer counts from the end of the batch that set it, or longer, and a
//! model lets it fire whenever it is armed. `on_start` is the first batch's handler and obeys the same rule.
//!
//! Within one handler's commands the save must stand before every send. The batch would keep the
//! rule anyway; it is asserted all the same, in `worker.rs`, because whoever reads a single step of a
//! model or of a trace relies on that order.

use super::error::NodeError;
use super::node::Deployable;
use super::observer::{Commit, Observer};
use super::store::Store;
use stateright::actor::Id;
use std::net::SocketAddr;
use std::time::Duration;

/// What leaves a node.
#[derive(Debug)]
pub(super) enum Output<M> {
    /// A message of the actor's.
    Message { to: Id, message: M },
    /// The answer to an inspection.
    Report { address: SocketAddr, client: u64, nonce: u64, status: Vec<u8> },
}

/// Proof that everything saved in a batch and in all before it is durable. Neither cloned nor made
/// anywhere else.
#[derive(Debug)]
pub(super) struct Committed {
    number: u64,
}

/// A committed batch's proof and its outputs, which may leave now.
pub(super) type Released<M> = (Committed, Vec<Output<M>>);

/// What the handlers of one batch put out, held back until it is committed.
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

    /// How many batches came before it.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Notes a value to save; it replaces the one noted before, which nobody has seen.
    pub(super) fn save(&mut self, value: A::Storage) {
        self.save = Some(value);
    }

    /// Holds an output back.
    pub(super) fn put(&mut self, output: Output<A::Msg>) {
        self.outputs.push(output);
    }

    /// Flushes the observer, saves at most once, and only then gives the outputs out. The observer
    /// is told when that was, by `clock`, which shows the time since the node started.
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

//! The observer of a node. [`Observer`] sees every handler call and every commit. It can write them
//! down, tell people of them, and stop the node.

use serde_json::{Map, Value};
use stateright::actor::{Actor, Id, Out};
use std::io;
use std::time::Duration;

/// A call of one of the actor's handlers.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<A: Actor> {
    /// A call of `on_start`.
    Start {
        /// The value that the store held.
        storage: Option<A::Storage>,
    },
    /// A call of `on_msg`.
    Message {
        /// The sender of the message.
        src: Id,
        /// The message.
        msg: A::Msg,
    },
    /// A call of `on_timeout`.
    Timeout(A::Timer),
}

/// The commit of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// When the batch was durable, as the time since the node started.
    pub at: Duration,
    /// How long the save took; `None` if nothing was saved.
    pub save: Option<Duration>,
}

/// Sees every handler call of a node. The observer `()` ignores them.
pub trait Observer<A: Actor> {
    /// Called after each handler call, in batch `batch` (0 is the batch of `on_start`). It gets the
    /// states before and after, and the handler's commands. Nothing of the batch is durable yet, and
    /// nothing of it has been sent.
    fn handled(
        &mut self,
        batch: u64,
        event: &Event<A>,
        before: Option<&A::State>,
        after: &A::State,
        out: &Out<A>,
    );

    /// Called once at the end of each batch, before the batch's save. An error stops the node.
    fn flush(&mut self) -> io::Result<()>;

    /// Called once the batch is durable. From here on the observer may tell people what it saw of the
    /// batch, just as the batch's messages may be sent.
    fn committed(&mut self, _: &Commit) {}

    /// Asked after each batch was committed, before anything of it leaves: why the node must not go on,
    /// in a sentence for people. The node then ends with [`NodeError::MustStop`].
    ///
    /// [`NodeError::MustStop`]: super::NodeError::MustStop
    fn must_stop(&self) -> Option<String> {
        None
    }

    /// The fields that the observer adds to the node's status. It is given the time since the node
    /// started.
    fn status(&self, _: Duration) -> Map<String, Value> {
        Map::new()
    }

    /// A page of what the actor keeps, such as the entries of a log, from the index `from` on. The page
    /// must fit a datagram, and making it must not take long: the node makes it between two messages.
    /// By the time it is sent, all that it shows is durable.
    fn page(&self, _state: &A::State, _from: u64) -> Value {
        Value::Null
    }

    /// Answers a query to the state of this one actor, which may be old. The answer must fit a datagram, and
    /// making it must not take long. By the time it is sent, all that it shows is durable.
    fn peek(&self, _state: &A::State, _query: &[u8]) -> Vec<u8> {
        Vec::new()
    }

    /// Problems that people should look into, in sentences. They become part of the node's status. The
    /// observer is given the time since the node started.
    fn warnings(&self, _: Duration) -> Vec<String> {
        Vec::new()
    }
}

impl<A: Actor> Observer<A> for () {
    fn handled(&mut self, _: u64, _: &Event<A>, _: Option<&A::State>, _: &A::State, _: &Out<A>) {}

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! Who looks on as a node runs: what it does can be written down, told to people, and stopped.

use serde_json::{Map, Value};
use stateright::actor::{Actor, Id, Out};
use std::io;
use std::time::Duration;

/// What a handler was called with.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<A: Actor> {
    /// `on_start`.
    Start {
        /// What the store held.
        storage: Option<A::Storage>,
    },
    /// `on_msg`.
    Message {
        /// The sender.
        src: Id,
        /// What it says.
        msg: A::Msg,
    },
    /// `on_timeout`.
    Timeout(A::Timer),
}

/// When a batch was durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The time since the node started.
    pub at: Duration,
    /// How long the save took; `None` if nothing was saved.
    pub save: Option<Duration>,
}

/// Sees every handler call of a node. `()` looks away.
pub trait Observer<A: Actor> {
    /// A handler was called in batch `batch` (0 is the batch of `on_start`): the states before and
    /// after, and its commands. Nothing of the batch is durable yet and nothing has been sent.
    fn handled(
        &mut self,
        batch: u64,
        event: &Event<A>,
        before: Option<&A::State>,
        after: &A::State,
        out: &Out<A>,
    );

    /// Called once at the end of each batch, before its save. An error stops the node.
    fn flush(&mut self) -> io::Result<()>;

    /// Called once the batch is durable: from here on what was seen of it may be told to people,
    /// as it may be sent.
    fn committed(&mut self, _: &Commit) {}

    /// Asked after each batch was committed, before anything of it leaves: why the node must not go
    /// on, in a sentence for people. It then ends with [`NodeError::MustStop`].
    ///
    /// [`NodeError::MustStop`]: super::NodeError::MustStop
    fn must_stop(&self) -> Option<String> {
        None
    }

    /// What it adds to the node's status. It is given the time since the node started.
    fn status(&self, _: Duration) -> Map<String, Value> {
        Map::new()
    }

    /// What people should look into, in sentences; part of the node's status. It is given the time
    /// since the node started.
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

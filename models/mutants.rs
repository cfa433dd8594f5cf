//! Seeded bugs, as wrappers around the actor.
use crate::kv::Kv;
use crate::raft::{Message, Persistent, Raft, Server, Timer};
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;

/// Which bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// None.
    Nothing,
}

/// A server with a seeded bug.
pub struct Mutant {
    /// The actor it wraps.
    pub raft: Raft<Kv>,
    /// The bug.
    pub fault: Fault,
}

impl Mutant {
    /// Wraps the actor.
    pub fn new(raft: Raft<Kv>, fault: Fault) -> Self {
        Self { raft, fault }
    }
}

impl Actor for Mutant {
    type Msg = Message;
    type Timer = Timer;
    type State = Server<Kv>;
    type Storage = Persistent;
    type Random = ();
    fn on_start(&self, id: Id, storage: &Option<Persistent>, _o: &mut Out<Self>) -> Server<Kv> {
        let mut out = Out::new();
        self.raft.on_start(id, storage, &mut out)
    }
    fn on_msg(
        &self,
        id: Id,
        state: &mut Cow<'_, Server<Kv>>,
        src: Id,
        msg: Message,
        _o: &mut Out<Self>,
    ) {
        let mut out = Out::new();
        self.raft.on_msg(id, state, src, msg, &mut out);
    }
}

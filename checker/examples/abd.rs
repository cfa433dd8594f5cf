//! A register that is shared by messages, after Attiya, Bar-Noy and Dolev, "Sharing Memory Robustly in
//! Message-Passing Systems" (1995), with several writers as Lynch and Shvartsman have it (1997).
//!
//! The first actors are replicas, the others are clients. A client asks a majority for its latest value,
//! and then makes a majority remember the value that it writes or reads. The first client begins with a
//! write, the second with a read, and so on; then they take turns. Run it with the numbers of replicas, of
//! clients, and of operations of each: `cargo run --release --example abd 3 2 1`.

use actorcheck::{Change, World};
use stateright::actor::{Actor, Id, Out, model_timeout};
use stateright::semantics::register::{Register, RegisterOp, RegisterRet};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester};
use stateright::{Rewrite, RewritePlan};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// When a value was written, and by whom: no two values have one stamp.
type Stamp = (u32, Id);
/// A value; every client writes another.
type Value = char;

/// A replica or a client, by its number.
#[derive(Clone)]
pub(crate) struct Node {
    replicas: usize,
    /// So many operations of each client.
    operations: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Message {
    /// "What is the latest value?" asks the client's operation of this number.
    Query(u8),
    Latest(u8, Stamp, Value),
    /// "Remember this, unless you know a later one."
    Record(u8, Stamp, Value),
    Recorded(u8),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum State {
    Replica(Stamp, Value),
    Client { operation: u8, phase: Phase },
}

/// Where a client is in an operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// The operation has not begun.
    Idle,
    /// The replicas that answered, with what they said.
    Querying(BTreeMap<Id, (Stamp, Value)>),
    /// The replicas that remember this value.
    Recording(BTreeSet<Id>, Value),
    /// The last operation has ended with this value.
    Done(Value),
}

/// What everybody begins with.
const FIRST: Value = '-';

impl Node {
    fn is_majority(&self, servers: usize) -> bool {
        servers > self.replicas / 2
    }

    /// The operation of a client with this number.
    fn operation_of(&self, client: Id, number: u8) -> RegisterOp<Value> {
        let client = usize::from(client) - self.replicas;
        let letter = client * usize::from(self.operations) + usize::from(number);
        match (client + usize::from(number)) % 2 {
            0 => RegisterOp::Write(('A'..='z').nth(letter).unwrap_or('?')),
            _ => RegisterOp::Read,
        }
    }

    fn ask(&self, message: &Message, out: &mut Out<Self>) {
        (0..self.replicas).for_each(|replica| out.send(Id::from(replica), message.clone()));
    }

    /// What a client does with an answer; `None` if it is not one that it waits for.
    fn hear(
        &self,
        id: Id,
        (operation, phase): (u8, &Phase),
        from: Id,
        answer: &Message,
        out: &mut Out<Self>,
    ) -> Option<State> {
        match (phase, answer) {
            (Phase::Querying(said), Message::Latest(to, stamp, value)) if *to == operation => {
                let mut said = said.clone();
                said.insert(from, (*stamp, *value));
                if !self.is_majority(said.len()) {
                    return Some(State::Client { operation, phase: Phase::Querying(said) });
                }
                let (latest, value) = said.into_values().max()?;
                let (stamp, value) = match self.operation_of(id, operation) {
                    RegisterOp::Write(value) => ((latest.0 + 1, id), value),
                    RegisterOp::Read => (latest, value),
                };
                self.ask(&Message::Record(operation, stamp, value), out);
                let phase = Phase::Recording(BTreeSet::new(), value);
                Some(State::Client { operation, phase })
            }
            (Phase::Recording(by, value), Message::Recorded(to)) if *to == operation => {
                let mut by = by.clone();
                by.insert(from);
                if !self.is_majority(by.len()) {
                    let phase = Phase::Recording(by, *value);
                    return Some(State::Client { operation, phase });
                }
                if operation + 1 < self.operations {
                    out.set_timer((), model_timeout());
                }
                Some(State::Client { operation: operation + 1, phase: Phase::Done(*value) })
            }
            _ => None,
        }
    }
}

impl Actor for Node {
    type Msg = Message;
    type State = State;
    type Timer = ();
    type Storage = ();
    type Random = ();

    fn on_start(&self, id: Id, _: &Option<()>, out: &mut Out<Self>) -> State {
        if usize::from(id) < self.replicas {
            return State::Replica((0, Id::from(0)), FIRST);
        }
        out.set_timer((), model_timeout());
        State::Client { operation: 0, phase: Phase::Idle }
    }

    /// A client begins its next operation.
    fn on_timeout(&self, _: Id, state: &mut Cow<'_, State>, (): &(), out: &mut Out<Self>) {
        let State::Client { operation, .. } = **state else { return };
        self.ask(&Message::Query(operation), out);
        *state = Cow::Owned(State::Client { operation, phase: Phase::Querying(BTreeMap::new()) });
    }

    fn on_msg(
        &self,
        id: Id,
        state: &mut Cow<'_, State>,
        from: Id,
        message: Message,
        out: &mut Out<Self>,
    ) {
        match (&**state, message) {
            (State::Replica(stamp, value), Message::Query(operation)) => {
                out.send(from, Message::Latest(operation, *stamp, *value));
            }
            (State::Replica(known, _), Message::Record(operation, stamp, value)) => {
                out.send(from, Message::Recorded(operation));
                if stamp > *known {
                    *state = Cow::Owned(State::Replica(stamp, value));
                }
            }
            (State::Client { operation, phase }, answer) => {
                if let Some(next) = self.hear(id, (*operation, phase), from, &answer, out)
                    && next != **state
                {
                    *state = Cow::Owned(next);
                }
            }
            (State::Replica(..), Message::Latest(..) | Message::Recorded(_)) => {}
        }
    }
}

/// Replicas have no names in what they say; stamps name clients, which are not interchangeable.
impl Rewrite<Id> for State {
    fn rewrite<S>(&self, plan: &RewritePlan<Id, S>) -> Self {
        let rewrite = |phase: &Phase| match phase {
            Phase::Querying(said) => {
                let said = said.iter().map(|(who, said)| (who.rewrite(plan), *said));
                Phase::Querying(said.collect())
            }
            Phase::Recording(by, value) => Phase::Recording(by.rewrite(plan), *value),
            Phase::Idle | Phase::Done(_) => phase.clone(),
        };
        match self {
            State::Replica(..) => self.clone(),
            State::Client { operation, phase } => {
                State::Client { operation: *operation, phase: rewrite(phase) }
            }
        }
    }
}

impl Rewrite<Id> for Message {
    fn rewrite<S>(&self, _: &RewritePlan<Id, S>) -> Self {
        self.clone()
    }
}

/// What clients have seen, which the ghost remembers.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(crate) struct History(LinearizabilityTester<Id, Register<Value>>);

impl Rewrite<Id> for History {
    fn rewrite<S>(&self, _: &RewritePlan<Id, S>) -> Self {
        self.clone()
    }
}

impl History {
    /// A client begins an operation, or ends one.
    fn observe(&mut self, node: &Node, change: &Change<'_, Node>) {
        let State::Client { phase: before, operation } = change.before.state else { return };
        let State::Client { phase: after, .. } = change.after.state else { return };
        let operation = node.operation_of(change.who, *operation);
        let noted = match (before, after) {
            (Phase::Idle | Phase::Done(_), Phase::Querying(_)) => {
                self.0.on_invoke(change.who, operation)
            }
            (Phase::Recording(..), Phase::Done(value)) => {
                let said = match operation {
                    RegisterOp::Write(_) => RegisterRet::WriteOk,
                    RegisterOp::Read => RegisterRet::ReadOk(*value),
                };
                self.0.on_return(change.who, said)
            }
            _ => return,
        };
        noted.expect("a client has one operation at a time");
    }
}

/// So many replicas, and clients with so many operations each.
pub(crate) fn world(replicas: usize, clients: usize, operations: u8) -> World<Node, History> {
    let node = Node { replicas, operations };
    let nodes = vec![node.clone(); replicas + clients];
    World::new(nodes)
        .ghost(History(LinearizabilityTester::new(Register(FIRST))), move |history, change| {
            history.observe(&node, change);
        })
        .always_ghost("linearizable", |history| history.0.is_consistent())
        .sometimes("what the first client wrote is read", move |view| {
            view.locals().skip(replicas + 1).any(|client| match client.state {
                State::Client { phase: Phase::Done(value), .. } => *value == 'A',
                _ => false,
            })
        })
}

#[allow(dead_code, reason = "a test includes this file and has no use for it")]
fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|number| number.parse().ok());
    let (replicas, clients) = (numbers.next().unwrap_or(3), numbers.next().unwrap_or(2));
    let operations = numbers.next().and_then(|number| number.try_into().ok()).unwrap_or(1);
    let checked = world(replicas, clients, operations).interchangeable(0..replicas).check();
    println!("{checked}");
    println!("{:.2} s", checked.report.elapsed.as_secs_f64());
}

//! Single-decree Paxos, after Lamport, "Paxos Made Simple" (2001), §2.2.
//!
//! The first actors are acceptors, which may crash and start again; the others are proposers, each with
//! a value of its own. Run it with the numbers of acceptors and proposers, and the highest ballot:
//! `cargo run --release --example paxos 3 2 4`.

use actorcheck::World;
use stateright::actor::{Actor, Id, Out, model_timeout};
use stateright::{Rewrite, RewritePlan};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

type Ballot = u32;
/// The number of the proposer that proposed it first.
type Value = usize;
/// A proposal that an acceptor has accepted.
type Accepted = Option<(Ballot, Value)>;

/// An acceptor or a proposer, by its number.
#[derive(Clone)]
pub(crate) struct Node {
    acceptors: usize,
    proposers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Message {
    /// Phase 1a.
    Prepare(Ballot),
    /// Phase 1b: a promise to accept nothing below the ballot, with what was accepted last.
    Promise(Ballot, Accepted),
    /// Phase 2a.
    Accept(Ballot, Value),
    /// Phase 2b.
    Accepted(Ballot),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum State {
    Acceptor { promised: Ballot, accepted: Accepted },
    Proposer { ballot: Ballot, phase: Phase },
}

/// Where a proposer is with its ballot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    Idle,
    /// The promises so far.
    Preparing(BTreeMap<Id, Accepted>),
    /// The acceptors that have accepted this value so far.
    Proposing(BTreeSet<Id>, Value),
    /// A majority has accepted it.
    Chosen(Value),
}

impl Node {
    fn is_majority(&self, acceptors: usize) -> bool {
        acceptors > self.acceptors / 2
    }

    fn ask(&self, message: Message, out: &mut Out<Self>) {
        (0..self.acceptors).for_each(|acceptor| out.send(Id::from(acceptor), message));
    }

    /// An acceptor answers a proposer.
    fn accept(
        (promised, accepted): (Ballot, Accepted),
        from: Id,
        message: Message,
        out: &mut Out<Self>,
    ) -> Option<State> {
        let (next, answer) = match message {
            Message::Prepare(ballot) if ballot > promised => {
                let next = State::Acceptor { promised: ballot, accepted };
                (next, Message::Promise(ballot, accepted))
            }
            Message::Accept(ballot, value) if ballot >= promised => {
                let accepted = Some((ballot, value));
                (State::Acceptor { promised: ballot, accepted }, Message::Accepted(ballot))
            }
            _ => return None,
        };
        // "An acceptor must remember" both, also across a crash, before it answers.
        out.save(next.clone());
        out.send(from, answer);
        Some(next)
    }

    /// A proposer hears an acceptor.
    fn propose(
        &self,
        id: Id,
        (ballot, phase): (Ballot, &Phase),
        from: Id,
        message: Message,
        out: &mut Out<Self>,
    ) -> Option<State> {
        let phase = match (phase, message) {
            (Phase::Preparing(promises), Message::Promise(to, accepted)) if to == ballot => {
                let mut promises = promises.clone();
                promises.insert(from, accepted);
                if self.is_majority(promises.len()) {
                    // "The value of the highest-numbered proposal among the responses", or its own.
                    let latest = promises.into_values().flatten().max();
                    let value = latest.map_or(usize::from(id), |(_, value)| value);
                    self.ask(Message::Accept(ballot, value), out);
                    Phase::Proposing(BTreeSet::new(), value)
                } else {
                    Phase::Preparing(promises)
                }
            }
            (Phase::Proposing(by, value), Message::Accepted(of)) if of == ballot => {
                let mut by = by.clone();
                by.insert(from);
                let is_chosen = self.is_majority(by.len());
                if is_chosen { Phase::Chosen(*value) } else { Phase::Proposing(by, *value) }
            }
            _ => return None,
        };
        Some(State::Proposer { ballot, phase })
    }
}

impl Actor for Node {
    type Msg = Message;
    type State = State;
    type Timer = ();
    type Storage = State;
    type Random = ();

    fn on_start(&self, id: Id, saved: &Option<State>, out: &mut Out<Self>) -> State {
        if usize::from(id) < self.acceptors {
            return saved.clone().unwrap_or(State::Acceptor { promised: 0, accepted: None });
        }
        out.set_timer((), model_timeout());
        State::Proposer { ballot: 0, phase: Phase::Idle }
    }

    /// A proposer begins its next ballot. No two proposers have a ballot in common.
    fn on_timeout(&self, id: Id, state: &mut Cow<'_, State>, (): &(), out: &mut Out<Self>) {
        let State::Proposer { ballot, .. } = **state else { return };
        let next = match ballot {
            0 => u32::try_from(usize::from(id) - self.acceptors + 1).unwrap_or(Ballot::MAX),
            ballot => ballot + u32::try_from(self.proposers).unwrap_or(Ballot::MAX),
        };
        self.ask(Message::Prepare(next), out);
        out.set_timer((), model_timeout());
        let phase = Phase::Preparing(BTreeMap::new());
        *state = Cow::Owned(State::Proposer { ballot: next, phase });
    }

    fn on_msg(
        &self,
        id: Id,
        state: &mut Cow<'_, State>,
        from: Id,
        message: Message,
        out: &mut Out<Self>,
    ) {
        let next = match &**state {
            State::Acceptor { promised, accepted } => {
                Self::accept((*promised, *accepted), from, message, out)
            }
            State::Proposer { ballot, phase } => {
                self.propose(id, (*ballot, phase), from, message, out)
            }
        };
        if let Some(next) = next.filter(|next| *next != **state) {
            *state = Cow::Owned(next);
        }
    }
}

/// Only proposers name acceptors. Values name proposers, which are not interchangeable.
impl Rewrite<Id> for State {
    fn rewrite<S>(&self, plan: &RewritePlan<Id, S>) -> Self {
        let rewrite = |phase: &Phase| match phase {
            Phase::Preparing(promises) => {
                let promises = promises.iter().map(|(who, said)| (who.rewrite(plan), *said));
                Phase::Preparing(promises.collect())
            }
            Phase::Proposing(by, value) => Phase::Proposing(by.rewrite(plan), *value),
            Phase::Idle | Phase::Chosen(_) => phase.clone(),
        };
        match self {
            State::Acceptor { .. } => self.clone(),
            State::Proposer { ballot, phase } => {
                State::Proposer { ballot: *ballot, phase: rewrite(phase) }
            }
        }
    }
}

impl Rewrite<Id> for Message {
    fn rewrite<S>(&self, _: &RewritePlan<Id, S>) -> Self {
        *self
    }
}

/// The value that a proposer knows to be chosen, if there is one.
fn chosen(state: &State) -> Option<Value> {
    match state {
        State::Proposer { phase: Phase::Chosen(value), .. } => Some(*value),
        State::Proposer { .. } | State::Acceptor { .. } => None,
    }
}

/// So many acceptors and proposers, with ballots up to the highest.
pub(crate) fn world(
    acceptors: usize,
    proposers: usize,
    highest: Ballot,
) -> World<Node, BTreeSet<Value>> {
    let nodes = (0..acceptors + proposers).map(|_| Node { acceptors, proposers });
    let named =
        |world: World<Node, _>, number| world.name(acceptors + number, format!("P{number}"));
    let world = (0..proposers).fold(World::new(nodes), named);
    world
        .restartable(0..acceptors)
        // Every value that was ever known to be chosen.
        .ghost(BTreeSet::new(), |values, change| values.extend(chosen(change.after.state)))
        .always_ghost("only a single value is chosen", |values| values.len() <= 1)
        .sometimes("the second proposer has its value chosen", move |view| {
            view.ghost.contains(&(acceptors + 1))
        })
        .bound("ballot", highest.into(), move |local| match local.state {
            State::Proposer { ballot, .. } => *ballot <= highest,
            State::Acceptor { .. } => true,
        })
}

#[allow(dead_code, reason = "a test includes this file and has no use for it")]
fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|number| number.parse::<usize>().ok());
    let (acceptors, proposers) = (numbers.next().unwrap_or(3), numbers.next().unwrap_or(2));
    let highest = numbers.next().and_then(|number| number.try_into().ok()).unwrap_or(4);
    // The ghost holds numbers of proposers, which acceptors' changing places does not rename.
    let checked = world(acceptors, proposers, highest).check();
    println!("{checked}");
    println!("{:.2} s", checked.report.elapsed.as_secs_f64());
}

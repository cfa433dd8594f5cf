//! Two-phase commit with recovery, after Gray and Lamport, "Consensus on Transaction Commit" (2006), §3.
//!
//! Actor 0 is the transaction manager, the others are resource managers. Everybody may crash and start
//! again from what it has saved. Run it with the number of resource managers:
//! `cargo run --release --example two_phase_commit 8`.

use actorcheck::{Group, Recovery, World};
use stateright::actor::{Actor, Id, Out, model_timeout};
use stateright::{Rewrite, RewritePlan};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The transaction manager.
const MANAGER: usize = 0;

/// What a server is, by its number, in a transaction of so many resource managers.
#[derive(Clone)]
pub(crate) struct Participant {
    resources: usize,
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Decision {
    Commit,
    Abort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Message {
    /// A resource manager is ready for either decision.
    Prepared,
    Decided(Decision),
}

/// What may happen by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A resource manager gets ready, and says so again and again until it knows the decision.
    Prepare,
    /// A resource manager that is not ready gives up, or the transaction manager does.
    GiveUp,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum State {
    /// The transaction manager: who is prepared, and what it has decided.
    Manager(BTreeSet<Id>, Option<Decision>),
    /// A resource manager: whether it is prepared, and how the transaction ended for it.
    Resource { is_prepared: bool, ended: Option<Decision> },
}

impl State {
    /// How the transaction ended for a resource manager.
    fn ended(&self) -> Option<Decision> {
        match self {
            State::Manager(..) => None,
            State::Resource { ended, .. } => *ended,
        }
    }
}

impl Participant {
    fn resources(&self) -> impl Iterator<Item = Id> {
        (MANAGER + 1..=self.resources).map(Id::from)
    }

    /// The decision is durable before anybody hears of it.
    fn decide(&self, state: &mut Cow<'_, State>, decision: Decision, out: &mut Out<Self>) {
        let State::Manager(_, decided) = state.to_mut() else { return };
        *decided = Some(decision);
        out.save(state.clone().into_owned());
        out.cancel_timer(Timer::GiveUp);
        self.resources().for_each(|resource| out.send(resource, Message::Decided(decision)));
    }
}

impl Actor for Participant {
    type Msg = Message;
    type State = State;
    type Timer = Timer;
    type Storage = State;
    type Random = ();

    fn on_start(&self, id: Id, saved: &Option<State>, out: &mut Out<Self>) -> State {
        let fresh = match usize::from(id) {
            MANAGER => State::Manager(BTreeSet::new(), None),
            _ => State::Resource { is_prepared: false, ended: None },
        };
        let state = saved.clone().unwrap_or(fresh);
        match &state {
            State::Manager(_, None) => out.set_timer(Timer::GiveUp, model_timeout()),
            State::Resource { is_prepared, ended: None } => {
                out.set_timer(Timer::Prepare, model_timeout());
                if !is_prepared {
                    out.set_timer(Timer::GiveUp, model_timeout());
                }
            }
            State::Manager(..) | State::Resource { .. } => {}
        }
        state
    }

    fn on_msg(
        &self,
        _: Id,
        state: &mut Cow<'_, State>,
        from: Id,
        message: Message,
        out: &mut Out<Self>,
    ) {
        match (&**state, message) {
            // Whoever asks again after a crash is told again.
            (State::Manager(_, Some(decision)), Message::Prepared) => {
                out.send(from, Message::Decided(*decision));
            }
            (State::Manager(prepared, None), Message::Prepared) if !prepared.contains(&from) => {
                let is_last = prepared.len() + 1 == self.resources;
                if let State::Manager(prepared, _) = state.to_mut() {
                    prepared.insert(from);
                }
                if is_last {
                    self.decide(state, Decision::Commit, out);
                }
            }
            (State::Resource { is_prepared, ended: None }, Message::Decided(decision)) => {
                let ended = State::Resource { is_prepared: *is_prepared, ended: Some(decision) };
                out.save(ended.clone());
                out.cancel_timer(Timer::Prepare);
                out.cancel_timer(Timer::GiveUp);
                *state = Cow::Owned(ended);
            }
            _ => {}
        }
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, State>, timer: &Timer, out: &mut Out<Self>) {
        match (&**state, timer) {
            (State::Manager(..), _) => self.decide(state, Decision::Abort, out),
            (State::Resource { is_prepared, .. }, Timer::Prepare) => {
                if !is_prepared {
                    let prepared = State::Resource { is_prepared: true, ended: None };
                    out.save(prepared.clone());
                    out.cancel_timer(Timer::GiveUp);
                    *state = Cow::Owned(prepared);
                }
                out.send(Id::from(MANAGER), Message::Prepared);
                out.set_timer(Timer::Prepare, model_timeout());
            }
            (State::Resource { .. }, Timer::GiveUp) => {
                let aborted = State::Resource { is_prepared: false, ended: Some(Decision::Abort) };
                out.save(aborted.clone());
                out.cancel_timer(Timer::Prepare);
                *state = Cow::Owned(aborted);
            }
        }
    }
}

impl Rewrite<Id> for State {
    fn rewrite<S>(&self, plan: &RewritePlan<Id, S>) -> Self {
        match self {
            State::Manager(prepared, decided) => State::Manager(prepared.rewrite(plan), *decided),
            State::Resource { .. } => self.clone(),
        }
    }
}

impl Rewrite<Id> for Message {
    fn rewrite<S>(&self, _: &RewritePlan<Id, S>) -> Self {
        *self
    }
}

impl Rewrite<Id> for Timer {
    fn rewrite<S>(&self, _: &RewritePlan<Id, S>) -> Self {
        *self
    }
}

/// A transaction of so many resource managers.
pub(crate) fn world(resources: usize) -> World<Participant, ()> {
    let all = 0..=resources;
    let participants = all.clone().map(|_| Participant { resources });
    let names = (1..=resources).fold(World::new(participants).name(MANAGER, "TM"), |world, n| {
        world.name(n, format!("RM{n}"))
    });
    names
        .restartable(all)
        .always_pair("nobody commits what another aborts", |(_, one), (_, other)| {
            let both = (one.state.ended(), other.state.ended());
            both != (Some(Decision::Commit), Some(Decision::Abort))
        })
        .always_each("whoever commits was prepared", |_, local| {
            let State::Resource { is_prepared, ended } = local.state else { return true };
            *is_prepared || *ended != Some(Decision::Commit)
        })
        .sometimes("all commit", move |view| {
            let resources = view.locals().skip(MANAGER + 1);
            resources.into_iter().all(|it| it.state.ended() == Some(Decision::Commit))
        })
}

/// Whether a group of actors can always end the transaction by itself.
#[allow(dead_code, reason = "the benchmark includes this file and does not ask")]
pub(crate) fn that_ends(
    world: World<Participant, ()>,
    group: Vec<usize>,
) -> World<Participant, ()> {
    world.recoverable(Recovery {
        groups: vec![Group::of(group.into_iter().map(Id::from))],
        recovered: Arc::new(|_, _, now| {
            let resources = now.iter().filter(|(id, _)| usize::from(*id) != MANAGER);
            resources.into_iter().all(|(_, local)| local.state.ended().is_some())
        }),
        within: Arc::new(|_, _, _| true),
        acts: None,
    })
}

#[allow(dead_code, reason = "a test includes this file and has no use for it")]
fn main() {
    let resources = std::env::args().nth(1).and_then(|number| number.parse().ok()).unwrap_or(5);
    let checked = world(resources).interchangeable(1..=resources).check();
    println!("{checked}");
    println!("{:.2} s", checked.report.elapsed.as_secs_f64());
}

//! A counterexample to induction in words: the state before, the step, and the state after.

use super::history::World;
use super::step::{Envelope, Event, Failure, handle};
use super::variables::{CLIENT, id};
use crate::kv::Kv;
use crate::models::ClusterAction;
use crate::models::process::{Process, ProcessState};
use crate::models::text::Text;
use actorcheck::Event as Happening;
use stateright::actor::Id;
use std::collections::BTreeSet;
use std::fmt::Write;

/// The lines that tell a failure of server 0.
pub fn failure(actor: &Process, failure: &Failure) -> Vec<String> {
    let servers = failure.before.servers;
    let text = Text::<Kv>::named(|id| {
        if usize::from(id) < CLIENT { format!("S{}", usize::from(id)) } else { "client".to_owned() }
    });
    let mut lines = vec!["before:".to_owned()];
    lines.extend(world(&failure.before));
    let in_flight = failure.message.as_ref().map(|it| tell(&text, it));
    let local = &failure.before.locals[0];
    lines.push(format!("step: {}", text.event(&action(failure))));
    if let Some(handled) = handle(actor, 0, servers, local, &failure.event) {
        let before = ProcessState::Server(local.server(0, servers));
        let change = text.change(Id::from(0), &before, &handled.state);
        lines.push(format!("  {}", change.unwrap_or_else(|| "S0 stays as it is".to_owned())));
        let sent = text.all_sent(Id::from(0), &handled.out);
        lines.extend(sent.iter().map(|line| format!("  {line}")));
    }
    lines.push("after:".to_owned());
    lines.extend(world(&failure.after));
    lines.push(format!("broken: {}", failure.conjunct.name()));
    lines.extend(in_flight.map(|message| format!("  by the message {message}")));
    lines
}

fn tell(text: &Text<'_>, envelope: &Envelope) -> String {
    text.sent(id(envelope.src), &BTreeSet::from([id(envelope.dst)]), &envelope.msg)
}

fn action(failure: &Failure) -> ClusterAction {
    let event = match &failure.event {
        Event::Restart => Happening::Restart,
        Event::Timeout(timer) => Happening::Timeout((*timer).into()),
        Event::Request => {
            let msg = Event::request(&failure.before.locals[0]);
            Happening::Deliver { src: Id::from(CLIENT), msg }
        }
        Event::Deliver(envelope) => {
            Happening::Deliver { src: id(envelope.src), msg: envelope.msg.clone() }
        }
    };
    ClusterAction { who: Id::from(0), event }
}

/// A line for each server, and one for each term of the history.
fn world(world: &World) -> Vec<String> {
    let mut lines: Vec<_> = world
        .all()
        .map(|(who, local)| format!("  S{who} {:?}", local.server(who, world.servers)))
        .collect();
    for term in 1..world.history.elected.len() {
        let mut parts = Vec::new();
        if let Some(elected) = &world.history.elected[term] {
            parts.push(format!("S{} was elected, its log was {:?}", elected.leader, elected.log));
        }
        for who in 0..world.servers {
            if let Some(vote) = world.history.votes[term][who] {
                parts.push(format!("S{who} voted for S{vote}"));
            }
            let acked = world.history.acked[term][who];
            if acked > 0 {
                parts.push(format!("S{who} acknowledged {acked}"));
            }
        }
        if !parts.is_empty() {
            let mut line = String::new();
            let _ = write!(line, "  in term {term}: {}", parts.join(", "));
            lines.push(line);
        }
    }
    lines
}

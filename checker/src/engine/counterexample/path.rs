//! Makes a path of actions from the steps that a search by levels has found.
//!
//! The search takes message-only steps at once and does not note them. So [`actions`] goes along the steps
//! once more, and puts a message-only step before the first step that needs a message of it.

use crate::engine::ids::{LocalId, MessageId, Number, Slot, StepId};
use crate::engine::shared::AtViolation;
use crate::engine::tables::{StepEvent, Tables};
use crate::engine::tuple::Tuple;
use crate::view::{Checkable, Ghostly};
use crate::world::{Action, ActionOf};
use std::collections::BTreeMap;

/// A step by its actor and number.
pub(super) type StepOf = (Slot, StepId);

/// The origin of a message.
#[derive(Clone, Copy)]
enum Origin {
    /// The message was there at the start, or a step of the path sends it.
    Path,
    /// This message-only step sends the message. It is taken before the path's step of that number.
    Quiet(usize, StepOf),
}

/// The path as actions, with the message-only steps that it needs.
pub(super) fn actions<A: Checkable, G: Ghostly>(
    tables: &Tables<'_, A, G>,
    start: Tuple<'_>,
    messages: &[(Slot, MessageId)],
    path: &[StepOf],
    at_violation: AtViolation,
) -> Vec<ActionOf<A>> {
    let mut locals: Vec<_> = start.locals().map(|(_, local)| local).collect();
    let mut origins: BTreeMap<(Slot, MessageId), Origin> =
        messages.iter().map(|message| (*message, Origin::Path)).collect();
    let mut befores: Vec<Vec<StepOf>> = Vec::new();
    let mut at = Vec::new();
    for (position, (who, step)) in path.iter().enumerate() {
        befores.push(Vec::new());
        at.push(locals.clone());
        saturate(tables, &locals, position, at_violation, &mut origins);
        let record = &tables.steps[step.index()];
        need(tables, &origins, *who, *step, &mut befores);
        for sent in record.sent.iter() {
            origins.entry(*sent).or_insert(Origin::Path);
        }
        locals[who.index()] = record.next;
    }
    let mut actions = Vec::new();
    for (position, step) in path.iter().enumerate() {
        for (who, step) in befores[position].iter().chain([step]) {
            let record = &tables.steps[step.index()];
            let event = tables.event(*who, at[position][who.index()], record.event);
            actions.push(Action { who: who.id(), event });
        }
    }
    actions
}

/// Notes the messages that message-only steps can send at this position of the path.
fn saturate<A: Checkable, G: Ghostly>(
    tables: &Tables<'_, A, G>,
    locals: &[LocalId],
    position: usize,
    at_violation: AtViolation,
    origins: &mut BTreeMap<(Slot, MessageId), Origin>,
) {
    loop {
        let before = origins.len();
        for (who, local) in Slot::all().zip(locals) {
            let row = &tables.actors[who.index()].rows[local.index()];
            let known = origins.range((who, MessageId::of(0))..);
            let known = known.take_while(|((to, _), _)| *to == who);
            let replies = known.filter_map(|((_, message), _)| row.step(*message));
            let spontaneous = row.spontaneous.iter().flatten().copied();
            for step in spontaneous.chain(replies).collect::<Vec<_>>() {
                let record = &tables.steps[step.index()];
                if record.change.is_none()
                    && (at_violation == AtViolation::GoOn || record.broken == 0)
                {
                    for sent in record.sent.iter() {
                        origins.entry(*sent).or_insert(Origin::Quiet(position, (who, step)));
                    }
                }
            }
        }
        if origins.len() == before {
            return;
        }
    }
}

/// Puts each message-only step that a step needs at a position where it can be taken.
fn need<A: Checkable, G: Ghostly>(
    tables: &Tables<'_, A, G>,
    origins: &BTreeMap<(Slot, MessageId), Origin>,
    who: Slot,
    step: StepId,
    befores: &mut Vec<Vec<StepOf>>,
) {
    let StepEvent::Deliver(message) = tables.steps[step.index()].event else { return };
    let origin = origins.get(&(who, message)).expect("what is delivered was sent");
    if let Origin::Quiet(position, quiet) = *origin
        && !befores[position].contains(&quiet)
    {
        need(tables, origins, quiet.0, quiet.1, befores);
        befores[position].push(quiet);
    }
}

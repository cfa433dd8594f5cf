//! Checks that a hypothesis does not tell interchangeable actors apart.
//!
//! The search tries a message also on a local state that it does not meet. The outcome is not interned, so it
//! cannot be renamed and compared. This module compares the conclusions instead: which messages matter, and
//! which are one. It need not compare the messages that soft messages make an actor send, because steps send
//! those, and steps are compared.

use super::relevance::Relevance;
use crate::engine::bits::{Messages, numbers};
use crate::engine::ids::{LocalId, MessageId, Number, PermutationId, Slot};
use crate::engine::tables::{Memo, StepEvent, Tables};
use crate::run::Lookout;
use crate::view::{Checkable, Ghostly};

/// Compares the hypothesis about each local state with the hypothesis about its images. It is enough to do so
/// for permutations that generate the group. For in a circle of renamings, sets that are each contained in
/// the next are equal.
///
/// # Panics
/// If they differ. Then handlers, or properties of outputs, tell actors apart that the world's symmetry makes
/// interchangeable. Perhaps they do so only in states that the search never reaches.
///
/// # Errors
/// The limit that was reached before everything was compared.
pub(super) fn check<A: Checkable, G: Ghostly>(
    relevance: &Relevance,
    tables: &Tables<'_, A, G>,
    lookout: &Lookout<'_>,
) -> Result<(), &'static str> {
    for n in tables.group.generators() {
        for who in Slot::first(relevance.locals.len()) {
            if let Some(reason) = lookout.reached() {
                return Err(reason);
            }
            compare(relevance, tables, *n, who);
        }
    }
    Ok(())
}

fn compare<A: Checkable, G: Ghostly>(
    relevance: &Relevance,
    tables: &Tables<'_, A, G>,
    n: PermutationId,
    who: Slot,
) {
    let image = |message: &MessageId| tables.message_image(n, who, *message);
    let outside = |here: &Messages, there: &Messages| {
        numbers(here.words()).find(|message| !there.has(image(message)))
    };
    // Each pair of partitions is compared once, because there are few partitions.
    let mut compared = Memo::default();
    for (local, here) in LocalId::all().zip(&relevance.locals[who.index()]) {
        let Some(here) = here else { continue };
        let (to, local_there) = tables.local_image(n, who, local);
        let there = relevance.locals[to.index()].get(local_there.index()).and_then(Option::as_ref);
        let there = there.expect("with a local state all that it can be renamed to is reached");
        let told_apart = || {
            let [here, there] =
                [here, there].map(|local| relevance.partitions.get(local.partition));
            let is_one = |message: &MessageId| {
                there.of(image(message)) == there.of(image(&here.of(*message)))
            };
            numbers(here.renamed().words()).find(|message| !is_one(message))
        };
        let differs = outside(&here.hard, &there.hard)
            .or_else(|| outside(&here.conditional, &there.conditional))
            .or_else(|| {
                *compared.entry((here.partition, there.partition)).or_insert_with(told_apart)
            });
        if let Some(message) = differs {
            let state = &tables.actors[who.index()].locals.get(local).state;
            let (event, names) = (
                tables.event(who, local, StepEvent::Deliver(message)),
                tables.group.permutation(n),
            );
            let who = who.index();
            panic!(
                "the actors are not interchangeable as the world's `symmetry` says: to actor {who} in {state:?}, \
                 or in what that can become, something else matters than when renamed by {names:?}, {event:?}"
            );
        }
    }
}

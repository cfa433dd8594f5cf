//! A hypothesis must not tell interchangeable actors apart.
//!
//! What a message would do to a local state that it does not meet is not interned, renamed and compared. But
//! what is thought because of it, which messages matter and which are one, is compared here. (Not what soft
//! messages make an actor send: that is sent by steps, which are compared.)

use super::bits::{Bits, numbers};
use super::relevance::Relevance;
use super::tables::{Memo, StepEvent, Tables};
use crate::checker::run::Lookout;
use crate::checker::view::{Checkable, Ghostly};

/// Compares what is thought of each local state with what is thought of those that it can be renamed to. It
/// is enough to do so for permutations that generate the group: in a circle of renamings what is part of
/// the next is the same.
///
/// # Panics
/// If they differ: then handlers, or properties of outputs, tell apart actors that the world's symmetry says
/// are interchangeable, be it only where nothing ever comes to.
///
/// # Errors
/// The limit that was reached before all was compared.
pub(super) fn check<A: Checkable, G: Ghostly>(
    relevance: &Relevance,
    tables: &Tables<'_, A, G>,
    lookout: &Lookout<'_>,
) -> Result<(), &'static str> {
    for n in tables.group.generators() {
        for who in 0..relevance.locals.len() {
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
    n: usize,
    who: usize,
) {
    let image = |message: &u32| tables.message_image(n, who, *message);
    let outside = |here: &Bits, there: &Bits| {
        numbers(here.words()).find(|message| !there.has(image(message)))
    };
    // There are few partitions.
    let mut compared = Memo::default();
    for (local, here) in (0..).zip(&relevance.locals[who]) {
        let Some(here) = here else { continue };
        let (to, local_there) = tables.local_image(n, who, local);
        let there = relevance.locals[to].get(local_there as usize).and_then(Option::as_ref);
        let there = there.expect("with a local state all that it can be renamed to is reached");
        let told_apart = || {
            let [here, there] =
                [here, there].map(|local| relevance.partitions.get(local.partition));
            let is_one =
                |message: &u32| there.of(image(message)) == there.of(image(&here.of(*message)));
            numbers(here.renamed().words()).find(|message| !is_one(message))
        };
        let differs = outside(&here.hard, &there.hard)
            .or_else(|| outside(&here.conditional, &there.conditional))
            .or_else(|| {
                *compared.entry((here.partition, there.partition)).or_insert_with(told_apart)
            });
        if let Some(message) = differs {
            let state = &tables.actors[who].locals.get(local).state;
            let (event, names) = (
                tables.event(who, local, StepEvent::Deliver(message)),
                tables.group.permutation(n),
            );
            panic!(
                "the actors are not interchangeable as the world's `symmetry` says: to actor {who} in {state:?}, \
                 or in what that can become, something else matters than when renamed by {names:?}, {event:?}"
            );
        }
    }
}

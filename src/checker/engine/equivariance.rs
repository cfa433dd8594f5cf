//! A hypothesis must not tell interchangeable actors apart.
//!
//! What a message would do where the two do not meet is not interned, so it is not renamed and compared. But
//! it says which messages matter and which are one: and that is compared here.

use super::bits::{Bits, numbers};
use super::relevance::Relevance;
use super::tables::{Memo, Tables};
use crate::checker::view::{Checkable, Ghostly};

/// Compares what is thought of each local state with what is thought of those that it can be renamed to. It
/// is enough to do so for permutations that generate the group: in a circle of renamings what is part of
/// the next is the same.
///
/// # Panics
/// If they differ, for then the world's symmetry is wrong.
pub(super) fn check<A: Checkable, G: Ghostly>(relevance: &Relevance, tables: &Tables<'_, A, G>) {
    for n in tables.group.generators() {
        for who in 0..relevance.locals.len() {
            compare(relevance, tables, *n, who);
        }
    }
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
        assert!(differs.is_none(), "{}", tables.asymmetry(n, who, local, differs));
    }
}

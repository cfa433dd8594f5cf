//! The models by a plain checker that shares no code with the engine: both reach one set of tuples, with one
//! verdict, and equally many maximal sets of messages where the engine leaves out nothing.
//!
//! `cargo test` does so for the small models. `PLAIN=all cargo test --release --test plain` also does the
//! models in [`LARGER`], which takes a quarter of an hour.

#[path = "../checker/tests/plain/mod.rs"]
mod plain;

use actorcheck::engine::{explore_and_visit, explore_plainly};
use actorcheck::{Limits, PropertyResult, Verdict, World};
use checked_raft::models::catalogue::catalogue;
use checked_raft::models::{Effort, Spec};
use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

/// A model with at most so many tuples is small.
const SMALL: u64 = 20_000;

/// The models that the plain checker has done, in up to ten minutes each.
const LARGER: [&str; 6] =
    ["late-ack", "fragments-3", "two-terms", "three-terms", "four-servers", "two-sessions"];

/// The quick and long models that the plain checker has not done. The first ten have more than 200,000
/// maximal states each without reductions, and the others have not been tried. Nor has it done a deep model.
const NOT_DONE: [&str; 24] = [
    "five-servers",
    "command",
    "three-terms-restarts",
    "command-asking-all",
    "four-servers-restarts",
    "batches",
    "two-terms-deployed",
    "three-terms-deployed",
    "command-deployed",
    "command-asking-all-deployed",
    "snapshot-terms-restarts",
    "snapshot-three-terms",
    "snapshot-pieces-three",
    "snapshot-reads",
    "snapshot-deployed",
    "read",
    "read-rounds",
    "read-terms",
    "read-late-answers",
    "pre-vote",
    "check-quorum",
    "snapshot-undisturbed",
    "transfer",
    "transfer-snapshot",
];

/// Compares the searches of one model.
fn compare(spec: &Spec) {
    let world = || World { symmetry: None, recovery: None, ..spec.cluster() };
    let plain = plain::search(&world(), usize::MAX).expect("there is no limit");
    let mut met = BTreeSet::new();
    let report = explore_and_visit(&world(), &Limits::unlimited(2), &[4, 16], &mut |view| {
        let number = plain.number(view);
        met.insert(number.unwrap_or_else(|| panic!("{}: only the engine gets there", spec.name)));
    });
    assert_eq!(met.len(), plain.tuples(), "{}: the engine misses some", spec.name);
    assert_eq!((plain.tuples() as u64, report.states), spec.tuples, "{}", spec.name);
    assert_eq!(report.verdict, Verdict::Exhaustive, "{}", spec.name);
    assert_eq!(plain.violated, BTreeSet::new(), "{}", spec.name);
    let witnessed = report.properties.iter();
    let witnessed = witnessed.filter(|property| property.result == PropertyResult::Witnessed);
    let witnessed: BTreeSet<_> = witnessed.map(|property| property.name).collect();
    assert_eq!(plain.witnessed, witnessed, "{}", spec.name);
    let never = AtomicBool::new(false);
    let whole = explore_plainly(&world(), &Limits::unlimited(2), &never, &mut |_| {});
    assert_eq!(plain.states as u64, whole.states, "{}: maximal states", spec.name);
    println!("{:22} {:7} tuples, {:8} maximal states", spec.name, plain.tuples(), plain.states);
}

#[test]
fn a_plain_checker_reaches_what_the_engine_reaches() {
    let all = std::env::var_os("PLAIN").is_some();
    let models: Vec<_> =
        catalogue().into_iter().filter(|spec| spec.effort != Effort::Deep).collect();
    let (small, rest): (Vec<_>, Vec<_>) = models.iter().partition(|spec| spec.tuples.0 <= SMALL);
    let of_rest: BTreeSet<_> = rest.iter().map(|spec| spec.name).collect();
    let named: BTreeSet<_> = LARGER.into_iter().chain(NOT_DONE).collect();
    assert_eq!(of_rest, named, "each model is small, in `LARGER` or in `NOT_DONE`");
    let larger = rest.into_iter().filter(|spec| all && LARGER.contains(&spec.name));
    let compared: Vec<_> = small.into_iter().chain(larger).collect();
    for spec in &compared {
        compare(spec);
    }
    println!("{} of {} models were confirmed", compared.len(), models.len());
    assert!(compared.len() >= 27, "only {} models are compared", compared.len());
}

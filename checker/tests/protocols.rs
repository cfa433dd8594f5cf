//! Checks protocols of other people in three ways: with the antichain engine, with that engine without its
//! reductions, and with stateright's breadth-first search. All must find one set of tuples, and one verdict.

mod common;

#[path = "../examples/abd.rs"]
mod abd;
#[path = "../examples/paxos.rs"]
mod paxos;
#[path = "../examples/two_phase_commit.rs"]
mod two_phase_commit;

use actorcheck::engine::{explore_and_visit, explore_plainly};
use actorcheck::{
    Checkable, Ghostly, Limits, PropertyResult, RECOVERABILITY, Report, Verdict, World,
};
use common::full_search::{Tuples, by_stateright, tuple};
use std::sync::atomic::AtomicBool;

fn results(report: &Report) -> Vec<(&'static str, PropertyResult)> {
    report.properties.iter().map(|property| (property.name, property.result)).collect()
}

fn number_of_tuples(report: &Report) -> u64 {
    report.tuples.expect("it counts tuples").tuples
}

/// Asserts that all searches of a world agree, and returns the number of its tuples.
#[track_caller]
fn searched<A: Checkable, G: Ghostly>(
    world: impl Fn() -> World<A, G>,
    with_symmetry: impl Fn() -> World<A, G>,
) -> u64 {
    let (theirs, met) = by_stateright(world());
    assert_eq!(theirs.verdict, Verdict::Exhaustive);
    let mut tuples = Tuples::new();
    let limits = Limits::unlimited(2);
    let ours = explore_and_visit(&world(), &limits, &[4, 16], &mut |view| {
        tuples.insert(tuple(view));
    });
    assert_eq!(ours.verdict, Verdict::Exhaustive);
    assert!(tuples == met, "ours and theirs: {} and {}", tuples.len(), met.len());
    let never = AtomicBool::new(false);
    let plain = explore_plainly(&world(), &limits, &never, &mut |_| {});
    let symmetric = with_symmetry().check();
    for other in [&plain, &symmetric.report] {
        assert_eq!(results(other), results(&ours));
        assert_eq!(number_of_tuples(other), tuples.len() as u64);
    }
    // stateright's search was also asked "it is recorded", after all other properties of states.
    let judged = results(&theirs).into_iter().filter(|(name, _)| *name != "it is recorded");
    assert_eq!(judged.collect::<Vec<_>>(), results(&ours));
    tuples.len() as u64
}

#[test]
fn two_phase_commit_is_atomic() {
    let world = || two_phase_commit::world(3);
    let tuples = searched(world, || world().interchangeable(1..=3));
    assert!(tuples > 100, "{tuples}");
}

#[test]
fn two_phase_commit_of_six_is_exhausted() {
    two_phase_commit::world(6).check().assert_exhaustive();
}

#[test]
fn two_phase_commit_ends_if_all_are_there_and_blocks_without_its_manager() {
    let ending = |group| two_phase_commit::that_ends(two_phase_commit::world(3), group).check();
    ending(vec![0, 1, 2, 3]).assert_exhaustive();
    let blocked = ending(vec![1, 2, 3]);
    assert_eq!(blocked.report.violated(), [RECOVERABILITY]);
    blocked.assert_violated(RECOVERABILITY);
}

#[test]
fn the_register_of_attiya_bar_noy_and_dolev_is_linearizable() {
    let world = || abd::world(2, 2, 1);
    let tuples = searched(world, || world().interchangeable(0..2));
    assert!(tuples > 100, "{tuples}");
}

#[test]
fn paxos_chooses_a_single_value() {
    let world = || paxos::world(2, 2, 3);
    let tuples = searched(world, || world().interchangeable(0..2));
    assert!(tuples > 100, "{tuples}");
}

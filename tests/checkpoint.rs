//! A search that is put down and taken up again finds what one finds that goes through.

use actorcheck::engine::{CheckpointError, Checkpoints, explore_with_checkpoints};
use actorcheck::{Engine, Limits, PropertyResult, Report, Verdict, run};
use checked_raft::models::catalogue::find;
use checked_raft::models::mutants;
use checked_raft::models::{Cluster, Spec};
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const NEVER: Duration = Duration::from_hours(1);

fn checkpoints(path: &Path, resume: bool) -> Checkpoints {
    let identity = "this model, by this build".to_owned();
    Checkpoints { path: path.to_owned(), every: NEVER, resume, identity }
}

/// Searches until so many states are stored, with so many threads.
fn explore(
    world: &Cluster,
    checkpoints: &Checkpoints,
    max_states: Option<u64>,
    threads: usize,
) -> Result<Report, CheckpointError> {
    let limits = Limits { max_states, ..Limits::unlimited(threads) };
    let never = AtomicBool::new(false);
    let (report, trouble) =
        explore_with_checkpoints(world, &limits, checkpoints, &never, &mut |_| {})?;
    trouble.map_or(Ok(report), Err)
}

fn counts(report: &Report) -> (u64, u64) {
    (report.tuples.expect("the antichain engine counts tuples").tuples, report.states)
}

/// What is known of each property.
fn results(report: &Report) -> Vec<(&'static str, PropertyResult)> {
    report.properties.iter().map(|property| (property.name, property.result)).collect()
}

/// A model that takes a moment: with symmetry, ghosts, restarts and two rounds now and then.
fn two_terms() -> Spec {
    find("two-terms").expect("it is in the catalogue")
}

#[test]
fn a_search_that_is_taken_up_again_and_again_counts_like_one_that_goes_through() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("search");
    let spec = two_terms();
    let unlimited = Limits::unlimited(2);
    let never = AtomicBool::new(false);
    let through = run(spec.cluster(), Engine::Antichain, &unlimited, &never, &mut |_| {});
    for threads in [1, 2] {
        let mut sittings = 0;
        let mut limit = 500;
        let report = loop {
            let saved = checkpoints(&path, sittings > 0);
            let report = explore(&spec.cluster(), &saved, Some(limit), threads).unwrap();
            sittings += 1;
            if report.verdict != Verdict::Bounded {
                break report;
            }
            assert!(path.exists(), "it was saved");
            limit = report.states + 1_500;
        };
        assert!(sittings > 3, "it was taken up {sittings} times");
        assert_eq!(report.verdict, Verdict::Exhaustive);
        assert_eq!(counts(&report), spec.tuples);
        assert_eq!(results(&report), results(&through), "what was witnessed before, too");
        assert!(!path.exists(), "what has ended is not taken up");
    }
}

#[test]
fn a_search_that_is_saved_all_the_time_counts_like_one_that_is_not() {
    let directory = tempfile::tempdir().expect("there is room");
    let spec = two_terms();
    let often = Checkpoints {
        every: Duration::from_millis(20),
        ..checkpoints(&directory.path().join("search"), false)
    };
    let limits = Limits::unlimited(2);
    let (never, mut was_saved) = (AtomicBool::new(false), false);
    let mut look = |_| was_saved |= often.path.exists();
    let (report, trouble) =
        explore_with_checkpoints(&spec.cluster(), &limits, &often, &never, &mut look).unwrap();
    assert!(trouble.is_none() && was_saved);
    assert_eq!((report.verdict, counts(&report)), (Verdict::Exhaustive, spec.tuples));
}

/// When all tuples are known it is asked whether each is a dead end; a search that is ended there is taken up
/// again there.
#[test]
fn a_search_that_is_ended_while_it_looks_for_dead_ends_is_taken_up_again() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("search");
    let spec = two_terms();
    let interrupted = Arc::new(AtomicBool::new(false));
    let mut world = spec.cluster();
    let mut recovery = world.recovery.take().expect("it is asked");
    let (recovered, interrupts) = (Arc::clone(&recovery.recovered), Arc::clone(&interrupted));
    recovery.recovered = Arc::new(move |group, start, now| {
        interrupts.store(true, Ordering::Relaxed);
        recovered(group, start, now)
    });
    world.recovery = Some(recovery);
    let limits = Limits::unlimited(1);
    let saved = checkpoints(&path, false);
    let (report, trouble) =
        explore_with_checkpoints(&world, &limits, &saved, &interrupted, &mut |_| {}).unwrap();
    assert!(trouble.is_none());
    assert_eq!((report.verdict, report.ended_by), (Verdict::Bounded, Some("an interruption")));
    assert_eq!(counts(&report), spec.tuples, "it was ended after the search");
    let report = explore(&spec.cluster(), &checkpoints(&path, true), None, 2).unwrap();
    assert_eq!((report.verdict, counts(&report)), (Verdict::Exhaustive, spec.tuples));
}

#[test]
fn a_violation_is_found_after_the_search_was_taken_up() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("search");
    let mutant = mutants::find("commit-older-term").expect("it is in the list");
    let world = mutant.spec.mutated(mutant.fault, mutant.caught_by);
    let limits = Limits { max_time: Some(Duration::ZERO), ..Limits::unlimited(1) };
    let (never, saved) = (AtomicBool::new(false), checkpoints(&path, false));
    // It may be found before anybody looks at the clock: then it is begun again.
    let begin =
        || explore_with_checkpoints(&world, &limits, &saved, &never, &mut |_| {}).unwrap().0;
    let first = (0..100).map(|_| begin()).find(|report| report.verdict == Verdict::Bounded);
    assert!(first.is_some() && path.exists());
    let report = explore(&world, &checkpoints(&path, true), None, 1).unwrap();
    assert_eq!(report.violated(), [mutant.caught_by]);
    assert!(!path.exists());
}

/// A checkpoint of a search that is far from its end.
fn begun(path: &Path) -> Spec {
    let spec = two_terms();
    let report = explore(&spec.cluster(), &checkpoints(path, false), Some(3_000), 1).unwrap();
    assert_eq!(report.verdict, Verdict::Bounded);
    spec
}

#[test]
fn a_checkpoint_of_something_else_is_refused() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("search");
    let spec = begun(&path);
    let other_build = Checkpoints { identity: "another".to_owned(), ..checkpoints(&path, true) };
    let refused = explore(&spec.cluster(), &other_build, None, 1).unwrap_err();
    assert!(matches!(refused, CheckpointError::Foreign { .. }), "{refused}");
    // The same identity for another model: its handlers do other things.
    for other in [Spec { servers: 4, ..spec.clone() }, Spec { restarts: false, ..spec.clone() }] {
        let refused = explore(&other.cluster(), &checkpoints(&path, true), None, 1).unwrap_err();
        assert!(matches!(refused, CheckpointError::Foreign { .. }), "{refused}");
    }
    let missing = checkpoints(&directory.path().join("nothing"), true);
    let refused = explore(&spec.cluster(), &missing, None, 1).unwrap_err();
    assert!(refused.to_string().contains("without resuming"), "{refused}");
    assert!(explore(&spec.cluster(), &checkpoints(&path, true), None, 1).is_ok());
}

#[test]
fn a_checkpoint_is_not_overwritten_by_another_search() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("search");
    let spec = begun(&path);
    let before = std::fs::read(&path).unwrap();
    let refused = explore(&spec.cluster(), &checkpoints(&path, false), None, 1).unwrap_err();
    assert!(refused.to_string().contains("resume it"), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_checkpoint_that_cannot_be_written_any_more_does_not_end_the_search() {
    let directory = tempfile::tempdir().expect("there is room");
    let inside = directory.path().join("directory");
    std::fs::create_dir(&inside).unwrap();
    let spec = two_terms();
    let nowhere = checkpoints(&inside.join("search"), false);
    let limits = Limits { max_states: Some(500), ..Limits::unlimited(1) };
    let never = AtomicBool::new(false);
    let mut remove = |_| {
        let _ = std::fs::remove_dir(&inside);
    };
    let (report, trouble) =
        explore_with_checkpoints(&spec.cluster(), &limits, &nowhere, &never, &mut remove).unwrap();
    assert_eq!(report.verdict, Verdict::Bounded);
    assert!(trouble.expect("it says so").to_string().contains("went on without it"));
}

/// Not when it has run for hours.
#[test]
fn a_checkpoint_that_cannot_be_written_is_refused_before_the_search_begins() {
    let directory = tempfile::tempdir().expect("there is room");
    let spec = two_terms();
    let nowhere = checkpoints(&directory.path().join("no directory").join("search"), false);
    let limits = Limits::unlimited(1);
    let (never, mut looks) = (AtomicBool::new(false), 0);
    let mut look = |_| looks += 1;
    let refused = explore_with_checkpoints(&spec.cluster(), &limits, &nowhere, &never, &mut look)
        .unwrap_err();
    assert!(refused.to_string().contains("name a file in a directory that is there"), "{refused}");
    assert_eq!(looks, 0, "it has not begun");
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("search");
    let spec = begun(&path);
    let whole = std::fs::read(&path).unwrap();
    let world = spec.cluster();
    let damage = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let refused = explore(&world, &checkpoints(&path, true), Some(1), 1).unwrap_err();
        assert!(matches!(refused, CheckpointError::Damaged { .. }), "{refused}");
    };
    damage(&[]);
    damage(b"actorcheck ckpt7");
    damage(&[&b"raft checkpoint4"[..], &whole[16..]].concat());
    proptest!(ProptestConfig::with_cases(64), |(at in 0..whole.len(), bit in 0..8_u32)| {
        let mut flipped = whole.clone();
        flipped[at] ^= 1_u8 << bit;
        damage(&flipped);
        damage(&whole[..at]);
    });
}

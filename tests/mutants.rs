//! The mutants: each falls, by the property that must catch it, in so many steps; and without its bug
//! the model of a mutant holds.

use checked_raft::checker::search::{Outcome, shortest};
use checked_raft::checker::{Engine, Limits, RECOVERABILITY, Verdict, run};
use checked_raft::models::catalogue::catalogue;
use checked_raft::models::mutants::{self, Fault, MutantSpec};
use checked_raft::models::{Cluster, Spec};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;

/// Every mutant, and the length of its shortest counterexample.
const STEPS: [(&str, usize); 70] = [
    ("count-stale-vote", 7),
    ("count-duplicate-votes", 8),
    ("half-elects", 6),
    ("vote-for-stale-log", 4),
    ("vote-by-length", 9),
    ("refused-vote-is-kept", 5),
    ("vote-for-everybody", 3),
    ("vote-in-an-earlier-term", 4),
    ("self-vote-not-recorded", 6),
    ("vote-freed-by-a-leader", 7),
    ("vote-freed-by-stepping-down", 5),
    ("term-goes-backwards", 4),
    ("once-a-leader", 7),
    ("impersonated-leader", 4),
    ("reply-of-an-old-term", 2),
    ("election-timer-not-rearmed", 1),
    ("commit-older-term", 7),
    ("commit-without-majority", 3),
    ("commit-unsorted", 3),
    ("truncate-always", 9),
    ("conflicting-tail-kept", 2),
    ("append-twice", 5),
    ("append-without-check", 2),
    ("append-from-an-earlier-term", 2),
    ("gap-in-append", 6),
    ("commit-unclamped", 10),
    ("commit-on-refusal", 7),
    ("commit-goes-backwards", 8),
    ("applied-before-committed", 3),
    ("match-from-refusal", 3),
    ("match-goes-backwards", 9),
    ("match-not-reset", 3),
    ("count-stale-ack", 3),
    ("next-below-match", 6),
    ("roll-back-on-new-term", 3),
    ("deposed-leader-appends", 7),
    ("leader-erases-entry", 5),
    ("vote-not-persisted", 7),
    ("term-not-persisted", 7),
    ("vote-sent-before-saved", 7),
    ("vote-saved-after-term", 7),
    ("fresh-after-damage", 7),
    ("ack-before-saved", 5),
    ("retransmission-acked-before-saved", 6),
    ("leader-counts-unsaved", 5),
    ("applied-before-saved", 9),
    ("entry-saved-before-term", 6),
    ("log-tail-lost", 4),
    ("truncation-not-saved", 3),
    ("answer-before-commit", 4),
    ("answer-by-index", 8),
    ("no-deduplication", 6),
    ("answer-not-remembered", 6),
    ("deduplicate-by-number", 7),
    ("followers-forget", 2),
    ("old-number-applied", 7),
    ("implicit-session", 5),
    ("no-eviction", 5),
    ("early-eviction", 5),
    ("conflict-cuts-to-commit", 2),
    ("applies-only-the-last", 6),
    ("heartbeat-stops", 4),
    ("vote-only-for-longer-logs", 0),
    ("vote-by-both", 2),
    ("vote-kept-over-terms", 2),
    ("no-noop", 0),
    ("commit-stops-at-older-term", 0),
    ("commit-needs-all", 0),
    ("retries-are-empty", 3),
    ("probing-stands-still", 4),
];

/// The length of the shortest violation of the property that must catch it.
fn steps(mutant: &MutantSpec) -> Result<usize, String> {
    let cluster = mutant.spec.mutated(mutant.fault, mutant.caught_by);
    let (steps, states) = match shortest(&cluster, Some(mutant.caught_by), 2, 1_000_000) {
        Outcome::Found(found) => (found.steps.len(), found.visited),
        Outcome::Exhausted(states) => return Err(format!("survives {states} states")),
        Outcome::LimitReached(states) => return Err(format!("not caught in {states} states")),
    };
    println!("{:34} {:34} {steps:2} steps {states:6} states", mutant.name, mutant.caught_by);
    Ok(steps)
}

/// The tuples and maximal states of a model in which nothing is violated, all of them; or what is
/// violated.
fn exhausted(cluster: Cluster) -> Result<(u64, u64), Vec<&'static str>> {
    let limits = Limits { threads: 2, max_states: None, max_time: None, max_memory: None };
    let never = AtomicBool::new(false);
    let report = run(cluster, Engine::Antichain, &limits, &never, &mut |_| {});
    match report.verdict {
        Verdict::Exhaustive => Ok((report.tuples.unwrap().tuples, report.states)),
        Verdict::Violated => Err(report.violated()),
        Verdict::Bounded => panic!("there is no limit"),
    }
}

/// The property that must catch each mutant does, in the fewest steps there are.
#[test]
fn every_mutant_falls_by_its_property() {
    let mutants = mutants::catalogue();
    let found: BTreeMap<_, _> = mutants.iter().map(|mutant| (mutant.name, steps(mutant))).collect();
    let pinned: BTreeMap<_, _> = STEPS.into_iter().map(|(name, steps)| (name, Ok(steps))).collect();
    let wrong: Vec<_> = mutants
        .iter()
        .filter(|mutant| found.get(mutant.name) != pinned.get(mutant.name))
        .map(|mutant| format!("{}: {:?}", mutant.name, found[mutant.name]))
        .collect();
    assert!(wrong.is_empty(), "not as pinned:\n{}", wrong.join("\n"));
    assert_eq!(found.len(), pinned.len(), "each mutant has its line here, and its own name");
}

/// The same models without the seeded bug hold: it is the bug that is caught, not the model.
#[test]
fn without_its_bug_the_model_of_a_mutant_shows_no_violation() {
    let mut seen = BTreeSet::new();
    for mutant in mutants::catalogue() {
        let Spec { clients, watch, prefix, .. } = &mutant.spec;
        // Many mutants share a model.
        if !seen.insert(format!("{} {clients:?} {watch:?} {prefix}", mutant.spec.bounds_text())) {
            continue;
        }
        let states = exhausted(mutant.spec.cluster());
        assert!(states.is_ok(), "{}: {states:?}", mutant.name);
    }
}

/// The wrapper itself is no bug: without a fault it is the actor, tuple by tuple.
#[test]
fn a_wrapper_without_a_fault_changes_nothing() {
    for spec in catalogue().into_iter().filter(|spec| spec.tuples.0 < 25_000) {
        assert_eq!(exhausted(spec.seeded(Fault::NONE)), Ok(spec.tuples), "{}", spec.name);
    }
}

/// They do nothing that any other property forbids: they come to a halt.
#[test]
fn mutants_of_liveness_violate_no_other_property() {
    let liveness = mutants::catalogue().into_iter().filter(|it| it.caught_by == RECOVERABILITY);
    let caught = liveness.map(|mutant| {
        let mut cluster = mutant.spec.seeded(mutant.fault);
        cluster.recovery = None;
        exhausted(cluster).map_err(|violated| format!("{}: {violated:?}", mutant.name))
    });
    assert_eq!(caught.flatten().count(), 8);
}

/// The property that would be the first to fall does not.
#[test]
fn equivalent_changes_break_nothing() {
    for mutants::Equivalent { mutant, reason } in mutants::equivalent() {
        // Unless it only delays, in which case all properties hold.
        let cluster = match mutant.caught_by {
            RECOVERABILITY => mutant.spec.seeded(mutant.fault),
            property => mutant.spec.mutated(mutant.fault, property),
        };
        let states = exhausted(cluster);
        println!("{:34} {states:?}", mutant.name);
        assert!(states.is_ok(), "{}: {states:?}, though {reason}", mutant.name);
    }
}

/// A name is one of both lists.
#[test]
fn every_mutant_has_a_name_of_its_own_and_a_property_that_is_asked() {
    let equivalent = mutants::equivalent().into_iter().map(|it| it.mutant);
    let all = mutants::catalogue().into_iter().chain(equivalent);
    let mut names = BTreeSet::new();
    for mutant in all {
        assert!(names.insert(mutant.name), "{} is there twice", mutant.name);
        let cluster = mutant.spec.mutated(mutant.fault, mutant.caught_by);
        let asked =
            cluster.always.len() + cluster.steps.len() + usize::from(cluster.recovery.is_some());
        assert_eq!(asked, 1, "{}: {} is asked", mutant.name, mutant.caught_by);
    }
    assert!(mutants::find("vote-not-persisted").is_some());
    assert!(mutants::find("no-such-mutant").is_none());
}

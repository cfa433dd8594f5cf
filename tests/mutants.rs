//! The mutants: each falls, by the property that must catch it, in so many steps; what the other properties
//! say of it is recorded in `mutants.txt`; and without its bug the model of a mutant holds.

use checked_raft::checker::search::{Outcome, shortest};
use checked_raft::checker::{Engine, Limits, RECOVERABILITY, Verdict, run};
use checked_raft::models::catalogue::catalogue;
use checked_raft::models::mutants::matrix::{self, Column, Judgement, Row};
use checked_raft::models::mutants::{self, Fault, MutantSpec};
use checked_raft::models::{Cluster, Spec};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::atomic::AtomicBool;

/// What the mutants violate.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mutants.txt");

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

/// The property that must catch each mutant does, in the fewest steps there are, and the others say of it
/// what is recorded. `UPDATE_GOLDEN=1 cargo test --test mutants` records anew.
#[test]
fn every_mutant_falls_by_its_property_and_by_others_as_recorded() {
    let mutants = mutants::catalogue();
    let rows: Vec<_> = mutants.iter().map(matrix::row).collect();
    for (mutant, row) in mutants.iter().zip(&rows) {
        let own = row.violated(mutant.caught_by).first().copied();
        let shortest = steps(mutant).map(|steps| (mutant.caught_by, steps));
        assert_eq!(shortest.ok(), own, "{}: two searches", mutant.name);
    }
    let recorded = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    let equivalent: Vec<_> = mutants::equivalent().into_iter().map(|it| it.mutant).collect();
    let rows_of_equivalent: Vec<_> = equivalent.iter().map(matrix::row).collect();
    let now = text_of(&mutants, &rows, &equivalent, &rows_of_equivalent);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, now).expect("it can be written");
        return;
    }
    let mut changed = Vec::new();
    for (sign, text, other) in [('-', &recorded, &now), ('+', &now, &recorded)] {
        let lines = text.lines().filter(|line| !other.lines().any(|it| it == *line));
        changed.extend(lines.map(|line| format!("{sign}{line}")));
    }
    assert!(
        recorded == now,
        "{GOLDEN}: what is seen (+) is not what is recorded (-):\n{}\n\
         if it should be, record it: UPDATE_GOLDEN=1 cargo test --test mutants",
        changed.join("\n")
    );
}

/// A line for each mutant, for each change that breaks nothing, and for each property.
fn text_of(
    mutants: &[MutantSpec],
    rows: &[Row],
    equivalent: &[MutantSpec],
    rows_of_equivalent: &[Row],
) -> String {
    let mut text = "\
# What every property says of every mutant, in the model of the mutant. A line is the mutant, then what
# it violates, with the steps of a shortest counterexample, the property that must catch it first, then
# how many other properties hold, or were not seen to be violated before a limit ended the search.

"
    .to_owned();
    let add = |text: &mut String, mutants: &[MutantSpec], rows: &[Row]| {
        for (mutant, row) in mutants.iter().zip(rows) {
            let _ = writeln!(text, "{}: {}", mutant.name, line(row, mutant.caught_by));
        }
    };
    add(&mut text, mutants, rows);
    text.push_str(
        "\n# Changes that break nothing: the property that seems to fall is not violated.\n\n",
    );
    add(&mut text, equivalent, rows_of_equivalent);
    text.push_str(
        "\n# A line is the property, then of how many mutants it is asked, how many of these it kills, and \
         how\n# many of these no other property was seen to kill.\n\n",
    );
    for Column { property, asked, kills, kills_alone, .. } in matrix::columns(rows) {
        let _ = writeln!(text, "{property}: {asked}, {kills}, {kills_alone}");
    }
    text
}

fn line(row: &Row, first: &str) -> String {
    let violated = row.violated(first).into_iter();
    let violated: Vec<_> = violated.map(|(name, steps)| format!("{name} {steps}")).collect();
    let others = match row.ended_by() {
        None => format!("{} hold", row.those(Judgement::Holds).len()),
        Some(limit) => format!("{} not seen: {limit}", row.those(Judgement::NotSeen).len()),
    };
    match &violated[..] {
        [] => others,
        violated => format!("{}; {others}", violated.join(", ")),
    }
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

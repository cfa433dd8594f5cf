//! The mutants: each falls, by the property that must catch it, in so many steps; what the other properties
//! say of it is recorded in `mutants.txt`; and without its bug the model of a mutant holds.

use actorcheck::search::{Outcome, shortest};
use actorcheck::{Engine, Event, Limits, RECOVERABILITY, Tally, Verdict, run};
use checked_raft::models::catalogue::catalogue;
use checked_raft::models::mutants::matrix::{self, Column, Judgement, Row};
use checked_raft::models::mutants::smallest::smallest;
use checked_raft::models::mutants::{self, Fault, MutantSpec};
use checked_raft::models::process::ProcessTimer;
use checked_raft::models::{Cluster, Spec};
use stateright::actor::{Actor, Out};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What the mutants violate.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mutants.txt");

const UNLIMITED: Limits = Limits::unlimited(2);

/// The length of the shortest violation of the property that must catch it.
fn steps(mutant: &MutantSpec) -> Result<usize, String> {
    let cluster = mutant.spec.mutated(mutant.fault, mutant.caught_by);
    let limits = Limits { threads: 2, max_states: Some(1_000_000), ..UNLIMITED };
    let never = AtomicBool::new(false);
    let (steps, states) = match shortest(&cluster, Some(mutant.caught_by), &limits, &never) {
        Outcome::Found(found) => {
            assert_eq!(found.unsure, None, "{}: no shorter one was looked for", mutant.name);
            (found.steps.len(), found.visited)
        }
        Outcome::Exhausted(states) => return Err(format!("survives {states} states")),
        Outcome::Ended(states, by) => return Err(format!("not caught in {states} states: {by}")),
    };
    println!("{:34} {:34} {steps:2} steps {states:6} states", mutant.name, mutant.caught_by);
    Ok(steps)
}

/// The tuples and maximal states of a model in which nothing is violated, all of them; or what is
/// violated.
fn exhausted(cluster: Cluster) -> Result<(u64, u64), Vec<&'static str>> {
    let never = AtomicBool::new(false);
    let report = run(cluster, Engine::Antichain, &UNLIMITED, &never, &mut |_| {});
    match report.verdict {
        Verdict::Exhaustive => Ok((report.tuples.unwrap().tuples, report.states)),
        Verdict::Violated => Err(report.violated()),
        Verdict::Bounded => panic!("there is no limit"),
    }
}

/// A reader can look up where each was seen: the owner and the repository come first.
#[test]
fn every_mutant_names_the_repository_it_was_seen_in() {
    let equivalent = mutants::equivalent().into_iter().map(|it| it.mutant);
    for mutant in mutants::catalogue().into_iter().chain(equivalent) {
        let repository = mutant.seen_in.split(['#', '@', ' ', ',']).next().unwrap_or_default();
        let named = repository.split_once('/').is_some_and(|(owner, name)| {
            !owner.is_empty() && !name.is_empty() && !name.contains('/')
        });
        assert!(named, "{}: seen in {:?}", mutant.name, mutant.seen_in);
    }
}

/// The property that must catch each mutant does, in the fewest steps there are, and the others say of it
/// what is recorded. `UPDATE_GOLDEN=1 cargo test --test mutants` records anew.
#[test]
fn every_mutant_falls_by_its_property_and_by_others_as_recorded() {
    let mutants = mutants::catalogue();
    let rows: Vec<_> = mutants.iter().map(matrix::row).collect();
    for (mutant, row) in mutants.iter().zip(&rows) {
        let own = row.violated(mutant.caught_by).first().map(|(name, kill)| (*name, kill.steps));
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
# it violates, with the steps of a shortest counterexample, the property that must catch it first, with
# the states visited until then, then how many other properties hold, or were not seen to be violated
# before a limit ended the search, then the smallest bounds at which it falls: none can be lowered by one
# (with a script, its servers and commands stay).

"
    .to_owned();
    let add = |text: &mut String, mutants: &[MutantSpec], rows: &[Row]| {
        for (mutant, row) in mutants.iter().zip(rows) {
            let smallest = smallest(mutant).map(|least| format!("; falls at {}", least.bounds()));
            let (line, smallest) = (line(row, mutant.caught_by), smallest.unwrap_or_default());
            let _ = writeln!(text, "{}: {line}{smallest}", mutant.name);
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
    let violated = violated.map(|(name, kill)| {
        let states =
            if name == first { format!(" ({} states)", kill.states) } else { String::new() };
        format!("{name} {}{states}", kill.steps)
    });
    let violated: Vec<_> = violated.collect();
    let others = match row.ended_by() {
        None => format!("{} hold", row.those(Judgement::Holds).len()),
        Some(limit) => format!("{} not seen: {limit}", row.those(Judgement::NotSeen).len()),
    };
    match &violated[..] {
        [] => others,
        violated => format!("{}; {others}", violated.join(", ")),
    }
}

/// The same models without the seeded bug hold: it is the bug that is caught, not the model. `docs/bugs.md` says
/// so of each bug. `UPDATE_GOLDEN=1 cargo test --test mutants` writes it anew.
#[test]
fn without_its_bug_the_model_of_a_mutant_shows_no_violation() {
    let mut exhausted_models = BTreeMap::new();
    let mut rows = String::new();
    for mutant in mutants::catalogue() {
        let Spec { clients, watch, prefix, .. } = &mutant.spec;
        // Many mutants share a model.
        let model = format!("{} {clients:?} {watch:?} {prefix}", mutant.spec.bounds_text());
        let counts =
            exhausted_models.entry(model).or_insert_with(|| exhausted(mutant.spec.cluster()));
        assert!(counts.is_ok(), "{}: {counts:?}", mutant.name);
        let tuples = counts.as_ref().map_or(0, |(tuples, _)| *tuples);
        rows.push_str(&bug(&mutant, tuples));
    }
    let page = format!("{BUGS_HEAD}{rows}");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(BUGS, page).expect("it can be written");
        return;
    }
    let recorded = std::fs::read_to_string(BUGS).unwrap_or_default();
    assert!(recorded == page, "{BUGS} is of other bugs: UPDATE_GOLDEN=1 cargo test --test mutants");
}

const BUGS: &str = "docs/bugs.md";

const BUGS_HEAD: &str = "\
# Reported bugs, and how the checker finds them

Each row is a bug that somebody reported for a real system, or that a source warns of. A *mutant* has that bug. The
checker finds it in the model of the row: `raft check --mutant NAME` shows the steps. The model without the bug is
exhausted, and nothing is violated; the last column says with how many tuples. A test makes this page.

| reported for | bug | mutant | falls to | steps | exhausted when mended |
|---|---|---|---|---|---|
";

/// The row of a mutant.
fn bug(mutant: &MutantSpec, tuples: u64) -> String {
    let MutantSpec { name, caught_by, seen_in, about, .. } = mutant;
    let recorded = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    let line = recorded.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    let steps =
        line.and_then(|line| line.strip_prefix(&format!("{caught_by} "))?.split(' ').next());
    let steps = steps.unwrap_or("?");
    let source = match seen_in.split_once('#') {
        Some((repository, number)) if number.chars().all(|c| c.is_ascii_digit()) => {
            format!("[{seen_in}](https://github.com/{repository}/issues/{number})")
        }
        _ => (*seen_in).to_owned(),
    };
    format!("| {source} | {about} | `{name}` | {caught_by} | {steps} | {tuples} |\n")
}

/// The wrapper itself is no bug: without a fault it is the actor, tuple by tuple.
#[test]
fn a_wrapper_without_a_fault_changes_nothing() {
    for spec in catalogue().into_iter().filter(|spec| spec.tuples.0 < 25_000) {
        assert_eq!(exhausted(spec.seeded(Fault::NONE)), Ok(spec.tuples), "{}", spec.name);
    }
}

/// They do nothing that any other property forbids: they come to a halt. Two more take a vote back and leave
/// the timer of that vote, which a property of timers forbids.
#[test]
fn mutants_of_liveness_violate_no_other_property() {
    let liveness = mutants::catalogue().into_iter().filter(|it| it.caught_by == RECOVERABILITY);
    let caught = liveness.map(|mutant| {
        let mut cluster = mutant.spec.seeded(mutant.fault);
        cluster.recovery = None;
        exhausted(cluster).map_err(|violated| format!("{}: {violated:?}", mutant.name))
    });
    assert_eq!(caught.flatten().count(), 10);
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

/// In how many of the handler calls of its model a mutant does not do what the actor does.
fn calls_that_differ(mutant: &MutantSpec) -> u64 {
    let (differ, healthy) = (Arc::new(AtomicU64::new(0)), mutant.spec.cluster());
    let mut cluster = mutant.spec.mutated(mutant.fault, mutant.caught_by);
    cluster.tally = Arc::new(Tally::new(cluster.bounds.len(), cluster.labels));
    let count = Arc::clone(&differ);
    cluster.label = Arc::new(move |step, _| {
        let actor = &healthy.actors.actors[usize::from(step.who)];
        let (mut state, mut out) = (Cow::Borrowed(step.before.state), Out::new());
        match step.event {
            Event::Deliver { src, msg } => {
                actor.on_msg(step.who, &mut state, *src, msg.clone(), &mut out);
            }
            Event::Timeout(timer @ ProcessTimer::Server(_)) => {
                actor.on_timeout(step.who, &mut state, timer, &mut out);
            }
            _ => return,
        }
        let is_same =
            *state == *step.after.state && format!("{out:?}") == format!("{:?}", step.out);
        count.fetch_add(u64::from(!is_same), Ordering::Relaxed);
    });
    let report = run(cluster, Engine::Antichain, &UNLIMITED, &AtomicBool::new(false), &mut |_| {});
    assert_eq!(report.verdict, Verdict::Exhaustive, "{}", mutant.name);
    differ.load(Ordering::Relaxed)
}

/// They change something, or it would say nothing that they break nothing.
#[test]
fn equivalent_changes_change_something() {
    for mutants::Equivalent { mutant, .. } in mutants::equivalent() {
        let calls = calls_that_differ(&mutant);
        println!("{:34} {calls} calls differ", mutant.name);
        assert!(calls > 0, "{}: its fault is never seen", mutant.name);
    }
}

/// Mutants are searched without symmetry. With it, each falls by the same property, and a change that breaks
/// nothing has the same counts; but where the bug is that servers are told apart, which is found out.
#[test]
fn with_interchangeable_servers_the_verdicts_are_the_same() {
    let (mut with_symmetry, mut told_apart) = (0, Vec::new());
    let equivalent = mutants::equivalent().into_iter().map(|it| it.mutant);
    for mutant in mutants::catalogue().into_iter().chain(equivalent) {
        let verdict = |cluster| {
            let never = AtomicBool::new(false);
            let report = run(cluster, Engine::Antichain, &UNLIMITED, &never, &mut |_| {});
            let counts = report.tuples.expect("the antichain engine counts tuples");
            let counted = (report.verdict == Verdict::Exhaustive).then_some(counts.tuples);
            ((report.violated(), counted), counts.symmetries)
        };
        let cluster = mutant.spec.mutated(mutant.fault, mutant.caught_by);
        let symmetric = Cluster { symmetry: mutant.spec.cluster().symmetry, ..cluster };
        let Ok((with, symmetries)) = catch_unwind(AssertUnwindSafe(|| verdict(symmetric))) else {
            told_apart.push(mutant.name);
            continue;
        };
        let cluster = mutant.spec.mutated(mutant.fault, mutant.caught_by);
        assert_eq!(with, verdict(cluster).0, "{}: {symmetries} permutations", mutant.name);
        with_symmetry += u64::from(symmetries > 1);
    }
    println!("{with_symmetry} with symmetry");
    assert_eq!(told_apart, ["commit-unsorted"]);
    assert!(with_symmetry >= 30, "only {with_symmetry} have interchangeable servers");
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

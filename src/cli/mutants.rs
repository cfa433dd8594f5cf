//! `raft mutants`: the seeded bugs, and whether the checker finds them.

use super::counterexample::{self, Explained};
use super::models::table;
use super::progress::Hunt;
use super::subject::Subject;
use super::{Failure, Status, json, kill_matrix, mutant_pages};
use actorcheck::{Engine, Limits, RECOVERABILITY, Verdict, run};
use checked_raft::models::mutants::matrix::{self, Row};
use checked_raft::models::mutants::smallest::{Smallest, smallest};
use checked_raft::models::mutants::{self, Equivalent, MutantSpec};
use clap::Args;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// List the seeded bugs that show that the checker bites, or hunt them
///
/// Hunting exits with 0 only if every bug is found by the property that must find it, and every change
/// that is said to break nothing breaks nothing in its whole model. Each is judged by every other property
/// of its model, too, as if that alone were asked, in up to 300,000 states and 64 steps.
#[derive(Args)]
pub(super) struct Mutants {
    /// Hunt them all
    #[arg(long)]
    run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print names only
    #[arg(long, short, conflicts_with_all = ["run", "json", "docs"])]
    quiet: bool,
    /// Hunt them all and write a page for each into this directory
    #[arg(long, value_name = "DIR")]
    docs: Option<PathBuf>,
}

/// How many states the search for one bug may visit.
const MAX_STATES: u64 = 1_000_000;
/// How many seconds the search of one whole model may take.
const MAX_SECONDS: u64 = 600;

/// The result of hunting one mutant.
pub(super) struct Hunted {
    /// The mutant.
    pub(super) mutant: MutantSpec,
    /// The result that is expected.
    pub(super) expected: Expected,
    /// The shortest counterexample, or why there is none.
    pub(super) found: Result<Explained, String>,
    /// Whether the result is as expected.
    pub(super) as_expected: bool,
    /// The verdict on the mutant by every property of its model.
    pub(super) row: Row,
    /// The smallest bounds at which the mutant falls.
    pub(super) smallest: Option<Smallest>,
    /// How long the hunt took.
    pub(super) elapsed: Duration,
}

/// The expected result of hunting a mutant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// The property of the mutant is violated.
    Killed,
    /// The property that the change seems to break holds, for this reason.
    Equivalent(&'static str),
}

impl Mutants {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Status, Failure> {
        if !self.run && self.docs.is_none() {
            return self.list(out);
        }
        if let Some(directory) = &self.docs {
            mutant_pages::prepare(directory)?;
        }
        let killed = mutants::catalogue().into_iter().map(|mutant| (mutant, Expected::Killed));
        let equivalent = mutants::equivalent().into_iter();
        let equivalent =
            equivalent.map(|Equivalent { mutant, reason }| (mutant, Expected::Equivalent(reason)));
        let hunted = hunt_all(killed.chain(equivalent).collect());
        if let Some(directory) = &self.docs {
            mutant_pages::write(directory, &hunted)?;
        }
        if self.json {
            writeln!(out, "{}", json::text(&json::Hunt::new(&hunted)))?;
        } else {
            kill_matrix::write(out, &hunted)?;
        }
        let all = hunted.iter().all(|hunted| hunted.as_expected);
        Ok(if all { Status::Success } else { Status::Other })
    }

    fn list(&self, out: &mut dyn Write) -> Result<Status, Failure> {
        let mutants = mutants::catalogue();
        if self.json {
            let mutants = mutants.iter().map(json::ListedMutant::new).collect();
            writeln!(out, "{}", json::text(&json::Mutants { mutants }))?;
            return Ok(Status::Success);
        }
        if self.quiet {
            for mutant in mutants {
                writeln!(out, "{}", mutant.name)?;
            }
            return Ok(Status::Success);
        }
        let mut table = table(["mutant", "breaks", "caught by", "about"]);
        for mutant in mutants {
            table.add_row([mutant.name, mutant.breaks, mutant.caught_by, mutant.about]);
        }
        writeln!(out, "{table}")?;
        writeln!(
            out,
            "`raft check --mutant NAME` finds one, `raft mutants --run` hunts them all. `--json` tells the \
             stories, and where each was seen."
        )?;
        Ok(Status::Success)
    }
}

/// Hunts several mutants at a time, each on one thread.
fn hunt_all(mutants: Vec<(MutantSpec, Expected)>) -> Vec<Hunted> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let progress = Hunt::new(mutants.len());
    let waiting = Mutex::new(mutants.into_iter().enumerate());
    let work = || {
        let mut hunted = Vec::new();
        loop {
            let next = waiting.lock().expect("no thread panics with it").next();
            let Some((n, (mutant, expected))) = next else { return hunted };
            let one = hunt(mutant, expected);
            progress.hunted(one.mutant.name, one.as_expected, one.elapsed);
            hunted.push((n, one));
        }
    };
    let mut hunted: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(hunted) => hunted,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.flatten().collect()
    });
    progress.clear();
    hunted.sort_by_key(|(n, _)| *n);
    hunted.into_iter().map(|(_, hunted)| hunted).collect()
}

/// Hunts one mutant. Looks for its shortest counterexample or exhausts its model, and then asks the other
/// properties.
#[expect(clippy::disallowed_methods, reason = "how long it takes is part of the result")]
fn hunt(mutant: MutantSpec, expected: Expected) -> Hunted {
    let start = Instant::now();
    let row = matrix::row(&mutant);
    let subject =
        Subject { spec: mutant.spec.clone(), mutant: Some(mutant), options: None, lender: None };
    let property = subject.mutant.as_ref().expect("it is one").caught_by;
    let (found, as_expected) = match expected {
        Expected::Killed => {
            let max_states = Some(MAX_STATES);
            let limits = Limits { max_states, ..Limits::unlimited(1) };
            let never = AtomicBool::new(false);
            let found = counterexample::explain(&subject, Some(property), &limits, &never);
            let killed = found.is_ok();
            (found, killed)
        }
        Expected::Equivalent(_) => {
            let survives = survives(&subject);
            let as_expected = survives.is_ok();
            (Err(survives.unwrap_or_else(|failure| failure)), as_expected)
        }
    };
    let mutant = subject.mutant.expect("it is one");
    let smallest = found.is_ok().then(|| smallest(&mutant)).flatten();
    Hunted { mutant, expected, found, as_expected, row, smallest, elapsed: start.elapsed() }
}

/// Exhausts the model of a mutant that should survive. An error says why nothing can be claimed.
fn survives(subject: &Subject) -> Result<String, String> {
    let max_time = Some(Duration::from_secs(MAX_SECONDS));
    let limits = Limits { max_time, ..Limits::unlimited(1) };
    let mutant = subject.mutant.as_ref().expect("it is one");
    // A mutant that only delays is asked for every property, any other for the one property that might
    // fall.
    let asked = subject.cluster();
    let delays = mutant.caught_by == RECOVERABILITY;
    let cluster = if delays { subject.spec.seeded(mutant.fault) } else { asked };
    let never = AtomicBool::new(false);
    let report = run(cluster, Engine::Antichain, &limits, &never, &mut |_| {});
    match (report.verdict, report.tuples) {
        (Verdict::Exhaustive, Some(counts)) => Ok(format!(
            "survives, EXHAUSTIVE: {} tuples, {} maximal states",
            counts.tuples, report.states
        )),
        (Verdict::Violated, _) => Err(format!("violates {:?}", report.violated())),
        _ => Err("its model was not exhausted".to_owned()),
    }
}

//! `raft mutants`: the seeded bugs, and whether the checker finds them.

use super::counterexample::{self, Explained};
use super::models::table;
use super::mutant_pages;
use super::subject::Subject;
use super::{Failure, Status, json};
use checked_raft::checker::{Engine, Limits, RECOVERABILITY, Verdict, run};
use checked_raft::models::mutants::{self, Equivalent, MutantSpec};
use clap::Args;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// List the seeded bugs that show that the checker bites, or hunt them
///
/// Hunting exits with 0 only if every bug is found by the property that must find it, and every change
/// that is said to break nothing breaks nothing in its whole model.
#[derive(Args)]
pub(super) struct Mutants {
    /// Hunt them all
    #[arg(long)]
    run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Hunt them all and write a page for each into this directory
    #[arg(long, value_name = "DIR")]
    docs: Option<PathBuf>,
}

/// States that the search for one bug may visit.
const MAX_STATES: usize = 1_000_000;
/// Seconds that the search of one whole model may take.
const MAX_SECONDS: u64 = 600;

/// What became of one mutant.
pub(super) struct Hunted {
    /// The mutant.
    pub(super) mutant: MutantSpec,
    /// What is expected of it.
    pub(super) expected: Expected,
    /// The shortest counterexample, or why there is none.
    pub(super) found: Result<Explained, String>,
    /// Whether that is as expected.
    pub(super) as_expected: bool,
    /// How long it took.
    pub(super) elapsed: Duration,
}

/// What is expected of a mutant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// Its property falls.
    Killed,
    /// No property falls, for this reason.
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
        let hunted: Vec<_> =
            killed.chain(equivalent).map(|(mutant, expected)| hunt(mutant, expected)).collect();
        if let Some(directory) = &self.docs {
            mutant_pages::write(directory, &hunted)?;
        }
        if self.json {
            let mutants = hunted.iter().map(json::HuntedMutant::new).collect();
            writeln!(out, "{}", json::text(&json::Hunt { mutants }))?;
        } else {
            write_matrix(out, &hunted)?;
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
        let mut table =
            table(["mutant", "breaks", "caught by", "in the model", "seen in", "about"]);
        for mutant in mutants {
            table.add_row([
                mutant.name,
                mutant.breaks,
                mutant.caught_by,
                mutant.spec.name,
                mutant.seen_in,
                mutant.about,
            ]);
        }
        writeln!(out, "{table}")?;
        writeln!(
            out,
            "`raft check --mutant NAME` finds one, `raft mutants --run` hunts them all."
        )?;
        Ok(Status::Success)
    }
}

/// Hunts one mutant: looks for the shortest counterexample, or exhausts its model.
#[expect(clippy::disallowed_methods, reason = "how long it takes is part of the result")]
fn hunt(mutant: MutantSpec, expected: Expected) -> Hunted {
    let start = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let subject = Subject { spec: mutant.spec.clone(), mutant: Some(mutant) };
    let property = subject.mutant.as_ref().expect("it is one").caught_by;
    let (found, as_expected) = match expected {
        Expected::Killed => {
            let found = counterexample::explain(&subject, Some(property), threads, MAX_STATES);
            let killed = found.is_ok();
            (found, killed)
        }
        Expected::Equivalent(_) => {
            let survives = survives(&subject, threads);
            let as_expected = survives.is_ok();
            (Err(survives.unwrap_or_else(|failure| failure)), as_expected)
        }
    };
    let mutant = subject.mutant.expect("it is one");
    Hunted { mutant, expected, found, as_expected, elapsed: start.elapsed() }
}

/// Exhausts the model of a mutant; an error says why nothing can be claimed.
fn survives(subject: &Subject, threads: usize) -> Result<String, String> {
    let max_time = Some(Duration::from_secs(MAX_SECONDS));
    let limits = Limits { threads, max_states: None, max_time, max_memory: None };
    let mutant = subject.mutant.as_ref().expect("it is one");
    // One that only delays is asked for every property, the others for the one that might fall.
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

fn write_matrix(out: &mut dyn Write, hunted: &[Hunted]) -> Result<(), Failure> {
    let mut table = table(["mutant", "breaks", "property", "model", "steps", "states", "s"]);
    let of = |wanted: fn(&Expected) -> bool| {
        let all = hunted.iter().filter(move |hunted| wanted(&hunted.expected));
        let total = all.clone().count();
        (all.filter(|hunted| hunted.as_expected).count(), total)
    };
    for Hunted { mutant, expected, found, elapsed, .. } in hunted {
        let (steps, states) = match found {
            Ok(found) => (found.length.to_string(), found.visited.to_string()),
            Err(reason) => (reason.clone(), String::new()),
        };
        let property = match expected {
            Expected::Killed => mutant.caught_by.to_owned(),
            Expected::Equivalent(reason) => format!("none: {reason}"),
        };
        let (name, model) = (mutant.name.to_owned(), mutant.spec.name.to_owned());
        let seconds = format!("{:.2}", elapsed.as_secs_f64());
        table.add_row([name, mutant.breaks.to_owned(), property, model, steps, states, seconds]);
    }
    writeln!(out, "{table}")?;
    let (killed, mutants) = of(|expected| *expected == Expected::Killed);
    writeln!(out, "{killed} of {mutants} mutants are killed, each by the property that must.")?;
    let (survive, equivalent) = of(|expected| matches!(expected, Expected::Equivalent(_)));
    writeln!(
        out,
        "{survive} of {equivalent} changes that break nothing survive their whole model."
    )?;
    Ok(())
}

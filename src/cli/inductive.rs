//! `raft check --inductive`: is the conjunction of the localising invariants inductive?
//!
//! `models/inductive` enumerates small domains and samples a larger one. This file names the actor, prints
//! the figures, and tells a counterexample to induction.

use super::options::grouped;
use super::subject::Subject;
use super::{Failure, Status, json};
use checked_raft::models::inductive::conjuncts::{Conjunct, Ind};
use checked_raft::models::inductive::domain::DOMAINS;
use checked_raft::models::inductive::{Report, sample, step, words};
use checked_raft::models::mutants::Fault;
use clap::Args;
use serde::Serialize;
use std::io::Write;
use std::time::Instant;

/// The options of `raft check --inductive`.
#[derive(Args)]
pub(super) struct Inductive {
    /// Check that Ind, a conjunction of invariants, is inductive: in every state of small domains that
    /// satisfies Ind, and in samples of a larger one, Ind holds again after each step; see docs/induction.md
    #[arg(long = "inductive", id = "inductive")]
    #[arg(conflicts_with_all = ["models", "servers", "deep", "engine", "save", "coverage", "plain"])]
    #[arg(conflicts_with_all = ["checkpoint", "max_states", "max_seconds", "memory", "no_symmetry"])]
    #[arg(conflicts_with_all = ["verbose", "threads"])]
    pub(super) is_asked: bool,
    /// With --inductive: how many states of the larger domain are drawn
    #[arg(long, value_name = "N", default_value_t = 2_000_000, requires = "inductive")]
    draws: u64,
    /// With --inductive: leave this conjunct out, by its name in docs/induction.md
    #[arg(long, value_name = "CONJUNCT", requires = "inductive")]
    without: Option<String>,
}

/// The result for one domain.
#[derive(Serialize)]
struct Judged {
    how: &'static str,
    domain: String,
    states: u64,
    steps: u64,
    bystanders: u64,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_implied: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    counterexample: Vec<String>,
}

impl Inductive {
    pub(super) fn run(
        &self,
        mutant: Option<&str>,
        seed: u64,
        as_json: bool,
        out: &mut dyn Write,
    ) -> Result<Status, Failure> {
        let fault = mutant.map(Subject::mutant).transpose()?.and_then(|it| it.mutant);
        let fault = fault.map(|mutant| mutant.fault);
        let ind = self.ind()?;
        let mut results: Vec<Judged> = Vec::new();
        for domain in DOMAINS {
            let check = |actor: &_| domain.check(actor, ind);
            results.push(measure("EXHAUSTIVE", domain.text(), domain.servers, fault, check));
            if !as_json {
                write_result(out, results.last())?;
            }
            if results.iter().any(Judged::fails) {
                break;
            }
        }
        if !results.iter().any(Judged::fails) && self.draws > 0 {
            let domain = sample::DOMAIN;
            let text = format!("{} draws={} seed={seed}", domain.text(), self.draws);
            let check = |actor: &_| sample::check(domain, actor, ind, seed, self.draws);
            results.push(measure("SAMPLED", text, domain.servers, fault, check));
            if !as_json {
                write_result(out, results.last())?;
            }
        }
        if as_json {
            writeln!(out, "{}", json::text(&results))?;
        }
        let is_broken = results.iter().any(Judged::fails);
        Ok(if is_broken { Status::Violation } else { Status::Success })
    }

    /// The conjuncts that are asked.
    fn ind(&self) -> Result<Ind, Failure> {
        let Some(name) = &self.without else { return Ok(Ind::ALL) };
        let is_meant = |it: &&Conjunct| it.name().eq_ignore_ascii_case(name);
        match Conjunct::ALL.iter().find(is_meant) {
            Some(conjunct) if conjunct.is_form() => Err(Failure::Refused(format!(
                "`{name}` is part of the form of the domain's states, so it cannot be left out"
            ))),
            Some(conjunct) => Ok(Ind::without(*conjunct)),
            None => {
                let names = Conjunct::ALL.iter().filter(|it| !it.is_form()).map(|it| it.name());
                let names = names.collect::<Vec<_>>().join("`, `");
                Err(Failure::Refused(format!(
                    "there is no conjunct `{name}`; the conjuncts are `{names}`"
                )))
            }
        }
    }
}

impl Judged {
    /// Whether a step leads out of Ind, or Ind does not imply the properties.
    fn fails(&self) -> bool {
        self.broken.is_some() || self.not_implied.is_some()
    }
}

#[expect(clippy::disallowed_methods, reason = "how long it takes is part of the result")]
fn measure(
    how: &'static str,
    domain: String,
    servers: usize,
    fault: Option<Fault>,
    check: impl Fn(&checked_raft::models::process::Process) -> Report,
) -> Judged {
    let actor = step::actor(servers, fault);
    let start = Instant::now();
    let report = check(&actor);
    let seconds = start.elapsed().as_secs_f64();
    let Report { states, steps, bystanders, not_implied, failure, .. } = report;
    let broken = failure.as_ref().map(|failure| failure.conjunct.name());
    let counterexample = failure.map(|it| words::failure(&actor, &it)).unwrap_or_default();
    Judged { how, domain, states, steps, bystanders, seconds, not_implied, broken, counterexample }
}

fn write_result(out: &mut dyn Write, result: Option<&Judged>) -> Result<(), Failure> {
    let Some(result) = result else { return Ok(()) };
    let verdict = if result.fails() { "VIOLATED" } else { result.how };
    writeln!(
        out,
        "{verdict:<11} {}: {} states satisfy Ind, {} steps judged, {} pairs of a step and a message \
         in flight, {:.1} s",
        result.domain,
        grouped(result.states),
        grouped(result.steps),
        grouped(result.bystanders),
        result.seconds,
    )?;
    if let Some(property) = result.not_implied {
        writeln!(out, "Ind does not imply `{property}`")?;
    }
    if let Some(broken) = result.broken {
        writeln!(out, "A step leads out of Ind: `{broken}` is false after it.")?;
        for line in &result.counterexample {
            writeln!(out, "  {line}")?;
        }
    }
    out.flush()?;
    Ok(())
}

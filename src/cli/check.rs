//! `raft check`: runs models, and says what can be claimed.

use super::bounds::Bounds;
use super::counterexample::{self, Explained};
use super::inductive::Inductive;
use super::page::scene::SceneKind;
use super::page::stage::{Detail, Stage};
use super::progress::Bar;
use super::subject::Subject;
use super::{Failure, Status, json, memory, options, page, report};
use actorcheck::engine::{CheckpointError, Checkpoints, explore_with_checkpoints};
use actorcheck::{self, Kind, Limits, PropertyResult, RECOVERABILITY, Report, Tally, Verdict};
use checked_raft::models::header::Header;
use checked_raft::models::{Cluster, Effort, Spec, mutants};
use clap::{Args, ValueEnum};
use indicatif::HumanBytes;
use siphasher::sip128::SipHasher13;
use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Check models: exit code 0 only if every search was exhaustive and everything holds
///
/// 1 if a property is violated, 2 for anything else: a limit, an interruption, a number of states
/// that is not the pinned one, a `sometimes` property without a witness.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub(super) struct Check {
    /// The models. If none is named: all that take seconds; with a stateright engine, all that are small
    /// enough for it
    #[arg(value_name = "MODEL", conflicts_with_all = ["mutant", "servers"])]
    models: Vec<String>,
    #[command(flatten)]
    bounds: Bounds,
    /// Also the models that take longer: some of them several minutes each on two cores
    #[arg(long, conflicts_with_all = ["models", "servers"])]
    deep: bool,
    /// Which engine: ours, or one of stateright's
    #[arg(long, value_enum, default_value_t = Engine::Antichain)]
    engine: Engine,
    /// Threads to search with [default: all cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Print JSON: each step of a counterexample with its action, the state of the server before and after,
    /// and the messages it sends; docs/counterexamples.md lists the keys
    #[arg(long)]
    json: bool,
    /// Save the counterexample as a script that `raft play` plays; if several models are violated, that of
    /// the first
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Write the counterexample as a page that shows it in a browser; if several models are violated, that of
    /// the first
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print everything about every model: bounds, what they cut off, figures, each property
    #[arg(long, short, conflicts_with = "json")]
    verbose: bool,
    /// Print how many steps each label of the coverage table counts
    #[arg(long)]
    coverage: bool,
    /// Check this mutant in its model; it must be VIOLATED
    #[arg(long, value_name = "NAME", conflicts_with = "servers")]
    mutant: Option<String>,
    /// End a search at so many states: maximal ones for our engine, unique ones for stateright's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_states: Option<u64>,
    /// End a search after so many seconds; a simulation ends after 10 by itself
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..))]
    max_seconds: Option<u64>,
    /// End a search when the process uses so much memory: bytes, or with KiB, MiB, GiB [default: 85%
    /// of what is available, or of what a control group leaves]
    #[arg(long, alias = "max-memory", value_name = "SIZE", value_parser = options::bytes)]
    memory: Option<u64>,
    /// Visit states also if they differ only by a swap of interchangeable servers: the same counts and
    /// verdicts, more slowly
    #[arg(long)]
    no_symmetry: bool,
    /// Search without any reduction: the same tuples with more maximal states, far more slowly. If no model
    /// is named: all that take less than a minute this way
    #[arg(long, conflicts_with_all = ["engine", "deep", "checkpoint", "no_symmetry"])]
    plain: bool,
    /// Save the search of one model to this file from time to time, and when a limit or Ctrl-C ends it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["mutant", "coverage"])]
    checkpoint: Option<PathBuf>,
    /// How often to save it
    #[arg(long, value_name = "S", default_value_t = 600, requires = "checkpoint")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    checkpoint_seconds: u64,
    /// Go on from the checkpoint; it must be of the same model and the same build of this program
    #[arg(long, requires = "checkpoint")]
    resume: bool,
    /// Seed of a simulation, or of the states that --inductive draws
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    induction: Inductive,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engine {
    /// Ours: tuples of local states with their maximal sets of messages
    Antichain,
    /// stateright's, breadth first
    Bfs,
    /// stateright's, depth first: less memory
    Dfs,
    /// stateright's random walks; never exhaustive
    Simulation,
}

/// How many states the search for the shortest counterexample may visit if no limit is given.
const SHORTEST_MAX_STATES: u64 = 20_000_000;

/// One model after its run.
pub(super) struct Checked {
    /// The model that was run.
    pub(super) subject: Subject,
    /// The engine that ran it.
    pub(super) engine: actorcheck::Engine,
    /// The number of threads.
    pub(super) threads: usize,
    /// The report of the engine.
    pub(super) report: Report,
    /// Why the run is no success, apart from violations.
    pub(super) failures: Vec<String>,
    /// The shortest counterexample, if one was found.
    pub(super) counterexample: Option<Explained>,
}

impl Check {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Status, Failure> {
        if self.induction.is_asked {
            let (mutant, seed) = (self.mutant.as_deref(), self.seed.unwrap_or(1));
            return self.induction.run(mutant, seed, self.json, out);
        }
        if self.seed.is_some() && self.engine != Engine::Simulation {
            return Err(Failure::Refused(
                "--seed is for random walks: use it with --engine simulation or --inductive"
                    .to_owned(),
            ));
        }
        if self.checkpoint.is_some() && (self.engine != Engine::Antichain || self.models.len() != 1)
        {
            return Err(Failure::Refused(
                "--checkpoint is for one model, named, and the antichain engine".to_owned(),
            ));
        }
        let subjects = match (&self.mutant, Subject::bounded(&self.bounds)) {
            (_, Some(subject)) => vec![subject],
            (None, None) => Subject::models(&self.models)?
                .into_iter()
                .filter(|subject| !self.models.is_empty() || self.includes(&subject.spec))
                .collect(),
            (Some(name), None) => vec![Subject::mutant(name)?],
        };
        if let [Subject { mutant: Some(mutant), .. }] = &subjects[..]
            && mutant.caught_by == RECOVERABILITY
            && self.engine != Engine::Antichain
        {
            return Err(Failure::Refused(format!(
                "only the antichain engine asks for `{RECOVERABILITY}`, which is what catches {}",
                mutant.name
            )));
        }
        let interrupted = interruption()?;
        let mut results = Vec::new();
        let mut not_run = Vec::new();
        let mut coverage = BTreeMap::new();
        let mut refused = None;
        for subject in subjects {
            let name = subject.spec.name;
            if interrupted.load(Ordering::Relaxed) || refused.is_some() {
                not_run.push(name);
                continue;
            }
            let checked = match self.check(subject, &interrupted) {
                Ok(checked) => checked,
                Err(failure) => {
                    // The results found so far are not lost.
                    refused = Some(failure);
                    not_run.push(name);
                    continue;
                }
            };
            for (label, steps) in &checked.report.labels {
                *coverage.entry(*label).or_insert(0) += steps;
            }
            if !self.json {
                if self.verbose || checked.needs_details() {
                    report::write_model(out, &checked)?;
                } else {
                    report::write_line(out, &checked)?;
                }
                out.flush()?;
            }
            results.push(checked);
        }
        if let Some(failure) = refused.take_if(|_| results.is_empty()) {
            return Err(failure);
        }
        let coverage = self.coverage.then_some(&coverage);
        let saved = self.save.as_deref().map(|path| save(path, &results)).transpose();
        let shown = self.html.as_deref().map(|path| show(path, &results)).transpose();
        if self.json {
            let models = results.iter().map(json::Model::new).collect();
            let saved = saved.as_ref().ok().copied().flatten().flatten();
            let not_run = not_run.clone();
            writeln!(out, "{}", json::text(&json::Results { models, not_run, coverage, saved }))?;
        } else {
            report::write_summary(out, &results, &not_run, coverage)?;
            if let Ok(Some(saved)) = &saved {
                report::write_saved(out, *saved)?;
            }
            if let Ok(Some(shown)) = &shown {
                report::write_shown(out, *shown)?;
            }
        }
        let refused = saved.err().or(shown.err()).or(refused);
        match (status(&results, &not_run), refused) {
            // The worse of the two is what the exit code says.
            (Status::Violation, Some(failure)) => {
                let _ = writeln!(std::io::stderr(), "error: {failure}");
                Ok(Status::Violation)
            }
            (_, Some(failure)) => Err(failure),
            (status, None) => Ok(status),
        }
    }

    /// Whether a model is run when none is named. For stateright's exhaustive engines, only small enough
    /// models are.
    fn includes(&self, spec: &Spec) -> bool {
        match self.engine {
            Engine::Antichain if self.plain => spec.plain,
            Engine::Antichain => self.deep || spec.effort == Effort::Quick,
            Engine::Bfs | Engine::Dfs => spec.states.is_some(),
            Engine::Simulation => spec.effort == Effort::Quick,
        }
    }

    fn check(&self, subject: Subject, interrupted: &AtomicBool) -> Result<Checked, Failure> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.threads.map_or(cores, usize::from);
        let engine = match self.engine {
            Engine::Antichain if self.plain => actorcheck::Engine::Plain,
            Engine::Antichain => actorcheck::Engine::Antichain,
            Engine::Bfs => actorcheck::Engine::Bfs,
            Engine::Dfs => actorcheck::Engine::Dfs,
            Engine::Simulation => actorcheck::Engine::Simulation(self.seed.unwrap_or(0)),
        };
        let limits = Limits {
            threads,
            max_states: self.max_states,
            max_time: self.max_seconds.map(Duration::from_secs),
            max_memory: self.memory.or_else(memory::most),
            max_locals: None,
        };
        // The bar has no total for a random walk, which has no end.
        let is_random = matches!(self.engine, Engine::Simulation);
        let pinned = subject.pinned(engine).filter(|_| !is_random);
        let bar = Bar::new(subject.name(), pinned);
        // A panic is reported where it happens. Here it must not pass for any verdict.
        let mut trouble = None;
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let mut world = subject.cluster();
            world.symmetry = world.symmetry.filter(|_| !self.no_symmetry);
            if self.coverage {
                world.tally = Arc::new(Tally::new(world.bounds.len(), world.labels));
            }
            let (report, failed) =
                self.search(&subject, world, engine, &limits, interrupted, &bar)?;
            trouble = failed;
            let counterexample = (report.verdict == Verdict::Violated).then(|| {
                bar.say("violated; searching for the shortest counterexample");
                explain(&subject, &report, &limits, interrupted)
            });
            Ok::<_, Failure>((report, counterexample))
        }));
        bar.clear();
        let ran = ran.map_err(|_| {
            Failure::Refused(format!(
                "a handler or a property of {} panicked, as said above: nothing can be claimed",
                subject.name()
            ))
        })?;
        let (report, counterexample) = ran?;
        let mut checked =
            Checked::new(subject, engine, (threads, limits.max_memory), report, counterexample);
        checked.failures.extend(trouble.map(|trouble| trouble.to_string()));
        Ok(checked)
    }

    /// Runs the engine. Returns its report, and the error that kept the last checkpoint from being written,
    /// if any.
    fn search(
        &self,
        subject: &Subject,
        world: Cluster,
        engine: actorcheck::Engine,
        limits: &Limits,
        interrupted: &AtomicBool,
        bar: &Bar,
    ) -> Result<(Report, Option<CheckpointError>), Failure> {
        let mut show = |now| bar.show(now);
        match self.checkpoints(subject)? {
            None => Ok((actorcheck::run(world, engine, limits, interrupted, &mut show), None)),
            Some(saved) => explore_with_checkpoints(&world, limits, &saved, interrupted, &mut show)
                .map_err(|error| Failure::Refused(error.to_string())),
        }
    }

    /// The file and the identity of the search's checkpoints. A checkpoint belongs to one model and one
    /// build: another build may judge differently.
    fn checkpoints(&self, subject: &Subject) -> Result<Option<Checkpoints>, Failure> {
        let Some(path) = self.checkpoint.clone() else { return Ok(None) };
        let program = std::env::current_exe().and_then(std::fs::read).map_err(|error| {
            Failure::Refused(format!("cannot read this program, to tell its build: {error}"))
        })?;
        let digest = SipHasher13::new().hash(&program).as_u128();
        let (name, bounds) = (subject.name(), subject.spec.bounds_text());
        let symmetry = if self.no_symmetry { "without" } else { "with" };
        Ok(Some(Checkpoints {
            path,
            every: Duration::from_secs(self.checkpoint_seconds),
            resume: self.resume,
            identity: format!("{name} {bounds} {symmetry} symmetry, build {digest:032x}"),
        }))
    }
}

/// Writes the first counterexample to a file, if there is one. Returns the path of the file.
fn save<'p>(path: &'p Path, results: &[Checked]) -> Result<Option<&'p Path>, Failure> {
    let Some(found) = results.iter().find_map(|checked| checked.counterexample.as_ref()) else {
        return Ok(None);
    };
    std::fs::write(path, &found.script).map_err(|error| {
        Failure::Refused(format!(
            "cannot save the counterexample as {}: {error}; name another file with --save FILE",
            path.display()
        ))
    })?;
    Ok(Some(path))
}

/// Writes the first counterexample as a page, if there is one. Returns the path of the page.
fn show<'p>(path: &'p Path, results: &[Checked]) -> Result<Option<&'p Path>, Failure> {
    let mut found = results.iter().filter_map(|it| Some((it, it.counterexample.as_ref()?)));
    let Some((checked, found)) = found.next() else { return Ok(None) };
    let refused = |error| Failure::Refused(format!("cannot make the page: {error}"));
    let script = &found.script;
    let header = Header::of(script).map_err(refused)?;
    let subject = Subject {
        spec: checked.subject.spec.clone(),
        mutant: checked.subject.mutant.as_ref().and_then(|it| mutants::find(it.name)),
        options: checked.subject.options.clone(),
        lender: None,
    };
    let stage = Stage::of_script(&header, subject);
    let scene = stage
        .and_then(|mut it| it.play(&header, script, SceneKind::Counterexample, Detail::EachFrame));
    page::file(path, &scene.map_err(refused)?)?;
    Ok(Some(path))
}

/// The shortest counterexample of the one property that was violated. If several were, it is that of
/// whichever falls first.
fn explain(
    subject: &Subject,
    report: &Report,
    limits: &Limits,
    interrupted: &AtomicBool,
) -> Result<Explained, String> {
    let property = match report.violated()[..] {
        [only] => Some(only),
        _ => None,
    };
    let max_states = limits.max_states.or(Some(SHORTEST_MAX_STATES));
    let limits = Limits { max_states, ..limits.clone() };
    counterexample::explain(subject, property, &limits, interrupted)
}

impl Checked {
    /// Judges a run: what keeps it from being a success?
    fn new(
        subject: Subject,
        engine: actorcheck::Engine,
        (threads, max_memory): (usize, Option<u64>),
        mut report: Report,
        counterexample: Option<Result<Explained, String>>,
    ) -> Self {
        let mut failures = failures(&subject, engine, &report, max_memory);
        let counterexample = match counterexample.transpose() {
            Ok(counterexample) => counterexample,
            Err(reason) => {
                failures.push(reason);
                None
            }
        };
        if let Some(found) = &counterexample {
            // If several properties fall, the shortest counterexample may violate one that the run had not
            // yet met.
            let properties = report.properties.iter_mut();
            properties
                .filter(|property| property.name == found.property)
                .for_each(|property| property.result = PropertyResult::Violated);
        }
        Self { subject, engine, threads, report, failures, counterexample }
    }

    /// Whether there is more to say than that the model is exhausted and that everything holds.
    fn needs_details(&self) -> bool {
        self.subject.mutant.is_some()
            || self.verdict() != Verdict::Exhaustive
            || !self.failures.is_empty()
    }

    /// EXHAUSTIVE only if the engine says so and the number of states is the pinned one.
    pub(super) fn verdict(&self) -> Verdict {
        match self.report.verdict {
            Verdict::Exhaustive
                if self.subject.count_failure(self.engine, &self.report).is_some() =>
            {
                Verdict::Bounded
            }
            verdict => verdict,
        }
    }
}

/// Everything that keeps a run from being a success, except a violation.
fn failures(
    subject: &Subject,
    engine: actorcheck::Engine,
    report: &Report,
    max_memory: Option<u64>,
) -> Vec<String> {
    let mut failures = Vec::new();
    match (report.verdict, &subject.mutant) {
        (Verdict::Violated, _) => return failures,
        (Verdict::Bounded, _) => {
            let what = report.ended_by.unwrap_or("the nature of a simulation").to_owned();
            let what = match max_memory {
                Some(most) if what == "the limit on memory" => {
                    format!("{what} of {}, which `--memory` sets", HumanBytes(most))
                }
                _ => what,
            };
            failures.push(format!("the search was ended by {what}: nothing is said of the rest"));
        }
        (Verdict::Exhaustive, Some(mutant)) => failures.push(format!(
            "the mutant {} SURVIVES: `{}` holds in its whole model",
            mutant.name, mutant.caught_by
        )),
        (Verdict::Exhaustive, None) => failures.extend(subject.count_failure(engine, report)),
    }
    let properties = report.properties.iter();
    let missing = properties.filter(|property| {
        property.kind == Kind::Sometimes && property.result == PropertyResult::Unwitnessed
    });
    failures.extend(missing.map(|property| format!("UNWITNESSED: `{}`", property.name)));
    failures
}

/// The exit code for all runs together.
fn status(results: &[Checked], not_run: &[&str]) -> Status {
    if results.iter().any(|checked| checked.report.verdict == Verdict::Violated) {
        Status::Violation
    } else if not_run.is_empty() && results.iter().all(|checked| checked.failures.is_empty()) {
        Status::Success
    } else {
        Status::Other
    }
}

/// A flag that becomes true at the first Ctrl-C (or SIGTERM), so that the program can report what was done
/// so far. The second Ctrl-C kills the program.
fn interruption() -> Result<Arc<AtomicBool>, Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let second = Arc::clone(&interrupted);
        signal_hook::flag::register_conditional_shutdown(signal, 130, second)
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&interrupted)))
            .map_err(|error| Failure::Refused(format!("cannot listen to Ctrl-C: {error}")))?;
    }
    Ok(interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of a single server of one term, with another pinned number or other witnesses asked for.
    fn checked(states: u64, sometimes: &'static [&'static str]) -> Checked {
        let states = Some(states);
        let spec = Spec { servers: 1, states, sometimes, ..Spec::base("one", "one server") };
        let subject = Subject { spec, mutant: None, options: None, lender: None };
        let limits = Limits::unlimited(1);
        let interrupted = AtomicBool::new(false);
        let engine = actorcheck::Engine::Bfs;
        let report = actorcheck::run(subject.cluster(), engine, &limits, &interrupted, &mut |_| {});
        Checked::new(subject, engine, (1, None), report, None)
    }

    /// The true number of states of that model.
    fn states() -> u64 {
        checked(0, &[]).report.states
    }

    #[test]
    fn a_model_with_the_pinned_number_of_states_is_exhaustive() {
        let checked = checked(states(), &["a leader is elected"]);
        assert_eq!(checked.verdict(), Verdict::Exhaustive);
        assert!(checked.failures.is_empty(), "{:?}", checked.failures);
        assert_eq!(status(&[checked], &[]), Status::Success);
    }

    #[test]
    fn a_model_pinned_wrongly_fails_with_both_numbers() {
        let seen = states();
        let checked = checked(seen + 1, &["a leader is elected"]);
        assert_eq!(checked.report.verdict, Verdict::Exhaustive, "the search itself did end");
        assert_eq!(checked.verdict(), Verdict::Bounded);
        let [failure] = &checked.failures[..] else { panic!("{:?}", checked.failures) };
        assert!(failure.contains(&format!("expected {} states, seen {seen}", seen + 1)));
        assert_eq!(status(&[checked], &[]), Status::Other);
    }

    #[test]
    fn a_sometimes_property_without_a_witness_fails() {
        let checked = checked(states(), &["two leaders at once"]);
        assert_eq!(checked.failures, ["UNWITNESSED: `two leaders at once`"]);
        assert_eq!(status(&[checked], &[]), Status::Other);
    }

    #[test]
    fn a_mutant_that_is_not_caught_survives() {
        let mut checked = checked(states(), &[]);
        let mut mutant = mutants::catalogue().swap_remove(0);
        mutant.caught_by = "Log Matching";
        checked.subject.mutant = Some(mutant);
        let failures = failures(&checked.subject, checked.engine, &checked.report, None);
        let [failure] = &failures[..] else { panic!("{failures:?}") };
        assert!(failure.contains("SURVIVES"), "{failure}");
    }

    #[test]
    fn a_model_that_was_not_run_is_no_success() {
        let checked = checked(states(), &[]);
        assert_eq!(status(&[checked], &["another"]), Status::Other);
    }
}

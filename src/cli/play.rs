//! `raft play`: executes a script on its model, and says which properties the script violates.

use super::dead_end::{DeadEnds, Recovers};
use super::json::kind;
use super::lines::Line;
use super::page::scene::SceneKind;
use super::page::stage::{Detail, Stage};
use super::subject::{Chosen, Subject};
use super::{Failure, Status, page, why};
use actorcheck::{Event, Kind, RECOVERABILITY};
use checked_raft::models::header::Header;
use checked_raft::models::script::{Runner, without_comment};
use checked_raft::models::text::Text;
use checked_raft::models::{Cluster, ClusterAction, ClusterState};
use clap::Args;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

/// Play a script on its model: a saved counterexample, or one of your own
///
/// Prints each step in words, the servers at the end, and the verdict of each property on the states that
/// were passed. The exit code is 0 if nothing is violated, 1 if a property is, 2 if the script cannot be
/// played. docs/counterexamples.md tells the language of scripts; `raft check --save` writes one.
#[derive(Args)]
pub(super) struct Play {
    /// The script; `-` stands for the standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Play it on this model of the catalogue, whatever its header says
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Play it on servers with this bug, whatever its header says
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
    /// Play it on correct servers, though its header names a mutant
    #[arg(long, conflicts_with = "mutant")]
    correct: bool,
    /// Also write a page that shows it in a browser
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// The most commands that an error lists as possible.
const MOST_POSSIBLE: usize = 24;

impl Play {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Status, Failure> {
        let script = self.read()?;
        let header = Header::of(&script).map_err(|error| self.refused(&error))?;
        let chosen = Chosen {
            model: self.model.as_deref(),
            mutant: self.mutant.as_deref(),
            correct: self.correct,
        };
        let subject = Subject::of_script(&header, chosen).map_err(|error| self.refused(&error))?;
        let fault = subject.mutant.as_ref().map(|mutant| mutant.fault);
        let build = || {
            let built = subject.spec.played(fault);
            built.map_err(|error| self.refused(&format!("its model does not start: {error}")))
        };
        let (cluster, apart) = (build()?, build()?);
        self.write_head(out, &subject, &header)?;
        let is_bounded = header.scenario.is_none() || header.model.is_some();
        let mut player = Player::new(&cluster, Verdicts::new(&cluster, apart, is_bounded));
        for (number, line) in (1..).zip(script.lines()).skip(header.lines) {
            let ran = player.line(line, out)?;
            if let Err(reason) = ran {
                out.flush()?;
                return Err(self.stuck(number, line, &reason, &player.runner));
            }
        }
        if let Some(path) = &self.html {
            let again =
                Subject::of_script(&header, chosen).map_err(|error| self.refused(&error))?;
            let stage = Stage::of_script(&header, again);
            let scene = stage
                .and_then(|mut it| it.play(&header, &script, SceneKind::Script, Detail::EachFrame));
            let mut scene = scene.map_err(|error| self.refused(&error))?;
            if let Some(name) = self.file.file_stem().filter(|_| !scene.is_bounded()) {
                scene.rename(name.to_string_lossy().replace('_', " "));
            }
            page::file(path, &scene)?;
        }
        player.write_end(header.violates.as_deref(), out)?;
        let verdicts = &player.verdicts;
        verdicts.write(out)?;
        if let Some(property) = &header.violates {
            verdicts.write_expected(out, property)?;
        }
        if let Some(path) = &self.html {
            writeln!(out, "{} shows it: open it in a browser.", path.display())?;
        }
        let is_violated = verdicts.violations().next().is_some();
        Ok(if is_violated { Status::Violation } else { Status::Success })
    }

    fn read(&self) -> Result<String, Failure> {
        let text = if self.file.as_os_str() == "-" {
            io::read_to_string(io::stdin())
        } else {
            std::fs::read_to_string(&self.file)
        };
        text.map_err(|error| {
            self.refused(&format!("cannot read it: {error}; name a script that is text"))
        })
    }

    fn refused(&self, error: &str) -> Failure {
        Failure::Refused(format!("{}: {error}", self.file.display()))
    }

    /// The error for a line that does not run.
    fn stuck(&self, number: usize, line: &str, reason: &str, runner: &Runner<'_>) -> Failure {
        let (possible, steps) = (runner.possible(), runner.steps().len());
        let mut lines = vec![
            format!("line {number}: `{}`: {reason}", without_comment(line)),
            format!("The steps that are possible here, after {steps}:"),
        ];
        lines.extend(possible.iter().take(MOST_POSSIBLE).map(|command| format!("  {command}")));
        if possible.len() > MOST_POSSIBLE {
            lines.push(format!("  and {} more", possible.len() - MOST_POSSIBLE));
        }
        self.refused(&lines.join("\n"))
    }

    fn write_head(
        &self,
        out: &mut dyn Write,
        subject: &Subject,
        header: &Header,
    ) -> io::Result<()> {
        let spec = &subject.spec;
        match (&subject.mutant, &header.scenario) {
            (None, Some(_)) if header.model.is_none() && self.model.is_none() => {
                let clients = spec.clients.len();
                writeln!(out, "a scenario of {} servers and {clients} clients", spec.servers)?;
                return writeln!(out);
            }
            (None, _) => writeln!(out, "{}: {}", spec.name, spec.about)?,
            (Some(mutant), _) => {
                writeln!(out, "{}: {}", mutant.name, mutant.about)?;
                writeln!(out, "  model       {}: {}", spec.name, spec.about)?;
            }
        }
        let bounds = spec.bounds_text();
        writeln!(out, "  bounds      {bounds}")?;
        if let Some(written) = header.bounds.as_ref().filter(|written| **written != bounds) {
            writeln!(out, "  but         the script was written for {written}")?;
        }
        if let Some(prefix) = subject.prefix() {
            writeln!(out, "\nThe model starts from this script:\n")?;
            for line in prefix.lines() {
                writeln!(out, "     {line}")?;
            }
        }
        writeln!(out)
    }
}

/// A script under way.
struct Player<'a> {
    cluster: &'a Cluster,
    runner: Runner<'a>,
    /// The point that `return` goes back to.
    remembered: Runner<'a>,
    verdicts: Verdicts<'a>,
    /// The number of steps that were told.
    told: usize,
    /// The state before the last step.
    before: ClusterState,
}

impl<'a> Player<'a> {
    fn new(cluster: &'a Cluster, mut verdicts: Verdicts<'a>) -> Self {
        let first = cluster.initial.clone().unwrap_or_else(|| cluster.started());
        verdicts.judge(0, None, &first);
        let runner = Runner::new(cluster, first.clone());
        Self { cluster, remembered: runner.clone(), runner, verdicts, told: 0, before: first }
    }

    /// Runs a line and tells its steps. The inner result is that of the line.
    fn line(&mut self, line: &str, out: &mut dyn Write) -> io::Result<Result<(), String>> {
        match Line::of(line, &self.cluster.names) {
            Line::Nothing => {}
            Line::Logs => {
                for log in Text::of(self.cluster).logs(self.runner.state()) {
                    writeln!(out, "       {log}")?;
                }
            }
            Line::Remember => self.remembered = self.runner.clone(),
            Line::Return => {
                self.runner = self.remembered.clone();
                writeln!(out, "       back to where the script said `remember`")?;
            }
            Line::Commands(commands) => {
                for command in commands {
                    let ran = self.command(command, out)?;
                    if ran.is_err() {
                        return Ok(ran);
                    }
                }
            }
        }
        Ok(Ok(()))
    }

    fn command(&mut self, line: &str, out: &mut dyn Write) -> io::Result<Result<(), String>> {
        let first = self.runner.steps().len();
        let mut before = self.runner.state().clone();
        let ran = self.runner.line(line);
        let steps = self.runner.steps()[first..].to_vec();
        if steps.is_empty() && ran.is_ok() && !line.is_empty() {
            writeln!(out, "       {}", line.trim())?;
        }
        for (action, after) in steps {
            self.told += 1;
            let lines = Text::of(self.cluster).step(self.cluster, &before, &action, &after);
            write!(out, "{}", why::numbered(self.told, &lines))?;
            self.verdicts.judge(self.told, Some(&action), &after);
            self.before = std::mem::replace(&mut before, after);
        }
        Ok(ran)
    }

    /// Writes a violation in words, and the servers at the end. It is the one that the header tells of, or
    /// else the first one.
    fn write_end(&self, told: Option<&str>, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out)?;
        let mut violations: Vec<_> = self.verdicts.violations().collect();
        violations.sort_by_key(|(property, _, _)| Some(*property) != told);
        if let Some((property, _, state)) = violations.first()
            && let Some(sentence) = why::sentence(self.cluster, property, state)
        {
            writeln!(out, "{sentence}\n")?;
        }
        for line in why::table(self.cluster, &self.before, self.runner.state()) {
            writeln!(out, "{line}")?;
        }
        writeln!(out)
    }
}

/// The bounds of the model that a step leads beyond, as `max_term=1`.
pub(super) fn beyond(
    cluster: &Cluster,
    action: Option<&ClusterAction>,
    state: &ClusterState,
) -> Vec<String> {
    let view = state.view();
    let outside = cluster.bounds.iter().filter(|bound| !bound.within.holds(&view));
    let outside = outside.map(|bound| format!("{}={}", bound.name, bound.limit));
    let restarts = action.filter(|action| {
        action.event == Event::Restart && !cluster.restartable.contains(&action.who)
    });
    outside.chain(restarts.map(|_| "restarts=none".to_owned())).collect()
}

/// The verdicts on the states that a script has passed.
struct Verdicts<'a> {
    cluster: &'a Cluster,
    /// The judge of recovery.
    dead_ends: DeadEnds,
    /// Whether the bounds of the model mean anything.
    is_bounded: bool,
    /// The number of the step that first violated a property or satisfied a `sometimes`, and its state.
    first: BTreeMap<&'static str, (usize, ClusterState)>,
    /// The number of the first step beyond each bound.
    beyond: BTreeMap<String, usize>,
    /// The number of the step after which the search for a way to recovery was cut.
    undecided: Option<usize>,
}

impl<'a> Verdicts<'a> {
    fn new(cluster: &'a Cluster, apart: Cluster, is_bounded: bool) -> Self {
        let (first, beyond) = (BTreeMap::new(), BTreeMap::new());
        let dead_ends = DeadEnds::new(apart);
        Self { cluster, dead_ends, is_bounded, first, beyond, undecided: None }
    }

    /// Judges the state after a step; number 0 is the first state.
    fn judge(&mut self, number: usize, action: Option<&ClusterAction>, state: &ClusterState) {
        let view = state.view();
        let broken = self.cluster.broken(state).into_iter();
        let seen = self.cluster.sometimes.iter().filter(|property| property.holds.holds(&view));
        let dead_end = self.is_dead_end(number, state).then_some(RECOVERABILITY);
        let noted = broken.chain(seen.map(|property| property.name)).chain(dead_end);
        for name in noted.collect::<Vec<_>>() {
            self.first.entry(name).or_insert_with(|| (number, state.clone()));
        }
        if !self.is_bounded {
            return;
        }
        for bound in beyond(self.cluster, action, state) {
            self.beyond.entry(bound).or_insert(number);
        }
    }

    /// Whether some group cannot recover from this state, if that is asked and not yet known. With a bug a
    /// group may go on for ever, so the search is cut; if it finds no way then, nothing is said of recovery.
    fn is_dead_end(&mut self, number: usize, state: &ClusterState) -> bool {
        let is_known = self.undecided.is_some() || self.first.contains_key(RECOVERABILITY);
        if is_known {
            return false;
        }
        let judged = self.dead_ends.judge(state);
        if judged == Recovers::Undecided {
            self.undecided = Some(number);
        }
        judged == Recovers::No
    }

    /// The properties that may not be broken and were, with the step and the state: the first one first.
    fn violations(&self) -> impl Iterator<Item = (&'static str, usize, &ClusterState)> {
        let mut violations: Vec<_> = self
            .properties()
            .filter(|(_, kind)| *kind != Kind::Sometimes)
            .filter_map(|(name, _)| self.first.get(name).map(|(step, state)| (name, *step, state)))
            .collect();
        violations.sort_by_key(|(_, step, _)| *step);
        violations.into_iter()
    }

    fn properties(&self) -> impl Iterator<Item = (&'static str, Kind)> {
        let recovery = self.cluster.recovery.is_some();
        self.cluster.property_names().chain(recovery.then_some((RECOVERABILITY, Kind::Recovery)))
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        for (name, of) in self.properties() {
            let verdict = match (self.first.get(name), of) {
                (Some((0, _)), Kind::Sometimes) => "seen at the start".to_owned(),
                (Some((step, _)), Kind::Sometimes) => format!("seen after step {step}"),
                (None, Kind::Sometimes) => "not seen".to_owned(),
                (Some((0, _)), _) => "VIOLATED at the start".to_owned(),
                (Some((step, _)), _) => format!("VIOLATED in step {step}"),
                (None, Kind::Recovery) if self.undecided.is_some() => {
                    let step = self.undecided.unwrap_or_default();
                    format!("not decided after step {step}: the search for a way was cut")
                }
                (None, _) => "not violated".to_owned(),
            };
            writeln!(out, "  {:<10}  {name:<38} {verdict}", kind(of))?;
        }
        for (bound, step) in &self.beyond {
            writeln!(out, "Step {step} leads beyond {bound}: no search of this model goes there.")?;
        }
        Ok(())
    }

    /// Compares with the property that the header says is violated.
    fn write_expected(&self, out: &mut dyn Write, property: &str) -> io::Result<()> {
        if self.violations().any(|(name, _, _)| name == property) {
            writeln!(out, "It violates `{property}`, as its header says.")
        } else if self.properties().any(|(name, _)| name == property) {
            writeln!(out, "Its header says that it violates `{property}`. Here it does not.")
        } else {
            writeln!(
                out,
                "Its header says that it violates `{property}`, which this model does not ask."
            )
        }
    }
}

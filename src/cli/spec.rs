//! `raft spec`: the state graphs of models, compared with those of the specification in TLA+.

use super::models::table;
use super::options::grouped;
use super::subject::{Subject, unknown};
use super::{Failure, Status};
use checked_raft::models::Spec;
use checked_raft::models::catalogue::{self, catalogue};
use checked_raft::models::mutants::Fault;
use checked_raft::models::twin::{self, Exploration, Graph, Lines, ModelGraph, Texts};
use clap::{Args, Subcommand};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::PathBuf;

/// Print the state graph of a model as values of TLA+, or compare it with TLC's
///
/// The specification `spec/Raft.tla` and the models are to be one transition system. These commands explore
/// a model state by state, with all messages that were ever sent, so they are for small models.
#[derive(Args)]
pub(super) struct SpecCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the models that are compared with the specification
    Models,
    /// Print every state, one a line, sorted
    States {
        #[command(flatten)]
        explored: Explored,
        /// Print only how many there are
        #[arg(long)]
        count: bool,
    },
    /// Print every step, as `STATE --Action--> STATE`, sorted; steps to the same state are left out
    Edges(Explored),
    /// Compare the model with a dump of TLC: exit code 0 if the graphs are equal, 1 if they differ
    ///
    /// TLC writes the dump with `-dump dot,actionlabels FILE`, if its configuration has the bounds of the
    /// model. On a difference this prints a shortest path to the first state or step that one side lacks.
    Compare {
        #[command(flatten)]
        explored: Explored,
        /// The dump
        #[arg(value_name = "FILE")]
        dump: PathBuf,
    },
}

/// A model to explore.
#[derive(Args)]
struct Explored {
    /// A model of `raft spec models` or of `raft models`
    #[arg(value_name = "MODEL")]
    model: String,
    /// Refuse a model with more states than this
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=u64::from(u32::MAX)))]
    limit: u64,
    /// Put this mutant in the place of every server
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
}

impl SpecCommand {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Status, Failure> {
        match &self.command {
            Command::Models => models(out),
            Command::States { explored, count } => {
                let (spec, exploration) = explored.explore()?;
                if *count {
                    writeln!(out, "{}", exploration.len())?;
                } else {
                    states(&spec, &exploration, out)?;
                }
                Ok(Status::Success)
            }
            Command::Edges(explored) => {
                let (spec, exploration) = explored.explore()?;
                edges(&spec, &exploration, out)
            }
            Command::Compare { explored, dump } => {
                let mut texts = Texts::default();
                // A dump that cannot be read is soon seen, and an exploration may take long.
                let graph = read(dump, &mut texts)?;
                // A mutant may have states without end, and differ soon.
                let (spec, exploration) = explored.explore_up_to_limit()?;
                let status = compare(&spec, &exploration, &graph, &mut texts, out)?;
                status.ok_or_else(|| explored.too_large())
            }
        }
    }
}

impl Explored {
    /// Explores the whole model.
    fn explore(&self) -> Result<(Spec, Exploration), Failure> {
        let (spec, exploration) = self.explore_up_to_limit()?;
        if exploration.is_whole() { Ok((spec, exploration)) } else { Err(self.too_large()) }
    }

    /// Explores the model as far as the limit allows.
    fn explore_up_to_limit(&self) -> Result<(Spec, Exploration), Failure> {
        let (spec, fault) = (self.spec()?, self.fault()?);
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let explored = twin::explore_up_to(&spec, fault, limit);
        let exploration = explored.map_err(|error| self.refused(&error.to_string()))?;
        Ok((spec, exploration))
    }

    fn too_large(&self) -> Failure {
        let (limit, hint) = (self.limit, "every state takes about a kilobyte of memory");
        self.refused(&format!(
            "it has more than {limit} states; `--limit` raises the limit, and {hint}"
        ))
    }

    fn refused(&self, reason: &str) -> Failure {
        Failure::Refused(format!("cannot explore `{}`: {reason}", self.model))
    }

    fn spec(&self) -> Result<Spec, Failure> {
        let found = twin::find(&self.model).or_else(|| catalogue::find(&self.model));
        found.ok_or_else(|| {
            let all = twin::twins().into_iter().chain(catalogue());
            unknown("model", "spec models", &self.model, all.map(|spec| spec.name).collect())
        })
    }

    fn fault(&self) -> Result<Option<Fault>, Failure> {
        let Some(name) = &self.mutant else { return Ok(None) };
        Ok(Subject::mutant(name)?.mutant.map(|mutant| mutant.fault))
    }
}

fn models(out: &mut dyn Write) -> Result<Status, Failure> {
    let mut table = table(["model", "about", "bounds"]);
    for spec in twin::twins() {
        table.add_row([spec.name.to_owned(), spec.about.to_owned(), spec.bounds_text()]);
    }
    writeln!(out, "{table}")?;
    Ok(Status::Success)
}

fn states(spec: &Spec, exploration: &Exploration, out: &mut dyn Write) -> Result<(), Failure> {
    let lines = Lines::new(spec, exploration);
    let mut states: Vec<_> = lines.states().collect();
    states.sort_unstable();
    states.dedup();
    for state in &states {
        writeln!(out, "{state}")?;
    }
    told(states.len(), "states");
    Ok(())
}

fn edges(spec: &Spec, exploration: &Exploration, out: &mut dyn Write) -> Result<Status, Failure> {
    let (lines, mut texts) = (Lines::new(spec, exploration), Texts::default());
    let model = ModelGraph::new(exploration, &lines, &mut texts);
    let mut states: Vec<_> = model.graph.states.iter().copied().collect();
    states.sort_unstable_by_key(|state| texts.state(*state));
    let ranks: BTreeMap<_, _> = states.into_iter().zip(0_usize..).collect();
    let mut edges: Vec<_> = model.graph.edges.iter().copied().collect();
    edges
        .sort_unstable_by_key(|(from, action, to)| (ranks[from], texts.action(*action), ranks[to]));
    for (from, action, to) in &edges {
        let (from, action, to) = (texts.state(*from), texts.action(*action), texts.state(*to));
        writeln!(out, "{from} --{action}--> {to}")?;
    }
    told(edges.len(), "steps");
    Ok(Status::Success)
}

fn told(number: usize, what: &str) {
    let _ = writeln!(io::stderr(), "{} {what}", grouped(number as u64));
}

fn read(dump: &PathBuf, texts: &mut Texts) -> Result<Graph, Failure> {
    let refused = |error: twin::DumpError| {
        Failure::Refused(format!("cannot read the dump {}: {error}", dump.display()))
    };
    let file = File::open(dump).map_err(|error| refused(error.into()))?;
    twin::read(BufReader::new(file), texts).map_err(refused)
}

/// Compares a model with a dump; `None` if no difference was met before the exploration ended at its limit.
fn compare(
    spec: &Spec,
    exploration: &Exploration,
    graph: &Graph,
    texts: &mut Texts,
    out: &mut dyn Write,
) -> Result<Option<Status>, Failure> {
    let lines = Lines::new(spec, exploration);
    let model = ModelGraph::new(exploration, &lines, texts);
    if model.alike() > 0 {
        told(model.alike(), "states of the model look like another one to the specification");
    }
    let figures = |graph: &Graph| {
        let (states, edges) = (graph.states.len() as u64, graph.edges.len() as u64);
        format!("{} states and {} steps", grouped(states), grouped(edges))
    };
    match model.difference(graph) {
        None if !exploration.is_whole() => Ok(None),
        None => {
            writeln!(out, "{}: equal, {}", spec.name, figures(graph))?;
            Ok(Some(Status::Success))
        }
        Some(difference) => {
            let (ours, theirs) = (figures(&model.graph), figures(graph));
            writeln!(out, "{}: DIFFERENT: the model has {ours}, the dump {theirs}", spec.name)?;
            write!(out, "{}", model.tell(&difference, graph, texts))?;
            Ok(Some(Status::Violation))
        }
    }
}

//! The subject of a check or an exploration: a model, or a mutant in its model.

use super::Failure;
use super::bounds::Bounds;
use actorcheck::{Engine, Report};
use checked_raft::models::catalogue::{self, catalogue};
use checked_raft::models::header::Header;
use checked_raft::models::mutants::{self, MutantSpec};
use checked_raft::models::{Cluster, Spec};
use std::collections::BTreeSet;

/// One model, with correct servers or with mutants.
pub(super) struct Subject {
    /// The model.
    pub(super) spec: Spec,
    /// The mutant that takes the place of its servers.
    pub(super) mutant: Option<MutantSpec>,
    /// The options that give the bounds of the model, if it is not in the catalogue.
    pub(super) options: Option<String>,
    /// The mutant whose model this is, if the servers are correct and the model has no other name.
    pub(super) lender: Option<&'static str>,
}

/// What somebody has chosen for a script, whatever its header says.
#[derive(Clone, Copy, Default)]
pub(super) struct Chosen<'a> {
    /// The model.
    pub(super) model: Option<&'a str>,
    /// The bug of the servers.
    pub(super) mutant: Option<&'a str>,
    /// Whether the servers are correct, though the header names a mutant.
    pub(super) correct: bool,
}

impl Subject {
    /// The models of these names, in this order; the whole catalogue if no name is given.
    pub(super) fn models(names: &[String]) -> Result<Vec<Self>, Failure> {
        let specs = if names.is_empty() {
            catalogue()
        } else {
            // A model that is named twice is run once.
            let mut seen = BTreeSet::new();
            let names = names.iter().filter(|name| seen.insert(*name));
            names.map(|name| find_model(name)).collect::<Result<_, _>>()?
        };
        Ok(specs.into_iter().map(Self::of).collect())
    }

    /// The mutant of this name.
    pub(super) fn mutant(name: &str) -> Result<Self, Failure> {
        let Some(mutant) = mutants::find(name) else {
            let names: Vec<_> = mutants::catalogue().iter().map(|mutant| mutant.name).collect();
            return Err(unknown("mutant", "mutants", name, names));
        };
        Ok(Self { spec: mutant.spec.clone(), mutant: Some(mutant), options: None, lender: None })
    }

    /// The subject that a script is played on. What somebody has chosen counts more than what the header of
    /// the script says. An error is a sentence.
    pub(super) fn of_script(header: &Header, chosen: Chosen<'_>) -> Result<Self, String> {
        let mutant = |name: Option<&str>| name.map(Self::mutant).transpose();
        let of_header = mutant(header.mutant.as_deref()).map_err(|error| error.to_string())?;
        let of_choice = mutant(chosen.mutant).map_err(|error| error.to_string())?;
        let model = match (chosen.model.or(header.model.as_deref()), &header.scenario) {
            (Some(name), _) => Some(Self::named(name)?),
            (None, Some(spec)) => Some(Self::of(spec.clone())),
            (None, None) => None,
        };
        // A script of a mutant goes on to be played on that mutant's model, also with another bug or none.
        let own = of_header.as_ref().or(of_choice.as_ref()).map(|subject| subject.spec.clone());
        let Some(spec) = model.as_ref().map(|model| model.spec.clone()).or(own) else {
            return Err(
                "it does not say on which model it is played; let it begin with `model NAME` or \
                        `mutant NAME`, or give one with --model or --mutant (`raft models` and \
                        `raft mutants` list them)"
                    .to_owned(),
            );
        };
        let mutant = of_choice.or(of_header).and_then(|subject| subject.mutant);
        let is_correct = chosen.correct || header.correct && chosen.mutant.is_none();
        let own = mutant.as_ref().filter(|mutant| is_correct && mutant.spec.name == spec.name);
        let lender = own.map(|mutant| mutant.name);
        let options = model.and_then(|model| model.options);
        Ok(Self { spec, mutant: mutant.filter(|_| !is_correct), options, lender })
    }

    /// The model that a header names: one of the catalogue, or bounds of its own.
    fn named(name: &str) -> Result<Self, String> {
        if name.starts_with("--") {
            let subject = Self::bounded(&Bounds::of(name)?);
            return subject.ok_or("the bounds of its model do not say `--servers`".to_owned());
        }
        find_model(name).map(Self::of).map_err(|error| error.to_string())
    }

    /// The lines of a header that name this subject. A scenario describes its cluster in lines of its own,
    /// so for a scenario they are none.
    pub(super) fn header(&self) -> String {
        let model = match &self.options {
            Some(options) => Some(options.trim()),
            None => Some(self.spec.name).filter(|name| catalogue::find(name).is_some()),
        };
        match &self.mutant {
            Some(mutant) if mutant.spec.name == self.spec.name => {
                format!("mutant {}\n", mutant.name)
            }
            Some(mutant) => {
                let model = model.map(|model| format!("model {model}\n")).unwrap_or_default();
                format!("{model}mutant {}\n", mutant.name)
            }
            None => match (model, self.lender) {
                (Some(model), _) => format!("model {model}\n"),
                (None, Some(lender)) => format!("mutant {lender}\ncorrect\n"),
                (None, None) => String::new(),
            },
        }
    }

    /// The model of these bounds, if any are given.
    pub(super) fn bounded(bounds: &Bounds) -> Option<Self> {
        Some(Self { options: Some(bounds.options()), ..Self::of(bounds.spec()?) })
    }

    /// A model of the catalogue.
    fn of(spec: Spec) -> Self {
        Self { spec, mutant: None, options: None, lender: None }
    }

    /// Whether the catalogue gives the numbers of states of this subject.
    fn has_pinned_counts(&self) -> bool {
        let is_pinned = self.spec.tuples.0 > 0 || self.spec.states.is_some();
        self.mutant.is_none() && self.options.is_none() && is_pinned
    }

    /// The model, in the form that the engines take.
    pub(super) fn cluster(&self) -> Cluster {
        match &self.mutant {
            None => self.spec.cluster(),
            Some(mutant) => self.spec.mutated(mutant.fault, mutant.caught_by),
        }
    }

    /// The name of the subject in messages.
    pub(super) fn name(&self) -> &'static str {
        self.mutant.as_ref().map_or(self.spec.name, |mutant| mutant.name)
    }

    /// The exact number of unique states for stateright's engines, of tuples for ours. Only a model with
    /// correct servers has such a number.
    pub(super) fn pinned(&self, engine: Engine) -> Option<u64> {
        let Spec { tuples: (tuples, _), states, .. } = self.spec;
        let pinned = match engine {
            Engine::Antichain | Engine::Plain => Some(tuples),
            Engine::Bfs | Engine::Dfs | Engine::Simulation(_) => states,
        };
        pinned.filter(|_| self.has_pinned_counts())
    }

    /// The message for an exhaustive search that has counted other numbers than the pinned ones.
    pub(super) fn count_failure(&self, engine: Engine, report: &Report) -> Option<String> {
        if !self.has_pinned_counts() {
            return None;
        }
        let seen = report.states;
        let mismatch = match (report.tuples, self.spec.tuples, self.spec.states) {
            (Some(counts), (tuples, _), _) if engine == Engine::Plain => {
                if tuples == counts.tuples {
                    return None;
                }
                format!("expected {tuples} tuples, seen {}", counts.tuples)
            }
            (Some(counts), pinned, _) if pinned != (counts.tuples, seen) => {
                let (tuples, maximal) = pinned;
                format!(
                    "expected {tuples} tuples and {maximal} maximal states, seen {} and {seen}",
                    counts.tuples
                )
            }
            (None, _, Some(expected)) if expected != seen => {
                format!("expected {expected} states, seen {seen}")
            }
            _ => return None,
        };
        Some(format!(
            "{mismatch}: what can be reached has changed, and no property of this model says whether \
             rightly. If nothing was meant to change, this is a bug that asks for a property; if \
             something was, say which rule before you pin the new numbers in models/catalogue.rs"
        ))
    }

    /// The command that opens the subject in the Explorer.
    pub(super) fn explore_command(&self) -> String {
        match (&self.mutant, &self.options) {
            (Some(mutant), _) => format!("raft explore --mutant {}", mutant.name),
            (None, Some(options)) => format!("raft explore{options}"),
            (None, None) => format!("raft explore {}", self.spec.name),
        }
    }

    /// The script that the model starts from, one command a line, if there is one.
    pub(super) fn prefix(&self) -> Option<String> {
        let lines = self.spec.prefix.lines().map(str::trim).filter(|line| !line.is_empty());
        let lines: Vec<_> = lines.collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

fn find_model(name: &str) -> Result<Spec, Failure> {
    catalogue::find(name).ok_or_else(|| {
        let names: Vec<_> = catalogue().iter().map(|spec| spec.name).collect();
        unknown("model", "models", name, names)
    })
}

/// The error for an unknown name. It suggests the names most like it.
pub(super) fn unknown(
    what: &str,
    command: &str,
    name: &str,
    mut names: Vec<&'static str>,
) -> Failure {
    names.sort_by_cached_key(|known| distance(name, known));
    names.truncate(3);
    let near = names.join("`, `");
    Failure::Refused(format!(
        "there is no {what} `{name}`; the nearest names are `{near}`, and `raft {command}` lists all"
    ))
}

/// How many characters must be inserted, removed or replaced to get from one name to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, a) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn the_distance_of_names_counts_edits() {
        assert_eq!(distance("election", "election"), 0);
        assert_eq!(distance("elecion", "election"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}

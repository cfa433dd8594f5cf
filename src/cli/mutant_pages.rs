//! `raft mutants --docs`: a page for each mutant that is killed.

use super::Failure;
use super::counterexample::Explained;
use super::kill_matrix::{caught_by, model, not_seen};
use super::mutants::{Expected, Hunted};
use super::options::grouped;
use checked_raft::models::mutants::matrix::{self, Judgement};
use std::fmt::Write;
use std::path::Path;

/// Makes the directory of the pages, before the hunt takes any time.
pub(super) fn prepare(directory: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(directory).map_err(|error| failure(directory, error))
}

fn failure(path: &Path, error: std::io::Error) -> Failure {
    Failure::Refused(format!(
        "cannot write {}: {error}; name another directory with --docs DIR",
        path.display()
    ))
}

/// Writes the pages and their index.
pub(super) fn write(directory: &Path, hunted: &[Hunted]) -> Result<(), Failure> {
    let write = |name: &str, text: String| {
        let path = directory.join(name);
        std::fs::write(&path, text).map_err(|error| failure(&path, error))
    };
    for hunted in hunted {
        if let Some(text) = page(hunted) {
            write(&format!("{}.md", hunted.mutant.name), text)?;
        }
    }
    write("README.md", index(hunted))
}

/// The source of a mutant, as a link if it is an issue, a pull request or a commit on GitHub.
fn linked(seen_in: &str) -> String {
    // GitHub redirects issues/N to the pull request of that number, if it is one.
    let kinds = [('#', "issues"), ('@', "commit")];
    let found = kinds.iter().find_map(|(sign, kind)| {
        let (repository, number) = seen_in.split_once(*sign)?;
        (!seen_in.contains(' ')).then(|| format!("https://github.com/{repository}/{kind}/{number}"))
    });
    found.map_or(seen_in.to_owned(), |url| format!("[{seen_in}]({url})"))
}

/// The page of a mutant, if it was killed.
fn page(hunted: &Hunted) -> Option<String> {
    let (mutant, found) = (&hunted.mutant, hunted.found.as_ref().ok()?);
    let (name, breaks, spec) = (mutant.name, mutant.breaks, &mutant.spec);
    let mut text = String::new();
    let _ = writeln!(text, "# {name}\n\n{}\n", mutant.about);
    let _ = writeln!(text, "- breaks the rule [{breaks}]: {}", rule(breaks));
    let _ = writeln!(text, "- the difference: {}", mutant.difference);
    let _ = writeln!(text, "- seen in {}", linked(mutant.seen_in));
    let _ = writeln!(text, "- caught by: {}", caught_first(hunted, found));
    let _ = writeln!(text, "- {}", others(hunted));
    let _ = writeln!(text, "- in the model `{}`: {}", spec.name, spec.bounds_text());
    if let Some(smallest) = &hunted.smallest {
        let (bounds, steps) = (smallest.bounds(), smallest.steps);
        let _ =
            writeln!(text, "- the smallest bounds at which it falls: {bounds}, in {steps} steps");
    }
    text.push('\n');
    let _ = writeln!(text, "{}\n", mutant.story);
    if !spec.prefix.is_empty() {
        let _ =
            writeln!(text, "The model starts from this script:\n\n```text\n{}\n```\n", spec.prefix);
    }
    let _ = writeln!(text, "## The shortest counterexample\n\n```text\n{}```\n", found.in_words());
    let _ = writeln!(text, "```mermaid\n{}```\n", found.mermaid);
    let link = &found.explorer;
    let _ = writeln!(text, "In the Explorer: `{}`, then <{}>", link.command, link.url);
    Some(text)
}

/// The property that must catch the mutant, with the cost of catching it.
fn caught_first(hunted: &Hunted, found: &Explained) -> String {
    let violated = hunted.row.violated(found.property);
    let states = violated.first().map_or(0, |(_, kill)| kill.states);
    format!(
        "{}, in {} steps, after {} states",
        found.property,
        found.length,
        grouped(states as u64)
    )
}

/// The verdicts of the other properties.
fn others(hunted: &Hunted) -> String {
    let Hunted { mutant, row, .. } = hunted;
    let also = caught_by(row, mutant.caught_by).into_iter().skip(1);
    let also: Vec<_> = also.map(|caught| format!("{caught} steps")).collect();
    let mut text = match also.len() {
        0 => "caught by no other property".to_owned(),
        _ => format!("also caught by: {}", also.join("; ")),
    };
    let _ = match not_seen(row) {
        None => write!(text, ". These hold: {}", row.those(Judgement::Holds).join(", ")),
        Some(within) => {
            write!(text, ". Violations {within}: {}", row.those(Judgement::NotSeen).join(", "))
        }
    };
    text
}

/// The text of a rule, and the place where it stands.
fn rule(id: &str) -> String {
    let rows = include_str!("../../spec/README.md").lines();
    let mut rows = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    let row = rows.find(|cells| cells.get(1) == Some(&id)).unwrap_or_default();
    let says = row.get(2).copied().unwrap_or_default();
    format!("\"{says}\" (`grep -rn '\\[{id}\\]' src/raft`)")
}

fn index(hunted: &[Hunted]) -> String {
    let mut text =
        "# Mutants\n\n| mutant | breaks | caught by | steps | states | model | also caught by | seen in |\n\
                    |---|---|---|---|---|---|---|---|\n"
            .to_owned();
    for Hunted { mutant, found, row, .. } in hunted {
        if let Ok(found) = found {
            let (name, breaks, seen_in) = (mutant.name, mutant.breaks, linked(mutant.seen_in));
            let (property, length) = (found.property, found.length);
            let kill = row.violated(property).first().map(|(_, kill)| grouped(kill.states as u64));
            let (states, model) = (kill.unwrap_or_default(), model(mutant));
            let also: Vec<_> = caught_by(row, property).into_iter().skip(1).collect();
            let also = also.join(", ");
            let _ = writeln!(
                text,
                "| [{name}]({name}.md) | {breaks} | {property} | {length} | {states} | {model} | {also} | {seen_in} |"
            );
        }
    }
    text.push_str("\n## Properties\n\n");
    text.push_str("| property | asked of mutants | kills | alone |\n|---|---|---|---|\n");
    let killed = hunted.iter().filter(|hunted| hunted.expected == Expected::Killed);
    for column in matrix::columns(killed.map(|hunted| &hunted.row)) {
        let matrix::Column { property, asked, kills, kills_alone, .. } = column;
        let _ = writeln!(text, "| {property} | {asked} | {kills} | {kills_alone} |");
    }
    text.push_str("\n## Changes that break nothing here\n\n");
    for Hunted { mutant, expected, found, row, .. } in hunted {
        if let (Expected::Equivalent(reason), Err(outcome)) = (expected, found) {
            let violated = match &caught_by(row, mutant.caught_by)[..] {
                [] => String::new(),
                violated => format!("; it violates {}", violated.join(", ")),
            };
            let _ = writeln!(text, "- `{}`: {reason} ({outcome}{violated})", mutant.name);
        }
    }
    text
}

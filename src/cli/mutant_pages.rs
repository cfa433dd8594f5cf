//! `raft mutants --docs`: a page for each mutant that is killed.

use super::Failure;
use super::kill_matrix::{caught_by, not_seen};
use super::mutants::{Expected, Hunted};
use checked_raft::models::mutants::matrix::{self, Judgement};
use std::fmt::Write;
use std::path::Path;

/// Makes the directory, before any time is spent on what goes into it.
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

/// The page of a mutant, if it was killed.
fn page(hunted: &Hunted) -> Option<String> {
    let (mutant, found) = (&hunted.mutant, hunted.found.as_ref().ok()?);
    let (name, breaks, spec) = (mutant.name, mutant.breaks, &mutant.spec);
    let mut text = String::new();
    let _ = writeln!(text, "# {name}\n\n{}\n", mutant.about);
    let _ = writeln!(text, "- breaks the rule [{breaks}] ({})", rule(breaks));
    let _ = writeln!(text, "- the difference: {}", mutant.difference);
    let _ = writeln!(text, "- seen in {}", mutant.seen_in);
    let _ = writeln!(text, "- caught by: {}, in {} steps", found.property, found.length);
    let _ = writeln!(text, "- {}", others(hunted));
    let _ = writeln!(text, "- in the model `{}`: {}\n", spec.name, spec.bounds_text());
    let _ = writeln!(text, "{}\n", mutant.story);
    if !spec.prefix.is_empty() {
        let _ =
            writeln!(text, "The model starts from this script:\n\n```text\n{}\n```\n", spec.prefix);
    }
    let _ = writeln!(text, "## The shortest counterexample\n\n```text\n{}```\n", found.steps);
    let _ = writeln!(text, "```mermaid\n{}```\n", found.mermaid);
    let link = &found.explorer;
    let _ = writeln!(text, "In the Explorer: `{}`, then <{}>", link.command, link.url);
    Some(text)
}

/// What the other properties say.
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

/// Where a rule stands.
fn rule(id: &str) -> String {
    format!("`grep -rn '\\[{id}\\]' src/raft`")
}

fn index(hunted: &[Hunted]) -> String {
    let mut text =
        "# Mutants\n\n| mutant | breaks | caught by | steps | also caught by | seen in |\n\
                    |---|---|---|---|---|---|\n"
            .to_owned();
    for Hunted { mutant, found, row, .. } in hunted {
        if let Ok(found) = found {
            let (name, breaks, seen_in) = (mutant.name, mutant.breaks, mutant.seen_in);
            let (property, length) = (found.property, found.length);
            let also: Vec<_> = caught_by(row, property).into_iter().skip(1).collect();
            let also = also.join(", ");
            let _ = writeln!(
                text,
                "| [{name}]({name}.md) | {breaks} | {property} | {length} | {also} | {seen_in} |"
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

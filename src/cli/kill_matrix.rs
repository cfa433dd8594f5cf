//! The output of `raft mutants --run`: which property catches which mutant.

use super::models::table;
use super::mutants::{Expected, Hunted};
use super::options::grouped;
use super::{Failure, json};
use actorcheck::search::Ended;
use checked_raft::models::Spec;
use checked_raft::models::mutants::MutantSpec;
use checked_raft::models::mutants::matrix::{self, Column, Judgement, REACH, Row};
use checked_raft::models::mutants::smallest::Smallest;
use std::fmt::Write as _;
use std::io::Write;
use std::time::Duration;

/// Writes the mutants, the changes that break nothing, the properties, and whether all is as it should be.
pub(super) fn write(out: &mut dyn Write, hunted: &[Hunted]) -> Result<(), Failure> {
    let (killed, equivalent): (Vec<_>, Vec<_>) =
        hunted.iter().partition(|hunted| hunted.expected == Expected::Killed);
    let columns = matrix::columns(killed.iter().map(|hunted| &hunted.row));
    write_killed(out, &killed, &columns)?;
    write_equivalent(out, &equivalent)?;
    write_properties(out, &columns)?;
    let as_expected =
        |of: &[&Hunted]| (of.iter().filter(|hunted| hunted.as_expected).count(), of.len());
    let (killed, mutants) = as_expected(&killed);
    writeln!(out, "{killed} of {mutants} mutants are killed, each by the property that must.")?;
    let (survive, equivalent) = as_expected(&equivalent);
    writeln!(
        out,
        "{survive} of {equivalent} changes that break nothing survive their whole model."
    )?;
    Ok(())
}

/// Writes a row for each mutant: its property, then the others that catch it.
fn write_killed(
    out: &mut dyn Write,
    hunted: &[&Hunted],
    columns: &[Column],
) -> Result<(), Failure> {
    let mut table = table([
        "mutant",
        "model",
        "smallest bounds",
        "caught by, in steps",
        "states",
        "holds",
        "s",
    ]);
    for Hunted { mutant, found, row, smallest, elapsed, .. } in hunted {
        let first = row.violated(mutant.caught_by).into_iter().next();
        let states = first.map_or(String::new(), |(_, kill)| grouped(kill.states as u64));
        let mut caught = caught_by(row, mutant.caught_by).join(", ");
        if let Err(reason) = found {
            let _ = write!(caught, "; not by {}: {reason}", mutant.caught_by);
        }
        let holds = match not_seen(row) {
            None => numbers(columns, &row.those(Judgement::Holds)),
            Some(within) => {
                format!("{within}: {}", numbers(columns, &row.those(Judgement::NotSeen)))
            }
        };
        let (name, seconds) = (mutant.name.to_owned(), seconds(*elapsed));
        let smallest = smallest.as_ref().map_or(String::new(), Smallest::bounds);
        table.add_row([name, model(mutant), smallest, caught, states, holds, seconds]);
    }
    writeln!(out, "{table}")?;
    writeln!(
        out,
        "Each property is judged as if it alone were asked, the one that must catch a mutant first: so many \
         states\nwere visited until it did. The numbers are those of the table of properties. What holds, \
         holds in the whole\nmodel; a search may visit {} states, {} steps deep; where that ended it, \
         nothing is said to hold.\nThe smallest bounds at which a mutant falls are such that none can be \
         lowered by one;\nwith a script, its servers and commands stay.\n",
        grouped(REACH.states as u64),
        REACH.steps,
    )?;
    Ok(())
}

/// How far a search got without seeing some properties violated, if a limit ended it.
pub(super) fn not_seen(row: &Row) -> Option<String> {
    match row.ended {
        Ended::Found | Ended::Exhausted => None,
        Ended::AtStates => Some(format!("not seen in {} states", grouped(row.states as u64))),
        Ended::AtSteps => Some(format!("not seen in {} steps", REACH.steps)),
        Ended::By(reason) => Some(format!("not seen before {reason}")),
    }
}

/// The model of a mutant, with the length of its script if it starts from one.
pub(super) fn model(mutant: &MutantSpec) -> String {
    let Spec { name, prefix, .. } = mutant.spec;
    let lines = prefix.lines().map(|line| line.split('#').next().unwrap_or_default());
    match lines.filter(|line| !line.trim().is_empty()).count() {
        0 => name.to_owned(),
        lines => format!("{name}, after a script of {lines} lines"),
    }
}

/// The violated properties, each with the number of steps that it takes. The one that must be first is
/// first.
pub(super) fn caught_by(row: &Row, first: &str) -> Vec<String> {
    let violated = row.violated(first).into_iter();
    violated.map(|(property, kill)| format!("{property} {}", kill.steps)).collect()
}

fn seconds(elapsed: Duration) -> String {
    format!("{:.2}", elapsed.as_secs_f64())
}

/// The numbers of these properties, from 1, with a dash for a run of them.
fn numbers(columns: &[Column], properties: &[&str]) -> String {
    let is_one = |column: &Column| properties.contains(&column.property);
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (n, _) in (1..).zip(columns).filter(|(_, column)| is_one(column)) {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == n => *last = n,
            _ => runs.push((n, n)),
        }
    }
    let runs = runs.into_iter().map(|(first, last)| match last - first {
        0 => format!("{first}"),
        _ => format!("{first}-{last}"),
    });
    runs.collect::<Vec<_>>().join(" ")
}

fn write_equivalent(out: &mut dyn Write, hunted: &[&Hunted]) -> Result<(), Failure> {
    let mut table = table(["change that breaks nothing", "in its model", "because", "s"]);
    for Hunted { mutant, expected, found, row, elapsed, .. } in hunted {
        let mut outcome = match found {
            Ok(found) => format!("falls by {}", found.property),
            Err(outcome) => outcome.clone(),
        };
        let caught = caught_by(row, mutant.caught_by);
        if !caught.is_empty() {
            let _ = write!(outcome, "; it violates {}", caught.join(", "));
        }
        let reason = match expected {
            Expected::Equivalent(reason) => (*reason).to_owned(),
            Expected::Killed => String::new(),
        };
        let name = mutant.name.to_owned();
        table.add_row([name, outcome, reason, seconds(*elapsed)]);
    }
    writeln!(out, "{table}\n")?;
    Ok(())
}

/// Writes a row for each property: how many mutants it kills.
fn write_properties(out: &mut dyn Write, columns: &[Column]) -> Result<(), Failure> {
    let mut table = table(["", "property", "kind", "asked of mutants", "kills", "alone"]);
    for (number, column) in (1..).zip(columns) {
        let kills = match column.kills {
            0 => "none".to_owned(),
            kills => kills.to_string(),
        };
        table.add_row([
            format!("{number}"),
            column.property.to_owned(),
            json::kind(column.kind).to_owned(),
            column.asked.to_string(),
            kills,
            column.kills_alone.to_string(),
        ]);
    }
    writeln!(out, "{table}")?;
    let idle: Vec<_> =
        columns.iter().filter(|column| column.kills == 0).map(|column| column.property).collect();
    if !idle.is_empty() {
        writeln!(out, "No mutant violates: {}.", idle.join(", "))?;
    }
    Ok(())
}

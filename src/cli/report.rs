//! The output of `raft check` for people.

use super::check::Checked;
use super::json::kind;
use super::models::table;
use super::options::grouped;
use actorcheck::{PropertyReport, PropertyResult, TupleCounts, Verdict};
use indicatif::HumanBytes;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

/// Writes everything about one model.
pub(super) fn write_model(out: &mut dyn Write, checked: &Checked) -> io::Result<()> {
    let spec = &checked.subject.spec;
    match &checked.subject.mutant {
        None => writeln!(out, "{}: {}", spec.name, spec.about)?,
        Some(mutant) => {
            let (name, about, breaks) = (mutant.name, mutant.about, mutant.breaks);
            writeln!(out, "{name}: {about} Breaks [{breaks}].")?;
            writeln!(out, "  story       {}", mutant.story)?;
            writeln!(out, "  difference  {}", mutant.difference)?;
            writeln!(out, "  model       {}: {}", spec.name, spec.about)?;
        }
    }
    writeln!(out, "  bounds      {}", spec.bounds_text())?;
    if checked.subject.prefix().is_some() && checked.counterexample.is_none() {
        writeln!(out, "  start       from a script; `raft models --json` prints it")?;
    }
    write_search(out, checked)?;
    for property in &checked.report.properties {
        let result = result(checked, property);
        writeln!(out, "  {:<10}  {:<38} {result}", kind(property.kind), property.name)?;
    }
    for failure in &checked.failures {
        writeln!(out, "  failure     {failure}")?;
    }
    writeln!(out, "  {}", checked.verdict())?;
    write_counterexample(out, checked)?;
    writeln!(out)
}

/// Writes what the search did, in figures.
fn write_memoised(out: &mut dyn Write, counts: &TupleCounts) -> io::Result<()> {
    let TupleCounts { locals, messages, steps, ghosts, rounds, bytes, standing, .. } = *counts;
    writeln!(
        out,
        "  memoised    {} local states, {} messages, {} handler calls, {} ghosts; {rounds} round{}, \
         {:.0} bytes a maximal state",
        grouped(locals),
        grouped(messages),
        grouped(steps),
        grouped(ghosts),
        if rounds == 1 { "" } else { "s" },
        bytes as f64 / standing.1.max(1) as f64,
    )
}

fn write_search(out: &mut dyn Write, checked: &Checked) -> io::Result<()> {
    let report = &checked.report;
    let cuts: Vec<_> = report.cuts.iter().filter(|(_, count)| *count > 0).collect();
    if cuts.is_empty() {
        writeln!(out, "  cut         no bound cut any state")?;
    }
    for (name, count) in cuts {
        writeln!(out, "  cut         {name}: {} generated states lay beyond it", grouped(*count))?;
    }
    let seconds = report.elapsed.as_secs_f64();
    let (states, generated) = (grouped(report.states), grouped(report.generated));
    let memory = report.memory.map_or(String::new(), |bytes| format!(", {}", HumanBytes(bytes)));
    let threads = checked.threads;
    if let Some(counts) = report.tuples {
        let TupleCounts { tuples, symmetries, permutations, standing, .. } = counts;
        writeln!(
            out,
            "  search      {}, {threads} threads: {} tuples, {states} maximal states, {generated} \
             steps generated, {seconds:.2} s{memory}",
            checked.engine,
            grouped(tuples),
        )?;
        if symmetries > 1 {
            writeln!(
                out,
                "  symmetry    {symmetries} permutations of servers and clients: {} tuples, {} maximal \
                 states stand for all",
                grouped(standing.0),
                grouped(standing.1),
            )?;
        }
        if symmetries < permutations {
            writeln!(
                out,
                "  symmetry    only {} of {} permutations are used: with all of them what is known of values \
                 would be too much",
                grouped(symmetries),
                grouped(permutations),
            )?;
        }
        return write_memoised(out, &counts);
    }
    writeln!(
        out,
        "  search      {}, {threads} threads: {states} states, {generated} generated, longest path {}, \
         {seconds:.2} s{memory}, {:.0} states/s",
        checked.engine,
        report.depth,
        report.states as f64 / seconds.max(0.001)
    )?;
    let collisions = report.expected_collisions();
    writeln!(out, "  collisions  {collisions:.1e} expected among 64-bit fingerprints")
}

/// The claim that can be made about a property: it holds only where everything was visited.
fn result(checked: &Checked, property: &PropertyReport) -> &'static str {
    match property.result {
        PropertyResult::Violated => "VIOLATED",
        PropertyResult::Witnessed => "witnessed",
        PropertyResult::Unwitnessed => "UNWITNESSED",
        PropertyResult::NotAsked => "not asked",
        PropertyResult::Holds if checked.verdict() == Verdict::Exhaustive => "holds",
        PropertyResult::Holds => "no violation found",
    }
}

fn write_counterexample(out: &mut dyn Write, checked: &Checked) -> io::Result<()> {
    let Some(found) = &checked.counterexample else { return Ok(()) };
    if let Some(prefix) = checked.subject.prefix() {
        writeln!(out, "\nThe model starts from this script:\n")?;
        for line in prefix.lines() {
            writeln!(out, "     {line}")?;
        }
    }
    let (property, length) = (found.property, found.length);
    match found.unsure {
        None => writeln!(out, "\nThe shortest way to violate `{property}`, in {length} steps:\n")?,
        Some(reason) => writeln!(
            out,
            "\nA way to violate `{property}`, in {length} steps. There may be a shorter one: the search \
             for it was ended by {reason}.\n"
        )?,
    }
    writeln!(out, "{}", found.in_words())?;
    if let Some(why) = &found.why {
        writeln!(out, "{why}\n")?;
    }
    for line in &found.table {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "\n```mermaid\n{}```\n", found.mermaid)?;
    let link = &found.explorer;
    writeln!(out, "To walk through it in the browser: `{}`, or --html FILE.", link.command)?;
    writeln!(out, "Stateright's Explorer then has it at\n{}", link.url)
}

/// Writes one line about a model that was exhausted and in which everything holds.
pub(super) fn write_line(out: &mut dyn Write, checked: &Checked) -> io::Result<()> {
    let report = &checked.report;
    let (count, what) = match report.tuples {
        Some(counts) => (counts.tuples, "tuples"),
        None => (report.states, "states"),
    };
    let hold = report.properties.iter().filter(|it| it.result == PropertyResult::Holds).count();
    writeln!(
        out,
        "{:<29} {} {:>11} {what} {:>6.1} s  {hold} hold",
        checked.subject.name(),
        checked.verdict(),
        grouped(count),
        report.elapsed.as_secs_f64(),
    )
}

/// Writes the results of all models, and how often each label was counted if that was asked for.
pub(super) fn write_summary(
    out: &mut dyn Write,
    results: &[Checked],
    not_run: &[&str],
    coverage: Option<&BTreeMap<&'static str, u64>>,
) -> io::Result<()> {
    if let Some(coverage) = coverage {
        write_coverage(out, coverage)?;
    }
    let seconds: f64 = results.iter().map(|checked| checked.report.elapsed.as_secs_f64()).sum();
    let verdicts = [Verdict::Exhaustive, Verdict::Bounded, Verdict::Violated].map(|verdict| {
        let models = results.iter().filter(|checked| checked.verdict() == verdict).count();
        (verdict.to_string(), models)
    });
    let counts = verdicts.into_iter().chain([("not run".to_owned(), not_run.len())]);
    let counts = counts.filter(|(_, models)| *models > 0);
    let counts: Vec<_> = counts.map(|(what, models)| format!("{models} {what}")).collect();
    writeln!(out, "\nmodels: {} ({seconds:.0} s)", counts.join(", "))?;
    for checked in results {
        let name = checked.subject.name();
        for failure in &checked.failures {
            writeln!(out, "{name}: {failure}")?;
        }
    }
    for name in not_run {
        writeln!(out, "{name}: not run, for the run ended before")?;
    }
    let all_hold =
        |checked: &Checked| checked.verdict() == Verdict::Exhaustive && checked.failures.is_empty();
    if not_run.is_empty() && !results.is_empty() && results.iter().all(all_hold) {
        writeln!(out, "Every property holds within the bounds of its model; `-v` lists both.")?;
    }
    Ok(())
}

/// Writes where the counterexample was saved, or that there is none.
pub(super) fn write_saved(out: &mut dyn Write, saved: Option<&Path>) -> io::Result<()> {
    match saved.map(Path::display) {
        None => writeln!(out, "There is no counterexample to save."),
        Some(path) => writeln!(out, "Saved as {path}; `raft play {path}` plays it."),
    }
}

/// Says where the page with the counterexample is.
pub(super) fn write_shown(out: &mut dyn Write, shown: Option<&Path>) -> io::Result<()> {
    match shown.map(Path::display) {
        None => writeln!(out, "There is no counterexample to show, so there is no page."),
        Some(path) => writeln!(out, "{path} shows it: open it in a browser."),
    }
}

fn write_coverage(out: &mut dyn Write, coverage: &BTreeMap<&'static str, u64>) -> io::Result<()> {
    let mut table = table(["label", "steps"]);
    for (label, steps) in coverage {
        let steps = if *steps == 0 { "NEVER".to_owned() } else { grouped(*steps) };
        table.add_row([(*label).to_owned(), steps]);
    }
    let never = coverage.values().filter(|steps| **steps == 0).count();
    writeln!(out, "{table}\n{} labels, {never} of them never seen\n", coverage.len())
}

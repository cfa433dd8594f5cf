//! `raft models`: the catalogue.

use super::options::grouped;
use super::subject::Subject;
use super::{Failure, Status, json};
use checked_raft::models::process::Asks;
use checked_raft::models::{Effort, Elections};
use checked_raft::raft::{Copies, Operation, Retry};
use clap::Args;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, TableComponent};
use std::fmt::Write as _;
use std::io::Write;

/// List the models of the catalogue with their bounds
#[derive(Args)]
pub(super) struct Models {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print names only
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
    /// Print the page that docs/models.md is
    #[arg(long, conflicts_with_all = ["json", "quiet"])]
    markdown: bool,
}

impl Models {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Status, Failure> {
        let models = Subject::models(&[])?;
        if self.json {
            let models: Vec<_> = models.iter().map(json::ListedModel::new).collect();
            writeln!(out, "{}", json::text(&json::Models { models }))?;
            return Ok(Status::Success);
        }
        if self.quiet {
            for model in &models {
                writeln!(out, "{}", model.spec.name)?;
            }
            return Ok(Status::Success);
        }
        if self.markdown {
            write!(out, "{}", page(&models))?;
            return Ok(Status::Success);
        }
        let mut table = table(["model", "tuples", "about"]);
        for model in &models {
            let spec = &model.spec;
            let mut about = spec.about.to_owned();
            if model.prefix().is_some() {
                about.push_str(" From a script.");
            }
            match spec.effort {
                Effort::Quick => {}
                Effort::Long => about.push_str(" Long."),
                Effort::Deep => about.push_str(" Deep."),
            }
            table.add_row([spec.name.to_owned(), grouped(spec.tuples.0), about]);
        }
        writeln!(out, "{table}")?;
        writeln!(
            out,
            "A long or deep model is run by its name or by `raft check --deep`. `raft check -v NAME` and \
                       `raft models --json` tell the bounds."
        )?;
        Ok(Status::Success)
    }
}

/// The text above the table of the page.
const ABOVE: &str = "\
# The models

`raft models --markdown` writes this page, and a test compares them. `raft check` exhausts the quick models,
which take seconds, and `raft check --deep` all of them. A run fails if a count differs from the one here.

In every model the network loses, duplicates and reorders messages without bound. *Restarts* are unbounded
or none. *Entries* bounds the entries of clients in a log: the opening of a session is one, each command
another, and each copy of either. *Tuples* are the distinct combinations of local states and history;
*maximal states* count each with every largest set of messages that still matters. *All states* are those
of stateright's search, where it ends: its engine agrees with ours there.

";

/// The meaning of the letters in the table.
const BELOW: &str = "
- **long**: it takes up to a minute, and `.ci/run` exhausts it as it does the quick ones. **deep**: it takes
  minutes or an hour, and `.ci/run` leaves it out.
- **script**: it begins in the middle of a story, which `raft models --json` prints.
- **L**: linearizability is asked, too. It is, where a log has room for a retried command.
- **D**: as on a node, a leader repeats entries only when they were lost, half as many at a time (LDR-5 and
  LDR-6 in [spec/README.md](../spec/README.md)), and drops a retry of what waits in its log (CLI-4).
- **E**: as on a node, servers ask for pre-votes (PV-1) and stick to their leader (STICK-1), and leaders look
  whether they hear a majority (CQ-1). **e**: one or two of these three.
- **S**: servers take snapshots. **R**: clients read without an entry. **T**: clients ask for transfers.
- **all**: clients send every request to all servers at once. So servers see at least what they see of
  clients that ask one after the other, as the client library does. `models/process.rs` argues that, and a
  test compares both.
- **plain**: `.ci/run` also exhausts it without the engine's reductions, and compares the tuples.

No search is a proof. A bug that needs larger bounds lies outside of all of them.
";

/// The models as a page of documentation.
fn page(models: &[Subject]) -> String {
    let mut page = ABOVE.to_owned();
    page.push_str("| model | servers | clients | terms | restarts | entries | tuples | maximal states | all states | |\n");
    page.push_str("|---|---|---|---|---|---|---|---|---|---|\n");
    for model in models {
        let spec = &model.spec;
        let (tuples, maximal) = spec.tuples;
        let has_clients = !spec.clients.is_empty();
        let number = |number: u64| if has_clients { number.to_string() } else { String::new() };
        let cells = [
            spec.name.to_owned(),
            spec.servers.to_string(),
            number(spec.clients.len() as u64),
            spec.max_term.to_string(),
            if spec.restarts { "unbounded" } else { "none" }.to_owned(),
            number(spec.max_client_entries),
            grouped(tuples),
            grouped(maximal),
            spec.states.map_or_else(String::new, grouped),
            letters(model),
        ];
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    }
    page.push_str(BELOW);
    page
}

/// Further features of a model, in a word each.
fn letters(model: &Subject) -> String {
    let spec = &model.spec;
    let deployed = spec.retry != Retry::EveryHeartbeat && spec.copies == Copies::Awaited;
    let asks = |is_wanted: fn(&Operation) -> bool| spec.clients.iter().flatten().any(is_wanted);
    let is_all = spec.elections == Elections::ALL;
    let all = [
        (spec.effort == Effort::Long, "long"),
        (spec.effort == Effort::Deep, "deep"),
        (model.prefix().is_some(), "script"),
        (spec.watch.history, "L"),
        (deployed, "D"),
        (is_all, "E"),
        (!is_all && spec.elections != Elections::default(), "e"),
        (spec.snapshot_after.is_some(), "S"),
        (asks(|operation| matches!(operation, Operation::Query(_))), "R"),
        (asks(|operation| matches!(operation, Operation::Transfer(_))), "T"),
        (!spec.clients.is_empty() && spec.asks == Asks::All, "all"),
        (spec.plain, "plain"),
    ];
    let words: Vec<_> = all.into_iter().filter(|(is_so, _)| *is_so).map(|(_, word)| word).collect();
    words.join(", ")
}

/// An empty table, at most as wide as the terminal, or 120 columns wide without one.
pub(super) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_style(TableComponent::HeaderLines, '─');
    table.set_style(TableComponent::MiddleHeaderIntersections, '─');
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width());
    table.set_header(header);
    // The first column holds names, and a name that is broken cannot be copied.
    if let Some(names) = table.column_mut(0) {
        names.set_constraint(ColumnConstraint::ContentWidth);
    }
    table
}

/// The width of the terminal, in columns.
fn width() -> u16 {
    let terminal = console::Term::stdout().size_checked();
    terminal.map_or(120, |(_, columns)| columns.max(40))
}

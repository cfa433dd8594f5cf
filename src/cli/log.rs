//! `raft log`: the log of one server.

use super::models::table;
use super::servers::{Servers, failed};
use super::status::PATIENCE;
use super::{Failure, Status, json};
use checked_raft::client::{LogEntry, LogPage, log_page};
use clap::Args;
use serde::Serialize;
use std::io::Write;

/// Show a page of a server's log: index, term, what the entry is, and whether it is committed
///
/// The server shows the log that it has itself, and a follower may lag behind. The exit code is 0 if the
/// server answers, and 2 for any error, such as an index beyond the end of the log.
#[derive(Args)]
pub(super) struct ServerLog {
    /// The number of the server, as `raft status` shows it
    #[arg(value_name = "SERVER")]
    number: u64,
    /// The index of the first entry to show
    #[arg(long, value_name = "INDEX", default_value_t = 1,
          value_parser = clap::value_parser!(u64).range(1..))]
    from: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    servers: Servers,
}

/// The output of `--json`.
#[derive(Serialize)]
struct Report<'a> {
    id: u64,
    role: &'a str,
    term: u64,
    log_start: u64,
    last_log_index: u64,
    commit_index: u64,
    last_applied: u64,
    entries: Vec<Row<'a>>,
    /// The index to give with `--from` for the next page; null on the last one.
    next: Option<u64>,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    entry: &'a LogEntry,
    committed: bool,
    applied: bool,
}

impl ServerLog {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Status, Failure> {
        let (addresses, options) = (self.servers.addresses()?, self.servers.options(PATIENCE));
        let page = log_page(&self.servers.cluster, &addresses, self.number, self.from, &options);
        let page = page.map_err(failed)?;
        if page.entries.is_empty() && self.from > 1 {
            return Err(Failure::Refused(format!(
                "the log of server {} ends at index {}: it has no entry at {}",
                page.id, page.last_log_index, self.from
            )));
        }
        if self.json {
            writeln!(out, "{}", json::text(&Report::of(&page)))?;
        } else {
            print(&page, out)?;
        }
        Ok(Status::Success)
    }
}

impl<'a> Report<'a> {
    fn of(page: &'a LogPage) -> Self {
        let entries = page.entries.iter().map(|entry| Row {
            entry,
            committed: entry.index <= page.commit_index,
            applied: entry.index <= page.last_applied,
        });
        Self {
            id: page.id,
            role: &page.role,
            term: page.term,
            log_start: page.log_start,
            last_log_index: page.last_log_index,
            commit_index: page.commit_index,
            last_applied: page.last_applied,
            entries: entries.collect(),
            next: page.next,
        }
    }
}

fn print(page: &LogPage, out: &mut dyn Write) -> Result<(), Failure> {
    let LogPage { id, role, term, last_log_index, commit_index, last_applied, .. } = page;
    if page.log_start > 0 {
        let start = page.log_start;
        writeln!(out, "entries up to {start} have made way for a snapshot")?;
    }
    writeln!(
        out,
        "server {id}, {role} in term {term}: last entry {last_log_index}, committed up to \
         {commit_index}, applied up to {last_applied}"
    )?;
    let mut table = table(["index", "term", "entry", "client", "state"]);
    for entry in &page.entries {
        let state = if entry.index <= page.last_applied {
            "applied"
        } else if entry.index <= page.commit_index {
            "committed"
        } else {
            "-"
        };
        let client = entry.client.map_or_else(|| "-".to_owned(), |client| client.to_string());
        let (index, term) = (entry.index.to_string(), entry.term.to_string());
        table.add_row([index, term, what(entry), client, state.to_owned()]);
    }
    if !page.entries.is_empty() {
        writeln!(out, "{table}")?;
    }
    if let Some(next) = page.next {
        writeln!(out, "the log goes on: raft log {id} --from {next}")?;
    }
    Ok(())
}

/// An entry in words.
fn what(entry: &LogEntry) -> String {
    match (&entry.command, entry.bytes) {
        (Some(command), Some(bytes)) if entry.is_cut => format!("{command}… ({bytes} bytes)"),
        (Some(command), _) => command.clone(),
        (None, _) if entry.kind == "register" => "register client".to_owned(),
        (None, _) => entry.kind.clone(),
    }
}

//! `raft status`: the state of every server of a cluster.

use super::models::table;
use super::servers::{Servers, failed};
use super::{Failure, json, signals};
use checked_raft::client::{self, ClientError, Counts, Options, Progress, ServerStatus, Surveyed};
use checked_raft::runtime::Stop;
use checked_raft::runtime::endpoint::Deadline;
use clap::Args;
use comfy_table::ColumnConstraint;
use serde::Serialize;
use signal_hook::iterator::Signals;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

/// How long to wait for a server. One that has not answered by then is down, or as good as down.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// The time from one look at the servers to the next, with `--watch`. A look at servers that do not answer
/// may take longer.
const PERIOD: Duration = Duration::from_secs(1);

/// Show every server's role, term, leader and log, and who cannot be reached
///
/// The exit code is 0 if any server answers, and 2 if none does. With --watch it is 0.
#[derive(Args)]
pub(super) struct ClusterStatus {
    #[command(flatten)]
    servers: Servers,
    /// Print JSON; with --watch a line for each look
    #[arg(long)]
    json: bool,
    /// Look again once a second, until Ctrl-C
    ///
    /// A terminal is drawn over again. Elsewhere each look is appended.
    #[arg(long)]
    watch: bool,
}

/// The output of `--json`.
#[derive(Serialize)]
struct Report<'a> {
    servers: Vec<Row<'a>>,
}

/// A server. While it cannot be reached, every fact that only it knows is null.
#[derive(Serialize)]
struct Row<'a> {
    id: Option<u64>,
    address: SocketAddr,
    reachable: bool,
    role: Option<&'a str>,
    term: Option<u64>,
    leader: Option<u64>,
    last_log_index: Option<u64>,
    commit_index: Option<u64>,
    last_applied: Option<u64>,
    snapshot_index: Option<u64>,
    log_start: Option<u64>,
    progress: Option<&'a [Progress]>,
    majority_heard_ms_ago: Option<u64>,
    warnings: Option<&'a [String]>,
    counters: Option<&'a Counts>,
}

impl ClusterStatus {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<super::Status, Failure> {
        let cluster = &self.servers.cluster;
        let addresses = &self.servers.addresses()?;
        let options = self.servers.options(PATIENCE);
        if self.watch {
            return self.look_again_and_again(addresses, &options, out);
        }
        let surveyed = client::survey(cluster, addresses, &options).map_err(failed)?;
        if self.json {
            writeln!(out, "{}", json::text(&Report::new(&surveyed)))?;
        } else {
            print(&surveyed, out)?;
        }
        if surveyed.iter().all(|server| server.status.is_none()) {
            out.flush()?;
            let (cluster, tried) = (cluster.clone(), addresses.clone());
            return Err(failed(ClientError::NoServer { cluster, tried, timeout: options.timeout }));
        }
        Ok(super::Status::Success)
    }

    /// Whether the command goes on until it is told to stop.
    pub(super) fn watches(&self) -> bool {
        self.watch
    }

    /// Shows the servers once a second until a signal comes.
    fn look_again_and_again(
        &self,
        addresses: &[SocketAddr],
        options: &Options,
        out: &mut dyn Write,
    ) -> Result<super::Status, Failure> {
        let stop = stop_at_signals()?;
        let draws = !self.json && io::stdout().is_terminal();
        let mut is_first = true;
        while !stop.is_triggered() {
            let due = Deadline::after(PERIOD);
            let surveyed = client::survey(&self.servers.cluster, addresses, options);
            let surveyed = surveyed.map_err(failed)?;
            if self.json {
                let line = serde_json::to_string(&Report::new(&surveyed));
                writeln!(out, "{}", line.expect("plain data with text keys has a JSON form"))?;
            } else if draws {
                let rows = console::Term::stdout().size_checked().map(|(rows, _)| rows.into());
                write!(out, "{}", drawn_over(&table_text(&surveyed)?, is_first, rows))?;
            } else {
                let gap = if is_first { "" } else { "\n" };
                write!(out, "{gap}{}", table_text(&surveyed)?)?;
            }
            out.flush()?;
            is_first = false;
            while !stop.is_triggered() && !due.has_passed() {
                thread::park_timeout(due.remaining());
            }
        }
        Ok(super::Status::Success)
    }
}

/// Lets a signal wake this thread and tell it to stop. A second signal ends the process at once.
fn stop_at_signals() -> Result<Stop, Failure> {
    let refused = |error| Failure::Refused(format!("cannot handle signals: {error}"));
    let stop = Stop::new();
    for signal in signals::stopping() {
        signal_hook::flag::register_conditional_default(signal, stop.flag()).map_err(refused)?;
    }
    let mut signals = Signals::new(signals::stopping()).map_err(refused)?;
    let (told, sleeper) = (stop.clone(), thread::current());
    thread::spawn(move || {
        for _ in signals.forever() {
            told.trigger();
            sleeper.unpark();
        }
    });
    Ok(stop)
}

/// The text as it is written over the last one on a terminal with so many rows, from the top left corner.
/// A line clears what was behind it, and the last one clears all below.
fn drawn_over(text: &str, is_first: bool, rows: Option<usize>) -> String {
    let clear = if is_first { "\x1b[2J" } else { "" };
    // The cursor has a row of its own, so that nothing scrolls.
    let lines = text.lines().take(rows.map_or(usize::MAX, |rows| rows.saturating_sub(1)));
    let lines: Vec<_> = lines.map(|line| format!("{line}\x1b[K\n")).collect();
    format!("{clear}\x1b[H{}\x1b[J", lines.concat())
}

impl<'a> Report<'a> {
    fn new(surveyed: &'a [Surveyed]) -> Self {
        Self { servers: surveyed.iter().map(Row::new).collect() }
    }
}

impl<'a> Row<'a> {
    fn new(server: &'a Surveyed) -> Self {
        let status = server.status.as_ref();
        Self {
            id: server.id,
            address: server.address,
            reachable: status.is_some(),
            role: status.map(|it| it.role.as_str()),
            term: status.map(|it| it.term),
            leader: status.and_then(|it| it.leader),
            last_log_index: status.map(|it| it.last_log_index),
            commit_index: status.map(|it| it.commit_index),
            last_applied: status.map(|it| it.last_applied),
            snapshot_index: status.map(|it| it.snapshot_index),
            log_start: status.map(|it| it.log_start),
            progress: status.map(|it| it.progress.as_slice()),
            majority_heard_ms_ago: status.and_then(|it| it.majority_heard_ms_ago),
            warnings: status.map(|it| it.warnings.as_slice()),
            counters: status.map(|it| &it.counters),
        }
    }
}

/// What the table of `raft status` says now.
pub(super) fn text(cluster: &str, addresses: &[SocketAddr]) -> Result<String, Failure> {
    let options = Options { timeout: PATIENCE, ..Options::default() };
    let surveyed = client::survey(cluster, addresses, &options).map_err(failed)?;
    Ok(table_text(&surveyed)?.trim_end().to_owned())
}

fn table_text(surveyed: &[Surveyed]) -> Result<String, Failure> {
    let mut text = Vec::new();
    print(surveyed, &mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn print(surveyed: &[Surveyed], out: &mut dyn Write) -> Result<(), Failure> {
    let mut table = table([
        "server", "address", "role", "term", "leader", "last log", "commit", "applied", "progress",
        "heard",
    ]);
    if let Some(addresses) = table.column_mut(1) {
        addresses.set_constraint(ColumnConstraint::ContentWidth);
    }
    for Surveyed { id, address, status } in surveyed {
        let mut row = vec![or_dash(*id), address.to_string()];
        match status {
            Some(status) => row.extend(cells(status)),
            None => row.push("unreachable".to_owned()),
        }
        row.resize(10, "-".to_owned());
        table.add_row(row);
    }
    writeln!(out, "{table}")?;
    for status in surveyed.iter().filter_map(|server| server.status.as_ref()) {
        for line in status.warnings.iter().cloned().chain(dropped(&status.counters)) {
            writeln!(out, "server {}: {line}", status.id)?;
        }
    }
    Ok(())
}

/// The messages that a server has dropped, if any.
fn dropped(counts: &Counts) -> Option<String> {
    let occurred = counts.dropped.iter().filter(|(_, count)| **count > 0);
    let reasons: Vec<_> = occurred.map(|(reason, count)| format!("{reason} {count}")).collect();
    (!reasons.is_empty()).then(|| format!("dropped since it started: {}", reasons.join(", ")))
}

fn cells(status: &ServerStatus) -> [String; 8] {
    let progress =
        status.progress.iter().map(|Progress { id, next_index, match_index, snapshot_bytes }| {
            let snapshot = snapshot_bytes.map(|bytes| format!("\n   snapshot {bytes} B"));
            format!("{id}: match {match_index}, next {next_index}{}", snapshot.unwrap_or_default())
        });
    [
        status.role.clone(),
        status.term.to_string(),
        or_dash(status.leader),
        status.last_log_index.to_string(),
        status.commit_index.to_string(),
        status.last_applied.to_string(),
        progress.collect::<Vec<_>>().join("\n"),
        status.majority_heard_ms_ago.map_or_else(|| "-".to_owned(), |ago| format!("{ago} ms ago")),
    ]
}

fn or_dash(number: Option<u64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn surveyed() -> [Surveyed; 3] {
        let at = |port| ([127, 0, 0, 1], port).into();
        let dropped = [("checksum", 2), ("magic", 0), ("mailbox_full", 7)];
        let dropped = dropped.map(|(reason, count)| (reason.to_owned(), count)).into();
        let status = ServerStatus {
            id: 1,
            role: "leader".to_owned(),
            term: 3,
            leader: Some(1),
            last_log_index: 9,
            commit_index: 8,
            last_applied: 8,
            snapshot_index: 6,
            log_start: 5,
            progress: vec![
                Progress { id: 2, next_index: 9, match_index: 7, snapshot_bytes: None },
                Progress { id: 3, next_index: 7, match_index: 0, snapshot_bytes: Some(1234) },
            ],
            members: Vec::new(),
            majority_heard_ms_ago: Some(31),
            warnings: vec!["it is a test".to_owned()],
            counters: Counts { received: 5, sent: 4, cut: 3, dropped },
        };
        [
            Surveyed { id: Some(1), address: at(7001), status: Some(status) },
            Surveyed { id: Some(2), address: at(7002), status: None },
            Surveyed { id: None, address: at(7009), status: None },
        ]
    }

    #[test]
    fn json_has_these_keys_and_no_others() {
        let surveyed = surveyed();
        let report = Report::new(&surveyed);
        let expected = json!({ "servers": [
            {
                "id": 1, "address": "127.0.0.1:7001", "reachable": true, "role": "leader",
                "term": 3, "leader": 1, "last_log_index": 9, "commit_index": 8, "last_applied": 8,
                "snapshot_index": 6, "log_start": 5,
                "progress": [
                    { "id": 2, "next_index": 9, "match_index": 7, "snapshot_bytes": null },
                    { "id": 3, "next_index": 7, "match_index": 0, "snapshot_bytes": 1234 },
                ],
                "majority_heard_ms_ago": 31, "warnings": ["it is a test"], "counters": {
                    "received": 5, "sent": 4, "cut": 3,
                    "dropped": { "checksum": 2, "magic": 0, "mailbox_full": 7 },
                },
            },
            {
                "id": 2, "address": "127.0.0.1:7002", "reachable": false, "role": null,
                "term": null, "leader": null, "last_log_index": null, "commit_index": null,
                "last_applied": null, "snapshot_index": null, "log_start": null, "progress": null,
                "majority_heard_ms_ago": null, "warnings": null, "counters": null,
            },
            {
                "id": null, "address": "127.0.0.1:7009", "reachable": false, "role": null,
                "term": null, "leader": null, "last_log_index": null, "commit_index": null,
                "last_applied": null, "snapshot_index": null, "log_start": null, "progress": null,
                "majority_heard_ms_ago": null, "warnings": null, "counters": null,
            },
        ]});
        assert_eq!(serde_json::to_value(report).expect("it has a JSON form"), expected);
    }

    #[test]
    fn a_text_is_drawn_over_the_last_and_never_scrolls() {
        let drawn = drawn_over("a\nb\n", true, Some(3));
        assert_eq!(drawn, "\x1b[2J\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
        assert_eq!(drawn_over("a\nb\n", false, Some(2)), "\x1b[Ha\x1b[K\n\x1b[J");
        assert_eq!(drawn_over("a\nb\n", false, None).matches('\n').count(), 2);
    }

    #[test]
    fn the_table_marks_who_cannot_be_reached() {
        let mut out = Vec::new();
        print(&surveyed(), &mut out).expect("written");
        let text = String::from_utf8(out).expect("text");
        let line = |part: &str| text.lines().find(|line| line.contains(part)).expect("a line");
        assert!(line("7001").contains("leader"), "{text}");
        assert!(line("7001").contains("2: match 7, next 9 "), "{text}");
        line("3: match 0, next 7");
        line("   snapshot 1234 B");
        assert!(line("7001").contains("31 ms ago"), "{text}");
        assert!(line("7002").contains("unreachable"), "{text}");
        assert!(line("7009").contains("unreachable"), "{text}");
    }

    #[test]
    fn below_the_table_is_what_people_should_look_into_and_what_was_dropped() {
        let mut out = Vec::new();
        print(&surveyed(), &mut out).expect("written");
        let text = String::from_utf8(out).expect("text");
        let below: Vec<_> = text.lines().filter(|line| line.starts_with("server 1: ")).collect();
        let dropped = "server 1: dropped since it started: checksum 2, mailbox_full 7";
        assert_eq!(below, ["server 1: it is a test", dropped], "{text}");
    }
}

//! `raft status`: the state of every server of a cluster.

use super::models::table;
use super::servers::{Servers, failed};
use super::{Failure, json};
use checked_raft::client::{self, ClientError, Counts, Options, Progress, ServerStatus, Surveyed};
use clap::Args;
use comfy_table::ColumnConstraint;
use serde::Serialize;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

/// How long to wait for a server. One that has not answered by then is down, or as good as down.
const PATIENCE: Duration = Duration::from_secs(1);

/// Show every server's role, term, leader and log, and who cannot be reached
///
/// The exit code is 0 if any server answers, and 2 if none does.
#[derive(Args)]
pub(super) struct ClusterStatus {
    #[command(flatten)]
    servers: Servers,
    /// Print JSON
    #[arg(long)]
    json: bool,
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
        let surveyed = client::survey(cluster, addresses, &options).map_err(failed)?;
        if self.json {
            let servers = surveyed.iter().map(Row::new).collect();
            writeln!(out, "{}", json::text(&Report { servers }))?;
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
    let mut text = Vec::new();
    print(&surveyed, &mut text)?;
    Ok(String::from_utf8_lossy(&text).trim_end().to_owned())
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
    let progress = status.progress.iter().map(|Progress { id, next_index, match_index }| {
        format!("{id}: match {match_index}, next {next_index}")
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
            progress: vec![Progress { id: 2, next_index: 9, match_index: 7 }],
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
        let report = Report { servers: surveyed.iter().map(Row::new).collect() };
        let expected = json!({ "servers": [
            {
                "id": 1, "address": "127.0.0.1:7001", "reachable": true, "role": "leader",
                "term": 3, "leader": 1, "last_log_index": 9, "commit_index": 8, "last_applied": 8,
                "progress": [{ "id": 2, "next_index": 9, "match_index": 7 }],
                "majority_heard_ms_ago": 31, "warnings": ["it is a test"], "counters": {
                    "received": 5, "sent": 4, "cut": 3,
                    "dropped": { "checksum": 2, "magic": 0, "mailbox_full": 7 },
                },
            },
            {
                "id": 2, "address": "127.0.0.1:7002", "reachable": false, "role": null,
                "term": null, "leader": null, "last_log_index": null, "commit_index": null,
                "last_applied": null, "progress": null, "majority_heard_ms_ago": null,
                "warnings": null, "counters": null,
            },
            {
                "id": null, "address": "127.0.0.1:7009", "reachable": false, "role": null,
                "term": null, "leader": null, "last_log_index": null, "commit_index": null,
                "last_applied": null, "progress": null, "majority_heard_ms_ago": null,
                "warnings": null, "counters": null,
            },
        ]});
        assert_eq!(serde_json::to_value(report).expect("it has a JSON form"), expected);
    }

    #[test]
    fn the_table_marks_who_cannot_be_reached() {
        let mut out = Vec::new();
        print(&surveyed(), &mut out).expect("written");
        let text = String::from_utf8(out).expect("text");
        let line = |part: &str| text.lines().find(|line| line.contains(part)).expect("a line");
        assert!(line("7001").contains("leader"), "{text}");
        assert!(line("7001").contains("2: match 7, next 9"), "{text}");
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

//! Models with snapshots. Each server takes one after every entry, and a leader sends its own to followers.

use super::super::ghost::Watch;
use super::super::operations::{create, put, read};
use super::super::process::Asks;
use super::super::spec::{Effort, Spec};
use super::REGISTERED_PREFIX;
use super::reads::DEPOSED_PREFIX;
use crate::raft::{Copies, Retry};

/// S0 leads term 1 of three servers. S0 and S1 have committed its no-op, and each has a snapshot up to there.
/// S2 has received nothing. All messages are lost.
const COVERED_PREFIX: &str = "\
timeout S0
settle S0 S1            # S0 leads term 1, and its no-op is committed
timeout S0 Heartbeat
settle S0 S1            # S1 hears of it
lose-network";

/// S0 leads term 1 of three servers, and C3 has executed a command. S0 and S1 each have a snapshot up to that
/// command, entry 3. S2 has received nothing. All messages are lost.
const SESSION_COVERED_PREFIX: &str = "\
timeout S0
settle S0 S1            # S0 leads term 1
deliver C3 S0
settle S0 S1
deliver S0 C3           # the session is open
deliver C3 S0
settle S0 S1
deliver S0 C3           # the command is done
timeout S0 Heartbeat
settle S0 S1
lose-network";

/// The models with snapshots.
#[expect(clippy::too_many_lines, reason = "it is a table")]
pub(super) fn table() -> Vec<Spec> {
    let commits = Watch { leaders: true, committed: true, ..Watch::default() };
    let clients = Watch { history: true, ..commits };
    let snapshots = |name, about| Spec { snapshot_after: Some(1), ..Spec::base(name, about) };
    let covered = &["a server has a snapshot", "all servers commit"];
    vec![
        Spec {
            watch: commits,
            restarts: true,
            sometimes: covered,
            tuples: (2_439, 2_439),
            states: Some(39_243),
            ..snapshots("snapshot", "Three servers replace a no-op by a snapshot, with restarts.")
        },
        Spec {
            watch: commits,
            servers: 2,
            max_term: 3,
            restarts: true,
            sometimes: covered,
            tuples: (2_641, 2_645),
            ..snapshots("snapshot-two", "Two servers with snapshots, three terms, with restarts.")
        },
        Spec {
            watch: commits,
            max_term: 2,
            sometimes: covered,
            tuples: (11_502, 12_363),
            ..snapshots("snapshot-terms", "Three servers with snapshots, two terms.")
        },
        Spec {
            watch: commits,
            max_term: 2,
            restarts: true,
            prefix: COVERED_PREFIX,
            sometimes: covered,
            tuples: (6_095, 6_209),
            ..snapshots("snapshot-behind", "A follower gets a snapshot of either of two leaders.")
        },
        Spec {
            watch: commits,
            max_term: 3,
            snapshot_margin: 1,
            prefix: COVERED_PREFIX,
            sometimes: covered,
            tuples: (9_085, 9_819),
            ..snapshots("snapshot-margin", "Logs keep an entry that a snapshot covers.")
        },
        Spec {
            watch: clients,
            servers: 2,
            restarts: true,
            clients: vec![vec![create()]],
            max_client_entries: 9,
            max_index: Some(4),
            sometimes: &["a server has a snapshot", "a client is done"],
            tuples: (2_554, 2_554),
            ..snapshots("snapshot-client", "A retry after a snapshot is not applied again.")
        },
        Spec {
            watch: clients,
            servers: 2,
            max_term: 2,
            restarts: true,
            clients: vec![vec![create()]],
            max_client_entries: 9,
            max_index: Some(5),
            prefix: REGISTERED_PREFIX,
            sometimes: &["a server has a snapshot", "a client is done"],
            tuples: (5_220, 5_220),
            ..snapshots("snapshot-failover", "A client retries over a change of leader.")
        },
        Spec {
            watch: clients,
            max_term: 2,
            clients: vec![vec![create()]],
            asks: Asks::All,
            max_client_entries: 9,
            max_index: Some(4),
            prefix: SESSION_COVERED_PREFIX,
            sometimes: &["all servers commit", "a leader changes between pieces"],
            tuples: (1_636, 1_636),
            ..snapshots("snapshot-pieces", "The leader changes between two pieces of a snapshot.")
        },
        Spec {
            watch: clients,
            max_term: 2,
            restarts: true,
            clients: vec![vec![create()]],
            asks: Asks::All,
            max_client_entries: 9,
            max_index: Some(4),
            prefix: SESSION_COVERED_PREFIX,
            sometimes: &["all servers commit", "a leader changes between pieces"],
            tuples: (16_842, 17_007),
            ..snapshots(
                "snapshot-pieces-restarts",
                "A snapshot travels in two pieces, and servers restart.",
            )
        },
        Spec {
            watch: clients,
            max_term: 1,
            clients: vec![vec![create(), put("2")]],
            asks: Asks::All,
            max_client_entries: 9,
            max_index: Some(4),
            max_bytes: 128,
            retry: Retry::WhenLost { smallest_batch: 8 },
            copies: Copies::Awaited,
            fragment: Some(60),
            prefix: SESSION_COVERED_PREFIX,
            sometimes: &["all servers commit"],
            tuples: (19_304, 19_320),
            ..snapshots("snapshot-fragments", "Pieces of a snapshot that are too large get lost.")
        },
        Spec {
            watch: commits,
            max_term: 2,
            restarts: true,
            sometimes: covered,
            tuples: (85_988, 94_001),
            ..snapshots("snapshot-terms-restarts", "Two terms with snapshots, with restarts.")
        },
        Spec {
            watch: commits,
            max_term: 3,
            sometimes: covered,
            tuples: (153_274, 183_886),
            effort: Effort::Long,
            ..snapshots("snapshot-three-terms", "Three terms of three servers with snapshots.")
        },
        Spec {
            watch: clients,
            max_term: 3,
            clients: vec![vec![create()]],
            asks: Asks::All,
            max_client_entries: 9,
            max_index: Some(5),
            prefix: SESSION_COVERED_PREFIX,
            sometimes: &["all servers commit", "a leader changes between pieces"],
            tuples: (26_289, 27_936),
            ..snapshots("snapshot-pieces-three", "Three leaders send a snapshot in two pieces.")
        },
        Spec {
            watch: clients,
            max_term: 2,
            clients: vec![vec![put("1"), read()]],
            asks: Asks::All,
            max_client_entries: 9,
            max_index: Some(5),
            prefix: DEPOSED_PREFIX,
            sometimes: &["a server has a snapshot", "two leaders at once", "a client is done"],
            tuples: (41_937, 52_088),
            effort: Effort::Long,
            ..snapshots("snapshot-reads", "Clients read from servers that send or get a snapshot.")
        },
        Spec {
            watch: commits,
            max_term: 2,
            retry: Retry::WhenLost { smallest_batch: 64 },
            copies: Copies::Awaited,
            sometimes: covered,
            tuples: (425_322, 429_801),
            effort: Effort::Long,
            ..snapshots(
                "snapshot-deployed",
                "Servers take snapshots, and repeat lost messages as a node does.",
            )
        },
    ]
}

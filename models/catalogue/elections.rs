//! Models of the rules against disturbing elections: pre-vote, stickiness and check-quorum.

use super::super::ghost::Watch;
use super::super::operations::{put, read};
use super::super::process::Asks;
use super::super::spec::{Cuts, Effort, Elections, Spec};
use super::transfers::SESSION_PREFIX;
use crate::raft::{Copies, Retry};

/// S0 leads term 1 of four servers, and all have its no-op.
const FOUR_PREFIX: &str = "\
timeout S0
settle S0 S1 S2 S3      # S0 leads term 1
lose-network";

/// S0 leads term 1 of three servers and does not know that S1 leads term 2 with the vote of S2. C3 has a
/// session. All messages are lost.
const DEPOSED_PREFIX: &str = "\
timeout S0
settle S0 S1 S2         # S0 leads term 1
deliver C3 S0
settle S0 S1 S2
deliver S0 C3           # the session of C3 is open
timeout S1 Election
timeout S2 Stickiness
settle S1 S2            # S1 leads term 2
lose-network";

const PRE_VOTE: Elections = Elections { pre_vote: true, check_quorum: false, stickiness: false };
const CHECK_QUORUM: Elections =
    Elections { pre_vote: false, check_quorum: true, stickiness: false };
const STICKINESS: Elections = Elections { pre_vote: false, ..Elections::ALL };

/// The models with rules against disturbing elections.
#[expect(clippy::too_many_lines, reason = "it is a table")]
pub(super) fn table() -> Vec<Spec> {
    let watch = Watch { leaders: true, votes: true, committed: true, history: false };
    let deposed = &["two leaders at once", "all servers commit"];
    vec![
        Spec {
            watch,
            elections: PRE_VOTE,
            max_term: 2,
            sometimes: deposed,
            tuples: (151_872, 160_740),
            ..Spec::base("pre-vote", "Servers ask for pre-votes before they stand.")
        },
        Spec {
            watch,
            elections: CHECK_QUORUM,
            max_term: 2,
            sometimes: deposed,
            tuples: (189_141, 199_482),
            ..Spec::base("check-quorum", "A leader that hears no majority steps down.")
        },
        Spec {
            watch,
            elections: STICKINESS,
            max_term: 2,
            sometimes: deposed,
            tuples: (598_296, 637_308),
            effort: Effort::Deep,
            ..Spec::base("stickiness", "A server that hears its leader grants no votes.")
        },
        Spec {
            watch,
            servers: 2,
            elections: Elections::ALL,
            max_term: 2,
            restarts: true,
            sometimes: &["all servers commit"],
            tuples: (2_448, 2_756),
            ..Spec::base("undisturbed-two", "Pre-votes, stickiness, check-quorum and restarts.")
        },
        Spec {
            watch,
            elections: Elections::ALL,
            max_term: 1,
            restarts: true,
            sometimes: &["all servers commit"],
            tuples: (14_615, 14_615),
            ..Spec::base("undisturbed", "Pre-votes, stickiness, check-quorum and restarts.")
        },
        Spec {
            watch,
            elections: Elections::ALL,
            max_term: 2,
            sometimes: deposed,
            tuples: (1_833_843, 1_992_231),
            effort: Effort::Deep,
            ..Spec::base(
                "undisturbed-terms",
                "Pre-votes, stickiness and check-quorum in two terms.",
            )
        },
        Spec {
            elections: Elections::ALL,
            cuts: Cuts::OneWay,
            sometimes: &["all servers commit"],
            tuples: (8_761, 8_761),
            ..Spec::base("one-way-cut", "A server that can send and not hear stops nobody.")
        },
        Spec {
            servers: 4,
            elections: Elections::ALL,
            cuts: Cuts::Bridge,
            prefix: FOUR_PREFIX,
            sometimes: &["a leader is elected"],
            tuples: (11_591, 11_591),
            ..Spec::base("bridge", "Four servers; only one of them has links with all others.")
        },
        Spec {
            watch: Watch { leaders: true, committed: true, history: true, ..Watch::default() },
            elections: Elections::ALL,
            clients: vec![vec![put("1"), read()]],
            asks: Asks::All,
            max_term: 2,
            max_client_entries: 2,
            prefix: DEPOSED_PREFIX,
            sometimes: &["two leaders at once", "a client is done"],
            tuples: (8_349, 10_077),
            ..Spec::base("read-undisturbed", "A deposed leader that hears no majority steps down.")
        },
        Spec {
            watch: Watch { leaders: true, committed: true, ..Watch::default() },
            elections: Elections::ALL,
            snapshot_after: Some(1),
            restarts: true,
            sometimes: &["a server has a snapshot", "all servers commit"],
            tuples: (21_287, 21_287),
            ..Spec::base("snapshot-undisturbed", "A snapshot is a sign of life of its leader.")
        },
        Spec {
            servers: 2,
            tuples: (2_648, 2_648),
            ..all_deployed(
                "all-deployed",
                "Two servers with everything that a node does by default.",
            )
        },
        Spec {
            servers: 2,
            max_term: 2,
            max_index: Some(4),
            restarts: true,
            tuples: (102_376, 106_992),
            effort: Effort::Deep,
            ..all_deployed(
                "all-deployed-terms",
                "Two terms of two servers with everything that a node does by default.",
            )
        },
        Spec {
            prefix: SESSION_PREFIX,
            tuples: (399_258, 399_294),
            effort: Effort::Deep,
            ..all_deployed(
                "all-deployed-three",
                "Three servers with everything that a node does by default.",
            )
        },
    ]
}

/// A model with everything that a node does by default, a write and a read.
fn all_deployed(name: &'static str, about: &'static str) -> Spec {
    Spec {
        watch: Watch { leaders: true, committed: true, history: true, ..Watch::default() },
        elections: Elections::ALL,
        retry: Retry::WhenLost { smallest_batch: 64 },
        copies: Copies::Awaited,
        snapshot_after: Some(1),
        clients: vec![vec![put("1"), read()]],
        asks: Asks::All,
        max_client_entries: 2,
        max_index: Some(3),
        sometimes: &["a server has a snapshot", "a client is done"],
        ..Spec::base(name, about)
    }
}

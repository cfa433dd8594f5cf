//! Models with reads that name no log entry.

use super::super::ghost::Watch;
use super::super::operations::{put, read};
use super::super::process::Asks;
use super::super::spec::{Effort, Spec};
use crate::raft::{Copies, Retry};

/// S0 leads term 1 of three servers and does not know that S1 leads term 2 with the vote of S2. The no-op of
/// S0 is committed, and C3 has a session. All messages are lost.
pub(super) const DEPOSED_PREFIX: &str = "\
timeout S0
settle S0 S1 S2         # S0 leads term 1
deliver C3 S0
settle S0 S1 S2
deliver S0 C3           # the session of C3 is open
timeout S1
deliver S1 S2
deliver S2 S1           # S1 leads term 2
lose-network";

/// S0 led term 1 of three servers and has answered the first read of C3 by its round 1. It does not know that
/// S1 leads term 2 with the vote of S2. Copies of the messages of round 1 are still under way.
const READ_PREFIX: &str = "\
timeout S0
settle S0 S1 S2         # S0 leads term 1
lose-network
timeout C3              # the first read was lost, too
deliver C3 S0
deliver S0 S1
deliver S1 S0           # a majority has answered round 1
deliver S0 C3
timeout S1
deliver S1 S2
deliver S2 S1           # S1 leads term 2";

/// The models with reads.
pub(super) fn table() -> Vec<Spec> {
    let watch = Watch { leaders: true, committed: true, history: true, ..Watch::default() };
    vec![
        Spec {
            watch,
            clients: vec![vec![read()]],
            max_rounds: 2,
            sometimes: &["a client is done"],
            tuples: (29_934, 46_434),
            ..Spec::base("read", "A leader answers a read and its copies with two rounds.")
        },
        Spec {
            watch,
            servers: 2,
            clients: vec![vec![put("1"), read()]],
            max_client_entries: 2,
            max_rounds: 2,
            restarts: true,
            sometimes: &["a client is done"],
            tuples: (1_226, 1_226),
            ..Spec::base("read-own-write", "A client reads what it has written, over restarts.")
        },
        Spec {
            watch,
            clients: vec![vec![put("1"), read()]],
            asks: Asks::All,
            max_term: 2,
            max_client_entries: 2,
            prefix: DEPOSED_PREFIX,
            sometimes: &["two leaders at once", "a client is done"],
            tuples: (370, 398),
            ..Spec::base("read-deposed", "A leader that has been deposed answers no read.")
        },
        Spec {
            watch,
            clients: vec![vec![read(), put("1"), read()]],
            asks: Asks::All,
            max_term: 2,
            max_client_entries: 2,
            max_rounds: 2,
            prefix: READ_PREFIX,
            sometimes: &["two leaders at once", "a client is done"],
            tuples: (27_646, 55_281),
            effort: Effort::Long,
            ..Spec::base("read-late-answers", "Answers to an earlier round come late.")
        },
        Spec {
            watch,
            clients: vec![vec![read()], vec![read()]],
            asks: Asks::All,
            max_rounds: 3,
            sometimes: &["all clients are done"],
            tuples: (53_618, 119_678),
            ..Spec::base("read-rounds", "Reads that come while a round is under way.")
        },
        Spec {
            watch,
            clients: vec![vec![read()]],
            asks: Asks::All,
            max_term: 2,
            restarts: true,
            sometimes: &["a client is done", "two leaders at once"],
            tuples: (353_264, 943_367),
            effort: Effort::Long,
            ..Spec::base("read-terms", "A read over a change of leader and restarts.")
        },
        Spec {
            watch,
            clients: vec![vec![put("1"), read()]],
            asks: Asks::All,
            max_term: 2,
            max_client_entries: 2,
            retry: Retry::WhenLost { smallest_batch: 64 },
            copies: Copies::Awaited,
            prefix: DEPOSED_PREFIX,
            sometimes: &["two leaders at once", "a client is done"],
            tuples: (6_548, 7_063),
            ..Spec::base(
                "read-deployed",
                "A deposed leader that repeats as a node does answers no read.",
            )
        },
    ]
}

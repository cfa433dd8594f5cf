//! Models of leadership transfer.

use super::super::ghost::Watch;
use super::super::operations::{put, read};
use super::super::process::Asks;
use super::super::spec::{Effort, Elections, Spec};
use crate::raft::Operation;
use stateright::actor::Id;

/// S0 leads term 1 of three servers, and C3 has a session. All messages are lost.
pub(super) const SESSION_PREFIX: &str = "\
timeout S0
settle S0 S1 S2         # S0 leads term 1
deliver C3 S0
settle S0 S1 S2
deliver S0 C3           # the session of C3 is open
lose-network";

/// S0 leads term 1 of three servers. All messages are lost.
const LED_PREFIX: &str = "\
timeout S0
settle S0 S1 S2         # S0 leads term 1
lose-network";

/// The models with transfers of the leadership.
#[expect(clippy::too_many_lines, reason = "it is a table")]
pub(super) fn table() -> Vec<Spec> {
    let watch = Watch { leaders: true, votes: true, committed: true, history: false };
    let clients = Watch { leaders: true, committed: true, history: true, ..Watch::default() };
    let to = |server: usize| Operation::Transfer(Id::from(server));
    vec![
        Spec {
            watch,
            servers: 2,
            clients: vec![vec![to(1)]],
            asks: Asks::All,
            max_term: 2,
            restarts: true,
            sometimes: &["a client is done"],
            tuples: (1_146, 1_215),
            ..Spec::base("transfer-two", "One of two servers hands over to the other.")
        },
        Spec {
            watch,
            clients: vec![vec![to(1)]],
            asks: Asks::All,
            max_term: 2,
            sometimes: &["a client is done", "two leaders at once"],
            tuples: (121_141, 128_205),
            ..Spec::base("transfer", "A leader hands over to a server.")
        },
        Spec {
            watch,
            clients: vec![vec![to(1)], vec![to(2)]],
            asks: Asks::All,
            max_term: 3,
            effort: Effort::Deep,
            prefix: LED_PREFIX,
            sometimes: &["all clients are done"],
            tuples: (440_420, 474_692),
            ..Spec::base("transfer-of-two", "Two clients want other leaders.")
        },
        Spec {
            watch: clients,
            servers: 2,
            clients: vec![vec![put("1")], vec![to(1)]],
            asks: Asks::All,
            max_term: 2,
            max_client_entries: 2,
            sometimes: &["all clients are done"],
            tuples: (2_615, 2_615),
            ..Spec::base("transfer-command", "A command comes while a leader hands over.")
        },
        Spec {
            watch: clients,
            servers: 2,
            clients: vec![vec![put("1"), read()], vec![to(1)]],
            asks: Asks::All,
            max_term: 2,
            max_client_entries: 2,
            sometimes: &["all clients are done"],
            tuples: (3_396, 3_429),
            ..Spec::base("transfer-read", "A read comes while a leader hands over.")
        },
        Spec {
            watch: clients,
            clients: vec![vec![put("1"), read()], vec![to(1)]],
            asks: Asks::All,
            max_term: 2,
            max_client_entries: 2,
            prefix: SESSION_PREFIX,
            sometimes: &["all clients are done"],
            tuples: (111_411, 158_745),
            effort: Effort::Deep,
            ..Spec::base(
                "transfer-read-three",
                "A read comes while one of three servers hands over.",
            )
        },
        Spec {
            watch,
            servers: 2,
            elections: Elections::ALL,
            clients: vec![vec![to(1)]],
            asks: Asks::All,
            max_term: 2,
            sometimes: &["a client is done"],
            tuples: (3_315, 3_523),
            ..Spec::base(
                "transfer-undisturbed",
                "A transfer passes stickiness and asks for no pre-votes.",
            )
        },
        Spec {
            watch,
            elections: Elections::ALL,
            clients: vec![vec![to(1)]],
            asks: Asks::All,
            max_term: 2,
            prefix: LED_PREFIX,
            sometimes: &["a client is done"],
            tuples: (62_177, 74_133),
            effort: Effort::Deep,
            ..Spec::base(
                "transfer-undisturbed-three",
                "One of three servers hands over, past stickiness and without pre-votes.",
            )
        },
        Spec {
            watch: Watch { leaders: true, committed: true, ..Watch::default() },
            clients: vec![vec![to(1)]],
            asks: Asks::All,
            max_term: 2,
            snapshot_after: Some(1),
            sometimes: &["a client is done", "a server has a snapshot"],
            tuples: (48_116, 53_053),
            ..Spec::base("transfer-snapshot", "The server that is to lead needs a snapshot first.")
        },
    ]
}

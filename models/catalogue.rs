//! The catalogue: named models, each with the exact numbers of its tuples and maximal states.
//!
//! The first models are so small that stateright's own engines exhaust each within a minute. They have a
//! number of states as well, and both kinds of engine are compared on them. A model that needs a deep
//! beginning starts from a scripted state, and the script is printed with its verdict. [`Effort`] says how
//! long a model takes, and who exhausts it.

mod elections;
mod reads;
mod snapshots;
mod transfers;

use super::ghost::Watch;
use super::operations::{advance, create, delete, get, put};
use super::process::Asks;
use super::spec::{Differing, Effort, Spec};
use crate::kv::Command;
use crate::raft::{Copies, Operation, Retry};

/// The size of a no-op, as it counts among the bytes of entries of an AppendEntries.
const NOOP: usize = 51;

/// (c) of Figure 8 with three servers. S0 led term 1 and S1 leads term 2, each with a no-op that no other
/// server has. S0 leads term 3 with the vote of S2. All messages are lost.
pub const FIGURE_8_PREFIX: &str = "\
timeout S0
deliver S0 S1
deliver S1 S0           # S0 leads term 1
lose
timeout S1
deliver S1 S2
deliver S2 S1           # S1 leads term 2
lose
timeout S0
deliver S0 S1
deliver S1 S0           # S0 hears of term 2
lose
timeout S0
deliver S0 S2
deliver S2 S0           # S0 leads term 3
deliver S0 S2
deliver S2 S0           # S2 lacks the entry before
deliver S0 S2           # and gets it
lose-network";

/// S0 leads term 1 of three servers and has committed its no-op, which S1 has and S2 lacks. All messages
/// are lost.
pub const COMMITTED_PREFIX: &str = "\
timeout S0
deliver S0 S1
deliver S1 S0           # S0 leads term 1
deliver S0 S1
deliver S1 S0           # S0 commits its no-op
lose-network";

/// S0 led terms 1 and 3 and holds their no-ops, which no other server has. S2 leads term 4 and has only its
/// own no-op.
pub const DIVERGED_PREFIX: &str = "\
timeout S0
deliver S0 S1
deliver S1 S0           # S0 leads term 1
lose
timeout S2
timeout S2
drop S2 S0
deliver S2 S0           # S0 hears of term 2
lose
timeout S0
deliver S0 S1
deliver S1 S0           # S0 leads term 3
lose
timeout S2
timeout S2
drop S2 S1
deliver S2 S1
deliver S1 S2           # S2 leads term 4
lose-network";

/// S0 led term 1, and S1 has acknowledged its no-op, but that answer is still under way. S2 led term 2 and
/// replaced the no-op of S0 by its own. S0 is a candidate of term 3 and has the vote of one other server.
pub const LATE_ACK_PREFIX: &str = "\
timeout S0
deliver S0 S1
deliver S0 S2
deliver S1 S0
deliver S2 S0           # S0 leads term 1
deliver S0 S1           # S1 has its no-op; the answer is late
timeout S2
drop S2 S0
drop S2 S1
deliver S2 S3
deliver S2 S4
deliver S3 S2
deliver S4 S2           # S2 leads term 2
deliver S2 S0           # S0 has the no-op of S2
timeout S0
deliver S0 S3 all
deliver S0 S4 all
deliver S3 S0           # one vote";

/// S0 leads term 1 of two servers. C2 has a session and has sent its command. All messages are lost, that
/// command among them.
const REGISTERED_PREFIX: &str = "\
timeout S0
settle
timeout C2
timeout C2              # the client's turn is back at S0
deliver C2 S0
deliver S0 S1
deliver S1 S0
deliver S0 C2           # the session is open
lose-network";

/// S0 leads term 1 of three servers, and C3 and C4 each have a session. All messages are lost, including
/// the first requests of both clients in their sessions.
const TWO_SESSIONS_PREFIX: &str = "\
timeout S0
settle S0 S1 S2         # S0 leads term 1
deliver C3 S0
settle S0 S1 S2
deliver S0 C3           # the session of C3 is open
deliver C4 S0
settle S0 S1 S2
deliver S0 C4           # the session of C4 is open
lose-network";

/// S0 and S1 have committed the no-op of S0, a session and five commands of C3, which has an answer to
/// each. S2 has received nothing. All messages are lost.
const FAR_BEHIND_PREFIX: &str = "\
timeout S0
settle S0 S1            # S0 leads term 1
deliver C3 S0
settle S0 S1
deliver S0 C3           # the session is open
deliver C3 S0
settle S0 S1
deliver S0 C3           # the first command is done
deliver C3 S0
settle S0 S1
deliver S0 C3
deliver C3 S0
settle S0 S1
deliver S0 C3
deliver C3 S0
settle S0 S1
deliver S0 C3
deliver C3 S0
settle S0 S1
deliver S0 C3           # and the fifth
lose-network";

/// All models of the catalogue.
pub fn catalogue() -> Vec<Spec> {
    let mut catalogue = table();
    catalogue.extend(deployed(&catalogue));
    catalogue.extend(snapshots::table());
    catalogue.extend(reads::table());
    catalogue.extend(elections::table());
    catalogue.extend(transfers::table());
    for spec in &mut catalogue {
        spec.plain = PLAIN.contains(&spec.name);
    }
    catalogue
}

/// The models that take seconds without the engine's reductions.
const PLAIN: [&str; 41] = [
    "election",
    "elections",
    "election-4",
    "replication",
    "terms",
    "log-repair",
    "figure-8",
    "leader-change",
    "in-flight",
    "client",
    "failover",
    "backpressure",
    "one-server",
    "sessions",
    "fragments",
    "fragments-3",
    "two-terms",
    "two-sessions",
    "far-behind",
    "long-and-old",
    "terms-deployed",
    "log-repair-deployed",
    "figure-8-deployed",
    "leader-change-deployed",
    "client-deployed",
    "failover-deployed",
    "two-terms-deployed",
    "backpressure-bytes",
    "backpressure-terms",
    "small-messages",
    "unlike-servers",
    "snapshot",
    "snapshot-two",
    "snapshot-behind",
    "snapshot-client",
    "snapshot-pieces",
    "snapshot-failover",
    "snapshot-margin",
    "read-own-write",
    "read-deposed",
    "read-deployed",
];

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn table() -> Vec<Spec> {
    let elections = Watch { leaders: true, votes: true, ..Watch::default() };
    let commits = Watch { leaders: true, committed: true, ..Watch::default() };
    let clients = Watch { leaders: true, committed: true, history: true, ..Watch::default() };
    vec![
        Spec {
            watch: elections,
            restarts: true,
            sometimes: &["a leader is elected", "all servers commit"],
            tuples: (999, 999),
            states: Some(21_195),
            ..Spec::base("election", "Three servers, one term: votes survive restarts.")
        },
        Spec {
            watch: elections,
            max_received: Some(0),
            max_term: 2,
            sometimes: &["a leader is elected", "two leaders at once"],
            tuples: (945, 945),
            states: Some(245_838),
            ..Spec::base("elections", "Two terms of three servers; entries stay with their leader.")
        },
        Spec {
            watch: elections,
            servers: 4,
            max_received: Some(0),
            tuples: (276, 276),
            states: Some(12_537),
            ..Spec::base(
                "election-4",
                "Four servers: a majority is three, and halves elect nobody.",
            )
        },
        Spec {
            watch: commits,
            restarts: true,
            sometimes: &["a leader is elected", "all servers commit"],
            tuples: (1_131, 1_131),
            states: Some(22_275),
            ..Spec::base(
                "replication",
                "Three servers replicate and commit a no-op, with restarts.",
            )
        },
        Spec {
            watch: commits,
            servers: 2,
            max_term: 3,
            restarts: true,
            sometimes: &["a leader is elected", "all servers commit"],
            tuples: (2_789, 3_053),
            states: Some(978_653),
            ..Spec::base("terms", "Two servers, three terms: a leader each, with restarts.")
        },
        Spec {
            watch: commits,
            max_term: 4,
            restarts: true,
            prefix: DIVERGED_PREFIX,
            sometimes: &["logs diverge", "all servers commit"],
            tuples: (168, 168),
            states: Some(4_604),
            ..Spec::base("log-repair", "A leader makes a diverged log equal to its own.")
        },
        Spec {
            watch: commits,
            max_term: 3,
            restarts: true,
            prefix: FIGURE_8_PREFIX,
            sometimes: &["two leaders at once", "logs diverge", "all servers commit"],
            tuples: (516, 648),
            states: Some(26_465),
            ..Spec::base("figure-8", "Figure 8 (c): an old entry on a majority is not committed.")
        },
        Spec {
            watch: commits,
            servers: 5,
            max_term: 3,
            prefix: LATE_ACK_PREFIX,
            sometimes: &["two leaders at once"],
            tuples: (78_415, 84_942),
            ..Spec::base("late-ack", "An acknowledgement of a term long past counts for nothing.")
        },
        Spec {
            watch: commits,
            max_term: 2,
            prefix: COMMITTED_PREFIX,
            sometimes: &["two leaders at once", "all servers commit"],
            tuples: (597, 633),
            states: Some(562_080),
            ..Spec::base("leader-change", "Whoever leads next has what two of three committed.")
        },
        Spec {
            watch: commits,
            servers: 2,
            max_entries: 2,
            clients: vec![vec![put("1")]],
            max_client_entries: 2,
            sometimes: &["all servers commit", "a client is done"],
            tuples: (318, 354),
            states: Some(98_142),
            ..Spec::base("in-flight", "Several AppendEntries in flight, of one entry and of two.")
        },
        Spec {
            watch: clients,
            servers: 2,
            clients: vec![vec![create()]],
            max_client_entries: 3,
            sometimes: &["all servers commit", "a client is done"],
            tuples: (652, 652),
            states: Some(144_116),
            ..Spec::base("client", "A client registers and writes; two copies of its request.")
        },
        Spec {
            watch: clients,
            servers: 2,
            max_term: 2,
            clients: vec![vec![create()]],
            max_client_entries: 3,
            prefix: REGISTERED_PREFIX,
            sometimes: &["a client is done"],
            tuples: (603, 603),
            states: Some(154_711),
            ..Spec::base("failover", "A registered client retries a write over a change of leader.")
        },
        Spec {
            watch: clients,
            servers: 2,
            max_bytes: 64,
            max_uncommitted: 1,
            clients: vec![vec![put("1"), put("a value that is too long")]],
            max_client_entries: 2,
            tuples: (202, 202),
            states: Some(47_122),
            sometimes: &["a client is done"],
            ..Spec::base(
                "backpressure",
                "A leader takes one uncommitted entry at a time, and no command that is too large.",
            )
        },
        Spec {
            watch: clients,
            servers: 2,
            max_bytes: 64,
            max_uncommitted_bytes: Some(2 * NOOP as u64 + 8),
            clients: vec![vec![put("1")]],
            max_client_entries: 3,
            sometimes: &["a client is done"],
            tuples: (596, 596),
            ..Spec::base(
                "backpressure-bytes",
                "A leader takes as many uncommitted entries as make two no-ops and eight bytes.",
            )
        },
        Spec {
            watch: commits,
            servers: 2,
            max_term: 3,
            max_uncommitted: 1,
            restarts: true,
            sometimes: &["a leader is elected", "all servers commit"],
            tuples: (2_789, 3_053),
            ..Spec::base(
                "backpressure-terms",
                "Leaders find uncommitted entries, and appending their no-op is never refused.",
            )
        },
        Spec {
            watch: clients,
            servers: 2,
            max_term: 2,
            max_sessions: 2,
            last_server: Some(Differing {
                max_bytes: 64,
                max_uncommitted_bytes: 200,
                max_sessions: 1,
            }),
            clients: vec![vec![Operation::Command(
                Command::Put("x".into(), "1".repeat(150).into()).encode(),
            )]],
            max_client_entries: 3,
            sometimes: &["a client is done"],
            tuples: (7_472, 7_472),
            ..Spec::base(
                "unlike-servers",
                "Two servers with other limits lead one after the other.",
            )
        },
        Spec {
            watch: clients,
            servers: 2,
            max_entries: 4,
            max_bytes: 64,
            retry: Retry::WhenLost { smallest_batch: 1280 },
            clients: vec![vec![put("1")]],
            max_client_entries: 3,
            sometimes: &["a client is done"],
            tuples: (676, 676),
            ..Spec::base(
                "small-messages",
                "A message holds one entry, though the smallest batch by the parameters is larger.",
            )
        },
        Spec {
            watch: clients,
            servers: 1,
            max_term: 2,
            clients: vec![vec![put("1"), advance()], vec![get()]],
            max_client_entries: 4,
            restarts: true,
            sometimes: &["a client is done"],
            tuples: (6_217, 6_217),
            states: Some(68_412),
            ..Spec::base("one-server", "One server and two clients, with restarts.")
        },
        Spec {
            watch: clients,
            servers: 1,
            max_sessions: 1,
            clients: vec![vec![put("1"), get()], vec![put("2")]],
            max_client_entries: 6,
            sometimes: &["a client is done"],
            tuples: (15_987, 15_987),
            states: Some(63_948),
            effort: Effort::Long,
            ..Spec::base("sessions", "Two clients compete for the only session.")
        },
        Spec {
            watch: commits,
            servers: 2,
            max_term: 3,
            restarts: true,
            max_entries: 2,
            max_bytes: 2 * NOOP,
            retry: Retry::WhenLost { smallest_batch: NOOP },
            fragment: Some(NOOP),
            sometimes: &["a leader is elected", "all servers commit"],
            tuples: (3_651, 3_969),
            ..Spec::base(
                "fragments",
                "AppendEntries of two entries never get through; halved ones do, in three terms.",
            )
        },
        Spec {
            watch: commits,
            max_term: 2,
            restarts: true,
            max_entries: 2,
            max_bytes: 2 * NOOP,
            retry: Retry::WhenLost { smallest_batch: NOOP },
            fragment: Some(NOOP),
            sometimes: &["two leaders at once", "logs diverge", "all servers commit"],
            tuples: (109_709, 124_091),
            ..Spec::base(
                "fragments-3",
                "AppendEntries of two entries never get through; halved ones do, on three servers.",
            )
        },
        Spec {
            watch: commits,
            max_term: 2,
            restarts: true,
            sometimes: &["two leaders at once", "logs diverge", "all servers commit"],
            tuples: (52_190, 62_087),
            ..Spec::base("two-terms", "Two terms of three servers, with restarts.")
        },
        Spec {
            watch: commits,
            max_term: 3,
            sometimes: &["two leaders at once", "logs diverge", "all servers commit"],
            tuples: (97_546, 109_477),
            effort: Effort::Long,
            ..Spec::base("three-terms", "Three terms of three servers.")
        },
        Spec {
            watch: commits,
            servers: 4,
            max_term: 2,
            sometimes: &["two leaders at once", "all servers commit"],
            tuples: (173_067, 178_361),
            ..Spec::base("four-servers", "Two terms of four servers.")
        },
        Spec {
            watch: commits,
            servers: 5,
            restarts: true,
            sometimes: &["a leader is elected", "all servers commit"],
            tuples: (533_823, 533_823),
            ..Spec::base("five-servers", "One term of five servers, with restarts.")
        },
        Spec {
            watch: clients,
            clients: vec![vec![create()]],
            max_client_entries: 2,
            restarts: true,
            sometimes: &["all servers commit", "a client is done"],
            tuples: (261_615, 261_615),
            ..Spec::base("command", "A client of three servers, one term, with restarts.")
        },
        Spec {
            watch: commits,
            max_term: 3,
            restarts: true,
            sometimes: &["two leaders at once", "logs diverge", "all servers commit"],
            tuples: (1_131_640, 1_612_327),
            effort: Effort::Long,
            ..Spec::base("three-terms-restarts", "Three terms of three servers, with restarts.")
        },
        Spec {
            watch: commits,
            max_term: 4,
            effort: Effort::Deep,
            sometimes: &[
                "two leaders at once",
                "logs diverge",
                "all servers commit",
                "the leader lacks what a majority has",
            ],
            tuples: (1_044_626, 1_181_891),
            ..Spec::base("four-terms", "Four terms of three servers, as in Figure 8 (a) to (d).")
        },
        Spec {
            watch: clients,
            clients: vec![vec![create()]],
            asks: Asks::All,
            max_term: 2,
            max_client_entries: 2,
            sometimes: &["two leaders at once", "logs diverge", "a client is done"],
            tuples: (230_598, 254_127),
            effort: Effort::Long,
            ..Spec::base(
                "command-asking-all",
                "A client that asks all of three servers, over a change of leader.",
            )
        },
        Spec {
            watch: commits,
            servers: 4,
            max_term: 2,
            restarts: true,
            sometimes: &["two leaders at once", "logs diverge"],
            tuples: (1_407_465, 1_609_205),
            effort: Effort::Long,
            ..Spec::base("four-servers-restarts", "Two terms of four servers, with restarts.")
        },
        Spec {
            watch: clients,
            max_term: 2,
            clients: vec![vec![create()]],
            max_client_entries: 2,
            effort: Effort::Deep,
            sometimes: &["two leaders at once", "all servers commit", "a client is done"],
            tuples: (1_458_618, 1_631_205),
            ..Spec::base(
                "command-two-terms",
                "A client of three servers retries over a change of leader.",
            )
        },
        Spec {
            watch: clients,
            servers: 4,
            clients: vec![vec![create()]],
            max_client_entries: 2,
            effort: Effort::Deep,
            sometimes: &["all servers commit", "a client is done"],
            tuples: (1_322_760, 1_727_304),
            ..Spec::base("command-four-servers", "A client of four servers, one term.")
        },
        Spec {
            watch: commits,
            clients: vec![vec![put("1")]],
            asks: Asks::All,
            max_term: 2,
            max_client_entries: 2,
            restarts: true,
            effort: Effort::Deep,
            sometimes: &["two leaders at once", "logs diverge", "a client is done"],
            tuples: (3_510_197, 5_461_982),
            ..Spec::base(
                "command-restarts",
                "A client that asks all of three servers, over restarts and a change of leader.",
            )
        },
        Spec {
            watch: commits,
            clients: vec![vec![put("1")]],
            asks: Asks::All,
            max_term: 3,
            max_client_entries: 2,
            effort: Effort::Deep,
            sometimes: &["two leaders at once", "logs diverge", "a client is done"],
            tuples: (4_467_013, 5_337_292),
            ..Spec::base(
                "command-three-terms",
                "A client that asks all of three servers, over three terms.",
            )
        },
        Spec {
            watch: commits,
            clients: vec![vec![put("1")]],
            asks: Asks::All,
            max_term: 4,
            max_client_entries: 2,
            effort: Effort::Deep,
            sometimes: &[
                "two leaders at once",
                "logs diverge",
                "the leader lacks what a majority has",
                "a client is done",
            ],
            tuples: (62_864_966, 76_485_884),
            ..Spec::base(
                "command-four-terms",
                "A client that asks all of three servers, over four terms, as in Figure 8 (a) to (d).",
            )
        },
        Spec {
            watch: commits,
            servers: 5,
            clients: vec![vec![put("1")]],
            asks: Asks::All,
            max_client_entries: 2,
            effort: Effort::Deep,
            sometimes: &["all servers commit", "a client is done"],
            tuples: (29_543_712, 40_680_852),
            ..Spec::base(
                "command-five-servers",
                "A client that asks all of five servers, one term.",
            )
        },
        Spec {
            watch: clients,
            clients: vec![vec![put("1")], vec![get()]],
            asks: Asks::All,
            max_client_entries: 4,
            effort: Effort::Deep,
            sometimes: &["all servers commit", "a client is done"],
            tuples: (1_305_263, 1_305_263),
            ..Spec::base(
                "two-clients",
                "One client writes, another one reads; both ask all of three servers.",
            )
        },
        Spec {
            servers: 5,
            max_term: 2,
            restarts: true,
            watch: commits,
            effort: Effort::Deep,
            sometimes: &["two leaders at once", "all servers commit", "logs diverge"],
            tuples: (389_914_970, 549_819_955),
            ..Spec::base("five-servers-restarts", "Two terms of five servers, with restarts.")
        },
        Spec {
            watch: commits,
            clients: vec![vec![put("1"), put("2")]],
            asks: Asks::All,
            max_term: 2,
            max_client_entries: 3,
            restarts: true,
            effort: Effort::Deep,
            sometimes: &["two leaders at once", "logs diverge", "a client is done"],
            tuples: (25_771_988, 44_675_096),
            ..Spec::base(
                "two-commands-restarts",
                "A client with two commands for all of three servers, over restarts and a change of leader.",
            )
        },
        Spec {
            watch: commits,
            servers: 4,
            clients: vec![vec![put("1")]],
            asks: Asks::All,
            max_term: 2,
            max_client_entries: 2,
            effort: Effort::Deep,
            sometimes: &["two leaders at once", "logs diverge", "a client is done"],
            tuples: (17_658_003, 20_973_161),
            ..Spec::base(
                "four-servers-command",
                "A client that asks all of four servers, over a change of leader.",
            )
        },
        Spec {
            watch: commits,
            servers: 5,
            clients: vec![vec![put("1"), put("2")]],
            asks: Asks::All,
            max_client_entries: 3,
            effort: Effort::Deep,
            sometimes: &["all servers commit", "a client is done"],
            tuples: (262_633_992, 403_758_672),
            ..Spec::base(
                "five-servers-commands",
                "A client with two commands for all of five servers, one term.",
            )
        },
        Spec {
            watch: clients,
            clients: vec![vec![put("1")], vec![get()]],
            asks: Asks::All,
            max_term: 2,
            max_client_entries: 3,
            effort: Effort::Deep,
            sometimes: &["two leaders at once", "logs diverge", "a client is done"],
            tuples: (7_987_284, 8_727_741),
            ..Spec::base(
                "two-clients-two-terms",
                "One client writes, another one reads, over a change of leader; one of them can finish.",
            )
        },
        Spec {
            watch: clients,
            clients: vec![vec![put("1")], vec![get()]],
            asks: Asks::All,
            max_term: 2,
            max_client_entries: 5,
            prefix: TWO_SESSIONS_PREFIX,
            sometimes: &["two leaders at once", "logs diverge", "all clients are done"],
            tuples: (646_818, 715_754),
            effort: Effort::Deep,
            ..Spec::base(
                "two-clients-failover",
                "One client writes, another one reads, and both retry over a change of leader.",
            )
        },
        Spec {
            watch: clients,
            clients: vec![vec![put("1")], vec![get()]],
            asks: Asks::All,
            max_term: 2,
            max_client_entries: 4,
            prefix: TWO_SESSIONS_PREFIX,
            restarts: true,
            sometimes: &["two leaders at once", "logs diverge", "all clients are done"],
            tuples: (1_954_050, 2_985_986),
            effort: Effort::Deep,
            ..Spec::base(
                "two-clients-restarts",
                "One client writes, another one reads, over restarts and a change of leader.",
            )
        },
        Spec {
            watch: clients,
            clients: vec![vec![put("1")], vec![get()]],
            asks: Asks::All,
            max_term: 3,
            max_client_entries: 4,
            prefix: TWO_SESSIONS_PREFIX,
            effort: Effort::Deep,
            sometimes: &["two leaders at once", "logs diverge", "all clients are done"],
            tuples: (2_004_527, 2_299_385),
            ..Spec::base(
                "two-clients-3-terms",
                "One client writes, another one reads, over two changes of leader.",
            )
        },
        Spec {
            watch: commits,
            clients: vec![vec![put("1"), put("2"), put("3")]],
            asks: Asks::All,
            max_term: 2,
            max_client_entries: 4,
            restarts: true,
            effort: Effort::Deep,
            sometimes: &["two leaders at once", "logs diverge", "a client is done"],
            tuples: (206_746_694, 388_596_602),
            ..Spec::base(
                "three-commands",
                "A client with three commands for all of three servers, over restarts and a change of leader.",
            )
        },
        Spec {
            watch: clients,
            servers: 1,
            max_sessions: 2,
            clients: vec![vec![create(), put("2")], vec![delete()]],
            max_client_entries: 7,
            sometimes: &["a client is done", "all clients are done"],
            tuples: (85_192, 85_192),
            effort: Effort::Long,
            ..Spec::base(
                "two-sessions",
                "Two clients with two sessions between them, which copies of registrations evict.",
            )
        },
        Spec {
            watch: commits,
            max_term: 3,
            max_entries: 4,
            sometimes: &["two leaders at once", "logs diverge", "all servers commit"],
            tuples: (71_761, 82_633),
            effort: Effort::Long,
            ..Spec::base(
                "batches",
                "Three terms of three servers; entries of several in one message.",
            )
        },
        Spec {
            watch: commits,
            max_term: 2,
            max_entries: 8,
            max_bytes: 256,
            clients: vec![vec![put("1"), put("2"), advance(), create(), delete()]],
            max_client_entries: 6,
            restarts: true,
            prefix: FAR_BEHIND_PREFIX,
            sometimes: &["two leaders at once", "all servers commit"],
            tuples: (11_881, 16_575),
            ..Spec::base(
                "far-behind",
                "Who lacks seven committed entries gets and applies them at once.",
            )
        },
        Spec {
            watch: commits,
            max_term: 5,
            restarts: true,
            prefix: DIVERGED_PREFIX,
            sometimes: &["two leaders at once", "logs diverge", "all servers commit"],
            tuples: (16_331, 20_329),
            ..Spec::base(
                "long-and-old",
                "A long log of early terms against a short one of a later term.",
            )
        },
    ]
}

/// Models of the [`catalogue`] once more, with two defaults of a node that they lack. A leader repeats
/// entries only when they were lost (LDR-5, LDR-6), and it drops copies of requests that wait (CLI-4). A
/// row has the new name, the name of the model in the catalogue, and the exact numbers of tuples and
/// maximal states.
const DEPLOYED: [(&str, &str, (u64, u64)); 11] = [
    ("terms-deployed", "terms", (3_049, 3_367)),
    ("log-repair-deployed", "log-repair", (226, 226)),
    ("figure-8-deployed", "figure-8", (516, 654)),
    ("leader-change-deployed", "leader-change", (821, 861)),
    ("client-deployed", "client", (554, 554)),
    ("failover-deployed", "failover", (630, 630)),
    ("two-terms-deployed", "two-terms", (66_125, 78_665)),
    ("three-terms-deployed", "three-terms", (126_736, 142_051)),
    ("command-deployed", "command", (276_537, 276_537)),
    ("command-asking-all-deployed", "command-asking-all", (260_544, 286_095)),
    ("two-clients-failover-deployed", "two-clients-failover", (688_032, 760_456)),
];

/// The models of [`DEPLOYED`].
fn deployed(catalogue: &[Spec]) -> Vec<Spec> {
    let model = |(name, of, tuples): (&'static str, &str, (u64, u64))| {
        let spec = catalogue.iter().find(|spec| spec.name == of);
        let spec = spec.unwrap_or_else(|| panic!("no model `{of}`")).clone();
        // A batch of this size is never halved; besides, an AppendEntries has one entry here.
        let retry = Retry::WhenLost { smallest_batch: spec.max_bytes };
        // stateright counts the smallest of these models, too.
        let states = (name == "log-repair-deployed").then_some(13_528);
        let effort = match tuples.0 {
            0..100_000 => Effort::Quick,
            100_000..500_000 => Effort::Long,
            _ => Effort::Deep,
        };
        Spec { name, tuples, states, effort, retry, copies: Copies::Awaited, ..spec }
    };
    DEPLOYED.into_iter().map(model).collect()
}

/// The model of this name.
pub fn find(name: &str) -> Option<Spec> {
    catalogue().into_iter().find(|spec| spec.name == name)
}

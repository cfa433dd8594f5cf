//! The small models in which the mutants show, and the scripted beginnings of the deep ones.

use crate::models::catalogue::{
    COMMITTED_PREFIX, DIVERGED_PREFIX, FIGURE_8_PREFIX, LATE_ACK_PREFIX, find,
};
use crate::models::ghost::Watch;
use crate::models::operations::{advance, get, put, read};
use crate::models::process::Asks;
use crate::models::spec::{Elections, Spec};
use crate::raft::Operation;

pub(super) const ELECTIONS: Watch =
    Watch { leaders: true, votes: false, committed: false, history: false };
pub(super) const VOTES: Watch = Watch { votes: true, ..ELECTIONS };
pub(super) const COMMITS: Watch = Watch { committed: true, ..ELECTIONS };
const HISTORY: Watch = Watch { history: true, ..ELECTIONS };

/// S0 led term 1 of three servers and told S1 to stand for election. Before S1 heard of that, S2 was elected
/// in term 2, and S1 has its no-op.
const TOLD_PREFIX: &str = "\
timeout S0
settle S0 S1 S2         # S0 leads term 1
lose-network
timeout C3
deliver C3 S0           # S0 tells S1 to stand
lose
timeout S2
deliver S2 S1
deliver S1 S2           # S2 leads term 2
deliver S2 S1";

/// S0 led term 1 of three servers and restarted. No other server has its no-op.
const LED_ALONE_PREFIX: &str = "\
timeout S0
deliver S0 S1
deliver S1 S0           # S0 leads term 1
restart S0
lose-network";

/// S0 leads term 1 and does not know that S1 leads term 2 with the vote of S2. S1 has committed its no-op
/// in term 2. The no-op of S0 is in no other log.
const DEPOSED_PREFIX: &str = "\
timeout S0
deliver S0 S1
deliver S1 S0           # S0 leads term 1
lose
timeout S1
deliver S1 S2
deliver S2 S1           # S1 leads term 2
deliver S1 S2
deliver S2 S1           # and commits its no-op
lose-network";

/// S0 led term 1 and committed its no-op with S1, which does not know of the commit. S1 led term 2 and has
/// a no-op of its own behind it, which no other server has. S0 leads term 3, elected by S2.
const UNKNOWN_COMMIT_PREFIX: &str = "\
timeout S0
deliver S0 S1
deliver S1 S0           # S0 leads term 1
deliver S0 S1
deliver S1 S0           # and has committed its no-op
lose
timeout S1
deliver S1 S0
deliver S0 S1           # S1 leads term 2
lose
timeout S0
deliver S0 S2
deliver S2 S0           # S0 leads term 3
lose-network";

/// S0 has just been elected by two of the other four servers.
const FIVE_PREFIX: &str = "\
timeout S0
deliver S0 S1
deliver S0 S2
deliver S1 S0
deliver S2 S0           # S0 leads term 1
lose-network";

/// S0 leads term 1 of five servers and does not know that S1 leads term 2, elected by S2 and S3. S4 has not
/// heard of term 2.
const FIVE_DEPOSED_PREFIX: &str = "\
timeout S0
deliver S0 S2
deliver S0 S3
deliver S2 S0
deliver S3 S0           # S0 leads term 1
lose
timeout S1
lose
timeout S1
deliver S1 S2
deliver S1 S3
deliver S2 S1
deliver S3 S1           # S1 leads term 2
deliver S1 S2
deliver S2 S1           # its no-op is on two of five
lose-network";

/// S0 leads term 1, and S1, elected by S2, leads term 2. C3 has a session, which all servers know. It has
/// sent its first command to every server, to S0 last.
const TWO_LEADERS_PREFIX: &str = "\
timeout S0
settle S0 S1 S2         # S0 leads term 1
deliver C3 S0
settle S0 S1 S2         # the session is open
timeout S1
deliver S1 S2
deliver S2 S1           # S1 leads term 2
deliver S0 C3
lose-network
timeout C3
timeout C3
timeout C3              # the client's turn is back at S0";

/// S0 leads term 1, and S1, elected by S2, leads term 2 and has committed its no-op. S0 has taken the first
/// command of C3, which stands at the index of the no-op of S1.
const TAKEN_PREFIX: &str = "\
timeout S0
settle S0 S1 S2         # S0 leads term 1
deliver C3 S0
settle S0 S1 S2         # the session is open
timeout S1
deliver S1 S2
deliver S2 S1           # S1 leads term 2
deliver S1 S2
deliver S2 S1           # and has committed its no-op
deliver S0 C3
deliver C3 S0           # S0 has taken the command
lose-network";

/// S0 leads term 1 of two servers. The log of S0 holds the two commands of C2 and a late copy of the first,
/// and all of it is committed. S1 has all of it and does not know that the last two entries are committed.
const LATE_COPY_PREFIX: &str = "\
timeout S0
settle S0 S1
deliver C2 S0
settle S0 S1
deliver S0 C2
deliver C2 S0
settle S0 S1
deliver S0 C2
deliver C2 S0
settle S0 S1
redeliver C2 S0 sequence: 2,
settle S0 S1
lose-network";

/// One term of three servers, with restarts.
pub(super) fn election() -> Spec {
    Spec {
        watch: ELECTIONS,
        restarts: true,
        ..Spec::base("mutant-election", "the votes of an election")
    }
}

/// Two terms; no server receives entries of another leader.
pub(super) fn elections() -> Spec {
    Spec {
        watch: ELECTIONS,
        max_term: 2,
        max_received: Some(0),
        ..Spec::base("mutant-elections", "one leader after the other")
    }
}

/// Terms up to `max_term`, and a ghost of every vote.
pub(super) fn votes(max_term: u64) -> Spec {
    Spec {
        watch: VOTES,
        max_term,
        max_received: Some(0),
        ..Spec::base("mutant-votes", "every vote that is cast")
    }
}

/// One term of four servers.
pub(super) fn election_of_four() -> Spec {
    Spec {
        watch: ELECTIONS,
        servers: 4,
        max_received: Some(0),
        ..Spec::base("mutant-election-of-four", "an election among an even number of servers")
    }
}

/// One term of two servers: a no-op is replicated.
pub(super) fn pair() -> Spec {
    Spec { watch: COMMITS, servers: 2, ..Spec::base("mutant-pair", "a leader and a follower") }
}

/// One term of two servers: a no-op and an entry of a client are replicated.
pub(super) fn pair_with_client() -> Spec {
    Spec {
        watch: COMMITS,
        servers: 2,
        clients: vec![vec![put("1")]],
        max_client_entries: 1,
        ..Spec::base("mutant-stale-append", "a leader and an entry of a client")
    }
}

/// One term of three servers: a no-op is replicated, with restarts.
pub(super) fn replication() -> Spec {
    Spec {
        watch: COMMITS,
        restarts: true,
        ..Spec::base("mutant-replication", "a no-op is replicated")
    }
}

/// S0 leads and has committed with S1; another leader may follow.
pub(super) fn leader_change() -> Spec {
    Spec {
        watch: COMMITS,
        max_term: 2,
        prefix: COMMITTED_PREFIX,
        ..Spec::base("mutant-leader-change", "a leader has committed, and another may follow")
    }
}

/// A model that starts from (c) of Figure 8.
pub(super) fn figure_8() -> Spec {
    Spec {
        watch: COMMITS,
        max_term: 4,
        prefix: FIGURE_8_PREFIX,
        ..Spec::base("mutant-figure-8", "Figure 8 (c)")
    }
}

/// S0 has entries of two terms that no other server has; S2 leads a later term.
pub(super) fn diverged() -> Spec {
    Spec {
        watch: COMMITS,
        max_term: 5,
        restarts: true,
        prefix: DIVERGED_PREFIX,
        ..Spec::base("mutant-diverged", "logs that have parted")
    }
}

/// An entry that is only in the log of its leader, which has restarted.
pub(super) fn led_alone() -> Spec {
    Spec {
        watch: COMMITS,
        max_term: 2,
        prefix: LED_ALONE_PREFIX,
        ..Spec::base("mutant-led-alone", "an entry that only its leader has")
    }
}

/// A leader that does not know of its successor.
pub(super) fn deposed() -> Spec {
    Spec {
        watch: COMMITS,
        max_term: 2,
        prefix: DEPOSED_PREFIX,
        ..Spec::base("mutant-deposed", "a leader that does not know of its successor")
    }
}

/// A follower with a committed entry and a conflicting one.
pub(super) fn unknown_commit() -> Spec {
    Spec {
        watch: COMMITS,
        max_term: 3,
        prefix: UNKNOWN_COMMIT_PREFIX,
        ..Spec::base("mutant-unknown-commit", "a follower with a conflicting entry")
    }
}

/// Five servers and their leader.
pub(super) fn five() -> Spec {
    Spec {
        watch: COMMITS,
        servers: 5,
        prefix: FIVE_PREFIX,
        ..Spec::base("mutant-five", "a leader and its followers")
    }
}

/// Five servers, a deposed leader and its successor.
pub(super) fn five_deposed() -> Spec {
    Spec {
        watch: COMMITS,
        servers: 5,
        max_term: 2,
        restarts: true,
        prefix: FIVE_DEPOSED_PREFIX,
        ..Spec::base("mutant-five-deposed", "a deposed leader and its successor")
    }
}

/// Five servers and an acknowledgement that is two terms old.
pub(super) fn late_ack() -> Spec {
    Spec {
        watch: COMMITS,
        servers: 5,
        max_term: 3,
        prefix: LATE_ACK_PREFIX,
        ..Spec::base("mutant-late-ack", "an acknowledgement of a term long past")
    }
}

/// One server and clients; the server commits every entry that it appends.
pub(super) fn alone(clients: Vec<Vec<Operation>>, max_sessions: u32) -> Spec {
    Spec {
        watch: HISTORY,
        servers: 1,
        clients,
        max_client_entries: 4,
        max_sessions,
        ..Spec::base("mutant-sessions", "a server that commits alone, and its clients")
    }
}

/// Two leaders at once, and a client.
pub(super) fn two_leaders() -> Spec {
    Spec {
        watch: HISTORY,
        max_term: 2,
        clients: vec![vec![put("1"), get()]],
        max_client_entries: 3,
        prefix: TWO_LEADERS_PREFIX,
        ..Spec::base("mutant-two-leaders", "two leaders at once, and a client")
    }
}

/// Two leaders at once, and a command that the old leader has taken.
pub(super) fn taken() -> Spec {
    Spec { prefix: TAKEN_PREFIX, ..two_leaders() }
}

/// Two servers, and a late copy of a command.
pub(super) fn late_copy() -> Spec {
    Spec {
        watch: HISTORY,
        servers: 2,
        clients: vec![vec![put("1"), advance()]],
        max_client_entries: 4,
        prefix: LATE_COPY_PREFIX,
        ..Spec::base("mutant-late-copy", "a late copy of a command")
    }
}

/// A model of the catalogue.
pub(super) fn find_model(name: &str) -> Spec {
    find(name).expect("the catalogue has this model")
}

/// Pre-votes in one term.
pub(super) fn pre_votes() -> Spec {
    let elections = Elections { pre_vote: true, ..Elections::default() };
    Spec {
        watch: ELECTIONS,
        elections,
        ..Spec::base("mutant-pre-votes", "pre-votes before an election")
    }
}

/// Pre-votes in two terms; no server receives entries of another leader.
pub(super) fn pre_votes_of_two_terms() -> Spec {
    Spec {
        max_term: 2,
        max_received: Some(0),
        restarts: true,
        ..Spec { name: "mutant-pre-votes-of-two-terms", ..pre_votes() }
    }
}

/// A leader that steps down if it hears no majority.
pub(super) fn heard() -> Spec {
    let elections = Elections { check_quorum: true, ..Elections::default() };
    Spec {
        watch: ELECTIONS,
        servers: 2,
        elections,
        max_term: 2,
        ..Spec::base("mutant-heard", "a leader that looks whether it hears a majority")
    }
}

/// Followers that hear their leader, and candidates that do not.
pub(super) fn sticky() -> Spec {
    let elections = Elections { pre_vote: false, ..Elections::ALL };
    Spec {
        watch: ELECTIONS,
        elections,
        max_term: 2,
        max_received: Some(1),
        ..Spec::base("mutant-sticky", "a candidate, while others hear their leader")
    }
}

/// A TimeoutNow of S0 is on its way to S1, which follows S2 in term 2.
pub(super) fn late_timeout_now() -> Spec {
    Spec {
        watch: ELECTIONS,
        max_term: 3,
        max_received: Some(2),
        prefix: TOLD_PREFIX,
        ..Spec { name: "mutant-late-timeout-now", ..find_model("transfer") }
    }
}

/// A snapshot that is on its way while the entries that it covers, and one more, arrive.
pub(super) fn snapshot_in_flight() -> Spec {
    Spec {
        watch: COMMITS,
        clients: vec![vec![put("1")]],
        asks: Asks::All,
        max_client_entries: 1,
        max_index: Some(2),
        max_entries: 2,
        snapshot_after: Some(1),
        ..Spec::base("mutant-snapshot-in-flight", "entries and a snapshot on their way")
    }
}

/// Two leaders, one after the other, that send snapshots in two pieces each.
pub(super) fn snapshot_mixed() -> Spec {
    Spec {
        clients: vec![vec![put("1"), put("2")]],
        max_index: Some(5),
        ..find_model("snapshot-pieces")
    }
}

/// S0 has executed the command of C3, and S1 holds it. Then S1 is elected.
const ELECTED_PREFIX: &str = "\
timeout S0
settle S0 S1 S2         # S0 leads term 1
deliver C3 S0
settle S0 S1 S2
deliver S0 C3           # the session of C3 is open
deliver C3 S0
settle S0 S1
deliver S0 C3           # the command is done, and S1 holds it
lose-network";

/// A leader that does not know yet what is committed.
pub(super) fn read_after_election() -> Spec {
    Spec {
        watch: Watch { committed: true, ..HISTORY },
        clients: vec![vec![put("1"), read()]],
        asks: Asks::All,
        max_term: 2,
        max_client_entries: 2,
        prefix: ELECTED_PREFIX,
        ..Spec::base("mutant-read-after-election", "a read at a leader that has just been elected")
    }
}

/// A server that leads two terms.
pub(super) fn read_of_two_terms() -> Spec {
    Spec {
        watch: HISTORY,
        clients: vec![vec![read()]],
        asks: Asks::All,
        max_term: 2,
        restarts: true,
        ..Spec::base("mutant-read-of-two-terms", "a read in two terms of one leader")
    }
}

/// S0 led term 1 and has answered the first read of C3 by its round 1. A copy of that answer of S1 is still
/// under way. S1 leads term 2 and has executed the command of C3, and S0 does not know that.
const LATE_ANSWER_PREFIX: &str = "\
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
deliver S2 S1           # S1 leads term 2
deliver C3 S1
settle S1 S2
deliver S1 C3           # the session of C3 is open
deliver C3 S1
settle S1 S2
deliver S1 C3           # the command is done";

/// A read at a deposed leader, and a late answer to an earlier round.
pub(super) fn read_late_answer() -> Spec {
    Spec { prefix: LATE_ANSWER_PREFIX, ..find_model("read-late-answers") }
}

//! The models that are compared with the specification.

use crate::models::operations::{create, put, read};
use crate::models::process::Asks;
use crate::models::spec::{Effort, Elections, Spec};
use crate::raft::{Operation, Retry};
use stateright::actor::Id;

/// The size of a no-op, as it counts among the bytes of entries of an AppendEntries.
const NOOP: usize = 51;

/// The models that are compared with the specification, state for state. The configuration
/// `spec/models/NAME.cfg` gives TLC the bounds of the model `NAME`. A deep one takes TLC minutes.
pub fn twins() -> Vec<Spec> {
    let mut twins = plain();
    twins.extend(with_features());
    twins
}

/// The model of this name that is compared with the specification.
pub fn find(name: &str) -> Option<Spec> {
    twins().into_iter().find(|spec| spec.name == name)
}

fn servers(servers: usize, name: &'static str, about: &'static str) -> Spec {
    Spec { servers, sometimes: &[], ..Spec::base(name, about) }
}

/// Elections, replication and clients, as in Figure 2.
fn plain() -> Vec<Spec> {
    vec![
        servers(2, "pair", "Two servers, one term."),
        Spec { restarts: true, ..servers(2, "pair-restarts", "Two servers, one term, restarts.") },
        Spec { max_term: 2, ..servers(2, "pair-terms", "Two servers, two terms.") },
        Spec {
            max_term: 2,
            restarts: true,
            ..servers(2, "pair-terms-restarts", "Two servers, two terms, restarts.")
        },
        servers(3, "three", "Three servers, one term."),
        Spec {
            restarts: true,
            effort: Effort::Deep,
            ..servers(3, "three-restarts", "Three servers, one term, restarts.")
        },
        Spec {
            restarts: true,
            clients: vec![vec![put("1")]],
            max_client_entries: 2,
            ..servers(1, "single", "One server and a client that writes, with restarts.")
        },
        Spec {
            clients: vec![vec![create()]],
            asks: Asks::All,
            max_client_entries: 1,
            ..servers(2, "pair-session", "A client opens a session; no room for its command.")
        },
        Spec {
            clients: vec![vec![create()]],
            max_client_entries: 2,
            effort: Effort::Deep,
            ..servers(2, "pair-client", "Two servers and a client that writes; no room for a copy.")
        },
    ]
}

/// Each feature beyond Figure 2.
fn with_features() -> Vec<Spec> {
    vec![
        Spec {
            max_term: 2,
            retry: Retry::WhenLost { smallest_batch: 32 * 1024 },
            ..servers(2, "pair-retry", "Two servers repeat entries when they were lost.")
        },
        Spec {
            max_term: 2,
            max_entries: 2,
            max_bytes: 2 * NOOP,
            retry: Retry::WhenLost { smallest_batch: NOOP },
            fragment: Some(NOOP),
            ..servers(2, "pair-fragments", "Messages of two entries are lost; halved ones are not.")
        },
        Spec {
            clients: vec![vec![read()]],
            asks: Asks::All,
            ..servers(2, "pair-read", "Two servers and a client that reads.")
        },
        Spec {
            elections: Elections { pre_vote: true, ..Elections::default() },
            ..servers(2, "pair-pre-vote", "Two servers that ask for pre-votes.")
        },
        Spec {
            max_term: 2,
            elections: Elections { pre_vote: false, ..Elections::ALL },
            ..servers(2, "pair-check-quorum", "Stickiness and check-quorum, two terms.")
        },
        Spec {
            clients: vec![vec![Operation::Transfer(Id::from(1))]],
            asks: Asks::All,
            ..servers(2, "pair-transfer", "One of two servers is to hand over to the other.")
        },
        Spec {
            max_term: 2,
            snapshot_after: Some(1),
            ..servers(2, "pair-snapshot", "Two servers with snapshots, two terms.")
        },
        Spec {
            snapshot_after: Some(1),
            ..servers(3, "three-snapshot", "Three servers with snapshots, one term.")
        },
    ]
}

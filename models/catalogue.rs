//! The catalogue: named models, each with the exact number of its states.
//!
//! They are small, so that stateright's own engines exhaust each within seconds. A model that needs a
//! deep beginning starts from a scripted one, which is printed with its verdict.

use super::ghost::Watch;
use super::spec::Spec;
use crate::kv::Command;

/// S0 leads term 1 and S1 term 2, each with a no-op that nobody else has; then S0 leads term 3, with
/// the vote of S2. This is (c) of Figure 8 with three servers.
pub const FIGURE_8_PREFIX: &str = "\
    timeout S0
    deliver S0 S1
    deliver S1 S0
    lose
    timeout S1
    deliver S1 S2
    deliver S2 S1
    lose
    timeout S0
    timeout S0
    drop S0 S2
    deliver S0 S2
    deliver S2 S0
    lose
    lose-network";

/// S0 leads term 1 and has replicated its no-op and the registration of C3 (or C2, with two
/// servers) to everybody; the client has sent its first command.
const REGISTERED_PREFIX_3: &str = "\
    timeout S0
    settle
    timeout C3
    timeout C3
    timeout C3
    settle";

/// All models.
pub fn catalogue() -> Vec<Spec> {
    let elections = Watch { leaders: true, votes: true, ..Watch::default() };
    let commits = Watch { leaders: true, committed: true, ..Watch::default() };
    let clients = Watch { leaders: true, committed: true, history: true, ..Watch::default() };
    let put = |value: &'static str| Command::Put("x".into(), value.into());
    let get = || Command::Get("x".into());
    let _ = REGISTERED_PREFIX_3;
    vec![
        Spec {
            watch: elections,
            restarts: true,
            ..Spec::base("election", "three servers elect a leader of the first term")
        },
        Spec {
            watch: elections,
            max_received: Some(0),
            max_term: 2,
            ..Spec::base("elections", "two terms, no entry leaves its leader")
        },
        Spec {
            watch: commits,
            servers: 2,
            max_term: 2,
            restarts: true,
            ..Spec::base("replication-2", "two servers, two terms")
        },
        Spec {
            watch: commits,
            servers: 2,
            max_term: 3,
            restarts: true,
            ..Spec::base("replication-2t3", "two servers, three terms")
        },
        Spec {
            watch: commits,
            restarts: true,
            ..Spec::base("replication-3", "three servers, one term")
        },
        Spec {
            watch: commits,
            clients: vec![vec![put("1")]],
            max_client_entries: 1,
            ..Spec::base("replication-3c", "three servers, one term, register only")
        },
        Spec {
            watch: clients,
            servers: 2,
            clients: vec![vec![put("1")]],
            max_client_entries: 2,
            ..Spec::base("client", "two servers, one term, one command")
        },
        Spec {
            watch: clients,
            servers: 2,
            clients: vec![vec![put("1")]],
            max_client_entries: 3,
            ..Spec::base("client-retry", "two servers, one term, one command")
        },
        Spec {
            watch: clients,
            servers: 2,
            max_term: 2,
            clients: vec![vec![put("1")]],
            max_client_entries: 2,
            ..Spec::base("client-2t", "two servers, two term, one command")
        },
        Spec {
            watch: clients,
            servers: 1,
            max_term: 2,
            clients: vec![vec![put("1"), get()], vec![get()]],
            max_client_entries: 4,
            restarts: true,
            ..Spec::base("client-1s", "one server")
        },
        Spec {
            watch: commits,
            max_term: 4,
            prefix: FIGURE_8_PREFIX,
            ..Spec::base("figure-8", "figure 8")
        },
    ]
}

/// The model of that name.
pub fn find(name: &str) -> Option<Spec> {
    catalogue().into_iter().find(|spec| spec.name == name)
}

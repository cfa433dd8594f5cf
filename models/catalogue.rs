//! The catalogue: named models, each with the exact number of its states.

use super::ghost::Watch;
use super::spec::Spec;

/// All models.
pub fn catalogue() -> Vec<Spec> {
    let elections = Watch { leaders: true, votes: true, ..Watch::default() };
    let commits = Watch { leaders: true, committed: true, ..Watch::default() };
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
    ]
}

/// The model of that name.
pub fn find(name: &str) -> Option<Spec> {
    catalogue().into_iter().find(|spec| spec.name == name)
}

//! The shortest counterexample, as people read it.

use super::subject::Subject;
use checked_raft::checker::{Limits, RECOVERABILITY, diagram, search};
use checked_raft::models::Cluster;
use checked_raft::models::ghost::Ghost;
use checked_raft::models::member::Member;
use serde::Serialize;
use std::fmt::Write;
use std::sync::atomic::AtomicBool;

/// Where `raft explore` serves if not told otherwise.
pub(super) const EXPLORER: &str = "127.0.0.1:3000";

/// A counterexample: executed again and judged again by [`search::shortest`].
#[derive(Serialize)]
pub(super) struct Explained {
    /// The property it violates.
    pub(super) property: &'static str,
    /// Its steps, numbered, each with what it changes.
    pub(super) steps: String,
    /// The number of steps.
    pub(super) length: usize,
    /// States visited to find it.
    pub(super) visited: usize,
    /// What ended the search for a shorter one, if anything did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unsure: Option<&'static str>,
    /// A Mermaid sequence diagram.
    pub(super) mermaid: String,
    /// How to look at it in the Explorer.
    pub(super) explorer: Link,
}

/// A counterexample of a cluster.
type Found = search::Counterexample<Member, Ghost>;

/// The way to a path in the Explorer.
#[derive(Serialize)]
pub(super) struct Link {
    /// What serves it.
    pub(super) command: String,
    /// The page, then.
    pub(super) url: String,
    /// The first state, then the position of each action among those enabled.
    pub(super) path: String,
}

/// The steps, and what a dead end is, which no step shows.
fn steps(world: &Cluster, found: &Found) -> String {
    let mut text = diagram::steps_text(world, found);
    if found.property == RECOVERABILITY {
        text.push_str(
            "     Here, with every message lost, some majority of the servers can no longer elect a\n     \
             leader that commits an entry: by deliveries and timeouts of its own, no restart, and up\n     \
             to two terms beyond the latest.\n",
        );
    }
    text
}

/// Searches level by level for `property`, or for any. The error says why there is nothing to show.
pub(super) fn explain(
    subject: &Subject,
    property: Option<&'static str>,
    limits: &Limits,
    interrupted: &AtomicBool,
) -> Result<Explained, String> {
    let world = subject.cluster();
    let found = match search::shortest(&world, property, limits, interrupted) {
        search::Outcome::Found(found) => found,
        search::Outcome::Exhausted(visited) => {
            return Err(format!(
                "the level-by-level search for the shortest counterexample ended after {visited} \
                 states without one: the engines disagree, which is a defect of the checker"
            ));
        }
        search::Outcome::Ended(visited, reason) => {
            return Err(format!(
                "the search for the shortest counterexample was ended by {reason}, after {visited} \
                 states; `--max-states`, `--max-seconds` and `--memory` set limits"
            ));
        }
    };
    let mut path = "0".to_owned();
    for index in &found.indices {
        let _ = write!(path, "/{index}");
    }
    let url = format!("http://{EXPLORER}/#/steps/{path}");
    Ok(Explained {
        property: found.property,
        steps: steps(&world, &found),
        length: found.steps.len(),
        visited: found.visited,
        unsure: found.unsure,
        mermaid: diagram::mermaid(&world, &found),
        explorer: Link { command: subject.explore_command(), url, path },
    })
}

//! The members of a cluster: the servers that vote and replicate the log.
//!
//! The members belong to the state of a server, because section 6 of the paper changes them by entries of the
//! log. So rules ask [`Server::members`](super::Server) who takes part, and do not ask the parameters. Today
//! [`Raft::new`](super::Raft::new) names the members once, and every server starts with them.

use crate::map::Map;
use serde::{Deserialize, Serialize};
use stateright::actor::Id;
use std::fmt;

/// The set of all members, the server itself included. A clone costs O(1), because every step of the
/// protocol clones the server.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<Id>", into = "Vec<Id>")]
pub struct Members(Map<Id, ()>);

impl Members {
    /// Whether this server is a member.
    pub fn contains(&self, id: Id) -> bool {
        self.0.get(&id).is_some()
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of servers in "votes from a majority of servers" (§5.2). Any two majorities share a server.
    pub fn majority(&self) -> usize {
        self.len() / 2 + 1
    }

    /// All members in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = Id> {
        self.0.iter().map(|(member, ())| *member)
    }

    /// All members except `id`.
    pub fn others(&self, id: Id) -> impl Iterator<Item = Id> {
        self.iter().filter(move |member| *member != id)
    }
}

impl FromIterator<Id> for Members {
    fn from_iter<I: IntoIterator<Item = Id>>(members: I) -> Self {
        Self(members.into_iter().map(|member| (member, ())).collect())
    }
}

impl From<Vec<Id>> for Members {
    fn from(members: Vec<Id>) -> Self {
        members.into_iter().collect()
    }
}

impl From<Members> for Vec<Id> {
    fn from(members: Members) -> Self {
        members.iter().collect()
    }
}

/// Shows `{0 1 2}`.
impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.iter().map(|id| usize::from(id).to_string()).collect();
        write!(f, "{{{}}}", ids.join(" "))
    }
}

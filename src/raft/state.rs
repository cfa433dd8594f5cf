//! The State box of Figure 2.

use super::client::Sessions;
use super::log::Log;
use super::retry::Attempt;
use serde::{Deserialize, Serialize};
use stateright::actor::Id;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A term: logical time, "numbered with consecutive integers" (section 5.1). Zero is the term before
/// the first election.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Term(pub u64);

/// A position in the log. "First index is 1"; zero is the position before the first entry.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Index(pub u64);

/// Persistent state on all servers. It *is* what the node stores: nothing else survives a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Persistent {
    /// "latest term server has seen (initialized to 0 on first boot, increases monotonically)"
    pub current_term: Term,
    /// "candidateId that received vote in current term (or null if none)"
    pub voted_for: Option<Id>,
    /// "log entries; each entry contains command for state machine, and term when entry was
    /// received by leader (first index is 1)"
    pub log: Log,
}

/// One server: the whole State box, and the state machine the log is applied to.
///
/// Scalars stand before maps, so that comparing two servers that differ is decided early.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Server<S> {
    /// "index of highest log entry known to be committed (initialized to 0, increases
    /// monotonically)"
    pub commit_index: Index,
    /// "index of highest log entry applied to state machine (initialized to 0, increases
    /// monotonically)"
    pub last_applied: Index,
    /// Follower, candidate or leader, each with the variables only it has.
    pub role: Role,
    /// What survives a crash.
    pub persistent: Persistent,
    /// The client sessions: part of the replicated state machine (thesis section 6.3).
    pub sessions: Sessions,
    /// The state machine.
    pub machine: S,
}

/// The states of Figure 4. A variable that only a leader has does not exist elsewhere.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// "Respond to RPCs from candidates and leaders."
    Follower {
        /// The leader of the current term, once heard of: "so follower can redirect clients".
        leader: Option<Id>,
    },
    /// Between starting an election and its outcome.
    Candidate {
        /// raft.tla's `votesGranted`. A set, so that a duplicated reply counts once.
        votes_granted: BTreeSet<Id>,
    },
    /// "Volatile state on leaders (Reinitialized after election)", for each *other* server.
    Leader {
        /// "for each server, index of the next log entry to send to that server (initialized to
        /// leader last log index + 1)"
        next_index: BTreeMap<Id, Index>,
        /// "for each server, index of highest log entry known to be replicated on server
        /// (initialized to 0, increases monotonically)"
        match_index: BTreeMap<Id, Index>,
        /// For each server that was sent entries and has not caught up: what it has not answered,
        /// and how often entries were lost (`retry.rs`).
        /// Empty under [`Retry::EveryHeartbeat`](super::Retry::EveryHeartbeat).
        attempts: BTreeMap<Id, Attempt>,
    },
    /// The server was asked to delete what it had committed, refused, and does nothing any more
    /// (GUARD-1). No model reaches it.
    Halted(Disagreement),
}

/// Two servers disagree about an entry that one of them has committed: "if a server has applied a log
/// entry at a given index to its state machine, no other server will ever apply a different log entry
/// for the same index" (Figure 3) no longer holds. Raft excludes it unless a server has lost what it had
/// saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Disagreement {
    /// The leader that has another entry there.
    pub leader: Id,
    /// The leader's term.
    pub term: Term,
    /// The position.
    pub index: Index,
    /// The term of the entry that was committed here.
    pub committed: Term,
    /// The term of the leader's entry.
    pub proposed: Term,
}

impl Term {
    /// The term of the next election.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Index {
    /// The following position.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The preceding position; there is none before zero.
    pub fn prev(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl<S: Default> Server<S> {
    /// A server that has just started with what it had saved: everything volatile is initial.
    pub fn restored(persistent: Persistent) -> Self {
        Self {
            commit_index: Index::default(),
            last_applied: Index::default(),
            role: Role::Follower { leader: None },
            persistent,
            sessions: Sessions::default(),
            machine: S::default(),
        }
    }
}

impl<S> Server<S> {
    /// Whether the server leads its current term.
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader { .. })
    }

    /// Whether the server has refused to delete what it had committed (GUARD-1).
    pub fn is_halted(&self) -> bool {
        matches!(self.role, Role::Halted(_))
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One line, so that a whole cluster fits a screen of the Explorer:
/// `leader t2 voted=0 log=[1.noop 2.noop] commit=1 next={1:3 2:2} match={1:2 2:0} sessions={} {}`.
impl<S: fmt::Debug> fmt::Debug for Server<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Persistent { current_term, voted_for, log } = &self.persistent;
        let name = match &self.role {
            Role::Follower { .. } => "follower",
            Role::Candidate { .. } => "candidate",
            Role::Leader { .. } => "leader",
            Role::Halted(_) => "halted",
        };
        write!(f, "{name} t{current_term}")?;
        if let Some(id) = voted_for {
            write!(f, " voted={}", usize::from(*id))?;
        }
        write!(f, " log={log:?} commit={}", self.commit_index)?;
        if self.last_applied != self.commit_index {
            write!(f, " applied={}", self.last_applied)?;
        }
        write!(f, "{:?} {:?}", self.role, self.sessions)?;
        write!(f, " {:?}", self.machine)
    }
}

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indexes = |f: &mut fmt::Formatter<'_>, name: &str, map: &BTreeMap<Id, Index>| {
            let pairs: Vec<_> =
                map.iter().map(|(id, index)| format!("{}:{index}", usize::from(*id))).collect();
            write!(f, " {name}={{{}}}", pairs.join(" "))
        };
        match self {
            Role::Follower { leader: None } => Ok(()),
            Role::Follower { leader: Some(id) } => write!(f, " leader={}", usize::from(*id)),
            Role::Candidate { votes_granted } => {
                let ids: Vec<_> = votes_granted.iter().map(|id| usize::from(*id)).collect();
                write!(f, " votes={ids:?}")
            }
            Role::Leader { next_index, match_index, attempts } => {
                indexes(f, "next", next_index)?;
                indexes(f, "match", match_index)?;
                if attempts.is_empty() {
                    return Ok(());
                }
                let attempts: Vec<_> =
                    attempts.iter().map(|(id, it)| format!("{}:{it}", usize::from(*id))).collect();
                write!(f, " unanswered={{{}}}", attempts.join(" "))
            }
            Role::Halted(Disagreement { leader, index, .. }) => {
                write!(f, " leader={} disagrees at {index}", usize::from(*leader))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::RequestVote;

    /// As counterexamples and traces show them.
    #[test]
    fn a_term_and_an_index_are_shown_as_numbers() {
        let args = RequestVote { term: Term(3), last_log_index: Index(2), last_log_term: Term(1) };
        assert_eq!(
            format!("{args:?}"),
            "RequestVote { term: 3, last_log_index: 2, last_log_term: 1 }"
        );
        assert_eq!(format!("{} {}", args.term, args.last_log_index), "3 2");
    }
}

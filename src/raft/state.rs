//! The State box of Figure 2.
//!
//! A [`Server`] holds the whole box. Every change of the [`Persistent`] part is saved, and
//! [`Server::restored`] starts a server from a saved `Persistent`. All other state is volatile. The
//! variables of candidates and leaders stand inside the [`Role`], so they exist only while the server has
//! that role. Section 7 adds a [`Snapshot`] to the persistent state: it stands for the entries that the log
//! no longer holds.

use super::log::Log;
use super::members::Members;
use super::position::{Index, Term};
use super::progress::Leader;
use super::sessions::Sessions;
use super::snapshot::{Incoming, Snapshot};
use serde::{Deserialize, Serialize};
use stateright::actor::Id;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Persistent state on all servers. The node stores this value: no other state survives a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Persistent<S> {
    /// "latest term server has seen (initialized to 0 on first boot, increases monotonically)"
    pub current_term: Term,
    /// "candidateId that received vote in current term (or null if none)"
    pub voted_for: Option<Id>,
    /// The state that the first entries led to (section 7). A server that has never taken or installed a
    /// snapshot has the state before the first entry.
    pub snapshot: Arc<Snapshot<S>>,
    /// "log entries; each entry contains command for state machine, and term when entry was
    /// received by leader (first index is 1)". The log may lack entries that the snapshot covers.
    pub log: Log,
}

/// One server: the whole State box, and the state machine that the log is applied to.
///
/// Scalars stand before maps, so that a comparison of two servers that differ ends early.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Server<S> {
    /// "index of highest log entry known to be committed (initialized to 0, increases
    /// monotonically)"
    pub commit_index: Index,
    /// "index of highest log entry applied to state machine (initialized to 0, increases
    /// monotonically)"
    pub last_applied: Index,
    /// The number of bytes of the entries that the server has applied since its snapshot.
    pub applied_bytes: u64,
    /// The members of the cluster, the server itself included.
    pub members: Members,
    /// The role of the server, with the variables that only this role has.
    pub role: Role<S>,
    /// The part of the state that survives a crash.
    pub persistent: Persistent<S>,
    /// The snapshot of the current leader, as far as it has arrived; `None` if no piece has.
    pub incoming: Option<Arc<Incoming<S>>>,
    /// The client sessions, which are part of the replicated state machine (thesis section 6.3).
    pub sessions: Sessions,
    /// The state machine that committed commands are applied to.
    pub machine: S,
}

/// The server states of Figure 4, and two more: pre-candidate and halted. A variable that only a leader has
/// does not exist in the other roles.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role<S> {
    /// "Respond to RPCs from candidates and leaders."
    Follower {
        /// The leader of the current term, once the server has heard of it: "so follower can redirect
        /// clients".
        leader: Option<Id>,
        /// Whether the follower has heard from its leader within the minimum election timeout (STICK-1).
        is_sticky: bool,
    },
    /// The server asks the others whether they would vote for it in the next term (PV-1). It keeps its term.
    PreCandidate {
        /// The servers that would vote for it, itself included.
        pre_votes_granted: BTreeSet<Id>,
    },
    /// The server has started an election whose outcome it does not know yet.
    Candidate {
        /// raft.tla's `votesGranted`. The votes are a set, so that a duplicated reply counts once.
        votes_granted: BTreeSet<Id>,
    },
    /// The server leads its term. The value holds the "volatile state on leaders (Reinitialized after
    /// election)".
    Leader(Leader<S>),
    /// A leader contradicted an entry that this server had committed. The server refused and does nothing
    /// any more (GUARD-1). No model reaches this role.
    Halted(Disagreement),
}

/// Two servers disagree about an entry that one of them has committed. To apply both would break State
/// Machine Safety (Figure 3): "if a server has applied a log entry at a given index to its state machine,
/// no other server will ever apply a different log entry for the same index". Raft excludes a disagreement
/// unless a message is forged or a server has lost what it had saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Disagreement {
    /// The leader whose message has another entry at `index`.
    pub leader: Id,
    /// The term of the leader's message.
    pub term: Term,
    /// The index of the two entries.
    pub index: Index,
    /// The term of the entry that this server has committed.
    pub committed: Term,
    /// The term of the entry that the leader has.
    pub proposed: Term,
}

impl<S: Clone> Server<S> {
    /// A server that has just started from its saved state; all volatile state is initial.
    ///
    /// [SNAP-2] A server starts with the state of its snapshot. Everything that a snapshot covers is
    /// committed and applied.
    pub fn restored(members: Members, persistent: Persistent<S>) -> Self {
        let snapshot = persistent.snapshot.clone();
        Self {
            members,
            commit_index: snapshot.last_index,
            last_applied: snapshot.last_index,
            applied_bytes: 0,
            role: Role::follower(None),
            incoming: None,
            persistent,
            sessions: snapshot.sessions.clone(),
            machine: snapshot.machine.clone(),
        }
    }
}

impl<S> Server<S> {
    /// Whether the server leads its current term.
    pub fn is_leader(&self) -> bool {
        self.leader().is_some()
    }

    /// What the server knows of its followers, if it leads its current term.
    pub fn leader(&self) -> Option<&Leader<S>> {
        if let Role::Leader(leader) = &self.role { Some(leader) } else { None }
    }

    /// Whether the server follows this leader.
    pub fn follows(&self, other: Id) -> bool {
        matches!(self.role, Role::Follower { leader: Some(leader), .. } if leader == other)
    }

    /// Whether the server has halted, because it refused to contradict an entry it had committed (GUARD-1).
    pub fn is_halted(&self) -> bool {
        matches!(self.role, Role::Halted(_))
    }
}

/// Shows the server in one line, so that a whole cluster fits a screen of the Explorer:
/// `leader t2 voted=0 log=[1.noop 2.noop] commit=1 next={1:3 2:2} match={1:2 2:0} sessions={} {}`.
impl<S: fmt::Debug> fmt::Debug for Server<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Persistent { current_term, voted_for, snapshot, log } = &self.persistent;
        let name = match &self.role {
            Role::Follower { .. } => "follower",
            Role::PreCandidate { .. } => "pre-candidate",
            Role::Candidate { .. } => "candidate",
            Role::Leader(_) => "leader",
            Role::Halted(_) => "halted",
        };
        write!(f, "{name} t{current_term}")?;
        if let Some(id) = voted_for {
            write!(f, " voted={}", usize::from(*id))?;
        }
        if snapshot.last_index > Index(0) {
            write!(f, " {snapshot:?}")?;
        }
        write!(f, " log={log:?} commit={}", self.commit_index)?;
        if self.last_applied != self.commit_index {
            write!(f, " applied={}", self.last_applied)?;
        }
        write!(f, "{:?} {:?}", self.role, self.sessions)?;
        if let Some(incoming) = &self.incoming {
            write!(f, " {incoming:?}")?;
        }
        write!(f, " {:?}", self.machine)
    }
}

impl<S> Role<S> {
    /// A follower of `leader`, or of nobody yet. It has not heard from a leader lately.
    pub fn follower(leader: Option<Id>) -> Self {
        Self::Follower { leader, is_sticky: false }
    }
}

impl<S> fmt::Debug for Role<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Follower { leader: None, .. } => Ok(()),
            Role::Follower { leader: Some(id), is_sticky } => {
                let sticky = if *is_sticky { " sticky" } else { "" };
                write!(f, " leader={}{sticky}", usize::from(*id))
            }
            Role::PreCandidate { pre_votes_granted: votes }
            | Role::Candidate { votes_granted: votes } => {
                let ids: Vec<_> = votes.iter().map(|id| usize::from(*id)).collect();
                write!(f, " votes={ids:?}")
            }
            Role::Leader(leader) => leader.fmt(f),
            Role::Halted(Disagreement { leader, index, .. }) => {
                write!(f, " leader={} disagrees at {index}", usize::from(*leader))
            }
        }
    }
}

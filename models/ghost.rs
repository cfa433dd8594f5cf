//! Ghost variables: what has ever happened. "This would not be present in an implementation"
//! (raft.tla).
//!
//! Each one multiplies states, so a model keeps only those its properties need.

use super::member::{Member, MemberState};
use crate::checker::Change;
use crate::raft::{Entry, Index, Invocation, Role, Term};
use stateright::actor::Id;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The ghost of a cluster.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Ghost {
    /// Every server that ever led a term. raft.tla's `elections`.
    pub leaders: BTreeMap<Term, BTreeSet<Id>>,
    /// Every vote ever cast: by term and voter, for whom.
    pub votes: BTreeMap<(Term, Id), BTreeSet<Id>>,
    /// Every entry ever committed: the first one at each index, and the term in which it was.
    pub committed: BTreeMap<Index, (Entry, Term)>,
    /// What the clients saw, in order.
    pub history: Vec<ClientEvent>,
}

/// One event of a client.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientEvent {
    /// The client.
    pub client: Id,
    /// The number of its command.
    pub command: usize,
    /// `None` when it is invoked; how it ended when it returns.
    pub outcome: Option<Invocation>,
}

/// Which ghosts a model keeps.
#[expect(clippy::struct_excessive_bools, reason = "four independent switches, named")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// [`Ghost::leaders`].
    pub leaders: bool,
    /// [`Ghost::votes`].
    pub votes: bool,
    /// [`Ghost::committed`].
    pub committed: bool,
    /// [`Ghost::history`].
    pub history: bool,
}

impl Ghost {
    /// Takes note of a step.
    pub fn observe(&mut self, watch: Watch, step: &Change<'_, Member>) {
        match (step.before.state, step.after.state) {
            (MemberState::Server(_), MemberState::Server(_)) => {
                if watch.leaders {
                    self.observe_leader(step);
                }
                if watch.votes {
                    self.observe_votes(step);
                }
                if watch.committed {
                    self.observe_commit(step);
                }
            }
            _ => {
                if watch.history {
                    self.observe_client(step);
                }
            }
        }
    }

    fn observe_leader(&mut self, step: &Change<'_, Member>) {
        let Some(server) = step.after.state.server() else { return };
        if server.is_leader() {
            let leaders = self.leaders.entry(server.persistent.current_term).or_default();
            leaders.insert(step.who);
        }
    }

    /// A vote is cast when it is recorded. One that is sent and not recorded is caught by "Sends only
    /// what is durable".
    fn observe_votes(&mut self, step: &Change<'_, Member>) {
        let Some(server) = step.after.state.server() else { return };
        if let Some(candidate) = server.persistent.voted_for {
            let term = server.persistent.current_term;
            self.votes.entry((term, step.who)).or_default().insert(candidate);
        }
    }

    /// An entry is committed when the first server says so.
    fn observe_commit(&mut self, step: &Change<'_, Member>) {
        let (Some(before), Some(after)) = (step.before.state.server(), step.after.state.server())
        else {
            return;
        };
        let mut index = before.commit_index.next();
        while index <= after.commit_index {
            if let Some(entry) = after.persistent.log.get(index) {
                let term = after.persistent.current_term;
                self.committed.entry(index).or_insert_with(|| (entry.clone(), term));
            }
            index = index.next();
        }
    }

    /// Invocations and returns are seen in the client's state, never in messages: a request sent
    /// again is not a second invocation.
    fn observe_client(&mut self, step: &Change<'_, Member>) {
        let (Some(before), Some(after)) = (step.before.state.client(), step.after.state.client())
        else {
            return;
        };
        let client = step.who;
        for (command, outcome) in after.outcomes.iter().enumerate().skip(before.outcomes.len()) {
            self.history.push(ClientEvent { client, command, outcome: Some(outcome.clone()) });
            if after.session.command().is_some() {
                self.history.push(ClientEvent { client, command: command + 1, outcome: None });
            }
        }
    }
}

/// The role's name, for labels and texts.
pub fn role_name(role: &Role) -> &'static str {
    match role {
        Role::Follower { .. } => "follower",
        Role::Candidate { .. } => "candidate",
        Role::Leader { .. } => "leader",
        Role::Halted(_) => "halted",
    }
}

/// Only what is kept.
impl fmt::Debug for Ghost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers =
            |ids: &BTreeSet<Id>| ids.iter().map(|id| usize::from(*id)).collect::<Vec<_>>();
        for (term, leaders) in &self.leaders {
            write!(f, "leader(t{term})={:?} ", numbers(leaders))?;
        }
        for ((term, voter), candidates) in &self.votes {
            write!(f, "vote(t{term},{})={:?} ", usize::from(*voter), numbers(candidates))?;
        }
        for (index, (entry, term)) in &self.committed {
            write!(f, "committed(t{term})[{index}]={entry:?} ")?;
        }
        for event in &self.history {
            write!(f, "{event:?} ")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ClientEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (client, command) = (usize::from(self.client), self.command);
        match &self.outcome {
            None => write!(f, "invoke({client}#{command})"),
            Some(outcome) => write!(f, "return({client}#{command} {outcome:?})"),
        }
    }
}

//! Ghost variables: a record of what has ever happened. "This would not be present in an implementation"
//! (raft.tla).
//!
//! After each step the engine calls [`Ghost::observe`], and historic properties read the result. Each
//! variable multiplies the states, so a model keeps only those that its properties need: [`Watch`] names
//! them.

use super::process::{Process, ProcessState};
use crate::raft::{Entry, Index, Invocation, Role, Term};
use crate::state_machine::StateMachine;
use actorcheck::Change;
use stateright::actor::Id;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The ghost of a cluster.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Ghost {
    /// Every server that ever led, by term: `elections` in raft.tla.
    pub leaders: BTreeMap<Term, BTreeSet<Id>>,
    /// Every vote ever cast: for each term and voter, the candidates that got it.
    pub votes: BTreeMap<(Term, Id), BTreeSet<Id>>,
    /// Every entry ever committed. At each index stands the entry that was committed there first, with the
    /// term in which that happened.
    pub committed: BTreeMap<Index, (Entry, Term)>,
    /// The invocations and returns that the clients saw, in order.
    pub history: Vec<ClientEvent>,
}

/// One event of a client.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientEvent {
    /// The client that invokes or returns.
    pub client: Id,
    /// The position of the command among the client's commands, from 0.
    pub command: usize,
    /// `None` when the client invokes the command; the command's outcome when it returns.
    pub outcome: Option<Invocation>,
}

/// Which ghosts a model keeps.
#[expect(clippy::struct_excessive_bools, reason = "four independent switches, named")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// Whether to keep [`Ghost::leaders`].
    pub leaders: bool,
    /// Whether to keep [`Ghost::votes`].
    pub votes: bool,
    /// Whether to keep [`Ghost::committed`].
    pub committed: bool,
    /// Whether to keep [`Ghost::history`].
    pub history: bool,
}

impl Ghost {
    /// Records a step in the ghosts that the model keeps.
    pub fn observe<S: StateMachine>(&mut self, watch: Watch, step: &Change<'_, Process<S>>) {
        match (step.before.state, step.after.state) {
            (ProcessState::Server(_), ProcessState::Server(_)) => {
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

    fn observe_leader<S: StateMachine>(&mut self, step: &Change<'_, Process<S>>) {
        let Some(server) = step.after.state.server() else { return };
        if server.is_leader() {
            let leaders = self.leaders.entry(server.persistent.current_term).or_default();
            leaders.insert(step.who);
        }
    }

    /// A vote is cast when the voter records it. The property "Sends only what is durable" catches a vote
    /// that is sent and not recorded.
    fn observe_votes<S: StateMachine>(&mut self, step: &Change<'_, Process<S>>) {
        let Some(server) = step.after.state.server() else { return };
        if let Some(candidate) = server.persistent.voted_for {
            let term = server.persistent.current_term;
            self.votes.entry((term, step.who)).or_default().insert(candidate);
        }
    }

    /// An entry is committed when the first server takes it for committed.
    fn observe_commit<S: StateMachine>(&mut self, step: &Change<'_, Process<S>>) {
        let (Some(before), Some(after)) = (step.before.state.server(), step.after.state.server())
        else {
            return;
        };
        let mut index = before.commit_index.next();
        while index <= after.commit_index {
            // A leader may drop an entry in the step that commits it.
            let own = before.persistent.log.get(index).filter(|_| before.is_leader());
            if let Some(entry) = after.persistent.log.get(index).or(own) {
                let term = after.persistent.current_term;
                self.committed.entry(index).or_insert_with(|| (entry.clone(), term));
            }
            index = index.next();
        }
    }

    /// The client's state shows invocations and returns. Messages do not: a request sent again is not a
    /// second invocation.
    fn observe_client<S: StateMachine>(&mut self, step: &Change<'_, Process<S>>) {
        let (Some(before), Some(after)) = (step.before.state.client(), step.after.state.client())
        else {
            return;
        };
        let client = step.who;
        for (command, outcome) in after.outcomes.iter().enumerate().skip(before.outcomes.len()) {
            self.history.push(ClientEvent { client, command, outcome: Some(outcome.clone()) });
            if after.session.operation().is_some() {
                self.history.push(ClientEvent { client, command: command + 1, outcome: None });
            }
        }
    }
}

/// The role's name, for labels and texts.
pub fn role_name<S>(role: &Role<S>) -> &'static str {
    match role {
        Role::Follower { .. } => "follower",
        Role::PreCandidate { .. } => "pre-candidate",
        Role::Candidate { .. } => "candidate",
        Role::Leader(_) => "leader",
        Role::Halted(_) => "halted",
    }
}

/// Shows only the ghosts that hold something.
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

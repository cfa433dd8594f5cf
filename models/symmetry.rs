//! Servers are interchangeable, and so are clients with the same commands: what a permutation of them
//! does to states and messages.
//!
//! Nothing rests on it: the engine runs every handler on renamed values too and compares. Every type is
//! taken apart by name, so that a new field must be thought of.

use super::ghost::{ClientEvent, Ghost};
use super::member::{ClientState, MemberState, MemberTimer};
use crate::kv::Kv;
use crate::raft::{
    AppendEntries, ClientResponse, Disagreement, Entry, Log, Message, Payload, Persistent, Role,
    Server,
};
use stateright::actor::Id;
use stateright::{Rewrite, RewritePlan};
use std::collections::BTreeMap;

impl Rewrite<Id> for MemberState {
    fn rewrite<P>(&self, plan: &RewritePlan<Id, P>) -> Self {
        match self {
            MemberState::Server(server) => MemberState::Server(server.rewrite(plan)),
            MemberState::Client(client) => MemberState::Client(client.rewrite(plan)),
        }
    }
}

impl Rewrite<Id> for Server<Kv> {
    fn rewrite<P>(&self, plan: &RewritePlan<Id, P>) -> Self {
        let Server { commit_index, last_applied, role, persistent, sessions, machine } = self;
        Server {
            commit_index: *commit_index,
            last_applied: *last_applied,
            role: role.rewrite(plan),
            persistent: persistent.rewrite(plan),
            // These name clients by the indexes of their sessions.
            sessions: sessions.clone(),
            machine: machine.clone(),
        }
    }
}

impl Rewrite<Id> for Role {
    fn rewrite<P>(&self, plan: &RewritePlan<Id, P>) -> Self {
        match self {
            Role::Follower { leader } => Role::Follower { leader: leader.rewrite(plan) },
            Role::Candidate { votes_granted } => {
                Role::Candidate { votes_granted: votes_granted.rewrite(plan) }
            }
            Role::Leader { next_index, match_index, attempts } => {
                fn renamed<P, T: Copy>(
                    plan: &RewritePlan<Id, P>,
                    map: &BTreeMap<Id, T>,
                ) -> BTreeMap<Id, T> {
                    map.iter().map(|(id, value)| (plan.rewrite(id), *value)).collect()
                }
                Role::Leader {
                    next_index: renamed(plan, next_index),
                    match_index: renamed(plan, match_index),
                    attempts: renamed(plan, attempts),
                }
            }
            Role::Halted(disagreement) => Role::Halted(Disagreement {
                leader: plan.rewrite(&disagreement.leader),
                ..*disagreement
            }),
        }
    }
}

impl Rewrite<Id> for Persistent {
    fn rewrite<P>(&self, plan: &RewritePlan<Id, P>) -> Self {
        let Persistent { current_term, voted_for, log } = self;
        Persistent {
            current_term: *current_term,
            voted_for: voted_for.rewrite(plan),
            log: log.rewrite(plan),
        }
    }
}

impl Rewrite<Id> for Log {
    fn rewrite<P>(&self, plan: &RewritePlan<Id, P>) -> Self {
        let mut renamed = Log::default();
        for (_, entry) in self.iter() {
            renamed.append(entry.rewrite(plan));
        }
        renamed
    }
}

impl Rewrite<Id> for Entry {
    fn rewrite<P>(&self, plan: &RewritePlan<Id, P>) -> Self {
        let Entry { term, payload } = self.clone();
        let payload = match payload {
            Payload::Noop => Payload::Noop,
            Payload::Register { client, sequence, max_sessions } => {
                Payload::Register { client: plan.rewrite(&client), sequence, max_sessions }
            }
            Payload::Command { client, session, sequence, command } => {
                Payload::Command { client: plan.rewrite(&client), session, sequence, command }
            }
        };
        Entry { term, payload }
    }
}

impl Rewrite<Id> for Message {
    fn rewrite<P>(&self, plan: &RewritePlan<Id, P>) -> Self {
        match self {
            Message::AppendEntries(args) => {
                let AppendEntries { term, prev_log_index, prev_log_term, entries, leader_commit } =
                    args;
                Message::AppendEntries(AppendEntries {
                    term: *term,
                    prev_log_index: *prev_log_index,
                    prev_log_term: *prev_log_term,
                    entries: entries.rewrite(plan),
                    leader_commit: *leader_commit,
                })
            }
            Message::ClientResponse(ClientResponse::NotLeader { sequence, leader }) => {
                let (sequence, leader) = (*sequence, leader.rewrite(plan));
                Message::ClientResponse(ClientResponse::NotLeader { sequence, leader })
            }
            // These name nobody.
            Message::RequestVote(_)
            | Message::RequestVoteResponse(_)
            | Message::AppendEntriesResponse(_)
            | Message::ClientRequest(_)
            | Message::ClientResponse(_) => self.clone(),
        }
    }
}

/// Only of a client that asks all servers at once: it does not remember whom it asked.
impl Rewrite<Id> for ClientState {
    fn rewrite<P>(&self, _: &RewritePlan<Id, P>) -> Self {
        let ClientState { session, outcomes } = self;
        ClientState { session: session.clone(), outcomes: outcomes.clone() }
    }
}

impl Rewrite<Id> for MemberTimer {
    fn rewrite<P>(&self, _: &RewritePlan<Id, P>) -> Self {
        *self
    }
}

impl Rewrite<Id> for Ghost {
    fn rewrite<P>(&self, plan: &RewritePlan<Id, P>) -> Self {
        let Ghost { leaders, votes, committed, history } = self;
        let votes = votes.iter().map(|((term, voter), candidates)| {
            ((*term, plan.rewrite(voter)), candidates.rewrite(plan))
        });
        let committed =
            committed.iter().map(|(index, (entry, term))| (*index, (entry.rewrite(plan), *term)));
        Ghost {
            leaders: leaders.iter().map(|(term, ids)| (*term, ids.rewrite(plan))).collect(),
            votes: votes.collect(),
            committed: committed.collect(),
            history: history.iter().map(|event| event.rewrite(plan)).collect(),
        }
    }
}

impl Rewrite<Id> for ClientEvent {
    fn rewrite<P>(&self, plan: &RewritePlan<Id, P>) -> Self {
        let ClientEvent { client, command, outcome } = self;
        ClientEvent { client: plan.rewrite(client), command: *command, outcome: outcome.clone() }
    }
}

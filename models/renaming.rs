//! Symmetry: servers are interchangeable, and so are clients with equal commands. This module says how a
//! permutation of processes rewrites states and messages.
//!
//! No verdict rests on the rewriting being right: the engine also runs every handler on renamed values and
//! compares. Every type is taken apart by field names, so that nobody can forget a new field.

use super::ghost::{ClientEvent, Ghost};
use super::process::{ClientState, ProcessState, ProcessTimer};
use crate::raft::{
    AppendEntries, ClientRequest, ClientResponse, Disagreement, Entry, Leader, Log, Message,
    Payload, Persistent, Read, Role, Server, Transfer,
};
use crate::state_machine::StateMachine;
use stateright::actor::Id;
use stateright::{Rewrite, RewritePlan};

impl<S: StateMachine> Rewrite<Id> for ProcessState<S> {
    fn rewrite<P>(&self, plan: &RewritePlan<Id, P>) -> Self {
        match self {
            ProcessState::Server(server) => ProcessState::Server(server.rewrite(plan)),
            ProcessState::Client(client) => ProcessState::Client(client.rewrite(plan)),
        }
    }
}

impl<S: StateMachine> Rewrite<Id> for Server<S> {
    fn rewrite<P>(&self, plan: &RewritePlan<Id, P>) -> Self {
        let Server {
            commit_index,
            last_applied,
            applied_bytes,
            members,
            role,
            persistent,
            incoming,
            sessions,
            machine,
        } = self;
        Server {
            commit_index: *commit_index,
            last_applied: *last_applied,
            applied_bytes: *applied_bytes,
            members: members.iter().map(|member| plan.rewrite(&member)).collect(),
            role: role.rewrite(plan),
            persistent: persistent.rewrite(plan),
            // A snapshot names no member.
            incoming: incoming.clone(),
            // Sessions name their clients by the index of the session.
            sessions: sessions.clone(),
            machine: machine.clone(),
        }
    }
}

impl<S: StateMachine> Rewrite<Id> for Role<S> {
    fn rewrite<P>(&self, plan: &RewritePlan<Id, P>) -> Self {
        match self {
            Role::Follower { leader, is_sticky } => {
                Role::Follower { leader: leader.rewrite(plan), is_sticky: *is_sticky }
            }
            Role::PreCandidate { pre_votes_granted } => {
                Role::PreCandidate { pre_votes_granted: pre_votes_granted.rewrite(plan) }
            }
            Role::Candidate { votes_granted } => {
                Role::Candidate { votes_granted: votes_granted.rewrite(plan) }
            }
            Role::Leader(Leader { followers, round, reads, transfer }) => {
                let renamed =
                    followers.iter().map(|(id, progress)| (plan.rewrite(id), progress.clone()));
                let read =
                    |read: &Read| Read { client: plan.rewrite(&read.client), ..read.clone() };
                let reads = reads.iter().map(read).collect();
                let transfer = transfer.map(|it| Transfer {
                    to: plan.rewrite(&it.to),
                    client: plan.rewrite(&it.client),
                    ..it
                });
                let followers = renamed.collect();
                Role::Leader(Leader { followers, round: *round, reads, transfer })
            }
            Role::Halted(disagreement) => Role::Halted(Disagreement {
                leader: plan.rewrite(&disagreement.leader),
                ..*disagreement
            }),
        }
    }
}

impl<S: StateMachine> Rewrite<Id> for Persistent<S> {
    fn rewrite<P>(&self, plan: &RewritePlan<Id, P>) -> Self {
        let Persistent { current_term, voted_for, snapshot, log } = self;
        Persistent {
            current_term: *current_term,
            voted_for: voted_for.rewrite(plan),
            snapshot: snapshot.clone(),
            log: log.rewrite(plan),
        }
    }
}

impl Rewrite<Id> for Log {
    fn rewrite<P>(&self, plan: &RewritePlan<Id, P>) -> Self {
        self.map(|entry| entry.rewrite(plan))
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
                let AppendEntries {
                    term,
                    prev_log_index,
                    prev_log_term,
                    entries,
                    leader_commit,
                    round,
                } = args;
                Message::AppendEntries(AppendEntries {
                    term: *term,
                    prev_log_index: *prev_log_index,
                    prev_log_term: *prev_log_term,
                    entries: entries.rewrite(plan),
                    leader_commit: *leader_commit,
                    round: *round,
                })
            }
            Message::ClientRequest(ClientRequest::Transfer { sequence, to }) => {
                let (sequence, to) = (*sequence, plan.rewrite(to));
                Message::ClientRequest(ClientRequest::Transfer { sequence, to })
            }
            Message::ClientResponse(ClientResponse::NotLeader { sequence, leader }) => {
                let (sequence, leader) = (*sequence, leader.rewrite(plan));
                Message::ClientResponse(ClientResponse::NotLeader { sequence, leader })
            }
            // These messages name no process.
            Message::RequestVote(_)
            | Message::RequestVoteResponse(_)
            | Message::PreVote(_)
            | Message::PreVoteResponse(_)
            | Message::TimeoutNow(_)
            | Message::AppendEntriesResponse(_)
            | Message::InstallSnapshot(_)
            | Message::InstallSnapshotResponse(_)
            | Message::ClientRequest(_)
            | Message::ClientResponse(_) => self.clone(),
        }
    }
}

/// Only for a client that asks all servers at once: such a client does not remember which server it asked. A
/// server that the client wants to lead keeps its name; see `Spec::symmetry`.
impl Rewrite<Id> for ClientState {
    fn rewrite<P>(&self, _: &RewritePlan<Id, P>) -> Self {
        let ClientState { session, outcomes } = self;
        ClientState { session: session.clone(), outcomes: outcomes.clone() }
    }
}

impl Rewrite<Id> for ProcessTimer {
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

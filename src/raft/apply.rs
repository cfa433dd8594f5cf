//! How committed entries are applied: to the sessions, and through them to the state machine.
//!
//! A client request may stand in the log more than once. Every server recognises the copies here, and all
//! servers decide alike, because they apply one sequence of entries. The rules SES-1 to SES-4 stand in this
//! file, and SES-5 in `sessions.rs`.

use super::client_request::ClientResponse;
use super::log::{Entry, Payload};
use super::position::Index;
use super::sessions::Sessions;
use super::state::Server;
use super::{Message, Raft};
use crate::state_machine::StateMachine;
use bytes::Bytes;
use stateright::actor::{Id, Out};

impl<S: StateMachine> Raft<S> {
    /// Applies the committed entries, and takes a snapshot if one is due. Every handler that raises
    /// `commit_index` calls this function afterwards.
    pub(super) fn apply_committed(&self, server: &mut Server<S>, o: &mut Out<Self>) {
        // [ALL-1] "If commitIndex > lastApplied: increment lastApplied, apply log[lastApplied] to
        // state machine (§5.3)"
        while server.commit_index > server.last_applied {
            let index = server.last_applied.next();
            let entry = server.persistent.log.get(index).cloned();
            let entry = entry.expect("a server takes only entries of its log for committed");
            // Only the leader that appended the entry answers the client (LDR-2). A leader of a later term
            // may also apply the entry, perhaps with the whole log after a restart. That leader sends no
            // answer. A client that still waits sends its command again, and gets the answer by SES-4.
            let answers = server.is_leader() && entry.term == server.persistent.current_term;
            server.last_applied = index;
            server.applied_bytes += entry.size() as u64;
            if let Some((client, response)) = server.apply(index, &entry).filter(|_| answers) {
                o.send(client, Message::ClientResponse(response));
            }
        }
        self.take_snapshot_if_due(server);
    }
}

impl<S: StateMachine> Server<S> {
    /// Applies the committed entry at `index` to the sessions and the state machine, as every server does.
    /// Returns the client of the entry and the response to it, if the entry has any.
    pub fn apply(&mut self, index: Index, entry: &Entry) -> Option<(Id, ClientResponse)> {
        apply_entry(&mut self.sessions, &mut self.machine, index, entry)
    }
}

/// Applies the committed entry at `index` to sessions and a state machine: those of a server, or those of a
/// snapshot. Returns the client of the entry and the response to it, if the entry has any.
pub(super) fn apply_entry<S: StateMachine>(
    sessions: &mut Sessions,
    machine: &mut S,
    index: Index,
    entry: &Entry,
) -> Option<(Id, ClientResponse)> {
    match &entry.payload {
        Payload::Noop => None,
        // [SES-1] A session is opened by a Register entry and its id is that entry's index.
        Payload::Register { client, sequence, max_sessions } => {
            sessions.open(index, *max_sessions);
            Some((*client, ClientResponse::Registered { sequence: *sequence, session: index }))
        }
        Payload::Command { client, session, sequence, command } => {
            let execute = || machine.apply(command);
            let response = apply_command(sessions, index, *session, *sequence, execute)?;
            Some((*client, response))
        }
    }
}

/// Executes a command unless that has been done already, and returns the response to send, if any.
fn apply_command(
    sessions: &mut Sessions,
    index: Index,
    session: Index,
    sequence: u64,
    execute: impl FnOnce() -> Bytes,
) -> Option<ClientResponse> {
    // [SES-2] A command of an unknown session is never applied: an implicit session would let a
    // retry be applied again after eviction.
    let Some(mut record) = sessions.get(session).cloned() else {
        return Some(ClientResponse::SessionExpired { sequence });
    };
    record.last_used = index;
    let response = match &record.last {
        // [SES-3] An old sequence number is ignored: its client has gone on to a later command.
        Some((last, _)) if sequence < *last => None,
        // [SES-4] The last command is answered again with its first response (§8: "If it receives a
        // command whose serial number has already been executed, it responds immediately
        // without re-executing the request").
        Some((last, response)) if sequence == *last => Some(response.clone()),
        _ => {
            let response = execute();
            record.last = Some((sequence, response.clone()));
            Some(response)
        }
    };
    sessions.put(session, record);
    response.map(|response| ClientResponse::Applied { sequence, response })
}

//! This module computes by a definition of its own which sessions, values and answers a log leads to.
//!
//! A server applies entry by entry and keeps only the resulting state. [`Replay`] goes through the log from
//! its first entry, so it shows whatever a server has forgotten or remembers wrongly. The properties of
//! clients compare a server and its answers with it.

use crate::raft::{ClientResponse, Entry, Index, Log, Payload, Server, SessionRecord};
use crate::state_machine::StateMachine;
use bytes::Bytes;
use stateright::actor::Id;
use std::collections::BTreeMap;

/// The state machine and the sessions that the first entries of a log lead to.
#[derive(Default)]
pub(super) struct Replay<S> {
    machine: S,
    /// The index of the last entry of each open session: either its Register entry or one of its commands.
    last_entry: BTreeMap<Index, Index>,
    /// The highest sequence number applied in each session that was ever open, with the answer to its
    /// command.
    highest: BTreeMap<Index, (u64, Bytes)>,
}

impl<S: StateMachine> Replay<S> {
    /// Replays all entries up to and including `last`.
    pub(super) fn up_to(log: &Log, last: Index) -> Self {
        let mut replay = Self::default();
        for (index, entry) in log.iter().take_while(|(index, _)| *index <= last) {
            replay.apply(index, entry);
        }
        replay
    }

    /// Applies the next entry. Returns the client that the entry's leader has to answer, and the answer.
    pub(super) fn apply(&mut self, index: Index, entry: &Entry) -> Option<(Id, ClientResponse)> {
        match &entry.payload {
            Payload::Noop => None,
            Payload::Register { client, sequence, max_sessions } => {
                // A session stays open until a Register entry finds too many sessions and no other session
                // was used longer ago.
                while self.last_entry.len() >= *max_sessions as usize {
                    let used = self.last_entry.iter().min_by_key(|(_, used)| **used);
                    let (oldest, _) = used.expect("there are too many");
                    self.last_entry.remove(&oldest.clone());
                }
                self.last_entry.insert(index, index);
                let (sequence, session) = (*sequence, index);
                Some((*client, ClientResponse::Registered { sequence, session }))
            }
            Payload::Command { client, session, sequence, command } => {
                let sequence = *sequence;
                if !self.last_entry.contains_key(session) {
                    return Some((*client, ClientResponse::SessionExpired { sequence }));
                }
                self.last_entry.insert(*session, index);
                let response = match self.highest.get(session) {
                    Some((highest, _)) if sequence < *highest => return None,
                    Some((highest, response)) if sequence == *highest => response.clone(),
                    _ => {
                        let response = self.machine.apply(command);
                        self.highest.insert(*session, (sequence, response.clone()));
                        response
                    }
                };
                Some((*client, ClientResponse::Applied { sequence, response }))
            }
        }
    }

    /// Whether a server holds what this replay has computed. That is the state machine, the open sessions,
    /// the order in which they were used, and the last answer in each.
    pub(super) fn is_of(&self, server: &Server<S>) -> bool {
        let is_open = |(id, last_used): (&Index, &Index)| {
            let (last_used, last) = (*last_used, self.highest.get(id).cloned());
            server.sessions.get(*id) == Some(&SessionRecord { last_used, last })
        };
        self.machine == server.machine
            && self.last_entry.len() == server.sessions.len()
            && self.last_entry.iter().all(is_open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::{Command, Kv};
    use crate::raft::{ClientRequest, Message, Parameters, Raft, Timer};
    use stateright::actor::{Actor, Out};
    use std::borrow::Cow;

    const CLIENT: usize = 9;

    /// The states of a server alone, with room for two sessions, one after each of these requests.
    fn after_each(requests: impl IntoIterator<Item = ClientRequest>) -> Vec<Server<Kv>> {
        let id = Id::from(0);
        let parameters = Parameters { max_sessions: 2, ..Parameters::default() };
        let raft = Raft::new([id], parameters).expect("valid parameters");
        let mut server = raft.on_start(id, &None, &mut Out::new());
        let mut elected = Cow::Borrowed(&server);
        raft.on_timeout(id, &mut elected, &Timer::Election, &mut Out::new());
        server = elected.into_owned();
        let handled = requests.into_iter().map(|request| {
            let mut next = Cow::Borrowed(&server);
            let msg = Message::ClientRequest(request);
            raft.on_msg(id, &mut next, Id::from(CLIENT), msg, &mut Out::new());
            server = next.into_owned();
            server.clone()
        });
        handled.collect()
    }

    fn register(sequence: u64) -> ClientRequest {
        ClientRequest::Register { sequence }
    }

    fn put(session: u64, sequence: u64) -> ClientRequest {
        let command = Command::Put("k".into(), "v".into()).encode();
        ClientRequest::Command { session: Index(session), sequence, command }
    }

    /// The no-op is at index 1. Sessions are opened at 2 and 3, and only session 2 is used. So the third
    /// session, at index 7, evicts session 3.
    fn story() -> Vec<Server<Kv>> {
        after_each([
            register(1),
            register(1),
            put(2, 2),
            put(2, 2),
            put(2, 1),
            register(2),
            put(3, 2),
        ])
    }

    fn is_right(server: &Server<Kv>) -> bool {
        Replay::up_to(&server.persistent.log, server.last_applied).is_of(server)
    }

    #[test]
    fn a_server_holds_what_its_log_makes() {
        let servers = story();
        assert!(servers.iter().all(is_right));
        let last = servers.last().expect("the last one");
        assert!(last.sessions.get(Index(2)).is_some() && last.sessions.get(Index(3)).is_none());
    }

    /// A server with the sessions of any other moment is wrong, though its state machine may be right. Such
    /// sessions include one that is not open or is gone, one used at another time, or one with another
    /// answer.
    #[test]
    fn sessions_of_another_moment_are_seen() {
        let servers = story();
        for (n, server) in servers.iter().enumerate() {
            for other in servers.iter().filter(|other| other.sessions != server.sessions) {
                let wrong = Server { sessions: other.sessions.clone(), ..server.clone() };
                assert!(!is_right(&wrong), "after request {n}: {wrong:?}");
            }
        }
        // A copy and an old number each count as a use; a command of a session that is gone does not.
        let sessions: Vec<_> = servers.iter().map(|it| format!("{:?}", it.sessions)).collect();
        let differ = sessions.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!(differ, 5, "{sessions:?}");
    }
}

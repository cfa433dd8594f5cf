//! This module computes the sessions, values and answers that entries lead to, by a definition of its own.
//!
//! A [`Replay`] starts from one state of a server, or from nothing after a restart, and applies the entries
//! that follow. The properties of clients compare the server's next state and its answers with the replay. If
//! every step leads from a right state to a right state, the server is right for ever. So a replay need not
//! begin again at the first entry.

use crate::raft::{
    ClientResponse, Entry, Index, Payload, Server, SessionRecord, Sessions, Snapshot,
};
use crate::state_machine::StateMachine;
use bytes::Bytes;
use stateright::actor::Id;
use std::collections::BTreeMap;

/// The state machine and the sessions that entries lead to.
#[derive(Default)]
pub(super) struct Replay<S> {
    machine: S,
    /// The index of the last entry applied.
    last_applied: Index,
    /// The index of the last entry of each open session: either its Register entry or one of its commands.
    last_entry: BTreeMap<Index, Index>,
    /// The highest sequence number applied in each open session, with the answer to its command.
    highest: BTreeMap<Index, (u64, Bytes)>,
}

impl<S: StateMachine> Replay<S> {
    /// A replay that starts where the server is.
    pub(super) fn from(server: &Server<S>) -> Self {
        Self::at(server.last_applied, &server.sessions, &server.machine)
    }

    /// A replay that starts where a snapshot ends.
    pub(super) fn of_snapshot(snapshot: &Snapshot<S>) -> Self {
        let Snapshot { last_index, sessions, machine, .. } = snapshot;
        Self::at(*last_index, sessions, machine)
    }

    fn at(last_applied: Index, sessions: &Sessions, machine: &S) -> Self {
        let records = || sessions.iter();
        Self {
            machine: machine.clone(),
            last_applied,
            last_entry: records().map(|(session, it)| (session, it.last_used)).collect(),
            highest: records()
                .filter_map(|(session, it)| Some((session, it.last.clone()?)))
                .collect(),
        }
    }

    /// Applies the entries that follow, up to and including `last`. Returns each entry's answer.
    pub(super) fn go_on<'a>(
        &mut self,
        entry_at: impl Fn(Index) -> Option<&'a Entry>,
        last: Index,
    ) -> Vec<(Entry, Option<(Id, ClientResponse)>)> {
        let mut answers = Vec::new();
        while self.last_applied < last {
            self.last_applied = self.last_applied.next();
            let Some(entry) = entry_at(self.last_applied) else { break };
            answers.push((entry.clone(), self.apply(self.last_applied, entry)));
        }
        answers
    }

    /// Applies the next entry. Returns the client that the entry's leader has to answer, and the answer.
    fn apply(&mut self, index: Index, entry: &Entry) -> Option<(Id, ClientResponse)> {
        match &entry.payload {
            Payload::Noop => None,
            Payload::Register { client, sequence, max_sessions } => {
                // A session stays open until a Register entry finds too many sessions and no other session
                // was used longer ago.
                while self.last_entry.len() >= *max_sessions as usize {
                    let used = self.last_entry.iter().min_by_key(|(_, used)| **used);
                    let (oldest, _) = used.expect("there are too many");
                    let oldest = *oldest;
                    self.last_entry.remove(&oldest);
                    self.highest.remove(&oldest);
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

    /// Whether a server holds what this replay has computed.
    pub(super) fn is_of(&self, server: &Server<S>) -> bool {
        self.holds(&server.sessions, &server.machine)
    }

    /// Whether these are what this replay has computed: the state machine, the open sessions, and the last
    /// use and the last answer of each session.
    pub(super) fn holds(&self, sessions: &Sessions, machine: &S) -> bool {
        let is_open = |(id, last_used): (&Index, &Index)| {
            let (last_used, last) = (*last_used, self.highest.get(id).cloned());
            sessions.get(*id) == Some(&SessionRecord { last_used, last })
        };
        self.machine == *machine
            && self.last_entry.len() == sessions.len()
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

    /// The states of a server that is alone and has room for two sessions: one state after each of these
    /// requests.
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

    fn is_right(before: &Server<Kv>, after: &Server<Kv>) -> bool {
        let mut replay = Replay::from(before);
        replay.go_on(|index| after.persistent.log.get(index), after.last_applied);
        replay.is_of(after)
    }

    #[test]
    fn a_server_holds_what_its_log_makes() {
        let servers = story();
        assert!(servers.windows(2).all(|pair| is_right(&pair[0], &pair[1])));
        let last = servers.last().expect("the last one");
        assert!(last.sessions.get(Index(2)).is_some() && last.sessions.get(Index(3)).is_none());
    }

    /// A server with the sessions of any other moment is wrong, even if its state machine is right. These
    /// sessions differ in which of them are open, when they were used, or what was last answered.
    #[test]
    fn sessions_of_another_moment_are_seen() {
        let servers = story();
        for (n, pair) in servers.windows(2).enumerate() {
            let (before, after) = (&pair[0], &pair[1]);
            for other in servers.iter().filter(|other| other.sessions != after.sessions) {
                let wrong = Server { sessions: other.sessions.clone(), ..after.clone() };
                assert!(!is_right(before, &wrong), "after request {}: {wrong:?}", n + 1);
            }
        }
        // A copy and an old number each count as a use; a command of a session that is gone does not.
        let sessions: Vec<_> = servers.iter().map(|it| format!("{:?}", it.sessions)).collect();
        let differ = sessions.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!(differ, 5, "{sessions:?}");
    }
}

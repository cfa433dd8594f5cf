//! This module computes by a definition of its own which sessions, values and answers a log leads to.
//!
//! The servers apply entry by entry and remember only what is left of it. Here the log is gone through
//! from its first entry, so that whatever a server has forgotten, or remembers wrongly, shows.

use crate::kv::Kv;
use crate::raft::{ClientResponse, Entry, Index, Log, Payload, Server, SessionRecord};
use crate::state_machine::StateMachine;
use bytes::Bytes;
use stateright::actor::Id;
use std::collections::BTreeMap;

/// What some first entries of a log have made.
#[derive(Default)]
pub(super) struct Replay {
    machine: Kv,
    /// The index of the last entry of each open session: its Register entry, or a command of it.
    last_entry: BTreeMap<Index, Index>,
    /// The highest number of each session that was ever open, with the answer to its command.
    highest: BTreeMap<Index, (u64, Bytes)>,
}

impl Replay {
    /// After all entries up to this one.
    pub(super) fn up_to(log: &Log, last: Index) -> Self {
        let mut replay = Self::default();
        for (index, entry) in log.iter().take_while(|(index, _)| *index <= last) {
            replay.apply(index, entry);
        }
        replay
    }

    /// Applies the next entry: whom its leader has to answer, and what.
    pub(super) fn apply(&mut self, index: Index, entry: &Entry) -> Option<(Id, ClientResponse)> {
        match &entry.payload {
            Payload::Noop => None,
            Payload::Register { client, sequence, max_sessions } => {
                // A session is open until another one is opened, there are too many, and no other
                // one was used longer ago.
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

    /// Whether this is what a server holds: the state machine, the open sessions, in which order they
    /// were used, and what each was answered last.
    pub(super) fn is_of(&self, server: &Server<Kv>) -> bool {
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
    use crate::kv::Command;
    use crate::raft::{ClientRequest, Config, Message, Raft, Timer};
    use stateright::actor::{Actor, Out};
    use std::borrow::Cow;

    const CLIENT: usize = 9;

    /// A server alone with room for two sessions, after each of these requests.
    fn after_each(requests: impl IntoIterator<Item = ClientRequest>) -> Vec<Server<Kv>> {
        let id = Id::from(0);
        let config = Config { max_sessions: 2, ..Config::new([id]) };
        let raft = Raft::new(config).expect("a valid configuration");
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

    /// The no-op is at 1. Of two sessions, 2 and 3, the first is the younger one in the end.
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

    /// The sessions of any other moment are wrong, though the state machine may be right: one that is not
    /// open, or is gone, one used at another time, one that remembers another answer.
    #[test]
    fn sessions_of_another_moment_are_seen() {
        let servers = story();
        for (n, server) in servers.iter().enumerate() {
            for other in servers.iter().filter(|other| other.sessions != server.sessions) {
                let wrong = Server { sessions: other.sessions.clone(), ..server.clone() };
                assert!(!is_right(&wrong), "after request {n}: {wrong:?}");
            }
        }
        // A copy and an old number are uses; a command of a session that is gone is not.
        let sessions: Vec<_> = servers.iter().map(|it| format!("{:?}", it.sessions)).collect();
        let differ = sessions.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!(differ, 5, "{sessions:?}");
    }
}

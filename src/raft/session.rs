//! Client interaction, the client's side: what a client must keep so that a retry is not a second
//! invocation (thesis section 6.3).
//!
//! Pure, like the servers: the client actor of the models and the UDP client library are both this
//! type, each with its own way to send and to wait.

use super::client::{ClientRequest, ClientResponse};
use super::state::Index;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stateright::actor::Id;

/// A client's view of its session. One command at a time is in flight.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Session {
    /// The servers, in the order in which they are tried, and which of them is asked now.
    servers: Vec<Id>,
    target: usize,
    /// The last one asked because it was its turn, and not because of a hint. Otherwise a leader cut
    /// off with one follower would keep a client for ever: no answer from the one, its hint from the
    /// other, and the majority never asked.
    turn: usize,
    /// The session, once registered.
    id: Option<Index>,
    /// The number of the request in flight, or of the last one.
    sequence: u64,
    /// The command in flight.
    command: Option<Bytes>,
}

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Invocation {
    /// The command was applied exactly once, with this response.
    Applied(Bytes),
    /// The session expired: the command was applied once or never, and nobody can say which.
    Unknown,
    /// A copy of the command was refused, for it may have at most so many bytes. Servers may be
    /// configured differently: if other copies were sent, their outcome is unknown.
    TooLarge(u64),
}

impl Session {
    /// A client that has not registered. "When a client first starts up, it connects to a
    /// randomly-chosen server" (§8): the order of `servers` is the caller's choice.
    pub fn new(servers: Vec<Id>) -> Self {
        assert!(!servers.is_empty(), "a client needs a server to ask");
        Self { servers, target: 0, turn: 0, id: None, sequence: 0, command: None }
    }

    /// Starts a command. The session is registered first if need be.
    pub fn invoke(&mut self, command: Bytes) {
        assert!(self.command.is_none(), "one command at a time is in flight");
        self.command = Some(command);
        self.sequence += 1;
    }

    /// Gives the command in flight up: its outcome is unknown. The session stays good: once a later
    /// command has been applied, a late copy of this one has an old number and is ignored.
    pub fn abandon(&mut self) {
        self.command = None;
    }

    /// The command in flight.
    pub fn command(&self) -> Option<&Bytes> {
        self.command.as_ref()
    }

    /// The number of the request in flight, or of the last one.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// What to send now, and to whom; `None` when nothing is in flight. Sending it again is a retry.
    pub fn request(&self) -> Option<(Id, ClientRequest)> {
        let command = self.command.clone()?;
        let sequence = self.sequence;
        let request = match self.id {
            None => ClientRequest::Register { sequence },
            Some(session) => ClientRequest::Command { session, sequence, command },
        };
        Some((self.servers[self.target], request))
    }

    /// No answer came: the server whose turn it is next is asked, whatever hints have said.
    pub fn on_timeout(&mut self) {
        self.turn = (self.turn + 1) % self.servers.len();
        self.target = self.turn;
    }

    /// Takes a response; says how the invocation ended, if it did. If [`Session::request`] has
    /// changed, it should be sent.
    pub fn on_response(&mut self, response: ClientResponse) -> Option<Invocation> {
        match response {
            ClientResponse::Registered { sequence, session } => {
                if self.awaits(sequence) && self.id.is_none() {
                    self.id = Some(session);
                    self.sequence += 1;
                }
                None
            }
            ClientResponse::Applied { sequence, response } => {
                self.finish(sequence, Invocation::Applied(response))
            }
            ClientResponse::SessionExpired { sequence } => {
                let outcome = self.finish(sequence, Invocation::Unknown)?;
                self.id = None;
                Some(outcome)
            }
            ClientResponse::TooLarge { sequence, limit } => {
                self.finish(sequence, Invocation::TooLarge(limit))
            }
            ClientResponse::NotLeader { sequence, leader } => {
                let hint = leader.and_then(|id| self.servers.iter().position(|s| *s == id));
                if let (true, Some(target)) = (self.awaits(sequence), hint) {
                    self.target = target;
                }
                None
            }
        }
    }

    /// Whether the answer is to the request in flight and not to an earlier one.
    fn awaits(&self, sequence: u64) -> bool {
        self.command.is_some() && self.sequence == sequence
    }

    /// Ends the command in flight, if the answer is to it.
    fn finish(&mut self, sequence: u64, outcome: Invocation) -> Option<Invocation> {
        if self.id.is_none() || !self.awaits(sequence) {
            return None;
        }
        self.command = None;
        Some(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_gets_its_turn_whatever_the_hints_say() {
        let servers: Vec<_> = (0..5).map(Id::from).collect();
        let mut session = Session::new(servers.clone());
        session.invoke(Bytes::new());
        let mut asked = Vec::new();
        for _ in &servers {
            asked.push(session.request().unwrap().0);
            let (sequence, leader) = (session.sequence(), Some(Id::from(0)));
            session.on_response(ClientResponse::NotLeader { sequence, leader });
            assert_eq!(session.request().unwrap().0, Id::from(0), "a hint is followed");
            session.on_timeout();
        }
        assert_eq!(asked, servers);
    }
}

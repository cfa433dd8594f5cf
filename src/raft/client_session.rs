//! Client interaction on the client: the state that a client keeps so that a retry is not a second
//! invocation (thesis section 6.3).
//!
//! A caller starts an [`Operation`] with [`Session::invoke`] and sends what [`Session::request`] returns. The
//! caller passes each answer to [`Session::on_response`], and calls [`Session::on_timeout`] when no answer
//! came. `on_response` returns an [`Invocation`] once the operation has ended. While a command waits and no
//! session is open, `request` returns a `Register` request. A query or a transfer needs no session.
//!
//! [`Session`] is as pure as the servers. The client actor of the models and the UDP client library both use
//! it. Each of the two has its own way to send and to wait.

use super::client_request::{ClientRequest, ClientResponse};
use super::position::Index;
use super::transfer::TransferOutcome;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stateright::actor::Id;

/// A client's view of its session. One operation at a time is in flight.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Session {
    /// The servers, in the order in which the client tries them, and the position of the one it asks now.
    servers: Vec<Id>,
    target: usize,
    /// The position of the last server that was asked because it was its turn, and not because of a hint.
    /// If hints moved the turn, a leader that is cut off with one follower would keep a client for ever:
    /// the leader does not answer, the follower's hint names the leader, and the client never asks the
    /// majority.
    turn: usize,
    /// The id of the session, once it is registered.
    id: Option<Index>,
    /// The sequence number of the request in flight, or of the last one if none is in flight.
    sequence: u64,
    /// The operation in flight, if any.
    operation: Option<Operation>,
}

/// What a client asks of the state machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// A command, which is applied once, in a session.
    Command(Bytes),
    /// A query, which changes nothing and needs no session.
    Query(Bytes),
    /// A transfer of the leadership to this server, which needs no session either.
    Transfer(Id),
}

/// The way in which an operation ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Invocation {
    /// The command was applied exactly once, with this response; or this is the answer to a query.
    Applied(Bytes),
    /// The session expired. The command was applied once or never, and nobody can say which.
    Unknown,
    /// A server refused a copy of the command, because a command may have at most this many bytes. Servers
    /// may be configured differently: if the client sent other copies, their outcome is unknown.
    TooLarge(u64),
    /// The transfer of the leadership ended so.
    Transfer(TransferOutcome),
}

impl Session {
    /// A client that has not registered a session yet. "When a client first starts up, it connects to a
    /// randomly-chosen server" (§8): the caller chooses the order of `servers`.
    pub fn new(servers: Vec<Id>) -> Self {
        assert!(!servers.is_empty(), "a client needs a server to ask");
        Self { servers, target: 0, turn: 0, id: None, sequence: 0, operation: None }
    }

    /// Starts an operation. For a command, the session registers first if it has not done so.
    pub fn invoke(&mut self, operation: Operation) {
        assert!(self.operation.is_none(), "one operation at a time is in flight");
        self.operation = Some(operation);
        self.sequence += 1;
    }

    /// Gives up the operation in flight; the outcome of a command is then unknown. The session stays usable:
    /// once a later command has been applied, a late copy of the abandoned one has an old number and is
    /// ignored.
    pub fn abandon(&mut self) {
        self.operation = None;
    }

    /// The operation in flight, if any.
    pub fn operation(&self) -> Option<&Operation> {
        self.operation.as_ref()
    }

    /// The sequence number of the request in flight, or of the last one if none is in flight.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The id of the session, if it is open.
    pub fn id(&self) -> Option<Index> {
        self.id
    }

    /// The server that the client asks now, or asked last.
    pub fn target(&self) -> Id {
        self.servers[self.target]
    }

    /// The last server that the client asked because it was that server's turn.
    pub fn turn(&self) -> Id {
        self.servers[self.turn]
    }

    /// The request to send now, and the server to send it to; `None` if no operation is in flight. Sending
    /// the request once more is a retry.
    pub fn request(&self) -> Option<(Id, ClientRequest)> {
        let sequence = self.sequence;
        let request = match (self.operation.clone()?, self.id) {
            (Operation::Query(query), _) => ClientRequest::Read { sequence, query },
            (Operation::Transfer(to), _) => ClientRequest::Transfer { sequence, to },
            (Operation::Command(_), None) => ClientRequest::Register { sequence },
            (Operation::Command(command), Some(session)) => {
                ClientRequest::Command { session, sequence, command }
            }
        };
        Some((self.servers[self.target], request))
    }

    /// Chooses another server, because no answer came. The servers take turns, whatever hints have said.
    pub fn on_timeout(&mut self) {
        self.turn = (self.turn + 1) % self.servers.len();
        self.target = self.turn;
    }

    /// Takes a response, and returns how the invocation ended, if it did. If [`Session::request`] has
    /// changed, the caller should send the new request.
    pub fn on_response(&mut self, response: ClientResponse) -> Option<Invocation> {
        match response {
            ClientResponse::Registered { sequence, session } => {
                if self.awaits_command(sequence) && self.id.is_none() {
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
            ClientResponse::Read { sequence, response } => {
                let is_query = matches!(self.operation, Some(Operation::Query(_)));
                (is_query && self.awaits(sequence)).then(|| {
                    self.operation = None;
                    Invocation::Applied(response)
                })
            }
            ClientResponse::Transfer { sequence, outcome } => {
                let is_transfer = matches!(self.operation, Some(Operation::Transfer(_)));
                (is_transfer && self.awaits(sequence)).then(|| {
                    self.operation = None;
                    Invocation::Transfer(outcome)
                })
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

    /// Whether a response with this sequence number answers the request in flight, and not an earlier one.
    fn awaits(&self, sequence: u64) -> bool {
        self.operation.is_some() && self.sequence == sequence
    }

    /// Whether a response with this sequence number answers the command in flight.
    fn awaits_command(&self, sequence: u64) -> bool {
        matches!(self.operation, Some(Operation::Command(_))) && self.awaits(sequence)
    }

    /// Ends the command in flight, if a response with this sequence number answers it.
    fn finish(&mut self, sequence: u64, outcome: Invocation) -> Option<Invocation> {
        if self.id.is_none() || !self.awaits_command(sequence) {
            return None;
        }
        self.operation = None;
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
        session.invoke(Operation::Command(Bytes::new()));
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

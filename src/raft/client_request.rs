//! Client interaction on the servers: section 8 of the paper and section 6.3 of the thesis.
//!
//! A client sends a [`ClientRequest`] to a server. `client_request` refuses the request, drops it, or appends
//! an [`Entry`] to the leader's log. Reads go to `read_index.rs`, and transfers to `transfer.rs`. Once the
//! entry is committed, every server's `apply` applies it to its [`Sessions`] and its state machine. The
//! leader that appended the entry sends the [`ClientResponse`].
//!
//! Clients send datagrams, so they retry, and a command may enter the log more than once. A session makes
//! all copies one command: it remembers the last sequence number that was applied for the client, and the
//! response. Servers tell copies apart when they *apply* them, because all servers apply the same sequence
//! of entries. A leader may drop some copies before that (CLI-4). The session table is part of the
//! replicated state: only applied entries change it.

use super::log::{Entry, Payload};
use super::position::Index;
use super::progress::{Leader, Progress};
use super::state::{Role, Server};
use super::transfer::{Transfer, TransferOutcome};
use super::{Copies, Message, Parameters, Raft};
use crate::state_machine::StateMachine;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stateright::actor::{Id, Out};

/// A request of a client. `sequence` numbers the requests of one client process, and a retry keeps the
/// number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ClientRequest {
    /// Opens a session.
    Register {
        /// The client's number for the request.
        sequence: u64,
    },
    /// Executes a command once, however often the request arrives.
    Command {
        /// The id of the session, from [`ClientResponse::Registered`].
        session: Index,
        /// The client's number for the request.
        sequence: u64,
        /// The command: opaque bytes.
        command: Bytes,
    },
    /// Reads the state machine, without a session and without an entry of the log (`read_index.rs`).
    Read {
        /// The client's number for the request.
        sequence: u64,
        /// The query: opaque bytes.
        query: Bytes,
    },
    /// Hands the leadership over to another server (`transfer.rs`).
    Transfer {
        /// The client's number for the request.
        sequence: u64,
        /// The server that is to lead.
        to: Id,
    },
}

/// The response to a [`ClientRequest`]. Every response repeats the request's `sequence`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ClientResponse {
    /// The session is open.
    Registered {
        /// The sequence number of the request.
        sequence: u64,
        /// The id of the session: the index of the `Register` entry that opened it.
        session: Index,
    },
    /// The command was applied, either now or when an earlier copy of the command was.
    Applied {
        /// The sequence number of the request.
        sequence: u64,
        /// The state machine's response.
        response: Bytes,
    },
    /// The session is unknown, because it was evicted or never opened. This copy of the command was not
    /// applied and never will be. Whether an earlier copy was applied is *unknown*.
    SessionExpired {
        /// The sequence number of the request.
        sequence: u64,
    },
    /// The server that answers is not the leader.
    NotLeader {
        /// The sequence number of the request.
        sequence: u64,
        /// The leader, as far as the server that answers knows.
        leader: Option<Id>,
    },
    /// The command does not fit a message, so it did not enter the log.
    TooLarge {
        /// The sequence number of the request.
        sequence: u64,
        /// The largest number of bytes that a command may have.
        limit: u64,
    },
    /// The end of a transfer of the leadership.
    Transfer {
        /// The sequence number of the request.
        sequence: u64,
        /// How the transfer ended.
        outcome: TransferOutcome,
    },
    /// The answer of the state machine to a read.
    Read {
        /// The sequence number of the request.
        sequence: u64,
        /// The state machine's answer.
        response: Bytes,
    },
}

impl ClientRequest {
    /// The client's number for the request.
    pub fn sequence(&self) -> u64 {
        match self {
            ClientRequest::Register { sequence }
            | ClientRequest::Command { sequence, .. }
            | ClientRequest::Read { sequence, .. }
            | ClientRequest::Transfer { sequence, .. } => *sequence,
        }
    }
}

impl<S: StateMachine> Raft<S> {
    /// Does raft.tla's `ClientRequest`.
    pub(super) fn client_request(
        &self,
        id: Id,
        server: &mut Server<S>,
        client: Id,
        request: ClientRequest,
        o: &mut Out<Self>,
    ) {
        let sequence = request.sequence();
        let respond =
            |response, o: &mut Out<Self>| o.send(client, Message::ClientResponse(response));
        // [CLI-1] "If the client's first choice is not the leader, that server will reject the
        // client's request and supply information about the most recent leader it has heard from"
        // (§8)
        match server.role {
            Role::Follower { leader, .. } => {
                return respond(ClientResponse::NotLeader { sequence, leader }, o);
            }
            Role::PreCandidate { .. } | Role::Candidate { .. } | Role::Halted(_) => {
                return respond(ClientResponse::NotLeader { sequence, leader: None }, o);
            }
            // part of TR-1
            Role::Leader(Leader { transfer: Some(_), .. })
                if !matches!(request, ClientRequest::Transfer { .. }) =>
            {
                return respond(ClientResponse::NotLeader { sequence, leader: None }, o);
            }
            Role::Leader(_) => {}
        }
        let payload = match request {
            ClientRequest::Register { sequence } => {
                let max_sessions = self.parameters.max_sessions;
                Payload::Register { client, sequence, max_sessions }
            }
            ClientRequest::Command { session, sequence, command } => {
                Payload::Command { client, session, sequence, command }
            }
            ClientRequest::Read { sequence, query } => {
                return Self::read(server, client, sequence, query, o);
            }
            ClientRequest::Transfer { sequence, to } => {
                return self.transfer(id, server, Transfer { to, client, sequence }, o);
            }
        };
        let entry = Entry { term: server.persistent.current_term, payload };
        // [CLI-2] A command that does not fit a message is refused before it enters the log.
        if entry.size() > self.parameters.max_bytes {
            let overhead = entry.size() - entry.command_len();
            let limit = self.parameters.max_bytes.saturating_sub(overhead) as u64;
            return respond(ClientResponse::TooLarge { sequence, limit }, o);
        }
        // [CLI-3] A leader that cannot commit takes only so many entries and drops the other requests;
        // their clients will ask again.
        if !self.has_room(server, &entry) {
            return;
        }
        // [CLI-4] A copy of a request that stands uncommitted in the leader's log is not appended again.
        // The leader will answer when it applies the entry that stands there.
        if self.parameters.copies == Copies::Awaited && server.is_pending(&entry) {
            return;
        }
        self.append_client_entry(server, entry, o);
    }

    /// Whether one more client entry stays within the limits on uncommitted entries.
    fn has_room(&self, server: &Server<S>, entry: &Entry) -> bool {
        let last = server.persistent.log.last_index();
        let uncommitted = last.0.saturating_sub(server.commit_index.0);
        let room = self.parameters.max_uncommitted_bytes.saturating_sub(entry.size() as u64);
        // No server may have a larger `max_bytes` than this, so no entry is larger, whoever created it.
        // Only if entries of that size could exceed the limit are the sizes added up.
        uncommitted < self.parameters.max_uncommitted
            && (uncommitted.saturating_mul(Parameters::LARGEST_MAX_BYTES as u64) <= room
                || server.uncommitted().map(|entry| entry.size() as u64).sum::<u64>() <= room)
    }

    /// [LDR-2] "If command received from client: append entry to local log, respond after entry
    /// applied to state machine (§5.3)". `apply` sends the response.
    fn append_client_entry(&self, server: &mut Server<S>, entry: Entry, o: &mut Out<Self>) {
        let index = server.persistent.log.append(entry);
        // A follower that has every entry before this one gets it at once. To every other follower an
        // AppendEntries is on its way. The reply to that, or a later heartbeat, makes the leader send this
        // entry together with the others that have come by then.
        for peer in server.followers_that_lack_only(index) {
            self.append_entries(server, peer, o);
        }
        self.advance_commit_index(server, o);
    }
}

/// A leader looks for a copy of a request among this many of its last uncommitted entries.
pub const PENDING: usize = 1024;

impl<S> Server<S> {
    /// The entries that are not known to be committed, from the last to the first.
    fn uncommitted(&self) -> impl Iterator<Item = &Entry> {
        let committed = self.commit_index;
        let log = self.persistent.log.iter().rev();
        log.take_while(move |(index, _)| *index > committed).map(|(_, entry)| entry)
    }

    /// Whether an equal request stands uncommitted in the log under this leader's term. When that entry is
    /// applied, this leader will answer.
    fn is_pending(&self, entry: &Entry) -> bool {
        self.uncommitted()
            .take(PENDING)
            .take_while(|it| it.term == entry.term)
            .any(|it| it == entry)
    }

    /// The followers that, by `next_index`, have every entry before `index` but not the one at `index`.
    fn followers_that_lack_only(&self, index: Index) -> Vec<Id> {
        let Role::Leader(Leader { followers, .. }) = &self.role else { return Vec::new() };
        let lacks = |it: &Progress<S>| it.next_index == index && it.sending.is_none();
        followers.iter().filter(|(_, it)| lacks(it)).map(|(id, _)| *id).collect()
    }
}

impl Entry {
    /// The number of bytes of the command inside; zero for an entry without a command.
    fn command_len(&self) -> usize {
        match &self.payload {
            Payload::Noop | Payload::Register { .. } => 0,
            Payload::Command { command, .. } => command.len(),
        }
    }
}

//! Client interaction, servers' side: section 8 of the paper and section 6.3 of the thesis.
//!
//! Clients send datagrams, so they retry, and a command may enter the log more than once. A session
//! makes the copies one command: it remembers the last sequence number applied for the client and the
//! response. All copies are told apart when they are *applied*, where all servers see the same
//! sequence. A leader may drop some of them before that (CLI-4). The table is part of the replicated
//! state: it changes by applied entries only.

use super::log::{Entry, Payload};
use super::state::{Index, Role, Server};
use super::{Message, Raft};
use crate::map::Map;
use crate::state_machine::StateMachine;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stateright::actor::{Id, Out};
use std::fmt;

/// What a client asks. `sequence` numbers the requests of one client process, and a retry keeps the
/// number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ClientRequest {
    /// Opens a session.
    Register {
        /// The client's number for the request.
        sequence: u64,
    },
    /// Executes a command, once.
    Command {
        /// The session, from [`ClientResponse::Registered`].
        session: Index,
        /// The client's number for the request.
        sequence: u64,
        /// The command: opaque bytes.
        command: Bytes,
    },
}

/// What it is answered. Each repeats the request's `sequence`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ClientResponse {
    /// The session is open.
    Registered {
        /// The request's.
        sequence: u64,
        /// The id of the session: the index of its entry.
        session: Index,
    },
    /// The command was applied, now or when an earlier copy of it was.
    Applied {
        /// The request's.
        sequence: u64,
        /// The state machine's response.
        response: Bytes,
    },
    /// The session is unknown: evicted, or never opened. This copy of the command was not applied and
    /// never will be; whether an earlier copy was is *unknown*.
    SessionExpired {
        /// The request's.
        sequence: u64,
    },
    /// The server does not lead.
    NotLeader {
        /// The request's.
        sequence: u64,
        /// Who does, as far as it knows.
        leader: Option<Id>,
    },
    /// The command does not fit a message and did not enter the log.
    TooLarge {
        /// The request's.
        sequence: u64,
        /// The most bytes a command may have.
        limit: u64,
    },
}

/// The sessions, by id. At most `max_sessions` of the entry that opened the last one.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sessions(Map<Index, SessionRecord>);

/// What is remembered of a session.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionRecord {
    /// The index of the last entry applied for it: what "least recently used" is measured by.
    pub last_used: Index,
    /// The last command applied and its response; none right after registration.
    pub last: Option<(u64, Bytes)>,
}

impl ClientRequest {
    /// The client's number for the request.
    pub fn sequence(&self) -> u64 {
        match self {
            ClientRequest::Register { sequence } | ClientRequest::Command { sequence, .. } => {
                *sequence
            }
        }
    }
}

impl Sessions {
    /// The session with this id.
    pub fn get(&self, session: Index) -> Option<&SessionRecord> {
        self.0.get(&session)
    }

    /// Number of open sessions.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no session is open.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Opens the session `index`, evicting others down to the limit.
    fn open(&mut self, index: Index, max_sessions: u32) {
        // [SES-5] Eviction is deterministic and bounded: the session whose last applied entry is the
        // oldest goes. No two have the same one. O(sessions), on a full table only.
        while self.0.len() >= max_sessions.max(1) as usize {
            let oldest = self.0.iter().min_by_key(|(_, record)| record.last_used);
            let Some((oldest, _)) = oldest.map(|(id, record)| (*id, record.last_used)) else {
                break;
            };
            self.0.remove(&oldest);
        }
        self.0.insert(index, SessionRecord { last_used: index, last: None });
    }
}

impl<S: StateMachine> Raft<S> {
    /// raft.tla's `ClientRequest`.
    pub(super) fn client_request(
        &self,
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
            Role::Follower { leader } => {
                return respond(ClientResponse::NotLeader { sequence, leader }, o);
            }
            Role::Candidate { .. } | Role::Halted(_) => {
                return respond(ClientResponse::NotLeader { sequence, leader: None }, o);
            }
            Role::Leader { .. } => {}
        }
        let entry = Entry {
            term: server.persistent.current_term,
            payload: match request {
                ClientRequest::Register { sequence } => {
                    let max_sessions = self.config.max_sessions;
                    Payload::Register { client, sequence, max_sessions }
                }
                ClientRequest::Command { session, sequence, command } => {
                    Payload::Command { client, session, sequence, command }
                }
            },
        };
        // [CLI-2] A command that does not fit a message is refused before it enters the log.
        if entry.size() > self.config.max_bytes {
            let overhead = entry.size() - entry.command_len();
            let limit = self.config.max_bytes.saturating_sub(overhead) as u64;
            return respond(ClientResponse::TooLarge { sequence, limit }, o);
        }
        // [CLI-3] A leader that cannot commit takes only so much; the client will ask again.
        if !self.has_room(server, &entry) {
            return;
        }
        // [CLI-4] A copy of a request that stands uncommitted in the leader's log is not appended again:
        // the entry that stands there will be answered.
        if self.config.copies == Copies::Awaited && server.is_pending(&entry) {
            return;
        }
        self.append_client_entry(server, entry, o);
    }

    /// Whether one more entry of a client is within the limits on what is not committed.
    fn has_room(&self, server: &Server<S>, entry: &Entry) -> bool {
        let last = server.persistent.log.last_index();
        let uncommitted = last.0.saturating_sub(server.commit_index.0);
        let room = self.config.max_uncommitted_bytes.saturating_sub(entry.size() as u64);
        // No entry is larger than `max_bytes`, so they are added up only when they may be too many.
        uncommitted < self.config.max_uncommitted
            && (uncommitted.saturating_mul(self.config.max_bytes as u64) <= room
                || server.uncommitted().map(|entry| entry.size() as u64).sum::<u64>() <= room)
    }

    /// [LDR-2] "If command received from client: append entry to local log, respond after entry
    /// applied to state machine (§5.3)". The response is in `apply`.
    fn append_client_entry(&self, server: &mut Server<S>, entry: Entry, o: &mut Out<Self>) {
        let index = server.persistent.log.append(entry);
        // Followers that have all before it get it at once. To the others AppendEntries are on the
        // way, and their replies, or a later heartbeat, will send this entry with what else has come
        // by then.
        for peer in server.followers_that_lack_only(index) {
            self.append_entries(server, peer, o);
        }
        self.advance_commit_index(server, o);
    }

    /// Applies the committed entry at `index`. Every server does the same to its sessions and its
    /// state machine; the leader that appended it answers, as LDR-2 says. Another leader that applies
    /// it, perhaps with the whole log after a restart, has no client waiting; a client that still
    /// waits asks again, and is answered by SES-4.
    pub(super) fn apply(server: &mut Server<S>, index: Index, entry: Entry, o: &mut Out<Self>) {
        let answers = server.is_leader() && entry.term == server.persistent.current_term;
        let (client, response) = match entry.payload {
            Payload::Noop => return,
            // [SES-1] A session is opened by a Register entry and its id is that entry's index.
            Payload::Register { client, sequence, max_sessions } => {
                server.sessions.open(index, max_sessions);
                (client, ClientResponse::Registered { sequence, session: index })
            }
            Payload::Command { client, session, sequence, command } => {
                match server.apply_command(index, session, sequence, &command) {
                    Some(response) => (client, response),
                    None => return,
                }
            }
        };
        if answers {
            o.send(client, Message::ClientResponse(response));
        }
    }
}

/// What a leader does with a copy of a request that stands uncommitted in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Copies {
    /// It appends the copy, too. Copies are told apart when they are applied, whatever came between.
    Appended,
    /// It drops the copy, if the entry is among the last [`PENDING`]: clients that retry while nothing
    /// can be committed do not lengthen the log.
    Awaited,
}

/// A leader looks for a copy of a request among this many of its last uncommitted entries.
pub const PENDING: usize = 1024;

impl<S> Server<S> {
    /// The entries that are not known to be committed, the last one first.
    fn uncommitted(&self) -> impl Iterator<Item = &Entry> {
        let committed = self.commit_index;
        let log = self.persistent.log.iter().rev();
        log.take_while(move |(index, _)| *index > committed).map(|(_, entry)| entry)
    }

    /// Whether the same request stands uncommitted in the log, under this leader's term: when it is
    /// applied, this leader will answer.
    fn is_pending(&self, entry: &Entry) -> bool {
        self.uncommitted()
            .take(PENDING)
            .take_while(|it| it.term == entry.term)
            .any(|it| it == entry)
    }

    /// The followers that have all that comes before `index`, as far as is known.
    fn followers_that_lack_only(&self, index: Index) -> Vec<Id> {
        let Role::Leader { next_index, .. } = &self.role else { return Vec::new() };
        next_index.iter().filter(|(_, next)| **next == index).map(|(id, _)| *id).collect()
    }
}

impl<S: StateMachine> Server<S> {
    /// Applies a command unless it has been, and says what to answer, if anything.
    fn apply_command(
        &mut self,
        index: Index,
        session: Index,
        sequence: u64,
        command: &[u8],
    ) -> Option<ClientResponse> {
        // [SES-2] A command of an unknown session is never applied: an implicit session would let a
        // retry be applied again after eviction.
        let Some(mut record) = self.sessions.0.get(&session).cloned() else {
            return Some(ClientResponse::SessionExpired { sequence });
        };
        record.last_used = index;
        let response = match &record.last {
            // [SES-3] An old sequence number is ignored: its client has gone on to a later command.
            Some((last, _)) if sequence < *last => None,
            // [SES-4] The last one is answered again with its first response (§8: "If it receives a
            // command whose serial number has already been executed, it responds immediately
            // without re-executing the request").
            Some((last, response)) if sequence == *last => Some(response.clone()),
            _ => {
                let response = self.machine.apply(command);
                record.last = Some((sequence, response.clone()));
                Some(response)
            }
        };
        self.sessions.0.insert(session, record);
        response.map(|response| ClientResponse::Applied { sequence, response })
    }
}

impl Entry {
    /// Bytes of the command inside, if any.
    fn command_len(&self) -> usize {
        match &self.payload {
            Payload::Noop | Payload::Register { .. } => 0,
            Payload::Command { command, .. } => command.len(),
        }
    }
}

/// `sessions={2:#3@7}`: session 2 was last used by the entry at 7, its last command is number 3.
impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sessions: Vec<_> = self
            .0
            .iter()
            .map(|(id, record)| match &record.last {
                None => format!("{id}@{}", record.last_used),
                Some((sequence, _)) => format!("{id}:#{sequence}@{}", record.last_used),
            })
            .collect();
        write!(f, "sessions={{{}}}", sessions.join(" "))
    }
}

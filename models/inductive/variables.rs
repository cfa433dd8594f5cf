//! The variables of one server, in the small form that a domain enumerates.
//!
//! [`Local::server`] makes the server of the protocol from the variables, and [`Local::of`] reads them from a
//! server. A server that is not made of these variables has something that no domain enumerates. Then
//! `Local::of` says which conjunct is broken.

use super::conjuncts::Conjunct;
use crate::kv::Kv;
use crate::raft::{
    Entry, Index, Leader, Payload, Persistent, Progress, Role as ServerRole, Server, Term,
};
use bytes::Bytes;
use stateright::actor::Id;
use std::fmt;

/// The most servers of a domain.
pub const SERVERS: usize = 3;
/// The most entries of a log, those included that a step adds.
const ENTRIES: usize = 8;
/// The process that sends requests to leaders: the number after all servers.
pub const CLIENT: usize = SERVERS;

/// A log, as the terms of its entries. The first entry of a term is a no-op and all others of the term are
/// commands, so the terms determine the entries.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Log {
    length: u8,
    terms: [u8; ENTRIES],
}

/// The variables of one server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// `current_term`.
    pub term: u8,
    /// `voted_for`.
    pub vote: Option<u8>,
    /// `log`.
    pub log: Log,
    /// `commit_index`, which equals `last_applied`.
    pub commit: u8,
    /// The role with its variables.
    pub role: Role,
}

/// The roles of servers that ask for no pre-votes and have not halted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A follower, with the leader that it knows.
    Follower(Option<u8>),
    /// A candidate, with a bit for each server that has voted for it.
    Candidate(u8),
    /// A leader, with `next_index` and `match_index` of each server. Its own are zero.
    Leader {
        /// `next_index`.
        next: [u8; SERVERS],
        /// `match_index`.
        matched: [u8; SERVERS],
    },
}

impl Log {
    /// The log with these terms.
    pub fn new(terms: &[u8]) -> Self {
        let mut log = Self::default();
        for term in terms {
            log.push(*term);
        }
        log
    }

    /// Appends an entry. A full log stays as it is; no domain comes near.
    pub fn push(&mut self, term: u8) {
        if let Some(place) = self.terms.get_mut(usize::from(self.length)) {
            *place = term;
            self.length += 1;
        }
    }

    /// The index of the last entry.
    pub fn len(&self) -> u8 {
        self.length
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The terms of the entries.
    pub fn terms(&self) -> &[u8] {
        &self.terms[..usize::from(self.length)]
    }

    /// The term at an index. Index zero has term zero.
    pub fn term(&self, index: u8) -> Option<u8> {
        match index.checked_sub(1) {
            None => Some(0),
            Some(place) => self.terms().get(usize::from(place)).copied(),
        }
    }

    /// The term and the index of the last entry.
    pub fn last(&self) -> (u8, u8) {
        (self.terms().last().copied().unwrap_or(0), self.length)
    }

    /// The first entries, up to an index that the log has.
    pub fn up_to(&self, index: u8) -> Self {
        Self::new(&self.terms()[..usize::from(index.min(self.length))])
    }

    /// Whether both logs have the same entries up to an index, and have it.
    pub fn agrees(&self, other: &Self, index: u8) -> bool {
        let end = usize::from(index);
        self.length >= index && other.length >= index && self.terms[..end] == other.terms[..end]
    }

    /// The entries of the protocol after an index.
    pub fn entries_after(&self, index: u8) -> Vec<Entry> {
        let term = |index| self.term(index).unwrap_or_default();
        (index..self.length).map(|prev| entry(prev, term(prev), term(prev + 1))).collect()
    }
}

/// The entry of the protocol that follows the position `prev` and has this term.
pub fn entry(prev: u8, prev_term: u8, term: u8) -> Entry {
    let payload = if prev_term == term { command(prev + 1) } else { Payload::Noop };
    Entry { term: Term(term.into()), payload }
}

/// The command at an index. Its session is unknown, so it changes no state machine.
fn command(index: u8) -> Payload {
    Payload::Command {
        client: Id::from(CLIENT),
        session: Index(1),
        sequence: index.into(),
        command: Bytes::new(),
    }
}

impl Local {
    /// A server that has just started for the first time.
    pub const NEW: Self = Self {
        term: 0,
        vote: None,
        log: Log { length: 0, terms: [0; ENTRIES] },
        commit: 0,
        role: Role::Follower(None),
    };

    /// The server of the protocol with these variables. All else about it is as at its first start.
    pub fn server(&self, who: usize, servers: usize) -> Server<Kv> {
        let persistent = Persistent {
            current_term: Term(self.term.into()),
            voted_for: self.vote.map(id),
            snapshot: <_>::default(),
            log: self.log.entries_after(0).into_iter().collect(),
        };
        let mut server = Server::restored((0..servers).map(Id::from).collect(), persistent);
        (server.commit_index, server.last_applied) =
            (Index(self.commit.into()), Index(self.commit.into()));
        server.role = match self.role {
            Role::Follower(leader) => ServerRole::follower(leader.map(id)),
            Role::Candidate(votes) => {
                let granted = (0..servers).filter(|voter| votes & 1 << voter != 0);
                ServerRole::Candidate { votes_granted: granted.map(Id::from).collect() }
            }
            Role::Leader { next, matched } => {
                let others = (0..servers).filter(|other| *other != who);
                let followers =
                    others.map(|id| (Id::from(id), progress(next[id], matched[id]))).collect();
                let (round, reads, transfer) = (0, Vec::new(), None);
                ServerRole::Leader(Leader { followers, round, reads, transfer })
            }
        };
        server
    }

    /// The variables of a server of the protocol; or else the conjunct that it breaks.
    pub fn of(server: &Server<Kv>, who: usize, servers: usize) -> Result<Self, Conjunct> {
        if server.is_halted() {
            return Err(Conjunct::NobodyHalts);
        }
        if server.commit_index > server.persistent.log.last_index() {
            return Err(Conjunct::CommittedIsInTheLog);
        }
        if server.last_applied != server.commit_index {
            return Err(Conjunct::CommittedIsApplied);
        }
        let local = Self::read(server).ok_or(Conjunct::NothingElse)?;
        let mut same = local.server(who, servers);
        same.applied_bytes = server.applied_bytes; // only snapshots ask for it
        if same == *server { Ok(local) } else { Err(Conjunct::NothingElse) }
    }

    fn read(server: &Server<Kv>) -> Option<Self> {
        let log = &server.persistent.log;
        let mut terms = Log::default();
        if log.last_index() > Index(ENTRIES as u64) {
            return None;
        }
        for (_, entry) in log.iter() {
            terms.push(small(entry.term.0)?);
        }
        let index = |index: Index| small(index.0);
        let role = match &server.role {
            ServerRole::Follower { leader, .. } => Role::Follower(leader.map(number)),
            ServerRole::Candidate { votes_granted } => {
                Role::Candidate(votes_granted.iter().fold(0, |bits, id| bits | 1 << number(*id)))
            }
            ServerRole::Leader(leader) => {
                let (mut next, mut matched) = ([0; SERVERS], [0; SERVERS]);
                for (id, progress) in &leader.followers {
                    *next.get_mut(usize::from(*id))? = index(progress.next_index)?;
                    *matched.get_mut(usize::from(*id))? = index(progress.match_index)?;
                }
                Role::Leader { next, matched }
            }
            ServerRole::PreCandidate { .. } | ServerRole::Halted(_) => return None,
        };
        Some(Self {
            term: small(server.persistent.current_term.0)?,
            vote: server.persistent.voted_for.map(number),
            log: terms,
            commit: index(server.commit_index)?,
            role,
        })
    }

    /// Whether the server leads.
    pub fn leads(&self) -> bool {
        matches!(self.role, Role::Leader { .. })
    }
}

fn progress(next: u8, matched: u8) -> Progress<Kv> {
    Progress {
        next_index: Index(next.into()),
        match_index: Index(matched.into()),
        attempt: None,
        sending: None,
        catches_up: false,
        round: 0,
        is_heard: false,
    }
}

/// A server's id.
pub(super) fn id(number: u8) -> Id {
    Id::from(usize::from(number))
}

/// The number of a server. An id that no domain has becomes the number of the client.
pub(super) fn number(id: Id) -> u8 {
    u8::try_from(usize::from(id).min(CLIENT)).unwrap_or_default()
}

/// A number of the protocol, if it is one that domains have.
pub(super) fn small(number: u64) -> Option<u8> {
    u8::try_from(number).ok().filter(|number| *number < 200)
}

/// Shows the terms, as `[1 1 2]`.
impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms: Vec<_> = self.terms().iter().map(u8::to_string).collect();
        write!(f, "[{}]", terms.join(" "))
    }
}

//! The session table of a server (thesis section 6.3). It is part of the replicated state: only applied
//! entries change it, so all servers open and evict alike.

use super::position::Index;
use crate::map::Map;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Open client sessions by id. The table holds at most as many as the latest applied `Register` entry allows;
/// opening one more evicts the least recently used.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sessions(Map<Index, SessionRecord>);

/// The replicated state of one open client session.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionRecord {
    /// The index of the last applied entry of this session. "Least recently used" means that this index
    /// is the lowest.
    pub last_used: Index,
    /// The sequence number of the last applied command, and its response; `None` right after registration.
    pub last: Option<(u64, Bytes)>,
}

impl Sessions {
    /// The open session with this id, if there is one.
    pub fn get(&self, session: Index) -> Option<&SessionRecord> {
        self.0.get(&session)
    }

    /// All open sessions, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (Index, &SessionRecord)> {
        self.0.iter().map(|(session, record)| (*session, record))
    }

    /// The open sessions whose ids are greater than `session`, in the order of their ids.
    pub(super) fn after(&self, session: Index) -> impl Iterator<Item = (Index, &SessionRecord)> {
        self.0.range_from(session.next()).map(|(session, record)| (*session, record))
    }

    /// The number of open sessions.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no session is open.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts the record of a session, which is open from then on.
    pub fn put(&mut self, session: Index, record: SessionRecord) {
        self.0.insert(session, record);
    }

    /// Opens the session `index`, and first evicts as many others as the limit requires.
    pub(super) fn open(&mut self, index: Index, max_sessions: u32) {
        // [SES-5] Eviction is deterministic and bounded: the session whose last applied entry is the
        // oldest goes. No two sessions have the same last applied entry. Eviction takes O(sessions), and
        // happens on a full table only.
        while self.0.len() >= max_sessions.max(1) as usize {
            let oldest = self.iter().min_by_key(|(_, record)| record.last_used);
            let (oldest, _) = oldest.expect("a table that is too long is not empty");
            self.0.remove(&oldest);
        }
        self.0.insert(index, SessionRecord { last_used: index, last: None });
    }
}

/// Shows `sessions={2:#3@7}` if the entry at 7 used session 2 last, and the session's last command is
/// number 3.
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

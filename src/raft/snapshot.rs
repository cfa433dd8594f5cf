//! A snapshot of the replicated state, and the stream of bytes as which it travels (section 7).
//!
//! A [`Snapshot`] stands for the entries up to its last included index. It is a value like any other:
//! `install_snapshot.rs` says when a server takes one, sends one or installs one.
//!
//! On its way to another server a snapshot is a stream of *parts*. The leader encodes one part at a time,
//! straight from its maps, and cuts pieces from it. So no piece costs more than its part, however large the
//! snapshot is. The follower decodes each part as soon as it is complete, and keeps the result as an
//! [`Incoming`]. Each part begins with its length in four bytes, so the follower needs no other sign of where
//! a part ends.

use super::apply::apply_entry;
use super::log::Log;
use super::position::{Index, Term};
use super::sessions::{SessionRecord, Sessions};
use crate::state_machine::{self, StateMachine};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The replicated state that the entries up to `last_index` lead to: the snapshot of section 7.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Snapshot<S> {
    /// "lastIncludedIndex: the snapshot replaces all entries up through and including this index"
    pub last_index: Index,
    /// "lastIncludedTerm: term of lastIncludedIndex"
    pub last_term: Term,
    /// The open client sessions at that index.
    pub sessions: Sessions,
    /// The state machine at that index.
    pub machine: S,
}

/// The place in a snapshot at which a part begins. Sessions come first, then the state machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Place {
    /// The sessions whose ids are greater than this one.
    SessionsAfter(Index),
    /// What the state machine holds from this place on; see [`StateMachine::part`].
    Machine(Bytes),
}

/// A part as the stream contains it, behind its length.
#[derive(Serialize, Deserialize)]
enum Content {
    Sessions(Vec<(Index, SessionRecord)>),
    Machine(Bytes),
}

/// The number of bytes that say how long a part is.
const LENGTH: usize = 4;

impl<S: StateMachine> Snapshot<S> {
    /// Applies the entry that follows the snapshot. An error says that the log does not hold the entry.
    pub(super) fn advance(&mut self, log: &Log) -> Result<(), String> {
        let index = self.last_index.next();
        let entry = log.get(index).ok_or(format!("no entry {index} to bring the snapshot to"))?;
        apply_entry(&mut self.sessions, &mut self.machine, index, entry);
        (self.last_index, self.last_term) = (index, entry.term);
        Ok(())
    }

    /// The part at which the stream begins.
    pub(super) fn first_part(&self) -> Place {
        if self.sessions.is_empty() {
            Place::Machine(Bytes::new())
        } else {
            Place::SessionsAfter(Index(0))
        }
    }

    /// One part of the stream with its length before it, and the part that follows; `None` after the last
    /// one. A part has about `limit` bytes, or as many more as its largest session or value takes.
    pub(super) fn encoded(&self, part: &Place, limit: usize) -> (Vec<u8>, Option<Place>) {
        let (content, next) = match part {
            Place::SessionsAfter(after) => self.sessions_after(*after, limit),
            Place::Machine(from) => {
                let state_machine::Part { bytes, next } = self.machine.part(from, limit);
                (Content::Machine(bytes), next.map(Place::Machine))
            }
        };
        let mut bytes = vec![0; LENGTH];
        let content = postcard::to_stdvec(&content).expect("a part always encodes");
        let length = u32::try_from(content.len()).expect("a part is shorter than 4 GiB");
        bytes.copy_from_slice(&length.to_le_bytes());
        bytes.extend(content);
        (bytes, next)
    }

    fn sessions_after(&self, after: Index, limit: usize) -> (Content, Option<Place>) {
        /// An upper bound of what a record takes besides its last response.
        const OVERHEAD: usize = 5 * 10;
        let (mut records, mut bytes) = (Vec::new(), 0);
        let mut rest = self.sessions.after(after).peekable();
        while let Some((session, record)) = rest.next_if(|_| bytes < limit) {
            bytes += OVERHEAD + record.last.as_ref().map_or(0, |(_, response)| response.len());
            records.push((session, record.clone()));
        }
        let last = records.last().map_or(after, |(session, _)| *session);
        let next = match rest.peek() {
            Some(_) => Place::SessionsAfter(last),
            None => Place::Machine(Bytes::new()),
        };
        (Content::Sessions(records), Some(next))
    }
}

/// A snapshot of which a follower has received the first bytes.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Incoming<S> {
    /// The snapshot as far as the complete parts make it.
    pub snapshot: Snapshot<S>,
    /// The number of bytes that have come: the offset of the next piece.
    pub offset: u64,
    /// The bytes of the part that is not complete.
    pub rest: Bytes,
}

impl<S: StateMachine> Incoming<S> {
    /// A snapshot of which nothing has come.
    pub(super) fn new(last_index: Index, last_term: Term) -> Self {
        let (sessions, machine) = (Sessions::default(), S::default());
        let snapshot = Snapshot { last_index, last_term, sessions, machine };
        Self { snapshot, offset: 0, rest: Bytes::new() }
    }

    /// Adds the piece that follows. Fails if the bytes of a complete part do not decode.
    pub(super) fn add(&mut self, piece: &[u8]) -> Result<(), String> {
        self.offset += piece.len() as u64;
        let mut rest = self.rest.to_vec();
        rest.extend(piece);
        let mut unread = &rest[..];
        while let Some((length, behind)) = unread.split_first_chunk::<LENGTH>() {
            let length = u32::from_le_bytes(*length) as usize;
            let Some((content, behind)) = behind.split_at_checked(length) else { break };
            self.add_part(content)?;
            unread = behind;
        }
        self.rest = Bytes::copy_from_slice(unread);
        Ok(())
    }

    fn add_part(&mut self, content: &[u8]) -> Result<(), String> {
        match postcard::take_from_bytes(content).map_err(|error| error.to_string())? {
            (Content::Sessions(records), []) => {
                for (session, record) in records {
                    self.snapshot.sessions.put(session, record);
                }
                Ok(())
            }
            (Content::Machine(bytes), []) => self.snapshot.machine.add_part(&bytes),
            _ => Err("a part of a snapshot has bytes too many".to_owned()),
        }
    }
}

/// Shows `snapshot=5@t2`: the last included index and its term. The state machine that a server shows says
/// the rest.
impl<S> fmt::Debug for Snapshot<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "snapshot={}@t{}", self.last_index, self.last_term)
    }
}

/// Shows `incoming=5@t2:1200` if 1200 bytes of the snapshot up to entry 5 of term 2 have come.
impl<S> fmt::Debug for Incoming<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snapshot { last_index, last_term, .. } = &self.snapshot;
        write!(f, "incoming={last_index}@t{last_term}:{}", self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::{Command, Kv};

    /// A snapshot with this many sessions and keys.
    fn snapshot(sessions: u64, keys: u64) -> Snapshot<Kv> {
        let mut snapshot =
            Snapshot::<Kv> { last_index: Index(900), last_term: Term(3), ..<_>::default() };
        for n in 1..=sessions {
            let last = (n % 2 == 0).then(|| (n, Bytes::from(vec![7; 20])));
            snapshot.sessions.put(Index(n), SessionRecord { last_used: Index(n + 1), last });
        }
        for n in 0..keys {
            let value = Bytes::from(vec![b'v'; 30]);
            snapshot.machine.execute(Command::Put(n.to_string().into(), value));
        }
        snapshot
    }

    /// All bytes of the stream.
    fn stream(snapshot: &Snapshot<Kv>, limit: usize) -> Vec<u8> {
        let (mut stream, mut part) = (Vec::new(), Some(snapshot.first_part()));
        while let Some(at) = part {
            let (bytes, next) = snapshot.encoded(&at, limit);
            stream.extend(bytes);
            part = next;
        }
        stream
    }

    #[test]
    fn a_snapshot_arrives_in_pieces_of_any_size_cut_from_parts_of_any_size() {
        for (sessions, keys) in [(0, 0), (1, 0), (0, 1), (9, 20)] {
            let sent = snapshot(sessions, keys);
            for limit in [1, 64, 300, 100_000] {
                let stream = stream(&sent, limit);
                for size in [1, 5, 64, 100_000] {
                    let mut incoming = Incoming::<Kv>::new(sent.last_index, sent.last_term);
                    for piece in stream.chunks(size) {
                        assert_ne!(incoming.rest.len(), stream.len());
                        incoming.add(piece).expect("a right piece");
                    }
                    assert_eq!(incoming.rest, "", "{sessions} sessions, {keys} keys");
                    assert_eq!(incoming.snapshot, sent);
                    assert_eq!(incoming.offset, stream.len() as u64);
                }
            }
        }
    }

    #[test]
    fn a_part_is_about_as_long_as_the_limit() {
        let sent = snapshot(100, 1000);
        let mut part = Some(sent.first_part());
        while let Some(at) = part {
            let (bytes, next) = sent.encoded(&at, 1000);
            assert!(bytes.len() < 1100, "{} bytes at {at:?}", bytes.len());
            part = next;
        }
    }

    #[test]
    fn bytes_that_are_no_part_are_refused() {
        for bytes in [&[1, 0, 0, 0, 9][..], &[2, 0, 0, 0, 1, 9], &[3, 0, 0, 0, 0, 0, 0]] {
            let mut incoming = Incoming::<Kv>::new(Index(1), Term(1));
            assert!(incoming.add(bytes).is_err(), "{bytes:?}");
        }
    }
}

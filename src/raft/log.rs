//! The replicated log of section 5.3.
//!
//! A [`Log`] maps each [`Index`] to an [`Entry`]. A leader appends entries with [`Log::append`] and reads
//! what it sends with [`Log::entries_from`]. A follower takes over a leader's entries with [`Log::merge`],
//! which deletes entries that conflict with them. For the store, `Log::changes` and `Log::apply` compute
//! and apply the difference of two logs.

use super::position::{Index, Term};
use crate::map::{DiffItem, Map};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stateright::actor::Id;
use std::fmt;

/// One entry: "command for state machine, and term when entry was received by leader".
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The term of the leader that created the entry.
    pub term: Term,
    /// The operation that the entry asks for.
    pub payload: Payload,
}

/// The operation that an entry asks for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Payload {
    /// No operation. A leader appends a no-op at the start of its term, to find out which entries are
    /// committed (section 8).
    Noop,
    /// Opens a client session. The id of the session is the index of this entry (thesis section 6.3).
    Register {
        /// The client to answer.
        client: Id,
        /// The client's number for this request.
        sequence: u64,
        /// The number of sessions above which the least recently used one is evicted. The entry carries the
        /// leader's setting, so that all servers evict alike even if their own settings differ.
        max_sessions: u32,
    },
    /// A command for the state machine.
    Command {
        /// The client to answer.
        client: Id,
        /// The session: the index of its `Register` entry.
        session: Index,
        /// The client's number for this command; a retry keeps the number.
        sequence: u64,
        /// The command: opaque bytes.
        command: Bytes,
    },
}

/// The log of one server: the entries that follow the position `start`. Two invariants hold:
///
/// - indexes are contiguous from the one after `start`;
/// - terms never decrease from one entry to the next: leaders append entries, and a leader's term is at
///   least that of any entry it holds.
///
/// A clone costs O(1), and a comparison with a recent clone O(log n). Both must be cheap, because every step
/// of the protocol clones the server and asks whether it changed.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Encoded", into = "Encoded")]
pub struct Log {
    /// The term and index of the position before the first entry: (0, 0), until entries make way for a
    /// snapshot (section 7).
    start: (Term, Index),
    entries: Map<Index, Entry>,
}

/// The fields of a log, as files contain them.
type Encoded = ((Term, Index), Map<Index, Entry>);

/// The difference between two logs, which is part of [`super::Changes`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogChanges {
    /// The next log starts at a position that the log before it knows.
    Edited {
        /// The entries that differ behind the start of the next log.
        changes: Vec<LogChange>,
        /// The index that the next log starts after.
        start: Index,
    },
    /// The two logs do not join, so here is the whole next log.
    Replaced(Log),
}

/// One entry that differs between two logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogChange {
    /// The entry at this index has been removed.
    Remove(Index),
    /// This entry has been put at this index.
    Put(Index, Entry),
}

impl Log {
    /// An empty log that starts after the position of this term and index.
    pub fn after(last_included_term: Term, last_included_index: Index) -> Self {
        Self { start: (last_included_term, last_included_index), entries: Map::new() }
    }

    /// The index that the log starts after. The log holds no entry up to there.
    pub fn start(&self) -> Index {
        self.start.1
    }

    /// The index of the last entry. For an empty log, this is the index of the position that it starts after.
    pub fn last_index(&self) -> Index {
        self.last().1
    }

    /// The term and index of the last entry, in the order in which section 5.4.1 compares two logs:
    /// "If the logs have last entries with different terms, then the log with the later term is
    /// more up-to-date. If the logs end with the same term, then whichever log is longer is more
    /// up-to-date." The order of tuples *is* that definition.
    pub fn last(&self) -> (Term, Index) {
        self.entries.last().map_or(self.start, |(index, entry)| (entry.term, *index))
    }

    /// The entry at `index`, if there is one.
    pub fn get(&self, index: Index) -> Option<&Entry> {
        self.entries.get(&index)
    }

    /// The term of the entry at `index`, if there is one. The log knows the term at the position that it
    /// starts after, too: the position before the first entry of all has term zero.
    pub fn term(&self, index: Index) -> Option<Term> {
        let (start_term, start) = self.start;
        if index == start { Some(start_term) } else { self.get(index).map(|entry| entry.term) }
    }

    /// The log with each entry replaced. Models rename the members of a cluster by it.
    pub fn map(&self, replace: impl Fn(&Entry) -> Entry) -> Self {
        let entries = self.iter().map(|(index, entry)| (index, replace(entry)));
        Self { start: self.start, entries: entries.collect() }
    }

    /// Every index with its entry, from the first to the last.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Index, &Entry)> {
        self.entries.iter().map(|(index, entry)| (*index, entry))
    }

    /// The entries from `index` on that fit both limits, but at least one entry if there is any. Otherwise
    /// an entry larger than `max_bytes` would stop replication for ever.
    pub fn entries_from(&self, index: Index, max_entries: usize, max_bytes: usize) -> Vec<Entry> {
        let mut bytes = 0;
        let mut entries = Vec::new();
        for (_, entry) in self.entries.range_from(index).take(max_entries.max(1)) {
            bytes += entry.size();
            if bytes > max_bytes && !entries.is_empty() {
                break;
            }
            entries.push(entry.clone());
        }
        entries
    }

    /// Appends one entry and returns its index.
    pub fn append(&mut self, entry: Entry) -> Index {
        let index = self.last_index().next();
        self.entries.insert(index, entry);
        index
    }

    /// Takes over a leader's `entries`, which follow the position `prev`.
    pub fn merge(&mut self, prev: Index, entries: Vec<Entry>) {
        let mut index = prev;
        for entry in entries {
            index = index.next();
            match self.term(index) {
                Some(term) if term == entry.term => {}
                // [AE-3] "If an existing entry conflicts with a new one (same index but different terms),
                // delete the existing entry and all that follow it (§5.3)". Without a conflict nothing is
                // deleted. An old, short AppendEntries may arrive late, when this server may already have
                // acknowledged the entries that follow.
                Some(_) => {
                    self.truncate_from(index);
                    self.append(entry);
                }
                // [AE-4] "Append any new entries not already in the log"
                None => {
                    self.append(entry);
                }
            }
        }
    }

    /// Removes the entry at `index` and all that follow it.
    fn truncate_from(&mut self, index: Index) {
        while self.last_index() >= index {
            self.entries.remove(&self.last_index());
        }
    }

    /// The first index that holds an entry of `term`, if any. The search takes O(log² n), because terms
    /// never decrease.
    pub fn first_index_of(&self, term: Term) -> Option<Index> {
        let index = self.first_index_where(|entry| entry.term >= term);
        self.get(index).filter(|entry| entry.term == term).map(|_| index)
    }

    /// The last index that holds an entry of `term`, if any. The search takes O(log² n), because terms
    /// never decrease.
    pub fn last_index_of(&self, term: Term) -> Option<Index> {
        let index = self.first_index_where(|entry| entry.term > term).prev();
        self.get(index).filter(|entry| entry.term == term).map(|_| index)
    }

    /// The first index whose entry satisfies a predicate that is false up to some index and true
    /// from there on. If no entry does, this is the index after the last one.
    fn first_index_where(&self, predicate: impl Fn(&Entry) -> bool) -> Index {
        let (mut low, mut high) = (self.start.1.next(), self.last_index().next());
        while low < high {
            let middle = Index(low.0.midpoint(high.0));
            if self.get(middle).is_some_and(&predicate) {
                high = middle;
            } else {
                low = middle.next();
            }
        }
        low
    }

    /// Drops the entries up to `index`, which the log holds, so that the log starts there.
    pub(super) fn drop_up_to(&mut self, index: Index) {
        let term = self.term(index).expect("a log drops entries that it holds");
        let mut first = self.start.1;
        while first < index {
            first = first.next();
            self.entries.remove(&first);
        }
        self.start = (term, index);
    }

    /// Exactly the changes that turn `self` into `next`. O(change) if one is a recent clone of the other.
    pub(super) fn changes(&self, next: &Self) -> LogChanges {
        if !self.joins(next) {
            return LogChanges::Replaced(next.clone());
        }
        let changes = self.entries.diff(&next.entries).filter_map(|item| match item {
            DiffItem::Add(index, entry) | DiffItem::Update { new: (index, entry), .. } => {
                Some(LogChange::Put(*index, entry.clone()))
            }
            DiffItem::Remove(index, _) => {
                (*index > next.start()).then_some(LogChange::Remove(*index))
            }
        });
        LogChanges::Edited { changes: changes.collect(), start: next.start() }
    }

    /// Whether this log knows the position that `next` starts after.
    pub(super) fn joins(&self, next: &Self) -> bool {
        let (term, index) = next.start;
        self.term(index) == Some(term)
    }

    /// Applies changes of entries. A change that removes an absent entry, or changes that leave a hole, are
    /// an error.
    pub(super) fn apply(&mut self, changes: Vec<LogChange>) -> Result<(), String> {
        for change in changes {
            match change {
                LogChange::Remove(index) => {
                    self.entries.remove(&index).ok_or(format!("no entry {index} to remove"))?;
                }
                LogChange::Put(index, entry) => {
                    self.entries.insert(index, entry);
                }
            }
        }
        self.check_contiguous()
    }

    /// Fails if the indexes are not contiguous from the start: the map may come from a file.
    fn check_contiguous(&self) -> Result<(), String> {
        let length = self.entries.len() as u64;
        let (start, last) = (self.start.1, self.last_index());
        let first = self.iter().next().map_or(start.next(), |(index, _)| index);
        if first == start.next() && last.0.checked_sub(start.0) == Some(length) {
            return Ok(());
        }
        Err(format!("the log has a hole: {length} entries from {first} to {last}"))
    }
}

impl TryFrom<Encoded> for Log {
    type Error = String;

    fn try_from((start, entries): Encoded) -> Result<Self, String> {
        let log = Self { start, entries };
        log.check_contiguous()?;
        Ok(log)
    }
}

impl FromIterator<Entry> for Log {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let entries = (1..).map(Index).zip(entries).collect();
        Self { start: <_>::default(), entries }
    }
}

impl From<Log> for Encoded {
    fn from(log: Log) -> Self {
        (log.start, log.entries)
    }
}

impl Entry {
    /// An upper bound of the entry's size in bytes on the wire.
    pub fn size(&self) -> usize {
        /// The tag, and five varints of at most ten bytes: term, client, session, sequence and length.
        const OVERHEAD: usize = 5 * 10 + 1;
        match &self.payload {
            Payload::Noop | Payload::Register { .. } => OVERHEAD,
            Payload::Command { command, .. } => OVERHEAD + command.len(),
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries: Vec<_> = self.iter().map(|(_, entry)| format!("{entry:?}")).collect();
        let start =
            if self.start.1 > Index(0) { format!("..{} ", self.start.1) } else { String::new() };
        write!(f, "[{start}{}]", entries.join(" "))
    }
}

/// Shows an entry as `2.noop`: first the term, then the payload.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:?}", self.term, self.payload)
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Payload::Noop => f.write_str("noop"),
            Payload::Register { client, sequence, .. } => {
                write!(f, "register({}#{sequence})", usize::from(*client))
            }
            Payload::Command { session, sequence, command, .. } => {
                write!(f, "command({session}#{sequence} {})", command.escape_ascii())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn log(terms: &[u64]) -> Log {
        terms.iter().map(|term| Entry { term: Term(*term), payload: Payload::Noop }).collect()
    }

    fn entries(terms: &[u64]) -> Vec<Entry> {
        log(terms).iter().map(|(_, entry)| entry.clone()).collect()
    }

    #[test]
    fn an_empty_log_ends_at_the_position_before_the_first_entry() {
        assert_eq!(Log::default().last(), (Term(0), Index(0)));
        assert_eq!(Log::default().term(Index(0)), Some(Term(0)));
        assert_eq!(Log::default().term(Index(1)), None);
    }

    #[test]
    fn up_to_date_is_later_term_first_then_longer_log() {
        assert!(log(&[2]).last() > log(&[1, 1, 1]).last());
        assert!(log(&[1, 1]).last() > log(&[1]).last());
    }

    /// Entries 6 to 8, of terms 2, 3 and 3, behind a position of term 2.
    #[test]
    fn a_log_may_start_after_any_position() {
        let mut log = Log { start: (Term(2), Index(5)), entries: Map::new() };
        assert_eq!(log.last(), (Term(2), Index(5)));
        log.merge(Index(5), entries(&[2, 4, 4]));
        log.merge(Index(6), entries(&[3, 3]));
        assert_eq!(log.check_contiguous(), Ok(()));
        assert_eq!(log.last(), (Term(3), Index(8)));
        let terms = [4, 5, 6, 8, 9].map(|index| log.term(Index(index)));
        assert_eq!(terms, [None, Some(Term(2)), Some(Term(2)), Some(Term(3)), None]);
        assert_eq!(log.first_index_of(Term(2)), Some(Index(6)));
        assert_eq!(log.last_index_of(Term(2)), Some(Index(6)));
        assert_eq!(log.first_index_of(Term(3)), Some(Index(7)));
        assert_eq!(log.entries_from(Index(7), 9, usize::MAX), entries(&[3, 3]));
        assert!(log.apply(vec![LogChange::Remove(Index(6))]).is_err());
    }

    #[test]
    fn merge_keeps_what_follows_a_matching_prefix() {
        let mut merged = log(&[1, 1, 2]);
        merged.merge(Index(0), entries(&[1]));
        assert_eq!(merged, log(&[1, 1, 2]));
    }

    #[test]
    fn merge_removes_a_conflicting_suffix() {
        let mut merged = log(&[1, 2, 2, 2]);
        merged.merge(Index(1), entries(&[3]));
        assert_eq!(merged, log(&[1, 3]));
    }

    #[test]
    fn a_batch_holds_at_least_one_entry_and_respects_both_limits() {
        let log = log(&[1, 1, 1, 1]);
        let size = entries(&[1])[0].size();
        assert_eq!(log.entries_from(Index(1), 9, 0).len(), 1);
        assert_eq!(log.entries_from(Index(1), 9, 2 * size).len(), 2);
        assert_eq!(log.entries_from(Index(3), 9, 9 * size).len(), 2);
        assert_eq!(log.entries_from(Index(1), 3, 9 * size).len(), 3);
        assert_eq!(log.entries_from(Index(5), 3, 9 * size).len(), 0);
    }

    #[test]
    fn the_size_of_an_entry_leaves_room_for_a_tag_and_five_numbers_of_any_length() {
        let longest = postcard::to_stdvec(&u64::MAX).unwrap().len();
        let session = Payload::Register { client: Id::from(9), sequence: 1, max_sessions: 8 };
        let command = |length| Payload::Command {
            client: Id::from(9),
            session: Index(1),
            sequence: 2,
            command: vec![0; length].into(),
        };
        for (payload, bytes) in [
            (Payload::Noop, 0),
            (session, 0),
            (command(0), 0),
            (command(1), 1),
            (command(300), 300),
        ] {
            let entry = Entry { term: Term(1), payload };
            assert_eq!(entry.size(), 1 + 5 * longest + bytes, "{entry:?}");
        }
    }

    #[test]
    fn a_change_that_removes_an_absent_entry_is_refused() {
        let remove = |indexes: &[u64]| {
            let changes = indexes.iter().map(|index| LogChange::Remove(Index(*index)));
            log(&[1, 1, 2]).apply(changes.collect())
        };
        for absent in [&[0][..], &[4], &[u64::MAX], &[3, 3], &[3, 4]] {
            let error = remove(absent).expect_err("nothing is there");
            assert!(error.starts_with("no entry "), "{absent:?}: {error}");
        }
        assert_eq!(remove(&[3]), Ok(()));
        assert_eq!(remove(&[3, 2, 1]), Ok(()));
    }

    #[test]
    fn a_log_with_a_hole_or_before_its_beginning_is_refused() {
        let entry = entries(&[1])[0].clone();
        for indexes in [&[0][..], &[2], &[0, 1], &[1, 3], &[0, 1, 3], &[u64::MAX]] {
            let put = |index: &u64| LogChange::Put(Index(*index), entry.clone());
            assert!(
                Log::default().apply(indexes.iter().map(put).collect()).is_err(),
                "{indexes:?}"
            );
            let map: Map<_, _> = indexes.iter().map(|n| (Index(*n), entry.clone())).collect();
            let bytes = postcard::to_stdvec(&((Term(0), Index(0)), map)).unwrap();
            assert!(postcard::from_bytes::<Log>(&bytes).is_err(), "{indexes:?}");
        }
        let bytes = postcard::to_stdvec(&log(&[1, 1, 2])).unwrap();
        assert_eq!(postcard::from_bytes::<Log>(&bytes).unwrap(), log(&[1, 1, 2]));
    }

    proptest! {
        #[test]
        fn first_and_last_index_of_a_term_agree_with_a_scan(
            mut terms in prop::collection::vec(1..6_u64, 0..12),
            term in 0..7_u64,
        ) {
            terms.sort_unstable();
            let log = log(&terms);
            let scan = |(index, entry): (Index, &Entry)| (entry.term == Term(term)).then_some(index);
            prop_assert_eq!(log.first_index_of(Term(term)), log.iter().find_map(scan));
            prop_assert_eq!(log.last_index_of(Term(term)), log.iter().rev().find_map(scan));
        }

        #[test]
        fn changes_are_exact(
            a in prop::collection::vec(1..4_u64, 0..12),
            b in prop::collection::vec(1..4_u64, 0..12),
            drops in (0..12_u64, 0..12_u64),
        ) {
            let (mut a, mut b) = (log(&a), log(&b));
            a.drop_up_to(a.last_index().min(Index(drops.0)));
            b.drop_up_to(b.last_index().min(Index(drops.1)));
            let mut patched = a.clone();
            match a.changes(&b) {
                LogChanges::Replaced(log) => patched = log,
                LogChanges::Edited { changes, start } => {
                    patched.apply(changes).unwrap();
                    patched.drop_up_to(start);
                }
            }
            prop_assert_eq!(patched, b);
        }
    }
}

//! Log compaction (section 7) and the InstallSnapshot RPC (Figure 13).
//!
//! A server takes a snapshot of its own state when it has applied enough entries since the last one, and
//! drops the entries that the snapshot covers, but for a margin (SNAP-1). A follower that needs a dropped
//! entry gets the snapshot in its place. The leader sends it piece by piece as [`InstallSnapshot`], one piece
//! at a time. The follower answers each piece with the number of bytes that it has
//! ([`InstallSnapshotResponse`]), and so asks for the next one. When the last piece has come, the follower
//! installs the snapshot and answers as to an AppendEntries: its log matches up to the last included index.
//! From there on the leader sends entries.
//!
//! The leader holds on to the snapshot that it sends, and keeps the entries that follow it, up to a limit
//! (SNAP-6). Otherwise a large snapshot would be out of date before it has arrived. When it has arrived, the
//! leader keeps the entries that the follower still lacks, until it has caught up.
//!
//! Pieces get lost, repeated and reordered. A follower takes only the piece that begins where its bytes end,
//! and answers every other piece with what it has. A new term starts over, for the follower forgets what an
//! earlier leader has sent. Under [`Retry::WhenLost`](super::Retry) heartbeats meanwhile are empty
//! AppendEntries about the last included entry. The follower answers them with a conflict, which tells the
//! leader that the follower can be reached. Two of these answers without a piece in between mean that it was
//! lost (SNAP-7).

use super::append_entries::{AppendEntriesResponse, Outcome};
use super::log::Log;
use super::position::{Index, Term};
use super::progress::{Leader, Progress, Sending};
use super::snapshot::{Incoming, Snapshot};
use super::state::{Role, Server};
use super::{Message, Raft};
use crate::state_machine::StateMachine;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stateright::actor::{Id, Out};
use std::ops::Range;
use std::sync::Arc;

/// The most entries that a server drops with one snapshot, unless the snapshot covers half as many new ones.
/// A leader that has held many entries drops them with the next few snapshots, because dropping takes time,
/// and its followers wait for heartbeats.
const DROPPED_AT_ONCE: u64 = 50_000;

/// After losses, the leader doubles the pieces again whenever this many more bytes have arrived.
const GROWS_EVERY: u64 = 1 << 20;

/// The arguments of InstallSnapshot (Figure 13).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstallSnapshot {
    /// "leader's term"
    pub term: Term,
    /// "the snapshot replaces all entries up through and including this index"
    pub last_included_index: Index,
    /// "term of lastIncludedIndex"
    pub last_included_term: Term,
    /// "byte offset where chunk is positioned in the snapshot file"
    pub offset: u64,
    /// "raw bytes of the snapshot chunk, starting at offset"
    pub data: Bytes,
    /// "true if this is the last chunk"
    pub done: bool,
}

/// The results of InstallSnapshot. A follower that has the whole snapshot answers with an
/// [`AppendEntriesResponse`] instead.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstallSnapshotResponse {
    /// "currentTerm, for leader to update itself"
    pub term: Term,
    /// The snapshot that the answer is about.
    pub last_included_index: Index,
    /// The number of bytes that the follower has of it, or of a later snapshot: the offset that it waits for.
    pub offset: u64,
}

impl InstallSnapshot {
    /// Whether a correct leader can have sent these arguments.
    pub(super) fn is_well_formed(&self) -> bool {
        self.term.is_real()
            && self.last_included_term.is_real()
            && self.last_included_term <= self.term
            && (1..1 << 63).contains(&self.last_included_index.0)
            && self.offset < 1 << 63
    }
}

// ---- every server ----

impl<S: StateMachine> Raft<S> {
    /// [SNAP-1] "each server takes snapshots independently, covering just the committed entries in its log"
    /// (§7). A server takes one when it has applied `snapshot_after` entries since the last one, or
    /// `snapshot_after_bytes`. It then drops the entries up to there, but for the last `snapshot_margin`,
    /// which slow followers may need.
    pub(super) fn take_snapshot_if_due(&self, server: &mut Server<S>) {
        let Some(snapshot_after) = self.parameters.snapshot_after else { return };
        let last_index = server.last_applied;
        let new = last_index.0.saturating_sub(server.persistent.snapshot.last_index.0);
        if new < snapshot_after && server.applied_bytes < self.parameters.snapshot_after_bytes {
            return;
        }
        server.applied_bytes = 0;
        let last_term = server.persistent.log.term(last_index);
        server.persistent.snapshot = Arc::new(Snapshot {
            last_index,
            last_term: last_term.expect("an applied entry after the snapshot is in the log"),
            sessions: server.sessions.clone(),
            machine: server.machine.clone(),
        });
        self.compact_log(server, new);
    }

    /// Drops what the log need not hold any more, after a snapshot that covers `new` entries more.
    fn compact_log(&self, server: &mut Server<S>, new: u64) {
        let covered = server.persistent.snapshot.last_index;
        let before = |entries: u64| Index(covered.0.saturating_sub(entries));
        let limit = before(self.parameters.snapshot_hold);
        let margin = before(self.parameters.snapshot_margin);
        // [SNAP-6] A leader keeps the entries after a snapshot of which a follower has a piece, but at most
        // `snapshot_hold`. When that snapshot has arrived, it keeps the entries that the follower lacks until
        // the margin is enough. Otherwise a follower that is far behind would soon need the next snapshot.
        let held = match &mut server.role {
            Role::Leader(leader) => leader.held_after(limit..margin).unwrap_or(margin),
            _ => margin,
        };
        let start = server.persistent.log.start();
        let at_once = DROPPED_AT_ONCE.max(new.saturating_mul(2));
        let at_once = Index(start.0.saturating_add(at_once));
        let up_to = margin.min(held.max(limit)).min(at_once);
        if up_to > start {
            server.persistent.log.drop_up_to(up_to);
        }
    }
}

// ---- leaders ----

impl<S: StateMachine> Raft<S> {
    /// Sends the snapshot to a follower that needs an entry that the log no longer holds.
    ///
    /// [SNAP-3] "the leader must occasionally send snapshots to followers that lag behind. This happens when
    /// the leader has already discarded the next log entry that it needs to send to a follower." (§7)
    pub(super) fn begin_snapshot(&self, server: &mut Server<S>, follower: Id, o: &mut Out<Self>) {
        let snapshot = server.persistent.snapshot.clone();
        let progress = server.role.progress(follower);
        let losses = progress.attempt.map_or(0, |attempt| attempt.losses);
        progress.next_index = snapshot.last_index.next();
        progress.attempt = None;
        let losses = losses.min(self.parameters.halvings());
        progress.sending = Some(Sending::from_start(snapshot, losses));
        self.send_piece(server, follower, o);
    }

    /// Sends the piece that the follower waits for, as far as the leader knows.
    pub(super) fn send_piece(&self, server: &mut Server<S>, follower: Id, o: &mut Out<Self>) {
        let term = server.persistent.current_term;
        let sending = server.role.progress(follower).sending.as_ref();
        let sending = sending.expect("a piece belongs to a snapshot on its way");
        let limit = self.parameters.batch_bytes(sending.losses);
        let (piece, done) = sending.piece(self.parameters.max_bytes, limit);
        let Snapshot { last_index, last_term, .. } = *sending.snapshot;
        let args = InstallSnapshot {
            term,
            last_included_index: last_index,
            last_included_term: last_term,
            offset: sending.offset,
            data: piece,
            done,
        };
        o.send(follower, Message::InstallSnapshot(args));
    }

    /// Acts on the answer to a heartbeat: the follower can be reached, and lacks the last included entry.
    ///
    /// [SNAP-7] The second such answer makes the leader send the piece again, half as long, and so does each
    /// answer after it.
    pub(super) fn doubt_piece(&self, server: &mut Server<S>, follower: Id, o: &mut Out<Self>) {
        let halvings = self.parameters.halvings();
        let sending = server.role.progress(follower).sending.as_mut();
        let sending = sending.expect("a heartbeat asked about a snapshot on its way");
        sending.doubts = (sending.doubts + 1).min(Sending::<S>::LOST);
        if sending.doubts == Sending::<S>::LOST {
            sending.losses = (sending.losses + 1).min(halvings);
            self.send_piece(server, follower, o);
        }
    }

    /// The leader's side of InstallSnapshot.
    ///
    /// [SNAP-4] The follower's answer asks for the piece that follows. An answer that asks for the first one
    /// again counts only after a repetition: the follower has forgotten the rest. All other answers are old.
    pub(super) fn handle_install_snapshot_response(
        &self,
        server: &mut Server<S>,
        follower: Id,
        args: InstallSnapshotResponse,
        o: &mut Out<Self>,
    ) {
        if args.term != server.persistent.current_term || !server.is_leader() {
            return;
        }
        self.note_heard(server, follower);
        let max_bytes = self.parameters.max_bytes;
        let Some(sending) = &mut server.role.progress(follower).sending else { return };
        if args.last_included_index != sending.snapshot.last_index {
            return;
        }
        let moved = if args.offset > sending.offset {
            sending.advance_to(args.offset, max_bytes)
        } else if args.offset == 0 && sending.offset > 0 && sending.doubts == Sending::<S>::LOST {
            *sending = Sending::from_start(sending.snapshot.clone(), sending.losses);
            true
        } else {
            false
        };
        if moved {
            self.send_piece(server, follower, o);
        }
    }
}

impl<S: StateMachine> Sending<S> {
    fn from_start(snapshot: Arc<Snapshot<S>>, losses: u32) -> Self {
        let part = snapshot.first_part();
        Self { snapshot, part, part_offset: 0, offset: 0, losses, doubts: 0 }
    }

    /// The piece at `offset`, of at most `limit` bytes, and whether it is the last one. A piece ends where
    /// its part ends. Parts are cut by `max_bytes`, so that a loss moves no border between parts.
    fn piece(&self, max_bytes: usize, limit: usize) -> (Bytes, bool) {
        let (bytes, next) = self.snapshot.encoded(&self.part, max_bytes);
        let from = usize::try_from(self.offset - self.part_offset).expect("a part fits the memory");
        let to = bytes.len().min(from.saturating_add(limit));
        (Bytes::copy_from_slice(&bytes[from..to]), to == bytes.len() && next.is_none())
    }

    /// Moves on to the piece at `offset`. Returns false if neither this part nor the beginning of the next
    /// one has such a piece.
    ///
    /// Pieces grow with each MiB, so that a few losses do not slow down the rest of a transfer of hours.
    fn advance_to(&mut self, offset: u64, max_bytes: usize) -> bool {
        let (bytes, next) = self.snapshot.encoded(&self.part, max_bytes);
        let end = self.part_offset + bytes.len() as u64;
        match next {
            _ if offset < end => {}
            Some(next) if offset == end => (self.part, self.part_offset) = (next, end),
            _ => return false, // no piece begins there
        }
        let grows = offset / GROWS_EVERY > self.offset / GROWS_EVERY;
        self.losses = self.losses.saturating_sub(grows.into());
        (self.offset, self.doubts) = (offset, 0);
        true
    }
}

impl<S> Sending<S> {
    /// This many doubts mean that the piece was lost.
    const LOST: u8 = 2;

    /// Notes that the piece is sent again: from now on an answer may ask for the first piece.
    pub(super) fn was_repeated(&mut self) {
        self.doubts = Self::LOST;
    }
}

impl<S> Leader<S> {
    /// The first position after which a follower needs entries because of a snapshot. A follower stops
    /// catching up when its `match_index` has left `range`: it needs no hold any more, or the next snapshot.
    fn held_after(&mut self, range: Range<Index>) -> Option<Index> {
        for progress in self.followers.values_mut() {
            progress.catches_up &= range.contains(&progress.match_index);
        }
        self.followers.values().filter_map(Progress::held_after).min()
    }
}

impl<S> Progress<S> {
    /// The position after which the follower needs entries because of a snapshot, if there is one. A follower
    /// that has not answered any piece may be down, so nothing is held for it.
    fn held_after(&self) -> Option<Index> {
        match &self.sending {
            Some(sending) => (sending.offset > 0).then_some(sending.snapshot.last_index),
            None => self.catches_up.then_some(self.match_index),
        }
    }

    /// Notes that the follower's log matches up to `index`: it needs no snapshot up to there any more. The
    /// leader's own snapshot covers the entries up to `covered`.
    pub(super) fn has_arrived(&mut self, index: Index, covered: Index) {
        if self.sending.take_if(|sending| sending.snapshot.last_index <= index).is_some() {
            self.catches_up = index < covered;
        }
    }
}

// ---- followers ----

impl<S: StateMachine> Raft<S> {
    /// The receiver's side of InstallSnapshot. `update_term` has run before, so `args.term <= current_term`.
    pub(super) fn handle_install_snapshot(
        &self,
        server: &mut Server<S>,
        leader: Id,
        args: InstallSnapshot,
        o: &mut Out<Self>,
    ) {
        let InstallSnapshot { term, last_included_index, last_included_term, .. } = args;
        let current_term = server.persistent.current_term;
        // [IS-1] "Reply immediately if term < currentTerm"
        if term < current_term {
            let response =
                InstallSnapshotResponse { term: current_term, last_included_index, offset: 0 };
            return o.send(leader, Message::InstallSnapshotResponse(response));
        }
        // Election Safety excludes two leaders of one term, so the message is forged.
        if server.is_leader() {
            return;
        }
        if let Some(disagreement) =
            server.disagreement_at(leader, term, last_included_index, last_included_term)
        {
            return Self::halt(server, disagreement, o);
        }
        self.become_follower(server, Some(leader), o);
        self.reset_election_timer(o); // part of FOL-2

        let matches = |o: &mut Out<Self>| {
            let outcome = Outcome::Match(last_included_index);
            let response = AppendEntriesResponse { term, outcome, round: 0 };
            o.send(leader, Message::AppendEntriesResponse(response));
        };
        // Everything in a snapshot is committed, and this server has committed as much.
        if last_included_index <= server.commit_index {
            server.incoming.take_if(|it| it.snapshot.last_index <= last_included_index);
            return matches(o);
        }
        // [IS-6] "If existing log entry has same index and term as snapshot's last included entry, retain log
        // entries following it and reply". The log holds all that the snapshot covers, so the server applies
        // that, and needs no piece of the snapshot.
        if server.persistent.log.term(last_included_index) == Some(last_included_term) {
            server.commit_index = last_included_index;
            server.incoming = None;
            self.apply_committed(server, o);
            return matches(o);
        }
        if let Some(snapshot) = Self::receive_piece(server, args) {
            Self::install(server, snapshot);
            return matches(o);
        }
        let offset = server.incoming.as_ref().map_or(0, |incoming| incoming.offset);
        let response = InstallSnapshotResponse { term, last_included_index, offset };
        o.send(leader, Message::InstallSnapshotResponse(response));
    }

    /// Adds a piece to what has come. Returns the snapshot if that completes it.
    fn receive_piece(server: &mut Server<S>, args: InstallSnapshot) -> Option<Arc<Snapshot<S>>> {
        let InstallSnapshot { last_included_index, last_included_term, offset, data, done, .. } =
            args;
        let position = (last_included_index, last_included_term);
        let begun = server.incoming.as_ref().filter(|it| it.position() == position);
        // [IS-2] "Create new snapshot file if first chunk (offset is 0)". A leader starts over with a later
        // snapshot only, so a piece of an earlier one is old.
        let mut incoming = match begun {
            Some(begun) => Incoming::clone(begun),
            None if server.incoming.as_ref().is_some_and(|it| it.position() > position) => {
                return None;
            }
            None => Incoming::new(last_included_index, last_included_term),
        };
        // [IS-3] "Write data into snapshot file at given offset". Only the piece that follows is written.
        if offset != incoming.offset || incoming.add(&data).is_err() {
            return None;
        }
        // [IS-4] "Reply and wait for more data chunks if done is false"
        if done {
            server.incoming = None;
            return incoming.rest.is_empty().then(|| Arc::new(incoming.snapshot));
        }
        server.incoming = Some(Arc::new(incoming));
        None
    }

    /// Takes over the snapshot of another server.
    fn install(server: &mut Server<S>, snapshot: Arc<Snapshot<S>>) {
        // [IS-7] "Discard the entire log"
        server.persistent.log = Log::after(snapshot.last_term, snapshot.last_index);
        // [IS-8] "Reset state machine using snapshot contents (and load snapshot's cluster configuration)"
        server.commit_index = snapshot.last_index;
        server.last_applied = snapshot.last_index;
        server.applied_bytes = 0;
        server.sessions = snapshot.sessions.clone();
        server.machine = snapshot.machine.clone();
        // [IS-5] "Save snapshot file, discard any existing or partial snapshot with a smaller index". `step`
        // does the save.
        server.persistent.snapshot = snapshot;
    }
}

impl<S> Incoming<S> {
    /// The last included index and its term.
    fn position(&self) -> (Index, Term) {
        (self.snapshot.last_index, self.snapshot.last_term)
    }
}

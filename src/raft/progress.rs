//! What a leader knows of each follower: Figure 2's "volatile state on leaders".
//!
//! A server that wins an election makes a [`Leader`], which owns one [`Progress`] for each other member. The
//! answers of a follower change its `Progress` (LDR-3a and LDR-3b in `append_entries.rs`). `retry.rs` has the
//! rules for the [`Attempt`] inside it.

use super::log::Log;
use super::position::Index;
use super::read_index::Read;
use super::snapshot::{Place, Snapshot};
use super::state::Role;
use super::transfer::Transfer;
use serde::{Deserialize, Serialize};
use stateright::actor::Id;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// "Volatile state on leaders (Reinitialized after election)": the progress of each *other* member.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Leader<S> {
    /// The progress of each follower, by its id.
    pub followers: BTreeMap<Id, Progress<S>>,
    /// The number of rounds that the leader has begun to make sure that it leads (READ-2).
    pub round: u64,
    /// The reads that wait, in the order in which they came.
    pub reads: Vec<Read>,
    /// The transfer of the leadership that is under way, if one is.
    pub transfer: Option<Transfer>,
}

/// What a leader knows of one follower's log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Progress<S> {
    /// "for each server, index of the next log entry to send to that server (initialized to
    /// leader last log index + 1)"
    pub next_index: Index,
    /// "for each server, index of highest log entry known to be replicated on server
    /// (initialized to 0, increases monotonically)"
    pub match_index: Index,
    /// The entries that the leader has sent and the follower has not answered, and how often entries were
    /// lost. The field is `None` for a follower that has caught up, and always under
    /// [`Retry::EveryHeartbeat`](super::Retry::EveryHeartbeat).
    pub attempt: Option<Attempt>,
    /// The snapshot that the leader sends, if the follower needs entries that the leader's log no longer
    /// holds. Meanwhile `next_index` is the index after the snapshot.
    pub sending: Option<Sending<S>>,
    /// Whether the leader holds the entries after `match_index` (SNAP-6). A snapshot has arrived at the
    /// follower, and the leader had taken a later one by then.
    pub catches_up: bool,
    /// The latest round that the follower has answered.
    pub round: u64,
    /// Whether the follower has answered since the leader last looked whether it hears a majority (CQ-1).
    /// Always false without check-quorum.
    pub is_heard: bool,
}

/// A snapshot on its way to one follower. The leader keeps the snapshot, although it may take a later one
/// meanwhile: otherwise a large snapshot would never arrive.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sending<S> {
    /// The snapshot that is sent.
    pub snapshot: Arc<Snapshot<S>>,
    /// The part of the snapshot that the next piece is cut from.
    pub part: Place,
    /// The number of bytes of the snapshot before that part.
    pub part_offset: u64,
    /// The number of bytes that the follower has: the offset of the piece that is on its way.
    pub offset: u64,
    /// The number of losses, with those of the entries that the leader sent before. The leader stops counting
    /// where a larger number would change nothing, and counts one down with each MiB that has arrived.
    pub losses: u32,
    /// The number of heartbeats that the follower has answered since its last answer to a piece, at most 2. A
    /// repetition of the piece sets it to 2.
    pub doubts: u8,
}

impl<S> Leader<S> {
    /// A leader that has just been elected, and whose log ends at `last_log_index`.
    pub(super) fn elected(followers: impl Iterator<Item = Id>, last_log_index: Index) -> Self {
        let progress = || Progress {
            next_index: last_log_index.next(),
            match_index: Index(0),
            attempt: None,
            sending: None,
            catches_up: false,
            round: 0,
            is_heard: false,
        };
        let followers = followers.map(|follower| (follower, progress())).collect();
        Self { followers, round: 0, reads: Vec::new(), transfer: None }
    }
}

impl<S> Default for Leader<S> {
    /// A leader without followers.
    fn default() -> Self {
        Self { followers: BTreeMap::new(), round: 0, reads: Vec::new(), transfer: None }
    }
}

impl<S> Role<S> {
    /// A leader's knowledge of a follower.
    ///
    /// # Panics
    ///
    /// Panics unless the server leads and the follower is another member. The rules for leaders are called
    /// for nobody else.
    pub(super) fn progress(&mut self, follower: Id) -> &mut Progress<S> {
        let Self::Leader(leader) = self else {
            panic!("a rule for leaders was called on {self:?}")
        };
        let progress = leader.followers.get_mut(&follower);
        progress.expect("a leader knows the progress of each other member")
    }
}

impl<S> Progress<S> {
    /// Whether the leader has sent the follower entries or a piece of a snapshot, and waits for the answer.
    pub(super) fn awaits_answer(&self) -> bool {
        self.sending.is_some() || self.attempt.is_some_and(|attempt| attempt.last.is_some())
    }
}

/// The last AppendEntries that carried entries, if the follower has not answered it, and how often earlier
/// ones were lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// The index of the last entry of that AppendEntries. `None` during a pause, and once the follower has
    /// answered but still lacks entries.
    pub last: Option<Index>,
    /// The number of AppendEntries that were lost since the follower last had the whole log. The leader
    /// stops counting where a larger number would change nothing.
    pub losses: u32,
    /// The number of heartbeats until entries are sent again: at 1, the next heartbeat carries them.
    pub pause: u32,
}

impl Attempt {
    /// Notes that the follower's log matches the leader's up to `index`. Returns the attempt as it is then,
    /// or `None` once this answer shows that the follower has the whole log.
    pub(super) fn answered(self, index: Index, log: &Log) -> Option<Self> {
        let is_answer = self.last.is_none_or(|last| index >= last);
        match (is_answer, index == log.last_index()) {
            (false, _) => Some(self),
            (true, true) => None,
            (true, false) => Some(Self { last: None, ..self }),
        }
    }
}

/// Shows `..5` while an answer about entry 5 is awaited, and `..5/2` if there were two losses. Shows `-/9+3`
/// after nine losses, if entries are sent again in 3 heartbeats.
impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last {
            Some(last) => write!(f, "..{last}")?,
            None => f.write_str("-")?,
        }
        if self.losses > 0 {
            write!(f, "/{}", self.losses)?;
        }
        if self.pause > 0 {
            write!(f, "+{}", self.pause)?;
        }
        Ok(())
    }
}

/// Shows `5@1200/2?`: the snapshot up to entry 5, of which 1200 bytes have arrived, after two losses and with
/// one doubt.
impl<S> fmt::Display for Sending<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.snapshot.last_index, self.offset)?;
        if self.losses > 0 {
            write!(f, "/{}", self.losses)?;
        }
        f.write_str(&"?".repeat(self.doubts.into()))
    }
}

impl<S> fmt::Debug for Sending<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Shows `next={1:3 2:2} match={1:2 2:0}`, `unanswered={1:..2}` if answers are awaited,
/// `sending={2:5@1200}` if a snapshot is on its way, and `held={2:5}` if the entries after the fifth are held
/// for a follower that catches up. Under check-quorum this shows who was heard, as in `heard={1}`. Once there
/// was a read, this shows the rounds as in
/// `round=2 answered={1:2 2:1}`, and each read that waits. Here `read=9#4:r2@3` is number 4 of client 9,
/// which waits for round 2 and for entry 3.
impl<S> fmt::Debug for Leader<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn of_each<T: fmt::Display>(values: impl Iterator<Item = (Id, T)>) -> String {
            let pairs: Vec<_> =
                values.map(|(id, it)| format!("{}:{it}", usize::from(id))).collect();
            pairs.join(" ")
        }
        let all = || self.followers.iter().map(|(id, progress)| (*id, progress));
        let sending = of_each(all().filter_map(|(id, it)| Some((id, it.sending.as_ref()?))));
        let held = all().filter(|(_, it)| it.catches_up);
        let held = of_each(held.map(|(id, it)| (id, it.match_index)));
        write!(f, " next={{{}}}", of_each(all().map(|(id, it)| (id, it.next_index))))?;
        write!(f, " match={{{}}}", of_each(all().map(|(id, it)| (id, it.match_index))))?;
        let rounds = of_each(all().filter(|_| self.round > 0).map(|(id, it)| (id, it.round)));
        let unanswered = of_each(all().filter_map(|(id, it)| Some((id, it.attempt?))));
        let heard = all().filter(|(_, it)| it.is_heard).map(|(id, _)| usize::from(id).to_string());
        let heard = heard.collect::<Vec<_>>().join(" ");
        let lists =
            [("unanswered", unanswered), ("sending", sending), ("held", held), ("heard", heard)];
        for (name, value) in lists {
            if !value.is_empty() {
                write!(f, " {name}={{{value}}}")?;
            }
        }
        if self.round > 0 {
            write!(f, " round={} answered={{{rounds}}}", self.round)?;
        }
        if let Some(Transfer { to, client, sequence }) = self.transfer {
            write!(f, " transfer={}:{}#{sequence}", usize::from(to), usize::from(client))?;
        }
        for Read { client, sequence, round, index, .. } in &self.reads {
            write!(f, " read={}#{sequence}:r{round}@{index}", usize::from(*client))?;
        }
        Ok(())
    }
}

//! The verdicts on what the running servers do.
//!
//! A replay of a trace says that the checked actor did what the server did. [`Verdicts`] asks more: do the
//! properties of the models hold of it? A node writes a call to its trace before it saves what the call
//! changed. If it is killed between the two, the call is undone, and nobody has heard of it. So a
//! [`Settling`] keeps the calls of a batch until the trace tells that the batch was saved.

use checked_raft::kv::Kv;
use checked_raft::models::observed::{Call, CallEvent, Observed};
use checked_raft::raft::{Message, Parameters, Persistent, Raft};
use checked_raft::runtime::Event;
use checked_raft::runtime::trace::{Accepted, Rejected, Replayed};
use checked_raft::runtime::wire::CLIENTS;
use serde::Serialize;
use stateright::actor::{Command, Id};
use std::collections::BTreeMap;

/// The verdicts on all servers.
#[derive(Default)]
pub(super) struct Verdicts {
    pub(super) observed: Observed<Kv>,
    /// How many messages of a kind have come from one server to another.
    pub(super) arrived: BTreeMap<(u64, u64, &'static str), u64>,
    /// How many messages of a kind one server has sent to another.
    pub(super) sent: BTreeMap<(u64, u64, &'static str), u64>,
}

/// The replay of one trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Followed {
    pub(super) accepted: Accepted,
    /// Calls of which the server's store has kept nothing, since the server was killed before the save.
    pub(super) undone: u64,
    /// The bytes of the trace that were read, and its size when they were.
    pub(super) read: u64,
    pub(super) size: u64,
    /// Why nothing more is replayed, if that is so.
    pub(super) end: Option<End>,
}

/// The end of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The actor does something else than the server did.
    Rejected(Rejected),
    /// The trace cannot be judged, for this reason.
    Unreadable(String),
    /// The trace has reached its limit.
    Limit,
}

/// The calls of a server that may still be undone.
#[derive(Default)]
pub(super) struct Settling {
    /// The calls of the latest batch, each with its line.
    pending: Vec<(u64, Call<Kv>)>,
    batch: u64,
    /// The value that the store holds if the latest batch was saved.
    saved: Option<Persistent<Kv>>,
}

impl Settling {
    /// Takes the next call. Returns the calls that are settled now, and how many were undone.
    pub(super) fn take(&mut self, replayed: Replayed<Raft<Kv>>) -> (Vec<(u64, Call<Kv>)>, u64) {
        let Replayed { line, batch, event, after, out, .. } = replayed;
        let (mut settled, mut undone) = (Vec::new(), 0);
        let event = match event {
            Event::Start { storage } => {
                let batch_before = std::mem::take(&mut self.pending);
                if storage == self.saved {
                    settled = batch_before;
                } else {
                    undone = batch_before.len() as u64;
                }
                self.saved.clone_from(&storage);
                CallEvent::Start(storage)
            }
            event => {
                if batch > self.batch {
                    settled = std::mem::take(&mut self.pending);
                }
                match event {
                    Event::Message { src, msg } => CallEvent::Deliver(src, msg),
                    Event::Timeout(timer) => CallEvent::Timeout(timer),
                    Event::Start { .. } => unreachable!("a start was taken above"),
                }
            }
        };
        self.batch = batch;
        let out: Vec<_> = out.into_iter().collect();
        for command in &out {
            if let Command::Save(value) = command {
                self.saved = Some(value.clone());
            }
        }
        self.pending.push((line, Call { event, after, out }));
        (settled, undone)
    }
}

impl Verdicts {
    /// Judges a settled call of a server.
    pub(super) fn judge(&mut self, who: Id, line: u64, call: Call<Kv>, parameters: &Parameters) {
        if let CallEvent::Deliver(src, msg) = &call.event {
            count(&mut self.arrived, *src, who, msg);
        }
        for command in &call.out {
            if let Command::Send(to, msg) = command {
                count(&mut self.sent, who, *to, msg);
            }
        }
        self.observed.take(who, line, call, parameters);
    }
}

/// Counts a message between two servers.
fn count(
    counts: &mut BTreeMap<(u64, u64, &'static str), u64>,
    from: Id,
    to: Id,
    message: &Message,
) {
    let [from, to] = [from, to].map(|id| usize::from(id) as u64);
    if let Some(kind) = kind(message)
        && from < CLIENTS
        && to < CLIENTS
    {
        *counts.entry((from, to, kind)).or_default() += 1;
    }
}

/// The kind of a message between servers, as the page draws it.
fn kind(message: &Message) -> Option<&'static str> {
    match message {
        Message::PreVote(_) | Message::RequestVote(_) => Some("candidacy"),
        Message::PreVoteResponse(_) | Message::RequestVoteResponse(_) => Some("vote"),
        Message::AppendEntries(args) if args.entries.is_empty() => Some("heartbeat"),
        Message::AppendEntries(_) => Some("entries"),
        Message::AppendEntriesResponse(_) | Message::InstallSnapshotResponse(_) => Some("answer"),
        Message::InstallSnapshot(_) => Some("snapshot"),
        Message::TimeoutNow(_) => Some("handover"),
        Message::ClientRequest(_) | Message::ClientResponse(_) => None,
    }
}

/// The replay of one trace, as the page is told.
#[derive(Serialize)]
pub(super) struct ToldTrace<'a> {
    /// `accept`, `reject` or `unreadable`.
    verdict: &'static str,
    records: u64,
    starts: u64,
    delivers: u64,
    timeouts: u64,
    saves: u64,
    sends: u64,
    undone: u64,
    /// The bytes of the trace that were replayed, and those that are left.
    bytes: u64,
    behind: u64,
    is_full: bool,
    rejected: Option<ToldRejection<'a>>,
    error: Option<&'a str>,
}

/// The first record that the actor does not reproduce.
#[derive(Serialize)]
struct ToldRejection<'a> {
    line: u64,
    field: &'static str,
    expected: &'a str,
    seen: &'a str,
}

impl<'a> ToldTrace<'a> {
    pub(super) fn of(followed: &'a Followed) -> Self {
        let Accepted { records, starts, delivers, timeouts, saves, sends } = followed.accepted;
        let (verdict, rejected, error) = match &followed.end {
            None | Some(End::Limit) => ("accept", None, None),
            Some(End::Rejected(Rejected { line, field, expected, seen })) => {
                ("reject", Some(ToldRejection { line: *line, field, expected, seen }), None)
            }
            Some(End::Unreadable(error)) => ("unreadable", None, Some(&error[..])),
        };
        Self {
            verdict,
            records,
            starts,
            delivers,
            timeouts,
            saves,
            sends,
            undone: followed.undone,
            bytes: followed.read,
            behind: followed.size.saturating_sub(followed.read),
            is_full: followed.end == Some(End::Limit),
            rejected,
            error,
        }
    }
}

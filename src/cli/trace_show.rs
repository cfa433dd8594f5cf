//! `raft trace --show`: prints what several servers did, in one order that respects causality.
//!
//! Each trace is replayed only as far as it is needed, so no trace is in memory as a whole. A record that
//! receives a message waits until the trace of the sender has come to a record that sends it. Among the
//! records that need not wait, the one with the smallest Lamport time is next. Traces have no clocks, so
//! nobody knows which came first of two records that do not depend on each other.

use super::Failure;
use super::trace::{Noting, Verdict};
use checked_raft::deploy::{TraceSteps, trace_steps};
use checked_raft::kv::Kv;
use checked_raft::models::text::Text;
use checked_raft::raft::{Message, Persistent, Raft, Server};
use checked_raft::runtime::Event;
use checked_raft::runtime::trace::{NotAccepted, Replayed};
use checked_raft::runtime::wire::CLIENTS;
use siphasher::sip128::SipHasher13;
use stateright::actor::{Command, Id};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, BufReader, Write};
use std::path::Path;

/// The most messages that are remembered until their receiver comes to them. Lost ones count as well.
const MOST_UNDER_WAY: usize = 1 << 16;
/// The most characters of a part of a line.
const MOST_CHARACTERS: usize = 160;

/// A record of a trace, replayed.
pub(super) type Record = Replayed<Raft<Kv>>;

/// A record of a trace, in the order of all traces.
pub(super) struct Shown<'a> {
    /// The number of the server.
    pub(super) server: Id,
    /// The record, replayed.
    pub(super) record: &'a Record,
    /// The way in which it came to be next.
    pub(super) how: How,
    /// The state before it, if any is known.
    pub(super) before: Option<&'a Server<Kv>>,
    /// Whether the trace is not followed any further, because the actor did otherwise.
    is_given_up: bool,
}

/// Writes all steps of the traces, a line each. Returns the verdict on each trace.
pub(super) fn show<'p>(
    paths: impl Iterator<Item = &'p Path>,
    out: &mut dyn Write,
) -> Result<Vec<Verdict>, Failure> {
    each(paths, &mut |shown| shown.write(out))
}

/// Calls `visit` for each record of the traces. Returns the verdict on each trace.
pub(super) fn each<'p>(
    paths: impl Iterator<Item = &'p Path>,
    visit: &mut dyn FnMut(&Shown<'_>) -> io::Result<()>,
) -> Result<Vec<Verdict>, Failure> {
    let mut traces = Vec::new();
    for path in paths {
        traces.push(Trace::open(path)?);
    }
    refuse_mixtures(&traces)?;
    let mut merge = Merge { traces, under_way: UnderWay::default() };
    while let Some(next) = merge.next() {
        let how = merge.step(next);
        merge.visit(next, how, visit)?;
    }
    Ok(merge.traces.into_iter().map(|trace| trace.verdict).collect())
}

/// A trace, replayed up to its next record.
struct Trace<'p> {
    path: &'p Path,
    steps: TraceSteps<Kv, BufReader<Noting>>,
    /// The record that comes next, with the digest of the message that it receives.
    head: Option<(Record, Option<u128>)>,
    /// The number of the server.
    server: Id,
    cluster: String,
    /// The Lamport time of the last record.
    time: u64,
    /// The last state, which a start does not know.
    last: Option<Server<Kv>>,
    /// The verdict on the trace, once it has ended.
    verdict: Verdict,
    /// The record that was just taken.
    taken: Option<Record>,
}

/// The way in which a record came to be next.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// It waits for nothing.
    Plainly,
    /// It receives a message that was received before.
    Again,
    /// It receives a message that no record so far sends.
    Unsent,
}

impl<'p> Trace<'p> {
    fn open(path: &'p Path) -> Result<Self, Failure> {
        let refused = |error: &dyn std::fmt::Display| {
            Failure::Refused(format!(
                "{}: {error}; name traces of `raft node --trace`",
                path.display()
            ))
        };
        let file = Noting::open(path).map_err(|error| refused(&error))?;
        let steps = trace_steps::<Kv, _>(BufReader::new(file));
        let verdict = Verdict::Accept(steps.accepted());
        let mut trace = Self {
            path,
            steps,
            head: None,
            server: Id::from(0),
            cluster: String::new(),
            time: 0,
            last: None,
            verdict,
            taken: None,
        };
        trace.read();
        match (trace.steps.origin(), &trace.verdict) {
            (Some(origin), _) => {
                let number = usize::try_from(origin.server).map_err(|error| refused(&error))?;
                (trace.server, trace.cluster) = (Id::from(number), origin.cluster.clone());
                Ok(trace)
            }
            (None, Verdict::Reject(rejected)) => Err(refused(rejected)),
            (None, Verdict::Unreadable(error)) => Err(refused(error)),
            (None, Verdict::Accept(_)) => Err(refused(&"it has no record")),
        }
    }

    /// Replays the next record.
    fn read(&mut self) {
        let next = self.steps.next();
        let failed = self.steps.reader().get_ref().failure();
        (self.head, self.verdict) = match (failed, next) {
            (Some(error), _) => (None, Verdict::Unreadable(error)),
            (None, Some(Err(NotAccepted::Rejected(rejected)))) => (None, Verdict::Reject(rejected)),
            (None, Some(Err(error))) => (None, Verdict::Unreadable(error.to_string())),
            (None, Some(Ok(record))) => {
                let digest = match &record.event {
                    Event::Message { msg, .. } => Some(digest(msg)),
                    Event::Start { .. } | Event::Timeout(_) => None,
                };
                (Some((record, digest)), Verdict::Accept(self.steps.accepted()))
            }
            (None, None) => (None, Verdict::Accept(self.steps.accepted())),
        };
    }
}

/// Two traces of one server, or of two clusters, have no order between them.
fn refuse_mixtures(traces: &[Trace<'_>]) -> Result<(), Failure> {
    for (n, trace) in traces.iter().enumerate() {
        let (path, server) = (trace.path.display(), usize::from(trace.server));
        for other in &traces[..n] {
            let before = other.path.display();
            if other.cluster != trace.cluster {
                return Err(Failure::Refused(format!(
                    "{before} is a trace of cluster {:?}, and {path} one of {:?}: show one cluster at a time",
                    other.cluster, trace.cluster
                )));
            }
            if other.server == trace.server {
                return Err(Failure::Refused(format!(
                    "{before} and {path} are both traces of server {server}: give one of each server"
                )));
            }
        }
    }
    Ok(())
}

fn digest(msg: &Message) -> u128 {
    let bytes = postcard::to_stdvec(msg).expect("a message that was decoded has an encoding");
    SipHasher13::new().hash(&bytes).as_u128()
}

/// A message between two servers, by its digest.
type Sent = (Id, Id, u128);

/// The messages that were sent and not yet received, with the Lamport times of their sendings.
#[derive(Default)]
struct UnderWay {
    times: BTreeMap<Sent, VecDeque<u64>>,
    /// All sendings, oldest first. One that was received may still stand here.
    order: VecDeque<(Sent, u64)>,
    count: usize,
    /// The messages that were sent lately, received or not, and the order in which that began.
    recent: BTreeSet<Sent>,
    since: VecDeque<Sent>,
}

impl UnderWay {
    fn send(&mut self, sent: Sent, time: u64) {
        if self.recent.insert(sent) {
            self.since.push_back(sent);
        }
        if self.since.len() > MOST_UNDER_WAY
            && let Some(oldest) = self.since.pop_front()
        {
            self.recent.remove(&oldest);
        }
        self.times.entry(sent).or_default().push_back(time);
        self.order.push_back((sent, time));
        self.count += 1;
        while self.count > MOST_UNDER_WAY {
            self.forget_oldest();
        }
        if self.order.len() > 2 * MOST_UNDER_WAY {
            let is_waiting = |(sent, time): &(Sent, u64)| {
                self.times.get(sent).is_some_and(|times| times.front() <= Some(time))
            };
            self.order.retain(is_waiting);
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((sent, time)) = self.order.pop_front()
            && self.first(sent) == Some(time)
        {
            self.receive(sent);
        }
    }

    /// The time of the first sending that was not received.
    fn first(&self, sent: Sent) -> Option<u64> {
        self.times.get(&sent)?.front().copied()
    }

    fn receive(&mut self, sent: Sent) {
        let Some(times) = self.times.get_mut(&sent) else { return };
        self.count -= usize::from(times.pop_front().is_some());
        if times.is_empty() {
            self.times.remove(&sent);
        }
    }
}

/// The traces on their way through one order.
struct Merge<'p> {
    traces: Vec<Trace<'p>>,
    under_way: UnderWay,
}

impl Merge<'_> {
    /// The message that a trace's next record receives from a server with a trace.
    fn receives(&self, trace: &Trace<'_>) -> Option<Sent> {
        let (record, digest) = trace.head.as_ref()?;
        let Event::Message { src, .. } = record.event else { return None };
        let is_traced = self.traces.iter().any(|other| other.server == src);
        is_traced.then_some((src, trace.server, (*digest)?))
    }

    /// The trace whose record comes next. If all wait for each other, one of the messages arrives a second
    /// time, or was sent before its sender's trace begins.
    fn next(&self) -> Option<usize> {
        let with_head = self.traces.iter().enumerate().filter(|(_, trace)| trace.head.is_some());
        let rank = |(n, trace): (usize, &Trace<'_>)| {
            let receives = self.receives(trace);
            let sent = receives.and_then(|sent| self.under_way.first(sent));
            let is_sender_over = receives.is_some_and(|(src, _, _)| {
                let sender = self.traces.iter().find(|other| other.server == src);
                sender.is_none_or(|sender| sender.head.is_none())
            });
            let waits = receives.is_some() && sent.is_none() && !is_sender_over;
            let is_new = receives.is_some_and(|sent| !self.under_way.recent.contains(&sent));
            (waits, waits && is_new, trace.time.max(sent.unwrap_or(0)), n)
        };
        with_head.map(rank).min().map(|(_, _, _, n)| n)
    }

    /// Takes the next record of a trace.
    fn step(&mut self, n: usize) -> How {
        let receives = self.receives(&self.traces[n]);
        let sent = receives.and_then(|sent| self.under_way.first(sent));
        let was_sent = receives.is_some_and(|message| self.under_way.recent.contains(&message));
        if let Some(message) = receives {
            self.under_way.receive(message);
        }
        let servers: BTreeSet<_> = self.traces.iter().map(|trace| trace.server).collect();
        let trace = &mut self.traces[n];
        trace.time = trace.time.max(sent.unwrap_or(0)) + 1;
        let (record, _) = trace.head.take().expect("it has one");
        for command in record.out.iter() {
            if let Command::Send(to, msg) = command
                && servers.contains(to)
            {
                self.under_way.send((trace.server, *to, digest(msg)), trace.time);
            }
        }
        trace.taken = Some(record);
        trace.read();
        match (receives, sent) {
            (None, _) | (_, Some(_)) => How::Plainly,
            (Some(_), None) if was_sent => How::Again,
            (Some(_), None) => How::Unsent,
        }
    }

    /// Shows the record that was just taken.
    fn visit(
        &mut self,
        n: usize,
        how: How,
        visit: &mut dyn FnMut(&Shown<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let trace = &mut self.traces[n];
        let Some(record) = trace.taken.take() else { return Ok(()) };
        visit(&Shown {
            server: trace.server,
            record: &record,
            how,
            before: record.before.as_ref().or(trace.last.as_ref()),
            is_given_up: trace.head.is_none() && !matches!(trace.verdict, Verdict::Accept(_)),
        })?;
        trace.last = Some(record.after);
        Ok(())
    }
}

impl Shown<'_> {
    /// Writes the record in a line.
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { server: who, record, how, before, is_given_up } = *self;
        let text = Text::<Kv>::named(name);
        let mut parts = vec![event(&text, who, &record.event)];
        match how {
            How::Plainly => {}
            How::Again => parts.push("it arrives again".to_owned()),
            How::Unsent => parts.push("its sending is in no trace here".to_owned()),
        }
        parts.extend(before.map(|before| text.protocol_change(before, &record.after).join(", ")));
        parts.extend(text.all_sent(who, &record.out));
        parts.retain(|part| !part.is_empty());
        let parts: Vec<_> = parts.iter().map(|part| cut(part)).collect();
        let line = format!("{:<4} {:>7}  {}", name(who), record.line, parts.join(" │ "));
        writeln!(out, "{line}")?;
        if is_given_up {
            writeln!(out, "{:<4} {:>7}  the trace is not followed any further", name(who), "")?;
        }
        Ok(())
    }
}

/// The name of a server or of a client.
pub(super) fn name(id: Id) -> String {
    match usize::from(id) as u64 {
        number if number >= CLIENTS => format!("C{number}"),
        number => format!("S{number}"),
    }
}

/// The event of a record in words.
pub(super) fn event(text: &Text<'_, Kv>, who: Id, event: &Event<Raft<Kv>>) -> String {
    match event {
        Event::Start { storage: None } => format!("{}: start with nothing saved", name(who)),
        Event::Start { storage: Some(Persistent { current_term, log, .. }) } => {
            let last = log.last_index();
            format!("{}: start with t{current_term} and {last} entries saved", name(who))
        }
        Event::Message { src, msg } => text.sent(*src, &BTreeSet::from([who]), msg),
        Event::Timeout(timer) => format!("{}: {timer:?} timeout", name(who)),
    }
}

/// A part of a line, cut where it is too long.
fn cut(line: &str) -> String {
    match line.char_indices().nth(MOST_CHARACTERS) {
        None => line.to_owned(),
        Some((end, _)) => {
            let rest = line[end..].chars().count();
            format!("{}… ({rest} more characters)", &line[..end])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(number: u128) -> Sent {
        (Id::from(1), Id::from(2), number)
    }

    #[test]
    fn sendings_are_received_in_their_order() {
        let mut under_way = UnderWay::default();
        assert_eq!(under_way.first(sent(7)), None);
        under_way.send(sent(7), 1);
        under_way.send(sent(7), 5);
        assert_eq!(under_way.first(sent(7)), Some(1));
        under_way.receive(sent(7));
        assert_eq!(under_way.first(sent(7)), Some(5));
        under_way.receive(sent(7));
        under_way.receive(sent(7));
        assert_eq!((under_way.first(sent(7)), under_way.count), (None, 0));
    }

    #[test]
    fn what_was_lost_long_ago_is_forgotten() {
        let mut under_way = UnderWay::default();
        for number in 0..5 * MOST_UNDER_WAY as u64 {
            under_way.send(sent(u128::from(number)), number);
            if number % 2 == 0 {
                under_way.receive(sent(u128::from(number)));
            }
        }
        assert!(under_way.count <= MOST_UNDER_WAY && under_way.times.len() == under_way.count);
        assert!(under_way.order.len() <= 2 * MOST_UNDER_WAY);
        assert_eq!(under_way.recent.len(), MOST_UNDER_WAY);
        assert_eq!(under_way.first(sent(1)), None);
        let last = 5 * MOST_UNDER_WAY as u64 - 1;
        assert_eq!(under_way.first(sent(u128::from(last))), Some(last));
    }

    #[test]
    fn a_long_part_is_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        let long = "⇨".repeat(MOST_CHARACTERS + 5);
        assert_eq!(cut(&long), format!("{}… (5 more characters)", "⇨".repeat(MOST_CHARACTERS)));
    }
}

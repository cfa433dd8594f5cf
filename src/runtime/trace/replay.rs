//! The replay of a trace: asks the actor what the trace says it was asked, and compares its answers with
//! the trace's.

use super::super::Event;
use super::past::{Past, shown};
use super::{Effects, EventRecord, Origin, Record, Traceable, VERSION, digest, hash};
use serde::de::DeserializeOwned;
use serde_json::{Value, error::Category};
use stateright::actor::{Command, Id, Out};
use std::borrow::Cow;
use std::fmt::Display;
use std::io::BufRead;
use std::panic::{AssertUnwindSafe, catch_unwind};
use thiserror::Error;

/// A trace that the actor reproduced in every record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Handler calls.
    pub records: u64,
    /// Calls of `on_start`.
    pub starts: u64,
    /// Calls of `on_msg`.
    pub delivers: u64,
    /// Calls of `on_timeout`.
    pub timeouts: u64,
    /// Calls that saved.
    pub saves: u64,
    /// Messages sent.
    pub sends: u64,
}

/// The first record that the actor does not reproduce.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}, {field}: expected {expected}, found {seen}")]
pub struct Rejected {
    /// The record's line, from 1.
    pub line: u64,
    /// The field that differs.
    pub field: &'static str,
    /// The value that the replay gives.
    pub expected: String,
    /// The value that the trace has.
    pub seen: String,
}

/// Why a trace was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotAccepted {
    /// The actor does not reproduce the trace.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The file is no trace, or holds no whole record. So it says nothing of any server.
    #[error("it is no trace that can be judged: {0}")]
    NoTrace(&'static str),
}

/// The bytes with which a node begins every record.
const BEGINNING: &[u8] = b"{\"seq\":";

/// A handler call of a trace that the actor has reproduced.
pub struct Replayed<A: Traceable> {
    /// The line of its record, from 1.
    pub line: u64,
    /// The batch of the call. Nothing that a batch sends leaves before all that it saves is durable.
    pub batch: u64,
    /// The call.
    pub event: Event<A>,
    /// The state before the call; `None` before a start.
    pub before: Option<A::State>,
    /// The state after the call.
    pub after: A::State,
    /// The commands of the call.
    pub out: Out<A>,
}

/// Replays a trace. `build` makes the actor from [`Origin::actor`], anew at each start.
pub fn replay<A: Traceable>(
    trace: impl BufRead,
    build: impl Fn(&Value) -> Result<A, String>,
) -> Result<Accepted, NotAccepted> {
    let mut steps = Steps::new(trace, build);
    for step in steps.by_ref() {
        step?;
    }
    Ok(steps.accepted)
}

/// The handler calls of a trace, one by one as they are replayed. It ends with the trace, or with an error.
pub struct Steps<A: Traceable, R, F> {
    trace: R,
    replay: Replay<A, F>,
    accepted: Accepted,
    is_over: bool,
}

impl<A: Traceable, R: BufRead, F: Fn(&Value) -> Result<A, String>> Steps<A, R, F> {
    /// Begins a replay. `build` makes the actor from [`Origin::actor`], anew at each start.
    pub fn new(trace: R, build: F) -> Self {
        let past = Past::default();
        let replay = Replay { build, line: 0, origin: None, life: None, past, torn: None };
        Self { trace, replay, accepted: Accepted::default(), is_over: false }
    }

    /// The calls that were reproduced so far, in figures.
    pub fn accepted(&self) -> Accepted {
        self.accepted
    }

    /// The server that the trace belongs to, once its first record was read.
    pub fn origin(&self) -> Option<&Origin> {
        self.replay.origin.as_ref()
    }

    /// The reader of the trace.
    pub fn reader(&self) -> &R {
        &self.trace
    }

    /// Reads on to the next call; `None` at the end.
    fn read(&mut self) -> Result<Option<Replayed<A>>, NotAccepted> {
        let replay = &mut self.replay;
        let mut text = Vec::new();
        loop {
            replay.line += 1;
            text.clear();
            match self.trace.read_until(b'\n', &mut text) {
                Ok(0) => break,
                Ok(_) if replay.line == 1 && !is_record(&text) => {
                    let reason = "its first line is no record, as `raft node --trace` writes them";
                    return Err(NotAccepted::NoTrace(reason));
                }
                Ok(_) => {
                    if let Some(step) = replay.line(&text, &mut self.accepted)? {
                        return Ok(Some(step));
                    }
                }
                Err(error) => Err(replay.rejected("text", "a readable file", error))?,
            }
        }
        match (&replay.life, replay.line) {
            (Some(_), _) => Ok(None),
            (None, 1) => Err(NotAccepted::NoTrace("it is empty")),
            (None, _) => Err(NotAccepted::NoTrace("its only record is cut short")),
        }
    }
}

impl<A: Traceable, R: BufRead, F: Fn(&Value) -> Result<A, String>> Iterator for Steps<A, R, F> {
    type Item = Result<Replayed<A>, NotAccepted>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let step = self.read().transpose();
        self.is_over = !matches!(step, Some(Ok(_)));
        step
    }
}

/// Whether a line is a record or, damaged, has been one.
fn is_record(line: &[u8]) -> bool {
    let is_cut = !line.ends_with(b"\n") && BEGINNING.starts_with(line);
    is_cut || line.starts_with(BEGINNING) || serde_json::from_slice::<Record>(line).is_ok()
}

struct Replay<A: Traceable, F> {
    build: F,
    line: u64,
    /// The origin of the latest start.
    origin: Option<Origin>,
    life: Option<Life<A>>,
    past: Past,
    /// The rejection of the record before this one, if that was cut short: its line, and why it cannot
    /// be read.
    torn: Option<Rejected>,
}

/// A life after a call, the call, and its commands.
type Handled<A> = (Life<A>, Event<A>, Out<A>);

/// A server from one start to the next.
struct Life<A: Traceable> {
    actor: A,
    id: Id,
    state: A::State,
    /// The number of the last batch.
    batch: u64,
}

impl<A: Traceable, F: Fn(&Value) -> Result<A, String>> Replay<A, F> {
    fn rejected(
        &self,
        field: &'static str,
        expected: impl Display,
        seen: impl Display,
    ) -> Rejected {
        let (expected, seen) = (expected.to_string(), seen.to_string());
        Rejected { line: self.line, field, expected, seen }
    }

    fn same<T: PartialEq + serde::Serialize>(
        &self,
        field: &'static str,
        expected: &T,
        seen: &T,
    ) -> Result<(), Rejected> {
        let text = |value| serde_json::to_string(value).unwrap_or_default();
        if expected == seen {
            Ok(())
        } else {
            Err(self.rejected(field, text(expected), text(seen)))
        }
    }

    /// Replays a line; `None` if a crash may have cut it short.
    fn line(
        &mut self,
        text: &[u8],
        accepted: &mut Accepted,
    ) -> Result<Option<Replayed<A>>, Rejected> {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let record: Record = match serde_json::from_slice(text) {
            Ok(record) => record,
            Err(error) => {
                let rejected = self.rejected("text", "a record", &error);
                // A crash can cut a record short, and does nothing else to it.
                if error.classify() != Category::Eof || self.torn.is_some() {
                    return Err(self.torn.take().unwrap_or(rejected));
                }
                self.torn = Some(rejected);
                return Ok(None);
            }
        };
        let torn = self.torn.take();
        if !matches!(record.event, EventRecord::Start { .. })
            && let Some(torn) = torn
        {
            return Err(torn);
        }
        self.same("seq", &self.line, &record.seq)?;
        let before = self.life.as_ref().map(|life| life.state.clone());
        let (life, event, out) = match &record.event {
            EventRecord::Start { v, origin, storage } => {
                self.same("v", &VERSION, v)?;
                accepted.starts += 1;
                self.start(&record, origin, storage)?
            }
            event => {
                let Some(life) = self.life.take() else {
                    return Err(self.rejected("event", "a start", "another event"));
                };
                match event {
                    EventRecord::Timeout { .. } => accepted.timeouts += 1,
                    _ => accepted.delivers += 1,
                }
                self.go_on(life, &record)?
            }
        };
        self.compare(&record, &life, &out)?;
        for command in out.iter() {
            match command {
                Command::Save(value) => {
                    accepted.saves += 1;
                    let digest = digest(value).map_err(|error| self.unencodable(&error))?;
                    self.past.save(digest);
                }
                Command::Send(..) => accepted.sends += 1,
                _ => {}
            }
        }
        accepted.records += 1;
        let before = before.filter(|_| !matches!(event, Event::Start { .. }));
        let after = life.state.clone();
        self.life = Some(life);
        Ok(Some(Replayed { line: self.line, batch: record.batch, event, before, after, out }))
    }

    /// Replays a start. The store then holds what was saved after the last batch. If the node was killed
    /// before that save, it holds what was saved before it.
    fn start(
        &mut self,
        record: &Record,
        origin: &Origin,
        storage: &str,
    ) -> Result<Handled<A>, Rejected> {
        if let Some(first) = &self.origin {
            self.same("cluster", &first.cluster, &origin.cluster)?;
            self.same("server", &first.server, &origin.server)?;
        }
        let storage: Option<A::Storage> = self.value("storage", storage)?;
        let found = storage.as_ref().map(digest).transpose();
        let found = found.map_err(|error| self.unencodable(&error))?;
        if let Err(gap) = self.past.allows(found) {
            let seen = format!("{}: {gap}", shown(found));
            return Err(self.rejected("storage", self.past.expected(), seen));
        }
        let actor = (self.build)(&origin.actor)
            .map_err(|reason| self.rejected("actor", "a configuration of the actor", reason))?;
        let id = self.id("server", origin.server)?;
        let mut out = Out::new();
        let state = self.call(|| actor.on_start(id, &storage, &mut out))?;
        self.origin = Some(origin.clone());
        self.same("before", &None, &record.before)?;
        self.past.start(self.line, record.batch, found);
        let life = Life { actor, id, state, batch: record.batch };
        Ok((life, Event::Start { storage }, out))
    }

    fn go_on(&mut self, mut life: Life<A>, record: &Record) -> Result<Handled<A>, Rejected> {
        if record.batch < life.batch {
            let expected = format!("{} or later", life.batch);
            return Err(self.rejected("batch", expected, record.batch));
        }
        life.batch = record.batch;
        self.past.go_on(self.line, record.batch);
        self.same("before", &Some(self.hash(&life.state)?), &record.before)?;
        let mut out = Out::new();
        let mut state = Cow::Borrowed(&life.state);
        let event = match &record.event {
            EventRecord::Deliver { from, msg } => {
                let (src, msg): (_, A::Msg) = (self.id("from", *from)?, self.value("msg", msg)?);
                let copy = msg.clone();
                self.call(|| life.actor.on_msg(life.id, &mut state, src, copy, &mut out))?;
                Event::Message { src, msg }
            }
            EventRecord::Timeout { timer } => {
                let timer = self.value("timer", timer)?;
                self.call(|| life.actor.on_timeout(life.id, &mut state, &timer, &mut out))?;
                Event::Timeout(timer)
            }
            EventRecord::Start { .. } => unreachable!("a start begins another life"),
        };
        if let Cow::Owned(next) = state {
            life.state = next;
        }
        Ok((life, event, out))
    }

    fn compare(&self, record: &Record, life: &Life<A>, out: &Out<A>) -> Result<(), Rejected> {
        let Effects { save, sends, timers } = Effects::of(out).map_err(|e| self.unencodable(&e))?;
        self.same("after", &self.hash(&life.state)?, &record.after)?;
        self.same("save", &save, &record.out.save)?;
        self.same("sends", &sends, &record.out.sends)?;
        self.same("timers", &timers, &record.out.timers)
    }

    /// Calls a handler and rejects the trace if it panics. An actor asserts what the protocol makes
    /// impossible, and a forged trace may well contain that.
    fn call<T>(&self, handler: impl FnOnce() -> T) -> Result<T, Rejected> {
        catch_unwind(AssertUnwindSafe(handler)).map_err(|_| {
            self.rejected("event", "one that the actor survives", "one that it does not")
        })
    }

    fn hash(&self, value: &impl serde::Serialize) -> Result<String, Rejected> {
        hash(value).map_err(|error| self.unencodable(&error))
    }

    fn unencodable(&self, error: &postcard::Error) -> Rejected {
        self.rejected("state", "a value that can be encoded", error)
    }

    fn value<T: DeserializeOwned>(&self, field: &'static str, hex: &str) -> Result<T, Rejected> {
        let bytes = unhex(hex).ok_or_else(|| self.rejected(field, "hexadecimal digits", hex))?;
        match postcard::take_from_bytes(&bytes) {
            Ok((value, [])) => Ok(value),
            Ok(_) => Err(self.rejected(field, "an encoded value", "too many bytes")),
            Err(error) => Err(self.rejected(field, "an encoded value", error)),
        }
    }

    fn id(&self, field: &'static str, number: u64) -> Result<Id, Rejected> {
        let number = usize::try_from(number);
        number.map(Id::from).map_err(|error| self.rejected(field, "the number of an actor", error))
    }
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit =
        |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?)).collect()
}

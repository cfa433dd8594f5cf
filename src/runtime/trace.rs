//! The trace of a node: its actor's handler calls and what they answered, as JSON lines. Anyone can
//! replay them through the actor.
//!
//! A [`TraceWriter`] writes one record for each handler call, numbered by its line. States, saved values
//! and sent messages appear as SipHash-128 of their postcard bytes, which are canonical. The values that
//! are needed to call the handler again appear in full, in hexadecimal.
//!
//! The node flushes a batch to the file before the batch's save. So when a node is killed, only records
//! of the last batch can be missing or cut short. A node that starts again finds in its store what it
//! had after the last batch of the trace, or before it. Anything else means one of three things: the
//! store lost a save, it made one up, or the server has lived without its trace. [`is_fit`] finds that
//! out before the next record is written. (A power loss takes from the trace as well. Begin a new file
//! after it.)
//!
//! Each record costs two passes over the whole state. [`replay()`] needs the code that wrote the trace:
//! an actor and an encoding of its values that have not changed.

mod past;
mod replay;

pub use past::{Unfit, is_fit};
pub use replay::{Accepted, NotAccepted, Rejected, Replayed, Steps, replay};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use siphasher::sip128::{Hasher128, SipHasher13};
use stateright::actor::{Actor, Command, Id, Out};
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::hash::Hasher;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

/// The version of the trace's format.
const VERSION: u32 = 4;

/// An actor whose calls can be written down and repeated.
pub trait Traceable:
    Actor<
        Msg: Serialize + DeserializeOwned,
        Timer: Serialize + DeserializeOwned,
        State: Serialize,
        Storage: Serialize + DeserializeOwned,
        Random = (),
    >
{
}

impl<A> Traceable for A where
    A: Actor<
            Msg: Serialize + DeserializeOwned,
            Timer: Serialize + DeserializeOwned,
            State: Serialize,
            Storage: Serialize + DeserializeOwned,
            Random = (),
        >
{
}

/// The server that a trace belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Name of the cluster.
    pub cluster: String,
    /// Number of the server, which is its actor's `Id`.
    pub server: u64,
    /// The parameters from which the actor can be built again.
    pub actor: Value,
}

/// A handler call, with its arguments.
#[derive(Debug)]
pub enum Call<'a, A: Actor> {
    /// A call of `on_start` with what the store held.
    Start(&'a Option<A::Storage>),
    /// A call of `on_msg` with a sender and a message.
    Deliver(Id, &'a A::Msg),
    /// A call of `on_timeout`.
    Timeout(&'a A::Timer),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    /// Number of the line, from 1.
    seq: u64,
    /// Number of the batch; within one life it never decreases.
    batch: u64,
    event: EventRecord,
    /// Hash of the state before the call; none before a start.
    before: Option<String>,
    /// Hash of the state after the call.
    after: String,
    out: Effects,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum EventRecord {
    Start { v: u32, origin: Origin, storage: String },
    Deliver { from: u64, msg: String },
    Timeout { timer: String },
}

/// The commands of one call.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Effects {
    /// Hash of the value to save.
    save: Option<String>,
    /// Addressee and hash of each message, in order.
    sends: Vec<(u64, String)>,
    /// Timers set, each with its range, and timers cancelled, in order.
    timers: Vec<String>,
}

impl Effects {
    fn of<A: Traceable>(out: &Out<A>) -> Result<Self, postcard::Error> {
        let mut effects = Self::default();
        for command in out.iter() {
            match command {
                Command::Save(value) => effects.save = Some(hash(value)?),
                Command::Send(to, msg) => effects.sends.push((number(*to), hash(msg)?)),
                Command::SetTimer(timer, range) => {
                    effects.timers.push(format!("set {} for {range:?}", hex(timer)?));
                }
                Command::CancelTimer(timer) => {
                    effects.timers.push(format!("cancel {}", hex(timer)?));
                }
                Command::ChooseRandom(key, _) => {
                    unreachable!(
                        "an actor whose Random is () has nothing to choose, not even {key:?}"
                    )
                }
            }
        }
        Ok(effects)
    }
}

/// Appends records to a trace file.
#[derive(Debug)]
pub struct TraceWriter {
    file: BufWriter<File>,
    origin: Origin,
    /// Lines in the file, including those still in the buffer.
    lines: u64,
    /// The size of the file, including what is still in the buffer.
    bytes: u64,
    /// The size at which the trace ends, if it has a limit.
    limit: Option<u64>,
    /// Whether the trace has reached its limit and ended.
    is_over: bool,
    /// Why the first failed record could not be written. The next flush reports it.
    failed: Option<io::Error>,
}

impl TraceWriter {
    /// Opens the file for appending. A line that a crash cut short gets its line end and stays.
    /// If the trace has a limit, it ends with the first batch at whose end the file has that many bytes.
    pub fn create(path: &Path, origin: Origin, limit: Option<u64>) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut reader = BufReader::new(&file);
        let (mut lines, mut bytes, mut line, mut is_torn) = (0, 0, Vec::new(), false);
        while reader.read_until(b'\n', &mut line)? > 0 {
            lines += 1;
            bytes += line.len() as u64;
            is_torn = !line.ends_with(b"\n");
            line.clear();
        }
        let mut file = BufWriter::new(file);
        if is_torn {
            file.write_all(b"\n")?;
            bytes += 1;
        }
        let is_over = limit.is_some_and(|limit| bytes >= limit);
        Ok(Self { file, origin, lines, bytes, limit, is_over, failed: None })
    }

    /// Notes a handler call in batch `batch`, with the states before and after it and its commands.
    pub fn record<A: Traceable>(
        &mut self,
        batch: u64,
        call: &Call<A>,
        before: Option<&A::State>,
        after: &A::State,
        out: &Out<A>,
    ) {
        if self.failed.is_none() && !self.is_over {
            self.failed = self.write(batch, call, before, after, out).err();
        }
    }

    /// Hands the batch to the operating system, where it outlives the process. The caller calls this
    /// before the batch's save.
    pub fn flush(&mut self) -> io::Result<()> {
        self.failed.take().map_or(Ok(()), Err)?;
        if self.limit.is_some_and(|limit| self.bytes >= limit) && !self.is_over {
            self.is_over = true;
            let bytes = self.bytes;
            tracing::warn!(bytes, "the trace ends at its limit, and the server goes on without it");
        }
        self.file.flush()
    }

    fn write<A: Traceable>(
        &mut self,
        batch: u64,
        call: &Call<A>,
        before: Option<&A::State>,
        after: &A::State,
        out: &Out<A>,
    ) -> io::Result<()> {
        let event = match call {
            Call::Start(storage) => hex(storage).map(|storage| EventRecord::Start {
                v: VERSION,
                origin: self.origin.clone(),
                storage,
            }),
            Call::Deliver(from, msg) => {
                hex(msg).map(|msg| EventRecord::Deliver { from: number(*from), msg })
            }
            Call::Timeout(timer) => hex(timer).map(|timer| EventRecord::Timeout { timer }),
        };
        let record = Record {
            seq: self.lines + 1,
            batch,
            event: event.map_err(io::Error::other)?,
            before: before.map(hash).transpose().map_err(io::Error::other)?,
            after: hash(after).map_err(io::Error::other)?,
            out: Effects::of(out).map_err(io::Error::other)?,
        };
        let mut line = serde_json::to_vec(&record)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.lines += 1;
        self.bytes += line.len() as u64;
        Ok(())
    }
}

impl<A: Traceable> super::Observer<A> for TraceWriter {
    fn handled(
        &mut self,
        batch: u64,
        event: &super::Event<A>,
        before: Option<&A::State>,
        after: &A::State,
        out: &Out<A>,
    ) {
        let call = match event {
            super::Event::Start { storage } => Call::Start(storage),
            super::Event::Message { src, msg } => Call::Deliver(*src, msg),
            super::Event::Timeout(timer) => Call::Timeout(timer),
        };
        self.record(batch, &call, before, after, out);
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flush()
    }
}

fn number(id: Id) -> u64 {
    usize::from(id) as u64
}

fn hash(value: &impl Serialize) -> Result<String, postcard::Error> {
    Ok(format!("{:032x}", digest(value)?))
}

fn digest(value: &impl Serialize) -> Result<u128, postcard::Error> {
    Ok(digest_of_bytes(&postcard::to_stdvec(value)?))
}

fn digest_of_bytes(bytes: &[u8]) -> u128 {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish128().as_u128()
}

fn hex(value: &impl Serialize) -> Result<String, postcard::Error> {
    let bytes = postcard::to_stdvec(value)?;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes any text");
    }
    Ok(text)
}

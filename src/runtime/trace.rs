//! The trace of a node: what its actor was asked and what it answered, as JSON lines that anyone can
//! replay through the actor.
//!
//! One record per handler call, numbered by its line. States, saved values and messages sent appear
//! as SipHash-128 of their postcard bytes, which are canonical; what is needed to call the handler
//! again appears in full. A batch is flushed to the file before its save, and only the records of
//! the last batch can be lost or half written when a node is killed. So a node that starts again
//! finds in its store what it had after the last batch of the trace, or what it had before it; any
//! other value means that the store lost a save, or made one up. After a power loss, which takes from
//! the trace as well, begin a new file.
//!
//! Writing costs two hashes of the whole state per record. The actor's code must be the one that wrote it.

use postcard::Error as Encoding;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use siphasher::sip128::{Hasher128, SipHasher13};
use stateright::actor::{Actor, Command, Id, Out};
use std::fs::{File, OpenOptions};
use std::hash::Hasher;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

mod replay;

pub use replay::{Accepted, Rejected, replay};

/// Version of the format.
const VERSION: u32 = 1;

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

/// One handler call.
#[derive(Debug)]
pub enum Call<'a, A: Actor> {
    /// `on_start` with what the store held.
    Start(&'a Option<A::Storage>),
    /// `on_msg` with a sender and a message.
    Deliver(Id, &'a A::Msg),
    /// `on_timeout`.
    Timeout(&'a A::Timer),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    /// Number of the line.
    seq: u64,
    /// Number of the batch, never falling from one start to the next.
    batch: u64,
    event: Event,
    /// Hash of the state before; none before a start.
    before: Option<String>,
    /// Hash of the state after.
    after: String,
    #[serde(flatten)]
    effects: Effects,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Event {
    Start {
        v: u32,
        cluster: String,
        server: u64,
        /// Whatever the actor can be built from.
        actor: Value,
        /// Hash of what the store held.
        storage: String,
        /// The same in full, at the start of a file.
        initial: Option<String>,
    },
    Deliver {
        from: u64,
        msg: String,
    },
    Timeout {
        timer: String,
    },
}

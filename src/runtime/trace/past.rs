//! What the store of a traced server may hold at its next start.
//!
//! A node writes a batch to the trace, then saves. So at its next start it finds what the last batch
//! saved or, killed in between, what was saved before. If it finds anything else, the trace tells
//! which of two things has happened. What an earlier record saved: the store has lost what came
//! after. What no record saved: the server has lived without the trace.

use super::{Event, Origin, Record, VERSION, digest};
use serde::Serialize;
use serde_json::error::Category;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

/// A digest of what a store holds; `None` if nothing was ever saved.
pub(super) type Held = Option<u128>;

/// All that a server has saved so far, as its trace tells it.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// With the line of each.
    saves: Vec<(u64, Held)>,
    /// The batch of the last record.
    batch: u64,
    after_batch: Held,
    before_batch: Held,
    /// The line of the last record; 0 before the first.
    line: u64,
}

/// The store is not where the trace ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    /// The last line before it.
    after: u64,
    /// The line whose save the store holds, if any.
    held_since: Option<u64>,
}

impl Past {
    /// A server starts and finds this in its store.
    pub(super) fn start(&mut self, line: u64, batch: u64, found: Held) {
        self.saves.push((line, found));
        (self.line, self.batch) = (line, batch);
        (self.after_batch, self.before_batch) = (found, found);
    }

    /// A record that is no start, and what it saves.
    pub(super) fn go_on(&mut self, line: u64, batch: u64) {
        self.line = line;
        if batch > self.batch {
            self.batch = batch;
            self.before_batch = self.after_batch;
        }
    }

    /// The last record saves this.
    pub(super) fn save(&mut self, digest: u128) {
        self.saves.push((self.line, Some(digest)));
        self.after_batch = Some(digest);
    }

    /// Whether a server whose past this is may find this in its store.
    pub(super) fn allows(&self, found: Held) -> Result<(), Gap> {
        if self.line == 0 || found == self.after_batch || found == self.before_batch {
            return Ok(());
        }
        let held = self.saves.iter().rev().find(|(_, held)| *held == found);
        Err(Gap { after: self.line, held_since: held.map(|(line, _)| *line) })
    }

    /// What it may find, for people.
    pub(super) fn expected(&self) -> String {
        let [after, before] = [self.after_batch, self.before_batch].map(shown);
        if after == before {
            format!("{after} (saved last)")
        } else {
            format!("{after} (after the last batch) or {before} (before it)")
        }
    }
}

/// What a store holds, for people.
pub(super) fn shown(held: Held) -> String {
    held.map_or_else(|| "nothing saved".to_owned(), |digest| format!("{digest:032x}"))
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, next) = (self.after, self.after + 1);
        match self.held_since {
            Some(held) => write!(
                f,
                "what the store holds was saved in line {held}: it has lost all that was saved since, \
                 up to line {line}"
            ),
            None => write!(
                f,
                "what the store holds was saved in none of the records: a life is missing between \
                 lines {line} and {next}, in which the server ran without this trace"
            ),
        }
    }
}

/// Why a server cannot go on with a trace.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A line is none that a node writes.
    #[error("line {line} is no record of a trace")]
    NoRecord {
        /// Its number, from 1.
        line: u64,
    },
    /// Another version of this program wrote it.
    #[error("it has version {found} of the format, and this program writes version {VERSION}")]
    Version {
        /// The version that it has.
        found: u32,
    },
    /// It is the trace of another server.
    #[error("it is the trace of server {server} of cluster {cluster:?}")]
    OtherServer {
        /// The cluster's name.
        cluster: String,
        /// The server's number.
        server: u64,
    },
    /// The store holds what a server with this past cannot have.
    #[error("{0}")]
    Gap(String),
}

/// Whether the server of this origin, which finds `held` in its store, can append to the file. It
/// can if there is none, or nothing in it.
pub fn is_fit<S: Serialize>(path: &Path, origin: &Origin, held: Option<&S>) -> Result<(), Unfit> {
    let held = held.map(digest).transpose().map_err(io::Error::other)?;
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let mut file = BufReader::new(file);
    let (mut past, mut line, mut text) = (Past::default(), 0, Vec::new());
    // A crash cuts a record short, and a start follows.
    let mut torn = None;
    loop {
        text.clear();
        if file.read_until(b'\n', &mut text)? == 0 {
            break;
        }
        line += 1;
        match serde_json::from_slice::<Record>(text.strip_suffix(b"\n").unwrap_or(&text)) {
            Ok(record) => {
                let is_start = matches!(record.event, Event::Start { .. });
                if let (Some(line), false) = (torn.take(), is_start) {
                    return Err(Unfit::NoRecord { line });
                }
                past.take(line, record, origin)?;
            }
            Err(error) if error.classify() == Category::Eof && torn.is_none() => torn = Some(line),
            Err(_) => return Err(Unfit::NoRecord { line: torn.unwrap_or(line) }),
        }
    }
    past.allows(held).map_err(|gap| Unfit::Gap(gap.to_string()))
}

impl Past {
    /// A record, as it stands in the file.
    fn take(&mut self, line: u64, record: Record, origin: &Origin) -> Result<(), Unfit> {
        let no_record = || Unfit::NoRecord { line };
        if record.seq != line {
            return Err(no_record());
        }
        match record.event {
            Event::Start { v, .. } if v != VERSION => return Err(Unfit::Version { found: v }),
            Event::Start { origin: Origin { cluster, server, .. }, .. }
                if (&cluster, server) != (&origin.cluster, origin.server) =>
            {
                return Err(Unfit::OtherServer { cluster, server });
            }
            Event::Start { storage, .. } => {
                self.start(line, record.batch, found(&storage).ok_or_else(no_record)?);
            }
            _ if self.line == 0 => return Err(no_record()),
            _ => self.go_on(line, record.batch),
        }
        if let Some(save) = record.out.save {
            self.save(u128::from_str_radix(&save, 16).map_err(|_| no_record())?);
        }
        Ok(())
    }
}

/// The digest of what a start says that it found: an `Option` in postcard's form, in hexadecimal.
fn found(storage: &str) -> Option<Held> {
    let bytes = super::replay::unhex(storage)?;
    match bytes.split_first()? {
        (0, []) => Some(None),
        (1, value) => Some(Some(super::digest_of_bytes(value))),
        _ => None,
    }
}

//! The past of a traced server, and what its store may hold at its next start.
//!
//! A node writes a batch to the trace, then saves. So at its next start it finds what the last batch
//! saved. If it was killed between the two, it finds what was saved before. If it finds anything else,
//! the trace tells which of two things has happened. If the store holds what an earlier record saved, it
//! has lost all later saves. If it holds what no record saved, the server has lived without the trace.
//!
//! [`Past`] takes the records one by one and answers with [`Past::allows`] whether a store may hold a
//! value. [`is_fit`] reads a whole file into it.

use super::{EventRecord, Origin, Record, VERSION, digest};
use serde::Serialize;
use serde_json::error::Category;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

/// A digest of the value that a store holds; `None` if nothing was ever saved.
pub(super) type Held = Option<u128>;

/// All that a server has saved so far, as its trace tells it.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// The saved values, each with the line that saved it.
    saves: Vec<(u64, Held)>,
    /// The batch of the last record.
    batch: u64,
    after_batch: Held,
    before_batch: Held,
    /// The line of the last record; 0 before the first.
    line: u64,
}

/// The difference between the end of the trace and the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    /// The last line before the gap.
    after: u64,
    /// The line whose save the store holds, if there is one.
    held_since: Option<u64>,
}

impl Past {
    /// Takes the record of a start, at which the server finds `found` in its store.
    pub(super) fn start(&mut self, line: u64, batch: u64, found: Held) {
        self.saves.push((line, found));
        (self.line, self.batch) = (line, batch);
        (self.after_batch, self.before_batch) = (found, found);
    }

    /// Takes a record that is no start. [`Past::save`] takes its save, if it has one.
    pub(super) fn go_on(&mut self, line: u64, batch: u64) {
        self.line = line;
        if batch > self.batch {
            self.batch = batch;
            self.before_batch = self.after_batch;
        }
    }

    /// Takes the save of the last record.
    pub(super) fn save(&mut self, digest: u128) {
        self.saves.push((self.line, Some(digest)));
        self.after_batch = Some(digest);
    }

    /// Whether a server with this past may find `found` in its store.
    pub(super) fn allows(&self, found: Held) -> Result<(), Gap> {
        if self.line == 0 || found == self.after_batch || found == self.before_batch {
            return Ok(());
        }
        let held = self.saves.iter().rev().find(|(_, held)| *held == found);
        Err(Gap { after: self.line, held_since: held.map(|(line, _)| *line) })
    }

    /// The values that the server may find, for people.
    pub(super) fn expected(&self) -> String {
        let [after, before] = [self.after_batch, self.before_batch].map(shown);
        if after == before {
            format!("{after} (saved last)")
        } else {
            format!("{after} (after the last batch) or {before} (before it)")
        }
    }
}

/// The value that a store holds, for people.
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

/// Why a server cannot append to a trace file.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A line is not one that a node writes.
    #[error("line {line} is no record of a trace")]
    NoRecord {
        /// The number of the line, from 1.
        line: u64,
    },
    /// Another version of this program wrote the file.
    #[error("it has version {found} of the format, and this program writes version {VERSION}")]
    Version {
        /// The version of the file's format.
        found: u32,
    },
    /// The file is the trace of another server.
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

/// Checks that the server of this origin, which finds `held` in its store, can append to the file. A
/// file that is missing or empty is fit.
pub fn is_fit<S: Serialize>(path: &Path, origin: &Origin, held: Option<&S>) -> Result<(), Unfit> {
    let held = held.map(digest).transpose().map_err(io::Error::other)?;
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let mut file = BufReader::new(file);
    let (mut past, mut line, mut text) = (Past::default(), 0, Vec::new());
    // A line that a crash may have cut short. Then the next record must be a start.
    let mut torn = None;
    loop {
        text.clear();
        if file.read_until(b'\n', &mut text)? == 0 {
            break;
        }
        line += 1;
        match serde_json::from_slice::<Record>(text.strip_suffix(b"\n").unwrap_or(&text)) {
            Ok(record) => {
                let is_start = matches!(record.event, EventRecord::Start { .. });
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
    /// Takes a record as it stands in the file.
    fn take(&mut self, line: u64, record: Record, origin: &Origin) -> Result<(), Unfit> {
        let no_record = || Unfit::NoRecord { line };
        if record.seq != line {
            return Err(no_record());
        }
        match record.event {
            EventRecord::Start { v, .. } if v != VERSION => {
                return Err(Unfit::Version { found: v });
            }
            EventRecord::Start { origin: Origin { cluster, server, .. }, .. }
                if (&cluster, server) != (&origin.cluster, origin.server) =>
            {
                return Err(Unfit::OtherServer { cluster, server });
            }
            EventRecord::Start { storage, .. } => {
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

/// The digest of the value that a start found. `storage` is an `Option` in postcard's form, in
/// hexadecimal.
fn found(storage: &str) -> Option<Held> {
    let bytes = super::replay::unhex(storage)?;
    match bytes.split_first()? {
        (0, []) => Some(None),
        (1, value) => Some(Some(super::digest_of_bytes(value))),
        _ => None,
    }
}

//! The census lists a server's own starts, and the starts of others that the server has seen or was told
//! of. `peers` decides what goes into it.
//!
//! The census stands in a file of its own, for it changes about once in the life of each server and not
//! with each save. The file consists of its magic bytes and one record in the frame of the log's
//! records. The record holds the id of the directory and the [`Census`].

use super::StoreError;
use super::file::{CENSUS, Dir};
use super::frame::{HEADER, Header, Salt};
use super::generation;
use super::identity::{Life, Start};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The first bytes of the file: its kind, and the version of its format.
const MAGIC: [u8; 8] = *b"census \x01";

/// How many of its own starts a server remembers; newer ones displace older ones. A hello carries them
/// all.
const MAX_STARTS: usize = 64;

/// The starts and servers that a server remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// This server's own starts, the random part by the counter; the latest 64, without gaps.
    pub starts: BTreeMap<u64, u64>,
    /// The other servers that are known, by number.
    pub known: BTreeMap<u64, Known>,
}

/// The knowledge of a server about another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The id of the other server's directory that was learned first.
    pub directory: u128,
    /// Starts of that directory that somebody has seen, the random part by the counter. They are the
    /// start that this server admitted last, and later ones that it has only been told of. Never empty.
    pub starts: BTreeMap<u64, u64>,
    /// The highest number of saves that the other server is known to have made.
    pub saves: u64,
    /// The counter of the start in which the other server had made these saves.
    pub saves_of: u64,
    /// Starts that had made fewer saves than an earlier one: with each of them a copy of the directory
    /// began.
    pub lost: Vec<Start>,
    /// Whether the other server itself has told of its directory, and not only a third one.
    pub firsthand: bool,
}

impl Census {
    /// Adds a start of this server, with `random` as its random part. Forgets the oldest beyond the
    /// latest 64.
    pub fn begin(&mut self, random: u64) -> Start {
        let counter = self.starts.last_key_value().map_or(0, |(counter, _)| *counter) + 1;
        self.starts.insert(counter, random);
        if self.starts.len() > MAX_STARTS {
            self.starts.pop_first();
        }
        Start { counter, random }
    }
}

impl Known {
    /// The latest life of the other server.
    pub fn life(&self) -> Life {
        let (counter, random) = self.starts.last_key_value().expect("some start is known");
        let start = Start { counter: *counter, random: *random };
        Life { directory: self.directory, start }
    }
}

/// Replaces the census file, durably.
pub(super) fn write(dir: &Dir, directory: u128, census: &Census) -> Result<(), StoreError> {
    let start = MAGIC.len() as u64;
    let record = generation::record(Salt::default(), start, 0, &(directory, census))?;
    dir.replace(CENSUS, &[&MAGIC[..], &record].concat())
}

/// Reads the census file. Refuses anything but a whole census of this directory.
pub(super) fn read(dir: &Dir, directory: u128) -> Result<Census, StoreError> {
    match read_any(dir)? {
        (found, census) if found == directory => Ok(census),
        _ => Err(dir.corrupt(CENSUS, 0, "it is of another directory")),
    }
}

/// Reads the census file without knowing which directory it should be of.
pub(super) fn read_any(dir: &Dir) -> Result<(u128, Census), StoreError> {
    let corrupt = |offset: usize, reason: String| dir.corrupt(CENSUS, offset as u64, reason);
    let mut file = dir.open_needed(CENSUS)?;
    let size = usize::try_from(file.size()?).unwrap_or(usize::MAX);
    let start = MAGIC.len() + HEADER;
    if size < start {
        return Err(corrupt(size, "the file ends here".into()));
    }
    let (mut magic, mut header) = ([0; MAGIC.len()], [0; HEADER]);
    file.read_at(0, &mut magic)?;
    if magic != MAGIC {
        return Err(corrupt(0, "this is not the start of a census of this format".into()));
    }
    file.read_at(MAGIC.len() as u64, &mut header)?;
    let header = Header::read(Salt::default(), MAGIC.len() as u64, &header)
        .ok_or_else(|| corrupt(MAGIC.len(), "its header does not match its checksum".into()))?;
    if header.len != (size - start) as u64 {
        let reason = format!("{} bytes follow where there should be {}", size - start, header.len);
        return Err(corrupt(start, reason));
    }
    let mut payload = vec![0; size - start];
    file.read_at(start as u64, &mut payload)?;
    if !header.fits(&payload) {
        return Err(corrupt(start, "it does not match its checksum".into()));
    }
    match postcard::take_from_bytes::<(u128, Census)>(&payload) {
        Ok((content, [])) if content.1.is_sound() => Ok(content),
        _ => {
            let reason = "it is intact but cannot be decoded, is it of another version?";
            Err(corrupt(start, reason.into()))
        }
    }
}

impl Census {
    /// Whether each known server has a known start, as [`Known::life`] requires.
    fn is_sound(&self) -> bool {
        self.known.values().all(|known| !known.starts.is_empty())
    }
}

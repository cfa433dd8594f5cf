//! Saves a long search to a file, and takes it up again.
//!
//! A checkpoint ([`Saved`]) contains only numbers. These are the tuples, states and sets as they stand, the
//! hypothesis, and the handler calls in the order of their making. A search that is taken up makes all these
//! calls again. So every value gets its number back from the very handlers that run now. A digest of all
//! values must then equal the digest that was saved. Verdicts are not computed again. A checkpoint therefore
//! belongs to one `identity`, which must change with whatever may judge differently. The program uses a
//! digest of itself.

use super::ids::{Number, ShardId};
use super::reduction::Relevance;
use super::reduction::Repair;
use super::search::Search;
use super::sets::Sets;
use super::shared::Shared;
use super::store::Shard;
use super::tables::{Call, Tables};
use crate::view::{Checkable, Ghostly};
use crc32fast::Hasher as Crc;
use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::fs::File;
use std::hash::Hash;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;
use thiserror::Error;

/// The first bytes of the file, with the version of the format.
const MAGIC: &[u8; 16] = b"actorcheck ckpt7";

/// Says whether and where a search is saved.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    /// The file. Each checkpoint replaces it as a whole. It is removed when the search has ended by itself or
    /// has found a violation.
    pub path: PathBuf,
    /// The time between two checkpoints. A checkpoint is also written when a limit or an interruption ends
    /// the search.
    pub every: Duration,
    /// Whether the search goes on from the file.
    pub resume: bool,
    /// The identity of the search: the world, with whatever runs and judges it.
    pub identity: String,
}

/// The reason why a checkpoint cannot be written or used.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The file cannot be written.
    #[error("cannot write the checkpoint {path}: {source}; the search went on without it")]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file could not be written. This is tried before the search begins.
    #[error(
        "cannot write a checkpoint {path}: {source}; name a file in a directory that is there and that you \
         may write to"
    )]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// There is a checkpoint, and the search was not asked to go on from it.
    #[error("there is a checkpoint {path} already: resume it, or remove it to start anew")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error(
        "cannot read the checkpoint {path}: {source}; without resuming it the search starts anew"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file is no checkpoint, or it is damaged.
    #[error("{path} is no checkpoint of this version, or it is damaged: start the search anew")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The checkpoint is of another model or another build.
    #[error(
        "the checkpoint {path} is of another model or of another build of the program, which may judge \
         differently: take the build it was written by, or start the search anew"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
}

/// The place at which a search goes on.
pub(super) struct Resumed {
    /// The hypothesis of the round.
    pub(super) relevance: Relevance,
    /// The number of rounds that were begun.
    pub(super) rounds: u64,
    /// The number of surveys that have not ended.
    pub(super) surveys: usize,
}

/// The numbers of a search between two rounds of its threads.
#[derive(Serialize, Deserialize)]
struct Saved {
    calls: Vec<Call>,
    /// The digest of all values that the calls lead to.
    digest: u128,
    relevance: Relevance,
    rounds: u64,
    surveys: u64,
    /// A repair that must end before the search goes on.
    repair: Option<Repair>,
    elapsed: Duration,
    unwitnessed: u64,
    transitions: u64,
    expanded: u64,
    cuts: Vec<u64>,
    sets: Sets,
    shards: Vec<Mutex<Shard>>,
}

impl<A: Checkable, G: Ghostly> Search<'_, '_, A, G> {
    /// Writes the file anew.
    pub(super) fn save(
        &mut self,
        checkpoints: &Checkpoints,
        relevance: &mut Relevance,
        rounds: u64,
        surveys: usize,
    ) -> Result<(), CheckpointError> {
        let elapsed = self.elapsed();
        let repair = self.repair.take();
        let shared = &mut self.shared;
        let tables = shared.tables.get_mut().expect("no thread runs");
        // The large values are taken out and put back, because a copy of them would be large, too.
        let saved = Saved {
            calls: std::mem::take(&mut tables.calls),
            digest: digest(tables),
            relevance: std::mem::take(relevance),
            rounds,
            surveys: surveys as u64,
            repair,
            elapsed,
            unwitnessed: shared.unwitnessed.load(Ordering::Relaxed),
            transitions: shared.transitions.load(Ordering::Relaxed),
            expanded: shared.expanded.load(Ordering::Relaxed),
            cuts: shared.cuts.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            sets: std::mem::take(&mut shared.sets),
            shards: std::mem::take(&mut shared.shards),
        };
        let written = write(&checkpoints.path, &checkpoints.identity, &saved);
        tables.calls = saved.calls;
        *relevance = saved.relevance;
        self.repair = saved.repair;
        shared.sets = saved.sets;
        shared.shards = saved.shards;
        written.map_err(|source| CheckpointError::Write { path: checkpoints.path.clone(), source })
    }

    /// Restores the search from the file.
    pub(super) fn restore(
        &mut self,
        checkpoints: &Checkpoints,
    ) -> Result<Resumed, CheckpointError> {
        let path = || checkpoints.path.clone();
        let saved = read(&checkpoints.path, &checkpoints.identity)?;
        let shared = &mut self.shared;
        let tables = shared.tables.get_mut().expect("no thread runs");
        if !saved.calls.iter().all(|call| tables.call_again(*call))
            || digest(tables) != saved.digest
        {
            return Err(CheckpointError::Foreign { path: path() });
        }
        if saved.cuts.len() != shared.cuts.len() {
            return Err(CheckpointError::Foreign { path: path() });
        }
        shared.unwitnessed.store(saved.unwitnessed, Ordering::Relaxed);
        shared.transitions.store(saved.transitions, Ordering::Relaxed);
        shared.expanded.store(saved.expanded, Ordering::Relaxed);
        for (count, cut) in shared.cuts.iter().zip(&saved.cuts) {
            count.store(*cut, Ordering::Relaxed);
        }
        shared.sets = saved.sets;
        shared.sets.index();
        shared.shards = saved.shards;
        queue_again(shared);
        self.elapsed_before = saved.elapsed;
        self.repair = saved.repair;
        let Saved { relevance, rounds, surveys, .. } = saved;
        Ok(Resumed { relevance, rounds, surveys: usize::try_from(surveys).unwrap_or(usize::MAX) })
    }
}

/// Indexes the tuples by their numbers again, and puts those that wait into the queue.
fn queue_again<A: Checkable, G: Ghostly>(shared: &mut Shared<'_, A, G>) {
    let mut tasks = Vec::new();
    for (number, lock) in ShardId::all().zip(&mut shared.shards) {
        let tuples = lock.get_mut().expect("no thread runs");
        tuples.index();
        tasks.extend(tuples.waiting(number));
    }
    shared.put(&mut tasks);
}

/// A digest of all interned values and of every step.
fn digest<A: Checkable, G: Ghostly>(tables: &Tables<'_, A, G>) -> u128 {
    let mut hasher = SipHasher13::new();
    for actor in &tables.actors {
        actor.locals.values().for_each(|local| local.hash(&mut hasher));
        actor.inbox.values().for_each(|message| message.hash(&mut hasher));
    }
    tables.ghosts.values().for_each(|ghost| ghost.hash(&mut hasher));
    for step in &tables.steps {
        (step.next, &step.sent, step.change, step.broken).hash(&mut hasher);
    }
    hasher.finish128().as_u128()
}

/// Passes bytes on and computes their checksum.
struct Summed<T> {
    inner: T,
    crc: Crc,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.crc.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.crc.update(&bytes[..read]);
        Ok(read)
    }
}

/// The path at which the file is written before it takes its place.
fn beside(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    beside.into()
}

/// Makes sure, before a search begins, that the search can be saved, and that it overwrites no checkpoint
/// except the one from which it goes on.
pub(super) fn try_to_write(checkpoints: &Checkpoints) -> Result<(), CheckpointError> {
    let path = &checkpoints.path;
    if checkpoints.resume {
        // The file that the search goes on from is judged first.
        File::open(path).map_err(|source| CheckpointError::Read { path: path.clone(), source })?;
    } else if path.exists() {
        return Err(CheckpointError::Exists { path: path.clone() });
    }
    let beside = beside(path);
    let written = File::create(&beside).and_then(|_| std::fs::remove_file(&beside));
    written.map_err(|source| CheckpointError::Unwritable { path: path.clone(), source })
}

fn write(path: &Path, identity: &str, saved: &Saved) -> io::Result<()> {
    let beside = beside(path);
    let file = BufWriter::with_capacity(1 << 20, File::create(&beside)?);
    let mut out = Summed { inner: file, crc: Crc::new() };
    out.write_all(MAGIC)?;
    let failed = |error: postcard::Error| io::Error::other(error);
    postcard::to_io(identity, &mut out).map_err(failed)?;
    postcard::to_io(saved, &mut out).map_err(failed)?;
    let crc = out.crc.finalize();
    let mut file = out.inner;
    file.write_all(&crc.to_le_bytes())?;
    file.into_inner()?.sync_all()?;
    std::fs::rename(beside, path)
}

/// Removes the file of a search that has ended.
pub(super) fn remove(checkpoints: &Checkpoints) -> Option<CheckpointError> {
    let path = checkpoints.path.clone();
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Some(CheckpointError::Write { path, source })
        }
        _ => None,
    }
}

fn read(path: &Path, identity: &str) -> Result<Saved, CheckpointError> {
    let failed = |source| CheckpointError::Read { path: path.to_owned(), source };
    let damaged = || CheckpointError::Damaged { path: path.to_owned() };
    check(path, File::open(path).map_err(failed)?)?;
    let mut file = BufReader::with_capacity(1 << 20, File::open(path).map_err(failed)?);
    file.read_exact(&mut [0; MAGIC.len()]).map_err(failed)?;
    let mut scratch = vec![0; identity.len().max(1 << 10)];
    let (known, (file, _)) =
        postcard::from_io::<String, _>((file, &mut scratch)).map_err(|_| damaged())?;
    if known != identity {
        return Err(CheckpointError::Foreign { path: path.to_owned() });
    }
    let (saved, _) = postcard::from_io((file, &mut scratch)).map_err(|_| damaged())?;
    Ok(saved)
}

/// Checks that the file begins and ends as it should, before anything in it is believed.
fn check(path: &Path, file: File) -> Result<(), CheckpointError> {
    let failed = |source| CheckpointError::Read { path: path.to_owned(), source };
    let damaged = || CheckpointError::Damaged { path: path.to_owned() };
    let length = file.metadata().map_err(failed)?.len();
    let covered = length.checked_sub(4).ok_or_else(damaged)?;
    let mut summed = Summed { inner: BufReader::new(file).take(covered), crc: Crc::new() };
    let mut magic = [0; MAGIC.len()];
    summed.read_exact(&mut magic).map_err(|_| damaged())?;
    io::copy(&mut summed, &mut io::sink()).map_err(failed)?;
    let mut crc = [0; 4];
    summed.inner.into_inner().read_exact(&mut crc).map_err(failed)?;
    if &magic != MAGIC || summed.crc.finalize().to_le_bytes() != crc {
        return Err(damaged());
    }
    Ok(())
}

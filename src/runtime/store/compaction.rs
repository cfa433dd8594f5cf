//! One compaction: work that goes on beside the saves.
//!
//! A [`Compaction`] has its own clone of the value, taken at some save, and its own handle of `log`,
//! which it only reads. It writes the image of that value into `log.new`. Then its [`Copier`] copies the
//! records that were saved meanwhile. A compaction never touches the files that the saves touch. Nor
//! does it give `log.new` the name `log`. When little is left to copy, it hands the copier over, and the
//! next save does the rest.

use super::StoreError;
use super::file::{Dir, LOG_NEW};
use super::frame::Salt;
use super::generation::{Beginning, Log};
use super::identity::Identity;
use super::pieces::encoded_len;
use super::reader::Reader;
use crate::durable::Durable;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

/// The most rounds of copying. After them the new log is handed over, however much is left to copy.
const ROUNDS: u32 = 10;

/// Work of a store that is done beside the store's saves, step by step.
pub struct Task(Box<dyn FnMut() -> bool + Send>);

impl Task {
    pub(super) fn new(step: impl FnMut() -> bool + Send + 'static) -> Self {
        Self(Box::new(step))
    }

    /// Does a part of the work. Returns whether there is more to do.
    pub fn step(&mut self) -> bool {
        self.0()
    }
}

/// Starts a [`Task`], which need not make progress at once. If the function returns the handle of a
/// thread, the store waits for that thread to end.
pub type Spawn = Box<dyn Fn(Task) -> io::Result<Option<JoinHandle<()>>> + Send>;

/// Signals from the saves to a running compaction.
pub(super) struct Signals {
    /// The byte up to which the old log is durable.
    pub(super) end: AtomicU64,
    pub(super) is_cancelled: AtomicBool,
}

/// Why a compaction ended without a new log.
pub(super) enum GivenUp {
    /// The image would not be much shorter than the log.
    NotWorthIt,
    Cancelled,
    Failed(StoreError),
}

impl From<StoreError> for GivenUp {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// A new log, and how much of the old log it covers.
pub(super) struct Copier {
    old: Reader,
    old_salt: Salt,
    /// The byte up to which the old log is copied.
    copied: u64,
    /// Number of the last save that the new log holds.
    pub(super) save: u64,
    pub(super) log: Log,
    salt: Salt,
    chunk: u64,
}

impl Copier {
    /// Copies all records of the old log that end at or before `end`, and syncs them.
    pub(super) fn copy_up_to(&mut self, end: u64) -> Result<(), StoreError> {
        self.old.size = end;
        while self.copied < end {
            let mut records = Vec::new();
            while self.copied < end && (records.len() as u64) < self.chunk {
                let record = self.old.record(self.old_salt, self.copied)?;
                let record = record.map_err(|broken| self.old.corrupt(self.copied, broken))?;
                if record.header.number != self.save + 1 {
                    let reason = format!("this is not the record of save {}", self.save + 1);
                    return Err(self.old.corrupt(self.copied, reason));
                }
                let place = self.log.end + records.len() as u64;
                records.extend(record.bytes(self.salt, place));
                (self.copied, self.save) = (record.end, self.save + 1);
            }
            self.log.write(&records, self.chunk)?;
            self.log.end += records.len() as u64;
        }
        self.log.file.sync()
    }

    /// Returns the new log and closes the old one.
    pub(super) fn into_log(self) -> Log {
        self.log
    }
}

/// A compaction that has not been handed over yet.
pub(super) struct Compaction<D> {
    pub(super) dir: Dir,
    pub(super) identity: Identity,
    /// The old log's generation.
    pub(super) generation: u64,
    /// The byte at which the old log ended when it held exactly `value`.
    pub(super) start: u64,
    /// Number of the save that `value` comes from.
    pub(super) save: u64,
    /// The value to write the image of; `None` once the image is written.
    pub(super) value: Option<D>,
    pub(super) chunk: u64,
    pub(super) signals: Arc<Signals>,
    pub(super) copier: Option<Copier>,
    pub(super) rounds: u32,
    pub(super) outcome: Sender<Result<Copier, GivenUp>>,
}

impl<D: Durable + Send + 'static> Compaction<D> {
    pub(super) fn task(mut self) -> Task {
        Task::new(move || self.step())
    }

    /// Does the next step, and sends the outcome after the last one. Returns whether there is more to
    /// do.
    fn step(&mut self) -> bool {
        let outcome = match self.advance() {
            Ok(None) => return true,
            Ok(Some(copier)) => Ok(copier),
            Err(given_up) => {
                self.copier = None;
                if let GivenUp::Failed(_) = given_up {
                    // If the removal fails, too, the next start removes the file.
                    let _ = self.dir.remove(LOG_NEW);
                }
                Err(given_up)
            }
        };
        // The store may have stopped listening.
        let _ = self.outcome.send(outcome);
        false
    }

    /// Does the next step. Returns the new log with the last step.
    fn advance(&mut self) -> Result<Option<Copier>, GivenUp> {
        if self.signals.is_cancelled.load(Ordering::Relaxed) {
            return Err(GivenUp::Cancelled);
        }
        if let Some(value) = self.value.take() {
            self.copier = Some(self.write_image(&value)?);
            return Ok(None);
        }
        let copier = self.copier.as_mut().expect("a compaction ends with its last step");
        copier.copy_up_to(self.signals.end.load(Ordering::Acquire))?;
        self.rounds += 1;
        let left = self.signals.end.load(Ordering::Acquire) - copier.copied;
        let is_last = left <= self.chunk / 4 || self.rounds == ROUNDS;
        Ok(if is_last { self.copier.take() } else { None })
    }

    fn write_image(&self, value: &D) -> Result<Copier, GivenUp> {
        let image = &D::default().changes(value);
        if encoded_len(image) > self.start / 2 {
            return Err(GivenUp::NotWorthIt);
        }
        let Self { identity, save, chunk, .. } = self;
        let generation = self.generation + 1;
        let beginning = Beginning { identity, generation, save: *save, image };
        let log = beginning.write(&self.dir, *chunk, &self.signals.is_cancelled)?;
        let salt = |generation| Salt { directory: identity.directory, generation };
        Ok(Copier {
            old: Reader::open(&self.dir)?,
            old_salt: salt(self.generation),
            copied: self.start,
            save: *save,
            log: log.ok_or(GivenUp::Cancelled)?,
            salt: salt(generation),
            chunk: *chunk,
        })
    }
}

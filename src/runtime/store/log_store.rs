//! The store on a disk. [`LogStore`] implements [`Store`] by the rules of the [module](super).

use super::bootstrap::{self, refuse_if_log_lost};
use super::census::{self, Census};
use super::compaction::{Compaction, Copier, Signals, Spawn};
use super::compactor::{Compactor, on_a_thread};
use super::file::{Dir, Handle, LEFTOVERS, LOG, LOG_NEW};
use super::frame::Salt;
use super::generation::{self, Log};
use super::identity::{Expected, Identity};
use super::reader::Record;
use super::recovery::recover;
use super::watermark::Watermark;
use super::{Disk, Guard, Store, StoreError};
use crate::durable::Durable;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, mpsc};

/// The sizes by which a [`LogStore`] uses its disk.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The length of a chunk, in bytes. The file grows by multiples of it, filled with zeros, and an
    /// image is written in pieces of it.
    pub chunk: u64,
    /// A log is not compacted while its records are at most this long, in bytes.
    pub compact_at: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { chunk: 1 << 20, compact_at: 16 << 20 }
    }
}

/// A store that keeps its value in a directory. The [module](super) has the rules.
pub struct LogStore<D: Durable + Send + 'static> {
    dir: Dir,
    options: Options,
    identity: Identity,
    generation: u64,
    saves: u64,
    value: D,
    log: Log,
    watermark: Handle,
    compactor: Compactor,
    census: Census,
    /// The error since which nothing can be saved any more.
    poison: Option<String>,
    _lock: Guard,
}

impl<D: Durable + Send + 'static> LogStore<D> {
    /// Creates the store of `D::default()`, once in the life of a server, in an empty or missing
    /// directory. If this is interrupted, either the store is there or this can be run again.
    pub fn bootstrap(
        disk: Arc<dyn Disk>,
        dir: &Path,
        identity: &Identity,
    ) -> Result<(), StoreError> {
        bootstrap::bootstrap::<D>(&Dir::new(disk, dir), identity)
    }

    /// Opens a store: restores exactly what was saved last, or refuses.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, expected: &Expected) -> Result<Self, StoreError> {
        Self::open_with(disk, dir, expected, Options::default())
    }

    /// Opens the store like [`LogStore::open`], with other [`Options`].
    pub fn open_with(
        disk: Arc<dyn Disk>,
        dir: &Path,
        expected: &Expected,
        options: Options,
    ) -> Result<Self, StoreError> {
        Self::open_spawning(disk, dir, expected, options, on_a_thread())
    }

    /// Opens the store like [`LogStore::open`]. `spawn` starts the work that is done beside the saves.
    pub fn open_spawning(
        disk: Arc<dyn Disk>,
        dir: &Path,
        expected: &Expected,
        options: Options,
        spawn: Spawn,
    ) -> Result<Self, StoreError> {
        let dir = Dir::new(disk, dir);
        let names = dir.list()?;
        if !names.iter().any(|name| name == LOG) {
            refuse_if_log_lost(&dir, &names)?;
            return Err(StoreError::NotBootstrapped { dir: dir.path });
        }
        let lock = dir.lock()?;
        let (watermark, watermark_file) = Watermark::read(&dir)?;
        let found = recover::<D>(&dir, expected, watermark)?;
        let census = census::read(&dir, found.identity.directory)?;
        for leftover in
            LEFTOVERS.into_iter().filter(|leftover| names.iter().any(|it| it == leftover))
        {
            dir.remove(leftover)?;
        }
        let mut store = Self {
            compactor: Compactor::new(spawn, options.compact_at, found.identity.directory),
            dir,
            options,
            identity: found.identity,
            generation: found.generation,
            saves: found.save,
            value: found.value,
            log: found.log,
            watermark: watermark_file,
            census,
            poison: None,
            _lock: lock,
        };
        if watermark.generation == found.generation {
            store.settle(found.last)?;
        } else {
            store.rewrite()?;
        }
        Ok(store)
    }

    /// The identity of the store's owner.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Makes the value that was read durable in its place, by writing again what need not be durable
    /// yet.
    fn settle(&mut self, last: Option<Record>) -> Result<(), StoreError> {
        let log = &mut self.log;
        if let Some(record) = last {
            let salt = Salt { directory: self.identity.directory, generation: self.generation };
            log.file.write_at(record.offset, &record.bytes(salt, record.offset))?;
        }
        log.clear_behind_end(self.options.chunk)?;
        log.file.sync()?;
        self.write_watermark()?;
        self.watermark.sync()
    }

    /// Makes the value that was read durable in a new log. The name of the log that it was read from
    /// need not be durable.
    fn rewrite(&mut self) -> Result<(), StoreError> {
        let written = generation::write(
            &self.dir,
            &self.identity,
            self.generation + 1,
            (self.saves, &self.value),
            self.options.chunk,
        );
        if written.is_err() {
            // The caller reports why the write failed. If the removal fails, too, the next start removes
            // the file.
            let _ = self.dir.remove(LOG_NEW);
        }
        self.begin_generation(written?)
    }

    /// Puts the new log in place and syncs the watermark into its generation.
    fn begin_generation(&mut self, mut log: Log) -> Result<(), StoreError> {
        generation::put_in_place(&self.dir, &mut log)?;
        let old = std::mem::replace(&mut self.log, log);
        self.compactor.close(old);
        self.generation += 1;
        self.write_watermark()?;
        self.watermark.sync()
    }

    fn write_watermark(&mut self) -> Result<(), StoreError> {
        let (directory, generation) = (self.identity.directory, self.generation);
        Watermark { directory, generation, save: self.saves }.write(&mut self.watermark)
    }

    /// Takes over the new log of a compaction that has ended, or begins a compaction that is due.
    fn see_to_compaction(&mut self) -> Result<(), StoreError> {
        if let Some(copier) = self.compactor.take(&self.dir, self.log.end) {
            self.take_over(copier)
        } else {
            if self.compactor.is_due(&self.log) {
                self.begin_compaction();
            }
            Ok(())
        }
    }

    fn begin_compaction(&mut self) {
        let (sender, outcome) = mpsc::channel();
        let start = self.log.end;
        let signals = Signals { end: AtomicU64::new(start), is_cancelled: AtomicBool::new(false) };
        let compaction = Compaction {
            dir: self.dir.clone(),
            identity: self.identity.clone(),
            generation: self.generation,
            start,
            save: self.saves,
            value: Some(self.value.clone()),
            chunk: self.options.chunk,
            signals: Arc::new(signals),
            copier: None,
            rounds: 0,
            outcome: sender,
        };
        self.compactor.begin(compaction, outcome);
    }

    /// Copies what is left to copy and puts the new log in the place of the old one. A failure to copy
    /// costs only the new log. Later failures are errors of the store: from the renaming on, nobody can
    /// tell which log is in place.
    fn take_over(&mut self, mut copier: Copier) -> Result<(), StoreError> {
        if let Err(error) = copier.copy_up_to(self.log.end) {
            drop(copier);
            // If the removal fails, too, the next start removes the file.
            let _ = self.dir.remove(LOG_NEW);
            self.compactor.put_off(self.log.end, &error.to_string());
            return Ok(());
        }
        assert_eq!(copier.save, self.saves, "the records that end with the log are all of them");
        self.watermark.sync()?;
        self.begin_generation(copier.into_log())
    }

    fn refuse_if_poisoned(&self) -> Result<(), StoreError> {
        match &self.poison {
            Some(reason) => Err(StoreError::Poisoned { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    fn append(&mut self, next: &D) -> Result<(), StoreError> {
        self.see_to_compaction()?;
        let changes = self.value.changes(next);
        let salt = Salt { directory: self.identity.directory, generation: self.generation };
        let record = generation::record(salt, self.log.end, self.saves + 1, &changes)?;
        debug_assert!(
            restores(&self.value, &record, next),
            "the changes of a `Durable` are not exact"
        );
        self.write(&record)?;
        self.log.file.sync()?;
        self.log.end += record.len() as u64;
        self.saves += 1;
        self.value = next.clone();
        self.compactor.saved_up_to(self.log.end);
        self.write_watermark()
    }

    /// Writes a record. On a full disk it takes the room of a running compaction, and prepares no space
    /// behind the record. (To write once more is sound, although to sync once more is not. The second
    /// write leaves nothing that the sync after it might take for written.)
    fn write(&mut self, record: &[u8]) -> Result<(), StoreError> {
        match self.log.write(record, self.options.chunk) {
            Err(StoreError::Full { .. }) => {
                self.make_room();
                self.log.write_tightly(record)
            }
            written => written,
        }
    }

    /// Gives up the running compaction. Returns whether there was one.
    fn make_room(&mut self) -> bool {
        let was_running = self.compactor.is_running();
        if was_running {
            self.compactor.cancel(&self.dir);
            self.compactor.put_off(self.log.end, "a save needed the room");
        }
        was_running
    }
}

impl<D: Durable + Send + 'static> Drop for LogStore<D> {
    fn drop(&mut self) {
        self.compactor.cancel(&self.dir);
    }
}

/// Whether the record of a save brings back the saved value.
fn restores<D: Durable>(value: &D, record: &[u8], next: &D) -> bool {
    let mut value = value.clone();
    postcard::from_bytes(&record[super::frame::HEADER..])
        .is_ok_and(|changes| value.apply(changes).is_ok() && value == *next)
}

impl<D: Durable + Send + 'static> Store<D> for LogStore<D> {
    fn value(&self) -> &D {
        &self.value
    }

    fn save(&mut self, next: &D) -> Result<(), StoreError> {
        self.refuse_if_poisoned()?;
        if *next == self.value {
            return Ok(());
        }
        let saved = self.append(next);
        self.poison = saved.as_ref().err().map(ToString::to_string);
        saved
    }

    fn saves(&self) -> u64 {
        self.saves
    }

    fn census(&self) -> &Census {
        &self.census
    }

    fn save_census(&mut self, next: &Census) -> Result<(), StoreError> {
        self.refuse_if_poisoned()?;
        let mut saved = census::write(&self.dir, self.identity.directory, next);
        // A census that finds no room has not been renamed into place, so it may be written once more.
        if matches!(saved, Err(StoreError::Full { .. })) && self.make_room() {
            saved = census::write(&self.dir, self.identity.directory, next);
        }
        self.poison = saved.as_ref().err().map(ToString::to_string);
        if saved.is_ok() {
            self.census.clone_from(next);
        }
        saved
    }
}

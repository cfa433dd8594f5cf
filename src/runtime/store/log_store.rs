//! The store on a disk.

use super::bootstrap::{self, refuse_if_log_lost};
use super::file::{Dir, Handle, LOG};
use super::frame::Salt;
use super::generation::{self, Log};
use super::identity::{Expected, Identity};
use super::recovery::recover;
use super::watermark::Watermark;
use super::{Disk, Guard, Store, StoreError};
use crate::durable::Durable;
use std::path::Path;
use std::sync::Arc;

/// How a [`LogStore`] uses its disk.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The file grows by multiples of this, filled with zeros. In bytes.
    pub chunk: u64,
    /// A log whose records are shorter than this is not compacted. In bytes.
    pub compact_at: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { chunk: 1 << 20, compact_at: 16 << 20 }
    }
}

/// A value in a directory. See the [module](super) for its rules.
pub struct LogStore<D> {
    dir: Dir,
    options: Options,
    identity: Identity,
    generation: u64,
    saves: u64,
    value: D,
    log: Log,
    watermark: Handle,
    /// Why nothing can be saved any more.
    poison: Option<String>,
    _lock: Guard,
}

impl<D: Durable> LogStore<D> {
    /// Creates the store of `D::default()`, once in the life of a server, in an empty or missing
    /// directory. If it is interrupted, either it has happened or it can be run again.
    pub fn bootstrap(
        disk: Arc<dyn Disk>,
        dir: &Path,
        identity: &Identity,
    ) -> Result<(), StoreError> {
        bootstrap::bootstrap::<D>(&Dir::new(disk, dir), identity)
    }

    /// Restores exactly what was saved last, or refuses.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, expected: &Expected) -> Result<Self, StoreError> {
        Self::open_with(disk, dir, expected, Options::default())
    }

    /// The same with other [`Options`].
    pub fn open_with(
        disk: Arc<dyn Disk>,
        dir: &Path,
        expected: &Expected,
        options: Options,
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
        let log = generation::write(
            &dir,
            &found.identity,
            found.generation + 1,
            (found.save, &found.value),
            options.chunk,
        )?;
        let mut store = Self {
            dir,
            options,
            identity: found.identity,
            generation: found.generation,
            saves: found.save,
            value: found.value,
            log,
            watermark: watermark_file,
            poison: None,
            _lock: lock,
        };
        store.begin_generation()?;
        Ok(store)
    }

    /// Whose store it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Puts the new log in place and syncs the watermark into its generation.
    fn begin_generation(&mut self) -> Result<(), StoreError> {
        generation::put_in_place(&self.dir)?;
        self.generation += 1;
        self.write_watermark()?;
        self.watermark.sync()
    }

    fn write_watermark(&mut self) -> Result<(), StoreError> {
        let (directory, generation) = (self.identity.directory, self.generation);
        Watermark { directory, generation, save: self.saves }.write(&mut self.watermark)
    }

    /// Whether the records are so much longer than an image that writing one costs each of them
    /// only a constant share.
    fn is_compaction_due(&self) -> bool {
        let records = self.log.end - self.log.image_end;
        records > self.options.compact_at && records / 4 > self.log.image_end
    }

    fn compact(&mut self) -> Result<(), StoreError> {
        self.log = generation::write(
            &self.dir,
            &self.identity,
            self.generation + 1,
            (self.saves, &self.value),
            self.options.chunk,
        )?;
        self.begin_generation()
    }

    fn append(&mut self, next: &D) -> Result<(), StoreError> {
        if self.is_compaction_due() {
            self.compact()?;
        }
        let changes = self.value.changes(next);
        let salt = Salt { directory: self.identity.directory, generation: self.generation };
        let log = &mut self.log;
        let mut bytes = generation::record(salt, log.end, self.saves + 1, &changes)?;
        debug_assert!(
            restores(&self.value, &bytes, next),
            "the changes of a `Durable` are not exact"
        );
        let end = log.end + bytes.len() as u64;
        if end > log.allocated {
            log.allocated = generation::allocation(end, self.options.chunk);
            bytes.resize(bytes.len() + generation::zeros(end, log.allocated), 0);
        }
        log.file.write_at(log.end, &bytes)?;
        log.file.sync()?;
        log.end = end;
        self.saves += 1;
        self.value = next.clone();
        self.write_watermark()
    }
}

/// Whether the record of a save brings back the saved value.
fn restores<D: Durable>(value: &D, record: &[u8], next: &D) -> bool {
    let mut value = value.clone();
    postcard::from_bytes(&record[super::frame::HEADER..])
        .is_ok_and(|changes| value.apply(changes).is_ok() && value == *next)
}

impl<D: Durable> Store<D> for LogStore<D> {
    fn value(&self) -> &D {
        &self.value
    }

    fn save(&mut self, next: &D) -> Result<(), StoreError> {
        if let Some(reason) = &self.poison {
            return Err(StoreError::Poisoned { reason: reason.clone() });
        }
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
}

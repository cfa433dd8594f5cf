//! A generation of the log: a new `log` with identity and image, written aside and put in place of the
//! old log. [`Beginning`] writes it as `log.new`, and [`put_in_place`] gives it the name `log`. An open
//! log is a [`Log`].

use super::StoreError;
use super::file::{Dir, Handle, LOG, LOG_NEW};
use super::frame::{self, HEADER, Header, Salt};
use super::identity::Identity;
use super::pieces::{Pieces, encoded_len};
use crate::durable::Durable;
use serde::Serialize;
use std::sync::atomic::AtomicBool;

/// The first bytes of a log: its kind, and the version of the directory's format. No single flipped bit
/// makes it an earlier version, so damage is told from age. That is why there is no version 3.
pub(super) const MAGIC: [u8; 8] = *b"durable\x04";

/// The first bytes of logs of earlier formats. The first had no census, the second no snapshots.
pub(super) const EARLIER: [[u8; 8]; 2] = [*b"durable\x01", *b"durable\x02"];

/// A log open for appending.
pub(super) struct Log {
    pub(super) file: Handle,
    /// The byte at which the image ends.
    pub(super) image_end: u64,
    /// The byte at which the next record goes.
    pub(super) end: u64,
    /// The byte up to which the file is filled with zeros.
    pub(super) allocated: u64,
}

impl Log {
    /// Writes `records` at the end. If that uses up the prepared space, zeros are written behind them.
    /// The records count once the file is synced and [`Log::end`] is moved behind them.
    pub(super) fn write(&mut self, records: &[u8], chunk: u64) -> Result<(), StoreError> {
        let end = self.end + records.len() as u64;
        if end <= self.allocated {
            return self.file.write_at(self.end, records);
        }
        let allocated = allocation(end, chunk);
        let mut bytes = records.to_vec();
        bytes.resize(bytes.len() + zeros(end, allocated), 0);
        self.file.write_at(self.end, &bytes)?;
        self.allocated = allocated;
        Ok(())
    }

    /// Writes zeros, in pieces, from the end of the records to the end of the file.
    pub(super) fn clear_behind_end(&mut self, piece: u64) -> Result<(), StoreError> {
        let mut offset = self.end;
        while offset < self.allocated {
            let end = self.allocated.min(offset + piece.max(1));
            self.file.write_at(offset, &vec![0; zeros(offset, end)])?;
            offset = end;
        }
        Ok(())
    }

    /// Writes `records` at the end, without preparing space behind them.
    pub(super) fn write_tightly(&mut self, records: &[u8]) -> Result<(), StoreError> {
        self.file.write_at(self.end, records)?;
        self.allocated = self.allocated.max(self.end + records.len() as u64);
        Ok(())
    }
}

/// The content of a new log. The log begins with the identity, under the generation's number. Then comes
/// the whole value, under the number of the save that it came from.
pub(super) struct Beginning<'a, C> {
    pub(super) identity: &'a Identity,
    pub(super) generation: u64,
    pub(super) save: u64,
    /// The changes that make the value out of the default.
    pub(super) image: &'a C,
}

impl<C: Serialize> Beginning<'_, C> {
    /// Writes `log.new` and syncs it, filled with zeros up to a multiple of `chunk`. Returns `None` if
    /// it gave up because `is_cancelled` became true.
    pub(super) fn write(
        &self,
        dir: &Dir,
        chunk: u64,
        is_cancelled: &AtomicBool,
    ) -> Result<Option<Log>, StoreError> {
        self.try_write(dir, chunk, is_cancelled).map_err(|error| match error {
            StoreError::Full { path, source, .. } => {
                let bytes = encoded_len(self.image) + chunk;
                StoreError::Full { path, bytes, source }
            }
            error => error,
        })
    }

    fn try_write(
        &self,
        dir: &Dir,
        chunk: u64,
        is_cancelled: &AtomicBool,
    ) -> Result<Option<Log>, StoreError> {
        let mut file = dir.create_file(LOG_NEW)?;
        let mut start = MAGIC.to_vec();
        // The salt holds the directory, which is known only once this first record has been read.
        start.extend(record(Salt::default(), MAGIC.len() as u64, self.generation, self.identity)?);
        file.write_at(0, &start)?;
        let salt = Salt { directory: self.identity.directory, generation: self.generation };
        let offset = start.len() as u64;
        let mut pieces = Pieces::new(&mut file, offset + HEADER as u64, chunk, is_cancelled);
        let Some((len, payload_crc)) = pieces.write(self.image)? else { return Ok(None) };
        let header = Header { len, number: self.save, payload_crc };
        file.write_at(offset, &header.bytes(salt, offset))?;
        let end = offset + HEADER as u64 + len;
        let allocated = allocation(end, chunk);
        file.write_at(end, &vec![0; zeros(end, allocated)])?;
        file.sync()?;
        Ok(Some(Log { file, image_end: end, end, allocated }))
    }
}

/// Writes and syncs `log.new` with the image of `value`. The caller puts it in place at once.
pub(super) fn write<D: Durable>(
    dir: &Dir,
    identity: &Identity,
    generation: u64,
    (save, value): (u64, &D),
    chunk: u64,
) -> Result<Log, StoreError> {
    let image = &D::default().changes(value);
    let beginning = Beginning { identity, generation, save, image };
    let log = beginning.write(dir, chunk, &AtomicBool::new(false))?;
    Ok(log.expect("nobody cancels it"))
}

/// Makes `log.new` the log. Until the directory is synced, a power loss may still undo that. So nothing
/// is saved to the new log before.
pub(super) fn put_in_place(dir: &Dir, log: &mut Log) -> Result<(), StoreError> {
    dir.rename_open(&mut log.file, LOG)?;
    dir.sync()
}

/// Encodes `payload` into a record that is to stand at `offset`.
pub(super) fn record(
    salt: Salt,
    offset: u64,
    number: u64,
    payload: &impl Serialize,
) -> Result<Vec<u8>, StoreError> {
    let mut record = postcard::to_extend(payload, vec![0; HEADER])
        .map_err(|error| StoreError::Encode { reason: error.to_string() })?;
    frame::seal(salt, offset, number, &mut record);
    Ok(record)
}

/// The length that the file should have so that the next records after `end` find their space prepared.
fn allocation(end: u64, chunk: u64) -> u64 {
    (end + 1).next_multiple_of(chunk.max(1))
}

/// The number of zeros that fill the file from `end` to `allocated`.
fn zeros(end: u64, allocated: u64) -> usize {
    usize::try_from(allocated - end).expect("a chunk fits the memory")
}

//! A new `log`: identity and image, written aside and put in place of the old one.

use super::StoreError;
use super::file::{Dir, Handle, LOG, LOG_NEW};
use super::frame::{self, HEADER, Salt};
use super::identity::Identity;
use crate::durable::Durable;
use serde::Serialize;

/// What a log begins with: what it is, and the version of its format.
pub(super) const MAGIC: [u8; 8] = *b"durable\x01";

/// A log open for appending.
pub(super) struct Log {
    pub(super) file: Handle,
    /// Where the image ends, in bytes.
    pub(super) image_end: u64,
    /// Where the next record goes, in bytes.
    pub(super) end: u64,
    /// Up to where the file is filled with zeros, in bytes.
    pub(super) allocated: u64,
}

/// Writes `log.new` and syncs it: the identity under the generation's number, then the whole of
/// `value` under the number of the save it came from, then zeros up to a multiple of `chunk`.
pub(super) fn write<D: Durable>(
    dir: &Dir,
    identity: &Identity,
    generation: u64,
    (save, value): (u64, &D),
    chunk: u64,
) -> Result<Log, StoreError> {
    let mut file = dir.create_file(LOG_NEW)?;
    let mut start = MAGIC.to_vec();
    // The salt holds the directory, which is known only once this first record has been read.
    start.extend(record(Salt::default(), MAGIC.len() as u64, generation, identity)?);
    let salt = Salt { directory: identity.directory, generation };
    let offset = start.len() as u64;
    let image = record(salt, offset, save, &D::default().changes(value))?;
    let end = offset + image.len() as u64;
    let allocated = allocation(end, chunk);
    file.write_at(0, &start)?;
    file.write_at(offset, &image)?;
    drop(image);
    file.write_at(end, &vec![0; zeros(end, allocated)])?;
    file.sync()?;
    Ok(Log { file, image_end: end, end, allocated })
}

/// Makes `log.new` the log. Until the directory is synced a power loss may still undo it, which is
/// why nothing is saved to the new log before.
pub(super) fn put_in_place(dir: &Dir) -> Result<(), StoreError> {
    dir.rename(LOG_NEW, LOG)?;
    dir.sync()
}

/// Encodes `payload` into the record that is to stand at `offset`.
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

/// How long a file should be so that the next records after `end` find their space prepared.
pub(super) fn allocation(end: u64, chunk: u64) -> u64 {
    (end + 1).next_multiple_of(chunk.max(1))
}

/// How many zeros fill the file from `end` to `allocated`.
pub(super) fn zeros(end: u64, allocated: u64) -> usize {
    usize::try_from(allocated - end).expect("a chunk fits the memory")
}

//! Writes an image, encoded piece by piece, because it is too long to be held in memory a second time.
//!
//! Each piece is synced before the next is written. So an image never gives the disk much to do at once,
//! and a save that comes meanwhile waits for one piece at most.

use super::StoreError;
use super::file::Handle;
use crc32fast::Hasher;
use serde::Serialize;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// A place in a file at which one payload is written.
pub(super) struct Pieces<'a> {
    file: &'a mut Handle,
    offset: u64,
    /// The length of a piece, in bytes.
    max: usize,
    piece: Vec<u8>,
    len: u64,
    hasher: Hasher,
    is_cancelled: &'a AtomicBool,
    /// Why a write failed, because the encoder does not pass it on.
    failed: Option<StoreError>,
}

impl<'a> Pieces<'a> {
    /// Prepares the place for a payload at `offset`, in pieces of `max` bytes.
    pub(super) fn new(
        file: &'a mut Handle,
        offset: u64,
        max: u64,
        is_cancelled: &'a AtomicBool,
    ) -> Self {
        let max = usize::try_from(max).expect("a chunk fits the memory").max(1);
        let (piece, hasher) = (Vec::with_capacity(max), Hasher::new());
        Self { file, offset, max, piece, len: 0, hasher, is_cancelled, failed: None }
    }

    /// Writes `payload` and returns its length and checksum, or `None` if it was cancelled. The last
    /// piece is not synced.
    pub(super) fn write(
        &mut self,
        payload: &impl Serialize,
    ) -> Result<Option<(u64, u32)>, StoreError> {
        let encoded = postcard::to_io(payload, &mut *self).map(drop);
        let ended = encoded.is_ok() && self.put().is_ok();
        match self.failed.take() {
            Some(failed) => Err(failed),
            None if self.is_cancelled.load(Ordering::Relaxed) => Ok(None),
            None if ended => Ok(Some((self.len, self.hasher.clone().finalize()))),
            None => {
                let reason = encoded.err().map_or_else(String::new, |error| error.to_string());
                Err(StoreError::Encode { reason })
            }
        }
    }

    /// Writes the piece and begins another.
    fn put(&mut self) -> io::Result<()> {
        if self.is_cancelled.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Other.into());
        }
        self.hasher.update(&self.piece);
        self.file.write_at(self.offset, &self.piece).map_err(|error| {
            self.failed = Some(error);
            io::ErrorKind::Other
        })?;
        self.offset += self.piece.len() as u64;
        self.len += self.piece.len() as u64;
        self.piece.clear();
        Ok(())
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(self.max - self.piece.len());
        self.piece.extend_from_slice(&bytes[..len]);
        if self.piece.len() == self.max {
            self.put()?;
            self.file.sync().map_err(|error| {
                self.failed = Some(error);
                io::ErrorKind::Other
            })?;
        }
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The length of `payload` when encoded, in bytes.
pub(super) fn encoded_len(payload: &impl Serialize) -> u64 {
    struct Counter(u64);

    impl Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut counter = Counter(0);
    // A payload that cannot be encoded is found out when it is written.
    let _ = postcard::to_io(payload, &mut counter);
    counter.0
}

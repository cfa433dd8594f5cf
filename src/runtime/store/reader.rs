//! Reads the records of a log one after the other.

use super::StoreError;
use super::file::{Dir, Handle, LOG};
use super::frame::{HEADER, Header, Salt};
use crate::durable::Durable;
use serde::de::DeserializeOwned;

/// The number of bytes that are read in one go, unless a record is longer.
pub(super) const WINDOW: usize = 64 * 1024;

/// An intact record.
pub(super) struct Record {
    pub(super) header: Header,
    pub(super) offset: u64,
    pub(super) end: u64,
    pub(super) payload: Vec<u8>,
}

impl Record {
    /// The bytes of this record if it is to stand at `offset` under `salt`.
    pub(super) fn bytes(&self, salt: Salt, offset: u64) -> Vec<u8> {
        let mut bytes = self.header.bytes(salt, offset).to_vec();
        bytes.extend(&self.payload);
        bytes
    }
}

/// The file `log`, read up to some length.
pub(super) struct Reader {
    dir: Dir,
    pub(super) file: Handle,
    /// The length up to which the file is read; nothing at or behind this byte is.
    pub(super) size: u64,
    window: Vec<u8>,
    window_start: u64,
}

impl Reader {
    pub(super) fn open(dir: &Dir) -> Result<Self, StoreError> {
        let file = dir.open(LOG)?;
        let size = file.size()?;
        Ok(Self { dir: dir.clone(), file, size, window: Vec::new(), window_start: 0 })
    }

    pub(super) fn corrupt(&self, offset: u64, reason: impl Into<String>) -> StoreError {
        self.dir.corrupt(LOG, offset, reason)
    }

    /// The record at `offset`, or what is wrong with it. Memory is allocated only for a length that was
    /// written, and that the file has room for.
    pub(super) fn record(
        &mut self,
        salt: Salt,
        offset: u64,
    ) -> Result<Result<Record, &'static str>, StoreError> {
        let room = self.size.saturating_sub(offset);
        let Some(room) = room.checked_sub(HEADER as u64) else {
            return Ok(Err("the file ends here"));
        };
        let mut header = [0; HEADER];
        self.read(offset, &mut header)?;
        let Some(header) = Header::read(salt, offset, &header) else {
            return Ok(Err("no record starts here"));
        };
        let len = match usize::try_from(header.len) {
            Ok(len) if header.len <= room => len,
            _ => return Ok(Err("the file ends within the record")),
        };
        let mut payload = vec![0; len];
        self.read(offset + HEADER as u64, &mut payload)?;
        if !header.fits(&payload) {
            return Ok(Err("the record does not match its checksum"));
        }
        let end = offset + HEADER as u64 + header.len;
        Ok(Ok(Record { header, offset, end, payload }))
    }

    pub(super) fn decode<T: DeserializeOwned>(&self, record: &Record) -> Result<T, StoreError> {
        let reason = match postcard::take_from_bytes(&record.payload) {
            Ok((content, [])) => return Ok(content),
            Ok(_) => "too many bytes".into(),
            Err(error) => error.to_string(),
        };
        let reason =
            format!("an intact record cannot be decoded, is it of another version? {reason}");
        Err(self.corrupt(record.offset, reason))
    }

    pub(super) fn apply<D: Durable>(
        &self,
        value: &mut D,
        record: &Record,
    ) -> Result<(), StoreError> {
        let changes = self.decode(record)?;
        value.apply(changes).map_err(|reason| {
            let number = record.header.number;
            self.corrupt(record.offset, format!("save {number} cannot be applied: {reason}"))
        })
    }

    /// Fills `buffer` from `offset` on. Short reads are served from a window, so that a log of many
    /// short records does not need many reads.
    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), StoreError> {
        if buffer.len() > WINDOW {
            return self.file.read_at(offset, buffer);
        }
        let end = offset + buffer.len() as u64;
        let has_all =
            self.window_start <= offset && end <= self.window_start + self.window.len() as u64;
        if !has_all {
            let left = usize::try_from(self.size - offset).unwrap_or(usize::MAX);
            self.window.resize(left.min(WINDOW), 0);
            self.window_start = offset;
            if let Err(error) = self.file.read_at(offset, &mut self.window) {
                self.window.clear();
                return Err(error);
            }
        }
        let start = usize::try_from(offset - self.window_start).expect("it is in the window");
        buffer.copy_from_slice(&self.window[start..start + buffer.len()]);
        Ok(())
    }
}

//! The watermark: the number of the save that was acknowledged last.

use super::StoreError;
use super::file::{Dir, Handle, WATERMARK};

/// The length of the file: directory, generation and save, then a CRC-32 of them. It stays within one
/// sector.
const SIZE: usize = 36;

/// The bytes that go into the checksum first: the file's kind, and the version of its format.
const KIND: &[u8] = b"durable watermark 1";

/// The content of the watermark file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Watermark {
    pub(super) directory: u128,
    pub(super) generation: u64,
    /// The number of the last save that returned.
    pub(super) save: u64,
}

impl Watermark {
    /// Reads the watermark file. Refuses anything but a whole watermark.
    pub(super) fn read(dir: &Dir) -> Result<(Self, Handle), StoreError> {
        let mut file = dir.open_needed(WATERMARK)?;
        let size = file.size()?;
        if size != SIZE as u64 {
            let reason = format!("it has {size} bytes where a watermark has {SIZE}");
            return Err(dir.corrupt(WATERMARK, size.min(SIZE as u64), reason));
        }
        let mut bytes = [0; SIZE];
        file.read_at(0, &mut bytes)?;
        let watermark = Self::decode(&bytes)
            .ok_or_else(|| dir.corrupt(WATERMARK, 0, "it does not match its checksum"))?;
        Ok((watermark, file))
    }

    /// Overwrites the watermark file without a sync. SIGKILL does not undo the write, and after a power
    /// loss the watermark is merely older.
    pub(super) fn write(self, file: &mut Handle) -> Result<(), StoreError> {
        file.write_at(0, &self.encode())
    }

    /// Whether this is the watermark that bootstrap leaves. An opening writes the generation of its log
    /// into the watermark before it returns. So a store with this watermark has never been used.
    pub(super) fn is_unused(self) -> bool {
        self.generation == 0 && self.save == 0
    }

    fn encode(self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..16].copy_from_slice(&self.directory.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.generation.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.save.to_le_bytes());
        let crc = crc(&bytes[..32]);
        bytes[32..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; SIZE]) -> Option<Self> {
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a word"));
        (crc(&bytes[..32]).to_le_bytes() == bytes[32..]).then(|| Self {
            directory: u128::from(word(8)) << 64 | u128::from(word(0)),
            generation: word(16),
            save: word(24),
        })
    }
}

fn crc(fields: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(KIND);
    hasher.update(fields);
    hasher.finalize()
}

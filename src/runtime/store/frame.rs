//! The frame of a record: `[payload length u64 | number u64 | payload CRC-32 | header CRC-32]`, little
//! endian, then the payload.
//!
//! The header has a checksum of its own. So a length is believed, and memory allocated for it, only if
//! it is the length that was written. And any flipped bit is caught for certain. A single checksum for
//! header and payload could miss a flip of the length, because that moves the end of what the checksum
//! covers. The header's checksum also covers its place, directory and generation, so no header passes as
//! one anywhere else.

use crc32fast::Hasher;

/// The number of bytes before the payload.
pub(super) const HEADER: usize = 24;

/// The values that set the records of one generation of one directory apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Salt {
    pub(super) directory: u128,
    pub(super) generation: u64,
}

/// A header that matches its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) len: u64,
    pub(super) number: u64,
    pub(super) payload_crc: u32,
}

impl Header {
    /// The bytes of this header for a record that is to stand at `offset`.
    pub(super) fn bytes(&self, salt: Salt, offset: u64) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&self.len.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = header_crc(salt, offset, &bytes[..20]);
        bytes[20..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header at `offset`. Returns `None` if its checksum does not match.
    pub(super) fn read(salt: Salt, offset: u64, bytes: &[u8; HEADER]) -> Option<Self> {
        let (covered, crc) = bytes.split_at(HEADER - 4);
        (header_crc(salt, offset, covered).to_le_bytes() == crc).then(|| Self::unchecked(bytes))
    }

    /// Reads the fields of a header without a look at the checksum, to rule out most places cheaply.
    pub(super) fn unchecked(bytes: &[u8; HEADER]) -> Self {
        let word = |at: usize| bytes[at..at + 8].try_into().expect("eight bytes");
        let crc = bytes[16..20].try_into().expect("four bytes");
        Self {
            len: u64::from_le_bytes(word(0)),
            number: u64::from_le_bytes(word(8)),
            payload_crc: u32::from_le_bytes(crc),
        }
    }

    /// Whether `payload` is the one this header was written for.
    pub(super) fn fits(&self, payload: &[u8]) -> bool {
        payload.len() as u64 == self.len && crc32fast::hash(payload) == self.payload_crc
    }
}

/// Fills in the header of a record that is to stand at `offset`. The header takes the first [`HEADER`]
/// bytes of `record`, and the rest is the payload.
pub(super) fn seal(salt: Salt, offset: u64, number: u64, record: &mut [u8]) {
    let (header, payload) = record.split_at_mut(HEADER);
    let (len, payload_crc) = (payload.len() as u64, crc32fast::hash(payload));
    header.copy_from_slice(&Header { len, number, payload_crc }.bytes(salt, offset));
}

fn header_crc(salt: Salt, offset: u64, covered: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&salt.directory.to_le_bytes());
    hasher.update(&salt.generation.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher.update(covered);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_one_only_at_its_place_in_its_generation_of_its_directory() {
        let salt = Salt { directory: 5 << 64 | 7, generation: 3 };
        let mut record = vec![9; HEADER + 2];
        seal(salt, 4096, 12, &mut record);
        let header = record[..HEADER].try_into().expect("a header");
        let read = Header::read(salt, 4096, header).expect("the header that was written");
        assert_eq!((read.len, read.number), (2, 12));
        assert!(read.fits(&record[HEADER..]) && !read.fits(&[9, 8]) && !read.fits(&[9]));
        for offset in [0, 4095, 4097, 4096 << 32] {
            assert_eq!(Header::read(salt, offset, header), None, "at byte {offset}");
        }
        for generation in [0, 2, 4, 3 << 32] {
            let salt = Salt { generation, ..salt };
            assert_eq!(Header::read(salt, 4096, header), None, "generation {generation}");
        }
        for directory in [0, 7, 5 << 64, 5 << 64 | 6] {
            let salt = Salt { directory, ..salt };
            assert_eq!(Header::read(salt, 4096, header), None, "directory {directory}");
        }
    }
}

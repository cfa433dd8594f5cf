//! The durable store: a value, saved again and again, that survives SIGKILL and power loss.
//!
//! # Files
//!
//! | file        | what it is |
//! |-------------|------------|
//! | `log`       | identity, one full image, then one record per save. The name `log` *is* the store: nothing else makes a directory bootstrapped |
//! | `watermark` | number of the last acknowledged save; overwritten in place, without a sync, before each save returns |
//! | `census`    | this server's starts, and what it knows of the others' directories and starts; see [`Census`] |
//! | `lock`      | empty; locked while a node uses the directory |
//! | `*.new`     | a file not finished yet; never read, and removed when the store is opened |
//!
//! # Invariants
//!
//! - **A save is durable when it returns**: the record is written and synced, then the watermark is
//!   written. A new `log` is synced before it is renamed into place, and its directory after.
//! - **Only the last record can be half written.** There is one writer and it waits. So behind a
//!   broken record nothing intact may follow, or the record was damaged after it was saved.
//! - **The watermark is never ahead of the log, and after SIGKILL never behind.** A log that ends
//!   before its watermark has lost acknowledged saves. The watermark is synced only at
//!   an opening, and before and after a new log is put in place. So after a power loss it may be older.
//!   Then, and only then, damage to the very last record looks like a save that was never acknowledged.
//! - **The watermark is synced before a generation is left.** So a watermark of an earlier generation
//!   names exactly the last save in the log.
//! - **A failed sync, and a failed write of `log`, `watermark` or `census`, is final**: every later save
//!   fails, because a second sync may succeed without having written anything. There are exceptions.
//!   A record that finds the disk full is written once more, with all its bytes, before it is synced.
//!   So is a census, if a compaction gave up its room for it. A `log.new` that fails before it is
//!   renamed is thrown away.
//! - **The census is replaced as a whole**: written aside, synced, renamed. A node begins a start before
//!   it sends anything. So it writes the census anew, whatever the page cache holds.
//!
//! Assumed of the disk: what it has confirmed stays, and a 512-byte sector is written whole or not at
//! all (a sector holds the end of acknowledged records beside the start of the next, and the watermark).
//!
//! # Opening trusts no page cache
//!
//! After a failed sync, pages that never reached the disk read back as if they had, until the cache
//! forgets them. A second sync does not write them; only to write the bytes once more does. So opening
//! asks what, of all that it has read, no sync has ever confirmed, and writes exactly that again:
//!
//! - **The last record, and all behind it.** No record is written before the sync of the one before
//!   it has succeeded, and opening itself ends with such a sync before the first save. So by induction
//!   over the lives of a store everything before the last record is durable, and nothing else need be.
//!   The bytes that were checked are written again, where they stand: the record, then zeros to the
//!   end of the file, which drop a torn record and make the length durable. To read them again would
//!   not do: the cache may have forgotten them meanwhile. A crash in between is harmless. Where the
//!   record was durable the sectors are written as they were; where it was not, it was never
//!   acknowledged.
//! - **The image** needs nothing: it was synced before its log got the name.
//! - **The name `log`** need not be durable if the directory's sync was never confirmed. The watermark
//!   enters a generation only after that. So a watermark of an earlier generation, and only that,
//!   leaves the name in doubt. Then all is written into a new `log`, which is put in place. That is
//!   the case after bootstrap, when there is nothing to write yet, and after a crash within a few
//!   milliseconds of a compaction, which has just made the log short.
//! - **The watermark** is written and synced each time.
//!
//! Writing over what is there needs no room, so a store on a full disk opens. (A file system that
//! copies on write wants some.)
//!
//! # Compaction goes on beside the saves
//!
//! A log much longer than its value is replaced by a new one. A thread encodes a clone of the value,
//! piece by piece, into `log.new`, and copies the records that are appended to `log` meanwhile, read
//! from `log` itself and checked. When little is left it hands the file over. The next save copies the
//! rest, syncs both files, renames, and goes on with the new log: some five syncs more than usual.
//! Up to the renaming `log` is the whole store, and a compaction that fails in any way is given up,
//! removed, logged once and attempted again when the log has grown by a quarter. When a save of the
//! value or of the census finds the disk full, it takes the room of a compaction under way.
//!
//! It begins when the records since the image exceed both four images and [`Options::compact_at`]. The
//! directory's id raises that limit to at most twice as much. So the servers of a cluster, whose logs
//! grow alike, do not all compact at once. It writes nothing unless the new image is at
//! most half as long as the log; if it is not, the next look comes when the log is twice as long. So a
//! log that only grows is never rewritten for nothing, and all images together are a constant share
//! of what was saved.
//!
//! # Cost
//!
//! A save writes what changed: one write and one `fdatasync` into a file whose space was filled with
//! zeros beforehand, so that no metadata changes, and a 36-byte write to the page cache. The disk must
//! have room for `log`, one [`Options::chunk`] and twice the census, which is a few kilobytes; a
//! compaction wants half as much again for a while.
//! Memory: the value and one encoded record. While a compaction runs: what the value it began with
//! does not share with the present one, the list of that value's changes, and two chunks. While
//! opening: the encoded image and the list of its changes.

mod bootstrap;
mod census;
mod compaction;
mod compactor;
mod disk;
mod error;
mod file;
mod frame;
mod generation;
mod identity;
mod log_store;
mod memory;
mod pieces;
mod reader;
mod recovery;
mod sim;
mod watermark;

pub use census::{Census, Known};
pub use compaction::{Spawn, Task};
pub use disk::{Disk, DiskFile, Guard, RealDisk};
pub use error::StoreError;
pub use file::replace_file;
pub use identity::{Expected, Identity, Life, Start};
pub use log_store::{LogStore, Options};
pub use memory::MemoryStore;
pub use sim::{Fault, SimDisk};

/// Where a node keeps a value of type `D` between its lives.
pub trait Store<D> {
    /// The last saved value; after opening, the restored one.
    fn value(&self) -> &D;

    /// Makes `next` the saved value: one atomic record of what changed, durable when this returns.
    /// No record if nothing changed. After an error every later save fails: the node must stop.
    fn save(&mut self, next: &D) -> Result<(), StoreError>;

    /// Number of saves recorded durably since bootstrap.
    fn saves(&self) -> u64;

    /// The last saved census; after opening, the restored one.
    fn census(&self) -> &Census;

    /// Makes `next` the saved census, durable when this returns. After an error every later save fails,
    /// that of a value too.
    fn save_census(&mut self, next: &Census) -> Result<(), StoreError>;
}

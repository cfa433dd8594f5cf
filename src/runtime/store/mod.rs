//! The durable store: a value, saved again and again, that survives SIGKILL and power loss.
//!
//! A [`LogStore`] keeps the value in a file called `log`: one image of the whole value, then one record
//! for each save. [`LogStore::open`] reads the value back (`recovery`) and makes durable what it has
//! read. It restores exactly the value that was saved last, or refuses; the invariants name the one
//! exception. [`Store::save`] appends a record of what changed. When the log has become much longer than
//! its value, `compactor` starts a `compaction`. The compaction writes a new log beside the saves, and a
//! later save puts that log in place of the old one. A [`Disk`] does all I/O: [`RealDisk`] in a
//! node, and a disk in memory that fails on demand in tests.
//!
//! # Files
//!
//! | file | content |
//! |---|---|
//! | `log` | identity, one full image, then one record per save; see below |
//! | `watermark` | number of the last acknowledged save; overwritten in place before each save returns |
//! | `census` | this server's starts, and the known directories and starts of others; see [`Census`] |
//! | `lock` | empty; locked while a node uses the directory |
//! | `*.new` | a file not finished yet; never read, and removed when the store is opened |
//!
//! The name `log` *is* the store: nothing else makes a directory bootstrapped. The watermark is
//! overwritten without a sync.
//!
//! # Invariants
//!
//! - **A save is durable when it returns**: the store writes and syncs the record, then writes the
//!   watermark. It syncs a new `log` before it renames that into place, and syncs the directory after.
//! - **Only the last record can be half written.** There is one writer, and it waits for each sync. So
//!   nothing intact may follow a broken record; if something does, the record was damaged after it was
//!   saved.
//! - **The watermark is never ahead of the log, and after SIGKILL never behind.** A log that ends before
//!   its watermark has lost acknowledged saves. The store syncs the watermark only at an opening, and
//!   before and after it puts a new log in place. So after a power loss the watermark may be older.
//!   Then, and only then, damage to the very last record looks like a save that was never acknowledged.
//! - **The store syncs the watermark before it leaves a generation.** So a watermark of an earlier
//!   generation names exactly the last save in the log.
//! - **A failed sync is final, and so is a failed write of `log`, `watermark` or `census`.** Every later
//!   save fails, because a second sync may succeed without having written anything. There are three
//!   exceptions. A record that finds the disk full is written once more, with all its bytes, before it
//!   is synced. A census that finds the disk full is written once more if a compaction gave up its room
//!   for it. A `log.new` that fails before it is renamed is thrown away.
//! - **The census is replaced as a whole**: the store writes it aside, syncs it and renames it. A node
//!   begins a start before it sends anything. So it writes the census anew, whatever the page cache
//!   holds.
//!
//! The store assumes two things of the disk. Bytes that it has confirmed stay, and a 512-byte sector is
//! written whole or not at all. (A sector holds the end of acknowledged records beside the start of the
//! next, and the watermark.)
//!
//! # Opening trusts no page cache
//!
//! After a failed sync, pages that never reached the disk read back as if they had, until the cache
//! forgets them. A second sync does not write them; they reach the disk only if their bytes are written
//! once more. So an opening asks which of the bytes that it has read no sync has ever confirmed, and
//! writes exactly those again:
//!
//! - **The last record, and all behind it.** No record is written before the sync of the one before it
//!   has succeeded. An opening itself ends with such a sync, before the first save. So by induction over
//!   the lives of a store, everything before the last record is durable, and nothing else need be. The
//!   opening writes again the bytes that it has checked, where they stand. They are the record, then
//!   zeros to the end of the file, which drop a torn record and make the length durable. To read the
//!   bytes again would not do: the cache may have forgotten them meanwhile. A crash in between is
//!   harmless. Where the record was durable, the sectors are written as they were. Where it was not, it
//!   was never acknowledged.
//! - **The image** needs nothing: it was synced before its log got the name `log`.
//! - **The name `log`** need not be durable if the directory's sync was never confirmed. The watermark
//!   enters a generation only after that sync. So a watermark of an earlier generation, and only that,
//!   leaves the name in doubt. Then the opening writes everything into a new `log` and puts that in
//!   place. This happens after bootstrap, when there is nothing to write yet. It also happens after a
//!   crash within a few milliseconds of a compaction, which has just made the log short.
//! - **The watermark** is written and synced at each opening.
//!
//! These writes go over bytes that are there and need no room, so a store on a full disk opens. (A file
//! system that copies on write needs some.)
//!
//! # Compaction goes on beside the saves
//!
//! A log much longer than its value is replaced by a new one. A thread encodes a clone of the value,
//! piece by piece, into `log.new`. Then it copies the records that are appended to `log` meanwhile, and
//! checks them as it reads them from `log`. When little is left, it hands the file over. The next save
//! copies the rest, syncs both files, renames, and goes on with the new log: some five syncs more than
//! usual.
//!
//! Up to the renaming, `log` is the whole store. A compaction that fails in any way is given up and
//! removed, and logged once. The next attempt comes when the log has grown by a quarter, or by
//! [`Options::compact_at`] if that is more. When a save of the value or of the census finds the disk
//! full, it takes the room of a running compaction.
//!
//! A compaction begins when the records since the image exceed both four images and
//! [`Options::compact_at`]. The directory's id raises that limit to at most twice as much. So the
//! servers of a cluster, whose logs grow alike, do not all compact at once. A compaction writes nothing
//! unless the new image is at most half as long as the log. If the image is longer, the next attempt
//! comes when the log is twice as long. So a log that only grows is never rewritten for nothing, and all
//! images together are a constant share of what was saved.
//!
//! # Cost
//!
//! A save writes what changed: one write and one `fdatasync`, and a 36-byte write to the page cache. The
//! file's space was filled with zeros beforehand, so a save changes no metadata. The disk must have room
//! for `log`, one [`Options::chunk`] and twice the census, which is a few kilobytes. A compaction wants
//! half as much again for a while.
//!
//! The store holds the value and one encoded record in memory. A running compaction adds what its clone
//! of the value does not share with the present value, the list of the clone's changes, and two chunks.
//! An opening adds the encoded image and the list of the image's changes.

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
mod watermark;

pub use census::{Census, Known};
pub use compaction::{Spawn, Task};
pub use disk::{Disk, DiskFile, Guard, RealDisk};
pub use error::StoreError;
pub use file::replace_file;
pub use identity::{Expected, Identity, Life, Start};
pub use log_store::{LogStore, Options};
pub use memory::MemoryStore;

/// A store in which a node keeps a value of type `D` between its lives.
pub trait Store<D> {
    /// The last saved value. After opening, it is the restored value.
    fn value(&self) -> &D;

    /// Makes `next` the saved value. The store appends one atomic record of what changed, durable when
    /// this returns, and none if nothing changed. After an error every later save fails: the node must
    /// stop.
    fn save(&mut self, next: &D) -> Result<(), StoreError>;

    /// The number of saves recorded durably since bootstrap.
    fn saves(&self) -> u64;

    /// The last saved census. After opening, it is the restored census.
    fn census(&self) -> &Census;

    /// Makes `next` the saved census, durable when this returns. After an error every later save fails,
    /// of values too.
    fn save_census(&mut self, next: &Census) -> Result<(), StoreError>;
}

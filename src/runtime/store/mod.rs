//! The durable store: a value, saved again and again, that survives SIGKILL and power loss.
//!
//! # Files
//!
//! | file        | what it is |
//! |-------------|------------|
//! | `log`       | identity, one full image, then one record per save. The name `log` *is* the store: nothing else makes a directory bootstrapped |
//! | `watermark` | number of the last acknowledged save; overwritten in place, without a sync, before each save returns |
//! | `lock`      | empty; locked while a node uses the directory |
//! | `*.new`     | a file not finished yet; never read |
//!
//! # Invariants
//!
//! - **A save is durable when it returns**: the record is written and synced, then the watermark is
//!   written. A new `log` is synced before it is renamed into place, and its directory after.
//! - **Only the last record can be half written.** There is one writer and it waits. So behind a
//!   broken record nothing intact may follow, or the record was damaged after it was saved.
//! - **The watermark is never ahead of the log, and after SIGKILL never behind.** A log that ends
//!   before its watermark has lost acknowledged saves. After a power loss the watermark may be older,
//!   for it is synced only when a log begins: then, and only then, damage to the very last record
//!   cannot be told from a save that was never acknowledged.
//! - **Opening trusts no page cache.** After a failed sync, pages that never reached the disk read
//!   back as if they had. So opening always writes what it has read into a new `log`, synced, before
//!   it returns. That also drops a torn tail, and means that no byte of a log is ever written twice.
//! - **A failed write or sync is final**: every later save fails, because a second sync may succeed
//!   without having written anything.
//!
//! Assumed of the disk: what it has confirmed stays, and a 512-byte sector is written whole or not at
//! all (a sector holds the end of acknowledged records beside the start of the next, and the watermark).
//!
//! # Cost
//!
//! A save writes what changed: one write and one `fdatasync` into a file whose space was filled with
//! zeros beforehand, so that no metadata changes, and a 36-byte write to the page cache. When the
//! records since the image exceed both four images and [`Options::compact_at`], the next save writes
//! a new image first, which takes time in proportion to the value, and a constant share per byte saved.
//! Memory: the value, and one encoded record (while opening or compacting: one encoded image).

mod bootstrap;
mod disk;
mod error;
mod file;
mod frame;
mod generation;
mod identity;
mod log_store;
mod memory;
mod recovery;
mod sim;
mod watermark;

pub use disk::{Disk, DiskFile, Guard, RealDisk};
pub use error::StoreError;
pub use identity::{Expected, Identity};
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
}

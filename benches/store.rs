//! How long saves and opening take: a durable save of a 256-byte change, beside the least that any
//! durable store must do (append as many bytes to a file and `fdatasync` it); the longest save while
//! a log grows and is compacted; and opening a log of a million entries.

use bytes::Bytes;
use checked_raft::durable::Durable;
use checked_raft::kv::Kv;
use checked_raft::map::{DiffItem, Map};
use checked_raft::raft::{Entry, Payload, Persistent, Term};
use checked_raft::runtime::store::{Disk, DiskFile, Guard, Identity, LogStore, RealDisk, Store};
use criterion::{Criterion, criterion_group, criterion_main};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Entries, each of which can be written over.
#[derive(Clone, Default, PartialEq)]
struct Entries(Map<u64, Bytes>);

impl Durable for Entries {
    type Changes = Vec<(u64, Bytes)>;

    fn changes(&self, next: &Self) -> Self::Changes {
        let put = self.0.diff(&next.0).filter_map(|item| match item {
            DiffItem::Add(key, entry) | DiffItem::Update { new: (key, entry), .. } => {
                Some((*key, entry.clone()))
            }
            DiffItem::Remove(..) => None,
        });
        put.collect()
    }

    fn apply(&mut self, changes: Self::Changes) -> Result<(), String> {
        for (key, entry) in changes {
            self.0.insert(key, entry);
        }
        Ok(())
    }
}

impl Entries {
    fn add(&mut self) {
        let key = self.0.last().map_or(1 << 20, |(key, _)| key + 1);
        self.0.insert(key, vec![7; 256].into());
    }
}

/// What a save of one entry writes: the entry, its key of 3 bytes, three lengths and the header.
const RECORD: usize = 256 + 3 + 3 + 24;

fn identity() -> Identity {
    Identity { cluster: "bench".into(), server: 1, members: [1].into(), directory: 1 }
}

fn bootstrap<D: Durable + Send + 'static>(disk: Arc<dyn Disk>, dir: &Path) -> LogStore<D> {
    LogStore::<D>::bootstrap(disk.clone(), dir, &identity()).expect("a bootstrap");
    open(disk, dir)
}

fn open<D: Durable + Send + 'static>(disk: Arc<dyn Disk>, dir: &Path) -> LogStore<D> {
    LogStore::open(disk, dir, &identity().expected()).expect("a store")
}

fn temp() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

fn append(file: &mut File) {
    file.write_all(&[7; RECORD]).expect("a write");
    file.sync_data().expect("a sync");
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Both by turns, so that whatever else the disk is doing hits both alike.
fn by_turns(rounds: usize) {
    let temp = temp();
    let mut file = File::create(temp.path().join("plain")).expect("a file");
    let dir = temp.path().join("store");
    let (mut store, mut entries) = (bootstrap(Arc::new(RealDisk), &dir), Entries::default());
    let (mut saves, mut appends) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        entries.add();
        saves.push(time(|| store.save(&entries).expect("a save")));
        appends.push(time(|| append(&mut file)));
    }
    saves.sort();
    appends.sort();
    println!("by turns, {rounds} rounds of {RECORD} bytes:");
    for (name, percent) in [("p50", 50), ("p99", 99)] {
        let at = rounds * percent / 100;
        let ratio = saves[at].as_secs_f64() / appends[at].as_secs_f64();
        println!("  {name}: save {:?}, append {:?}, ratio {ratio:.2}", saves[at], appends[at]);
    }
}

const MB: u64 = 1_000_000;
/// Each save of the long logs puts so many entries of 1,000 bytes.
const BATCH: u64 = 50;

/// The times of saves that write `written` bytes, over and over the same `size` bytes of entries.
fn long_log(what: &str, size: u64, written: u64) {
    let temp = temp();
    let (mut store, mut entries) = (bootstrap(Arc::new(RealDisk), temp.path()), Entries::default());
    let (mut saves, mut shrunk, mut len) = (Vec::new(), 0, 0);
    for save in 0..written / (1000 * BATCH) {
        for entry in save * BATCH..(save + 1) * BATCH {
            let content = [&entry.to_le_bytes()[..], &[7; 992]].concat();
            entries.0.insert(entry % (size / 1000), content.into());
        }
        let next = time(|| store.save(&entries).expect("a save"));
        saves.push((next, save * BATCH / 1000));
        let before = len;
        len = std::fs::metadata(temp.path().join("log")).expect("a log").len();
        shrunk += u32::from(len < before);
    }
    saves.sort();
    let median = saves[saves.len() / 2].0;
    let longest: Vec<_> =
        saves.iter().rev().take(4).map(|(time, at)| format!("{time:.1?} at {at} MB")).collect();
    println!(
        "{what}: median {median:.1?}, longest {}; the log ends with {} MB and was {shrunk} times \
         replaced by a shorter one",
        longest.join(", "),
        len / MB
    );
}

/// Entries as of a Raft log, each in a record of its own, then opened: from records, and once more.
fn million() {
    let temp = temp();
    let mut store = bootstrap::<Persistent<Kv>>(Arc::new(Hasty(RealDisk)), temp.path());
    let mut value = Persistent::default();
    for sequence in 0..1_000_000 {
        let (client, session) = ((1 << 40).into(), checked_raft::raft::Index(1));
        let command = vec![7; 100].into();
        let payload = Payload::Command { client, session, sequence, command };
        value.log.append(Entry { term: Term(1), payload });
        store.save(&value).expect("a save");
    }
    drop(store);
    for time_of in ["first", "second", "third"] {
        let taken = time(|| {
            let store = open::<Persistent<Kv>>(Arc::new(RealDisk), temp.path());
            assert_eq!(store.saves(), 1_000_000);
        });
        println!("opening a million entries, the {time_of} time: {taken:.2?}");
    }
}

/// A disk that syncs no file, to prepare a store quickly.
struct Hasty(RealDisk);

struct HastyFile(Box<dyn DiskFile>);

impl Disk for Hasty {
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.0.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.create_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.sync_dir(dir)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(HastyFile(self.0.open(path)?)))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(HastyFile(self.0.create(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Guard>> {
        self.0.lock(path)
    }
}

impl DiskFile for HastyFile {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buffer)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn benchmark(criterion: &mut Criterion) {
    million();
    long_log("a log that only grows, to 85 MB", 85 * MB, 85 * MB);
    long_log("80 MB, written over", 80 * MB, 450 * MB);
    long_log("a log that only grows, to 420 MB", 420 * MB, 420 * MB);
    long_log("400 MB, written over", 400 * MB, 2000 * MB);
    by_turns(5000);
    let temp = temp();
    let mut group = criterion.benchmark_group("durable");
    let dir = temp.path().join("store");
    let (mut store, mut entries) = (bootstrap(Arc::new(RealDisk), &dir), Entries::default());
    group.bench_function("save", |bencher| {
        bencher.iter(|| {
            entries.add();
            store.save(&entries).expect("a save");
        });
    });
    let mut file = File::create(temp.path().join("plain")).expect("a file");
    group.bench_function("append", |bencher| bencher.iter(|| append(&mut file)));
    group.finish();
}

criterion_group!(benches, benchmark);
criterion_main!(benches);

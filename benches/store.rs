//! A durable save of a 256-byte change, beside the least that any durable store must do: append as
//! many bytes to a file and `fdatasync` it.

use checked_raft::durable::Durable;
use checked_raft::map::{DiffItem, Map};
use checked_raft::runtime::store::{Identity, LogStore, RealDisk, Store};
use criterion::{Criterion, criterion_group, criterion_main};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Entries that are only ever added, as a log's are.
#[derive(Clone, Default, PartialEq)]
struct Entries(Map<u64, Vec<u8>>);

impl Durable for Entries {
    type Changes = Vec<(u64, Vec<u8>)>;

    fn changes(&self, next: &Self) -> Self::Changes {
        let added = self.0.diff(&next.0).filter_map(|item| match item {
            DiffItem::Add(key, entry) => Some((*key, entry.clone())),
            _ => None,
        });
        added.collect()
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
        self.0.insert(key, vec![7; 256]);
    }
}

/// What a save of one entry writes: the entry, its key of 3 bytes, three lengths and the header.
const RECORD: usize = 256 + 3 + 3 + 24;

fn store(dir: &Path) -> LogStore<Entries> {
    let members = [1].into();
    let identity = Identity { cluster: "bench".into(), server: 1, members, directory: 1 };
    LogStore::<Entries>::bootstrap(Arc::new(RealDisk), dir, &identity).expect("a bootstrap");
    LogStore::open(Arc::new(RealDisk), dir, &identity.expected()).expect("a store")
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
    let temp = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let mut file = File::create(temp.path().join("plain")).expect("a file");
    let (mut store, mut entries) = (store(&temp.path().join("store")), Entries::default());
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

fn benchmark(criterion: &mut Criterion) {
    by_turns(5000);
    let temp = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let mut group = criterion.benchmark_group("durable");
    let (mut store, mut entries) = (store(&temp.path().join("store")), Entries::default());
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

//! The rules of the durable store: opening restores exactly what was saved, or refuses.

mod sim_disk;

use checked_raft::durable::Durable;
use checked_raft::map::{DiffItem, Map};
use checked_raft::runtime::store::{
    Disk, Expected, Identity, Known, LogStore, Options, RealDisk, Start, Store, StoreError, Task,
    replace_file,
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use sim_disk::{Fault, SimDisk};
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// A value like a server's: a number that changes often and a collection that changes a little.
#[derive(Clone, Debug, Default, PartialEq)]
struct Book {
    term: u64,
    pages: Map<u64, Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct BookChanges {
    term: Option<u64>,
    pages: Vec<(u64, Option<Vec<u8>>)>,
}

thread_local! {
    /// How often this thread has made the changes of an image.
    static IMAGES: Cell<u32> = const { Cell::new(0) };
}

impl Durable for Book {
    type Changes = BookChanges;

    fn changes(&self, next: &Self) -> BookChanges {
        if *self == Self::default() {
            IMAGES.set(IMAGES.get() + 1);
        }
        let term = (self.term != next.term).then_some(next.term);
        let pages = self.pages.diff(&next.pages).map(|item| match item {
            DiffItem::Add(key, page) | DiffItem::Update { new: (key, page), .. } => {
                (*key, Some(page.clone()))
            }
            DiffItem::Remove(key, _) => (*key, None),
        });
        BookChanges { term, pages: pages.collect() }
    }

    fn apply(&mut self, changes: BookChanges) -> Result<(), String> {
        self.term = changes.term.unwrap_or(self.term);
        for (key, page) in changes.pages {
            match page {
                Some(page) => drop(self.pages.insert(key, page)),
                None => {
                    self.pages.remove(&key).ok_or("the page to remove is not there")?;
                }
            }
        }
        Ok(())
    }
}

const DIR: &str = "/var/node";
/// So small that a few saves fill chunks and make several generations.
const SMALL: Options = Options { chunk: 128, compact_at: 300 };

fn dir() -> &'static Path {
    Path::new(DIR)
}

fn identity() -> Identity {
    let members = [1, 2, 3].into();
    Identity { cluster: "test".into(), server: 2, members, directory: 0xD1CE }
}

fn bootstrap(disk: &SimDisk) -> Result<(), StoreError> {
    LogStore::<Book>::bootstrap(Arc::new(disk.clone()), dir(), &identity())
}

/// Opens a store whose compactions are done at once when they begin.
fn open(disk: &SimDisk) -> Result<LogStore<Book>, StoreError> {
    Ok(open_paced(disk, &identity(), usize::MAX)?.0)
}

/// The work of a store beside its saves, so many steps of it after each save.
struct Beside {
    tasks: Arc<Mutex<VecDeque<Task>>>,
    pace: usize,
}

impl Beside {
    fn work(&self) {
        let mut tasks = self.tasks.lock().unwrap();
        for _ in 0..self.pace {
            let Some(task) = tasks.front_mut() else { return };
            if !task.step() {
                tasks.pop_front();
            }
        }
    }
}

fn open_paced(
    disk: &SimDisk,
    identity: &Identity,
    pace: usize,
) -> Result<(LogStore<Book>, Beside), StoreError> {
    let tasks = Arc::new(Mutex::new(VecDeque::new()));
    let beside = Beside { tasks: tasks.clone(), pace };
    let spawn = Box::new(move |mut task: Task| {
        if pace == usize::MAX {
            while task.step() {}
        } else {
            tasks.lock().unwrap().push_back(task);
        }
        Ok(None)
    });
    let disk = Arc::new(disk.clone());
    let store = LogStore::open_spawning(disk, dir(), &identity.expected(), SMALL, spawn)?;
    Ok((store, beside))
}

/// Successive values: short and long changes, growth and removal. The first is the default.
fn history(saves: u64) -> Vec<Book> {
    let mut books = vec![Book::default()];
    for save in 1..=saves {
        let mut book = books.last().expect("the first").clone();
        match save % 4 {
            0 => book.term += 1,
            1 => drop(book.pages.insert(save, vec![save.to_le_bytes()[0]; 90])),
            2 => drop(book.pages.insert(save, Vec::new())),
            _ => drop(book.pages.remove(&(save - 2))),
        }
        books.push(book);
    }
    books
}

/// How far a life of the node came.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    bootstrapped: bool,
    acknowledged: u64,
    attempted: u64,
    /// Starts that were acknowledged, and one more that was perhaps attempted.
    starts: u64,
}

/// Saves the rest of `books`, after bootstrap if need be, until something fails. Compactions are
/// done at once.
fn live(disk: &SimDisk, books: &[Book], progress: &mut Progress) -> Result<(), StoreError> {
    live_paced(disk, books, progress, usize::MAX)
}

fn live_paced(
    disk: &SimDisk,
    books: &[Book],
    progress: &mut Progress,
    pace: usize,
) -> Result<(), StoreError> {
    match bootstrap(disk) {
        Ok(()) => progress.bootstrapped = true,
        // Perhaps by a life that was stopped before it knew, so not durable before it is opened.
        Err(StoreError::AlreadyBootstrapped { .. }) => {}
        Err(error) => return Err(error),
    }
    let (mut store, beside) = open_paced(disk, &identity(), pace)?;
    progress.bootstrapped = true;
    progress.starts = begin(&mut store)?;
    for (number, book) in (0..).zip(books).skip(1) {
        if number > store.saves() {
            progress.attempted = number;
            store.save(book)?;
            progress.acknowledged = number;
            assert_eq!(store.saves(), number);
            beside.work();
        }
    }
    Ok(())
}

/// Begins a start, as a node does. How many there are now.
fn begin(store: &mut LogStore<Book>) -> Result<u64, StoreError> {
    let mut census = store.census().clone();
    let Start { counter, .. } = census.begin(9);
    let starts = BTreeMap::from([(counter, 7)]);
    let known =
        Known { directory: 5, starts, saves: 1, saves_of: 1, lost: Vec::new(), firsthand: true };
    census.known.insert(1, known);
    store.save_census(&census)?;
    Ok(counter)
}

fn starts(store: &LogStore<Book>) -> u64 {
    let starts = &store.census().starts;
    let count = starts.last_key_value().map_or(0, |(counter, _)| *counter);
    assert_eq!(starts.len() as u64, count.min(64), "without gaps");
    let known = store.census().known.get(&1).map(|known| known.life().start.counter);
    assert_eq!(known.unwrap_or(0), count, "a census is saved whole");
    count
}

/// Opens what is left after `progress`: it must be a value between the last acknowledged and the
/// last attempted, and it must then stay, whatever happens to the page cache, as must the next save.
fn check_restored(disk: &SimDisk, books: &[Book], progress: Progress, context: &str) {
    if !progress.bootstrapped {
        match bootstrap(disk) {
            Ok(()) | Err(StoreError::AlreadyBootstrapped { .. }) => {}
            Err(error) => panic!("{context}: bootstrap cannot be run again: {error}"),
        }
    }
    let store = open(disk).unwrap_or_else(|error| panic!("{context}: {error}"));
    let saves = store.saves();
    assert!(
        (progress.acknowledged..=progress.attempted).contains(&saves),
        "{context}: save {saves} restored after {progress:?}"
    );
    assert_eq!(*store.value(), books[usize::try_from(saves).unwrap()], "{context}");
    assert_eq!(*store.identity(), identity(), "{context}");
    let mut book = store.value().clone();
    book.term += 1;
    for seed in 0..3 {
        let next = disk.fork();
        next.restart();
        let mut another = open(&next).unwrap_or_else(|error| panic!("{context}, again: {error}"));
        another.save(&book).unwrap_or_else(|error| panic!("{context}, next save: {error}"));
        drop(another);
        next.power_cut(seed);
        let another = open(&next).unwrap_or_else(|error| panic!("{context}, next cut: {error}"));
        assert_eq!((another.saves(), another.value()), (saves + 1, &book), "{context}");
    }
    let count = starts(&store);
    assert!(
        (progress.starts..=progress.starts + 1).contains(&count),
        "{context}: {count} starts restored after {progress:?}"
    );
    disk.power_cut(saves);
    let again = open(disk).unwrap_or_else(|error| panic!("{context}, second power cut: {error}"));
    assert_eq!(again.saves(), saves, "{context}: what was opened was not durable");
    assert_eq!(again.value(), store.value(), "{context}");
}

fn used(saves: u64) -> (SimDisk, Vec<Book>) {
    let (disk, books) = (SimDisk::new(), history(saves));
    live(&disk, &books, &mut Progress::default()).unwrap();
    disk.restart();
    (disk, books)
}

#[test]
fn a_store_restores_what_was_saved() {
    let (disk, books) = used(40);
    let store = open(&disk).unwrap();
    assert_eq!(*store.value(), books[40]);
    assert_eq!(store.saves(), 40);
}

#[test]
fn saving_an_equal_value_writes_nothing() {
    let (disk, books) = used(5);
    let mut store = open(&disk).unwrap();
    let operations = disk.operations();
    store.save(&books[5]).unwrap();
    assert_eq!(disk.operations(), operations);
    assert_eq!(store.saves(), 5);
}

/// For every I/O of a life, what happens if the process stops there and then `then` happens;
/// with compactions done at once, and with saves between their steps.
fn stop_at_every_operation(then: impl Fn(&SimDisk, u64)) {
    let books = history(32);
    for pace in [usize::MAX, 1, 2] {
        let (mut at, mut finished) = (0, false);
        while !finished {
            for seed in 0..6 {
                let (disk, mut progress) = (SimDisk::new(), Progress::default());
                disk.fail_after(at, Fault::Stop);
                finished = live_paced(&disk, &books, &mut progress, pace).is_ok();
                // A compaction that stops fails no save.
                finished &= disk.operations() <= at;
                then(&disk, seed);
                let context = format!("pace {pace}, stop at I/O {at}, seed {seed}");
                check_restored(&disk, &books, progress, &context);
            }
            at += 1;
        }
        assert!(at > 100, "a life has more I/Os than {at}");
    }
}

#[test]
fn a_power_cut_at_any_io_loses_no_acknowledged_save() {
    stop_at_every_operation(SimDisk::power_cut);
}

#[test]
fn a_kill_at_any_io_loses_no_acknowledged_save() {
    stop_at_every_operation(|disk, _| disk.restart());
}

#[test]
fn a_second_crash_at_any_io_of_the_recovery_loses_no_acknowledged_save() {
    let books = history(14);
    for at in (0..).step_by(3) {
        let (disk, mut progress) = (SimDisk::new(), Progress::default());
        disk.fail_after(at, Fault::Stop);
        let finished = live(&disk, &books, &mut progress).is_ok();
        for (seed, power) in [(1, false), (2, true)] {
            let first = disk.fork();
            if power {
                first.power_cut(seed);
            } else {
                first.restart();
            }
            for again in 0..40 {
                let disk = first.fork();
                let mut progress = progress;
                disk.fail_after(again, Fault::Stop);
                let _ = live(&disk, &books, &mut progress);
                disk.power_cut(seed + again);
                let context = format!("stop at I/O {at} (power: {power}), then {again}");
                check_restored(&disk, &books, progress, &context);
            }
        }
        if finished {
            return;
        }
    }
}

#[test]
fn a_failed_io_is_an_error_and_after_a_restart_no_acknowledged_save_is_lost() {
    let books = history(24);
    for fault in [Fault::Error, Fault::Full] {
        for at in 0.. {
            let (disk, mut progress) = (SimDisk::new(), Progress::default());
            disk.fail_after(at, fault);
            match live(&disk, &books, &mut progress) {
                Ok(()) if disk.operations() <= at => break,
                // Ok: in a compaction, or a full disk that took the record without space behind it.
                Ok(()) | Err(StoreError::Io { .. } | StoreError::Full { .. }) => {}
                Err(error) => panic!("{fault:?} at I/O {at} is reported as: {error}"),
            }
            disk.restart();
            check_restored(&disk, &books, progress, &format!("{fault:?} at I/O {at}"));
        }
    }
}

#[test]
fn after_a_failed_save_every_save_fails() {
    // The write of the record, its sync, and the write of the watermark. (A write that finds the
    // disk full is tried again with fewer bytes.)
    for at in 0..3 {
        for fault in [Fault::Error, Fault::Full] {
            if (at, fault) == (0, Fault::Full) {
                continue;
            }
            let (disk, mut books) = used(5);
            books = history(books.len() as u64 + 1);
            let mut store = open(&disk).unwrap();
            disk.fail_after(at, fault);
            let failed = store.save(&books[6]).unwrap_err();
            let is_io = matches!(failed, StoreError::Io { .. } | StoreError::Full { .. });
            assert!(is_io, "{failed}");
            let operations = disk.operations();
            for book in [&books[6], &books[5], &books[7]] {
                let refused = store.save(book).unwrap_err();
                assert!(matches!(refused, StoreError::Poisoned { .. }), "{refused}");
                assert!(refused.to_string().contains("stop the node"), "{refused}");
            }
            assert_eq!(disk.operations(), operations, "a poisoned store touches its disk");
        }
    }
}

/// After `damage` to one file: a refusal, or a value at or after the last acknowledged save.
fn check_damaged(disk: &SimDisk, books: &[Book], context: &str) -> bool {
    match open(disk) {
        Ok(store) => {
            assert_eq!(store.saves() + 1, books.len() as u64, "{context}: an old value is opened");
            assert_eq!(store.value(), books.last().unwrap(), "{context}");
            assert_eq!(starts(&store), 1, "{context}: an old census is opened");
            true
        }
        Err(StoreError::Corrupt { .. }) => false,
        Err(error) => panic!("{context}: {error}"),
    }
}

fn every_damage(bytes: &[u8]) -> impl Iterator<Item = (String, Vec<u8>)> {
    let cuts = (0..bytes.len()).map(|len| (format!("cut to {len}"), bytes[..len].to_owned()));
    let flips = (0..bytes.len() * 8).map(|bit| {
        let mut flipped = bytes.to_owned();
        flipped[bit / 8] ^= 1 << (bit % 8);
        (format!("bit {bit} flipped"), flipped)
    });
    cuts.chain(flips)
}

#[test]
fn any_cut_or_flipped_bit_of_any_file_ends_in_a_refusal_or_in_the_acknowledged_value() {
    for saves in [0, 1, 17] {
        let (disk, books) = used(saves);
        let mut refused = 0;
        let names = disk.files();
        let names: Vec<_> = names.iter().filter_map(|file| file.to_str()).collect();
        assert_eq!(
            names,
            ["/var/node/census", "/var/node/lock", "/var/node/log", "/var/node/watermark"]
        );
        for file in disk.files() {
            let bytes = disk.content(&file).unwrap();
            for (damage, bytes) in every_damage(&bytes) {
                let disk = disk.fork();
                disk.damage(&file, Some(bytes));
                let context = format!("{} {damage}", file.display());
                let opened = check_damaged(&disk, &books, &context);
                assert!(!opened || file.ends_with("log"), "{context}: opened");
                refused += u32::from(!opened);
            }
        }
        assert!(refused > 500, "only {refused} refusals");
    }
}

/// Past the image of the log: where each record starts, found by growing the log save by save.
fn record_starts(saves: u64) -> Vec<usize> {
    let end = |saves| {
        let (disk, _) = used(saves);
        let log = disk.content(&dir().join("log")).unwrap();
        log.len() - log.iter().rev().take_while(|byte| **byte == 0).count()
    };
    (0..=saves).map(end).collect()
}

#[test]
fn damage_before_the_last_record_is_refused_even_if_power_loss_took_the_watermark_back() {
    // The first saves do not fill a log yet, so the first watermark of the generation is legal.
    let old = used(0).0.content(&dir().join("watermark")).unwrap();
    let (disk, books) = used(4);
    disk.damage(&dir().join("watermark"), Some(old));
    assert!(check_damaged(&disk.fork(), &books, "an older watermark"), "it must open");
    let log = disk.content(&dir().join("log")).unwrap();
    let last_record = record_starts(4)[3];
    assert!(last_record > 200);
    for bit in 0..last_record * 8 {
        let mut flipped = log.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let disk = disk.fork();
        disk.damage(&dir().join("log"), Some(flipped));
        assert!(!check_damaged(&disk, &books, "older watermark"), "bit {bit} flipped: opened");
    }
}

#[test]
fn a_missing_file_is_refused_and_cannot_be_papered_over_by_bootstrap() {
    let (disk, _) = used(3);
    let files = ["log", "watermark", "census"];
    for missing in [&files[..1], &files[1..2], &files[2..], &files[..2], &["log", "census"]] {
        let disk = disk.fork();
        for name in missing {
            disk.damage(&dir().join(name), None);
        }
        let refused = open(&disk).err().expect("a refusal").to_string();
        assert!(refused.contains(missing[0]) && refused.contains("is missing"), "{refused}");
        assert!(refused.contains("do not bootstrap it again"), "{refused}");
        let refused = bootstrap(&disk).expect_err("a refusal");
        assert!(!matches!(refused, StoreError::Io { .. }), "without {missing:?}: {refused}");
    }
}

#[test]
fn a_damaged_store_is_not_to_be_replaced_by_an_older_copy() {
    let (disk, _) = used(3);
    disk.damage(&dir().join("census"), None);
    let refused = open(&disk).err().expect("a refusal").to_string();
    assert!(refused.contains("do not put an older copy in its place"), "{refused}");
    assert!(!refused.to_lowercase().contains("restore"), "{refused}");
}

#[test]
fn a_directory_of_an_earlier_format_is_refused_as_such() {
    let (disk, _) = used(3);
    let log = dir().join("log");
    for earlier in [1, 2] {
        let mut bytes = disk.content(&log).unwrap();
        bytes[7] = earlier;
        disk.damage(&log, Some(bytes));
        let refused = open(&disk).err().expect("a refusal");
        assert!(matches!(refused, StoreError::EarlierFormat { .. }), "{refused}");
        assert!(refused.to_string().contains("the version that wrote it"), "{refused}");
    }
}

#[test]
fn each_start_is_remembered_up_to_a_bound() {
    let (disk, _) = used(0);
    for count in 2..=70 {
        let mut store = open(&disk).unwrap();
        assert_eq!(begin(&mut store).unwrap(), count);
        drop(store);
        disk.power_cut(count);
        assert_eq!(starts(&open(&disk).unwrap()), count);
    }
}

#[test]
fn a_replaced_file_is_the_old_one_or_the_new_one_whole_and_then_the_new_one() {
    let path = Path::new("/var/cluster.json");
    let replace =
        |disk: &SimDisk, content: &[u8]| replace_file(Arc::new(disk.clone()), path, content);
    let (old, new) = (vec![1; 300], vec![2; 400]);
    let (mut at, mut finished) = (0, false);
    while !finished {
        for seed in 0..20 {
            let disk = SimDisk::new();
            replace(&disk, &old).unwrap();
            disk.fail_after(at, Fault::Stop);
            finished = replace(&disk, &new).is_ok();
            disk.power_cut(seed);
            let content = disk.content(path).expect("it was there");
            assert!(content == new || !finished && content == old, "I/O {at}, seed {seed}");
        }
        at += 1;
    }
    assert!(at > 4, "it has more I/Os than {at}");
}

#[test]
fn files_taken_back_to_an_earlier_day_are_refused() {
    // With and without generations in between.
    for (earlier, later) in [(2, 4), (4, 30), (0, 1)] {
        let (old, _) = used(earlier);
        let (disk, _) = used(later);
        let name = dir().join("log");
        disk.damage(&name, old.content(&name));
        let refused = open(&disk).err().expect("a refusal");
        assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
        if later == 30 {
            let (disk, _) = used(later);
            let name = dir().join("watermark");
            disk.damage(&name, old.content(&name));
            let refused = open(&disk).err().expect("a refusal");
            assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
        }
    }
}

#[test]
fn a_record_written_over_another_is_refused() {
    let disk = used(0).0;
    let mut store = open(&disk).unwrap();
    let (log, mut book) = (dir().join("log"), Book::default());
    let mut ends = Vec::new();
    for term in 1..=5 {
        book.term = term;
        store.save(&book).unwrap();
        let bytes = disk.content(&log).unwrap();
        ends.push(bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count());
    }
    drop(store);
    // A record ends with the number of changed pages, a zero, which is not counted above.
    let size = ends[1] - ends[0];
    let mut bytes = disk.content(&log).unwrap();
    bytes.copy_within(ends[1] + 1..=ends[1] + size, ends[3] + 1);
    disk.damage(&log, Some(bytes));
    let refused = open(&disk).err().expect("a refusal");
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
}

#[test]
fn the_files_of_two_stores_do_not_mix() {
    let other = SimDisk::new();
    let stranger = Identity { directory: 7, ..identity() };
    LogStore::<Book>::bootstrap(Arc::new(other.clone()), dir(), &stranger).unwrap();
    drop(open(&other).unwrap());
    for (name, says) in [("watermark", "another store"), ("census", "another directory")] {
        let (disk, _) = used(0);
        let name = dir().join(name);
        disk.damage(&name, other.content(&name));
        let refused = open(&disk).err().expect("a refusal").to_string();
        assert!(refused.contains(says), "{refused}");
    }
}

#[test]
fn a_store_opens_only_for_its_own_server() {
    let (disk, _) = used(2);
    let me = identity().expected();
    let claims = [
        Expected { cluster: "prod".into(), ..me.clone() },
        Expected { server: 1, ..me.clone() },
        Expected { members: [1, 2].into(), ..me },
    ];
    for claim in claims {
        let refused = LogStore::<Book>::open(Arc::new(disk.clone()), dir(), &claim).err().unwrap();
        assert!(matches!(refused, StoreError::WrongIdentity { .. }), "{refused}");
        assert!(refused.to_string().contains("server 2 of cluster \"test\""), "{refused}");
    }
}

#[test]
fn bootstrap_happens_once() {
    let (disk, books) = used(2);
    for _ in 0..2 {
        let refused = bootstrap(&disk).unwrap_err();
        assert!(matches!(refused, StoreError::AlreadyBootstrapped { .. }), "{refused}");
    }
    assert_eq!(*open(&disk).unwrap().value(), books[2]);
}

#[test]
fn only_a_bootstrapped_directory_opens() {
    let disk = SimDisk::new();
    for _ in 0..2 {
        let refused = open(&disk).err().expect("a refusal");
        assert!(matches!(refused, StoreError::NotBootstrapped { .. }), "{refused}");
        disk.create_dir(Path::new("/var")).ok();
        disk.create_dir(dir()).ok();
    }
    assert!(disk.files().is_empty(), "a refusal leaves nothing behind");
}

#[test]
fn bootstrap_keeps_out_of_a_directory_that_holds_something() {
    let disk = SimDisk::new();
    disk.create_dir(Path::new("/var")).unwrap();
    disk.create_dir(dir()).unwrap();
    disk.damage(&dir().join("thesis.tex"), Some(Vec::new()));
    let refused = bootstrap(&disk).unwrap_err();
    assert!(refused.to_string().contains("thesis.tex"), "{refused}");
    assert_eq!(disk.files().len(), 1);
}

#[test]
fn two_processes_cannot_share_a_directory() {
    let temp = tempfile::tempdir().unwrap();
    for disk in [Arc::new(RealDisk) as Arc<dyn Disk>, Arc::new(SimDisk::new())] {
        let dir = temp.path();
        LogStore::<Book>::bootstrap(disk.clone(), dir, &identity()).unwrap();
        let open = || LogStore::<Book>::open(disk.clone(), dir, &identity().expected());
        let first = open().unwrap();
        let refused = open().err().expect("a refusal");
        assert!(matches!(refused, StoreError::Locked { .. }), "{refused}");
        drop(first);
        open().unwrap();
    }
}

#[test]
fn a_real_directory_keeps_a_value() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("a").join("b");
    let books = history(30);
    LogStore::<Book>::bootstrap(Arc::new(RealDisk), &dir, &identity()).unwrap();
    for number in 1..books.len() {
        let me = identity().expected();
        let mut store = LogStore::open_with(Arc::new(RealDisk), &dir, &me, SMALL).unwrap();
        assert_eq!(*store.value(), books[number - 1]);
        store.save(&books[number]).unwrap();
    }
    let mut names: Vec<_> = RealDisk.list(&dir).unwrap();
    names.sort();
    assert_eq!(names, ["census", "lock", "log", "watermark"]);
}

#[test]
fn a_save_writes_no_more_when_the_value_is_larger() {
    let written = |pages: u64| {
        let disk = SimDisk::new();
        bootstrap(&disk).unwrap();
        let options = Options { chunk: 1, compact_at: 1 << 20 };
        let me = identity().expected();
        let mut store = LogStore::open_with(Arc::new(disk.clone()), dir(), &me, options).unwrap();
        let mut book = Book::default();
        for page in 0..pages {
            book.pages.insert(page + (1 << 40), vec![1; 50]);
        }
        store.save(&book).unwrap();
        let before = (disk.written(), disk.operations());
        for page in 0..20 {
            book.pages.insert(page, vec![1; 50]);
            store.save(&book).unwrap();
        }
        (disk.written() - before.0, disk.operations() - before.1)
    };
    let small = written(0);
    assert_eq!(small, written(10_000));
    assert!(small.0 < 20 * 150, "{} bytes for 20 changes of 50 bytes", small.0);
    assert_eq!(small.1, 20 * 3, "a write, a sync and the watermark for each save");
}

#[test]
fn a_log_stays_within_a_constant_factor_of_its_value() {
    let (disk, _) = used(0);
    let mut store = open(&disk).unwrap();
    let mut book = Book::default();
    for save in 1..2000 {
        book.term = save;
        store.save(&book).unwrap();
        let len = disk.content(&dir().join("log")).unwrap().len() as u64;
        assert!(
            len <= 200 + 2 * SMALL.compact_at + 300 + SMALL.chunk,
            "{len} bytes after save {save}"
        );
    }
}

#[test]
fn an_absurd_length_allocates_nothing() {
    let (disk, _) = used(3);
    let log = dir().join("log");
    let bytes = disk.content(&log).unwrap();
    for start in record_starts(3) {
        for absurd in [u64::MAX, u64::MAX / 2, 1 << 40, 1 << 31] {
            let disk = disk.fork();
            let mut bytes = bytes.clone();
            bytes[start..start + 8].copy_from_slice(&absurd.to_le_bytes());
            disk.damage(&log, Some(bytes));
            let _ = open(&disk);
        }
    }
}

#[test]
fn no_save_waits_for_a_compaction() {
    let disk = used(0).0;
    let (mut store, beside) = open_paced(&disk, &identity(), 1).unwrap();
    let (mut book, mut begun, mut taken_over) = (Book::default(), 0, 0);
    for term in 1..=60 {
        book.term = term;
        let (operations, log_new) = (disk.operations(), disk.content(&dir().join("log.new")));
        store.save(&book).unwrap();
        match disk.operations() - operations {
            // The record and its sync, the watermark.
            3 => begun += u32::from(log_new.is_some()),
            // The rest of the copy, three syncs, a name and a watermark besides.
            more => {
                assert!(log_new.is_some() && more <= 12, "{more} I/Os in save {term}");
                taken_over += 1;
            }
        }
        beside.work();
    }
    assert!(begun > 0 && taken_over > 1, "{begun} saves meanwhile, {taken_over} compactions");
}

#[test]
fn a_log_that_only_grows_is_not_compacted() {
    let disk = used(0).0;
    let mut store = open(&disk).unwrap();
    let (mut book, mut ends) = (Book::default(), Vec::new());
    IMAGES.set(0);
    for page in 0..200 {
        book.pages.insert(page, vec![1; 90]);
        let operations = disk.operations();
        store.save(&book).unwrap();
        assert_eq!(disk.operations() - operations, 3, "I/Os in save {page}");
        ends.push(disk.used());
    }
    assert!(ends.is_sorted() && ends[199] > 200 * 90);
    // One is the first save, which changes the default.
    assert!((2..9).contains(&IMAGES.get()), "{} looks whether it is worth it", IMAGES.get());
}

#[test]
fn the_logs_of_a_cluster_are_not_all_compacted_at_once() {
    let mut saves: Vec<_> = (1..=5)
        .map(|directory| {
            let (disk, identity) = (SimDisk::new(), Identity { directory, ..identity() });
            LogStore::<Book>::bootstrap(Arc::new(disk.clone()), dir(), &identity).unwrap();
            let (mut store, _) = open_paced(&disk, &identity, usize::MAX).unwrap();
            let log = || disk.content(&dir().join("log")).unwrap().len();
            let (mut book, mut longest) = (Book::default(), 0);
            while log() >= longest {
                longest = log();
                book.term += 1;
                store.save(&book).unwrap();
            }
            store.saves() * 27
        })
        .collect();
    saves.sort_unstable();
    let most = 2 * SMALL.compact_at + 2 * 27;
    assert!(saves[0] > SMALL.compact_at && saves[4] <= most, "{saves:?} bytes of records");
    saves.dedup();
    assert!(saves.len() >= 3, "{saves:?} bytes of records");
}

#[test]
fn a_compaction_by_a_thread_shortens_a_real_log_while_saves_go_on() {
    let temp = tempfile::tempdir().unwrap();
    let me = identity().expected();
    LogStore::<Book>::bootstrap(Arc::new(RealDisk), temp.path(), &identity()).unwrap();
    let options = Options { chunk: 1 << 10, compact_at: 1 << 12 };
    let mut store = LogStore::open_with(Arc::new(RealDisk), temp.path(), &me, options).unwrap();
    let len = || std::fs::metadata(temp.path().join("log")).unwrap().len();
    let (mut book, mut longest, mut shortened) = (Book::default(), 0, 0);
    while shortened < 2 {
        assert!(store.saves() < 200_000, "{shortened} compactions");
        book.term += 1;
        book.pages.insert(book.term % 7, vec![1; 300]);
        store.save(&book).unwrap();
        (longest, shortened) = (len(), shortened + u32::from(len() < longest));
    }
    let saves = store.saves();
    drop(store);
    assert!(!temp.path().join("log.new").exists());
    let store = LogStore::<Book>::open(Arc::new(RealDisk), temp.path(), &me).unwrap();
    assert_eq!((store.saves(), store.value()), (saves, &book));
}

#[test]
fn a_store_closed_amid_a_compaction_leaves_nothing_of_it() {
    let disk = used(0).0;
    let (mut store, beside) = open_paced(&disk, &identity(), 1).unwrap();
    let mut book = Book::default();
    while disk.content(&dir().join("log.new")).is_none() {
        book.term += 1;
        store.save(&book).unwrap();
        beside.work();
    }
    drop(store);
    assert!(disk.content(&dir().join("log.new")).is_none());
    assert_eq!(*open(&disk).unwrap().value(), book);
}

/// Saves until a compaction has written its image, and no further.
fn until_a_compaction_begins(disk: &SimDisk) -> (LogStore<Book>, Beside, Book) {
    let (mut store, beside) = open_paced(disk, &identity(), 1).unwrap();
    let mut book = Book::default();
    book.pages.insert(1, vec![7; 600]);
    while disk.content(&dir().join("log.new")).is_none() {
        book.term += 1;
        store.save(&book).unwrap();
        beside.work();
    }
    (store, beside, book)
}

#[test]
fn what_opening_finds_left_over_is_removed_and_no_second_copy_needs_room() {
    let (disk, books) = used(40);
    let used = disk.used();
    disk.damage(&dir().join("log.new"), Some(vec![1; 5000]));
    disk.damage(&dir().join("watermark.new"), Some(vec![1; 36]));
    disk.set_capacity(used);
    let (mut store, _) = open_paced(&disk, &identity(), 1).unwrap();
    assert_eq!(*store.value(), books[40]);
    assert_eq!(disk.used(), used);
    disk.set_capacity(used + 200);
    store.save(&Book::default()).unwrap();
}

#[test]
fn a_log_whose_end_is_in_doubt_opens_on_a_full_disk() {
    let (disk, books) = used(40);
    let mut store = open(&disk).unwrap();
    let mut next = books[40].clone();
    next.term += 1;
    disk.fail_after(1, Fault::Error);
    store.save(&next).expect_err("its sync fails");
    drop(store);
    disk.restart();
    disk.set_capacity(disk.used());
    let store = open(&disk).unwrap();
    assert_eq!((store.saves(), store.value()), (41, &next));
}

#[test]
fn on_a_full_disk_saves_go_on_without_compaction_while_they_fit() {
    // Room for the log and for none, some or all of the image.
    let (begun, log_new) = (used(0).0, dir().join("log.new"));
    drop(until_a_compaction_begins(&begun));
    let longest = begun.used();
    for capacity in (longest - 700..longest + 900).step_by(13) {
        let disk = SimDisk::new();
        bootstrap(&disk).unwrap();
        disk.set_capacity(capacity);
        let (mut store, beside) = open_paced(&disk, &identity(), 1).unwrap();
        let mut book = Book::default();
        book.pages.insert(1, vec![7; 600]);
        let failed = loop {
            match store.save(&book) {
                Ok(()) => book.term += 1,
                Err(error) => break error,
            }
            // The value grows, too, so that the disk is full one day.
            book.pages.insert(1 + book.term / 8, vec![7; 75]);
            beside.work();
        };
        let StoreError::Full { path, bytes, .. } = &failed else { panic!("{failed}") };
        assert_eq!(*path, dir().join("log"), "{failed}");
        assert!(failed.to_string().contains(&format!("{bytes} bytes")), "{failed}");
        assert!(disk.used() + bytes > capacity, "{bytes} bytes would fit: {failed}");
        assert!(*bytes < 115, "more than a record: {failed}");
        assert!(disk.content(&log_new).is_none(), "a compaction keeps the room");
        let saves = store.saves();
        drop(store);
        // It starts again on the full disk, as often as one likes.
        for _ in 0..2 {
            disk.restart();
            let store = open(&disk).unwrap_or_else(|error| panic!("capacity {capacity}: {error}"));
            assert!(store.saves() >= saves);
        }
    }
}

#[test]
fn a_save_takes_the_room_of_a_compaction_under_way() {
    let disk = used(0).0;
    let (mut store, beside, mut book) = until_a_compaction_begins(&disk);
    disk.set_capacity(disk.used());
    let room = disk.content(&dir().join("log.new")).unwrap().len();
    for _ in 0..room / 50 {
        book.term += 1;
        store.save(&book).unwrap();
    }
    assert!(disk.content(&dir().join("log.new")).is_none());
    // The rest of the work does not disturb the next attempt.
    disk.set_capacity(1 << 20);
    for _ in 0..100 {
        beside.work();
        book.term += 1;
        store.save(&book).unwrap();
    }
    drop(store);
    assert_eq!(*open(&disk).unwrap().value(), book);
}

#[test]
fn a_census_takes_the_room_of_a_compaction_under_way() {
    let disk = used(0).0;
    let (mut store, _, book) = until_a_compaction_begins(&disk);
    let mut census = store.census().clone();
    census.begin(7);
    disk.set_capacity(disk.used());
    store.save_census(&census).unwrap();
    assert!(disk.content(&dir().join("log.new")).is_none());
    drop(store);
    let store = open(&disk).unwrap();
    assert_eq!((store.value(), store.census()), (&book, &census));
}

#[test]
fn a_compaction_that_vanishes_leaves_nothing_and_another_begins() {
    let disk = used(0).0;
    let (mut store, beside, mut book) = until_a_compaction_begins(&disk);
    beside.tasks.lock().unwrap().clear();
    let log = |disk: &SimDisk| disk.content(&dir().join("log")).unwrap().len();
    book.term += 1;
    store.save(&book).unwrap();
    assert!(disk.content(&dir().join("log.new")).is_none());
    let mut longest = 0;
    while log(&disk) >= longest {
        longest = log(&disk);
        book.term += 1;
        store.save(&book).unwrap();
        beside.work();
        assert!(store.saves() < 1000, "no other compaction begins");
    }
}

#[test]
fn nothing_of_a_torn_record_stays_in_a_log_that_was_opened() {
    let (disk, log) = (used(2).0, dir().join("log"));
    let start = place_of_next(&disk);
    for at in 0..2 {
        let disk = disk.fork();
        disk.restart();
        let mut store = open(&disk).unwrap();
        let mut book = store.value().clone();
        book.pages.insert(9, vec![9; 300]);
        disk.fail_after(at, Fault::Stop);
        store.save(&book).unwrap_err();
        drop(store);
        disk.power_cut(at);
        let mut torn = disk.content(&log).unwrap();
        torn.resize(torn.len().max(start + 200), 0);
        torn[start + 150] = 9;
        torn[start] = 0;
        disk.damage(&log, Some(torn));
        drop(open(&disk).unwrap());
        disk.power_cut(at);
        assert!(disk.content(&log).unwrap()[start..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn a_compaction_given_up_for_want_of_room_is_tried_again_when_the_log_has_grown() {
    let disk = used(0).0;
    let (mut store, beside) = open_paced(&disk, &identity(), 1).unwrap();
    let mut book = Book::default();
    book.pages.insert(1, vec![7; 600]);
    store.save(&book).unwrap();
    let log = |disk: &SimDisk| disk.content(&dir().join("log")).unwrap().len();
    let (mut attempts, mut longest) = (0, 0);
    while log(&disk) >= longest {
        longest = log(&disk);
        // Room for the log only, for a while.
        disk.set_capacity(disk.used() + if longest < 9000 { 300 } else { 9000 });
        let written = disk.written();
        beside.work();
        attempts += u32::from(disk.written() > written);
        assert!(disk.content(&dir().join("log.new")).is_none() || longest >= 9000);
        book.term += 1;
        store.save(&book).unwrap();
    }
    assert!((2..20).contains(&attempts), "{attempts} attempts");
    drop(store);
    assert_eq!(*open(&disk).unwrap().value(), book);
}

#[test]
fn what_a_failed_sync_left_in_the_cache_is_durable_once_it_is_opened() {
    let books = history(26);
    for saves in 5..25 {
        // The record is written, its sync fails.
        let (disk, _) = used(saves);
        let mut store = open(&disk).unwrap();
        disk.fail_after(1, Fault::Error);
        let next = usize::try_from(saves + 1).unwrap();
        let failed = store.save(&books[next]);
        drop(store);
        disk.restart();
        if failed.is_ok() {
            continue;
        }
        // And opening may fail likewise, or the cache may forget what it has shown.
        for fault in [Fault::Error, Fault::Forget, Fault::Stop] {
            for at in 0..30 {
                let disk = disk.fork();
                disk.fail_after(at, fault);
                let context = format!("save {saves}, then {fault:?} at I/O {at}");
                let progress = Progress {
                    bootstrapped: true,
                    acknowledged: saves,
                    attempted: saves + 1,
                    starts: 1,
                };
                if let Ok(mut store) = open(&disk) {
                    let opened = usize::try_from(store.saves()).unwrap();
                    assert_eq!(*store.value(), books[opened], "{context}");
                    store.save(&books[opened + 1]).ok();
                    drop(store);
                    let lost = disk.fork();
                    lost.power_cut(at);
                    let least = Progress { acknowledged: opened as u64, ..progress };
                    let most = Progress { attempted: opened as u64 + 1, ..least };
                    check_restored(&lost, &books, most, &context);
                } else {
                    disk.restart();
                    check_restored(&disk, &books, progress, &context);
                }
            }
        }
    }
}

/// Where the next record of this store goes.
fn place_of_next(disk: &SimDisk) -> usize {
    let (disk, log) = (disk.fork(), dir().join("log"));
    disk.restart();
    let mut store = open(&disk).unwrap();
    let (before, mut next) = (disk.content(&log).unwrap(), store.value().clone());
    next.term += 1;
    store.save(&next).unwrap();
    let after = disk.content(&log).unwrap();
    before.iter().zip(after).position(|(before, after)| *before != after).expect("a record")
}

#[test]
fn an_intact_record_is_found_behind_a_broken_one_wherever_windows_end() {
    const WINDOW: usize = 64 * 1024;
    let options = Options { chunk: 1 << 20, compact_at: 1 << 30 };
    let (empty, me) = (used(0).0, identity().expected());
    let start = place_of_next(&empty);
    let [log, watermark] = ["log", "watermark"].map(|name| dir().join(name));
    let old_watermark = empty.content(&watermark).unwrap();
    for distance in (WINDOW - 30..WINDOW + 30).chain(2 * WINDOW - 60..2 * WINDOW + 10) {
        let disk = empty.fork();
        let mut store = LogStore::open_with(Arc::new(disk.clone()), dir(), &me, options).unwrap();
        let mut book = Book::default();
        // A header, a term and 6 bytes of keys and lengths make it so far to the second record.
        book.pages.insert(1, vec![1; distance - 24 - 7]);
        store.save(&book).unwrap();
        book.pages.insert(2, vec![2; 50]);
        store.save(&book).unwrap();
        drop(store);
        let mut bytes = disk.content(&log).unwrap();
        let second = start + distance + 8;
        assert_eq!(bytes[second..second + 8], 2_u64.to_le_bytes(), "the number of the second save");
        bytes[start + 5000] ^= 1;
        disk.damage(&log, Some(bytes));
        disk.damage(&watermark, Some(old_watermark.clone()));
        let refused = open(&disk).err().unwrap_or_else(|| panic!("opened, distance {distance}"));
        assert!(refused.to_string().contains("save 2 is there"), "{refused}");
    }
}

#[test]
fn a_record_within_a_value_is_not_taken_for_one_of_the_log() {
    let disk = used(2).0;
    let (log, watermark, start) =
        (dir().join("log"), dir().join("watermark"), place_of_next(&disk));
    let acknowledged = disk.content(&watermark).unwrap();
    // The record that the third save would have had, had it saved something else.
    let other = disk.fork();
    other.restart();
    let mut store = open(&other).unwrap();
    store.save(&Book { term: 40, ..store.value().clone() }).unwrap();
    let record = other.content(&log).unwrap()[start..start + 24 + 3].to_vec();
    // Now it is part of what the third save saves, whose own record is torn.
    let mut store = open(&disk).unwrap();
    let mut book = store.value().clone();
    book.pages.insert(9, record);
    store.save(&book).unwrap();
    drop(store);
    let mut torn = disk.content(&log).unwrap();
    torn[start..start + 20].fill(0);
    disk.damage(&log, Some(torn));
    disk.damage(&watermark, Some(acknowledged));
    assert_eq!(open(&disk).unwrap().saves(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_in_place_of_any_part_are_refused_or_harmless(
        saves in 0..30_u64, file in 0..4_usize, place in any::<prop::sample::Index>(),
        garbage in prop::collection::vec(any::<u8>(), 1..200), keep_tail in any::<bool>(),
    ) {
        let (disk, books) = used(saves);
        let file = &disk.files()[file % disk.files().len()];
        let mut bytes = disk.content(file).unwrap();
        let start = place.index(bytes.len().max(1)).min(bytes.len());
        let end = (start + garbage.len()).min(bytes.len());
        let tail = bytes.split_off(end);
        bytes.truncate(start);
        bytes.extend(garbage);
        if keep_tail {
            bytes.extend(tail);
        }
        disk.damage(file, Some(bytes));
        check_damaged(&disk, &books, &format!("{}", file.display()));
    }

    #[test]
    fn several_lives_ended_by_power_cuts_lose_no_acknowledged_save(
        stops in prop::collection::vec((0..120_u64, any::<u64>(), any::<bool>()), 1..8),
        pace in prop::sample::select(vec![1, 2, 3, usize::MAX]),
    ) {
        let (disk, books, mut progress) = (SimDisk::new(), history(60), Progress::default());
        for (at, seed, power) in stops {
            disk.fail_after(at, Fault::Stop);
            match live_paced(&disk, &books, &mut progress, pace) {
                Err(StoreError::Io { .. }) | Ok(()) => {}
                Err(error) => prop_assert!(false, "{}", error),
            }
            if power { disk.power_cut(seed) } else { disk.restart() }
        }
        check_restored(&disk, &books, progress, "after several lives");
    }
}

//! The durable store with what Raft saves when it takes and installs snapshots. The values are those that
//! servers save while they run in memory. The disk fails at every I/O, and every bit of the log flips.

mod sim_disk;

use bytes::Bytes;
use checked_raft::durable::Durable;
use checked_raft::kv::{Command as KvCommand, Kv};
use checked_raft::raft::{
    ClientRequest, Index, Message, Parameters, Persistent, Raft, Server, SnapshotChange, Timer,
};
use checked_raft::runtime::store::{Identity, LogStore, Options, Store, StoreError, Task};
use sim_disk::{Fault, SimDisk};
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};

// ---- servers in memory ----

const CLIENT: usize = 9;

/// Three servers, the messages between them, and all that each has saved.
struct Servers {
    raft: Raft<Kv>,
    states: Vec<Server<Kv>>,
    /// The values that each server has saved, from the default on.
    saved: Vec<Vec<Persistent<Kv>>>,
    network: VecDeque<(usize, usize, Message)>,
    /// The servers that nobody reaches and that reach nobody.
    cut: BTreeSet<usize>,
    sequence: u64,
}

impl Servers {
    fn new() -> Self {
        let mut parameters = Parameters::default();
        (parameters.snapshot_after, parameters.snapshot_margin) = (Some(4), 1);
        // Small enough for a snapshot of several pieces.
        parameters.max_bytes = 128;
        // No timer ends it here.
        parameters.stickiness = false;
        let raft = Raft::new((0..3).map(Id::from), parameters).expect("sound");
        let start = |id| raft.on_start(Id::from(id), &None, &mut Out::new());
        let states = (0..3).map(start).collect();
        let saved = vec![vec![Persistent::default()]; 3];
        let (network, cut) = (VecDeque::new(), BTreeSet::new());
        Self { raft, states, saved, network, cut, sequence: 0 }
    }

    /// Lets a server handle an event, and notes what it saves and sends.
    fn handle(
        &mut self,
        id: usize,
        handler: impl FnOnce(&Raft<Kv>, &mut Cow<'_, Server<Kv>>, &mut Out<Raft<Kv>>),
    ) {
        let (mut state, mut out) = (Cow::Borrowed(&self.states[id]), Out::new());
        handler(&self.raft, &mut state, &mut out);
        if let Cow::Owned(next) = state {
            self.states[id] = next;
        }
        for command in out {
            match command {
                Command::Save(value) => self.saved[id].push(value),
                Command::Send(to, message) => {
                    self.network.push_back((id, usize::from(to), message));
                }
                _ => {}
            }
        }
    }

    fn receive(&mut self, id: usize, from: usize, message: Message) {
        self.handle(id, |raft, state, out| {
            raft.on_msg(Id::from(id), state, Id::from(from), message, out);
        });
    }

    /// Lets a timer fire, and delivers all that comes of it.
    fn fire(&mut self, id: usize, timer: Timer) {
        self.handle(id, |raft, state, out| raft.on_timeout(Id::from(id), state, &timer, out));
        self.deliver();
    }

    fn deliver(&mut self) {
        while let Some((from, to, message)) = self.network.pop_front() {
            if to != CLIENT && !self.cut.contains(&from) && !self.cut.contains(&to) {
                self.receive(to, from, message);
            }
        }
    }

    fn elect(&mut self, id: usize) {
        self.fire(id, Timer::Election);
        assert!(self.states[id].is_leader(), "{:?}", self.states[id]);
        // So that the others learn what is committed.
        self.fire(id, Timer::Heartbeat);
    }

    /// A client's command at a leader, in the session that entry 2 has opened.
    fn execute(&mut self, leader: usize, command: &KvCommand) {
        self.sequence += 1;
        let (sequence, session) = (self.sequence, Index(2));
        let command = command.encode();
        let request = ClientRequest::Command { session, sequence, command };
        self.receive(leader, CLIENT, Message::ClientRequest(request));
        self.deliver();
    }

    fn put(&mut self, leader: usize, numbers: std::ops::Range<u64>) {
        for number in numbers {
            let (key, value) = (format!("k{}", number % 7), format!("{number:20}"));
            self.execute(leader, &KvCommand::Put(key.into(), value.into()));
        }
    }
}

/// What server 0 saves. It leads, takes snapshots, and gets entries that nobody else has. It then installs
/// the snapshot of another leader in their place, takes more of its own and leads again.
fn history() -> Vec<Persistent<Kv>> {
    let mut servers = Servers::new();
    servers.elect(0);
    let register = ClientRequest::Register { sequence: 0 };
    servers.receive(0, CLIENT, Message::ClientRequest(register));
    servers.deliver();
    servers.put(0, 0..12);
    servers.cut.insert(0);
    servers.put(0, 12..15);
    servers.elect(1);
    servers.put(1, 15..30);
    servers.cut.clear();
    servers.fire(1, Timer::Heartbeat);
    servers.put(1, 30..40);
    servers.execute(1, &KvCommand::Delete(Bytes::from("k3")));
    servers.put(1, 42..50);
    servers.elect(0);
    servers.put(0, 50..60);
    servers.fire(0, Timer::Heartbeat);
    assert_eq!(servers.states[0].machine, servers.states[1].machine);
    assert_eq!(servers.states[0].machine, servers.states[2].machine);
    servers.saved.swap_remove(0)
}

/// How many snapshots were taken between the values, how many were installed, and the number of the first
/// value with an installed one.
fn snapshots(history: &[Persistent<Kv>]) -> (usize, usize, Option<usize>) {
    let changes = history.windows(2).map(|pair| pair[0].changes(&pair[1]).snapshot);
    let changes: Vec<_> = changes.collect();
    let is_installed = |change: &&Option<_>| matches!(change, Some(SnapshotChange::Replaced(_)));
    let taken = changes.iter().filter(|it| matches!(it, Some(SnapshotChange::Advanced(_))));
    let first = changes.iter().position(|change| is_installed(&change));
    (taken.count(), changes.iter().filter(is_installed).count(), first.map(|it| it + 1))
}

#[test]
fn the_history_has_snapshots_of_both_kinds() {
    let history = history();
    let (taken, installed, _) = snapshots(&history);
    assert!(taken >= 8 && installed >= 1, "{taken} taken, {installed} installed");
    assert!(history.iter().any(|value| value.log.start() > Index(40)));
}

// ---- the store ----

const DIR: &str = "/var/node";
/// So small that the history makes several generations.
const SMALL: Options = Options { chunk: 128, compact_at: 300 };

fn identity() -> Identity {
    let members = [1, 2, 3].into();
    Identity { cluster: "test".into(), server: 1, members, directory: 0xD1CE }
}

type KvStore = LogStore<Persistent<Kv>>;

fn bootstrap(disk: &SimDisk) -> Result<(), StoreError> {
    KvStore::bootstrap(Arc::new(disk.clone()), Path::new(DIR), &identity())
}

/// The work beside the saves, of which so many steps are done after each save.
struct Beside {
    tasks: Arc<Mutex<VecDeque<Task>>>,
    pace: usize,
}

impl Beside {
    fn work(&self) {
        let mut tasks = self.tasks.lock().expect("nobody panics");
        for _ in 0..self.pace {
            let Some(task) = tasks.front_mut() else { return };
            if !task.step() {
                tasks.pop_front();
            }
        }
    }
}

fn open_paced(disk: &SimDisk, pace: usize) -> Result<(KvStore, Beside), StoreError> {
    let tasks = Arc::new(Mutex::new(VecDeque::new()));
    let beside = Beside { tasks: tasks.clone(), pace };
    let spawn = Box::new(move |task: Task| {
        tasks.lock().expect("nobody panics").push_back(task);
        Ok(None)
    });
    let (disk, expected) = (Arc::new(disk.clone()), identity().expected());
    let store = LogStore::open_spawning(disk, Path::new(DIR), &expected, SMALL, spawn)?;
    Ok((store, beside))
}

fn open(disk: &SimDisk) -> Result<KvStore, StoreError> {
    Ok(open_paced(disk, 0)?.0)
}

/// How far a life came.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    bootstrapped: bool,
    acknowledged: u64,
    attempted: u64,
    /// How often the log was replaced by a shorter one.
    rewritten: u32,
}

/// Saves the history until something fails, with so many steps of work beside after each save.
fn live(
    disk: &SimDisk,
    history: &[Persistent<Kv>],
    pace: usize,
    progress: &mut Progress,
) -> Result<(), StoreError> {
    bootstrap(disk)?;
    progress.bootstrapped = true;
    let (mut store, beside) = open_paced(disk, pace)?;
    let log = Path::new(DIR).join("log");
    let mut length = 0;
    for (number, value) in (0..).zip(history).skip(1) {
        progress.attempted = number;
        store.save(value)?;
        progress.acknowledged = number;
        beside.work();
        let before = std::mem::replace(&mut length, disk.content(&log).map_or(0, |it| it.len()));
        progress.rewritten += u32::from(length < before);
    }
    Ok(())
}

/// What is left is a value between the last acknowledged and the last attempted, and the next save is as
/// durable as any.
fn check_restored(disk: &SimDisk, history: &[Persistent<Kv>], progress: Progress, context: &str) {
    if !progress.bootstrapped {
        match bootstrap(disk) {
            Ok(()) | Err(StoreError::AlreadyBootstrapped { .. }) => {}
            Err(error) => panic!("{context}: bootstrap cannot be run again: {error}"),
        }
    }
    let mut store = open(disk).unwrap_or_else(|error| panic!("{context}: {error}"));
    let saves = store.saves();
    let possible = progress.acknowledged..=progress.attempted;
    assert!(possible.contains(&saves), "{context}: save {saves} after {progress:?}");
    let at = usize::try_from(saves).expect("few");
    assert_eq!(*store.value(), history[at], "{context}");
    let next = &history[(at + 1).min(history.len() - 1)];
    store.save(next).unwrap_or_else(|error| panic!("{context}, next save: {error}"));
    drop(store);
    disk.power_cut(saves);
    let store = open(disk).unwrap_or_else(|error| panic!("{context}, again: {error}"));
    assert_eq!(store.value(), next, "{context}, again");
}

/// For every I/O of a life: the process stops there, and then `then` happens. The work beside the saves is
/// done at once, or one or two steps of it after each save.
fn stop_at_every_operation(then: impl Fn(&SimDisk, u64)) {
    let history = history();
    for pace in [usize::MAX, 1, 2] {
        let (mut at, mut finished) = (0, false);
        while !finished {
            let (disk, mut progress) = (SimDisk::new(), Progress::default());
            disk.fail_after(at, Fault::Stop);
            finished = live(&disk, &history, pace, &mut progress).is_ok();
            // A rewrite that stops fails no save.
            finished &= disk.operations() <= at;
            for seed in 0..3 {
                let disk = disk.fork();
                then(&disk, seed);
                let context = format!("pace {pace}, stop at I/O {at}, seed {seed}");
                check_restored(&disk, &history, progress, &context);
            }
            if finished {
                assert!(progress.rewritten >= 2, "pace {pace}: {progress:?}");
            }
            at += 1;
        }
        assert!(at > 200, "a life has more I/Os than {at}");
    }
}

#[test]
fn a_power_cut_at_any_io_loses_no_acknowledged_snapshot() {
    stop_at_every_operation(SimDisk::power_cut);
}

#[test]
fn a_kill_at_any_io_loses_no_acknowledged_snapshot() {
    stop_at_every_operation(|disk, _| disk.restart());
}

/// The log holds records of both kinds of snapshots when it is damaged, or an image with a snapshot.
#[test]
fn any_cut_or_flipped_bit_of_a_log_with_snapshots_is_refused_or_harmless() {
    let history = history();
    let (_, _, installed) = snapshots(&history);
    let installed = installed.expect("one is installed");
    let log = Path::new(DIR).join("log");
    for saves in [installed + 8, history.len() - 1] {
        let (disk, history) = (SimDisk::new(), &history[..=saves]);
        live(&disk, history, usize::MAX, &mut Progress::default()).expect("a disk without faults");
        disk.restart();
        let bytes = disk.content(&log).expect("a log");
        let cuts = (0..bytes.len()).map(|length| bytes[..length].to_owned());
        let flips = (0..bytes.len() * 8).map(|bit| {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            flipped
        });
        let mut refused = 0;
        for (number, damaged) in cuts.chain(flips).enumerate() {
            let disk = disk.fork();
            disk.damage(&log, Some(damaged));
            match open(&disk) {
                Ok(store) => assert_eq!(store.value(), &history[saves], "damage {number}"),
                Err(StoreError::Corrupt { .. }) => refused += 1,
                Err(error) => panic!("damage {number}: {error}"),
            }
        }
        assert!(refused > 4 * bytes.len(), "{refused} refusals for {} bytes", bytes.len());
    }
}

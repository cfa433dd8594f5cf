//! Snapshots on nodes: a server that lacks dropped entries catches up, whatever happens meanwhile, and a
//! server that starts again has what its snapshot covers.

mod common;
mod sim_disk;

use bytes::Bytes;
use checked_raft::client::{Client, KvClient, Options, Progress, ServerStatus, Swap};
use checked_raft::kv::Kv;
use checked_raft::map::Map;
use checked_raft::raft::{Parameters, Persistent};
use checked_raft::runtime::store::{Identity, LogStore, Options as StoreOptions};
use checked_raft::state_machine::StateMachine;
use common::cluster::{CLUSTER, Cluster};
use common::load::EndOnDrop;
use common::processes::{Processes, Tally};
use common::proxy::Faults;
use common::{LONG, wait_for};
use serde::{Deserialize, Serialize};
use sim_disk::SimDisk;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const SERVERS: u64 = 3;

/// A snapshot after every 50 applied entries, of which the log keeps the last 10.
fn often(parameters: &mut Parameters) {
    (parameters.snapshot_after, parameters.snapshot_margin) = (Some(50), 10);
}

/// A cluster whose servers keep their stores on disks in memory.
struct Machines<S> {
    cluster: Cluster<S>,
    disks: BTreeMap<u64, SimDisk>,
}

impl<S: StateMachine> Machines<S> {
    /// Three servers that run.
    fn new() -> Self {
        Self::with(often)
    }

    fn with(configure: impl FnOnce(&mut Parameters)) -> Self {
        let cluster = Cluster::new(SERVERS, 3, Faults::NONE, configure);
        let disks = (1..=SERVERS).map(|server| (server, SimDisk::new())).collect();
        let mut machines = Self { cluster, disks };
        for server in 1..=SERVERS {
            let (disk, dir) = (Arc::new(machines.disks[&server].clone()), Path::new("/data"));
            LogStore::<Persistent<S>>::bootstrap(disk, dir, &identity(server))
                .expect("a new store");
            machines.start(server);
        }
        machines
    }

    fn start(&mut self, server: u64) {
        let identity = identity(server);
        // So small that logs are begun anew now and then.
        let options = StoreOptions { chunk: 1 << 12, compact_at: 1 << 14 };
        let (disk, dir) = (Arc::new(self.disks[&server].clone()), Path::new("/data"));
        let store = LogStore::open_with(disk, dir, &identity.expected(), options).expect("intact");
        self.cluster.start(server, identity.directory, store);
    }

    /// Kills a server. What it has not saved is gone.
    fn kill(&mut self, server: u64) {
        self.cluster.stop(server).expect("nothing else ended it");
        self.disks[&server].restart();
    }

    /// Kills a server that follows, and says which.
    fn kill_a_follower(&mut self) -> u64 {
        let leader = self.cluster.leader();
        let follower = (1..=SERVERS).find(|server| *server != leader).expect("three servers");
        self.kill(follower);
        follower
    }

    fn client(&self) -> Client {
        let options = Options { timeout: LONG, retry_interval: Duration::from_millis(50) };
        self.cluster.client(options).expect("a server answers")
    }

    /// Waits until a server has applied all that the leader has committed, and returns its status.
    fn catches_up(&self, server: u64) -> ServerStatus {
        wait_for("a server to catch up", || {
            let leader = self.cluster.status(self.cluster.leader())?;
            self.cluster.status(server).filter(|it| it.last_applied >= leader.commit_index)
        })
    }

    /// Whether a follower has a part, and not all, of a snapshot that covers an entry.
    fn is_being_sent(&self, follower: u64, index: u64) -> bool {
        let mut statuses = (1..=SERVERS).filter_map(|server| self.cluster.status(server));
        let is_sent = |it: &Progress| {
            it.id == follower && it.next_index > index && it.snapshot_bytes > Some(0)
        };
        statuses.any(|status| status.progress.iter().any(is_sent))
    }
}

fn identity(server: u64) -> Identity {
    let members = (1..=SERVERS).collect();
    Identity { cluster: CLUSTER.to_owned(), server, members, directory: server.into() }
}

fn key(number: u64) -> String {
    format!("key.{number}")
}

/// Puts a value of `length` bytes to each of the keys.
fn fill(kv: &mut KvClient, keys: Range<u64>, length: usize) {
    for number in keys {
        kv.put(key(number), value(number, length)).expect("a majority runs");
    }
}

#[track_caller]
fn assert_filled(kv: &mut KvClient, keys: Range<u64>, length: usize) {
    for number in keys {
        let found = kv.get(key(number)).expect("a majority runs");
        assert!(found == Some(value(number, length)), "{}: {found:?}", key(number));
    }
}

/// A value that no other key has.
fn value(number: u64, length: usize) -> Bytes {
    format!("{number:length$}").into()
}

// ---- processes ----

const CLIENTS: u64 = 10;

/// Lets several clients work at once, because each save of a process takes its time.
fn by_many(processes: &Processes, work: impl Fn(u64, &mut KvClient) + Sync) {
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let work = &work;
            scope.spawn(move || work(client, &mut processes.client()));
        }
    });
}

/// The keys of one of the clients.
fn share(client: u64, keys: u64) -> Range<u64> {
    client * keys / CLIENTS..(client + 1) * keys / CLIENTS
}

#[test]
fn a_process_that_lacks_dropped_entries_gets_a_snapshot_and_the_entries_that_follow() {
    const PUTS: u64 = 500;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    // Saves are slow where much else runs, and elections are not what this is about.
    let patience = ["--election-timeout", "600..1200"];
    let options = [&["--snapshot-after", "50", "--snapshot-margin", "10"][..], &patience].concat();
    let mut processes = Processes::bootstrap(folder.path(), true, &options);
    let leader = processes.leader();
    let mut others = processes.servers();
    others.retain(|server| *server != leader);
    let [behind, other] = others[..] else { panic!("three servers") };
    processes.kill(behind);
    by_many(&processes, |client, kv| fill(kv, share(client, PUTS), 20));
    let status = |processes: &Processes, server| wait_for("a status", || processes.status(server));
    assert!(status(&processes, leader).log_start > 400, "the others have dropped entries");

    processes.start(behind);
    let caught_up = |processes: &Processes, server| {
        wait_for("a server to catch up", || {
            let commit_index = processes.status(processes.leader())?.commit_index;
            processes.status(server).filter(|it| it.last_applied >= commit_index)
        })
    };
    let restored = caught_up(&processes, behind);
    assert!(restored.snapshot_index > 400, "{restored:?}");
    // A server that takes a snapshot of its own keeps ten entries that the snapshot covers.
    assert_eq!(restored.log_start, restored.snapshot_index, "the snapshot was installed");
    // So many that it takes a snapshot of its own, too.
    fill(&mut processes.client(), 0..60, 20);
    let followed = caught_up(&processes, behind);
    assert!(followed.last_applied >= restored.last_applied + 60, "{followed:?}");

    for gone in [leader, other] {
        processes.kill(gone);
        processes.leader();
        by_many(&processes, |client, kv| assert_filled(kv, share(client, PUTS), 20));
        processes.start(gone);
        caught_up(&processes, gone);
    }
    for server in processes.servers() {
        processes.kill(server);
        let Tally { taken, installed, .. } = processes.tally(server);
        assert!(taken > 0, "server {server} took snapshots of its own");
        assert!(installed > 0 || server != behind, "server {server} installed {installed}");
    }
}

// ---- servers in this process ----

#[test]
fn a_snapshot_of_many_pieces_arrives_over_a_bad_network() {
    let mut machines = Machines::<Kv>::with(|parameters| {
        often(parameters);
        // A new leader starts over. None is elected here, however many heartbeats are lost in a row.
        parameters.election_timeout = Duration::from_secs(1)..Duration::from_secs(2);
        // A lost piece is sent again after two heartbeats.
        parameters.heartbeat_interval = Duration::from_millis(10);
    });
    let mut kv = KvClient::new(machines.client());
    let behind = machines.kill_a_follower();
    // Some 300 kB.
    fill(&mut kv, 0..300, 1000);
    for server in 1..=SERVERS {
        machines.cluster.set_faults(server, Faults::BAD);
    }
    machines.start(behind);
    let status = machines.catches_up(behind);
    assert!(status.snapshot_index > 200 && status.log_start > 200, "{status:?}");
    for server in 1..=SERVERS {
        machines.cluster.set_faults(server, Faults::NONE);
    }
    let leader = machines.cluster.leader();
    let other = (1..=SERVERS).find(|server| ![leader, behind].contains(server)).expect("three");
    machines.kill(other);
    fill(&mut kv, 0..20, 1000);
    assert_filled(&mut kv, 0..300, 1000);
    let status = machines.catches_up(behind);
    assert_eq!(status.last_applied, status.last_log_index, "{status:?}");
}

/// Each swap names the number before it, so a swap that took effect twice, or not at all, would show.
#[test]
fn a_client_that_retries_while_all_servers_start_again_is_served_once() {
    let mut machines = Machines::<Kv>::new();
    let mut kv = KvClient::new(machines.client());
    let (swaps, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let number = |n: u64| Bytes::from(n.to_string());
    kv.put("n", number(0)).expect("a majority runs");
    thread::scope(|scope| {
        let _ends = EndOnDrop(&is_over);
        let work = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let n = swaps.load(Ordering::Relaxed);
                let swap = kv.cas("n", Some(number(n)), number(n + 1)).expect("a result");
                assert_eq!(swap, Swap::Done, "swap {n}");
                swaps.fetch_add(1, Ordering::Relaxed);
            }
        });
        for round in 1..=4 {
            wait_for("the next round", || {
                let is_due = swaps.load(Ordering::Relaxed) >= round * 120;
                assert!(!work.is_finished(), "the client goes on");
                is_due.then_some(())
            });
            for server in 1..=SERVERS {
                machines.kill(server);
            }
            for server in 1..=SERVERS {
                machines.start(server);
                // The session, which entry 2 has opened, is in the snapshot and not in the log.
                let status = wait_for("a status", || machines.cluster.status(server));
                assert!(status.snapshot_index >= 50 && status.log_start > 2, "{status:?}");
                assert!(status.last_applied >= status.snapshot_index, "{status:?}");
            }
        }
    });
    let total = swaps.load(Ordering::Relaxed);
    assert!(total >= 480);
    assert_eq!(kv.get("n").expect("a majority runs"), Some(number(total)));
}

#[test]
fn a_new_leader_sends_its_own_snapshot_from_the_start() {
    let mut machines = Machines::<Kv>::new();
    let mut kv = KvClient::new(machines.client());
    let behind = machines.kill_a_follower();
    // Some 500 kB: sixteen pieces or more.
    fill(&mut kv, 0..500, 1000);
    // Each piece and each answer passes a proxy.
    machines.cluster.set_latency(Duration::from_millis(15));
    machines.start(behind);
    wait_for("a part of the snapshot", || machines.is_being_sent(behind, 400).then_some(()));
    let leader = machines.cluster.leader();
    machines.kill(leader);
    let status = wait_for("a status", || machines.cluster.status(behind));
    assert!(status.snapshot_index < 400, "{status:?}");
    let other = machines.cluster.leader();
    assert!(![leader, behind].contains(&other), "nobody else has the committed entries");
    let status = machines.catches_up(behind);
    assert!(status.snapshot_index > 400 && status.log_start > 400, "{status:?}");
    machines.cluster.set_latency(Duration::ZERO);
    machines.start(leader);
    machines.catches_up(leader);
    machines.kill(other);
    assert_filled(&mut kv, 0..500, 1000);
}

/// Appends what it is told, and answers how much there is. It has no parts of its own: the whole is one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Notes(Map<u64, Bytes>);

impl StateMachine for Notes {
    fn apply(&mut self, command: &[u8]) -> Bytes {
        let length = self.0.len() as u64;
        self.0.insert(length, Bytes::copy_from_slice(command));
        Bytes::from(length.to_string())
    }
}

#[test]
fn a_state_machine_without_parts_of_its_own_is_sent_as_a_whole() {
    let mut machines = Machines::<Notes>::new();
    let mut client = machines.client();
    let behind = machines.kill_a_follower();
    // Some 200 kB: several pieces of one part.
    for number in 0..200 {
        let length = client.execute(value(number, 1000)).expect("a majority runs");
        assert_eq!(length, number.to_string());
    }
    machines.start(behind);
    let status = machines.catches_up(behind);
    assert_eq!((status.snapshot_index, status.log_start), (200, 200), "{status:?}");
    // Now it is needed, and can go on from there, also after a restart.
    let leader = machines.cluster.leader();
    let other = (1..=SERVERS).find(|server| ![leader, behind].contains(server)).expect("three");
    machines.kill(other);
    for number in 200..300 {
        let length = client.execute(value(number, 1000)).expect("a majority runs");
        assert_eq!(length, number.to_string());
    }
    machines.kill(behind);
    machines.start(behind);
    let length = client.execute(Bytes::new()).expect("a majority runs");
    assert_eq!(length, "300");
}

//! A cluster on disks that lose, when power fails, whatever was not synced. Killing processes tests
//! no sync, for the page cache outlives them; this does.

mod common;
mod sim_disk;

use checked_raft::client::{KvClient, Options};
use checked_raft::kv::Kv;
use checked_raft::raft::{Parameters, Persistent};
use checked_raft::runtime::NodeError;
use checked_raft::runtime::store::{
    Disk, DiskFile, Guard, Identity, LogStore, Options as StoreOptions,
};
use common::cluster::{CLUSTER, Cluster};
use common::history::Recorder;
use common::load::{EndOnDrop, Load, read_all};
use common::proxy::Faults;
use common::wait_for;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};
use sim_disk::{Fault, SimDisk};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const SERVERS: u64 = 3;
const CLIENTS: u64 = 4;
const CUTS: u64 = 8;
/// Puts between one cut and the next, of all clients together.
const PUTS: u64 = 16;

/// A cluster and its disks.
struct Machines {
    cluster: Cluster<Kv>,
    disks: BTreeMap<u64, SimDisk>,
    has_sync: bool,
}

impl Machines {
    fn new(seed: u64, has_sync: bool, configure: fn(&mut Parameters)) -> Self {
        let cluster = Cluster::new(SERVERS, seed, Faults::NONE, |parameters| {
            // The last server that runs comes to an I/O only by an election: a pre-vote saves nothing.
            parameters.pre_vote = false;
            configure(parameters);
        });
        let disks = (1..=SERVERS).map(|server| (server, SimDisk::new())).collect();
        let mut machines = Self { cluster, disks, has_sync };
        for server in 1..=SERVERS {
            let (disk, dir) = (machines.disk(server), Path::new("/data"));
            LogStore::<Persistent<Kv>>::bootstrap(disk, dir, &identity(server))
                .expect("a new store");
            machines.start(server).expect("it holds nothing yet");
        }
        machines
    }

    fn disk(&self, server: u64) -> Arc<dyn Disk> {
        let disk = self.disks[&server].clone();
        if self.has_sync { Arc::new(disk) } else { Arc::new(Unsynced(disk)) }
    }

    fn start(&mut self, server: u64) -> Result<(), String> {
        let identity = identity(server);
        // So small that logs are begun anew now and then.
        let options = StoreOptions { chunk: 1 << 10, compact_at: 1 << 12 };
        let (disk, dir) = (self.disk(server), Path::new("/data"));
        let store = LogStore::open_with(disk, dir, &identity.expected(), options)
            .map_err(|error| format!("server {server} does not start again: {error}"))?;
        self.cluster.start(server, identity.directory, store);
        Ok(())
    }

    /// Cuts the power of these servers, each at an I/O of its own soon to come, and starts them
    /// again.
    fn cut_power(&mut self, servers: &[u64], random: &mut StdRng) -> Result<(), String> {
        for server in servers {
            self.disks[server].fail_after(random.random_range(0..12), Fault::Stop);
        }
        for server in servers {
            wait_for("a server to stop at an I/O", || {
                (!self.cluster.is_running(*server)).then_some(())
            });
            let result = self.cluster.stop(*server);
            assert!(matches!(result, Err(NodeError::Save(_))), "it stops at a save: {result:?}");
        }
        for server in servers {
            self.disks[server].power_cut(random.random());
        }
        servers.iter().try_for_each(|server| self.start(*server))
    }
}

fn identity(server: u64) -> Identity {
    let members = (1..=SERVERS).collect();
    Identity { cluster: CLUSTER.to_owned(), server, members, directory: server.into() }
}

/// Clients work while power is cut, now at one server, now at all. The machines in the end, or what has gone
/// wrong.
fn run(seed: u64, has_sync: bool, configure: fn(&mut Parameters)) -> Result<Machines, String> {
    let random = &mut StdRng::seed_from_u64(seed);
    let mut machines = Machines::new(seed, has_sync, configure);
    let recorder = Recorder::default();
    let (puts_ended, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let (timeout, retry_interval) = (Duration::from_secs(10), Duration::from_millis(50));
    let options = Options { timeout, retry_interval };
    thread::scope(|scope| {
        let _ends = EndOnDrop(&is_over);
        for client in 0..CLIENTS {
            let connection = machines.cluster.client(options.clone()).map_err(|it| it.to_string());
            let mut kv = KvClient::new(connection?);
            let (recorder, puts_ended, is_over) = (&recorder, &puts_ended, &is_over);
            let load = Load { client, seed: seed + client, recorder, puts_ended, is_over };
            scope.spawn(move || load.run(&mut kv));
        }
        (1..=CUTS).try_for_each(|cut| {
            wait_for("the next cut", || {
                (puts_ended.load(Ordering::Relaxed) >= cut * PUTS).then_some(())
            });
            let victims = if cut.is_multiple_of(2) { 3 } else { 1 };
            let victims = (1..=SERVERS).choose_multiple(random, victims);
            machines.cut_power(&victims, random)
        })
    })?;
    let client = machines.cluster.client(options).map_err(|error| error.to_string())?;
    read_all(&recorder, CLIENTS, &mut KvClient::new(client))?;
    recorder.history().check().map_err(|violation| violation.to_string())?;
    Ok(machines)
}

#[test]
fn acknowledged_writes_survive_power_cuts_of_one_and_of_all_servers() {
    run(7, true, |_| {}).unwrap_or_else(|problem| panic!("{problem}"));
}

#[test]
fn acknowledged_writes_survive_power_cuts_of_servers_that_take_and_send_snapshots() {
    let often = |parameters: &mut Parameters| {
        (parameters.snapshot_after, parameters.snapshot_margin) = (Some(8), 1);
    };
    let machines = run(8, true, often).unwrap_or_else(|problem| panic!("{problem}"));
    for server in 1..=SERVERS {
        wait_for("a server that has dropped entries", || {
            machines.cluster.status(server).filter(|status| status.log_start > 100)
        });
    }
}

/// That the test above can fail: the same disks, and a store whose syncs do nothing.
#[test]
fn without_syncs_the_loss_is_noticed() {
    let problem = run(7, false, |_| {}).err().expect("a power cut takes what was not synced");
    assert!(problem.contains("does not start again") || problem.contains("no linearization"));
}

/// A disk that confirms syncs of files without doing them.
struct Unsynced(SimDisk);

struct UnsyncedFile(Box<dyn DiskFile>);

impl Disk for Unsynced {
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
        Ok(Box::new(UnsyncedFile(self.0.open(path)?)))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(UnsyncedFile(self.0.create(path)?)))
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

impl DiskFile for UnsyncedFile {
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

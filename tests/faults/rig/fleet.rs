//! A cluster of `raft node` processes on a network of faults.

use super::disk;
use super::link::{Quality, Traffic};
use super::network::Network;
use crate::common::{LONG, wait_for};
use checked_raft::client::{self, Client, ClientError, KvClient, Options, ServerStatus};
use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

pub(super) const CLUSTER: &str = "faults";

/// What a cluster is like.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) servers: u64,
    /// Decides which packets are lost.
    pub(crate) seed: u64,
    /// More options of every node.
    pub(crate) options: &'static [&'static str],
    /// How long every sync of every node takes at least.
    pub(crate) each_sync: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self { servers: 3, seed: 1, options: &[], each_sync: Duration::ZERO }
    }
}

/// Servers 1, 2 and so on. They are killed when it is dropped.
pub(crate) struct Fleet {
    plan: Plan,
    pub(crate) network: Network,
    folder: TempDir,
    slow_disk: Option<PathBuf>,
    running: BTreeMap<u64, Child>,
}

impl Fleet {
    /// Nothing runs yet.
    pub(crate) fn new(plan: Plan) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let network = Network::new(plan.servers, plan.seed);
        let slow_disk = (!plan.each_sync.is_zero()).then(|| {
            disk::build_slow_disk(folder.path())
                .unwrap_or_else(|error| panic!("no slow disk: {error}"))
        });
        Self { plan, network, folder, slow_disk, running: BTreeMap::new() }
    }

    /// All servers run, for the first time.
    pub(crate) fn bootstrap(plan: Plan) -> Self {
        let mut fleet = Self::new(plan);
        for server in fleet.servers() {
            fleet.start(server, &["--bootstrap"]);
        }
        fleet
    }

    pub(crate) fn servers(&self) -> Vec<u64> {
        (1..=self.plan.servers).collect()
    }

    pub(crate) fn others(&self, server: u64) -> Vec<u64> {
        self.servers().into_iter().filter(|other| *other != server).collect()
    }

    /// Starts a server, which logs to a file.
    pub(crate) fn start(&mut self, server: u64, more: &[&str]) {
        let log = File::options().append(true).create(true).open(self.path(server, "log"));
        self.start_with(server, more, log.expect("a log file").into());
    }

    /// Starts a server that logs to wherever this leads.
    pub(crate) fn start_with(&mut self, server: u64, more: &[&str], log: Stdio) {
        let mut command = self.command(server);
        command.args(more).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let earlier = self.running.insert(server, command.spawn().expect("it starts"));
        assert!(earlier.is_none(), "server {server} is running");
    }

    fn command(&self, server: u64) -> Command {
        let built = env!("CARGO_BIN_EXE_raft").to_owned();
        let binary = env::var("RAFT").unwrap_or(built);
        let mut command = self.network.command(server, &binary);
        command.args(["node", "--cluster", CLUSTER, "--id", &server.to_string()]);
        command.args(["--listen", &self.network.address(server).to_string()]);
        for peer in self.others(server) {
            command.args(["--peer", &format!("{peer}={}", self.network.told(server, peer))]);
        }
        command.arg("--data").arg(self.path(server, "data")).args(self.plan.options);
        command.env_remove("RUST_LOG");
        if let Some(library) = &self.slow_disk {
            disk::slow_down(&mut command, library, self.plan.each_sync);
        }
        command
    }

    /// The `data` directory or the `log` of a server.
    pub(crate) fn path(&self, server: u64, what: &str) -> PathBuf {
        self.folder.path().join(format!("{server}.{what}"))
    }

    pub(crate) fn log(&self, server: u64) -> String {
        fs::read_to_string(self.path(server, "log")).unwrap_or_default()
    }

    /// Gives a server's data a disk of its own with so many bytes. An error says why it cannot have one.
    pub(crate) fn mount_small(&self, server: u64, bytes: u64) -> Result<(), String> {
        disk::mount_small(&self.path(server, "data"), bytes)
    }

    /// Gives such a disk so many bytes instead.
    pub(crate) fn enlarge(&self, server: u64, bytes: u64) {
        disk::enlarge(&self.path(server, "data"), bytes).expect("it is mounted");
    }

    /// Copies a server's data, or puts the copy in the data's place.
    pub(crate) fn copy(&self, server: u64, from: &str, to: &str) {
        let (from, to) = (self.path(server, from), self.path(server, to));
        // There is nothing to remove the first time.
        let _ = fs::remove_dir_all(&to);
        let copied = Command::new("cp").arg("-r").args([from, to]).status();
        assert!(copied.expect("cp runs").success(), "the data of server {server} is not copied");
    }

    /// SIGKILL. It may have ended by itself.
    pub(crate) fn kill(&mut self, server: u64) {
        let mut child = self.running.remove(&server).expect("it was started");
        // One that has ended cannot be killed, and need not be.
        let _ = child.kill();
        child.wait().expect("a child of ours");
    }

    /// SIGSTOP.
    pub(crate) fn pause(&self, servers: &[u64]) {
        for server in servers {
            self.signal(*server, "STOP");
        }
    }

    /// SIGCONT.
    pub(crate) fn resume(&self, servers: &[u64]) {
        for server in servers {
            self.signal(*server, "CONT");
        }
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, server: u64, name: &str) {
        let mut kill = Command::new("kill");
        kill.arg(format!("-{name}")).arg(self.running[&server].id().to_string());
        assert!(kill.status().expect("kill runs").success(), "server {server} is not there");
    }

    /// How a server has ended, if it has.
    pub(crate) fn ended(&mut self, server: u64) -> Option<ExitStatus> {
        let child = self.running.get_mut(&server).expect("it was started");
        child.try_wait().expect("a child of ours")
    }

    /// From every other server to this one, and back, the links are so.
    pub(crate) fn set_around(&self, server: u64, quality: Quality) {
        self.set_to(server, quality);
        self.set_from(server, quality);
    }

    pub(crate) fn set_to(&self, server: u64, quality: Quality) {
        for other in self.others(server) {
            self.network.set(other, server, quality);
        }
    }

    pub(crate) fn set_from(&self, server: u64, quality: Quality) {
        for other in self.others(server) {
            self.network.set(server, other, quality);
        }
    }

    pub(crate) fn set_all(&self, quality: Quality) {
        for server in self.servers() {
            self.set_to(server, quality);
        }
    }

    /// What all others have sent to a server.
    pub(crate) fn traffic_to(&self, server: u64) -> Traffic {
        let all = self.others(server).into_iter().map(|from| self.network.traffic(from, server));
        all.fold(Traffic::default(), |sum, it| Traffic {
            packets: sum.packets + it.packets,
            bytes: sum.bytes + it.bytes,
        })
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.servers().into_iter().map(|server| self.network.address(server)).collect()
    }

    /// What those say who answer within a second.
    pub(crate) fn statuses(&self) -> Vec<ServerStatus> {
        let options = Options { timeout: Duration::from_secs(1), ..Options::default() };
        let addresses: Vec<_> =
            self.running.keys().map(|server| self.network.address(*server)).collect();
        if addresses.is_empty() {
            return Vec::new();
        }
        let inspect = |address| client::inspect(CLUSTER, address, &options).ok();
        thread::scope(|scope| {
            let asked: Vec<_> =
                addresses.into_iter().map(|it| scope.spawn(move || inspect(it))).collect();
            asked.into_iter().filter_map(|it| it.join().expect("it does not panic")).collect()
        })
    }

    pub(crate) fn status(&self, server: u64) -> Option<ServerStatus> {
        let options = Options { timeout: Duration::from_secs(1), ..Options::default() };
        client::inspect(CLUSTER, self.network.address(server), &options).ok()
    }

    /// The latest term of those who answer.
    pub(crate) fn term(&self) -> u64 {
        self.statuses().iter().map(|status| status.term).max().unwrap_or(0)
    }

    /// The server that leads a majority now, if one does.
    pub(crate) fn leader_now(&self) -> Option<u64> {
        let statuses = self.statuses();
        // One that hears nobody may be of the latest term, and know no leader.
        let latest = statuses.iter().max_by_key(|it| (it.term, it.leader.is_some()))?;
        let leader = latest.leader?;
        let leads = |it: &ServerStatus| it.id == leader && it.role == "leader";
        let followers = statuses.iter().filter(|it| it.leader == Some(leader)).count() as u64;
        (statuses.iter().any(leads) && followers > self.plan.servers / 2).then_some(leader)
    }

    /// Waits for a server that leads a majority.
    pub(crate) fn leader(&self) -> u64 {
        wait_for("a leader", || self.leader_now())
    }

    /// A follower; all of them will do.
    pub(crate) fn follower(&self) -> u64 {
        let leader = self.leader();
        self.others(leader)[0]
    }

    /// Whether a server has applied all that anybody says is committed.
    pub(crate) fn is_caught_up(&self, server: u64) -> bool {
        let statuses = self.statuses();
        let committed = statuses.iter().map(|status| status.commit_index).max();
        let of_server = statuses.iter().find(|status| status.id == server);
        of_server.is_some_and(|status| Some(status.last_applied) == committed)
    }

    /// A client that waits so long for each result.
    pub(crate) fn try_client(&self, timeout: Duration) -> Result<KvClient, ClientError> {
        let options = Options { timeout, ..Options::default() };
        Client::connect(CLUSTER, &self.addresses(), options).map(KvClient::new)
    }

    pub(crate) fn client(&self) -> KvClient {
        self.try_client(LONG / 2).expect("a server answers")
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            // Whatever has become of it, it must not outlive the test. A stopped one can be killed.
            let _ = child.kill();
            let _ = child.wait();
        }
        if thread::panicking() {
            for server in self.servers() {
                let log = self.log(server);
                let last = log.lines().rev().take(20).collect::<Vec<_>>();
                eprintln!(
                    "--- last lines of server {server}, the latest first\n{}",
                    last.join("\n")
                );
            }
        }
    }
}

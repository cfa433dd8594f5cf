//! Real processes: `raft node`, killed and started again while clients work.

mod common;

use checked_raft::client::{self, Client, KvClient, Options, Surveyed};
use common::history::Recorder;
use common::load::{EndOnDrop, Load, read_all};
use common::{LONG, wait_for};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const CLUSTER: &str = "crashing";
const SERVERS: u64 = 3;
const CLIENTS: u64 = 4;
const KILLS: u64 = 5;
const PUTS: u64 = 200;

/// The processes of a cluster. They are killed when it is dropped.
struct Processes {
    addresses: BTreeMap<u64, SocketAddr>,
    folder: PathBuf,
    running: BTreeMap<u64, Child>,
}

impl Processes {
    fn bootstrap(folder: &Path) -> Self {
        let sockets = (1..=SERVERS).map(|server| {
            (server, UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"))
        });
        // All at once, so that they differ; free again when this is done.
        let sockets: BTreeMap<_, _> = sockets.collect();
        let address = |socket: &UdpSocket| socket.local_addr().expect("it is bound");
        let addresses = sockets.iter().map(|(server, socket)| (*server, address(socket)));
        let (addresses, folder) = (addresses.collect(), folder.to_owned());
        let mut processes = Self { addresses, folder, running: BTreeMap::new() };
        drop(sockets);
        for server in 1..=SERVERS {
            processes.start(server, &["--bootstrap"]);
        }
        processes
    }

    fn start(&mut self, server: u64, more: &[&str]) {
        let log = File::options().append(true).create(true).open(self.path(server, "log"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_raft"));
        command.args(["node", "--cluster", CLUSTER, "--id", &server.to_string()]);
        command.args(["--listen", &self.addresses[&server].to_string()]);
        for (peer, address) in self.addresses.iter().filter(|(peer, _)| **peer != server) {
            command.args(["--peer", &format!("{peer}={address}")]);
        }
        command.arg("--data").arg(self.path(server, "data"));
        command.arg("--trace").arg(self.path(server, "trace"));
        command.args(more).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(log.expect("a log file"));
        let earlier = self.running.insert(server, command.spawn().expect("it starts"));
        assert!(earlier.is_none(), "server {server} is running");
    }

    /// SIGKILL.
    fn kill(&mut self, server: u64) {
        let mut child = self.running.remove(&server).expect("it is running");
        let ended = child.try_wait().expect("a child of ours");
        assert!(ended.is_none(), "server {server} has ended by itself:\n{}", self.log(server));
        child.kill().expect("a child of ours");
        child.wait().expect("a child of ours");
    }

    fn path(&self, server: u64, what: &str) -> PathBuf {
        self.folder.join(format!("{server}.{what}"))
    }

    fn log(&self, server: u64) -> String {
        fs::read_to_string(self.path(server, "log")).unwrap_or_default()
    }

    fn all_addresses(&self) -> Vec<SocketAddr> {
        self.addresses.values().copied().collect()
    }

    /// Waits for a server that leads a majority: one other at least follows it in its term.
    fn leader(&self) -> u64 {
        wait_for("a leader", || {
            let timeout = Duration::from_millis(200);
            let options = Options { timeout, ..Options::default() };
            let survey = client::survey(CLUSTER, &self.all_addresses(), &options).ok()?;
            let statuses: Vec<_> =
                survey.iter().filter_map(|it: &Surveyed| it.status.as_ref()).collect();
            let latest = statuses.iter().max_by_key(|status| status.term)?;
            let leader = latest.leader?;
            let leads = |it: &&&client::ServerStatus| it.id == leader && it.role == "leader";
            let follows = |it: &&&client::ServerStatus| it.leader == Some(leader);
            let is_known = statuses.iter().any(|it| leads(&it));
            (is_known && statuses.iter().filter(follows).count() >= 2).then_some(leader)
        })
    }

    fn client(&self) -> KvClient {
        let (timeout, retry_interval) = (LONG / 3, Duration::from_millis(50));
        let options = Options { timeout, retry_interval };
        let client = Client::connect(CLUSTER, &self.all_addresses(), options);
        KvClient::new(client.expect("a server answers"))
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            // Whatever has become of it, it must not outlive the test.
            let _ = child.kill();
            let _ = child.wait();
        }
        if thread::panicking() {
            for server in 1..=SERVERS {
                eprintln!("--- log of server {server}\n{}", self.log(server));
            }
        }
    }
}

/// Kills the leader again and again, at random moments of the clients' work, and starts it again,
/// now at once, now after the others have elected another.
fn kill_leaders(processes: &mut Processes, puts_ended: &AtomicU64, random: &mut StdRng) {
    for kill in 1..=KILLS {
        let puts = kill * PUTS / (KILLS + 1) + random.random_range(0..PUTS / 10);
        wait_for("the clients' work", || {
            (puts_ended.load(Ordering::Relaxed) >= puts).then_some(())
        });
        let leader = processes.leader();
        processes.kill(leader);
        if random.random() {
            processes.leader();
        }
        processes.start(leader, &[]);
    }
    wait_for("all puts", || (puts_ended.load(Ordering::Relaxed) >= PUTS).then_some(()));
}

#[test]
fn acknowledged_writes_survive_killed_leaders_and_what_clients_saw_is_linearizable() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let mut processes = Processes::bootstrap(folder.path());
    let recorder = Recorder::default();
    let (puts_ended, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let _ends = EndOnDrop(&is_over);
        for client in 0..CLIENTS {
            let mut kv = processes.client();
            let (recorder, puts_ended, is_over) = (&recorder, &puts_ended, &is_over);
            let load = Load { client, seed: client, recorder, puts_ended, is_over };
            scope.spawn(move || load.run(&mut kv));
        }
        kill_leaders(&mut processes, &puts_ended, &mut StdRng::seed_from_u64(5));
    });
    read_all(&recorder, CLIENTS, &mut processes.client()).expect("the cluster works");
    let history = recorder.history();
    history.check().unwrap_or_else(|violation| panic!("{violation}"));
    let returned = history.operations.values().filter(|it| it.returned.is_some()).count();
    assert!(returned as u64 > PUTS, "most operations have a result: {returned}");

    for server in 1..=SERVERS {
        processes.kill(server);
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_raft"));
    command.arg("trace").args((1..=SERVERS).map(|server| processes.path(server, "trace")));
    let output = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.matches("ACCEPT").count(), 3, "{text}");
}

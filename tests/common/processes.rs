//! A cluster of `raft node` processes.

use super::{LONG, wait_for};
use checked_raft::client::{self, Client, KvClient, Options, ServerStatus};
use checked_raft::deploy::trace_steps;
use checked_raft::kv::Kv;
use checked_raft::raft::Message;
use checked_raft::runtime::Event;
use rustix::process::{Pid, Signal};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

const CLUSTER: &str = "processes";
const SERVERS: u64 = 3;

/// Servers 1, 2 and 3. They are killed when it is dropped.
pub(crate) struct Processes {
    /// Where the other servers send to.
    addresses: BTreeMap<u64, SocketAddr>,
    /// Where each server listens, which is there unless it has moved.
    listen: BTreeMap<u64, SocketAddr>,
    folder: PathBuf,
    has_trace: bool,
    /// More options of `raft node`.
    options: Vec<String>,
    running: BTreeMap<u64, Child>,
}

/// What a server did.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The snapshots that it took.
    pub(crate) taken: u32,
    /// The snapshots that it installed.
    pub(crate) installed: u32,
    /// The elections for which it stood because the leader wanted that.
    pub(crate) wanted: u32,
}

impl Processes {
    pub(crate) fn bootstrap(folder: &Path, has_trace: bool, options: &[&str]) -> Self {
        let sockets = (1..=SERVERS).map(|server| {
            (server, UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"))
        });
        // All at once, so that they differ; free again when this is done.
        let sockets: BTreeMap<_, _> = sockets.collect();
        let address = |socket: &UdpSocket| socket.local_addr().expect("it is bound");
        let addresses = sockets.iter().map(|(server, socket)| (*server, address(socket)));
        let addresses: BTreeMap<_, _> = addresses.collect();
        let (listen, folder) = (addresses.clone(), folder.to_owned());
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let running = BTreeMap::new();
        let mut processes = Self { addresses, listen, folder, has_trace, options, running };
        drop(sockets);
        for server in 1..=SERVERS {
            processes.spawn(server, &["--bootstrap"]);
        }
        processes
    }

    /// Starts a server again.
    pub(crate) fn start(&mut self, server: u64) {
        self.spawn(server, &[]);
    }

    fn spawn(&mut self, server: u64, more: &[&str]) {
        let log = File::options().append(true).create(true).open(self.path(server, "log"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_raft"));
        command.args(["node", "--cluster", CLUSTER, "--id", &server.to_string()]);
        command.args(["--listen", &self.listen[&server].to_string()]);
        for (peer, address) in self.addresses.iter().filter(|(peer, _)| **peer != server) {
            command.args(["--peer", &format!("{peer}={address}")]);
        }
        command.arg("--data").arg(self.path(server, "data"));
        if self.has_trace {
            command.arg("--trace").arg(self.path(server, "trace"));
        }
        command.args(&self.options).args(more).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(log.expect("a log file"));
        let earlier = self.running.insert(server, command.spawn().expect("it starts"));
        assert!(earlier.is_none(), "server {server} is running");
    }

    /// Lets a server that does not run listen elsewhere from its next start on. The others do not know: they
    /// send to where it was. Returns both places.
    pub(crate) fn relocate(&mut self, server: u64) -> (SocketAddr, SocketAddr) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let new = socket.local_addr().expect("it is bound");
        self.listen.insert(server, new);
        (self.addresses[&server], new)
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, server: u64) {
        let mut child = self.running.remove(&server).expect("it is running");
        let ended = child.try_wait().expect("a child of ours");
        assert!(ended.is_none(), "server {server} has ended by itself:\n{}", self.log(server));
        child.kill().expect("a child of ours");
        child.wait().expect("a child of ours");
    }

    /// Stops the clock of a server (SIGSTOP).
    pub(crate) fn pause(&self, server: u64) {
        self.signal(server, Signal::STOP);
    }

    /// Lets a paused server go on (SIGCONT).
    pub(crate) fn resume(&self, server: u64) {
        self.signal(server, Signal::CONT);
    }

    fn signal(&self, server: u64, signal: Signal) {
        let process = Pid::from_child(&self.running[&server]);
        rustix::process::kill_process(process, signal).expect("a child of ours");
    }

    /// All servers' numbers.
    pub(crate) fn servers(&self) -> Vec<u64> {
        self.addresses.keys().copied().collect()
    }

    /// The file or directory of a server: its `data`, `trace` or `log`.
    pub(crate) fn path(&self, server: u64, what: &str) -> PathBuf {
        self.folder.join(format!("{server}.{what}"))
    }

    /// Counts what a server did. Its trace tells, which the actor must reproduce.
    pub(crate) fn tally(&self, server: u64) -> Tally {
        let trace = BufReader::new(File::open(self.path(server, "trace")).expect("a trace"));
        let mut tally = Tally::default();
        for step in trace_steps::<Kv, _>(trace) {
            let step = step.unwrap_or_else(|error| panic!("server {server}: {error}"));
            let Some(before) = step.before else { continue };
            let (before, after) = (before.persistent, step.after.persistent);
            if before.snapshot.last_index < after.snapshot.last_index {
                match step.event {
                    Event::Message { msg: Message::InstallSnapshot(_), .. } => tally.installed += 1,
                    _ => tally.taken += 1,
                }
            }
            if let Event::Message { msg: Message::TimeoutNow(_), .. } = step.event
                && before.current_term < after.current_term
            {
                tally.wanted += 1;
            }
        }
        tally
    }

    fn log(&self, server: u64) -> String {
        fs::read_to_string(self.path(server, "log")).unwrap_or_default()
    }

    fn all_addresses(&self) -> Vec<SocketAddr> {
        self.listen.values().copied().collect()
    }

    /// Waits for a server that leads a majority: one other at least follows it in its term.
    pub(crate) fn leader(&self) -> u64 {
        wait_for("a leader", || {
            let timeout = Duration::from_millis(200);
            let options = Options { timeout, ..Options::default() };
            let survey = client::survey(CLUSTER, &self.all_addresses(), &options).ok()?;
            let statuses: Vec<_> = survey.iter().filter_map(|it| it.status.as_ref()).collect();
            let latest = statuses.iter().max_by_key(|status| status.term)?;
            let leader = latest.leader?;
            let leads = |it: &&&ServerStatus| it.id == leader && it.role == "leader";
            let follows = |it: &&&ServerStatus| it.leader == Some(leader);
            let is_known = statuses.iter().any(|it| leads(&it));
            (is_known && statuses.iter().filter(follows).count() >= 2).then_some(leader)
        })
    }

    /// What a server says of itself, if it does at once.
    pub(crate) fn status(&self, server: u64) -> Option<ServerStatus> {
        let timeout = Duration::from_millis(200);
        let options = Options { timeout, ..Options::default() };
        client::inspect(CLUSTER, self.listen[&server], &options).ok()
    }

    /// The process of a running server.
    pub(crate) fn process(&self, server: u64) -> u32 {
        self.running[&server].id()
    }

    pub(crate) fn client(&self) -> KvClient {
        self.client_with(LONG / 3)
    }

    /// A client that waits so long for each result.
    pub(crate) fn client_with(&self, timeout: Duration) -> KvClient {
        let retry_interval = Duration::from_millis(50);
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

//! Servers that are held up: stopped, cut off from the others, or with a log that nobody reads. Real
//! processes, as people run them.

mod common;

use checked_raft::client::{self, Client, KvClient, Options, ServerStatus};
use common::program::{Process, free_ports, local, raft, run};
use common::{LONG, wait_for};
use std::io::{Write, pipe};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// The longest election timeout of these servers. Whoever is stopped for longer has a timer that is
/// late.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Three servers, of which some run.
struct Cluster {
    folder: TempDir,
    base_port: u16,
    running: Vec<(u64, Process)>,
}

impl Cluster {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        Self { folder, base_port: free_ports(3), running: Vec::new() }
    }

    fn of_three() -> Self {
        Self::of_three_with(&[])
    }

    /// Three servers that run with these options.
    fn of_three_with(options: &[&str]) -> Self {
        let mut cluster = Self::new();
        for server in 1..=3 {
            cluster.start_with(server, options);
        }
        cluster
    }

    fn address(&self, server: u64) -> SocketAddr {
        local(self.base_port + u16::try_from(server).expect("a small number") - 1)
    }

    fn command(&self, server: u64) -> Command {
        let listen = self.address(server).to_string();
        let mut command = raft(["node", "--id", &server.to_string(), "--listen", &listen]);
        for other in (1..=3).filter(|other| *other != server) {
            command.arg("--peer").arg(format!("{other}={}", self.address(other)));
        }
        let timeout = format!("{}..{}", TIMEOUT.as_millis() / 2, TIMEOUT.as_millis());
        command.args(["--election-timeout", &timeout, "--bootstrap", "--data"]);
        command.arg(self.folder.path().join(server.to_string()));
        command
    }

    fn start(&mut self, server: u64) {
        self.start_with(server, &[]);
    }

    fn start_with(&mut self, server: u64, options: &[&str]) {
        let mut command = self.command(server);
        command.args(options);
        let process = Process::start(command);
        process.logs("started");
        self.running.push((server, process));
    }

    fn process(&self, server: u64) -> &Process {
        let mut running = self.running.iter();
        running.find_map(|(id, process)| (*id == server).then_some(process)).expect("it runs")
    }

    fn signal(&self, servers: &[u64], name: &str) {
        for server in servers {
            self.process(*server).signal(name);
        }
    }

    fn status(&self, server: u64) -> ServerStatus {
        status(self.address(server))
    }

    /// The leader, once it has committed something and all follow it; and the others.
    fn leader_and_followers(&self) -> (u64, Vec<u64>) {
        let leader = wait_for("a leader that all follow", || {
            let all: Vec<_> = (1..=3).map(|server| self.status(server)).collect();
            let leader = all.iter().find(|it| it.role == "leader" && it.commit_index > 0)?;
            let follows = |it: &&ServerStatus| it.commit_index == leader.commit_index;
            (all.iter().filter(follows).count() == 3).then_some(leader.id)
        });
        (leader, (1..=3).filter(|server| *server != leader).collect())
    }

    fn terms(&self) -> Vec<u64> {
        (1..=3).map(|server| self.status(server).term).collect()
    }

    /// Writes something, and waits until all servers have it.
    fn write(&self) {
        let addresses: Vec<_> = (1..=3).map(|server| self.address(server)).collect();
        let client = Client::connect("raft", &addresses, options()).expect("a server answers");
        KvClient::new(client).put(&b"key"[..], &b"value"[..]).expect("it is acknowledged");
        self.leader_and_followers();
    }

    /// What `raft status` prints.
    fn printed(&self, more: &[&str]) -> String {
        let mut command = raft(["status", "--server", &self.address(1).to_string()]);
        command.args(more);
        run(command).out
    }
}

fn options() -> Options {
    Options { timeout: LONG, ..Options::default() }
}

fn status(address: SocketAddr) -> ServerStatus {
    client::inspect("raft", address, &options()).expect("it answers")
}

#[expect(clippy::disallowed_methods, reason = "a process is stopped for this time")]
fn pass(time: Duration) {
    thread::sleep(time);
}

// ---- Stopped ------------------------------------------------------------------------------------

#[test]
fn a_follower_that_was_stopped_does_not_depose_its_leader() {
    let cluster = Cluster::of_three();
    let (_, followers) = cluster.leader_and_followers();
    let terms = cluster.terms();
    for _ in 0..4 {
        cluster.signal(&followers[..1], "STOP");
        pass(TIMEOUT + TIMEOUT / 4);
        cluster.signal(&followers[..1], "CONT");
        // What it answers comes after its late timer was looked at.
        assert_eq!(cluster.status(followers[0]).term, terms[0]);
    }
    assert_eq!(cluster.terms(), terms);
}

#[test]
fn a_cluster_that_was_stopped_as_a_whole_goes_on_with_its_leader() {
    let cluster = Cluster::of_three();
    let (_, followers) = cluster.leader_and_followers();
    let terms = cluster.terms();
    cluster.signal(&[1, 2, 3], "STOP");
    pass(TIMEOUT + TIMEOUT / 4);
    // Followers first: nothing lies in their sockets that was sent since.
    cluster.signal(&followers, "CONT");
    cluster.signal(&[1, 2, 3], "CONT");
    cluster.write();
    assert_eq!(cluster.terms(), terms);
}

// ---- Cut off ------------------------------------------------------------------------------------

#[test]
fn a_leader_that_hears_no_majority_says_so_once_and_again_when_it_does() {
    let cluster = Cluster::of_three_with(&["--check-quorum", "off", "--stickiness", "off"]);
    let (leader, followers) = cluster.leader_and_followers();
    cluster.signal(&followers, "STOP");
    let process = cluster.process(leader);
    process.logs("has not heard from a majority");
    let warnings = cluster.status(leader).warnings;
    assert!(warnings[0].contains("has not heard from a majority"), "{warnings:?}");
    let printed = wait_for("the status of the leader", || {
        let printed = run(raft(["status", "--server", &cluster.address(leader).to_string()])).out;
        printed.contains("leader").then_some(printed)
    });
    assert!(
        printed.contains(&format!("server {leader}: it leads, but has not heard")),
        "{printed}"
    );
    cluster.signal(&followers, "CONT");
    process.logs("hears from a majority again");
    assert_eq!(process.log().matches("has not heard from a majority").count(), 1);
}

#[test]
fn a_leader_that_hears_no_majority_steps_down_and_says_why() {
    let cluster = Cluster::of_three();
    let (leader, followers) = cluster.leader_and_followers();
    cluster.signal(&followers, "STOP");
    let process = cluster.process(leader);
    process.logs("stepped down, because no majority was heard");
    process.logs("has known no leader for a while");
    cluster.signal(&followers, "CONT");
    cluster.leader_and_followers();
}

#[test]
fn a_server_without_the_others_says_that_it_stands_in_vain_and_shows_what_it_dropped() {
    let mut cluster = Cluster::new();
    cluster.start(1);
    let process = cluster.process(1);
    process.logs("has known no leader for a while");
    process.logs("tried in vain to be elected");
    let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0)).expect("a port");
    socket.send_to(b"garbage", cluster.address(1)).expect("sent");
    let printed = cluster.printed(&[]);
    assert!(printed.contains("server 1: it has known no leader for"), "{printed}");
    assert!(printed.contains("server 1: dropped since it started: too_short 1"), "{printed}");
    let printed = cluster.printed(&["--json"]);
    let json: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(json["servers"][0]["counters"]["dropped"]["too_short"], 1, "{printed}");
    assert!(json["servers"][0]["warnings"][0].is_string(), "{printed}");
}

// ---- A log that nobody reads ----------------------------------------------------------------------

#[test]
fn a_node_whose_log_nobody_reads_serves_and_stops() {
    let (reader, mut writer) = pipe().expect("a pipe");
    let log = writer.try_clone().expect("a pipe");
    // It ends when the pipe has no reader any more.
    let filling = thread::spawn(move || while writer.write_all(b"full").is_ok() {});
    let cluster = Cluster::new();
    let mut command = cluster.command(1);
    command.args(["--log", "trace"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let mut node = command.spawn().expect("the program starts");
    drop(command);
    for _ in 0..20 {
        assert_eq!(status(cluster.address(1)).id, 1);
    }
    let kill = Command::new("kill").arg(node.id().to_string()).status().expect("kill runs");
    assert!(kill.success(), "the process is there");
    let ended = wait_for("the end of the node", || node.try_wait().expect("it can be asked"));
    assert_eq!(ended.code(), Some(0));
    drop(reader);
    filling.join().expect("it does not panic");
}

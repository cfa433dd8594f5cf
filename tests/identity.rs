//! Servers that are not who they were: real processes whose directories were lost, copied, or put back
//! from an older day.

mod common;

use checked_raft::client::{Client, KvClient, Options};
use checked_raft::kv::{Command as Kv, Output};
use checked_raft::raft::Message;
use checked_raft::runtime::store::Life;
use checked_raft::runtime::wire::{self, ANYBODY, Body, CLIENTS, Datagram};
use common::program::{Process, free_ports, local, raft};
use common::wait_for;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Servers 1, 2 and 3, some of which run.
struct Trio {
    folder: TempDir,
    base_port: u16,
    running: BTreeMap<u64, Process>,
}

impl Trio {
    /// All have started, a leader is there, and everybody knows everybody.
    fn met() -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        // The fourth is for a second process of one of them.
        let mut trio = Self { folder, base_port: free_ports(4), running: BTreeMap::new() };
        for server in 1..=3 {
            trio.start(server, &["--bootstrap"]);
        }
        trio.leader();
        for server in 1..=3 {
            trio.wait_until_met(server);
        }
        trio
    }

    fn data(&self, server: u64) -> PathBuf {
        self.folder.path().join(server.to_string())
    }

    fn address(&self, server: u64) -> SocketAddr {
        local(self.base_port + u16::try_from(server).expect("a small number") - 1)
    }

    fn start(&mut self, server: u64, more: &[&str]) {
        let process = self.process(server, self.address(server), &self.data(server), more);
        self.running.insert(server, process);
    }

    fn process(&self, server: u64, listen: SocketAddr, data: &Path, more: &[&str]) -> Process {
        let (id, listen) = (server.to_string(), listen.to_string());
        let mut command = raft(["node", "--id", &id, "--listen", &listen]);
        for other in (1..=3).filter(|other| *other != server) {
            command.arg("--peer").arg(format!("{other}={}", self.address(other)));
        }
        command.arg("--data").arg(data).args(more);
        let process = Process::start(command);
        process.logs("started");
        process
    }

    fn kill(&mut self, server: u64) {
        self.running.remove(&server).expect("it runs").kill();
    }

    fn status(&self, server: u64) -> Value {
        inspect(self.address(server))
    }

    /// What `server` says of `other`.
    fn peer(&self, server: u64, other: u64) -> Value {
        let status = self.status(server);
        let mut peers = status["peers"].as_array().expect("a list").iter();
        peers.find(|peer| peer["id"] == other).expect("it is a peer").clone()
    }

    /// Waits until the server has heard a hello of every other that runs, in the present life of each.
    fn wait_until_met(&self, server: u64) {
        for other in self.running.keys().filter(|other| **other != server) {
            wait_for("a hello", || {
                let (peer, own) = (self.peer(server, *other), self.status(*other));
                (peer["met"] == true && peer["start"] == own["start"]).then_some(())
            });
        }
    }

    /// Waits until two of those that run agree on who leads.
    fn leader(&self) -> u64 {
        wait_for("a leader", || {
            let statuses: Vec<_> = self.running.keys().map(|it| self.status(*it)).collect();
            let leader = statuses.iter().find(|it| it["role"] == "leader")?;
            let follows =
                |it: &&Value| it["leader"] == leader["id"] && it["term"] == leader["term"];
            (statuses.iter().filter(follows).count() >= 2).then(|| leader["id"].as_u64())?
        })
    }

    /// The two that do not lead.
    fn followers(&self) -> (u64, u64) {
        let leader = self.leader();
        (leader % 3 + 1, (leader + 1) % 3 + 1)
    }

    fn client(&self) -> KvClient {
        let addresses: Vec<_> = (1..=3).map(|server| self.address(server)).collect();
        let options = Options { timeout: common::LONG, ..Options::default() };
        KvClient::new(Client::connect("raft", &addresses, options).expect("a server answers"))
    }

    fn put(&self, value: &'static str) {
        let command = Kv::Put("k".into(), value.into());
        assert_eq!(self.client().execute(&command).expect("it is applied"), Output::Done);
    }

    fn get(&self) -> Output {
        self.client().execute(&Kv::Get("k".into())).expect("it is applied")
    }

    /// Waits until `server` refuses `other` for this reason and has dropped so many of its datagrams.
    fn wait_until_refused(&self, server: u64, other: u64, reason: &str, count: u64) {
        wait_for(&format!("server {server} to refuse {other}: {reason}"), || {
            let refused = self.peer(server, other)["refused"].clone();
            let dropped = self.status(server)["counters"]["dropped"][reason].as_u64();
            (refused["reason"] == reason && dropped >= Some(count)).then_some(())
        });
    }

    /// Waits until `server` knows of itself that `other` refuses it for this reason.
    fn wait_until_told(&self, server: u64, other: u64, reason: &str) {
        wait_for(&format!("server {server} to be told: {reason}"), || {
            let refusal = self.peer(server, other)["refuses_us"].clone();
            (refusal["reason"] == reason).then_some(())
        });
        // The log is written by a thread of its own.
        let line = format!("server {other} refuses this server");
        wait_for("the log to say so", || {
            let log = self.running[&server].log();
            let said = log.lines().any(|it| it.contains("ERROR") && it.contains(&line));
            (said && log.contains("What to do with it")).then_some(())
        });
    }

    fn say_that_they_refuse(&self, servers: &[u64], other: u64) {
        for server in servers {
            let line = format!("refuses server {other}");
            wait_for("the log to say so", || {
                let log = self.running[server].log();
                log.lines().any(|it| it.contains("WARN") && it.contains(&line)).then_some(())
            });
        }
    }
}

/// The whole status of a server.
fn inspect(address: SocketAddr) -> Value {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let datagram = Datagram::<Message> {
        cluster: wire::client_cluster("raft"),
        sender: CLIENTS + 9,
        life: Life::default(),
        saves: 0,
        addressee: ANYBODY,
        body: Body::Inspect { nonce: 7 },
    };
    let mut buffer = vec![0; 1 << 16];
    let length = wait_for("a report", || {
        // On the loopback a port without a process is told of, at the next call.
        socket.send_to(&wire::encode(&datagram).expect("it fits"), address).ok()?;
        Some(socket.recv_from(&mut buffer).ok()?.0)
    });
    match wire::decode::<Message>(&buffer[..length], |_| Ok(())).expect("a report").body {
        Body::Report { nonce: 7, status } => serde_json::from_slice(&status).expect("JSON"),
        other => panic!("a report was expected, not {other:?}"),
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("created");
    for entry in fs::read_dir(from).expect("listed") {
        let path = entry.expect("an entry").path();
        fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("copied");
    }
}

/// The directory goes away and its copy takes its place.
fn put_back(data: &Path, copy: &Path) {
    fs::rename(data, data.with_extension("latest")).expect("moved");
    fs::rename(copy, data).expect("put in its place");
}

/// Enough requests for votes for somebody to have been elected.
const MANY: u64 = 12;

#[test]
fn a_wiped_server_is_refused_by_one_that_had_no_business_with_it() {
    let mut trio = Trio::met();
    let (leader, (wiped, other)) = (trio.leader(), trio.followers());
    trio.kill(other);
    trio.put("acknowledged");
    trio.kill(wiped);
    trio.kill(leader);
    fs::remove_dir_all(trio.data(wiped)).expect("lost");
    trio.start(wiped, &["--bootstrap"]);
    trio.start(other, &[]);
    trio.wait_until_refused(other, wiped, "other_directory", MANY);
    trio.wait_until_told(wiped, other, "other_directory");
    trio.say_that_they_refuse(&[other], wiped);
    for server in [wiped, other] {
        assert_ne!(trio.status(server)["role"], "leader", "server {server} leads");
    }
    trio.start(leader, &[]);
    trio.wait_until_refused(leader, wiped, "other_directory", 1);
    assert_eq!(trio.get(), Output::Value(Some("acknowledged".into())));
}

#[test]
fn an_older_copy_of_a_directory_is_refused_by_all_and_the_latest_is_not() {
    // The copy was made before the latest start, or before the one before it.
    for starts in [1, 2] {
        let mut trio = Trio::met();
        let (server, other) = trio.followers();
        let (data, leader) = (trio.data(server), trio.leader());
        trio.kill(server);
        let old = data.with_extension("old");
        copy(&data, &old);
        for _ in 0..starts {
            trio.start(server, &[]);
            trio.wait_until_met(server);
            trio.wait_until_met(leader);
            trio.wait_until_met(other);
            trio.put("acknowledged");
            trio.kill(server);
        }
        put_back(&data, &old);
        // Started again and again, it draws later numbers than were known.
        for start in 1..=3 {
            let reason = if start < starts { "earlier_start" } else { "other_start" };
            trio.start(server, &[]);
            for peer in [leader, other] {
                trio.wait_until_refused(peer, server, reason, 1);
                trio.wait_until_told(server, peer, reason);
            }
            trio.say_that_they_refuse(&[leader, other], server);
            if start < 3 {
                trio.kill(server);
            }
        }
        trio.kill(server);
        fs::rename(&data, data.with_extension("copy")).expect("moved");
        fs::rename(data.with_extension("latest"), &data).expect("put back");
        trio.start(server, &[]);
        wait_for("it to be admitted", || {
            (trio.peer(leader, server)["start"] == trio.status(server)["start"]).then_some(())
        });
        wait_for("it to catch up", || {
            let index = |of| trio.status(of)["commit_index"].as_u64();
            (index(server) == index(leader)).then_some(())
        });
    }
}

#[test]
fn a_copy_made_in_the_latest_life_is_refused_for_what_it_has_lost() {
    let mut trio = Trio::met();
    let (leader, (server, other)) = (trio.leader(), trio.followers());
    let (data, old) = (trio.data(server), trio.data(server).with_extension("old"));
    trio.running[&server].signal("STOP");
    copy(&data, &old);
    trio.running[&server].signal("CONT");
    trio.leader();
    trio.put("acknowledged");
    wait_for("it to be saved everywhere", || {
        let last = |of| trio.status(of)["last_log_index"].as_u64();
        (last(server) == last(leader) && last(other) == last(leader)).then_some(())
    });
    trio.wait_until_met(leader);
    trio.kill(server);
    put_back(&data, &old);
    trio.start(server, &[]);
    // Its acknowledgements told the leader how much it had saved. The other follower may not know.
    trio.wait_until_refused(leader, server, "lost_saves", 1);
    trio.wait_until_told(server, leader, "lost_saves");
}

#[test]
fn of_two_processes_of_one_directory_the_second_is_refused_and_both_are_told() {
    let mut trio = Trio::met();
    let (leader, (server, other)) = (trio.leader(), trio.followers());
    let twin = trio.data(server).with_extension("twin");
    trio.running[&server].signal("STOP");
    copy(&trio.data(server), &twin);
    trio.running[&server].signal("CONT");
    trio.wait_until_met(leader);
    let second = trio.process(server, trio.address(4), &twin, &[]);
    for peer in [leader, other] {
        wait_for("the second to be refused", || {
            (trio.peer(peer, server)["refused"]["address"] == trio.address(4).to_string())
                .then_some(())
        });
    }
    trio.say_that_they_refuse(&[leader, other], server);
    let told = |log: String| log.contains("refuses this server").then_some(());
    wait_for("the second to be told", || told(second.log()));
    wait_for("the first to be told", || {
        (trio.status(server)["copy"]["address"] == trio.address(4).to_string()).then_some(())
    });
    wait_for("the first to say so", || {
        let log = trio.running[&server].log();
        log.contains("a second process runs from a copy").then_some(())
    });
    let log = trio.running[&server].log();
    assert!(!log.contains("refuses this server"), "the first is admitted: {log}");
    trio.put("acknowledged");
    second.kill();
    // Nor is the first shut out when it starts again.
    trio.kill(server);
    trio.start(server, &[]);
    wait_for("it to be admitted", || {
        (trio.peer(leader, server)["start"] == trio.status(server)["start"]).then_some(())
    });
}

#[test]
fn a_restarted_server_is_admitted_at_once() {
    let mut trio = Trio::met();
    for _ in 0..3 {
        let leader = trio.leader();
        trio.kill(leader);
        trio.leader();
        trio.start(leader, &[]);
        for server in 1..=3 {
            trio.wait_until_met(server);
        }
    }
    for server in 1..=3 {
        let log = trio.running[&server].log();
        assert!(!log.contains("refuses"), "{log}");
    }
}

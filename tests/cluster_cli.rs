//! `raft cluster` as people run it: a process and its servers' processes.

mod common;

use checked_raft::client::{self, Options};
use checked_raft::deploy::LocalCluster;
use common::program::{Ended, Process, free_ports, local, raft, run};
use common::wait_for;
use std::fs;
use std::io::Write;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A directory and ports for a cluster.
struct Place {
    _folder: TempDir,
    data: PathBuf,
    base_port: u16,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let data = folder.path().join("cluster");
        Self { _folder: folder, data, base_port: free_ports(5) }
    }

    fn command(&self, more: &[&str]) -> Command {
        let port = self.base_port.to_string();
        let mut command = raft(["cluster", "--base-port", &port, "--data"]);
        command.arg(&self.data).args(more);
        command
    }

    fn start(&self, more: &[&str]) -> Process {
        let cluster = Process::start(self.command(more));
        cluster.logs("became leader");
        wait_for("the word that it runs", || cluster.printed().contains("Ctrl-C").then_some(()));
        cluster
    }

    fn run(&self, more: &[&str]) -> Ended {
        run(self.command(more))
    }

    /// No server runs: their addresses and their directories can be had.
    fn is_abandoned(&self, servers: u16) -> bool {
        (1..=servers).all(|id| {
            let lock = fs::File::open(self.data.join(id.to_string()).join("lock"));
            let is_unlocked = lock.is_ok_and(|lock| lock.try_lock().is_ok());
            is_unlocked && UdpSocket::bind(local(self.base_port + id - 1)).is_ok()
        })
    }
}

/// Runs a command that the cluster advises.
fn advised(cluster: &Process, name: &str) -> Ended {
    let start = format!("  raft {name} ");
    let printed = cluster.printed();
    let line = printed.lines().find(|line| line.starts_with(&start)).expect("an advice");
    run(raft(line.split_whitespace().skip(1)))
}

/// The process of server `id`, found by its command line.
fn process_of(place: &Place, id: u16) -> String {
    let data = place.data.join(id.to_string()).display().to_string();
    let mut pgrep = Command::new("pgrep");
    pgrep.args(["-f", "--", &format!("--data {data}( |$)")]);
    let out = pgrep.output().expect("pgrep runs").stdout;
    let out = String::from_utf8(out).expect("numbers");
    let [process] = out.split_whitespace().collect::<Vec<_>>()[..] else {
        panic!("one process is server {id}, not {out:?}")
    };
    process.to_owned()
}

fn kill(process: &str) {
    let status = Command::new("kill").args(["-KILL", process]).status().expect("kill runs");
    assert!(status.success());
}

#[test]
fn a_cluster_can_be_talked_to_as_it_says_keeps_its_data_and_leaves_no_process_behind() {
    let place = Place::new();
    for signal in ["INT", "TERM"] {
        let cluster = place.start(&[]);
        let put = advised(&cluster, "put");
        assert_eq!(put.status.code(), Some(0), "{put:?}");
        let status = advised(&cluster, "status");
        assert_eq!(status.out.matches("follower").count(), 2, "{status:?}");
        for id in 1..=3 {
            cluster.logs(&format!("[{id}] "));
        }
        cluster.signal(signal);
        let ended = cluster.end();
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        assert_eq!(ended.err.matches("stopped").count(), 3, "{ended:?}");
        assert!(place.is_abandoned(3), "{ended:?}");
    }
    let cluster = place.start(&[]);
    let get = advised(&cluster, "get");
    assert_eq!(get.out.trim_end(), "hello", "{get:?}");
    cluster.stop();
}

#[test]
fn a_cluster_that_is_killed_takes_its_servers_with_it() {
    let place = Place::new();
    let cluster = place.start(&[]);
    assert!(!place.is_abandoned(3));
    cluster.kill();
    wait_for("the end of its servers", || place.is_abandoned(3).then_some(()));
}

#[test]
fn a_server_that_ends_is_told_of_and_the_others_go_on() {
    let place = Place::new();
    let cluster = place.start(&[]);
    kill(&process_of(&place, 2));
    wait_for("the word of its end", || {
        cluster.printed().contains("Server 2 ended by itself (signal: 9").then_some(())
    });
    let put = advised(&cluster, "put");
    assert_eq!(put.status.code(), Some(0), "{put:?}");
    cluster.signal("INT");
    let ended = cluster.end();
    assert_eq!(ended.status.code(), Some(2), "one did not run to the end: {ended:?}");
    assert!(place.is_abandoned(3));
}

#[test]
fn a_cluster_obeys_the_orders_on_its_standard_input() {
    let place = Place::new();
    let mut command = place.command(&[]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut cluster = command.spawn().expect("it runs");
    let orders = "wait 1\nkill 2\nkill 2\npause 3\nstatus\nresume 3\nrestart 2\nrestart 2\n\n\
                  restart 9\nkill x\nfly 2\ncut 1\ncut 1|2 3\nheal\nwait 1\nstatus\nquit\n";
    let mut input = cluster.stdin.take().expect("it is piped");
    input.write_all(orders.as_bytes()).expect("it is read");
    let ended = cluster.wait_with_output().expect("it ends");
    let out = String::from_utf8(ended.stdout).expect("it is text");
    assert_eq!(ended.status.code(), Some(0), "{out}");
    let mut rest = &out[..];
    for told in [
        "server 1 at 127.0.0.1:",
        ", process ",
        "Server 2 was killed.",
        "Server 2 does not run.",
        "Server 3 is paused.",
        "unreachable",
        "unreachable",
        "Server 3 goes on.",
        "Server 2 was started again.",
        "Server 2 runs; `kill 2` kills it first.",
        "There is no server 9.",
        "`kill x`: \"x\" is no number; say kill N",
        "`fly 2` is no order; say kill N",
        "`cut 1`: a cut is between servers",
        "No datagram passes between 1 | 2 3.",
        "Every link is whole again.",
        "follower",
    ] {
        let at = rest.find(told).unwrap_or_else(|| panic!("{told} is missing in: {out}"));
        rest = &rest[at + told.len()..];
    }
    assert!(!rest.contains("unreachable"), "both are back: {out}");
    assert!(place.is_abandoned(3), "{out}");
}

#[test]
fn a_cluster_hands_the_leadership_over_on_order() {
    let place = Place::new();
    let (cluster, mut input) = Process::start_with_input(place.command(&[]));
    cluster.logs("became leader");
    for id in 1..=3 {
        cluster.logs(&format!("[{id}] "));
    }
    for (order, told) in [
        ("transfer 2", "Server 2 leads."),
        ("transfer 3", "Server 3 leads."),
        ("transfer 9", "No transfer: the cluster has no server 9: its servers are 1, 2, 3"),
        ("transfer", "`transfer` is no order"),
    ] {
        writeln!(input, "{order}").expect("it is read");
        wait_for(told, || cluster.printed().contains(told).then_some(()));
    }
    let status = advised(&cluster, "status");
    let third = status.out.lines().find(|line| line.starts_with(" 3 ")).expect("a row");
    assert!(third.contains(" leader "), "{status:?}");
    cluster.stop();
}

/// How many datagrams a server has dropped since it started because their links are cut.
fn cut(place: &Place, server: u16) -> u64 {
    let options = Options { timeout: common::LONG, ..Options::default() };
    let address = local(place.base_port + server - 1);
    let counters = client::inspect("raft", address, &options).expect("it answers").counters;
    assert!(!counters.dropped.contains_key("cut"), "it is no fault: {counters:?}");
    counters.cut
}

#[test]
fn servers_whose_links_are_cut_hear_nothing_over_them_until_they_are_healed() {
    let place = Place::new();
    let (cluster, mut input) = Process::start_with_input(place.command(&[]));
    cluster.logs("became leader");
    let mut order = |order: &str, told: &str| {
        let before = cluster.printed().matches(told).count();
        writeln!(input, "{order}").expect("it is read");
        let told = || (cluster.printed().matches(told).count() > before).then_some(());
        wait_for(order, told);
    };
    let server = local(place.base_port).to_string();
    let put = |timeout: &str| {
        run(raft(["put", "k", "v", "--server", &server, "--timeout", timeout])).status.code()
    };
    assert_eq!(put("20s"), Some(0));
    order("cut 1 | 2 3 | 4", "There is no server 4.");
    order("heal", "No link was cut.");

    // One way: server 2 does not hear server 1, and all others hear each other.
    order("cut 1 > 2", "No datagram passes from 1 to 2.");
    wait_for("dropped datagrams", || (cut(&place, 2) > 0).then_some(()));
    assert_eq!([cut(&place, 1), cut(&place, 3)], [0, 0]);
    order("kill 2", "Server 2 was killed.");
    order("restart 2", "Server 2 was started again.");
    wait_for("dropped datagrams", || (cut(&place, 2) > 0).then_some(()));

    // Nobody hears anybody, so nobody can commit.
    order("cut 1 | 2 | 3", "No datagram passes between 1 | 2 | 3.");
    wait_for("dropped datagrams", || (cut(&place, 1) > 0 && cut(&place, 3) > 0).then_some(()));
    assert_eq!(put("500ms"), Some(2));
    order("status", "Server 2 drops every datagram of 1 3.");
    order("heal", "Every link is whole again.");
    assert_eq!(put("20s"), Some(0));
    let counts = [1, 2, 3].map(|server| cut(&place, server));
    assert_eq!(put("20s"), Some(0));
    assert_eq!([1, 2, 3].map(|server| cut(&place, server)), counts);
    writeln!(input, "quit").expect("it is read");
    let ended = cluster.end();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    // Server 2 was told three times: when it was cut, when it came back, and when it was cut again.
    let lines = |text: &str| ended.err.lines().filter(|line| line.contains(text)).count();
    assert_eq!(lines("INFO drops every datagram of some servers"), 5, "{ended:?}");
    assert_eq!(lines("INFO heeds every server again"), 3, "{ended:?}");
    assert!(ended.err.contains("over cut links"), "{ended:?}");
}

#[test]
fn a_cluster_without_servers_ends() {
    let place = Place::new();
    let cluster = place.start(&["--servers", "2"]);
    kill(&process_of(&place, 1));
    kill(&process_of(&place, 2));
    let ended = cluster.end();
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert!(ended.out.contains("No server is left"), "{ended:?}");
}

/// A cluster of one server without a directory of its own: temporary ones are made in this one.
fn temporary(folder: &TempDir, more: &[&str]) -> Command {
    let port = free_ports(1).to_string();
    let mut command = raft(["cluster", "--servers", "1", "--base-port", &port]);
    command.args(more).env("TMPDIR", folder.path());
    command
}

/// What is in the directory of temporary ones.
fn left(folder: &TempDir) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.path()).expect("listed");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

/// Whether this process was started with SIGHUP ignored. Whatever it starts inherits that.
fn hangup_is_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

#[test]
fn without_a_directory_the_data_is_removed_at_the_end() {
    let folder = tempfile::tempdir().expect("a directory");
    for signal in ["INT", "TERM", "HUP"] {
        if signal == "HUP" && hangup_is_ignored() {
            println!(
                "SIGHUP is ignored here, as under nohup, and so it is by what is started here"
            );
            continue;
        }
        let cluster = Process::start(temporary(&folder, &[]));
        cluster.logs("became leader");
        wait_for("its directory", || {
            cluster.printed().contains("(removed at the end, unless a server fails)").then_some(())
        });
        let [path] = &left(&folder)[..] else { panic!("one directory is there") };
        assert!(path.join("1/log").exists(), "{path:?}");
        cluster.signal(signal);
        let ended = cluster.end();
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        assert_eq!(left(&folder), [] as [PathBuf; 0], "{signal}");
    }
}

#[test]
fn a_cluster_whose_output_nobody_reads_ends_quietly_and_removes_its_data() {
    let folder = tempfile::tempdir().expect("a directory");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = temporary(&folder, &[]);
    let output = command.stdout(writer).output().expect("it runs");
    let log = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert!(!log.contains("error") && !log.contains("panicked"), "{log}");
    assert_eq!(left(&folder), [] as [PathBuf; 0]);
}

#[test]
fn the_data_of_a_cluster_whose_servers_fail_is_left_as_it_says() {
    let folder = tempfile::tempdir().expect("a directory");
    let ended = run(temporary(&folder, &["--", "--heartbeat", "0"]));
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    let [path] = &left(&folder)[..] else { panic!("one directory is left: {ended:?}") };
    assert!(ended.out.contains("(removed at the end, unless a server fails)"), "{ended:?}");
    let says = format!("A server failed, so the data is left in {}.", path.display());
    assert!(ended.out.contains(&says), "{ended:?}");
}

#[test]
fn a_cluster_that_cannot_start_leaves_no_temporary_data() {
    let folder = tempfile::tempdir().expect("a directory");
    let port = free_ports(1);
    let _taken = UdpSocket::bind(local(port)).expect("the port is free");
    let mut command = raft(["cluster", "--servers", "1", "--base-port", &port.to_string()]);
    command.env("TMPDIR", folder.path());
    run(command).refused(&["another process"]);
    assert_eq!(left(&folder), [] as [PathBuf; 0]);
    let mut command = temporary(&folder, &[]);
    command.env("TMPDIR", folder.path().join("none"));
    run(command).refused(&["cannot create the temporary directory", "set TMPDIR", "--data DIR"]);
    assert_eq!(left(&folder), [] as [PathBuf; 0]);
}

#[test]
fn what_keeps_a_cluster_from_starting_is_said_before_anything_runs_or_is_written() {
    let place = Place::new();
    let last = local(place.base_port + 2);
    let socket = UdpSocket::bind(last).expect("the port is free");
    place.run(&[]).refused(&[&last.to_string(), "another process"]);
    assert!(!place.data.exists());
    drop(socket);
    place.run(&["--servers", "0"]).refused(&["--servers"]);
    place.run(&["--base-port", "0"]).refused(&["--base-port"]);
    let high = Place { base_port: 65_534, ..Place::new() };
    high.run(&[]).refused(&["do not fit the ports from 65534"]);
    assert!(!place.data.exists() && !high.data.exists());
}

#[test]
fn a_directory_goes_on_with_the_servers_it_has() {
    let place = Place::new();
    place.start(&["--servers", "2"]).stop();
    place.run(&["--servers", "3"]).refused(&["it holds 2 servers", "3 of cluster"]);
    let cluster = place.start(&[]);
    assert!(cluster.printed().starts_with("2 servers of cluster \"raft\""));
    cluster.stop();
}

#[test]
fn a_server_that_lost_its_directory_is_not_given_a_new_one() {
    let place = Place::new();
    place.start(&[]).stop();
    fs::remove_dir_all(place.data.join("3")).expect("lost");
    let cluster = Process::start(place.command(&[]));
    cluster_says(&cluster, "became leader");
    cluster_says(&cluster, "[3] error: ");
    cluster_says(&cluster, "holds no store");
    assert!(!place.data.join("3/log").exists());
    cluster.signal("INT");
    assert_eq!(cluster.end().status.code(), Some(2));
}

fn cluster_says(cluster: &Process, text: &str) {
    wait_for(text, || cluster.log().contains(text).then_some(()));
}

/// Where the beginning of a cluster ended: after its marker and the bootstraps of servers 1 and 2.
fn interrupted() -> Place {
    let place = Place::new();
    let third = place.data.join("3");
    fs::create_dir_all(&third).expect("created");
    fs::write(third.join("thesis.tex"), "").expect("written");
    let cluster =
        LocalCluster { servers: 3, base_port: place.base_port, ..LocalCluster::new(&place.data) };
    let error = cluster
        .prepare::<checked_raft::kv::Kv>()
        .expect_err("server 3 cannot be bootstrapped")
        .to_string();
    assert!(error.contains("thesis.tex"), "{error}");
    assert!(place.data.join("2/log").exists() && !third.join("log").exists());
    fs::remove_file(third.join("thesis.tex")).expect("removed");
    place
}

#[test]
fn an_interrupted_first_start_is_taken_up_again_unless_a_server_has_run() {
    let place = interrupted();
    place.start(&[]).stop();
    assert!(place.data.join("3/log").exists());
    // A server that has run cannot have been only begun: the others may have been lost.
    let place = interrupted();
    let data = place.data.join("1").display().to_string();
    let listen = local(place.base_port).to_string();
    let peers = [2, 3].map(|id| format!("{id}={}", local(place.base_port + id - 1)));
    let mut node = raft(["node", "--id", "1", "--listen", &listen, "--data", &data]);
    node.args(["--peer", &peers[0], "--peer", &peers[1]]);
    let node = Process::start(node);
    node.logs("started");
    node.stop();
    place.run(&[]).refused(&["server 1 has run before", "`raft node`"]);
    assert!(!place.data.join("3/log").exists());
}

#[test]
fn a_directory_that_lost_its_marker_is_not_taken_for_a_new_cluster() {
    let place = Place::new();
    place.start(&["--servers", "2"]).stop();
    fs::remove_file(place.data.join("cluster.json")).expect("removed");
    place.run(&[]).refused(&["but no cluster.json", "`raft node`"]);
    place.run(&["--servers", "2"]).refused(&["but no cluster.json"]);
    assert!(!place.data.join("3").exists());
}

#[test]
fn options_after_the_dashes_are_for_every_server_and_traces_are_accepted() {
    let place = Place::new();
    let cluster =
        place.start(&["--trace", "--", "--election-timeout", "80..160", "--log", "debug"]);
    cluster_says(&cluster, "DEBUG stands for election");
    let addresses = [local(place.base_port)];
    let options = Options { timeout: common::LONG, ..Options::default() };
    let status = client::inspect("raft", addresses[0], &options).expect("it answers");
    assert_eq!(status.members.len(), 3);
    cluster.stop();
    let traces = [1, 2, 3].map(|id| place.data.join(format!("{id}.trace")));
    for trace in &traces {
        assert!(fs::read_to_string(trace).expect("a trace").contains("80000000"));
    }
    let mut command = raft(["trace"]);
    command.args(traces);
    let accepted = run(command);
    assert_eq!(accepted.status.code(), Some(0), "{accepted:?}");
    let place = Place::new();
    let wrong = place.run(&["--", "--heartbeat", "0"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    assert!(wrong.err.contains("[2] error: the heartbeat interval"), "{wrong:?}");
}

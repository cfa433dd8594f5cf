//! `raft node` as people run it: real processes with real directories and ports.

mod common;

use checked_raft::client::{self, Client, Options, ServerStatus};
use checked_raft::kv::{Command as Kv, Output};
use checked_raft::raft::Message;
use checked_raft::runtime::store::Life;
use checked_raft::runtime::wire::{self, ANYBODY, Body, CLIENTS, Datagram, MAX_DATAGRAM};
use common::program::{Ended, Process, free_ports, local, raft, run};
use common::wait_for;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How to start a server.
struct Server {
    _folder: Option<TempDir>,
    id: u64,
    servers: u16,
    base_port: u16,
    data: PathBuf,
    options: Vec<String>,
}

impl Server {
    /// The only server of its cluster, with a directory of its own that does not exist yet.
    fn alone() -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let data = folder.path().join("data");
        let base_port = free_ports(1);
        let options = Vec::new();
        Self { _folder: Some(folder), id: 1, servers: 1, base_port, data, options }
    }

    fn with(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(ToString::to_string));
        self
    }

    fn address(&self) -> SocketAddr {
        let place = u16::try_from(self.id).expect("a small number") - 1;
        local(self.base_port + place)
    }

    fn command(&self, more: &[&str]) -> Command {
        let (id, listen) = (self.id.to_string(), self.address().to_string());
        let mut command = raft(["node", "--id", &id, "--listen", &listen]);
        for other in (1..=self.servers).filter(|other| u64::from(*other) != self.id) {
            command.arg("--peer").arg(format!("{other}={}", local(self.base_port + other - 1)));
        }
        command.arg("--data").arg(&self.data).args(&self.options).args(more);
        command
    }

    fn run(&self, more: &[&str]) -> Ended {
        run(self.command(more))
    }

    /// Starts it and waits until it runs.
    fn start(&self, more: &[&str]) -> Process {
        let process = Process::start(self.command(more));
        process.logs("started");
        process
    }

    /// A directory in which the server has led and saved something.
    fn lived() -> Self {
        let server = Self::alone();
        let process = server.start(&["--bootstrap"]);
        process.logs("became leader");
        process.stop();
        server
    }
}

fn options() -> Options {
    Options { timeout: common::LONG, ..Options::default() }
}

fn ask(address: SocketAddr) -> ServerStatus {
    client::inspect("raft", address, &options()).expect("it answers")
}

fn put(client: &mut Client, key: &str, value: Vec<u8>) {
    let command = Kv::Put(key.as_bytes().to_vec().into(), value.into());
    let response = client.execute(command.encode()).expect("it is applied");
    assert_eq!(Output::try_from(&response[..]), Ok(Output::Done));
}

// ---- Options ------------------------------------------------------------------------------------

#[test]
fn options_that_cannot_be_are_refused_before_anything_is_created() {
    for (options, texts) in [
        (&["--colour", "red"][..], &["--colour"][..]),
        (&["--id", "2"], &["--id", "multiple"]),
        (&["--peer", "2"], &["2=127.0.0.1:7002"]),
        (&["--peer", "0=127.0.0.1:1"], &["from 1 to 4294967295"]),
        (&["--peer", "2=localhost"], &["a host and a port"]),
        (&["--peer", "1=127.0.0.1:1"], &["its own peer"]),
        (&["--peer", "2=127.0.0.1:0"], &["port 0"]),
        (&["--peer", "2=[::1]:7"], &["IPv4 for all"]),
        (&["--peer", "2=127.0.0.1:1", "--peer", "2=127.0.0.1:2"], &["peer 2 is given twice"]),
        (&["--peer", "2=127.0.0.1:1", "--peer", "3=127.0.0.1:1"], &["2 and 3 are both at"]),
        (&["--election-timeout", "300..150"], &["election timeout must be a range"]),
        (&["--election-timeout", "0..0"], &["election timeout must be a range"]),
        (&["--election-timeout", "150"], &["150..300"]),
        (&["--heartbeat", "150"], &["heartbeat interval 150ms", "less than"]),
        (&["--heartbeat", "0"], &["more than zero"]),
        (&["--max-entries", "0"], &["max-entries must be at least 1"]),
        (&["--max-sessions", "0"], &["max-sessions must be at least 1"]),
        (&["--max-uncommitted", "0"], &["max-uncommitted must be at least 1"]),
        (&["--max-bytes", "63"], &["max-bytes must be at least 64"]),
        (&["--max-bytes", "49153"], &["at most 49152"]),
        (&["--max-bytes=-1"], &["--max-bytes", "invalid digit"]),
        (&["--cluster", ""], &["name is empty"]),
        (&["--log", "raft=loud"], &["no log filter", "info"]),
        (&["--log", "blah="], &["--log: ", "\"\" is no level"]),
        (&["--log", "inof"], &["\"inof\" is no level", "debug"]),
        (&["--config", "/nonexistent/node.toml"], &["/nonexistent/node.toml", "cannot read"]),
    ] {
        let server = Server::alone();
        let mut arguments = vec!["--bootstrap"];
        arguments.extend(options);
        server.run(&arguments).refused(texts);
        assert!(!server.data.exists(), "{options:?}");
    }
}

#[test]
fn an_empty_rust_log_says_nothing_and_a_wrong_one_is_refused() {
    let server = Server::alone();
    let mut command = server.command(&["--bootstrap"]);
    command.env("RUST_LOG", "");
    let node = Process::start(command);
    node.logs("INFO became leader");
    node.stop();
    let mut command = server.command(&[]);
    command.env("RUST_LOG", "inof");
    run(command).refused(&["RUST_LOG: ", "\"inof\" is no level"]);
}

#[test]
fn a_file_may_say_what_the_command_line_says_and_the_command_line_goes_first() {
    let server = Server::alone();
    let file = server.data.with_file_name("node.toml");
    let (address, data) = (server.address(), server.data.display());
    let text = format!(
        "id = 1\nlisten = \"127.0.0.1:1\"\ndata = \"{data}\"\ncluster = \"tests\"\nlog = \"warn\"\n\
         election-timeout = \"20..40\"\nheartbeat = 10\n"
    );
    fs::write(&file, text).expect("written");
    let mut command = raft(["node", "--bootstrap", "--listen", &address.to_string()]);
    command.arg("--config").arg(&file);
    let node = Process::start(command);
    let ask = || client::inspect("tests", address, &options()).expect("it answers");
    let leads = || Some(ask()).filter(|status| status.role == "leader");
    assert_eq!(wait_for("a leader", leads).id, 1);
    // Such timeouts make a save of 6 ms a slow one, which a busy machine has.
    let said = node.stop().err;
    let is_known = |line: &str| line.contains(" WARN a save took long: more than 5 ms");
    assert!(said.lines().all(is_known), "nothing else to warn of: {said}");
    fs::write(&file, "id = 1\nbootstrap = true\n").expect("written");
    let ended = server.run(&["--config", &file.display().to_string()]);
    ended.refused(&["node.toml", "line 2", "unknown field `bootstrap`"]);
}

// ---- The directory ------------------------------------------------------------------------------

#[test]
fn an_empty_or_missing_directory_needs_bootstrap_and_a_bootstrapped_one_refuses_it() {
    let server = Server::alone();
    server.run(&[]).refused(&["holds no store", "--bootstrap"]);
    fs::create_dir(&server.data).expect("created");
    server.run(&[]).refused(&["holds no store", "--bootstrap"]);
    let first = server.start(&["--bootstrap"]);
    first.stop();
    server.run(&["--bootstrap"]).refused(&["bootstrapped already", "without --bootstrap"]);
    server.start(&[]).stop();
}

#[test]
fn a_directory_that_holds_something_else_is_not_bootstrapped() {
    let server = Server::alone();
    fs::create_dir(&server.data).expect("created");
    fs::write(server.data.join("thesis.tex"), "").expect("written");
    server.run(&["--bootstrap"]).refused(&["not empty", "thesis.tex"]);
}

#[test]
fn a_directory_of_another_server_cluster_or_set_of_members_is_refused() {
    let server = Server::lived();
    let other =
        Server { id: 2, base_port: free_ports(2), data: server.data.clone(), ..Server::alone() };
    other.run(&[]).refused(&["belongs to server 1", "this node is server 2"]);
    server.run(&["--cluster", "tests"]).refused(&["cluster \"raft\"", "cluster \"tests\""]);
    let peer = format!("2={}", local(free_ports(1)));
    server.run(&["--peer", &peer]).refused(&["members {1}", "members {1, 2}", "bootstrapped"]);
}

#[test]
fn a_missing_or_damaged_census_is_refused_with_what_to_do() {
    let server = Server::lived();
    let census = server.data.join("census");
    let sound = fs::read(&census).expect("the census");
    let mut damaged = sound.clone();
    *damaged.last_mut().expect("bytes") ^= 1;
    fs::write(&census, damaged).expect("written");
    server.run(&[]).refused(&["census is damaged", "do not bootstrap it again"]);
    fs::remove_file(&census).expect("removed");
    server.run(&[]).refused(&["census", "is missing", "do not put an older copy in its place"]);
    server.run(&["--bootstrap"]).refused(&["bootstrapped already"]);
    fs::write(&census, sound).expect("written");
    server.start(&[]).stop();
}

#[test]
fn two_nodes_do_not_share_a_directory() {
    let server = Server::alone();
    let node = server.start(&["--bootstrap"]);
    let second = Server { base_port: free_ports(1), data: server.data.clone(), ..Server::alone() };
    second.run(&[]).refused(&["in use by another process"]);
    node.stop();
}

#[test]
fn a_damaged_or_truncated_store_is_refused_and_not_to_be_bootstrapped_again() {
    let server = Server::lived();
    let log = server.data.join("log");
    let sound = fs::read(&log).expect("the log");
    let used = sound.iter().rposition(|byte| *byte != 0).expect("something is saved") + 1;
    for place in [0, 40, used / 2] {
        let mut damaged = sound.clone();
        damaged[place] ^= 1;
        fs::write(&log, damaged).expect("written");
        let ended = server.run(&[]);
        ended.refused(&["log is damaged at byte", "do not bootstrap it again"]);
    }
    fs::write(&log, &sound[..used - 1]).expect("written");
    server.run(&[]).refused(&["log is damaged at byte", "acknowledged"]);
    fs::remove_file(&log).expect("removed");
    server.run(&[]).refused(&["log is damaged", "missing"]);
    server.run(&["--bootstrap"]).refused(&["missing"]);
    fs::write(&log, sound).expect("written");
    server.start(&[]).stop();
}

#[test]
fn a_server_that_was_bootstrapped_anew_is_not_heard_by_those_that_knew_it() {
    let cluster = Trio::start();
    let leader = cluster.leader();
    let victim = (leader + 1) % 3;
    let mut nodes = cluster.nodes;
    nodes.remove(victim).kill();
    let server = &cluster.servers[victim];
    fs::remove_dir_all(&server.data).expect("lost");
    let arguments = ["--bootstrap"];
    let trace = server.data.with_extension("trace");
    server.run(&arguments).refused(&[".trace is not empty", "a new server has no history"]);
    fs::remove_file(trace).expect("lost as well");
    let amnesiac = server.start(&arguments);
    let drops = || {
        let counters = &inspect(cluster.servers[leader].address())["counters"]["dropped"];
        (counters["other_directory"].as_u64() > Some(0)).then_some(())
    };
    // It answers the leader's heartbeats.
    wait_for("the leader to drop what it says", drops);
    for node in nodes {
        node.stop();
    }
    // Nor is it heard after a restart: it asks for votes, and its own would make a majority.
    let restarted = cluster.servers[leader].start(&[]);
    wait_for("the restarted leader to drop what it says", drops);
    assert_ne!(ask(cluster.servers[leader].address()).role, "leader");
    restarted.stop();
    amnesiac.stop();
}

// ---- The network --------------------------------------------------------------------------------

#[test]
fn a_port_in_use_is_said_before_the_directory_is_bootstrapped() {
    let server = Server::alone();
    let socket = UdpSocket::bind(server.address()).expect("the port is free");
    let texts = [&server.address().to_string(), "another process"];
    server.run(&["--bootstrap"]).refused(&texts);
    assert!(!server.data.exists());
    drop(socket);
    let node = server.start(&["--bootstrap"]);
    let second = Server { base_port: server.base_port, ..Server::alone() };
    second.run(&["--bootstrap"]).refused(&texts);
    node.stop();
}

#[test]
fn a_node_listens_on_ipv6() {
    let Ok(probe) = UdpSocket::bind("[::1]:0") else {
        eprintln!("this machine has no IPv6 loopback");
        return;
    };
    let address = probe.local_addr().expect("it is bound");
    drop(probe);
    let folder = tempfile::tempdir().expect("a directory");
    let data = folder.path().join("data").display().to_string();
    let listen = address.to_string();
    let arguments = ["node", "--id", "1", "--listen", &listen, "--data", &data, "--bootstrap"];
    let node = Process::start(raft(arguments));
    node.logs("became leader");
    assert_eq!(ask(address).role, "leader");
    node.stop();
}

#[test]
fn no_datagram_stops_a_node() {
    let server = Server::alone();
    let node = server.start(&["--bootstrap"]);
    node.logs("became leader");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let send = |bytes: &[u8]| socket.send_to(bytes, server.address()).expect("sent");
    let request = |cluster, message: &[u8]| {
        let header = Datagram::<()> {
            cluster: wire::client_cluster(cluster),
            sender: CLIENTS,
            life: Life::default(),
            saves: 0,
            addressee: 1,
            body: Body::Request(()),
        };
        let mut bytes = wire::encode(&header).expect("it fits");
        bytes.truncate(bytes.len() - 4);
        bytes.extend(message);
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    };
    let whole = request("raft", &[4, 0, 1]);
    let malformed = (0..=255).flat_map(|first| {
        [vec![first], vec![4, first, 0xff, 0xff], vec![first; 40]].map(|it| request("raft", &it))
    });
    // The system may drop what comes too fast, so each kind is sent until it has been seen.
    for (reason, datagrams) in [
        ("too_short", (0..20).map(|length| whole[..length].to_vec()).collect()),
        ("magic", vec![vec![0xff; MAX_DATAGRAM]]),
        ("foreign_cluster", vec![request("tests", &[4, 0, 1])]),
        ("malformed", malformed.collect()),
        ("checksum", (50..whole.len()).map(|length| whole[..length].to_vec()).collect::<Vec<_>>()),
    ] {
        wait_for(reason, || {
            for datagram in &datagrams {
                send(datagram);
            }
            let dropped = &inspect(server.address())["counters"]["dropped"][reason];
            (dropped.as_u64() > Some(0)).then_some(())
        });
    }
    let mut client = Client::connect("raft", &[server.address()], options()).expect("it is alive");
    put(&mut client, "k", b"v".to_vec());
    let log = node.stop().err;
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_command_too_large_is_refused_by_name_and_the_next_one_is_applied() {
    let server = Server::alone().with(&["--max-bytes", "200"]);
    let node = server.start(&["--bootstrap"]);
    let mut client = Client::connect("raft", &[server.address()], options()).expect("it answers");
    let command = Kv::Put("k".into(), vec![0; 200].into());
    let error = client.execute(command.encode()).expect_err("too large").to_string();
    assert!(error.contains("bytes"), "{error}");
    put(&mut client, "k", vec![0; 100]);
    node.stop();
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
        socket.send_to(&wire::encode(&datagram).expect("it fits"), address).expect("sent");
        Some(socket.recv_from(&mut buffer).ok()?.0)
    });
    match wire::decode::<Message>(&buffer[..length], |_| Ok(())).expect("a report").body {
        Body::Report { nonce: 7, status } => serde_json::from_slice(&status).expect("JSON"),
        other => panic!("a report was expected, not {other:?}"),
    }
}

// ---- Stopping -----------------------------------------------------------------------------------

#[test]
#[expect(clippy::disallowed_methods, reason = "promptness is measured with a clock")]
fn a_node_told_to_stop_does_so_at_once_with_exit_code_0() {
    for signal in ["TERM", "INT"] {
        let server = Server::alone();
        let node = server.start(&["--bootstrap"]);
        let start = Instant::now();
        node.signal(signal);
        let ended = node.end();
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        assert!(ended.err.contains("stopped"), "{ended:?}");
        UdpSocket::bind(server.address()).expect("its address is free");
    }
}

/// As on a full disk: no file may grow beyond so many blocks of 512 bytes.
fn limited(command: &Command, blocks: u64) -> Command {
    let mut shell = Command::new("sh");
    // What goes beyond is an error to the writer, once the signal for it is ignored.
    shell.args(["-c", "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"", &blocks.to_string()]);
    shell.arg(command.get_program()).args(command.get_args());
    shell
}

#[test]
fn a_node_whose_store_cannot_grow_says_so_and_stops_and_goes_on_once_it_can() {
    let server = Server::lived();
    run(limited(&server.command(&[]), 8)).refused(&["cannot write", "log", "disk"]);
    // Room for what the store sets aside at first, which is a megabyte, and hardly more. (The
    // block is 512 bytes, but 1024 in some shells: then it has twice the room.)
    let node = Process::start(limited(&server.command(&[]), 2100));
    node.logs("became leader");
    let options = Options { timeout: Duration::from_secs(2), ..Options::default() };
    let mut client = Client::connect("raft", &[server.address()], options).expect("it answers");
    let mut acknowledged = 0_u32;
    let put = |client: &mut Client, number: u32| {
        let value = [number.to_le_bytes().as_slice(), &vec![7; 30_000]].concat();
        client.execute(Kv::Put("k".into(), value.into()).encode())
    };
    while put(&mut client, acknowledged + 1).is_ok() {
        acknowledged += 1;
        assert!(acknowledged < 200, "the store must have been full long since");
    }
    let ended = node.end();
    ended.refused(&["could not be saved", "nothing that depends on it was sent", "log"]);
    assert!(acknowledged > 20, "{acknowledged}");
    let node = server.start(&[]);
    let mut client = Client::connect("raft", &[server.address()], self::options()).expect("again");
    let response = client.execute(Kv::Get("k".into()).encode()).expect("it is applied");
    let Ok(Output::Value(Some(value))) = Output::try_from(&response[..]) else {
        panic!("a value was acknowledged: {response:?}")
    };
    let found = u32::from_le_bytes(value[..4].try_into().expect("four bytes"));
    // The last one may have been saved without its acknowledgement.
    assert!((acknowledged..=acknowledged + 1).contains(&found), "{found} of {acknowledged}");
    node.stop();
}

#[test]
fn a_node_whose_trace_cannot_be_written_says_so_and_stops() {
    let server = Server::alone();
    let trace = server.data.with_file_name("trace");
    let name = trace.display().to_string();
    let arguments = ["--trace", &name];
    fs::write(&trace, "of another server").expect("written");
    server.run(&["--bootstrap", "--trace", &name]).refused(&[&name, "not empty"]);
    for nowhere in ["/nonexistent/trace", "/dev/null"] {
        let ended = server.run(&["--bootstrap", "--trace", nowhere]);
        ended.refused(&["cannot write the trace", nowhere]);
    }
    assert!(!server.data.exists(), "what cannot run is not bootstrapped");
    fs::remove_file(&trace).expect("removed");
    server.start(&["--bootstrap", "--trace", &name]).stop();
    // A trace as long as a file may be, by what may follow the last record in its line.
    let mut text = fs::read_to_string(&trace).expect("the trace");
    text.pop();
    text.push_str(&" ".repeat(2100 * 1024 - 1 - text.len()));
    fs::write(&trace, text + "\n").expect("written");
    run(limited(&server.command(&arguments), 2100)).refused(&["cannot write the trace", &name]);
    let folder = server.data.parent().expect("a parent").display().to_string();
    server.run(&["--trace", &folder]).refused(&["cannot write the trace", "not a regular file"]);
}

// ---- A cluster ----------------------------------------------------------------------------------

/// Three servers that trace.
struct Trio {
    _folder: TempDir,
    servers: Vec<Server>,
    nodes: Vec<Process>,
}

impl Trio {
    /// Starts them and waits until one leads and the others have heard of it.
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let base_port = free_ports(3);
        let server = |id: u64| {
            let data = folder.path().join(id.to_string());
            let trace = folder.path().join(format!("{id}.trace")).display().to_string();
            let server =
                Server { _folder: None, id, servers: 3, base_port, data, options: Vec::new() };
            server.with(&["--trace", &trace])
        };
        let servers: Vec<_> = (1..=3).map(server).collect();
        let nodes = servers.iter().map(|server| server.start(&["--bootstrap"])).collect();
        let trio = Self { _folder: folder, servers, nodes };
        trio.leader();
        trio
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(Server::address).collect()
    }

    /// The place of the leader whom all servers know.
    fn leader(&self) -> usize {
        let leader = wait_for("a leader whom all know", || {
            let survey = client::survey("raft", &self.addresses(), &options()).expect("a survey");
            let known = survey.iter().map(|it| it.status.as_ref().and_then(|status| status.leader));
            let known: BTreeSet<_> = known.collect();
            known.first().copied().flatten().filter(|_| known.len() == 1)
        });
        usize::try_from(leader).expect("a small number") - 1
    }

    fn trace(&self, place: usize) -> PathBuf {
        self.servers[place].data.with_extension("trace")
    }
}

fn trace(arguments: &[&Path]) -> Ended {
    let mut command = raft(["trace"]);
    command.args(arguments);
    run(command)
}

#[test]
fn the_traces_of_a_cluster_whose_leader_was_killed_are_accepted_and_a_forgery_is_not() {
    let mut trio = Trio::start();
    let mut client = Client::connect("raft", &trio.addresses(), options()).expect("they answer");
    for number in 0..20_u8 {
        put(&mut client, "before", vec![number]);
    }
    let leader = trio.leader();
    let node = std::mem::replace(&mut trio.nodes[leader], Process::start(raft(["models"])));
    node.kill();
    for number in 0..20_u8 {
        put(&mut client, "during", vec![number]);
    }
    trio.nodes[leader] = trio.servers[leader].start(&[]);
    trio.leader();
    put(&mut client, "after", vec![1]);
    let reports = trio.addresses().into_iter().map(ask).collect::<Vec<_>>();
    assert_eq!(reports.iter().filter(|status| status.role == "leader").count(), 1, "{reports:?}");
    for node in std::mem::take(&mut trio.nodes) {
        node.stop();
    }

    let traces = [0, 1, 2].map(|place| trio.trace(place));
    let [first, second, third] = &traces;
    let accepted = trace(&[first, second, third]);
    assert_eq!(accepted.status.code(), Some(0), "{accepted:?}");
    assert_eq!(accepted.out.matches("ACCEPT ").count(), 3, "{accepted:?}");
    let results = trace(&[Path::new("--json"), &traces[leader]]);
    let results: Value = serde_json::from_str(&results.out).expect("JSON");
    let of_leader = &results["traces"][0];
    assert_eq!((&of_leader["verdict"], &of_leader["starts"]), (&"ACCEPT".into(), &2.into()));
    assert!(of_leader["saves"].as_u64() > Some(20), "{of_leader}");

    let forged = trio.trace(leader).with_extension("forged");
    let (line, text) = forge(&traces[leader]);
    fs::write(&forged, text).expect("written");
    let rejected = trace(&[first, &forged]);
    assert_eq!(rejected.status.code(), Some(1), "{rejected:?}");
    assert!(rejected.out.contains(&format!("line {line}, save")), "{rejected:?}");
    let missing = forged.with_extension("missing");
    let unreadable = trace(&[&forged, &missing]);
    assert_eq!(unreadable.status.code(), Some(2), "{unreadable:?}");
    assert!(unreadable.out.contains("REJECT") && unreadable.out.contains("UNREADABLE"));
}

/// The trace with one save denied, and the line of it.
fn forge(path: &Path) -> (usize, String) {
    let text = fs::read_to_string(path).expect("the trace");
    let mut lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
    let saves = |record: &Value| {
        record["event"]["deliver"].is_object() && record["out"]["save"].is_string()
    };
    let place = lines.iter().position(saves).expect("a message that made it save");
    lines[place]["out"]["save"] = Value::Null;
    let lines: Vec<_> = lines.iter().map(Value::to_string).collect();
    (place + 1, lines.join("\n") + "\n")
}

/// A server that has led with a trace, and the trace.
fn traced() -> (Server, PathBuf) {
    let server = Server::alone();
    let path = server.data.with_file_name("trace");
    let server = server.with(&["--trace", &path.display().to_string()]);
    let node = server.start(&["--bootstrap"]);
    node.logs("became leader");
    node.stop();
    (server, path)
}

#[test]
fn a_store_that_lost_a_save_is_caught_by_its_trace() {
    let (server, path) = traced();
    let copy = server.data.with_file_name("copy");
    copy_dir(&server.data, &copy);
    let records = || fs::read_to_string(&path).expect("the trace").lines().count();
    let so_far = records();
    let node = server.start(&[]);
    // A start, the election that saves, and a heartbeat: only a last batch may be missing.
    wait_for("records", || (records() >= so_far + 3).then_some(()));
    node.stop();
    assert_eq!(trace(&[&path]).status.code(), Some(0));
    // An older copy of the directory is what a server must never run from. The trace tells.
    fs::remove_dir_all(&server.data).expect("removed");
    fs::rename(&copy, &server.data).expect("restored");
    let ended = server.run(&[]);
    ended.refused(&["cannot go on with the trace", "has lost all that was saved since"]);
    assert_eq!(trace(&[&path]).status.code(), Some(0), "nothing was appended");
}

#[test]
fn a_server_that_has_lived_without_its_trace_does_not_go_on_with_it() {
    let (server, path) = traced();
    let without = Server { options: Vec::new(), ..server };
    let node = without.start(&[]);
    node.logs("became leader");
    node.stop();
    let name = path.display().to_string();
    let lines = fs::read_to_string(&path).expect("the trace").lines().count();
    without.run(&["--trace", &name]).refused(&[
        "cannot go on with the trace",
        &format!("a life is missing between lines {lines} and {}", lines + 1),
        "name a new file",
    ]);
    assert_eq!(trace(&[&path]).status.code(), Some(0), "nothing was appended");
    let new = path.with_extension("new");
    let node = without.start(&["--trace", &new.display().to_string()]);
    node.logs("became leader");
    node.stop();
    assert_eq!(trace(&[&path, &new]).status.code(), Some(0));
    // Joined by hand, they are not one trace.
    let joined = fs::read_to_string(&path).expect("read") + &renumbered(&new, lines);
    fs::write(&path, joined).expect("written");
    let rejected = trace(&[&path]);
    assert_eq!(rejected.status.code(), Some(1), "{rejected:?}");
    assert!(rejected.out.contains("a life is missing between lines"), "{rejected:?}");
}

/// The text of a trace that follows so many lines.
fn renumbered(path: &Path, lines: usize) -> String {
    let text = fs::read_to_string(path).expect("a trace");
    let line = |(place, line): (usize, &str)| {
        let (old, new) = (format!("\"seq\":{place},"), format!("\"seq\":{},", place + lines));
        line.replacen(&old, &new, 1) + "\n"
    };
    (1..).zip(text.lines()).map(line).collect()
}

#[test]
fn a_server_appends_to_no_file_that_is_not_its_trace() {
    let (server, path) = traced();
    let text = fs::read_to_string(&path).expect("the trace");
    let forged = |from: &str, to: &str| {
        assert!(text.contains(from), "there is no {from} to replace");
        text.replacen(from, to, 1)
    };
    for (text, says) in [
        ("# Read me\n".to_owned(), "line 1 is no record"),
        (forged("\"server\":1", "\"server\":2"), "the trace of server 2 of cluster \"raft\""),
        (forged("\"v\":4", "\"v\":3"), "version 3"),
        (forged("\"seq\":2", "\"seq\":3"), "line 2 is no record"),
    ] {
        fs::write(&path, &text).expect("written");
        server.run(&[]).refused(&["cannot go on with the trace", says, "name a new file"]);
        assert_eq!(fs::read_to_string(&path).expect("read"), text, "nothing was written");
    }
}

#[test]
fn a_file_that_is_no_trace_is_no_violation() {
    let (_server, path) = traced();
    let text = fs::read_to_string(&path).expect("the trace");
    let first = text.lines().next().expect("a record");
    let file = path.with_extension("other");
    for (text, says) in [
        ("# Read me\n\nIt is a text.\n", "its first line is no record"),
        ("{\n  \"name\": \"raft\"\n}\n", "its first line is no record"),
        ("\u{0}\u{1}\n", "its first line is no record"),
        ("", "it is empty"),
        (&first[..first.len() / 2], "its only record is cut short"),
        (&first[..3], "its only record is cut short"),
    ] {
        fs::write(&file, text).expect("written");
        let ended = trace(&[&file]);
        assert_eq!(ended.status.code(), Some(2), "{text:?}: {ended:?}");
        assert!(
            ended.out.contains("UNREADABLE") && ended.out.contains(says),
            "{text:?}: {ended:?}"
        );
    }
    let directory = trace(&[path.parent().expect("a directory")]);
    assert_eq!(directory.status.code(), Some(2), "{directory:?}");
    assert!(directory.out.contains("directory"), "{directory:?}");
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).expect("created");
    for entry in fs::read_dir(from).expect("listed") {
        let path = entry.expect("an entry").path();
        fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("copied");
    }
}

#[test]
fn a_flipped_bit_in_a_trace_is_found_at_its_line() {
    let server = Server::alone();
    let path = server.data.with_file_name("trace");
    let name = path.display().to_string();
    let node = server.start(&["--bootstrap", "--trace", &name]);
    node.logs("became leader");
    node.stop();
    let text = fs::read_to_string(&path).expect("the trace");
    let second = text.find('\n').expect("a line") + 1;
    let place = second + text[second..].find("\"after\":\"").expect("a hash") + 9;
    let file = OpenOptions::new().write(true).open(&path).expect("opened");
    let digit = if text.as_bytes()[place] == b'0' { b"1" } else { b"0" };
    file.write_all_at(digit, place as u64).expect("written");
    let rejected = trace(&[&path]);
    assert_eq!(rejected.status.code(), Some(1), "{rejected:?}");
    assert!(rejected.out.contains("line 2, after"), "{rejected:?}");
}

// ---- The log ------------------------------------------------------------------------------------

/// `raft log` of a server, asked through the server at `address`.
fn log(address: SocketAddr, arguments: &[&str]) -> Ended {
    let mut command = raft(["log", "--server", &address.to_string(), "--timeout", "10s"]);
    command.args(arguments);
    run(command)
}

/// The page that `--json` prints.
fn log_page(address: SocketAddr, arguments: &[&str]) -> Value {
    let ended = log(address, &[arguments, &["--json"]].concat());
    assert_eq!((ended.status.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
    serde_json::from_str(&ended.out).expect("JSON")
}

#[test]
fn the_log_of_each_server_is_shown_page_by_page() {
    let trio = Trio::start();
    let mut client = Client::connect("raft", &trio.addresses(), options()).expect("they answer");
    put(&mut client, "x", b"1".to_vec());
    put(&mut client, "long", vec![b'v'; 20_000]);
    for number in 0..150_u8 {
        put(&mut client, "y", vec![number]);
    }
    let [first, ..] = trio.addresses()[..] else { panic!("three servers") };
    let last = ask(trio.servers[trio.leader()].address()).last_log_index;
    for id in ["1", "2", "3"] {
        // A follower may be behind for a moment.
        let id = &[id][..];
        wait_for("the whole log", || {
            let page = log_page(first, &[id, &["--from", &last.to_string()]].concat());
            (page["entries"][0]["applied"] == true).then_some(())
        });
        let (mut from, mut entries, mut pages) = (Some(1), Vec::new(), 0);
        while let Some(index) = from {
            let page = log_page(first, &[id, &["--from", &index.to_string()]].concat());
            entries.extend(page["entries"].as_array().expect("a list").clone());
            (from, pages) = (page["next"].as_u64(), pages + 1);
        }
        assert!(pages > 1, "{pages}");
        let indexes: Vec<_> = entries.iter().map(|it| it["index"].as_u64()).collect();
        assert_eq!(indexes, (1..=entries.len() as u64).map(Some).collect::<Vec<_>>());
        assert_eq!(entries[0]["kind"], "noop");
        let command = |words: &str| {
            let found = entries.iter().find(|it| {
                it["command"].as_str().is_some_and(|command| command.starts_with(words))
            });
            found.unwrap_or_else(|| panic!("no entry `{words}`")).clone()
        };
        assert_eq!(command("put x 1")["is_cut"], false);
        assert_eq!(command("put long v")["is_cut"], true);
        assert!(entries.iter().any(|it| it["kind"] == "register"));
    }
    let Ended { out, .. } = log(first, &["2"]);
    for words in [
        "server 2, ",
        "noop",
        "register client",
        "put x 1",
        "… (200",
        "applied",
        "the log goes on: raft log 2 --from ",
    ] {
        assert!(out.contains(words), "{words}: {out}");
    }
}

#[test]
fn a_log_that_cannot_be_shown_is_a_clear_error() {
    let mut trio = Trio::start();
    let addresses = trio.addresses();
    trio.nodes.pop().expect("three").kill();
    let end = log_page(addresses[0], &["1"])["last_log_index"].to_string();
    log(addresses[0], &["1", "--from", "9999999"])
        .refused(&[&format!("server 1 ends at index {end}"), "no entry at 9999999"]);
    log(addresses[0], &["1", "--from", &u64::MAX.to_string()]).refused(&["no entry at"]);
    log(addresses[0], &["1", "--from", "0"]).refused(&["--from"]);
    log(addresses[0], &["4"]).refused(&["no server 4", "1, 2, 3"]);
    let address = addresses[2].to_string();
    let timeout = ["--timeout", "500ms", "--server", &addresses[0].to_string()];
    let quickly = |arguments: &[&str]| run(raft([&["log"], arguments, &timeout].concat()));
    quickly(&["3"]).refused(&["server 3", &address, "500ms", "is running"]);
    quickly(&["1", "--cluster", "another"]).refused(&["\"another\"", "cluster's name"]);
    let nobody = run(raft(["log", "1", "--server", "127.0.0.1:1", "--timeout", "200ms"]));
    nobody.refused(&["no server of cluster \"raft\" answered"]);
}

// ---- Reads --------------------------------------------------------------------------------------

/// `raft get` against the server at `address`.
fn get(address: SocketAddr, arguments: &[&str]) -> Ended {
    let mut command = raft(["get", "--server", &address.to_string(), "--timeout", "10s"]);
    command.args(arguments);
    run(command)
}

#[test]
fn a_value_is_read_from_the_leader_through_the_log_or_from_one_server() {
    let trio = Trio::start();
    let address = trio.addresses()[0];
    let mut client = Client::connect("raft", &trio.addresses(), options()).expect("they answer");
    put(&mut client, "k", b"v".to_vec());
    let last = || ask(trio.servers[trio.leader()].address()).last_log_index;
    let before = last();
    assert_eq!(get(address, &["k"]).out, "v\n");
    assert_eq!(last(), before, "a read takes no entry");
    assert_eq!(get(address, &["k", "--log"]).out, "v\n");
    assert_eq!(last(), before + 2, "a session and a command");
    for id in ["1", "2", "3"] {
        // A follower may be behind for a moment, and says so.
        let local = || {
            let ended = get(address, &["k", "--local", id]);
            assert!(ended.err.starts_with(&format!("from server {id} alone: it may be stale\n")));
            (ended.out == "v\n").then_some(())
        };
        wait_for("the value", local);
    }
    let none = get(address, &["other", "--local", "1"]);
    assert_eq!(none.status.code(), Some(1), "{none:?}");
    get(address, &["k", "--local", "9"]).refused(&["no server 9", "1, 2, 3"]);
    get(address, &["k", "--local", "1", "--log"]).refused(&["cannot be used with"]);
}

#[test]
fn without_a_majority_a_read_is_refused_and_one_server_can_still_be_asked() {
    let mut trio = Trio::start();
    let mut client = Client::connect("raft", &trio.addresses(), options()).expect("they answer");
    put(&mut client, "k", b"v".to_vec());
    let leader = trio.leader();
    let (id, address) = ((leader + 1).to_string(), trio.addresses()[leader]);
    let kept = trio.nodes.remove(leader);
    trio.nodes.drain(..).for_each(Process::kill);
    run(raft(["get", "k", "--server", &address.to_string(), "--timeout", "500ms"]))
        .refused(&["no leader answered the read within 500ms"]);
    assert_eq!(get(address, &["k", "--local", &id]).out, "v\n");
    kept.kill();
}

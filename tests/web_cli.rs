//! The live page of `raft cluster --web`, as a browser and as somebody else talks to it.

mod common;

use common::program::{Process, free_ports, raft, run};
use common::{LONG, wait_for};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use tempfile::TempDir;

/// A cluster with a page.
struct Shown {
    cluster: Process,
    address: SocketAddr,
    folder: TempDir,
}

/// An answer: the status, the headers, and the body.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Shown {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let port = free_ports(3).to_string();
        let mut command = raft(["cluster", "--web", "127.0.0.1:0", "--base-port", &port, "--data"]);
        command.arg(folder.path().join("cluster"));
        // Machines that run many tests at a time may be slow to save.
        command.args(["--", "--election-timeout", "500..1000"]);
        let cluster = Process::start(command);
        let address = wait_for("the address of the page", || {
            let printed = cluster.printed();
            let address = printed.split("Watch at http://").nth(1)?.split('/').next()?;
            address.parse().ok()
        });
        Self { cluster, address, folder }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(LONG)).expect("a socket");
        stream
    }

    /// Sends a request with these headers, and reads the answer to its end.
    fn ask(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = self.connect();
        let host = ("Host", &self.address.to_string()[..]);
        let host = if headers.iter().any(|(name, _)| *name == "Host") { None } else { Some(host) };
        let named = host.iter().chain(headers).map(|(name, value)| format!("{name}: {value}\r\n"));
        let length = format!("Content-Length: {}\r\n", body.len());
        let length = Some(length).filter(|_| !body.is_empty());
        let head: Vec<_> = named.chain(length).collect();
        write!(stream, "{line} HTTP/1.1\r\n{}\r\n{body}", head.concat()).expect("it is read");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer of text");
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status");
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        let kind = ("Content-Type", "application/json");
        self.ask(&format!("POST {path}"), &[kind], &body.to_string())
    }

    /// Gives an order, which must be obeyed, and returns what is told.
    #[track_caller]
    fn order(&self, order: &str) -> String {
        self.post("/order", &json!({ "order": order })).told()
    }

    #[track_caller]
    fn command(&self, words: Value) -> String {
        self.post("/command", &json!({ "command": words })).told()
    }

    /// Reads events until one is as wanted.
    fn sees<T>(&self, what: &str, mut wanted: impl FnMut(&Value) -> Option<T>) -> T {
        let mut stream = self.connect();
        write!(stream, "GET /events HTTP/1.1\r\nHost: {}\r\n\r\n", self.address).expect("open");
        let mut lines = BufReader::new(stream).lines();
        wait_for(what, || {
            let line = lines.next().expect("the stream goes on").expect("in time");
            let event = line.strip_prefix("data: ")?;
            wanted(&serde_json::from_str(event).expect("an event is JSON"))
        })
    }

    /// Waits until the strip has an event with this text.
    fn tells(&self, text: &str) {
        self.sees(text, |overview| {
            let mut strip = overview["strip"].as_array()?.iter();
            strip
                .any(|event| event["text"].as_str().is_some_and(|it| it.contains(text)))
                .then_some(())
        });
    }
}

impl Answer {
    #[track_caller]
    fn told(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.body);
        let body: Value = serde_json::from_str(&self.body).expect("JSON");
        body["told"].as_str().expect("a text").to_owned()
    }

    /// A refusal is a status and a sentence.
    #[track_caller]
    fn refused(&self, status: u16, part: &str) {
        assert_eq!(self.status, status, "{}{}", self.head, self.body);
        let body: Value = serde_json::from_str(&self.body).expect("JSON");
        let sentence = body["error"].as_str().expect("a sentence");
        assert!(sentence.contains(part), "{sentence}");
    }
}

fn server(overview: &Value, id: u64) -> &Value {
    let servers = overview["servers"].as_array().expect("servers");
    servers.iter().find(|server| server["id"] == id).expect("it is shown")
}

/// The server that leads, if one does.
fn leader(overview: &Value) -> Option<u64> {
    let servers = overview["servers"].as_array().expect("servers").iter();
    let mut leaders = servers
        .filter(|server| server["process"] == "runs" && server["status"]["role"] == "leader");
    leaders.next()?["id"].as_u64()
}

/// The handler calls that were accepted; none may be rejected.
fn accepted(overview: &Value) -> Option<u64> {
    let servers = overview["servers"].as_array().expect("servers").iter();
    servers
        .map(|server| {
            let trace = &server["trace"];
            assert!(trace.is_null() || trace["verdict"] == "accept", "{trace}");
            trace["records"].as_u64()
        })
        .sum()
}

#[test]
fn the_page_shows_what_is_ordered_and_executed() {
    let shown = Shown::start();
    let leader = shown.sees("a leader", leader);
    shown.tells(&format!("Server {leader} leads term "));
    assert_eq!(shown.command(json!(["put", "k", "a value"])), "OK");
    assert_eq!(shown.command(json!(["get", "k"])), "\"a value\"");
    assert_eq!(shown.command(json!(["cas", "k", "a value", "b"])), "OK");
    let told = "Not swapped: \"k\" has the value \"b\".";
    assert_eq!(shown.command(json!(["cas", "k", null, "c"])), told);
    assert_eq!(shown.command(json!(["delete", "k"])), "OK");
    assert_eq!(shown.command(json!(["get", "k"])), "\"k\" has no value.");
    shown.sees("the log with the commands, and their times", |overview| {
        let log = &server(overview, leader)["log"];
        let entries = log["entries"].as_array()?;
        let has_command = entries.iter().any(|entry| entry["kind"] == "command");
        let mut seconds = overview["seconds"].as_array()?.iter();
        let is_timed =
            seconds.any(|second| second["done"].as_u64() > Some(0) && second["p50"].is_u64());
        (has_command && is_timed).then_some(())
    });

    let other = (1..=3).find(|id| *id != leader).expect("three servers");
    assert_eq!(shown.order(&format!("kill {other}")), format!("Server {other} was killed."));
    shown.sees("the killed server", |overview| {
        (server(overview, other)["process"] == "killed").then_some(())
    });
    shown.post("/order", &json!({ "order": format!("kill {other}") })).refused(409, "does not run");
    shown.order(&format!("restart {other}"));
    shown.sees("the server that was started again", |overview| {
        let server = server(overview, other);
        let is_back = server["process"] == "runs" && server["trace"]["starts"] == 2;
        is_back.then_some(())
    });
    shown.order(&format!("pause {other}"));
    shown.sees("the paused server", |overview| {
        (server(overview, other)["process"] == "paused").then_some(())
    });
    shown.order(&format!("resume {other}"));

    shown.order(&format!("cut {leader} > {other}"));
    shown.sees("the cut", |overview| (overview["cuts"] == json!([[leader, other]])).then_some(()));
    shown.sees("datagrams that the cut has dropped", |overview| {
        server(overview, other)["status"]["counters"]["cut"].as_u64().filter(|cut| *cut > 0)
    });
    assert!(shown.order(&format!("heal {leader} > {other}")).contains("pass again"));
    shown.sees("no cut", |overview| (overview["cuts"] == json!([])).then_some(()));
    shown.tells(&format!("No datagram passes from {leader} to {other}."));
    assert!(shown.order("status").contains(" leader "));
    // Every order also stands where the prompt tells of it.
    assert!(shown.cluster.printed().contains(&format!("Server {other} was killed.")));
}

#[test]
fn the_running_servers_are_replayed_and_judged_as_they_go_on() {
    let shown = Shown::start();
    assert!(shown.command(json!(["load", 20])).contains("20 commands a second"));
    let early = shown.sees("the first calls", |overview| accepted(overview).filter(|it| *it > 50));
    shown.sees("more calls, settled and judged", |overview| {
        let properties = overview["properties"].as_array()?;
        assert!(properties.iter().all(|property| property["broken"].is_null()), "{overview}");
        let judged = |name: &str| {
            let property = properties.iter().find(|it| it["name"] == name).expect("it is asked");
            property["judged"].as_u64().expect("a number")
        };
        let names =
            ["Election Safety", "Log Matching", "State Machine Safety", "Votes follow requests"];
        let arrived = overview["arrived"].as_array()?;
        let is_enough = accepted(overview)? > 2 * early
            && names.iter().all(|name| judged(name) > 0)
            && arrived.iter().any(|flow| flow[2] == "entries");
        is_enough.then_some(())
    });
    shown.command(json!(["load", 0]));
    // `raft trace` says of the same files what the page says.
    let folder = shown.folder.path().join("cluster");
    let mut trace = raft(["trace"]);
    trace.arg(folder.join("1.live.trace"));
    let verdict = run(trace);
    assert!(verdict.out.starts_with("ACCEPT"), "{verdict:?}");
    shown.cluster.stop();
}

#[test]
fn nobody_but_the_page_and_programs_of_this_machine_is_served() {
    let shown = Shown::start();
    let json = ("Content-Type", "application/json");
    let kill = r#"{"order":"heal"}"#;
    let own = format!("http://{}", shown.address);
    for (name, value) in [
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Host", "evil.example"),
        ("Sec-Fetch-Site", "cross-site"),
    ] {
        shown.ask("POST /order", &[json, (name, value)], kill).refused(403, "");
        shown.ask("GET /events", &[(name, value)], "").refused(403, "");
    }
    let own = [json, ("Origin", &own[..]), ("Sec-Fetch-Site", "same-origin")];
    assert_eq!(shown.ask("POST /order", &own, kill).told(), "No link was cut.");
    let plain = ("Content-Type", "text/plain");
    shown.ask("POST /order", &[plain], kill).refused(415, "application/json");
    shown.ask("POST /command", &[], "{}").refused(415, "application/json");
    let long = format!("{{\"order\":\"{}\"}}", "x".repeat(5000));
    shown.ask("POST /order", &[json], &long).refused(413, "at most 4096");
    shown.ask("POST /order", &[json], "{").refused(400, "no JSON object");
    shown.ask("POST /order", &[json], "[1]").refused(400, "no JSON object");
    shown.ask("POST /order", &[json], r#"{"order":1}"#).refused(400, "An order is a text: kill N");
    shown
        .post("/order", &json!({ "order": "fly 2" }))
        .refused(400, "`fly 2` is no order; say kill N");
    shown.post("/order", &json!({ "order": "kill 9" })).refused(409, "Server 9 does not run.");
    shown.post("/order", &json!({ "order": "wait 9" })).refused(400, "scripts");
    shown.post("/command", &json!({ "command": ["fly"] })).refused(400, "[\"put\", KEY, VALUE]");
    shown.post("/command", &json!({ "command": ["load", 1_000_000] })).refused(400, "1000");
    shown.ask("GET /order", &[], "").refused(405, "POST");
    shown.ask("POST /", &[json], "{}").refused(405, "GET");
    shown.ask("GET /cluster.json", &[], "").refused(404, "/events");
    shown.ask("GET /../../etc/passwd", &[], "").refused(404, "/events");
    shown.ask("OPTIONS /order", &[("Origin", "http://evil.example")], "").refused(403, "evil");
}

#[test]
fn the_page_is_whole_in_itself_and_names_no_path() {
    let shown = Shown::start();
    let page = shown.ask("GET /", &[], "");
    assert_eq!(page.status, 200);
    for header in ["default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'", "no-store"]
    {
        assert!(page.head.contains(header), "{header}: {}", page.head);
    }
    assert!(page.body.contains("<noscript>") && page.body.contains("new EventSource(\"/events\")"));
    for foreign in ["src=", "@import", "url("] {
        assert!(!page.body.contains(foreign), "{foreign}");
    }
    let folder = shown.folder.path().display().to_string();
    shown.sees("an overview without a path", |overview| {
        leader(overview)?;
        assert!(!overview.to_string().contains(&folder), "{overview}");
        Some(())
    });
    assert!(!page.body.contains(&folder));
}

#[test]
fn the_streams_are_bounded_and_make_room_when_they_end() {
    let shown = Shown::start();
    let open = || {
        let mut stream = shown.connect();
        write!(stream, "GET /events HTTP/1.1\r\nHost: {}\r\n\r\n", shown.address).expect("open");
        let mut reader = BufReader::new(stream);
        let mut first = String::new();
        reader.read_line(&mut first).expect("an answer");
        (first.contains(" 200 "), reader)
    };
    let streams: Vec<_> = (0..16).map(|_| open()).collect();
    assert!(streams.iter().all(|(is_served, _)| *is_served));
    shown.ask("GET /events", &[], "").refused(503, "16 pages");
    drop(streams);
    wait_for("room for a stream", || open().0.then_some(()));
}

#[test]
fn a_busy_port_and_an_address_for_other_machines_are_refused() {
    let busy = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = busy.local_addr().expect("bound").to_string();
    let port = free_ports(3).to_string();
    let refused = |address: &str| run(raft(["cluster", "--base-port", &port, "--web", address]));
    refused(&address).refused(&[&format!("cannot listen on {address}"), "--web IP:PORT"]);
    refused("0.0.0.0:0").refused(&["other machines could reach", "--web 127.0.0.1"]);
}

#[test]
fn a_page_finds_the_cluster_again_and_learns_that_it_was_started_again() {
    let shown = Shown::start();
    let first = shown.sees("a run", |overview| overview["run"].as_str().map(str::to_owned));
    assert_eq!(shown.order("quit"), "All servers stop.");
    let Shown { cluster, address, folder } = shown;
    assert_eq!(cluster.end().status.code(), Some(0));
    let port = free_ports(3).to_string();
    let mut command = raft(["cluster", "--base-port", &port, "--web"]);
    command.arg(address.to_string()).arg("--data").arg(folder.path().join("cluster"));
    let cluster = Process::start(command);
    wait_for("the page", || cluster.printed().contains("Watch at").then_some(()));
    let shown = Shown { cluster, address, folder };
    let second = shown.sees("a leader of another run", |overview| {
        leader(overview)?;
        accepted(overview).filter(|records| *records > 0)?;
        overview["run"].as_str().map(str::to_owned)
    });
    assert_ne!(first, second);
}

//! The Explorer, driven as a browser does, to a state with a committed entry.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};

/// `raft explore` on a free port; ends with the test.
struct Explorer {
    process: Child,
    address: String,
}

impl Explorer {
    fn start(args: &[&str]) -> Self {
        let mut raft = Command::new(env!("CARGO_BIN_EXE_raft"));
        raft.args(["explore", "--address", "127.0.0.1:0"]).args(args).stdout(Stdio::piped());
        let mut process = raft.spawn().expect("the binary runs");
        let output = process.stdout.take().expect("its output is piped");
        let mut lines = BufReader::new(output).lines().map(|line| line.expect("text"));
        let line = lines.find(|line| line.contains("http://")).expect("it says where it serves");
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        let explorer = Self { process, address: address.expect("an address").to_owned() };
        // It says so just before it listens.
        while TcpStream::connect(&explorer.address).is_err() {
            std::thread::yield_now();
        }
        explorer
    }

    fn get(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(&self.address).expect("the Explorer listens");
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("it takes a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.lines().next().is_some_and(|line| line.contains(" 200 ")), "{head}");
        serde_json::from_str(body).expect("the body is JSON")
    }
}

impl Drop for Explorer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn explore(args: &[&str]) -> Output {
    let mut raft = Command::new(env!("CARGO_BIN_EXE_raft"));
    raft.arg("explore").args(args).output().expect("the binary runs")
}

#[test]
fn actions_chosen_by_their_text_lead_to_a_committed_entry() {
    let explorer = Explorer::start(&[]);
    let status = explorer.get("/.status");
    let properties = status["properties"].as_array().expect("the properties");
    assert!(properties.iter().any(|property| property[1] == "Log Matching"));

    let mut path = "/.states/0".to_owned();
    let mut last = Value::Null;
    for wanted in [
        "S0: Election timeout",
        "S0 → S1: RequestVote { term: 1",
        "S1 → S0: RequestVoteResponse { term: 1, vote_granted: true }",
        "S0 → S1: AppendEntries { term: 1",
        "S1 → S0: AppendEntriesResponse { term: 1",
    ] {
        let steps = explorer.get(&path);
        let steps = steps.as_array().expect("the next steps");
        let chosen = steps
            .iter()
            .find(|step| step["action"].as_str().is_some_and(|action| action.starts_with(wanted)));
        last = chosen.unwrap_or_else(|| panic!("no action `{wanted}` at {path}")).clone();
        path = format!("{path}/{}", last["actionIndex"]);
    }

    let state = last["state"].as_str().expect("the state it leads to");
    let leader = state.lines().find(|line| line.starts_with("0: ")).expect("a line for S0");
    assert!(leader.starts_with("0: leader t1") && leader.contains("log=[1.noop]"), "{leader}");
    assert!(leader.contains("commit=1"), "{leader}");
    assert!(state.lines().any(|line| line.starts_with("1: follower t1")), "{state}");
    let outcome = last["outcome"].as_str().expect("what the step does");
    assert!(
        outcome.starts_with("S0  leader t1") && outcome.contains("\n  ⇨ leader t1"),
        "{outcome}"
    );
    let svg = last["svg"].as_str().expect("the sequence diagram");
    assert!(svg.starts_with("<svg") && svg.contains("AppendEntriesResponse { term: 1"), "{svg}");
}

#[test]
fn a_mutant_is_explored_as_one() {
    let mutant = &checked_raft::models::mutants::catalogue()[0];
    let explorer = Explorer::start(&["--mutant", mutant.name]);
    let status = explorer.get("/.status");
    let always = status["properties"].as_array().expect("the properties");
    let always: Vec<_> = always.iter().filter(|property| property[0] == "Always").collect();
    assert_eq!(always.len(), 1, "only the property that must catch it");
    assert_eq!(always[0][1], mutant.caught_by);
}

#[test]
fn a_port_in_use_is_a_clear_error() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    let output = explore(&["--address", &address]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).expect("text");
    assert!(error.contains(&address) && error.contains("--address"), "{error}");
    assert!(!error.contains("panicked"), "{error}");
}

#[test]
fn a_bad_address_or_model_is_a_clear_error() {
    for args in [["--address", "localhost"], ["--address", "127.0.0.1:99999"]] {
        let output = explore(&args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(String::from_utf8(output.stderr).expect("text").contains("invalid socket address"));
    }
    let output = explore(&["no-such-model"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).expect("text").contains("raft models"));
}

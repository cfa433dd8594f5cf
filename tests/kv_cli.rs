//! `raft put`, `get`, `keys`, `delete`, `cas`, `transfer` and `status`, as a script sees them.

mod common;

use checked_raft::client::{KvClient, Options};
use checked_raft::kv::Kv;
use checked_raft::raft::Persistent;
use checked_raft::runtime::store::MemoryStore;
use common::cluster::{CLUSTER, Cluster};
use common::program::Process;
use common::proxy::Faults;
use common::{program, wait_for};
use serde_json::{Value, json};
use std::process::Command;

/// A command's exit code, output and errors.
type Ended = (i32, String, String);

fn cluster(servers: u64) -> Cluster<Kv> {
    let mut cluster = Cluster::new(servers, 1, Faults::NONE, |_| {});
    for server in 1..=servers {
        cluster.start(server, server.into(), MemoryStore::<Persistent<Kv>>::default());
    }
    cluster
}

/// Runs `raft` with these arguments against one server of the cluster.
fn raft(cluster: &Cluster<Kv>, server: u64, arguments: &[&str]) -> Ended {
    let mut all = arguments.to_vec();
    let (address, timeout) = (cluster.address(server).to_string(), "--timeout=20s");
    all.extend(["--cluster", CLUSTER, "--server", &address, timeout]);
    run(&all)
}

fn run(arguments: &[&str]) -> Ended {
    let output =
        Command::new(env!("CARGO_BIN_EXE_raft")).args(arguments).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().expect("it ended by itself");
    (code, text(&output.stdout), text(&output.stderr))
}

fn ended(code: i32, stdout: &str, stderr: &str) -> Ended {
    (code, stdout.to_owned(), stderr.to_owned())
}

#[test]
fn what_is_put_by_one_process_is_read_by_the_next() {
    let cluster = cluster(3);
    let raft = |arguments: &[&str]| raft(&cluster, 2, arguments);
    assert_eq!(raft(&["put", "k", "v 1"]), ended(0, "OK\n", ""));
    assert_eq!(raft(&["get", "k"]), ended(0, "v 1\n", ""));
    assert_eq!(raft(&["put", "k", ""]), ended(0, "OK\n", ""));
    assert_eq!(raft(&["get", "k"]), ended(0, "\n", ""));
    assert_eq!(raft(&["delete", "k"]), ended(0, "OK\n", ""));
    assert_eq!(raft(&["get", "k"]), ended(1, "", "\"k\" has no value\n"));
    assert_eq!(raft(&["delete", "k"]), ended(0, "OK\n", ""));
}

#[test]
fn keys_and_values_may_begin_with_a_dash() {
    let cluster = cluster(1);
    let raft = |arguments: &[&str]| raft(&cluster, 1, arguments);
    for value in ["-help me", "-h", "-5", "-", "", "--no-such-option"] {
        assert_eq!(raft(&["put", "k", value]), ended(0, "OK\n", ""), "{value}");
        assert_eq!(raft(&["get", "k"]), ended(0, &format!("{value}\n"), ""));
        assert_eq!(raft(&["put", value, "v"]), ended(0, "OK\n", ""), "{value}");
        assert_eq!(raft(&["get", value]), ended(0, "v\n", ""));
        assert_eq!(raft(&["cas", value, "v", value]), ended(0, "OK\n", ""), "{value}");
        assert_eq!(raft(&["delete", value]), ended(0, "OK\n", ""), "{value}");
        assert_eq!(raft(&["cas", value, "--absent", value]), ended(0, "OK\n", ""), "{value}");
    }
    // After two dashes everything is a value, whatever options there are.
    let address = cluster.address(1).to_string();
    let options = ["--cluster", CLUSTER, "--server", &address, "--timeout=20s", "--"];
    let raft = |name: &str, words: &[&str]| run(&[&[name], &options[..], words].concat());
    assert_eq!(raft("put", &["k", "--help"]), ended(0, "OK\n", ""));
    assert_eq!(raft("cas", &["k", "--help", "6"]), ended(0, "OK\n", ""));
    assert_eq!(raft("get", &["k"]), ended(0, "6\n", ""));
    assert_eq!(raft("put", &["--", "--"]), ended(0, "OK\n", ""));
    assert_eq!(raft("get", &["--"]), ended(0, "--\n", ""));
}

#[test]
fn keys_are_listed_by_prefix_in_pages_and_a_line_is_one_if_asked_for() {
    let cluster = cluster(3);
    let raft = |arguments: &[&str]| raft(&cluster, 3, arguments);
    assert_eq!(raft(&["keys"]), ended(0, "", ""));
    for key in ["b", "-a/2", "-a/1", "two\nlines"] {
        assert_eq!(raft(&["put", key, "v"]), ended(0, "OK\n", ""));
    }
    assert_eq!(raft(&["keys"]), ended(0, "-a/1\n-a/2\nb\ntwo\nlines\n", ""));
    assert_eq!(raft(&["keys", "t", "--escape"]), ended(0, "two\\nlines\n", ""));
    assert_eq!(raft(&["keys", "-a/"]), ended(0, "-a/1\n-a/2\n", ""));
    assert_eq!(raft(&["keys", "none"]), ended(0, "", ""));
    assert_eq!(raft(&["delete", "-a/1"]), ended(0, "OK\n", ""));
    assert_eq!(raft(&["keys", "-a/"]), ended(0, "-a/2\n", ""));

    // More keys than a page has, and longer ones than a page holds many of.
    let client = cluster.client(Options { timeout: common::LONG, ..Options::default() });
    let mut client = KvClient::new(client.expect("a server answers"));
    let short = (0..1001).map(|n| format!("p/{n:04}"));
    let keys: Vec<_> =
        short.chain((0..3).map(|n| format!("p/x{n}{}", "y".repeat(20_000)))).collect();
    for key in &keys {
        client.put(key.clone(), "").expect("it is put");
    }
    assert_eq!(raft(&["keys", "p/"]), ended(0, &format!("{}\n", keys.join("\n")), ""));
    let (code, _, stderr) = run(&["keys", "--server", "127.0.0.1:1", "--timeout", "200ms"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("no server of cluster \"raft\" answered"), "{stderr}");
}

#[test]
fn help_has_no_short_form_where_values_may_begin_with_a_dash() {
    for name in ["put", "get", "keys", "delete", "cas"] {
        let (code, stdout, _) = run(&[name, "--help"]);
        assert_eq!(code, 0);
        assert!(stdout.contains("--help") && !stdout.contains("-h,"), "{stdout}");
    }
}

#[test]
fn a_server_may_be_given_by_its_name_and_the_interval_of_retries_be_set() {
    let cluster = cluster(1);
    let server = format!("localhost:{}", cluster.address(1).port());
    let line = ["get", "k", "--cluster", CLUSTER, "--timeout=20s", "--retry", "50"];
    let (code, _, stderr) = run(&[&line[..], &["--server", &server]].concat());
    assert_eq!((code, stderr.as_str()), (1, "\"k\" has no value\n"));
}

#[test]
fn a_compare_and_swap_that_does_not_match_exits_with_1_and_says_what_is_there() {
    let cluster = cluster(1);
    let raft = |arguments: &[&str]| raft(&cluster, 1, arguments);
    let absent = ended(1, "", "not swapped: \"k\" has no value\n");
    assert_eq!(raft(&["cas", "k", "1", "2"]), absent);
    assert_eq!(raft(&["cas", "k", "--absent", "1"]), ended(0, "OK\n", ""));
    let one = ended(1, "", "not swapped: \"k\" has the value \"1\"\n");
    assert_eq!(raft(&["cas", "k", "--absent", "2"]), one);
    assert_eq!(raft(&["cas", "k", "0", "2"]), one);
    assert_eq!(raft(&["cas", "k", "1", "2"]), ended(0, "OK\n", ""));
    assert_eq!(raft(&["get", "k"]), ended(0, "2\n", ""));
}

#[test]
fn bad_arguments_exit_with_2_and_say_what_would_be_right() {
    for (arguments, says) in [
        (&["cas", "k", "2"][..], "--absent"),
        (&["cas", "k", "1", "2", "--absent"], "--absent"),
        (&["put", "k"], "VALUE"),
        (&["transfer"], "TO"),
        (&["transfer", "two"], "invalid digit"),
        (&["get", "k", "--server", "localhost"], "127.0.0.1:7001"),
        (&["get", "k", "--timeout", "5"], "units ms, s, m"),
        (&["get", "k", "--server", "127.0.0.1:0"], "no server is at port 0"),
        (&["get", "k", "--cluster", ""], "--cluster"),
        (&["get", "k", "--retry", "5"], "from 10 to 60000"),
        (&["get", "k", "--retry", "1s"], "from 10 to 60000"),
        (&["get", "k", "--server", "127.0.0.1:1", "--server", "[::1]:1"], "IPv6"),
    ] {
        let (code, stdout, stderr) = run(arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(stderr.contains(says), "{arguments:?}: {stderr}");
    }
}

#[test]
fn what_cannot_be_done_exits_with_2_and_says_whether_it_may_have_been() {
    let cluster = cluster(3);
    let (code, _, stderr) = raft(&cluster, 1, &["put", "k", &"v".repeat(40_000)]);
    assert_eq!(code, 2);
    assert!(stderr.contains("at most 32") && stderr.contains("no effect"), "{stderr}");

    let leader = cluster.leader();
    for server in cluster.servers() {
        cluster.set_faults(server, if server == leader { Faults::NONE } else { Faults::CUT });
    }
    // The leader cannot commit, so it opens no session.
    let address = cluster.address(leader).to_string();
    let arguments = ["put", "k", "v", "--cluster", CLUSTER, "--server", &address];
    let (code, _, stderr) = run(&[&arguments[..], &["--timeout", "500ms"]].concat());
    assert_eq!(code, 2);
    assert!(stderr.contains("was not sent and has no effect"), "{stderr}");

    let arguments = ["get", "k", "--cluster", "another", "--server", &address];
    let (code, _, stderr) = run(&[&arguments[..], &["--timeout", "300ms"]].concat());
    assert_eq!(code, 2);
    assert!(stderr.contains("\"another\"") && stderr.contains("cluster's name"), "{stderr}");
}

#[test]
fn the_leadership_is_handed_to_the_server_that_is_named() {
    let cluster = cluster(3);
    for to in [1, 2, 3, 1] {
        let leads = ended(0, &format!("server {to} leads\n"), "");
        assert_eq!(raft(&cluster, 2, &["transfer", &to.to_string()]), leads);
        assert_eq!(cluster.leader(), to);
        assert_eq!(raft(&cluster, 3, &["transfer", &to.to_string()]), leads, "it leads already");
        assert_eq!(raft(&cluster, 2, &["put", "k", "v"]), ended(0, "OK\n", ""));
    }
    let stranger = "error: the cluster has no server 7: its servers are 1, 2, 3\n";
    assert_eq!(raft(&cluster, 2, &["transfer", "7"]), ended(2, "", stranger));
    assert_eq!(cluster.leader(), 1);

    let address = cluster.address(1).to_string();
    let line = ["transfer", "2", "--server", &address, "--timeout=300ms", "--cluster", "another"];
    let (code, _, stderr) = run(&line);
    assert_eq!(code, 2);
    assert!(stderr.contains("\"another\"") && stderr.contains("cluster's name"), "{stderr}");
    assert_eq!(cluster.leader(), 1);
}

#[test]
fn a_transfer_to_a_server_that_is_down_is_given_up_and_one_without_a_leader_says_what_to_look_at() {
    let mut cluster = cluster(3);
    let leader = cluster.leader();
    let (down, left) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    cluster.stop(down).expect("a clean stop");
    let (code, stdout, stderr) = raft(&cluster, left, &["transfer", &down.to_string()]);
    assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
    for says in [&format!("given up handing over to server {down}")[..], "`raft status` tells"] {
        assert!(stderr.contains(says), "{stderr}");
    }
    assert_eq!(raft(&cluster, left, &["put", "k", "v"]), ended(0, "OK\n", ""));

    cluster.stop(leader).expect("a clean stop");
    let address = cluster.address(left).to_string();
    let (to, options) = (left.to_string(), ["--cluster", CLUSTER, "--timeout=2s"]);
    let line = [&["transfer", &to, "--server", &address], &options[..]].concat();
    let (code, stdout, stderr) = run(&line);
    assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
    let says = format!("server {left} has not been seen to lead within 2s; it may yet take over");
    for says in [&says[..], "is a majority of them running?"] {
        assert!(stderr.contains(says), "{stderr}");
    }
}

#[test]
fn status_shows_every_server_and_marks_the_unreachable_ones() {
    let mut cluster = cluster(3);
    raft(&cluster, 1, &["put", "k", "v"]);
    let leader = cluster.leader();
    let gone = cluster.servers().find(|server| *server != leader).expect("three servers");
    cluster.stop(gone).expect("a clean stop");
    let address = cluster.address(leader).to_string();
    let arguments = ["status", "--cluster", CLUSTER, "--server", &address, "--timeout", "2s"];
    let (code, table, _) = run(&arguments);
    assert_eq!(code, 0);
    for server in cluster.servers() {
        let address = cluster.address(server).to_string();
        let row = table.lines().find(|line| line.contains(&address)).expect("a row");
        assert_eq!(row.contains("unreachable"), server == gone, "{table}");
        assert_eq!(row.contains("leader"), server == leader, "{table}");
    }
    let (code, text, _) = run(&[&arguments[..], &["--json"]].concat());
    assert_eq!(code, 0);
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let servers = report["servers"].as_array().expect("a list");
    assert_eq!(servers.len(), 3);
    for (id, server) in (1..).zip(servers) {
        assert_eq!(server["id"], json!(id));
        assert_eq!(server["address"], json!(cluster.address(id)));
        assert_eq!(server["reachable"], json!(id != gone));
        assert_eq!(server["term"].is_null(), id == gone);
        assert_eq!(
            server["progress"].as_array().map_or(0, Vec::len),
            2 * usize::from(id == leader)
        );
    }
}

/// Watches the cluster for two looks, then presses Ctrl-C. Returns what was printed.
fn watched(cluster: &Cluster<Kv>, end_of_look: &str, more: &[&str]) -> String {
    let address = cluster.address(1).to_string();
    let mut command = program::raft(["status", "--watch", "--cluster", CLUSTER]);
    command.args(["--server", &address]).args(more);
    let watch = Process::start(command);
    let looks = || watch.printed().matches(end_of_look).count();
    wait_for("two looks", || (looks() >= 2).then_some(()));
    watch.signal("INT");
    let ended = watch.end();
    assert_eq!((ended.status.code(), ended.err.as_str()), (Some(0), ""));
    ended.out
}

#[test]
fn a_watched_status_is_appended_look_by_look_until_ctrl_c() {
    let cluster = cluster(1);
    let tables = watched(&cluster, " server ", &[]);
    assert!(!tables.contains('\x1b'), "it is no terminal: {tables}");
    let lines = watched(&cluster, "\n", &["--json"]);
    for line in lines.lines() {
        let report: Value = serde_json::from_str(line).expect("each line is JSON");
        assert_eq!(report["servers"][0]["reachable"], json!(true), "{line}");
    }
    // Nobody answers yet, which is no reason to stop looking.
    let line = ["--server", "127.0.0.1:1", "--timeout", "200ms", "--json"];
    let mut command = program::raft(["status", "--watch"]);
    command.args(line);
    let watch = Process::start(command);
    wait_for("two looks", || (watch.printed().lines().count() >= 2).then_some(()));
    let ended = watch.stop();
    assert!(ended.out.contains("\"reachable\":false"), "{ended:?}");
}

#[test]
fn status_of_nobody_still_lists_the_addresses_and_exits_with_2() {
    let arguments = ["status", "--server", "127.0.0.1:1", "--timeout", "200ms", "--json"];
    let (code, stdout, stderr) = run(&arguments);
    assert_eq!(code, 2);
    let report: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(report["servers"][0]["address"], json!("127.0.0.1:1"));
    assert_eq!(report["servers"][0]["reachable"], json!(false));
    assert!(stderr.contains("no server of cluster \"raft\" answered"), "{stderr}");
}

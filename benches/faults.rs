//! Faults in figures: what a cluster of `raft node` processes serves on bad networks and slow disks.
//!
//! `cargo bench --bench faults` measures all rows, with `-- ROW..` some. The environment variable
//! `RAFT` names another program to measure; `BEFORE` names this benchmark as an older commit built it,
//! and both are measured by turns. `.ci/faults COMMIT` does all of that.

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/faults/rig/mod.rs"]
mod rig;

use bytes::Bytes;
use rig::{Fleet, Plan, Quality, fill, flood, now, pass_time, seconds, serve, world};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

struct Row {
    name: &'static str,
    what: &'static str,
    measure: fn() -> String,
}

/// The rows that are measured.
const ROWS: [Row; 21] = [
    row("healthy", "no fault, 4 clients, 10 s", healthy),
    row("loss", "10 % loss between servers, a follower 5,000 entries behind, 20 s", || loss(5000)),
    row("loss-level", "10 % loss between servers, nobody behind, 20 s", || loss(32)),
    row("narrow", "a link of 1 Mbit/s to a follower 5,000 entries behind, 40 s", narrow),
    row("down", "a follower that is down, 1,000 entries behind", down),
    row("unfragmented", "fragments dropped, a follower 5,000 entries behind", unfragmented),
    row("stopped", "three servers, a follower stopped for 1 s, 20 times", || stopped(3, 1)),
    row("stopped-4", "five servers, all followers stopped for 1 s, 20 times", || stopped(5, 4)),
    row("frozen", "all servers stopped for 2 s, 5 times", frozen),
    row("sync-50", "syncs of 50 ms on all, 25 s", || slow(50, &[])),
    row("sync-100", "syncs of 100 ms on all, 25 s", || slow(100, &[])),
    row("sync-150", "syncs of 150 ms on all, 25 s", || slow(150, &[])),
    row("sync-500", "syncs of 500 ms on all, timeouts of 2 to 4 s, 25 s", || slow(500, &PATIENT)),
    row("compaction", "100 MB of commands of 30 kB, 8 clients", compaction),
    row("restart", "all killed and started with 200,000 entries", restart),
    row("deaf-leader", "five servers, the leader hears none for 10 s", deaf_leader),
    row("deaf-follower", "three servers, a follower hears none for 4 s, 5 times", deaf_follower),
    row("replaced", "five servers, the leader hears none, 20 times", replaced),
    row("inspected-30000", "30,000 inspections a second of the leader, 10 s", || inspected(30_000)),
    row("inspected-70000", "70,000 inspections a second of the leader, 10 s", || inspected(70_000)),
    row("powerless", "no follower, 50 clients put 30 kB each for 20 s", powerless),
];

/// For disks that take half a second.
const PATIENT: [&str; 4] = ["--election-timeout", "2000..4000", "--heartbeat", "200"];

const fn row(name: &'static str, what: &'static str, measure: fn() -> String) -> Row {
    Row { name, what, measure }
}

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    if let [flag, row] = &arguments[..]
        && flag == "--row"
    {
        return println!("{}", row_of(row));
    }
    // `cargo test --benches` runs benchmarks, too, to see that they run.
    let is_test = !arguments.iter().any(|argument| argument == "--bench");
    let wanted: Vec<_> = arguments.iter().filter(|it| !it.starts_with('-')).collect();
    let is_wanted = |row: &&Row| {
        if is_test {
            row.name == "down"
        } else {
            wanted.is_empty() || wanted.iter().any(|it| *it == row.name)
        }
    };
    let this = env::current_exe().expect("this program has a path");
    let before = env::var_os("BEFORE").map(PathBuf::from);
    println!("| row | what | {}this |", if before.is_some() { "before | " } else { "" });
    println!("|---|---|---|{}", if before.is_some() { "---|" } else { "" });
    for Row { name, what, .. } in ROWS.iter().filter(is_wanted) {
        let before = before.as_deref().map(|program| format!("{} | ", measured(program, name)));
        println!("| {name} | {what} | {}{} |", before.unwrap_or_default(), measured(&this, name));
    }
}

/// The figures of a row by a program, this or an older one, in a process of its own.
fn measured(program: &Path, row: &str) -> String {
    let output = Command::new(program).args(["--row", row]).output().expect("it runs");
    let [figures, log] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    eprint!("{log}");
    if output.status.success() { figures.trim().to_owned() } else { "failed".to_owned() }
}

/// The figures of a row, in a world of its own where one can be made.
fn row_of(name: &str) -> String {
    if !world::is_inside()
        && let Ok(mut again) = world::command()
    {
        let output = again.args(["--row", name]).output().expect("it runs");
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{name} cannot be measured");
        return String::from_utf8_lossy(&output.stdout).trim().to_owned();
    }
    let row = ROWS.iter().find(|row| row.name == name);
    (row.unwrap_or_else(|| panic!("there is no row {name}")).measure)()
}

/// Three servers, and a follower of them that was down while so many entries came. It still is.
fn one_behind(entries: usize) -> (Fleet, u64) {
    let mut fleet = Fleet::bootstrap(Plan::default());
    let follower = fleet.follower();
    fleet.kill(follower);
    fill(&fleet, entries, 100);
    (fleet, follower)
}

fn loss(entries: usize) -> String {
    let (mut fleet, follower) = one_behind(entries);
    let term = fleet.term();
    fleet.set_all(Quality::lossy(0.1));
    fleet.start(follower, &[]);
    let served = serve(&fleet, 4, 100, seconds(20));
    let terms = fleet.term() - term;
    let caught_up = within(2, || fleet.is_caught_up(follower));
    let behind = if caught_up.is_some() { "" } else { ", still behind" };
    format!("{terms} terms, {served}{behind}")
}

fn narrow() -> String {
    let (mut fleet, follower) = one_behind(5000);
    let term = fleet.term();
    fleet.set_around(follower, Quality::narrow(1_000_000));
    fleet.start(follower, &[]);
    let served = serve(&fleet, 4, 100, seconds(40));
    format!("{} terms, {served}", fleet.term() - term)
}

fn down() -> String {
    let (fleet, follower) = one_behind(1000);
    let before = fleet.traffic_to(follower);
    pass_time(seconds(5));
    let after = fleet.traffic_to(follower);
    let each_second = |count: u64| count as f64 / 5.0;
    format!(
        "{:.1} kB/s in {:.0} packets",
        each_second(after.bytes - before.bytes) / 1000.0,
        each_second(after.packets - before.packets)
    )
}

fn unfragmented() -> String {
    let (mut fleet, follower) = one_behind(5000);
    let term = fleet.term();
    fleet.set_all(Quality::UNFRAGMENTED);
    fleet.start(follower, &[]);
    let caught_up = within(60, || fleet.is_caught_up(follower));
    let terms = fleet.term() - term;
    caught_up.map_or_else(
        || format!("not caught up in 60 s, {terms} terms"),
        |time| format!("caught up in {:.1} s, {terms} terms", time.as_secs_f64()),
    )
}

fn stopped(servers: u64, at_once: usize) -> String {
    let fleet = Fleet::bootstrap(Plan { servers, ..Plan::default() });
    fleet.leader();
    let term = fleet.term();
    let mut deposed = 0;
    for _ in 0..20 {
        let leader = fleet.leader();
        let followers = &fleet.others(leader)[..at_once];
        fleet.pause(followers);
        pass_time(seconds(1));
        fleet.resume(followers);
        pass_time(seconds(1));
        deposed += u32::from(fleet.leader() != leader);
    }
    format!("another leader {deposed} times, {} terms", fleet.term() - term)
}

fn frozen() -> String {
    let fleet = Fleet::bootstrap(Plan::default());
    fleet.leader();
    let term = fleet.term();
    for _ in 0..5 {
        fleet.pause(&fleet.servers());
        pass_time(seconds(2));
        fleet.resume(&fleet.servers());
        fleet.leader();
    }
    format!("{} terms", fleet.term() - term)
}

fn slow(millis: u64, options: &'static [&'static str]) -> String {
    let each_sync = Duration::from_millis(millis);
    let fleet = Fleet::bootstrap(Plan { options, each_sync, ..Plan::default() });
    let (leader, served) = thread::scope(|scope| {
        let served = scope.spawn(|| serve(&fleet, 4, 100, seconds(25)));
        let leader = within(25, || fleet.leader_now().is_some());
        (leader, served.join().expect("it does not panic"))
    });
    let leader = leader.map_or_else(
        || "no leader".to_owned(),
        |time| format!("a leader after {:.1} s", time.as_secs_f64()),
    );
    format!("{leader}, {} terms, {served}", fleet.term())
}

fn compaction() -> String {
    let fleet = Fleet::bootstrap(Plan::default());
    fleet.leader();
    let (term, start) = (fleet.term(), now());
    let (mut commands, mut longest) = (0, Duration::ZERO);
    while commands < 3400 && start.elapsed() < seconds(120) {
        let served = serve(&fleet, 8, 30_000, seconds(5));
        commands += served.commands;
        longest = longest.max(served.longest_pause);
    }
    let terms = fleet.term() - term;
    format!(
        "{terms} terms, {} MB, longest pause {:.1} s",
        commands * 30 / 1000,
        longest.as_secs_f64()
    )
}

fn restart() -> String {
    let mut fleet = Fleet::bootstrap(Plan::default());
    fleet.leader();
    let start = now();
    let mut entries = 0;
    while entries < 200_000 && start.elapsed() < seconds(180) {
        entries += serve(&fleet, 64, 20, seconds(5)).commands;
    }
    let term = fleet.term();
    for server in fleet.servers() {
        fleet.kill(server);
    }
    for server in fleet.servers() {
        fleet.start(server, &[]);
    }
    let serves = || fleet.try_client(seconds(1)).is_ok_and(|mut kv| kv.get("").is_ok());
    let time = within(120, serves);
    let terms = fleet.term() - term;
    time.map_or_else(
        || format!("{entries} entries: no service in 120 s, {terms} terms"),
        |time| {
            format!("{entries} entries: served after {:.1} s, {terms} terms", time.as_secs_f64())
        },
    )
}

fn deaf_leader() -> String {
    deaf(5, 1, seconds(10), Fleet::leader)
}

fn deaf_follower() -> String {
    deaf(3, 5, seconds(4), Fleet::follower)
}

/// Counts the commands that the cluster serves while a server is deaf, and while none is. The two take
/// turns, so whatever else the machine does falls on both.
fn deaf(servers: u64, turns: u32, turn: Duration, choose: fn(&Fleet) -> u64) -> String {
    let fleet = Fleet::bootstrap(Plan { servers, ..Plan::default() });
    fleet.leader();
    let term = fleet.term();
    let count = || serve(&fleet, 4, 100, turn).commands;
    let (mut healthy, mut deaf, mut again) = (0, 0, Duration::ZERO);
    for _ in 0..turns {
        let server = choose(&fleet);
        healthy += count();
        fleet.set_to(server, Quality::CUT);
        deaf += count();
        fleet.set_to(server, Quality::PERFECT);
        let is_served = || fleet.try_client(seconds(1)).is_ok_and(|mut kv| kv.get("").is_ok());
        again = again.max(within(30, is_served).expect("it serves again"));
        within(30, || fleet.is_caught_up(server)).expect("it catches up");
    }
    let rate = |commands: usize| commands as f64 / (turn * turns).as_secs_f64();
    format!(
        "{:.0} commands a second instead of {:.0} ({:.0} %), {} terms, serves {:.1} s after",
        rate(deaf),
        rate(healthy),
        100.0 * rate(deaf) / rate(healthy),
        fleet.term() - term,
        again.as_secs_f64()
    )
}

fn replaced() -> String {
    let fleet = Fleet::bootstrap(Plan { servers: 5, ..Plan::default() });
    let mut times = Vec::new();
    for _ in 0..20 {
        let deaf = fleet.leader();
        fleet.set_to(deaf, Quality::CUT);
        let is_replaced = || fleet.leader_now().is_some_and(|leader| leader != deaf);
        let Some(time) = within(10, is_replaced) else {
            return "no other leader in 10 s".to_owned();
        };
        times.push(time.as_secs_f64());
        fleet.set_to(deaf, Quality::PERFECT);
        let followers = || fleet.statuses().iter().filter(|it| it.role == "follower").count();
        within(30, || followers() == 4).expect("all follow the other leader");
    }
    times.sort_by(f64::total_cmp);
    format!("another leader after {:.2} s (median), {:.2} s (longest)", times[10], times[19])
}

fn inspected(each_second: u32) -> String {
    let fleet = Fleet::bootstrap(Plan::default());
    let (leader, term) = (fleet.leader(), fleet.term());
    let served = thread::scope(|scope| {
        scope.spawn(|| flood(&fleet, leader, each_second, seconds(10)));
        serve(&fleet, 1, 100, seconds(10))
    });
    format!("{} terms, {served}", fleet.term() - term)
}

fn powerless() -> String {
    let mut fleet = Fleet::bootstrap(Plan::default());
    let leader = fleet.leader();
    let clients = 50;
    let value = Bytes::from(vec![7; 30_000]);
    let length = |fleet: &Fleet| {
        let log = fleet.path(leader, "data").join("log").metadata();
        log.map_or(0, |log| log.len())
    };
    let mut kvs: Vec<_> = (0..clients)
        .map(|_| {
            let mut kv = fleet.try_client(seconds(20)).expect("a server answers");
            // Opens the session, which takes a majority.
            kv.get("").expect("a healthy cluster is_served");
            kv
        })
        .collect();
    for follower in fleet.others(leader) {
        fleet.kill(follower);
    }
    let before = length(&fleet);
    thread::scope(|scope| {
        for (client, kv) in kvs.iter_mut().enumerate() {
            let value = value.clone();
            // It cannot succeed.
            scope.spawn(move || drop(kv.put(format!("{client}"), value)));
        }
    });
    let bytes = length(&fleet).saturating_sub(before);
    format!("the leader's log grows by {:.1} MB", bytes as f64 / 1e6)
}

fn healthy() -> String {
    let fleet = Fleet::bootstrap(Plan::default());
    fleet.leader();
    serve(&fleet, 4, 100, seconds(10)).to_string()
}

/// After how long it was so, if it was within so many seconds.
fn within(limit: u64, mut is_so: impl FnMut() -> bool) -> Option<Duration> {
    let start = now();
    while start.elapsed() < seconds(limit) {
        if is_so() {
            return Some(start.elapsed());
        }
        pass_time(Duration::from_millis(50));
    }
    None
}

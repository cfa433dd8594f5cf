//! Snapshots in figures, on three `raft node` processes on this machine: what taking them costs, how much
//! room a server needs however long it runs, and how a server that lacks everything catches up.
//!
//! `cargo bench --bench snapshots` measures all three, with `-- cost`, `-- room` and `-- catch-up` some.

#[path = "../tests/common/mod.rs"]
mod common;

use bytes::Bytes;
use checked_raft::client::{KvClient, ServerStatus};
use checked_raft::raft::Message;
use checked_raft::runtime::wire::{self, Body};
use common::processes::Processes;
use std::env;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const NEVER: &[&str] = &["--snapshot-after", "0"];
const MB: f64 = 1e6;

/// How much is measured.
struct Scale {
    /// Rounds of `cost`, and how long each lasts.
    rounds: usize,
    round: Duration,
    /// The puts of `room`, and how long they may take at most.
    puts: u64,
    patience: Duration,
    /// The keys of `catch-up`, each with a value of a KiB.
    keys: u64,
    snapshots: &'static [&'static str],
}

/// A state of 256 MiB, and the usual settings.
const FULL: Scale = Scale {
    rounds: 4,
    round: Duration::from_secs(8),
    puts: 3_000_000,
    patience: Duration::from_mins(8),
    keys: 256 * 1024,
    snapshots: &[],
};

/// Whether it runs at all.
const QUICK: Scale = Scale {
    rounds: 1,
    round: Duration::from_millis(100),
    puts: 300,
    patience: Duration::from_secs(20),
    keys: 200,
    snapshots: &["--snapshot-after", "50", "--snapshot-margin", "10"],
};

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    // `cargo test --benches` runs benchmarks, too, to see that they run.
    let scale = if arguments.iter().any(|it| it == "--bench") { FULL } else { QUICK };
    let wanted: Vec<_> = arguments.iter().filter(|it| !it.starts_with('-')).collect();
    let is_wanted = |row: &str| wanted.is_empty() || wanted.iter().any(|it| *it == row);
    if is_wanted("cost") {
        cost(&scale);
    }
    if is_wanted("room") {
        room(&scale);
    }
    if is_wanted("catch-up") {
        catch_up(&scale);
    }
}

fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "other processes take their time")]
fn pass(time: Duration) {
    thread::sleep(time);
}

// ---- what it costs to take snapshots ----

/// Puts of 100 bytes by 64 clients, with snapshots and without by turns. What else the machine does hits
/// both alike.
fn cost(scale: &Scale) {
    let mut latencies = [Vec::new(), Vec::new()];
    let mut rates = [Vec::new(), Vec::new()];
    for number in 0..scale.rounds {
        for turn in 0..2 {
            // The first of a round is not always the same one.
            let kind = (number + turn) % 2;
            let options = [NEVER, scale.snapshots][kind];
            let round = puts_by_many(options, scale.round);
            rates[kind].push(round.len() as f64 / scale.round.as_secs_f64());
            latencies[kind].extend(round);
        }
    }
    println!("puts of 100 bytes by 64 clients, {} rounds by turns:", scale.rounds);
    let mut medians = [0.0, 0.0];
    for (kind, name) in ["no snapshots", "one every 10,000 entries"].into_iter().enumerate() {
        let (rates, latencies) = (&mut rates[kind], &mut latencies[kind]);
        rates.sort_by(f64::total_cmp);
        latencies.sort();
        medians[kind] = rates[rates.len() / 2];
        let at = |permille: usize| latencies[(latencies.len() - 1) * permille / 1000];
        println!(
            "  {name:<24} {:>7.0} puts/s ({:.0} to {:.0})  p50 {:.2?}  p99 {:.2?}  p99.9 {:.2?}  \
             max {:.0?}",
            medians[kind],
            rates[0],
            rates[rates.len() - 1],
            at(500),
            at(990),
            at(999),
            at(1000)
        );
    }
    println!("  throughput with snapshots: {:.2} of that without", medians[1] / medians[0]);
}

/// How long each put took.
fn puts_by_many(options: &[&str], time: Duration) -> Vec<Duration> {
    const CLIENTS: usize = 64;
    let folder = folder();
    let processes = Processes::bootstrap(folder.path(), false, options);
    let start = Barrier::new(CLIENTS);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (mut kv, start) = (processes.client(), &start);
                // Opens the session.
                kv.get("").expect("a result");
                scope.spawn(move || {
                    start.wait();
                    puts_for(client, &mut kv, time / 4);
                    puts_for(client, &mut kv, time)
                })
            })
            .collect();
        threads.into_iter().flat_map(|it| it.join().expect("no panic")).collect()
    })
}

fn puts_for(client: usize, kv: &mut KvClient, time: Duration) -> Vec<Duration> {
    let (end, value) = (now() + time, Bytes::from(vec![7; 100]));
    let mut latencies = Vec::new();
    for number in 0.. {
        let start = now();
        if start >= end {
            break;
        }
        kv.put(format!("{client}.{}", number % 1000), value.clone()).expect("a result");
        latencies.push(start.elapsed());
    }
    latencies
}

// ---- how much room a server needs ----

/// Puts of 256 bytes onto 10,000 keys, by 128 clients.
fn room(scale: &Scale) {
    const CLIENTS: u64 = 128;
    const KEYS: u64 = 10_000;
    let folder = folder();
    let mut processes = Processes::bootstrap(folder.path(), false, scale.snapshots);
    let start = now();
    let (left, done) = (AtomicU64::new(scale.puts), AtomicU64::new(0));
    let most = Mutex::new(Room::default());
    println!("puts of 256 bytes onto {KEYS} keys by {CLIENTS} clients:");
    println!("  after, puts   puts/s   memory, MB   disk, MB   (of the server that needs most)");
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (processes, left, done) = (&processes, &left, &done);
            scope.spawn(move || {
                let mut kv = processes.client();
                let mut keys = (0..KEYS).cycle().skip(usize::try_from(client * 78).expect("few"));
                let is_due = || {
                    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                        left.checked_sub(1)
                    })
                };
                while start.elapsed() < scale.patience && is_due().is_ok() {
                    let key = keys.next().expect("endless").to_string();
                    let number = done.fetch_add(1, Ordering::Relaxed);
                    kv.put(key, format!("{number:256}")).expect("a result");
                }
                left.store(0, Ordering::Relaxed);
            });
        }
        let mut shown = 0;
        let mut last = (now(), 0);
        loop {
            pass(Duration::from_millis(100));
            let number = done.load(Ordering::Relaxed);
            let all = processes.servers().into_iter().map(|server| Room::of(&processes, server));
            let here = all.reduce(Room::max).expect("three servers");
            let mut most = most.lock().expect("no panic");
            *most = Room::max(*most, here);
            let is_over = left.load(Ordering::Relaxed) == 0;
            if is_over || number * 12 / scale.puts > shown {
                shown = number * 12 / scale.puts;
                let (since, before) = std::mem::replace(&mut last, (now(), number));
                let rate = (number - before) as f64 / since.elapsed().as_secs_f64();
                println!("  {number:>11} {rate:>8.0} {here}");
            }
            if is_over {
                break;
            }
        }
    });
    println!("  at most              {}", most.into_inner().expect("no panic"));
    restart(&mut processes);
}

/// Kills all servers and starts them again.
fn restart(processes: &mut Processes) {
    for server in processes.servers() {
        processes.kill(server);
    }
    let start = now();
    for server in processes.servers() {
        processes.start(server);
    }
    let (mut first, mut opened) = (None, 0);
    while opened < 3 {
        opened = processes.servers().into_iter().filter_map(|it| processes.status(it)).count();
        first = first.or((opened > 0).then(|| start.elapsed()));
        pass(Duration::from_millis(5));
    }
    let all = start.elapsed();
    processes.client().get("0").expect("a result");
    println!(
        "  killed and started again: the first answers after {:.2?}, all after {all:.2?}, a get is \
         served after {:.2?}",
        first.expect("all have answered"),
        start.elapsed()
    );
}

/// The room that a server needs, in bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Room {
    memory: u64,
    disk: u64,
}

impl Room {
    fn of(processes: &Processes, server: u64) -> Self {
        let status = format!("/proc/{}/status", processes.process(server));
        let status = fs::read_to_string(status).expect("a running process");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
        let kib = line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
        Self { memory: kib.expect("a number") * 1024, disk: used(&processes.path(server, "data")) }
    }

    fn max(self, other: Self) -> Self {
        Self { memory: self.memory.max(other.memory), disk: self.disk.max(other.disk) }
    }
}

impl std::fmt::Display for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>12.1} {:>10.1}", self.memory as f64 / MB, self.disk as f64 / MB)
    }
}

/// The bytes that the files of a directory take. A file may disappear meanwhile.
fn used(directory: &Path) -> u64 {
    let files = fs::read_dir(directory).expect("a data directory").flatten();
    files.filter_map(|file| file.metadata().ok()).map(|it| it.blocks() * 512).sum()
}

// ---- how a server that lacks everything catches up ----

/// The clients that go on writing.
const WRITERS: u64 = 64;

/// A server is down from the beginning. The others get a large state, and clients go on writing. Then the
/// server comes. Meanwhile a relay before the other follower sees what the leader sends to it, and when.
fn catch_up(scale: &Scale) {
    let folder = folder();
    let mut processes = Processes::bootstrap(folder.path(), false, scale.snapshots);
    let leader = processes.leader();
    let mut others = processes.servers();
    others.retain(|server| *server != leader);
    let [behind, other] = others[..] else { panic!("three servers") };
    processes.kill(behind);
    let start = now();
    fill(&processes, scale.keys);
    println!(
        "a state of {} values of a KiB, put in {:.0?}; a server lacks all, and {WRITERS} clients go on:",
        scale.keys,
        start.elapsed()
    );
    processes.kill(other);
    let (old, new) = processes.relocate(other);
    processes.start(other);
    let relay = Relay::start(old, new);
    let term = settled(&processes, leader, other).term;

    let is_over = AtomicBool::new(false);
    let writes = AtomicU64::new(0);
    thread::scope(|scope| {
        for client in 0..WRITERS {
            let (mut kv, is_over, writes) = (processes.client(), &is_over, &writes);
            scope.spawn(move || {
                for number in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    kv.put(key(number % 1000 + client), "v").expect("a result");
                    writes.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let before = watch(scale.round, &relay, &writes, || false);
        let begin = now();
        processes.start(behind);
        let mut installed = Vec::new();
        let during = watch(Duration::from_mins(5), &relay, &writes, || {
            let leads = processes.status(leader);
            let Some(follows) = processes.status(behind) else { return false };
            let snapshot = follows.snapshot_index;
            // The log starts right behind a snapshot that was installed.
            if snapshot == follows.log_start && snapshot > installed.last().copied().unwrap_or(0) {
                installed.push(snapshot);
            }
            // Clients go on, so it is always a little behind.
            leads.is_some_and(|it| snapshot > 0 && follows.last_applied + 1000 >= it.commit_index)
        });
        let time = begin.elapsed();
        is_over.store(true, Ordering::Relaxed);
        let status = status(&processes, leader);
        println!(
            "  {} after {time:.1?}, by snapshots up to {installed:?}",
            if during.is_over { "caught up" } else { "NOT caught up" }
        );
        println!("  before it came: {before}");
        println!("  meanwhile:      {during}");
        let is_same = status.term == term && status.role == "leader";
        println!("  {}", if is_same { "no election meanwhile" } else { "ELECTIONS meanwhile" });
    });
    println!("                         memory, MB   disk, MB");
    for (name, server) in [("leader", leader), ("follower", other), ("server that came", behind)] {
        println!("  {name:<20} {}", Room::of(&processes, server));
    }
    restart(&mut processes);
}

fn key(number: u64) -> String {
    format!("key.{number:08}")
}

/// Puts a value of a KiB to each of so many keys.
fn fill(processes: &Processes, keys: u64) {
    const CLIENTS: u64 = 128;
    let share =
        |client: u64| -> Range<u64> { client * keys / CLIENTS..(client + 1) * keys / CLIENTS };
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                let mut kv = processes.client();
                for number in share(client) {
                    kv.put(key(number), format!("{number:1024}")).expect("a result");
                }
            });
        }
    });
}

fn status(processes: &Processes, server: u64) -> ServerStatus {
    common::wait_for("a status", || processes.status(server))
}

/// Waits until a follower has all that the leader has committed.
fn settled(processes: &Processes, leader: u64, follower: u64) -> ServerStatus {
    common::wait_for("the other follower", || {
        let status = processes.status(leader).filter(|it| it.role == "leader")?;
        let follows = processes.status(follower)?;
        (follows.last_applied >= status.commit_index).then_some(status)
    })
}

/// What was seen in some time.
struct Seen {
    time: Duration,
    writes: u64,
    gap: Duration,
    is_over: bool,
}

/// Watches until it is over, or for so long.
fn watch(
    limit: Duration,
    relay: &Relay,
    writes: &AtomicU64,
    mut is_over: impl FnMut() -> bool,
) -> Seen {
    let (start, first) = (now(), writes.load(Ordering::Relaxed));
    relay.longest_gap();
    let mut over = false;
    while !over && start.elapsed() < limit {
        pass(Duration::from_millis(20));
        over = is_over();
    }
    let writes = writes.load(Ordering::Relaxed) - first;
    Seen { time: start.elapsed(), writes, gap: relay.longest_gap(), is_over: over }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rate = self.writes as f64 / self.time.as_secs_f64();
        let gap = self.gap;
        write!(
            f,
            "{rate:.0} puts/s; longest gap between two AppendEntries to the follower {gap:.1?}"
        )
    }
}

/// Passes datagrams on to a server, and measures the time between two AppendEntries.
struct Relay {
    is_over: Arc<AtomicBool>,
    /// The moment of the last AppendEntries, and the longest gap before it.
    seen: Arc<Mutex<(Instant, Duration)>>,
}

impl Relay {
    fn start(at: SocketAddr, to: SocketAddr) -> Self {
        let socket = UdpSocket::bind(at).expect("the server that was there has left");
        let tick = Duration::from_millis(100);
        socket.set_read_timeout(Some(tick)).expect("a timeout");
        let (is_over, seen) = (Arc::default(), Arc::new(Mutex::new((now(), Duration::ZERO))));
        let relay = Self { is_over: Arc::clone(&is_over), seen: Arc::clone(&seen) };
        thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while !is_over.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                let datagram = &buffer[..length];
                // The server answers clients that ask here, and they ask again elsewhere.
                if from == to {
                    continue;
                }
                // What cannot be sent is lost.
                let _ = socket.send_to(datagram, to);
                if let Ok(datagram) = wire::decode::<Message>(datagram, |_| Ok(()))
                    && matches!(datagram.body, Body::Peer(Message::AppendEntries(_)))
                {
                    let (last, gap) = &mut *seen.lock().expect("no panic");
                    *gap = last.elapsed().max(*gap);
                    *last = now();
                }
            }
        });
        relay
    }

    /// The longest gap since this was last asked.
    fn longest_gap(&self) -> Duration {
        let (last, gap) = &mut *self.seen.lock().expect("no panic");
        // One that has not ended yet counts as well.
        std::mem::take(gap).max(last.elapsed())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

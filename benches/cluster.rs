//! Puts and gets on three servers on this machine, each a process with a durable store: how many a second, and
//! how long one takes, for one client and for many at once. Gets are done twice: without an entry of the log, and
//! through the log.

#[path = "../tests/common/mod.rs"]
mod common;

use bytes::Bytes;
use checked_raft::client::{ClientError, KvClient};
use common::processes::Processes;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of a value.
const VALUE: usize = 100;

/// What the clients do, over and over.
#[derive(Clone, Copy, PartialEq)]
enum Work {
    Put,
    /// A get without an entry of the log.
    Read,
    /// A get through the log.
    ReadThroughLog,
}

fn main() {
    // `cargo test --benches` runs benchmarks, too, to see that they run.
    let is_test = !std::env::args().any(|argument| argument == "--bench");
    let (warm_up, measured) = if is_test { (50, 100) } else { (2000, 10_000) };
    let times = (Duration::from_millis(warm_up), Duration::from_millis(measured));
    for clients in [1, 64] {
        run(Work::Put, clients, times);
    }
    for clients in [1, 64, 256] {
        let through_log = run(Work::ReadThroughLog, clients, times);
        let read = run(Work::Read, clients, times);
        println!("  gets without an entry to gets through the log: {:.1}", read / through_log);
    }
}

/// Prints a row and returns how many a second.
fn run(work: Work, clients: usize, (warm_up, measured): (Duration, Duration)) -> f64 {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let processes = Processes::bootstrap(folder.path(), false, &[]);
    let start = Barrier::new(clients);
    let mut latencies: Vec<Duration> = thread::scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|client| {
                let (mut kv, start) = (processes.client(), &start);
                // Opens the session.
                kv.put(key(client, 0), value()).expect("a result");
                scope.spawn(move || {
                    start.wait();
                    operations(work, client, &mut kv, warm_up);
                    operations(work, client, &mut kv, measured)
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    latencies.sort();
    let rate = latencies.len() as f64 / measured.as_secs_f64();
    let percentile = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
    let what = match work {
        Work::Put => "replicated puts",
        Work::Read => "gets without an entry",
        Work::ReadThroughLog => "gets through the log",
    };
    println!(
        "{what:<22} of {VALUE} bytes, {clients:>3} clients: {rate:>8.0} a second  \
         p50 {:>9.3?}  p99 {:>9.3?}  max {:>9.3?}",
        percentile(50),
        percentile(99),
        percentile(100)
    );
    rate
}

/// Works until the time is over. How long each operation has taken.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn operations(work: Work, client: usize, kv: &mut KvClient, time: Duration) -> Vec<Duration> {
    let end = Instant::now() + time;
    let mut latencies = Vec::new();
    for number in 0.. {
        let start = Instant::now();
        if start >= end {
            break;
        }
        once(work, client, number, kv).expect("a result");
        latencies.push(start.elapsed());
    }
    latencies
}

fn once(work: Work, client: usize, number: u64, kv: &mut KvClient) -> Result<(), ClientError> {
    match work {
        Work::Put => kv.put(key(client, number % 1000), value()),
        Work::Read => kv.get(key(client, 0)).map(drop),
        Work::ReadThroughLog => kv.get_through_log(key(client, 0)).map(drop),
    }
}

fn key(client: usize, number: u64) -> Bytes {
    format!("{client}.{number}").into()
}

fn value() -> Bytes {
    vec![7; VALUE].into()
}

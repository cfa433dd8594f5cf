//! Replicated puts on three servers on this machine, each a process with a durable store: how many
//! a second, and how long one takes, for one client and for many at once.

#[path = "../tests/common/mod.rs"]
mod common;

use bytes::Bytes;
use checked_raft::client::KvClient;
use common::processes::Processes;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of a value.
const VALUE: usize = 100;

fn main() {
    // `cargo test --benches` runs benchmarks, too, to see that they run.
    let is_test = !std::env::args().any(|argument| argument == "--bench");
    let (warm_up, measured) = if is_test { (50, 100) } else { (2000, 10_000) };
    for clients in [1, 64] {
        run(clients, Duration::from_millis(warm_up), Duration::from_millis(measured));
    }
}

fn run(clients: usize, warm_up: Duration, measured: Duration) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let processes = Processes::bootstrap(folder.path(), false, &[]);
    let start = Barrier::new(clients);
    let mut latencies: Vec<Duration> = thread::scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|client| {
                let (mut kv, start) = (processes.client(), &start);
                // Opens the session.
                kv.get("").expect("a result");
                scope.spawn(move || {
                    start.wait();
                    puts(client, &mut kv, warm_up);
                    puts(client, &mut kv, measured)
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    latencies.sort();
    let rate = latencies.len() as f64 / measured.as_secs_f64();
    let percentile = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
    println!(
        "replicated puts of {VALUE} bytes, {clients:>2} clients: {rate:>8.0} puts/s  \
         p50 {:>9.3?}  p99 {:>9.3?}  max {:>9.3?}",
        percentile(50),
        percentile(99),
        percentile(100)
    );
}

/// Puts until the time is over. How long each has taken.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn puts(client: usize, kv: &mut KvClient, time: Duration) -> Vec<Duration> {
    let (end, value) = (Instant::now() + time, Bytes::from(vec![7; VALUE]));
    let mut latencies = Vec::new();
    for number in 0.. {
        let start = Instant::now();
        if start >= end {
            break;
        }
        let key = format!("{client}.{}", number % 1000);
        kv.put(key, value.clone()).expect("a result");
        latencies.push(start.elapsed());
    }
    latencies
}

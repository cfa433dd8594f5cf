//! What faults are made with: a network whose links lose, delay, choke and cut; slow and small disks;
//! processes that are stopped and killed; and clients that count what they are served.
//!
//! Servers are processes of the `raft` program, of the one just built or of the one that the environment
//! variable `RAFT` names.
#![allow(dead_code, unused_imports, reason = "the tests and the benchmark use a part each")]

mod clients;
mod disk;
mod fleet;
mod link;
mod loopback;
#[cfg(target_os = "linux")]
mod namespaces;
mod network;
mod switch;
pub(crate) mod world;

pub(crate) use clients::{ask, fill, flood, serve};
pub(crate) use fleet::{Fleet, Plan};
pub(crate) use link::Quality;

use std::time::{Duration, Instant};

#[expect(clippy::disallowed_methods, reason = "links and clients are told by the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Lets a fault last.
#[expect(clippy::disallowed_methods, reason = "how long a fault lasts is what is tried")]
pub(crate) fn pass_time(duration: Duration) {
    std::thread::sleep(duration);
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

//! Faults that use meets, on real processes: bad links, slow and full disks, stopped processes.
//!
//! Each scenario runs in a world of its own: new namespaces of network, mounts and processes, with a
//! switch in user space between its servers. Where none can be made it says so, and loopback addresses
//! take the place of the namespaces. What takes long or is a matter of degree is measured by
//! `cargo bench --bench faults` instead.

#[path = "../common/mod.rs"]
mod common;
mod disks;
mod elections;
mod links;
mod processes;
mod rig;

use checked_raft::client::{ClientError, KvClient};
use rig::{Fleet, world};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Longer than the default, so that a loaded machine is not taken for a bad link.
const PATIENT: &[&str] = &["--election-timeout", "300..600", "--heartbeat", "50"];

/// Runs a scenario in a world of its own, which is this program again, or in this process where no
/// world can be made. `test` is the test's name with its module.
fn in_a_world(test: &str, scenario: impl FnOnce()) {
    // Two clusters at once would be each other's slow machine.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if world::is_inside() {
        return scenario();
    }
    match world::command() {
        Ok(command) => run_again(command, test),
        Err(reason) => {
            eprintln!("{test}: not in a world of its own: {reason}");
            scenario();
        }
    }
}

fn run_again(mut command: Command, test: &str) {
    let output = command.args(["--exact", test, "--nocapture"]).output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    eprint!("{said}");
}

/// A value as it is read, if anybody serves it within this time.
fn read(
    fleet: &Fleet,
    key: &'static str,
    timeout: Duration,
) -> Result<Option<String>, ClientError> {
    let mut kv: KvClient = fleet.try_client(timeout)?;
    let value = kv.get(key)?;
    Ok(value.map(|value| String::from_utf8_lossy(&value).into_owned()))
}

/// Waits until a value is served. It must be this one.
#[track_caller]
fn assert_reads(fleet: &Fleet, key: &'static str, value: &str) {
    let found =
        common::wait_for("somebody who serves", || read(fleet, key, Duration::from_secs(5)).ok());
    assert_eq!(found.as_deref(), Some(value), "an acknowledged write is lost");
}

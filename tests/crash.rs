//! Real processes: `raft node`, killed and started again while clients work.

mod common;

use common::history::Recorder;
use common::load::{EndOnDrop, Load, read_all};
use common::processes::Processes;
use common::wait_for;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use tempfile::TempDir;

const CLIENTS: u64 = 4;
const KILLS: u64 = 5;
const PUTS: u64 = 200;
/// Puts while a server is down for a while. Each goes with one or two other commands.
const WHILE_DOWN: u64 = 50;

/// Kills the leader again and again, at random moments of the clients' work, and starts it again,
/// now at once, now after the others have elected another. One is down for a while. In the end all are killed
/// at once.
fn kill_leaders(processes: &mut Processes, puts_ended: &AtomicU64, random: &mut StdRng) {
    for kill in 1..=KILLS {
        let puts = kill * PUTS / (KILLS + 1) + random.random_range(0..PUTS / 10);
        wait_for("the clients' work", || {
            (puts_ended.load(Ordering::Relaxed) >= puts).then_some(())
        });
        let leader = processes.leader();
        processes.kill(leader);
        if kill == KILLS / 2 {
            let puts = puts_ended.load(Ordering::Relaxed) + WHILE_DOWN;
            wait_for("the others' work", || {
                (puts_ended.load(Ordering::Relaxed) >= puts).then_some(())
            });
        } else if random.random() {
            processes.leader();
        }
        processes.start(leader);
    }
    wait_for("all puts", || (puts_ended.load(Ordering::Relaxed) >= PUTS).then_some(()));
    for server in processes.servers() {
        processes.kill(server);
    }
    for server in processes.servers() {
        processes.start(server);
    }
}

#[test]
fn acknowledged_writes_survive_killed_leaders_and_what_clients_saw_is_linearizable() {
    run(folder().path(), &[]);
}

/// Every life of a server begins with its snapshot, and the server that was down for a while gets one.
#[test]
fn acknowledged_writes_survive_killed_leaders_that_take_and_send_snapshots() {
    let folder = folder();
    let processes = run(folder.path(), &["--snapshot-after", "50", "--snapshot-margin", "10"]);
    let counts: Vec<_> = (1..=3).map(|server| processes.snapshots(server)).collect();
    assert!(counts.iter().all(|(taken, installed)| taken + installed >= 4), "{counts:?}");
    assert!(counts.iter().any(|(_, installed)| *installed > 0), "{counts:?}");
}

/// Clients work on servers with these options, of which leaders are killed. Returns the servers, all killed.
fn run(folder: &Path, options: &[&str]) -> Processes {
    let mut processes = Processes::bootstrap(folder, true, options);
    let recorder = Recorder::default();
    let (puts_ended, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let _ends = EndOnDrop(&is_over);
        for client in 0..CLIENTS {
            let mut kv = processes.client();
            let (recorder, puts_ended, is_over) = (&recorder, &puts_ended, &is_over);
            let load = Load { client, seed: client, recorder, puts_ended, is_over };
            scope.spawn(move || load.run(&mut kv));
        }
        kill_leaders(&mut processes, &puts_ended, &mut StdRng::seed_from_u64(5));
    });
    read_all(&recorder, CLIENTS, &mut processes.client()).expect("the cluster works");
    let history = recorder.history();
    history.check().unwrap_or_else(|violation| panic!("{violation}"));
    let returned = history.operations.values().filter(|it| it.returned.is_some()).count();
    assert!(returned as u64 > PUTS, "most operations have a result: {returned}");

    let servers = processes.servers();
    for server in &servers {
        processes.kill(*server);
    }
    let traces = servers.iter().map(|server| processes.path(*server, "trace"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_raft"));
    command.arg("trace").args(traces);
    let output = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.matches("ACCEPT").count(), 3, "{text}");
    processes
}

fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

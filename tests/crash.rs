//! Real processes: `raft node`, killed, started again, stopped for a while and made to hand the leadership
//! over, while clients work.

mod common;

use checked_raft::client::{ClientError, KvClient};
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
use std::time::Duration;
use tempfile::TempDir;

const CLIENTS: u64 = 4;
const KILLS: u64 = 5;
const PUTS: u64 = 200;
/// Puts while a server is down for a while. Each goes with one or two other commands.
const WHILE_DOWN: u64 = 50;
/// Puts between the start of a server and the stop of one.
const BEFORE_STOP: u64 = 10;
/// The longest time for which a server is stopped, in milliseconds: several election timeouts.
const LONGEST_STOP: u64 = 2000;
/// From one transfer of the leadership to the next.
const BETWEEN_TRANSFERS: Duration = Duration::from_millis(300);
/// A client of the transfers gives up after this, because the server that is to lead may be down.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(1);
/// The least number of elections that leaders want in a run.
const WANTED: u32 = 5;

/// Kills the leader again and again, at random moments of the clients' work, and starts it again,
/// now at once, now after the others have elected another. One is down for a while. After each kill, stops a
/// server for a while. In the end all are killed at once.
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
        stop_for_a_while(processes, puts_ended, random);
    }
    wait_for("all puts", || (puts_ended.load(Ordering::Relaxed) >= PUTS).then_some(()));
    for server in processes.servers() {
        processes.kill(server);
    }
    for server in processes.servers() {
        processes.start(server);
    }
}

/// Stops a server, perhaps the leader, once the cluster works, and lets it go on.
fn stop_for_a_while(processes: &Processes, puts_ended: &AtomicU64, random: &mut StdRng) {
    let puts = puts_ended.load(Ordering::Relaxed) + BEFORE_STOP;
    wait_for("work", || (puts_ended.load(Ordering::Relaxed) >= puts).then_some(()));
    let servers = processes.servers();
    let server = servers[random.random_range(0..servers.len())];
    processes.pause(server);
    thread::park_timeout(Duration::from_millis(random.random_range(0..=LONGEST_STOP)));
    processes.resume(server);
}

/// Hands the leadership to a random server again and again, until it is over. Often that server is down.
fn hand_over(kv: &mut KvClient, is_over: &AtomicBool) {
    let random = &mut StdRng::seed_from_u64(6);
    while !is_over.load(Ordering::Relaxed) {
        match kv.transfer(random.random_range(1..=3)) {
            Ok(())
            | Err(ClientError::TransferGivenUp { .. } | ClientError::TransferUnanswered { .. }) => {
            }
            Err(error) => panic!("{error}"),
        }
        thread::park_timeout(BETWEEN_TRANSFERS);
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
    let tallies: Vec<_> = (1..=3).map(|server| processes.tally(server)).collect();
    assert!(tallies.iter().all(|it| it.taken + it.installed >= 4), "{tallies:?}");
    assert!(tallies.iter().any(|it| it.installed > 0), "{tallies:?}");
    assert!(tallies.iter().map(|it| it.wanted).sum::<u32>() >= WANTED, "{tallies:?}");
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
        let mut kv = processes.client_with(TRANSFER_TIMEOUT);
        let is_over = &is_over;
        scope.spawn(move || hand_over(&mut kv, is_over));
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

//! Real processes: `raft node`, whose leadership is handed round while clients work.

mod common;

use common::history::Recorder;
use common::load::{EndOnDrop, Load, read_all};
use common::processes::Processes;
use std::env;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const CLIENTS: u64 = 4;
/// The transfers that are asked for, unless the environment variable `TRANSFERS` gives another number.
const TRANSFERS: u64 = 10;
const BETWEEN_TRANSFERS: Duration = Duration::from_secs(1);

/// Asks every second for a transfer to the next server. Counts those that succeed.
fn hand_round(processes: &Processes, transfers: u64) -> u64 {
    let mut kv = processes.client();
    let mut leader = processes.leader();
    let mut successes = 0;
    for _ in 0..transfers {
        thread::park_timeout(BETWEEN_TRANSFERS);
        leader = leader % 3 + 1;
        match kv.transfer(leader) {
            Ok(()) => {
                let status = processes.status(leader).expect("it has just answered");
                assert_eq!(status.leader, Some(leader), "server {leader} was said to lead");
                successes += 1;
            }
            // A busy machine may take longer than an election timeout.
            Err(error) => eprintln!("{error}"),
        }
    }
    successes
}

#[test]
fn no_request_fails_and_nothing_is_lost_while_the_leadership_is_handed_round() {
    let transfers = env::var("TRANSFERS").map_or(TRANSFERS, |it| it.parse().expect("a number"));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let processes = Processes::bootstrap(folder.path(), false, &[]);
    let recorder = Recorder::default();
    let (puts_ended, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut successes = 0;
    thread::scope(|scope| {
        let _ends = EndOnDrop(&is_over);
        for client in 0..CLIENTS {
            let mut kv = processes.client();
            let (recorder, puts_ended, is_over) = (&recorder, &puts_ended, &is_over);
            let load = Load { client, seed: client, recorder, puts_ended, is_over };
            scope.spawn(move || load.run(&mut kv));
        }
        successes = hand_round(&processes, transfers);
    });
    let history = recorder.history();
    let (requests, failed) = (history.operations.len(), history.failed());
    let puts = puts_ended.load(Ordering::Relaxed);
    println!("{successes} of {transfers} transfers; {requests} requests, {failed} failed");
    assert_eq!(failed, 0, "of {requests} requests");
    assert!(successes * 10 >= transfers * 8, "{successes} of {transfers} transfers succeeded");
    assert!(puts > transfers, "the clients got {puts} puts done");
    read_all(&recorder, CLIENTS, &mut processes.client()).expect("the cluster works");
    recorder.history().check().unwrap_or_else(|violation| panic!("{violation}"));
}

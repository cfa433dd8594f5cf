//! Links that lose, choke and cut.

use super::common::history::Recorder;
use super::common::load::{EndOnDrop, Load, read_all};
use super::common::wait_for;
use super::rig::{Fleet, Plan, Quality, fill, pass_time, seconds, serve};
use super::{PATIENT, in_a_world};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// A cluster with a follower that is down while this many entries come.
fn one_behind(entries: usize) -> (Fleet, u64) {
    let mut fleet = Fleet::bootstrap(Plan { options: PATIENT, ..Plan::default() });
    let follower = fleet.follower();
    fleet.kill(follower);
    fill(&fleet, entries, 100);
    (fleet, follower)
}

fn catches_up(fleet: &Fleet, server: u64) {
    wait_for("a follower to catch up", || fleet.is_caught_up(server).then_some(()));
}

#[test]
fn a_follower_far_behind_on_a_lossy_link_does_not_depose_its_leader() {
    in_a_world("links::a_follower_far_behind_on_a_lossy_link_does_not_depose_its_leader", || {
        let (mut fleet, follower) = one_behind(3000);
        let term = fleet.term();
        // Of 32 KiB hardly anything arrives whole; of six heartbeats at least one does.
        fleet.set_all(Quality::lossy(0.2));
        fleet.start(follower, &[]);
        let served = serve(&fleet, 4, 100, seconds(6));
        let terms = fleet.term() - term;
        assert!(terms <= 4, "{terms} terms: a lost fragment must not be a lost heartbeat");
        assert!(served.commands > 0, "{served}");
        fleet.set_all(Quality::PERFECT);
        catches_up(&fleet, follower);
    });
}

#[test]
fn a_follower_catches_up_where_fragments_are_dropped() {
    in_a_world("links::a_follower_catches_up_where_fragments_are_dropped", || {
        let (mut fleet, follower) = one_behind(1000);
        fleet.set_all(Quality::UNFRAGMENTED);
        fleet.start(follower, &[]);
        catches_up(&fleet, follower);
    });
}

#[test]
fn a_follower_that_is_down_is_sent_little() {
    in_a_world("links::a_follower_that_is_down_is_sent_little", || {
        let (fleet, follower) = one_behind(1000);
        // What it was sent while its leader had not noticed does not count.
        pass_time(seconds(2));
        let before = fleet.traffic_to(follower).bytes;
        pass_time(seconds(3));
        let each_second = (fleet.traffic_to(follower).bytes - before) / 3;
        assert!(each_second < 60_000, "{each_second} bytes a second to a server that is down");
    });
}

#[test]
fn a_narrow_link_to_a_follower_far_behind_does_not_stop_service() {
    in_a_world("links::a_narrow_link_to_a_follower_far_behind_does_not_stop_service", || {
        let (mut fleet, follower) = one_behind(3000);
        let term = fleet.term();
        fleet.set_around(follower, Quality::narrow(1_000_000));
        fleet.start(follower, &[]);
        let served = serve(&fleet, 4, 100, seconds(6));
        let terms = fleet.term() - term;
        assert!(terms <= 4, "{terms} terms, {served}");
        fleet.set_all(Quality::PERFECT);
        catches_up(&fleet, follower);
    });
}

/// Links get worse, one server after the other is cut off in one direction or both, and killed, while
/// clients work.
#[test]
fn what_clients_see_on_links_that_lose_and_are_cut_is_linearizable() {
    in_a_world("links::what_clients_see_on_links_that_lose_and_are_cut_is_linearizable", || {
        const CLIENTS: u64 = 4;
        let mut fleet = Fleet::bootstrap(Plan { options: PATIENT, ..Plan::default() });
        fleet.leader();
        let recorder = Recorder::default();
        let (puts_ended, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            let _ends = EndOnDrop(&is_over);
            for client in 0..CLIENTS {
                let mut kv = fleet.client();
                let (recorder, puts_ended, is_over) = (&recorder, &puts_ended, &is_over);
                let load = Load { client, seed: client, recorder, puts_ended, is_over };
                scope.spawn(move || load.run(&mut kv));
            }
            for server in fleet.servers() {
                fleet.set_all(Quality { delay: seconds(1) / 100, ..Quality::lossy(0.05) });
                pass_time(seconds(1));
                match server {
                    1 => fleet.set_to(server, Quality::CUT),
                    2 => fleet.set_from(server, Quality::CUT),
                    _ => fleet.set_around(server, Quality::CUT),
                }
                pass_time(seconds(1));
                fleet.kill(server);
                fleet.start(server, &[]);
                fleet.set_all(Quality::PERFECT);
                let puts = puts_ended.load(Ordering::Relaxed) + 20;
                wait_for("service to resume", || {
                    (puts_ended.load(Ordering::Relaxed) >= puts).then_some(())
                });
            }
        });
        read_all(&recorder, CLIENTS, &mut fleet.client()).expect("the cluster works");
        recorder.history().check().unwrap_or_else(|violation| panic!("{violation}"));
    });
}

//! Disks that are slow or full.

use super::common::wait_for;
use super::rig::{Fleet, Plan, fill, seconds, serve};
use super::{PATIENT, assert_reads, in_a_world};
use std::time::Duration;

const MIB: u64 = 1 << 20;

#[test]
fn saves_of_100_ms_on_all_servers_are_served_with_the_defaults() {
    in_a_world("disks::saves_of_100_ms_on_all_servers_are_served_with_the_defaults", || {
        let each_sync = Duration::from_millis(100);
        let fleet = Fleet::bootstrap(Plan { each_sync, ..Plan::default() });
        fleet.leader();
        let served = serve(&fleet, 2, 100, seconds(6));
        assert!(served.commands > 0, "{served}");
    });
}

#[test]
fn saves_of_500_ms_on_all_servers_are_served_with_longer_timeouts() {
    in_a_world("disks::saves_of_500_ms_on_all_servers_are_served_with_longer_timeouts", || {
        let each_sync = Duration::from_millis(500);
        let options: &[&str] = &["--election-timeout", "2000..4000", "--heartbeat", "200"];
        let fleet = Fleet::bootstrap(Plan { options, each_sync, ..Plan::default() });
        fleet.leader();
        let served = serve(&fleet, 2, 100, seconds(6));
        assert!(served.commands > 0, "{served}");
    });
}

#[test]
fn a_server_whose_disk_is_full_stops_and_the_others_serve_until_it_has_room() {
    let test = "disks::a_server_whose_disk_is_full_stops_and_the_others_serve_until_it_has_room";
    in_a_world(test, || {
        let mut fleet = Fleet::new(Plan { options: PATIENT, ..Plan::default() });
        if let Err(reason) = fleet.mount_small(1, 3 * MIB) {
            return eprintln!("{test}: no small disk: {reason}");
        }
        for server in fleet.servers() {
            fleet.start(server, &["--bootstrap"]);
        }
        fleet.leader();
        fleet.client().put("kept", "yes").expect("a healthy cluster serves");
        fill(&fleet, 200, 30_000);
        wait_for("a full disk", || fleet.ended(1));
        let log = fleet.log(1);
        assert!(log.contains("1.data/log"), "it must name the file: {log}");
        assert_reads(&fleet, "kept", "yes");
        fleet.kill(1);
        fleet.enlarge(1, 64 * MIB);
        fleet.start(1, &[]);
        wait_for("it to catch up", || fleet.is_caught_up(1).then_some(()));
    });
}

#[test]
fn a_server_starts_again_on_a_disk_that_is_more_than_half_full() {
    let test = "disks::a_server_starts_again_on_a_disk_that_is_more_than_half_full";
    in_a_world(test, || {
        let mut fleet = Fleet::new(Plan { servers: 1, ..Plan::default() });
        if let Err(reason) = fleet.mount_small(1, 16 * MIB) {
            return eprintln!("{test}: no small disk: {reason}");
        }
        fleet.start(1, &["--bootstrap"]);
        fleet.leader();
        fleet.client().put("kept", "yes").expect("a healthy cluster serves");
        fill(&fleet, 384, 30_000);
        fleet.kill(1);
        fleet.start(1, &[]);
        assert_reads(&fleet, "kept", "yes");
    });
}

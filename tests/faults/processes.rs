//! Processes that are stopped.

use super::rig::{Fleet, Plan, pass_time, seconds};
use super::{PATIENT, assert_reads, in_a_world};

#[test]
fn a_cluster_that_was_stopped_as_a_whole_serves_again() {
    in_a_world("processes::a_cluster_that_was_stopped_as_a_whole_serves_again", || {
        let fleet = Fleet::bootstrap(Plan { options: PATIENT, ..Plan::default() });
        fleet.leader();
        fleet.client().put("kept", "yes").expect("a healthy cluster serves");
        let term = fleet.term();
        for _ in 0..3 {
            fleet.pause(&fleet.servers());
            pass_time(seconds(1));
            fleet.resume(&fleet.servers());
            assert_reads(&fleet, "kept", "yes");
        }
        let terms = fleet.term() - term;
        assert!(terms <= 6, "{terms} terms by 3 stops of all");
    });
}

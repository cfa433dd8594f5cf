//! Elections that are not needed are not held, and elections that are needed are held soon.
//!
//! Times are counted in election timeouts, each as long as the longest of them. A write in these
//! tests is the opening of a session, which takes an entry of the log.

use super::common::wait_for;
use super::in_a_world;
use super::rig::{Fleet, Plan, Quality, ask, now, pass_time, seconds, serve};
use checked_raft::raft::{ClientRequest, ClientResponse};
use std::thread;
use std::time::Duration;

/// So long that a loaded machine holds up nobody for a large part of it.
const UNHURRIED: &[&str] = &["--election-timeout", "600..1200", "--heartbeat", "50"];

/// The longest election timeout of these servers.
const ELECTION_TIMEOUT: Duration = Duration::from_millis(1200);

const WRITE: ClientRequest = ClientRequest::Register { sequence: 1 };

fn read() -> ClientRequest {
    ClientRequest::Read { sequence: 1, query: bytes::Bytes::new() }
}

/// Servers that have a leader, and have served.
fn cluster_of(servers: u64) -> Fleet {
    let fleet = Fleet::bootstrap(Plan { servers, options: UNHURRIED, ..Plan::default() });
    fleet.leader();
    fleet.client().put("kept", "yes").expect("a healthy cluster serves");
    fleet
}

/// The leader and its term.
fn reign(fleet: &Fleet) -> (u64, u64) {
    (fleet.leader(), fleet.term())
}

/// Waits until it is so, and returns how many election timeouts that took.
#[track_caller]
fn timeouts_until(what: &str, mut is_so: impl FnMut() -> bool) -> f64 {
    let start = now();
    wait_for(what, || is_so().then_some(()));
    let took = start.elapsed().div_duration_f64(ELECTION_TIMEOUT);
    println!("{what}: after {took:.2} election timeouts");
    took
}

#[test]
fn a_follower_stopped_for_5_s_changes_neither_term_nor_leader() {
    in_a_world("elections::a_follower_stopped_for_5_s_changes_neither_term_nor_leader", || {
        let fleet = cluster_of(3);
        let (follower, before) = (fleet.follower(), reign(&fleet));
        // When the follower continues, heartbeats wait in its socket the first time. The second
        // time, it hears nobody until its election timer has fired.
        for to_follower in [Quality::PERFECT, Quality::CUT] {
            fleet.set_to(follower, to_follower);
            fleet.pause(&[follower]);
            pass_time(seconds(5));
            fleet.resume(&[follower]);
            pass_time(ELECTION_TIMEOUT / 2);
            fleet.set_to(follower, Quality::PERFECT);
            serve(&fleet, 2, 100, seconds(2));
            assert_eq!(reign(&fleet), before, "(leader, term), to the follower: {to_follower:?}");
        }
    });
}

#[test]
fn a_follower_cut_off_for_5_s_changes_neither_term_nor_leader() {
    in_a_world("elections::a_follower_cut_off_for_5_s_changes_neither_term_nor_leader", || {
        let fleet = cluster_of(3);
        let (follower, before) = (fleet.follower(), reign(&fleet));
        fleet.set_around(follower, Quality::CUT);
        pass_time(seconds(5));
        fleet.set_around(follower, Quality::PERFECT);
        serve(&fleet, 2, 100, seconds(2));
        assert_eq!(reign(&fleet), before, "(leader, term)");
    });
}

#[test]
fn a_leader_without_a_majority_refuses_all_within_two_timeouts() {
    in_a_world("elections::a_leader_without_a_majority_refuses_all_within_two_timeouts", || {
        let fleet = cluster_of(5);
        let leader = fleet.leader();
        // One follower stays with the leader.
        let others = fleet.others(leader);
        for far in &others[1..] {
            for near in [leader, others[0]] {
                fleet.network.set(near, *far, Quality::CUT);
                fleet.network.set(*far, near, Quality::CUT);
            }
        }
        thread::scope(|scope| {
            for request in [read(), WRITE] {
                let fleet = &fleet;
                scope.spawn(move || {
                    let answer = ask(fleet, leader, request, 3 * ELECTION_TIMEOUT);
                    assert!(answer.is_none_or(|it| is_refusal(&it)), "it answers as if it led");
                });
            }
            let leads = || fleet.status(leader).is_none_or(|status| status.role == "leader");
            let took = timeouts_until("the end of a leader without a majority", || !leads());
            assert!(took <= 2.0, "{took} election timeouts");
        });
        for request in [read(), WRITE] {
            let answer = ask(&fleet, leader, request, seconds(5));
            assert!(answer.as_ref().is_some_and(is_refusal), "{answer:?}");
        }
        // The majority elects another leader and serves.
        let timeout = seconds(20);
        fleet.try_client(timeout).and_then(|mut kv| kv.put("more", "yes")).expect("served");
        fleet.set_all(Quality::PERFECT);
        super::assert_reads(&fleet, "kept", "yes");
    });
}

fn is_refusal(answer: &ClientResponse) -> bool {
    matches!(answer, ClientResponse::NotLeader { .. })
}

#[test]
fn a_leader_that_hears_nobody_is_replaced_within_three_timeouts() {
    in_a_world("elections::a_leader_that_hears_nobody_is_replaced_within_three_timeouts", || {
        let fleet = cluster_of(5);
        let (deaf, term) = reign(&fleet);
        fleet.set_to(deaf, Quality::CUT);
        let took = timeouts_until("another leader than the deaf one", || {
            fleet.leader_now().is_some_and(|leader| leader != deaf)
        });
        let after = reign(&fleet);
        // Each vote that was split has taken a term, and its repetition another timeout.
        let split = after.1 - term - 1;
        assert!(took <= 3.0 + split as f64, "{took} election timeouts, {split} votes were split");
        fleet.client().put("more", "yes").expect("the others serve");
        // The deaf one goes on sending, which disturbs nobody.
        serve(&fleet, 2, 100, seconds(3));
        assert_eq!(reign(&fleet), after, "(leader, term) while the old leader is deaf");
        fleet.set_to(deaf, Quality::PERFECT);
        super::assert_reads(&fleet, "kept", "yes");
    });
}

#[test]
fn a_follower_that_hears_nobody_changes_neither_term_nor_leader() {
    in_a_world("elections::a_follower_that_hears_nobody_changes_neither_term_nor_leader", || {
        let fleet = cluster_of(3);
        let (deaf, before) = (fleet.follower(), reign(&fleet));
        fleet.set_to(deaf, Quality::CUT);
        let served = serve(&fleet, 2, 100, seconds(6));
        assert!(served.commands > 0, "{served}");
        assert_eq!(reign(&fleet), before, "(leader, term) while a follower is deaf");
        fleet.set_to(deaf, Quality::PERFECT);
        wait_for("a follower to catch up", || fleet.is_caught_up(deaf).then_some(()));
        assert_eq!(reign(&fleet), before, "(leader, term) when the follower hears again");
        super::assert_reads(&fleet, "kept", "yes");
    });
}

/// One server, which followed, is in touch with all others. They, the leader among them, are in
/// touch with that server alone.
#[test]
fn a_connected_majority_is_not_stuck_behind_a_leader_that_has_lost_it() {
    in_a_world(
        "elections::a_connected_majority_is_not_stuck_behind_a_leader_that_has_lost_it",
        || {
            let fleet = cluster_of(5);
            let hub = fleet.follower();
            let spokes = fleet.others(hub);
            for from in &spokes {
                for to in spokes.iter().filter(|to| *to != from) {
                    fleet.network.set(*from, *to, Quality::CUT);
                }
            }
            let took = timeouts_until("the hub to lead", || fleet.leader_now() == Some(hub));
            assert!(took <= 4.0, "{took} election timeouts");
            let after = reign(&fleet);
            let answer = ask(&fleet, hub, WRITE, seconds(5));
            assert!(matches!(answer, Some(ClientResponse::Registered { .. })), "{answer:?}");
            fleet.client().put("more", "yes").expect("the hub serves");
            serve(&fleet, 2, 100, seconds(3));
            assert_eq!(reign(&fleet), after, "(leader, term) of servers that reach the hub only");
            super::assert_reads(&fleet, "kept", "yes");
        },
    );
}

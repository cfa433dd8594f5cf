//! The rules of leadership transfer. `transfer=1:9#4` is request 4 of client 9, which wants server 1 to lead.

use super::given::*;
use checked_raft::raft::Timer;

/// A leader of term 2 whose no-op is on server 1 and not on server 2.
fn leads() -> Given {
    leader(2, &[1, 2], &[(1, 3, 2), (2, 3, 1)]).committed(2)
}

const LEADS: &str = "leader t2 voted=0 log=[1.noop 2.noop] commit=2 next={1:3 2:3} match={1:2 2:1}";

#[test]
fn tr_1_a_leader_that_hands_over_takes_no_requests() {
    let hands_over = leads().receives(CLIENT, transfer(4, 1)).given();
    for request in [register(1), command(1, 2, &put("k", "a")), read(3, "k")] {
        let sequence = match &request {
            checked_raft::raft::Message::ClientRequest(request) => request.sequence(),
            msg => panic!("{msg:?} is no request"),
        };
        let refused = format!("to 8: NotLeader #{sequence} leader=unknown");
        hands_over.clone().receives(8, request).unchanged(&[&refused]);
    }
    // One transfer is under way at a time; the other client will ask again.
    hands_over.clone().receives(8, transfer(1, 2)).ignored();
    hands_over.receives(CLIENT, transfer(4, 1)).ignored();
}

#[test]
fn tr_1_a_transfer_to_the_leader_is_done_and_one_to_a_stranger_is_refused() {
    leads().receives(CLIENT, transfer(4, 0)).unchanged(&["to 9: Transfer #4 Leads"]);
    leads().receives(CLIENT, transfer(4, 7)).unchanged(&["to 9: Transfer #4 NoMember"]);
    let follows = follower(2, &[1, 2]).following(1);
    follows.receives(CLIENT, transfer(4, 0)).unchanged(&["to 9: NotLeader #4 leader=1"]);
}

#[test]
fn tr_2_who_has_the_whole_log_is_told_at_once() {
    let told = leads().receives(CLIENT, transfer(4, 1)).then(
        &format!("{LEADS} transfer=1:9#4"),
        &["arm Transfer", "to 1: TimeoutNow t2 last=(t2 i2)"],
    );
    // The message may get lost, so each heartbeat repeats it.
    let step = told.times_out(Timer::Heartbeat);
    assert_eq!(step.out().last().map(String::as_str), Some("to 1: TimeoutNow t2 last=(t2 i2)"));
}

#[test]
fn tr_2_who_lacks_entries_gets_them_first() {
    let waits = leads()
        .receives(CLIENT, transfer(4, 2))
        .then(&format!("{LEADS} transfer=2:9#4"), &["arm Transfer"]);
    // An answer of another server changes nothing.
    let waits = waits.receives(1, matched(2, 2)).ignored();
    waits.receives(2, matched(2, 2)).then(
        "leader t2 voted=0 log=[1.noop 2.noop] commit=2 next={1:3 2:3} match={1:2 2:2} \
         transfer=2:9#4",
        &["to 2: TimeoutNow t2 last=(t2 i2)"],
    );
}

#[test]
fn tr_3_a_transfer_is_given_up_after_an_election_timeout() {
    let hands_over = leads().receives(CLIENT, transfer(4, 1)).given();
    let leads_on =
        hands_over.times_out(Timer::Transfer).then(LEADS, &["to 9: Transfer #4 TimedOut"]);
    leads_on.clone().times_out(Timer::Transfer).ignored();
    let step = leads_on.receives(8, register(1));
    assert_eq!(step.out()[0], "save", "requests are taken again");
}

#[test]
fn tr_3_a_leader_that_steps_down_refers_the_client_to_the_next_one() {
    let hands_over = leads().receives(CLIENT, transfer(4, 1)).given();
    hands_over.receives(1, wanted(3, (2, 2))).then(
        "follower t3 voted=1 log=[1.noop 2.noop] commit=2",
        &[
            "save",
            "disarm Heartbeat",
            "arm Election",
            "disarm Transfer",
            "to 9: NotLeader #4 leader=1",
            "arm Election",
            "to 1: Vote t3 granted",
        ],
    );
}

#[test]
fn tr_4_timeout_now_begins_an_election_without_pre_votes() {
    let follows = || follower(2, &[1, 2]).with(|it| it.pre_vote = true).following(1);
    let stands = [
        "save",
        "arm Election",
        "to 1: RequestVote t3 last=(t2 i2) wanted",
        "to 2: RequestVote t3 last=(t2 i2) wanted",
    ];
    follows()
        .receives(1, timeout_now(2, (2, 2)))
        .then("candidate t3 voted=0 log=[1.noop 2.noop] commit=0 votes=[0]", &stands);
    follows()
        .receives(1, timeout_now(2, (2, 1)))
        .then("candidate t3 voted=0 log=[1.noop 2.noop] commit=0 votes=[0]", &stands);
}

#[test]
fn tr_4_timeout_now_of_an_earlier_term_or_to_who_is_behind_does_nothing() {
    follower(3, &[1, 3]).receives(1, timeout_now(2, (2, 2))).ignored();
    follower(2, &[1, 2]).receives(1, timeout_now(2, (2, 3))).ignored();
    follower(2, &[1]).receives(1, timeout_now(2, (2, 1))).ignored();
    // Nobody else leads the term of a leader.
    leads().receives(1, timeout_now(2, (2, 2))).ignored();
    // The last entry of a leader is of its term.
    follower(2, &[1]).receives(1, timeout_now(2, (1, 1))).ignored();
}

#[test]
fn stick_1_an_election_that_the_leader_wants_is_not_ignored() {
    let sticks = |it: &mut checked_raft::raft::Parameters| {
        (it.stickiness, it.check_quorum) = (true, true);
    };
    let heard = follower(2, &[1, 2]).with(sticks).receives(1, append(2, (2, 2), &[], 0)).given();
    heard.receives(2, wanted(3, (2, 2))).then(
        "follower t3 voted=2 log=[1.noop 2.noop] commit=0",
        &["save", "disarm Stickiness", "arm Election", "to 2: Vote t3 granted"],
    );
}

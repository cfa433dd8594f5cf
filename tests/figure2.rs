//! Every rule of Figure 2, and of each feature beyond it, as a test of its name: `[AE-3]` in `src/raft` is
//! `ae_3_...` here. Each runs the actor itself, through the three functions of stateright's `Actor`,
//! and says exactly which commands come out and what the server is afterwards.
//!
//! Of every event of every test, [`given`] also asserts: the save, if any, is the first command, is the
//! only one and is what the server remembers; the handler is a pure function; the state stays borrowed
//! if it did not change.

mod given;
#[path = "figure2/pre_vote.rs"]
mod pre_vote_rules;
#[path = "figure2/reads.rs"]
mod reads;
#[path = "figure2/snapshots.rs"]
mod snapshots;
#[path = "figure2/transfer.rs"]
mod transfer_rules;

use bytes::Bytes;
use checked_raft::kv::Output;
use checked_raft::raft::{
    ClientResponse, Copies, Entry, Index, Message, Parameters, Payload, Persistent, Retry, Role,
    SetupError, Term, Timer,
};
use given::*;
use stateright::actor::Id;

// ---- persistent state ----

#[test]
fn store_what_changed_is_saved_before_anything_leaves() {
    let all = [
        follower(1, &[1]).times_out(Timer::Election),
        follower(2, &[1]).receives(1, request_vote(2, (1, 1))),
        follower(1, &[1]).receives(1, request_vote(2, (0, 0))),
        candidate(2, &[1], &[0]).receives(1, vote(2, true)),
        follower(1, &[1]).receives(1, append(1, (1, 1), &[1], 0)),
        follower(1, &[1]).receives(1, append(2, (1, 1), &[], 0)),
        follower(2, &[1, 1]).receives(1, append(2, (1, 1), &[2], 0)),
        leader(2, &[1, 2], &[(1, 3, 2), (2, 3, 2)]).receives(CLIENT, register(1)),
        follower(0, &[]).of(1).times_out(Timer::Election),
    ];
    for step in all {
        assert_eq!(step.out()[0], "save");
        assert_eq!(step.out().iter().filter(|line| *line == "save").count(), 1);
    }
    // A term learnt from a response is saved although nothing is sent.
    follower(1, &[1])
        .receives(1, vote(2, false))
        .then("follower t2 log=[1.noop] commit=0", &["save"]);
}

#[test]
fn store_nothing_is_saved_when_nothing_persistent_changes() {
    follower(1, &[1])
        .receives(1, append(1, (1, 1), &[], 1))
        .then("follower t1 log=[1.noop] commit=1 leader=1", &["arm Election", "to 1: Match i1 t1"]);
    let leading = leader(2, &[1, 2], &[(1, 2, 0), (2, 2, 0)]);
    leading
        .receives(1, matched(2, 2))
        .then("leader t2 voted=0 log=[1.noop 2.noop] commit=2 next={1:3 2:2} match={1:2 2:0}", &[]);
}

#[test]
fn store_a_restart_keeps_what_was_saved_and_nothing_else() {
    let led = leader(3, &[1, 3], &[(1, 3, 2), (2, 3, 2)]).committed(2);
    let saved = led.server().persistent.clone();
    led.clone()
        .starts_with(Some(saved))
        .then("follower t3 voted=0 log=[1.noop 3.noop] commit=0", &["arm Election"]);
    led.starts_with(None).then("follower t0 log=[] commit=0", &["arm Election"]);
}

// ---- all servers ----

#[test]
fn all_1_committed_entries_are_applied_in_order_and_no_others() {
    let entries = [
        register_entry(1, 1, 8),
        command_entry(1, 1, 2, &put("k", "a")),
        command_entry(1, 1, 3, &create("k", "b")), // too late: there is one
        command_entry(1, 1, 4, &put("k", "c")),
    ];
    let log = "[1.register(9#1) 1.command(1#2 \\x00\\x01k\\x01a) \
               1.command(1#3 \\x03\\x01k\\x00\\x01b) 1.command(1#4 \\x00\\x01k\\x01c)]";
    follower(1, &[]).holding(entries).receives(1, append(1, (1, 4), &[], 3)).then(
        &format!("follower t1 log={log} commit=3 leader=1 sessions={{1:#3@3}} {{k=a}}"),
        &["arm Election", "to 1: Match i4 t1"],
    );
}

#[test]
fn all_2_a_later_term_in_any_message_makes_a_follower_of_that_term() {
    let any = [
        request_vote(5, (0, 0)), // refused: its log is too short
        vote(5, true),
        matched(5, 1),
        conflict(5, 1, None, 1),
        stale_term(5),
    ];
    for msg in any {
        let reply: &[&str] = match &msg {
            Message::RequestVote(_) => &["to 1: Vote t5 denied"],
            _ => &[],
        };
        let out = |first: &'static [&'static str]| [first, reply].concat();

        let after = "follower t5 log=[1.noop] commit=0";
        let following = follower(4, &[1]).voted_for(2).following(2);
        following.receives(1, msg.clone()).then(after, &out(&["save"]));
        candidate(4, &[1], &[0]).receives(1, msg.clone()).then(after, &out(&["save"]));
        let leading = leader(4, &[1], &[(1, 2, 0), (2, 2, 0)]);
        let stepped_down = out(&["save", "disarm Heartbeat", "arm Election"]);
        leading.receives(1, msg).then(after, &stepped_down);
    }
    leader(4, &[1], &[(1, 2, 0), (2, 2, 0)]).receives(1, append(5, (1, 1), &[], 0)).then(
        "follower t5 log=[1.noop] commit=0 leader=1",
        &["save", "disarm Heartbeat", "arm Election", "arm Election", "to 1: Match i1 t5"],
    );
}

#[test]
fn all_2_an_earlier_term_or_the_same_makes_no_follower() {
    for msg in [vote(3, true), matched(3, 1), conflict(3, 1, None, 1), stale_term(3)] {
        candidate(4, &[1], &[0]).receives(1, msg.clone()).ignored();
        leader(4, &[1], &[(1, 2, 0), (2, 2, 0)]).receives(1, msg).ignored();
    }
    for msg in [vote(4, false), matched(4, 0), conflict(4, 3, None, 1), stale_term(4)] {
        follower(4, &[1]).voted_for(2).following(2).receives(1, msg.clone()).ignored();
        candidate(4, &[1], &[0]).receives(1, msg.clone()).ignored();
        leader(4, &[1], &[(1, 2, 0), (2, 2, 0)]).receives(1, msg).ignored();
    }
}

// ---- followers ----

#[test]
fn fol_1_a_request_of_a_candidate_or_a_leader_is_answered() {
    follower(1, &[1]).receives(1, request_vote(1, (0, 0))).unchanged(&["to 1: Vote t1 denied"]);
    follower(1, &[1])
        .following(2)
        .receives(2, append(1, (1, 1), &[], 0))
        .unchanged(&["arm Election", "to 2: Match i1 t1"]);
}

/// Whatever the sender, none of these has an effect: not even its term is believed.
#[test]
fn fol_1_a_message_no_correct_server_sends_is_dropped() {
    let max = u64::MAX;
    let half = 1 << 63;
    let forged = [
        // Elections start at term 1, and never lead to the upper half.
        request_vote(0, (0, 0)),
        request_vote(half, (1, 1)),
        request_vote(max, (1, 1)),
        vote(0, true),
        vote(half, true),
        vote(max, true),
        matched(0, 1),
        matched(max, 1),
        stale_term(half),
        append(0, (0, 0), &[], 0),
        append(half, (1, 1), &[], 0),
        append(max, (1, 1), &[max], max),
        // A candidate holds no entry of the term it asks for, nor of a later one.
        request_vote(5, (5, 1)),
        request_vote(5, (6, 1)),
        request_vote(5, (max, max)),
        // Index zero has term zero, and nothing else has.
        request_vote(5, (0, 1)),
        request_vote(5, (1, 0)),
        append(5, (0, 1), &[], 0),
        append(5, (1, 0), &[], 0),
        // Terms never decrease along a log, and none is later than its leader's.
        append(5, (1, 1), &[2, 1], 0),
        append(5, (2, 1), &[1], 0),
        append(5, (6, 1), &[], 0),
        append(5, (1, 1), &[6], 0),
        append(5, (0, 0), &[0], 0),
        append(5, (1, 1), &[0], 0),
        // No index is that large.
        append(5, (1, half), &[], 0),
        append(5, (1, max), &[5], max),
    ];
    for msg in forged {
        follower(1, &[1]).receives(1, msg.clone()).ignored();
        candidate(1, &[1], &[0]).receives(1, msg.clone()).ignored();
        leader(1, &[1], &[(1, 2, 0), (2, 2, 0)]).receives(1, msg).ignored();
    }
}

#[test]
fn fol_1_a_server_hears_only_the_other_servers_of_its_cluster() {
    let rpcs = [
        request_vote(2, (1, 1)),
        vote(2, true),
        append(2, (1, 1), &[], 1),
        matched(2, 1),
        conflict(2, 1, None, 1),
        stale_term(2),
    ];
    for msg in rpcs {
        for stranger in [0, 3, CLIENT, usize::MAX] {
            follower(2, &[1]).receives(stranger, msg.clone()).ignored();
            candidate(2, &[1], &[0]).receives(stranger, msg.clone()).ignored();
            let leading = leader(2, &[1, 2], &[(1, 2, 0), (2, 2, 0)]);
            leading.receives(stranger, msg.clone()).ignored();
        }
    }
}

#[test]
fn fol_1_a_server_is_no_client_and_a_client_response_is_for_clients() {
    let leading = || leader(1, &[1], &[(1, 2, 1), (2, 2, 1)]);
    for server in 0..3 {
        leading().receives(server, register(1)).ignored();
        leading().receives(server, command(1, 1, &put("k", "v"))).ignored();
    }
    let response = ClientResponse::SessionExpired { sequence: 1 };
    let response = Message::ClientResponse(response);
    leading().receives(1, response.clone()).ignored();
    leading().receives(CLIENT, response).ignored();
}

#[test]
fn fol_1_the_largest_numbers_a_message_may_have_do_no_harm() {
    let term = (1 << 63) - 1;
    follower(term, &[1]).receives(1, request_vote(term, (1, u64::MAX))).then(
        &format!("follower t{term} voted=1 log=[1.noop] commit=0"),
        &["save", "arm Election x4", &format!("to 1: Vote t{term} granted")],
    );
    follower(1, &[1]).receives(1, append(1, (1, term), &[1], u64::MAX)).then(
        "follower t1 log=[1.noop] commit=0 leader=1",
        &["arm Election", &format!("to 1: Conflict at i{term}: nothing from i2 on t1")],
    );
    follower(1, &[1]).receives(1, append(1, (1, 1), &[1], u64::MAX)).then(
        "follower t1 log=[1.noop 1.noop] commit=2 leader=1",
        &["save", "arm Election", "to 1: Match i2 t1"],
    );
    let leading = || leader(1, &[1, 1], &[(1, 3, 0), (2, 3, 0)]);
    leading().receives(1, matched(1, u64::MAX)).ignored();
    leading().receives(1, conflict(1, u64::MAX, Some(u64::MAX), u64::MAX)).ignored();
    leading().receives(1, conflict(1, 2, Some(u64::MAX), u64::MAX)).then(
        "leader t1 voted=0 log=[1.noop 1.noop] commit=0 next={1:2 2:3} match={1:0 2:0}",
        &["to 1: AppendEntries t1 prev=(t1 i1) [1.noop] commit=0"],
    );
    // The last term there can be is led like any other; only messages of the next one are refused.
    follower(term, &[1]).times_out(Timer::Election).then(
        &format!("candidate t{0} voted=0 log=[1.noop] commit=0 votes=[0]", 1_u64 << 63),
        &[
            "save",
            "arm Election x4",
            &format!("to 1: RequestVote t{} last=(t1 i1)", 1_u64 << 63),
            &format!("to 2: RequestVote t{} last=(t1 i1)", 1_u64 << 63),
        ],
    );
}

#[test]
fn fol_2_a_follower_that_hears_of_nobody_becomes_a_candidate() {
    follower(1, &[1]).following(1).times_out(Timer::Election).then(
        "candidate t2 voted=0 log=[1.noop] commit=0 votes=[0]",
        &[
            "save",
            "arm Election",
            "to 1: RequestVote t2 last=(t1 i1)",
            "to 2: RequestVote t2 last=(t1 i1)",
        ],
    );
}

#[test]
fn fol_2_only_a_granted_vote_or_the_current_leader_restarts_the_election_timer() {
    let restarts = |step: Step| step.out().iter().any(|line| line == "arm Election");
    let server = || follower(2, &[1]);
    assert!(restarts(server().receives(1, request_vote(2, (1, 1)))));
    assert!(restarts(server().voted_for(1).receives(1, request_vote(2, (1, 1)))));
    assert!(restarts(server().receives(1, append(2, (1, 1), &[], 0))));
    assert!(restarts(server().receives(1, append(2, (2, 9), &[], 0))), "also when it must refuse");

    assert!(!restarts(server().receives(1, request_vote(2, (0, 0)))));
    assert!(
        !restarts(server().receives(1, request_vote(3, (0, 0)))),
        "nor does a later term alone"
    );
    assert!(!restarts(server().voted_for(2).receives(1, request_vote(2, (1, 1)))));
    assert!(!restarts(server().receives(1, request_vote(1, (0, 0)))));
    assert!(!restarts(server().receives(1, append(1, (1, 1), &[], 0))));
    assert!(!restarts(server().receives(CLIENT, register(1))));
}

#[test]
fn fol_2_the_timer_of_a_role_the_server_has_left_does_nothing() {
    follower(1, &[1]).times_out(Timer::Heartbeat).ignored();
    candidate(1, &[1], &[0]).times_out(Timer::Heartbeat).ignored();
    leader(1, &[1], &[(1, 2, 1), (2, 2, 1)]).times_out(Timer::Election).ignored();
}

// ---- candidates ----

#[test]
fn can_1_an_election_raises_the_term_votes_for_itself_and_asks_all_others() {
    follower(3, &[1, 2]).voted_for(4).following(4).of(5).times_out(Timer::Election).then(
        "candidate t4 voted=0 log=[1.noop 2.noop] commit=0 votes=[0]",
        &[
            "save",
            "arm Election x2",
            "to 1: RequestVote t4 last=(t2 i2)",
            "to 2: RequestVote t4 last=(t2 i2)",
            "to 3: RequestVote t4 last=(t2 i2)",
            "to 4: RequestVote t4 last=(t2 i2)",
        ],
    );
    follower(0, &[]).of(2).times_out(Timer::Election).then(
        "candidate t1 voted=0 log=[] commit=0 votes=[0]",
        &["save", "arm Election", "to 1: RequestVote t1 last=(t0 i0)"],
    );
}

#[test]
fn can_2_a_majority_of_votes_makes_a_leader() {
    candidate(2, &[1], &[0]).receives(1, vote(2, true)).then(
        "leader t2 voted=0 log=[1.noop 2.noop] commit=0 next={1:2 2:2} match={1:0 2:0}",
        &[
            "save",
            "disarm Election",
            "arm Heartbeat",
            "to 1: AppendEntries t2 prev=(t1 i1) [2.noop] commit=0",
            "to 2: AppendEntries t2 prev=(t1 i1) [2.noop] commit=0",
        ],
    );
    let counted = |votes: &str| format!("candidate t2 voted=0 log=[1.noop] commit=0 votes={votes}");
    let two = candidate(2, &[1], &[0]).of(4).receives(3, vote(2, true));
    let two = two.then(&counted("[0, 3]"), &[]); // half of four is no majority
    assert!(two.receives(1, vote(2, true)).given().server().is_leader());
    let two =
        candidate(2, &[1], &[0]).of(5).receives(3, vote(2, true)).then(&counted("[0, 3]"), &[]);
    assert!(two.receives(1, vote(2, true)).given().server().is_leader());
}

#[test]
fn can_2_a_server_alone_is_its_own_majority() {
    follower(1, &[1]).of(1).times_out(Timer::Election).then(
        "leader t2 voted=0 log=[1.noop 2.noop] commit=2 next={} match={}",
        &["save", "arm Election", "disarm Election", "arm Heartbeat"],
    );
}

#[test]
fn can_2_a_vote_counts_once_and_only_in_the_election_it_was_given_in() {
    let asking = || candidate(3, &[1], &[0, 1]).of(5);
    asking().receives(1, vote(3, true)).ignored(); // a duplicate
    asking().receives(2, vote(3, false)).ignored();
    asking().receives(2, vote(2, true)).ignored(); // of an earlier election
    follower(3, &[1]).voted_for(0).receives(1, vote(3, true)).ignored(); // lost already
    leader(3, &[1, 3], &[(1, 3, 2), (2, 3, 2)]).receives(1, vote(3, true)).ignored(); // won already
}

#[test]
fn can_3_a_candidate_follows_the_leader_of_its_term_and_keeps_its_vote() {
    candidate(2, &[1], &[0]).receives(1, append(2, (1, 1), &[2], 0)).then(
        "follower t2 voted=0 log=[1.noop 2.noop] commit=0 leader=1",
        &["save", "arm Election", "to 1: Match i2 t2"],
    );
    // Also when it must refuse the entries.
    candidate(2, &[1], &[0]).receives(1, append(2, (1, 2), &[2], 0)).then(
        "follower t2 voted=0 log=[1.noop] commit=0 leader=1",
        &["arm Election", "to 1: Conflict at i2: nothing from i2 on t2"],
    );
    candidate(2, &[1], &[0])
        .receives(1, append(1, (1, 1), &[1], 0))
        .unchanged(&["to 1: StaleTerm t2"]);
}

#[test]
fn can_3_a_leader_drops_what_claims_to_be_from_another_leader_of_its_term() {
    let leading = || leader(2, &[1, 2], &[(1, 3, 2), (2, 3, 2)]);
    leading().receives(1, append(2, (1, 1), &[2, 2], 9)).ignored();
    leading().receives(1, append(2, (2, 9), &[], 9)).ignored();
}

#[test]
fn can_4_a_candidate_that_is_not_elected_in_time_starts_a_new_election() {
    candidate(2, &[1], &[0, 3]).of(5).times_out(Timer::Election).then(
        "candidate t3 voted=0 log=[1.noop] commit=0 votes=[0]",
        &[
            "save",
            "arm Election x2",
            "to 1: RequestVote t3 last=(t1 i1)",
            "to 2: RequestVote t3 last=(t1 i1)",
            "to 3: RequestVote t3 last=(t1 i1)",
            "to 4: RequestVote t3 last=(t1 i1)",
        ],
    );
}

#[test]
fn can_5_each_election_that_fails_doubles_the_next_timeout_up_to_four_times() {
    // The last leader was of term 1. Nobody is elected in term 2, nor in any that follows.
    let mut candidate = follower(1, &[1]);
    for (term, armed) in [
        (2, "arm Election"),
        (3, "arm Election x2"),
        (4, "arm Election x4"),
        (5, "arm Election x4"),
    ] {
        let step = candidate.times_out(Timer::Election);
        assert_eq!(step.out()[1], armed, "the election of term {term}");
        candidate = step.given();
    }
    // Who votes in such an election waits as long for its outcome.
    let voter = follower(3, &[1]).receives(1, request_vote(3, (1, 1)));
    assert_eq!(voter.out()[1], "arm Election x2");
    // Once there is a leader, timeouts are short again.
    let following = follower(5, &[1]).receives(1, append(5, (1, 1), &[], 0));
    assert_eq!(following.out()[0], "arm Election");
}

// ---- RequestVote, receiver ----

#[test]
fn rv_1_a_candidate_of_an_earlier_term_is_refused_and_told_the_term() {
    follower(3, &[1]).receives(1, request_vote(2, (1, 9))).unchanged(&["to 1: Vote t3 denied"]);
    candidate(3, &[1], &[0])
        .receives(1, request_vote(2, (1, 9)))
        .unchanged(&["to 1: Vote t3 denied"]);
    leader(3, &[1, 3], &[(1, 3, 2), (2, 3, 2)])
        .receives(1, request_vote(2, (1, 9)))
        .unchanged(&["to 1: Vote t3 denied"]);
}

#[test]
fn rv_2_a_free_vote_goes_to_a_log_at_least_as_up_to_date() {
    for last in [(2, 2), (2, 3), (3, 1)] {
        follower(4, &[1, 2]).receives(1, request_vote(4, last)).then(
            "follower t4 voted=1 log=[1.noop 2.noop] commit=0",
            &["save", "arm Election x2", "to 1: Vote t4 granted"],
        );
    }
    for last in [(0, 0), (1, 1), (1, 9), (2, 1)] {
        let refused = &["to 1: Vote t4 denied"];
        follower(4, &[1, 2]).receives(1, request_vote(4, last)).unchanged(refused);
    }
}

#[test]
fn rv_2_one_vote_a_term_first_come_first_served() {
    let voted = || follower(4, &[1]).voted_for(2);
    voted().receives(1, request_vote(4, (3, 9))).unchanged(&["to 1: Vote t4 denied"]);
    // The reply may have been lost: the same candidate gets it again.
    voted()
        .receives(2, request_vote(4, (1, 1)))
        .unchanged(&["arm Election x4", "to 2: Vote t4 granted"]);
    candidate(4, &[1], &[0])
        .receives(1, request_vote(4, (3, 9)))
        .unchanged(&["to 1: Vote t4 denied"]);
    // Knowing the leader of the term frees no vote, a new term does.
    voted().following(2).receives(1, request_vote(4, (3, 9))).unchanged(&["to 1: Vote t4 denied"]);
    voted().receives(1, request_vote(5, (1, 1))).then(
        "follower t5 voted=1 log=[1.noop] commit=0",
        &["save", "arm Election x4", "to 1: Vote t5 granted"],
    );
}

/// A request that was sent twice arrives late: who asked leads by now, with other votes than this one.
#[test]
fn rv_2_a_late_copy_of_a_leaders_request_frees_no_vote() {
    let copy = || request_vote(4, (1, 1));
    let refused = &["to 1: Vote t4 denied"];
    let voted = || follower(4, &[1, 4]).voted_for(2);
    voted().following(1).receives(1, copy()).unchanged(refused);
    voted().following(1).committed(2).receives(1, copy()).unchanged(refused);
    // Nor does it if the log is empty still, nor twice in a row.
    let empty = follower(4, &[]).voted_for(2).following(1);
    empty.receives(1, copy()).unchanged(refused).receives(1, copy()).unchanged(refused);
    // Who voted for it says so again, whatever it has got from it since, unless its log is ahead now.
    follower(4, &[1])
        .voted_for(1)
        .following(1)
        .receives(1, copy())
        .unchanged(&["arm Election x4", "to 1: Vote t4 granted"]);
    follower(4, &[1, 4]).voted_for(1).following(1).receives(1, copy()).unchanged(refused);
    // A leader and a candidate gave theirs to themselves.
    leader(4, &[1, 4], &[(1, 3, 0), (2, 3, 0)]).receives(1, copy()).unchanged(refused);
    candidate(4, &[1], &[0, 2]).of(5).receives(1, copy()).unchanged(refused);
}

// ---- AppendEntries, receiver ----

#[test]
fn ae_1_a_leader_of_an_earlier_term_is_refused_and_told_the_term() {
    let late = append(2, (1, 1), &[2], 1);
    follower(3, &[1]).following(2).receives(1, late.clone()).unchanged(&["to 1: StaleTerm t3"]);
    candidate(3, &[1], &[0]).receives(1, late.clone()).unchanged(&["to 1: StaleTerm t3"]);
    leader(3, &[1, 3], &[(1, 3, 2), (2, 3, 2)])
        .receives(1, late)
        .unchanged(&["to 1: StaleTerm t3"]);
}

#[test]
fn ae_2_entries_that_do_not_connect_to_the_log_are_refused_with_a_hint() {
    // The log is shorter: nothing from the index after its last one on.
    follower(5, &[1, 2]).receives(1, append(5, (4, 4), &[5], 4)).then(
        "follower t5 log=[1.noop 2.noop] commit=0 leader=1",
        &["arm Election", "to 1: Conflict at i4: nothing from i3 on t5"],
    );
    // Another term is there: which, and the first index of it.
    follower(5, &[1, 2, 2, 2]).receives(1, append(5, (4, 4), &[5], 4)).then(
        "follower t5 log=[1.noop 2.noop 2.noop 2.noop] commit=0 leader=1",
        &["arm Election", "to 1: Conflict at i4: t2 from i2 on t5"],
    );
    // The position before the first entry is in every log.
    follower(5, &[])
        .receives(1, append(5, (0, 0), &[], 4))
        .then("follower t5 log=[] commit=0 leader=1", &["arm Election", "to 1: Match i0 t5"]);
}

/// A heartbeat asks what every AppendEntries asks: whether the log has that entry, not just any.
#[test]
fn ae_2_a_heartbeat_that_does_not_connect_to_the_log_is_refused_likewise() {
    let following = || follower(4, &[1, 2, 2]).following(1);
    following()
        .receives(1, append(4, (1, 3), &[], 3))
        .unchanged(&["arm Election", "to 1: Conflict at i3: t2 from i2 on t4"]);
    following()
        .receives(1, append(4, (3, 2), &[], 3))
        .unchanged(&["arm Election", "to 1: Conflict at i2: t2 from i2 on t4"]);
    following()
        .receives(1, append(4, (2, 4), &[], 3))
        .unchanged(&["arm Election", "to 1: Conflict at i4: nothing from i4 on t4"]);
}

#[test]
fn ae_3_a_conflicting_entry_and_all_that_follow_it_are_deleted() {
    follower(3, &[1, 2, 2, 2]).receives(1, append(3, (1, 1), &[3], 0)).then(
        "follower t3 log=[1.noop 3.noop] commit=0 leader=1",
        &["save", "arm Election", "to 1: Match i2 t3"],
    );
    follower(3, &[1, 1, 2, 2]).receives(1, append(3, (0, 0), &[1, 1, 3, 3], 0)).then(
        "follower t3 log=[1.noop 1.noop 3.noop 3.noop] commit=0 leader=1",
        &["save", "arm Election", "to 1: Match i4 t3"],
    );
}

/// What a deposed leader left may be of a later term than the leader's entries there, though not than the
/// leader's own term.
#[test]
fn ae_3_a_conflicting_tail_of_a_later_term_is_deleted_likewise() {
    follower(5, &[1, 4, 4, 4]).receives(1, append(5, (1, 1), &[2], 0)).then(
        "follower t5 log=[1.noop 2.noop] commit=0 leader=1",
        &["save", "arm Election", "to 1: Match i2 t5"],
    );
    follower(5, &[1, 2, 4]).receives(1, append(5, (1, 1), &[2, 3, 5], 3)).then(
        "follower t5 log=[1.noop 2.noop 3.noop 5.noop] commit=3 leader=1",
        &["save", "arm Election", "to 1: Match i4 t5"],
    );
    // A leader that probes further on is told where that later term begins.
    follower(5, &[1, 4, 4, 4])
        .following(1)
        .receives(1, append(5, (2, 4), &[5], 0))
        .unchanged(&["arm Election", "to 1: Conflict at i4: t4 from i2 on t5"]);
}

/// An old AppendEntries may arrive after a later, longer one that was acknowledged.
#[test]
fn ae_3_without_a_conflict_nothing_is_deleted() {
    let full = follower(1, &[1, 1, 1]).following(1);
    for (prev, entries, last_new) in [((0, 0), &[1][..], 1), ((1, 1), &[1], 2), ((1, 1), &[], 1)] {
        let reply = format!("to 1: Match i{last_new} t1");
        full.clone().receives(1, append(1, prev, entries, 0)).unchanged(&["arm Election", &reply]);
    }
}

#[test]
fn ae_4_entries_not_in_the_log_are_appended_once() {
    let msg = append(2, (1, 1), &[1, 2, 2], 0);
    let after = "follower t2 log=[1.noop 1.noop 2.noop 2.noop] commit=0 leader=1";
    let full = follower(2, &[1, 1]).receives(1, msg.clone());
    let full = full.then(after, &["save", "arm Election", "to 1: Match i4 t2"]);
    full.receives(1, msg).unchanged(&["arm Election", "to 1: Match i4 t2"]);
}

#[test]
fn ae_5_commit_follows_the_leader_up_to_the_last_new_entry() {
    let log = "[1.noop 1.noop 1.noop]";
    let full = || follower(1, &[1, 1, 1]);
    let state = |commit| format!("follower t1 log={log} commit={commit} leader=1");
    // What stands beyond the last new entry may be of no leader's: it is not committed.
    full()
        .receives(1, append(1, (0, 0), &[1], 3))
        .then(&state(1), &["arm Election", "to 1: Match i1 t1"]);
    full()
        .receives(1, append(1, (1, 2), &[], 3))
        .then(&state(2), &["arm Election", "to 1: Match i2 t1"]);
    full()
        .receives(1, append(1, (1, 1), &[1, 1], 2))
        .then(&state(2), &["arm Election", "to 1: Match i3 t1"]);
    // It never decreases.
    let two = || full().committed(2).following(1);
    two().receives(1, append(1, (1, 3), &[], 1)).unchanged(&["arm Election", "to 1: Match i3 t1"]);
    two().receives(1, append(1, (0, 0), &[1], 3)).unchanged(&["arm Election", "to 1: Match i1 t1"]);
    // Nor moves when the entries are refused.
    full()
        .following(1)
        .receives(1, append(1, (1, 4), &[], 3))
        .unchanged(&["arm Election", "to 1: Conflict at i4: nothing from i4 on t1"]);
}

// ---- what no correct cluster asks for ----

#[test]
fn guard_1_a_committed_entry_is_never_deleted_and_who_is_asked_to_halts() {
    let committed = || follower(3, &[1, 2, 3]).committed(2).following(1);
    let halted = |index| {
        format!("halted t4 log=[1.noop 2.noop 3.noop] commit=2 leader=2 disagrees at {index}")
    };
    // Another entry at a committed position, and another one before the new entries.
    for (msg, index) in [
        (append(4, (1, 1), &[3], 0), 2),
        (append(4, (0, 0), &[4, 4, 4], 0), 1),
        (append(4, (1, 2), &[], 0), 2),
        (append(4, (1, 2), &[4], 2), 2),
    ] {
        let server =
            committed().receives(2, msg).then(&halted(index), &["save", "disarm Election"]);
        let Role::Halted(disagreement) = server.server().role else { panic!("it has halted") };
        assert_eq!((disagreement.leader, disagreement.term), (Id::from(2), Term(4)));
        assert_eq!(disagreement.index, Index(index));
        assert_eq!(disagreement.committed, Term(index), "the term of its own entry");
        // From then on it answers nobody, and does nothing by itself.
        server.clone().receives(1, append(4, (1, 1), &[2, 3], 3)).ignored();
        server.clone().receives(1, request_vote(9, (9, 9))).ignored();
        server.clone().receives(CLIENT, register(1)).ignored();
        server.clone().times_out(Timer::Election).ignored();
        server.times_out(Timer::Heartbeat).ignored();
    }
}

#[test]
fn guard_1_what_is_not_committed_may_be_deleted_and_what_is_equal_may_come_again() {
    let committed = || follower(4, &[1, 2, 3]).committed(2).following(1);
    committed().receives(1, append(4, (2, 2), &[4], 2)).then(
        "follower t4 log=[1.noop 2.noop 4.noop] commit=2 leader=1",
        &["save", "arm Election", "to 1: Match i3 t4"],
    );
    committed()
        .receives(1, append(4, (0, 0), &[1, 2], 2))
        .unchanged(&["arm Election", "to 1: Match i2 t4"]);
    committed()
        .receives(1, append(4, (4, 3), &[], 2))
        .unchanged(&["arm Election", "to 1: Conflict at i3: t3 from i3 on t4"]);
    // A leader of an earlier term proves nothing: it may never have heard of what was committed.
    committed().receives(1, append(3, (1, 2), &[3], 2)).unchanged(&["to 1: StaleTerm t4"]);
}

#[test]
fn guard_2_a_term_out_of_reach_moves_the_own_by_a_bounded_step_and_is_not_answered() {
    const REACH: u64 = 1 << 32;
    let log = "log=[1.noop] commit=0";
    // The furthest that is believed.
    let step = follower(7, &[1]).receives(1, request_vote(7 + REACH, (1, 1)));
    assert_eq!(step.out()[2], format!("to 1: Vote t{} granted", 7 + REACH));
    // One more, and the last there can be.
    for term in [8 + REACH, (1 << 63) - 1] {
        let after = format!("follower t{} {log}", 7 + REACH);
        follower(7, &[1]).receives(1, request_vote(term, (1, 1))).then(&after, &["save"]);
        follower(7, &[1]).receives(1, vote(term, true)).then(&after, &["save"]);
        follower(7, &[1]).receives(1, append(term, (1, 1), &[], 1)).then(&after, &["save"]);
        follower(7, &[1]).receives(1, stale_term(term)).then(&after, &["save"]);
    }
    // A leader steps down as for any later term, and the next election is one like any other.
    let deposed = leader(7, &[7], &[(1, 2, 1), (2, 2, 1)]).receives(1, stale_term(1 << 62)).then(
        &format!("follower t{} log=[7.noop] commit=0", 7 + REACH),
        &["save", "disarm Heartbeat", "arm Election"],
    );
    let step = deposed.times_out(Timer::Election);
    assert_eq!(step.out()[2], format!("to 1: RequestVote t{} last=(t7 i1)", 8 + REACH));
    // Who is behind by more than one step catches up step by step: nobody is locked out.
    let mut behind = follower(7, &[1]);
    for _ in 0..3 {
        behind = behind.receives(1, append(7 + 3 * REACH, (1, 1), &[], 1)).given();
    }
    assert_eq!(behind.server().persistent.current_term, Term(7 + 3 * REACH));
    assert_eq!(behind.server().role, Role::follower(Some(Id::from(1))));
}

// ---- leaders ----

#[test]
fn ldr_1_a_leader_sends_to_all_others_at_every_heartbeat() {
    leader(2, &[1, 2], &[(1, 3, 2), (2, 3, 2)]).committed(2).times_out(Timer::Heartbeat).unchanged(
        &[
            "arm Heartbeat",
            "to 1: AppendEntries t2 prev=(t2 i2) [] commit=2",
            "to 2: AppendEntries t2 prev=(t2 i2) [] commit=2",
        ],
    );
    // Entries that were not acknowledged may be lost: the heartbeat repeats them.
    leader(2, &[1, 2], &[(1, 2, 0), (2, 1, 0)]).times_out(Timer::Heartbeat).unchanged(&[
        "arm Heartbeat",
        "to 1: AppendEntries t2 prev=(t1 i1) [2.noop] commit=0",
        "to 2: AppendEntries t2 prev=(t0 i0) [1.noop 2.noop] commit=0",
    ]);
}

/// A leader that repeats entries only when they were lost, and halves what is more than `smallest` no-ops.
fn asking(term: u64, log: &[u64], peers: &[(usize, u64, u64)], smallest: usize) -> Given {
    let noop = noop_size();
    leader(term, log, peers).with(|parameters| {
        parameters.retry = Retry::WhenLost { smallest_batch: smallest * noop };
        parameters.max_bytes = 4 * noop;
    })
}

fn noop_size() -> usize {
    log(&[1]).get(Index(1)).expect("an entry").size()
}

#[test]
fn ldr_5_a_heartbeat_over_unanswered_entries_is_empty_and_asks_about_their_end() {
    // The first time, entries are sent; until they are answered, their end is asked about.
    let sent = asking(2, &[1, 2, 2], &[(1, 2, 1), (2, 4, 3)], 1).times_out(Timer::Heartbeat).then(
        "leader t2 voted=0 log=[1.noop 2.noop 2.noop] commit=0 next={1:2 2:4} match={1:1 2:3} \
         unanswered={1:..3}",
        &[
            "arm Heartbeat",
            "to 1: AppendEntries t2 prev=(t1 i1) [2.noop 2.noop] commit=0",
            "to 2: AppendEntries t2 prev=(t2 i3) [] commit=0",
        ],
    );
    let asked = sent.times_out(Timer::Heartbeat).unchanged(&[
        "arm Heartbeat",
        "to 1: AppendEntries t2 prev=(t2 i3) [] commit=0",
        "to 2: AppendEntries t2 prev=(t2 i3) [] commit=0",
    ]);
    // The answer is the one that the entries themselves would have got.
    let rest = "leader t2 voted=0 log=[1.noop 2.noop 2.noop]";
    asked
        .clone()
        .receives(1, matched(2, 3))
        .then(&format!("{rest} commit=3 next={{1:4 2:4}} match={{1:3 2:3}}"), &[]);
    // New entries wait for the answer, too.
    let step = asked.receives(CLIENT, register(1));
    assert_eq!(
        step.out(),
        ["save", "to 2: AppendEntries t2 prev=(t2 i3) [2.register(9#1)] commit=0"]
    );
}

#[test]
fn ldr_6_entries_that_were_lost_are_sent_again_half_as_many_at_a_time() {
    let log = [2, 2, 2, 2, 2];
    let first = asking(2, &log, &[(1, 1, 0), (2, 6, 5)], 1).times_out(Timer::Heartbeat).given();
    let sent =
        |entries: &str| [format!("to 1: AppendEntries t2 prev=(t0 i0) [{entries}] commit=0")];
    let lost = first.receives(1, conflict(2, 4, None, 1));
    assert_eq!(lost.out(), sent("2.noop 2.noop"));
    // An answer about the end of what was sent before says nothing about what is sent now.
    let half = lost.given();
    half.clone().receives(1, conflict(2, 4, None, 1)).ignored();
    let lost = half.receives(1, conflict(2, 2, None, 1));
    assert_eq!(lost.out(), sent("2.noop"));
    // No smaller than that, however often.
    let lost = lost.given().receives(1, conflict(2, 1, None, 1));
    assert_eq!(lost.out(), sent("2.noop"));
    // What gets through is followed by as little; once the follower has all, nothing is remembered.
    let step = lost.given().receives(1, matched(2, 1));
    assert_eq!(step.out(), ["to 1: AppendEntries t2 prev=(t2 i1) [2.noop] commit=5"]);
    step.given().receives(1, matched(2, 5)).then(
        "leader t2 voted=0 log=[2.noop 2.noop 2.noop 2.noop 2.noop] commit=5 next={1:6 2:6} match={1:5 2:5}",
        &[],
    );
}

#[test]
fn ldr_6_an_entry_too_large_to_halve_is_sent_again_after_pauses_that_double() {
    let large = command_bytes(1, 2, Bytes::from(vec![0; 2 * noop_size()]));
    let leading = asking(1, &[1], &[(1, 2, 1), (2, 2, 1)], 1).receives(CLIENT, large).given();
    // Two halvings come first, which change nothing: an AppendEntries has one entry at least.
    let mut server = leading;
    for _ in 0..2 {
        let step = server.receives(1, conflict(1, 2, None, 2));
        assert_eq!(step.out().len(), 1, "sent again at once");
        server = step.given();
    }
    let carries_it = |step: &Vec<String>| {
        step.iter().any(|line| line.contains("to 1: AppendEntries t1 prev=(t1 i1) [1.command"))
    };
    for pause in [1, 2, 4, 8, 16, 16] {
        server = server.receives(1, conflict(1, 2, None, 2)).given();
        for heartbeat in 1..=pause {
            let step = server.times_out(Timer::Heartbeat);
            assert_eq!(
                carries_it(&step.out().to_vec()),
                heartbeat == pause,
                "{heartbeat} of {pause}"
            );
            server = step.given();
        }
    }
    // A heartbeat within a pause asks nothing: what it is answered is known.
    let pausing = server.receives(1, conflict(1, 2, None, 2)).given();
    pausing.receives(1, matched(1, 1)).ignored();
}

#[test]
fn ldr_2_a_command_is_appended_and_answered_when_it_is_applied() {
    let opened = leader(1, &[], &[(1, 1, 0), (2, 1, 0)]).receives(CLIENT, register(1)).then(
        "leader t1 voted=0 log=[1.register(9#1)] commit=0 next={1:1 2:1} match={1:0 2:0}",
        &[
            "save",
            "to 1: AppendEntries t1 prev=(t0 i0) [1.register(9#1)] commit=0",
            "to 2: AppendEntries t1 prev=(t0 i0) [1.register(9#1)] commit=0",
        ],
    );
    opened.receives(1, matched(1, 1)).then(
        "leader t1 voted=0 log=[1.register(9#1)] commit=1 next={1:2 2:1} match={1:1 2:0} \
         sessions={1@1} {}",
        &["to 9: Registered #1 session=1"],
    );
}

/// It may apply its whole log at once, after a restart; nobody waits for those answers.
#[test]
fn ldr_2_a_later_leader_applies_an_entry_and_leaves_the_answer_to_a_retry() {
    let noop = Entry { term: Term(2), payload: Payload::Noop };
    let elected = leader(2, &[], &[(1, 2, 0), (2, 2, 0)]).holding([register_entry(1, 1, 8), noop]);
    elected.receives(1, matched(2, 2)).then(
        "leader t2 voted=0 log=[1.register(9#1) 2.noop] commit=2 next={1:3 2:2} match={1:2 2:0} \
         sessions={1@1} {}",
        &[],
    );
}

/// AppendEntries to the others are on the way; their replies fetch the entry.
#[test]
fn ldr_2_a_command_goes_at_once_to_the_followers_that_have_all_before_it() {
    let put = command(1, 2, &put("k", "v"));
    leader(1, &[1, 1], &[(1, 3, 2), (2, 2, 1)]).committed(2).receives(CLIENT, put).then(
        "leader t1 voted=0 log=[1.noop 1.noop 1.command(1#2 \\x00\\x01k\\x01v)] commit=2 \
         next={1:3 2:2} match={1:2 2:1}",
        &[
            "save",
            "to 1: AppendEntries t1 prev=(t1 i2) [1.command(1#2 \\x00\\x01k\\x01v)] commit=2",
        ],
    );
}

#[test]
fn ldr_2_a_server_alone_applies_and_answers_at_once() {
    leader(1, &[1], &[]).of(1).committed(1).receives(CLIENT, register(7)).then(
        "leader t1 voted=0 log=[1.noop 1.register(9#7)] commit=2 next={} match={} sessions={2@2} {}",
        &["save", "to 9: Registered #7 session=2"],
    );
}

#[test]
fn ldr_3_a_follower_is_sent_what_it_lacks_from_next_index_on() {
    leader(3, &[1, 2, 3], &[(1, 1, 0), (2, 2, 0)])
        .committed(1)
        .times_out(Timer::Heartbeat)
        .unchanged(&[
            "arm Heartbeat",
            "to 1: AppendEntries t3 prev=(t0 i0) [1.noop 2.noop 3.noop] commit=1",
            "to 2: AppendEntries t3 prev=(t1 i1) [2.noop 3.noop] commit=1",
        ]);
}

#[test]
fn ldr_3_an_append_entries_is_bounded_in_entries_and_in_bytes() {
    let leading = || leader(3, &[1, 2, 3], &[(1, 1, 0), (2, 3, 0)]);
    let bounded = &[
        "arm Heartbeat",
        "to 1: AppendEntries t3 prev=(t0 i0) [1.noop 2.noop] commit=0",
        "to 2: AppendEntries t3 prev=(t2 i2) [3.noop] commit=0",
    ];
    let of_two = leading().with(|parameters| parameters.max_entries = 2);
    of_two.times_out(Timer::Heartbeat).unchanged(bounded);
    let size = log(&[1]).get(Index(1)).expect("an entry").size();
    let of_bytes = leading().with(|parameters| parameters.max_bytes = 3 * size - 1);
    of_bytes.clone().times_out(Timer::Heartbeat).unchanged(bounded);
    // A smallest batch that is larger than max_bytes is no excuse.
    let retry = Retry::WhenLost { smallest_batch: 9 * size };
    let of_batches = of_bytes.with(|parameters| parameters.retry = retry);
    let state = "leader t3 voted=0 log=[1.noop 2.noop 3.noop] commit=0 next={1:1 2:3} match={1:0 2:0} \
                 unanswered={1:..2 2:..3}";
    of_batches.times_out(Timer::Heartbeat).then(state, bounded);
}

#[test]
fn ldr_3a_a_success_raises_next_and_match_index_and_fetches_the_rest() {
    leader(2, &[1, 1, 2, 2], &[(1, 2, 0), (2, 5, 0)]).receives(1, matched(2, 2)).then(
        "leader t2 voted=0 log=[1.noop 1.noop 2.noop 2.noop] commit=0 next={1:3 2:5} match={1:2 2:0}",
        &["to 1: AppendEntries t2 prev=(t1 i2) [2.noop 2.noop] commit=0"],
    );
    // An old success says less than what has been sent since.
    leader(2, &[1, 1, 2, 2], &[(1, 5, 0), (2, 5, 0)]).receives(1, matched(2, 2)).then(
        "leader t2 voted=0 log=[1.noop 1.noop 2.noop 2.noop] commit=0 next={1:5 2:5} match={1:2 2:0}",
        &[],
    );
}

#[test]
fn ldr_3a_an_old_repeated_or_impossible_success_changes_nothing() {
    let leading = || leader(2, &[1, 2, 2], &[(1, 3, 2), (2, 4, 3)]);
    leading().receives(1, matched(2, 2)).ignored();
    leading().receives(1, matched(2, 1)).ignored();
    leading().receives(1, matched(2, 0)).ignored();
    leading().receives(1, matched(1, 3)).ignored(); // of an earlier term
    leading().receives(1, matched(2, 4)).ignored(); // beyond the log
    leading().receives(3, matched(2, 3)).ignored(); // no member
    leading().receives(1, stale_term(2)).ignored(); // of the term itself
    follower(2, &[1, 2]).voted_for(0).receives(1, matched(2, 2)).ignored(); // leads no more
    candidate(2, &[1], &[0]).receives(1, matched(2, 1)).ignored(); // nor yet
}

/// Only the success that makes a majority commits; the later ones are noted and change nothing else.
#[test]
fn ldr_4_a_success_at_or_below_the_commit_index_is_noted_and_commits_nothing() {
    let leading = || leader(2, &[1, 2, 2], &[(1, 4, 3), (2, 2, 0)]).committed(3);
    let noted = |matched: u64, next: u64| {
        let log = "[1.noop 2.noop 2.noop]";
        format!(
            "leader t2 voted=0 log={log} commit=3 next={{1:4 2:{next}}} match={{1:3 2:{matched}}}"
        )
    };
    leading().receives(2, matched(2, 3)).then(&noted(3, 4), &[]);
    // Below it there is more to send, with the commit index as it is.
    let rest = "to 2: AppendEntries t2 prev=(t2 i2) [2.noop] commit=3";
    leading().receives(2, matched(2, 2)).then(&noted(2, 3), &[rest]);
    let rest = "to 2: AppendEntries t2 prev=(t1 i1) [2.noop 2.noop] commit=3";
    leading().receives(2, matched(2, 1)).then(&noted(1, 2), &[rest]);
}

#[test]
fn ldr_3b_a_refusal_moves_next_index_back_by_the_hint_and_retries() {
    let leading = || leader(5, &[1, 1, 2, 4, 4], &[(1, 5, 0), (2, 6, 0)]);
    let back = |next, sent: &str| {
        let log = "[1.noop 1.noop 2.noop 4.noop 4.noop]";
        let state =
            format!("leader t5 voted=0 log={log} commit=0 next={{1:{next} 2:6}} match={{1:0 2:0}}");
        (state, format!("to 1: AppendEntries t5 {sent} commit=0"))
    };
    let cases = [
        // The follower's log is shorter: from its end on.
        (conflict(5, 4, None, 2), back(2, "prev=(t1 i1) [1.noop 2.noop 4.noop 4.noop]")),
        // The leader has no entry of that term: from where the follower's begin on.
        (conflict(5, 4, Some(3), 2), back(2, "prev=(t1 i1) [1.noop 2.noop 4.noop 4.noop]")),
        // The leader has some: from after its last one on.
        (conflict(5, 4, Some(2), 3), back(4, "prev=(t2 i3) [4.noop 4.noop]")),
        (conflict(5, 4, Some(1), 1), back(3, "prev=(t1 i2) [2.noop 4.noop 4.noop]")),
        // A hint that leads nowhere still moves back by one, and never before the first entry.
        (conflict(5, 4, Some(4), 4), back(4, "prev=(t2 i3) [4.noop 4.noop]")),
        (conflict(5, 4, None, 9), back(4, "prev=(t2 i3) [4.noop 4.noop]")),
        (conflict(5, 4, None, 0), back(1, "prev=(t0 i0) [1.noop 1.noop 2.noop 4.noop 4.noop]")),
    ];
    for (refusal, (state, sent)) in cases {
        leading().receives(1, refusal).then(&state, &[&sent]);
    }
}

#[test]
fn ldr_3b_next_index_never_falls_to_what_is_known_to_match() {
    leader(5, &[1, 1, 2, 4], &[(1, 5, 2), (2, 5, 0)]).receives(1, conflict(5, 4, None, 1)).then(
        "leader t5 voted=0 log=[1.noop 1.noop 2.noop 4.noop] commit=0 next={1:3 2:5} match={1:2 2:0}",
        &["to 1: AppendEntries t5 prev=(t1 i2) [2.noop 4.noop] commit=0"],
    );
    let known = leader(5, &[1, 1, 2, 4], &[(1, 3, 2), (2, 5, 0)]);
    known.receives(1, conflict(5, 2, None, 1)).ignored();
}

#[test]
fn ldr_3b_a_refusal_of_another_position_or_term_is_an_old_one() {
    let leading = || leader(5, &[1, 1, 2, 4], &[(1, 4, 0), (2, 5, 0)]);
    leading().receives(1, conflict(5, 4, None, 1)).ignored();
    leading().receives(1, conflict(5, 2, None, 1)).ignored();
    leading().receives(1, conflict(4, 3, None, 1)).ignored();
    leading().receives(3, conflict(5, 3, None, 1)).ignored(); // no member
    follower(5, &[1, 1]).receives(1, conflict(5, 2, None, 1)).ignored();
}

#[test]
fn ldr_4_an_entry_of_the_term_on_a_majority_is_committed_with_all_before_it() {
    let leading = || {
        leader(2, &[1, 2, 2], &[(1, 2, 0), (2, 2, 0)]).with(|parameters| parameters.max_entries = 1)
    };
    leading().receives(1, matched(2, 2)).then(
        "leader t2 voted=0 log=[1.noop 2.noop 2.noop] commit=2 next={1:3 2:2} match={1:2 2:0}",
        &["to 1: AppendEntries t2 prev=(t2 i2) [2.noop] commit=2"],
    );
    leading().receives(2, matched(2, 3)).then(
        "leader t2 voted=0 log=[1.noop 2.noop 2.noop] commit=3 next={1:2 2:4} match={1:0 2:3}",
        &[],
    );
}

#[test]
fn ldr_4_half_of_the_servers_is_no_majority() {
    let of_four = leader(2, &[1, 2], &[(1, 2, 0), (2, 2, 0), (3, 2, 0)]).of(4);
    let two = of_four.receives(1, matched(2, 2)).then(
        "leader t2 voted=0 log=[1.noop 2.noop] commit=0 next={1:3 2:2 3:2} match={1:2 2:0 3:0}",
        &[],
    );
    two.receives(3, matched(2, 2)).then(
        "leader t2 voted=0 log=[1.noop 2.noop] commit=2 next={1:3 2:2 3:3} match={1:2 2:0 3:2}",
        &[],
    );
}

/// Figure 8: counting replicas commits no entry of an earlier term.
#[test]
fn ldr_4_an_entry_of_an_earlier_term_is_not_committed_by_counting() {
    let leading = leader(4, &[1, 2, 4], &[(1, 2, 1), (2, 3, 2)]);
    leading.with(|parameters| parameters.max_entries = 1).receives(1, matched(4, 2)).then(
        "leader t4 voted=0 log=[1.noop 2.noop 4.noop] commit=0 next={1:3 2:3} match={1:2 2:2}",
        &["to 1: AppendEntries t4 prev=(t2 i2) [4.noop] commit=0"],
    );
}

#[test]
fn noop_a_leader_starts_its_term_with_an_entry_that_does_nothing() {
    let elected = candidate(3, &[1, 1], &[0]).committed(1).receives(2, vote(3, true)).then(
        "leader t3 voted=0 log=[1.noop 1.noop 3.noop] commit=1 next={1:3 2:3} match={1:0 2:0}",
        &[
            "save",
            "disarm Election",
            "arm Heartbeat",
            "to 1: AppendEntries t3 prev=(t1 i2) [3.noop] commit=1",
            "to 2: AppendEntries t3 prev=(t1 i2) [3.noop] commit=1",
        ],
    );
    // It commits what earlier leaders left, and nobody is answered.
    elected.receives(1, matched(3, 3)).then(
        "leader t3 voted=0 log=[1.noop 1.noop 3.noop] commit=3 next={1:4 2:3} match={1:3 2:0}",
        &[],
    );
}

/// A leader finds out that all is committed only with an entry of its own: it appends one whatever it knows
/// of the commit index.
#[test]
fn noop_a_leader_appends_one_though_everything_is_committed_already() {
    candidate(3, &[1, 2], &[0]).committed(2).receives(2, vote(3, true)).then(
        "leader t3 voted=0 log=[1.noop 2.noop 3.noop] commit=2 next={1:3 2:3} match={1:0 2:0}",
        &[
            "save",
            "disarm Election",
            "arm Heartbeat",
            "to 1: AppendEntries t3 prev=(t2 i2) [3.noop] commit=2",
            "to 2: AppendEntries t3 prev=(t2 i2) [3.noop] commit=2",
        ],
    );
    follower(3, &[1, 3]).of(1).committed(2).times_out(Timer::Election).then(
        "leader t4 voted=0 log=[1.noop 3.noop 4.noop] commit=3 next={} match={}",
        &["save", "arm Election", "disarm Election", "arm Heartbeat"],
    );
}

// ---- clients ----

#[test]
fn cli_1_who_does_not_lead_says_who_does() {
    for (request, number) in [(register(1), 1), (command(1, 2, &put("k", "v")), 2)] {
        let reply = |leader: &str| format!("to 9: NotLeader #{number} leader={leader}");
        let following = follower(1, &[1]).following(2);
        following.receives(CLIENT, request.clone()).unchanged(&[&reply("2")]);
        follower(1, &[1]).receives(CLIENT, request.clone()).unchanged(&[&reply("unknown")]);
        candidate(1, &[], &[0]).receives(CLIENT, request).unchanged(&[&reply("unknown")]);
    }
}

#[test]
fn cli_2_a_command_that_does_not_fit_a_message_does_not_enter_the_log() {
    let empty = command_entry(1, 1, 2, &put("k", "v"));
    let overhead = empty.size() - put("k", "v").encode().len();
    let leading = || {
        leader(1, &[1], &[(1, 2, 1), (2, 2, 1)])
            .with(|parameters| parameters.max_bytes = overhead + 100)
    };
    let request = |bytes| command_bytes(1, 2, Bytes::from(vec![0; bytes]));
    leading().receives(CLIENT, request(101)).unchanged(&["to 9: TooLarge #2 limit=100"]);
    leading().receives(CLIENT, request(1 << 20)).unchanged(&["to 9: TooLarge #2 limit=100"]);
    let taken = leading().receives(CLIENT, request(100)).given();
    assert_eq!(taken.server().persistent.log.last_index(), Index(2));
}

#[test]
fn cli_2_whatever_the_limit_a_session_can_be_opened() {
    let smallest = Parameters::SMALLEST_MAX_BYTES;
    let leading = || leader(1, &[], &[]).of(1).with(|parameters| parameters.max_bytes = smallest);
    let step = leading().receives(CLIENT, register(1));
    assert_eq!(step.out(), ["save", "to 9: Registered #1 session=1"]);
    let step = step.given().receives(CLIENT, command(1, 2, &put("key", "value")));
    assert_eq!(step.out(), ["save", "to 9: Applied #2 Done"]);

    for max_bytes in [0, smallest - 1, Parameters::LARGEST_MAX_BYTES + 1, usize::MAX] {
        let parameters = Parameters { max_bytes, ..Parameters::default() };
        assert_eq!(parameters.validate(), Err(SetupError::MaxBytes(max_bytes)));
    }
}

/// The limits of CLI-3 are for clients. A leader that may not append its no-op could never commit again.
#[test]
fn noop_a_leader_appends_one_though_as_many_entries_wait_as_may() {
    let standing = candidate(3, &[1, 1], &[0]).with(|parameters| parameters.max_uncommitted = 1);
    let elected = standing.receives(2, vote(3, true)).given();
    assert_eq!(elected.server().persistent.log.last(), (Term(3), Index(3)));
}

#[test]
fn cli_3_a_leader_that_cannot_commit_drops_requests_until_it_can() {
    let leading = leader(1, &[1, 1], &[(1, 3, 0), (2, 3, 0)])
        .with(|parameters| parameters.max_uncommitted = 2);
    leading.clone().receives(CLIENT, register(1)).ignored();
    leading.clone().receives(CLIENT, command(1, 2, &put("k", "v"))).ignored();
    let one_committed = leading.committed(1).receives(CLIENT, register(1)).given();
    assert_eq!(one_committed.server().persistent.log.last_index(), Index(3));
}

#[test]
fn cli_3_a_leader_that_cannot_commit_bounds_the_bytes_that_wait_too() {
    let request = |sequence, bytes| command_bytes(1, sequence, Bytes::from(vec![0; bytes]));
    let overhead = noop_size();
    let limit = 4 * (overhead + 100);
    let leading = leader(1, &[1], &[(1, 2, 1), (2, 2, 1)])
        .committed(1)
        .with(|parameters| parameters.max_bytes = overhead + 100)
        .with(|parameters| parameters.max_uncommitted_bytes = limit as u64);
    let mut server = leading;
    for sequence in 2..=5 {
        server = server.receives(CLIENT, request(sequence, 100)).given();
    }
    assert_eq!(server.server().persistent.log.last_index(), Index(5), "four fit exactly");
    server.clone().receives(CLIENT, request(6, 0)).ignored();
    // What is committed waits no longer.
    let committed = server.receives(1, matched(1, 2)).given();
    let taken = committed.receives(CLIENT, request(6, 100)).given();
    assert_eq!(taken.server().persistent.log.last_index(), Index(6));

    // Entries of earlier leaders may be larger than this leader would take.
    let command = Bytes::from(vec![0; 40_000]);
    let client = Id::from(CLIENT);
    let payload = Payload::Command { client, session: Index(1), sequence: 1, command };
    let large = Entry { term: Term(1), payload };
    let noop = Entry { term: Term(2), payload: Payload::Noop };
    let inherited = leader(2, &[1], &[(1, 4, 0), (2, 4, 0)])
        .holding([large, noop])
        .with(|parameters| parameters.max_bytes = overhead + 100)
        .with(|parameters| parameters.max_uncommitted_bytes = 40_000);
    inherited.receives(CLIENT, request(2, 1)).ignored();

    let parameters =
        Parameters { max_uncommitted_bytes: 99, max_bytes: 100, ..Parameters::default() };
    assert_eq!(parameters.validate(), Err(SetupError::MaxUncommittedBytes(99, 100)));
}

#[test]
fn cli_4_a_copy_of_a_request_that_waits_is_not_appended_again() {
    let leading = || {
        leader(1, &[1], &[(1, 2, 1), (2, 2, 1)])
            .with(|parameters| parameters.copies = Copies::Awaited)
    };
    let waiting = leading().receives(CLIENT, register(1)).given();
    waiting.clone().receives(CLIENT, register(1)).ignored();
    let request = || command(2, 2, &put("k", "v"));
    let waiting = waiting.receives(CLIENT, request()).given();
    waiting.clone().receives(CLIENT, request()).ignored();
    // Another client, another number and another command are other requests.
    for other in [command(2, 3, &put("k", "v")), command(2, 2, &put("k", "w")), register(2)] {
        let taken = waiting.clone().receives(CLIENT, other).given();
        assert_eq!(taken.server().persistent.log.last_index(), Index(4));
    }
    let taken = waiting.clone().receives(CLIENT + 1, request()).given();
    assert_eq!(taken.server().persistent.log.last_index(), Index(4));
    // What was committed has been answered; if that was lost, a new entry fetches the answer (SES-4).
    let applied = waiting.receives(1, matched(1, 3)).given();
    let taken = applied.receives(CLIENT, request()).given();
    assert_eq!(taken.server().persistent.log.last_index(), Index(4));
    // An entry of an earlier leader is not answered by this one, so the copy is taken.
    let inherited = leading().holding([register_entry(1, 1, 8)]);
    let later = inherited.receives(1, request_vote(2, (1, 9))).given();
    let elected = later.times_out(Timer::Election).given().receives(1, vote(3, true)).given();
    let taken = elected.receives(CLIENT, register(1)).given();
    assert_eq!(taken.server().persistent.log.last(), (Term(3), Index(4)));
}

// ---- sessions ----

/// A follower of term 1 that has applied these entries.
fn applied(entries: impl IntoIterator<Item = Entry>) -> Given {
    let holding = follower(1, &[]).following(1).holding(entries);
    let (term, index) = holding.server().persistent.log.last();
    holding.receives(1, append(1, (term.0, index.0), &[], index.0)).given()
}

/// The leader of term 1, alone, that has applied a registration and these commands.
fn leading(commands: impl IntoIterator<Item = Message>) -> Given {
    let leader = leader(1, &[], &[]).of(1).receives(CLIENT, register(1)).given();
    commands.into_iter().fold(leader, |leader, command| leader.receives(CLIENT, command).given())
}

fn sessions(server: &Given) -> String {
    format!("{:?} {:?}", server.server().sessions, server.server().machine)
}

#[test]
fn ses_1_a_session_is_the_index_of_the_entry_that_opened_it() {
    let opened = applied([register_entry(1, 1, 8), register_entry(1, 1, 8)]);
    assert_eq!(sessions(&opened), "sessions={1@1 2@2} {}");
    // All open it, only the leader answers.
    follower(1, &[])
        .holding([register_entry(1, 1, 8)])
        .receives(1, append(1, (1, 1), &[], 1))
        .then(
            "follower t1 log=[1.register(9#1)] commit=1 leader=1 sessions={1@1} {}",
            &["arm Election", "to 1: Match i1 t1"],
        );
    let step = leading([]).receives(CLIENT, register(2));
    assert_eq!(step.out(), ["save", "to 9: Registered #2 session=2"]);
    // The number of sessions is the entry's: all servers evict alike, however they are set.
    let step = leader(1, &[], &[(1, 1, 0), (2, 1, 0)])
        .with(|parameters| parameters.max_sessions = 7)
        .receives(CLIENT, register(1));
    let entry = step.given().server().persistent.log.get(Index(1)).cloned();
    assert_eq!(entry, Some(register_entry(1, 1, 7)));
}

#[test]
fn ses_2_a_command_of_an_unknown_session_is_never_applied() {
    for session in [0, 2, 3, u64::MAX] {
        let step = leading([]).receives(CLIENT, command(session, 2, &put("k", "v")));
        assert_eq!(step.out(), ["save", "to 9: SessionExpired #2"]);
        assert_eq!(sessions(&step.given()), "sessions={1@1} {}");
    }
}

#[test]
fn ses_3_an_old_number_is_ignored() {
    let done = leading([command(1, 2, &put("k", "a")), command(1, 4, &put("k", "b"))]);
    assert_eq!(sessions(&done), "sessions={1:#4@3} {k=b}");
    for old in [0, 1, 2, 3] {
        let step = done.clone().receives(CLIENT, command(1, old, &put("k", "c")));
        assert_eq!(step.out(), ["save"]);
        // It is a sign of life all the same.
        assert_eq!(sessions(&step.given()), "sessions={1:#4@4} {k=b}");
    }
}

#[test]
fn ses_4_the_last_command_is_answered_again_and_not_applied_again() {
    let once = leading([command(1, 2, &create("k", "a"))]);
    let retry = once.receives(CLIENT, command(1, 2, &create("k", "a")));
    assert_eq!(retry.out(), ["save", "to 9: Applied #2 Done"]); // again: Mismatch(Some("a"))
    let twice = retry.given();
    assert_eq!(sessions(&twice), "sessions={1:#2@3} {k=a}");
    let record = twice.server().sessions.get(Index(1)).expect("an open session");
    assert_eq!(record.last, Some((2, Output::Done.encode())));
    // The next number is a new command.
    let next = twice.receives(CLIENT, command(1, 3, &create("k", "b")));
    assert_eq!(next.out(), ["save", "to 9: Applied #3 Mismatch(Some(b\"a\"))"]);
}

#[test]
fn ses_5_the_session_used_longest_ago_is_evicted_by_the_entrys_limit() {
    let entries = [
        register_entry(1, 1, 2),
        register_entry(1, 1, 2),
        command_entry(1, 1, 2, &put("k", "a")), // session 1 is now the younger one
        register_entry(1, 1, 2),
    ];
    assert_eq!(sessions(&applied(entries.clone())), "sessions={1:#2@3 4@4} {k=a}");
    // An entry with a lower limit evicts as many as it takes; there is always room for itself.
    for limit in [0, 1] {
        let more = entries.iter().cloned().chain([register_entry(1, 1, limit)]);
        assert_eq!(sessions(&applied(more)), "sessions={5@5} {k=a}");
    }
    // A retry after eviction is not applied.
    let late = entries.iter().cloned().chain([
        register_entry(1, 1, 1),
        command_entry(1, 1, 2, &put("k", "late")),
        command_entry(1, 1, 3, &put("k", "late")),
    ]);
    assert_eq!(sessions(&applied(late)), "sessions={5@5} {k=a}");
}

/// Age is counted from the last use, not from the registration, and not by the number of the session.
#[test]
fn ses_5_of_three_sessions_the_third_goes_if_it_was_used_longest_ago() {
    let entries = [
        register_entry(1, 1, 3),
        register_entry(1, 1, 3),
        register_entry(1, 1, 3),
        command_entry(1, 2, 2, &put("k", "b")),
        command_entry(1, 1, 2, &put("k", "a")),
    ];
    assert_eq!(sessions(&applied(entries.clone())), "sessions={1:#2@5 2:#2@4 3@3} {k=a}");
    let fourth = entries.iter().cloned().chain([register_entry(1, 1, 3)]);
    assert_eq!(sessions(&applied(fourth.clone())), "sessions={1:#2@5 2:#2@4 6@6} {k=a}");
    // A copy of the last command is a use, and an old one too: now the first of them is the oldest.
    let used = fourth.chain([
        command_entry(1, 2, 2, &put("k", "b")),
        command_entry(1, 6, 3, &put("k", "c")),
        register_entry(1, 1, 3),
    ]);
    assert_eq!(sessions(&applied(used)), "sessions={2:#2@7 6:#3@8 9@9} {k=c}");
}

/// A session is used when it is opened: one that was never used since outlives one whose last use is older.
#[test]
fn ses_5_a_younger_session_that_was_never_used_stays() {
    let entries = [
        register_entry(1, 1, 2),
        command_entry(1, 1, 2, &put("k", "a")),
        register_entry(1, 1, 2), // never used
        register_entry(1, 1, 2),
    ];
    assert_eq!(sessions(&applied(entries.clone())), "sessions={3@3 4@4} {k=a}");
    // And it goes when it is the older one: a command of a session that is gone is no use of it.
    let more = entries.into_iter().chain([
        command_entry(1, 1, 3, &put("k", "late")),
        command_entry(1, 3, 2, &put("k", "b")),
        register_entry(1, 1, 2),
    ]);
    assert_eq!(sessions(&applied(more)), "sessions={3:#2@6 7@7} {k=b}");
}

#[test]
fn ses_5_as_many_sessions_are_open_as_were_opened_up_to_the_entrys_limit() {
    for (opened, open) in [(0, 0), (1, 1), (2, 2), (3, 3), (4, 3), (5, 3)] {
        let entries = (1..=opened).map(|sequence| register_entry(1, sequence, 3));
        let server = applied(entries).server().clone();
        assert_eq!(server.sessions.len(), open, "{opened} were opened");
        assert_eq!(server.sessions.is_empty(), open == 0, "{opened} were opened");
    }
}

// ---- what the checker relies on ----

#[test]
fn a_message_delivered_twice_in_a_row_changes_nothing_the_second_time() {
    let saved = Persistent {
        current_term: Term(2),
        voted_for: Some(Id::from(1)),
        log: log(&[1]),
        ..Persistent::default()
    };
    let start = follower(0, &[]).starts_with(Some(saved)).given();
    for msg in [
        request_vote(2, (1, 1)),
        request_vote(3, (0, 0)),
        vote(3, true),
        append(2, (1, 1), &[2], 2),
        append(2, (1, 5), &[2], 2),
        matched(3, 1),
    ] {
        let once = start.clone().receives(1, msg.clone()).given();
        let twice = once.clone().receives(1, msg).given();
        assert_eq!(format!("{:?}", once.server()), format!("{:?}", twice.server()));
        assert!(once.server() == twice.server());
    }
}

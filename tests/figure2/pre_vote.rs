//! The rules against disturbing elections: pre-vote, stickiness and check-quorum.

use super::given::*;
use checked_raft::raft::{Index, Message, Parameters, Role, Term, Timer};
use std::collections::BTreeSet;

/// A follower of term 2 that asks for pre-votes before it stands.
fn asks() -> Given {
    follower(2, &[1, 2]).with(|it| it.pre_vote = true)
}

/// Followers stick to their leader, and leaders look whether they hear a majority.
fn sticks(it: &mut Parameters) {
    (it.stickiness, it.check_quorum) = (true, true);
}

#[test]
fn pv_1_a_server_asks_for_pre_votes_and_keeps_its_term() {
    let asking = asks().following(1).times_out(Timer::Election).then(
        "pre-candidate t2 log=[1.noop 2.noop] commit=0 votes=[0]",
        &["arm Election", "to 1: PreVote for t3 last=(t2 i2)", "to 2: PreVote for t3 last=(t2 i2)"],
    );
    // Each campaign draws a new election timeout, and asks again.
    let again = asking.receives(1, pre_voted(2, 3, false)).given().times_out(Timer::Election);
    assert_eq!(again.out()[0], "arm Election");
    assert_eq!(again.out().len(), 3);
}

#[test]
fn pv_1_a_candidate_that_was_not_elected_asks_again() {
    let candidate = candidate(3, &[1, 2], &[0]).with(|it| it.pre_vote = true);
    candidate.times_out(Timer::Election).then(
        "pre-candidate t3 voted=0 log=[1.noop 2.noop] commit=0 votes=[0]",
        &["arm Election", "to 1: PreVote for t4 last=(t2 i2)", "to 2: PreVote for t4 last=(t2 i2)"],
    );
}

#[test]
fn pv_2_a_pre_vote_changes_nothing_whatever_the_answer() {
    let voter = || asks().voted_for(1);
    for (question, granted) in [
        (pre_vote(3, (2, 2)), true),
        (pre_vote(9, (2, 2)), true),
        (pre_vote(3, (2, 3)), true),
        // The vote of term 2 is not free any more.
        (pre_vote(2, (1, 2)), false),
        (pre_vote(3, (2, 1)), false),
        (pre_vote(3, (1, 9)), false),
    ] {
        let Message::PreVote(args) = &question else { unreachable!("all are pre-votes") };
        let granted = if granted { "granted" } else { "denied" };
        let answer = format!("to 2: PreVote t2 for t{} {granted}", args.next_term);
        voter().receives(2, question).unchanged(&[&answer]);
    }
}

#[test]
fn pv_2_a_server_that_hears_its_leader_refuses_and_tells_its_term() {
    let heard = asks().with(sticks).receives(1, append(2, (2, 2), &[], 0)).given();
    heard.receives(2, pre_vote(3, (2, 2))).unchanged(&["to 2: PreVote t2 for t3 denied"]);
    let leading = leader(2, &[1, 2], &[(1, 3, 2), (2, 3, 2)]).with(sticks);
    leading.receives(2, pre_vote(3, (2, 2))).unchanged(&["to 2: PreVote t2 for t3 denied"]);
}

#[test]
fn pv_2_a_refusal_teaches_a_later_term() {
    let asking = asks().times_out(Timer::Election).given();
    asking
        .receives(1, pre_voted(7, 3, false))
        .then("follower t7 log=[1.noop 2.noop] commit=0", &["save"]);
}

#[test]
fn pv_3_a_majority_of_pre_votes_begins_the_election() {
    let asking = asks().of(5).times_out(Timer::Election).given();
    let welcome = asking
        .receives(1, pre_voted(2, 3, true))
        .then("pre-candidate t2 log=[1.noop 2.noop] commit=0 votes=[0, 1]", &[]);
    // Asked twice, a server has one pre-vote.
    let welcome = welcome.receives(1, pre_voted(2, 3, true)).ignored();
    welcome.receives(4, pre_voted(0, 3, true)).then(
        "candidate t3 voted=0 log=[1.noop 2.noop] commit=0 votes=[0]",
        &[
            "save",
            "arm Election",
            "to 1: RequestVote t3 last=(t2 i2)",
            "to 2: RequestVote t3 last=(t2 i2)",
            "to 3: RequestVote t3 last=(t2 i2)",
            "to 4: RequestVote t3 last=(t2 i2)",
        ],
    );
}

#[test]
fn pv_3_only_granted_answers_about_the_next_term_count() {
    let asking = asks().times_out(Timer::Election).given();
    asking.clone().receives(1, pre_voted(2, 3, false)).ignored();
    asking.clone().receives(1, pre_voted(2, 2, true)).ignored();
    asking.clone().receives(1, pre_voted(2, 4, true)).ignored();
    // A pre-vote is no vote.
    candidate(3, &[1, 2], &[0]).receives(1, pre_voted(2, 3, true)).ignored();
    asking.receives(1, vote(2, true)).ignored();
}

#[test]
fn pv_3_a_server_that_is_alone_asks_nobody() {
    let step = follower(0, &[]).of(1).with(|it| it.pre_vote = true).times_out(Timer::Election);
    assert!(step.given().server().is_leader());
}

#[test]
fn pv_3_a_server_that_has_voted_for_another_asks_no_more() {
    let asking = follower(2, &[1]).with(|it| it.pre_vote = true).times_out(Timer::Election).given();
    let voted = asking.receives(1, request_vote(2, (1, 1))).then(
        "follower t2 voted=1 log=[1.noop] commit=0",
        &["save", "arm Election", "to 1: Vote t2 granted"],
    );
    voted.receives(2, pre_voted(2, 3, true)).ignored();
}

#[test]
fn stick_1_a_follower_that_hears_its_leader_ignores_requests_for_votes() {
    let heard = follower(2, &[1, 2]).with(sticks).receives(1, append(2, (2, 2), &[], 0)).then(
        "follower t2 log=[1.noop 2.noop] commit=0 leader=1 sticky",
        &["arm Stickiness", "arm Election", "to 1: Match i2 t2"],
    );
    let heard = heard.receives(2, request_vote(3, (2, 2))).ignored();
    let elapsed = heard
        .times_out(Timer::Stickiness)
        .then("follower t2 log=[1.noop 2.noop] commit=0 leader=1", &[]);
    elapsed.receives(2, request_vote(3, (2, 2))).then(
        "follower t3 voted=2 log=[1.noop 2.noop] commit=0",
        &["save", "arm Election", "to 2: Vote t3 granted"],
    );
}

#[test]
fn stick_1_a_leader_ignores_requests_for_votes() {
    let leading = leader(2, &[1, 2], &[(1, 3, 2), (2, 3, 2)]).with(sticks);
    leading.receives(2, request_vote(9, (2, 2))).ignored();
}

#[test]
fn stick_1_a_follower_that_loses_its_leader_may_vote_at_once() {
    let heard = || {
        let follower = follower(2, &[1, 2]).with(sticks);
        follower.receives(1, append(2, (2, 2), &[], 0)).given()
    };
    // A later term ends it, and so does the follower's own election timeout.
    heard()
        .receives(2, stale_term(5))
        .then("follower t5 log=[1.noop 2.noop] commit=0", &["save", "disarm Stickiness"]);
    for pre_vote in [false, true] {
        let stands = heard().with(|it| it.pre_vote = pre_vote).times_out(Timer::Election);
        let at = usize::from(!pre_vote); // behind the save of the new term
        assert_eq!(stands.out()[at], "disarm Stickiness");
        stands.given().times_out(Timer::Stickiness).ignored();
    }
}

#[test]
fn cq_1_a_leader_that_hears_no_majority_steps_down() {
    let peers = [(1, 3, 2), (2, 3, 2), (3, 3, 2), (4, 3, 2)];
    let leading = leader(2, &[1, 2], &peers).of(5).with(|it| it.check_quorum = true);
    let heard = leading.receives(1, matched(2, 2)).given();
    // An answer of an earlier term is no sign of life.
    let heard = heard.receives(2, stale_term(1)).ignored();
    let majority = heard.clone().receives(3, matched(2, 2)).given();
    heard.times_out(Timer::Election).then(
        "follower t2 voted=0 log=[1.noop 2.noop] commit=0",
        &["disarm Heartbeat", "arm Election"],
    );
    // The leader that heard two of the other four leads on. It counts from zero again.
    let looked = majority.times_out(Timer::Election);
    assert_eq!(looked.out(), ["arm Election"]);
    let looked = looked.given();
    let Role::Leader(leader) = &looked.server().role else { panic!("it leads") };
    assert!(leader.followers.values().all(|progress| !progress.is_heard));
    assert!(!looked.times_out(Timer::Election).given().server().is_leader());
}

#[test]
fn cq_1_a_server_that_is_elected_measures_the_time_from_there() {
    let elected = candidate(2, &[1], &[0]).with(|it| it.check_quorum = true);
    let step = elected.receives(1, vote(2, true));
    assert_eq!(step.out()[..2], ["save", "arm Election"]);
    assert_eq!(step.given().server().persistent.log.last(), (Term(2), Index(2)));
}

#[test]
fn cq_1_a_leader_that_steps_down_refuses_the_reads_that_wait() {
    let leading = leader(2, &[1, 2], &[(1, 3, 2), (2, 3, 2)]).committed(2);
    let asked = leading.with(|it| it.check_quorum = true).receives(CLIENT, read(4, "k")).given();
    let step = asked.times_out(Timer::Election);
    assert_eq!(
        step.out(),
        ["disarm Heartbeat", "arm Election", "to 9: NotLeader #4 leader=unknown"]
    );
}

#[test]
fn pv_3_only_members_are_counted() {
    let asking = asks().times_out(Timer::Election).given();
    asking.clone().receives(7, pre_voted(2, 3, true)).ignored();
    let Role::PreCandidate { pre_votes_granted } = &asking.server().role else { panic!("it asks") };
    assert_eq!(*pre_votes_granted, BTreeSet::from([0.into()]));
}

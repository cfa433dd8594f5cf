//! The rules of reads without a log entry. `read=9#4:r2@3` is the read number 4 of client 9, which waits for
//! round 2 and for entry 3.

use super::given::*;
use checked_raft::raft::{Index, Term, WAITING_READS};

/// A leader of term 2 that has committed its no-op, entry 2, and has replicated it to all.
fn leads() -> Given {
    leader(2, &[1, 2], &[(1, 3, 2), (2, 3, 2)]).committed(2)
}

const LEADS: &str = "leader t2 voted=0 log=[1.noop 2.noop] commit=2 next={1:3 2:3} match={1:2 2:2}";

/// A follower's answer to a heartbeat of this round.
fn answer(round: u64) -> checked_raft::raft::Message {
    of_round(round, matched(2, 2))
}

#[test]
fn read_1_a_read_notes_the_commit_index_and_names_no_entry() {
    let asked = leads().receives(CLIENT, read(4, "k")).then(
        &format!("{LEADS} round=1 answered={{1:0 2:0}} read=9#4:r1@2"),
        &[
            "to 1: AppendEntries t2 prev=(t2 i2) [] commit=2 round 1",
            "to 2: AppendEntries t2 prev=(t2 i2) [] commit=2 round 1",
        ],
    );
    // Nothing is saved for a read, and a copy of it waits once.
    assert_eq!(asked.server().persistent.log.last(), (Term(2), Index(2)));
    asked.receives(CLIENT, read(4, "k")).ignored();
}

#[test]
fn read_1_a_new_leader_answers_only_when_an_entry_of_its_term_is_committed() {
    let new = leader(2, &[1, 2], &[(1, 3, 1), (2, 3, 1)]).committed(1);
    let asked = new.receives(CLIENT, read(4, "k")).given();
    // A majority has answered the round, but nobody knows yet what is committed.
    let confirmed = asked.receives(1, of_round(1, conflict(2, 1, None, 1))).then(
        "leader t2 voted=0 log=[1.noop 2.noop] commit=1 next={1:3 2:3} match={1:1 2:1} round=1 \
         answered={1:1 2:0} read=9#4:r1@2",
        &[],
    );
    let step = confirmed.receives(1, answer(1));
    assert_eq!(step.out(), ["to 9: Read #4: Value(None)"]);
}

#[test]
fn read_1_at_most_so_many_reads_wait() {
    let mut full = leads();
    for sequence in 0..WAITING_READS as u64 {
        full = full.receives(CLIENT, read(sequence, "k")).given();
    }
    full.receives(CLIENT, read(1 << 40, "k")).ignored();
}

#[test]
fn read_2_reads_that_wait_share_the_next_round() {
    let first = leads().receives(CLIENT, read(1, "k")).given();
    // The answers to round 1 may be older than these reads, so they wait for round 2.
    let second = first
        .receives(8, read(1, "k"))
        .then(&format!("{LEADS} round=1 answered={{1:0 2:0}} read=9#1:r1@2 read=8#1:r2@2"), &[]);
    let third = second.receives(7, read(1, "k")).given();
    let round = third.receives(2, answer(1)).then(
        &format!("{LEADS} round=2 answered={{1:0 2:1}} read=8#1:r2@2 read=7#1:r2@2"),
        &[
            "to 9: Read #1: Value(None)",
            "to 1: AppendEntries t2 prev=(t2 i2) [] commit=2 round 2",
            "to 2: AppendEntries t2 prev=(t2 i2) [] commit=2 round 2",
        ],
    );
    round.receives(1, answer(2)).then(
        &format!("{LEADS} round=2 answered={{1:2 2:1}}"),
        &["to 8: Read #1: Value(None)", "to 7: Read #1: Value(None)"],
    );
}

#[test]
fn read_2_only_answers_of_this_term_to_this_round_or_a_later_one_count() {
    let asked = leads().receives(CLIENT, read(4, "k")).given();
    let again = asked.receives(1, answer(1)).given().receives(CLIENT, read(5, "k")).given();
    // A late answer to the first round, one to no round, and one of an earlier term.
    for msg in [answer(1), answer(0), of_round(2, matched(1, 2))] {
        again.clone().receives(1, msg).ignored();
    }
    // A refusal is as good as a success: whoever answers in this term knows of no later one.
    let step = again.clone().receives(2, of_round(2, conflict(2, 1, None, 1)));
    assert_eq!(step.out(), ["to 9: Read #5: Value(None)"]);
    // A round that has not begun is forged, and counts as the present one.
    let step = again.receives(2, answer(9));
    assert_eq!(step.given().server().leader().expect("it leads").followers[&2.into()].round, 2);
}

#[test]
fn read_2_a_majority_must_answer() {
    let peers = [(1, 3, 2), (2, 3, 2), (3, 3, 2), (4, 3, 2)];
    let five = leader(2, &[1, 2], &peers).of(5).committed(2);
    let asked = five.receives(CLIENT, read(4, "k")).given();
    let one = asked.receives(1, answer(1)).given();
    one.clone().receives(1, answer(1)).ignored();
    let step = one.receives(3, answer(1));
    assert_eq!(step.out(), ["to 9: Read #4: Value(None)"]);
    // Who is alone is a majority.
    let alone = leader(1, &[1], &[]).of(1).committed(1);
    let step = alone.receives(CLIENT, read(4, "k"));
    assert_eq!(step.out(), ["to 9: Read #4: Value(None)"]);
}

#[test]
fn read_2_the_round_stands_in_every_request_and_answer() {
    let asked = leads().receives(CLIENT, read(4, "k")).given();
    let step = asked.times_out(checked_raft::raft::Timer::Heartbeat);
    assert_eq!(step.out()[1], "to 1: AppendEntries t2 prev=(t2 i2) [] commit=2 round 1");
    let follower = || follower(2, &[1, 2]).committed(2).following(1);
    let heartbeat = |prev| of_round(7, append(2, prev, &[], 2));
    follower()
        .receives(1, heartbeat((2, 2)))
        .unchanged(&["arm Election", "to 1: Match i2 t2 round 7"]);
    follower()
        .receives(1, heartbeat((2, 3)))
        .unchanged(&["arm Election", "to 1: Conflict at i3: nothing from i3 on t2 round 7"]);
}

#[test]
fn read_3_the_answer_is_what_the_state_machine_holds_when_the_round_is_answered() {
    let entries = [register_entry(2, 1, 8), command_entry(2, 2, 2, &put("k", "v"))];
    let leads = leader(2, &[2], &[(1, 4, 0), (2, 4, 0)]).holding(entries);
    let asked = leads.receives(CLIENT, read(9, "k")).given();
    // The read waits for entry 1. What else is committed by then shows, too.
    let step = asked.receives(1, of_round(1, matched(2, 3)));
    assert_eq!(step.out().last().map(String::as_str), Some("to 9: Read #9: Value(Some(b\"v\"))"));
}

#[test]
fn read_3_a_leader_that_steps_down_refuses_and_who_does_not_lead_says_so() {
    let asked = leads().receives(CLIENT, read(4, "k")).given();
    asked.receives(1, request_vote(3, (2, 2))).then(
        "follower t3 voted=1 log=[1.noop 2.noop] commit=2",
        &[
            "save",
            "disarm Heartbeat",
            "arm Election",
            "to 9: NotLeader #4 leader=unknown",
            "arm Election",
            "to 1: Vote t3 granted",
        ],
    );
    follower(2, &[2])
        .following(1)
        .receives(CLIENT, read(4, "k"))
        .unchanged(&["to 9: NotLeader #4 leader=1"]);
}

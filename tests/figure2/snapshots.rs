//! The rules of section 7 and Figure 13. A piece of a snapshot is shown by the range of its bytes.

use super::given::*;
use checked_raft::raft::{
    Index, InstallSnapshot, Message, Parameters, Payload, Persistent, Retry, Role, Snapshot, Timer,
};
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::sync::Arc;

/// Servers that take a snapshot after every two entries and keep none that it covers.
fn often(parameters: &mut Parameters) {
    (parameters.snapshot_after, parameters.snapshot_margin) = (Some(2), 0);
}

/// A follower of term 1 that has a snapshot up to entry 2, and `more` entries of these terms behind it.
fn covered(more: &[u64]) -> Given {
    let before = follower(1, &[1, 1]).with(often).following(1);
    let covered = before.receives(1, append(1, (1, 2), &[], 2)).given();
    covered.receives(1, append(1, (1, 2), more, 2)).given()
}

/// A leader of term 2 whose log starts after entry 2, and that follower 2 has just refused.
fn sends(change: impl FnOnce(&mut Parameters)) -> Given {
    let elected = covered(&[]).with(change).times_out(Timer::Election).given();
    let leads = elected.receives(1, vote(2, true)).given();
    leads.receives(2, conflict(2, 2, None, 1)).given()
}

const SENDING: &str = "leader t2 voted=0 snapshot=2@t1 log=[..2 2.noop] commit=2 next={1:3 2:3} \
                       match={1:0 2:0} sending=";

/// The bytes of a snapshot in which a client has a session with a value of 100 bytes as its last answer, and
/// the key `k` has that value. They come as the parts of servers with small messages.
fn stream() -> (Vec<Vec<u8>>, Given) {
    let value = "0123456789".repeat(10).leak();
    let small = |parameters: &mut Parameters| {
        (parameters.max_bytes, parameters.snapshot_after) = (256, Some(4));
        parameters.snapshot_margin = 0;
    };
    let entries = [
        register_entry(1, 1, 8),
        command_entry(1, 2, 2, &put("k", value)),
        command_entry(1, 2, 3, &create("k", "other")),
    ];
    let whole = follower(1, &[1]).with(small).holding(entries).following(1);
    let whole = whole.receives(1, append(1, (1, 4), &[], 4)).given();
    let mut leads = whole.clone().times_out(Timer::Election).given();
    leads = leads.receives(1, vote(2, true)).given();
    let mut pieces = Vec::new();
    let mut msg = conflict(2, 4, None, 1);
    loop {
        let (next, piece) = answer(leads, msg);
        let Some(InstallSnapshot { offset, data, done, .. }) = piece else { panic!("a piece") };
        leads = next;
        msg = wants(2, 4, offset + data.len() as u64);
        pieces.push(data.to_vec());
        if done {
            return (pieces, whole);
        }
    }
}

/// Follower 2 answers the leader, which may send a piece.
fn answer(leads: Given, msg: Message) -> (Given, Option<InstallSnapshot>) {
    let raft = leads.raft().clone();
    let mut state = Cow::Borrowed(leads.server());
    let mut out = Out::new();
    raft.on_msg(Id::from(0), &mut state, Id::from(2), msg.clone(), &mut out);
    let piece = out.iter().find_map(|command| match command {
        stateright::actor::Command::Send(_, Message::InstallSnapshot(args)) => Some(args.clone()),
        _ => None,
    });
    (leads.receives(2, msg).given(), piece)
}

#[test]
fn snap_1_a_server_takes_a_snapshot_of_what_it_has_applied_and_drops_those_entries() {
    let server = || follower(1, &[1, 1, 1]).with(often).following(1);
    // Not yet, and then at once, whatever more there is in the log.
    server().receives(1, append(1, (1, 3), &[], 1)).then(
        "follower t1 log=[1.noop 1.noop 1.noop] commit=1 leader=1",
        &["arm Election", "to 1: Match i3 t1"],
    );
    let two = server().receives(1, append(1, (1, 3), &[], 2)).then(
        "follower t1 snapshot=2@t1 log=[..2 1.noop] commit=2 leader=1",
        &["save", "arm Election", "to 1: Match i3 t1"],
    );
    // The next one comes when two more are applied, and covers all of them.
    let three = two.receives(1, append(1, (1, 3), &[], 3)).then(
        "follower t1 snapshot=2@t1 log=[..2 1.noop] commit=3 leader=1",
        &["arm Election", "to 1: Match i3 t1"],
    );
    three.receives(1, append(1, (1, 3), &[1, 1], 5)).then(
        "follower t1 snapshot=5@t1 log=[..5 ] commit=5 leader=1",
        &["save", "arm Election", "to 1: Match i5 t1"],
    );
}

#[test]
fn snap_1_a_margin_of_covered_entries_stays_in_the_log() {
    let margin = |entries| {
        let parameters = move |it: &mut Parameters| {
            (it.snapshot_after, it.snapshot_margin) = (Some(2), entries);
        };
        follower(1, &[1, 1]).with(parameters).following(1).receives(1, append(1, (1, 2), &[], 2))
    };
    let out = ["save", "arm Election", "to 1: Match i2 t1"];
    margin(1).then("follower t1 snapshot=2@t1 log=[..1 1.noop] commit=2 leader=1", &out);
    let all = "follower t1 snapshot=2@t1 log=[1.noop 1.noop] commit=2 leader=1";
    margin(2).then(all, &out);
    margin(200_000).then(all, &out);
}

#[test]
fn snap_1_a_snapshot_is_due_as_well_when_many_bytes_are_applied() {
    let entry = command_entry(1, 9, 1, &put("k", "0123456789"));
    let bytes = 3 * entry.size() as u64;
    let many = |it: &mut Parameters| {
        (it.snapshot_after, it.snapshot_after_bytes, it.snapshot_margin) = (Some(99), bytes, 0);
    };
    let mut server = follower(1, &[]).with(many).following(1);
    // Each snapshot begins a new count.
    for (last, expected) in [(1, 0), (2, 0), (3, 3), (4, 3), (5, 3), (6, 6), (7, 6)] {
        let prev = if last == 1 { (0, 0) } else { (1, last - 1) };
        let step = server.receives(1, append_entries(1, prev, vec![entry.clone()], last));
        server = step.given();
        assert_eq!(server.server().persistent.snapshot.last_index, Index(expected), "{last}");
    }
    // A server that starts again applies the entries after its snapshot anew, and counts them anew.
    let saved = server.server().persistent.clone();
    let again = server.starts_with(Some(saved)).given();
    let again = again.receives(1, append_entries(1, (1, 7), vec![entry.clone()], 8)).given();
    assert_eq!(again.server().persistent.snapshot.last_index, Index(6));
    let again = again.receives(1, append_entries(1, (1, 8), vec![entry], 9)).given();
    assert_eq!(again.server().persistent.snapshot.last_index, Index(9));
}

#[test]
fn snap_1_a_log_does_not_grow_however_rarely_a_server_takes_a_snapshot() {
    let rarely = |it: &mut Parameters| {
        (it.snapshot_after, it.snapshot_margin) = (Some(60_000), 0);
    };
    let server = follower(1, &[]).with(rarely).following(1);
    let server = server.receives(1, append(1, (0, 0), &vec![1; 60_000], 60_000)).given();
    assert_eq!(server.server().persistent.log.start(), Index(60_000));
}

#[test]
fn snap_1_a_server_may_never_take_one() {
    let never = |it: &mut Parameters| {
        (it.snapshot_after, it.snapshot_after_bytes, it.snapshot_margin) = (None, 1, 0);
    };
    let server = follower(1, &[1, 1]).with(never).following(1);
    server.receives(1, append(1, (1, 2), &[], 2)).then(
        "follower t1 log=[1.noop 1.noop] commit=2 leader=1",
        &["arm Election", "to 1: Match i2 t1"],
    );
}

#[test]
fn snap_2_a_server_starts_with_the_state_of_its_snapshot() {
    let (_, server) = stream();
    let saved = server.server().persistent.clone();
    let again = follower(0, &[]).starts_with(Some(saved)).given();
    let (before, after) = (server.server(), again.server());
    assert_eq!((after.commit_index, after.last_applied), (Index(4), Index(4)));
    assert_eq!((&after.sessions, &after.machine), (&before.sessions, &before.machine));
    assert_eq!(after.machine.iter().count(), 1);
    // A server without one starts with nothing.
    let none = follower(0, &[]).starts_with(Some(Persistent::default())).given();
    assert_eq!(*none.server().persistent.snapshot, Snapshot::default());
    assert_eq!(none.server().commit_index, Index(0));
}

#[test]
fn snap_3_a_follower_that_needs_a_dropped_entry_is_sent_the_snapshot() {
    let elected =
        covered(&[]).times_out(Timer::Election).given().receives(1, vote(2, true)).given();
    let piece = "to 2: InstallSnapshot t2 last=(t1 i2) 0..7 done";
    let sending =
        elected.receives(2, conflict(2, 2, None, 1)).then(&format!("{SENDING}{{2:2@0}}"), &[piece]);
    // Meanwhile it is sent no entries, and the piece is repeated with every heartbeat.
    let repeated = sending.times_out(Timer::Heartbeat).then(
        &format!("{SENDING}{{2:2@0??}}"),
        &["arm Heartbeat", "to 1: AppendEntries t2 prev=(t1 i2) [2.noop] commit=2", piece],
    );
    // When it has the snapshot, it gets what follows.
    repeated.receives(2, matched(2, 2)).then(
        "leader t2 voted=0 snapshot=2@t1 log=[..2 2.noop] commit=2 next={1:3 2:3} match={1:0 2:2}",
        &["to 2: AppendEntries t2 prev=(t1 i2) [2.noop] commit=2"],
    );
}

#[test]
fn snap_4_an_answer_asks_for_the_piece_that_follows() {
    let (pieces, server) = stream();
    let ends: Vec<u64> = pieces
        .iter()
        .scan(0, |end, piece| {
            *end += piece.len() as u64;
            Some(*end)
        })
        .collect();
    assert_eq!(ends.len(), 2, "a part with the session, and one with the key");
    let elected = server.times_out(Timer::Election).given().receives(1, vote(2, true)).given();
    let first = elected.receives(2, conflict(2, 4, None, 1)).given();
    let second = format!("to 2: InstallSnapshot t2 last=(t1 i4) {}..{} done", ends[0], ends[1]);
    let step = first.clone().receives(2, wants(2, 4, ends[0]));
    assert_eq!(step.out(), [&second[..]]);
    let sent = step.given();
    // A copy of that answer, an earlier one, one about another snapshot or of another term, one of somebody
    // who is sent nothing, and one that asks for more than there is: they all change nothing.
    for msg in [wants(2, 4, ends[0]), wants(2, 4, 0), wants(2, 3, 0), wants(2, 4, 9999)] {
        sent.clone().receives(2, msg).ignored();
    }
    sent.clone().receives(1, wants(2, 4, ends[0])).ignored();
    sent.clone().receives(2, wants(1, 4, ends[1])).ignored();
    // A follower that has restarted asks for the beginning when the piece is repeated.
    let repeated = sent.times_out(Timer::Heartbeat).given();
    let step = repeated.receives(2, wants(2, 4, 0));
    assert_eq!(step.out(), [format!("to 2: InstallSnapshot t2 last=(t1 i4) 0..{}", ends[0])]);
    // One answer within a part moves on within it.
    let step = first.receives(2, wants(2, 4, 5));
    assert_eq!(step.out(), [format!("to 2: InstallSnapshot t2 last=(t1 i4) 5..{}", ends[0])]);
}

#[test]
fn snap_5_entries_that_the_log_has_dropped_are_known_to_match() {
    let after = "follower t1 snapshot=2@t1 log=[..2 1.noop] commit=2 leader=1";
    let server = || covered(&[1]);
    // All of the request lies in the snapshot, or its end is in the log, or goes beyond it.
    server()
        .receives(1, append(1, (0, 0), &[1], 2))
        .unchanged(&["arm Election", "to 1: Match i1 t1"]);
    server()
        .receives(1, append(1, (1, 1), &[], 2))
        .unchanged(&["arm Election", "to 1: Match i1 t1"]);
    let both = append(1, (0, 0), &[1, 1], 2);
    server().receives(1, both).unchanged(&["arm Election", "to 1: Match i2 t1"]);
    let three = append(1, (0, 0), &[1, 1, 1], 2);
    server().receives(1, three).then(after, &["arm Election", "to 1: Match i3 t1"]);
    server().receives(1, append(1, (1, 1), &[1, 1, 1], 2)).then(
        "follower t1 snapshot=2@t1 log=[..2 1.noop 1.noop] commit=2 leader=1",
        &["save", "arm Election", "to 1: Match i4 t1"],
    );
    // Another entry at the last included index contradicts what is committed (GUARD-1).
    let step = server().receives(2, append(2, (1, 1), &[2], 2));
    assert!(matches!(step.given().server().role, Role::Halted(_)));
}

#[test]
fn snap_6_a_leader_keeps_the_entries_after_a_snapshot_on_its_way() {
    let holds = |hold: u64| {
        move |it: &mut Parameters| (it.snapshot_hold, it.snapshot_after) = (hold, Some(1))
    };
    let start = |given: &Given| given.server().persistent.log.start();
    // Follower 2 has not answered any piece: nothing is held for it.
    let unanswered = sends(holds(9)).receives(1, matched(2, 3)).given();
    assert_eq!(start(&unanswered), Index(3));
    // It has answered one: what follows that snapshot is held, up to the limit.
    for (hold, expected) in [(9, 2), (1, 2), (0, 3)] {
        let answered = sends(holds(hold)).receives(2, wants(2, 2, 1)).given();
        let committed = answered.receives(1, matched(2, 3)).given();
        assert_eq!(committed.server().persistent.snapshot.last_index, Index(3));
        assert_eq!(start(&committed), Index(expected), "hold {hold}");
    }
}

/// A leader whose snapshot up to entry 2 has arrived at follower 2, and which has committed entries 3 and 4
/// with follower 1.
fn has_arrived(change: impl FnOnce(&mut Parameters)) -> Given {
    let answered = sends(change).receives(2, wants(2, 2, 1)).given();
    let committed = answered.receives(1, matched(2, 3)).given();
    commits(committed.receives(2, matched(2, 2)).given(), 4)
}

/// The leader appends one more entry, and follower 1 has it.
fn commits(leads: Given, index: u64) -> Given {
    let appended = leads.receives(CLIENT, register(index)).given();
    appended.receives(1, matched(2, index)).given()
}

#[test]
fn snap_6_a_leader_holds_what_a_follower_lacks_until_it_has_caught_up() {
    let often = |it: &mut Parameters| it.snapshot_after = Some(1);
    let start = |given: &Given| given.server().persistent.log.start();
    // The follower goes on, and what it still lacks is held.
    let behind = has_arrived(often);
    assert_eq!(start(&behind), Index(2));
    let nearer = commits(behind.receives(2, matched(2, 3)).given(), 5);
    assert_eq!(start(&nearer), Index(3));
    assert!(format!("{:?}", nearer.server()).contains(" match={1:5 2:3} held={2:3}"));
    // Once it has all that a snapshot covers, nothing is held for it any more.
    let whole = nearer.receives(2, matched(2, 5)).given();
    let whole = whole.receives(CLIENT, register(6)).given().receives(2, matched(2, 6)).given();
    assert_eq!(start(&whole), Index(6));
    let later = commits(whole, 7);
    assert_eq!(start(&later), Index(7));
    assert!(!format!("{:?}", later.server()).contains("held"));
}

#[test]
fn snap_6_a_follower_is_not_waited_for_when_the_margin_is_enough_or_the_limit_is_reached() {
    let parameters = |margin, hold| {
        move |it: &mut Parameters| {
            (it.snapshot_after, it.snapshot_margin, it.snapshot_hold) = (Some(1), margin, hold);
        }
    };
    // The entries that are covered, and those that the log holds of them.
    let held = |given: &Given| {
        let persistent = &given.server().persistent;
        (persistent.snapshot.last_index.0, persistent.log.start().0)
    };
    // Follower 2 has entry 2, so after entry 4 the margin begins there.
    let margin = has_arrived(parameters(2, 9));
    assert_eq!(held(&margin), (4, 2));
    assert_eq!(held(&commits(margin, 5)), (5, 3));
    // It has fallen behind the limit with entry 5.
    let limit = has_arrived(parameters(0, 2));
    assert_eq!(held(&limit), (4, 2));
    assert_eq!(held(&commits(limit, 5)), (5, 5));
}

#[test]
fn snap_6_a_follower_that_has_got_the_latest_snapshot_is_given_the_margin() {
    let often = |it: &mut Parameters| it.snapshot_after = Some(1);
    let arrived =
        sends(often).receives(2, wants(2, 2, 1)).given().receives(2, matched(2, 2)).given();
    let committed = arrived.receives(1, matched(2, 3)).given();
    assert_eq!(committed.server().persistent.log.start(), Index(3));
}

#[test]
fn snap_7_a_piece_is_sent_again_once_two_heartbeats_are_answered_without_it() {
    let asks = |it: &mut Parameters| {
        (it.retry, it.max_bytes) = (Retry::WhenLost { smallest_batch: 2 }, 64);
    };
    let heartbeat = "to 2: AppendEntries t2 prev=(t1 i2) [] commit=2";
    // A heartbeat carries nothing and asks about the last included entry.
    let step = sends(asks).times_out(Timer::Heartbeat);
    assert_eq!(step.out()[2], heartbeat);
    let unanswered = |given: &Given| {
        let line = format!("{:?}", given.server());
        line.split("sending=")
            .nth(1)
            .expect("it sends")
            .split(' ')
            .next()
            .expect("a word")
            .to_owned()
    };
    let sent = step.given();
    assert_eq!(unanswered(&sent), "{2:2@0}");
    let once = sent.receives(2, conflict(2, 2, None, 1));
    assert!(once.out().is_empty());
    let once = once.given();
    assert_eq!(unanswered(&once), "{2:2@0?}");
    let twice = once.clone().receives(2, conflict(2, 2, None, 1));
    assert_eq!(twice.out(), ["to 2: InstallSnapshot t2 last=(t1 i2) 0..7 done"]);
    let mut again = twice.given();
    assert_eq!(unanswered(&again), "{2:2@0/1??}");
    // Each further loss halves the piece, down to the smallest.
    for bytes in [7, 7, 4, 2, 2] {
        let step = again.receives(2, conflict(2, 2, None, 1));
        let done = if bytes == 7 { " done" } else { "" };
        let piece = format!("to 2: InstallSnapshot t2 last=(t1 i2) 0..{bytes}{done}");
        assert_eq!(step.out(), [&piece[..]]);
        again = step.given();
    }
    // An answer to the piece ends all doubt. A conflict about another entry is none.
    let step = once.clone().receives(2, wants(2, 2, 3));
    assert_eq!(step.out(), ["to 2: InstallSnapshot t2 last=(t1 i2) 3..7 done"]);
    assert_eq!(unanswered(&step.given()), "{2:2@3}");
    once.receives(2, conflict(2, 1, None, 1)).ignored();
}

#[test]
fn snap_7_pieces_grow_again_with_every_mib_that_has_arrived() {
    const MIB: u64 = 1 << 20;
    let asks = |it: &mut Parameters| {
        it.retry = Retry::WhenLost { smallest_batch: 1280 };
        (it.snapshot_after, it.snapshot_margin) = (Some(82), 0);
    };
    let value: &str = "v".repeat(30_000).leak();
    let puts = (2..82)
        .map(|number| command_entry(1, 2, number, &put(format!("{number:02}").leak(), value)));
    let entries = [register_entry(1, 1, 8)].into_iter().chain(puts);
    let whole = follower(1, &[1]).with(asks).holding(entries).following(1);
    let whole = whole.receives(1, append(1, (1, 82), &[], 82)).given();
    let elected = whole.times_out(Timer::Election).given().receives(1, vote(2, true)).given();
    let mut leads = elected;
    // It begins to send, and the first piece gets lost four times.
    for _ in 0..5 {
        leads = leads.receives(2, conflict(2, 82, None, 1)).given();
    }
    let (mut offset, mut longest) = (0, [0; 3]);
    let mut msg = conflict(2, 82, None, 1);
    while let (next, Some(piece)) = answer(leads, msg) {
        leads = next;
        let of_this_mib = &mut longest[usize::try_from(offset / MIB).expect("three MiB")];
        *of_this_mib = piece.data.len().max(*of_this_mib);
        offset = piece.offset + piece.data.len() as u64;
        msg = wants(2, 82, offset);
        if piece.done {
            break;
        }
    }
    assert_eq!(longest, [2048, 4096, 8192]);
}

#[test]
fn snap_7_a_follower_that_is_down_is_sent_one_piece_and_then_empty_heartbeats() {
    let asks = |it: &mut Parameters| it.retry = Retry::WhenLost { smallest_batch: 1280 };
    let mut leads = sends(asks);
    for _ in 0..3 {
        let step = leads.times_out(Timer::Heartbeat);
        assert_eq!(step.out()[2], "to 2: AppendEntries t2 prev=(t1 i2) [] commit=2");
        leads = step.given();
    }
}

// ---- the receiver ----

#[test]
fn is_1_a_leader_of_an_earlier_term_is_refused_and_told_the_term() {
    follower(2, &[2])
        .receives(1, install_snapshot(1, (1, 5), 0, &[0; 9], false))
        .unchanged(&["to 1: Wants t2 i5 0"]);
}

#[test]
fn is_2_the_first_piece_begins_a_snapshot_and_only_a_later_one_replaces_it() {
    let begun = follower(1, &[]).receives(1, install_snapshot(1, (1, 5), 0, &[9, 0], false)).then(
        "follower t1 log=[] commit=0 leader=1 sessions={} incoming=5@t1:2 {}",
        &["arm Election", "to 1: Wants t1 i5 2"],
    );
    // A piece of an older one is old, and does not touch what has come.
    begun
        .clone()
        .receives(1, install_snapshot(1, (1, 4), 0, &[9], false))
        .unchanged(&["arm Election", "to 1: Wants t1 i4 2"]);
    begun.clone().receives(1, install_snapshot(1, (1, 7), 0, &[9], false)).then(
        "follower t1 log=[] commit=0 leader=1 sessions={} incoming=7@t1:1 {}",
        &["arm Election", "to 1: Wants t1 i7 1"],
    );
    // A new term starts over: the pieces of another leader may be cut in another way.
    let anew = install_snapshot(2, (1, 5), 2, &[9], false);
    begun.clone().receives(2, anew).then(
        "follower t2 log=[] commit=0 leader=2",
        &["save", "arm Election", "to 2: Wants t2 i5 0"],
    );
    let stands = begun.times_out(Timer::Election).given();
    assert_eq!(stands.server().incoming, None);
}

#[test]
fn is_3_only_the_piece_that_follows_is_written() {
    let piece = |offset, byte| install_snapshot(1, (1, 5), offset, &[byte], false);
    let begun = follower(1, &[]).receives(1, piece(0, 9)).given();
    for offset in [0, 2, 9] {
        begun
            .clone()
            .receives(1, piece(offset, 1))
            .unchanged(&["arm Election", "to 1: Wants t1 i5 1"]);
    }
    let two = begun.receives(1, piece(1, 0)).given();
    assert_eq!(two.server().incoming.as_ref().map(|it| it.offset), Some(2));
    // Bytes that are no part of a snapshot are dropped, and change nothing.
    let no_part = install_snapshot(1, (1, 5), 2, &[0, 0, 7, 7, 7, 7, 7, 7, 7, 7, 7], false);
    two.receives(1, no_part).unchanged(&["arm Election", "to 1: Wants t1 i5 2"]);
    // Nor is a first piece that comes out of order begun with.
    let none = follower(1, &[]).following(1).receives(1, piece(3, 1));
    none.unchanged(&["arm Election", "to 1: Wants t1 i5 0"]);
}

#[test]
fn is_4_the_follower_answers_each_piece_and_waits_for_more() {
    let (pieces, _) = stream();
    let first = install_snapshot(2, (1, 4), 0, &pieces[0], false);
    let end = pieces[0].len();
    follower(2, &[]).receives(1, first).then(
        &format!("follower t2 log=[] commit=0 leader=1 sessions={{}} incoming=4@t1:{end} {{}}"),
        &["arm Election", &format!("to 1: Wants t2 i4 {end}")],
    );
    // "done" does not make a snapshot of half a part.
    let cut = install_snapshot(2, (1, 4), 0, &pieces[0][..9], true);
    follower(2, &[])
        .following(1)
        .receives(1, cut)
        .unchanged(&["arm Election", "to 1: Wants t2 i4 0"]);
}

/// A follower with this log that has received all pieces of the snapshot up to entry 4 of term 1.
fn installed(log: &[u64]) -> Step {
    let (pieces, _) = stream();
    let first = install_snapshot(2, (1, 4), 0, &pieces[0], false);
    let begun = follower(2, log).receives(1, first).given();
    begun.receives(1, install_snapshot(2, (1, 4), pieces[0].len() as u64, &pieces[1], true))
}

#[test]
fn is_5_the_snapshot_is_saved_before_the_answer_and_an_earlier_one_goes() {
    let step = installed(&[1]);
    assert_eq!(step.out(), ["save", "arm Election", "to 1: Match i4 t2"]);
    let given = step.given();
    assert_eq!(given.server().persistent.snapshot.last_index, Index(4));
    assert_eq!(given.server().incoming, None);
    // What is committed here is not replaced by an earlier snapshot.
    let late = install_snapshot(2, (1, 3), 0, &[9], false);
    given.clone().receives(1, late).unchanged(&["arm Election", "to 1: Match i3 t2"]);
    // Nor by another one at the same place: a committed entry is contradicted (GUARD-1).
    let other = install_snapshot(2, (2, 4), 0, &[9], false);
    assert!(matches!(given.receives(1, other).given().server().role, Role::Halted(_)));
}

#[test]
fn is_6_a_log_that_holds_the_last_included_entry_keeps_what_follows() {
    let server = follower(2, &[1, 1, 1, 1, 2]).following(1);
    // It holds all that the snapshot covers, so one piece is enough.
    server.receives(1, install_snapshot(2, (1, 4), 0, &[9], false)).then(
        "follower t2 log=[1.noop 1.noop 1.noop 1.noop 2.noop] commit=4 leader=1",
        &["arm Election", "to 1: Match i4 t2"],
    );
}

#[test]
fn is_7_a_log_that_does_not_hold_the_last_included_entry_is_discarded() {
    for log in [&[][..], &[1], &[1, 1, 1], &[1, 1, 1, 2], &[1, 1, 1, 2, 2]] {
        let server = installed(log).given();
        let log = &server.server().persistent.log;
        assert_eq!((log.start(), log.last()), (Index(4), (checked_raft::raft::Term(1), Index(4))));
        // The entries after it follow by AppendEntries.
        let step = server.receives(1, append(2, (1, 4), &[2], 4));
        assert_eq!(step.out(), ["save", "arm Election", "to 1: Match i5 t2"]);
    }
}

#[test]
fn is_8_the_state_machine_and_the_sessions_are_those_of_the_snapshot() {
    let (_, sender) = stream();
    let step = installed(&[1]);
    let given = step.given();
    let (sender, receiver) = (sender.server(), given.server());
    assert_eq!(receiver.persistent.snapshot, sender.persistent.snapshot);
    assert_eq!((&receiver.sessions, &receiver.machine), (&sender.sessions, &sender.machine));
    assert_eq!((receiver.commit_index, receiver.last_applied), (Index(4), Index(4)));
    // A copy of the last command is recognised: it would otherwise be answered in another way.
    let copy = command_entry(2, 2, 3, &create("k", "other"));
    let step = given.receives(1, append_entries(2, (1, 4), vec![copy], 5));
    let again = step.given();
    assert_eq!(again.server().machine, sender.machine);
    let record = again.server().sessions.get(Index(2)).expect("the session is open");
    assert_eq!(record.last_used, Index(5));
}

/// Everybody who has received the snapshot goes on as its sender does.
#[test]
fn snapshots_of_equal_logs_are_equal_whoever_takes_them() {
    let (_, server) = stream();
    let snapshot = Arc::clone(&server.server().persistent.snapshot);
    let received = installed(&[1]).given().server().persistent.snapshot.clone();
    assert_eq!(snapshot, received);
    let payloads = server.server().persistent.log.iter().map(|(_, it)| it.payload.clone());
    assert_eq!(payloads.collect::<Vec<Payload>>(), []);
}

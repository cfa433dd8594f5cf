//! The rules of the trace: the actor reproduces every record, or the trace is rejected at the line.

use checked_raft::runtime::trace::{
    Accepted, Call, NotAccepted, Origin, Rejected, TraceWriter, Unfit, is_fit, replay,
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// Votes for the first candidate of a term, like a server that can do nothing else.
struct Voter {
    step: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Vote {
    term: u64,
    candidate: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
struct Booth {
    vote: Vote,
    asked: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Msg {
    Ask(u64),
    Granted(u64),
}

impl Actor for Voter {
    type Msg = Msg;
    type Timer = String;
    type State = Booth;
    type Storage = Vote;
    type Random = ();

    fn on_start(&self, _id: Id, storage: &Option<Vote>, o: &mut Out<Self>) -> Booth {
        o.set_timer("election".into(), Duration::from_millis(150)..Duration::from_millis(300));
        Booth { vote: storage.clone().unwrap_or_default(), asked: 0 }
    }

    fn on_msg(&self, _: Id, state: &mut Cow<Booth>, src: Id, msg: Msg, o: &mut Out<Self>) {
        let Msg::Ask(term) = msg else { return };
        assert!(term < 1000, "no election is ever that long");
        let booth = state.to_mut();
        booth.asked += 1;
        if term > booth.vote.term {
            booth.vote = Vote { term, candidate: Some(usize::from(src) as u64) };
            o.save(booth.vote.clone());
            o.cancel_timer("election".into());
            o.send(src, Msg::Granted(term));
        }
    }

    fn on_timeout(&self, id: Id, state: &mut Cow<Booth>, timer: &String, o: &mut Out<Self>) {
        let vote = &mut state.to_mut().vote;
        *vote = Vote { term: vote.term + self.step, candidate: Some(usize::from(id) as u64) };
        o.save(vote.clone());
        o.broadcast(&[Id::from(0), Id::from(2)], &Msg::Ask(vote.term));
        o.set_timer(timer.clone(), Duration::from_millis(150)..Duration::from_millis(300));
    }
}

fn build(config: &Value) -> Result<Voter, String> {
    let step = config["step"].as_u64().ok_or("`step` is missing")?;
    Ok(Voter { step })
}

/// A node as far as its trace can tell: one life after the other on one store.
struct Node {
    _temp: TempDir,
    path: PathBuf,
    store: Option<Vote>,
    limit: Option<u64>,
}

/// What happens in a batch: `Some((from, term))` is a request, `None` the timer.
type Batch = &'static [Option<(usize, u64)>];

impl Node {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        Self { path: temp.path().join("trace"), _temp: temp, store: None, limit: None }
    }

    /// Runs the batches; the last is not saved if the node is `killed` in it.
    fn live(&mut self, batches: &[Batch], killed: bool) {
        let origin = Origin { cluster: "test".into(), server: 1, actor: json!({ "step": 1 }) };
        let mut trace = TraceWriter::create(&self.path, origin, self.limit).unwrap();
        let (voter, id) = (Voter { step: 1 }, Id::from(1));
        let mut out = Out::new();
        let mut state = voter.on_start(id, &self.store, &mut out);
        trace.record(0, &Call::Start(&self.store), None, &state, &out);
        trace.flush().unwrap();
        for (number, batch) in (1..).zip(batches) {
            let mut save = None;
            for event in *batch {
                let (mut next, mut out) = (Cow::Borrowed(&state), Out::<Voter>::new());
                let msg = event.map(|(from, term)| (Id::from(from), Msg::Ask(term)));
                let timer = "election".to_owned();
                let call = if let Some((from, msg)) = &msg {
                    voter.on_msg(id, &mut next, *from, msg.clone(), &mut out);
                    Call::Deliver(*from, msg)
                } else {
                    voter.on_timeout(id, &mut next, &timer, &mut out);
                    Call::Timeout(&timer)
                };
                let next = next.into_owned();
                trace.record(number, &call, Some(&state), &next, &out);
                state = next;
                for command in out {
                    if let Command::Save(vote) = command {
                        save = Some(vote);
                    }
                }
            }
            trace.flush().unwrap();
            if !(killed && number == batches.len() as u64) {
                self.store = save.or(self.store.take());
            }
        }
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.path).unwrap()
    }

    fn replay(&self) -> Result<Accepted, Rejected> {
        accept(&self.text())
    }
}

fn accept(text: &str) -> Result<Accepted, Rejected> {
    replay::<Voter>(text.as_bytes(), build).map_err(|error| match error {
        NotAccepted::Rejected(rejected) => rejected,
        NotAccepted::NoTrace(reason) => panic!("{reason}"),
    })
}

/// Two requests and a timeout, then a request of an old term that changes nothing durable.
const FIRST: &[Batch] = &[&[Some((0, 3)), Some((2, 3))], &[None], &[Some((0, 1))]];
const SECOND: &[Batch] = &[&[Some((2, 9))], &[Some((0, 12)), None]];

/// Two lives, eleven lines.
fn two_lives() -> Node {
    let mut node = Node::new();
    node.live(FIRST, false);
    node.live(SECOND, false);
    node
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(ToOwned::to_owned).collect()
}

fn join(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}

#[track_caller]
fn rejected_at(line: u64, field: &str, text: &str) {
    let rejected = accept(text).expect_err("a trace that must be rejected");
    assert_eq!((rejected.line, rejected.field), (line, field), "{rejected}");
}

/// Replaces within one line, which must contain it.
fn forge(line: usize, from: &str, to: &str) -> String {
    let mut lines = lines(&two_lives().text());
    assert!(lines[line - 1].contains(from), "line {line} has no {from}: {}", lines[line - 1]);
    lines[line - 1] = lines[line - 1].replacen(from, to, 1);
    join(&lines)
}

/// The first of the strings that `key` holds in a line.
fn string_after(line: usize, key: &str) -> String {
    let text = lines(&two_lives().text())[line - 1].clone();
    let rest = text.split(&format!("\"{key}\":\"")).nth(1).expect("the key");
    rest.split('"').next().expect("a string").to_owned()
}

#[test]
fn a_trace_ends_with_the_batch_that_reaches_its_limit() {
    let whole = lines(&two_lives().text());
    let mut node = Node::new();
    // The start stays below the limit, and the batch of two records goes beyond it.
    node.limit = Some(whole[0].len() as u64 + 2);
    for _ in 0..2 {
        node.live(FIRST, false);
        assert_eq!(lines(&node.text()), whole[..3]);
        assert_eq!(node.replay().expect("accepted").records, 3);
    }
}

#[test]
fn the_actor_reproduces_its_own_trace() {
    let accepted = two_lives().replay().unwrap();
    let expected = Accepted { records: 9, starts: 2, delivers: 5, timeouts: 2, saves: 5, sends: 7 };
    assert_eq!(accepted, expected);
}

#[test]
fn a_dropped_line_is_rejected_where_it_was() {
    let all = lines(&two_lives().text());
    for gone in 0..all.len() - 1 {
        let mut left = all.clone();
        left.remove(gone);
        rejected_at(gone as u64 + 1, "seq", &join(&left));
    }
}

#[test]
fn a_dropped_record_is_rejected_even_if_the_rest_is_renumbered() {
    let all = lines(&two_lives().text());
    // The second request of the first batch changed the state.
    let mut left = all.clone();
    left.remove(2);
    for (number, line) in (1..).zip(&mut left) {
        let seq = format!("\"seq\":{}", if number < 3 { number } else { number + 1 });
        *line = line.replacen(&seq, &format!("\"seq\":{number}"), 1);
    }
    rejected_at(3, "before", &join(&left));
}

#[test]
fn swapped_lines_are_rejected_at_the_first() {
    let all = lines(&two_lives().text());
    for first in 0..all.len() - 1 {
        let mut swapped = all.clone();
        swapped.swap(first, first + 1);
        rejected_at(first as u64 + 1, "seq", &join(&swapped));
    }
}

#[test]
fn a_forged_term_in_a_message_is_rejected() {
    // `Ask(3)` becomes `Ask(4)`.
    rejected_at(2, "after", &forge(2, "\"msg\":\"0003\"", "\"msg\":\"0004\""));
    // An older term is not granted, which the state shows as well.
    rejected_at(2, "after", &forge(2, "\"msg\":\"0003\"", "\"msg\":\"0000\""));
}

#[test]
fn a_forged_sender_is_rejected() {
    rejected_at(2, "after", &forge(2, "\"from\":0", "\"from\":2"));
}

#[test]
fn a_forged_send_is_rejected() {
    rejected_at(2, "sends", &forge(2, "\"sends\":[[0,", "\"sends\":[[2,"));
    let nothing = string_after(3, "after");
    let send = format!("\"sends\":[[2,\"{nothing}\"]]");
    rejected_at(3, "sends", &forge(3, "\"sends\":[]", &send));
}

#[test]
fn a_forged_save_is_rejected() {
    let save = format!("\"save\":\"{}\"", string_after(2, "save"));
    rejected_at(2, "save", &forge(2, &save, "\"save\":null"));
    rejected_at(3, "save", &forge(3, "\"save\":null", &save));
}

#[test]
fn a_forged_timer_is_rejected() {
    rejected_at(1, "timers", &forge(1, "150ms", "151ms"));
    rejected_at(2, "timers", &forge(2, "cancel", "set"));
}

#[test]
fn a_batch_that_goes_back_is_rejected() {
    rejected_at(4, "batch", &forge(4, "\"batch\":2", "\"batch\":0"));
}

#[test]
fn a_truncated_middle_is_rejected() {
    let text = two_lives().text();
    let third = text.match_indices('\n').nth(2).unwrap().0;
    let sixth = text.match_indices('\n').nth(5).unwrap().0;
    // From the middle of line 3 to the middle of line 6, then to the end of line 5.
    rejected_at(3, "text", &format!("{}{}", &text[..third - 20], &text[sixth - 20..]));
    let fifth = text.match_indices('\n').nth(4).unwrap().0;
    // What is left of line 3 could be the work of a crash, but the start after it knows its place.
    rejected_at(4, "seq", &format!("{}{}", &text[..third - 20], &text[fifth..]));
}

#[test]
fn a_restart_may_find_what_was_saved_before_the_batch_it_was_killed_in() {
    let mut node = Node::new();
    node.live(FIRST, false);
    node.live(SECOND, true);
    node.live(FIRST, true);
    node.live(SECOND, false);
    assert_eq!(node.replay().unwrap().starts, 4);
}

/// Whether the node could go on with its trace, or the reason why not.
fn fit(node: &Node) -> Result<(), String> {
    let origin = Origin { cluster: "test".into(), server: 1, actor: Value::Null };
    is_fit(&node.path, &origin, node.store.as_ref()).map_err(|error| match error {
        Unfit::Gap(reason) => reason,
        error => panic!("{error}"),
    })
}

#[test]
fn a_restart_that_finds_an_older_or_another_value_is_rejected() {
    let mut node = Node::new();
    node.live(SECOND, false);
    let saved = node.store.clone();
    let vote = |term, candidate| Some(Vote { term, candidate: Some(candidate) });
    for (wrong, says) in [
        (None, "saved in line 1: it has lost"),
        (vote(9, 2), "saved in line 2: it has lost"),
        (vote(12, 0), "saved in line 3: it has lost"),
        (vote(9, 0), "a life is missing between lines 4 and 5"),
        (Some(Vote::default()), "a life is missing between lines 4 and 5"),
    ] {
        // The second of two batches saved a vote of term 12, then one of 13.
        let is_before_the_last_batch = wrong == vote(9, 2);
        let text = node.text();
        node.store = wrong;
        let fits = fit(&node);
        node.live(FIRST, false);
        if is_before_the_last_batch {
            fits.unwrap();
            node.replay().unwrap();
        } else {
            let reason = fits.expect_err("its store is another");
            assert!(reason.contains(says), "{reason}");
            rejected_at(5, "storage", &node.text());
            let seen = node.replay().unwrap_err().seen;
            assert!(seen.contains(says), "{seen}");
        }
        fs::write(&node.path, text).unwrap();
    }
    node.store = saved;
    fit(&node).unwrap();
    node.live(FIRST, false);
    node.replay().unwrap();
}

#[test]
fn what_may_be_found_is_said_once_if_it_is_one_thing() {
    let mut node = Node::new();
    node.live(&[&[None], &[Some((0, 0))]], false);
    node.store = None;
    node.live(FIRST, false);
    let expected = node.replay().unwrap_err().expected;
    assert!(expected.ends_with(" (saved last)") && !expected.contains(" or "), "{expected}");
}

#[test]
fn a_node_goes_on_with_its_trace_wherever_that_was_cut_in_its_last_batch() {
    let mut node = Node::new();
    fit(&node).expect("a file that is not there yet");
    node.live(FIRST, false);
    let before = node.text();
    node.live(SECOND, true);
    let text = node.text();
    let last_batch = text.rfind("{\"seq\":9").expect("the second of three records");
    for end in last_batch..=text.len() {
        fs::write(&node.path, &text[..end]).unwrap();
        fit(&node).unwrap_or_else(|reason| panic!("cut at {end}: {reason}"));
    }
    // In its first record it may be cut as well, or end.
    for end in 0..before.find('\n').expect("a line") {
        fs::write(&node.path, &text[..end]).unwrap();
        fit(&node).unwrap_or_else(|reason| panic!("cut at {end}: {reason}"));
    }
}

#[test]
fn a_save_is_not_forgotten_over_a_later_batch_that_saves_nothing() {
    let mut node = Node::new();
    // The last batch saves nothing, so the one before it was saved.
    node.live(FIRST, false);
    let before_the_timeout = Some(Vote { term: 3, candidate: Some(0) });
    assert_ne!(node.store, before_the_timeout);
    node.store = before_the_timeout;
    node.live(SECOND, false);
    rejected_at(6, "storage", &node.text());
}

#[test]
fn a_trace_may_begin_with_a_server_that_has_a_past() {
    let mut node = Node::new();
    node.store = Some(Vote { term: 7, candidate: Some(2) });
    node.live(SECOND, false);
    node.replay().unwrap();
}

#[test]
fn a_trace_cut_anywhere_in_its_last_batch_is_accepted_with_and_without_a_restart() {
    let mut node = Node::new();
    node.live(FIRST, false);
    let before = node.text();
    node.live(SECOND, true);
    let text = node.text();
    let last_batch =
        text.find("\"batch\":2,\"event\":{\"deliver\":{\"from\":0,\"msg\":\"000c").unwrap();
    let last_batch = text[..last_batch].rfind('\n').unwrap() + 1;
    assert!(before.len() < last_batch && last_batch < text.len());
    for end in last_batch..=text.len() {
        fs::write(&node.path, &text[..end]).unwrap();
        node.replay().unwrap_or_else(|rejected| panic!("cut at {end}: {rejected}"));
        let store = node.store.clone();
        node.live(FIRST, true);
        node.replay().unwrap_or_else(|rejected| panic!("cut at {end}, restarted: {rejected}"));
        node.store = store;
    }
}

#[test]
fn a_line_cut_short_is_accepted_nowhere_else() {
    let all = lines(&two_lives().text());
    for cut in (0..all.len() - 1).filter(|line| !all[line + 1].contains("start")) {
        let mut all = all.clone();
        let half = all[cut].len() / 2;
        all[cut].truncate(half);
        rejected_at(cut as u64 + 1, "text", &join(&all));
    }
}

#[test]
fn a_last_line_that_is_damaged_and_not_cut_short_is_rejected() {
    // Before the second start, and at the end of the file.
    for (line, number) in [(5, 5), (9, 9)] {
        rejected_at(number, "text", &forge(line, "{\"seq\"", "{seq\""));
    }
}

#[test]
fn a_message_the_actor_does_not_survive_is_rejected() {
    // 1000 in postcard's variable-length encoding.
    rejected_at(2, "event", &forge(2, "\"msg\":\"0003\"", "\"msg\":\"00e807\""));
}

#[test]
fn an_actor_that_cannot_be_built_is_rejected() {
    rejected_at(1, "actor", &forge(1, "\"step\":1", "\"stop\":1"));
    // And one that is built otherwise answers otherwise.
    rejected_at(4, "after", &forge(1, "\"step\":1", "\"step\":2"));
}

#[test]
fn traces_of_two_servers_do_not_mix() {
    let second = 6;
    rejected_at(second, "server", &forge(6, "\"server\":1", "\"server\":2"));
    rejected_at(second, "cluster", &forge(6, "\"cluster\":\"test\"", "\"cluster\":\"prod\""));
}

#[test]
fn what_is_no_trace_is_not_rejected_but_said_to_be_none() {
    let none = |text: &str| match replay::<Voter>(text.as_bytes(), build) {
        Err(NotAccepted::NoTrace(reason)) => reason,
        other => panic!("{text:?}: {other:?}"),
    };
    assert_eq!(none(""), "it is empty");
    let first = lines(&two_lives().text()).swap_remove(0);
    for end in 1..first.len() {
        assert_eq!(none(&first[..end]), "its only record is cut short");
    }
    for text in ["# Read me\n", "{\n\"name\":\"raft\"}\n", "\n", "x", "[1]"] {
        assert!(none(text).starts_with("its first line is no record"), "{text}");
    }
}

#[test]
fn a_trace_without_a_start_is_rejected() {
    let second = &lines(&two_lives().text())[1];
    rejected_at(1, "event", &second.replacen("\"seq\":2", "\"seq\":1", 1));
}

proptest! {
    #[test]
    fn any_bytes_are_rejected_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(replay::<Voter>(&bytes[..], build).is_err());
    }

    /// A hexadecimal digit says something in every record, wherever it stands.
    #[test]
    fn any_changed_digit_is_rejected_in_its_line(place in any::<prop::sample::Index>(), digit in 1..16_u32) {
        let mut text = two_lives().text().into_bytes();
        let hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        let strings: Vec<usize> = (0..text.len() - 8)
            .filter(|at| text[*at..].iter().take(8).all(hex)).collect();
        let at = strings[place.index(strings.len())];
        let old = char::from(text[at]).to_digit(16).unwrap();
        text[at] = u8::try_from(char::from_digit((old + digit) % 16, 16).unwrap()).unwrap();
        let line = text[..at].split(|byte| *byte == b'\n').count() as u64;
        let text = String::from_utf8(text).unwrap();
        prop_assert_eq!(accept(&text).unwrap_err().line, line);
    }
}

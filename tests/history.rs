//! The judge of client histories, judged: what it must accept, what it must reject, and that it
//! agrees with stateright's on any small history.

mod common;

use bytes::Bytes;
use checked_raft::kv::{Command, Kv, Output};
use common::history::History;
use proptest::prelude::*;
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};
use std::collections::BTreeMap;

/// The key-value store as stateright asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct KvSpec(Kv);

impl SequentialSpec for KvSpec {
    type Op = Command;
    type Ret = Output;

    fn invoke(&mut self, command: &Command) -> Output {
        self.0.execute(command.clone())
    }
}

fn b(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn put(value: &'static str) -> Command {
    Command::Put(b("k"), b(value))
}

fn get() -> Command {
    Command::Get(b("k"))
}

fn cas(old: Option<&'static str>, new: &'static str) -> Command {
    Command::Cas { key: b("k"), old: old.map(b), new: b(new) }
}

fn value(value: &'static str) -> Output {
    Output::Value(Some(b(value)))
}

const NONE: Output = Output::Value(None);

/// One operation after the other.
fn sequence(operations: impl IntoIterator<Item = (Command, Output)>) -> History {
    let mut history = History::default();
    for (command, output) in operations {
        let operation = history.invoke(0, command);
        history.return_(operation, output);
    }
    history
}

#[track_caller]
fn accepted(history: &History) {
    history.check().unwrap_or_else(|violation| panic!("{violation}"));
}

#[track_caller]
fn rejected(history: &History) {
    history.check().expect_err("it has no linearization");
}

// ---- what must be accepted ----

#[test]
fn nothing_is_linearizable() {
    accepted(&History::default());
}

#[test]
fn commands_one_after_the_other_are_linearizable() {
    accepted(&sequence([
        (get(), NONE),
        (put("1"), Output::Done),
        (cas(Some("1"), "2"), Output::Done),
        (cas(Some("1"), "3"), Output::Mismatch(Some(b("2")))),
        (get(), value("2")),
        (Command::Delete(b("k")), Output::Done),
        (get(), NONE),
    ]));
}

#[test]
fn concurrent_commands_take_effect_in_any_order() {
    for seen in ["1", "2"] {
        let mut history = History::default();
        let (one, two) = (history.invoke(1, put("1")), history.invoke(2, put("2")));
        history.return_(one, Output::Done);
        history.return_(two, Output::Done);
        let read = history.invoke(1, get());
        history.return_(read, value(seen));
        accepted(&history);
    }
}

#[test]
fn an_unknown_outcome_may_take_effect_late_or_never() {
    for reads in [[NONE, NONE], [NONE, value("1")], [value("1"), value("1")]] {
        let mut history = History::default();
        history.invoke(1, put("1"));
        for seen in reads {
            let read = history.invoke(2, get());
            history.return_(read, seen);
        }
        accepted(&history);
    }
}

// ---- what must be rejected ----

#[test]
fn a_stale_read_is_rejected() {
    let operations = [(put("1"), Output::Done), (put("2"), Output::Done), (get(), value("1"))];
    rejected(&sequence(operations));
}

#[test]
fn a_lost_acknowledged_write_is_rejected() {
    rejected(&sequence([(put("1"), Output::Done), (get(), NONE)]));
}

#[test]
fn a_lost_update_is_rejected() {
    let mut history = sequence([(put("0"), Output::Done)]);
    let (one, two) =
        (history.invoke(1, cas(Some("0"), "1")), history.invoke(2, cas(Some("0"), "2")));
    history.return_(one, Output::Done);
    history.return_(two, Output::Done);
    rejected(&history);
}

#[test]
fn a_put_that_is_applied_twice_is_rejected() {
    rejected(&sequence([
        (put("1"), Output::Done),
        (put("2"), Output::Done),
        (get(), value("2")),
        (get(), value("1")),
    ]));
}

#[test]
fn a_compare_and_swap_that_is_applied_twice_is_rejected() {
    // The retry's answer is reported: the first copy had been applied.
    rejected(&sequence([
        (put("0"), Output::Done),
        (cas(Some("0"), "1"), Output::Mismatch(Some(b("1")))),
    ]));
}

#[test]
fn an_unknown_outcome_cannot_take_effect_twice_nor_before_its_invocation() {
    let mut twice = History::default();
    twice.invoke(1, put("1"));
    for (command, output) in [(get(), value("1")), (put("2"), Output::Done), (get(), value("1"))] {
        let operation = twice.invoke(2, command);
        twice.return_(operation, output);
    }
    rejected(&twice);
    let mut early = sequence([(get(), value("1"))]);
    early.invoke(1, put("1"));
    rejected(&early);
}

#[test]
fn a_read_that_goes_back_while_a_write_is_open_is_rejected() {
    let mut history = sequence([(put("1"), Output::Done)]);
    let write = history.invoke(1, put("2"));
    for seen in ["2", "1"] {
        let read = history.invoke(2, get());
        history.return_(read, value(seen));
    }
    history.return_(write, Output::Done);
    rejected(&history);
}

#[test]
fn keys_are_judged_one_by_one_and_the_bad_one_is_named() {
    let mut history = sequence([(put("1"), Output::Done), (get(), value("1"))]);
    let read = history.invoke(1, Command::Get(b("other")));
    history.return_(read, value("1"));
    let violation = history.check().expect_err("nobody wrote that key");
    assert_eq!(violation.key, b("other"));
    assert!(violation.to_string().contains("client 1"), "{violation}");
}

#[test]
fn a_long_concurrent_history_is_judged_in_no_time() {
    // 60 rounds of four writers and a reader at once, all of which an exhaustive search would permute.
    let mut history = History::default();
    for round in 0..60 {
        let name = |client: u64| Bytes::from(format!("{round}.{client}"));
        let operations: Vec<_> = (0..5)
            .map(|client| match client {
                4 => history.invoke(client, get()),
                _ => history.invoke(client, Command::Put(b("k"), name(client))),
            })
            .collect();
        for operation in &operations[..4] {
            history.return_(*operation, Output::Done);
        }
        history.return_(operations[4], Output::Value(Some(name(round % 4))));
    }
    accepted(&history);
    let read = history.invoke(0, get());
    history.return_(read, value("never written"));
    rejected(&history);
}

// ---- beside stateright's ----

/// What a client does next, and whether something goes wrong with it.
#[derive(Clone, Debug)]
enum Act {
    /// Starts a command, if it has none.
    Invoke(u64, Command),
    /// The open command takes effect in the true store.
    Effect(u64),
    /// It ends with the true result, or with another.
    Return(u64, Option<Output>),
    /// Its outcome stays unknown.
    GiveUp(u64),
}

fn a_value() -> impl Strategy<Value = Bytes> {
    prop::sample::select(vec![b("1"), b("2")])
}

fn a_command() -> impl Strategy<Value = Command> {
    let key = || prop::sample::select(vec![b("k"), b("k"), b("l")]);
    prop_oneof![
        (key(), a_value()).prop_map(|(key, value)| Command::Put(key, value)),
        key().prop_map(Command::Get),
        key().prop_map(Command::Delete),
        (key(), prop::option::of(a_value()), a_value()).prop_map(|(key, old, new)| Command::Cas {
            key,
            old,
            new
        }),
    ]
}

fn an_output() -> impl Strategy<Value = Output> {
    prop_oneof![
        Just(Output::Done),
        prop::option::of(a_value()).prop_map(Output::Value),
        prop::option::of(a_value()).prop_map(Output::Mismatch),
    ]
}

fn an_act() -> impl Strategy<Value = Act> {
    let client = || 0..3u64;
    prop_oneof![
        3 => (client(), a_command()).prop_map(|(client, command)| Act::Invoke(client, command)),
        3 => client().prop_map(Act::Effect),
        3 => (client(), prop::option::weighted(0.25, an_output()))
            .prop_map(|(client, lie)| Act::Return(client, lie)),
        1 => client().prop_map(Act::GiveUp),
    ]
}

/// Plays the acts; what makes no sense in its place is passed over. Ours and stateright's verdict.
fn verdicts(acts: Vec<Act>) -> (bool, bool) {
    let mut history = History::default();
    let mut tester = LinearizabilityTester::new(KvSpec::default());
    let mut truth = KvSpec::default();
    let mut incarnations: BTreeMap<u64, u64> = BTreeMap::new();
    let mut open: BTreeMap<u64, (usize, Command, Option<Output>)> = BTreeMap::new();
    for act in acts {
        match act {
            Act::Invoke(client, command) if !open.contains_key(&client) => {
                let thread = (client, *incarnations.entry(client).or_default());
                tester.on_invoke(thread, command.clone()).expect("the thread is idle");
                let operation = history.invoke(client, command.clone());
                open.insert(client, (operation, command, None));
            }
            Act::Effect(client) => {
                if let Some((_, command, effect @ None)) = open.get_mut(&client) {
                    *effect = Some(truth.invoke(command));
                }
            }
            Act::Return(client, lie) => {
                if let Some((operation, command, effect)) = open.remove(&client) {
                    let effect = effect.unwrap_or_else(|| truth.invoke(&command));
                    let output = lie.unwrap_or(effect);
                    history.return_(operation, output.clone());
                    tester.on_return((client, incarnations[&client]), output).expect("it is open");
                }
            }
            Act::GiveUp(client) => {
                if open.remove(&client).is_some() {
                    *incarnations.entry(client).or_default() += 1;
                }
            }
            Act::Invoke(..) => {}
        }
    }
    (history.check().is_ok(), tester.is_consistent())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, ..ProptestConfig::default() })]
    #[test]
    fn every_small_history_is_judged_as_stateright_judges_it(
        acts in prop::collection::vec(an_act(), 0..24)
    ) {
        let (ours, theirs) = verdicts(acts);
        prop_assert_eq!(ours, theirs);
    }
}

/// Without both verdicts among them, the agreement above would mean nothing.
#[test]
fn the_small_histories_are_of_both_kinds() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut counts = BTreeMap::new();
    for _ in 0..500 {
        let acts = prop::collection::vec(an_act(), 0..24).new_tree(&mut runner).expect("acts");
        *counts.entry(verdicts(acts.current()).0).or_insert(0) += 1;
    }
    assert!(counts[&true] > 100 && counts[&false] > 50, "{counts:?}");
}

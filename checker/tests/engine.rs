//! Tests that the checker does not claim more than it has seen. They use toy actors, for which every figure
//! is known.

mod common;

use actorcheck::engine::explore;
use actorcheck::{
    Bound, Checkable, Engine, Kind, Limits, Local, PropertyResult, Report, StatePredicate,
    StateProperty, StepPredicate, StepProperty, Tally, Verdict, World, run, search,
};
use common::full_search::full;
use stateright::actor::{
    Actor, ActorModel, Envelope, Id, LossyNetwork, Network, Out, model_timeout,
};
use stateright::util::HashableHashSet;
use std::any::Any;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// An actor with one timer for each of its moves. A move maps a state to the next one.
struct Toy {
    moves: &'static [fn(u8) -> u8],
}

impl Actor for Toy {
    type Msg = u8;
    type Timer = usize;
    type State = u8;
    type Storage = ();
    type Random = ();

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) -> u8 {
        (0..self.moves.len()).for_each(|timer| o.set_timer(timer, model_timeout()));
        0
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, u8>, timer: &usize, o: &mut Out<Self>) {
        o.set_timer(*timer, model_timeout());
        let next = self.moves[*timer](**state);
        if next != **state {
            *state = Cow::Owned(next);
        }
    }
}

type ToyWorld = World<Toy, ()>;

/// A world of so many toys side by side, with one property that always holds.
fn world(toys: usize, moves: &'static [fn(u8) -> u8]) -> ToyWorld {
    World {
        always: vec![always("true", |_| true)],
        label: Arc::new(|step, labels| {
            labels.push(if *step.after.state == 0 { "zero" } else { "other" });
        }),
        labels: &["zero", "other", "never"],
        tally: Arc::new(Tally::default()),
        ..of((0..toys).map(|_| Toy { moves }))
    }
}

/// A world of these actors about which nothing is asked.
fn of<A: Checkable>(actors: impl IntoIterator<Item = A>) -> World<A, ()> {
    World::new(actors).always_ghost("true", |()| true)
}

/// The antichain engine's report on a world.
fn explored<A: Checkable>(world: &World<A, ()>, threads: usize) -> Report {
    explore(world, &limits(threads), &AtomicBool::new(false), &mut |_| {})
}

/// A property of the sum of all toys.
fn always(name: &'static str, holds: fn(u32) -> bool) -> StateProperty<Toy, ()> {
    StateProperty {
        name,
        holds: StatePredicate::View(Arc::new(move |view| {
            holds(view.locals().map(|toy| u32::from(*toy.state)).sum())
        })),
    }
}

fn bounded(mut world: ToyWorld, limit: u8) -> ToyWorld {
    world.bounds = vec![Bound {
        name: "max",
        limit: u64::from(limit),
        within: StatePredicate::Actor(Arc::new(move |_, toy: Local<'_, Toy>| *toy.state <= limit)),
    }];
    world.tally = Arc::new(Tally::new(1, world.labels));
    world
}

fn limits(threads: usize) -> Limits {
    Limits::unlimited(threads)
}

fn check(world: ToyWorld, engine: Engine, limits: &Limits) -> Report {
    run(world, engine, limits, &AtomicBool::new(false), &mut |_| {})
}

fn result(report: &Report, name: &str) -> PropertyResult {
    let property = report.properties.iter().find(|property| property.name == name);
    property.expect("the property is reported").result
}

const UP: &[fn(u8) -> u8] = &[|n| n.saturating_add(1)];
const ROUND: &[fn(u8) -> u8] = &[|n| (n + 1) % 3];
const EXHAUSTING: [Engine; 3] = [Engine::Antichain, Engine::Bfs, Engine::Dfs];

#[test]
fn a_search_that_ends_by_itself_is_exhaustive() {
    for engine in EXHAUSTING {
        let report = check(bounded(world(2, UP), 9), engine, &limits(2));
        assert_eq!((report.verdict, report.states), (Verdict::Exhaustive, 100));
        let depth = if engine == Engine::Antichain { 0 } else { 18 };
        assert_eq!(report.depth, depth, "steps, not states");
    }
}

/// An actor whose only timer fires once. The firing changes nothing except that the timer is no longer armed.
struct Fuse;

impl Actor for Fuse {
    type Msg = ();
    type Timer = ();
    type State = ();
    type Storage = ();
    type Random = ();

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) {
        o.set_timer((), model_timeout());
    }
}

#[test]
fn states_that_differ_only_in_whose_timer_is_armed_are_different_states() {
    let fuses = || of([Fuse, Fuse, Fuse]);
    for engine in EXHAUSTING {
        let report = run(fuses(), engine, &limits(2), &AtomicBool::new(false), &mut |_| {});
        assert_eq!((report.verdict, report.states), (Verdict::Exhaustive, 8));
    }
    assert!(matches!(shortest(&fuses(), None, 1, 100), search::Outcome::Exhausted(8)));
}

#[test]
fn a_search_cut_by_the_number_of_states_is_never_exhaustive() {
    for engine in EXHAUSTING {
        for threads in [1, 2] {
            let limits = Limits { max_states: Some(1), ..limits(threads) };
            let report = check(world(3, UP), engine, &limits);
            assert_eq!(report.verdict, Verdict::Bounded);
            assert!(report.states < 256 * 256 * 256);
        }
    }
}

#[test]
fn a_search_cut_by_time_or_memory_is_never_exhaustive() {
    let time = Limits { max_time: Some(Duration::ZERO), ..limits(2) };
    let memory = Limits { max_memory: Some(1), ..limits(2) };
    for limits in [time, memory] {
        assert_eq!(check(world(3, UP), Engine::Bfs, &limits).verdict, Verdict::Bounded);
    }
}

#[test]
fn an_interrupted_search_is_never_exhaustive() {
    for engine in EXHAUSTING {
        let report = run(world(3, UP), engine, &limits(2), &AtomicBool::new(true), &mut |_| {});
        assert_eq!(report.verdict, Verdict::Bounded);
    }
}

#[test]
fn a_simulation_is_never_exhaustive_and_ends_when_interrupted() {
    let limits = Limits { max_time: Some(Duration::from_hours(1)), ..limits(2) };
    let tiny = bounded(world(1, ROUND), 2);
    let report = run(tiny, Engine::Simulation(1), &limits, &AtomicBool::new(true), &mut |_| {});
    assert_eq!(report.verdict, Verdict::Bounded);
    assert_eq!(result(&report, "true"), PropertyResult::Holds);
}

#[test]
fn a_simulation_reports_the_violation_it_meets() {
    // Moves that change nothing make stateright's own record of the path wrong.
    const MOVES: &[fn(u8) -> u8] = &[|n| n, |n| n + 1, |n| n];
    let mut toy = bounded(world(1, MOVES), 9);
    toy.always.push(always("below 5", |sum| sum < 5));
    let limits = Limits { max_time: Some(Duration::from_mins(1)), ..limits(2) };
    let report = check(toy, Engine::Simulation(7), &limits);
    assert_eq!(report.verdict, Verdict::Violated);
    assert_eq!(report.violated(), ["below 5"]);
}

#[test]
fn a_cut_search_still_tells_what_it_witnessed() {
    let mut cut = world(3, UP);
    cut.sometimes = vec![always("starts at 0", |sum| sum == 0), always("far", |sum| sum == 765)];
    let report = run(cut, Engine::Bfs, &limits(2), &AtomicBool::new(true), &mut |_| {});
    assert_eq!(report.verdict, Verdict::Bounded);
    assert_eq!(result(&report, "starts at 0"), PropertyResult::Witnessed);
    assert_eq!(result(&report, "far"), PropertyResult::Unwitnessed);
    assert_eq!(result(&report, "true"), PropertyResult::Holds);
}

#[test]
fn a_world_without_properties_is_not_exhausted() {
    // stateright does not expand a state when nothing is left for it to discover.
    let mut empty = bounded(world(2, UP), 9);
    empty.always.clear();
    assert_eq!(check(empty, Engine::Bfs, &limits(1)).verdict, Verdict::Bounded);
}

#[test]
fn a_violation_beyond_a_bound_is_not_reported_and_the_bound_is_said_to_cut() {
    let violated = |limit| {
        let mut world = bounded(world(1, UP), limit);
        world.always.push(always("below 5", |sum| sum < 5));
        world
    };
    for engine in EXHAUSTING {
        let report = check(violated(4), engine, &limits(2));
        assert_eq!((report.verdict, report.states), (Verdict::Exhaustive, 5));
        assert_eq!(report.cuts, [("max", 1)]);
        let report = check(violated(5), engine, &limits(2));
        assert_eq!(report.verdict, Verdict::Violated);
        assert_eq!(report.violated(), ["below 5"]);
    }
    assert!(matches!(shortest(&violated(4), None, 1, 100), search::Outcome::Exhausted(5)));
}

#[test]
fn a_step_property_is_judged_on_a_step_into_a_known_state() {
    for engine in [Engine::Antichain, Engine::Bfs, Engine::Dfs, Engine::Simulation(3)] {
        let mut toy = world(1, ROUND);
        toy.steps = vec![StepProperty {
            name: "never back",
            holds: StepPredicate::Change(Arc::new(|step, ()| {
                *step.after.state >= *step.before.state
            })),
        }];
        let limits = Limits { max_time: Some(Duration::from_mins(1)), ..limits(1) };
        let report = check(toy, engine, &limits);
        assert_eq!((report.verdict, report.violated()), (Verdict::Violated, vec!["never back"]));
    }
}

#[test]
fn a_step_property_is_judged_on_a_step_out_of_bounds() {
    let mut toy = bounded(world(1, UP), 3);
    toy.steps = vec![StepProperty {
        name: "stays below 4",
        holds: StepPredicate::Change(Arc::new(|step, ()| *step.after.state < 4)),
    }];
    let report = check(toy, Engine::Bfs, &limits(1));
    assert_eq!(report.violated(), ["stays below 4"]);
}

/// Toys with one way of single steps, and a leap from 2 to 10.
fn leaping(toys: usize) -> ToyWorld {
    const MOVES: &[fn(u8) -> u8] =
        &[|n| if n < 12 { n + 1 } else { n }, |n| if n == 2 { 10 } else { n }];
    world(toys, MOVES)
}

/// The step property "nobody leaps".
fn no_leap() -> StepProperty<Toy, ()> {
    StepProperty {
        name: "no leap",
        holds: StepPredicate::Change(Arc::new(|step, ()| {
            *step.after.state <= *step.before.state + 1
        })),
    }
}

/// The shortest counterexample that is found within so many states.
fn shortest<A: Checkable>(
    world: &World<A, ()>,
    property: Option<&'static str>,
    threads: usize,
    max_states: u64,
) -> search::Outcome<A, ()> {
    let limits = Limits { max_states: Some(max_states), ..limits(threads) };
    search::shortest(world, property, &limits, &AtomicBool::new(false))
}

fn found(outcome: search::Outcome<Toy, ()>) -> Box<search::Counterexample<Toy, ()>> {
    match outcome {
        search::Outcome::Found(found) => found,
        search::Outcome::Exhausted(_) | search::Outcome::Ended(..) => {
            panic!("there is a violation")
        }
    }
}

#[test]
fn the_shortest_counterexample_is_the_shortest_whatever_the_threads() {
    let world = || {
        let mut toys = leaping(2);
        toys.always.push(always("not 11", |sum| sum != 11));
        toys
    };
    let mut paths = Vec::new();
    for threads in [1, 2, 5] {
        let found = found(shortest(&world(), None, threads, 10_000));
        assert_eq!((found.property, found.steps.len()), ("not 11", 4));
        let replayed = search::replay(&world(), &found.indices).expect("the path exists");
        let last = &replayed.last().expect("it has steps").1;
        assert_eq!(world().broken(last), ["not 11"]);
        paths.push(found.indices);
    }
    assert!(paths.windows(2).all(|pair| pair[0] == pair[1]), "{paths:?}");
}

#[test]
fn the_shortest_search_asks_for_the_property_named() {
    let mut toys = leaping(2);
    toys.always.push(always("below 2", |sum| sum < 2));
    toys.always.push(always("not 11", |sum| sum != 11));
    let found = found(shortest(&toys, Some("not 11"), 2, 10_000));
    assert_eq!((found.property, found.steps.len()), ("not 11", 4));
}

#[test]
fn the_shortest_search_does_not_go_beyond_a_broken_step_as_the_engines_do_not() {
    let mut toy = leaping(1);
    toy.always.push(always("below 11", |sum| sum < 11));
    // It makes no difference whether the change or the output violates.
    let no_output = StepProperty {
        name: "no leap is put out",
        holds: StepPredicate::Output(Arc::new(|step| *step.after.state <= *step.before.state + 1)),
    };
    for property in [no_leap(), no_output] {
        toy.steps = vec![property];
        let found = found(shortest(&toy, Some("below 11"), 2, 10_000));
        assert_eq!(found.steps.len(), 11, "single steps only: the leap is a violation by itself");
    }
}

/// The first actor may go two ways. On one way a timer changes it. On the other way, or on both, it answers
/// the message that was sent to it at the start. Both the timeout and the answer put out something that is
/// forbidden.
struct TwoWays {
    answers_on_both: bool,
}

impl Actor for TwoWays {
    type Msg = ();
    type Timer = u8;
    type State = u8;
    type Storage = ();
    type Random = ();

    fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> u8 {
        match usize::from(id) {
            0 => (1..3).for_each(|timer| o.set_timer(timer, model_timeout())),
            _ => o.send(Id::from(0), ()),
        }
        0
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, u8>, timer: &u8, o: &mut Out<Self>) {
        match **state {
            0 => *state = Cow::Owned(*timer),
            1 => {
                *state = Cow::Owned(3);
                o.send(Id::from(1), ());
            }
            _ => {}
        }
    }

    fn on_msg(&self, id: Id, state: &mut Cow<'_, u8>, src: Id, (): (), o: &mut Out<Self>) {
        let answers = **state == 2 || **state == 1 && self.answers_on_both;
        if id == Id::from(0) && answers {
            o.send(src, ());
        }
    }
}

/// The length of a path counts the steps that change an actor. The answer changes none, so one such step is
/// enough.
#[test]
fn the_shortest_way_is_by_the_step_that_changes_no_actor_if_there_is_one() {
    for answers_on_both in [true, false] {
        let mut world = of([TwoWays { answers_on_both }, TwoWays { answers_on_both }]);
        world.steps = vec![StepProperty {
            name: "says nothing",
            holds: StepPredicate::Output(Arc::new(|step| step.out.is_empty())),
        }];
        let search::Outcome::Found(found) = shortest(&world, None, 1, 1000) else {
            panic!("there is a violation")
        };
        let last = found.steps.iter().map(|(action, _)| &action.event).next_back();
        assert!(matches!(last, Some(actorcheck::Event::Deliver { .. })), "{last:?}");
        assert_eq!(found.steps.len(), 2);
        assert_eq!(found.unsure, None);
    }
}

#[test]
fn a_shortest_search_cut_by_its_limit_says_so() {
    assert!(matches!(
        shortest(&world(3, UP), None, 2, 1000),
        search::Outcome::Ended(visited, "the limit on states") if visited >= 1000
    ));
}

#[test]
fn a_shortest_search_ends_at_every_limit_and_at_an_interruption() {
    let ended = |limits: &Limits, interrupted| {
        let interrupted = AtomicBool::new(interrupted);
        match search::shortest(&world(3, UP), None, limits, &interrupted) {
            search::Outcome::Ended(_, reason) => reason,
            _ => panic!("it is larger than that"),
        }
    };
    let bounded = Limits { max_states: Some(1_000_000), ..limits(2) };
    assert_eq!(ended(&bounded, true), "an interruption");
    let max_time = Some(Duration::from_millis(1));
    assert_eq!(ended(&Limits { max_time, ..bounded.clone() }, false), "the limit on time");
    #[cfg(target_os = "linux")]
    assert_eq!(ended(&Limits { max_memory: Some(1), ..bounded }, false), "the limit on memory");
}

#[test]
fn a_path_that_does_not_exist_is_not_replayed() {
    assert!(search::replay(&leaping(2), &[0, 99]).is_none());
}

#[test]
fn a_panic_in_a_handler_is_no_verdict() {
    const FALLS: &[fn(u8) -> u8] = &[|n| {
        assert!(n < 5, "this toy breaks on purpose");
        n + 1
    }];
    for engine in EXHAUSTING {
        for threads in [1, 2] {
            let checked = || check(world(2, FALLS), engine, &limits(threads));
            assert!(catch_unwind(AssertUnwindSafe(checked)).is_err());
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let figures = |threads| {
        let mut world = bounded(world(3, UP), 20);
        world.sometimes = vec![always("60", |sum| sum == 60)];
        let report = check(world, Engine::Bfs, &limits(threads));
        let results: Vec<_> = report.properties.iter().map(|p| (p.kind, p.result)).collect();
        (report.verdict, report.states, report.generated, report.cuts, report.labels, results)
    };
    let one = figures(1);
    assert_eq!((one.0, one.1), (Verdict::Exhaustive, 21 * 21 * 21));
    assert_eq!(one.4[0], ("never", 0), "labels never seen are reported");
    assert_eq!(one.5[1], (Kind::Sometimes, PropertyResult::Witnessed));
    assert_eq!(one, figures(2));
    assert_eq!(one, figures(4));
}

/// The text of a panic.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("nothing")
}

/// The lock of the thread that panics is poisoned then. Another thread may come across the lock before the
/// first thread has ended.
#[test]
fn the_panic_that_reaches_the_caller_is_that_of_the_handler() {
    const FALLS: &[fn(u8) -> u8] = &[
        |n| {
            assert!(n < 5, "this toy breaks on purpose");
            n + 1
        },
        |n| n ^ 1,
    ];
    for _ in 0..100 {
        let checked = || check(world(3, FALLS), Engine::Antichain, &limits(2));
        let panic = catch_unwind(AssertUnwindSafe(checked)).expect_err("it panics");
        assert_eq!(said(&*panic), "this toy breaks on purpose");
    }
}

// ---- values are compared, not hashes ----

/// Two sets. When stateright hashes them, it writes only their elements, so the hash does not tell which of
/// the two sets an element is in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Holds {
    a: HashableHashSet<u8>,
    b: HashableHashSet<u8>,
    count: u8,
}

/// The first actor takes the first thing it is given, into one set or the other. Each of the others gives it
/// one thing, and counts.
struct Giver;

const MOST: u8 = 20;

impl Actor for Giver {
    type Msg = bool;
    type Timer = ();
    type State = Holds;
    type Storage = ();
    type Random = ();

    fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> Holds {
        if id != Id::from(0) {
            o.send(Id::from(0), id == Id::from(1));
            o.set_timer((), model_timeout());
        }
        Holds { a: HashableHashSet::new(), b: HashableHashSet::new(), count: 0 }
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, Holds>, _: Id, first: bool, _: &mut Out<Self>) {
        if state.a.is_empty() && state.b.is_empty() {
            let Holds { a, b, .. } = state.to_mut();
            if first { a } else { b }.insert(7);
        }
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, Holds>, (): &(), o: &mut Out<Self>) {
        state.to_mut().count += 1;
        if state.count < MOST {
            o.set_timer((), model_timeout());
        }
    }
}

#[test]
fn values_that_differ_and_hash_alike_are_told_apart() {
    let givers = || of([Giver, Giver, Giver]);
    let counters = u64::from(MOST + 1).pow(2);
    let nothing_in = |name, is_it: fn(&Holds) -> bool| StateProperty {
        name,
        holds: StatePredicate::Actor(Arc::new(move |_, local: Local<'_, Giver>| {
            is_it(local.state)
        })),
    };
    let report = explored(&givers(), 1);
    let counts = report.tuples.expect("they are counted");
    assert_eq!((report.verdict, counts.tuples), (Verdict::Exhaustive, 3 * counters));
    assert!(report.expected_collisions() == 0.0);
    let plain = full(&givers(), 10_000).expect("it is small");
    assert_eq!(plain.tuples.len() as u64, 3 * counters);
    for property in
        [nothing_in("a", |holds| holds.a.is_empty()), nothing_in("b", |holds| holds.b.is_empty())]
    {
        let world = World { always: vec![property], ..givers() };
        let expected: Vec<_> =
            full(&world, 10_000).expect("it is small").broken.into_iter().collect();
        let report = explored(&world, 1);
        assert_eq!(report.violated(), expected);
        assert_eq!(expected.len(), 1);
    }
}

// ---- what never meets ----

/// The first actor asks, and the second answers. So no answer comes to the first before it has asked, and
/// nobody has thought about what its handler would do then.
struct Asking {
    /// Whether the handler panics at such an answer; otherwise it does what nobody expects.
    panics: bool,
}

impl Actor for Asking {
    type Msg = ();
    type Timer = ();
    type State = u8;
    type Storage = ();
    type Random = ();

    fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> u8 {
        if id == Id::from(0) {
            o.set_timer((), model_timeout());
        }
        0
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, u8>, (): &(), o: &mut Out<Self>) {
        *state = Cow::Owned(1);
        o.send(Id::from(1), ());
    }

    fn on_msg(&self, id: Id, state: &mut Cow<'_, u8>, src: Id, (): (), o: &mut Out<Self>) {
        if id == Id::from(1) {
            o.send(src, ());
        } else {
            assert!(**state > 0 || !self.panics, "nothing was asked");
            *state = Cow::Owned(2);
        }
    }
}

/// Whether a step is an answer that comes before anything was asked.
fn is_unasked(step: &actorcheck::Output<'_, Asking>) -> bool {
    step.who == Id::from(0)
        && *step.before.state == 0
        && matches!(step.event, actorcheck::Event::Deliver { .. })
}

#[test]
fn a_handler_that_panics_on_what_never_meets_ends_no_search() {
    for threads in [1, 2] {
        let asking = of([Asking { panics: true }, Asking { panics: true }]);
        let report = explored(&asking, threads);
        let tuples = report.tuples.expect("they are counted").tuples;
        assert_eq!((report.verdict, tuples), (Verdict::Exhaustive, 3));
    }
}

#[test]
fn properties_of_outputs_and_labels_that_panic_on_what_never_meets_end_no_search() {
    let mut asking = of([Asking { panics: false }, Asking { panics: false }]);
    asking.steps = vec![StepProperty {
        name: "asked",
        holds: StepPredicate::Output(Arc::new(|step| {
            assert!(!is_unasked(step), "nothing was asked");
            true
        })),
    }];
    asking.label = Arc::new(|step, labels| {
        assert!(!is_unasked(step), "nothing was asked");
        labels.push("a step");
    });
    asking.labels = &["a step"];
    asking.tally = Arc::new(Tally::new(0, asking.labels));
    let report = explored(&asking, 1);
    let tuples = report.tuples.expect("they are counted").tuples;
    assert_eq!((report.verdict, tuples), (Verdict::Exhaustive, 3));
}

// ---- limits ----

/// Each actor counts to 4, and each time tells the first actor one of eight things. These matter to the first
/// actor once its timer has fired. So there are few tuples, and many thousand states of some tuples.
struct Telling;

impl Actor for Telling {
    type Msg = u8;
    type Timer = u8;
    type State = u8;
    type Storage = ();
    type Random = ();

    fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> u8 {
        let timers = if id == Id::from(0) { 0..1 } else { 0..8 };
        timers.for_each(|timer| o.set_timer(timer, model_timeout()));
        0
    }

    fn on_timeout(&self, id: Id, state: &mut Cow<'_, u8>, timer: &u8, o: &mut Out<Self>) {
        if id == Id::from(0) {
            *state = Cow::Owned(1);
            return;
        }
        o.set_timer(*timer, model_timeout());
        if **state < 4 {
            o.send(Id::from(0), *timer);
            *state = Cow::Owned(**state + 1);
        }
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, u8>, _: Id, msg: u8, _: &mut Out<Self>) {
        if **state != 0 {
            *state = Cow::Owned(2 + msg);
        }
    }
}

/// The number of steps that are taken between an interruption and the end of the search. Each step is made to
/// last a little after the interruption.
#[expect(clippy::disallowed_methods, reason = "what must not be done any more takes time")]
fn steps_after_an_interruption(threads: usize) -> u64 {
    let interrupted = Arc::new(AtomicBool::new(false));
    let (after, is_over) = (Arc::new(AtomicU64::new(0)), Arc::clone(&interrupted));
    let counted = Arc::clone(&after);
    let mut telling = of([Telling, Telling, Telling, Telling]);
    telling.bounds = vec![Bound {
        name: "none",
        limit: 0,
        within: StatePredicate::View(Arc::new(move |_| {
            if is_over.load(Ordering::Relaxed) {
                counted.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
            true
        })),
    }];
    let mut interrupt = |now: actorcheck::Progress| {
        if now.states > 3_000 {
            interrupted.store(true, Ordering::Relaxed);
        }
    };
    let report = explore(&telling, &limits(threads), &interrupted, &mut interrupt);
    assert_eq!((report.verdict, report.ended_by), (Verdict::Bounded, Some("an interruption")));
    after.load(Ordering::Relaxed)
}

#[test]
fn an_interruption_is_noticed_between_two_steps_however_many_states_a_tuple_has() {
    for threads in [1, 2] {
        let after = steps_after_an_interruption(threads);
        assert!(after < 2_000, "{after} steps were taken that nobody waited for");
    }
}

// ---- worlds that no engine checks ----

#[test]
fn a_world_of_another_network_or_with_crashes_of_its_own_is_refused_with_a_sentence() {
    let asked = |change: fn(&mut ToyWorld)| {
        let mut toys = world(1, UP);
        change(&mut toys);
        assert!(toys.refusal().is_some());
        for engine in EXHAUSTING {
            let mut toys = world(1, UP);
            change(&mut toys);
            let checked = AssertUnwindSafe(|| check(toys, engine, &limits(1)));
            let panic = catch_unwind(checked).expect_err("it is refused");
            assert!(said(&*panic).contains("world"), "{}", said(&*panic));
        }
    };
    assert_eq!(world(1, UP).refusal(), None);
    asked(|toys| toys.actors.init_network = Network::new_ordered([]));
    asked(|toys| toys.actors.init_network = Network::new_unordered_nonduplicating([]));
    asked(|toys| {
        let mut other = world(1, UP);
        let envelope = Envelope { src: Id::from(0), dst: Id::from(0), msg: 1 };
        other.actors.init_network = Network::new_ordered([envelope]);
        toys.initial = Some(other.started());
    });
    asked(|toys| toys.actors.lossy_network = LossyNetwork::Yes);
    asked(|toys| toys.actors.max_crashes = 1);
    asked(|toys| {
        let inner = std::mem::replace(&mut toys.actors, ActorModel::new((), ()));
        toys.actors = inner.property(stateright::Expectation::Always, "asked", |_, _| true);
    });
}

/// An actor that counts for ever.
struct Counter;

impl Actor for Counter {
    type Msg = ();
    type Timer = ();
    type State = u64;
    type Storage = ();
    type Random = ();

    fn on_start(&self, _: Id, _: &Option<()>, out: &mut Out<Self>) -> u64 {
        out.set_timer((), model_timeout());
        0
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, u64>, (): &(), out: &mut Out<Self>) {
        out.set_timer((), model_timeout());
        *state.to_mut() += 1;
    }
}

#[test]
fn an_actor_without_a_bound_ends_the_search_and_is_named() {
    let few = Limits { max_locals: Some(1_000), ..limits(1) };
    let checked = World::new([Counter]).name(0, "the counter").check_within(&few);
    assert_eq!(checked.report.verdict, Verdict::Bounded);
    let text = checked.to_string();
    assert!(text.contains("the counter has "), "{text}");
    assert!(text.contains("local states, and ever more: add a bound"), "{text}");
    let within = World::new([Counter]).bound("count", 100, |counter| *counter.state <= 100);
    let report = within.check().assert_exhaustive().clone();
    assert_eq!(report.tuples.expect("they are counted").widest, (0, 102), "one beyond the bound");
}

#[test]
fn a_check_asserts_that_all_was_seen_and_that_it_holds() {
    let up = || World::new([Toy { moves: UP }]).bound("max", 3, |toy| *toy.state <= 3);
    up().always("small", |view| *view.local(0).state <= 3).check().assert_exhaustive();
    let failed = |world: ToyWorld| {
        let checked = world.check();
        let panic = catch_unwind(AssertUnwindSafe(|| checked.assert_exhaustive().states));
        said(&*panic.expect_err("it fails")).to_owned()
    };
    let text = failed(up().always("smaller", |view| *view.local(0).state < 3));
    assert!(text.contains("smaller is violated after 3 steps:"), "{text}");
    assert!(text.contains("A0: 0 timeout"), "{text}");
    let text = failed(up().sometimes("large", |view| *view.local(0).state > 3));
    assert!(text.contains("large: never seen"), "{text}");
}

#[test]
#[should_panic(expected = "a ghost comes before properties, bounds, symmetry and a first state")]
fn a_ghost_comes_before_what_is_asked_of_it() {
    let _ = World::new([Counter]).always("true", |_| true).ghost(0, |_, _| {});
}

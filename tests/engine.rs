//! The checker does not claim more than it has seen. Toy actors, for which every figure is known.

use checked_raft::checker::{
    Bound, Checkable, Engine, Kind, Limits, Local, PropertyResult, Report, StatePredicate,
    StateProperty, StepPredicate, StepProperty, Tally, Verdict, World, run, search,
};
use checked_raft::models::Spec;
use checked_raft::models::ghost::Watch;
use stateright::actor::{Actor, ActorModel, Id, Out, model_timeout};
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
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

/// So many toys side by side, with one property that always holds.
fn world(toys: usize, moves: &'static [fn(u8) -> u8]) -> ToyWorld {
    World {
        actors: ActorModel::new((), ()).actors((0..toys).map(|_| Toy { moves })),
        names: (0..toys).map(|n| format!("T{n}")).collect(),
        restartable: Vec::new(),
        ghost: (),
        observe: Arc::new(|(), _| {}),
        always: vec![always("true", |_| true)],
        steps: Vec::new(),
        sometimes: Vec::new(),
        recovery: None,
        bounds: Vec::new(),
        label: Arc::new(|step, labels| {
            labels.push(if *step.after.state == 0 { "zero" } else { "other" });
        }),
        labels: &["zero", "other", "never"],
        symmetry: None,
        initial: None,
        tally: Arc::new(Tally::default()),
    }
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
    Limits { threads, max_states: None, max_time: None, max_memory: None }
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

/// Its one timer fires once, and all that changes is that the timer is no longer armed.
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
    let fuses = || World {
        actors: ActorModel::new((), ()).actors([Fuse, Fuse, Fuse]),
        names: (0..3).map(|n| format!("F{n}")).collect(),
        restartable: Vec::new(),
        ghost: (),
        observe: Arc::new(|(), _| {}),
        always: vec![StateProperty {
            name: "true",
            holds: StatePredicate::Ghost(Arc::new(|()| true)),
        }],
        steps: Vec::new(),
        sometimes: Vec::new(),
        recovery: None,
        bounds: Vec::new(),
        label: Arc::new(|_, _| {}),
        labels: &[],
        symmetry: None,
        initial: None,
        tally: Arc::new(Tally::default()),
    };
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
    // stateright does not expand a state when it has nothing left to discover.
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

/// One way of single steps, and a leap from 2 to 10.
fn leaping(toys: usize) -> ToyWorld {
    const MOVES: &[fn(u8) -> u8] =
        &[|n| if n < 12 { n + 1 } else { n }, |n| if n == 2 { 10 } else { n }];
    world(toys, MOVES)
}

/// "Nobody leaps."
fn no_leap() -> StepProperty<Toy, ()> {
    StepProperty {
        name: "no leap",
        holds: StepPredicate::Change(Arc::new(|step, ()| {
            *step.after.state <= *step.before.state + 1
        })),
    }
}

/// The shortest counterexample within so many states.
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
    // It makes no difference whether the change or the output is what violates.
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

#[test]
fn bfs_and_dfs_agree_on_the_number_of_states_of_small_clusters_and_ours_needs_fewer() {
    let watch = Watch { leaders: true, committed: true, ..Watch::default() };
    let two = Spec { watch, servers: 2, restarts: true, ..Spec::base("two", "two servers") };
    let three = Spec { watch, ..Spec::base("three", "three servers") };
    for spec in [Spec { max_term: 2, ..two.clone() }, two, three] {
        let states = |engine| {
            let world = spec.cluster();
            let report = run(world, engine, &limits(2), &AtomicBool::new(false), &mut |_| {});
            assert_eq!(report.verdict, Verdict::Exhaustive, "{:?}", report.violated());
            report.states
        };
        let (bfs, dfs, maximal) =
            (states(Engine::Bfs), states(Engine::Dfs), states(Engine::Antichain));
        assert_eq!(bfs, dfs);
        assert!(10 < maximal && maximal < bfs, "there is something to agree on");
    }
}

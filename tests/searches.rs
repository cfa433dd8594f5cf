//! The models of Raft by the antichain engine and by other searches: they reach one set of tuples, with
//! symmetry and without, on any number of threads.

#[path = "../checker/tests/common/full_search.rs"]
mod full_search;

use actorcheck::engine::explore_and_visit;
use actorcheck::{Engine, Limits, Local, Report, Tally, Verdict, World, run};
use checked_raft::models::catalogue::{catalogue, find};
use checked_raft::models::ghost::Watch;
use checked_raft::models::process::{Asks, ProcessState};
use checked_raft::models::{Cluster, Spec};
use full_search::{by_stateright, counts, explored, results};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Threads and surveys: surveys that see much, and one that sees next to nothing.
const WAYS: [(usize, &[u16]); 2] = [(2, &[4, 32, 256]), (1, &[1])];

/// The labels seen. How often depends on when it is known which messages matter.
fn labels(report: &Report) -> Vec<&'static str> {
    let seen = report.labels.iter().filter(|(_, count)| *count > 0);
    seen.map(|(label, _)| *label).collect()
}

/// Whether stateright counts the states of a model in seconds. `raft check --engine bfs` counts those of the
/// others as well.
fn has_few_states(spec: &Spec) -> bool {
    spec.states.is_some_and(|states| states < 250_000)
}

#[test]
fn in_the_catalogue_both_searches_reach_the_same_tuples() {
    let (mut compared, mut refuted) = (0, 0);
    for spec in catalogue().into_iter().filter(has_few_states) {
        let world = World { symmetry: None, ..spec.cluster() };
        let (report, theirs) = by_stateright(spec.cluster());
        assert_eq!(report.verdict, Verdict::Exhaustive, "{}", spec.name);
        assert_eq!(Some(report.states), spec.states, "{}", spec.name);
        for way in WAYS {
            let (report, tuples) = explored(&world, way);
            assert_eq!(report.verdict, Verdict::Exhaustive, "{}", spec.name);
            let numbers = (tuples.len(), theirs.len());
            assert!(tuples == theirs, "{}: tuples, ours and theirs: {numbers:?}", spec.name);
            assert_eq!(counts(&report).1, spec.tuples, "{}", spec.name);
            refuted += report.tuples.expect("they are counted").rounds - 1;
        }
        compared += 1;
    }
    assert_eq!(compared, 14, "the small models are compared");
    // How many depends on when they are looked at; that there are some does not, with one thread.
    println!("{refuted} hypotheses were refuted");
    assert!(refuted > 0, "no hypothesis was refuted: this does not test much");
}

#[test]
fn the_counts_do_not_depend_on_the_number_of_threads() {
    let two_terms = Spec { max_term: 2, ..Spec::base("two-terms", "three servers, two terms") };
    let expected = counts(&explored(&two_terms.cluster(), WAYS[1]).0).1;
    assert!(expected.0 > 1000 && expected.1 > expected.0, "there is something to agree on");
    for way in [WAYS[0], (3, WAYS[1].1), (5, WAYS[0].1)] {
        assert_eq!(counts(&explored(&two_terms.cluster(), way).0).1, expected);
    }
}

#[test]
fn bfs_and_dfs_agree_on_the_number_of_states_of_small_clusters_and_ours_needs_fewer() {
    let watch = Watch { leaders: true, committed: true, ..Watch::default() };
    let two = Spec { watch, servers: 2, restarts: true, ..Spec::base("two", "two servers") };
    let three = Spec { watch, ..Spec::base("three", "three servers") };
    for spec in [Spec { max_term: 2, ..two.clone() }, two, three] {
        let states = |engine| {
            let world = spec.cluster();
            let report =
                run(world, engine, &Limits::unlimited(2), &AtomicBool::new(false), &mut |_| {});
            assert_eq!(report.verdict, Verdict::Exhaustive, "{:?}", report.violated());
            report.states
        };
        let (bfs, dfs, maximal) =
            (states(Engine::Bfs), states(Engine::Dfs), states(Engine::Antichain));
        assert_eq!(bfs, dfs);
        assert!(10 < maximal && maximal < bfs, "there is something to agree on");
    }
}

#[test]
fn with_and_without_symmetry_the_models_have_the_same_counts_verdicts_and_coverage() {
    let asking_all = |name, restarts| Spec {
        asks: Asks::All,
        restarts,
        ..find(name).expect("it is in the catalogue")
    };
    let models = catalogue().into_iter().filter(has_few_states);
    let two = find("two-terms").expect("it is in the catalogue");
    let mut reduced = Vec::new();
    for spec in models.chain([asking_all("client", false), asking_all("sessions", true), two]) {
        let labelled = |with_symmetry: bool| {
            let mut world = spec.cluster();
            world.tally = Arc::new(Tally::new(world.bounds.len(), world.labels));
            world.symmetry = world.symmetry.filter(|_| with_symmetry);
            world
        };
        let (without, all) = explored(&labelled(false), WAYS[0]);
        let (with, some) = explored(&labelled(true), WAYS[0]);
        let (symmetries, counted) = counts(&with);
        assert_eq!((1, counted), counts(&without), "{}", spec.name);
        assert_eq!(results(&with), results(&without), "{}", spec.name);
        assert_eq!(labels(&with), labels(&without), "{}", spec.name);
        assert_eq!(with.verdict, Verdict::Exhaustive, "{}", spec.name);
        assert!(some.is_subset(&all), "{}: what stands for others is one of them", spec.name);
        let standing = with.tuples.expect("they are counted").standing;
        assert_eq!(standing.0, some.len() as u64, "{}", spec.name);
        assert!(standing.0 * symmetries >= counted.0, "{}", spec.name);
        if some.len() < all.len() {
            reduced.push(spec.name);
        }
    }
    assert!(reduced.len() >= 6, "of these are servers interchangeable: {reduced:?}");
}

#[test]
fn only_permutations_that_leave_the_first_state_as_it_is_are_used() {
    let symmetries = |spec: &Spec| counts(&explored(&spec.cluster(), WAYS[1]).0).0;
    let base = Spec::base("base", "three servers, one term");
    assert_eq!(symmetries(&base), 6);
    assert_eq!(symmetries(&Spec { servers: 4, ..base.clone() }), 24);
    let one_leads = "timeout S0\nsettle\nlose-network";
    assert_eq!(symmetries(&Spec { prefix: one_leads, ..base.clone() }), 2, "S1 and S2 are alike");
    let client = find("client").expect("it is in the catalogue");
    assert_eq!(symmetries(&client), 1, "to a client that asks in turn servers have an order");
}

/// What the servers can do when clients ask in turn, they can do when clients ask all at once.
#[test]
fn asking_all_servers_allows_whatever_asking_in_turn_does() {
    let servers = |world: &Cluster| {
        let mut seen = BTreeSet::new();
        let report = explore_and_visit(world, &Limits::unlimited(2), WAYS[0].1, &mut |view| {
            let of = |local: Local<'_, _>| match local.state {
                ProcessState::Server(server) => format!("{server:?} {:?}", local.timers),
                ProcessState::Client(client) => format!("{:?}", client.outcomes),
            };
            let locals: Vec<_> = view.locals().map(of).collect();
            seen.insert(format!("{locals:?} {:?}", view.ghost));
        });
        assert_eq!(report.verdict, Verdict::Exhaustive);
        seen
    };
    for name in ["client", "sessions", "failover"] {
        let in_turn = Spec { restarts: false, ..find(name).expect("it is in the catalogue") };
        let all = Spec { asks: Asks::All, ..in_turn.clone() };
        let without_symmetry = |spec: &Spec| World { symmetry: None, ..spec.cluster() };
        let (in_turn, all) =
            (servers(&without_symmetry(&in_turn)), servers(&without_symmetry(&all)));
        assert!(in_turn.len() > 100 && in_turn.is_subset(&all), "{name}");
    }
}

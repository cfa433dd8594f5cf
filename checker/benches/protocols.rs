//! Protocols of other people by the antichain engine and by stateright's breadth-first search, side by side.
//!
//! `cargo bench -p actorcheck --bench protocols` prints the table of the README. stateright's search is
//! ended after half a minute or at four gigabytes.

#[path = "../examples/abd.rs"]
mod abd;
#[path = "../examples/paxos.rs"]
mod paxos;
#[path = "../examples/two_phase_commit.rs"]
mod two_phase_commit;

use actorcheck::{Checkable, Engine, Ghostly, Limits, Report, Verdict, World, run};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

fn searched<A: Checkable, G: Ghostly>(world: World<A, G>, engine: Engine) -> Report {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let limits = Limits {
        max_time: Some(Duration::from_secs(30)),
        max_memory: Some(4 << 30),
        ..Limits::unlimited(threads)
    };
    run(world, engine, &limits, &AtomicBool::new(false), &mut |_| {})
}

fn text(report: &Report) -> String {
    let seconds = report.elapsed.as_secs_f64();
    match (report.verdict, report.tuples) {
        (Verdict::Exhaustive, Some(_)) => format!("{seconds:.2} s"),
        (Verdict::Exhaustive, None) => format!("{seconds:.1} s, {} states", report.states),
        (_, _) => {
            let reason = report.ended_by.unwrap_or("a violation");
            format!("not done: {reason} after {seconds:.0} s, {} states", report.states)
        }
    }
}

fn row<A: Checkable, G: Ghostly>(
    what: &str,
    world: &dyn Fn() -> World<A, G>,
    with_symmetry: World<A, G>,
) {
    let ours = searched(with_symmetry, Engine::Antichain);
    let plain = searched(world(), Engine::Plain);
    let theirs = searched(world(), Engine::Bfs);
    let tuples = ours.tuples.map_or(0, |counts| counts.tuples);
    let [ours, plain, theirs] = [&ours, &plain, &theirs].map(text);
    println!("| {what} | {tuples} | {ours} | {plain} | {theirs} |");
}

fn main() {
    println!("| system | tuples | antichain | without reductions | stateright's BFS |");
    println!("|---|---|---|---|---|");
    for resources in [2, 4, 8] {
        let world = || two_phase_commit::world(resources);
        let what = format!("two-phase commit, {resources} resource managers");
        row(&what, &world, world().interchangeable(1..=resources.min(5)));
    }
    for (replicas, clients, operations) in [(2, 2, 1), (3, 2, 1), (3, 3, 1), (3, 2, 2)] {
        let world = || abd::world(replicas, clients, operations);
        let what = format!(
            "shared register, {replicas} replicas, {clients} clients with {operations} operations"
        );
        row(&what, &world, world().interchangeable(0..replicas));
    }
    for (acceptors, highest) in [(3, 2), (3, 4), (5, 4)] {
        let world = || paxos::world(acceptors, 2, highest);
        let what = format!("Paxos, {acceptors} acceptors, 2 proposers, {highest} ballots");
        row(&what, &world, world().interchangeable(0..acceptors));
    }
}

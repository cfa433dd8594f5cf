//! How many states a second does the checker visit, and which part of that is the protocol?
//!
//! One whole model by stateright's BFS and DFS and by the antichain engine, on one thread and on two;
//! larger ones by the antichain engine; then a single step of a model. Elements are unique states for
//! the first model, and steps generated for the larger ones.

use actorcheck::{Engine, Limits, Verdict, run};
use checked_raft::models::catalogue;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use stateright::Model;
use std::hint::black_box;
use std::sync::atomic::AtomicBool;

const MODEL: &str = "replication";
/// Growing in terms, and in servers.
const LARGER: [&str; 3] = ["two-terms", "three-terms", "four-servers"];

fn bench(c: &mut Criterion) {
    let spec = catalogue::find(MODEL).expect("it is in the catalogue");
    let mut group = c.benchmark_group(format!("states of `{MODEL}`"));
    group.sample_size(10).throughput(Throughput::Elements(spec.states.expect("it is pinned")));
    for (name, engine, threads) in [
        ("antichain, 1 thread", Engine::Antichain, 1),
        ("antichain, 2 threads", Engine::Antichain, 2),
        ("bfs, 1 thread", Engine::Bfs, 1),
        ("bfs, 2 threads", Engine::Bfs, 2),
        ("dfs, 1 thread", Engine::Dfs, 1),
        ("dfs, 2 threads", Engine::Dfs, 2),
    ] {
        let limits = Limits::unlimited(threads);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let never = AtomicBool::new(false);
                let report = run(spec.cluster(), engine, &limits, &never, &mut |_| {});
                assert_eq!(report.verdict, Verdict::Exhaustive);
            });
        });
    }
    group.finish();

    for model in LARGER {
        let spec = catalogue::find(model).expect("it is in the catalogue");
        let mut group = c.benchmark_group(format!("steps of `{model}`"));
        for threads in [1, 2] {
            let limits = Limits::unlimited(threads);
            let search = || {
                let never = AtomicBool::new(false);
                run(spec.cluster(), Engine::Antichain, &limits, &never, &mut |_| {})
            };
            group.sample_size(10).throughput(Throughput::Elements(search().generated));
            group.bench_function(format!("antichain, {threads} threads"), |bencher| {
                bencher.iter(|| black_box(search()));
            });
        }
        group.finish();
    }

    let cluster = spec.cluster();
    let state = cluster.init_states().remove(0);
    let action = cluster.enabled(&state).remove(0);
    c.bench_function("one step of the model", |bencher| {
        bencher.iter(|| black_box(cluster.step(&state, &action)));
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);

//! How many states a second does the checker visit, and which part of that is the protocol?
//!
//! One whole model by stateright's BFS and DFS, on one thread and on two, and by our level search;
//! then a single step of a model, with and without the wrapping of ghosts and properties.

use checked_raft::checker::search::shortest;
use checked_raft::checker::{Engine, Limits, run};
use checked_raft::models::catalogue;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use stateright::Model;
use std::hint::black_box;
use std::sync::atomic::AtomicBool;

const MODEL: &str = "replication";

fn bench(c: &mut Criterion) {
    let spec = catalogue::find(MODEL).expect("it is in the catalogue");
    let mut group = c.benchmark_group(format!("states of `{MODEL}`"));
    group.sample_size(10).throughput(Throughput::Elements(spec.states.expect("it is pinned")));
    for (name, engine, threads) in [
        ("bfs, 1 thread", Engine::Bfs, 1),
        ("bfs, 2 threads", Engine::Bfs, 2),
        ("dfs, 1 thread", Engine::Dfs, 1),
        ("dfs, 2 threads", Engine::Dfs, 2),
    ] {
        let limits = Limits { threads, max_states: None, max_time: None, max_memory: None };
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let never = AtomicBool::new(false);
                let report = run(spec.cluster(), engine, &limits, &never, &mut |_| {});
                assert_eq!(Some(report.states), spec.states);
            });
        });
    }
    group.bench_function("level search, 2 threads", |bencher| {
        let cluster = spec.cluster();
        bencher.iter(|| black_box(shortest(&cluster, None, 2, usize::MAX)));
    });
    group.finish();

    let cluster = spec.cluster();
    let state = cluster.init_states().remove(0);
    let action = cluster.enabled(&state).remove(0);
    c.bench_function("one step of the model", |bencher| {
        bencher.iter(|| black_box(cluster.step(&state, &action)));
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);

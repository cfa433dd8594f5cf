//! The `raft` command.
use checked_raft::checker::{Engine, Limits, run};
use std::sync::atomic::AtomicBool;
fn main() {
    let want: Vec<String> = std::env::args().skip(1).collect();
    for spec in checked_raft::models::catalogue::catalogue() {
        if !want.is_empty() && !want.iter().any(|w| w == spec.name) {
            continue;
        }
        let limits = Limits {
            threads: 2,
            max_states: Some(8_000_000),
            max_time: None,
            max_memory: Some(12 << 30),
        };
        let r = run(spec.cluster(), Engine::Bfs, &limits, &AtomicBool::new(false), &mut |_| {});
        println!(
            "{} {} {} states={} gen={} depth={} t={:?} viol={:?} cuts={:?} {:?}",
            spec.name,
            spec.bounds_text(),
            r.verdict,
            r.states,
            r.generated,
            r.depth,
            r.elapsed,
            r.violated(),
            r.cuts,
            r.properties
                .iter()
                .filter(|p| p.result == checked_raft::checker::PropertyResult::Unwitnessed)
                .map(|p| p.name)
                .collect::<Vec<_>>()
        );
        if !r.violated().is_empty() {
            let w = spec.cluster();
            if let checked_raft::checker::search::Outcome::Found(c) =
                checked_raft::checker::search::shortest(&w, None, 2, 3_000_000)
            {
                println!("{}\n{}", c.property, checked_raft::checker::diagram::steps_text(&w, &c));
            }
        }
    }
}

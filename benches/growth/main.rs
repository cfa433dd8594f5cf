//! The engines side by side on one model, how time and memory grow with the bounds, and what a second
//! thread brings: as the tables of `docs/measurements.md`.

mod measure;

use actorcheck::Engine;
use checked_raft::kv::Command;
use checked_raft::models::ghost::Watch;
use checked_raft::models::{Spec, catalogue};
use checked_raft::raft::Operation;
use measure::{Measured, exhaust};

fn main() {
    // `cargo test --benches` runs benchmarks, too, to see that they run.
    let is_test = !std::env::args().any(|argument| argument == "--bench");
    if is_test {
        engines("election-4");
        growth("servers", [servers(2), servers(3)]);
        speed_up(&["election-4"]);
        return;
    }
    println!("The load of the machine was {} before.", load());
    engines("replication");
    engines("elections");
    growth("terms", [terms(1), terms(2), terms(3), terms(4)]);
    growth("commands", [commands(0), commands(1)]);
    growth("servers", [servers(2), servers(3), servers(4), servers(5), servers(6)]);
    speed_up(&["three-terms", "three-terms-restarts", "four-terms", "command"]);
    println!("\nThe load of the machine was {} after.", load());
}

/// The average number of threads that wanted to run in the last minute, where the system tells.
fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("unknown").to_owned()
}

fn find(model: &str) -> Spec {
    catalogue::find(model).expect("it is in the catalogue")
}

const WATCH: Watch = Watch { leaders: true, votes: false, committed: true, history: false };

fn terms(max_term: u64) -> Spec {
    Spec { watch: WATCH, max_term, ..Spec::base("growth", "") }
}

fn servers(servers: usize) -> Spec {
    Spec { watch: WATCH, servers, ..Spec::base("growth", "") }
}

/// Three servers, two terms, and a client with so many commands.
fn commands(commands: usize) -> Spec {
    let put =
        |n: usize| Operation::Command(Command::Put("x".into(), n.to_string().into()).encode());
    Spec {
        watch: Watch { history: commands > 0, ..WATCH },
        max_term: 2,
        clients: if commands == 0 { vec![] } else { vec![(0..commands).map(put).collect()] },
        max_client_entries: 1 + commands as u64,
        ..Spec::base("growth", "")
    }
}

/// A row of a table.
fn row(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}

fn header(cells: &[&str]) {
    println!("\n| {} |", cells.join(" | "));
    println!("|{}", "---|".repeat(cells.len()));
}

/// A number with a comma between thousands.
fn grouped(number: u64) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", grouped(number / 1000), number % 1000),
    }
}

/// How many a second, to three digits.
fn rate(count: u64, measured: &Measured) -> String {
    let micros = measured.elapsed.as_micros().max(1);
    let rate = u128::from(count) * 1_000_000 / micros;
    let digits = rate.max(1).ilog10() + 1;
    let unit = 10_u128.pow(digits.saturating_sub(3));
    grouped(u64::try_from((rate + unit / 2) / unit * unit).expect("no such speed"))
}

fn seconds(measured: &Measured) -> String {
    format!("{:.3}", measured.elapsed.as_secs_f64())
}

fn each(bytes: u64, of: u64) -> String {
    grouped(bytes / of.max(1))
}

fn engines(model: &str) {
    let spec = find(model);
    println!("\nThe model `{model}`, {}:", spec.bounds_text());
    header(&[
        "engine",
        "threads",
        "s",
        "tuples",
        "visited",
        "states stored",
        "steps",
        "tuples a second",
        "states a second",
        "steps a second and core",
        "bytes kept a state",
        "bytes at most a state",
        "MB at most",
    ]);
    for (name, engine) in [
        ("antichain", Engine::Antichain),
        ("stateright BFS", Engine::Bfs),
        ("stateright DFS", Engine::Dfs),
    ] {
        for threads in [1, 2] {
            let it = exhaust(&spec, engine, threads);
            row(&[
                name.to_owned(),
                threads.to_string(),
                seconds(&it),
                it.tuples.map_or(String::new(), grouped),
                it.visited.map_or(String::new(), grouped),
                grouped(it.states),
                grouped(it.steps),
                it.tuples.map_or(String::new(), |tuples| rate(tuples, &it)),
                rate(it.states, &it),
                rate(it.steps / threads as u64, &it),
                each(it.kept, it.states),
                each(it.peak, it.states),
                format!("{:.1}", it.peak as f64 / 1e6),
            ]);
        }
    }
}

/// Models that grow in one respect, by the antichain engine on one thread.
fn growth<const N: usize>(what: &str, models: [Spec; N]) {
    println!("\nGrowth with {what}, antichain engine, one thread:");
    header(&[
        "servers, terms, commands",
        "tuples",
        "visited",
        "states stored",
        "steps",
        "s",
        "tuples a second",
        "steps a second",
        "bytes kept a state",
        "bytes at most a state",
        "MB at most",
        "tuples, times",
        "s, times",
        "MB, times",
    ]);
    let mut last: Option<Measured> = None;
    for spec in models {
        let it = exhaust(&spec, Engine::Antichain, 1);
        let tuples = |it: &Measured| it.tuples.expect("the antichain engine counts them");
        let times = |of: fn(&Measured) -> f64| {
            last.as_ref().map_or(String::new(), |last| format!("{:.1}", of(&it) / of(last)))
        };
        let commands: usize = spec.clients.iter().map(Vec::len).sum();
        row(&[
            format!("{}, {}, {commands}", spec.servers, spec.max_term),
            grouped(tuples(&it)),
            it.visited.map_or(String::new(), grouped),
            grouped(it.states),
            grouped(it.steps),
            seconds(&it),
            rate(tuples(&it), &it),
            rate(it.steps, &it),
            each(it.kept, it.states),
            each(it.peak, it.states),
            format!("{:.1}", it.peak as f64 / 1e6),
            times(|it| it.tuples.unwrap_or(0) as f64),
            times(|it| it.elapsed.as_secs_f64()),
            times(|it| it.peak as f64),
        ]);
        last = Some(it);
    }
}

fn speed_up(models: &[&str]) {
    println!("\nA second thread, antichain engine:");
    header(&["model", "s, 1 thread", "s, 2 threads", "speed-up", "MB at most, 1", "MB at most, 2"]);
    for model in models {
        let [one, two] = [1, 2].map(|threads| exhaust(&find(model), Engine::Antichain, threads));
        row(&[
            (*model).to_owned(),
            seconds(&one),
            seconds(&two),
            format!("{:.2}", one.elapsed.as_secs_f64() / two.elapsed.as_secs_f64()),
            format!("{:.0}", one.peak as f64 / 1e6),
            format!("{:.0}", two.peak as f64 / 1e6),
        ]);
    }
}

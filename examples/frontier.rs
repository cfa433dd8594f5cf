//! A search at bounds of one's own, beyond the catalogue: how far does an hour go?
//!
//! ```text
//! cargo run --release --example frontier -- --servers 3 --terms 2 --commands 3 --restarts
//! ```
//!
//! The verdict is printed as a row, with what the tables of `benches/README.md` have and some more, and what
//! was seen once a minute on the standard error, from which the growth can be told that stops a search. The
//! exit code is 0 only if the search was exhaustive and everything held. It ends at 20 GiB unless told
//! otherwise: say `--memory` on a machine that has less.

use checked_raft::checker::{Engine, Limits, Progress, Report, Verdict, run};
use checked_raft::kv::Command;
use checked_raft::models::Spec;
use checked_raft::models::ghost::Watch;
use checked_raft::models::member::Asks;
use clap::Parser;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Search a model at these bounds, with all properties that its ghosts allow, and recoverability
#[derive(Parser)]
struct Bounds {
    /// Servers
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=7))]
    servers: u8,
    /// Highest term
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    terms: u64,
    /// Commands of the client
    #[arg(long, default_value_t = 0)]
    commands: usize,
    /// Two clients instead: one puts, another one gets, and their history must be linearizable
    #[arg(long, conflicts_with = "commands")]
    two_clients: bool,
    /// A client asks one server at a time, not all at once: more states, and no symmetry
    #[arg(long)]
    in_turn: bool,
    /// Most entries of clients in any log [default: enough for each to open its session and finish]
    #[arg(long)]
    entries: Option<u64>,
    /// Servers restart, any number of times
    #[arg(long)]
    restarts: bool,
    /// Threads to search with [default: all cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// End the search after so many seconds
    #[arg(long, value_name = "S", default_value_t = 3600)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    max_seconds: u64,
    /// End the search when the process uses so much memory
    #[arg(long, value_name = "GiB", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    memory: u64,
}

impl Bounds {
    fn spec(&self) -> Spec {
        let put = |n: usize| Command::Put("x".into(), n.to_string().into());
        let clients = match (self.two_clients, self.commands) {
            (true, _) => vec![vec![put(1)], vec![Command::Get("x".into())]],
            (false, 0) => Vec::new(),
            (false, commands) => vec![(1..=commands).map(put).collect()],
        };
        // A session is an entry, and so is each command.
        let enough: usize = clients.iter().map(|commands: &Vec<_>| 1 + commands.len()).sum();
        Spec {
            servers: usize::from(self.servers),
            max_term: self.terms,
            max_client_entries: self.entries.unwrap_or(enough as u64),
            asks: if self.in_turn { Asks::InTurn } else { Asks::All },
            restarts: self.restarts,
            watch: Watch {
                leaders: true,
                committed: true,
                history: self.two_clients,
                ..Watch::default()
            },
            clients,
            ..Spec::base("frontier", "Bounds of one's own.")
        }
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let bounds = Bounds::parse();
    let spec = bounds.spec();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let limits = Limits {
        threads: bounds.threads.map_or(cores, usize::from),
        max_states: None,
        max_time: Some(Duration::from_secs(bounds.max_seconds)),
        max_memory: Some(bounds.memory << 30),
    };
    let interrupted = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&interrupted))?;
    println!("{}", spec.bounds_text());
    let mut seen = (0, None);
    let report = run(spec.cluster(), Engine::Antichain, &limits, &interrupted, &mut |now| {
        let minute = now.elapsed.as_secs() / 60;
        if minute > seen.0 {
            eprintln!("{}", sample(minute, &now));
        }
        seen = (minute, now.memory.max(seen.1));
    });
    for property in &report.properties {
        println!("{:?}: {}", property.result, property.name);
    }
    println!("{}", row(&bounds, &report, seen.1));
    let exhausted = report.verdict == Verdict::Exhaustive;
    Ok(if exhausted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How far a search is.
fn sample(minute: u64, now: &Progress) -> String {
    let tuples = now.tuples.unwrap_or_default();
    format!(
        "{minute} min: {tuples} tuples, {} states visited, {}",
        now.states,
        gigabytes(now.memory)
    )
}

fn gigabytes(memory: Option<u64>) -> String {
    memory.map_or("memory unknown".to_owned(), |bytes| format!("{:.1} GB", bytes as f64 / 1e9))
}

/// The search as a row of the table. The memory is the most that was resident.
fn row(bounds: &Bounds, report: &Report, memory: Option<u64>) -> String {
    let counts = report.tuples.expect("the antichain engine counts them");
    let cells = [
        format!("{}, {}, {}", bounds.servers, bounds.terms, bounds.spec().bounds()["commands"]),
        report.verdict.to_string(),
        counts.tuples.to_string(),
        report.states.to_string(),
        counts.standing.0.to_string(),
        counts.standing.1.to_string(),
        counts.expanded.to_string(),
        report.generated.to_string(),
        counts.locals.to_string(),
        counts.messages.to_string(),
        counts.rounds.to_string(),
        format!("{:.0}", report.elapsed.as_secs_f64()),
        gigabytes(memory),
        report.ended_by.unwrap_or("itself").to_owned(),
    ];
    let names = [
        "servers, terms, commands",
        "verdict",
        "tuples",
        "maximal states",
        "tuples visited",
        "states visited",
        "states expanded",
        "steps",
        "local states",
        "messages",
        "hypotheses",
        "s",
        "memory",
        "ended by",
    ];
    let rule = "---|".repeat(names.len());
    format!("\n| {} |\n|{rule}\n| {} |", names.join(" | "), cells.join(" | "))
}

//! Do the counts of the antichain engine hold where stateright can count, too?
//!
//! The deep models have more states than stateright's search can visit. For twelve of them, this program
//! counts a *family*: the deep model at several smaller bounds. It ends a family where stateright's search
//! meets its limit.
//!
//! Stateright's breadth-first search visits every state. A property notes the tuple of each: the local
//! states and the history, as a hash of 64 bits. The antichain engine counts the tuples of that model, too.
//! The program fails if the two numbers differ.
//!
//! `cargo bench -p benches --bench witness -- [FAMILY...] [--seconds S] [--gib G]` prints rows of
//! docs/witness.md. S limits the search of each step (3,600 if it is not given), and G the memory of the
//! process (8).

use actorcheck::{
    Engine, Limits, Local, Report, StatePredicate, StateProperty, TupleCounts, Verdict, run,
};
use checked_raft::models::catalogue::find;
use checked_raft::models::properties::ClusterView;
use checked_raft::models::{Cluster, Spec};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A change of a model's bounds, in words and as a function.
type Step = (&'static str, fn(&mut Spec));

/// Deep models, each with steps towards its bounds. Every step starts from the deep model.
const FAMILIES: [(&str, &[Step]); 12] = [
    (
        "four-terms",
        &[
            ("2 servers, 2 terms", |spec| (spec.servers, spec.max_term) = (2, 2)),
            ("2 servers, 4 terms", |spec| (spec.servers, spec.max_term) = (2, 4)),
            ("3 terms", |spec| spec.max_term = 3),
        ],
    ),
    (
        "five-servers-restarts",
        &[
            ("3 servers, 1 term", |spec| (spec.servers, spec.max_term) = (3, 1)),
            ("4 servers, 1 term", |spec| (spec.servers, spec.max_term) = (4, 1)),
            ("3 servers, 2 terms", |spec| spec.servers = 3),
        ],
    ),
    (
        "command-restarts",
        &[
            ("2 servers, 1 term", |spec| (spec.servers, spec.max_term) = (2, 1)),
            ("2 servers, 2 terms", |spec| spec.servers = 2),
        ],
    ),
    (
        "command-four-terms",
        &[
            ("2 servers, 1 term", |spec| (spec.servers, spec.max_term) = (2, 1)),
            ("2 servers, 2 terms", |spec| (spec.servers, spec.max_term) = (2, 2)),
            ("2 servers, 3 terms", |spec| (spec.servers, spec.max_term) = (2, 3)),
        ],
    ),
    (
        "command-five-servers",
        &[
            ("2 servers", |spec| spec.servers = 2),
            ("3 servers, 1 entry of a client", |spec| {
                (spec.servers, spec.max_client_entries) = (3, 1);
            }),
            ("3 servers", |spec| spec.servers = 3),
        ],
    ),
    (
        "three-commands",
        &[
            ("1 server", |spec| spec.servers = 1),
            ("2 servers, 1 term", |spec| (spec.servers, spec.max_term) = (2, 1)),
            ("2 servers", |spec| spec.servers = 2),
        ],
    ),
    (
        "two-clients-two-terms",
        &[
            ("2 servers, 1 term", |spec| (spec.servers, spec.max_term) = (2, 1)),
            ("2 servers", |spec| spec.servers = 2),
        ],
    ),
    (
        "undisturbed-terms",
        &[
            ("2 servers, 1 term", |spec| (spec.servers, spec.max_term) = (2, 1)),
            ("2 servers", |spec| spec.servers = 2),
            ("1 term", |spec| spec.max_term = 1),
        ],
    ),
    ("stickiness", &[("2 servers", |spec| spec.servers = 2), ("1 term", |spec| spec.max_term = 1)]),
    (
        "transfer-of-two",
        &[
            ("2 servers, 2 terms, without its script", |spec| {
                (spec.servers, spec.max_term, spec.prefix) = (2, 2, "");
            }),
            ("2 terms", |spec| spec.max_term = 2),
        ],
    ),
    (
        "all-deployed-terms",
        &[
            ("1 term, no restarts, logs up to 2", |spec| {
                (spec.max_term, spec.restarts, spec.max_index) = (1, false, Some(2));
            }),
            ("1 term, no restarts, logs up to 3", |spec| {
                (spec.max_term, spec.restarts, spec.max_index) = (1, false, Some(3));
            }),
        ],
    ),
    (
        "all-deployed-three",
        &[
            ("2 servers, logs up to 2", |spec| {
                (spec.servers, spec.prefix, spec.max_index) = (2, "", Some(2));
            }),
            ("2 servers", |spec| (spec.servers, spec.prefix) = (2, "")),
            ("logs up to 2", |spec| spec.max_index = Some(2)),
        ],
    ),
];

fn main() -> ExitCode {
    match Asked::new(std::env::args().skip(1)).and_then(|asked| asked.compare()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("witness: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The families to count, and the limits of each search.
struct Asked {
    families: Vec<&'static (&'static str, &'static [Step])>,
    limits: Limits,
}

impl Asked {
    fn new(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut names, mut seconds, mut gib) = (Vec::new(), 3_600, 8);
        let mut words = words.filter(|word| word != "--bench");
        while let Some(word) = words.next() {
            let mut number = || {
                let text = words.next().unwrap_or_default();
                text.parse().map_err(|error| format!("{word} `{text}`: {error}"))
            };
            match word.as_str() {
                "--seconds" => seconds = number()?,
                "--gib" => gib = number()?,
                _ if FAMILIES.iter().any(|(name, _)| *name == word) => names.push(word),
                _ => return Err(format!("`{word}` is no family; {}", known())),
            }
        }
        let is_chosen = |name: &str| names.is_empty() || names.iter().any(|it| it == name);
        let families = FAMILIES.iter().filter(|(name, _)| is_chosen(name)).collect();
        let limits = Limits {
            max_time: Some(Duration::from_secs(seconds)),
            max_memory: Some(gib << 30),
            ..Limits::unlimited(2)
        };
        Ok(Self { families, limits })
    }

    /// Counts all steps of the families and prints a row for each.
    fn compare(&self) -> Result<(), String> {
        println!(
            "| Deep model | At these bounds | stateright's states | its tuples | our tuples | its time | ours |"
        );
        println!("|---|---|---:|---:|---:|---:|---:|");
        for (deep, steps) in &self.families {
            for (words, change) in *steps {
                let model = find(deep).expect("it is in the catalogue");
                // What one sees only at the bounds of the deep model is not asked.
                let mut spec = Spec { sometimes: &[], ..model };
                change(&mut spec);
                if !self.row(deep, words, &spec)? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Counts a model both ways and prints the row; returns whether stateright came to an end.
    fn row(&self, deep: &str, words: &str, spec: &Spec) -> Result<bool, String> {
        let (theirs, tuples) = by_stateright(spec.cluster(), &self.limits);
        let named = format!("| `{deep}` | {words}");
        let ended = theirs.verdict == Verdict::Exhaustive;
        if !theirs.violated().is_empty() {
            return Err(format!(
                "{deep}, {words}: stateright finds {:?} violated",
                theirs.violated()
            ));
        }
        let time = |report: &Report| format!("{:.1} s", report.elapsed.as_secs_f64());
        if !ended {
            println!("{named} | more than {} | | | {} | |", theirs.states, time(&theirs));
            return Ok(false);
        }
        let ours = search(spec.cluster(), Engine::Antichain, &self.limits);
        if ours.verdict != Verdict::Exhaustive {
            return Err(format!("{deep}, {words}: the engine's verdict is {}", ours.verdict));
        }
        let TupleCounts { tuples: own, .. } =
            ours.tuples.expect("the antichain engine counts tuples");
        println!(
            "{named} | {} | {tuples} | {own} | {} | {} |",
            theirs.states,
            time(&theirs),
            time(&ours)
        );
        if tuples == own {
            Ok(true)
        } else {
            Err(format!("{deep}, {words}: stateright meets {tuples} tuples, and the engine {own}"))
        }
    }
}

/// The names of the families, in a sentence.
fn known() -> String {
    let names: Vec<_> = FAMILIES.iter().map(|(name, _)| *name).collect();
    format!("the families are {}", names.join(", "))
}

fn search(world: Cluster, engine: Engine, limits: &Limits) -> Report {
    run(world, engine, limits, &AtomicBool::new(false), &mut |_| {})
}

/// What stateright's breadth-first search says of a model, and the number of tuples that it meets.
///
/// Tuples are told apart by 64 bits, as stateright tells states apart.
fn by_stateright(mut world: Cluster, limits: &Limits) -> (Report, u64) {
    let met = Arc::new(Mutex::new(BTreeSet::new()));
    let notes = Arc::clone(&met);
    // Stateright judges every state that it visits, so a property can count them.
    let recorded = StatePredicate::View(Arc::new(move |view: &ClusterView<'_>| {
        let mut hasher = DefaultHasher::new();
        view.ghost.hash(&mut hasher);
        for Local { state, timers, randoms, storage } in view.locals() {
            (state, timers, randoms, storage).hash(&mut hasher);
        }
        notes.lock().unwrap().insert(hasher.finish());
        true
    }));
    world.always.push(StateProperty { name: "it is counted", holds: recorded });
    let report = search(world, Engine::Bfs, limits);
    let tuples = met.lock().unwrap().len();
    (report, tuples as u64)
}

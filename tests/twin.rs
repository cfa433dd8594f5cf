//! The specification in TLA+ and the models: one transition system, written twice.
//!
//! TLC explores each configuration `spec/models/NAME.cfg` and dumps its graph, and the dump is compared with
//! the model `NAME` of `twin::twins()`. A bug on either side makes the two differ.
//!
//! `spec/jar` installs TLC, and says what is missing. `TWINS=all` also compares the larger models.

use checked_raft::models::catalogue;
use checked_raft::models::mutants::{self, Fault};
use checked_raft::models::twin::{self, Graph, Lines, ModelGraph, Texts};
use checked_raft::models::{Effort, Spec};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{LazyLock, Mutex, PoisonError};

/// The specification.
const SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/spec");
/// A folder for what the tests write.
const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");

/// The most states of a model that is compared state for state.
const LIMIT: usize = 100_000;

/// Models of the catalogue whose states are only counted. Each comes with a configuration, and the changes
/// that give it the bounds of the model.
type Changes = &'static [(&'static str, &'static str)];
const COUNTED: [(&str, &str, Changes); 3] = [
    ("terms", "pair-terms-restarts", &[("MaxTerm = 2", "MaxTerm = 3")]),
    ("client", "pair-client", &[("MaxClientEntries = 2", "MaxClientEntries = 3")]),
    (
        "in-flight",
        "pair-client",
        &[("OneCreates", "OnePuts"), ("MaxEntries = 1", "MaxEntries = 2")],
    ),
];

/// Mutants, each with a twin in which it shows.
const MUTANTS: [(&str, &str); 14] = [
    ("vote-for-everybody", "pair"),
    ("self-vote-not-recorded", "pair"),
    ("election-timer-not-rearmed", "pair"),
    ("reply-of-an-old-term", "pair"),
    ("applied-before-committed", "pair"),
    ("vote-not-persisted", "pair-restarts"),
    ("term-not-persisted", "pair-restarts"),
    ("ack-before-saved", "pair-restarts"),
    ("vote-in-an-earlier-term", "pair-terms"),
    ("term-goes-backwards", "pair-terms"),
    ("once-a-leader", "pair-terms"),
    ("count-stale-vote", "pair-terms"),
    ("append-from-an-earlier-term", "pair-terms"),
    ("append-twice", "pair-terms"),
];

/// Bugs in the specification: the twin, the module that has the wrong definition, and the right definition
/// with the wrong one that takes its place.
const BUGS: [(&str, &str, &str); 10] = [
    ("pair-restarts", "Bugs", "Saved <- SavedWithoutVote"),
    ("pair", "Bugs", "HasVoteFor <- HasVoteForAll"),
    ("pair", "Bugs", "IsQuorum <- HalfIsAQuorum"),
    ("pair-terms", "Bugs", "IsUpToDate <- AnyLogIsUpToDate"),
    ("pair-terms", "Bugs", "IsOfThisTerm <- AnyTermCounts"),
    ("pair-terms", "Bugs", "IsStale <- NothingIsStale"),
    ("pair-session", "Bugs", "Merged <- TruncatesAlways"),
    ("pair-session", "Bugs", "IsNews <- AnyMatchIsNews"),
    ("pair-pre-vote", "PreVote", "HandlePreVoteResponse <- CountsPreVotes"),
    ("pair-read", "Read", "ConfirmedRound <- EveryRoundIsConfirmed"),
];

// ---- TLC ----

/// Runs a command. If its program is missing, the test says what it needs.
#[track_caller]
fn run(command: &mut Command, needs: &str) -> Output {
    match command.output() {
        Ok(output) => output,
        Err(error) => panic!("{command:?}: {error}. This test needs {needs}."),
    }
}

/// The path of TLC, which is installed if it is not there.
static TLC: LazyLock<PathBuf> = LazyLock::new(|| {
    let script = format!("{SPEC}/jar");
    let output = run(&mut Command::new(&script), "a shell");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {error}");
    String::from_utf8(output.stdout).expect("a path in UTF-8").trim_end().into()
});

/// A configuration without invariants, and the module it is for.
fn configuration(name: &str) -> (String, String) {
    let path = format!("{SPEC}/models/{name}.cfg");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let module = text.lines().find_map(|line| line.strip_prefix("\\* module: "));
    let module = module.unwrap_or_else(|| panic!("{path}: no line `\\* module: NAME`")).to_owned();
    let is_property = |line: &&str| line.starts_with("INVARIANT") || line.starts_with("PROPERT");
    let bounds: Vec<_> = text.lines().take_while(|line| !is_property(line)).collect();
    (bounds.join("\n"), module)
}

/// Lets TLC explore a configuration and returns what it printed.
fn explore_by_tlc(
    run_name: &str,
    configuration: &str,
    module: &str,
    dump: Option<&Path>,
) -> String {
    let folder = Path::new(FOLDER).join("tlc").join(run_name);
    let write = |name: &str, text: &str| {
        fs::create_dir_all(&folder).expect("a folder for TLC");
        fs::write(folder.join(name), text).expect("a file for TLC");
    };
    // TLC looks for a configuration beside the module that it starts from.
    write("Twin.tla", &format!("---- MODULE Twin ----\nEXTENDS {module}\n====\n"));
    write("Twin.cfg", &format!("{configuration}\n"));
    let mut tlc = Command::new("java");
    tlc.args(["-Xmx2g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
    // TLC unpacks its standard modules into the folder for temporary files.
    tlc.arg(format!("-Djava.io.tmpdir={}", folder.display()));
    let library = std::env::join_paths([SPEC, &format!("{SPEC}/models")]).expect("paths");
    tlc.arg(format!("-DTLA-Library={}", library.display())).arg("-cp").arg(&*TLC);
    tlc.args(["tlc2.TLC", "-nowarning", "-deadlock", "-workers", "1", "-metadir"]).arg(&folder);
    tlc.current_dir(&folder).args(["-config", "Twin.cfg"]);
    if let Some(dump) = dump {
        tlc.arg("-dump").arg("dot,actionlabels").arg(dump);
    }
    let output = run(tlc.arg("Twin.tla"), "Java 11 or later");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        printed.contains("Model checking completed. No error has been found."),
        "{run_name}: TLC did not explore everything; {}:\n{printed}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    printed
}

/// The dump of a configuration, made once.
fn dump(name: &str) -> PathBuf {
    static MADE: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(dump) = made.get(name) {
        return dump.clone();
    }
    let (configuration, module) = configuration(name);
    let dump = Path::new(FOLDER).join(format!("{name}.dot"));
    explore_by_tlc(name, &configuration, &module, Some(&dump));
    made.insert(name.to_owned(), dump.clone());
    dump
}

/// The number of distinct states that TLC has found.
fn distinct(printed: &str) -> usize {
    let line = printed.lines().rev().find(|line| line.contains("distinct states found"));
    let words: Vec<_> = line.expect("TLC counts states").split_whitespace().collect();
    let at = words.iter().position(|word| *word == "distinct").expect("a number of states");
    words[at - 1].replace(',', "").parse().expect("a number")
}

// ---- comparing ----

/// Whether to leave out what takes minutes.
fn is_quick() -> bool {
    std::env::var_os("TWINS").is_none()
}

fn graph(dump: &Path, texts: &mut Texts) -> Graph {
    let file = File::open(dump).unwrap_or_else(|error| panic!("{}: {error}", dump.display()));
    let graph = twin::read(BufReader::new(file), texts);
    graph.unwrap_or_else(|error| panic!("{}: {error}", dump.display()))
}

/// The difference of a model and a dump in words, or the numbers of states and edges if they are equal.
fn compare(spec: &Spec, fault: Option<Fault>, dump: &Path) -> Result<(usize, usize), String> {
    let mut texts = Texts::default();
    let graph = graph(dump, &mut texts);
    // A mutant may reach any number of states. It differs near the start, or not at all.
    let limit = if fault.is_some() { 2 * graph.states.len() } else { LIMIT };
    let exploration = twin::explore_up_to(spec, fault, limit);
    let exploration = exploration.unwrap_or_else(|error| panic!("{}: {error}", spec.name));
    let model = ModelGraph::new(&exploration, &Lines::new(spec, &exploration), &mut texts);
    if fault.is_none() {
        assert_eq!(model.alike(), 0, "{}: the variables tell all states apart", spec.name);
    }
    match model.difference(&graph) {
        None if !exploration.is_whole() => panic!("{}: more than {limit} states", spec.name),
        None => Ok((graph.states.len(), graph.edges.len())),
        Some(difference) => Err(model.tell(&difference, &graph, &texts)),
    }
}

fn find(name: &str) -> Spec {
    twin::find(name).unwrap_or_else(|| panic!("there is no twin {name}"))
}

#[test]
fn the_specification_and_the_models_are_one_transition_system() {
    let mut different = Vec::new();
    let twins: Vec<_> =
        twin::twins().into_iter().filter(|it| !(it.effort == Effort::Deep && is_quick())).collect();
    assert!(twins.len() >= 8, "at least eight models are compared");
    for spec in twins {
        match compare(&spec, None, &dump(spec.name)) {
            Ok((states, edges)) => println!("{:20} {states:7} states {edges:8} edges", spec.name),
            Err(difference) => different.push(format!("{}: {difference}", spec.name)),
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn the_specification_and_the_larger_models_have_equally_many_states() {
    for (name, base, changes) in COUNTED {
        if is_quick() {
            continue;
        }
        let (mut configuration, module) = configuration(base);
        for (old, new) in changes {
            assert!(configuration.contains(old), "{base} has no line `{old}`");
            configuration = configuration.replace(old, new);
        }
        let theirs = distinct(&explore_by_tlc(name, &configuration, &module, None));
        let spec = catalogue::find(name).unwrap_or_else(|| panic!("there is no model {name}"));
        let ours = twin::explore(&spec, None, 1_000_000);
        let ours = ours.unwrap_or_else(|error| panic!("{name}: {error}")).len();
        println!("{name:20} {ours:7} states");
        assert_eq!(ours, theirs, "{name}");
    }
}

#[test]
fn a_mutant_differs_from_the_specification() {
    for (mutant, name) in MUTANTS {
        let fault = mutants::find(mutant).unwrap_or_else(|| panic!("no mutant {mutant}")).fault;
        let difference = compare(&find(name), Some(fault), &dump(name));
        let difference = difference.expect_err(&format!("{mutant} does not show in {name}"));
        let what = difference.lines().find(|line| line.starts_with("here")).unwrap_or(&difference);
        println!("{mutant:30} {name:16} {what}");
    }
}

#[test]
fn a_bug_in_the_specification_differs_from_the_model() {
    for (n, (name, module, bug)) in BUGS.iter().enumerate() {
        let (configuration, _) = configuration(name);
        let dump = Path::new(FOLDER).join(format!("bug-{n}.dot"));
        let configuration = format!("{configuration}\n    {bug}");
        explore_by_tlc(&format!("bug-{n}"), &configuration, module, Some(&dump));
        let difference = compare(&find(name), None, &dump);
        let difference = difference.expect_err(&format!("{bug} does not show in {name}"));
        let what = difference.lines().find(|line| line.starts_with("here")).unwrap_or(&difference);
        println!("{bug:36} {name:16} {what}");
    }
}

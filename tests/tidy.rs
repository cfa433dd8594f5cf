//! The house rules as tests: which layer may name what, one place for every rule of the protocol, and
//! what a text of this project may not contain.

mod source;

use checked_raft::models::mutants;
use source::{File, fail, functions, identifiers, sources, text};
use std::collections::BTreeSet;

/// The ids of all rules: in brackets in `src/raft`, in a test's name, in a row of `spec/README.md`.
const RULES: [&str; 64] = [
    "STORE", "ALL-1", "ALL-2", "FOL-1", "FOL-2", "CAN-1", "CAN-2", "CAN-3", "CAN-4", "RV-1",
    "RV-2", "AE-1", "AE-2", "AE-3", "AE-4", "AE-5", "LDR-1", "LDR-2", "LDR-3", "LDR-3a", "LDR-3b",
    "LDR-4", "LDR-5", "LDR-6", "NOOP", "CLI-1", "CLI-2", "CLI-3", "CLI-4", "CAN-5", "GUARD-1",
    "GUARD-2", "SES-1", "SES-2", "SES-3", "SES-4", "SES-5", "SNAP-1", "SNAP-2", "SNAP-3", "SNAP-4",
    "SNAP-5", "SNAP-6", "SNAP-7", "IS-1", "IS-2", "IS-3", "IS-4", "IS-5", "IS-6", "IS-7", "IS-8",
    "READ-1", "READ-2", "READ-3", "PV-1", "PV-2", "PV-3", "STICK-1", "CQ-1", "TR-1", "TR-2",
    "TR-3", "TR-4",
];

/// The protocol and what it is made of: no effect, no clock, no chance.
fn pure() -> Vec<File> {
    let single = ["src/kv.rs", "src/map.rs", "src/state_machine.rs", "src/durable.rs"];
    sources("src/raft").into_iter().chain(single.into_iter().flat_map(sources)).collect()
}

/// No file names any of these identifiers in its code; comments and strings do not count.
#[track_caller]
fn assert_none_names(files: &[File], forbidden: &[&str], why: &str) {
    assert!(!files.is_empty(), "there is nothing to look at");
    let found = files.iter().flat_map(|file| {
        // A value that several owners share is no effect.
        let lines = file.code_lines().filter(|(_, line)| line.trim() != "use std::sync::Arc;");
        lines.flat_map(move |(number, line)| {
            let bad = identifiers(line).into_iter().filter(|name| forbidden.contains(name));
            bad.map(move |name| format!("{}:{number}: `{name}`: {why}", file.path))
        })
    });
    fail(found);
}

// ---- layers ----

#[test]
fn the_protocol_names_no_clock_socket_disk_thread_or_random_source() {
    let effects = [
        "net",
        "UdpSocket",
        "TcpStream",
        "fs",
        "io",
        "Instant",
        "SystemTime",
        "UNIX_EPOCH",
        "sleep",
        "thread",
        "sync",
        "rand",
        "getrandom",
        "env",
        "process",
    ];
    assert_none_names(&pure(), &effects, "the protocol is a function of a state and an event");
}

#[test]
fn the_protocol_writes_no_log_and_prints_nothing() {
    let why = "say it in an effect or in the state";
    assert_none_names(&pure(), &["tracing", "tracing_subscriber", "stdout", "stderr"], why);
    let macros = [
        "trace!",
        "debug!",
        "info!",
        "warn!",
        "error!",
        "print!",
        "println!",
        "eprint!",
        "eprintln!",
    ];
    assert_no_macro(&pure(), &macros);
}

#[test]
fn the_protocol_names_no_layer_above_it() {
    let above = ["runtime", "deploy", "models", "actorcheck", "cli"];
    assert_none_names(&pure(), &above, "src/raft is at the bottom of all layers");
}

#[test]
fn no_collection_of_the_protocol_has_a_random_order() {
    let random = ["HashMap", "HashSet", "RandomState", "DefaultHasher"];
    assert_none_names(&pure(), &random, "use BTreeMap, BTreeSet or crate::map::Map");
}

#[test]
fn the_engine_checks_any_actors() {
    let others = ["raft", "Raft", "kv", "Kv", "models", "runtime", "cli"];
    assert_none_names(
        &sources("checker/src"),
        &others,
        "actorcheck knows stateright's Actor, no more",
    );
}

#[test]
fn the_runtime_runs_any_actor() {
    let others = ["raft", "Raft", "kv", "Kv", "models", "actorcheck", "cli", "deploy"];
    assert_none_names(
        &sources("src/runtime"),
        &others,
        "src/runtime knows Actor and Durable, no more",
    );
}

#[test]
fn what_is_deployed_names_no_model_and_no_command_line() {
    let others = ["models", "actorcheck", "cli", "clap"];
    for part in ["src/deploy.rs", "src/deploy", "src/client.rs", "src/client"] {
        assert_none_names(&sources(part), &others, "a user's program needs neither");
    }
}

/// The parts of the program: name, files, and the module names by which others import it.
const PARTS: [(&str, &[&str], &[&str]); 8] = [
    (
        "base",
        &["src/durable.rs", "src/kv.rs", "src/map.rs", "src/state_machine.rs"],
        &["durable", "kv", "map", "state_machine"],
    ),
    ("raft", &["src/raft"], &["raft"]),
    ("runtime", &["src/runtime"], &["runtime"]),
    ("deploy", &["src/deploy.rs", "src/deploy"], &["deploy"]),
    ("client", &["src/client.rs", "src/client"], &["client"]),
    ("actorcheck", &["checker/src"], &["actorcheck"]),
    ("models", &["models"], &["models"]),
    ("cli", &["src/cli"], &["cli"]),
];

#[test]
fn the_architecture_tells_what_each_part_imports() {
    let page = text("ARCHITECTURE.md");
    let wrong = PARTS.iter().filter_map(|(part, files, _)| {
        let files: Vec<_> = files.iter().flat_map(|path| sources(path)).collect();
        let imported = imports(&files);
        let others = PARTS.iter().filter(|(other, _, names)| {
            other != part && names.iter().any(|name| imported.contains(*name))
        });
        let mut others: Vec<_> = others.map(|(other, ..)| *other).collect();
        others.sort_unstable();
        let row = page.lines().find(|line| line.starts_with(&format!("| {part} |")));
        let told = row.and_then(|row| row.trim_end_matches('|').rsplit('|').next());
        let is_told = told.is_some_and(|told| told.trim() == others.join(", "));
        (!is_told).then(|| format!("ARCHITECTURE.md: {part} imports {}", others.join(", ")))
    });
    fail(wrong);
}

/// What stands after `crate::`, `checked_raft::` and before `::` in code, and `actorcheck` if it is named.
fn imports(files: &[File]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, line) in files.iter().flat_map(File::code_lines) {
        for root in ["crate::", "checked_raft::"] {
            for (at, _) in line.match_indices(root) {
                let rest = &line[at + root.len()..];
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                found.insert(rest[..end.unwrap_or(rest.len())].to_owned());
            }
        }
        if line.contains("actorcheck::") {
            found.insert("actorcheck".to_owned());
        }
    }
    found
}

// ---- rules ----

#[test]
fn every_rule_stands_once_in_the_code() {
    let files = sources("src/raft");
    for rule in RULES {
        let places: Vec<_> = bracketed(&files).filter(|(_, id)| id == rule).collect();
        let places: Vec<_> = places.into_iter().map(|(place, _)| place).collect();
        assert_eq!(places.len(), 1, "[{rule}] must stand once in src/raft; it is at {places:?}");
    }
    fail(bracketed(&files).filter(|(_, id)| !RULES.contains(&id.as_str())).map(|(place, id)| {
        format!(
            "{place}: [{id}] is no rule; add it to RULES here, to the tests and to spec/README.md"
        )
    }));
}

#[test]
fn every_rule_has_a_test_of_its_name() {
    let tests = tests_of_figure_2();
    fail(
        RULES.iter().filter(|rule| !tests.iter().any(|test| test.starts_with(&prefix(rule)))).map(
            |rule| {
                format!("tests/figure2.rs: no test's name begins with {}, of {rule}", prefix(rule))
            },
        ),
    );
}

#[test]
fn every_rule_has_one_row_in_the_table() {
    let rows = table();
    for rule in RULES {
        let lines: Vec<_> =
            rows.iter().filter(|row| row.id() == rule).map(|row| row.line).collect();
        assert_eq!(lines.len(), 1, "spec/README.md: {rule} must have one row; it has {lines:?}");
    }
    fail(
        rows.iter()
            .filter(|row| !RULES.contains(&row.id()))
            .map(|row| format!("spec/README.md:{}: {} is no rule", row.line, row.id())),
    );
}

#[test]
fn the_table_names_functions_tests_and_properties_that_exist() {
    let tests = tests_of_figure_2();
    let properties: BTreeSet<String> = ["models/properties.rs", "models/linearizability.rs"]
        .into_iter()
        .flat_map(sources)
        .flat_map(|file| functions(&file).into_iter().map(|function| function.name))
        .collect();
    let mut wrong = Vec::new();
    for row in table() {
        let place = format!("spec/README.md:{}", row.line);
        assert_eq!(row.cells.len(), 7, "{place}: seven columns");
        for name in row.names(2) {
            let exists = name.split_once('!').is_some_and(|(module, definition)| {
                let module = text(&format!("spec/{module}.tla"));
                module.lines().any(|line| {
                    let rest = line.strip_prefix(definition);
                    rest.is_some_and(|rest| rest.starts_with('(') || rest.starts_with(" =="))
                })
            });
            if !exists {
                wrong.push(format!("{place}: there is no definition {name} in spec"));
            }
        }
        for name in row.names(3) {
            let exists = name.split_once("::").is_some_and(|(file, function)| {
                let file = sources(&format!("src/raft/{file}"));
                file.iter().flat_map(functions).any(|it| it.name == function)
            });
            if !exists {
                wrong.push(format!("{place}: there is no function {name} in src/raft"));
            }
        }
        for name in row.names(4) {
            if !tests.contains(&name) || !name.starts_with(&prefix(row.id())) {
                wrong.push(format!(
                    "{place}: {name} is no test of {} in tests/figure2.rs",
                    row.id()
                ));
            }
        }
        for name in row.names(6) {
            if !properties.contains(&name) {
                wrong.push(format!("{place}: there is no property {name} in models/"));
            }
        }
        if row.names(3).is_empty() || row.names(4).is_empty() {
            wrong.push(format!("{place}: a rule has a function and a test"));
        }
    }
    fail(wrong);
}

#[test]
fn every_mutant_stands_in_the_row_of_the_rule_it_breaks() {
    let rows = table();
    let mut wrong = Vec::new();
    for mutant in mutants::catalogue() {
        let (name, rule) = (mutant.name, mutant.breaks);
        let row = rows.iter().find(|row| row.id() == rule);
        if row.is_none_or(|row| !row.names(5).iter().any(|it| it == name)) {
            wrong.push(format!("spec/README.md: {name} belongs in the row of {rule}"));
        }
    }
    let known: BTreeSet<_> =
        mutants::catalogue().into_iter().map(|mutant| (mutant.breaks, mutant.name)).collect();
    for row in &rows {
        let unknown = row.names(5).into_iter().filter(|name| !known.contains(&(row.id(), name)));
        let unknown =
            unknown.map(|name| format!("spec/README.md: {} has no mutant {name}", row.id()));
        wrong.extend(unknown);
    }
    fail(wrong);
}

#[test]
fn the_properties_that_catch_the_mutants_of_a_rule_are_named_first() {
    let mut wrong = Vec::new();
    for row in table() {
        let of_rule = mutants::catalogue().into_iter().filter(|mutant| mutant.breaks == row.id());
        let catching: BTreeSet<_> = of_rule.map(|mutant| function_of(mutant.caught_by)).collect();
        let first: BTreeSet<_> = row.names(6).into_iter().take(catching.len()).collect();
        if first != catching {
            wrong.push(format!("spec/README.md: name first in {}: {catching:?}", row.id()));
        }
    }
    fail(wrong);
}

/// The function of a property, by the property's name.
fn function_of(property: &str) -> String {
    match property {
        "Linearizability" => "linearizable".to_owned(),
        name => name.to_lowercase().replace([' ', '-'], "_"),
    }
}

// ---- everything ----

/// All of our own Rust.
fn everything() -> Vec<File> {
    ["src", "checker", "models", "tests", "benches", "examples"]
        .into_iter()
        .flat_map(sources)
        .collect()
}

#[test]
fn nothing_is_left_to_be_done() {
    assert_no_macro(&everything(), &["todo!", "unimplemented!", "dbg!"]);
    let unfinished = concat!("FIX", "ME");
    fail(everything().iter().flat_map(|file| {
        let marked = file.lines().filter(|(_, line)| line.contains(unfinished));
        let marked: Vec<_> = marked.map(|(number, _)| number).collect();
        marked.into_iter().map(|number| format!("{}:{number}: {unfinished}", file.path))
    }));
}

#[test]
fn no_test_is_ignored() {
    // The parts are put together here, so that this line is none that it forbids.
    let attribute = concat!("#", "[ignore");
    fail(everything().iter().flat_map(|file| {
        let ignored =
            file.code_lines().filter(|(_, line)| line.replace(' ', "").contains(attribute));
        ignored.map(|(number, _)| format!("{}:{number}: an ignored test", file.path))
    }));
}

/// But for what rustfmt cannot break: strings, tables in comments, and the bodies of macros.
#[test]
fn no_line_is_longer_than_110_characters() {
    let files: Vec<_> = ["src", "checker/src", "models"].into_iter().flat_map(sources).collect();
    fail(files.iter().flat_map(|file| {
        let breakable = |line: &str| !line.contains(['"', '$']) && !line.contains("//! |");
        let long = file.lines().filter(move |(_, line)| breakable(line));
        let long = long.map(|(number, line)| (number, line.chars().count()));
        let long = long.filter(|(_, length)| *length > 110);
        long.map(|(number, length)| format!("{}:{number}: {length} characters", file.path))
    }));
}

#[test]
fn every_function_of_the_protocol_fits_a_screen() {
    let files = sources("src/raft");
    let all: Vec<_> = files
        .iter()
        .flat_map(|file| functions(file).into_iter().map(move |it| (file, it)))
        .collect();
    assert!(all.len() > 50, "{} functions in src/raft: the count has lost some", all.len());
    fail(all.iter().filter(|(_, function)| function.lines > 70).map(|(file, function)| {
        let source::Function { name, first_line, lines } = function;
        format!("{}:{first_line}: {name} has {lines} lines; 70 fit", file.path)
    }));
}

/// A model was exhausted within its bounds: that is what can be said.
#[test]
fn no_text_claims_more_than_was_checked() {
    let claim = concat!("veri", "fied");
    let files: Vec<_> = everything().into_iter().chain(source::markdown()).collect();
    fail(files.iter().flat_map(|file| {
        let claims = file.lines().filter(|(_, line)| {
            let words = line.split(|c: char| !c.is_alphanumeric());
            words.into_iter().any(|word| word.eq_ignore_ascii_case(claim))
        });
        claims.map(|(number, _)| format!("{}:{number}: say which model was exhausted", file.path))
    }));
}

// ---- helpers ----

#[track_caller]
fn assert_no_macro(files: &[File], macros: &[&str]) {
    fail(files.iter().flat_map(|file| {
        file.code_lines().flat_map(move |(number, line)| {
            let used = macros.iter().filter(move |name| {
                let mut uses = line.match_indices(**name);
                uses.any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
            });
            used.map(move |name| format!("{}:{number}: {name}", file.path))
        })
    }));
}

/// `AE-3` as a test's name begins: `ae_3_`.
fn prefix(rule: &str) -> String {
    format!("{}_", rule.to_lowercase().replace('-', "_"))
}

/// Every `[ID]`, with its place; in backticks it only speaks of one.
fn bracketed(files: &[File]) -> impl Iterator<Item = (String, String)> {
    let places = files.iter().flat_map(|file| {
        file.lines().flat_map(move |(number, line)| {
            line.match_indices('[').filter_map(move |(at, _)| {
                let id = line[at + 1..].split(']').next()?;
                let rule = id.starts_with(|c: char| c.is_ascii_uppercase())
                    && id.len() > 1
                    && id
                        .trim_end_matches(['a', 'b'])
                        .chars()
                        .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-');
                let quoted = line[..at].ends_with('`');
                (rule && !quoted).then(|| (format!("{}:{number}", file.path), id.to_owned()))
            })
        })
    });
    places.collect::<Vec<_>>().into_iter()
}

/// The names of the tests in `tests/figure2.rs` and its folder.
fn tests_of_figure_2() -> BTreeSet<String> {
    let files = ["tests/figure2.rs", "tests/figure2"].into_iter().flat_map(sources);
    let files: Vec<_> = files.collect();
    assert_eq!(files.len(), 5, "Figure 2, and a file for each feature beyond it");
    files.iter().flat_map(tests_of).collect()
}

fn tests_of(file: &File) -> Vec<String> {
    let lines: Vec<_> = file.code_lines().collect();
    let is_test = |first_line: usize| {
        lines[..first_line - 1]
            .iter()
            .rev()
            .map(|(_, line)| line.trim())
            .take_while(|line| line.is_empty() || line.starts_with("#["))
            .any(|line| line == "#[test]")
    };
    let tests = functions(file).into_iter().filter(|function| is_test(function.first_line));
    tests.map(|function| function.name).collect()
}

/// One row of the table in `spec/README.md`.
struct Row {
    line: usize,
    cells: Vec<String>,
}

impl Row {
    fn id(&self) -> &str {
        &self.cells[0]
    }

    /// What stands in backticks in a column.
    fn names(&self, column: usize) -> Vec<String> {
        self.cells[column].split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }
}

fn table() -> Vec<Row> {
    let text = text("spec/README.md");
    let rows = text.lines().zip(1..).filter(|(line, _)| line.starts_with('|')).skip(2);
    rows.map(|(line, number)| {
        let cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        Row { line: number, cells: cells.collect() }
    })
    .collect()
}

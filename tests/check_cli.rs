//! `raft models`, `raft check` and `raft mutants` as programs: exit codes, JSON, and what is claimed.

use actorcheck::search;
use checked_raft::models::catalogue::{catalogue, find};
use checked_raft::models::{Effort, Spec, coverage, mutants};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

fn raft(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_raft")).args(args).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the output is text")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("the output is JSON")
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// The quickest model of the catalogue.
fn smallest() -> Spec {
    let pinned = catalogue().into_iter().filter(|spec| spec.states.is_some());
    pinned.min_by_key(|spec| spec.states).expect("a model is pinned")
}

/// The longest one.
fn largest() -> Spec {
    let quick = catalogue().into_iter().filter(|spec| spec.effort == Effort::Quick);
    quick.max_by_key(|spec| spec.tuples).expect("the catalogue is not empty")
}

#[test]
fn models_lists_every_model_with_its_bounds() {
    let output = raft(&["models", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let listed = json(&output);
    let models = listed["models"].as_array().expect("a list");
    assert_eq!(models.len(), catalogue().len());
    for (model, spec) in models.iter().zip(catalogue()) {
        assert_eq!(model["name"], spec.name);
        assert_eq!(model["about"], spec.about);
        assert_eq!(model["states"].as_u64(), spec.states);
        assert_eq!(model["tuples"], spec.tuples.0);
        assert_eq!(model["maximal"], spec.tuples.1);
        assert_eq!(model["bounds"]["servers"], spec.servers);
        assert_eq!(model["bounds"]["max_term"], spec.max_term);
        assert_eq!(model.get("prefix").is_some(), !spec.prefix.is_empty());
    }
    let table = raft(&["models"]);
    assert!(catalogue().iter().all(|spec| text(&table.stdout).contains(spec.name)));
}

#[test]
fn mutants_lists_every_mutant() {
    let output = raft(&["mutants", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let listed = json(&output);
    let rows = listed["mutants"].as_array().expect("a list");
    assert_eq!(rows.len(), mutants::catalogue().len());
    for (row, mutant) in rows.iter().zip(mutants::catalogue()) {
        assert_eq!(row["name"], mutant.name);
        assert_eq!(row["breaks"], mutant.breaks);
        assert_eq!(row["caught_by"], mutant.caught_by);
        assert_eq!(row["model"], mutant.spec.name);
        assert_eq!(row["seen_in"], mutant.seen_in);
        assert_eq!(row["story"], mutant.story);
        assert_eq!(row["difference"], mutant.difference);
    }
}

#[test]
fn an_exhausted_model_in_which_everything_holds_exits_0() {
    let spec = smallest();
    for engine in ["antichain", "bfs", "dfs"] {
        let output = raft(&["check", spec.name, "--engine", engine, "--threads", "2", "--json"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
        assert!(output.stderr.is_empty(), "no progress without a terminal");
        let result = json(&output);
        let model = &result["models"][0];
        let wanted = [
            "name",
            "bounds",
            "engine",
            "states",
            "generated",
            "seconds",
            "verdict",
            "properties",
            "cuts",
        ];
        assert!(keys(model).is_superset(&wanted.into()), "{model}");
        #[cfg(target_os = "linux")]
        assert!(model["memory"].as_u64() > Some(1 << 20), "bytes: {}", model["memory"]);
        assert_eq!(model["name"], spec.name);
        assert_eq!(model["engine"], engine);
        if engine == "antichain" {
            assert_eq!(model["states"], spec.tuples.1);
            assert_eq!(model["antichain"]["tuples"], spec.tuples.0);
        } else {
            assert_eq!(model["states"].as_u64(), spec.states);
        }
        assert_eq!(model["verdict"], "EXHAUSTIVE");
        assert_eq!(model["bounds"]["servers"], spec.servers);
        for property in model["properties"].as_array().expect("a list") {
            assert_eq!(keys(property), ["kind", "name", "result"].into());
            let wanted = match property["kind"].as_str() {
                Some("recovery") if engine != "antichain" => "not asked",
                Some("always" | "step" | "recovery") => "holds",
                Some("sometimes") => "witnessed",
                kind => panic!("{kind:?} is no kind of property"),
            };
            assert_eq!(property["result"], wanted);
        }
        assert!(model.get("counterexample").is_none());
    }
}

#[test]
fn the_report_for_people_says_what_was_searched() {
    let spec = smallest();
    let output = raft(&["check", spec.name, "-v"]);
    let report = text(&output.stdout);
    assert!(report.contains(&spec.bounds_text()));
    assert!(report.contains("EXHAUSTIVE"));
    assert!(report.contains("maximal states"));
    let bfs = raft(&["check", spec.name, "--engine", "bfs", "-v"]);
    assert!(text(&bfs.stdout).contains("expected among 64-bit fingerprints"));
    assert!(text(&bfs.stdout).contains("states/s"));
    assert!(report.lines().any(|line| line.trim_start().starts_with("cut ")));
    assert!(report.contains("holds"));
}

#[test]
fn a_model_in_which_all_is_well_is_one_line_that_fits_a_terminal() {
    let spec = smallest();
    let output = raft(&["check", spec.name]);
    let report = text(&output.stdout);
    let [line, "", sum, all] = report.lines().collect::<Vec<_>>()[..] else { panic!("{report}") };
    assert!(line.starts_with(spec.name) && line.contains("EXHAUSTIVE"), "{line}");
    assert!(
        line.contains(&format!("{} tuples", spec.tuples.0)) && line.ends_with("hold"),
        "{line}"
    );
    assert!(sum.starts_with("models: 1 EXHAUSTIVE"), "{sum}");
    assert!(all.starts_with("Every property holds"), "{all}");
    assert!(report.lines().all(|line| line.chars().count() <= 80), "{report}");
}

#[test]
fn bounds_of_ones_own_make_a_model() {
    let bounds = ["check", "--servers", "2", "--terms", "2", "--restarts", "--json"];
    let output = raft(&bounds);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let model = json(&output)["models"][0].clone();
    assert_eq!(
        (model["bounds"]["servers"].as_u64(), model["bounds"]["max_term"].as_u64()),
        (Some(2), Some(2))
    );
    let plain = raft(&["check", "--plain", "client", "--json"]);
    assert_eq!(plain.status.code(), Some(0), "{}", text(&plain.stdout));
    assert_eq!(json(&plain)["models"][0]["engine"], "plain");
}

#[test]
fn the_page_of_the_models_is_what_the_catalogue_says() {
    let page = raft(&["models", "--markdown"]);
    let kept = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/models.md"));
    let kept = kept.expect("it is kept");
    assert_eq!(text(&page.stdout), kept, "write it anew: raft models --markdown > docs/models.md");
    let names = raft(&["models", "-q"]);
    assert_eq!(text(&names.stdout).lines().count(), catalogue().len());
    let names = raft(&["mutants", "-q"]);
    assert_eq!(text(&names.stdout).lines().count(), mutants::catalogue().len());
}

#[test]
fn a_search_cut_by_a_limit_is_bounded_and_exits_2() {
    let name = largest().name;
    let output = raft(&["check", name, "--max-states", "1", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    let result = json(&output);
    assert_eq!(result["models"][0]["verdict"], "BOUNDED");
    assert!(!result["models"][0]["failures"].as_array().expect("a list").is_empty());
    let output = raft(&["check", name, "--max-memory", "1KiB"]);
    assert_eq!(output.status.code(), Some(2));
    let report = text(&output.stdout);
    assert!(report.contains("BOUNDED") && report.contains("no violation found"));
    assert!(!report.contains("holds") && !report.contains("EXHAUSTIVE"));
}

#[test]
fn a_search_is_put_down_and_taken_up_again() {
    let directory = tempfile::tempdir().expect("there is room");
    let file = directory.path().join("search");
    let spec = find("three-terms").expect("it is in the catalogue");
    let check = ["check", spec.name, "--json", "--checkpoint", file.to_str().expect("it is text")];
    let begun = raft(&[&check[..], &["--max-states", "5000"]].concat());
    assert_eq!(begun.status.code(), Some(2));
    assert_eq!(json(&begun)["models"][0]["verdict"], "BOUNDED");
    let refused = raft(&[&check[..], &["--resume", "--no-symmetry"]].concat());
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("another model"), "{}", text(&refused.stderr));
    let ended = raft(&[&check[..], &["--resume"]].concat());
    assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
    let model = &json(&ended)["models"][0];
    assert_eq!(
        (model["verdict"].as_str(), model["states"].as_u64()),
        (Some("EXHAUSTIVE"), Some(spec.tuples.1))
    );
    assert!(!file.exists());
}

#[test]
fn symmetry_can_be_switched_off_and_counts_the_same() {
    let spec = find("election").expect("it is in the catalogue");
    let run = |args: &[&str]| {
        let output = raft(&[&["check", spec.name, "--json"], args].concat());
        assert_eq!(output.status.code(), Some(0));
        json(&output)["models"][0].clone()
    };
    let (with, without) = (run(&[]), run(&["--no-symmetry"]));
    let pinned = Some(spec.tuples.1);
    assert_eq!((with["states"].as_u64(), without["states"].as_u64()), (pinned, pinned));
    assert_eq!(with["antichain"]["symmetries"], 6);
    assert_eq!(without["antichain"]["symmetries"], 1);
    assert!(with["antichain"]["visited_states"].as_u64() < pinned);
    assert!(text(&raft(&["check", spec.name, "-v"]).stdout).contains("6 permutations"));
}

#[test]
fn a_simulation_is_bounded_however_small_the_model() {
    let args = ["check", smallest().name, "--engine", "simulation", "--max-seconds", "1", "--json"];
    let output = raft(&[&args[..], &["--seed", "7"]].concat());
    assert_eq!(output.status.code(), Some(2));
    let result = json(&output);
    assert_eq!(result["models"][0]["engine"], "simulation");
    assert_eq!(result["models"][0]["verdict"], "BOUNDED");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "Ctrl-C comes at some time")]
fn ctrl_c_ends_with_a_partial_report() {
    let mut raft = Command::new(env!("CARGO_BIN_EXE_raft"));
    // The first takes many times as long as it is let alone.
    let names = [largest().name, smallest().name];
    let raft = raft.args(["check", "--json", "--threads", "1"]).args(names).stdout(Stdio::piped());
    let raft = raft.spawn().expect("the binary runs");
    std::thread::sleep(Duration::from_millis(500));
    let kill = Command::new("kill").args(["-INT", &raft.id().to_string()]).status();
    assert!(kill.expect("kill is there").success());
    let output = raft.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(2));
    let result = json(&output);
    let models = result["models"].as_array().expect("a list");
    let verdicts: Vec<_> = models.iter().map(|model| (&model["name"], &model["verdict"])).collect();
    assert_eq!(verdicts, [(&names[0].into(), &"BOUNDED".into())]);
    assert_eq!(result["not_run"], serde_json::json!([names[1]]), "the rest is listed");
}

#[test]
fn an_unknown_name_is_an_error_with_the_nearest_names() {
    let spec = smallest();
    let misspelt = format!("{}x", spec.name);
    let output = raft(&["check", &misspelt]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let error = text(&output.stderr);
    assert!(error.contains(&misspelt) && error.contains(&format!("`{}`", spec.name)), "{error}");
    let output = raft(&["check", "--mutant", "commit-unclampd"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("`commit-unclamped`"));
}

#[test]
fn options_that_make_no_sense_exit_2() {
    let model = smallest().name;
    let mutant = mutants::catalogue()[0].name;
    for args in [
        &["check", model, "--seed", "1"][..],
        &["check", model, "--threads", "0"],
        &["check", model, "--max-states", "0"],
        &["check", model, "--max-memory", "4GB"],
        &["check", model, "--engine", "magic"],
        &["check", "--checkpoint", "file"],
        &["check", model, "--checkpoint", "file", "--engine", "bfs"],
        &["check", model, "--checkpoint", "file", "--coverage"],
        &["check", model, "--resume"],
        &["check", model, "--resume", "--checkpoint", "/no such file"],
        &["check", model, "--mutant", mutant],
        &["check", model, "--servers", "2"],
        &["check", "--terms", "2"],
        &["check", model, "--plain", "--engine", "bfs"],
        &["check", model, "--json", "-v"],
        &["models", "--markdown", "-q"],
        &["chekc"],
        &[],
    ] {
        let output = raft(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn coverage_counts_steps_by_label_and_keeps_those_never_seen() {
    let output = raft(&["check", smallest().name, "--coverage", "--json"]);
    let result = json(&output);
    assert_eq!(keys(&result["coverage"]), coverage::LABELS.iter().copied().collect());
    assert!(json(&raft(&["check", smallest().name, "--json"])).get("coverage").is_none());
}

#[test]
fn a_mutant_is_violated_and_its_counterexample_can_be_executed_again() {
    let mutant = &mutants::catalogue()[0];
    let output = raft(&["check", "--mutant", mutant.name, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let result = json(&output);
    let model = &result["models"][0];
    assert_eq!(model["verdict"], "VIOLATED");
    assert_eq!(model["mutant"], mutant.name);
    assert_eq!(model["counterexample"]["property"], mutant.caught_by);
    let properties = model["properties"].as_array().expect("a list");
    assert!(properties.iter().any(|p| p["name"] == mutant.caught_by && p["result"] == "violated"));

    let explorer = &model["counterexample"]["explorer"];
    let path = explorer["path"].as_str().expect("a path");
    assert!(explorer["url"].as_str().is_some_and(|url| url.ends_with(&format!("/#/steps/{path}"))));
    let mut indices = path.split('/').map(|index| index.parse::<usize>().expect("a number"));
    assert_eq!(indices.next(), Some(0), "the first state");
    let indices: Vec<_> = indices.collect();
    let world = mutant.spec.mutated(mutant.fault, mutant.caught_by);
    let steps = search::replay(&world, &indices).expect("the path exists");
    let (violating, before) = steps.split_last().expect("it has steps");
    assert!(world.broken(&violating.1).contains(&mutant.caught_by));
    assert!(before.iter().all(|(_, state)| world.broken(state).is_empty()));
    assert_eq!(model["counterexample"]["length"], steps.len());
}

/// A program can follow the servers from step to step, without parsing any text.
#[test]
fn the_steps_of_a_counterexample_are_data() {
    let output = raft(&["check", "--mutant", "vote-not-persisted", "--json"]);
    let found = json(&output)["models"][0]["counterexample"].clone();
    let steps = found["steps"].as_array().expect("a list");
    assert_eq!(found["length"], steps.len());
    let mut processes = found["start"].as_array().expect("a list").clone();
    let named = |processes: &[Value], name: &Value| {
        processes.iter().position(|process| process["name"] == *name).expect("a process")
    };
    let mut sent = Vec::new();
    for (number, step) in (1..).zip(steps) {
        let wanted = ["action", "after", "before", "number", "outputs", "sent", "text"];
        assert_eq!(keys(step), wanted.into());
        assert_eq!(step["number"], number);
        let action = &step["action"];
        let who = named(&processes, &action["actor"]);
        assert_eq!(step["before"], processes[who], "step {number} goes on from the one before");
        processes[who] = step["after"].clone();
        match action["kind"].as_str() {
            Some("deliver") => {
                let arrived = [&action["from"], &action["actor"], &action["message"]];
                assert!(sent.contains(&arrived.map(Value::clone)), "step {number}: never sent");
            }
            Some("timeout") => assert_eq!(action["timer"], "Election"),
            kind => assert_eq!(kind, Some("restart")),
        }
        for message in step["sent"].as_array().expect("a list") {
            for to in message["to"].as_array().expect("a list") {
                sent.push([&action["actor"], to, &message["message"]].map(Value::clone));
            }
        }
        let outputs = step["outputs"].as_array().expect("a list");
        let sends = outputs.iter().filter(|output| output["kind"] == "send").count();
        let receivers = step["sent"].as_array().expect("a list").iter();
        assert_eq!(
            sends,
            receivers.map(|it| it["to"].as_array().expect("a list").len()).sum::<usize>()
        );
    }
    assert_eq!(found["end"].as_array().expect("a list"), &processes);
    let restarted = steps.iter().find(|step| step["action"]["kind"] == "restart");
    let restarted = restarted.expect("S2 forgets its vote in a restart");
    assert_eq!(restarted["before"]["vote"], "S0");
    assert_eq!(restarted["after"]["vote"], Value::Null);
    assert_eq!(restarted["after"]["timers"], serde_json::json!(["Election"]));
    let leaders =
        processes.iter().filter(|process| process["role"] == "leader" && process["term"] == 1);
    assert_eq!(leaders.count(), 2);
    let leader = processes.iter().find(|process| process["role"] == "leader").expect("a leader");
    assert_eq!(leader["log"], serde_json::json!([1]));
}

#[test]
fn a_mutant_that_only_recoverability_catches_is_not_for_an_engine_that_does_not_ask_for_it() {
    let output = raft(&["check", "--mutant", "vote-only-for-longer-logs", "--engine", "bfs"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("only the antichain engine"), "{}", text(&output.stderr));
    assert!(output.stdout.is_empty());
}

#[test]
fn a_violation_is_shown_as_steps_a_diagram_and_a_link() {
    let mutant = &mutants::catalogue()[0];
    let output = raft(&["check", "--mutant", mutant.name]);
    assert_eq!(output.status.code(), Some(1));
    let report = text(&output.stdout);
    assert!(report.contains("VIOLATED") && report.contains(mutant.caught_by));
    assert!(report.contains(mutant.story) && report.contains(mutant.difference));
    assert!(report.contains("  1. ") && report.contains("⇨"));
    assert!(
        report.contains("role       term  voted  commit  log"),
        "what each server is at the end"
    );
    assert!(report.contains("```mermaid\nsequenceDiagram\n"));
    assert!(report.contains(&format!("raft explore --mutant {}", mutant.name)));
    assert!(report.contains("http://127.0.0.1:3000/stateright/#/steps/0/"));
}

#[test]
fn hunting_the_mutants_kills_each_and_writes_a_page_for_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let pages = directory.path().join("pages");
    let path = pages.to_str().expect("the path is text");
    let output = raft(&["mutants", "--docs", path, "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let result = json(&output);
    let hunted = result["mutants"].as_array().expect("a list");
    let killed: Vec<_> = hunted.iter().filter(|hunted| hunted["expected"] == "killed").collect();
    assert!(killed.len() >= 50, "only {} mutants", killed.len());
    for mutant in &killed {
        assert_eq!(mutant["as_expected"], true, "{}", mutant["name"]);
        assert_eq!(mutant["counterexample"]["property"], mutant["caught_by"]);
        let name = mutant["name"].as_str().expect("a name");
        let page = std::fs::read_to_string(pages.join(format!("{name}.md"))).expect("its page");
        let has_steps = page.contains("  1. ") == (mutant["counterexample"]["length"] != 0);
        assert!(page.contains("sequenceDiagram") && has_steps, "{page}");
        let script = mutant["counterexample"]["script"].as_str().expect("a script");
        let file = directory.path().join(name);
        std::fs::write(&file, script).expect("it can be written");
        let played = raft(&["play", file.to_str().expect("the path is text")]);
        let picture = text(&played.stdout);
        assert_eq!(played.status.code(), Some(1), "{name}: {}", text(&played.stderr));
        let caught_by = mutant["caught_by"].as_str().expect("a property");
        let as_told = format!("It violates `{caught_by}`, as its header says.");
        assert!(picture.contains(&as_told), "{name}: {picture}");
        for (property, steps) in violated(mutant) {
            let names_it = format!("{property} {steps} steps");
            let is_own = property == mutant["caught_by"];
            assert!(is_own || page.contains(&names_it), "{name}: {names_it}: {page}");
            assert!(!is_own || *steps == mutant["counterexample"]["length"], "{name}: {steps}");
        }
    }
    for property in result["properties"].as_array().expect("a list") {
        let kills = |mutant: &&&Value| violated(mutant).iter().any(|it| it.0 == property["name"]);
        assert_eq!(property["kills"], killed.iter().filter(kills).count(), "{property}");
        let alone = |mutant: &&&Value| violated(mutant).len() == 1;
        let alone = killed.iter().filter(kills).filter(alone).count();
        assert_eq!(property["kills_alone"], alone, "{property}");
    }
    for mutant in hunted.iter().filter(|hunted| hunted["expected"] != "killed") {
        let outcome = mutant["outcome"].as_str().expect("what was found");
        assert!(outcome.contains("EXHAUSTIVE"), "{}: {outcome}", mutant["name"]);
    }
    let index = std::fs::read_to_string(pages.join("README.md")).expect("the index");
    assert!(killed.iter().all(|mutant| index.contains(mutant["name"].as_str().unwrap())));
}

/// The properties that a mutant was seen to violate, with the steps it takes; all others hold, unless a
/// limit ended the search.
fn violated(mutant: &Value) -> Vec<(&str, &Value)> {
    let matrix = &mutant["matrix"];
    let otherwise = if matrix.get("ended_by").is_some() { "not seen" } else { "holds" };
    let properties = matrix["properties"].as_array().expect("a list");
    assert!(properties.len() >= 20, "{properties:?}");
    let (violated, others): (Vec<_>, Vec<_>) =
        properties.iter().partition(|property| property["result"] == "violated");
    assert!(others.iter().all(|property| property["result"] == otherwise), "{others:?}");
    violated.iter().map(|it| (it["name"].as_str().expect("a name"), &it["steps"])).collect()
}

#[test]
fn pages_that_cannot_be_written_are_an_error_that_says_where() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let output = raft(&["mutants", "--docs", file.path().to_str().expect("the path is text")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("cannot write"), "{}", text(&output.stderr));
}

//! `raft play` as a program: saved counterexamples, scripts of one's own, and what is wrong with a script.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

fn raft(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_raft")).args(args).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the output is text")
}

/// A script in a file of its own.
struct Script {
    path: PathBuf,
    _directory: TempDir,
}

impl Script {
    fn new(script: &str) -> Self {
        let directory = tempfile::tempdir().expect("there is room");
        let path = directory.path().join("script.txt");
        std::fs::write(&path, script).expect("it can be written");
        Self { path, _directory: directory }
    }

    fn name(&self) -> &str {
        self.path.to_str().expect("the path is text")
    }

    fn play(&self, args: &[&str]) -> Output {
        raft(&[&["play", self.name()], args].concat())
    }

    /// The error of a script that cannot be played.
    fn refused(&self, args: &[&str]) -> String {
        let output = self.play(args);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
        let error = text(&output.stderr).to_owned();
        assert!(error.starts_with(&format!("error: {}: ", self.name())), "{error}");
        error
    }
}

/// S0 and S1 stand in one term; S2 votes, crashes and is asked again.
const VOTES_TWICE: &str = "\
timeout S0
timeout S1
deliver S0 S2
deliver S2 S0
restart S2              # it must remember
deliver S1 S2
deliver S2 S1
";

#[test]
fn a_saved_counterexample_violates_the_same_property_when_it_is_played() {
    for (mutant, property) in [
        ("vote-not-persisted", "Election Safety"),
        ("saved-last", "Saved before sent"),
        ("vote-only-for-longer-logs", "Recoverability"),
    ] {
        let directory = tempfile::tempdir().expect("there is room");
        let path = directory.path().join("saved");
        let file = path.to_str().expect("the path is text");
        let output = raft(&["check", "--mutant", mutant, "--save", file, "--json"]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        let result: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let found = &result["models"][0]["counterexample"];
        let script = std::fs::read_to_string(&path).expect("it was saved");
        assert_eq!(result["saved"], file);
        assert_eq!(found["script"], script);
        assert!(script.contains(&format!("\nmutant {mutant}\n")), "{script}");
        assert!(script.contains("\nbounds ") && script.contains(property), "{script}");
        let played = raft(&["play", file]);
        assert_eq!(played.status.code(), Some(1), "{}", text(&played.stderr));
        let picture = text(&played.stdout);
        for step in found["steps"].as_array().expect("a list") {
            for line in step["text"].as_array().expect("a list") {
                let line = line.as_str().expect("a line");
                assert!(picture.contains(line), "{line}: {picture}");
            }
        }
        assert!(picture.contains("role       term  voted  commit  log"), "{picture}");
        let wanted = format!("It violates `{property}`, as its header says.");
        assert!(picture.contains(&wanted), "{picture}");
    }
}

#[test]
fn a_model_in_which_all_is_well_leaves_nothing_to_save() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("saved");
    let output = raft(&["check", "election", "--save", path.to_str().expect("the path is text")]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("There is no counterexample to save."));
    assert!(!path.exists());
    let output = raft(&["check", "--mutant", "vote-not-persisted", "--save", "/no such/file"]);
    assert_eq!(output.status.code(), Some(1), "the violation is worse");
    assert!(text(&output.stderr).contains("--save FILE"), "{}", text(&output.stderr));
}

#[test]
fn a_script_of_ones_own_is_played_on_correct_servers_and_on_a_bug() {
    let script = Script::new(VOTES_TWICE);
    let error = script.refused(&[]);
    assert!(error.contains("--model") && error.contains("`mutant NAME`"), "{error}");
    let output = script.play(&["--mutant", "vote-not-persisted"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let picture = text(&output.stdout);
    assert!(picture.contains("S2: FORGETS ITS VOTE"), "{picture}");
    assert!(
        picture.contains("Election Safety                        VIOLATED in step 7"),
        "{picture}"
    );
    let output = script.play(&["--model", "election"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let picture = text(&output.stdout);
    assert!(picture.contains("RequestVoteResponse t1, refused"), "{picture}");
    assert!(
        picture.contains("a leader is elected                    seen after step 4"),
        "{picture}"
    );
    assert!(!picture.contains("VIOLATED"), "{picture}");
    // A header says on which model, and options overrule it.
    let script = Script::new(&format!("mutant vote-not-persisted\n\n{VOTES_TWICE}"));
    assert_eq!(script.play(&[]).status.code(), Some(1));
    assert_eq!(script.play(&["--correct"]).status.code(), Some(0));
    let script = Script::new(&format!("model --servers 3 --terms 1 --restarts\n{VOTES_TWICE}"));
    assert_eq!(script.play(&[]).status.code(), Some(0));
    assert_eq!(script.play(&["--mutant", "vote-not-persisted"]).status.code(), Some(1));
}

#[test]
fn a_step_beyond_the_bounds_is_taken_and_told() {
    let script = Script::new("model --servers 3 --terms 1\ntimeout S0\ntimeout S0\nrestart S0\n");
    let output = script.play(&[]);
    assert_eq!(output.status.code(), Some(0));
    let picture = text(&output.stdout);
    assert!(picture.contains("Step 2 leads beyond max_term=1"), "{picture}");
    assert!(picture.contains("Step 3 leads beyond restarts=none"), "{picture}");
}

#[test]
fn an_error_says_the_line_what_was_expected_and_what_is_possible() {
    let script = "model election\n# one vote is enough\ntimeout S0\ndeliver S1 S0\n";
    let error = Script::new(script).refused(&[]);
    for wanted in [
        "line 4: `deliver S1 S0`: there is no undelivered message from S1 to S0",
        "The steps that are possible here, after 1:",
        "\n  deliver S0 S1 RequestVote t1, last entry 0\n",
        "\n  timeout S0 Election\n",
    ] {
        assert!(error.contains(wanted), "{error}");
    }
    let error = Script::new("model election\nelect S0\n").refused(&[]);
    assert!(error.contains("line 2: `elect S0`: `elect` is no command"), "{error}");
    let error = Script::new("model elections-x\n").refused(&[]);
    assert!(error.contains("`elections`") && error.contains("raft models"), "{error}");
    let error = Script::new("mutant vote-not-persistd\n").refused(&[]);
    assert!(error.contains("`vote-not-persisted`"), "{error}");
    let error = Script::new("model --servers many\n").refused(&[]);
    assert!(error.contains("`--servers many`: invalid value"), "{error}");
    let error = Script::new("servers many\n").refused(&[]);
    assert!(error.contains("line 1: `servers many`"), "{error}");
    let output = raft(&["play", "/no such file"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("cannot read it"), "{}", text(&output.stderr));
    // A bug that keeps the beginning of a model from running is no panic.
    let script = Script::new("mutant commit-older-term\n");
    let error = script.refused(&["--mutant", "reply-of-an-old-term"]);
    assert!(error.contains("its model does not start: the prefix of mutant-figure-8"), "{error}");
    assert!(!error.contains("panicked"), "{error}");
}

/// A leader of this bug appends an entry for ever, so the search for recovery never ends by itself.
#[test]
fn a_bug_without_an_end_is_played_all_the_same() {
    let script = Script::new("mutant commit-older-term\n");
    let output = script.play(&["--mutant", "append-twice"]);
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    let picture = text(&output.stdout);
    assert!(picture.contains("  recovery    Recoverability "), "{picture}");
}

#[test]
fn the_scenarios_are_scripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let files = std::fs::read_dir(folder).expect("the folder can be read");
    let paths = files.map(|file| file.expect("its entries can be read").path());
    let scenarios = paths.filter(|path| path.extension().is_some_and(|it| it == "txt"));
    for path in scenarios {
        let output = raft(&["play", path.to_str().expect("the path is text")]);
        assert_eq!(output.status.code(), Some(0), "{path:?}: {}", text(&output.stderr));
    }
}

#[test]
fn each_story_is_played_to_its_end_and_violates_nothing() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/stories");
    let mut played = 0;
    for file in std::fs::read_dir(folder).expect("the folder of the stories") {
        let path = file.expect("a file").path();
        let output = raft(&["play", path.to_str().expect("the path is text")]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{}: {error}", path.display());
        played += 1;
    }
    assert!(played >= 9, "{played} stories");
}

#[test]
fn stories_are_exported_as_pages_with_a_list() {
    let folder = tempfile::tempdir().expect("there is room");
    let output = raft(&["explore", "--export", folder.path().to_str().expect("the path is text")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect(name);
    let list = read("index.html");
    for name in ["three-servers", "figure-8", "minority"] {
        assert!(list.contains(&format!("<a href=\"{name}.html\">")), "{name} is listed");
        let page = read(&format!("{name}.html"));
        assert!(page.len() < 1 << 20 && page.contains("\"narrative\":{"), "{name} tells its story");
    }
}

#[test]
fn a_story_that_does_not_exist_is_refused_with_those_that_do() {
    let output = raft(&["explore", "--story", "figure-9"]);
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(
        error.contains("\"figure-9\"") && error.contains("figure-8, figure-8-committed"),
        "{error}"
    );
}

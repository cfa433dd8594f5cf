//! `raft spec`: what it prints, what it compares, and what it refuses.
//!
//! These tests make dumps of their own out of what the program prints, so they need no TLC.

mod common;

use common::program::{Ended, raft, run};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn spec(arguments: &[&str]) -> Ended {
    let arguments = std::iter::once(&"spec").chain(arguments);
    run(raft(arguments))
}

fn printed(arguments: &[&str]) -> Vec<String> {
    let ended = spec(arguments);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
    ended.out.lines().map(str::to_owned).collect()
}

/// A dump as TLC writes it, of these states and edges. The first state is that of servers that have just
/// started.
fn dump(states: &[String], edges: &[String]) -> String {
    let number = |state: &str| {
        let found = states.iter().position(|it| it == state);
        found.unwrap_or_else(|| panic!("{state} is no state"))
    };
    let mut dump = "strict digraph DiskGraph {\nnodesep=0.35;\n".to_owned();
    dump.push_str("subgraph cluster_graph {\ncolor=\"white\";\n");
    for (n, state) in states.iter().enumerate() {
        let label =
            state.replace('\\', "\\\\").replace('"', "\\\"").replace(" /\\\\ ", "\\n/\\\\ ");
        let is_first = state.contains("messages = {}") && !state.contains("candidate");
        let style = if is_first { ",style = filled" } else { "" };
        let _ = writeln!(dump, "-{n}00 [label=\"/\\\\ {label}\"{style}]");
    }
    for edge in edges {
        let (from, rest) = edge.split_once(" --").expect("an edge");
        let (action, to) = rest.split_once("--> ").expect("an edge");
        let (from, to) = (number(from), number(to));
        let _ = writeln!(dump, "-{from}00 -> -{to}00 [label=\"{action}\",color=\"black\"];");
    }
    dump + "}\n}\n"
}

/// Compares a model with this dump.
fn compared(model: &str, dump: &str) -> Ended {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("dump.dot");
    fs::write(&file, dump).expect("a dump");
    spec(&["compare", model, &file.display().to_string()])
}

#[test]
fn states_and_edges_are_printed_sorted_and_counted() {
    let states = spec(&["states", "pair"]);
    assert_eq!(states.err, "27 states\n");
    let lines: Vec<_> = states.out.lines().collect();
    assert_eq!(lines.len(), 27);
    assert!(lines.is_sorted());
    assert!(lines.iter().all(|line| line.starts_with("client = <<>> /\\ messages = {")));
    assert_eq!(printed(&["states", "pair", "--count"]), ["27"]);
    let edges = printed(&["edges", "pair"]);
    assert!(edges.is_sorted());
    for edge in &edges {
        let (from, rest) = edge.split_once(" --").expect("an edge");
        let (_, to) = rest.split_once("--> ").expect("an edge");
        assert!(lines.contains(&from) && lines.contains(&to) && from != to, "{edge}");
    }
}

#[test]
fn a_dump_of_the_graph_of_the_model_is_equal_to_it() {
    let (states, edges) = (printed(&["states", "pair"]), printed(&["edges", "pair"]));
    let ended = compared("pair", &dump(&states, &edges));
    assert_eq!(ended.status.code(), Some(0), "{}{}", ended.out, ended.err);
    assert!(ended.out.starts_with("pair: equal, 27 states and "), "{}", ended.out);
}

#[test]
fn a_step_that_one_side_lacks_is_told_with_a_path_in_both_notations() {
    let (states, mut edges) = (printed(&["states", "pair"]), printed(&["edges", "pair"]));
    let lost = edges.iter().position(|edge| edge.contains("--ReceiveRequestVoteResponse--> "));
    edges.remove(lost.expect("a vote is counted"));
    let ended = compared("pair", &dump(&states, &edges));
    assert_eq!(ended.status.code(), Some(1), "{}", ended.err);
    for part in [
        "pair: DIFFERENT",
        "both sides have these 2 steps",
        "1. ElectionTimeout",
        "here the model has a step that the specification lacks: ReceiveRequestVoteResponse",
        "candidate ⇨ leader",
        "role: \"candidate\" ⇨ \"leader\"",
    ] {
        assert!(ended.out.contains(part), "{part}: {}", ended.out);
    }
}

#[test]
fn a_step_that_only_the_dump_has_is_told_as_well() {
    let (states, mut edges) = (printed(&["states", "pair"]), printed(&["edges", "pair"]));
    let restart = edges[0].split_once(" --").expect("an edge").0.to_owned();
    let first = states.iter().find(|it| it.contains("messages = {}")).expect("a first state");
    edges.push(format!("{restart} --Restart--> {first}"));
    let ended = compared("pair", &dump(&states, &edges));
    assert_eq!(ended.status.code(), Some(1), "{}", ended.err);
    let told = "here the specification has a step that the model lacks: Restart";
    assert!(ended.out.contains(told), "{}", ended.out);
}

#[test]
fn another_first_state_is_told() {
    let (states, edges) = (printed(&["states", "pair"]), printed(&["edges", "pair"]));
    let dump = dump(&states, &edges).replace("currentTerm |-> 0", "currentTerm |-> 7");
    let ended = compared("pair", &dump);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.err);
    assert!(ended.out.contains("only the model starts from this state"), "{}", ended.out);
    assert!(ended.out.contains("server[0].currentTerm: 0 ⇨ 7"), "{}", ended.out);
}

#[test]
fn a_mutant_differs() {
    let (states, edges) = (printed(&["states", "pair"]), printed(&["edges", "pair"]));
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("dump.dot");
    fs::write(&file, dump(&states, &edges)).expect("a dump");
    let file = file.display().to_string();
    let ended = spec(&["compare", "pair", &file, "--mutant", "vote-for-everybody"]);
    assert_eq!(ended.status.code(), Some(1), "{}{}", ended.out, ended.err);
}

#[test]
fn the_models_that_are_compared_are_listed() {
    let listed = printed(&["models"]).join("\n");
    for name in ["pair", "three", "pair-snapshot", "servers=2"] {
        assert!(listed.contains(name), "{name}: {listed}");
    }
}

#[test]
fn what_cannot_be_done_is_refused_with_a_reason() {
    let folder = TempDir::new().expect("a folder");
    let path = |name: &str, text: &str| {
        let path: PathBuf = Path::new(folder.path()).join(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let broken = path("broken.dot", "strict digraph DiskGraph {\n1 [label=\"/\\\\ x = {1\"];\n");
    for (arguments, reasons) in [
        (&["states", "pear"][..], &["no model `pear`", "`pair`"][..]),
        (&["states", "pair", "--limit", "5"], &["more than 5 states", "--limit"]),
        (&["edges", "command", "--limit", "1000"], &["more than 1000 states"]),
        (&["states", "pair", "--mutant", "none"], &["no mutant `none`"]),
        (&["compare", "pair", "/none.dot"], &["cannot read the dump /none.dot", "No such file"]),
        (&["compare", "pair", &broken], &["broken.dot", "line 2", "`,` is missing"]),
        (&["compare", "pair", &path("empty.dot", "")], &["empty.dot", "no graph"]),
        (&["compare", "pear", &broken], &["line 2"]),
    ] {
        spec(arguments).refused(reasons);
    }
}

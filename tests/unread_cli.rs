//! What `raft` does when nobody reads what it prints: nothing else than otherwise, and quietly.

mod common;

use common::program::{Ended, raft};
use std::process::Stdio;

/// Runs a command whose output goes into a pipe that has been closed at its other end.
fn unread(arguments: &[&str]) -> (i32, String) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = raft(arguments);
    command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped());
    let output = command.spawn().expect("it starts").wait_with_output().expect("it ends");
    let code = output.status.code().expect("it ended by itself");
    (code, String::from_utf8(output.stderr).expect("text"))
}

#[test]
fn a_closed_pipe_is_no_error() {
    for arguments in [
        &["models"][..],
        &["models", "--json"],
        &["mutants"],
        &["check", "election"],
        &["check", "election", "--json"],
        &["--help"],
        &["put", "--help"],
        &["--version"],
        &["explore", "election", "--address", "127.0.0.1:0"],
        &["completions", "bash"],
        &["status", "--watch", "--server", "127.0.0.1:1", "--timeout", "200ms"],
    ] {
        assert_eq!(unread(arguments), (0, String::new()), "{arguments:?}");
    }
}

#[test]
fn a_violation_is_one_whether_it_is_read_or_not() {
    let (code, _) = unread(&["check", "--mutant", "vote-not-persisted"]);
    assert_eq!(code, 1);
    let folder = tempfile::tempdir().expect("a directory");
    let no_trace = folder.path().join("none").display().to_string();
    assert_eq!(unread(&["trace", &no_trace]).0, 2);
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let mut command = raft(["models"]);
    let output = command.stdout(full).output().expect("it runs");
    let status = output.status;
    let [out, err] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).expect("text"));
    Ended { status, out, err }.refused(&["cannot write the output"]);
}

//! Golden scenarios: stories from the paper, told by the actors themselves.
//!
//! A scenario is a text file beside this one. Comments tell the story. A header says who takes part, see
//! `models/header.rs`.
//!
//! Then come the commands of `models/script.rs`, and a few more:
//!
//! ```text
//! logs                        draws all logs as the paper does
//! quietly CMD; CMD; ...       runs the commands and records only what became of each process
//! remember                    marks this point;
//! return                      goes back to it, for another ending
//! ```
//!
//! What is indented is recorded: each event, below it how the process changed and what it sent. A
//! message that arrives within the same line is not listed as sent; `(lost)` is one that the script
//! has forgotten. Every property of the models is judged after every step.
//!
//! `UPDATE_GOLDEN=1 cargo test --test scenarios` records anew.

use actorcheck::Event;
use checked_raft::models::header::Header;
use checked_raft::models::script::{Runner, without_comment};
use checked_raft::models::text::Text;
use checked_raft::models::{Cluster, ClusterAction, ClusterState};
use checked_raft::raft::Message;
use stateright::actor::{Command, Id};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// One test for each file.
macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*
    };
}

scenarios! {
    deposed_leader_refuses_reads,
    double_vote_after_step_down,
    duplicated_command_is_applied_once,
    figure_7,
    figure_8,
    follower_hint_redirects_client,
    leader_dies_after_replication,
    leader_dies_before_replication,
    minority_partition_refuses_writes,
    restart_keeps_vote,
    returning_server_does_not_disturb,
    session_eviction,
    snapshot_for_a_follower,
    split_vote,
    stale_append_entries_does_not_truncate,
}

#[test]
fn every_scenario_file_is_run() {
    let files = fs::read_dir(folder()).expect("the folder of the scenarios can be read");
    let paths = files.map(|file| file.expect("its entries can be read").path());
    let texts = paths.filter(|path| path.extension().is_some_and(|extension| extension == "txt"));
    let names: BTreeSet<_> =
        texts.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(names, NAMES.iter().map(|name| (*name).to_owned()).collect());
}

#[test]
fn a_difference_is_shown_line_by_line() {
    assert_eq!(difference("a\nb\nc\n", "a\nx\nc\n"), "  a\n- b\n+ x\n  c\n");
    assert_eq!(difference("a\nb\n", "a\n"), "  a\n- b\n");
}

#[test]
fn a_line_that_does_not_run_is_an_error_that_names_it() {
    let error = record("servers 2\nstart\n\ndeliver S0 S1\n").unwrap_err();
    assert_eq!(error, "line 4: `deliver S0 S1`: there is no undelivered message from S0 to S1");
    let error = record("client put x\nstart\n").unwrap_err();
    assert_eq!(error, "line 1: `client put x`: `put x` is not a command of a client");
}

/// What a script can do, it can also name: each possible step is the one that its command takes.
#[test]
fn the_command_of_a_step_takes_that_step() {
    let header = Header::of("servers 3\nclient put x 1; get x\n").expect("a header");
    let cluster = header.scenario.expect("a cluster").cluster();
    let mut runner = Runner::new(&cluster, cluster.started());
    let mut taken = BTreeSet::new();
    for round in 0..120 {
        let possible = runner.possible();
        assert_eq!(possible.len(), cluster.enabled(runner.state()).len());
        for command in &possible {
            let mut one = runner.clone();
            one.line(command).unwrap_or_else(|error| panic!("`{command}`: {error}"));
            let (action, _) = &one.steps()[runner.steps().len()];
            assert_eq!(&runner.command(action), command);
        }
        let fresh = possible.iter().filter(|command| !command.starts_with("re"));
        let commands: Vec<_> = fresh.collect();
        let command = commands[(round * 7) % commands.len()];
        taken.extend(command.split(' ').next().map(str::to_owned));
        runner.line(command).expect("it is possible");
    }
    assert_eq!(taken, ["deliver", "timeout"].map(str::to_owned).into());
}

#[test]
fn a_command_that_is_impossible_says_what_was_expected() {
    let header = Header::of("servers 2\nclient put x 1\n").expect("a header");
    let cluster = header.scenario.expect("a cluster").cluster();
    let mut runner = Runner::new(&cluster, cluster.started());
    runner.run("timeout S0 Election # and so on\ndeliver C2 S0 Register #1").expect("it runs");
    for (line, error) in [
        ("timeout S7", "`S7` is none of S0, S1, C2"),
        ("timeout S0 Heartbeat", "S0 has no such timer armed; Election is"),
        ("timeout", "expected `timeout WHO [TIMER]`"),
        ("deliver S0 S1 AppendEntries", "no undelivered message from S0 to S1 has that text"),
        ("redeliver S0 S1 AppendEntries", "no message from S0 to S1 has that text"),
        ("deliver S1 S0", "there is no undelivered message from S1 to S0"),
        ("redeliver S0 S1", "expected `redeliver FROM TO TEXT`"),
        ("partition", "expected `partition WHO... | WHO...`"),
    ] {
        assert_eq!(runner.line(line).expect_err(line), error);
    }
    let error = runner.line("elect S0").expect_err("no such command");
    assert!(error.starts_with("`elect` is no command; the commands are timeout,"), "{error}");
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// Runs a scenario and compares it with its record, or makes the record.
fn check(name: &str) {
    let path = folder().join(format!("{name}.txt"));
    let golden = fs::read_to_string(&path).expect("the scenario can be read");
    let recorded = record(&golden).unwrap_or_else(|error| panic!("{name}.txt: {error}"));
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, recorded).expect("the scenario can be written");
    } else if golden != recorded {
        let difference = difference(&golden, &recorded);
        panic!(
            "{name}.txt: what happens (+) is not what is recorded (-):\n{difference}\
             if it should be, record it: UPDATE_GOLDEN=1 cargo test --test scenarios {name}"
        );
    }
}

/// The lines around the first place where the texts differ, up to where they meet again.
fn difference(old: &str, new: &str) -> String {
    const CONTEXT: usize = 3;
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - same;
    let tail =
        old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    let marked = |mark: &str, lines: &[&str]| -> String {
        lines.iter().flat_map(|line| [mark, " ", line, "\n"]).collect()
    };
    [
        marked(" ", &old[same.saturating_sub(CONTEXT)..same]),
        marked("-", &old[same..old_end]),
        marked("+", &new[same..new_end]),
        marked(" ", &old[old_end..old.len().min(old_end + CONTEXT)]),
    ]
    .concat()
}

/// Runs a scenario; gives back its text with everything indented recorded anew.
fn record(script: &str) -> Result<String, String> {
    let header = Header::of(script)?;
    let spec = header.scenario.ok_or("the header does not say who takes part")?;
    let head = script.lines().take(header.lines);
    let mut recorded: String = head.flat_map(|line| [line, "\n"]).collect();
    let cluster = spec.cluster();
    let mut scenario = Scenario::start(&cluster);
    scenario.take_output(&mut recorded);
    let lines = (1..).zip(script.lines()).skip(header.lines);
    for (number, line) in lines.filter(|(_, line)| !line.starts_with(' ')) {
        recorded.extend([line, "\n"]);
        let ran = scenario.line(without_comment(line));
        ran.map_err(|error| format!("line {number}: `{line}`: {error}"))?;
        scenario.take_output(&mut recorded);
    }
    Ok(recorded)
}

/// A scenario under way.
struct Scenario<'a> {
    cluster: &'a Cluster,
    runner: Runner<'a>,
    text: Text<'a>,
    /// Where `return` goes back to.
    remembered: Runner<'a>,
    /// What is to be recorded below the current line: the indentation, in steps, and the text.
    output: Vec<(usize, String)>,
}

impl<'a> Scenario<'a> {
    /// All have just started; clients have asked.
    fn start(cluster: &'a Cluster) -> Self {
        let runner = Runner::new(cluster, cluster.started());
        let text = Text::of(cluster);
        let sent = runner.pending().iter();
        let output = sent.map(|(src, dst, msg)| (1, text.sent(*src, &BTreeSet::from([*dst]), msg)));
        Self { cluster, output: output.collect(), remembered: runner.clone(), runner, text }
    }

    fn take_output(&mut self, recorded: &mut String) {
        for (depth, line) in self.output.drain(..) {
            recorded.push_str(&"    ".repeat(depth));
            recorded.extend([line.as_str(), "\n"]);
        }
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let first = self.runner.steps().len();
        let before = self.runner.state().clone();
        match line.split_once(' ') {
            None if line == "logs" => {
                let logs = self.text.logs(&before);
                self.output.extend(logs.into_iter().map(|log| (1, log)));
            }
            None if line == "remember" => self.remembered = self.runner.clone(),
            None if line == "return" => self.runner = self.remembered.clone(),
            Some(("quietly", commands)) => {
                for command in commands.split(';') {
                    self.runner.line(command)?;
                }
                self.judge(first)?;
                let changes = self.changes(&before, self.runner.state());
                self.output.extend(changes.into_iter().map(|change| (1, change)));
            }
            _ => {
                self.runner.line(line)?;
                self.judge(first)?;
                self.tell(first, before);
            }
        }
        Ok(())
    }

    /// No step from `first` on breaks a property.
    fn judge(&self, first: usize) -> Result<(), String> {
        for (action, state) in &self.runner.steps()[first..] {
            let broken = self.cluster.broken(state);
            if !broken.is_empty() {
                return Err(format!("{} breaks {}", self.text.event(action), broken.join(", ")));
            }
        }
        Ok(())
    }

    fn changes(&self, before: &ClusterState, after: &ClusterState) -> Vec<String> {
        let processes = 0..self.cluster.names.len();
        let change = |n| self.text.change(Id::from(n), before.actor(n), after.actor(n));
        processes.filter_map(change).collect()
    }

    /// Records the steps from `first` on, the first of which was taken in the state `before`.
    fn tell(&mut self, first: usize, mut before: ClusterState) {
        let steps = self.runner.steps()[first..].to_vec();
        for (number, (action, after)) in steps.iter().enumerate() {
            self.output.push((1, self.text.event(action)));
            let changes = self.changes(&before, after);
            self.output.extend(changes.into_iter().map(|change| (2, change)));
            let sent = self.sent(&before, action, &steps[number + 1..]);
            self.output.extend(sent.into_iter().map(|message| (2, message)));
            before = after.clone();
        }
    }

    /// What a step sends, except what a later one of `steps` delivers.
    fn sent(
        &self,
        before: &ClusterState,
        action: &ClusterAction,
        steps: &[(ClusterAction, ClusterState)],
    ) -> Vec<String> {
        let mut sent: Vec<(Message, bool, BTreeSet<Id>)> = Vec::new();
        for command in self.cluster.outputs(before, action) {
            let Command::Send(dst, msg) = command else { continue };
            let event = Event::Deliver { src: action.who, msg: msg.clone() };
            let arrives = |(step, _): &(ClusterAction, _)| step.who == dst && step.event == event;
            if steps.iter().any(arrives) {
                continue;
            }
            let lost = !self.runner.pending().contains(&(action.who, dst, msg.clone()));
            match sent.last_mut() {
                Some((same, gone, to)) if (&*same, *gone) == (&msg, lost) => {
                    to.insert(dst);
                }
                _ => sent.push((msg, lost, BTreeSet::from([dst]))),
            }
        }
        let line = |(msg, lost, to): (Message, bool, BTreeSet<Id>)| {
            let lost = if lost { " (lost)" } else { "" };
            format!("{}{lost}", self.text.sent(action.who, &to, &msg))
        };
        sent.into_iter().map(line).collect()
    }
}

//! The shortest counterexample, in a form for people to read.

use super::subject::Subject;
use super::{told, why};
use actorcheck::{Limits, diagram, search};
use checked_raft::models::ghost::Ghost;
use checked_raft::models::process::Process;
use checked_raft::models::script::Runner;
use checked_raft::models::text::Text;
use checked_raft::models::{Cluster, Spec};
use serde::Serialize;
use std::fmt::Write;
use std::sync::atomic::AtomicBool;

/// The address at which `raft explore` serves by default.
pub(super) const EXPLORER: &str = "127.0.0.1:3000";

/// A counterexample that [`search::shortest`] has executed and judged again.
#[derive(Serialize)]
pub(super) struct Explained {
    /// The property that it violates.
    pub(super) property: &'static str,
    /// The state of every process at the start.
    pub(super) start: Vec<told::Process>,
    /// The steps.
    pub(super) steps: Vec<told::Step>,
    /// The violation in the last state, as far as the state shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
    /// The state of every process at the end.
    pub(super) end: Vec<told::Process>,
    /// The state of every server at the end, a line each below a header.
    #[serde(skip)]
    pub(super) table: Vec<String>,
    /// The number of steps.
    pub(super) length: usize,
    /// The number of states visited to find it.
    pub(super) visited: usize,
    /// The limit that ended the search for a shorter one, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unsure: Option<&'static str>,
    /// The script that `raft play` plays.
    pub(super) script: String,
    /// A Mermaid sequence diagram.
    pub(super) mermaid: String,
    /// How to look at it in the Explorer.
    pub(super) explorer: Link,
}

impl Explained {
    /// The numbered steps in words, each with the changes that it makes.
    pub(super) fn in_words(&self) -> String {
        (1..).zip(&self.steps).map(|(number, step)| why::numbered(number, &step.text)).collect()
    }
}

/// The way to a path in the Explorer.
#[derive(Serialize)]
pub(super) struct Link {
    /// The command that serves the Explorer.
    pub(super) command: String,
    /// The page to open while that command runs.
    pub(super) url: String,
    /// The path itself: the position of the first state, then that of each action among those enabled.
    pub(super) path: String,
}

/// A counterexample as a script, with a header that says what it belongs to.
fn script(
    subject: &Subject,
    world: &Cluster,
    found: &search::Counterexample<Process, Ghost>,
) -> String {
    let (property, bounds) = (found.property, subject.spec.bounds_text());
    let mut text =
        "# `raft play` plays this; docs/counterexamples.md tells the language.\n".to_owned();
    let _ = match (&subject.mutant, &subject.options) {
        (Some(mutant), _) => {
            let Spec { name, about, .. } = subject.spec;
            writeln!(text, "# The model is {name}: {about}\nmutant {}", mutant.name)
        }
        (None, Some(options)) => writeln!(text, "model {}", options.trim()),
        (None, None) => writeln!(text, "model {}", subject.spec.name),
    };
    let _ = writeln!(text, "bounds {bounds}\nviolates {property}\nstart\n");
    let mut runner = Runner::new(world, found.first.clone());
    for (action, state) in &found.steps {
        let command = runner.command(action);
        let ran = runner.line(&command);
        let (taken, reached) = runner.steps().last().expect("a command takes a step");
        let is_it = ran.is_ok() && taken == action && reached == state;
        assert!(is_it, "`{command}` takes the step that it was made for");
        let _ = writeln!(text, "{command}");
    }
    text
}

/// Searches level by level for a violation of `property`, or of any property if none is given. The error
/// says why there is nothing to show.
pub(super) fn explain(
    subject: &Subject,
    property: Option<&'static str>,
    limits: &Limits,
    interrupted: &AtomicBool,
) -> Result<Explained, String> {
    let world = subject.cluster();
    let found = match search::shortest(&world, property, limits, interrupted) {
        search::Outcome::Found(found) => found,
        search::Outcome::Exhausted(visited) => {
            return Err(format!(
                "the level-by-level search for the shortest counterexample ended after {visited} \
                 states without one: the engines disagree, which is a defect of the checker"
            ));
        }
        search::Outcome::Ended(visited, reason) => {
            return Err(format!(
                "the search for the shortest counterexample was ended by {reason}, after {visited} \
                 states; `--max-states`, `--max-seconds` and `--memory` set limits"
            ));
        }
    };
    let words = Text::of(&world);
    let mut states = found.steps.iter().rev().map(|(_, state)| state).chain([&found.first]);
    let last = states.next().expect("there is the first one");
    let before = states.next().unwrap_or(last);
    let mut path = "0".to_owned();
    for index in &found.indices {
        let _ = write!(path, "/{index}");
    }
    let url = format!("http://{EXPLORER}/stateright/#/steps/{path}");
    Ok(Explained {
        property: found.property,
        start: told::processes(&world, &found.first),
        steps: told::steps(&world, &found.first, &found.steps),
        why: why::sentence(&world, found.property, last),
        end: told::processes(&world, last),
        table: why::table(&world, before, last),
        length: found.steps.len(),
        visited: found.visited,
        unsure: found.unsure,
        script: script(subject, &world, &found),
        mermaid: diagram::mermaid_in_words(&world, &found, &|msg| words.message(msg)),
        explorer: Link { command: subject.explore_command(), url, path },
    })
}

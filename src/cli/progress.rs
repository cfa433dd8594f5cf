//! The progress of a run on a terminal. Without a terminal indicatif draws nothing, so long work reports
//! its progress in lines.

use super::options::grouped;
use actorcheck::Progress;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use std::io::{self, Write};
use std::time::Duration;

/// The progress of a hunt of several mutants: a bar on a terminal, or else a line for each mutant.
pub(super) struct Hunt(ProgressBar);

impl Hunt {
    /// Begins a hunt of this many mutants.
    pub(super) fn new(mutants: usize) -> Self {
        let bar = ProgressBar::new(mutants as u64);
        let template = "{spinner} {pos} of {len} mutants [{bar:24}] {elapsed} {msg}";
        bar.set_style(ProgressStyle::with_template(template).expect("the template is well-formed"));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Reports that one mutant has been hunted.
    pub(super) fn hunted(&self, name: &str, as_expected: bool, took: Duration) {
        self.0.inc(1);
        self.0.set_message(name.to_owned());
        if self.0.is_hidden() {
            let (n, all) = (self.0.position(), self.0.length().unwrap_or_default());
            let outcome = if as_expected { "as expected" } else { "NOT as expected" };
            let seconds = took.as_secs_f64();
            // The line may go unread.
            let _ = writeln!(io::stderr(), "{n} of {all}: {name}, {outcome}, {seconds:.2} s");
        }
    }

    /// Removes the bar.
    pub(super) fn clear(self) {
        self.0.finish_and_clear();
    }
}

/// A line that is drawn over again while a model is searched.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// Begins a search. The pinned number of what the search counts, if there is one, is its total: tuples
    /// for our engine, states for stateright's.
    pub(super) fn new(name: &str, pinned: Option<u64>) -> Self {
        let bar = pinned.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        let template = match pinned {
            Some(_) => "{spinner} {prefix} [{bar:24}] {percent:>3}% {msg}",
            None => "{spinner} {prefix} {msg}",
        };
        bar.set_style(ProgressStyle::with_template(template).expect("the template is well-formed"));
        bar.set_prefix(name.to_owned());
        Self(bar)
    }

    /// Shows how far the search is. Our engine tells for how many tuples those that it has visited stand. So
    /// the bar also shows the share of all tuples where servers are interchangeable.
    pub(super) fn show(&self, now: Progress) {
        let Progress { states, depth, tuples, represented, elapsed, memory, .. } = now;
        let rate = states as f64 / elapsed.as_secs_f64().max(0.001);
        let memory = memory.map_or(String::new(), |bytes| format!(", {}", HumanBytes(bytes)));
        let states_text = grouped(states);
        let message = match tuples {
            Some(tuples) => {
                format!("{} tuples, {states_text} maximal states{memory}", grouped(tuples))
            }
            None => format!("{states_text} states, {rate:.0} states/s, depth {depth}{memory}"),
        };
        self.0.set_position(represented.unwrap_or(states));
        self.0.set_message(message);
    }

    /// Shows that something else is being done.
    pub(super) fn say(&self, message: &'static str) {
        self.0.set_message(message);
        self.0.tick();
    }

    /// Removes the line.
    pub(super) fn clear(self) {
        self.0.finish_and_clear();
    }
}

//! Whether a server's saves are quick enough for its election timeouts.

use super::journal::News;
use crate::raft::Parameters;
use std::time::Duration;

/// The slow saves of a server.
#[derive(Debug)]
pub(super) struct Saves {
    /// The duration beyond which a save is slow: a quarter of the shortest election timeout.
    limit: Duration,
    slow: u64,
    slowest: Duration,
}

impl Saves {
    pub(super) fn new(parameters: &Parameters) -> Self {
        Self { limit: parameters.election_timeout.start / 4, slow: 0, slowest: Duration::ZERO }
    }

    /// Notes a save that took so long. There is news whenever the number of slow saves has doubled.
    pub(super) fn note(&mut self, took: Duration) -> Option<News> {
        if took <= self.limit {
            return None;
        }
        self.slow += 1;
        self.slowest = self.slowest.max(took);
        self.slow.is_power_of_two().then_some(News::SlowSave(took, self.slow))
    }

    /// The advice to people. The advised timeouts suffice as long as saves are not slower than they have
    /// been.
    pub(super) fn advice(&self) -> String {
        let shortest = self.slowest.as_millis() * 4;
        format!(
            "more than {} ms, a quarter of the shortest election timeout; use a faster disk, or start \
             every server with --election-timeout {shortest}..{}",
            self.limit.as_millis(),
            shortest * 2
        )
    }

    /// The problem, in a sentence, if any save was slow.
    pub(super) fn warning(&self) -> Option<String> {
        let (slow, slowest) = (self.slow, self.slowest.as_millis());
        (slow > 0)
            .then(|| format!("{slow} saves took long, the slowest {slowest} ms: {}", self.advice()))
    }
}

//! Whether a server's saves are quick enough for its election timeouts.

use super::journal::News;
use crate::raft::Config;
use std::time::Duration;

/// What was seen of a server's saves.
#[derive(Debug)]
pub(super) struct Saves {
    /// A save that takes longer is slow: a quarter of the shortest election timeout.
    limit: Duration,
    slow: u64,
    slowest: Duration,
}

impl Saves {
    pub(super) fn new(config: &Config) -> Self {
        Self { limit: config.election_timeout.start / 4, slow: 0, slowest: Duration::ZERO }
    }

    /// A save took so long. That it was slow is news whenever the number of slow ones doubles.
    pub(super) fn note(&mut self, took: Duration) -> Option<News> {
        if took <= self.limit {
            return None;
        }
        self.slow += 1;
        self.slowest = self.slowest.max(took);
        self.slow.is_power_of_two().then_some(News::SlowSave(took, self.slow))
    }

    /// What to set, as long as saves are not slower than they have been.
    pub(super) fn advice(&self) -> String {
        let shortest = self.slowest.as_millis() * 4;
        format!(
            "more than {} ms, a quarter of the shortest election timeout; use a faster disk, or start \
             every server with --election-timeout {shortest}..{}",
            self.limit.as_millis(),
            shortest * 2
        )
    }

    /// What is wrong, in a sentence.
    pub(super) fn warning(&self) -> Option<String> {
        let (slow, slowest) = (self.slow, self.slowest.as_millis());
        (slow > 0)
            .then(|| format!("{slow} saves took long, the slowest {slowest} ms: {}", self.advice()))
    }
}

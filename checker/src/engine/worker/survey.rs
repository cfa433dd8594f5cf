//! Counts how often a survey has fired each step, because a survey fires each step only a few times.

use crate::engine::ids::{Number, StepId};

/// A survey of one thread.
pub(super) struct Survey {
    /// The number of times that each step may be fired, and the number of times that it has been.
    times: u16,
    fired: Vec<u16>,
}

impl Survey {
    /// A survey that fires each step so many times.
    pub(super) fn new(times: u16) -> Self {
        Self { times, fired: Vec::new() }
    }

    /// Counts that a step is fired, and returns whether it may be fired.
    pub(super) fn fires(&mut self, step: StepId) -> bool {
        let at = step.index();
        if self.fired.len() <= at {
            self.fired.resize(at + 1, 0);
        }
        self.fired[at] = self.fired[at].saturating_add(1);
        self.fired[at] <= self.times
    }
}

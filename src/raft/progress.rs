//! What a leader knows of its last AppendEntries to a follower. `retry.rs` has the rules that change it.

use super::log::Log;
use super::position::Index;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The last AppendEntries with entries that a follower has not answered, and how often earlier ones were
/// lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// The index of the last entry of that AppendEntries; `None` during a pause.
    pub last: Option<Index>,
    /// The number of AppendEntries that were lost since the follower last had the whole log. The leader
    /// stops counting where a larger number would change nothing.
    pub losses: u32,
    /// The number of heartbeats until entries are sent again: at 1, the next heartbeat carries them.
    pub pause: u32,
}

impl Attempt {
    /// Notes that the follower matches up to `index`, and returns the rest of the attempt, if any. Nothing
    /// is left once the follower has the whole log.
    pub(super) fn answered(self, index: Index, log: &Log) -> Option<Self> {
        let is_answer = self.last.is_none_or(|last| index >= last);
        match (is_answer, index == log.last_index()) {
            (false, _) => Some(self),
            (true, true) => None,
            (true, false) => Some(Self { last: None, ..self }),
        }
    }
}

/// Shows `..5` while an answer about entry 5 is awaited, and `..5/2` if there were two losses. Shows `-/9+3`
/// after nine losses, if entries are sent again in 3 heartbeats.
impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last {
            Some(last) => write!(f, "..{last}")?,
            None => f.write_str("-")?,
        }
        if self.losses > 0 {
            write!(f, "/{}", self.losses)?;
        }
        if self.pause > 0 {
            write!(f, "+{}", self.pause)?;
        }
        Ok(())
    }
}

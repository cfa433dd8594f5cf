//! Positions in time and in the log: terms and indexes.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A term: logical time, "numbered with consecutive integers" (section 5.1). Zero is the term before
/// the first election.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Term(pub u64);

/// A position in the log. "First index is 1"; zero is the position before the first entry.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Index(pub u64);

impl Term {
    /// The term of the next election.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Index {
    /// The following position.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The preceding position. Zero has none, and stays zero.
    pub fn prev(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl Term {
    /// Whether elections can have led to this term. Terms from 2^63 on are refused, so that a forged term
    /// cannot make the next election overflow.
    pub(super) fn is_real(self) -> bool {
        (1..1 << 63).contains(&self.0)
    }

    /// The term that a server in `current_term` moves to if this term is out of the server's reach, else
    /// `None`. At one election in 100 ms, 2^32 elections take 13 years.
    pub fn is_beyond_reach_of(self, current_term: Term) -> Option<Term> {
        /// The greatest number of terms by which one message moves a server.
        const FURTHEST: u64 = 1 << 32;
        let furthest = Term(current_term.0.saturating_add(FURTHEST));
        (self > furthest).then_some(furthest)
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::{AppendEntriesResponse, Outcome};

    /// Counterexamples and traces show terms and indexes in this form.
    #[test]
    fn a_term_and_an_index_are_shown_as_numbers() {
        let args =
            AppendEntriesResponse { term: Term(3), outcome: Outcome::Match(Index(2)), round: 0 };
        assert_eq!(
            format!("{args:?}"),
            "AppendEntriesResponse { term: 3, outcome: Match(2), round: 0 }"
        );
        assert_eq!(format!("{} {}", args.term, Index(2)), "3 2");
    }
}

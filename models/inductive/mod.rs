//! Evidence that no bound on depth limits: is a conjunction of invariants inductive for the very actor?
//!
//! A search from the first state covers what is reachable within bounds. This check asks another question.
//! Ind is a conjunction of invariants about servers, their history and messages in flight (`conjuncts`).
//! Take any state of a small domain that satisfies Ind, reachable or not, and any one call of a handler. If
//! Ind holds again, no number of steps within such domains leads out of Ind.
//!
//! [`Domain::check`](domain::Domain::check) enumerates a domain: EXHAUSTIVE. [`sample::check`] draws states
//! of a larger one: SAMPLED. A [`Failure`] is a counterexample to induction, and `words`
//! prints it. This is evidence and no proof; `docs/induction.md` says what it shows and what it does not.

pub mod conjuncts;
pub mod domain;
pub mod history;
pub mod sample;
pub mod step;
pub mod variables;
pub mod words;

use step::{Event, Failure, KINDS, Outcome};
use variables::{Local, Role};

/// The figures of a check.
#[derive(Default)]
pub struct Report {
    /// The number of states that satisfy Ind.
    pub states: u64,
    /// The number of steps that were judged: a state and an event.
    pub steps: u64,
    /// The number of pairs of a step and a message in flight that was judged after it.
    pub bystanders: u64,
    /// The number of steps by role (follower, candidate, leader) and kind of event.
    pub of_kind: [[u64; KINDS.len()]; 3],
    /// The number of steps by what they did, in the order of [`EFFECTS`].
    pub effects: [u64; EFFECTS.len()],
    /// A property of Figure 3 that some state violates although it satisfies Ind.
    pub not_implied: Option<&'static str>,
    /// The first counterexample to induction.
    pub failure: Option<Box<Failure>>,
}

/// What a step can do.
pub const EFFECTS: [&str; 6] = [
    "a term begins",
    "a vote is cast",
    "a leader is elected",
    "entries come",
    "entries go",
    "commits",
];

impl Report {
    /// Counts a step.
    fn count(&mut self, before: &Local, event: &Event, outcome: &Outcome, in_flight: usize) {
        let after = &outcome.after;
        self.steps += 1;
        self.bystanders += in_flight as u64;
        let role = match before.role {
            Role::Follower(_) => 0,
            Role::Candidate(_) => 1,
            Role::Leader { .. } => 2,
        };
        self.of_kind[role][event.kind()] += 1;
        let kept = before.log.len().min(after.log.len());
        let goes = !after.log.agrees(&before.log, before.log.len());
        let effects = [
            after.term > before.term,
            after.vote.is_some() && (after.term, after.vote) != (before.term, before.vote),
            after.leads() && !before.leads(),
            after.log.len() > kept || (goes && after.log.len() == before.log.len()),
            goes,
            after.commit > before.commit,
        ];
        for (count, is_done) in self.effects.iter_mut().zip(effects) {
            *count += u64::from(is_done);
        }
    }
}

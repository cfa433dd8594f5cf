//! Checks a world in one call, and says what came of it.
//!
//! [`World::check`] runs the antichain engine. If a property is violated, it then searches for a shortest
//! counterexample. [`Checked`] keeps the world, the report and the counterexample; a test asserts on it.

use crate::diagram::steps_text;
use crate::run::{Limits, PropertyResult, Report, TOO_MANY_LOCALS, Verdict};
use crate::search::{Counterexample, Outcome, shortest};
use crate::view::{Checkable, Ghostly};
use crate::world::World;
use std::fmt;
use std::sync::atomic::AtomicBool;

/// The number of local states of one actor at which a [`World::check`] ends. An actor without a bound gets
/// that many.
pub const MOST_LOCALS: u64 = 50_000;

/// A world, the report of checking it, and a shortest counterexample if a property is violated.
pub struct Checked<A: Checkable, G: Ghostly> {
    /// The world that was checked.
    pub world: World<A, G>,
    /// The report of the search.
    pub report: Report,
    /// The way to a violation. If the property that [`Recovery`](crate::Recovery) asks about is violated,
    /// there is a way to that, too.
    pub counterexample: Option<Counterexample<A, G>>,
}

impl<A: Checkable, G: Ghostly> World<A, G> {
    /// Searches all states within the bounds, on all processors, until the search ends by itself or a
    /// property is violated. The search ends early when an actor has [`MOST_LOCALS`] local states.
    pub fn check(self) -> Checked<A, G> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let unlimited = Limits::unlimited(threads);
        self.check_within(&Limits { max_locals: Some(MOST_LOCALS), ..unlimited })
    }

    /// Searches all states within the bounds, and ends early at these limits.
    pub fn check_within(self, limits: &Limits) -> Checked<A, G> {
        let never = AtomicBool::new(false);
        let report = crate::engine::explore(&self, limits, &never, &mut |_| {});
        let counterexample = match report.verdict {
            Verdict::Violated => match shortest(&self, None, limits, &never) {
                Outcome::Found(found) => Some(*found),
                Outcome::Exhausted(_) | Outcome::Ended(..) => None,
            },
            Verdict::Exhaustive | Verdict::Bounded => None,
        };
        Checked { world: self, report, counterexample }
    }
}

impl<A: Checkable, G: Ghostly> Checked<A, G> {
    /// Asserts, for a test, that every state within the bounds was visited, that all properties hold, and
    /// that every `sometimes` was seen.
    ///
    /// # Panics
    /// If one of these is not so, with the report and the counterexample.
    #[track_caller]
    pub fn assert_exhaustive(&self) -> &Report {
        let missed = self.missed();
        let is_so = self.report.verdict == Verdict::Exhaustive && missed.is_empty();
        assert!(is_so, "not exhausted with all properties satisfied\n{self}");
        &self.report
    }

    /// Asserts, for a test, that the counterexample violates this property.
    ///
    /// # Panics
    /// If it does not, with the report.
    #[track_caller]
    pub fn assert_violated(&self, property: &str) -> &Counterexample<A, G> {
        let found = self.counterexample.as_ref().filter(|found| found.property == property);
        found.unwrap_or_else(|| panic!("`{property}` is not what is violated\n{self}"))
    }

    /// The names of the `sometimes` properties that no state satisfied.
    fn missed(&self) -> Vec<&'static str> {
        let missed = |result| result == PropertyResult::Unwitnessed;
        let properties = self.report.properties.iter().filter(|it| missed(it.result));
        properties.map(|property| property.name).collect()
    }
}

/// The verdict with its bounds and counts, the steps that bounds cut off, and the counterexample step by
/// step.
impl<A: Checkable, G: Ghostly> fmt::Display for Checked<A, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.report;
        write!(f, "{}", report.verdict)?;
        if let Some(reason) = report.ended_by {
            write!(f, ", ended by {reason}")?;
        }
        let bounds = self.world.bounds_text();
        writeln!(f, ": {}", if bounds.is_empty() { "no bounds" } else { &bounds })?;
        if let Some(counts) = report.tuples {
            let (tuples, locals, messages) = (counts.tuples, counts.locals, counts.messages);
            writeln!(f, "{tuples} tuples of {locals} local states, {messages} messages")?;
            if report.ended_by == Some(TOO_MANY_LOCALS) {
                let (actor, locals) = counts.widest;
                let name = &self.world.names[actor];
                writeln!(f, "{name} has {locals} local states, and ever more: add a bound")?;
            }
        }
        for (bound, count) in report.cuts.iter().filter(|(_, count)| *count > 0) {
            writeln!(f, "{count} steps led beyond {bound}")?;
        }
        for property in &report.properties {
            writeln!(f, "{}: {}", property.name, in_words(property.result, report.verdict))?;
        }
        if let Some(found) = &self.counterexample {
            writeln!(f, "{} is violated after {} steps:", found.property, found.steps.len())?;
            f.write_str(&steps_text(&self.world, found))?;
        }
        Ok(())
    }
}

fn in_words(result: PropertyResult, verdict: Verdict) -> &'static str {
    match result {
        PropertyResult::Holds if verdict == Verdict::Exhaustive => "holds",
        PropertyResult::Holds => "no violation was found",
        PropertyResult::NotAsked => "not asked",
        PropertyResult::Violated => "VIOLATED",
        PropertyResult::Witnessed => "seen",
        PropertyResult::Unwitnessed => "never seen",
    }
}

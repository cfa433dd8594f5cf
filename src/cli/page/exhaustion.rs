//! The search behind the badge: it exhausts a model in this process while somebody looks.
//!
//! One search runs at a time; the next one ends it. A model is exhausted if the search ended by itself and
//! found no violation. If the catalogue pins a count, the search must also have met it. Only then may the
//! page say that a state lies inside an exhausted set.

use crate::cli::memory;
use crate::cli::options::grouped;
use crate::cli::subject::Subject;
use actorcheck::{Engine, Limits, Progress, Report, Verdict, run};
use checked_raft::models::Effort;
use serde::Serialize;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// What is known of the exhaustion of a model.
#[derive(Clone, Serialize)]
pub(super) struct Exhaustion {
    /// `asked` for, `running`, `exhausted` or `ended`; `none` if nobody has asked for it.
    state: &'static str,
    /// What there is to say, in a sentence.
    sentence: String,
    /// The tuples for which those visited so far stand.
    tuples: u64,
    /// The pinned number of tuples, if one is pinned.
    pinned: Option<u64>,
    seconds: f64,
    /// Whether the search begins without being asked for.
    is_quick: bool,
}

/// The searches of this process, by the names of their models.
#[derive(Default)]
pub(super) struct Searches {
    known: Mutex<BTreeMap<String, Exhaustion>>,
    /// The flag that ends the search that runs.
    running: Mutex<Arc<AtomicBool>>,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Searches {
    /// What is known of a model.
    pub(super) fn of(&self, subject: &Subject) -> Exhaustion {
        let known = held(&self.known).get(&key(subject)).cloned();
        known.unwrap_or_else(|| Exhaustion {
            state: "none",
            sentence: offer(subject),
            tuples: 0,
            pinned: subject.pinned(Engine::Antichain),
            seconds: 0.0,
            is_quick: subject.spec.effort == Effort::Quick && subject.options.is_none(),
        })
    }

    /// Begins the search of a model with correct servers, unless it runs or has ended.
    pub(super) fn begin(self: &Arc<Self>, subject: Subject) -> Exhaustion {
        let known = self.of(&subject);
        if matches!(known.state, "running" | "exhausted") {
            return known;
        }
        let name = key(&subject);
        let is_ended = Arc::new(AtomicBool::new(false));
        let before = std::mem::replace(&mut *held(&self.running), Arc::clone(&is_ended));
        before.store(true, Ordering::Relaxed);
        let sentence = format!("This process is exhausting {name}.");
        let begun = Exhaustion { state: "running", sentence, ..known };
        held(&self.known).insert(name, begun.clone());
        let searches = Arc::clone(self);
        thread::spawn(move || searches.search(&subject, &is_ended));
        begun
    }

    /// Ends the search that runs, if one does.
    pub(super) fn end(&self) {
        held(&self.running).store(true, Ordering::Relaxed);
    }

    fn search(&self, subject: &Subject, is_ended: &AtomicBool) {
        let name = key(subject);
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let limits = Limits {
            // One core is left for the page.
            threads: cores.saturating_sub(1).max(1),
            max_memory: memory::most(),
            ..Limits::unlimited(1)
        };
        let mut show = |now: Progress| {
            if let Some(known) = held(&self.known).get_mut(&name) {
                known.tuples = now.represented.unwrap_or(now.states);
                known.seconds = now.elapsed.as_secs_f64();
            }
        };
        // A panic is reported where it happens. Here it must not pass for any verdict.
        let ran = catch_unwind(AssertUnwindSafe(|| {
            run(subject.cluster(), Engine::Antichain, &limits, is_ended, &mut show)
        }));
        let (ended, seconds) = match ran {
            Err(_) => (Err("a handler or a property panicked".to_owned()), 0.0),
            Ok(report) => (outcome(subject, &report), report.elapsed.as_secs_f64()),
        };
        if let Some(known) = held(&self.known).get_mut(&name) {
            known.seconds = seconds;
            (known.state, known.sentence) = match ended {
                Ok(tuples) => {
                    known.tuples = tuples;
                    let tuples = grouped(tuples);
                    let met = if known.pinned.is_some() { ", the pinned number" } else { "" };
                    let text = format!(
                        "This process has exhausted {name}: {tuples} tuples{met}, in {seconds:.1} s."
                    );
                    ("exhausted", text)
                }
                Err(reason) => {
                    ("ended", format!("The search of {name} is not exhaustive: {reason}."))
                }
            };
        }
    }
}

/// The number of tuples, if the model is exhausted; or else why it is not.
fn outcome(subject: &Subject, report: &Report) -> Result<u64, String> {
    match (report.verdict, subject.count_failure(Engine::Antichain, report)) {
        (Verdict::Exhaustive, None) => Ok(report.tuples.map_or(0, |counts| counts.tuples)),
        (Verdict::Exhaustive, Some(failure)) => Err(failure),
        (Verdict::Violated, _) => Err(format!("it violates {}", report.violated().join(", "))),
        (Verdict::Bounded, _) => {
            Err(format!("{} ended it", report.ended_by.unwrap_or("something")))
        }
    }
}

/// The name of a model, which may be bounds of the command line.
fn key(subject: &Subject) -> String {
    let options = subject.options.as_ref().map(|options| options.trim().to_owned());
    let lender = subject.lender.map(|lender| format!("the model of {lender}"));
    options.or(lender).unwrap_or_else(|| subject.spec.name.to_owned())
}

/// What the search of a model would take.
fn offer(subject: &Subject) -> String {
    let name = key(subject);
    let tuples = subject.pinned(Engine::Antichain).map_or_else(
        || "an unknown number of tuples".to_owned(),
        |tuples| format!("{} tuples", grouped(tuples)),
    );
    match (subject.spec.effort, &subject.options) {
        (Effort::Quick, None) => format!("{name} has {tuples}: a search takes seconds."),
        (Effort::Long, None) => {
            format!("{name} has {tuples}: a search takes up to a minute, and some hundred MB.")
        }
        (Effort::Deep, None) => format!(
            "{name} has {tuples}: too many to exhaust while you look. A search takes minutes or an hour, \
             and up to 14 GB."
        ),
        (_, Some(_)) => format!("{name} has {tuples}, so nobody knows how long a search takes."),
    }
}

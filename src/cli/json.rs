//! The output of `--json`.

use super::check::Checked;
use super::counterexample::Explained;
use super::mutants::{Expected, Hunted};
use super::subject::Subject;
use actorcheck::{Kind, PropertyResult, TupleCounts};
use checked_raft::models::mutants::MutantSpec;
use checked_raft::models::mutants::matrix::{self, Column, Judgement, REACH, Row};
use checked_raft::models::{Effort, Spec};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::Path;

/// The output of `raft models --json`.
#[derive(Serialize)]
pub(super) struct Models<'a> {
    pub(super) models: Vec<ListedModel<'a>>,
}

/// A model of the catalogue.
#[derive(Serialize)]
pub(super) struct ListedModel<'a> {
    name: &'a str,
    bounds: BTreeMap<&'a str, Limit>,
    /// The pinned numbers of tuples of local states and ghost, and of maximal states.
    tuples: u64,
    maximal: u64,
    /// The pinned number of unique states, if stateright can count them.
    states: Option<u64>,
    /// "quick", "long" or "deep".
    effort: Effort,
    about: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
}

/// The output of `raft mutants --json`.
#[derive(Serialize)]
pub(super) struct Mutants<'a> {
    pub(super) mutants: Vec<ListedMutant<'a>>,
}

/// A seeded bug.
#[derive(Serialize)]
pub(super) struct ListedMutant<'a> {
    name: &'a str,
    breaks: &'a str,
    caught_by: &'a str,
    model: &'a str,
    seen_in: &'a str,
    about: &'a str,
    story: &'a str,
    difference: &'a str,
}

/// The output of `raft mutants --run --json`.
#[derive(Serialize)]
pub(super) struct Hunt<'a> {
    mutants: Vec<HuntedMutant<'a>>,
    /// The verdicts of each property on all mutants; changes that break nothing do not count.
    properties: Vec<KillingProperty>,
    /// The limits of the search that judges a mutant by every property.
    matrix_limits: MatrixLimits,
}

#[derive(Serialize)]
struct MatrixLimits {
    states: usize,
    steps: usize,
}

/// How many mutants a property kills.
#[derive(Serialize)]
struct KillingProperty {
    name: &'static str,
    kind: &'static str,
    /// The number of mutants in whose models the property is asked.
    asked: usize,
    kills: usize,
    /// The number of mutants that no other property was seen to kill.
    kills_alone: usize,
}

/// The verdicts on a mutant by every property of its model.
#[derive(Serialize)]
struct MatrixRow {
    /// The number of states visited.
    states: usize,
    /// The limit that ended the search before it had visited all states.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_by: Option<&'static str>,
    properties: Vec<MatrixCell>,
}

#[derive(Serialize)]
struct MatrixCell {
    name: &'static str,
    kind: &'static str,
    /// `violated`, `holds` in the whole model, or `not seen` before a limit ended the search.
    result: &'static str,
    /// The number of steps of a shortest counterexample.
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<usize>,
    /// The number of states visited until it was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    states: Option<usize>,
}

impl<'a> Hunt<'a> {
    pub(super) fn new(hunted: &'a [Hunted]) -> Self {
        let killed = hunted.iter().filter(|hunted| hunted.expected == Expected::Killed);
        let columns = matrix::columns(killed.map(|hunted| &hunted.row)).into_iter();
        let properties = columns.map(|column| {
            let Column { property: name, asked, kills, kills_alone, .. } = column;
            KillingProperty { name, kind: kind(column.kind), asked, kills, kills_alone }
        });
        Self {
            mutants: hunted.iter().map(HuntedMutant::new).collect(),
            properties: properties.collect(),
            matrix_limits: MatrixLimits { states: REACH.states, steps: REACH.steps },
        }
    }
}

impl MatrixRow {
    fn new(row: &Row) -> Self {
        let cells = row.judgements.iter().map(|(name, of, judgement)| {
            let (result, kill) = match judgement {
                Judgement::Violated(kill) => ("violated", Some(kill)),
                Judgement::Holds => ("holds", None),
                Judgement::NotSeen => ("not seen", None),
            };
            let (steps, states) = (kill.map(|kill| kill.steps), kill.map(|kill| kill.states));
            MatrixCell { name, kind: kind(*of), result, steps, states }
        });
        let ended_by = row.ended_by();
        Self { states: row.states, ended_by, properties: cells.collect() }
    }
}

/// The result of the hunt for a seeded bug.
#[derive(Serialize)]
struct HuntedMutant<'a> {
    #[serde(flatten)]
    mutant: ListedMutant<'a>,
    /// `killed` or `equivalent`.
    expected: &'static str,
    /// Why an equivalent change breaks nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    as_expected: bool,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    counterexample: Option<&'a Explained>,
    /// The finding of the search if there is no counterexample.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a str>,
    /// The smallest bounds at which the mutant falls.
    #[serde(skip_serializing_if = "Option::is_none")]
    smallest: Option<SmallestBounds>,
    matrix: MatrixRow,
}

/// Bounds of which none can be lowered by one.
#[derive(Serialize)]
struct SmallestBounds {
    bounds: String,
    steps: usize,
}

impl<'a> HuntedMutant<'a> {
    fn new(hunted: &'a Hunted) -> Self {
        let (expected, reason) = match hunted.expected {
            Expected::Killed => ("killed", None),
            Expected::Equivalent(reason) => ("equivalent", Some(reason)),
        };
        Self {
            mutant: ListedMutant::new(&hunted.mutant),
            expected,
            reason,
            as_expected: hunted.as_expected,
            seconds: hunted.elapsed.as_secs_f64(),
            counterexample: hunted.found.as_ref().ok(),
            outcome: hunted.found.as_ref().err().map(String::as_str),
            smallest: hunted.smallest.as_ref().map(|smallest| SmallestBounds {
                bounds: smallest.bounds(),
                steps: smallest.steps,
            }),
            matrix: MatrixRow::new(&hunted.row),
        }
    }
}

/// The output of `raft check --json`.
#[derive(Serialize)]
pub(super) struct Results<'a> {
    pub(super) models: Vec<Model<'a>>,
    /// Models that were asked for and not run to their end, because the run was interrupted or refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) not_run: Vec<&'a str>,
    /// The number of steps with each label, over all models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) coverage: Option<&'a BTreeMap<&'static str, u64>>,
    /// The file that the counterexample was saved in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) saved: Option<&'a Path>,
}

/// The result of one model.
#[derive(Serialize)]
pub(super) struct Model<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mutant: Option<&'a str>,
    bounds: BTreeMap<&'a str, Limit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    engine: String,
    /// The number of unique states; for the antichain engine, of maximal states.
    states: u64,
    /// The number of steps generated.
    generated: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    antichain: Option<Antichain>,
    #[serde(skip_serializing_if = "Option::is_none")]
    depth: Option<u64>,
    seconds: f64,
    /// The most resident memory of the process that was seen, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<u64>,
    verdict: String,
    properties: Vec<Property>,
    cuts: BTreeMap<&'a str, u64>,
    /// The expected number of pairs of states that are taken for one because they share a 64-bit
    /// fingerprint.
    expected_collisions: f64,
    /// Why this model does not count as a success, apart from violations.
    failures: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    counterexample: Option<&'a Explained>,
}

/// The counts that only the antichain engine has.
#[derive(Serialize)]
struct Antichain {
    tuples: u64,
    symmetries: u64,
    permutations: u64,
    visited_tuples: u64,
    visited_states: u64,
    expanded: u64,
    locals: u64,
    messages: u64,
    steps: u64,
    ghosts: u64,
    rounds: u64,
    recoveries: u64,
    bytes: u64,
}

impl From<TupleCounts> for Antichain {
    fn from(counts: TupleCounts) -> Self {
        let TupleCounts { tuples, expanded, locals, messages, steps, ghosts, .. } = counts;
        let TupleCounts { rounds, recoveries, bytes, symmetries, permutations, standing, .. } =
            counts;
        Self {
            tuples,
            symmetries,
            permutations,
            visited_tuples: standing.0,
            visited_states: standing.1,
            expanded,
            locals,
            messages,
            steps,
            ghosts,
            rounds,
            recoveries,
            bytes,
        }
    }
}

#[derive(Serialize)]
struct Property {
    name: &'static str,
    kind: &'static str,
    result: &'static str,
}

/// A bound: a number, or a word such as `unbounded`.
pub(super) enum Limit {
    Number(u64),
    Word(&'static str),
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Limit::Number(number) => serializer.serialize_u64(*number),
            Limit::Word(word) => serializer.serialize_str(word),
        }
    }
}

impl<'a> ListedModel<'a> {
    pub(super) fn new(model: &'a Subject) -> Self {
        let (spec, prefix) = (&model.spec, model.prefix());
        let Spec { name, about, states, effort, tuples: (tuples, maximal), .. } = *spec;
        Self { name, bounds: bounds(model), tuples, maximal, states, effort, about, prefix }
    }
}

impl<'a> ListedMutant<'a> {
    pub(super) fn new(mutant: &'a MutantSpec) -> Self {
        let MutantSpec { name, breaks, caught_by, seen_in, about, story, difference, .. } = mutant;
        let model = mutant.spec.name;
        Self { name, breaks, caught_by, model, seen_in, about, story, difference }
    }
}

impl<'a> Model<'a> {
    pub(super) fn new(checked: &'a Checked) -> Self {
        let Checked { subject, engine, report, failures, counterexample, .. } = checked;
        let properties = report.properties.iter().map(|property| Property {
            name: property.name,
            kind: kind(property.kind),
            result: match property.result {
                PropertyResult::Holds => "holds",
                PropertyResult::Violated => "violated",
                PropertyResult::Witnessed => "witnessed",
                PropertyResult::Unwitnessed => "unwitnessed",
                PropertyResult::NotAsked => "not asked",
            },
        });
        Self {
            name: subject.spec.name,
            mutant: subject.mutant.as_ref().map(|mutant| mutant.name),
            bounds: bounds(subject),
            prefix: subject.prefix(),
            engine: engine.to_string(),
            states: report.states,
            generated: report.generated,
            antichain: report.tuples.map(Antichain::from),
            depth: report.tuples.is_none().then_some(report.depth),
            seconds: report.elapsed.as_secs_f64(),
            memory: report.memory,
            verdict: checked.verdict().to_string(),
            properties: properties.collect(),
            cuts: report.cuts.iter().copied().collect(),
            expected_collisions: report.expected_collisions(),
            failures,
            counterexample: counterexample.as_ref(),
        }
    }
}

fn bounds(subject: &Subject) -> BTreeMap<&str, Limit> {
    let numbers = subject.spec.bounds().into_iter();
    let mut bounds: BTreeMap<_, _> =
        numbers.map(|(name, limit)| (name, Limit::Number(limit))).collect();
    let restarts = if subject.spec.restarts { "unbounded" } else { "none" };
    bounds.insert("restarts", Limit::Word(restarts));
    bounds
}

/// The kind of a property in one word.
pub(super) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Always => "always",
        Kind::Step => "step",
        Kind::Sometimes => "sometimes",
        Kind::Recovery => "recovery",
    }
}

/// A value as indented JSON.
pub(super) fn text(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("plain data with text keys has a JSON form")
}

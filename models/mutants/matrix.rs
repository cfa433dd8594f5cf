//! The kill matrix: the verdict of every property on a mutant, not only of the one that must catch it.
//!
//! [`row`] searches the model of one mutant for violations of all its properties. [`columns`] sums up, from
//! many rows, how many mutants each property kills.

use super::MutantSpec;
use actorcheck::search::{Each, Ended, Kill, Reach, shortest_of_each};
use actorcheck::{Kind, RECOVERABILITY};
use std::collections::BTreeMap;

/// How far the search of one mutant goes. Some searches have no end: a mutant may lengthen logs for ever,
/// and no bound of a model forbids that. Every model of a mutant that was exhausted is less than half as
/// deep.
pub const REACH: Reach = Reach { states: 300_000, steps: 64 };

/// The verdict of one property on one mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The property is violated.
    Violated(Kill),
    /// The property is not violated anywhere in the model, within its bounds.
    Holds,
    /// No violation was seen, but a limit ended the search before it had visited the whole model.
    NotSeen,
}

/// The verdict on one mutant by every property of its model.
pub struct Row {
    /// The mutant's name.
    pub mutant: &'static str,
    /// The verdict of each property, in the order in which properties are listed everywhere.
    pub judgements: Vec<(&'static str, Kind, Judgement)>,
    /// The number of states visited.
    pub states: usize,
    /// Why the search ended.
    pub ended: Ended,
}

/// A property, and how it judges all mutants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The property.
    pub property: &'static str,
    /// The kind of the property.
    pub kind: Kind,
    /// The number of mutants in whose models the property is asked.
    pub asked: usize,
    /// The number of mutants that violate the property.
    pub kills: usize,
    /// The number of mutants that violate this property and no other.
    pub kills_alone: usize,
}

/// Judges a mutant by every property of its model. Each property is judged as if it alone were asked.
pub fn row(mutant: &MutantSpec) -> Row {
    let world = mutant.spec.seeded(mutant.fault);
    let Each { violated, ended, visited: states } = shortest_of_each(&world, REACH);
    let violated: BTreeMap<_, _> = violated.into_iter().collect();
    let otherwise = match ended {
        Ended::Found | Ended::Exhausted => Judgement::Holds,
        Ended::AtStates | Ended::AtSteps | Ended::By(_) => Judgement::NotSeen,
    };
    let names = world.property_names().filter(|(_, kind)| *kind != Kind::Sometimes);
    let recovery = world.recovery.is_some().then_some((RECOVERABILITY, Kind::Recovery));
    let judgements = names.chain(recovery).map(|(name, kind)| {
        let kill = violated.get(name).copied();
        (name, kind, kill.map_or(otherwise, Judgement::Violated))
    });
    Row { mutant: mutant.name, judgements: judgements.collect(), states, ended }
}

impl Row {
    /// The violated properties, each with its kill. The property `first` comes first if it is among them,
    /// then the others in the order of their steps.
    pub fn violated(&self, first: &str) -> Vec<(&'static str, Kill)> {
        let mut violated: Vec<_> = self
            .judgements
            .iter()
            .filter_map(|(name, _, judgement)| match judgement {
                Judgement::Violated(kill) => Some((*name, *kill)),
                Judgement::Holds | Judgement::NotSeen => None,
            })
            .collect();
        violated.sort_by_key(|(name, kill)| (*name != first, kill.steps));
        violated
    }

    /// The properties with this judgement.
    pub fn those(&self, wanted: Judgement) -> Vec<&'static str> {
        let those = self.judgements.iter().filter(|(_, _, judgement)| *judgement == wanted);
        those.map(|(name, _, _)| *name).collect()
    }

    /// The limit that ended the search, if one did.
    pub fn ended_by(&self) -> Option<&'static str> {
        self.ended.by()
    }
}

/// The columns of the matrix for these rows, in the order of kinds and then of the properties.
pub fn columns<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for row in rows {
        let alone = row.violated("").len() == 1;
        for (at, (property, kind, judgement)) in row.judgements.iter().enumerate() {
            let known = columns.iter().position(|column| column.property == *property);
            let n = known.unwrap_or_else(|| {
                // A new property goes behind the one that it follows in this row.
                let before = at.checked_sub(1).map(|at| row.judgements[at].0);
                let behind = columns.iter().position(|column| Some(column.property) == before);
                let n = behind.map_or(0, |n| n + 1);
                let (property, kind) = (*property, *kind);
                columns.insert(n, Column { property, kind, asked: 0, kills: 0, kills_alone: 0 });
                n
            });
            let is_violated = matches!(judgement, Judgement::Violated(_));
            columns[n].asked += 1;
            columns[n].kills += usize::from(is_violated);
            columns[n].kills_alone += usize::from(is_violated && alone);
        }
    }
    columns
}

//! The kill matrix: what every property of its model says of a mutant, not only the one that must catch it.

use super::MutantSpec;
use crate::checker::search::{Each, Ended, Kill, Reach, shortest_of_each};
use crate::checker::{Kind, RECOVERABILITY};
use std::collections::BTreeMap;

/// How far the search of one mutant goes. Some have no end: a mutant may lengthen logs for ever, which no
/// bound of a model forbids. No model of a mutant that was exhausted is half as deep.
pub const REACH: Reach = Reach { states: 300_000, steps: 64 };

/// What one property says of one mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is violated.
    Violated(Kill),
    /// It is not, within the bounds of the model.
    Holds,
    /// Not in what was searched, which is not all.
    NotSeen,
}

/// What every property of its model says of one mutant.
pub struct Row {
    /// The mutant's name.
    pub mutant: &'static str,
    /// Every property, in the order in which they are listed anywhere.
    pub judgements: Vec<(&'static str, Kind, Judgement)>,
    /// States visited.
    pub states: usize,
    /// Why the search ended.
    pub ended: Ended,
}

/// What one property says of all mutants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The property.
    pub property: &'static str,
    /// What kind it is.
    pub kind: Kind,
    /// Mutants in whose models it is asked.
    pub asked: usize,
    /// Mutants that violate it.
    pub kills: usize,
    /// Mutants that violate it and no other.
    pub kills_alone: usize,
}

/// Judges a mutant by every property of its model, each as if it alone were asked.
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
    /// The properties that are violated, with what it takes: the one that must be first, then the others,
    /// those with fewer steps first.
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

    /// The properties of which this is said.
    pub fn those(&self, wanted: Judgement) -> Vec<&'static str> {
        let those = self.judgements.iter().filter(|(_, _, judgement)| *judgement == wanted);
        those.map(|(name, _, _)| *name).collect()
    }

    /// The limit that ended the search, if one did.
    pub fn ended_by(&self) -> Option<&'static str> {
        self.ended.by()
    }
}

/// What each property says of all these mutants, in the order of kinds and then of the properties.
pub fn columns<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for row in rows {
        let alone = row.violated("").len() == 1;
        for (at, (property, kind, judgement)) in row.judgements.iter().enumerate() {
            let known = columns.iter().position(|column| column.property == *property);
            let n = known.unwrap_or_else(|| {
                // Behind the one that it follows here.
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

//! The smallest bounds at which a mutant falls: they show how much the bounds of a search are worth.
//!
//! [`smallest`] lowers the bounds of a mutant's model one by one, as long as the mutant is still caught.

use super::MutantSpec;
use crate::models::spec::Spec;
use actorcheck::search::{Reach, shortest_of_each};

/// How far a search goes in a model that may have no end, since a mutant may lengthen logs for ever. Every
/// mutant is caught in its own model within fewer than half of these states.
const REACH: Reach = Reach { states: 10_000, steps: 64 };

/// A model in which a mutant falls, and in which no single bound can be lowered. With one server, term,
/// entry or command less, or without restarts, the search does not catch the mutant within its limits. If
/// the model starts from a script, the script stays, and with it the servers and commands.
pub struct Smallest {
    /// The model.
    pub spec: Spec,
    /// The steps of a shortest counterexample in this model. There may be more than in a larger model.
    pub steps: usize,
}

/// Lowers the bounds of the mutant's model, one by one, as long as its property catches the mutant. `None`
/// if the property does not catch it even in its own model.
pub fn smallest(mutant: &MutantSpec) -> Option<Smallest> {
    let mut least = caught(mutant, mutant.spec.clone())?;
    while let Some(less) = smaller(&least.spec).into_iter().find_map(|spec| caught(mutant, spec)) {
        least = less;
    }
    Some(least)
}

fn caught(mutant: &MutantSpec, spec: Spec) -> Option<Smallest> {
    let world = spec.mutated(mutant.fault, mutant.caught_by);
    let caught = shortest_of_each(&world, REACH).violated;
    caught.first().map(|(_, kill)| Smallest { steps: kill.steps, spec })
}

/// All models that have one bound less by one.
fn smaller(spec: &Spec) -> Vec<Spec> {
    let mut smaller = Vec::new();
    // A script names its servers, so their number stays.
    if spec.servers > 1 && spec.prefix.is_empty() {
        smaller.push(Spec { servers: spec.servers - 1, ..spec.clone() });
    }
    if spec.max_term > 1 {
        smaller.push(Spec { max_term: spec.max_term - 1, ..spec.clone() });
    }
    if spec.max_client_entries > 0 {
        let max_client_entries = spec.max_client_entries - 1;
        smaller.push(Spec { max_client_entries, ..spec.clone() });
    }
    for n in (0..spec.clients.len()).filter(|_| spec.prefix.is_empty()) {
        let mut clients = spec.clients.clone();
        clients[n].pop();
        clients.retain(|commands| !commands.is_empty());
        smaller.push(Spec { clients, ..spec.clone() });
    }
    if spec.restarts {
        smaller.push(Spec { restarts: false, ..spec.clone() });
    }
    smaller
}

impl Smallest {
    /// The bounds of the model, as in "3 servers, 2 terms, restarts".
    pub fn bounds(&self) -> String {
        let Spec { servers, max_term, max_client_entries, clients, restarts, prefix, .. } =
            &self.spec;
        let counted = |n: u64, what: &str, many: &str| match n {
            0 => None,
            1 => Some(format!("1 {what}")),
            n => Some(format!("{n} {many}")),
        };
        let commands = clients.iter().map(Vec::len).sum::<usize>() as u64;
        let bounds = [
            counted(*servers as u64, "server", "servers"),
            counted(*max_term, "term", "terms"),
            counted(clients.len() as u64, "client", "clients"),
            counted(commands, "command", "commands"),
            counted(*max_client_entries, "entry", "entries"),
            restarts.then(|| "restarts".to_owned()),
            (!prefix.is_empty()).then(|| "from a script".to_owned()),
        ];
        bounds.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

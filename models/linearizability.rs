//! Linearizability of what the clients saw, judged by stateright's `LinearizabilityTester`.

use super::ghost::{ClientEvent, Ghost};
use super::properties::ClusterChange;
use crate::kv::{Command, Kv, Output};
use crate::raft::Invocation;
use stateright::actor::Id;
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};
use std::collections::BTreeMap;

/// The key-value store as a sequential specification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KvSpec(Kv);

impl SequentialSpec for KvSpec {
    type Op = Command;
    type Ret = Output;

    fn invoke(&mut self, op: &Command) -> Output {
        self.0.execute(op.clone())
    }
}

/// Judged when a client sees an outcome: only a return can make a history impossible.
pub fn linearizable(
    commands: &BTreeMap<Id, Vec<Command>>,
    step: &ClusterChange<'_>,
    ghost: &Ghost,
) -> bool {
    let returned = match (step.before.state.client(), step.after.state.client()) {
        (Some(before), Some(after)) => before.outcomes.len() < after.outcomes.len(),
        _ => false,
    };
    !returned || is_linearizable(commands, &ghost.history)
}

/// Whether the history has a linearization. A command of unknown outcome stays open: it may take
/// effect at any time after its invocation, or never. The tester wants one open command per thread, so
/// a client goes on as a new thread after one.
pub fn is_linearizable(commands: &BTreeMap<Id, Vec<Command>>, history: &[ClientEvent]) -> bool {
    let mut tester = LinearizabilityTester::new(KvSpec::default());
    let mut incarnation: BTreeMap<Id, usize> = BTreeMap::new();
    for ClientEvent { client, command, outcome } in history {
        let incarnation = incarnation.entry(*client).or_default();
        let thread = (*client, *incarnation);
        let done = match outcome {
            None => tester.on_invoke(thread, commands[client][*command].clone()),
            Some(Invocation::Applied(response)) => match Output::try_from(&response[..]) {
                Ok(output) => tester.on_return(thread, output),
                Err(_) => return false,
            },
            Some(Invocation::Unknown | Invocation::TooLarge(_)) => {
                *incarnation += 1;
                continue;
            }
        };
        if done.is_err() {
            return false;
        }
    }
    tester.is_consistent()
}

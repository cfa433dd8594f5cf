//! Linearizability of the clients' history, judged by stateright's `LinearizabilityTester`.
//!
//! [`linearizable`] is a property of steps. It hands the history that the [`Ghost`] recorded to the tester,
//! which asks for an order of the commands that the state machine explains.

use super::ghost::{ClientEvent, Ghost};
use super::properties::ClusterChange;
use crate::raft::{Invocation, Operation};
use crate::state_machine::StateMachine;
use bytes::Bytes;
use stateright::actor::Id;
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};
use std::collections::BTreeMap;

/// A state machine as a sequential specification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sequential<S>(S);

impl<S: StateMachine> SequentialSpec for Sequential<S> {
    type Op = Operation;
    type Ret = Bytes;

    fn invoke(&mut self, operation: &Operation) -> Bytes {
        match operation {
            Operation::Command(command) => self.0.apply(command),
            Operation::Query(query) => self.0.query(query),
            Operation::Transfer(_) => Bytes::new(), // the state machine knows of no leader
        }
    }
}

/// Whether the history is still linearizable after this step. It is judged only when a client sees an
/// outcome, since only a return can make a history impossible.
pub fn linearizable<S: StateMachine>(
    operations: &BTreeMap<Id, Vec<Operation>>,
    step: &ClusterChange<'_, S>,
    ghost: &Ghost,
) -> bool {
    let returned = match (step.before.state.client(), step.after.state.client()) {
        (Some(before), Some(after)) => before.outcomes.len() < after.outcomes.len(),
        _ => false,
    };
    !returned || is_linearizable::<S>(operations, &ghost.history)
}

/// Whether the history has a linearization. A command of unknown outcome stays open: it may take effect at
/// any time after its invocation, or never. The tester allows one open command per thread, so a client with
/// an open command goes on as a new thread.
pub fn is_linearizable<S: StateMachine>(
    operations: &BTreeMap<Id, Vec<Operation>>,
    history: &[ClientEvent],
) -> bool {
    let mut tester = LinearizabilityTester::new(Sequential::<S>::default());
    let mut incarnation: BTreeMap<Id, usize> = BTreeMap::new();
    for ClientEvent { client, command, outcome } in history {
        let incarnation = incarnation.entry(*client).or_default();
        let thread = (*client, *incarnation);
        let done = match outcome {
            None => tester.on_invoke(thread, operations[client][*command].clone()),
            Some(Invocation::Applied(response)) => tester.on_return(thread, response.clone()),
            Some(Invocation::Transfer(_)) => tester.on_return(thread, Bytes::new()),
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

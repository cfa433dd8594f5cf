//! What clients saw, and whether a single key-value store that executes one command at a time could
//! have answered so.
//!
//! The search is Wing and Gong's with Lowe's memoisation ("Testing for linearizability", 2016): try as
//! next command every one that was invoked before all remaining results had come, and never visit
//! the same set of done commands with the same value twice. Keys are independent, so each has a search of
//! its own (linearizability is local: Herlihy and Wing 1990, theorem 1).
//!
//! A command of unknown outcome stays open for ever: it may take effect at any time after its
//! invocation, or never.

use bytes::Bytes;
use checked_raft::kv::{Command, Output};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Mutex;

/// A command as its client saw it. Times are places in the one order of all events of a history.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operation {
    pub(crate) client: u64,
    pub(crate) command: Command,
    pub(crate) invoked: u64,
    /// When the result came and what it was; `None` while the outcome is unknown.
    pub(crate) returned: Option<(u64, Output)>,
}

/// Written by many clients at once.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<History>);

/// Everything that clients saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// By the order of their invocation.
    pub(crate) operations: BTreeMap<usize, Operation>,
    /// How many commands are said to have had no effect.
    pub(crate) cancelled: u64,
    clock: u64,
}

/// A key whose operations have no linearization.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) key: Bytes,
    operations: Vec<Operation>,
}

impl Recorder {
    /// To be called before the command is sent. Names the operation.
    pub(crate) fn invoke(&self, client: u64, command: &Command) -> usize {
        self.0.lock().expect("no client panicked here").invoke(client, command.clone())
    }

    /// To be called after the result has come.
    pub(crate) fn return_(&self, operation: usize, output: Output) {
        self.0.lock().expect("no client panicked here").return_(operation, output);
    }

    pub(crate) fn cancel(&self, operation: usize) {
        self.0.lock().expect("no client panicked here").cancel(operation);
    }

    pub(crate) fn history(&self) -> History {
        self.0.lock().expect("no client panicked here").clone()
    }
}

impl History {
    pub(crate) fn invoke(&mut self, client: u64, command: Command) -> usize {
        self.clock += 1;
        let invoked = self.clock;
        let number = self.operations.last_key_value().map_or(0, |(last, _)| last + 1);
        self.operations.insert(number, Operation { client, command, invoked, returned: None });
        number
    }

    /// The command is said to have no effect, now and for ever.
    pub(crate) fn cancel(&mut self, operation: usize) {
        self.operations.remove(&operation);
        self.cancelled += 1;
    }

    /// How many commands ended with an error.
    pub(crate) fn failed(&self) -> u64 {
        let unknown = self.operations.values().filter(|it| it.returned.is_none()).count();
        self.cancelled + unknown as u64
    }

    pub(crate) fn return_(&mut self, operation: usize, output: Output) {
        self.clock += 1;
        let operation = self.operations.get_mut(&operation).expect("it was invoked");
        operation.returned = Some((self.clock, output));
    }

    /// Whether it is linearizable; if not, the first key that is not.
    pub(crate) fn check(&self) -> Result<(), Violation> {
        let mut keys: BTreeMap<&Bytes, Vec<&Operation>> = BTreeMap::new();
        for operation in self.operations.values() {
            keys.entry(operation.command.key()).or_default().push(operation);
        }
        for (key, operations) in keys {
            if !is_linearizable(&operations) {
                let operations = operations.into_iter().cloned().collect();
                return Err(Violation { key: key.clone(), operations });
            }
        }
        Ok(())
    }
}

/// A value or none: all that one key is.
type Register = Option<Bytes>;

/// The specification. Deliberately not the store's own code.
fn execute(register: &Register, command: &Command) -> (Register, Output) {
    match command {
        Command::Put(_, value) => (Some(value.clone()), Output::Done),
        Command::Delete(_) => (None, Output::Done),
        Command::Get(_) => (register.clone(), Output::Value(register.clone())),
        Command::Cas { old, new, .. } if old == register => (Some(new.clone()), Output::Done),
        Command::Cas { .. } => (register.clone(), Output::Mismatch(register.clone())),
        Command::Keys { .. } => panic!("this history is of single keys: {command:?}"),
    }
}

/// A node of the search: which operations are done, and the value they have left.
type Node = (Done, Register);

/// The places of the operations that are done: all up to one, and some later ones. A long history has few of
/// the latter, so a node stays small.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Done {
    all_before: usize,
    later: BTreeSet<usize>,
}

impl Done {
    fn contains(&self, at: usize) -> bool {
        at < self.all_before || self.later.contains(&at)
    }

    fn insert(&mut self, at: usize) {
        self.later.insert(at);
        while self.later.remove(&self.all_before) {
            self.all_before += 1;
        }
    }
}

/// The operations that may take effect next, by the order of their invocation: nothing that is left returned
/// before they were invoked. `None` if all that is left is of unknown outcome.
fn candidates(operations: &[&Operation], done: &Done) -> Option<Vec<usize>> {
    let mut candidates = Vec::new();
    let mut first_return = None;
    for at in (done.all_before..operations.len()).filter(|at| !done.contains(*at)) {
        let Operation { invoked, returned, .. } = operations[at];
        if first_return.is_some_and(|first| *invoked > first) {
            break; // So were all that follow.
        }
        candidates.push(at);
        let return_ = returned.as_ref().map(|(at, _)| *at);
        first_return = first_return.into_iter().chain(return_).min();
    }
    let first_return = first_return?;
    candidates.retain(|at| operations[*at].invoked < first_return);
    Some(candidates)
}

/// Whether the operations, all of one key, have a linearization.
fn is_linearizable(operations: &[&Operation]) -> bool {
    let mut seen: BTreeSet<Node> = BTreeSet::new();
    let mut stack: Vec<Node> = vec![Node::default()];
    while let Some(node) = stack.pop() {
        let (done, register) = &node;
        let Some(candidates) = candidates(operations, done) else {
            return true; // All that is left is of unknown outcome and need not have happened.
        };
        // What was invoked first comes on top of the stack: it is the likely next.
        for at in candidates.into_iter().rev() {
            let operation = operations[at];
            let (next, output) = execute(register, &operation.command);
            let agrees = match &operation.returned {
                Some((_, seen)) => *seen == output,
                // Without an effect it makes no difference whether it has happened.
                None => next != *register,
            };
            if agrees {
                let mut done = done.clone();
                done.insert(at);
                let node = (done, next);
                if !seen.contains(&node) {
                    seen.insert(node.clone());
                    stack.push(node);
                }
            }
        }
    }
    false
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the operations on {:?} have no linearization:", self.key)?;
        for Operation { client, command, invoked, returned } in &self.operations {
            let (until, outcome) = match returned {
                Some((at, output)) => (at.to_string(), format!("{output:?}")),
                None => ("...".to_owned(), "unknown".to_owned()),
            };
            writeln!(f, "  {invoked:>5} to {until:>5}  client {client}: {command:?} {outcome}")?;
        }
        Ok(())
    }
}

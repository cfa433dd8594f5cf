//! The interface of the deterministic state machine that Raft replicates.

use bytes::Bytes;
use std::fmt::Debug;
use std::hash::Hash;

/// The replicated state machine of section 2 of the paper. Commands are opaque bytes to the protocol.
///
/// Bring a state machine of your own, and [`deploy`](crate::deploy) replicates it. The protocol around it
/// is the one that is checked with the key-value store [`Kv`](crate::kv::Kv) as the state machine. The
/// protocol makes four demands:
///
/// - **Determinism**: the result and the next state are functions of the state and the command. They use
///   no clock, no randomness and no hash order.
/// - **Totality**: anybody may propose any bytes, so a malformed command gets an answer and causes no panic.
/// - **Modest results**: a result travels in one datagram, and the session keeps it. A result of more than
///   [`LARGEST_MAX_BYTES`](crate::raft::Parameters::LARGEST_MAX_BYTES) may not fit, and then the client
///   never hears of it.
/// - **Cheap clones and comparisons**: every step of a server clones the server's state. Use
///   [`crate::map::Map`].
///
/// To be deployed, a state machine also needs `Serialize`, because traces record its state:
///
/// ```
/// use bytes::Bytes;
/// use checked_raft::deploy::Deployment;
/// use checked_raft::state_machine::StateMachine;
/// use serde::Serialize;
///
/// /// Counts the commands it has applied.
/// #[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
/// struct Counter(u64);
///
/// impl StateMachine for Counter {
///     fn apply(&mut self, _command: &[u8]) -> Bytes {
///         self.0 += 1;
///         Bytes::copy_from_slice(&self.0.to_be_bytes())
///     }
/// }
///
/// # let directory = tempfile::tempdir()?;
/// let listen = "127.0.0.1:0".parse()?;
/// let deployment = Deployment::new(1, listen, [].into(), directory.path().join("data"));
/// deployment.bootstrap()?;
/// let node = deployment.bind::<Counter>()?; // `node.run(..)` serves
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait StateMachine: Clone + Eq + Hash + Debug + Default {
    /// Applies one committed command and returns its result. The leader sends the result to the client, and
    /// the client's session keeps the result until the client's next command.
    fn apply(&mut self, command: &[u8]) -> Bytes;

    /// The command in words, for counterexamples and the like. The default shows the escaped bytes.
    fn describe(command: &[u8]) -> String {
        command.escape_ascii().to_string()
    }

    /// The result in words. The default shows the escaped bytes.
    fn describe_answer(answer: &[u8]) -> String {
        answer.escape_ascii().to_string()
    }
}

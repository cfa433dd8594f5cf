//! What Raft replicates: a deterministic state machine.

use bytes::Bytes;
use std::fmt::Debug;
use std::hash::Hash;

/// The replicated state machine of section 2 of the paper. Commands are opaque bytes to the protocol.
///
/// Bring your own: it is checked and deployed as the key-value store [`crate::kv::Kv`] is. Four
/// demands, all of which the checker relies on:
///
/// - **deterministic**: the result and the next state are functions of the state and the command.
///   No clock, no randomness, no hash order;
/// - **total**: any bytes may have been proposed, so a malformed command is answered, not a panic;
/// - **modest in its results**: a result travels in a datagram and is kept in the session. One of more
///   than [`crate::raft::Config::LARGEST_MAX_BYTES`] may not fit, and its client would never hear of it;
/// - **cheap to clone and compare**: every step of every server clones it. Use [`crate::map::Map`].
///
/// ```
/// use bytes::Bytes;
/// use checked_raft::state_machine::StateMachine;
///
/// /// Counts the commands it has applied.
/// #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
/// struct Counter(u64);
///
/// impl StateMachine for Counter {
///     fn apply(&mut self, _command: &[u8]) -> Bytes {
///         self.0 += 1;
///         Bytes::copy_from_slice(&self.0.to_be_bytes())
///     }
/// }
/// ```
pub trait StateMachine: Clone + Eq + Hash + Debug + Default {
    /// Applies one committed command and returns its result, which is sent to the client and kept
    /// in the client's session until its next command.
    fn apply(&mut self, command: &[u8]) -> Bytes;
}

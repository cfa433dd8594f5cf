//! The interface of the deterministic state machine that Raft replicates.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
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
/// A state machine is also `Serialize` and `DeserializeOwned`, because snapshots and traces contain it. That
/// is all that a small one needs. A large one implements [`StateMachine::part`] and
/// [`StateMachine::add_part`], too: otherwise each piece of a snapshot costs an encoding of the whole.
///
/// ```
/// use bytes::Bytes;
/// use checked_raft::deploy::Deployment;
/// use checked_raft::state_machine::StateMachine;
/// use serde::{Deserialize, Serialize};
///
/// /// Counts the commands it has applied.
/// #[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
/// deployment.bootstrap::<Counter>()?;
/// let node = deployment.bind::<Counter>()?; // `node.run(..)` serves
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait StateMachine:
    Clone + Eq + Hash + Debug + Default + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Applies one committed command and returns its result. The leader sends the result to the client, and
    /// the client's session keeps the result until the client's next command.
    fn apply(&mut self, command: &[u8]) -> Bytes;

    /// Answers a query, which changes nothing. A query is the encoding of a command unless the state machine
    /// has a language of its own for queries. By default the answer is what the command would return now.
    fn query(&self, query: &[u8]) -> Bytes {
        self.clone().apply(query)
    }

    /// One part of the state, for a snapshot that travels to another server.
    ///
    /// The first part begins at the empty place. Each part names the place at which the next one begins. A
    /// part should have at most about `limit` bytes, and cost no more than its own size. The parts of equal
    /// states with equal limits must be equal. By default, the whole state is one part.
    fn part(&self, from: &[u8], limit: usize) -> Part {
        let _ = (from, limit);
        let bytes = postcard::to_stdvec(self).expect("a state machine always encodes");
        Part { bytes: bytes.into(), next: None }
    }

    /// Adds the next part of a state to a state machine that holds all parts before it. The first part is
    /// added to `Self::default()`.
    ///
    /// # Errors
    ///
    /// The bytes come from the network. If they are not a part, the error says why.
    fn add_part(&mut self, bytes: &[u8]) -> Result<(), String> {
        match postcard::take_from_bytes(bytes) {
            Ok((state, [])) => *self = state,
            Ok(_) => return Err("a state has bytes too many".to_owned()),
            Err(error) => return Err(error.to_string()),
        }
        Ok(())
    }

    /// The command in words, for counterexamples and the like. The default shows the escaped bytes.
    fn describe(command: &[u8]) -> String {
        command.escape_ascii().to_string()
    }

    /// The result in words. The default shows the escaped bytes.
    fn describe_answer(answer: &[u8]) -> String {
        answer.escape_ascii().to_string()
    }
}

/// One part of the state of a [`StateMachine`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The part, encoded as [`StateMachine::add_part`] reads it.
    pub bytes: Bytes,
    /// The place at which the next part begins; `None` if this is the last part.
    pub next: Option<Bytes>,
}

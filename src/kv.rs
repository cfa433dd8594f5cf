//! The default state machine: a key-value store with compare-and-swap.
//!
//! A client proposes the bytes of a [`Command`]. [`Kv`] decodes and executes the command, and returns the
//! bytes of an [`Output`]. Bytes that are not exactly one command change nothing.

use crate::map::Map;
use crate::state_machine::StateMachine;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The state of the store: every key that has a value.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Kv(Map<Bytes, Bytes>);

/// A command of a client. Keys and values are any bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Command {
    /// Sets `key` to `value`.
    Put(Bytes, Bytes),
    /// Reads `key`.
    Get(Bytes),
    /// Removes `key`.
    Delete(Bytes),
    /// Sets `key` to `new` if its value is `old`; `None` means "no value".
    Cas {
        /// The key.
        key: Bytes,
        /// The value that the key must have.
        old: Option<Bytes>,
        /// The value that the key gets.
        new: Bytes,
    },
}

/// The answer of the store to a command.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Output {
    /// The put, delete or compare-and-swap took effect.
    Done,
    /// The value at the key; `None` if the key has no value.
    Value(Option<Bytes>),
    /// The compare-and-swap did not take effect, because the key has this other value.
    Mismatch(Option<Bytes>),
    /// The bytes were not the encoding of a [`Command`].
    Malformed,
}

impl Kv {
    /// The value at `key`, if the key has one.
    pub fn get(&self, key: &[u8]) -> Option<&Bytes> {
        self.0.get(&Bytes::copy_from_slice(key))
    }

    /// All keys with their values, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.0.iter()
    }

    /// Executes one decoded command.
    pub fn execute(&mut self, command: Command) -> Output {
        match command {
            Command::Put(key, value) => {
                self.0.insert(key, value);
                Output::Done
            }
            Command::Get(key) => Output::Value(self.0.get(&key).cloned()),
            Command::Delete(key) => {
                self.0.remove(&key);
                Output::Done
            }
            Command::Cas { key, old, new } => {
                let current = self.0.get(&key).cloned();
                if current == old {
                    self.0.insert(key, new);
                    Output::Done
                } else {
                    Output::Mismatch(current)
                }
            }
        }
    }
}

impl Command {
    /// The encoding of the command, as it enters the log.
    pub fn encode(&self) -> Bytes {
        postcard::to_stdvec(self).expect("a command always encodes").into()
    }

    /// The key that the command reads or changes.
    pub fn key(&self) -> &Bytes {
        match self {
            Command::Put(key, _)
            | Command::Get(key)
            | Command::Delete(key)
            | Command::Cas { key, .. } => key,
        }
    }
}

/// Decodes exactly one command. Trailing bytes make the command malformed, because otherwise one command
/// would have many encodings.
impl TryFrom<&[u8]> for Command {
    type Error = postcard::Error;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        match postcard::take_from_bytes(bytes)? {
            (command, []) => Ok(command),
            _ => Err(postcard::Error::DeserializeBadEncoding),
        }
    }
}

impl Output {
    /// The encoding of the output, as it stands in a client response.
    pub fn encode(&self) -> Bytes {
        postcard::to_stdvec(self).expect("an output always encodes").into()
    }
}

impl TryFrom<&[u8]> for Output {
    type Error = postcard::Error;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        match postcard::take_from_bytes(bytes)? {
            (output, []) => Ok(output),
            _ => Err(postcard::Error::DeserializeBadEncoding),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn value_text(value: Option<&Bytes>) -> String {
    value.map_or("none".to_owned(), |value| text(value))
}

impl StateMachine for Kv {
    fn apply(&mut self, command: &[u8]) -> Bytes {
        match Command::try_from(command) {
            Ok(command) => self.execute(command).encode(),
            Err(_) => Output::Malformed.encode(),
        }
    }

    fn describe(command: &[u8]) -> String {
        match Command::try_from(command) {
            Ok(Command::Put(key, value)) => format!("put {} {}", text(&key), text(&value)),
            Ok(Command::Get(key)) => format!("get {}", text(&key)),
            Ok(Command::Delete(key)) => format!("delete {}", text(&key)),
            Ok(Command::Cas { key, old, new }) => {
                format!("cas {} {} {}", text(&key), value_text(old.as_ref()), text(&new))
            }
            Err(_) => format!("malformed {}", text(command)),
        }
    }

    fn describe_answer(answer: &[u8]) -> String {
        match Output::try_from(answer) {
            Ok(Output::Done) => "done".to_owned(),
            Ok(Output::Value(value)) => format!("value {}", value_text(value.as_ref())),
            Ok(Output::Mismatch(value)) => format!("mismatch, is {}", value_text(value.as_ref())),
            Ok(Output::Malformed) | Err(_) => "malformed".to_owned(),
        }
    }
}

impl fmt::Debug for Kv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (n, (key, value)) in self.0.iter().enumerate() {
            let comma = if n > 0 { " " } else { "" };
            write!(f, "{comma}{}={}", key.escape_ascii(), value.escape_ascii())?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn b(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn put_get_delete() {
        let mut kv = Kv::default();
        assert_eq!(kv.execute(Command::Get(b("k"))), Output::Value(None));
        assert_eq!(kv.execute(Command::Put(b("k"), b("v"))), Output::Done);
        assert_eq!(kv.execute(Command::Get(b("k"))), Output::Value(Some(b("v"))));
        assert_eq!(kv.execute(Command::Delete(b("k"))), Output::Done);
        assert_eq!(kv, Kv::default());
    }

    #[test]
    fn compare_and_swap_needs_the_old_value() {
        let mut kv = Kv::default();
        let cas = |old, new| Command::Cas { key: b("k"), old, new };
        assert_eq!(kv.execute(cas(Some(b("x")), b("y"))), Output::Mismatch(None));
        assert_eq!(kv.execute(cas(None, b("x"))), Output::Done);
        assert_eq!(kv.execute(cas(None, b("y"))), Output::Mismatch(Some(b("x"))));
        assert_eq!(kv.execute(cas(Some(b("x")), b("y"))), Output::Done);
    }

    #[test]
    fn a_command_with_trailing_bytes_is_malformed_and_changes_nothing() {
        let mut kv = Kv::default();
        let mut bytes = Command::Put(b("k"), b("v")).encode().to_vec();
        bytes.push(0);
        assert_eq!(kv.apply(&bytes), Output::Malformed.encode());
        assert_eq!(kv, Kv::default());
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let output = Kv::default().apply(&bytes);
            prop_assert!(Output::try_from(&output[..]).is_ok());
        }
    }
}

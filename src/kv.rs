//! The default state machine: a key-value store with compare-and-swap.
//!
//! A client proposes the bytes of a [`Command`]. [`Kv`] decodes and executes the command, and returns the
//! bytes of an [`Output`]. Bytes that are not exactly one command change nothing.

use crate::map::Map;
use crate::state_machine::{Part, StateMachine};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The most bytes of keys in one answer, unless its first key alone is longer. No key is longer than a
/// command, so an answer fits a datagram.
const PAGE: usize = 32 * 1024;

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
    /// Lists keys in their order, a page at a time.
    Keys {
        /// The bytes with which the keys begin.
        prefix: Bytes,
        /// The key behind which the page begins; `None` for the first page.
        after: Option<Bytes>,
        /// The most keys of the page; zero counts as one.
        limit: u32,
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
    /// A page of keys.
    Keys {
        /// The keys in their order; at least one if there is any.
        keys: Vec<Bytes>,
        /// Whether there are more keys behind these.
        more: bool,
    },
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
            Command::Keys { prefix, after, limit } => self.keys(prefix, after, limit),
        }
    }

    fn keys(&self, prefix: Bytes, after: Option<Bytes>, limit: u32) -> Output {
        let from = after.clone().map_or_else(|| prefix.clone(), |after| after.max(prefix.clone()));
        let found = self.0.range_from(from).map(|(key, _)| key);
        let found = found.skip_while(|key| Some(*key) == after.as_ref());
        let mut found = found.take_while(|key| key.starts_with(&prefix)).peekable();
        let (mut keys, mut bytes) = (Vec::new(), 0);
        while let Some(key) = found.next_if(|key| {
            let is_full = keys.len() >= limit as usize || bytes + cost(key) > PAGE;
            keys.is_empty() || !is_full
        }) {
            bytes += cost(key);
            keys.push(key.clone());
        }
        Output::Keys { more: found.peek().is_some(), keys }
    }
}

impl Command {
    /// The encoding of the command, as it enters the log.
    pub fn encode(&self) -> Bytes {
        postcard::to_stdvec(self).expect("a command always encodes").into()
    }

    /// The key that the command reads or changes, or the prefix of the keys that it lists.
    pub fn key(&self) -> &Bytes {
        match self {
            Command::Put(key, _)
            | Command::Get(key)
            | Command::Delete(key)
            | Command::Cas { key, .. }
            | Command::Keys { prefix: key, .. } => key,
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

/// The bytes of a key or a value in a page or a part, and at most three for its length.
fn cost(key: &Bytes) -> usize {
    key.len() + 3
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

    /// A query is the encoding of a command that reads: `Get` or `Keys`. All others are malformed.
    fn query(&self, query: &[u8]) -> Bytes {
        let output = match Command::try_from(query) {
            Ok(Command::Get(key)) => Output::Value(self.0.get(&key).cloned()),
            Ok(Command::Keys { prefix, after, limit }) => self.keys(prefix, after, limit),
            Ok(Command::Put(..) | Command::Delete(_) | Command::Cas { .. }) | Err(_) => {
                Output::Malformed
            }
        };
        output.encode()
    }

    /// A part is a run of keys with their values. The next part begins at its first key.
    fn part(&self, from: &[u8], limit: usize) -> Part {
        let mut rest = self.0.range_from(Bytes::copy_from_slice(from)).peekable();
        let (mut pairs, mut bytes) = (Vec::new(), 0);
        while let Some((key, value)) = rest.next_if(|_| bytes < limit) {
            bytes += cost(key) + cost(value);
            pairs.push((key, value));
        }
        let bytes = postcard::to_stdvec(&pairs).expect("pairs always encode").into();
        Part { bytes, next: rest.peek().map(|(key, _)| Bytes::clone(key)) }
    }

    fn add_part(&mut self, bytes: &[u8]) -> Result<(), String> {
        let pairs: Vec<(Bytes, Bytes)> = match postcard::take_from_bytes(bytes) {
            Ok((pairs, [])) => pairs,
            Ok(_) => return Err("a part of a key-value store has bytes too many".to_owned()),
            Err(error) => return Err(error.to_string()),
        };
        for (key, value) in pairs {
            self.0.insert(key, value);
        }
        Ok(())
    }

    fn describe(command: &[u8]) -> String {
        match Command::try_from(command) {
            Ok(Command::Put(key, value)) => format!("put {} {}", text(&key), text(&value)),
            Ok(Command::Get(key)) => format!("get {}", text(&key)),
            Ok(Command::Delete(key)) => format!("delete {}", text(&key)),
            Ok(Command::Cas { key, old, new }) => {
                format!("cas {} {} {}", text(&key), value_text(old.as_ref()), text(&new))
            }
            Ok(Command::Keys { prefix, after: None, limit }) => {
                format!("keys {} at most {limit}", text(&prefix))
            }
            Ok(Command::Keys { prefix, after: Some(after), limit }) => {
                format!("keys {} after {} at most {limit}", text(&prefix), text(&after))
            }
            Err(_) => format!("malformed {}", text(command)),
        }
    }

    fn describe_answer(answer: &[u8]) -> String {
        match Output::try_from(answer) {
            Ok(Output::Done) => "done".to_owned(),
            Ok(Output::Value(value)) => format!("value {}", value_text(value.as_ref())),
            Ok(Output::Mismatch(value)) => format!("mismatch, is {}", value_text(value.as_ref())),
            Ok(Output::Keys { keys, more }) => {
                let keys: Vec<_> = keys.iter().map(|key| text(key)).collect();
                let more = if more { ", and more" } else { "" };
                format!("keys [{}]{more}", keys.join(", "))
            }
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

    fn keys(
        kv: &mut Kv,
        prefix: &'static str,
        after: Option<Bytes>,
        limit: u32,
    ) -> (Vec<Bytes>, bool) {
        match kv.execute(Command::Keys { prefix: b(prefix), after, limit }) {
            Output::Keys { keys, more } => (keys, more),
            output => panic!("{output:?} is no page of keys"),
        }
    }

    #[test]
    fn keys_are_listed_by_prefix_in_order_a_page_at_a_time() {
        let mut kv = Kv::default();
        for key in ["b", "a/2", "a/1", "a", "a/3", "a0"] {
            kv.execute(Command::Put(b(key), b("v")));
        }
        let a = [b("a/1"), b("a/2"), b("a/3")];
        assert_eq!(keys(&mut kv, "a/", None, 9), (a.to_vec(), false));
        assert_eq!(keys(&mut kv, "a/", None, 3), (a.to_vec(), false));
        assert_eq!(keys(&mut kv, "a/", None, 2), (a[..2].to_vec(), true));
        assert_eq!(keys(&mut kv, "a/", Some(b("a/2")), 2), (a[2..].to_vec(), false));
        assert_eq!(keys(&mut kv, "a/", Some(b("a/1.5")), 0), (a[1..2].to_vec(), true));
        assert_eq!(keys(&mut kv, "", None, 9).0.len(), 6);
        // A key before the prefix, or behind all keys that have the prefix, is no harm.
        assert_eq!(keys(&mut kv, "a/", Some(b("a")), 1), (a[..1].to_vec(), true));
        assert_eq!(keys(&mut kv, "a/", Some(b("b")), 1), (vec![], false));
        assert_eq!(keys(&mut kv, "c", None, 1), (vec![], false));
    }

    #[test]
    fn a_page_of_keys_fits_a_datagram_however_long_they_are() {
        const LONGEST: usize = 48 * 1024;
        for (length, count) in [(10, 9000), (1000, 100), (LONGEST, 3)] {
            let mut kv = Kv::default();
            for n in 0..count {
                let key = format!("{n:length$}");
                kv.execute(Command::Put(key.into(), b("")));
            }
            let (mut after, mut seen) = (None, 0);
            loop {
                let command = Command::Keys { prefix: b(""), after, limit: u32::MAX };
                let output = kv.execute(command);
                assert!(output.encode().len() <= LONGEST + 16, "{length}");
                let Output::Keys { keys, more } = output else { panic!("no page of keys") };
                seen += keys.len();
                after = keys.last().cloned();
                if !more {
                    break;
                }
            }
            assert_eq!(seen, count, "{length}");
        }
    }

    /// Pins what stands in logs and sessions: a new command or output goes to the end.
    #[test]
    fn commands_and_outputs_are_encoded_like_this() {
        let cas = Command::Cas { key: b("k"), old: None, new: b("w") };
        let page = Command::Keys { prefix: b("k"), after: Some(b("l")), limit: 300 };
        for (command, bytes) in [
            (Command::Put(b("k"), b("v")), &[0, 1, b'k', 1, b'v'][..]),
            (Command::Get(b("k")), &[1, 1, b'k']),
            (Command::Delete(b("k")), &[2, 1, b'k']),
            (cas, &[3, 1, b'k', 0, 1, b'w']),
            (page, &[4, 1, b'k', 1, 1, b'l', 0xac, 2]),
        ] {
            assert_eq!(command.encode(), bytes, "{command:?}");
        }
        let page = Output::Keys { keys: vec![b("k"), b("l")], more: true };
        for (output, bytes) in [
            (Output::Done, &[0][..]),
            (Output::Value(Some(b("v"))), &[1, 1, 1, b'v']),
            (Output::Mismatch(None), &[2, 0]),
            (Output::Malformed, &[3]),
            (page, &[4, 2, 1, b'k', 1, b'l', 1]),
        ] {
            assert_eq!(output.encode(), bytes, "{output:?}");
        }
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

//! A client of the key-value store.

use super::{Client, ClientError};
use crate::kv::{Command, Output};
use bytes::Bytes;

/// A client of a cluster that runs [`crate::kv::Kv`].
#[derive(Debug)]
pub struct KvClient(Client);

/// A page of the keys of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPage {
    /// The keys in their order.
    pub keys: Vec<Bytes>,
    /// The key behind which the next page begins; `None` if this is the last page.
    pub next: Option<Bytes>,
}

/// The most keys of a page. Short keys come so many at a time, and long ones as many as an answer holds.
const PAGE: u32 = 1000;

/// The outcome of a compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The key had the old value and has the new one.
    Done,
    /// Nothing was changed. The key has this value.
    Mismatch(Option<Bytes>),
}

impl KvClient {
    /// Creates a client that sends its commands through `client`.
    pub fn new(client: Client) -> Self {
        Self(client)
    }

    /// Hands the leadership over to a server; see [`Client::transfer`].
    pub fn transfer(&mut self, server: u64) -> Result<(), ClientError> {
        self.0.transfer(server)
    }

    /// Sets `key` to `value`.
    pub fn put(
        &mut self,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
    ) -> Result<(), ClientError> {
        match self.execute(&Command::Put(key.into(), value.into()))? {
            Output::Done => Ok(()),
            output => Err(unexpected(&output)),
        }
    }

    /// Reads the value of `key`; `None` if the key has none. The read is linearizable and takes no entry of
    /// the log.
    pub fn get(&mut self, key: impl Into<Bytes>) -> Result<Option<Bytes>, ClientError> {
        match self.query(&Command::Get(key.into()))? {
            Output::Value(value) => Ok(value),
            output => Err(unexpected(&output)),
        }
    }

    /// Reads the value of `key` by a command, which takes an entry of the log.
    pub fn get_through_log(&mut self, key: impl Into<Bytes>) -> Result<Option<Bytes>, ClientError> {
        match self.execute(&Command::Get(key.into()))? {
            Output::Value(value) => Ok(value),
            output => Err(unexpected(&output)),
        }
    }

    /// Removes `key`, if it has a value.
    pub fn delete(&mut self, key: impl Into<Bytes>) -> Result<(), ClientError> {
        match self.execute(&Command::Delete(key.into()))? {
            Output::Done => Ok(()),
            output => Err(unexpected(&output)),
        }
    }

    /// Sets `key` to `new` if its value is `old`. `None` means that the key has no value.
    pub fn cas(
        &mut self,
        key: impl Into<Bytes>,
        old: Option<Bytes>,
        new: impl Into<Bytes>,
    ) -> Result<Swap, ClientError> {
        match self.execute(&Command::Cas { key: key.into(), old, new: new.into() })? {
            Output::Done => Ok(Swap::Done),
            Output::Mismatch(value) => Ok(Swap::Mismatch(value)),
            output => Err(unexpected(&output)),
        }
    }

    /// Reads a page of the keys that begin with `prefix`, from the first one behind `after`. Each page is
    /// a read of its own: keys may come and go between two pages.
    pub fn keys(
        &mut self,
        prefix: impl Into<Bytes>,
        after: Option<Bytes>,
    ) -> Result<KeyPage, ClientError> {
        match self.query(&Command::Keys { prefix: prefix.into(), after, limit: PAGE })? {
            Output::Keys { keys, more } => {
                let next = keys.last().filter(|_| more).cloned();
                Ok(KeyPage { keys, next })
            }
            output => Err(unexpected(&output)),
        }
    }

    /// Executes any command of the store, once.
    pub fn execute(&mut self, command: &Command) -> Result<Output, ClientError> {
        decoded(&self.0.execute(command.encode())?)
    }

    /// Reads by a command that changes nothing, without an entry of the log. Every other command is
    /// malformed.
    pub fn query(&mut self, command: &Command) -> Result<Output, ClientError> {
        decoded(&self.0.query(command.encode())?)
    }
}

fn decoded(answer: &[u8]) -> Result<Output, ClientError> {
    Output::try_from(answer).map_err(|error| {
        ClientError::OtherMachine(format!("an answer that cannot be read ({error})"))
    })
}

fn unexpected(output: &Output) -> ClientError {
    ClientError::OtherMachine(format!("the answer {output:?}"))
}

//! Clients at work on a key-value store, and all that they see written down.

use super::history::Recorder;
use bytes::Bytes;
use checked_raft::client::{ClientError, KvClient};
use checked_raft::kv::{Command, Output};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Few, so that the clients get in each other's way.
const SHARED_KEYS: u32 = 4;

/// One client's work.
pub(crate) struct Load<'a> {
    pub(crate) client: u64,
    pub(crate) seed: u64,
    pub(crate) recorder: &'a Recorder,
    /// Counts the puts of all clients as they end.
    pub(crate) puts_ended: &'a AtomicU64,
    pub(crate) is_over: &'a AtomicBool,
}

/// Sends the clients home however the work ends, by a panic too: somebody waits for them.
pub(crate) struct EndOnDrop<'a>(pub(crate) &'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Load<'_> {
    /// Until it is over: puts to keys of its own, each written once, and to shared keys by turns;
    /// among them gets (most without an entry of the log), deletes, and compare-and-swaps of the value seen last.
    pub(crate) fn run(&self, kv: &mut KvClient) {
        let random = &mut StdRng::seed_from_u64(self.seed);
        let mut numbers = 0u64..;
        while !self.is_over.load(Ordering::Relaxed) {
            let number = numbers.next().expect("they do not end");
            let value = format!("{}.{number}", self.client);
            let key = if number.is_multiple_of(2) { own(&value) } else { shared(random) };
            let put = Command::Put(key, value.clone().into());
            record(self.recorder, self.client, kv, &put);
            self.puts_ended.fetch_add(1, Ordering::Relaxed);
            let key = shared(random);
            let get = Command::Get(key.clone());
            let seen = if random.random_bool(0.25) {
                record(self.recorder, self.client, kv, &get)
            } else {
                read(self.recorder, self.client, kv, &get)
            };
            if let (Some(Output::Value(old)), true) = (seen, random.random_bool(0.5)) {
                let new = format!("{value}.swapped").into();
                let cas = Command::Cas { key: key.clone(), old, new };
                record(self.recorder, self.client, kv, &cas);
            }
            if random.random_bool(0.1) {
                record(self.recorder, self.client, kv, &Command::Delete(key));
            }
        }
    }
}

/// Executes a command and writes down what its client sees.
pub(crate) fn record(
    recorder: &Recorder,
    client: u64,
    kv: &mut KvClient,
    command: &Command,
) -> Option<Output> {
    let operation = recorder.invoke(client, command);
    match kv.execute(command) {
        Ok(output) => {
            recorder.return_(operation, output.clone());
            Some(output)
        }
        Err(ClientError::TimedOut { .. } | ClientError::Expired) => None,
        // It is taken by its word: if such a command has an effect, the history does not explain it.
        Err(ClientError::NoSession { .. }) => {
            recorder.cancel(operation);
            None
        }
        Err(error) => panic!("client {client}: {error}"),
    }
}

/// Reads without an entry of the log and writes down what the client sees.
fn read(recorder: &Recorder, client: u64, kv: &mut KvClient, command: &Command) -> Option<Output> {
    let operation = recorder.invoke(client, command);
    match kv.query(command) {
        Ok(output) => {
            recorder.return_(operation, output.clone());
            Some(output)
        }
        // A read has no effect, so nothing need explain it.
        Err(ClientError::Unanswered { .. }) => {
            recorder.cancel(operation);
            None
        }
        Err(error) => panic!("client {client}: {error}"),
    }
}

/// Reads every key once more, as a client of its own. Together with the judge of histories: every
/// acknowledged write is readable.
pub(crate) fn read_all(recorder: &Recorder, client: u64, kv: &mut KvClient) -> Result<(), String> {
    let history = recorder.history();
    let keys: BTreeSet<&Bytes> =
        history.operations.values().map(|operation| operation.command.key()).collect();
    for key in keys {
        let output = read(recorder, client, kv, &Command::Get(key.clone()));
        output.ok_or_else(|| format!("the last read of {key:?} has no result"))?;
    }
    Ok(())
}

fn own(value: &str) -> Bytes {
    format!("own.{value}").into()
}

fn shared(random: &mut StdRng) -> Bytes {
    format!("shared.{}", random.random_range(0..SHARED_KEYS)).into()
}

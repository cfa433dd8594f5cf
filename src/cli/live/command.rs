//! The commands of the page: put, get, cas, delete, and a load that puts at a chosen rate.
//!
//! A command comes as a list of words, such as `["put", "greeting", "hello"]`. So a key or a value may have
//! any characters. The old value of a `cas` is null if the key must have none.

use super::board::{Board, now};
use super::http::Refusal;
use super::spawn;
use bytes::Bytes;
use checked_raft::client::{Client, ClientError, KvClient, Options, Swap};
use checked_raft::runtime::endpoint::Deadline;
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a command may take: an election takes less.
const PATIENCE: Duration = Duration::from_secs(3);
/// The clients that are kept for the next commands.
const MOST_IDLE: usize = 4;
/// The most commands a second of a load.
pub(super) const MOST_LOAD: u32 = 1000;
/// The clients of a load. Each waits for its answers, so several are needed for many commands a second.
const LOADERS: u32 = 4;
/// The keys of a load.
const LOAD_KEYS: u64 = 16;
/// How often a load that rests asks whether it is to go on.
const REST: Duration = Duration::from_millis(100);

/// A command of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PageCommand {
    Put(String, String),
    Get(String),
    Delete(String),
    Cas(String, Option<String>, String),
    /// The commands a second that the load is to have from now on.
    Load(u32),
}

/// Executes commands on the cluster.
pub(super) struct Desk {
    cluster: String,
    addresses: Vec<SocketAddr>,
    board: Arc<Board>,
    idle: Mutex<Vec<KvClient>>,
    load: AtomicU32,
}

impl PageCommand {
    /// Reads a command. The error is a sentence.
    pub(super) fn read(words: &Value) -> Result<Self, String> {
        let wrong = || {
            "A command is one of [\"put\", KEY, VALUE], [\"get\", KEY], [\"delete\", KEY], \
             [\"cas\", KEY, OLD, NEW] with null for no old value, and [\"load\", COMMANDS A SECOND]."
                .to_owned()
        };
        let words: Vec<_> = words.as_array().ok_or_else(wrong)?.iter().collect();
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(wrong);
        let (name, rest) = words.split_first().ok_or_else(wrong)?;
        match (name.as_str().unwrap_or_default(), rest) {
            ("put", [key, value]) => Ok(Self::Put(text(key)?, text(value)?)),
            ("get", [key]) => Ok(Self::Get(text(key)?)),
            ("delete", [key]) => Ok(Self::Delete(text(key)?)),
            ("cas", [key, Value::Null, new]) => Ok(Self::Cas(text(key)?, None, text(new)?)),
            ("cas", [key, old, new]) => Ok(Self::Cas(text(key)?, Some(text(old)?), text(new)?)),
            ("load", [rate]) => {
                let rate = rate.as_u64().and_then(|rate| u32::try_from(rate).ok());
                let rate = rate.filter(|rate| *rate <= MOST_LOAD);
                let least = format!("A load has from 0 to {MOST_LOAD} commands a second.");
                rate.map(Self::Load).ok_or(least)
            }
            _ => Err(wrong()),
        }
    }
}

impl Desk {
    pub(super) fn new(cluster: &str, servers: &[(u64, SocketAddr)], board: Arc<Board>) -> Self {
        Self {
            cluster: cluster.to_owned(),
            addresses: servers.iter().map(|(_, address)| *address).collect(),
            board,
            idle: Mutex::new(Vec::new()),
            load: AtomicU32::new(0),
        }
    }

    /// Executes a command, and says what came of it.
    pub(super) fn execute(&self, command: PageCommand) -> Result<String, Refusal> {
        if let PageCommand::Load(rate) = command {
            self.load.store(rate, Ordering::Relaxed);
            self.board.content().load = rate;
            return Ok(match rate {
                0 => "The load rests.".to_owned(),
                _ => format!("The load has {rate} commands a second."),
            });
        }
        let result = self.client().and_then(|mut kv| {
            let result = self.timed(|| run(&mut kv, command));
            self.keep(kv);
            result
        });
        result.map_err(|error| Refusal::new(504, error.to_string()))
    }

    /// A client that has been used before, or a new one.
    fn client(&self) -> Result<KvClient, ClientError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(kv) => Ok(kv),
            None => self.connect().inspect_err(|_| self.count(Err(()))),
        }
    }

    fn keep(&self, kv: KvClient) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(kv);
        }
    }

    fn connect(&self) -> Result<KvClient, ClientError> {
        let options = Options { timeout: PATIENCE, ..Options::default() };
        Client::connect(&self.cluster, &self.addresses, options).map(KvClient::new)
    }

    /// Runs a command and notes how long it took.
    fn timed<T>(&self, command: impl FnOnce() -> Result<T, ClientError>) -> Result<T, ClientError> {
        let start = now();
        let result = command();
        self.count(result.as_ref().map(|_| start.elapsed()).map_err(|_| ()));
        result
    }

    fn count(&self, took: Result<Duration, ()>) {
        let now = self.board.elapsed();
        self.board.content().meter.ended(now, took);
    }
}

/// Executes a command with a client.
fn run(kv: &mut KvClient, command: PageCommand) -> Result<String, ClientError> {
    let done = || "OK".to_owned();
    let shown = |text: &str| format!("\"{}\"", text.escape_debug());
    let in_words = |value: &Bytes| shown(&String::from_utf8_lossy(value));
    match command {
        PageCommand::Put(key, value) => kv.put(key, value).map(|()| done()),
        PageCommand::Delete(key) => kv.delete(key).map(|()| done()),
        PageCommand::Get(key) => Ok(match kv.get(key.clone())? {
            Some(value) => in_words(&value),
            None => format!("{} has no value.", shown(&key)),
        }),
        PageCommand::Cas(key, old, new) => {
            Ok(match kv.cas(key.clone(), old.map(Bytes::from), new)? {
                Swap::Done => done(),
                Swap::Mismatch(None) => format!("Not swapped: {} has no value.", shown(&key)),
                Swap::Mismatch(Some(value)) => {
                    format!("Not swapped: {} has the value {}.", shown(&key), in_words(&value))
                }
            })
        }
        PageCommand::Load(_) => Ok(done()),
    }
}

/// Starts the clients of the load. They rest until a load is asked for.
pub(super) fn start_load(desk: &Arc<Desk>) -> io::Result<()> {
    for number in 0..LOADERS {
        let desk = Arc::clone(desk);
        spawn(&format!("load-{number}"), move || desk.put_again_and_again())?;
    }
    Ok(())
}

impl Desk {
    /// Puts at the rate that was asked for. A put that takes longer than its share of a second delays those
    /// that follow, and none is made up for.
    fn put_again_and_again(&self) {
        let (mut client, mut number) = (None, 0_u64);
        loop {
            let rate = self.load.load(Ordering::Relaxed);
            if rate == 0 {
                thread::park_timeout(REST);
                continue;
            }
            let due = Deadline::after(Duration::from_secs(1) * LOADERS / rate);
            self.put_once(&mut client, number);
            number += 1;
            while !due.has_passed() {
                thread::park_timeout(due.remaining());
            }
        }
    }

    fn put_once(&self, client: &mut Option<KvClient>, number: u64) {
        if client.is_none() {
            *client = self.client().ok();
        }
        if let Some(kv) = client {
            let key = format!("load/{}", number % LOAD_KEYS);
            // A failure is counted, and the next put is tried all the same.
            let _ = self.timed(|| kv.put(key, number.to_string()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_command_is_a_list_of_words() {
        let text = str::to_owned;
        for (words, command) in [
            (json!(["put", "k", "a b"]), PageCommand::Put(text("k"), text("a b"))),
            (json!(["get", ""]), PageCommand::Get(text(""))),
            (json!(["delete", "k"]), PageCommand::Delete(text("k"))),
            (json!(["cas", "k", null, "n"]), PageCommand::Cas(text("k"), None, text("n"))),
            (
                json!(["cas", "k", "o", "n"]),
                PageCommand::Cas(text("k"), Some(text("o")), text("n")),
            ),
            (json!(["load", 20]), PageCommand::Load(20)),
        ] {
            assert_eq!(PageCommand::read(&words), Ok(command), "{words}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_a_sentence() {
        for words in [
            json!("put k v"),
            json!([]),
            json!(["put", "k"]),
            json!(["put", "k", 5]),
            json!(["put", "k", null]),
            json!(["cas", "k", "n"]),
            json!([["get", "k"]]),
            json!(["fly", "k"]),
        ] {
            let error = PageCommand::read(&words).expect_err("no command");
            assert!(error.contains("[\"put\", KEY, VALUE]"), "{words}: {error}");
        }
        for rate in [json!(["load", 1001]), json!(["load", -1]), json!(["load", "5"])] {
            let error = PageCommand::read(&rate).expect_err("no load");
            assert!(error.contains("from 0 to 1000"), "{rate}: {error}");
        }
    }
}

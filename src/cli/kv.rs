//! `raft put`, `get`, `keys`, `delete` and `cas`: the key-value store of a cluster.
//!
//! A key or a value may be any bytes. So an argument that begins with `-` is taken as it is, unless it is
//! an option of the command. After `--` nothing is an option. Only `--help` asks for help, since `-help me`
//! is a value like others.

use super::servers::{Servers, failed};
use super::status::PATIENCE;
use super::{Failure, Status};
use bytes::Bytes;
use checked_raft::client::{self, Swap};
use checked_raft::kv::{Command, Output};
use clap::{Arg, ArgAction, Args};
use std::ffi::OsString;
use std::io::{self, Write};

/// Set a key to a value
///
/// An argument that is none of these options is taken as it is, as in `raft put -k -5`. After `--` every
/// argument is, as in `raft put -- k --help`.
#[derive(Args)]
#[command(disable_help_flag = true, arg = help())]
pub(super) struct Put {
    #[arg(allow_hyphen_values = true)]
    key: OsString,
    #[arg(allow_hyphen_values = true)]
    value: OsString,
    #[command(flatten)]
    servers: Servers,
}

/// Print the value of a key
///
/// The answer reflects every write that had ended before. The leader asks a majority whether it still
/// leads, and writes nothing. The exit code is 1 if the key has no value, and 2 for any error.
#[derive(Args)]
#[command(disable_help_flag = true, arg = help())]
pub(super) struct Get {
    #[arg(allow_hyphen_values = true)]
    key: OsString,
    /// Read by an entry of the log, as a write is done
    #[arg(long, conflicts_with = "local")]
    log: bool,
    /// Read what server N has applied itself, which may be old; that works without a leader
    #[arg(long, value_name = "N")]
    local: Option<u64>,
    #[command(flatten)]
    servers: Servers,
}

/// List the keys that have a value, in the order of their bytes
///
/// The list comes in pages. Each page is a read as `raft get` is one, and keys may come and go between two
/// pages. The exit code is 0 even if there is no key, and 2 for any error.
#[derive(Args)]
#[command(disable_help_flag = true, arg = help())]
pub(super) struct Keys {
    /// List only the keys that begin with this
    #[arg(allow_hyphen_values = true, default_value = "", hide_default_value = true)]
    prefix: OsString,
    /// Print each key as ASCII with escapes such as \n and \xff, so that a line is one key
    #[arg(long)]
    escape: bool,
    #[command(flatten)]
    servers: Servers,
}

/// Remove a key, if it is there
#[derive(Args)]
#[command(disable_help_flag = true, arg = help())]
pub(super) struct Delete {
    #[arg(allow_hyphen_values = true)]
    key: OsString,
    #[command(flatten)]
    servers: Servers,
}

/// Compare and swap: set a key to NEW if its value is OLD, or with --absent if it has none
///
/// The exit code is 1 if the key has another value, which is then printed, and 2 for any error.
#[derive(Args)]
#[command(
    disable_help_flag = true,
    arg = help(),
    override_usage = "raft cas [OPTIONS] <KEY> <OLD> <NEW>\n       raft cas [OPTIONS] <KEY> --absent <NEW>"
)]
pub(super) struct Cas {
    #[arg(allow_hyphen_values = true)]
    key: OsString,
    /// The value that the key must have; left out with --absent
    #[arg(value_name = "OLD", allow_hyphen_values = true)]
    first: OsString,
    /// The value to set it to
    #[arg(
        value_name = "NEW",
        allow_hyphen_values = true,
        required_unless_present = "absent",
        conflicts_with = "absent"
    )]
    second: Option<OsString>,
    /// The key must have no value
    #[arg(long)]
    absent: bool,
    #[command(flatten)]
    servers: Servers,
}

impl Put {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Status, Failure> {
        self.servers.connect()?.put(bytes(&self.key), bytes(&self.value)).map_err(failed)?;
        done(out)
    }
}

impl Get {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Status, Failure> {
        let key = bytes(&self.key);
        let value = match self.local {
            Some(server) => self.peek(server)?,
            None if self.log => self.servers.connect()?.get_through_log(key).map_err(failed)?,
            None => self.servers.connect()?.get(key).map_err(failed)?,
        };
        let Some(value) = value else {
            return Ok(no(format_args!("{} has no value", shown(&self.key))));
        };
        out.write_all(&value)?;
        writeln!(out)?;
        Ok(Status::Success)
    }
}

impl Get {
    /// The value that one server has, with a word on standard error that it may be old.
    fn peek(&self, server: u64) -> Result<Option<Bytes>, Failure> {
        let (addresses, options) = (self.servers.addresses()?, self.servers.options(PATIENCE));
        let query = Command::Get(bytes(&self.key)).encode();
        let answer = client::peek(&self.servers.cluster, &addresses, server, &query, &options)
            .map_err(failed)?;
        match Output::try_from(&answer[..]) {
            Ok(Output::Value(value)) => {
                // If nobody reads the warning, the value still stands on standard output.
                let _ = writeln!(io::stderr(), "from server {server} alone: it may be stale");
                Ok(value)
            }
            _ => Err(Failure::Refused(format!("server {server} runs another state machine"))),
        }
    }
}

impl Keys {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Status, Failure> {
        let (mut kv, mut after) = (self.servers.connect()?, None);
        loop {
            let page = kv.keys(bytes(&self.prefix), after).map_err(failed)?;
            for key in page.keys {
                if self.escape {
                    write!(out, "{}", key.escape_ascii())?;
                } else {
                    out.write_all(&key)?;
                }
                writeln!(out)?;
            }
            after = page.next;
            if after.is_none() {
                return Ok(Status::Success);
            }
        }
    }
}

impl Delete {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Status, Failure> {
        self.servers.connect()?.delete(bytes(&self.key)).map_err(failed)?;
        done(out)
    }
}

impl Cas {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Status, Failure> {
        let (old, new) = match &self.second {
            Some(new) => (Some(bytes(&self.first)), new),
            None => (None, &self.first),
        };
        let swap = self.servers.connect()?.cas(bytes(&self.key), old, bytes(new));
        let key = shown(&self.key);
        match swap.map_err(failed)? {
            Swap::Done => done(out),
            Swap::Mismatch(None) => Ok(no(format_args!("not swapped: {key} has no value"))),
            Swap::Mismatch(Some(value)) => {
                let value = value.escape_ascii();
                Ok(no(format_args!("not swapped: {key} has the value \"{value}\"")))
            }
        }
    }
}

/// The option `--help` without its short form.
fn help() -> Arg {
    Arg::new("help").long("help").action(ArgAction::Help).help("Print help")
}

fn done(out: &mut dyn Write) -> Result<Status, Failure> {
    writeln!(out, "OK")?;
    Ok(Status::Success)
}

/// Reports that the answer is no, on standard error. Standard output stays empty for programs that read
/// values.
fn no(what: std::fmt::Arguments<'_>) -> Status {
    // If nobody reads the answer, the exit code still tells it.
    let _ = writeln!(io::stderr(), "{what}");
    Status::NO
}

/// The bytes of an argument as it was given; on Unix they may be any.
fn bytes(argument: &OsString) -> Bytes {
    Bytes::copy_from_slice(argument.as_encoded_bytes())
}

fn shown(key: &OsString) -> String {
    format!("\"{}\"", key.as_encoded_bytes().escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::{Cas, Delete, Get, Keys, Put};
    use clap::error::ErrorKind;
    use clap::{Parser, Subcommand};
    use std::ffi::OsString;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    #[derive(Subcommand)]
    enum Command {
        Put(Put),
        Get(Get),
        Keys(Keys),
        Delete(Delete),
        Cas(Cas),
    }

    /// The keys and values as the command understood them, and the number of servers.
    fn parse(line: &[&str]) -> Result<(Vec<OsString>, usize), ErrorKind> {
        let line = Line::try_parse_from([&["raft"], line].concat()).map_err(|it| it.kind())?;
        let (words, servers) = match line.command {
            Command::Put(put) => (vec![put.key, put.value], put.servers),
            Command::Get(get) => (vec![get.key], get.servers),
            Command::Keys(keys) => (vec![keys.prefix], keys.servers),
            Command::Delete(delete) => (vec![delete.key], delete.servers),
            Command::Cas(cas) => {
                ([vec![cas.key, cas.first], cas.second.into_iter().collect()].concat(), cas.servers)
            }
        };
        Ok((words, servers.addresses().expect("addresses").len()))
    }

    const WORDS: [&str; 9] = ["-5", "-help me", "-h", "-hx", "-", "", "--no-option", "-é=1", "v"];

    #[test]
    fn a_word_that_is_no_option_is_a_key_or_a_value_wherever_it_stands() {
        for word in WORDS {
            let is = |line: &[&str], words: &[&str]| {
                let words: Vec<_> = words.iter().map(OsString::from).collect();
                assert_eq!(parse(line), Ok((words.clone(), 3)), "{line:?}");
                // The line with an option in front, and with one behind.
                let (name, rest) = line.split_first().expect("a command");
                let server = &["--server", "127.0.0.1:1"][..];
                for line in [[&[*name], server, rest].concat(), [line, server].concat()] {
                    assert_eq!(parse(&line), Ok((words.clone(), 1)), "{line:?}");
                }
            };
            is(&["put", word, "v"], &[word, "v"]);
            is(&["put", "k", word], &["k", word]);
            is(&["get", word], &[word]);
            is(&["keys", word], &[word]);
            is(&["delete", word], &[word]);
            is(&["cas", word, "1", "2"], &[word, "1", "2"]);
            is(&["cas", "k", word, "2"], &["k", word, "2"]);
            is(&["cas", "k", "1", word], &["k", "1", word]);
            is(&["cas", "k", "--absent", word], &["k", word]);
        }
    }

    #[test]
    fn after_two_dashes_nothing_is_an_option() {
        for word in WORDS.into_iter().chain(["--help", "--server", "--absent", "--"]) {
            let is = |line: &[&str], words: &[&str]| {
                let words = words.iter().map(OsString::from).collect();
                assert_eq!(parse(line), Ok((words, 3)), "{line:?}");
            };
            is(&["put", "--", word, word], &[word, word]);
            is(&["put", "k", "--", word], &["k", word]);
            is(&["get", "--", word], &[word]);
            is(&["keys", "--", word], &[word]);
            is(&["delete", "--", word], &[word]);
            is(&["cas", "--", word, "5", word], &[word, "5", word]);
            is(&["cas", "--absent", "--", word, word], &[word, word]);
        }
    }

    #[test]
    fn help_is_asked_for_by_its_long_name_alone() {
        for name in ["put", "get", "keys", "delete", "cas"] {
            assert_eq!(parse(&[name, "--help"]), Err(ErrorKind::DisplayHelp));
            assert_eq!(parse(&[name, "k", "--help"]), Err(ErrorKind::DisplayHelp));
        }
    }

    #[test]
    fn a_word_too_few_or_too_many_is_refused() {
        for line in [&["put", "-h"][..], &["get"], &["cas", "k", "1"], &["cas", "k", "--absent"]] {
            assert_eq!(parse(line), Err(ErrorKind::MissingRequiredArgument), "{line:?}");
        }
        for line in
            [&["put", "k", "v", "-x"][..], &["get", "k", "--tiemout"], &["delete", "k", "-"]]
        {
            assert_eq!(parse(line), Err(ErrorKind::UnknownArgument), "{line:?}");
        }
        assert_eq!(parse(&["cas", "k", "--absent", "1", "2"]), Err(ErrorKind::ArgumentConflict));
        assert_eq!(parse(&["keys", "a", "b"]), Err(ErrorKind::UnknownArgument));
        assert_eq!(parse(&["keys"]), Ok((vec![OsString::new()], 3)));
    }
}

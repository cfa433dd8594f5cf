//! `raft put`, `get`, `delete` and `cas`: the key-value store of a cluster.

use super::servers::{Servers, failed};
use super::{Failure, Status};
use bytes::Bytes;
use checked_raft::client::Swap;
use clap::Args;
use std::ffi::OsString;
use std::io::{self, Write};

/// Set a key to a value
#[derive(Args)]
pub(super) struct Put {
    key: OsString,
    value: OsString,
    #[command(flatten)]
    servers: Servers,
}

/// Print the value of a key
///
/// The exit code is 1 if the key has no value, and 2 for any error.
#[derive(Args)]
pub(super) struct Get {
    key: OsString,
    #[command(flatten)]
    servers: Servers,
}

/// Remove a key, if it is there
#[derive(Args)]
pub(super) struct Delete {
    key: OsString,
    #[command(flatten)]
    servers: Servers,
}

/// Compare and swap: set a key to NEW if its value is OLD, or with --absent if it has none
///
/// The exit code is 1 if the key has another value, which is then printed, and 2 for any error.
#[derive(Args)]
#[command(
    allow_missing_positional = true,
    override_usage = "raft cas [OPTIONS] <KEY> <OLD> <NEW>\n       raft cas [OPTIONS] <KEY> --absent <NEW>"
)]
pub(super) struct Cas {
    key: OsString,
    /// The value that the key must have; left out with --absent
    #[arg(required_unless_present = "absent", conflicts_with = "absent")]
    old: Option<OsString>,
    new: OsString,
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
        let value = self.servers.connect()?.get(bytes(&self.key)).map_err(failed)?;
        let Some(value) = value else {
            return no(format_args!("{} has no value", shown(&self.key)));
        };
        out.write_all(&value)?;
        writeln!(out)?;
        Ok(Status::Success)
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
        let old = self.old.as_ref().map(bytes);
        let swap = self.servers.connect()?.cas(bytes(&self.key), old, bytes(&self.new));
        let key = shown(&self.key);
        match swap.map_err(failed)? {
            Swap::Done => done(out),
            Swap::Mismatch(None) => no(format_args!("not swapped: {key} has no value")),
            Swap::Mismatch(Some(value)) => {
                no(format_args!("not swapped: {key} has the value \"{}\"", value.escape_ascii()))
            }
        }
    }
}

fn done(out: &mut dyn Write) -> Result<Status, Failure> {
    writeln!(out, "OK")?;
    Ok(Status::Success)
}

/// The answer is a plain no. It goes beside the output, which stays empty for whoever reads values.
fn no(what: std::fmt::Arguments<'_>) -> Result<Status, Failure> {
    writeln!(io::stderr(), "{what}")?;
    Ok(Status::NO)
}

/// An argument as it was given: on Unix any bytes.
fn bytes(argument: &OsString) -> Bytes {
    Bytes::copy_from_slice(argument.as_encoded_bytes())
}

fn shown(key: &OsString) -> String {
    format!("\"{}\"", key.as_encoded_bytes().escape_ascii())
}

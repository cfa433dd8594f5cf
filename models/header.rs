//! The header of a script: the lines that say which model the script is played on.
//!
//! ```text
//! model election          a model of the catalogue, or bounds as in `raft check`: --servers 3 --terms 2
//! mutant NAME             the mutant that takes the place of its servers; alone, in that mutant's own model
//! correct                 the servers have no bug: the mutant's own model, with correct servers
//! bounds TEXT             the bounds of the model when the script was written
//! violates PROPERTY       the property that the script violates
//! start                   ends the header, and may be left out
//! ```
//!
//! The header of a scenario instead says who takes part. The servers of a scenario may restart, and have no
//! bounds:
//!
//! ```text
//! servers 5
//! client put x 1; read x  a client and its commands (get, delete, cas) and reads; any number of such lines
//! max-entries 1           as in `Parameters`; likewise max-sessions, snapshot-after, snapshot-margin
//! undisturbed             with pre-votes, stickiness and check-quorum, as on a node
//! start
//! ```

use super::ghost::Watch;
use super::script::without_comment;
use super::spec::{Elections, Spec};
use crate::kv::Command;
use crate::raft::Operation;
use bytes::Bytes;

/// The header of a script.
#[derive(Default)]
pub struct Header {
    /// The model: a name, or options that begin with `--`.
    pub model: Option<String>,
    /// The name of the mutant.
    pub mutant: Option<String>,
    /// The bounds of the model when the script was written.
    pub bounds: Option<String>,
    /// The property that the script violates.
    pub violates: Option<String>,
    /// Whether the servers are correct, though the header names a mutant for the sake of its model.
    pub correct: bool,
    /// The cluster that the header of a scenario describes.
    pub scenario: Option<Spec>,
    /// The number of lines that the header takes.
    pub lines: usize,
}

impl Header {
    /// Reads the header of a script. It ends with `start`, or before the first command of the script.
    pub fn of(script: &str) -> Result<Self, String> {
        let mut header = Self::default();
        for (number, line) in (1..).zip(script.lines()) {
            let text = without_comment(line);
            if text == "start" {
                header.lines = number;
                break;
            }
            let read =
                header.line(text).map_err(|why| format!("line {number}: `{line}`: {why}"))?;
            if !read {
                break;
            }
            header.lines = number;
        }
        Ok(header)
    }

    /// Reads a line, and returns whether the line belongs to a header.
    fn line(&mut self, text: &str) -> Result<bool, String> {
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim();
        let set = |field: &mut Option<String>| match (rest, &field) {
            ("", _) => Err(format!("`{verb}` is followed by what it names")),
            (_, Some(_)) => Err(format!("a header says `{verb}` once")),
            (_, None) => {
                *field = Some(rest.to_owned());
                Ok(true)
            }
        };
        match verb {
            "" => Ok(true),
            "model" => set(&mut self.model),
            "mutant" => set(&mut self.mutant),
            "bounds" => set(&mut self.bounds),
            "violates" => set(&mut self.violates),
            "correct" if rest.is_empty() => {
                self.correct = true;
                Ok(true)
            }
            "undisturbed" if rest.is_empty() => {
                self.scenario.get_or_insert_with(scenario).elections = Elections::ALL;
                Ok(true)
            }
            "servers" | "client" | "max-entries" | "max-sessions" | "snapshot-after"
            | "snapshot-margin" => {
                take_part(self.scenario.get_or_insert_with(scenario), verb, rest)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// The cluster of a scenario before its header changes it: three servers and no client.
fn scenario() -> Spec {
    Spec {
        restarts: true,
        max_entries: 256,
        watch: Watch { leaders: true, votes: true, committed: true, history: true },
        ..Spec::base("scenario", "a golden scenario")
    }
}

fn take_part(spec: &mut Spec, verb: &str, rest: &str) -> Result<(), String> {
    let number = || {
        let number = rest.parse::<u32>().ok().filter(|number| (1..=256).contains(number));
        number.ok_or_else(|| "not a number from 1 to 256".to_owned())
    };
    match verb {
        "servers" => spec.servers = number()? as usize,
        "max-entries" => spec.max_entries = number()? as usize,
        "max-sessions" => spec.max_sessions = number()?,
        "snapshot-after" => spec.snapshot_after = Some(number()?.into()),
        "snapshot-margin" => spec.snapshot_margin = number()?.into(),
        _ => {
            let commands = rest.split(';').map(|command| client_operation(command.trim()));
            let commands = commands.collect::<Result<Vec<_>, _>>()?;
            spec.clients.push(commands);
        }
    }
    Ok(())
}

fn client_operation(text: &str) -> Result<Operation, String> {
    if let Some(query) = text.strip_prefix("read ") {
        return Ok(Operation::Query(
            Command::Get(Bytes::copy_from_slice(query.as_bytes())).encode(),
        ));
    }
    client_command(text).map(|command| Operation::Command(command.encode()))
}

fn client_command(text: &str) -> Result<Command, String> {
    let bytes = |word: &str| Bytes::copy_from_slice(word.as_bytes());
    match text.split_whitespace().collect::<Vec<_>>()[..] {
        ["put", key, value] => Ok(Command::Put(bytes(key), bytes(value))),
        ["get", key] => Ok(Command::Get(bytes(key))),
        ["delete", key] => Ok(Command::Delete(bytes(key))),
        ["cas", key, old, new] => {
            let old = (old != "none").then(|| bytes(old));
            Ok(Command::Cas { key: bytes(key), old, new: bytes(new) })
        }
        _ => Err(format!("`{text}` is not a command of a client")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_names_a_model_and_ends_where_the_commands_begin() {
        let header = Header::of("# a story\nmodel --servers 3\nmutant none\n\ntimeout S0\nmodel x");
        let header = header.expect("a header");
        assert_eq!(header.model.as_deref(), Some("--servers 3"));
        assert_eq!((header.mutant.as_deref(), header.lines), (Some("none"), 4));
        let header = Header::of("violates Log Matching # or so\nstart\nmodel x").expect("a header");
        assert_eq!((header.violates.as_deref(), header.lines), (Some("Log Matching"), 2));
        assert!(header.model.is_none() && header.scenario.is_none());
    }

    #[test]
    fn a_scenario_describes_its_cluster() {
        let header = Header::of("servers 5\nmax-sessions 1\nclient put x 1; get x\nstart\n");
        let spec = header.expect("a header").scenario.expect("a cluster");
        assert_eq!((spec.servers, spec.max_sessions, spec.clients.len()), (5, 1, 1));
        assert_eq!(spec.clients[0].len(), 2);
    }

    #[test]
    fn a_line_of_a_header_that_is_wrong_is_named() {
        for (script, error) in [
            ("\nmodel", "line 2: `model`: `model` is followed by what it names"),
            ("model a\nmodel b", "line 2: `model b`: a header says `model` once"),
            ("servers many", "line 1: `servers many`: not a number from 1 to 256"),
            ("client put x", "line 1: `client put x`: `put x` is not a command of a client"),
        ] {
            assert_eq!(Header::of(script).err().as_deref(), Some(error));
        }
    }
}

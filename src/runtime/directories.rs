//! Which data directory each peer has.
//!
//! A server that lost its directory and was bootstrapped anew under its old number has forgotten its
//! votes and its log: heeding it could elect two leaders in a term. The first directory id heard from a
//! number is remembered, in a file before the message is handled, and datagrams with another are
//! dropped from then on. To the rest of the cluster such a server stays crashed.
//!
//! This guards against an operator's mistake, no more: a server that never heard from the lost
//! directory takes the new one for the first.

use super::error::NodeError;
use super::files::replace_file;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The peers' directory ids as first heard.
#[derive(Debug)]
pub(super) struct Directories {
    known: BTreeMap<u64, u128>,
    file: Option<PathBuf>,
}

impl Directories {
    /// What the file remembers; nothing if there is none yet.
    pub(super) fn open(file: Option<PathBuf>) -> Result<Self, NodeError> {
        let known = match &file {
            Some(path) => read(path).map_err(|error| problem(path, error))?,
            None => BTreeMap::new(),
        };
        Ok(Self { known, file })
    }

    /// Whether `server` may have `directory`: on first contact yes, and from then on only this one.
    pub(super) fn admit(&mut self, server: u64, directory: u128) -> Result<bool, NodeError> {
        if let Some(known) = self.known.get(&server) {
            return Ok(*known == directory);
        }
        self.known.insert(server, directory);
        if let Some(path) = &self.file {
            let hex: BTreeMap<_, _> =
                self.known.iter().map(|(server, id)| (server, format!("{id:032x}"))).collect();
            let text = serde_json::to_vec_pretty(&hex).expect("numbers and texts are JSON");
            replace_file(path, &text).map_err(|error| problem(path, error))?;
        }
        Ok(true)
    }
}

fn problem(path: &Path, source: io::Error) -> NodeError {
    NodeError::Directories { path: path.to_owned(), source }
}

/// JSON, ids in hexadecimal: it is there for an operator to read, too.
fn read(path: &Path) -> io::Result<BTreeMap<u64, u128>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        text => text?,
    };
    let known: BTreeMap<u64, String> = serde_json::from_str(&text)?;
    let id = |(server, hex): (u64, String)| {
        let id = u128::from_str_radix(&hex, 16)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok((server, id))
    };
    known.into_iter().map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Result<Directories, NodeError> {
        Directories::open(Some(path.to_owned()))
    }

    #[test]
    fn the_first_directory_of_a_number_is_the_only_one_even_after_a_restart() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("directories.json");
        let mut directories = open(&path).expect("no file is no knowledge");
        assert!(directories.admit(2, u128::MAX).expect("written"));
        assert!(directories.admit(3, 0).expect("written"));
        assert!(!directories.admit(2, 1).expect("known"));
        let mut restarted = open(&path).expect("the file is sound");
        assert!(!restarted.admit(2, 1).expect("known"));
        assert!(restarted.admit(2, u128::MAX).expect("known"));
        assert!(!restarted.admit(3, 1).expect("known"));
    }

    #[test]
    fn a_damaged_file_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("directories.json");
        for damage in ["{", "{\"2\": \"xyz\"}", "{\"two\": \"1\"}"] {
            fs::write(&path, damage).expect("written");
            let error = open(&path).expect_err("refused").to_string();
            assert!(error.contains("directories.json"), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_remembered_is_not_admitted() {
        let folder = tempfile::tempdir().expect("a directory");
        let mut directories = open(&folder.path().join("gone/directories.json")).expect("no file");
        assert!(matches!(directories.admit(2, 1), Err(NodeError::Directories { .. })));
    }
}

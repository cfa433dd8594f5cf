//! Several servers on one machine, with their data in one directory.
//!
//! The directory of a [`LocalCluster`] holds a directory for each server, and `cluster.json`, which says
//! how many servers there are. [`LocalCluster::prepare`] writes that file twice. Before it bootstraps
//! the first server, the file says that the servers are *begun*; after the last, that they are *ready*.
//! So the state that a crash leaves tells what to do:
//!
//! | `cluster.json` | servers | meaning | [`LocalCluster::prepare`] |
//! |---|---|---|---|
//! | missing | none | no cluster | begins one |
//! | begun | some, none of which has run | an interrupted beginning | bootstraps the others |
//! | ready | all | a cluster | does nothing; makes no new directory for a lost one |
//! | missing | some | a cluster that lost the file | fails: nobody knows how many servers there were |
//!
//! If the file were written only after a bootstrap, a crash between the two would leave servers without
//! the file. It would look like a lost file.

use super::{DEFAULT_CLUSTER, DeployError, Deployment};
use crate::runtime::store::{RealDisk, StoreError, replace_file};
use crate::state_machine::StateMachine;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file that says how many servers there are.
const MARKER: &str = "cluster.json";

/// A cluster of servers 1, 2, .. on 127.0.0.1, with their data in the directories `1`, `2`, .. of one
/// directory.
#[derive(Clone, Debug)]
pub struct LocalCluster {
    /// The number of servers, at least 1.
    pub servers: u16,
    /// The port of server 1. The other servers have the ports after it.
    pub base_port: u16,
    /// The directory that holds the directories of all servers.
    pub data: PathBuf,
    /// The cluster's name.
    pub cluster: String,
}

/// The content of `cluster.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Marker {
    cluster: String,
    servers: u16,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// Some servers may have been bootstrapped; none has run.
    Begun,
    /// All servers have been bootstrapped, and may have run.
    Ready,
}

/// The file `cluster.json` as it is written: a marker and the CRC-32 of the marker's JSON.
#[derive(Serialize, Deserialize)]
struct Sealed {
    #[serde(flatten)]
    marker: Marker,
    crc32: u32,
}

impl LocalCluster {
    /// Creates a cluster of three servers with the default name.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        let (data, cluster) = (data.into(), DEFAULT_CLUSTER.to_owned());
        Self { servers: 3, base_port: 7001, data, cluster }
    }

    /// Opens the cluster that `data` holds. For a directory that holds none yet, returns a cluster of
    /// three servers. The addresses are not remembered.
    pub fn open(data: impl Into<PathBuf>, base_port: u16) -> Result<Self, DeployError> {
        let new = Self { base_port, ..Self::new(data) };
        Ok(match read(&new.data)? {
            Some(Marker { cluster, servers, .. }) => Self { servers, cluster, ..new },
            None => new,
        })
    }

    /// The servers of this cluster.
    pub fn deployments(&self) -> Result<Vec<Deployment>, DeployError> {
        if self.servers == 0 || u16::MAX - self.base_port < self.servers - 1 {
            let Self { servers, base_port, .. } = self;
            return Err(self.problem(format!(
                "{servers} servers do not fit the ports from {base_port} to {}",
                u16::MAX
            )));
        }
        let address = |id: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, self.base_port + (id - 1)));
        let deployment = |id: u16| {
            let others = (1..=self.servers).filter(|other| *other != id);
            let peers = others.map(|other| (u64::from(other), address(other))).collect();
            let data = self.data.join(id.to_string());
            let mut deployment = Deployment::new(u64::from(id), address(id), peers, data);
            deployment.cluster.clone_from(&self.cluster);
            deployment
        };
        Ok((1..=self.servers).map(deployment).collect())
    }

    /// Makes a directory without a cluster hold this one. If it holds a cluster already, checks that it
    /// is this one. Problems that would keep a server from starting are found before anything is
    /// written.
    ///
    /// Servers are bootstrapped before the first of them runs, and never again. A server whose directory
    /// is gone has forgotten its votes, and a new one in its place could break the cluster. If this is
    /// interrupted, it can be run again.
    pub fn prepare<S: StateMachine>(&self) -> Result<(), DeployError> {
        let deployments = self.deployments()?;
        for deployment in &deployments {
            deployment.check()?;
        }
        match read(&self.data)? {
            Some(found) => {
                self.refuse_if_other(&found)?;
                if found.state == State::Ready {
                    return Ok(());
                }
            }
            None => self.mark(State::Begun)?,
        }
        for deployment in &deployments {
            self.bootstrap::<S>(deployment)?;
        }
        self.mark(State::Ready)
    }

    fn refuse_if_other(&self, found: &Marker) -> Result<(), DeployError> {
        let Marker { cluster, servers, .. } = found;
        if (cluster, servers) == (&self.cluster, &self.servers) {
            return Ok(());
        }
        Err(self.problem(format!(
            "it holds {servers} servers of cluster {cluster:?}, but {} of cluster {:?} are asked for; \
             ask for what is there, or choose another directory",
            self.servers, self.cluster
        )))
    }

    /// Bootstraps a server, unless an interrupted beginning has done so.
    fn bootstrap<S: StateMachine>(&self, deployment: &Deployment) -> Result<(), DeployError> {
        match deployment.bootstrap::<S>() {
            Err(DeployError::Store(StoreError::AlreadyBootstrapped { .. })) => {
                if deployment.has_run::<S>()? {
                    return Err(self.problem(format!(
                        "server {} has run before, yet {MARKER} says that the cluster was only begun; \
                         start it and the others with `raft node`, or choose another directory",
                        deployment.id
                    )));
                }
                Ok(())
            }
            result => result,
        }
    }

    fn mark(&self, state: State) -> Result<(), DeployError> {
        let marker = Marker { cluster: self.cluster.clone(), servers: self.servers, state };
        let path = self.data.join(MARKER);
        Ok(replace_file(Arc::new(RealDisk), &path, &sealed(&marker))?)
    }

    fn problem(&self, problem: String) -> DeployError {
        DeployError::Local { path: self.data.clone(), problem }
    }
}

/// The text of `cluster.json`.
fn sealed(marker: &Marker) -> Vec<u8> {
    let json = |value| serde_json::to_vec_pretty(value).expect("plain data has a JSON form");
    let crc32 = crc32fast::hash(&serde_json::to_vec(marker).expect("plain data has a JSON form"));
    let mut text = json(&Sealed { marker: marker.clone(), crc32 });
    text.push(b'\n');
    text
}

/// Reads `cluster.json`, if the directory holds a cluster. Only exactly the text that was written is
/// believed, so that no damage to the file passes.
fn read(data: &Path) -> Result<Option<Marker>, DeployError> {
    let path = data.join(MARKER);
    let refused = |problem: String| DeployError::Local { path: path.clone(), problem };
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            refuse_if_servers(data)?;
            return Ok(None);
        }
        Err(error) => return Err(refused(error.to_string())),
        Ok(text) => text,
    };
    match serde_json::from_slice::<Sealed>(&text) {
        Ok(Sealed { marker, .. }) if sealed(&marker) == text => Ok(Some(marker)),
        result => {
            let reason = result.err().map_or(String::new(), |error| format!(" ({error})"));
            Err(refused(format!(
                "it is damaged, was edited, or is of another version{reason}; put back the file as it \
                 was, or start the servers in the directories beside it with `raft node`"
            )))
        }
    }
}

/// Refuses a directory that holds servers but no `cluster.json`.
fn refuse_if_servers(data: &Path) -> Result<(), DeployError> {
    let entries = match fs::read_dir(data) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries,
    };
    let refused = |problem| DeployError::Local { path: data.to_owned(), problem };
    for entry in entries.map_err(|error| refused(error.to_string()))? {
        let entry = entry.map_err(|error| refused(error.to_string()))?;
        let name = entry.file_name();
        let is_number = name.to_str().is_some_and(|name| name.parse::<u16>().is_ok());
        let has = |file| entry.path().join(file).exists();
        if is_number && ["log", "watermark", "census"].into_iter().any(has) {
            return Err(refused(format!(
                "it holds server {} but no {MARKER}, which says how many servers there are; put the \
                 file back, start the servers with `raft node`, or choose another directory",
                name.display()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_and_every_flipped_bit_of_the_file_is_refused() {
        let folder = tempfile::tempdir().expect("a directory");
        let cluster = LocalCluster::open(folder.path(), 7001).expect("no cluster yet");
        cluster.mark(State::Ready).expect("written");
        let path = folder.path().join(MARKER);
        let text = fs::read(&path).expect("written");
        let cuts = (0..text.len()).map(|length| text[..length].to_vec());
        let flips = (0..text.len() * 8).map(|bit| {
            let mut flipped = text.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            flipped
        });
        for damaged in cuts.chain(flips) {
            fs::write(&path, &damaged).expect("written");
            let error = LocalCluster::open(folder.path(), 7001).expect_err("refused").to_string();
            let damaged = damaged.escape_ascii();
            assert!(error.contains(MARKER) && error.contains("`raft node`"), "{damaged}: {error}");
        }
        fs::write(&path, &text).expect("written");
        LocalCluster::open(folder.path(), 7001).expect("it is as it was");
    }
}

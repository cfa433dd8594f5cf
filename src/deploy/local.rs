//! Several servers on one machine, with their data in one directory.

use super::{DEFAULT_CLUSTER, DeployError, Deployment};
use crate::runtime::replace_file;
use crate::runtime::store::StoreError;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The file that says how many servers there are, once all of them are bootstrapped.
const MARKER: &str = "cluster.json";

/// Servers 1, 2, .. on 127.0.0.1, with their data in the directories `1`, `2`, .. of one directory.
#[derive(Clone, Debug)]
pub struct LocalCluster {
    /// How many, from 1.
    pub servers: u16,
    /// The port of server 1; the others follow.
    pub base_port: u16,
    /// The directory of them all.
    pub data: PathBuf,
    /// The cluster's name.
    pub cluster: String,
}

#[derive(PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Marker {
    cluster: String,
    servers: u16,
}

impl LocalCluster {
    /// The cluster that `data` holds, or for a directory that holds none yet, three servers. The
    /// addresses are not remembered.
    pub fn open(data: impl Into<PathBuf>, base_port: u16) -> Result<Self, DeployError> {
        let data = data.into();
        let Marker { cluster, servers } = read(&data)?
            .unwrap_or_else(|| Marker { cluster: DEFAULT_CLUSTER.to_owned(), servers: 3 });
        Ok(Self { servers, base_port, data, cluster })
    }

    /// Its servers.
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

    /// Makes a directory without a cluster hold this one; otherwise finds out whether it does. What
    /// would keep a server from starting is found before anything is written.
    ///
    /// Servers are bootstrapped before the first of them runs, and never again: one whose directory
    /// is gone has forgotten its votes, and a new one in its place could break the cluster. If this
    /// is interrupted, it can be run again.
    pub fn prepare(&self) -> Result<(), DeployError> {
        let deployments = self.deployments()?;
        for deployment in &deployments {
            deployment.check()?;
        }
        let marker = Marker { cluster: self.cluster.clone(), servers: self.servers };
        if let Some(found) = read(&self.data)? {
            if found != marker {
                let Marker { cluster, servers } = found;
                return Err(self.problem(format!(
                    "it holds {servers} servers of cluster {cluster:?}, but {} of cluster {:?} are \
                     asked for; ask for what is there, or choose another directory",
                    self.servers, self.cluster
                )));
            }
            return Ok(());
        }
        for deployment in &deployments {
            match deployment.bootstrap() {
                // An earlier attempt was interrupted, before any server ran.
                Err(DeployError::Store(StoreError::AlreadyBootstrapped { .. }))
                    if deployment.saves()? == 0 => {}
                Err(DeployError::Store(StoreError::AlreadyBootstrapped { .. })) => {
                    return Err(self.problem(format!(
                        "server {} has run before, but not as one of a cluster begun here; start it \
                         and the others with `raft node`, or choose another directory",
                        deployment.id
                    )));
                }
                result => result?,
            }
        }
        let path = self.data.join(MARKER);
        let text = serde_json::to_vec(&marker).expect("plain data has a JSON form");
        replace_file(&path, &text)
            .map_err(|error| DeployError::Local { path, problem: error.to_string() })
    }

    fn problem(&self, problem: String) -> DeployError {
        DeployError::Local { path: self.data.clone(), problem }
    }
}

fn read(data: &Path) -> Result<Option<Marker>, DeployError> {
    let path = data.join(MARKER);
    let marker = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => Err(error.to_string()),
        Ok(text) => serde_json::from_slice(&text).map_err(|error| error.to_string()),
    };
    marker.map(Some).map_err(|problem| DeployError::Local { path, problem })
}

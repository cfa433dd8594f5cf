//! `raft cluster`: several servers on this machine.

use super::children::{Children, Ended};
use super::node::refused;
use super::{Failure, Status, signals};
use checked_raft::deploy::{DEFAULT_CLUSTER, Deployment, LocalCluster};
use clap::Args;
use signal_hook::iterator::Signals;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

const DEFAULT_PORT: u16 = 7001;

/// Run several servers on this machine, each a process of its own, until Ctrl-C
///
/// The exit code is 0 if every server ran until it was told to stop.
#[derive(Args)]
pub(super) struct Cluster {
    /// How many servers [default: those that are in the directory, or 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=99))]
    servers: Option<u16>,
    /// Keep the data here, and go on with what is here already [default: a temporary directory, which
    /// is removed at the end unless a server fails]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The port of the first server (UDP); the others follow
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_PORT,
          value_parser = clap::value_parser!(u16).range(1..))]
    base_port: u16,
    /// Let every server write a trace, DIR/1.trace and so on, for `raft trace`; needs --data
    #[arg(long, requires = "data")]
    trace: bool,
    /// Options for every server, after `--`, such as `-- --election-timeout 500..1000 --log debug`
    #[arg(last = true, value_name = "NODE OPTIONS")]
    node_options: Vec<OsString>,
}

impl Cluster {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Status, Failure> {
        let mut children = Children::default();
        // Before anything is written or runs, so that no signal leaves it behind.
        stop_at_signals(&children)?;
        let data = Data::new(self.data.as_deref())?;
        let result = self.start(&data, &mut children, out);
        let status = result.map(|()| Self::watch(&mut children, out));
        // An error may have come between the start of two of them.
        children.stop();
        data.end(status.as_ref().ok().copied(), out);
        status
    }

    /// Starts the servers and says so.
    fn start(
        &self,
        data: &Data,
        children: &mut Children,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let mut cluster = LocalCluster::open(&data.path, self.base_port).map_err(refused)?;
        cluster.servers = self.servers.unwrap_or(cluster.servers);
        cluster.prepare().map_err(refused)?;
        let mut deployments = cluster.deployments().map_err(refused)?;
        for deployment in &mut deployments {
            let trace = data.path.join(format!("{}.trace", deployment.id));
            deployment.trace = self.trace.then_some(trace);
        }
        for deployment in &deployments {
            let (command, id) = (self.command(deployment)?, deployment.id);
            children.start(id, command).map_err(|error| {
                Failure::Refused(format!("cannot start the process of server {id}: {error}"))
            })?;
        }
        welcome(&cluster, &deployments, data.is_temporary, out)
    }

    /// Until the end of all, or of the last of them. Whether anybody reads how they ended or not, the
    /// exit code tells it.
    fn watch(children: &mut Children, out: &mut dyn Write) -> Status {
        let mut failed = false;
        while children.are_running() {
            let Some(Ended { id, status }) = children.wait() else { break };
            failed = true;
            let _ =
                writeln!(out, "Server {id} ended by itself ({status}); it is not started again.");
        }
        if !children.are_running() {
            let _ = writeln!(out, "No server is left.");
        }
        let unclean = children.stop();
        for Ended { id, status } in &unclean {
            let _ = writeln!(out, "Server {id} did not stop as it should ({status}).");
        }
        if !failed && unclean.is_empty() { Status::Success } else { Status::Other }
    }

    fn command(&self, deployment: &Deployment) -> Result<Command, Failure> {
        let this = std::env::current_exe()
            .map_err(|error| Failure::Refused(format!("cannot find this program: {error}")))?;
        let mut command = Command::new(this);
        command.args(["node", "--stop-at-end-of-input", "--id", &deployment.id.to_string()]);
        command.args(["--listen", &deployment.listen.to_string()]);
        command.args(["--cluster", &deployment.cluster]);
        for (peer, address) in &deployment.peers {
            command.args(["--peer", &format!("{peer}={address}")]);
        }
        command.arg("--data").arg(&deployment.data);
        if let Some(trace) = &deployment.trace {
            command.arg("--trace").arg(trace);
        }
        command.args(&self.node_options);
        Ok(command)
    }
}

/// Says who runs where and what to do with them.
fn welcome(
    cluster: &LocalCluster,
    deployments: &[Deployment],
    is_temporary: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let data = cluster.data.display();
    let kept = if is_temporary { "removed at the end, unless a server fails" } else { "kept" };
    let count = deployments.len();
    writeln!(out, "{count} servers of cluster {:?}, data in {data} ({kept}):", cluster.cluster)?;
    let mut servers = String::new();
    for Deployment { id, listen, .. } in deployments {
        writeln!(out, "  server {id} at {listen}")?;
        // The first three addresses that a client tries by itself are the first three here.
        if cluster.base_port != DEFAULT_PORT {
            servers = format!("{servers} --server {listen}");
        }
    }
    if cluster.cluster != DEFAULT_CLUSTER {
        servers = format!("{servers} --cluster {}", cluster.cluster);
    }
    writeln!(out, "Talk to them from another terminal:")?;
    for command in ["put greeting hello", "get greeting", "status"] {
        writeln!(out, "  raft {command}{servers}")?;
    }
    writeln!(out, "Ctrl-C stops all.")?;
    Ok(out.flush()?)
}

fn stop_at_signals(children: &Children) -> Result<(), Failure> {
    let stopper = children.stopper();
    let mut signals = Signals::new(signals::stopping())
        .map_err(|error| Failure::Refused(format!("cannot handle signals: {error}")))?;
    thread::spawn(move || {
        for _ in signals.forever() {
            stopper.stop();
        }
    });
    Ok(())
}

/// Where the data is.
struct Data {
    path: PathBuf,
    is_temporary: bool,
}

impl Data {
    fn new(given: Option<&Path>) -> Result<Self, Failure> {
        if let Some(path) = given {
            return Ok(Self { path: path.to_owned(), is_temporary: false });
        }
        let number = getrandom::u64()
            .map_err(|error| Failure::Refused(format!("no random numbers: {error}")))?;
        // An empty TMPDIR is as good as none.
        let folder = Some(std::env::temp_dir()).filter(|path| !path.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| PathBuf::from("/tmp"));
        let path = folder.join(format!("raft-cluster-{number:016x}"));
        fs::create_dir(&path).map_err(|error| {
            Failure::Refused(format!(
                "cannot create the temporary directory {}: {error}; set TMPDIR to a directory that is \
                 there, or say where to keep the data with --data DIR",
                path.display()
            ))
        })?;
        Ok(Self { path, is_temporary: true })
    }

    /// Removes what nobody asked to keep, unless it may tell why a server failed. `status` is `None`
    /// if no server has run for long.
    fn end(&self, status: Option<Status>, out: &mut dyn Write) {
        if !self.is_temporary {
            return;
        }
        let path = self.path.display();
        if status.is_some_and(|status| status != Status::Success) {
            let _ = writeln!(out, "A server failed, so the data is left in {path}.");
        } else if let Err(error) = fs::remove_dir_all(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            let _ = writeln!(out, "The data is left in {path}: {error}");
        }
    }
}

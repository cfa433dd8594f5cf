//! `raft node`: one server.

use super::children::read_block_line;
use super::settings::Settings;
use super::{Failure, Status, logging, signals};
use checked_raft::deploy::DeployError;
use checked_raft::kv::Kv;
use checked_raft::runtime::{Cuts, Stop};
use clap::Args;
use std::io::{self, BufRead};
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::thread;

/// Run one server of the replicated key-value store, until SIGINT, SIGTERM or SIGHUP
///
/// Every server of the cluster is given the numbers and addresses of the others. The first time, and
/// only then, it is started with --bootstrap, which creates its identity in an empty directory.
#[derive(Args)]
pub(super) struct Node {
    /// Read options from this file; options on the command line take precedence
    ///
    /// TOML, with the options' names as keys (all but `bootstrap`, which no file may keep): `id = 1`,
    /// `listen = "127.0.0.1:7001"`, `peer = ["2=127.0.0.1:7002"]`, and so on.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Create this server's identity in its data directory, then run
    ///
    /// Do this once in the life of a server. If its directory is ever lost, so are its votes, and a new
    /// directory in its place could break the cluster.
    #[arg(long)]
    bootstrap: bool,
    #[command(flatten)]
    settings: Settings,
    /// Read from standard input whose datagrams to drop, line by line, and start after the first line. Stop
    /// when standard input ends, as it does however the process at its other end ends.
    #[arg(long, hide = true)]
    obey_input: bool,
}

impl Node {
    pub(super) fn run(self) -> Result<Status, Failure> {
        let settings = match &self.config {
            Some(path) => self.settings.or(Settings::read(path)?),
            None => self.settings,
        };
        let _flush = logging::start(settings.log())?;
        let deployment = settings.deployment()?;
        let stop = Stop::new();
        for signal in signals::stopping() {
            signal_hook::flag::register(signal, stop.flag())
                .map_err(|error| Failure::Refused(format!("cannot handle signals: {error}")))?;
        }
        if self.bootstrap {
            deployment.bootstrap::<Kv>().map_err(refused)?;
        }
        let node = deployment.bind::<Kv>().map_err(refused)?;
        if self.obey_input {
            obey(deployment.id, node.cuts(), stop.clone());
        }
        node.run(&stop).map_err(refused)?;
        Ok(Status::Success)
    }
}

/// Lets standard input say whose datagrams the server drops, and stops the server when the input ends.
/// Returns after the first line, so that a server never hears a peer whom it is not to hear.
fn obey(id: u64, cuts: Cuts, stop: Stop) {
    let (told, first) = channel();
    thread::spawn(move || {
        // An input that cannot be read has ended as well.
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            set(id, &cuts, &line);
            let _ = told.send(());
        }
        stop.trigger();
    });
    // If the input ends before its first line, the server stops.
    let _ = first.recv();
}

fn set(id: u64, cuts: &Cuts, line: &str) {
    let blocked = match read_block_line(line) {
        Ok(blocked) => blocked,
        Err(reason) => return tracing::warn!(id, "ignores a line of its input: {reason}"),
    };
    match cuts.set(&blocked) {
        Ok(false) => {}
        Ok(true) if blocked.is_empty() => tracing::info!(id, "heeds every server again"),
        Ok(true) => tracing::info!(id, of = ?blocked, "drops every datagram of some servers"),
        Err(stranger) => {
            tracing::warn!(id, "cannot drop the datagrams of {stranger}: it is no peer");
        }
    }
}

pub(super) fn refused(error: DeployError) -> Failure {
    Failure::Refused(error.to_string())
}

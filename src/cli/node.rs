//! `raft node`: one server.

use super::settings::Settings;
use super::{Failure, Status, logging, signals};
use checked_raft::deploy::DeployError;
use checked_raft::kv::Kv;
use checked_raft::runtime::Stop;
use clap::Args;
use std::io;
use std::path::PathBuf;
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
    /// Stop when standard input ends, as it does however the process at its other end ends.
    #[arg(long, hide = true)]
    stop_at_end_of_input: bool,
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
        if self.stop_at_end_of_input {
            let stop = stop.clone();
            thread::spawn(move || {
                // An input that cannot be read has ended as well.
                let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
                stop.trigger();
            });
        }
        if self.bootstrap {
            deployment.bootstrap().map_err(refused)?;
        }
        let node = deployment.bind::<Kv>().map_err(refused)?;
        node.run(&stop).map_err(refused)?;
        Ok(Status::Success)
    }
}

pub(super) fn refused(error: DeployError) -> Failure {
    Failure::Refused(error.to_string())
}

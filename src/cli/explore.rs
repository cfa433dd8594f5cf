//! `raft explore`: the Stateright Explorer on one of our models.

use super::bounds::Bounds;
use super::counterexample::EXPLORER;
use super::explorer::Explorer;
use super::subject::Subject;
use super::{Failure, Status};
use checked_raft::models::script::Runner;
use clap::Args;
use stateright::Model;
use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use tiny_http::Server;

/// Walk through a model, or through a mutant's, in the browser
#[derive(Args)]
pub(super) struct Explore {
    /// The model; the first one of the catalogue if none is named
    #[arg(value_name = "MODEL", conflicts_with_all = ["mutant", "servers"])]
    model: Option<String>,
    /// Explore this mutant in its model
    #[arg(long, value_name = "NAME", conflicts_with = "servers")]
    mutant: Option<String>,
    #[command(flatten)]
    bounds: Bounds,
    /// Where to serve; port 0 takes any free one
    #[arg(long, value_name = "IP:PORT", default_value = EXPLORER)]
    address: SocketAddr,
}

impl Explore {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Status, Failure> {
        let subject = match (&self.mutant, Subject::bounded(&self.bounds)) {
            (_, Some(subject)) => subject,
            (Some(mutant), None) => Subject::mutant(mutant)?,
            (None, None) => Subject::models(self.model.as_slice())?.swap_remove(0),
        };
        let server = Server::http(self.address).map_err(|error| self.refused(&error))?;
        let address = server.server_addr().to_ip().unwrap_or(self.address);
        let checked = subject.cluster();
        let serve = |inner| drop(checked.checker().serve(inner));
        let model = subject.cluster();
        let mut runner = Runner::new(&model, model.started());
        runner.run(subject.spec.prefix).map_err(Failure::Refused)?;
        let script = runner.steps().to_vec();
        let explorer = Explorer::start(model, script, serve)
            .map_err(|error| Failure::Refused(format!("cannot start the Explorer: {error}")))?;
        writeln!(out, "{}: {}", subject.name(), subject.spec.about)?;
        writeln!(out, "bounds {}", subject.spec.bounds_text())?;
        if let Some(prefix) = subject.prefix() {
            writeln!(out, "It starts from this script:\n{prefix}")?;
        }
        writeln!(out, "Explorer at http://{address}/#/steps/0 (Ctrl-C ends it)")?;
        out.flush()?;
        explorer.serve(&server);
        Ok(Status::Success)
    }

    fn refused(&self, error: &dyn fmt::Display) -> Failure {
        Failure::Refused(format!(
            "cannot listen on {}: {error}; choose another with --address IP:PORT",
            self.address
        ))
    }
}

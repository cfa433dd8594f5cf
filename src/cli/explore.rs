//! `raft explore`: the Stateright Explorer on one of our models.

use super::counterexample::EXPLORER;
use super::subject::Subject;
use super::{Failure, Status};
use clap::Args;
use stateright::Model;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};

/// Walk through a model, or through a mutant's, in the browser
#[derive(Args)]
pub(super) struct Explore {
    /// The model; the first one of the catalogue if none is named
    #[arg(value_name = "MODEL", conflicts_with = "mutant")]
    model: Option<String>,
    /// Explore this mutant in its model
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
    /// Where to serve; port 0 takes any free one
    #[arg(long, value_name = "IP:PORT", default_value = EXPLORER)]
    address: SocketAddr,
}

impl Explore {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Status, Failure> {
        let subject = match (&self.mutant, &self.model) {
            (Some(mutant), _) => Subject::mutant(mutant)?,
            (None, model) => Subject::models(model.as_slice())?.swap_remove(0),
        };
        let address = self.free_address()?;
        writeln!(out, "{}: {}", subject.name(), subject.spec.about)?;
        writeln!(out, "bounds {}", subject.spec.bounds_text())?;
        if let Some(prefix) = subject.prefix() {
            writeln!(out, "It starts from this script:\n{prefix}")?;
        }
        writeln!(out, "Explorer at http://{address}/#/steps/0 (Ctrl-C ends it)")?;
        out.flush()?;
        subject.cluster().checker().serve(address);
        Ok(Status::Success)
    }

    /// stateright panics if it cannot listen, so this is tried before.
    fn free_address(&self) -> Result<SocketAddr, Failure> {
        let bound = TcpListener::bind(self.address).and_then(|listener| listener.local_addr());
        bound.map_err(|error| {
            Failure::Refused(format!(
                "cannot listen on {}: {error}; choose another with --address IP:PORT",
                self.address
            ))
        })
    }
}

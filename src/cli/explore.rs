//! `raft explore`: the page on which people walk through one of our models, and the Stateright Explorer.

use super::bounds::Bounds;
use super::counterexample::EXPLORER;
use super::explorer::Explorer;
use super::page::server::PageServer;
use super::subject::{Chosen, Subject};
use super::{Failure, Status, stories};
use checked_raft::models::header::Header;
use checked_raft::models::script::Runner;
use clap::Args;
use stateright::Model;
use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use tiny_http::Server;

/// Walk through a model, or through a mutant's, in the browser
///
/// The page shows the servers, their logs and the messages, and what can happen next. A click delivers a
/// message, loses it, lets a timer fire or a server restart. The Stateright Explorer is at /stateright/.
/// docs/page.md describes the page.
#[derive(Args)]
pub(super) struct Explore {
    /// The model; the first one of the catalogue if none is named
    #[arg(value_name = "MODEL", conflicts_with_all = ["mutant", "servers", "script"])]
    model: Option<String>,
    /// Explore this mutant in its model
    #[arg(long, value_name = "NAME", conflicts_with_all = ["servers", "script"])]
    mutant: Option<String>,
    /// Begin at the end of this script; its header names the model or the mutant
    #[arg(long, value_name = "FILE", conflicts_with = "servers")]
    script: Option<PathBuf>,
    /// Begin a story: a script with a text for its steps
    #[arg(long, value_name = "NAME", conflicts_with_all = ["model", "mutant", "servers", "script"])]
    story: Option<String>,
    /// Write all stories into this folder, as pages that need no server, and end
    #[arg(long, value_name = "DIR",
          conflicts_with_all = ["model", "mutant", "servers", "script", "story", "address"])]
    export: Option<PathBuf>,
    #[command(flatten)]
    bounds: Bounds,
    /// Where to serve; port 0 takes any free one
    #[arg(long, value_name = "IP:PORT", default_value = EXPLORER)]
    address: SocketAddr,
}

impl Explore {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Status, Failure> {
        if let Some(folder) = &self.export {
            let count = stories::export(folder)?;
            writeln!(out, "{count} stories are in {}; begin with index.html.", folder.display())?;
            return Ok(Status::Success);
        }
        let (subject, script) = self.subject()?;
        let server = Server::http(self.address).map_err(|error| self.refused(&error))?;
        let address = server.server_addr().to_ip().unwrap_or(self.address);
        let explorer = explorer(&subject)?;
        // All of it is written at once: a reader that has seen enough may go.
        out.write_all(head(&subject, address).as_bytes())?;
        out.flush()?;
        PageServer::new(&script, (&subject.header(), explorer), address).serve(&server);
        Ok(Status::Success)
    }

    /// The subject, and the script that the page begins with.
    fn subject(&self) -> Result<(Subject, String), Failure> {
        if let Some(name) = &self.story {
            let story = stories::find(name)?;
            let refused = |why| Failure::Refused(format!("the story {name}: {why}"));
            let header = Header::of(story.script).map_err(refused)?;
            let subject = Subject::of_script(&header, Chosen::default()).map_err(refused)?;
            return Ok((subject, story.script.to_owned()));
        }
        let Some(path) = &self.script else {
            let subject = match (&self.mutant, Subject::bounded(&self.bounds)) {
                (_, Some(subject)) => subject,
                (Some(mutant), None) => Subject::mutant(mutant)?,
                (None, None) => Subject::models(self.model.as_slice())?.swap_remove(0),
            };
            let script = subject.header() + "start\n";
            return Ok((subject, script));
        };
        let refused = |error: String| Failure::Refused(format!("{}: {error}", path.display()));
        let script = std::fs::read_to_string(path).map_err(|error| {
            refused(format!("cannot read it: {error}; name a script that is text"))
        })?;
        let header = Header::of(&script).map_err(refused)?;
        let subject = Subject::of_script(&header, Chosen::default()).map_err(refused)?;
        Ok((subject, script))
    }

    fn refused(&self, error: &dyn fmt::Display) -> Failure {
        Failure::Refused(format!(
            "cannot listen on {}: {error}; choose another with --address IP:PORT",
            self.address
        ))
    }
}

/// What there is to say before the page is served.
fn head(subject: &Subject, address: SocketAddr) -> String {
    let from = subject.prefix().map(|prefix| format!("It starts from this script:\n{prefix}\n"));
    format!(
        "{}: {}\nbounds {}\n{}The page is at http://{address}/ (Ctrl-C ends it)\n\
         Stateright's Explorer is at http://{address}/stateright/#/steps/0\n",
        subject.name(),
        subject.spec.about,
        subject.spec.bounds_text(),
        from.unwrap_or_default()
    )
}

/// Starts stateright's Explorer on a subject.
fn explorer(subject: &Subject) -> Result<Explorer, Failure> {
    let checked = subject.cluster();
    let model = subject.cluster();
    let mut runner = Runner::new(&model, model.started());
    runner.run(subject.spec.prefix).map_err(Failure::Refused)?;
    let script = runner.steps().to_vec();
    Explorer::start(model, script, move |inner| drop(checked.checker().serve(inner)))
        .map_err(|error| Failure::Refused(format!("cannot start stateright's Explorer: {error}")))
}

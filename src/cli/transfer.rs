//! `raft transfer`: hands the leadership over.

use super::servers::{Servers, failed};
use super::{Failure, Status};
use clap::Args;
use std::io::Write;

/// Make server TO the leader
///
/// The leader brings the log of TO up to date, takes no requests meanwhile, and tells TO to stand for
/// election. It gives up after an election timeout. The exit code is 0 once TO leads, and 2 for any error.
#[derive(Args)]
pub(super) struct Transfer {
    /// The number of the server that is to lead
    #[arg(value_name = "TO")]
    to: u64,
    #[command(flatten)]
    servers: Servers,
}

impl Transfer {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Status, Failure> {
        self.servers.connect()?.transfer(self.to).map_err(failed)?;
        writeln!(out, "server {} leads", self.to)?;
        Ok(Status::Success)
    }
}

//! `raft mutants`: the seeded bugs.

use super::models::table;
use super::{Failure, Status, json};
use checked_raft::models::mutants;
use clap::Args;
use std::io::Write;

/// List the seeded bugs that show that the checker bites
#[derive(Args)]
pub(super) struct Mutants {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Mutants {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Status, Failure> {
        let mutants = mutants::catalogue();
        if self.json {
            let mutants = mutants.iter().map(json::ListedMutant::new).collect();
            writeln!(out, "{}", json::text(&json::Mutants { mutants }))?;
            return Ok(Status::Success);
        }
        let mut table =
            table(["mutant", "breaks", "caught by", "in the model", "seen in", "about"]);
        for mutant in mutants {
            table.add_row([
                mutant.name,
                mutant.breaks,
                mutant.caught_by,
                mutant.spec.name,
                mutant.seen_in,
                mutant.about,
            ]);
        }
        writeln!(out, "{table}")?;
        writeln!(out, "`raft check --mutant NAME` finds one.")?;
        Ok(Status::Success)
    }
}

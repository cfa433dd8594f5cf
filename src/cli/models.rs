//! `raft models`: the catalogue.

use super::options::grouped;
use super::subject::Subject;
use super::{Failure, Status, json};
use clap::Args;
use comfy_table::Table;
use std::io::Write;

/// List the models of the catalogue with their bounds
#[derive(Args)]
pub(super) struct Models {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Models {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Status, Failure> {
        let models = Subject::models(&[])?;
        if self.json {
            let models: Vec<_> = models.iter().map(json::ListedModel::new).collect();
            writeln!(out, "{}", json::text(&json::Models { models }))?;
            return Ok(Status::Success);
        }
        let mut table = table(["model", "tuples", "maximal states", "states", "bounds", "about"]);
        for model in &models {
            let spec = &model.spec;
            let mut about = spec.about.to_owned();
            if model.prefix().is_some() {
                about.push_str(" (starts from a script)");
            }
            if spec.deep {
                about.push_str(" (deep: run by `raft check --deep`)");
            }
            let (tuples, maximal) = spec.tuples;
            let states = spec.states.map_or("too many".to_owned(), grouped);
            let (tuples, maximal) = (grouped(tuples), grouped(maximal));
            let name = spec.name.to_owned();
            table.add_row([name, tuples, maximal, states, spec.bounds_text(), about]);
        }
        writeln!(out, "{table}")?;
        Ok(Status::Success)
    }
}

/// An empty table of at most 120 columns.
pub(super) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic).set_width(120);
    table.set_header(header);
    // Names stand in the first column, and a name that is broken cannot be copied.
    if let Some(names) = table.column_mut(0) {
        names.set_constraint(comfy_table::ColumnConstraint::ContentWidth);
    }
    table
}

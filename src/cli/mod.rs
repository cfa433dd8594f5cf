//! The command line: argument parsing and presentation only. One file for each subcommand.

mod addresses;
mod check;
mod children;
mod cluster;
mod counterexample;
mod explore;
mod explorer;
mod json;
mod kill_matrix;
mod kv;
mod logging;
mod memory;
mod models;
mod mutant_pages;
mod mutants;
mod node;
mod options;
mod progress;
mod report;
mod servers;
mod settings;
mod status;
mod subject;
mod trace;

use clap::{Parser, Subcommand};
use std::io::{self, Write};
use std::process::ExitCode;

/// Raft written once: exhaustively model checked, and that very actor deployed as durable UDP nodes
#[derive(Parser)]
#[command(name = "raft", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Models(models::Models),
    Check(check::Check),
    Explore(explore::Explore),
    Mutants(mutants::Mutants),
    Node(Box<node::Node>),
    Cluster(cluster::Cluster),
    Trace(trace::Trace),
    Put(kv::Put),
    Get(kv::Get),
    Delete(kv::Delete),
    Cas(kv::Cas),
    Status(status::ClusterStatus),
}

/// How a command ended, as its exit code says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    /// Everything asked for is so.
    Success = 0,
    /// A property is violated, or a trace rejected.
    Violation = 1,
    /// Anything else: nothing can be claimed.
    Other = 2,
}

impl Status {
    /// The answer is no: a key has no value, or not the one that was asked for.
    const NO: Self = Self::Violation;
}

/// Why a command ended without a result.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// It cannot do what is asked: what, where, and what to do.
    #[error("{0}")]
    Refused(String),
    /// What it prints cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// Runs the command that the arguments ask for.
pub(crate) fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    let result = match Cli::parse().command {
        Command::Models(models) => models.run(&mut out),
        Command::Check(check) => check.run(&mut out),
        Command::Explore(explore) => explore.run(&mut out),
        Command::Mutants(mutants) => mutants.run(&mut out),
        Command::Node(node) => node.run(),
        Command::Cluster(cluster) => cluster.run(&mut out),
        Command::Trace(trace) => trace.run(&mut out),
        Command::Put(put) => put.run(&mut out),
        Command::Get(get) => get.run(&mut out),
        Command::Delete(delete) => delete.run(&mut out),
        Command::Cas(cas) => cas.run(&mut out),
        Command::Status(status) => status.run(&mut out),
    };
    let result = result.and_then(|status| out.flush().map(|()| status).map_err(Failure::from));
    let status = result.unwrap_or_else(|failure| {
        // Whoever closed the pipe has seen enough.
        if !matches!(&failure, Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
        {
            // If nobody reads the errors either, the exit code still tells.
            let _ = writeln!(io::stderr(), "error: {failure}");
        }
        Status::Other
    });
    ExitCode::from(status as u8)
}

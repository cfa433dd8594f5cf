//! The command line: argument parsing and presentation only. Each subcommand has a file of its own.

mod addresses;
mod bounds;
mod check;
mod children;
mod cluster;
mod completions;
mod counterexample;
mod dead_end;
mod explore;
mod explorer;
mod inductive;
mod json;
mod kill_matrix;
mod kv;
mod lines;
mod live;
mod log;
mod logging;
mod lossy;
mod memory;
mod models;
mod mutant_pages;
mod mutants;
mod node;
mod options;
mod page;
mod picture;
mod play;
mod progress;
mod prompt;
mod report;
mod servers;
mod settings;
mod signals;
mod spec;
mod status;
mod stories;
mod subject;
mod told;
mod trace;
mod trace_show;
mod transfer;
mod why;

use clap::{CommandFactory, Parser, Subcommand};
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
    Play(play::Play),
    Explore(explore::Explore),
    Mutants(mutants::Mutants),
    Spec(spec::SpecCommand),
    Node(Box<node::Node>),
    Cluster(cluster::Cluster),
    Trace(trace::Trace),
    Put(kv::Put),
    Get(kv::Get),
    Keys(kv::Keys),
    Delete(kv::Delete),
    Cas(kv::Cas),
    Status(status::ClusterStatus),
    Log(log::ServerLog),
    Transfer(transfer::Transfer),
    Completions(completions::Completions),
}

/// How a command ended, in the form of its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    /// Everything that was asked for is so.
    Success = 0,
    /// A property is violated, or a trace is rejected.
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
    /// The command cannot do what is asked. The text says what failed, where, and what to do.
    #[error("{0}")]
    Refused(String),
    /// The output of the command cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// Runs the command that the arguments ask for.
pub(crate) fn main() -> ExitCode {
    let mut stdout = io::stdout().lock();
    let command = Cli::parse().command;
    let out = &mut Unread(&mut stdout);
    let result = match command {
        Command::Models(models) => models.run(out),
        Command::Check(check) => check.run(out),
        Command::Play(play) => play.run(out),
        Command::Mutants(mutants) => mutants.run(out),
        Command::Spec(spec) => spec.run(out),
        Command::Node(node) => node.run(),
        Command::Trace(trace) if !trace.show => trace.run(out),
        Command::Put(put) => put.run(out),
        Command::Get(get) => get.run(out),
        Command::Keys(keys) => keys.run(out),
        Command::Transfer(transfer) => transfer.run(out),
        Command::Delete(delete) => delete.run(out),
        Command::Cas(cas) => cas.run(out),
        Command::Status(status) if !status.watches() => status.run(out),
        Command::Log(log) => log.run(out),
        Command::Completions(completions) => completions.run(&Cli::command(), out),
        // These commands have no end of their own, so they end when the reader of their output has gone.
        Command::Explore(explore) => explore.run(&mut stdout),
        Command::Cluster(cluster) => cluster.run(&mut stdout),
        Command::Status(status) => status.run(&mut stdout),
        // A trace may be long, and its replay takes as long as what the server did.
        Command::Trace(trace) => trace.run(&mut stdout),
    };
    let result = result.and_then(|status| Ok(Unread(&mut stdout).flush().map(|()| status)?));
    let status = result.unwrap_or_else(|failure| match failure {
        Failure::Output(error) if is_unread(&error) => Status::Success,
        failure => {
            logging::last_words(&format!("error: {failure}"));
            Status::Other
        }
    });
    ExitCode::from(status as u8)
}

/// Output that may go unread: a reader that closes the pipe has seen enough. The exit code still tells the
/// result.
struct Unread<W>(W);

impl<W: Write> Write for Unread<W> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        match self.0.write(text) {
            Err(error) if is_unread(&error) => Ok(text.len()),
            result => result,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().or_else(|error| if is_unread(&error) { Ok(()) } else { Err(error) })
    }
}

fn is_unread(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

//! `raft trace`: does the checked actor do what a running server did?

use super::{Failure, Status, json, page, trace_show};
use checked_raft::deploy::replay_trace;
use checked_raft::kv::Kv;
use checked_raft::runtime::trace::{Accepted, NotAccepted, Rejected};
use clap::Args;
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// Replay the traces of `raft node --trace` through the actor, record by record
///
/// With --show it also prints what the servers of a cluster did, in one order: what arrives was sent above.
/// A line has the server, the number of the record, and the event with all that came of it.
///
/// The exit code is 0 if the actor reproduces every record of every file, 1 if it does not, 2 if a
/// file cannot be read or is no trace.
#[derive(Args)]
pub(super) struct Trace {
    /// The traces
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print what the servers did, a line for each record, as far as the actor reproduces it
    #[arg(long, conflicts_with = "json")]
    pub(super) show: bool,
    /// Write a page that shows what the servers did, merged in one order
    #[arg(long, value_name = "FILE", conflicts_with = "show")]
    html: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The verdict on one trace file.
pub(super) enum Verdict {
    Accept(Accepted),
    Reject(Rejected),
    /// The file says nothing about a server, for this reason.
    Unreadable(String),
}

#[derive(Serialize)]
struct Results {
    traces: Vec<Outcome>,
}

#[derive(Serialize)]
struct Outcome {
    file: String,
    #[serde(flatten)]
    verdict: Told,
}

/// The verdict on a file, in the form of `--json`.
#[derive(Serialize)]
#[serde(tag = "verdict", rename_all = "UPPERCASE")]
enum Told {
    Accept { records: u64, starts: u64, delivers: u64, timeouts: u64, saves: u64, sends: u64 },
    Reject { line: u64, field: &'static str, expected: String, seen: String },
    Unreadable { error: String },
}

impl Trace {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Status, Failure> {
        let mut status = Status::Success;
        let mut traces = Vec::new();
        let verdicts: Box<dyn Iterator<Item = Verdict>> = if self.show {
            let shown = trace_show::show(self.files.iter().map(PathBuf::as_path), out)?;
            Box::new(shown.into_iter())
        } else if let Some(path) = &self.html {
            let (scene, verdicts) = page::traced::scene(&self.files)?;
            page::file(path, &scene)?;
            Box::new(verdicts.into_iter())
        } else {
            Box::new(self.files.iter().map(|path| judge(path)))
        };
        for (path, verdict) in self.files.iter().zip(verdicts) {
            status = match (status, &verdict) {
                (Status::Other, _) | (_, Verdict::Unreadable(_)) => Status::Other,
                (Status::Violation, _) | (_, Verdict::Reject(_)) => Status::Violation,
                (Status::Success, Verdict::Accept(_)) => Status::Success,
            };
            if self.json {
                let file = path.display().to_string();
                traces.push(Outcome { file, verdict: verdict.told() });
            } else {
                verdict.print(path, out)?;
            }
        }
        if self.json {
            writeln!(out, "{}", json::text(&Results { traces }))?;
        } else if let Some(path) = &self.html {
            writeln!(out, "{} shows what the servers did: open it in a browser.", path.display())?;
        }
        Ok(status)
    }
}

fn judge(path: &Path) -> Verdict {
    let mut file = match Noting::open(path) {
        Ok(file) => file,
        Err(error) => return Verdict::Unreadable(error.to_string()),
    };
    let result = replay_trace::<Kv>(BufReader::new(&mut file));
    match (file.failed, result) {
        (Some(error), _) => Verdict::Unreadable(error.to_string()),
        (None, Ok(accepted)) => Verdict::Accept(accepted),
        (None, Err(NotAccepted::Rejected(rejected))) => Verdict::Reject(rejected),
        (None, Err(error @ NotAccepted::NoTrace(_))) => Verdict::Unreadable(error.to_string()),
    }
}

/// A reader that keeps the reason why a file cannot be read: such a file says nothing about its server.
pub(super) struct Noting {
    inner: File,
    failed: Option<io::Error>,
}

impl Noting {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { inner: File::open(path)?, failed: None })
    }

    /// Why the file could not be read to its end, if it could not.
    pub(super) fn failure(&self) -> Option<String> {
        self.failed.as_ref().map(ToString::to_string)
    }
}

impl Read for Noting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            let kind = error.kind();
            if kind != io::ErrorKind::Interrupted {
                self.failed = Some(error);
            }
            kind.into()
        })
    }
}

impl Verdict {
    fn print(&self, path: &Path, out: &mut dyn Write) -> io::Result<()> {
        let path = path.display();
        match self {
            Self::Accept(accepted) => {
                let Accepted { records, starts, delivers, timeouts, saves, sends } = accepted;
                writeln!(
                    out,
                    "ACCEPT {path}: the actor reproduces all {records} records ({starts} starts, \
                     {delivers} messages, {timeouts} timeouts; {saves} saves, {sends} sends)"
                )
            }
            Self::Reject(Rejected { line, field, expected, seen }) => writeln!(
                out,
                "REJECT {path}: line {line}, {field}\n  expected {expected}\n  seen     {seen}"
            ),
            Self::Unreadable(error) => writeln!(out, "UNREADABLE {path}: {error}"),
        }
    }

    fn told(&self) -> Told {
        match self {
            Self::Accept(accepted) => {
                let Accepted { records, starts, delivers, timeouts, saves, sends } = *accepted;
                Told::Accept { records, starts, delivers, timeouts, saves, sends }
            }
            Self::Reject(rejected) => {
                let Rejected { line, field, expected, seen } = rejected.clone();
                Told::Reject { line, field, expected, seen }
            }
            Self::Unreadable(error) => Told::Unreadable { error: error.clone() },
        }
    }
}

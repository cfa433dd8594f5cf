//! Follows the trace of a running server, and replays each handler call as it comes.
//!
//! A [`Tail`] is a reader that waits at the end of the file for more. So the replay that judges a finished
//! trace judges a growing one, too. The replay waits for a
//! record that is not whole yet, and stops at the limit of a trace.

use super::TRACE_LIMIT;
use super::board::Board;
use super::spawn;
use super::verdicts::{End, Followed, Settling};
use checked_raft::deploy::{TraceSteps, trace_steps, traced_parameters};
use checked_raft::kv::Kv;
use checked_raft::raft::{Parameters, Raft};
use checked_raft::runtime::Event;
use checked_raft::runtime::trace::{NotAccepted, Replayed};
use stateright::actor::Id;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// The time from one look for more of a trace to the next.
const PERIOD: Duration = Duration::from_millis(25);

/// Follows the trace of a server in a thread of its own for as long as the process runs.
pub(super) fn start(id: u64, path: &Path, board: &Arc<Board>) -> io::Result<()> {
    let (tail, board) = (Tail::new(path, TRACE_LIMIT), Arc::clone(board));
    spawn(&format!("trace-{id}"), move || {
        yield_to_servers();
        follow(id, tail, &board);
    })
}

/// The servers come first: a late replay harms nobody, and a late heartbeat ends a leadership.
fn yield_to_servers() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(5) {
        tracing::debug!("cannot lower the priority of a thread: {error}");
    }
}

/// Replays a trace until it ends, and notes each call on the board.
fn follow(id: u64, tail: impl Source, board: &Board) {
    let mut steps = trace_steps::<Kv, _>(BufReader::new(tail));
    let (mut settling, mut followed) = (Settling::default(), Followed::default());
    let mut parameters = None;
    while followed.end.is_none() {
        match steps.next() {
            Some(Ok(replayed)) => {
                if let Event::Start { .. } = replayed.event {
                    parameters = parameters_of(&steps);
                }
                let undone = judge(id, replayed, parameters.as_ref(), &mut settling, board);
                followed.undone += undone;
            }
            end => followed.end = Some(end_of(end.and_then(Result::err), &steps)),
        }
        followed.accepted = steps.accepted();
        (followed.read, followed.size) = steps.reader().get_ref().progress();
        if let Some(shown) = board.content().servers.get_mut(&id) {
            shown.followed = Some(followed.clone());
        }
    }
    match &followed.end {
        Some(End::Rejected(rejected)) => {
            board.add("reject", format!("REJECT: the trace of server {id}, {rejected}"));
        }
        Some(End::Unreadable(error)) => {
            board.add("reject", format!("The trace of server {id} cannot be judged: {error}"));
        }
        Some(End::Limit) | None => {
            let limit = TRACE_LIMIT >> 20;
            let sentence = format!(
                "The trace of server {id} has reached {limit} MiB: what it does from here on is not replayed."
            );
            board.add("trace", sentence);
        }
    }
}

fn parameters_of<R: io::BufRead>(steps: &TraceSteps<Kv, R>) -> Option<Parameters> {
    steps.origin().and_then(|origin| traced_parameters(origin).ok())
}

/// Judges the calls that are settled by this one. Returns how many calls turned out to be undone.
fn judge(
    id: u64,
    replayed: Replayed<Raft<Kv>>,
    parameters: Option<&Parameters>,
    settling: &mut Settling,
    board: &Board,
) -> u64 {
    let (settled, undone) = settling.take(replayed);
    let who = usize::try_from(id).map(Id::from);
    if let (Some(parameters), Ok(who)) = (parameters, who) {
        for (line, call) in settled {
            board.verdicts().judge(who, line, call, parameters);
        }
    }
    undone
}

/// Why a replay has ended. A trace that is read to its limit ends without an error.
fn end_of<R: Source>(error: Option<NotAccepted>, steps: &TraceSteps<Kv, BufReader<R>>) -> End {
    match (error, steps.reader().get_ref().failure()) {
        (_, Some(failure)) => End::Unreadable(failure),
        (Some(NotAccepted::Rejected(rejected)), None) => End::Rejected(rejected),
        (Some(error @ NotAccepted::NoTrace(_)), None) => End::Unreadable(error.to_string()),
        (None, None) => End::Limit,
    }
}

/// A source of a trace, which tells how far it was read.
trait Source: Read {
    /// The bytes that were read, and the size of the trace then.
    fn progress(&self) -> (u64, u64);
    /// Why the trace cannot be read, if it cannot.
    fn failure(&self) -> Option<String>;
}

/// A file that grows. A read waits for more at the end, and ends at a limit.
struct Tail {
    path: PathBuf,
    file: Option<File>,
    limit: u64,
    read: u64,
    size: u64,
    failed: Option<String>,
}

impl Tail {
    fn new(path: &Path, limit: u64) -> Self {
        Self { path: path.to_owned(), file: None, limit, read: 0, size: 0, failed: None }
    }

    /// Reads what there is; 0 if there is nothing more at present, or no file yet.
    fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let file = match &mut self.file {
            Some(file) => file,
            file => match File::open(&self.path) {
                Ok(opened) => file.insert(opened),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
                Err(error) => return Err(error),
            },
        };
        let length = file.read(buffer)?;
        self.size = file.metadata()?.len();
        Ok(length)
    }
}

impl Source for Tail {
    fn progress(&self) -> (u64, u64) {
        (self.read, self.size)
    }

    fn failure(&self) -> Option<String> {
        self.failed.clone()
    }
}

impl Read for Tail {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read < self.limit {
            match self.read_some(buffer) {
                Ok(0) => thread::park_timeout(PERIOD),
                Ok(length) => {
                    self.read += length as u64;
                    return Ok(length);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = Some(error.to_string());
                    return Err(error);
                }
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use checked_raft::client::{Client, KvClient, Options};
    use checked_raft::deploy::Deployment;
    use checked_raft::runtime::Stop;
    use std::collections::BTreeMap;
    use std::fs;
    use std::io::Write;

    /// The trace of a server that has executed a command.
    fn trace() -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a directory");
        let address = ([127, 0, 0, 1], 0).into();
        let mut server = Deployment::new(1, address, BTreeMap::new(), folder.path().join("1"));
        server.trace = Some(folder.path().join("trace"));
        server.bootstrap::<Kv>().expect("bootstrapped");
        let node = server.bind::<Kv>().expect("bound");
        let (address, stop) = (node.local_addr(), Stop::new());
        let stopped = stop.clone();
        let running = thread::spawn(move || node.run(&stopped));
        let options = Options { timeout: Duration::from_secs(30), ..Options::default() };
        let client = Client::connect("raft", &[address], options).expect("it answers");
        KvClient::new(client).put("k", "v").expect("it is alone and a majority");
        stop.trigger();
        running.join().expect("no panic").expect("it stops as it should");
        fs::read(folder.path().join("trace")).expect("written")
    }

    fn board() -> Board {
        Board::new(7, "raft", &[(1, ([127, 0, 0, 1], 7001).into())])
    }

    fn followed(board: &Board) -> Followed {
        board.content().servers[&1].followed.clone().expect("followed")
    }

    /// Follows a trace to its end.
    fn follow_all(bytes: &[u8]) -> Board {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("written");
        let board = board();
        follow(1, Tail::new(file.path(), bytes.len() as u64), &board);
        board
    }

    #[test]
    fn a_genuine_trace_is_accepted_and_judged_by_every_property() {
        let bytes = trace();
        let board = follow_all(&bytes);
        let lines = bytes.split(|byte| *byte == b'\n').count() as u64 - 1;
        let followed = followed(&board);
        assert_eq!((followed.accepted.records, followed.end), (lines, Some(End::Limit)));
        assert_eq!((followed.read, followed.undone), (bytes.len() as u64, 0));
        let verdicts = board.verdicts();
        for tally in verdicts.observed.tallies() {
            assert_eq!(tally.broken, None, "{tally:?}");
            // A server that is alone has no other log to compare with.
            assert!(tally.judged > 0 || tally.name == "Log Matching", "{tally:?}");
        }
    }

    #[test]
    fn a_forged_record_is_rejected_where_it_stands() {
        let text = String::from_utf8(trace()).expect("JSON");
        let lines: Vec<_> = text.lines().collect();
        let number = lines.len() / 2;
        let (_, hash) = lines[number].split_once("\"after\":\"").expect("a record has a state");
        let digit = if hash.starts_with('0') { "1" } else { "0" };
        let forged = lines[number].replace(hash, &format!("{digit}{}", &hash[1..]));
        let mut all = lines.clone();
        all[number] = &forged;
        let board = follow_all((all.join("\n") + "\n").as_bytes());
        let followed = followed(&board);
        let Some(End::Rejected(rejected)) = &followed.end else { panic!("{followed:?}") };
        assert_eq!((rejected.line, rejected.field), (number as u64 + 1, "after"));
        assert_eq!(followed.accepted.records, number as u64);
        let event = board.content().strip[0].clone();
        assert!(event.kind == "reject" && event.text.starts_with("REJECT"), "{}", event.text);
    }

    #[test]
    fn a_file_that_is_no_trace_is_told_as_such() {
        let board = follow_all(b"no trace\n");
        let end = followed(&board).end;
        assert!(matches!(end, Some(End::Unreadable(_))), "{end:?}");
    }

    #[test]
    fn a_trace_is_followed_as_it_grows_and_before_it_is_there() {
        let bytes = trace();
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("trace");
        let board = Arc::new(board());
        let (tail, shared) = (Tail::new(&path, bytes.len() as u64), Arc::clone(&board));
        let following = thread::spawn(move || follow(1, tail, &shared));
        // The cut is within a line.
        let half = bytes.len() / 2;
        let whole = bytes[..half].split(|byte| *byte == b'\n').count() as u64 - 1;
        fs::write(&path, &bytes[..half]).expect("written");
        let records = || {
            let content = board.content();
            content.servers[&1].followed.as_ref().map_or(0, |it| it.accepted.records)
        };
        while records() < whole {
            assert!(!following.is_finished(), "it waits for more");
            thread::yield_now();
        }
        assert!(!following.is_finished(), "half a line is no end");
        let mut file = File::options().append(true).open(&path).expect("there");
        file.write_all(&bytes[half..]).expect("written");
        following.join().expect("no panic");
        assert_eq!(followed(&board).end, Some(End::Limit));
        assert!(records() > whole);
    }
}

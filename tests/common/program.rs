//! The `raft` program as processes.

use super::wait_for;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// A running process and what it has said so far. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    out: Output,
    err: Output,
}

/// A process that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

struct Output {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

/// The `raft` program with these arguments.
pub(crate) fn raft<T: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = T>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_raft"));
    command.args(arguments).env_remove("RUST_LOG");
    command
}

/// Runs a command that ends by itself.
pub(crate) fn run(command: Command) -> Ended {
    Process::start(command).end()
}

/// A port that is free, as are the next `count - 1`: outside the range from which the system takes
/// ports, and others for every caller.
pub(crate) fn free_ports(count: u16) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = u16::try_from(std::process::id() % 2000).expect("below 2000") * 10;
    wait_for("free ports", || {
        let base = 10_000 + (begin + NEXT.fetch_add(count, Ordering::Relaxed)) % 20_000;
        let free = |port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port));
        let all: Result<Vec<_>, _> = (base..base + count).map(free).collect();
        all.ok().map(|_| base)
    })
}

pub(crate) fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

impl Process {
    pub(crate) fn start(command: Command) -> Self {
        Self::spawn(command, Stdio::null())
    }

    /// Starts a process that is told something on its standard input.
    pub(crate) fn start_with_input(command: Command) -> (Self, ChildStdin) {
        let mut process = Self::spawn(command, Stdio::piped());
        let input = process.child.stdin.take().expect("a pipe");
        (process, input)
    }

    fn spawn(mut command: Command, input: Stdio) -> Self {
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let out = Output::read(child.stdout.take().expect("a pipe"));
        let err = Output::read(child.stderr.take().expect("a pipe"));
        Self { child, out, err }
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.err.text.lock().expect("no reader panics").clone()
    }

    /// What it has printed so far.
    pub(crate) fn printed(&self) -> String {
        self.out.text.lock().expect("no reader panics").clone()
    }

    /// Waits until it has logged this; an error comes instead of it.
    pub(crate) fn logs(&self, text: &str) {
        wait_for(text, || {
            let log = self.log();
            assert!(!log.contains("error: "), "instead of {text:?}: {log}");
            log.contains(text).then_some(())
        });
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        kill.arg(format!("-{name}")).arg(self.child.id().to_string());
        assert!(kill.status().expect("kill runs").success(), "the process is there");
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it can be asked").is_none()
    }

    /// Waits until it has ended, which it must.
    pub(crate) fn end(mut self) -> Ended {
        let status = wait_for("the end of a process", || {
            self.child.try_wait().expect("it can be waited for")
        });
        Ended { status, out: self.out.all(), err: self.err.all() }
    }

    /// SIGKILL, and waits for the end.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is there");
        self.end();
    }

    /// SIGTERM, and waits for the end, which must be a clean one.
    pub(crate) fn stop(self) -> Ended {
        self.signal("TERM");
        let ended = self.end();
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        ended
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended, and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Output {
    fn read(pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let reader = {
            let text = Arc::clone(&text);
            thread::spawn(move || {
                for line in BufReader::new(pipe).lines() {
                    let line = line.expect("the program's output is UTF-8");
                    let mut text = text.lock().expect("nobody panics");
                    text.push_str(&line);
                    text.push('\n');
                }
            })
        };
        Self { text, reader: Some(reader) }
    }

    /// All of it, to the end.
    fn all(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader does not panic");
        }
        self.text.lock().expect("no reader panics").clone()
    }
}

impl Ended {
    /// Asserts that it refused: exit code 2, an error with all of these texts, no panic.
    #[track_caller]
    pub(crate) fn refused(&self, texts: &[&str]) {
        assert_eq!(self.status.code(), Some(2), "{self:?}");
        let errors = self.err.matches("error: ").count();
        assert!(errors == 1 && !self.err.contains("panicked"), "{self:?}");
        for text in texts {
            assert!(self.err.contains(text), "no {text:?} in {}", self.err);
        }
    }
}

//! The processes of `raft cluster`.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// How long a server may take to stop. A node takes 50 ms and the save it is at.
const PATIENCE: Duration = Duration::from_secs(5);

/// Server processes. None outlives this value, nor this process: each stops when its standard input
/// ends, which is a pipe from here and ends however this process does.
pub(super) struct Children {
    running: BTreeMap<u64, Child>,
    news: Receiver<News>,
    teller: Sender<News>,
}

/// Asks the holder of [`Children`] to stop them.
pub(super) struct Stopper(Sender<News>);

/// A server that has ended.
pub(super) struct Ended {
    pub(super) id: u64,
    pub(super) status: String,
}

enum News {
    /// The server's standard error was closed, as the end of a process does.
    Silent(u64),
    Stop,
}

impl Default for Children {
    fn default() -> Self {
        let (teller, news) = channel();
        Self { running: BTreeMap::new(), news, teller }
    }
}

impl Stopper {
    pub(super) fn stop(&self) {
        // Nobody listens when all have been stopped already.
        let _ = self.0.send(News::Stop);
    }
}

impl Children {
    pub(super) fn stopper(&self) -> Stopper {
        Stopper(self.teller.clone())
    }

    /// Starts the process of server `id` and passes its log lines on.
    pub(super) fn start(&mut self, id: u64, mut command: Command) -> io::Result<()> {
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        // Ctrl-C on the terminal is for this process, which stops the servers in its own way.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn()?;
        let log = child.stderr.take();
        self.running.insert(id, child);
        let teller = self.teller.clone();
        let relay = move || {
            if let Some(log) = log {
                relay(id, log);
            }
            let _ = teller.send(News::Silent(id));
        };
        thread::Builder::new().name(format!("log-{id}")).spawn(relay)?;
        Ok(())
    }

    pub(super) fn are_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// Waits until a server ends by itself; `None` when they are to be stopped.
    pub(super) fn wait(&mut self) -> Option<Ended> {
        loop {
            match self.news.recv() {
                Ok(News::Silent(id)) => {
                    if let Some(child) = self.running.remove(&id) {
                        return Some(end(id, child).0);
                    }
                }
                Ok(News::Stop) | Err(_) => return None,
            }
        }
    }

    /// Stops those that run, at first kindly. Returns those that did not end as they should.
    pub(super) fn stop(&mut self) -> Vec<Ended> {
        for child in self.running.values_mut() {
            drop(child.stdin.take());
        }
        let mut unclean = Vec::new();
        while self.are_running() {
            match self.news.recv_timeout(PATIENCE) {
                Ok(News::Silent(id)) => {
                    if let Some(child) = self.running.remove(&id) {
                        let (ended, is_clean) = end(id, child);
                        unclean.extend((!is_clean).then_some(ended));
                    }
                }
                Ok(News::Stop) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    for (id, mut child) in std::mem::take(&mut self.running) {
                        // A process that cannot be killed has ended.
                        let _ = child.kill();
                        unclean.push(end(id, child).0);
                    }
                }
            }
        }
        unclean
    }
}

/// Whatever goes wrong, no server is left behind.
impl Drop for Children {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Collects a process that has ended or is about to; tells whether it reported success.
fn end(id: u64, mut child: Child) -> (Ended, bool) {
    let status = child.wait();
    let is_clean = status.as_ref().is_ok_and(ExitStatus::success);
    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    (Ended { id, status }, is_clean)
}

/// Passes lines on until there are no more.
fn relay(id: u64, log: ChildStderr) {
    let mut log = BufReader::new(log);
    let mut line = Vec::new();
    while log.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        let text = String::from_utf8_lossy(&line);
        // A log that nobody reads any more must not stop the server.
        let _ = writeln!(io::stderr().lock(), "[{id}] {}", text.trim_end());
        line.clear();
    }
}

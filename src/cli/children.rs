//! The server processes of `raft cluster`.
//!
//! [`Children`] starts one process for each server and relays its log lines. A thread for each server
//! reports the end of that server; a [`Stopper`] reports a signal. The holder of `Children` waits for
//! either.

use super::prompt::Order;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// How long a server may take to stop. A node takes 50 ms and the time of the save that it is at.
const PATIENCE: Duration = Duration::from_secs(5);

/// Server processes. No process outlives this value or the process that holds it. Each stops when its
/// standard input ends: that is a pipe from here, which ends however this process does.
pub(super) struct Children {
    running: BTreeMap<u64, Child>,
    /// Servers that were killed by an order, and may be started again.
    killed: BTreeSet<u64>,
    news: Receiver<News>,
    teller: Sender<News>,
}

/// Asks the holder of [`Children`] to stop them, or gives it an order.
#[derive(Clone)]
pub(super) struct Stopper(Sender<News>);

/// Why [`Children::wait`] returns.
pub(super) enum Happened {
    /// A server ended by itself.
    Ended(Ended),
    /// Somebody gave an order, or said something that is none.
    Ordered(Result<Order, String>),
    /// All are to be stopped.
    Stop,
}

/// A server that has ended.
pub(super) struct Ended {
    pub(super) id: u64,
    pub(super) status: String,
}

enum News {
    /// The standard error of this server was closed, which happens when a process ends.
    Silent(u64, u32),
    Ordered(Result<Order, String>),
    Stop,
}

impl Default for Children {
    fn default() -> Self {
        let (teller, news) = channel();
        Self { running: BTreeMap::new(), killed: BTreeSet::new(), news, teller }
    }
}

impl Stopper {
    pub(super) fn stop(&self) {
        // No one listens when all servers have been stopped already.
        let _ = self.0.send(News::Stop);
    }

    pub(super) fn give(&self, order: Result<Order, String>) {
        let _ = self.0.send(News::Ordered(order));
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
        let pid = child.id();
        let log = child.stderr.take();
        self.killed.remove(&id);
        self.running.insert(id, child);
        let teller = self.teller.clone();
        let relay = move || {
            if let Some(log) = log {
                relay(id, log);
            }
            let _ = teller.send(News::Silent(id, pid));
        };
        thread::Builder::new().name(format!("log-{id}")).spawn(relay)?;
        Ok(())
    }

    pub(super) fn are_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// Whether a server runs, or was killed by an order and may run again.
    pub(super) fn may_go_on(&self) -> bool {
        self.are_running() || !self.killed.is_empty()
    }

    /// The process of a server that runs.
    pub(super) fn pid(&self, id: u64) -> Option<u32> {
        self.running.get(&id).map(Child::id)
    }

    /// Kills a server without warning, and waits for its end.
    pub(super) fn kill(&mut self, id: u64) -> bool {
        let Some(mut child) = self.running.remove(&id) else { return false };
        self.killed.insert(id);
        // A process that cannot be killed has ended.
        let _ = child.kill();
        let _ = child.wait();
        true
    }

    /// Waits until a server ends by itself, somebody gives an order, or all are to be stopped.
    pub(super) fn wait(&mut self) -> Happened {
        loop {
            match self.news.recv() {
                Ok(News::Silent(id, pid)) => {
                    if let Some(child) = self.take(id, pid) {
                        return Happened::Ended(end(id, child).0);
                    }
                }
                Ok(News::Ordered(order)) => return Happened::Ordered(order),
                Ok(News::Stop) | Err(_) => return Happened::Stop,
            }
        }
    }

    /// The process that ended, unless an order killed it: then another one may run in its place.
    fn take(&mut self, id: u64, pid: u32) -> Option<Child> {
        self.pid(id).filter(|running| *running == pid)?;
        self.running.remove(&id)
    }

    /// Stops the servers that run, by ending their standard input and, after `PATIENCE`, by killing them.
    /// Returns those that did not end as they should.
    pub(super) fn stop(&mut self) -> Vec<Ended> {
        for child in self.running.values_mut() {
            drop(child.stdin.take());
            // A server that an order paused would not notice the end of its input.
            signal(child.id(), Signal::CONT);
        }
        let mut unclean = Vec::new();
        while self.are_running() {
            match self.news.recv_timeout(PATIENCE) {
                Ok(News::Silent(id, pid)) => {
                    if let Some(child) = self.take(id, pid) {
                        let (ended, is_clean) = end(id, child);
                        unclean.extend((!is_clean).then_some(ended));
                    }
                }
                Ok(News::Stop | News::Ordered(_)) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    for (id, mut child) in std::mem::take(&mut self.running) {
                        // A process that cannot be killed has ended already.
                        let _ = child.kill();
                        unclean.push(end(id, child).0);
                    }
                }
            }
        }
        unclean
    }
}

/// Sends a signal to a process; whether there is one.
pub(super) fn signal(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// Whatever goes wrong, no server is left behind.
impl Drop for Children {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Collects a process that has ended or is about to. Also returns whether it reported success.
fn end(id: u64, mut child: Child) -> (Ended, bool) {
    let status = child.wait();
    let is_clean = status.as_ref().is_ok_and(ExitStatus::success);
    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    (Ended { id, status }, is_clean)
}

/// Passes the log lines of a server on until there are no more.
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

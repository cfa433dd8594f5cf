//! The server processes of `raft cluster`.
//!
//! [`Children`] starts one process for each server and relays its log lines. A thread for each server
//! reports the end of that server; a [`Stopper`] reports a signal. The holder of `Children` waits for
//! either.
//!
//! The standard input of a server process is its life line: the server stops when it ends. Until then it
//! has lines that say whose datagrams the server is to drop, each by [`block_line`].

use super::prompt::{Order, listed};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
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
    /// Servers that run and whose clock an order has stopped.
    paused: BTreeSet<u64>,
    /// The servers whose datagrams each server is to drop.
    blocked: BTreeMap<u64, BTreeSet<u64>>,
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
    Ordered(Result<Order, String>, Answer),
    /// All are to be stopped.
    Stop,
}

/// Takes what an order has come to, for whoever waits for it.
pub(super) struct Answer(Option<Sender<Result<String, String>>>);

/// The state of the process of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Running {
    Runs,
    /// An order has stopped its clock.
    Paused,
    /// An order has killed it.
    Killed,
    /// It has ended by itself.
    Ended,
}

/// A server that has ended.
pub(super) struct Ended {
    pub(super) id: u64,
    pub(super) status: String,
}

enum News {
    /// The standard error of this server was closed, which happens when a process ends.
    Silent(u64, u32),
    Ordered(Result<Order, String>, Answer),
    Stop,
}

impl Default for Children {
    fn default() -> Self {
        let (teller, news) = channel();
        let (running, blocked) = (BTreeMap::new(), BTreeMap::new());
        let (killed, paused) = (BTreeSet::new(), BTreeSet::new());
        Self { running, killed, paused, blocked, news, teller }
    }
}

impl Stopper {
    pub(super) fn stop(&self) {
        // No one listens when all servers have been stopped already.
        let _ = self.0.send(News::Stop);
    }

    pub(super) fn give(&self, order: Result<Order, String>) {
        let _ = self.0.send(News::Ordered(order, Answer(None)));
    }

    /// Gives an order, and returns where its answer comes. The receiver is closed without one if all servers
    /// are stopped first.
    pub(super) fn ask(&self, order: Order) -> Receiver<Result<String, String>> {
        let (answer, told) = channel();
        let _ = self.0.send(News::Ordered(Ok(order), Answer(Some(answer))));
        told
    }
}

impl Answer {
    /// Hands the sentence over that tells what was done, or why it was not.
    pub(super) fn tell(self, told: &Result<String, String>) {
        if let Some(answer) = self.0 {
            // Who asked may have gone.
            let _ = answer.send(told.clone());
        }
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
        // A server that does not read must not hold up this process.
        if let Some(input) = &child.stdin {
            rustix::io::ioctl_fionbio(input, true)?;
        }
        let log = child.stderr.take();
        self.killed.remove(&id);
        self.paused.remove(&id);
        self.running.insert(id, child);
        // The server waits for this line. If it cannot be told, it has ended, which is reported.
        let _ = self.tell(id);
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

    /// Cuts links, each given by its sender and its receiver, and keeps those that are cut already. A server
    /// that does not run has its cuts as soon as it is started again.
    pub(super) fn cut(&mut self, links: &BTreeSet<(u64, u64)>) -> Result<(), String> {
        for (sender, receiver) in links {
            self.blocked.entry(*receiver).or_default().insert(*sender);
        }
        self.tell_all(&links.iter().map(|(_, receiver)| *receiver).collect())
    }

    /// Makes these links whole again, each given by its sender and its receiver.
    pub(super) fn heal_links(&mut self, links: &BTreeSet<(u64, u64)>) -> Result<(), String> {
        for (sender, receiver) in links {
            if let Some(senders) = self.blocked.get_mut(receiver) {
                senders.remove(sender);
            }
        }
        self.tell_all(&links.iter().map(|(_, receiver)| *receiver).collect())
    }

    /// Makes all links whole again. Returns whether any was cut.
    pub(super) fn heal(&mut self) -> Result<bool, String> {
        let is_any_cut = self.cut_links().next().is_some();
        let receivers: BTreeSet<_> = self.blocked.keys().copied().collect();
        self.blocked.values_mut().for_each(BTreeSet::clear);
        // A server that cannot be told is told again by the next order.
        self.tell_all(&receivers)?;
        self.blocked.clear();
        Ok(is_any_cut)
    }

    /// The links that are cut, each by its sender and its receiver.
    pub(super) fn cut_links(&self) -> impl Iterator<Item = (u64, u64)> {
        self.blocked.iter().flat_map(|(to, senders)| senders.iter().map(|from| (*from, *to)))
    }

    /// A sentence for each server that is to drop the datagrams of others.
    pub(super) fn cuts(&self) -> impl Iterator<Item = String> {
        let cut = self.blocked.iter().filter(|(_, senders)| !senders.is_empty());
        cut.map(|(receiver, senders)| {
            format!("Server {receiver} drops every datagram of {}.", listed(senders))
        })
    }

    /// Tells these servers whose datagrams to drop, as far as they run.
    fn tell_all(&mut self, receivers: &BTreeSet<u64>) -> Result<(), String> {
        let failures = receivers.iter().filter_map(|id| Some((id, self.tell(*id).err()?)));
        let failures = failures.map(|(id, error)| format!("Server {id} cannot be told: {error}."));
        let failures: Vec<_> = failures.collect();
        if failures.is_empty() { Ok(()) } else { Err(failures.join(" ")) }
    }

    /// Tells a server whose datagrams to drop, if it runs. The line is short, so the pipe takes all of it
    /// or nothing.
    fn tell(&mut self, id: u64) -> io::Result<()> {
        let none = BTreeSet::new();
        let line = block_line(self.blocked.get(&id).unwrap_or(&none));
        let input = self.running.get_mut(&id).and_then(|child| child.stdin.as_mut());
        input.map_or(Ok(()), |input| input.write_all(line.as_bytes()))
    }

    pub(super) fn are_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// Whether a server runs, or was killed by an order and may run again.
    pub(super) fn may_go_on(&self) -> bool {
        self.are_running() || !self.killed.is_empty()
    }

    /// The state of the process of a server.
    pub(super) fn state_of(&self, id: u64) -> Running {
        match (self.running.contains_key(&id), self.paused.contains(&id)) {
            (true, true) => Running::Paused,
            (true, false) => Running::Runs,
            (false, _) if self.killed.contains(&id) => Running::Killed,
            (false, _) => Running::Ended,
        }
    }

    /// Stops the clock of a server; whether the server runs.
    pub(super) fn pause(&mut self, id: u64) -> bool {
        let is_done = self.pid(id).is_some_and(|pid| signal(pid, Signal::STOP));
        self.paused.extend(is_done.then_some(id));
        is_done
    }

    /// Lets a paused server go on; whether the server runs.
    pub(super) fn resume(&mut self, id: u64) -> bool {
        self.paused.remove(&id);
        self.pid(id).is_some_and(|pid| signal(pid, Signal::CONT))
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
                Ok(News::Ordered(order, answer)) => return Happened::Ordered(order, answer),
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
                Ok(News::Stop | News::Ordered(..)) => {}
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

/// The line that tells a server process to drop the datagrams of these servers, and of no others.
pub(super) fn block_line(servers: &BTreeSet<u64>) -> String {
    format!("block {}\n", listed(servers))
}

/// Reads a [`block_line`]. The error says what the line is instead.
pub(super) fn read_block_line(line: &str) -> Result<BTreeSet<u64>, String> {
    let mut words = line.split_whitespace();
    let servers = (words.next() == Some("block"))
        .then(|| words.map(str::parse).collect::<Result<BTreeSet<u64>, _>>().ok());
    servers.flatten().ok_or_else(|| format!("{line:?} is not of the form `block 2 3`"))
}

/// Sends a signal to a process; whether there is one.
fn signal(pid: u32, signal: Signal) -> bool {
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

#[cfg(test)]
mod tests {
    use super::{block_line, read_block_line};

    #[test]
    fn a_line_of_blocks_is_read_as_it_is_written() {
        for servers in [vec![], vec![2], vec![2, 30]] {
            let servers = servers.into_iter().collect();
            assert_eq!(read_block_line(&block_line(&servers)), Ok(servers));
        }
        for wrong in ["", "2 3", "block 2,3", "block two", "unblock 2"] {
            assert!(read_block_line(wrong).is_err(), "{wrong:?}");
        }
    }
}

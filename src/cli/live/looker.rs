//! Asks each server how it is, and for the end of its log.
//!
//! A server that an order has killed or paused is not asked: its silence says nothing. A server that does not
//! answer keeps its latest answer on the board, with the time when it came.

use super::super::children::Running;
use super::board::Board;
use super::spawn;
use checked_raft::client::{LogPage, Options, ServerStatus, inspect, log_page};
use checked_raft::runtime::endpoint::Deadline;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// The time from one look to the next while somebody watches, and while nobody does.
const PERIODS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(1));
/// How long a server may take to answer. On this machine an answer takes less than a millisecond.
const PATIENCE: Options =
    Options { timeout: Duration::from_millis(250), retry_interval: Duration::from_millis(80) };
/// The most entries of a log that are shown: the latest.
const MOST_ENTRIES: u64 = 24;
/// After so many looks without an answer, the strip says that a server is silent.
const MISSED: u32 = 3;

/// How a server was found so far.
struct Looked {
    id: u64,
    address: SocketAddr,
    role_and_term: Option<(String, u64)>,
    missed: u32,
}

/// Looks at the servers in a thread of its own for as long as the process runs.
pub(super) fn start(
    cluster: &str,
    servers: Vec<(u64, SocketAddr)>,
    board: &Arc<Board>,
) -> io::Result<()> {
    let (cluster, board) = (cluster.to_owned(), Arc::clone(board));
    let looked = |(id, address)| Looked { id, address, role_and_term: None, missed: 0 };
    let mut servers: Vec<_> = servers.into_iter().map(looked).collect();
    spawn("looker", move || {
        loop {
            let is_watched = board.is_watched();
            let due = Deadline::after(if is_watched { PERIODS.0 } else { PERIODS.1 });
            for server in &mut servers {
                server.look(&cluster, is_watched, &board);
            }
            while !due.has_passed() {
                thread::park_timeout(due.remaining());
            }
        }
    })
}

impl Looked {
    fn look(&mut self, cluster: &str, is_watched: bool, board: &Board) {
        let running = board.content().servers.get(&self.id).map(|shown| shown.running);
        if running != Some(Running::Runs) {
            (self.role_and_term, self.missed) = (None, 0);
            return;
        }
        let status = inspect(cluster, self.address, &PATIENCE).ok().filter(|it| it.id == self.id);
        let Some(status) = status else {
            self.missed += 1;
            if self.missed == MISSED {
                board.add("silent", format!("Server {} does not answer.", self.id));
            }
            return;
        };
        if self.missed >= MISSED {
            board.add("back", format!("Server {} answers again.", self.id));
        }
        self.missed = 0;
        let role_and_term = Some((status.role.clone(), status.term));
        if status.role == "leader" && self.role_and_term != role_and_term {
            board.add("leader", format!("Server {} leads term {}.", self.id, status.term));
        }
        self.role_and_term = role_and_term;
        let log = if is_watched { self.end_of_log(cluster, &status) } else { None };
        let now = board.elapsed();
        let mut content = board.content();
        content.meter.committed(now, status.commit_index);
        if let Some(shown) = content.servers.get_mut(&self.id) {
            shown.status = Some((status, now));
            if log.is_some() {
                shown.log = log;
            }
        }
    }

    /// The latest entries of the server's log.
    fn end_of_log(&self, cluster: &str, status: &ServerStatus) -> Option<LogPage> {
        let from = (status.last_log_index + 1).saturating_sub(MOST_ENTRIES).max(1);
        log_page(cluster, &[self.address], self.id, from, &PATIENCE).ok()
    }
}

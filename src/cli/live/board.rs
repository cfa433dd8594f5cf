//! Everything that the live page shows, in one place. Threads of the page write to the [`Board`]; a stream of
//! events waits there for the next overview.

use super::super::children::Running;
use super::meter::Meter;
use super::verdicts::{Followed, Verdicts};
use checked_raft::client::{LogPage, ServerStatus};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The most events that the strip holds: the latest.
const MOST_EVENTS: usize = 80;
/// The most streams at a time. Each is an open page.
const MOST_STREAMS: usize = 16;

/// What the page shows.
pub(super) struct Board {
    /// A number of this run of the cluster, by which a page notices that the cluster was started again.
    pub(super) run: String,
    pub(super) cluster: String,
    start: Instant,
    content: Mutex<Content>,
    news: Condvar,
    verdicts: Mutex<Verdicts>,
}

/// The parts of the board that change.
pub(super) struct Content {
    pub(super) servers: BTreeMap<u64, Shown>,
    pub(super) cuts: Vec<(u64, u64)>,
    /// The latest events, the newest first.
    pub(super) strip: VecDeque<Event>,
    /// How many events there were.
    pub(super) events: u64,
    pub(super) meter: Meter,
    /// The commands a second of the load.
    pub(super) load: u32,
    /// The latest overview, and how many there were.
    overview: (u64, Arc<str>),
    streams: usize,
}

/// A server, as the page shows it.
pub(super) struct Shown {
    pub(super) address: SocketAddr,
    pub(super) running: Running,
    /// The latest answer of the server, and when it came.
    pub(super) status: Option<(ServerStatus, Duration)>,
    pub(super) log: Option<LogPage>,
    /// Its trace, as far as it was replayed.
    pub(super) followed: Option<Followed>,
}

/// An event of the strip.
#[derive(Clone, Serialize)]
pub(super) struct Event {
    /// The number of the event, from 1.
    pub(super) number: u64,
    /// Milliseconds since the start of the page.
    pub(super) at: u64,
    /// `order`, `leader`, `silent`, `back`, `reject`, `broken` or `trace`.
    pub(super) kind: &'static str,
    pub(super) text: String,
}

/// How the processes of the servers are.
pub(super) struct Processes {
    pub(super) running: Vec<(u64, Running)>,
    pub(super) cuts: Vec<(u64, u64)>,
}

/// A stream of events that counts against the limit until it is dropped.
pub(super) struct Stream<'a> {
    board: &'a Board,
    seen: u64,
}

impl Board {
    pub(super) fn new(run: u64, cluster: &str, servers: &[(u64, SocketAddr)]) -> Self {
        let shown = |(id, address): &(u64, SocketAddr)| {
            let (address, running) = (*address, Running::Runs);
            (*id, Shown { address, running, status: None, log: None, followed: None })
        };
        let content = Content {
            servers: servers.iter().map(shown).collect(),
            cuts: Vec::new(),
            strip: VecDeque::new(),
            events: 0,
            meter: Meter::default(),
            load: 0,
            overview: (0, Arc::from("")),
            streams: 0,
        };
        Self {
            run: format!("{run:016x}"),
            cluster: cluster.to_owned(),
            start: now(),
            content: Mutex::new(content),
            news: Condvar::new(),
            verdicts: Mutex::new(Verdicts::default()),
        }
    }

    /// The time since the start of the page.
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub(super) fn content(&self) -> MutexGuard<'_, Content> {
        lock(&self.content)
    }

    pub(super) fn verdicts(&self) -> MutexGuard<'_, Verdicts> {
        lock(&self.verdicts)
    }

    /// Adds an event to the strip.
    pub(super) fn add(&self, kind: &'static str, text: impl Into<String>) {
        let (at, text) = (millis(self.elapsed()), text.into());
        let mut content = self.content();
        content.events += 1;
        let number = content.events;
        content.strip.push_front(Event { number, at, kind, text });
        content.strip.truncate(MOST_EVENTS);
    }

    pub(super) fn set_processes(&self, processes: Processes) {
        let mut content = self.content();
        for (id, running) in processes.running {
            if let Some(server) = content.servers.get_mut(&id) {
                server.running = running;
            }
        }
        content.cuts = processes.cuts;
    }

    /// Hands an overview to all streams.
    pub(super) fn publish(&self, overview: String) {
        let mut content = self.content();
        content.overview = (content.overview.0 + 1, overview.into());
        drop(content);
        self.news.notify_all();
    }

    /// Whether anybody looks at the page.
    pub(super) fn is_watched(&self) -> bool {
        self.content().streams > 0
    }

    /// A new stream, unless there are too many.
    pub(super) fn stream(&self) -> Result<Stream<'_>, String> {
        let mut content = self.content();
        if content.streams >= MOST_STREAMS {
            return Err(format!(
                "{MOST_STREAMS} pages watch this cluster already; close one of them."
            ));
        }
        content.streams += 1;
        Ok(Stream { board: self, seen: content.overview.0 })
    }
}

impl Stream<'_> {
    /// Waits for the next overview. A stream that is late misses those in between.
    pub(super) fn next(&mut self) -> Arc<str> {
        let content = self.board.content();
        let is_old = |content: &mut Content| content.overview.0 == self.seen;
        let content =
            self.board.news.wait_while(content, is_old).unwrap_or_else(PoisonError::into_inner);
        self.seen = content.overview.0;
        Arc::clone(&content.overview.1)
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        self.board.content().streams -= 1;
    }
}

/// A thread that panicked has left a whole value behind: no lock here is held across a call that may panic
/// between two changes that belong together.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A time in whole milliseconds.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "the page says when things happened")]
pub(super) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> Board {
        Board::new(7, "raft", &[(1, ([127, 0, 0, 1], 7001).into())])
    }

    #[test]
    fn the_strip_holds_the_latest_events_and_counts_all() {
        let board = board();
        for number in 0..MOST_EVENTS + 5 {
            board.add("order", number.to_string());
        }
        let content = board.content();
        assert_eq!((content.strip.len(), content.events), (MOST_EVENTS, 85));
        assert_eq!((content.strip[0].number, &content.strip[0].text[..]), (85, "84"));
    }

    #[test]
    fn a_stream_gets_each_overview_once_and_makes_room_when_it_ends() {
        let board = board();
        let mut streams: Vec<_> =
            (0..MOST_STREAMS).map(|_| board.stream().expect("there is room")).collect();
        assert!(board.stream().is_err_and(|error| error.contains("16 pages")));
        board.publish("a".to_owned());
        assert_eq!(&*streams[0].next(), "a");
        board.publish("b".to_owned());
        assert_eq!((&*streams[0].next(), &*streams[1].next()), ("b", "b"));
        streams.pop();
        drop(board.stream().expect("one has ended"));
        streams.clear();
        assert!(!board.is_watched());
    }
}

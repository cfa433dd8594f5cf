//! The compactions of a store: when one begins, and what becomes of its outcome.
//! [`LogStore`](super::LogStore) calls [`Compactor`] at each save. The compactor starts a [`Compaction`]
//! when one is due, and later takes the new log from it.

use super::compaction::{Compaction, Copier, GivenUp, Signals, Spawn, Task};
use super::file::{Dir, LOG, LOG_NEW};
use super::generation::Log;
use crate::durable::Durable;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread::{self, JoinHandle};

/// The compactions of one store. At most one runs at a time.
pub(super) struct Compactor {
    spawn: Spawn,
    compact_at: u64,
    /// How much later than necessary this directory's logs are compacted, in 65536ths.
    delay: u64,
    /// The length of the log, in bytes, at which the next attempt is made. It is set after an attempt in
    /// vain.
    again_at: u64,
    running: Option<Running>,
    has_warned: bool,
}

struct Running {
    signals: Arc<Signals>,
    outcome: Receiver<Result<Copier, GivenUp>>,
    thread: Option<JoinHandle<()>>,
}

impl Compactor {
    /// Creates a compactor without a running compaction. The logs of a cluster grow alike and should not
    /// all be compacted at once, so each directory has a delay of its own.
    pub(super) fn new(spawn: Spawn, compact_at: u64, directory: u128) -> Self {
        let delay = u64::from(crc32fast::hash(&directory.to_le_bytes()) >> 16);
        Self { spawn, compact_at, delay, again_at: 0, running: None, has_warned: false }
    }

    /// Whether no compaction runs and `log` is so much longer than its image that a new log may be worth
    /// it.
    pub(super) fn is_due(&self, log: &Log) -> bool {
        let least = self.compact_at.max(log.image_end.saturating_mul(4));
        let least = least.saturating_add(least.saturating_mul(self.delay) >> 16);
        self.running.is_none() && log.end - log.image_end > least && log.end >= self.again_at
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Begins `compaction`, which sends its outcome through `outcome`.
    pub(super) fn begin<D: Durable + Send + 'static>(
        &mut self,
        compaction: Compaction<D>,
        outcome: Receiver<Result<Copier, GivenUp>>,
    ) {
        let (signals, end) = (compaction.signals.clone(), compaction.start);
        match (self.spawn)(compaction.task()) {
            Ok(thread) => self.running = Some(Running { signals, outcome, thread }),
            Err(error) => self.put_off(end, &format!("cannot start a thread: {error}")),
        }
    }

    /// Tells a running compaction that the log is durable up to `end`.
    pub(super) fn saved_up_to(&self, end: u64) {
        if let Some(running) = &self.running {
            running.signals.end.store(end, Ordering::Release);
        }
    }

    /// The new log of a compaction that has just ended, if one has. `end` is the length of the present
    /// log.
    pub(super) fn take(&mut self, dir: &Dir, end: u64) -> Option<Copier> {
        let outcome = match self.running.as_ref()?.outcome.try_recv() {
            Ok(outcome) => outcome,
            Err(TryRecvError::Empty) => return None,
            // The task ended without an outcome, and so did not clean up.
            Err(TryRecvError::Disconnected) => {
                let _ = dir.remove(LOG_NEW);
                Err(GivenUp::Cancelled)
            }
        };
        self.running = None;
        match outcome {
            Ok(copier) => return Some(copier),
            Err(GivenUp::NotWorthIt) => self.again_at = end.saturating_mul(2),
            Err(GivenUp::Cancelled) => self.put_off(end, "it ended early"),
            Err(GivenUp::Failed(error)) => self.put_off(end, &error.to_string()),
        }
        None
    }

    /// Notes that a compaction failed when the log had `end` bytes. The next attempt comes when the log
    /// has grown by a quarter, or by `compact_at` if that is more.
    pub(super) fn put_off(&mut self, end: u64, reason: &str) {
        self.again_at = end.saturating_add(self.compact_at.max(end / 4));
        if !self.has_warned {
            tracing::warn!("{LOG} could not be compacted and goes on growing: {reason}");
        }
        self.has_warned = true;
    }

    /// Ends a running compaction and removes what it has written.
    pub(super) fn cancel(&mut self, dir: &Dir) {
        if let Some(running) = self.running.take() {
            running.signals.is_cancelled.store(true, Ordering::Relaxed);
            if let Some(thread) = running.thread {
                // A panic of the thread has been reported, and harms nobody else.
                let _ = thread.join();
            }
            drop(running.outcome);
            // If the removal fails, the next start removes the file.
            let _ = dir.remove(LOG_NEW);
        }
    }

    /// Closes a log that has no name any more. That frees its space and can take long, so it is a task.
    pub(super) fn close(&mut self, log: Log) {
        self.has_warned = false;
        self.again_at = 0;
        let mut log = Some(log);
        let _ = (self.spawn)(Task::new(move || {
            drop(log.take());
            false
        }));
    }
}

/// Makes each task run in a thread of its own.
pub(super) fn on_a_thread() -> Spawn {
    Box::new(|mut task| {
        let compaction = thread::Builder::new().name("compaction".to_owned());
        compaction.spawn(move || while task.step() {}).map(Some)
    })
}

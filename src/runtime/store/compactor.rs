//! When a log is compacted, and what becomes of an attempt.

use super::compaction::{Compaction, Copier, GivenUp, Signals, Spawn, Task};
use super::file::{Dir, LOG, LOG_NEW};
use super::generation::Log;
use crate::durable::Durable;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread::{self, JoinHandle};

/// The compactions of one store, one at a time.
pub(super) struct Compactor {
    spawn: Spawn,
    compact_at: u64,
    /// How much later than need be this directory's logs are compacted, in 65536ths.
    delay: u64,
    /// After an attempt in vain: the length of the log at which the next is made. In bytes.
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
    /// The logs of a cluster grow alike. They are not to be compacted all at once, so each directory
    /// has a delay of its own.
    pub(super) fn new(spawn: Spawn, compact_at: u64, directory: u128) -> Self {
        let delay = u64::from(crc32fast::hash(&directory.to_le_bytes()) >> 16);
        Self { spawn, compact_at, delay, again_at: 0, running: None, has_warned: false }
    }

    /// Whether `log` is so much longer than its image that a new one may be worth it.
    pub(super) fn is_due(&self, log: &Log) -> bool {
        let least = self.compact_at.max(log.image_end.saturating_mul(4));
        let least = least.saturating_add(least.saturating_mul(self.delay) >> 16);
        self.running.is_none() && log.end - log.image_end > least && log.end >= self.again_at
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Begins `compaction`, whose outcome comes through `outcome`.
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

    /// Tells a running compaction up to where the log is durable.
    pub(super) fn saved_up_to(&self, end: u64) {
        if let Some(running) = &self.running {
            running.signals.end.store(end, Ordering::Release);
        }
    }

    /// The new log of a compaction that has just ended, if one has.
    pub(super) fn take(&mut self, dir: &Dir, end: u64) -> Option<Copier> {
        let outcome = match self.running.as_ref()?.outcome.try_recv() {
            Ok(outcome) => outcome,
            Err(TryRecvError::Empty) => return None,
            // Its task is gone, and so did not clean up.
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

    /// What has failed is attempted again when the log has grown by a quarter.
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
                // A panic of it has been reported, and harms nobody else.
                let _ = thread.join();
            }
            drop(running.outcome);
            // If this fails the next start removes it.
            let _ = dir.remove(LOG_NEW);
        }
    }

    /// Closes a log that has no name any more, which frees its space: that can take long.
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

/// Has a task done by a thread of its own.
pub(super) fn on_a_thread() -> Spawn {
    Box::new(|mut task| {
        let compaction = thread::Builder::new().name("compaction".to_owned());
        compaction.spawn(move || while task.step() {}).map(Some)
    })
}

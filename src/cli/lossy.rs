//! A writer of log lines that never waits for a reader. A thread of its own writes the lines; lines that it
//! cannot write in time are dropped and counted.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

/// How long a program waits at its end for the last lines to be written.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// The queue of lines that wait for the writing thread. Writing a line to it never blocks.
#[derive(Clone)]
pub(super) struct Log {
    items: SyncSender<Item>,
    dropped: Arc<AtomicU64>,
}

enum Item {
    Line(Vec<u8>),
    /// A request to flush: the thread answers it when everything before it is written.
    Flush(SyncSender<()>),
}

/// Writes the last lines when it is dropped, but does not wait long for a slow reader.
pub(super) struct Flush(pub(super) Log);

impl Log {
    /// Starts a thread that writes lines to `out` and lives as long as the log. At most `waiting` lines may
    /// wait.
    pub(super) fn to(out: impl Write + Send + 'static, waiting: usize) -> Self {
        let (items, received) = sync_channel(waiting);
        let dropped = Arc::new(AtomicU64::new(0));
        let log = Self { items, dropped: Arc::clone(&dropped) };
        thread::spawn(move || write_all(out, &received, &dropped));
        log
    }

    /// Waits until all lines are written, but no longer than about `patience`.
    pub(super) fn flush_within(&self, patience: Duration) {
        const PAUSE: Duration = Duration::from_millis(10);
        let (answer, answered) = sync_channel(1);
        let mut item = Item::Flush(answer);
        // Waiting lines may leave no room for the request at first.
        for _ in 0..=patience.as_millis() / PAUSE.as_millis() {
            match self.items.try_send(item) {
                Ok(()) => {
                    // Whether the answer comes in time or not, the program ends.
                    let _ = answered.recv_timeout(patience);
                    return;
                }
                Err(TrySendError::Full(back)) => item = back,
                Err(TrySendError::Disconnected(_)) => return,
            }
            thread::park_timeout(PAUSE);
        }
    }
}

impl Write for Log {
    /// Takes a line, or drops it if the queue is full. (Each call gets one whole line.)
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.items.try_send(Item::Line(line.to_vec())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        self.0.flush_within(PATIENCE);
    }
}

/// The body of the thread that writes.
fn write_all(mut out: impl Write, items: &Receiver<Item>, dropped: &AtomicU64) {
    for item in items {
        let dropped = dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let note = format!("{dropped} log lines were dropped: they were not read in time\n");
            // A reader that closed the log does not want the note.
            let _ = out.write_all(note.as_bytes());
        }
        match item {
            Item::Line(line) => {
                let _ = out.write_all(&line);
            }
            Item::Flush(answer) => {
                let _ = out.flush();
                let _ = answer.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::mpsc::{Sender, channel};

    const LONG: Duration = Duration::from_secs(30);

    /// A pipe that takes a line only when the test lets it.
    struct Pipe {
        begun: Sender<()>,
        go_on: Receiver<()>,
        text: Arc<Mutex<String>>,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.begun.send(()).expect("the test watches");
            self.go_on.recv().expect("the test goes on");
            self.text.lock().expect("nobody panics").push_str(&String::from_utf8_lossy(bytes));
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_that_nobody_reads_takes_every_line_and_says_later_how_many_it_dropped() {
        let (begun, begins) = channel();
        let (lets, go_on) = channel();
        let text = Arc::new(Mutex::new(String::new()));
        let mut log = Log::to(Pipe { begun, go_on, text: Arc::clone(&text) }, 2);
        log.write_all(b"1\n").expect("taken");
        begins.recv_timeout(LONG).expect("it is being written");
        for line in 2..=9 {
            log.write_all(format!("{line}\n").as_bytes()).expect("taken");
        }
        log.flush_within(Duration::ZERO);
        for _ in 0..4 {
            lets.send(()).expect("it is being written");
        }
        drop(log);
        assert_eq!(begins.iter().count(), 3, "until its thread ends");
        let text = text.lock().expect("nobody panics").clone();
        assert_eq!(text, "1\n6 log lines were dropped: they were not read in time\n2\n3\n");
    }

    #[test]
    fn a_flush_ends_when_the_lines_are_written_and_without_a_reader_soon() {
        let (begun, _begins) = channel();
        let (lets, go_on) = channel::<()>();
        let text = Arc::new(Mutex::new(String::new()));
        let mut log = Log::to(Pipe { begun, go_on, text: Arc::clone(&text) }, 2);
        log.write_all(b"1\n").expect("taken");
        log.flush_within(Duration::ZERO);
        lets.send(()).expect("it is being written");
        log.flush_within(LONG);
        assert_eq!(*text.lock().expect("nobody panics"), "1\n");
    }
}

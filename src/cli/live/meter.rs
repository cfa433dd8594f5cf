//! Measures commands second by second: how many ended, and how long they took.

use serde::Serialize;
use std::collections::VecDeque;
use std::time::Duration;

/// The seconds that are kept.
const MOST_SECONDS: usize = 120;
/// The most times that are kept of one second. Beyond, only the number of commands grows.
const MOST_TIMES: usize = 4096;

/// What happened second by second, the oldest second first.
#[derive(Default)]
pub(super) struct Meter {
    seconds: VecDeque<Second>,
    /// The second that is not over.
    present: Present,
}

#[derive(Default)]
struct Present {
    /// The number of the second since the start.
    number: u64,
    done: u64,
    failed: u64,
    /// Microseconds.
    times: Vec<u64>,
    /// The highest commit index that any server has told, now and when the second began.
    committed: Option<u64>,
    committed_before: Option<u64>,
}

/// A second that is over. A percentile is in microseconds, and null if no command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Second {
    /// The number of the second since the start.
    #[serde(rename = "second")]
    number: u64,
    /// How far the commit index grew; null if no server told it.
    committed: Option<u64>,
    /// Commands of the page and of its load that ended with an answer.
    done: u64,
    failed: u64,
    p50: Option<u64>,
    p99: Option<u64>,
}

impl Meter {
    /// A command has ended: how long it took, or that it failed.
    pub(super) fn ended(&mut self, now: Duration, took: Result<Duration, ()>) {
        self.roll(now);
        match took {
            Ok(took) => {
                self.present.done += 1;
                if self.present.times.len() < MOST_TIMES {
                    self.present.times.push(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
                }
            }
            Err(()) => self.present.failed += 1,
        }
    }

    /// A server has told its commit index.
    pub(super) fn committed(&mut self, now: Duration, index: u64) {
        self.roll(now);
        let present = &mut self.present;
        present.committed = present.committed.max(Some(index));
    }

    /// The seconds that are over.
    pub(super) fn seconds(&mut self, now: Duration) -> impl Iterator<Item = &Second> {
        self.roll(now);
        self.seconds.iter()
    }

    /// Ends the seconds that are over.
    fn roll(&mut self, now: Duration) {
        let number = now.as_secs();
        // After a long sleep of the machine, only the seconds that are kept are made.
        let oldest = number.saturating_sub(MOST_SECONDS as u64);
        if self.present.number < oldest {
            self.present.number = oldest;
        }
        while self.present.number < number {
            let present = &mut self.present;
            present.times.sort_unstable();
            let grew = |(now, before): (u64, u64)| now.saturating_sub(before);
            self.seconds.push_back(Second {
                number: present.number,
                committed: present.committed.zip(present.committed_before).map(grew),
                done: present.done,
                failed: present.failed,
                p50: percentile(&present.times, 50),
                p99: percentile(&present.times, 99),
            });
            let (number, committed) = (present.number + 1, present.committed);
            let committed_before = committed;
            *present = Present { number, committed, committed_before, ..Present::default() };
            if self.seconds.len() > MOST_SECONDS {
                self.seconds.pop_front();
            }
        }
    }
}

/// The least time that is not below `percent` of the times.
fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_second_has_its_commands_and_their_times() {
        let mut meter = Meter::default();
        meter.committed(at(10), 5);
        for micros in 1..=100 {
            meter.ended(at(1100), Ok(Duration::from_micros(micros)));
        }
        meter.ended(at(1200), Err(()));
        meter.committed(at(1300), 105);
        meter.committed(at(1400), 99);
        let seconds: Vec<_> = meter.seconds(at(3999)).cloned().collect();
        let none = |second, committed| Second {
            number: second,
            committed,
            done: 0,
            failed: 0,
            p50: None,
            p99: None,
        };
        let (p50, p99) = (Some(50), Some(99));
        let busy = Second { done: 100, failed: 1, p50, p99, ..none(1, Some(100)) };
        assert_eq!(seconds, [none(0, None), busy, none(2, Some(0))]);
    }

    #[test]
    fn old_seconds_are_forgotten_however_long_nobody_measured() {
        let mut meter = Meter::default();
        let seconds: Vec<_> = meter.seconds(at(10_000_000_000)).cloned().collect();
        assert_eq!(seconds.len(), MOST_SECONDS);
        assert_eq!(seconds.last().map(|it| it.number), Some(9_999_999));
    }

    #[test]
    fn a_percentile_is_one_of_the_times() {
        assert_eq!(percentile(&[], 50), None);
        assert_eq!(percentile(&[7], 50), Some(7));
        assert_eq!(percentile(&[7], 99), Some(7));
        assert_eq!(percentile(&[1, 2, 3, 4], 50), Some(2));
        assert_eq!(percentile(&[1, 2, 3, 4], 99), Some(4));
    }
}

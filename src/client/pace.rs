//! The pace of a client: how soon it sends a request again.
//!
//! To ask too soon is dear: each copy costs a datagram, and a leader that does not drop it (CLI-4)
//! appends it as another entry. So a client waits twice as long as its answers usually take.
//! [`Client`](super::Client) tells [`Pace`] how long each answer took and asks it how long to wait. As
//! TCP does (RFC 6298), `Pace` learns from answers to requests that were sent once. If there were
//! several copies, nobody knows which of them was answered; `Pace` then becomes more patient instead.

use std::time::{Duration, Instant};

/// The longest wait for an answer, unless the client's interval is longer. Chance adds up to half of the
/// wait.
pub const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The most intervals to which the waits for copies of one request double.
const SLOWEST: u32 = 4;

/// A client's patience.
#[derive(Debug)]
pub(super) struct Pace {
    /// The shortest wait.
    interval: Duration,
    /// The wait for an answer to the first copy.
    first: Duration,
    /// How long answers to requests that were sent once usually take.
    usual: Option<Duration>,
    /// How long a datagram takes to a server and back.
    way: Duration,
}

impl Pace {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, first: interval, usual: None, way: Duration::ZERO }
    }

    /// How long to wait for an answer to a request sent for the `copy`th time, from 0. The wait grows
    /// from copy to copy, up to a few intervals, unless an answer takes longer by itself.
    pub(super) fn wait(&self, copy: u32) -> Duration {
        let longer = self.interval.saturating_mul(2_u32.saturating_pow(copy).min(SLOWEST));
        self.first.max(longer.min(LONGEST_WAIT.max(self.interval)))
    }

    /// Notes that a server's report took `way`. The leader's answer takes about twice that, for it has
    /// to ask its followers, which may be as far away.
    pub(super) fn has_reported(&mut self, way: Duration) {
        self.way = way;
        if self.usual.is_none() {
            self.begin_with(self.first.max(way.saturating_mul(4)));
        }
    }

    /// Notes that the answer to a request came `after` its first copy was sent, and how many `copies`
    /// were sent.
    pub(super) fn has_answered(&mut self, after: Duration, copies: u32) {
        if copies > 1 {
            self.usual = None;
            // Even if this answers the first copy, the answer took no longer than `after`, so a wait of
            // twice that is enough.
            let longer = self.first.saturating_mul(2).min(after.saturating_mul(2));
            self.begin_with(longer.max(self.way.saturating_mul(4)));
        } else {
            let usual = self.usual.map_or(after, |usual| usual / 4 * 3 + after / 4);
            self.usual = Some(usual);
            self.begin_with(usual.saturating_mul(2));
        }
    }

    fn begin_with(&mut self, first: Duration) {
        self.first = first.min(LONGEST_WAIT).max(self.interval);
    }
}

/// A moment that tells how long ago it was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(Instant);

impl Moment {
    #[expect(clippy::disallowed_methods, reason = "how long answers take is told by the clock")]
    pub(super) fn now() -> Self {
        Self(Instant::now())
    }

    pub(super) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn waits(pace: &Pace) -> [Duration; 4] {
        [0, 1, 2, 3].map(|copy| pace.wait(copy))
    }

    #[test]
    fn where_answers_are_quick_the_interval_is_waited_then_longer_up_to_a_bound() {
        let mut pace = Pace::new(ms(100));
        assert_eq!(waits(&pace), [100, 200, 400, 400].map(ms));
        pace.has_reported(ms(1));
        pace.has_answered(ms(2), 1);
        assert_eq!(waits(&pace), [100, 200, 400, 400].map(ms));
    }

    #[test]
    fn a_long_way_to_the_servers_is_known_before_the_first_request() {
        let mut pace = Pace::new(ms(100));
        pace.has_reported(ms(160));
        assert!(pace.wait(0) > 2 * ms(160), "an answer takes as long: {:?}", pace.wait(0));
    }

    #[test]
    fn twice_as_long_as_an_answer_usually_takes_is_waited() {
        let mut pace = Pace::new(ms(100));
        pace.has_answered(ms(320), 1);
        assert_eq!(pace.wait(0), ms(640));
        for _ in 0..40 {
            pace.has_answered(ms(10), 1);
        }
        assert_eq!(pace.wait(0), ms(100), "and no longer, once they are quick");
    }

    #[test]
    fn answers_that_become_slow_are_waited_for_after_a_few_of_them() {
        let mut pace = Pace::new(ms(100));
        pace.has_answered(ms(1), 1);
        let mut copies = Vec::new();
        for _ in 0..5 {
            let (mut waited, mut copy) = (ms(0), 0);
            while waited < ms(800) {
                waited += pace.wait(copy);
                copy += 1;
            }
            pace.has_answered(ms(800), copy);
            copies.push(copy);
        }
        assert_eq!(copies, [4, 3, 2, 1, 1]);
    }

    #[test]
    fn no_wait_is_longer_than_the_bound_or_an_interval_beyond_it() {
        let mut pace = Pace::new(ms(100));
        pace.has_answered(Duration::from_hours(1), 1);
        for _ in 0..100 {
            pace.has_answered(Duration::from_hours(1), 9);
        }
        assert_eq!(waits(&pace), [LONGEST_WAIT; 4]);
        let minute = Duration::from_mins(1);
        assert_eq!(waits(&Pace::new(minute)), [minute; 4]);
        assert_eq!(Pace::new(Duration::MAX).wait(0), Duration::MAX, "no overflow");
    }
}

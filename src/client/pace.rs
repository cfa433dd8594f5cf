//! The pace of a client: how soon it sends a request again.
//!
//! To ask too soon is dear: each copy costs a datagram, and a leader that does not drop it (CLI-4)
//! appends it as another entry. To ask too late is dear as well where the network loses datagrams: each
//! loss costs the whole wait. So a client waits twice as long as its answers usually take.
//! [`Client`](super::Client) tells [`Pace`] how long each answer took and asks it how long to wait. As
//! TCP does (RFC 6298), `Pace` learns from answers to requests that were sent once. If there were
//! several copies, nobody knows which of them was answered, and `Pace` guesses. An answer that comes
//! right after the latest copy is taken for an answer to it: the earlier copies were lost. Any other
//! answer is taken for a slow one, and `Pace` becomes more patient.

use std::time::{Duration, Instant};

/// The longest wait for an answer, unless the client's interval is longer. Chance adds up to half of the
/// wait.
pub const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// A shorter way than this is taken for this long, when a longer one is reported.
const SHORTEST_WAY: Duration = Duration::from_millis(1);

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
    /// How long a datagram takes to a server and back, once known.
    way: Option<Duration>,
}

/// The times of an answer to a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    /// How long after the first copy of the request the answer came.
    pub(super) after_first: Duration,
    /// How long after the latest copy of the request the answer came.
    pub(super) after_latest: Duration,
    /// How many copies of the request were sent.
    pub(super) copies: u32,
}

impl Pace {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, first: interval, usual: None, way: None }
    }

    /// How long to wait for an answer to a request sent for the `copy`th time, from 0. The wait grows
    /// from copy to copy, up to a few intervals, unless an answer takes longer by itself.
    pub(super) fn wait(&self, copy: u32) -> Duration {
        let longer = self.interval.saturating_mul(2_u32.saturating_pow(copy).min(SLOWEST));
        let first = if self.usual.is_some() { self.first } else { self.first.max(self.quickest()) };
        first.max(longer.min(LONGEST_WAIT.max(self.interval)))
    }

    /// Notes that a server's report took `way`. The leader's answer takes about twice that, for it has
    /// to ask its followers, which may be as far away.
    ///
    /// A report may have been held up on its way. So a shorter way counts at once, and a longer one at
    /// most doubles the known way.
    pub(super) fn has_reported(&mut self, way: Duration) {
        let longest = |known: Duration| known.max(SHORTEST_WAY).saturating_mul(2);
        self.way = Some(self.way.map_or(way, |known| way.min(longest(known))));
    }

    /// Notes when the answer to a request came.
    pub(super) fn has_answered(&mut self, answered: Answered) {
        let Answered { after_first, after_latest, copies } = answered;
        if copies == 1 {
            let usual = self.usual.map_or(after_first, |usual| usual / 4 * 3 + after_first / 4);
            self.usual = Some(usual);
            self.begin_with(usual.saturating_mul(2));
            return;
        }
        self.usual = None;
        let wait = if after_latest < self.right_after() {
            after_latest.saturating_mul(2)
        } else {
            // Even if this answers the first copy, the answer took no longer than `after_first`, so a
            // wait of twice that is enough.
            self.first.saturating_mul(2).min(after_first.saturating_mul(2))
        };
        self.begin_with(wait);
    }

    /// An answer that comes sooner than this after a copy is taken for an answer to that copy. A slow
    /// answer to an earlier copy rarely comes so soon by chance: the waits are longer, and of random
    /// length. If it does, `Pace` is too quick for one request and learns again.
    fn right_after(&self) -> Duration {
        (self.interval / 2).max(self.way.unwrap_or_default().saturating_mul(3))
    }

    /// Twice as long as the quickest answer of a leader takes, by the way to the servers.
    fn quickest(&self) -> Duration {
        self.way.unwrap_or_default().saturating_mul(4).min(LONGEST_WAIT)
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

    /// An answer to the only copy.
    fn once(after: Duration) -> Answered {
        Answered { after_first: after, after_latest: after, copies: 1 }
    }

    fn waits(pace: &Pace) -> [Duration; 4] {
        [0, 1, 2, 3].map(|copy| pace.wait(copy))
    }

    #[test]
    fn where_answers_are_quick_the_interval_is_waited_then_longer_up_to_a_bound() {
        let mut pace = Pace::new(ms(100));
        assert_eq!(waits(&pace), [100, 200, 400, 400].map(ms));
        pace.has_reported(ms(1));
        pace.has_answered(once(ms(2)));
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
        pace.has_answered(once(ms(320)));
        assert_eq!(pace.wait(0), ms(640));
        for _ in 0..40 {
            pace.has_answered(once(ms(10)));
        }
        assert_eq!(pace.wait(0), ms(100), "and no longer, once they are quick");
    }

    #[test]
    fn answers_that_become_slow_are_waited_for_after_a_few_of_them() {
        let mut pace = Pace::new(ms(100));
        pace.has_answered(once(ms(1)));
        let mut copies = Vec::new();
        for _ in 0..5 {
            let (mut waited, mut latest, mut copy) = (ms(0), ms(0), 0);
            while waited < ms(800) {
                latest = waited;
                waited += pace.wait(copy);
                copy += 1;
            }
            let (after_first, after_latest) = (ms(800), ms(800).saturating_sub(latest));
            pace.has_answered(Answered { after_first, after_latest, copies: copy });
            copies.push(copy);
        }
        assert_eq!(copies, [4, 3, 2, 1, 1]);
    }

    /// The answer to the last of five copies, each of which but that one was lost.
    fn after_four_losses(pace: &Pace, way: Duration) -> Answered {
        let lost = (0..4).map(|copy| pace.wait(copy)).sum::<Duration>();
        Answered { after_first: lost + way, after_latest: way, copies: 5 }
    }

    #[test]
    fn losses_make_no_client_slow() {
        for way in [ms(2), ms(160)] {
            let mut pace = Pace::new(ms(100));
            pace.has_reported(way);
            let patience = pace.wait(0);
            for _ in 0..20 {
                pace.has_answered(after_four_losses(&pace, 2 * way));
                assert!(pace.wait(0) <= patience, "{pace:?}");
            }
        }
    }

    #[test]
    fn a_client_that_has_become_slow_is_quick_again_after_one_quick_answer() {
        let mut pace = Pace::new(ms(100));
        for _ in 0..10 {
            pace.has_answered(Answered { after_first: ms(900), after_latest: ms(90), copies: 4 });
        }
        assert_eq!(pace.wait(0), ms(1800));
        pace.has_answered(after_four_losses(&pace, ms(3)));
        assert_eq!(pace.wait(0), ms(100));
    }

    #[test]
    fn a_report_that_was_held_up_says_little_of_the_way() {
        let mut pace = Pace::new(ms(100));
        pace.has_reported(ms(2));
        pace.has_reported(ms(5000));
        assert_eq!((pace.way, pace.wait(0)), (Some(ms(4)), ms(100)));
        pace.has_reported(ms(3));
        assert_eq!(pace.way, Some(ms(3)));
        for _ in 0..10 {
            pace.has_reported(ms(160));
        }
        assert_eq!((pace.way, pace.wait(0)), (Some(ms(160)), ms(640)));
    }

    #[test]
    fn no_wait_is_longer_than_the_bound_or_an_interval_beyond_it() {
        let mut pace = Pace::new(ms(100));
        pace.has_answered(once(Duration::from_hours(1)));
        for _ in 0..100 {
            let hour = Duration::from_hours(1);
            pace.has_answered(Answered { after_first: hour, after_latest: hour, copies: 9 });
        }
        assert_eq!(waits(&pace), [LONGEST_WAIT; 4]);
        let minute = Duration::from_mins(1);
        assert_eq!(waits(&Pace::new(minute)), [minute; 4]);
        assert_eq!(Pace::new(Duration::MAX).wait(0), Duration::MAX, "no overflow");
    }
}

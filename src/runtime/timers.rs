//! The timers that a node's actor has set. The worker calls [`Timers::arm`] and [`Timers::disarm`] as
//! handlers command it, and [`Timers::run`] at the end of each batch. It fires the timers that
//! [`Timers::due`] returns.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The lateness up to which a timer counts as waited for. If a timer is found later than this, the
/// process was stopped, or the machine was too busy to run it.
const LATE: Duration = Duration::from_millis(5);

/// The armed timers, and when each is due. `Timers` reads no clock: its caller gives it every moment.
///
/// A model lets an armed timer fire at any moment. A node fires it at one of those moments, so every run
/// of a node is a run of the model. A timer is disarmed before its handler runs, as in the model.
///
/// A timer that a handler sets does not run at once. It counts from the end of the handler's batch
/// ([`Timers::run`]), however long the batch's handlers and its save took.
#[derive(Debug)]
pub struct Timers<T> {
    armed: BTreeMap<T, Armed>,
}

#[derive(Clone, Copy, Debug)]
struct Armed {
    duration: Duration,
    /// `None` until the end of the batch that set the timer.
    due: Option<Instant>,
    is_spared: bool,
}

impl Armed {
    fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { armed: BTreeMap::new() }
    }
}

impl<T: Ord + Clone> Timers<T> {
    /// Sets `timer`, or sets it anew. It will be due `duration` after the end of the batch.
    pub fn arm(&mut self, timer: T, duration: Duration) {
        self.armed.insert(timer, Armed { duration, due: None, is_spared: false });
    }

    /// Cancels `timer` if it is set.
    pub fn disarm(&mut self, timer: &T) {
        self.armed.remove(timer);
    }

    /// Starts the timers that were set in the batch that ends at `now`.
    pub fn run(&mut self, now: Instant) {
        for armed in self.armed.values_mut() {
            armed.due.get_or_insert(now + armed.duration);
        }
    }

    /// When the next timer is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.armed.values().filter_map(|armed| armed.due).min()
    }

    /// Whether a timer is due at `now`.
    pub fn is_due(&self, now: Instant) -> bool {
        self.armed.values().any(|armed| armed.is_due(now))
    }

    /// The timers due at `now`, in the order in which they became due. They stay armed, because the
    /// handler of one may cancel or re-arm another. So each must be claimed with [`Timers::disarm_due`]
    /// at its turn.
    pub fn due(&self, now: Instant) -> Vec<T> {
        let mut due: Vec<_> = self.armed.iter().filter(|(_, armed)| armed.is_due(now)).collect();
        due.sort_by_key(|(_, armed)| armed.due);
        due.into_iter().map(|(timer, _)| timer.clone()).collect()
    }

    /// Disarms `timer` and returns true if it is still armed and still due at `now`. Only then may it
    /// fire.
    pub fn disarm_due(&mut self, timer: &T, now: Instant) -> bool {
        let fires = self.armed.get(timer).is_some_and(|armed| armed.is_due(now));
        if fires {
            self.armed.remove(timer);
        }
        fires
    }

    /// Spares late timers. The node calls this when it has waited until `now`. A timer that is late by
    /// more than a few milliseconds gets another quarter of its duration, once. So when all servers were
    /// stopped and go on, servers with short timers send their messages before the long timers of the
    /// others fire.
    pub fn spare_late(&mut self, now: Instant) {
        for armed in self.armed.values_mut().filter(|armed| !armed.is_spared) {
            if armed.due.is_some_and(|due| due + LATE < now) {
                armed.due = Some(now + armed.duration / 4);
                armed.is_spared = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any moment will do as the origin")]
    fn origin() -> Instant {
        Instant::now()
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Timers set for so many milliseconds, running from `t0`.
    fn running<const N: usize>(t0: Instant, timers: [(char, u64); N]) -> Timers<char> {
        let mut running = Timers::default();
        for (timer, millis) in timers {
            running.arm(timer, ms(millis));
        }
        running.run(t0);
        running
    }

    #[test]
    fn timers_are_due_in_the_order_of_their_moments() {
        let t0 = origin();
        let timers = running(t0, [('a', 20), ('b', 10), ('c', 30)]);
        assert_eq!(timers.next_due(), Some(t0 + ms(10)));
        assert!(!timers.is_due(t0 + ms(9)));
        assert!(timers.is_due(t0 + ms(10)));
        assert_eq!(timers.due(t0 + ms(20)), ['b', 'a']);
    }

    #[test]
    fn a_timer_fires_once_per_arming() {
        let t0 = origin();
        let mut timers = running(t0, [('a', 0)]);
        assert!(timers.disarm_due(&'a', t0));
        assert!(!timers.disarm_due(&'a', t0));
        assert_eq!(timers.next_due(), None);
    }

    #[test]
    fn a_timer_cancelled_or_re_armed_after_it_was_due_does_not_fire() {
        let t0 = origin();
        let mut timers = running(t0, [('a', 0), ('b', 0)]);
        assert_eq!(timers.due(t0), ['a', 'b']);
        timers.disarm(&'a');
        timers.arm('b', ms(5));
        assert!(!timers.disarm_due(&'a', t0));
        assert!(!timers.disarm_due(&'b', t0));
        timers.run(t0);
        assert!(!timers.disarm_due(&'b', t0));
        assert!(timers.disarm_due(&'b', t0 + ms(5)));
    }

    #[test]
    fn a_timer_counts_from_the_end_of_the_batch_that_set_it_and_from_no_later_one() {
        let t0 = origin();
        let mut timers = Timers::default();
        timers.arm('a', ms(10));
        assert_eq!(timers.next_due(), None);
        assert!(!timers.is_due(t0 + ms(1000)));
        timers.run(t0 + ms(100));
        assert_eq!(timers.next_due(), Some(t0 + ms(110)));
        timers.run(t0 + ms(105));
        assert_eq!(timers.next_due(), Some(t0 + ms(110)));
    }

    #[test]
    fn a_late_timer_is_spared_for_a_quarter_of_its_duration_once() {
        let t0 = origin();
        let mut timers = running(t0, [('a', 40), ('b', 200), ('c', 2000)]);
        timers.spare_late(t0 + ms(45));
        assert_eq!(timers.due(t0 + ms(45)), ['a'], "it is not late");
        timers.spare_late(t0 + ms(1000));
        assert_eq!(timers.due(t0 + ms(1009)), [] as [char; 0]);
        assert_eq!(timers.due(t0 + ms(1049)), ['a']);
        assert_eq!(timers.due(t0 + ms(1050)), ['a', 'b'], "the shorter comes first");
        timers.spare_late(t0 + ms(1900));
        assert_eq!(timers.due(t0 + ms(1900)), ['a', 'b']);
        timers.arm('a', ms(40));
        timers.run(t0 + ms(1900));
        timers.spare_late(t0 + ms(1999));
        assert_eq!(timers.due(t0 + ms(1999)), ['b'], "each arming is spared once");
        assert_eq!(timers.due(t0 + ms(2000)), ['b', 'c'], "nothing else was put off");
    }
}

//! The timers a node's actor has set.

use std::collections::BTreeMap;
use std::time::Instant;

/// Armed timers and when each is due. It reads no clock: every moment is given to it.
///
/// A model lets an armed timer fire at any moment; this fires it at one of those, so every run of a
/// node is a run of the model. A timer is disarmed before its handler runs, as in the model.
#[derive(Debug)]
pub struct Timers<T> {
    armed: BTreeMap<T, Instant>,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { armed: BTreeMap::new() }
    }
}

impl<T: Ord + Clone> Timers<T> {
    /// Sets `timer`, or sets it anew.
    pub fn arm(&mut self, timer: T, due: Instant) {
        self.armed.insert(timer, due);
    }

    /// Cancels `timer` if it is set.
    pub fn disarm(&mut self, timer: &T) {
        self.armed.remove(timer);
    }

    /// When the next timer is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.armed.values().min().copied()
    }

    /// The timers due at `now`, the longest due first. They stay armed: the handler of one may
    /// cancel or re-arm another, so each must be claimed with [`Timers::disarm_due`] at its turn.
    pub fn due(&self, now: Instant) -> Vec<T> {
        let mut due: Vec<_> = self.armed.iter().filter(|(_, at)| **at <= now).collect();
        due.sort_by_key(|(_, at)| **at);
        due.into_iter().map(|(timer, _)| timer.clone()).collect()
    }

    /// Disarms `timer` if it is still armed and still due at `now`: only then may it fire.
    pub fn disarm_due(&mut self, timer: &T, now: Instant) -> bool {
        let fires = self.armed.get(timer).is_some_and(|at| *at <= now);
        if fires {
            self.armed.remove(timer);
        }
        fires
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[expect(clippy::disallowed_methods, reason = "any moment will do as the origin")]
    fn origin() -> Instant {
        Instant::now()
    }

    fn after(origin: Instant, millis: u64) -> Instant {
        origin + Duration::from_millis(millis)
    }

    #[test]
    fn timers_are_due_in_the_order_of_their_moments() {
        let t0 = origin();
        let mut timers = Timers::default();
        timers.arm('a', after(t0, 20));
        timers.arm('b', after(t0, 10));
        timers.arm('c', after(t0, 30));
        assert_eq!(timers.next_due(), Some(after(t0, 10)));
        assert_eq!(timers.due(after(t0, 20)), ['b', 'a']);
    }

    #[test]
    fn a_timer_fires_once_per_arming() {
        let t0 = origin();
        let mut timers = Timers::default();
        timers.arm('a', t0);
        assert!(timers.disarm_due(&'a', t0));
        assert!(!timers.disarm_due(&'a', t0));
        assert_eq!(timers.next_due(), None);
    }

    #[test]
    fn a_timer_cancelled_or_re_armed_after_it_was_due_does_not_fire() {
        let t0 = origin();
        let mut timers = Timers::default();
        timers.arm('a', t0);
        timers.arm('b', t0);
        assert_eq!(timers.due(t0), ['a', 'b']);
        timers.disarm(&'a');
        timers.arm('b', after(t0, 5));
        assert!(!timers.disarm_due(&'a', t0));
        assert!(!timers.disarm_due(&'b', t0));
        assert!(timers.disarm_due(&'b', after(t0, 5)));
    }
}

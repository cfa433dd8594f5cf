//! The counts of a node. [`Counters`] are atomics, because both the receiving thread and the node's loop
//! count. The counts are for people, and no code orders anything by them.

use super::wire::Reject;
use serde_json::{Map, Value};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A node's counts since its process started.
#[derive(Debug, Default)]
pub struct Counters {
    received: AtomicU64,
    sent: AtomicU64,
    cut: AtomicU64,
    rejected: [AtomicU64; Reject::ALL.len()],
    lost: [AtomicU64; Loss::ALL.len()],
}

/// Why something was lost on this machine, apart from a [`Reject`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// A datagram arrived while as many datagrams were waiting as the node may hold.
    MailboxFull,
    /// A message or a status was too large for a datagram.
    TooLargeToSend,
    /// A message was addressed to a number without an address. The number is of no configured server, or
    /// of a client not heard from lately.
    NoAddress,
    /// The operating system did not take a datagram.
    SendFailed,
    /// The operating system reported an error instead of a datagram.
    ReceiveFailed,
}

impl Loss {
    /// All reasons for a loss with their names in a node's status, in the order of the enum.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::MailboxFull, "mailbox_full"),
        (Self::TooLargeToSend, "too_large_to_send"),
        (Self::NoAddress, "no_address"),
        (Self::SendFailed, "send_failed"),
        (Self::ReceiveFailed, "receive_failed"),
    ];
}

impl Counters {
    /// Counts a datagram that arrived, whatever it was.
    pub(super) fn received(&self) {
        self.received.fetch_add(1, Relaxed);
    }

    /// Counts a datagram that the operating system took.
    pub(super) fn sent(&self) {
        self.sent.fetch_add(1, Relaxed);
    }

    /// Counts a datagram that came over a cut link. It logs nothing, because somebody wants the cut.
    pub(super) fn cut(&self) {
        self.cut.fetch_add(1, Relaxed);
    }

    /// Counts a datagram that was dropped. A flood of n datagrams writes about log n lines to the log.
    pub(super) fn rejected(&self, reject: Reject, from: std::net::SocketAddr) {
        let count = self.rejected[reject as usize].fetch_add(1, Relaxed) + 1;
        if count.is_power_of_two() {
            tracing::warn!(%from, count, "dropped a datagram: {reject}");
        }
    }

    /// Counts a dropped datagram of a refused server. It logs nothing, because the refusing code does.
    pub(super) fn refused(&self, reject: Reject) {
        self.rejected[reject as usize].fetch_add(1, Relaxed);
    }

    /// Counts a loss, and logs it as [`Counters::rejected`] logs a dropped datagram.
    pub(super) fn lost(&self, loss: Loss, detail: impl fmt::Display) {
        let count = self.lost[loss as usize].fetch_add(1, Relaxed) + 1;
        if count.is_power_of_two() {
            tracing::warn!(reason = Loss::ALL[loss as usize].1, count, "lost: {detail}");
        }
    }

    /// The counts as JSON: `{"received", "sent", "cut", "dropped": {reason: count}}`, with every reason.
    /// `cut` counts the datagrams that came over cut links, which are no fault.
    pub fn to_json(&self) -> Value {
        let mut dropped = Map::new();
        for (name, count) in names().zip(self.rejected.iter().chain(&self.lost)) {
            dropped.insert(name.to_owned(), count.load(Relaxed).into());
        }
        serde_json::json!({
            "received": self.received.load(Relaxed),
            "sent": self.sent.load(Relaxed),
            "cut": self.cut.load(Relaxed),
            "dropped": dropped,
        })
    }
}

/// The counts in one line: `received 56, sent 58, dropped 3 (checksum 1, no_address 2)`. What came over
/// cut links is named only if there were any: `received 56, of which 4 over cut links, sent ...`.
impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.rejected.iter().chain(&self.lost).map(|count| count.load(Relaxed));
        let dropped: Vec<_> = names().zip(counts).filter(|(_, count)| *count > 0).collect();
        let total: u64 = dropped.iter().map(|(_, count)| count).sum();
        let (received, sent) = (self.received.load(Relaxed), self.sent.load(Relaxed));
        write!(f, "received {received}, ")?;
        match self.cut.load(Relaxed) {
            0 => {}
            cut => write!(f, "of which {cut} over cut links, ")?,
        }
        write!(f, "sent {sent}, dropped {total}")?;
        let reasons: Vec<_> =
            dropped.iter().map(|(name, count)| format!("{name} {count}")).collect();
        if reasons.is_empty() { Ok(()) } else { write!(f, " ({})", reasons.join(", ")) }
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    let rejects = Reject::ALL.iter().map(|(_, name)| *name);
    rejects.chain(Loss::ALL.iter().map(|(_, name)| *name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_counted_under_its_own_name() {
        let counters = Counters::default();
        for (place, (reject, _)) in Reject::ALL.iter().enumerate() {
            assert_eq!(*reject as usize, place);
            for _ in 0..=place {
                counters.rejected(*reject, ([127, 0, 0, 1], 1).into());
            }
        }
        for (place, (loss, _)) in Loss::ALL.iter().enumerate() {
            assert_eq!(*loss as usize, place);
            for _ in 0..100 + place {
                counters.lost(*loss, "in a test");
            }
        }
        let json = counters.to_json();
        let dropped = json["dropped"].as_object().expect("an object of reasons");
        assert_eq!(dropped.len(), Reject::ALL.len() + Loss::ALL.len());
        assert_eq!(dropped["too_short"], 1);
        assert_eq!(dropped["trailing_bytes"], 19);
        assert_eq!(dropped["mailbox_full"], 100);
        assert_eq!(dropped["receive_failed"], 104);
    }

    #[test]
    fn the_line_for_people_has_what_occurred_and_no_more() {
        let counters = Counters::default();
        counters.received();
        assert_eq!(counters.to_string(), "received 1, sent 0, dropped 0");
        let cut = Counters::default();
        cut.received();
        cut.cut();
        assert_eq!(cut.to_string(), "received 1, of which 1 over cut links, sent 0, dropped 0");
        assert_eq!(
            (&cut.to_json()["cut"], &cut.to_json()["dropped"]["magic"]),
            (&1.into(), &0.into())
        );
        counters.rejected(Reject::Checksum, ([127, 0, 0, 1], 1).into());
        counters.lost(Loss::NoAddress, "in a test");
        counters.lost(Loss::NoAddress, "in a test");
        let line = "received 1, sent 0, dropped 3 (checksum 1, no_address 2)";
        assert_eq!(counters.to_string(), line);
    }
}

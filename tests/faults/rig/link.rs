//! One direction of a line between two servers: what becomes of a packet.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::{Duration, Instant};

/// How good a line is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quality {
    /// How likely a packet is lost. A datagram of many fragments needs all of them.
    pub(crate) loss: f64,
    /// How long a packet is on its way.
    pub(crate) delay: Duration,
    /// Bytes that it takes in a second; `None` is without a limit.
    pub(crate) rate: Option<u64>,
    /// Nothing passes.
    pub(crate) is_cut: bool,
    /// Fragments are dropped, as some firewalls do. Only what fits one packet passes.
    pub(crate) drops_fragments: bool,
}

impl Quality {
    pub(crate) const PERFECT: Self = Self {
        loss: 0.0,
        delay: Duration::ZERO,
        rate: None,
        is_cut: false,
        drops_fragments: false,
    };
    pub(crate) const CUT: Self = Self { is_cut: true, ..Self::PERFECT };
    pub(crate) const UNFRAGMENTED: Self = Self { drops_fragments: true, ..Self::PERFECT };

    pub(crate) fn lossy(loss: f64) -> Self {
        Self { loss, ..Self::PERFECT }
    }

    /// A line of so many bits a second.
    pub(crate) fn narrow(bits: u64) -> Self {
        Self { rate: Some(bits / 8), ..Self::PERFECT }
    }
}

/// Bytes that wait at most for a line with a limited rate; what comes then is dropped.
const QUEUE: u64 = 64 << 10;

/// What one end has put on a line, whatever became of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) packets: u64,
    /// With the headers of IP and UDP.
    pub(crate) bytes: u64,
}

/// A packet as a line sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    /// With the headers of IP and UDP.
    pub(crate) bytes: u64,
    pub(crate) is_fragment: bool,
}

/// One direction. What it does follows from its seed, the packets and their times.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) quality: Quality,
    pub(crate) traffic: Traffic,
    random: StdRng,
    /// When everything that waits will have been sent.
    free_at: Option<Instant>,
}

impl Link {
    pub(crate) fn new(seed: u64) -> Self {
        let (quality, traffic) = (Quality::PERFECT, Traffic::default());
        Self { quality, traffic, random: StdRng::seed_from_u64(seed), free_at: None }
    }

    /// When a packet that is sent now arrives; `None` if it never does.
    pub(crate) fn pass(&mut self, now: Instant, packet: Packet) -> Option<Instant> {
        self.traffic.packets += 1;
        self.traffic.bytes += packet.bytes;
        let Quality { loss, delay, is_cut, drops_fragments, .. } = self.quality;
        if is_cut || drops_fragments && packet.is_fragment || self.random.random_bool(loss) {
            return None;
        }
        Some(self.send(now, packet.bytes)? + delay)
    }

    /// When the last byte of a packet is on the line; `None` if too much waits for it.
    fn send(&mut self, now: Instant, bytes: u64) -> Option<Instant> {
        let Some(rate) = self.quality.rate else { return Some(now) };
        let time = |bytes: u64| Duration::from_secs_f64(bytes as f64 / rate as f64);
        let start = self.free_at.map_or(now, |free_at| free_at.max(now));
        if start - now > time(QUEUE) {
            return None;
        }
        self.free_at = Some(start + time(bytes));
        self.free_at
    }
}

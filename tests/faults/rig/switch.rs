//! A switch in this process: it has a link for each ordered pair of servers, and delivers what they let
//! through when they say.
//!
//! It knows nothing of where packets come from and go to. Two front ends do: one of network namespaces
//! and one of loopback addresses.

use super::link::{Link, Packet, Quality, Traffic};
use super::now;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// From one server to another.
type Pair = (u64, u64);

/// Where bytes go that are for a server.
pub(crate) type Deliver = Arc<dyn Fn(u64, &[u8]) + Send + Sync>;

pub(crate) struct Switch {
    links: Mutex<BTreeMap<Pair, Link>>,
    deliver: Deliver,
    late: Sender<Parcel>,
}

/// What is on its way, in the order of arrival.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Parcel {
    due: Instant,
    to: u64,
    bytes: Vec<u8>,
}

impl Switch {
    /// A switch with perfect links. `seed` decides which packets are lost when some are.
    pub(crate) fn new(servers: u64, seed: u64, deliver: Deliver) -> Self {
        let pairs = (1..=servers).flat_map(|from| (1..=servers).map(move |to| (from, to)));
        let link = |(from, to)| ((from, to), Link::new(seed ^ (from << 32) ^ (to << 48)));
        let (late, parcels) = mpsc::channel();
        let postman = Arc::clone(&deliver);
        // It ends with the switch, which holds the sender.
        thread::spawn(move || deliver_late(&parcels, &postman));
        Self { links: Mutex::new(pairs.map(link).collect()), deliver, late }
    }

    pub(crate) fn set(&self, from: u64, to: u64, quality: Quality) {
        self.link(&(from, to), |link| link.quality = quality);
    }

    pub(crate) fn traffic(&self, from: u64, to: u64) -> Traffic {
        self.link(&(from, to), |link| link.traffic)
    }

    /// Bytes that travel as these packets arrive if all of them do, with the last.
    pub(crate) fn pass(&self, from: u64, to: u64, packets: &[Packet], bytes: &[u8]) {
        let now = now();
        let arrivals = self.link(&(from, to), |link| {
            // Each is put on the line, whatever becomes of the others.
            packets.iter().map(|packet| link.pass(now, *packet)).collect::<Vec<_>>()
        });
        let Some(due) = arrivals.into_iter().try_fold(now, |last, at| Some(last.max(at?))) else {
            return;
        };
        if due > now {
            // A switch that is being dropped loses what is on its way.
            let _ = self.late.send(Parcel { due, to, bytes: bytes.to_vec() });
        } else {
            (self.deliver)(to, bytes);
        }
    }

    fn link<T>(&self, pair: &Pair, look: impl FnOnce(&mut Link) -> T) -> T {
        let mut links: MutexGuard<'_, _> = self.links.lock().expect("no link panics");
        look(links.get_mut(pair).expect("both are servers"))
    }
}

fn deliver_late(parcels: &Receiver<Parcel>, deliver: &Deliver) {
    let mut waiting = BinaryHeap::new();
    loop {
        let next: Option<&Reverse<Parcel>> = waiting.peek();
        let patience = next.map_or(Duration::from_secs(1), |Reverse(parcel)| {
            parcel.due.saturating_duration_since(now())
        });
        match parcels.recv_timeout(patience) {
            Ok(parcel) => waiting.push(Reverse(parcel)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while waiting.peek().is_some_and(|Reverse(parcel)| parcel.due <= now()) {
            let Reverse(parcel) = waiting.pop().expect("it was seen");
            deliver(parcel.to, &parcel.bytes);
        }
    }
}

//! A bad network: a UDP proxy in front of a server that loses, doubles, delays and reorders.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How bad: probabilities, for each datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    pub(crate) loss: f64,
    /// A copy arrives some time later.
    pub(crate) duplication: f64,
    /// It arrives after some of its successors.
    pub(crate) delay: f64,
}

impl Faults {
    pub(crate) const NONE: Self = Self { loss: 0.0, duplication: 0.0, delay: 0.0 };
    pub(crate) const BAD: Self = Self { loss: 0.15, duplication: 0.2, delay: 0.2 };
    pub(crate) const CUT: Self = Self { loss: 1.0, duplication: 0.0, delay: 0.0 };
}

/// One direction of one path. Its decisions follow from its seed and the number of datagrams.
struct Path {
    random: StdRng,
    held: Vec<Vec<u8>>,
}

impl Path {
    /// What comes out when this goes in.
    fn pass(&mut self, datagram: &[u8], faults: Faults) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        if self.random.random_bool(faults.loss) {
            return out;
        }
        if self.random.random_bool(faults.duplication) {
            self.held.push(datagram.to_vec());
        }
        if self.random.random_bool(faults.delay) {
            self.held.push(datagram.to_vec());
        } else {
            out.push(datagram.to_vec());
        }
        while !self.held.is_empty() && (self.held.len() > 20 || self.random.random_bool(0.2)) {
            let at = self.random.random_range(0..self.held.len());
            out.push(self.held.swap_remove(at));
        }
        out
    }
}

#[derive(Debug)]
struct Shared {
    front: UdpSocket,
    target: Mutex<Option<SocketAddr>>,
    faults: Mutex<Faults>,
    /// How long each datagram takes, in both directions.
    latency: Mutex<Duration>,
    stopped: AtomicBool,
}

/// The proxy of one server. It has the same address whatever becomes of the server.
#[derive(Debug)]
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    pub(crate) fn start(seed: u64, faults: Faults) -> Self {
        let shared = Arc::new(Shared {
            front: socket(),
            target: Mutex::new(None),
            faults: Mutex::new(faults),
            latency: Mutex::new(Duration::ZERO),
            stopped: AtomicBool::new(false),
        });
        let forwarder = Arc::clone(&shared);
        let thread = Some(thread::spawn(move || forward(&forwarder, seed)));
        Self { shared, thread }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.shared.front.local_addr().expect("it is bound")
    }

    /// Where the server is now, if anywhere.
    pub(crate) fn set_target(&self, target: Option<SocketAddr>) {
        *self.shared.target.lock().expect("no thread panicked") = target;
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        *self.shared.faults.lock().expect("no thread panicked") = faults;
    }
}

impl Proxy {
    /// How long each datagram takes from now on, in both directions.
    pub(crate) fn set_latency(&self, latency: Duration) {
        *self.shared.latency.lock().expect("no thread panicked") = latency;
    }
}

/// Datagrams on their way, in order, with the time at which they arrive.
struct Underway<T>(VecDeque<(Instant, T, Vec<u8>)>);

impl<T> Underway<T> {
    #[expect(clippy::disallowed_methods, reason = "a long way takes time")]
    fn enter(&mut self, latency: Duration, to: T, datagram: Vec<u8>) {
        self.0.push_back((Instant::now() + latency, to, datagram));
    }

    /// Those that have arrived.
    #[expect(clippy::disallowed_methods, reason = "a long way takes time")]
    fn leave(&mut self) -> Vec<(T, Vec<u8>)> {
        let now = Instant::now();
        let mut arrived = Vec::new();
        while let Some((due, to, datagram)) = self.0.pop_front() {
            if due > now {
                self.0.push_front((due, to, datagram));
                break;
            }
            arrived.push((to, datagram));
        }
        arrived
    }

    /// Waits for the next datagram at `socket`, but not longer than until one on its way arrives.
    fn receive(&self, socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let wait = if self.0.is_empty() { 20 } else { 2 };
        socket.set_read_timeout(Some(Duration::from_millis(wait))).expect("a timeout");
        socket.recv_from(buffer).ok()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let result = thread.join();
            assert!(result.is_ok() || thread::panicking(), "a proxy panicked");
        }
    }
}

fn socket() -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port")
}

/// Towards the server; for each source a socket of its own, from which answers come back.
fn forward(shared: &Arc<Shared>, seed: u64) {
    let mut path = Path { random: StdRng::seed_from_u64(seed), held: Vec::new() };
    let mut sources: BTreeMap<SocketAddr, (UdpSocket, JoinHandle<()>)> = BTreeMap::new();
    let mut underway = Underway(VecDeque::new());
    let mut buffer = vec![0; 1 << 16];
    while !shared.stopped.load(Ordering::Relaxed) {
        for ((source, target), datagram) in underway.leave() {
            let (back, _) = &sources[&source];
            // What cannot be sent is lost.
            let _ = back.send_to(&datagram, target);
        }
        let Some((length, source)) = underway.receive(&shared.front, &mut buffer) else { continue };
        let number = sources.len() as u64;
        sources.entry(source).or_insert_with(|| {
            let back = socket();
            let answers = back.try_clone().expect("a handle");
            let shared = Arc::clone(shared);
            let seed = seed ^ (number + 1) << 32;
            let thread = thread::spawn(move || backward(&shared, &answers, source, seed));
            (back, thread)
        });
        let faults = *shared.faults.lock().expect("no thread panicked");
        let latency = *shared.latency.lock().expect("no thread panicked");
        let Some(target) = *shared.target.lock().expect("no thread panicked") else { continue };
        for datagram in path.pass(&buffer[..length], faults) {
            underway.enter(latency, (source, target), datagram);
        }
    }
    for (_, thread) in sources.into_values() {
        thread.join().expect("no thread panicked");
    }
}

fn backward(shared: &Shared, answers: &UdpSocket, source: SocketAddr, seed: u64) {
    let mut path = Path { random: StdRng::seed_from_u64(seed), held: Vec::new() };
    let mut underway = Underway(VecDeque::new());
    let mut buffer = vec![0; 1 << 16];
    while !shared.stopped.load(Ordering::Relaxed) {
        for ((), datagram) in underway.leave() {
            let _ = shared.front.send_to(&datagram, source);
        }
        let Some((length, _)) = underway.receive(answers, &mut buffer) else { continue };
        let faults = *shared.faults.lock().expect("no thread panicked");
        let latency = *shared.latency.lock().expect("no thread panicked");
        for datagram in path.pass(&buffer[..length], faults) {
            underway.enter(latency, (), datagram);
        }
    }
}

//! Servers on loopback addresses, for where namespaces may not be made.
//!
//! Each server is told an address of the switch in place of each peer's. The kernel does not fragment
//! here, so the switch counts the fragments that a datagram would be.

use super::link::Packet;
use super::switch::{Deliver, Switch};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What fits a packet of 1,500 bytes behind the header of IP.
const FRAGMENT: u64 = 1480;
const IP: u64 = 20;
const UDP: u64 = 8;

pub(super) struct Loopback {
    pub(super) switch: Arc<Switch>,
    servers: BTreeMap<u64, SocketAddr>,
    /// By server and peer: the address that the server has for the peer.
    told: BTreeMap<(u64, u64), SocketAddr>,
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Loopback {
    pub(super) fn new(servers: u64, seed: u64) -> Self {
        // All at once, so that they differ; free again when this is done.
        let sockets: Vec<_> = (1..=servers).map(|server| (server, socket())).collect();
        let addresses: BTreeMap<_, _> =
            sockets.iter().map(|(server, socket)| (*server, address(socket))).collect();
        let back = socket();
        let deliver: Deliver = {
            let addresses = addresses.clone();
            // What cannot be sent is lost.
            Arc::new(move |to, bytes| drop(back.send_to(bytes, addresses[&to])))
        };
        let switch = Arc::new(Switch::new(servers, seed, deliver));
        let is_over = Arc::new(AtomicBool::new(false));
        let (mut told, mut threads) = (BTreeMap::new(), Vec::new());
        for from in 1..=servers {
            for to in (1..=servers).filter(|to| *to != from) {
                let (switch, is_over) = (Arc::clone(&switch), Arc::clone(&is_over));
                let (socket, ends) = (socket(), [addresses[&from], addresses[&to]]);
                told.insert((from, to), address(&socket));
                let port = Port { from, to, ends, socket };
                threads.push(thread::spawn(move || port.forward(&switch, &is_over)));
            }
        }
        Self { switch, servers: addresses, told, is_over, threads }
    }

    pub(super) fn address(&self, server: u64) -> SocketAddr {
        self.servers[&server]
    }

    /// Runs a program; every server runs at the same place.
    pub(super) fn command(&self, server: u64, program: &str) -> Command {
        assert!(self.servers.contains_key(&server), "it is one of the servers");
        Command::new(program)
    }

    pub(super) fn told(&self, server: u64, peer: u64) -> SocketAddr {
        self.told[&(server, peer)]
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let result = thread.join();
            assert!(result.is_ok() || thread::panicking(), "a port of the switch panicked");
        }
    }
}

/// Where one server reaches another.
struct Port {
    from: u64,
    to: u64,
    /// The two servers' own addresses.
    ends: [SocketAddr; 2],
    socket: UdpSocket,
}

impl Port {
    /// Datagrams of the server go through its link. Somebody else must be a client, which was told
    /// of this address by the server: for each there is a socket to which answers come.
    fn forward(&self, switch: &Switch, is_over: &Arc<AtomicBool>) {
        let mut clients: BTreeMap<SocketAddr, (UdpSocket, JoinHandle<()>)> = BTreeMap::new();
        let mut buffer = vec![0; 1 << 16];
        while !is_over.load(Ordering::Relaxed) {
            let Ok((length, source)) = self.socket.recv_from(&mut buffer) else { continue };
            let bytes = &buffer[..length];
            if source == self.ends[0] {
                switch.pass(self.from, self.to, &fragments(length as u64), bytes);
                continue;
            }
            let (back, _) = clients.entry(source).or_insert_with(|| {
                let back = socket();
                let [answers, front] = [&back, &self.socket].map(UdpSocket::try_clone);
                let (answers, front) = (answers.expect("a handle"), front.expect("a handle"));
                let is_over = Arc::clone(is_over);
                (back, thread::spawn(move || answer(&answers, &front, source, &is_over)))
            });
            let _ = back.send_to(bytes, self.ends[1]);
        }
        for (_, thread) in clients.into_values() {
            thread.join().expect("it does not panic");
        }
    }
}

fn answer(answers: &UdpSocket, front: &UdpSocket, client: SocketAddr, is_over: &AtomicBool) {
    let mut buffer = vec![0; 1 << 16];
    while !is_over.load(Ordering::Relaxed) {
        if let Ok((length, _)) = answers.recv_from(&mut buffer) {
            let _ = front.send_to(&buffer[..length], client);
        }
    }
}

/// The packets of a datagram with so many bytes of payload.
fn fragments(payload: u64) -> Vec<Packet> {
    let bytes = payload + UDP;
    let count = bytes.div_ceil(FRAGMENT);
    let packet = |number| Packet {
        bytes: IP + FRAGMENT.min(bytes - number * FRAGMENT),
        is_fragment: count > 1,
    };
    (0..count).map(packet).collect()
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
    socket
}

fn address(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().expect("it is bound")
}

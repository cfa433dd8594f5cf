//! A network namespace for each server, joined by a switch in this process.
//!
//! Each namespace has one interface, a TUN device whose other end this process holds. So the kernel
//! fragments what is longer than the interface's 1,500 bytes, the switch sees each fragment as a packet
//! of its own, and the kernel at the other end puts them together or fails to.

use super::link::Packet;
use super::switch::{Deliver, Switch};
use super::world::{self, system};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use tappers::{Interface, Tun};

/// Every server has this port at an address of its own.
const PORT: u16 = 7000;

/// The number of this process, whose namespace is that of the world.
const CLIENTS: u64 = 100;

pub(super) struct Namespaces {
    pub(super) switch: Arc<Switch>,
    /// The names of the interfaces. They are removed when this is dropped, and so the threads end.
    interfaces: BTreeMap<u64, String>,
    threads: Vec<JoinHandle<()>>,
    name: u64,
}

impl Namespaces {
    /// An error says why there can be none here.
    pub(super) fn new(servers: u64, seed: u64) -> Result<Self, String> {
        static NAMES: AtomicU64 = AtomicU64::new(1);
        if !world::is_inside() {
            return Err(world::why_not().unwrap_or_else(|| "this is no world".to_owned()));
        }
        let name = NAMES.fetch_add(1, Ordering::Relaxed);
        let mut interfaces = BTreeMap::new();
        let mut tuns = BTreeMap::new();
        for port in (1..=servers).chain([CLIENTS]) {
            let interface = format!("sw{name}-{port}");
            let tun = open(&interface).map_err(|error| format!("no TUN device: {error}"))?;
            let place = if port == CLIENTS {
                Vec::new()
            } else {
                let namespace = namespace(name, port);
                system("ip", ["netns", "add", &namespace])?;
                system("ip", ["link", "set", "dev", &interface, "netns", &namespace])?;
                vec!["-n".to_owned(), namespace]
            };
            let ip = |arguments: &str| {
                let more = arguments.split_whitespace().map(str::to_owned);
                system("ip", place.iter().cloned().chain(more))
            };
            ip(&format!("address add {}/24 dev {interface}", address(port)))?;
            ip(&format!("link set dev {interface} txqueuelen 10000 up"))?;
            ip("link set dev lo up")?;
            interfaces.insert(port, interface);
            tuns.insert(port, Arc::new(tun));
        }
        let deliver: Deliver = {
            let tuns = tuns.clone();
            // What an interface does not take is lost.
            Arc::new(move |to, bytes| drop(tuns[&to].send(bytes)))
        };
        let switch = Arc::new(Switch::new(servers, seed, Arc::clone(&deliver)));
        let threads = tuns.into_iter().map(|(port, tun)| {
            let (switch, deliver) = (Arc::clone(&switch), Arc::clone(&deliver));
            thread::spawn(move || forward(port, servers, &tun, &switch, &deliver))
        });
        Ok(Self { threads: threads.collect(), switch, interfaces, name })
    }

    pub(super) fn address(&self, server: u64) -> SocketAddr {
        assert!(self.interfaces.contains_key(&server), "it is one of the servers");
        (address(server), PORT).into()
    }

    /// Runs a program in the namespace of a server.
    pub(super) fn command(&self, server: u64, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", namespace(self.name, server))).arg(program);
        command
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for (port, interface) in &self.interfaces {
            let place = if *port == CLIENTS {
                Vec::new()
            } else {
                vec!["-n".to_owned(), namespace(self.name, *port)]
            };
            let delete = ["link", "delete", "dev", interface].map(str::to_owned);
            let result = system("ip", place.into_iter().chain(delete));
            if *port != CLIENTS {
                let _ = system("ip", ["netns", "delete", &namespace(self.name, *port)]);
            }
            assert!(result.is_ok() || thread::panicking(), "{result:?}");
        }
        for thread in self.threads.drain(..) {
            let result = thread.join();
            assert!(result.is_ok() || thread::panicking(), "a port of the switch panicked");
        }
    }
}

fn open(interface: &str) -> io::Result<Tun> {
    Tun::new_named(Interface::new(interface)?)
}

fn namespace(name: u64, server: u64) -> String {
    format!("n{name}-{server}")
}

fn address(port: u64) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, u8::try_from(port).expect("few servers"))
}

/// From an interface to where its packets go, until the interface is removed. Only what goes from
/// server to server goes through a link; clients have perfect ones.
fn forward(from: u64, servers: u64, tun: &Tun, switch: &Switch, deliver: &Deliver) {
    let mut buffer = [0; 2048];
    while let Ok(length) = tun.recv(&mut buffer) {
        let bytes = &buffer[..length];
        let Some((to, is_fragment)) = look(bytes) else { continue };
        let is_server = |port: u64| (1..=servers).contains(&port);
        if is_server(from) && is_server(to) {
            let packet = Packet { bytes: length as u64, is_fragment };
            switch.pass(from, to, &[packet], bytes);
        } else if to == CLIENTS || is_server(to) {
            deliver(to, bytes);
        }
    }
}

/// Where a packet of IPv4 goes and whether it is a fragment.
fn look(bytes: &[u8]) -> Option<(u64, bool)> {
    if bytes.len() < 20 || bytes[0] >> 4 != 4 || bytes[16..19] != [10, 77, 0] {
        return None;
    }
    // Behind the flags "reserved" and "don't fragment": "more fragments", and the offset.
    let is_fragment = u16::from_be_bytes([bytes[6], bytes[7]]) & 0x3fff != 0;
    Some((bytes[19].into(), is_fragment))
}

//! The network of a cluster: namespaces where they may be made, loopback addresses elsewhere.

use super::link::{Quality, Traffic};
use super::loopback::Loopback;
#[cfg(target_os = "linux")]
use super::namespaces::Namespaces;
use super::switch::Switch;
use std::net::SocketAddr;
use std::process::Command;

pub(crate) struct Network(Kind);

enum Kind {
    #[cfg(target_os = "linux")]
    Namespaces(Namespaces),
    Loopback(Loopback),
}

impl Network {
    /// Says on standard error if it is one of loopback addresses, and why.
    pub(crate) fn new(servers: u64, seed: u64) -> Self {
        #[cfg(target_os = "linux")]
        let reason = match Namespaces::new(servers, seed) {
            Ok(namespaces) => return Self(Kind::Namespaces(namespaces)),
            Err(reason) => reason,
        };
        #[cfg(not(target_os = "linux"))]
        let reason = "only Linux has them";
        eprintln!("loopback addresses in place of network namespaces: {reason}");
        Self(Kind::Loopback(Loopback::new(servers, seed)))
    }

    /// Where a server listens, and clients reach it.
    pub(crate) fn address(&self, server: u64) -> SocketAddr {
        match &self.0 {
            #[cfg(target_os = "linux")]
            Kind::Namespaces(it) => it.address(server),
            Kind::Loopback(it) => it.address(server),
        }
    }

    /// Where a server reaches a peer.
    pub(crate) fn told(&self, server: u64, peer: u64) -> SocketAddr {
        match &self.0 {
            #[cfg(target_os = "linux")]
            Kind::Namespaces(it) => it.address(peer),
            Kind::Loopback(it) => it.told(server, peer),
        }
    }

    /// To run a program where a server runs.
    pub(crate) fn command(&self, server: u64, program: &str) -> Command {
        match &self.0 {
            #[cfg(target_os = "linux")]
            Kind::Namespaces(it) => it.command(server, program),
            Kind::Loopback(it) => it.command(server, program),
        }
    }

    pub(crate) fn set(&self, from: u64, to: u64, quality: Quality) {
        self.switch().set(from, to, quality);
    }

    pub(crate) fn traffic(&self, from: u64, to: u64) -> Traffic {
        self.switch().traffic(from, to)
    }

    fn switch(&self) -> &Switch {
        match &self.0 {
            #[cfg(target_os = "linux")]
            Kind::Namespaces(it) => &it.switch,
            Kind::Loopback(it) => &it.switch,
        }
    }
}

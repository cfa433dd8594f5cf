//! The addresses of servers and clients. [`Addresses`] knows those of servers from the configuration,
//! and learns those of clients from their datagrams.

use super::wire::CLIENTS;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// How many clients a node remembers. Beyond that number it forgets the client not heard from for
/// longest. Replies to a forgotten client are lost until it asks again, which it does when no reply
/// comes.
pub const MAX_CLIENTS: usize = 4096;

/// Addresses by number: of servers by configuration, of clients by the last datagram of each.
#[derive(Debug)]
pub struct Addresses {
    servers: BTreeMap<u64, SocketAddr>,
    /// By a client's number: its address, and when it was last heard from. Time is counted in requests.
    clients: BTreeMap<u64, (SocketAddr, u64)>,
    /// The numbers of these clients, by when each was last heard from. So the oldest is found without a
    /// search.
    by_age: BTreeMap<u64, u64>,
    heard: u64,
}

impl Addresses {
    /// Creates the addresses of `servers`, without any client.
    pub fn new(servers: BTreeMap<u64, SocketAddr>) -> Self {
        Self { servers, clients: BTreeMap::new(), by_age: BTreeMap::new(), heard: 0 }
    }

    /// Remembers where a client is. If there are more than [`MAX_CLIENTS`] then, the one not heard from
    /// for longest is forgotten.
    pub fn heard_from(&mut self, client: u64, address: SocketAddr) {
        self.heard += 1;
        if let Some((_, age)) = self.clients.insert(client, (address, self.heard)) {
            self.by_age.remove(&age);
        }
        self.by_age.insert(self.heard, client);
        if self.clients.len() > MAX_CLIENTS
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.clients.remove(&oldest);
        }
    }

    /// The address of a server or client, if known.
    pub fn of(&self, number: u64) -> Option<SocketAddr> {
        if number >= CLIENTS {
            self.clients.get(&number).map(|(address, _)| *address)
        } else {
            self.servers.get(&number).copied()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[test]
    fn a_client_is_where_it_was_last_heard_from() {
        let mut addresses = Addresses::new(BTreeMap::from([(2, address(7002))]));
        addresses.heard_from(CLIENTS, address(1));
        addresses.heard_from(CLIENTS, address(2));
        assert_eq!(addresses.of(CLIENTS), Some(address(2)));
        assert_eq!(addresses.of(2), Some(address(7002)));
        assert_eq!(addresses.of(3), None);
    }

    #[test]
    fn the_client_not_heard_from_for_longest_is_forgotten_first() {
        let mut addresses = Addresses::new(BTreeMap::new());
        let last = CLIENTS + MAX_CLIENTS as u64;
        for client in CLIENTS..last {
            addresses.heard_from(client, address(1));
        }
        addresses.heard_from(CLIENTS, address(1));
        addresses.heard_from(last, address(1));
        assert_eq!(addresses.of(CLIENTS), Some(address(1)));
        assert_eq!(addresses.of(CLIENTS + 1), None);
        assert_eq!(addresses.of(last), Some(address(1)));
        assert_eq!(addresses.clients.len(), MAX_CLIENTS);
        assert_eq!(addresses.by_age.len(), MAX_CLIENTS);
    }
}

//! Addresses as people write them: an IP address or a host's name, and a port.
//!
//! A command looks names up when it begins, and then no more. A name may have addresses of both IPv4 and
//! IPv6. A cluster uses one family: IPv4 if every place has such an address, and else IPv6.

use super::Failure;
use std::fmt::{self, Display};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// An address, or a name that stands for one or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Address(SocketAddr),
    Named { host: String, port: u16 },
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let named = || {
            let (host, port) = text.rsplit_once(':')?;
            // A colon, a bracket or a slash shows an IPv6 address without its brackets, or a URL.
            let is_name = |c: char| !c.is_whitespace() && !c.is_control() && !":/[]@,=".contains(c);
            let is_host = !host.is_empty() && host.chars().all(is_name);
            Some(Self::Named { host: host.to_owned(), port: port.parse().ok()? })
                .filter(|_| is_host)
        };
        named().ok_or_else(|| {
            format!(
                "an address is a host and a port, such as 127.0.0.1:7001, [::1]:7001 or \
                 localhost:7001, not {text:?}"
            )
        })
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Named { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// The addresses of each place, all of one family. A place has at least one; a name may have more.
pub(super) fn resolve(places: &[Place]) -> Result<Vec<Vec<SocketAddr>>, Failure> {
    let lookup = |host: &str, port| (host, port).to_socket_addrs().map(Iterator::collect);
    resolve_by(places, lookup).map_err(Failure::Refused)
}

fn resolve_by(
    places: &[Place],
    lookup: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>>,
) -> Result<Vec<Vec<SocketAddr>>, String> {
    let mut all = Vec::new();
    for place in places {
        all.push(match place {
            Place::Address(address) => vec![*address],
            Place::Named { host, port } => match lookup(host, *port) {
                Ok(addresses) if !addresses.is_empty() => addresses,
                Ok(_) => return Err(unknown(place, "the name has no address")),
                Err(error) => return Err(unknown(place, &error.to_string())),
            },
        });
    }
    let has = |ipv4: bool| move |it: &Vec<SocketAddr>| it.iter().any(|it| it.is_ipv4() == ipv4);
    let ipv4 = all.iter().all(has(true));
    if !ipv4 && !all.iter().all(has(false)) {
        return Err(mixed(places, &all));
    }
    for (place, addresses) in places.iter().zip(&mut all) {
        addresses.retain(|address| address.is_ipv4() == ipv4);
        if let Place::Named { .. } = place {
            tracing::info!(%place, ?addresses, "looked up");
        }
    }
    Ok(all)
}

fn unknown(place: &Place, error: &str) -> String {
    format!("cannot find the address of {place}: {error}; check the name, or give an IP address")
}

fn mixed(places: &[Place], all: &[Vec<SocketAddr>]) -> String {
    let each = places.iter().zip(all).map(|(place, addresses)| {
        let families = [true, false].map(|ipv4| addresses.iter().any(|it| it.is_ipv4() == ipv4));
        let families = match families {
            [true, true] => "IPv4 and IPv6",
            [true, false] => "IPv4",
            _ => "IPv6",
        };
        format!("{place} has {families}")
    });
    let each = each.collect::<Vec<_>>().join(", ");
    format!(
        "the addresses have no family in common: {each}; use IPv4 for all servers or IPv6 for all"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(texts: &[&str]) -> Vec<Place> {
        texts.iter().map(|text| text.parse().expect("an address")).collect()
    }

    fn resolved(texts: &[&str]) -> Result<Vec<Vec<String>>, String> {
        let lookup = |host: &str, port: u16| {
            let hosts: &[&str] = match host {
                "both" => &["::2", "10.0.0.2"],
                "four" => &["10.0.0.4"],
                "six" => &["::6", "::7"],
                "none" => &[],
                _ => return Err(io::Error::other("nobody knows it")),
            };
            let address = |host: &&str| SocketAddr::new(host.parse().expect("an address"), port);
            Ok(hosts.iter().map(address).collect())
        };
        let all = resolve_by(&places(texts), lookup)?;
        let texts = |all: Vec<SocketAddr>| all.iter().map(ToString::to_string).collect();
        Ok(all.into_iter().map(texts).collect())
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for text in ["127.0.0.1:7001", "[::1]:7001", "localhost:7001", "raft-1.example.com:1"] {
            assert_eq!(text.parse::<Place>().expect("an address").to_string(), text);
        }
        for text in [
            "",
            "localhost",
            "127.0.0.1",
            ":7001",
            "h:",
            "h:-1",
            "h:65536",
            "::1:7001",
            "[::1:7001",
            "a b:1",
            "http://h:1",
            "2=h:1",
        ] {
            let error = text.parse::<Place>().expect_err(text);
            assert!(error.contains("such as 127.0.0.1:7001"), "{text}: {error}");
        }
    }

    #[test]
    fn a_name_is_looked_up() {
        assert_eq!(resolved(&["four:7"]).expect("known"), [["10.0.0.4:7"]]);
        assert_eq!(resolved(&["six:7"]).expect("known"), [["[::6]:7", "[::7]:7"]]);
        let here = resolve(&places(&["localhost:7"])).expect("every system knows it");
        assert!(here[0].iter().all(|address| address.ip().is_loopback() && address.port() == 7));
    }

    #[test]
    fn ipv4_is_taken_if_every_place_has_it_and_else_ipv6() {
        assert_eq!(resolved(&["both:1"]).expect("known"), [["10.0.0.2:1"]]);
        assert_eq!(
            resolved(&["both:1", "four:1"]).expect("known"),
            [["10.0.0.2:1"], ["10.0.0.4:1"]]
        );
        assert_eq!(resolved(&["both:1", "[::1]:1"]).expect("known"), [["[::2]:1"], ["[::1]:1"]]);
    }

    #[test]
    fn places_without_a_common_family_are_refused_with_the_families_of_each() {
        let error = resolved(&["both:1", "four:1", "[::1]:1"]).expect_err("no family has all");
        assert!(
            error.contains("both:1 has IPv4 and IPv6, four:1 has IPv4, [::1]:1 has IPv6"),
            "{error}"
        );
    }

    #[test]
    fn a_name_that_nobody_knows_is_refused_with_the_reason() {
        assert!(resolved(&["nobody:1"]).expect_err("unknown").contains("nobody knows it"));
        let error = resolved(&["none:1"]).expect_err("no address");
        assert!(error.contains("none:1: the name has no address"), "{error}");
    }
}

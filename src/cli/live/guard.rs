//! Decides whose requests the live page serves.
//!
//! Every site that somebody looks at can make the browser send requests to this machine. So each request
//! must name this server as its host, by an address or by `localhost`. A foreign site can make other names
//! point here, and these are refused. A request that names the page from which it comes must come from the
//! live page. An order or a command must be JSON, which no form of a foreign site can send.

use super::http::{Refusal, Request};
use std::net::{IpAddr, SocketAddr};

/// The names under which this server is asked.
pub(super) struct Guard {
    hosts: Vec<String>,
}

/// Refuses an address that other machines could reach: nobody asks them who they are.
pub(super) fn refuse_other_machines(address: SocketAddr) -> Result<(), String> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let port = address.port();
    Err(format!(
        "--web {address}: other machines could reach this address, and the page asks nobody for a password; \
         give an address of this machine alone, such as --web 127.0.0.1:{port}"
    ))
}

impl Guard {
    pub(super) fn new(address: SocketAddr) -> Self {
        let port = address.port();
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let names = [ip, "localhost".to_owned()];
        let mut hosts: Vec<_> = names.iter().map(|name| format!("{name}:{port}")).collect();
        if port == 80 {
            hosts.extend(names);
        }
        Self { hosts }
    }

    /// Refuses a request that is not from the page itself or from a program of this machine.
    pub(super) fn admit(&self, request: &Request) -> Result<(), Refusal> {
        let host = request.header("Host")?.unwrap_or_default();
        if !self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)) {
            let sentence = format!(
                "This server is asked as {}, not as {:?}.",
                self.hosts.join(" or "),
                shortened(host)
            );
            return Err(Refusal::new(403, sentence));
        }
        let is_own = |origin: &str| {
            let host = origin.strip_prefix("http://");
            host.is_some_and(|host| self.hosts.iter().any(|it| it.eq_ignore_ascii_case(host)))
        };
        if let Some(origin) = request.header("Origin")?
            && !is_own(origin)
        {
            let sentence = format!("A page of {:?} cannot use this server.", shortened(origin));
            return Err(Refusal::new(403, sentence));
        }
        let is_foreign = request.header("Sec-Fetch-Site")?.is_some_and(|site| {
            !["same-origin", "none"].iter().any(|own| own.eq_ignore_ascii_case(site))
        });
        // A link on another page may lead to this one, and shows nothing to that page.
        if is_foreign && request.path != "/" {
            return Err(Refusal::new(403, "Only the live page itself can use this server."));
        }
        Ok(())
    }

    /// Refuses a body that is not said to be JSON.
    pub(super) fn admit_json(request: &Request) -> Result<(), Refusal> {
        let kind = request.header("Content-Type")?.unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/json") {
            return Ok(());
        }
        Err(Refusal::new(415, "The Content-Type of an order or a command is application/json."))
    }
}

/// A text from outside, as far as it is repeated in an answer.
fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::super::http;
    use super::*;
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    fn request(path: &str, headers: &str) -> Request {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let mut sender = TcpStream::connect(listener.local_addr().expect("bound")).expect("there");
        let (stream, _) = listener.accept().expect("it comes");
        write!(sender, "POST {path} HTTP/1.1\r\n{headers}\r\n").expect("it is read");
        http::read(&stream).expect("sound").expect("there")
    }

    fn admits(headers: &str) -> bool {
        let guard = Guard::new(([127, 0, 0, 1], 3000).into());
        let admitted = guard.admit(&request("/order", headers));
        assert!(admitted.as_ref().err().is_none_or(|it| it.status == 403), "{admitted:?}");
        admitted.is_ok()
    }

    #[test]
    fn only_this_server_and_its_page_are_named() {
        assert!(admits("Host: 127.0.0.1:3000\r\n"));
        assert!(admits("Host: LOCALHOST:3000\r\nOrigin: http://localhost:3000\r\n"));
        assert!(admits("Host: 127.0.0.1:3000\r\nSec-Fetch-Site: same-origin\r\n"));
        for foreign in [
            "",
            "Host: 127.0.0.1\r\n",
            "Host: 127.0.0.1:3001\r\n",
            "Host: rebound.example:3000\r\n",
            "Host: 127.0.0.1:3000\r\nOrigin: null\r\n",
            "Host: 127.0.0.1:3000\r\nOrigin: http://localhost:8080\r\n",
            "Host: 127.0.0.1:3000\r\nOrigin: https://localhost:3000\r\n",
            "Host: 127.0.0.1:3000\r\nOrigin: http://evil.example\r\n",
            "Host: 127.0.0.1:3000\r\nSec-Fetch-Site: cross-site\r\n",
            "Host: 127.0.0.1:3000\r\nSec-Fetch-Site: same-site\r\n",
        ] {
            assert!(!admits(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_link_may_lead_to_the_page() {
        let guard = Guard::new("[::1]:80".parse().expect("an address"));
        let link = "Host: [::1]\r\nSec-Fetch-Site: cross-site\r\n";
        assert_eq!(guard.admit(&request("/", link)), Ok(()));
        assert!(guard.admit(&request("/events", link)).is_err());
    }

    #[test]
    fn a_body_must_be_said_to_be_json() {
        let kind = |kind: &str| {
            Guard::admit_json(&request("/order", &format!("Content-Type: {kind}\r\n")))
        };
        assert_eq!(kind("application/json"), Ok(()));
        assert_eq!(kind("application/JSON; charset=utf-8"), Ok(()));
        for other in ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"] {
            assert_eq!(kind(other).map_err(|it| it.status), Err(415), "{other}");
        }
    }

    #[test]
    fn an_address_for_other_machines_is_refused() {
        for own in ["127.0.0.1:0", "127.9.9.9:80", "[::1]:3000"] {
            assert_eq!(refuse_other_machines(own.parse().expect("an address")), Ok(()));
        }
        for foreign in ["0.0.0.0:3000", "[::]:3000", "10.0.0.1:3000"] {
            let address = foreign.parse().expect("an address");
            let sentence = refuse_other_machines(address).expect_err("refused");
            assert!(sentence.contains("--web 127.0.0.1:3000"), "{sentence}");
        }
    }
}

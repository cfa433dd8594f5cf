//! The options of every command that talks to a cluster, and how to connect.

use super::Failure;
use checked_raft::client::{Client, ClientError, KvClient, Options};
use checked_raft::deploy::DEFAULT_CLUSTER;
use clap::Args;
use std::net::SocketAddr;
use std::time::Duration;

/// Which cluster, where, and how patient.
#[derive(Args)]
pub(super) struct Servers {
    /// The address of a server; may be repeated. One that answers is enough, it knows the others
    #[arg(long = "server", value_name = "ADDRESS", value_parser = address,
          default_values = ["127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"])]
    pub(super) addresses: Vec<SocketAddr>,
    /// The cluster's name
    #[arg(long, value_name = "NAME", default_value = DEFAULT_CLUSTER)]
    pub(super) cluster: String,
    /// How long to wait, such as 500ms, 5s or 1m [default: 5s; for `status` 1s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
}

impl Servers {
    /// How patient to be, if nothing else is said.
    pub(super) fn options(&self, timeout: Duration) -> Options {
        Options { timeout: self.timeout.unwrap_or(timeout), ..Options::default() }
    }

    pub(super) fn connect(&self) -> Result<KvClient, Failure> {
        let options = self.options(Options::default().timeout);
        let client = Client::connect(&self.cluster, &self.addresses, options);
        client.map(KvClient::new).map_err(failed)
    }
}

/// The error as the command's.
pub(super) fn failed(error: ClientError) -> Failure {
    Failure::Refused(error.to_string())
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "an address is an IP address and a port, such as 127.0.0.1:7001 or [::1]:7001".to_owned()
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: u64 =
        digits.parse().map_err(|_| "a time is a number and a unit, such as 5s".to_owned())?;
    let time = match &text[digits.len()..] {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60).ok_or("too long a time")?),
        "" => return Err(format!("a unit is missing, as in `{number}s`: the units ms, s, m")),
        unit => return Err(format!("`{unit}` is none of the units ms, s, m")),
    };
    if time.is_zero() { Err("it must be longer than zero".to_owned()) } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    use super::{address, duration};
    use std::time::Duration;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("2m"), Ok(Duration::from_mins(2)));
    }

    #[test]
    fn a_time_that_is_none_is_refused_with_a_reason() {
        for (text, reason) in [
            ("5", "units ms, s, m"),
            ("5h", "units ms, s, m"),
            ("s", "such as 5s"),
            ("-5s", "such as 5s"),
            ("0s", "longer than zero"),
            ("18446744073709551615m", "too long"),
        ] {
            let error = duration(text).expect_err("it is none");
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused_with_an_example() {
        assert!(address("127.0.0.1:7001").is_ok());
        assert!(address("localhost").expect_err("it is a name").contains("127.0.0.1:7001"));
    }
}

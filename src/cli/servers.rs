//! The options of every command that talks to a cluster, and how to connect.

use super::Failure;
use super::addresses::{Place, resolve};
use checked_raft::client::{Client, ClientError, KvClient, Options};
use checked_raft::deploy::DEFAULT_CLUSTER;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The cluster to talk to, its servers, and how long to wait for answers.
#[derive(Args)]
pub(super) struct Servers {
    /// The address of a server; may be repeated. One server that answers is enough, as it knows the others
    ///
    /// A host's name is looked up: IPv4 is used if all that are given have it, and else IPv6.
    #[arg(long = "server", value_name = "HOST:PORT",
          default_values = ["127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"])]
    places: Vec<Place>,
    /// The cluster's name
    #[arg(long, value_name = "NAME", default_value = DEFAULT_CLUSTER,
          value_parser = NonEmptyStringValueParser::new())]
    pub(super) cluster: String,
    /// How long to wait, such as 500ms, 5s or 1m [default: 5s; for `status` and `log` 1s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// Milliseconds without an answer before asking again; longer where answers take longer [default: 100]
    #[arg(long, value_name = "MS", value_parser = interval)]
    retry: Option<Duration>,
}

/// The intervals, in milliseconds, after which a client may be told to ask again. Shorter ones would flood
/// the servers; with longer ones nothing would be asked again.
const INTERVALS: RangeInclusive<u64> = 10..=60_000;

impl Servers {
    /// The options of the client. `timeout` applies if the command line gives none.
    pub(super) fn options(&self, timeout: Duration) -> Options {
        let retry_interval = self.retry.unwrap_or(Options::default().retry_interval);
        Options { timeout: self.timeout.unwrap_or(timeout), retry_interval }
    }

    /// All addresses that the command line gives, each once.
    pub(super) fn addresses(&self) -> Result<Vec<SocketAddr>, Failure> {
        let mut addresses = Vec::new();
        for address in resolve(&self.places)?.concat() {
            if address.port() == 0 {
                let reason = format!("--server {address}: no server is at port 0");
                return Err(Failure::Refused(reason));
            }
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }

    pub(super) fn connect(&self) -> Result<KvClient, Failure> {
        let options = self.options(Options::default().timeout);
        let client = Client::connect(&self.cluster, &self.addresses()?, options);
        client.map(KvClient::new).map_err(failed)
    }
}

/// A client error, as the failure of a command.
pub(super) fn failed(error: ClientError) -> Failure {
    Failure::Refused(error.to_string())
}

fn interval(text: &str) -> Result<Duration, String> {
    let millis = text.parse().ok().filter(|millis| INTERVALS.contains(millis));
    let (least, most) = (INTERVALS.start(), INTERVALS.end());
    millis
        .map(Duration::from_millis)
        .ok_or_else(|| format!("it is a number of milliseconds, from {least} to {most}"))
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
    use super::{duration, interval};
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
    fn an_interval_is_a_bounded_number_of_milliseconds() {
        assert_eq!(interval("250"), Ok(Duration::from_millis(250)));
        assert!(interval("10").is_ok() && interval("60000").is_ok());
        for text in ["9", "60001", "0", "-1", "100ms", "", "18446744073709551616"] {
            let error = interval(text).expect_err(text);
            assert!(error.contains("from 10 to 60000"), "{text}: {error}");
        }
    }
}

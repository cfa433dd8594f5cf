//! The options of a server, from the command line and from a file.

use super::Failure;
use super::addresses::{Place, resolve};
use checked_raft::deploy::{DEFAULT_CLUSTER, Deployment};
use checked_raft::raft::Retry;
use checked_raft::runtime::wire::CLIENTS;
use clap::Args;
use serde::{Deserialize, Deserializer, de::Error};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// The options that may stand in a file as well as on the command line, under equal names. Each value goes
/// through one `FromStr`, so both are read alike.
#[derive(Args, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Settings {
    /// This server's number, from 1
    #[arg(long, value_name = "N")]
    #[serde(deserialize_with = "one")]
    id: Option<ServerId>,
    /// Where to listen (UDP); IPv4 and IPv6
    ///
    /// A host's name is looked up when the server starts: IPv4 is used if all addresses have it, and
    /// else IPv6.
    #[arg(long, value_name = "HOST:PORT")]
    #[serde(deserialize_with = "one")]
    listen: Option<Place>,
    /// Number and address of another server; once for each
    #[arg(long, value_name = "N=HOST:PORT")]
    #[serde(deserialize_with = "many")]
    peer: Vec<Peer>,
    /// The data directory, for this server alone
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The cluster's name [default: raft]
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Append a record of every handler call to this file, for `raft trace`
    ///
    /// The file must hold every life of the server from its first record on: with a file that has missed
    /// one, the server does not start. A record takes time in proportion to the server's whole state.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// The MiB at which the trace ends; the server goes on without it [default: no limit]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    trace_limit: Option<u32>,
    /// The range from which each election timeout is drawn, in milliseconds [default: 150..300]
    #[arg(long, value_name = "MIN..MAX")]
    #[serde(deserialize_with = "one")]
    election_timeout: Option<Timeout>,
    /// How often a leader sends heartbeats to its followers, in milliseconds [default: 50]
    #[arg(long, value_name = "MS")]
    #[serde(deserialize_with = "one")]
    heartbeat: Option<Millis>,
    /// Most entries of one message [default: 256]
    #[arg(long, value_name = "N")]
    #[serde(deserialize_with = "one")]
    max_entries: Option<usize>,
    /// Most bytes of entries of one message; a command may have 51 fewer [default: 32768]
    #[arg(long, value_name = "BYTES")]
    #[serde(deserialize_with = "one")]
    max_bytes: Option<usize>,
    /// A leader drops requests while it has this many uncommitted entries [default: 16384]
    #[arg(long, value_name = "N")]
    #[serde(deserialize_with = "one")]
    max_uncommitted: Option<u64>,
    /// A leader drops requests that would leave more than this many bytes uncommitted [default: 67108864]
    #[arg(long, value_name = "BYTES")]
    #[serde(deserialize_with = "one")]
    max_uncommitted_bytes: Option<u64>,
    /// Least bytes of entries to which a leader shortens a batch that gets lost [default: 1280]
    ///
    /// The default fits a path with an MTU of 1,500 bytes. Say less where the MTU is smaller and fragments
    /// are dropped.
    #[arg(long, value_name = "BYTES")]
    #[serde(deserialize_with = "one")]
    smallest_batch: Option<usize>,
    /// Most client sessions; beyond, the least recently used one expires [default: 1024]
    #[arg(long, value_name = "N")]
    #[serde(deserialize_with = "one")]
    max_sessions: Option<u32>,
    /// Take a snapshot after this many applied entries; 0 is never [default: 10000]
    #[arg(long, value_name = "N")]
    #[serde(deserialize_with = "one")]
    snapshot_after: Option<u64>,
    /// Take a snapshot, too, after this many bytes of applied entries [default: 67108864]
    #[arg(long, value_name = "BYTES")]
    #[serde(deserialize_with = "one")]
    snapshot_after_bytes: Option<u64>,
    /// Most entries that the log keeps although a snapshot covers them [default: 10000]
    ///
    /// A follower that lacks more than these gets the snapshot.
    #[arg(long, value_name = "N")]
    #[serde(deserialize_with = "one")]
    snapshot_margin: Option<u64>,
    /// Most entries that a leader keeps for a follower that gets an earlier snapshot [default: 200000]
    ///
    /// A follower that gets a large snapshot needs the entries after it, until it has caught up.
    #[arg(long, value_name = "N")]
    #[serde(deserialize_with = "one")]
    snapshot_hold: Option<u64>,
    /// Ask the others for pre-votes before standing for election [default: on]
    ///
    /// With this, a server that has lost its connection does not depose the leader when it returns.
    #[arg(long, value_name = "on|off")]
    #[serde(deserialize_with = "one")]
    pre_vote: Option<Switch>,
    /// Ignore requests for votes while the leader is heard; needs `--check-quorum on` [default: on]
    #[arg(long, value_name = "on|off")]
    #[serde(deserialize_with = "one")]
    stickiness: Option<Switch>,
    /// A leader that hears no majority for an election timeout steps down [default: on]
    #[arg(long, value_name = "on|off")]
    #[serde(deserialize_with = "one")]
    check_quorum: Option<Switch>,
    /// What to log: error, warn, info, debug, trace, or a filter as in `RUST_LOG` [default: info]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

impl Settings {
    /// Reads the settings of a file.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let refused =
            |reason: String| Failure::Refused(format!("{}: {}", path.display(), reason.trim_end()));
        let text = std::fs::read_to_string(path)
            .map_err(|error| refused(format!("cannot read the configuration: {error}")))?;
        toml::from_str(&text).map_err(|error| refused(error.to_string()))
    }

    /// These settings, with `others` for those that are not given. Peers are taken from one of the two as a
    /// whole.
    pub(super) fn or(self, others: Self) -> Self {
        // The fields are named one by one, so that nobody forgets a new setting here.
        let Self {
            id,
            listen,
            peer,
            data,
            cluster,
            trace,
            trace_limit,
            election_timeout,
            heartbeat,
            max_entries,
            max_bytes,
            max_uncommitted,
            max_uncommitted_bytes,
            smallest_batch,
            max_sessions,
            snapshot_after,
            snapshot_after_bytes,
            snapshot_margin,
            snapshot_hold,
            pre_vote,
            stickiness,
            check_quorum,
            log,
        } = self;
        Self {
            id: id.or(others.id),
            listen: listen.or(others.listen),
            peer: if peer.is_empty() { others.peer } else { peer },
            data: data.or(others.data),
            cluster: cluster.or(others.cluster),
            trace: trace.or(others.trace),
            trace_limit: trace_limit.or(others.trace_limit),
            election_timeout: election_timeout.or(others.election_timeout),
            heartbeat: heartbeat.or(others.heartbeat),
            max_entries: max_entries.or(others.max_entries),
            max_bytes: max_bytes.or(others.max_bytes),
            max_uncommitted: max_uncommitted.or(others.max_uncommitted),
            max_uncommitted_bytes: max_uncommitted_bytes.or(others.max_uncommitted_bytes),
            smallest_batch: smallest_batch.or(others.smallest_batch),
            max_sessions: max_sessions.or(others.max_sessions),
            snapshot_after: snapshot_after.or(others.snapshot_after),
            snapshot_after_bytes: snapshot_after_bytes.or(others.snapshot_after_bytes),
            snapshot_margin: snapshot_margin.or(others.snapshot_margin),
            snapshot_hold: snapshot_hold.or(others.snapshot_hold),
            pre_vote: pre_vote.or(others.pre_vote),
            stickiness: stickiness.or(others.stickiness),
            check_quorum: check_quorum.or(others.check_quorum),
            log: log.or(others.log),
        }
    }

    /// The log filter, if it is given.
    pub(super) fn log(&self) -> Option<&str> {
        self.log.as_deref()
    }

    /// The server that the settings describe.
    pub(super) fn deployment(self) -> Result<Deployment, Failure> {
        let ServerId(id) = self.id.ok_or_else(|| missing("id"))?;
        let listen = self.listen.ok_or_else(|| missing("listen"))?;
        let data = self.data.ok_or_else(|| missing("data"))?;
        let mut peers = BTreeMap::new();
        for Peer { id, address } in self.peer {
            if let Some(other) = peers.insert(id, address) {
                let address = &peers[&id];
                let reason = format!("peer {id} is given twice, at {other} and at {address}");
                return Err(Failure::Refused(reason));
            }
        }
        let places: Vec<_> = [listen].into_iter().chain(peers.values().cloned()).collect();
        // If a name has several addresses, the system puts the best first.
        let addresses = resolve(&places)?.into_iter().map(|addresses| addresses[0]);
        let addresses: Vec<_> = addresses.collect();
        let (listen, others) = addresses.split_first().expect("as many as places");
        let peers = peers.into_keys().zip(others.iter().copied()).collect();
        let mut deployment = Deployment::new(id, *listen, peers, data);
        deployment.cluster = self.cluster.unwrap_or_else(|| DEFAULT_CLUSTER.to_owned());
        deployment.trace = self.trace;
        deployment.trace_limit = self.trace_limit.map(|mebibytes| u64::from(mebibytes) << 20);
        let parameters = &mut deployment.parameters;
        replace(
            &mut parameters.election_timeout,
            self.election_timeout.map(|Timeout(range)| range),
        );
        replace(&mut parameters.heartbeat_interval, self.heartbeat.map(|Millis(time)| time));
        replace(&mut parameters.max_entries, self.max_entries);
        replace(&mut parameters.max_bytes, self.max_bytes);
        replace(&mut parameters.max_uncommitted, self.max_uncommitted);
        replace(&mut parameters.max_uncommitted_bytes, self.max_uncommitted_bytes);
        let retry = self.smallest_batch.map(|smallest_batch| Retry::WhenLost { smallest_batch });
        replace(&mut parameters.retry, retry);
        replace(&mut parameters.max_sessions, self.max_sessions);
        let snapshot_after = self.snapshot_after.map(|entries| (entries > 0).then_some(entries));
        replace(&mut parameters.snapshot_after, snapshot_after);
        replace(&mut parameters.snapshot_after_bytes, self.snapshot_after_bytes);
        replace(&mut parameters.snapshot_margin, self.snapshot_margin);
        replace(&mut parameters.snapshot_hold, self.snapshot_hold);
        replace(&mut parameters.pre_vote, self.pre_vote.map(Switch::is_on));
        replace(&mut parameters.stickiness, self.stickiness.map(Switch::is_on));
        replace(&mut parameters.check_quorum, self.check_quorum.map(Switch::is_on));
        Ok(deployment)
    }
}

fn missing(key: &str) -> Failure {
    let reason = format!("--{key} is missing: say it, or `{key} = ..` in the file of --config");
    Failure::Refused(reason)
}

fn replace<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

#[derive(Clone, Copy, Debug)]
struct ServerId(u64);

#[derive(Clone, Debug)]
struct Peer {
    id: u64,
    address: Place,
}

#[derive(Clone, Copy, Debug)]
struct Millis(Duration);

#[derive(Clone, Debug)]
struct Timeout(Range<Duration>);

#[derive(Clone, Copy, Debug)]
enum Switch {
    On,
    Off,
}

impl Switch {
    fn is_on(self) -> bool {
        matches!(self, Self::On)
    }
}

impl FromStr for ServerId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number| (1..CLIENTS).contains(number));
        number
            .map(Self)
            .ok_or_else(|| format!("a server's number is from 1 to {}, not {text:?}", CLIENTS - 1))
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (id, address) = text.split_once('=').ok_or_else(|| {
            format!("a peer is a number and an address, such as 2=127.0.0.1:7002, not {text:?}")
        })?;
        let (ServerId(id), address) = (id.parse()?, address.parse()?);
        Ok(Self { id, address })
    }
}

impl FromStr for Millis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The protocol decides whether the value suits it.
        let millis = text
            .parse()
            .map_err(|_| format!("milliseconds are a number below 2^64, not {text:?}"))?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl FromStr for Switch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err(format!("a switch is on or off, not {text:?}")),
        }
    }
}

impl FromStr for Timeout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (start, end) = text.split_once("..").ok_or_else(|| {
            format!("a timeout is a range of milliseconds, such as 150..300, not {text:?}")
        })?;
        let (Millis(start), Millis(end)) = (start.parse()?, end.parse()?);
        Ok(Self(start..end))
    }
}

/// A value of a file; a number may be written as a number.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number or a text")]
enum Scalar {
    Number(i64),
    Text(String),
}

impl Scalar {
    fn parse<T: FromStr<Err: Display>, E: Error>(self) -> Result<T, E> {
        let text = match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        };
        text.parse().map_err(E::custom)
    }
}

fn one<'de, D, T>(value: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    Scalar::deserialize(value)?.parse().map(Some)
}

fn many<'de, D, T>(values: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    Vec::<Scalar>::deserialize(values)?.into_iter().map(Scalar::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }

    fn line(options: &str) -> Result<Settings, String> {
        let line = Line::try_parse_from(["node"].into_iter().chain(options.split_whitespace()));
        line.map(|line| line.settings).map_err(|error| error.to_string())
    }

    fn file(text: &str) -> Result<Settings, String> {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("node.toml");
        std::fs::write(&path, text).expect("written");
        Settings::read(&path).map_err(|error| error.to_string())
    }

    const FILE: &str = r#"
        id = 1
        listen = "[::1]:7001"
        peer = ["2=[::1]:7002", "3=[::1]:7003"]
        data = "d"
        cluster = "c"
        trace = "t"
        trace-limit = 9
        election-timeout = "100..200"
        heartbeat = 20
        max-entries = 2
        max-bytes = 128
        max-uncommitted = 3
        max-uncommitted-bytes = 640
        smallest-batch = 70
        max-sessions = 4
        snapshot-after = 5
        snapshot-after-bytes = 50
        snapshot-margin = 6
        snapshot-hold = 7
        pre-vote = "off"
        stickiness = "off"
        check-quorum = "off"
        log = "debug"
    "#;

    const LINE: &str = "--id 1 --listen [::1]:7001 --peer 2=[::1]:7002 --peer 3=[::1]:7003 --data d \
        --cluster c --trace t --trace-limit 9 --election-timeout 100..200 --heartbeat 20 --max-entries 2 \
        --max-bytes 128 --max-uncommitted 3 --max-uncommitted-bytes 640 --smallest-batch 70 \
        --max-sessions 4 --snapshot-after 5 --snapshot-after-bytes 50 --snapshot-margin 6 \
        --snapshot-hold 7 --pre-vote off --stickiness off --check-quorum off --log debug";

    #[test]
    fn a_file_and_a_command_line_say_the_same_in_the_same_words() {
        let both = [file(FILE).expect("sound"), line(LINE).expect("sound")];
        let [file, line] = both.map(|settings| format!("{settings:?}"));
        assert_eq!(file, line);
        assert!(!file.contains("None") && !file.contains("[]"), "every setting is tried: {file}");
    }

    #[test]
    fn every_setting_reaches_the_server() {
        let deployment = file(FILE).expect("sound").deployment().expect("complete");
        let text = format!("{deployment:?}");
        for part in ["id: 1", "cluster: \"c\"", "listen: [::1]:7001", "3: [::1]:7003"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        for part in [
            "data: \"d\"",
            "Some(\"t\")",
            "trace_limit: Some(9437184)",
            "100ms..200ms",
            "heartbeat_interval: 20ms",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let limits =
            ["max_entries: 2,", "max_bytes: 128,", "max_uncommitted: 3,", "max_sessions: 4"];
        let bytes = ["max_uncommitted_bytes: 640,", "smallest_batch: 70"];
        let snapshots = ["snapshot_after: Some(5),", "snapshot_margin: 6,", "snapshot_hold: 7"];
        let bytes = bytes.into_iter().chain(["snapshot_after_bytes: 50,"]);
        let switches = ["pre_vote: false", "stickiness: false", "check_quorum: false"];
        for part in limits.into_iter().chain(bytes).chain(snapshots).chain(switches) {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_host_may_be_given_by_its_name() {
        let settings = line("--id 1 --listen localhost:7001 --peer 2=localhost:7002 --data d");
        let deployment = settings.expect("sound").deployment().expect("known everywhere");
        assert!(deployment.listen.ip().is_loopback() && deployment.peers[&2].ip().is_loopback());
        let nobody = format!("--id 1 --listen {}:7001 --data d", "x".repeat(300));
        let error = line(&nobody).expect("sound").deployment().expect_err("too long for a name");
        assert!(error.to_string().contains("cannot find the address of xxx"), "{error}");
    }

    #[test]
    fn the_command_line_goes_before_the_file() {
        let line = line("--id 9 --peer 8=[::1]:1 --max-bytes 99").expect("sound");
        let both = line.or(file(FILE).expect("sound"));
        let deployment = both.deployment().expect("complete");
        assert_eq!(deployment.id, 9);
        assert_eq!(deployment.peers.keys().collect::<Vec<_>>(), [&8]);
        assert_eq!((deployment.parameters.max_bytes, deployment.parameters.max_entries), (99, 2));
    }

    #[test]
    fn an_error_in_a_file_names_the_file_the_line_and_the_key() {
        for (text, line, says) in [
            ("id = 1\nbootstrap = true", 2, "unknown field `bootstrap`"),
            ("\n\nlisten = \"localhost\"", 3, "[::1]:7001"),
            ("id = 0", 1, "from 1 to 4294967295"),
            ("id = 1.5", 1, "a number or a text"),
            ("peer = [\"2\"]", 1, "2=127.0.0.1:7002"),
            ("election-timeout = \"150\"", 1, "150..300"),
            ("heartbeat = \"often\"", 1, "milliseconds"),
            ("max-bytes = -1", 1, "invalid digit"),
            ("id = 1\nid = 2", 2, "duplicate key"),
            ("id 1", 1, "id 1"),
        ] {
            let error = file(text).expect_err("refused");
            assert!(error.contains("node.toml"), "{text}: {error}");
            assert!(error.contains(&format!("line {line}")), "{text}: {error}");
            assert!(error.contains(says), "{text}: {error}");
            // The error quotes the line, and with it the key.
            let quoted = text.lines().nth(line - 1).expect("that line");
            assert!(error.contains(quoted), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_missing_or_given_twice_is_named() {
        let refused = |options| {
            let settings = line(options).expect("well-formed");
            settings.deployment().expect_err("incomplete").to_string()
        };
        assert!(refused("").contains("--id is missing"));
        assert!(refused("--id 1").contains("--listen is missing"));
        assert!(refused("--id 1 --listen 127.0.0.1:1").contains("--data is missing"));
        let twice =
            "--id 1 --listen 127.0.0.1:1 --data d --peer 2=127.0.0.1:2 --peer 2=127.0.0.1:3";
        assert!(refused(twice).contains("peer 2 is given twice"));
    }
}

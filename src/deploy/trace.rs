//! The trace of a Raft server, and its replay.

use super::{DeployError, actor_id};
use crate::raft::{Config, Copies, Persistent, Raft, Retry};
use crate::runtime::trace::{Accepted, NotAccepted, Origin, TraceWriter, Unfit, is_fit, replay};
use crate::state_machine::StateMachine;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::any::type_name;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

/// The parameters from which a [`Raft`] is built, as they stand in the trace.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// The name of the state machine's type. A replay with another type would be no evidence.
    machine: String,
    servers: BTreeSet<u64>,
    election_timeout: Range<Duration>,
    heartbeat_interval: Duration,
    max_entries: usize,
    max_bytes: usize,
    max_uncommitted: u64,
    max_uncommitted_bytes: u64,
    copies: Copies,
    retry: Retry,
    max_sessions: u32,
}

/// Replays a trace that a [`Deployment`](super::Deployment) of the state machine `S` wrote. The actor
/// must answer as the trace says, record by record.
pub fn replay_trace<S: StateMachine + Serialize>(
    trace: impl BufRead,
) -> Result<Accepted, NotAccepted> {
    replay(trace, build::<S>)
}

/// The origin of a trace: the server and its parameters.
pub(super) fn origin<S: StateMachine>(cluster: &str, server: u64, raft: &Raft<S>) -> Origin {
    let actor = serde_json::to_value(parameters(raft)).expect("plain data has a JSON form");
    Origin { cluster: cluster.to_owned(), server, actor }
}

/// Opens the trace of a server that has `held` in its store, if anything, for appending. A trace that
/// does not end there has missed something, so records appended to it could never be accepted.
pub(super) fn writer(
    path: &Path,
    origin: Origin,
    held: Option<&Persistent>,
) -> Result<TraceWriter, DeployError> {
    let failed = |source| DeployError::Trace { path: path.to_owned(), source };
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        // The content of the file is read first. Reading a device or a pipe may never end.
        return Err(failed(not_a_file()));
    }
    match is_fit(path, &origin, held) {
        Ok(()) => TraceWriter::create(path, origin).map_err(failed),
        Err(Unfit::Io(source)) => Err(failed(source)),
        Err(reason) => Err(DeployError::UnfitTrace { path: path.to_owned(), reason }),
    }
}

/// Checks that a trace can begin at `path`. A missing file is created, to see that it can be.
pub(super) fn check_new(path: &Path) -> Result<(), DeployError> {
    let refused = |source| DeployError::Trace { path: path.to_owned(), source };
    // The kind of the file is looked at first, because opening a pipe may never end.
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return Err(refused(not_a_file()));
    }
    let file = File::options().append(true).create(true).open(path).map_err(refused)?;
    if file.metadata().map_err(refused)?.len() > 0 {
        return Err(DeployError::UsedTrace { path: path.to_owned() });
    }
    Ok(())
}

fn not_a_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
}

fn parameters<S: StateMachine>(raft: &Raft<S>) -> Parameters {
    // All fields are named, so that nobody can add a parameter and forget it here.
    let Config {
        servers,
        election_timeout,
        heartbeat_interval,
        max_entries,
        max_bytes,
        max_uncommitted,
        max_uncommitted_bytes,
        copies,
        retry,
        max_sessions,
    } = raft.config().clone();
    Parameters {
        machine: type_name::<S>().to_owned(),
        servers: servers.into_iter().map(|id| usize::from(id) as u64).collect(),
        election_timeout,
        heartbeat_interval,
        max_entries,
        max_bytes,
        max_uncommitted,
        max_uncommitted_bytes,
        copies,
        retry,
        max_sessions,
    }
}

fn build<S: StateMachine>(actor: &Value) -> Result<Raft<S>, String> {
    let parameters = Parameters::deserialize(actor).map_err(|error| error.to_string())?;
    let machine = type_name::<S>();
    if parameters.machine != machine {
        return Err(format!("its state machine is {}, not {machine}", parameters.machine));
    }
    let config = Config {
        servers: parameters.servers.into_iter().map(actor_id).collect(),
        election_timeout: parameters.election_timeout,
        heartbeat_interval: parameters.heartbeat_interval,
        max_entries: parameters.max_entries,
        max_bytes: parameters.max_bytes,
        max_uncommitted: parameters.max_uncommitted,
        max_uncommitted_bytes: parameters.max_uncommitted_bytes,
        copies: parameters.copies,
        retry: parameters.retry,
        max_sessions: parameters.max_sessions,
    };
    Raft::new(config).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Kv;

    #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
    struct Other;

    impl StateMachine for Other {
        fn apply(&mut self, _command: &[u8]) -> bytes::Bytes {
            bytes::Bytes::new()
        }
    }

    #[test]
    fn a_trace_says_all_that_the_actor_is_built_from() {
        let config = Config {
            election_timeout: Duration::from_millis(7)..Duration::from_micros(9001),
            heartbeat_interval: Duration::from_micros(3001),
            max_entries: 4,
            max_bytes: 105,
            max_uncommitted: 6,
            max_uncommitted_bytes: 107,
            copies: Copies::Appended,
            retry: Retry::WhenLost { smallest_batch: 70 },
            max_sessions: 8,
            ..Config::new([1, 2, 9].map(actor_id))
        };
        let raft = Raft::<Kv>::new(config.clone()).expect("a sound configuration");
        let text = origin("c", 1, &raft).actor.to_string();
        let parsed = serde_json::from_str(&text).expect("JSON");
        assert_eq!(build::<Kv>(&parsed).expect("built again").config(), &config);
    }

    #[test]
    fn a_trace_of_another_state_machine_or_of_no_valid_configuration_is_refused() {
        let raft = Raft::<Kv>::new(Config::new([actor_id(1)])).expect("a sound configuration");
        let actor = origin("c", 1, &raft).actor;
        let complaint = build::<Other>(&actor).expect_err("another machine");
        assert!(complaint.contains("kv::Kv"), "{complaint}");
        for (key, value) in
            [("max_entries", 0.into()), ("more", 1.into()), ("servers", Value::Null)]
        {
            let mut actor = actor.clone();
            actor[key] = value;
            build::<Kv>(&actor).expect_err(key);
        }
    }
}

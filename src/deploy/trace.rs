//! The trace of a Raft server, and its replay.

use super::DeployError;
use crate::raft::{Members, Parameters, Persistent, Raft};
use crate::runtime::trace::{
    Accepted, NotAccepted, Origin, Steps, TraceWriter, Unfit, is_fit, replay,
};
use crate::state_machine::StateMachine;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::any::type_name;
use std::fs::File;
use std::io::{self, BufRead};
use std::path::Path;

/// The values from which a [`Raft`] is built, as they stand in the trace.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Build {
    /// The name of the state machine's type. A replay with another type would be no evidence.
    machine: String,
    members: Members,
    parameters: Parameters,
}

/// Replays a trace that a [`Deployment`](super::Deployment) of the state machine `S` wrote. The actor
/// must answer as the trace says, record by record.
pub fn replay_trace<S: StateMachine + Serialize>(
    trace: impl BufRead,
) -> Result<Accepted, NotAccepted> {
    replay(trace, build::<S>)
}

/// The handler calls of a trace of the state machine `S`, one by one as they are replayed.
pub type TraceSteps<S, R> = Steps<Raft<S>, R, fn(&Value) -> Result<Raft<S>, String>>;

/// Replays a trace as [`replay_trace`] does, call by call.
pub fn trace_steps<S: StateMachine + Serialize, R: BufRead>(trace: R) -> TraceSteps<S, R> {
    Steps::new(trace, build::<S>)
}

/// The parameters of the server that a trace belongs to.
pub fn traced_parameters(origin: &Origin) -> Result<Parameters, String> {
    let build = Build::deserialize(&origin.actor).map_err(|error| error.to_string())?;
    Ok(build.parameters)
}

/// The origin of a trace: the server and its parameters.
pub(super) fn origin<S: StateMachine>(cluster: &str, server: u64, raft: &Raft<S>) -> Origin {
    let (members, parameters) = (raft.members().clone(), raft.parameters().clone());
    let build = Build { machine: type_name::<S>().to_owned(), members, parameters };
    let actor = serde_json::to_value(build).expect("plain data has a JSON form");
    Origin { cluster: cluster.to_owned(), server, actor }
}

/// Opens the trace of a server that has `held` in its store, if anything, for appending. A trace that
/// does not end there has missed something, so records appended to it could never be accepted. Returns `None`
/// if the trace has ended at its limit: it may have missed something since, and nothing is appended to it.
pub(super) fn writer<S: StateMachine>(
    path: &Path,
    origin: Origin,
    held: Option<&Persistent<S>>,
    limit: Option<u64>,
) -> Result<Option<TraceWriter>, DeployError> {
    let failed = |source| DeployError::Trace { path: path.to_owned(), source };
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        // The content of the file is read first. Reading a device or a pipe may never end.
        return Err(failed(not_a_file()));
    }
    let bytes = path.metadata().map_or(0, |metadata| metadata.len());
    if limit.is_some_and(|limit| bytes >= limit) {
        tracing::warn!(path = %path.display(), bytes, "the trace has ended at its limit: not traced");
        return Ok(None);
    }
    match is_fit(path, &origin, held) {
        Ok(()) => TraceWriter::create(path, origin, limit).map(Some).map_err(failed),
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

fn build<S: StateMachine>(actor: &Value) -> Result<Raft<S>, String> {
    let Build { machine, members, parameters } =
        Build::deserialize(actor).map_err(|error| error.to_string())?;
    let wanted = type_name::<S>();
    if machine != wanted {
        return Err(format!("its state machine is {machine}, not {wanted}"));
    }
    Raft::new(members.iter(), parameters).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::actor_id;
    use super::*;
    use crate::kv::Kv;
    use crate::raft::{Copies, Retry};
    use std::time::Duration;

    #[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
    struct Other;

    impl StateMachine for Other {
        fn apply(&mut self, _command: &[u8]) -> bytes::Bytes {
            bytes::Bytes::new()
        }
    }

    #[test]
    fn a_trace_says_all_that_the_actor_is_built_from() {
        let parameters = Parameters {
            election_timeout: Duration::from_millis(7)..Duration::from_micros(9001),
            heartbeat_interval: Duration::from_micros(3001),
            max_entries: 4,
            max_bytes: 105,
            max_uncommitted: 6,
            max_uncommitted_bytes: 107,
            copies: Copies::Appended,
            retry: Retry::WhenLost { smallest_batch: 70 },
            max_sessions: 8,
            snapshot_after: Some(9),
            snapshot_after_bytes: 90,
            snapshot_margin: 10,
            snapshot_hold: 11,
            pre_vote: false,
            stickiness: false,
            check_quorum: true,
        };
        let members = [1, 2, 9].map(actor_id);
        let raft = Raft::<Kv>::new(members, parameters.clone()).expect("sound parameters");
        let text = origin("c", 1, &raft).actor.to_string();
        let parsed = serde_json::from_str(&text).expect("JSON");
        let again = build::<Kv>(&parsed).expect("built again");
        assert_eq!(again.parameters(), &parameters);
        assert_eq!(again.members(), &members.into_iter().collect());
    }

    #[test]
    fn a_trace_of_another_state_machine_or_of_no_valid_parameters_is_refused() {
        let raft = Raft::<Kv>::new([actor_id(1)], Parameters::default()).expect("sound");
        let actor = origin("c", 1, &raft).actor;
        let complaint = build::<Other>(&actor).expect_err("another machine");
        assert!(complaint.contains("kv::Kv"), "{complaint}");
        for (path, value) in [
            ("/parameters/max_entries", 0.into()),
            ("/parameters/max_bytes", "many".into()),
            ("/members", Value::Null),
            ("/members", Value::Array(Vec::new())),
        ] {
            let mut actor = actor.clone();
            *actor.pointer_mut(path).expect("it is there") = value;
            build::<Kv>(&actor).expect_err(path);
        }
        for path in ["", "/parameters"] {
            let mut actor = actor.clone();
            actor.pointer_mut(path).expect("it is there")["more"] = 1.into();
            build::<Kv>(&actor).expect_err(path);
        }
    }

    #[test]
    fn a_trace_that_has_reached_its_limit_is_not_appended_to() {
        let raft = Raft::<Kv>::new([actor_id(1)], Parameters::default()).expect("sound");
        let file = tempfile::NamedTempFile::new().expect("a file");
        let open = |limit| writer::<Kv>(file.path(), origin("c", 1, &raft), None, limit);
        assert!(open(None).expect("no limit").is_some());
        assert!(open(Some(9)).expect("below the limit").is_some());
        // What stands in a full trace does not matter any more.
        std::fs::write(file.path(), "123456789").expect("written");
        assert!(open(Some(9)).expect("at the limit").is_none());
        open(Some(10)).expect_err("no trace");
    }
}

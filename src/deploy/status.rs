//! The status of a server: what it says of itself when it is inspected.

use crate::raft::{Leader, Role, Server};
use crate::state_machine::StateMachine;
use serde_json::{Value, json};
use stateright::actor::Id;

/// The state of server `id`, for people:
///
/// - `role`: `follower`, `pre-candidate`, `candidate`, `leader` or `halted`;
/// - `term`, `voted_for`, `last_log_index`, `last_log_term`, `commit_index` and `last_applied`;
/// - `snapshot_index`: the last entry that the server's snapshot covers, and `log_start`: the last entry that
///   its log has dropped; each is 0 if there is none;
/// - `leader`: the leader that the server knows, itself included, or null;
/// - `sessions`: how many are open;
/// - `progress`: on a leader `{id, next_index, match_index, snapshot_bytes}` for each follower, elsewhere
///   empty. `snapshot_bytes` is how much of a snapshot the follower has, and null if it is sent none.
///
/// A node adds `id`, `cluster`, `members`, `counters` and `warnings`, and says who it is and whom it
/// knows: `directory`, `start`, `copy` and `peers`. A deployed server adds two more.
/// `majority_heard_ms_ago` says how long ago a leader last heard from a majority, and is null elsewhere.
/// `terms_out_of_reach` says how many messages had a term that no elections can have led to.
pub fn status<S: StateMachine>(id: Id, server: &Server<S>) -> Value {
    let (leader, progress) = match &server.role {
        Role::Follower { leader, .. } => (*leader, Vec::new()),
        Role::PreCandidate { .. } | Role::Candidate { .. } | Role::Halted(_) => (None, Vec::new()),
        Role::Leader(Leader { followers, .. }) => {
            let progress = followers.iter().map(|(follower, it)| {
                json!({
                    "id": number(*follower),
                    "next_index": it.next_index.0,
                    "match_index": it.match_index.0,
                    "snapshot_bytes": it.sending.as_ref().map(|sending| sending.offset),
                })
            });
            (Some(id), progress.collect())
        }
    };
    let persistent = &server.persistent;
    let (last_log_term, last_log_index) = persistent.log.last();
    json!({
        "role": role(server),
        "term": persistent.current_term.0,
        "voted_for": persistent.voted_for.map(number),
        "leader": leader.map(number),
        "last_log_index": last_log_index.0,
        "last_log_term": last_log_term.0,
        "snapshot_index": persistent.snapshot.last_index.0,
        "log_start": persistent.log.start().0,
        "commit_index": server.commit_index.0,
        "last_applied": server.last_applied.0,
        "sessions": server.sessions.len(),
        "progress": progress,
    })
}

/// The name of a server's role.
pub(super) fn role<S>(server: &Server<S>) -> &'static str {
    match &server.role {
        Role::Follower { .. } => "follower",
        Role::PreCandidate { .. } => "pre-candidate",
        Role::Candidate { .. } => "candidate",
        Role::Leader(_) => "leader",
        Role::Halted(_) => "halted",
    }
}

/// The number of a server or a client.
pub(super) fn number(id: Id) -> u64 {
    usize::from(id) as u64
}

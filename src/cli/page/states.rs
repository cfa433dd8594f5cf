//! Makes the state of a process into data of the page.

use super::scene::{Entry, Follower, Log, Saved, ServerState, State};
use checked_raft::kv::Kv;
use checked_raft::models::ghost::role_name;
use checked_raft::models::process::ProcessState;
use checked_raft::models::text::Text;
use checked_raft::models::{Cluster, ClusterState};
use checked_raft::raft::{Message, Persistent, Role, Server};
use stateright::actor::Id;

/// The most entries of a log that are shown: the latest ones.
const MOST_ENTRIES: usize = 48;
/// The most characters of a state machine or of its sessions that are shown.
const MOST_CHARACTERS: usize = 400;

/// Gives the name of a process.
pub(super) type Names<'a> = &'a dyn Fn(Id) -> String;

/// The state of a process of a model.
pub(super) fn of_process(cluster: &Cluster, state: &ClusterState, number: usize) -> State {
    let names: Names<'_> = &|id| cluster.name_of(id).to_owned();
    let view = state.view();
    let local = view.local(number);
    let mut timers: Vec<_> = local.timers.iter().copied().collect();
    timers.sort_unstable();
    let timers = timers.iter().map(|timer| format!("{timer:?}")).collect();
    match local.state {
        ProcessState::Server(server) => of_server(names, server, local.storage, timers),
        ProcessState::Client(client) => {
            let request = client.session.request();
            let text = Text::<Kv>::named(names);
            State::Client {
                asks: request.as_ref().map(|(server, _)| names(*server)),
                request: request.map(|(_, it)| text.message(&Message::ClientRequest(it))),
                outcomes: client.outcomes.iter().map(|it| text.invocation(it)).collect(),
                timers,
            }
        }
    }
}

/// The state of a server, with what it has saved and its armed timers.
pub(super) fn of_server(
    names: Names<'_>,
    server: &Server<Kv>,
    saved: Option<&Persistent<Kv>>,
    timers: Vec<String>,
) -> State {
    let list = |ids: &std::collections::BTreeSet<Id>| ids.iter().map(|id| names(*id)).collect();
    let (mut leader, mut votes, mut followers) = (None, Vec::new(), Vec::new());
    match &server.role {
        Role::Follower { leader: followed, .. } => leader = followed.map(names),
        Role::PreCandidate { pre_votes_granted: granted }
        | Role::Candidate { votes_granted: granted } => votes = list(granted),
        Role::Leader(leading) => {
            let each = leading.followers.iter().map(|(id, it)| {
                let (next, matching) = (it.next_index.0, it.match_index.0);
                Follower { name: names(*id), next, matching }
            });
            followers = each.collect();
        }
        Role::Halted(disagreement) => leader = Some(names(disagreement.leader)),
    }
    State::Server(Box::new(ServerState {
        role: role_name(&server.role),
        term: server.persistent.current_term.0,
        vote: server.persistent.voted_for.map(names),
        commit: server.commit_index.0,
        applied: server.last_applied.0,
        log: log(names, &server.persistent, saved),
        timers,
        saved: saved.map(|saved| Saved {
            term: saved.current_term.0,
            vote: saved.voted_for.map(names),
            snapshot: saved.snapshot.last_index.0,
            last: saved.log.last_index().0,
        }),
        leader,
        votes,
        followers,
        machine: shortened(&format!("{:?}", server.machine)),
        sessions: shortened(&format!("{:?}", server.sessions)),
    }))
}

fn log(names: Names<'_>, held: &Persistent<Kv>, saved: Option<&Persistent<Kv>>) -> Log {
    let text = Text::<Kv>::named(names);
    let latest = held.log.iter().rev().take(MOST_ENTRIES);
    let mut entries: Vec<_> = latest
        .map(|(index, entry)| Entry {
            index: index.0,
            term: entry.term.0,
            text: shortened(&text.payload(&entry.payload)),
            is_saved: saved.is_some_and(|saved| saved.log.get(index) == Some(entry)),
        })
        .collect();
    entries.reverse();
    Log {
        snapshot: held.snapshot.last_index.0,
        start: held.log.start().0,
        last: held.log.last_index().0,
        entries,
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MOST_CHARACTERS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

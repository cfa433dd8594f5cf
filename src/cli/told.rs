//! Steps and states of a counterexample as data, for `--json`. `docs/counterexamples.md` documents them.

use checked_raft::kv::Kv;
use checked_raft::models::ghost::role_name;
use checked_raft::models::process::{Process as Actor, ProcessState};
use checked_raft::models::text::{Text, transfer_text};
use checked_raft::models::{Cluster, ClusterAction, ClusterState};
use checked_raft::raft::{
    ClientRequest, ClientResponse, Entry, Index, Invocation, Leader, Message, Outcome, Payload,
    Persistent, Progress, Role, Server,
};
use checked_raft::state_machine::StateMachine;
use serde::Serialize;
use stateright::actor::{Command, Id};
use std::collections::BTreeMap;

/// One step of a path.
#[derive(Serialize)]
pub(super) struct Step {
    /// The number of the step, from 1.
    number: usize,
    /// The step in words: the event, the change of the actor, and what it sends.
    pub(super) text: Vec<String>,
    action: Action,
    /// The actor before the step.
    before: Process,
    /// The actor after the step.
    after: Process,
    /// Everything that the handler puts out, in order.
    outputs: Vec<Output>,
    /// The messages among the outputs; one that goes to several receivers stands here once.
    sent: Vec<Sent>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Action {
    Deliver { actor: String, from: String, message: Told },
    Timeout { actor: String, timer: String },
    Restart { actor: String },
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Output {
    Save(Saved),
    Send { to: String, message: Told },
    SetTimer { timer: String },
    CancelTimer { timer: String },
}

#[derive(Serialize)]
struct Sent {
    to: Vec<String>,
    message: Told,
}

/// The state of a process of the cluster.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Process {
    Server(ServerState),
    Client(ClientState),
}

#[derive(Serialize)]
pub(super) struct ServerState {
    pub(super) name: String,
    pub(super) role: &'static str,
    pub(super) term: u64,
    /// The candidate that the server voted for in this term.
    pub(super) vote: Option<String>,
    /// The index that the log starts after, if entries have made way for a snapshot.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) log_start: u64,
    /// The term of each entry.
    pub(super) log: Vec<u64>,
    /// The last included index of the snapshot, if the server has one.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) snapshot: u64,
    pub(super) commit: u64,
    pub(super) applied: u64,
    /// The armed timers.
    pub(super) timers: Vec<String>,
    /// The state that the server would start again from; null if it has saved nothing.
    saved: Option<Saved>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leader: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    votes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<BTreeMap<String, u64>>,
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    matching: Option<BTreeMap<String, u64>>,
}

#[derive(Serialize)]
pub(super) struct ClientState {
    pub(super) name: String,
    /// The request that waits for an answer, and the server that is asked for it.
    request: Option<Told>,
    asks: Option<String>,
    /// How each finished command ended.
    pub(super) outcomes: Vec<String>,
    pub(super) timers: Vec<String>,
}

impl Process {
    /// The server, if the process is one.
    pub(super) fn server(&self) -> Option<&ServerState> {
        match self {
            Self::Server(server) => Some(server),
            Self::Client(_) => None,
        }
    }
}

/// The part of a server that survives a crash.
#[derive(Serialize)]
struct Saved {
    term: u64,
    vote: Option<String>,
    #[serde(skip_serializing_if = "is_zero")]
    snapshot: u64,
    #[serde(skip_serializing_if = "is_zero")]
    log_start: u64,
    log: Vec<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A message, with its fields as the protocol names them.
#[derive(Serialize)]
#[serde(tag = "type")]
enum Told {
    RequestVote {
        term: u64,
        last_log_index: u64,
        last_log_term: u64,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        leadership_transfer: bool,
    },
    TimeoutNow {
        term: u64,
        last_log_index: u64,
        last_log_term: u64,
    },
    RequestVoteResponse {
        term: u64,
        vote_granted: bool,
    },
    AppendEntries {
        term: u64,
        prev_log_index: u64,
        prev_log_term: u64,
        entries: Vec<LogEntry>,
        leader_commit: u64,
        #[serde(skip_serializing_if = "is_zero")]
        round: u64,
    },
    AppendEntriesResponse {
        term: u64,
        outcome: Answer,
        #[serde(skip_serializing_if = "is_zero")]
        round: u64,
    },
    InstallSnapshot {
        term: u64,
        last_included_index: u64,
        last_included_term: u64,
        offset: u64,
        bytes: usize,
        done: bool,
    },
    InstallSnapshotResponse {
        term: u64,
        last_included_index: u64,
        offset: u64,
    },
    PreVote {
        next_term: u64,
        last_log_index: u64,
        last_log_term: u64,
    },
    PreVoteResponse {
        term: u64,
        next_term: u64,
        pre_vote_granted: bool,
    },
    Register {
        sequence: u64,
    },
    Command {
        session: u64,
        sequence: u64,
        command: String,
    },
    Read {
        sequence: u64,
        query: String,
    },
    Transfer {
        sequence: u64,
        to: String,
    },
    TransferEnded {
        sequence: u64,
        outcome: &'static str,
    },
    ReadAnswer {
        sequence: u64,
        response: String,
    },
    Registered {
        sequence: u64,
        session: u64,
    },
    Applied {
        sequence: u64,
        response: String,
    },
    SessionExpired {
        sequence: u64,
    },
    NotLeader {
        sequence: u64,
        leader: Option<String>,
    },
    TooLarge {
        sequence: u64,
        limit: u64,
    },
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Answer {
    Match { index: u64 },
    Conflict { prev_log_index: u64, term: Option<u64>, index: u64 },
    StaleTerm,
}

#[derive(Serialize)]
struct LogEntry {
    index: u64,
    term: u64,
    #[serde(flatten)]
    payload: EntryKind,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum EntryKind {
    Noop,
    Register { client: String, sequence: u64, max_sessions: u32 },
    Command { client: String, session: u64, sequence: u64, command: String },
}

/// The steps of a path, as data.
pub(super) fn steps(
    world: &Cluster,
    first: &ClusterState,
    steps: &[(ClusterAction, ClusterState)],
) -> Vec<Step> {
    let befores = std::iter::once(first).chain(steps.iter().map(|(_, state)| state));
    let numbered = (1..).zip(befores.zip(steps));
    let teller = Teller(world);
    numbered
        .map(|(number, (before, (action, after)))| teller.step(number, before, action, after))
        .collect()
}

/// The states of all processes, as data.
pub(super) fn processes(world: &Cluster, state: &ClusterState) -> Vec<Process> {
    let all = 0..world.names.len();
    all.map(|process| Teller(world).process(Id::from(process), state)).collect()
}

/// Puts what happens in a cluster into data, with the names of its processes.
struct Teller<'a>(&'a Cluster);

impl Teller<'_> {
    fn name(&self, id: Id) -> String {
        self.0.name_of(id).to_owned()
    }

    fn names<'i>(&self, ids: impl IntoIterator<Item = &'i Id>) -> Vec<String> {
        ids.into_iter().map(|id| self.name(*id)).collect()
    }

    fn step(
        &self,
        number: usize,
        before: &ClusterState,
        action: &ClusterAction,
        after: &ClusterState,
    ) -> Step {
        let (mut outputs, mut sent) = (Vec::new(), Vec::<(Message, Vec<String>)>::new());
        for command in self.0.outputs(before, action) {
            outputs.extend(self.output(&command));
            let Command::Send(to, message) = command else { continue };
            match sent.iter_mut().find(|(same, _)| *same == message) {
                Some((_, receivers)) => receivers.push(self.name(to)),
                None => sent.push((message, vec![self.name(to)])),
            }
        }
        let sent = sent.into_iter().map(|(msg, to)| Sent { to, message: self.message(&msg) });
        Step {
            number,
            text: Text::of(self.0).step(self.0, before, action, after),
            action: self.action(action),
            before: self.process(action.who, before),
            after: self.process(action.who, after),
            outputs,
            sent: sent.collect(),
        }
    }

    fn action(&self, action: &ClusterAction) -> Action {
        let actor = self.name(action.who);
        match &action.event {
            actorcheck::Event::Deliver { src, msg } => {
                Action::Deliver { actor, from: self.name(*src), message: self.message(msg) }
            }
            actorcheck::Event::Timeout(timer) => {
                Action::Timeout { actor, timer: format!("{timer:?}") }
            }
            actorcheck::Event::Choose { .. } => unreachable!("no process draws lots"),
            actorcheck::Event::Restart => Action::Restart { actor },
        }
    }

    fn output(&self, command: &actorcheck::CommandOf<Actor>) -> Option<Output> {
        Some(match command {
            Command::Save(persistent) => Output::Save(self.saved(persistent)),
            Command::Send(to, msg) => {
                Output::Send { to: self.name(*to), message: self.message(msg) }
            }
            Command::SetTimer(timer, _) => Output::SetTimer { timer: format!("{timer:?}") },
            Command::CancelTimer(timer) => Output::CancelTimer { timer: format!("{timer:?}") },
            Command::ChooseRandom(..) => return None,
        })
    }

    fn process(&self, id: Id, state: &ClusterState) -> Process {
        let view = state.view();
        let local = view.local(usize::from(id));
        let mut timers: Vec<_> = local.timers.iter().copied().collect();
        timers.sort_unstable();
        let timers = timers.iter().map(|timer| format!("{timer:?}")).collect();
        match local.state {
            ProcessState::Server(server) => {
                let saved = local.storage.map(|saved| self.saved(saved));
                Process::Server(self.server(id, server, saved, timers))
            }
            ProcessState::Client(client) => {
                let request = client.session.request();
                Process::Client(ClientState {
                    name: self.name(id),
                    asks: request.as_ref().map(|(server, _)| self.name(*server)),
                    request: request.map(|(_, request)| self.request(&request)),
                    outcomes: client.outcomes.iter().map(told_outcome).collect(),
                    timers,
                })
            }
        }
    }

    fn server(
        &self,
        id: Id,
        server: &Server<Kv>,
        saved: Option<Saved>,
        timers: Vec<String>,
    ) -> ServerState {
        let Saved { term, vote, snapshot, log_start, log } = self.saved(&server.persistent);
        let (mut leader, mut votes, mut next, mut matching) = (None, None, None, None);
        let indexes = |leader: &Leader<Kv>, index: fn(&Progress<Kv>) -> Index| {
            let each = leader.followers.iter().map(|(id, it)| (self.name(*id), index(it).0));
            Some(each.collect())
        };
        match &server.role {
            Role::Follower { leader: followed, .. } => leader = followed.map(|id| self.name(id)),
            Role::PreCandidate { pre_votes_granted: granted }
            | Role::Candidate { votes_granted: granted } => votes = Some(self.names(granted)),
            Role::Leader(leader) => {
                next = indexes(leader, |it| it.next_index);
                matching = indexes(leader, |it| it.match_index);
            }
            Role::Halted(disagreement) => leader = Some(self.name(disagreement.leader)),
        }
        ServerState {
            name: self.name(id),
            role: role_name(&server.role),
            term,
            vote,
            log_start,
            log,
            snapshot,
            commit: server.commit_index.0,
            applied: server.last_applied.0,
            timers,
            saved,
            leader,
            votes,
            next,
            matching,
        }
    }

    fn saved(&self, persistent: &Persistent<Kv>) -> Saved {
        Saved {
            term: persistent.current_term.0,
            vote: persistent.voted_for.map(|id| self.name(id)),
            snapshot: persistent.snapshot.last_index.0,
            log_start: persistent.log.start().0,
            log: persistent.log.iter().map(|(_, entry)| entry.term.0).collect(),
        }
    }

    fn message(&self, msg: &Message) -> Told {
        match msg {
            Message::RequestVote(args) => Told::RequestVote {
                term: args.term.0,
                last_log_index: args.last_log_index.0,
                last_log_term: args.last_log_term.0,
                leadership_transfer: args.leadership_transfer,
            },
            Message::RequestVoteResponse(args) => {
                Told::RequestVoteResponse { term: args.term.0, vote_granted: args.vote_granted }
            }
            Message::AppendEntries(args) => Told::AppendEntries {
                term: args.term.0,
                prev_log_index: args.prev_log_index.0,
                prev_log_term: args.prev_log_term.0,
                entries: (args.prev_log_index.0 + 1..)
                    .zip(&args.entries)
                    .map(|(index, entry)| self.entry(index, entry))
                    .collect(),
                leader_commit: args.leader_commit.0,
                round: args.round,
            },
            Message::AppendEntriesResponse(args) => Told::AppendEntriesResponse {
                term: args.term.0,
                round: args.round,
                outcome: match args.outcome {
                    Outcome::Match(index) => Answer::Match { index: index.0 },
                    Outcome::Conflict { prev_log_index, term, index } => Answer::Conflict {
                        prev_log_index: prev_log_index.0,
                        term: term.map(|term| term.0),
                        index: index.0,
                    },
                    Outcome::StaleTerm => Answer::StaleTerm,
                },
            },
            Message::InstallSnapshot(args) => Told::InstallSnapshot {
                term: args.term.0,
                last_included_index: args.last_included_index.0,
                last_included_term: args.last_included_term.0,
                offset: args.offset,
                bytes: args.data.len(),
                done: args.done,
            },
            Message::InstallSnapshotResponse(args) => Told::InstallSnapshotResponse {
                term: args.term.0,
                last_included_index: args.last_included_index.0,
                offset: args.offset,
            },
            Message::PreVote(args) => Told::PreVote {
                next_term: args.next_term.0,
                last_log_index: args.last_log_index.0,
                last_log_term: args.last_log_term.0,
            },
            Message::PreVoteResponse(args) => Told::PreVoteResponse {
                term: args.term.0,
                next_term: args.next_term.0,
                pre_vote_granted: args.pre_vote_granted,
            },
            Message::TimeoutNow(args) => Told::TimeoutNow {
                term: args.term.0,
                last_log_index: args.last_log_index.0,
                last_log_term: args.last_log_term.0,
            },
            Message::ClientRequest(request) => self.request(request),
            Message::ClientResponse(response) => self.response(response),
        }
    }

    fn request(&self, request: &ClientRequest) -> Told {
        match request {
            ClientRequest::Register { sequence } => Told::Register { sequence: *sequence },
            ClientRequest::Command { session, sequence, command } => Told::Command {
                session: session.0,
                sequence: *sequence,
                command: Kv::describe(command),
            },
            ClientRequest::Read { sequence, query } => {
                Told::Read { sequence: *sequence, query: Kv::describe(query) }
            }
            ClientRequest::Transfer { sequence, to } => {
                Told::Transfer { sequence: *sequence, to: self.name(*to) }
            }
        }
    }

    fn response(&self, response: &ClientResponse) -> Told {
        match *response {
            ClientResponse::Registered { sequence, session } => {
                Told::Registered { sequence, session: session.0 }
            }
            ClientResponse::Applied { sequence, ref response } => {
                Told::Applied { sequence, response: Kv::describe_answer(response) }
            }
            ClientResponse::Read { sequence, ref response } => {
                Told::ReadAnswer { sequence, response: Kv::describe_answer(response) }
            }
            ClientResponse::Transfer { sequence, outcome } => {
                Told::TransferEnded { sequence, outcome: transfer_text(outcome) }
            }
            ClientResponse::SessionExpired { sequence } => Told::SessionExpired { sequence },
            ClientResponse::NotLeader { sequence, leader } => {
                Told::NotLeader { sequence, leader: leader.map(|id| self.name(id)) }
            }
            ClientResponse::TooLarge { sequence, limit } => Told::TooLarge { sequence, limit },
        }
    }

    fn entry(&self, index: u64, entry: &Entry) -> LogEntry {
        let payload = match &entry.payload {
            Payload::Noop => EntryKind::Noop,
            Payload::Register { client, sequence, max_sessions } => EntryKind::Register {
                client: self.name(*client),
                sequence: *sequence,
                max_sessions: *max_sessions,
            },
            Payload::Command { client, session, sequence, command } => EntryKind::Command {
                client: self.name(*client),
                session: session.0,
                sequence: *sequence,
                command: Kv::describe(command),
            },
        };
        LogEntry { index, term: entry.term.0, payload }
    }
}

fn told_outcome(outcome: &Invocation) -> String {
    match outcome {
        Invocation::Applied(response) => Kv::describe_answer(response),
        Invocation::Unknown => "outcome unknown".to_owned(),
        Invocation::TooLarge(limit) => format!("too large, at most {limit} bytes"),
        Invocation::Transfer(outcome) => transfer_text(*outcome).to_owned(),
    }
}

//! A server in a given state, one event, and exactly what must come of it.
//!
//! ```text
//! follower(1, &[1]).receives(1, request_vote(2, (1, 1))).then(
//!     "follower t2 voted=1 log=[1.noop] commit=0",
//!     &["save", "arm Election", "to 1: Vote t2 granted"],
//! );
//! ```
//!
//! The server under test is number 0. Positions are written `(term, index)`, in the order in which logs
//! are compared; a log is written as the terms of its entries, which are no-ops unless said otherwise.
//! The state is the one-line `Debug` of [`Server`]; ` sessions={} {}` at its end goes without saying.

use bytes::Bytes;
use checked_raft::kv::{self, Kv, Output};
use checked_raft::raft::{
    AppendEntries, AppendEntriesResponse, ClientRequest, ClientResponse, Copies, Entry, Index,
    InstallSnapshot, InstallSnapshotResponse, Leader, Log, Members, Message, Outcome, Parameters,
    Payload, Persistent, PreVote, PreVoteResponse, Progress, Raft, RequestVote,
    RequestVoteResponse, Retry, Role, Server, Term, TimeoutNow, Timer,
};
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;

/// The client of the tests; any number that is no server's.
pub(crate) const CLIENT: usize = 9;

/// A server in a state, and the actor that it runs as.
#[derive(Clone)]
pub(crate) struct Given {
    raft: Raft<Kv>,
    server: Server<Kv>,
}

/// What one event made of it.
pub(crate) struct Step {
    given: Given,
    out: Vec<String>,
    /// Whether the actor left the state borrowed, which tells the checker that it did not change.
    borrowed: bool,
}

/// A follower of a cluster of three, in this term, with a log of no-ops of these terms. Entries are
/// repeated with every heartbeat, and copies of requests appended, unless a test says otherwise.
pub(crate) fn follower(term: u64, log: &[u64]) -> Given {
    let log = noops(log).into_iter().collect();
    let persistent = Persistent { current_term: Term(term), log, ..Persistent::default() };
    let server = Server::restored(members(3), persistent);
    let mut parameters = Parameters::default();
    (parameters.retry, parameters.copies) = (Retry::EveryHeartbeat, Copies::Appended);
    (parameters.pre_vote, parameters.stickiness, parameters.check_quorum) = (false, false, false);
    Given { raft: raft(3, parameters), server }
}

/// A candidate that has these votes; its own is among them.
pub(crate) fn candidate(term: u64, log: &[u64], votes: &[usize]) -> Given {
    let votes_granted = votes.iter().copied().map(Id::from).collect();
    follower(term, log).voted_for(0).role(Role::Candidate { votes_granted })
}

/// A leader that knows of each other server `(id, next_index, match_index)`.
pub(crate) fn leader(term: u64, log: &[u64], peers: &[(usize, u64, u64)]) -> Given {
    let followers = peers.iter().map(|(id, next, matched)| {
        let (next_index, match_index) = (Index(*next), Index(*matched));
        (
            Id::from(*id),
            Progress {
                next_index,
                match_index,
                attempt: None,
                sending: None,
                catches_up: false,
                round: 0,
                is_heard: false,
            },
        )
    });
    let leader = Leader { followers: followers.collect(), ..Leader::default() };
    follower(term, log).voted_for(0).role(Role::Leader(leader))
}

fn members(count: usize) -> Members {
    (0..count).map(Id::from).collect()
}

fn raft(servers: usize, parameters: Parameters) -> Raft<Kv> {
    Raft::new(members(servers).iter(), parameters).expect("valid parameters")
}

impl Given {
    /// In a cluster of `count` servers.
    pub(crate) fn of(mut self, count: usize) -> Self {
        self.raft = raft(count, self.raft.parameters().clone());
        self.server.members = members(count);
        self
    }

    /// With other parameters.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Parameters)) -> Self {
        let mut parameters = self.raft.parameters().clone();
        change(&mut parameters);
        self.raft = raft(self.server.members.len(), parameters);
        self
    }

    pub(crate) fn voted_for(mut self, id: usize) -> Self {
        self.server.persistent.voted_for = Some(Id::from(id));
        self
    }

    /// Has heard of the leader of its term.
    pub(crate) fn following(self, leader: usize) -> Self {
        self.role(Role::follower(Some(Id::from(leader))))
    }

    /// Has committed and applied so many no-ops.
    pub(crate) fn committed(mut self, index: u64) -> Self {
        let is_noop = |entry: Option<&Entry>| entry.is_some_and(|it| it.payload == Payload::Noop);
        let log = &self.server.persistent.log;
        assert!((1..=index).all(|index| is_noop(log.get(Index(index)))), "no-ops only");
        self.server.commit_index = Index(index);
        self.server.last_applied = Index(index);
        self
    }

    /// With these entries at the end of its log.
    pub(crate) fn holding(mut self, entries: impl IntoIterator<Item = Entry>) -> Self {
        for entry in entries {
            self.server.persistent.log.append(entry);
        }
        self
    }

    fn role(mut self, role: Role<Kv>) -> Self {
        self.server.role = role;
        self
    }

    /// The actor.
    pub(crate) fn raft(&self) -> &Raft<Kv> {
        &self.raft
    }

    /// The state.
    pub(crate) fn server(&self) -> &Server<Kv> {
        &self.server
    }

    /// A message arrives.
    #[track_caller]
    pub(crate) fn receives(self, from: usize, msg: Message) -> Step {
        self.step(|raft, state, o| raft.on_msg(Id::from(0), state, Id::from(from), msg.clone(), o))
    }

    /// A timer fires.
    #[track_caller]
    pub(crate) fn times_out(self, timer: Timer) -> Step {
        self.step(|raft, state, o| raft.on_timeout(Id::from(0), state, &timer, o))
    }

    /// It crashes, loses all but `storage`, and starts again.
    #[track_caller]
    pub(crate) fn starts_with(self, storage: Option<Persistent<Kv>>) -> Step {
        let mut out = Out::new();
        let server = self.raft.on_start(Id::from(0), &storage, &mut out);
        let out = self.text(&out);
        Step { given: Given { server, ..self }, out, borrowed: false }
    }

    /// Runs a handler, and asserts what holds of every handler and every event.
    #[track_caller]
    fn step(
        self,
        handler: impl Fn(&Raft<Kv>, &mut Cow<'_, Server<Kv>>, &mut Out<Raft<Kv>>),
    ) -> Step {
        let before = &self.server;
        let mut state = Cow::Borrowed(before);
        let mut out = Out::new();
        handler(&self.raft, &mut state, &mut out);

        let mut again = Cow::Borrowed(before);
        let mut out_again = Out::new();
        handler(&self.raft, &mut again, &mut out_again);
        let same = (&again, format!("{out_again:?}")) == (&state, format!("{out:?}"));
        assert!(same, "a handler is a function of the state and the event");

        let saves = out.iter().filter(|command| matches!(command, Command::Save(_))).count();
        let changed = state.persistent != before.persistent;
        assert_eq!(saves, usize::from(changed), "one save if there is something to save: {out:?}");
        if changed {
            let first = matches!(&out[0], Command::Save(value) if *value == state.persistent);
            assert!(first, "the save comes first, and it is what the server remembers: {out:?}");
        }
        let borrowed = matches!(state, Cow::Borrowed(_));
        assert_eq!(borrowed, *state == *before, "only a change owns the state");

        let out = self.text(&out);
        Step { given: Given { server: state.into_owned(), ..self.clone() }, out, borrowed }
    }

    /// The commands, one line each.
    fn text(&self, out: &Out<Raft<Kv>>) -> Vec<String> {
        out.iter()
            .map(|command| match command {
                Command::Save(_) => "save".to_owned(),
                Command::SetTimer(timer, range) => {
                    let parameters = self.raft.parameters();
                    let set = match timer {
                        Timer::Election | Timer::Transfer => parameters.election_timeout.clone(),
                        Timer::Stickiness => {
                            let minimum = parameters.election_timeout.start;
                            minimum..minimum
                        }
                        Timer::Heartbeat => {
                            parameters.heartbeat_interval..parameters.heartbeat_interval
                        }
                    };
                    let factor = [1, 2, 4].into_iter().find(|n| set.start * *n == range.start);
                    let factor =
                        factor.expect("a timer is set for one, two or four times its time");
                    assert_eq!(range.end, set.end * factor, "the time of {timer:?}");
                    let factor = if factor == 1 { String::new() } else { format!(" x{factor}") };
                    format!("arm {timer:?}{factor}")
                }
                Command::CancelTimer(timer) => format!("disarm {timer:?}"),
                Command::Send(to, msg) => format!("to {}: {}", usize::from(*to), message(msg)),
                Command::ChooseRandom(..) => panic!("the protocol draws nothing"),
            })
            .collect()
    }
}

impl Step {
    /// The state is this and the commands were these.
    #[track_caller]
    pub(crate) fn then(self, state: &str, out: &[&str]) -> Given {
        assert_eq!(self.out, out, "the commands");
        let line = format!("{:?}", self.given.server);
        assert_eq!(line.strip_suffix(" sessions={} {}").unwrap_or(&line), state, "the state");
        self.given
    }

    /// The state did not change, and the commands were these.
    #[track_caller]
    pub(crate) fn unchanged(self, out: &[&str]) -> Given {
        assert_eq!(self.out, out, "the commands");
        assert!(self.borrowed, "the state has changed to {:?}", self.given.server);
        self.given
    }

    /// Nothing came of it at all.
    #[track_caller]
    pub(crate) fn ignored(self) -> Given {
        self.unchanged(&[])
    }

    /// Whatever came of it: the event only leads to the state a test is about.
    pub(crate) fn given(self) -> Given {
        self.given
    }

    /// The commands, one line each.
    pub(crate) fn out(&self) -> &[String] {
        &self.out
    }
}

// ---- messages ----

pub(crate) fn request_vote(term: u64, last: (u64, u64)) -> Message {
    let (last_log_term, last_log_index) = (Term(last.0), Index(last.1));
    let leadership_transfer = false;
    let term = Term(term);
    Message::RequestVote(RequestVote { term, last_log_index, last_log_term, leadership_transfer })
}

/// The request of a candidate that the leader wants.
pub(crate) fn wanted(term: u64, last: (u64, u64)) -> Message {
    match request_vote(term, last) {
        Message::RequestVote(args) => {
            Message::RequestVote(RequestVote { leadership_transfer: true, ..args })
        }
        msg => panic!("{msg:?} is no request for a vote"),
    }
}

pub(crate) fn timeout_now(term: u64, last: (u64, u64)) -> Message {
    let (term, last_log_term, last_log_index) = (Term(term), Term(last.0), Index(last.1));
    Message::TimeoutNow(TimeoutNow { term, last_log_index, last_log_term })
}

/// A client asks for a transfer.
pub(crate) fn transfer(sequence: u64, to: usize) -> Message {
    Message::ClientRequest(ClientRequest::Transfer { sequence, to: Id::from(to) })
}

pub(crate) fn vote(term: u64, vote_granted: bool) -> Message {
    Message::RequestVoteResponse(RequestVoteResponse { term: Term(term), vote_granted })
}

pub(crate) fn pre_vote(next_term: u64, last: (u64, u64)) -> Message {
    let (last_log_term, last_log_index) = (Term(last.0), Index(last.1));
    Message::PreVote(PreVote { next_term: Term(next_term), last_log_index, last_log_term })
}

pub(crate) fn pre_voted(term: u64, next_term: u64, pre_vote_granted: bool) -> Message {
    let (term, next_term) = (Term(term), Term(next_term));
    Message::PreVoteResponse(PreVoteResponse { term, next_term, pre_vote_granted })
}

/// AppendEntries with no-ops of these terms.
pub(crate) fn append(term: u64, prev: (u64, u64), entries: &[u64], commit: u64) -> Message {
    append_entries(term, prev, noops(entries), commit)
}

pub(crate) fn append_entries(
    term: u64,
    prev: (u64, u64),
    entries: Vec<Entry>,
    commit: u64,
) -> Message {
    let (prev_log_term, prev_log_index) = (Term(prev.0), Index(prev.1));
    let (term, leader_commit) = (Term(term), Index(commit));
    Message::AppendEntries(AppendEntries {
        term,
        prev_log_index,
        prev_log_term,
        entries,
        leader_commit,
        round: 0,
    })
}

/// The same message of a leader in this round, or an answer to it.
pub(crate) fn of_round(round: u64, msg: Message) -> Message {
    match msg {
        Message::AppendEntries(args) => Message::AppendEntries(AppendEntries { round, ..args }),
        Message::AppendEntriesResponse(args) => {
            Message::AppendEntriesResponse(AppendEntriesResponse { round, ..args })
        }
        msg => panic!("{msg:?} has no round"),
    }
}

/// A client reads a key.
pub(crate) fn read(sequence: u64, key: &'static str) -> Message {
    let query = kv::Command::Get(key.into()).encode();
    Message::ClientRequest(ClientRequest::Read { sequence, query })
}

pub(crate) fn matched(term: u64, index: u64) -> Message {
    append_response(term, Outcome::Match(Index(index)))
}

/// The follower has an entry of term `has` at `prev`, and its first of that term is at `index`.
pub(crate) fn conflict(term: u64, prev: u64, has: Option<u64>, index: u64) -> Message {
    let (prev_log_index, index) = (Index(prev), Index(index));
    append_response(term, Outcome::Conflict { prev_log_index, term: has.map(Term), index })
}

pub(crate) fn stale_term(term: u64) -> Message {
    append_response(term, Outcome::StaleTerm)
}

fn append_response(term: u64, outcome: Outcome) -> Message {
    Message::AppendEntriesResponse(AppendEntriesResponse { term: Term(term), outcome, round: 0 })
}

pub(crate) fn install_snapshot(
    term: u64,
    last: (u64, u64),
    offset: u64,
    data: &[u8],
    done: bool,
) -> Message {
    Message::InstallSnapshot(InstallSnapshot {
        term: Term(term),
        last_included_index: Index(last.1),
        last_included_term: Term(last.0),
        offset,
        data: Bytes::copy_from_slice(data),
        done,
    })
}

/// The follower has so many bytes of the snapshot up to this index.
pub(crate) fn wants(term: u64, last_included_index: u64, offset: u64) -> Message {
    let (term, last_included_index) = (Term(term), Index(last_included_index));
    Message::InstallSnapshotResponse(InstallSnapshotResponse { term, last_included_index, offset })
}

pub(crate) fn register(sequence: u64) -> Message {
    Message::ClientRequest(ClientRequest::Register { sequence })
}

pub(crate) fn command(session: u64, sequence: u64, command: &kv::Command) -> Message {
    command_bytes(session, sequence, command.encode())
}

pub(crate) fn command_bytes(session: u64, sequence: u64, command: Bytes) -> Message {
    let session = Index(session);
    Message::ClientRequest(ClientRequest::Command { session, sequence, command })
}

// ---- entries ----

fn noops(terms: &[u64]) -> Vec<Entry> {
    terms.iter().map(|term| Entry { term: Term(*term), payload: Payload::Noop }).collect()
}

/// An entry that opens a session.
pub(crate) fn register_entry(term: u64, sequence: u64, max_sessions: u32) -> Entry {
    let client = Id::from(CLIENT);
    Entry { term: Term(term), payload: Payload::Register { client, sequence, max_sessions } }
}

/// An entry with a command.
pub(crate) fn command_entry(
    term: u64,
    session: u64,
    sequence: u64,
    command: &kv::Command,
) -> Entry {
    let (client, session, command) = (Id::from(CLIENT), Index(session), command.encode());
    Entry { term: Term(term), payload: Payload::Command { client, session, sequence, command } }
}

pub(crate) fn put(key: &'static str, value: &'static str) -> kv::Command {
    kv::Command::Put(key.into(), value.into())
}

/// Sets a key that must have no value yet: done twice, it answers differently.
pub(crate) fn create(key: &'static str, value: &'static str) -> kv::Command {
    kv::Command::Cas { key: key.into(), old: None, new: value.into() }
}

/// The log that holds these no-ops.
pub(crate) fn log(terms: &[u64]) -> Log {
    noops(terms).into_iter().collect()
}

// ---- messages as text ----

fn message(msg: &Message) -> String {
    match msg {
        Message::RequestVote(args) => {
            let last = position(args.last_log_term, args.last_log_index);
            let wanted = if args.leadership_transfer { " wanted" } else { "" };
            format!("RequestVote t{} last={last}{wanted}", args.term)
        }
        Message::RequestVoteResponse(args) => {
            format!("Vote t{} {}", args.term, if args.vote_granted { "granted" } else { "denied" })
        }
        Message::AppendEntries(args) => {
            let prev = position(args.prev_log_term, args.prev_log_index);
            let entries: Log = args.entries.iter().cloned().collect();
            let (term, commit, round) = (args.term, args.leader_commit, round(args.round));
            format!("AppendEntries t{term} prev={prev} {entries:?} commit={commit}{round}")
        }
        Message::AppendEntriesResponse(args) => {
            format!("{} t{}{}", outcome(args.outcome), args.term, round(args.round))
        }
        Message::InstallSnapshot(args) => {
            let last = position(args.last_included_term, args.last_included_index);
            let (from, to) = (args.offset, args.offset + args.data.len() as u64);
            let done = if args.done { " done" } else { "" };
            format!("InstallSnapshot t{} last={last} {from}..{to}{done}", args.term)
        }
        Message::InstallSnapshotResponse(args) => {
            format!("Wants t{} i{} {}", args.term, args.last_included_index, args.offset)
        }
        Message::PreVote(args) => {
            let last = position(args.last_log_term, args.last_log_index);
            format!("PreVote for t{} last={last}", args.next_term)
        }
        Message::PreVoteResponse(args) => {
            let granted = if args.pre_vote_granted { "granted" } else { "denied" };
            format!("PreVote t{} for t{} {granted}", args.term, args.next_term)
        }
        Message::TimeoutNow(args) => {
            let last = position(args.last_log_term, args.last_log_index);
            format!("TimeoutNow t{} last={last}", args.term)
        }
        Message::ClientRequest(_) => panic!("a server asks nothing of a client: {msg:?}"),
        Message::ClientResponse(response) => client_response(response),
    }
}

fn round(round: u64) -> String {
    if round == 0 { String::new() } else { format!(" round {round}") }
}

fn position(term: Term, index: Index) -> String {
    format!("(t{term} i{index})")
}

fn outcome(outcome: Outcome) -> String {
    match outcome {
        Outcome::Match(index) => format!("Match i{index}"),
        Outcome::Conflict { prev_log_index, term: Some(term), index } => {
            format!("Conflict at i{prev_log_index}: t{term} from i{index} on")
        }
        Outcome::Conflict { prev_log_index, term: None, index } => {
            format!("Conflict at i{prev_log_index}: nothing from i{index} on")
        }
        Outcome::StaleTerm => "StaleTerm".to_owned(),
    }
}

fn client_response(response: &ClientResponse) -> String {
    match response {
        ClientResponse::Registered { sequence, session } => {
            format!("Registered #{sequence} session={session}")
        }
        ClientResponse::Applied { sequence, response } => {
            let output = Output::try_from(&response[..]).expect("an output of the store");
            format!("Applied #{sequence} {output:?}")
        }
        ClientResponse::Read { sequence, response } => {
            let output = Output::try_from(&response[..]).expect("an answer of the store");
            format!("Read #{sequence}: {output:?}")
        }
        ClientResponse::Transfer { sequence, outcome } => {
            format!("Transfer #{sequence} {outcome:?}")
        }
        ClientResponse::SessionExpired { sequence } => format!("SessionExpired #{sequence}"),
        ClientResponse::NotLeader { sequence, leader } => {
            let leader = leader.map_or("unknown".to_owned(), |id| usize::from(id).to_string());
            format!("NotLeader #{sequence} leader={leader}")
        }
        ClientResponse::TooLarge { sequence, limit } => {
            format!("TooLarge #{sequence} limit={limit}")
        }
    }
}

//! The text form of events, messages, changes and logs of a cluster. Scenarios and counterexamples are
//! written in it.
//!
//! `4@t2 put x 1` is the entry at index 4, created in term 2, with its command.

use super::ghost::role_name;
use super::process::{ClientState, ProcessState};
use super::{Cluster, ClusterAction, ClusterState};
use crate::kv::Kv;
use crate::raft::{
    ClientRequest, ClientResponse, Entry, Index, Invocation, Leader, Log, Message, Outcome,
    Payload, Progress, Role, Sending, Server, Term, Transfer, TransferOutcome,
};
use crate::state_machine::StateMachine;
use actorcheck::Event;
use stateright::actor::{Actor, Command, Id, Out};
use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

/// Writes events, messages and states of one cluster as text.
pub struct Text<'a, S: StateMachine = Kv> {
    /// Gives the name of a process.
    name: Box<dyn Fn(Id) -> String + 'a>,
    machine: PhantomData<fn() -> S>,
}

impl<'a, S: StateMachine> Text<'a, S> {
    /// The text form with the names of a cluster.
    pub fn of(cluster: &'a Cluster<S>) -> Self {
        Self::named(|id| cluster.name_of(id).to_owned())
    }

    /// The text form with other names.
    pub fn named(name: impl Fn(Id) -> String + 'a) -> Self {
        Self { name: Box::new(name), machine: PhantomData }
    }

    fn name(&self, id: Id) -> String {
        (self.name)(id)
    }

    fn names(&self, ids: &BTreeSet<Id>) -> String {
        ids.iter().map(|id| self.name(*id)).collect::<Vec<_>>().join(" ")
    }

    /// The event of a step.
    pub fn event(&self, action: &ClusterAction) -> String {
        let who = self.name(action.who);
        match &action.event {
            Event::Deliver { src, msg } => self.sent(*src, &BTreeSet::from([action.who]), msg),
            Event::Timeout(timer) => format!("{who}: {timer:?} timeout"),
            Event::Choose { .. } => unreachable!("no process draws lots"),
            Event::Restart => format!("{who}: restart"),
        }
    }

    /// A step in lines: the event, and below it the change of the process and the messages that it sends.
    pub fn step(
        &self,
        cluster: &Cluster<S>,
        before: &ClusterState<S>,
        action: &ClusterAction,
        after: &ClusterState<S>,
    ) -> Vec<String> {
        let who = usize::from(action.who);
        let mut lines = vec![self.event(action)];
        let change = self.change(action.who, before.actor(who), after.actor(who));
        lines.push(change.unwrap_or_else(|| format!("{} stays as it is", self.name(action.who))));
        lines.extend(self.all_sent(action.who, &cluster.outputs(before, action)));
        lines
    }

    /// The messages among the outputs of a handler, a line for each with all its receivers.
    pub fn all_sent<A>(&self, who: Id, out: &Out<A>) -> Vec<String>
    where
        A: Actor<Msg = Message>,
    {
        let mut sent: Vec<(&Message, BTreeSet<Id>)> = Vec::new();
        for command in out.iter() {
            let Command::Send(to, msg) = command else { continue };
            match sent.last_mut() {
                Some((same, all)) if *same == msg => {
                    all.insert(*to);
                }
                _ => sent.push((msg, BTreeSet::from([*to]))),
            }
        }
        sent.iter().map(|(msg, to)| self.sent(who, to, msg)).collect()
    }

    /// A message as sent: `S0 → S1 S2: ...`.
    pub fn sent(&self, src: Id, dst: &BTreeSet<Id>, msg: &Message) -> String {
        format!("{} → {}: {}", self.name(src), self.names(dst), self.message(msg))
    }

    /// A message, without its sender and receivers.
    pub fn message(&self, msg: &Message) -> String {
        match msg {
            Message::RequestVote(args) => {
                let last = position(args.last_log_index, args.last_log_term);
                let wanted = if args.leadership_transfer { ", wanted" } else { "" };
                format!("RequestVote t{}, last entry {last}{wanted}", args.term)
            }
            Message::RequestVoteResponse(args) => {
                let vote = if args.vote_granted { "granted" } else { "refused" };
                format!("RequestVoteResponse t{}, {vote}", args.term)
            }
            Message::AppendEntries(args) => {
                let after = position(args.prev_log_index, args.prev_log_term);
                let indexes = (args.prev_log_index.0 + 1..).map(Index);
                let entries: Vec<_> = indexes
                    .zip(&args.entries)
                    .map(|(index, entry)| self.entry(index, entry))
                    .collect();
                let entries =
                    if entries.is_empty() { "nothing".to_owned() } else { entries.join(", ") };
                let (term, commit) = (args.term, args.leader_commit);
                let round = round(args.round);
                format!("AppendEntries t{term}, after {after}: {entries}; commit {commit}{round}")
            }
            Message::AppendEntriesResponse(args) => {
                let (term, round) = (args.term, round(args.round));
                format!("AppendEntriesResponse t{term}, {}{round}", outcome(args.outcome))
            }
            Message::InstallSnapshot(args) => {
                let last = position(args.last_included_index, args.last_included_term);
                let (term, from) = (args.term, args.offset);
                let to = from + args.data.len() as u64;
                let done = if args.done { ", done" } else { "" };
                format!("InstallSnapshot t{term}, up to {last}: bytes {from}..{to}{done}")
            }
            Message::InstallSnapshotResponse(args) => {
                let (term, index, offset) = (args.term, args.last_included_index, args.offset);
                format!("InstallSnapshotResponse t{term}, up to {index}: wants byte {offset}")
            }
            Message::PreVote(args) => {
                let last = position(args.last_log_index, args.last_log_term);
                format!("PreVote for t{}, last entry {last}", args.next_term)
            }
            Message::PreVoteResponse(args) => {
                let vote = if args.pre_vote_granted { "granted" } else { "refused" };
                format!("PreVoteResponse t{}, for t{} {vote}", args.term, args.next_term)
            }
            Message::ClientRequest(ClientRequest::Register { sequence }) => {
                format!("Register #{sequence}")
            }
            Message::ClientRequest(ClientRequest::Command { session, sequence, command }) => {
                format!("Command #{sequence} of session {session}: {}", S::describe(command))
            }
            Message::TimeoutNow(args) => {
                let last = position(args.last_log_index, args.last_log_term);
                format!("TimeoutNow t{}, last entry {last}", args.term)
            }
            Message::ClientRequest(ClientRequest::Transfer { sequence, to }) => {
                format!("Transfer #{sequence} to {}", self.name(*to))
            }
            Message::ClientRequest(ClientRequest::Read { sequence, query }) => {
                format!("Read #{sequence}: {}", S::describe(query))
            }
            Message::ClientResponse(response) => self.response(response),
        }
    }

    fn response(&self, response: &ClientResponse) -> String {
        match response {
            ClientResponse::Registered { sequence, session } => {
                format!("Registered #{sequence} as session {session}")
            }
            ClientResponse::Applied { sequence, response } => {
                format!("Applied #{sequence}: {}", S::describe_answer(response))
            }
            ClientResponse::Read { sequence, response } => {
                format!("Read #{sequence}: {}", S::describe_answer(response))
            }
            ClientResponse::Transfer { sequence, outcome } => {
                format!("Transfer #{sequence}: {}", transfer_text(*outcome))
            }
            ClientResponse::SessionExpired { sequence } => format!("SessionExpired #{sequence}"),
            ClientResponse::NotLeader { sequence, leader: None } => {
                format!("NotLeader #{sequence}")
            }
            ClientResponse::NotLeader { sequence, leader: Some(id) } => {
                format!("NotLeader #{sequence}, ask {}", self.name(*id))
            }
            ClientResponse::TooLarge { sequence, limit } => {
                format!("TooLarge #{sequence}, at most {limit} bytes")
            }
        }
    }

    fn entry(&self, index: Index, entry: &Entry) -> String {
        format!("{} {}", position(index, entry.term), self.payload(&entry.payload))
    }

    /// The content of an entry, without its position.
    pub fn payload(&self, payload: &Payload) -> String {
        match payload {
            Payload::Noop => "no-op".to_owned(),
            Payload::Register { client, .. } => format!("register {}", self.name(*client)),
            Payload::Command { session, sequence, command, .. } => {
                format!("{session}#{sequence} {}", S::describe(command))
            }
        }
    }

    /// The end of a command of a client.
    pub fn invocation(&self, invocation: &Invocation) -> String {
        outcome_text::<S>(invocation)
    }

    /// The change of one process in a line; `None` if it did not change.
    pub fn change(
        &self,
        who: Id,
        before: &ProcessState<S>,
        after: &ProcessState<S>,
    ) -> Option<String> {
        let mut parts = Vec::new();
        match (before, after) {
            (ProcessState::Server(before), ProcessState::Server(after)) => {
                parts = self.protocol_change(before, after);
                applied_change(before, after, &mut parts);
            }
            (ProcessState::Client(before), ProcessState::Client(after)) => {
                let commands = after.outcomes.iter().skip(before.outcomes.len());
                parts.extend(commands.map(invocation_text::<S>));
                finished(before, after, &mut parts);
            }
            _ => parts.push("changed its kind".to_owned()),
        }
        (!parts.is_empty()).then(|| format!("{}: {}", self.name(who), parts.join(", ")))
    }

    /// The change of a server, without the state machine and its sessions, which may be large.
    pub fn protocol_change(&self, before: &Server<S>, after: &Server<S>) -> Vec<String> {
        let mut parts = Vec::new();
        self.persistent_change(before, after, &mut parts);
        self.role_change(before, after, &mut parts);
        if before.commit_index != after.commit_index {
            parts.push(format!("commit {} ⇨ {}", before.commit_index, after.commit_index));
        }
        if before.incoming != after.incoming
            && let Some(incoming) = &after.incoming
        {
            let (index, bytes) = (incoming.snapshot.last_index, incoming.offset);
            parts.push(format!("has {bytes} bytes of the snapshot up to {index}"));
        }
        if after.last_applied != after.commit_index {
            parts.push(format!("HAS APPLIED ONLY {}", after.last_applied));
        }
        parts
    }

    fn persistent_change(&self, before: &Server<S>, after: &Server<S>, parts: &mut Vec<String>) {
        let (old, new) = (&before.persistent, &after.persistent);
        if old.current_term != new.current_term {
            parts.push(format!("t{} ⇨ t{}", old.current_term, new.current_term));
        }
        match new.voted_for {
            Some(id) if (old.current_term, old.voted_for) != (new.current_term, new.voted_for) => {
                parts.push(format!("votes for {}", self.name(id)));
            }
            None if old.current_term == new.current_term && old.voted_for.is_some() => {
                parts.push("FORGETS ITS VOTE".to_owned());
            }
            _ => {}
        }
        let (removed, added) = log_difference(&old.log, &new.log);
        if old.snapshot != new.snapshot {
            let last = position(new.snapshot.last_index, new.snapshot.last_term);
            parts.push(format!("has a snapshot up to {last}"));
        }
        if old.log.start() != new.log.start() {
            parts.push(format!("its log begins after {}", new.log.start()));
        }
        let list = |entries: Entries| {
            let texts = entries.iter().map(|(index, entry)| self.entry(*index, entry));
            texts.collect::<Vec<_>>().join(" + ")
        };
        if !removed.is_empty() {
            parts.push(format!("deletes {}", list(removed)));
        }
        if !added.is_empty() {
            parts.push(format!("appends {}", list(added)));
        }
    }

    fn role_change(&self, before: &Server<S>, after: &Server<S>, parts: &mut Vec<String>) {
        let (old, new) = (role_name(&before.role), role_name(&after.role));
        if old != new {
            parts.push(format!("{old} ⇨ {new}"));
        }
        if before.role == after.role {
            return;
        }
        match &after.role {
            Role::Follower { leader: Some(id), is_sticky } => parts.push(if *is_sticky {
                format!("follows {}, sticky", self.name(*id))
            } else if before.follows(*id) {
                "no longer sticky".to_owned()
            } else {
                format!("follows {}", self.name(*id))
            }),
            Role::Follower { leader: None, .. } => {}
            Role::PreCandidate { pre_votes_granted } => {
                parts.push(format!("has the pre-votes of {}", self.names(pre_votes_granted)));
            }
            Role::Candidate { votes_granted } => {
                parts.push(format!("has the votes of {}", self.names(votes_granted)));
            }
            Role::Leader(after) => {
                self.sending_change(before, after, parts);
                self.reads_change(before, after, parts);
                self.transfer_change(before, after, parts);
                self.indexes_change("next", before, after, |it| it.next_index, parts);
                self.indexes_change("match", before, after, |it| it.match_index, parts);
            }
            Role::Halted(disagreement) => {
                let (leader, index) = (self.name(disagreement.leader), disagreement.index);
                parts.push(format!("refuses what {leader} has at {index}"));
            }
        }
    }

    fn transfer_change(&self, before: &Server<S>, after: &Leader<S>, parts: &mut Vec<String>) {
        let old = before.leader().and_then(|leader| leader.transfer);
        match (old, after.transfer) {
            (None, Some(Transfer { to, .. })) => {
                parts.push(format!("hands over to {}", self.name(to)));
            }
            (Some(_), None) => parts.push("gives the transfer up".to_owned()),
            _ => {}
        }
    }

    fn reads_change(&self, before: &Server<S>, after: &Leader<S>, parts: &mut Vec<String>) {
        let old = before.leader().map_or(&[][..], |leader| &leader.reads[..]);
        for read in after.reads.iter().filter(|read| !old.contains(read)) {
            let (client, sequence) = (self.name(read.client), read.sequence);
            let (round, index) = (read.round, read.index);
            parts.push(format!(
                "read #{sequence} of {client} waits for round {round} and entry {index}"
            ));
        }
    }

    fn sending_change(&self, before: &Server<S>, after: &Leader<S>, parts: &mut Vec<String>) {
        let old = |id| before.leader().and_then(|it| it.followers.get(id)?.sending.as_ref());
        for (id, progress) in &after.followers {
            let index = |it: &Sending<S>| it.snapshot.last_index;
            if let Some(sending) = &progress.sending
                && old(id).map(index) != Some(index(sending))
            {
                let last = index(sending);
                parts.push(format!("sends {} the snapshot up to {last}", self.name(*id)));
            }
        }
    }

    fn indexes_change(
        &self,
        name: &str,
        before: &Server<S>,
        after: &Leader<S>,
        index: fn(&Progress<S>) -> Index,
        parts: &mut Vec<String>,
    ) {
        let old = |id| before.leader().and_then(|it| it.followers.get(id)).map(index);
        let new = after.followers.iter().map(|(id, progress)| (id, index(progress)));
        let changed = new.filter(|(id, index)| old(id) != Some(*index));
        let pairs: Vec<_> =
            changed.map(|(id, index)| format!("{}={index}", self.name(*id))).collect();
        if !pairs.is_empty() {
            parts.push(format!("{name} {}", pairs.join(" ")));
        }
    }

    /// The logs of all servers as the paper draws them. A number is the term of an entry; `|` follows the
    /// last entry that the server knows to be committed. A `·` stands for an entry that has made way for a
    /// snapshot.
    pub fn logs(&self, state: &ClusterState<S>) -> Vec<String> {
        let servers = (0..state.view().len()).filter_map(|index| {
            let server = state.actor(index).server()?;
            let name = self.name(Id::from(index));
            let terms = server.persistent.log.iter().map(|(index, entry)| {
                let mark = if index == server.commit_index { "|" } else { " " };
                format!("{}{mark}", entry.term)
            });
            let dropped =
                "· ".repeat(usize::try_from(server.persistent.log.start().0).unwrap_or(0));
            let terms = dropped + &terms.collect::<String>();
            let (term, role) = (server.persistent.current_term, role_name(&server.role));
            Some(format!("{name} t{term} {role:<9}  {terms}").trim_end().to_owned())
        });
        servers.collect()
    }
}

/// Entries with their indexes.
type Entries = Vec<(Index, Entry)>;

/// The entries of both logs from the first difference on: those that went and those that came.
fn log_difference(old: &Log, new: &Log) -> (Entries, Entries) {
    let start = old.start().max(new.start());
    let behind = |log: &Log| {
        let entries = log.iter().filter(|(index, _)| *index > start);
        entries.map(|(index, entry)| (index, entry.clone())).collect::<Entries>()
    };
    let (old, new) = (behind(old), behind(new));
    let common = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    (old[common..].to_vec(), new[common..].to_vec())
}

fn applied_change<S: PartialEq + fmt::Debug>(
    before: &Server<S>,
    after: &Server<S>,
    parts: &mut Vec<String>,
) {
    if before.machine != after.machine {
        parts.push(format!("{:?}", after.machine));
    }
    let ids = |server: &Server<S>| format!("{:?}", server.sessions);
    if ids(before) != ids(after) {
        parts.push(ids(after));
    }
}

/// Notes that a client has finished its last command.
fn finished(before: &ClientState, after: &ClientState, parts: &mut Vec<String>) {
    if before.session.operation().is_some() && after.session.operation().is_none() {
        parts.push("is done".to_owned());
    }
}

fn position(index: Index, term: Term) -> String {
    if index == Index(0) { "0".to_owned() } else { format!("{index}@t{term}") }
}

/// The round of a leader that has had a read.
fn round(round: u64) -> String {
    if round == 0 { String::new() } else { format!(", round {round}") }
}

fn outcome(outcome: Outcome) -> String {
    match outcome {
        Outcome::Match(index) => format!("match up to {index}"),
        Outcome::Conflict { prev_log_index, term: Some(term), index } => {
            format!("no match at {prev_log_index}: t{term} from {index} on")
        }
        Outcome::Conflict { prev_log_index, term: None, index } => {
            format!("no match at {prev_log_index}: nothing from {index} on")
        }
        Outcome::StaleTerm => "stale term".to_owned(),
    }
}

fn invocation_text<S: StateMachine>(invocation: &Invocation) -> String {
    format!("learns `{}`", outcome_text::<S>(invocation))
}

/// The end of a command of a client.
fn outcome_text<S: StateMachine>(invocation: &Invocation) -> String {
    match invocation {
        Invocation::Applied(response) => S::describe_answer(response),
        Invocation::Unknown => "outcome unknown".to_owned(),
        Invocation::TooLarge(limit) => format!("too large, at most {limit} bytes"),
        Invocation::Transfer(outcome) => transfer_text(*outcome).to_owned(),
    }
}

/// The end of a transfer in words.
pub fn transfer_text(outcome: TransferOutcome) -> &'static str {
    match outcome {
        TransferOutcome::Leads => "it leads",
        TransferOutcome::TimedOut => "given up",
        TransferOutcome::NoMember => "no such server",
    }
}

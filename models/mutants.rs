//! Seeded bugs: does the checker bite?
//!
//! A mutant is a wrapper around the actor. It changes a message before the actor sees it, or edits
//! the state and the outputs after the actor has run; the protocol itself contains no `if mutant`.
//! Each is a bug that a real system had.

use super::catalogue::{COMMITTED_PREFIX, FIGURE_8_PREFIX};
use super::ghost::Watch;
use super::spec::Spec;
use crate::kv::{Command as KvCommand, Kv};
use crate::raft::{
    AppendEntries, Index, Message, Outcome, Persistent, Raft, RequestVote, RequestVoteResponse,
    Role, Server, Timer,
};
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;

/// One row of the list of mutants.
pub struct MutantSpec {
    /// Its name on the command line.
    pub name: &'static str,
    /// The rule it breaks, by its id.
    pub breaks: &'static str,
    /// The property that must catch it.
    pub caught_by: &'static str,
    /// Where the bug was seen, as `repository#number`.
    pub seen_in: &'static str,
    /// What goes wrong, in a sentence.
    pub about: &'static str,
    /// A small model in which it shows.
    pub spec: Spec,
    /// The bug.
    pub fault: Fault,
}

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `voted_for` is not among what is saved.
    VoteNotPersisted,
    /// A leader commits an entry of an older term because a majority has it.
    CommitOlderTerm,
    /// A follower cuts its log behind the entries of any AppendEntries, conflict or not.
    TruncateAlways,
    /// A follower takes over `leader_commit` as it is.
    CommitUnclamped,
    /// A vote granted in an earlier term counts in this one.
    CountStaleVote,
    /// A vote is granted without comparing the logs.
    VoteForStaleLog,
}

/// A server with a seeded bug.
pub struct Mutant {
    raft: Raft<Kv>,
    fault: Fault,
}

type Commands = Vec<Command<Message, Timer, (), Persistent>>;

/// The mutants, each with a small model that shows it.
pub fn catalogue() -> Vec<MutantSpec> {
    let election = Watch { leaders: true, ..Watch::default() };
    let commits = Watch { leaders: true, committed: true, ..Watch::default() };
    let put = KvCommand::Put("x".into(), "1".into());
    vec![
        MutantSpec {
            name: "vote-not-persisted",
            breaks: "STORE",
            caught_by: "Election Safety",
            seen_in: "NodeDB-Lab/nodedb#161",
            about: "A server that restarts has forgotten its vote and votes again in the same term.",
            spec: Spec {
                watch: election,
                restarts: true,
                ..Spec::base("mutant-election", "three servers, one term, restarts")
            },
            fault: Fault::VoteNotPersisted,
        },
        MutantSpec {
            name: "count-stale-vote",
            breaks: "CAN-2",
            caught_by: "Election Safety",
            seen_in: "eatonphil/raft-rs#3",
            about: "A candidate counts a vote it was granted in an earlier term.",
            spec: Spec {
                watch: election,
                max_term: 2,
                max_received: Some(0),
                ..Spec::base("mutant-elections", "three servers, two terms")
            },
            fault: Fault::CountStaleVote,
        },
        MutantSpec {
            name: "vote-for-stale-log",
            breaks: "RV-2",
            caught_by: "Leader Completeness",
            seen_in: "databendlabs/openraft#1220",
            about: "A candidate whose log lacks a committed entry is voted for and elected.",
            spec: Spec {
                watch: commits,
                max_term: 2,
                prefix: COMMITTED_PREFIX,
                ..Spec::base("mutant-leader-change", "three servers, two terms, from a prefix")
            },
            fault: Fault::VoteForStaleLog,
        },
        MutantSpec {
            name: "commit-older-term",
            breaks: "LDR-4",
            caught_by: "Leader Completeness",
            seen_in: "logcabin/logcabin#44",
            about: "Figure 8: an entry of an older term, committed by counting, is overwritten.",
            spec: Spec {
                watch: commits,
                max_term: 4,
                prefix: FIGURE_8_PREFIX,
                ..Spec::base("mutant-figure-8", "three servers, four terms, from a scripted prefix")
            },
            fault: Fault::CommitOlderTerm,
        },
        MutantSpec {
            name: "truncate-always",
            breaks: "AE-3",
            caught_by: "Committed is durable",
            seen_in: "microsoft/CCF#5991",
            about: "A late, short AppendEntries cuts acknowledged entries off.",
            spec: Spec {
                watch: commits,
                servers: 2,
                clients: vec![vec![put.clone()]],
                max_client_entries: 1,
                ..Spec::base("mutant-stale-append", "two servers, one term, one entry of a client")
            },
            fault: Fault::TruncateAlways,
        },
        MutantSpec {
            name: "commit-unclamped",
            breaks: "AE-5",
            caught_by: "Indexes are ordered",
            seen_in: "camunda/camunda#30354",
            about: "A follower believes committed what it does not have.",
            spec: Spec {
                watch: commits,
                clients: vec![vec![put]],
                max_client_entries: 1,
                ..Spec::base("mutant-commit", "three servers, one term, one entry of a client")
            },
            fault: Fault::CommitUnclamped,
        },
    ]
}

/// The mutant of that name.
pub fn find(name: &str) -> Option<MutantSpec> {
    catalogue().into_iter().find(|mutant| mutant.name == name)
}

impl Mutant {
    /// Seeds a bug into a server.
    pub fn new(raft: Raft<Kv>, fault: Fault) -> Self {
        Self { raft, fault }
    }

    /// The message as the actor is made to see it.
    fn before(&self, server: &Server<Kv>, msg: Message) -> Message {
        match (self.fault, msg) {
            (Fault::CountStaleVote, Message::RequestVoteResponse(response))
                if response.vote_granted && matches!(server.role, Role::Candidate { .. }) =>
            {
                let term = server.persistent.current_term.max(response.term);
                Message::RequestVoteResponse(RequestVoteResponse { term, vote_granted: true })
            }
            (Fault::VoteForStaleLog, Message::RequestVote(args)) => {
                let own = server.persistent.log.last();
                let (last_log_term, last_log_index) =
                    own.max((args.last_log_term, args.last_log_index));
                Message::RequestVote(RequestVote { last_log_index, last_log_term, ..args })
            }
            (_, msg) => msg,
        }
    }

    /// The state after the actor has run, edited.
    fn after(&self, server: &mut Server<Kv>, msg: Option<&Message>, commands: &Commands) {
        match (self.fault, msg) {
            (Fault::CommitOlderTerm, _) => {
                commit_by_counting(server, self.raft.config().majority());
            }
            (Fault::TruncateAlways, Some(Message::AppendEntries(args))) => {
                if let Some(last_new) = accepted(args, commands) {
                    let log = server.persistent.log.iter();
                    let kept = log.take_while(|(index, _)| *index <= last_new);
                    server.persistent.log = kept.map(|(_, entry)| entry.clone()).collect();
                }
            }
            (Fault::CommitUnclamped, Some(Message::AppendEntries(args)))
                if accepted(args, commands).is_some() =>
            {
                server.commit_index = server.commit_index.max(args.leader_commit);
            }
            _ => {}
        }
    }

    /// Runs a handler of the actor and edits what comes of it.
    fn run(
        &self,
        state: &mut Cow<'_, Server<Kv>>,
        o: &mut Out<Self>,
        msg: Option<&Message>,
        handler: impl FnOnce(&mut Cow<'_, Server<Kv>>, &mut Out<Raft<Kv>>),
    ) {
        let mut out = Out::new();
        handler(state, &mut out);
        let mut commands: Commands = out.into_iter().collect();
        let mut server = Server::clone(state);
        self.after(&mut server, msg, &commands);
        if server.persistent != state.persistent {
            commands.retain(|command| !matches!(command, Command::Save(_)));
            commands.insert(0, Command::Save(server.persistent.clone()));
        }
        if server != **state {
            *state = Cow::Owned(server);
        }
        if self.fault == Fault::VoteNotPersisted {
            for command in &mut commands {
                if let Command::Save(persistent) = command {
                    persistent.voted_for = None;
                }
            }
        }
        o.append(&mut commands.into_iter().collect::<Out<Self>>());
    }
}

/// The index of the last new entry, if the follower has just accepted these AppendEntries.
fn accepted(args: &AppendEntries, commands: &Commands) -> Option<Index> {
    let last_new = Index(args.prev_log_index.0 + args.entries.len() as u64);
    let accepted = commands.iter().any(|command| match command {
        Command::Send(_, Message::AppendEntriesResponse(response)) => {
            response.outcome == Outcome::Match(last_new)
        }
        _ => false,
    });
    accepted.then_some(last_new)
}

/// [`Raft`] asks for an entry of the current term here.
fn commit_by_counting(server: &mut Server<Kv>, majority: usize) {
    let Role::Leader { match_index, .. } = &server.role else { return };
    let mut matched: Vec<Index> = match_index.values().copied().collect();
    matched.push(server.persistent.log.last_index());
    matched.sort_unstable_by(|a, b| b.cmp(a));
    server.commit_index = server.commit_index.max(matched[majority - 1]);
}

impl Actor for Mutant {
    type Msg = Message;
    type Timer = Timer;
    type State = Server<Kv>;
    type Storage = Persistent;
    type Random = ();

    fn on_start(&self, id: Id, storage: &Option<Persistent>, o: &mut Out<Self>) -> Server<Kv> {
        let mut out = Out::<Raft<Kv>>::new();
        let server = self.raft.on_start(id, storage, &mut out);
        o.append(&mut out);
        server
    }

    fn on_msg(
        &self,
        id: Id,
        state: &mut Cow<'_, Server<Kv>>,
        src: Id,
        msg: Message,
        o: &mut Out<Self>,
    ) {
        let msg = self.before(state, msg);
        self.run(state, o, Some(&msg.clone()), |state, out| {
            self.raft.on_msg(id, state, src, msg, out);
        });
    }

    fn on_timeout(
        &self,
        id: Id,
        state: &mut Cow<'_, Server<Kv>>,
        timer: &Timer,
        o: &mut Out<Self>,
    ) {
        self.run(state, o, None, |state, out| self.raft.on_timeout(id, state, timer, out));
    }
}

//! The properties of the models, judged on what running servers were seen to do.
//!
//! [`Observed`] takes the handler calls of several servers, as a replay of their traces gives them. It
//! judges each call by the functions that judge the steps of a model, and counts how often it has judged.
//! Traces have no clocks, so the order of two calls of different servers is often unknown. [`Observed`]
//! asks only what no such order can change: properties of one server's calls and states, and *historic*
//! ones about all that was ever seen. Properties that compare two servers at one moment are left out:
//! [`Observed::new`] lists all that are asked.
//!
//! What was seen is not all that there is. A verdict is about the calls that were judged, and about no
//! others.

use super::ghost::{Ghost, Watch};
use super::process::{Process, ProcessState, ProcessTimer};
use super::properties as p;
use crate::raft::{Message, Parameters, Persistent, Server, Timer};
use crate::state_machine::StateMachine;
use actorcheck::{Change, Event, Local, Output};
use stateright::actor::{Command, Id, RandomChoices, Timers};
use std::collections::{BTreeMap, BTreeSet};

/// The most terms of which leaders are remembered.
const MOST_TERMS: usize = 1024;
/// The most votes that are remembered.
const MOST_VOTES: usize = 4096;
/// The most committed entries that are remembered: the latest.
const MOST_COMMITTED: usize = 4096;
/// The most servers whose logs [`Observed::compare_logs`] compares with all others at a time.
const MOST_COMPARED: usize = 8;

/// A handler call of a server.
pub struct Call<S: StateMachine> {
    /// The event that the server handled.
    pub event: CallEvent<S>,
    /// The state after the call.
    pub after: Server<S>,
    /// The commands of the call, in order.
    pub out: Vec<Command<Message, Timer, (), Persistent<S>>>,
}

/// The event of a handler call.
pub enum CallEvent<S: StateMachine> {
    /// The server starts with what its store holds.
    Start(Option<Persistent<S>>),
    /// A message arrives from this sender.
    Deliver(Id, Message),
    /// This timer fires.
    Timeout(Timer),
}

/// A property, how often it was judged, and where it was broken first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The name under which the models report the property.
    pub name: &'static str,
    /// What was judged: `calls`, `states`, `pairs of logs`, or `elections and commits`.
    pub of: &'static str,
    /// How often the property was judged.
    pub judged: u64,
    /// The first time that the property did not hold.
    pub broken: Option<Broken>,
}

/// Where a property was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The server whose call broke the property.
    pub server: Id,
    /// The line of the call in the trace of the server.
    pub line: u64,
}

type OfActor<S> = fn(Id, p::ClusterLocal<'_, S>) -> bool;
type OfChange<S> = fn(&p::ClusterChange<'_, S>) -> bool;
type OfOutput<S> = fn(&p::ClusterOutput<'_, S>, &Parameters) -> bool;

/// The function that judges a property.
enum Judge<S: StateMachine> {
    State(OfActor<S>),
    Timers,
    Change(OfChange<S>),
    Output(OfOutput<S>),
    /// These are judged where history grows.
    ElectionSafety,
    OneVotePerTerm,
    LogMatching,
    LeaderCompleteness,
    StateMachineSafety,
}

/// A server as it was seen last.
struct Seen<S: StateMachine> {
    state: ProcessState<S>,
    timers: Timers<ProcessTimer>,
    storage: Option<Persistent<S>>,
    line: u64,
}

/// A step of a server, from one state in which it was seen to the next.
struct Step<'a, S: StateMachine> {
    who: Id,
    event: &'a Event<Message, ProcessTimer, ()>,
    /// `None` if the server was not seen before.
    before: Option<&'a Seen<S>>,
    after: &'a Seen<S>,
    out: &'a [Command<Message, ProcessTimer, (), Persistent<S>>],
}

/// All that was seen of some servers, and the verdicts on it.
pub struct Observed<S: StateMachine> {
    servers: BTreeMap<Id, Seen<S>>,
    ghost: Ghost,
    judges: Vec<(Judge<S>, Tally)>,
    /// The servers whose logs have changed since they were compared.
    changed: BTreeSet<Id>,
}

impl<S: StateMachine> Default for Observed<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: StateMachine> Observed<S> {
    /// Nothing was seen yet.
    pub fn new() -> Self {
        let historic = [
            ("Election Safety", "elections", Judge::ElectionSafety),
            ("Log Matching", "pairs of logs", Judge::LogMatching),
            ("Leader Completeness", "elections and commits", Judge::LeaderCompleteness),
            ("State Machine Safety", "commits", Judge::StateMachineSafety),
            ("One vote per term", "votes", Judge::OneVotePerTerm),
        ];
        let states: [(&str, OfActor<S>); 7] = [
            ("Memory equals storage", p::memory_equals_storage),
            ("Logs are well-formed", p::logs_are_well_formed),
            ("Indexes are ordered", p::indexes_are_ordered),
            ("Committed is applied", p::committed_is_applied),
            ("Match index below next index", p::match_index_below_next_index),
            ("No committed entry is contested", p::no_committed_entry_is_contested),
            ("Snapshots join logs", p::snapshots_join_logs),
        ];
        let changes: [(&str, OfChange<S>); 10] = [
            ("Leader Append-Only", p::leader_append_only),
            ("Durable vote is kept", p::durable_vote_is_kept),
            ("Durable term is monotone", p::durable_term_is_monotone),
            ("Committed is kept", p::committed_is_kept),
            ("Commit index is monotone", p::commit_index_is_monotone),
            ("Match index is monotone", p::match_index_is_monotone),
            ("Commits only its own term", p::commits_only_its_own_term),
            ("Snapshots are monotone", p::snapshots_are_monotone),
            ("The store restores what is saved", p::the_store_restores_what_is_saved),
            ("Exactly once", p::exactly_once),
        ];
        let outputs: [(&str, OfOutput<S>); 14] = [
            ("Terms begin with elections", |it, _| p::terms_begin_with_elections(it)),
            ("Acknowledged is what was sent", |it, _| p::acknowledged_is_what_was_sent(it)),
            ("Saved before sent", |it, _| p::saved_before_sent(it)),
            ("Sends only what is durable", |it, _| p::sends_only_what_is_durable(it)),
            ("Messages are within limits", p::messages_are_within_limits),
            ("Election timer is restarted by rule", p::election_timer_is_restarted_by_rule),
            ("Votes follow requests", p::votes_follow_requests),
            ("Elections follow pre-votes", |step, parameters| {
                !parameters.pre_vote || p::elections_follow_pre_votes(step, parameters)
            }),
            ("Leaders in touch stay", |step, parameters| {
                !parameters.stickiness || p::leaders_in_touch_stay(step, parameters)
            }),
            ("Leaders hear a majority", |step, parameters| {
                !parameters.check_quorum || p::leaders_hear_a_majority(step)
            }),
            ("Leadership moves by rule", |it, _| p::leadership_moves_by_rule(it)),
            ("Requests are appended or refused", p::requests_are_appended_or_refused),
            ("Clients are told what was applied", |it, _| p::clients_are_told_what_was_applied(it)),
            ("Reads wait for a round", |it, _| p::reads_wait_for_a_round(it)),
        ];
        let states = states.map(|(name, holds)| (name, "states", Judge::State(holds)));
        let timers = [("Timers suit the role", "states", Judge::Timers)];
        let changes = changes.map(|(name, holds)| (name, "calls", Judge::Change(holds)));
        let outputs = outputs.map(|(name, holds)| (name, "calls", Judge::Output(holds)));
        let rows = historic.into_iter().chain(states).chain(timers).chain(changes).chain(outputs);
        let judges =
            rows.map(|(name, of, judge)| (judge, Tally { name, of, judged: 0, broken: None }));
        Self {
            servers: BTreeMap::new(),
            ghost: Ghost::default(),
            judges: judges.collect(),
            changed: BTreeSet::new(),
        }
    }

    /// The properties that are asked, with their verdicts so far.
    pub fn tallies(&self) -> impl Iterator<Item = &Tally> {
        self.judges.iter().map(|(_, tally)| tally)
    }

    /// Judges the next call of a server, which stands in this line of the server's trace. The calls of one
    /// server come in their order. A call that the server's store has lost must not come at all.
    pub fn take(&mut self, who: Id, line: u64, call: Call<S>, parameters: &Parameters) {
        let before = self.servers.remove(&who);
        let known = || before.as_ref().map(|it| (it.timers.clone(), it.storage.clone()));
        let (event, (mut timers, mut storage)) = match call.event {
            CallEvent::Start(found) => (Event::Restart, (Timers::new(), found)),
            CallEvent::Deliver(src, msg) => {
                (Event::Deliver { src, msg }, known().unwrap_or_default())
            }
            CallEvent::Timeout(timer) => {
                (Event::Timeout(timer.into()), known().unwrap_or_default())
            }
        };
        if let Event::Timeout(timer) = &event {
            timers.cancel(timer);
        }
        let out: Vec<_> = call.out.into_iter().map(of_process).collect();
        for command in &out {
            match command {
                Command::Save(value) => storage = Some(value.clone()),
                Command::SetTimer(timer, _) => drop(timers.set(*timer)),
                Command::CancelTimer(timer) => drop(timers.cancel(timer)),
                Command::Send(..) | Command::ChooseRandom(..) => {}
            }
        }
        let after = Seen { state: ProcessState::Server(call.after), timers, storage, line };
        let step = Step { who, event: &event, before: before.as_ref(), after: &after, out: &out };
        self.judge_step(&step, parameters);
        self.judge_history(&step);
        self.servers.insert(who, after);
    }

    /// Compares the logs that have changed with all other logs, at most a few at a time.
    pub fn compare_logs(&mut self) {
        for _ in 0..MOST_COMPARED {
            let Some(who) = self.changed.pop_first() else { return };
            let Some(changed) = self.servers.get(&who) else { continue };
            for (other, seen) in self.servers.iter().filter(|(other, _)| **other != who) {
                let (a, b) = ((who, changed), (*other, seen));
                let holds = [(a, b), (b, a)].into_iter().all(|(a, b)| {
                    with_local(a.1, |of_a| {
                        with_local(b.1, |of_b| p::log_matching((a.0, of_a), (b.0, of_b)))
                    })
                });
                let tally = tally(&mut self.judges, |judge| matches!(judge, Judge::LogMatching));
                tally.judge(holds, who, changed.line);
            }
        }
    }

    /// Judges the properties of one server.
    fn judge_step(&mut self, step: &Step<'_, S>, parameters: &Parameters) {
        let (who, line, check_quorum) = (step.who, step.after.line, parameters.check_quorum);
        for (judge, tally) in &mut self.judges {
            let holds = match judge {
                Judge::State(holds) => Some(with_local(step.after, |it| holds(who, it))),
                Judge::Timers => {
                    Some(with_local(step.after, |it| p::timers_suit_the_role(it, check_quorum)))
                }
                Judge::Change(holds) => step.change(holds),
                Judge::Output(holds) => step.output(|output| holds(output, parameters)),
                _ => None,
            };
            if let Some(holds) = holds {
                tally.judge(holds, who, line);
            }
        }
    }

    /// Adds a step to the history, and judges what the step has added.
    fn judge_history(&mut self, step: &Step<'_, S>) {
        let Some(after) = step.after.state.server() else { return };
        let before = step.before.and_then(|before| before.state.server());
        let (old, new) = (before.map(|it| &it.persistent), &after.persistent);
        if before.is_none_or(|before| before.persistent.log.last() != new.log.last()) {
            self.changed.insert(step.who);
        }
        let watch = Watch { leaders: true, votes: true, committed: true, history: false };
        let ghost = &mut self.ghost;
        step.change(|change| {
            ghost.observe(watch, change);
            true
        });
        let has_voted = new.voted_for.is_some()
            && old.map(|old| (old.current_term, old.voted_for))
                != Some((new.current_term, new.voted_for));
        let leads_anew = after.is_leader()
            && !before.is_some_and(|before| {
                before.is_leader() && before.persistent.current_term == new.current_term
            });
        let commits = before.is_some_and(|before| before.commit_index < after.commit_index);
        if has_voted {
            self.judge_one(step, &Judge::OneVotePerTerm, p::one_vote_per_term(&self.ghost));
        }
        if leads_anew {
            self.judge_one(step, &Judge::ElectionSafety, p::election_safety(&self.ghost));
            let holds = self.is_complete(step.who, step.after);
            self.judge_one(step, &Judge::LeaderCompleteness, holds);
        }
        if commits {
            let ghost = &self.ghost;
            if let Some(holds) = step.change(|change| p::state_machine_safety(change, ghost)) {
                self.judge_one(step, &Judge::StateMachineSafety, holds);
            }
            let leaders = self.servers.iter().filter(|(_, it)| it.leads_after(new.current_term));
            let verdicts: Vec<_> = leaders.map(|(who, it)| self.is_complete(*who, it)).collect();
            for holds in verdicts {
                self.judge_one(step, &Judge::LeaderCompleteness, holds);
            }
        }
        self.forget();
    }

    fn judge_one(&mut self, step: &Step<'_, S>, wanted: &Judge<S>, holds: bool) {
        let kind = std::mem::discriminant(wanted);
        let tally = tally(&mut self.judges, |judge| std::mem::discriminant(judge) == kind);
        tally.judge(holds, step.who, step.after.line);
    }

    /// Whether a server that leads has all entries that were committed in earlier terms, as far as they were
    /// seen. Entries of the leader's own term may have been committed after it was in this state.
    fn is_complete(&self, who: Id, leader: &Seen<S>) -> bool {
        let term = leader.state.server().map(|server| server.persistent.current_term);
        let committed = self.ghost.committed.iter();
        let committed = committed.filter(|(_, (_, committed_in))| Some(*committed_in) < term);
        let committed = committed.map(|(index, it)| (*index, it.clone())).collect();
        let earlier = Ghost { committed, ..Ghost::default() };
        with_local(leader, |local| p::leader_completeness(who, local, &earlier))
    }

    /// Forgets the oldest history, so that memory stays bounded.
    fn forget(&mut self) {
        let Ghost { leaders, votes, committed, .. } = &mut self.ghost;
        while leaders.len() > MOST_TERMS {
            leaders.pop_first();
        }
        while votes.len() > MOST_VOTES {
            votes.pop_first();
        }
        while committed.len() > MOST_COMMITTED {
            committed.pop_first();
        }
    }
}

impl<S: StateMachine> Seen<S> {
    /// Whether the server leads a later term than this one.
    fn leads_after(&self, term: crate::raft::Term) -> bool {
        let server = self.state.server();
        server.is_some_and(|it| it.is_leader() && it.persistent.current_term > term)
    }
}

impl<S: StateMachine> Step<'_, S> {
    /// Judges the step as a change; `None` if the server was not seen before.
    fn change(&self, judge: impl FnOnce(&p::ClusterChange<'_, S>) -> bool) -> Option<bool> {
        let (who, restart) = (self.who, *self.event == Event::Restart);
        self.before.map(|before| {
            with_local(before, |before| {
                with_local(self.after, |after| judge(&Change { who, restart, before, after }))
            })
        })
    }

    /// Judges the step as a handler call; `None` if the server was not seen before.
    fn output(&self, judge: impl FnOnce(&p::ClusterOutput<'_, S>) -> bool) -> Option<bool> {
        let (who, event, out) = (self.who, self.event, self.out);
        self.before.map(|before| {
            with_local(before, |before| {
                with_local(self.after, |after| judge(&Output { who, event, before, after, out }))
            })
        })
    }
}

impl Tally {
    fn judge(&mut self, holds: bool, server: Id, line: u64) {
        self.judged += 1;
        if !holds && self.broken.is_none() {
            self.broken = Some(Broken { server, line });
        }
    }
}

/// The tally of the property whose judge is this one.
fn tally<S: StateMachine>(
    judges: &mut [(Judge<S>, Tally)],
    is_it: impl Fn(&Judge<S>) -> bool,
) -> &mut Tally {
    let found = judges.iter_mut().find(|(judge, _)| is_it(judge));
    &mut found.expect("each judge has a row in `Observed::new`").1
}

/// Lends a server as a process of a model. No server draws lots.
fn with_local<S: StateMachine, T>(
    seen: &Seen<S>,
    judge: impl FnOnce(Local<'_, Process<S>>) -> T,
) -> T {
    let randoms = RandomChoices::default();
    let Seen { state, timers, storage, .. } = seen;
    judge(Local { state, timers, randoms: &randoms, storage: storage.as_ref() })
}

/// A command of a server, as a command of the process that runs it.
fn of_process<S>(
    command: Command<Message, Timer, (), Persistent<S>>,
) -> Command<Message, ProcessTimer, (), Persistent<S>> {
    match command {
        Command::Send(to, msg) => Command::Send(to, msg),
        Command::Save(storage) => Command::Save(storage),
        Command::SetTimer(timer, range) => Command::SetTimer(timer.into(), range),
        Command::CancelTimer(timer) => Command::CancelTimer(timer.into()),
        Command::ChooseRandom(key, choices) => Command::ChooseRandom(key, choices),
    }
}

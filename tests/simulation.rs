//! Random schedules, far deeper than any exhaustive search goes: five servers, clients with commands, reads and
//! transfers, snapshots, all ways of elections, restarts, loss, duplicates, reordering and partitions. Every property of states and steps is judged after every step;
//! recoverability is not asked.
//!
//! A schedule is a list of choices, each with a number that says which of the possible actions is
//! meant. The weights make runs get somewhere: `the_schedules_get_somewhere` counts that they do.
//!
//! What a failing schedule *did* is shrunk, not the schedule: leaving a choice out changes what the
//! numbers after it mean, leaving an action out does not change the others. What is left is printed
//! step by step; no step of it can be left out.

use actorcheck::{Action, Event, EventOf, diagram};
use bytes::Bytes;
use checked_raft::kv::Command as KvCommand;
use checked_raft::models::ghost::Watch;
use checked_raft::models::process::{Process, ProcessTimer};
use checked_raft::models::{Cluster, ClusterAction, ClusterState, Elections, Spec};
use checked_raft::raft::{Index, Invocation, Message, Operation, Payload, Timer, TransferOutcome};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use stateright::actor::{Command, Id};
use std::fmt::Write;

const SERVERS: usize = 5;

/// One choice of a schedule. A number picks, modulo how many there are.
#[derive(Clone, Copy, Debug)]
enum Choice {
    /// A message that the schedule has not delivered yet arrives, more often an old one than a new
    /// one: with all alike nothing but stale messages would arrive in the end.
    Deliver(u16),
    /// Any message ever sent arrives (again).
    Redeliver(u16),
    /// The schedule never delivers a message; it may still be redelivered.
    Lose(u16),
    /// A follower or candidate times out.
    Election(u16),
    /// A follower has not heard its leader lately.
    Stickiness(u16),
    /// A leader gives a transfer up.
    Transfer(u16),
    /// A leader sends heartbeats.
    Heartbeat(u16),
    /// A client asks again.
    Retry(u16),
    /// A server restarts.
    Restart(u16),
    /// The network splits: bit n says on which side server n is. Clients reach both.
    Split(u8),
    /// The network is whole again.
    Heal,
}

/// Everything random about a run.
#[derive(Clone, Debug)]
struct Schedule {
    max_entries: usize,
    max_sessions: u32,
    snapshot_after: Option<u64>,
    elections: Elections,
    clients: Vec<Vec<Operation>>,
    choices: Vec<Choice>,
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        200 => any::<u16>().prop_map(Choice::Deliver),
        10 => any::<u16>().prop_map(Choice::Redeliver),
        4 => any::<u16>().prop_map(Choice::Lose),
        3 => any::<u16>().prop_map(Choice::Election),
        6 => any::<u16>().prop_map(Choice::Stickiness),
        1 => any::<u16>().prop_map(Choice::Transfer),
        12 => any::<u16>().prop_map(Choice::Heartbeat),
        6 => any::<u16>().prop_map(Choice::Retry),
        2 => any::<u16>().prop_map(Choice::Restart),
        2 => any::<u8>().prop_map(Choice::Split),
        2 => Just(Choice::Heal),
    ]
}

fn command() -> impl Strategy<Value = KvCommand> {
    let key = || prop::sample::select(vec!["x", "y"]).prop_map(Bytes::from);
    let value = || prop::sample::select(vec!["1", "2", "3"]).prop_map(Bytes::from);
    prop_oneof![
        (key(), value()).prop_map(|(key, value)| KvCommand::Put(key, value)),
        key().prop_map(KvCommand::Get),
        key().prop_map(KvCommand::Delete),
        (key(), prop::option::of(value()), value()).prop_map(|(key, old, new)| KvCommand::Cas {
            key,
            old,
            new
        }),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let key = prop::sample::select(vec!["x", "y"]).prop_map(Bytes::from);
    prop_oneof![
        8 => command().prop_map(|command| Operation::Command(command.encode())),
        2 => key.prop_map(|key| Operation::Query(KvCommand::Get(key).encode())),
        1 => (0..SERVERS).prop_map(|to| Operation::Transfer(Id::from(to))),
    ]
}

fn elections() -> impl Strategy<Value = Elections> {
    let any = (any::<bool>(), any::<bool>(), any::<bool>());
    let switches = any.prop_map(|(pre_vote, check_quorum, stickiness)| Elections {
        pre_vote,
        check_quorum,
        stickiness: stickiness && check_quorum,
    });
    prop_oneof![Just(Elections::default()), Just(Elections::ALL), switches]
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let clients = prop::collection::vec(prop::collection::vec(operation(), 1..5), 2..4);
    let choices = prop::collection::vec(choice(), 200..800);
    let snapshot_after = prop::option::of(1..4_u64);
    (1..4_usize, 1..4_u32, snapshot_after, elections(), clients, choices).prop_map(
        |(max_entries, max_sessions, snapshot_after, elections, clients, choices)| Schedule {
            max_entries,
            max_sessions,
            snapshot_after,
            elections,
            clients,
            choices,
        },
    )
}

impl Schedule {
    fn cluster(&self) -> Cluster {
        let spec = Spec {
            servers: SERVERS,
            clients: self.clients.clone(),
            snapshot_after: self.snapshot_after,
            elections: self.elections,
            restarts: true,
            max_entries: self.max_entries,
            max_sessions: self.max_sessions,
            watch: Watch { leaders: true, votes: true, committed: true, history: true },
            ..Spec::base("simulation", "random schedules")
        };
        spec.cluster()
    }
}

/// A run under way.
struct Run<'a> {
    cluster: &'a Cluster,
    state: ClusterState,
    /// Sent and not yet delivered by the schedule, oldest first.
    fresh: Vec<(Id, Id, Message)>,
    /// Which side of the network each server is on, by bit.
    sides: u8,
    steps: Vec<(ClusterState, ClusterAction)>,
    reached: Reached,
}

/// What a run got to.
#[derive(Clone, Copy, Debug, Default)]
struct Reached {
    /// Terms that had a leader.
    leaders: usize,
    /// Highest term.
    term: u64,
    /// Committed entries of clients.
    committed: usize,
    /// Commands answered with their response, and with "unknown".
    applied: usize,
    unknown: usize,
    /// Transfers that ended with the server that was to lead.
    transfers: usize,
    /// Steps that removed entries from a log.
    truncations: usize,
    /// Restarts of servers that had a log.
    restarts: usize,
}

impl<'a> Run<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        let state = cluster.started();
        let mut fresh: Vec<_> =
            state.messages().map(|(src, dst, msg)| (src, dst, msg.clone())).collect();
        fresh.sort_unstable();
        Self { cluster, state, fresh, sides: 0, steps: Vec::new(), reached: Reached::default() }
    }

    /// Runs a whole schedule; an error is the property broken, and the fewest of its steps that break
    /// one.
    fn run(mut self, choices: &[Choice]) -> Result<Reached, String> {
        for choice in choices {
            let Some(action) = self.action(*choice) else { continue };
            self.take(action);
            if !self.cluster.broken(&self.state).is_empty() {
                let actions = self.steps.into_iter().map(|(_, action)| action).collect();
                return Err(shrunk(self.cluster, actions));
            }
        }
        self.count_what_ghosts_saw();
        Ok(self.reached)
    }

    /// The action a choice means here, if there is one.
    fn action(&mut self, choice: Choice) -> Option<ClusterAction> {
        match choice {
            Choice::Deliver(number) => {
                let passing = self.fresh.iter().enumerate().filter(|(_, (src, dst, _))| {
                    self.side(*src).is_none_or(|side| self.side(*dst).is_none_or(|to| to == side))
                });
                let passing: Vec<_> = passing.map(|(position, _)| position).collect();
                let among = 1 + usize::from(number >> 8) % passing.len().max(1);
                let old = &passing[..passing.len().min(among)];
                let (src, who, msg) = self.fresh.remove(pick(old, number & 0xff)?);
                Some(Action { who, event: Event::Deliver { src, msg } })
            }
            Choice::Lose(number) => {
                let all: Vec<_> = (0..self.fresh.len()).collect();
                self.fresh.remove(pick(&all, number)?);
                None
            }
            Choice::Redeliver(number) => {
                self.enabled(number, |event| matches!(event, Event::Deliver { .. }))
            }
            Choice::Election(number) => self.timeout(number, ProcessTimer::Server(Timer::Election)),
            Choice::Stickiness(number) => {
                self.timeout(number, ProcessTimer::Server(Timer::Stickiness))
            }
            Choice::Transfer(number) => self.timeout(number, ProcessTimer::Server(Timer::Transfer)),
            Choice::Heartbeat(number) => {
                self.timeout(number, ProcessTimer::Server(Timer::Heartbeat))
            }
            Choice::Retry(number) => self.timeout(number, ProcessTimer::Retry),
            Choice::Restart(number) => self.enabled(number, |event| *event == Event::Restart),
            Choice::Split(sides) => {
                self.sides = sides;
                None
            }
            Choice::Heal => {
                self.sides = 0;
                None
            }
        }
    }

    fn side(&self, id: Id) -> Option<bool> {
        (usize::from(id) < SERVERS).then(|| self.sides & (1 << usize::from(id)) != 0)
    }

    fn timeout(&self, number: u16, timer: ProcessTimer) -> Option<ClusterAction> {
        self.enabled(number, |event| *event == Event::Timeout(timer))
    }

    fn enabled(
        &self,
        number: u16,
        wanted: impl Fn(&EventOf<Process>) -> bool,
    ) -> Option<ClusterAction> {
        let mut actions = self.cluster.enabled(&self.state);
        actions.retain(|action| wanted(&action.event));
        pick(&actions, number)
    }

    /// Takes what is possible of these actions, up to the first one that breaks a property; `None` if
    /// none does.
    fn replay(cluster: &'a Cluster, actions: &[ClusterAction]) -> Option<Self> {
        let mut run = Self::new(cluster);
        for action in actions {
            if !run.is_possible(action) {
                continue;
            }
            run.take(action.clone());
            if !cluster.broken(&run.state).is_empty() {
                return Some(run);
            }
        }
        None
    }

    fn is_possible(&self, action: &ClusterAction) -> bool {
        match &action.event {
            Event::Deliver { src, msg } => {
                self.state.messages().any(|sent| sent == (*src, action.who, msg))
            }
            Event::Timeout(timer) => {
                let view = self.state.view();
                view.local(usize::from(action.who)).timers.iter().any(|armed| armed == timer)
            }
            Event::Choose { .. } | Event::Restart => true,
        }
    }

    fn take(&mut self, action: ClusterAction) {
        for command in self.cluster.outputs(&self.state, &action) {
            if let Command::Send(dst, msg) = command
                && usize::from(dst) < self.cluster.names.len()
            {
                self.fresh.push((action.who, dst, msg));
            }
        }
        let next = self.cluster.step(&self.state, &action).unwrap_or_else(|| self.state.clone());
        self.count_step(&action, &next);
        let before = std::mem::replace(&mut self.state, next);
        self.steps.push((before, action));
    }

    fn count_step(&mut self, action: &ClusterAction, next: &ClusterState) {
        let index = usize::from(action.who);
        let servers = (self.state.actor(index).server(), next.actor(index).server());
        let (Some(before), Some(after)) = servers else { return };
        let (old, new) = (&before.persistent.log, &after.persistent.log);
        let kept = old.iter().all(|(index, entry)| new.get(index) == Some(entry));
        self.reached.truncations += usize::from(!kept);
        let restarted = action.event == Event::Restart && old.last_index() > Index(0);
        self.reached.restarts += usize::from(restarted);
        self.reached.term = self.reached.term.max(after.persistent.current_term.0);
    }

    fn count_what_ghosts_saw(&mut self) {
        let ghost = &self.state.ghost;
        self.reached.leaders = ghost.leaders.len();
        let of_clients =
            ghost.committed.values().filter(|(entry, _)| entry.payload != Payload::Noop);
        self.reached.committed = of_clients.count();
        for event in &ghost.history {
            match &event.outcome {
                Some(Invocation::Applied(_)) => self.reached.applied += 1,
                Some(Invocation::Unknown) => self.reached.unknown += 1,
                Some(Invocation::Transfer(TransferOutcome::Leads)) => self.reached.transfers += 1,
                Some(Invocation::TooLarge(_) | Invocation::Transfer(_)) | None => {}
            }
        }
    }

    /// Numbered steps, each with the change and the outputs of its actor.
    fn steps_text(&self) -> String {
        let mut text = String::new();
        for (number, (before, action)) in self.steps.iter().enumerate() {
            let after = self.steps.get(number + 1).map_or(&self.state, |(next, _)| next);
            let _ = writeln!(text, "{:>3}. {}", number + 1, self.cluster.action_text(action));
            for line in diagram::step_text(self.cluster, before, action, after).lines() {
                let _ = writeln!(text, "     {line}");
            }
        }
        text
    }
}

/// Leaves out actions, large pieces first, as long as what is left breaks a property; tells what is
/// left.
fn shrunk(cluster: &Cluster, mut actions: Vec<ClusterAction>) -> String {
    let mut piece = actions.len();
    while piece > 0 {
        let mut left_out = false;
        let mut from = 0;
        while from < actions.len() {
            let rest = [&actions[..from], &actions[actions.len().min(from + piece)..]].concat();
            match Run::replay(cluster, &rest) {
                Some(run) => {
                    actions = run.steps.into_iter().map(|(_, action)| action).collect();
                    left_out = true;
                }
                None => from += piece,
            }
        }
        piece = if piece == 1 && left_out { 1 } else { piece / 2 };
    }
    let run = Run::replay(cluster, &actions).expect("what is left breaks a property");
    format!("{}\nbroken: {}", run.steps_text(), cluster.broken(&run.state).join(", "))
}

/// The one meant by a number.
fn pick<T: Clone>(all: &[T], number: u16) -> Option<T> {
    (!all.is_empty()).then(|| all[usize::from(number) % all.len()].clone())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        // What a schedule did is shrunk instead.
        max_shrink_iters: 0,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/simulation.proptest-regressions",
        ))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_property_holds_after_every_step_of_random_schedules(schedule in schedule()) {
        let cluster = schedule.cluster();
        let ran = Run::new(&cluster).run(&schedule.choices);
        prop_assert!(ran.is_ok(), "{}", ran.unwrap_err());
    }
}

/// Random schedules prove nothing if nothing happens in them.
#[test]
fn the_schedules_get_somewhere() {
    const RUNS: usize = 100;
    let mut runner = TestRunner::deterministic();
    let runs: Vec<_> = (0..RUNS)
        .map(|_| {
            let schedule = schedule().new_tree(&mut runner).expect("no value is refused").current();
            let cluster = schedule.cluster();
            Run::new(&cluster).run(&schedule.choices).unwrap_or_else(|error| panic!("{error}"))
        })
        .collect();
    let share = |reaches: fn(&Reached) -> bool| runs.iter().filter(|run| reaches(run)).count();
    for (what, least, count) in [
        ("reach term 3", 50, share(|run| run.term >= 3)),
        ("elect leaders of two terms", 50, share(|run| run.leaders >= 2)),
        ("commit entries of clients", 50, share(|run| run.committed >= 2)),
        ("answer clients", 50, share(|run| run.applied >= 1)),
        ("answer three commands", 20, share(|run| run.applied >= 3)),
        ("expire a session", 5, share(|run| run.unknown >= 1)),
        ("hand the leadership over", 5, share(|run| run.transfers >= 1)),
        ("truncate a log", 20, share(|run| run.truncations >= 1)),
        ("restart a server with a log", 50, share(|run| run.restarts >= 1)),
    ] {
        println!("{count:>3} of {RUNS} runs {what}");
        assert!(count >= least, "only {count} of {RUNS} runs {what}, not {least}");
    }
}

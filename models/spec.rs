//! A model as a row of a table: who takes part, what is bounded, which properties are asked.
//!
//! [`Spec::cluster`] makes the [`Cluster`] that the engines take. It sets up servers and clients as actors
//! and adds the ghost, the bounds, the properties and the symmetry. If the row has a prefix, [`Runner`]
//! executes that script, and the model starts from the state that it reaches.

use super::coverage;
use super::ghost::{ClientEvent, Ghost, Watch};
use super::linearizability::linearizable;
use super::mutants::{Fault, Mutant};
use super::process::{Asks, Client, Fragments, Process};
use super::properties as p;
use super::script::Runner;
use super::{Cluster, ClusterBound};
use crate::kv::Kv;
use crate::raft::{Copies, Operation, Parameters, Payload, Raft, Retry, Server};
use crate::state_machine::StateMachine;
use actorcheck::{
    Event, Group, OfMember, RECOVERABILITY, Recovery, StatePredicate, StateProperty, StepPredicate,
    StepProperty, Symmetry, Tally, World,
};
use serde::Serialize;
use stateright::actor::{ActorModel, Id};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A named model and its bounds.
#[derive(Clone)]
pub struct Spec {
    /// The model's name on the command line.
    pub name: &'static str,
    /// The purpose of the model, in a sentence.
    pub about: &'static str,
    /// Number of servers; they are S0, S1, ...
    pub servers: usize,
    /// The commands and queries of each client; clients are numbered after the servers.
    pub clients: Vec<Vec<Operation>>,
    /// Which servers a client asks.
    pub asks: Asks,
    /// Highest term of any server.
    pub max_term: u64,
    /// Most entries of clients in any log; each retried copy counts. No-ops do not.
    pub max_client_entries: u64,
    /// Most entries in any log that other servers created, if bounded. With zero, a model has elections
    /// only.
    pub max_received: Option<u64>,
    /// Whether servers may restart, any number of times.
    pub restarts: bool,
    /// Most entries of one AppendEntries.
    pub max_entries: usize,
    /// Most bytes of entries of one AppendEntries, and of an entry of a client.
    pub max_bytes: usize,
    /// Most uncommitted entries of a leader.
    pub max_uncommitted: u64,
    /// Most bytes of uncommitted entries of a leader, if they are bounded.
    pub max_uncommitted_bytes: Option<u64>,
    /// How a leader treats a copy of a request that stands uncommitted in its log.
    pub copies: Copies,
    /// How a leader repeats entries that a follower has not answered.
    pub retry: Retry,
    /// If set, the network loses every AppendEntries with more bytes of entries than this.
    pub fragment: Option<usize>,
    /// Most open client sessions.
    pub max_sessions: u32,
    /// If set, every server takes a snapshot whenever it has applied this many entries since the last one.
    pub snapshot_after: Option<u64>,
    /// Most entries that a log keeps although a snapshot covers them.
    pub snapshot_margin: u64,
    /// Which rules against disturbing elections are on.
    pub elections: Elections,
    /// Which links are cut where the model asks about recovery.
    pub cuts: Cuts,
    /// Highest index of any log, if it is bounded. Logs that drop entries need this bound.
    pub max_index: Option<u64>,
    /// Most rounds that a leader begins for reads. Each copy of a read may begin one.
    pub max_rounds: u64,
    /// If set, the last server has other limits than the others: servers of one cluster may differ in them.
    pub last_server: Option<Differing>,
    /// Which ghosts the model keeps; a property that needs another ghost is not asked.
    pub watch: Watch,
    /// The names of the `sometimes` properties: for each, a state where it holds must be reachable.
    pub sometimes: &'static [&'static str],
    /// A script that leads to the state to start from; empty for freshly started servers.
    pub prefix: &'static str,
    /// The exact numbers of tuples (of local states and ghost) and of maximal states.
    pub tuples: (u64, u64),
    /// The exact number of unique states, if they are few enough for stateright to count.
    pub states: Option<u64>,
    /// How long it takes to exhaust the model.
    pub effort: Effort,
    /// Whether a search without the engine's reductions takes less than a minute.
    pub plain: bool,
}

/// How long two cores need to exhaust a model, and so who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// Seconds at most. `raft check` exhausts the model.
    Quick,
    /// Less than a minute. The tests exhaust the model; `raft check` does by its name or with `--deep`.
    Long,
    /// Minutes or an hour. `raft check` exhausts the model by its name or with `--deep`.
    Deep,
}

/// The limits of a server that differs from the others.
#[derive(Clone, Copy, Debug)]
pub struct Differing {
    /// Most bytes of entries of one AppendEntries, and of an entry of a client.
    pub max_bytes: usize,
    /// Most bytes of uncommitted entries while the server leads.
    pub max_uncommitted_bytes: u64,
    /// Most open client sessions by the entries that the server creates.
    pub max_sessions: u32,
}

/// The switches of the rules against disturbing elections; see [`Parameters`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Elections {
    /// Whether servers ask for pre-votes before they stand.
    pub pre_vote: bool,
    /// Whether a leader that hears no majority steps down.
    pub check_quorum: bool,
    /// Whether a server that hears its leader ignores requests for votes.
    pub stickiness: bool,
}

impl Elections {
    /// All rules are on, as on a node.
    pub const ALL: Self = Self { pre_vote: true, check_quorum: true, stickiness: true };
}

/// The links that are cut where a model asks about recovery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cuts {
    /// A majority is cut off from everybody else. Each majority must recover.
    #[default]
    Minority,
    /// One server can send and not hear, each server in turn.
    OneWay,
    /// One server is the hub, each server in turn: all others have links with the hub only.
    Bridge,
}

impl Cuts {
    /// The groups of servers that must recover.
    fn groups(self, servers: &[Id]) -> Vec<Group> {
        let all_with = |is_cut: &dyn Fn(Id, Id) -> bool| {
            let pairs = servers.iter().flat_map(|from| servers.iter().map(|to| (*from, *to)));
            let cut = pairs.filter(|(from, to)| from != to && is_cut(*from, *to)).collect();
            Group { cut, ..Group::of(servers.iter().copied()) }
        };
        let special = servers.iter().copied();
        match self {
            Self::Minority => {
                subsets(servers, servers.len() / 2 + 1).into_iter().map(Group::of).collect()
            }
            Self::OneWay => special.map(|deaf| all_with(&|_, to| to == deaf)).collect(),
            Self::Bridge => {
                special.map(|hub| all_with(&|from, to| from != hub && to != hub)).collect()
            }
        }
    }
}

/// All subsets of these ids that have `size` elements.
fn subsets(ids: &[Id], size: usize) -> Vec<Vec<Id>> {
    let Some((first, rest)) = ids.split_first() else {
        return if size == 0 { vec![Vec::new()] } else { Vec::new() };
    };
    let mut with_first = if size == 0 { Vec::new() } else { subsets(rest, size - 1) };
    for subset in &mut with_first {
        subset.insert(0, *first);
    }
    with_first.into_iter().chain(subsets(rest, size)).collect()
}

/// A property of each process by itself.
fn of_actor<S: StateMachine>(
    holds: fn(Id, p::ClusterLocal<'_, S>) -> bool,
) -> StatePredicate<Process<S>, Ghost> {
    StatePredicate::Actor(Arc::new(holds))
}

/// A property of each pair of processes.
fn of_pair<S: StateMachine>(
    holds: fn(p::Peer<'_, S>, p::Peer<'_, S>) -> bool,
) -> StatePredicate<Process<S>, Ghost> {
    StatePredicate::Pair(Arc::new(holds))
}

/// Whether a call stands for a message that the network loses each time. The process that gets it does
/// nothing, so the properties of outputs do not ask about its server.
fn never_arrives<S: StateMachine>(output: &p::ClusterOutput<'_, S>, fragments: Fragments) -> bool {
    matches!(output.event, Event::Deliver { msg, .. } if fragments.lose(msg)) && output.is_silent()
}

impl Spec {
    /// A small model to vary: three servers, one term, no clients, no restarts.
    pub fn base(name: &'static str, about: &'static str) -> Self {
        Self {
            name,
            about,
            servers: 3,
            clients: Vec::new(),
            asks: Asks::InTurn,
            max_term: 1,
            max_client_entries: 0,
            max_received: None,
            restarts: false,
            max_entries: 1,
            max_bytes: 32 * 1024,
            max_uncommitted: 1024,
            max_uncommitted_bytes: None,
            copies: Copies::Appended,
            retry: Retry::EveryHeartbeat,
            fragment: None,
            max_sessions: 8,
            snapshot_after: None,
            snapshot_margin: 0,
            elections: Elections::default(),
            cuts: Cuts::Minority,
            max_index: None,
            max_rounds: 1,
            last_server: None,
            watch: Watch::default(),
            sometimes: &["a leader is elected"],
            prefix: "",
            tuples: (0, 0),
            states: None,
            effort: Effort::Quick,
            plain: false,
        }
    }

    /// The bounds by name, as every verdict prints them.
    pub fn bounds(&self) -> BTreeMap<&'static str, u64> {
        let mut bounds = BTreeMap::from([
            ("servers", self.servers as u64),
            ("clients", self.clients.len() as u64),
            ("commands", self.clients.iter().map(Vec::len).sum::<usize>() as u64),
            ("max_term", self.max_term),
            ("max_client_entries", self.max_client_entries),
            ("max_entries", self.max_entries as u64),
        ]);
        if let Some(max_received) = self.max_received {
            bounds.insert("max_received", max_received);
        }
        if let Some(fragment) = self.fragment {
            bounds.insert("fragment", fragment as u64);
            bounds.insert("max_bytes", self.max_bytes as u64);
        }
        if !self.clients.is_empty() {
            bounds.insert("max_bytes", self.max_bytes as u64);
            bounds.insert("max_sessions", u64::from(self.max_sessions));
            bounds.insert("max_uncommitted", self.max_uncommitted);
        }
        if let Some(max_uncommitted_bytes) = self.max_uncommitted_bytes {
            bounds.insert("max_uncommitted_bytes", max_uncommitted_bytes);
        }
        if let Some(snapshot_after) = self.snapshot_after {
            bounds.insert("snapshot_after", snapshot_after);
            bounds.insert("snapshot_margin", self.snapshot_margin);
            bounds.insert("max_bytes", self.max_bytes as u64);
        }
        if self.has_queries() {
            bounds.insert("max_rounds", self.max_rounds);
        }
        if let Some(max_index) = self.max_index {
            bounds.insert("max_index", max_index);
        }
        if let Some(last) = self.last_server {
            bounds.insert("last_server_max_bytes", last.max_bytes as u64);
            bounds.insert("last_server_max_sessions", u64::from(last.max_sessions));
            bounds.insert("last_server_max_uncommitted_bytes", last.max_uncommitted_bytes);
        }
        bounds
    }

    /// Whether a client has a query.
    fn has_queries(&self) -> bool {
        self.clients.iter().flatten().any(|operation| matches!(operation, Operation::Query(_)))
    }

    /// Whether a client asks for a transfer of the leadership.
    fn has_transfers(&self) -> bool {
        self.transfers().next().is_some()
    }

    /// The servers that clients want to lead.
    fn transfers(&self) -> impl Iterator<Item = Id> {
        self.clients.iter().flatten().filter_map(|operation| match operation {
            Operation::Transfer(to) => Some(*to),
            Operation::Command(_) | Operation::Query(_) => None,
        })
    }

    /// The bounds in one line.
    pub fn bounds_text(&self) -> String {
        let bounds = self.bounds();
        let mut text: Vec<_> =
            bounds.iter().map(|(name, limit)| format!("{name}={limit}")).collect();
        text.push(if self.restarts { "restarts=unbounded" } else { "restarts=none" }.to_owned());
        if !self.clients.is_empty() && self.asks == Asks::All {
            text.push("clients ask=all at once".to_owned());
        }
        if self.retry != Retry::EveryHeartbeat {
            text.push("retry=when lost".to_owned());
        }
        if self.copies == Copies::Awaited {
            text.push("copies=awaited".to_owned());
        }
        match self.cuts {
            Cuts::Minority => {}
            Cuts::OneWay => text.push("cut=to one server".to_owned()),
            Cuts::Bridge => text.push("cut=all but a hub".to_owned()),
        }
        let Elections { pre_vote, check_quorum, stickiness } = self.elections;
        let switches =
            [(pre_vote, "pre-vote"), (check_quorum, "check-quorum"), (stickiness, "stickiness")];
        for (_, name) in switches.iter().filter(|(is_on, _)| *is_on) {
            text.push(format!("{name}=on"));
        }
        text.push("loss, duplication, reordering=unbounded".to_owned());
        text.join(" ")
    }

    /// The model, with the key-value store as state machine.
    ///
    /// # Panics
    /// If the prefix does not run or violates a property; a test runs them all.
    pub fn cluster(&self) -> Cluster {
        self.cluster_of::<Kv>()
    }

    /// The model, with any state machine `S`. The commands of the clients are commands of `S`.
    ///
    /// # Panics
    /// If the prefix does not run or violates a property.
    pub fn cluster_of<S: StateMachine>(&self) -> Cluster<S> {
        self.build(None, None)
    }

    /// The model with every server replaced by a mutant, and only the property that must catch it.
    pub fn mutated(&self, fault: Fault, caught_by: &'static str) -> Cluster {
        self.build(Some(fault), Some(caught_by))
    }

    /// The model with every server replaced by a mutant, and all properties.
    pub fn seeded(&self, fault: Fault) -> Cluster {
        self.build(Some(fault), None)
    }

    /// The model with all properties, and with a mutant in place of every server if there is a fault. Says
    /// why not, if the prefix does not run: a fault can keep it from running.
    pub fn played(&self, fault: Option<Fault>) -> Result<Cluster, String> {
        self.try_build(fault, None)
    }

    /// The parameters of a server of the model.
    fn parameters(&self, server: usize) -> Parameters {
        let defaults = Parameters::default();
        let alike = Parameters {
            max_entries: self.max_entries,
            max_bytes: self.max_bytes,
            max_sessions: self.max_sessions,
            max_uncommitted: self.max_uncommitted,
            max_uncommitted_bytes: self
                .max_uncommitted_bytes
                .unwrap_or(defaults.max_uncommitted_bytes),
            copies: self.copies,
            retry: self.retry,
            snapshot_after: self.snapshot_after.or(defaults.snapshot_after),
            snapshot_margin: self.snapshot_margin,
            snapshot_hold: self.snapshot_margin.max(defaults.snapshot_hold),
            pre_vote: self.elections.pre_vote,
            check_quorum: self.elections.check_quorum,
            stickiness: self.elections.stickiness,
            ..defaults
        };
        match self.last_server {
            Some(Differing { max_bytes, max_uncommitted_bytes, max_sessions })
                if server + 1 == self.servers =>
            {
                Parameters { max_bytes, max_uncommitted_bytes, max_sessions, ..alike }
            }
            _ => alike,
        }
    }

    fn build<S: StateMachine>(
        &self,
        fault: Option<Fault<S>>,
        only: Option<&'static str>,
    ) -> Cluster<S> {
        self.try_build(fault, only).unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_build<S: StateMachine>(
        &self,
        fault: Option<Fault<S>>,
        only: Option<&'static str>,
    ) -> Result<Cluster<S>, String> {
        let servers: Vec<Id> = (0..self.servers).map(Id::from).collect();
        let process = |server: &Id| {
            let parameters = self.parameters(usize::from(*server));
            let raft = Raft::<S>::new(servers.clone(), parameters).expect("a model is valid");
            let fragments = Fragments(self.fragment);
            match fault {
                None => Process::Server(raft, fragments),
                Some(fault) => Process::Mutant(Mutant::new(raft, fault), fragments),
            }
        };
        let clients = self.clients.iter().map(|operations| {
            let (servers, operations) = (servers.clone(), operations.clone());
            Process::Client(Client { servers, operations, asks: self.asks })
        });
        let actors = ActorModel::new((), ()).actors(servers.iter().map(process)).actors(clients);
        let bounds = self.bound_list();
        let watch = self.watch;
        let mut cluster = World {
            names: (0..self.servers)
                .map(|n| format!("S{n}"))
                .chain((0..self.clients.len()).map(|n| format!("C{}", self.servers + n)))
                .collect(),
            actors,
            restartable: if self.restarts { servers } else { Vec::new() },
            ghost: self.first_ghost(),
            observe: Arc::new(move |ghost, step| ghost.observe(watch, step)),
            always: self.always(),
            steps: self.steps(),
            sometimes: self.sometimes(),
            // A single server that leads cannot get to a later term.
            recovery: (self.servers > 1).then(|| self.recovery()),
            tally: Arc::new(Tally::new(bounds.len(), &[])),
            bounds,
            label: Arc::new(coverage::label),
            labels: coverage::LABELS,
            symmetry: fault.is_none().then(|| self.symmetry()),
            initial: None,
        };
        if let Some(only) = only {
            cluster.always.retain(|property| property.name == only);
            cluster.steps.retain(|property| property.name == only);
            cluster.recovery = cluster.recovery.filter(|_| only == RECOVERABILITY);
        }
        if !self.prefix.is_empty() {
            let mut runner = Runner::new(&cluster, cluster.started());
            let ran = runner.run(self.prefix);
            ran.map_err(|error| format!("the prefix of {}: {error}", self.name))?;
            // No engine takes the steps of the prefix, so they are judged here. A mutant may break any
            // property.
            let broken: Vec<_> =
                runner.steps().iter().flat_map(|(_, state)| cluster.broken(state)).collect();
            assert!(
                fault.is_some() || broken.is_empty(),
                "the prefix of {} violates {broken:?}",
                self.name
            );
            let state = runner.state().clone();
            cluster.initial = Some(state);
        }
        Ok(cluster)
    }

    /// Servers that do not differ are interchangeable, and so are clients with equal commands. To a client
    /// that asks in turn, however, the servers have an order, and a server that a client wants to lead is not
    /// like the others. A mutant may tell servers apart, so its model has no symmetry.
    fn symmetry<S: StateMachine>(&self) -> Symmetry<Process<S>, Ghost> {
        let alike = self.servers - usize::from(self.last_server.is_some());
        let wanted: Vec<Id> = self.transfers().collect();
        let servers = (0..alike).map(Id::from).filter(|id| !wanted.contains(id)).collect();
        let first = |commands| self.clients.iter().position(|other| other == commands);
        let mut groups = BTreeMap::<_, Vec<Id>>::new();
        for (n, commands) in self.clients.iter().enumerate() {
            groups.entry(first(commands)).or_default().push(Id::from(self.servers + n));
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        if self.clients.is_empty() || self.asks == Asks::All {
            groups.push(servers);
        }
        Symmetry::within(self.servers + self.clients.len(), &groups)
    }

    /// The ghost at the start: clients that have a command invoke it when they start.
    fn first_ghost(&self) -> Ghost {
        let mut ghost = Ghost::default();
        if self.watch.history {
            let busy = self.clients.iter().enumerate().filter(|(_, commands)| !commands.is_empty());
            ghost.history = busy
                .map(|(n, _)| ClientEvent {
                    client: Id::from(self.servers + n),
                    command: 0,
                    outcome: None,
                })
                .collect();
        }
        ghost
    }

    fn bound_list<S: StateMachine>(&self) -> Vec<ClusterBound<S>> {
        let (max_term, max_client_entries) = (self.max_term, self.max_client_entries);
        let of_server = |within: fn(&Server<S>, u64) -> bool, limit| {
            StatePredicate::Actor(Arc::new(move |_, local: p::ClusterLocal<'_, S>| {
                local.state.server().is_none_or(|server| within(server, limit))
            }))
        };
        let mut bounds = vec![ClusterBound::<S> {
            name: "max_term",
            limit: max_term,
            within: of_server(|server, limit| server.persistent.current_term.0 <= limit, max_term),
        }];
        if !self.clients.is_empty() {
            let within = |server: &Server<S>, limit| {
                let log = server.persistent.log.iter();
                log.filter(|(_, entry)| entry.payload != Payload::Noop).count() as u64 <= limit
            };
            bounds.push(ClusterBound {
                name: "max_client_entries",
                limit: max_client_entries,
                within: of_server(within, max_client_entries),
            });
        }
        if self.has_queries() {
            let within =
                |server: &Server<S>, limit| server.leader().is_none_or(|it| it.round <= limit);
            let limit = self.max_rounds;
            let within = of_server(within, limit);
            bounds.push(ClusterBound { name: "max_rounds", limit, within });
        }
        if let Some(limit) = self.max_index {
            let within = |server: &Server<S>, limit| server.persistent.log.last_index().0 <= limit;
            bounds.push(ClusterBound {
                name: "max_index",
                limit,
                within: of_server(within, limit),
            });
        }
        if let Some(limit) = self.max_received {
            let within = move |id: Id, local: p::ClusterLocal<'_, S>, ghost: &Ghost| {
                let Some(server) = local.state.server() else { return true };
                let foreign = server.persistent.log.iter().filter(|(_, entry)| {
                    !ghost.leaders.get(&entry.term).is_some_and(|leaders| leaders.contains(&id))
                });
                foreign.count() as u64 <= limit
            };
            let within = StatePredicate::ActorAndGhost(Arc::new(within));
            bounds.push(ClusterBound { name: "max_received", limit, within });
        }
        bounds
    }

    fn always<S: StateMachine>(&self) -> Vec<StateProperty<Process<S>, Ghost>> {
        let Watch { leaders, votes, committed, .. } = self.watch;
        let completeness = StatePredicate::ActorAndGhost(Arc::new(p::leader_completeness));
        let followed = StatePredicate::ActorAndGhost(Arc::new(p::who_is_followed_was_elected));
        let durable = StatePredicate::View(Arc::new(p::committed_is_durable));
        let check_quorum = self.elections.check_quorum;
        let timers =
            move |_, local: p::ClusterLocal<'_, S>| p::timers_suit_the_role(local, check_quorum);
        let rows = [
            ("Election Safety", leaders, StatePredicate::Ghost(Arc::new(p::election_safety))),
            ("Log Matching", true, of_pair(p::log_matching)),
            ("Leader Completeness", committed, completeness),
            ("One vote per term", votes, StatePredicate::Ghost(Arc::new(p::one_vote_per_term))),
            ("Committed is durable", committed, durable),
            ("Memory equals storage", true, of_actor(p::memory_equals_storage)),
            ("Votes counted were cast", true, of_pair(p::votes_counted_were_cast)),
            ("Who is followed was elected", leaders, followed),
            ("Logs are well-formed", true, of_actor(p::logs_are_well_formed)),
            (
                "Leader has all entries of its term",
                true,
                of_pair(p::leader_has_all_entries_of_its_term),
            ),
            ("Indexes are ordered", true, of_actor(p::indexes_are_ordered)),
            ("Committed is applied", true, of_actor(p::committed_is_applied)),
            ("Match index below next index", true, of_actor(p::match_index_below_next_index)),
            ("Match index is replicated", true, of_pair(p::match_index_is_replicated)),
            ("No committed entry is contested", true, of_actor(p::no_committed_entry_is_contested)),
            ("Timers suit the role", true, StatePredicate::Actor(Arc::new(timers))),
        ];
        let snapshots = self.snapshot_after.is_some();
        let held = StatePredicate::ActorAndGhost(Arc::new(p::snapshots_hold_what_is_committed));
        let of_snapshots = [
            ("Snapshots hold what is committed", snapshots && committed, held),
            ("Snapshots join logs", snapshots, of_actor(p::snapshots_join_logs)),
        ];
        let rows = rows.into_iter().chain(of_snapshots).filter(|(_, asked, _)| *asked);
        rows.map(|(name, _, holds)| StateProperty { name, holds }).collect()
    }

    fn steps<S: StateMachine>(&self) -> Vec<StepProperty<Process<S>, Ghost>> {
        type OfChange<S> = fn(&p::ClusterChange<'_, S>) -> bool;
        type OfOutput<S> = fn(&p::ClusterOutput<'_, S>) -> bool;
        type OfLimited<S> = fn(&p::ClusterOutput<'_, S>, &Parameters) -> bool;
        let changes: [(&str, OfChange<S>); 7] = [
            ("Leader Append-Only", p::leader_append_only),
            ("Durable vote is kept", p::durable_vote_is_kept),
            ("Durable term is monotone", p::durable_term_is_monotone),
            ("Committed is kept", p::committed_is_kept),
            ("Commit index is monotone", p::commit_index_is_monotone),
            ("Match index is monotone", p::match_index_is_monotone),
            ("Commits only its own term", p::commits_only_its_own_term),
        ];
        let outputs: [(&str, OfOutput<S>); 4] = [
            ("Terms begin with elections", p::terms_begin_with_elections),
            ("Acknowledged is what was sent", p::acknowledged_is_what_was_sent),
            ("Saved before sent", p::saved_before_sent),
            ("Sends only what is durable", p::sends_only_what_is_durable),
        ];
        let of_clients: [(&str, OfLimited<S>); 2] = [
            ("Requests are appended or refused", p::requests_are_appended_or_refused),
            ("Clients are told what was applied", |step, _| {
                p::clients_are_told_what_was_applied(step)
            }),
        ];
        let limited: [(&str, OfLimited<S>); 3] = [
            ("Messages are within limits", p::messages_are_within_limits),
            ("Election timer is restarted by rule", p::election_timer_is_restarted_by_rule),
            ("Votes follow requests", p::votes_follow_requests),
        ];
        let of_elections: [(&str, bool, OfLimited<S>); 3] = [
            ("Elections follow pre-votes", self.elections.pre_vote, p::elections_follow_pre_votes),
            ("Leaders in touch stay", self.elections.stickiness, p::leaders_in_touch_stay),
            ("Leaders hear a majority", self.elections.check_quorum, |step, _| {
                p::leaders_hear_a_majority(step)
            }),
        ];
        let of_change = |(name, holds): (&'static str, OfChange<S>)| {
            let holds = move |change: &p::ClusterChange<'_, S>, _: &Ghost| holds(change);
            StepProperty { name, holds: StepPredicate::Change(Arc::new(holds)) }
        };
        let fragments = Fragments(self.fragment);
        let of_output = |(name, holds): (&'static str, OfOutput<S>)| {
            let holds = move |output: &p::ClusterOutput<'_, S>| {
                never_arrives(output, fragments) || holds(output)
            };
            StepProperty { name, holds: StepPredicate::Output(Arc::new(holds)) }
        };
        let of_limited = |(name, holds): (&'static str, OfLimited<S>)| {
            let of_each: Vec<_> = (0..self.servers).map(|server| self.parameters(server)).collect();
            let holds = move |output: &p::ClusterOutput<'_, S>| {
                // Clients have no limits, and no property asks for them.
                let limits = of_each.get(usize::from(output.who)).unwrap_or(&of_each[0]);
                never_arrives(output, fragments) || holds(output, limits)
            };
            StepProperty { name, holds: StepPredicate::Output(Arc::new(holds)) }
        };
        let changes = changes.into_iter().map(of_change);
        let mut steps: Vec<_> = changes.chain(outputs.into_iter().map(of_output)).collect();
        steps.extend(limited.into_iter().map(of_limited));
        let asked = of_elections.into_iter().filter(|(_, is_on, _)| *is_on);
        steps.extend(asked.map(|(name, _, holds)| of_limited((name, holds))));
        if self.snapshot_after.is_some() {
            steps.push(of_change(("Snapshots are monotone", p::snapshots_are_monotone)));
            let restores = p::the_store_restores_what_is_saved;
            steps.push(of_change(("The store restores what is saved", restores)));
        }
        if !self.clients.is_empty() {
            steps.push(of_change(("Exactly once", p::exactly_once)));
            steps.extend(of_clients.into_iter().map(of_limited));
        }
        if self.has_transfers() {
            steps.push(of_output(("Leadership moves by rule", p::leadership_moves_by_rule)));
        }
        if self.has_queries() {
            steps.push(of_output(("Reads wait for a round", p::reads_wait_for_a_round)));
        }
        if self.watch.committed {
            let holds = StepPredicate::Change(Arc::new(p::state_machine_safety));
            steps.insert(0, StepProperty { name: "State Machine Safety", holds });
        }
        if self.watch.history {
            let numbered = self.clients.iter().enumerate();
            let operations: BTreeMap<_, _> =
                numbered.map(|(n, list)| (Id::from(self.servers + n), list.clone())).collect();
            let holds = move |change: &p::ClusterChange<'_, S>, ghost: &Ghost| {
                linearizable(&operations, change, ghost)
            };
            let holds = StepPredicate::Change(Arc::new(holds));
            steps.push(StepProperty { name: "Linearizability", holds });
        }
        steps
    }

    /// Every majority must be able to elect a leader and to commit a new entry. That entry is the no-op of
    /// a term later than all they know of: every elected leader already has the entries committed before.
    /// Terms may go beyond the model's bound, by two elections.
    ///
    /// In a model with cut links, the servers must be able to elect a leader that works. Then no
    /// timer fires on a follower that its leader reaches: such a leader's heartbeats come in time.
    fn recovery<S: StateMachine>(&self) -> Recovery<Process<S>> {
        let servers: Vec<Id> = (0..self.servers).map(Id::from).collect();
        let acts: Arc<OfMember<Process<S>>> = Arc::new(p::may_act);
        Recovery {
            groups: self.cuts.groups(&servers),
            recovered: match self.cuts {
                Cuts::Minority => Arc::new(|_, start, now| p::recoverability(start, now)),
                Cuts::OneWay | Cuts::Bridge => Arc::new(|group, _, now| p::works(group, now)),
            },
            within: Arc::new(|_, start, now| p::latest_term(now).0 <= p::latest_term(start).0 + 2),
            acts: (self.cuts != Cuts::Minority).then_some(acts),
        }
    }

    fn sometimes<S: StateMachine>(&self) -> Vec<StateProperty<Process<S>, Ghost>> {
        type Predicate<S> = fn(&p::ClusterView<'_, S>) -> bool;
        let rows: [(&str, Predicate<S>); 9] = [
            ("a leader is elected", p::a_leader_is_elected),
            ("two leaders at once", p::two_leaders_at_once),
            ("all servers commit", p::all_commit),
            ("a client is done", p::a_client_is_done),
            ("all clients are done", p::all_clients_are_done),
            ("logs diverge", p::logs_diverge),
            ("the leader lacks what a majority has", p::the_leader_lacks_what_a_majority_has),
            ("a server has a snapshot", p::a_server_has_a_snapshot),
            ("a leader changes between pieces", p::a_leader_changes_between_pieces),
        ];
        let known = |wanted: &&'static str| {
            let row = rows.iter().find(|(name, _)| name == wanted);
            let (name, holds) = row.unwrap_or_else(|| panic!("no property `{wanted}`"));
            StateProperty { name, holds: StatePredicate::View(Arc::new(*holds)) }
        };
        self.sometimes.iter().map(known).collect()
    }
}

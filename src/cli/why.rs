//! The end of a counterexample in words: a sentence on what is wrong there, and a table of all servers.

use actorcheck::RECOVERABILITY;
use checked_raft::kv::Kv;
use checked_raft::models::ghost::{Ghost, role_name};
use checked_raft::models::process::Process;
use checked_raft::models::{Cluster, ClusterState, text};
use checked_raft::raft::{Invocation, Operation, Server};
use checked_raft::state_machine::StateMachine;
use stateright::actor::Id;
use std::fmt::Write;

/// Why a state violates a property, as far as the state shows it.
pub(super) fn sentence(world: &Cluster, property: &str, state: &ClusterState) -> Option<String> {
    let names = Names(world);
    match property {
        "Election Safety" => names.two_leaders(&state.ghost),
        "One vote per term" => names.two_votes(&state.ghost),
        "Leader Completeness" => names.incomplete_leader(state),
        "Log Matching" => names.logs_that_part(state),
        "Committed is durable" => names.committed_and_lost(state),
        "Linearizability" => Some(names.history(&state.ghost)),
        RECOVERABILITY => Some(
            "With every message lost, some majority of the servers can no longer elect a leader that commits \
             an entry: not by deliveries and timeouts of its own, without a restart, and within two terms \
             more than it has reached."
                .to_owned(),
        ),
        _ => None,
    }
}

/// A line for each server: its role, its term, the vote it has saved, and its log as a row of terms. A `·`
/// stands for an entry that has made way for a snapshot. A `*` stands before each server that differs from
/// the state before the last step.
pub(super) fn table(world: &Cluster, before: &ClusterState, state: &ClusterState) -> Vec<String> {
    let names = Names(world);
    let servers: Vec<_> = names.servers(state).collect();
    let longest = servers.iter().map(|(_, it)| it.persistent.log.last_index().0).max();
    let indexes = (1..=longest.unwrap_or(0)).map(|index| format!("{index:>3} "));
    let mut lines =
        vec![format!("       role       term  voted  commit  log {}", indexes.collect::<String>())];
    for (id, server) in servers {
        let is_changed = before.actor(usize::from(id)) != state.actor(usize::from(id));
        let terms = server.persistent.log.iter().map(|(index, entry)| {
            let bar = if index == server.commit_index { '|' } else { ' ' };
            format!("{:>3}{bar}", format!("t{}", entry.term))
        });
        let start = usize::try_from(server.persistent.log.start().0).unwrap_or(0);
        let terms = "  · ".repeat(start) + &terms.collect::<String>();
        let voted = server.persistent.voted_for.map_or("-", |id| names.of(id));
        let line = format!(
            "{} {:<4} {:<9} {:>5}  {voted:>5}  {:>6}  {:>3} {}",
            if is_changed { '*' } else { ' ' },
            names.of(id),
            role_name(&server.role),
            format!("t{}", server.persistent.current_term),
            server.commit_index.0,
            "",
            terms,
        );
        lines.push(line.trim_end().to_owned());
    }
    lines
}

struct Names<'a>(&'a Cluster);

impl Names<'_> {
    fn of(&self, id: Id) -> &str {
        self.0.name_of(id)
    }

    fn list(&self, ids: impl IntoIterator<Item = Id>) -> String {
        let names: Vec<_> = ids.into_iter().map(|id| self.of(id).to_owned()).collect();
        names.join(" and ")
    }

    fn servers<'s>(
        &self,
        state: &'s ClusterState,
    ) -> impl Iterator<Item = (Id, &'s Server<Kv>)> + use<'s> {
        let all = 0..self.0.names.len();
        all.filter_map(|n| Some((Id::from(n), state.actor(n).server()?)))
    }

    fn two_leaders(&self, ghost: &Ghost) -> Option<String> {
        let (term, leaders) = ghost.leaders.iter().find(|(_, leaders)| leaders.len() > 1)?;
        Some(format!("{} have both led term {term}.", self.list(leaders.iter().copied())))
    }

    fn two_votes(&self, ghost: &Ghost) -> Option<String> {
        let ((term, who), votes) = ghost.votes.iter().find(|(_, votes)| votes.len() > 1)?;
        let for_whom = self.list(votes.iter().copied());
        Some(format!("{} has voted in term {term} for {for_whom}.", self.of(*who)))
    }

    fn incomplete_leader(&self, state: &ClusterState) -> Option<String> {
        self.servers(state).filter(|(_, server)| server.is_leader()).find_map(|(id, leader)| {
            let term = leader.persistent.current_term;
            let committed = state.ghost.committed.iter();
            let (index, (entry, of)) = committed
                .filter(|(_, (_, of))| *of <= term)
                .filter(|(index, _)| **index > leader.persistent.log.start())
                .find(|(index, (entry, _))| leader.persistent.log.get(**index) != Some(entry))?;
            Some(format!(
                "{} leads term {term} without the entry {index}@t{}, which was committed in term {of}.",
                self.of(id),
                entry.term
            ))
        })
    }

    fn logs_that_part(&self, state: &ClusterState) -> Option<String> {
        let servers: Vec<_> = self.servers(state).collect();
        let pairs = servers.iter().flat_map(|a| servers.iter().map(move |b| (a, b)));
        pairs.filter(|(a, b)| a.0 < b.0).find_map(|((a, one), (b, other))| {
            let (one, other) = (&one.persistent.log, &other.persistent.log);
            let (last, _) =
                one.iter().rfind(|(index, entry)| other.term(*index) == Some(entry.term))?;
            let (index, _) = one
                .iter()
                .take_while(|(index, _)| *index <= last)
                .find(|(index, entry)| other.get(*index) != Some(entry))?;
            let pair = self.list([*a, *b]);
            Some(format!(
                "The logs of {pair} have the same term at index {last}, and differ at {index}."
            ))
        })
    }

    fn committed_and_lost(&self, state: &ClusterState) -> Option<String> {
        let majority = self.servers(state).count() / 2 + 1;
        state.ghost.committed.iter().find_map(|(index, (entry, _))| {
            let holders = self.servers(state).filter(|(id, _)| {
                let saved = state.view().local(usize::from(*id)).storage;
                saved.is_some_and(|saved| {
                    *index <= saved.log.start() || saved.log.get(*index) == Some(entry)
                })
            });
            let holders: Vec<_> = holders.map(|(id, _)| id).collect();
            (holders.len() < majority).then(|| {
                let who = if holders.is_empty() { "nobody".to_owned() } else { self.list(holders) };
                format!(
                    "The entry {index}@t{} is committed, and only {who} has it saved.",
                    entry.term
                )
            })
        })
    }

    /// The history that the clients saw, in order.
    fn history(&self, ghost: &Ghost) -> String {
        let mut text = "No order of these commands explains all answers:".to_owned();
        for line in commands(self.0) {
            let _ = write!(text, "\n  {line}");
        }
        for event in &ghost.history {
            let (client, number) = (self.of(event.client), event.command + 1);
            let what = match &event.outcome {
                None => "is asked for".to_owned(),
                Some(Invocation::Applied(answer)) => {
                    format!("is answered: {}", Kv::describe_answer(answer))
                }
                Some(Invocation::Unknown) => "has an unknown outcome".to_owned(),
                Some(Invocation::TooLarge(_)) => "is too large".to_owned(),
                Some(Invocation::Transfer(outcome)) => {
                    format!("is answered: {}", text::transfer_text(*outcome))
                }
            };
            let _ = write!(text, "\n  command {number} of {client} {what}");
        }
        text
    }
}

/// The lines of a step, with its number before the first of them.
pub(super) fn numbered(number: usize, lines: &[String]) -> String {
    let mut text = String::new();
    for (n, line) in lines.iter().enumerate() {
        let lead = if n == 0 { format!("{number:>3}. ") } else { "       ".to_owned() };
        let _ = writeln!(text, "{lead}{line}");
    }
    text
}

/// The commands of the clients.
fn commands(world: &Cluster) -> Vec<String> {
    let processes = world.actors.actors.iter().enumerate();
    let clients = processes.filter_map(|(n, process)| match process {
        Process::Client(client) => Some((n, client)),
        Process::Server(..) | Process::Mutant(..) => None,
    });
    let lines = clients.flat_map(|(n, client)| {
        let name = world.names[n].clone();
        let text = |operation: &Operation| match operation {
            Operation::Command(command) => Kv::describe(command),
            Operation::Query(query) => format!("read: {}", Kv::describe(query)),
            Operation::Transfer(to) => format!("transfer to {}", world.name_of(*to)),
        };
        let commands = client.operations.iter().map(text).enumerate();
        commands.map(move |(number, text)| format!("command {} of {name}: {text}", number + 1))
    });
    lines.collect()
}

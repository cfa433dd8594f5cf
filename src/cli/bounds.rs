//! A model with bounds of one's own, from the command line.

use checked_raft::kv::Command;
use checked_raft::models::Spec;
use checked_raft::models::ghost::Watch;
use checked_raft::models::process::Asks;
use checked_raft::raft::Operation;
use clap::{Args, Parser};
use std::fmt::Write;

/// The bounds of a model that is not in the catalogue; `--servers` asks for one.
#[derive(Args, Clone, Debug)]
pub(super) struct Bounds {
    /// A model with this many servers and the bounds below, instead of one of the catalogue
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=7))]
    servers: Option<u8>,
    /// Highest term of any server [default: 2]
    #[arg(long, value_name = "N", requires = "servers")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    terms: Option<u64>,
    /// Commands of a client, one after the other [default: 0]
    #[arg(long, value_name = "N", requires = "servers")]
    #[arg(value_parser = clap::value_parser!(u8).range(0..=9))]
    commands: Option<u8>,
    /// Two clients instead of one: one puts, the other gets, and their history must be linearizable
    #[arg(long, requires = "servers", conflicts_with = "commands")]
    two_clients: bool,
    /// A client asks one server at a time, not all at once: more states, and no symmetry
    #[arg(long, requires = "servers")]
    in_turn: bool,
    /// Most entries of clients in any log [default: enough for each to open its session and finish]
    #[arg(long, value_name = "N", requires = "servers")]
    entries: Option<u64>,
    /// Servers restart, any number of times
    #[arg(long, requires = "servers")]
    restarts: bool,
}

/// Nothing but bounds.
#[derive(Parser)]
#[command(no_binary_name = true)]
struct Alone {
    #[command(flatten)]
    bounds: Bounds,
}

impl Bounds {
    /// The bounds that these options give. An error says which option is wrong.
    pub(super) fn of(options: &str) -> Result<Self, String> {
        let parsed = Alone::try_parse_from(options.split_whitespace());
        parsed.map(|alone| alone.bounds).map_err(|error| {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            format!("`{options}`: {}", first.trim_start_matches("error: "))
        })
    }

    /// The model with these bounds, if they are given.
    pub(super) fn spec(&self) -> Option<Spec> {
        let servers = usize::from(self.servers?);
        let put =
            |n: u8| Operation::Command(Command::Put("x".into(), n.to_string().into()).encode());
        let clients = match (self.two_clients, self.commands) {
            (true, _) => {
                vec![vec![put(1)], vec![Operation::Command(Command::Get("x".into()).encode())]]
            }
            (false, None | Some(0)) => Vec::new(),
            (false, Some(commands)) => vec![(1..=commands).map(put).collect()],
        };
        // A session takes an entry, and so does each command.
        let enough: usize = clients.iter().map(|commands: &Vec<_>| 1 + commands.len()).sum();
        Some(Spec {
            servers,
            max_term: self.terms.unwrap_or(2),
            max_client_entries: self.entries.unwrap_or(enough as u64),
            asks: if self.in_turn { Asks::InTurn } else { Asks::All },
            restarts: self.restarts,
            watch: Watch {
                leaders: true,
                committed: true,
                history: self.two_clients,
                ..Watch::default()
            },
            clients,
            ..Spec::base("own-bounds", "Bounds of the command line.")
        })
    }

    /// The options that give the same bounds again.
    pub(super) fn options(&self) -> String {
        let mut text = String::new();
        let numbers = [
            ("servers", self.servers.map(u64::from)),
            ("terms", self.terms),
            ("commands", self.commands.map(u64::from)),
            ("entries", self.entries),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                let _ = write!(text, " --{name} {number}");
            }
        }
        let switches = [
            ("two-clients", self.two_clients),
            ("in-turn", self.in_turn),
            ("restarts", self.restarts),
        ];
        for (name, _) in switches.into_iter().filter(|(_, is_on)| *is_on) {
            let _ = write!(text, " --{name}");
        }
        text
    }
}

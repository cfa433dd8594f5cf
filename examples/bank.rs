//! A state machine of one's own, checked and deployed: accounts between which money is moved.
//!
//! ```text
//! cargo run --release --no-default-features --example bank -- check      # covers every state of a small cluster of banks
//! cargo run --release --no-default-features --example bank -- run DIR    # moves money on three servers in this process
//! ```
//!
//! Nothing here is about Raft. You write the commands, the state machine and an invariant.

use bytes::Bytes;
use checked_raft::client::{Client, Options};
use checked_raft::deploy::{DEFAULT_CLUSTER, LocalCluster};
use checked_raft::models::Spec;
use checked_raft::raft::Operation;
use checked_raft::runtime::Stop;
use checked_raft::state_machine::StateMachine;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::thread;

/// What each of the two accounts has. A command moves an amount: from which account, and how much.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Bank([u8; 2]);

impl Default for Bank {
    fn default() -> Self {
        Self([10, 10])
    }
}

impl StateMachine for Bank {
    /// The answer tells what the two accounts have afterwards. A transfer of more than there is moves nothing.
    fn apply(&mut self, command: &[u8]) -> Bytes {
        if let [from @ (0 | 1), amount] = *command {
            let (from, to) = (usize::from(from), usize::from(1 - from));
            let moved = self.0[from].checked_sub(amount).zip(self.0[to].checked_add(amount));
            if let Some((rest, sum)) = moved {
                (self.0[from], self.0[to]) = (rest, sum);
            }
        }
        Bytes::copy_from_slice(&self.0)
    }
}

impl Bank {
    fn total(&self) -> u32 {
        self.0.iter().copied().map(u32::from).sum()
    }
}

fn transfer(from: u8, amount: u8) -> Bytes {
    Bytes::from(vec![from, amount])
}

/// Covers every state of two servers and a client that moves more than there is.
fn check() {
    let transfers = [transfer(0, 7), transfer(0, 7)].map(Operation::Command);
    let spec = Spec {
        servers: 2,
        clients: vec![transfers.into()],
        max_client_entries: 4,
        ..Spec::base("bank", "A client moves more than there is.")
    };
    let cluster = spec.cluster_of::<Bank>().always_each("money is conserved", |_, process| {
        process.state.server().is_none_or(|server| server.machine.total() == 20)
    });
    let checked = cluster.check();
    println!("{checked}");
    checked.assert_exhaustive();
}

/// Three servers with their data in this directory, and a client.
fn run(directory: &str) -> Result<(), Box<dyn Error>> {
    let cluster = LocalCluster::new(directory);
    cluster.prepare::<Bank>()?; // bootstraps the servers, once in their lives
    let (stop, mut servers, mut addresses) = (Stop::new(), Vec::new(), Vec::new());
    for deployment in cluster.deployments()? {
        let (node, stop) = (deployment.bind::<Bank>()?, stop.clone());
        addresses.push(node.local_addr());
        servers.push(thread::spawn(move || node.run(&stop)));
    }
    let mut client = Client::connect(DEFAULT_CLUSTER, &addresses, Options::default())?;
    for command in [transfer(0, 7), transfer(0, 7), transfer(1, 2)] {
        println!("{:?} -> {:?}", &command[..], &client.execute(command.clone())?[..]);
    }
    stop.trigger();
    servers.into_iter().try_for_each(|server| server.join().expect("it does not panic"))?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["check"] => check(),
        ["run", directory] => run(directory)?,
        _ => return Err("say `check`, or `run DIRECTORY`".into()),
    }
    Ok(())
}

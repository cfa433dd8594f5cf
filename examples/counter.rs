//! A state machine of one's own, replicated: a counter that adds what it is told.
//!
//! ```text
//! cargo run --example counter
//! ```
//!
//! One server in this process, with its data in a temporary directory; a client adds three numbers;
//! the server is stopped and started again, and the total is still there, because the log is.

use bytes::Bytes;
use checked_raft::client::{Client, Options};
use checked_raft::deploy::{DEFAULT_CLUSTER, Deployment};
use checked_raft::runtime::Stop;
use checked_raft::state_machine::StateMachine;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;
use std::thread;

/// The state: a total. A command is a number of eight bytes, and so is the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Counter(u64);

impl StateMachine for Counter {
    fn apply(&mut self, command: &[u8]) -> Bytes {
        // Any bytes may come. What is no number adds nothing; an overflow wraps, on all servers alike.
        let amount = command.try_into().map_or(0, u64::from_be_bytes);
        self.0 = self.0.wrapping_add(amount);
        Bytes::copy_from_slice(&self.0.to_be_bytes())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let listen = "127.0.0.1:0".parse()?; // any free port, which is enough for a single server
    let deployment = Deployment::new(1, listen, BTreeMap::new(), folder.path().join("data"));
    deployment.bootstrap::<Counter>()?; // once in the life of a server
    println!("first life:");
    serve(&deployment, &[1, 20, 300])?;
    println!("second life:");
    serve(&deployment, &[0])?;
    Ok(())
}

/// Runs the server until a client has added all these numbers.
fn serve(deployment: &Deployment, amounts: &[u64]) -> Result<(), Box<dyn Error>> {
    let node = deployment.bind::<Counter>()?;
    let (address, stop) = (node.local_addr(), Stop::new());
    let server = {
        let stop = stop.clone();
        thread::spawn(move || node.run(&stop))
    };
    let result = add(Client::connect(DEFAULT_CLUSTER, &[address], Options::default())?, amounts);
    stop.trigger();
    server.join().expect("a server does not panic")?;
    result
}

fn add(mut client: Client, amounts: &[u64]) -> Result<(), Box<dyn Error>> {
    for amount in amounts {
        let response = client.execute(Bytes::copy_from_slice(&amount.to_be_bytes()))?;
        println!("  {amount} more makes {}", u64::from_be_bytes(response[..].try_into()?));
    }
    Ok(())
}

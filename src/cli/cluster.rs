//! `raft cluster`: runs several servers on this machine.

use super::children::{Children, Ended, Happened};
use super::live::{self, Live, Watched};
use super::node::refused;
use super::prompt::{self, Cut, ORDERS, Order};
use super::{Failure, Status, signals, status};
use checked_raft::client::{Client, Options};
use checked_raft::deploy::{DEFAULT_CLUSTER, Deployment, LocalCluster};
use checked_raft::kv::Kv;
use clap::Args;
use signal_hook::iterator::Signals;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

const DEFAULT_PORT: u16 = 7001;

/// The entries after which a server takes a snapshot while its trace is replayed. A record of the trace takes
/// time in proportion to the state, of which the log is the largest part.
const WATCHED_SNAPSHOT_AFTER: &str = "1000";

/// Run several servers on this machine, each a process of its own, until Ctrl-C
///
/// The exit code is 0 if every server ran until it was told to stop.
#[derive(Args)]
pub(super) struct Cluster {
    /// How many servers [default: those that are in the directory, or 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=99))]
    servers: Option<u16>,
    /// Keep the data here, and go on with what is here already [default: a temporary directory, which
    /// is removed at the end unless a server fails]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The port of the first server (UDP); the others follow
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_PORT,
          value_parser = clap::value_parser!(u16).range(1..))]
    base_port: u16,
    /// Let every server write a trace, DIR/1.trace and so on, for `raft trace`; needs --data
    #[arg(long, requires = "data")]
    trace: bool,
    /// Show the cluster on a page for the browser, at this address of this machine; port 0 takes a free one
    ///
    /// The page shows the servers, their logs, and plots of throughput and latency. It has buttons that kill,
    /// pause and restart servers and cut links. It also replays the traces of all servers as they come. Each
    /// trace ends at 256 MiB: from then on the page replays nothing more. Without --trace the traces are
    /// DIR/1.live.trace and so on, and the next start replaces them. Servers take a snapshot after 1000
    /// entries, unless NODE OPTIONS say otherwise, since a trace takes time in proportion to the log.
    #[arg(long, value_name = "IP:PORT")]
    web: Option<SocketAddr>,
    /// Options for every server, after `--`, such as `-- --election-timeout 500..1000 --log debug`
    #[arg(last = true, value_name = "NODE OPTIONS")]
    node_options: Vec<OsString>,
}

impl Cluster {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Status, Failure> {
        // A page that cannot be shown is refused before anything is written or runs.
        let listener = self.web.map(live::Listener::bind).transpose()?;
        let mut children = Children::default();
        // Signals are handled before anything is written or runs, so that no signal leaves it behind.
        stop_at_signals(&children)?;
        take_orders(&children)?;
        let data = Data::new(self.data.as_deref())?;
        let result = self.start(&data, &mut children, out).and_then(|deployments| {
            let page =
                listener.map(|it| show_page(it, &deployments, &children, out)).transpose()?;
            Ok((deployments, page))
        });
        let status = result
            .map(|(deployments, page)| self.watch(&deployments, &mut children, page.as_ref(), out));
        // An error may have come after only some of the servers were started.
        children.stop();
        data.end(status.as_ref().ok().copied(), out);
        status
    }

    /// Starts the servers, and prints their addresses.
    fn start(
        &self,
        data: &Data,
        children: &mut Children,
        out: &mut dyn Write,
    ) -> Result<Vec<Deployment>, Failure> {
        let mut cluster = LocalCluster::open(&data.path, self.base_port).map_err(refused)?;
        cluster.servers = self.servers.unwrap_or(cluster.servers);
        cluster.prepare::<Kv>().map_err(refused)?;
        let mut deployments = cluster.deployments().map_err(refused)?;
        for deployment in &mut deployments {
            self.choose_trace(deployment, &data.path)?;
        }
        for deployment in &deployments {
            self.start_one(deployment, children)?;
        }
        welcome(&cluster, &deployments, children, data.is_temporary, out)?;
        Ok(deployments)
    }

    /// Decides whether a server writes a trace, and where. A trace that is written for the page alone begins
    /// anew and has a limit.
    fn choose_trace(&self, deployment: &mut Deployment, folder: &Path) -> Result<(), Failure> {
        if self.trace {
            deployment.trace = Some(folder.join(format!("{}.trace", deployment.id)));
        } else if self.web.is_some() {
            let path = folder.join(format!("{}.live.trace", deployment.id));
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Failure::Refused(format!(
                        "cannot replace the trace {}: {error}; remove it, or choose another --data DIR",
                        path.display()
                    )));
                }
                _ => {}
            }
            (deployment.trace, deployment.trace_limit) = (Some(path), Some(live::TRACE_LIMIT));
        }
        Ok(())
    }

    fn start_one(&self, deployment: &Deployment, children: &mut Children) -> Result<(), Failure> {
        let (command, id) = (self.command(deployment)?, deployment.id);
        children.start(id, command).map_err(|error| {
            Failure::Refused(format!("cannot start the process of server {id}: {error}"))
        })
    }

    /// Reports servers that end by themselves and obeys orders, until a signal comes or the last server has
    /// ended. The exit code tells how they ended, even if nobody reads the output.
    fn watch(
        &self,
        deployments: &[Deployment],
        children: &mut Children,
        page: Option<&Live>,
        out: &mut dyn Write,
    ) -> Status {
        let mut failed = false;
        while children.may_go_on() {
            let (told, is_event) = match children.wait() {
                Happened::Ended(Ended { id, status }) => {
                    failed = true;
                    let again = format!("`restart {id}` starts it again.");
                    (format!("Server {id} ended by itself ({status}); {again}"), true)
                }
                Happened::Ordered(Ok(Order::Quit), answer) => {
                    answer.tell(&Ok("All servers stop.".to_owned()));
                    break;
                }
                Happened::Stop => break,
                Happened::Ordered(order, answer) => {
                    let is_question = order == Ok(Order::Status);
                    let told = order.and_then(|order| self.obey(order, deployments, children));
                    answer.tell(&told);
                    let is_event = told.is_ok() && !is_question;
                    (told.unwrap_or_else(|error| error), is_event)
                }
            };
            let _ = writeln!(out, "{told}");
            let _ = out.flush();
            if let Some(page) = page {
                page.tell(is_event.then_some(&told[..]), children);
            }
        }
        if !children.may_go_on() {
            let _ = writeln!(out, "No server is left.");
        }
        let unclean = children.stop();
        for Ended { id, status } in &unclean {
            let _ = writeln!(out, "Server {id} did not stop as it should ({status}).");
        }
        if !failed && unclean.is_empty() { Status::Success } else { Status::Other }
    }

    /// Does what somebody asked for, and says what was done or why it was not.
    fn obey(
        &self,
        order: Order,
        deployments: &[Deployment],
        children: &mut Children,
    ) -> Result<String, String> {
        let runs = |children: &Children, id| {
            children.pid(id).ok_or_else(|| format!("Server {id} does not run."))
        };
        match order {
            Order::Kill(id) => {
                runs(children, id)?;
                children.kill(id);
                Ok(format!("Server {id} was killed."))
            }
            Order::Pause(id) => {
                runs(children, id)?;
                children.pause(id);
                Ok(format!("Server {id} is paused."))
            }
            Order::Resume(id) => {
                runs(children, id)?;
                children.resume(id);
                Ok(format!("Server {id} goes on."))
            }
            Order::Restart(id) => {
                let deployment = deployments.iter().find(|deployment| deployment.id == id);
                let deployment = deployment.ok_or_else(|| format!("There is no server {id}."))?;
                if children.pid(id).is_some() {
                    return Err(format!("Server {id} runs; `kill {id}` kills it first."));
                }
                self.start_one(deployment, children).map_err(|failure| failure.to_string())?;
                Ok(format!("Server {id} was started again."))
            }
            Order::Transfer(id) => {
                let addresses: Vec<_> = deployments.iter().map(|server| server.listen).collect();
                // A person waits for the prompt, and an election takes less.
                let options = Options { timeout: Duration::from_secs(2), ..Options::default() };
                Client::connect(&deployments[0].cluster, &addresses, options)
                    .and_then(|mut client| client.transfer(id))
                    .map_err(|error| format!("No transfer: {error}"))?;
                Ok(format!("Server {id} leads."))
            }
            Order::Cut(cut) => {
                let links = links_of(&cut, deployments)?;
                children.cut(&links).map(|()| cut.to_string())
            }
            Order::Heal(Some(cut)) => {
                let links = links_of(&cut, deployments)?;
                children.heal_links(&links).map(|()| cut.healed())
            }
            Order::Heal(None) => {
                let healed = children.heal()?;
                let told = if healed { "Every link is whole again." } else { "No link was cut." };
                Ok(told.to_owned())
            }
            Order::Status => {
                let addresses: Vec<_> = deployments.iter().map(|server| server.listen).collect();
                let table = status::text(&deployments[0].cluster, &addresses);
                let table = table.map_err(|it| it.to_string())?;
                Ok([table].into_iter().chain(children.cuts()).collect::<Vec<_>>().join("\n"))
            }
            // These two do not come here: one is for the thread that reads, the other ends the loop.
            Order::Wait(_) | Order::Quit => Ok(String::new()),
        }
    }

    fn command(&self, deployment: &Deployment) -> Result<Command, Failure> {
        let this = std::env::current_exe()
            .map_err(|error| Failure::Refused(format!("cannot find this program: {error}")))?;
        let mut command = Command::new(this);
        command.args(["node", "--obey-input", "--id", &deployment.id.to_string()]);
        command.args(["--listen", &deployment.listen.to_string()]);
        command.args(["--cluster", &deployment.cluster]);
        for (peer, address) in &deployment.peers {
            command.args(["--peer", &format!("{peer}={address}")]);
        }
        command.arg("--data").arg(&deployment.data);
        if let Some(trace) = &deployment.trace {
            command.arg("--trace").arg(trace);
        }
        let is_given = |start: &str| {
            self.node_options.iter().any(|option| option.to_string_lossy().starts_with(start))
        };
        if let Some(limit) = deployment.trace_limit
            && !is_given("--trace-limit")
        {
            command.args(["--trace-limit", &(limit >> 20).to_string()]);
        }
        if self.web.is_some() && !is_given("--snapshot-") {
            command.args(["--snapshot-after", WATCHED_SNAPSHOT_AFTER]);
            command.args(["--snapshot-margin", WATCHED_SNAPSHOT_AFTER]);
        }
        command.args(&self.node_options);
        Ok(command)
    }
}

/// The links that an order names, if all their servers are there.
fn links_of(cut: &Cut, deployments: &[Deployment]) -> Result<BTreeSet<(u64, u64)>, String> {
    let links = cut.links();
    let is_there = |id| deployments.iter().any(|deployment| deployment.id == id);
    let mut named = links.iter().flat_map(|(sender, receiver)| [*sender, *receiver]);
    match named.find(|id| !is_there(*id)) {
        Some(id) => Err(format!("There is no server {id}.")),
        None => Ok(links),
    }
}

/// Shows the cluster on a page, and prints where.
fn show_page(
    listener: live::Listener,
    deployments: &[Deployment],
    children: &Children,
    out: &mut dyn Write,
) -> Result<Live, Failure> {
    let address = listener.address();
    let watched = |deployment: &Deployment| Watched {
        id: deployment.id,
        address: deployment.listen,
        trace: deployment.trace.clone(),
    };
    let servers = deployments.iter().map(watched).collect();
    let page = Live::start(listener, &deployments[0].cluster, servers, children)?;
    writeln!(out, "Watch at http://{address}/")?;
    out.flush()?;
    Ok(page)
}

/// Prints which servers run where, and how to talk to them.
fn welcome(
    cluster: &LocalCluster,
    deployments: &[Deployment],
    children: &Children,
    is_temporary: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let data = cluster.data.display();
    let kept = if is_temporary { "removed at the end, unless a server fails" } else { "kept" };
    let count = deployments.len();
    writeln!(out, "{count} servers of cluster {:?}, data in {data} ({kept}):", cluster.cluster)?;
    let mut servers = String::new();
    for Deployment { id, listen, .. } in deployments {
        let pid = children.pid(*id).unwrap_or_default();
        writeln!(out, "  server {id} at {listen}, process {pid}")?;
        // With the default port, the first three servers have the addresses that a client tries if it is
        // given none.
        if cluster.base_port != DEFAULT_PORT {
            servers = format!("{servers} --server {listen}");
        }
    }
    if cluster.cluster != DEFAULT_CLUSTER {
        servers = format!("{servers} --cluster {}", cluster.cluster);
    }
    writeln!(out, "Talk to them from another terminal:")?;
    for command in ["put greeting hello", "get greeting", "status"] {
        writeln!(out, "  raft {command}{servers}")?;
    }
    writeln!(out, "Or tell them here: {ORDERS}.")?;
    writeln!(out, "Ctrl-C stops all.")?;
    Ok(out.flush()?)
}

fn stop_at_signals(children: &Children) -> Result<(), Failure> {
    let stopper = children.stopper();
    let mut signals = Signals::new(signals::stopping())
        .map_err(|error| Failure::Refused(format!("cannot handle signals: {error}")))?;
    thread::spawn(move || {
        for _ in signals.forever() {
            stopper.stop();
        }
    });
    Ok(())
}

/// Reads orders, unless this process is in the background of its terminal: to read would stop it there.
fn take_orders(children: &Children) -> Result<(), Failure> {
    let input = io::stdin();
    let foreground = rustix::termios::tcgetpgrp(&input);
    if foreground.is_ok_and(|group| group != rustix::process::getpgrp()) {
        return Ok(());
    }
    let giver = children.stopper();
    prompt::read(BufReader::new(input), move |order| giver.give(order))
        .map_err(|error| Failure::Refused(format!("cannot read orders: {error}")))
}

/// The directory of the data.
struct Data {
    path: PathBuf,
    is_temporary: bool,
}

impl Data {
    fn new(given: Option<&Path>) -> Result<Self, Failure> {
        if let Some(path) = given {
            return Ok(Self { path: path.to_owned(), is_temporary: false });
        }
        let number = getrandom::u64()
            .map_err(|error| Failure::Refused(format!("no random numbers: {error}")))?;
        // An empty TMPDIR counts as none.
        let folder = Some(std::env::temp_dir()).filter(|path| !path.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| PathBuf::from("/tmp"));
        let path = folder.join(format!("raft-cluster-{number:016x}"));
        fs::create_dir(&path).map_err(|error| {
            Failure::Refused(format!(
                "cannot create the temporary directory {}: {error}; set TMPDIR to a directory that is \
                 there, or say where to keep the data with --data DIR",
                path.display()
            ))
        })?;
        Ok(Self { path, is_temporary: true })
    }

    /// Removes a temporary directory, unless a server failed: then its contents may tell why. `status` is
    /// `None` if no server has run for long.
    fn end(&self, status: Option<Status>, out: &mut dyn Write) {
        if !self.is_temporary {
            return;
        }
        let path = self.path.display();
        if status.is_some_and(|status| status != Status::Success) {
            let _ = writeln!(out, "A server failed, so the data is left in {path}.");
        } else if let Err(error) = fs::remove_dir_all(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            let _ = writeln!(out, "The data is left in {path}: {error}");
        }
    }
}

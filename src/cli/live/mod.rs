//! The live page of `raft cluster --web`: a running cluster in the browser.
//!
//! [`Live::start`] starts the threads below and serves the page. They meet on one [`board::Board`], which
//! holds everything that the page shows.
//!
//! | file | content |
//! |---|---|
//! | `board` | what the page shows, the strip of events, and who waits for news of it |
//! | `looker` | asks each server how it is and for the end of its log, several times a second |
//! | `follower` | reads the traces as they grow, and replays every handler call by the checked actor |
//! | `verdicts` | judges replayed calls by the properties of the models, and counts |
//! | `meter` | what the page's commands took, second by second |
//! | `command` | the commands of the page: put, get, cas, delete, and the load |
//! | `overview` | all of that as JSON |
//! | `server` | serves the page, the stream of events, orders and commands |
//! | `http`, `guard` | as much of HTTP as this takes, with limits; whose requests are served |
//! | `assets` | the page itself |
//!
//! The page never decides anything. It sends an order in the words of the prompt, and the thread that obeys
//! the prompt obeys it, too.

mod board;
mod command;
mod follower;
mod guard;
mod http;
mod looker;
mod meter;
mod overview;
mod page;
mod server;
mod verdicts;

use super::Failure;
use super::children::Children;
use board::{Board, Processes};
use command::Desk;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

/// The size in bytes at which a trace ends, and up to which a trace is replayed.
pub(super) const TRACE_LIMIT: u64 = 256 << 20;

/// A server that the page shows.
pub(super) struct Watched {
    pub(super) id: u64,
    pub(super) address: SocketAddr,
    /// The file that the server's trace grows in.
    pub(super) trace: Option<PathBuf>,
}

/// The address of the page, taken.
pub(super) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// A page that is being served.
pub(super) struct Live {
    board: Arc<Board>,
    ids: Vec<u64>,
}

impl Listener {
    /// Takes an address of this machine.
    pub(super) fn bind(address: SocketAddr) -> Result<Self, Failure> {
        guard::refuse_other_machines(address).map_err(Failure::Refused)?;
        let refused = |error: std::io::Error| {
            Failure::Refused(format!(
                "cannot listen on {address}: {error}; choose another port with --web IP:PORT, \
                 or a free one with --web 127.0.0.1:0"
            ))
        };
        let socket = TcpListener::bind(address).map_err(refused)?;
        let address = socket.local_addr().map_err(refused)?;
        Ok(Self { socket, address })
    }

    /// The address with the port that was found.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Live {
    /// Serves the page of a cluster.
    pub(super) fn start(
        listener: Listener,
        cluster: &str,
        servers: Vec<Watched>,
        children: &Children,
    ) -> Result<Self, Failure> {
        let ids: Vec<_> = servers.iter().map(|server| server.id).collect();
        let places: Vec<_> = servers.iter().map(|server| (server.id, server.address)).collect();
        let run = getrandom::u64()
            .map_err(|error| Failure::Refused(format!("no random numbers: {error}")))?;
        let board = Arc::new(Board::new(run, cluster, &places));
        let desk = Arc::new(Desk::new(cluster, &places, Arc::clone(&board)));
        let page = Self { board: Arc::clone(&board), ids };
        page.tell(None, children);
        for server in &servers {
            if let Some(path) = &server.trace {
                follower::start(server.id, path, &board).map_err(refused)?;
            }
        }
        looker::start(cluster, places, &board).map_err(refused)?;
        overview::start(&board).map_err(refused)?;
        server::start(listener, children.stopper(), desk, board).map_err(refused)?;
        Ok(page)
    }

    /// Notes how the processes are now, and what has happened to them if that is an event.
    pub(super) fn tell(&self, event: Option<&str>, children: &Children) {
        let running = self.ids.iter().map(|id| (*id, children.state_of(*id))).collect();
        self.board.set_processes(Processes { running, cuts: children.cut_links().collect() });
        if let Some(event) = event {
            self.board.add("order", event);
        }
    }
}

/// Starts a thread of the page.
fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(run).map(drop)
}

fn refused(error: std::io::Error) -> Failure {
    Failure::Refused(format!("cannot start a thread of the live page: {error}"))
}

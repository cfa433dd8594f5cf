//! The overview: everything that the page shows, as JSON. A thread makes one several times a second.

use super::super::children::Running;
use super::TRACE_LIMIT;
use super::board::{Board, Content, Event, Shown, millis};
use super::meter::Second;
use super::spawn;
use super::verdicts::{ToldTrace, Verdicts};
use checked_raft::client::{LogPage, ServerStatus};
use checked_raft::models::observed::Tally;
use checked_raft::runtime::endpoint::Deadline;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// The time from one overview to the next.
const PERIOD: Duration = Duration::from_millis(200);

/// Everything that the page shows.
#[derive(Serialize)]
struct Overview<'a> {
    /// Another number tells that the cluster was started again.
    run: &'a str,
    cluster: &'a str,
    /// Milliseconds since the start of the page.
    at: u64,
    servers: Vec<Server<'a>>,
    /// The links that are cut, each by its sender and its receiver.
    cuts: &'a [(u64, u64)],
    /// The latest events, the newest first, and how many there were.
    strip: Vec<&'a Event>,
    events: u64,
    seconds: Vec<&'a Second>,
    /// The commands a second of the load.
    load: u32,
    /// The size in MiB at which a trace ends.
    trace_limit: u64,
    properties: Vec<Property>,
    /// How many messages of each kind were sent, and arrived: sender, receiver, kind, number.
    sent: Vec<(u64, u64, &'static str, u64)>,
    arrived: Vec<(u64, u64, &'static str, u64)>,
}

#[derive(Serialize)]
struct Server<'a> {
    id: u64,
    address: SocketAddr,
    process: Running,
    /// Milliseconds since the latest answer.
    answered_ago: Option<u64>,
    status: Option<&'a ServerStatus>,
    log: Option<&'a LogPage>,
    trace: Option<ToldTrace<'a>>,
}

/// The verdict on a property, for as much as was judged.
#[derive(Serialize)]
struct Property {
    name: &'static str,
    /// What was judged, such as `calls`.
    of: &'static str,
    judged: u64,
    broken: Option<Broken>,
}

#[derive(Serialize)]
struct Broken {
    server: u64,
    line: u64,
}

/// Makes overviews in a thread of its own for as long as the process runs.
pub(super) fn start(board: &Arc<Board>) -> io::Result<()> {
    let board = Arc::clone(board);
    spawn("overview", move || {
        let mut known = BTreeSet::new();
        loop {
            let due = Deadline::after(PERIOD);
            tell_broken(&board, &mut known);
            if board.is_watched() {
                board.publish(overview(&board));
            }
            while !due.has_passed() {
                thread::park_timeout(due.remaining());
            }
        }
    })
}

/// Adds an event for each property that was broken since the last time.
fn tell_broken(board: &Board, known: &mut BTreeSet<&'static str>) {
    let mut verdicts = board.verdicts();
    verdicts.observed.compare_logs();
    let broken = verdicts.observed.tallies().filter_map(|it| Some((it.name, it.broken?)));
    let news: Vec<_> = broken.filter(|(name, _)| known.insert(name)).collect();
    drop(verdicts);
    for (name, broken) in news {
        let (server, line) = (usize::from(broken.server), broken.line);
        let place = format!("line {line} of the trace of server {server}");
        board.add("broken", format!("{name} is violated: {place}."));
    }
}

/// The overview of this moment. It begins with the verdicts, since no thread may hold both locks for long.
fn overview(board: &Board) -> String {
    let (properties, sent, arrived) = of_verdicts(&board.verdicts());
    let now = board.elapsed();
    let mut content = board.content();
    let seconds: Vec<_> = content.meter.seconds(now).cloned().collect();
    let Content { servers, cuts, strip, events, load, .. } = &*content;
    let overview = Overview {
        run: &board.run,
        cluster: &board.cluster,
        at: millis(now),
        servers: servers.iter().map(|(id, shown)| Server::of(*id, shown, now)).collect(),
        cuts,
        strip: strip.iter().collect(),
        events: *events,
        seconds: seconds.iter().collect(),
        load: *load,
        trace_limit: TRACE_LIMIT >> 20,
        properties,
        sent,
        arrived,
    };
    serde_json::to_string(&overview).expect("plain data with text keys has a JSON form")
}

type Counted = Vec<(u64, u64, &'static str, u64)>;

fn of_verdicts(verdicts: &Verdicts) -> (Vec<Property>, Counted, Counted) {
    let listed = |counts: &std::collections::BTreeMap<(u64, u64, &'static str), u64>| {
        counts.iter().map(|((from, to, kind), count)| (*from, *to, *kind, *count)).collect()
    };
    let properties = verdicts.observed.tallies().map(Property::of).collect();
    (properties, listed(&verdicts.sent), listed(&verdicts.arrived))
}

impl<'a> Server<'a> {
    fn of(id: u64, shown: &'a Shown, now: Duration) -> Self {
        let answered = shown.status.as_ref().map(|(_, answered)| *answered);
        Self {
            id,
            address: shown.address,
            process: shown.running,
            answered_ago: answered.map(|answered| millis(now.saturating_sub(answered))),
            status: shown.status.as_ref().map(|(status, _)| status),
            log: shown.log.as_ref(),
            trace: shown.followed.as_ref().map(ToldTrace::of),
        }
    }
}

impl Property {
    fn of(tally: &Tally) -> Self {
        let Tally { name, of, judged, broken } = *tally;
        let broken = broken.map(|it| {
            let server = usize::from(it.server) as u64;
            Broken { server, line: it.line }
        });
        Self { name, of, judged, broken }
    }
}

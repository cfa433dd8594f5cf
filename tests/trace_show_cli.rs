//! `raft trace --show`: what three servers did, in one order that respects causality.

use checked_raft::kv::{self, Kv};
use checked_raft::raft::{
    ClientRequest, Copies, Index, Message, Parameters, Persistent, Raft, Retry, Server, Timer,
};
use checked_raft::runtime::trace::{Call, Origin, TraceWriter};
use serde_json::json;
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;
use tempfile::TempDir;

/// The number of a client on the network.
const CLIENT: usize = 1 << 32;

/// A server, what it has saved, and its trace.
type Traced = (Server<Kv>, Option<Persistent<Kv>>, TraceWriter);

/// Three servers, each with its trace, in a network that a seed decides about.
struct Trio {
    directory: TempDir,
    raft: Raft<Kv>,
    servers: BTreeMap<Id, Traced>,
    network: Vec<(Id, Id, Message)>,
    armed: BTreeSet<(Id, Timer)>,
    batch: u64,
    random: u64,
}

impl Trio {
    fn new() -> Self {
        let ids: Vec<_> = (1..=3).map(Id::from).collect();
        let parameters = Parameters {
            // Longer messages would be cut.
            max_entries: 2,
            copies: Copies::Awaited,
            retry: Retry::EveryHeartbeat,
            ..Parameters::default()
        };
        let actor = json!({
            "machine": std::any::type_name::<Kv>(),
            "members": [1, 2, 3],
            "parameters": parameters,
        });
        let raft = Raft::<Kv>::new(ids.iter().copied(), parameters).expect("sound parameters");
        let directory = tempfile::tempdir().expect("there is room");
        let mut trio = Self {
            directory,
            raft,
            servers: BTreeMap::new(),
            network: Vec::new(),
            armed: BTreeSet::new(),
            batch: 0,
            random: 7,
        };
        for id in ids {
            let (cluster, actor) = ("test".to_owned(), actor.clone());
            let origin = Origin { cluster, server: usize::from(id) as u64, actor };
            let trace = TraceWriter::create(&trio.path(id), origin, None).expect("a trace");
            trio.start(id, None, trace);
        }
        trio
    }

    fn path(&self, id: Id) -> PathBuf {
        self.directory.path().join(usize::from(id).to_string())
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.servers.keys().map(|id| self.path(*id)).collect()
    }

    fn start(&mut self, id: Id, store: Option<Persistent<Kv>>, mut trace: TraceWriter) {
        let mut out = Out::new();
        let server = self.raft.on_start(id, &store, &mut out);
        trace.record::<Raft<Kv>>(self.batch, &Call::Start(&store), None, &server, &out);
        self.armed.retain(|(who, _)| *who != id);
        self.servers.insert(id, (server, store, trace));
        self.take(id, out);
    }

    fn restart(&mut self, id: Id) {
        let (_, store, trace) = self.servers.remove(&id).expect("a server");
        self.batch += 1;
        self.start(id, store, trace);
    }

    fn take(&mut self, id: Id, out: Out<Raft<Kv>>) {
        let (_, store, trace) = self.servers.get_mut(&id).expect("a server");
        trace.flush().expect("it can be written");
        for command in out {
            match command {
                Command::Save(persistent) => *store = Some(persistent),
                Command::Send(to, msg) => self.network.push((id, to, msg)),
                Command::SetTimer(timer, _) => drop(self.armed.insert((id, timer))),
                Command::CancelTimer(timer) => drop(self.armed.remove(&(id, timer))),
                Command::ChooseRandom(..) => {}
            }
        }
    }

    fn handle(&mut self, id: Id, event: Result<(Id, Message), Timer>) {
        self.batch += 1;
        let (server, _, trace) = self.servers.get_mut(&id).expect("a server");
        let (mut next, mut out) = (Cow::Borrowed(&*server), Out::new());
        let call = match &event {
            Ok((src, msg)) => {
                self.raft.on_msg(id, &mut next, *src, msg.clone(), &mut out);
                Call::Deliver(*src, msg)
            }
            Err(timer) => {
                self.armed.remove(&(id, *timer));
                self.raft.on_timeout(id, &mut next, timer, &mut out);
                Call::Timeout(timer)
            }
        };
        let next = next.into_owned();
        trace.record::<Raft<Kv>>(self.batch, &call, Some(server), &next, &out);
        *server = next;
        self.take(id, out);
    }

    fn choose(&mut self, below: usize) -> usize {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.random >> 33).expect("31 bits") % below
    }

    /// Lets things happen: messages arrive in any order and are lost, and some arrive twice.
    fn live(&mut self, events: usize, twice: bool) {
        for number in 0..events {
            let is_quiet = self.network.is_empty();
            match self.choose(24) {
                0 => {
                    let armed: Vec<_> = self.armed.iter().copied().collect();
                    let (who, timer) = armed[self.choose(armed.len())];
                    self.handle(who, Err(timer));
                }
                1 => {
                    let id = Id::from(1 + self.choose(3));
                    let sequence = number as u64;
                    let command = kv::Command::Put("x".into(), "1".into()).encode();
                    let request = if self.choose(2) == 0 {
                        ClientRequest::Register { sequence }
                    } else {
                        ClientRequest::Command { session: Index(2), sequence, command }
                    };
                    self.handle(id, Ok((Id::from(CLIENT), Message::ClientRequest(request))));
                }
                2 if number % 5 == 0 => {
                    let id = Id::from(1 + self.choose(3));
                    self.restart(id);
                }
                _ if is_quiet => {
                    let armed: Vec<_> = self.armed.iter().copied().collect();
                    let (who, timer) = armed[self.choose(armed.len())];
                    self.handle(who, Err(timer));
                }
                choice => {
                    let position = self.choose(self.network.len());
                    let (src, dst, msg) = self.network.swap_remove(position);
                    if self.servers.contains_key(&dst) && choice > 4 {
                        if twice && choice == 5 {
                            self.network.push((src, dst, msg.clone()));
                        }
                        self.handle(dst, Ok((src, msg)));
                    }
                }
            }
        }
    }
}

fn show(paths: &[PathBuf]) -> Output {
    let mut raft = std::process::Command::new(env!("CARGO_BIN_EXE_raft"));
    raft.args(["trace", "--show"]).args(paths).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the output is text")
}

/// The records of the output: the server, the number of its record, and what happened, part by part.
fn records(output: &str) -> Vec<(&str, usize, Vec<&str>)> {
    let lines = output.lines().filter(|line| line.starts_with('S'));
    let record = |line| {
        let (server, rest) = str::split_once(line, ' ').expect("a server");
        let (number, what) = rest.trim_start().split_once("  ").expect("a number");
        (server, number.parse().expect("a number"), what.split(" │ ").collect())
    };
    lines.map(record).collect()
}

/// Sender and message of a part, and whom it goes to.
fn message(part: &str) -> Option<(&str, Vec<&str>, &str)> {
    let (route, msg) = part.split_once(": ")?;
    let (from, to) = route.split_once(" → ")?;
    Some((from, to.split(' ').collect(), msg))
}

/// Every record stands once, those of a server in order, and no message arrives more often than it was sent
/// above. Returns the number of messages that are said to arrive again.
fn assert_causal(output: &str, traces: &[PathBuf]) -> usize {
    let (mut sent, mut again) = (BTreeMap::<(&str, &str, &str), usize>::new(), 0);
    let mut last = BTreeMap::<&str, usize>::new();
    for (server, number, parts) in records(output) {
        let before = last.insert(server, number).unwrap_or(0);
        assert_eq!(number, before + 1, "{server}: {parts:?}");
        if let Some((from, to, msg)) =
            message(parts[0]).filter(|(from, _, _)| from.starts_with('S'))
        {
            assert_eq!(to, [server]);
            let count = sent.get_mut(&(from, server, msg));
            let count = count.unwrap_or_else(|| panic!("{server} {number}: never sent: {msg}"));
            if parts.contains(&"it arrives again") {
                again += 1;
            } else {
                *count = count.checked_sub(1).expect("it was sent as often as it arrives");
            }
        }
        for (from, to, msg) in parts[1..].iter().filter_map(|part| message(part)) {
            assert_eq!(from, server);
            for to in to {
                *sent.entry((from, to, msg)).or_default() += 1;
            }
        }
    }
    for path in traces {
        let records = std::fs::read_to_string(path).expect("a trace").lines().count();
        let name = format!("S{}", path.file_name().expect("a name").display());
        assert_eq!(last.get(name.as_str()), Some(&records), "every record of {name} is shown");
    }
    again
}

#[test]
fn three_traces_are_shown_in_an_order_that_respects_causality() {
    let mut trio = Trio::new();
    trio.live(3_000, false);
    let paths = trio.paths();
    let output = show(&paths);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    assert_eq!(assert_causal(shown, &paths), 0);
    assert!(shown.contains("candidate ⇨ leader") && shown.contains("commit"), "{shown}");
    assert!(shown.contains("start with nothing saved") && shown.contains("entries saved"));
    assert_eq!(shown.lines().filter(|line| line.starts_with("ACCEPT ")).count(), 3);
    // In which order the files are named makes no difference to what depends on what.
    let reversed: Vec<_> = paths.iter().rev().cloned().collect();
    assert_causal(text(&show(&reversed).stdout), &paths);
}

#[test]
fn a_message_that_arrives_twice_is_said_to_arrive_again() {
    let mut trio = Trio::new();
    trio.live(1_000, true);
    let output = show(&trio.paths());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(assert_causal(text(&output.stdout), &trio.paths()) > 0);
}

#[test]
fn a_server_without_its_trace_and_a_trace_that_is_forged_are_told() {
    let mut trio = Trio::new();
    trio.live(400, false);
    let paths = trio.paths();
    // Two of three: what the third one sent simply arrives.
    let output = show(&paths[..2]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("S3 → S1: "), "{}", text(&output.stdout));
    // The trace of S1 is forged in the middle.
    let mut lines: Vec<_> =
        std::fs::read_to_string(&paths[0]).expect("a trace").lines().map(str::to_owned).collect();
    let middle = lines.len() / 2;
    lines.remove(middle);
    std::fs::write(&paths[0], lines.join("\n") + "\n").expect("it can be written");
    let output = show(&paths);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    assert!(shown.contains("the trace is not followed any further"), "{shown}");
    assert!(
        shown.contains(&format!("REJECT {}: line {}", paths[0].display(), middle + 1)),
        "{shown}"
    );
    assert_eq!(shown.lines().filter(|line| line.starts_with("ACCEPT ")).count(), 2);
}

#[test]
fn the_page_of_three_traces_has_an_arrow_for_each_message_that_arrives() {
    let mut trio = Trio::new();
    trio.live(3_000, true);
    let page = trio.directory.path().join("page.html");
    let mut raft = std::process::Command::new(env!("CARGO_BIN_EXE_raft"));
    raft.args(["trace", "--html"]).arg(&page).args(trio.paths());
    let output = raft.output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("page.html shows what the servers did"));
    let html = std::fs::read_to_string(&page).expect("the page");
    let (_, rest) = html.split_once("id=\"scene\">").expect("the data");
    let (data, _) = rest.split_once("</script>").expect("its end");
    let scene: serde_json::Value = serde_json::from_str(data).expect("JSON");
    assert_eq!(scene["kind"], "traces");
    let names: Vec<_> = scene["processes"].as_array().expect("a list").iter().collect();
    assert_eq!(names[0]["name"], "S1");
    let frames = scene["frames"].as_array().expect("a list");
    let lines: usize = trio
        .paths()
        .iter()
        .map(|path| std::fs::read_to_string(path).expect("a trace").lines().count())
        .sum();
    assert!(lines > 2_000 && frames.len() == 2_001, "{lines} records, {} frames", frames.len());
    assert!(scene["notes"].to_string().contains("The page shows the last 2000 records"));
    let mut arrows = 0;
    for (number, frame) in frames.iter().enumerate().skip(1) {
        let event = &frame["event"];
        let Some(sent) = event["sent"].as_u64() else { continue };
        let from = &frames[usize::try_from(sent).expect("small")];
        assert!(usize::try_from(sent).expect("small") < number);
        assert_eq!(from["event"]["actor"], event["from"], "{frame}");
        let list = from["sent"].as_array().expect("a list");
        let is_it = |it: &&serde_json::Value| {
            it["to"] == event["actor"] && it["message"] == event["message"]
        };
        assert!(list.iter().any(|it| is_it(&it)), "{from} does not send what {frame} gets");
        arrows += 1;
    }
    assert!(arrows > 1_000, "{arrows} arrows");
}

#[test]
fn traces_that_have_no_common_order_are_refused() {
    let trio = Trio::new();
    let paths = trio.paths();
    let output = show(&[paths[0].clone(), paths[0].clone()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("both traces of server 1"), "{}", text(&output.stderr));
    let output = show(&[paths[0].clone(), Path::new("/no such trace").to_owned()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("/no such trace: "), "{}", text(&output.stderr));
}

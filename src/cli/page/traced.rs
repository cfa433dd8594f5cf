//! Makes a scene of the traces of nodes, merged in one order that respects causality.
//!
//! `raft trace --show` prints the records, a line each. Here each record is a frame. A trace may have very
//! many records, so only the last ones become frames; what the servers were before these is the start.

use super::scene::{
    Copies, Frame, FrameKind, Happening, Named, Scene, SceneKind, Sent, State, VERSION, Verdict,
};
use super::states;
use crate::cli::Failure;
use crate::cli::trace::Verdict as TraceVerdict;
use crate::cli::trace_show::{self, How, Shown};
use checked_raft::kv::Kv;
use checked_raft::models::text::Text;
use checked_raft::raft::{Message, Persistent, Server, Timer};
use checked_raft::runtime::Event;
use stateright::actor::{Command, Id};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

/// The most records that become frames: the last ones.
const MOST_FRAMES: usize = 2000;
/// The most messages whose sending is remembered for an arrow.
const MOST_SENT: usize = 1 << 16;

/// A message on a link.
type OnLink = (Id, Id, Message);

/// The traces as far as they were read.
#[derive(Default)]
struct Reel {
    /// The number of each process, in the order in which they came up.
    numbers: BTreeMap<Id, usize>,
    /// The saved value and the armed timers of each server.
    beside: BTreeMap<Id, (Option<Persistent<Kv>>, BTreeSet<Timer>)>,
    /// The states before the first frame that is kept.
    first: BTreeMap<usize, State>,
    frames: VecDeque<Frame>,
    /// The number of records that are frames no more.
    dropped: usize,
    /// The records that sent each message and that no record has received yet.
    sent: BTreeMap<OnLink, VecDeque<usize>>,
    /// The record that sent each message last.
    latest: BTreeMap<OnLink, usize>,
    order: VecDeque<OnLink>,
}

/// Reads traces and makes a scene of them. Also returns the verdict on each trace.
pub(in crate::cli) fn scene(files: &[PathBuf]) -> Result<(Scene, Vec<TraceVerdict>), Failure> {
    let mut reel = Reel::default();
    let paths = || files.iter().map(PathBuf::as_path);
    let verdicts = trace_show::each(paths(), &mut |shown| {
        reel.take(shown);
        Ok(())
    })?;
    let mut notes: Vec<_> = paths().zip(&verdicts).map(|(path, it)| note(path, it)).collect();
    if reel.dropped > 0 {
        let shown = reel.frames.len();
        notes.push(format!(
            "The page shows the last {shown} records; {} stand before them.",
            reel.dropped
        ));
    }
    Ok((reel.scene(notes), verdicts))
}

fn note(path: &Path, verdict: &TraceVerdict) -> String {
    let path = path.display();
    match verdict {
        TraceVerdict::Accept(accepted) => {
            format!("ACCEPT {path}: the actor reproduces all {} records.", accepted.records)
        }
        TraceVerdict::Reject(rejected) => format!(
            "REJECT {path}: line {}, {}: expected {}, seen {}.",
            rejected.line, rejected.field, rejected.expected, rejected.seen
        ),
        TraceVerdict::Unreadable(error) => format!("UNREADABLE {path}: {error}."),
    }
}

impl Reel {
    /// The number of a process until all are known. All clients are one process.
    fn number(&mut self, id: Id) -> usize {
        let is_server = trace_show::name(id).starts_with('S');
        let id = if is_server { id } else { Id::from(usize::MAX) };
        let next = self.numbers.len();
        *self.numbers.entry(id).or_insert(next)
    }

    /// Gives the processes their places: servers in the order of their numbers, then clients.
    fn ordered(&mut self) -> Vec<Named> {
        let places: BTreeMap<_, _> = self.numbers.values().zip(0..).collect();
        let place = |number: &mut usize| *number = places[&*number];
        let moved = |states: &mut BTreeMap<usize, State>| {
            let all = std::mem::take(states).into_iter();
            *states = all.map(|(number, state)| (places[&number], state)).collect();
        };
        moved(&mut self.first);
        for frame in &mut self.frames {
            moved(&mut frame.states);
            frame.sent.iter_mut().for_each(|sent| place(&mut sent.to));
            match &mut frame.event {
                Some(Happening::Deliver { actor, from, .. }) => {
                    place(actor);
                    place(from);
                }
                Some(Happening::Timeout { actor, .. } | Happening::Restart { actor }) => {
                    place(actor);
                }
                None => {}
            }
        }
        let named = self.numbers.keys().map(|id| match usize::from(*id) {
            usize::MAX => Named { name: "clients".to_owned(), is_server: false },
            _ => Named { name: trace_show::name(*id), is_server: true },
        });
        named.collect()
    }

    fn take(&mut self, shown: &Shown<'_>) {
        let who = self.number(shown.server);
        let here = self.dropped + self.frames.len();
        let text = Text::<Kv>::named(trace_show::name);
        let mut words = vec![trace_show::event(&text, shown.server, &shown.record.event)];
        let change = shown.before.map(|before| text.protocol_change(before, &shown.record.after));
        let change = change.filter(|change| !change.is_empty()).map(|change| change.join(", "));
        words.extend(change.map(|change| format!("{}: {change}", trace_show::name(shown.server))));
        words.extend(text.all_sent(shown.server, &shown.record.out));
        match shown.how {
            How::Plainly => {}
            How::Again => words.push("The message arrives again.".to_owned()),
            How::Unsent => words.push("The sending of the message is in no trace here.".to_owned()),
        }
        let event = self.event(shown, &text, who);
        let sent = self.outputs(shown, &text, here);
        let state = self.state(shown.server, &shown.record.after);
        let line = usize::try_from(shown.record.line).ok();
        self.frames.push_back(Frame {
            kind: FrameKind::Step,
            number: Some(here + 1),
            line,
            command: String::new(),
            comment: None,
            text: words,
            event: Some(event),
            sent,
            lost: Vec::new(),
            states: BTreeMap::from([(who, state)]),
            labels: Vec::new(),
            rules: Vec::new(),
            verdict: Verdict::default(),
            beyond: Vec::new(),
            next: None,
        });
        if self.frames.len() > MOST_FRAMES
            && let Some(frame) = self.frames.pop_front()
        {
            self.dropped += 1;
            self.first.extend(frame.states);
        }
    }

    fn event(&mut self, shown: &Shown<'_>, text: &Text<'_, Kv>, actor: usize) -> Happening {
        let beside = self.beside.entry(shown.server).or_default();
        match &shown.record.event {
            Event::Start { storage } => {
                *beside = (storage.clone(), BTreeSet::new());
                Happening::Restart { actor }
            }
            Event::Timeout(timer) => {
                beside.1.remove(timer);
                Happening::Timeout { actor, timer: format!("{timer:?}") }
            }
            Event::Message { src, msg } => {
                let link = (*src, shown.server, msg.clone());
                let waiting = self.sent.get_mut(&link).and_then(VecDeque::pop_front);
                let sent = waiting.or_else(|| self.latest.get(&link).copied());
                let again = shown.how == How::Again;
                let (from, message) = (self.number(*src), text.message(msg));
                Happening::Deliver { actor, from, message, sent, again }
            }
        }
    }

    /// Notes everything that a record puts out, and returns the messages to processes that are shown.
    fn outputs(&mut self, shown: &Shown<'_>, text: &Text<'_, Kv>, here: usize) -> Vec<Sent> {
        let mut sent = Vec::new();
        for command in shown.record.out.iter() {
            let beside = self.beside.entry(shown.server).or_default();
            match command {
                Command::Save(saved) => beside.0 = Some(saved.clone()),
                Command::SetTimer(timer, _) => {
                    beside.1.insert(*timer);
                }
                Command::CancelTimer(timer) => {
                    beside.1.remove(timer);
                }
                Command::ChooseRandom(..) => {}
                Command::Send(to, message) => {
                    let link = (shown.server, *to, message.clone());
                    self.sent.entry(link.clone()).or_default().push_back(here);
                    self.latest.insert(link.clone(), here);
                    self.order.push_back(link);
                    if self.order.len() > MOST_SENT
                        && let Some(oldest) = self.order.pop_front()
                    {
                        self.sent.remove(&oldest);
                    }
                    sent.push(Sent { to: self.number(*to), message: text.message(message) });
                }
            }
        }
        sent
    }

    fn state(&self, id: Id, server: &Server<Kv>) -> State {
        let (saved, timers) = &self.beside[&id];
        let timers = timers.iter().map(|timer| format!("{timer:?}")).collect();
        states::of_server(&trace_show::name, server, saved.as_ref(), timers)
    }

    fn scene(mut self, notes: Vec<String>) -> Scene {
        let processes = self.ordered();
        let start = Frame {
            kind: FrameKind::Start,
            number: None,
            line: None,
            command: String::new(),
            comment: None,
            text: vec!["The traces begin.".to_owned()],
            event: None,
            sent: Vec::new(),
            lost: Vec::new(),
            states: std::mem::take(&mut self.first),
            labels: Vec::new(),
            rules: Vec::new(),
            verdict: Verdict::default(),
            beyond: Vec::new(),
            next: None,
        };
        let mut frames = vec![start];
        for mut frame in std::mem::take(&mut self.frames) {
            if let Some(Happening::Deliver { sent, .. }) = &mut frame.event {
                *sent = sent.and_then(|sent| sent.checked_sub(self.dropped)).map(|sent| sent + 1);
            }
            frames.push(frame);
        }
        let servers = processes.iter().filter(|named| named.is_server).count();
        Scene {
            version: VERSION,
            kind: SceneKind::Traces,
            title: format!("Traces of {servers} servers"),
            about: "Nodes took these steps. Traces have no clocks: the order respects what depends on what."
                .to_owned(),
            model: None,
            mutant: None,
            processes,
            properties: Vec::new(),
            rules: BTreeMap::new(),
            frames,
            narrative: None,
            violates: None,
            differs: None,
            way: None,
            stuck: None,
            notes,
            copies: Copies::default(),
            header: String::new(),
            path: None,
        }
    }
}

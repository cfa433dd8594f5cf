//! Executes a script and makes a frame of each step.
//!
//! A [`Film`] executes one line after the other. A line may take several steps, as `settle` does. The film
//! takes each of them by the one command that [`Runner::command`] gives for it. So the commands of the
//! frames, one after the other, are a script of the same path, and the page can go back to any of them. What
//! a line loses is a frame of its own.

use super::scene::{Broken, Frame, FrameKind, Happening, Lost, Next, Sent, Verdict};
use super::states;
use crate::cli::lines::Line;
use crate::cli::{play, why};
use actorcheck::{Event, Output};
use checked_raft::models::script::{Runner, without_comment};
use checked_raft::models::text::Text;
use checked_raft::models::{Cluster, ClusterAction, ClusterState, rules};
use checked_raft::raft::Message;
use stateright::actor::{Command, Id};
use std::collections::{BTreeMap, BTreeSet};

/// A message on a link.
type OnLink = (Id, Id, Message);

/// A script under way, with the frames that it has made.
pub(super) struct Film<'a> {
    cluster: &'a Cluster,
    runner: Runner<'a>,
    /// The point that `return` goes back to.
    remembered: Point<'a>,
    /// The frame that sent each message last.
    sent: BTreeMap<OnLink, usize>,
    /// The messages that were delivered.
    delivered: BTreeSet<OnLink>,
    /// The messages that were lost and not sent again.
    lost: BTreeSet<OnLink>,
    frames: Vec<Frame>,
    /// The number of steps taken.
    taken: usize,
    is_bounded: bool,
    /// The states of the frames, in their order.
    states: Vec<ClusterState>,
    /// The comment for the next frame.
    comment: Option<String>,
    /// The positions of the actions among the enabled ones, as stateright's Explorer counts them.
    positions: Option<Vec<usize>>,
}

/// A point of a script.
#[derive(Clone)]
struct Point<'a> {
    runner: Runner<'a>,
    sent: BTreeMap<OnLink, usize>,
    delivered: BTreeSet<OnLink>,
    lost: BTreeSet<OnLink>,
}

impl<'a> Film<'a> {
    /// Begins a film at the first state of a model. If the model starts from a script, that comes before.
    pub(super) fn start(
        cluster: &'a Cluster,
        prefix: &str,
        is_bounded: bool,
    ) -> Result<Self, String> {
        let started = cluster.started();
        let mut film = Self::at(cluster, started.clone(), is_bounded);
        film.push_start(&started);
        film.remembered = film.point();
        if let Some(first) = &cluster.initial {
            for line in prefix.lines() {
                film.line(None, line)?;
            }
            film.taken = 0;
            film.positions = Some(Vec::new());
            film.runner = Runner::new(cluster, first.clone());
            film.remembered = film.point();
            let is_pending = |it: &OnLink, film: &Self| film.runner.pending().contains(it);
            film.lost = film.lost.iter().filter(|it| !is_pending(it, &film)).cloned().collect();
            for frame in &mut film.frames[1..] {
                frame.kind = FrameKind::Prefix;
                frame.number = None;
                frame.command.clear();
            }
        }
        Ok(film)
    }

    fn at(cluster: &'a Cluster, state: ClusterState, is_bounded: bool) -> Self {
        let runner = Runner::new(cluster, state);
        let remembered = Point {
            runner: runner.clone(),
            sent: BTreeMap::new(),
            delivered: BTreeSet::new(),
            lost: BTreeSet::new(),
        };
        Self {
            cluster,
            runner,
            remembered,
            sent: BTreeMap::new(),
            delivered: BTreeSet::new(),
            lost: BTreeSet::new(),
            frames: Vec::new(),
            taken: 0,
            is_bounded,
            states: Vec::new(),
            comment: None,
            positions: Some(Vec::new()),
        }
    }

    fn point(&self) -> Point<'a> {
        Point {
            runner: self.runner.clone(),
            sent: self.sent.clone(),
            delivered: self.delivered.clone(),
            lost: self.lost.clone(),
        }
    }

    /// The frames so far, and the state of each.
    pub(super) fn end(self) -> (Vec<Frame>, Vec<ClusterState>) {
        (self.frames, self.states)
    }

    /// The place of the last state in stateright's Explorer, if it has one there.
    pub(super) fn path(&self) -> Option<String> {
        let positions = self.positions.as_ref()?.iter();
        Some(
            std::iter::once("0".to_owned())
                .chain(positions.map(usize::to_string))
                .collect::<Vec<_>>()
                .join("/"),
        )
    }

    /// Notes the place of a step. Stateright's Explorer goes no further once a step property is broken, and
    /// it has no step that changes nothing.
    fn note_position(&mut self, before: &ClusterState, action: &ClusterAction) {
        if self.cluster.step(before, action).is_none() {
            return;
        }
        let position = self.cluster.enabled(before).iter().position(|other| other == action);
        self.positions = self.positions.take().and_then(|mut positions| {
            positions.push(position?);
            Some(positions)
        });
    }

    /// The script under way.
    pub(super) fn runner(&self) -> &Runner<'a> {
        &self.runner
    }

    /// Executes a line of the script. A comment goes with the frame that follows it.
    pub(super) fn line(&mut self, number: Option<usize>, line: &str) -> Result<(), String> {
        if let Some(comment) = comment_of(line) {
            let before = self.comment.take().map(|before| before + " ").unwrap_or_default();
            self.comment = Some(before + comment);
        }
        match Line::of(line, &self.cluster.names) {
            Line::Nothing | Line::Logs => {}
            Line::Remember => {
                self.remembered = self.point();
                self.push_note(number, "remember", "This point is noted for `return`.", Vec::new());
            }
            Line::Return => {
                self.positions = None;
                let Point { runner, sent, delivered, lost } = self.remembered.clone();
                (self.runner, self.sent) = (runner, sent);
                (self.delivered, self.lost) = (delivered, lost);
                let text = "Everything is as it was where the script said `remember`.";
                self.push_note(number, "return", text, Vec::new());
                let all = 0..self.cluster.names.len();
                let states = all.map(|n| (n, self.state_of(n))).collect();
                self.frames.last_mut().expect("it was just pushed").states = states;
            }
            Line::Commands(commands) => {
                for command in commands {
                    self.command(number, command)?;
                }
            }
        }
        Ok(())
    }

    /// Executes a command: first as it stands, to learn which steps it takes, and then step by step.
    fn command(&mut self, number: Option<usize>, command: &str) -> Result<(), String> {
        let mut ahead = self.runner.clone();
        let before = ahead.steps().len();
        let ran = ahead.line(command);
        let steps: Vec<_> =
            ahead.steps()[before..].iter().map(|(action, _)| action.clone()).collect();
        let takes_none = steps.is_empty();
        for action in steps {
            self.step(number, &action)?;
        }
        ran?;
        let left: BTreeSet<_> = ahead.pending().iter().cloned().collect();
        let gone: Vec<_> = self.runner.pending().iter().filter(|it| !left.contains(it)).collect();
        let gone: Vec<OnLink> = gone.into_iter().cloned().collect();
        if command.trim() == "lose-network" {
            self.positions = None;
        }
        if takes_none {
            self.runner = ahead;
            self.lose(&gone);
            self.push_note(number, command, note(command, gone.is_empty()), gone);
        } else if !gone.is_empty() {
            self.runner = ahead;
            self.lose(&gone);
            self.push_note(number, "lose", "Whatever cannot arrive any more is lost.", gone);
        }
        Ok(())
    }

    fn lose(&mut self, gone: &[OnLink]) {
        self.lost.extend(gone.iter().cloned());
    }

    /// Takes one step.
    fn step(&mut self, line: Option<usize>, action: &ClusterAction) -> Result<(), String> {
        let command = self.runner.command(action);
        let before = self.runner.state().clone();
        self.runner.line(&command)?;
        let after = self.runner.state().clone();
        self.taken += 1;
        self.note_position(&before, action);
        let event = self.event(action);
        let comment = self.comment.take();
        let here = self.frames.len();
        let outputs = self.cluster.outputs(&before, action);
        let mut sent = Vec::new();
        for output in outputs.iter() {
            let Command::Send(to, message) = output else { continue };
            if usize::from(*to) >= self.cluster.names.len() {
                continue;
            }
            let envelope = (action.who, *to, message.clone());
            self.lost.remove(&envelope);
            self.sent.insert(envelope, here);
            sent.push(Sent { to: usize::from(*to), message: self.words(message) });
        }
        let who = usize::from(action.who);
        let step = Output {
            who: action.who,
            event: &action.event,
            before: before.view().local(who),
            after: after.view().local(who),
            out: &outputs,
        };
        let (labels, rules) = rules::of_step(self.cluster, &step);
        let beyond = self.beyond(Some(action), &after);
        self.frames.push(Frame {
            kind: FrameKind::Step,
            number: Some(self.taken),
            line,
            command,
            comment,
            text: Text::of(self.cluster).step(self.cluster, &before, action, &after),
            event: Some(event),
            sent,
            lost: Vec::new(),
            states: BTreeMap::from([(who, self.state_of(who))]),
            labels,
            rules,
            verdict: self.verdict(&after),
            beyond,
            next: None,
        });
        self.states.push(after);
        Ok(())
    }

    fn event(&mut self, action: &ClusterAction) -> Happening {
        let actor = usize::from(action.who);
        match &action.event {
            Event::Deliver { src, msg } => {
                let link = (*src, action.who, msg.clone());
                let sent = self.sent.get(&link).copied();
                let (from, message) = (usize::from(*src), self.words(msg));
                let again = !self.delivered.insert(link);
                Happening::Deliver { actor, from, message, sent, again }
            }
            Event::Timeout(timer) => Happening::Timeout { actor, timer: format!("{timer:?}") },
            Event::Choose { .. } => unreachable!("no process draws lots"),
            Event::Restart => Happening::Restart { actor },
        }
    }

    fn words(&self, message: &Message) -> String {
        Text::of(self.cluster).message(message)
    }

    fn state_of(&self, number: usize) -> super::scene::State {
        states::of_process(self.cluster, self.runner.state(), number)
    }

    fn beyond(&self, action: Option<&ClusterAction>, state: &ClusterState) -> Vec<String> {
        if self.is_bounded { play::beyond(self.cluster, action, state) } else { Vec::new() }
    }

    fn push_start(&mut self, state: &ClusterState) {
        for link in self.runner.pending() {
            self.sent.insert(link.clone(), 0);
        }
        let sent = self
            .runner
            .pending()
            .iter()
            .map(|(_, to, message)| Sent { to: usize::from(*to), message: self.words(message) });
        let sent = sent.collect();
        let all = 0..self.cluster.names.len();
        self.frames.push(Frame {
            kind: FrameKind::Start,
            states: all.map(|n| (n, self.state_of(n))).collect(),
            text: vec!["All processes have just started.".to_owned()],
            verdict: self.verdict(state),
            sent,
            ..self.empty(None)
        });
        self.states.push(state.clone());
    }

    /// A frame of something that is no step. A message that is lost comes from the frame that sent it.
    fn push_note(&mut self, line: Option<usize>, command: &str, text: &str, gone: Vec<OnLink>) {
        let lost = gone.into_iter().map(|link| Lost {
            from: usize::from(link.0),
            to: usize::from(link.1),
            message: self.words(&link.2),
            sent: self.sent.get(&link).copied(),
        });
        let lost = lost.collect();
        let comment = self.comment.take();
        let state = self.runner.state().clone();
        self.frames.push(Frame {
            command: command.to_owned(),
            comment,
            text: vec![command.to_owned(), text.to_owned()],
            verdict: self.verdict(&state),
            lost,
            ..self.empty(line)
        });
        self.states.push(state);
    }

    fn empty(&self, line: Option<usize>) -> Frame {
        Frame {
            kind: FrameKind::Note,
            number: None,
            line,
            command: String::new(),
            comment: None,
            text: Vec::new(),
            event: None,
            sent: Vec::new(),
            lost: Vec::new(),
            states: BTreeMap::new(),
            labels: Vec::new(),
            rules: Vec::new(),
            verdict: Verdict::default(),
            beyond: self.beyond(None, self.runner.state()),
            next: None,
        }
    }

    fn verdict(&self, state: &ClusterState) -> Verdict {
        let view = state.view();
        let broken = self.cluster.broken(state).into_iter().map(|property| Broken {
            property,
            sentence: why::sentence(self.cluster, property, state),
        });
        let broken = broken.collect();
        let sometimes = self.cluster.sometimes.iter();
        let examples = sometimes.filter(|it| it.holds.holds(&view)).map(|it| it.name).collect();
        Verdict { broken, examples, recovers: None }
    }

    /// Says in the last frame which steps can follow. A message that was lost is not among them.
    pub(super) fn look_ahead(&mut self) {
        let actions = self.runner.actions();
        let next = actions.iter().filter_map(|action| self.next(action)).collect();
        if let Some(last) = self.frames.last_mut() {
            last.next = Some(next);
        }
    }

    fn next(&self, action: &ClusterAction) -> Option<Next> {
        let command = self.runner.command(action);
        let state = self.runner.state();
        let (kind, from, what, sent, lose) = match &action.event {
            Event::Deliver { src, msg } => {
                let link = (*src, action.who, msg.clone());
                let is_pending = command.starts_with("deliver");
                if !is_pending && self.lost.contains(&link) {
                    return None;
                }
                let lose = is_pending.then(|| command.replacen("deliver", "drop", 1));
                let kind = if is_pending { "deliver" } else { "redeliver" };
                let sent = self.sent.get(&link).copied();
                (kind, Some(usize::from(*src)), self.words(msg), sent, lose)
            }
            Event::Timeout(timer) => ("timeout", None, format!("{timer:?}"), None, None),
            Event::Choose { .. } => unreachable!("no process draws lots"),
            Event::Restart => ("restart", None, String::new(), None, None),
        };
        let changes = self.cluster.step(state, action).is_some_and(|next| next != *state);
        let has_effect = changes || !self.cluster.outputs(state, action).is_empty();
        let actor = usize::from(action.who);
        Some(Next { command, actor, kind, from, what, sent, has_effect, lose })
    }
}

/// The comment of a line, if it has one. `#=` begins an order to the store beside a story.
fn comment_of(line: &str) -> Option<&str> {
    let command = without_comment(line);
    let comment = line.trim_start().strip_prefix(command)?.trim().strip_prefix('#')?.trim();
    (!comment.is_empty() && !comment.starts_with('=')).then_some(comment)
}

/// What a command does that takes no step.
fn note(command: &str, is_idle: bool) -> &'static str {
    match command.split_whitespace().next() {
        Some("drop" | "lose" | "lose-network" | "settle") if is_idle => {
            "There was nothing to lose."
        }
        Some("drop") => "The network has lost this message.",
        Some("lose-network") => "The network has lost every message that was ever sent.",
        Some("lose") => "The network has lost all messages that have not arrived.",
        Some("partition") => "From here on messages pass only inside a group.",
        Some("heal") => "Messages pass everywhere again.",
        _ => "Nothing happens.",
    }
}

impl Film<'_> {
    /// The last frame.
    pub(super) fn last(&self) -> Option<&Frame> {
        self.frames.last()
    }
}

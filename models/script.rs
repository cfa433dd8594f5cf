//! Scripts: a scenario as plain text, executed on a model step by step.
//!
//! A script is a list of commands, one on each line. A [`Runner`] executes them. It keeps a list of the
//! messages that were sent and that the script has not yet delivered, oldest first. The network of the model
//! keeps all messages for ever.
//!
//! ```text
//! timeout S0              the armed timer of S0 fires
//! timeout S0 Heartbeat    that timer fires: Election or Heartbeat of a server, Retry of a client; Flush of a
//!                         mutant that writes late
//! deliver S0 S1           the oldest undelivered message from S0 arrives at S1
//! deliver S0 S1 TEXT      the undelivered one whose text contains TEXT arrives
//! deliver S0 S1 all       all undelivered messages from S0 arrive at S1, also those sent meanwhile
//! redeliver S0 S1 TEXT    a message that was sent, delivered or not, arrives: its text contains TEXT
//! drop S0 S1              the oldest undelivered message from S0 to S1 is forgotten
//! drop S0 S1 TEXT         the undelivered one whose text contains TEXT is forgotten
//! lose                    all undelivered messages are forgotten
//! lose-network            every message ever sent is lost for good
//! restart S1              S1 crashes and starts from what it saved
//! partition S0 | S1 S2    from now on messages pass only inside a group
//! heal                    messages pass everywhere again
//! settle                  delivers all messages that pass until none is left; the rest is forgotten
//! settle S0 S1 S2         delivers those between S0, S1, S2 until none is left; others stay undelivered
//! ```
//!
//! TEXT is compared with the text that a counterexample shows for a message, such as `RequestVote t1, last
//! entry 0`. If several messages have one text, ` (2)` and so on follow the later ones. A comment begins with
//! a `#` between spaces or at the start of a line. So the `#` in the message `Register #1` begins no comment.

use super::process::ProcessTimer;
use super::text::Text;
use super::{Cluster, ClusterAction, ClusterState};
use crate::kv::Kv;
use crate::raft::Message;
use crate::state_machine::StateMachine;
use actorcheck::{Action, Event};
use stateright::actor::{Command, Id};
use std::collections::{BTreeMap, BTreeSet};

/// The form of each command.
const FORMS: [&str; 10] = [
    "timeout WHO [TIMER]",
    "deliver FROM TO [TEXT | all]",
    "redeliver FROM TO TEXT",
    "drop FROM TO [TEXT]",
    "lose",
    "lose-network",
    "restart WHO",
    "partition WHO... | WHO...",
    "heal",
    "settle [WHO...]",
];

/// A line of a script without its comment, which begins with a `#` between spaces or at the start.
pub fn without_comment(line: &str) -> &str {
    let is_blank = |text: &str| text.is_empty() || text.starts_with(char::is_whitespace);
    let is_comment = |at: &usize| {
        let (before, after) = (&line[..*at], &line[at + 1..]);
        before.trim().is_empty() || before.ends_with(char::is_whitespace) && is_blank(after)
    };
    let comment = line.match_indices('#').map(|(at, _)| at).find(is_comment);
    line[..comment.unwrap_or(line.len())].trim()
}

/// An execution of a script. A clone goes on by itself from the state that was reached.
#[derive(Clone)]
pub struct Runner<'a, S: StateMachine = Kv> {
    cluster: &'a Cluster<S>,
    state: ClusterState<S>,
    /// Messages sent and not yet delivered by the script, oldest first.
    pending: Vec<(Id, Id, Message)>,
    /// The groups inside which messages pass. If there are none, messages pass everywhere.
    groups: Vec<BTreeSet<Id>>,
    steps: Vec<(ClusterAction, ClusterState<S>)>,
}

impl<'a, S: StateMachine> Runner<'a, S> {
    /// Begins an execution at a state. The messages of the state count as undelivered.
    pub fn new(cluster: &'a Cluster<S>, state: ClusterState<S>) -> Self {
        let mut pending: Vec<_> =
            state.messages().map(|(src, dst, msg)| (src, dst, msg.clone())).collect();
        pending.sort_unstable();
        Self { cluster, state, pending, groups: Vec::new(), steps: Vec::new() }
    }

    /// The state that the script has reached.
    pub fn state(&self) -> &ClusterState<S> {
        &self.state
    }

    /// The steps taken so far, each with the state it led to.
    pub fn steps(&self) -> &[(ClusterAction, ClusterState<S>)] {
        &self.steps
    }

    /// The messages sent and not yet delivered by the script, oldest first.
    pub fn pending(&self) -> &[(Id, Id, Message)] {
        &self.pending
    }

    /// Runs a whole script; an error says in which line.
    pub fn run(&mut self, script: &str) -> Result<(), String> {
        for (number, line) in script.lines().enumerate() {
            self.line(line).map_err(|error| format!("line {}: `{line}`: {error}", number + 1))?;
        }
        Ok(())
    }

    /// Runs one line.
    pub fn line(&mut self, line: &str) -> Result<(), String> {
        let mut words = without_comment(line).split_whitespace();
        let Some(verb) = words.next() else { return Ok(()) };
        let words: Vec<_> = words.collect();
        match (verb, &words[..]) {
            ("timeout", [who]) => self.timeout(self.id(who)?, None),
            ("timeout", [who, timer]) => self.timeout(self.id(who)?, Some(timer)),
            ("restart", [who]) => {
                let who = self.id(who)?;
                self.take(Action { who, event: Event::Restart });
                Ok(())
            }
            ("deliver", [src, dst]) => self.deliver(self.id(src)?, self.id(dst)?),
            ("deliver", [src, dst, "all"]) => {
                let (src, dst) = (self.id(src)?, self.id(dst)?);
                while self.oldest(src, dst).is_some() {
                    self.deliver(src, dst)?;
                }
                Ok(())
            }
            ("deliver", [src, dst, text @ ..]) => {
                self.deliver_one(self.id(src)?, self.id(dst)?, &text.join(" "))
            }
            ("redeliver", [src, dst, text @ ..]) if !text.is_empty() => {
                self.redeliver(self.id(src)?, self.id(dst)?, &text.join(" "))
            }
            ("drop", [src, dst]) => {
                let (src, dst) = (self.id(src)?, self.id(dst)?);
                let found = self.oldest(src, dst).ok_or_else(|| self.nothing_from(src, dst))?;
                self.pending.remove(found);
                Ok(())
            }
            ("drop", [src, dst, text @ ..]) => {
                let found = self.undelivered_one(self.id(src)?, self.id(dst)?, &text.join(" "))?;
                self.pending.remove(found);
                Ok(())
            }
            ("lose", []) => {
                self.pending.clear();
                Ok(())
            }
            ("lose-network", []) => {
                self.pending.clear();
                self.state = self.state.clone().with_messages_lost();
                Ok(())
            }
            ("partition", groups) if !groups.is_empty() => self.partition(groups),
            ("heal", []) => {
                self.groups.clear();
                Ok(())
            }
            ("settle", []) => {
                self.settle(|_| true)?;
                self.pending.clear();
                Ok(())
            }
            ("settle", names) => {
                let ids = names.iter().map(|name| self.id(name)).collect::<Result<Vec<_>, _>>()?;
                self.settle(|id| ids.contains(&id))
            }
            _ => Err(misspelt(verb)),
        }
    }

    fn id(&self, name: &str) -> Result<Id, String> {
        let position = self.cluster.names.iter().position(|known| known == name);
        let names = self.cluster.names.join(", ");
        position.map(Id::from).ok_or(format!("`{name}` is none of {names}"))
    }

    fn oldest(&self, src: Id, dst: Id) -> Option<usize> {
        self.pending.iter().position(|(from, to, _)| (*from, *to) == (src, dst))
    }

    fn passes(&self, src: Id, dst: Id) -> bool {
        self.groups.is_empty() || self.groups.iter().any(|g| g.contains(&src) && g.contains(&dst))
    }

    /// Lets a timer fire: the one of this name, or else the only one that is armed.
    fn timeout(&mut self, who: Id, name: Option<&str>) -> Result<(), String> {
        let armed = self.armed(who);
        let named = |timer: &&ProcessTimer| name.is_none_or(|name| format!("{timer:?}") == name);
        let list = armed.iter().map(|timer| format!("{timer:?}")).collect::<Vec<_>>().join(" and ");
        let known = self.cluster.name_of(who);
        match armed.iter().filter(named).collect::<Vec<_>>()[..] {
            [timer] => {
                self.take(Action { who, event: Event::Timeout(*timer) });
                Ok(())
            }
            [] if armed.is_empty() => Err(format!("no timer of {known} is armed")),
            [] => Err(format!("{known} has no such timer armed; {list} is")),
            _ => Err(format!("{list} of {known} are armed: name one of them")),
        }
    }

    /// The armed timers of a process, in order.
    fn armed(&self, who: Id) -> Vec<ProcessTimer> {
        let view = self.state.view();
        let mut armed: Vec<_> = view.local(usize::from(who)).timers.iter().copied().collect();
        armed.sort_unstable();
        armed
    }

    fn nothing_from(&self, src: Id, dst: Id) -> String {
        let [src, dst] = [src, dst].map(|id| self.cluster.name_of(id));
        format!("there is no undelivered message from {src} to {dst}")
    }

    fn deliver(&mut self, src: Id, dst: Id) -> Result<(), String> {
        let position = self.oldest(src, dst).ok_or_else(|| self.nothing_from(src, dst))?;
        self.deliver_at(position)
    }

    fn deliver_one(&mut self, src: Id, dst: Id, text: &str) -> Result<(), String> {
        let found = self.undelivered_one(src, dst, text)?;
        self.deliver_at(found)
    }

    /// The position of the undelivered message with this text.
    fn undelivered_one(&self, src: Id, dst: Id, text: &str) -> Result<usize, String> {
        if self.oldest(src, dst).is_none() {
            return Err(self.nothing_from(src, dst));
        }
        let found = self.find(self.undelivered(src, dst), text);
        let msg = found.map_err(|how| self.unfound("undelivered ", how, src, dst))?;
        let found = self.pending.iter().position(|it| *it == (src, dst, msg.clone()));
        Ok(found.expect("it is one of them"))
    }

    fn deliver_at(&mut self, position: usize) -> Result<(), String> {
        let (src, dst, _) = self.pending[position];
        if !self.passes(src, dst) {
            return Err("a partition stands between them".to_owned());
        }
        let (_, _, msg) = self.pending.remove(position);
        self.take(Action { who: dst, event: Event::Deliver { src, msg } });
        Ok(())
    }

    fn redeliver(&mut self, src: Id, dst: Id, text: &str) -> Result<(), String> {
        let found = self.find(self.sent(src, dst), text);
        let msg = found.map_err(|how| self.unfound("", how, src, dst))?;
        self.take(Action { who: dst, event: Event::Deliver { src, msg } });
        Ok(())
    }

    /// The undelivered messages between two processes.
    fn undelivered(&self, src: Id, dst: Id) -> Vec<Message> {
        let between = self.pending.iter().filter(|(from, to, _)| (*from, *to) == (src, dst));
        between.map(|(_, _, msg)| msg.clone()).collect()
    }

    /// The messages between two processes that the network has.
    fn sent(&self, src: Id, dst: Id) -> Vec<Message> {
        let between = self.state.messages().filter(|(from, to, _)| (*from, *to) == (src, dst));
        between.map(|(_, _, msg)| msg.clone()).collect()
    }

    /// Messages with their texts, no two of them alike.
    fn labelled(&self, mut messages: Vec<Message>) -> Vec<(String, Message)> {
        messages.sort_unstable();
        messages.dedup();
        let mut seen = BTreeMap::new();
        let labelled = messages.into_iter().map(|msg| {
            let text = Text::of(self.cluster).message(&msg);
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let number = seen.entry(text.clone()).and_modify(|number| *number += 1).or_insert(1);
            let label = if *number == 1 { text } else { format!("{text} ({number})") };
            (label, msg)
        });
        labelled.collect()
    }

    /// The one message with this text, or else the one whose text contains it.
    /// An error is the number of those, if it is not one.
    fn find(&self, messages: Vec<Message>, text: &str) -> Result<Message, usize> {
        let mut labelled = self.labelled(messages);
        if let Some(exact) = labelled.iter().position(|(label, _)| label == text) {
            return Ok(labelled.swap_remove(exact).1);
        }
        labelled.retain(|(label, msg)| label.contains(text) || format!("{msg:?}").contains(text));
        match labelled.pop() {
            Some((_, msg)) if labelled.is_empty() => Ok(msg),
            Some(_) => Err(labelled.len() + 1),
            None => Err(0),
        }
    }

    fn unfound(&self, kind: &str, found: usize, src: Id, dst: Id) -> String {
        let [src, dst] = [src, dst].map(|id| self.cluster.name_of(id));
        match found {
            0 => format!("no {kind}message from {src} to {dst} has that text"),
            _ => format!(
                "{found} {kind}messages from {src} to {dst} contain that text, give more of it"
            ),
        }
    }

    /// The command that takes this step here, and no other.
    pub fn command(&self, action: &ClusterAction) -> String {
        let who = self.cluster.name_of(action.who);
        let (src, msg) = match &action.event {
            Event::Deliver { src, msg } => (*src, msg),
            Event::Timeout(timer) => return format!("timeout {who} {timer:?}"),
            Event::Choose { .. } => unreachable!("no process draws lots"),
            Event::Restart => return format!("restart {who}"),
        };
        let undelivered = self.undelivered(src, action.who);
        let (verb, messages) = if undelivered.contains(msg) {
            ("deliver", undelivered)
        } else {
            ("redeliver", self.sent(src, action.who))
        };
        let labelled = self.labelled(messages);
        let label = labelled.iter().find(|(_, it)| it == msg).map_or("", |(label, _)| label);
        format!("{verb} {} {who} {label}", self.cluster.name_of(src))
    }

    /// The steps that are possible here: those of the model, but for deliveries that a partition prevents.
    pub fn actions(&self) -> Vec<ClusterAction> {
        let passes = |action: &ClusterAction| match &action.event {
            Event::Deliver { src, .. } => self.passes(*src, action.who),
            _ => true,
        };
        self.cluster.enabled(&self.state).into_iter().filter(passes).collect()
    }

    /// The commands that are possible here, each of them one step: first what has not been done before.
    pub fn possible(&self) -> Vec<String> {
        let mut commands: Vec<_> =
            self.actions().iter().map(|action| self.command(action)).collect();
        commands.sort_by_key(|command| command.starts_with("redeliver"));
        commands
    }

    fn partition(&mut self, groups: &[&str]) -> Result<(), String> {
        let groups = groups.split(|word| *word == "|");
        let ids = |group: &[&str]| group.iter().map(|name| self.id(name)).collect();
        self.groups = groups.map(ids).collect::<Result<_, String>>()?;
        Ok(())
    }

    /// Delivers messages that pass between processes of `among` until none is left. Messages that call for
    /// each other for ever are an error.
    fn settle(&mut self, among: impl Fn(Id) -> bool) -> Result<(), String> {
        for _ in 0..10_000 {
            let next = self
                .pending
                .iter()
                .position(|(src, dst, _)| among(*src) && among(*dst) && self.passes(*src, *dst));
            let Some(position) = next else { return Ok(()) };
            let (src, dst, msg) = self.pending.remove(position);
            self.take(Action { who: dst, event: Event::Deliver { src, msg } });
        }
        Err("messages do not come to an end".to_owned())
    }

    /// Takes one step of the model. A step that changes nothing leaves the state as it is.
    fn take(&mut self, action: ClusterAction) {
        let outputs = self.cluster.outputs(&self.state, &action);
        if let Some(next) = self.cluster.step(&self.state, &action) {
            self.state = next;
        }
        for command in outputs {
            if let Command::Send(to, msg) = command
                && usize::from(to) < self.cluster.names.len()
            {
                self.pending.push((action.who, to, msg));
            }
        }
        self.steps.push((action, self.state.clone()));
    }
}

/// The error for a line that is no command.
fn misspelt(verb: &str) -> String {
    let verbs = FORMS.map(|form| form.split(' ').next().unwrap_or_default());
    match FORMS.iter().zip(verbs).find(|(_, known)| *known == verb) {
        Some((form, _)) => format!("expected `{form}`"),
        None => format!("`{verb}` is no command; the commands are {}", verbs.join(", ")),
    }
}

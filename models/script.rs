//! Scripts: a scenario as plain text, executed on a model step by step.
//!
//! A script is a list of commands, one a line; `#` starts a comment. A [`Runner`] executes them. It keeps a
//! list of the messages that were sent and that the script has not yet delivered, oldest first. The network
//! of the model keeps all messages for ever.
//!
//! ```text
//! timeout S0              the armed timer of S0 fires
//! deliver S0 S1           the oldest undelivered message from S0 arrives at S1
//! deliver S0 S1 all       all undelivered messages from S0 arrive at S1, also those sent meanwhile
//! redeliver S0 S1 TEXT    a message delivered before arrives again: the one whose text contains TEXT
//! drop S0 S1              the oldest undelivered message from S0 to S1 is forgotten
//! lose                    all undelivered messages are forgotten
//! lose-network            every message ever sent is lost for good
//! restart S1              S1 crashes and starts from what it saved
//! partition S0 | S1 S2    from now on messages pass only inside a group
//! heal                    messages pass everywhere again
//! settle                  delivers all messages that pass until none is left; the rest is forgotten
//! settle S0 S1 S2         delivers those between S0, S1, S2 until none is left; others stay undelivered
//! ```

use super::member::Replicated;
use super::{Cluster, ClusterAction, ClusterState};
use crate::kv::Kv;
use crate::raft::Message;
use actorcheck::{Action, Event};
use stateright::actor::{Command, Id};
use std::collections::BTreeSet;

/// An execution of a script. A clone goes on from the state reached, on its own.
#[derive(Clone)]
pub struct Runner<'a, S: Replicated = Kv> {
    cluster: &'a Cluster<S>,
    state: ClusterState<S>,
    /// Messages sent and not yet delivered by the script, oldest first.
    pending: Vec<(Id, Id, Message)>,
    /// The groups inside which messages pass. If there are none, messages pass everywhere.
    groups: Vec<BTreeSet<Id>>,
    steps: Vec<(ClusterAction, ClusterState<S>)>,
}

impl<'a, S: Replicated> Runner<'a, S> {
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
        let line = line.split('#').next().unwrap_or_default().trim();
        let mut words = line.split_whitespace();
        let Some(verb) = words.next() else { return Ok(()) };
        let words: Vec<_> = words.collect();
        match (verb, &words[..]) {
            ("timeout", [who]) => self.timeout(self.id(who)?),
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
            ("redeliver", [src, dst, text @ ..]) => {
                self.redeliver(self.id(src)?, self.id(dst)?, &text.join(" "))
            }
            ("drop", [src, dst]) => {
                let found = self.oldest(self.id(src)?, self.id(dst)?);
                self.pending.remove(found.ok_or("there is no such message")?);
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
            ("partition", groups) => self.partition(groups),
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
            _ => Err("not a command of a script".to_owned()),
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

    fn timeout(&mut self, who: Id) -> Result<(), String> {
        let view = self.state.view();
        let local = view.local(usize::from(who));
        let timer = *local.timers.iter().next().ok_or("no timer is armed")?;
        self.take(Action { who, event: Event::Timeout(timer) });
        Ok(())
    }

    fn deliver(&mut self, src: Id, dst: Id) -> Result<(), String> {
        if !self.passes(src, dst) {
            return Err("a partition stands between them".to_owned());
        }
        let position = self.oldest(src, dst).ok_or("there is no such message")?;
        let (_, _, msg) = self.pending.remove(position);
        self.take(Action { who: dst, event: Event::Deliver { src, msg } });
        Ok(())
    }

    fn redeliver(&mut self, src: Id, dst: Id, text: &str) -> Result<(), String> {
        let mut found: Vec<_> = self
            .state
            .messages()
            .filter(|(from, to, msg)| {
                (*from, *to) == (src, dst) && format!("{msg:?}").contains(text)
            })
            .map(|(_, _, msg)| msg.clone())
            .collect();
        found.sort_unstable();
        match found.pop() {
            Some(msg) if found.is_empty() => {
                self.take(Action { who: dst, event: Event::Deliver { src, msg } });
                Ok(())
            }
            Some(_) => Err(format!("{} messages contain that text", found.len() + 1)),
            None => Err("no message contains that text".to_owned()),
        }
    }

    fn partition(&mut self, groups: &[&str]) -> Result<(), String> {
        let groups = groups.split(|word| *word == "|");
        let ids = |group: &[&str]| group.iter().map(|name| self.id(name)).collect();
        self.groups = groups.map(ids).collect::<Result<_, String>>()?;
        Ok(())
    }

    /// Delivers messages that pass between members of `among` until none is left. Messages that call for
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

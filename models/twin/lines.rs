//! The canonical text of every state of a model.

use super::explore::{Exploration, OwnedLocal};
use super::value::{Value, function_text, set_text};
use super::variables::{Features, action_name};
use crate::models::spec::Spec;
use std::borrow::Cow;

/// Writes the states and steps of a model in the notation of the specification.
pub struct Lines<'a> {
    exploration: &'a Exploration,
    servers: usize,
    /// The number of each process as a value.
    ids: Vec<Value>,
    /// The text of each local state, and of each message.
    locals: Vec<String>,
    messages: Vec<String>,
}

impl<'a> Lines<'a> {
    /// Prepares to write what was explored of a model.
    pub fn new(spec: &Spec, exploration: &'a Exploration) -> Self {
        let features = Features::of(spec);
        let process =
            |local: &OwnedLocal| features.process(&local.state, &local.timers).to_string();
        let messages = exploration.messages().iter();
        Self {
            exploration,
            servers: spec.servers,
            ids: (0..).take(spec.servers + spec.clients.len()).map(Value::Int).collect(),
            locals: exploration.locals().iter().map(process).collect(),
            messages: messages
                .map(|(src, dst, msg)| features.message(*src, *dst, msg).to_string())
                .collect(),
        }
    }

    /// The line of a state: its variables by name.
    pub fn state(&self, state: u32) -> String {
        let (locals, messages) = self.exploration.parts(state);
        let locals = locals.iter().map(|it| Cow::Borrowed(self.locals[*it as usize].as_str()));
        let mut servers: Vec<_> = self.ids.iter().zip(locals).collect();
        let clients = servers.split_off(self.servers);
        let mut messages: Vec<_> =
            messages.iter().map(|it| Cow::Borrowed(self.messages[*it as usize].as_str())).collect();
        messages.sort_unstable();
        // Two messages that differ may be one to the specification.
        messages.dedup();
        format!(
            "client = {} /\\ messages = {} /\\ server = {}",
            function_text(&clients),
            set_text(messages.into_iter()),
            function_text(&servers),
        )
    }

    /// The lines of all states. Those that the specification cannot tell apart are equal.
    pub fn states(&self) -> impl Iterator<Item = String> {
        let numbers = 0..u32::try_from(self.exploration.len()).expect("states have numbers");
        numbers.map(|it| self.state(it))
    }

    /// The name of an action.
    pub(super) fn action(&self, action: u32) -> &'static str {
        action_name(self.exploration.action(action))
    }
}

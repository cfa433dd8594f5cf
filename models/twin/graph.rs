//! State graphs, of a model and of the specification, and their difference.
//!
//! A [`Graph`] has states and labelled edges. A state is its canonical text, which stands once in the
//! [`Texts`] that both graphs share. So to compare two graphs is to compare sets of numbers. Edges from a
//! state to itself do not exist.

use super::explore::{Exploration, Step};
use super::lines::Lines;
use super::numbered::Numbered;
use super::value::Assignment;
use crate::models::text::Text;
use std::collections::BTreeSet;
use std::fmt::Write;

/// The texts of states and the names of actions, which graphs refer to by number.
#[derive(Default)]
pub struct Texts {
    pub(super) states: Numbered<String>,
    pub(super) actions: Numbered<String>,
}

/// An edge: the state that it leaves, the name of its action, and the state that it leads to.
pub type Edge = (u32, u32, u32);

/// A state graph.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// The states to start from.
    pub initial: BTreeSet<u32>,
    /// All states.
    pub states: BTreeSet<u32>,
    /// All edges.
    pub edges: BTreeSet<Edge>,
}

/// One of the two that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The model, whose servers are the actors of this crate.
    Model,
    /// The specification in TLA+.
    Specification,
}

/// What one side has and the other side lacks. It is one of those that the fewest steps lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Only this side starts from this state.
    Initial(Side, u32),
    /// Only this side has this edge. The state of the model with the number `from` is the one that it leaves.
    Edge {
        /// The side that has the edge.
        side: Side,
        /// The edge.
        edge: Edge,
        /// The number of the state in the exploration of the model.
        from: u32,
        /// Whether the other side also lacks the state that the edge leads to.
        leads_to_new: bool,
    },
    /// The specification has this many states and edges to which no path of it leads.
    Unreached {
        /// The number of states.
        states: usize,
        /// The number of edges.
        edges: usize,
    },
}

impl Texts {
    /// The text of a state.
    pub fn state(&self, state: u32) -> &str {
        &self.states.values()[state as usize]
    }

    /// The name of an action.
    pub fn action(&self, action: u32) -> &str {
        &self.actions.values()[action as usize]
    }

    /// The state with its variables.
    fn assignment(&self, state: u32) -> Assignment {
        self.state(state).parse().expect("canonical text is read again")
    }
}

impl Graph {
    /// The edges that leave a state.
    fn leaving(&self, state: u32) -> impl Iterator<Item = Edge> {
        self.edges.range((state, 0, 0)..=(state, u32::MAX, u32::MAX)).copied()
    }
}

/// The graph of a model with the exploration behind it.
pub struct ModelGraph<'a> {
    exploration: &'a Exploration,
    /// The graph.
    pub graph: Graph,
    /// The number of the text of each state of the exploration.
    of_state: Vec<u32>,
    /// The number of the name of each action that was used.
    of_action: Vec<u32>,
}

impl<'a> ModelGraph<'a> {
    /// The graph of what was explored.
    pub fn new(exploration: &'a Exploration, lines: &Lines<'_>, texts: &mut Texts) -> Self {
        let of_state: Vec<_> = lines.states().map(|line| texts.states.number(line)).collect();
        let actions = 0..exploration.actions_len();
        let of_action: Vec<_> =
            actions.map(|it| texts.actions.number(lines.action(it).to_owned())).collect();
        let mut graph = Graph::default();
        graph.initial.extend(of_state.first());
        graph.states.extend(&of_state);
        let mut model = Self { exploration, graph, of_state, of_action };
        let edges = exploration.steps().iter().map(|step| model.edge(*step));
        model.graph.edges = edges.filter(|(from, _, to)| from != to).collect();
        model
    }

    fn edge(&self, Step { from, action, to }: Step) -> Edge {
        let state = |it: u32| self.of_state[it as usize];
        (state(from), self.of_action[action as usize], state(to))
    }

    /// How many states of the model share their text with another one. The specification cannot tell these
    /// apart.
    pub fn alike(&self) -> usize {
        self.of_state.len() - self.graph.states.len()
    }

    /// The difference to the graph of the specification that the fewest steps lead to; `None` if the two are
    /// equal, as far as the model was explored.
    pub fn difference(&self, spec: &Graph) -> Option<Difference> {
        let both = [(Side::Model, &self.graph, spec), (Side::Specification, spec, &self.graph)];
        for (side, has, lacks) in both {
            if let Some(state) = has.initial.difference(&lacks.initial).next() {
                return Some(Difference::Initial(side, *state));
            }
        }
        // The states of an exploration stand in the order of their distance. Before the first one with a
        // difference, both sides have all edges, so both have a path to it.
        for (from, state) in (0..).zip(&self.of_state).take(self.exploration.explored()) {
            for (side, has, lacks) in both {
                let only = has.leaving(*state).filter(|edge| !lacks.edges.contains(edge));
                let only = only.map(|edge| (lacks.states.contains(&edge.2), edge));
                if let Some((is_known, edge)) = only.min() {
                    return Some(Difference::Edge { side, edge, from, leads_to_new: !is_known });
                }
            }
        }
        if !self.exploration.is_whole() {
            return None;
        }
        let states = spec.states.difference(&self.graph.states).count();
        let edges = spec.edges.difference(&self.graph.edges).count();
        (states + edges > 0).then_some(Difference::Unreached { states, edges })
    }

    /// Tells a difference in lines: the path that both sides have, each step in the words of the model and in
    /// the values of the specification, and then what only one side has.
    pub fn tell(&self, difference: &Difference, spec: &Graph, texts: &Texts) -> String {
        let mut out = String::new();
        match *difference {
            Difference::Initial(side, state) => {
                let _ = writeln!(out, "only {} starts from this state:", side.name());
                let _ = writeln!(out, "  {}", texts.state(state));
                let others = match side {
                    Side::Model => &spec.initial,
                    Side::Specification => &self.graph.initial,
                };
                for other in others {
                    let _ = writeln!(
                        out,
                        "{} starts from a state that differs in",
                        side.other().name()
                    );
                    tell_changes(&mut out, &texts.assignment(state), &texts.assignment(*other));
                }
            }
            Difference::Edge { side, edge, from, leads_to_new } => {
                let path = self.exploration.path(from);
                self.tell_path(&mut out, &path, texts);
                let what = if leads_to_new { "a step to a new state" } else { "a step" };
                let (has, lacks) = (side.name(), side.other().name());
                let _ = writeln!(
                    out,
                    "here {has} has {what} that {lacks} lacks: {}",
                    texts.action(edge.1)
                );
                if side == Side::Model
                    && let Some(step) =
                        self.exploration.steps().iter().find(|it| self.edge(**it) == edge)
                {
                    self.tell_step(&mut out, *step);
                }
                let (before, after) = (texts.assignment(edge.0), texts.assignment(edge.2));
                tell_changes(&mut out, &before, &after);
                self.tell_nearest(&mut out, side, edge, spec, texts);
                let _ = writeln!(out, "the state that the step leaves:\n  {}", texts.state(edge.0));
                let _ = writeln!(out, "the state that it leads to:\n  {}", texts.state(edge.2));
            }
            Difference::Unreached { states, edges } => {
                let _ = writeln!(
                    out,
                    "the dump has {states} states and {edges} edges to which no path of it leads"
                );
            }
        }
        out
    }

    fn tell_path(&self, out: &mut String, path: &[Step], texts: &Texts) {
        let _ = writeln!(out, "both sides have these {} steps:", path.len());
        for (n, step) in (1..).zip(path) {
            let (from, action, to) = self.edge(*step);
            let _ = writeln!(out, "{n}. {}", texts.action(action));
            self.tell_step(out, *step);
            tell_changes(out, &texts.assignment(from), &texts.assignment(to));
        }
    }

    /// Tells a step in the words of the model.
    fn tell_step(&self, out: &mut String, step: Step) {
        let cluster = &self.exploration.cluster;
        let text = Text::of(cluster);
        let first = cluster.initial.clone().unwrap_or_else(|| cluster.started());
        let path = self.exploration.path(step.from);
        let before = path.iter().try_fold(first, |state, step| {
            cluster.step(&state, self.exploration.action(step.action))
        });
        let action = self.exploration.action(step.action);
        let after = before.as_ref().and_then(|state| cluster.step(state, action));
        let lines = match (before, after) {
            (Some(before), Some(after)) => text.step(cluster, &before, action, &after),
            _ => vec![text.event(action)],
        };
        for line in lines {
            let _ = writeln!(out, "   {line}");
        }
    }

    /// Tells the steps of the other side from the same state that come nearest to the edge.
    fn tell_nearest(&self, out: &mut String, side: Side, edge: Edge, spec: &Graph, texts: &Texts) {
        let (own, other) = match side {
            Side::Model => (&self.graph, spec),
            Side::Specification => (spec, &self.graph),
        };
        let name = side.other().name();
        let relabelled = other.leaving(edge.0).find(|it| it.2 == edge.2);
        if let Some((_, action, _)) = relabelled {
            let _ = writeln!(out, "{name} gets there by {}", texts.action(action));
        }
        let after = texts.assignment(edge.2);
        let only = other.leaving(edge.0).filter(|it| it.1 == edge.1 && !own.edges.contains(it));
        let differing = only.map(|it| after.changes(&texts.assignment(it.2)));
        match differing.min_by_key(Vec::len) {
            Some(changes) => {
                let _ = writeln!(out, "the nearest step that only {name} has differs in");
                for line in changes {
                    let _ = writeln!(out, "     {line}");
                }
            }
            None => {
                let _ =
                    writeln!(out, "{name} has no other step of this action here that is its own");
            }
        }
    }
}

fn tell_changes(out: &mut String, before: &Assignment, after: &Assignment) {
    for line in before.changes(after) {
        let _ = writeln!(out, "     {line}");
    }
}

impl Side {
    /// The name of the side, in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "the model",
            Self::Specification => "the specification",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Model => Self::Specification,
            Self::Specification => Self::Model,
        }
    }
}

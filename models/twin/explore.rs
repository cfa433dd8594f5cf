//! Every full state that a model can reach, by the plainest of searches.
//!
//! A full state is the local state of each process, with its armed timers and what it has saved, and the set
//! of all messages that were ever sent. [`explore`] calls the handlers of the actors and takes one step after
//! the other, breadth first. It shares no code with the engine and leaves nothing out, so it is for small
//! models. The ghosts of the model take no part, but for the one that a bound looks at.

use super::numbered::Numbered;
use crate::kv::Kv;
use crate::models::ghost::{Ghost, Watch};
use crate::models::mutants::Fault;
use crate::models::process::{Process, ProcessState, ProcessTimer};
use crate::models::spec::Spec;
use crate::models::{Cluster, ClusterAction};
use crate::raft::{Message, Persistent};
use actorcheck::{Action, Change, Event, Local, View};
use stateright::actor::{Actor, Command, Id, Out, RandomChoices, Timers};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// Everything that a model can reach.
pub struct Exploration {
    /// The model, without its properties and without the ghosts that no bound needs.
    pub cluster: Cluster,
    locals: Vec<OwnedLocal>,
    messages: Vec<(Id, Id, Message)>,
    actions: Vec<ClusterAction>,
    states: Vec<Rc<[u32]>>,
    steps: Vec<Step>,
    /// The step that first led to each state but the first one.
    parents: Vec<u32>,
    /// How many states were explored, from the first one on. All steps from these are known.
    explored: usize,
}

/// A step from one state to another one; states and actions have numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) from: u32,
    pub(super) action: u32,
    pub(super) to: u32,
}

/// The reason why a model is not explored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unexplored {
    /// The model has more states than the search may visit.
    #[error("it has more than {0} states")]
    TooLarge(usize),
    /// The script that the model starts with does not run on these servers.
    #[error("it does not start: {0}")]
    Script(String),
    /// A handler panicked.
    #[error("a handler panicked, as told above")]
    Panicked,
}

/// The local state of a process. The process is part of it, since a number of a local state says whose it is.
#[derive(Clone, PartialEq, Hash)]
pub(super) struct OwnedLocal {
    pub(super) who: Id,
    pub(super) state: ProcessState,
    pub(super) timers: Timers<ProcessTimer>,
    storage: Option<Persistent<Kv>>,
}

/// The effect of an action on the local state of its process.
struct Effect {
    next: u32,
    sent: Box<[u32]>,
}

/// A search under way. A state is a list of numbers: the local state of each process, the ghost, and then the
/// messages in the order of their numbers.
struct Search {
    cluster: Cluster,
    processes: usize,
    has_ghost: bool,
    locals: Numbered<OwnedLocal>,
    ghosts: Numbered<Ghost>,
    messages: Numbered<(Id, Id, Message)>,
    actions: Numbered<ClusterAction>,
    /// The actions of each local state that need no message.
    spontaneous: Vec<Vec<u32>>,
    /// The delivery of each message.
    deliveries: Vec<u32>,
    /// The effects of actions, by local state and action; `None` if nothing happens.
    effects: BTreeMap<(u32, u32), Option<Rc<Effect>>>,
    /// Whether the bounds admit these local states and this ghost.
    within: BTreeMap<Box<[u32]>, bool>,
    states: Numbered<Rc<[u32]>>,
    steps: Vec<Step>,
    parents: Vec<u32>,
    explored: usize,
}

/// Explores a whole model, with a mutant in place of every server if there is a fault. There may be at most
/// `limit` states.
pub fn explore(spec: &Spec, fault: Option<Fault>, limit: usize) -> Result<Exploration, Unexplored> {
    let exploration = explore_up_to(spec, fault, limit)?;
    if exploration.is_whole() { Ok(exploration) } else { Err(Unexplored::TooLarge(limit)) }
}

/// Explores a model until there are more than `limit` states, the nearest first.
pub fn explore_up_to(
    spec: &Spec,
    fault: Option<Fault>,
    limit: usize,
) -> Result<Exploration, Unexplored> {
    // Only one bound looks at a ghost.
    let has_ghost = spec.max_received.is_some();
    let watch = Watch { leaders: has_ghost, ..Watch::default() };
    let cluster = Spec { watch, ..spec.clone() };
    let mut cluster = cluster.played(fault).map_err(Unexplored::Script)?;
    (cluster.always, cluster.steps, cluster.sometimes) = (vec![], vec![], vec![]);
    let mut search = Search {
        processes: cluster.actors.actors.len(),
        cluster,
        has_ghost,
        locals: Numbered::default(),
        ghosts: Numbered::default(),
        messages: Numbered::default(),
        actions: Numbered::default(),
        spontaneous: Vec::new(),
        deliveries: Vec::new(),
        effects: BTreeMap::new(),
        within: BTreeMap::new(),
        states: Numbered::default(),
        steps: Vec::new(),
        parents: vec![0],
        explored: 0,
    };
    // An assertion of the protocol may end a handler of a mutant. The panic is reported where it happens.
    let ran = catch_unwind(AssertUnwindSafe(|| search.run(limit)));
    ran.map_err(|_| Unexplored::Panicked)?;
    Ok(Exploration {
        cluster: search.cluster,
        locals: search.locals.into_values(),
        messages: search.messages.into_values(),
        actions: search.actions.into_values(),
        states: search.states.into_values(),
        steps: search.steps,
        parents: search.parents,
        explored: search.explored,
    })
}

impl Search {
    /// Explores everything, or until there are more than `limit` states.
    fn run(&mut self, limit: usize) {
        self.begin();
        while self.states.len() <= limit
            && let Some(state) = self.states.values().get(self.explored)
        {
            let state = Rc::clone(state);
            self.expand(u32::try_from(self.explored).expect("states have numbers"), &state);
            self.explored += 1;
        }
    }

    /// Adds the first state: that of the script, or that of processes that have just started.
    fn begin(&mut self) {
        let first = self.cluster.initial.clone().unwrap_or_else(|| self.cluster.started());
        let mut state = Vec::new();
        for (who, local) in first.view().locals().enumerate() {
            state.push(self.local(OwnedLocal {
                who: Id::from(who),
                state: local.state.clone(),
                timers: local.timers.clone(),
                storage: local.storage.cloned(),
            }));
        }
        state.push(self.ghosts.number(first.ghost.clone()));
        let sent = first.messages().map(|(src, dst, msg)| (src, dst, msg.clone()));
        let mut sent: Vec<_> = sent.collect();
        sent.sort_unstable();
        let sent: BTreeSet<u32> = sent.into_iter().map(|message| self.message(message)).collect();
        state.extend(sent);
        self.states.number(state.into());
    }

    /// The number of a local state. If the state is new, its timers and its restart become actions.
    fn local(&mut self, local: OwnedLocal) -> u32 {
        let who = local.who;
        let mut timers: Vec<_> = local.timers.iter().copied().collect();
        timers.sort_unstable();
        let number = self.locals.number(local);
        if number as usize == self.spontaneous.len() {
            let restart = self.cluster.restartable.contains(&who).then_some(Event::Restart);
            let events = timers.into_iter().map(Event::Timeout).chain(restart);
            let actions = events.map(|event| self.actions.number(Action { who, event }));
            self.spontaneous.push(actions.collect());
        }
        number
    }

    /// The number of a message. If the message is new, its delivery becomes an action.
    fn message(&mut self, message: (Id, Id, Message)) -> u32 {
        let (src, who, msg) = message.clone();
        let number = self.messages.number(message);
        if number as usize == self.deliveries.len() {
            let event = Event::Deliver { src, msg };
            self.deliveries.push(self.actions.number(Action { who, event }));
        }
        number
    }

    /// Takes every step from a state.
    fn expand(&mut self, from: u32, state: &[u32]) {
        let (locals, messages) = state.split_at(self.processes + 1);
        let mut actions = Vec::new();
        for local in &locals[..self.processes] {
            actions.extend_from_slice(&self.spontaneous[*local as usize]);
        }
        actions.extend(messages.iter().map(|message| self.deliveries[*message as usize]));
        for action in actions {
            let who = usize::from(self.actions.values()[action as usize].who);
            let Some(effect) = self.effect(locals[who], action) else { continue };
            let mut next = locals.to_vec();
            next[who] = effect.next;
            if self.has_ghost {
                next[self.processes] = self.observed(locals, action, &effect);
            }
            if !self.is_within(&next) {
                continue;
            }
            let sent: BTreeSet<u32> = messages.iter().chain(&effect.sent).copied().collect();
            next.extend(sent);
            if next == state {
                continue;
            }
            let (known, step) = (self.states.len(), self.steps.len());
            let to = self.states.number(next.into());
            if to as usize == known {
                self.parents.push(u32::try_from(step).expect("fewer than 2^32 steps"));
            }
            self.steps.push(Step { from, action, to });
        }
    }

    /// The effect of an action on a local state; `None` if nothing happens.
    fn effect(&mut self, local: u32, action: u32) -> Option<Rc<Effect>> {
        if let Some(known) = self.effects.get(&(local, action)) {
            return known.clone();
        }
        let effect = self.call(local, action).map(Rc::new);
        self.effects.insert((local, action), effect.clone());
        effect
    }

    /// Calls the handler for an action.
    fn call(&mut self, number: u32, action: u32) -> Option<Effect> {
        let before = self.locals.values()[number as usize].clone();
        let Action { who, event } = self.actions.values()[action as usize].clone();
        let actor = &self.cluster.actors.actors[usize::from(who)];
        let (mut after, mut out) = (before.clone(), Out::new());
        let mut state = Cow::Borrowed(&before.state);
        match event {
            Event::Deliver { src, msg } => actor.on_msg(who, &mut state, src, msg, &mut out),
            Event::Timeout(timer) => {
                after.timers.cancel(&timer);
                actor.on_timeout(who, &mut state, &timer, &mut out);
            }
            Event::Restart => {
                after.timers = Timers::new();
                state = Cow::Owned(actor.on_start(who, &before.storage, &mut out));
            }
            Event::Choose { .. } => unreachable!("no process draws lots"),
        }
        after.state = state.into_owned();
        let sent = self.put_out(&mut after, out);
        let next = self.local(after);
        (next != number || !sent.is_empty()).then(|| Effect { next, sent: sent.into() })
    }

    /// Does to a process what its handler puts out, and returns the messages that are sent to processes.
    fn put_out(&mut self, local: &mut OwnedLocal, out: Out<Process>) -> Vec<u32> {
        let mut sent = Vec::new();
        for command in out {
            match command {
                Command::Send(to, msg) if usize::from(to) < self.processes => {
                    sent.push(self.message((local.who, to, msg)));
                }
                Command::Send(..) => {}
                Command::SetTimer(timer, _) => {
                    local.timers.set(timer);
                }
                Command::CancelTimer(timer) => {
                    local.timers.cancel(&timer);
                }
                Command::Save(value) => local.storage = Some(value),
                Command::ChooseRandom(..) => unreachable!("no process draws lots"),
            }
        }
        sent
    }

    /// The ghost after a step.
    fn observed(&mut self, locals: &[u32], action: u32, effect: &Effect) -> u32 {
        let Action { who, event } = &self.actions.values()[action as usize];
        let (before, ghost) = (locals[usize::from(*who)], locals[self.processes]);
        if before == effect.next {
            return ghost;
        }
        let randoms = RandomChoices::default();
        let values = self.locals.values();
        let change = Change {
            who: *who,
            restart: *event == Event::Restart,
            before: values[before as usize].view(&randoms),
            after: values[effect.next as usize].view(&randoms),
        };
        let mut next = self.ghosts.values()[ghost as usize].clone();
        (self.cluster.observe)(&mut next, &change);
        self.ghosts.number(next)
    }

    /// Whether the bounds admit these local states and this ghost.
    fn is_within(&mut self, tuple: &[u32]) -> bool {
        if let Some(known) = self.within.get(tuple) {
            return *known;
        }
        let randoms = RandomChoices::default();
        let (locals, ghost) = tuple.split_at(self.processes);
        let locals = locals.iter().map(|it| self.locals.values()[*it as usize].view(&randoms));
        let view = View::new(locals.collect(), &self.ghosts.values()[ghost[0] as usize]);
        let is_within = self.cluster.bounds.iter().all(|bound| bound.within.holds(&view));
        self.within.insert(tuple.into(), is_within);
        is_within
    }
}

impl OwnedLocal {
    fn view<'a>(&'a self, randoms: &'a RandomChoices<()>) -> Local<'a, Process> {
        let Self { state, timers, storage, .. } = self;
        Local { state, timers, randoms, storage: storage.as_ref() }
    }
}

impl Exploration {
    /// The number of states.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether there is no state; there always is one.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// Whether the exploration knows every state and every step of the model.
    pub fn is_whole(&self) -> bool {
        self.explored == self.states.len()
    }

    /// How many states were explored, in the order of their numbers.
    pub(super) fn explored(&self) -> usize {
        self.explored
    }

    /// The steps, ordered by the number of the state that they start from.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The number of actions that were enabled in some state.
    pub(super) fn actions_len(&self) -> u32 {
        u32::try_from(self.actions.len()).expect("actions have numbers")
    }

    pub(super) fn action(&self, number: u32) -> &ClusterAction {
        &self.actions[number as usize]
    }

    pub(super) fn locals(&self) -> &[OwnedLocal] {
        &self.locals
    }

    pub(super) fn messages(&self) -> &[(Id, Id, Message)] {
        &self.messages
    }

    /// The numbers of the local states and of the messages in a state.
    pub(super) fn parts(&self, state: u32) -> (&[u32], &[u32]) {
        let (locals, rest) = self.states[state as usize].split_at(self.cluster.actors.actors.len());
        (locals, &rest[1..])
    }

    /// A shortest path from the first state to this one.
    pub(super) fn path(&self, state: u32) -> Vec<Step> {
        let (mut path, mut at) = (Vec::new(), state);
        while at != 0 {
            let step = self.steps[self.parents[at as usize] as usize];
            path.push(step);
            at = step.from;
        }
        path.reverse();
        path
    }
}

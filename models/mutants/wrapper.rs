//! A server with a seeded bug: the actor, and the places at which a bug may be.
//!
//! A [`Mutant`] runs the handlers of a real [`Raft`] actor and calls the functions of its [`Fault`] around
//! them. They edit the message before a handler runs, the server and its outputs after it, and what is
//! saved when. They also edit what a restart loads, and add the messages that follow a delayed write.

use super::super::process::ProcessTimer;
use crate::kv::Kv;
use crate::raft::{
    AppendEntries, Index, Log, Message, Outcome, Parameters, Persistent, Raft, RequestVote, Role,
    Server, Term, Timer,
};
use crate::state_machine::StateMachine;
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

/// A receiver, and a message to it.
pub type Envelope = (Id, Message);

/// An output of a handler.
pub(super) type ServerCommand<S> = Command<Message, Timer, (), Persistent<S>>;

/// A bug: plain functions that the wrapper calls at certain places. [`Fault::NONE`] is no bug.
pub struct Fault<S = Kv> {
    /// Called before a message is handled: edits what the actor sees.
    pub before: fn(&mut Arriving<'_, S>),
    /// Called after a handler: edits the state and the outputs. The wrapper calls `save` after it.
    pub after: fn(&mut Handled<'_, S>),
    /// Called with the server before and after a handler: says how much of the change is on the disk when
    /// the handler's messages leave.
    pub save: fn(&Server<S>, &Server<S>) -> Written<S>,
    /// Called at a restart: turns the saved state into the one that the server finds.
    pub load: fn(Persistent<S>) -> Persistent<S>,
    /// Called once a delayed write is done: the messages that are sent then.
    pub flushed: fn(Id, &Server<S>) -> Vec<Envelope>,
}

/// How much of a changed persistent state has been written when the messages leave.
pub enum Written<S = Kv> {
    /// This state has been written, and no more follows.
    All(Persistent<S>),
    /// This state has been written. The rest follows at some later step, unless a crash comes before it.
    First(Persistent<S>),
    /// Nothing has been written yet. All of it follows at some later step, unless a crash comes before it.
    Nothing,
    /// Nothing has been written yet. This state is written in the same handler, after the messages leave.
    Last(Persistent<S>),
}

/// A message that is about to be handled.
pub struct Arriving<'a, S = Kv> {
    /// The server that is about to handle the message.
    pub server: &'a mut Server<S>,
    /// The sender.
    pub src: Id,
    /// The message.
    pub msg: Message,
    /// Set if the actor is not to see the message at all.
    pub dropped: bool,
}

/// A handler that has run, with the results that a bug may edit.
pub struct Handled<'a, S = Kv> {
    /// The parameters of the server.
    pub parameters: &'a Parameters,
    /// The id of the server.
    pub id: Id,
    /// The message that was handled, with its sender; `None` if a timer was handled.
    pub event: Option<(Id, &'a Message)>,
    /// The server before the handler ran.
    pub before: &'a Server<S>,
    /// The server after the handler ran.
    pub server: &'a mut Server<S>,
    /// The outputs of the handler, without its saves.
    pub commands: &'a mut Vec<ServerCommand<S>>,
}

/// A server with a seeded bug.
pub struct Mutant<S: StateMachine = Kv> {
    raft: Raft<S>,
    fault: Fault<S>,
}

impl<S> Clone for Fault<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Fault<S> {}

impl<S: StateMachine> Fault<S> {
    /// No bug: the actor as it is.
    pub const NONE: Self = Self {
        before: |_| {},
        after: |_| {},
        save: |_, after| Written::All(after.persistent.clone()),
        load: |persistent| persistent,
        flushed: |_, _| Vec::new(),
    };
}

impl<S: StateMachine> Arriving<'_, S> {
    /// The current term of the server.
    pub fn current_term(&self) -> Term {
        self.server.persistent.current_term
    }

    /// The term of the message, if it comes from another server.
    pub fn term(&self) -> Option<Term> {
        self.msg.term()
    }

    /// The votes that a candidate has counted, if the message is a vote that counts for it.
    pub fn votes_granted(&mut self) -> Option<&mut BTreeSet<Id>> {
        let Message::RequestVoteResponse(args) = &self.msg else { return None };
        let counts = args.vote_granted && args.term == self.server.persistent.current_term;
        match &mut self.server.role {
            Role::Candidate { votes_granted } if counts => Some(votes_granted),
            _ => None,
        }
    }
}

impl<S: StateMachine> Handled<'_, S> {
    /// The RequestVote that was handled, with its sender, if its term is the current term of the server.
    pub fn request_vote(&self) -> Option<(Id, &RequestVote)> {
        match self.event {
            Some((src, Message::RequestVote(args)))
                if args.term == self.server.persistent.current_term =>
            {
                Some((src, args))
            }
            _ => None,
        }
    }

    /// Decides a RequestVote of the current term anew. `grant` is told for whom the server has voted in
    /// that term, who asks, and whether the logs allow the vote.
    pub fn vote(
        &mut self,
        grant: fn(voted_for: Option<Id>, candidate: Id, up_to_date: bool) -> bool,
    ) {
        let own = self.before.persistent.log.last();
        self.vote_by(grant, |args| (args.last_log_term, args.last_log_index) >= own);
    }

    /// Decides a RequestVote of the current term anew, as [`vote`](Self::vote) does, with another
    /// comparison of the logs.
    pub fn vote_by(
        &mut self,
        grant: fn(voted_for: Option<Id>, candidate: Id, up_to_date: bool) -> bool,
        up_to_date: impl Fn(&RequestVote) -> bool,
    ) {
        let Some((candidate, args)) = self.request_vote() else { return };
        let before = &self.before.persistent;
        let voted_for = before.voted_for.filter(|_| before.current_term == args.term);
        let granted = grant(voted_for, candidate, up_to_date(args));
        self.server.persistent.voted_for = if granted { Some(candidate) } else { voted_for };
        for command in &mut *self.commands {
            if let Command::Send(_, Message::RequestVoteResponse(response)) = command {
                response.vote_granted = granted;
            }
        }
    }

    /// The AppendEntries that the server has just accepted, and the index of its last entry.
    pub fn accepted(&self) -> Option<(&AppendEntries, Index)> {
        let Some((_, Message::AppendEntries(args))) = self.event else { return None };
        let last_new = Index(args.prev_log_index.0 + args.entries.len() as u64);
        let is_answer = |outcome: &Outcome| *outcome == Outcome::Match(last_new);
        self.outcome().is_some_and(is_answer).then_some((args, last_new))
    }

    /// The AppendEntries that the server has just refused because it does not connect to the server's log.
    pub fn refused(&self) -> Option<&AppendEntries> {
        let Some((_, Message::AppendEntries(args))) = self.event else { return None };
        matches!(self.outcome(), Some(Outcome::Conflict { .. })).then_some(args)
    }

    /// The outcome in the server's answer to AppendEntries, if there is an answer.
    fn outcome(&self) -> Option<&Outcome> {
        self.commands.iter().find_map(|command| match command {
            Command::Send(_, Message::AppendEntriesResponse(response)) => Some(&response.outcome),
            _ => None,
        })
    }

    /// Changes the outcome in the server's answer to AppendEntries.
    pub fn answer(&mut self, with: Outcome) {
        for command in &mut *self.commands {
            if let Command::Send(_, Message::AppendEntriesResponse(response)) = command {
                response.outcome = with;
            }
        }
    }

    /// The follower's answer that a leader has just handled, with its sender, if it is of the leader's
    /// term.
    pub fn append_entries_response(&self) -> Option<(Id, Outcome)> {
        match self.event {
            Some((src, Message::AppendEntriesResponse(args)))
                if args.term == self.server.persistent.current_term =>
            {
                Some((src, args.outcome))
            }
            _ => None,
        }
    }

    /// Whether this handler made the server the leader.
    pub fn was_elected(&self) -> bool {
        self.server.is_leader() && !self.before.is_leader()
    }
}

/// The log up to and including an index.
pub(super) fn up_to(log: &Log, last: Index) -> Log {
    let start = log.term(log.start()).expect("a log knows the term before its first entry");
    let mut kept = Log::after(start, log.start());
    for (_, entry) in log.iter().take_while(|(index, _)| *index <= last) {
        kept.append(entry.clone());
    }
    kept
}

impl<S: StateMachine> Mutant<S> {
    /// Seeds a bug into a server.
    pub fn new(raft: Raft<S>, fault: Fault<S>) -> Self {
        Self { raft, fault }
    }

    /// Runs a handler of the actor, and edits what it sees and what comes of it. A server that would have to
    /// apply an entry which it does not have runs no more handlers: the actor would panic.
    fn run(
        &self,
        id: Id,
        state: &mut Cow<'_, Server<S>>,
        o: &mut Out<Self>,
        event: Option<(Id, Message)>,
        handler: impl FnOnce(&mut Cow<'_, Server<S>>, Option<(Id, Message)>, &mut Out<Raft<S>>),
    ) {
        let mut seen = Server::clone(state);
        let shown = match event.clone() {
            None => None,
            Some((src, msg)) => {
                let server = &mut seen;
                let mut arriving = Arriving { server, src, msg, dropped: false };
                (self.fault.before)(&mut arriving);
                if arriving.dropped {
                    return;
                }
                Some((arriving.src, arriving.msg))
            }
        };
        let (log, applied) = (&seen.persistent.log, seen.last_applied);
        if seen.commit_index > log.last_index() || applied < log.start() {
            return;
        }
        let mut out = Out::new();
        let mut seen = Cow::Borrowed(&seen);
        handler(&mut seen, shown, &mut out);
        let mut server = seen.into_owned();
        let is_save = |command: &ServerCommand<S>| matches!(command, Command::Save(_));
        let mut commands: Vec<_> = out.into_iter().filter(|command| !is_save(command)).collect();
        (self.fault.after)(&mut Handled {
            parameters: self.raft.parameters(),
            id,
            event: event.as_ref().map(|(src, msg)| (*src, msg)),
            before: state,
            server: &mut server,
            commands: &mut commands,
        });
        let changed = server.persistent != state.persistent;
        let last = changed.then(|| self.save(state, &server, o)).flatten();
        o.append(&mut commands.into_iter().map(as_member).collect::<Out<Self>>());
        if let Some(persistent) = last {
            o.save(persistent);
        }
        if server != **state {
            *state = Cow::Owned(server);
        }
    }

    /// Saves what must be saved before the messages leave. Returns what must be saved after they have left.
    fn save(
        &self,
        before: &Server<S>,
        after: &Server<S>,
        o: &mut Out<Self>,
    ) -> Option<Persistent<S>> {
        let flush =
            |o: &mut Out<Self>| o.set_timer(ProcessTimer::Flush, Duration::ZERO..Duration::ZERO);
        match (self.fault.save)(before, after) {
            Written::All(persistent) => o.save(persistent),
            Written::First(persistent) => {
                o.save(persistent);
                flush(o);
            }
            Written::Nothing => flush(o),
            Written::Last(persistent) => return Some(persistent),
        }
        None
    }
}

/// A command of a server actor, as a command of the wrapper.
fn as_member<S>(command: ServerCommand<S>) -> Command<Message, ProcessTimer, (), Persistent<S>> {
    match command {
        Command::Send(to, msg) => Command::Send(to, msg),
        Command::Save(storage) => Command::Save(storage),
        Command::SetTimer(timer, range) => Command::SetTimer(timer.into(), range),
        Command::CancelTimer(timer) => Command::CancelTimer(timer.into()),
        Command::ChooseRandom(key, choices) => Command::ChooseRandom(key, choices),
    }
}

impl<S: StateMachine> Actor for Mutant<S> {
    type Msg = Message;
    type Timer = ProcessTimer;
    type State = Server<S>;
    type Storage = Persistent<S>;
    type Random = ();

    fn on_start(&self, id: Id, storage: &Option<Persistent<S>>, o: &mut Out<Self>) -> Server<S> {
        let mut out = Out::<Raft<S>>::new();
        let found = storage.clone().map(self.fault.load);
        let server = self.raft.on_start(id, &found, &mut out);
        o.append(&mut out.into_iter().map(as_member).collect::<Out<Self>>());
        server
    }

    fn on_msg(
        &self,
        id: Id,
        state: &mut Cow<'_, Server<S>>,
        src: Id,
        msg: Message,
        o: &mut Out<Self>,
    ) {
        self.run(id, state, o, Some((src, msg)), |state, shown, out| {
            let (src, msg) = shown.expect("a message is shown as one");
            self.raft.on_msg(id, state, src, msg, out);
        });
    }

    fn on_timeout(
        &self,
        id: Id,
        state: &mut Cow<'_, Server<S>>,
        timer: &ProcessTimer,
        o: &mut Out<Self>,
    ) {
        match timer {
            ProcessTimer::Server(timer) => {
                self.run(id, state, o, None, |state, _, out| {
                    self.raft.on_timeout(id, state, timer, out);
                });
            }
            // The delayed write is done: the persistent state in memory is now on the disk.
            ProcessTimer::Flush => {
                o.save(state.persistent.clone());
                for (to, msg) in (self.fault.flushed)(id, state) {
                    o.send(to, msg);
                }
            }
            ProcessTimer::Retry => {}
        }
    }
}

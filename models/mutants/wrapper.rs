//! A server with a seeded bug: the actor, and four places at which a bug may be.

use super::super::member::MemberTimer;
use crate::kv::Kv;
use crate::raft::{
    AppendEntries, Config, Index, Log, Message, Outcome, Persistent, Raft, RequestVote, Role,
    Server, Term, Timer,
};
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

/// To whom, and what.
pub type Envelope = (Id, Message);

/// What a handler puts out.
pub(super) type ServerCommand = Command<Message, Timer, (), Persistent>;

/// A bug: plain functions at the places where the wrapper asks. [`Fault::NONE`] is no bug.
#[derive(Clone, Copy)]
pub struct Fault {
    /// Before a message is handled: edits what the actor is made to see.
    pub before: fn(&mut Arriving<'_>),
    /// After a handler: edits the state and what leaves. What is saved is asked after it.
    pub after: fn(&mut Handled<'_>),
    /// What of a change is on the disk when the handler's messages leave: the server before and after.
    pub save: fn(&Server<Kv>, &Server<Kv>) -> Written,
    /// What a restart finds.
    pub load: fn(Persistent) -> Persistent,
    /// What is sent once a delayed write is done.
    pub flushed: fn(&Config, Id, &Server<Kv>) -> Vec<Envelope>,
}

/// How much of a changed persistent state has been written when the messages leave.
pub enum Written {
    /// This, and that is all that will be.
    All(Persistent),
    /// This; the rest follows at some later step, unless a crash comes before it.
    First(Persistent),
    /// Nothing yet; all of it follows at some later step, unless a crash comes before it.
    Nothing,
    /// Nothing yet; this follows in the same handler.
    Last(Persistent),
}

/// A message that is about to be handled.
pub struct Arriving<'a> {
    /// The configuration of the server.
    pub config: &'a Config,
    /// The server.
    pub server: &'a mut Server<Kv>,
    /// The sender.
    pub src: Id,
    /// The message.
    pub msg: Message,
    /// Set if the actor is not to see it at all.
    pub dropped: bool,
}

/// A handler that has run.
pub struct Handled<'a> {
    /// The configuration of the server.
    pub config: &'a Config,
    /// Which server it is.
    pub id: Id,
    /// The message, with its sender, that was handled; none if it was a timer.
    pub event: Option<(Id, &'a Message)>,
    /// The server before.
    pub before: &'a Server<Kv>,
    /// The server after.
    pub server: &'a mut Server<Kv>,
    /// What leaves.
    pub commands: &'a mut Vec<ServerCommand>,
}

/// A server with a seeded bug.
pub struct Mutant {
    raft: Raft<Kv>,
    fault: Fault,
}

impl Fault {
    /// No bug: the actor as it is.
    pub const NONE: Fault = Fault {
        before: |_| {},
        after: |_| {},
        save: |_, after| Written::All(after.persistent.clone()),
        load: |persistent| persistent,
        flushed: |_, _, _| Vec::new(),
    };
}

impl Arriving<'_> {
    /// The term the server is in.
    pub fn current_term(&self) -> Term {
        self.server.persistent.current_term
    }

    /// The term the message is of, if it comes from another server.
    pub fn term(&self) -> Option<Term> {
        match &self.msg {
            Message::RequestVote(args) => Some(args.term),
            Message::RequestVoteResponse(args) => Some(args.term),
            Message::AppendEntries(args) => Some(args.term),
            Message::AppendEntriesResponse(args) => Some(args.term),
            Message::ClientRequest(_) | Message::ClientResponse(_) => None,
        }
    }

    /// The votes a candidate has counted, if this is another one for it.
    pub fn votes_granted(&mut self) -> Option<&mut BTreeSet<Id>> {
        let Message::RequestVoteResponse(args) = &self.msg else { return None };
        let counts = args.vote_granted && args.term == self.server.persistent.current_term;
        match &mut self.server.role {
            Role::Candidate { votes_granted } if counts => Some(votes_granted),
            _ => None,
        }
    }
}

impl Handled<'_> {
    /// The RequestVote that was handled, if it was one of the term the server is in now.
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

    /// Decides a RequestVote of the current term anew, knowing for whom the server has voted in that
    /// term and whether the logs allow it.
    pub fn vote(
        &mut self,
        grant: fn(voted_for: Option<Id>, candidate: Id, up_to_date: bool) -> bool,
    ) {
        let own = self.before.persistent.log.last();
        self.vote_by(grant, |args| (args.last_log_term, args.last_log_index) >= own);
    }

    /// The same, with another comparison of the logs.
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

    /// The AppendEntries that the server has just accepted, and the index of their last entry.
    pub fn accepted(&self) -> Option<(&AppendEntries, Index)> {
        let Some((_, Message::AppendEntries(args))) = self.event else { return None };
        let last_new = Index(args.prev_log_index.0 + args.entries.len() as u64);
        let is_answer = |outcome: &Outcome| *outcome == Outcome::Match(last_new);
        self.outcome().is_some_and(is_answer).then_some((args, last_new))
    }

    /// The AppendEntries that the server has just refused because they do not connect to its log.
    pub fn refused(&self) -> Option<&AppendEntries> {
        let Some((_, Message::AppendEntries(args))) = self.event else { return None };
        matches!(self.outcome(), Some(Outcome::Conflict { .. })).then_some(args)
    }

    /// What the server answers to AppendEntries.
    fn outcome(&self) -> Option<&Outcome> {
        self.commands.iter().find_map(|command| match command {
            Command::Send(_, Message::AppendEntriesResponse(response)) => Some(&response.outcome),
            _ => None,
        })
    }

    /// Changes what the server answers to AppendEntries.
    pub fn answer(&mut self, with: Outcome) {
        for command in &mut *self.commands {
            if let Command::Send(_, Message::AppendEntriesResponse(response)) = command {
                response.outcome = with;
            }
        }
    }

    /// The follower's answer that a leader has just handled, if it is of the leader's term.
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

    /// Whether the server was elected just now.
    pub fn was_elected(&self) -> bool {
        self.server.is_leader() && !self.before.is_leader()
    }
}

/// The log up to an index.
pub(super) fn up_to(log: &Log, last: Index) -> Log {
    log.iter().take_while(|(index, _)| *index <= last).map(|(_, entry)| entry.clone()).collect()
}

impl Mutant {
    /// Seeds a bug into a server.
    pub fn new(raft: Raft<Kv>, fault: Fault) -> Self {
        Self { raft, fault }
    }

    /// Runs a handler of the actor and edits what comes of it.
    fn run(
        &self,
        id: Id,
        state: &mut Cow<'_, Server<Kv>>,
        o: &mut Out<Self>,
        event: Option<(Id, Message)>,
        handler: impl FnOnce(&mut Cow<'_, Server<Kv>>, Option<(Id, Message)>, &mut Out<Raft<Kv>>),
    ) {
        let mut seen = Server::clone(state);
        let shown = match event.clone() {
            None => None,
            Some((src, msg)) => {
                let (config, server) = (self.raft.config(), &mut seen);
                let mut arriving = Arriving { config, server, src, msg, dropped: false };
                (self.fault.before)(&mut arriving);
                if arriving.dropped {
                    return;
                }
                Some((arriving.src, arriving.msg))
            }
        };
        let mut out = Out::new();
        let mut seen = Cow::Borrowed(&seen);
        handler(&mut seen, shown, &mut out);
        let mut server = seen.into_owned();
        let is_save = |command: &ServerCommand| matches!(command, Command::Save(_));
        let mut commands: Vec<_> = out.into_iter().filter(|command| !is_save(command)).collect();
        (self.fault.after)(&mut Handled {
            config: self.raft.config(),
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

    /// Saves what is to be saved before anything leaves; gives what is to be saved after it.
    fn save(
        &self,
        before: &Server<Kv>,
        after: &Server<Kv>,
        o: &mut Out<Self>,
    ) -> Option<Persistent> {
        let flush =
            |o: &mut Out<Self>| o.set_timer(MemberTimer::Flush, Duration::ZERO..Duration::ZERO);
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

/// The command of a server as one of the member it is.
fn as_member(command: ServerCommand) -> Command<Message, MemberTimer, (), Persistent> {
    match command {
        Command::Send(to, msg) => Command::Send(to, msg),
        Command::Save(storage) => Command::Save(storage),
        Command::SetTimer(timer, range) => Command::SetTimer(timer.into(), range),
        Command::CancelTimer(timer) => Command::CancelTimer(timer.into()),
        Command::ChooseRandom(key, choices) => Command::ChooseRandom(key, choices),
    }
}

impl Actor for Mutant {
    type Msg = Message;
    type Timer = MemberTimer;
    type State = Server<Kv>;
    type Storage = Persistent;
    type Random = ();

    fn on_start(&self, id: Id, storage: &Option<Persistent>, o: &mut Out<Self>) -> Server<Kv> {
        let mut out = Out::<Raft<Kv>>::new();
        let found = storage.clone().map(self.fault.load);
        let server = self.raft.on_start(id, &found, &mut out);
        o.append(&mut out.into_iter().map(as_member).collect::<Out<Self>>());
        server
    }

    fn on_msg(
        &self,
        id: Id,
        state: &mut Cow<'_, Server<Kv>>,
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
        state: &mut Cow<'_, Server<Kv>>,
        timer: &MemberTimer,
        o: &mut Out<Self>,
    ) {
        match timer {
            MemberTimer::Server(timer) => {
                self.run(id, state, o, None, |state, _, out| {
                    self.raft.on_timeout(id, state, timer, out);
                });
            }
            // The delayed write: what the server remembers is on the disk now.
            MemberTimer::Flush => {
                o.save(state.persistent.clone());
                for (to, msg) in (self.fault.flushed)(self.raft.config(), id, state) {
                    o.send(to, msg);
                }
            }
            MemberTimer::Retry => {}
        }
    }
}

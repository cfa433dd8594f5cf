//! The EXHAUSTIVE part: every state of a small domain that satisfies Ind, and every step from it.
//!
//! A [`Domain`] enumerates variables and asks for no path that leads to them. It takes each choice of elected
//! leaders, then the rows of each server (its variables, its votes and what it has acknowledged). Conjuncts
//! about leaders and about one server prune these lists before they are combined. All servers are alike, so
//! it suffices that server 0 moves: a step of another server is the same step under other names.

use super::Report;
use super::conjuncts::{Ind, violated};
use super::history::{Elected, History, TERMS, World};
use super::step::{Envelope, Event, Outcome, judge, run};
use super::variables::{Local, Log, Role, SERVERS, entry, id};
use crate::models::process::Process;
use crate::raft::{
    AppendEntries, AppendEntriesResponse, Index, Message, Outcome as Answer, RequestVote,
    RequestVoteResponse, Term, Timer,
};

/// The bounds of an enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain {
    /// The number of servers.
    pub servers: usize,
    /// The latest term of a state before a step.
    pub terms: u8,
    /// The most entries of a log before a step.
    pub entries: u8,
}

/// One server with its part of the history.
#[derive(Clone, Copy)]
struct Row {
    /// The position of the variables in the list of all.
    place: usize,
    local: Local,
    votes: [Option<u8>; TERMS],
    acked: [u8; TERMS],
}

/// The domains that are enumerated.
pub const DOMAINS: [Domain; 3] = [
    Domain { servers: 2, terms: 2, entries: 1 },
    Domain { servers: 2, terms: 2, entries: 2 },
    Domain { servers: 3, terms: 1, entries: 1 },
];

impl Domain {
    /// The bounds in one line.
    pub fn text(&self) -> String {
        let Self { servers, terms, entries } = self;
        format!("servers={servers} terms<={terms} log<={entries}")
    }

    /// All servers but one.
    fn others(&self, who: u8) -> impl Iterator<Item = u8> {
        self.ids().filter(move |other| *other != who)
    }

    fn ids(&self) -> std::ops::Range<u8> {
        0..u8::try_from(self.servers.min(SERVERS)).unwrap_or(0)
    }

    /// All lists of terms that never decrease from `least` on, with at most so many terms.
    fn lists(&self, least: u8, length: u8) -> Vec<Vec<u8>> {
        let mut lists = vec![Vec::new()];
        if length > 0 {
            for first in least.max(1)..=self.terms {
                for mut rest in self.lists(first, length - 1) {
                    rest.insert(0, first);
                    lists.push(rest);
                }
            }
        }
        lists
    }

    /// All variables of one server.
    pub fn locals(&self, who: u8) -> Vec<Local> {
        let mut locals = vec![Local::NEW];
        let logs: Vec<_> = self.lists(1, self.entries).iter().map(|list| Log::new(list)).collect();
        let votes = || std::iter::once(None).chain(self.ids().map(Some));
        for term in 1..=self.terms {
            for log in &logs {
                for commit in 0..=log.len() {
                    let with = |vote, role| Local { term, vote, log: *log, commit, role };
                    for vote in votes() {
                        locals.extend(votes().map(|leader| with(vote, Role::Follower(leader))));
                    }
                    let own = |of| with(Some(who), Role::Candidate(of));
                    locals.extend(self.subsets().map(own));
                    let leaders = self.progress(who, log.len()).into_iter();
                    locals.extend(leaders.map(|role| with(Some(who), role)));
                }
            }
        }
        locals
    }

    /// All sets of servers, as bits.
    fn subsets(&self) -> std::ops::Range<u8> {
        0..1 << self.servers
    }

    /// All progress of the followers of a leader with so many entries.
    fn progress(&self, who: u8, length: u8) -> Vec<Role> {
        let (next, matched) = ([0; SERVERS], [0; SERVERS]);
        let mut roles = vec![Role::Leader { next, matched }];
        for other in self.others(who) {
            let place = usize::from(other);
            let with_other = |role: Role| {
                let pairs = (0..=length).flat_map(move |m| (1..=length + 1).map(move |n| (m, n)));
                pairs.filter_map(move |(m, n)| {
                    let Role::Leader { mut next, mut matched } = role else { return None };
                    (next[place], matched[place]) = (n, m);
                    Some(Role::Leader { next, matched })
                })
            };
            roles = roles.into_iter().flat_map(with_other).collect();
        }
        roles
    }

    /// All choices of elected leaders whose logs satisfy Ind.
    fn histories(&self, ind: Ind) -> Vec<History> {
        let mut histories = vec![History::default()];
        for term in 1..=self.terms {
            let logs: Vec<_> =
                self.lists(1, self.entries).iter().map(|list| Log::new(list)).collect();
            let mut more = Vec::new();
            for history in &histories {
                for (leader, log) in self.ids().flat_map(|id| logs.iter().map(move |it| (id, *it)))
                {
                    let mut history = *history;
                    history.elected[usize::from(term)] = Some(Elected { leader, log });
                    more.push(history);
                }
            }
            histories.extend(more);
        }
        let locals = [Local::NEW; SERVERS];
        histories.retain(|history| {
            let world = World { servers: self.servers, locals, history: *history };
            ind.broken_by_leaders(&world).is_none()
        });
        histories
    }

    /// All rows of a server that satisfy the conjuncts about one server.
    fn rows(&self, ind: Ind, who: u8, history: &History, locals: &[Local]) -> Vec<Row> {
        let mut parts = vec![([None; TERMS], [0; TERMS])];
        for term in 1..=usize::from(self.terms) {
            let options = || std::iter::once(None).chain(self.ids().map(Some));
            let with = |(votes, acked): ([Option<u8>; TERMS], [u8; TERMS])| {
                let pairs =
                    options().flat_map(|vote| (0..=self.entries).map(move |ack| (vote, ack)));
                pairs.map(move |(vote, ack)| {
                    let (mut votes, mut acked) = (votes, acked);
                    (votes[term], acked[term]) = (vote, ack);
                    (votes, acked)
                })
            };
            parts = parts.into_iter().flat_map(with).collect();
        }
        let mut rows = Vec::new();
        let mut world =
            World { servers: self.servers, locals: [Local::NEW; SERVERS], history: *history };
        for (place, local) in locals.iter().enumerate() {
            for (votes, acked) in &parts {
                let row = Row { place, local: *local, votes: *votes, acked: *acked };
                row.put(&mut world, who.into());
                if ind.broken_by_server(&world, who.into()).is_none() {
                    rows.push(row);
                }
            }
        }
        rows
    }

    /// All messages from one server to another.
    pub fn messages(&self) -> Vec<Envelope> {
        let pairs = self.ids().flat_map(|src| self.others(src).map(move |dst| (src, dst)));
        let terms = pairs.flat_map(|pair| (1..=self.terms).map(move |term| (pair, term)));
        let all = terms.flat_map(|((src, dst), term)| {
            let messages = self.contents(term).into_iter();
            messages.filter_map(move |msg| Envelope::new(id(src), id(dst), msg))
        });
        all.collect()
    }

    /// All messages of a term.
    fn contents(&self, term: u8) -> Vec<Message> {
        let (term, index) = (Term(term.into()), |index: u8| Index(index.into()));
        let positions = || {
            let later = (1..=self.entries).flat_map(|at| (1..=self.terms).map(move |of| (at, of)));
            std::iter::once((0, 0)).chain(later)
        };
        let mut all = Vec::new();
        for (at, of) in positions() {
            let (last_log_index, last_log_term) = (index(at), Term(of.into()));
            let leadership_transfer = false;
            let args = RequestVote { term, last_log_index, last_log_term, leadership_transfer };
            all.push(Message::RequestVote(args));
            for list in self.lists(of, self.entries - at) {
                for commit in 0..=self.entries {
                    let mut entries = Vec::new();
                    let (mut last, mut prev) = (of, at);
                    for term in &list {
                        entries.push(entry(prev, last, *term));
                        (last, prev) = (*term, prev + 1);
                    }
                    all.push(Message::AppendEntries(AppendEntries {
                        term,
                        prev_log_index: index(at),
                        prev_log_term: Term(of.into()),
                        entries,
                        leader_commit: index(commit),
                        round: 0,
                    }));
                }
            }
        }
        let votes = [true, false].map(|vote_granted| RequestVoteResponse { term, vote_granted });
        all.extend(votes.map(Message::RequestVoteResponse));
        let mut answers = vec![Answer::StaleTerm];
        answers.extend((0..=self.entries).map(|at| Answer::Match(index(at))));
        for at in 1..=self.entries {
            let terms =
                std::iter::once(None).chain((1..=self.terms).map(|of| Some(Term(of.into()))));
            answers.extend(terms.flat_map(|term| {
                (1..=self.entries + 1).map(move |hint| Answer::Conflict {
                    prev_log_index: index(at),
                    term,
                    index: index(hint),
                })
            }));
        }
        let answers =
            answers.into_iter().map(|outcome| AppendEntriesResponse { term, outcome, round: 0 });
        all.extend(answers.map(Message::AppendEntriesResponse));
        all
    }

    /// Judges every step from every state that satisfies Ind, or the steps up to the first failure.
    pub fn check(&self, actor: &Process, ind: Ind) -> Report {
        let messages = self.messages();
        let locals: Vec<_> = self.ids().map(|who| self.locals(who)).collect();
        let events: Vec<_> = [
            Event::Restart,
            Event::Timeout(Timer::Election),
            Event::Timeout(Timer::Heartbeat),
            Event::Request,
        ]
        .into_iter()
        .chain(messages.iter().filter(|it| it.dst == 0).cloned().map(Event::Deliver))
        .collect();
        let mut steps: Vec<Option<Vec<Option<Outcome>>>> = locals[0].iter().map(|_| None).collect();
        let mut report = Report::default();
        for history in self.histories(ind) {
            let rows: Vec<_> = self
                .ids()
                .zip(&locals)
                .map(|(who, locals)| self.rows(ind, who, &history, locals))
                .collect();
            let mut world = World { servers: self.servers, locals: [Local::NEW; SERVERS], history };
            for row in &rows[0] {
                row.put(&mut world, 0);
                let outcomes = steps[row.place].get_or_insert_with(|| {
                    let all = events.iter().map(|it| run(actor, 0, self.servers, &row.local, it));
                    all.collect()
                });
                let done = each_other(&rows[1..], 1, &mut world, &mut |world| {
                    check_state(ind, world, &messages, &events, outcomes, &mut report)
                });
                if !done {
                    return report;
                }
            }
        }
        report
    }
}

impl Row {
    /// Puts the row into a world.
    fn put(&self, world: &mut World, who: usize) {
        world.locals[who] = self.local;
        for term in 0..TERMS {
            world.history.votes[term][who] = self.votes[term];
            world.history.acked[term][who] = self.acked[term];
        }
    }
}

/// Calls `visit` with every combination of rows of the servers from `who` on. Ends when `visit` says false.
fn each_other(
    rows: &[Vec<Row>],
    who: usize,
    world: &mut World,
    visit: &mut dyn FnMut(&World) -> bool,
) -> bool {
    let Some((first, rest)) = rows.split_first() else { return visit(world) };
    first.iter().all(|row| {
        row.put(world, who);
        each_other(rest, who + 1, world, visit)
    })
}

/// Judges every step of server 0 from one state. Says whether none fails.
fn check_state(
    ind: Ind,
    world: &World,
    messages: &[Envelope],
    events: &[Event],
    outcomes: &[Option<Outcome>],
    report: &mut Report,
) -> bool {
    if ind.broken_by_several(world).is_some() {
        return true;
    }
    report.states += 1;
    report.not_implied = report.not_implied.or_else(|| violated(world));
    let is_in_flight = |it: &&Envelope| ind.denies(world, it.src, it.dst, &it.short).is_none();
    let in_flight: Vec<_> = messages.iter().filter(is_in_flight).collect();
    let mut rest = in_flight.iter().filter(|it| it.dst == 0).peekable();
    for (event, outcome) in events.iter().zip(outcomes) {
        if let Event::Deliver(envelope) = event
            && rest.next_if(|it| **it == envelope).is_none()
        {
            continue;
        }
        let Some(outcome) = outcome else { continue };
        report.count(&world.locals[0], event, outcome, in_flight.len());
        let bystanders = in_flight.iter().copied();
        report.failure = judge(ind, world, 0, event, outcome, bystanders);
        if report.failure.is_some() {
            return false;
        }
    }
    true
}

//! The conjuncts of Ind.
//!
//! [`Ind::broken`] judges the servers and the history, and [`Ind::denies`] judges one message in flight. The
//! first conjuncts say that a state has the form of the domain. The others say why a server may believe what
//! it believes: its votes were cast, its log comes from elected leaders, and what it takes for committed was
//! chosen. `docs/induction.md` explains each one.

use super::history::World;
use super::variables::{Local, Log, Role, SERVERS, entry, number, small};
use crate::raft::{Message, Outcome};

/// One conjunct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Conjunct {
    /// A server has no state but the variables of the domain, and a message is of the domain's kinds.
    NothingElse,
    /// No server has halted.
    NobodyHalts,
    /// A server has saved what it has in memory.
    MemoryIsSaved,
    /// A leader has a heartbeat timer, and every other server has an election timer.
    TimersSuitTheRole,
    /// `last_applied` equals `commit_index`.
    CommittedIsApplied,
    /// `commit_index` is at most the last index.
    CommittedIsInTheLog,
    /// The terms of a log never decrease, and none is later than the server's.
    TermsGrow,
    /// A candidate has its own vote, counts it, lacks a majority and has no entry of its term.
    CandidatesStand,
    /// A leader has its own vote, and its last entry is of its term.
    LeadersBegin,
    /// `match_index < next_index <= last index + 1`.
    ProgressIsOrdered,
    /// The history has each server's vote of its term, and no vote of a later one.
    VotesAreRecorded,
    /// Whoever got a vote in a term voted for itself in that term.
    VotesAreForWhoStood,
    /// Whoever a candidate counts has voted for it in its term.
    CountedWereCast,
    /// A majority has voted for the leader of a term.
    ElectedByMajority,
    /// A candidate has not been elected in its term.
    CandidatesAreNotElected,
    /// A leader was elected in its term, and its log is the leader's log of that term.
    LeadersAreElected,
    /// Whoever a follower follows was elected in that term, and is another server.
    FollowedAreElected,
    /// A leader's log of a term ends with an entry of that term, and its terms never decrease.
    ElectedLogsEnd,
    /// A log that has an entry of a term agrees up to there with the log of that term's leader.
    LogsAreOfLeaders,
    /// Nobody acknowledges more than the leader of the term has, or in a term that it has not reached. The
    /// leader has acknowledged all of it.
    AckedWasSent,
    /// A server keeps each entry that it has acknowledged, if the entry may still be chosen.
    AckedIsKept,
    /// A leader's `match_index` was acknowledged in its term.
    MatchedWasAcked,
    /// What a server takes for committed was chosen, in a term that is not later than its own.
    CommittedIsChosen,
    /// The leader of a later term has what may be chosen in an earlier one.
    ElectedHaveChosen,
    /// A candidate has each entry of an earlier term that one of its voters has acknowledged, if the entry
    /// may still be chosen.
    CandidatesHaveChosen,
    /// The sender of a message has reached the message's term.
    SentInTerm,
    /// A RequestVote is of a server that voted for itself in the term. While that one is a candidate of the
    /// term, the request tells the end of its log.
    RequestsTellTheLog,
    /// A granted vote was cast, in that term and for the receiver.
    GrantedWereCast,
    /// An AppendEntries is of the leader of its term, and is a part of that leader's log.
    AppendsAreOfLeaders,
    /// The commit index of an AppendEntries was chosen.
    AppendsTellChosen,
    /// An acknowledgement in flight is part of the history.
    MatchesWereAcked,
}

use Conjunct as C;

impl Conjunct {
    /// All conjuncts, in the order in which they are judged.
    pub const ALL: [Self; 31] = [
        C::NothingElse,
        C::NobodyHalts,
        C::MemoryIsSaved,
        C::TimersSuitTheRole,
        C::CommittedIsApplied,
        C::CommittedIsInTheLog,
        C::TermsGrow,
        C::CandidatesStand,
        C::LeadersBegin,
        C::ProgressIsOrdered,
        C::VotesAreRecorded,
        C::VotesAreForWhoStood,
        C::CountedWereCast,
        C::ElectedByMajority,
        C::CandidatesAreNotElected,
        C::LeadersAreElected,
        C::FollowedAreElected,
        C::ElectedLogsEnd,
        C::LogsAreOfLeaders,
        C::AckedWasSent,
        C::AckedIsKept,
        C::MatchedWasAcked,
        C::CommittedIsChosen,
        C::ElectedHaveChosen,
        C::CandidatesHaveChosen,
        C::SentInTerm,
        C::RequestsTellTheLog,
        C::GrantedWereCast,
        C::AppendsAreOfLeaders,
        C::AppendsTellChosen,
        C::MatchesWereAcked,
    ];

    /// The conjuncts that say the form of a state. No state without that form is enumerated.
    pub fn is_form(self) -> bool {
        self <= C::CommittedIsInTheLog
    }

    /// The conjunct's name in reports.
    pub fn name(self) -> &'static str {
        match self {
            C::NothingElse => "Nothing else exists",
            C::NobodyHalts => "Nobody halts",
            C::MemoryIsSaved => "Memory is saved",
            C::TimersSuitTheRole => "Timers suit the role",
            C::CommittedIsApplied => "Committed is applied",
            C::CommittedIsInTheLog => "Committed is in the log",
            C::TermsGrow => "Terms grow",
            C::CandidatesStand => "Candidates stand",
            C::LeadersBegin => "Leaders begin",
            C::ProgressIsOrdered => "Progress is ordered",
            C::VotesAreRecorded => "Votes are recorded",
            C::VotesAreForWhoStood => "Votes are for who stood",
            C::CountedWereCast => "Counted votes were cast",
            C::ElectedByMajority => "Elected by a majority",
            C::CandidatesAreNotElected => "Candidates are not elected",
            C::LeadersAreElected => "Leaders are elected",
            C::FollowedAreElected => "Followed are elected",
            C::ElectedLogsEnd => "Elected logs end in their term",
            C::LogsAreOfLeaders => "Logs are of leaders",
            C::AckedWasSent => "Acked was sent",
            C::AckedIsKept => "Acked is kept",
            C::MatchedWasAcked => "Matched was acked",
            C::CommittedIsChosen => "Committed is chosen",
            C::ElectedHaveChosen => "Elected have what is chosen",
            C::CandidatesHaveChosen => "Candidates have what is chosen",
            C::SentInTerm => "Sent in term",
            C::RequestsTellTheLog => "Requests tell the log",
            C::GrantedWereCast => "Granted votes were cast",
            C::AppendsAreOfLeaders => "Appends are of leaders",
            C::AppendsTellChosen => "Appends tell what is chosen",
            C::MatchesWereAcked => "Matches were acked",
        }
    }
}

/// A message in the form that conjuncts read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Short {
    /// RequestVote, with term and index of the last entry.
    RequestVote {
        /// The term.
        term: u8,
        /// Term and index of the sender's last entry.
        last: (u8, u8),
    },
    /// `RequestVoteResponse`.
    Vote {
        /// The term.
        term: u8,
        /// Whether the vote is granted.
        granted: bool,
    },
    /// AppendEntries.
    Append {
        /// The term.
        term: u8,
        /// The index of the entry before the new ones.
        prev: u8,
        /// The term of that entry.
        prev_term: u8,
        /// The new entries.
        entries: Log,
        /// The leader's commit index.
        commit: u8,
    },
    /// `AppendEntriesResponse` that acknowledges entries.
    Match {
        /// The term.
        term: u8,
        /// The last index that is acknowledged.
        index: u8,
    },
    /// `AppendEntriesResponse` that acknowledges nothing.
    Refusal {
        /// The term.
        term: u8,
    },
}

impl Short {
    /// The form of a message; `None` if the message is not of the domain's kinds.
    pub fn of(msg: &Message) -> Option<Self> {
        match msg {
            Message::RequestVote(args) => {
                let last = (small(args.last_log_term.0)?, small(args.last_log_index.0)?);
                (!args.leadership_transfer)
                    .then_some(Short::RequestVote { term: small(args.term.0)?, last })
            }
            Message::RequestVoteResponse(args) => {
                Some(Short::Vote { term: small(args.term.0)?, granted: args.vote_granted })
            }
            Message::AppendEntries(args) => {
                let (prev, prev_term) =
                    (small(args.prev_log_index.0)?, small(args.prev_log_term.0)?);
                let (mut entries, mut last, mut index) = (Log::default(), prev_term, prev);
                for given in &args.entries {
                    let term = small(given.term.0)?;
                    if *given != entry(index, last, term) {
                        return None;
                    }
                    entries.push(term);
                    (last, index) = (term, index + 1);
                }
                let (term, commit) = (small(args.term.0)?, small(args.leader_commit.0)?);
                (args.round == 0).then_some(Short::Append {
                    term,
                    prev,
                    prev_term,
                    entries,
                    commit,
                })
            }
            Message::AppendEntriesResponse(args) => {
                let term = small(args.term.0)?;
                match args.outcome {
                    Outcome::Match(index) => Some(Short::Match { term, index: small(index.0)? }),
                    Outcome::Conflict { .. } | Outcome::StaleTerm => Some(Short::Refusal { term }),
                }
            }
            _ => None,
        }
    }

    fn term(&self) -> u8 {
        match *self {
            Short::RequestVote { term, .. }
            | Short::Vote { term, .. }
            | Short::Append { term, .. }
            | Short::Match { term, .. }
            | Short::Refusal { term } => term,
        }
    }
}

/// The conjunction of some conjuncts.
#[derive(Clone, Copy, Debug)]
pub struct Ind(u64);

impl Ind {
    /// The conjunction of all conjuncts.
    pub const ALL: Self = Self(u64::MAX);

    /// The conjunction of all conjuncts but one.
    pub fn without(conjunct: Conjunct) -> Self {
        Self(!(1 << conjunct as u64))
    }

    fn has(self, conjunct: Conjunct) -> bool {
        self.0 & 1 << conjunct as u64 != 0
    }

    /// The first conjunct that is false, among those that are asked for.
    fn first(self, judged: &[(Conjunct, bool)]) -> Option<Conjunct> {
        let broken = judged.iter().find(|(conjunct, holds)| !holds && self.has(*conjunct));
        broken.map(|(conjunct, _)| *conjunct)
    }

    /// The first conjunct that the servers and their history break.
    pub fn broken(self, world: &World) -> Option<Conjunct> {
        self.broken_by_leaders(world)
            .or_else(|| (0..world.servers).find_map(|who| self.broken_by_server(world, who)))
            .or_else(|| self.broken_by_several(world))
    }

    /// The first conjunct that one server breaks, of those that ask for no other server.
    pub fn broken_by_server(self, world: &World, who: usize) -> Option<Conjunct> {
        let (local, history) = (&world.locals[who], &world.history);
        let Local { term, vote, log, commit, .. } = local;
        let me = u8::try_from(who).unwrap_or_default();
        let elected = history.leader(*term);
        let grows = log.terms().is_sorted() && log.last().0 <= *term;
        let mut later = history.votes.iter().skip(usize::from(*term) + 1);
        let recorded = history.vote(*term, who) == *vote && later.all(|it| it[who].is_none());
        let acked = (0..).zip(&history.acked).all(|(of, acked)| {
            let sent = history.leader(of).map_or(0, |it| it.log.len());
            acked[who] <= if of <= *term { sent } else { 0 }
        });
        let is_all_acked = history.leaders().all(|(of, it)| {
            usize::from(it.leader) != who || history.acked(of, who) == it.log.len()
        });
        let judged = [
            (C::CommittedIsInTheLog, *commit <= log.len()),
            (C::TermsGrow, grows),
            (C::VotesAreRecorded, recorded),
            (C::LogsAreOfLeaders, is_of_leaders(log, world)),
            (C::AckedWasSent, acked && is_all_acked),
        ];
        let of_role = match local.role {
            Role::Follower(None) => None,
            Role::Follower(Some(leader)) => {
                let is_elected = elected.is_some_and(|it| it.leader == leader) && leader != me;
                self.first(&[(C::FollowedAreElected, is_elected)])
            }
            Role::Candidate(votes) => {
                let counts =
                    votes & 1 << me != 0 && (votes.count_ones() as usize) < world.majority();
                let stands = *vote == Some(me) && counts && log.last().0 < *term;
                let is_elected = elected.is_some_and(|it| it.leader == me);
                self.first(&[
                    (C::CandidatesStand, stands),
                    (C::CandidatesAreNotElected, !is_elected),
                ])
            }
            Role::Leader { next, matched } => {
                let is_ordered = |other: usize| {
                    other == who || (matched[other] < next[other] && next[other] <= log.len() + 1)
                };
                let is_elected = elected.is_some_and(|it| it.leader == me && it.log == *log);
                self.first(&[
                    (C::LeadersBegin, *vote == Some(me) && log.last().0 == *term),
                    (C::ProgressIsOrdered, (0..world.servers).all(is_ordered)),
                    (C::LeadersAreElected, is_elected),
                ])
            }
        };
        of_role.or_else(|| self.first(&judged))
    }

    /// The first conjunct that the logs of elected leaders break.
    pub fn broken_by_leaders(self, world: &World) -> Option<Conjunct> {
        world.history.leaders().find_map(|(term, elected)| {
            let log = &elected.log;
            let ends = log.last().0 == term && log.terms().is_sorted();
            let is_of_leaders = is_of_leaders(log, world);
            self.first(&[(C::ElectedLogsEnd, ends), (C::LogsAreOfLeaders, is_of_leaders)])
        })
    }

    /// The first conjunct that asks for several servers and is false.
    pub fn broken_by_several(self, world: &World) -> Option<Conjunct> {
        let history = &world.history;
        let elected_by_majority = history.leaders().all(|(term, elected)| {
            let votes = (0..world.servers)
                .filter(|voter| history.vote(term, *voter) == Some(elected.leader));
            votes.count() >= world.majority()
        });
        if !elected_by_majority && self.has(C::ElectedByMajority) {
            return Some(C::ElectedByMajority);
        }
        let stood = history.votes.iter().all(|votes| {
            votes.iter().flatten().all(|it| votes.get(usize::from(*it)) == Some(&Some(*it)))
        });
        if !stood && self.has(C::VotesAreForWhoStood) {
            return Some(C::VotesAreForWhoStood);
        }
        for (who, local) in world.all() {
            let broken = match local.role {
                Role::Candidate(votes) => {
                    let me = u8::try_from(who).ok();
                    let were_cast = (0..world.servers).all(|voter| {
                        votes & 1 << voter == 0 || history.vote(local.term, voter) == me
                    });
                    self.first(&[
                        (C::CountedWereCast, were_cast),
                        (C::CandidatesHaveChosen, has_chosen(world, who)),
                    ])
                }
                Role::Leader { matched, .. } => {
                    let mut others = (0..world.servers).filter(|other| *other != who);
                    let acked =
                        others.all(|other| matched[other] <= history.acked(local.term, other));
                    self.first(&[(C::MatchedWasAcked, acked)])
                }
                Role::Follower(_) => None,
            };
            let kept = history.leaders().all(|(term, elected)| {
                let index = open(world, term, history.acked(term, who));
                local.log.agrees(&elected.log, index)
            });
            let is_chosen = is_chosen(world, local.term, &local.log, local.commit);
            let judged = [(C::AckedIsKept, kept), (C::CommittedIsChosen, is_chosen)];
            if let Some(broken) = broken.or_else(|| self.first(&judged)) {
                return Some(broken);
            }
        }
        let complete = history.leaders().all(|(term, elected)| {
            let index = world.choosable(term);
            let mut later = history.leaders().filter(|(later, _)| *later > term);
            index == 0 || later.all(|(_, it)| it.log.agrees(&elected.log, index))
        });
        self.first(&[(C::ElectedHaveChosen, complete)])
    }

    /// The conjunct that a message in flight breaks.
    pub fn denies(self, world: &World, src: u8, dst: u8, msg: &Short) -> Option<Conjunct> {
        let history = &world.history;
        let sender = &world.locals[usize::from(src).min(SERVERS - 1)];
        let in_term = (C::SentInTerm, msg.term() <= sender.term);
        match msg {
            Short::RequestVote { term, last } => {
                let stands = sender.term == *term && matches!(sender.role, Role::Candidate(_));
                let tells = history.vote(*term, src.into()) == Some(src)
                    && last.0 < *term
                    && (!stands || sender.log.last() == *last);
                self.first(&[in_term, (C::RequestsTellTheLog, tells)])
            }
            Short::Vote { term, granted } => {
                let was_cast = !granted || history.vote(*term, src.into()) == Some(dst);
                self.first(&[in_term, (C::GrantedWereCast, was_cast)])
            }
            Short::Append { term, prev, prev_term, entries, commit } => {
                let elected = history.leader(*term);
                let is_part = |log: &Log| {
                    let end = prev + entries.len();
                    log.term(*prev) == Some(*prev_term)
                        && log.len() >= end
                        && log.terms()[usize::from(*prev)..usize::from(end)] == *entries.terms()
                };
                let is_of_leader = elected.is_some_and(|it| it.leader == src && is_part(&it.log));
                let tells = elected.is_some_and(|it| is_chosen(world, *term, &it.log, *commit));
                self.first(&[
                    in_term,
                    (C::AppendsAreOfLeaders, is_of_leader),
                    (C::AppendsTellChosen, tells),
                ])
            }
            Short::Match { term, index } => {
                let was_acked = *index <= history.acked(*term, src.into());
                self.first(&[in_term, (C::MatchesWereAcked, was_acked)])
            }
            Short::Refusal { .. } => self.first(&[in_term]),
        }
    }
}

/// Whether each entry of a log stands in the log of its term's leader, behind the same entries.
fn is_of_leaders(log: &Log, world: &World) -> bool {
    (1..).zip(log.terms()).all(|(index, term)| {
        world.history.leader(*term).is_some_and(|elected| log.agrees(&elected.log, index))
    })
}

/// The last index up to `limit` that may still be chosen in a term.
fn open(world: &World, term: u8, limit: u8) -> u8 {
    if limit == 0 {
        return 0;
    }
    let index = world.choosable(term).min(limit);
    let is_of_term = world.history.leader(term).is_some_and(|it| it.log.term(index) == Some(term));
    if is_of_term { index } else { 0 }
}

/// Whether the entries of a log up to `commit` are chosen in a term that is not later than `term`.
pub fn is_chosen(world: &World, term: u8, log: &Log, commit: u8) -> bool {
    commit == 0
        || world
            .history
            .leaders()
            .take_while(|(of, _)| *of <= term)
            .any(|(of, elected)| log.agrees(&elected.log, commit) && world.chosen(of) >= commit)
}

/// Whether a candidate has what each of its voters has acknowledged in earlier terms and what may be chosen.
fn has_chosen(world: &World, candidate: usize) -> bool {
    let (local, history) = (&world.locals[candidate], &world.history);
    let voters = (0..world.servers)
        .filter(|voter| history.vote(local.term, *voter).map(usize::from) == Some(candidate));
    let mut earlier = voters.flat_map(|voter| {
        history.leaders().take_while(|(term, _)| *term < local.term).map(move |it| (voter, it))
    });
    earlier.all(|(voter, (term, elected))| {
        let index = open(world, term, history.acked(term, voter));
        local.log.agrees(&elected.log, index)
    })
}

/// The property of Figure 3 that a world violates, if Ind does not imply it there.
pub fn violated(world: &World) -> Option<&'static str> {
    let pairs = || world.all().flat_map(|a| world.all().map(move |b| (a, b)));
    let mut distinct = pairs().filter(|(a, b)| a.0 != b.0);
    if distinct.any(|((_, a), (_, b))| a.leads() && b.leads() && a.term == b.term) {
        return Some("Election Safety");
    }
    let matches = |a: &Log, b: &Log| {
        let same = (1..=a.len().min(b.len())).rev().find(|index| a.term(*index) == b.term(*index));
        same.is_none_or(|index| a.agrees(b, index))
    };
    if !pairs().all(|((_, a), (_, b))| matches(&a.log, &b.log)) {
        return Some("Log Matching");
    }
    if !pairs().all(|((_, a), (_, b))| a.log.agrees(&b.log, a.commit.min(b.commit))) {
        return Some("State Machine Safety");
    }
    let complete = |leader: &Local, server: &Local| {
        !leader.leads()
            || leader.term < server.term
            || leader.log.agrees(&server.log, server.commit)
    };
    (!pairs().all(|((_, a), (_, b))| complete(a, b))).then_some("Leader Completeness")
}

/// The number of a process, in the form that conjuncts read.
pub(super) fn party(id: stateright::actor::Id) -> u8 {
    number(id)
}

//! The ghost of an inductive check: what Ind remembers of the past.
//!
//! A conjunct about the present alone is not inductive: a server that moves on forgets its vote, and a leader
//! that restarts forgets its followers. A [`History`] keeps three facts of each term: who voted for whom, who
//! was elected with which log, and how much each server has acknowledged. It is part of the enumerated state,
//! and [`History::observe`] changes it in each step. A [`World`] joins it to the servers.

use super::conjuncts::Short;
use super::step::Envelope;
use super::variables::{Local, Log, SERVERS};

/// The number of terms that a history has room for. The first is term zero.
pub const TERMS: usize = 6;

/// The leader of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elected {
    /// The server that was elected.
    pub leader: u8,
    /// The longest log that this leader had in the term.
    pub log: Log,
}

/// What happened in each term.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct History {
    /// The leader of each term, if one was elected.
    pub elected: [Option<Elected>; TERMS],
    /// The first vote of each server in each term.
    pub votes: [[Option<u8>; SERVERS]; TERMS],
    /// The highest index that each server has acknowledged in each term. To have an entry is to acknowledge
    /// it, for the leader of the term.
    pub acked: [[u8; SERVERS]; TERMS],
}

/// The servers and their history. Messages in flight stand beside a world.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct World {
    /// The number of servers.
    pub servers: usize,
    /// The variables of each server.
    pub locals: [Local; SERVERS],
    /// The history.
    pub history: History,
}

impl History {
    /// Records what one step of a server adds to the history. A vote that takes the place of another one is
    /// not recorded; nor is a leader of a term that has one, nor a leader's log that lacks what it had.
    pub fn observe(&mut self, who: usize, after: &Local, sent: &[Envelope]) {
        let term = usize::from(after.term);
        let Some(vote) = self.votes.get_mut(term).map(|votes| &mut votes[who]) else { return };
        *vote = vote.or(after.vote);
        if after.leads() {
            let leader = u8::try_from(who).unwrap_or_default();
            let now = Elected { leader, log: after.log };
            let old = self.elected[term].get_or_insert(now);
            if old.leader == leader && after.log.agrees(&old.log, old.log.len()) {
                *old = now;
                self.acked[term][who] = self.acked[term][who].max(after.log.len());
            }
        }
        for envelope in sent {
            if let Short::Match { term, index } = envelope.short
                && let Some(acked) = self.acked.get_mut(usize::from(term))
            {
                acked[who] = acked[who].max(index);
            }
        }
    }

    /// The leader of a term.
    pub fn leader(&self, term: u8) -> Option<&Elected> {
        self.elected.get(usize::from(term))?.as_ref()
    }

    /// The terms that have a leader, with the leader.
    pub fn leaders(&self) -> impl Iterator<Item = (u8, &Elected)> {
        (0..).zip(&self.elected).filter_map(|(term, elected)| Some((term, elected.as_ref()?)))
    }

    /// The vote of a server in a term.
    pub fn vote(&self, term: u8, voter: usize) -> Option<u8> {
        self.votes.get(usize::from(term)).and_then(|votes| votes[voter])
    }

    /// The index up to which a server has acknowledged entries in a term.
    pub fn acked(&self, term: u8, who: usize) -> u8 {
        self.acked.get(usize::from(term)).map_or(0, |acked| acked[who])
    }
}

impl World {
    /// The number of servers that are a majority.
    pub fn majority(&self) -> usize {
        self.servers / 2 + 1
    }

    /// The variables of all servers, with their numbers.
    pub fn all(&self) -> impl Iterator<Item = (usize, &Local)> {
        self.locals[..self.servers].iter().enumerate()
    }

    /// The last index that is chosen in a term: a majority has acknowledged it there, and the entry is of the
    /// term. Zero if there is none.
    pub fn chosen(&self, term: u8) -> u8 {
        let Some(elected) = self.history.leader(term) else { return 0 };
        let is_chosen = |index: &u8| {
            let acked = (0..self.servers).filter(|who| self.history.acked(term, *who) >= *index);
            elected.log.term(*index) == Some(term) && acked.count() >= self.majority()
        };
        (1..=elected.log.len()).rev().find(is_chosen).unwrap_or(0)
    }

    /// The last index that may still be chosen in a term, or is: each server of some majority has
    /// acknowledged it or has not left the term. Zero if there is none.
    pub fn choosable(&self, term: u8) -> u8 {
        let Some(elected) = self.history.leader(term) else { return 0 };
        let may_be = |index: &u8| {
            let open = self.all().filter(|(who, local)| {
                local.term <= term || self.history.acked(term, *who) >= *index
            });
            elected.log.term(*index) == Some(term) && open.count() >= self.majority()
        };
        (1..=elected.log.len()).rev().find(may_be).unwrap_or(0)
    }
}

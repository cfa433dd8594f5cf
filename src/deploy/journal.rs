//! What a deployed server tells people as it runs: its trace, and log lines when its role changes.

use super::suspicion::Suspicion;
use crate::raft::{Raft, Role, Server, Term};
use crate::runtime::trace::TraceWriter;
use crate::runtime::{Event, Observer};
use crate::state_machine::StateMachine;
use serde::Serialize;
use stateright::actor::{Id, Out};
use std::io;

/// Observes one server.
pub(super) struct Journal {
    id: u64,
    trace: Option<TraceWriter>,
    suspicion: Suspicion,
    /// News of the present batch. A log line can be observed, so it waits for the save as a
    /// datagram does.
    news: Vec<News>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Stands(Term),
    Leads(Term),
    SteppedDown(Term),
    Follows(Id, Term),
}

impl Journal {
    pub(super) fn new(id: u64, trace: Option<TraceWriter>) -> Self {
        Self { id, trace, suspicion: Suspicion::default(), news: Vec::new() }
    }
}

impl<S: StateMachine + Serialize> Observer<Raft<S>> for Journal {
    fn handled(
        &mut self,
        batch: u64,
        event: &Event<Raft<S>>,
        before: Option<&Server<S>>,
        after: &Server<S>,
        out: &Out<Raft<S>>,
    ) {
        if let Some(trace) = &mut self.trace {
            trace.handled(batch, event, before, after, out);
        }
        if let Some(before) = before {
            self.news.extend(news(before, after));
            self.suspicion.see(event, before, after);
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.trace.as_mut().map_or(Ok(()), TraceWriter::flush)
    }

    fn committed(&mut self) {
        for news in self.news.drain(..) {
            news.log(self.id);
        }
    }

    fn must_stop(&self) -> Option<String> {
        self.suspicion.must_stop()
    }
}

/// What a step changed that people want to know.
fn news<S>(before: &Server<S>, after: &Server<S>) -> Vec<News> {
    let term = after.persistent.current_term;
    let is_same_term = term == before.persistent.current_term;
    let mut news = Vec::new();
    if before.is_leader() && !after.is_leader() {
        news.push(News::SteppedDown(before.persistent.current_term));
    }
    match &after.role {
        Role::Leader { .. } if !before.is_leader() => news.push(News::Leads(term)),
        Role::Candidate { .. } if !is_same_term => news.push(News::Stands(term)),
        Role::Follower { leader: Some(leader) } if !is_same_term || before.role != after.role => {
            news.push(News::Follows(*leader, term));
        }
        _ => {}
    }
    news
}

impl News {
    fn log(self, id: u64) {
        match self {
            // In a minority this goes on several times a second.
            News::Stands(term) => tracing::debug!(id, term = term.0, "stands for election"),
            News::Leads(term) => tracing::info!(id, term = term.0, "became leader"),
            News::SteppedDown(term) => tracing::info!(id, term = term.0, "stepped down"),
            News::Follows(leader, term) => {
                tracing::info!(id, term = term.0, leader = usize::from(leader), "follows");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Kv;
    use crate::raft::Persistent;
    use std::collections::{BTreeMap, BTreeSet};

    fn server(term: u64, role: Role) -> Server<Kv> {
        let persistent = Persistent { current_term: Term(term), ..Persistent::default() };
        Server { role, ..Server::restored(persistent) }
    }

    #[test]
    fn a_change_of_role_is_told_once() {
        let leader = || Role::Leader {
            next_index: BTreeMap::new(),
            match_index: BTreeMap::new(),
            attempts: BTreeMap::new(),
        };
        let candidate = || Role::Candidate { votes_granted: BTreeSet::new() };
        let follower = |leader: Option<usize>| Role::Follower { leader: leader.map(Id::from) };
        let (two, none) = (Id::from(2), Vec::<News>::new);
        let t = Term;
        for (before, after, expected) in [
            ((1, follower(None)), (2, candidate()), vec![News::Stands(t(2))]),
            ((2, candidate()), (3, candidate()), vec![News::Stands(t(3))]),
            ((2, candidate()), (2, candidate()), none()),
            ((2, candidate()), (2, leader()), vec![News::Leads(t(2))]),
            ((1, follower(None)), (2, leader()), vec![News::Leads(t(2))]),
            ((2, leader()), (2, leader()), none()),
            ((2, leader()), (3, follower(None)), vec![News::SteppedDown(t(2))]),
            (
                (2, leader()),
                (3, follower(Some(2))),
                vec![News::SteppedDown(t(2)), News::Follows(two, t(3))],
            ),
            ((3, follower(None)), (3, follower(Some(2))), vec![News::Follows(two, t(3))]),
            ((3, follower(Some(2))), (3, follower(Some(2))), none()),
            ((3, follower(Some(2))), (4, follower(Some(2))), vec![News::Follows(two, t(4))]),
            ((3, follower(Some(2))), (4, follower(None)), none()),
        ] {
            let (before, after) = (server(before.0, before.1), server(after.0, after.1));
            assert_eq!(news(&before, &after), expected, "{before:?} to {after:?}");
        }
    }
}

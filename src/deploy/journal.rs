//! The journal of a deployed server: what the server tells people as it runs. [`Journal`] observes the
//! node and passes what it sees to four parts. The trace records every handler call. [`Contact`] tells
//! when the server is out of touch with its cluster. [`Saves`] tells when its saves are too slow for its
//! timeouts. [`Suspicion`] tells of what no correct cluster does. The journal itself logs each change of
//! role.

use super::contact::{Contact, Standing};
use super::log_page::log_page;
use super::saves::Saves;
use super::suspicion::Suspicion;
use crate::raft::{Index, Leader, Parameters, Raft, Role, Server, Term, Timer};
use crate::runtime::trace::TraceWriter;
use crate::runtime::wire::CLIENTS;
use crate::runtime::{Commit, Event, Observer};
use crate::state_machine::StateMachine;
use serde::Serialize;
use serde_json::{Map, Value};
use stateright::actor::{Id, Out};
use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

/// The observer of one server.
pub(super) struct Journal {
    id: u64,
    trace: Option<TraceWriter>,
    suspicion: Suspicion,
    contact: Contact,
    saves: Saves,
    /// The news of the present batch. A log line can be observed, so it waits for the save as a datagram
    /// does.
    news: Vec<News>,
    /// The other servers heard from in the present batch.
    speakers: BTreeSet<Id>,
    /// How the server stands at the end of the present batch.
    standing: Standing,
}

/// The news that people are told of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The server asks the others whether they would vote for it.
    AsksForPreVotes(Term),
    /// The server stands for election in this term. `true` if it asked for pre-votes before.
    Stands(Term, bool),
    Leads(Term),
    SteppedDown(Term),
    /// The server led this term, and has stepped down because it heard no majority (CQ-1).
    LostMajority(Term),
    Follows(Id, Term),
    /// The server has taken a snapshot of its own state, up to this entry.
    TookSnapshot(Index),
    /// The server has installed its leader's snapshot, up to this entry.
    InstalledSnapshot(Index),
    /// The server leads and begins to send this follower its snapshot, up to this entry.
    SendsSnapshot(Id, Index),
    /// The number of elections that had no winner, as far as this candidate knows.
    StoodInVain(u64),
    /// The server has known no leader for this long.
    KnowsNoLeader(Duration),
    /// The server leads and has heard from no majority for this long.
    HeardNoMajority(Duration),
    /// The server leads and hears from a majority again.
    HearsMajority,
    /// A save was slow: how long it took, and how many slow saves there have been.
    SlowSave(Duration, u64),
}

impl Journal {
    pub(super) fn new(id: u64, parameters: &Parameters, trace: Option<TraceWriter>) -> Self {
        Self {
            id,
            trace,
            suspicion: Suspicion::default(),
            contact: Contact::new(parameters),
            saves: Saves::new(parameters),
            news: Vec::new(),
            speakers: BTreeSet::new(),
            standing: Standing::Seeks,
        }
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
            let campaigns = matches!(event, Event::Timeout(Timer::Election));
            if let (true, Role::PreCandidate { .. }) = (campaigns, &after.role) {
                self.news.push(News::AsksForPreVotes(after.persistent.current_term));
            }
            self.news.extend(news(before, after));
            self.suspicion.see(event, before, after);
        }
        if let Event::Message { src, .. } = event
            && (usize::from(*src) as u64) < CLIENTS
        {
            self.speakers.insert(*src);
        }
        self.contact.members_are(&after.members);
        self.standing = Standing::of(after);
    }

    fn flush(&mut self) -> io::Result<()> {
        self.trace.as_mut().map_or(Ok(()), TraceWriter::flush)
    }

    fn committed(&mut self, commit: &Commit) {
        for news in std::mem::take(&mut self.news) {
            news.log(self.id, &self.saves);
            if let News::AsksForPreVotes(_) | News::Stands(_, false) = news
                && let Some(in_vain) = self.contact.stands()
            {
                in_vain.log(self.id, &self.saves);
            }
        }
        let slow = commit.save.and_then(|took| self.saves.note(took));
        let touch = self.contact.update(commit.at, self.standing, &mut self.speakers);
        for news in slow.into_iter().chain(touch) {
            news.log(self.id, &self.saves);
        }
    }

    fn status(&self, at: Duration) -> Map<String, Value> {
        let ago = self.contact.majority_heard_ago(at);
        let ago = ago.map(|ago| u64::try_from(ago.as_millis()).expect("no node runs for so long"));
        let out_of_reach = self.suspicion.terms_out_of_reach();
        Map::from_iter([
            ("majority_heard_ms_ago".to_owned(), ago.into()),
            ("terms_out_of_reach".to_owned(), out_of_reach.into()),
        ])
    }

    fn warnings(&self, at: Duration) -> Vec<String> {
        let contact = self.contact.warning(at).into_iter();
        contact.chain(self.saves.warning()).chain(self.suspicion.warnings()).collect()
    }

    fn page(&self, state: &Server<S>, from: u64) -> Value {
        log_page(self.id, state, from)
    }

    fn peek(&self, state: &Server<S>, query: &[u8]) -> Vec<u8> {
        state.machine.query(query).into()
    }

    fn must_stop(&self) -> Option<String> {
        self.suspicion.must_stop()
    }
}

/// The changes of a step that people want to know.
fn news<S>(before: &Server<S>, after: &Server<S>) -> Vec<News> {
    let term = after.persistent.current_term;
    let is_same_term = term == before.persistent.current_term;
    let mut news = Vec::new();
    if before.is_leader() && !after.is_leader() {
        let led = before.persistent.current_term;
        // Nothing else ends the lead of a term within that term.
        news.push(if is_same_term { News::LostMajority(led) } else { News::SteppedDown(led) });
    }
    match &after.role {
        Role::Leader(_) if !before.is_leader() => news.push(News::Leads(term)),
        Role::Candidate { .. } if !is_same_term => {
            let was_welcome = matches!(before.role, Role::PreCandidate { .. });
            news.push(News::Stands(term, was_welcome));
        }
        Role::Follower { leader: Some(leader), .. }
            if !is_same_term || !before.follows(*leader) =>
        {
            news.push(News::Follows(*leader, term));
        }
        _ => {}
    }
    news.extend(news_of_snapshots(before, after));
    news
}

fn news_of_snapshots<S>(before: &Server<S>, after: &Server<S>) -> Vec<News> {
    let (old, new) = (&before.persistent, &after.persistent);
    let mut news = Vec::new();
    let last = new.snapshot.last_index;
    if last > old.snapshot.last_index {
        // A server that installs a snapshot has no entry up to there.
        let is_installed = new.log.start() == last && old.log.last_index() < last;
        let took = if is_installed { News::InstalledSnapshot } else { News::TookSnapshot };
        news.push(took(last));
    }
    let Some(leader) = after.leader() else { return news };
    for (follower, progress) in &leader.followers {
        let sent = |leader: &Leader<S>| {
            let sending = leader.followers.get(follower)?.sending.as_ref()?;
            Some(sending.snapshot.last_index)
        };
        if let Some(last) = progress.sending.as_ref().map(|it| it.snapshot.last_index)
            && before.leader().and_then(sent) != Some(last)
        {
            news.push(News::SendsSnapshot(*follower, last));
        }
    }
    news
}

impl News {
    fn log(self, id: u64, saves: &Saves) {
        match self {
            // In a minority a server does these several times a second.
            News::AsksForPreVotes(term) => tracing::debug!(id, term = term.0, "asks for pre-votes"),
            News::Stands(term, _) => tracing::debug!(id, term = term.0, "stands for election"),
            News::Leads(term) => tracing::info!(id, term = term.0, "became leader"),
            News::SteppedDown(term) => tracing::info!(id, term = term.0, "stepped down"),
            News::LostMajority(term) => tracing::warn!(
                id,
                term = term.0,
                "stepped down, because no majority was heard for an election timeout"
            ),
            News::Follows(leader, term) => {
                tracing::info!(id, term = term.0, leader = usize::from(leader), "follows");
            }
            News::TookSnapshot(last) => tracing::debug!(id, last_index = last.0, "took a snapshot"),
            News::InstalledSnapshot(last) => {
                tracing::info!(id, last_index = last.0, "installed the leader's snapshot");
            }
            News::SendsSnapshot(follower, last) => {
                let (follower, last_index) = (usize::from(follower), last.0);
                tracing::info!(id, follower, last_index, "sends its snapshot to a follower");
            }
            News::StoodInVain(elections) => tracing::info!(
                id,
                elections,
                "tried in vain to be elected; does a majority run, and can it be reached?"
            ),
            News::KnowsNoLeader(since) => {
                tracing::info!(id, ms = since.as_millis(), "has known no leader for a while");
            }
            News::HeardNoMajority(since) => tracing::warn!(
                id,
                ms = since.as_millis(),
                "leads, but has not heard from a majority for a while: it can commit nothing"
            ),
            News::HearsMajority => tracing::info!(id, "hears from a majority again"),
            News::SlowSave(took, count) => {
                let advice = saves.advice();
                tracing::warn!(id, ms = took.as_millis(), count, "a save took long: {advice}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Kv;
    use crate::raft::{AppendEntriesResponse, Leader, Message, Outcome, Persistent};
    use std::sync::{Arc, Mutex};

    fn server(term: u64, role: Role<Kv>) -> Server<Kv> {
        let persistent = Persistent { current_term: Term(term), ..Persistent::default() };
        Server {
            role,
            ..Server::restored([1, 2, 3].map(Id::from).into_iter().collect(), persistent)
        }
    }

    #[test]
    fn a_change_of_role_is_told_once() {
        let leader = || Role::Leader(Leader::default());
        let candidate = || Role::Candidate { votes_granted: BTreeSet::new() };
        let follower = |leader: Option<usize>| Role::follower(leader.map(Id::from));
        let (two, none) = (Id::from(2), Vec::<News>::new);
        let t = Term;
        for (before, after, expected) in [
            ((1, follower(None)), (2, candidate()), vec![News::Stands(t(2), false)]),
            ((2, candidate()), (3, candidate()), vec![News::Stands(t(3), false)]),
            ((2, candidate()), (2, candidate()), none()),
            ((2, candidate()), (2, leader()), vec![News::Leads(t(2))]),
            ((1, follower(None)), (2, leader()), vec![News::Leads(t(2))]),
            ((2, leader()), (2, leader()), none()),
            ((2, leader()), (3, follower(None)), vec![News::SteppedDown(t(2))]),
            ((2, leader()), (2, follower(None)), vec![News::LostMajority(t(2))]),
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

    /// The text that is logged in this thread while `act` runs, from `info` on.
    fn logged(act: impl FnOnce()) -> String {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&lines);
        let subscriber =
            tracing_subscriber::fmt().with_writer(move || Sink(Arc::clone(&writer))).finish();
        tracing::subscriber::with_default(subscriber, act);
        let lines = lines.lock().expect("nobody panics").clone();
        String::from_utf8(lines).expect("text")
    }

    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panics").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The journal as an observer of `Raft<Kv>`. The trait's methods alone would leave the state machine
    /// open.
    type Seen<'a> = &'a mut dyn Observer<Raft<Kv>>;

    /// Shows a step to the journal.
    fn show(journal: Seen, before: &Server<Kv>, event: &Event<Raft<Kv>>, after: &Server<Kv>) {
        journal.handled(1, event, Some(before), after, &Out::new());
    }

    fn commit(ms: u64) -> Commit {
        Commit { at: Duration::from_millis(ms), save: None }
    }

    fn journal() -> Journal {
        Journal::new(1, &Parameters::default(), None)
    }

    #[test]
    fn a_line_is_logged_when_the_save_it_speaks_of_is_durable_and_not_before() {
        let candidate = server(2, Role::Candidate { votes_granted: BTreeSet::new() });
        let leader = Role::Leader(Leader::default());
        let leader = server(2, leader);
        let mut journal = journal();
        let seen: Seen = &mut journal;
        let before = logged(|| {
            show(seen, &candidate, &Event::Timeout(Timer::Election), &leader);
            seen.flush().expect("there is no trace");
        });
        assert_eq!(before, "");
        let after = logged(|| seen.committed(&commit(10)));
        assert!(after.contains("became leader"), "{after}");
        let later = logged(|| seen.committed(&commit(20)));
        assert_eq!(later, "", "it is said once");
    }

    #[test]
    fn a_leader_without_its_majority_a_candidate_without_votes_and_a_slow_save_are_logged() {
        let leader = Role::Leader(Leader::default());
        let (follower, leader) = (server(1, Role::follower(None)), server(2, leader));
        let (timeout, mut journal) = (Event::Timeout(Timer::Election), journal());
        let seen: Seen = &mut journal;
        let lines = logged(|| {
            show(seen, &follower, &timeout, &leader);
            seen.committed(&commit(100));
            show(seen, &leader, &Event::Timeout(Timer::Heartbeat), &leader);
            seen.committed(&commit(500));
        });
        assert!(lines.contains("has not heard from a majority"), "{lines}");
        assert_eq!(seen.status(Duration::from_millis(600))["majority_heard_ms_ago"], 500);
        assert_eq!(seen.warnings(Duration::from_millis(600)).len(), 1);

        let args = AppendEntriesResponse { term: Term(2), outcome: Outcome::StaleTerm, round: 0 };
        let msg = Message::AppendEntriesResponse(args);
        let lines = logged(|| {
            show(seen, &leader, &Event::Message { src: Id::from(2), msg }, &leader);
            seen.committed(&commit(700));
        });
        assert!(lines.contains("hears from a majority again"), "{lines}");

        let candidate = |term| server(term, Role::Candidate { votes_granted: BTreeSet::new() });
        let lines = logged(|| {
            for term in 3..5 {
                show(seen, &candidate(term - 1), &timeout, &candidate(term));
                seen.committed(&commit(800 + term));
            }
        });
        assert!(lines.contains("tried in vain to be elected"), "{lines}");

        let lines = logged(|| {
            for _ in 0..3 {
                let save = Some(Duration::from_millis(40));
                seen.committed(&Commit { save, ..commit(900) });
            }
        });
        assert_eq!(lines.matches("a save took long").count(), 2, "{lines}");
        assert!(lines.contains("--election-timeout 160..320"), "{lines}");
    }
}

//! The AppendEntries RPC box of Figure 2, and the rules for Leaders.

use super::log::Entry;
use super::state::{Disagreement, Index, Role, Server, Term};
use super::{Message, Raft, Timer};
use crate::state_machine::StateMachine;
use serde::{Deserialize, Serialize};
use stateright::actor::{Id, Out};

/// Arguments of AppendEntries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AppendEntries {
    /// "leader's term"
    pub term: Term,
    /// "index of log entry immediately preceding new ones"
    pub prev_log_index: Index,
    /// "term of prevLogIndex entry"
    pub prev_log_term: Term,
    /// "log entries to store (empty for heartbeat; may send more than one for efficiency)"
    pub entries: Vec<Entry>,
    /// "leader's commitIndex"
    pub leader_commit: Index,
}

/// Results of AppendEntries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AppendEntriesResponse {
    /// "currentTerm, for leader to update itself"
    pub term: Term,
    /// Figure 2's `success`, and what the leader can conclude from it.
    pub outcome: Outcome,
}

/// Figure 2's `success` says true or false; over a network that reorders and duplicates, the leader
/// must also know what about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// True: the follower's log equals the leader's up to this index, the last one of the request.
    Match(Index),
    /// False, because the log has no entry at `prev_log_index` with the right term. The hint is the
    /// one of section 5.3: "the follower can include the term of the conflicting entry and the first
    /// index it stores for that term."
    Conflict {
        /// The position the follower could not confirm.
        prev_log_index: Index,
        /// The term of its entry there; `None` if its log is shorter.
        term: Option<Term>,
        /// The first index it stores for that term; if its log is shorter, the index after its last.
        index: Index,
    },
    /// False, because the request is of an earlier term.
    StaleTerm,
}

impl AppendEntries {
    /// Entries follow the previous one and each other with terms that never decrease, and none is
    /// later than the leader's term.
    pub(super) fn is_well_formed(&self) -> bool {
        let terms = || self.entries.iter().map(|entry| entry.term);
        let sorted = std::iter::once(self.prev_log_term).chain(terms()).is_sorted();
        self.term.is_real()
            && sorted
            && terms().all(|term| term.is_real() && term <= self.term)
            && self.prev_log_term <= self.term
            && self.prev_log_index.0 < 1 << 63
            && (self.prev_log_index == Index(0)) == (self.prev_log_term == Term(0))
    }
}

impl<S: StateMachine> Raft<S> {
    /// Receiver implementation. The term is settled: `args.term <= current_term`.
    pub(super) fn handle_append_entries(
        &self,
        server: &mut Server<S>,
        leader: Id,
        args: AppendEntries,
        o: &mut Out<Self>,
    ) {
        let respond = |term, outcome, o: &mut Out<Self>| {
            let response = AppendEntriesResponse { term, outcome };
            o.send(leader, Message::AppendEntriesResponse(response));
        };
        // [AE-1] "Reply false if term < currentTerm (§5.1)"
        if args.term < server.persistent.current_term {
            return respond(server.persistent.current_term, Outcome::StaleTerm, o);
        }
        // Two leaders of one term: Election Safety excludes it, so the message is forged.
        if server.is_leader() {
            return;
        }
        if let Some(disagreement) = server.disagreement(leader, &args) {
            return Self::halt(server, disagreement, o);
        }
        // [CAN-3] "If AppendEntries RPC received from new leader: convert to follower"
        self.become_follower(server, Some(leader), o);
        self.reset_election_timer(o); // part of FOL-2

        // [AE-2] "Reply false if log doesn't contain an entry at prevLogIndex whose term matches
        // prevLogTerm (§5.3)"
        let log = &mut server.persistent.log;
        if log.term(args.prev_log_index) != Some(args.prev_log_term) {
            let term = log.term(args.prev_log_index);
            let index = match term {
                Some(term) => log.first_index_of(term).unwrap_or(args.prev_log_index),
                None => log.last_index().next(),
            };
            let prev_log_index = args.prev_log_index;
            return respond(args.term, Outcome::Conflict { prev_log_index, term, index }, o);
        }
        // AE-3 and AE-4 are in `Log::merge`.
        let last_new = Index(args.prev_log_index.0 + args.entries.len() as u64);
        log.merge(args.prev_log_index, args.entries);
        // [AE-5] "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last
        // new entry)". The last *new* entry: what the log holds beyond it may be of no leader's.
        if args.leader_commit > server.commit_index {
            let commit_index = args.leader_commit.min(last_new);
            server.commit_index = server.commit_index.max(commit_index);
        }
        Self::apply_committed(server, o);
        respond(args.term, Outcome::Match(last_new), o);
    }

    /// [LDR-1] "Upon election: send initial empty AppendEntries RPCs (heartbeat) to each server;
    /// repeat during idle periods to prevent election timeouts (§5.2)". What a heartbeat carries to a
    /// follower that lacks entries is told in `retry.rs`.
    pub(super) fn heartbeat(&self, server: &mut Server<S>, o: &mut Out<Self>) {
        o.set_timer(
            Timer::Heartbeat,
            self.config.heartbeat_interval..self.config.heartbeat_interval,
        );
        for peer in server.followers() {
            self.heartbeat_to(server, peer, o);
        }
    }

    /// The leader's side of AppendEntries. A reply counts in the term it was given in.
    pub(super) fn handle_append_entries_response(
        &self,
        server: &mut Server<S>,
        follower: Id,
        args: AppendEntriesResponse,
        o: &mut Out<Self>,
    ) {
        if args.term != server.persistent.current_term {
            return;
        }
        let log = &server.persistent.log;
        let Role::Leader { next_index, match_index, attempts } = &mut server.role else { return };
        let (Some(next), Some(matched)) =
            (next_index.get_mut(&follower), match_index.get_mut(&follower))
        else {
            return;
        };
        match args.outcome {
            // [LDR-3a] "If successful: update nextIndex and matchIndex for follower (§5.3)". Only
            // upwards: replies may be reordered.
            Outcome::Match(index) if index > *matched && index <= log.last_index() => {
                *matched = index;
                *next = index.next().max(*next);
                let more = *next <= log.last_index();
                if let Some(attempt) = attempts.remove(&follower) {
                    let left = attempt.answered(index, log);
                    attempts.extend(left.map(|attempt| (follower, attempt)));
                }
                self.advance_commit_index(server, o);
                if more && !server.awaits_answer(follower) {
                    self.append_entries(server, follower, o);
                }
            }
            // The heartbeat of LDR-5 was answered: the entries before it have not come.
            Outcome::Conflict { prev_log_index, .. }
                if attempts.get(&follower).is_some_and(|it| it.last == Some(prev_log_index)) =>
            {
                self.send_again(server, follower, o);
            }
            // [LDR-3b] "If AppendEntries fails because of log inconsistency: decrement nextIndex and
            // retry (§5.3)", by as much as the hint allows, never to what is known to match. A reply
            // about another position than the one probed now is an old one.
            Outcome::Conflict { prev_log_index, term, index }
                if prev_log_index == next.prev() && *next > matched.next() =>
            {
                let hint = term.and_then(|term| log.last_index_of(term)).map_or(index, Index::next);
                *next = hint.min(next.prev()).max(matched.next());
                self.append_entries(server, follower, o);
            }
            Outcome::Match(_) | Outcome::Conflict { .. } | Outcome::StaleTerm => {}
        }
    }

    /// [GUARD-1] An entry that is committed is never deleted. If a leader asks for that, or
    /// contradicts a committed entry, its message is forged or some server has lost what it had saved.
    /// The server that is asked keeps its log, answers nothing, and does nothing any more.
    fn halt(server: &mut Server<S>, disagreement: Disagreement, o: &mut Out<Self>) {
        o.cancel_timer(Timer::Election);
        server.role = Role::Halted(disagreement);
    }

    /// raft.tla's `AdvanceCommitIndex`.
    pub(super) fn advance_commit_index(&self, server: &mut Server<S>, o: &mut Out<Self>) {
        let Role::Leader { match_index, .. } = &server.role else { return };
        let log = &server.persistent.log;
        let mut matched: Vec<Index> = match_index.values().copied().collect();
        matched.push(log.last_index()); // the leader's own log
        matched.sort_unstable_by(|a, b| b.cmp(a));
        let replicated = matched[self.config.majority() - 1];
        // [LDR-4] "If there exists an N such that N > commitIndex, a majority of matchIndex[i] ≥ N,
        // and log[N].term == currentTerm: set commitIndex = N (§5.3, §5.4)". The greatest N on a
        // majority decides: no earlier one has a later term.
        let of_current_term = log.term(replicated) == Some(server.persistent.current_term);
        if replicated > server.commit_index && of_current_term {
            server.commit_index = replicated;
            Self::apply_committed(server, o);
        }
    }
}

impl<S> Server<S> {
    /// The first committed entry that the leader's message contradicts, if there is one.
    fn disagreement(&self, leader: Id, args: &AppendEntries) -> Option<Disagreement> {
        let terms = args.entries.iter().map(|entry| entry.term);
        let said = (args.prev_log_index.0..)
            .map(Index)
            .zip(std::iter::once(args.prev_log_term).chain(terms));
        let mut committed = said.take_while(|(index, _)| *index <= self.commit_index);
        let log = &self.persistent.log;
        committed.find_map(|(index, proposed)| {
            let committed = log.term(index).filter(|committed| *committed != proposed)?;
            Some(Disagreement { leader, term: args.term, index, committed, proposed })
        })
    }

    /// The servers that this leader sends AppendEntries; none if it does not lead.
    fn followers(&self) -> Vec<Id> {
        match &self.role {
            Role::Leader { next_index, .. } => next_index.keys().copied().collect(),
            _ => Vec::new(),
        }
    }

    /// Whether entries are on their way to the follower that it has not answered.
    fn awaits_answer(&self, follower: Id) -> bool {
        match &self.role {
            Role::Leader { attempts, .. } => {
                attempts.get(&follower).is_some_and(|attempt| attempt.last.is_some())
            }
            _ => false,
        }
    }
}

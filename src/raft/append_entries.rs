//! The AppendEntries RPC box of Figure 2, and the rules for Leaders.
//!
//! A leader sends [`AppendEntries`] at every heartbeat, and also when it has entries for a follower
//! (`retry.rs`). The follower compares the request with its log in `handle_append_entries`, takes over the
//! entries and answers with an [`Outcome`]. The leader moves `next_index` and `match_index` in
//! `handle_append_entries_response`. `advance_commit_index` then commits the entries that a majority holds.
//! `install_snapshot.rs` takes over for a follower that needs an entry which the leader has dropped.
//! No server deletes an entry that it knows to be committed: a server that is asked to do so halts (GUARD-1).

use super::log::{Entry, Log};
use super::position::{Index, Term};
use super::progress::{Leader, Progress};
use super::state::{Disagreement, Persistent, Role, Server};
use super::{Message, Raft, Timer};
use crate::state_machine::StateMachine;
use serde::{Deserialize, Serialize};
use stateright::actor::{Id, Out};

/// The arguments of AppendEntries.
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
    /// The leader's round, which the answer repeats (READ-2). It is zero until the leader has a read.
    pub round: u64,
}

/// The results of AppendEntries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AppendEntriesResponse {
    /// "currentTerm, for leader to update itself"
    pub term: Term,
    /// Figure 2's `success`, with the facts that the leader needs to act on it.
    pub outcome: Outcome,
    /// The round of the request.
    pub round: u64,
}

/// Figure 2's `success` says true or false. Over a network that reorders and duplicates, the leader
/// must also know which position the answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// Success is true: the follower's log equals the leader's up to this index, the last one of the request.
    Match(Index),
    /// Success is false, because the follower's log has no entry with the right term at `prev_log_index`.
    /// The hint is the one of section 5.3: "the follower can include the term of the conflicting entry and
    /// the first index it stores for that term."
    Conflict {
        /// The position that the follower could not confirm.
        prev_log_index: Index,
        /// The term of the follower's entry at `prev_log_index`; `None` if the follower's log is shorter.
        term: Option<Term>,
        /// The first index that the follower's log holds for `term`. If the log is shorter, this is the index
        /// after its last entry.
        index: Index,
    },
    /// Success is false, because the term of the request is earlier than the follower's.
    StaleTerm,
}

impl AppendEntries {
    /// Whether a correct leader can have sent these arguments. Terms never decrease from the previous entry
    /// to the last one, and no entry is later than the leader's term.
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

    /// The part of the request that concerns entries behind the start of the log; `None` if it has no such
    /// part.
    fn behind(&self, log: &Log) -> Option<Self> {
        let dropped = log.start().0.saturating_sub(self.prev_log_index.0);
        let Some(last_dropped) = usize::try_from(dropped).ok()?.checked_sub(1) else {
            return Some(self.clone());
        };
        let prev_log_term = self.entries.get(last_dropped)?.term;
        let entries = self.entries[last_dropped + 1..].to_vec();
        Some(Self { prev_log_index: log.start(), prev_log_term, entries, ..self.clone() })
    }
}

impl<S: StateMachine> Raft<S> {
    /// The receiver's side of AppendEntries. `update_term` has run before, so `args.term <= current_term`.
    pub(super) fn handle_append_entries(
        &self,
        server: &mut Server<S>,
        leader: Id,
        args: AppendEntries,
        o: &mut Out<Self>,
    ) {
        let round = args.round;
        let respond = |term, outcome, o: &mut Out<Self>| {
            let response = AppendEntriesResponse { term, outcome, round };
            o.send(leader, Message::AppendEntriesResponse(response));
        };
        // [AE-1] "Reply false if term < currentTerm (§5.1)"
        if args.term < server.persistent.current_term {
            return respond(server.persistent.current_term, Outcome::StaleTerm, o);
        }
        // Election Safety excludes two leaders of one term, so the message is forged.
        if server.is_leader() {
            return;
        }
        if let Some(disagreement) = server.disagreement(leader, &args) {
            return Self::halt(server, disagreement, o);
        }
        // [CAN-3] "If AppendEntries RPC received from new leader: convert to follower"
        self.become_follower(server, Some(leader), o);
        self.reset_election_timer(o); // part of FOL-2

        let log = &mut server.persistent.log;
        let last_new = Index(args.prev_log_index.0 + args.entries.len() as u64);
        // [SNAP-5] Entries that the log has dropped are committed, so the leader has the same ones. A request
        // that begins among them is about what follows them.
        let Some(args) = args.behind(log) else {
            return respond(args.term, Outcome::Match(last_new), o);
        };
        // [AE-2] "Reply false if log doesn't contain an entry at prevLogIndex whose term matches
        // prevLogTerm (§5.3)"
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
        log.merge(args.prev_log_index, args.entries);
        // [AE-5] "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new
        // entry)". The limit is the last *new* entry: entries of this log beyond it may be in no leader's.
        if args.leader_commit > server.commit_index {
            let commit_index = args.leader_commit.min(last_new);
            server.commit_index = server.commit_index.max(commit_index);
        }
        self.apply_committed(server, o);
        respond(args.term, Outcome::Match(last_new), o);
    }

    /// [LDR-1] "Upon election: send initial empty AppendEntries RPCs (heartbeat) to each server;
    /// repeat during idle periods to prevent election timeouts (§5.2)". `retry.rs` says what a heartbeat
    /// carries to a follower that lacks entries.
    pub(super) fn heartbeat(&self, server: &mut Server<S>, o: &mut Out<Self>) {
        o.set_timer(
            Timer::Heartbeat,
            self.parameters.heartbeat_interval..self.parameters.heartbeat_interval,
        );
        let leader = server.leader().expect("only a leader sends heartbeats");
        for follower in leader.followers.keys().copied().collect::<Vec<_>>() {
            self.heartbeat_to(server, follower, o);
        }
        Self::send_timeout_now_if_due(server, o);
    }

    /// The leader's side of AppendEntries. A reply counts only in the term it was given in.
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
        // part of READ-2: every answer of this term shows that the follower knew of no later one
        let Role::Leader(Leader { round, .. }) = server.role else { return };
        self.note_heard(server, follower);
        let progress = server.role.progress(follower);
        progress.round = progress.round.max(args.round.min(round));
        self.act_on_outcome(server, follower, args.outcome, o);
        Self::answer_reads(server, o);
        Self::send_timeout_now_if_due(server, o);
    }

    /// Does raft.tla's `HandleAppendEntriesResponse` for an answer of the current term.
    fn act_on_outcome(
        &self,
        server: &mut Server<S>,
        follower: Id,
        outcome: Outcome,
        o: &mut Out<Self>,
    ) {
        let Persistent { log, snapshot, .. } = &server.persistent;
        let progress = server.role.progress(follower);
        let Progress { next_index, match_index, attempt, sending, .. } = progress;
        match outcome {
            // [LDR-3a] "If successful: update nextIndex and matchIndex for follower (§5.3)". A success
            // never lowers them, because the network may reorder replies.
            Outcome::Match(index) if index > *match_index && index <= log.last_index() => {
                *match_index = index;
                *next_index = index.next().max(*next_index);
                *attempt = attempt.and_then(|attempt| attempt.answered(index, log));
                progress.has_arrived(index, snapshot.last_index);
                let lacks_more =
                    progress.next_index <= log.last_index() && !progress.awaits_answer();
                self.advance_commit_index(server, o);
                if lacks_more {
                    self.append_entries(server, follower, o);
                }
            }
            // While a snapshot is on its way, the follower has no entry to agree on.
            Outcome::Conflict { prev_log_index, .. } if sending.is_some() => {
                if sending.as_ref().is_some_and(|it| it.snapshot.last_index == prev_log_index) {
                    self.doubt_piece(server, follower, o);
                }
            }
            // This answers the heartbeat of LDR-5: the entries before that heartbeat have not come.
            Outcome::Conflict { prev_log_index, .. }
                if attempt.is_some_and(|attempt| attempt.last == Some(prev_log_index)) =>
            {
                self.send_again(server, follower, o);
            }
            // [LDR-3b] "If AppendEntries fails because of log inconsistency: decrement nextIndex and
            // retry (§5.3)". The leader goes back as far as the hint allows, but never to a position that is
            // known to match. A reply about another position than the one probed now is an old one.
            Outcome::Conflict { prev_log_index, term, index }
                if prev_log_index == next_index.prev() && *next_index > match_index.next() =>
            {
                let hint = term.and_then(|term| log.last_index_of(term)).map_or(index, Index::next);
                *next_index = hint.min(next_index.prev()).max(match_index.next());
                self.append_entries(server, follower, o);
            }
            Outcome::Match(_) | Outcome::Conflict { .. } | Outcome::StaleTerm => {}
        }
    }

    /// [GUARD-1] An entry that is committed is never deleted. If a leader asks for that, or
    /// contradicts a committed entry, its message is forged or some server has lost what it had saved.
    /// The server that is asked keeps its log, does not answer, and does nothing from then on.
    pub(super) fn halt(server: &mut Server<S>, disagreement: Disagreement, o: &mut Out<Self>) {
        o.cancel_timer(Timer::Election);
        Self::end_stickiness(server, o);
        server.role = Role::Halted(disagreement);
    }

    /// Does raft.tla's `AdvanceCommitIndex`.
    pub(super) fn advance_commit_index(&self, server: &mut Server<S>, o: &mut Out<Self>) {
        let Leader { followers, .. } = server.leader().expect("only a leader advances by replies");
        let log = &server.persistent.log;
        let mut matched: Vec<Index> = followers.values().map(|it| it.match_index).collect();
        matched.push(log.last_index()); // the leader's own log
        matched.sort_unstable_by(|a, b| b.cmp(a));
        let replicated = matched[server.members.majority() - 1];
        // [LDR-4] "If there exists an N such that N > commitIndex, a majority of matchIndex[i] ≥ N,
        // and log[N].term == currentTerm: set commitIndex = N (§5.3, §5.4)". The greatest N that
        // a majority holds decides, because no earlier entry has a later term.
        let of_current_term = log.term(replicated) == Some(server.persistent.current_term);
        if replicated > server.commit_index && of_current_term {
            server.commit_index = replicated;
            self.apply_committed(server, o);
        }
    }
}

impl<S> Server<S> {
    /// The first committed entry that the leader's message contradicts, if any.
    fn disagreement(&self, leader: Id, args: &AppendEntries) -> Option<Disagreement> {
        let terms = args.entries.iter().map(|entry| entry.term);
        let mut said = (args.prev_log_index.0..)
            .map(Index)
            .zip(std::iter::once(args.prev_log_term).chain(terms));
        said.find_map(|(index, proposed)| self.disagreement_at(leader, args.term, index, proposed))
    }

    /// The committed entry at `index`, if the leader's message says that it has another term.
    pub(super) fn disagreement_at(
        &self,
        leader: Id,
        term: Term,
        index: Index,
        proposed: Term,
    ) -> Option<Disagreement> {
        let committed = self.persistent.log.term(index).filter(|_| index <= self.commit_index)?;
        (committed != proposed).then_some(Disagreement { leader, term, index, committed, proposed })
    }
}

//! The invariants of every state of one server, and of every step. `Raft::step` asserts them in debug builds.
//!
//! No message can break these invariants, whatever it says and whoever has sent it. A handler that starts
//! from a sound server ends with a sound server. A forged majority can break other properties: it can make
//! two servers lead one term, and make two servers commit different entries. Such properties concern several
//! servers. No server can see them alone, and [`crate::models`] judge them. A server that is asked to give up
//! a committed entry halts (GUARD-1).
//!
//! `any_message_is_handled_by_a_server_in_any_state` in `tests/codec.rs` sends a server messages that nobody
//! would send.

use super::position::Index;
use super::progress::Leader;
use super::state::{Persistent, Role, Server};
use stateright::actor::Id;
use std::fmt::Debug;

impl<S: Debug> Server<S> {
    /// Asserts that the step from `before` to this state kept every invariant. Mutants and tests make states
    /// that no server reaches, so a step from an unsound state is not judged.
    pub(super) fn check(&self, before: &Self) {
        if before.unsound().is_some() {
            return;
        }
        if let Some(sentence) = self.unsound().or_else(|| self.lost_since(before)) {
            panic!("{sentence}: {before:?} became {self:?}");
        }
    }
}

impl<S> Server<S> {
    /// The first invariant that this state breaks, if it breaks any.
    fn unsound(&self) -> Option<&'static str> {
        let Persistent { current_term, voted_for, snapshot, log } = &self.persistent;
        let (last_log_term, last_log_index) = log.last();
        let of_role = match &self.role {
            Role::Follower { .. } | Role::Halted(_) => None,
            Role::PreCandidate { pre_votes_granted } => first_broken(&[(
                pre_votes_granted.iter().all(|voter| self.members.contains(*voter)),
                "a pre-candidate counts answers of members",
            )]),
            Role::Candidate { votes_granted } => first_broken(&[
                (last_log_term < *current_term, "a candidate holds no entry of its term"),
                (
                    voted_for.is_some_and(|id| votes_granted.contains(&id)),
                    "a candidate counts its own vote",
                ),
                (
                    votes_granted.iter().all(|voter| self.members.contains(*voter)),
                    "a candidate counts votes of members",
                ),
            ]),
            Role::Leader(leader) => first_broken(&[
                (last_log_term == *current_term, "a leader's last entry is of its term"),
                (
                    voted_for.is_some_and(|id| leader.follows_all_but(id, self)),
                    "a leader knows the progress of each other member, and of no one else",
                ),
                (
                    leader.followers.values().all(|it| it.round <= leader.round),
                    "a follower answers no round that has not begun",
                ),
                (
                    leader.is_within(last_log_index),
                    "match_index < next_index <= last log index + 1 for each follower",
                ),
            ]),
        };
        of_role.or_else(|| {
            first_broken(&[
                (last_log_term <= *current_term, "no entry is of a later term than the server"),
                (self.commit_index <= last_log_index, "a committed entry is in the log"),
                (log.start() <= snapshot.last_index, "a snapshot covers what the log has dropped"),
                (
                    snapshot.last_index <= self.last_applied,
                    "a snapshot covers only what is applied",
                ),
                (
                    self.last_applied == self.commit_index,
                    "all committed entries are applied (ALL-1)",
                ),
            ])
        })
    }

    /// The first invariant that the step from `before` to this state breaks, if it breaks any.
    fn lost_since(&self, before: &Self) -> Option<&'static str> {
        let (old, new) = (&before.persistent, &self.persistent);
        let same_term = new.current_term == old.current_term;
        let kept =
            |index: Index| index < new.log.start() || new.log.term(index) == old.log.term(index);
        let leads_on = before.leader().zip(self.leader()).filter(|_| same_term);
        first_broken(&[
            (new.current_term >= old.current_term, "the term never decreases"),
            (
                !same_term || old.voted_for.is_none() || new.voted_for == old.voted_for,
                "a vote is kept for the whole term",
            ),
            (self.commit_index >= before.commit_index, "the commit index never decreases"),
            (kept(before.commit_index), "a committed entry is never replaced"),
            (
                new.snapshot.last_index >= old.snapshot.last_index,
                "a snapshot is never replaced by an earlier one",
            ),
            (
                leads_on.is_none_or(|_| kept(old.log.last_index())),
                "a leader never deletes or replaces entries of its log",
            ),
            (
                leads_on.is_none_or(|(old, new)| new.has_matched_all_of(old)),
                "a match index never decreases while its leader leads",
            ),
        ])
    }
}

impl<S> Leader<S> {
    fn follows_all_but(&self, id: Id, server: &Server<S>) -> bool {
        self.followers.keys().copied().eq(server.members.others(id))
    }

    fn is_within(&self, last_log_index: Index) -> bool {
        let end = last_log_index.next();
        self.followers.values().all(|it| it.match_index < it.next_index && it.next_index <= end)
    }

    fn has_matched_all_of(&self, before: &Self) -> bool {
        let mut pairs = self.followers.values().zip(before.followers.values());
        pairs.all(|(new, old)| new.match_index >= old.match_index)
    }
}

/// The sentence beside the first condition that is false.
fn first_broken(conditions: &[(bool, &'static str)]) -> Option<&'static str> {
    conditions.iter().find(|(holds, _)| !holds).map(|(_, sentence)| *sentence)
}

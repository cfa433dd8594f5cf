//! The suspicions of a server: signs of what no correct cluster does. The journal shows each step to
//! [`Suspicion`], which counts and logs the signs and tells people. The table says what the protocol
//! does meanwhile.
//!
//! | sign | the protocol | people |
//! |---|---|---|
//! | a leader asks to delete a committed entry | halts (GUARD-1) | read why the node stopped |
//! | a term that no elections can have led to | moves by a bounded step (GUARD-2) | read a warning |
//! | a follower lacks an entry that it has acknowledged | ignores it (LDR-3b) | are warned while it lasts |
//!
//! [`Suspicion::must_stop`] stops the node in the first case. The status counts the messages of the
//! second.

use crate::raft::{AppendEntriesResponse, Index, Message, Outcome, Raft, Role, Server};
use crate::runtime::Event;
use crate::state_machine::StateMachine;
use stateright::actor::Id;
use std::collections::BTreeMap;

/// The number of contradicting refusals in a row that make a suspicion. So many, without a success
/// between them, are not old ones that the network kept.
const IN_A_ROW: u32 = 3;

/// The signs that one server has seen since it started.
#[derive(Debug, Default)]
pub(super) struct Suspicion {
    /// Why the server has halted.
    halted: Option<String>,
    /// How many messages had a term out of the server's reach.
    terms_out_of_reach: u64,
    /// The refusals in a row that contradict what a follower has acknowledged, by follower.
    contradictions: BTreeMap<Id, Contradiction>,
}

#[derive(Clone, Copy, Debug)]
struct Contradiction {
    in_a_row: u32,
    acknowledged: Index,
    lacks: Index,
}

impl Suspicion {
    /// Looks at a step of the server for signs.
    pub(super) fn see<S: StateMachine>(
        &mut self,
        event: &Event<Raft<S>>,
        before: &Server<S>,
        after: &Server<S>,
    ) {
        if let Role::Halted(_) = after.role {
            self.halted.get_or_insert_with(|| halted(after));
        }
        if !after.is_leader() {
            self.contradictions.clear();
        }
        if let Event::Message { src, msg } = event {
            self.look_at_term(*src, msg, before);
            if let Message::AppendEntriesResponse(args) = msg {
                self.compare_with_acknowledged(*src, args, before);
            }
        }
    }

    fn look_at_term<S: StateMachine>(&mut self, src: Id, msg: &Message, server: &Server<S>) {
        let own = server.persistent.current_term;
        let Some(term) = msg.term().filter(|term| term.is_beyond_reach_of(own).is_some()) else {
            return;
        };
        self.terms_out_of_reach += 1;
        if self.terms_out_of_reach.is_power_of_two() {
            let (from, count) = (usize::from(src), self.terms_out_of_reach);
            tracing::warn!(
                from,
                term = term.0,
                own = own.0,
                count,
                "dropped a message whose term no elections can have led to: was it forged?"
            );
        }
    }

    fn compare_with_acknowledged<S: StateMachine>(
        &mut self,
        follower: Id,
        args: &AppendEntriesResponse,
        leader: &Server<S>,
    ) {
        let progress = leader.leader().and_then(|it| it.followers.get(&follower));
        let Some(acknowledged) = progress.map(|it| it.match_index) else { return };
        if args.term != leader.persistent.current_term {
            return;
        }
        match args.outcome {
            Outcome::Match(index) if index >= acknowledged => {
                self.contradictions.remove(&follower);
            }
            Outcome::Conflict { prev_log_index: lacks, .. } if lacks <= acknowledged => {
                let in_a_row = self.contradictions.get(&follower).map_or(1, |it| it.in_a_row + 1);
                let contradiction = Contradiction { in_a_row, acknowledged, lacks };
                self.contradictions.insert(follower, contradiction);
                if in_a_row == IN_A_ROW {
                    tracing::error!("{}", contradiction.text(follower));
                }
            }
            _ => {}
        }
    }

    /// Why the node must not go on.
    pub(super) fn must_stop(&self) -> Option<String> {
        self.halted.clone()
    }

    /// How many messages had a term out of the server's reach.
    pub(super) fn terms_out_of_reach(&self) -> u64 {
        self.terms_out_of_reach
    }

    /// The problems that people should look into.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        let lasting = self.contradictions.iter().filter(|(_, it)| it.in_a_row >= IN_A_ROW);
        lasting.map(|(follower, contradiction)| contradiction.text(*follower))
    }
}

impl Contradiction {
    fn text(self, follower: Id) -> String {
        let Self { acknowledged, lacks, .. } = self;
        format!(
            "server {} has acknowledged all entries up to {acknowledged} and now says that it lacks \
             entry {lacks}: it has lost what it had saved, as after an older copy of its data \
             directory was put back. Stop it, and do not start it again under this number",
            usize::from(follower)
        )
    }
}

fn halted<S: StateMachine>(server: &Server<S>) -> String {
    let Role::Halted(disagreement) = server.role else { return String::new() };
    format!(
        "server {}, the leader of term {}, has an entry of term {} at index {}, where this server has \
         committed one of term {}. So some server of the cluster has lost what it had saved: its data \
         directory was wiped, replaced by an older copy, or bootstrapped again. This server has stopped \
         and keeps its log. Leave its directory as it is, find that server, stop it for good, and start \
         this one again",
        usize::from(disagreement.leader),
        disagreement.term,
        disagreement.proposed,
        disagreement.index,
        disagreement.committed,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Kv;
    use crate::raft::{AppendEntries, Leader, Parameters, Persistent, Progress, RequestVote, Term};
    use stateright::actor::{Actor, Out};
    use std::borrow::Cow;

    fn raft() -> Raft<Kv> {
        Raft::new([0, 1, 2].map(Id::from), Parameters::default()).expect("valid parameters")
    }

    /// Server 0 receives a message. Returns what became of the server.
    fn receive(
        suspicion: &mut Suspicion,
        server: Server<Kv>,
        src: usize,
        msg: Message,
    ) -> Server<Kv> {
        let src = Id::from(src);
        let mut state = Cow::Borrowed(&server);
        raft().on_msg(Id::from(0), &mut state, src, msg.clone(), &mut Out::new());
        let after = state.into_owned();
        suspicion.see(&Event::Message { src, msg }, &server, &after);
        after
    }

    fn leader_that_knows_two_acknowledged(index: u64) -> Server<Kv> {
        let entry = crate::raft::Entry { term: Term(1), payload: crate::raft::Payload::Noop };
        let log = (0..index).map(|_| entry.clone()).collect();
        let persistent = Persistent { current_term: Term(1), log, ..Persistent::default() };
        let match_index = Index(index);
        let next_index = match_index.next();
        let progress = Progress {
            next_index,
            match_index,
            attempt: None,
            sending: None,
            catches_up: false,
            round: 0,
            is_heard: false,
        };
        let followers = [1, 2].map(|id| (Id::from(id), progress.clone())).into();
        let members = raft().members().clone();
        Server {
            role: Role::Leader(Leader { followers, ..Leader::default() }),
            ..Server::restored(members, persistent)
        }
    }

    fn answer(outcome: Outcome) -> Message {
        Message::AppendEntriesResponse(AppendEntriesResponse { term: Term(1), outcome, round: 0 })
    }

    #[test]
    fn a_follower_that_lacks_what_it_acknowledged_is_reported_when_it_says_so_again_and_again() {
        let mut suspicion = Suspicion::default();
        let mut leader = leader_that_knows_two_acknowledged(5);
        let lacks =
            || answer(Outcome::Conflict { prev_log_index: Index(5), term: None, index: Index(3) });
        for _ in 1..IN_A_ROW {
            leader = receive(&mut suspicion, leader, 2, lacks());
            assert_eq!(suspicion.warnings().count(), 0, "it may be an old refusal");
        }
        leader = receive(&mut suspicion, leader, 2, lacks());
        let warnings: Vec<_> = suspicion.warnings().collect();
        assert!(
            warnings[0].contains("server 2 has acknowledged all entries up to 5"),
            "{warnings:?}"
        );
        // The suspicion believes again what the follower says of itself later.
        receive(&mut suspicion, leader, 2, answer(Outcome::Match(Index(5))));
        assert_eq!(suspicion.warnings().count(), 0);
    }

    #[test]
    fn terms_out_of_reach_are_counted() {
        let mut suspicion = Suspicion::default();
        let request = |term| {
            let (last_log_index, last_log_term) = (Index(9), Term(1));
            Message::RequestVote(RequestVote {
                term: Term(term),
                last_log_index,
                last_log_term,
                leadership_transfer: false,
            })
        };
        let server = leader_that_knows_two_acknowledged(5);
        let server = receive(&mut suspicion, server, 1, request(2));
        assert_eq!(suspicion.terms_out_of_reach(), 0);
        receive(&mut suspicion, server, 1, request((1 << 63) - 1));
        assert_eq!(suspicion.terms_out_of_reach(), 1);
    }

    #[test]
    fn a_server_that_halts_says_who_asked_for_what_and_what_to_do() {
        let mut suspicion = Suspicion::default();
        let mut server = leader_that_knows_two_acknowledged(5);
        server.role = Role::follower(None);
        (server.commit_index, server.last_applied) = (Index(5), Index(5));
        assert_eq!(suspicion.must_stop(), None);
        let args = AppendEntries {
            term: Term(7),
            prev_log_index: Index(4),
            prev_log_term: Term(6),
            entries: Vec::new(),
            leader_commit: Index(4),
            round: 0,
        };
        receive(&mut suspicion, server, 2, Message::AppendEntries(args));
        let text = suspicion.must_stop().expect("it has halted");
        for part in
            ["server 2, the leader of term 7", "entry of term 6 at index 4", "one of term 1"]
        {
            assert!(text.contains(part), "{text}");
        }
    }
}

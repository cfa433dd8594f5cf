//! Labels on steps: which branch of which handler a step took, and why it refused.
//!
//! [`label`] reads the labels off the step itself: its event, the states before and after, its outputs.
//! Steps that change nothing have labels too. The engine counts labels outside the state. A label that no
//! model ever shows is a branch that nothing checks.
//!
//! There is no label for a branch that only a forged message can reach, since no process of a model sends
//! one. Such a message is malformed, comes from a second leader of one term, or names a match beyond the
//! log. `tests/figure2.rs` and `tests/codec.rs` send them.

use super::ghost::role_name;
use super::process::{ClientState, ProcessTimer};
use super::properties::ClusterOutput;
use crate::raft::{
    AppendEntries, AppendEntriesResponse, ClientRequest, ClientResponse, Index, InstallSnapshot,
    InstallSnapshotResponse, Invocation, Leader, Message, Outcome, Payload, PreVote,
    PreVoteResponse, RequestVote, RequestVoteResponse, Role, Server, TimeoutNow, Timer,
    TransferOutcome,
};
use crate::state_machine::StateMachine;
use actorcheck::Event;
use stateright::actor::{Command, Id};
use std::collections::BTreeMap;

/// Every label, in the order of the paper.
pub const LABELS: &[&str] = &[
    "term: a follower adopts a later one",
    "term: a pre-candidate adopts a later one",
    "term: a candidate adopts a later one",
    "term: a leader adopts a later one",
    "timeout: a follower stands for election",
    "timeout: a candidate stands again",
    "timeout: a server alone elects itself",
    "timeout: a leader sends heartbeats",
    "timeout: a server asks for pre-votes",
    "timeout: a leader has heard a majority",
    "timeout: a leader has heard no majority, and steps down",
    "timeout: a follower has not heard its leader lately",
    "timeout: a leader gives a transfer up",
    "restart: of a follower",
    "restart: of a pre-candidate",
    "restart: of a candidate",
    "restart: of a leader",
    "RequestVote: refused, of an earlier term",
    "RequestVote: refused, has voted for another",
    "RequestVote: refused, the candidate's log is behind",
    "RequestVote: granted",
    "RequestVote: granted again to the same",
    "RequestVote: granted by a pre-candidate",
    "RequestVote: ignored, a leader is heard",
    "RequestVote: heeded, the leader wants it",
    "RequestVoteResponse: of an earlier term",
    "RequestVoteResponse: a refusal",
    "RequestVoteResponse: after the election is decided",
    "RequestVoteResponse: counted already",
    "RequestVoteResponse: counts, no majority yet",
    "RequestVoteResponse: a majority elects",
    "PreVote: granted",
    "PreVote: refused, the term is not later",
    "PreVote: refused, the log is behind",
    "PreVote: refused, a leader is heard",
    "PreVoteResponse: a refusal",
    "PreVoteResponse: about another term",
    "PreVoteResponse: to one who asks no more",
    "PreVoteResponse: counted already",
    "PreVoteResponse: counts, no majority yet",
    "PreVoteResponse: a majority would vote",
    "TimeoutNow: of an earlier term",
    "TimeoutNow: stands for election",
    "AppendEntries: refused, of an earlier term",
    "AppendEntries: refused, the log is too short",
    "AppendEntries: refused, another term at that index",
    "AppendEntries: accepted, a heartbeat",
    "AppendEntries: accepted, nothing new",
    "AppendEntries: accepted, appended",
    "AppendEntries: accepted, a conflicting suffix deleted",
    "AppendEntries: a candidate steps down",
    "AppendEntries: a follower learns who leads",
    "AppendEntries: the commit index follows the leader's",
    "AppendEntries: the commit index is clamped to the last new entry",
    "AppendEntriesResponse: of an earlier term",
    "AppendEntriesResponse: to one who leads no more",
    "AppendEntriesResponse: a match known already",
    "AppendEntriesResponse: the match index advances",
    "AppendEntriesResponse: more is sent",
    "AppendEntriesResponse: a majority has an entry of an older term, not committed",
    "AppendEntriesResponse: the commit index advances",
    "AppendEntriesResponse: a conflict with a shorter log, backed up",
    "AppendEntriesResponse: a conflict of terms, backed up",
    "AppendEntriesResponse: entries were lost, and are sent again",
    "AppendEntriesResponse: a conflict about another position",
    "AppendEntriesResponse: a conflict about what is known to match by now",
    "AppendEntriesResponse: a refusal of what it sent in an earlier term",
    "AppendEntriesResponse: the follower needs a snapshot",
    "AppendEntriesResponse: a piece of a snapshot is in doubt",
    "AppendEntriesResponse: a piece of a snapshot is sent again",
    "InstallSnapshot: refused, of an earlier term",
    "InstallSnapshot: of what is committed",
    "InstallSnapshot: the log holds its last entry",
    "InstallSnapshot: the first piece of several",
    "InstallSnapshot: a later piece",
    "InstallSnapshot: not the piece that follows",
    "InstallSnapshot: installed",
    "InstallSnapshotResponse: of an earlier term",
    "InstallSnapshotResponse: to one who leads no more",
    "InstallSnapshotResponse: the next piece is sent",
    "InstallSnapshotResponse: the follower starts over",
    "InstallSnapshotResponse: an old answer",
    "snapshot: is taken, and the log drops entries",
    "snapshot: is taken, and the log keeps its entries",
    "ClientRequest: refused, a follower knows who leads",
    "ClientRequest: refused, a follower does not know who leads",
    "ClientRequest: refused by a candidate",
    "ClientRequest: refused, the command is too large",
    "ClientRequest: dropped, too much is uncommitted, or a copy of it waits",
    "ClientRequest: a registration is appended",
    "ClientRequest: a command is appended",
    "ClientRequest: what is appended is sent at once",
    "ClientRequest: what is appended waits for a reply",
    "read: begins a round",
    "read: waits for the next round",
    "read: waits already",
    "read: the next round begins",
    "read: is answered",
    "read: is refused by a leader that steps down",
    "transfer: is begun",
    "transfer: another one is under way",
    "transfer: the server leads already",
    "transfer: TimeoutNow is sent",
    "transfer: ends, its leader steps down",
    "transfer: refuses a request meanwhile",
    "apply: a no-op",
    "apply: a session is opened",
    "apply: a session is evicted",
    "apply: a command",
    "apply: a copy of the last command, answered again",
    "apply: a copy of an older command, ignored",
    "apply: a command of an unknown session",
    "apply: by a leader, who answers",
    "client: registers",
    "client: a command is done",
    "client: an outcome is unknown",
    "client: a command is refused",
    "client: a transfer is done",
    "client: a transfer is given up",
    "client: is redirected",
    "client: an answer to an earlier request",
    "client: retries",
];

/// Adds the labels of a step.
pub fn label<S: StateMachine>(step: &ClusterOutput<'_, S>, labels: &mut Vec<&'static str>) {
    if let (Some(before), Some(after)) = (step.before.state.server(), step.after.state.server()) {
        label_server(step, before, after, labels);
    }
    if let (Some(before), Some(after)) = (step.before.state.client(), step.after.state.client()) {
        label_client(step, before, after, labels);
    }
}

fn label_server<S: StateMachine>(
    step: &ClusterOutput<'_, S>,
    before: &Server<S>,
    after: &Server<S>,
    labels: &mut Vec<&'static str>,
) {
    match step.event {
        Event::Restart => labels.push(match before.role {
            Role::Follower { .. } => "restart: of a follower",
            Role::PreCandidate { .. } => "restart: of a pre-candidate",
            Role::Candidate { .. } => "restart: of a candidate",
            Role::Leader(_) => "restart: of a leader",
            // The property "No committed entry is contested" says that no server halts.
            Role::Halted(_) => return,
        }),
        Event::Timeout(timer) => labels.extend(match (timer, &before.role) {
            (ProcessTimer::Server(Timer::Election), Role::Leader(_)) => {
                Some(if after.is_leader() {
                    "timeout: a leader has heard a majority"
                } else {
                    "timeout: a leader has heard no majority, and steps down"
                })
            }
            (ProcessTimer::Server(Timer::Election), _) if after.is_leader() => {
                Some("timeout: a server alone elects itself")
            }
            (ProcessTimer::Server(Timer::Election), _)
                if matches!(after.role, Role::PreCandidate { .. }) =>
            {
                Some("timeout: a server asks for pre-votes")
            }
            (ProcessTimer::Server(Timer::Transfer), _) => {
                Some("timeout: a leader gives a transfer up")
            }
            (ProcessTimer::Server(Timer::Stickiness), _) => {
                Some("timeout: a follower has not heard its leader lately")
            }
            (ProcessTimer::Server(Timer::Election), Role::Follower { .. }) => {
                Some("timeout: a follower stands for election")
            }
            (ProcessTimer::Server(Timer::Election), _) => Some("timeout: a candidate stands again"),
            (ProcessTimer::Server(Timer::Heartbeat), _) => {
                Some("timeout: a leader sends heartbeats")
            }
            (ProcessTimer::Retry | ProcessTimer::Flush, _) => None,
        }),
        Event::Choose { .. } => {} // no process makes random choices
        Event::Deliver { src, msg } => label_message(step, *src, msg, before, after, labels),
    }
    if !matches!(step.event, Event::Restart) {
        label_apply(before, after, labels);
        label_snapshot(before, after, labels);
        label_reads(step, before, after, labels);
        label_transfer(step, before, after, labels);
    }
}

fn label_message<S: StateMachine>(
    step: &ClusterOutput<'_, S>,
    src: Id,
    msg: &Message,
    before: &Server<S>,
    after: &Server<S>,
    labels: &mut Vec<&'static str>,
) {
    if matches!(msg, Message::RequestVote(_)) && before == after && step.out.is_empty() {
        return labels.push("RequestVote: ignored, a leader is heard");
    }
    // A server that stands for election begins a term that no message names.
    let is_later = msg.term().is_some_and(|term| term > before.persistent.current_term);
    if is_later {
        labels.push(match role_name(&before.role) {
            "follower" => "term: a follower adopts a later one",
            "pre-candidate" => "term: a pre-candidate adopts a later one",
            "candidate" => "term: a candidate adopts a later one",
            _ => "term: a leader adopts a later one",
        });
    }
    match msg {
        Message::RequestVote(args) => {
            if args.leadership_transfer && hears_a_leader(before) {
                labels.push("RequestVote: heeded, the leader wants it");
            }
            labels.push(request_vote(src, args, before, after));
        }
        Message::TimeoutNow(args) => labels.push(timeout_now(args, before, after)),
        Message::PreVote(args) => labels.push(pre_vote(step, args, before)),
        Message::PreVoteResponse(args) if !is_later => {
            labels.push(pre_vote_response(src, args, before, after));
        }
        Message::RequestVoteResponse(args) if !is_later => {
            labels.push(request_vote_response(src, args, before, after));
        }
        Message::AppendEntries(args) => append_entries(step, args, before, after, labels),
        Message::AppendEntriesResponse(args) if !is_later => {
            append_entries_response(step, src, args, before, after, labels);
        }
        Message::InstallSnapshot(args) => labels.push(install_snapshot(args, before, after)),
        Message::InstallSnapshotResponse(args) if !is_later => {
            labels.push(install_snapshot_response(step, src, args, before, after));
        }
        Message::ClientRequest(args) => client_request(step, args, before, after, labels),
        _ => {}
    }
}

fn install_snapshot<S: StateMachine>(
    args: &InstallSnapshot,
    before: &Server<S>,
    after: &Server<S>,
) -> &'static str {
    let index = args.last_included_index;
    let come = |server: &Server<S>| {
        let incoming = server.incoming.as_ref();
        incoming.map_or((Index(0), 0), |it| (it.snapshot.last_index, it.offset))
    };
    if args.term < after.persistent.current_term {
        "InstallSnapshot: refused, of an earlier term"
    } else if index <= before.commit_index {
        "InstallSnapshot: of what is committed"
    } else if before.persistent.log.term(index) == Some(args.last_included_term) {
        "InstallSnapshot: the log holds its last entry"
    } else if after.persistent.snapshot.last_index == index {
        "InstallSnapshot: installed"
    } else if come(before) == come(after) {
        "InstallSnapshot: not the piece that follows"
    } else if args.offset > 0 {
        "InstallSnapshot: a later piece"
    } else {
        "InstallSnapshot: the first piece of several"
    }
}

fn install_snapshot_response<S: StateMachine>(
    step: &ClusterOutput<'_, S>,
    follower: Id,
    args: &InstallSnapshotResponse,
    before: &Server<S>,
    after: &Server<S>,
) -> &'static str {
    if args.term < before.persistent.current_term {
        return "InstallSnapshotResponse: of an earlier term";
    }
    let offset = |server: &Server<S>| {
        server.leader().map(|it| it.followers[&follower].sending.as_ref().map(|it| it.offset))
    };
    match (offset(before), offset(after)) {
        (None, _) | (_, None) => "InstallSnapshotResponse: to one who leads no more",
        (Some(_), Some(_)) if step.out.iter().next().is_none() => {
            "InstallSnapshotResponse: an old answer"
        }
        (Some(old), Some(new)) if new < old => "InstallSnapshotResponse: the follower starts over",
        _ => "InstallSnapshotResponse: the next piece is sent",
    }
}

fn request_vote<S: StateMachine>(
    candidate: Id,
    args: &RequestVote,
    before: &Server<S>,
    after: &Server<S>,
) -> &'static str {
    if args.term < after.persistent.current_term {
        return "RequestVote: refused, of an earlier term";
    }
    let same_term = before.persistent.current_term == after.persistent.current_term;
    match after.persistent.voted_for {
        Some(id) if id == candidate && same_term && before.persistent.voted_for == Some(id) => {
            "RequestVote: granted again to the same"
        }
        Some(id) if id == candidate && same_term && is_asking(before) => {
            "RequestVote: granted by a pre-candidate"
        }
        Some(id) if id == candidate => "RequestVote: granted",
        Some(_) => "RequestVote: refused, has voted for another",
        None => "RequestVote: refused, the candidate's log is behind",
    }
}

fn request_vote_response<S: StateMachine>(
    voter: Id,
    args: &RequestVoteResponse,
    before: &Server<S>,
    after: &Server<S>,
) -> &'static str {
    if args.term < before.persistent.current_term {
        return "RequestVoteResponse: of an earlier term";
    }
    if !args.vote_granted {
        return "RequestVoteResponse: a refusal";
    }
    match (&before.role, &after.role) {
        (Role::Candidate { .. }, Role::Leader(_)) => "RequestVoteResponse: a majority elects",
        (Role::Candidate { votes_granted }, _) if votes_granted.contains(&voter) => {
            "RequestVoteResponse: counted already"
        }
        (Role::Candidate { .. }, _) => "RequestVoteResponse: counts, no majority yet",
        _ => "RequestVoteResponse: after the election is decided",
    }
}

fn timeout_now<S: StateMachine>(
    args: &TimeoutNow,
    before: &Server<S>,
    after: &Server<S>,
) -> &'static str {
    if after.persistent.current_term > args.term.max(before.persistent.current_term) {
        "TimeoutNow: stands for election"
    } else {
        "TimeoutNow: of an earlier term"
    }
}

/// Whether the server leads or has just heard from its leader.
fn hears_a_leader<S>(server: &Server<S>) -> bool {
    matches!(server.role, Role::Leader(_) | Role::Follower { is_sticky: true, .. })
}

/// Adds labels for a transfer of the leadership.
fn label_transfer<S: StateMachine>(
    step: &ClusterOutput<'_, S>,
    before: &Server<S>,
    after: &Server<S>,
    labels: &mut Vec<&'static str>,
) {
    let Some(old) = before.leader() else { return };
    let new = after.leader().and_then(|leader| leader.transfer);
    if let Event::Deliver { msg: Message::ClientRequest(request), .. } = step.event {
        match (request, old.transfer, new) {
            (ClientRequest::Transfer { .. }, None, Some(_)) => labels.push("transfer: is begun"),
            (ClientRequest::Transfer { .. }, None, None) => {
                labels.push("transfer: the server leads already");
            }
            (ClientRequest::Transfer { .. }, Some(_), _) => {
                labels.push("transfer: another one is under way");
            }
            (_, Some(_), _) => labels.push("transfer: refuses a request meanwhile"),
            (_, None, _) => {}
        }
    }
    if step.out.iter().any(|command| matches!(command, Command::Send(_, Message::TimeoutNow(_)))) {
        labels.push("transfer: TimeoutNow is sent");
    }
    if old.transfer.is_some() && !after.is_leader() {
        labels.push("transfer: ends, its leader steps down");
    }
}

/// Whether the server asks for pre-votes.
fn is_asking<S>(server: &Server<S>) -> bool {
    matches!(server.role, Role::PreCandidate { .. })
}

fn pre_vote<S: StateMachine>(
    step: &ClusterOutput<'_, S>,
    args: &PreVote,
    server: &Server<S>,
) -> &'static str {
    let granted = step.out.iter().any(|command| {
        matches!(command, Command::Send(_, Message::PreVoteResponse(it)) if it.pre_vote_granted)
    });
    if granted {
        "PreVote: granted"
    } else if args.next_term <= server.persistent.current_term {
        "PreVote: refused, the term is not later"
    } else if (args.last_log_term, args.last_log_index) < server.persistent.log.last() {
        "PreVote: refused, the log is behind"
    } else {
        "PreVote: refused, a leader is heard"
    }
}

fn pre_vote_response<S: StateMachine>(
    voter: Id,
    args: &PreVoteResponse,
    before: &Server<S>,
    after: &Server<S>,
) -> &'static str {
    let Role::PreCandidate { pre_votes_granted } = &before.role else {
        return "PreVoteResponse: to one who asks no more";
    };
    if !args.pre_vote_granted {
        "PreVoteResponse: a refusal"
    } else if args.next_term != before.persistent.current_term.next() {
        "PreVoteResponse: about another term"
    } else if pre_votes_granted.contains(&voter) {
        "PreVoteResponse: counted already"
    } else if is_asking(after) {
        "PreVoteResponse: counts, no majority yet"
    } else {
        "PreVoteResponse: a majority would vote"
    }
}

fn append_entries<S: StateMachine>(
    step: &ClusterOutput<'_, S>,
    args: &AppendEntries,
    before: &Server<S>,
    after: &Server<S>,
    labels: &mut Vec<&'static str>,
) {
    let outcome = step.out.iter().find_map(|command| match command {
        Command::Send(_, Message::AppendEntriesResponse(response)) => Some(response.outcome),
        _ => None,
    });
    let (old, new) = (&before.persistent.log, &after.persistent.log);
    labels.extend(match outcome {
        None => None,
        Some(Outcome::StaleTerm) => Some("AppendEntries: refused, of an earlier term"),
        Some(Outcome::Conflict { term: None, .. }) => {
            Some("AppendEntries: refused, the log is too short")
        }
        Some(Outcome::Conflict { .. }) => {
            Some("AppendEntries: refused, another term at that index")
        }
        Some(Outcome::Match(_)) if args.entries.is_empty() => {
            Some("AppendEntries: accepted, a heartbeat")
        }
        Some(Outcome::Match(_)) if old == new => Some("AppendEntries: accepted, nothing new"),
        Some(Outcome::Match(_)) if old.iter().all(|(index, e)| new.get(index) == Some(e)) => {
            Some("AppendEntries: accepted, appended")
        }
        Some(Outcome::Match(_)) => Some("AppendEntries: accepted, a conflicting suffix deleted"),
    });
    match (&before.role, &after.role) {
        (
            Role::Candidate { .. } | Role::PreCandidate { .. },
            Role::Follower { leader: Some(_), .. },
        ) => {
            labels.push("AppendEntries: a candidate steps down");
        }
        (Role::Follower { leader: None, .. }, Role::Follower { leader: Some(_), .. }) => {
            labels.push("AppendEntries: a follower learns who leads");
        }
        _ => {}
    }
    if let Some(Outcome::Match(last_new)) = outcome {
        if before.commit_index < after.commit_index {
            labels.push("AppendEntries: the commit index follows the leader's");
        }
        if args.leader_commit > last_new {
            labels.push("AppendEntries: the commit index is clamped to the last new entry");
        }
    }
}

fn append_entries_response<S: StateMachine>(
    step: &ClusterOutput<'_, S>,
    follower: Id,
    args: &AppendEntriesResponse,
    before: &Server<S>,
    after: &Server<S>,
    labels: &mut Vec<&'static str>,
) {
    if args.term < before.persistent.current_term {
        return labels.push("AppendEntriesResponse: of an earlier term");
    }
    let progress = |server: &Server<S>| server.leader().map(|it| it.followers[&follower].clone());
    let (Some(old), Some(new)) = (progress(before), progress(after)) else {
        return labels.push("AppendEntriesResponse: to one who leads no more");
    };
    let sends = step.out.iter().any(|c| matches!(c, Command::Send(_, Message::AppendEntries(_))));
    if old.sending.is_none() && new.sending.is_some() {
        labels.push("AppendEntriesResponse: the follower needs a snapshot");
    }
    match args.outcome {
        Outcome::Conflict { prev_log_index, .. }
            if old.sending.as_ref().is_some_and(|it| it.snapshot.last_index == prev_log_index) =>
        {
            labels.push(if step.out.iter().next().is_none() {
                "AppendEntriesResponse: a piece of a snapshot is in doubt"
            } else {
                "AppendEntriesResponse: a piece of a snapshot is sent again"
            });
        }
        Outcome::Match(_) if old.match_index == new.match_index => {
            labels.push("AppendEntriesResponse: a match known already");
        }
        Outcome::Match(_) => {
            labels.push("AppendEntriesResponse: the match index advances");
            if sends {
                labels.push("AppendEntriesResponse: more is sent");
            }
            if before.commit_index < after.commit_index {
                labels.push("AppendEntriesResponse: the commit index advances");
            } else if is_on_majority(after, new.match_index) {
                labels.push(
                    "AppendEntriesResponse: a majority has an entry of an older term, not committed",
                );
            }
        }
        Outcome::Conflict { prev_log_index, .. }
            if old.attempt.is_some_and(|it| it.last == Some(prev_log_index)) =>
        {
            labels.push("AppendEntriesResponse: entries were lost, and are sent again");
        }
        Outcome::Conflict { prev_log_index, .. } if prev_log_index != old.next_index.prev() => {
            labels.push("AppendEntriesResponse: a conflict about another position");
        }
        Outcome::Conflict { .. } if old.next_index <= old.match_index.next() => {
            labels.push("AppendEntriesResponse: a conflict about what is known to match by now");
        }
        Outcome::Conflict { term: None, .. } => {
            labels.push("AppendEntriesResponse: a conflict with a shorter log, backed up");
        }
        Outcome::Conflict { .. } => {
            labels.push("AppendEntriesResponse: a conflict of terms, backed up");
        }
        Outcome::StaleTerm => {
            labels.push("AppendEntriesResponse: a refusal of what it sent in an earlier term");
        }
    }
}

/// Whether the leader knows an uncommitted entry at `index` to be on a majority.
fn is_on_majority<S: StateMachine>(leader: &Server<S>, index: Index) -> bool {
    let Some(Leader { followers, .. }) = leader.leader() else { return false };
    let copies = 1 + followers.values().filter(|it| it.match_index >= index).count();
    index > leader.commit_index && copies > followers.len().div_ceil(2)
}

fn client_request<S: StateMachine>(
    step: &ClusterOutput<'_, S>,
    args: &ClientRequest,
    before: &Server<S>,
    after: &Server<S>,
    labels: &mut Vec<&'static str>,
) {
    labels.push(match (&before.role, args) {
        (Role::Follower { leader: Some(_), .. }, _) => {
            "ClientRequest: refused, a follower knows who leads"
        }
        (Role::Follower { leader: None, .. }, _) => {
            "ClientRequest: refused, a follower does not know who leads"
        }
        (Role::PreCandidate { .. } | Role::Candidate { .. } | Role::Halted(_), _) => {
            "ClientRequest: refused by a candidate"
        }
        (Role::Leader(_), ClientRequest::Transfer { .. })
        | (Role::Leader(Leader { transfer: Some(_), .. }), _) => return, // see `label_transfer`
        (Role::Leader(leader), ClientRequest::Read { .. }) => return read(leader, after, labels),
        (Role::Leader(_), _) if before.persistent.log == after.persistent.log => {
            if step.out.is_empty() {
                "ClientRequest: dropped, too much is uncommitted, or a copy of it waits"
            } else {
                "ClientRequest: refused, the command is too large"
            }
        }
        (Role::Leader(_), ClientRequest::Register { .. }) => {
            "ClientRequest: a registration is appended"
        }
        (Role::Leader(_), ClientRequest::Command { .. }) => "ClientRequest: a command is appended",
    });
    if before.persistent.log != after.persistent.log {
        let sends = |c: &_| matches!(c, Command::Send(_, Message::AppendEntries(_)));
        labels.push(if step.out.iter().any(sends) {
            "ClientRequest: what is appended is sent at once"
        } else {
            "ClientRequest: what is appended waits for a reply"
        });
    }
}

/// Labels a read that a leader has received.
fn read<S: StateMachine>(before: &Leader<S>, after: &Server<S>, labels: &mut Vec<&'static str>) {
    let Some(after) = after.leader() else { return };
    labels.push(if after.round > before.round {
        "read: begins a round"
    } else if after.reads.len() > before.reads.len() {
        "read: waits for the next round"
    } else {
        "read: waits already"
    });
}

/// Adds labels for reads that are answered or refused.
fn label_reads<S: StateMachine>(
    step: &ClusterOutput<'_, S>,
    before: &Server<S>,
    after: &Server<S>,
    labels: &mut Vec<&'static str>,
) {
    let is_answer = |command: &_| {
        matches!(command, Command::Send(_, Message::ClientResponse(ClientResponse::Read { .. })))
    };
    if step.out.iter().any(is_answer) {
        labels.push("read: is answered");
    }
    let Some(old) = before.leader().filter(|leader| !leader.reads.is_empty()) else { return };
    match after.leader() {
        None => labels.push("read: is refused by a leader that steps down"),
        Some(new)
            if matches!(
                step.event,
                Event::Deliver { msg: Message::AppendEntriesResponse(_), .. }
            ) =>
        {
            if new.round > old.round {
                labels.push("read: the next round begins");
            }
        }
        Some(_) => {}
    }
}

/// Adds a label if the server has taken a snapshot.
fn label_snapshot<S: StateMachine>(
    before: &Server<S>,
    after: &Server<S>,
    labels: &mut Vec<&'static str>,
) {
    let (old, new) = (&before.persistent, &after.persistent);
    let is_own = old.log.last_index() >= new.log.start() || new.log.last_index() > new.log.start();
    if old.snapshot != new.snapshot && is_own {
        labels.push(if old.log.start() < new.log.start() {
            "snapshot: is taken, and the log drops entries"
        } else {
            "snapshot: is taken, and the log keeps its entries"
        });
    }
}

/// Adds a label for what each newly applied entry did to the sessions.
fn label_apply<S: StateMachine>(
    before: &Server<S>,
    after: &Server<S>,
    labels: &mut Vec<&'static str>,
) {
    // The last sequence number applied in each session up to the entry at hand. For a session that was open
    // before, it comes from the table of sessions when first needed.
    let mut last: BTreeMap<Index, Option<u64>> = BTreeMap::new();
    let (mut opened, applied) = (0, before.last_applied.next());
    let log = &after.persistent.log;
    for (index, entry) in
        log.iter().filter(|(index, _)| (applied..=after.last_applied).contains(index))
    {
        labels.push(match &entry.payload {
            Payload::Noop => "apply: a no-op",
            Payload::Register { .. } => {
                last.insert(index, None);
                opened += 1;
                "apply: a session is opened"
            }
            Payload::Command { session, sequence, .. } => {
                let of_before = || {
                    let record = before.sessions.get(*session)?;
                    Some(record.last.as_ref().map(|(sequence, _)| *sequence))
                };
                match last.get(session).copied().or_else(of_before) {
                    None => "apply: a command of an unknown session",
                    Some(Some(last)) if *sequence == last => {
                        "apply: a copy of the last command, answered again"
                    }
                    Some(Some(last)) if *sequence < last => {
                        "apply: a copy of an older command, ignored"
                    }
                    Some(_) => {
                        last.insert(*session, Some(*sequence));
                        "apply: a command"
                    }
                }
            }
        });
        let is_own = entry.term == after.persistent.current_term;
        if after.is_leader() && is_own && entry.payload != Payload::Noop {
            labels.push("apply: by a leader, who answers");
        }
    }
    let went_on = before.last_applied >= log.start();
    if went_on && before.sessions.len() + opened > after.sessions.len() {
        labels.push("apply: a session is evicted");
    }
}

fn label_client<S: StateMachine>(
    step: &ClusterOutput<'_, S>,
    before: &ClientState,
    after: &ClientState,
    labels: &mut Vec<&'static str>,
) {
    match step.event {
        Event::Timeout(_) => labels.push("client: retries"),
        Event::Deliver { msg: Message::ClientResponse(response), .. } => {
            labels.extend(client_response(response, before, after));
        }
        Event::Deliver { .. } | Event::Choose { .. } | Event::Restart => {}
    }
}

fn client_response(
    response: &ClientResponse,
    before: &ClientState,
    after: &ClientState,
) -> Option<&'static str> {
    if before.outcomes.len() < after.outcomes.len() {
        return match after.outcomes.last() {
            Some(Invocation::Unknown) => Some("client: an outcome is unknown"),
            Some(Invocation::TooLarge(_)) => Some("client: a command is refused"),
            Some(Invocation::Transfer(TransferOutcome::Leads)) => {
                Some("client: a transfer is done")
            }
            Some(Invocation::Transfer(_)) => Some("client: a transfer is given up"),
            _ => Some("client: a command is done"),
        };
    }
    match response {
        ClientResponse::Registered { .. } if before != after => Some("client: registers"),
        ClientResponse::NotLeader { .. } if before != after => Some("client: is redirected"),
        _ if before == after => Some("client: an answer to an earlier request"),
        _ => None,
    }
}

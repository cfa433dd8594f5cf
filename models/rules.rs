//! The rules of the protocol that a step makes use of, by the ids that `src/raft` gives them.
//!
//! [`of_label`] joins each label of [`coverage`](super::coverage) to the rules of the branch that the label
//! names. [`of_step`] asks for the labels of a step, and adds STORE if the step saves. FOL-1 is in force
//! whenever a server answers anything, and CAN-5 only stretches timeouts, so no step points them out. No
//! process of a model sends the forged messages of GUARD-1 and GUARD-2.

use super::Cluster;
use super::process::Process;
use crate::state_machine::StateMachine;
use actorcheck::Output;
use stateright::actor::Command;

/// The labels of a step, and the ids of the rules behind them, each once.
pub fn of_step<S: StateMachine>(
    cluster: &Cluster<S>,
    step: &Output<'_, Process<S>>,
) -> (Vec<&'static str>, Vec<&'static str>) {
    let mut labels = Vec::new();
    (cluster.label)(step, &mut labels);
    let mut rules = Vec::new();
    for rule in labels.iter().flat_map(|label| of_label(label)) {
        if !rules.contains(rule) {
            rules.push(*rule);
        }
    }
    if step.out.iter().any(|command| matches!(command, Command::Save(_))) {
        rules.push("STORE");
    }
    (labels, rules)
}

/// The rules of the branch that a label names.
pub fn of_label(label: &str) -> &'static [&'static str] {
    match label.split_once(": ").unwrap_or((label, "")) {
        ("term", _) => &["ALL-2"],
        ("timeout", what) => of_timeout(what),
        ("RequestVote" | "RequestVoteResponse" | "TimeoutNow", _) => of_election(label),
        ("PreVote" | "PreVoteResponse", _) => of_pre_vote(label),
        ("AppendEntries", what) => of_append_entries(what),
        ("AppendEntriesResponse", what) => of_append_entries_response(what),
        ("InstallSnapshot" | "InstallSnapshotResponse" | "snapshot", _) => of_snapshot(label),
        ("ClientRequest", what) => of_client_request(what),
        ("read" | "transfer", _) => of_read_or_transfer(label),
        ("apply", what) => of_apply(what),
        _ => &[],
    }
}

fn of_timeout(what: &str) -> &'static [&'static str] {
    match what {
        "a follower stands for election" => &["FOL-2", "CAN-1"],
        "a candidate stands again" => &["CAN-4", "CAN-1"],
        "a server alone elects itself" => &["FOL-2", "CAN-1", "CAN-2", "NOOP"],
        "a leader sends heartbeats" => &["LDR-1"],
        "a server asks for pre-votes" => &["PV-1"],
        "a leader has heard a majority" | "a leader has heard no majority, and steps down" => {
            &["CQ-1"]
        }
        "a follower has not heard its leader lately" => &["STICK-1"],
        "a leader gives a transfer up" => &["TR-3"],
        _ => &[],
    }
}

fn of_election(label: &str) -> &'static [&'static str] {
    match label {
        "RequestVote: refused, of an earlier term" => &["RV-1"],
        "RequestVote: refused, has voted for another"
        | "RequestVote: refused, the candidate's log is behind"
        | "RequestVote: granted"
        | "RequestVote: granted again to the same"
        | "RequestVote: granted by a pre-candidate" => &["RV-2"],
        "RequestVote: ignored, a leader is heard" => &["STICK-1"],
        "RequestVote: heeded, the leader wants it" | "TimeoutNow: of an earlier term" => &["TR-4"],
        "TimeoutNow: stands for election" => &["TR-4", "CAN-1"],
        "RequestVoteResponse: a majority elects" => &["CAN-2", "NOOP", "LDR-1"],
        _ => &[],
    }
}

fn of_pre_vote(label: &str) -> &'static [&'static str] {
    match label {
        "PreVote: refused, a leader is heard" => &["PV-2", "STICK-1"],
        "PreVote: granted"
        | "PreVote: refused, the term is not later"
        | "PreVote: refused, the log is behind" => &["PV-2"],
        "PreVoteResponse: a majority would vote" => &["PV-3", "CAN-1"],
        _ => &[],
    }
}

fn of_append_entries(what: &str) -> &'static [&'static str] {
    match what {
        "refused, of an earlier term" => &["AE-1"],
        "refused, the log is too short" | "refused, another term at that index" => &["AE-2"],
        "accepted, nothing new" | "accepted, appended" => &["AE-4"],
        "accepted, a conflicting suffix deleted" => &["AE-3", "AE-4"],
        "a candidate steps down" => &["CAN-3"],
        "the commit index follows the leader's"
        | "the commit index is clamped to the last new entry" => &["AE-5"],
        _ => &[],
    }
}

fn of_append_entries_response(what: &str) -> &'static [&'static str] {
    match what {
        "the match index advances" => &["LDR-3a"],
        "more is sent" => &["LDR-3"],
        "a majority has an entry of an older term, not committed" | "the commit index advances" => {
            &["LDR-4"]
        }
        "a conflict with a shorter log, backed up"
        | "a conflict of terms, backed up"
        | "a conflict about another position"
        | "a conflict about what is known to match by now" => &["LDR-3b"],
        "entries were lost, and are sent again" => &["LDR-6"],
        "the follower needs a snapshot" => &["SNAP-3"],
        "a piece of a snapshot is in doubt" | "a piece of a snapshot is sent again" => &["SNAP-7"],
        _ => &[],
    }
}

fn of_snapshot(label: &str) -> &'static [&'static str] {
    match label {
        "InstallSnapshot: refused, of an earlier term" => &["IS-1"],
        "InstallSnapshot: the log holds its last entry" => &["IS-6"],
        "InstallSnapshot: the first piece of several" => &["IS-2", "IS-3", "IS-4"],
        "InstallSnapshot: a later piece" => &["IS-3", "IS-4"],
        "InstallSnapshot: not the piece that follows" => &["IS-3"],
        "InstallSnapshot: installed" => &["IS-5", "IS-7", "IS-8"],
        "InstallSnapshotResponse: the next piece is sent"
        | "InstallSnapshotResponse: the follower starts over"
        | "InstallSnapshotResponse: an old answer" => &["SNAP-4"],
        "snapshot: is taken, and the log drops entries"
        | "snapshot: is taken, and the log keeps its entries" => &["SNAP-1"],
        _ => &[],
    }
}

fn of_client_request(what: &str) -> &'static [&'static str] {
    match what {
        "refused, a follower knows who leads"
        | "refused, a follower does not know who leads"
        | "refused by a candidate" => &["CLI-1"],
        "refused, the command is too large" => &["CLI-2"],
        "dropped, too much is uncommitted, or a copy of it waits" => &["CLI-3", "CLI-4"],
        "a registration is appended" | "a command is appended" => &["LDR-2"],
        "what is appended is sent at once" => &["LDR-3"],
        _ => &[],
    }
}

fn of_read_or_transfer(label: &str) -> &'static [&'static str] {
    match label {
        "read: begins a round" => &["READ-1", "READ-2"],
        "read: waits for the next round" => &["READ-1"],
        "read: the next round begins" => &["READ-2"],
        "read: is answered" | "read: is refused by a leader that steps down" => &["READ-3"],
        "transfer: is begun"
        | "transfer: another one is under way"
        | "transfer: the server leads already"
        | "transfer: refuses a request meanwhile" => &["TR-1"],
        "transfer: TimeoutNow is sent" => &["TR-2"],
        _ => &[],
    }
}

fn of_apply(what: &str) -> &'static [&'static str] {
    match what {
        "a no-op" | "a command" => &["ALL-1"],
        "a session is opened" => &["ALL-1", "SES-1"],
        "a session is evicted" => &["SES-5"],
        "a copy of the last command, answered again" => &["SES-4"],
        "a copy of an older command, ignored" => &["SES-3"],
        "a command of an unknown session" => &["SES-2"],
        "by a leader, who answers" => &["LDR-2"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::super::coverage::LABELS;
    use super::of_label;
    use std::collections::BTreeSet;

    /// A label that is renamed loses its rule here without a word, so their number is pinned.
    #[test]
    fn labels_lead_to_rules() {
        let with_rules = LABELS.iter().filter(|label| !of_label(label).is_empty()).count();
        let rules: BTreeSet<_> = LABELS.iter().flat_map(|label| of_label(label)).collect();
        assert_eq!((with_rules, rules.len()), (87, 55), "{rules:?}");
    }
}

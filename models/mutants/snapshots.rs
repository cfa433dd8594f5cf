//! Mutants of snapshots: taken wrongly, installed wrongly, or sent wrongly.

use super::scenes;
use super::wrapper::up_to;
use super::{Arriving, Fault, Handled, MutantSpec, Written};
use crate::kv::Kv;
use crate::models::spec::Spec;
use crate::raft::{
    AppendEntriesResponse, Incoming, Index, InstallSnapshot, Log, Message, Outcome, Server,
    Sessions, Snapshot,
};
use stateright::actor::Command;
use std::sync::Arc;

pub(super) fn list() -> Vec<MutantSpec> {
    vec![
        snapshot_without_sessions(),
        snapshot_ahead_of_applied(),
        snapshot_of_the_current_term(),
        stale_snapshot_installed(),
        log_kept_under_snapshot(),
        matching_log_dropped(),
        sessions_not_installed(),
        machine_not_installed(),
        snapshot_acked_before_saved(),
        snapshot_acked_by_its_first_piece(),
        pieces_mixed(),
        piece_in_any_order(),
        log_saved_without_snapshot(),
        restart_before_the_snapshot(),
        snapshot_of_an_earlier_term(),
        dropped_entries_appended_again(),
        snapshot_never_sent(),
        restarted_follower_not_heard(),
        lost_piece_not_repeated(),
        entries_dropped_before_they_are_applied(),
    ]
}

/// Changes the snapshot that the server has just taken or installed, if it has.
fn edit_snapshot(handled: &mut Handled<'_>, edit: fn(&mut Snapshot<Kv>, &Server<Kv>)) {
    if handled.server.persistent.snapshot == handled.before.persistent.snapshot {
        return;
    }
    let mut snapshot = Snapshot::clone(&handled.server.persistent.snapshot);
    edit(&mut snapshot, handled.server);
    handled.server.persistent.snapshot = Arc::new(snapshot);
}

/// The InstallSnapshot that the server has just handled, if that was one.
fn install_snapshot<'a>(handled: &Handled<'a>) -> Option<&'a InstallSnapshot> {
    match handled.event {
        Some((_, Message::InstallSnapshot(args))) => Some(args),
        _ => None,
    }
}

/// Whether the server has just installed the snapshot of another server.
fn has_installed(handled: &Handled<'_>) -> bool {
    install_snapshot(handled)
        .is_some_and(|args| handled.server.persistent.log.start() == args.last_included_index)
        && handled.server.persistent.snapshot != handled.before.persistent.snapshot
}

fn snapshot_without_sessions() -> MutantSpec {
    MutantSpec {
        name: "snapshot-without-sessions",
        breaks: "SNAP-1",
        caught_by: "Snapshots hold what is committed",
        seen_in: "ongardie/dissertation, section 6.3",
        about: "A snapshot holds the state machine and not the sessions.",
        story: "S0 executes a command of C2 and takes a snapshot of the key-value store alone. When S0 \
                restarts, it does not know the session any more. A retry of the command is told that its \
                session has expired, although the command was executed.",
        difference: "`Snapshot { machine, .. }`",
        spec: scenes::find_model("snapshot-client"),
        fault: Fault {
            after: |handled| edit_snapshot(handled, |it, _| it.sessions = Sessions::default()),
            ..Fault::NONE
        },
    }
}

fn snapshot_ahead_of_applied() -> MutantSpec {
    MutantSpec {
        name: "snapshot-ahead-of-applied",
        breaks: "SNAP-1",
        caught_by: "Snapshots hold what is committed",
        seen_in: "rqlite/rqlite#2759",
        about: "A snapshot claims to cover the whole log, but holds only what is applied.",
        story: "A server holds an entry that is not committed yet. It commits the entry before that one, \
                takes a snapshot, and notes the index of its last entry. The snapshot lacks an entry that \
                it claims to cover.",
        difference: "`last_index: log.last_index()`",
        spec: scenes::find_model("snapshot-margin"),
        fault: Fault {
            after: |handled| {
                edit_snapshot(handled, |it, server| {
                    (it.last_term, it.last_index) = server.persistent.log.last();
                });
            },
            ..Fault::NONE
        },
    }
}

fn snapshot_of_the_current_term() -> MutantSpec {
    MutantSpec {
        name: "snapshot-of-the-current-term",
        breaks: "SNAP-1",
        caught_by: "Snapshots join logs",
        seen_in: "willemt/raft, WRaft#4 of SandTable",
        about: "A snapshot gives the server's current term for the term of its last entry.",
        story: "S1 leads term 2 and has a snapshot up to entry 1 of term 1. S2 needs that snapshot, and \
                installs it as one up to an entry of term 2. No log has such an entry.",
        difference: "`last_term: current_term`",
        spec: scenes::find_model("snapshot-behind"),
        fault: Fault {
            after: |handled| {
                edit_snapshot(handled, |it, server| {
                    it.last_term = server.persistent.current_term;
                });
            },
            ..Fault::NONE
        },
    }
}

fn stale_snapshot_installed() -> MutantSpec {
    MutantSpec {
        name: "stale-snapshot-installed",
        breaks: "IS-5",
        caught_by: "Commit index is monotone",
        seen_in: "camunda/camunda#6092",
        about: "A late copy of a snapshot replaces what the server has committed since.",
        story: "S2 installs the snapshot of S1, which leads term 2, up to entry 1. S1 and S2 commit \
                entry 2. Then a copy of the snapshot arrives, and S2 goes back to entry 1.",
        difference: "`if last_included_index <= commit_index` is missing",
        spec: scenes::find_model("snapshot-behind"),
        fault: Fault { before: forget_what_is_committed, ..Fault::NONE },
    }
}

/// Makes the actor install a snapshot of what it has committed already.
fn forget_what_is_committed(arriving: &mut Arriving<'_>) {
    let server = &mut *arriving.server;
    if let Message::InstallSnapshot(args) = &arriving.msg
        && args.last_included_index < server.commit_index
        && args.term >= server.persistent.current_term
        && !server.is_leader()
    {
        (server.commit_index, server.last_applied) = (Index(0), Index(0));
        server.persistent.log = Log::default();
    }
}

fn log_kept_under_snapshot() -> MutantSpec {
    MutantSpec {
        name: "log-kept-under-snapshot",
        breaks: "IS-7",
        caught_by: "Snapshots join logs",
        seen_in: "databendlabs/openraft#753",
        about: "A server that installs a snapshot leaves its log as it is.",
        story: "S2 has an empty log and installs the snapshot up to entry 1. It leaves the log as it is, \
                so the log does not join the snapshot. Entries that it appends get indexes that the \
                snapshot covers.",
        difference: "`Discard the entire log` is missing",
        spec: scenes::find_model("snapshot-behind"),
        fault: Fault {
            after: |handled| {
                if has_installed(handled) {
                    handled.server.persistent.log = handled.before.persistent.log.clone();
                }
            },
            ..Fault::NONE
        },
    }
}

fn matching_log_dropped() -> MutantSpec {
    MutantSpec {
        name: "matching-log-dropped",
        breaks: "IS-6",
        caught_by: "Match index is replicated",
        seen_in: "camunda/camunda#6092",
        about: "A snapshot makes a server drop entries behind it, which it has acknowledged.",
        story: "S2 gets entries 1 and 2 and acknowledges both. S0 does not know that yet, has committed \
                and dropped entry 1, and sends its snapshot. S2 holds entry 1, but drops entry 2, too. S0 \
                counts S2 among those that have it.",
        difference: "`retain log entries following it` is missing",
        spec: scenes::snapshot_in_flight(),
        fault: Fault {
            after: |handled| {
                if let Some(args) = install_snapshot(handled)
                    && args.last_included_index > handled.before.commit_index
                    && handled.server.commit_index == args.last_included_index
                {
                    let log = &mut handled.server.persistent.log;
                    *log = up_to(log, args.last_included_index);
                }
            },
            ..Fault::NONE
        },
    }
}

fn sessions_not_installed() -> MutantSpec {
    MutantSpec {
        name: "sessions-not-installed",
        breaks: "IS-8",
        caught_by: "Exactly once",
        seen_in: "ongardie/dissertation, section 6.3",
        about: "A server installs the state machine of a snapshot and keeps its own sessions.",
        story: "S2 installs a snapshot in which C3 has a session, and has no session of its own. It will \
                tell a retry of C3 that the session has expired, while the other servers answer it.",
        difference: "`server.sessions = snapshot.sessions` is missing",
        spec: scenes::find_model("snapshot-pieces"),
        fault: Fault {
            after: |handled| {
                if has_installed(handled) {
                    handled.server.sessions = handled.before.sessions.clone();
                }
            },
            ..Fault::NONE
        },
    }
}

fn machine_not_installed() -> MutantSpec {
    MutantSpec {
        name: "machine-not-installed",
        breaks: "IS-8",
        caught_by: "Exactly once",
        seen_in: "rqlite/rqlite#2759",
        about: "A server takes over the indexes of a snapshot and keeps its own state machine.",
        story: "S2 installs a snapshot, counts its entries as applied, and keeps its own empty key-value \
                store.",
        difference: "`server.machine = snapshot.machine` is missing",
        spec: scenes::find_model("snapshot-pieces"),
        fault: Fault {
            after: |handled| {
                if has_installed(handled) {
                    handled.server.machine = handled.before.machine.clone();
                }
            },
            ..Fault::NONE
        },
    }
}

fn snapshot_acked_before_saved() -> MutantSpec {
    MutantSpec {
        name: "snapshot-acked-before-saved",
        breaks: "IS-5",
        caught_by: "Match index is replicated",
        seen_in: "etcd-io/etcd#20426",
        about: "A server acknowledges a snapshot that its disk does not have yet.",
        story: "S2 installs the snapshot and acknowledges it, but has not written it yet. S0 counts on a \
                copy that a crash of S2 would lose.",
        difference: "`send(Match); save(snapshot)`",
        spec: Spec { restarts: true, ..scenes::find_model("snapshot-behind") },
        fault: Fault {
            save: |before, after| {
                if after.persistent.snapshot == before.persistent.snapshot {
                    Written::All(after.persistent.clone())
                } else {
                    Written::Nothing
                }
            },
            ..Fault::NONE
        },
    }
}

fn snapshot_acked_by_its_first_piece() -> MutantSpec {
    MutantSpec {
        name: "snapshot-acked-by-its-first-piece",
        breaks: "IS-4",
        caught_by: "Acknowledged is what was sent",
        seen_in: "ongardie/dissertation, Figure 5.3",
        about: "A server acknowledges the snapshot when its first piece has come.",
        story: "S2 gets the first of two pieces and answers that it has the whole snapshot. S0 counts S2 \
                among those that have the entries in it.",
        difference: "`Reply and wait for more data chunks if done is false` is missing",
        spec: scenes::find_model("snapshot-pieces"),
        fault: Fault {
            after: |handled| {
                let Some(args) = install_snapshot(handled) else { return };
                for command in &mut *handled.commands {
                    if let Command::Send(_, msg) = command
                        && matches!(msg, Message::InstallSnapshotResponse(it) if it.offset > 0)
                    {
                        let outcome = Outcome::Match(args.last_included_index);
                        let response = AppendEntriesResponse { term: args.term, outcome, round: 0 };
                        *msg = Message::AppendEntriesResponse(response);
                    }
                }
            },
            ..Fault::NONE
        },
    }
}

fn pieces_mixed() -> MutantSpec {
    MutantSpec {
        name: "pieces-mixed",
        breaks: "IS-2",
        caught_by: "Snapshots hold what is committed",
        seen_in: "ongardie/dissertation, Figure 5.3",
        about: "A server adds pieces of one snapshot to the pieces of another.",
        story: "S2 has the first piece of a snapshot of S0, with the session of C3. Then S1 leads, whose \
                snapshot covers another command of C3. S2 adds the second piece of that snapshot to the \
                first piece of S0's.",
        difference: "`incoming` is kept whatever snapshot a piece belongs to",
        spec: scenes::snapshot_mixed(),
        fault: Fault {
            before: |arriving| {
                let Message::InstallSnapshot(args) = &arriving.msg else { return };
                if let Some(incoming) = &arriving.server.incoming {
                    let mut incoming = Incoming::clone(incoming);
                    incoming.snapshot.last_index = args.last_included_index;
                    incoming.snapshot.last_term = args.last_included_term;
                    arriving.server.incoming = Some(Arc::new(incoming));
                    arriving.server.persistent.current_term = args.term;
                }
            },
            after: |handled| {
                if handled.server.incoming.is_none() && !has_installed(handled) {
                    handled.server.incoming.clone_from(&handled.before.incoming);
                }
            },
            ..Fault::NONE
        },
    }
}

fn piece_in_any_order() -> MutantSpec {
    MutantSpec {
        name: "piece-in-any-order",
        breaks: "IS-3",
        caught_by: "Snapshots hold what is committed",
        seen_in: "ongardie/dissertation, Figure 5.3",
        about: "A server begins with whatever piece comes first.",
        story: "S2 has the first of two pieces and restarts. The second piece comes, and S2 takes it for \
                the beginning. It installs a snapshot without the session of C3.",
        difference: "`if offset != incoming.offset` is missing for a snapshot of which nothing has come",
        spec: scenes::find_model("snapshot-pieces-restarts"),
        fault: Fault {
            before: |arriving| {
                let has_nothing = arriving.server.incoming.is_none();
                if let Message::InstallSnapshot(args) = &mut arriving.msg
                    && has_nothing
                {
                    args.offset = 0;
                }
            },
            ..Fault::NONE
        },
    }
}

fn log_saved_without_snapshot() -> MutantSpec {
    MutantSpec {
        name: "log-saved-without-snapshot",
        breaks: "STORE",
        caught_by: "Snapshots join logs",
        seen_in: "etcd-io/etcd#20426",
        about: "A server saves the start of its log first, and its snapshot in a second write.",
        story: "S0 commits its no-op and takes a snapshot. It saves that its log starts after the \
                no-op, and crashes before it saves the snapshot. Neither the saved log nor the saved \
                snapshot has the no-op.",
        difference: "`save(log); save(snapshot)`",
        spec: scenes::find_model("snapshot"),
        fault: Fault {
            save: |before, after| {
                let mut first = after.persistent.clone();
                if first.snapshot == before.persistent.snapshot {
                    return Written::All(first);
                }
                first.snapshot = before.persistent.snapshot.clone();
                Written::First(first)
            },
            ..Fault::NONE
        },
    }
}

fn restart_before_the_snapshot() -> MutantSpec {
    MutantSpec {
        name: "restart-before-the-snapshot",
        breaks: "SNAP-2",
        caught_by: "Snapshots join logs",
        seen_in: "NodeDB-Lab/nodedb#162",
        about: "A server that restarts does not find its snapshot.",
        story: "S0 has dropped the no-op that its snapshot covers. When S0 restarts, it does not find \
                the snapshot, and its log starts after entries that it has not applied.",
        difference: "`snapshot: Snapshot::default()` at the start",
        spec: scenes::find_model("snapshot"),
        fault: Fault {
            load: |mut persistent| {
                persistent.snapshot = Arc::default();
                persistent
            },
            ..Fault::NONE
        },
    }
}

fn snapshot_of_an_earlier_term() -> MutantSpec {
    MutantSpec {
        name: "snapshot-of-an-earlier-term",
        breaks: "IS-1",
        caught_by: "Who is followed was elected",
        seen_in: "ongardie/dissertation, Figure 5.3",
        about: "A server obeys the snapshot of a leader that has been deposed.",
        story: "S2 is in term 2. A snapshot of S0, which led term 1, comes late. S2 takes S0 for the \
                leader of term 2.",
        difference: "`Reply immediately if term < currentTerm` is missing",
        spec: scenes::find_model("snapshot-behind"),
        fault: Fault {
            before: |arriving| {
                let term = arriving.current_term();
                if let Message::InstallSnapshot(args) = &mut arriving.msg {
                    args.term = args.term.max(term);
                }
            },
            ..Fault::NONE
        },
    }
}

fn dropped_entries_appended_again() -> MutantSpec {
    MutantSpec {
        name: "dropped-entries-appended-again",
        breaks: "SNAP-5",
        caught_by: "Acknowledged is what was sent",
        seen_in: "willemt/raft, WRaft#1 of SandTable",
        about: "A server appends entries that it has dropped, for it does not find the entry before them.",
        story: "S1 has dropped entry 1, which its snapshot covers. A copy of the AppendEntries that \
                brought the entry comes late. S1 appends the entry once more, as entry 2.",
        difference: "an AppendEntries that begins before the log is taken to follow its last entry",
        spec: Spec { max_index: Some(3), ..scenes::find_model("snapshot-behind") },
        fault: Fault {
            before: |arriving| {
                let log = &arriving.server.persistent.log;
                let (start, (last_term, last)) = (log.start(), log.last());
                if let Message::AppendEntries(args) = &mut arriving.msg
                    && args.prev_log_index < start
                {
                    (args.prev_log_index, args.prev_log_term) = (last, last_term);
                }
            },
            ..Fault::NONE
        },
    }
}

fn restarted_follower_not_heard() -> MutantSpec {
    MutantSpec {
        name: "restarted-follower-not-heard",
        breaks: "SNAP-4",
        caught_by: "Recoverability",
        seen_in: "ongardie/dissertation, Figure 5.3",
        about: "A leader never sends an earlier piece again, although the follower has forgotten it.",
        story: "S2 has the first of two pieces and restarts. S0 repeats the second piece, which S2 \
                cannot use, and ignores that S2 asks for the first one.",
        difference: "an answer that asks for an earlier piece is always taken for an old one",
        spec: scenes::find_model("snapshot-pieces-restarts"),
        fault: Fault {
            after: |handled| {
                let Some((follower, Message::InstallSnapshotResponse(args))) = handled.event else {
                    return;
                };
                let progress = handled.before.leader().and_then(|it| it.followers.get(&follower));
                let sending = progress.and_then(|it| it.sending.as_ref());
                if sending.is_some_and(|it| args.offset < it.offset) {
                    handled.server.role = handled.before.role.clone();
                    handled.commands.clear();
                }
            },
            ..Fault::NONE
        },
    }
}

fn lost_piece_not_repeated() -> MutantSpec {
    MutantSpec {
        name: "lost-piece-not-repeated",
        breaks: "SNAP-7",
        caught_by: "Recoverability",
        seen_in: "willemt/raft, WRaft#3 of SandTable",
        about: "A leader that sends no entries in its heartbeats does not send a lost piece again.",
        story: "The network loses the piece. S2 answers each heartbeat with a conflict, and S0 goes on \
                waiting for the answer to the piece.",
        difference: "the follower's answers to heartbeats are ignored while a snapshot is on its way",
        spec: scenes::find_model("snapshot-fragments"),
        fault: Fault {
            after: |handled| {
                if handled.append_entries_response().is_some() {
                    handled.commands.retain(|command| {
                        !matches!(command, Command::Send(_, Message::InstallSnapshot(_)))
                    });
                }
            },
            ..Fault::NONE
        },
    }
}

fn snapshot_never_sent() -> MutantSpec {
    MutantSpec {
        name: "snapshot-never-sent",
        breaks: "SNAP-3",
        caught_by: "Recoverability",
        seen_in: "databendlabs/openraft#1828",
        about: "A leader does not send its snapshot to a follower that needs it.",
        story: "S2 lacks entry 1, which S0 and S1 have dropped. Neither of them sends its snapshot, so \
                S2 never gets the entry nor anything after it.",
        difference: "the leader sends nothing when its log does not hold the entry before `next_index`",
        spec: scenes::find_model("snapshot-behind"),
        fault: Fault {
            after: |handled| {
                handled.commands.retain(|command| {
                    !matches!(command, Command::Send(_, Message::InstallSnapshot(_)))
                });
            },
            ..Fault::NONE
        },
    }
}

fn entries_dropped_before_they_are_applied() -> MutantSpec {
    MutantSpec {
        name: "entries-dropped-before-they-are-applied",
        breaks: "SNAP-1",
        caught_by: "Committed is durable",
        seen_in: "camunda/camunda#6092",
        about: "With a snapshot, a server drops all entries of its log, also those behind the snapshot.",
        story: "S2 holds entry 2 and has acknowledged it. S2 learns that entry 1 is committed, and \
                takes a snapshot up to there. It drops entry 2, too.",
        difference: "`log = Log::after(last_term, last_index)` when a snapshot is taken",
        spec: scenes::find_model("snapshot-terms"),
        fault: Fault {
            after: |handled| {
                let persistent = &mut handled.server.persistent;
                if persistent.snapshot != handled.before.persistent.snapshot {
                    let Snapshot { last_index, last_term, .. } = *persistent.snapshot;
                    persistent.log = Log::after(last_term, last_index);
                }
            },
            ..Fault::NONE
        },
    }
}

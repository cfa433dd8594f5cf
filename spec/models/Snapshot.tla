------------------------------ MODULE Snapshot ------------------------------
EXTENDS Clients, Properties, RaftSnapshot

(* A snapshot is the state that another server has after the same entries. *)
SnapshotsHoldWhatIsCommitted ==
    \A i, j \in Server :
        LET it == server[i].snapshot
        IN  server[j].lastApplied = it.lastIndex
            => it.sessions = server[j].sessions /\ it.machine = server[j].machine

(* A log starts nowhere behind its snapshot, and a snapshot covers only what is applied. *)
SnapshotsJoinLogs ==
    \A i \in Server :
        /\ server[i].startIndex <= server[i].snapshot.lastIndex
        /\ server[i].snapshot.lastIndex <= server[i].lastApplied

(* A bug: a snapshot lacks the sessions. *)
WithoutSessions(s) ==
    [lastIndex |-> s.lastApplied, lastTerm |-> TermAt(s, s.lastApplied),
     sessions |-> <<>>, machine |-> s.machine]
=============================================================================

---------------------------- MODULE RaftSnapshot ----------------------------
(***************************************************************************)
(* Log compaction (section 7) and InstallSnapshot (Figure 13).             *)
(*                                                                         *)
(* A snapshot travels in pieces: first the sessions, if there are any,     *)
(* then the state machine.  Offsets count pieces here, where the code      *)
(* counts bytes.                                                           *)
(*                                                                         *)
(* A server has more fields:                                               *)
(*   startIndex, startTerm   the position that its log starts after        *)
(*   snapshot   [lastIndex, lastTerm, sessions, machine]; it survives a    *)
(*              restart, as the log does                                   *)
(*   incoming   the snapshot of the current leader, as far as it has come  *)
(*   sending    of leaders: for each follower the snapshot on its way, the *)
(*              offset of the piece on its way, and how many heartbeats    *)
(*              were answered without it; `lastIndex' is 0 if there is none*)
(*   catchesUp  of leaders: for each follower whether the leader keeps     *)
(*              entries for it that it would drop otherwise                *)
(***************************************************************************)
EXTENDS Raft

CONSTANTS
    SnapshotAfter,  \* a server takes a snapshot of so many new entries
    SnapshotMargin, \* entries that a log keeps although a snapshot covers them
    MaxIndex        \* bound: the highest index of a log

-----------------------------------------------------------------------------
(* LOGS THAT START LATER *)

SnapFirstIndex(s) == s.startIndex + 1
SnapLastIndex(s) == s.startIndex + Len(s.log)
SnapEntryAt(s, k) == s.log[k - s.startIndex]
SnapTermAt(s, k) ==
    IF k = s.startIndex THEN s.startTerm
    ELSE IF k \in s.startIndex + 1 .. s.startIndex + Len(s.log)
    THEN s.log[k - s.startIndex].term
    ELSE Nil
SnapUpTo(s, k) == SubSeq(s.log, 1, k - s.startIndex)
SnapFromTo(s, k, l) == SubSeq(s.log, k - s.startIndex, l - s.startIndex)

NoSnapshot == [lastIndex |-> 0, lastTerm |-> 0, sessions |-> <<>>, machine |-> "none"]
NoIncoming == [lastIndex |-> 0, lastTerm |-> 0, sessions |-> <<>>, machine |-> "none",
               offset |-> 0]
NotSending == [lastIndex |-> 0, lastTerm |-> 0, sessions |-> <<>>, machine |-> "none",
               offset |-> 0, doubts |-> 0]
SendingNothing == [j \in Server |-> NotSending]
Nobody == [j \in Server |-> FALSE]

SnapIsSending(s, j) == s.sending[j].lastIndex > 0
SnapAwaitsAnswer(s, j) == SnapIsSending(s, j)

(* [SNAP-2] A server starts with the state of its snapshot. *)
SnapSaved(s) ==
    [currentTerm |-> s.currentTerm, votedFor |-> s.votedFor, log |-> s.log,
     startIndex |-> s.startIndex, startTerm |-> s.startTerm, snapshot |-> s.snapshot]
SnapNothing ==
    [currentTerm |-> 0, votedFor |-> Nil, log |-> <<>>,
     startIndex |-> 0, startTerm |-> 0, snapshot |-> NoSnapshot]
SnapStarted(saved) ==
    [Restored(saved) EXCEPT !.commitIndex = saved.snapshot.lastIndex,
                            !.lastApplied = saved.snapshot.lastIndex,
                            !.sessions = saved.snapshot.sessions,
                            !.machine = saved.snapshot.machine]
    @@ [startIndex |-> saved.startIndex, startTerm |-> saved.startTerm,
        snapshot |-> saved.snapshot,
        incoming |-> NoIncoming, sending |-> SendingNothing, catchesUp |-> Nobody]

SnapResign(i, c) == [c EXCEPT !.s.sending = SendingNothing, !.s.catchesUp = Nobody]
SnapBeginTerm(s) == [s EXCEPT !.incoming = NoIncoming]

SnapIsWithin(s) == IsWithinTerms(s) /\ LastIndex(s) <= MaxIndex

-----------------------------------------------------------------------------
(* TAKING A SNAPSHOT *)

(* [SNAP-6] A leader keeps the entries after a snapshot of which a follower has a piece, and then
   those that the follower lacks, until the margin is enough. *)
StillCatchUp(s, margin) ==
    [j \in Server |-> s.catchesUp[j] /\ s.matchIndex[j] < margin]
HeldAfter(s, margin) ==
    Min({margin}
        \cup {s.sending[j].lastIndex : j \in {j \in Server : s.sending[j].offset > 0}}
        \cup {s.matchIndex[j] : j \in {j \in Server : ~SnapIsSending(s, j) /\ s.catchesUp[j]}})

DropUpTo(s, k) ==
    IF k <= s.startIndex THEN s
    ELSE [s EXCEPT !.startIndex = k, !.startTerm = TermAt(s, k),
                   !.log = FromTo(s, k + 1, LastIndex(s))]

(* What a server saves of its own state.  [SNAP-1] It covers what is applied. *)
SnapshotOf(s) ==
    [lastIndex |-> s.lastApplied, lastTerm |-> TermAt(s, s.lastApplied),
     sessions |-> s.sessions, machine |-> s.machine]

SnapAllApplied(i, c) ==
    LET margin == Max({0, c.s.lastApplied - SnapshotMargin})
        taken == [c.s EXCEPT !.snapshot = SnapshotOf(c.s), !.catchesUp = StillCatchUp(c.s, margin)]
    IN  IF c.s.lastApplied - c.s.snapshot.lastIndex < SnapshotAfter THEN c
        ELSE [c EXCEPT !.s = DropUpTo(taken, HeldAfter(taken, margin))]

-----------------------------------------------------------------------------
(* LEADERS *)

Pieces(snapshot) ==
    (IF DOMAIN snapshot.sessions = {} THEN <<>> ELSE << <<"Sessions", snapshot.sessions>> >>)
    \o << <<"Machine", snapshot.machine>> >>

SendPiece(i, c, j) ==
    LET it == c.s.sending[j]
    IN  Send(c, {[type |-> "InstallSnapshot", src |-> i, dst |-> j, term |-> c.s.currentTerm,
                  lastIncludedIndex |-> it.lastIndex, lastIncludedTerm |-> it.lastTerm,
                  offset |-> it.offset,
                  data |-> Pieces(it)[it.offset + 1],
                  done |-> it.offset + 1 = Len(Pieces(it))]})

(* [SNAP-3] A follower that needs a dropped entry is sent the snapshot. *)
BeginSnapshot(i, c, j) ==
    LET it == c.s.snapshot
        begun == [lastIndex |-> it.lastIndex, lastTerm |-> it.lastTerm,
                  sessions |-> it.sessions, machine |-> it.machine, offset |-> 0, doubts |-> 0]
    IN  SendPiece(i, [c EXCEPT !.s.nextIndex[j] = it.lastIndex + 1, !.s.sending[j] = begun], j)

SnapAppendEntries(i, c, j) ==
    IF SnapIsSending(c.s, j) THEN SendPiece(i, c, j)
    ELSE IF c.s.nextIndex[j] - 1 < c.s.startIndex THEN BeginSnapshot(i, c, j)
    ELSE SendEntries(i, c, j)

SnapHeartbeatTo(i, c, j) ==
    IF SnapIsSending(c.s, j) THEN SendPiece(i, [c EXCEPT !.s.sending[j].doubts = 2], j)
    ELSE AppendEntries(i, c, j)

(* The follower's log matches so far: it needs no snapshot up to there. *)
SnapArrived(s, j, index) ==
    IF SnapIsSending(s, j) /\ s.sending[j].lastIndex <= index
    THEN [s EXCEPT !.sending[j] = NotSending, !.catchesUp[j] = index < s.snapshot.lastIndex]
    ELSE s

(* [SNAP-7] The second answer that lacks the last included entry means that the piece was lost. *)
DoubtPiece(i, c, j) ==
    LET doubted == [c EXCEPT !.s.sending[j].doubts = Min({@ + 1, 2})]
    IN  IF doubted.s.sending[j].doubts = 2 THEN SendPiece(i, doubted, j) ELSE doubted

SnapHandleConflict(i, c, m) ==
    IF ~SnapIsSending(c.s, m.src) THEN GoBack(i, c, m)
    ELSE IF c.s.sending[m.src].lastIndex = m.prevLogIndex THEN DoubtPiece(i, c, m.src)
    ELSE c

(* Hook: what any answer to a piece tells a leader. *)
PieceAnswered(i, c, m) == c

(* [SNAP-4] The answer asks for the piece that follows.  After a repetition it may ask for the
   first one again: the follower has forgotten the rest. *)
HandlePieceAnswer(i, c, m) ==
    LET it == c.s.sending[m.src]
        isNext == m.offset = it.offset + 1 /\ m.offset < Len(Pieces(it))
        isAgain == m.offset = 0 /\ it.offset > 0 /\ it.doubts = 2
    IN  IF it.lastIndex = 0 \/ m.lastIncludedIndex # it.lastIndex THEN c
        ELSE IF isNext \/ isAgain
        THEN SendPiece(i, [c EXCEPT !.s.sending[m.src].offset = m.offset,
                                    !.s.sending[m.src].doubts = 0], m.src)
        ELSE c

HandleInstallSnapshotResponse(i, c, m) ==
    IF IsOfThisTerm(c.s, m) /\ c.s.role = "leader"
    THEN HandlePieceAnswer(i, PieceAnswered(i, c, m), m)
    ELSE c

-----------------------------------------------------------------------------
(* FOLLOWERS *)

(* [SNAP-5] Entries that the log has dropped are known to match. *)
SnapTakeRequest(i, c, m) ==
    LET dropped == c.s.startIndex - m.prevLogIndex
    IN  IF dropped <= 0 THEN TakeEntries(i, c, m)
        ELSE IF dropped > Len(m.entries)
        THEN Match(i, c, m, m.prevLogIndex + Len(m.entries))
        ELSE TakeEntries(i, c,
                [m EXCEPT !.prevLogIndex = c.s.startIndex,
                          !.prevLogTerm = m.entries[dropped].term,
                          !.entries = SubSeq(m.entries, dropped + 1, Len(m.entries))])

Wants(i, c, m) ==
    Send(c, {[type |-> "InstallSnapshotResponse", src |-> i, dst |-> m.src,
              term |-> c.s.currentTerm, lastIncludedIndex |-> m.lastIncludedIndex,
              offset |-> c.s.incoming.offset]})

(* [IS-5] Save the snapshot.  [IS-7] Discard the entire log.  [IS-8] Reset the state machine. *)
Install(s, it) ==
    [s EXCEPT !.snapshot = [lastIndex |-> it.lastIndex, lastTerm |-> it.lastTerm,
                            sessions |-> it.sessions, machine |-> it.machine],
              !.startIndex = it.lastIndex, !.startTerm = it.lastTerm, !.log = <<>>,
              !.commitIndex = it.lastIndex, !.lastApplied = it.lastIndex,
              !.sessions = it.sessions, !.machine = it.machine,
              !.incoming = NoIncoming]

(* [IS-2] The first piece begins a snapshot, and only a later one replaces it. *)
IsLaterThan(it, m) ==
    \/ it.lastIndex > m.lastIncludedIndex
    \/ it.lastIndex = m.lastIncludedIndex /\ it.lastTerm > m.lastIncludedTerm
Begun(s, m) ==
    IF s.incoming.lastIndex = m.lastIncludedIndex /\ s.incoming.lastTerm = m.lastIncludedTerm
    THEN s.incoming
    ELSE [NoIncoming EXCEPT !.lastIndex = m.lastIncludedIndex, !.lastTerm = m.lastIncludedTerm]

(* [IS-3] Only the piece that follows is written. *)
Written(it, m) ==
    IF m.data[1] = "Sessions" THEN [it EXCEPT !.sessions = m.data[2], !.offset = @ + 1]
    ELSE [it EXCEPT !.machine = m.data[2], !.offset = @ + 1]

(* [IS-4] Reply and wait for more if done is false. *)
TakePiece(i, c, m) ==
    LET it == Begun(c.s, m)
        written == Written(it, m)
    IN  IF IsLaterThan(c.s.incoming, m) \/ m.offset # it.offset THEN Wants(i, c, m)
        ELSE IF m.done
        THEN Match(i, [c EXCEPT !.s = Install(@, written)], m, m.lastIncludedIndex)
        ELSE Wants(i, [c EXCEPT !.s.incoming = written], m)

(* A snapshot of what is committed already brings nothing.  [IS-6] A log that holds the last
   included entry keeps what follows it, and the server applies its own log. *)
TakeSnapshot(i, c, m) ==
    LET last == m.lastIncludedIndex
        isOld == c.s.incoming.lastIndex <= last
    IN  IF last <= c.s.commitIndex
        THEN Match(i, IF isOld THEN [c EXCEPT !.s.incoming = NoIncoming] ELSE c, m, last)
        ELSE IF TermAt(c.s, last) = m.lastIncludedTerm
        THEN Match(i, ApplyCommitted(i, [c EXCEPT !.s.commitIndex = last,
                                                  !.s.incoming = NoIncoming]), m, last)
        ELSE TakePiece(i, c, m)

(* [IS-1] Reply immediately if term < currentTerm. *)
HandleInstallSnapshot(i, c, m) ==
    IF IsStale(c.s, m)
    THEN Send(c, {[type |-> "InstallSnapshotResponse", src |-> i, dst |-> m.src,
                   term |-> c.s.currentTerm, lastIncludedIndex |-> m.lastIncludedIndex,
                   offset |-> 0]})
    ELSE IF c.s.role = "leader" THEN c
    ELSE TakeSnapshot(i, HeardFromLeader(i, BecomeFollower(i, c, m.src)), m)

ReceiveInstallSnapshot ==
    \E m \in messages :
        /\ m.type = "InstallSnapshot"
        /\ Does(m.dst, HandleInstallSnapshot(m.dst, UpdateTerm(m.dst, Call(m.dst), m.term), m))

ReceiveInstallSnapshotResponse ==
    \E m \in messages :
        /\ m.type = "InstallSnapshotResponse"
        /\ Does(m.dst,
                HandleInstallSnapshotResponse(m.dst, UpdateTerm(m.dst, Call(m.dst), m.term), m))

SnapNext == Next \/ ReceiveInstallSnapshot \/ ReceiveInstallSnapshotResponse
SnapSpec == Init /\ [][SnapNext]_vars
=============================================================================

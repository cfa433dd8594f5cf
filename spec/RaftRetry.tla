----------------------------- MODULE RaftRetry ------------------------------
(***************************************************************************)
(* A leader repeats entries only when they were lost, as a node does.      *)
(*                                                                         *)
(* Figure 2 says only that RPCs are retried.  Under the core module each   *)
(* heartbeat carries the unanswered entries.  Here heartbeats are empty    *)
(* meanwhile, and ask about the last of these entries [LDR-5].  An answer  *)
(* that they have not come makes the leader send them again, half as many  *)
(* bytes at a time [LDR-6].                                                *)
(*                                                                         *)
(* A server has one more field:                                            *)
(*   attempt   for each follower [last, losses, pause]: the last entry of  *)
(*             the unanswered AppendEntries, or 0 if none is unanswered    *)
(*             (a pause, or the follower still lacks entries), or -1 for a *)
(*             follower that has caught up.                                *)
(***************************************************************************)
EXTENDS Raft

CONSTANTS
    MaxBytes,      \* most bytes of entries in one AppendEntries
    SmallestBatch, \* no batch is halved to less than this
    LargestPacket  \* the network loses an AppendEntries with more bytes of entries

NoAttempt == [last |-> -1, losses |-> 0, pause |-> 0]
NoAttempts == [j \in Server |-> NoAttempt]

(* An upper bound of the bytes of an entry on the wire. *)
EntryBytes(entry) == 51 + IF entry.kind = "command" THEN Bytes(entry.command) ELSE 0
RECURSIVE BytesOf(_)
BytesOf(entries) ==
    IF entries = <<>> THEN 0 ELSE EntryBytes(Head(entries)) + BytesOf(Tail(entries))

BatchBytes(losses) == Max({MaxBytes \div (2 ^ losses), Min({SmallestBatch, MaxBytes})})
Halvings == Min({l \in 0 .. 20 : BatchBytes(l) = BatchBytes(l + 1)})
LongestPause == 4 \* as a power of two

(* As many entries as fit, and one at least. *)
RetryEntriesFor(s, j) ==
    LET next == s.nextIndex[j]
        Batch(n) == FromTo(s, next, next + n - 1)
        most == Min({MaxEntries, LastIndex(s) - next + 1})
        fit == {n \in 1 .. most : n = 1 \/ BytesOf(Batch(n)) <= BatchBytes(s.attempt[j].losses)}
    IN  IF fit = {} THEN <<>> ELSE Batch(Max(fit))

RetryNoteSent(s, j, entries) ==
    IF entries = <<>> THEN s
    ELSE [s EXCEPT !.attempt[j] = [last |-> s.nextIndex[j] - 1 + Len(entries),
                                   losses |-> @.losses, pause |-> 0]]

IsUnanswered(s, j) == s.attempt[j].last > 0

(* The position that an empty AppendEntries asks about. *)
AsksAbout(s, j) == IF IsUnanswered(s, j) THEN s.attempt[j].last ELSE s.nextIndex[j] - 1
Ask(i, c, j) == Send(c, {AppendEntriesRequest(i, c.s, j, AsksAbout(c.s, j), <<>>)})

(* [LDR-5] A heartbeat over unanswered entries is empty and asks about their end. *)
RetryHeartbeatTo(i, c, j) ==
    IF IsUnanswered(c.s, j) THEN Ask(i, c, j)
    ELSE IF c.s.attempt[j].pause > 1 THEN Ask(i, [c EXCEPT !.s.attempt[j].pause = @ - 1], j)
    ELSE AppendEntries(i, c, j)

(* A match about the last of the entries answers them. *)
RetryArrived(s, j, index) ==
    IF s.attempt[j].last = -1 \/ (IsUnanswered(s, j) /\ index < s.attempt[j].last) THEN s
    ELSE IF index = LastIndex(s) THEN [s EXCEPT !.attempt[j] = NoAttempt]
    ELSE [s EXCEPT !.attempt[j].last = 0]

(* [LDR-6] Entries that were lost are sent again, half as many bytes at a time.  An entry that is
   larger than the smallest batch follows after a pause, which doubles. *)
SendAgain(i, c, j) ==
    LET attempt == c.s.attempt[j]
        isTooLong == EntryBytes(EntryAt(c.s, c.s.nextIndex[j])) > BatchBytes(Halvings)
        doublings == attempt.losses - Halvings
    IN  IF attempt.losses < Halvings
        THEN AppendEntries(i, [c EXCEPT !.s.attempt[j].losses = @ + 1], j)
        ELSE IF isTooLong
        THEN [c EXCEPT !.s.attempt[j] =
                [last |-> 0, pause |-> 2 ^ doublings,
                 losses |-> @.losses + IF doublings < LongestPause THEN 1 ELSE 0]]
        ELSE AppendEntries(i, c, j)

RetryHandleConflict(i, c, m) ==
    IF IsUnanswered(c.s, m.src) /\ c.s.attempt[m.src].last = m.prevLogIndex
    THEN SendAgain(i, c, m.src)
    ELSE GoBack(i, c, m)

(* A request that is too large never arrives. *)
RetryIsLost(m) == BytesOf(m.entries) > LargestPacket

RetryResign(i, c) == [c EXCEPT !.s.attempt = NoAttempts]

RetryStarted(saved) == Restored(saved) @@ [attempt |-> NoAttempts]
=============================================================================

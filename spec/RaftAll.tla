------------------------------ MODULE RaftAll -------------------------------
(***************************************************************************)
(* All features at once, as on a node.  Where two features have a hook in  *)
(* common, this module says what stands there.                             *)
(***************************************************************************)
EXTENDS RaftRetry, RaftRead, RaftPreVote, RaftTransfer, RaftSnapshot

AllResign(i, c) ==
    TransferResign(i, ReadResign(i, SnapResign(i, RetryResign(i, PreVoteResign(i, c)))))

AllStarted(saved) ==
    SnapStarted(saved) @@ RetryStarted(saved) @@ ReadStarted(saved)
        @@ PreVoteStarted(saved) @@ TransferStarted(saved)

AllIsWithin(s) == ReadIsWithin(s) /\ SnapIsWithin(s)

(* Who wants to lead because the leader wants it, passes stickiness. *)
AllIgnores(s, m) == PreVoteIgnores(s, m) /\ ~m.leadershipTransfer

AllAnswered(i, c, m) == PreVoteAnswered(i, ReadAnswered(i, c, m), m)
AllAnswerCounted(i, c, m) == TransferAnswerCounted(i, ReadAnswerCounted(i, c, m), m)

(* The answer to a piece of a snapshot belongs to no round. *)
AllStampedAs(request, m) ==
    ReadStampedAs(IF request.type = "AppendEntries" THEN request ELSE [round |-> 0], m)

AllAwaitsAnswer(s, j) == SnapAwaitsAnswer(s, j) \/ IsUnanswered(s, j)
AllArrived(s, j, index) == SnapArrived(RetryArrived(s, j, index), j, index)

(* A snapshot ends the attempt to send entries. *)
AllAppendEntries(i, c, j) ==
    IF ~SnapIsSending(c.s, j) /\ c.s.nextIndex[j] - 1 < c.s.startIndex
    THEN BeginSnapshot(i, [c EXCEPT !.s.attempt[j] = NoAttempt], j)
    ELSE SnapAppendEntries(i, c, j)

(* What an empty AppendEntries asks about: the last included entry of a snapshot on its way, or the
   last unanswered entry, or the one before nextIndex.  The log may have dropped the last two. *)
Questions(i, s, j) ==
    LET it == s.sending[j]
        prev == AsksAbout(s, j)
    IN  IF SnapIsSending(s, j)
        THEN {RequestAfter(i, s, j, it.lastIndex, it.lastTerm, <<>>)}
        ELSE IF prev < s.startIndex THEN {}
        ELSE {AppendEntriesRequest(i, s, j, prev, <<>>)}

AskOrBegin(i, c, j) ==
    IF Questions(i, c.s, j) # {} THEN Send(c, Questions(i, c.s, j))
    ELSE BeginSnapshot(i, [c EXCEPT !.s.attempt[j] = NoAttempt], j)

AllHeartbeatTo(i, c, j) ==
    IF SnapIsSending(c.s, j) \/ IsUnanswered(c.s, j) THEN AskOrBegin(i, c, j)
    ELSE IF c.s.attempt[j].pause > 1
    THEN AskOrBegin(i, [c EXCEPT !.s.attempt[j].pause = @ - 1], j)
    ELSE AppendEntries(i, c, j)

AllRoundRequests(i, s, j) == Questions(i, s, j)

AllHandleConflict(i, c, m) ==
    IF SnapIsSending(c.s, m.src) THEN SnapHandleConflict(i, c, m)
    ELSE RetryHandleConflict(i, c, m)

AllNext == PreVoteNext \/ TransferNext \/ SnapNext
AllSpec == Init /\ [][AllNext]_vars
=============================================================================

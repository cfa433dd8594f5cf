------------------------------ MODULE RaftRead ------------------------------
(***************************************************************************)
(* Reads without a log entry (section 8, thesis 6.4).                      *)
(*                                                                         *)
(* A leader makes sure that it led after a read had come, before it        *)
(* answers.  It sends a round of AppendEntries, and each answer repeats    *)
(* the number of the round.                                                *)
(*                                                                         *)
(* A server has three more fields, all 0 or empty unless it leads:         *)
(*   round      the number of rounds that it has begun                     *)
(*   answered   for each follower the latest round that it has answered    *)
(*   reads      the reads that wait, in the order in which they came:      *)
(*              [client, sequence, query, round, index]                    *)
(* AppendEntries and its answer have the field `round'.                    *)
(***************************************************************************)
EXTENDS Raft

CONSTANT MaxRounds \* bound: most rounds of a leader

ReadStamped(s, m) ==
    [type |-> m.type, src |-> m.src, dst |-> m.dst, term |-> m.term,
     prevLogIndex |-> m.prevLogIndex, prevLogTerm |-> m.prevLogTerm,
     entries |-> m.entries, leaderCommit |-> m.leaderCommit,
     round |-> s.round]

ReadStampedAs(request, m) ==
    CASE m.outcome = "Match" ->
            [type |-> m.type, src |-> m.src, dst |-> m.dst, term |-> m.term,
             outcome |-> m.outcome, index |-> m.index, round |-> request.round]
      [] m.outcome = "Conflict" ->
            [type |-> m.type, src |-> m.src, dst |-> m.dst, term |-> m.term,
             outcome |-> m.outcome, prevLogIndex |-> m.prevLogIndex,
             conflictTerm |-> m.conflictTerm, conflictIndex |-> m.conflictIndex,
             round |-> request.round]
      [] m.outcome = "StaleTerm" ->
            [type |-> m.type, src |-> m.src, dst |-> m.dst, term |-> m.term,
             outcome |-> m.outcome, round |-> request.round]

(* The latest round that a majority has answered. *)
ConfirmedRound(i, s) ==
    Max({r \in 0 .. s.round : IsQuorum({i} \cup {j \in Others(i) : s.answered[j] >= r})})

(* Hook: the requests of a round.  They ask about the entry before nextIndex. *)
RoundRequests(i, s, j) == {AppendEntriesRequest(i, s, j, s.nextIndex[j] - 1, <<>>)}

(* [READ-2] A new round of heartbeats.  They carry no entries and arm no timer. *)
BeginRound(i, c) ==
    LET s == [c.s EXCEPT !.round = @ + 1]
    IN  [s |-> s,
         out |-> c.out \cup UNION {RoundRequests(i, s, j) : j \in Others(i)}]

ReadAnswer(i, s, read) ==
    [type |-> "ClientResponse", src |-> i, dst |-> read.client, sequence |-> read.sequence,
     answer |-> "Read", response |-> Execute(s.machine, read.query)[2]]

(* [READ-3] The answer is what the state machine holds once the round is confirmed and what was
   committed is applied.  Reads that came meanwhile share the next round. *)
IsDue(i, s, read) == read.round <= ConfirmedRound(i, s) /\ read.index <= s.lastApplied
AnswerReads(i, c) ==
    LET s == c.s
        Due(read) == IsDue(i, s, read)
        Waits(read) == ~Due(read)
        waiting == SelectSeq(s.reads, Waits)
        due == {s.reads[k] : k \in {k \in DOMAIN s.reads : Due(s.reads[k])}}
        done == Send([c EXCEPT !.s.reads = waiting], {ReadAnswer(i, s, read) : read \in due})
        isNext == \E k \in DOMAIN waiting : waiting[k].round > s.round
    IN  IF isNext /\ ConfirmedRound(i, s) = s.round THEN BeginRound(i, done) ELSE done

(* [READ-1] A read waits for what is committed when it comes, and for the first entry of the term:
   the entries that were committed before stand before that one. *)
ReadIndex(s) == Max({s.commitIndex} \cup
                    {Min(IndexesOf(s, s.currentTerm) \cup {LastIndex(s)})})
TakeRead(i, c, m) ==
    LET s == c.s
        isCopy == \E k \in DOMAIN s.reads :
                     s.reads[k].client = m.src /\ s.reads[k].sequence = m.sequence
        isIdle == ConfirmedRound(i, s) = s.round
        waits == [c EXCEPT !.s.reads = Append(@,
                    [client |-> m.src, sequence |-> m.sequence, query |-> m.query,
                     round |-> s.round + 1, index |-> ReadIndex(s)])]
    IN  IF isCopy THEN c ELSE AnswerReads(i, IF isIdle THEN BeginRound(i, waits) ELSE waits)

ReadTakeClientRequest(i, c, m) ==
    IF m.request = "Read" THEN TakeRead(i, c, m) ELSE TakeEntryRequest(i, c, m)

(* Every answer of the term says that its sender knew of no later one. *)
ReadAnswered(i, c, m) ==
    [c EXCEPT !.s.answered[m.src] = Max({@, Min({m.round, c.s.round})})]
ReadAnswerCounted(i, c, m) == AnswerReads(i, c)

(* [READ-3] Who steps down refuses the reads that wait. *)
RefuseReads(i, c) ==
    Send(c, {NotLeader(i, c.s.reads[k].client, c.s.reads[k].sequence, Nil) :
                k \in DOMAIN c.s.reads})
ReadResign(i, c) ==
    [RefuseReads(i, c) EXCEPT !.s.round = 0, !.s.answered = OfNobody, !.s.reads = <<>>]

ReadIsWithin(s) == IsWithinTerms(s) /\ s.round <= MaxRounds

ReadStarted(saved) == Restored(saved) @@ [round |-> 0, answered |-> OfNobody, reads |-> <<>>]
=============================================================================

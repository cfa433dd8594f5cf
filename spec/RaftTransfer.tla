---------------------------- MODULE RaftTransfer ----------------------------
(***************************************************************************)
(* Leadership transfer (thesis 3.10).                                      *)
(*                                                                         *)
(* A client asks the leader to hand over to another server.  Until the     *)
(* leader gives up or steps down, it takes no requests, brings that server *)
(* up to date and sends it TimeoutNow.  That server then stands at once.   *)
(*                                                                         *)
(* A server has one more field:                                            *)
(*   transfer   [to, client, sequence] of the transfer under way           *)
(* There is the timer "Transfer", and the message TimeoutNow.  RequestVote *)
(* has the field `leadershipTransfer'.                                     *)
(***************************************************************************)
EXTENDS Raft

NoTransfer == [to |-> Nil, client |-> Nil, sequence |-> 0]

(* "A special flag" with which requests bypass stickiness (thesis 4.2.3). *)
TransferRequestVoteRequest(i, s, j, wanted) ==
    [type |-> "RequestVote", src |-> i, dst |-> j,
     term |-> s.currentTerm,
     lastLogIndex |-> LastIndex(s),
     lastLogTerm |-> LastTerm(s),
     leadershipTransfer |-> wanted]

TransferEnded(i, c, sequence, outcome) ==
    [type |-> "ClientResponse", src |-> i, dst |-> c, sequence |-> sequence,
     answer |-> "Transfer", outcome |-> outcome]

(* [TR-2] The server that is to lead gets TimeoutNow once it has the leader's whole log.  The
   leader repeats it with each heartbeat and after each answer, because it may be lost. *)
SendTimeoutNowIfDue(i, c) ==
    LET s == c.s
        to == s.transfer.to
        isDue == s.role = "leader" /\ to # Nil /\ s.matchIndex[to] = LastIndex(s)
    IN  IF isDue
        THEN Send(c, {[type |-> "TimeoutNow", src |-> i, dst |-> to, term |-> s.currentTerm,
                       lastLogIndex |-> LastIndex(s), lastLogTerm |-> LastTerm(s)]})
        ELSE c

TakeTransfer(i, c, m) ==
    IF m.to = i THEN Send(c, {TransferEnded(i, m.src, m.sequence, "Leads")})
    ELSE IF m.to \notin Server THEN Send(c, {TransferEnded(i, m.src, m.sequence, "NoMember")})
    ELSE IF c.s.transfer # NoTransfer THEN c
    ELSE SendTimeoutNowIfDue(i,
            [c EXCEPT !.s.transfer = [to |-> m.to, client |-> m.src, sequence |-> m.sequence],
                      !.s.timers = @ \cup {"Transfer"}])

(* Hook: what a leader does that hands nothing over. *)
TakeOtherRequest(i, c, m) == TakeEntryRequest(i, c, m)

(* [TR-1] A leader that hands over takes no requests. *)
TransferTakeClientRequest(i, c, m) ==
    IF m.request = "Transfer" THEN TakeTransfer(i, c, m)
    ELSE IF c.s.transfer # NoTransfer THEN Send(c, {NotLeader(i, m.src, m.sequence, Nil)})
    ELSE TakeOtherRequest(i, c, m)

TransferAfterHeartbeat(i, c) == SendTimeoutNowIfDue(i, c)
TransferAnswerCounted(i, c, m) == SendTimeoutNowIfDue(i, c)

(* Who steps down refers its client to the server that was to lead. *)
TransferResign(i, c) ==
    LET t == c.s.transfer
    IN  IF t = NoTransfer THEN c
        ELSE [Send(c, {NotLeader(i, t.client, t.sequence, t.to)}) EXCEPT
                !.s.transfer = NoTransfer, !.s.timers = @ \ {"Transfer"}]

TransferStarted(saved) == Restored(saved) @@ [transfer |-> NoTransfer]

HasAllOf(s, m) ==
    \/ LastTerm(s) > m.lastLogTerm
    \/ LastTerm(s) = m.lastLogTerm /\ LastIndex(s) >= m.lastLogIndex

(* [TR-4] The server stands for election without asking for pre-votes.  A request of another term,
   or to a server that lacks entries, does nothing. *)
HandleTimeoutNow(i, c, m) ==
    IF IsOfThisTerm(c.s, m) /\ c.s.role # "leader" /\ HasAllOf(c.s, m)
    THEN StartElection(i, c, TRUE)
    ELSE c

ReceiveTimeoutNow ==
    \E m \in messages :
        /\ m.type = "TimeoutNow"
        /\ Does(m.dst, HandleTimeoutNow(m.dst, UpdateTerm(m.dst, Call(m.dst), m.term), m))

(* [TR-3] The leader gives the transfer up. *)
AbortTransfer(i, c) ==
    LET t == c.s.transfer
    IN  IF t = NoTransfer THEN c
        ELSE Send([c EXCEPT !.s.transfer = NoTransfer],
                  {TransferEnded(i, t.client, t.sequence, "TimedOut")})

TransferTimeout ==
    \E i \in Server :
        /\ "Transfer" \in server[i].timers
        /\ Does(i, AbortTransfer(i, Fired(i, "Transfer")))

TransferNext == Next \/ ReceiveTimeoutNow \/ TransferTimeout
TransferSpec == Init /\ [][TransferNext]_vars
=============================================================================

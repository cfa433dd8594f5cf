------------------------------ MODULE Stories -------------------------------
(* First states in the middle of a story.  All messages of the time before are lost. *)
EXTENDS Properties

NoopOf(term) == [term |-> term, kind |-> "noop"]

(* A server in some term that voted for somebody. *)
InTerm(term, vote, log) ==
    [Started(Nothing) EXCEPT !.currentTerm = term, !.votedFor = vote, !.log = log]
Following(s, leader) == [s EXCEPT !.leader = leader]
Leading(s, next) ==
    [s EXCEPT !.role = "leader", !.timers = {"Heartbeat"}, !.nextIndex = next]

Init3(s0, s1, s2) ==
    /\ server = (0 :> s0 @@ 1 :> s1 @@ 2 :> s2)
    /\ client = [c \in Client |-> FirstState(c)]
    /\ messages = UNION {Requests(c, FirstState(c)) : c \in Client}

(* (c) of Figure 8 with three servers.  S0 led term 1 and S1 led term 2, each with a no-op that no
   other server had.  S0 leads term 3 with the vote of S2, which has the no-op of term 1. *)
Figure8Init ==
    Init3(Leading(InTerm(3, 0, <<NoopOf(1), NoopOf(3)>>), (0 :> 0 @@ 1 :> 2 @@ 2 :> 1)),
          Leading(InTerm(2, 1, <<NoopOf(2)>>), (0 :> 1 @@ 1 :> 0 @@ 2 :> 1)),
          Following(InTerm(3, 0, <<NoopOf(1)>>), 0))
Figure8Spec == Figure8Init /\ [][Next]_vars

(* S0 leads term 1 of three servers and has committed its no-op, which S1 has and S2 lacks. *)
CommittedInit ==
    Init3([Leading(InTerm(1, 0, <<NoopOf(1)>>), (0 :> 0 @@ 1 :> 2 @@ 2 :> 1)) EXCEPT
              !.matchIndex = (0 :> 0 @@ 1 :> 1 @@ 2 :> 0), !.commitIndex = 1, !.lastApplied = 1],
          Following(InTerm(1, 0, <<NoopOf(1)>>), 0),
          InTerm(0, Nil, <<>>))
CommittedSpec == CommittedInit /\ [][Next]_vars

(* S1 leads term 2 of three servers.  It has committed a no-op of each term, which S0 has, too.  S2
   lacks both. *)
BehindInit ==
    LET log == <<NoopOf(1), NoopOf(2)>>
    IN  Init3(Following([InTerm(2, 1, log) EXCEPT !.commitIndex = 1, !.lastApplied = 1], 1),
              [Leading(InTerm(2, 1, log), (0 :> 3 @@ 1 :> 0 @@ 2 :> 1)) EXCEPT
                  !.matchIndex = (0 :> 2 @@ 1 :> 0 @@ 2 :> 0),
                  !.commitIndex = 2, !.lastApplied = 2],
              InTerm(1, Nil, <<>>))
BehindSpec == BehindInit /\ [][Next]_vars
=============================================================================

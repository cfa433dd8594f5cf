-------------------------------- MODULE Read --------------------------------
EXTENDS Clients, Stories, RaftRead

(* S0 leads term 1 of three servers and does not know that S1 leads term 2 with the vote of S2.
   The no-op of S0 and the session of the client, entry 2, are committed. *)
Session ==
    [term |-> 1, kind |-> "register", client |-> 3, sequence |-> 1, maxSessions |-> MaxSessions]
Applied2(s) ==
    [s EXCEPT !.commitIndex = 2, !.lastApplied = 2,
              !.sessions = (2 :> [lastUsed |-> 2, sequence |-> 0, response |-> <<>>])]
DeposedInit ==
    LET log == <<NoopOf(1), Session>>
        longer == log \o <<NoopOf(2)>>
        s0 == [Leading(InTerm(1, 0, log), (0 :> 0 @@ 1 :> 3 @@ 2 :> 3)) EXCEPT
                 !.matchIndex = (0 :> 0 @@ 1 :> 2 @@ 2 :> 2)]
        s1 == Leading(InTerm(2, 1, longer), (0 :> 3 @@ 1 :> 0 @@ 2 :> 3))
        c == [FirstState(3) EXCEPT !.session = 2, !.sequence = 2]
        Applied1(s) == [s EXCEPT !.commitIndex = 1, !.lastApplied = 1]
    IN  /\ server = (0 :> Applied2(s0) @@ 1 :> Applied1(s1) @@ 2 :> Applied1(InTerm(2, 1, log)))
        /\ client = (3 :> c)
        /\ messages = {}
DeposedSpec == DeposedInit /\ [][Next]_vars

(* A bug: a read waits for no round. *)
EveryRoundIsConfirmed(i, s) == s.round + 1
=============================================================================

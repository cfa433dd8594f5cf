------------------------------ MODULE PreVote -------------------------------
EXTENDS Clients, Properties, RaftPreVote

(* A bug: a candidate counts a pre-vote as a vote. *)
CountsPreVotes(i, c, m) ==
    IF m.preVoteGranted /\ c.s.role = "candidate" /\ m.nextTerm = c.s.currentTerm
    THEN BecomeLeaderIfElected(i, [c EXCEPT !.s.votesGranted = CountVote(@, m.src)])
    ELSE IF IsAboutNextTerm(c.s, m) /\ m.preVoteGranted /\ c.s.role = "precandidate"
    THEN StandIfWelcome(i, [c EXCEPT !.s.preVotesGranted = @ \cup {m.src}])
    ELSE c
=============================================================================

---------------------------- MODULE RaftPreVote -----------------------------
(***************************************************************************)
(* Elections that do not disturb a leader that works: pre-vote (thesis     *)
(* 9.6), stickiness (4.2.3) and check-quorum (6.2).                        *)
(*                                                                         *)
(* A server has three more fields:                                         *)
(*   preVotesGranted   of the role "precandidate", else {}                 *)
(*   isSticky          whether a follower has heard from its leader within *)
(*                     the minimum election timeout                        *)
(*   heard             for a leader, who has answered since it last looked *)
(* There is the timer "Stickiness".  A leader that checks its quorum has   *)
(* the timer "Election", too.                                              *)
(***************************************************************************)
EXTENDS Raft

CONSTANTS PreVotes, Stickiness, CheckQuorum \* which of the three rules are on

(* A pre-candidate, a follower that was sticky and a leader give that up with their role. *)
PreVoteResign(i, c) ==
    [c EXCEPT !.s.preVotesGranted = {}, !.s.isSticky = FALSE, !.s.heard = {},
              !.s.timers = @ \ {"Stickiness"}]

PreVoteStarted(saved) ==
    Restored(saved) @@ [preVotesGranted |-> {}, isSticky |-> FALSE, heard |-> {}]

(* [PV-3] A majority would vote for the server: it stands for election. *)
StandIfWelcome(i, c) ==
    IF c.s.role = "precandidate" /\ IsQuorum(c.s.preVotesGranted)
    THEN StartElection(i, c, FALSE) ELSE c

(* [PV-1] A server asks a majority before it begins a term. *)
StartPreVote(i, c) ==
    LET asks == [Resign(i, c) EXCEPT !.s.role = "precandidate",
                                     !.s.leader = Nil,
                                     !.s.votesGranted = {},
                                     !.s.preVotesGranted = {i},
                                     !.s.timers = @ \cup {"Election"}]
        Question(j) == [type |-> "PreVote", src |-> i, dst |-> j,
                        nextTerm |-> c.s.currentTerm + 1,
                        lastLogIndex |-> LastIndex(c.s), lastLogTerm |-> LastTerm(c.s)]
    IN  StandIfWelcome(i, Send(asks, {Question(j) : j \in Others(i)}))

PreVoteCampaign(i, c) == IF PreVotes THEN StartPreVote(i, c) ELSE StartElection(i, c, FALSE)

(* [STICK-1] Who leads, or has just heard from its leader, ignores requests for its vote. *)
IsSticky(s) == s.isSticky \/ (s.role = "leader" /\ Stickiness)
PreVoteIgnores(s, m) == IsSticky(s)

PreVoteHeardFromLeader(i, c) ==
    IF Stickiness THEN [c EXCEPT !.s.isSticky = TRUE, !.s.timers = @ \cup {"Stickiness"}] ELSE c

StickinessTimeout ==
    \E i \in Server :
        /\ "Stickiness" \in server[i].timers
        /\ Does(i, [Fired(i, "Stickiness") EXCEPT !.s.isSticky = FALSE])

(* [PV-2] A server grants a pre-vote if it would grant the vote.  It changes nothing of its own,
   and adopts no term. *)
WouldVote(s, m) == m.nextTerm > s.currentTerm /\ IsUpToDate(s, m) /\ ~IsSticky(s)
HandlePreVote(i, c, m) ==
    Send(c, {[type |-> "PreVoteResponse", src |-> i, dst |-> m.src, term |-> c.s.currentTerm,
              nextTerm |-> m.nextTerm, preVoteGranted |-> WouldVote(c.s, m)]})

ReceivePreVote ==
    \E m \in messages :
        /\ m.type = "PreVote"
        /\ Does(m.dst, HandlePreVote(m.dst, Call(m.dst), m))

(* A pre-vote counts only if it is about the term that would come next. *)
IsAboutNextTerm(s, m) == m.nextTerm = s.currentTerm + 1
HandlePreVoteResponse(i, c, m) ==
    IF IsAboutNextTerm(c.s, m) /\ m.preVoteGranted /\ c.s.role = "precandidate"
    THEN StandIfWelcome(i, [c EXCEPT !.s.preVotesGranted = @ \cup {m.src}])
    ELSE c

ReceivePreVoteResponse ==
    \E m \in messages :
        /\ m.type = "PreVoteResponse"
        /\ Does(m.dst, HandlePreVoteResponse(m.dst, UpdateTerm(m.dst, Call(m.dst), m.term), m))

(* A server that votes for another one ends its own pre-vote. *)
PreVoteGranted(i, c) ==
    IF c.s.role = "precandidate"
    THEN [c EXCEPT !.s.role = "follower", !.s.preVotesGranted = {}] ELSE c

(* [CQ-1] A leader that hears no majority for an election timeout steps down. *)
PreVoteElected(i, c) ==
    [c EXCEPT !.s.timers = IF CheckQuorum THEN @ \cup {"Election"} ELSE @ \ {"Election"}]
PreVoteAnswered(i, c, m) == IF CheckQuorum THEN [c EXCEPT !.s.heard = @ \cup {m.src}] ELSE c
LookForQuorum(i, c) ==
    IF IsQuorum({i} \cup c.s.heard)
    THEN [c EXCEPT !.s.heard = {}, !.s.timers = @ \cup {"Election"}]
    ELSE BecomeFollower(i, c, Nil)
PreVoteHandleElectionTimeout(i, c) ==
    IF c.s.role = "leader" THEN LookForQuorum(i, c) ELSE Campaign(i, c)

PreVoteNext == Next \/ StickinessTimeout \/ ReceivePreVote \/ ReceivePreVoteResponse
PreVoteSpec == Init /\ [][PreVoteNext]_vars
=============================================================================

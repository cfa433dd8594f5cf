----------------------------- MODULE Properties -----------------------------
(***************************************************************************)
(* What must hold: Figure 3 of the paper, and invariants that localise a   *)
(* bug.  All of them are about the state, or about one step.  The network  *)
(* keeps every message, so messages tell the history: who led which term,  *)
(* who voted for whom, and what was committed.                             *)
(***************************************************************************)
EXTENDS Raft

Sent(type) == {m \in messages : m.type = type}
Leads(i) == server[i].role = "leader"

-----------------------------------------------------------------------------
(* FIGURE 3 *)

(* "at most one leader can be elected in a given term".  Every leader sends AppendEntries, so this
   is about all leaders that ever were. *)
Elections ==
    {<<m.term, m.src>> : m \in Sent("AppendEntries")}
    \cup {<<server[i].currentTerm, i>> : i \in {i \in Server : Leads(i)}}
ElectionSafety == \A e, f \in Elections : e[1] = f[1] => e[2] = f[2]

(* "a leader never overwrites or deletes entries in its log; it only appends new entries" *)
Keeps(s, next) ==
    /\ LastIndex(next) >= LastIndex(s)
    /\ \A k \in Indexes(s) \cap Indexes(next) : EntryAt(next, k) = EntryAt(s, k)
LeaderAppendOnly ==
    [][\A i \in Server :
        (/\ Leads(i) /\ server'[i].role = "leader"
         /\ server'[i].currentTerm = server[i].currentTerm)
        => Keeps(server[i], server'[i])]_vars

(* "if two logs contain an entry with the same index and term, then the logs are identical in all
   entries up through the given index" *)
Agree(s, t, k) ==
    \A l \in Indexes(s) \cap Indexes(t) : l <= k => EntryAt(s, l) = EntryAt(t, l)
LogMatching ==
    \A i, j \in Server : i < j =>
        \A k \in Indexes(server[i]) \cap Indexes(server[j]) :
            TermAt(server[i], k) = TermAt(server[j], k) => Agree(server[i], server[j], k)

(* "if a log entry is committed in a given term, then that entry will be present in the logs of the
   leaders for all higher-numbered terms" *)
HasCommitted(s, t) ==
    LastIndex(s) >= t.commitIndex /\ Agree(s, t, t.commitIndex)
LeaderCompleteness ==
    \A i, j \in Server :
        Leads(i) /\ server[j].currentTerm <= server[i].currentTerm
        => HasCommitted(server[i], server[j])

(* "if a server has applied a log entry at a given index to its state machine, no other server will
   ever apply a different log entry for the same index" *)
Committed ==
    UNION {{<<k, EntryAt(server[i], k)>> :
                k \in {k \in Indexes(server[i]) : k <= server[i].commitIndex}} : i \in Server}
    \cup
    UNION {{<<m.prevLogIndex + l, m.entries[l]>> :
                l \in {l \in 1 .. Len(m.entries) : m.prevLogIndex + l <= m.leaderCommit}} :
           m \in Sent("AppendEntries")}
StateMachineSafety == \A a, b \in Committed : a[1] = b[1] => a[2] = b[2]

-----------------------------------------------------------------------------
(* VOTES *)

Votes ==
    {<<m.term, m.src, m.dst>> : m \in {m \in Sent("RequestVoteResponse") : m.voteGranted}}
    \cup {<<m.term, m.src, m.src>> : m \in Sent("RequestVote")}
    \cup {<<server[i].currentTerm, i, server[i].votedFor>> :
            i \in {i \in Server : server[i].votedFor # Nil}}
OneVotePerTerm == \A v, w \in Votes : v[1] = w[1] /\ v[2] = w[2] => v[3] = w[3]

(* A majority has voted for each leader. *)
LeadersWereElected ==
    \A i \in Server : Leads(i) =>
        IsQuorum({j \in Server : <<server[i].currentTerm, j, i>> \in Votes})

VotesCountedWereCast ==
    \A i \in Server : \A j \in server[i].votesGranted :
        \/ server[j].currentTerm > server[i].currentTerm
        \/ server[j].currentTerm = server[i].currentTerm /\ server[j].votedFor = i

VotesSuitTheRole ==
    \A i \in Server :
        IF server[i].role = "candidate"
        THEN server[i].votedFor = i /\ i \in server[i].votesGranted
        ELSE server[i].votesGranted = {}

(* A candidate holds no entry of its term, or somebody would lead that term already. *)
CandidateIsAheadOfItsLog ==
    \A i \in Server : server[i].role = "candidate" => LastTerm(server[i]) < server[i].currentTerm

WhoIsFollowedStood ==
    \A i \in Server : LET j == server[i].leader IN
        j # Nil =>
            /\ server[i].role = "follower"
            /\ server[j].currentTerm >= server[i].currentTerm
            /\ server[j].currentTerm = server[i].currentTerm => server[j].votedFor = j

-----------------------------------------------------------------------------
(* LOGS *)

LogsAreWellFormed ==
    \A i \in Server : \A k \in Indexes(server[i]) :
        /\ TermAt(server[i], k - 1) <= TermAt(server[i], k)
        /\ TermAt(server[i], k) <= server[i].currentTerm

LeaderHasAllEntriesOfItsTerm ==
    \A i, j \in Server : Leads(i) =>
        \A k \in IndexesOf(server[j], server[i].currentTerm) \cap
                 FirstIndex(server[i]) .. LastIndex(server[j]) :
            k <= LastIndex(server[i]) /\ EntryAt(server[i], k) = EntryAt(server[j], k)

IndexesAreOrdered ==
    \A i \in Server :
        /\ server[i].lastApplied = server[i].commitIndex
        /\ server[i].commitIndex <= LastIndex(server[i])

(* What a server takes for committed is in the logs of a majority. *)
CommittedIsDurable ==
    \A i \in Server :
        IsQuorum({j \in Server : HasCommitted(server[j], server[i])})

(* A log at least as up to date as another has what the other's server takes for committed. *)
UpToDateHasCommitted ==
    \A i, j \in Server :
        IsUpToDate(server[j], [lastLogTerm |-> LastTerm(server[i]),
                               lastLogIndex |-> LastIndex(server[i])])
        => HasCommitted(server[i], server[j])

-----------------------------------------------------------------------------
(* LEADERS AND THEIR FOLLOWERS *)

MatchIndexBelowNextIndex ==
    \A i \in Server : Leads(i) => \A j \in Others(i) :
        /\ server[i].matchIndex[j] < server[i].nextIndex[j]
        /\ server[i].nextIndex[j] <= LastIndex(server[i]) + 1

MatchIndexIsReplicated ==
    \A i \in Server : Leads(i) => \A j \in Others(i) :
        server[j].currentTerm = server[i].currentTerm =>
            LET match == server[i].matchIndex[j]
            IN  match <= LastIndex(server[j]) /\ Agree(server[i], server[j], match)

ProgressSuitsTheRole ==
    \A i \in Server : ~Leads(i) =>
        server[i].nextIndex = OfNobody /\ server[i].matchIndex = OfNobody

TimersSuitTheRole ==
    \A i \in Server :
        /\ Leads(i) <=> "Heartbeat" \in server[i].timers
        /\ ~Leads(i) => "Election" \in server[i].timers

-----------------------------------------------------------------------------
(* MESSAGES *)

OfServers == {m \in messages : m.src \in Server /\ m.type # "ClientResponse"}
CarryTerm == {m \in OfServers : m.type # "PreVote"}

(* What a server has sent rests on what it has saved. *)
SendsOnlyWhatIsDurable ==
    /\ \A m \in CarryTerm : m.term <= server[m.src].currentTerm
    /\ \A m \in Sent("RequestVoteResponse") :
          m.voteGranted /\ m.term = server[m.src].currentTerm => server[m.src].votedFor = m.dst
    /\ \A m \in Sent("AppendEntriesResponse") :
          m.outcome = "Match" /\ m.term = server[m.src].currentTerm
          => m.index <= LastIndex(server[m.src])

(* No message that a server will still accept contradicts what that server takes for committed. *)
NoCommittedEntryIsContested ==
    \A m \in Sent("AppendEntries") :
        LET s == server[m.dst]
            Said(k) == IF k = m.prevLogIndex THEN m.prevLogTerm
                       ELSE m.entries[k - m.prevLogIndex].term
        IN  m.term >= s.currentTerm =>
                \A k \in m.prevLogIndex .. m.prevLogIndex + Len(m.entries) :
                    k <= s.commitIndex /\ k >= FirstIndex(s) => TermAt(s, k) = Said(k)

-----------------------------------------------------------------------------
(* CLIENTS *)

(* The outcomes that clients saw agree with one order in which a store executes their commands.
   A command whose outcome is unknown, and one in flight, may have been executed or not.  No
   client can tell a store that executes a command twice from this one, unless an outcome does. *)
Outcomes(c) == client[c].outcomes
IsUncertain(c, k) ==
    \/ k > Len(Outcomes(c))
    \/ Outcomes(c)[k].kind \in {"unknown", "toolarge"}
Input(c, k) ==
    LET op == OperationsOf(c)[k]
    IN  IF op.kind = "query" THEN op.query ELSE op.command
Takes(c, k, machine) ==
    \/ IsUncertain(c, k)
    \/ Execute(machine, Input(c, k))[2] = Outcomes(c)[k].response
HasEffect(c, k) == OperationsOf(c)[k].kind = "command"
RECURSIVE InSomeOrder(_, _)
InSomeOrder(done, machine) ==
    \/ \A c \in Client : done[c] >= Len(Outcomes(c))
    \/ \E c \in Client :
          LET k == done[c] + 1
              more == [done EXCEPT ![c] = k]
          IN  /\ k <= Len(OperationsOf(c))
              /\ k <= Len(Outcomes(c)) + 1
              /\ \/ OperationsOf(c)[k].kind = "transfer" /\ InSomeOrder(more, machine)
                 \/ /\ HasEffect(c, k)
                    /\ Takes(c, k, machine)
                    /\ InSomeOrder(more, Execute(machine, Input(c, k))[1])
                 \/ /\ HasEffect(c, k) /\ IsUncertain(c, k)
                    /\ InSomeOrder(more, machine)
                 \/ /\ OperationsOf(c)[k].kind = "query"
                    /\ Takes(c, k, machine)
                    /\ InSomeOrder(more, machine)
ExactlyOnce == InSomeOrder([c \in Client |-> 0], "none")

-----------------------------------------------------------------------------
(* STEPS *)

IsRestart(i) == server'[i] = Started(Saved(server[i]))

DurableTermIsMonotone ==
    [][\A i \in Server : server'[i].currentTerm >= server[i].currentTerm]_vars
DurableVoteIsKept ==
    [][\A i \in Server :
        server'[i].currentTerm = server[i].currentTerm /\ server[i].votedFor # Nil
        => server'[i].votedFor = server[i].votedFor]_vars
CommitIndexIsMonotone ==
    [][\A i \in Server : server'[i].commitIndex >= server[i].commitIndex \/ IsRestart(i)]_vars
CommittedIsKept ==
    [][\A i \in Server : \A k \in Indexes(server[i]) \cap Indexes(server'[i]) :
        k <= server[i].commitIndex => EntryAt(server'[i], k) = EntryAt(server[i], k)]_vars
LeadsOn(i) ==
    /\ Leads(i) /\ server'[i].role = "leader"
    /\ server'[i].currentTerm = server[i].currentTerm
MatchIndexIsMonotone ==
    [][\A i \in Server : LeadsOn(i) =>
        \A j \in Others(i) : server'[i].matchIndex[j] >= server[i].matchIndex[j]]_vars
CommitsOnlyItsOwnTerm ==
    [][\A i \in Server : LeadsOn(i) /\ server'[i].commitIndex > server[i].commitIndex
        => TermAt(server'[i], server'[i].commitIndex) = server'[i].currentTerm]_vars
=============================================================================

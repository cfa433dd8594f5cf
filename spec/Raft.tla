-------------------------------- MODULE Raft --------------------------------
(***************************************************************************)
(* Raft, one action for each handler call.
   
   This module follows Figure 2 of the Raft paper ("In Search of an
   Understandable Consensus Algorithm", extended version).  Rule ids such
   as [AE-3] lead to README.md beside this file, which has a row for each
   rule and lists every departure from the paper.
   
   A server acts when it starts, when a message arrives and when a timer
   fires.  Each of these is one action here, because nothing leaves a
   server before its new state is saved [STORE].  A handler is an operator
   that maps a call to a call: a record of the server's state `s' and the
   messages `out' that it has sent so far.
   
   Modules for features extend this one.  They add fields to the state of
   a server, and put their definitions in the place of those below that
   are marked as hooks (`Hook <- Definition' in a configuration). *)
(***************************************************************************)
EXTENDS Integers, Sequences, FiniteSets, TLC

CONSTANTS
    N,                 \* the number of servers
    Operations,        \* for each client the sequence of its operations
    AskAll,            \* whether a client asks all servers at once
    Restarts,          \* whether servers restart
    MaxEntries,        \* most entries of one AppendEntries
    MaxSessions,       \* most open sessions [SES-5]
    MaxUncommitted,    \* most uncommitted entries of a leader [CLI-3]
    MaxCommandBytes,   \* the size of the largest command [CLI-2]
    DropCopies,        \* whether a leader drops copies that wait [CLI-4]
    MaxTerm,           \* bound: the highest term of a server
    MaxClientEntries   \* bound: most entries of clients in a log

Server == 0 .. N - 1
Client == N .. N + Len(Operations) - 1

-----------------------------------------------------------------------------
(* STATE *)

(* No server and no client: a vote not given, a leader not known.  It is a number because TLC
   cannot compare a number with a string. *)
Nil == -1

(* server[i] is the State box of Figure 2:
     currentTerm, votedFor, log   what survives a restart.  An entry has a `term' and a `kind':
                    "noop", "register" (client, sequence, maxSessions) or
                    "command" (client, session, sequence, command).
     commitIndex, lastApplied
     role           "follower", "candidate" or "leader"
     leader         whom a follower follows, or Nil
     votesGranted   of candidates, else {}
     nextIndex, matchIndex   of leaders, else all 0; a server's own entry is 0
     sessions       session -> [lastUsed, sequence, response], the table of thesis 6.3;
                    `sequence' is 0 until a command of the session has been applied
     machine        the value of the only key, or "none"
     timers         the armed ones of "Election" and "Heartbeat" *)
VARIABLE server

(* client[c], for the one operation at a time that is in flight:
     target         the server that it asks now
     turn           the last server that was asked because it was its turn, and not for a hint
     session        the session's id, or 0
     sequence       the number of the request
     outcomes       how its operations ended; the next one is in flight
     timers         {"Retry"} while an operation is in flight *)
VARIABLE client

(* Every message that was ever sent.  The network may deliver each any number of times, at any
   time, or never.  So loss, duplication and reordering need no actions. *)
VARIABLE messages

vars == <<server, client, messages>>

-----------------------------------------------------------------------------
(* HELPERS *)

Min(S) == CHOOSE x \in S : \A y \in S : x <= y
Max(S) == CHOOSE x \in S : \A y \in S : x >= y

IsQuorum(S) == 2 * Cardinality(S) > N
Others(i) == Server \ {i}
OfNobody == [j \in Server |-> 0]

(* The log as a sequence of positions.  Hooks: RaftSnapshot has logs that start later. *)
FirstIndex(s) == 1
LastIndex(s) == Len(s.log)
EntryAt(s, k) == s.log[k]
TermAt(s, k) == IF k = 0 THEN 0 ELSE IF k <= Len(s.log) THEN s.log[k].term ELSE Nil
UpTo(s, k) == SubSeq(s.log, 1, k)
FromTo(s, k, l) == SubSeq(s.log, k, l)

LastTerm(s) == TermAt(s, LastIndex(s))
Indexes(s) == FirstIndex(s) .. LastIndex(s)
IndexesOf(s, term) == {k \in Indexes(s) : TermAt(s, k) = term}

Send(c, ms) == [c EXCEPT !.out = @ \cup ms]

-----------------------------------------------------------------------------
(* ROLES *)

(* Hooks: what a feature gives up when a server leaves a role, and what it does when a server
   hears from its leader. *)
Resign(i, c) == c
HeardFromLeader(i, c) == c

(* The server follows `leader', or nobody yet.  The vote of the term is kept: only a new term
   frees it. *)
BecomeFollower(i, c, leader) ==
    [Resign(i, c) EXCEPT
        !.s.role = "follower",
        !.s.leader = leader,
        !.s.votesGranted = {},
        !.s.nextIndex = OfNobody,
        !.s.matchIndex = OfNobody,
        !.s.timers = (@ \ {"Heartbeat"}) \cup {"Election"}]

(* Hook: what a server forgets when a term begins. *)
BeginTerm(s) == s

(* [ALL-2] A later term in any RPC or response: adopt it, convert to follower. *)
UpdateTerm(i, c, term) ==
    IF term > c.s.currentTerm
    THEN LET s == [BeginTerm(c.s) EXCEPT !.currentTerm = term, !.votedFor = Nil]
         IN  BecomeFollower(i, [c EXCEPT !.s = s], Nil)
    ELSE c

-----------------------------------------------------------------------------
(* APPLYING ENTRIES: SESSIONS (THESIS 6.3) AND THE STATE MACHINE *)

(* A store of one key: the state after a command, and the response. *)
Execute(machine, command) ==
    CASE command[1] = "Put" -> <<command[2], <<"Done">>>>
      [] command[1] = "Get" -> <<machine, <<"Value", machine>>>>
      [] command[1] = "Delete" -> <<"none", <<"Done">>>>
      [] command[1] = "Cas" -> IF machine = command[2]
                               THEN <<command[3], <<"Done">>>>
                               ELSE <<machine, <<"Mismatch", machine>>>>

With(sessions, id, record) ==
    [x \in DOMAIN sessions \cup {id} |-> IF x = id THEN record ELSE sessions[x]]

(* [SES-5] The sessions used last stay, one less than the limit of the entry. *)
Kept(sessions, limit) ==
    LET UsedLater(x) == {y \in DOMAIN sessions : sessions[y].lastUsed > sessions[x].lastUsed}
        stay == {x \in DOMAIN sessions : Cardinality(UsedLater(x)) < limit - 1}
    IN  [x \in stay |-> sessions[x]]

(* What a server tells a client. *)
Registered(i, c, sequence, session) ==
    [type |-> "ClientResponse", src |-> i, dst |-> c, sequence |-> sequence,
     answer |-> "Registered", session |-> session]
Applied(i, c, sequence, response) ==
    [type |-> "ClientResponse", src |-> i, dst |-> c, sequence |-> sequence,
     answer |-> "Applied", response |-> response]
SessionExpired(i, c, sequence) ==
    [type |-> "ClientResponse", src |-> i, dst |-> c, sequence |-> sequence,
     answer |-> "SessionExpired"]
NotLeader(i, c, sequence, leader) ==
    [type |-> "ClientResponse", src |-> i, dst |-> c, sequence |-> sequence,
     answer |-> "NotLeader", leader |-> leader]
TooLarge(i, c, sequence) ==
    [type |-> "ClientResponse", src |-> i, dst |-> c, sequence |-> sequence,
     answer |-> "TooLarge", limit |-> MaxCommandBytes]

(* The result of an entry: sessions, machine, and at most one answer. *)
Result(sessions, machine, answers) ==
    [sessions |-> sessions, machine |-> machine, answers |-> answers]

(* [SES-1] A session is opened by an entry, and is the index of that entry. *)
ApplyRegister(i, s, k, entry) ==
    Result(With(Kept(s.sessions, entry.maxSessions), k,
                [lastUsed |-> k, sequence |-> 0, response |-> <<>>]),
           s.machine,
           {Registered(i, entry.client, entry.sequence, k)})

(* A command whose number is later than the last one of its session is executed. *)
ApplyNew(i, s, k, entry) ==
    LET done == Execute(s.machine, entry.command)
    IN  Result(With(s.sessions, entry.session,
                    [lastUsed |-> k, sequence |-> entry.sequence, response |-> done[2]]),
               done[1],
               {Applied(i, entry.client, entry.sequence, done[2])})

(* [SES-4] The last command of a session is answered again. *)
ApplyAgain(i, s, k, entry) ==
    LET record == s.sessions[entry.session]
    IN  Result(With(s.sessions, entry.session, [record EXCEPT !.lastUsed = k]),
               s.machine,
               {Applied(i, entry.client, entry.sequence, record.response)})

(* [SES-3] An old number is ignored. *)
ApplyOld(i, s, k, entry) ==
    LET record == s.sessions[entry.session]
    IN  Result(With(s.sessions, entry.session, [record EXCEPT !.lastUsed = k]), s.machine, {})

(* [SES-2] A command of an unknown session is never applied. *)
ApplyUnknown(i, s, k, entry) ==
    Result(s.sessions, s.machine, {SessionExpired(i, entry.client, entry.sequence)})

ApplyCommand(i, s, k, entry) ==
    IF entry.session \notin DOMAIN s.sessions THEN ApplyUnknown(i, s, k, entry)
    ELSE LET last == s.sessions[entry.session].sequence
         IN  CASE entry.sequence > last -> ApplyNew(i, s, k, entry)
               [] entry.sequence = last -> ApplyAgain(i, s, k, entry)
               [] entry.sequence < last -> ApplyOld(i, s, k, entry)

ApplyEntry(i, s, k, entry) ==
    CASE entry.kind = "noop" -> Result(s.sessions, s.machine, {})
      [] entry.kind = "register" -> ApplyRegister(i, s, k, entry)
      [] entry.kind = "command" -> ApplyCommand(i, s, k, entry)

(* Hook: what a server does when it has applied all committed entries. *)
AllApplied(i, c) == c

(* [ALL-1] commitIndex > lastApplied: apply log[lastApplied].  [LDR-2] The leader that appended
   the entry responds after it is applied.  A leader of a later term says nothing. *)
RECURSIVE ApplyCommitted(_, _)
ApplyCommitted(i, c) ==
    IF c.s.lastApplied >= c.s.commitIndex
    THEN AllApplied(i, c)
    ELSE LET k == c.s.lastApplied + 1
             entry == EntryAt(c.s, k)
             result == ApplyEntry(i, c.s, k, entry)
             mine == c.s.role = "leader" /\ entry.term = c.s.currentTerm
         IN  ApplyCommitted(i,
                [s |-> [c.s EXCEPT !.lastApplied = k,
                                   !.sessions = result.sessions,
                                   !.machine = result.machine],
                 out |-> c.out \cup IF mine THEN result.answers ELSE {}])

-----------------------------------------------------------------------------
(* LEADERS *)

(* Hook: a field that a feature adds to AppendEntries or to its answer. *)
Stamped(s, m) == m
StampedAs(request, m) == m

RequestAfter(i, s, j, prev, prevTerm, entries) ==
    Stamped(s, [type |-> "AppendEntries", src |-> i, dst |-> j,
                term |-> s.currentTerm,
                prevLogIndex |-> prev,
                prevLogTerm |-> prevTerm,
                entries |-> entries,
                leaderCommit |-> s.commitIndex])
AppendEntriesRequest(i, s, j, prev, entries) ==
    RequestAfter(i, s, j, prev, TermAt(s, prev), entries)

(* [LDR-3] The entries from nextIndex on that fit one message. *)
EntriesFor(s, j) ==
    LET next == s.nextIndex[j]
    IN  FromTo(s, next, Min({LastIndex(s), next + MaxEntries - 1}))

(* Hook: what a leader notes when it sends a follower these entries. *)
NoteSent(s, j, entries) == s

SendEntries(i, c, j) ==
    LET entries == EntriesFor(c.s, j)
        noted == [c EXCEPT !.s = NoteSent(@, j, entries)]
    IN  Send(noted, {AppendEntriesRequest(i, c.s, j, c.s.nextIndex[j] - 1, entries)})

(* Hooks: what a follower that lacks entries is sent, and what at each heartbeat. *)
AppendEntries(i, c, j) == SendEntries(i, c, j)
HeartbeatTo(i, c, j) == AppendEntries(i, c, j)

(* Hooks: what stands behind the heartbeats, and which followers wait for no answer. *)
AfterHeartbeat(i, c) == c
AwaitsAnswer(s, j) == FALSE

RECURSIVE AppendEntriesToAll(_, _, _)
AppendEntriesToAll(i, c, js) ==
    IF js = {} THEN c
    ELSE LET j == Min(js) IN AppendEntriesToAll(i, AppendEntries(i, c, j), js \ {j})
RECURSIVE HeartbeatToAll(_, _, _)
HeartbeatToAll(i, c, js) ==
    IF js = {} THEN c
    ELSE LET j == Min(js) IN HeartbeatToAll(i, HeartbeatTo(i, c, j), js \ {j})

(* [LDR-1] Heartbeats upon election and in idle periods. *)
Heartbeat(i, c) ==
    AfterHeartbeat(i, HeartbeatToAll(i, [c EXCEPT !.s.timers = @ \cup {"Heartbeat"}], Others(i)))

(* [LDR-4] There is an N > commitIndex that a majority holds, and log[N].term is the current
   term: commit the greatest. *)
IsCommittable(s, k) == TermAt(s, k) = s.currentTerm
AdvanceCommitIndex(i, c) ==
    LET s == c.s
        Holders(k) == {i} \cup {j \in Others(i) : s.matchIndex[j] >= k}
        agreed == {k \in s.commitIndex + 1 .. LastIndex(s) :
                      IsQuorum(Holders(k)) /\ IsCommittable(s, k)}
    IN  IF agreed = {} THEN c
        ELSE ApplyCommitted(i, [c EXCEPT !.s.commitIndex = Max(agreed)])

Append1(c, entry) == [c EXCEPT !.s.log = Append(@, entry)]

(* Hook: what a feature does when a server takes a majority of votes. *)
Elected(i, c) == [c EXCEPT !.s.timers = @ \ {"Election"}]

(* [CAN-2] Votes from a majority: become leader.  [NOOP] The term begins with a no-op (section
   8).  nextIndex starts after the last entry before that. *)
BecomeLeaderIfElected(i, c) ==
    IF c.s.role # "candidate" \/ ~IsQuorum(c.s.votesGranted) THEN c
    ELSE LET next == LastIndex(c.s) + 1
             leads == [c EXCEPT !.s.role = "leader",
                                !.s.votesGranted = {},
                                !.s.nextIndex = [j \in Server |-> IF j = i THEN 0 ELSE next]]
             noop == [term |-> c.s.currentTerm, kind |-> "noop"]
         IN  AdvanceCommitIndex(i, Heartbeat(i, Append1(Elected(i, leads), noop)))

-----------------------------------------------------------------------------
(* REQUESTVOTE RPC, AND CANDIDATES *)

(* Hook: the arguments of a RequestVote; `wanted' says that the leader wants this election. *)
RequestVoteRequest(i, s, j, wanted) ==
    [type |-> "RequestVote", src |-> i, dst |-> j,
     term |-> s.currentTerm,
     lastLogIndex |-> LastIndex(s),
     lastLogTerm |-> LastTerm(s)]

(* [CAN-1] Increment currentTerm, vote for self, reset election timer, send RequestVote to all. *)
StartElection(i, c, wanted) ==
    LET begins == [Resign(i, c) EXCEPT !.s = BeginTerm(@)]
        stands == [begins EXCEPT !.s.currentTerm = @ + 1,
                                 !.s.votedFor = i,
                                 !.s.role = "candidate",
                                 !.s.leader = Nil,
                                 !.s.votesGranted = {i},
                                 !.s.timers = @ \cup {"Election"}]
        asked == {RequestVoteRequest(i, stands.s, j, wanted) : j \in Others(i)}
    IN  BecomeLeaderIfElected(i, Send(stands, asked))

(* Hook: what a server does when it has heard of no leader for an election timeout. *)
Campaign(i, c) == StartElection(i, c, FALSE)

(* "Up-to-date" (section 5.4.1): the later last term wins, then the longer log. *)
IsUpToDate(s, m) ==
    \/ m.lastLogTerm > LastTerm(s)
    \/ m.lastLogTerm = LastTerm(s) /\ m.lastLogIndex >= LastIndex(s)

(* Whether a server's vote in this term can still go to this candidate. *)
HasVoteFor(s, candidate) == s.votedFor \in {Nil, candidate}

(* Hook: what a server does when it grants its vote. *)
Granted(i, c) == c

(* [RV-1] Reply false if term < currentTerm.  [RV-2] votedFor free and log up-to-date: grant. *)
HandleRequestVote(i, c, m) ==
    LET granted == /\ m.term = c.s.currentTerm
                   /\ HasVoteFor(c.s, m.src)
                   /\ IsUpToDate(c.s, m)
        answer == [type |-> "RequestVoteResponse", src |-> i, dst |-> m.src,
                   term |-> c.s.currentTerm, voteGranted |-> granted]
        voted == IF granted
                 THEN Granted(i, [c EXCEPT !.s.votedFor = m.src,
                                           !.s.timers = @ \cup {"Election"}])
                 ELSE c
    IN  Send(voted, {answer})

(* A reply counts only in the term it was given in. *)
IsOfThisTerm(s, m) == m.term = s.currentTerm

(* The votes of a candidate: a set, so a duplicated reply counts once. *)
CountVote(votes, voter) == votes \cup {voter}

HandleRequestVoteResponse(i, c, m) ==
    IF IsOfThisTerm(c.s, m) /\ m.voteGranted /\ c.s.role = "candidate"
    THEN BecomeLeaderIfElected(i, [c EXCEPT !.s.votesGranted = CountVote(@, m.src)])
    ELSE c

-----------------------------------------------------------------------------
(* APPENDENTRIES RPC *)

(* Figure 2's `success', with the facts that the leader needs to act on it. *)
Match(i, c, m, index) ==
    Send(c, {StampedAs(m, [type |-> "AppendEntriesResponse", src |-> i, dst |-> m.src,
                           term |-> c.s.currentTerm, outcome |-> "Match", index |-> index])})
StaleTerm(i, c, m) ==
    Send(c, {StampedAs(m, [type |-> "AppendEntriesResponse", src |-> i, dst |-> m.src,
                           term |-> c.s.currentTerm, outcome |-> "StaleTerm"])})

(* The hint of section 5.3: the term of the conflicting entry and the first index of that term.
   A log that is too short names the index after its last one, and no term. *)
Conflict(i, c, m) ==
    LET prev == m.prevLogIndex
        term == TermAt(c.s, prev)
        isShort == term = Nil
    IN  Send(c, {StampedAs(m,
            [type |-> "AppendEntriesResponse", src |-> i, dst |-> m.src,
             term |-> c.s.currentTerm, outcome |-> "Conflict", prevLogIndex |-> prev,
             conflictTerm |-> IF isShort THEN 0 ELSE term,
             conflictIndex |-> IF isShort THEN LastIndex(c.s) + 1
                               ELSE Min(IndexesOf(c.s, term) \cup {prev})])})

(* [AE-2] The log has the entry before the new ones. *)
Connects(s, m) == TermAt(s, m.prevLogIndex) = m.prevLogTerm

(* [AE-3] An entry that conflicts goes with all that follow it.  [AE-4] New entries are appended.
   Without a conflict nothing goes: an old, short request may come late. *)
Merged(s, prev, entries) ==
    LET last == prev + Len(entries)
        isNew == last > LastIndex(s)
        conflicts == \E k \in prev + 1 .. Min({last, LastIndex(s)}) :
                        TermAt(s, k) # entries[k - prev].term
    IN  IF isNew \/ conflicts THEN UpTo(s, prev) \o entries ELSE s.log

(* [AE-5] commitIndex = min(leaderCommit, index of last new entry), and it never decreases. *)
CommitIndexOf(s, m, lastNew) == Max({s.commitIndex, Min({m.leaderCommit, lastNew})})

TakeEntries(i, c, m) ==
    LET lastNew == m.prevLogIndex + Len(m.entries)
        longer == [c EXCEPT !.s.log = Merged(c.s, m.prevLogIndex, m.entries)]
        told == [longer EXCEPT !.s.commitIndex = CommitIndexOf(longer.s, m, lastNew)]
    IN  IF Connects(c.s, m) THEN Match(i, ApplyCommitted(i, told), m, lastNew)
        ELSE Conflict(i, c, m)

(* Hook: the part of a request that is about entries which the log still holds. *)
TakeRequest(i, c, m) == TakeEntries(i, c, m)

(* [AE-1] Whether the leader's term has passed. *)
IsStale(s, m) == m.term < s.currentTerm

(* [CAN-3] AppendEntries from the new leader: convert to follower.  A leader hears no other
   leader of its term, by Election Safety. *)
HandleAppendEntries(i, c, m) ==
    CASE IsStale(c.s, m) -> StaleTerm(i, c, m)
      [] ~IsStale(c.s, m) /\ c.s.role = "leader" -> c
      [] OTHER -> TakeRequest(i, HeardFromLeader(i, BecomeFollower(i, c, m.src)), m)

(* Hook: what else a leader notes when more of a follower's log matches. *)
Arrived(s, j, index) == s

(* [LDR-3a] If successful: update nextIndex and matchIndex.  A success never lowers them.  The
   rest of the log follows at once. *)
IsNews(s, m) == s.matchIndex[m.src] < m.index /\ m.index <= LastIndex(s)
HandleMatch(i, c, m) ==
    IF ~IsNews(c.s, m) THEN c
    ELSE LET next == Max({c.s.nextIndex[m.src], m.index + 1})
             known == [c.s EXCEPT !.matchIndex[m.src] = m.index, !.nextIndex[m.src] = next]
             moved == [c EXCEPT !.s = Arrived(known, m.src, m.index)]
             done == AdvanceCommitIndex(i, moved)
         IN  IF next <= LastIndex(c.s) /\ ~AwaitsAnswer(moved.s, m.src)
             THEN AppendEntries(i, done, m.src)
             ELSE done

(* [LDR-3b] If it fails because of log inconsistency: decrement nextIndex and retry.  It goes
   back as far as the hint allows, and never to what is known to match.  An answer about another
   position than the one before nextIndex is old. *)
GoBack(i, c, m) ==
    LET next == c.s.nextIndex[m.src]
        match == c.s.matchIndex[m.src]
        same == IndexesOf(c.s, m.conflictTerm)
        hint == IF same = {} THEN m.conflictIndex ELSE Max(same) + 1
        back == Max({match + 1, Min({hint, next - 1})})
    IN  IF m.prevLogIndex # next - 1 \/ next <= match + 1 THEN c
        ELSE AppendEntries(i, [c EXCEPT !.s.nextIndex[m.src] = back], m.src)

(* Hook: what else a conflict may say. *)
HandleConflict(i, c, m) == GoBack(i, c, m)

(* Hooks: what every answer of the term tells a leader, before and after its outcome counts. *)
Answered(i, c, m) == c
AnswerCounted(i, c, m) == c

HandleOutcome(i, c, m) ==
    CASE m.outcome = "Match" -> HandleMatch(i, c, m)
      [] m.outcome = "Conflict" -> HandleConflict(i, c, m)
      [] OTHER -> c

HandleAppendEntriesResponse(i, c, m) ==
    IF IsOfThisTerm(c.s, m) /\ c.s.role = "leader"
    THEN AnswerCounted(i, HandleOutcome(i, Answered(i, c, m), m), m)
    ELSE c

-----------------------------------------------------------------------------
(* CLIENTS (SECTION 8, THESIS 6.3), ON THE SERVERS *)

(* The entry that a request asks for. *)
EntryOf(s, m) ==
    IF m.request = "Register"
    THEN [term |-> s.currentTerm, kind |-> "register", client |-> m.src,
          sequence |-> m.sequence, maxSessions |-> MaxSessions]
    ELSE [term |-> s.currentTerm, kind |-> "command", client |-> m.src,
          session |-> m.session, sequence |-> m.sequence, command |-> m.command]

(* The bytes of a command: its kind, and the length and the bytes of key and value.  The key has
   one byte. *)
Bytes(command) ==
    CASE command[1] = "Put" -> 4 + Len(command[2])
      [] command[1] = "Cas" -> 5 + Len(command[3]) +
                               IF command[2] = "none" THEN 0 ELSE 1 + Len(command[2])
      [] OTHER -> 3

IsTooLarge(m) == m.request = "Command" /\ Bytes(m.command) > MaxCommandBytes

(* [CLI-4] The same request stands uncommitted in the log. *)
IsPending(s, entry) ==
    \E k \in s.commitIndex + 1 .. LastIndex(s) : EntryAt(s, k) = entry

(* Hook: whether a snapshot is on its way to a follower. *)
IsSending(s, j) == FALSE

(* [LDR-2] Append the entry.  A follower that lacks nothing else gets it at once.  To the others
   an AppendEntries is on its way. *)
AppendClientEntry(i, c, entry) ==
    LET longer == Append1(c, entry)
        Lacks(j) == longer.s.nextIndex[j] = LastIndex(longer.s) /\ ~IsSending(longer.s, j)
    IN  AdvanceCommitIndex(i, AppendEntriesToAll(i, longer, {j \in Others(i) : Lacks(j)}))

(* [CLI-2] A command that is too large is refused.  [CLI-3] A leader that cannot commit takes only
   so much. *)
TakeEntryRequest(i, c, m) ==
    LET entry == EntryOf(c.s, m)
        isFull == LastIndex(c.s) - c.s.commitIndex >= MaxUncommitted
        isCopy == DropCopies /\ IsPending(c.s, entry)
    IN  IF IsTooLarge(m) THEN Send(c, {TooLarge(i, m.src, m.sequence)})
        ELSE IF isFull \/ isCopy THEN c
        ELSE AppendClientEntry(i, c, entry)

(* Hook: what a leader does with a request of a client. *)
TakeClientRequest(i, c, m) == TakeEntryRequest(i, c, m)

(* [CLI-1] Who does not lead says who does. *)
HandleClientRequest(i, c, m) ==
    IF c.s.role = "leader" THEN TakeClientRequest(i, c, m)
    ELSE Send(c, {NotLeader(i, m.src, m.sequence, c.s.leader)})

-----------------------------------------------------------------------------
(* CLIENTS THEMSELVES *)

OperationsOf(c) == Operations[c - N + 1]
IsBusy(c, s) == Len(s.outcomes) < Len(OperationsOf(c))
InFlight(c, s) == OperationsOf(c)[Len(s.outcomes) + 1]

(* What a client asks a server.  The first request for a command opens a session. *)
RequestTo(c, s, i) ==
    LET op == InFlight(c, s)
    IN  CASE op.kind = "command" /\ s.session = 0 ->
                [type |-> "ClientRequest", src |-> c, dst |-> i, sequence |-> s.sequence,
                 request |-> "Register"]
          [] op.kind = "command" /\ s.session # 0 ->
                [type |-> "ClientRequest", src |-> c, dst |-> i, sequence |-> s.sequence,
                 request |-> "Command", session |-> s.session, command |-> op.command]
          [] op.kind = "query" ->
                [type |-> "ClientRequest", src |-> c, dst |-> i, sequence |-> s.sequence,
                 request |-> "Read", query |-> op.query]
          [] op.kind = "transfer" ->
                [type |-> "ClientRequest", src |-> c, dst |-> i, sequence |-> s.sequence,
                 request |-> "Transfer", to |-> op.to]

Requests(c, s) ==
    IF IsBusy(c, s)
    THEN {RequestTo(c, s, i) : i \in IF AskAll THEN Server ELSE {s.target}}
    ELSE {}

(* A client that has an operation in flight waits for its answer. *)
Waiting(c, s) == [s EXCEPT !.timers = IF IsBusy(c, s) THEN {"Retry"} ELSE {}]

FirstState(c) ==
    Waiting(c, [target |-> 0, turn |-> 0, session |-> 0,
                sequence |-> IF OperationsOf(c) = <<>> THEN 0 ELSE 1,
                outcomes |-> <<>>, timers |-> {}])

(* The operation in flight has ended, and the next one begins. *)
Ended(c, s, outcome) ==
    LET next == [s EXCEPT !.outcomes = Append(@, outcome)]
    IN  Waiting(c, [next EXCEPT !.sequence = IF IsBusy(c, next) THEN @ + 1 ELSE @])

(* Whether an answer is about the operation in flight, and not about an earlier one. *)
Awaits(c, s, m, kind) ==
    IsBusy(c, s) /\ InFlight(c, s).kind = kind /\ m.sequence = s.sequence

HandleClientResponse(c, s, m) ==
    LET isOfCommand == Awaits(c, s, m, "command") /\ s.session # 0
    IN  CASE m.answer = "Registered" ->
                IF Awaits(c, s, m, "command") /\ s.session = 0
                THEN [s EXCEPT !.session = m.session, !.sequence = @ + 1] ELSE s
          [] m.answer = "Applied" ->
                IF isOfCommand
                THEN Ended(c, s, [kind |-> "applied", response |-> m.response]) ELSE s
          [] m.answer = "SessionExpired" ->
                IF isOfCommand
                THEN Ended(c, [s EXCEPT !.session = 0], [kind |-> "unknown"]) ELSE s
          [] m.answer = "TooLarge" ->
                IF isOfCommand
                THEN Ended(c, s, [kind |-> "toolarge", limit |-> m.limit]) ELSE s
          [] m.answer = "Read" ->
                IF Awaits(c, s, m, "query")
                THEN Ended(c, s, [kind |-> "applied", response |-> m.response]) ELSE s
          [] m.answer = "Transfer" ->
                IF Awaits(c, s, m, "transfer")
                THEN Ended(c, s, [kind |-> "transfer", outcome |-> m.outcome]) ELSE s
          [] m.answer = "NotLeader" -> \* a hint; who asks all needs none
                IF ~AskAll /\ IsBusy(c, s) /\ m.sequence = s.sequence /\ m.leader # Nil
                THEN [s EXCEPT !.target = m.leader] ELSE s

(* No answer came: the servers take turns, whatever hints have said. *)
HandleRetryTimeout(c, s) ==
    LET turn == (s.turn + 1) % N
    IN  IF AskAll THEN s ELSE [s EXCEPT !.turn = turn, !.target = turn]

-----------------------------------------------------------------------------
(* ACTIONS *)

(* A server starts with what it has saved; all else is volatile.  Hooks: RaftSnapshot has more in
   both. *)
Saved(s) == [currentTerm |-> s.currentTerm, votedFor |-> s.votedFor, log |-> s.log]
Nothing == [currentTerm |-> 0, votedFor |-> Nil, log |-> <<>>]
Restored(saved) ==
    [currentTerm |-> saved.currentTerm,
     votedFor |-> saved.votedFor,
     log |-> saved.log,
     commitIndex |-> 0,
     lastApplied |-> 0,
     role |-> "follower",
     leader |-> Nil,
     votesGranted |-> {},
     nextIndex |-> OfNobody,
     matchIndex |-> OfNobody,
     sessions |-> <<>>,
     machine |-> "none",
     timers |-> {"Election"}]
Started(saved) == Restored(saved)

(* The bounds on a server.  A state out of bounds is no state of the model, so they are part of
   each action. *)
ClientEntries(s) == {k \in Indexes(s) : EntryAt(s, k).kind # "noop"}
IsWithinTerms(s) ==
    /\ s.currentTerm <= MaxTerm
    /\ Client # {} => Cardinality(ClientEntries(s)) <= MaxClientEntries

(* Hook: the bounds of features. *)
IsWithin(s) == IsWithinTerms(s)

Init ==
    /\ server = [i \in Server |-> Started(Nothing)]
    /\ client = [c \in Client |-> FirstState(c)]
    /\ messages = UNION {Requests(c, FirstState(c)) : c \in Client}

(* A call of a handler of server i, and its effect. *)
Call(i) == [s |-> server[i], out |-> {}]
Fired(i, timer) == [s |-> [server[i] EXCEPT !.timers = @ \ {timer}], out |-> {}]
Does(i, c) ==
    /\ IsWithin(c.s)
    /\ server' = [server EXCEPT ![i] = c.s]
    /\ messages' = messages \cup c.out
    /\ UNCHANGED client

Restart ==
    /\ Restarts
    /\ \E i \in Server : Does(i, [s |-> Started(Saved(server[i])), out |-> {}])

(* Hook: the election timer of a leader. *)
HandleElectionTimeout(i, c) == Campaign(i, c)

(* [FOL-2], [CAN-4] The election timeout elapses: start an election. *)
ElectionTimeout ==
    \E i \in Server :
        /\ "Election" \in server[i].timers
        /\ Does(i, HandleElectionTimeout(i, Fired(i, "Election")))

HeartbeatTimeout ==
    \E i \in Server :
        /\ "Heartbeat" \in server[i].timers
        /\ Does(i, Heartbeat(i, Fired(i, "Heartbeat")))

(* Hook: whether a server ignores a request for its vote. *)
Ignores(s, m) == FALSE

(* [FOL-1] Respond to RPCs from candidates and leaders. *)
ReceiveRequestVote ==
    \E m \in messages :
        /\ m.type = "RequestVote"
        /\ ~Ignores(server[m.dst], m)
        /\ Does(m.dst, HandleRequestVote(m.dst, UpdateTerm(m.dst, Call(m.dst), m.term), m))

ReceiveRequestVoteResponse ==
    \E m \in messages :
        /\ m.type = "RequestVoteResponse"
        /\ Does(m.dst,
                HandleRequestVoteResponse(m.dst, UpdateTerm(m.dst, Call(m.dst), m.term), m))

(* Hook: whether the network loses a request each time. *)
IsLost(m) == FALSE

ReceiveAppendEntries ==
    \E m \in messages :
        /\ m.type = "AppendEntries"
        /\ ~IsLost(m)
        /\ Does(m.dst, HandleAppendEntries(m.dst, UpdateTerm(m.dst, Call(m.dst), m.term), m))

ReceiveAppendEntriesResponse ==
    \E m \in messages :
        /\ m.type = "AppendEntriesResponse"
        /\ Does(m.dst,
                HandleAppendEntriesResponse(m.dst, UpdateTerm(m.dst, Call(m.dst), m.term), m))

ReceiveClientRequest ==
    \E m \in messages :
        /\ m.type = "ClientRequest"
        /\ Does(m.dst, HandleClientRequest(m.dst, Call(m.dst), m))

(* A client whose request has changed sends the new one at once. *)
ReceiveClientResponse ==
    \E m \in messages :
        /\ m.type = "ClientResponse"
        /\ LET c == m.dst
               next == HandleClientResponse(c, client[c], m)
               requests == Requests(c, next)
           IN  /\ client' = [client EXCEPT ![c] = next]
               /\ messages' = messages \cup
                     IF requests # Requests(c, client[c]) THEN requests ELSE {}
        /\ UNCHANGED server

RetryTimeout ==
    \E c \in Client :
        /\ "Retry" \in client[c].timers
        /\ LET next == HandleRetryTimeout(c, client[c])
           IN  /\ client' = [client EXCEPT ![c] = next]
               /\ messages' = messages \cup Requests(c, next)
        /\ UNCHANGED server

Next ==
    \/ Restart
    \/ ElectionTimeout
    \/ HeartbeatTimeout
    \/ ReceiveRequestVote
    \/ ReceiveRequestVoteResponse
    \/ ReceiveAppendEntries
    \/ ReceiveAppendEntriesResponse
    \/ ReceiveClientRequest
    \/ ReceiveClientResponse
    \/ RetryTimeout

Spec == Init /\ [][Next]_vars
=============================================================================

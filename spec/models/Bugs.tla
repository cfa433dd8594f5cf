-------------------------------- MODULE Bugs --------------------------------
(* Definitions with a bug.  A configuration puts one in the place of the right definition. *)
EXTENDS Core

(* Elections *)
SavedWithoutVote(s) == [currentTerm |-> s.currentTerm, votedFor |-> Nil, log |-> s.log]
HasVoteForAll(s, candidate) == TRUE
AnyLogIsUpToDate(s, m) == TRUE
AnyTermCounts(s, m) == TRUE
HalfIsAQuorum(S) == 2 * Cardinality(S) >= N
CountsTwice(votes, voter) ==
    votes \cup {IF voter \in votes THEN Min(Server \ votes) ELSE voter}

(* Replication *)
NothingIsStale(s, m) == FALSE
ConnectsIfLongEnough(s, m) == m.prevLogIndex <= LastIndex(s)
TruncatesAlways(s, prev, entries) == UpTo(s, prev) \o entries
UnclampedCommitIndex(s, m, lastNew) == Max({s.commitIndex, m.leaderCommit})
EntryOrNoop(s, k) == IF k <= Len(s.log) THEN s.log[k] ELSE NoopOf(0)
AnyTermIsCommittable(s, k) == TRUE
AnyMatchIsNews(s, m) == m.index <= LastIndex(s)

(* Sessions *)
ApplyUnknownAnyway(i, s, k, entry) ==
    LET done == Execute(s.machine, entry.command)
    IN  Result(s.sessions, done[1], {Applied(i, entry.client, entry.sequence, done[2])})
=============================================================================

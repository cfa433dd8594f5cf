//! The properties of a model: Figure 3 of the paper, and the invariants that show *where* it broke.
//!
//! [`Spec`](super::Spec) gives each function here the name under which a verdict reports it. A property of
//! states looks at a [`View`] or at processes of it. A property of steps looks at a [`Change`] or an
//! [`Output`]. No property can see the network. A property that cites no source is this project's own.

use super::ghost::Ghost;
use super::process::{ClientState, Process, ProcessTimer};
use super::replay::Replay;
use crate::durable::Durable;
use crate::kv::Kv;
use crate::raft::{
    AppendEntries, AppendEntriesResponse, ClientRequest, ClientResponse, Entry, Index,
    InstallSnapshot, Leader, Log, Message, Outcome, Parameters, Payload, Persistent,
    PreVoteResponse, Progress, Read, RequestVote, Role, Server, Snapshot, Term, Timer, Transfer,
    TransferOutcome,
};
use crate::state_machine::StateMachine;
use actorcheck::{Change, Event, Group, Local, Output, View};
use stateright::actor::{Command, Id};
use std::collections::BTreeSet;

/// A view of a cluster.
pub type ClusterView<'a, S = Kv> = View<'a, Process<S>, Ghost>;
/// A process of a cluster.
pub type ClusterLocal<'a, S = Kv> = Local<'a, Process<S>>;
/// A process with its id.
pub type Peer<'a, S = Kv> = (Id, ClusterLocal<'a, S>);
/// The change of a process by one step.
pub type ClusterChange<'a, S = Kv> = Change<'a, Process<S>>;
/// A step of a process, with the outputs of the handler that ran.
pub type ClusterOutput<'a, S = Kv> = Output<'a, Process<S>>;

/// The servers of a view, with their ids. Clients are left out.
fn servers<'a, S: StateMachine>(
    view: &ClusterView<'a, S>,
) -> impl Iterator<Item = (Id, &'a Server<S>)> + use<'a, S> {
    let servers: Vec<_> = view
        .locals()
        .enumerate()
        .filter_map(|(index, local)| Some((Id::from(index), local.state.server()?)))
        .collect();
    servers.into_iter()
}

/// The saved state of each server; `None` for a server that has saved nothing.
fn stored<'a, S: StateMachine>(
    view: &ClusterView<'a, S>,
) -> impl Iterator<Item = Option<&'a Persistent<S>>> + use<'a, S> {
    let stored: Vec<_> = view
        .locals()
        .filter(|local| local.state.server().is_some())
        .map(|local| local.storage)
        .collect();
    stored.into_iter()
}

/// The server before and after a step; `None` if the process is a client or if the step is a restart.
fn running<'a, S: StateMachine>(
    step: &ClusterChange<'a, S>,
) -> Option<(&'a Server<S>, &'a Server<S>)> {
    let pair = (step.before.state.server()?, step.after.state.server()?);
    (!step.restart).then_some(pair)
}

/// The server before and after a step; `None` unless it led before and leads after, in one and the same
/// term.
fn leading<'a, S: StateMachine>(
    step: &ClusterChange<'a, S>,
) -> Option<(&'a Server<S>, &'a Server<S>)> {
    let (before, after) = running(step)?;
    let same_term = before.persistent.current_term == after.persistent.current_term;
    (before.is_leader() && after.is_leader() && same_term).then_some((before, after))
}

// ---- Figure 3 ----

/// "Election Safety: at most one leader can be elected in a given term. §5.2". Historic: two leaders of one
/// term break it even if the first is long gone when the second is elected.
pub fn election_safety(ghost: &Ghost) -> bool {
    ghost.leaders.values().all(|leaders| leaders.len() <= 1)
}

/// "Leader Append-Only: a leader never overwrites or deletes entries in its log; it only appends new
/// entries. §5.3"
pub fn leader_append_only<S: StateMachine>(step: &ClusterChange<'_, S>) -> bool {
    let Some((before, after)) = leading(step) else { return true };
    let mut entries = before.persistent.log.iter();
    entries.all(|(index, entry)| holds(&after.persistent.log, index, entry))
}

/// "Log Matching: if two logs contain an entry with the same index and term, then the logs are
/// identical in all entries up through the given index. §5.3"
pub fn log_matching<S: StateMachine>(a: Peer<'_, S>, b: Peer<'_, S>) -> bool {
    let (Some(a), Some(b)) = (a.1.state.server(), b.1.state.server()) else { return true };
    logs_match(&a.persistent.log, &b.persistent.log)
}

fn logs_match(a: &Log, b: &Log) -> bool {
    let agree = |(index, entry): &(Index, &Entry)| b.term(*index) == Some(entry.term);
    let Some((last, _)) = a.iter().rev().find(agree) else { return true };
    a.iter().take_while(|(index, _)| *index <= last).all(|(index, entry)| {
        holds(b, index, entry) && (index < b.start() || agree(&(index, entry)))
    })
}

/// Whether the log holds the entry. A log that has dropped what stands at the index is taken at its word: the
/// properties of snapshots judge what stands for it.
fn holds(log: &Log, index: Index, entry: &Entry) -> bool {
    index <= log.start() || log.get(index) == Some(entry)
}

/// "Leader Completeness: if a log entry is committed in a given term, then that entry will be present in
/// the logs of the leaders for all higher-numbered terms. §5.4". The property covers every server that
/// leads, in every state.
pub fn leader_completeness<S: StateMachine>(
    _: Id,
    local: ClusterLocal<'_, S>,
    ghost: &Ghost,
) -> bool {
    let Some(leader) = local.state.server().filter(|server| server.is_leader()) else {
        return true;
    };
    let term = leader.persistent.current_term;
    let mut committed = ghost.committed.iter();
    committed.all(|(index, (entry, committed_in))| {
        *committed_in > term || holds(&leader.persistent.log, *index, entry)
    })
}

/// "State Machine Safety: if a server has applied a log entry at a given index to its state machine, no
/// other server will ever apply a different log entry for the same index. §5.4.3". Historic: the entry that
/// the first server commits at an index is the only one that any server ever commits there.
pub fn state_machine_safety<S: StateMachine>(step: &ClusterChange<'_, S>, ghost: &Ghost) -> bool {
    let Some((before, after)) = running(step) else { return true };
    let mut newly = after
        .persistent
        .log
        .iter()
        .filter(|(index, _)| *index > before.commit_index && *index <= after.commit_index);
    newly.all(|(index, entry)| ghost.committed.get(&index).is_some_and(|(first, _)| first == entry))
}

// ---- votes and terms ----

/// A server casts one vote per term: "Each server will vote for at most one candidate in a given
/// term" (§5.2). Historic.
pub fn one_vote_per_term(ghost: &Ghost) -> bool {
    ghost.votes.values().all(|candidates| candidates.len() <= 1)
}

/// A server keeps a saved vote as long as it keeps the term of that vote. Restarts are included.
pub fn durable_vote_is_kept<S: StateMachine>(step: &ClusterChange<'_, S>) -> bool {
    let (Some(before), Some(after)) = (step.before.storage, step.after.storage) else {
        return true;
    };
    before.current_term != after.current_term
        || before.voted_for.is_none()
        || before.voted_for == after.voted_for
}

/// The saved term of a server never decreases ("increases monotonically", Figure 2). Restarts are included.
pub fn durable_term_is_monotone<S: StateMachine>(step: &ClusterChange<'_, S>) -> bool {
    let term =
        |storage: Option<&Persistent<S>>| storage.map_or(Term(0), |saved| saved.current_term);
    term(step.before.storage) <= term(step.after.storage)
}

/// At the end of every step, the persistent state in a server's memory equals the state that it has saved.
pub fn memory_equals_storage<S: StateMachine>(_: Id, local: ClusterLocal<'_, S>) -> bool {
    match local.state.server() {
        Some(server) => match local.storage {
            Some(saved) => *saved == server.persistent,
            None => server.persistent == Persistent::default(),
        },
        None => true,
    }
}

/// Every vote a candidate counts was cast for it in its term (etcd's `VotesGrantedInv`).
pub fn votes_counted_were_cast<S: StateMachine>(a: Peer<'_, S>, b: Peer<'_, S>) -> bool {
    let Some(server) = a.1.state.server() else { return true };
    let Role::Candidate { votes_granted } = &server.role else { return true };
    let term = server.persistent.current_term;
    [a, b].iter().filter(|(id, _)| votes_granted.contains(id)).all(|(_, voter)| {
        voter.storage.is_some_and(|saved| {
            saved.current_term > term
                || (saved.current_term == term && saved.voted_for == Some(a.0))
        })
    })
}

/// A server enters a new term in one of two ways. When it stands for election, it moves to the next term;
/// in every other case it adopts the term of a message. It stands when its timer fires or when a pre-vote
/// arrives.
pub fn terms_begin_with_elections<S: StateMachine>(step: &ClusterOutput<'_, S>) -> bool {
    let (Some(before), Some(after)) = (step.before.state.server(), step.after.state.server())
    else {
        return true;
    };
    let own = before.persistent.current_term;
    let stands = matches!(before.role, Role::PreCandidate { .. })
        && matches!(after.role, Role::Candidate { .. } | Role::Leader(_));
    let latest = match step.event {
        Event::Timeout(_) => own.next(),
        Event::Deliver { msg: Message::TimeoutNow(args), .. } => args.term.max(own).next(),
        Event::Deliver { msg: Message::PreVoteResponse(args), .. } if stands => {
            own.next().max(args.term)
        }
        Event::Deliver { msg, .. } => msg.term().map_or(own, |term| term.max(own)),
        Event::Restart | Event::Choose { .. } => own,
    };
    after.persistent.current_term <= latest
}

/// A server votes for the candidate that asks it, in the term of the request, or for itself when it stands
/// for election. It grants a vote only to a candidate whose log is at least as up-to-date as its own
/// (§5.4.1). Asked again by that candidate, it grants the vote again, unless its own log has got ahead or it
/// hears from its leader (STICK-1).
pub fn votes_follow_requests<S: StateMachine>(
    step: &ClusterOutput<'_, S>,
    parameters: &Parameters,
) -> bool {
    let (Some(before), Some(after)) = (step.before.state.server(), step.after.state.server())
    else {
        return true;
    };
    let (old, new) = (&before.persistent, &after.persistent);
    let is_given = step.out.iter().any(|command| {
        matches!(command, Command::Send(_, Message::RequestVoteResponse(args)) if args.vote_granted)
    });
    if let Event::Deliver { src, msg: Message::RequestVote(args) } = step.event
        && args.term == new.current_term
    {
        let up_to_date = (args.last_log_term, args.last_log_index) >= old.log.last();
        let was_given = (old.current_term, old.voted_for) == (args.term, Some(*src));
        let is_new = (old.current_term, old.voted_for) != (new.current_term, new.voted_for);
        let is_asked_for = !is_new || new.voted_for.is_none_or(|candidate| candidate == *src);
        return is_asked_for
            && (up_to_date || !is_given)
            && (is_given || !was_given || !up_to_date || is_ignored(before, args, parameters));
    }
    let may_stand = matches!(
        step.event,
        Event::Timeout(_)
            | Event::Deliver { msg: Message::PreVoteResponse(_) | Message::TimeoutNow(_), .. }
    );
    let for_itself = may_stand.then_some(step.who);
    let is_kept = (old.current_term, old.voted_for) == (new.current_term, new.voted_for);
    !is_given && (is_kept || new.voted_for.is_none_or(|vote| Some(vote) == for_itself))
}

/// Whether the server leads, or has heard from its leader within the minimum election timeout.
fn hears_a_leader<S>(server: &Server<S>, parameters: &Parameters) -> bool {
    parameters.stickiness
        && matches!(server.role, Role::Leader(_) | Role::Follower { is_sticky: true, .. })
}

/// Whether the server ignores a request for its vote, because it hears a leader that does not want the
/// election.
fn is_ignored<S>(server: &Server<S>, args: &RequestVote, parameters: &Parameters) -> bool {
    hears_a_leader(server, parameters) && !args.leadership_transfer
}

/// A server that asks for pre-votes begins a term only when a majority would vote for it in that term (thesis
/// 9.6). It counts itself, and every server that has granted it a pre-vote about that term. A server that its
/// leader wants to lead asks for no pre-votes. A pre-vote changes nothing on the server that gives it. A
/// server grants one if the term is later than its own, the log is up-to-date, and it hears no leader.
pub fn elections_follow_pre_votes<S: StateMachine>(
    step: &ClusterOutput<'_, S>,
    parameters: &Parameters,
) -> bool {
    let (Some(before), Some(after)) = (step.before.state.server(), step.after.state.server())
    else {
        return true;
    };
    let (old, new) = (&before.persistent, &after.persistent);
    let granted = |server: &Server<S>| match &server.role {
        Role::PreCandidate { pre_votes_granted } => Some(pre_votes_granted.clone()),
        _ => None,
    };
    let alone = BTreeSet::from([step.who]);
    let counted = match step.event {
        Event::Deliver { src, msg: Message::PreVote(args) } => {
            let pre_vote_granted = args.next_term > old.current_term
                && (args.last_log_term, args.last_log_index) >= old.log.last()
                && !hears_a_leader(before, parameters);
            let (term, next_term) = (old.current_term, args.next_term);
            let response = PreVoteResponse { term, next_term, pre_vote_granted };
            let answer = Message::PreVoteResponse(response);
            let is_answer = |command: &ClusterCommand<S>| match command {
                Command::Send(to, msg) => (to, msg) == (src, &answer),
                _ => false,
            };
            return before == after && step.out.len() == 1 && step.out.iter().all(is_answer);
        }
        Event::Deliver { src, msg: Message::PreVoteResponse(args) }
            if args.pre_vote_granted && args.next_term == old.current_term.next() =>
        {
            granted(before).map(|mut granted| {
                granted.insert(*src);
                granted
            })
        }
        Event::Timeout(ProcessTimer::Server(Timer::Election)) if !before.is_leader() => Some(alone),
        Event::Deliver { msg: Message::TimeoutNow(_), .. } => return true,
        _ => granted(before),
    };
    let is_welcome = counted.as_ref().is_some_and(|it| it.len() >= after.members.majority());
    let stands = new.voted_for == Some(step.who)
        && (old.current_term, old.voted_for) != (new.current_term, new.voted_for);
    stands == is_welcome && granted(after).is_none_or(|granted| Some(granted) == counted)
}

/// Requests for votes do not concern a server that leads, or that has heard from its leader within the
/// minimum election timeout (thesis 4.2.3), unless the leader wants the election. A follower that hears from
/// the leader of its term stays sticky for that time.
pub fn leaders_in_touch_stay<S: StateMachine>(
    step: &ClusterOutput<'_, S>,
    parameters: &Parameters,
) -> bool {
    let (Some(before), Some(after)) = (step.before.state.server(), step.after.state.server())
    else {
        return true;
    };
    let is_sticky =
        |server: &Server<S>| matches!(server.role, Role::Follower { is_sticky: true, .. });
    match step.event {
        Event::Deliver { msg: Message::RequestVote(args), .. }
            if hears_a_leader(before, parameters) =>
        {
            if args.leadership_transfer {
                after.persistent.current_term >= args.term
            } else {
                before == after && step.out.is_empty()
            }
        }
        Event::Deliver { msg: Message::AppendEntries(AppendEntries { term, .. }), .. }
        | Event::Deliver { msg: Message::InstallSnapshot(InstallSnapshot { term, .. }), .. }
            if *term == after.persistent.current_term =>
        {
            after.is_leader() || is_sticky(after)
        }
        Event::Timeout(_) | Event::Restart => !is_sticky(after),
        _ => !is_sticky(after) || is_sticky(before),
    }
}

/// Leadership moves as the thesis says (section 3.10). A leader that hands over sends TimeoutNow to the
/// server that is to lead, once that server is known to have its whole log. It sends none otherwise. A server
/// that gets TimeoutNow stands for election if it is in that term and its log is not behind, and does nothing
/// else with it. Only then does a request for votes say that the leader wants the election.
pub fn leadership_moves_by_rule<S: StateMachine>(step: &ClusterOutput<'_, S>) -> bool {
    let (Some(before), Some(after)) = (step.before.state.server(), step.after.state.server())
    else {
        return true;
    };
    let old = before.persistent.current_term;
    let is_wanted = match step.event {
        Event::Deliver { msg: Message::TimeoutNow(args), .. } => {
            let is_current = args.term > old || (args.term == old && !before.is_leader());
            is_current && before.persistent.log.last() >= (args.last_log_term, args.last_log_index)
        }
        _ => false,
    };
    let stands = after.persistent.current_term > step_term(step).max(old);
    let is_told_right = match step.event {
        Event::Deliver { msg: Message::TimeoutNow(_), .. } => stands == is_wanted,
        _ => true,
    };
    let is_flag_right = step.out.iter().all(|command| match command {
        Command::Send(_, Message::RequestVote(args)) => args.leadership_transfer == is_wanted,
        _ => true,
    });
    is_told_right
        && is_flag_right
        && who_is_told_to_stand(step).eq(who_is_to_be_told(step, before, after))
        && transfers_begin_and_end_by_rule(step, before, after)
}

/// The term of the message that a step delivers; zero if there is none.
fn step_term<S: StateMachine>(step: &ClusterOutput<'_, S>) -> Term {
    match step.event {
        Event::Deliver { msg, .. } => msg.term().unwrap_or_default(),
        _ => Term(0),
    }
}

fn transfer_of<S>(server: &Server<S>) -> Option<Transfer> {
    server.leader().and_then(|leader| leader.transfer)
}

/// The receivers of TimeoutNow.
fn who_is_told_to_stand<S: StateMachine>(step: &ClusterOutput<'_, S>) -> impl Iterator<Item = Id> {
    step.out.iter().filter_map(|command| match command {
        Command::Send(to, Message::TimeoutNow(_)) => Some(*to),
        _ => None,
    })
}

/// The server that a leader must tell to stand for election in this step, if there is one.
fn who_is_to_be_told<S: StateMachine>(
    step: &ClusterOutput<'_, S>,
    before: &Server<S>,
    after: &Server<S>,
) -> Option<Id> {
    let is_due = match step.event {
        Event::Timeout(ProcessTimer::Server(Timer::Heartbeat)) => true,
        Event::Deliver { msg: Message::AppendEntriesResponse(args), .. } => {
            args.term == after.persistent.current_term
        }
        Event::Deliver { msg: Message::ClientRequest(ClientRequest::Transfer { .. }), .. } => {
            transfer_of(before).is_none()
        }
        _ => false,
    };
    let (_, last_log_index) = after.persistent.log.last();
    let has_all = |to: &Id| {
        let leader = after.leader();
        leader.is_some_and(|leader| leader.followers[to].match_index == last_log_index)
    };
    transfer_of(after).map(|transfer| transfer.to).filter(|to| is_due && has_all(to))
}

/// A transfer begins when a client asks a leader that has none under way. It ends when its timer fires or
/// when the leader steps down. The client is told at once if the server leads that it named, or if there is
/// no such server. It is told when the timer fires. It is told nothing else.
fn transfers_begin_and_end_by_rule<S: StateMachine>(
    step: &ClusterOutput<'_, S>,
    before: &Server<S>,
    after: &Server<S>,
) -> bool {
    let old = transfer_of(before);
    let (told, under_way) = match step.event {
        Event::Deliver {
            src,
            msg: Message::ClientRequest(ClientRequest::Transfer { sequence, to }),
        } if before.is_leader() => {
            let answer = |outcome| Some((*src, *sequence, outcome));
            if *to == step.who {
                (answer(TransferOutcome::Leads), old)
            } else if before.members.contains(*to) {
                (None, old.or(Some(Transfer { to: *to, client: *src, sequence: *sequence })))
            } else {
                (answer(TransferOutcome::NoMember), old)
            }
        }
        Event::Timeout(ProcessTimer::Server(Timer::Transfer)) => {
            (old.map(|it| (it.client, it.sequence, TransferOutcome::TimedOut)), None)
        }
        _ => (None, old.filter(|_| after.is_leader())),
    };
    let answers = step.out.iter().filter_map(|command| match command {
        Command::Send(
            to,
            Message::ClientResponse(ClientResponse::Transfer { sequence, outcome }),
        ) => Some((*to, *sequence, *outcome)),
        _ => None,
    });
    answers.eq(told) && transfer_of(after) == under_way
}

/// A leader steps down when its election timer fires, unless a majority has answered since that timer was set
/// (thesis 6.2). It counts itself, and each follower from which an answer of its term came meanwhile.
pub fn leaders_hear_a_majority<S: StateMachine>(step: &ClusterOutput<'_, S>) -> bool {
    let (Some(before), Some(after)) = (step.before.state.server(), step.after.state.server())
    else {
        return true;
    };
    let heard = |leader: &Leader<S>| {
        let heard = leader.followers.iter().filter(|(_, it)| it.is_heard);
        heard.map(|(id, _)| *id).collect::<BTreeSet<Id>>()
    };
    let Some(old) = before.leader().map(heard) else {
        return after.leader().is_none_or(|leader| heard(leader).is_empty());
    };
    if let Event::Timeout(ProcessTimer::Server(Timer::Election)) = step.event {
        let has_majority = old.len() + 1 >= before.members.majority();
        let stays = after.leader().is_some_and(|leader| heard(leader).is_empty());
        return if has_majority { stays } else { !after.is_leader() };
    }
    let current_term = before.persistent.current_term;
    let answered = match step.event {
        Event::Deliver { src, msg: Message::AppendEntriesResponse(args) } => {
            (args.term == current_term).then_some(*src)
        }
        Event::Deliver { src, msg: Message::InstallSnapshotResponse(args) } => {
            (args.term == current_term).then_some(*src)
        }
        _ => None,
    };
    after.leader().is_none_or(|leader| heard(leader) == old.into_iter().chain(answered).collect())
}

/// The server that a follower takes for the leader of its term was elected in that term.
pub fn who_is_followed_was_elected<S: StateMachine>(
    _: Id,
    local: ClusterLocal<'_, S>,
    ghost: &Ghost,
) -> bool {
    let Some(server) = local.state.server() else { return true };
    let Role::Follower { leader: Some(leader), .. } = &server.role else { return true };
    let elected = ghost.leaders.get(&server.persistent.current_term);
    elected.is_some_and(|elected| elected.contains(leader))
}

// ---- logs ----

/// The indexes of a log are contiguous from its start. Its terms never decrease (`MonoLogInv`), and none
/// exceeds the server's own (Verdi's `no_entries_past_current_term`).
pub fn logs_are_well_formed<S: StateMachine>(_: Id, local: ClusterLocal<'_, S>) -> bool {
    let Some(server) = local.state.server() else { return true };
    let log = &server.persistent.log;
    let contiguous = log.iter().zip(log.start().0 + 1..).all(|((index, _), n)| index == Index(n));
    let sorted = log.iter().map(|(_, entry)| entry.term).is_sorted();
    contiguous && sorted && log.last().0 <= server.persistent.current_term
}

/// The leader of a term has every entry of that term in its log (`PrimaryHasEntriesItCreated`).
pub fn leader_has_all_entries_of_its_term<S: StateMachine>(a: Peer<'_, S>, b: Peer<'_, S>) -> bool {
    let (Some(leader), Some(server)) = (a.1.state.server(), b.1.state.server()) else {
        return true;
    };
    let term = leader.persistent.current_term;
    let mut of_term = server.persistent.log.iter().filter(|(_, entry)| entry.term == term);
    !leader.is_leader() || of_term.all(|(index, entry)| holds(&leader.persistent.log, index, entry))
}

/// A committed entry is on a majority of disks for ever (`CommittedEntriesReachMajority`): it is never lost
/// and never changed.
pub fn committed_is_durable<S: StateMachine>(view: &ClusterView<'_, S>) -> bool {
    let stored: Vec<_> = stored(view).collect();
    view.ghost.committed.iter().all(|(index, (entry, _))| {
        let copies = stored.iter().flatten().filter(|saved| holds(&saved.log, *index, entry));
        copies.count() > stored.len() / 2
    })
}

/// An entry that a server knows to be committed stays in its log, unchanged (CCF's
/// `CommittedLogAppendOnlyProp`). Restarts are included, since the entry is on the server's disk.
pub fn committed_is_kept<S: StateMachine>(step: &ClusterChange<'_, S>) -> bool {
    let (Some(before), Some(after)) = (step.before.state.server(), step.after.state.server())
    else {
        return true;
    };
    let mut committed =
        before.persistent.log.iter().take_while(|(index, _)| *index <= before.commit_index);
    committed.all(|(index, entry)| holds(&after.persistent.log, index, entry))
}

/// A follower acknowledges entries only up to the last one that it was sent. Those entries connect to its
/// log and are in it.
pub fn acknowledged_is_what_was_sent<S: StateMachine>(step: &ClusterOutput<'_, S>) -> bool {
    let Some(server) = step.after.state.server() else { return true };
    let acknowledged = step.out.iter().filter_map(|command| match command {
        Command::Send(
            to,
            Message::AppendEntriesResponse(AppendEntriesResponse {
                outcome: Outcome::Match(index),
                ..
            }),
        ) => Some((*to, *index)),
        _ => None,
    });
    let acknowledged: Vec<_> = acknowledged.collect();
    let log = &server.persistent.log;
    let (src, args) = match step.event {
        Event::Deliver { src, msg: Message::AppendEntries(args) } => (src, args),
        Event::Deliver { src, msg: Message::InstallSnapshot(args) } => {
            let last = args.last_included_index;
            return acknowledged.is_empty()
                || (acknowledged == [(*src, last)] && last <= server.commit_index);
        }
        _ => return acknowledged.is_empty(),
    };
    let mut sent = (args.prev_log_index.0 + 1..).map(Index).zip(&args.entries);
    let last = Index(args.prev_log_index.0 + args.entries.len() as u64);
    acknowledged.is_empty()
        || (acknowledged.iter().all(|(to, index)| to == src && *index <= last)
            && (args.prev_log_index < log.start()
                || log.term(args.prev_log_index) == Some(args.prev_log_term))
            && sent.all(|(index, entry)| holds(log, index, entry)))
}

// ---- snapshots ----

/// A snapshot holds what the committed entries up to its last included index lead to: the state machine, the
/// sessions and the term of the last entry (section 7). No server takes a snapshot beyond what is committed,
/// nor installs anything else.
pub fn snapshots_hold_what_is_committed<S: StateMachine>(
    _: Id,
    local: ClusterLocal<'_, S>,
    ghost: &Ghost,
) -> bool {
    let Some(server) = local.state.server() else { return true };
    let Snapshot { last_index, last_term, sessions, machine } = &*server.persistent.snapshot;
    let entry_at = |index| ghost.committed.get(&index).map(|(entry, _)| entry);
    let mut replay = Replay::default();
    let applied = replay.go_on(entry_at, *last_index);
    let ends_with = applied.last().map_or(Term(0), |(entry, _)| entry.term);
    applied.len() as u64 == last_index.0
        && ends_with == *last_term
        && replay.holds(sessions, machine)
}

/// A log starts at or before the last included index of the snapshot, and knows that entry's term. So no
/// entry is lost between the two. A server has applied all that its snapshot covers.
pub fn snapshots_join_logs<S: StateMachine>(_: Id, local: ClusterLocal<'_, S>) -> bool {
    let Some(server) = local.state.server() else { return true };
    let Persistent { snapshot, log, .. } = &server.persistent;
    log.start() <= snapshot.last_index
        && log.term(snapshot.last_index) == Some(snapshot.last_term)
        && snapshot.last_index <= server.last_applied
}

/// The saved snapshot of a server never makes way for an earlier one: "discard any existing or partial
/// snapshot with a smaller index" (Figure 13). A log never gets back entries that it has dropped.
/// Restarts are included.
pub fn snapshots_are_monotone<S: StateMachine>(step: &ClusterChange<'_, S>) -> bool {
    let indexes = |storage: Option<&Persistent<S>>| {
        storage.map(|saved| (saved.snapshot.last_index, saved.log.start())).unwrap_or_default()
    };
    let (before, after) = (indexes(step.before.storage), indexes(step.after.storage));
    before.0 <= after.0 && before.1 <= after.1
}

/// After each save, a store that writes only differences has exactly what was saved. For a server's own
/// snapshot the difference names only the index; see [`crate::raft::Changes`].
pub fn the_store_restores_what_is_saved<S: StateMachine>(step: &ClusterChange<'_, S>) -> bool {
    let nothing = Persistent::default();
    let (before, after) = match (step.before.storage, step.after.storage) {
        (before, Some(after)) => (before.unwrap_or(&nothing), after),
        (_, None) => return true,
    };
    let mut restored = before.clone();
    before == after || (restored.apply(before.changes(after)).is_ok() && restored == *after)
}

// ---- timers ----

/// A server has the timers of its role armed and no others: a server without a timer would never act again by
/// itself. Under check-quorum, a leader has the election timer, too. A sticky follower has a timer that ends
/// its stickiness. A client has its timer armed while it waits.
pub fn timers_suit_the_role<S: StateMachine>(
    local: ClusterLocal<'_, S>,
    check_quorum: bool,
) -> bool {
    let wanted: BTreeSet<ProcessTimer> = match (local.state.server(), local.state.client()) {
        (Some(server), _) => {
            let is_sticky = matches!(server.role, Role::Follower { is_sticky: true, .. });
            let timers = [
                (!server.is_leader() || check_quorum, Timer::Election),
                (server.is_leader(), Timer::Heartbeat),
                (is_sticky, Timer::Stickiness),
                (server.leader().is_some_and(|it| it.transfer.is_some()), Timer::Transfer),
            ];
            timers.into_iter().filter(|(is_due, _)| *is_due).map(|(_, it)| it.into()).collect()
        }
        (None, Some(client)) => {
            client.session.operation().map(|_| ProcessTimer::Retry).into_iter().collect()
        }
        (None, None) => BTreeSet::new(),
    };
    local.timers.iter().copied().collect::<BTreeSet<_>>() == wanted
}

/// A server restarts its election timer exactly when a rule says so (FOL-2, CAN-1, CAN-3, CQ-1). It does so
/// when it starts, when its own timer fires, when it hears from the leader of its term, when it grants a
/// vote, when it stands for election, and when it steps down. Under check-quorum, it also does so when it is
/// elected. If anybody could restart it, a server that cannot win would keep others from standing.
pub fn election_timer_is_restarted_by_rule<S: StateMachine>(
    step: &ClusterOutput<'_, S>,
    parameters: &Parameters,
) -> bool {
    let (Some(before), Some(after)) = (step.before.state.server(), step.after.state.server())
    else {
        return true;
    };
    let election = ProcessTimer::Server(Timer::Election);
    let is_restart = |command: &ClusterCommand<S>| match command {
        Command::SetTimer(timer, _) => *timer == election,
        _ => false,
    };
    let is_grant = |command: &ClusterCommand<S>| match command {
        Command::Send(_, Message::RequestVoteResponse(args)) => args.vote_granted,
        _ => false,
    };
    let steps_down = before.is_leader() && !after.is_leader();
    let is_elected = !before.is_leader() && after.is_leader() && parameters.check_quorum;
    let stands = before.persistent.current_term < after.persistent.current_term
        && after.persistent.voted_for == Some(step.who);
    let is_due = match step.event {
        Event::Restart => true,
        Event::Timeout(timer) => *timer == election,
        Event::Deliver { msg: Message::AppendEntries(args), .. } => {
            let is_current = args.term == after.persistent.current_term;
            steps_down || (is_current && !after.is_leader() && !after.is_halted())
        }
        Event::Deliver { msg: Message::InstallSnapshot(args), .. } => {
            let is_current = args.term == after.persistent.current_term;
            steps_down || (is_current && !after.is_leader() && !after.is_halted())
        }
        _ => steps_down || stands || is_elected || step.out.iter().any(is_grant),
    };
    step.out.iter().any(is_restart) == is_due
}

// ---- indexes ----

/// `last_applied <= commit_index <= last log index`.
pub fn indexes_are_ordered<S: StateMachine>(_: Id, local: ClusterLocal<'_, S>) -> bool {
    local.state.server().is_none_or(|server| {
        server.last_applied <= server.commit_index
            && server.commit_index <= server.persistent.log.last_index()
    })
}

/// No server was asked to delete an entry that it had committed (GUARD-1).
pub fn no_committed_entry_is_contested<S: StateMachine>(_: Id, local: ClusterLocal<'_, S>) -> bool {
    local.state.server().is_none_or(|server| !server.is_halted())
}

/// `commit_index == last_applied` at the end of every step (ALL-1): a server applies a committed entry at
/// once.
pub fn committed_is_applied<S: StateMachine>(_: Id, local: ClusterLocal<'_, S>) -> bool {
    local.state.server().is_none_or(|server| server.last_applied == server.commit_index)
}

/// The commit index and `last_applied` of a server never decrease, unless it restarts.
pub fn commit_index_is_monotone<S: StateMachine>(step: &ClusterChange<'_, S>) -> bool {
    let Some((before, after)) = running(step) else { return true };
    before.commit_index <= after.commit_index && before.last_applied <= after.last_applied
}

/// A match index never decreases while its leader leads.
pub fn match_index_is_monotone<S: StateMachine>(step: &ClusterChange<'_, S>) -> bool {
    let Some((before, after)) = leading(step) else { return true };
    let (Some(before), Some(after)) = (before.leader(), after.leader()) else { return true };
    before.followers.iter().all(|(id, old)| {
        after.followers.get(id).is_some_and(|new| new.match_index >= old.match_index)
    })
}

/// `match_index < next_index <= last log index + 1` (`MatchIndexLowerBoundSentIndexInv`).
pub fn match_index_below_next_index<S: StateMachine>(_: Id, local: ClusterLocal<'_, S>) -> bool {
    let Some(server) = local.state.server() else { return true };
    let Some(leader) = server.leader() else { return true };
    let end = server.persistent.log.last_index().next();
    leader.followers.values().all(|it| it.match_index < it.next_index && it.next_index <= end)
}

/// The entry at a leader's match index for a server is on that server's disk (`MatchIndexAllEntries`). A
/// server that has moved on to a later term is exempt.
pub fn match_index_is_replicated<S: StateMachine>(a: Peer<'_, S>, b: Peer<'_, S>) -> bool {
    let Some(leader) = a.1.state.server() else { return true };
    let progress = leader.leader().and_then(|it| it.followers.get(&b.0));
    let Some(Progress { match_index, .. }) = progress else { return true };
    let Persistent { current_term, log, .. } = &leader.persistent;
    *match_index == Index(0)
        || b.1.storage.is_some_and(|saved| {
            let is_known = *match_index > log.start() && *match_index > saved.log.start();
            saved.current_term > *current_term
                || (*match_index <= saved.log.last_index()
                    && (!is_known || saved.log.get(*match_index) == log.get(*match_index)))
        })
}

/// A leader raises its commit index only to an entry of its own term (§5.4.2, CCF's
/// `NeverCommitEntryPrevTermsProp`).
pub fn commits_only_its_own_term<S: StateMachine>(step: &ClusterChange<'_, S>) -> bool {
    let Some((before, after)) = running(step) else { return true };
    !after.is_leader()
        || before.commit_index == after.commit_index
        || after.persistent.log.term(after.commit_index) == Some(after.persistent.current_term)
}

// ---- effects ----

/// A handler saves at most once, and before it sends anything. The models assume this when they take one
/// handler for one step.
pub fn saved_before_sent<S: StateMachine>(step: &ClusterOutput<'_, S>) -> bool {
    let position = |wanted: fn(&ClusterCommand<S>) -> bool| step.out.iter().position(wanted);
    let saves = step.out.iter().filter(|command| is_save(command)).count();
    match (position(is_save), position(is_send)) {
        (Some(save), Some(send)) => saves == 1 && save < send,
        _ => saves <= 1,
    }
}

type ClusterCommand<S> = Command<Message, ProcessTimer, (), Persistent<S>>;

fn is_save<S>(command: &ClusterCommand<S>) -> bool {
    matches!(command, Command::Save(_))
}

fn is_send<S>(command: &ClusterCommand<S>) -> bool {
    matches!(command, Command::Send(..))
}

/// A server sends only facts that are on its disk (`VoteDurableBeforeReply`, `AckDurableBeforeReply`,
/// `MessageTermsLtCurrentTerm`). These facts are its term, a vote, an acknowledged entry, and the place
/// where its log has parted from another one.
pub fn sends_only_what_is_durable<S: StateMachine>(step: &ClusterOutput<'_, S>) -> bool {
    if step.after.state.server().is_none() {
        return true;
    }
    let nothing = Persistent::default();
    let saved = step.after.storage.unwrap_or(&nothing);
    step.out.iter().all(|command| match command {
        Command::Send(to, msg) => is_justified(saved, *to, msg),
        _ => true,
    })
}

fn is_justified<S>(saved: &Persistent<S>, to: Id, msg: &Message) -> bool {
    match msg {
        Message::RequestVote(args) => {
            args.term == saved.current_term
                && (args.last_log_term, args.last_log_index) == saved.log.last()
        }
        Message::RequestVoteResponse(args) => {
            args.term == saved.current_term && (!args.vote_granted || saved.voted_for == Some(to))
        }
        Message::PreVote(args) => {
            args.next_term == saved.current_term.next()
                && (args.last_log_term, args.last_log_index) == saved.log.last()
        }
        Message::PreVoteResponse(args) => args.term == saved.current_term,
        Message::TimeoutNow(args) => {
            args.term == saved.current_term
                && (args.last_log_term, args.last_log_index) == saved.log.last()
        }
        Message::AppendEntries(args) => {
            let sent = (args.prev_log_index.0 + 1..).map(Index).zip(&args.entries);
            args.term == saved.current_term
                && (args.prev_log_index < saved.log.start()
                    || saved.log.term(args.prev_log_index) == Some(args.prev_log_term))
                && sent.into_iter().all(|(index, entry)| saved.log.get(index) == Some(entry))
        }
        Message::InstallSnapshot(args) => {
            args.term == saved.current_term && args.last_included_index <= saved.snapshot.last_index
        }
        Message::InstallSnapshotResponse(args) => args.term == saved.current_term,
        Message::AppendEntriesResponse(args) => {
            let log = &saved.log;
            let is_so = match args.outcome {
                Outcome::Match(index) => index <= log.last_index(),
                Outcome::Conflict { prev_log_index, term: None, index } => {
                    log.term(prev_log_index).is_none() && index == log.last_index().next()
                }
                Outcome::Conflict { prev_log_index, term, index } => {
                    log.term(prev_log_index) == term
                        && log.term(index) == term
                        && (index == log.start().next() || log.term(index.prev()) < term)
                }
                Outcome::StaleTerm => true,
            };
            args.term == saved.current_term && is_so
        }
        Message::ClientRequest(_) | Message::ClientResponse(_) => true,
    }
}

// ---- clients ----

/// Exactly once: a step applies each newly committed entry once, in the order of the log, and nothing else
/// changes the state machine and the sessions. No command of an unknown session is applied. A server that
/// restarts, or that has installed a snapshot, goes on from its snapshot. `Replay` computes all this by a
/// definition of its own, and "Snapshots hold what is committed" judges the snapshot.
pub fn exactly_once<S: StateMachine>(step: &ClusterChange<'_, S>) -> bool {
    let Some(after) = step.after.state.server() else { return true };
    let Persistent { snapshot, log, .. } = &after.persistent;
    // The entries that a server applies and drops in one step are known by the snapshot only.
    let went_on = running(step).filter(|(before, _)| before.last_applied >= log.start());
    let mut replay =
        went_on.map_or_else(|| Replay::of_snapshot(snapshot), |(before, _)| Replay::from(before));
    replay.go_on(|index| log.get(index), after.last_applied);
    replay.is_of(after)
}

/// A leader answers the entries of its own term as it applies them, in their order. Each answer goes to the
/// entry's client and says what the log determines. No other server answers, and no entry is answered
/// twice.
pub fn clients_are_told_what_was_applied<S: StateMachine>(step: &ClusterOutput<'_, S>) -> bool {
    let (Some(before), Some(after)) = (step.before.state.server(), step.after.state.server())
    else {
        return true;
    };
    let told = step.out.iter().filter_map(|command| match command {
        Command::Send(
            _,
            Message::ClientResponse(ClientResponse::Read { .. } | ClientResponse::Transfer { .. }),
        ) => None,
        Command::Send(to, Message::ClientResponse(response)) if !is_refusal(response) => {
            Some((*to, response.clone()))
        }
        _ => None,
    });
    if after.last_applied <= before.last_applied {
        return told.count() == 0;
    }
    let Persistent { current_term, log, .. } = &after.persistent;
    let entry_at = |index| log.get(index).or(before.persistent.log.get(index));
    let newly = Replay::from(before).go_on(entry_at, after.last_applied);
    let due = newly.into_iter().filter_map(|(entry, answer)| {
        answer.filter(|_| after.is_leader() && entry.term == *current_term)
    });
    told.eq(due)
}

fn is_refusal(response: &ClientResponse) -> bool {
    matches!(response, ClientResponse::NotLeader { .. } | ClientResponse::TooLarge { .. })
}

/// A server that does not lead answers with the leader it knows, if any, and does nothing else. A leader that
/// steps down refuses the reads that wait, and refers the client of a transfer to the server that is to lead.
/// A leader that hands over refuses all requests. Any other leader appends the request as its last entry,
/// refuses it if it is too large, or drops it. It drops a request only while some entry is uncommitted. An
/// entry that it appends is within the limits. Besides requests, only its election makes a leader's log grow.
pub fn requests_are_appended_or_refused<S: StateMachine>(
    step: &ClusterOutput<'_, S>,
    limits: &Parameters,
) -> bool {
    let (Some(before), Some(after)) = (step.before.state.server(), step.after.state.server())
    else {
        return true;
    };
    let refusals = step.out.iter().filter_map(|command| match command {
        Command::Send(to, Message::ClientResponse(response)) if is_refusal(response) => {
            Some((*to, response))
        }
        _ => None,
    });
    let refusals: Vec<_> = refusals.collect();
    let Event::Deliver { src, msg: Message::ClientRequest(request) } = step.event else {
        if !after.is_leader() && !matches!(step.event, Event::Restart) {
            let refusals = refusals.into_iter().map(|(to, response)| (to, response.clone()));
            return refusals.eq(refused_by_who_steps_down(before));
        }
        return refusals.is_empty() && (!before.is_leader() || ends_alike(before, after));
    };
    let sequence = request.sequence();
    let known = match &before.role {
        Role::Leader(_) => return is_taken(before, after, *src, request, &refusals, limits),
        Role::Follower { leader, .. } => *leader,
        Role::PreCandidate { .. } | Role::Candidate { .. } | Role::Halted(_) => None,
    };
    let refusal = ClientResponse::NotLeader { sequence, leader: known };
    before == after && step.out.len() == 1 && refusals == [(*src, &refusal)]
}

/// The refusals that a leader owes the clients whose requests wait when it steps down.
fn refused_by_who_steps_down<S>(before: &Server<S>) -> impl Iterator<Item = (Id, ClientResponse)> {
    let refusal =
        |client, sequence, leader| (client, ClientResponse::NotLeader { sequence, leader });
    let reads = before.leader().map_or(&[][..], |leader| &leader.reads[..]);
    let transfer = before.leader().and_then(|leader| leader.transfer);
    let reads = reads.iter().map(move |read| refusal(read.client, read.sequence, None));
    reads.chain(transfer.map(|it| refusal(it.client, it.sequence, Some(it.to))))
}

/// A leader answers a read once a majority has answered a round that began after the read came, and once it
/// has applied all that was committed then (thesis 6.4). The answer says what its state machine holds. A
/// leader answers each read as soon as that is so, and no other server answers reads.
pub fn reads_wait_for_a_round<S: StateMachine>(step: &ClusterOutput<'_, S>) -> bool {
    let (Some(before), Some(after)) = (step.before.state.server(), step.after.state.server())
    else {
        return true;
    };
    let answers = step.out.iter().filter_map(|command| match command {
        Command::Send(to, Message::ClientResponse(ClientResponse::Read { sequence, response })) => {
            Some((*to, *sequence, response.clone()))
        }
        _ => None,
    });
    let (Some(old), Some(new)) = (before.leader(), after.leader()) else {
        return answers.count() == 0;
    };
    let come = match step.event {
        Event::Deliver {
            src,
            msg: Message::ClientRequest(ClientRequest::Read { sequence, query }),
        } => {
            let (client, sequence, query) = (*src, *sequence, query.clone());
            let (round, index) = (old.round + 1, before.commit_index);
            Some(Read { client, sequence, query, round, index })
        }
        _ => None,
    };
    let is_due = |read: &&Read| new.has_answered(read.round) && read.index <= after.last_applied;
    // A server that is alone is a majority, and answers a read when it comes.
    let alone = come.iter().filter(|_| new.followers.is_empty());
    let due = old.reads.iter().chain(alone).filter(is_due);
    let due = due.map(|read| (read.client, read.sequence, after.machine.query(&read.query)));
    let is_right = |read: &Read| {
        let is_new = come.as_ref().is_some_and(|come| {
            (come.client, come.sequence, come.round) == (read.client, read.sequence, read.round)
                && read.index >= come.index
                && read.query == come.query
        });
        is_new || old.reads.contains(read)
    };
    answers.eq(due)
        && new.reads.iter().all(|read| is_right(read) && !is_due(&read))
        && new.followers.iter().all(|(id, progress)| {
            progress.round
                <= old.followers.get(id).map_or(0, |it| it.round).max(told_round(step, *id))
        })
}

impl<S> Leader<S> {
    /// Whether a majority has answered a round, the leader included.
    fn has_answered(&self, round: u64) -> bool {
        let answered = 1 + self.followers.values().filter(|it| it.round >= round).count();
        self.round >= round && answered > self.followers.len().div_ceil(2)
    }
}

/// The round that a follower has just answered in the leader's own term; zero if it has not.
fn told_round<S: StateMachine>(step: &ClusterOutput<'_, S>, follower: Id) -> u64 {
    let term = step.before.state.server().map(|server| server.persistent.current_term);
    match step.event {
        Event::Deliver { src, msg: Message::AppendEntriesResponse(args) }
            if *src == follower && Some(args.term) == term =>
        {
            args.round
        }
        _ => 0,
    }
}

/// Whether the two logs hold the same entries, but for entries that one of them has dropped.
fn ends_alike<S>(before: &Server<S>, after: &Server<S>) -> bool {
    let (old, new) = (&before.persistent.log, &after.persistent.log);
    old.last() == new.last() && new.iter().all(|(index, entry)| holds(old, index, entry))
}

/// Whether a leader has appended, refused or dropped a request as it should.
fn is_taken<S: StateMachine>(
    before: &Server<S>,
    after: &Server<S>,
    client: Id,
    request: &ClientRequest,
    refusals: &[(Id, &ClientResponse)],
    limits: &Parameters,
) -> bool {
    let hands_over = before.leader().is_some_and(|leader| leader.transfer.is_some());
    let payload = match request.clone() {
        // "Leadership moves by rule" judges transfers.
        ClientRequest::Transfer { .. } => return refusals.is_empty() && ends_alike(before, after),
        _ if hands_over => {
            let (sequence, leader) = (request.sequence(), None);
            let refusal = ClientResponse::NotLeader { sequence, leader };
            return before == after && refusals == [(client, &refusal)];
        }
        ClientRequest::Register { sequence } => {
            Payload::Register { client, sequence, max_sessions: limits.max_sessions }
        }
        ClientRequest::Command { session, sequence, command } => {
            Payload::Command { client, session, sequence, command }
        }
        // "Reads wait for a round" judges reads.
        ClientRequest::Read { .. } => return refusals.is_empty() && ends_alike(before, after),
    };
    let wanted = Entry { term: before.persistent.current_term, payload };
    let fits = wanted.size() <= limits.max_bytes;
    let (last, sequence) = (before.persistent.log.last_index(), request.sequence());
    if ends_alike(before, after) {
        let is_too_large = |(to, response): &(Id, &ClientResponse)| {
            *to == client
                && matches!(response, ClientResponse::TooLarge { sequence: of, .. } if *of == sequence)
        };
        return match refusals {
            [] => fits && before.commit_index < last,
            [refusal] => !fits && is_too_large(refusal),
            _ => false,
        };
    }
    let mut appended = before.persistent.log.clone();
    appended.append(wanted);
    let waiting = appended.iter().filter(|(index, _)| *index > before.commit_index);
    let bytes: u64 = waiting.map(|(_, entry)| entry.size() as u64).sum();
    fits && refusals.is_empty()
        && after.persistent.log == appended
        && last.0.saturating_sub(before.commit_index.0) < limits.max_uncommitted
        && bytes <= limits.max_uncommitted_bytes
}

/// An AppendEntries has at most `max_entries` entries, and at most `max_bytes` bytes of them unless it has
/// only one. A piece of a snapshot has at most `max_bytes` bytes.
pub fn messages_are_within_limits<S: StateMachine>(
    step: &ClusterOutput<'_, S>,
    limits: &Parameters,
) -> bool {
    step.out.iter().all(|command| match command {
        Command::Send(_, Message::AppendEntries(args)) => {
            let bytes: usize = args.entries.iter().map(Entry::size).sum();
            args.entries.len() <= limits.max_entries
                && (bytes <= limits.max_bytes || args.entries.len() == 1)
        }
        Command::Send(_, Message::InstallSnapshot(args)) => args.data.len() <= limits.max_bytes,
        _ => true,
    })
}

// ---- recovery ----

/// The latest term that any of these servers is in.
pub fn latest_term<S: StateMachine>(members: &[Peer<'_, S>]) -> Term {
    let servers = members.iter().filter_map(|(_, local)| local.state.server());
    servers.map(|server| server.persistent.current_term).max().unwrap_or_default()
}

/// One of these servers leads a term later than all terms at the start, and has committed an entry of that
/// term. That entry lies beyond everything committed before. All of these servers know that it is
/// committed: a server that never learned it would never apply an entry again.
pub fn recoverability<S: StateMachine>(start: &[Peer<'_, S>], now: &[Peer<'_, S>]) -> bool {
    let latest = latest_term(start);
    let servers = || now.iter().filter_map(|(_, local)| local.state.server());
    servers().any(|leader| {
        let Persistent { current_term, log, .. } = &leader.persistent;
        leader.is_leader()
            && *current_term > latest
            && log.term(leader.commit_index) == Some(*current_term)
            && servers().all(|server| server.commit_index >= leader.commit_index)
    })
}

/// A leader works: it has committed an entry of its term, and a majority that it reaches and hears knows so.
pub fn works<S: StateMachine>(group: &Group, now: &[Peer<'_, S>]) -> bool {
    let servers = || now.iter().filter_map(|(id, local)| Some((*id, local.state.server()?)));
    servers().any(|(id, leader)| {
        let Persistent { current_term, log, .. } = &leader.persistent;
        let is_with_it = |(other, server): &(Id, &Server<S>)| {
            let is_linked = group.is_linked(id, *other) && group.is_linked(*other, id);
            (*other == id || is_linked)
                && server.persistent.current_term == *current_term
                && server.commit_index >= leader.commit_index
        };
        leader.is_leader()
            && log.term(leader.commit_index) == Some(*current_term)
            && servers().filter(is_with_it).count() >= leader.members.majority()
    })
}

/// Whether a server's timers may fire: its leader, if it has one, does not lead any more or cannot reach it.
pub fn may_act<S: StateMachine>(group: &Group, now: &[Peer<'_, S>], who: Id) -> bool {
    let server = |id| now.iter().find(|it| it.0 == id).and_then(|it| it.1.state.server());
    let Some(Role::Follower { leader: Some(id), .. }) = server(who).map(|it| &it.role) else {
        return true;
    };
    let term = |server: &Server<S>| server.persistent.current_term;
    let leads = server(*id)
        .is_some_and(|leader| leader.is_leader() && Some(term(leader)) == server(who).map(term));
    !leads || !group.is_linked(*id, who)
}

// ---- reachability: a model that never gets here shows nothing by its other properties ----

/// Some server leads.
pub fn a_leader_is_elected<S: StateMachine>(view: &ClusterView<'_, S>) -> bool {
    servers(view).any(|(_, server)| server.is_leader())
}

/// Two servers lead at the same time, in different terms.
pub fn two_leaders_at_once<S: StateMachine>(view: &ClusterView<'_, S>) -> bool {
    servers(view).filter(|(_, server)| server.is_leader()).count() >= 2
}

/// Every server has committed some entry.
pub fn all_commit<S: StateMachine>(view: &ClusterView<'_, S>) -> bool {
    servers(view).all(|(_, server)| server.commit_index > Index(0))
}

/// Some server has taken or installed a snapshot.
pub fn a_server_has_a_snapshot<S: StateMachine>(view: &ClusterView<'_, S>) -> bool {
    servers(view).any(|(_, server)| server.persistent.snapshot.last_index > Index(0))
}

/// Some follower has received a part of a snapshot, while another server leads a later term.
pub fn a_leader_changes_between_pieces<S: StateMachine>(view: &ClusterView<'_, S>) -> bool {
    let latest = servers(view).filter(|(_, server)| server.is_leader());
    let latest = latest.map(|(_, server)| server.persistent.current_term).max();
    servers(view).any(|(_, server)| {
        server.incoming.is_some() && Some(server.persistent.current_term) < latest
    })
}

/// Some client has seen the outcome of all its commands.
pub fn a_client_is_done<S: StateMachine>(view: &ClusterView<'_, S>) -> bool {
    view.locals().filter_map(|local| local.state.client()).any(is_done)
}

/// Every client has seen the outcome of all its commands.
pub fn all_clients_are_done<S: StateMachine>(view: &ClusterView<'_, S>) -> bool {
    view.locals().filter_map(|local| local.state.client()).all(is_done)
}

fn is_done(client: &ClientState) -> bool {
    !client.outcomes.is_empty() && client.session.operation().is_none()
}

/// Two logs hold entries of different terms at the same index.
pub fn logs_diverge<S: StateMachine>(view: &ClusterView<'_, S>) -> bool {
    let logs: Vec<_> = servers(view).map(|(_, server)| &server.persistent.log).collect();
    logs.iter().any(|a| {
        logs.iter().any(|b| {
            a.iter().any(|(index, entry)| b.term(index).is_some_and(|term| term != entry.term))
        })
    })
}

/// Between (c) and (d) of Figure 8: the leader of the latest term lacks an entry that a majority has, and
/// may overwrite it. That takes four terms: the entry is made in the first, and the leader of the second
/// lacks it. The third brings the entry to the majority, and the fourth is the latest. Had the entry been
/// committed, Leader Completeness would not hold.
pub fn the_leader_lacks_what_a_majority_has<S: StateMachine>(view: &ClusterView<'_, S>) -> bool {
    let servers: Vec<_> = servers(view).map(|(_, server)| server).collect();
    let logs = servers.iter().map(|server| &server.persistent.log);
    let latest = servers.iter().map(|server| server.persistent.current_term).max();
    let leads =
        |server: &&&Server<S>| server.is_leader() && Some(server.persistent.current_term) == latest;
    let Some(leader) = servers.iter().find(leads) else { return false };
    let have =
        |index: Index, term: Term| logs.clone().filter(|log| log.term(index) == Some(term)).count();
    let lacks = |(index, entry): (Index, &Entry)| {
        leader.persistent.log.term(index) != Some(entry.term)
            && have(index, entry.term) > servers.len() / 2
    };
    logs.clone().any(|log| log.iter().any(lacks))
}

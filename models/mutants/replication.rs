//! Mutants of replication.

use super::scenes;
use super::wrapper::up_to;
use super::{Fault, Handled, MutantSpec};
use crate::kv::Kv;
use crate::models::spec::Spec;
use crate::raft::{Entry, Index, Log, Message, Outcome, Payload, Progress, Role, Server, Timer};
use stateright::actor::{Command, Id};

pub(super) fn list() -> Vec<MutantSpec> {
    vec![
        truncate_always(),
        conflicting_tail_kept(),
        conflict_cuts_to_commit(),
        append_twice(),
        append_without_check(),
        append_from_an_earlier_term(),
        gap_in_append(),
        heartbeat_stops(),
        match_from_refusal(),
        match_goes_backwards(),
        match_not_reset(),
        count_stale_ack(),
        next_below_match(),
        roll_back_on_new_term(),
        deposed_leader_appends(),
        leader_erases_entry(),
        batch_over_the_limit(),
    ]
}

fn truncate_always() -> MutantSpec {
    MutantSpec {
        name: "truncate-always",
        breaks: "AE-3",
        caught_by: "Committed is durable",
        seen_in: "microsoft/CCF#5991",
        about: "A late, short AppendEntries cuts acknowledged entries off.",
        story: "S0 sends S1 two entries, one after the other, and S1 acknowledges both; they are committed. \
                Then the first AppendEntries arrives a second time. S1 makes its log end where those \
                entries end, and the committed second one is gone.",
        difference: "the log is cut behind the new entries, conflict or not",
        spec: scenes::pair_with_client(),
        fault: Fault {
            after: |handled| {
                if let Some((_, last_new)) = handled.accepted() {
                    handled.server.persistent.log = up_to(&handled.server.persistent.log, last_new);
                }
            },
            ..Fault::NONE
        },
    }
}

fn conflicting_tail_kept() -> MutantSpec {
    MutantSpec {
        name: "conflicting-tail-kept",
        breaks: "AE-3",
        caught_by: "Logs are well-formed",
        seen_in: "mofa-org/mofa#1151",
        about: "A conflicting entry is replaced, but what follows it stays.",
        story: "S0 has entries of the terms 1 and 3 that were never committed. The leader of term 4 sends \
                its first entry, which conflicts at index 1. S0 replaces that one and keeps the other: an \
                entry of term 3 after one of term 4, which no leader ever had.",
        difference: "`log[index] = entry` without deleting all that follow it",
        spec: scenes::diverged(),
        fault: Fault {
            after: |handled| {
                let Some((_, last_new)) = handled.accepted() else { return };
                let old = &handled.before.persistent.log;
                let tail = old.iter().filter(|(index, _)| *index > last_new);
                let log = &handled.server.persistent.log;
                if log.last_index() == last_new {
                    let log = log.iter().chain(tail).map(|(_, entry)| entry.clone()).collect();
                    handled.server.persistent.log = log;
                }
            },
            ..Fault::NONE
        },
    }
}

fn conflict_cuts_to_commit() -> MutantSpec {
    MutantSpec {
        name: "conflict-cuts-to-commit",
        breaks: "AE-3",
        caught_by: "Committed is durable",
        seen_in: "vesoft-inc/nebula#2483",
        about: "A conflict deletes everything that is not known to be committed.",
        story: "S1 has acknowledged an entry of S0, which is committed, though S1 does not know, and has an \
                entry of its own behind it. S0 sends what belongs there. S1 sees the conflict and goes back \
                to its commit index, zero: the committed entry goes as well, to be sent again.",
        difference: "a conflict truncates to `commit_index` and not from the conflicting entry on",
        spec: scenes::unknown_commit(),
        fault: Fault {
            after: |handled| {
                let Some((args, last_new)) = handled.accepted() else { return };
                let prev_log_index = args.prev_log_index;
                let (old, new) = (&handled.before.persistent.log, &handled.server.persistent.log);
                let conflict = old
                    .iter()
                    .filter(|(index, _)| *index <= last_new)
                    .any(|(index, entry)| new.term(index) != Some(entry.term));
                if conflict {
                    let kept = up_to(old, handled.before.commit_index);
                    let index = kept.last_index().next();
                    handled.server.persistent.log = kept;
                    handled.answer(Outcome::Conflict { prev_log_index, term: None, index });
                }
            },
            ..Fault::NONE
        },
    }
}

fn append_twice() -> MutantSpec {
    MutantSpec {
        name: "append-twice",
        breaks: "AE-4",
        caught_by: "Leader has all entries of its term",
        seen_in: "willemt/raft#118",
        about: "Entries that follow the beginning of the log are appended without looking whether they \
                are there.",
        story: "S0 sends S1 its first entry. The network delivers it twice, and S1 appends it twice. At \
                index 2 it now has an entry of the leader's term that the leader does not have.",
        difference: "`prev_log_index == 0` appends to the end of the log",
        spec: scenes::pair(),
        fault: Fault {
            after: |handled| {
                let Some((args, _)) = handled.accepted() else { return };
                if args.prev_log_index == Index(0) {
                    let old = handled.before.persistent.log.iter().map(|(_, entry)| entry);
                    let log = old.chain(&args.entries).cloned().collect();
                    handled.server.persistent.log = log;
                }
            },
            ..Fault::NONE
        },
    }
}

fn append_without_check() -> MutantSpec {
    MutantSpec {
        name: "append-without-check",
        breaks: "AE-2",
        caught_by: "Log Matching",
        seen_in: "ktoso/akka-raft#32",
        about: "Entries are appended though the entry before them is another one.",
        story: "S1 has an entry of term 2 at index 1, where S0, which leads term 3, has one of term 1. S0 \
                sends what follows index 1. S1 appends it: both logs hold the same entry at index 2 and \
                different ones before it.",
        difference: "`prev_log_term` is not compared",
        spec: scenes::figure_8(),
        fault: Fault {
            after: |handled| {
                let Some(args) = handled.refused() else { return };
                let own = &handled.server.persistent.log;
                if own.last_index() < args.prev_log_index {
                    return;
                }
                let last_new = Index(args.prev_log_index.0 + args.entries.len() as u64);
                let kept = up_to(own, args.prev_log_index);
                let entries = kept.iter().map(|(_, entry)| entry).chain(&args.entries);
                handled.server.persistent.log = entries.cloned().collect();
                handled.answer(Outcome::Match(last_new));
            },
            ..Fault::NONE
        },
    }
}

fn append_from_an_earlier_term() -> MutantSpec {
    MutantSpec {
        name: "append-from-an-earlier-term",
        breaks: "AE-1",
        caught_by: "Committed is durable",
        seen_in: "ktoso/akka-raft#52",
        about: "A leader of an earlier term is obeyed.",
        story: "S1 leads term 2 and has committed its entry with S2. S0 does not know and sends S2 its own \
                entry of term 1. S2 follows and replaces the committed entry.",
        difference: "`term < current_term` is not refused",
        spec: scenes::deposed(),
        fault: Fault {
            before: |arriving| {
                let term = arriving.current_term();
                if let Message::AppendEntries(args) = &mut arriving.msg {
                    args.term = args.term.max(term);
                }
            },
            ..Fault::NONE
        },
    }
}

fn gap_in_append() -> MutantSpec {
    MutantSpec {
        name: "gap-in-append",
        breaks: "LDR-3",
        caught_by: "Log Matching",
        seen_in: "logcabin/logcabin#160",
        about: "When not all entries fit an AppendEntries, the ones left out are not the last ones.",
        story: "S0 has two entries for S1, and one fits. It leaves out the first and sends the second in \
                its place. S1 stores it one position too early: the same term at the same index, and \
                another entry.",
        difference: "an entry that does not fit is skipped, and the next one is packed",
        spec: scenes::pair_with_client(),
        fault: Fault {
            after: |handled| {
                let log = handled.server.persistent.log.clone();
                for command in &mut *handled.commands {
                    if let Command::Send(_, Message::AppendEntries(args)) = command
                        && let Some(entry) = log.get(args.prev_log_index.next().next())
                    {
                        args.entries = vec![entry.clone()];
                    }
                }
            },
            ..Fault::NONE
        },
    }
}

fn heartbeat_stops() -> MutantSpec {
    MutantSpec {
        name: "heartbeat-stops",
        breaks: "LDR-1",
        caught_by: "Timers suit the role",
        seen_in: "willemt/raft, WRaft#8 of SandTable",
        about: "A leader sends one heartbeat and no other.",
        story: "S0 is elected and sends a heartbeat, which is lost. Its timer is not armed again. It remains \
                a leader that sends nothing and that no timer will ever wake.",
        difference: "a heartbeat leaves the heartbeat timer unarmed",
        spec: scenes::pair(),
        fault: Fault {
            after: |handled| {
                if handled.event.is_none() && handled.before.is_leader() {
                    handled.commands.retain(|command| {
                        !matches!(command, Command::SetTimer(Timer::Heartbeat, _))
                    });
                }
            },
            ..Fault::NONE
        },
    }
}

/// What the server knows of a follower, if it leads.
fn progress(server: &mut Server<Kv>, follower: Id) -> Option<&mut Progress<Kv>> {
    if let Role::Leader(leader) = &mut server.role {
        leader.followers.get_mut(&follower)
    } else {
        None
    }
}

fn match_from_refusal() -> MutantSpec {
    MutantSpec {
        name: "match-from-refusal",
        breaks: "LDR-3b",
        caught_by: "Match index is replicated",
        seen_in: "microsoft/CCF#5325",
        about: "The index in a refusal is taken for one that matches.",
        story: "S0 leads term 3 and asks S1 about index 1, where S1 has an entry of term 2. S1 refuses and \
                names that index. S0 reads it as an acknowledgement: it now counts S1 for an entry that \
                S1 does not have.",
        difference: "`match_index` is raised by a refusal too",
        spec: scenes::figure_8(),
        fault: Fault {
            after: |handled| {
                let Some((src, Outcome::Conflict { prev_log_index, .. })) =
                    handled.append_entries_response()
                else {
                    return;
                };
                if let Some(progress) = progress(handled.server, src) {
                    progress.match_index = prev_log_index;
                }
            },
            ..Fault::NONE
        },
    }
}

fn match_goes_backwards() -> MutantSpec {
    MutantSpec {
        name: "match-goes-backwards",
        breaks: "LDR-3a",
        caught_by: "Match index is monotone",
        seen_in: "zhebrak/raftos#25",
        about: "An old acknowledgement lowers the match index.",
        story: "S1 acknowledges index 1 and then index 2. The first acknowledgement arrives once more, and \
                S0 believes that S1 has one entry only. It sends the rest again, and what it has counted \
                for the commit it counts no longer.",
        difference: "`match_index = index` without `index > match_index`",
        spec: scenes::pair_with_client(),
        fault: Fault {
            after: |handled| {
                if let Some((src, Outcome::Match(index))) = handled.append_entries_response()
                    && let Some(progress) = progress(handled.server, src)
                {
                    progress.match_index = index;
                }
            },
            ..Fault::NONE
        },
    }
}

fn match_not_reset() -> MutantSpec {
    MutantSpec {
        name: "match-not-reset",
        breaks: "LDR-3a",
        caught_by: "Match index is replicated",
        seen_in: "atomix/copycat#29",
        about: "A new leader believes that the others already have what it has.",
        story: "S0 has an entry of term 1 that nobody else has. It leads term 2 and starts with the match \
                indexes of before, as if the others had acknowledged it. It will never send them the \
                entry, and counts them for it.",
        difference: "`match_index` does not start at zero but at the last index of the new leader",
        spec: scenes::led_alone(),
        fault: Fault {
            after: |handled| {
                if handled.was_elected() {
                    let last = handled.before.persistent.log.last_index();
                    if let Role::Leader(leader) = &mut handled.server.role {
                        for progress in leader.followers.values_mut() {
                            progress.match_index = last;
                        }
                    }
                }
            },
            ..Fault::NONE
        },
    }
}

fn count_stale_ack() -> MutantSpec {
    MutantSpec {
        name: "count-stale-ack",
        breaks: "LDR-3a",
        caught_by: "Match index is replicated",
        seen_in: "databendlabs/openraft@cecb5de8",
        about: "An acknowledgement of an earlier term counts in this one.",
        story: "S0 leads term 1; S1 acknowledges its entry, but the answer is late. The leader of term 2 \
                replaces that entry on S0. S0 leads term 3, with another entry at that index, and the old \
                answer arrives: it counts S1 for an entry that S1 has never seen.",
        difference: "the term of a reply is not compared with `current_term`",
        spec: scenes::late_ack(),
        fault: Fault {
            before: |arriving| {
                let term = arriving.current_term();
                if let Message::AppendEntriesResponse(args) = &mut arriving.msg {
                    args.term = args.term.max(term);
                }
            },
            ..Fault::NONE
        },
    }
}

fn next_below_match() -> MutantSpec {
    MutantSpec {
        name: "next-below-match",
        breaks: "LDR-3b",
        caught_by: "Match index below next index",
        seen_in: "bakwc/PySyncObj#167",
        about: "An old refusal moves the next index back behind what is known to match.",
        story: "S1 refuses, S0 goes back, S1 accepts and acknowledges. Then the refusal arrives once more, \
                and S0 goes back again, to before what S1 has acknowledged. Each old refusal costs a round, \
                and with many of them there is no progress.",
        difference: "a refusal counts whichever position it is about",
        spec: scenes::figure_8(),
        fault: Fault {
            after: |handled| {
                let Some((src, Outcome::Conflict { index, .. })) =
                    handled.append_entries_response()
                else {
                    return;
                };
                if let Some(progress) = progress(handled.server, src) {
                    progress.next_index = index.min(progress.next_index).max(Index(1));
                }
            },
            ..Fault::NONE
        },
    }
}

fn roll_back_on_new_term() -> MutantSpec {
    MutantSpec {
        name: "roll-back-on-new-term",
        breaks: "ALL-2",
        caught_by: "Committed is durable",
        seen_in: "microsoft/CCF#5674",
        about: "A server that hears of a later term drops what it does not know to be committed.",
        story: "S1 has acknowledged an entry, and S0 has committed it, which S1 does not know yet. S1 hears \
                of a later term and drops everything behind its commit index. The committed entry is on \
                one of three servers now.",
        difference: "a later term truncates the log to `commit_index`",
        spec: scenes::leader_change(),
        fault: Fault {
            before: |arriving| {
                if arriving.term() > Some(arriving.current_term()) {
                    let server = &mut *arriving.server;
                    server.persistent.log = up_to(&server.persistent.log, server.commit_index);
                }
            },
            ..Fault::NONE
        },
    }
}

fn deposed_leader_appends() -> MutantSpec {
    MutantSpec {
        name: "deposed-leader-appends",
        breaks: "LDR-2",
        caught_by: "Leader has all entries of its term",
        seen_in: "camunda/camunda#5360",
        about: "A request that is under way when the leader steps down is appended with the new term.",
        story: "S0 leads term 1 and is about to append an entry when it hears of term 2. It steps down and \
                appends the entry all the same, stamped with term 2, which S1 leads. The two logs may hold \
                different entries of the same term at the same index, and nobody will notice.",
        difference: "the role is tested before the term is adopted, the entry is stamped after it",
        spec: Spec { max_received: None, watch: scenes::ELECTIONS, ..scenes::elections() },
        fault: Fault {
            after: |handled| {
                if handled.before.is_leader() && !handled.server.is_leader() {
                    let client = Id::from(handled.server.members.len());
                    let payload = Payload::Register { client, sequence: 1, max_sessions: 1 };
                    let term = handled.server.persistent.current_term;
                    handled.server.persistent.log.append(Entry { term, payload });
                }
            },
            ..Fault::NONE
        },
    }
}

fn leader_erases_entry() -> MutantSpec {
    MutantSpec {
        name: "leader-erases-entry",
        breaks: "LDR-2",
        caught_by: "Leader Append-Only",
        seen_in: "canonical/raft#320",
        about: "A leader that cannot write an entry takes it back and goes on leading.",
        story: "S0 takes a command, sends it to its follower, and the write to its own disk fails. It drops \
                the entry and uses the index again for the next command, in the same term. The follower \
                sees an entry of that term at that index and keeps the old one.",
        difference: "a failed write truncates the leader's log instead of ending its reign",
        spec: scenes::pair_with_client(),
        fault: Fault { after: take_back, ..Fault::NONE },
    }
}

/// Takes back the leader's last entry when the next heartbeat is due, as if its write had failed.
fn take_back(handled: &mut Handled<'_>) {
    let log: &Log = &handled.server.persistent.log;
    let last = log.last_index();
    let of_client = log.get(last).is_some_and(|entry| entry.payload != Payload::Noop);
    let leads = handled.before.is_leader() && handled.server.is_leader();
    if handled.event.is_none() && leads && of_client && last > handled.server.commit_index {
        handled.server.persistent.log = up_to(log, last.prev());
    }
}

fn batch_over_the_limit() -> MutantSpec {
    MutantSpec {
        name: "batch-over-the-limit",
        breaks: "LDR-3",
        caught_by: "Messages are within limits",
        seen_in: "tikv/raft-rs#326",
        about: "An entry that is ready is added to a message that is full.",
        story: "S0 led term 1, restarts and leads term 2. S1 has neither of its no-ops and says so. A message \
                may carry one entry, and S0 sends both in one.",
        difference: "the limit is compared with what the message holds, not with what it is going to hold",
        spec: Spec { max_term: 2, restarts: true, ..scenes::pair() },
        fault: Fault {
            after: |handled| {
                let log = &handled.server.persistent.log;
                for command in &mut *handled.commands {
                    if let Command::Send(_, Message::AppendEntries(args)) = command
                        && !args.entries.is_empty()
                    {
                        let next = args.prev_log_index.0 + args.entries.len() as u64 + 1;
                        args.entries.extend(log.get(Index(next)).cloned());
                    }
                }
            },
            ..Fault::NONE
        },
    }
}

//! Mutants of persistence: which state is on the disk, and when.
//!
//! A write that comes too late is a `Save` in a step of its own, by `ProcessTimer::Flush`. Until that step,
//! a restart finds the state that was saved before.

use super::scenes;
use super::{Fault, Handled, MutantSpec, Written};
use crate::kv::Kv;
use crate::models::spec::Spec;
use crate::raft::{Log, Message, Outcome, Persistent, Server, Term};
use stateright::actor::Command;

pub(super) fn list() -> Vec<MutantSpec> {
    vec![
        vote_not_persisted(),
        term_not_persisted(),
        vote_sent_before_saved(),
        saved_last(),
        vote_saved_after_term(),
        fresh_after_damage(),
        ack_before_saved(),
        retransmission_acked_before_saved(),
        leader_counts_unsaved(),
        applied_before_saved(),
        entry_saved_before_term(),
        log_tail_lost(),
        truncation_not_saved(),
    ]
}

fn vote_not_persisted() -> MutantSpec {
    MutantSpec {
        name: "vote-not-persisted",
        breaks: "STORE",
        caught_by: "Election Safety",
        seen_in: "NodeDB-Lab/nodedb#161",
        about: "A server that restarts has forgotten its vote and votes again in the same term.",
        story: "S1 votes for S0 in term 1, and S0 is elected. S1 restarts. It still knows the term, but not \
                its vote, and votes for S2 in term 1: a second leader.",
        difference: "`voted_for` is not among what is saved",
        spec: scenes::election(),
        fault: Fault {
            save: |_, after| {
                Written::All(Persistent { voted_for: None, ..after.persistent.clone() })
            },
            ..Fault::NONE
        },
    }
}

fn term_not_persisted() -> MutantSpec {
    MutantSpec {
        name: "term-not-persisted",
        breaks: "STORE",
        caught_by: "Election Safety",
        seen_in: "ongardie/raft.tla#5",
        about: "A server that restarts is in term 0 and meets every term as a new one.",
        story: "S1 votes for S0 in term 1, and S0 is elected. S1 restarts in term 0. The request of S2, of \
                term 1, is of a later term to it, which frees its vote: S2 is elected as well.",
        difference: "`current_term` is not among what is saved",
        spec: scenes::election(),
        fault: Fault {
            save: |_, after| {
                Written::All(Persistent { current_term: Term(0), ..after.persistent.clone() })
            },
            ..Fault::NONE
        },
    }
}

fn vote_sent_before_saved() -> MutantSpec {
    MutantSpec {
        name: "vote-sent-before-saved",
        breaks: "STORE",
        caught_by: "Election Safety",
        seen_in: "robustmq/robustmq#2039",
        about: "A vote is sent while it is still being written.",
        story: "S1 sends its vote to S0 and starts to write it down. It crashes before the write is done. S0 \
                is elected by that vote; S1 knows nothing of it and votes for S2 in the same term.",
        difference: "the answer leaves before the save is durable",
        spec: scenes::election(),
        fault: Fault {
            save: |before, after| {
                if before.persistent.voted_for == after.persistent.voted_for {
                    Written::All(after.persistent.clone())
                } else {
                    Written::Nothing
                }
            },
            ..Fault::NONE
        },
    }
}

fn saved_last() -> MutantSpec {
    MutantSpec {
        name: "saved-last",
        breaks: "STORE",
        caught_by: "Saved before sent",
        seen_in: "etcd-io/raft README.md",
        about: "A handler puts its messages out first and what is to be saved last. The README of etcd's \
                library warns those who write the loop around it of just that. In a model, where a handler \
                is one step, it can do no harm; in a program that does what it is told in order, a crash \
                between the two loses the vote that has left.",
        story: "S0 starts an election, puts out its requests for votes, and then that it is in term 1 and \
                has voted for itself.",
        difference: "`send(answer); save(persistent)`",
        spec: scenes::election(),
        fault: Fault { save: |_, after| Written::Last(after.persistent.clone()), ..Fault::NONE },
    }
}

fn vote_saved_after_term() -> MutantSpec {
    MutantSpec {
        name: "vote-saved-after-term",
        breaks: "STORE",
        caught_by: "Election Safety",
        seen_in: "hashicorp/raft#661",
        about: "Term and vote are two writes, and the answer leaves between them.",
        story: "S1 writes that it is in term 1, answers S0 with its vote and then writes the vote. It \
                crashes in between: on its disk are the new term and no vote. It votes for S2 in term 1 \
                as well.",
        difference: "`save(term); send(answer); save(vote)`",
        spec: scenes::election(),
        fault: Fault { save: term_first, ..Fault::NONE },
    }
}

/// Writes the new term first; the vote follows later.
pub(super) fn term_first(before: &Server<Kv>, after: &Server<Kv>) -> Written {
    let (old, new) = (&before.persistent, after.persistent.clone());
    let voted_for = old.voted_for.filter(|_| old.current_term == new.current_term);
    if voted_for == new.voted_for {
        Written::All(new)
    } else {
        Written::First(Persistent { voted_for, ..new })
    }
}

fn fresh_after_damage() -> MutantSpec {
    MutantSpec {
        name: "fresh-after-damage",
        breaks: "STORE",
        caught_by: "Election Safety",
        seen_in: "stateright/stateright src/actor/spawn.rs",
        about: "A server whose store cannot be read starts as if it were new.",
        story: "S1 votes for S0 in term 1. It restarts, cannot make sense of its file, and starts with \
                nothing. To S2, which asks it for a vote in term 1, it is a server that has never voted.",
        difference: "an error of loading is treated as an empty store",
        spec: scenes::election(),
        fault: Fault { load: |_| Persistent::default(), ..Fault::NONE },
    }
}

/// Writes a follower's new entries later, and everything else at once.
fn entries_later(before: &Server<Kv>, after: &Server<Kv>) -> Written {
    if after.is_leader() || before.persistent.log == after.persistent.log {
        Written::All(after.persistent.clone())
    } else {
        Written::Nothing
    }
}

fn ack_before_saved() -> MutantSpec {
    MutantSpec {
        name: "ack-before-saved",
        breaks: "STORE",
        caught_by: "Committed is durable",
        seen_in: "tikv/tikv#994",
        about: "A follower acknowledges an entry that is not on its disk yet.",
        story: "S1 takes an entry over, acknowledges it and starts to write it. S0 counts it and commits. \
                The entry is on one disk of three: a crash of S1, and the other two may elect a leader \
                without it.",
        difference: "AppendEntries are answered before the save is durable",
        spec: Spec { restarts: false, ..scenes::replication() },
        fault: Fault { save: entries_later, ..Fault::NONE },
    }
}

/// Holds back the acknowledgement of entries that are still being written.
fn withhold_ack(handled: &mut Handled<'_>) {
    if handled.before.persistent.log != handled.server.persistent.log {
        handled.commands.retain(|command| match command {
            Command::Send(_, Message::AppendEntriesResponse(response)) => {
                !matches!(response.outcome, Outcome::Match(_))
            }
            _ => true,
        });
    }
}

fn retransmission_acked_before_saved() -> MutantSpec {
    MutantSpec {
        name: "retransmission-acked-before-saved",
        breaks: "STORE",
        caught_by: "Committed is durable",
        seen_in: "yugabyte/yugabyte-db#32875",
        about: "New entries are acknowledged when they are written, a second copy of them at once.",
        story: "S1 takes an entry over and, rightly, does not answer before it is written. The AppendEntries \
                arrive again. There is nothing new in them, so nothing to wait for: S1 acknowledges the \
                entry, which is still being written. S0 commits what is on one disk of three.",
        difference: "the answer waits for its own save, not for the saves before it",
        spec: Spec { restarts: false, ..scenes::replication() },
        fault: Fault { after: withhold_ack, save: entries_later, ..Fault::NONE },
    }
}

fn leader_counts_unsaved() -> MutantSpec {
    MutantSpec {
        name: "leader-counts-unsaved",
        breaks: "STORE",
        caught_by: "Committed is durable",
        seen_in: "databendlabs/openraft@a9f696a9",
        about: "A leader counts its own copy of an entry before that copy is on its disk.",
        story: "S0 appends an entry, sends it and starts to write it. S1 acknowledges, and S0 counts two \
                copies of three. Its own is not on its disk: after a crash only S1 has the entry.",
        difference: "the leader's own log counts as matching up to its end in memory",
        spec: Spec { restarts: false, ..scenes::replication() },
        fault: Fault {
            save: |before, after| {
                if after.is_leader() && before.persistent.log != after.persistent.log {
                    Written::Nothing
                } else {
                    Written::All(after.persistent.clone())
                }
            },
            ..Fault::NONE
        },
    }
}

fn applied_before_saved() -> MutantSpec {
    MutantSpec {
        name: "applied-before-saved",
        breaks: "STORE",
        caught_by: "Committed is kept",
        seen_in: "canonical/raft@a3bc60b",
        about: "A follower applies a committed entry that is not on its own disk yet.",
        story: "S1 receives an entry together with the news that it is committed. It starts to write it, \
                does not acknowledge it, but applies it. After a crash it has lost an entry whose effect \
                somebody may have seen.",
        difference: "`commit_index` may go beyond what is saved",
        spec: Spec { servers: 3, ..scenes::replication() },
        fault: Fault { after: withhold_ack, save: entries_later, ..Fault::NONE },
    }
}

fn entry_saved_before_term() -> MutantSpec {
    MutantSpec {
        name: "entry-saved-before-term",
        breaks: "STORE",
        caught_by: "Committed is durable",
        seen_in: "databendlabs/openraft docs/protocol/io_ordering.md",
        about: "An entry is written before the term that justifies it, and acknowledged in between.",
        story: "S4 hears of term 2 by an AppendEntries of its leader, writes the entry, acknowledges it, and \
                crashes before it writes the term. With that acknowledgement the entry is committed. S4 \
                is in term 0 again, obeys the leader of term 1, and replaces the entry.",
        difference: "`save(log); send(answer); save(term)`",
        spec: scenes::five_deposed(),
        fault: Fault {
            save: |before, after| {
                let (old, new) = (&before.persistent, after.persistent.clone());
                if old.log == new.log || old.current_term == new.current_term {
                    return Written::All(new);
                }
                Written::First(Persistent { log: new.log, ..old.clone() })
            },
            ..Fault::NONE
        },
    }
}

fn log_tail_lost() -> MutantSpec {
    MutantSpec {
        name: "log-tail-lost",
        breaks: "STORE",
        caught_by: "Leader Completeness",
        seen_in: "eBay/NuRaft#185",
        about: "A damaged end of the log is cut off at the start, and the server goes on as a voter.",
        story: "S0 has committed an entry with S1. S1 restarts, finds the last record of its log damaged and \
                drops it. S2, which never had the entry, stands for election; to S1 its log is as good as \
                its own now. The new leader lacks a committed entry.",
        difference: "a log that ends in damage is loaded without its last entry",
        spec: Spec { restarts: true, ..scenes::leader_change() },
        fault: Fault {
            load: |persistent| {
                let last = persistent.log.last_index();
                let kept = persistent.log.iter().filter(|(index, _)| *index < last);
                let log = kept.map(|(_, entry)| entry.clone()).collect();
                Persistent { log, ..persistent }
            },
            ..Fault::NONE
        },
    }
}

fn truncation_not_saved() -> MutantSpec {
    MutantSpec {
        name: "truncation-not-saved",
        breaks: "STORE",
        caught_by: "Logs are well-formed",
        seen_in: "etcd-io/etcd#22442",
        about: "Entries that were deleted are back after a restart.",
        story: "S0 has two entries of its own; the leader of term 4 replaces them by one. The new entry is \
                written over the first, but nothing is written about the second. When S0 restarts, it \
                has an entry of term 3 behind one of term 4.",
        difference: "a save writes entries and deletes none",
        spec: scenes::diverged(),
        fault: Fault {
            save: |before, after| {
                let (old, new) = (&before.persistent.log, &after.persistent.log);
                let last = new.last_index();
                let tail = old.iter().filter(|(index, _)| *index > last);
                let log: Log = new.iter().chain(tail).map(|(_, entry)| entry.clone()).collect();
                Written::All(Persistent { log, ..after.persistent.clone() })
            },
            ..Fault::NONE
        },
    }
}

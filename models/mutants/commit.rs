//! Mutants that commit or apply the wrong entries.

use super::scenes;
use super::{Fault, MutantSpec};
use crate::kv::Kv;
use crate::models::operations;
use crate::models::spec::Spec;
use crate::raft::{Index, Payload, Server};
use crate::state_machine::StateMachine;

pub(super) fn list() -> Vec<MutantSpec> {
    vec![
        commit_older_term(),
        commit_without_majority(),
        commit_unsorted(),
        commit_unclamped(),
        commit_on_refusal(),
        commit_goes_backwards(),
        applied_before_committed(),
        applies_only_the_last(),
        applies_one_at_a_time(),
    ]
}

fn commit_older_term() -> MutantSpec {
    MutantSpec {
        name: "commit-older-term",
        breaks: "LDR-4",
        caught_by: "Leader Completeness",
        seen_in: "logcabin/logcabin#44",
        about: "Figure 8: an entry of an older term, committed by counting, is overwritten.",
        story: "S0 leads term 3 and has brought its entry of term 1 to S2, a majority. It takes that for \
                committed. But S1 has an entry of term 2, which is later, so S2 votes for it: the leader \
                of term 4 lacks the entry and overwrites it.",
        difference: "a majority of `match_index` commits, whatever the entry's term",
        spec: scenes::figure_8(),
        fault: Fault {
            after: |handled| {
                let majority = handled.server.members.majority();
                if let Some(matched) = sorted_matches(handled.server) {
                    let commit_index = &mut handled.server.commit_index;
                    *commit_index = matched[majority - 1].max(*commit_index);
                }
            },
            ..Fault::NONE
        },
    }
}

/// The match index of every server, the greatest first. The leader's own last index is included.
fn sorted_matches(server: &Server<Kv>) -> Option<Vec<Index>> {
    let mut matched = matches(server)?;
    matched.sort_unstable_by(|a, b| b.cmp(a));
    Some(matched)
}

fn matches(server: &Server<Kv>) -> Option<Vec<Index>> {
    let own = server.persistent.log.last_index();
    let others = server.leader()?.followers.values().map(|it| it.match_index);
    Some(std::iter::once(own).chain(others).collect())
}

/// Commits up to an index, if the entry there is of the leader's term.
fn commit_of_this_term(server: &mut Server<Kv>, index: Index) {
    let persistent = &server.persistent;
    if persistent.log.term(index) == Some(persistent.current_term) {
        server.commit_index = server.commit_index.max(index);
    }
}

fn commit_without_majority() -> MutantSpec {
    MutantSpec {
        name: "commit-without-majority",
        breaks: "LDR-4",
        caught_by: "Committed is durable",
        seen_in: "willemt/raft#15",
        about: "The leader counts one server too few: one of three commits alone.",
        story: "S0 is elected and appends its no-op. It counts itself, needs only one of three, and commits \
                at once. If it crashes now, the other two elect a leader that has never seen the entry.",
        difference: "`matched[majority - 2]` instead of `matched[majority - 1]`",
        spec: Spec { watch: scenes::COMMITS, ..scenes::elections() },
        fault: Fault {
            after: |handled| {
                // A server alone has no other server to leave out.
                let fewer = handled.server.members.majority().saturating_sub(2);
                if let Some(matched) = sorted_matches(handled.server) {
                    commit_of_this_term(handled.server, matched[fewer]);
                }
            },
            ..Fault::NONE
        },
    }
}

fn commit_unsorted() -> MutantSpec {
    MutantSpec {
        name: "commit-unsorted",
        breaks: "LDR-4",
        caught_by: "Committed is durable",
        seen_in: "databendlabs/openraft#1802",
        about: "The median of the match indexes is taken from a list that is not sorted.",
        story: "S0 leads five servers. The third place of its list of match indexes is that of S2, which \
                has just acknowledged an entry. S0 commits it, with two copies of the three it needs.",
        difference: "`matched` is not sorted before `matched[majority - 1]` is taken",
        spec: scenes::five(),
        fault: Fault {
            after: |handled| {
                let majority = handled.server.members.majority();
                if let Some(matched) = matches(handled.server) {
                    commit_of_this_term(handled.server, matched[majority - 1]);
                }
            },
            ..Fault::NONE
        },
    }
}

fn commit_unclamped() -> MutantSpec {
    MutantSpec {
        name: "commit-unclamped",
        breaks: "AE-5",
        caught_by: "Indexes are ordered",
        seen_in: "camunda/camunda#30354",
        about: "A follower believes committed what it does not have.",
        story: "S0 and S1 have committed two entries. S2 gets the first of them, together with the news \
                that two are committed, and sets its commit index to 2. Whatever it will get at index 2 \
                it applies at once.",
        difference: "`commit_index = leader_commit`, without the index of the last new entry",
        spec: Spec { servers: 3, ..scenes::pair_with_client() },
        fault: Fault {
            after: |handled| {
                if let Some((args, _)) = handled.accepted() {
                    let commit_index = handled.server.commit_index.max(args.leader_commit);
                    handled.server.commit_index = commit_index;
                }
            },
            ..Fault::NONE
        },
    }
}

fn commit_on_refusal() -> MutantSpec {
    MutantSpec {
        name: "commit-on-refusal",
        breaks: "AE-2",
        caught_by: "State Machine Safety",
        seen_in: "eBay/NuRaft#57",
        about: "A follower takes over the leader's commit index though it has refused the entries.",
        story: "S0 leads term 3 and has committed with S2. S1 has a stale entry of term 2 at index 1, so it \
                refuses the AppendEntries of S0. It looks at the commit index all the same and applies \
                its stale entry, where the others have applied another one.",
        difference: "`commit_index` follows `leader_commit` before the log is compared",
        spec: scenes::figure_8(),
        fault: Fault {
            after: |handled| {
                let Some(args) = handled.refused() else { return };
                let known = args.leader_commit.min(handled.server.persistent.log.last_index());
                handled.server.commit_index = handled.server.commit_index.max(known);
            },
            ..Fault::NONE
        },
    }
}

fn commit_goes_backwards() -> MutantSpec {
    MutantSpec {
        name: "commit-goes-backwards",
        breaks: "AE-5",
        caught_by: "Commit index is monotone",
        seen_in: "bakwc/PySyncObj#166",
        about: "A late AppendEntries lowers the commit index.",
        story: "S1 learns that its first entry is committed. The AppendEntries that brought the entry, sent \
                when nothing was committed yet, arrives once more, and S1 believes it.",
        difference: "`commit_index = min(leader_commit, last_new)` without `leader_commit > commit_index`",
        spec: scenes::pair(),
        fault: Fault {
            after: |handled| {
                if let Some((args, last_new)) = handled.accepted() {
                    handled.server.commit_index = args.leader_commit.min(last_new);
                }
            },
            ..Fault::NONE
        },
    }
}

fn applied_before_committed() -> MutantSpec {
    MutantSpec {
        name: "applied-before-committed",
        breaks: "ALL-1",
        caught_by: "Indexes are ordered",
        seen_in: "MartinKalema/horizontal-scaling-convex#146",
        about: "An entry is applied as soon as it is in the log.",
        story: "S0 is elected, appends an entry and applies it before anybody else has it. If another \
                leader comes, the entry is replaced, but what it did to the state machine stays.",
        difference: "`last_applied` follows the log's last index, not `commit_index`",
        spec: scenes::pair(),
        fault: Fault {
            after: |handled| {
                handled.server.last_applied = handled.server.persistent.log.last_index();
            },
            ..Fault::NONE
        },
    }
}

fn applies_only_the_last() -> MutantSpec {
    MutantSpec {
        name: "applies-only-the-last",
        breaks: "ALL-1",
        caught_by: "Exactly once",
        seen_in: "etcd-io/etcd@8ecce32",
        about: "When several entries become committed at once, not all of them are applied.",
        story: "S0 has committed and applied a put, and restarts. It is elected again, and with its new no-op \
                the whole log is committed in one go. It applies the end of it and believes that it has \
                applied it all: the put is in the log and not in the state machine.",
        difference: "`last_applied = commit_index` without applying what lies between",
        spec: Spec {
            max_term: 2,
            restarts: true,
            ..scenes::alone(vec![vec![operations::put("1")]], 1)
        },
        fault: Fault {
            after: |handled| {
                let last = handled.server.last_applied;
                if last <= handled.before.last_applied.next() {
                    return;
                }
                handled.server.machine = handled.before.machine.clone();
                let entry = handled.server.persistent.log.get(last);
                if let Some(Payload::Command { command, .. }) = entry.map(|entry| &entry.payload) {
                    handled.server.machine.apply(command);
                }
            },
            ..Fault::NONE
        },
    }
}

fn applies_one_at_a_time() -> MutantSpec {
    MutantSpec {
        name: "applies-one-at-a-time",
        breaks: "ALL-1",
        caught_by: "Committed is applied",
        seen_in: "willemt/raft#54",
        about: "Each message applies at most one entry, however many have become committed.",
        story: "S0 has committed and applied its no-op, and restarts. It is elected again, and with its new \
                no-op two entries are committed in one go. It applies the first, and the second only \
                when something else happens.",
        difference: "`if` instead of `while commit_index > last_applied`",
        spec: Spec { max_term: 2, restarts: true, ..scenes::alone(Vec::new(), 1) },
        fault: Fault {
            after: |handled| {
                let next = handled.before.last_applied.next();
                if handled.server.last_applied > next {
                    // Only no-ops are applied here, and they change nothing else.
                    handled.server.last_applied = next;
                }
            },
            ..Fault::NONE
        },
    }
}

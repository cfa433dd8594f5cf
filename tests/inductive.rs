//! Ind is inductive for the actor on small domains, and is not for mutants of it.

use checked_raft::models::inductive::conjuncts::{Conjunct, Ind};
use checked_raft::models::inductive::domain::DOMAINS;
use checked_raft::models::inductive::step::KINDS;
use checked_raft::models::inductive::{EFFECTS, Report, sample, step, words};
use checked_raft::models::mutants;

/// Fails with the counterexample, if there is one.
#[track_caller]
fn assert_inductive(report: &Report, servers: usize) {
    assert_eq!(report.not_implied, None, "Ind implies the properties of Figure 3");
    let actor = step::actor(servers, None);
    if let Some(failure) = &report.failure {
        panic!("a step leads out of Ind:\n{}", words::failure(&actor, failure).join("\n"));
    }
}

/// Each role, each kind of event and each effect occurs. Only a candidate cannot get a heartbeat timeout, and
/// neither can a follower: the timer is the leader's. A leader has no election timeout.
#[track_caller]
fn assert_complete(report: &Report) {
    for (role, counts) in ["follower", "candidate", "leader"].into_iter().zip(&report.of_kind) {
        for (kind, count) in KINDS.into_iter().zip(counts) {
            let leads = role == "leader";
            let is_possible = match kind {
                "election timeout" => !leads,
                "heartbeat timeout" => leads,
                _ => true,
            };
            assert_eq!(*count > 0, is_possible, "{role}, {kind}: {count} steps");
        }
    }
    for (effect, count) in EFFECTS.into_iter().zip(report.effects) {
        assert!(count > 0, "in no step, {effect}");
    }
}

#[test]
fn ind_is_inductive_on_each_domain_and_every_handler_runs() {
    let pinned = [(1_404, 34_392), (13_258, 738_108), (17_110, 401_238)];
    for (domain, pinned) in DOMAINS.into_iter().zip(pinned) {
        let report = domain.check(&step::actor(domain.servers, None), Ind::ALL);
        assert_inductive(&report, domain.servers);
        assert_eq!((report.states, report.steps), pinned, "{}", domain.text());
        if domain.terms > 1 {
            assert_complete(&report);
        }
    }
}

#[test]
fn samples_of_a_larger_domain_do_not_leave_ind() {
    let servers = sample::DOMAIN.servers;
    let report = sample::check(sample::DOMAIN, &step::actor(servers, None), Ind::ALL, 1, 100_000);
    assert_inductive(&report, servers);
    assert_complete(&report);
}

#[test]
fn the_same_seed_draws_the_same_samples() {
    let servers = sample::DOMAIN.servers;
    let figures = |seed| {
        let actor = step::actor(servers, None);
        let report = sample::check(sample::DOMAIN, &actor, Ind::ALL, seed, 2_000);
        (report.states, report.steps, report.bystanders)
    };
    assert_eq!(figures(7), figures(7));
    assert_ne!(figures(7), figures(8));
}

/// The page that says what is claimed.
const PAGE: &str = include_str!("../docs/induction.md");

#[test]
fn mutants_lead_out_of_ind() {
    let domain = DOMAINS[0];
    let (_, table) = PAGE.split_once("| mutant | conjunct |").expect("a table of mutants");
    let cells = |row: &'static str| row.strip_prefix("| ")?.strip_suffix("` |")?.split_once(" | `");
    let rows: Vec<_> = table.lines().filter_map(cells).collect();
    assert_eq!(rows.len(), 41, "the page tells of 41 mutants");
    for (name, conjunct) in rows {
        let mutant = mutants::find(name).expect("a mutant of the catalogue");
        let actor = step::actor(domain.servers, Some(mutant.fault));
        let failure = domain.check(&actor, Ind::ALL).failure;
        let failure = failure.unwrap_or_else(|| panic!("{name} keeps Ind"));
        assert_eq!(failure.conjunct.name(), conjunct, "{name}");
        let lines = words::failure(&actor, &failure);
        assert!(lines.iter().any(|line| line.starts_with("broken: ")), "{lines:?}");
    }
}

#[test]
fn every_conjunct_has_a_name_of_its_own_and_a_row_in_the_documentation() {
    for conjunct in Conjunct::ALL {
        let row = format!("| {} |", conjunct.name());
        assert_eq!(PAGE.matches(&row).count(), 1, "docs/induction.md: {row}");
    }
}

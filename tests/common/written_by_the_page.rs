//! A test that the page has written, word for word but for this line.

use checked_raft::models::{mutants, script::Runner};

#[test]
fn the_path_is_taken() {
    let mutant = mutants::find("vote-not-persisted").expect("a mutant");
    let model = &mutant.spec;
    let cluster = model.played(Some(mutant.fault)).expect("it starts");
    let first = cluster.initial.clone().unwrap_or_else(|| cluster.started());
    let mut runner = Runner::new(&cluster, first);
    let script = "\
timeout S0 Election\n\
timeout S1 Election\n\
deliver S0 S2 RequestVote t1, last entry 0\n\
deliver S2 S0 RequestVoteResponse t1, granted\n\
restart S2\n\
deliver S1 S2 RequestVote t1, last entry 0\n\
deliver S2 S1 RequestVoteResponse t1, granted\n\
";
    runner.run(script).expect("each step can be taken");
    let broken = ["Election Safety", "Memory equals storage"];
    assert_eq!(cluster.broken(runner.state()), broken);
}

//! Properties that are judged on what servers were seen to do: right servers break none, wrong ones are
//! found.

use checked_raft::kv::{Command as KvCommand, Kv};
use checked_raft::models::catalogue::catalogue;
use checked_raft::models::observed::{Call, CallEvent, Observed, Tally};
use checked_raft::raft::{
    ClientRequest, Index, Message, Parameters, Persistent, Raft, Server, Timer,
};
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// A server that is alone in its cluster, and whose calls are seen.
struct Alone {
    raft: Raft<Kv>,
    id: Id,
    state: Server<Kv>,
    saved: Option<Persistent<Kv>>,
    line: u64,
}

impl Alone {
    fn start(number: usize, observed: &mut Observed<Kv>) -> Self {
        let id = Id::from(number);
        let raft = Raft::new([id], Parameters::default()).expect("sound");
        let mut out = Out::new();
        let state = raft.on_start(id, &None, &mut out);
        let mut alone = Self { raft, id, state, saved: None, line: 0 };
        alone.seen(CallEvent::Start(None), out, observed);
        alone
    }

    fn seen(&mut self, event: CallEvent<Kv>, out: Out<Raft<Kv>>, observed: &mut Observed<Kv>) {
        self.line += 1;
        let out: Vec<_> = out.into_iter().collect();
        for command in &out {
            if let Command::Save(value) = command {
                self.saved = Some(value.clone());
            }
        }
        let call = Call { event, after: self.state.clone(), out };
        observed.take(self.id, self.line, call, self.raft.parameters());
    }

    fn time_out(&mut self, observed: &mut Observed<Kv>) {
        let (mut state, mut out) = (Cow::Owned(self.state.clone()), Out::new());
        self.raft.on_timeout(self.id, &mut state, &Timer::Election, &mut out);
        self.state = state.into_owned();
        self.seen(CallEvent::Timeout(Timer::Election), out, observed);
    }

    fn deliver(&mut self, msg: Message, observed: &mut Observed<Kv>) {
        let client = Id::from(1 << 40);
        let (mut state, mut out) = (Cow::Owned(self.state.clone()), Out::new());
        self.raft.on_msg(self.id, &mut state, client, msg.clone(), &mut out);
        self.state = state.into_owned();
        self.seen(CallEvent::Deliver(client, msg), out, observed);
    }

    /// Opens a session and executes a command in it.
    fn execute(&mut self, key: &'static str, observed: &mut Observed<Kv>) {
        let register = ClientRequest::Register { sequence: 1 };
        self.deliver(Message::ClientRequest(register), observed);
        let session = self.state.last_applied;
        let command = KvCommand::Put(key.into(), "v".into()).encode();
        let command = ClientRequest::Command { session, sequence: 2, command };
        self.deliver(Message::ClientRequest(command), observed);
    }

    fn restart(&mut self, observed: &mut Observed<Kv>) {
        let mut out = Out::new();
        self.state = self.raft.on_start(self.id, &self.saved, &mut out);
        self.seen(CallEvent::Start(self.saved.clone()), out, observed);
    }
}

fn broken(observed: &Observed<Kv>) -> BTreeSet<&'static str> {
    observed.tallies().filter(|tally| tally.broken.is_some()).map(|tally| tally.name).collect()
}

fn tally<'a>(observed: &'a Observed<Kv>, name: &str) -> &'a Tally {
    observed.tallies().find(|tally| tally.name == name).expect("it is asked")
}

#[test]
fn a_right_server_breaks_nothing_and_each_judgement_is_counted() {
    let mut observed = Observed::new();
    let mut server = Alone::start(1, &mut observed);
    server.time_out(&mut observed);
    server.execute("k", &mut observed);
    server.restart(&mut observed);
    server.time_out(&mut observed);
    assert!(server.state.is_leader() && server.state.commit_index == Index(4));
    assert_eq!(broken(&observed), BTreeSet::new());
    // The first start has no state before it.
    for (name, judged) in [
        ("Indexes are ordered", 6),
        ("Durable vote is kept", 5),
        ("Election Safety", 2),
        ("State Machine Safety", 4),
        ("Log Matching", 0),
    ] {
        assert_eq!(tally(&observed, name).judged, judged, "{name}");
    }
}

#[test]
fn two_leaders_of_a_term_and_what_they_commit_are_found() {
    let mut observed = Observed::new();
    // Each of the two believes that it is alone.
    let mut one = Alone::start(1, &mut observed);
    let mut two = Alone::start(2, &mut observed);
    one.time_out(&mut observed);
    one.execute("k", &mut observed);
    assert_eq!(broken(&observed), BTreeSet::new());
    two.time_out(&mut observed);
    assert_eq!(broken(&observed), BTreeSet::from(["Election Safety"]));
    let place = tally(&observed, "Election Safety").broken.expect("broken");
    assert_eq!((place.server, place.line), (Id::from(2), 2));
    two.execute("another", &mut observed);
    observed.compare_logs();
    let all = BTreeSet::from(["Election Safety", "State Machine Safety", "Log Matching"]);
    assert_eq!(broken(&observed), all);
}

#[test]
fn a_leader_that_lacks_what_an_earlier_term_committed_is_found() {
    let mut observed = Observed::new();
    let mut one = Alone::start(1, &mut observed);
    let mut two = Alone::start(2, &mut observed);
    one.time_out(&mut observed);
    one.execute("k", &mut observed);
    // It comes to term 2, and knows nothing of the other server.
    two.time_out(&mut observed);
    two.restart(&mut observed);
    two.time_out(&mut observed);
    assert!(broken(&observed).contains("Leader Completeness"), "{:?}", broken(&observed));
}

#[test]
fn a_store_that_forgets_a_vote_is_found() {
    let mut observed = Observed::new();
    let mut server = Alone::start(1, &mut observed);
    server.time_out(&mut observed);
    if let Some(saved) = &mut server.saved {
        saved.voted_for = None;
    }
    server.restart(&mut observed);
    assert!(broken(&observed).contains("Durable vote is kept"), "{:?}", broken(&observed));
}

#[test]
fn every_property_bears_a_name_of_the_models() {
    let mut known = BTreeSet::new();
    for spec in catalogue() {
        let cluster = spec.cluster();
        known.extend(cluster.always.iter().map(|property| property.name));
        known.extend(cluster.steps.iter().map(|property| property.name));
    }
    let observed = Observed::<Kv>::new();
    let names: Vec<_> = observed.tallies().map(|tally| tally.name).collect();
    assert_eq!(names.len(), 37);
    for name in names {
        assert!(known.contains(name), "{name}");
    }
}

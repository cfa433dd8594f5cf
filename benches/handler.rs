//! Does one handler call cost the same however long the log is?
//!
//! Each call runs on a server whose log has 10, 1,000 and 100,000 entries; the times must be flat but
//! for the logarithm. What is measured is what a node does for an event: clone, rules, comparison,
//! and the difference that is saved.

use bytes::Bytes;
use checked_raft::durable::Durable;
use checked_raft::kv::Kv;
use checked_raft::raft::{
    AppendEntries, AppendEntriesResponse, ClientRequest, Entry, Index, Message, Outcome,
    Parameters, Payload, Persistent, Raft, RequestVoteResponse, Server, Term, Timer,
};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::hint::black_box;

const LENGTHS: [u64; 3] = [10, 1_000, 100_000];

fn raft() -> Raft<Kv> {
    Raft::new((0..3).map(Id::from), Parameters::default()).expect("the defaults are valid")
}

fn entry() -> Entry {
    let command = Bytes::from(vec![7; 64]);
    let payload = Payload::Command { client: Id::from(9), session: Index(1), sequence: 1, command };
    Entry { term: Term(1), payload }
}

/// A follower of term 1 with so many entries.
fn follower(length: u64) -> Server<Kv> {
    let log = (0..length).map(|_| entry()).collect();
    let persistent = Persistent { current_term: Term(1), log, ..Persistent::default() };
    raft().on_start(Id::from(0), &Some(persistent), &mut Out::new())
}

fn handle(server: &Server<Kv>, src: usize, msg: Message) -> (Server<Kv>, Out<Raft<Kv>>) {
    let mut state = Cow::Borrowed(server);
    let mut out = Out::new();
    raft().on_msg(Id::from(0), &mut state, Id::from(src), msg, &mut out);
    (state.into_owned(), out)
}

/// The leader of term 2 with so many entries and its no-op, all of which S1 has acknowledged.
fn leader(length: u64) -> Server<Kv> {
    let start = follower(length);
    let mut state = Cow::Borrowed(&start);
    raft().on_timeout(Id::from(0), &mut state, &Timer::Election, &mut Out::new());
    let response = RequestVoteResponse { term: Term(2), vote_granted: true };
    let (elected, _) = handle(&state, 1, Message::RequestVoteResponse(response));
    let outcome = Outcome::Match(elected.persistent.log.last_index());
    let response = AppendEntriesResponse { term: Term(2), outcome, round: 0 };
    handle(&elected, 1, Message::AppendEntriesResponse(response)).0
}

fn bench_call(
    c: &mut Criterion,
    name: &str,
    server: fn(u64) -> Server<Kv>,
    src: usize,
    msg: fn(&Server<Kv>) -> Message,
) {
    let mut group = c.benchmark_group(name);
    for length in LENGTHS {
        let server = server(length);
        let msg = msg(&server);
        let raft = raft();
        group.bench_function(BenchmarkId::from_parameter(length), |bencher| {
            bencher.iter(|| {
                let mut state = Cow::Borrowed(&server);
                let mut out = Out::new();
                raft.on_msg(Id::from(0), &mut state, Id::from(src), msg.clone(), &mut out);
                for command in out.iter() {
                    if let Command::Save(next) = command {
                        black_box(server.persistent.changes(next));
                    }
                }
                black_box((state, out))
            });
        });
    }
    group.finish();
}

fn append(server: &Server<Kv>) -> Message {
    let (prev_log_term, prev_log_index) = server.persistent.log.last();
    let (term, entries, leader_commit) = (Term(1), vec![entry()], Index(0));
    let args =
        AppendEntries { term, prev_log_index, prev_log_term, entries, leader_commit, round: 0 };
    Message::AppendEntries(args)
}

fn bench(c: &mut Criterion) {
    bench_call(c, "follower appends an entry", follower, 1, append);
    bench_call(c, "follower takes a heartbeat", follower, 1, |server| {
        let Message::AppendEntries(args) = append(server) else { unreachable!() };
        Message::AppendEntries(AppendEntries { entries: Vec::new(), ..args })
    });
    bench_call(c, "leader takes a command", leader, 9, |_| {
        let command = Bytes::from(vec![7; 64]);
        Message::ClientRequest(ClientRequest::Command { session: Index(1), sequence: 1, command })
    });
    bench_call(c, "leader takes an acknowledgement", leader, 2, |server| {
        let outcome = Outcome::Match(server.persistent.log.last_index());
        Message::AppendEntriesResponse(AppendEntriesResponse { term: Term(2), outcome, round: 0 })
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50);
    targets = bench
}
criterion_main!(benches);

//! What is sent and what is stored, as bytes: nothing is lost, nothing is ambiguous, everything fits,
//! and whatever else arrives is survived.
//!
//! The values here are those of random walks with clients, and any that can be made up; all that are
//! reachable in the catalogue are in `tests/catalogue.rs`. Sizes and hostile bytes are any.

use actorcheck::Event;
use bytes::Bytes;
use checked_raft::durable::Durable;
use checked_raft::kv::{Command, Kv, Output};
use checked_raft::models::process::ProcessTimer;
use checked_raft::models::{Cluster, ClusterState, Elections, Spec};
use checked_raft::raft::{
    AppendEntries, AppendEntriesResponse, ClientRequest, ClientResponse, Entry, Index,
    InstallSnapshot, InstallSnapshotResponse, Log, Message, Operation, Outcome, Parameters,
    Payload, Persistent, PreVote, PreVoteResponse, Raft, RequestVote, RequestVoteResponse, Server,
    Session, Term, TimeoutNow, Timer, TransferOutcome,
};
use checked_raft::state_machine::StateMachine;
use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::{Serialize, de::DeserializeOwned};
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

/// The most bytes of a UDP datagram over IPv4.
const DATAGRAM: usize = 65_507;
/// The most bytes the node may put around a message: version, cluster, sender, checksum and the like.
const ENVELOPE: usize = 1024;
const SERVERS: usize = 5;

fn fingerprint(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Values seen while exploring.
#[derive(Default)]
struct Seen {
    messages: BTreeSet<Message>,
    /// A saved value and the one saved next, by fingerprint of both.
    saves: BTreeMap<u64, (Persistent<Kv>, Persistent<Kv>)>,
    /// Servers, with their ids, by fingerprint.
    servers: BTreeMap<u64, (Id, Server<Kv>)>,
}

impl Seen {
    fn state(&mut self, state: &ClusterState) {
        for (_, _, message) in state.messages() {
            if !self.messages.contains(message) {
                self.messages.insert(message.clone());
            }
        }
    }

    fn step(&mut self, who: Id, before: &ClusterState, after: &ClusterState) {
        let index = usize::from(who);
        let saved = |state: &ClusterState| state.view().local(index).storage.cloned();
        if let (old, Some(new)) = (saved(before), saved(after)) {
            let pair = (old.unwrap_or_default(), new);
            if pair.0 != pair.1 {
                self.saves.entry(fingerprint(&pair)).or_insert(pair);
            }
        }
        if let Some(server) = after.actor(index).server() {
            self.servers.entry(fingerprint(server)).or_insert_with(|| (who, server.clone()));
        }
    }

    /// Walks at random, mostly over what has not been delivered yet, so that clients get answers.
    fn walk(&mut self, cluster: &Cluster, random: &mut StdRng, steps: usize) {
        let mut state = cluster.started();
        let mut delivered = BTreeSet::new();
        for _ in 0..steps {
            let kind = random.random_range(0..100);
            let mut actions = cluster.enabled(&state);
            actions.retain(|action| match action.event {
                Event::Deliver { .. } if kind < 5 => delivered.contains(action),
                Event::Deliver { .. } => kind < 85 && !delivered.contains(action),
                Event::Timeout(ProcessTimer::Server(Timer::Election)) => (85..88).contains(&kind),
                Event::Timeout(_) => (88..98).contains(&kind),
                Event::Choose { .. } | Event::Restart => kind >= 98,
            });
            if actions.is_empty() {
                continue;
            }
            let action = actions.swap_remove(random.random_range(0..actions.len()));
            if let Some(next) = cluster.step(&state, &action) {
                self.step(action.who, &state, &next);
                state = next;
            }
            delivered.insert(action);
        }
        self.state(&state);
    }
}

fn walked() -> Seen {
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    let commands = [
        Command::Put(bytes("x"), bytes("1")),
        Command::Cas { key: bytes("x"), old: Some(bytes("1")), new: bytes("2") },
        Command::Get(bytes("x")),
        Command::Delete(bytes("x")),
    ];
    let query = Operation::Query(Command::Get(bytes("x")).encode());
    let commands = commands.iter().map(|command| Operation::Command(command.encode()));
    let commands: Vec<_> = commands.chain([query]).collect();
    let spec = Spec {
        servers: SERVERS,
        clients: vec![commands.clone(), commands],
        restarts: true,
        max_entries: 3,
        max_sessions: 1,
        snapshot_after: Some(3),
        ..Spec::base("walk", "five servers, two clients, one session")
    };
    let undisturbed = Spec { elections: Elections::ALL, ..spec.clone() }.cluster();
    let (cluster, mut seen) = (spec.cluster(), Seen::default());
    for seed in 0..40 {
        seen.walk(&cluster, &mut StdRng::seed_from_u64(seed), 400);
        seen.walk(&undisturbed, &mut StdRng::seed_from_u64(seed), 200);
    }
    seen
}

static WALKED: LazyLock<Seen> = LazyLock::new(walked);

fn encode(value: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("every value encodes")
}

/// Decodes all of the bytes.
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    postcard::take_from_bytes(bytes)
        .ok()
        .filter(|(_, rest)| rest.is_empty())
        .map(|(value, _)| value)
}

fn assert_round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> Vec<u8> {
    let bytes = encode(value);
    let decoded: T = decode(&bytes).unwrap_or_else(|| panic!("{value:?} does not decode"));
    assert_eq!(decoded, *value);
    assert_eq!(encode(&decoded), bytes, "{value:?} has two encodings");
    bytes
}

/// All that holds of what has been seen.
fn judge(seen: &Seen) {
    let encodings: BTreeSet<_> = seen.messages.iter().map(assert_round_trip).collect();
    assert_eq!(encodings.len(), seen.messages.len(), "two messages have one encoding");
    let longest = encodings.iter().map(Vec::len).max().unwrap_or_default();
    assert!(longest + ENVELOPE <= DATAGRAM, "a message of {longest} bytes does not fit a datagram");
    for (old, new) in seen.saves.values() {
        assert_round_trip(new);
        let bytes = assert_round_trip(&old.changes(new));
        let mut restored = old.clone();
        restored.apply(decode(&bytes).expect("it has just been decoded")).expect("changes apply");
        assert_eq!(restored, *new, "from {old:?}");
    }
}

#[test]
fn every_value_of_random_walks_survives_the_wire_and_the_disk() {
    judge(&WALKED);
    let count =
        |wanted: fn(&Message) -> bool| WALKED.messages.iter().filter(|msg| wanted(msg)).count();
    for (what, count) in [
        (
            "command",
            count(|msg| matches!(msg, Message::ClientRequest(ClientRequest::Command { .. }))),
        ),
        (
            "answer",
            count(|msg| matches!(msg, Message::ClientResponse(ClientResponse::Applied { .. }))),
        ),
        (
            "expiry",
            count(|msg| {
                matches!(msg, Message::ClientResponse(ClientResponse::SessionExpired { .. }))
            }),
        ),
        (
            "redirection",
            count(|msg| {
                matches!(
                    msg,
                    Message::ClientResponse(ClientResponse::NotLeader { leader: Some(_), .. })
                )
            }),
        ),
        (
            "several entries at once",
            count(|msg| matches!(msg, Message::AppendEntries(args) if args.entries.len() > 1)),
        ),
        (
            "conflict",
            count(
                |msg| matches!(msg, Message::AppendEntriesResponse(args) if matches!(args.outcome, Outcome::Conflict { .. })),
            ),
        ),
    ] {
        assert!(count > 0, "the walks send no {what}");
    }
    let truncations = WALKED.saves.values().filter(|(old, new)| {
        old.log.iter().any(|(index, entry)| new.log.get(index) != Some(entry))
    });
    assert!(truncations.count() > 0, "the walks truncate no log");
}

// ---- any values ----

/// Small numbers, which mean something to a server, and those at which arithmetic ends.
fn number() -> impl Strategy<Value = u64> {
    let edges = vec![127, 128, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, u64::MAX - 1, u64::MAX];
    prop_oneof![12 => 0..6_u64, 2 => prop::sample::select(edges), 1 => any::<u64>()]
}

fn term() -> impl Strategy<Value = Term> {
    number().prop_map(Term)
}

fn index() -> impl Strategy<Value = Index> {
    number().prop_map(Index)
}

fn id() -> impl Strategy<Value = Id> {
    number().prop_map(|number| Id::from(usize::try_from(number).unwrap_or(usize::MAX)))
}

fn bytes(most: usize) -> impl Strategy<Value = Bytes> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..=most).prop_map(Bytes::from),
        Just(Command::Put(Bytes::from_static(b"x"), Bytes::from_static(b"1")).encode()),
    ]
}

fn payload(most: usize) -> impl Strategy<Value = Payload> {
    prop_oneof![
        Just(Payload::Noop),
        (id(), number(), any::<u32>()).prop_map(|(client, sequence, max_sessions)| {
            Payload::Register { client, sequence, max_sessions }
        }),
        (id(), index(), number(), bytes(most)).prop_map(|(client, session, sequence, command)| {
            Payload::Command { client, session, sequence, command }
        }),
    ]
}

fn entry(most: usize) -> impl Strategy<Value = Entry> {
    (term(), payload(most)).prop_map(|(term, payload)| Entry { term, payload })
}

fn append_entries() -> impl Strategy<Value = AppendEntries> {
    let entries = prop::collection::vec(entry(8), 0..4);
    (term(), index(), term(), entries, index(), any::<bool>(), 0..3_u64).prop_map(
        |(term, prev_log_index, prev_log_term, mut entries, leader_commit, sort, round)| {
            // Otherwise hardly any would be well-formed.
            if sort {
                entries.sort_by_key(|entry| entry.term);
            }
            AppendEntries { term, prev_log_index, prev_log_term, entries, leader_commit, round }
        },
    )
}

/// A piece of a snapshot; some are the beginning or the whole of one.
fn install_snapshot() -> impl Strategy<Value = InstallSnapshot> {
    let whole = Bytes::from_static(&[3, 0, 0, 0, 1, 1, 0]);
    let data = prop_oneof![Just(whole.clone()), Just(whole.slice(..4)), bytes(9)];
    let offset = prop_oneof![Just(0), Just(4), number()];
    (term(), index(), term(), offset, data, any::<bool>()).prop_map(
        |(term, last_included_index, last_included_term, offset, data, done)| InstallSnapshot {
            term,
            last_included_index,
            last_included_term,
            offset,
            data,
            done,
        },
    )
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        index().prop_map(Outcome::Match),
        (index(), prop::option::of(term()), index()).prop_map(|(prev_log_index, term, index)| {
            Outcome::Conflict { prev_log_index, term, index }
        }),
        Just(Outcome::StaleTerm),
    ]
}

fn client_request() -> impl Strategy<Value = ClientRequest> {
    prop_oneof![
        number().prop_map(|sequence| ClientRequest::Register { sequence }),
        (index(), number(), bytes(8)).prop_map(|(session, sequence, command)| {
            ClientRequest::Command { session, sequence, command }
        }),
        (number(), bytes(8)).prop_map(|(sequence, query)| ClientRequest::Read { sequence, query }),
        (number(), id()).prop_map(|(sequence, to)| ClientRequest::Transfer { sequence, to }),
    ]
}

const OUTCOMES: [TransferOutcome; 3] =
    [TransferOutcome::Leads, TransferOutcome::TimedOut, TransferOutcome::NoMember];

fn client_response() -> impl Strategy<Value = ClientResponse> {
    prop_oneof![
        (number(), index())
            .prop_map(|(sequence, session)| ClientResponse::Registered { sequence, session }),
        (number(), bytes(8))
            .prop_map(|(sequence, response)| ClientResponse::Applied { sequence, response }),
        number().prop_map(|sequence| ClientResponse::SessionExpired { sequence }),
        (number(), prop::option::of(id()))
            .prop_map(|(sequence, leader)| ClientResponse::NotLeader { sequence, leader }),
        (number(), number())
            .prop_map(|(sequence, limit)| ClientResponse::TooLarge { sequence, limit }),
        (number(), bytes(8))
            .prop_map(|(sequence, response)| ClientResponse::Read { sequence, response }),
        (number(), prop::sample::select(OUTCOMES.to_vec()))
            .prop_map(|(sequence, outcome)| ClientResponse::Transfer { sequence, outcome }),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        (term(), index(), term())
            .prop_map(|(term, last_log_index, last_log_term)| {
                let leadership_transfer = last_log_index.0 % 2 == 1;
                let args = RequestVote { term, last_log_index, last_log_term, leadership_transfer };
                Message::RequestVote(args)
            })
            .boxed(),
        (term(), any::<bool>())
            .prop_map(|(term, vote_granted)| {
                Message::RequestVoteResponse(RequestVoteResponse { term, vote_granted })
            })
            .boxed(),
        (term(), index(), term())
            .prop_map(|(next_term, last_log_index, last_log_term)| {
                Message::PreVote(PreVote { next_term, last_log_index, last_log_term })
            })
            .boxed(),
        (term(), term(), any::<bool>())
            .prop_map(|(term, next_term, pre_vote_granted)| {
                Message::PreVoteResponse(PreVoteResponse { term, next_term, pre_vote_granted })
            })
            .boxed(),
        (term(), index(), term())
            .prop_map(|(term, last_log_index, last_log_term)| {
                Message::TimeoutNow(TimeoutNow { term, last_log_index, last_log_term })
            })
            .boxed(),
        append_entries().prop_map(Message::AppendEntries).boxed(),
        (term(), outcome(), number())
            .prop_map(|(term, outcome, round)| {
                Message::AppendEntriesResponse(AppendEntriesResponse { term, outcome, round })
            })
            .boxed(),
        install_snapshot().prop_map(Message::InstallSnapshot).boxed(),
        (term(), index(), number())
            .prop_map(|(term, last_included_index, offset)| {
                let response = InstallSnapshotResponse { term, last_included_index, offset };
                Message::InstallSnapshotResponse(response)
            })
            .boxed(),
        client_request().prop_map(Message::ClientRequest).boxed(),
        client_response().prop_map(Message::ClientResponse).boxed(),
    ]
}

/// What may happen to a server among hostile peers.
#[derive(Clone, Debug)]
enum Hostile {
    Message(Id, Message),
    Timeout(Timer),
}

fn hostile() -> impl Strategy<Value = Hostile> {
    prop_oneof![
        6 => (id(), message()).prop_map(|(src, msg)| Hostile::Message(src, msg)),
        1 => prop::sample::select(vec![
            Timer::Election,
            Timer::Heartbeat,
            Timer::Stickiness,
            Timer::Transfer,
        ]).prop_map(Hostile::Timeout),
    ]
}

/// A valid message with some bytes overwritten, cut off or added: it gets further into the decoder
/// than noise does.
fn damaged_message() -> impl Strategy<Value = Vec<u8>> {
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let tail = prop::collection::vec(any::<u8>(), 0..4);
    (message(), damage, tail, any::<prop::sample::Index>()).prop_map(
        |(message, damage, tail, cut)| {
            let mut bytes = encode(&message);
            for (position, value) in damage {
                let position = position.index(bytes.len());
                bytes[position] = value;
            }
            bytes.extend(tail);
            bytes.truncate(1 + cut.index(bytes.len()));
            bytes
        },
    )
}

/// Whatever arrived, this holds of a server: its term grows, its vote is kept for the term, and its
/// log has no hole and no term out of order.
fn assert_sound(before: &Persistent<Kv>, after: &Persistent<Kv>) -> Result<(), TestCaseError> {
    prop_assert!(before.current_term <= after.current_term);
    if before.current_term == after.current_term && before.voted_for.is_some() {
        prop_assert_eq!(before.voted_for, after.voted_for);
    }
    let indexes = after.log.start().0 + 1..;
    prop_assert!(after.log.iter().zip(indexes).all(|((index, _), n)| index == Index(n)));
    prop_assert!(after.log.iter().map(|(_, entry)| entry.term).is_sorted());
    prop_assert!(after.log.last().0 <= after.current_term);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_message_round_trips(message in message()) {
        assert_round_trip(&message);
    }

    #[test]
    fn any_bytes_decode_or_are_refused(noise in prop::collection::vec(any::<u8>(), 0..64), damaged in damaged_message()) {
        for bytes in [noise, damaged] {
            if let Some(message) = decode::<Message>(&bytes) {
                assert_round_trip(&message);
            }
            if let Some(changes) = decode::<<Persistent<Kv> as Durable>::Changes>(&bytes) {
                // Applied or refused with a reason.
                let refused = Persistent::<Kv>::default().apply(changes);
                prop_assert!(refused.is_ok() || refused.is_err_and(|reason| !reason.is_empty()));
            }
        }
    }

    #[test]
    fn the_size_of_an_entry_is_an_upper_bound(entry in entry(300)) {
        let length = encode(&entry).len();
        prop_assert!(length <= entry.size(), "{} > {} bytes: {:?}", length, entry.size(), entry);
    }

    #[test]
    fn any_message_is_handled_by_a_server_in_any_state(
        start in any::<prop::sample::Index>(),
        events in prop::collection::vec(hostile(), 1..12),
    ) {
        let servers = &WALKED.servers;
        let (id, server) = servers.values().nth(start.index(servers.len())).expect("in range");
        let parameters = Parameters { max_sessions: 1, ..Parameters::default() };
        let raft = Raft::<Kv>::new((0..SERVERS).map(Id::from), parameters).expect("valid");
        let mut server = server.clone();
        for event in events {
            let (mut next, mut out) = (Cow::Borrowed(&server), Out::new());
            match event {
                Hostile::Message(src, msg) => raft.on_msg(*id, &mut next, src, msg, &mut out),
                Hostile::Timeout(timer) => raft.on_timeout(*id, &mut next, &timer, &mut out),
            }
            let next = next.into_owned();
            assert_sound(&server.persistent, &next.persistent)?;
            server = next;
        }
    }

    #[test]
    fn any_response_is_handled_by_a_client(responses in prop::collection::vec(client_response(), 0..12)) {
        let mut session = Session::new(vec![Id::from(0), Id::from(1)]);
        session.invoke(Operation::Command(Bytes::new()));
        let mut ends = 0;
        for response in responses {
            ends += usize::from(session.on_response(response).is_some());
            prop_assert_eq!(session.operation().is_none(), ends == 1);
        }
        prop_assert!(ends <= 1, "a command ended {} times", ends);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn append_entries_of_max_bytes_fits_a_datagram(
        payloads in prop::collection::vec(payload(2_000), 1..200),
        max_bytes in prop_oneof![Just(Parameters::LARGEST_MAX_BYTES), 1..Parameters::LARGEST_MAX_BYTES],
    ) {
        // As many as it takes to fill it.
        let entries = payloads.iter().cycle().take(2_000);
        let log: Log = entries.map(|payload| Entry { term: Term(u64::MAX), payload: payload.clone() }).collect();
        let entries = log.entries_from(Index(1), usize::MAX, max_bytes);
        let is_cut = entries.len() < 2_000;
        prop_assert!(is_cut, "the limit does not bite");
        assert_fits(entries);
    }
}

fn assert_fits(entries: Vec<Entry>) {
    let max = u64::MAX;
    let message = Message::AppendEntries(AppendEntries {
        term: Term(max),
        prev_log_index: Index(max),
        prev_log_term: Term(max),
        entries,
        leader_commit: Index(max),
        round: max,
    });
    let length = encode(&message).len();
    assert!(length + ENVELOPE <= DATAGRAM, "{length} bytes do not fit a datagram");
}

/// The largest command that a leader takes: as an entry, as a request, and what it may be answered.
#[test]
fn the_largest_command_and_its_answer_fit_a_datagram() {
    let entry = |command| Entry {
        term: Term(u64::MAX),
        payload: Payload::Command {
            client: Id::from(usize::MAX),
            session: Index(u64::MAX),
            sequence: u64::MAX,
            command,
        },
    };
    let overhead = entry(Bytes::new()).size();
    let key = Bytes::from_static(b"x");
    let put = |length: usize| Command::Put(key.clone(), vec![7; length].into()).encode();
    let around = put(1 << 15).len() - (1 << 15);
    let largest = put(Parameters::LARGEST_MAX_BYTES - overhead - around);
    assert_eq!(entry(largest.clone()).size(), Parameters::LARGEST_MAX_BYTES);
    assert_fits(vec![entry(largest.clone())]);

    let request = ClientRequest::Command {
        session: Index(u64::MAX),
        sequence: u64::MAX,
        command: largest.clone(),
    };
    assert!(encode(&Message::ClientRequest(request)).len() + ENVELOPE <= DATAGRAM);

    let mut kv = Kv::default();
    assert_eq!(kv.apply(&largest), Output::Done.encode());
    let response = kv.apply(&Command::Get(key.clone()).encode());
    assert!(response.len() > Parameters::LARGEST_MAX_BYTES / 2, "it is the value that is read");
    let response = ClientResponse::Applied { sequence: u64::MAX, response };
    assert!(encode(&Message::ClientResponse(response)).len() + ENVELOPE <= DATAGRAM);
}

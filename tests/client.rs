//! The client library, against nodes behind a bad network and against servers that follow a script.

mod common;

use bytes::Bytes;
use checked_raft::client::{self, Client, ClientError, KvClient, Options, Swap};
use checked_raft::kv::{Command, Kv, Output};
use checked_raft::raft::{
    ClientRequest, ClientResponse, Copies, Index, Message, Persistent, TransferOutcome,
};
use checked_raft::runtime::store::{Life, MemoryStore};
use checked_raft::runtime::wire::{self, Body, Datagram};
use checked_raft::state_machine::StateMachine;
use common::cluster::{CLUSTER, Cluster};
use common::load::EndOnDrop;
use common::proxy::Faults;
use common::{LONG, wait_for};
use serde_json::json;
use stateright::actor::Id;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Remembers every command in the order of application: what has been applied twice shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
struct Journal(Vec<Bytes>);

impl StateMachine for Journal {
    /// The command's place; to an empty command, which is not remembered, all that were.
    fn apply(&mut self, command: &[u8]) -> Bytes {
        if command.is_empty() {
            return postcard::to_stdvec(&self.0).expect("byte strings").into();
        }
        self.0.push(Bytes::copy_from_slice(command));
        (self.0.len() - 1).to_string().into()
    }
}

fn patient() -> Options {
    Options { timeout: LONG, ..Options::default() }
}

fn impatient() -> Options {
    let (timeout, retry_interval) = (Duration::from_millis(400), Duration::from_millis(50));
    Options { timeout, retry_interval }
}

fn journal(client: &mut Client) -> Vec<Bytes> {
    let response = client.execute(Bytes::new()).expect("the cluster works");
    postcard::from_bytes(&response).expect("a journal")
}

/// A running cluster that keeps nothing on disk, and so must not be restarted.
fn cluster<S: StateMachine + 'static>(servers: u64, seed: u64, faults: Faults) -> Cluster<S> {
    let mut cluster = Cluster::new(servers, seed, faults, |_| {});
    start_all(&mut cluster);
    cluster
}

fn start_all<S: StateMachine + 'static>(cluster: &mut Cluster<S>) {
    for server in cluster.servers().collect::<Vec<_>>() {
        cluster.start(server, server.into(), MemoryStore::<Persistent<S>>::default());
    }
}

// ---- against nodes ----

#[test]
fn over_a_bad_network_every_acknowledged_command_is_applied_exactly_once() {
    let cluster = cluster::<Journal>(3, 20_261, Faults::BAD);
    let acknowledged: BTreeMap<Bytes, usize> = thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|name| {
                // Losses in a row may cost any time, and a busy machine adds to it.
                let (timeout, retry_interval) = (20 * LONG, Duration::from_millis(25));
                let options = Options { timeout, retry_interval };
                let mut client = cluster.client(options).expect("a server answers");
                scope.spawn(move || {
                    let commands = (0..15).map(|number| Bytes::from(format!("{name}.{number}")));
                    let execute = |command: Bytes| {
                        let place = client.execute(command.clone()).expect("a result in time");
                        let place = std::str::from_utf8(&place).expect("a number");
                        (command, place.parse().expect("a number"))
                    };
                    commands.map(execute).collect::<Vec<_>>()
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().expect("no panic")).collect()
    });
    assert_eq!(acknowledged.len(), 45);
    for server in cluster.servers() {
        cluster.set_faults(server, Faults::NONE);
    }
    let journal = journal(&mut cluster.client(patient()).expect("a server answers"));
    assert_eq!(journal.len(), 45, "a command has been applied twice: {journal:?}");
    for (command, place) in acknowledged {
        assert_eq!(journal[place], command);
    }
}

#[test]
fn a_client_goes_on_in_its_session_when_the_leader_is_gone() {
    let mut cluster = cluster::<Journal>(3, 1, Faults::NONE);
    let mut client = cluster.client(patient()).expect("a server answers");
    client.execute("before".into()).expect("a result");
    let leader = cluster.leader();
    cluster.stop(leader).expect("a clean stop");
    client.execute("after".into()).expect("a result of the next leader");
    assert_eq!(journal(&mut client), ["before", "after"]);
}

#[test]
fn one_reachable_server_is_enough_to_find_them_all() {
    let cluster = cluster::<Kv>(3, 2, Faults::NONE);
    let leader = cluster.leader();
    let follower = cluster.servers().find(|server| *server != leader).expect("three servers");
    let addresses = [cluster.address(follower)];
    let client = Client::connect(CLUSTER, &addresses, patient()).expect("it answers");
    let mut kv = KvClient::new(client);
    kv.put("k", "1").expect("the leader was found");
    assert_eq!(kv.get("k").expect("a result").as_deref(), Some(&b"1"[..]));
    assert_eq!(kv.cas("k", None, "2").expect("a result"), Swap::Mismatch(Some("1".into())));
    assert_eq!(kv.cas("k", Some("1".into()), "2").expect("a result"), Swap::Done);
    kv.delete("k").expect("a result");
    assert_eq!(kv.get("k").expect("a result"), None);
}

#[test]
fn a_read_sees_what_has_been_written_and_takes_no_entry() {
    let cluster = cluster::<Kv>(3, 4, Faults::NONE);
    let mut kv = KvClient::new(cluster.client(patient()).expect("a server answers"));
    kv.put("k", "1").expect("a result");
    let last = |server| cluster.status(server).expect("it answers").last_log_index;
    let leader = cluster.leader();
    let before = last(leader);
    for _ in 0..20 {
        assert_eq!(kv.get("k").expect("a result").as_deref(), Some(&b"1"[..]));
    }
    assert_eq!(last(leader), before);
    assert_eq!(kv.get_through_log("k").expect("a result").as_deref(), Some(&b"1"[..]));
    assert_eq!(last(leader), before + 1);
    let query = Command::Put("k".into(), "2".into());
    assert_eq!(kv.query(&query).expect("a result"), Output::Malformed, "a query changes nothing");
    assert_eq!(kv.get("k").expect("a result").as_deref(), Some(&b"1"[..]));
}

#[test]
fn over_a_bad_network_a_read_never_goes_back() {
    let cluster = cluster::<Kv>(3, 5, Faults::BAD);
    let options = Options { retry_interval: Duration::from_millis(25), ..patient() };
    let mut writer = KvClient::new(cluster.client(options.clone()).expect("a server answers"));
    let mut reader = KvClient::new(cluster.client(options).expect("a server answers"));
    let seen = |kv: &mut KvClient| {
        let value = kv.get("n").expect("a result").unwrap_or_else(|| "0".into());
        std::str::from_utf8(&value).expect("a number").parse::<u32>().expect("a number")
    };
    for number in 1..10_u32 {
        writer.put("n", number.to_string()).expect("a result");
        assert_eq!(seen(&mut reader), number, "the put has ended");
    }
}

/// A leader that hears from nobody answers no read, although it does not know that it is deposed.
#[test]
fn without_a_majority_no_read_is_answered() {
    let mut cluster = cluster::<Kv>(3, 6, Faults::NONE);
    let mut kv = KvClient::new(cluster.client(patient()).expect("a server answers"));
    kv.put("k", "1").expect("a result");
    let leader = cluster.leader();
    for server in cluster.servers().filter(|server| *server != leader).collect::<Vec<_>>() {
        cluster.stop(server).expect("a clean stop");
    }
    let mut kv = KvClient::new(cluster.client(impatient()).expect("the leader answers"));
    let error = kv.get("k").expect_err("nobody else is there");
    assert!(!error.is_outcome_unknown(), "{error}");
}

#[test]
fn without_a_majority_a_command_is_not_sent_and_the_error_says_so() {
    let mut cluster = Cluster::<Journal>::new(3, 3, Faults::NONE, |_| {});
    cluster.start(1, 1, MemoryStore::default());
    let mut client = cluster.client(impatient()).expect("server 1 answers");
    let error = client.execute("lost".into()).expect_err("nobody leads");
    assert!(matches!(error, ClientError::NoSession { .. }), "{error}");
    assert!(!error.is_outcome_unknown());
    assert!(error.to_string().contains("was not sent and has no effect"), "{error}");
}

#[test]
fn a_command_without_a_result_in_time_is_of_unknown_outcome_and_applied_at_most_once() {
    let cluster = cluster::<Journal>(3, 4, Faults::NONE);
    let options = Options { timeout: Duration::from_secs(2), ..Options::default() };
    let mut client = cluster.client(options).expect("a server answers");
    wait_for("a session", || client.execute("first".into()).ok());
    for server in cluster.servers() {
        cluster.set_faults(server, Faults::CUT);
    }
    let error = client.execute("unknown".into()).expect_err("everybody is cut off");
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
    assert!(error.is_outcome_unknown());
    assert!(error.to_string().contains("the outcome is unknown"), "{error}");
    for server in cluster.servers() {
        cluster.set_faults(server, Faults::NONE);
    }
    wait_for("the cluster to recover", || client.execute("last".into()).ok());
    let mut journal = journal(&mut client);
    // Attempts that timed out on a loaded machine may have been applied as well.
    assert!(journal.iter().filter(|command| *command == "unknown").count() <= 1);
    journal.dedup();
    journal.retain(|command| command != "unknown");
    assert_eq!(journal, ["first", "last"]);
}

#[test]
fn a_leader_that_alone_cannot_be_reached_is_named_with_its_address() {
    let mut cluster = Cluster::<Journal>::new(3, 9, Faults::NONE, |config| {
        (config.check_quorum, config.stickiness) = (false, false);
    });
    start_all(&mut cluster);
    let options = Options { timeout: Duration::from_secs(2), ..Options::default() };
    let mut client = cluster.client(options).expect("a server answers");
    wait_for("a session", || client.execute("first".into()).ok());
    // What the leader sends still leaves it, so without check-quorum it goes on leading.
    let leader = cluster.leader();
    cluster.set_faults(leader, Faults::CUT);
    let error = client.execute("unknown".into()).expect_err("the leader cannot be reached");
    let ClientError::TimedOut { seen, .. } = &error else { panic!("{error}") };
    assert_eq!((seen.answered.len(), seen.leader), (2, Some(leader)), "{error}");
    let named = format!("server {leader}, which does not answer at {}", cluster.address(leader));
    assert!(error.to_string().contains(&named), "{error}");
}

#[test]
fn where_answers_take_long_a_command_is_one_entry_of_the_log() {
    let mut cluster = Cluster::<Journal>::new(3, 10, Faults::NONE, |config| {
        config.election_timeout = Duration::from_secs(2)..Duration::from_secs(4);
        config.heartbeat_interval = Duration::from_millis(500);
        // Here the client is looked at, and not what a leader makes of its copies.
        config.copies = Copies::Appended;
    });
    start_all(&mut cluster);
    let leader = cluster.leader();
    cluster.set_latency(Duration::from_millis(80));
    let mut client = cluster.client(patient()).expect("a server answers");
    for number in 0..10 {
        client.execute(number.to_string().into()).expect("a result");
    }
    cluster.set_latency(Duration::ZERO);
    let status = wait_for("the leader", || cluster.status(leader));
    // The leader's own entry, the session, and ten. A machine under load may cause a few more.
    assert!((12..=16).contains(&status.last_log_index), "{status:?}");
}

#[test]
fn a_command_too_large_is_refused_with_the_limit_and_has_no_effect() {
    let cluster = cluster::<Journal>(1, 5, Faults::NONE);
    let mut client = cluster.client(patient()).expect("a server answers");
    let refused = |client: &mut Client, length: usize| match client
        .execute(vec![7; length].into())
        .expect_err("too large")
    {
        ClientError::TooLarge { bytes, limit, .. } => {
            assert_eq!(bytes, length as u64);
            usize::try_from(limit).expect("a length")
        }
        error => panic!("{error}"),
    };
    // More than this cluster is configured to take, and more than any could be.
    let limit = refused(&mut client, 40_000);
    assert!((32_000..32 * 1024).contains(&limit), "{limit}");
    assert_eq!(refused(&mut client, 100_000), 48 * 1024);
    assert_eq!(refused(&mut client, limit + 1), limit);
    client.execute(vec![8; limit].into()).expect("the limit itself is accepted");
    let journal = journal(&mut client);
    assert_eq!(journal, [vec![8; limit]]);
}

#[test]
fn an_evicted_session_means_an_unknown_outcome_and_the_next_command_opens_another() {
    let mut cluster = Cluster::<Journal>::new(1, 6, Faults::NONE, |config| config.max_sessions = 1);
    start_all(&mut cluster);
    let mut one = cluster.client(patient()).expect("a server answers");
    let mut two = cluster.client(patient()).expect("a server answers");
    one.execute("1".into()).expect("a result");
    two.execute("2".into()).expect("a result");
    let error = one.execute("3".into()).expect_err("its session was evicted");
    assert!(matches!(error, ClientError::Expired) && error.is_outcome_unknown(), "{error}");
    one.execute("4".into()).expect("a new session");
    assert_eq!(journal(&mut one), ["1", "2", "4"]);
}

#[test]
fn a_cluster_of_another_name_does_not_answer_and_the_error_names_what_to_check() {
    let cluster = cluster::<Kv>(1, 7, Faults::NONE);
    let addresses = cluster.addresses();
    let error = Client::connect("another", &addresses, impatient()).expect_err("it is not there");
    let text = error.to_string();
    assert!(text.contains("\"another\"") && text.contains("the cluster's name"), "{text}");
    assert!(text.contains(&addresses[0].to_string()), "{text}");
}

#[test]
fn where_no_server_is_the_error_comes_in_time() {
    let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = nobody.local_addr().expect("it is bound");
    let start = now();
    let error = Client::connect(CLUSTER, &[address], impatient()).expect_err("nobody answers");
    assert!(matches!(error, ClientError::NoServer { .. }), "{error}");
    let waited = start.elapsed();
    assert!(waited >= impatient().timeout && waited < LONG, "{waited:?}");
    assert!(client::inspect(CLUSTER, address, &impatient()).is_err());
    let no_addresses = Client::connect(CLUSTER, &[], impatient()).expect_err("nobody to ask");
    assert!(matches!(no_addresses, ClientError::NoAddress));
    let mixed = [address, "[::1]:7001".parse().expect("an address")];
    let mixed = Client::connect(CLUSTER, &mixed, impatient()).expect_err("two families");
    assert!(matches!(mixed, ClientError::MixedAddresses));
}

#[test]
fn a_survey_shows_every_server_and_which_do_not_answer() {
    let mut cluster = cluster::<Kv>(3, 8, Faults::NONE);
    let leader = cluster.leader();
    let gone = cluster.servers().find(|server| *server != leader).expect("three servers");
    cluster.stop(gone).expect("a clean stop");
    let asked = [cluster.address(leader)];
    let options = Options { timeout: Duration::from_secs(2), ..Options::default() };
    let survey = client::survey(CLUSTER, &asked, &options).expect("a socket");
    let rows: Vec<_> = survey.iter().map(|row| (row.id, row.status.is_some())).collect();
    let expected: Vec<_> = cluster.servers().map(|server| (Some(server), server != gone)).collect();
    assert_eq!(rows, expected);
    for row in survey {
        assert_eq!(row.address, cluster.address(row.id.expect("all are known")));
        assert!(row.status.is_none_or(|status| Some(status.id) == row.id));
    }
}

// ---- against scripts ----

/// What a scripted server does with a request: it answers so, if at all.
type Script = dyn Fn(u64, &ClientRequest) -> Option<ClientResponse> + Sync;

/// Runs servers that answer inspections as members of one cluster, and requests by the script;
/// meanwhile `test`, with their addresses. What was requested of whom, in order.
fn scripted(
    servers: u64,
    script: &Script,
    test: impl FnOnce(&[SocketAddr]),
) -> Vec<(u64, ClientRequest)> {
    let sockets: Vec<_> =
        (0..servers).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port")).collect();
    let addresses: Vec<_> = sockets.iter().map(|it| it.local_addr().expect("bound")).collect();
    let stopped = AtomicBool::new(false);
    let (seen, requests) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        for (id, socket) in (1..).zip(&sockets) {
            let (seen, addresses, stopped) = (seen.clone(), &addresses, &stopped);
            socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
            scope.spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    if let Some(request) = serve(id, socket, addresses, script) {
                        seen.send((id, request)).expect("the test listens");
                    }
                }
            });
        }
        let _ends = EndOnDrop(&stopped);
        test(&addresses);
    });
    requests.try_iter().collect()
}

/// Answers one datagram, if there is one; the request, if it is one.
fn serve(
    id: u64,
    socket: &UdpSocket,
    servers: &[SocketAddr],
    script: &Script,
) -> Option<ClientRequest> {
    let mut buffer = vec![0; 1 << 16];
    let (length, from) = socket.recv_from(&mut buffer).ok()?;
    let datagram = wire::decode::<Message>(&buffer[..length], |_| Ok(())).expect("well-formed");
    let client = datagram.sender;
    let send = |sender, addressee, body| {
        let cluster = wire::client_cluster(CLUSTER);
        let datagram =
            Datagram { cluster, sender, life: Life::default(), saves: 0, addressee, body };
        socket.send_to(&wire::encode(&datagram).expect("it fits"), from).expect("sent");
    };
    match datagram.body {
        Body::Inspect { nonce } => {
            send(id, client, Body::Report { nonce, status: report(id, servers) });
            None
        }
        Body::Request(Message::ClientRequest(request)) => {
            if let Some(response) = script(id, &request) {
                let reply = |response| Body::Reply(Message::ClientResponse(response));
                // First what must be ignored: from a stranger, to a stranger, no reply, cut short.
                let (sequence, lie) = (request.sequence(), Bytes::from("a lie"));
                let lie = || reply(ClientResponse::Applied { sequence, response: lie.clone() });
                send(99, client, lie());
                send(id, client ^ 1, lie());
                send(id, client, Body::Request(Message::ClientRequest(request.clone())));
                socket.send_to(b"UDN\x01\x02a lie", from).expect("sent");
                send(id, client, reply(response));
            }
            Some(request)
        }
        body => panic!("a client sent {body:?}"),
    }
}

#[test]
fn servers_of_which_two_of_three_have_moved_are_found_again() {
    let socket = |_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let (before, after): (Vec<_>, Vec<_>) =
        ((0..3).map(socket).collect(), (0..2).map(socket).collect());
    let address = |socket: &UdpSocket| socket.local_addr().expect("bound");
    let old: Vec<_> = before.iter().map(address).collect();
    let new = [address(&after[0]), address(&after[1]), old[2]];
    let script = |server, request: &ClientRequest| {
        let (sequence, leader) = (request.sequence(), Some(id(2)));
        Some(if server == 2 {
            obliging(request)
        } else {
            ClientResponse::NotLeader { sequence, leader }
        })
    };
    let (have_moved, stopped) = (AtomicBool::new(false), AtomicBool::new(false));
    // Each socket with its server, and whether that is there before and after the move.
    let places = (1..).zip(&before).map(|(id, socket)| (id, socket, true, id == 3));
    let places = places.chain((1..).zip(&after).map(|(id, socket)| (id, socket, false, true)));
    thread::scope(|scope| {
        let (old, new) = (&old, &new);
        let (script, have_moved, stopped) = (&script, &have_moved, &stopped);
        for (id, socket, is_there_before, is_there_after) in places {
            socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
            scope.spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    let moved = have_moved.load(Ordering::SeqCst);
                    let servers = if moved { &new[..] } else { &old[..] };
                    if if moved { is_there_after } else { is_there_before } {
                        serve(id, socket, servers, script);
                    } else {
                        let _ = socket.recv_from(&mut [0; 1]);
                    }
                }
            });
        }
        let _ends = EndOnDrop(stopped);
        let mut client = Client::connect(CLUSTER, old, patient()).expect("they answer");
        assert_eq!(client.execute("x".into()).expect("a result"), "done");
        have_moved.store(true, Ordering::SeqCst);
        for _ in 0..3 {
            assert_eq!(client.execute("y".into()).expect("a result of the one that moved"), "done");
        }
    });
}

/// The status of a follower that knows no leader.
fn report(id: u64, servers: &[SocketAddr]) -> Vec<u8> {
    let members = (1..).zip(servers).map(|(id, at): (u64, _)| json!({ "id": id, "address": at }));
    let status = json!({
        "id": id, "role": "follower", "term": 1, "leader": null, "last_log_index": 0,
        "commit_index": 0, "last_applied": 0, "progress": [],
        "members": members.collect::<Vec<_>>(),
    });
    status.to_string().into_bytes()
}

fn id(server: u64) -> Id {
    Id::from(usize::try_from(server).expect("64 bits"))
}

/// Applies everything, as a leader would.
fn obliging(request: &ClientRequest) -> ClientResponse {
    match *request {
        ClientRequest::Register { sequence } => {
            ClientResponse::Registered { sequence, session: Index(9) }
        }
        ClientRequest::Command { sequence, .. } => {
            ClientResponse::Applied { sequence, response: "done".into() }
        }
        ClientRequest::Read { sequence, .. } => {
            ClientResponse::Read { sequence, response: "seen".into() }
        }
        ClientRequest::Transfer { sequence, .. } => {
            ClientResponse::Transfer { sequence, outcome: TransferOutcome::Leads }
        }
    }
}

#[test]
fn a_hint_is_followed_at_once_and_strangers_are_ignored() {
    let script = |server, request: &ClientRequest| {
        let (sequence, leader) = (request.sequence(), Some(id(3)));
        Some(match server {
            3 => obliging(request),
            _ => ClientResponse::NotLeader { sequence, leader },
        })
    };
    // Without the hint the next server would be asked after a minute.
    let options = Options { timeout: LONG, retry_interval: 2 * LONG };
    let requests = scripted(3, &script, |addresses| {
        let mut client = Client::connect(CLUSTER, addresses, options).expect("they answer");
        assert_eq!(client.execute("x".into()).expect("a result"), "done");
        assert_eq!(client.execute("y".into()).expect("a result"), "done");
    });
    let of_three: Vec<_> = requests.iter().filter(|(server, _)| *server == 3).collect();
    assert_eq!(of_three.len(), 3, "a registration and two commands: {requests:?}");
    assert!(requests.len() <= 4, "at most one detour: {requests:?}");
}

/// The copies of an earlier command do not make the outcome of this one unknown.
#[test]
fn a_command_that_was_sent_once_and_refused_has_no_effect() {
    let script = |_, request: &ClientRequest| match request {
        ClientRequest::Command { sequence, command, .. } if command.len() > 5 => {
            Some(ClientResponse::TooLarge { sequence: *sequence, limit: 5 })
        }
        request => Some(obliging(request)),
    };
    // No request is sent twice.
    let options = Options { timeout: LONG, retry_interval: 2 * LONG };
    scripted(1, &script, |addresses| {
        let mut client = Client::connect(CLUSTER, addresses, options).expect("it answers");
        assert_eq!(client.execute("small".into()).expect("a result"), "done");
        let error = client.execute("larger".into()).expect_err("it is too large");
        assert!(matches!(error, ClientError::TooLarge { .. }), "{error}");
        assert!(!error.is_outcome_unknown(), "{error}");
    });
}

#[test]
fn a_retry_is_the_same_request_again() {
    let script = |_, request: &ClientRequest| match request {
        ClientRequest::Register { .. } => Some(obliging(request)),
        _ => None,
    };
    let requests = scripted(2, &script, |addresses| {
        let mut client = Client::connect(CLUSTER, addresses, impatient()).expect("they answer");
        let error = client.execute("x".into()).expect_err("nobody applies it");
        assert!(error.is_outcome_unknown(), "{error}");
    });
    let commands: Vec<_> = requests
        .iter()
        .filter(|(_, request)| matches!(request, ClientRequest::Command { .. }))
        .collect();
    assert!(commands.len() >= 2, "{requests:?}");
    assert!(commands.iter().all(|(_, request)| *request == commands[0].1), "{requests:?}");
    assert!(commands.iter().any(|(server, _)| *server != commands[0].0), "others are asked, too");
}

#[test]
fn servers_that_point_at_each_other_do_not_keep_a_client_spinning() {
    let script = |server, request: &ClientRequest| {
        let (sequence, leader) = (request.sequence(), Some(id(3 - server)));
        Some(ClientResponse::NotLeader { sequence, leader })
    };
    let requests = scripted(2, &script, |addresses| {
        let mut client = Client::connect(CLUSTER, addresses, impatient()).expect("they answer");
        let error = client.execute("x".into()).expect_err("nobody leads");
        assert!(matches!(error, ClientError::NoSession { .. }), "{error}");
    });
    // Attempts begin after at least 0, 50, 150 and 350 of the 400 ms and send four times each.
    assert!((4..=16).contains(&requests.len()), "{} requests", requests.len());
}

#[expect(clippy::disallowed_methods, reason = "a test measures how long a client waits")]
fn now() -> Instant {
    Instant::now()
}

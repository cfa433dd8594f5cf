//! A node, seen from its socket. The actor is a toy: a durable counter with timers. What is tested
//! is the runtime's own promises, whatever actor it runs.

mod sim_disk;

use checked_raft::durable::Durable;
use checked_raft::runtime::hello::{Hello, Reason, Refusal};
use checked_raft::runtime::store::{
    Census, Identity, Life, LogStore, MemoryStore, Start, Store, StoreError,
};
use checked_raft::runtime::wire::{self, Body, CLIENTS, Datagram};
use checked_raft::runtime::{Commit, Event, Node, NodeConfig, NodeError, Observer, Stop};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sim_disk::{Fault, SimDisk};
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const CLUSTER: &str = "toys";
const DIRECTORY: u128 = 77;
/// Longer than anything that is going to happen takes.
const LONG: Duration = Duration::from_secs(10);
/// Long enough for what must not happen to show.
const SHORT: Duration = Duration::from_millis(200);

// ---- The toy -------------------------------------------------------------------------------

/// Adds numbers, durably.
struct Toy {
    on_start: Vec<Order>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Msg {
    /// From a client. Add, save, answer `Total`.
    Add(u64),
    /// From a client. Answer `Total`.
    Ask,
    /// Do this and do not answer.
    Do(Vec<Order>),
    /// To a client.
    Total(u64),
    /// To the client that was heard last.
    Fired(Timer),
    /// Between servers: a client's question passed on, and the answer to it.
    Ping(u64),
    Pong(u64),
    /// To a client: as many bytes as it ordered.
    Blob(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Order {
    Save,
    /// Milliseconds.
    Arm(Timer, u64),
    Cancel(Timer),
    /// When `.0` fires, cancel `.1`.
    Pair(Timer, Timer),
    /// When it fires, arm it again, as many times.
    Repeat(u32),
    Ping(u64),
    Blob(usize),
    /// Take so many milliseconds.
    Work(u64),
    SendThenSave,
    Panic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Timer {
    A,
    B,
}

#[derive(Clone, Debug, Default, PartialEq, Hash)]
struct State {
    saved: Saved,
    fresh: bool,
    client: Option<Id>,
    pair: Option<(Timer, Timer)>,
    repeats: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Hash, Serialize, Deserialize)]
struct Saved {
    total: u64,
}

impl Durable for Saved {
    type Changes = u64;

    fn changes(&self, next: &Self) -> u64 {
        next.total
    }

    fn apply(&mut self, total: u64) -> Result<(), String> {
        self.total = total;
        Ok(())
    }
}

impl Toy {
    fn obey(state: &mut State, orders: &[Order], out: &mut Out<Self>) {
        let client = |state: &State| state.client.expect("a client ordered it");
        for order in orders {
            match *order {
                Order::Save => out.save(state.saved.clone()),
                Order::Arm(timer, millis) => {
                    let range = Duration::from_millis(millis)..Duration::from_millis(millis);
                    out.set_timer(timer, range);
                }
                Order::Cancel(timer) => out.cancel_timer(timer),
                Order::Pair(first, second) => state.pair = Some((first, second)),
                Order::Repeat(times) => state.repeats = times,
                Order::Ping(peer) => {
                    out.send(id(peer), Msg::Ping(state.client.map_or(0, number)));
                }
                Order::Blob(length) => {
                    out.send(client(state), Msg::Blob(vec![0; length]));
                }
                Order::Work(millis) => work(millis),
                Order::SendThenSave => {
                    out.send(client(state), Msg::Total(0));
                    out.save(state.saved.clone());
                }
                Order::Panic => panic!("the toy was told to panic"),
            }
        }
    }
}

impl Actor for Toy {
    type Msg = Msg;
    type Timer = Timer;
    type State = State;
    type Storage = Saved;
    type Random = ();

    fn on_start(&self, _: Id, storage: &Option<Saved>, out: &mut Out<Self>) -> State {
        let saved = storage.clone().unwrap_or_default();
        let mut state = State { saved, fresh: storage.is_none(), ..State::default() };
        Self::obey(&mut state, &self.on_start, out);
        state
    }

    fn on_msg(&self, _: Id, state: &mut Cow<State>, src: Id, msg: Msg, out: &mut Out<Self>) {
        if number(src) >= CLIENTS {
            state.to_mut().client = Some(src);
        }
        match msg {
            Msg::Add(amount) => {
                state.to_mut().saved.total += amount;
                out.save(state.saved.clone());
                out.send(src, Msg::Total(state.saved.total));
            }
            Msg::Ask => out.send(src, Msg::Total(state.saved.total)),
            Msg::Do(orders) => Self::obey(state.to_mut(), &orders, out),
            Msg::Ping(client) => out.send(src, Msg::Pong(client)),
            Msg::Pong(client) => out.send(id(client), Msg::Total(state.saved.total)),
            Msg::Total(_) | Msg::Fired(_) | Msg::Blob(_) => {}
        }
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<State>, timer: &Timer, out: &mut Out<Self>) {
        if let Some((first, second)) = state.pair
            && first == *timer
        {
            out.cancel_timer(second);
        }
        if state.repeats > 0 {
            state.to_mut().repeats -= 1;
            out.set_timer(*timer, Duration::from_millis(5)..Duration::from_millis(10));
        }
        if let Some(client) = state.client {
            out.send(client, Msg::Fired(*timer));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a handler that takes long")]
fn work(millis: u64) {
    thread::sleep(Duration::from_millis(millis));
}

fn id(number: u64) -> Id {
    Id::from(usize::try_from(number).expect("64 bits"))
}

fn number(id: Id) -> u64 {
    usize::from(id) as u64
}

// ---- A store and an observer that can be watched -----------------------------------------------

/// Tells of every save and waits until it may succeed or must fail.
struct GateStore {
    inner: MemoryStore<Saved>,
    entered: Sender<u64>,
    verdict: Receiver<bool>,
}

/// The other end of a [`GateStore`].
struct Gate {
    entered: Receiver<u64>,
    verdict: Sender<bool>,
}

fn gate() -> (GateStore, Gate) {
    let (enter, entered) = channel();
    let (judge, verdict) = channel();
    let store = GateStore { inner: MemoryStore::default(), entered: enter, verdict };
    (store, Gate { entered, verdict: judge })
}

impl Store<Saved> for GateStore {
    fn value(&self) -> &Saved {
        self.inner.value()
    }

    fn save(&mut self, next: &Saved) -> Result<(), StoreError> {
        self.entered.send(next.total).expect("the test watches");
        if self.verdict.recv() == Ok(true) {
            return self.inner.save(next);
        }
        let source = io::ErrorKind::StorageFull.into();
        Err(StoreError::Io { path: "gate".into(), op: "write", source })
    }

    fn saves(&self) -> u64 {
        self.inner.saves()
    }

    fn census(&self) -> &Census {
        self.inner.census()
    }

    fn save_census(&mut self, next: &Census) -> Result<(), StoreError> {
        self.inner.save_census(next)
    }
}

impl Gate {
    /// Waits until a save has begun; it stays unfinished. The total it saves.
    fn begun(&self) -> u64 {
        self.entered.recv_timeout(LONG).expect("a save begins")
    }

    fn none_begun(&self) {
        self.entered.recv_timeout(SHORT).expect_err("no save begins");
    }

    fn succeed(&self) {
        self.verdict.send(true).expect("the node waits");
    }

    fn fail(&self) {
        self.verdict.send(false).expect("the node waits");
    }
}

/// Writes down what the runtime shows it, in order with the saves of its [`GateStore`].
struct Diary(Sender<String>);

impl Observer<Toy> for Diary {
    fn handled(
        &mut self,
        batch: u64,
        event: &Event<Toy>,
        before: Option<&State>,
        after: &State,
        out: &Out<Toy>,
    ) {
        let what = match event {
            Event::Start { storage } => format!("start from {storage:?}"),
            Event::Message { msg, .. } => format!("{msg:?}"),
            Event::Timeout(timer) => format!("{timer:?} fired"),
        };
        let before = before.map(|state| state.saved.total);
        let saves = out.iter().filter(|command| matches!(command, Command::Save(_))).count();
        let after = after.saved.total;
        let line = format!("{batch}: {what}: {before:?} to {after}, {saves} saves");
        self.0.send(line).expect("the test reads");
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.send("flush".to_owned()).expect("the test reads");
        Ok(())
    }

    fn committed(&mut self, _: &Commit) {
        self.0.send("committed".to_owned()).expect("the test reads");
    }
}

struct FullDisk;

impl Observer<Toy> for FullDisk {
    fn handled(&mut self, _: u64, _: &Event<Toy>, _: Option<&State>, _: &State, _: &Out<Toy>) {}

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }
}

/// Does not let a total of 13 pass.
#[derive(Default)]
struct Superstitious {
    has_seen_it: bool,
}

impl Observer<Toy> for Superstitious {
    fn handled(&mut self, _: u64, _: &Event<Toy>, _: Option<&State>, after: &State, _: &Out<Toy>) {
        self.has_seen_it |= after.saved.total == 13;
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn must_stop(&self) -> Option<String> {
        self.has_seen_it.then(|| "the total is 13; add something".to_owned())
    }
}

// ---- Nodes and clients --------------------------------------------------------------------------

type ToyNode<St, O> = Node<Toy, St, fn(&State) -> Value, O>;

struct Running {
    address: SocketAddr,
    stop: Stop,
    thread: JoinHandle<Result<(), NodeError>>,
    /// Disconnected when the thread ends, however it does.
    alive: Receiver<()>,
}

fn config(listen: &str, peers: &[(u64, SocketAddr)]) -> NodeConfig {
    let listen = listen.parse().expect("an address");
    NodeConfig::new(1, CLUSTER, listen, peers.iter().copied().collect(), DIRECTORY)
}

fn local(peers: &[(u64, SocketAddr)]) -> NodeConfig {
    config("127.0.0.1:0", peers)
}

fn bind<St: Store<Saved>, O: Observer<Toy>>(
    config: NodeConfig,
    store: St,
    observer: O,
    on_start: Vec<Order>,
) -> Result<ToyNode<St, O>, NodeError> {
    let status: fn(&State) -> Value =
        |state| json!({ "total": state.saved.total, "fresh": state.fresh });
    Node::bind(config, Toy { on_start }, store, status, observer)
}

fn run<St, O>(node: ToyNode<St, O>) -> Running
where
    St: Store<Saved> + Send + 'static,
    O: Observer<Toy> + Send + 'static,
{
    let (address, stop) = (node.local_addr(), Stop::new());
    let (lives, alive) = channel();
    let thread = {
        let stop = stop.clone();
        thread::spawn(move || {
            let _lives: Sender<()> = lives;
            node.run(&stop)
        })
    };
    Running { address, stop, thread, alive }
}

/// A node with this store on any port.
fn start(config: NodeConfig, store: impl Store<Saved> + Send + 'static) -> Running {
    run(bind(config, store, (), vec![]).expect("a free port"))
}

fn start_simple() -> Running {
    start(local(&[]), MemoryStore::default())
}

impl Running {
    fn client(&self) -> Client {
        Client::new(self.address)
    }

    fn stop(self) {
        self.stop.trigger();
        self.ended().expect("a clean stop");
    }

    /// How the node ended, which it must without being told to.
    fn joined(self) -> thread::Result<Result<(), NodeError>> {
        let end = self.alive.recv_timeout(LONG);
        assert_eq!(end, Err(RecvTimeoutError::Disconnected), "the node must end");
        self.thread.join()
    }

    fn ended(self) -> Result<(), NodeError> {
        self.joined().expect("the node does not panic")
    }
}

/// A socket that sends to one node, as a client or as whatever it claims to be.
struct Client {
    socket: UdpSocket,
    node: SocketAddr,
    number: u64,
}

impl Client {
    fn new(node: SocketAddr) -> Self {
        let any = if node.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(any).expect("a free port");
        Self { socket, node, number: CLIENTS + 5 }
    }

    fn raw(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.node).expect("sent");
    }

    fn put(&self, datagram: &Datagram<Msg>) {
        self.raw(&wire::encode(datagram).expect("it fits"));
    }

    /// A datagram as this client should send it, to be spoilt by a test.
    fn datagram(&self, body: Body<Msg>) -> Datagram<Msg> {
        let cluster = wire::client_cluster(CLUSTER);
        let (sender, life) = (self.number, Life::default());
        Datagram { cluster, sender, life, saves: 0, addressee: 1, body }
    }

    fn send(&self, msg: Msg) {
        self.put(&self.datagram(Body::Request(msg)));
    }

    fn inspect(&self, nonce: u64) {
        self.put(&self.datagram(Body::Inspect { nonce }));
    }

    /// The next datagram other than a hello, which comes when it comes.
    fn receive_within(&self, patience: Duration) -> Option<Datagram<Msg>> {
        let end = now() + patience;
        loop {
            let datagram = self.any_within(end.saturating_duration_since(now()))?;
            if !matches!(datagram.body, Body::Hello(_)) {
                return Some(datagram);
            }
        }
    }

    fn any_within(&self, patience: Duration) -> Option<Datagram<Msg>> {
        let mut buffer = vec![0; 1 << 16];
        let patience = patience.max(Duration::from_millis(1));
        self.socket.set_read_timeout(Some(patience)).expect("a timeout");
        let (length, _) = self.socket.recv_from(&mut buffer).ok()?;
        Some(wire::decode(&buffer[..length], |_| Ok(())).expect("the node's datagrams are sound"))
    }

    fn nothing(&self) {
        assert_eq!(self.receive_within(SHORT), None, "nothing may leave the node now");
    }

    fn reply(&self) -> Msg {
        let datagram = self.receive_within(LONG).expect("a reply");
        assert_eq!((datagram.sender, datagram.addressee), (1, self.number));
        assert_eq!(datagram.life.directory, DIRECTORY);
        assert_eq!(datagram.cluster, wire::client_cluster(CLUSTER));
        match datagram.body {
            Body::Reply(msg) => msg,
            other => panic!("a reply was expected, not {other:?}"),
        }
    }

    fn report(&self) -> (u64, Value) {
        match self.receive_within(LONG).expect("a report").body {
            Body::Report { nonce, status } => {
                (nonce, serde_json::from_slice(&status).expect("a report is JSON"))
            }
            other => panic!("a report was expected, not {other:?}"),
        }
    }

    fn status(&self) -> Value {
        self.inspect(9);
        self.report().1
    }

    fn ask(&self, msg: Msg) -> Msg {
        self.send(msg);
        self.reply()
    }

    /// The reasons counted, without those that never occurred.
    fn drops(&self) -> BTreeMap<String, u64> {
        let status = self.status();
        let dropped = status["counters"]["dropped"].as_object().expect("reasons").clone();
        let counts = dropped.into_iter().map(|(name, n)| (name, n.as_u64().expect("a count")));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

/// A test's own socket as server 2 of the cluster.
struct Peer {
    client: Client,
    life: Life,
}

/// A start of the peer's: its counter, and what it has drawn.
fn life(directory: u128, counter: u64, random: u64) -> Life {
    Life { directory, start: Start { counter, random } }
}

fn node_and_peer() -> (Running, Peer) {
    let (peer, config) = peer();
    let node = start(config, MemoryStore::default());
    let peer = peer.of(&node);
    (node, peer)
}

/// A peer without a node yet, and the configuration of one with this peer.
fn peer() -> (Peer, NodeConfig) {
    let peer = Peer::new();
    let config = local(&[(2, peer.address())]);
    (peer, config)
}

impl Peer {
    /// Its node is not known yet.
    fn new() -> Self {
        let client = Client { number: 2, ..Client::new(([127, 0, 0, 1], 1).into()) };
        Self { client, life: life(22, 1, 5) }
    }

    fn of(self, node: &Running) -> Self {
        Self { client: Client { node: node.address, ..self.client }, ..self }
    }

    fn address(&self) -> SocketAddr {
        self.client.socket.local_addr().expect("it is bound")
    }

    fn datagram(&self, body: Body<Msg>) -> Datagram<Msg> {
        let cluster = wire::peer_cluster(CLUSTER, &[1, 2].into());
        Datagram { cluster, sender: 2, life: self.life, saves: 0, addressee: 1, body }
    }

    fn send(&self, msg: Msg) {
        self.client.put(&self.datagram(Body::Peer(msg)));
    }

    /// Says hello from the latest of these starts.
    fn greet(&mut self, asks: bool, starts: &[(u64, u64)]) {
        let (counter, random) = *starts.last().expect("one at least");
        self.life = life(self.life.directory, counter, random);
        let starts = starts.iter().copied().collect();
        self.client.put(&self.datagram(Body::Hello(Hello { asks, starts, known: Vec::new() })));
    }

    /// The node's next hello, and the datagram's header with it.
    fn hello(&self) -> (Datagram<Msg>, Hello) {
        loop {
            let datagram = self.client.any_within(LONG).expect("a hello");
            if let Body::Hello(hello) = &datagram.body {
                let hello = hello.clone();
                return (datagram, hello);
            }
        }
    }

    /// Says hello from these starts until it is refused for the latest.
    fn refused(&mut self, starts: &[(u64, u64)]) -> Refusal {
        let end = now() + LONG;
        while now() < end {
            self.greet(true, starts);
            match self.client.receive_within(SHORT).map(|datagram| datagram.body) {
                Some(Body::Refused(refusal)) if refusal.life == self.life => return refusal,
                _ => {}
            }
        }
        panic!("it must be refused: {:?}", self.life)
    }

    fn refusal(&self) -> Refusal {
        match self.client.receive_within(LONG).expect("a refusal").body {
            Body::Refused(refusal) => refusal,
            other => panic!("a refusal was expected, not {other:?}"),
        }
    }

    fn receive(&self) -> Msg {
        let datagram = self.client.receive_within(LONG).expect("a message");
        assert_eq!(datagram.cluster, wire::peer_cluster(CLUSTER, &[1, 2].into()));
        assert_eq!((datagram.sender, datagram.addressee), (1, 2));
        assert_eq!(datagram.life.directory, DIRECTORY);
        match datagram.body {
            Body::Peer(msg) => msg,
            other => panic!("a peer's message was expected, not {other:?}"),
        }
    }
}

// ---- Messages flow ------------------------------------------------------------------------------

#[test]
fn a_client_is_answered_where_it_asked_from() {
    let node = start_simple();
    let client = node.client();
    assert_eq!(client.ask(Msg::Add(2)), Msg::Total(2));
    assert_eq!(client.ask(Msg::Add(3)), Msg::Total(5));
    let moved = node.client();
    assert_eq!(moved.ask(Msg::Ask), Msg::Total(5));
    node.stop();
}

#[test]
fn servers_talk_to_each_other() {
    let (node, peer) = node_and_peer();
    peer.send(Msg::Ping(4));
    assert_eq!(peer.receive(), Msg::Pong(4));
    let client = node.client();
    client.send(Msg::Do(vec![Order::Ping(2)]));
    assert_eq!(peer.receive(), Msg::Ping(client.number));
    peer.send(Msg::Pong(client.number));
    assert_eq!(client.reply(), Msg::Total(0));
    node.stop();
}

#[test]
fn a_node_works_over_ipv6_and_drops_what_only_ipv6_can_carry() {
    if UdpSocket::bind("[::1]:0").is_err() {
        eprintln!("this machine has no IPv6 loopback");
        return;
    }
    let node = start(config("[::1]:0", &[]), MemoryStore::default());
    let client = node.client();
    assert_eq!(client.ask(Msg::Add(2)), Msg::Total(2));
    client.raw(&vec![0; wire::MAX_DATAGRAM + 13]);
    assert_eq!(client.drops(), BTreeMap::from([("oversized".to_owned(), 1)]));
    node.stop();
}

#[test]
fn a_node_whose_observer_has_no_pages_says_so() {
    let node = start_simple();
    let client = node.client();
    client.put(&client.datagram(Body::Browse { nonce: 7, from: u64::MAX }));
    let answer = client.receive_within(LONG).expect("an answer").body;
    assert_eq!(answer, Body::Page { nonce: 7, page: b"null".to_vec() });
    // A page is an answer, and nobody sends one to a node.
    client.put(&client.datagram(Body::Page { nonce: 7, page: Vec::new() }));
    assert_eq!(client.drops(), BTreeMap::from([("unexpected_kind".to_owned(), 1)]));
    node.stop();
}

#[test]
fn whoever_has_an_address_can_be_asked_who_it_is() {
    let node = start_simple();
    let client = node.client();
    let inspection = client.datagram(Body::Inspect { nonce: 3 });
    client.put(&Datagram { addressee: wire::ANYBODY, ..inspection });
    let (nonce, status) = client.report();
    assert_eq!((nonce, &status["id"]), (3, &json!(1)));
    node.stop();
}

#[test]
fn a_status_tells_who_the_node_is_and_what_its_actor_says() {
    let node = start(local(&[(2, ([127, 0, 0, 1], 9).into())]), MemoryStore::default());
    let client = node.client();
    client.ask(Msg::Add(2));
    client.inspect(12345);
    let (nonce, mut status) = client.report();
    assert_eq!(nonce, 12345);
    let counters = status["counters"].take();
    assert_eq!(counters["received"], 2);
    assert!(counters["sent"].as_u64() > Some(0), "the reply, and a hello or more");
    let address = node.address.to_string();
    let members = json!([{"id": 1, "address": address}, {"id": 2, "address": "127.0.0.1:9"}]);
    let expected = json!({
        "id": 1, "cluster": CLUSTER, "members": members, "counters": null, "warnings": [],
        "total": 2, "fresh": true,
        "directory": format!("{DIRECTORY:032x}"), "start": { "counter": 1, "random": null },
        "copy": null, "peers": [{
            "id": 2, "directory": null, "start": null, "firsthand": false, "met": false,
            "refused": null, "refuses_us": null, "disputes": [],
        }],
    });
    let random = status["start"]["random"].take();
    assert_eq!(random.as_str().map(str::len), Some(16));
    assert_eq!(status, expected);
    node.stop();
}

// ---- The output rule ----------------------------------------------------------------------------

#[test]
fn nothing_of_a_batch_leaves_before_its_save_not_even_what_came_before_the_save() {
    let (store, gate) = gate();
    let node = start(local(&[]), store);
    let client = node.client();
    client.send(Msg::Add(1));
    assert_eq!(gate.begun(), 1);
    client.send(Msg::Ask);
    client.inspect(1);
    client.send(Msg::Add(2));
    client.nothing();
    gate.succeed();
    assert_eq!(client.reply(), Msg::Total(1));
    assert_eq!(gate.begun(), 3);
    client.nothing();
    gate.succeed();
    assert_eq!(client.reply(), Msg::Total(1), "the answer to Ask");
    assert_eq!(client.reply(), Msg::Total(3));
    assert_eq!(client.report().1["total"], 3);
    node.stop();
}

#[test]
fn a_batch_that_saves_nothing_waits_for_the_saves_before_it() {
    let (store, gate) = gate();
    let node = start(NodeConfig { max_batch: 1, ..local(&[]) }, store);
    let client = node.client();
    client.send(Msg::Add(1));
    assert_eq!(gate.begun(), 1);
    client.send(Msg::Ask);
    client.nothing();
    gate.succeed();
    assert_eq!(client.reply(), Msg::Total(1));
    assert_eq!(client.reply(), Msg::Total(1));
    gate.none_begun();
    node.stop();
}

#[test]
fn a_batch_is_saved_once() {
    let (store, gate) = gate();
    let node = start(local(&[]), store);
    let client = node.client();
    client.send(Msg::Add(1));
    assert_eq!(gate.begun(), 1);
    for _ in 0..10 {
        client.send(Msg::Add(1));
    }
    client.nothing();
    gate.succeed();
    assert_eq!(gate.begun(), 11, "one save for ten messages");
    gate.succeed();
    let totals: Vec<_> = (0..11).map(|_| client.reply()).collect();
    assert_eq!(totals, (1..=11).map(Msg::Total).collect::<Vec<_>>());
    gate.none_begun();
    node.stop();
}

#[test]
fn a_batch_is_bounded() {
    let (store, gate) = gate();
    let node = start(NodeConfig { max_batch: 4, ..local(&[]) }, store);
    let client = node.client();
    client.send(Msg::Add(1));
    assert_eq!(gate.begun(), 1);
    for _ in 0..6 {
        client.send(Msg::Add(1));
    }
    client.nothing();
    for total in [5, 7] {
        gate.succeed();
        assert_eq!(gate.begun(), total);
    }
    gate.succeed();
    node.stop();
}

#[test]
fn a_failed_save_stops_the_node_and_nothing_leaves() {
    let (store, gate) = gate();
    let node = start(local(&[]), store);
    let client = node.client();
    client.send(Msg::Add(1));
    gate.begun();
    client.send(Msg::Ask);
    client.inspect(1);
    gate.fail();
    let error = node.ended().expect_err("the node stops");
    assert!(matches!(error, NodeError::Save(_)));
    assert!(error.to_string().contains("could not be saved"), "{error}");
    client.nothing();
    gate.entered.try_recv().expect_err("a failed save is not tried again");
}

#[test]
fn what_on_start_sends_waits_for_its_save() {
    let Peer { client: peer, .. } = Peer::new();
    let address = peer.socket.local_addr().expect("it is bound");
    let (store, gate) = gate();
    let orders = vec![Order::Save, Order::Ping(2)];
    let node = run(bind(local(&[(2, address)]), store, (), orders).expect("a free port"));
    let client = node.client();
    assert_eq!(gate.begun(), 0);
    client.send(Msg::Ask);
    client.inspect(1);
    peer.nothing();
    client.nothing();
    gate.succeed();
    let sent = peer.receive_within(LONG).expect("a message");
    assert_eq!(sent.body, Body::Peer(Msg::Ping(0)));
    assert_eq!(client.reply(), Msg::Total(0));
    node.stop();
}

#[test]
fn the_observer_sees_every_handler_is_flushed_before_the_save_and_told_after_it() {
    let (store, gate) = gate();
    let (write, diary) = channel();
    let orders = vec![Order::Save];
    let node = run(bind(local(&[]), store, Diary(write), orders).expect("a free port"));
    let client = node.client();
    let read = || diary.recv_timeout(LONG).expect("an entry");
    gate.begun();
    client.send(Msg::Add(4));
    client.send(Msg::Ask);
    client.nothing();
    assert_eq!(read(), "0: start from None: None to 0, 1 saves");
    assert_eq!(read(), "flush");
    diary.try_recv().expect_err("the next batch waits for the save");
    gate.succeed();
    assert_eq!(gate.begun(), 4);
    assert_eq!(read(), "committed");
    let batch: Vec<_> = diary.try_iter().collect();
    let expected = ["1: Add(4): Some(0) to 4, 1 saves", "1: Ask: Some(4) to 4, 0 saves", "flush"];
    assert_eq!(batch, expected, "all of it before the save has ended");
    gate.succeed();
    assert_eq!(client.reply(), Msg::Total(4));
    assert_eq!(read(), "committed");
    node.stop();
}

#[test]
fn a_trace_that_cannot_be_written_stops_the_node_before_the_save() {
    let (store, gate) = gate();
    let node = bind(local(&[]), store, FullDisk, vec![Order::Save]).expect("a free port");
    let error = run(node).ended().expect_err("the node stops");
    assert!(error.to_string().contains("trace could not be written"), "{error}");
    gate.entered.try_recv().expect_err("nothing was saved");
}

#[test]
fn an_observer_can_stop_the_node_after_a_save_and_before_anything_leaves() {
    let (store, gate) = gate();
    let node = bind(local(&[]), store, Superstitious::default(), vec![]).expect("a free port");
    let node = run(node);
    let client = node.client();
    client.send(Msg::Add(12));
    gate.begun();
    gate.succeed();
    assert_eq!(client.reply(), Msg::Total(12));
    client.send(Msg::Add(1));
    assert_eq!(gate.begun(), 13, "what the handler saved is saved");
    gate.succeed();
    let error = node.ended().expect_err("the node stops");
    assert_eq!(error.to_string(), "the total is 13; add something");
    client.nothing();
}

#[test]
fn a_handler_that_sends_before_it_saves_is_a_bug_and_the_node_ends_at_once() {
    for order in [Order::SendThenSave, Order::Panic] {
        let node = start_simple();
        let client = node.client();
        client.send(Msg::Do(vec![order]));
        node.joined().expect_err("the panic is passed on, and no thread hangs");
        client.nothing();
    }
}

// ---- Restart ------------------------------------------------------------------------------------

#[test]
fn a_node_that_never_saved_starts_from_nothing_and_one_that_did_from_its_last_save() {
    let node = start_simple();
    assert_eq!(node.client().status()["fresh"], true);
    node.stop();

    let (store, gate) = gate();
    let node = start(local(&[]), store);
    let client = node.client();
    client.send(Msg::Add(6));
    let mut kept = MemoryStore::default();
    kept.save(&Saved { total: gate.begun() }).expect("memory keeps it");
    gate.succeed();
    assert_eq!(client.reply(), Msg::Total(6));
    node.stop();

    let node = start(local(&[]), kept);
    let client = node.client();
    assert_eq!(client.ask(Msg::Add(1)), Msg::Total(7));
    assert_eq!(client.status()["fresh"], false);
    node.stop();
}

// ---- Timers -------------------------------------------------------------------------------------

#[test]
fn a_timer_fires_once_and_not_before_its_time() {
    let node = start_simple();
    let client = node.client();
    let begin = now();
    client.send(Msg::Do(vec![Order::Arm(Timer::A, 80)]));
    assert_eq!(client.reply(), Msg::Fired(Timer::A));
    assert!(begin.elapsed() >= Duration::from_millis(80));
    client.nothing();
    node.stop();
}

#[test]
fn a_timer_can_arm_itself_again_in_its_handler() {
    let node = start_simple();
    let client = node.client();
    client.send(Msg::Do(vec![Order::Repeat(3), Order::Arm(Timer::A, 1)]));
    for _ in 0..4 {
        assert_eq!(client.reply(), Msg::Fired(Timer::A));
    }
    client.nothing();
    node.stop();
}

#[test]
fn setting_a_timer_again_replaces_its_time() {
    let node = start_simple();
    let client = node.client();
    client.send(Msg::Do(vec![Order::Arm(Timer::A, 20), Order::Arm(Timer::B, 3_600_000)]));
    client.send(Msg::Do(vec![Order::Arm(Timer::A, 3_600_000), Order::Arm(Timer::B, 20)]));
    assert_eq!(client.reply(), Msg::Fired(Timer::B));
    client.nothing();
    node.stop();
}

#[test]
fn a_cancelled_timer_does_not_fire() {
    let node = start_simple();
    let client = node.client();
    client.send(Msg::Do(vec![Order::Arm(Timer::A, 100), Order::Cancel(Timer::A)]));
    client.nothing();
    node.stop();
}

#[test]
fn of_two_timers_due_together_the_first_can_cancel_the_second() {
    let (store, gate) = gate();
    let node = start(local(&[]), store);
    let client = node.client();
    client.send(Msg::Do(vec![
        Order::Save,
        Order::Arm(Timer::A, 0),
        Order::Arm(Timer::B, 0),
        Order::Pair(Timer::A, Timer::B),
    ]));
    gate.begun();
    gate.succeed();
    assert_eq!(client.reply(), Msg::Fired(Timer::A));
    client.nothing();
    node.stop();
}

#[test]
fn a_timer_counts_from_the_end_of_the_save_of_the_batch_that_set_it() {
    let (store, gate) = gate();
    let node = start(local(&[]), store);
    let client = node.client();
    client.send(Msg::Do(vec![Order::Save, Order::Arm(Timer::A, 80)]));
    gate.begun();
    client.nothing();
    let end = now();
    gate.succeed();
    assert_eq!(client.reply(), Msg::Fired(Timer::A));
    assert!(end.elapsed() >= Duration::from_millis(80), "{:?}", end.elapsed());
    node.stop();
}

#[test]
fn a_timer_counts_from_the_end_of_the_handler_that_set_it() {
    let node = start_simple();
    let client = node.client();
    let begin = now();
    client.send(Msg::Do(vec![Order::Arm(Timer::A, 80), Order::Work(200)]));
    assert_eq!(client.reply(), Msg::Fired(Timer::A));
    assert!(begin.elapsed() >= Duration::from_millis(280), "{:?}", begin.elapsed());
    node.stop();
}

#[test]
fn a_server_that_was_held_up_by_a_save_hears_the_others_before_its_timer_fires() {
    let (peer, config) = peer();
    let (store, gate) = gate();
    let node = start(config, store);
    let (peer, client) = (peer.of(&node), node.client());
    client.send(Msg::Do(vec![Order::Save, Order::Arm(Timer::A, 0)]));
    gate.begun();
    peer.send(Msg::Do(vec![Order::Cancel(Timer::A)]));
    client.nothing();
    gate.succeed();
    client.nothing();
    node.stop();
}

#[test]
fn a_server_that_was_busy_hears_the_others_before_its_timer_fires() {
    let (peer, config) = peer();
    let (store, gate) = gate();
    let node = start(NodeConfig { max_batch: 1, ..config }, store);
    let (peer, client) = (peer.of(&node), node.client());
    client.send(Msg::Add(1));
    gate.begun();
    peer.send(Msg::Do(vec![Order::Arm(Timer::A, 1)]));
    peer.send(Msg::Do(vec![Order::Work(100)]));
    peer.send(Msg::Do(vec![Order::Cancel(Timer::A)]));
    client.nothing();
    gate.succeed();
    assert_eq!(client.reply(), Msg::Total(1));
    client.nothing();
    node.stop();
}

/// The process was stopped, so to speak: what was sent to it lies in its socket, and its timer is due.
/// Its receiving thread is about to look, and may have a datagram in its hand.
#[test]
fn what_lies_in_the_socket_is_heard_before_a_timer_that_is_due() {
    for _ in 0..100 {
        let (peer, config) = peer();
        let (write, diary) = channel();
        let due_at_once = vec![Order::Arm(Timer::A, 0)];
        let node = bind(config, MemoryStore::default(), Diary(write), due_at_once);
        let node = node.expect("a free port");
        let peer = Peer { client: Client { node: node.local_addr(), ..peer.client }, ..peer };
        for _ in 0..10 {
            peer.send(Msg::Ping(1));
        }
        peer.send(Msg::Do(vec![Order::Cancel(Timer::A)]));
        peer.send(Msg::Ping(2));
        let node = run(node);
        while peer.receive() != Msg::Pong(2) {}
        node.stop();
        let entries: Vec<_> = diary.try_iter().collect();
        assert!(entries.iter().any(|entry| entry.contains("Cancel(A)")), "{entries:?}");
        assert!(!entries.iter().any(|entry| entry.contains("fired")), "{entries:?}");
    }
}

#[test]
fn a_timer_that_is_due_fires_before_the_save_of_what_clients_say() {
    let (store, gate) = gate();
    let node = start(local(&[]), store);
    let client = node.client();
    client.send(Msg::Do(vec![Order::Save, Order::Arm(Timer::A, 0)]));
    gate.begun();
    client.send(Msg::Add(2));
    client.nothing();
    gate.succeed();
    assert_eq!(client.reply(), Msg::Fired(Timer::A), "while the next save goes on");
    assert_eq!(gate.begun(), 2);
    gate.succeed();
    assert_eq!(client.reply(), Msg::Total(2));
    node.stop();
}

// ---- Who comes first ----------------------------------------------------------------------------

#[test]
fn servers_are_heard_before_clients_and_inspections_come_last() {
    let (peer, config) = peer();
    let (store, gate) = gate();
    let (write, diary) = channel();
    let node = run(bind(config, store, Diary(write), vec![]).expect("a free port"));
    let (peer, client) = (peer.of(&node), node.client());
    client.send(Msg::Add(1));
    gate.begun();
    client.inspect(1);
    client.send(Msg::Ask);
    peer.send(Msg::Ping(1));
    client.nothing();
    gate.succeed();
    assert_eq!(client.reply(), Msg::Total(1));
    assert_eq!(client.reply(), Msg::Total(1), "the answer to Ask");
    assert_eq!(client.report().0, 1);
    let entries: Vec<_> = diary.try_iter().collect();
    let place = |what| entries.iter().position(|entry| entry.contains(what)).expect("an entry");
    assert!(place("Ping(1)") < place("Ask"), "{entries:?}");
    node.stop();
}

#[test]
fn no_flood_of_clients_or_of_inspections_displaces_what_servers_say() {
    let (peer, config) = peer();
    let (store, gate) = gate();
    let node = start(NodeConfig { mailbox: 20, ..config }, store);
    let (peer, client) = (peer.of(&node), node.client());
    client.send(Msg::Add(1));
    gate.begun();
    for nonce in 0..100 {
        client.inspect(nonce);
        client.send(Msg::Ask);
    }
    peer.send(Msg::Ping(1));
    client.nothing();
    gate.succeed();
    assert_eq!(peer.receive(), Msg::Pong(1));
    let dropped = node.client().drops();
    assert_eq!(dropped, BTreeMap::from([("mailbox_full".to_owned(), 2 * (100 - 20))]));
    node.stop();
}

// ---- A hostile network --------------------------------------------------------------------------

#[test]
fn a_peer_whose_link_is_cut_is_not_heard_and_its_datagrams_are_counted_as_cut() {
    let (peer, config) = peer();
    let node = bind(config, MemoryStore::default(), (), vec![]).expect("a free port");
    let cuts = node.cuts();
    let node = run(node);
    let mut peer = peer.of(&node);
    let client = node.client();
    peer.greet(false, &[(1, 5)]);
    peer.send(Msg::Ping(1));
    assert_eq!(peer.receive(), Msg::Pong(1));
    assert_eq!(cuts.set(&[2].into()), Ok(true));
    peer.greet(true, &[(1, 5)]);
    peer.send(Msg::Ping(2));
    peer.client.nothing();
    // Clients are heard all the same, and so is the peer as soon as its link is whole.
    assert_eq!(client.status()["counters"]["cut"], 2);
    assert_eq!(client.drops(), BTreeMap::new());
    assert_eq!(cuts.set(&[].into()), Ok(true));
    peer.send(Msg::Ping(3));
    assert_eq!(peer.receive(), Msg::Pong(3));
    assert_eq!(client.status()["counters"]["cut"], 2);
    node.stop();
}

#[test]
fn what_is_not_for_this_node_is_dropped_counted_by_reason_and_not_answered() {
    let (node, peer) = node_and_peer();
    let client = node.client();
    let request = client.datagram(Body::Request(Msg::Ask));
    let from_peer = peer.datagram(Body::Peer(Msg::Ping(1)));
    let mut other_version = wire::encode(&request).expect("it fits");
    other_version[3] += 1;
    let mut damaged = wire::encode(&request).expect("it fits");
    damaged[20] ^= 1;
    let cut = &wire::encode(&request).expect("it fits")[..30];
    for bytes in [b"".as_slice(), b"hello", cut, &[0xff; 1400], &other_version, &damaged] {
        client.raw(bytes);
    }
    let foreign = wire::client_cluster("others");
    client.put(&Datagram { cluster: foreign, ..request.clone() });
    let other_members = wire::peer_cluster(CLUSTER, &[1, 2, 3].into());
    client.put(&Datagram { cluster: other_members, ..from_peer.clone() });
    client.put(&Datagram { addressee: 2, ..request.clone() });
    client.put(&Datagram { sender: 2, ..request.clone() });
    client.put(&Datagram { sender: 3, ..from_peer.clone() });
    client.put(&Datagram { sender: 1, ..from_peer.clone() });
    client.put(&Datagram { body: Body::Reply(Msg::Ask), ..request.clone() });
    let report = Body::Report { nonce: 1, status: vec![] };
    client.put(&Datagram { body: report, ..request.clone() });
    let other_type = Datagram {
        cluster: request.cluster,
        sender: client.number,
        life: Life::default(),
        saves: 0,
        addressee: 1,
        body: Body::Request(200_u8),
    };
    client.raw(&wire::encode(&other_type).expect("it fits"));
    let expected = [
        ("too_short", 3),
        ("magic", 1),
        ("version", 1),
        ("checksum", 1),
        ("foreign_cluster", 2),
        ("wrong_addressee", 1),
        ("not_a_client", 1),
        ("unknown_peer", 2),
        ("unexpected_kind", 2),
        ("malformed", 1),
    ];
    let expected = expected.map(|(name, count)| (name.to_owned(), count)).into();
    assert_eq!(client.drops(), expected);
    assert_eq!(client.ask(Msg::Ask), Msg::Total(0), "the node is alive");
    node.stop();
}

#[test]
fn only_an_inspection_may_be_addressed_to_anybody() {
    let (node, peer) = node_and_peer();
    let client = node.client();
    let anybody = |datagram| Datagram { addressee: wire::ANYBODY, ..datagram };
    client.put(&anybody(client.datagram(Body::Request(Msg::Add(1)))));
    let refusal = Refusal {
        life: peer.life,
        address: node.address,
        reason: Reason::OtherStart,
        known: peer.life,
    };
    let bodies = [Body::Peer(Msg::Ping(1)), Body::Hello(Hello::default()), Body::Refused(refusal)];
    for body in bodies {
        client.put(&anybody(peer.datagram(body)));
    }
    client.put(&anybody(client.datagram(Body::Browse { nonce: 2, from: 1 })));
    client.put(&anybody(client.datagram(Body::Inspect { nonce: 3 })));
    let (nonce, status) = client.report();
    assert_eq!((nonce, &status["total"]), (3, &json!(0)));
    assert_eq!(client.drops(), BTreeMap::from([("wrong_addressee".to_owned(), 5)]));
    node.stop();
}

// ---- Other servers ------------------------------------------------------------------------------

/// The store of a server of this cluster, on a disk in memory.
fn store_on(disk: &SimDisk) -> LogStore<Saved> {
    let members = [1, 2].into();
    let identity =
        Identity { cluster: CLUSTER.to_owned(), server: 1, members, directory: DIRECTORY };
    let (disk, dir) = (Arc::new(disk.clone()), Path::new("/data"));
    match LogStore::<Saved>::bootstrap(disk.clone(), dir, &identity) {
        Ok(()) | Err(StoreError::AlreadyBootstrapped { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    LogStore::open(disk, dir, &identity.expected()).expect("its own directory")
}

fn start_on(disk: &SimDisk, peer: &mut Peer) -> Running {
    let node = start(local(&[(2, peer.address())]), store_on(disk));
    peer.client.node = node.address;
    node
}

#[test]
fn a_node_greets_the_others_at_its_start_and_for_ever_after() {
    let (disk, mut peer) = (SimDisk::new(), Peer::new());
    for counter in 1..=3 {
        let node = start_on(&disk, &mut peer);
        let (header, hello) = peer.hello();
        assert_eq!(header.life.start.counter, counter, "each start draws a number");
        assert_eq!(header.life.directory, DIRECTORY);
        let latest = hello.starts.last_key_value().expect("a start");
        assert_eq!((*latest.0, *latest.1), (counter, header.life.start.random));
        assert_eq!(hello.starts.len() as u64, counter, "those before are told as well");
        assert!(hello.asks || counter > 1);
        for _ in 0..4 {
            assert_eq!(peer.hello().0.life, header.life);
        }
        node.stop();
        while peer.client.any_within(SHORT).is_some() {}
    }
}

#[test]
fn a_node_answers_a_hello_that_asks_and_does_not_ask_whom_it_has_met() {
    let (node, mut peer) = node_and_peer();
    assert!(peer.hello().1.asks);
    peer.greet(true, &[(1, 5)]);
    let answered = (0..3).map(|_| peer.hello().1).find(|hello| !hello.asks).expect("an answer");
    let known = answered.known.first().expect("it has met the peer");
    assert_eq!((known.server, known.life), (2, peer.life));
    node.stop();
}

#[test]
fn a_start_is_durable_before_anything_is_sent() {
    let (disk, peer) = (SimDisk::new(), Peer::new());
    let node = bind(local(&[(2, peer.address())]), store_on(&disk), (), vec![Order::Ping(2)]);
    disk.fail_after(0, Fault::Error);
    let error = run(node.expect("a free port")).ended().expect_err("the node stops");
    assert!(matches!(error, NodeError::Save(_)), "{error}");
    assert_eq!(peer.client.any_within(SHORT), None, "not even a hello");
}

#[test]
fn who_a_peer_is_is_durable_before_its_message_is_acted_upon() {
    let (disk, mut peer) = (SimDisk::new(), Peer::new());
    let node = start_on(&disk, &mut peer);
    peer.hello();
    disk.fail_after(0, Fault::Error);
    peer.send(Msg::Ping(1));
    let error = node.ended().expect_err("the node stops");
    assert!(matches!(error, NodeError::Save(_)), "{error}");
    peer.client.nothing();
}

#[test]
fn a_peer_costs_a_save_only_when_something_new_is_learned_of_it() {
    let (disk, mut peer) = (SimDisk::new(), Peer::new());
    let node = start_on(&disk, &mut peer);
    peer.greet(true, &[(1, 5)]);
    peer.send(Msg::Ping(1));
    assert_eq!(peer.receive(), Msg::Pong(1));
    let operations = disk.operations();
    for count in 0..20 {
        peer.greet(true, &[(1, 5)]);
        peer.send(Msg::Ping(count));
        assert_eq!(peer.receive(), Msg::Pong(count));
    }
    assert_eq!(disk.operations(), operations);
    node.stop();
}

#[test]
fn a_peer_that_comes_back_with_another_directory_is_not_heard_and_told_so() {
    let (node, peer) = node_and_peer();
    peer.send(Msg::Ping(1));
    assert_eq!(peer.receive(), Msg::Pong(1));
    let wiped = Peer { life: life(23, 1, 6), ..peer };
    wiped.send(Msg::Ping(2));
    let refusal = wiped.refusal();
    assert_eq!((refusal.life, refusal.reason), (wiped.life, Reason::OtherDirectory));
    assert_eq!((refusal.known, refusal.address), (life(22, 1, 5), wiped.address()));
    let first = Peer { life: life(22, 1, 5), ..wiped };
    first.send(Msg::Ping(3));
    assert_eq!(first.receive(), Msg::Pong(3), "the second was dropped");
    let client = node.client();
    assert_eq!(client.drops(), BTreeMap::from([("other_directory".to_owned(), 1)]));
    let peer = &client.status()["peers"][0];
    assert_eq!(peer["refused"]["reason"], "other_directory");
    assert_eq!(peer["directory"], format!("{:032x}", 22));
    node.stop();
}

#[test]
fn a_refusal_is_told_at_a_bounded_rate() {
    let (node, peer) = node_and_peer();
    peer.send(Msg::Ping(1));
    assert_eq!(peer.receive(), Msg::Pong(1));
    let wiped = Peer { life: life(23, 1, 6), ..peer };
    for _ in 0..50 {
        wiped.send(Msg::Ping(2));
    }
    wiped.refusal();
    let client = node.client();
    wait_for_drops(&client, "other_directory", 50);
    wiped.client.nothing();
    node.stop();
}

fn wait_for_drops(client: &Client, reason: &str, count: u64) {
    while client.drops().get(reason).is_none_or(|it| *it < count) {}
}

#[test]
fn a_restarted_peer_is_admitted_at_once_by_its_hello_and_its_earlier_start_no_more() {
    let (node, mut peer) = node_and_peer();
    peer.greet(true, &[(1, 5)]);
    peer.send(Msg::Ping(1));
    assert_eq!(peer.receive(), Msg::Pong(1));
    let before = peer.life;
    peer.life = life(22, 2, 6);
    peer.send(Msg::Ping(2));
    peer.greet(true, &[(1, 5), (2, 6)]);
    peer.send(Msg::Ping(3));
    assert_eq!(peer.receive(), Msg::Pong(3), "what came before its hello was dropped");
    peer.life = before;
    peer.send(Msg::Ping(4));
    let client = node.client();
    wait_for_drops(&client, "earlier_start", 1);
    assert_eq!(client.drops()["unmet"], 1);
    peer.client.nothing();
    node.stop();
}

#[test]
fn whom_a_node_knows_it_knows_after_a_restart() {
    let (disk, mut peer) = (SimDisk::new(), Peer::new());
    let node = start_on(&disk, &mut peer);
    peer.greet(true, &[(1, 5), (2, 6)]);
    peer.send(Msg::Ping(1));
    assert_eq!(peer.receive(), Msg::Pong(1));
    node.stop();
    let node = start_on(&disk, &mut peer);
    for (directory, starts, reason) in [
        (23, vec![(1, 7)], Reason::OtherDirectory),
        (22, vec![(1, 5)], Reason::EarlierStart),
        (22, vec![(1, 5), (2, 7)], Reason::OtherStart),
        (22, vec![(1, 5), (2, 7), (3, 8)], Reason::OtherStart),
    ] {
        peer.life.directory = directory;
        let refusal = peer.refused(&starts);
        assert_eq!((refusal.reason, refusal.known), (reason, life(22, 2, 6)));
    }
    node.stop();
}

#[test]
fn what_comes_while_the_mailbox_is_full_is_dropped_and_the_node_goes_on() {
    let (store, gate) = gate();
    let node = start(NodeConfig { mailbox: 3, ..local(&[]) }, store);
    let client = node.client();
    client.send(Msg::Add(1));
    gate.begun();
    for _ in 0..10 {
        client.send(Msg::Add(1));
    }
    client.nothing();
    gate.succeed();
    assert_eq!(gate.begun(), 4, "the three that waited");
    gate.succeed();
    for total in 1..=4 {
        assert_eq!(client.reply(), Msg::Total(total));
    }
    assert_eq!(client.drops(), BTreeMap::from([("mailbox_full".to_owned(), 7)]));
    node.stop();
}

#[test]
fn a_message_that_cannot_be_sent_is_counted_and_the_next_one_is_sent() {
    let node = start_simple();
    let client = node.client();
    client.send(Msg::Do(vec![Order::Blob(wire::MAX_DATAGRAM), Order::Ping(8), Order::Blob(1)]));
    assert_eq!(client.reply(), Msg::Blob(vec![0]));
    let expected = [("too_large_to_send", 1), ("no_address", 1)];
    let expected = expected.map(|(name, count)| (name.to_owned(), count)).into();
    assert_eq!(client.drops(), expected);
    node.stop();
}

#[test]
fn a_peer_where_nobody_listens_does_not_disturb_the_node() {
    let gone = UdpSocket::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");
    let node = start(local(&[(2, gone)]), MemoryStore::default());
    let client = node.client();
    for total in 1..20 {
        client.send(Msg::Do(vec![Order::Ping(2)]));
        assert_eq!(client.ask(Msg::Add(1)), Msg::Total(total));
    }
    node.stop();
}

// ---- Start and stop -----------------------------------------------------------------------------

#[test]
fn a_port_in_use_is_a_clear_error() {
    let node = start_simple();
    let taken = NodeConfig { listen: node.address, ..local(&[]) };
    let error = bind(taken, MemoryStore::default(), (), vec![]).err().expect("the port is taken");
    let text = error.to_string();
    assert!(text.contains(&node.address.to_string()), "{text}");
    assert!(text.contains("another process"), "{text}");
    node.stop();
}

#[test]
fn a_stop_is_prompt_and_frees_the_address_idle_or_under_a_flood_of_garbage() {
    for flood in [false, true] {
        let node = start_simple();
        let client = node.client();
        client.ask(Msg::Ask);
        let over = Stop::new();
        let flooding = flood.then(|| {
            let (client, over) = (node.client(), over.clone());
            thread::spawn(move || {
                while !over.is_triggered() {
                    client.raw(b"garbage");
                }
            })
        });
        let (address, begin) = (node.address, now());
        node.stop();
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
        over.trigger();
        UdpSocket::bind(address).expect("the address is free");
        if let Some(flooding) = flooding {
            flooding.join().expect("the flood ends");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "tests of timers look at a clock")]
fn now() -> Instant {
    Instant::now()
}

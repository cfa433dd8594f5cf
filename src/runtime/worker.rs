//! The node's loop. [`Worker`] collects events, calls the actor's handler for each, commits the batch,
//! and sends its outputs. It begins with [`Worker::start`], which calls `on_start` as the first batch,
//! and goes on with [`Worker::run`].
//!
//! Each round handles up to four groups of events, each in batches of its own. They are messages of
//! peers, timers, messages of clients, and inspections, in this order. The order has three reasons:
//!
//! - A follower that was held up hears its leader before it stands for election.
//! - A leader's heartbeat does not wait for the save of clients' commands.
//! - No flood of requests or of inspections keeps servers from hearing each other.

use super::addresses::Addresses;
use super::batch::{Batch, Committed, Output};
use super::counters::{Counters, Loss};
use super::error::NodeError;
use super::hello::Hello;
use super::mailbox::{Arrived, Class};
use super::node::{Deployable, Node};
use super::observer::{Event, Observer};
use super::peers::{Claim, Peers, Verdict};
use super::receiver::{Gate, Incoming, Inlet};
use super::stop::Stop;
use super::store::Store;
use super::timers::Timers;
use super::wire::{self, Body, CLIENTS, Datagram};
use rand::Rng;
use serde_json::{Map, Value, json};
use stateright::actor::{Command, Id, Out};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

/// The longest duration of a timer. A longer one is cut to this, because `Instant` does not reach
/// arbitrarily far.
const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);

/// A node whose actor has started.
pub(super) struct Worker<'a, A: Deployable, St, F, O> {
    node: Node<A, St, F, O>,
    id: Id,
    state: A::State,
    timers: Timers<A::Timer>,
    addresses: Addresses,
    peers: Peers,
    gate: &'a Gate,
    counters: &'a Counters,
    started: Instant,
}

impl<'a, A, St, F, O> Worker<'a, A, St, F, O>
where
    A: Deployable,
    St: Store<A::Storage>,
    F: Fn(&A::State) -> Value,
    O: Observer<A>,
{
    /// Calls `on_start`, as a batch of its own. As in a model, a server that never saved starts from
    /// nothing, not from a default value. (A store does not record a save that changes nothing. So a
    /// server that has saved only the default starts from nothing, too, and an actor must not tell the
    /// two cases apart.)
    pub(super) fn start(
        mut node: Node<A, St, F, O>,
        addresses: Addresses,
        gate: &'a Gate,
        counters: &'a Counters,
    ) -> Result<(Self, Committed), NodeError> {
        let id = actor_id(gate.id);
        let peers = begin(&mut node)?;
        let storage = (node.store.saves() > 0).then(|| node.store.value().clone());
        let mut out = Out::new();
        let state = node.actor.on_start(id, &storage, &mut out);
        let mut batch = Batch::first();
        node.observer.handled(batch.number(), &Event::Start { storage }, None, &state, &out);
        tracing::info!(id = gate.id, address = %node.address, "started");
        let (timers, started) = (Timers::default(), now());
        let mut worker =
            Self { node, id, state, timers, addresses, peers, gate, counters, started };
        worker.greet();
        worker.perform(&mut batch, out);
        let committed = worker.commit(batch)?;
        Ok((worker, committed))
    }

    /// Handles one batch after the other until `stop` is triggered or the mailbox is closed.
    pub(super) fn run(
        mut self,
        mut committed: Committed,
        inlet: &Inlet<'_, A::Msg>,
        stop: &Stop,
    ) -> Result<(), NodeError> {
        while !stop.is_triggered() {
            self.greet();
            let Some(mut arrived) = self.collect(inlet) else { break };
            let at = now();
            if self.timers.is_due(at) {
                // A message that came before a timer fires is handled first, even if this process did
                // not run meanwhile. So a heartbeat that waited disarms the election timer.
                inlet.drain();
                arrived.peers.extend(inlet.mailbox().take(Class::Peer));
            }
            committed = self.handle(committed, arrived.peers)?;
            committed = self.fire_due(committed, at)?;
            committed = self.handle(committed, arrived.clients)?;
            committed = self.handle(committed, arrived.inspections)?;
        }
        Ok(())
    }

    /// Waits for datagrams, at most until the next timer or hello is due. Returns `None` when the
    /// mailbox is closed.
    fn collect(&mut self, inlet: &Inlet<'_, A::Msg>) -> Option<Arrived<Incoming<A::Msg>>> {
        let max = self.node.config.max_batch;
        let due = self.timers.next_due().into_iter().chain(self.peers.next_greeting()).min();
        let Some(due) = due else { return inlet.mailbox().receive(max) };
        let patience = due.saturating_duration_since(now());
        let arrived = inlet.mailbox().receive_within(max, patience);
        if !patience.is_zero() {
            self.timers.spare_late(now());
        }
        arrived
    }

    /// Handles the datagrams that have arrived, in batches of at most `max_batch`.
    fn handle(
        &mut self,
        mut committed: Committed,
        arrived: Vec<Incoming<A::Msg>>,
    ) -> Result<Committed, NodeError> {
        let mut arrived = arrived.into_iter();
        while arrived.len() > 0 {
            let mut batch = Batch::after(committed);
            for incoming in arrived.by_ref().take(self.node.config.max_batch) {
                self.accept(&mut batch, incoming)?;
            }
            committed = self.commit(batch)?;
        }
        Ok(committed)
    }

    /// Fires the timers that were due at `at`, a moment before the socket was drained. A timer that
    /// became due after `at` fires in a later round, after the socket has been drained again.
    fn fire_due(&mut self, committed: Committed, at: Instant) -> Result<Committed, NodeError> {
        let due = self.timers.due(at);
        if due.is_empty() {
            return Ok(committed);
        }
        let mut batch = Batch::after(committed);
        for timer in due {
            if self.timers.disarm_due(&timer, at) {
                self.fire(&mut batch, timer);
            }
        }
        self.commit(batch)
    }

    fn accept(
        &mut self,
        batch: &mut Batch<A>,
        incoming: Incoming<A::Msg>,
    ) -> Result<(), NodeError> {
        match incoming {
            Incoming::Peer { claim, message } => {
                if self.admit(&claim, None)? {
                    self.deliver(batch, actor_id(claim.server), message);
                }
            }
            Incoming::Hello { claim, hello } => {
                if self.admit(&claim, Some(&hello))? {
                    self.peers.hear(claim.server, &hello, self.gate.id, now());
                    self.remember()?;
                }
            }
            Incoming::Refused { server, refusal } => self.peers.hear_refusal(server, &refusal),
            Incoming::Client { client, address, message } => {
                self.addresses.heard_from(client, address);
                self.deliver(batch, actor_id(client), message);
            }
            Incoming::Inspect { client, address, nonce } => {
                let status = self.status();
                batch.put(Output::Report { address, client, nonce, status });
            }
            Incoming::Peek { client, address, nonce, query } => {
                let page = self.node.observer.peek(&self.state, &query);
                batch.put(Output::Page { address, client, nonce, page });
            }
            Incoming::Browse { client, address, nonce, from } => {
                let page = self.node.observer.page(&self.state, from).to_string().into_bytes();
                batch.put(Output::Page { address, client, nonce, page });
            }
        }
        Ok(())
    }

    /// Whether the node acts upon a server's datagram. By the time this returns, what the datagram tells
    /// of the server is durable.
    fn admit(&mut self, claim: &Claim, hello: Option<&Hello>) -> Result<bool, NodeError> {
        let now = now();
        let verdict = self.peers.admit(claim, hello, now);
        self.remember()?;
        match verdict {
            Verdict::Admitted => return Ok(true),
            Verdict::Dropped(reject) => self.counters.refused(reject),
            Verdict::Refused(reason) => {
                self.counters.refused(reason.reject());
                if let Some(refusal) = self.peers.refusal(claim.server, now) {
                    // The refusal goes to the refused process, and to the process that is known in its
                    // place.
                    let known = self.addresses.of(claim.server);
                    for address in known.into_iter().chain([claim.address]).collect::<BTreeSet<_>>()
                    {
                        let body = Body::Refused(refusal);
                        self.transmit(self.gate.peer_cluster, claim.server, address, body);
                    }
                }
            }
        }
        Ok(false)
    }

    fn remember(&mut self) -> Result<(), NodeError> {
        match self.peers.unsaved() {
            Some(census) => self.node.store.save_census(census).map_err(NodeError::Save),
            None => Ok(()),
        }
    }

    /// Says hello to the servers that are due for a greeting. A hello rests on the census alone, which
    /// is durable.
    fn greet(&mut self) {
        for (server, hello) in self.peers.greetings(now(), draw) {
            let address = self.addresses.of(server).expect("every peer has an address");
            self.transmit(self.gate.peer_cluster, server, address, Body::Hello(hello));
        }
    }

    fn deliver(&mut self, batch: &mut Batch<A>, src: Id, msg: A::Msg) {
        let event = Event::Message { src, msg: msg.clone() };
        let mut state = Cow::Borrowed(&self.state);
        let mut out = Out::new();
        self.node.actor.on_msg(self.id, &mut state, src, msg, &mut out);
        let next = changed(state);
        self.conclude(batch, &event, next, out);
    }

    fn fire(&mut self, batch: &mut Batch<A>, timer: A::Timer) {
        let mut state = Cow::Borrowed(&self.state);
        let mut out = Out::new();
        self.node.actor.on_timeout(self.id, &mut state, &timer, &mut out);
        let next = changed(state);
        self.conclude(batch, &Event::Timeout(timer), next, out);
    }

    /// Concludes a call of any handler but `on_start`: shows the call to the observer, then lets it take
    /// effect.
    fn conclude(
        &mut self,
        batch: &mut Batch<A>,
        event: &Event<A>,
        next: Option<A::State>,
        out: Out<A>,
    ) {
        let before = &self.state;
        let after = next.as_ref().unwrap_or(before);
        self.node.observer.handled(batch.number(), event, Some(before), after, &out);
        if let Some(next) = next {
            self.state = next;
        }
        self.perform(batch, out);
    }

    /// Performs a handler's commands. Timers belong to the node and change at once, so that a later
    /// handler of the batch finds them changed. But a timer that is set runs only from the end of the
    /// batch on. Saves and sends wait for the commit.
    fn perform(&mut self, batch: &mut Batch<A>, out: Out<A>) {
        let mut has_sent = false;
        for command in out {
            match command {
                Command::SetTimer(timer, range) => self.timers.arm(timer, draw(range)),
                Command::CancelTimer(timer) => self.timers.disarm(&timer),
                Command::Save(value) => {
                    assert!(!has_sent, "a handler must save before it sends, but this sent first");
                    batch.save(value);
                }
                Command::Send(to, message) => {
                    has_sent = true;
                    batch.put(Output::Message { to, message });
                }
                Command::ChooseRandom(..) => {
                    panic!("a deployed actor makes no random choices (its Random is ())")
                }
            }
        }
    }

    /// Saves and sends what a batch put out. Then the timers that the batch set begin to run, so neither
    /// a slow save nor a long handler takes from their time.
    fn commit(&mut self, batch: Batch<A>) -> Result<Committed, NodeError> {
        let started = self.started;
        let Node { store, observer, .. } = &mut self.node;
        let (committed, outputs) = batch.commit(store, observer, || now() - started)?;
        if let Some(reason) = observer.must_stop() {
            return Err(NodeError::MustStop(reason));
        }
        for output in outputs {
            self.send(output);
        }
        self.timers.run(now());
        Ok(committed)
    }

    fn send(&self, output: Output<A::Msg>) {
        match output {
            Output::Message { to, message } => {
                let number = usize::from(to) as u64;
                let Some(address) = self.addresses.of(number) else {
                    let detail = format_args!("a message to {number}, whose address is unknown");
                    return self.counters.lost(Loss::NoAddress, detail);
                };
                if number >= CLIENTS {
                    self.transmit(self.gate.client_cluster, number, address, Body::Reply(message));
                } else {
                    self.transmit(self.gate.peer_cluster, number, address, Body::Peer(message));
                }
            }
            Output::Report { address, client, nonce, status } => {
                let body = Body::Report { nonce, status };
                self.transmit(self.gate.client_cluster, client, address, body);
            }
            Output::Page { address, client, nonce, page } => {
                let body = Body::Page { nonce, page };
                self.transmit(self.gate.client_cluster, client, address, body);
            }
        }
    }

    /// Sends one datagram, or counts it as lost. A failure to send is a loss, because the network may
    /// lose the datagram as well.
    fn transmit(&self, cluster: u64, addressee: u64, address: SocketAddr, body: Body<A::Msg>) {
        let (sender, life) = (self.gate.id, self.peers.life());
        // Every save that is counted here is durable, so no later start can have made fewer saves.
        let saves = self.node.store.saves();
        let datagram = Datagram { cluster, sender, life, saves, addressee, body };
        match wire::encode(&datagram) {
            Ok(bytes) => match self.node.socket.send_to(&bytes, address) {
                Ok(_) => self.counters.sent(),
                Err(error) => {
                    let detail = format_args!("a datagram to {addressee} at {address}: {error}");
                    self.counters.lost(Loss::SendFailed, detail);
                }
            },
            Err(error) => self.counters.lost(Loss::TooLargeToSend, error),
        }
    }

    /// The content of a status report, as JSON.
    fn status(&self) -> Vec<u8> {
        let mut status = match (self.node.status)(&self.state) {
            Value::Object(fields) => fields,
            state => Map::from_iter([("state".to_owned(), state)]),
        };
        let config = &self.node.config;
        let mut addresses = config.peers.clone();
        addresses.insert(config.id, self.node.address);
        let member = |(id, address): (u64, SocketAddr)| json!({ "id": id, "address": address });
        let members: Vec<_> = addresses.into_iter().map(member).collect();
        status.insert("id".to_owned(), config.id.into());
        status.insert("cluster".to_owned(), config.cluster.clone().into());
        status.insert("members".to_owned(), members.into());
        status.insert("counters".to_owned(), self.counters.to_json());
        status.extend(self.peers.status().map(|(name, value)| (name.to_owned(), value)));
        let at = now() - self.started;
        status.extend(self.node.observer.status(at));
        let warnings = self.peers.warnings().chain(self.node.observer.warnings(at));
        status.insert("warnings".to_owned(), warnings.collect());
        Value::Object(status).to_string().into_bytes()
    }
}

/// Draws the node's start number and saves it, before anything is sent.
fn begin<A, St, F, O>(node: &mut Node<A, St, F, O>) -> Result<Peers, NodeError>
where
    A: Deployable,
    St: Store<A::Storage>,
{
    let (directory, others) = (node.config.directory, node.config.peers.keys().copied());
    let random = rand::rng().random();
    let mut peers = Peers::begin(directory, others, node.store.census(), random, now());
    if let Some(census) = peers.unsaved() {
        node.store.save_census(census).map_err(NodeError::Save)?;
    }
    Ok(peers)
}

/// The new state, if the handler changed it.
fn changed<T: Clone>(state: Cow<'_, T>) -> Option<T> {
    match state {
        Cow::Owned(next) => Some(next),
        Cow::Borrowed(_) => None,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a node needs 64 bits, asserted in node.rs")]
fn actor_id(number: u64) -> Id {
    Id::from(number as usize)
}

/// A uniformly random duration of the range, drawn afresh each time a timer is set. The randomness keeps
/// servers from standing for election in step. An empty range gives its start.
fn draw(range: Range<Duration>) -> Duration {
    let start = range.start;
    let drawn = if range.is_empty() { start } else { rand::rng().random_range(range) };
    drawn.min(LONGEST)
}

#[expect(clippy::disallowed_methods, reason = "a node's loop is where time comes from")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_drawn_duration_is_of_the_range_and_they_differ() {
        let range = Duration::from_millis(150)..Duration::from_millis(300);
        let drawn: BTreeSet<_> = (0..1000).map(|_| draw(range.clone())).collect();
        assert!(drawn.iter().all(|duration| range.contains(duration)));
        assert!(drawn.len() > 900, "nanoseconds hardly coincide");
        let (first, last) = (drawn.first().expect("some"), drawn.last().expect("some"));
        // All of 1000 draws miss a tenth of the range at either end with probability 10^-46.
        assert!(*first < Duration::from_millis(165) && *last > Duration::from_millis(285));
    }

    #[test]
    fn an_empty_range_means_its_start() {
        let second = Duration::from_secs(1);
        assert_eq!(draw(second..second), second);
    }

    #[test]
    fn a_timer_far_beyond_the_clock_is_no_panic() {
        assert!(now() + draw(Duration::MAX..Duration::MAX) > now());
    }
}

//! The other servers: which of them this node knows, admits and greets.
//!
//! [`Peers`] decides for each datagram of a server whether the node acts upon it. The worker asks
//! [`Peers::admit`], which compares the sender's [`Claim`] with the [`Census`]: the lives of the other
//! servers that this node knows. Before the worker acts upon an admitted datagram, it saves the census
//! if that has changed. [`Peers::greetings`] makes the hellos that tell others what this node knows.
//! [`Peers::hear`] takes what the hellos of others tell.
//!
//! # What the rules guard against
//!
//! A server that lost its data directory has forgotten its votes and its log. A server that runs from an
//! older copy of its directory has forgotten a part of them. If the others heeded such a server, they
//! could elect two leaders in a term, or lose what was acknowledged. To the rest of the cluster it must
//! stay crashed.
//!
//! # The rules
//!
//! - Each data directory has an id, drawn at bootstrap. Each start from a directory draws a number: a
//!   counter, and a random part that tells apart two copies with equal counters. Both the id and the
//!   number stand in every datagram between servers, with the number of saves made so far.
//! - Each server greets all others, at its start and for ever after. A [`Hello`] tells the latest 64
//!   starts of its sender, and the directory and the latest start of each server that the sender knows.
//! - **The first directory learned under a number is the only one**, whether the server itself or
//!   another server has told it.
//! - **A start is admitted only if it descends from every start that is known** of its directory: it
//!   lists each known start among its own. A restarted server descends from them at once. An older copy
//!   does not in its first 64 starts; nor does the second of two processes that start from equal copies.
//! - A start that had made fewer saves than an earlier start is refused, and so are all starts that
//!   descend from it. This rule finds a copy made in the latest life, as long as some server runs that
//!   has heard of more saves.
//! - While a life is heard, a later life from another address is refused: somebody has started a copy
//!   elsewhere.
//! - A node makes durable what it learns from a message before it acts upon that message. The census is
//!   saved only for that: about once for each start of each server.
//! - A node that refuses a process tells it so, and tells the process that is known in its place. Both
//!   log the refusal and show it in their status. It is information only: no server stops because of it.
//!
//! A node believes only admitted servers about others. If two servers disagree about a third, each keeps
//! what it learned first, and both warn. A start that a node has only been told of binds it like one
//! that it has seen.
//!
//! # What the rules cannot prevent
//!
//! A node that has never talked to any server that knew the lost directory takes the forgetful server
//! for a new one. And whoever can forge datagrams can have a server refused, for a hello is believed:
//! the network must be trusted.

use super::hello::{Hello, Reason, Refusal, Sighting};
use super::store::{Census, Known, Life, Start};
use super::wire::Reject;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

/// The pause after the first hello to a server. The pause doubles from one hello to the next.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause between hellos to a server that has not answered yet.
const UNANSWERED_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause between hellos to a server that has answered.
const PAUSE: Duration = Duration::from_secs(1);

/// A server that was silent for this long is taken to have ended. No datagram is on its way for this
/// long either.
const SILENCE: Duration = Duration::from_secs(3);

/// The shortest time between two refusals told to one server.
const REFUSAL_PAUSE: Duration = Duration::from_secs(1);

/// How many starts that lost saves a node remembers for each server. Newer ones displace older ones.
const MAX_LOST: usize = 8;

/// How many starts a node remembers of each other server: the start that it admitted, and others that it
/// was only told of. Newer ones displace older ones.
const MAX_KNOWN_STARTS: usize = 8;

/// The sender of a datagram, as the datagram claims it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) server: u64,
    pub(super) life: Life,
    pub(super) saves: u64,
    pub(super) address: SocketAddr,
}

/// The decision about a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The node acts upon the datagram, once the census is saved.
    Admitted,
    /// The node drops the datagram and tells its sender.
    Refused(Reason),
    /// The node drops the datagram: its sender's life has not said hello yet, or a later life has just
    /// replaced it.
    Dropped(Reject),
}

/// The knowledge of a node about the other servers, and about its own life.
pub(super) struct Peers {
    life: Life,
    census: Census,
    is_unsaved: bool,
    others: BTreeMap<u64, Other>,
    /// Another process of this server's own directory, of which a peer has told.
    copy: Option<(Life, SocketAddr)>,
}

/// The part of a node's knowledge about another server that it has only while it runs.
struct Other {
    /// Where from and when the server's last admitted datagram came, whichever of its lives sent it.
    heard: Option<(SocketAddr, Instant)>,
    /// When the node learned of the server's present life, if it knew an earlier one.
    since: Option<Instant>,
    /// Whether the server's present life has said hello.
    has_met: bool,
    /// When to greet the server next, and how long to pause after that.
    greet_at: Instant,
    pause: Duration,
    refused: Option<Refused>,
    refuses_us: Option<RefusesUs>,
    /// Lives that others claim for the server and that contradict what this node knows, by the number of
    /// the one who says so.
    disputes: BTreeMap<u64, Life>,
}

/// The latest refusal of another server by this node.
struct Refused {
    refusal: Refusal,
    count: u64,
    told: Option<Instant>,
}

/// The latest refusal of this node by another server.
struct RefusesUs {
    reason: Reason,
    known: Life,
    count: u64,
}

impl Peers {
    /// Draws this node's start. The start counts once the census is saved.
    pub(super) fn begin(
        directory: u128,
        peers: impl Iterator<Item = u64>,
        census: &Census,
        random: u64,
        now: Instant,
    ) -> Self {
        let mut census = census.clone();
        let start = census.begin(random);
        let other = || Other {
            heard: None,
            since: None,
            has_met: false,
            greet_at: now,
            pause: FIRST_PAUSE,
            refused: None,
            refuses_us: None,
            disputes: BTreeMap::new(),
        };
        let others = peers.map(|server| (server, other())).collect();
        Self { life: Life { directory, start }, census, is_unsaved: true, others, copy: None }
    }

    /// The life that this node is in.
    pub(super) fn life(&self) -> Life {
        self.life
    }

    /// The census, if it has changed and must be saved before the node acts upon anything.
    pub(super) fn unsaved(&mut self) -> Option<&Census> {
        std::mem::take(&mut self.is_unsaved).then_some(&self.census)
    }

    // ---- Hellos ----

    /// When the next hello to any server is due.
    pub(super) fn next_greeting(&self) -> Option<Instant> {
        self.others.values().map(|other| other.greet_at).min()
    }

    /// The hellos due at `now`. `draw` chooses a pause from a range of them.
    pub(super) fn greetings(
        &mut self,
        now: Instant,
        draw: impl Fn(Range<Duration>) -> Duration,
    ) -> Vec<(u64, Hello)> {
        let mut asks = Vec::new();
        for (server, other) in self.others.iter_mut().filter(|(_, it)| it.greet_at <= now) {
            let longest = if other.has_met { PAUSE } else { UNANSWERED_PAUSE };
            let pause = other.pause.min(longest);
            other.pause = pause * 2;
            other.greet_at = now + draw(pause * 3 / 4..pause * 5 / 4);
            asks.push((*server, !other.has_met));
        }
        asks.into_iter().map(|(server, asks)| (server, self.hello(asks))).collect()
    }

    fn hello(&self, asks: bool) -> Hello {
        let known = self.census.known.iter().map(|(server, known)| {
            let life = known.life();
            let saves = (known.saves_of == life.start.counter).then_some(known.saves);
            Sighting { server: *server, life, saves }
        });
        Hello { asks, starts: self.census.starts.clone(), known: known.collect() }
    }

    // ---- Admission ----

    /// Judges a server's datagram, and learns about its sender. Any datagram introduces a server of
    /// which nothing is known. After that only a hello introduces another start.
    pub(super) fn admit(&mut self, claim: &Claim, hello: Option<&Hello>, now: Instant) -> Verdict {
        let verdict = self.judge(claim, hello, now);
        match verdict {
            Verdict::Admitted => self.learn(claim, hello.is_some(), now),
            Verdict::Refused(reason) => self.refuse(claim, reason),
            Verdict::Dropped(_) => {}
        }
        verdict
    }

    fn judge(&self, claim: &Claim, hello: Option<&Hello>, now: Instant) -> Verdict {
        let Some(known) = self.census.known.get(&claim.server) else { return Verdict::Admitted };
        let (present, other) = (known.life(), &self.others[&claim.server]);
        if claim.life.directory != present.directory {
            return Verdict::Refused(Reason::OtherDirectory);
        }
        if claim.life.start.counter < present.start.counter {
            let is_restart = other.since.is_some_and(|since| now - since < SILENCE);
            return if is_restart {
                // The datagram may have been on its way since before the restart.
                Verdict::Dropped(Reject::EarlierStart)
            } else {
                Verdict::Refused(Reason::EarlierStart)
            };
        }
        if claim.life == present && known.starts.len() == 1 {
            return Verdict::Admitted;
        }
        let Some(hello) = hello else {
            let is_other =
                claim.life.start.counter == present.start.counter && claim.life != present;
            return if is_other {
                Verdict::Refused(Reason::OtherStart)
            } else {
                Verdict::Dropped(Reject::Unmet)
            };
        };
        if !descends(claim.life.start, &hello.starts, known) {
            return Verdict::Refused(Reason::OtherStart);
        }
        let is_lost = |start: &Start| hello.starts.get(&start.counter) == Some(&start.random);
        let has_lost = claim.life.start.counter > known.saves_of && claim.saves < known.saves;
        if has_lost || known.lost.iter().any(is_lost) {
            return Verdict::Refused(Reason::LostSaves);
        }
        let is_heard_elsewhere =
            other.heard.is_some_and(|(address, at)| address != claim.address && now - at < SILENCE);
        if claim.life != present && is_heard_elsewhere {
            return Verdict::Refused(Reason::SecondProcess);
        }
        Verdict::Admitted
    }

    fn learn(&mut self, claim: &Claim, is_hello: bool, now: Instant) {
        let Claim { server, life, saves, address } = *claim;
        let Start { counter, random } = life.start;
        let other = self.others.get_mut(&server).expect("the gate lets only peers pass");
        let known = self.census.known.get(&server);
        let is_new = known.is_none_or(|known| known.life() != life);
        if is_new {
            tracing::info!(server, %life, %address, "met server {server}");
            (other.has_met, other.pause) = (false, FIRST_PAUSE);
            other.since = known.map(|_| now);
        }
        let is_only = known.is_some_and(|known| known.starts.len() == 1);
        self.is_unsaved |= is_new || !is_only;
        let known = self.census.known.entry(server).or_insert_with(|| new(life, saves));
        known.firsthand = true;
        known.starts = BTreeMap::from([(counter, random)]);
        let more = if known.saves_of == counter { known.saves } else { 0 };
        (known.saves, known.saves_of) = (saves.max(more), counter);
        other.heard = Some((address, now));
        other.has_met |= is_hello;
        // A process that was refused in the admitted one's place stays refused until it speaks again.
        if other.refused.as_ref().is_some_and(|it| it.refusal.life == life) {
            other.refused = None;
        }
    }

    fn refuse(&mut self, claim: &Claim, reason: Reason) {
        let Claim { server, life, address, .. } = *claim;
        let known = self.census.known.get_mut(&server).expect("only who is known is refused");
        if reason == Reason::LostSaves && !known.lost.contains(&life.start) {
            known.lost.push(life.start);
            let more = known.lost.len().saturating_sub(MAX_LOST);
            known.lost.drain(..more);
            self.is_unsaved = true;
        }
        let refusal = Refusal { life, address, reason, known: known.life() };
        let other = self.others.get_mut(&server).expect("the gate lets only peers pass");
        match &mut other.refused {
            Some(refused) if (refused.refusal.life, refused.refusal.reason) == (life, reason) => {
                refused.refusal = refusal;
                refused.count += 1;
            }
            refused => {
                let told = refused.as_ref().and_then(|earlier| earlier.told);
                *refused = Some(Refused { refusal, count: 1, told });
            }
        }
        let refused = other.refused.as_ref().expect("it was just set");
        if refused.count.is_power_of_two() {
            let (count, known) = (refused.count, refusal.known);
            tracing::warn!(
                server, %life, %address, %known, count,
                "refuses server {server}: {reason}. What to do with it: {}", reason.remedy()
            );
        }
    }

    /// The refusal to send about server `server`, if it is time to tell it again.
    pub(super) fn refusal(&mut self, server: u64, now: Instant) -> Option<Refusal> {
        let refused = self.others.get_mut(&server)?.refused.as_mut()?;
        if refused.told.is_some_and(|told| now - told < REFUSAL_PAUSE) {
            return None;
        }
        refused.told = Some(now);
        Some(refused.refusal)
    }

    // ---- Hearsay ----

    /// Takes what an admitted server says in its hello about other servers and about this one.
    pub(super) fn hear(&mut self, witness: u64, hello: &Hello, own: u64, now: Instant) {
        if hello.asks {
            self.others.get_mut(&witness).expect("it was admitted").greet_at = now;
        }
        for sighting in &hello.known {
            if sighting.server == own {
                self.hear_of_self(witness, sighting.life);
            } else if self.others.contains_key(&sighting.server) && sighting.server != witness {
                self.hear_of_other(witness, sighting, now);
            }
        }
    }

    fn hear_of_other(&mut self, witness: u64, sighting: &Sighting, now: Instant) {
        let Sighting { server, life, saves } = *sighting;
        let Start { counter, random } = life.start;
        let Some(known) = self.census.known.get_mut(&server) else {
            let known = Known { firsthand: false, ..new(life, saves.unwrap_or(0)) };
            self.census.known.insert(server, known);
            self.is_unsaved = true;
            return;
        };
        let has_lost = saves.is_some_and(|saves| counter > known.saves_of && saves < known.saves);
        let is_other = known.starts.get(&counter).is_some_and(|it| *it != random);
        if life.directory != known.directory || is_other || has_lost {
            return self.dispute(witness, server, life);
        }
        let other = self.others.get_mut(&server).expect("it is a peer");
        if let Some(saves) = saves.filter(|_| counter >= known.saves_of) {
            (known.saves, known.saves_of) = (saves.max(known.saves), counter);
        }
        if counter > known.life().start.counter {
            known.starts.insert(counter, random);
            if known.starts.len() > MAX_KNOWN_STARTS {
                known.starts.pop_first();
            }
            self.is_unsaved = true;
            other.since = Some(now);
        }
        other.disputes.remove(&witness);
    }

    fn dispute(&mut self, witness: u64, server: u64, theirs: Life) {
        let known = self.census.known[&server].life();
        let other = self.others.get_mut(&server).expect("it is a peer");
        if other.disputes.insert(witness, theirs) != Some(theirs) {
            tracing::warn!(
                server, witness, %known, %theirs,
                "server {witness} knows another life of server {server} than this server does; each \
                 keeps the one it learned first. One of the two lives must end: see the status of all"
            );
        }
    }

    fn hear_of_self(&mut self, witness: u64, life: Life) {
        let Start { counter, random } = life.start;
        let reason = match self.census.starts.get(&counter) {
            _ if life.directory != self.life.directory => Reason::OtherDirectory,
            Some(own) if *own != random => Reason::OtherStart,
            None if counter > self.life.start.counter => Reason::EarlierStart,
            _ => {
                let other = self.others.get_mut(&witness).expect("it was admitted");
                if life == self.life && other.refuses_us.take().is_some() {
                    tracing::info!("server {witness} does not refuse this server any more");
                }
                return;
            }
        };
        self.hear_that_refused(witness, reason, life);
    }

    /// Takes another server's reason for dropping datagrams that bear this server's number.
    pub(super) fn hear_refusal(&mut self, witness: u64, refusal: &Refusal) {
        let Refusal { life, address, reason, known } = *refusal;
        let Start { counter, random } = life.start;
        if life == self.life {
            return self.hear_that_refused(witness, reason, known);
        }
        let is_own = self.census.starts.get(&counter) == Some(&random);
        let is_copy = life.directory == self.life.directory && !is_own;
        if is_copy && self.copy.replace((life, address)) != Some((life, address)) {
            tracing::warn!(
                %life, %address,
                "a second process runs from a copy of this server's data directory, at {address}; \
                 server {witness} refuses it. Stop it"
            );
        }
    }

    fn hear_that_refused(&mut self, witness: u64, reason: Reason, known: Life) {
        let Some(other) = self.others.get_mut(&witness) else { return };
        let count = match &other.refuses_us {
            Some(it) if (it.reason, it.known) == (reason, known) => it.count + 1,
            _ => 1,
        };
        other.refuses_us = Some(RefusesUs { reason, known, count });
        if count.is_power_of_two() {
            let life = self.life;
            tracing::error!(
                %life, %known, count,
                "server {witness} refuses this server: {reason}. What to do with it: {}", reason.remedy()
            );
        }
    }

    // ---- For people ----

    /// This module's part of a status report: `directory`, `start`, `copy` (another process of this
    /// directory) and `peers`.
    pub(super) fn status(&self) -> [(&'static str, Value); 4] {
        let copy = self.copy.map(|(life, address)| {
            let mut copy = life_json(life);
            copy["address"] = json!(address);
            copy
        });
        let peers: Vec<_> = self.others.iter().map(|it| self.peer(*it.0, it.1)).collect();
        let own = life_json(self.life);
        [
            ("directory", own["directory"].clone()),
            ("start", own["start"].clone()),
            ("copy", json!(copy)),
            ("peers", peers.into()),
        ]
    }

    /// Why others refuse this server, in sentences.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        self.others.iter().filter_map(|(server, other)| {
            let RefusesUs { reason, .. } = other.refuses_us.as_ref()?;
            let remedy = reason.remedy();
            Some(format!("server {server} refuses it: {reason}. What to do with it: {remedy}"))
        })
    }

    /// One entry of `peers` in a status report: `{id, directory, start, firsthand, met, refused,
    /// refuses_us, disputes}`.
    fn peer(&self, server: u64, other: &Other) -> Value {
        let known = self.census.known.get(&server);
        let mut peer = known
            .map_or(json!({ "directory": null, "start": null }), |known| life_json(known.life()));
        let refused = other.refused.as_ref().map(|it| {
            let Refusal { life, address, reason, .. } = it.refusal;
            let mut refused = life_json(life);
            refused["address"] = json!(address);
            refused["reason"] = json!(reason.name());
            refused["text"] = json!(reason.to_string());
            refused["count"] = json!(it.count);
            refused
        });
        let refuses_us = other.refuses_us.as_ref().map(|it| {
            let mut refusal = life_json(it.known);
            refusal["reason"] = json!(it.reason.name());
            refusal["text"] = json!(it.reason.to_string());
            refusal["remedy"] = json!(it.reason.remedy());
            refusal
        });
        let disputes = other.disputes.iter().map(|(witness, life)| {
            let mut dispute = life_json(*life);
            dispute["by"] = json!(witness);
            dispute
        });
        peer["id"] = json!(server);
        peer["firsthand"] = json!(known.is_some_and(|known| known.firsthand));
        peer["met"] = json!(other.has_met);
        peer["refused"] = json!(refused);
        peer["refuses_us"] = json!(refuses_us);
        peer["disputes"] = disputes.collect();
        peer
    }
}

/// A life as JSON. Numbers beyond 2^53 are texts, because not every reader of JSON keeps them exactly.
fn life_json(life: Life) -> Value {
    let Life { directory, start: Start { counter, random } } = life;
    json!({
        "directory": format!("{directory:032x}"),
        "start": { "counter": counter, "random": format!("{random:016x}") },
    })
}

fn new(life: Life, saves: u64) -> Known {
    let Start { counter, random } = life.start;
    Known {
        directory: life.directory,
        starts: BTreeMap::from([(counter, random)]),
        saves,
        saves_of: counter,
        lost: Vec::new(),
        firsthand: true,
    }
}

/// Whether a server that is in start `start`, and lists `starts` as its own, has all `known` starts
/// among them. Known starts before the first that the server remembers are taken for its own.
fn descends(start: Start, starts: &BTreeMap<u64, u64>, known: &Known) -> bool {
    let is_present = starts.last_key_value() == Some((&start.counter, &start.random));
    let first = starts.first_key_value().map_or(0, |(counter, _)| *counter);
    let is_own = |(counter, random): (&u64, &u64)| {
        starts.get(counter).map_or(*counter < first, |own| own == random)
    };
    is_present && known.starts.iter().all(is_own)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: u64 = 1;
    const OLD: u128 = 0xA;
    const NEW: u128 = 0xB;

    #[expect(clippy::disallowed_methods, reason = "any moment will do as the origin")]
    fn origin() -> Instant {
        Instant::now()
    }

    fn life(directory: u128, counter: u64, random: u64) -> Life {
        Life { directory, start: Start { counter, random } }
    }

    fn at(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    /// Server 1's knowledge of servers 2 and 3, with a clock that stands still unless it is moved.
    struct Node {
        peers: Peers,
        now: Instant,
    }

    impl Node {
        fn new() -> Self {
            Self::restarted(&Census::default(), origin())
        }

        fn restarted(census: &Census, now: Instant) -> Self {
            let mut peers = Peers::begin(0xC, [2, 3].into_iter(), census, 77, now);
            assert!(peers.unsaved().is_some(), "a start is saved");
            Self { peers, now }
        }

        /// This server after a restart.
        fn restart(&self) -> Self {
            Self::restarted(&self.peers.census, self.now)
        }

        fn wait(&mut self, wait: Duration) {
            self.now += wait;
        }

        /// Server 1 gets a message of `server`, which is at the port of its number.
        fn message(&mut self, server: u16, life: Life) -> Verdict {
            let claim = Claim { server: server.into(), life, saves: 0, address: at(server) };
            self.peers.admit(&claim, None, self.now)
        }

        /// Server 1 gets a hello from the latest of these starts.
        fn hello(&mut self, server: u16, directory: u128, starts: &[(u64, u64)]) -> Verdict {
            self.hello_with(server, directory, starts, 0, at(server))
        }

        fn hello_with(
            &mut self,
            server: u16,
            directory: u128,
            starts: &[(u64, u64)],
            saves: u64,
            address: SocketAddr,
        ) -> Verdict {
            let (counter, random) = *starts.last().expect("a start");
            let life = life(directory, counter, random);
            let claim = Claim { server: server.into(), life, saves, address };
            let hello = Hello { starts: starts.iter().copied().collect(), ..Hello::default() };
            self.peers.admit(&claim, Some(&hello), self.now)
        }

        /// Server 3, which is admitted, says that it knows this of `server`.
        fn hearsay(&mut self, server: u64, life: Life, saves: Option<u64>) {
            let known = vec![Sighting { server, life, saves }];
            let hello = Hello { known, ..Hello::default() };
            self.peers.hear(3, &hello, OWN, self.now);
        }

        fn learned(&mut self) -> bool {
            self.peers.unsaved().is_some()
        }

        fn of(&self, server: usize) -> Value {
            let [.., (_, peers)] = self.peers.status();
            peers[server - 2].clone()
        }
    }

    fn refused(reason: Reason) -> Verdict {
        Verdict::Refused(reason)
    }

    #[test]
    fn the_first_directory_of_a_number_is_the_only_one() {
        let mut node = Node::new();
        assert_eq!(node.message(2, life(OLD, 1, 5)), Verdict::Admitted);
        assert!(node.learned());
        assert_eq!(node.hello(2, NEW, &[(1, 6)]), refused(Reason::OtherDirectory));
        assert_eq!(node.message(2, life(NEW, 1, 6)), refused(Reason::OtherDirectory));
        assert!(!node.learned());
        let mut node = node.restart();
        assert_eq!(node.hello(2, NEW, &[(1, 6)]), refused(Reason::OtherDirectory));
        assert_eq!(node.message(2, life(OLD, 1, 5)), Verdict::Admitted);
        assert!(!node.learned(), "nothing is new");
    }

    #[test]
    fn a_directory_learned_from_another_server_is_the_only_one_too() {
        let mut node = Node::new();
        node.hearsay(2, life(OLD, 4, 5), None);
        assert!(node.learned());
        let mut node = node.restart();
        assert_eq!(node.hello(2, NEW, &[(1, 6)]), refused(Reason::OtherDirectory));
        assert_eq!(node.hello(2, OLD, &[(3, 4), (4, 5)]), Verdict::Admitted);
    }

    #[test]
    fn of_two_directories_told_the_first_stays_and_the_other_is_reported() {
        let mut node = Node::new();
        assert_eq!(node.hello(2, OLD, &[(1, 5)]), Verdict::Admitted);
        assert!(node.learned());
        node.hearsay(2, life(NEW, 9, 6), None);
        assert!(!node.learned());
        assert_eq!(node.of(2)["disputes"][0]["by"], 3);
        assert_eq!(node.message(2, life(OLD, 1, 5)), Verdict::Admitted);
        assert_eq!(node.message(2, life(NEW, 9, 6)), refused(Reason::OtherDirectory));
        node.hearsay(2, life(OLD, 1, 5), None);
        assert_eq!(node.of(2)["disputes"], json!([]), "server 3 has come round");
    }

    #[test]
    fn a_restart_is_admitted_at_once_by_its_hello() {
        let mut node = Node::new();
        assert_eq!(node.hello(2, OLD, &[(1, 5)]), Verdict::Admitted);
        assert!(node.learned());
        assert_eq!(node.message(2, life(OLD, 2, 6)), Verdict::Dropped(Reject::Unmet));
        assert_eq!(node.hello(2, OLD, &[(1, 5), (2, 6)]), Verdict::Admitted);
        assert!(node.learned());
        assert_eq!(node.message(2, life(OLD, 2, 6)), Verdict::Admitted);
        // Starts may have been missed.
        assert_eq!(node.hello(2, OLD, &[(1, 5), (2, 6), (3, 7), (4, 8)]), Verdict::Admitted);
        assert!(node.learned());
        assert_eq!(node.message(2, life(OLD, 4, 8)), Verdict::Admitted);
        assert!(!node.learned());
    }

    #[test]
    fn an_older_copy_is_refused_however_often_it_is_started() {
        let mut node = Node::new();
        assert_eq!(node.hello(2, OLD, &[(1, 5), (2, 6), (3, 7)]), Verdict::Admitted);
        node.wait(SILENCE);
        // The copy was made after the first start.
        let mut copy = vec![(1, 5)];
        for (counter, reason) in [
            (2, Reason::EarlierStart),
            (3, Reason::OtherStart),
            (4, Reason::OtherStart),
            (5, Reason::OtherStart),
        ] {
            copy.push((counter, 90 + counter));
            assert_eq!(node.hello(2, OLD, &copy), refused(reason), "start {counter}");
        }
        assert_eq!(node.of(2)["refused"]["reason"], "other_start");
        let own = [(1, 5), (2, 6), (3, 7), (4, 8)];
        assert_eq!(node.hello(2, OLD, &own), Verdict::Admitted, "the latest directory");
    }

    #[test]
    fn an_older_copy_is_refused_by_those_who_were_only_told_of_a_later_start() {
        let mut node = Node::new();
        assert_eq!(node.hello(2, OLD, &[(1, 5)]), Verdict::Admitted);
        assert!(node.learned());
        node.hearsay(2, life(OLD, 3, 7), None);
        assert!(node.learned());
        let mut node = node.restart();
        node.wait(SILENCE);
        let mut copy = vec![(1, 5)];
        for counter in 2..6 {
            copy.push((counter, 90 + counter));
            assert!(matches!(node.hello(2, OLD, &copy), Verdict::Refused(_)), "start {counter}");
        }
        let own = [(1, 5), (2, 6), (3, 7)];
        assert_eq!(node.message(2, life(OLD, 3, 7)), Verdict::Dropped(Reject::Unmet));
        assert_eq!(node.hello(2, OLD, &own), Verdict::Admitted);
        assert_eq!(node.message(2, life(OLD, 3, 7)), Verdict::Admitted);
    }

    /// A start that was only told of does not replace the start that was seen: a new one must descend
    /// from both.
    #[test]
    fn a_start_that_was_told_of_does_not_admit_a_copy_of_what_was_seen() {
        let mut node = Node::new();
        assert_eq!(node.hello(2, OLD, &[(1, 5), (2, 6)]), Verdict::Admitted);
        // Server 3 knew less, and took a copy for the server.
        node.hearsay(2, life(OLD, 3, 99), None);
        let copy = [(1, 5), (2, 98), (3, 99)];
        assert_eq!(node.hello(2, OLD, &copy), refused(Reason::OtherStart));
    }

    #[test]
    fn a_copy_made_in_the_latest_life_is_refused_for_the_saves_it_has_lost() {
        let mut node = Node::new();
        let start = [(1, 5)];
        assert_eq!(node.hello_with(2, OLD, &start, 40, at(2)), Verdict::Admitted);
        assert!(node.learned());
        let copy = [(1, 5), (2, 96)];
        let lost = refused(Reason::LostSaves);
        assert_eq!(node.hello_with(2, OLD, &copy, 39, at(2)), lost);
        assert!(node.learned(), "it is remembered");
        // The copy is not admitted after it has saved more, either.
        let mut node = node.restart();
        let again = [(1, 5), (2, 96), (3, 97)];
        assert_eq!(node.hello_with(2, OLD, &again, 50, at(2)), lost);
        // The directory itself is admitted.
        let own = [(1, 5), (2, 6)];
        assert_eq!(node.hello_with(2, OLD, &own, 40, at(2)), Verdict::Admitted);
    }

    #[test]
    fn saves_that_others_have_heard_of_count_as_well() {
        let mut node = Node::new();
        node.hearsay(2, life(OLD, 1, 5), Some(40));
        let copy = [(1, 5), (2, 96)];
        assert_eq!(node.hello_with(2, OLD, &copy, 39, at(2)), refused(Reason::LostSaves));
        // Within a life, a datagram with fewer saves may arrive after one with more.
        assert_eq!(node.hello_with(2, OLD, &[(1, 5)], 3, at(2)), Verdict::Admitted);
    }

    #[test]
    fn a_second_process_is_refused_while_the_first_is_heard() {
        let mut node = Node::new();
        assert_eq!(node.hello(2, OLD, &[(1, 5)]), Verdict::Admitted);
        let copy = [(1, 5), (2, 96)];
        let second = |node: &mut Node| node.hello_with(2, OLD, &copy, 0, at(9));
        assert_eq!(second(&mut node), refused(Reason::SecondProcess));
        node.wait(SILENCE / 2);
        assert_eq!(node.message(2, life(OLD, 1, 5)), Verdict::Admitted);
        node.wait(SILENCE / 2);
        assert_eq!(second(&mut node), refused(Reason::SecondProcess));
        // A server that has moved is admitted once its old address was silent.
        node.wait(SILENCE);
        assert_eq!(second(&mut node), Verdict::Admitted);
        assert_eq!(node.of(2)["refused"], Value::Null);
    }

    #[test]
    fn what_was_on_its_way_before_a_restart_is_dropped_without_a_word() {
        let mut node = Node::new();
        assert_eq!(node.hello(2, OLD, &[(1, 5)]), Verdict::Admitted);
        assert_eq!(node.hello(2, OLD, &[(1, 5), (2, 6)]), Verdict::Admitted);
        assert_eq!(node.message(2, life(OLD, 1, 5)), Verdict::Dropped(Reject::EarlierStart));
        assert_eq!(node.of(2)["refused"], Value::Null);
        node.wait(SILENCE);
        assert_eq!(node.message(2, life(OLD, 1, 5)), refused(Reason::EarlierStart));
    }

    #[test]
    fn a_server_that_restarts_more_often_than_it_remembers_is_admitted() {
        let mut node = Node::new();
        assert_eq!(node.hello(2, OLD, &[(1, 5)]), Verdict::Admitted);
        let starts: Vec<_> = (40..=103).map(|counter| (counter, counter)).collect();
        assert_eq!(node.hello(2, OLD, &starts), Verdict::Admitted);
    }

    #[test]
    fn a_hello_that_contradicts_itself_introduces_nobody() {
        let mut node = Node::new();
        assert_eq!(node.hello(2, OLD, &[(1, 5)]), Verdict::Admitted);
        let claim = Claim { server: 2, life: life(OLD, 2, 6), saves: 0, address: at(2) };
        for starts in [vec![], vec![(1, 5)], vec![(1, 5), (2, 7)], vec![(2, 6), (3, 7)]] {
            let hello = Hello { starts: starts.into_iter().collect(), ..Hello::default() };
            let verdict = node.peers.admit(&claim, Some(&hello), node.now);
            assert_eq!(verdict, refused(Reason::OtherStart));
        }
    }

    #[test]
    fn a_server_learns_that_others_know_another_life_of_it() {
        let own = life(0xC, 1, 77);
        for (known, reason) in [
            (life(0xD, 1, 77), "other_directory"),
            (life(0xC, 2, 78), "earlier_start"),
            (life(0xC, 1, 78), "other_start"),
        ] {
            let mut node = Node::new();
            assert_eq!(node.peers.life(), own);
            node.hearsay(OWN, known, None);
            assert_eq!(node.of(3)["refuses_us"]["reason"], reason);
            node.hearsay(OWN, own, None);
            assert_eq!(node.of(3)["refuses_us"], Value::Null, "it does no longer");
        }
    }

    #[test]
    fn a_refusal_is_shown_to_whom_it_is_about_and_to_the_process_known_in_its_place() {
        let mut node = Node::new();
        let (own, copy) = (node.peers.life(), life(0xC, 2, 78));
        let refusal = |life, known| {
            let reason = Reason::SecondProcess;
            Refusal { life, address: at(9), reason, known }
        };
        node.peers.hear_refusal(3, &refusal(copy, own));
        let [_, _, (_, shown), _] = node.peers.status();
        assert_eq!(shown["address"], "127.0.0.1:9");
        assert_eq!(node.of(3)["refuses_us"], Value::Null);
        node.peers.hear_refusal(3, &refusal(own, copy));
        assert_eq!(node.of(3)["refuses_us"]["reason"], "second_process");
        // A refusal of an earlier life of its own says nothing of this life.
        let mut node = node.restart();
        node.peers.hear_refusal(3, &refusal(own, copy));
        assert_eq!(node.of(3)["refuses_us"], Value::Null);
    }

    #[test]
    fn hellos_come_fast_at_first_and_then_once_a_second() {
        let mut node = Node::new();
        let greet = |node: &mut Node| {
            let due = node.peers.next_greeting().expect("there are others");
            node.now = node.now.max(due);
            node.peers.greetings(node.now, |range| range.end)
        };
        let start = node.now;
        let pauses: Vec<_> = (0..8)
            .map(|_| {
                let before = node.now;
                let hellos = greet(&mut node);
                assert!(hellos.len() == 2 && hellos.iter().all(|(_, hello)| hello.asks));
                node.now - before
            })
            .collect();
        assert_eq!(pauses[0], Duration::ZERO, "at the start");
        assert!(pauses.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(node.now - start < 4 * UNANSWERED_PAUSE * 5 / 4 + SILENCE);
        assert_eq!(node.hello(2, OLD, &[(1, 5)]), Verdict::Admitted);
        assert_eq!(node.hello(3, OLD, &[(1, 5)]), Verdict::Admitted);
        for _ in 0..5 {
            greet(&mut node);
        }
        let before = node.now;
        let hellos = greet(&mut node);
        assert!(hellos.iter().all(|(_, hello)| !hello.asks));
        assert_eq!(node.now - before, PAUSE * 5 / 4);
    }
}

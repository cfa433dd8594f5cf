//! This benchmark compares the antichain engine with its plain search on made-up systems of five actors that
//! are alike.
//!
//! `cargo bench -p actorcheck --bench alike` prints a line for each system. The handlers of the actors follow
//! random tables. Apart from their symmetry, such systems have no structure that the reductions could use. So
//! they show what the reductions cost. A system counts if the plain search exhausts it with 5,000 tuples or
//! more.

use actorcheck::{Engine, Limits, Report, Verdict, World, run};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use stateright::actor::{Actor, Id, Out};
use stateright::{Rewrite, RewritePlan};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

const ACTORS: usize = 5;
const STATES: u8 = 3;
const MESSAGES: u8 = 3;
/// The number of systems that are measured.
const SYSTEMS: usize = 8;

/// The reaction of an actor to a message in a state: its next state, whether it makes the sender its friend,
/// and what it sends.
#[derive(Clone, Copy, Debug)]
struct Reaction {
    next: u8,
    befriends: bool,
    reply: Option<u8>,
    to_friend: Option<u8>,
    to_all: Option<u8>,
}

/// An actor that follows a table with a row for each state and each message. At the start, it sends message 0
/// to all.
#[derive(Clone, Debug)]
struct Alike(Arc<Vec<Reaction>>);

/// The state of an actor: a number, and the friend it has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct State(u8, Option<Id>);

impl Rewrite<Id> for State {
    fn rewrite<P>(&self, plan: &RewritePlan<Id, P>) -> Self {
        Self(self.0, self.1.map(|friend| plan.rewrite(&friend)))
    }
}

fn send_to_all<A: Actor<Msg = u8>>(id: Id, msg: u8, o: &mut Out<A>) {
    for other in (0..ACTORS).map(Id::from).filter(|other| *other != id) {
        o.send(other, msg);
    }
}

impl Actor for Alike {
    type Msg = u8;
    type Timer = ();
    type State = State;
    type Storage = ();
    type Random = ();

    fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> State {
        send_to_all(id, 0, o);
        State(0, None)
    }

    fn on_msg(&self, id: Id, state: &mut Cow<'_, State>, src: Id, msg: u8, o: &mut Out<Self>) {
        let State(number, mut friend) = **state;
        let Reaction { next, befriends, reply, to_friend, to_all } =
            self.0[usize::from(number * MESSAGES + msg)];
        if befriends {
            friend = Some(src);
        }
        if let (Some(msg), Some(friend)) = (to_friend, friend) {
            o.send(friend, msg);
        }
        if let Some(msg) = reply {
            o.send(src, msg);
        }
        if let Some(msg) = to_all {
            send_to_all(id, msg, o);
        }
        if State(next, friend) != **state {
            *state = Cow::Owned(State(next, friend));
        }
    }
}

fn table(rng: &mut StdRng) -> Alike {
    let rows = (0..STATES).flat_map(|state| (0..MESSAGES).map(move |_| state));
    let reactions = rows.map(|state| Reaction {
        next: if rng.random_bool(0.5) { state } else { rng.random_range(0..STATES) },
        befriends: rng.random_bool(0.4),
        reply: rng.random_bool(0.3).then(|| rng.random_range(0..MESSAGES)),
        to_friend: rng.random_bool(0.3).then(|| rng.random_range(0..MESSAGES)),
        to_all: rng.random_bool(0.1).then(|| rng.random_range(0..MESSAGES)),
    });
    Alike(Arc::new(reactions.collect()))
}

fn searched(world: World<Alike, ()>, engine: Engine) -> Report {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let limits = Limits { max_time: Some(Duration::from_secs(5)), ..Limits::unlimited(threads) };
    run(world, engine, &limits, &AtomicBool::new(false), &mut |_| {})
}

fn text(report: &Report, plain: &Report) -> String {
    let seconds = report.elapsed.as_secs_f64();
    match report.verdict {
        Verdict::Exhaustive => {
            let times = seconds / plain.elapsed.as_secs_f64();
            format!("{seconds:.2} s ({times:.2})")
        }
        _ => format!("not done in {seconds:.0} s"),
    }
}

fn main() {
    println!("| system | tuples | plain | antichain (times plain) | with symmetry (times plain) |");
    println!("|---|---|---|---|---|");
    let measured = (0..).filter_map(|seed| {
        let actor = table(&mut StdRng::seed_from_u64(seed));
        let world = || World::new(std::iter::repeat_n(actor.clone(), ACTORS));
        let plain = searched(world(), Engine::Plain);
        let tuples = plain.tuples.map_or(0, |counts| counts.tuples);
        if plain.verdict != Verdict::Exhaustive || tuples < 5_000 {
            return None;
        }
        let ours = searched(world(), Engine::Antichain);
        let alike = searched(world().interchangeable(0..ACTORS), Engine::Antichain);
        if ours.verdict == Verdict::Exhaustive {
            assert_eq!(ours.tuples.map(|counts| counts.tuples), Some(tuples), "system {seed}");
        }
        let (ours, alike) = (text(&ours, &plain), text(&alike, &plain));
        let seconds = plain.elapsed.as_secs_f64();
        println!("| {seed} | {tuples} | {seconds:.2} s | {ours} | {alike} |");
        Some(())
    });
    measured.take(SYSTEMS).for_each(drop);
}

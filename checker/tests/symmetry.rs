//! Tests of interchangeable actors: a search that uses the symmetry counts and judges as a search that does
//! not.

mod common;

use actorcheck::engine::explore_and_visit;
use actorcheck::{
    Bound, Group, Limits, Local, RECOVERABILITY, Recovery, StatePredicate, StateProperty,
    StepPredicate, StepProperty, Symmetry, Tally, Verdict, World,
};
use common::confirmed as full;
use common::full_search::{counts, explored, results};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use stateright::actor::{Actor, ActorModel, Id, Out, model_timeout};
use stateright::{Model, Rewrite, RewritePlan};
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The configuration for so many cases, unless `PROPTEST_CASES` asks for another number.
fn cases(cases: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    let is_asked = std::env::var_os("PROPTEST_CASES").is_some();
    if is_asked { asked } else { ProptestConfig { cases, ..asked } }
}

/// The threads and surveys of two searches: two threads or one, and surveys that see much or next to nothing.
const WAYS: [(usize, &[u16]); 2] = [(2, &[4, 32, 256]), (1, &[1])];

// ---- random systems of actors that are alike ----

/// An actor whose handlers follow a table, and which knows another actor only by having heard from it.
#[derive(Clone, Debug)]
struct Alike {
    /// For each state and event, the next state and the actions.
    table: Vec<(u8, Vec<Act>)>,
    peers: usize,
    /// The actor treats actor 0 differently. This is a bug in `symmetry`, which the search must find.
    favourite: bool,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Reply(u8),
    TellAll(u8),
    TellFriend(u8),
    Befriend,
    Arm,
    Save,
    Choose,
}

/// The state of an actor, with the friend it has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Friendly {
    state: u8,
    friend: Option<Id>,
}

impl Rewrite<Id> for Friendly {
    fn rewrite<P>(&self, plan: &RewritePlan<Id, P>) -> Self {
        Self { state: self.state, friend: self.friend.map(|id| plan.rewrite(&id)) }
    }
}

const STATES: u8 = 3;
const MESSAGES: u8 = 3;
/// The number of events: messages, the timer, a choice between two, and the start, fresh or not.
const EVENTS: u8 = MESSAGES + 1 + 2 + 2;

impl Alike {
    fn react(
        &self,
        id: Id,
        src: Option<Id>,
        now: Friendly,
        event: u8,
        o: &mut Out<Self>,
    ) -> Friendly {
        let (state, acts) = &self.table[usize::from(now.state * EVENTS + event)];
        let mut next = Friendly { state: *state, ..now };
        for act in acts {
            match *act {
                Act::Reply(msg) => src.into_iter().for_each(|src| o.send(src, msg)),
                Act::TellAll(msg) => {
                    let peers = (0..self.peers).map(Id::from).filter(|peer| *peer != id);
                    peers.for_each(|peer| o.send(peer, msg));
                }
                Act::TellFriend(msg) => next.friend.into_iter().for_each(|f| o.send(f, msg)),
                Act::Befriend => next.friend = src.or(next.friend),
                Act::Arm => o.set_timer((), model_timeout()),
                Act::Save => o.save(next),
                Act::Choose => o.choose_random("lot", vec![0, 1]),
            }
        }
        if self.favourite && src == Some(Id::from(0)) {
            next.state = 0;
        }
        next
    }

    fn change(
        &self,
        (id, src): (Id, Option<Id>),
        state: &mut Cow<'_, Friendly>,
        event: u8,
        o: &mut Out<Self>,
    ) {
        let next = self.react(id, src, **state, event, o);
        if next != **state {
            *state = Cow::Owned(next);
        }
    }
}

impl Actor for Alike {
    type Msg = u8;
    type Timer = ();
    type State = Friendly;
    type Storage = Friendly;
    type Random = u8;

    fn on_start(&self, id: Id, storage: &Option<Friendly>, o: &mut Out<Self>) -> Friendly {
        let event = MESSAGES + 3 + u8::from(storage.is_some());
        let start = storage.unwrap_or(Friendly { state: 0, friend: None });
        self.react(id, None, start, event, o)
    }

    fn on_msg(&self, id: Id, state: &mut Cow<'_, Friendly>, src: Id, msg: u8, o: &mut Out<Self>) {
        self.change((id, Some(src)), state, msg, o);
    }

    fn on_timeout(&self, id: Id, state: &mut Cow<'_, Friendly>, (): &(), o: &mut Out<Self>) {
        self.change((id, None), state, MESSAGES, o);
    }

    fn on_random(&self, id: Id, state: &mut Cow<'_, Friendly>, random: &u8, o: &mut Out<Self>) {
        self.change((id, None), state, MESSAGES + 1 + random, o);
    }
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (0..MESSAGES).prop_map(Act::Reply),
        2 => (0..MESSAGES).prop_map(Act::TellAll),
        2 => (0..MESSAGES).prop_map(Act::TellFriend),
        3 => Just(Act::Befriend),
        2 => Just(Act::Arm),
        1 => Just(Act::Save),
        1 => Just(Act::Choose),
    ]
}

fn table() -> impl Strategy<Value = Vec<(u8, Vec<Act>)>> {
    let reaction = (0..8_u8, 0..STATES, prop::collection::vec(act(), 0..3));
    prop::collection::vec(reaction, usize::from(STATES * EVENTS)).prop_map(|rows| {
        let rows = rows.into_iter().enumerate().map(|(n, (luck, next, acts))| {
            let state = u8::try_from(n).expect("few rows") / EVENTS;
            match luck {
                0..2 => (state, Vec::new()),
                2..4 => (state, acts),
                _ => (next, acts),
            }
        });
        rows.collect()
    })
}

/// The ghost: the actors that first came to the last state, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Arrivals(Vec<Id>);

impl Rewrite<Id> for Arrivals {
    fn rewrite<P>(&self, plan: &RewritePlan<Id, P>) -> Self {
        Self(self.0.iter().map(|id| plan.rewrite(id)).collect())
    }
}

type AlikeWorld = World<Alike, Arrivals>;

/// A system of such actors. The actors from `first` on do not restart.
fn system(table: &[(u8, Vec<Act>)], peers: usize, first: usize, forbidden: [u8; 3]) -> AlikeWorld {
    let [pair, sent, arrivals] = forbidden;
    let alike = Alike { table: table.to_vec(), peers, favourite: false };
    let groups = [(0..first).map(Id::from).collect(), (first..peers).map(Id::from).collect()];
    World {
        actors: ActorModel::new((), ()).actors(std::iter::repeat_n(alike, peers)),
        names: (0..peers).map(|n| format!("A{n}")).collect(),
        restartable: (0..first).map(Id::from).collect(),
        ghost: Arrivals(Vec::new()),
        observe: Arc::new(|Arrivals(arrived): &mut Arrivals, change| {
            let is_there = change.after.state.state == STATES - 1;
            if is_there && arrived.len() < 2 && !arrived.contains(&change.who) {
                arrived.push(change.who);
            }
        }),
        always: vec![
            StateProperty {
                name: "pair",
                holds: StatePredicate::Pair(Arc::new(
                    move |(a, local): (Id, Local<'_, Alike>), (_, other)| {
                        local.state.state + other.state.state != pair
                            || other.state.friend != Some(a)
                    },
                )),
            },
            StateProperty {
                name: "arrivals",
                holds: StatePredicate::Ghost(Arc::new(move |ghost: &Arrivals| {
                    ghost.0.len() != usize::from(arrivals)
                })),
            },
        ],
        steps: vec![StepProperty {
            name: "sent",
            holds: StepPredicate::Output(Arc::new(move |step| step.out.len() < usize::from(sent))),
        }],
        sometimes: vec![StateProperty {
            name: "all are friends",
            holds: StatePredicate::View(Arc::new(|view| {
                view.locals().all(|local| local.state.friend.is_some())
            })),
        }],
        recovery: None,
        bounds: vec![Bound {
            name: "friends with state 2",
            limit: 1,
            within: StatePredicate::View(Arc::new(|view| {
                let friendly = |local: &Local<'_, Alike>| {
                    local.state.state == 2 && local.state.friend.is_some()
                };
                view.locals().filter(friendly).count() <= 1
            })),
        }],
        label: Arc::new(|_, _| {}),
        labels: &[],
        symmetry: Some(Symmetry::within(peers, &groups)),
        initial: None,
        tally: Arc::new(Tally::new(1, &[])),
    }
}

/// Numbers that forbid nothing.
const NOTHING: [u8; 3] = [u8::MAX, u8::MAX, u8::MAX];

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn random_systems_have_the_same_tuples_with_symmetry(
        table in table(),
        peers in 2..5_usize,
        restarting in 0..5_usize,
    ) {
        let first = restarting.min(peers);
        let world = || system(&table, peers, first, NOTHING);
        let Some(full) = full(&world(), 20_000) else { return Ok(()) };
        let (plain, _) = explored(&World { symmetry: None, ..world() }, WAYS[0]);
        for way in WAYS {
            let (report, tuples) = explored(&world(), way);
            prop_assert_eq!(report.verdict, Verdict::Exhaustive);
            prop_assert!(tuples.is_subset(&full.tuples));
            prop_assert_eq!(counts(&report).1, counts(&plain).1);
            prop_assert_eq!(counts(&report).1.0, full.tuples.len() as u64);
            prop_assert_eq!(results(&report), results(&plain));
        }
    }

    /// The search uses fewer permutations where the ghost or messages of the first state tell some actors
    /// apart, or where some actors restart and others do not. It reaches as many tuples as without symmetry.
    #[test]
    fn from_first_states_that_are_not_symmetric_random_systems_have_the_same_tuples(
        table in table(),
        peers in 2..5_usize,
        restarting in 0..5_usize,
        walk in prop::collection::vec(0..1000_usize, 0..4),
        lost: bool,
    ) {
        let first = restarting.min(peers);
        let world = || {
            let mut world = system(&table, peers, first, NOTHING);
            world.symmetry = Some(Symmetry::within(peers, &[(0..peers).map(Id::from).collect()]));
            let mut state = world.started();
            for n in &walk {
                let enabled = world.enabled(&state);
                let Some(action) = enabled.get(n % enabled.len().max(1)) else { break };
                let next = world.step(&state, action);
                state = next.filter(|next| world.within_boundary(next)).unwrap_or(state);
            }
            // The first state has the ghost alone, or the ghost with the messages.
            if lost {
                let mut fresh = world.started();
                fresh.ghost = state.ghost;
                state = fresh;
            }
            world.initial = Some(state);
            world
        };
        let Some(full) = full(&world(), 20_000) else { return Ok(()) };
        for way in WAYS {
            let (report, tuples) = explored(&world(), way);
            prop_assert_eq!(report.verdict, Verdict::Exhaustive);
            prop_assert!(tuples.is_subset(&full.tuples));
            prop_assert_eq!(counts(&report).1.0, full.tuples.len() as u64);
        }
    }

    #[test]
    fn random_systems_are_judged_alike_with_symmetry(
        table in table(),
        peers in 2..5_usize,
        pair in 0..2 * STATES,
        sent in 1..4_u8,
        arrivals in 1..3_u8,
    ) {
        let [_, all, _] = NOTHING;
        for forbidden in [[pair, all, all], [all, sent, all], [all, all, arrivals]] {
            let world = || system(&table, peers, peers, forbidden);
            let Some(full) = full(&world(), 5_000) else { return Ok(()) };
            let verdict = if full.broken.is_empty() { Verdict::Exhaustive } else { Verdict::Violated };
            for way in WAYS {
                let (report, _) = explored(&world(), way);
                prop_assert_eq!(report.verdict, verdict, "{:?}", full.broken);
                prop_assert!(report.violated().iter().all(|name| full.broken.contains(name)));
            }
        }
    }
}

/// A random table, always the same for a seed.
fn table_of(rng: &mut StdRng) -> Vec<(u8, Vec<Act>)> {
    let row = |n: u8| {
        let (luck, next) = (rng.random_range(0..8), rng.random_range(0..STATES));
        let acts = (0..rng.random_range(0..3)).map(|_| match rng.random_range(0..14) {
            0..3 => Act::Reply(rng.random_range(0..MESSAGES)),
            3..5 => Act::TellAll(rng.random_range(0..MESSAGES)),
            5..7 => Act::TellFriend(rng.random_range(0..MESSAGES)),
            7..10 => Act::Befriend,
            10..12 => Act::Arm,
            12 => Act::Save,
            _ => Act::Choose,
        });
        let acts: Vec<_> = acts.collect();
        match luck {
            0..2 => (n / EVENTS, Vec::new()),
            2..4 => (n / EVENTS, acts),
            _ => (next, acts),
        }
    };
    (0..STATES * EVENTS).map(row).collect()
}

/// Five actors go in circles, and tell each other ever more. If all states of a tuple were expanded at a
/// time, 7,000 states would be stored of the first 150 tuples; nearly all of these are below others in the
/// end.
#[test]
fn where_actors_go_in_circles_tuples_have_few_states_on_the_way() {
    let mut rng = StdRng::seed_from_u64(111);
    let (table, restarting) = (table_of(&mut rng), rng.random_range(0..=5_usize));
    let mut world = system(&table, 5, restarting, NOTHING);
    world.symmetry = None;
    let limits = Limits { max_states: Some(6_000), ..Limits::unlimited(1) };
    let report = explore_and_visit(&world, &limits, &[4, 16], &mut |_| {});
    let tuples = report.tuples.expect("they are counted").tuples;
    assert_eq!(report.verdict, Verdict::Bounded);
    assert!(tuples > 600, "{} states of {tuples} tuples", report.states);
}

// ---- what is not symmetric is found out ----

/// The table of an actor that does something at these events, in order of state, and nothing at all others.
fn rows(rows: &[(u8, u8, &[Act])]) -> Vec<(u8, Vec<Act>)> {
    let mut table: Vec<_> = (0..STATES * EVENTS).map(|n| (n / EVENTS, Vec::new())).collect();
    for (n, next, acts) in rows {
        table[usize::from(*n)] = (*next, acts.to_vec());
    }
    table
}

/// The panic of a search of a world with a wrong symmetry.
fn complaint(change: impl FnOnce(&mut AlikeWorld)) -> Option<String> {
    let started = (MESSAGES + 3, 0, &[Act::Arm][..]);
    let elected = (MESSAGES, 1, &[Act::TellAll(0)][..]);
    let heard = (0, 2, &[Act::Befriend][..]);
    let mut world = system(&rows(&[started, elected, heard]), 3, 3, NOTHING);
    world.bounds.clear();
    change(&mut world);
    complaint_of(&world, WAYS[1])
}

fn complaint_of(world: &AlikeWorld, way: (usize, &[u16])) -> Option<String> {
    let ran = catch_unwind(AssertUnwindSafe(|| explored(world, way)));
    ran.err().map(|panic| match panic.downcast::<String>() {
        Ok(said) => *said,
        Err(panic) => (*panic.downcast::<&str>().expect("it says what is wrong")).to_owned(),
    })
}

#[test]
fn handlers_that_tell_interchangeable_actors_apart_are_found_out() {
    assert_eq!(complaint(|_| {}), None);
    let said = complaint(|world| {
        world.actors.actors.iter_mut().for_each(|actor| actor.favourite = true);
    });
    let said = said.expect("it is found out");
    assert!(said.starts_with("the actors are not interchangeable"), "{said}");
    assert!(said.contains("Friendly") && said.contains("Deliver"), "{said}");
}

/// Actors 1 and 2 are said to be alike. Both come to state 0 by either message, but by the second message
/// actor 1 also makes a friend. So the messages are one to actor 2 only. Both actors are searched in the name
/// of actor 2, and the message that would tell them apart is never delivered.
#[test]
fn messages_that_are_one_to_some_interchangeable_actors_only_are_found_out() {
    let sender = rows(&[
        (MESSAGES + 3, 0, &[Act::Arm]),
        (MESSAGES, 1, &[Act::TellAll(0), Act::TellAll(1), Act::TellAll(2)]),
    ]);
    let later = |event| 2 * EVENTS + event;
    let alike = [
        (2, 1, &[Act::Arm][..]),
        (EVENTS + MESSAGES, 2, &[]),
        (later(0), 0, &[]),
        (later(1), 0, &[]),
    ];
    let befriends = (later(1), 0, &[Act::Befriend][..]);
    let mut world = system(&rows(&alike), 3, 1, NOTHING);
    world.actors.actors[0].table = sender;
    world.actors.actors[1].table = rows(&[&alike[..3], &[befriends]].concat());
    world.restartable.clear();
    world.bounds = vec![Bound {
        name: "one at a time",
        limit: 1,
        within: StatePredicate::Pair(Arc::new(
            |(a, local): (Id, Local<'_, Alike>), (b, other): (Id, Local<'_, Alike>)| {
                let moves =
                    |id, local: &Local<'_, Alike>| id != Id::from(0) && local.state.state != 0;
                !(moves(a, &local) && moves(b, &other))
            },
        )),
    }];
    let said = complaint_of(&world, (1, &[0])).expect("it is found out");
    assert!(said.starts_with("the actors are not interchangeable"), "{said}");
}

/// Actor 2 does at a restart what the others do when their timer fires, and the other way round.
#[test]
fn restarts_that_tell_interchangeable_actors_apart_are_found_out() {
    let timer = |state| state * EVENTS + MESSAGES;
    let table = |fires: u8, restarts: u8| {
        rows(&[
            (MESSAGES + 3, 0, &[Act::TellAll(0)]),
            (0, 1, &[Act::Arm, Act::Save]),
            (timer(0), fires, &[Act::Arm]),
            (timer(1), fires, &[Act::Arm]),
            (timer(2), fires, &[Act::Arm]),
            (EVENTS + MESSAGES + 4, restarts, &[Act::Arm]),
        ])
    };
    let mut world = system(&table(0, 2), 3, 3, NOTHING);
    assert_eq!(complaint_of(&world, WAYS[1]), None);
    world.actors.actors[2].table = table(2, 0);
    let said = complaint_of(&world, WAYS[1]).expect("it is found out");
    assert!(said.starts_with("the actors are not interchangeable"), "{said}");
}

#[test]
fn ghosts_that_tell_interchangeable_actors_apart_are_found_out() {
    let said = complaint(|world| {
        world.observe = Arc::new(|Arrivals(arrived): &mut Arrivals, change| {
            if change.who == Id::from(2) && arrived.is_empty() {
                arrived.push(change.who);
            }
        });
    });
    assert!(said.expect("it is found out").starts_with("the actors are not interchangeable"));
}

#[test]
fn properties_and_bounds_that_tell_interchangeable_actors_apart_are_found_out() {
    let is_fine = |id: Id, local: Local<'_, Alike>| id != Id::from(1) || local.state.state != 2;
    let said = complaint(|world| {
        let holds = StatePredicate::Actor(Arc::new(is_fine));
        world.always.push(StateProperty { name: "unfair", holds });
    });
    let said = said.expect("it is found out");
    assert!(said.contains("tell apart") && said.contains("unfair"), "{said}");
    let said = complaint(|world| {
        let within = StatePredicate::Actor(Arc::new(is_fine));
        world.bounds = vec![Bound { name: "unfair", limit: 2, within }];
    });
    assert!(said.expect("it is found out").contains("bounds must not tell"));
}

/// Only one of the ways to rename a tuple shows the fault, and it is the last that would be come across.
#[test]
fn a_property_of_one_image_of_a_tuple_is_found_out() {
    let counts = [
        (MESSAGES + 3, 0, &[Act::Arm][..]),
        (MESSAGES, 1, &[Act::Arm]),
        (EVENTS + MESSAGES, 2, &[]),
    ];
    for forbidden in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut world = system(&rows(&counts), 3, 3, NOTHING);
        world.restartable.clear();
        world.observe = Arc::new(|_, _| {});
        assert_eq!(complaint_of(&world, WAYS[1]), None);
        world.always.push(StateProperty {
            name: "unfair",
            holds: StatePredicate::View(Arc::new(move |view| {
                !view.locals().map(|local| local.state.state).eq(forbidden)
            })),
        });
        let said = complaint_of(&world, WAYS[1]);
        let said = said.unwrap_or_else(|| panic!("{forbidden:?} is found out"));
        assert!(said.contains("tell apart") && said.contains("unfair"), "{said}");
    }
}

#[test]
fn recovery_that_tells_interchangeable_actors_apart_is_found_out() {
    let groups = [[0, 1], [0, 2], [1, 2]].map(|group| Group::of(group.map(Id::from)));
    // The first group can recover and the last cannot, or the other way round.
    for favourite in [0, 2] {
        let said = complaint(|world| {
            world.recovery = Some(Recovery {
                groups: groups.to_vec(),
                recovered: Arc::new(move |_, _, now| {
                    now.iter().any(|(id, _)| *id == Id::from(favourite))
                }),
                within: Arc::new(|_, _, _| true),
                acts: None,
            });
        });
        assert!(said.expect("it is found out").starts_with("recovery must not tell apart"));
    }
}

/// Actor 0 may let its timer fire or choose, and does one thing or the other. Actor 1 would need both things.
/// Recovery is not asked where one of them has been done.
#[test]
fn recovery_is_not_by_two_ways_at_once() {
    let either = rows(&[
        (MESSAGES + 3, 0, &[Act::Arm, Act::Choose]),
        (MESSAGES, 1, &[Act::TellAll(0)]),
        (MESSAGES + 1, 2, &[Act::TellAll(1)]),
        (MESSAGES + 2, 2, &[]),
    ]);
    let both = rows(&[(0, 1, &[]), (EVENTS + 1, 2, &[])]);
    let mut world = system(&either, 2, 0, NOTHING);
    world.actors.actors[1].table = both;
    world.symmetry = None;
    world.recovery = Some(Recovery {
        groups: vec![Group::of([0, 1].map(Id::from))],
        recovered: Arc::new(|_, start, now| {
            start[0].1.state.state != 0 || now[1].1.state.state == 2
        }),
        within: Arc::new(|_, _, _| true),
        acts: None,
    });
    assert_eq!(explored(&world, WAYS[1]).0.violated(), [RECOVERABILITY]);
}

/// A predicate over the members of a group now.
type OfMembers = fn(&[(Id, Local<'_, Alike>)]) -> bool;

/// A world of two actors that follow this table, and recover by these predicates.
fn recovering(table: &[(u8, Vec<Act>)], recovered: OfMembers, within: OfMembers) -> AlikeWorld {
    let mut world = system(table, 2, 0, NOTHING);
    world.recovery = Some(Recovery {
        groups: vec![Group::of([0, 1].map(Id::from))],
        recovered: Arc::new(move |_, _, now| recovered(now)),
        within: Arc::new(move |_, _, now| within(now)),
        acts: None,
    });
    world
}

/// Each actor answers the other, and the answers change neither.
#[test]
fn a_group_whose_members_answer_each_other_for_ever_is_judged() {
    let answers = rows(&[
        (MESSAGES + 3, 0, &[Act::Arm]),
        (MESSAGES, 0, &[Act::Arm, Act::TellAll(0)]),
        (0, 0, &[Act::Reply(0)]),
    ]);
    let world = recovering(&answers, |_| false, |_| true);
    assert_eq!(explored(&world, WAYS[1]).0.violated(), [RECOVERABILITY]);
}

/// Two steps lead from state 0 to recovery, but the first leads out of the bound.
#[test]
fn recovery_goes_no_further_than_its_bound() {
    let counts = rows(&[
        (MESSAGES + 3, 0, &[Act::Arm]),
        (MESSAGES, 1, &[Act::Arm]),
        (EVENTS + MESSAGES, 2, &[]),
    ]);
    let is_there = |now: &[(Id, Local<'_, Alike>)]| now.iter().any(|it| it.1.state.state == 2);
    let all_at_0 = |now: &[(Id, Local<'_, Alike>)]| now.iter().all(|it| it.1.state.state == 0);
    let report = explored(&recovering(&counts, is_there, |_| true), WAYS[1]).0;
    assert_eq!(report.verdict, Verdict::Exhaustive);
    let report = explored(&recovering(&counts, is_there, all_at_0), WAYS[1]).0;
    assert_eq!(report.violated(), [RECOVERABILITY]);
}

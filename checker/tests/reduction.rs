//! Compares the antichain engine with a full search. In random systems of small actors the engine reaches
//! exactly the tuples of local states and ghost that the full search reaches. The full search is a plain
//! search over whole states, through stateright's `Model` interface. A plain checker that runs the handlers by
//! itself confirms what the full search finds.

mod common;

use actorcheck::engine::{Checkpoints, explore_and_visit, explore_by, explore_plainly};
use actorcheck::{
    Bound, Checkable, Event, Ghostly, Group, Limits, Local, PropertyResult, RECOVERABILITY,
    Recovery, Report, StatePredicate, StateProperty, StepPredicate, StepProperty, Tally, Verdict,
    View, World,
};
use common::confirmed as full;
use common::full_search::{Tuples, is_dead_end, tuple};
use proptest::prelude::*;
use stateright::actor::{Actor, ActorModel, Id, Out, model_timeout};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn limits(threads: usize) -> Limits {
    Limits::unlimited(threads)
}

/// The surveys of two searches: some that see much, and one that sees next to nothing.
const SURVEYS: [&[u16]; 2] = [&[4, 32, 256], &[1]];
/// A survey that fires nothing.
const BLIND: &[u16] = &[0];

fn reduced<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    threads: usize,
    surveys: &[u16],
) -> (Report, Tuples<A, G>) {
    let mut tuples = Tuples::new();
    let report = explore_and_visit(world, &limits(threads), surveys, &mut |view| {
        tuples.insert(tuple(view));
    });
    (report, tuples)
}

fn counts(report: &Report) -> (u64, u64) {
    (report.tuples.expect("the antichain engine counts tuples").tuples, report.states)
}

// ---- random systems ----

/// The configuration for so many cases, unless `PROPTEST_CASES` asks for another number.
fn cases(cases: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    let is_asked = std::env::var_os("PROPTEST_CASES").is_some();
    if is_asked { asked } else { ProptestConfig { cases, ..asked } }
}

/// An actor whose handlers follow a table.
#[derive(Clone, Debug)]
struct Tabled {
    /// For each state and event, the next state and the outputs.
    table: Vec<Reaction>,
}

#[derive(Clone, Debug)]
struct Reaction {
    next: u8,
    out: Vec<Put>,
}

#[derive(Clone, Debug)]
enum Put {
    Send(u8, u8),
    Arm(u8),
    Disarm(u8),
    Choose(u8),
    Save(u8),
}

const STATES: u8 = 4;
/// The mark of no state: an actor that comes to it panics.
const BREAKS: u8 = u8::MAX;
const MESSAGES: u8 = 3;
const TIMERS: u8 = 2;
const CHOICES: u8 = 2;
/// The number of events: messages, timers, choices, and the start with each saved value or none.
const EVENTS: u8 = MESSAGES + TIMERS + CHOICES + STATES + 1;

impl Tabled {
    fn react(&self, state: u8, event: u8, o: &mut Out<Self>) -> u8 {
        let reaction = &self.table[usize::from(state) * usize::from(EVENTS) + usize::from(event)];
        for put in &reaction.out {
            match *put {
                Put::Send(to, msg) => o.send(Id::from(usize::from(to)), msg),
                Put::Arm(timer) => o.set_timer(timer, model_timeout()),
                Put::Disarm(timer) => o.cancel_timer(timer),
                Put::Choose(n) => o.choose_random("lot", (0..n).collect()),
                Put::Save(value) => o.save(value),
            }
        }
        assert!(reaction.next != BREAKS, "it breaks on purpose");
        reaction.next
    }

    fn change(&self, state: &mut Cow<'_, u8>, event: u8, o: &mut Out<Self>) {
        let next = self.react(**state, event, o);
        if next != **state {
            *state = Cow::Owned(next);
        }
    }
}

impl Actor for Tabled {
    type Msg = u8;
    type Timer = u8;
    type State = u8;
    type Storage = u8;
    type Random = u8;

    fn on_start(&self, _: Id, storage: &Option<u8>, o: &mut Out<Self>) -> u8 {
        let saved = storage.map_or(0, |saved| saved + 1);
        self.react(0, MESSAGES + TIMERS + CHOICES + saved, o)
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, u8>, src: Id, msg: u8, o: &mut Out<Self>) {
        // The sender of a message makes a difference, too.
        self.change(state, (msg + u8::try_from(usize::from(src)).unwrap()) % MESSAGES, o);
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, u8>, timer: &u8, o: &mut Out<Self>) {
        self.change(state, MESSAGES + timer, o);
    }

    fn on_random(&self, _: Id, state: &mut Cow<'_, u8>, random: &u8, o: &mut Out<Self>) {
        self.change(state, MESSAGES + TIMERS + random, o);
    }
}

fn put() -> impl Strategy<Value = Put> {
    prop_oneof![
        // One of these addressees is no actor.
        6 => (0..4_u8, 0..MESSAGES).prop_map(|(to, msg)| Put::Send(to, msg)),
        2 => (0..TIMERS).prop_map(Put::Arm),
        1 => (0..TIMERS).prop_map(Put::Disarm),
        1 => (0..=CHOICES).prop_map(Put::Choose),
        1 => (0..STATES).prop_map(Put::Save),
    ]
}

fn actor() -> impl Strategy<Value = Tabled> {
    let reaction = (0..STATES, prop::collection::vec(put(), 0..3));
    let quiet = (0..10_u8, reaction);
    let entries = usize::from(STATES) * usize::from(EVENTS);
    prop::collection::vec(quiet, entries).prop_map(|rows| {
        let rows = rows.into_iter().enumerate().map(|(n, (luck, (next, out)))| {
            // Most events of most states do nothing, because otherwise everything would be reached at once.
            let state = u8::try_from(n / usize::from(EVENTS)).unwrap();
            let starts = n % usize::from(EVENTS) >= usize::from(EVENTS - STATES - 1);
            match luck {
                0..3 if !starts => Reaction { next: state, out: Vec::new() },
                3..7 => Reaction { next: state, out },
                _ => Reaction { next, out },
            }
        });
        Tabled { table: rows.collect() }
    })
}

/// An actor that goes from state to state and never back, or seldom back. A survey that fires each step once
/// seldom lets the messages of one actor meet a late state of another, so hypotheses are refuted.
fn forward_actor(ways_back: bool) -> impl Strategy<Value = Tabled> {
    let send = (0..3_u8, 0..MESSAGES).prop_map(|(to, msg)| Put::Send(to, msg));
    let reaction = (0..6_u8, prop::collection::vec(send, 0..3));
    let events = usize::from(MESSAGES + TIMERS);
    prop::collection::vec(reaction, usize::from(STATES) * events).prop_map(move |reactions| {
        let entries = STATES * EVENTS;
        let quiet = |n| Reaction { next: n / EVENTS, out: Vec::new() };
        let mut table: Vec<_> = (0..entries).map(quiet).collect();
        let timers = [Put::Arm(0), Put::Arm(1)];
        table[usize::from(START)].out = timers.to_vec();
        for (n, (luck, out)) in reactions.into_iter().enumerate() {
            let (state, event) = (n / events, n % events);
            let quiet = &mut table[state * usize::from(EVENTS) + event];
            let next = match luck {
                0 | 1 => (quiet.next + 1).min(STATES - 1),
                2 => {
                    quiet.out = out;
                    continue;
                }
                3 if ways_back => 0,
                _ => continue,
            };
            *quiet = Reaction { next, out: out.into_iter().chain(timers.clone()).collect() };
        }
        Tabled { table }
    })
}

type TabledWorld = World<Tabled, Vec<u8>>;

/// Further prohibitions and bounds in a system.
#[derive(Clone, Copy, Debug)]
struct More {
    /// An actor must not be in this state with the last of the ghost.
    with_ghost: u8,
    /// No restart may lead from one state to another as this number says.
    restart: u8,
    /// A step of actor 2 from this state must not lead out of its bound.
    beyond: u8,
    /// The message with this number must not be handled by an actor that is in the last state afterwards.
    unheard: u8,
    /// Actor 1 is out of bounds beyond this state once the ghost is full.
    tight: u8,
}

const NO_MORE: More = More {
    with_ghost: NOTHING,
    restart: NOTHING,
    beyond: NOTHING,
    unheard: NOTHING,
    tight: NOTHING,
};

/// The entry in the ghost that says that a state was entered by a restart.
const RESTARTED: u8 = STATES;

/// A system of these actors.
fn system(actors: &[Tabled], restarts: bool, forbidden: [u8; 4]) -> TabledWorld {
    system_with(actors, restarts, forbidden, NO_MORE)
}

/// A system of these actors, with more prohibitions. Its ghost remembers the first few states in which actor
/// 0 has been, and whether it entered them by a restart.
fn system_with(actors: &[Tabled], restarts: bool, forbidden: [u8; 4], more: More) -> TabledWorld {
    let [pair, sent, word, limit] = forbidden;
    let More { with_ghost, restart, beyond, unheard, tight } = more;
    World {
        actors: ActorModel::new((), ()).actors(actors.iter().cloned()),
        names: (0..actors.len()).map(|n| format!("T{n}")).collect(),
        restartable: if restarts { vec![Id::from(0), Id::from(1)] } else { Vec::new() },
        ghost: Vec::new(),
        observe: Arc::new(|ghost: &mut Vec<u8>, change| {
            if change.who == Id::from(0) && ghost.len() < 3 {
                ghost.push(*change.after.state + if change.restart { RESTARTED } else { 0 });
            }
        }),
        always: vec![
            StateProperty {
                name: "pair",
                holds: StatePredicate::Pair(Arc::new(
                    move |(_, a): (Id, Local<'_, Tabled>), b: (Id, Local<'_, Tabled>)| {
                        a.state * STATES + b.1.state != pair
                    },
                )),
            },
            StateProperty {
                name: "word",
                holds: StatePredicate::Ghost(Arc::new(move |ghost: &Vec<u8>| {
                    ghost.first().zip(ghost.last()).is_none_or(|(a, b)| a * STATES + b != word)
                })),
            },
            StateProperty {
                name: "with ghost",
                holds: StatePredicate::ActorAndGhost(Arc::new(
                    move |_, local: Local<'_, Tabled>, ghost: &Vec<u8>| {
                        ghost.last().is_none_or(|last| local.state * STATES + last != with_ghost)
                    },
                )),
            },
        ],
        steps: vec![
            StepProperty {
                name: "sent",
                holds: StepPredicate::Output(Arc::new(move |step| {
                    step.out.len() < 2 || *step.before.state != sent || *step.after.state != sent
                })),
            },
            StepProperty {
                name: "change",
                holds: StepPredicate::Change(Arc::new(move |change, ghost: &Vec<u8>| {
                    ghost.len() < 2 || change.after.state + change.before.state != word
                })),
            },
            StepProperty {
                name: "restart",
                holds: StepPredicate::Change(Arc::new(move |change, _| {
                    !change.restart || change.before.state * STATES + change.after.state != restart
                })),
            },
            StepProperty {
                name: "beyond",
                holds: StepPredicate::Change(Arc::new(move |change, _| {
                    let goes_beyond = change.who == Id::from(2) && *change.after.state > limit;
                    !goes_beyond || *change.before.state != beyond
                })),
            },
            StepProperty {
                name: "unheard",
                holds: StepPredicate::Output(Arc::new(move |step| {
                    let by = |src: &Id, msg: &u8| {
                        usize::from(*src) * usize::from(MESSAGES) + usize::from(*msg)
                    };
                    !matches!(step.event, Event::Deliver { src, msg }
                        if by(src, msg) == usize::from(unheard) && *step.after.state == STATES - 1)
                })),
            },
        ],
        sometimes: vec![StateProperty {
            name: "all in the last state",
            holds: StatePredicate::Actor(Arc::new(|_, local: Local<'_, Tabled>| {
                *local.state == STATES - 1
            })),
        }],
        recovery: None,
        bounds: bounds(limit, tight),
        label: Arc::new(|_, _| {}),
        labels: &[],
        symmetry: None,
        initial: None,
        tally: Arc::new(Tally::new(2, &[])),
    }
}

/// The bounds of actor 2, and of actor 1 once the ghost is full.
fn bounds(limit: u8, tight: u8) -> Vec<Bound<Tabled, Vec<u8>>> {
    vec![
        Bound {
            name: "actor 2",
            limit: u64::from(limit),
            within: StatePredicate::Actor(Arc::new(move |id, local: Local<'_, Tabled>| {
                id != Id::from(2) || *local.state <= limit
            })),
        },
        Bound {
            name: "actor 1 with the ghost",
            limit: u64::from(tight),
            within: StatePredicate::ActorAndGhost(Arc::new(
                move |id, local: Local<'_, Tabled>, ghost: &Vec<u8>| {
                    id != Id::from(1) || *local.state <= tight || ghost.len() < 3
                },
            )),
        },
    ]
}

/// A number that forbids nothing.
const NOTHING: u8 = u8::MAX;

/// An actor that does only this: in a state, at an event, it goes to a state and puts this out.
fn scripted(script: &[(u8, u8, u8, &[Put])]) -> Tabled {
    let entries = STATES * EVENTS;
    let quiet = |n| Reaction { next: n / EVENTS, out: Vec::new() };
    let mut table: Vec<_> = (0..entries).map(quiet).collect();
    for (state, event, next, out) in script {
        let reaction = Reaction { next: *next, out: out.to_vec() };
        table[usize::from(state * EVENTS + event)] = reaction;
    }
    Tabled { table }
}

// The events of scripted actors.
const TIMER: u8 = MESSAGES;
const OTHER_TIMER: u8 = MESSAGES + 1;
const START: u8 = MESSAGES + TIMERS + CHOICES;
/// Message 0 from actor 0.
const ASKED: u8 = 0;
/// Message 1 from actor 0.
const ANSWERED: u8 = 1;
/// Messages 0, 1 and 2 from actor 1.
const FIRST: u8 = 1;
const SECOND: u8 = 2;
const THIRD: u8 = 0;

/// Messages 0 and 1 from actor 2.
const FROM_ACTOR_2: u8 = 2;
const OTHER_FROM_ACTOR_2: u8 = 0;

/// Asserts that all tuples are reached in the end, although a survey that fires each step once is misled.
fn is_made_up_for(actors: &[Tabled]) {
    after_a_survey_all_is_reached(SURVEYS[1], &system(actors, false, [NOTHING; 4]));
}

/// Asserts that the engine reaches all tuples, and finds no other violations than a plain search.
fn is_searched_as_plainly(world: &TabledWorld) {
    let full = full(world, 1_000).expect("it is small");
    for surveys in [SURVEYS[0], SURVEYS[1], BLIND] {
        let (report, tuples) = reduced(world, 1, surveys);
        if full.broken.is_empty() {
            assert_eq!(report.verdict, Verdict::Exhaustive, "{:?}", report.violated());
            assert!(tuples == full.tuples, "{} of {}", tuples.len(), full.tuples.len());
        } else {
            assert_eq!(report.verdict, Verdict::Violated, "{:?}", full.broken);
        }
    }
}

/// The first message does nothing to actor 0 when it is sent. After the second message, the first makes actor
/// 0 send something to itself, which changes it.
#[test]
fn what_an_actor_tells_itself_matters() {
    use Put::{Arm, Send};
    let talks_to_itself =
        scripted(&[(0, SECOND, 1, &[]), (1, FIRST, 1, &[Send(0, 0)]), (1, ASKED, 2, &[])]);
    let sender = scripted(&[
        (0, START, 0, &[Arm(0)]),
        (0, TIMER, 1, &[Arm(0), Send(0, 0)]),
        (1, TIMER, 2, &[Send(0, 1)]),
    ]);
    is_searched_as_plainly(&system(&[talks_to_itself, sender], false, [NOTHING; 4]));
}

/// The first message does nothing until two others have come, one after the other. Then it is answered, and
/// the answer matters to its sender.
#[test]
fn what_is_answered_after_several_steps_is_kept() {
    use Put::{Arm, Send};
    let receiver =
        scripted(&[(0, SECOND, 1, &[]), (1, THIRD, 2, &[]), (2, FIRST, 2, &[Send(1, 1)])]);
    let sender = scripted(&[
        (0, START, 0, &[Arm(0)]),
        (0, TIMER, 1, &[Arm(0), Send(0, 0)]),
        (1, TIMER, 2, &[Arm(0), Send(0, 1)]),
        (2, TIMER, 3, &[Send(0, 2)]),
        (3, ANSWERED, 0, &[]),
    ]);
    is_searched_as_plainly(&system(&[receiver, sender], false, [NOTHING; 4]));
}

/// Both messages lead from state 0 to state 1. One of them also arms a timer, or makes the actor save
/// something, or send something.
#[test]
fn messages_that_leave_an_actor_in_one_state_and_differ_otherwise_are_not_one() {
    use Put::{Arm, Save, Send};
    let also: [&'static [Put]; 3] = [&[Arm(0)], &[Save(2)], &[Send(1, 0)]];
    for (also, first) in also.iter().flat_map(|also| [(also, true), (also, false)]) {
        let (a, b) = if first { (*also, &[][..]) } else { (&[][..], *also) };
        let receiver = scripted(&[
            (0, FIRST, 1, a),
            (0, SECOND, 1, b),
            (1, TIMER, 2, &[]),
            (0, START + 3, 3, &[]),
        ]);
        let sender = scripted(&[(0, START, 0, &[Send(0, 0), Send(0, 1)]), (0, ASKED, 1, &[])]);
        is_searched_as_plainly(&system(&[receiver, sender], true, [NOTHING; 4]));
    }
}

/// Both messages are there at the start, and do nothing then. Later both do the same, but only the second is
/// forbidden to do so.
#[test]
fn messages_that_do_the_same_and_of_which_one_violates_a_property_are_not_one() {
    use Put::{Arm, Send};
    let receiver = scripted(&[
        (0, START, 0, &[Arm(0)]),
        (0, TIMER, 1, &[]),
        (1, FIRST, 3, &[]),
        (1, SECOND, 3, &[]),
    ]);
    let sender = scripted(&[(0, START, 0, &[Send(0, 0), Send(0, 1)])]);
    for unheard in [MESSAGES, MESSAGES + 1] {
        let more = More { unheard, ..NO_MORE };
        is_searched_as_plainly(&system_with(
            &[receiver.clone(), sender.clone()],
            false,
            [NOTHING; 4],
            more,
        ));
    }
}

/// Actor 1 goes further than it may once the ghost is full; actor 0 fills the ghost.
#[test]
fn a_bound_with_the_ghost_is_judged_of_all_actors_when_another_changes_the_ghost() {
    use Put::Arm;
    let counts = scripted(&[
        (0, START, 0, &[Arm(0)]),
        (0, TIMER, 1, &[Arm(0)]),
        (1, TIMER, 2, &[Arm(0)]),
        (2, TIMER, 3, &[]),
    ]);
    let goes = scripted(&[(0, START, 0, &[Arm(0)]), (0, TIMER, 1, &[])]);
    let more = More { tight: 0, ..NO_MORE };
    let world = system_with(&[counts, goes], false, [NOTHING; 4], more);
    assert!(full(&world, 1_000).expect("it is small").tuples.len() == 7);
    is_searched_as_plainly(&world);
}

/// Actor 1 may not be in its state once the ghost has its last word; actor 0 gives the ghost that word.
#[test]
fn a_property_with_the_ghost_is_judged_of_all_actors_when_another_changes_the_ghost() {
    use Put::Arm;
    let speaks =
        scripted(&[(0, START, 0, &[Arm(0)]), (0, TIMER, 1, &[Arm(0)]), (1, TIMER, 2, &[])]);
    let stands = scripted(&[]);
    let more = More { with_ghost: 2, ..NO_MORE };
    let world = system_with(&[speaks, stands], false, [NOTHING; 4], more);
    assert_eq!(full(&world, 1_000).expect("it is small").broken.len(), 1);
    is_searched_as_plainly(&world);
}

/// Actor 0 goes from state 1 to state 0 by a timer, and by a restart. To the ghost these are two different
/// changes.
#[test]
fn a_restart_is_another_change_than_the_same_by_a_timer() {
    use Put::Arm;
    let returns =
        scripted(&[(0, START, 0, &[Arm(0)]), (0, TIMER, 1, &[Arm(0)]), (1, TIMER, 0, &[Arm(0)])]);
    let still = scripted(&[]);
    let world = |more| system_with(&[returns.clone(), still.clone()], true, [NOTHING; 4], more);
    is_searched_as_plainly(&world(NO_MORE));
    let more = More { restart: STATES, ..NO_MORE };
    assert_eq!(full(&world(more), 1_000).expect("it is small").broken.len(), 1);
    is_searched_as_plainly(&world(more));
}

/// Actor 0 panics if it is asked in state 1. It was asked at the start, where the question makes no
/// difference, so a hypothesis that knows no better leaves the question out. The search must find, when it
/// tries the question, that it may not do so.
#[test]
fn a_panic_of_a_trial_that_is_met_after_all_reaches_the_caller() {
    use Put::{Arm, Send};
    let receiver =
        scripted(&[(0, START, 0, &[Arm(0)]), (0, TIMER, 1, &[]), (1, FIRST, BREAKS, &[])]);
    let sender = scripted(&[(0, START, 0, &[Send(0, 0)])]);
    for surveys in [SURVEYS[0], BLIND] {
        let world = system(&[receiver.clone(), sender.clone()], false, [NOTHING; 4]);
        let ran = std::panic::AssertUnwindSafe(|| reduced(&world, 1, surveys));
        let panic = std::panic::catch_unwind(ran).expect_err("it panics");
        assert_eq!(panic.downcast_ref(), Some(&"it breaks on purpose"));
    }
}

/// Asserts that all tuples are reached with a survey that is misled.
fn after_a_survey_all_is_reached(surveys: &[u16], world: &TabledWorld) {
    let full = full(world, 1_000).expect("it is small");
    let (report, tuples) = reduced(world, 1, surveys);
    assert!(tuples == full.tuples, "{} of {}", tuples.len(), full.tuples.len());
    let counts = report.tuples.expect("they are counted");
    assert!(counts.rounds > 1, "no hypothesis was refuted: this does not test much");
}

/// Both messages lead from state 1 to state 2, and a survey that fires each step once never comes so far. So
/// the messages are taken for one, and only the first is kept. But in state 2 only the second does something.
#[test]
fn what_is_missed_by_taking_messages_for_one_wrongly_is_made_up_for() {
    use Put::{Arm, Send};
    let receiver = scripted(&[
        (0, START, 0, &[Arm(0)]),
        (0, TIMER, 1, &[]),
        (1, FIRST, 2, &[]),
        (1, SECOND, 2, &[]),
        (2, SECOND, 3, &[]),
    ]);
    let sender = scripted(&[
        (0, START, 0, &[Arm(0)]),
        (0, TIMER, 1, &[Arm(0), Send(0, 0)]),
        (1, TIMER, 2, &[Send(0, 1)]),
    ]);
    let actors = [receiver, sender];
    is_made_up_for(&actors);
    let last = 3 * STATES + 2;
    let (report, _) =
        reduced(&system(&actors, false, [last, NOTHING, NOTHING, NOTHING]), 1, SURVEYS[1]);
    assert_eq!(report.violated(), ["pair"]);
}

/// Actor 2 goes to state 2 with one message or with another. The two are taken for one, as in the example
/// above. So the state that has the second message is kept by the name of the first, which was known before.
/// When the two are told apart, the state that has the first must turn out to be another.
#[test]
fn what_was_kept_by_the_name_of_another_is_named_anew() {
    use Put::{Arm, Disarm, Send};
    let receiver = scripted(&[
        (0, START, 0, &[Arm(0)]),
        (0, TIMER, 1, &[]),
        (1, FROM_ACTOR_2, 2, &[]),
        (1, OTHER_FROM_ACTOR_2, 2, &[]),
        (2, FROM_ACTOR_2, 3, &[]),
    ]);
    let asks = scripted(&[(0, START, 0, &[Send(2, 0)])]);
    let sender = scripted(&[
        (0, START, 0, &[Arm(0), Arm(1)]),
        // This step leads out of bounds. Its only use is to make the first message known.
        (0, TIMER, 3, &[Send(0, 0)]),
        (0, OTHER_TIMER, 2, &[Disarm(0), Send(0, 1)]),
        (0, FIRST, 1, &[Disarm(1)]),
        (1, TIMER, 2, &[Send(0, 0)]),
    ]);
    let world = system(&[receiver, asks, sender], false, [NOTHING, NOTHING, NOTHING, 2]);
    after_a_survey_all_is_reached(SURVEYS[1], &world);
}

/// A message of actor 0 to itself matters to it in state 0, not in state 1, and again in state 2. A survey
/// that fires each step once never sees state 2. So the message is left out where state 1 is entered. The
/// state before that step had no refuted local state, and must be expanded again all the same.
#[test]
fn what_leads_to_a_refuted_local_state_is_expanded_again() {
    use Put::{Arm, Send};
    let receiver = scripted(&[
        (0, START, 0, &[Arm(0), Arm(1)]),
        (0, OTHER_TIMER, 0, &[Send(0, 0)]),
        (0, TIMER, 1, &[]),
        (0, ASKED, 3, &[]),
        (1, FIRST, 2, &[]),
        (2, ASKED, 3, &[]),
    ]);
    let sender = scripted(&[(0, START, 0, &[Arm(0)]), (0, TIMER, 1, &[Send(0, 0)])]);
    is_made_up_for(&[receiver, sender]);
}

/// An actor 0 to which the first message matters in state 2. A survey that fires each step once never sees
/// that state.
fn late_receiver() -> Tabled {
    scripted(&[
        (0, START, 0, &[Put::Arm(0)]),
        (0, TIMER, 1, &[]),
        (1, SECOND, 2, &[]),
        (2, FIRST, 3, &[]),
    ])
}

/// The sender sends the message in state 1 by a step that does not change it. So the message was left out
/// where the sender came to state 1. The state before that step must be expanded again.
#[test]
fn what_is_sent_in_the_state_after_a_step_is_sent_again() {
    use Put::{Arm, Send};
    let sender = scripted(&[
        (0, START, 0, &[Arm(0), Arm(1)]),
        (0, TIMER, 1, &[Send(0, 1)]),
        (1, OTHER_TIMER, 1, &[Arm(1), Send(0, 0)]),
    ]);
    is_made_up_for(&[late_receiver(), sender]);
}

/// The message is sent at the start, so no step sends it.
#[test]
fn what_was_sent_at_the_start_is_sent_again() {
    use Put::{Arm, Send};
    let sender = scripted(&[(0, START, 0, &[Arm(0), Send(0, 0)]), (0, TIMER, 1, &[Send(0, 1)])]);
    is_made_up_for(&[late_receiver(), sender]);
}

/// The first message makes actor 0 ask actor 2, in state 2 of actor 0, to which two steps lead. The question
/// matters to actor 2 in a state that a survey that fires each step once never sees. When that state is seen,
/// the hypothesis about actor 0 stays as it was; and the first message must be sent again all the same.
#[test]
fn what_makes_an_actor_send_what_matters_is_sent_again() {
    use Put::{Arm, Send};
    let asks =
        scripted(&[(0, SECOND, 1, &[Arm(0)]), (1, TIMER, 2, &[]), (2, FIRST, 2, &[Send(2, 0)])]);
    let sender = scripted(&[
        (0, START, 0, &[Arm(0)]),
        (0, TIMER, 1, &[Arm(0), Send(0, 0)]),
        (1, TIMER, 2, &[Send(0, 1), Send(2, 0)]),
    ]);
    let asked = scripted(&[
        (0, START, 0, &[Arm(0)]),
        (0, TIMER, 1, &[]),
        (1, FIRST, 2, &[]),
        (2, ASKED, 3, &[]),
    ]);
    is_made_up_for(&[asks, sender, asked]);
}

/// Actor 1 goes round, so the state to which it comes back has more messages than the state it left, which is
/// kept no longer. Its message made actor 0 send another message to actor 2. That one matters to actor 2 in a
/// state that a survey that fires each step once never sees. So the state that is kept has the message of
/// actor 1, which is not new when it is sent again, and lacks the answer.
#[test]
fn what_is_answered_to_a_message_that_is_kept_is_not_missed() {
    use Put::{Arm, Send};
    let answers = scripted(&[
        (0, START, 0, &[Arm(0)]),
        (0, FIRST, 0, &[Send(2, 0)]),
        (0, TIMER, 1, &[]),
        (1, FIRST, 2, &[]),
    ]);
    let goes_round = scripted(&[
        (0, START, 0, &[Arm(0)]),
        (0, TIMER, 1, &[Arm(0), Send(0, 0)]),
        (1, TIMER, 0, &[Arm(0), Send(2, 1)]),
    ]);
    let late = scripted(&[
        (0, START, 0, &[Arm(0)]),
        (0, TIMER, 1, &[]),
        (1, SECOND, 2, &[]),
        (2, ASKED, 3, &[]),
    ]);
    is_made_up_for(&[answers, goes_round, late]);
}

/// The answer of actor 2 matters to actor 1 in state 1; the message that actor 0 sent first matters to it in
/// state 2. A survey that fires nothing sees neither. So when the answer is known to matter, the first
/// message is not. A state that has the first message and lacks the answer is above every state that is found
/// when both are known to matter.
#[test]
fn what_is_above_others_wrongly_does_not_stay_there() {
    use Put::{Arm, Send};
    let goes_round = scripted(&[
        (0, START, 0, &[Arm(0)]),
        (0, TIMER, 1, &[Arm(0)]),
        (1, TIMER, 2, &[Arm(0), Send(1, 0)]),
        (2, TIMER, 3, &[Arm(0)]),
        (3, TIMER, 2, &[Arm(0), Send(2, 0), Send(1, 1)]),
    ]);
    let receiver =
        scripted(&[(0, ANSWERED, 1, &[]), (1, FROM_ACTOR_2, 2, &[]), (2, ASKED, 3, &[])]);
    let answers = scripted(&[
        (0, START, 0, &[Arm(0)]),
        (0, ASKED, 0, &[Send(1, 0)]),
        (0, TIMER, 3, &[Send(1, 0)]),
    ]);
    // The other places where the answer is sent are out of bounds.
    let world = system(&[goes_round, receiver, answers], false, [NOTHING, NOTHING, NOTHING, 2]);
    after_a_survey_all_is_reached(BLIND, &world);
}

/// The first message makes actor 0 send a message that does nothing. In a state that a survey that fires each
/// step once never sees, it makes actor 0 send something else, which matters.
#[test]
fn what_makes_an_actor_send_more_than_was_thought_is_sent_again() {
    use Put::{Arm, Disarm, Send};
    let answers = scripted(&[
        (0, START, 0, &[Arm(0), Arm(1)]),
        (0, FIRST, 0, &[Send(2, 0)]),
        (0, TIMER, 1, &[Disarm(1)]),
        (0, OTHER_TIMER, 3, &[Disarm(0), Send(2, 1)]),
        (1, FIRST, 1, &[Send(2, 0)]),
        (1, SECOND, 2, &[]),
        (2, FIRST, 2, &[Send(2, 1)]),
    ]);
    let sender = scripted(&[
        (0, START, 0, &[Arm(0)]),
        (0, TIMER, 1, &[Arm(0), Send(0, 0)]),
        (1, TIMER, 2, &[Send(0, 1)]),
    ]);
    let answered = scripted(&[(0, ANSWERED, 1, &[])]);
    is_made_up_for(&[answers, sender, answered]);
}

/// The second message is sent; the first is sent only to an actor that has gone where neither matters. A
/// survey that fires each step once never sees the state in which they differ, so they are taken for one. If
/// the first were put in the place of the second, it would do there what is forbidden.
#[test]
fn a_message_that_was_never_sent_stands_for_no_other() {
    use Put::{Arm, Disarm, Send};
    let receiver = scripted(&[
        (0, START, 0, &[Arm(0), Arm(1)]),
        (0, TIMER, 1, &[Disarm(1)]),
        (0, OTHER_TIMER, 3, &[Disarm(0), Send(1, ASKED)]),
        (1, FIRST, 2, &[]),
        (1, SECOND, 2, &[]),
        (2, FIRST, 2, &[Send(3, 0), Send(3, 1)]),
    ]);
    let sender = scripted(&[
        (0, START, 0, &[Arm(0)]),
        (0, ASKED, 0, &[Send(0, 0)]),
        (0, TIMER, 1, &[Arm(0)]),
        (1, TIMER, 2, &[Send(0, 1)]),
    ]);
    let world = system(&[receiver, sender], false, [NOTHING, 2, NOTHING, NOTHING]);
    let full = full(&world, 1_000).expect("it is small");
    assert!(full.broken.is_empty() && full.tuples.len() > 5, "nothing forbidden can happen");
    let (report, tuples) = reduced(&world, 1, SURVEYS[1]);
    let rounds = report.tuples.expect("they are counted").rounds;
    assert_eq!(report.verdict, Verdict::Exhaustive, "{:?}", report.violated());
    assert!(tuples == full.tuples);
    assert!(rounds > 1, "no hypothesis was refuted: this does not test much");
}

/// In this system that would lead to a state, with nothing forbidden, in which a third message matters. No
/// actor ever comes to that state. So the counts must not tell states apart by the third message.
#[test]
fn the_counts_do_not_depend_on_hypotheses_that_were_refuted() {
    use Put::{Arm, Disarm, Send};
    let receiver = scripted(&[
        (0, START, 0, &[Arm(0), Arm(1)]),
        (0, TIMER, 1, &[Disarm(1)]),
        (0, OTHER_TIMER, 0, &[Disarm(0), Send(1, ASKED)]),
        (1, FIRST, 2, &[]),
        (1, SECOND, 2, &[]),
        (2, FIRST, 3, &[]),
        (3, THIRD, 0, &[]),
    ]);
    let sender = scripted(&[
        (0, START, 0, &[Arm(0)]),
        (0, ASKED, 0, &[Send(0, 0)]),
        (0, TIMER, 1, &[Arm(0), Arm(1)]),
        (1, TIMER, 2, &[Disarm(1), Send(0, 1)]),
        (1, OTHER_TIMER, 2, &[Disarm(0), Send(0, 2)]),
    ]);
    let world = system(&[receiver, sender], false, [NOTHING; 4]);
    let full = full(&world, 1_000).expect("it is small");
    let [(straight, tuples), (refuted, same)] = SURVEYS.map(|surveys| reduced(&world, 1, surveys));
    assert!(tuples == full.tuples && same == full.tuples);
    assert_eq!(counts(&refuted), counts(&straight));
    let rounds = [straight, refuted].map(|report| report.tuples.expect("they are counted").rounds);
    assert!(
        rounds[0] == 1 && rounds[1] > 1,
        "one knew enough at once, and one did not: {rounds:?}"
    );
}

proptest! {
    #![proptest_config(cases(400))]

    /// Nothing is forbidden. The engine must reach exactly the tuples of the full search, and witness exactly
    /// the properties that the full search witnesses.
    #[test]
    fn in_random_systems_both_searches_reach_the_same_tuples(
        actors in prop::collection::vec(actor(), 2..4),
        restarts: bool,
        limit in 1..STATES,
        tight in prop_oneof![Just(NOTHING), 0..STATES],
    ) {
        let more = More { tight, ..NO_MORE };
        let world = || system_with(&actors, restarts, [NOTHING, NOTHING, NOTHING, limit], more);
        let Some(full) = full(&world(), 20_000) else { return Ok(()) };
        let (report, tuples) = reduced(&world(), 1, SURVEYS[0]);
        prop_assert_eq!(report.verdict, Verdict::Exhaustive);
        prop_assert_eq!(&tuples, &full.tuples);
        let (again, tuples) = reduced(&world(), 2, SURVEYS[1]);
        prop_assert_eq!(&tuples, &full.tuples);
        prop_assert_eq!(counts(&report), counts(&again));
        let never = AtomicBool::new(false);
        let plain = explore_plainly(&world(), &limits(2), &never, &mut |_| {});
        prop_assert_eq!(plain.verdict, Verdict::Exhaustive);
        prop_assert_eq!(counts(&plain).0, counts(&report).0);
        let witnessed = |report: &Report| {
            let property = report.properties.last().expect("there is one");
            property.result == PropertyResult::Witnessed
        };
        prop_assert_eq!(witnessed(&report), !full.witnessed.is_empty());
        prop_assert_eq!(witnessed(&again), !full.witnessed.is_empty());
    }

    /// A group recovers, or does not, as a plain search from each tuple says.
    #[test]
    fn in_random_systems_recovery_is_judged_alike(
        actors in prop::collection::vec(actor(), 2..4),
        restarts: bool,
        goal in 0..STATES,
        barrier in 0..=STATES,
        limit in 1..STATES,
        is_cut: bool,
        idle in 0..=STATES,
    ) {
        let mut world = system(&actors, restarts, [NOTHING, NOTHING, NOTHING, limit]);
        let group = |[from, to]: [usize; 2]| {
            let cut = is_cut.then_some((Id::from(from), Id::from(to)));
            Group { cut: cut.into_iter().collect(), ..Group::of([from, to].map(Id::from)) }
        };
        let is_there = |pair: &[usize; 2]| pair.iter().all(|n| *n < actors.len());
        let pairs = [[0, 1], [1, 2], [2, 0]].into_iter().filter(is_there);
        world.recovery = Some(Recovery {
            groups: pairs.map(group).collect(),
            recovered: Arc::new(move |_, start, now| {
                let has_moved = start.iter().zip(now).all(|(a, b)| a.1.state != b.1.state);
                has_moved || now.iter().any(|(_, local)| *local.state == goal)
            }),
            within: Arc::new(move |_, start, now| {
                let goes_on = |(_, local): &(Id, Local<'_, Tabled>)| *local.state != barrier;
                now.iter().all(goes_on) || now.iter().zip(start).any(|(a, b)| a.1.state == b.1.state)
            }),
            acts: Some(Arc::new(move |_, now, who| {
                now.iter().all(|(id, local)| *id != who || *local.state != idle)
            })),
        });
        let Some(full) = full(&world, 3_000) else { return Ok(()) };
        let dead = full.examples.iter().any(|state| is_dead_end(&world, state));
        let (report, _) = reduced(&world, 1, SURVEYS[0]);
        prop_assert_eq!(report.violated(), if dead { vec![RECOVERABILITY] } else { Vec::new() });
    }

    /// Actors that go forward, and actors that begin again now and then, reach the tuples of the full search.
    #[test]
    fn in_forward_systems_both_searches_reach_the_same_tuples(
        actors in any::<bool>().prop_flat_map(|ways_back| {
            prop::collection::vec(forward_actor(ways_back), 2..4)
        }),
        limit in 2..STATES,
    ) {
        let world = || system(&actors, false, [NOTHING, NOTHING, NOTHING, limit]);
        let Some(full) = full(&world(), 10_000) else { return Ok(()) };
        let expected = counts(&reduced(&world(), 1, SURVEYS[0]).0);
        for (threads, surveys) in [(1, SURVEYS[1]), (1, BLIND), (2, BLIND)] {
            let (report, tuples) = reduced(&world(), threads, surveys);
            prop_assert_eq!(&tuples, &full.tuples);
            prop_assert_eq!(counts(&report), expected);
        }
    }

    /// Something is forbidden. Both searches must find a violation, or both must find that it never happens.
    #[test]
    fn in_random_systems_both_searches_judge_alike(
        actors in prop::collection::vec(actor(), 2..4),
        restarts: bool,
        pair in 0..STATES * STATES,
        sent in 0..STATES,
        word in 0..STATES * STATES,
        limit in 1..STATES,
        tight in prop_oneof![2 => Just(NOTHING), 1 => 0..STATES],
        (with_ghost, unheard) in (0..STATES * (STATES + RESTARTED), 0..3 * MESSAGES),
    ) {
        let [none, more] = [[NOTHING, NOTHING, NOTHING, limit], [NOTHING; 4]];
        let limited = More { tight, ..NO_MORE };
        let forbidden = [
            ([pair, NOTHING, NOTHING, limit], limited),
            ([NOTHING, sent, NOTHING, limit], limited),
            ([NOTHING, NOTHING, word, limit], limited),
            (none, More { with_ghost, ..limited }),
            (none, More { restart: pair, ..limited }),
            (none, More { beyond: sent, ..limited }),
            (more, More { unheard, ..limited }),
        ];
        for (forbidden, more) in forbidden {
            let world = || system_with(&actors, restarts, forbidden, more);
            let Some(full) = full(&world(), 10_000) else { return Ok(()) };
            let (report, _) = reduced(&world(), 1, SURVEYS[1]);
            let verdict = if full.broken.is_empty() { Verdict::Exhaustive } else { Verdict::Violated };
            prop_assert_eq!(report.verdict, verdict, "{:?}", full.broken);
            prop_assert!(report.violated().iter().all(|name| full.broken.contains(name)));
        }
    }
}

proptest! {
    // Each case writes a file now and then.
    #![proptest_config(cases(15))]

    /// Searches that are saved and taken up again and again reach the tuples that a plain search reaches.
    #[test]
    fn searches_of_random_systems_are_put_down_and_taken_up_again(
        actors in prop::collection::vec(actor(), 2..4),
        restarts: bool,
        threads in 1..3_usize,
    ) {
        let world = system(&actors, restarts, [NOTHING; 4]);
        let Some(full) = full(&world, 5_000) else { return Ok(()) };
        let directory = tempfile::tempdir().expect("there is room");
        let path = directory.path().join("search");
        for surveys in [SURVEYS[1], BLIND] {
            let mut sitting = 0;
            let (report, tuples) = loop {
                // The limit grows, so that the search comes to an end.
                let most = Duration::from_micros(200) * 2_u32.pow(sitting);
                let limits = Limits { max_time: Some(most), ..limits(threads) };
                let saved = Checkpoints {
                    path: path.clone(),
                    every: Duration::from_hours(1),
                    resume: sitting > 0,
                    identity: "this system".to_owned(),
                };
                let mut tuples = Tuples::new();
                let mut visit = |view: &View<'_, _, _>| {
                    tuples.insert(tuple(view));
                };
                let explored = explore_by(surveys, &world, &limits, Some(&saved), &mut visit);
                let (report, trouble) = explored.expect("it can be taken up");
                prop_assert!(trouble.is_none());
                if report.verdict != Verdict::Bounded {
                    break (report, tuples);
                }
                sitting += 1;
            };
            prop_assert_eq!(report.verdict, Verdict::Exhaustive);
            prop_assert_eq!(&tuples, &full.tuples);
            let property = report.properties.last().expect("there is one");
            let witnessed = property.result == PropertyResult::Witnessed;
            prop_assert_eq!(witnessed, !full.witnessed.is_empty());
        }
    }
}

/// A limit ends the search when actor 0 comes to state 2. By then the first message, which was sent at the
/// start, has been left out of states that are expanded, and from what is known it follows that it matters.
/// The search that goes on must still find out that the hypothesis it began with is refuted.
#[test]
#[expect(clippy::disallowed_methods, reason = "a step must last until a limit is noticed")]
fn a_search_goes_on_with_the_hypothesis_by_which_its_states_were_expanded() {
    use Put::{Arm, Send};
    let sender = scripted(&[(0, START, 0, &[Arm(0), Send(0, 0)]), (0, TIMER, 1, &[Send(0, 1)])]);
    let mut world = system(&[late_receiver(), sender], false, [NOTHING; 4]);
    let expected = full(&world, 1_000).expect("it is small").tuples;
    // The step into state 2 lasts until the limit has been noticed.
    let (is_first, lasts) = (AtomicBool::new(true), Duration::from_millis(300));
    world.bounds = vec![Bound {
        name: "none",
        limit: 0,
        within: StatePredicate::View(Arc::new(move |view| {
            if *view.local(0).state == 2 && is_first.swap(false, Ordering::Relaxed) {
                std::thread::sleep(lasts);
            }
            true
        })),
    }];
    let directory = tempfile::tempdir().expect("there is room");
    let sitting = |resume, max_locals| {
        let saved = Checkpoints {
            path: directory.path().join("search"),
            every: Duration::from_hours(1),
            resume,
            identity: "this system".to_owned(),
        };
        let limits = Limits { max_locals, ..limits(1) };
        let mut tuples = Tuples::new();
        let mut visit = |view: &View<'_, _, _>| {
            tuples.insert(tuple(view));
        };
        let explored = explore_by(BLIND, &world, &limits, Some(&saved), &mut visit);
        (explored.expect("it can be taken up").0, tuples)
    };
    // States 0, 1 and 2 of actor 0.
    let (report, _) = sitting(false, Some(3));
    assert_eq!(report.verdict, Verdict::Bounded);
    let (report, tuples) = sitting(true, None);
    assert_eq!(report.verdict, Verdict::Exhaustive);
    assert!(tuples == expected, "{} of {}", tuples.len(), expected.len());
    let rounds = report.tuples.expect("they are counted").rounds;
    assert!(rounds > 1, "no hypothesis was refuted: this does not test much");
}

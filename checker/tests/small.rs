//! Small worlds in which one thing matters each, written with the methods of `World`.

use actorcheck::engine::explore_and_visit;
use actorcheck::{
    Engine, Event, Group, Limits, Local, RECOVERABILITY, Recovery, State, Verdict, World, run,
    search,
};
use stateright::actor::{Actor, Command, Id, Out, model_timeout};
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What an actor does when it starts, at a message and at a timer: from its number and state to the next
/// state.
#[derive(Clone, Copy)]
struct Small {
    start: fn(Id, &mut Out<Small>),
    message: fn(Id, u8, u8, &mut Out<Small>) -> u8,
    timer: fn(u8, u8, &mut Out<Small>) -> u8,
}

impl Actor for Small {
    type Msg = u8;
    type State = u8;
    type Timer = u8;
    type Storage = ();
    type Random = ();

    fn on_start(&self, id: Id, _: &Option<()>, out: &mut Out<Self>) -> u8 {
        (self.start)(id, out);
        0
    }

    fn on_msg(&self, id: Id, state: &mut Cow<'_, u8>, _: Id, message: u8, out: &mut Out<Self>) {
        let next = (self.message)(id, **state, message, out);
        if next != **state {
            *state = Cow::Owned(next);
        }
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, u8>, timer: &u8, out: &mut Out<Self>) {
        let next = (self.timer)(**state, *timer, out);
        if next != **state {
            *state = Cow::Owned(next);
        }
    }
}

fn arm(timer: u8, out: &mut Out<Small>) {
    out.set_timer(timer, model_timeout());
}

const STILL: Small =
    Small { start: |_, _| {}, message: |_, state, _, _| state, timer: |state, _, _| state };

type OfMembers = fn(&[(Id, Local<'_, Small>)]) -> bool;

fn recovers(world: World<Small, ()>, recovered: OfMembers, within: OfMembers) -> bool {
    let groups = vec![Group::of((0..world.actors.actors.len()).map(Id::from))];
    let checked = world
        .recoverable(Recovery {
            groups,
            recovered: Arc::new(move |_, _, now| recovered(now)),
            within: Arc::new(move |_, _, now| within(now)),
            acts: None,
        })
        .check();
    let dead_end = checked.report.violated() == [RECOVERABILITY];
    assert!(dead_end || checked.report.verdict == Verdict::Exhaustive, "{checked}");
    !dead_end
}

/// Actor 0 recovers by an answer that it gets in state 0 only. To ask it goes to state 1, and comes back with
/// more messages than it left with. Its other timer leads nowhere, and fires first.
#[test]
fn a_way_to_recovery_may_come_back_to_a_state_with_more_messages() {
    const TRAP: u8 = 0;
    const GO: u8 = 1;
    const BACK: u8 = 2;
    let asks = Small {
        start: |_, out| {
            arm(TRAP, out);
            arm(GO, out);
        },
        timer: |_, timer, out| match timer {
            GO => {
                out.cancel_timer(TRAP);
                out.send(Id::from(1), 0);
                arm(BACK, out);
                1
            }
            BACK => {
                arm(TRAP, out);
                arm(GO, out);
                0
            }
            _ => {
                out.cancel_timer(GO);
                9
            }
        },
        message: |_, state, _, _| if state == 0 { 5 } else { state },
    };
    let answers = Small {
        message: |_, state, _, out| {
            out.send(Id::from(0), 0);
            state
        },
        ..STILL
    };
    let world = World::new([asks, answers]).bound("no trap", 5, |local| *local.state <= 5);
    assert!(recovers(world, |now| *now[0].1.state == 5, |_| true));
}

/// The last step of recovery may lead where nothing may go on from.
#[test]
fn recovery_may_end_at_its_bound() {
    let goes = Small { start: |_, out| arm(0, out), timer: |_, _, _| 1, ..STILL };
    let (there, at_start): (OfMembers, OfMembers) =
        (|now| *now[0].1.state == 1, |now| *now[0].1.state == 0);
    assert!(recovers(World::new([goes]), there, at_start));
}

/// Actors 0 and 1 are alike, but at the start a message is on its way to actor 0 only.
#[test]
fn actors_are_not_interchangeable_where_only_one_of_them_has_a_message_at_the_start() {
    let told = Small { message: |_, _, _, _| 1, ..STILL };
    let tells = Small { start: |_, out| out.send(Id::from(0), 0), ..STILL };
    let checked = World::new([told, told, tells]).interchangeable(0..2).check();
    let counts = checked.assert_exhaustive().tuples.expect("they are counted");
    assert_eq!((counts.tuples, counts.symmetries), (2, 1));
}

/// Actors 0 and 1 differ in what they answer, and nobody heeds the answers.
#[test]
fn actors_that_send_differently_are_found_out() {
    let answers = Small {
        message: |id, _, _, out| {
            out.send(Id::from(2), u8::from(id == Id::from(0)));
            1
        },
        ..STILL
    };
    let tells = Small {
        start: |_, out| {
            out.send(Id::from(0), 7);
            out.send(Id::from(1), 7);
        },
        ..STILL
    };
    let world = || World::new([answers, answers, tells]);
    world().check().assert_exhaustive();
    let checked = || drop(world().interchangeable(0..2).check());
    let panic = catch_unwind(AssertUnwindSafe(checked)).expect_err("it is found out");
    let said = panic.downcast_ref::<String>().expect("a sentence");
    assert!(said.starts_with("the actors are not interchangeable"), "{said}");
}

/// A world in which nobody may send this message.
fn never_sent(world: World<Small, ()>, forbidden: u8) -> World<Small, ()> {
    world.on_output("it is not sent", move |step| {
        let is_it = |command: &Command<_, _, _, _>| matches!(command, Command::Send(_, it) if *it == forbidden);
        !step.out.iter().any(is_it)
    })
}

/// Actor 0 stays as it is when its timer fires, and sends what nobody may send.
#[test]
fn what_a_timeout_puts_out_is_judged_though_the_actor_does_not_change() {
    let sends = Small {
        start: |_, out| arm(0, out),
        timer: |state, timer, out| {
            arm(timer, out);
            out.send(Id::from(1), 7);
            state
        },
        ..STILL
    };
    let world = || World::new([sends, STILL]);
    never_sent(world(), 6).check().assert_exhaustive();
    never_sent(world(), 7).check().assert_violated("it is not sent");
}

/// Actor 1 answers a message with what nobody may send, and leaves the bound by that.
#[test]
fn what_a_delivery_puts_out_is_judged_though_it_leads_out_of_bounds() {
    let tells = Small { start: |_, out| out.send(Id::from(1), 0), ..STILL };
    let answers = Small {
        message: |_, _, _, out| {
            out.send(Id::from(0), 7);
            9
        },
        ..STILL
    };
    let world = || World::new([tells, answers]).bound("state", 5, |local| *local.state <= 5);
    never_sent(world(), 6).check().assert_exhaustive();
    never_sent(world(), 7).check().assert_violated("it is not sent");
}

/// A world of actors 0 and 1 that asks whether actor 0 answers each message that reaches it in this state.
fn answers_in(answering: u8, actors: [Small; 2]) -> World<Small, ()> {
    World::new(actors).on_output("it answers", move |step| {
        let is_asked = matches!(step.event, Event::Deliver { .. }) && step.who == Id::from(0);
        !is_asked || *step.before.state != answering || !step.out.is_empty()
    })
}

/// Actor 0 answers in state 0, and nowhere else. It goes to state 1.
const FALLS_SILENT: Small = Small {
    start: |_, out| arm(0, out),
    timer: |_, _, _| 1,
    message: |_, state, _, out| {
        if state == 0 {
            out.send(Id::from(1), 0);
        }
        state
    },
};

const ASKS: Small = Small { start: |_, out| out.send(Id::from(0), 0), ..STILL };

/// In state 1 actor 0 does nothing at all when it is asked. No other step depends on the question there.
#[test]
fn a_delivery_that_does_nothing_is_judged_by_every_engine() {
    let world = |state| answers_in(state, [FALLS_SILENT, ASKS]);
    for state in [0, 2] {
        world(state).check().assert_exhaustive();
    }
    let checked = world(1).check();
    let found = checked.assert_violated("it answers");
    let [(_, before), (action, after)] = &found.steps[..] else { panic!("{checked}") };
    assert!(matches!(action.event, Event::Deliver { .. }), "{checked}");
    let messages = |state: &State<_, _>| state.messages().count();
    assert_eq!((before.actor(0), messages(before)), (after.actor(0), messages(after)));
    assert!(search::replay(&checked.world, &found.indices).is_some(), "it can be shown");
    let each = search::shortest_of_each(&world(1), search::Reach { states: 100, steps: 10 });
    let kill = search::Kill { steps: 2, states: 2 };
    assert_eq!(each.violated, [("it answers", kill)]);
    for engine in [Engine::Antichain, Engine::Plain, Engine::Bfs, Engine::Dfs] {
        let never = AtomicBool::new(false);
        let verdict =
            |state| run(world(state), engine, &Limits::unlimited(1), &never, &mut |_| {}).verdict;
        assert_eq!(verdict(1), Verdict::Violated, "{engine:?}");
        assert_eq!(verdict(2), Verdict::Exhaustive, "{engine:?}");
    }
}

/// The question that actor 0 does not answer never reaches it in state 1: it is asked only when it is in
/// state 2. An engine that tries messages on states which they do not meet must not take this for a violation.
#[test]
fn a_delivery_that_never_takes_place_and_would_do_nothing_violates_nothing() {
    let goes_on = Small {
        start: |_, out| arm(0, out),
        timer: |state, _, out| {
            if state == 0 {
                arm(0, out);
            } else {
                out.send(Id::from(1), 0);
            }
            state + 1
        },
        ..STILL
    };
    let echoes = Small {
        message: |_, _, _, out| {
            out.send(Id::from(0), 0);
            1
        },
        ..STILL
    };
    answers_in(1, [goes_on, echoes]).check().assert_exhaustive();
    answers_in(2, [goes_on, echoes]).check().assert_violated("it answers");
}

/// Actor 0 has nothing to do when it starts again, and is asked to tell of it.
#[test]
fn a_restart_that_does_nothing_is_judged() {
    let world = || World::new([STILL]).restartable([0]);
    world().check().assert_exhaustive();
    let tells = world().on_output("it tells", |step| !step.out.is_empty());
    let checked = tells.check();
    assert_eq!(checked.assert_violated("it tells").steps.len(), 1);
}

/// A survey that fires each step once never lets the question meet actor 0 in state 1. So it only tries the
/// question there, and must find out that the question matters.
#[test]
fn a_message_matters_if_doing_nothing_with_it_violates_a_property() {
    let asks_later = Small {
        start: |_, out| arm(0, out),
        timer: |_, _, out| {
            out.send(Id::from(0), 0);
            1
        },
        ..STILL
    };
    let world = answers_in(1, [FALLS_SILENT, asks_later]);
    for surveys in [&[0][..], &[1], &[4, 16]] {
        let report = explore_and_visit(&world, &Limits::unlimited(1), surveys, &mut |_| {});
        assert_eq!(report.violated(), ["it answers"], "{surveys:?}");
    }
}

//! The hand-over from the socket to the node's loop on real threads: what is missing here hangs or
//! shows. `tests/loom.rs` explores every interleaving, but only with `--cfg loom`.

#![cfg(not(loom))]

use checked_raft::runtime::mailbox::{Arrived, Class, Mailbox, Refused};
use checked_raft::runtime::turns::Turns;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const CLASSES: [Class; 3] = [Class::Peer, Class::Client, Class::Inspection];
/// Longer than anything that is going to happen takes.
const LONG: Duration = Duration::from_mins(2);
/// How often what two threads do is repeated: a wake-up that can be lost is, within so many.
const ROUNDS: u32 = 2000;

/// Runs what must come to its end.
fn ends(what: impl FnOnce() + Send + 'static) {
    let (lives, alive) = channel::<()>();
    let thread = thread::spawn(move || {
        let _lives = lives;
        what();
    });
    assert_eq!(alive.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected), "a wake-up is lost");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn all<T>(Arrived { peers, clients, inspections }: Arrived<T>) -> Vec<T> {
    peers.into_iter().chain(clients).chain(inspections).collect()
}

// ---- One thread -----------------------------------------------------------------------------

#[test]
fn each_class_has_its_own_bound_and_the_newest_beyond_it_is_refused_and_counted() {
    let mailbox = Mailbox::new(3, 2, 1);
    for (class, capacity) in CLASSES.into_iter().zip([3, 2, 1]) {
        let pushed: Vec<_> = (0..5).map(|item| mailbox.push(class, item)).collect();
        let expected = (0..5).map(|n| if n < capacity { Ok(()) } else { Err(Refused::Full) });
        assert_eq!(pushed, expected.collect::<Vec<_>>(), "{class:?}");
    }
    assert_eq!(mailbox.dropped(), 2 + 3 + 4);
    let arrived = mailbox.receive(9).expect("it is open");
    let expected = Arrived { peers: vec![0, 1, 2], clients: vec![0, 1], inspections: vec![0] };
    assert_eq!(arrived, expected);
    assert_eq!(mailbox.push(Class::Inspection, 7), Ok(()), "there is room again");
}

#[test]
fn a_reader_gets_no_more_of_each_class_than_it_asks_for_and_the_rest_later_in_order() {
    for patience in [None, Some(LONG)] {
        let mailbox = Mailbox::new(9, 9, 9);
        for class in CLASSES {
            for item in 0..5 {
                assert_eq!(mailbox.push(class, item), Ok(()));
            }
        }
        for expected in [&[0, 1][..], &[2, 3], &[4]] {
            let arrived = match patience {
                None => mailbox.receive(2),
                Some(patience) => mailbox.receive_within(2, patience),
            };
            let Arrived { peers, clients, inspections } = arrived.expect("it is open");
            assert_eq!([&peers, &clients, &inspections], [expected; 3]);
        }
    }
}

#[test]
fn all_of_one_class_can_be_taken_without_a_wait_and_the_others_stay() {
    let mailbox = Mailbox::new(9, 9, 9);
    assert_eq!(mailbox.take(Class::Peer), [] as [u32; 0]);
    for class in CLASSES {
        for item in 0..3 {
            assert_eq!(mailbox.push(class, item), Ok(()));
        }
    }
    assert_eq!(mailbox.take(Class::Client), [0, 1, 2]);
    let Arrived { peers, clients, inspections } = mailbox.receive(9).expect("it is open");
    assert_eq!((peers, clients, inspections), (vec![0, 1, 2], vec![], vec![0, 1, 2]));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a wait takes time")]
fn a_reader_that_waits_for_a_while_gets_nothing_after_it() {
    let (mailbox, begin) = (Mailbox::<u32>::new(1, 1, 1), Instant::now());
    for _ in 0..100 {
        let arrived = mailbox.receive_within(1, Duration::from_millis(1)).expect("it is open");
        assert_eq!(all(arrived), [] as [u32; 0]);
    }
    // A wait may end early, but not as a rule.
    assert!(begin.elapsed() > Duration::from_millis(50), "{:?}", begin.elapsed());
}

#[test]
fn a_closed_mailbox_refuses_and_still_gives_what_it_accepted() {
    let mailbox = Mailbox::new(1, 1, 1);
    assert!(!mailbox.is_closed());
    assert_eq!(mailbox.push(Class::Client, 1), Ok(()));
    mailbox.close();
    assert!(mailbox.is_closed());
    assert_eq!(mailbox.push(Class::Peer, 2), Err(Refused::Closed));
    assert_eq!(mailbox.dropped(), 0, "it was not full");
    assert_eq!(mailbox.receive(1).map(all), Some(vec![1]));
    assert_eq!(mailbox.receive(1), None);
    assert_eq!(mailbox.receive_within(1, LONG), None);
}

// ---- Two threads ------------------------------------------------------------------------------

/// Two threads hand an item to and fro. Each waits for the other in every round, so each round has
/// two chances to lose a wake-up.
#[test]
fn no_wake_up_is_lost_whatever_the_class_with_or_without_a_patience() {
    type Wait = fn(&Mailbox<u32>) -> Option<Arrived<u32>>;
    let waits: [Wait; 2] = [|it| it.receive(1), |it| it.receive_within(1, 10 * LONG)];
    for class in CLASSES {
        for wait in waits {
            ends(move || {
                let (there, back) = (Mailbox::new(1, 1, 1), Mailbox::new(1, 1, 1));
                // A wait may end early, with nothing.
                let next = |mailbox: &Mailbox<u32>| loop {
                    let items = all(wait(mailbox).expect("it is open"));
                    if let [item] = items[..] {
                        return item;
                    }
                };
                thread::scope(|scope| {
                    scope.spawn(|| {
                        for round in 0..ROUNDS {
                            assert_eq!(next(&there), round);
                            back.push(class, round).expect("there is room");
                        }
                    });
                    for round in 0..ROUNDS {
                        there.push(class, round).expect("there is room");
                        assert_eq!(next(&back), round);
                    }
                });
            });
        }
    }
}

#[test]
fn closing_wakes_a_reader_however_the_two_meet() {
    ends(|| {
        for round in 0..ROUNDS / 5 {
            let mailbox = Mailbox::<u32>::new(1, 1, 1);
            thread::scope(|scope| {
                let reader = scope.spawn(|| match round % 2 {
                    0 => mailbox.receive(1),
                    _ => mailbox.receive_within(1, 10 * LONG),
                });
                if round % 3 == 0 {
                    thread::yield_now();
                }
                mailbox.close();
                // A wait with a patience may end early, with nothing.
                let read = reader.join().expect("the reader does not panic").map(all);
                assert!(read.is_none() || read == Some(vec![]), "{read:?}");
            });
        }
    });
}

#[test]
fn nothing_is_lost_doubled_or_out_of_order_between_a_writer_and_a_reader() {
    ends(|| {
        let mailbox = Mailbox::new(8, 8, 8);
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let accepted = (0..ROUNDS).filter(|n| mailbox.push(Class::Client, *n).is_ok());
                let accepted: Vec<_> = accepted.collect();
                mailbox.close();
                accepted
            });
            let mut read = Vec::new();
            while let Some(arrived) = mailbox.receive(3) {
                let items = all(arrived);
                assert!((1..=3).contains(&items.len()), "{items:?}");
                read.extend(items);
            }
            let accepted = writer.join().expect("the writer does not panic");
            assert_eq!(read, accepted);
            assert_eq!(mailbox.dropped(), u64::from(ROUNDS) - accepted.len() as u64);
        });
    });
}

// ---- Turns at the socket ------------------------------------------------------------------------

/// The loop's turn must bring what was in the socket before it, also what the other thread had in its
/// hand. Here the other thread never rests.
#[test]
fn after_the_loops_turn_all_that_came_before_it_is_in_the_mailbox_in_its_order() {
    ends(|| {
        let (turns, mailbox) = (Turns::new(()), Mailbox::new(1 << 20, 0, 0));
        let socket = Arc::new(Mutex::new(VecDeque::new()));
        let step = |(): &mut ()| {
            let taken = socket.lock().expect("nobody panics").pop_front();
            let Some(datagram) = taken else { return ControlFlow::Break(()) };
            mailbox.push(Class::Peer, datagram).expect("there is room");
            ControlFlow::Continue(())
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                while !mailbox.is_closed() {
                    let _ = turns.fill(2, step);
                }
            });
            let mut heard = 0;
            for round in 0..ROUNDS {
                socket.lock().expect("nobody panics").extend([2 * round, 2 * round + 1]);
                let _ = turns.drain(usize::MAX, step);
                for datagram in mailbox.take(Class::Peer) {
                    assert_eq!(datagram, heard, "in order");
                    heard += 1;
                }
                assert_eq!(heard, 2 * round + 2, "all that came before");
            }
            mailbox.close();
        });
    });
}

#[test]
fn a_turn_ends_at_its_bound_and_says_what_broke_it() {
    let turns = Turns::new(0_u32);
    let step = |taken: &mut u32| {
        *taken += 1;
        if *taken == 5 { ControlFlow::Break("five") } else { ControlFlow::Continue(()) }
    };
    assert_eq!(turns.fill(3, step), ControlFlow::Continue(()));
    assert_eq!(turns.drain(9, step), ControlFlow::Break("five"));
    assert_eq!(turns.drain(0, step), ControlFlow::Continue(()));
    let six = turns.fill(1, |taken| {
        *taken += 1;
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(six, ControlFlow::Continue(()));
    assert_eq!(turns.fill(1, |taken| ControlFlow::Break(*taken)), ControlFlow::Break(6));
}

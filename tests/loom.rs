//! Every interleaving of the hand-over from the receiving thread to the node's, and of their turns at
//! the socket (loom). Run with
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --no-default-features --test loom --target-dir target-loom`

#![cfg(loom)]

use checked_raft::runtime::mailbox::{Arrived, Class, Mailbox, Refused};
use checked_raft::runtime::turns::Turns;
use loom::sync::{Arc, Mutex};
use loom::thread;
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// A mailbox for so many items of peers, and of no others.
fn mailbox(capacity: usize) -> Arc<Mailbox<u32>> {
    Arc::new(Mailbox::new(capacity, 0, 0))
}

/// What the reader gets until the mailbox is closed and empty, `max` at a time.
fn read_all(mailbox: &Mailbox<u32>, max: usize) -> Vec<u32> {
    let mut read = Vec::new();
    while let Some(Arrived { peers: items, .. }) = mailbox.receive(max) {
        assert!(!items.is_empty(), "a receive without a deadline brings something");
        assert!(items.len() <= max, "a receive brings no more than was asked for");
        read.extend(items);
    }
    read
}

#[test]
fn below_capacity_nothing_is_lost_or_duplicated_and_order_is_kept() {
    loom::model(|| {
        let mailbox = mailbox(3);
        let writer = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || {
                for item in 0..3 {
                    assert_eq!(mailbox.push(Class::Peer, item), Ok(()));
                }
                mailbox.close();
            })
        };
        assert_eq!(read_all(&mailbox, 2), [0, 1, 2]);
        writer.join().expect("the writer ends");
        assert_eq!(mailbox.dropped(), 0);
    });
}

#[test]
fn two_writers_lose_nothing() {
    loom::model(|| {
        let mailbox = mailbox(2);
        let writers = [1, 2].map(|item| {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || assert_eq!(mailbox.push(Class::Peer, item), Ok(())))
        });
        let mut read = Vec::new();
        while read.len() < 2 {
            read.extend(mailbox.receive(2).expect("it is open").peers);
        }
        for writer in writers {
            writer.join().expect("the writer ends");
        }
        assert!(read == [1, 2] || read == [2, 1], "{read:?}");
    });
}

#[test]
fn when_full_the_newest_is_refused_and_counted_and_the_rest_arrives_in_order() {
    loom::model(|| {
        let mailbox = mailbox(1);
        let writer = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || {
                let accepted =
                    (0..3).filter(|item| mailbox.push(Class::Peer, *item).is_ok()).collect();
                mailbox.close();
                accepted
            })
        };
        let read = read_all(&mailbox, 2);
        let accepted: Vec<u32> = writer.join().expect("the writer ends");
        assert_eq!(read, accepted);
        assert_eq!(accepted.first(), Some(&0), "an empty mailbox takes an item");
        assert_eq!(mailbox.dropped() as usize, 3 - accepted.len());
    });
}

#[test]
fn a_full_mailbox_nobody_reads_refuses_every_further_item() {
    loom::model(|| {
        let mailbox = mailbox(1);
        let writers = [1, 2].map(|item| {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || mailbox.push(Class::Peer, item))
        });
        let results = writers.map(|writer| writer.join().expect("the writer ends"));
        assert!(results.contains(&Ok(())) && results.contains(&Err(Refused::Full)));
        assert_eq!(mailbox.dropped(), 1);
    });
}

#[test]
fn close_wakes_a_waiting_reader_and_ends_the_writing() {
    loom::model(|| {
        let mailbox = mailbox(1);
        let reader = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || mailbox.receive(1))
        };
        mailbox.close();
        assert_eq!(reader.join().expect("the reader is woken"), None);
        assert_eq!(mailbox.push(Class::Peer, 1), Err(Refused::Closed));
    });
}

#[test]
fn close_wins_over_a_concurrent_push_or_its_item_is_still_read() {
    loom::model(|| {
        let mailbox = mailbox(1);
        let writer = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || mailbox.push(Class::Peer, 7))
        };
        let closer = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || mailbox.close())
        };
        let read = read_all(&mailbox, 1);
        closer.join().expect("the closer ends");
        match writer.join().expect("the writer ends") {
            Ok(()) => assert_eq!(read, [7]),
            Err(refused) => assert_eq!((refused, read), (Refused::Closed, vec![])),
        }
    });
}

#[test]
fn an_item_of_any_class_wakes_the_reader() {
    for class in [Class::Peer, Class::Client, Class::Inspection] {
        loom::model(move || {
            let mailbox = Arc::new(Mailbox::new(1, 1, 1));
            let writer = {
                let mailbox = Arc::clone(&mailbox);
                thread::spawn(move || mailbox.push(class, 7))
            };
            let Arrived { peers, clients, inspections } = mailbox.receive(1).expect("it is open");
            assert_eq!([peers, clients, inspections].concat(), [7]);
            assert_eq!(writer.join().expect("the writer ends"), Ok(()));
        });
    }
}

/// A socket as its two users see it: it gives the oldest datagram or says that there is none.
type Socket = Arc<Mutex<VecDeque<u32>>>;

/// Moves one datagram into the mailbox, as the receiving thread and the loop do.
fn step(socket: &Socket, mailbox: &Mailbox<u32>) -> ControlFlow<()> {
    let taken = socket.lock().expect("nobody panics").pop_front();
    let Some(datagram) = taken else { return ControlFlow::Break(()) };
    assert_eq!(mailbox.push(Class::Peer, datagram), Ok(()));
    ControlFlow::Continue(())
}

#[test]
fn after_the_loops_turn_whatever_was_in_the_socket_is_in_the_mailbox_in_its_order() {
    loom::model(|| {
        let (turns, mailbox) = (Arc::new(Turns::new(())), mailbox(3));
        let socket: Socket = Arc::new(Mutex::new(VecDeque::from([1, 2])));
        let receiving = {
            let (turns, mailbox) = (Arc::clone(&turns), Arc::clone(&mailbox));
            let socket = Arc::clone(&socket);
            thread::spawn(move || turns.fill(1, |()| step(&socket, &mailbox)))
        };
        // A datagram of now may be in the socket or in the mailbox, but what came before may not be.
        let _ = turns.drain(2, |()| step(&socket, &mailbox));
        assert_eq!(mailbox.take(Class::Peer), [1, 2]);
        let _ = receiving.join().expect("the receiving thread ends");
    });
}

#[test]
fn both_threads_get_their_turns_to_the_end() {
    loom::model(|| {
        let (turns, mailbox) = (Arc::new(Turns::new(())), mailbox(3));
        let socket: Socket = Arc::new(Mutex::new(VecDeque::from([1, 2, 3])));
        let receiving = {
            let (turns, mailbox) = (Arc::clone(&turns), Arc::clone(&mailbox));
            let socket = Arc::clone(&socket);
            thread::spawn(
                move || while turns.fill(2, |()| step(&socket, &mailbox)).is_continue() {},
            )
        };
        let _ = turns.drain(1, |()| step(&socket, &mailbox));
        receiving.join().expect("the receiving thread ends");
        assert_eq!(mailbox.take(Class::Peer), [1, 2, 3]);
    });
}

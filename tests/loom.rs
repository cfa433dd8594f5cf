//! Every interleaving of the hand-over from the receiving thread to the node's (loom). Run with
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --test loom --target-dir target-loom`

#![cfg(loom)]

use checked_raft::runtime::mailbox::{Mailbox, Refused};
use loom::sync::Arc;
use loom::thread;

/// What the reader gets until the mailbox is closed and empty, `max` at a time.
fn read_all(mailbox: &Mailbox<u32>, max: usize) -> Vec<u32> {
    let mut read = Vec::new();
    while let Some(items) = mailbox.receive(max) {
        assert!(!items.is_empty(), "a receive without a deadline brings something");
        assert!(items.len() <= max, "a receive brings no more than was asked for");
        read.extend(items);
    }
    read
}

#[test]
fn below_capacity_nothing_is_lost_or_duplicated_and_order_is_kept() {
    loom::model(|| {
        let mailbox = Arc::new(Mailbox::new(3));
        let writer = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || {
                for item in 0..3 {
                    assert_eq!(mailbox.push(item), Ok(()));
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
        let mailbox = Arc::new(Mailbox::new(2));
        let writers = [1, 2].map(|item| {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || assert_eq!(mailbox.push(item), Ok(())))
        });
        let mut read = Vec::new();
        while read.len() < 2 {
            read.extend(mailbox.receive(2).expect("it is open"));
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
        let mailbox = Arc::new(Mailbox::new(1));
        let writer = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || {
                let accepted = (0..3).filter(|item| mailbox.push(*item).is_ok()).collect();
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
        let mailbox = Arc::new(Mailbox::new(1));
        let writers = [1, 2].map(|item| {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || mailbox.push(item))
        });
        let results = writers.map(|writer| writer.join().expect("the writer ends"));
        assert!(results.contains(&Ok(())) && results.contains(&Err(Refused::Full)));
        assert_eq!(mailbox.dropped(), 1);
    });
}

#[test]
fn close_wakes_a_waiting_reader_and_ends_the_writing() {
    loom::model(|| {
        let mailbox = Arc::new(Mailbox::<u32>::new(1));
        let reader = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || mailbox.receive(1))
        };
        mailbox.close();
        assert_eq!(reader.join().expect("the reader is woken"), None);
        assert_eq!(mailbox.push(1), Err(Refused::Closed));
    });
}

#[test]
fn close_wins_over_a_concurrent_push_or_its_item_is_still_read() {
    loom::model(|| {
        let mailbox = Arc::new(Mailbox::new(1));
        let writer = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || mailbox.push(7))
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

//! The catalogue, exhausted: its exact counts, no branch of a handler unseen, and every message and
//! every saved value that is reachable in it through the real wire and disk formats.

use actorcheck::{Engine, Limits, Output, PropertyResult, Tally, Verdict, run};
use checked_raft::durable::Durable;
use checked_raft::kv::Kv;
use checked_raft::models::catalogue::{catalogue, find};
use checked_raft::models::coverage::LABELS;
use checked_raft::models::process::Process;
use checked_raft::models::{Effort, Spec};
use checked_raft::raft::{Message, Persistent, Retry};
use checked_raft::runtime::store::Life;
use checked_raft::runtime::wire::{self, Body, Datagram};
use siphasher::sip128::{Hasher128, SipHasher13};
use stateright::actor::Command;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

const LIMITS: Limits = Limits::unlimited(2);

/// What was sent and saved, each value once.
#[derive(Default)]
struct Seen {
    messages: BTreeMap<u128, Message>,
    saves: BTreeMap<u128, (Persistent<Kv>, Persistent<Kv>)>,
}

fn fingerprint(value: &impl Hash) -> u128 {
    let mut hasher = SipHasher13::new();
    value.hash(&mut hasher);
    hasher.finish128().as_u128()
}

impl Seen {
    fn step(&mut self, step: &Output<'_, Process>) {
        for command in step.out {
            match command {
                Command::Send(_, message) => {
                    let known = self.messages.entry(fingerprint(message));
                    known.or_insert_with(|| message.clone());
                }
                Command::Save(new) => {
                    let empty = Persistent::default();
                    let old = step.before.storage.unwrap_or(&empty);
                    let known = self.saves.entry(fingerprint(&(old, new)));
                    known.or_insert_with(|| (old.clone(), new.clone()));
                }
                _ => {}
            }
        }
    }

    /// A message survives its datagram, a save the difference that the store writes, and each has
    /// one encoding.
    fn judge(&self) {
        let mut encodings = BTreeSet::new();
        for message in self.messages.values() {
            let datagram = Datagram {
                cluster: 1,
                sender: 2,
                life: Life::default(),
                saves: 0,
                addressee: 4,
                body: match message {
                    Message::ClientRequest(_) => Body::Request(message.clone()),
                    Message::ClientResponse(_) => Body::Reply(message.clone()),
                    _ => Body::Peer(message.clone()),
                },
            };
            let bytes = wire::encode(&datagram).expect("it fits");
            assert!(bytes.len() <= wire::MAX_DATAGRAM);
            let decoded = wire::decode::<Message>(&bytes, |_| Ok(())).expect("it decodes");
            assert_eq!(decoded, datagram);
            assert_eq!(wire::encode(&decoded).expect("it fits"), bytes);
            assert!(encodings.insert(bytes), "{message:?} is encoded like another message");
        }
        for (old, new) in self.saves.values() {
            let bytes = postcard::to_stdvec(&old.changes(new)).expect("changes encode");
            let (changes, rest) = postcard::take_from_bytes(&bytes).expect("they decode");
            assert!(rest.is_empty());
            let mut restored = old.clone();
            restored.apply(changes).expect("they apply");
            assert_eq!(restored, *new, "from {old:?}");
            let image = postcard::to_stdvec(new).expect("a value encodes");
            assert_eq!(postcard::from_bytes::<Persistent<Kv>>(&image).expect("it decodes"), *new);
        }
    }
}

/// A network that loses every AppendEntries of two entries stops a leader that repeats both with every
/// heartbeat: LDR-6 is what `fragments` shows to be enough.
#[test]
fn what_is_not_halved_never_gets_through() {
    let spec = find("fragments").expect("in the catalogue");
    let spec = Spec { retry: Retry::EveryHeartbeat, ..spec };
    let stop = AtomicBool::new(false);
    let report = run(spec.cluster(), Engine::Antichain, &LIMITS, &stop, &mut |_| {});
    assert_eq!(report.violated(), ["Recoverability"]);
}

#[test]
fn the_catalogue_is_exhausted_with_its_exact_counts_and_nothing_unseen() {
    let mut labels: BTreeMap<&str, u64> = LABELS.iter().map(|label| (*label, 0)).collect();
    for spec in catalogue().into_iter().filter(|spec| spec.effort != Effort::Deep) {
        let mut cluster = spec.cluster();
        cluster.tally = Arc::new(Tally::new(cluster.bounds.len(), cluster.labels));
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (label, collector) = (Arc::clone(&cluster.label), Arc::clone(&seen));
        cluster.label = Arc::new(move |step, labels| {
            label(step, labels);
            if !step.out.is_empty() {
                collector.lock().unwrap().step(step);
            }
        });
        let report = run(cluster, Engine::Antichain, &LIMITS, &AtomicBool::new(false), &mut |_| {});
        assert_eq!(report.violated(), Vec::<&str>::new(), "{}", spec.name);
        assert_eq!(report.verdict, Verdict::Exhaustive, "{}", spec.name);
        let tuples = report.tuples.expect("the antichain engine counts tuples").tuples;
        assert_eq!((tuples, report.states), spec.tuples, "{}: tuples, maximal states", spec.name);
        for property in &report.properties {
            let result = property.result;
            assert_ne!(result, PropertyResult::Unwitnessed, "{}: {}", spec.name, property.name);
        }
        for (label, count) in report.labels {
            *labels.get_mut(label).expect("a known label") += count;
        }
        let seen = seen.lock().unwrap();
        println!("{}: {} messages, {} saves", spec.name, seen.messages.len(), seen.saves.len());
        assert!(!seen.messages.is_empty() && !seen.saves.is_empty());
        seen.judge();
    }
    let unseen: Vec<_> = labels.iter().filter(|(_, count)| **count == 0).collect();
    assert!(unseen.is_empty(), "no model ever shows {unseen:?}");
}

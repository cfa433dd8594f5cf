//! A cluster on disks that are slow: it must elect a leader and serve, not stand for election for ever.

mod common;

use checked_raft::client::{KvClient, Options};
use checked_raft::kv::Kv;
use checked_raft::raft::{Parameters, Persistent};
use checked_raft::runtime::store::{Census, MemoryStore, Store, StoreError};
use common::LONG;
use common::cluster::Cluster;
use common::proxy::Faults;
use std::thread;
use std::time::Duration;

/// A store whose every save takes so long.
struct SlowStore {
    inner: MemoryStore<Persistent<Kv>>,
    save: Duration,
}

impl Store<Persistent<Kv>> for SlowStore {
    fn value(&self) -> &Persistent<Kv> {
        self.inner.value()
    }

    #[expect(clippy::disallowed_methods, reason = "a disk that takes its time")]
    fn save(&mut self, next: &Persistent<Kv>) -> Result<(), StoreError> {
        thread::sleep(self.save);
        self.inner.save(next)
    }

    fn saves(&self) -> u64 {
        self.inner.saves()
    }

    fn census(&self) -> &Census {
        self.inner.census()
    }

    #[expect(clippy::disallowed_methods, reason = "a disk that takes its time")]
    fn save_census(&mut self, next: &Census) -> Result<(), StoreError> {
        thread::sleep(self.save);
        self.inner.save_census(next)
    }
}

/// Three servers, each save of which takes so long, acknowledge writes and answer a read.
fn serves(save: Duration, configure: impl FnOnce(&mut Parameters)) {
    let mut cluster = Cluster::<Kv>::new(3, 1, Faults::NONE, configure);
    for server in 1..=3 {
        let store = SlowStore { inner: MemoryStore::default(), save };
        cluster.start(server, u128::from(server), store);
    }
    cluster.leader();
    let options = Options { timeout: LONG * 2, ..Options::default() };
    let mut client = KvClient::new(cluster.client(options).expect("a server answers"));
    for value in 0..5_u8 {
        client.put(&b"key"[..], vec![value]).expect("it is acknowledged");
    }
    assert_eq!(client.get(&b"key"[..]).expect("it is answered"), Some(vec![4].into()));
}

#[test]
fn saves_of_100_ms_serve_with_the_default_timeouts() {
    serves(Duration::from_millis(100), |_| {});
}

#[test]
fn saves_of_500_ms_serve_with_timeouts_of_four_to_eight_times_as_much() {
    serves(Duration::from_millis(500), |parameters| {
        parameters.election_timeout = Duration::from_secs(2)..Duration::from_secs(4);
    });
}

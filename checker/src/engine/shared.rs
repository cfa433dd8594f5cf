//! The state that the threads of a search share: the knowledge about handlers, the tuples that were reached,
//! and the tuples that wait.

use super::ids::{Number, ShardId, TupleId};
use super::panics::{self, Held};
use super::sets::Sets;
use super::store::Shard;
use super::tables::Tables;
use super::tuple::TupleBuf;
use super::worker::{Remembered, Task, Worker};
use crate::view::{Checkable, Ghostly};
use crate::world::World;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, RwLock};

/// The number of shards of the store; it is a power of two.
const SHARDS: usize = 256;
/// The number of tuples that a thread takes at a time.
const BATCH: usize = 32;

/// The state that all threads share.
pub(super) struct Shared<'w, A: Checkable, G> {
    pub(super) world: &'w World<A, G>,
    pub(super) tables: RwLock<Tables<'w, A, G>>,
    pub(super) sets: Sets,
    pub(super) shards: Vec<Mutex<Shard>>,
    pub(super) queue: Mutex<Queue>,
    pub(super) wake: Condvar,
    /// The properties that are violated, as bits: properties of states, and then of steps.
    pub(super) violated: AtomicU64,
    pub(super) at_violation: AtViolation,
    /// The `sometimes` properties that have no witness, as bits.
    pub(super) unwitnessed: AtomicU64,
    pub(super) stop: AtomicBool,
    pub(super) transitions: AtomicU64,
    pub(super) expanded: AtomicU64,
    pub(super) cuts: Vec<AtomicU64>,
    /// The knowledge of threads that have ended, for threads that go on. It holds as long as sets keep their
    /// numbers.
    remembered: Mutex<Vec<Remembered>>,
}

/// What happens at a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AtViolation {
    /// The search ends.
    EndSearch,
    /// The search goes on, but not beyond a step that violates a property.
    EndPath,
    /// The search goes on everywhere.
    GoOn,
}

/// Tuples to expand, lowest rank first.
#[derive(Default)]
pub(super) struct Queue {
    waiting: BTreeMap<u64, Vec<(ShardId, TupleId)>>,
    /// The number of threads that may yet add tuples.
    pub(super) busy: usize,
}

impl<'w, A: Checkable, G: Ghostly> Shared<'w, A, G> {
    /// A state in which nothing is reached yet.
    pub(super) fn new(world: &'w World<A, G>, tables: Tables<'w, A, G>) -> Self {
        let sometimes = world.sometimes.len();
        Self {
            world,
            tables: RwLock::new(tables),
            sets: Sets::new(world.actors.actors.len()),
            shards: Vec::new(),
            queue: Mutex::new(Queue::default()),
            wake: Condvar::new(),
            violated: AtomicU64::new(0),
            at_violation: AtViolation::EndSearch,
            unwitnessed: AtomicU64::new((1 << sometimes) - 1),
            stop: AtomicBool::new(false),
            transitions: AtomicU64::new(0),
            expanded: AtomicU64::new(0),
            cuts: world.bounds.iter().map(|_| AtomicU64::new(0)).collect(),
            remembered: Mutex::new(Vec::new()),
        }
    }

    /// The knowledge of a thread that has ended, if some is left.
    pub(super) fn remembered(&self) -> Option<Remembered> {
        self.remembered.lock().held().pop()
    }

    /// Leaves the knowledge of a thread to another one.
    pub(super) fn remember(&self, known: Remembered) {
        self.remembered.lock().held().push(known);
    }

    /// Notes violated properties of states.
    pub(super) fn violate(&self, bits: u64) {
        if bits == 0 {
            return;
        }
        self.violated.fetch_or(bits, Ordering::Relaxed);
        if self.at_violation == AtViolation::EndSearch {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    /// The properties that have been violated since the last call.
    pub(super) fn take_violated(&self) -> u64 {
        self.violated.swap(0, Ordering::Relaxed)
    }

    /// Notes violated properties of steps.
    pub(super) fn violate_steps(&self, bits: u32) {
        self.violate(u64::from(bits) << self.world.always.len());
    }

    /// Begins again: no tuple is known to be reachable.
    pub(super) fn clear(&mut self) {
        let actors = self.world.actors.actors.len();
        self.sets = Sets::new(actors);
        self.remembered.get_mut().expect("no thread runs").clear();
        self.shards = (0..SHARDS).map(|_| Mutex::new(Shard::new(actors))).collect();
        *self.queue.get_mut().expect("no thread runs") = Queue::default();
        self.stop.store(false, Ordering::Relaxed);
        for count in [&self.transitions, &self.expanded].into_iter().chain(&self.cuts) {
            count.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn put(&self, tasks: &mut Vec<Task>) {
        if tasks.is_empty() {
            return;
        }
        let mut queue = self.queue.lock().held();
        for Task { rank, shard, tuple } in tasks.drain(..) {
            queue.waiting.entry(rank).or_default().push((shard, tuple));
        }
        drop(queue);
        self.wake.notify_all();
    }

    /// Waits for tuples and takes some; `None` when there will be no more.
    fn get(&self) -> Option<Vec<Task>> {
        let mut queue = self.queue.lock().held();
        queue.busy -= 1;
        loop {
            if self.must_stop() || (queue.waiting.is_empty() && queue.busy == 0) {
                self.wake.notify_all();
                return None;
            }
            let mut tasks = Vec::new();
            while tasks.len() < BATCH
                && let Some(mut lowest) = queue.waiting.first_entry()
            {
                let rank = *lowest.key();
                while tasks.len() < BATCH
                    && let Some((shard, tuple)) = lowest.get_mut().pop()
                {
                    tasks.push(Task { rank, shard, tuple });
                }
                if lowest.get().is_empty() {
                    lowest.remove();
                }
            }
            if !tasks.is_empty() {
                queue.busy += 1;
                return Some(tasks);
            }
            queue = self.wake.wait(queue).held();
        }
    }

    pub(super) fn work(&self, mut worker: Worker<'_, '_, A, G>) {
        let (mut tuple, mut sets) = (TupleBuf::default(), Vec::new());
        while let Some(tasks) = self.get() {
            for task in tasks {
                if self.must_stop() {
                    worker.tasks.push(task); // it waits for another round
                } else {
                    worker.expand(task, &mut tuple, &mut sets);
                }
            }
            self.put(&mut worker.tasks);
            self.add_counts(&mut worker);
        }
        worker.end();
    }

    pub(super) fn add_counts(&self, worker: &mut Worker<'_, '_, A, G>) {
        self.transitions.fetch_add(std::mem::take(&mut worker.transitions), Ordering::Relaxed);
        self.expanded.fetch_add(std::mem::take(&mut worker.expanded), Ordering::Relaxed);
        for (count, more) in self.cuts.iter().zip(&mut worker.cuts) {
            count.fetch_add(std::mem::take(more), Ordering::Relaxed);
        }
    }

    pub(super) fn count(&self, of: impl Fn(&Shard) -> u64) -> u64 {
        self.shards.iter().map(|shard| of(&shard.lock().held())).sum()
    }

    /// Lets each thread work on its share of the shards, which come with their numbers. Returns the results
    /// of the threads.
    pub(super) fn share_out<T: Send>(
        &self,
        threads: usize,
        work: impl Fn(&mut dyn Iterator<Item = (ShardId, &Mutex<Shard>)>) -> T + Sync,
    ) -> Vec<T> {
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let take = || {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let shard = self.shards.get(number);
            shard
                .filter(|_| !stop.load(Ordering::Relaxed))
                .map(|shard| (ShardId::of(number), shard))
        };
        std::thread::scope(|scope| {
            let spawn = |_| {
                scope.spawn(|| {
                    // A panic of one thread must end the others, too.
                    let _guard = StopOnPanic(&stop, &self.wake);
                    work(&mut std::iter::from_fn(take))
                })
            };
            let threads: Vec<_> = (0..threads.max(1)).map(spawn).collect();
            panics::all(threads.into_iter().map(std::thread::ScopedJoinHandle::join))
        })
    }

    /// Whether the round must end.
    pub(super) fn must_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Ends the round.
    pub(super) fn stop_all(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wake.notify_all();
    }
}

/// Ends the search when the thread that holds this guard panics.
pub(super) struct StopOnPanic<'a>(pub(super) &'a AtomicBool, pub(super) &'a Condvar);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
            self.1.notify_all();
        }
    }
}

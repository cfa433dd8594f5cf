//! Expands again the tuples whose expansion rests on a refuted hypothesis.
//!
//! Section 3 of `PROOF.md` says which tuples these are. A limit may end a repair. Then the rest of the repair
//! waits in the search, and a checkpoint keeps it.

use super::Search;
use crate::engine::ids::{Number, ShardId};
use crate::engine::panics::Held;
use crate::engine::reduction::{Concerned, Relevance, Repair};
use crate::engine::worker::Worker;
use crate::view::{Checkable, Ghostly};

impl<A: Checkable, G: Ghostly> Search<'_, '_, A, G> {
    /// Notes that a hypothesis is refuted, and that the tuples that this concerns must be expanded again.
    pub(super) fn must_repair(&mut self, concerned: Concerned) {
        let shards = ShardId::first(self.shared.shards.len()).collect();
        self.repair = Some(Repair { concerned, shards });
    }

    /// Does the repair that is still to do, if there is one, under a better hypothesis. It queues every tuple
    /// again whose expansion rests on the refuted hypothesis, with names given anew. At the end it adds the
    /// first state again.
    ///
    /// # Errors
    /// The limit that was reached before the repair was done.
    pub(super) fn repair(&mut self, better: &Relevance) -> Result<(), &'static str> {
        let Some(mut repair) = self.repair.take() else { return Ok(()) };
        let began = self.start.elapsed();
        let Repair { concerned, shards: left } = &repair;
        let done = self.shared.share_out(self.limits.threads, |shards| {
            let mut worker = Worker::new(&self.shared, better, None);
            let (mut done, mut ended) = (Vec::new(), None);
            for (number, shard) in shards.filter(|(number, _)| left.contains(number)) {
                ended = self.lookout.reached();
                if ended.is_some() {
                    break;
                }
                let mut shard = shard.lock().held();
                let tasks = shard.expand_again(
                    number,
                    |tuple| concerned.has(tuple),
                    |who, local, set| worker.name_again(who, local, set),
                );
                worker.tasks.extend(tasks);
                done.push(number);
            }
            worker.end();
            (done, ended)
        });
        let ended = done.iter().find_map(|(_, ended)| *ended);
        if let Some(reason) = ended {
            done.iter().flat_map(|(done, _)| done).for_each(|done| {
                repair.shards.remove(done);
            });
            self.repair = Some(repair);
            return Err(reason);
        }
        let mut worker = Worker::new(&self.shared, better, None);
        worker.start(self.first.tuple(), &self.messages);
        worker.end();
        self.repair_took = self.start.elapsed().saturating_sub(began);
        Ok(())
    }
}

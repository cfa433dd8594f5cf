//! The reductions as one thread makes them.
//!
//! A [`Reducer`] remembers what it has reduced and how, so that it seldom computes anything twice. Most of
//! that holds under its hypothesis only. Its [`Renamings`] hold under every hypothesis, and another thread
//! takes them up.

use super::canon::Canon;
use super::normal::{Normal, Renamed};
use super::relevance::Relevance;
use crate::engine::bits::Messages;
use crate::engine::ids::{LocalId, MaskId, Number, PermutationId, SetId, Slot};
use crate::engine::intern::Interned;
use crate::engine::panics::Held;
use crate::engine::sets::SetCache;
use crate::engine::tables::{Memo, Tables};
use crate::engine::tuple::{Tuple, TupleBuf};
use crate::view::{Checkable, Ghostly};
use std::sync::RwLock;

/// The reductions of one thread under one hypothesis.
pub(in crate::engine) struct Reducer<'r> {
    pub(super) hypothesis: &'r Relevance,
    pub(super) canon: Canon,
    renamed: Renamed,
    normal: Normal,
    /// The conditional messages that matter because of another actor, as a number in `masks`.
    because: Memo<(Slot, Slot, LocalId, LocalId), MaskId>,
    masks: Interned<MaskId, Messages>,
    mask: Messages,
}

/// The renamings that one thread knows. They hold under every hypothesis.
pub(in crate::engine) struct Renamings {
    canon: Canon,
    renamed: Renamed,
}

/// The state that stands for another one, by numbers.
#[derive(Default)]
pub(in crate::engine) struct Standing {
    /// The tuple of the state.
    pub(in crate::engine) tuple: TupleBuf,
    /// The number of tuples in the orbit of this tuple.
    pub(in crate::engine) orbit: u64,
    /// The actors' sets, by the names of their messages. If several renamings lead to the tuple, the sets
    /// under each of them follow one another.
    pub(in crate::engine) names: Vec<SetId>,
    /// The sets as they are.
    pub(in crate::engine) kept: Vec<SetId>,
}

impl Renamings {
    /// The renamings that the tables know.
    pub(in crate::engine) fn of<A: Checkable, G: Ghostly>(tables: &Tables<'_, A, G>) -> Self {
        let actors = tables.actors.len();
        let mut canon = Canon::new(&tables.group, actors);
        canon.learn(tables);
        Self { renamed: Renamed::new(canon.size(), actors), canon }
    }
}

impl<'r> Reducer<'r> {
    /// A reducer for so many actors that begins with renamings that are known.
    pub(in crate::engine) fn new(
        hypothesis: &'r Relevance,
        renamings: Renamings,
        actors: usize,
    ) -> Self {
        let mut masks = Interned::new();
        masks.intern(Messages::default());
        let Renamings { canon, renamed } = renamings;
        Self {
            hypothesis,
            canon,
            renamed,
            normal: Normal::new(actors),
            because: Memo::default(),
            masks,
            mask: Messages::default(),
        }
    }

    /// The renamings, for another reducer.
    pub(in crate::engine) fn renamings(self) -> Renamings {
        Renamings { canon: self.canon, renamed: self.renamed }
    }

    /// Leaves out the messages that do not matter in a tuple.
    pub(in crate::engine) fn leave_out(&mut self, tuple: Tuple<'_>, messages: &mut [Messages]) {
        for ((who, local), messages) in tuple.locals().zip(messages) {
            let Some((hard, conditional)) = self.hypothesis.masks(who, local) else { continue };
            let mut words = messages.words().iter().enumerate();
            let asks = words.any(|(n, word)| word & conditional.word(n) != 0);
            self.mask.copy(hard.words());
            if asks {
                for (other, at) in tuple.locals() {
                    let mask = self.because_of((who, local), (other, at));
                    self.mask.merge(self.masks.get(mask));
                }
            }
            let unknown = self.hypothesis.unknown(who).index();
            let (whole, part) = (unknown / 64, !0 << (unknown % 64));
            messages.map(|n, word| {
                let unknown = match n.cmp(&whole) {
                    std::cmp::Ordering::Less => 0,
                    std::cmp::Ordering::Equal => part,
                    std::cmp::Ordering::Greater => !0,
                };
                word & (self.mask.word(n) | unknown)
            });
        }
    }

    fn because_of(
        &mut self,
        (who, local): (Slot, LocalId),
        (other, at): (Slot, LocalId),
    ) -> MaskId {
        let memo = (who, other, local, at);
        if let Some(mask) = self.because.get(&memo) {
            return *mask;
        }
        let mask = self.masks.intern(self.hypothesis.because_of(who, local, other, at)).0;
        self.because.insert(memo, mask);
        mask
    }

    /// Finds the state that stands for the one of this tuple and these sets.
    pub(in crate::engine) fn find_standing<A: Checkable, G: Ghostly>(
        &mut self,
        reached: Tuple<'_>,
        numbers: &[SetId],
        sets: &mut SetCache<'_>,
        tables: &RwLock<Tables<'_, A, G>>,
        standing: &mut Standing,
    ) {
        standing.names.clear();
        standing.kept.clear();
        if !self.canon.is_trivial() {
            self.choose(reached, numbers, sets, tables, standing);
            return;
        }
        standing.tuple.copy(reached);
        standing.orbit = 1;
        for ((who, local), set) in reached.locals().zip(numbers) {
            let reduced = self.normal.reduced(self.hypothesis, sets, (who, local, *set));
            standing.kept.push(reduced.kept);
            standing.names.push(reduced.names);
        }
    }

    /// Finds the state that stands for another one where there are permutations.
    fn choose<A: Checkable, G: Ghostly>(
        &mut self,
        reached: Tuple<'_>,
        numbers: &[SetId],
        sets: &mut SetCache<'_>,
        tables: &RwLock<Tables<'_, A, G>>,
        standing: &mut Standing,
    ) {
        if !self.canon.knows(reached) {
            self.canon.learn(&tables.read().held());
        }
        let (least, chosen) = self.canon.least(reached);
        standing.tuple.copy(least);
        let chosen = chosen.to_vec();
        // As many permutations lead to the least tuple as leave it as it is.
        standing.orbit = (self.canon.size() / chosen.len()) as u64;
        let Standing { tuple, names, kept, .. } = standing;
        kept.resize(numbers.len(), SetId::of(0));
        for n in chosen {
            let at = names.len();
            names.resize(at + numbers.len(), SetId::of(0));
            for (who, set) in Slot::all().zip(numbers) {
                let renamed = self.renamed((n, who, *set), sets, tables);
                let to = self.canon.moves(n, who);
                let local = tuple.tuple().local(to);
                let reduced = self.normal.reduced(self.hypothesis, sets, (to, local, renamed));
                names[at + to.index()] = reduced.names;
                if at == 0 {
                    kept[to.index()] = reduced.kept;
                }
            }
        }
    }

    /// The number of a set, renamed by a permutation.
    fn renamed<A: Checkable, G: Ghostly>(
        &mut self,
        (n, who, set): (PermutationId, Slot, SetId),
        sets: &mut SetCache<'_>,
        tables: &RwLock<Tables<'_, A, G>>,
    ) -> SetId {
        if n == PermutationId::IDENTITY {
            return set;
        }
        if let Some(known) = self.renamed.get(n, who, set) {
            return known;
        }
        let mut messages = Messages::default();
        messages.copy(&sets.get(who, set));
        if !self.canon.knows_messages(who, &messages) {
            self.canon.learn(&tables.read().held());
        }
        let renamed = self.canon.rename_messages(n, who, &messages);
        let renamed = sets.number(self.canon.moves(n, who), &renamed);
        self.renamed.note(n, who, set, renamed);
        renamed
    }

    /// The names of a set of messages to an actor in a local state.
    pub(in crate::engine) fn names(
        &mut self,
        of: (Slot, LocalId, SetId),
        sets: &mut SetCache<'_>,
    ) -> SetId {
        self.normal.reduced(self.hypothesis, sets, of).names
    }
}

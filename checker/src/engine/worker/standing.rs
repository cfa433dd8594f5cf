//! The state that stands for another one: without the messages that do not matter, one of its orbit, and with
//! one of the messages that are one.

use super::{Scratch, Worker};
use crate::engine::bits::Messages;
use crate::engine::ids::{LocalId, MaskId, Number, PermutationId, SetId, Slot};
use crate::engine::panics::Held;
use crate::view::{Checkable, Ghostly};

impl<A: Checkable, G: Ghostly> Worker<'_, '_, A, G> {
    /// Leaves out the messages that do not matter.
    pub(super) fn filter(&mut self) {
        for who in Slot::first(self.actors) {
            let local = self.scratch.tuple.tuple().local(who);
            let Some((hard, conditional)) = self.relevance.masks(who, local) else { continue };
            let messages = &self.scratch.messages[who.index()];
            let mut words = messages.words().iter().enumerate();
            let asks = words.any(|(n, word)| word & conditional.word(n) != 0);
            self.scratch.mask.copy(hard.words());
            if asks {
                for other in Slot::first(self.actors) {
                    let mask = self.because_of(who, local, other);
                    self.scratch.mask.merge(self.masks.get(mask));
                }
            }
            let unknown = self.relevance.unknown(who).index();
            let (whole, part) = (unknown / 64, !0 << (unknown % 64));
            let mask = &self.scratch.mask;
            self.scratch.messages[who.index()].map(|n, word| {
                let unknown = match n.cmp(&whole) {
                    std::cmp::Ordering::Less => 0,
                    std::cmp::Ordering::Equal => part,
                    std::cmp::Ordering::Greater => !0,
                };
                word & (mask.word(n) | unknown)
            });
        }
    }

    fn because_of(&mut self, who: Slot, local: LocalId, other: Slot) -> MaskId {
        let at = self.scratch.tuple.tuple().local(other);
        let memo = (who, other, local, at);
        if let Some(mask) = self.because.get(&memo) {
            return *mask;
        }
        let mask = self.masks.intern(self.relevance.because_of(who, local, other, at)).0;
        self.because.insert(memo, mask);
        mask
    }

    /// Replaces the state in the scratch by the state that stands for it, and numbers its sets.
    pub(super) fn canonicalise(&mut self) {
        let mut numbers = std::mem::take(&mut self.scratch.numbers);
        numbers.clear();
        numbers.extend(Slot::first(self.actors).map(|who| self.number(who)));
        let Scratch { tuple, names, kept, reached, .. } = &mut self.scratch;
        reached.clone_from(tuple);
        names.clear();
        kept.clear();
        if self.canon.is_trivial() {
            for ((who, local), set) in tuple.tuple().locals().zip(&numbers) {
                let reduced =
                    self.normal.reduced(self.relevance, &mut self.sets, (who, local, *set));
                kept.push(reduced.kept);
                names.push(reduced.names);
            }
        } else {
            self.choose(&numbers);
        }
        self.scratch.numbers = numbers;
    }

    /// The number of the set of an actor's messages in the scratch. Most steps leave that set as it is.
    fn number(&mut self, who: Slot) -> SetId {
        let messages = &self.scratch.messages[who.index()];
        match self.scratch.from.get(who.index()) {
            Some(set) if self.sets.words(who, *set) == messages.trimmed() => *set,
            _ => self.sets.number(who, messages),
        }
    }

    /// Replaces the state in the scratch by the state that stands for it, where there are permutations.
    /// `numbers` are those of its sets.
    fn choose(&mut self, numbers: &[SetId]) {
        if !self.canon.knows(self.scratch.reached.tuple()) {
            self.canon.learn(&self.shared.tables.read().held());
        }
        let (least, chosen) = self.canon.least(self.scratch.reached.tuple());
        self.scratch.tuple.copy(least);
        let chosen = chosen.to_vec();
        for n in chosen {
            let at = self.scratch.names.len();
            self.scratch.names.resize(at + self.actors, SetId::of(0));
            self.scratch.kept.resize(self.actors, SetId::of(0));
            for (who, set) in Slot::all().zip(numbers) {
                let renamed = self.renamed(n, who, *set);
                let to = self.canon.moves(n, who);
                let local = self.scratch.tuple.tuple().local(to);
                let reduced =
                    self.normal.reduced(self.relevance, &mut self.sets, (to, local, renamed));
                self.scratch.names[at + to.index()] = reduced.names;
                if at == 0 {
                    self.scratch.kept[to.index()] = reduced.kept;
                }
            }
        }
    }

    /// The number of a set, renamed by a permutation.
    fn renamed(&mut self, n: PermutationId, who: Slot, set: SetId) -> SetId {
        if n == PermutationId::IDENTITY {
            return set;
        }
        if let Some(known) = self.renamed.get(n, who, set) {
            return known;
        }
        let mut messages = Messages::default();
        messages.copy(&self.sets.get(who, set));
        if !self.canon.knows_messages(who, &messages) {
            self.canon.learn(&self.shared.tables.read().held());
        }
        let renamed = self.canon.rename_messages(n, who, &messages);
        let renamed = self.sets.number(self.canon.moves(n, who), &renamed);
        self.renamed.note(n, who, set, renamed);
        renamed
    }

    /// Gives a set of messages to an actor in a local state its names anew.
    pub(in crate::engine) fn name_again(&mut self, who: Slot, local: LocalId, set: SetId) -> SetId {
        self.normal.reduced(self.relevance, &mut self.sets, (who, local, set)).names
    }
}

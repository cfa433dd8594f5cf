//! Judges bounds and properties of tuples, and remembers each verdict for the part of a tuple that it is
//! about.

use super::ids::{GhostId, LocalId, Number, Slot};
use super::panics::Held;
use super::shared::Shared;
use super::tables::{Memo, Tables};
use super::tuple::{Tuple, TupleBuf};
use crate::view::{Checkable, Ghostly, Local, View};
use crate::world::StatePredicate;
use stateright::actor::Id;
use std::sync::atomic::Ordering;

/// Judges tuples for one thread.
pub(super) struct Judge<'s, 'w, A: Checkable, G> {
    shared: &'s Shared<'w, A, G>,
    actors: usize,
    looks_at_views: bool,
    bounds_of_actors_only: bool,
    pub(super) verdicts: Verdicts,
}

/// With at most so many permutations, those of four actors, all images of a whole tuple are judged. The limit
/// is there because verdicts on whole tuples are not remembered, as those on parts are.
const FEW_PERMUTATIONS: usize = 24;

/// Verdicts on parts of tuples: the properties that a part breaks, as bits.
#[derive(Default)]
pub(super) struct Verdicts {
    actor: Memo<(Slot, LocalId), u64>,
    /// The verdict contains the first bound, too, that the actor with the ghost is outside of.
    actor_and_ghost: Memo<(Slot, LocalId, GhostId), (u64, Option<u8>)>,
    pair: Memo<(Slot, Slot, LocalId, LocalId), u64>,
    ghost: Memo<GhostId, u64>,
}

/// The values behind the numbers of a tuple.
pub(super) fn view<'a, A: Checkable, G: Ghostly>(
    tables: &'a Tables<'_, A, G>,
    tuple: Tuple<'_>,
) -> View<'a, A, G> {
    let actors = tables.actors.iter().zip(tuple.locals());
    let locals = actors.map(|(table, (_, local))| table.locals.get(local).view()).collect();
    View::new(locals, tables.ghosts.get(tuple.ghost()))
}

/// The positions of the verdicts that are false, as bits.
fn broken(verdicts: impl Iterator<Item = bool>) -> u64 {
    verdicts.enumerate().fold(0, |bits, (n, holds)| bits | u64::from(!holds) << n)
}

/// An actor and its local state by value.
fn value<'t, A: Checkable, G: Ghostly>(
    tables: &'t Tables<'_, A, G>,
    (who, local): (Slot, LocalId),
) -> (Id, Local<'t, A>) {
    (who.id(), tables.actors[who.index()].locals.get(local).view())
}

impl<'s, 'w, A: Checkable, G: Ghostly> Judge<'s, 'w, A, G> {
    /// A judge that begins with verdicts that are known.
    pub(super) fn new(shared: &'s Shared<'w, A, G>, verdicts: Verdicts) -> Self {
        let world = shared.world;
        let is_view = |holds: &StatePredicate<A, G>| matches!(holds, StatePredicate::View(_));
        Self {
            shared,
            actors: world.actors.actors.len(),
            looks_at_views: world.always.iter().any(|property| is_view(&property.holds)),
            bounds_of_actors_only: world
                .bounds
                .iter()
                .all(|bound| matches!(bound.within, StatePredicate::Actor(_))),
            verdicts,
        }
    }

    /// Judges a part of a tuple and all images of the part, and asserts that the verdicts are equal. If the
    /// part is a whole tuple and there are many permutations, only the images under permutations that
    /// generate the group are judged. `judge` gets the tables, the place of each actor with the image of its
    /// local state, and the image of the ghost.
    fn judge_alike<T: PartialEq>(
        &self,
        actors: &[Slot],
        tuple: Tuple<'_>,
        judge: impl Fn(&Tables<'w, A, G>, &[(Slot, LocalId)], GhostId) -> T,
    ) -> T {
        self.tables(|tables| {
            let ghost = tuple.ghost();
            let here: Vec<_> = actors.iter().map(|who| (*who, tuple.local(*who))).collect();
            let verdict = judge(tables, &here, ghost);
            let group = &tables.group;
            let all = actors.len() < self.actors || group.len() <= FEW_PERMUTATIONS;
            let few = if all { &[] } else { group.generators() };
            let images = group.others().filter(|_| all).chain(few.iter().copied());
            for n in images {
                let renamed = here.iter().map(|(who, local)| tables.local_image(n, *who, *local));
                let renamed: Vec<_> = renamed.collect();
                assert!(
                    judge(tables, &renamed, tables.ghost_image(n, ghost)) == verdict,
                    "properties and bounds must not tell apart actors that the world's `symmetry` \
                     calls interchangeable, and one of these does: {:?}",
                    self.shared.world.predicate_names()
                );
            }
            verdict
        })
    }

    fn tables<T>(&self, ask: impl FnOnce(&Tables<'w, A, G>) -> T) -> T {
        ask(&self.shared.tables.read().held())
    }

    /// The first bound that a tuple is outside of. If the change of one actor led to the tuple, `firing` is
    /// the bound that is known for that actor, and the other actors were inside before.
    pub(super) fn outside(
        &mut self,
        tuple: Tuple<'_>,
        changed: Option<Slot>,
        firing: Option<u8>,
    ) -> Option<u8> {
        if changed.is_some() && self.bounds_of_actors_only {
            return firing;
        }
        let mut first = firing;
        for (n, bound) in (0_u8..).zip(&self.shared.world.bounds) {
            if first.is_some_and(|first| first <= n) {
                break;
            }
            let is_outside = match &bound.within {
                StatePredicate::Actor(_) if changed.is_some() => false,
                StatePredicate::ActorAndGhost(_) => Slot::first(self.actors)
                    .any(|who| self.judge_with_ghost(who, tuple).1 == Some(n)),
                within => !self.judge_whole(tuple, |view| within.holds(view)),
            };
            if is_outside {
                first = Some(n);
            }
        }
        first
    }

    /// Judges a tuple that is new. If the change of one actor led to the tuple, its unchanged parts have been
    /// judged before.
    pub(super) fn judge(&mut self, tuple: Tuple<'_>, changed: Option<Slot>, ghost_changed: bool) {
        let mut bits = 0;
        for who in Slot::first(self.actors) {
            let has_changed = changed.is_none_or(|changed| changed == who);
            if has_changed {
                bits |= self.judge_actor(who, tuple);
            }
            if has_changed || ghost_changed {
                bits |= self.judge_with_ghost(who, tuple).0;
            }
            for other in Slot::first(who.index()) {
                if has_changed || changed == Some(other) {
                    bits |= self.judge_pair(other, who, tuple);
                }
            }
        }
        if ghost_changed {
            bits |= self.judge_ghost(tuple);
        }
        let unwitnessed = self.shared.unwitnessed.load(Ordering::Relaxed);
        if self.looks_at_views || unwitnessed != 0 {
            bits |= self.judge_view(tuple, unwitnessed);
        }
        self.shared.violate(bits);
    }

    fn judge_view(&self, tuple: Tuple<'_>, unwitnessed: u64) -> u64 {
        let world = self.shared.world;
        let (broken, witnessed) = self.judge_whole(tuple, |view| {
            let always = broken(world.always.iter().map(|property| match &property.holds {
                StatePredicate::View(holds) => holds(view),
                _ => true,
            }));
            let sometimes = world.sometimes.iter().enumerate();
            let unseen = broken(
                sometimes
                    .map(|(n, property)| unwitnessed & 1 << n == 0 || !property.holds.holds(view)),
            );
            (always, unseen)
        });
        self.shared.unwitnessed.fetch_and(!witnessed, Ordering::Relaxed);
        broken
    }

    /// Judges a whole tuple and its images.
    fn judge_whole<T: PartialEq>(
        &self,
        tuple: Tuple<'_>,
        judge: impl Fn(&View<'_, A, G>) -> T,
    ) -> T {
        let actors: Vec<_> = Slot::first(self.actors).collect();
        self.judge_alike(&actors, tuple, |tables, actors, ghost| {
            let mut renamed = TupleBuf::default();
            renamed.copy(tuple);
            renamed.set_ghost(ghost);
            for (who, local) in actors {
                renamed.set_local(*who, *local);
            }
            judge(&view(tables, renamed.tuple()))
        })
    }

    fn judge_actor(&mut self, who: Slot, tuple: Tuple<'_>) -> u64 {
        let memo = (who, tuple.local(who));
        if let Some(known) = self.verdicts.actor.get(&memo) {
            return *known;
        }
        let always = &self.shared.world.always;
        let verdict = self.judge_alike(&[who], tuple, |tables, actors, _| {
            let (who, value) = value(tables, actors[0]);
            broken(always.iter().map(|property| match &property.holds {
                StatePredicate::Actor(holds) => holds(who, value),
                _ => true,
            }))
        });
        self.verdicts.actor.insert(memo, verdict);
        verdict
    }

    fn judge_with_ghost(&mut self, who: Slot, tuple: Tuple<'_>) -> (u64, Option<u8>) {
        let (local, ghost) = (tuple.local(who), tuple.ghost());
        let memo = (who, local, ghost);
        if let Some(known) = self.verdicts.actor_and_ghost.get(&memo) {
            return *known;
        }
        let world = self.shared.world;
        let verdict = self.judge_alike(&[who], tuple, |tables, actors, ghost| {
            let (who, value) = value(tables, actors[0]);
            let ghost = tables.ghosts.get(ghost);
            let holds = |predicate: &StatePredicate<A, G>| match predicate {
                StatePredicate::ActorAndGhost(holds) => holds(who, value, ghost),
                _ => true,
            };
            let outside = world.bounds.iter().position(|bound| !holds(&bound.within));
            let outside = outside.map(|n| u8::try_from(n).expect("at most 255 bounds"));
            (broken(world.always.iter().map(|property| holds(&property.holds))), outside)
        });
        self.verdicts.actor_and_ghost.insert(memo, verdict);
        verdict
    }

    fn judge_pair(&mut self, a: Slot, b: Slot, tuple: Tuple<'_>) -> u64 {
        let memo = (a, b, tuple.local(a), tuple.local(b));
        if let Some(known) = self.verdicts.pair.get(&memo) {
            return *known;
        }
        let always = &self.shared.world.always;
        let verdict = self.judge_alike(&[a, b], tuple, |tables, actors, _| {
            let (a, b) = (value(tables, actors[0]), value(tables, actors[1]));
            broken(always.iter().map(|property| match &property.holds {
                StatePredicate::Pair(holds) => holds(a, b) && holds(b, a),
                _ => true,
            }))
        });
        self.verdicts.pair.insert(memo, verdict);
        verdict
    }

    fn judge_ghost(&mut self, tuple: Tuple<'_>) -> u64 {
        let ghost = tuple.ghost();
        if let Some(known) = self.verdicts.ghost.get(&ghost) {
            return *known;
        }
        let always = &self.shared.world.always;
        let verdict = self.judge_alike(&[], tuple, |tables, _, ghost| {
            let value = tables.ghosts.get(ghost);
            broken(always.iter().map(|property| match &property.holds {
                StatePredicate::Ghost(holds) => holds(value),
                _ => true,
            }))
        });
        self.verdicts.ghost.insert(ghost, verdict);
        verdict
    }
}

//! Judges whether a group of actors can go on by itself. The question is asked of every tuple that was
//! reached, with every message in flight lost.
//!
//! Only the local states of the group matter: the other actors do nothing, and there is no message to
//! receive. So each combination of local states is judged once ([`Judged`]). The group has its timeouts, its
//! choices and the messages that its members send to each other over links that work, and no restart. An
//! [`Attempt`] looks for a way to recovery (`attempt.rs`), and one way is enough. So the verdict that a group
//! recovers says that it is in no dead end. It does not say that the group cannot go round in circles.

mod attempt;

use super::caller::Caller;
use super::ids::{GroupId, LocalId, Number, PermutationId, Slot};
use super::panics::Held;
use super::reduction::Reduction;
use super::tables::{Memo, Tables};
use super::tuple::Tuple;
use crate::run::{Limits, Lookout};
use crate::view::{Checkable, Ghostly};
use crate::world::{Group, Recovery, State, World};
use attempt::Attempt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, RwLock};
use std::time::Instant;

/// For each group, whether the group is dead, by the local states of its members.
type Verdicts = Vec<Memo<Vec<LocalId>, bool>>;

/// The verdicts of all threads. With each verdict there are the verdicts on all renamed starts.
pub(super) struct Judged<'w, A: Checkable> {
    recovery: &'w Recovery<A>,
    lookout: &'w Lookout<'w>,
    verdicts: Mutex<Verdicts>,
}

/// The reason why something was not decided.
pub(super) type Undecided = &'static str;

/// The judge of one thread, with the verdicts that it has come across.
pub(super) struct RecoveryJudge<'j, 'w, A: Checkable> {
    judged: &'j Judged<'w, A>,
    mine: Verdicts,
}

impl<'w, A: Checkable> Judged<'w, A> {
    pub(super) fn new(recovery: &'w Recovery<A>, lookout: &'w Lookout<'w>) -> Self {
        let verdicts = Mutex::new(vec![Memo::default(); recovery.groups.len()]);
        Self { recovery, lookout, verdicts }
    }

    /// The number of combinations of local states that were judged, including all to which these can be
    /// renamed.
    pub(super) fn starts(&self) -> u64 {
        let verdicts = self.verdicts.lock().held();
        verdicts.iter().map(|known| known.len() as u64).sum()
    }

    pub(super) fn judge(&self) -> RecoveryJudge<'_, 'w, A> {
        RecoveryJudge { judged: self, mine: vec![Memo::default(); self.recovery.groups.len()] }
    }
}

impl<A: Checkable> RecoveryJudge<'_, '_, A> {
    /// Whether some group cannot recover from this tuple. The tuple stands for all to which it can be
    /// renamed.
    ///
    /// # Errors
    /// The limit that ended the search for a way to recovery.
    ///
    /// # Panics
    /// If the verdict on a renamed start differs.
    pub(super) fn is_dead_end<G: Ghostly>(
        &mut self,
        tables: &RwLock<Tables<'_, A, G>>,
        tuple: Tuple<'_>,
    ) -> Result<bool, Undecided> {
        let mut start = Vec::new();
        let mut dead = false;
        for (n, group) in GroupId::all().zip(&self.judged.recovery.groups) {
            start.clear();
            start.extend(group.members.iter().map(|id| tuple.local(Slot::from(*id))));
            dead |= if let Some(is_dead) = self.mine[n.index()].get(&start[..]) {
                *is_dead
            } else {
                let is_dead = match self.is_dead(&mut Caller::new(tables), n, &start) {
                    Ok(is_dead) => is_dead,
                    Err(_) if dead => return Ok(true),
                    Err(reason) => return Err(reason),
                };
                self.mine[n.index()].insert(start.clone(), is_dead);
                is_dead
            };
        }
        Ok(dead)
    }

    fn is_dead<G: Ghostly>(
        &self,
        tables: &mut Caller<'_, '_, A, G>,
        group: GroupId,
        start: &[LocalId],
    ) -> Result<bool, Undecided> {
        let verdicts = || self.judged.verdicts.lock().held();
        if let Some(is_dead) = verdicts()[group.index()].get(start) {
            return Ok(*is_dead);
        }
        let end = self.attempt(group, start).succeeds(tables)?;
        let mut orbit = vec![(group, start.to_vec())];
        for n in tables.tables().group.others() {
            let (renamed, image) = self.renamed(tables.tables(), n, group, start);
            let is_new = orbit.iter().all(|(group, start)| *group != renamed || *start != image);
            let attempt = self.attempt(renamed, &image);
            let alike = match &end {
                // The renamed way leads there, too, because each handler call was compared.
                Some(end) => {
                    let (_, end) = self.renamed(tables.tables(), n, group, end);
                    attempt.has_recovered(tables.tables(), &end)
                }
                None => !is_new || attempt.succeeds(tables)?.is_none(),
            };
            assert!(
                alike,
                "recovery must not tell apart actors that the world's `symmetry` calls interchangeable"
            );
            if is_new {
                orbit.push((renamed, image));
            }
        }
        let is_dead = end.is_none();
        let mut verdicts = verdicts();
        for (group, start) in orbit {
            verdicts[group.index()].insert(start, is_dead);
        }
        Ok(is_dead)
    }

    fn attempt<'a>(&'a self, group: GroupId, start: &'a [LocalId]) -> Attempt<'a, A> {
        let Judged { recovery, lookout, .. } = self.judged;
        Attempt { recovery, lookout, group: &recovery.groups[group.index()], start }
    }

    /// A group and local states of its members, renamed by a permutation.
    fn renamed<G: Ghostly>(
        &self,
        tables: &Tables<'_, A, G>,
        n: PermutationId,
        group: GroupId,
        start: &[LocalId],
    ) -> (GroupId, Vec<LocalId>) {
        let groups = &self.judged.recovery.groups;
        let Group { members, cut } = &groups[group.index()];
        let (mut images, mut names) = (BTreeMap::new(), BTreeMap::new());
        for (id, local) in members.iter().zip(start) {
            let (to, image) = tables.local_image(n, Slot::from(*id), *local);
            images.insert(to.id(), image);
            names.insert(*id, to.id());
        }
        let cut: BTreeSet<_> = cut.iter().map(|(from, to)| (names[from], names[to])).collect();
        let is_image = |other: &Group| {
            let mut members = other.members.iter();
            other.members.len() == images.len()
                && members.all(|id| images.contains_key(id))
                && other.cut == cut
        };
        let renamed = groups.iter().position(is_image);
        let renamed = GroupId::of(
            renamed.expect("groups are renamed to groups where actors are interchangeable"),
        );
        (renamed, groups[renamed.index()].members.iter().map(|id| images[id]).collect())
    }
}

/// Whether some group cannot recover from a state, if the world asks about recovery.
#[expect(clippy::disallowed_methods, reason = "limits have a clock, though there are none here")]
pub(crate) fn is_dead_end<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    state: &State<A, G>,
) -> bool {
    let Some(recovery) = &world.recovery else { return false };
    let mut tables = Tables::new(world, &[], Reduction::None.permutations(world, state));
    let (tuple, _) = tables.import(state);
    let limits = Limits::unlimited(1);
    let never = AtomicBool::new(false);
    let lookout = Lookout::since(Instant::now(), &limits, &never);
    let judged = Judged::new(recovery, &lookout);
    judged.judge().is_dead_end(&RwLock::new(tables), tuple.tuple()).expect("there is no limit")
}

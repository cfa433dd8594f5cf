//! The reductions: what a search leaves out because nothing can come of it. Nothing outside this folder knows
//! how they are made.
//!
//! A [`Reduction`] says which reductions a search makes. It gives the search its permutations and its
//! hypotheses, and says what was refuted. A [`Reducer`] makes the reductions for one thread (`reducer.rs`):
//! it leaves out messages that do not matter, finds the state that stands for another one, and counts the
//! states for which some stand (`counting.rs`). With [`Reduction::None`] the same kernel leaves out nothing.
//!
//! - Messages that cannot matter any more are left out (`relevance.rs`).
//! - Messages that do the same are taken for one (`merging.rs`, `normal.rs`).
//! - From states that differ only by interchangeable actors the search visits one (`symmetry.rs`,
//!   `canon.rs`). The hypothesis does not tell such actors apart (`equivariance.rs`).
//! - The first two reductions rest on a hypothesis, a [`Relevance`], which may be refuted (`refuted.rs`).

mod canon;
mod counting;
mod equivariance;
mod merging;
mod normal;
mod reducer;
mod refuted;
mod relevance;
mod symmetry;

pub(super) use counting::Counted;
pub(super) use reducer::{Reducer, Renamings, Standing};
pub(super) use refuted::{Concerned, Repair};
pub(super) use relevance::Relevance;
pub(super) use symmetry::{Images, Permutations};

use super::tables::Tables;
use crate::run::Lookout;
use crate::view::{Checkable, Ghostly};
use crate::world::{State, World};
use refuted::Refuted;
use relevance::Merging;

/// The reductions of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reduction {
    /// The search leaves out nothing: the hypothesis that everything matters is never refuted.
    None,
    /// The search leaves out messages that do not matter. Its paths are real ones.
    Relevance,
    /// The search also takes messages that do the same for one, and visits one state of each orbit.
    All,
}

/// The purpose for which a hypothesis is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A survey begins. It knows too little to merge messages.
    Survey,
    /// A search goes on.
    Search,
    /// The search has ended, and its maximal states are counted.
    Count,
}

impl Reduction {
    /// The permutations under which one state of each orbit is visited, in a world with this first state.
    pub(super) fn permutations<A: Checkable, G: Ghostly>(
        self,
        world: &World<A, G>,
        first: &State<A, G>,
    ) -> Permutations {
        match self {
            Self::None | Self::Relevance => Permutations::trivial(world.actors.actors.len()),
            Self::All => Permutations::fixing(world, first),
        }
    }

    /// The hypothesis about what matters, from all that is known.
    ///
    /// # Errors
    /// The limit that was reached before the hypothesis was known.
    pub(super) fn hypothesis<A: Checkable, G: Ghostly>(
        self,
        purpose: Purpose,
        tables: &mut Tables<'_, A, G>,
        lookout: &Lookout<'_>,
    ) -> Result<Relevance, &'static str> {
        let merging = match (self, purpose) {
            (Self::None, _) => return Ok(Relevance::everything(tables.actors.len())),
            (Self::Relevance, _) | (Self::All, Purpose::Survey) => Merging::Nothing,
            // Labels tell messages apart.
            (Self::All, Purpose::Search) if !tables.labels.is_empty() => Merging::Nothing,
            (Self::All, Purpose::Search | Purpose::Count) => Merging::Alike,
        };
        Relevance::of(tables, merging, lookout)
    }

    /// Whether states are counted by another hypothesis than the one by which they were searched. A search
    /// with labels merges no messages, but its counts are those of a search that does.
    pub(super) fn counts_otherwise<A: Checkable, G: Ghostly>(
        self,
        tables: &Tables<'_, A, G>,
    ) -> bool {
        self == Self::All && !tables.labels.is_empty()
    }

    /// Whether a hypothesis of this reduction may be refuted.
    pub(super) fn may_be_refuted(self) -> bool {
        self != Self::None
    }

    /// The local states in which a newer hypothesis refutes an older one, with those one step before them;
    /// `None` if it refutes the older one nowhere.
    pub(super) fn refuted<A: Checkable, G: Ghostly>(
        self,
        old: &Relevance,
        newer: &Relevance,
        tables: &Tables<'_, A, G>,
    ) -> Option<Concerned> {
        if !self.may_be_refuted() {
            return None;
        }
        let refuted = Refuted::of(old, newer);
        (!refuted.is_nothing()).then(|| refuted.concerned(tables))
    }
}

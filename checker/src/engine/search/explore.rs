//! The searches that a caller can ask for. They differ in their reductions, in their surveys, and in whether
//! they are saved.

use super::{Pace, SURVEYS, Search};
use crate::engine::checkpoint::{CheckpointError, Checkpoints};
use crate::engine::judge::view;
use crate::engine::reduction::Reduction;
use crate::run::{Limits, Progress, Report, Verdict};
use crate::view::{Checkable, Ghostly, View};
use crate::world::World;
use std::sync::atomic::AtomicBool;

/// Explores every tuple of local states and ghost that is reachable within the bounds.
pub fn explore<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    limits: &Limits,
    interrupted: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Report {
    let mut search = Search::new(world, limits, interrupted, Reduction::All);
    search.run(&SURVEYS, progress)
}

/// Explores all tuples that [`explore`] reaches without any reduction. The other searches are compared with
/// this one.
pub fn explore_plainly<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    limits: &Limits,
    interrupted: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Report {
    let mut search = Search::new(world, limits, interrupted, Reduction::None);
    search.run(&[], progress)
}

/// Explores as [`explore`] does, but saves the search from time to time, so that it can be taken up again.
/// Also returns the error that kept the last checkpoint from being written.
///
/// # Errors
/// If the search cannot be taken up, or if it would overwrite a checkpoint that it does not go on from.
///
/// # Panics
/// If the world counts labels: a checkpoint does not keep which labels were seen.
pub fn explore_with_checkpoints<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    limits: &Limits,
    checkpoints: &Checkpoints,
    interrupted: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Report, Option<CheckpointError>), CheckpointError> {
    assert!(world.tally.labels.is_empty(), "labels are not saved");
    let mut search = Search::new(world, limits, interrupted, Reduction::All);
    search.run_saved(&SURVEYS, Some(checkpoints), progress)
}

/// Explores with surveys of the caller's: each number says how often that survey fires a step. After short
/// surveys the first hypotheses are poor and must be refuted. Hypotheses are also judged more often than is
/// of use, so that some are refuted while tuples wait. After an exhaustive search the function shows `visit`
/// every stored tuple; with a symmetry, this is one tuple of each orbit.
pub fn explore_and_visit<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    limits: &Limits,
    surveys: &[u16],
    visit: &mut dyn FnMut(&View<'_, A, G>),
) -> Report {
    let explored = explore_by(surveys, world, limits, None, visit);
    explored.expect("without a checkpoint there is nothing to be read").0
}

/// Explores as [`explore_and_visit`] does, with a file. The search is saved there when a limit ends it, and
/// taken up again.
///
/// # Errors
/// The errors of [`explore_with_checkpoints`].
pub fn explore_by<A: Checkable, G: Ghostly>(
    surveys: &[u16],
    world: &World<A, G>,
    limits: &Limits,
    checkpoints: Option<&Checkpoints>,
    visit: &mut dyn FnMut(&View<'_, A, G>),
) -> Result<(Report, Option<CheckpointError>), CheckpointError> {
    let interrupted = AtomicBool::new(false);
    let mut search = Search::new(world, limits, &interrupted, Reduction::All);
    search.pace = Pace::Hurried;
    let (report, trouble) = search.run_saved(surveys, checkpoints, &mut |_| {})?;
    if report.verdict == Verdict::Exhaustive {
        let tables = search.shared.tables.read().expect("no thread runs");
        for shard in &search.shared.shards {
            let shard = shard.lock().expect("no thread runs");
            shard.all().for_each(|(tuple, _)| visit(&view(&tables, tuple)));
        }
    }
    Ok((report, trouble))
}

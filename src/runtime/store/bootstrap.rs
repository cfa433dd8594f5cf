//! The bootstrap: the one-time act that creates a store.

use super::StoreError;
use super::census::{self, Census};
use super::file::{CENSUS, CENSUS_NEW, Dir, LOCK, LOG, LOG_NEW, WATERMARK, WATERMARK_NEW};
use super::generation;
use super::identity::Identity;
use super::watermark::Watermark;
use crate::durable::Durable;

/// Creates the store of `D::default()`. The last step gives the log its name. Before that step the
/// directory is not bootstrapped, and this may be run again; after it, never.
pub(super) fn bootstrap<D: Durable>(dir: &Dir, identity: &Identity) -> Result<(), StoreError> {
    refuse_if_used(dir)?;
    dir.create()?;
    let _lock = dir.lock()?;
    refuse_if_used(dir)?;
    let mut file = dir.create_file(WATERMARK_NEW)?;
    Watermark { directory: identity.directory, generation: 0, save: 0 }.write(&mut file)?;
    file.sync()?;
    dir.rename(WATERMARK_NEW, WATERMARK)?;
    dir.sync()?;
    census::write(dir, identity.directory, &Census::default())?;
    let mut log = generation::write(dir, identity, 1, (0, &D::default()), 1)?;
    generation::put_in_place(dir, &mut log)
}

/// Refuses a directory unless it is empty, or holds only files that an interrupted bootstrap may have
/// left.
fn refuse_if_used(dir: &Dir) -> Result<(), StoreError> {
    let names = dir.list()?;
    if names.iter().any(|name| name == LOG) {
        return Err(StoreError::AlreadyBootstrapped { dir: dir.path.clone() });
    }
    let ours = [LOCK, LOG_NEW, WATERMARK_NEW, WATERMARK, CENSUS_NEW, CENSUS];
    if let Some(foreign) = names.iter().find(|name| !ours.contains(&name.as_str())) {
        return Err(StoreError::NotEmpty { dir: dir.path.clone(), entry: foreign.clone() });
    }
    refuse_if_log_lost(dir, &names)
}

/// Refuses a directory without a log if it once had a log that held something.
pub(super) fn refuse_if_log_lost(dir: &Dir, names: &[String]) -> Result<(), StoreError> {
    if names.iter().any(|name| name == WATERMARK) && !Watermark::read(dir)?.0.is_unused() {
        return Err(dir.corrupt(LOG, 0, "the file is missing, yet its watermark is there"));
    }
    if names.iter().any(|name| name == CENSUS) && !census::read_any(dir)?.1.starts.is_empty() {
        return Err(dir.corrupt(LOG, 0, "the file is missing, yet the server has started before"));
    }
    Ok(())
}

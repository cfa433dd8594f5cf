//! Directories and files that know their paths, so that every error names the path; and the names within
//! a store.

use super::{Disk, DiskFile, Guard, StoreError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const LOG: &str = "log";
pub(super) const LOG_NEW: &str = "log.new";
pub(super) const WATERMARK: &str = "watermark";
pub(super) const WATERMARK_NEW: &str = "watermark.new";
pub(super) const CENSUS: &str = "census";
pub(super) const CENSUS_NEW: &str = "census.new";
pub(super) const LOCK: &str = "lock";

/// Files that an interrupted bootstrap, compaction or save of the census leaves. They are never read.
pub(super) const LEFTOVERS: [&str; 3] = [LOG_NEW, WATERMARK_NEW, CENSUS_NEW];

/// A directory on some disk.
#[derive(Clone)]
pub(super) struct Dir {
    disk: Arc<dyn Disk>,
    pub(super) path: PathBuf,
}

impl Dir {
    pub(super) fn new(disk: Arc<dyn Disk>, path: &Path) -> Self {
        Self { disk, path: path.to_owned() }
    }

    pub(super) fn corrupt(&self, name: &str, offset: u64, reason: impl Into<String>) -> StoreError {
        StoreError::Corrupt { file: self.path.join(name), offset, reason: reason.into() }
    }

    /// The names in the directory; no names if the directory does not exist.
    pub(super) fn list(&self) -> Result<Vec<String>, StoreError> {
        match self.disk.list(&self.path) {
            Ok(names) => Ok(names.iter().map(|name| name.to_string_lossy().into_owned()).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(failed("list", &self.path, error)),
        }
    }

    /// Creates the directory and its missing ancestors, durably.
    ///
    /// Each ancestor is synced into its parent before the next one is created in it. So if an earlier
    /// attempt was cut short, at most the deepest existing ancestor is not durable. It is synced too.
    pub(super) fn create(&self) -> Result<(), StoreError> {
        let path = &self.path;
        let parent = path.parent().map(|parent| {
            let here = parent.as_os_str().is_empty();
            Self { disk: self.disk.clone(), path: if here { ".".into() } else { parent.into() } }
        });
        let exists = match self.disk.list(path) {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(failed("list", path, error)),
        };
        if !exists {
            if let Some(parent) = &parent {
                parent.create()?;
            }
            self.disk.create_dir(path).map_err(|error| failed("create", path, error))?;
        }
        parent.map_or(Ok(()), |parent| parent.sync())
    }

    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.disk.sync_dir(&self.path).map_err(|error| failed("sync", &self.path, error))
    }

    pub(super) fn lock(&self) -> Result<Guard, StoreError> {
        let path = self.path.join(LOCK);
        let guard = self.disk.lock(&path).map_err(|error| failed("lock", &path, error))?;
        guard.ok_or_else(|| StoreError::Locked { dir: self.path.clone() })
    }

    pub(super) fn open(&self, name: &str) -> Result<Handle, StoreError> {
        let path = self.path.join(name);
        let file = self.disk.open(&path).map_err(|error| failed("open", &path, error))?;
        Ok(Handle { path, file })
    }

    /// Opens a file. If the file is missing, the store is damaged, and this returns
    /// [`StoreError::Corrupt`].
    pub(super) fn open_needed(&self, name: &str) -> Result<Handle, StoreError> {
        match self.open(name) {
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Err(self.corrupt(name, 0, "the file is missing"))
            }
            result => result,
        }
    }

    /// Gives the file `name` this content, durably, or leaves the file as it was.
    pub(super) fn replace(&self, name: &str, content: &[u8]) -> Result<(), StoreError> {
        let new = format!("{name}.new");
        let mut file = self.create_file(&new)?;
        file.write_at(0, content)?;
        file.sync()?;
        self.rename(&new, name)?;
        self.sync()
    }

    pub(super) fn create_file(&self, name: &str) -> Result<Handle, StoreError> {
        let path = self.path.join(name);
        let file = self.disk.create(&path).map_err(|error| failed("create", &path, error))?;
        Ok(Handle { path, file })
    }

    /// Removes a file, if it exists.
    pub(super) fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path.join(name);
        match self.disk.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", &path, error))
            }
            _ => Ok(()),
        }
    }

    /// Gives an open file another name. Later errors of the file say this name.
    pub(super) fn rename_open(&self, file: &mut Handle, to: &str) -> Result<(), StoreError> {
        let to = self.path.join(to);
        let renamed = self.disk.rename(&file.path, &to);
        renamed.map_err(|error| failed("rename a file to", &to, error))?;
        file.path = to;
        Ok(())
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let (from, to) = (self.path.join(from), self.path.join(to));
        self.disk.rename(&from, &to).map_err(|error| failed("rename a file to", &to, error))
    }
}

/// An open file of a store.
pub(super) struct Handle {
    path: PathBuf,
    file: Box<dyn DiskFile>,
}

impl Handle {
    pub(super) fn size(&self) -> Result<u64, StoreError> {
        self.file.size().map_err(|error| failed("read the length of", &self.path, error))
    }

    pub(super) fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), StoreError> {
        self.file.read_at(offset, buffer).map_err(|error| failed("read", &self.path, error))
    }

    pub(super) fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_at(offset, bytes).map_err(|source| {
            if is_full(&source) {
                StoreError::Full { path: self.path.clone(), bytes: bytes.len() as u64, source }
            } else {
                failed("write", &self.path, source)
            }
        })
    }

    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        self.file.sync().map_err(|error| failed("sync", &self.path, error))
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Gives a file this content, durably, or leaves the file as it was. Creates its directory if that is
/// missing. Meanwhile another file stands beside it, of that name with `.new` at its end.
pub fn replace_file(disk: Arc<dyn Disk>, path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        let source = io::ErrorKind::InvalidFilename.into();
        return Err(failed("write", path, source));
    };
    let here = parent.as_os_str().is_empty();
    let dir = Dir::new(disk, if here { Path::new(".") } else { parent });
    dir.create()?;
    dir.replace(&name.to_string_lossy(), content)
}

fn failed(op: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { path: path.to_owned(), op, source }
}

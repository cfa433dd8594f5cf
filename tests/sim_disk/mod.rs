//! A disk in memory that fails on demand. Each test file uses a part.
#![allow(dead_code, reason = "each test file that includes this uses a part of it")]

use checked_raft::runtime::store::{Disk, DiskFile, Guard};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The longest write that is taken as atomic, in bytes; see the assumption about sectors in the
/// module `checked_raft::runtime::store`.
const ATOMIC: usize = 64;

/// The fault that happens at the chosen I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The I/O fails with an error. A sync that fails has written some of its pages. The others and the
    /// file names stay in the cache, marked as written although they are not: a later sync succeeds
    /// without writing them.
    Error,
    /// The I/O fails because the disk is full.
    Full,
    /// The I/O succeeds, and before it the cache forgets all that it takes for written. A later read
    /// finds what is on the disk.
    Forget,
    /// The process stops here: this I/O and all that follow fail until [`SimDisk::restart`] or
    /// [`SimDisk::power_cut`].
    Stop,
}

/// A file system with a page cache: data that is not synced can be lost.
///
/// A clone is another handle to the same disk; [`SimDisk::fork`] makes an independent copy.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimDisk(Arc<Mutex<State>>);

#[derive(Clone, Debug, Default)]
struct State {
    /// The names as the processes see them.
    names: BTreeMap<PathBuf, Node>,
    /// The names on the disk.
    durable_names: BTreeMap<PathBuf, Node>,
    /// Changes of names since the last sync of their directory, in order.
    unsynced_names: Vec<NameChange>,
    files: Vec<Inode>,
    locks: BTreeSet<PathBuf>,
    /// The number of the present process. Handles and locks of earlier processes are of no more use.
    process: u64,
    stopped: bool,
    fault: Option<(u64, Fault)>,
    /// The most bytes that all files with a name may take.
    capacity: Option<u64>,
    operations: u64,
    written: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Directory,
    File(usize),
}

/// A change that one operation made to the names of one directory. It survives whole or not at all.
#[derive(Clone, Debug)]
struct NameChange {
    directory: PathBuf,
    gone: Option<PathBuf>,
    now: Option<(PathBuf, Node)>,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    cached: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
}

impl SimDisk {
    /// Creates an empty disk.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Makes an independent copy of the disk.
    pub(crate) fn fork(&self) -> Self {
        Self(Arc::new(Mutex::new(self.state().clone())))
    }

    /// Makes `fault` happen once, after `operations` more I/Os have succeeded.
    pub(crate) fn fail_after(&self, operations: u64, fault: Fault) {
        let mut state = self.state();
        state.fault = Some((state.operations + operations, fault));
    }

    /// Lets all files together take no more than so many bytes.
    pub(crate) fn set_capacity(&self, bytes: u64) {
        self.state().capacity = Some(bytes);
    }

    /// The number of bytes that all files together take.
    pub(crate) fn used(&self) -> u64 {
        self.state().used()
    }

    /// The number of I/Os attempted so far, reads included.
    pub(crate) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// The number of bytes written so far.
    pub(crate) fn written(&self) -> u64 {
        self.state().written
    }

    /// Kills the process and starts another: the handles and locks of the killed one are gone, the page
    /// cache stays.
    pub(crate) fn restart(&self) {
        let mut state = self.state();
        state.process += 1;
        state.locks.clear();
        state.stopped = false;
        state.fault = None;
    }

    /// Lets the power fail and come back. An arbitrary part of what was not synced is left, chosen by
    /// `seed`. Each change of names happened or not. Each write happened, or not, or any pieces of it
    /// did, cut at any byte. A file may have its new length without its new content.
    pub(crate) fn power_cut(&self, seed: u64) {
        self.restart();
        let mut state = self.state();
        let random = &mut StdRng::seed_from_u64(seed);
        for change in std::mem::take(&mut state.unsynced_names) {
            if random.random() {
                change.apply(&mut state.durable_names);
            }
        }
        let names = state.durable_names.clone();
        let reachable = |path: &Path| {
            path.ancestors()
                .skip(1)
                .all(|directory| is_root(directory) || names.contains_key(directory))
        };
        state.durable_names.retain(|path, _| reachable(path));
        state.names = state.durable_names.clone();
        for file in &mut state.files {
            file.power_cut(random);
        }
    }

    /// The names of all files.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let state = self.state();
        let files = state.names.iter().filter(|(_, node)| matches!(node, Node::File(_)));
        files.map(|(path, _)| path.clone()).collect()
    }

    /// The content of a file.
    pub(crate) fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        state.file(path).ok().map(|file| state.files[file].cached.clone())
    }

    /// Damages a file, durably: its content becomes `bytes`, or the file disappears.
    pub(crate) fn damage(&self, path: &Path, bytes: Option<Vec<u8>>) {
        let mut state = self.state();
        state.names.remove(path);
        state.durable_names.remove(path);
        if let Some(bytes) = bytes {
            let file = Node::File(state.files.len());
            state.names.insert(path.to_owned(), file);
            state.durable_names.insert(path.to_owned(), file);
            state.files.push(Inode { cached: bytes.clone(), durable: bytes, unsynced: Vec::new() });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_root(path: &Path) -> bool {
    path.parent().is_none() || path == Path::new(".")
}

impl State {
    /// Counts one I/O, which may be the one that fails.
    fn operation(&mut self) -> Result<(), (Fault, io::Error)> {
        let number = self.operations;
        self.operations += 1;
        if self.stopped {
            return Err((Fault::Stop, io::Error::other("the process has stopped")));
        }
        match self.fault {
            Some((at, Fault::Forget)) if at == number => {
                self.fault = None;
                self.forget();
                Ok(())
            }
            Some((at, fault)) if at == number => {
                self.fault = None;
                self.stopped = fault == Fault::Stop;
                Err((
                    fault,
                    match fault {
                        Fault::Full => io::ErrorKind::StorageFull.into(),
                        Fault::Error => io::Error::other("injected I/O error"),
                        Fault::Forget | Fault::Stop => io::Error::other("the process stops here"),
                    },
                ))
            }
            _ => Ok(()),
        }
    }

    /// Forgets cached data. The cache is sure to keep only what was written since the last sync of its
    /// file or directory, whether or not that sync succeeded.
    fn forget(&mut self) {
        self.names.clone_from(&self.durable_names);
        for change in &self.unsynced_names {
            change.apply(&mut self.names);
        }
        for file in &mut self.files {
            file.cached.clone_from(&file.durable);
            for (offset, bytes) in &file.unsynced {
                overwrite(&mut file.cached, *offset, bytes);
            }
        }
    }

    fn used(&self) -> u64 {
        let sizes = self.names.values().map(|node| match node {
            Node::File(file) => self.files[*file].cached.len() as u64,
            Node::Directory => 0,
        });
        sizes.sum()
    }

    /// How many of `len` bytes at `offset` of a file the disk has room for.
    fn room(&self, file: usize, offset: usize, len: usize) -> usize {
        let Some(capacity) = self.capacity else { return len };
        let size = self.files[file].cached.len();
        let free = usize::try_from(capacity.saturating_sub(self.used())).unwrap_or(usize::MAX);
        len.min((size + free).saturating_sub(offset))
    }

    fn plain_operation(&mut self) -> io::Result<()> {
        self.operation().map_err(|(_, error)| error)
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.names.get(path) {
            Some(Node::File(file)) => Ok(*file),
            Some(Node::Directory) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn directory(&self, path: &Path) -> io::Result<()> {
        match self.names.get(path) {
            Some(Node::Directory) => Ok(()),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None if is_root(path) => Ok(()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn change_name(&mut self, gone: Option<&Path>, now: Option<(&Path, Node)>) -> io::Result<()> {
        let name = now.map(|(name, _)| name).or(gone).expect("a name comes or goes");
        let directory = name.parent().ok_or(io::ErrorKind::AlreadyExists)?.to_owned();
        self.directory(&directory)?;
        let gone = gone.map(Path::to_owned);
        let now = now.map(|(name, node)| (name.to_owned(), node));
        let change = NameChange { directory, gone, now };
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
        Ok(())
    }

    fn create_file(&mut self, path: &Path) -> io::Result<usize> {
        let file = self.files.len();
        self.files.push(Inode::default());
        self.change_name(None, Some((path, Node::File(file))))?;
        Ok(file)
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        if let Some(gone) = &self.gone {
            names.remove(gone);
        }
        if let Some((name, node)) = &self.now {
            names.insert(name.clone(), *node);
        }
    }
}

impl Inode {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        overwrite(&mut self.cached, offset, bytes);
        self.unsynced.push((offset, bytes.to_owned()));
    }

    fn sync(&mut self) {
        for (offset, bytes) in std::mem::take(&mut self.unsynced) {
            overwrite(&mut self.durable, offset, &bytes);
        }
    }

    fn power_cut(&mut self, random: &mut StdRng) {
        self.write_some(random);
        self.cached.clone_from(&self.durable);
    }

    /// Writes an arbitrary part of what was not synced to the disk. Nobody will write the rest.
    fn write_some(&mut self, random: &mut StdRng) {
        for (offset, bytes) in std::mem::take(&mut self.unsynced) {
            if random.random() {
                let len = self.durable.len().max(offset + bytes.len());
                self.durable.resize(len, 0);
            }
            let mut start = 0;
            while start < bytes.len() {
                let len = bytes.len() - start;
                let whole = bytes.len() <= ATOMIC || random.random_bool(0.3);
                let end = start + if whole { len } else { random.random_range(1..=len) };
                if random.random() {
                    overwrite(&mut self.durable, offset + start, &bytes[start..end]);
                }
                start = end;
            }
        }
    }
}

fn overwrite(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    content.resize(content.len().max(end), 0);
    content[offset..end].copy_from_slice(bytes);
}

impl Disk for SimDisk {
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        let mut state = self.state();
        state.plain_operation()?;
        state.directory(dir)?;
        let names = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(names.filter_map(|path| path.file_name()).map(ToOwned::to_owned).collect())
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.plain_operation()?;
        state.change_name(None, Some((dir, Node::Directory)))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        let outcome = state.operation();
        state.directory(dir)?;
        if let Err((Fault::Stop, error)) = outcome {
            return Err(error);
        }
        let changes = std::mem::take(&mut state.unsynced_names);
        for change in changes {
            match &outcome {
                _ if change.directory != dir => state.unsynced_names.push(change),
                Ok(()) => change.apply(&mut state.durable_names),
                // The creation of a directory stays unsynced and is not forgotten. If it were, the only
                // remedy would be to remove the directory.
                Err(_) if matches!(change.now, Some((_, Node::Directory))) => {
                    state.unsynced_names.push(change);
                }
                Err(_) => {}
            }
        }
        outcome.map_err(|(_, error)| error)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.plain_operation()?;
        let file = state.file(path)?;
        Ok(Box::new(SimFile { disk: self.clone(), process: state.process, file }))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.plain_operation()?;
        let file = state.create_file(path)?;
        Ok(Box::new(SimFile { disk: self.clone(), process: state.process, file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.plain_operation()?;
        let file = Node::File(state.file(from)?);
        state.change_name(Some(from), Some((to, file)))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.plain_operation()?;
        state.file(path)?;
        state.change_name(Some(path), None)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Guard>> {
        let mut state = self.state();
        state.plain_operation()?;
        if state.file(path).is_err() {
            state.create_file(path)?;
        }
        if !state.locks.insert(path.to_owned()) {
            return Ok(None);
        }
        let (disk, process) = (self.clone(), state.process);
        Ok(Some(Box::new(SimLock { disk, process, path: path.to_owned() })))
    }
}

struct SimLock {
    disk: SimDisk,
    process: u64,
    path: PathBuf,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.process == self.process {
            state.locks.remove(&self.path);
        }
    }
}

struct SimFile {
    disk: SimDisk,
    process: u64,
    file: usize,
}

impl SimFile {
    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.disk.state();
        assert_eq!(state.process, self.process, "a handle of a process that is gone");
        state
    }
}

impl DiskFile for SimFile {
    fn size(&self) -> io::Result<u64> {
        let mut state = self.state();
        state.plain_operation()?;
        Ok(state.files[self.file].cached.len() as u64)
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        state.plain_operation()?;
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = state.files[self.file].cached.get(start..).and_then(|b| b.get(..buffer.len()));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let before = state.stopped;
        let mut outcome = state.operation();
        let room = state.room(self.file, start, bytes.len());
        if outcome.is_ok() && room < bytes.len() {
            outcome = Err((Fault::Full, io::ErrorKind::StorageFull.into()));
        }
        // A write that fails may have written its first part.
        let done = match &outcome {
            Ok(()) => bytes.len(),
            Err((Fault::Full, _)) if room < bytes.len() => room,
            Err(_) if before || bytes.len() <= ATOMIC => 0,
            Err(_) => (state.operations % 7) as usize * bytes.len() / 6,
        };
        if done > 0 {
            state.files[self.file].write(start, &bytes[..done]);
            state.written += done as u64;
        }
        outcome.map_err(|(_, error)| error)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.state();
        let outcome = state.operation();
        let random = &mut StdRng::seed_from_u64(state.operations);
        let file = &mut state.files[self.file];
        match outcome {
            Ok(()) => file.sync(),
            Err((Fault::Stop, _)) => {}
            // The cache keeps pages that the disk never got, and nobody will write them again.
            Err(_) => file.write_some(random),
        }
        outcome.map_err(|(_, error)| error)
    }
}

//! A store that forgets everything with its process.

use super::{Census, Store, StoreError};
use std::io;

/// A store that keeps its value in memory. It is for tests of a node, and of what a node does when
/// saving fails.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore<D> {
    value: D,
    saves: u64,
    good_saves: Option<u64>,
    census: Census,
}

impl<D> MemoryStore<D> {
    /// Creates a store that holds `value`, as if it had been opened.
    pub fn new(value: D) -> Self {
        Self { value, saves: 0, good_saves: None, census: Census::default() }
    }

    /// Makes every save fail after `saves` more records.
    pub fn fail_after(&mut self, saves: u64) {
        self.good_saves = Some(saves);
    }
}

impl<D: Clone + PartialEq> Store<D> for MemoryStore<D> {
    fn value(&self) -> &D {
        &self.value
    }

    fn save(&mut self, next: &D) -> Result<(), StoreError> {
        if *next == self.value {
            return Ok(());
        }
        match &mut self.good_saves {
            Some(0) => {
                let source = io::Error::other("this memory store was told to fail");
                return Err(StoreError::Io { path: "memory".into(), op: "write", source });
            }
            Some(left) => *left -= 1,
            None => {}
        }
        self.value = next.clone();
        self.saves += 1;
        Ok(())
    }

    fn saves(&self) -> u64 {
        self.saves
    }

    fn census(&self) -> &Census {
        &self.census
    }

    fn save_census(&mut self, next: &Census) -> Result<(), StoreError> {
        self.census.clone_from(next);
        Ok(())
    }
}

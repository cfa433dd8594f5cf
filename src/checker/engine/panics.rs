//! Panics of threads that share locks: the caller gets the one that tells what happened.

use std::any::Any;
use std::panic::resume_unwind;
use std::sync::LockResult;
use std::thread;

/// What a thread ends with that finds a lock which another thread has panicked with.
struct AnotherPanicked;

/// A lock that is to be held.
pub(super) trait Held {
    /// What holds it.
    type Guard;

    /// Holds it. If another thread has panicked with it, this one ends, and says nothing: the other has.
    fn held(self) -> Self::Guard;
}

impl<T> Held for LockResult<T> {
    type Guard = T;

    fn held(self) -> T {
        self.unwrap_or_else(|_| resume_unwind(Box::new(AnotherPanicked)))
    }
}

/// What all threads have made. If some have panicked, so does this one, with what the first of them said that
/// was not just told by a lock that another has.
pub(super) fn all<T>(ended: impl IntoIterator<Item = thread::Result<T>>) -> Vec<T> {
    let (mut made, mut panicked) = (Vec::new(), None::<Box<dyn Any + Send>>);
    for result in ended {
        match result {
            Ok(one) => made.push(one),
            Err(panic) if panicked.as_ref().is_none_or(|first| first.is::<AnotherPanicked>()) => {
                panicked = Some(panic);
            }
            Err(_) => {}
        }
    }
    panicked.map_or(made, |panic| resume_unwind(panic))
}

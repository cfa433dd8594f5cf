//! Panics of threads that share locks: the caller gets the panic that tells what happened.

use std::any::Any;
use std::panic::resume_unwind;
use std::sync::LockResult;
use std::thread;

/// The panic of a thread that finds a lock with which another thread has panicked.
struct AnotherPanicked;

/// The result of taking a lock.
pub(super) trait Held {
    /// The guard that holds the lock.
    type Guard;

    /// Takes the lock. If another thread has panicked with the lock, this thread ends too, and prints
    /// nothing, because the other thread has.
    fn held(self) -> Self::Guard;
}

impl<T> Held for LockResult<T> {
    type Guard = T;

    fn held(self) -> T {
        self.unwrap_or_else(|_| resume_unwind(Box::new(AnotherPanicked)))
    }
}

/// The results of all threads. If some have panicked, this thread panics too. It repeats the first panic that
/// was not caused by a lock with which another thread had panicked.
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

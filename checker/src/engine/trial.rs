//! Tries handlers on messages that they may never meet.
//!
//! A handler need not be made for a message that never arrives in a local state, nor need a property of its
//! outputs. So a panic in a trial tells nothing of the world, and ends nothing.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether this thread tries something.
    static TRYING: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// Tries something and returns its outcome, or `None` if it panics. The panic is not printed.
pub(super) fn tried<T>(what: impl FnOnce() -> T) -> Option<T> {
    HOOK.call_once(|| {
        let print = take_hook();
        set_hook(Box::new(move |panic| {
            if !TRYING.get() {
                print(panic);
            }
        }));
    });
    TRYING.set(true);
    // Handlers are pure, so a panic leaves nothing behind.
    let came_of_it = catch_unwind(AssertUnwindSafe(what));
    TRYING.set(false);
    came_of_it.ok()
}

//! What tests of a whole cluster share. Each uses a part.
#![allow(dead_code, reason = "each test file that includes this uses a part of it")]

pub(crate) mod cluster;
pub(crate) mod history;
pub(crate) mod load;
pub(crate) mod processes;
pub(crate) mod program;
pub(crate) mod proxy;

use std::time::{Duration, Instant};

/// Longer than anything that is going to happen takes, on a loaded machine too.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// Asks until the answer comes. Panics after [`LONG`], saying what was waited for.
#[expect(clippy::disallowed_methods, reason = "what is waited for happens in another process")]
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < LONG, "waited {LONG:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

//! Log lines on standard error.

use super::Failure;
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

/// Begins to log what `filter` says, or else what the environment variable `RUST_LOG` says, or else
/// from `info` on.
pub(super) fn start(filter: Option<&str>) -> Result<(), Failure> {
    let variable = std::env::var("RUST_LOG").ok();
    let filter = filter.or(variable.as_deref()).unwrap_or("info");
    let filter = EnvFilter::builder().parse(filter).map_err(|error| {
        Failure::Refused(format!(
            "{filter:?} is no log filter: {error}; say error, warn, info, debug or trace"
        ))
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .init();
    Ok(())
}

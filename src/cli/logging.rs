//! Log lines on standard error. A node works on if nobody reads them: it neither waits for its log nor
//! stops for it.

use super::Failure;
use super::lossy::{Flush, Log, PATIENCE};
use std::env::{self, VarError};
use std::io::{self, IsTerminal, Write};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// How many lines may wait to be written.
const WAITING: usize = 1024;

/// Begins to log by `filter`, or else by the environment variable `RUST_LOG`, or else from `info` on. An
/// empty variable counts as not set. Dropping the returned value writes the last lines.
pub(super) fn start(filter: Option<&str>) -> Result<Flush, Failure> {
    let refused = |name: &str, reason: String| Failure::Refused(format!("{name}: {reason}"));
    let filter = match (filter, env::var("RUST_LOG")) {
        (Some(filter), _) => parse(filter).map_err(|reason| refused("--log", reason))?,
        (None, Ok(filter)) if !filter.trim().is_empty() => {
            parse(&filter).map_err(|reason| refused("RUST_LOG", reason))?
        }
        (None, Ok(_) | Err(VarError::NotPresent)) => EnvFilter::new("info"),
        (None, Err(VarError::NotUnicode(_))) => {
            return Err(refused("RUST_LOG", "it is no text".to_owned()));
        }
    };
    let log = Log::to(io::stderr(), WAITING);
    let lines = log.clone();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || lines.clone())
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .init();
    Ok(Flush(log))
}

/// Says on standard error why the program ends. If nobody reads that, the exit code still tells.
pub(super) fn last_words(words: &str) {
    // The queue has room for the words and for the request to write them.
    let mut log = Log::to(io::stderr(), 2);
    // Writing to a log never fails.
    let _ = log.write_all(format!("{words}\n").as_bytes());
    log.flush_within(PATIENCE);
}

/// Parses a filter, every part of which must name a level. Otherwise a misspelt level would be taken for a
/// part of the program, and everything else silenced.
fn parse(filter: &str) -> Result<EnvFilter, String> {
    let parts = || filter.split(',').map(|part| part.rsplit_once('=').map_or(part, |it| it.1));
    let is_level = |level: &str| !level.is_empty() && level.parse::<LevelFilter>().is_ok();
    let unsound = |reason: String| {
        format!(
            "{filter:?} is no log filter: {reason}; say off, error, warn, info, debug or trace, for \
             all or as in `info,checked_raft::runtime=debug`"
        )
    };
    if let Some(level) = parts().map(str::trim).find(|level| !is_level(level)) {
        return Err(unsound(format!("{level:?} is no level")));
    }
    EnvFilter::builder().parse(filter).map_err(|error| unsound(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_filter_says_a_level_for_all_or_for_each_part() {
        for filter in ["info", "OFF", "warn,checked_raft=debug", "checked_raft::runtime=trace"] {
            assert!(parse(filter).is_ok(), "{filter}");
        }
    }

    #[test]
    fn a_filter_without_a_level_is_refused_with_the_levels() {
        for filter in ["", " ", "inof", "blah=", "checked_raft", "info,", "info,x=", "=", "a=b"] {
            let error = parse(filter).expect_err(filter);
            assert!(error.contains("no level") && error.contains("debug or trace"), "{error}");
        }
    }
}

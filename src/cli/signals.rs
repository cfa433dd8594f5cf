//! The signals that ask a command to stop. The command then stops in its own way.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::ffi::c_int;

/// The signals of Ctrl-C, of `kill`, and of a terminal that is closed. The last one is left out if this
/// process was told to ignore it, as `nohup` does.
pub(super) fn stopping() -> Vec<c_int> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut signals = vec![SIGINT, SIGTERM];
    signals.extend((!is_ignored(SIGHUP, &status)).then_some(SIGHUP));
    signals
}

/// Whether a process ignores a signal, by the text of its `/proc/PID/status`. Without that text, no signal
/// counts as ignored.
fn is_ignored(signal: c_int, status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u128::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::{SIGHUP, SIGTERM, is_ignored};

    #[test]
    fn a_signal_is_ignored_if_its_bit_is_set() {
        let status = "Name:\traft\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001001\n";
        assert!(is_ignored(SIGHUP, status));
        assert!(!is_ignored(SIGTERM, status));
        assert!(!is_ignored(SIGHUP, &status.replace("1001", "1000")));
        assert!(!is_ignored(SIGHUP, ""));
    }
}

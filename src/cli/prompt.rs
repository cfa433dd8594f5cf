//! What people, or scripts, tell a running `raft cluster` on its standard input.

use std::io::BufRead;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

/// An order to a running cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Kills a server without warning (SIGKILL).
    Kill(u64),
    /// Starts a server again that was killed or has ended.
    Restart(u64),
    /// Stops the clock of a server (SIGSTOP).
    Pause(u64),
    /// Lets a paused server go on (SIGCONT).
    Resume(u64),
    /// Prints the state of every server.
    Status,
    /// Does nothing for so many seconds; for scripts.
    Wait(u64),
    /// Stops all servers.
    Quit,
}

/// The orders, for people.
pub(super) const ORDERS: &str = "kill N, restart N, pause N, resume N, status, wait SECONDS, quit";

impl FromStr for Order {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<_> = text.split_whitespace().collect();
        let number = |word: &str| {
            word.parse().map_err(|_| format!("`{text}`: {word:?} is no number; say {ORDERS}"))
        };
        match words[..] {
            ["kill", id] => Ok(Self::Kill(number(id)?)),
            ["restart", id] => Ok(Self::Restart(number(id)?)),
            ["pause", id] => Ok(Self::Pause(number(id)?)),
            ["resume", id] => Ok(Self::Resume(number(id)?)),
            ["status"] => Ok(Self::Status),
            ["wait", seconds] => Ok(Self::Wait(number(seconds)?)),
            ["quit"] => Ok(Self::Quit),
            _ => Err(format!("`{text}` is no order; say {ORDERS}")),
        }
    }
}

/// Reads orders in a thread of its own until the input ends, which ends no cluster. `give` takes each, or
/// the sentence that says why a line is none.
pub(super) fn read(
    input: impl BufRead + Send + 'static,
    mut give: impl FnMut(Result<Order, String>) + Send + 'static,
) -> std::io::Result<()> {
    let lines = move || {
        for line in input.lines().map_while(Result::ok) {
            match line.trim() {
                "" => {}
                order => match order.parse() {
                    // The lines that follow wait, and nothing else does.
                    Ok(Order::Wait(seconds)) => thread::park_timeout(Duration::from_secs(seconds)),
                    order => give(order),
                },
            }
        }
    };
    thread::Builder::new().name("orders".to_owned()).spawn(lines).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_word_and_perhaps_a_number() {
        assert_eq!("kill 2".parse(), Ok(Order::Kill(2)));
        assert_eq!("  restart   3 ".parse(), Ok(Order::Restart(3)));
        assert_eq!("status".parse(), Ok(Order::Status));
        for wrong in ["kill", "kill two", "kil 2", "status 1", "quit now"] {
            let error = Order::from_str(wrong).expect_err("it is no order");
            assert!(error.contains(wrong) && error.contains("say kill N"), "{error}");
        }
    }
}

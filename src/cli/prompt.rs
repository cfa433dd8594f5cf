//! The orders that people or scripts give to a running `raft cluster` on its standard input.

use std::collections::BTreeSet;
use std::fmt;
use std::io::BufRead;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

/// An order to a running cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Kills a server without warning (SIGKILL).
    Kill(u64),
    /// Starts a server again that was killed or has ended.
    Restart(u64),
    /// Stops the clock of a server (SIGSTOP).
    Pause(u64),
    /// Lets a paused server go on (SIGCONT).
    Resume(u64),
    /// Makes a server the leader.
    Transfer(u64),
    /// Cuts links between servers.
    Cut(Cut),
    /// Makes these links whole again, or all.
    Heal(Option<Cut>),
    /// Prints the state of every server.
    Status,
    /// Does nothing for so many seconds; for scripts.
    Wait(u64),
    /// Stops all servers.
    Quit,
}

/// The orders, for people.
pub(super) const ORDERS: &str = "kill N, restart N, pause N, resume N, transfer N, cut N.. | N.., \
                                 cut N.. > N.., heal, heal N.. | N.., \
                                 heal N.. > N.., status, wait SECONDS, quit";

/// The links that one order cuts. Servers that it does not name keep all their links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// No datagram passes from any of these groups to another.
    Apart(Vec<BTreeSet<u64>>),
    /// No datagram passes from the first group to the second.
    OneWay(BTreeSet<u64>, BTreeSet<u64>),
}

impl Cut {
    /// Reads what stands behind the word `cut`. The error says what is wrong with it.
    fn read(text: &str) -> Result<Self, String> {
        let is_one_way = text.contains('>');
        if is_one_way && (text.contains('|') || text.matches('>').count() > 1) {
            return Err("a cut of one direction has one `>` and no `|`".to_owned());
        }
        let mut seen = BTreeSet::new();
        let mut groups = Vec::new();
        for part in text.split(['|', '>']) {
            let mut group = BTreeSet::new();
            for word in part.split_whitespace() {
                let server = word.parse().map_err(|_| format!("{word:?} is no number"))?;
                if !seen.insert(server) {
                    return Err(format!("server {server} is named twice"));
                }
                group.insert(server);
            }
            groups.push(group);
        }
        if groups.len() < 2 || groups.iter().any(BTreeSet::is_empty) {
            return Err("a cut is between servers, as in `cut 1 | 2 3` or `cut 1 > 2`".to_owned());
        }
        if !is_one_way {
            return Ok(Self::Apart(groups));
        }
        let to = groups.pop().expect("there are two groups");
        let from = groups.pop().expect("there are two groups");
        Ok(Self::OneWay(from, to))
    }

    /// The sentence for links that are whole again.
    pub(super) fn healed(&self) -> String {
        match self {
            Self::OneWay(from, to) => {
                format!("Datagrams pass again from {} to {}.", listed(from), listed(to))
            }
            Self::Apart(groups) => {
                let groups: Vec<_> = groups.iter().map(listed).collect();
                format!("Datagrams pass again between {}.", groups.join(" | "))
            }
        }
    }

    /// The links that are cut, each as its sender and its receiver.
    pub(super) fn links(&self) -> BTreeSet<(u64, u64)> {
        let between = |from: &BTreeSet<u64>, to: &BTreeSet<u64>| {
            let pairs = from.iter().flat_map(|from| to.iter().map(|to| (*from, *to)));
            pairs.collect::<Vec<_>>()
        };
        match self {
            Self::OneWay(from, to) => between(from, to).into_iter().collect(),
            Self::Apart(groups) => {
                let pairs = groups.iter().flat_map(|from| groups.iter().map(move |to| (from, to)));
                pairs
                    .filter(|(from, to)| from != to)
                    .flat_map(|(from, to)| between(from, to))
                    .collect()
            }
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneWay(from, to) => {
                write!(f, "No datagram passes from {} to {}.", listed(from), listed(to))
            }
            Self::Apart(groups) => {
                let groups: Vec<_> = groups.iter().map(listed).collect();
                write!(f, "No datagram passes between {}.", groups.join(" | "))
            }
        }
    }
}

/// The numbers of servers with spaces between them.
pub(super) fn listed(servers: &BTreeSet<u64>) -> String {
    servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

impl FromStr for Order {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: String| format!("`{text}`: {why}; say {ORDERS}");
        let text = text.trim();
        // The signs of a cut need no spaces around them.
        if let Some(cut) = text.strip_prefix("cut")
            && !cut.starts_with(char::is_alphanumeric)
        {
            return Cut::read(cut).map(Self::Cut).map_err(wrong);
        }
        if let Some(links) = text.strip_prefix("heal")
            && links.contains(['|', '>'])
        {
            return Cut::read(links).map(|links| Self::Heal(Some(links))).map_err(wrong);
        }
        let words: Vec<_> = text.split_whitespace().collect();
        let number = |word: &str| word.parse().map_err(|_| wrong(format!("{word:?} is no number")));
        match words[..] {
            ["kill", id] => Ok(Self::Kill(number(id)?)),
            ["restart", id] => Ok(Self::Restart(number(id)?)),
            ["pause", id] => Ok(Self::Pause(number(id)?)),
            ["resume", id] => Ok(Self::Resume(number(id)?)),
            ["transfer", id] => Ok(Self::Transfer(number(id)?)),
            ["heal"] => Ok(Self::Heal(None)),
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
        assert_eq!("transfer 1".parse(), Ok(Order::Transfer(1)));
        assert_eq!("status".parse(), Ok(Order::Status));
        for wrong in ["kill", "transfer", "kill two", "kil 2", "status 1", "quit now"] {
            let error = Order::from_str(wrong).expect_err("it is no order");
            assert!(error.contains(wrong) && error.contains("say kill N"), "{error}");
        }
    }

    fn cut(text: &str) -> Result<(Vec<(u64, u64)>, String), String> {
        match text.parse()? {
            Order::Cut(cut) => Ok((cut.links().into_iter().collect(), cut.to_string())),
            order => panic!("{order:?} is no cut"),
        }
    }

    #[test]
    fn a_cut_takes_every_link_from_group_to_group_and_no_other() {
        for text in ["cut 1 | 3 2", " cut  1|2  3 "] {
            let (links, told) = cut(text).expect("it is an order");
            assert_eq!(links, [(1, 2), (1, 3), (2, 1), (3, 1)]);
            assert_eq!(told, "No datagram passes between 1 | 2 3.");
        }
        let (links, _) = cut("cut 1 | 2 | 3").expect("it is an order");
        assert_eq!(links, [(1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2)]);
        let (links, told) = cut("cut 1 2 > 3").expect("it is an order");
        assert_eq!(links, [(1, 3), (2, 3)]);
        assert_eq!(told, "No datagram passes from 1 2 to 3.");
    }

    #[test]
    fn a_cut_that_is_none_is_refused_with_a_reason() {
        let (between, one_way) = ("a cut is between servers", "has one `>` and no `|`");
        for (text, reason) in [
            ("cut", between),
            ("cut 1 2", between),
            ("cut | 1", between),
            ("cut 1 |", between),
            ("cut 1 > 2 > 3", one_way),
            ("cut 1 > 2 | 3", one_way),
            ("cut 1 | 2,3", "\"2,3\" is no number"),
            ("cut 1 | 2 1", "server 1 is named twice"),
            ("cut1 | 2", "is no order"),
            ("heal 1", "is no order"),
        ] {
            let error = cut(text).expect_err("it is no order");
            assert!(error.contains(reason) && error.contains("say kill N"), "{text}: {error}");
        }
        assert_eq!("heal".parse(), Ok(Order::Heal(None)));
    }

    #[test]
    fn some_links_are_healed_as_they_are_cut() {
        let Ok(Order::Heal(Some(links))) = "heal 1>2".parse() else { panic!("no order to heal") };
        assert_eq!(links.links().into_iter().collect::<Vec<_>>(), [(1, 2)]);
        assert_eq!(links.healed(), "Datagrams pass again from 1 to 2.");
        let Ok(Order::Heal(Some(links))) = "heal 1 | 2".parse() else { panic!("no order to heal") };
        assert_eq!(links.healed(), "Datagrams pass again between 1 | 2.");
        let error = Order::from_str("heal 1 |").expect_err("it is no order");
        assert!(error.contains("`heal 1 |`: a cut is between servers"), "{error}");
    }
}

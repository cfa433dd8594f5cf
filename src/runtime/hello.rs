//! Messages that servers send each other beside their actors' messages. A [`Hello`] says who its sender
//! is and whom the sender knows. A [`Refusal`] says why its sender refuses somebody. `peers` has the
//! rules.

use super::store::Life;
use super::wire::Reject;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

/// The greeting of a server. The datagram's header says who the sender is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Whether the sender asks for a hello in return, because it has not yet heard one of the addressee.
    pub asks: bool,
    /// The latest starts of the sender, the present one included: the counter and random part of each.
    pub starts: BTreeMap<u64, u64>,
    /// The servers that the sender knows.
    pub known: Vec<Sighting>,
}

/// The knowledge of one server about another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The number of the server that was seen.
    pub server: u64,
    /// The latest life of the server that was seen.
    pub life: Life,
    /// How many saves the server had made, if that is known of this life.
    pub saves: Option<u64>,
}

/// The notice that a node drops a server's datagrams. The node sends it to the refused process, and to
/// the process that it knew before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The life that is refused.
    pub life: Life,
    /// The address from which the refused life was heard.
    pub address: SocketAddr,
    /// The reason for the refusal.
    pub reason: Reason,
    /// The life that is known instead.
    pub known: Life,
}

/// The reason for which a server is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// Another directory was known first: the server has lost the one it had.
    OtherDirectory,
    /// A later start of the directory is known: the server runs from an older copy.
    EarlierStart,
    /// A start of the directory is known that is none of the server's own: one of the two is a copy.
    OtherStart,
    /// An earlier start had made more saves: the server runs from an older copy.
    LostSaves,
    /// The earlier start is still heard, at another address.
    SecondProcess,
}

impl Reason {
    /// The reason's name in a node's status.
    pub fn name(self) -> &'static str {
        let reject = self.reject();
        let name = Reject::ALL.iter().find(|(it, _)| *it == reject);
        name.expect("every reject has a name").1
    }

    /// The reason under which the refused datagram is counted.
    pub(super) fn reject(self) -> Reject {
        match self {
            Self::OtherDirectory => Reject::OtherDirectory,
            Self::EarlierStart => Reject::EarlierStart,
            Self::OtherStart => Reject::OtherStart,
            Self::LostSaves => Reject::LostSaves,
            Self::SecondProcess => Reject::SecondProcess,
        }
    }

    /// The advice to people about a server that is refused for this reason.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::OtherDirectory => {
                "stop it, and start it from the data directory it had; if that is lost, leave this \
                 number stopped: the others go on without it as long as a majority runs"
            }
            Self::EarlierStart | Self::OtherStart | Self::LostSaves => {
                "stop it, and start it from its latest data directory and not from a copy; if that is \
                 lost, leave this number stopped: the others go on without it as long as a majority runs"
            }
            Self::SecondProcess => "stop one of the two",
        }
    }
}

/// The reason as a clause about the refused server, such as `it has ...`.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherDirectory => {
                "it has another data directory than it had, so it has forgotten what it promised"
            }
            Self::EarlierStart => {
                "a later start of its data directory is known, so it runs from an older copy"
            }
            Self::OtherStart => {
                "a start of its data directory is known that is none of its own, so it runs from a copy"
            }
            Self::LostSaves => {
                "it has made fewer saves than an earlier start of it had, so it runs from an older copy"
            }
            Self::SecondProcess => "the process that was known before is still heard elsewhere",
        })
    }
}

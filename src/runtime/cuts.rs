//! The links that somebody has cut on purpose. A node drops every datagram of a peer whose link is cut.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// For each peer of a node, whether the node drops the peer's datagrams. All clones share one set of cuts.
///
/// A cut works in one direction: the node still sends to the peer. Nothing that arrives over the network
/// can change a cut.
#[derive(Clone, Debug, Default)]
pub struct Cuts(Arc<BTreeMap<u64, AtomicBool>>);

impl Cuts {
    /// Creates whole links from these peers.
    pub fn among(peers: impl IntoIterator<Item = u64>) -> Self {
        Self(Arc::new(peers.into_iter().map(|peer| (peer, AtomicBool::new(false))).collect()))
    }

    /// Cuts the links from these peers, and no others. Returns whether that changed anything. If a number is
    /// no peer's, the function changes nothing and returns the first such number as the error.
    pub fn set(&self, peers: &BTreeSet<u64>) -> Result<bool, u64> {
        if let Some(stranger) = peers.iter().find(|peer| !self.0.contains_key(*peer)) {
            return Err(*stranger);
        }
        let mut has_changed = false;
        for (peer, cut) in self.0.iter() {
            let is_cut = peers.contains(peer);
            has_changed |= cut.swap(is_cut, Ordering::AcqRel) != is_cut;
        }
        Ok(has_changed)
    }

    /// Whether the link from this peer is cut.
    pub fn is_cut(&self, peer: u64) -> bool {
        self.0.get(&peer).is_some_and(|cut| cut.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::Cuts;

    #[test]
    fn each_set_of_cuts_takes_the_place_of_the_last() {
        let cuts = Cuts::among([2, 3]);
        let node = cuts.clone();
        assert_eq!(cuts.set(&[2].into()), Ok(true));
        assert_eq!(cuts.set(&[2].into()), Ok(false));
        assert!(node.is_cut(2) && !node.is_cut(3));
        assert_eq!(cuts.set(&[3].into()), Ok(true));
        assert!(!node.is_cut(2) && node.is_cut(3));
        assert_eq!(cuts.set(&[].into()), Ok(true));
        assert!(![2, 3].map(|peer| node.is_cut(peer)).contains(&true));
    }

    #[test]
    fn a_number_that_is_no_peers_changes_nothing() {
        let cuts = Cuts::among([2, 3]);
        assert_eq!(cuts.set(&[2, 9].into()), Err(9));
        assert!(!cuts.is_cut(2) && !cuts.is_cut(9));
    }
}

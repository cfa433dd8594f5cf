//! Whether a server is in touch with its cluster, as far as it can tell from what it hears. The
//! [`Journal`](super::journal::Journal) tells [`Contact`] of each batch and logs the news that it
//! returns. Only people are told; the protocol is not, for it has no clock.

use super::journal::News;
use crate::raft::{Members, Parameters, Role, Server};
use stateright::actor::Id;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The contact of a server with its cluster. Moments are times since the node started.
#[derive(Debug)]
pub(super) struct Contact {
    /// How many other servers a leader needs for a majority.
    others_needed: usize,
    /// The longest silence that is no problem: the longest election timeout.
    patience: Duration,
    standing: Standing,
    /// The moment since which the server stands so.
    since: Duration,
    /// Whether people were told that the server has been out of touch for too long.
    is_told: bool,
    /// The moment when each other server was heard last.
    heard: BTreeMap<Id, Duration>,
    /// How often the server tried to be elected since it last knew a leader.
    candidacies: u64,
}

/// How a server stands in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Leads,
    Follows,
    /// The server knows no leader, as a follower or as a candidate.
    Seeks,
}

impl Standing {
    pub(super) fn of<S>(server: &Server<S>) -> Self {
        match server.role {
            Role::Leader(_) => Self::Leads,
            Role::Follower { leader: Some(_), .. } => Self::Follows,
            Role::Follower { leader: None, .. }
            | Role::PreCandidate { .. }
            | Role::Candidate { .. }
            | Role::Halted(_) => Self::Seeks,
        }
    }
}

impl Contact {
    pub(super) fn new(parameters: &Parameters) -> Self {
        Self {
            others_needed: 0,
            patience: parameters.election_timeout.end,
            standing: Standing::Seeks,
            since: Duration::ZERO,
            is_told: false,
            heard: BTreeMap::new(),
            candidacies: 0,
        }
    }

    /// Notes who the members are. So many of the others as a majority needs are asked for.
    pub(super) fn members_are(&mut self, members: &Members) {
        self.others_needed = members.majority() - 1;
    }

    /// Notes that the server campaigns once more, with a pre-vote or an election. There is news whenever the
    /// number of campaigns in vain has doubled.
    pub(super) fn stands(&mut self) -> Option<News> {
        let in_vain = self.candidacies;
        self.candidacies += 1;
        in_vain.is_power_of_two().then_some(News::StoodInVain(in_vain))
    }

    /// Notes that a batch was committed `at` this moment, in which the server heard from the `speakers`.
    /// There is news when the server was out of touch for too long, and when a leader hears from a
    /// majority again.
    pub(super) fn update(
        &mut self,
        at: Duration,
        standing: Standing,
        speakers: &mut BTreeSet<Id>,
    ) -> Option<News> {
        self.heard.extend(std::mem::take(speakers).into_iter().map(|speaker| (speaker, at)));
        if standing != self.standing {
            (self.standing, self.since, self.is_told) = (standing, at, false);
        }
        if standing != Standing::Seeks {
            self.candidacies = 0;
        }
        let silence = self.silence(at)?;
        let is_too_long = silence > self.patience;
        if is_too_long == self.is_told {
            return None;
        }
        self.is_told = is_too_long;
        Some(match (standing, is_too_long) {
            (Standing::Leads, true) => News::HeardNoMajority(silence),
            (Standing::Leads, false) => News::HearsMajority,
            (_, _) => News::KnowsNoLeader(silence),
        })
    }

    /// How long the server has been out of touch. For a leader that is the time since it last heard from
    /// a majority, itself included. For a server that knows no leader, it is the time since it last knew
    /// one. `None` while it follows a leader.
    fn silence(&self, at: Duration) -> Option<Duration> {
        match self.standing {
            Standing::Follows => None,
            Standing::Seeks => Some(at.saturating_sub(self.since)),
            Standing::Leads => Some(at.saturating_sub(self.majority_heard(at))),
        }
    }

    /// The moment when a leader last heard a majority. The leader's election counts as hearing one.
    fn majority_heard(&self, at: Duration) -> Duration {
        if self.others_needed == 0 {
            return at;
        }
        let mut heard: Vec<_> = self.heard.values().copied().collect();
        heard.sort_unstable_by(|a, b| b.cmp(a));
        heard.get(self.others_needed - 1).map_or(self.since, |heard| (*heard).max(self.since))
    }

    /// How long ago a leader last heard from a majority; `None` if the server does not lead.
    pub(super) fn majority_heard_ago(&self, at: Duration) -> Option<Duration> {
        let leads = self.standing == Standing::Leads;
        leads.then(|| self.silence(at)).flatten()
    }

    /// The problem at this moment, in a sentence, if there is one.
    pub(super) fn warning(&self, at: Duration) -> Option<String> {
        let silence = self.silence(at).filter(|silence| *silence > self.patience)?;
        let ms = silence.as_millis();
        Some(match self.standing {
            Standing::Leads => format!(
                "it leads, but has not heard from a majority for {ms} ms and can commit nothing"
            ),
            _ => format!(
                "it has known no leader for {ms} ms and tried to be elected {} times",
                self.candidacies
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// The contact of server 0 in a cluster of so many servers, numbered from 0. The patience is 300 ms.
    fn contact(servers: usize) -> Contact {
        let mut contact = Contact::new(&Parameters::default());
        contact.members_are(&(0..servers).map(Id::from).collect());
        contact
    }

    /// The news of a batch committed at `ms` in which these were heard.
    fn news(contact: &mut Contact, ms: u64, standing: Standing, heard: &[usize]) -> Option<News> {
        let mut speakers = heard.iter().copied().map(Id::from).collect();
        contact.update(MS(ms), standing, &mut speakers)
    }

    #[test]
    fn a_leader_that_hears_no_majority_is_told_of_once_and_once_more_when_it_hears_it_again() {
        use Standing::Leads;
        let mut contact = contact(5);
        assert_eq!(news(&mut contact, 1000, Leads, &[]), None, "it has just been elected");
        assert_eq!(news(&mut contact, 1290, Leads, &[1, 2]), None);
        assert_eq!(news(&mut contact, 1500, Leads, &[1]), None);
        assert_eq!(contact.majority_heard_ago(MS(1550)), Some(MS(260)));
        assert_eq!(contact.warning(MS(1550)), None);
        let no_majority = News::HeardNoMajority(MS(310));
        assert_eq!(news(&mut contact, 1600, Leads, &[1]), Some(no_majority));
        let warning = contact.warning(MS(1610)).expect("a warning");
        assert!(warning.contains("not heard from a majority for 320 ms"), "{warning}");
        assert_eq!(news(&mut contact, 2600, Leads, &[1]), None, "it was said");
        assert_eq!(news(&mut contact, 2700, Leads, &[3]), Some(News::HearsMajority));
        assert_eq!(contact.warning(MS(2700)), None);
        assert_eq!(news(&mut contact, 2800, Leads, &[]), None);
        assert_eq!(news(&mut contact, 3001, Leads, &[]), Some(News::HeardNoMajority(MS(401))));
    }

    #[test]
    fn what_was_heard_before_the_election_does_not_make_a_new_leader_deaf() {
        let mut contact = contact(3);
        assert_eq!(news(&mut contact, 10, Standing::Follows, &[1, 2]), None);
        assert_eq!(news(&mut contact, 1000, Standing::Leads, &[]), None);
        assert_eq!(contact.majority_heard_ago(MS(1100)), Some(MS(100)));
        assert_eq!(news(&mut contact, 1200, Standing::Follows, &[]), None);
        assert_eq!(contact.majority_heard_ago(MS(1300)), None, "it does not lead");
    }

    #[test]
    fn the_only_server_of_a_cluster_is_a_majority() {
        let mut contact = contact(1);
        assert_eq!(news(&mut contact, 200, Standing::Leads, &[]), None);
        assert_eq!(news(&mut contact, 5000, Standing::Leads, &[]), None);
        assert_eq!(contact.majority_heard_ago(MS(9000)), Some(MS(0)));
    }

    #[test]
    fn a_server_that_knows_no_leader_is_told_of_once_until_it_knows_one() {
        use Standing::{Follows, Seeks};
        let mut contact = contact(3);
        assert_eq!(news(&mut contact, 299, Seeks, &[2]), None);
        assert_eq!(news(&mut contact, 350, Seeks, &[2]), Some(News::KnowsNoLeader(MS(350))));
        assert_eq!(news(&mut contact, 900, Seeks, &[2]), None);
        assert!(contact.warning(MS(900)).expect("a warning").contains("no leader for 900 ms"));
        assert_eq!(news(&mut contact, 1000, Follows, &[2]), None);
        assert_eq!(contact.warning(MS(9000)), None);
        assert_eq!(news(&mut contact, 9000, Seeks, &[2]), None);
        assert_eq!(news(&mut contact, 9301, Seeks, &[2]), Some(News::KnowsNoLeader(MS(301))));
    }

    #[test]
    fn elections_in_vain_are_told_of_when_their_number_doubles_until_there_is_a_leader() {
        let mut contact = contact(3);
        let told = |contact: &mut Contact| (0..10).filter_map(|_| contact.stands()).collect();
        let told_first: Vec<_> = told(&mut contact);
        assert_eq!(told_first, [1, 2, 4, 8].map(News::StoodInVain));
        assert_eq!(news(&mut contact, 100, Standing::Seeks, &[]), None);
        let goes_on: Vec<_> = told(&mut contact);
        assert_eq!(goes_on, [News::StoodInVain(16)]);
        news(&mut contact, 200, Standing::Leads, &[]);
        let told_again: Vec<_> = told(&mut contact);
        assert_eq!(told_again, told_first);
    }
}

//! Which servers there are and where, as they say themselves.

use super::error::ClientError;
use super::status::{Member, ServerStatus, Surveyed};
use super::{Deadline, Options};
use crate::raft::Message;
use crate::runtime::endpoint::{Endpoint, Heard};
use crate::runtime::wire::CLIENTS;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Begins with some addresses and learns the rest from whoever answers there.
#[derive(Debug)]
pub(super) struct Roster {
    /// By nonce. One nonce for each address, so that an answer tells which address reached it.
    questions: BTreeMap<u64, Question>,
    /// Where to reach each server.
    members: BTreeMap<u64, SocketAddr>,
    reports: BTreeMap<u64, ServerStatus>,
}

#[derive(Debug)]
struct Question {
    address: SocketAddr,
    /// The number of the server at this address, once known.
    server: Option<u64>,
}

/// A socket that reaches these addresses.
pub(super) fn open(
    cluster: &str,
    addresses: &[SocketAddr],
) -> Result<Endpoint<Message>, ClientError> {
    let ipv4 = addresses.first().ok_or(ClientError::NoAddress)?.is_ipv4();
    if addresses.iter().any(|address| address.is_ipv4() != ipv4) {
        return Err(ClientError::MixedAddresses);
    }
    Endpoint::open(cluster, ipv4).map_err(|source| ClientError::Socket { source, in_flight: false })
}

impl Roster {
    pub(super) fn new(addresses: &[SocketAddr]) -> Result<Self, ClientError> {
        if addresses.is_empty() {
            return Err(ClientError::NoAddress);
        }
        let (members, reports) = (BTreeMap::new(), BTreeMap::new());
        let mut roster = Self { questions: BTreeMap::new(), members, reports };
        for address in addresses {
            roster.add_question(*address, None);
        }
        Ok(roster)
    }

    /// Asks until `enough` or until the deadline.
    pub(super) fn gather(
        &mut self,
        endpoint: &mut Endpoint<Message>,
        deadline: Deadline,
        options: &Options,
        enough: impl Fn(&Self) -> bool,
    ) -> Result<(), ClientError> {
        while !enough(self) && !deadline.has_passed() {
            self.ask(endpoint);
            let round = deadline.min(Deadline::after(options.retry_interval));
            while !enough(self) {
                let heard = endpoint
                    .receive(round)
                    .map_err(|source| ClientError::Socket { source, in_flight: false })?;
                match heard {
                    Some(Heard::Report { server, nonce, status }) => {
                        if self.hear(server, nonce, &status) {
                            self.ask(endpoint);
                        }
                    }
                    Some(Heard::Reply { .. }) => {}
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// Asks who has not answered. A datagram that cannot be sent is as good as lost.
    fn ask(&self, endpoint: &Endpoint<Message>) {
        for (nonce, question) in &self.questions {
            let has_answered = |server| self.reports.contains_key(&server);
            if !question.server.is_some_and(has_answered)
                && let Err(error) = endpoint.inspect(question.address, *nonce)
            {
                tracing::debug!(address = %question.address, "cannot send an inspection: {error}");
            }
        }
    }

    /// Takes a report; says whether it told of an address not asked yet. What makes no sense is
    /// ignored.
    pub(super) fn hear(&mut self, server: u64, nonce: u64, status: &[u8]) -> bool {
        let Some(question) = self.questions.get_mut(&nonce) else { return false };
        let Ok(status) = serde_json::from_slice::<ServerStatus>(status) else { return false };
        let is_one_of_them = status.members.iter().any(|member| member.id == server);
        let are_servers = status.members.iter().all(|member| (1..CLIENTS).contains(&member.id));
        if status.id != server || !is_one_of_them || !are_servers {
            return false;
        }
        // The address at which it was reached, not the one it listens on, which may be `0.0.0.0`,
        // nor the one at which others reach it.
        question.server = Some(server);
        self.members.insert(server, question.address);
        let mut has_news = false;
        for Member { id, address } in status.members.iter().filter(|member| member.id != server) {
            if !self.reports.contains_key(id) {
                self.members.entry(*id).or_insert(*address);
                has_news |= self.add_question(*address, Some(*id));
            }
        }
        self.reports.insert(server, status);
        has_news
    }

    /// Adds a question, unless the address is being asked.
    fn add_question(&mut self, address: SocketAddr, server: Option<u64>) -> bool {
        let asked = self.questions.values_mut().find(|question| question.address == address);
        if let Some(question) = asked {
            question.server = question.server.or(server);
            return false;
        }
        self.questions.insert(rand::random(), Question { address, server });
        true
    }

    pub(super) fn has_heard(&self) -> bool {
        !self.reports.is_empty()
    }

    pub(super) fn has_heard_all(&self) -> bool {
        let has_answered = |server| self.reports.contains_key(&server);
        self.questions.values().all(|question| question.server.is_some_and(has_answered))
    }

    /// Where to reach each server.
    pub(super) fn members(&self) -> &BTreeMap<u64, SocketAddr> {
        &self.members
    }

    /// Who leads, by the report of the latest term.
    pub(super) fn leader(&self) -> Option<u64> {
        let latest = self.reports.values().max_by_key(|status| status.term)?;
        latest.leader
    }

    pub(super) fn into_report(self) -> Option<ServerStatus> {
        self.reports.into_values().next()
    }

    pub(super) fn into_survey(mut self) -> Vec<Surveyed> {
        let nobody = self.questions.values().filter(|question| question.server.is_none());
        let mut nobody: Vec<_> = nobody.map(|question| question.address).collect();
        nobody.sort();
        let members = self.members.iter().map(|(id, address)| Surveyed {
            id: Some(*id),
            address: *address,
            status: self.reports.remove(id),
        });
        let nobody = nobody.into_iter().map(|address| Surveyed { id: None, address, status: None });
        members.chain(nobody).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::status::Progress;
    use serde_json::json;

    fn at(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    /// The report of server `id` of a cluster of three at ports 1 to 3.
    fn report(id: u64, term: u64, leader: Option<u64>) -> Vec<u8> {
        let members = [1, 2, 3].map(|id| json!({ "id": id, "address": at(id) }));
        let status = json!({
            "id": id, "role": "follower", "term": term, "leader": leader, "last_log_index": 4,
            "commit_index": 3, "last_applied": 3, "progress": [], "members": members,
            "cluster": "c", "counters": {},
        });
        status.to_string().into_bytes()
    }

    fn nonce(roster: &Roster, port: u16) -> u64 {
        let question = roster.questions.iter().find(|(_, question)| question.address == at(port));
        *question.expect("it is asked").0
    }

    #[test]
    fn one_answer_tells_of_all_servers() {
        let mut roster = Roster::new(&[at(2)]).expect("an address");
        assert!(roster.hear(2, nonce(&roster, 2), &report(2, 5, Some(3))));
        assert_eq!(*roster.members(), BTreeMap::from([(1, at(1)), (2, at(2)), (3, at(3))]));
        assert_eq!(roster.leader(), Some(3));
        assert!(roster.has_heard() && !roster.has_heard_all());
    }

    #[test]
    fn a_server_is_where_it_answered_whatever_others_say() {
        let mut roster = Roster::new(&[at(1), at(9)]).expect("addresses");
        roster.hear(1, nonce(&roster, 1), &report(1, 1, None));
        assert_eq!(roster.members()[&3], at(3));
        roster.hear(3, nonce(&roster, 9), &report(3, 1, None));
        assert_eq!(roster.members()[&3], at(9));
        roster.hear(2, nonce(&roster, 2), &report(2, 1, None));
        assert_eq!(roster.members()[&3], at(9));
        assert!(roster.has_heard_all());
    }

    #[test]
    fn the_latest_term_tells_the_leader() {
        let mut roster = Roster::new(&[at(1), at(2)]).expect("addresses");
        roster.hear(1, nonce(&roster, 1), &report(1, 7, Some(2)));
        roster.hear(2, nonce(&roster, 2), &report(2, 6, Some(1)));
        assert_eq!(roster.leader(), Some(2));
    }

    #[test]
    fn what_makes_no_sense_is_ignored() {
        let mut roster = Roster::new(&[at(1)]).expect("an address");
        let nonce = nonce(&roster, 1);
        let mut alien = serde_json::from_slice::<ServerStatus>(&report(1, 1, None)).expect("sound");
        alien.progress.push(Progress { id: 2, next_index: 1, match_index: 0 });
        alien.members.push(Member { id: CLIENTS, address: at(4) });
        for (server, nonce, status) in [
            (1, nonce ^ 1, report(1, 1, None)),
            (2, nonce, report(1, 1, None)),
            (4, nonce, report(4, 1, None)),
            (1, nonce, b"{}".to_vec()),
            (1, nonce, b"\xff".to_vec()),
            (1, nonce, serde_json::to_vec(&alien).expect("it has a JSON form")),
        ] {
            roster.hear(server, nonce, &status);
            assert!(!roster.has_heard(), "{server} {}", status.escape_ascii());
        }
    }

    #[test]
    fn a_survey_lists_members_by_number_and_then_the_addresses_nobody_has_claimed() {
        let mut roster = Roster::new(&[at(8), at(3), at(1)]).expect("addresses");
        roster.hear(1, nonce(&roster, 1), &report(1, 1, None));
        let survey = roster.into_survey();
        let rows: Vec<_> =
            survey.iter().map(|it| (it.id, it.address.port(), it.status.is_some())).collect();
        let expected =
            [(Some(1), 1, true), (Some(2), 2, false), (Some(3), 3, false), (None, 8, false)];
        assert_eq!(rows, expected);
    }
}

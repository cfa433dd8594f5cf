//! The roster: which servers there are and where, as they say themselves.
//!
//! A client begins with some addresses, asks the servers there, and learns the rest from their answers
//! ([`Roster::gather`]). Servers may move. So whenever a client waits in vain, it asks again
//! ([`Roster::ask_again`]) and goes on with what it is told then. It is enough if one server answers at
//! an address that the client knows.

use super::error::{ClientError, Sightings};
use super::pace::Moment;
use super::status::{Member, ServerStatus, Surveyed};
use super::{Deadline, Options};
use crate::raft::Message;
use crate::runtime::endpoint::{Endpoint, Heard};
use crate::runtime::wire::CLIENTS;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// The number of latest questions to one address to which a client still recognises answers.
const REMEMBERED: usize = 8;

/// The servers that a client knows. It begins with some addresses and learns the rest from the servers
/// that answer there.
#[derive(Debug)]
pub(super) struct Roster {
    /// The addresses that are asked.
    places: Vec<Place>,
    /// The address at which to reach each server.
    members: BTreeMap<u64, SocketAddr>,
    /// The servers that have answered since [`Roster::ask_again`].
    answered: BTreeSet<u64>,
    /// The status that each server has reported since [`Roster::forget`].
    reports: BTreeMap<u64, ServerStatus>,
}

#[derive(Debug)]
struct Place {
    address: SocketAddr,
    /// Whether the user gave this address. Such a place stays, whatever servers are said to be
    /// elsewhere.
    is_given: bool,
    /// The number of the server at this address, once known.
    server: Option<u64>,
    /// The nonces of the latest questions, and when each was asked. An answer's nonce tells which
    /// address reached the server, and how long the answer took.
    asked: Vec<(u64, Moment)>,
}

/// The news of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct News {
    /// The time from question to answer.
    pub(super) way: Duration,
    /// Whether the report has told of an address that has not been asked.
    pub(super) has_place: bool,
}

/// Opens a socket that reaches these addresses.
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
        let mut roster = Self {
            places: Vec::new(),
            members: BTreeMap::new(),
            answered: BTreeSet::new(),
            reports: BTreeMap::new(),
        };
        for address in addresses {
            roster.add(*address, true, None);
        }
        Ok(roster)
    }

    /// Asks until `enough` is true or until the deadline. Returns how long the last answer took, if any
    /// came.
    pub(super) fn gather(
        &mut self,
        endpoint: &mut Endpoint<Message>,
        deadline: Deadline,
        options: &Options,
        enough: impl Fn(&Self) -> bool,
    ) -> Result<Option<Duration>, ClientError> {
        let mut way = None;
        while !enough(self) && !deadline.has_passed() {
            self.ask(endpoint);
            let round = deadline.min(Deadline::after(options.retry_interval));
            while !enough(self) {
                let heard = endpoint
                    .receive(round)
                    .map_err(|source| ClientError::Socket { source, in_flight: false })?;
                match heard {
                    Some(Heard::Report { server, nonce, status }) => {
                        if let Some(news) = self.hear(server, nonce, &status) {
                            way = Some(news.way);
                            if news.has_place {
                                self.ask(endpoint);
                            }
                        }
                    }
                    Some(Heard::Reply { .. } | Heard::Page { .. }) => {}
                    None => break,
                }
            }
        }
        Ok(way)
    }

    /// Forgets what servers have reported, but not where they are.
    pub(super) fn forget(&mut self) {
        self.reports.clear();
    }

    /// Asks at all places, even those whose servers have answered: in the meantime servers may have
    /// moved. Places that the user gave stay, and so do those where a server is thought to be. Servers
    /// will tell of any other place again.
    pub(super) fn ask_again(&mut self, endpoint: &Endpoint<Message>) {
        self.answered.clear();
        let members: BTreeSet<_> = self.members.values().copied().collect();
        self.places.retain(|place| place.is_given || members.contains(&place.address));
        self.ask(endpoint);
    }

    /// Asks at each place whose server has not answered. A datagram that cannot be sent is as good as
    /// lost.
    pub(super) fn ask(&mut self, endpoint: &Endpoint<Message>) {
        for place in &mut self.places {
            if place.server.is_none_or(|server| !self.answered.contains(&server)) {
                let nonce = place.question();
                if let Err(error) = endpoint.inspect(place.address, nonce) {
                    tracing::debug!(address = %place.address, "cannot send an inspection: {error}");
                }
            }
        }
    }

    /// Takes a report. A report that makes no sense is ignored.
    pub(super) fn hear(&mut self, server: u64, nonce: u64, status: &[u8]) -> Option<News> {
        let mut places = self.places.iter_mut();
        let (place, asked) = places.find_map(|place| {
            let asked = place.asked.iter().find(|(it, _)| *it == nonce)?.1;
            Some((place, asked))
        })?;
        let status = serde_json::from_slice::<ServerStatus>(status).ok()?;
        let is_one_of_them = status.members.iter().any(|member| member.id == server);
        let are_servers = status.members.iter().all(|member| (1..CLIENTS).contains(&member.id));
        if status.id != server || !is_one_of_them || !are_servers {
            return None;
        }
        place.server = Some(server);
        // The server is taken to be at the address at which this client reached it. It may listen on
        // another one, such as `0.0.0.0`, and others may reach it elsewhere. If it was reached at
        // several addresses, the quickest one counts.
        if self.answered.insert(server) {
            self.members.insert(server, place.address);
        }
        let mut has_place = false;
        for Member { id, address } in status.members.iter().filter(|member| member.id != server) {
            if !self.answered.contains(id) {
                // A server that has answered once is taken to be there until it answers elsewhere:
                // others may reach it where this client cannot.
                self.members.entry(*id).or_insert(*address);
                has_place |= self.add(*address, false, Some(*id));
            }
        }
        self.reports.insert(server, status);
        Some(News { way: asked.elapsed(), has_place })
    }

    /// Adds a place, unless the address is a place already. Returns whether it was added.
    fn add(&mut self, address: SocketAddr, is_given: bool, server: Option<u64>) -> bool {
        if let Some(place) = self.places.iter_mut().find(|place| place.address == address) {
            place.server = place.server.or(server);
            return false;
        }
        self.places.push(Place { address, is_given, server, asked: Vec::new() });
        true
    }

    pub(super) fn has_heard(&self) -> bool {
        !self.reports.is_empty()
    }

    /// Whether this server has reported.
    pub(super) fn has_heard_from(&self, server: u64) -> bool {
        self.reports.contains_key(&server)
    }

    pub(super) fn has_heard_all(&self) -> bool {
        let has_answered = |server| self.reports.contains_key(&server);
        self.places.iter().all(|place| place.server.is_some_and(has_answered))
    }

    /// The address at which to reach each server.
    pub(super) fn members(&self) -> &BTreeMap<u64, SocketAddr> {
        &self.members
    }

    /// The leader, by the report of the latest term.
    pub(super) fn leader(&self) -> Option<u64> {
        let latest = self.reports.values().max_by_key(|status| status.term)?;
        latest.leader
    }

    /// The servers that have answered since [`Roster::forget`], those that have not, and the leader.
    pub(super) fn sightings(&self) -> Sightings {
        let members = self.members.iter().map(|(server, address)| (*server, *address));
        let (answered, silent) = members.partition(|(server, _)| self.reports.contains_key(server));
        Sightings { answered, silent, leader: self.leader() }
    }

    pub(super) fn into_report(self) -> Option<ServerStatus> {
        self.reports.into_values().next()
    }

    pub(super) fn into_survey(mut self) -> Vec<Surveyed> {
        let nobody = self.places.iter().filter(|place| place.server.is_none());
        let mut nobody: Vec<_> = nobody.map(|place| place.address).collect();
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

impl Place {
    /// Draws the nonce of a question that is asked now, and notes the moment.
    fn question(&mut self) -> u64 {
        if self.asked.len() == REMEMBERED {
            self.asked.remove(0);
        }
        let nonce = rand::random();
        self.asked.push((nonce, Moment::now()));
        nonce
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

    /// Asks the server at a port, and returns the nonce of the question.
    fn nonce(roster: &mut Roster, port: u16) -> u64 {
        let place = roster.places.iter_mut().find(|place| place.address == at(port));
        place.expect("it is to be asked").question()
    }

    fn hear(roster: &mut Roster, server: u64, port: u16, status: &[u8]) -> Option<News> {
        let nonce = nonce(roster, port);
        roster.hear(server, nonce, status)
    }

    /// Asks again, from a socket of its own. Nobody is at the addresses of the tests.
    fn ask_again(roster: &mut Roster) {
        roster.ask_again(&Endpoint::open("c", true).expect("a socket"));
    }

    #[test]
    fn one_answer_tells_of_all_servers() {
        let mut roster = Roster::new(&[at(2)]).expect("an address");
        let news = hear(&mut roster, 2, 2, &report(2, 5, Some(3))).expect("it makes sense");
        assert!(news.has_place);
        assert_eq!(*roster.members(), BTreeMap::from([(1, at(1)), (2, at(2)), (3, at(3))]));
        assert_eq!(roster.leader(), Some(3));
        assert!(roster.has_heard() && !roster.has_heard_all());
    }

    #[test]
    fn a_server_is_where_it_answered_whatever_others_say() {
        let mut roster = Roster::new(&[at(1), at(9)]).expect("addresses");
        hear(&mut roster, 1, 1, &report(1, 1, None));
        assert_eq!(roster.members()[&3], at(3));
        hear(&mut roster, 3, 9, &report(3, 1, None));
        assert_eq!(roster.members()[&3], at(9));
        hear(&mut roster, 2, 2, &report(2, 1, None));
        assert_eq!(roster.members()[&3], at(9));
        assert!(roster.has_heard_all());
    }

    /// The report of server `id` of a cluster of three, of which 1 and 2 are at other ports now.
    fn report_after_the_move(id: u64) -> Vec<u8> {
        let text = String::from_utf8(report(id, 9, Some(2))).expect("JSON");
        let text = text.replace("127.0.0.1:1\"", "127.0.0.1:11\"");
        text.replace("127.0.0.1:2\"", "127.0.0.1:12\"").into_bytes()
    }

    #[test]
    fn servers_that_have_moved_are_found_as_long_as_one_that_knows_them_answers() {
        let mut roster = Roster::new(&[at(1), at(2), at(3)]).expect("addresses");
        for (server, port) in [(1, 1), (2, 2), (3, 3)] {
            hear(&mut roster, server, port, &report(server, 1, Some(1)));
        }
        ask_again(&mut roster);
        let news = hear(&mut roster, 3, 3, &report_after_the_move(3)).expect("it makes sense");
        assert!(news.has_place, "there are places to ask");
        assert_eq!(roster.members()[&2], at(2), "nobody has answered elsewhere");
        hear(&mut roster, 2, 12, &report_after_the_move(2));
        hear(&mut roster, 1, 11, &report_after_the_move(1));
        assert_eq!(*roster.members(), BTreeMap::from([(1, at(11)), (2, at(12)), (3, at(3))]));
        ask_again(&mut roster);
        assert_eq!(roster.places.len(), 5, "those that were given, and those where servers are");
    }

    #[test]
    fn a_server_that_is_silent_for_a_while_is_thought_to_be_where_it_answered() {
        let mut roster = Roster::new(&[at(3), at(9)]).expect("addresses");
        hear(&mut roster, 2, 9, &report(2, 1, None));
        for _ in 0..3 {
            ask_again(&mut roster);
            // Others reach it at another address, where this client never gets an answer.
            hear(&mut roster, 3, 3, &report(3, 1, None));
            assert_eq!(roster.members()[&2], at(9));
        }
        hear(&mut roster, 2, 9, &report(2, 1, None));
        assert_eq!(roster.members()[&2], at(9));
    }

    #[test]
    fn what_was_seen_is_what_was_said_since_it_was_last_forgotten() {
        let mut roster = Roster::new(&[at(1), at(2)]).expect("addresses");
        hear(&mut roster, 1, 1, &report(1, 1, Some(1)));
        roster.forget();
        assert!(roster.sightings().answered.is_empty());
        hear(&mut roster, 2, 2, &report(2, 1, Some(1)));
        let seen = roster.sightings();
        assert_eq!(seen.answered, [(2, at(2))]);
        assert_eq!((seen.silent, seen.leader), (vec![(1, at(1)), (3, at(3))], Some(1)));
    }

    #[test]
    fn the_latest_term_tells_the_leader() {
        let mut roster = Roster::new(&[at(1), at(2)]).expect("addresses");
        hear(&mut roster, 1, 1, &report(1, 7, Some(2)));
        hear(&mut roster, 2, 2, &report(2, 6, Some(1)));
        assert_eq!(roster.leader(), Some(2));
    }

    #[test]
    fn what_makes_no_sense_is_ignored() {
        let mut roster = Roster::new(&[at(1)]).expect("an address");
        let nonce = nonce(&mut roster, 1);
        let mut alien = serde_json::from_slice::<ServerStatus>(&report(1, 1, None)).expect("sound");
        alien.progress.push(Progress {
            id: 2,
            next_index: 1,
            match_index: 0,
            snapshot_bytes: None,
        });
        alien.members.push(Member { id: CLIENTS, address: at(4) });
        for (server, nonce, status) in [
            (1, nonce ^ 1, report(1, 1, None)),
            (2, nonce, report(1, 1, None)),
            (4, nonce, report(4, 1, None)),
            (1, nonce, b"{}".to_vec()),
            (1, nonce, b"\xff".to_vec()),
            (1, nonce, serde_json::to_vec(&alien).expect("it has a JSON form")),
        ] {
            assert_eq!(roster.hear(server, nonce, &status), None);
            assert!(!roster.has_heard(), "{server} {}", status.escape_ascii());
        }
    }

    #[test]
    fn a_survey_lists_members_by_number_and_then_the_addresses_nobody_has_claimed() {
        let mut roster = Roster::new(&[at(8), at(3), at(1)]).expect("addresses");
        hear(&mut roster, 1, 1, &report(1, 1, None));
        let survey = roster.into_survey();
        let rows: Vec<_> =
            survey.iter().map(|it| (it.id, it.address.port(), it.status.is_some())).collect();
        let expected =
            [(Some(1), 1, true), (Some(2), 2, false), (Some(3), 3, false), (None, 8, false)];
        assert_eq!(rows, expected);
    }
}

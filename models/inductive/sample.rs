//! The SAMPLED part: states of a larger domain that satisfy Ind, drawn at random.
//!
//! Nearly no state that is drawn evenly satisfies Ind. So `draw` builds states that are likely to: logs are
//! beginnings of leaders' logs, most votes are for the elected, and commit indexes are chosen. Ind then
//! decides which states are kept. The same seed draws the same states.

use super::Report;
use super::conjuncts::{Ind, is_chosen, violated};
use super::domain::Domain;
use super::history::{Elected, TERMS, World};
use super::step::{Envelope, Event, judge, run};
use super::variables::{Local, Log, Role, SERVERS, entry, id};
use crate::models::process::Process;
use crate::raft::{
    AppendEntries, AppendEntriesResponse, Index, Message, Outcome as Answer, RequestVote,
    RequestVoteResponse, Term, Timer,
};

/// The domain that is sampled.
pub const DOMAIN: Domain = Domain { servers: 3, terms: 3, entries: 3 };
/// The number of messages that are drawn for a state.
const MESSAGES: usize = 48;

/// The generator `SplitMix64` (Steele, Lea and Flood, 2014).
pub struct Random(u64);

impl Random {
    /// The generator with this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from zero to `last`.
    fn upto(&mut self, last: u8) -> u8 {
        u8::try_from((self.next() >> 32) % (u64::from(last) + 1)).unwrap_or_default()
    }

    /// Whether an event of so many per cent occurs.
    fn chance(&mut self, percent: u8) -> bool {
        self.upto(99) < percent
    }
}

/// Draws states and judges every step of server 0 from those that satisfy Ind, up to the first failure.
pub fn check(domain: Domain, actor: &Process, ind: Ind, seed: u64, draws: u64) -> Report {
    let mut random = Random::new(seed);
    let mut report = Report::default();
    for _ in 0..draws {
        let world = draw(&mut random, domain);
        if ind.broken(&world).is_some() {
            continue;
        }
        report.states += 1;
        report.not_implied = report.not_implied.or_else(|| violated(&world));
        let is_in_flight = |it: &Envelope| ind.denies(&world, it.src, it.dst, &it.short).is_none();
        let messages = (0..MESSAGES).filter_map(|_| message(&mut random, domain, &world));
        let in_flight: Vec<_> = messages.filter(is_in_flight).collect();
        let events = [
            Event::Restart,
            Event::Timeout(Timer::Election),
            Event::Timeout(Timer::Heartbeat),
            Event::Request,
        ];
        let arriving = in_flight.iter().filter(|it| it.dst == 0).cloned().map(Event::Deliver);
        for event in events.into_iter().chain(arriving) {
            let Some(outcome) = run(actor, 0, domain.servers, &world.locals[0], &event) else {
                continue;
            };
            report.count(&world.locals[0], &event, &outcome, in_flight.len());
            report.failure = judge(ind, &world, 0, &event, &outcome, in_flight.iter());
            if report.failure.is_some() {
                return report;
            }
        }
    }
    report
}

/// Draws servers and their history.
fn draw(random: &mut Random, domain: Domain) -> World {
    let Domain { servers, terms, entries } = domain;
    let mut world = World { servers, locals: [Local::NEW; SERVERS], history: <_>::default() };
    let last = u8::try_from(servers).unwrap_or(1) - 1;
    for term in 1..=terms {
        if random.chance(70) {
            let mut log = some_log(random, &world, term);
            log = log.up_to(entries - 1);
            for _ in 0..=random.upto(entries - 1 - log.len()).min(1) {
                log.push(term);
            }
            world.history.elected[usize::from(term)] =
                Some(Elected { leader: random.upto(last), log });
        }
    }
    for who in 0..servers {
        draw_server(random, domain, &mut world, who);
    }
    for who in 0..servers {
        draw_indexes(random, &mut world, who);
    }
    world
}

/// The beginning of the log of a leader that was elected before a term.
fn some_log(random: &mut Random, world: &World, before: u8) -> Log {
    let logs: Vec<_> = world.history.leaders().filter(|(term, _)| *term < before).collect();
    let Some(last) = u8::try_from(logs.len()).ok().and_then(|it| it.checked_sub(1)) else {
        return Log::default();
    };
    let late = last - random.upto(last).min(random.upto(last));
    let log = logs[usize::from(late)].1.log;
    if random.chance(50) { log } else { log.up_to(random.upto(log.len())) }
}

fn draw_server(random: &mut Random, domain: Domain, world: &mut World, who: usize) {
    let Domain { servers, terms, .. } = domain;
    let me = u8::try_from(who).unwrap_or_default();
    let last = u8::try_from(servers).unwrap_or(1) - 1;
    let term = terms - random.upto(terms).min(random.upto(terms));
    for of in 1..=term {
        let elected = world.history.elected[usize::from(of)];
        let vote = match elected {
            Some(elected) if elected.leader == me || random.chance(75) => Some(elected.leader),
            _ if random.chance(70) => Some(random.upto(last)),
            _ => None,
        };
        world.history.votes[usize::from(of)][who] = vote;
        world.history.acked[usize::from(of)][who] = match elected {
            Some(it) if it.leader == me || random.chance(50) => it.log.len(),
            Some(it) => random.upto(it.log.len()),
            None => 0,
        };
    }
    let vote = world.history.vote(term, who);
    let elected = world.history.leader(term).copied();
    let mut log = some_log(random, world, term + 1);
    let follows = elected.map(|it| it.leader).filter(|leader| *leader != me && random.chance(60));
    let mut role = Role::Follower(follows);
    match elected {
        Some(it) if it.leader == me => {
            log = it.log;
            if random.chance(70) {
                let (next, matched) = ([0; SERVERS], [0; SERVERS]);
                role = Role::Leader { next, matched };
            }
        }
        _ if vote == Some(me) && random.chance(60) => role = Role::Candidate(1 << me),
        _ => {}
    }
    world.locals[who] = Local { term, vote, log, commit: 0, role };
}

/// Draws the indexes that depend on what others have acknowledged.
fn draw_indexes(random: &mut Random, world: &mut World, who: usize) {
    let mut local = world.locals[who];
    let commit = random.upto(local.log.len());
    if is_chosen(world, local.term, &local.log, commit) {
        local.commit = commit;
    }
    if let Role::Leader { next, matched } = &mut local.role {
        for other in (0..world.servers).filter(|other| *other != who) {
            let most = world.history.acked(local.term, other).min(local.log.len());
            matched[other] = if random.chance(50) { most } else { random.upto(most) };
            next[other] = matched[other] + 1 + random.upto(local.log.len() - matched[other]);
        }
    }
    world.locals[who] = local;
}

/// Draws a message that may be in flight.
fn message(random: &mut Random, domain: Domain, world: &World) -> Option<Envelope> {
    let last = u8::try_from(domain.servers).unwrap_or(1) - 1;
    let (mut src, dst) = (random.upto(last), if random.chance(60) { 0 } else { random.upto(last) });
    let of = 1 + random.upto(domain.terms - 1);
    let (term, index) = (Term(of.into()), |at: u8| Index(at.into()));
    let msg = match random.upto(9) {
        0 | 1 => {
            let log = if random.chance(60) {
                world.locals[usize::from(src)].log
            } else {
                some_log(random, world, of)
            };
            let last = log.last();
            Message::RequestVote(RequestVote {
                term,
                last_log_index: index(last.1),
                last_log_term: Term(last.0.into()),
                leadership_transfer: false,
            })
        }
        2 | 3 => {
            let vote_granted = random.chance(80);
            Message::RequestVoteResponse(RequestVoteResponse { term, vote_granted })
        }
        4..=6 => {
            let elected = world.history.leader(of)?;
            src = elected.leader;
            append(random, of, &elected.log)
        }
        _ => {
            let most = world.history.acked(of, usize::from(src));
            let outcome = match random.upto(3) {
                0 | 1 => Answer::Match(index(random.upto(most))),
                2 => {
                    let term = random.chance(50).then(|| Term(random.upto(domain.terms).into()));
                    let prev_log_index = index(1 + random.upto(domain.entries));
                    let index = index(1 + random.upto(domain.entries));
                    Answer::Conflict { prev_log_index, term, index }
                }
                _ => Answer::StaleTerm,
            };
            Message::AppendEntriesResponse(AppendEntriesResponse { term, outcome, round: 0 })
        }
    };
    (src != dst).then(|| Envelope::new(id(src), id(dst), msg)).flatten()
}

/// A part of a leader's log, as the leader sends it.
fn append(random: &mut Random, term: u8, log: &Log) -> Message {
    let prev = random.upto(log.len());
    let end = (prev + random.upto(2)).min(log.len());
    let at = |index| log.term(index).unwrap_or_default();
    let entries = (prev..end).map(|prev| entry(prev, at(prev), at(prev + 1))).collect();
    Message::AppendEntries(AppendEntries {
        term: Term(term.into()),
        prev_log_index: Index(prev.into()),
        prev_log_term: Term(at(prev).into()),
        entries,
        leader_commit: Index(random.upto(log.len()).into()),
        round: 0,
    })
}

/// The latest term of a domain leaves room for the elections of one step.
const _: () = assert!((DOMAIN.terms as usize) + 1 < TERMS);

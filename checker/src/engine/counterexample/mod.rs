//! The second search, for the shortest counterexample. It goes level by level, and every state remembers
//! where it came from.
//!
//! [`trace`] searches for one of the wanted things, and [`trace_each`] for each of them. Both use
//! [`levels::search`], which visits the states (`levels.rs`). [`path::actions`] then makes a path of actions
//! (`path.rs`). The length of a path is the number of its steps that change an actor. Message-only steps are
//! in it only where a later step needs the messages that they send.

mod levels;
mod path;

use super::reduction::{Reduction, Relevance};
use super::search::{SURVEYS, Search};
use super::shared::AtViolation;
use crate::run::{Limits, Lookout};
use crate::view::{Checkable, Ghostly};
use crate::world::{ActionOf, World};
use std::sync::atomic::AtomicBool;

/// The number of maximal states after which a survey ends in this search.
const SURVEYED: u64 = 5_000;

/// The outcome of a search for one thing, or for the first of several.
pub(crate) struct Traced<A: Checkable> {
    /// The way that was found.
    pub(crate) found: Option<Way<A>>,
    /// The reason why the search ended. If a way was found, this is the reason why the search for a shorter
    /// way ended.
    pub(crate) ended: Ended,
    /// The number of states visited.
    pub(crate) visited: usize,
}

/// A way to something that was wanted.
pub(crate) struct Way<A: Checkable> {
    /// The thing to which the way leads.
    pub(crate) what: Wanted,
    /// The actions of the way.
    pub(crate) actions: Vec<ActionOf<A>>,
    /// The number of these actions that change an actor.
    pub(crate) length: usize,
    /// The number of states visited until the way was found.
    pub(crate) visited: usize,
}

/// The outcome of a search for each of several things.
pub(crate) struct TracedEach<A: Checkable> {
    /// The things that were found, each with a shortest way to it.
    pub(crate) found: Vec<Way<A>>,
    /// The reason why the search ended.
    pub(crate) ended: Ended,
    /// The number of states visited.
    pub(crate) visited: usize,
}

/// How far a search goes.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// The number of states at which the search ends.
    pub states: usize,
    /// The largest number of steps on a path that change an actor.
    pub steps: usize,
}

/// The reason why a search by levels ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing was wanted any more.
    Found,
    /// Nothing is left to visit.
    Exhausted,
    /// The limit on states was reached.
    AtStates,
    /// The limit on steps was reached.
    AtSteps,
    /// Another limit, or an interruption, ended the search.
    By(&'static str),
}

/// The things that a search looks for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// A violation of one of these properties, as bits.
    pub(crate) violations: u64,
    /// A dead end.
    pub(crate) dead_end: bool,
}

impl Wanted {
    const NOTHING: Self = Self { violations: 0, dead_end: false };

    fn is_nothing(self) -> bool {
        self.violations == 0 && !self.dead_end
    }

    fn and(self, other: Self) -> Self {
        let dead_end = self.dead_end && other.dead_end;
        Self { violations: self.violations & other.violations, dead_end }
    }

    fn without(self, other: Self) -> Self {
        let dead_end = self.dead_end && !other.dead_end;
        Self { violations: self.violations & !other.violations, dead_end }
    }

    /// Takes the wanted things one by one: each property, then the dead end.
    fn each(self) -> impl Iterator<Item = Self> {
        let bits = (0..u64::BITS).map(|n| 1 << n).filter(move |bit| self.violations & bit != 0);
        let dead_end = self.dead_end.then_some(Self { violations: 0, dead_end: true });
        bits.map(|violations| Self { violations, dead_end: false }).chain(dead_end)
    }
}

/// Searches for a shortest way to one of the wanted things.
///
/// The first pass keeps only messages that matter by the surveys, since that has far fewer states. The way
/// that it finds may not be the shortest, because a message that was thought not to matter may be part of a
/// shorter one. So further passes look for shorter ways with all messages, until there is none.
pub(crate) fn trace<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    wanted: Wanted,
    limits: &Limits,
    interrupted: &AtomicBool,
) -> Traced<A> {
    trace_by(&SURVEYS, world, wanted, limits, interrupted)
}

/// Searches as [`trace`] does, with surveys of the caller's.
fn trace_by<A: Checkable, G: Ghostly>(
    surveys: &[u16],
    world: &World<A, G>,
    wanted: Wanted,
    limits: &Limits,
    interrupted: &AtomicBool,
) -> Traced<A> {
    // A survey gets a limit on states, because the states beyond a violation may have no end.
    let of_surveys = Limits { max_states: Some(SURVEYED), ..limits.clone() };
    let mut search = Search::new(world, &of_surveys, interrupted, Reduction::Relevance);
    // The lookout has no limit on states: the levels count states at each step.
    let unlimited = Limits { max_states: None, ..limits.clone() };
    let lookout = Lookout::since(search.start, &unlimited, interrupted);
    let mut reach = Reach {
        states: limits.max_states.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX)),
        steps: usize::MAX,
    };
    let surveyed = search.survey(surveys);
    let everything = Relevance::everything(world.actors.actors.len());
    let mut found: Option<Way<A>> = None;
    let hypotheses = std::iter::once(&surveyed).chain(std::iter::repeat(&everything));
    for (pass, relevance) in hypotheses.enumerate() {
        let known = found.as_ref().map(|way| way.length);
        reach.steps = known.map_or(usize::MAX, |length| length.saturating_sub(1));
        let mut shorter = None;
        let mut first = |wanted: &mut Wanted, way: Way<A>| {
            if known.is_none_or(|known| way.length < known) {
                *wanted = Wanted::NOTHING;
                shorter = Some(way);
            }
        };
        let (ended, visited) =
            levels::search(&mut search, relevance, wanted, reach, &lookout, &mut first);
        let goes_on = match &shorter {
            Some(way) => way.length > 0,
            // The messages that matter by the surveys may be too few.
            None => pass == 0 && ended == Ended::Exhausted,
        };
        found = shorter.or(found);
        if !goes_on {
            return Traced { found, ended, visited };
        }
    }
    unreachable!("it ends when there is nothing shorter")
}

/// Searches for a shortest way to each thing that is wanted. It judges each as if that alone were wanted, so
/// it also searches beyond violations of the others. It takes all messages to matter, and uses one thread. So
/// within its reach the search always finds the same ways.
pub(crate) fn trace_each<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    wanted: Wanted,
    reach: Reach,
) -> TracedEach<A> {
    let limits = Limits::unlimited(1);
    let interrupted = AtomicBool::new(false);
    let mut search = Search::new(world, &limits, &interrupted, Reduction::Relevance);
    let lookout = Lookout::since(search.start, &limits, &interrupted);
    search.shared.at_violation = AtViolation::GoOn;
    let everything = Relevance::everything(world.actors.actors.len());
    let mut found = Vec::new();
    let mut each = |wanted: &mut Wanted, way: Way<A>| {
        *wanted = wanted.without(way.what);
        found.push(way);
    };
    let (ended, visited) =
        levels::search(&mut search, &everything, wanted, reach, &lookout, &mut each);
    TracedEach { found, ended, visited }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stateright::actor::{Actor, Id, Out, model_timeout};
    use std::borrow::Cow;

    /// The first actor counts to 12, which is a violation. The second actor sends the first a message at the
    /// start. If that message arrives at 2, it leads to 12 at once.
    struct Counting;

    impl Actor for Counting {
        type Msg = ();
        type Timer = ();
        type State = u8;
        type Storage = ();
        type Random = ();

        fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> u8 {
            match usize::from(id) {
                0 => o.set_timer((), model_timeout()),
                _ => o.send(Id::from(0), ()),
            }
            0
        }

        fn on_timeout(&self, _: Id, state: &mut Cow<'_, u8>, (): &(), o: &mut Out<Self>) {
            o.set_timer((), model_timeout());
            *state = Cow::Owned(12.min(**state + 1));
        }

        fn on_msg(&self, _: Id, state: &mut Cow<'_, u8>, _: Id, (): (), _: &mut Out<Self>) {
            if **state == 2 {
                *state = Cow::Owned(12);
            }
        }
    }

    /// A survey that fires nothing knows only local states in which the message does nothing.
    #[test]
    fn a_shorter_way_by_a_message_that_surveys_do_not_know_to_matter_is_found() {
        let world =
            World::new([Counting, Counting]).always_each("below 12", |_, local| *local.state < 12);
        let limits = Limits::unlimited(1);
        let wanted = Wanted { violations: 1, dead_end: false };
        for surveys in [&SURVEYS[..], &[0]] {
            let traced = trace_by(surveys, &world, wanted, &limits, &AtomicBool::new(false));
            let way = traced.found.expect("there is one");
            assert_eq!((way.length, way.actions.len()), (3, 3), "{surveys:?}");
            assert_eq!(traced.ended, Ended::AtSteps, "{surveys:?}: nothing is shorter");
        }
    }
}

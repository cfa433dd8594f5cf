//! Searches for a shortest way on which a group of servers recovers from a state. It shows the way of the
//! first group that has one.
//!
//! The engine's search for a shortest counterexample does this work: the property is that a group of servers
//! has not recovered. All messages are lost, nobody outside the group acts, and nobody restarts.

use super::scene::Way;
use actorcheck::search::{Counterexample, Outcome, shortest as search};
use actorcheck::{Bound, Group, Limits, StatePredicate, StateProperty};
use checked_raft::models::ghost::Ghost;
use checked_raft::models::process::Process;
use checked_raft::models::properties::{ClusterView, Peer};
use checked_raft::models::script::Runner;
use checked_raft::models::text::Text;
use checked_raft::models::{Cluster, ClusterState};
use stateright::actor::Id;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The name of the property that a way to recovery violates.
const NOT_RECOVERED: &str = "the group has not recovered";
/// The most states that a search visits for one group.
const MOST_STATES: u64 = 200_000;
/// The longest time of a search for one group.
const MOST_TIME: Duration = Duration::from_secs(3);

/// The shortest way to recovery of the first group that has one, from a state with all messages lost. It also
/// says which groups have none.
pub(super) fn shortest(cluster: Cluster, state: ClusterState) -> Result<Way, String> {
    let Some(recovery) = &cluster.recovery else {
        return Err("This model does not ask about recovery.".to_owned());
    };
    if recovery.acts.is_some() {
        return Err(
            "This model cuts links while servers recover. No way is shown for that.".to_owned()
        );
    }
    let groups = recovery.groups.clone();
    let lost = Arc::new(state.with_messages_lost());
    let mut world = cluster;
    world.restartable.clear();
    world.always.clear();
    world.steps.clear();
    world.sometimes.clear();
    world.symmetry = None;
    world.initial = Some((*lost).clone());
    let recovery = world.recovery.take().expect("it was there");
    let (mut found, mut stuck) = (None, Vec::new());
    for group in groups {
        let group = Arc::new(group);
        let (recovered, within) = (Arc::clone(&recovery.recovered), Arc::clone(&recovery.within));
        let (at, start) = (Arc::clone(&group), Arc::clone(&lost));
        let holds = StatePredicate::View(Arc::new(move |view: &ClusterView<'_>| {
            !recovered(&at, &members(&at, &start.view()), &members(&at, view))
        }));
        world.always = vec![StateProperty { name: NOT_RECOVERED, holds }];
        let (at, start) = (Arc::clone(&group), Arc::clone(&lost));
        let alone = StatePredicate::View(Arc::new(move |view: &ClusterView<'_>| {
            let first = start.view();
            let others = (0..view.len()).filter(|n| !at.members.contains(&Id::from(*n)));
            within(&at, &members(&at, &first), &members(&at, view))
                && others.into_iter().all(|n| view.local(n) == first.local(n))
        }));
        world.bounds = vec![Bound { name: "the group alone", limit: 0, within: alone }];
        let limits = Limits {
            max_states: Some(MOST_STATES),
            max_time: Some(MOST_TIME),
            ..Limits::unlimited(1)
        };
        let never = AtomicBool::new(false);
        match search(&world, Some(NOT_RECOVERED), &limits, &never) {
            Outcome::Found(way) if found.is_none() => found = Some((group, way)),
            Outcome::Exhausted(_) => stuck.push(list(&world, &group)),
            Outcome::Found(_) | Outcome::Ended(..) => {}
        }
    }
    let stuck: Vec<_> = stuck.iter().map(|names| format!("{names} are stuck.")).collect();
    match found {
        Some((group, found)) => Ok(way(&world, &group, &found, &stuck.join(" "))),
        None if stuck.is_empty() => {
            Err("No way to recovery was found within the limits of this search.".to_owned())
        }
        None => Ok(Way {
            sentence: format!("With every message lost, nobody recovers: {}", stuck.join(" ")),
            commands: Vec::new(),
            text: Vec::new(),
        }),
    }
}

/// The names of a group.
fn list(world: &Cluster, group: &Group) -> String {
    let names: Vec<_> = group.members.iter().map(|id| world.name_of(*id)).collect();
    let (last, others) = names.split_last().expect("a group has members");
    if others.is_empty() { (*last).to_owned() } else { format!("{} and {last}", others.join(", ")) }
}

/// The members of a group in a view.
fn members<'v>(group: &Group, view: &ClusterView<'v>) -> Vec<Peer<'v>> {
    group.members.iter().map(|id| (*id, view.local(usize::from(*id)))).collect()
}

fn way(world: &Cluster, group: &Group, found: &Counterexample<Process, Ghost>, stuck: &str) -> Way {
    let mut runner = Runner::new(world, found.first.clone());
    let mut commands = vec!["lose-network".to_owned()];
    let mut text = Vec::new();
    for (action, _) in &found.steps {
        let command = runner.command(action);
        runner.line(&command).expect("a step that was found can be taken");
        text.push(Text::of(world).event(action));
        commands.push(command);
    }
    let sentence = format!(
        "With every message lost, {} recover by themselves in {} steps. {stuck}",
        list(world, group),
        found.steps.len()
    );
    let sentence = sentence.trim_end().to_owned();
    Way { sentence, commands, text }
}

//! A subject that scripts are played on: its cluster, and what is asked of each state.
//!
//! [`Stage::play`] makes a [`Scene`] of a script. `raft check`, `raft play` and `raft explore` all make
//! their scenes here.

use super::copies;
use super::film::Film;
use super::narrative::Narrative;
use super::scene::{
    Copies, Differs, Frame, FrameKind, Model, Mutant, Named, Property, Scene, SceneKind, Stuck,
    VERSION, Way,
};
use super::{sentences, way};
use crate::cli::dead_end::{DeadEnds, Recovers};
use crate::cli::json::kind;
use crate::cli::subject::Subject;
use actorcheck::{Kind, RECOVERABILITY};
use checked_raft::models::header::Header;
use checked_raft::models::script::{Runner, without_comment};
use checked_raft::models::{Cluster, ClusterState};
use std::collections::BTreeMap;

/// The most steps that a sentence lists as possible.
const MOST_POSSIBLE: usize = 12;
/// The most verdicts on recovery that are remembered.
const MOST_REMEMBERED: usize = 4096;

/// A subject, ready for scripts.
pub(in crate::cli) struct Stage {
    subject: Subject,
    cluster: Cluster,
    /// The cluster with correct servers, if the subject is a mutant.
    correct: Option<Cluster>,
    dead_ends: DeadEnds,
    /// Whether the bounds of the model mean anything.
    is_bounded: bool,
    /// The verdicts on recovery, by the commands that lead to the state.
    remembered: BTreeMap<String, Recovers>,
}

/// How much somebody wants to know of a script.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Detail {
    /// Of every frame, which steps can follow, and whether servers can recover. A file has all this.
    EachFrame,
    /// The last frame alone has the steps that can follow. Whoever clicks waits for no more.
    LastFrame,
}

impl Stage {
    /// Prepares a subject. An error says why its model does not start.
    pub(in crate::cli) fn new(subject: Subject, is_bounded: bool) -> Result<Self, String> {
        let fault = subject.mutant.as_ref().map(|mutant| mutant.fault);
        let build = |fault| {
            let built = subject.spec.played(fault);
            built.map_err(|error| format!("its model does not start: {error}"))
        };
        let cluster = build(fault)?;
        let correct = fault.and_then(|_| build(None).ok());
        let dead_ends = DeadEnds::new(build(fault)?);
        let remembered = BTreeMap::new();
        Ok(Self { subject, cluster, correct, dead_ends, is_bounded, remembered })
    }

    /// The stage of a script.
    pub(in crate::cli) fn of_script(header: &Header, subject: Subject) -> Result<Self, String> {
        Self::new(subject, header.scenario.is_none() || header.model.is_some())
    }

    /// Plays a script whose header was read, and makes a scene of it. If a line cannot be executed, the scene
    /// ends there and says why.
    pub(in crate::cli) fn play(
        &mut self,
        header: &Header,
        script: &str,
        scene_kind: SceneKind,
        detail: Detail,
    ) -> Result<Scene, String> {
        let mut film = Film::start(&self.cluster, self.subject.spec.prefix, self.is_bounded)?;
        let narrative = Narrative::of(script, header.lines)?;
        let mut stuck = None;
        if detail == Detail::EachFrame {
            film.look_ahead();
        }
        for (number, line) in (1..).zip(script.lines()).skip(header.lines) {
            if let Err(reason) = film.line(Some(number), line) {
                stuck = Some(Self::stuck(number, line, &reason, film.runner()));
                break;
            }
            if detail == Detail::EachFrame {
                film.look_ahead();
            }
        }
        film.look_ahead();
        let path = film.path();
        let (mut frames, states) = film.end();
        self.judge_recovery(&mut frames, &states, detail);
        let violates = header.violates.clone();
        let scenario = copies::header_of(script, header.lines);
        let mut scene = self.scene(scene_kind, frames, violates, stuck, &scenario);
        scene.path = path;
        if let Some(story) = copies::story_of(script, header.lines).filter(|_| !self.is_bounded) {
            scene.about = story;
        }
        if let Some(told) = &narrative {
            scene.title.clone_from(&told.title);
            scene.about.clone_from(&told.introduction);
        }
        scene.narrative = narrative;
        Ok(scene)
    }

    fn scene(
        &self,
        kind: SceneKind,
        frames: Vec<Frame>,
        violates: Option<String>,
        stuck: Option<Stuck>,
        scenario: &str,
    ) -> Scene {
        let rules = frames.iter().flat_map(|frame| &frame.rules).copied();
        let broken = self.subject.mutant.as_ref().map(|mutant| mutant.breaks);
        let rules = rules.chain(broken).map(|id| (id, sentences::of_rule(id))).collect();
        let spec = &self.subject.spec;
        let (title, about) = match &self.subject.mutant {
            Some(mutant) => (mutant.name, mutant.about),
            None => (spec.name, spec.about),
        };
        let mut scene = Scene {
            version: VERSION,
            kind,
            title: title.to_owned(),
            about: about.to_owned(),
            model: Some(self.model()),
            mutant: self.mutant(),
            processes: self.processes(),
            properties: self.properties(),
            rules,
            differs: self.differs(&frames),
            frames,
            narrative: None,
            violates,
            way: None,
            stuck,
            notes: Vec::new(),
            copies: Copies::default(),
            header: self.subject.header() + scenario,
            path: None,
        };
        scene.copies = copies::of(&self.subject, &scene, scenario);
        scene
    }

    fn model(&self) -> Model {
        let spec = &self.subject.spec;
        let pinned = self.subject.mutant.is_none() && self.subject.options.is_none();
        Model {
            name: self.subject.options.as_ref().map_or(spec.name, |it| it.trim()).to_owned(),
            about: spec.about.to_owned(),
            bounds: spec.bounds_text(),
            tuples: Some(spec.tuples.0).filter(|tuples| pinned && *tuples > 0),
            effort: spec.effort,
            is_bounded: self.is_bounded,
        }
    }

    fn mutant(&self) -> Option<Mutant> {
        let mutant = self.subject.mutant.as_ref()?;
        Some(Mutant {
            name: mutant.name.to_owned(),
            about: mutant.about.to_owned(),
            story: mutant.story.to_owned(),
            difference: mutant.difference.to_owned(),
            breaks: mutant.breaks.to_owned(),
            caught_by: mutant.caught_by.to_owned(),
            seen_in: mutant.seen_in.to_owned(),
        })
    }

    fn processes(&self) -> Vec<Named> {
        let names = self.cluster.names.iter().enumerate();
        names
            .map(|(n, name)| Named { name: name.clone(), is_server: n < self.subject.spec.servers })
            .collect()
    }

    fn properties(&self) -> Vec<Property> {
        let recovery = self.cluster.recovery.is_some();
        let recovery = recovery.then_some((RECOVERABILITY, Kind::Recovery));
        let named = self.cluster.property_names().chain(recovery);
        let sentence =
            |(name, of)| Property { name, kind: kind(of), sentence: sentences::of_property(name) };
        named.map(sentence).collect()
    }

    /// Says of frames whether servers can recover from them: of each, or of the last.
    fn judge_recovery(&mut self, frames: &mut [Frame], states: &[ClusterState], detail: Detail) {
        let mut path = String::new();
        let last = frames.len() - 1;
        for (n, (frame, state)) in frames.iter_mut().zip(states).enumerate() {
            path = path + "\n" + &frame.command;
            let is_asked = frame.kind != FrameKind::Prefix || n == last;
            if !is_asked || detail == Detail::LastFrame && n < last {
                continue;
            }
            let key = if frame.kind == FrameKind::Prefix { String::new() } else { path.clone() };
            let recovers = match self.remembered.get(&key) {
                Some(known) => *known,
                None => self.dead_ends.judge(state),
            };
            if self.remembered.len() >= MOST_REMEMBERED {
                self.remembered.clear();
            }
            self.remembered.insert(key, recovers);
            frame.verdict.recovers = match recovers {
                Recovers::NotAsked => None,
                Recovers::Yes => Some("yes"),
                Recovers::No => Some("no"),
                Recovers::Undecided => Some("undecided"),
            };
        }
    }

    fn stuck(line: usize, text: &str, reason: &str, runner: &Runner<'_>) -> Stuck {
        let text = without_comment(text).to_owned();
        let possible = runner.possible();
        let mut listed: Vec<_> = possible.iter().take(MOST_POSSIBLE).cloned().collect();
        if possible.len() > MOST_POSSIBLE {
            listed.push(format!("and {} more", possible.len() - MOST_POSSIBLE));
        }
        let sentence = format!(
            "Line {line}, `{text}`, cannot be executed: {reason}. Possible here: {}.",
            listed.join("; ")
        );
        Stuck { line, text, sentence }
    }

    /// Takes the path on correct servers, up to the first step that differs.
    fn differs(&self, frames: &[Frame]) -> Option<Differs> {
        let correct = self.correct.as_ref()?;
        let mut film = Film::start(correct, self.subject.spec.prefix, self.is_bounded).ok()?;
        let own = |frame: &Frame| matches!(frame.kind, FrameKind::Step | FrameKind::Note);
        for (n, frame) in frames.iter().enumerate().filter(|(_, frame)| own(frame)) {
            if let Err(reason) = film.line(None, &frame.command) {
                let text = vec![format!("Correct servers cannot do this: {reason}.")];
                return Some(Differs { frame: n, text, state: None });
            }
            let other = film.last()?;
            let differing =
                frame.states.iter().find(|(n, state)| other.states.get(n) != Some(state));
            if other.text != frame.text || differing.is_some() {
                let state = frame.states.keys().next().and_then(|n| other.states.get(n)).cloned();
                return Some(Differs { frame: n, text: other.text.clone(), state });
            }
        }
        None
    }

    /// Searches for the shortest way to recovery from the last state of a script.
    pub(super) fn way(&self, header: &Header, script: &str) -> Result<Way, String> {
        let mut film = Film::start(&self.cluster, self.subject.spec.prefix, self.is_bounded)?;
        for (number, line) in (1..).zip(script.lines()).skip(header.lines) {
            film.line(Some(number), line).map_err(|reason| format!("line {number}: {reason}"))?;
        }
        let state = film.runner().state().clone();
        let fault = self.subject.mutant.as_ref().map(|mutant| mutant.fault);
        way::shortest(self.subject.spec.played(fault)?, state)
    }
}

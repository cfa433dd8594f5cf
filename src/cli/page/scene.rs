//! The data that the page shows: a [`Scene`] is a path of a cluster, as a list of [`Frame`]s.
//!
//! This is the one contract between the Rust code and the JavaScript of the page. Whoever makes a scene needs
//! nothing of the page, and the page shows whatever fits these types. `docs/page.md` documents the keys.
//!
//! A frame holds the state of the processes that its step changed. The state of any other process is the one
//! of the latest frame before it that has that process. Numbers of frames and processes are positions in
//! the lists of the scene, from 0.

use super::narrative::Narrative;
use serde::Serialize;
use std::collections::BTreeMap;

/// The version of this format. It grows when a key changes its meaning.
pub(in crate::cli) const VERSION: u32 = 1;

/// A path of a cluster, with everything that there is to say about it.
#[derive(Serialize)]
pub(in crate::cli) struct Scene {
    pub(super) version: u32,
    /// Where the path comes from.
    pub(super) kind: SceneKind,
    pub(super) title: String,
    /// The title in a sentence.
    pub(super) about: String,
    /// The model, if the path is one of a model.
    pub(super) model: Option<Model>,
    /// The bug of the servers, if they have one.
    pub(super) mutant: Option<Mutant>,
    pub(super) processes: Vec<Named>,
    /// The properties that are asked of each frame.
    pub(super) properties: Vec<Property>,
    /// The rules that the frames name, by their ids.
    pub(super) rules: BTreeMap<&'static str, &'static str>,
    pub(super) frames: Vec<Frame>,
    /// The comments of the script, if it has any.
    pub(super) narrative: Option<Narrative>,
    /// The property that the scene is about, if it shows a violation.
    pub(super) violates: Option<String>,
    /// The step from which on correct servers would have done something else.
    pub(super) differs: Option<Differs>,
    /// The shortest way to recovery from the last frame, if that was asked.
    pub(super) way: Option<Way>,
    /// The line that could not be executed, if the script ends there.
    pub(super) stuck: Option<Stuck>,
    /// What else there is to say: a sentence each.
    pub(super) notes: Vec<String>,
    pub(super) copies: Copies,
    /// The lines of a script's header that name the model and the bug.
    pub(super) header: String,
    /// The place of the last state in stateright's Explorer of the model, if it has one there.
    pub(super) path: Option<String>,
}

impl Scene {
    /// Names a path that is none of a model of the catalogue.
    pub(in crate::cli) fn rename(&mut self, title: String) {
        self.title = title;
    }

    /// Whether the path has a model whose bounds mean anything.
    pub(in crate::cli) fn is_bounded(&self) -> bool {
        self.model.as_ref().is_some_and(|model| model.is_bounded)
    }
}

/// Where the path of a scene comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum SceneKind {
    /// A search has found it.
    Counterexample,
    /// Somebody has written it down or clicked it together.
    Script,
    /// Nodes have taken it.
    Traces,
}

/// The model of a scene.
#[derive(Serialize)]
pub(super) struct Model {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) bounds: String,
    /// The pinned number of tuples of the model with correct servers, if one is pinned.
    pub(super) tuples: Option<u64>,
    /// How long a search takes: `quick`, `long` or `deep`.
    pub(super) effort: checked_raft::models::Effort,
    /// Whether the bounds mean anything. A scenario has none.
    pub(super) is_bounded: bool,
}

/// The bug of the servers of a scene.
#[derive(Serialize)]
pub(super) struct Mutant {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) story: String,
    pub(super) difference: String,
    /// The id of the rule that it breaks.
    pub(super) breaks: String,
    pub(super) caught_by: String,
    pub(super) seen_in: String,
}

/// A process of a scene.
#[derive(Serialize)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) is_server: bool,
}

/// A property that is asked.
#[derive(Serialize)]
pub(super) struct Property {
    pub(super) name: &'static str,
    /// `always`, `step`, `sometimes` or `recovery`.
    pub(super) kind: &'static str,
    /// What the property says.
    pub(super) sentence: String,
}

/// A state, and the step that led to it.
#[derive(Serialize)]
pub(super) struct Frame {
    pub(super) kind: FrameKind,
    /// The number of the step as people count it; null if the frame is no step of the path.
    pub(super) number: Option<usize>,
    /// The line of the script that led here, from 1.
    pub(super) line: Option<usize>,
    /// The command of a script that leads from the frame before to this one.
    pub(super) command: String,
    /// The comment of the script on what happens here.
    pub(super) comment: Option<String>,
    /// The step in words: the event, the change of the process, and what it sends.
    pub(super) text: Vec<String>,
    /// What happened, if the frame is a step.
    pub(super) event: Option<Happening>,
    pub(super) sent: Vec<Sent>,
    /// The messages that the network has lost here.
    pub(super) lost: Vec<Lost>,
    /// The states of the processes that changed, by their numbers.
    pub(super) states: BTreeMap<usize, State>,
    pub(super) labels: Vec<&'static str>,
    /// The rules that fired.
    pub(super) rules: Vec<&'static str>,
    pub(super) verdict: Verdict,
    /// The bounds of the model that this frame lies beyond, as `max_term=1`.
    pub(super) beyond: Vec<String>,
    /// The steps that can follow; null if nobody has asked for them.
    pub(super) next: Option<Vec<Next>>,
}

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FrameKind {
    /// The first state.
    Start,
    /// A step of the script that the model starts from.
    Prefix,
    /// A step.
    Step,
    /// Something that is no step: messages are lost, or a partition begins.
    Note,
}

/// The event of a step.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Happening {
    /// A message arrives.
    Deliver {
        actor: usize,
        from: usize,
        /// The message in words.
        message: String,
        /// The frame that sent it, if it is shown.
        sent: Option<usize>,
        /// Whether it has arrived before.
        again: bool,
    },
    /// A timer fires.
    Timeout { actor: usize, timer: String },
    /// A process crashes and starts again.
    Restart { actor: usize },
}

/// A message that a step sends.
#[derive(Serialize)]
pub(super) struct Sent {
    pub(super) to: usize,
    pub(super) message: String,
}

/// A message that the network loses.
#[derive(Serialize)]
pub(super) struct Lost {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) message: String,
    pub(super) sent: Option<usize>,
}

/// What the properties say of a frame.
#[derive(Default, Serialize)]
pub(super) struct Verdict {
    pub(super) broken: Vec<Broken>,
    /// The `sometimes` properties of which the state is an example.
    pub(super) examples: Vec<&'static str>,
    /// `yes`, `no` or `undecided`; null if it was not asked.
    pub(super) recovers: Option<&'static str>,
}

/// A property that a state or the step into it breaks.
#[derive(Serialize)]
pub(super) struct Broken {
    pub(super) property: &'static str,
    /// What is wrong in this state, if the state shows it.
    pub(super) sentence: Option<String>,
}

/// A step that can follow.
#[derive(Serialize)]
pub(super) struct Next {
    pub(super) command: String,
    pub(super) actor: usize,
    /// `deliver`, `redeliver`, `timeout` or `restart`.
    pub(super) kind: &'static str,
    /// The sender, if a message arrives.
    pub(super) from: Option<usize>,
    /// The message, or the timer.
    pub(super) what: String,
    /// The frame that sent the message.
    pub(super) sent: Option<usize>,
    /// Whether the step changes or sends anything.
    pub(super) has_effect: bool,
    /// The command that loses the message instead of delivering it.
    pub(super) lose: Option<String>,
}

/// The state of a process.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum State {
    /// A server.
    Server(Box<ServerState>),
    /// A client.
    Client {
        /// The server that it asks.
        asks: Option<String>,
        request: Option<String>,
        /// How each finished command ended.
        outcomes: Vec<String>,
        timers: Vec<String>,
    },
}

/// The state of a server.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub(super) struct ServerState {
    pub(super) role: &'static str,
    pub(super) term: u64,
    pub(super) vote: Option<String>,
    pub(super) commit: u64,
    pub(super) applied: u64,
    pub(super) log: Log,
    /// The armed timers.
    pub(super) timers: Vec<String>,
    /// What a restart would find; null if nothing was ever saved.
    pub(super) saved: Option<Saved>,
    /// The leader that a follower knows, or that a halted server contradicts.
    pub(super) leader: Option<String>,
    /// The servers that have voted for a candidate, or would vote for it.
    pub(super) votes: Vec<String>,
    /// The next and the match index of each follower of a leader.
    pub(super) followers: Vec<Follower>,
    /// The state machine in words.
    pub(super) machine: String,
    pub(super) sessions: String,
}

/// The log of a server. Only its latest entries are shown.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub(super) struct Log {
    /// The last included index of the snapshot.
    pub(super) snapshot: u64,
    /// The index that the log starts after.
    pub(super) start: u64,
    pub(super) last: u64,
    /// The latest entries.
    pub(super) entries: Vec<Entry>,
}

/// An entry of a log.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub(super) struct Entry {
    pub(super) index: u64,
    pub(super) term: u64,
    pub(super) text: String,
    /// Whether the disk has this entry at this index.
    pub(super) is_saved: bool,
}

/// The part of a server that survives a crash.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub(super) struct Saved {
    pub(super) term: u64,
    pub(super) vote: Option<String>,
    pub(super) snapshot: u64,
    pub(super) last: u64,
}

/// A leader's view of a follower.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub(super) struct Follower {
    pub(super) name: String,
    pub(super) next: u64,
    #[serde(rename = "match")]
    pub(super) matching: u64,
}

/// The first step that correct servers would not have taken.
#[derive(Serialize)]
pub(super) struct Differs {
    pub(super) frame: usize,
    /// The step of correct servers in words, or why they cannot take it.
    pub(super) text: Vec<String>,
    /// The process after the step of correct servers, if they can take it.
    pub(super) state: Option<State>,
}

/// A way to recovery.
#[derive(Serialize)]
pub(super) struct Way {
    /// The state that the way begins in, and what was found, in a sentence.
    pub(super) sentence: String,
    /// The commands of the way. The first one loses all messages.
    pub(super) commands: Vec<String>,
    /// Each step in words.
    pub(super) text: Vec<String>,
}

/// A line that cannot be executed.
#[derive(Serialize)]
pub(super) struct Stuck {
    pub(super) line: usize,
    pub(super) text: String,
    pub(super) sentence: String,
}

/// The path in other forms.
#[derive(Default, Serialize)]
pub(super) struct Copies {
    /// The script that `raft play` plays.
    pub(super) script: Option<String>,
    /// A test in Rust.
    pub(super) test: Option<String>,
    /// A Mermaid sequence diagram.
    pub(super) mermaid: Option<String>,
}

//! The questions that the live page asks. Each carries a whole script, so the server remembers nothing of
//! whoever asks.

use super::exhaustion::Searches;
use super::scene::SceneKind;
use super::stage::{Detail, Stage};
use crate::cli::counterexample;
use crate::cli::subject::{Chosen, Subject};
use actorcheck::Limits;
use checked_raft::models::catalogue::catalogue;
use checked_raft::models::header::Header;
use checked_raft::models::mutants;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The most stages that are kept ready.
const MOST_STAGES: usize = 16;
/// The longest search for a counterexample.
const MOST_TIME: Duration = Duration::from_secs(20);

/// The answers to the live page.
#[derive(Default)]
pub(in crate::cli) struct Api {
    /// The stages that are ready, by the header of a script. Two questions about one subject wait for each
    /// other.
    stages: Mutex<BTreeMap<String, Arc<Mutex<Stage>>>>,
    searches: Arc<Searches>,
}

impl Api {
    /// The scene of a script. A line that cannot be executed is part of the scene; a script without a model
    /// is an error.
    pub(super) fn scene(&self, script: &str) -> Result<Value, String> {
        let (header, stage) = self.stage(script)?;
        let mut stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(value(&stage.play(&header, script, SceneKind::Script, Detail::LastFrame)?))
    }

    /// The shortest way to recovery from the end of a script.
    pub(super) fn way(&self, script: &str) -> Result<Value, String> {
        let (header, stage) = self.stage(script)?;
        let stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(value(&stage.way(&header, script)?))
    }

    /// The script of the shortest counterexample of the mutant that a script names.
    #[expect(clippy::unused_self, reason = "it is one of the answers")]
    pub(super) fn counterexample(&self, script: &str) -> Result<Value, String> {
        let subject = subject(script)?.1;
        let Some(mutant) = &subject.mutant else {
            return Err("Correct servers have no counterexample: choose a mutant.".to_owned());
        };
        if mutant.spec.name != subject.spec.name {
            return Err(format!(
                "The counterexample of {} is one of its own model: choose that.",
                mutant.name
            ));
        }
        let limits = Limits { max_time: Some(MOST_TIME), ..Limits::unlimited(1) };
        let found = counterexample::explain(&subject, None, &limits, &AtomicBool::new(false))?;
        Ok(json!({ "script": found.script }))
    }

    /// What is known of the exhaustion of the model that a script names.
    pub(super) fn exhaustion(&self, script: &str, begins: bool) -> Result<Value, String> {
        let (_, subject) = subject(script)?;
        let subject = Subject { mutant: None, ..subject };
        Ok(value(&if begins { self.searches.begin(subject) } else { self.searches.of(&subject) }))
    }

    /// Ends the search that runs, and says what is known of the model.
    pub(super) fn stop(&self, script: &str) -> Result<Value, String> {
        self.searches.end();
        self.exhaustion(script, false)
    }

    fn stage(&self, script: &str) -> Result<(Header, Arc<Mutex<Stage>>), String> {
        let (header, subject) = subject(script)?;
        let key: Vec<_> = script.lines().take(header.lines).map(str::trim).collect();
        let key = key.join("\n");
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stage) = stages.get(&key) {
            return Ok((header, Arc::clone(stage)));
        }
        if stages.len() >= MOST_STAGES {
            stages.clear();
        }
        let stage = Arc::new(Mutex::new(Stage::of_script(&header, subject)?));
        stages.insert(key, Arc::clone(&stage));
        Ok((header, stage))
    }
}

/// The header of a script, and the subject that it names.
fn subject(script: &str) -> Result<(Header, Subject), String> {
    let header = Header::of(script)?;
    let subject = Subject::of_script(&header, Chosen::default())?;
    Ok((header, subject))
}

fn value(data: &impl Serialize) -> Value {
    serde_json::to_value(data).expect("plain data has a JSON form")
}

/// What there is to choose from, the script to begin with, and the header of the model that stateright's
/// Explorer has.
pub(in crate::cli) fn choices(script: &str, explorer: &str) -> Value {
    let models = catalogue().into_iter().map(|spec| {
        json!({ "name": spec.name, "about": spec.about, "effort": spec.effort, "tuples": spec.tuples.0 })
    });
    let mutants = mutants::catalogue().into_iter().map(|mutant| {
        json!({ "name": mutant.name, "about": mutant.about, "model": mutant.spec.name, "breaks": mutant.breaks })
    });
    json!({
        "script": script,
        "explorer": explorer,
        "models": models.collect::<Vec<_>>(),
        "mutants": mutants.collect::<Vec<_>>(),
    })
}

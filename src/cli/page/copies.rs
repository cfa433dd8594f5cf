//! The path of a scene in other forms: as a script, as a test in Rust, and as a Mermaid diagram.

use super::scene::{Copies, FrameKind, Happening, Scene};
use crate::cli::subject::Subject;
use std::fmt::Write;

/// The lines of a script's header that describe the cluster of a scenario.
pub(super) fn header_of(script: &str, lines: usize) -> String {
    let names_other = |line: &&str| {
        let verb = line.split_whitespace().next().unwrap_or_default();
        !["model", "mutant", "correct", "bounds", "violates", "start", "#", ""].contains(&verb)
    };
    let lines = script.lines().take(lines).filter(names_other);
    lines.map(|line| line.to_owned() + "\n").collect()
}

/// The comment that a script begins with, as one text.
pub(super) fn story_of(script: &str, lines: usize) -> Option<String> {
    let head = script.lines().take(lines).map(str::trim);
    let story: Vec<_> = head.map_while(|line| line.strip_prefix('#')).map(str::trim).collect();
    (!story.is_empty()).then(|| story.join(" "))
}

/// The path of a scene in all forms. `scenario` has the lines that describe the cluster of a scenario.
pub(super) fn of(subject: &Subject, scene: &Scene, scenario: &str) -> Copies {
    let commands = commands(scene);
    let script = script(subject, scene, scenario, &commands);
    let mermaid = Some(mermaid(scene));
    Copies { test: test(subject, scene, scenario, &commands), script: Some(script), mermaid }
}

/// The commands of the frames, one a line, each after its comment.
fn commands(scene: &Scene) -> String {
    let frames = scene.frames.iter().filter(|frame| !frame.command.is_empty());
    let lines = frames.map(|frame| {
        let comment = frame.comment.as_ref().map(|comment| format!("# {comment}\n"));
        comment.unwrap_or_default() + &frame.command + "\n"
    });
    lines.collect()
}

fn script(subject: &Subject, scene: &Scene, scenario: &str, commands: &str) -> String {
    let mut text =
        "# `raft play` plays this; docs/counterexamples.md tells the language.\n".to_owned();
    text += &subject.header();
    text += scenario;
    if scene.model.as_ref().is_some_and(|model| model.is_bounded) {
        let _ = writeln!(text, "bounds {}", subject.spec.bounds_text());
    }
    if let Some(property) = &scene.violates {
        let _ = writeln!(text, "violates {property}");
    }
    text + "start\n\n" + commands
}

/// A test that takes the path and asserts what is broken at its end. There is none for bounds of the command
/// line, and none for a script that goes back to an earlier point: only the program knows these.
fn test(subject: &Subject, scene: &Scene, scenario: &str, commands: &str) -> Option<String> {
    if subject.options.is_some() || commands.lines().any(|line| line == "return") {
        return None;
    }
    let fault = if subject.mutant.is_some() { "Some(mutant.fault)" } else { "None" };
    let header = subject.header();
    let model_line = header.lines().find_map(|line| line.strip_prefix("model "));
    let mutant = subject.mutant.as_ref().map(|mutant| {
        format!("    let mutant = mutants::find({:?}).expect(\"a mutant\");\n", mutant.name)
    });
    let (model, uses) = match (model_line, &subject.mutant) {
        _ if !scenario.is_empty() => {
            let read = format!("Header::of({scenario:?}).expect(\"a header\")");
            (format!("{read}.scenario.expect(\"a cluster\")"), "header::Header")
        }
        (Some(name), _) => (format!("catalogue::find({name:?}).expect(\"a model\")"), "catalogue"),
        (None, _) => ("&mutant.spec".to_owned(), ""),
    };
    let mutants = if subject.mutant.is_some() { "mutants" } else { "" };
    let uses: Vec<_> =
        [uses, mutants, "script::Runner"].into_iter().filter(|it| !it.is_empty()).collect();
    let last = scene.frames.last()?;
    let broken: Vec<_> = last.verdict.broken.iter().map(|it| it.property).collect();
    let mut text = format!("use checked_raft::models::{{{}}};\n\n", uses.join(", "));
    text += "#[test]\nfn the_path_is_taken() {\n";
    text += &mutant.unwrap_or_default();
    let _ = writeln!(text, "    let model = {model};");
    let _ = writeln!(text, "    let cluster = model.played({fault}).expect(\"it starts\");");
    text += "    let first = cluster.initial.clone().unwrap_or_else(|| cluster.started());\n";
    text += "    let mut runner = Runner::new(&cluster, first);\n";
    text += "    let script = \"\\\n";
    for line in commands.lines().filter(|line| *line != "remember" && !line.starts_with('#')) {
        let _ = writeln!(text, "{}\\n\\", line.replace('\\', "\\\\").replace('"', "\\\""));
    }
    text += "\";\n    runner.run(script).expect(\"each step can be taken\");\n";
    let _ = match &broken[..] {
        [] => writeln!(text, "    let broken: [&str; 0] = [];"),
        broken => writeln!(text, "    let broken = {broken:?};"),
    };
    text += "    assert_eq!(cluster.broken(runner.state()), broken);\n}\n";
    Some(text)
}

fn mermaid(scene: &Scene) -> String {
    let name = |n: usize| scene.processes[n].name.as_str();
    let mut text = "sequenceDiagram\n".to_owned();
    for process in &scene.processes {
        let _ = writeln!(text, "    participant {}", process.name);
    }
    for frame in scene.frames.iter().filter(|frame| frame.kind != FrameKind::Start) {
        let _ = match &frame.event {
            Some(Happening::Deliver { actor, from, message, .. }) => {
                writeln!(text, "    {}->>{}: {}", name(*from), name(*actor), escaped(message))
            }
            Some(Happening::Timeout { actor, timer }) => {
                writeln!(text, "    Note over {}: {timer} timeout", name(*actor))
            }
            Some(Happening::Restart { actor }) => {
                writeln!(text, "    Note over {}: restart", name(*actor))
            }
            None => {
                let (first, last) = (name(0), name(scene.processes.len() - 1));
                let words = frame.text.first().map_or("", String::as_str);
                writeln!(text, "    Note over {first},{last}: {}", escaped(words))
            }
        };
    }
    let broken = scene.frames.last().map_or(&[][..], |frame| &frame.verdict.broken);
    for broken in broken {
        let (first, last) = (name(0), name(scene.processes.len() - 1));
        let _ = writeln!(text, "    Note over {first},{last}: {} is violated", broken.property);
    }
    text
}

/// Mermaid ends a line at `;` and begins an entity at `#`.
fn escaped(text: &str) -> String {
    text.replace(';', "#59;").replace('#', "#35;").replace("#35;59;", "#59;")
}

//! Counterexamples and paths for people: numbered steps, Mermaid and SVG sequence diagrams.

use super::search::Counterexample;
use super::view::{Checkable, Event, Ghostly};
use super::world::{ActionOf, State, World};
use stateright::actor::{Command, Id};
use std::fmt::{self, Write};

/// A message as text, with the name of its variant only once: a derived `Debug` says `Vote(Vote { .. })`.
pub fn once(msg: &impl fmt::Debug) -> String {
    let text = format!("{msg:?}");
    let inner = text.split_once('(').and_then(|(variant, rest)| {
        rest.strip_suffix(')').filter(|inner| inner.starts_with(variant))
    });
    inner.map(str::to_owned).unwrap_or(text)
}

/// The effect of one step as text: the outputs of the handler and the change of its actor.
pub fn step_text<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    last: &State<A, G>,
    action: &ActionOf<A>,
    next: &State<A, G>,
) -> String {
    let index = usize::from(action.who);
    let (before, after) = (last.actor(index), next.actor(index));
    let mut text = String::new();
    if before == after {
        let _ = writeln!(text, "{}  {after:?} (unchanged)", world.name_of(action.who));
    } else {
        let _ = writeln!(text, "{}  {before:?}", world.name_of(action.who));
        let _ = writeln!(text, "  ⇨ {after:?}");
    }
    for command in world.outputs(last, action) {
        let _ = match command {
            Command::Send(to, msg) => {
                writeln!(text, "  send {}: {}", world.name_of(to), once(&msg))
            }
            Command::Save(storage) => writeln!(text, "  save {storage:?}"),
            Command::SetTimer(timer, _) => writeln!(text, "  arm {timer:?}"),
            Command::CancelTimer(timer) => writeln!(text, "  disarm {timer:?}"),
            Command::ChooseRandom(key, choices) => writeln!(text, "  choose {key} of {choices:?}"),
        };
    }
    text
}

/// The steps of a counterexample as numbered text, each with the state change of its actor.
pub fn steps_text<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    found: &Counterexample<A, G>,
) -> String {
    let mut text = String::new();
    let mut last = &found.first;
    for (number, (action, next)) in found.steps.iter().enumerate() {
        let _ = writeln!(text, "{:>3}. {}", number + 1, world.action_text(action));
        for line in step_text(world, last, action, next).lines() {
            let _ = writeln!(text, "     {line}");
        }
        last = next;
    }
    text
}

/// A Mermaid sequence diagram of a counterexample.
pub fn mermaid<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    found: &Counterexample<A, G>,
) -> String {
    mermaid_in_words(world, found, &|msg| once(msg))
}

/// A Mermaid sequence diagram of a counterexample, in which `words` puts messages into words.
pub fn mermaid_in_words<A: Checkable, G: Ghostly>(
    world: &World<A, G>,
    found: &Counterexample<A, G>,
    words: &dyn Fn(&A::Msg) -> String,
) -> String {
    let mut text = "sequenceDiagram\n".to_owned();
    for name in &world.names {
        let _ = writeln!(text, "    participant {name}");
    }
    for (action, _) in &found.steps {
        let who = world.name_of(action.who);
        let _ = match &action.event {
            Event::Deliver { src, msg } => {
                writeln!(
                    text,
                    "    {}->>{who}: {}",
                    world.name_of(*src),
                    escape_mermaid(&words(msg))
                )
            }
            Event::Timeout(timer) => {
                writeln!(
                    text,
                    "    Note over {who}: {}",
                    escape_mermaid(&format!("{timer:?} timeout"))
                )
            }
            Event::Choose { key, random } => {
                writeln!(
                    text,
                    "    Note over {who}: {}",
                    escape_mermaid(&format!("{key} is {random:?}"))
                )
            }
            Event::Restart => writeln!(text, "    Note over {who}: restart"),
        };
    }
    if let Some(last) = world.names.last() {
        let first = &world.names[0];
        let _ = writeln!(
            text,
            "    Note over {first},{last}: {} is violated",
            escape_mermaid(found.property)
        );
    }
    text
}

/// Pixels between two lifelines, between two steps, above the first step, and for one character.
const COLUMN: usize = 110;
const ROW: usize = 28;
const TOP: usize = 40;
const CHARACTER: usize = 7;

/// The horizontal place of an actor's lifeline.
fn column(id: Id) -> usize {
    COLUMN / 2 + usize::from(id) * COLUMN
}

/// A state of a path and the action taken there; the last state has no action.
pub type Visit<A, G> = (State<A, G>, Option<ActionOf<A>>);

/// An SVG sequence diagram of a path, for the Explorer. An arrow for a message lies in the row of the step
/// that delivers it, so it crosses no event of another actor. The text of each step stands in its row, right
/// of the lifelines.
pub fn svg<A: Checkable, G: Ghostly>(world: &World<A, G>, path: &[Visit<A, G>]) -> String {
    let y = |step: usize| TOP + step * ROW;
    let actions = path.iter().filter_map(|(_, action)| action.as_ref());
    let labels: Vec<_> = actions.map(|action| world.action_text(action)).collect();
    let longest = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    let lifelines = world.names.len() * COLUMN;
    let mut svg = svg_frame(&world.names, lifelines + (longest + 2) * CHARACTER, y(path.len()));
    for (step, label) in labels.iter().enumerate() {
        let (x, y, label) = (lifelines, y(step + 1) + 4, escape_xml(label));
        let _ = write!(svg, "<text x='{x}' y='{y}' font-size='11'>{label}</text>");
    }
    for (step, (_, action)) in path.iter().enumerate() {
        let Some(action) = action else { continue };
        let (to, below) = (column(action.who), y(step + 1));
        let _ = match &action.event {
            Event::Deliver { src, .. } => {
                let from = column(*src);
                write!(
                    svg,
                    "<line x1='{from}' y1='{below}' x2='{to}' y2='{below}' stroke='black' \
                     marker-end='url(#arrow)'/>"
                )
            }
            Event::Timeout(_) | Event::Choose { .. } => {
                write!(svg, "<circle cx='{to}' cy='{below}' r='5'/>")
            }
            Event::Restart => write!(
                svg,
                "<path d='M {} {} l 10 10 m 0 -10 l -10 10' stroke='black' stroke-width='3'/>",
                to - 5,
                below - 5
            ),
        };
    }
    svg.push_str("</svg>");
    svg
}

/// The names and lifelines, on a light ground, because the Explorer's own ground is dark.
fn svg_frame(names: &[String], width: usize, height: usize) -> String {
    let mut svg = format!(
        "<svg version='1.1' width='{width}' height='{height}' viewBox='0 0 {width} {height}' \
         xmlns='http://www.w3.org/2000/svg'><defs>\
         <marker id='arrow' markerWidth='12' markerHeight='10' refX='12' refY='5' orient='auto'>\
         <polygon points='0 0, 12 5, 0 10'/></marker></defs>\
         <rect width='{width}' height='{height}' rx='6' fill='#f7f7f2'/>"
    );
    for (index, name) in names.iter().enumerate() {
        let (x, name) = (column(Id::from(index)), escape_xml(name));
        let _ = write!(
            svg,
            "<text x='{x}' y='24' text-anchor='middle' font-weight='bold'>{name}</text>\
             <line x1='{x}' y1='{TOP}' x2='{x}' y2='{height}' stroke='#999'/>"
        );
    }
    svg
}

/// Escapes '#' and ';', which have a meaning in Mermaid. Their escapes contain both characters, so one pass
/// replaces them.
fn escape_mermaid(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '#' => escaped.push_str("#35;"),
            ';' => escaped.push_str("#59;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn escape_xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&apos;")
}

#[cfg(test)]
mod tests {
    use super::{escape_mermaid, escape_xml, once};

    #[derive(Debug)]
    struct Vote(#[expect(dead_code, reason = "only its text is of interest")] u8);
    #[derive(Debug)]
    enum Message {
        Vote(#[expect(dead_code, reason = "only its text is of interest")] Vote),
        Other(#[expect(dead_code, reason = "only its text is of interest")] Vote),
        Ping,
    }

    #[test]
    fn the_name_of_a_message_is_said_once() {
        assert_eq!(once(&Message::Vote(Vote(1))), "Vote(1)");
        assert_eq!(once(&Message::Other(Vote(1))), "Other(Vote(1))");
        assert_eq!(once(&Message::Ping), "Ping");
    }

    #[test]
    fn what_has_a_meaning_in_a_diagram_is_escaped_once() {
        assert_eq!(escape_mermaid("3#1; done"), "3#35;1#59; done");
        assert_eq!(escape_xml("a<'b'&c>"), "a&lt;&apos;b&apos;&amp;c&gt;");
    }
}

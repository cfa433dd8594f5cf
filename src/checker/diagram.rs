//! Counterexamples and paths for people: numbered steps, Mermaid and SVG sequence diagrams.

use super::search::Counterexample;
use super::view::Event;
use super::world::{ActionOf, State, World};
use stateright::actor::{Actor, Command, Id};
use std::fmt::{self, Write};
use std::hash::Hash;

/// A message as text, with the name of its variant once: a derived `Debug` says `Vote(Vote { .. })`.
pub fn once(msg: &impl fmt::Debug) -> String {
    let text = format!("{msg:?}");
    let inner = text.split_once('(').and_then(|(variant, rest)| {
        rest.strip_suffix(')').filter(|inner| inner.starts_with(variant))
    });
    inner.map(str::to_owned).unwrap_or(text)
}

/// What one step does: the handler's outputs and the change of its actor.
pub fn step_text<A, G>(
    world: &World<A, G>,
    last: &State<A, G>,
    action: &ActionOf<A>,
    next: &State<A, G>,
) -> String
where
    A: Actor,
    A::Msg: Ord,
    A::Timer: Ord,
    G: Clone + fmt::Debug + Hash + PartialEq,
{
    let index = usize::from(action.who);
    let (before, after) = (last.actor(index), next.actor(index));
    let mut text = String::new();
    if before == after {
        let _ = writeln!(text, "{}  {after:?} (unchanged)", world.name(action.who));
    } else {
        let _ = writeln!(text, "{}  {before:?}", world.name(action.who));
        let _ = writeln!(text, "  ⇨ {after:?}");
    }
    for command in world.outputs(last, action) {
        let _ = match command {
            Command::Send(to, msg) => writeln!(text, "  send {}: {}", world.name(to), once(&msg)),
            Command::Save(storage) => writeln!(text, "  save {storage:?}"),
            Command::SetTimer(timer, _) => writeln!(text, "  arm {timer:?}"),
            Command::CancelTimer(timer) => writeln!(text, "  disarm {timer:?}"),
            Command::ChooseRandom(key, choices) => writeln!(text, "  choose {key} of {choices:?}"),
        };
    }
    text
}

/// Numbered steps, each with the state change of its actor.
pub fn steps_text<A, G>(world: &World<A, G>, found: &Counterexample<A, G>) -> String
where
    A: Actor,
    A::Msg: Ord,
    A::Timer: Ord,
    G: Clone + fmt::Debug + Hash + PartialEq,
{
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

/// A Mermaid sequence diagram.
pub fn mermaid<A, G>(world: &World<A, G>, found: &Counterexample<A, G>) -> String
where
    A: Actor,
    A::Msg: Ord,
    A::Timer: Ord,
    G: Clone + fmt::Debug + Hash + PartialEq,
{
    let mut text = "sequenceDiagram\n".to_owned();
    for name in &world.names {
        let _ = writeln!(text, "    participant {name}");
    }
    for (action, _) in &found.steps {
        let who = world.name(action.who);
        let _ = match &action.event {
            Event::Deliver { src, msg } => {
                writeln!(text, "    {}->>{who}: {}", world.name(*src), escape_mermaid(&once(msg)))
            }
            Event::Timeout(timer) => {
                writeln!(
                    text,
                    "    Note over {who}: {}",
                    escape_mermaid(&format!("{timer:?} timeout"))
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

/// Pixels between two lifelines and between two steps, and the room for names.
const COLUMN: usize = 260;
const ROW: usize = 34;
const TOP: usize = 40;

/// An SVG sequence diagram of a path, for the Explorer. A message is drawn from the step that first
/// sent it to the one that delivers it.
pub fn svg<A, G>(world: &World<A, G>, path: &[(State<A, G>, Option<ActionOf<A>>)]) -> String
where
    A: Actor,
    A::Msg: Ord,
    A::Timer: Ord,
    G: Clone + fmt::Debug + Hash + PartialEq,
{
    let x = |id: Id| COLUMN / 2 + usize::from(id) * COLUMN;
    let y = |step: usize| TOP + step * ROW;
    let (width, height) = (world.names.len() * COLUMN, y(path.len()) + ROW);
    let mut svg = format!(
        "<svg version='1.1' baseProfile='full' width='{width}' height='{height}' \
         viewBox='0 0 {width} {height}' xmlns='http://www.w3.org/2000/svg'><defs>\
         <marker id='arrow' markerWidth='12' markerHeight='10' refX='12' refY='5' orient='auto'>\
         <polygon points='0 0, 12 5, 0 10'/></marker></defs>"
    );
    for (index, name) in world.names.iter().enumerate() {
        let x = x(Id::from(index));
        let _ = write!(
            svg,
            "<text x='{x}' y='20' text-anchor='middle' font-weight='bold'>{name}</text>"
        );
        let _ = write!(svg, "<line x1='{x}' y1='{TOP}' x2='{x}' y2='{height}' stroke='#bbb'/>");
    }
    for (step, (_, action)) in path.iter().enumerate() {
        let Some(action) = action else { continue };
        let (to, below) = (x(action.who), y(step + 1));
        match &action.event {
            Event::Deliver { src, msg } => {
                let sent = path[..=step].iter().position(|(state, _)| {
                    state
                        .messages()
                        .any(|(from, to, sent)| (from, to) == (*src, action.who) && sent == msg)
                });
                let (from, above) = (x(*src), y(sent.unwrap_or(step)));
                let _ = write!(
                    svg,
                    "<line x1='{from}' y1='{above}' x2='{to}' y2='{below}' stroke='black' marker-end='url(#arrow)'/>"
                );
                let text = escape_xml(&once(msg));
                let _ = write!(
                    svg,
                    "<text x='{to}' y='{}' font-size='10' text-anchor='middle'>{text}</text>",
                    below + 12
                );
            }
            event => {
                let text = match event {
                    Event::Timeout(timer) => format!("{timer:?} timeout"),
                    _ => "restart".to_owned(),
                };
                let text = escape_xml(&text);
                let _ = write!(
                    svg,
                    "<circle cx='{to}' cy='{below}' r='5'/><text x='{}' y='{below}' font-size='10'>{text}</text>",
                    to + 9
                );
            }
        }
    }
    svg.push_str("</svg>");
    svg
}

/// '#' and ';' have a meaning in Mermaid; both are in what stands for them, so one pass it is.
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

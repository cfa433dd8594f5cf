//! The picture of a state in the Explorer, as SVG: how the model came there, and the cluster as it is there.
//!
//! The upper part is a sequence diagram with a row for each step. The steps of the model's script come
//! first, with numbers below one. An arrow lies in the row of its delivery, so it crosses no event of
//! another process. The lower part has the verdict on the state, and a line for each process. A server's
//! line has its log as a grid, as the paper draws logs: a column is an index, and a cell has the term of
//! its entry. A bar stands behind the last entry that the server knows to be committed.

use super::told::{self, Process, ServerState};
use super::why;
use actorcheck::Event;
use checked_raft::models::text::Text;
use checked_raft::models::{Cluster, ClusterAction, ClusterState};
use checked_raft::raft::{Message, Session};
use stateright::actor::Id;
use std::fmt::Write;

/// A path of a model: the state where its script began, and all steps from there.
pub(super) struct Walk<'a> {
    /// The state of freshly started processes.
    pub(super) first: &'a ClusterState,
    /// The steps of the script that the model starts from.
    pub(super) script: &'a [(ClusterAction, ClusterState)],
    /// The steps from the model's first state on.
    pub(super) steps: &'a [(ClusterAction, ClusterState)],
}

/// Pixels: the column of numbers, between two lifelines, between two rows, and for one character.
const MARGIN: usize = 44;
const COLUMN: usize = 90;
const ROW: usize = 34;
const CHARACTER: usize = 7;

/// Pixels: a line for a process, and the width of a cell of a log.
const LINE: usize = 26;
const CELL: usize = 30;

/// The colours of ink, of what is less important, of a process that has just acted, and of a violation.
const INK: &str = "#222";
const FAINT: &str = "#777";
const ACTIVE: &str = "#fff3bf";
const WRONG: &str = "#b00020";

impl Walk<'_> {
    /// The state at the end.
    fn end(&self) -> &ClusterState {
        let last = self.steps.last().or(self.script.last());
        last.map_or(self.first, |(_, state)| state)
    }

    /// The picture of the state at the end.
    pub(super) fn picture(&self, world: &Cluster) -> String {
        let mut drawing = Drawing::default();
        self.draw_steps(world, &mut drawing);
        self.draw_verdict(world, &mut drawing);
        self.draw_cluster(world, &mut drawing);
        drawing.svg()
    }

    /// Draws the sequence diagram.
    fn draw_steps(&self, world: &Cluster, drawing: &mut Drawing) {
        let lifeline = |id: Id| MARGIN + COLUMN / 2 + usize::from(id) * COLUMN;
        let words = MARGIN + world.names.len() * COLUMN + 8;
        for (n, name) in world.names.iter().enumerate() {
            let x = lifeline(Id::from(n));
            drawing.text(
                x,
                22,
                name,
                &format!("text-anchor='middle' font-weight='bold' fill='{INK}'"),
            );
        }
        let (top, text) = (34, Text::of(world));
        let all = self.script.iter().chain(self.steps);
        let count = self.script.len() + self.steps.len();
        let befores = std::iter::once(self.first).chain(all.clone().map(|(_, state)| state));
        let mut y = top;
        let mut rows = String::new();
        for (n, (before, (action, after))) in befores.zip(all).enumerate() {
            y += ROW;
            // A script of two steps has the numbers -1 and 0.
            let signed = |number| i64::try_from(number).expect("few steps");
            let number = signed(n + 1) - signed(self.script.len());
            let ink = if number < 1 { FAINT } else { INK };
            let mut row = Drawing::default();
            row.text(
                MARGIN - 12,
                y + 4,
                &number.to_string(),
                &format!("text-anchor='end' fill='{FAINT}'"),
            );
            let lines = text.step(world, before, action, after);
            row.text(words, y - 2, &lines[0], &format!("fill='{ink}'"));
            row.text(words + 12, y + 11, &lines[1], &format!("font-size='10' fill='{FAINT}'"));
            let to = lifeline(action.who);
            match &action.event {
                Event::Deliver { src, .. } => {
                    let from = lifeline(*src);
                    let _ = write!(
                        row.shapes,
                        "<line x1='{from}' y1='{y}' x2='{to}' y2='{y}' stroke='{ink}' \
                         marker-end='url(#arrow)'/>"
                    );
                }
                Event::Timeout(_) | Event::Choose { .. } => {
                    let _ = write!(row.shapes, "<circle cx='{to}' cy='{y}' r='5' fill='{ink}'/>");
                }
                Event::Restart => {
                    let (x, y) = (to - 5, y - 5);
                    let _ = write!(
                        row.shapes,
                        "<path d='M {x} {y} l 10 10 m 0 -10 l -10 10' stroke='{ink}' \
                         stroke-width='3'/>"
                    );
                }
            }
            if n + 1 == self.script.len() {
                let below = y + ROW / 2;
                let _ = write!(
                    row.shapes,
                    "<line x1='8' y1='{below}' x2='{words}' y2='{below}' stroke='{FAINT}' \
                     stroke-dasharray='4 3'/>"
                );
            }
            drawing.take(&row);
            rows.push_str(&row.shapes);
        }
        // The lifelines lie beneath everything else.
        let bottom = top + count * ROW + ROW / 2;
        for n in 0..world.names.len() {
            let x = lifeline(Id::from(n));
            let _ = write!(
                drawing.shapes,
                "<line x1='{x}' y1='{top}' x2='{x}' y2='{bottom}' stroke='#bbb'/>"
            );
        }
        drawing.shapes.push_str(&rows);
        drawing.reach(words, bottom);
    }

    /// Draws the verdict on the state at the end.
    fn draw_verdict(&self, world: &Cluster, drawing: &mut Drawing) {
        let state = self.end();
        let broken = world.broken(state);
        let sometimes =
            world.sometimes.iter().filter(|property| property.holds.holds(&state.view()));
        let examples: Vec<_> = sometimes.map(|property| property.name).collect();
        let mut lines: Vec<_> = broken
            .iter()
            .flat_map(|name| {
                let first = format!("{name} is violated");
                let sentence = why::sentence(world, name, state).unwrap_or_default();
                let sentence: Vec<_> = sentence.lines().map(str::to_owned).collect();
                std::iter::once(first).chain(sentence)
            })
            .map(|line| (line, WRONG))
            .collect();
        if lines.is_empty() {
            lines.push(("This state violates no property that is asked here.".to_owned(), INK));
        }
        if !examples.is_empty() {
            lines.push((format!("It is an example of: {}.", examples.join("; ")), INK));
        }
        for (line, ink) in lines {
            let y = drawing.height + 20;
            drawing.text(12, y, &line, &format!("font-weight='bold' fill='{ink}'"));
        }
    }

    /// Draws a line for each process, with the logs of servers as one grid.
    fn draw_cluster(&self, world: &Cluster, drawing: &mut Drawing) {
        let state = self.end();
        let acted = self.steps.last().map(|(action, _)| usize::from(action.who));
        let processes = told::processes(world, state);
        let lines: Vec<_> =
            processes.iter().enumerate().map(|(n, it)| line(world, state, n, it)).collect();
        let longest = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
        let grid = 12 + (longest + 2) * CHARACTER;
        let servers = processes.iter().filter_map(Process::server);
        let columns = servers.clone().map(|server| server.log.len()).max().unwrap_or(0);
        let mut y = drawing.height + 14;
        for index in 1..=columns {
            let x = grid + (index - 1) * CELL + CELL / 2;
            let style = format!("text-anchor='middle' font-size='10' fill='{FAINT}'");
            drawing.text(x, y + 10, &index.to_string(), &style);
        }
        y += 14;
        for (n, process) in processes.iter().enumerate() {
            if acted == Some(n) {
                let width = grid + columns * CELL;
                let _ = write!(
                    drawing.shapes,
                    "<rect x='8' y='{y}' width='{width}' height='{LINE}' fill='{ACTIVE}'/>"
                );
            }
            drawing.text(12, y + 17, &lines[n], &format!("fill='{INK}' xml:space='preserve'"));
            if let Some(server) = process.server() {
                draw_log(drawing, server, grid, y);
            }
            y += LINE;
            drawing.reach(grid + columns * CELL, y);
        }
    }
}

/// Draws the log of a server as cells from `x` on, with a bar behind the last committed one.
fn draw_log(drawing: &mut Drawing, server: &ServerState, x: usize, y: usize) {
    let (name, above, height) = (&server.name, y + 3, LINE - 6);
    let _ = write!(drawing.shapes, "<g class='log' id='log-{}'>", escaped(name));
    for (n, term) in server.log.iter().enumerate() {
        let (left, middle) = (x + n * CELL, x + n * CELL + CELL / 2);
        let fill = if (n as u64) < server.commit { "#cfe8cf" } else { "#ffffff" };
        let _ = write!(
            drawing.shapes,
            "<rect x='{left}' y='{above}' width='{CELL}' height='{height}' fill='{fill}' \
             stroke='{FAINT}'/>"
        );
        let style = format!("text-anchor='middle' fill='{INK}'");
        drawing.text(middle, y + 17, &format!("t{term}"), &style);
    }
    if let Ok(commit @ 1..) = usize::try_from(server.commit) {
        let (bar, below) = (x + commit * CELL, y + LINE);
        let _ = write!(
            drawing.shapes,
            "<line class='commit' x1='{bar}' y1='{y}' x2='{bar}' y2='{below}' stroke='#1b7f1b' \
             stroke-width='4'/>"
        );
    }
    drawing.shapes.push_str("</g>");
}

/// The state of a process in a line, without the log of a server.
fn line(world: &Cluster, state: &ClusterState, number: usize, process: &Process) -> String {
    let timers = |timers: &[String]| {
        if timers.is_empty() { String::new() } else { format!("  armed {}", timers.join(", ")) }
    };
    match process {
        Process::Server(server) => {
            let vote = server.vote.as_deref().unwrap_or("-");
            format!(
                "{:<3} {:<9} t{:<2} vote {vote:<3} commit {} applied {}{}",
                server.name,
                server.role,
                server.term,
                server.commit,
                server.applied,
                timers(&server.timers)
            )
        }
        Process::Client(client) => {
            let session = state.actor(number).client().map(|client| &client.session);
            let asks = match session.and_then(Session::request) {
                Some((server, request)) => {
                    let request = Text::of(world).message(&Message::ClientRequest(request));
                    format!("asks {}: {request}", world.name_of(server))
                }
                None => "asks nothing".to_owned(),
            };
            let outcomes = client.outcomes.iter().map(|outcome| format!("  learnt `{outcome}`"));
            let outcomes: String = outcomes.collect();
            format!("{:<3} {asks}{outcomes}{}", client.name, timers(&client.timers))
        }
    }
}

/// Shapes, and the size that they take.
#[derive(Default)]
struct Drawing {
    shapes: String,
    width: usize,
    height: usize,
}

impl Drawing {
    /// Writes a line of text whose baseline is at `y`.
    fn text(&mut self, x: usize, y: usize, text: &str, style: &str) {
        let _ = write!(self.shapes, "<text x='{x}' y='{y}' {style}>{}</text>", escaped(text));
        let is_centred = style.contains("text-anchor");
        let width = if is_centred { 0 } else { text.chars().count() * CHARACTER };
        self.reach(x + width, y);
    }

    /// Notes that something reaches this point.
    fn reach(&mut self, x: usize, y: usize) {
        (self.width, self.height) = (self.width.max(x), self.height.max(y));
    }

    /// Takes over the size of another drawing.
    fn take(&mut self, other: &Self) {
        self.reach(other.width, other.height);
    }

    /// The drawing on a light ground, because the Explorer's own ground is dark.
    fn svg(&self) -> String {
        let (width, height) = (self.width + 16, self.height + 12);
        format!(
            "<svg version='1.1' width='{width}' height='{height}' viewBox='0 0 {width} {height}' \
             xmlns='http://www.w3.org/2000/svg' font-family='monospace' font-size='11'><defs>\
             <marker id='arrow' markerWidth='12' markerHeight='10' refX='12' refY='5' orient='auto'>\
             <polygon points='0 0, 12 5, 0 10'/></marker></defs>\
             <rect width='{width}' height='{height}' rx='6' fill='#f7f7f2'/>{}</svg>",
            self.shapes
        )
    }
}

/// The text as XML has it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&apos;")
}

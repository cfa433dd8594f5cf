//! The state graphs that TLC dumps: `-dump dot,actionlabels FILE`.
//!
//! Each line of such a file is a state or an edge. States have numbers, and the label of a state holds its
//! variables. All other lines say how to draw the graph. A state may stand behind edges that lead to it.

use super::graph::{Graph, Texts};
use super::value::Assignment;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};

/// The reason why a dump is not read.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The file cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A line is not one that TLC writes.
    #[error("line {line}: {reason}")]
    Line {
        /// The number of the line, from 1.
        line: usize,
        /// The reason why TLC cannot have written the line.
        reason: String,
    },
    /// The file as a whole is no dump.
    #[error("{0}")]
    Whole(String),
}

/// A line of a dump.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    State { id: &'a str, label: String, is_initial: bool },
    Edge { from: &'a str, to: &'a str, label: String },
    Drawing,
    End,
}

/// Reads a dump. Edges from a state to itself are dropped.
pub fn read(mut dump: impl BufRead, texts: &mut Texts) -> Result<Graph, DumpError> {
    let mut graph = Graph::default();
    let mut states = BTreeMap::<Box<str>, u32>::new();
    let mut ids = BTreeMap::<Box<str>, (u32, usize)>::new();
    let mut edges = BTreeSet::new();
    let (mut text, mut open, mut begun) = (String::new(), 0_usize, false);
    for line in 1.. {
        text.clear();
        if dump.read_line(&mut text)? == 0 {
            break;
        }
        let wrong = |reason: String| DumpError::Line { line, reason };
        let mut number = |id: &str| {
            let next = u32::try_from(ids.len()).expect("memory holds fewer than 2^32 states");
            ids.entry(id.into()).or_insert((next, line)).0
        };
        match parse(text.trim_end()).map_err(wrong)? {
            Line::State { id, label, is_initial } => {
                let state: Assignment = label.parse().map_err(wrong)?;
                let state = texts.states.number(state.to_string());
                if states.insert(id.into(), state).is_some_and(|other| other != state) {
                    return Err(wrong(format!("state {id} stands here for the second time")));
                }
                graph.states.insert(state);
                if is_initial {
                    graph.initial.insert(state);
                }
            }
            Line::Edge { from, to, label } => {
                let edge = (number(from), texts.actions.number(label), number(to));
                edges.insert(edge);
            }
            Line::Drawing => {
                begun |= text.contains("digraph");
                open += text.matches('{').count();
                open = open.saturating_sub(text.matches('}').count());
            }
            Line::End => open = open.saturating_sub(1),
        }
    }
    if !begun || graph.initial.is_empty() {
        return Err(DumpError::Whole(
            "this is no graph with an initial state, as TLC writes by `-dump dot,actionlabels`"
                .into(),
        ));
    }
    if open > 0 {
        return Err(DumpError::Whole(
            "the end of the file is missing: did TLC end by itself?".into(),
        ));
    }
    let mut of_number = vec![0; ids.len()];
    for (id, (number, line)) in ids {
        let Some(state) = states.get(&id) else {
            return Err(DumpError::Line { line, reason: format!("no line tells state {id}") });
        };
        of_number[number as usize] = *state;
    }
    let edges = edges.into_iter().map(|(from, action, to): (u32, u32, u32)| {
        (of_number[from as usize], action, of_number[to as usize])
    });
    graph.edges = edges.filter(|(from, _, to)| from != to).collect();
    Ok(graph)
}

fn parse(line: &str) -> Result<Line<'_>, String> {
    let is_id = line.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    if line == "}" {
        return Ok(Line::End);
    }
    if !is_id {
        const DRAWING: [&str; 6] =
            ["strict digraph ", "digraph ", "nodesep=", "subgraph ", "color=", "{rank = same;"];
        let is_drawing = line.is_empty() || DRAWING.iter().any(|it| line.starts_with(it));
        let start: String = line.chars().take(24).collect();
        return if is_drawing {
            Ok(Line::Drawing)
        } else {
            Err(format!("TLC writes no line that begins with `{start}`"))
        };
    }
    let (id, rest) = number(line)?;
    if let Some(rest) = rest.strip_prefix(" -> ") {
        let (to, rest) = number(rest)?;
        let (label, _) = label(rest)?;
        if label.is_empty() {
            return Err("the edge has no action: use `-dump dot,actionlabels`".into());
        }
        return Ok(Line::Edge { from: id, to, label });
    }
    let (label, rest) = label(rest)?;
    Ok(Line::State { id, label, is_initial: rest.contains("style = filled") })
}

/// The number at the start of a text, and the rest.
fn number(text: &str) -> Result<(&str, &str), String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let rest = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    if rest.len() == digits.len() {
        return Err("the number of a state is missing".into());
    }
    Ok(text.split_at(text.len() - rest.len()))
}

/// The label in ` [label="..."...`, without escapes, and the rest.
fn label(text: &str) -> Result<(String, &str), String> {
    const START: &str = "[label=\"";
    let text = text.trim_start();
    let text = text.strip_prefix(START).ok_or_else(|| format!("`{START}` is missing"))?;
    let mut label = String::with_capacity(text.len());
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((label, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => label.push('\n'),
                Some((_, c)) => label.push(c),
                None => break,
            },
            c => label.push(c),
        }
    }
    Err("the label has no end".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = r#"strict digraph DiskGraph {
nodesep=0.35;
subgraph cluster_graph {
color="white";
-42 [label="/\\ a = <<>>\n/\\ x = \"q\\\"\"",style = filled]
-42 -> 18 [label="Step",color="black",fontcolor="black"];
18 [label="/\\ a = { 1,\n  2 }\n/\\ x = \"\""];
-42 -> 18 [label="Step",color="black",fontcolor="black"];
-42 -> -42 [label="Stay",color="black",fontcolor="black"];
18 -> -42 [label="Back",color="black",fontcolor="black"];
{rank = same; -42;}
{rank = same; 18;}
}
}
"#;

    fn error(dump: &str) -> String {
        read(dump.as_bytes(), &mut Texts::default()).expect_err("this is no dump").to_string()
    }

    #[test]
    fn a_dump_is_a_graph_without_loops() {
        let mut texts = Texts::default();
        let graph = read(DUMP.as_bytes(), &mut texts).unwrap();
        assert_eq!(texts.state(0), r#"a = <<>> /\ x = "q\"""#);
        assert_eq!(texts.state(1), r#"a = {1, 2} /\ x = """#);
        assert_eq!((graph.initial, graph.states), (BTreeSet::from([0]), BTreeSet::from([0, 1])));
        let edges: Vec<_> =
            graph.edges.iter().map(|(a, by, b)| (*a, texts.action(*by), *b)).collect();
        assert_eq!(edges, [(0, "Step", 1), (1, "Back", 0)]);
    }

    #[test]
    fn a_line_that_tlc_does_not_write_is_named_by_its_number() {
        for (old, new, reason) in [
            ("{ 1,", "{ 1", "line 7: `,` is missing"),
            ("18 [label=\"/", "18 [lab=\"/", "line 7: `[label=\"` is missing"),
            ("x = \\\"\\\"\"];", "x = \\\"\\\"", "line 7: the label has no end"),
            ("18 -> -42", "18 -> 43", "line 10: no line tells state 43"),
            ("18 -> -42", "18 -> ?", "line 10: the number of a state is missing"),
            ("nodesep", "nodes", "line 2: TLC writes no line"),
            ("label=\"Back\"", "label=\"\"", "line 10: the edge has no action"),
            ("-42 -> -42 [", "18 [label=\"x = 3\"];\n-42 -> -42 [", "line 9: state 18 stands here"),
        ] {
            let dump = DUMP.replacen(old, new, 1);
            assert_ne!(dump, DUMP);
            assert!(error(&dump).contains(reason), "{new}: {}", error(&dump));
        }
    }

    #[test]
    fn a_file_that_ends_early_is_no_dump() {
        assert!(error(DUMP.trim_end().trim_end_matches('}')).contains("the end of the file"));
        assert!(error("").contains("no graph"));
        assert!(error("strict digraph DiskGraph {\n}\n").contains("no graph"));
        let bytes = [&b"strict digraph DiskGraph {\n"[..], &[0xff, b'\n']].concat();
        assert!(read(&bytes[..], &mut Texts::default()).is_err());
    }
}

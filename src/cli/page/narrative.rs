//! The text of a story: the comments of a script, each with the commands that follow it.
//!
//! A story is a script that begins with a title: a comment of one line, and a line with `#` alone. The
//! comment goes on with an introduction. Then a comment stands before each group of commands. Comments
//! have no effect on the path. The page shows each beside the steps of its group.
//!
//! A line that begins with `#=` is an order to the store that stands beside the story; see [`LastWrite`].

use super::last_write::LastWrite;
use serde::Serialize;

/// The text of a script.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Narrative {
    pub(super) title: String,
    pub(super) introduction: String,
    pub(super) paragraphs: Vec<Paragraph>,
}

/// A comment, and the line of the script that the commands after it begin at.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Paragraph {
    /// From 1.
    pub(super) line: usize,
    pub(super) text: String,
    /// What the store beside the story is asked, and what it answers.
    pub(super) beside: Vec<Beside>,
}

/// An order to the store beside the story.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Beside {
    pub(super) order: String,
    pub(super) answer: String,
}

impl Narrative {
    /// Reads the comments of a script; `header` is the number of lines of its header. A script without a
    /// title is no story.
    pub(super) fn of(script: &str, header: usize) -> Result<Option<Self>, String> {
        let Some((title, introduction)) = head(script, header) else { return Ok(None) };
        let (mut paragraphs, mut text): (Vec<Paragraph>, _) = (Vec::new(), Vec::new());
        let mut store = LastWrite::default();
        for (line, content) in (1..).zip(script.lines()).skip(header) {
            if let Some(order) = content.strip_prefix("#=") {
                let order = order.trim().to_owned();
                let answer =
                    store.obey(&order).map_err(|why| format!("line {line}: `{content}`: {why}"))?;
                let Some(last) = paragraphs.last_mut() else {
                    return Err(format!(
                        "line {line}: `{content}` stands before the first command"
                    ));
                };
                last.beside.push(Beside { order, answer });
            } else if let Some(comment) = content.strip_prefix('#') {
                text.push(comment.trim());
            } else if !content.trim().is_empty() && !text.is_empty() {
                let text = std::mem::take(&mut text).join(" ");
                paragraphs.push(Paragraph { line, text, beside: Vec::new() });
            }
        }
        Ok(Some(Self { title, introduction, paragraphs }))
    }
}

/// The title and the introduction: the comment that the script begins with.
pub(in crate::cli) fn head(script: &str, header: usize) -> Option<(String, String)> {
    let lines = script.lines().take(header);
    let comments: Vec<_> = lines.map_while(|line| line.strip_prefix('#')).map(str::trim).collect();
    let [title, "", rest @ ..] = &comments[..] else { return None };
    let rest: Vec<_> = rest.iter().filter(|line| !line.is_empty()).copied().collect();
    Some(((*title).to_owned(), rest.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::{Narrative, Paragraph};
    use crate::cli::stories::STORIES;
    use checked_raft::models::header::Header;

    const STORY: &str = "\
# Two servers
#
# They agree,
# mostly.
servers 2
start

# S0 asks
# for votes.
timeout S0
#= write S0 x=1 at 1

# It gets one.
settle
#= read S1 x
";

    #[test]
    fn a_comment_is_the_text_of_the_commands_after_it() {
        let story = Narrative::of(STORY, 6).unwrap().expect("it has a title");
        assert_eq!(story.title, "Two servers");
        assert_eq!(story.introduction, "They agree, mostly.");
        let told =
            story.paragraphs.iter().map(|Paragraph { line, text, .. }| (*line, text.as_str()));
        assert_eq!(told.collect::<Vec<_>>(), [(10, "S0 asks for votes."), (14, "It gets one.")]);
        let beside: Vec<_> = story.paragraphs.iter().flat_map(|it| &it.beside).collect();
        assert_eq!(beside.len(), 2);
        assert_eq!(
            (&*beside[1].order, &*beside[1].answer),
            ("read S1 x", "S1 answers that x is absent.")
        );
    }

    #[test]
    fn a_script_without_a_title_is_no_story() {
        assert_eq!(
            Narrative::of("# Section 5\nservers 2\nstart\n# Go.\ntimeout S0\n", 3),
            Ok(None)
        );
    }

    #[test]
    fn an_order_that_the_store_does_not_know_is_refused_with_its_line() {
        let error = Narrative::of("# T\n#\nservers 2\nstart\n# Go.\ntimeout S0\n#= jump S0\n", 4)
            .unwrap_err();
        assert!(error.starts_with("line 7: `#= jump S0`:"), "{error}");
        let error =
            Narrative::of("# T\n#\nservers 2\nstart\n#= read S0 x\ntimeout S0\n", 4).unwrap_err();
        assert!(error.contains("before the first command"), "{error}");
    }

    #[test]
    fn each_story_tells_every_step() {
        for story in &STORIES {
            let header = Header::of(story.script).expect(story.name);
            let told = Narrative::of(story.script, header.lines).expect(story.name);
            let told = told.expect("a story has a title");
            assert!(told.introduction.len() > 80, "{}: an introduction of some length", story.name);
            let mut lines = (1..).zip(story.script.lines()).skip(header.lines);
            let first = lines.find(|(_, line)| !line.is_empty() && !line.starts_with('#'));
            let first = first.expect("a command").0;
            assert_eq!(told.paragraphs[0].line, first, "{}: the first step has a text", story.name);
        }
    }
}

//! The stories: scripts in `stories` that tell Raft step by step. `raft explore --story` shows one, and
//! `raft explore --export` writes all of them into a folder, as pages that can be published as they are.

use super::Failure;
use super::page::scene::SceneKind;
use super::page::stage::{Detail, Stage};
use super::page::{self, narrative};
use super::subject::{Chosen, Subject};
use checked_raft::models::header::Header;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// A story: its name on the command line, and its script.
pub(super) struct Story {
    pub(super) name: &'static str,
    pub(super) script: &'static str,
}

macro_rules! story {
    ($name:literal) => {
        Story { name: $name, script: include_str!(concat!("../../stories/", $name, ".txt")) }
    };
}

/// All stories, in the order in which they are told.
pub(super) const STORIES: [Story; 9] = [
    story!("three-servers"),
    story!("election"),
    story!("replication"),
    story!("leader-dies"),
    story!("figure-7"),
    story!("figure-8"),
    story!("figure-8-committed"),
    story!("minority"),
    story!("exactly-once"),
];

/// The story with a name.
pub(super) fn find(name: &str) -> Result<&'static Story, Failure> {
    STORIES.iter().find(|story| story.name == name).ok_or_else(|| {
        let names: Vec<_> = STORIES.iter().map(|story| story.name).collect();
        Failure::Refused(format!(
            "there is no story {name:?}; the stories are {}",
            names.join(", ")
        ))
    })
}

impl Story {
    /// The title and the introduction.
    pub(super) fn head(&self) -> (String, String) {
        narrative::head(self.script, usize::MAX).expect("a story has a title")
    }

    /// The story as a page that stands by itself.
    fn page(&self) -> Result<String, Failure> {
        let named = |why: String| Failure::Refused(format!("the story {}: {why}", self.name));
        let header = Header::of(self.script).map_err(named)?;
        let subject = Subject::of_script(&header, Chosen::default()).map_err(named)?;
        let mut stage = Stage::of_script(&header, subject).map_err(named)?;
        let scene = stage.play(&header, self.script, SceneKind::Script, Detail::LastFrame);
        Ok(page::page(&scene.map_err(named)?))
    }
}

/// The page that lists the stories. Comments in it mark the places of all else.
const INDEX: &str = include_str!("page/assets/stories.html");

/// Writes a page for each story and one that lists them into a folder, and returns the number of stories.
pub(super) fn export(folder: &Path) -> Result<usize, Failure> {
    let refused = |what: &Path, error: std::io::Error| {
        Failure::Refused(format!(
            "cannot write {}: {error}; name another folder with --export DIR",
            what.display()
        ))
    };
    fs::create_dir_all(folder).map_err(|error| refused(folder, error))?;
    let mut list = String::new();
    for story in &STORIES {
        let file = format!("{}.html", story.name);
        let path = folder.join(&file);
        fs::write(&path, story.page()?).map_err(|error| refused(&path, error))?;
        let (title, introduction) = story.head();
        let item = format!(
            "<li><a href=\"{file}\">{}</a><p>{}</p></li>",
            escaped(&title),
            escaped(&introduction)
        );
        let _ = writeln!(list, "{item}");
    }
    let index = folder.join("index.html");
    fs::write(&index, INDEX.replace("<!-- stories -->", &list))
        .map_err(|error| refused(&index, error))?;
    Ok(STORIES.len())
}

/// Text as HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::STORIES;
    use std::fs;

    #[test]
    fn each_script_in_the_folder_is_a_story() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/stories");
        let files = fs::read_dir(folder).expect("the folder of the stories");
        let mut names: Vec<_> = files
            .map(|file| file.expect("a file").file_name().into_string().expect("a name"))
            .collect();
        names.sort();
        let mut known: Vec<_> = STORIES.iter().map(|story| format!("{}.txt", story.name)).collect();
        known.sort();
        assert_eq!(names, known);
    }
}

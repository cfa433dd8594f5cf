//! The page on which people see a path of a cluster: one HTML file that needs nothing else.
//!
//! - A [`Scene`] is the data: `scene` has its types, and `docs/page.md` documents them.
//! - A [`stage::Stage`] makes a scene of a script. It uses `film` (a frame for each step), `states`
//!   (processes as data), `sentences` (what rules and properties say), `narrative` (the comments of a
//!   script), `way` (to recovery) and `copies` (script, test, diagram). [`traced`] makes a scene of the
//!   traces of nodes.
//! - [`file()`] writes a scene into a file that stands by itself. [`live`] is the page that asks a server for
//!   scenes; `server` and `api` are that server, and `exhaustion` is the search behind its badge.
//!
//! The page is made of the files in `assets`: HTML, a style sheet, and small ES modules. A browser would have
//! to fetch modules one by one, which a file cannot offer. So [`joined`] makes one module of them: it leaves
//! out their `import` lines and the word `export`. Hence no two modules may use one name at top level.

pub(super) mod api;
mod copies;
mod exhaustion;
mod film;
mod last_write;
pub(super) mod narrative;
pub(super) mod scene;
mod sentences;
pub(super) mod server;
pub(super) mod stage;
mod states;
pub(super) mod traced;
mod way;

use super::Failure;
use scene::Scene;
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// The frame of the page. Comments in it mark the places of all else.
const HTML: &str = include_str!("assets/index.html");
/// The colours and panels of this page and of the page of a running cluster.
pub(super) const STYLE: &str = include_str!("assets/style.css");
/// The module that makes elements, for both pages.
pub(super) const DOM: &str = include_str!("assets/dom.js");

/// The modules, each after those that it imports.
const MODULES: [&str; 15] = [
    DOM,
    include_str!("assets/state.js"),
    include_str!("assets/links.js"),
    include_str!("assets/servers.js"),
    include_str!("assets/logs.js"),
    include_str!("assets/diagram.js"),
    include_str!("assets/narrative.js"),
    include_str!("assets/step.js"),
    include_str!("assets/properties.js"),
    include_str!("assets/story.js"),
    include_str!("assets/live.js"),
    include_str!("assets/actions.js"),
    include_str!("assets/copy.js"),
    include_str!("assets/transport.js"),
    include_str!("assets/main.js"),
];

/// The page with a scene in it.
pub(super) fn page(scene: &Scene) -> String {
    assembled("scene", scene)
}

/// The page that asks its server for scenes. The value says what there is to choose from.
pub(super) fn live(choices: &Value) -> String {
    assembled("live", choices)
}

/// Writes a scene into a file.
pub(super) fn file(path: &Path, scene: &Scene) -> Result<(), Failure> {
    std::fs::write(path, page(scene)).map_err(|error| {
        Failure::Refused(format!(
            "cannot write the page {}: {error}; name another file with --html FILE",
            path.display()
        ))
    })
}

fn assembled(id: &str, data: &impl Serialize) -> String {
    let json = serde_json::to_string(data).expect("plain data with text keys has a JSON form");
    // A browser ends the data at the first `</`, and may take `<!--` for the start of a comment.
    let json = json.replace('<', "\\u003c");
    let data = format!("<script type=\"application/json\" id=\"{id}\">{json}</script>");
    let code = format!("<script type=\"module\">\n{}</script>", joined(&MODULES));
    HTML.replace("<!-- style -->", &format!("<style>\n{STYLE}</style>"))
        .replace("<!-- data -->", &data)
        .replace("<!-- code -->", &code)
}

/// Modules as one, each after those that it imports.
pub(super) fn joined(modules: &[&str]) -> String {
    let lines = modules.iter().flat_map(|module| module.lines());
    let own = lines.filter(|line| !line.starts_with("import "));
    own.map(|line| line.strip_prefix("export ").unwrap_or(line).to_owned() + "\n").collect()
}

/// Panics if two joined modules use one name at top level. Returns how many names there are.
#[cfg(test)]
pub(super) fn count_names(code: &str) -> usize {
    let mut names = std::collections::BTreeSet::new();
    for line in code.lines() {
        let words: Vec<_> = line.split([' ', '(', '=', ';']).collect();
        let [word, rest @ ..] = &words[..] else { continue };
        let name = match (*word, rest) {
            ("function" | "const" | "let" | "class", [name, ..])
            | ("async", ["function", name, ..]) => *name,
            _ => continue,
        };
        assert!(names.insert(name.to_owned()), "two modules have `{name}` at top level");
    }
    names.len()
}

#[cfg(test)]
mod tests {
    use super::{HTML, MODULES, count_names, joined};

    #[test]
    fn the_modules_become_one_without_imports_and_with_each_name_once() {
        let code = joined(&MODULES);
        assert!(!code.contains("\nimport ") && !code.contains("\nexport "));
        assert!(!code.contains("</script"), "the code would end there");
        let names = count_names(&code);
        assert!(names > 20 && MODULES.iter().all(|module| module.starts_with("// ")));
    }

    #[test]
    fn the_page_has_a_place_for_each_part() {
        for place in ["<!-- style -->", "<!-- data -->", "<!-- code -->", "<noscript>"] {
            assert_eq!(HTML.matches(place).count(), 1, "{place}");
        }
    }
}

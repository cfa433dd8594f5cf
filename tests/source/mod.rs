//! Our own source as text: with comments and strings, and without.

use std::fs;
use std::path::Path;

/// A file of this repository.
pub(crate) struct File {
    /// From the root of the repository, with slashes.
    pub(crate) path: String,
    text: String,
    /// The text with comments and the contents of strings replaced by spaces.
    code: String,
}

/// A function with a body.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) first_line: usize,
    pub(crate) lines: usize,
}

impl File {
    fn new(path: String, text: String) -> Self {
        let code = code_of(&text);
        Self { path, text, code }
    }

    /// Its lines, numbered from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    /// Its lines without comments and strings, numbered from 1.
    pub(crate) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.code.lines())
    }
}

/// The text of a file of this repository.
pub(crate) fn text(path: &str) -> String {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&full).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// This Rust file, or all Rust files below this folder; none if there is no such thing.
pub(crate) fn sources(path: &str) -> Vec<File> {
    let mut files = Vec::new();
    collect(path, ".rs", &mut files);
    files
}

/// All documents.
pub(crate) fn markdown() -> Vec<File> {
    let mut files = Vec::new();
    collect("", ".md", &mut files);
    files
}

fn collect(path: &str, ending: &str, files: &mut Vec<File>) {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if full.is_file() && path.ends_with(ending) {
        return files.push(File::new(path.to_owned(), text(path)));
    }
    let Ok(entries) = fs::read_dir(&full) else { return };
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("a readable folder").file_name()).collect();
    names.sort();
    let names = names.iter().map(|name| name.to_str().expect("our names are UTF-8"));
    for name in names.filter(|name| !name.starts_with('.') && !name.starts_with("target")) {
        let below = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        collect(&below, ending, files);
    }
}

/// Panics with all findings, one a line.
#[track_caller]
pub(crate) fn fail(findings: impl IntoIterator<Item = String>) {
    let findings: Vec<_> = findings.into_iter().collect();
    assert!(findings.is_empty(), "{}\n", findings.join("\n"));
}

/// The identifiers of a piece of code.
pub(crate) fn identifiers(code: &str) -> Vec<&str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|name| !name.is_empty()).collect()
}

/// The functions of a file, nested ones and methods included.
pub(crate) fn functions(file: &File) -> Vec<Function> {
    let code = &file.code;
    let starts = code
        .match_indices("fn ")
        .filter(|(at, _)| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
    starts
        .filter_map(|(at, _)| {
            let name = identifiers(&code[at + 3..]).first()?.to_string();
            let open = at + code[at..].find(['{', ';'])?;
            if code[open..].starts_with(';') {
                return None;
            }
            let mut depth = 0;
            let end = open
                + code[open..].find(|c| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    depth == 0
                })?;
            let line = |at: usize| code[..at].matches('\n').count() + 1;
            Some(Function { name, first_line: line(at), lines: line(end) - line(at) + 1 })
        })
        .collect()
}

/// The same text, of the same shape, with comments and the contents of strings and character literals
/// replaced by spaces.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (kept, skipped) = next_token(rest);
        code.push_str(&rest[..kept]);
        let blank = |c: char| if c == '\n' { '\n' } else { ' ' };
        code.extend(rest[kept..kept + skipped].chars().map(blank));
        rest = &rest[kept + skipped..];
    }
    code
}

/// How many bytes to keep, and how many after them to blank.
fn next_token(rest: &str) -> (usize, usize) {
    if rest.starts_with("//") {
        return (0, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (0, rest.find("*/").map_or(rest.len(), |at| at + 2));
    }
    if rest.starts_with("r\"") || rest.starts_with("r#") {
        let hashes = rest[1..].bytes().take_while(|byte| *byte == b'#').count();
        if rest[1 + hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = &rest[2 + hashes..];
            return (0, 2 + hashes + body.find(&end).map_or(body.len(), |at| at + end.len()));
        }
    }
    if rest.starts_with('"') {
        return (0, quoted(rest, '"'));
    }
    // A character, plain or escaped; a lifetime has no closing quote.
    let mut chars = rest.chars();
    if chars.next() == Some('\'') && (chars.next() == Some('\\') || chars.next() == Some('\'')) {
        return (0, quoted(rest, '\''));
    }
    // A whole word, so that the `r` at the end of one does not begin a raw string.
    let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let one = rest.chars().next().map_or(0, char::len_utf8);
    (word.max(one), 0)
}

/// The length of a literal with its quotes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    let end = rest.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == quote && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(rest.len(), |(at, _)| at + 1)
}

#[test]
fn comments_strings_and_characters_are_not_code() {
    let text = r##"let a = "x // \" y"; // Instant
let b = r#"std::fs "quoted" "#; /* rand
rand */ let c: &'a str = c'; let d = '\''; let e = '"'; let f = "std::net""##;
    let code = code_of(text);
    assert_eq!(code.lines().count(), text.lines().count());
    assert_eq!(
        identifiers(&code),
        ["let", "a", "let", "b", "let", "c", "a", "str", "c", "let", "d", "let", "e", "let", "f"],
    );
}

#[test]
fn functions_are_found_with_their_length() {
    let text = "trait T { fn none(&self); }\nfn one() {}\nimpl X {\n    pub fn two(\n        a: u8,\n    ) {\n        if a > 0 { \"}\" }\n    }\n}\n";
    let file = File::new("x.rs".to_owned(), text.to_owned());
    let found: Vec<_> =
        functions(&file).into_iter().map(|it| (it.name, it.first_line, it.lines)).collect();
    assert_eq!(found, [("one".to_owned(), 2, 1), ("two".to_owned(), 4, 5)]);
}

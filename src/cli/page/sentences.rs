//! The sentences behind the names: what each rule says, and what each property says.
//!
//! The page quotes the code. Beside its id in brackets, each rule stands in a comment of `src/raft`, in the
//! words of the paper. The comment above the function of a property says what the property means. So nobody
//! writes either of them twice.

use actorcheck::RECOVERABILITY;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The files of `src/raft` in which rules stand.
const RAFT: [&str; 14] = [
    include_str!("../../raft/append_entries.rs"),
    include_str!("../../raft/apply.rs"),
    include_str!("../../raft/client_request.rs"),
    include_str!("../../raft/install_snapshot.rs"),
    include_str!("../../raft/log.rs"),
    include_str!("../../raft/mod.rs"),
    include_str!("../../raft/pre_vote.rs"),
    include_str!("../../raft/read_index.rs"),
    include_str!("../../raft/request_vote.rs"),
    include_str!("../../raft/retry.rs"),
    include_str!("../../raft/sessions.rs"),
    include_str!("../../raft/snapshot.rs"),
    include_str!("../../raft/state.rs"),
    include_str!("../../raft/transfer.rs"),
];

/// The files in which properties stand.
const PROPERTIES: [&str; 2] = [
    include_str!("../../../models/properties.rs"),
    include_str!("../../../models/linearizability.rs"),
];

/// The sentence of a rule, by its id; empty if there is no such rule.
pub(super) fn of_rule(id: &str) -> &'static str {
    static RULES: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    let rules = RULES.get_or_init(|| RAFT.iter().flat_map(|file| rules(file)).collect());
    rules.get(id).map_or("", String::as_str)
}

/// The rules of a file: each comment that begins with an id in brackets.
fn rules(file: &str) -> Vec<(String, String)> {
    let lines: Vec<_> = file.lines().map(str::trim).collect();
    let rules = lines.iter().enumerate().filter_map(|(n, line)| {
        let (id, first) = comment(line)?.strip_prefix('[')?.split_once("] ")?;
        let is_id = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || "-ab".contains(c);
        if !id.chars().all(is_id) {
            return None;
        }
        let following = lines[n + 1..].iter().map_while(|line| comment(line));
        let rest = following.take_while(|line| !line.starts_with('['));
        let text = std::iter::once(first).chain(rest).collect::<Vec<_>>().join(" ");
        Some((id.to_owned(), first_sentence(&text)))
    });
    rules.collect()
}

/// The text of a line that is a comment.
fn comment(line: &str) -> Option<&str> {
    line.strip_prefix("///").or_else(|| line.strip_prefix("//")).map(str::trim)
}

/// The sentence of a property, by its name; empty if it has no function.
pub(super) fn of_property(name: &str) -> String {
    if name == RECOVERABILITY {
        return "With every message lost, every group of servers that must recover can still elect a leader \
                that commits an entry."
            .to_owned();
    }
    let function = match name {
        "Linearizability" => "linearizable".to_owned(),
        "all servers commit" => "all_commit".to_owned(),
        name => name.to_lowercase().replace([' ', '-'], "_"),
    };
    let found = PROPERTIES.iter().find_map(|file| above(file, &function));
    found.map(|text| first_sentence(&text)).unwrap_or_default()
}

/// The comment above a function.
fn above(file: &str, function: &str) -> Option<String> {
    let start = ["(", "<"].iter().find_map(|open| file.find(&format!("pub fn {function}{open}")));
    let start = start.or_else(|| file.find(&format!("pub(super) fn {function}<")))?;
    let lines = file[..start].lines().rev().take_while(|line| line.starts_with("///"));
    let mut lines: Vec<_> = lines.filter_map(comment).collect();
    lines.reverse();
    Some(lines.join(" "))
}

/// The first sentence of a text. Quoted sentences end with their quotation.
fn first_sentence(text: &str) -> String {
    let mut is_quoted = false;
    for (at, c) in text.char_indices() {
        is_quoted ^= c == '"';
        let follows = text[at + c.len_utf8()..].chars().next();
        if matches!(c, '.' | ';') && !is_quoted && follows.is_none_or(char::is_whitespace) {
            let is_reference = text[..at].ends_with('§') || text[..at].ends_with("thesis");
            if !is_reference {
                return format!("{}.", &text[..at]);
            }
        }
    }
    text.trim_end_matches('.').to_owned() + "."
}

#[cfg(test)]
mod tests {
    use super::{of_property, of_rule};
    use checked_raft::models::catalogue::catalogue;
    use checked_raft::models::coverage::LABELS;
    use checked_raft::models::rules::of_label;

    #[test]
    fn every_rule_that_a_step_names_has_a_sentence() {
        for rule in LABELS.iter().flat_map(|label| of_label(label)).chain([&"STORE"]) {
            let sentence = of_rule(rule);
            assert!(sentence.len() > 20 && sentence.ends_with('.'), "{rule}: {sentence:?}");
        }
        let store = "\"Updated on stable storage before responding to RPCs\"";
        assert!(of_rule("STORE").starts_with(store), "{}", of_rule("STORE"));
        assert_eq!(of_rule("no rule"), "");
    }

    #[test]
    fn every_property_of_the_catalogue_has_a_sentence() {
        for spec in catalogue() {
            for (name, _) in spec.cluster().property_names() {
                let sentence = of_property(name);
                assert!(sentence.len() > 10 && sentence.ends_with('.'), "{name}: {sentence:?}");
            }
        }
    }
}

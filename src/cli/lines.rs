//! The lines of a script that somebody plays: commands of the model, and what only concerns the player.

use checked_raft::models::script::without_comment;

/// A line of a script after its header.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// The line asks for nothing: it is empty, or it is a record of a scenario.
    Nothing,
    /// The player shows all logs.
    Logs,
    /// The player notes this point of the script.
    Remember,
    /// The player goes back to the point that it has noted.
    Return,
    /// The model executes these commands.
    Commands(Vec<&'a str>),
}

impl<'a> Line<'a> {
    /// Reads a line of a script on processes of these names. A record of a scenario is indented and begins
    /// with the name of a process.
    pub(super) fn of(line: &'a str, names: &[String]) -> Self {
        let first = line.split_whitespace().next().unwrap_or_default().trim_end_matches(':');
        if line.starts_with(' ') && names.iter().any(|name| name == first) {
            return Self::Nothing;
        }
        let line = without_comment(line);
        match line.split_once(' ').unwrap_or((line, "")) {
            ("", _) => Self::Nothing,
            ("logs", "") => Self::Logs,
            ("remember", "") => Self::Remember,
            ("return", "") => Self::Return,
            ("quietly", commands) => Self::Commands(commands.split(';').map(str::trim).collect()),
            _ => Self::Commands(vec![line]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn a_line_is_a_record_a_word_to_the_player_or_commands() {
        let names = ["S0".to_owned(), "S1".to_owned()];
        let read = |line| Line::of(line, &names);
        assert_eq!(read("    S0: t0 ⇨ t1"), Line::Nothing);
        assert_eq!(read("  # a comment"), Line::Nothing);
        assert_eq!(read("remember # here"), Line::Remember);
        assert_eq!(read("  timeout S0"), Line::Commands(vec!["timeout S0"]));
        let both = Line::Commands(vec!["timeout S0", "settle"]);
        assert_eq!(read("quietly timeout S0; settle"), both);
    }
}

//! `raft completions`: prints a script by which a shell completes command lines of `raft`.

use super::{Failure, Status};
use clap::{Args, Command, ValueEnum};
use clap_complete::{Shell as Form, generate};
use std::io::Write;

/// Print a script that completes commands and options of `raft` in a shell
///
/// For bash write it to `~/.local/share/bash-completion/completions/raft`, for zsh to a file `_raft` in a
/// directory of `$fpath`, and for fish to `~/.config/fish/completions/raft.fish`.
#[derive(Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// The shells whose scripts are tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Completions {
    /// Prints the script for the program `raft`, whose arguments `program` describes.
    pub(super) fn run(&self, program: &Command, out: &mut dyn Write) -> Result<Status, Failure> {
        let form = match self.shell {
            Shell::Bash => Form::Bash,
            Shell::Zsh => Form::Zsh,
            Shell::Fish => Form::Fish,
        };
        // The library panics if its output cannot be written, which a buffer always can.
        let mut script = Vec::new();
        generate(form, &mut visible(program), "raft", &mut script);
        out.write_all(&script)?;
        Ok(Status::Success)
    }
}

/// The command without its hidden options, which the library would offer.
fn visible(command: &Command) -> Command {
    // The library wants names that live as long as the program, which ends soon.
    let forever = |text: &str| -> &'static str { text.to_owned().leak() };
    let mut copy = Command::new(forever(command.get_name()))
        .disable_help_flag(command.is_disable_help_flag_set())
        .args(command.get_arguments().filter(|argument| !argument.is_hide_set()))
        .subcommands(command.get_subcommands().map(visible));
    if let Some(about) = command.get_about() {
        copy = copy.about(about.clone());
    }
    if let Some(version) = command.get_version() {
        copy = copy.version(forever(version));
    }
    copy
}

#[cfg(test)]
mod tests {
    use super::{Completions, Shell};
    use crate::cli::Cli;
    use clap::{CommandFactory, ValueEnum};
    use std::io::Write;
    use std::process::{Command, Stdio};

    fn script(shell: Shell) -> String {
        let mut out = Vec::new();
        Completions { shell }.run(&Cli::command(), &mut out).expect("it is written");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn each_script_offers_every_command_and_no_hidden_option() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell:?}: {}", command.get_name());
            }
            assert!(script.contains("election-timeout"), "{shell:?}");
            assert!(!script.contains("obey-input"), "{shell:?}");
        }
    }

    /// The shell reads the script and does not run it. A shell that is not installed is not asked.
    #[test]
    fn each_script_is_one_for_its_shell() {
        for (shell, name) in [(Shell::Bash, "bash"), (Shell::Zsh, "zsh"), (Shell::Fish, "fish")] {
            let reads = Command::new(name).arg("-n").stdin(Stdio::piped()).spawn();
            let Ok(mut child) = reads else { continue };
            let mut input = child.stdin.take().expect("a pipe");
            input.write_all(script(shell).as_bytes()).expect("it is read");
            drop(input);
            assert!(child.wait().expect("it ends").success(), "{name}");
        }
    }
}

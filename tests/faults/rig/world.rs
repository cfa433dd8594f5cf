//! A world of its own for a test: a process in new namespaces of network, mounts and processes.
//!
//! What is made in there (interfaces, mounts, servers) is seen by nobody else and ends with it. Root may
//! make one; others may where the system lets them have namespaces of users.

use std::env;
use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// `inside` in a world; `none` to do without.
const WORLD: &str = "FAULTS_WORLD";

const FLAGS: [&str; 6] = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// What the inside needs before anything else: a place for the names of namespaces.
const PREPARE: &str = "mount -t tmpfs tmpfs /run && ip link set dev lo up && exec \"$0\" \"$@\"";

/// Whether this process runs in a world.
pub(crate) fn is_inside() -> bool {
    env::var(WORLD).is_ok_and(|world| world == "inside")
}

/// Runs this program once more, in a world; an error says why there can be none.
pub(crate) fn command() -> Result<Command, String> {
    if let Some(reason) = why_not() {
        return Err(reason);
    }
    let mut command = unshare(as_user());
    command.args(["sh", "-c", PREPARE]).arg(env::current_exe().expect("this program has a path"));
    command.env(WORLD, "inside");
    Ok(command)
}

/// Why no world can be made, if none can.
pub(crate) fn why_not() -> Option<String> {
    static REASON: OnceLock<Option<String>> = OnceLock::new();
    let reason = REASON.get_or_init(|| {
        if env::var(WORLD).is_ok_and(|world| world == "none") {
            return Some(format!("{WORLD} is none"));
        }
        let mut command = unshare(as_user());
        command.args(["sh", "-c", PREPARE, "true"]);
        run(command).err()
    });
    reason.clone()
}

/// Whether it takes a namespace of users to make the others.
fn as_user() -> bool {
    static AS_USER: OnceLock<bool> = OnceLock::new();
    *AS_USER.get_or_init(|| {
        let mut command = unshare(false);
        command.arg("true");
        run(command).is_err()
    })
}

fn unshare(as_user: bool) -> Command {
    let mut command = Command::new("unshare");
    command.args(FLAGS);
    if as_user {
        command.args(["--user", "--map-root-user"]);
    }
    command
}

/// Runs a program of the system to its end.
pub(crate) fn system<T: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = T>,
) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments);
    run(command)
}

fn run(mut command: Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let error = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {} ({})", error.trim(), output.status))
}

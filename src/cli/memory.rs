//! The default limit on the memory of a search. It lets the search end by itself, with a report, before the
//! system ends it without one.
//!
//! The system says how much memory is available. A control group of the process, or one above it, may leave
//! less; it may be of version 1 or 2. The least of these counts. All of it is read from files.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// 85% of the memory available; `None` where the system does not tell.
pub(super) fn most() -> Option<u64> {
    within(Path::new("/")).map(|bytes| bytes / 100 * 85)
}

/// The bytes available, by the files below this directory.
fn within(root: &Path) -> Option<u64> {
    let available = available(root).into_iter();
    available.chain(groups(root).into_iter().filter_map(|group| left(&group))).min()
}

/// The bytes that the system as a whole has available.
fn available(root: &Path) -> Option<u64> {
    let text = read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// The directories of the control groups that bound the memory of this process: its own and those above.
fn groups(root: &Path) -> Vec<PathBuf> {
    let text = |path: &str| read_to_string(root.join(path)).unwrap_or_default();
    let (memberships, mounts) = (text("proc/self/cgroup"), text("proc/self/mountinfo"));
    let mut groups = Vec::new();
    for line in memberships.lines() {
        // A line holds a number, controllers and the group. Version 2 has the number 0 and names no
        // controller.
        let mut fields = line.splitn(3, ':');
        let (Some(number), Some(controllers), Some(group)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let is_second = number == "0" && controllers.is_empty();
        if !is_second && !controllers.split(',').any(|controller| controller == "memory") {
            continue;
        }
        for mount in mounts.lines().filter_map(Mount::of).filter(|mount| mount.has(is_second)) {
            let Ok(below) = Path::new(group).strip_prefix(mount.shows) else { continue };
            let top = root.join(mount.at.trim_start_matches('/'));
            let own = top.join(below);
            groups.extend(
                own.ancestors().take_while(|path| path.starts_with(&top)).map(Path::to_owned),
            );
        }
    }
    groups
}

/// A line of `mountinfo`.
struct Mount<'a> {
    /// The group that is mounted.
    shows: &'a str,
    /// The place where it is mounted.
    at: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (shows, at) = (mount.next()?, mount.next()?);
        let mut filesystem = filesystem.split(' ');
        let kind = filesystem.next()?;
        Some(Self { shows, at, kind, options: filesystem.nth(1)? })
    }

    /// Whether the mount shows the groups that bound memory, of version 2 or of version 1.
    fn has(&self, is_second: bool) -> bool {
        let shows = |option: &str| self.options.split(',').any(|other| other == option);
        if is_second { self.kind == "cgroup2" } else { self.kind == "cgroup" && shows("memory") }
    }
}

/// The bytes that a group leaves of its limit, if it has one. Cached files that nobody uses do not count as
/// used, since the group gives them back.
fn left(group: &Path) -> Option<u64> {
    let number = |file: &str| read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok();
    // Without a limit, version 2 says `max`, which is no number; version 1 says a number that is never
    // reached.
    let limit = number("memory.max").or_else(|| number("memory.limit_in_bytes"))?;
    let used = number("memory.current").or_else(|| number("memory.usage_in_bytes")).unwrap_or(0);
    let statistics = read_to_string(group.join("memory.stat")).unwrap_or_default();
    let given_back = statistics.lines().filter_map(|line| {
        let (name, bytes) = line.split_once(' ')?;
        ["inactive_file", "total_inactive_file"]
            .contains(&name)
            .then(|| bytes.parse::<u64>().ok())?
    });
    Some(limit.saturating_sub(used.saturating_sub(given_back.max().unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// A system with this many MiB available, and with these files.
    fn system(available: u64, files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().expect("there is room");
        let meminfo = format!("MemTotal: 99999999 kB\nMemAvailable: {} kB\n", available * 1024);
        for (name, text) in files.iter().chain(&[("proc/meminfo", meminfo.as_str())]) {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it is in a directory")).unwrap();
            std::fs::write(path, text).unwrap();
        }
        within(root.path()).map(|bytes| bytes / MIB)
    }

    const SECOND: [(&str, &str); 2] = [
        ("proc/self/cgroup", "0::/a/b\n"),
        ("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
    ];
    const FIRST: [(&str, &str); 2] = [
        ("proc/self/cgroup", "5:cpu:/other\n4:memory,pids:/a\n0::/\n"),
        (
            "proc/self/mountinfo",
            "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory,pids\n",
        ),
    ];

    #[test]
    fn without_a_control_group_it_is_what_the_system_has() {
        assert_eq!(system(1000, &[]), Some(1000));
    }

    #[test]
    fn a_control_group_of_the_second_version_or_one_above_it_may_leave_less() {
        let own = ("sys/fs/cgroup/a/b/memory.max", "314572800\n");
        let above = ("sys/fs/cgroup/a/memory.max", "104857600\n");
        let none = ("sys/fs/cgroup/a/b/memory.max", "max\n");
        let [one, two] = SECOND;
        assert_eq!(system(1000, &[one, two, own]), Some(300));
        assert_eq!(system(200, &[one, two, own]), Some(200));
        assert_eq!(system(1000, &[one, two, own, above]), Some(100));
        assert_eq!(system(1000, &[one, two, none]), Some(1000));
    }

    #[test]
    fn a_control_group_of_the_first_version_may_leave_less() {
        let limit = ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "314572800\n");
        let used = ("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "209715200\n");
        let files =
            ("sys/fs/cgroup/memory/a/memory.stat", "cache 7\ntotal_inactive_file 104857600\n");
        let none = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        let [one, two] = FIRST;
        assert_eq!(system(1000, &[one, two, limit, none]), Some(300));
        assert_eq!(system(1000, &[one, two, limit, used]), Some(100), "others use some of it");
        assert_eq!(system(1000, &[one, two, limit, used, files]), Some(200), "but not for good");
    }

    /// In a container only the part below some group may be shown.
    #[test]
    fn a_group_is_found_where_only_a_part_of_the_groups_is_shown() {
        let mount = "30 23 0:26 /a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let limit = ("sys/fs/cgroup/b/memory.max", "314572800\n");
        let files = [SECOND[0], ("proc/self/mountinfo", mount), limit];
        assert_eq!(system(1000, &files), Some(300));
    }
}

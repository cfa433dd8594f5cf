//! Disks that are slow or small.

use super::world::{self, system};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Builds what slows down the syncs of a process, with the C compiler that Rust links with. An error
/// says why that cannot be done here.
pub(super) fn build_slow_disk(folder: &Path) -> Result<PathBuf, String> {
    if !cfg!(target_os = "linux") {
        return Err("a disk is slowed down on Linux only".to_owned());
    }
    let (source, library) = (folder.join("slow_disk.c"), folder.join("slow_disk.so"));
    fs::write(&source, include_str!("slow_disk.c")).map_err(|error| error.to_string())?;
    let arguments = ["-shared", "-fPIC", "-O1", "-o"].map(PathBuf::from);
    system("cc", arguments.iter().chain([&library, &source]))?;
    Ok(library)
}

/// Makes every sync of a process wait.
pub(super) fn slow_down(command: &mut Command, library: &Path, each_sync: Duration) {
    command.env("LD_PRELOAD", library);
    command.env("SLOW_DISK_MICROSECONDS", each_sync.as_micros().to_string());
}

/// Makes a directory a disk of its own with so many bytes. It lasts as long as the world, in which alone
/// it can be made.
pub(super) fn mount_small(directory: &Path, bytes: u64) -> Result<(), String> {
    if !world::is_inside() {
        return Err("nothing can be mounted outside a world of its own".to_owned());
    }
    fs::create_dir_all(directory).map_err(|error| error.to_string())?;
    let size = format!("size={bytes}");
    let [mount, kind, option] = ["-t", "tmpfs", "-o"].map(PathBuf::from);
    system("mount", [&mount, &kind, &option, &size.into(), &kind, &directory.to_owned()])
}

/// Changes how many bytes such a disk has.
pub(super) fn enlarge(directory: &Path, bytes: u64) -> Result<(), String> {
    let size = format!("remount,size={bytes}");
    system("mount", [Path::new("-o"), Path::new(&size), directory])
}

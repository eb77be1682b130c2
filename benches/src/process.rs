//! What the kernel says about processes, what is on disk about directories, and where this crate's files are.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file of this crate. Where it stands is said when the program runs: several checkouts may share a target
/// directory, and with it the program. Without cargo, the current directory has to be the tree's root.
pub(crate) fn own_file(name: &str) -> PathBuf {
    let directory = std::env::var_os("CARGO_MANIFEST_DIR");
    directory.map_or_else(|| PathBuf::from("benches"), PathBuf::from).join(name)
}

/// The memory that a process has resident, in MiB.
pub(crate) fn resident_mib(pid: u32) -> f64 {
    kilobytes(pid, "status", "VmRSS:") / 1024.0
}

/// The most that it has had resident, in MiB.
pub(crate) fn peak_mib(pid: u32) -> f64 {
    kilobytes(pid, "status", "VmHWM:") / 1024.0
}

/// The memory of a process and of those that it has started, in MiB, what several share being shared out among them.
pub(crate) fn proportional_mib(pid: u32) -> f64 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let children = children.split_whitespace().filter_map(|it| it.parse::<u32>().ok());
    let all = std::iter::once(pid).chain(children);
    all.map(|pid| kilobytes(pid, "smaps_rollup", "Pss:") / 1024.0).sum()
}

/// The CPU time that a process has taken, in all its threads.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    // The 14th and 15th field; the kernel counts in hundredths.
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|it| it.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Waits until a process has hardly anything to do, such as files to merge; a minute at most.
pub(crate) fn settle(pid: u32) {
    for _ in 0..60 {
        let before = cpu_seconds(pid);
        std::thread::sleep(Duration::from_secs(1));
        if cpu_seconds(pid) - before < 0.05 {
            return;
        }
    }
}

/// The bytes of the files below a directory, as they are allocated.
pub(crate) fn disk_bytes(directory: &Path) -> f64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(entries) = std::fs::read_dir(directory) else { return 0.0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
        // In blocks of 512 bytes, whatever those of the file system are.
        Ok(metadata) => crate::report::number(metadata.blocks()) * 512.0,
        // Deleted meanwhile.
        Err(_) => 0.0,
    });
    sizes.sum()
}

fn kilobytes(pid: u32, file: &str, label: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(label)).unwrap_or("0 kB");
    line.split_whitespace().next().and_then(|it| it.parse().ok()).unwrap_or(0.0)
}

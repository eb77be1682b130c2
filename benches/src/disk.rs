//! What the disk does at the moment: without it no durable figure means anything.

use std::fs::File;
use std::io::Write as _;
use std::time::Instant;

/// The median time of a small append and `fdatasync`.
pub(crate) fn describe() -> String {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut file = File::create(directory.path().join("sync")).expect("a file");
    let mut times: Vec<u128> = (0..50)
        .map(|_| {
            let start = Instant::now();
            file.write_all(&[0; 512]).expect("room");
            file.sync_data().expect("a disk that syncs");
            start.elapsed().as_micros()
        })
        .collect();
    times.sort_unstable();
    format!("{} us", times[times.len() / 2])
}

/// The load average over the last minute.
pub(crate) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}

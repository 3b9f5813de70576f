//! Resident memory of a full cache.

use std::fs;

use super::{
    app::{calls, rendering_app},
    child::{command, runtime},
    drive::Subject,
    scenario::Scenario,
};

const BODY: usize = 64;
const BATCH: u32 = 1000;

/// Bytes of resident memory per entry with a body of 64 bytes, and the share of the entries that is
/// still there afterwards.
pub(crate) fn bytes_per_entry(subject: &Subject, entries: u32) -> Result<(f64, f64), String> {
    let output = command(&[], subject.name, "memory", entries).map_err(|error| error.to_string())?;
    let report = String::from_utf8_lossy(&output.stdout);
    let mut numbers = report.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(bytes)), Some(Ok(kept))) => Ok((bytes, kept)),
        _ => Err(format!("{}: {}", subject.name, String::from_utf8_lossy(&output.stderr))),
    }
}

/// The child's part: fills a cache of its own, then asks for each entry again.
pub(super) fn fill(subject: &Subject, entries: u32) -> String {
    let (runtime, scenario) = (runtime(), Scenario::hit("memory").with_query());
    // A quarter more than needed: the bounds of sharded caches hold for each shard.
    let mut driver = (subject.build)(rendering_app(BODY), entries / 4 * 5);
    let mut round = || {
        for first in (0..entries).step_by(BATCH as usize) {
            let load = scenario.load(first..(first + BATCH).min(entries), BATCH.min(entries - first), true);
            driver.run(&runtime, &load);
        }
    };
    let before = resident();
    round();
    let bytes = resident() - before;
    let filled = calls();
    round();
    let missing = u32::try_from(calls() - filled).expect("at most one call an entry");
    format!("{} {}", bytes / f64::from(entries), 1.0 - f64::from(missing) / f64::from(entries))
}

/// Resident bytes of this process.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("a Linux system");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line VmRSS");
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kibibytes * 1024.0
}

//! CPU time and memory of processes, as Linux counts them.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

/// The kernel counts in hundredths of a second on every Linux that is in use.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time that the parts of a run have used so far.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Cpu {
    pub(crate) service_s: f64,
    pub(crate) database_s: f64,
    pub(crate) client_s: f64,
}

impl Cpu {
    /// What was used since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            service_s: self.service_s - before.service_s,
            database_s: self.database_s - before.database_s,
            client_s: self.client_s - before.client_s,
        }
    }

    /// The share of each of `count`.
    pub(crate) fn each(self, count: f64) -> Self {
        Self {
            service_s: self.service_s / count,
            database_s: self.database_s / count,
            client_s: self.client_s / count,
        }
    }
}

/// CPU seconds of a process and of its children that have ended; 0 where there is no /proc.
pub(crate) fn of_process(pid: u32) -> f64 {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return 0.0;
    };
    // The name may have spaces; what follows its bracket has none.
    let Some((_, rest)) = stat.rsplit_once(')') else {
        return 0.0;
    };
    let fields: Vec<f64> = rest
        .split_whitespace()
        .filter_map(|field| field.parse().ok())
        .collect();
    // After the state, which is a letter: utime, stime, cutime and cstime are 10 to 13.
    fields
        .get(10..14)
        .map_or(0.0, |times| times.iter().sum::<f64>() / TICKS_PER_SECOND)
}

/// CPU seconds of a process and all of its descendants.
pub(crate) fn of_tree(root: u32) -> f64 {
    of_process(root) + children_of(root).into_iter().map(of_process).sum::<f64>()
}

fn children_of(parent: u32) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat =
        std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

/// The machine's memory in MiB; 4 GiB where there is no /proc.
pub(crate) fn memory_mib() -> u64 {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.map_or(4_096, |kib| kib / 1_024)
}

/// Resident memory of a process in MiB.
pub(crate) fn resident_mib(pid: u32) -> f64 {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) else {
        return 0.0;
    };
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1_024.0
}

/// The machine's load over the last minute.
pub(crate) fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace()
        .next()
        .and_then(|load| load.parse().ok())
        .unwrap_or_default()
}

/// A sleep that a measurement is taken around.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}

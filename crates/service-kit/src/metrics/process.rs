//! What every process knows of itself: its version, its age, and what it takes of the system.

use std::fs;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use super::page::Page;

/// The columns of `/proc/self/stat` behind the name, in clock ticks.
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;
/// The column of `/proc/self/statm` that has the resident pages.
const RESIDENT: usize = 1;

/// A process of this installation.
#[derive(Debug)]
pub(super) struct Process {
    name: &'static str,
    began: Instant,
    /// Seconds since 1970.
    began_at: f64,
}

impl Process {
    pub(super) fn begin(name: &'static str) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            name,
            began: Instant::now(),
            began_at: since.unwrap_or_default().as_secs_f64(),
        }
    }

    pub(super) fn collect(&self, page: &mut Page) {
        page.gauge(
            "ticketing_build_info",
            "1, with the binary's name and version as labels",
            &[
                ("binary", self.name),
                ("version", env!("CARGO_PKG_VERSION")),
            ],
            1.0,
        );
        page.gauge(
            "process_start_time_seconds",
            "When the process began, in seconds since 1970",
            &[],
            self.began_at,
        );
        page.gauge(
            "ticketing_uptime_seconds",
            "How long the process has run",
            &[],
            self.began.elapsed().as_secs_f64(),
        );
        if let Some(seconds) = cpu_seconds() {
            let help = "CPU time that the process has used";
            page.seconds("process_cpu_seconds_total", help, seconds);
        }
        if let Some(bytes) = resident_bytes() {
            let help = "Resident memory of the process";
            page.amount("process_resident_memory_bytes", help, &[], bytes);
        }
        // The folder that is being read has one of them.
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            let open = open.count().saturating_sub(1);
            page.amount("process_open_fds", "Descriptors that are open", &[], open);
        }
        if let Some(most) = getrlimit(Resource::Nofile).current {
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            let help = "The most descriptors that the process may open";
            page.amount("process_max_fds", help, &[], most);
        }
    }
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name is in parentheses, and may have spaces.
    let (_, columns) = stat.rsplit_once(')')?;
    let columns: Vec<&str> = columns.split_ascii_whitespace().collect();
    let ticks = |column: usize| columns.get(column)?.parse::<f64>().ok();
    #[expect(clippy::cast_precision_loss, reason = "it is 100")]
    let per_second = clock_ticks_per_second() as f64;
    Some((ticks(USER_TIME)? + ticks(SYSTEM_TIME)?) / per_second)
}

fn resident_bytes() -> Option<usize> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages = statm.split_ascii_whitespace().nth(RESIDENT)?;
    Some(pages.parse::<usize>().ok()? * page_size())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_says_what_the_process_takes() {
        assert!(cpu_seconds().is_some_and(|seconds| seconds < 3_600.0));
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}

//! Where a running `up` serves: a file in `target`, so that `race` finds it without flags.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

use crate::target;

/// An `up` that runs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Running {
    pid: i32,
    pub(crate) catalog_url: String,
    pub(crate) booking_url: String,
}

/// Removes the file when `up` ends.
pub(crate) struct Announced(PathBuf);

impl Running {
    /// Writes down where this process serves.
    pub(crate) fn announce(catalog_url: String, booking_url: String) -> Result<Announced> {
        let running = Self {
            pid: rustix::process::getpid().as_raw_nonzero().get(),
            catalog_url,
            booking_url,
        };
        let path = path()?;
        fs::write(&path, serde_json::to_vec_pretty(&running)?)
            .with_context(|| path.display().to_string())?;
        Ok(Announced(path))
    }

    /// The last one that was announced, if it still runs: one that was killed leaves its file.
    pub(crate) fn find() -> Result<Option<Self>> {
        let path = path()?;
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let running: Option<Self> = serde_json::from_slice(&text).ok();
        Ok(running.filter(|running| {
            Pid::from_raw(running.pid).is_some_and(|pid| test_kill_process(pid).is_ok())
        }))
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        // If it stays it names a process that has ended, and is ignored.
        let _ = fs::remove_file(&self.0);
    }
}

fn path() -> Result<PathBuf> {
    Ok(target()?.join("up.json"))
}

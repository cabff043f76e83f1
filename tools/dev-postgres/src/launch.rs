//! Making a cluster's folder with `initdb`, and bringing its server up.

use crate::{
    blocking,
    find::Binaries,
    guard::{Guard, Run},
    pidfile::{PidFile, Status},
};
use anyhow::{Context, Result, bail};
use std::{
    ffi::OsString,
    fs::{self, File},
    io::{PipeWriter, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// How long a server may take until it accepts connections.
pub(crate) const READY_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
/// The lines of the server's log that are shown when it fails.
const TAIL_LINES_MAX: usize = 20;
const TAIL_BYTES_MAX: u64 = 16 * 1024;

/// How a cluster's server is started, each time.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) binaries: Binaries,
    pub(crate) data_dir: PathBuf,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) ephemeral: bool,
}

/// The result of one attempt.
pub(crate) enum Attempt {
    /// It accepts connections.
    Ready(Guard),
    /// Something else listens on the port.
    PortTaken,
    /// Processes of a server that was killed are still leaving.
    StillInUse,
    /// The server ended; the end of its log.
    Failed(String),
}

impl Launch {
    pub(crate) fn log_path(&self) -> PathBuf {
        self.data_dir.join("server.log")
    }

    /// An orderly end writes everything out first, which a durable cluster needs time for.
    fn stop_max(&self) -> Duration {
        Duration::from_secs(if self.ephemeral { 10 } else { 60 })
    }

    /// Makes a cluster in `folder`, which must be empty and the account's.
    pub(crate) fn initialise(&self, folder: &Path, lifeline: Option<&PipeWriter>) -> Result<()> {
        let program = self.binaries.program("initdb");
        let mut arguments: Vec<OsString> = [
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
        ]
        .map(OsString::from)
        .into();
        if self.ephemeral {
            arguments.push("--no-sync".into());
        }
        arguments.push("-D".into());
        arguments.push(folder.into());
        let run = Run {
            account: self.binaries.account(),
            program: &program,
            log: None,
            stop_max: self.stop_max(),
            lifeline,
        };
        let (status, printed) = Guard::spawn(&run, &arguments)?.finish()?;
        if !status.success() {
            bail!(
                "initdb could not make a cluster in {} ({status}):\n{}",
                folder.display(),
                last_lines(&printed)
            );
        }
        Ok(())
    }

    /// Makes a standby in `folder`, which must be empty and the account's, out of the folder of
    /// a server that was stopped.
    pub(crate) fn copy(&self, primary: &Path, folder: &Path) -> Result<()> {
        let account = self.binaries.account();
        // As the account, so that all of it belongs to that.
        let copied = account
            .command("cp")
            .args(["-R", "-p"])
            .arg(primary.join("."))
            .arg(folder)
            .output()
            .context("run `cp`")?;
        if !copied.status.success() {
            bail!(
                "cannot copy {} to {}:\n{}",
                primary.display(),
                folder.display(),
                last_lines(&String::from_utf8_lossy(&copied.stderr))
            );
        }
        let signal = folder.join("standby.signal");
        File::create(&signal).with_context(|| format!("make {}", signal.display()))?;
        account.give(&signal)
    }

    /// Starts with an empty log, and keeps the one of the run before.
    pub(crate) fn open_log(&self) -> Result<()> {
        let log = self.log_path();
        if log.exists() {
            fs::rename(&log, log.with_extension("log.1")).context("keep the last log")?;
        }
        File::create(&log).with_context(|| format!("make the log {}", log.display()))?;
        self.binaries.account().give(&log)
    }

    /// Starts the server and waits until it accepts connections.
    pub(crate) async fn attempt(
        self: &Arc<Self>,
        port: u16,
        lifeline: Option<PipeWriter>,
    ) -> Result<Attempt> {
        let launch = Arc::clone(self);
        let (mut guard, log_start) = blocking(move || {
            let log_start = fs::metadata(launch.log_path())?.len();
            Ok((launch.spawn(port, lifeline.as_ref())?, log_start))
        })
        .await?;
        let deadline = Instant::now() + READY_MAX;
        loop {
            if self.is_ready(&guard)? {
                return Ok(Attempt::Ready(guard));
            }
            if guard.ended()?.is_some() {
                return Ok(self.explain(log_start));
            }
            if Instant::now() >= deadline {
                bail!(
                    "PostgreSQL was not ready within {READY_MAX:?}; the end of its log:\n{}",
                    self.log_tail(log_start)
                );
            }
            sleep(POLL).await;
        }
    }

    fn spawn(&self, port: u16, lifeline: Option<&PipeWriter>) -> Result<Guard> {
        let run = Run {
            account: self.binaries.account(),
            program: &self.binaries.program("postgres"),
            log: Some(&self.log_path()),
            stop_max: self.stop_max(),
            lifeline,
        };
        Guard::spawn(&run, &self.arguments(port))
    }

    /// Settings are on the command line, so that they leave nothing behind in a durable folder.
    /// The last of a name wins: the caller's after our defaults, and after those the ones that the
    /// cluster's lifetime depends on.
    fn arguments(&self, port: u16) -> Vec<OsString> {
        let mut settings = ["max_connections=300", "timezone=UTC", "log_timezone=UTC"]
            .map(str::to_owned)
            .to_vec();
        if self.ephemeral {
            let fast = [
                "fsync=off",
                "full_page_writes=off",
                "synchronous_commit=off",
            ];
            settings.extend(fast.map(str::to_owned));
        }
        let wanted = self.settings.iter();
        settings.extend(wanted.map(|(name, value)| format!("{name}={value}")));
        settings.extend([
            format!("port={port}"),
            "listen_addresses=127.0.0.1".to_owned(),
            // A socket's path may not exceed 107 bytes, which folders of builds do.
            "unix_socket_directories=".to_owned(),
            "log_destination=stderr".to_owned(),
            "logging_collector=off".to_owned(),
        ]);
        let mut arguments = vec!["-D".into(), self.data_dir.clone().into_os_string()];
        for setting in settings {
            arguments.extend(["-c".into(), setting.into()]);
        }
        arguments
    }

    /// A file left by an earlier server has another process id.
    fn is_ready(&self, guard: &Guard) -> Result<bool> {
        let file = PidFile::read(&self.data_dir).context("read postmaster.pid")?;
        Ok(file.is_some_and(|file| Some(file.pid) == guard.pid() && file.status == Status::Ready))
    }

    /// Why the server ended. Its messages are in English: it runs under `LC_ALL=C`.
    fn explain(&self, log_start: u64) -> Attempt {
        let tail = self.log_tail(log_start);
        if tail.contains("Address already in use") {
            Attempt::PortTaken
        } else if tail.contains("pre-existing shared memory block") {
            Attempt::StillInUse
        } else {
            Attempt::Failed(tail)
        }
    }

    fn log_tail(&self, start: u64) -> String {
        read_tail(&self.log_path(), start).map_or_else(
            |error| format!("(no log: {error})"),
            |text| last_lines(&text),
        )
    }
}

fn read_tail(path: &Path, start: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(
        start.max(length.saturating_sub(TAIL_BYTES_MAX)),
    ))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES_MAX)..].join("\n")
}

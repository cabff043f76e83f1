//! Processes that never outlive their owner.
//!
//! A [`Guard`] runs one program; a [`StaleDirReaper`] removes a folder. Both are shells that wait for
//! the end of a pipe which only this process writes to (std marks it close-on-exec, so no
//! other child inherits it), and both have a process group of their own, so that Ctrl-C in a
//! terminal reaches their owner and not them.
//!
//! The sweeper's pipe is also held by the folder's guards: it ends when the owner has let go
//! *and* no guarded program is left, in whatever order that happens.

use crate::account::Account;
use anyhow::{Context, Result, bail};
use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, PipeWriter, Read, Write, pipe},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};
use tracing::warn;

const GUARD: &str = include_str!("guard.sh");
const SWEEP: &str = include_str!("sweep.sh");

/// The time that the shells need beyond the program's own: the immediate shutdown, then the kill.
const SLACK: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(10);

/// How a guarded program is run.
pub(crate) struct Run<'a> {
    pub(crate) account: &'a Account,
    pub(crate) program: &'a Path,
    /// Where its output is appended; `None` keeps it for [`Guard::finish`].
    pub(crate) log: Option<&'a Path>,
    /// How long an orderly end may take.
    pub(crate) stop_max: Duration,
    /// Held until the program is gone.
    pub(crate) lifeline: Option<&'a PipeWriter>,
}

/// A running program that ends when this value is dropped, or this process ends.
#[derive(Debug)]
pub(crate) struct Guard {
    shell: Child,
    orders: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    pid: Option<u32>,
    stop_max: Duration,
}

impl Guard {
    pub(crate) fn spawn<A: AsRef<OsStr>>(run: &Run<'_>, arguments: &[A]) -> Result<Self> {
        let mut command = run.account.command("sh");
        command.args(["-c", GUARD, "ticketing-postgres-guard"]);
        command.arg(run.stop_max.as_secs().to_string());
        command.arg(run.log.map_or(OsStr::new("-"), Path::as_os_str));
        command.arg(run.program).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(match run.lifeline {
            Some(writer) => Stdio::from(writer.try_clone().context("copy a pipe's end")?),
            None => Stdio::null(),
        });
        let mut shell = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("run `sh` as {}", run.account.name()))?;
        let orders = shell.stdin.take();
        let output = shell.stdout.take().context("the guard has no output")?;
        let mut guard = Self {
            shell,
            orders,
            output: BufReader::new(output),
            pid: None,
            stop_max: run.stop_max,
        };
        if run.log.is_some() {
            let mut line = String::new();
            guard.output.read_line(&mut line)?;
            let pid = line.trim().parse();
            guard.pid = Some(pid.context("the guard did not print its program's process id")?);
        }
        Ok(guard)
    }

    /// The program's process id; known only for a logged program.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// How the program ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.shell.try_wait().context("wait for the guard")
    }

    /// Waits for the program to end by itself; returns its output.
    pub(crate) fn finish(&mut self) -> Result<(ExitStatus, String)> {
        let mut printed = Vec::new();
        self.output.read_to_end(&mut printed)?;
        let status = self.shell.wait()?;
        Ok((status, String::from_utf8_lossy(&printed).into_owned()))
    }

    /// Kills the program without ceremony, and waits for its end.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let orders = self.orders.as_mut().context("the guard takes no orders")?;
        // A failure to write means that the guard, and so the program, is gone already.
        let sent = orders.write_all(b"kill\n");
        if !wait_within(&mut self.shell, SLACK)? {
            bail!("the program did not end within {SLACK:?} of being killed ({sent:?})");
        }
        Ok(())
    }

    /// Ends the program in good order, and waits for it.
    pub(crate) fn stop(&mut self) -> Result<()> {
        drop(self.orders.take());
        let patience = self.stop_max + SLACK;
        if !wait_within(&mut self.shell, patience)? {
            bail!(
                "the program (process {}) did not end within {patience:?}: end it by hand",
                self.pid.unwrap_or_default()
            );
        }
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            warn!(
                error = format!("{error:#}"),
                "a guarded program was left running"
            );
        }
    }
}

/// Removes a folder at the end.
#[derive(Debug)]
pub(crate) struct StaleDirReaper {
    shell: Child,
    lifeline: Option<PipeWriter>,
}

impl StaleDirReaper {
    /// Runs as ourselves, since the folder's parent is ours and not the server account's.
    pub(crate) fn spawn(folder: &Path) -> Result<Self> {
        let (reader, writer) = pipe().context("make a pipe")?;
        let shell = Command::new("sh")
            .args(["-c", SWEEP, "ticketing-postgres-sweep"])
            .arg(folder)
            .current_dir("/")
            .stdin(reader)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("run `sh`")?;
        Ok(Self {
            shell,
            lifeline: Some(writer),
        })
    }

    /// The pipe that a guard holds while the folder is needed.
    pub(crate) fn lifeline(&self) -> Option<&PipeWriter> {
        self.lifeline.as_ref()
    }

    /// Lets go, and waits until the folder is gone.
    pub(crate) fn finish(&mut self) -> Result<()> {
        drop(self.lifeline.take());
        if !wait_within(&mut self.shell, SLACK)? {
            bail!("the folder was not removed within {SLACK:?}: something still writes there");
        }
        if !self.shell.wait()?.success() {
            bail!("the folder could not be removed: remove it by hand");
        }
        Ok(())
    }
}

impl Drop for StaleDirReaper {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            warn!(
                error = format!("{error:#}"),
                "an ephemeral folder could not be removed"
            );
        }
    }
}

fn wait_within(child: &mut Child, limit: Duration) -> Result<bool> {
    let deadline = Instant::now() + limit;
    while child.try_wait()?.is_none() {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        thread::sleep(POLL);
    }
    Ok(true)
}

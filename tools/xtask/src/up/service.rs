//! A service as a child of ours, with its log.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use service_kit::health;
use test_harness::lifeline::{Ending, Lifeline};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::say::say;

const SERVES_MAX: Duration = Duration::from_secs(30);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(50);
/// Above the grace that the services give to calls in progress.
const STOP_MAX: Duration = Duration::from_secs(25);

/// A grandchild could hold the pipe open.
const PRINT_MAX: Duration = Duration::from_secs(1);

/// A running service. Killed when dropped.
pub(crate) struct Service {
    name: &'static str,
    address: SocketAddr,
    child: Child,
    /// None once it has ended.
    lifeline: Option<Lifeline>,
    printing: Vec<JoinHandle<()>>,
}

impl Service {
    /// Starts it, and prints its log under its name.
    pub(crate) fn start(
        name: &'static str,
        program: &Path,
        port: u16,
        database_url: Option<&str>,
        more: &[&str],
    ) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut command = Command::new(program);
        command.args(["--listen", &address.to_string()]).args(more);
        if let Some(url) = database_url {
            // Not an argument: those can be read by every user of the machine.
            command.env("DATABASE_URL", url);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C in the terminal is for us; we stop the services in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let id = child.id().context("a child has an id until it has ended")?;
        let lifeline = Lifeline::tie(id, Ending::Terminate).context("run `sh`")?;
        let mut printing = Vec::new();
        if let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) {
            printing.push(tokio::spawn(print(name, out)));
            printing.push(tokio::spawn(print(name, err)));
        }
        Ok(Self {
            name,
            address,
            child,
            lifeline: Some(lifeline),
            printing,
        })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Waits until it says that it serves.
    pub(crate) async fn serves(&mut self) -> Result<()> {
        let deadline = Instant::now() + SERVES_MAX;
        loop {
            let answer = health::ask(self.address, "", HEALTH_TIMEOUT).await;
            if let Some(status) = self.ended().await? {
                bail!("it ended by itself ({status})");
            }
            match answer {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= deadline => {
                    bail!("not within {SERVES_MAX:?}: {error}");
                }
                Err(_) => sleep(LOOK).await,
            }
        }
    }

    /// How it ended, if it has; its log is then printed to the end.
    pub(crate) async fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let ended = self.child.try_wait().context("check a child process")?;
        if ended.is_some() {
            self.has_ended().await;
        }
        Ok(ended)
    }

    async fn has_ended(&mut self) {
        self.lifeline = None;
        for printing in self.printing.drain(..) {
            // The pipe ends with the child.
            let _ = timeout(PRINT_MAX, printing).await;
        }
    }

    /// Stops it in good order, or kills it if that takes too long.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let Some(id) = self.child.id() else {
            return Ok(());
        };
        if let Some(process) = i32::try_from(id).ok().and_then(Pid::from_raw) {
            kill_process(process, Signal::TERM).context("send SIGTERM to a child")?;
        }
        match timeout(STOP_MAX, self.child.wait()).await {
            Ok(ended) => ended.map(drop)?,
            Err(_) => {
                say(format_args!(
                    "{} did not stop within {STOP_MAX:?}, so it is killed",
                    self.name
                ));
                self.child.kill().await?;
            }
        }
        self.has_ended().await;
        Ok(())
    }
}

/// Prints each line that a service writes, under its name.
async fn print(name: &'static str, from: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        line.clear();
        // A log that ends or breaks off means that the service does, which is seen elsewhere.
        match lines.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line);
                say(format_args!("{name:<13} | {}", text.trim_end()));
            }
        }
    }
}

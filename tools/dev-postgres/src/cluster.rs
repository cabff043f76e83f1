//! A private cluster and its life.

use crate::{
    blocking, data_dir,
    find::Binaries,
    guard::{Guard, StaleDirReaper},
    launch::{Attempt, Launch, READY_MAX},
    tls::ServerTls,
    version::Version,
};
use anyhow::{Context, Result, bail};
use std::{
    fmt::Write,
    io::PipeWriter,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::sleep;
use tracing::{debug, warn};

/// How often another port is picked when the one before was taken in the meantime.
const PORT_TRIES_MAX: usize = 8;
/// Between attempts to start where a killed server's processes are still leaving.
const RETRY: Duration = Duration::from_millis(50);

/// The options of a [`Cluster`].
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// The server programs.
    pub binaries: Binaries,
    /// The data folder. As root it may be elsewhere, when the server's account can't
    /// enter the folder above it: see [`Cluster::data_dir`].
    pub data_dir: PathBuf,
    /// The port on 127.0.0.1; `None` picks a free one.
    pub port: Option<u16>,
    /// Server settings, by name and value, over the defaults (`max_connections` 300,
    /// `timezone` UTC). The address, the port and where the log goes can't be set here. They
    /// hold over `ALTER SYSTEM`, and leave nothing in the folder.
    pub settings: Vec<(String, String)>,
    /// True for tests: the folder must be new or empty and is deleted at the end, and nothing
    /// is forced to disk. False: the folder stays, and is used again when it is a cluster of
    /// the same major release.
    pub ephemeral: bool,
    /// For a durable cluster: delete what an earlier one left in the folder.
    pub fresh: bool,
    /// Take connections over TLS alone.
    pub tls: Option<ServerTls>,
}

impl ClusterOptions {
    /// A cluster for tests, fast and gone afterwards, in a folder that does not exist yet.
    #[must_use]
    pub fn ephemeral(binaries: Binaries, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            binaries,
            data_dir: data_dir.into(),
            port: None,
            settings: Vec::new(),
            ephemeral: true,
            fresh: false,
            tls: None,
        }
    }

    /// A durable cluster.
    #[must_use]
    pub fn durable(binaries: Binaries, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            ephemeral: false,
            ..Self::ephemeral(binaries, data_dir)
        }
    }
}

/// A running PostgreSQL server of our own.
///
/// It ends when this value is dropped (which blocks until it has ended), and when this process
/// ends, in whatever way. [`Cluster::stop`] ends it without blocking a runtime's thread, and
/// says what went wrong.
#[derive(Debug)]
pub struct Cluster {
    launch: Arc<Launch>,
    port: u16,
    /// `None` after a crash.
    server: Option<Guard>,
    /// Only an ephemeral cluster has one.
    sweeper: Option<StaleDirReaper>,
}

impl Cluster {
    /// Makes the data folder if need be, starts the server, and returns once it accepts
    /// connections.
    ///
    /// # Errors
    /// When the folder can't be used, the port is taken, or the server does not come up; the
    /// error then has the end of its log. No process and no ephemeral folder is left behind.
    pub async fn start(options: ClusterOptions) -> Result<Self> {
        let port = options.port;
        let (cluster, turn) = blocking(move || Self::prepare(options, None)).await?;
        cluster.launch_new(port, turn).await
    }

    /// Starts a hot standby that streams from this server, with the same settings; ephemeral
    /// as this one is. Its folder begins as a copy of this server's, which is stopped for as
    /// long as that takes: no program but the server's own is needed.
    ///
    /// # Errors
    /// When either does not come up, or the folder can't be used.
    pub async fn start_standby(&mut self, data_dir: impl Into<PathBuf>) -> Result<Self> {
        let mut options = ClusterOptions {
            ephemeral: self.launch.ephemeral,
            settings: self.launch.settings.clone(),
            ..ClusterOptions::ephemeral(self.launch.binaries.clone(), data_dir)
        };
        let primary = format!("host=127.0.0.1 port={} user=postgres", self.port);
        options.settings.extend([
            ("hot_standby".to_owned(), "on".to_owned()),
            ("primary_conninfo".to_owned(), primary),
        ]);
        if let Some(mut server) = self.server.take() {
            blocking(move || server.stop()).await?;
        }
        let folder = self.data_dir().to_owned();
        let prepared = blocking(move || Self::prepare(options, Some(&folder))).await;
        self.restart().await?;
        let (standby, turn) = prepared?;
        standby.launch_new(None, turn).await
    }

    /// Brings a prepared cluster's server up; on a free port if none is named.
    async fn launch_new(
        mut self,
        port: Option<u16>,
        turn: Option<data_dir::Durable>,
    ) -> Result<Self> {
        for _ in 0..PORT_TRIES_MAX {
            self.port = port.map_or_else(pick_port, Ok)?;
            if self.launch_within(READY_MAX).await? {
                drop(turn);
                return Ok(self);
            }
            if let Some(port) = port {
                return Err(taken(port));
            }
            debug!(port = self.port, "the port was taken in the meantime");
        }
        bail!("{PORT_TRIES_MAX} free ports in a row were taken before PostgreSQL could use them")
    }

    /// Everything before the server runs.
    fn prepare(
        options: ClusterOptions,
        copy_of: Option<&Path>,
    ) -> Result<(Self, Option<data_dir::Durable>)> {
        let data_dir = data_dir::locate(&options.data_dir, options.binaries.account())?;
        let mut settings = options.settings;
        settings.extend(options.tls.iter().flat_map(Launch::tls_settings));
        let launch = Launch {
            binaries: options.binaries,
            data_dir,
            settings,
            ephemeral: options.ephemeral,
        };
        let account = launch.binaries.account();
        let (sweeper, turn) = if launch.ephemeral {
            data_dir::make_ephemeral(&launch.data_dir, account)?;
            let sweeper = StaleDirReaper::spawn(&launch.data_dir)?;
            match copy_of {
                None => launch.initialise(&launch.data_dir, sweeper.lifeline())?,
                Some(primary) => launch.copy(primary, &launch.data_dir)?,
            }
            (Some(sweeper), None)
        } else {
            let version = launch.binaries.version();
            let initialise = |folder: &Path| match copy_of {
                None => launch.initialise(folder, None),
                Some(primary) => launch.copy(primary, folder),
            };
            let turn = data_dir::prepare_durable(
                &launch.data_dir,
                account,
                version,
                options.fresh,
                initialise,
            )?;
            (None, Some(turn))
        };
        if let Some(tls) = &options.tls {
            launch.write_tls(tls)?;
        }
        launch.open_log()?;
        let cluster = Self {
            launch: Arc::new(launch),
            port: 0,
            server: None,
            sweeper,
        };
        Ok((cluster, turn))
    }

    /// Brings the server up on `self.port`; false when that is taken.
    async fn launch_within(&mut self, limit: Duration) -> Result<bool> {
        let deadline = Instant::now() + limit;
        loop {
            let attempt = self.launch.attempt(self.port, self.lifeline()?).await?;
            match attempt {
                Attempt::Ready(guard) => {
                    self.server = Some(guard);
                    return Ok(true);
                }
                Attempt::PortTaken => return Ok(false),
                Attempt::StillInUse if Instant::now() < deadline => sleep(RETRY).await,
                Attempt::StillInUse => bail!(
                    "processes of the server killed before still hold {} after {limit:?}: end \
                     them by hand",
                    self.data_dir().display()
                ),
                Attempt::Failed(log) => {
                    bail!("PostgreSQL did not start; the end of its log:\n{log}")
                }
            }
        }
    }

    fn lifeline(&self) -> Result<Option<PipeWriter>> {
        let writer = self.sweeper.as_ref().and_then(StaleDirReaper::lifeline);
        writer
            .map(PipeWriter::try_clone)
            .transpose()
            .context("copy a pipe's end")
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of a database, as clients take it. The superuser is `postgres`; no password
    /// is asked for.
    #[must_use]
    pub fn url(&self, user: &str, database: &str) -> String {
        let (user, database) = (escape(user), escape(database));
        format!("postgres://{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// The server's release.
    #[must_use]
    pub fn version(&self) -> Version {
        self.launch.binaries.version()
    }

    /// The process id of the server's first process; `None` after [`Cluster::crash`].
    #[must_use]
    pub fn postmaster_pid(&self) -> Option<u32> {
        self.server.as_ref().and_then(Guard::pid)
    }

    /// The data folder, where it really lies.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.launch.data_dir
    }

    /// The server's log, inside the data folder. A durable cluster keeps the log of the run
    /// before beside it.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.launch.log_path()
    }

    /// Gives a server that was started with TLS another certificate. It is used by connections that
    /// are made after a reload (`SELECT pg_reload_conf()`).
    ///
    /// # Errors
    /// When its files can't be written.
    pub async fn replace_tls(&self, tls: ServerTls) -> Result<()> {
        let launch = Arc::clone(&self.launch);
        blocking(move || launch.write_tls(&tls)).await
    }

    /// Kills the postmaster as `kill -9` does, and returns once it is gone: no checkpoint, no
    /// goodbye to clients. Its other processes detect that and exit by themselves, which one that
    /// is busy does only at its next wait.
    ///
    /// # Errors
    /// When the process does not end.
    pub async fn crash(&mut self) -> Result<()> {
        let Some(mut server) = self.server.take() else {
            return Ok(());
        };
        blocking(move || server.kill()).await
    }

    /// Starts the server again, on the same port and data: after a crash with PostgreSQL's
    /// recovery, otherwise after an orderly stop.
    ///
    /// # Errors
    /// When it does not come up, or something else took the port.
    pub async fn restart(&mut self) -> Result<()> {
        if let Some(mut server) = self.server.take() {
            blocking(move || server.stop()).await?;
        }
        if self.launch_within(READY_MAX).await? {
            Ok(())
        } else {
            Err(taken(self.port))
        }
    }

    /// Ends the server in good order, and removes an ephemeral folder.
    ///
    /// # Errors
    /// When the server does not end, or the folder can't be removed.
    pub async fn stop(mut self) -> Result<()> {
        blocking(move || self.end()).await
    }

    fn end(&mut self) -> Result<()> {
        if let Some(mut server) = self.server.take() {
            server.stop()?;
        }
        if let Some(mut sweeper) = self.sweeper.take() {
            sweeper
                .finish()
                .with_context(|| format!("the ephemeral folder {}", self.data_dir().display()))?;
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            warn!(error = format!("{error:#}"), "a cluster did not end well");
        }
    }
}

fn pick_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    Ok(listener.local_addr()?.port())
}

fn taken(port: u16) -> anyhow::Error {
    anyhow::anyhow!(
        "port {port} on 127.0.0.1 is taken: stop what listens there, or choose another port"
    )
}

/// Percent-encodes characters with a special meaning in an address.
fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_meaning_are_escaped() {
        assert_eq!(escape("booking_svc-1"), "booking_svc-1");
        assert_eq!(escape("a b/ü"), "a%20b%2F%C3%BC");
    }
}

//! Reading files again: every 30 s and on SIGHUP, by what is in them and not by their times, since
//! they may be links that are swapped.
//!
//! Invariant: what is in force stays until all files of it can be used together.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::args::ServerTlsArgs;
use super::client::{ClientTls, ClientTlsFiles};
use super::files::{Digest, TlsError};
use super::server::{ServerFiles, ServerTls};
use crate::{Shutdown, Supervisor};

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);
/// How soon again if they cannot be used: mostly somebody is just writing them, one after the
/// other. Only what is wrong twice is worth a warning.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The certificates of a process, which are read again when their files change.
#[derive(Debug, Default)]
pub struct Certificates {
    sources: Vec<Source>,
}

/// Files that belong together.
struct Source {
    name: &'static str,
    /// Reads them; true if something else is in force now.
    look: Box<dyn FnMut() -> Result<bool, TlsError> + Send>,
    /// What was wrong with them the last time.
    failed: Option<Failed>,
}

#[derive(Debug)]
struct Failed {
    error: TlsError,
    is_logged: bool,
}

impl Certificates {
    /// Loads the certificate of a server; none without TLS.
    ///
    /// # Errors
    ///
    /// Which file cannot be used, and why.
    pub fn server(&mut self, args: &ServerTlsArgs) -> Result<Option<ServerTls>, TlsError> {
        self.server_for("server", args, ("--tls-client-ca", &args.tls_client_ca))
    }

    /// The same for a second listener, whose clients are of other CAs: those of this flag.
    ///
    /// # Errors
    ///
    /// As [`Self::server`].
    pub fn server_for(
        &mut self,
        name: &'static str,
        args: &ServerTlsArgs,
        client_ca: (&'static str, &Option<PathBuf>),
    ) -> Result<Option<ServerTls>, TlsError> {
        let Some(files) = ServerFiles::of(args, client_ca)? else {
            return Ok(None);
        };
        let config = self.load(name, move || files.load())?;
        Ok(Some(ServerTls::new(config)))
    }

    /// Loads what a client trusts, and its own certificate if it has one.
    ///
    /// # Errors
    ///
    /// Which file cannot be used, and why.
    pub fn client(
        &mut self,
        name: &'static str,
        files: ClientTlsFiles,
    ) -> Result<ClientTls, TlsError> {
        let server_name = files.checked_server_name()?;
        let config = self.load(name, move || files.load())?;
        Ok(ClientTls::new(config, server_name))
    }

    fn load<T: Send + Sync + 'static>(
        &mut self,
        name: &'static str,
        load: impl Fn() -> Result<(Digest, Arc<T>), TlsError> + Send + 'static,
    ) -> Result<watch::Receiver<Arc<T>>, TlsError> {
        let (mut digest, first) = load()?;
        let (in_force, receiver) = watch::channel(first);
        let look = move || {
            let (now, next) = load()?;
            let is_new = now != digest;
            if is_new {
                digest = now;
                in_force.send_replace(next);
            }
            Ok(is_new)
        };
        self.sources.push(Source {
            name,
            look: Box::new(look),
            failed: None,
        });
        Ok(receiver)
    }

    /// Has the files read again from now on, until the shutdown, if there are any.
    pub fn watch(self, tasks: &mut Supervisor, shutdown: &Shutdown) {
        if self.sources.is_empty() {
            return;
        }
        let sources = Arc::new(Mutex::new(self.sources));
        let stop = shutdown.soft.clone();
        tasks.restart("certificates", move || {
            watch(Arc::clone(&sources), stop.clone())
        });
    }
}

async fn watch(sources: Arc<Mutex<Vec<Source>>>, stop: CancellationToken) {
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => Some(hangup),
        Err(error) => {
            tracing::error!(%error, "SIGHUP cannot be listened to");
            None
        }
    };
    let mut wait = LOOK_INTERVAL;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = next(&mut hangup) => {}
            () = sleep(wait) => {}
        }
        let sources = Arc::clone(&sources);
        // A disk may hang.
        let looking = tokio::task::spawn_blocking(move || {
            let mut sources = sources.lock().unwrap_or_else(PoisonError::into_inner);
            // Not `any`: all of them are looked at.
            sources.iter_mut().filter_map(Source::look).count()
        });
        let failed = looking.await.unwrap_or_default();
        wait = if failed > 0 {
            AGAIN_AFTER
        } else {
            LOOK_INTERVAL
        };
    }
}

async fn next(hangup: &mut Option<Signal>) {
    match hangup {
        Some(hangup) => {
            hangup.recv().await;
        }
        None => std::future::pending().await,
    }
}

impl Source {
    /// Looks at the files; what is wrong with them, if it was not seen twice yet.
    fn look(&mut self) -> Option<()> {
        let source = self.name;
        let error = match (self.look)() {
            Ok(is_new) => {
                let failed = self.failed.take();
                if is_new || failed.is_some_and(|failed| failed.is_logged) {
                    tracing::info!(source, "certificates were read again, and are in force");
                }
                return None;
            }
            Err(error) => error,
        };
        match &mut self.failed {
            Some(failed) if failed.error == error => {
                if !failed.is_logged {
                    failed.is_logged = true;
                    tracing::warn!(source, %error, "certificates cannot be read again: those before stay in force");
                }
                None
            }
            failed => {
                *failed = Some(Failed {
                    error,
                    is_logged: false,
                });
                Some(())
            }
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

//! Stopping in order: first no new work and no more streams, then, when the grace is over,
//! the end whatever is still under way.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Two tokens that everything long-lived listens to.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Take no new work; end streams; finish what is under way.
    pub soft: CancellationToken,
    /// The grace is over.
    pub hard: CancellationToken,
}

impl Shutdown {
    /// Listens to SIGTERM and SIGINT from now on: the first begins the soft stop, which turns
    /// into the hard one after `grace` or at a second signal.
    ///
    /// # Errors
    ///
    /// If the signals cannot be listened to.
    pub fn on_signals(grace: Duration) -> std::io::Result<Self> {
        let shutdown = Self::default();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (soft, hard) = (shutdown.soft.clone(), shutdown.hard.clone());
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("stopping");
            soft.cancel();
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = tokio::time::sleep(grace) => {}
            }
            hard.cancel();
        });
        Ok(shutdown)
    }
}

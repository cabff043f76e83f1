//! Stopping in order: first load balancers see NOT_SERVING; then no new calls and no more streams;
//! then, after the grace period, the end of whatever is still in progress.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Three tokens that everything long-lived listens to, cancelled in this order.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Say NOT_SERVING, and keep serving.
    pub leaving: CancellationToken,
    /// Take no new work; end streams; finish calls in progress.
    pub soft: CancellationToken,
    /// The grace is over.
    pub hard: CancellationToken,
}

impl Shutdown {
    /// Listens to SIGTERM and SIGINT from now on. The first one begins the stop: `delay` later
    /// it turns into the soft one, and `grace` later into the hard one. A second one ends all at
    /// once. Cancelling the soft token by hand begins the grace too.
    ///
    /// # Errors
    ///
    /// If the signals cannot be listened to.
    pub fn on_signals(delay: Duration, grace: Duration) -> std::io::Result<Self> {
        let shutdown = Self::default();
        let mut signals = Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        };
        let stopping = shutdown.clone();
        tokio::spawn(async move {
            stopping.in_order(&mut signals, delay, grace).await;
        });
        Ok(shutdown)
    }

    async fn in_order(&self, signals: &mut Signals, delay: Duration, grace: Duration) {
        tokio::select! {
            () = signals.next() => {}
            () = self.soft.cancelled() => {}
        }
        tracing::info!("stopping");
        self.leaving.cancel();
        let at_once = tokio::select! {
            () = signals.next() => true,
            () = tokio::time::sleep(delay) => false,
            () = self.soft.cancelled() => false,
        };
        self.soft.cancel();
        if !at_once {
            tokio::select! {
                () = signals.next() => {}
                () = tokio::time::sleep(grace) => {}
            }
        }
        self.hard.cancel();
    }
}

/// The signals that stop the process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

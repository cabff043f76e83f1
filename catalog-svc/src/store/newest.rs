//! The newest revision of the feed, as far as this process knows it.
//!
//! Writers notify each revision as they commit it; that wakes watchers at once. A notification
//! may be lost with the connection that listens, so the revision is asked for once a second
//! beside it. What is known here may be late, and is never ahead of the database.

use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::error::StoreError;
use super::pool::Store;
use super::watch_shows;

/// Where writers notify; see the statements that write shows.
const CHANNEL: &str = "catalog_feed";
/// How often the revision is asked for.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The pause before listening again after a failure.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// Tells watchers of new revisions.
#[derive(Debug, Clone)]
pub struct Newest {
    sender: watch::Sender<i64>,
}

impl Default for Newest {
    fn default() -> Self {
        Self {
            sender: watch::Sender::new(0),
        }
    }
}

impl Newest {
    /// Wakes whoever holds it at each new revision.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<i64> {
        self.sender.subscribe()
    }

    /// Follows the database until it is told to stop.
    pub async fn follow(&self, store: &Store, stop: CancellationToken) {
        let following = async { tokio::join!(self.poll(store), self.listen(store)) };
        tokio::select! {
            _ = following => {}
            () = stop.cancelled() => {}
        }
    }

    async fn poll(&self, store: &Store) {
        loop {
            let newest = store.lend_background("newest_revision", |connection| {
                Box::pin(watch_shows::newest(connection))
            });
            match newest.await {
                Ok(newest) => self.raise(newest),
                // Readiness tells of a database that does not answer.
                Err(error) => tracing::debug!(%error, "asking for the newest revision failed"),
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    async fn listen(&self, store: &Store) {
        loop {
            if let Err(error) = self.listen_once(store).await {
                tracing::debug!(%error, "listening for revisions failed");
            }
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }

    async fn listen_once(&self, store: &Store) -> Result<(), StoreError> {
        let mut listener = PgListener::connect_with(store.background()).await?;
        // A lost connection is made anew by the loop around us, after its pause.
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        while let Some(notification) = listener.try_recv().await? {
            if let Ok(newest) = notification.payload().parse() {
                self.raise(newest);
            }
        }
        Ok(())
    }

    fn raise(&self, newest: i64) {
        self.sender.send_if_modified(|known| {
            let is_new = newest > *known;
            *known = newest.max(*known);
            is_new
        });
    }
}

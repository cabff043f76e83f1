//! Tracks the database's revisions.
//!
//! Writers notify each revision as they commit it; that wakes watchers at once. A notification
//! may be lost with the listening connection, so the revision is also polled once a
//! second.
//!
//! Written shows are removed from the cache as their revisions become known.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use futures_util::join;
use service_kit::background::{self, Trouble};
use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{Executor as _, PgConnection};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Store;
use super::cache::Changes;
use super::error::StoreError;
use super::followers;
use super::pool::{self, CONNECT_TIME_MAX, PING_TIME_MAX};
use super::revision_tracker::RevisionTracker;

/// Where writers notify; see the statements that write shows.
const CHANNEL: &str = "catalog_feed";
/// How often the revision is asked for.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often an idle listening connection is checked.
const LISTEN_CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// The most changed shows that are read at once; if there are more, the cache is emptied.
const CHANGES_MAX: usize = 1_000;

impl RevisionTracker {
    /// Follows the database until `stop`.
    pub async fn follow(self, store: Arc<Store>, stop: CancellationToken) {
        let following = async { join!(self.catch_up(&store, &stop), self.listen(&store)) };
        stop.run_until_cancelled(following).await;
    }

    /// Removes written shows from the cache, at each new revision and once a second.
    async fn catch_up(&self, store: &Store, stop: &CancellationToken) {
        let written = async || {
            let mut newest = self.subscribe();
            let written = newest.wait_for(|newest| *newest > store.cache.current_to());
            // Its sender is ours.
            let _ = written.await;
        };
        background::run_woken("revisions", stop, written, async || {
            let (asked_at, known) = (Instant::now(), self.known());
            let changes = store.changes().await?;
            if changes.newest < known {
                // Do not wait for lost revisions any longer.
                tracing::warn!(known, newest = changes.newest, "revisions were lost");
                store.cache.begin_again();
                self.sender.send_replace(changes.newest);
            }
            store.cache.catch_up(&changes);
            self.raise(changes.newest);
            self.listen_state().asked_at = Some(asked_at);
            Ok::<_, StoreError>(POLL_INTERVAL)
        })
        .await;
    }

    async fn listen(&self, store: &Store) {
        let mut trouble = Trouble::new("notifications");
        loop {
            let error = match self.listen_once(store, &mut trouble).await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            self.listen_state().listening_since = None;
            sleep(trouble.failed(&error)).await;
        }
    }

    async fn listen_once(
        &self,
        store: &Store,
        trouble: &mut Trouble,
    ) -> Result<Infallible, StoreError> {
        let place = pool::place(&store.database).await?;
        let only = PgPoolOptions::new().max_connections(1);
        let connecting = async {
            let only = only.connect_lazy_with(pool::options(&place).await?);
            Ok::<_, StoreError>(PgListener::connect_with(&only).await?)
        };
        let connecting = timeout(CONNECT_TIME_MAX, Box::pin(connecting));
        let mut listener = connecting.await.map_err(|_| StoreError::NoAnswer)??;
        // A lost connection is replaced by the loop around us, after its pause.
        listener.eager_reconnect(false);
        listener.listen_all([CHANNEL, followers::CHANNEL]).await?;
        self.listen_state().listening_since = Some(Instant::now());
        trouble.recovered();
        loop {
            match timeout(LISTEN_CHECK_INTERVAL, listener.try_recv()).await {
                Ok(Ok(Some(notification))) if notification.channel() == followers::CHANNEL => {
                    store.followers.notified(notification.payload());
                }
                Ok(Ok(Some(notification))) => {
                    if let Ok(newest) = notification.payload().parse() {
                        self.raise(newest);
                    }
                }
                Ok(Ok(None)) => return Err(sqlx::Error::Io(ErrorKind::UnexpectedEof.into()).into()),
                Ok(Err(error)) => return Err(error.into()),
                // Either nothing was sent, or the database is gone.
                Err(_) => {
                    let asked = timeout(PING_TIME_MAX, listener.execute("")).await;
                    asked.map_err(|_| StoreError::NoAnswer)??;
                }
            }
        }
    }
}

impl Store {
    /// The shows that the cache may have as they were before they were written.
    async fn changes(&self) -> Result<Changes, StoreError> {
        let after = self.cache.current_to();
        self.with_background_connection("changes", move |connection| {
            Box::pin(changes(connection, after))
        })
        .await
    }
}

async fn changes(connection: &mut PgConnection, after: i64) -> Result<Changes, StoreError> {
    // In one snapshot, as a page of the feed.
    let changed = sqlx::query!(
        r#"SELECT feed.revision AS newest, show_id AS "show_id?"
           FROM catalog.feed
           LEFT JOIN (
               SELECT show_id FROM catalog.shows WHERE revision > $1 ORDER BY revision LIMIT $2
           ) AS changed ON true"#,
        after,
        i64::try_from(CHANGES_MAX + 1).map_err(StoreError::fault)?,
    )
    .fetch_all(connection)
    .await?;
    let newest = changed.first().map(|row| row.newest);
    let newest = newest.ok_or_else(|| StoreError::fault("the feed has no row"))?;
    let ids = changed.iter().filter_map(|row| row.show_id);
    let shows = if changed.len() > CHANGES_MAX {
        None
    } else {
        // An id that is no show's is in no cache.
        Some(ids.filter_map(|id| id.try_into().ok()).collect())
    };
    Ok(Changes { shows, newest })
}

//! The newest revision of the feed, as far as this process knows it.
//!
//! It may lag behind the database. It is ahead only after the database has lost committed data,
//! until the next poll.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::PgConnection;
use tokio::sync::watch;
use tokio::time::Instant;

use super::error::StoreError;

/// How long a poll's answer counts as certain: a few polls.
const SURE_FOR: Duration = Duration::from_secs(3);

/// Announces new revisions to watchers, and the minimum revision to readers.
#[derive(Debug, Clone)]
pub struct RevisionTracker {
    pub(super) sender: watch::Sender<i64>,
    listen_state: Arc<Mutex<ListenState>>,
}

/// How well this process is informed of other processes' writes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ListenState {
    /// Since when it has listened without a break, if it listens.
    pub(super) listening_since: Option<Instant>,
    /// When the last successful poll was sent.
    pub(super) asked_at: Option<Instant>,
}

impl Default for RevisionTracker {
    fn default() -> Self {
        Self {
            sender: watch::Sender::new(0),
            listen_state: Arc::default(),
        }
    }
}

impl RevisionTracker {
    /// A receiver that wakes at each new revision.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<i64> {
        self.sender.subscribe()
    }

    /// The newest revision that is known here.
    pub(super) fn known(&self) -> i64 {
        *self.sender.borrow()
    }

    /// The same, if no other process can have written unnoticed for long: this process listens, and
    /// a recent poll has succeeded since it began to listen.
    pub(super) fn confirmed_revision(&self) -> Option<i64> {
        let listen_state = *self.listen_state();
        let (since, asked_at) = (listen_state.listening_since?, listen_state.asked_at?);
        (asked_at > since && asked_at.elapsed() < SURE_FOR).then(|| self.known())
    }

    /// Records a committed revision.
    pub(super) fn raise(&self, newest: i64) {
        self.sender.send_if_modified(|known| {
            let is_new = newest > *known;
            *known = newest.max(*known);
            is_new
        });
    }

    pub(super) fn listen_state(&self) -> MutexGuard<'_, ListenState> {
        // A panic cannot leave it half written.
        self.listen_state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The feed's newest revision.
pub(super) async fn newest(connection: &mut PgConnection) -> Result<i64, StoreError> {
    let newest = sqlx::query_scalar!("SELECT revision FROM catalog.feed");
    Ok(newest.fetch_one(connection).await?)
}

//! The newest revision of the feed, as far as this process knows it.
//!
//! What is known here may be late, and is ahead of the database only after that has lost what it had
//! committed, until it is asked again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::PgConnection;
use tokio::sync::watch;
use tokio::time::Instant;

use super::error::StoreError;

/// For how long after the revision was asked for it is taken as known for sure: a few polls.
const SURE_FOR: Duration = Duration::from_secs(3);

/// Tells watchers of new revisions, and readers of what they must be as new as.
#[derive(Debug, Clone)]
pub struct RevisionTracker {
    pub(super) sender: watch::Sender<i64>,
    hearing: Arc<Mutex<ListenState>>,
}

/// Since when this process hears of what others write.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ListenState {
    /// Since when it listens without a break, if it does.
    pub(super) listening_since: Option<Instant>,
    /// When it asked last what was answered.
    pub(super) asked_at: Option<Instant>,
}

impl Default for RevisionTracker {
    fn default() -> Self {
        Self {
            sender: watch::Sender::new(0),
            hearing: Arc::default(),
        }
    }
}

impl RevisionTracker {
    /// Wakes whoever holds it at each new revision.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<i64> {
        self.sender.subscribe()
    }

    /// The newest revision that is known here.
    pub(super) fn known(&self) -> i64 {
        *self.sender.borrow()
    }

    /// The same, if others cannot have written for long without its being known: while this
    /// process listens, and was answered lately, since it began to listen.
    pub(super) fn confirmed_revision(&self) -> Option<i64> {
        let hearing = *self.hearing();
        let (since, asked_at) = (hearing.listening_since?, hearing.asked_at?);
        (asked_at > since && asked_at.elapsed() < SURE_FOR).then(|| self.known())
    }

    /// Makes a revision known that was committed.
    pub(super) fn raise(&self, newest: i64) {
        self.sender.send_if_modified(|known| {
            let is_new = newest > *known;
            *known = newest.max(*known);
            is_new
        });
    }

    pub(super) fn hearing(&self) -> MutexGuard<'_, ListenState> {
        // Nobody can leave a time half written.
        self.hearing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The feed's newest revision.
pub(super) async fn newest(connection: &mut PgConnection) -> Result<i64, StoreError> {
    let newest = sqlx::query_scalar!("SELECT revision FROM catalog.feed");
    Ok(newest.fetch_one(connection).await?)
}

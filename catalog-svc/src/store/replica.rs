//! The replica: whether to use it, and whether its data is new enough.
//!
//! A replica's newest revision is read before its data, so the data can only be newer. It is not
//! trusted that something does not exist.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use service_kit::sqlstate::Failure;
use sqlx::PgConnection;
use tokio_util::task::TaskTracker;

use super::error::StoreError;
use super::pool::{Pool, with_connection};
use super::revision_tracker::newest;

/// The longest that a read waits for a connection to the replica, and again for its answer.
pub(super) const REPLICA_WAIT_MAX: Duration = Duration::from_millis(500);
/// How long a failed replica is not used, until one read tries it again.
const REPLICA_REST: Duration = Duration::from_secs(1);

/// A replica of the database.
#[derive(Debug)]
pub(super) struct Replica {
    pool: Pool,
    loans: TaskTracker,
    /// When it may be tried again, if it has failed.
    try_at: Mutex<Option<Instant>>,
}

/// The result of a read.
#[derive(Debug)]
pub(super) struct Read<T> {
    pub(super) found: T,
    /// It is as new as this revision of the catalog, or newer.
    pub(super) revision: i64,
}

impl Replica {
    pub(super) fn new(pool: Pool, loans: TaskTracker) -> Self {
        Self {
            pool,
            loans,
            try_at: Mutex::new(None),
        }
    }

    /// Does `work` on the replica; none if it is behind, finds nothing, or does not answer.
    pub(super) async fn read<T, W>(
        &self,
        verb: &'static str,
        floor: i64,
        work: W,
    ) -> Option<Read<T>>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, StoreError>>
            + Send
            + 'static,
    {
        if !self.may_be_asked() {
            return None;
        }
        let reading = with_connection(
            &self.pool,
            &self.loans,
            REPLICA_WAIT_MAX,
            verb,
            move |connection| {
                Box::pin(async move {
                    let revision = newest(connection).await?;
                    if revision < floor {
                        return Ok(None);
                    }
                    read(connection, revision, work).await.map(Some)
                })
            },
        );
        match reading.await {
            Ok(read) => {
                self.answered();
                read
            }
            Err(error) => {
                match error.failure() {
                    // Replaying goes before reading, and cancels what is in its way.
                    None | Some(Failure::Contention) => self.answered(),
                    Some(_) => self.failed(&error),
                }
                None
            }
        }
    }

    /// Whether it is not known to have failed, or it is this caller's turn to try.
    fn may_be_asked(&self) -> bool {
        let mut try_at = self.lock();
        let now = Instant::now();
        match *try_at {
            Some(at) if now < at => false,
            Some(_) => {
                *try_at = Some(now + REPLICA_REST);
                true
            }
            None => true,
        }
    }

    fn answered(&self) {
        if self.lock().take().is_some() {
            tracing::info!("the replica answers again");
        }
    }

    fn failed(&self, error: &StoreError) {
        let before = self.lock().replace(Instant::now() + REPLICA_REST);
        if before.is_none() {
            tracing::warn!(%error, "the replica does not answer: reads go to the primary");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        // A panic cannot leave a time half written.
        self.try_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does `work`, whose data is at least as new as `revision`.
pub(super) async fn read<T, W>(
    connection: &mut PgConnection,
    revision: i64,
    work: W,
) -> Result<Read<T>, StoreError>
where
    W: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, StoreError>>,
{
    let found = work(connection).await?;
    Ok(Read { found, revision })
}

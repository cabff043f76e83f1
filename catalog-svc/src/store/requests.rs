//! The first result of every mutation that came with a request id, in `catalog.requests`.
//!
//! A call inserts its row first of all. A replay then waits at that unique key until the first call
//! has ended, and finds its result, or no row if the first call has failed.

use std::sync::Arc;
use std::time::Duration;

use model::ShowId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use service_kit::background;
use sqlx::PgConnection;
use sqlx::types::Json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Store;
use super::error::StoreError;

/// For how many hours a result is kept.
const KEEP_HOURS: i32 = 24;
/// The most times that a call tries to insert its row, or to read the first call's.
const CLAIM_TRIES_MAX: u32 = 3;
/// The most rows that one statement sweeps.
const SWEEP_ROWS_MAX: i64 = 500;
/// The pause between sweeps.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// A caller's request id, and a hash of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestKey {
    /// The id.
    pub id: Uuid,
    /// Hash of the verb and the body.
    pub fingerprint: i64,
}

/// The result of a call, which is stored for its replays.
pub trait Outcome: Sized + Send + Sync + 'static {
    /// The show that was written for it, and in which revision.
    fn wrote(&self) -> Option<(ShowId, i64)> {
        None
    }

    /// The stored form.
    type Stored: Serialize + DeserializeOwned + Send + Unpin + 'static;

    /// The stored form of this result.
    ///
    /// # Errors
    ///
    /// Only by a fault of ours.
    fn store(&self) -> Result<Self::Stored, StoreError>;

    /// The result of the first call.
    fn restore(
        stored: Self::Stored,
        connection: &mut PgConnection,
    ) -> impl Future<Output = Result<Self, StoreError>> + Send;
}

/// Inserts the request's row, or returns the result of the call that inserted it first.
pub(super) async fn claim<T: Outcome>(
    transaction: &mut PgConnection,
    request: RequestKey,
) -> Result<Option<T>, StoreError> {
    for _ in 0..CLAIM_TRIES_MAX {
        if insert(transaction, request).await? {
            return Ok(None);
        }
        // The insert waited for the row's transaction; a new statement sees its result.
        if let Some(stored) = first_result(transaction, request).await? {
            let stored = serde_json::from_value(stored).map_err(StoreError::fault)?;
            return T::restore(stored, transaction).await.map(Some);
        }
        // Between the two statements the row was swept.
    }
    Err(StoreError::fault(
        "a request's row could be neither inserted nor read",
    ))
}

async fn insert(transaction: &mut PgConnection, request: RequestKey) -> Result<bool, StoreError> {
    let inserted = sqlx::query!(
        "INSERT INTO catalog.requests (request_id, fingerprint) VALUES ($1, $2)
         ON CONFLICT (request_id) DO NOTHING",
        request.id,
        request.fingerprint,
    )
    .execute(transaction)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

async fn first_result(
    transaction: &mut PgConnection,
    request: RequestKey,
) -> Result<Option<serde_json::Value>, StoreError> {
    let first = sqlx::query!(
        "SELECT fingerprint, result FROM catalog.requests WHERE request_id = $1",
        request.id,
    )
    .fetch_optional(transaction)
    .await?;
    match first {
        None => Ok(None),
        Some(first) if first.fingerprint != request.fingerprint => Err(StoreError::RequestIdReused),
        Some(first) => match first.result {
            Some(stored) => Ok(Some(stored)),
            None => Err(StoreError::fault(
                "a request without a result was committed",
            )),
        },
    }
}

/// Stores the result in the row that [`claim`] took.
pub(super) async fn settle<T: Outcome>(
    transaction: &mut PgConnection,
    request: RequestKey,
    outcome: &T,
) -> Result<(), StoreError> {
    let stored = sqlx::query!(
        "UPDATE catalog.requests SET result = $2 WHERE request_id = $1 AND result IS NULL",
        request.id,
        Json(outcome.store()?) as _,
    )
    .execute(transaction)
    .await?;
    if stored.rows_affected() == 1 {
        Ok(())
    } else {
        Err(StoreError::fault(
            "a request's row was missing when its result was to be stored",
        ))
    }
}

impl Store {
    /// Forgets old requests, a bounded batch at a time, until the shutdown.
    pub async fn sweep_requests(self: Arc<Self>, stop: CancellationToken) {
        background::run("sweep", &stop, async || {
            let sweeping = stop.run_until_cancelled(self.sweep_once()).await;
            if let Some(swept @ 1..) = sweeping.transpose()? {
                tracing::info!(swept, "forgot old request ids");
            }
            Ok::<_, StoreError>(SWEEP_INTERVAL)
        })
        .await;
    }

    /// Forgets all requests that are old now, and returns how many.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn sweep_once(&self) -> Result<u64, StoreError> {
        let mut swept = 0;
        loop {
            let batch = self
                .with_background_connection("sweep_requests", |connection| {
                    Box::pin(sweep_batch(connection))
                })
                .await?;
            swept += batch;
            if batch < SWEEP_ROWS_MAX.unsigned_abs() {
                return Ok(swept);
            }
        }
    }
}

async fn sweep_batch(connection: &mut PgConnection) -> Result<u64, StoreError> {
    // Several replicas sweep at once, and skip each other's rows.
    let deleted = sqlx::query!(
        "DELETE FROM catalog.requests WHERE request_id IN (
             SELECT request_id FROM catalog.requests
             WHERE created_at < clock_timestamp() - make_interval(hours => $1)
             ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        KEEP_HOURS,
        SWEEP_ROWS_MAX,
    )
    .execute(connection)
    .await?;
    Ok(deleted.rows_affected())
}

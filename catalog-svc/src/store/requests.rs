//! The first result of every mutation that came with a request id, in `catalog.requests`.
//!
//! A call inserts its row first of all. A second copy of it then waits at that unique key
//! until the first has ended, and finds its result, or nothing if the first has failed.

use std::time::Duration;

use model::ShowId;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::error::StoreError;
use super::pool::Store;
use super::rows;
use crate::domain::{Show, ShowInfo};

/// For how many hours a result is kept.
const KEEP_HOURS: i32 = 24;
/// How often a call tries to take its row, or to read the first's.
const CLAIM_TRIES_MAX: u32 = 3;
/// The most rows that one statement sweeps.
const SWEEP_ROWS_MAX: i64 = 500;
/// The pause between sweeps.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// A caller's request id, and a hash of what it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestKey {
    /// The id.
    pub id: Uuid,
    /// Hash of the verb and the body.
    pub fingerprint: i64,
}

/// A show as a call returned it. Its layout stays with the show, since no verb changes it.
#[derive(Debug, Serialize, Deserialize)]
struct StoredShow {
    show_id: ShowId,
    revision: i64,
    name: String,
    show_type: String,
    state: String,
    start_micros: i64,
    end_micros: Option<i64>,
    venue: String,
    seat_count: u32,
    created_micros: i64,
    updated_micros: i64,
    cancelled_micros: Option<i64>,
}

/// Takes the request's row, or returns the result of the call that had it first.
pub(super) async fn claim(
    transaction: &mut PgConnection,
    request: RequestKey,
) -> Result<Option<Show>, StoreError> {
    for _ in 0..CLAIM_TRIES_MAX {
        if insert(transaction, request).await? {
            return Ok(None);
        }
        // The insert has waited for the row's transaction; a new statement sees what it left.
        if let Some(info) = first_result(transaction, request).await? {
            let layout = rows::layout(transaction, info.id).await?;
            return Ok(Some(Show { info, layout }));
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
) -> Result<Option<ShowInfo>, StoreError> {
    let first = sqlx::query!(
        r#"SELECT fingerprint, result AS "result: Json<StoredShow>"
           FROM catalog.requests WHERE request_id = $1"#,
        request.id,
    )
    .fetch_optional(transaction)
    .await?;
    match first {
        None => Ok(None),
        Some(first) if first.fingerprint != request.fingerprint => Err(StoreError::RequestIdReused),
        Some(first) => match first.result {
            Some(Json(stored)) => stored.into_info().map(Some),
            None => Err(StoreError::fault(
                "a request without a result was committed",
            )),
        },
    }
}

/// Stores the result in the row that [`claim`] took.
pub(super) async fn settle(
    transaction: &mut PgConnection,
    request: RequestKey,
    show: &ShowInfo,
) -> Result<(), StoreError> {
    let stored = sqlx::query!(
        "UPDATE catalog.requests SET result = $2 WHERE request_id = $1 AND result IS NULL",
        request.id,
        Json(StoredShow::of(show)) as _,
    )
    .execute(transaction)
    .await?;
    if stored.rows_affected() == 1 {
        Ok(())
    } else {
        Err(StoreError::fault(
            "a request's row was not there to take its result",
        ))
    }
}

impl Store {
    /// Forgets old requests, a bounded batch at a time, until the shutdown.
    pub async fn sweep_requests(&self, stop: CancellationToken) {
        loop {
            match self.sweep_once().await {
                Ok(0) => {}
                Ok(swept) => tracing::info!(swept, "forgot old request ids"),
                Err(error) => tracing::debug!(%error, "sweeping old request ids failed"),
            }
            tokio::select! {
                () = tokio::time::sleep(SWEEP_INTERVAL) => {}
                () = stop.cancelled() => return,
            }
        }
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
                .lend_background("sweep_requests", |connection| {
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
    // Several replicas sweep at once, and leave each other's rows alone.
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

impl StoredShow {
    fn of(show: &ShowInfo) -> Self {
        Self {
            show_id: show.id,
            revision: show.revision,
            name: show.name.clone(),
            show_type: show.show_type.to_string(),
            state: show.state.to_string(),
            start_micros: micros(show.start_at),
            end_micros: show.end_at.map(micros),
            venue: show.venue.clone(),
            seat_count: show.seat_count,
            created_micros: micros(show.created_at),
            updated_micros: micros(show.updated_at),
            cancelled_micros: show.cancelled_at.map(micros),
        }
    }

    fn into_info(self) -> Result<ShowInfo, StoreError> {
        Ok(ShowInfo {
            id: self.show_id,
            revision: self.revision,
            name: self.name,
            show_type: self.show_type.parse().map_err(StoreError::fault)?,
            state: self.state.parse().map_err(StoreError::fault)?,
            start_at: instant(self.start_micros)?,
            end_at: self.end_micros.map(instant).transpose()?,
            venue: self.venue,
            seat_count: self.seat_count,
            created_at: instant(self.created_micros)?,
            updated_at: instant(self.updated_micros)?,
            cancelled_at: self.cancelled_micros.map(instant).transpose()?,
        })
    }
}

/// Microseconds since 1970, as the database counts them.
fn micros(at: OffsetDateTime) -> i64 {
    // Years that PostgreSQL can store and we accept (up to 9999) are far inside an i64.
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

fn instant(micros: i64) -> Result<OffsetDateTime, StoreError> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).map_err(StoreError::fault)
}

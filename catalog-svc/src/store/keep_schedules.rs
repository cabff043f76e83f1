//! Writes what the shows' own times have made of them, so that the feed tells of it.
//!
//! Any number of replicas do so at once: each takes the shows that are due and that nobody
//! else has locked. Who locks one for a verb of its own sees to its times itself.

use std::sync::Arc;
use std::time::Duration;

use model::{PriceDescription, ShowId};
use sqlx::types::Json;
use sqlx::{Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;

use super::error::StoreError;
use super::pool::Store;
use super::rows::{self, select_shows};
use super::write_show::WriteShow;
use crate::domain::ShowInfo;

/// The most shows of one transaction.
const BATCH_SHOWS_MAX: i64 = 50;
/// The longest pause between two looks: another replica may have written an earlier time.
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// The shortest, if a show is due but locked by somebody else.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// What a look has found.
#[derive(Debug)]
struct Look {
    /// Whether there may be more that is due.
    is_full: bool,
    /// The time until the next show is due, if one is to be.
    next: Option<Duration>,
}

impl Store {
    /// Keeps the shows' times until it is told to stop.
    pub async fn keep_schedules(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let look =
                self.lend_background("keep_schedules", |connection| Box::pin(look(connection)));
            let pause = match look.await {
                Ok(Look { is_full: true, .. }) => Duration::ZERO,
                Ok(Look { next, .. }) => {
                    next.map_or(PAUSE_MAX, |next| next.clamp(PAUSE_MIN, PAUSE_MAX))
                }
                Err(error) => {
                    tracing::debug!(%error, "keeping the shows' times failed");
                    PAUSE_MAX
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

async fn look(connection: &mut PgConnection) -> Result<Look, StoreError> {
    let next = time_left(connection).await?;
    if next != Some(Duration::ZERO) {
        let is_full = false;
        return Ok(Look { is_full, next });
    }
    let mut transaction = connection.begin().await?;
    let written = write_due(&mut transaction).await?;
    transaction.commit().await?;
    Ok(Look {
        is_full: written == BATCH_SHOWS_MAX.unsigned_abs(),
        next: time_left(connection).await?,
    })
}

/// The time until the next show is due, if one is to be.
async fn time_left(connection: &mut PgConnection) -> Result<Option<Duration>, StoreError> {
    let next = sqlx::query_scalar!(
        r#"SELECT ceil(extract(epoch FROM due_at - clock_timestamp()) * 1000)::bigint AS "millis!"
           FROM catalog.shows WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1"#
    );
    let next = next.fetch_optional(connection).await?;
    Ok(next.map(|millis| Duration::from_millis(u64::try_from(millis).unwrap_or(0))))
}

/// Writes the shows that are due and free, and returns how many.
async fn write_due(transaction: &mut PgConnection) -> Result<u64, StoreError> {
    let due = select_shows!(
        "NULL::jsonb",
        "WHERE due_at <= clock_timestamp() ORDER BY due_at LIMIT $1
         FOR NO KEY UPDATE SKIP LOCKED",
        BATCH_SHOWS_MAX
    );
    let due = due.fetch_all(&mut *transaction).await?;
    let now = rows::clock(transaction).await?;
    let mut written = 0;
    for row in due {
        let show = ShowInfo::try_from(row)?.at(now);
        let (id, state): (ShowId, _) = (show.id, show.state);
        WriteShow::of(show, now).write(transaction).await?;
        tracing::info!(show = %id, %state, "its time has come");
        written += 1;
    }
    Ok(written)
}

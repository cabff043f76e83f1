//! Writes the state changes that shows' own times make due, so that they enter the feed.
//!
//! Any number of replicas run it at once: each takes the shows that are due and that nobody else
//! has locked. A command that locks a show applies its times itself.

use std::sync::Arc;
use std::time::Duration;

use model::ShowId;
use service_kit::background::{self, Skipped};
use service_kit::sqlstate::Failure;
use sqlx::{Connection as _, PgConnection};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Store;
use super::clock::clock;
use super::error::StoreError;
use super::rows::{ShowRow, select_shows};
use super::write_show::WriteShow;
use crate::domain::ShowInfo;

/// The most shows of one transaction.
const BATCH_SHOWS_MAX: i64 = 50;
/// The longest pause between two rounds: another replica may have written an earlier time.
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// The shortest, if a due show is locked by another session.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// The result of a round.
#[derive(Debug)]
struct Look {
    due: Due,
    /// The time until the next show is due, if any.
    next: Option<Duration>,
}

/// The results of the due shows.
#[derive(Debug, Default)]
struct Due {
    /// Whether there may be more.
    is_full: bool,
    /// Those that could not be read or written, each with its error.
    failed: Vec<(Uuid, StoreError)>,
}

impl Store {
    /// Applies the shows' times until `stop`. A show that cannot be read or written is skipped for
    /// a minute, and holds up none of the others.
    pub async fn schedule_worker(self: Arc<Self>, stop: CancellationToken) {
        let skipped = Skipped::default();
        background::run("schedules", &stop, async || {
            let left_alone = skipped.now();
            let looking = self.with_background_connection("schedule_worker", move |connection| {
                Box::pin(look(connection, left_alone))
            });
            let Look { due, next } = looking.await?;
            for (show, error) in due.failed {
                tracing::error!(%show, %error, "a show that is due cannot be written");
                skipped.add(show);
            }
            let next = next.map_or(PAUSE_MAX, |next| next.clamp(PAUSE_MIN, PAUSE_MAX));
            Ok::<_, StoreError>(if due.is_full { Duration::ZERO } else { next })
        })
        .await;
    }
}

async fn look(connection: &mut PgConnection, left_alone: Vec<Uuid>) -> Result<Look, StoreError> {
    let next = time_left(connection, &left_alone).await?;
    if next != Some(Duration::ZERO) {
        let due = Due::default();
        return Ok(Look { due, next });
    }
    let mut transaction = connection.begin().await?;
    let due = write_due(&mut transaction, &left_alone).await?;
    transaction.commit().await?;
    Ok(Look {
        due,
        next: time_left(connection, &left_alone).await?,
    })
}

/// The time until the next show is due, if any; 1 s for later ones, whose times may be
/// infinite.
async fn time_left(
    connection: &mut PgConnection,
    left_alone: &[Uuid],
) -> Result<Option<Duration>, StoreError> {
    let next = sqlx::query_scalar!(
        r#"SELECT ceil(extract(epoch FROM
                      greatest(least(due_at, clock_timestamp() + interval '1 s'), clock_timestamp())
                      - clock_timestamp()) * 1000)::bigint AS "millis!"
           FROM catalog.shows WHERE due_at IS NOT NULL AND show_id <> ALL ($1)
           ORDER BY due_at LIMIT 1"#,
        left_alone,
    );
    let next = next.fetch_optional(connection).await?;
    Ok(next.map(|millis| Duration::from_millis(u64::try_from(millis).unwrap_or(0))))
}

/// Writes the shows that are due and free.
async fn write_due(transaction: &mut PgConnection, left_alone: &[Uuid]) -> Result<Due, StoreError> {
    let rows = select_shows!(
        "NULL::jsonb",
        "WHERE due_at <= clock_timestamp() AND show_id <> ALL ($2) ORDER BY due_at LIMIT $1
         FOR NO KEY UPDATE SKIP LOCKED",
        BATCH_SHOWS_MAX,
        left_alone
    );
    let rows = rows.fetch_all(&mut *transaction).await?;
    let now = clock(transaction).await?;
    let mut due = Due {
        is_full: rows.len() as u64 == BATCH_SHOWS_MAX.unsigned_abs(),
        failed: Vec::new(),
    };
    for row in rows {
        let show = row.show_id;
        // A failure here does not undo the other shows.
        let mut savepoint = transaction.begin().await?;
        match write(&mut savepoint, row, now).await {
            Ok(()) => savepoint.commit().await?,
            Err(error) if matches!(error.failure(), Some(Failure::Fault | Failure::Duplicate)) => {
                savepoint.rollback().await?;
                due.failed.push((show, error));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(due)
}

async fn write(
    transaction: &mut PgConnection,
    row: ShowRow,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let show = ShowInfo::try_from(row)?.at(now);
    let (id, state): (ShowId, _) = (show.id, show.state);
    WriteShow::of(show, now).write(transaction).await?;
    tracing::info!(show = %id, %state, "the show changed its state on schedule");
    Ok(())
}

//! Rows of `catalog.shows`, and the statements that several verbs share.

use model::{SeatLayout, ShowId};
use sqlx::PgConnection;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::StoreError;
use crate::domain::{Refusal, Show, ShowInfo};

/// A show without its layout.
#[derive(Debug)]
pub(super) struct InfoRow {
    pub(super) show_id: Uuid,
    pub(super) revision: i64,
    pub(super) name: String,
    pub(super) show_type: String,
    pub(super) state: String,
    pub(super) start_at: OffsetDateTime,
    pub(super) end_at: Option<OffsetDateTime>,
    pub(super) venue: String,
    pub(super) seat_count: i32,
    pub(super) created_at: OffsetDateTime,
    pub(super) updated_at: OffsetDateTime,
    pub(super) cancelled_at: Option<OffsetDateTime>,
}

impl TryFrom<InfoRow> for ShowInfo {
    type Error = StoreError;

    fn try_from(row: InfoRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.show_id.try_into().map_err(StoreError::fault)?,
            revision: row.revision,
            name: row.name,
            show_type: row.show_type.parse().map_err(StoreError::fault)?,
            state: row.state.parse().map_err(StoreError::fault)?,
            start_at: row.start_at,
            end_at: row.end_at,
            venue: row.venue,
            seat_count: row.seat_count.try_into().map_err(StoreError::fault)?,
            created_at: row.created_at,
            updated_at: row.updated_at,
            cancelled_at: row.cancelled_at,
        })
    }
}

/// The layout of a show that exists, deleted or not.
pub(super) async fn layout(
    connection: &mut PgConnection,
    id: ShowId,
) -> Result<SeatLayout, StoreError> {
    let Json(layout) = sqlx::query_scalar!(
        r#"SELECT layout AS "layout: Json<SeatLayout>" FROM catalog.shows WHERE show_id = $1"#,
        id.uuid(),
    )
    .fetch_one(connection)
    .await?;
    Ok(layout)
}

/// Locks a show until the end of the transaction, so that what is decided over it stays true.
pub(super) async fn lock(
    transaction: &mut PgConnection,
    id: ShowId,
) -> Result<ShowInfo, StoreError> {
    let row = sqlx::query_as!(
        InfoRow,
        r#"SELECT show_id, revision, name, show_type::text AS "show_type!",
                  state::text AS "state!", start_at, end_at, venue, seat_count,
                  created_at, updated_at, cancelled_at
           FROM catalog.shows WHERE show_id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE"#,
        id.uuid(),
    )
    .fetch_optional(transaction)
    .await?;
    row.ok_or(Refusal::NotFound(id))?.try_into()
}

/// The database's time now, not that of the transaction's start: asked for after a lock was
/// had, it is the time at which the lock holds.
pub(super) async fn clock(transaction: &mut PgConnection) -> Result<OffsetDateTime, StoreError> {
    let now = sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#);
    Ok(now.fetch_one(transaction).await?)
}

/// What a write gave a show.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) revision: i64,
    pub(super) updated_at: OffsetDateTime,
}

impl Written {
    /// The show as the write left it. No row was written if a show that we hold locked was
    /// changed all the same.
    pub(super) fn to(
        written: Option<Self>,
        info: ShowInfo,
        layout: SeatLayout,
    ) -> Result<Show, StoreError> {
        let Some(Self {
            revision,
            updated_at,
        }) = written
        else {
            return Err(StoreError::fault("a locked show was changed"));
        };
        Ok(Show {
            info: ShowInfo {
                revision,
                updated_at,
                ..info
            },
            layout,
        })
    }
}

//! Reads a show.

use std::sync::Arc;

use model::{SeatLayout, ShowId};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::error::StoreError;
use super::pool::Store;
use super::rows::InfoRow;
use crate::domain::{Refusal, Show};

impl Store {
    /// The show with this id, at least as new as `min_revision` and as what is known here.
    ///
    /// # Errors
    ///
    /// If there is none, or it was deleted; if the revision lies ahead of the newest; or the
    /// database fails.
    pub async fn get_show(&self, id: ShowId, min_revision: i64) -> Result<Arc<Show>, StoreError> {
        if let Some(known) = self.newest.known_for_sure()
            && let Some(show) = self.cache.get(id, known.max(min_revision))
        {
            return Ok(show);
        }
        let reading = self.read("get_show", min_revision, move |connection| {
            Box::pin(get(connection, id))
        });
        let read = reading.await?;
        let show = Arc::new(read.found);
        self.cache.keep(&show, read.revision);
        Ok(show)
    }
}

async fn get(connection: &mut PgConnection, id: ShowId) -> Result<Show, StoreError> {
    let row = sqlx::query!(
        r#"SELECT show_id, revision, name, show_type::text AS "show_type!",
                  state::text AS "state!", start_at, end_at, venue,
                  layout AS "layout: Json<SeatLayout>", seat_count, created_at, updated_at,
                  cancelled_at
           FROM catalog.shows WHERE show_id = $1 AND deleted_at IS NULL"#,
        id.uuid(),
    )
    .fetch_optional(connection)
    .await?;
    let row = row.ok_or(Refusal::NotFound(id))?;
    let Json(layout) = row.layout;
    let info = InfoRow {
        show_id: row.show_id,
        revision: row.revision,
        name: row.name,
        show_type: row.show_type,
        state: row.state,
        start_at: row.start_at,
        end_at: row.end_at,
        venue: row.venue,
        seat_count: row.seat_count,
        created_at: row.created_at,
        updated_at: row.updated_at,
        cancelled_at: row.cancelled_at,
    };
    Ok(Show {
        info: info.try_into()?,
        layout,
    })
}

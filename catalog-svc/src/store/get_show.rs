//! Reads a show.

use std::sync::Arc;

use model::ShowId;
use sqlx::PgConnection;

use super::Store;
use super::error::StoreError;
use super::rows::{self, select_shows};
use crate::domain::{Rejection, Show};

impl Store {
    /// The show with this id, at least as new as `min_revision` and as the revision known here.
    ///
    /// # Errors
    ///
    /// If there is none, or it was deleted; if the revision is ahead of the newest; or the
    /// database fails.
    pub async fn get_show(&self, id: ShowId, min_revision: i64) -> Result<Arc<Show>, StoreError> {
        if let Some(known) = self.newest.confirmed_revision()
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

pub(super) async fn get(connection: &mut PgConnection, id: ShowId) -> Result<Show, StoreError> {
    let row = select_shows!(
        "prices",
        "WHERE show_id = $1 AND deleted_at IS NULL",
        id.uuid()
    );
    let row = row.fetch_optional(&mut *connection).await?;
    let row = row.ok_or_else(|| Rejection::NotFound(vec![id]))?;
    rows::whole(connection, row.with_prices()?).await
}

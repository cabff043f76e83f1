//! Reads a show.

use model::{PriceDescription, ShowId};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::error::StoreError;
use super::pool::Store;
use super::rows::{self, select_shows};
use crate::domain::{Refusal, Show};

impl Store {
    /// The show with this id.
    ///
    /// # Errors
    ///
    /// If there is none, or it was deleted, or the database fails.
    pub async fn get_show(&self, id: ShowId) -> Result<Show, StoreError> {
        self.lend("get_show", move |connection| Box::pin(get(connection, id)))
            .await
    }
}

pub(super) async fn get(connection: &mut PgConnection, id: ShowId) -> Result<Show, StoreError> {
    let row = select_shows!(
        "prices",
        "WHERE show_id = $1 AND deleted_at IS NULL",
        id.uuid()
    );
    let row = row.fetch_optional(&mut *connection).await?;
    let row = row.ok_or_else(|| Refusal::NotFound(vec![id]))?;
    rows::whole(connection, row.with_prices()?).await
}

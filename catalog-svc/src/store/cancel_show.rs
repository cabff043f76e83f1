//! Cancels a show.

use model::ShowId;
use sqlx::PgConnection;

use super::error::StoreError;
use super::mutation::Mutation;
use super::rows::{self, Written};
use crate::domain::{Show, ShowInfo, ShowState};

/// Cancels a show that is on sale.
#[derive(Debug)]
pub struct CancelShow {
    /// The show.
    pub id: ShowId,
    /// The etag that it must have, if the caller cares.
    pub etag: Option<String>,
}

impl Mutation for CancelShow {
    const VERB: &'static str = "cancel_show";

    async fn apply(&self, transaction: &mut PgConnection) -> Result<Show, StoreError> {
        let show = rows::lock(transaction, self.id).await?;
        show.check_etag(self.etag.as_deref())?;
        show.check_state(ShowState::OnSale)?;
        let now = rows::clock(transaction).await?;
        let layout = rows::layout(transaction, self.id).await?;
        let written = sqlx::query_as!(
            Written,
            "WITH next AS (
                 UPDATE catalog.feed SET revision = revision + 1
                 RETURNING revision, pg_notify('catalog_feed', revision::text)
             )
             UPDATE catalog.shows
             SET revision = next.revision, state = 'CANCELLED', cancelled_at = $3,
                 updated_at = greatest(updated_at, $3)
             FROM next
             WHERE show_id = $1 AND shows.revision = $2 AND state = 'ON_SALE'
               AND deleted_at IS NULL
             RETURNING shows.revision, updated_at",
            self.id.uuid(),
            show.revision,
            now,
        )
        .fetch_optional(transaction)
        .await?;
        let info = ShowInfo {
            state: ShowState::Cancelled,
            cancelled_at: Some(now),
            ..show
        };
        Written::to(written, info, layout)
    }
}

//! Changes fields of a show.

use model::ShowId;
use sqlx::PgConnection;

use super::error::StoreError;
use super::mutation::Mutation;
use super::rows::{self, Written};
use crate::domain::{Show, ShowInfo, ShowPatch};

/// Changes fields of a show that is on sale.
#[derive(Debug)]
pub struct UpdateShow {
    /// The show.
    pub id: ShowId,
    /// The etag that it must have, if the caller cares.
    pub etag: Option<String>,
    /// What to change.
    pub patch: ShowPatch,
}

impl Mutation for UpdateShow {
    const VERB: &'static str = "update_show";

    async fn apply(&self, transaction: &mut PgConnection) -> Result<Show, StoreError> {
        let show = rows::lock(transaction, self.id).await?;
        show.check_etag(self.etag.as_deref())?;
        let now = rows::clock(transaction).await?;
        let changes = self.patch.apply(&show, now)?;
        let layout = rows::layout(transaction, self.id).await?;
        let written = sqlx::query_as!(
            Written,
            "WITH next AS (
                 UPDATE catalog.feed SET revision = revision + 1
                 RETURNING revision, pg_notify('catalog_feed', revision::text)
             )
             UPDATE catalog.shows
             SET revision = next.revision, name = $3, show_type = $4::text::catalog.show_type,
                 start_at = $5, end_at = $6, venue = $7, updated_at = greatest(updated_at, $8)
             FROM next
             WHERE show_id = $1 AND shows.revision = $2 AND state = 'ON_SALE'
               AND deleted_at IS NULL
             RETURNING shows.revision, updated_at",
            self.id.uuid(),
            show.revision,
            changes.name,
            changes.show_type.as_str(),
            changes.start_at,
            changes.end_at,
            changes.venue,
            now,
        )
        .fetch_optional(transaction)
        .await?;
        let info = ShowInfo {
            name: changes.name,
            show_type: changes.show_type,
            start_at: changes.start_at,
            end_at: changes.end_at,
            venue: changes.venue,
            ..show
        };
        Written::to(written, info, layout)
    }
}

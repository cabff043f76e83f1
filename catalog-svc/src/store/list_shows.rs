//! Lists shows, without their layouts.

use model::PriceDescription;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::error::StoreError;
use super::pool::Store;
use super::rows::select_shows;
use crate::domain::{After, ShowFilter, ShowInfo};

/// A page of a list.
#[derive(Debug, Clone, Copy)]
pub struct ListShows {
    /// Which shows.
    pub filter: ShowFilter,
    /// Where the page begins; none for the first one.
    pub after: Option<After>,
    /// The most shows to return.
    pub rows_max: u16,
}

impl Store {
    /// A page of the shows, by start and then by id.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn list_shows(&self, list: ListShows) -> Result<Vec<ShowInfo>, StoreError> {
        self.lend("list_shows", move |connection| {
            Box::pin(read(connection, list))
        })
        .await
    }
}

async fn read(connection: &mut PgConnection, list: ListShows) -> Result<Vec<ShowInfo>, StoreError> {
    let ListShows {
        filter,
        after,
        rows_max,
    } = list;
    // Bounds that are not set are infinite rather than left out, so that one plan, along the
    // index on (start_at, show_id), serves every filter.
    let rows = select_shows!(
        "NULL::jsonb",
        "WHERE deleted_at IS NULL
             AND start_at >= coalesce($1, '-infinity'::timestamptz)
             AND start_at < coalesce($2, 'infinity'::timestamptz)
             AND (start_at, show_id) >
                 (coalesce($3, '-infinity'::timestamptz),
                  coalesce($4, '00000000-0000-0000-0000-000000000000'::uuid))
             AND ($5::text IS NULL OR show_type = $5::text::catalog.show_type)
             AND ($6::text IS NULL OR state = $6::text::catalog.show_state)
           ORDER BY start_at, show_id
           LIMIT $7",
        filter.start_from,
        filter.start_before,
        after.map(|after| after.start_at),
        after.map(|after| after.id.uuid()),
        filter.show_type.map(|kind| kind.as_str()),
        filter.state.map(|state| state.as_str()),
        i64::from(rows_max)
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(ShowInfo::try_from).collect()
}

//! Reads the feed of revisions.

use model::{PriceDescription, ShowId};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::error::StoreError;
use super::pool::Store;
use super::rows::{self, select_shows};
use crate::domain::{Entry, Page};

/// The most shows of a page.
const PAGE_SHOWS_MAX: i64 = 16;
/// A page ends with the show that fills it to this many seats: large layouts come a few at a
/// time, since a stream holds its page in memory for as long as its reader takes.
const PAGE_SEATS: i64 = 100_000;

impl Store {
    /// Sees that a reader can go on after this revision.
    ///
    /// # Errors
    ///
    /// If it lies ahead of the newest, or the database fails.
    pub async fn check_cursor(&self, after: i64) -> Result<(), StoreError> {
        let newest = self
            .lend("check_cursor", |connection| Box::pin(newest(connection)))
            .await?;
        if after > newest {
            Err(StoreError::CursorAhead { newest })
        } else {
            Ok(())
        }
    }

    /// The next entries after a revision.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn feed_page(&self, after: i64) -> Result<Page, StoreError> {
        // The semaphore is never closed; if it were, the reads would only be unbounded.
        let _turn = self.feed_reads.acquire().await;
        self.lend("watch_shows", move |connection| {
            Box::pin(page(connection, after))
        })
        .await
    }
}

/// The feed's newest revision.
pub(super) async fn newest(connection: &mut PgConnection) -> Result<i64, StoreError> {
    let newest = sqlx::query_scalar!("SELECT revision FROM catalog.feed");
    Ok(newest.fetch_one(connection).await?)
}

async fn page(connection: &mut PgConnection, after: i64) -> Result<Page, StoreError> {
    // The newest revision is read first. Since revisions are committed in their order, the
    // second statement sees every one up to it: no row after `after` means nothing is missing.
    let newest = newest(connection).await?;
    let rows = select_shows!(
        "CASE WHEN deleted_at IS NULL THEN prices END",
        "JOIN (
             SELECT show_id, sum(seat_count) OVER (ORDER BY revision) - seat_count AS seats_before
             FROM (
                 SELECT show_id, revision, seat_count FROM catalog.shows
                 WHERE revision > $1 ORDER BY revision LIMIT $2
             ) AS next
         ) AS page USING (show_id)
         WHERE seats_before < $3
         ORDER BY revision",
        after,
        PAGE_SHOWS_MAX,
        PAGE_SEATS
    );
    let rows = rows.fetch_all(&mut *connection).await?;
    let mut deleted = Vec::new();
    let mut shows = Vec::new();
    for row in rows {
        if row.prices.is_some() {
            shows.push(row.with_prices()?);
        } else {
            let id = ShowId::try_from(row.show_id).map_err(StoreError::fault)?;
            let revision = row.revision;
            deleted.push(Entry::Deleted { id, revision });
        }
    }
    let shows = rows::all_whole(connection, shows).await?.into_iter();
    let mut entries: Vec<_> = shows.map(|show| Entry::Show(Box::new(show))).collect();
    entries.extend(deleted);
    entries.sort_by_key(Entry::revision);
    Ok(Page { entries, newest })
}

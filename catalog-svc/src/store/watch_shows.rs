//! Reads the feed of revisions.

use model::{SeatLayout, ShowId};
use sqlx::PgConnection;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::StoreError;
use super::pool::Store;
use super::rows::InfoRow;
use crate::domain::{Entry, Page, Show};

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

/// A show of the feed, or the lack of one beside the newest revision.
#[derive(Debug)]
struct FeedRow {
    newest: i64,
    show_id: Option<Uuid>,
    revision: Option<i64>,
    name: Option<String>,
    show_type: Option<String>,
    state: Option<String>,
    start_at: Option<OffsetDateTime>,
    end_at: Option<OffsetDateTime>,
    venue: Option<String>,
    layout: Option<Json<SeatLayout>>,
    seat_count: Option<i32>,
    created_at: Option<OffsetDateTime>,
    updated_at: Option<OffsetDateTime>,
    cancelled_at: Option<OffsetDateTime>,
}

async fn page(connection: &mut PgConnection, after: i64) -> Result<Page, StoreError> {
    // The newest revision is read in the same snapshot. Since revisions are committed in their
    // order, that snapshot has every one up to it: no row after `after` means nothing is missing.
    let rows = sqlx::query_as!(
        FeedRow,
        r#"SELECT feed.revision AS newest, show_id AS "show_id?", page.revision AS "revision?",
                  name AS "name?", show_type::text, state::text, start_at AS "start_at?",
                  end_at AS "end_at?", venue AS "venue?", seat_count AS "seat_count?",
                  created_at AS "created_at?", updated_at AS "updated_at?",
                  cancelled_at AS "cancelled_at?",
                  CASE WHEN deleted_at IS NULL THEN layout END AS "layout: Json<SeatLayout>"
           FROM catalog.feed
           LEFT JOIN (
               SELECT *, sum(seat_count) OVER (ORDER BY revision) - seat_count AS seats_before
               FROM (
                   SELECT * FROM catalog.shows WHERE revision > $1 ORDER BY revision LIMIT $2
               ) AS next
           ) AS page ON seats_before < $3
           ORDER BY page.revision"#,
        after,
        PAGE_SHOWS_MAX,
        PAGE_SEATS,
    )
    .fetch_all(connection)
    .await?;
    let newest = rows.first().map(|row| row.newest);
    let newest = newest.ok_or_else(|| StoreError::fault("the feed has no row"))?;
    let entries = rows
        .into_iter()
        .filter_map(entry)
        .collect::<Result<_, _>>()?;
    Ok(Page { entries, newest })
}

fn entry(row: FeedRow) -> Option<Result<Entry, StoreError>> {
    let id = row.show_id?;
    let revision = row.revision?;
    let Some(Json(layout)) = row.layout else {
        let id = ShowId::try_from(id).map_err(StoreError::fault);
        return Some(id.map(|id| Entry::Deleted { id, revision }));
    };
    let info = InfoRow {
        show_id: id,
        revision,
        name: row.name?,
        show_type: row.show_type?,
        state: row.state?,
        start_at: row.start_at?,
        end_at: row.end_at,
        venue: row.venue?,
        seat_count: row.seat_count?,
        created_at: row.created_at?,
        updated_at: row.updated_at?,
        cancelled_at: row.cancelled_at,
    };
    let show = info
        .try_into()
        .map(|info| Entry::Show(Box::new(Show { info, layout })));
    Some(show)
}

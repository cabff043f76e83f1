//! Reads the feed of revisions.

use model::ShowId;
use sqlx::PgConnection;

use super::error::StoreError;
use super::followers::{self, Follower};
use super::rows::{self, select_shows};
use super::unreadable::Unreadable;
use super::{Reader, Store};
use crate::domain::{Cursor, Entry, Feed, FeedPosition, Page, Show};

/// The most shows of a page.
const PAGE_SHOWS_MAX: i64 = 16;
/// A page ends with the show that fills it to this many seats: large layouts are sent one at a time,
/// since a stream holds its page in memory for as long as its reader takes.
const PAGE_SEATS: i64 = 20_000;

impl Store {
    /// The feed's current state on the primary, and whether it ever had this cursor.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn feed(&self, reader: Reader, cursor: Cursor) -> Result<Feed, StoreError> {
        self.with_connection_for(reader, "feed", move |connection| {
            Box::pin(feed(connection, cursor))
        })
        .await
    }

    /// The same for a process that follows the feed: changes wait for it from then on.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn feed_for(&self, follower: Follower, cursor: Cursor) -> Result<Feed, StoreError> {
        self.followers.report(follower);
        self.with_connection_for(Reader::Service, "feed_for", move |connection| {
            Box::pin(async move {
                followers::notify(connection, follower).await?;
                feed(connection, cursor).await
            })
        })
        .await
    }

    /// Waits until all followers have applied a revision, for at most half a second.
    pub async fn applied_by_all(&self, revision: i64) {
        self.followers.wait_for(revision).await;
    }

    /// The next entries after a revision. An unreadable show does not stop the feed: the entry
    /// names it.
    ///
    /// # Errors
    ///
    /// If the revision is ahead of the newest, or the database fails.
    pub async fn feed_page(&self, reader: Reader, after: i64) -> Result<Page, StoreError> {
        // The semaphore is never closed; if it were, the reads would only be unbounded.
        let _turn = self.feed_reads(reader).acquire().await;
        let unreadable = self.unreadable.clone();
        self.with_connection_for(reader, "feed_page", move |connection| {
            Box::pin(page(connection, after, unreadable))
        })
        .await
    }

    /// A show from the primary, with the catalog's identity, for a service that copies it.
    ///
    /// # Errors
    ///
    /// If there is none, or it was deleted, or the database fails.
    pub async fn show_to_copy(&self, id: ShowId) -> Result<(Feed, Show), StoreError> {
        self.with_connection_for(Reader::Service, "show_to_copy", move |connection| {
            Box::pin(async move {
                let feed = feed(connection, Cursor::default()).await?;
                Ok((feed, super::get_show::get(connection, id).await?))
            })
        })
        .await
    }
}

async fn feed(connection: &mut PgConnection, cursor: Cursor) -> Result<Feed, StoreError> {
    // A timeline ends where the next one begins.
    let feed = sqlx::query!(
        r#"SELECT installation_id, timeline_id, revision,
                  $1 <= revision AND ($2::uuid IS NULL OR EXISTS (
                      SELECT FROM catalog.timelines AS own
                      WHERE own.timeline_id = $2 AND $1 <= coalesce((
                          SELECT min(next.begins_after) FROM catalog.timelines AS next
                          WHERE next.begins_after > own.begins_after
                      ), revision)
                  )) AS "has_cursor!"
           FROM catalog.feed"#,
        cursor.revision,
        cursor.timeline,
    );
    let feed = feed.fetch_one(connection).await?;
    Ok(Feed {
        installation: feed.installation_id,
        newest: FeedPosition {
            revision: feed.revision,
            timeline: feed.timeline_id,
        },
        has_cursor: feed.has_cursor,
    })
}

async fn page(
    connection: &mut PgConnection,
    after: i64,
    unreadable: Unreadable,
) -> Result<Page, StoreError> {
    // The newest revision is read first. Since revisions are committed in their order, the
    // second statement sees every one up to it: no row after `after` means nothing is missing.
    let newest = feed(connection, Cursor::default()).await?.newest;
    if newest.revision < after {
        let newest = newest.revision;
        return Err(StoreError::CursorAhead { newest });
    }
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
    let mut rows = rows.fetch_all(&mut *connection).await?;
    // A commit between the two reads may be on another timeline: it is in the next page.
    rows.retain(|row| row.revision <= newest.revision);
    let up_to = rows.last().map_or(newest.revision, |row| row.revision);
    let mut entries = Vec::new();
    let (mut read, mut shows) = (Vec::new(), Vec::new());
    for row in rows {
        let revision = row.revision;
        let id = ShowId::try_from(row.show_id).map_err(StoreError::fault);
        let Some(id) = unreadable.leave_out(row.show_id, id) else {
            continue;
        };
        if row.prices.is_none() {
            entries.push(Entry::Deleted { id, revision });
            continue;
        }
        match unreadable.leave_out(id.uuid(), row.with_prices()) {
            Some(show) => {
                read.push((id, revision));
                shows.push(show);
            }
            None => entries.push(Entry::Unreadable { id, revision }),
        }
    }
    let shows = rows::all_whole(connection, shows).await?;
    entries.extend(read.into_iter().zip(shows).map(|((id, revision), show)| {
        match unreadable.leave_out(id.uuid(), show) {
            Some(show) => Entry::Show(Box::new(show)),
            None => Entry::Unreadable { id, revision },
        }
    }));
    entries.sort_by_key(Entry::revision);
    Ok(Page {
        entries,
        up_to,
        newest,
    })
}

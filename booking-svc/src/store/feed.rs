//! The feed's cursor: the followed catalog, and the position up to which its feed was applied.

use std::time::Duration;

use deadpool_postgres::Transaction;
use service_kit::postgres;
use uuid::Uuid;

use super::{Store, StoreError};

/// The distance between the revisions of one epoch and the next: see the comment of
/// `sales.revision`.
const EPOCH_BITS: u32 = 40;

/// A place in the feed of one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedPlace {
    /// How many catalogs were accepted before the one that is followed.
    pub epoch: i64,
    /// The revision.
    pub revision: i64,
    /// The timeline of the revision, if known.
    pub timeline: Option<Uuid>,
}

/// The followed catalog, and the position up to which its feed was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedCursor {
    /// The catalog's installation; none before the first was found.
    pub installation: Option<Uuid>,
    /// Up to where.
    pub place: FeedPlace,
}

/// A catalog that was found and is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundCatalog {
    /// Its installation.
    pub installation: Uuid,
    /// Its newest revision.
    pub newest: i64,
}

impl Store {
    /// Reads the cursor.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn cursor(&self) -> Result<FeedCursor, StoreError> {
        let client = postgres::get(&self.pool).await?;
        let cursor =
            "SELECT installation_id, epoch, revision, timeline_id FROM booking.feed_cursor";
        let row = client.query_one(cursor, &[]).await?;
        Ok(FeedCursor {
            installation: row.get(0),
            place: FeedPlace {
                epoch: row.get(1),
                revision: row.get(2),
                timeline: row.get(3),
            },
        })
    }

    /// Moves the cursor to a position up to which the feed has been applied. Never moves back.
    ///
    /// # Errors
    ///
    /// If the database fails, or another catalog was accepted meanwhile.
    pub async fn move_cursor(&self, to: FeedPlace) -> Result<(), StoreError> {
        let mut client = postgres::get(&self.pool).await?;
        let transaction = client.transaction().await?;
        lock_cursor(&transaction, Some(to)).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Records a catalog that is not followed, so that an operator can decide on it.
    ///
    /// # Errors
    ///
    /// If the database does not do it.
    pub async fn note_found(&self, found: FoundCatalog) -> Result<(), StoreError> {
        let client = postgres::get(&self.pool).await?;
        let note = "UPDATE booking.feed_cursor SET found_installation_id = $1, found_revision = $2,
             found_at = clock_timestamp()";
        client
            .execute(note, &[&found.installation, &found.newest])
            .await?;
        Ok(())
    }

    /// Ends the sale of every show that the catalog does not have which was accepted as this epoch
    /// began; how many were on sale. After its whole feed was applied.
    ///
    /// # Errors
    ///
    /// If the database does not do it.
    pub async fn close_unknown(&self, epoch: i64) -> Result<u64, StoreError> {
        let client = postgres::get(&self.pool).await?;
        let close = "UPDATE booking.sales SET state = 'CLOSED'
             WHERE revision < $1 AND state IN ('DRAFT', 'ON_SALE', 'PAUSED')";
        Ok(client.execute(close, &[&stored_revision(epoch, 0)]).await?)
    }

    /// Follows this installation from now on, unless another one is followed already, and forgets
    /// any other catalog that was found. Returns the one that is followed.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn follow_installation(&self, installation: Uuid) -> Result<Uuid, StoreError> {
        let client = postgres::get(&self.pool).await?;
        let follow = "UPDATE booking.feed_cursor
             SET installation_id = coalesce(installation_id, $1), found_installation_id = NULL,
                 found_revision = NULL, found_at = NULL
             RETURNING installation_id";
        Ok(client.query_one(follow, &[&installation]).await?.get(0))
    }
}

/// Locks the cursor, and with a place moves it there. First of all in a transaction: see
/// `lock_cursor.sql`. Returns the epoch.
pub(super) async fn lock_cursor(
    transaction: &Transaction<'_>,
    to: Option<FeedPlace>,
) -> Result<i64, StoreError> {
    let Some(to) = to else {
        let lock = include_str!("sql/lock_cursor.sql");
        return Ok(transaction.query_one(lock, &[]).await?.get(0));
    };
    let statement = include_str!("sql/move_cursor.sql");
    let moved = transaction
        .execute(statement, &[&to.revision, &to.timeline, &to.epoch])
        .await?;
    if moved == 1 {
        Ok(to.epoch)
    } else {
        Err(StoreError::OtherEpoch)
    }
}

/// Bounds how long the transaction waits for each lock from now on.
pub(super) async fn bound_lock_wait(
    transaction: &Transaction<'_>,
    lock_wait: Option<Duration>,
) -> Result<(), StoreError> {
    if let Some(wait) = lock_wait {
        let bound = format!("SET LOCAL lock_timeout = {}", wait.as_millis());
        transaction.batch_execute(&bound).await?;
    }
    Ok(())
}

/// The revision that is stored for a catalog's of this epoch.
pub(super) fn stored_revision(epoch: i64, revision: i64) -> i64 {
    (epoch << EPOCH_BITS) + revision
}

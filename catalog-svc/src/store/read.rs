//! Chooses where a read runs: on the replica, if there is one that has replayed enough, else on the
//! primary.
//!
//! What must always hold: a read is at least as new as the newest revision that this process knew when
//! the read began, and as the revision that its caller asked for. A database's newest revision
//! is read before its data, so the data can only be newer. A replica is never trusted that
//! something does not exist.

use futures_util::future::BoxFuture;
use sqlx::PgConnection;

use super::Store;
use super::error::StoreError;
use super::replica::{Read, read};
use super::revision_tracker::newest;

impl Store {
    /// Does `work`, which only reads, on a database that is as new as `min_revision` and as the
    /// revision that this process knows.
    pub(super) async fn read<T, W>(
        &self,
        verb: &'static str,
        min_revision: i64,
        work: W,
    ) -> Result<Read<T>, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, StoreError>>
            + Clone
            + Send
            + 'static,
    {
        if let Some(replica) = &self.replica {
            let floor = self.newest.known().max(min_revision);
            if let Some(read) = replica.read(verb, floor, work.clone()).await {
                return Ok(read);
            }
        }
        let reading = self.with_connection(verb, move |connection| {
            Box::pin(async move {
                let newest = newest(connection).await?;
                if newest < min_revision {
                    return Err(StoreError::RevisionAhead { newest });
                }
                read(connection, newest, work).await
            })
        });
        reading.await
    }
}

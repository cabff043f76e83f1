//! Sales: copies of the catalog's shows, each with a row for every seat.

use deadpool_postgres::Transaction;
use model::{SeatLayout, ShowId};
use service_kit::postgres;

use super::{Store, StoreError, rows};
use crate::domain::{Sale, SaleState};

impl Store {
    /// The sale of a show, if the show is known here.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn sale(&self, show_id: ShowId) -> Result<Option<Sale>, StoreError> {
        let client = postgres::get(&self.pool).await?;
        let statement = client.prepare_cached(include_str!("sql/sale.sql")).await?;
        let Some(row) = client.query_opt(&statement, &[&show_id.uuid()]).await? else {
            return Ok(None);
        };
        let bad = |column| rows::bad(column, show_id);
        let layout: &str = row.get(3);
        Ok(Some(Sale {
            show_id,
            revision: row.get(0),
            state: SaleState::from_name(row.get(1)).ok_or_else(|| bad("state"))?,
            start_at: row.get(2),
            layout: serde_json::from_str::<SeatLayout>(layout).map_err(|_| bad("layout"))?,
        }))
    }

    /// Copies a show from the catalog, unless a newer copy is here; with `cursor`, notes in
    /// the same transaction how far the feed has been applied. Applying it twice, late or
    /// from several replicas at once changes nothing.
    ///
    /// # Errors
    ///
    /// If the database does not do it; then nothing was changed.
    pub async fn apply_sale(&self, sale: &Sale, cursor: Option<i64>) -> Result<(), StoreError> {
        let layout =
            serde_json::to_string(&sale.layout).map_err(|_| rows::bad("layout", sale.show_id))?;
        let seat_count = rows::ordinal(sale.layout.seat_count());
        let show_id = sale.show_id.uuid();
        let mut client = postgres::get(&self.pool).await?;
        let transaction = client.transaction().await?;
        lock(&transaction, sale.show_id).await?;
        let statement = transaction
            .prepare_cached(include_str!("sql/apply_sale.sql"))
            .await?;
        let inserted = transaction
            .query_opt(
                &statement,
                &[
                    &show_id,
                    &sale.revision,
                    &sale.state.as_str(),
                    &sale.start_at,
                    &layout,
                    &seat_count,
                ],
            )
            .await?
            .is_some_and(|row| row.get(0));
        if inserted {
            transaction
                .execute(
                    include_str!("sql/insert_seats.sql"),
                    &[&show_id, &seat_count],
                )
                .await?;
        }
        if let Some(revision) = cursor {
            transaction
                .execute(include_str!("sql/move_cursor.sql"), &[&revision])
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Closes the sale of a show that the catalog has deleted, if there is one.
    ///
    /// # Errors
    ///
    /// If the database does not do it; then nothing was changed.
    pub async fn apply_deleted(&self, show_id: ShowId, revision: i64) -> Result<(), StoreError> {
        let mut client = postgres::get(&self.pool).await?;
        let transaction = client.transaction().await?;
        lock(&transaction, show_id).await?;
        transaction
            .execute(
                include_str!("sql/close_sale.sql"),
                &[&show_id.uuid(), &revision],
            )
            .await?;
        transaction
            .execute(include_str!("sql/move_cursor.sql"), &[&revision])
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Notes that the feed has been applied up to a revision. Never goes back.
    ///
    /// # Errors
    ///
    /// If the database does not do it.
    pub async fn move_cursor(&self, revision: i64) -> Result<(), StoreError> {
        let client = postgres::get(&self.pool).await?;
        client
            .execute(include_str!("sql/move_cursor.sql"), &[&revision])
            .await?;
        Ok(())
    }

    /// How far the feed has been applied.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn cursor(&self) -> Result<i64, StoreError> {
        let client = postgres::get(&self.pool).await?;
        let row = client
            .query_one("SELECT revision FROM booking.feed_cursor", &[])
            .await?;
        Ok(row.get(0))
    }
}

/// Locks a sale against batches: those that have read it commit first, and those that come
/// read what is written under the lock.
async fn lock(transaction: &Transaction<'_>, show_id: ShowId) -> Result<(), tokio_postgres::Error> {
    let statement = "SELECT FROM booking.sales WHERE show_id = $1 FOR UPDATE";
    transaction
        .execute(statement, &[&show_id.uuid()])
        .await
        .map(drop)
}

//! Reads the free seats of a show.

use service_kit::postgres;

use super::{Store, StoreError, rows};
use crate::domain::Sale;
use crate::domain::choose::FreeSeats;

impl Store {
    /// The seats of a show without a live owner, whether or not they are for sale. Reads as many rows
    /// as the show has seats: at most 100,000.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn free_seats(&self, sale: &Sale) -> Result<FreeSeats, StoreError> {
        let client = postgres::get(&self.pool).await?;
        let statement = client
            .prepare_cached(include_str!("sql/free_seats.sql"))
            .await?;
        let row = client
            .query_one(&statement, &[&sale.show_id.uuid()])
            .await?;
        let mut free = FreeSeats::none(sale.seats.ordinal_count());
        for ordinal in row.get::<_, Vec<i32>>(0) {
            free.insert(
                ordinal
                    .try_into()
                    .map_err(|_| rows::bad("ordinal", sale.show_id))?,
            );
        }
        Ok(free)
    }
}

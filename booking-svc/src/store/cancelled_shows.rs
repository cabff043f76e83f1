//! Cancelled shows with bookings that are still to be ended.

use model::{BookingId, ShowId};
use service_kit::postgres;
use uuid::Uuid;

use super::bookings::Page;
use super::rows::{self, BadRow};
use super::{Store, StoreError};

/// The most sales on a page.
const SALES_MAX: i64 = 100;
/// The most bookings that a page reads, and so the most that it has.
const BOOKINGS_MAX: i64 = 256;
/// A page ends when its bookings have this many seats.
const SEATS_MAX: i64 = 1_000;

/// The sale of a cancelled show whose bookings have yet to be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CancelledSale {
    /// Its show.
    pub show_id: ShowId,
    /// The catalog's revision that it is a copy of.
    pub revision: i64,
}

impl Store {
    /// A page of the cancelled sales after `after` that are not fully cancelled, by id; at most 100.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn cancelled_sales(
        &self,
        after: Option<Uuid>,
    ) -> Result<Page<CancelledSale, Uuid>, StoreError> {
        let client = postgres::get(&self.pool).await?;
        let statement = client
            .prepare_cached(include_str!("sql/cancelled_sales.sql"))
            .await?;
        let after = after.unwrap_or_default();
        let found = client.query(&statement, &[&after, &SALES_MAX]).await?;
        let items = rows::readable(&found, 0, |row| {
            Ok(CancelledSale {
                show_id: rows::show_id(row.get(0))?,
                revision: row.get(1),
            })
        });
        let next = rows::next_after(&found, SALES_MAX);
        Ok(Page { items, next })
    }

    /// A page of a show's PENDING and CONFIRMED bookings by id, after `after`: at most 256 of
    /// them, with little more than 1,000 seats in all. It may be empty and still have a next.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn live_bookings(
        &self,
        show_id: ShowId,
        after: Option<Uuid>,
    ) -> Result<Page<Result<BookingId, BadRow>, Uuid>, StoreError> {
        let client = postgres::get(&self.pool).await?;
        let statement = client
            .prepare_cached(include_str!("sql/live_bookings.sql"))
            .await?;
        let after = after.unwrap_or_default();
        let found = client
            .query(&statement, &[&show_id.uuid(), &after, &BOOKINGS_MAX])
            .await?;
        let mut page = Page {
            items: Vec::new(),
            next: None,
        };
        let mut seats = 0;
        for (place, row) in (1..).zip(&found) {
            if row.get(1) {
                page.items.push(rows::booking_id(row.get(0)));
                seats += i64::from(row.get::<_, i32>(2));
            }
            if place == BOOKINGS_MAX || seats >= SEATS_MAX {
                page.next = Some(row.get(0));
                break;
            }
        }
        Ok(page)
    }

    /// Marks a cancelled sale that has no booking left to end. False if the sale is now a copy of
    /// another revision, if another replica has marked it, or if another session has the row locked.
    ///
    /// # Errors
    ///
    /// If the database does not do it.
    pub async fn mark_fully_cancelled(&self, sale: CancelledSale) -> Result<bool, StoreError> {
        let client = postgres::get(&self.pool).await?;
        let statement = client
            .prepare_cached(include_str!("sql/mark_fully_cancelled.sql"))
            .await?;
        let noted = client
            .execute(&statement, &[&sale.show_id.uuid(), &sale.revision])
            .await?;
        Ok(noted == 1)
    }
}

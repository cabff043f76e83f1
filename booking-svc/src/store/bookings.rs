//! Reading bookings as they stand now.

use model::{BookingId, ShowId};
use service_kit::postgres;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{CustomerKey, Store, StoreError, payments, rejections, rows};
use crate::domain::{Booking, BookingState, Customer, PaymentRecord, Replay};

/// The most bookings that one page reads; a page that finds few among them is short.
const SCANNED_MAX: i64 = 10_000;

const COLUMNS: &str = rows::booking_columns!();

/// Each booking's newest payment, after [`COLUMNS`], from the same snapshot: a separate read
/// could see a later moment than the booking.
const PAYMENT: &str = concat!(
    "LEFT JOIN LATERAL (",
    include_str!("sql/payment.sql"),
    ") AS payment ON true"
);

/// A booking as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct BookingRecord {
    /// The booking.
    pub booking: Booking,
    /// Its newest payment, if one was tried.
    pub payment: Option<PaymentRecord>,
}

/// Which bookings to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BookingFilter {
    /// Only those of this show.
    pub show_id: Option<ShowId>,
    /// Only those of this customer; if `CustomerService` has it, however it was named.
    pub customer: Option<Customer>,
    /// Only those in this state.
    pub state: Option<BookingState>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T, C> {
    /// Its items.
    pub items: Vec<T>,
    /// Where the next one begins, unless this is the last.
    pub next: Option<C>,
}

impl Store {
    /// A booking, if there is one of that id.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn booking(&self, id: BookingId) -> Result<Option<BookingRecord>, StoreError> {
        let sql = format!(
            "SELECT wanted.*, payment.* FROM (
                SELECT {COLUMNS}, show_id
                FROM booking.bookings_now AS b
                WHERE show_id = $1 AND booking_id = $2
            ) AS wanted {PAYMENT}"
        );
        let client = postgres::get(&self.pool).await?;
        let statement = client.prepare_cached(&sql).await?;
        let row = client
            .query_opt(&statement, &[&id.show().uuid(), &id.uuid()])
            .await?;
        Ok(row
            .map(|row| record(&row, rows::BOOKING_COLUMNS + 1))
            .transpose()?)
    }

    /// The stored result of the call with this request id on a show, a rejection too.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn replay(
        &self,
        show_id: ShowId,
        request_id: Uuid,
    ) -> Result<Option<Replay>, StoreError> {
        let client = postgres::get(&self.pool).await?;
        let keys = (vec![show_id.uuid()], vec![request_id]);
        let statement = client.prepare_cached(rows::REPLAYS).await?;
        if let Some(row) = client.query_opt(&statement, &[&keys.0, &keys.1]).await? {
            return Ok(Some(rows::replay(&row)?.1));
        }
        let statement = include_str!("sql/rejections.sql");
        let statement = client.prepare_cached(statement).await?;
        let row = client.query_opt(&statement, &[&keys.0, &keys.1]).await?;
        let refused = row.as_ref().map(rejections::refused).transpose()?;
        Ok(refused.map(|(_, replay)| replay))
    }

    /// A page of bookings by id, after `after`.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn bookings(
        &self,
        filter: &BookingFilter,
        after: Option<BookingId>,
        page_size: u16,
    ) -> Result<Page<BookingRecord, BookingId>, StoreError> {
        let show_id = filter.show_id.map(ShowId::uuid);
        let after_show = after.map_or(Uuid::nil(), |id| id.show().uuid());
        let after_id = after.map_or(Uuid::nil(), BookingId::uuid);
        let customer = filter.customer.as_ref();
        let linked = match customer.and_then(CustomerKey::of) {
            Some(key) => self.customer(&key).await?.map(|found| found.id.uuid()),
            None => None,
        };
        let state = filter.state.map(BookingState::as_str);
        let limit = i64::from(page_size) + 1;
        let mut parameters: Vec<&(dyn ToSql + Sync)> =
            vec![&after_show, &after_id, &state, &SCANNED_MAX, &limit];
        // A text for each set of filters, so that each gets the plan that its index allows.
        let mut wanted = String::new();
        if let Some(show_id) = &show_id {
            parameters.push(show_id);
            wanted += &format!(" AND show_id = ${}", parameters.len());
        }
        let whose: Option<(&str, &(dyn ToSql + Sync))> = match (&linked, customer) {
            (Some(linked), _) => Some(("linked_customer_id", linked)),
            (None, Some(Customer::Id(id))) => Some(("customer_id", id)),
            (None, Some(Customer::Email(email))) => Some(("email", email)),
            (None, None) => None,
        };
        if let Some((column, value)) = whose {
            parameters.push(value);
            wanted += &format!(" AND {column} = ${}", parameters.len());
        }
        let sql = format!(
            "SELECT wanted.*, payment.* FROM (
                SELECT * FROM (
                    SELECT {COLUMNS},
                        row_number() OVER (ORDER BY show_id, booking_id) AS place, show_id
                    FROM (
                        SELECT * FROM booking.bookings_now
                        WHERE (show_id, booking_id) > ($1, $2){wanted}
                        ORDER BY show_id, booking_id
                        LIMIT $4
                    ) AS b
                ) AS numbered
                WHERE $3::text IS NULL OR state = $3 OR place = $4
                ORDER BY place
                LIMIT $5
            ) AS wanted {PAYMENT}
            ORDER BY wanted.place"
        );
        let client = postgres::get(&self.pool).await?;
        let statement = client.prepare_cached(&sql).await?;
        let mut items = Vec::new();
        let mut last_seen = None;
        let mut more = false;
        for row in client.query(&statement, &parameters).await? {
            if items.len() == usize::from(page_size) {
                more = true;
                break;
            }
            let record = record(&row, rows::BOOKING_COLUMNS + 2)?;
            last_seen = Some(record.booking.booking_id);
            more = row.get::<_, i64>(rows::BOOKING_COLUMNS) == SCANNED_MAX;
            if filter
                .state
                .is_none_or(|state| state == record.booking.state)
            {
                items.push(record);
            }
        }
        Ok(Page {
            items,
            next: last_seen.filter(|_| more),
        })
    }
}

/// Reads a booking and its payment, whose columns begin at `payment_at`.
fn record(row: &Row, payment_at: usize) -> Result<BookingRecord, rows::BadRow> {
    let booking = rows::booking(row)?;
    let payment = booking.payment.map(|_| payments::record(row, payment_at));
    Ok(BookingRecord {
        payment: payment.transpose()?,
        booking,
    })
}
